//! The model of heartbeat 3.0.6 (`ha::sim`, `classic`): beside itself it does what two real nodes of it were measured to
//! do, and beside ours what one real node did in `tests/interop`.

use ha::groups::Set;
use ha::sim::plan::Config;
use ha::sim::{Fault, Sim};
use ha::time::{Duration, Instant};

/// As the real ones were measured: beats of a second, one group on the first node; the second one has one too.
fn config(classic: &'static [usize], auto_failback: &'static str) -> Config {
    Config {
        keepalive: Duration::from_secs(1),
        deadtime: Duration::from_secs(5),
        initdead: Duration::from_secs(10),
        groups: vec![(0, &["10.0.0.1"]), (1, &["10.0.0.2"])],
        script: (Duration::from_millis(30), Duration::from_millis(60)),
        auto_failback,
        classic,
        ..Config::quick(2)
    }
}

fn run(sim: &mut Sim, time: Duration) {
    sim.run_for(time).unwrap_or_else(|why| panic!("{why}"));
}

/// Seconds from now until the two groups are at exactly these nodes.
fn until(sim: &mut Sim, what: &str, owners: [&[usize]; 2]) -> f64 {
    let begun = sim.now();
    while [sim.owners(0), sim.owners(1)] != owners {
        run(sim, Duration::from_millis(50));
        assert!(sim.now() < begun + Duration::from_secs(120), "{}", sim.report(what));
    }
    (sim.now() - begun).as_secs_f64()
}

const HOME: [&[usize]; 2] = [&[0], &[1]];

fn between(what: &str, took: f64, least: f64, most: f64) {
    assert!((least..=most).contains(&took), "{what}: {took} s");
}

#[test]
fn two_of_the_model_take_as_long_as_two_of_the_classic() {
    let sim = &mut Sim::new(3, ha::sim::Plan::new(config(&[0, 1], "on"), Vec::new()));
    // Alone: 11.0 to 11.2 s.
    sim.fault(Fault::Start(0));
    between("alone", until(sim, "alone", [&[0], &[0]]), 10.0, 12.0);
    run(sim, Duration::from_secs(15));
    // Joined, and its own given back: 2.8 to 4.1 s.
    sim.fault(Fault::Start(1));
    between("joined", until(sim, "joined", HOME), 1.0, 6.0);
    run(sim, Duration::from_secs(15));
    // hb_standby: 1.1 to 1.6 s.
    sim.fault(Fault::Standby(0, Set::ALL));
    between("standby", until(sim, "standby", [&[1], &[1]]), 0.5, 3.0);
    run(sim, Duration::from_secs(5));
    sim.fault(Fault::Takeover(0, Set::ALL));
    between("takeover", until(sim, "takeover", [&[0], &[0]]), 0.5, 4.0);
    sim.fault(Fault::Takeover(1, Set::LOCAL));
    run(sim, Duration::from_secs(5));
    sim.fault(Fault::Takeover(1, Set::LOCAL));
    until(sim, "home", HOME);
    run(sim, Duration::from_secs(5));
    // A stop: about 3 s, and the other one has all after 0.6 s; then it comes back.
    sim.fault(Fault::Stop(0));
    between("stop", until(sim, "stop", [&[1], &[1]]), 0.1, 2.0);
    run(sim, Duration::from_secs(15));
    sim.fault(Fault::Start(0));
    between("back", until(sim, "back", HOME), 1.0, 6.0);
    run(sim, Duration::from_secs(15));
    // A crash: deadtime.
    sim.fault(Fault::PowerOff(0));
    between("crash", until(sim, "crash", [&[1], &[1]]), 4.0, 7.0);
    sim.fault(Fault::Start(0));
    until(sim, "after the crash", HOME);
    run(sim, Duration::from_secs(5));
    sim.check_settled().unwrap_or_else(|why| panic!("{why}"));
    // A partition: both have all; healed, both give up within 3.3 s, and 23 s pass until the address is up again.
    for (from, to) in [(0, 1), (1, 0)] {
        sim.fault(Fault::Cut { net: None, from, to });
    }
    until(sim, "partition", [&[0, 1], &[0, 1]]);
    run(sim, Duration::from_secs(20));
    for (from, to) in [(0, 1), (1, 0)] {
        sim.fault(Fault::Mend { net: None, from, to });
    }
    let single = until(sim, "given up", [&[], &[]]);
    let home = single + until(sim, "home again", HOME);
    between("given up", single, 2.0, 4.0);
    between("home again", home, 19.0, 27.0);
}

#[test]
fn two_that_start_at_once_wait_for_each_other() {
    for mode in ["on", "off"] {
        let mut sim = Sim::started(5, config(&[0, 1], mode));
        // 12.2 to 12.8 s.
        between(mode, until(&mut sim, mode, HOME), 10.0, 14.0);
    }
}

/// A defect of it that ours makes good (`what_a_rebooted_classic_forgets_runs_on_ours` in `tests/interop`).
#[test]
fn what_a_classic_forgets_stays_down_beside_another_and_runs_beside_ours() {
    for (classic, owners) in [(&[0, 1][..], [&[0][..], &[]]), (&[0], [&[0], &[1]])] {
        let all_there = Config {
            deadtime: Duration::from_secs(20),
            initdead: Duration::from_secs(20),
            ..config(if classic.len() == 2 { &[0, 1] } else { &[0] }, "off")
        };
        let mut sim = Sim::started(7, all_there);
        until(&mut sim, "start", HOME);
        run(&mut sim, Duration::from_secs(20));
        sim.fault(Fault::Standby(1, Set::ALL));
        until(&mut sim, "all there", [&[0], &[0]]);
        run(&mut sim, Duration::from_secs(5));
        sim.fault(Fault::PowerOff(0));
        run(&mut sim, Duration::from_millis(500));
        sim.fault(Fault::Start(0));
        run(&mut sim, Duration::from_secs(30));
        assert_eq!([sim.owners(0), sim.owners(1)], owners, "{}", sim.state());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_beside_a_classic() {
    let play = |seed| {
        let mut sim = Sim::started(seed, config(&[1], "on"));
        sim.at(Instant::from_millis(30_000), Fault::PowerOff(1));
        sim.at(Instant::from_millis(45_000), Fault::Start(1));
        run(&mut sim, Duration::from_secs(90));
        (sim.hash(), sim.steps())
    };
    assert_eq!(play(1), play(1));
    assert_ne!(play(1), play(2));
}
