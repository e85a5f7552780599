//! The address of a node that does nothing any more, and of one that wakes up, with beats of 2 s and a deadtime of 10 s.

use ha::sim::plan::Config;
use ha::sim::{Fault, Sim};
use ha::time::Duration;

/// So often is looked at who has the address.
const LOOK: Duration = Duration::from_millis(10);

fn started(seed: u64, nodes: usize, failback: &'static str) -> Sim {
    let mut config = Config::slow(nodes);
    config.auto_failback = failback;
    let mut sim = Sim::started(seed, config);
    run(
        &mut sim,
        Duration::from_secs(60) + Duration::from_millis(seed * 137 % 2000),
    );
    sim.check_settled().unwrap_or_else(|why| panic!("{why}"));
    sim
}

fn run(sim: &mut Sim, time: Duration) {
    sim.run_for(time).unwrap_or_else(|why| panic!("{why}"));
}

/// Plays so long and gives the time in which the first group's address was on more than one node.
fn doubled(sim: &mut Sim, time: Duration) -> Duration {
    let end = sim.now() + time;
    let mut doubled = Duration::ZERO;
    while sim.now() < end {
        run(sim, LOOK);
        if sim.owners(0).len() > 1 {
            doubled += LOOK;
        }
    }
    doubled
}

#[test]
fn s2_10_all_processes_are_killed_and_the_kernel_drops_the_address_before_the_other_node_has_it() {
    for nodes in [2, 3] {
        for seed in 0..40 {
            let mut sim = started(seed, nodes, "on");
            let back_after = Duration::from_secs(1_000_000);
            sim.fault(Fault::DaemonDies { node: 0, back_after });
            let both = doubled(&mut sim, Duration::from_secs(20));
            assert_eq!(both, Duration::ZERO, "{}", sim.report("two had the address"));
            assert_eq!(sim.owners(0).len(), 1, "{}", sim.report("one has it"));
            assert_ne!(sim.owners(0), [0]);
        }
    }
}

#[test]
fn a_node_that_wakes_up_has_no_address_before_it_knows_what_the_others_have() {
    for (failback, home) in [("on", 0), ("off", 1)] {
        for seed in 0..40 {
            let mut sim = started(seed, 2, failback);
            sim.fault(Fault::Freeze(0));
            run(&mut sim, Duration::from_secs(30));
            assert_eq!(sim.owners(0), [1], "the other one has taken over");
            sim.fault(Fault::Thaw(0));
            let both = doubled(&mut sim, Duration::from_secs(30));
            assert_eq!(both, Duration::ZERO, "{}", sim.report("two had the address"));
            sim.check_settled().unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(sim.owners(0), [home], "auto_failback {failback}");
        }
    }
}

#[test]
fn all_nodes_stop_for_a_while_and_each_goes_on_with_its_own() {
    for seed in 0..20 {
        let mut sim = started(seed, 2, "off");
        let before = [sim.owners(0), sim.owners(1), sim.owners(2)];
        for node in [0, 1] {
            sim.fault(Fault::Freeze(node));
        }
        run(&mut sim, Duration::from_secs(30));
        for node in [0, 1] {
            sim.fault(Fault::Thaw(node));
        }
        let both = doubled(&mut sim, Duration::from_secs(30));
        assert_eq!(both, Duration::ZERO, "{}", sim.report("two had the address"));
        sim.check_settled().unwrap_or_else(|why| panic!("{why}"));
        assert_eq!([sim.owners(0), sim.owners(1), sim.owners(2)], before);
        assert_eq!(
            sim.acquisitions(0) + sim.acquisitions(1),
            3,
            "nothing was acquired anew"
        );
    }
}

#[test]
fn a_node_that_wakes_up_alone_serves_again_after_one_deadtime() {
    let mut sim = started(3, 2, "on");
    sim.fault(Fault::PowerOff(1));
    run(&mut sim, Duration::from_secs(60));
    assert_eq!(sim.owners(1), [0]);
    sim.fault(Fault::Freeze(0));
    run(&mut sim, Duration::from_secs(30));
    assert_eq!(sim.owners(0), [0usize; 0], "the lease has ended");
    sim.fault(Fault::Thaw(0));
    run(&mut sim, Duration::from_millis(9_900));
    assert_eq!(sim.owners(0), [0usize; 0], "the other one may still be there");
    run(&mut sim, Duration::from_millis(1_000));
    assert_eq!(sim.owners(0), [0]);
}
