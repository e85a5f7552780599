//! Short stories with beats of 100 ms, one fault each, and what a user sees.

use ha::groups::Set;
use ha::sim::plan::{Config, PING};
use ha::sim::{Fault, Plan, Sim};
use ha::time::{Duration, Instant};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Runs so long; a broken promise ends the test with the last steps.
fn run(sim: &mut Sim, time: Duration) {
    sim.run_for(time).unwrap_or_else(|why| panic!("{why}"));
}

fn settled(sim: &Sim) {
    sim.check_settled().unwrap_or_else(|why| panic!("{why}"));
}

/// Owners of the groups: 10.0.0.1 and 10.0.0.3 prefer node 0, 10.0.0.2 node 1.
fn owners(sim: &Sim) -> [Vec<usize>; 3] {
    [sim.owners(0), sim.owners(1), sim.owners(2)]
}

fn cut(sim: &mut Sim, a: usize, b: usize) {
    for (from, to) in [(a, b), (b, a)] {
        sim.fault(Fault::Cut { net: None, from, to });
    }
}

fn mend(sim: &mut Sim, a: usize, b: usize) {
    for (from, to) in [(a, b), (b, a)] {
        sim.fault(Fault::Mend { net: None, from, to });
    }
}

fn moves(sim: &Sim) -> Vec<u64> {
    (0..sim.config.nodes).map(|i| sim.acquisitions(i)).collect()
}

/// Both up, every group at home.
fn two(failback: &'static str) -> Sim {
    let mut config = Config::quick(2);
    config.auto_failback = failback;
    with(config)
}

fn with(config: Config) -> Sim {
    let mut sim = Sim::started(1, config);
    run(&mut sim, ms(5000));
    settled(&sim);
    sim
}

#[test]
fn two_nodes_start_together_and_every_group_is_at_home() {
    for failback in ["on", "off", "legacy"] {
        let mut sim = two(failback);
        assert_eq!(owners(&sim), [vec![0], vec![1], vec![0]], "{failback}");
        let before = moves(&sim);
        assert_eq!(before.iter().sum::<u64>(), 3, "{failback}");
        run(&mut sim, Duration::from_secs(600));
        assert_eq!(moves(&sim), before, "{failback}: nothing moves without a reason");
    }
}

#[test]
fn both_are_served_within_two_seconds_of_a_common_start() {
    let mut sim = Sim::started(1, Config::quick(2));
    run(&mut sim, ms(2000));
    settled(&sim);
}

#[test]
fn a_lone_node_serves_all_after_initdead_and_gives_back_only_with_failback_on() {
    for (failback, home) in [
        ("on", [vec![0], vec![1], vec![0]]),
        ("off", [vec![0], vec![0], vec![0]]),
    ] {
        let mut config = Config::quick(2);
        config.auto_failback = failback;
        config.strict = true;
        let mut sim = Sim::new(1, Plan::new(config, Vec::new()));
        sim.fault(Fault::Start(0));
        run(&mut sim, ms(1900));
        assert_eq!(owners(&sim), [vec![], vec![], vec![]], "{failback}: initdead is 2 s");
        run(&mut sim, ms(1500));
        settled(&sim);
        assert_eq!(owners(&sim), [vec![0], vec![0], vec![0]], "{failback}");
        sim.fault(Fault::Start(1));
        run(&mut sim, ms(5000));
        settled(&sim);
        assert_eq!(owners(&sim), home, "{failback}");
    }
}

#[test]
fn s2_10_a_crash_is_taken_over_after_deadtime_and_not_before() {
    for failback in ["on", "off", "legacy"] {
        let mut sim = two(failback);
        sim.fault(Fault::PowerOff(0));
        run(&mut sim, ms(390));
        assert_eq!(owners(&sim), [vec![], vec![1], vec![]], "{failback}");
        run(&mut sim, ms(800));
        assert_eq!(owners(&sim), [vec![1], vec![1], vec![1]], "{failback}");
        sim.fault(Fault::Start(0));
        run(&mut sim, ms(8000));
        settled(&sim);
        let home = if failback == "off" { 1 } else { 0 };
        assert_eq!(owners(&sim), [vec![home], vec![1], vec![home]], "{failback}");
    }
}

#[test]
fn standby_moves_the_set_it_names_without_a_moment_of_two_owners() {
    let table = [
        (0, Set::ALL, [1, 1, 1]),
        (0, Set::LOCAL, [1, 1, 1]),
        (0, Set::FOREIGN, [0, 1, 0]),
        (1, Set::ALL, [0, 0, 0]),
        (1, Set::LOCAL, [0, 0, 0]),
    ];
    for failback in ["on", "off"] {
        for (node, set, want) in table {
            let mut config = Config::quick(2);
            config.auto_failback = failback;
            config.strict = true;
            let mut sim = with(config);
            sim.fault(Fault::Standby(node, set));
            run(&mut sim, ms(3000));
            settled(&sim);
            assert_eq!(
                owners(&sim),
                want.map(|n| vec![n]),
                "{failback} {node} {}",
                set.as_str()
            );
        }
    }
}

#[test]
fn takeover_fetches_the_set_it_names() {
    let table = [
        (0, Set::ALL, [0, 0, 0]),
        (1, Set::FOREIGN, [1, 1, 1]),
        (1, Set::LOCAL, [0, 1, 0]),
    ];
    for (node, set, want) in table {
        let mut config = Config::quick(2);
        config.strict = true;
        let mut sim = with(config);
        sim.fault(Fault::Takeover(node, set));
        run(&mut sim, ms(3000));
        settled(&sim);
        assert_eq!(owners(&sim), want.map(|n| vec![n]), "{node} {}", set.as_str());
    }
}

#[test]
fn s2_08_an_orderly_stop_hands_everything_over_at_once() {
    let mut config = Config::quick(2);
    config.strict = true;
    let mut sim = with(config);
    sim.fault(Fault::Stop(0));
    // Scripts take up to 80 ms each, three resources of the longest group are stopped and started; no deadtime in it.
    run(&mut sim, ms(1000));
    assert_eq!(owners(&sim), [vec![1], vec![1], vec![1]]);
    assert!(sim.daemon(0).is_none(), "it has stopped");
    sim.fault(Fault::Stop(1));
    run(&mut sim, ms(3000));
    assert_eq!(owners(&sim), [vec![], vec![], vec![]]);
    assert!(sim.daemon(1).is_none(), "it has stopped");
}

#[test]
fn s4_02_a_healed_partition_costs_only_the_loser_its_groups() {
    for failback in ["on", "off"] {
        let mut sim = two(failback);
        cut(&mut sim, 0, 1);
        run(&mut sim, ms(3000));
        assert_eq!(
            owners(&sim),
            [vec![0, 1], vec![0, 1], vec![0, 1]],
            "{failback}: each side serves all"
        );
        let before = moves(&sim);
        mend(&mut sim, 0, 1);
        // One deadtime, and the scripts that stop three resources.
        run(&mut sim, ms(500 + 3 * 80));
        assert_eq!(owners(&sim), [vec![0], vec![1], vec![0]], "{failback}");
        run(&mut sim, ms(3000));
        settled(&sim);
        assert_eq!(moves(&sim), before, "{failback}: nothing was started again");
    }
}

#[test]
fn two_halves_find_each_other_long_before_the_next_beat() {
    for phase in (0..2000).step_by(250) {
        let mut sim = with(Config {
            keepalive: ms(2000),
            deadtime: ms(10_000),
            initdead: ms(20_000),
            ..Config::quick(2)
        });
        cut(&mut sim, 0, 1);
        run(&mut sim, ms(20_000 + phase));
        assert_eq!(
            owners(&sim),
            [vec![0, 1], vec![0, 1], vec![0, 1]],
            "{phase}: each side serves all"
        );
        mend(&mut sim, 0, 1);
        // A tenth of keepalive, what the network takes, and the scripts that stop three resources.
        run(&mut sim, ms(200 + 50 + 3 * 80));
        assert_eq!(owners(&sim), [vec![0], vec![1], vec![0]], "{phase}");
    }
}

#[test]
fn one_way_cuts_end_in_one_owner() {
    for (from, to) in [(0, 1), (1, 0)] {
        let mut sim = two("on");
        sim.fault(Fault::Cut { net: None, from, to });
        run(&mut sim, ms(5000));
        sim.fault(Fault::Mend { net: None, from, to });
        run(&mut sim, ms(5000));
        settled(&sim);
        assert_eq!(owners(&sim), [vec![0], vec![1], vec![0]], "{from} to {to}");
    }
}

#[test]
fn a_frozen_node_that_wakes_lets_go_of_what_was_taken_over() {
    for failback in ["on", "off"] {
        for long in [300, 600, 3000, 60_000] {
            let mut sim = two(failback);
            sim.fault(Fault::Freeze(0));
            run(&mut sim, ms(long));
            sim.fault(Fault::Thaw(0));
            run(&mut sim, ms(5000));
            settled(&sim);
        }
    }
}

#[test]
fn a_daemon_that_dies_and_comes_back_in_time_moves_nothing() {
    for failback in ["on", "off", "legacy"] {
        let mut config = Config::quick(2);
        config.auto_failback = failback;
        config.strict = true;
        let mut sim = with(config);
        sim.fault(Fault::DaemonDies {
            node: 0,
            back_after: ms(10),
        });
        run(&mut sim, ms(5000));
        settled(&sim);
        assert_eq!(owners(&sim), [vec![0], vec![1], vec![0]], "{failback}");
    }
}

/// Its master was killed while all of them were stopped, and its heir, stopped too, goes on much later.
#[test]
fn a_daemon_that_comes_back_late_serves_nothing_that_was_taken_over() {
    for failback in ["on", "off"] {
        for long in [700, 3000, 60_000] {
            let mut sim = two(failback);
            sim.fault(Fault::Freeze(0));
            run(&mut sim, ms(100));
            sim.fault(Fault::DaemonDies {
                node: 0,
                back_after: ms(long - 100),
            });
            run(&mut sim, ms(long - 99));
            for step in 0..1000 {
                let owners = owners(&sim);
                let both = owners.iter().any(|o| o.len() > 1);
                let why = sim.check_settled();
                assert!(
                    !both,
                    "{failback}, {long} ms: {owners:?} {step} ms after it came back: {why:?}"
                );
                run(&mut sim, ms(1));
            }
            run(&mut sim, ms(4000));
            settled(&sim);
            // Nobody to hear: it goes on with what it had.
            let mut sim = two(failback);
            sim.fault(Fault::PowerOff(1));
            run(&mut sim, ms(5000));
            sim.fault(Fault::DaemonDies {
                node: 0,
                back_after: ms(long),
            });
            run(&mut sim, ms(long + 5000));
            assert_eq!(owners(&sim), [vec![0], vec![0], vec![0]], "{failback}, {long} ms");
        }
    }
}

#[test]
fn a_group_that_cannot_be_started_is_tried_elsewhere_and_not_for_ever() {
    let mut sim = two("on");
    sim.fault(Fault::Stop(1));
    run(&mut sim, ms(2000));
    sim.fault(Fault::Scripts {
        start_fails: 1000,
        stop_fails: 0,
    });
    sim.fault(Fault::Start(1));
    run(&mut sim, Duration::from_secs(600));
    let tried = sim.starts();
    run(&mut sim, Duration::from_secs(3600));
    assert_eq!(sim.starts(), tried, "it has given up");
    sim.fault(Fault::Repair);
    run(&mut sim, Duration::from_secs(120));
    settled(&sim);
}

#[test]
fn both_give_standby_at_the_same_instant() {
    for sets in [[Set::ALL, Set::ALL], [Set::LOCAL, Set::LOCAL], [Set::LOCAL, Set::ALL]] {
        let mut config = Config::quick(2);
        config.strict = true;
        let mut sim = with(config);
        sim.fault(Fault::Standby(0, sets[0]));
        sim.fault(Fault::Standby(1, sets[1]));
        run(&mut sim, ms(10_000));
        settled(&sim);
    }
}

#[test]
fn giver_or_taker_dies_at_any_moment_of_a_handover() {
    for victim in [0, 1] {
        for after in (0..700).step_by(7) {
            for how in 0..3 {
                let mut sim = two("off");
                sim.fault(Fault::Standby(0, Set::ALL));
                run(&mut sim, ms(after));
                sim.fault(match how {
                    0 => Fault::PowerOff(victim),
                    1 => Fault::Stop(victim),
                    _ => Fault::DaemonDies {
                        node: victim,
                        back_after: ms(20),
                    },
                });
                run(&mut sim, ms(3000));
                if how < 2 {
                    let other = 1 - victim;
                    assert_eq!(
                        owners(&sim),
                        [[other]; 3].map(Vec::from),
                        "{victim} {how} after {after} ms{}",
                        sim.state()
                    );
                    sim.fault(Fault::Start(victim));
                    run(&mut sim, ms(5000));
                }
                run(&mut sim, ms(15_000));
                settled(&sim);
            }
        }
    }
}

#[test]
fn three_nodes_share_and_survive_the_loss_of_two() {
    let mut config = Config::quick(3);
    config.groups.push((2, &["10.0.0.4"]));
    let mut sim = with(config);
    assert_eq!(sim.owners(3), [2]);
    sim.fault(Fault::PowerOff(2));
    run(&mut sim, ms(3000));
    settled(&sim);
    assert_eq!(sim.owners(3), [0]);
    sim.fault(Fault::PowerOff(0));
    run(&mut sim, ms(3000));
    settled(&sim);
    assert_eq!((owners(&sim), sim.owners(3)), ([vec![1], vec![1], vec![1]], vec![1]));
    sim.fault(Fault::Start(0));
    sim.fault(Fault::Start(2));
    run(&mut sim, ms(10_000));
    settled(&sim);
    assert_eq!((owners(&sim), sim.owners(3)), ([vec![0], vec![1], vec![0]], vec![2]));
}

#[test]
fn seventy_percent_loss_breaks_no_promise() {
    for seed in 0..2 {
        let mut config = Config::slow(2);
        config.nets = 2;
        let mut sim = Sim::started(seed, config);
        sim.fault(Fault::Weather {
            loss: 70,
            repeats: 0,
            delay: ms(1),
            jitter: ms(20),
        });
        sim.run_until(Instant::from_millis(4 * 3_600_000))
            .unwrap_or_else(|why| panic!("{why}"));
        sim.fault(Fault::Repair);
        run(&mut sim, Duration::from_secs(180));
        settled(&sim);
    }
}

#[test]
fn a_ping_node_that_one_node_cannot_reach_is_dead_to_it_alone_and_moves_nothing() {
    let mut config = Config::quick(2);
    config.nets = 2;
    config.ping = true;
    let mut sim = with(config);
    let seen = |sim: &Sim, status: &str| sim.state().matches(&format!("{PING} {status}")).count();
    assert_eq!((seen(&sim, "ping"), seen(&sim, "dead")), (2, 0));
    let before = moves(&sim);
    sim.fault(Fault::MediumBreaks { net: 0, node: 1 });
    run(&mut sim, ms(2000));
    settled(&sim);
    assert_eq!((seen(&sim, "ping"), seen(&sim, "dead")), (1, 1));
    sim.fault(Fault::MediumMends { net: 0, node: 1 });
    run(&mut sim, ms(2000));
    settled(&sim);
    assert_eq!((seen(&sim, "ping"), seen(&sim, "dead")), (2, 0));
    assert_eq!(moves(&sim), before);
}

fn sick(sim: &mut Sim, node: usize, restarts: u32) {
    sim.fault(Fault::Sick {
        node,
        group: 0,
        restarts,
    });
    run(sim, ms(3000));
    settled(sim);
}

fn restarts(sim: &Sim, node: usize) -> u64 {
    sim.counter(node, "restarts")
}

#[test]
fn s4_01_a_sick_group_is_restarted_in_place_then_moves_once_and_does_not_come_back() {
    for failback in ["on", "off", "legacy"] {
        let mut sim = two(failback);
        let before = moves(&sim);
        for n in 1..=2 {
            sick(&mut sim, 0, 2);
            assert_eq!(
                (owners(&sim), restarts(&sim, 0)),
                ([vec![0], vec![1], vec![0]], n),
                "{failback}"
            );
        }
        assert_eq!(moves(&sim), before, "{failback}: a restart is no move");
        sick(&mut sim, 0, 2);
        assert_eq!(
            owners(&sim),
            [vec![1], vec![1], vec![0]],
            "{failback}: this group, and no other"
        );
        // It fails on the other one too: there is nobody left, so it stays.
        for _ in 0..3 {
            sick(&mut sim, 1, 0);
            assert_eq!(owners(&sim), [vec![1], vec![1], vec![0]], "{failback}");
        }
        // The first one is forgiven in time, and nothing moves for that.
        run(&mut sim, Duration::from_secs(600));
        settled(&sim);
        assert_eq!(owners(&sim), [vec![1], vec![1], vec![0]], "{failback}");
        sick(&mut sim, 1, 0);
        assert_eq!(owners(&sim), [vec![0], vec![1], vec![0]], "{failback}");
    }
}

#[test]
fn s4_01_a_sick_group_whose_other_node_is_away_is_served_as_well_as_it_can_be() {
    let mut sim = two("on");
    sim.fault(Fault::PowerOff(1));
    run(&mut sim, ms(3000));
    for _ in 0..3 {
        sick(&mut sim, 0, 1);
        assert_eq!((owners(&sim), restarts(&sim, 0)), ([vec![0], vec![0], vec![0]], 1));
    }
    // The budget is full again after its time.
    run(&mut sim, Duration::from_secs(600));
    sick(&mut sim, 0, 1);
    assert_eq!((owners(&sim), restarts(&sim, 0)), ([vec![0], vec![0], vec![0]], 2));
}
