//! What cannot be started where it belongs, and what nobody takes.

use crate::bed::{NETWORK_GONE, PRIMARY, SECONDARY, Setup, both_sides};
use std::fs;
use std::time::Instant;

/// The group of ours fails: the classic is given it, which would never notice by itself.
#[test]
fn a_group_that_fails_on_ours_runs_on_the_classic() {
    both_sides("fails", &Setup::failback("off"), |p, rows| {
        let (mine, other) = if p.ours == PRIMARY {
            ("web", "mail")
        } else {
            ("mail", "web")
        };
        fs::write(p.lab.files(p.ours).state().join(format!("fail-{mine}")), "").expect("written");
        let begun = Instant::now();
        p.start(PRIMARY);
        p.start(SECONDARY);
        let all = [(p.theirs, mine), (p.theirs, other)];
        rows.note(
            "a group cannot be started on ours: the classic has it",
            p.settled(&all, begun),
        );
    });
}

/// The classic has everything, its machine is gone and back before it is missed: it takes back what prefers it, and
/// nobody but us would ever start the rest.
#[test]
fn what_a_rebooted_classic_forgets_runs_on_ours() {
    let setup = Setup {
        deadtime: "20",
        initdead: "20",
        known: &NETWORK_GONE,
        ..Setup::failback("off")
    };
    both_sides("orphan", &setup, |p, rows| {
        p.started();
        p.stop(p.ours);
        let all = [(p.theirs, "web"), (p.theirs, "mail")];
        p.settled(&all, Instant::now());
        p.start(p.ours);
        p.settled(&all, Instant::now());
        p.lab.power_off(p.theirs).expect("off");
        let begun = Instant::now();
        p.start(p.theirs);
        let home = [(PRIMARY, "web"), (SECONDARY, "mail")];
        let took = p.settled(&home, begun);
        assert!(!p.log(p.ours).contains("is dead"), "{}", p.log(p.ours));
        rows.note("the classic's machine is back within deadtime: no orphan", took);
    });
}
