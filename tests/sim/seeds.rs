//! Random plans by the thousand. A seed that failed once has a test of its own.

use ha::sim::plan::Kind;
use ha::sim::{Plan, Sim};
use ha::time::{Duration, Instant};

const HOUR: Instant = Instant::from_millis(3_600_000);
/// After the repair: reload, start, deaths that are still to be noticed, scripts.
const CALM_DOWN: Duration = Duration::from_secs(180);

fn play(seed: u64, nodes: usize, kind: Kind, every: Duration, until: Instant) -> Result<Sim, String> {
    let plan = Plan::random(seed, nodes, kind, every, until);
    let mut sim = Sim::new(seed, plan);
    sim.run_until(until + CALM_DOWN)
        .and_then(|()| sim.check_settled())
        .map_err(|why| format!("{nodes} nodes, {kind:?}: {why}"))?;
    Ok(sim)
}

fn play_many(seeds: std::ops::Range<u64>, nodes: usize, kind: Kind) {
    for seed in seeds {
        if let Err(why) = play(seed, nodes, kind, Duration::from_secs(120), HOUR) {
            panic!("{why}");
        }
    }
}

#[test]
fn two_nodes_and_any_fault() {
    play_many(0..1000, 2, Kind::Anything);
}

#[test]
fn three_nodes_and_any_fault() {
    play_many(0..1000, 3, Kind::Anything);
}

#[test]
fn planned_moves_never_have_two_owners_even_for_a_moment() {
    play_many(0..500, 2, Kind::Planned);
    play_many(0..300, 3, Kind::Planned);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        let run = |seed| {
            let sim = play(
                seed,
                3,
                Kind::Anything,
                Duration::from_secs(60),
                Instant::from_millis(600_000),
            )
            .unwrap();
            (sim.hash(), sim.steps())
        };
        assert_eq!(run(seed), run(seed), "seed {seed}");
        assert_ne!(run(seed), run(seed + 1), "seed {seed}");
    }
}

#[test]
#[ignore = "a tool: plays the seed that the environment names"]
fn one_seed() {
    struct Print;
    impl log::Log for Print {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            eprintln!("{} {}", record.level(), record.args());
        }
        fn flush(&self) {}
    }
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    if env("SIM_LOG") != "" {
        log::set_logger(&Print).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    }
    let kind = match env("SIM_KIND").as_str() {
        "planned" => Kind::Planned,
        _ => Kind::Anything,
    };
    let nodes = env("SIM_NODES").parse().unwrap_or(2);
    let first: u64 = env("SIM_SEED").parse().unwrap_or(0);
    let count: u64 = env("SIM_COUNT").parse().unwrap_or(1);
    let mut bad = 0;
    for seed in first..first + count {
        match play(seed, nodes, kind, Duration::from_secs(120), HOUR) {
            Ok(sim) if count == 1 => eprintln!(
                "seed {seed}: {} steps, hash {:x}\n{}",
                sim.steps(),
                sim.hash(),
                sim.state()
            ),
            Ok(_) => {}
            Err(why) if count == 1 => panic!("{why}"),
            Err(why) => {
                bad += 1;
                eprintln!("{}", why.lines().next().unwrap_or(""));
            }
        }
    }
    assert_eq!(bad, 0, "of {count} seeds");
}
