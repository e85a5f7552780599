//! Another key while both run.

use crate::bed::{PRIMARY, SECONDARY, Setup, both_sides};
use std::thread;
use std::time::{Duration, Instant};

/// What the classic writes about a message that was signed with the other key in between, and the message itself, field
/// by field: two of the classic write it about each other (seen with both).
const OTHER_KEY: [&str; 4] = [
    "authtoken does not match",
    "netstring authentication failed",
    "MSG: Dumping message",
    "ERROR: MSG[",
];

/// The classic checks everything with its own active key, so both must change within one deadtime: what it drops until
/// then is missed, not more.
#[test]
fn the_key_is_changed_on_both_within_a_deadtime_and_nothing_moves() {
    let setup = Setup {
        deadtime: "5",
        initdead: "6",
        known: &OTHER_KEY,
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
        p.wait_log(p.theirs, "Child rereading authentication file");
        rows.note("another key on both", begun.elapsed());
        // What was under way is through; from here on each reads the other one.
        thread::sleep(Duration::from_secs(1));
        let dropped = || p.log(p.theirs).matches("Dumping message").count();
        let before = dropped();
        p.grown_up();
        assert_eq!(dropped(), before, "{}", p.log(p.theirs));
        p.nothing_moved();
        for (on, node) in [(PRIMARY, SECONDARY), (SECONDARY, PRIMARY)] {
            assert_eq!(p.status(on, node), "active");
            assert!(!p.log(on).contains("is dead"), "{}", p.log(on));
        }
    });
}
