//! hb_standby and hb_takeover, typed on each node with each set.

use crate::bed::{PRIMARY, Pair, Rows, SECONDARY, Setup, both_sides};
use std::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    web: &'static str,
    mail: &'static str,
}

impl Place {
    /// What a command makes of it, as heartbeat's manual says.
    fn after(self, command: &str, node: &'static str, set: &str) -> Self {
        let other = if node == PRIMARY { SECONDARY } else { PRIMARY };
        // The node that ends up with what the set means.
        let (from, to) = if command == "hb_standby" {
            (node, other)
        } else {
            (other, node)
        };
        let moved = |home: &str, at: &'static str| {
            let wanted = match set {
                "all" => true,
                "local" => home == node,
                _ => home != node,
            };
            if wanted && at == from { to } else { at }
        };
        Self {
            web: moved(PRIMARY, self.web),
            mail: moved(SECONDARY, self.mail),
        }
    }

    fn wanted(self) -> [(&'static str, &'static str); 2] {
        [(self.web, "web"), (self.mail, "mail")]
    }
}

fn play(p: &Pair, rows: &mut Rows, steps: &[(&str, &'static str, &str)]) {
    p.started();
    let watcher = p.watch();
    let mut place = Place {
        web: PRIMARY,
        mail: SECONDARY,
    };
    for (command, node, set) in steps {
        let who = if *node == PRIMARY { "primary" } else { "secondary" };
        let after = place.after(command, node, set);
        assert_ne!(after, place, "{command} {set} on {who} is a step that moves something");
        let begun = Instant::now();
        p.command(node, &[command, set]);
        place = after;
        let took = p.settled(&place.wanted(), begun);
        rows.note(format!("{command} {set} on the {who}"), took);
    }
    p.never_double(&watcher, 0);
}

#[test]
fn hb_standby_with_each_set_on_each_node() {
    both_sides("standby", &Setup::failback("off"), |p, rows| {
        #[rustfmt::skip]
        let steps = [
            ("hb_standby", PRIMARY, "all"),       // web and mail on the secondary
            ("hb_standby", SECONDARY, "foreign"), // home
            ("hb_standby", SECONDARY, "all"),     // all on the primary
            ("hb_standby", PRIMARY, "foreign"),   // home
            ("hb_standby", PRIMARY, "local"),     // all on the secondary
            ("hb_standby", SECONDARY, "local"),   // crossed
            ("hb_standby", SECONDARY, "all"),     // all on the primary
        ];
        play(p, rows, &steps);
    });
}

#[test]
fn hb_takeover_with_each_set_on_each_node() {
    both_sides("takeover", &Setup::failback("off"), |p, rows| {
        #[rustfmt::skip]
        let steps = [
            ("hb_takeover", PRIMARY, "all"),       // all on the primary
            ("hb_takeover", SECONDARY, "local"),   // home
            ("hb_takeover", SECONDARY, "foreign"), // all on the secondary
            ("hb_takeover", PRIMARY, "local"),     // home
            ("hb_takeover", SECONDARY, "all"),     // all on the secondary
            ("hb_takeover", PRIMARY, "foreign"),   // crossed
        ];
        play(p, rows, &steps);
    });
}
