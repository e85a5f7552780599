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

/// What hb_monitor asks for when a service dies: once it is restarted in place, then the classic is given what has the same
/// home, and keeps it.
#[test]
fn a_service_that_dies_on_ours_is_restarted_and_then_runs_on_the_classic() {
    both_sides("repair", &Setup::failback("off"), |p, rows| {
        p.started();
        let (group, mine, other) = if p.ours == PRIMARY {
            ("group=10.77.0.100", "web", "mail")
        } else {
            ("group=10.77.0.101", "mail", "web")
        };
        let repair = || {
            let words = ["hb_msg", "hb_repair", group, "restarts=1", "info=it does not answer"];
            p.good(p.ours, &words);
        };
        p.forget_calls();
        repair();
        p.wait_log(p.ours, "restarted in place");
        p.settled(&[(p.ours, mine), (p.theirs, other)], Instant::now());
        p.forget_calls();
        let begun = Instant::now();
        repair();
        let all = [(p.theirs, mine), (p.theirs, other)];
        let took = p.settled(&all, begun);
        rows.note("a service dies on ours again and again: the classic has it", took);
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
