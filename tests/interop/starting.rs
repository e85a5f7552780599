//! Nodes that start: alone, together, after the other one; and that come back after a crash.

use crate::bed::{NETWORK_GONE, PRIMARY, Pair, Rows, SECONDARY, Setup, both_sides};
use ha::lab::Watcher;
use std::time::Instant;

const HOME: [(&str, &str); 2] = [(PRIMARY, "web"), (SECONDARY, "mail")];

#[test]
fn both_start_together_and_each_takes_its_own() {
    both_sides("together", &Setup::default(), |p, rows| {
        let watcher = p.watch();
        rows.note("both start together", p.started());
        watcher.settle();
        assert_eq!(watcher.timeline().owners(0), [PRIMARY]);
        p.never_double(&watcher, 0);
    });
}

fn alone_then_joined(p: &Pair, rows: &mut Rows, after: &[(&'static str, &'static str)], label: &str) {
    let watcher = p.watch();
    let begun = Instant::now();
    p.start(PRIMARY);
    let alone = [(PRIMARY, "web"), (PRIMARY, "mail")];
    rows.note(format!("the primary starts alone{label}"), p.settled(&alone, begun));
    let begun = Instant::now();
    p.start(SECONDARY);
    p.wait("the secondary is active", || p.status(PRIMARY, SECONDARY) == "active");
    rows.note(format!("the secondary joins{label}"), p.settled(after, begun));
    watcher.settle();
    assert_eq!(
        watcher.timeline().owners(0),
        [PRIMARY],
        "the primary's own group never moved"
    );
}

#[test]
fn a_node_starts_alone_and_the_other_joins_and_gets_its_own_back() {
    both_sides("join-on", &Setup::default(), |p, rows| {
        alone_then_joined(p, rows, &HOME, "");
    });
}

#[test]
fn a_node_starts_alone_and_without_failback_keeps_everything() {
    let setup = Setup {
        initdead: "3",
        ..Setup::failback("off")
    };
    both_sides("join-off", &setup, |p, rows| {
        let stays = [(PRIMARY, "web"), (PRIMARY, "mail")];
        alone_then_joined(p, rows, &stays, ", auto_failback off");
    });
}

#[test]
fn a_crashed_node_is_replaced_and_gets_its_own_back_when_it_returns() {
    let setup = Setup {
        known: &NETWORK_GONE,
        ..Setup::default()
    };
    both_sides("crash", &setup, |p, rows| {
        p.started();
        for (node, other) in [(SECONDARY, PRIMARY), (PRIMARY, SECONDARY)] {
            p.grown_up();
            let who = if node == PRIMARY { "primary" } else { "secondary" };
            let begun = Instant::now();
            p.lab.power_off(node).expect("off");
            rows.note(
                format!("the {who} crashes: the other has all"),
                p.settled(&[(other, "web"), (other, "mail")], begun),
            );
            let watcher = p.watch();
            let since = Watcher::now();
            let begun = Instant::now();
            p.start(node);
            rows.note(format!("the {who} returns: its own is back"), p.settled(&HOME, begun));
            p.never_double(&watcher, since);
        }
    });
}
