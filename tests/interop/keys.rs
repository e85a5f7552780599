//! Another key while both run.

use crate::bed::{PRIMARY, SECONDARY, Setup, both_sides};
use std::time::Instant;

/// The classic checks everything with its own active key, so both must change within one deadtime: what it drops until
/// then is missed, not more.
#[test]
fn the_key_is_changed_on_both_within_a_deadtime_and_nothing_moves() {
    let setup = Setup {
        deadtime: "5",
        initdead: "6",
        ..Setup::default()
    };
    both_sides("keys", &setup, |p, rows| {
        p.started();
        p.grown_up();
        p.forget_calls();
        let begun = Instant::now();
        // Ours first: it takes messages signed with any key of the file.
        for node in [p.ours, p.theirs] {
            let text = "auth 2\n1 sha1 the-key-of-both\n2 sha1 another-key\n";
            p.lab.write(node, "ha.d/authkeys", text).expect("written");
        }
        for node in [p.ours, p.theirs] {
            p.good(node, &["heartbeat", "-r"]);
        }
        p.grown_up();
        rows.note("another key on both", begun.elapsed());
        p.nothing_moved();
        for (on, node) in [(PRIMARY, SECONDARY), (SECONDARY, PRIMARY)] {
            assert_eq!(p.status(on, node), "active");
            assert!(!p.log(on).contains("is dead"), "{}", p.log(on));
        }
    });
}
