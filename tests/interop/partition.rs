//! Nodes that do not hear each other.

use crate::bed::{PRIMARY, SECONDARY, Setup, both_sides};
use std::time::Instant;

const HOME: [(&str, &str); 2] = [(PRIMARY, "web"), (SECONDARY, "mail")];

#[test]
fn after_a_partition_there_is_exactly_one_owner() {
    // That is what a partition is, and two of the classic say it too.
    let setup = Setup {
        known: &[
            "Both machines own our resources!",
            "Both machines own foreign resources!",
        ],
        ..Setup::default()
    };
    both_sides("partition", &setup, |p, rows| {
        p.started();
        p.grown_up();
        let begun = Instant::now();
        p.lab.cut(PRIMARY, SECONDARY).expect("cut");
        p.wait("both have all", || p.running().len() == 4);
        rows.note("partition: both have everything", begun.elapsed());
        let begun = Instant::now();
        p.lab.heal().expect("healed");
        p.wait("each group has one owner", || {
            let running = p.running();
            running.len() == 2 && ["web", "mail"].iter().all(|s| running.iter().any(|(_, r)| r == s))
        });
        rows.note("healed: nothing runs twice", begun.elapsed());
        p.wait("everything is at home", || {
            let mut running = p.running();
            running.sort_unstable();
            running == HOME && p.rscstatus(PRIMARY) == "local" && p.rscstatus(SECONDARY) == "local"
        });
        rows.note("healed: everything at home and calm", begun.elapsed());
        // The classic still restarts itself some seconds later.
        p.wait_log(p.theirs, "returning after partition");
    });
}
