//! Long times, and plans that failed once.

use ha::sim::plan::Kind;
use ha::sim::{Fault, Plan, Sim};
use ha::time::{Duration, Instant};

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

/// Thirty days with a fault every few hours, on networks that lose, delay, repeat and disorder packets all the time.
fn a_month(seed: u64, nodes: usize) {
    const MONTH: Instant = Instant::from_millis(30 * 24 * 3_600_000);
    let weather = Fault::Weather {
        loss: 7,
        repeats: 5,
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(20),
    };
    let plan = Plan::random(seed, nodes, Kind::Anything, Duration::from_secs(3 * 3600), MONTH).always(weather);
    let mut sim = Sim::new(seed, plan);
    sim.run_until(MONTH + CALM_DOWN)
        .and_then(|()| sim.check_settled())
        .unwrap_or_else(|why| panic!("{nodes} nodes: {why}"));
}

#[test]
fn a_month_of_two_nodes_on_a_bad_network() {
    a_month(1, 2);
}

#[test]
fn a_month_of_three_nodes_on_a_bad_network() {
    a_month(2, 3);
}

/// Each of these seeds once showed a fault, of the daemon unless it says otherwise; what it was stands beside it.
#[test]
fn seeds_that_once_failed_pass() {
    const SPARSE: Duration = Duration::from_secs(120);
    const HOUR: Instant = Instant::from_millis(3_600_000);
    #[rustfmt::skip]
    let table = [
        (2, Kind::Anything,   9, "a resumed group that lost its conflict was stopped from its first resource only"),
        (2, Kind::Anything,  39, "legacy: the end of the wait for an ip-request kept the timer spinning"),
        (2, Kind::Anything,  73, "hb_takeover in the middle of a move left both nodes in it for an hour"),
        (2, Kind::Anything, 223, "a peer that could not hear us was asked for a hundred numbers four times a second"),
        (2, Kind::Anything, 231, "a group that came back into haresources while being released was forgotten"),
        (3, Kind::Planned,  172, "legacy: the no of one node started a group that a third one had"),
        (3, Kind::Planned,  246, "the giver's last word overtook the taker's first: a third node started the group"),
        (3, Kind::Anything, 190, "a node that woke before it was active kept its timer spinning"),
    ];
    for (nodes, kind, seed, what) in table {
        if let Err(why) = play(seed, nodes, kind, SPARSE, HOUR) {
            panic!("{what}: {why}");
        }
    }
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
