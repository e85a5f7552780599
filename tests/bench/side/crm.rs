//! Our crm beside Pacemaker: how long nobody answers for an address that the resource manager keeps alive, how long two do
//! after a partition, and what a node costs.

use crate::cost::{SETTLED, sample};
use crate::gaps::{event, first_answer, moved};
use crate::lanes::{BOUND, Bench};
use crate::programs::{ADDRESS, Kind, NODES, Pace, Pair, Program};
use ha::lab::Watcher;
use std::io;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

pub const SECTION: &str = "Resource manager";
pub const MOVE: &str = "gap: planned move";
pub const STOP: &str = "gap: orderly stop";
pub const CRASH: &str = "gap: crash";
pub const FAILBACK: &str = "gap: failback";
pub const HEALED: &str = "two owners after a partition has healed";
pub const START: &str = "start: command to address, a lone node that waits 1 s for the other";
pub const PROCESSES: &str = "processes";
pub const PSS: &str = "PSS";

/// A token of 1 s, and the consensus that goes with it.
const TOKEN_OF_A_SECOND: Pace = Pace { beat: 0, dead: 2200 };
/// Both serve for so long; what counts is how long they still do when they hear each other again.
const APART: Duration = Duration::from_secs(2);
/// After a partition has healed, it is watched so long.
const WATCHED: Duration = Duration::from_secs(8);

fn kind(program: Program) -> Kind {
    Kind {
        program,
        pace: Pace::of(1000),
        media: 1,
    }
}

pub fn run(bench: &Bench) {
    // Alone on the machine: pages that several share would be divided among them.
    for program in Program::MANAGERS {
        if let Err(e) = started(bench, kind(program), true) {
            bench
                .results
                .failed(&format!("{SECTION}, {program}: start and memory: {e}"));
        }
    }
    let slow = Kind {
        pace: TOKEN_OF_A_SECOND,
        ..kind(Program::Pacemaker)
    };
    // A round with Pacemaker takes twice as long as one with ours.
    let lane_of = |programs: &[Program]| programs.iter().copied().map(kind).collect::<Vec<_>>();
    let (ours, theirs) = (lane_of(&Program::MANAGERS[..2]), lane_of(&Program::MANAGERS[2..]));
    let all = lane_of(&Program::MANAGERS);
    thread::scope(|scope| {
        for (kinds, runs) in [
            (&ours, bench.runs),
            (&theirs, bench.runs.div_ceil(2)),
            (&theirs, bench.runs / 2),
        ] {
            scope.spawn(move || bench.lanes(SECTION, kinds, runs, |pair| round(bench, pair)));
        }
        scope.spawn(|| bench.lanes("partition", &all, bench.runs, |pair| partition(bench, pair)));
        scope.spawn(|| {
            bench.lanes("token of 1 s", &[slow], bench.runs, |pair| {
                crash(bench, pair, ", token of 1 s")
            })
        });
        scope.spawn(|| starts(bench));
    });
}

fn add(bench: &Bench, pair: &Pair, row: &str, unit: &'static str, value: f64) {
    bench.results.add(SECTION, row, unit, pair.kind.program, value);
}

fn round(bench: &Bench, pair: &Pair) -> Result<(), String> {
    let seen = event(bench, pair, "planned move", NODES[1], Pair::give)?;
    add(bench, pair, MOVE, "ms", seen.gap);
    idle(pair)?;
    event(bench, pair, "move back", NODES[0], Pair::take)?;
    idle(pair)?;
    let seen = event(bench, pair, "orderly stop", NODES[1], |p| p.stop(NODES[0]))?;
    add(bench, pair, STOP, "ms", seen.gap);
    moved(pair, "return after it", NODES[0], |p| p.start(NODES[0]))?;
    idle(pair)?;
    crash(bench, pair, "")
}

fn crash(bench: &Bench, pair: &Pair, setting: &str) -> Result<(), String> {
    let power_off = |p: &Pair| p.lab.power_off(NODES[0]);
    bench.phases.wait(pair.kind, "crash");
    let seen = event(bench, pair, "crash", NODES[1], power_off)?;
    add(bench, pair, &format!("{CRASH}{setting}"), "ms", seen.gap);
    let seen = event(bench, pair, "failback", NODES[0], |p| p.start(NODES[0]))?;
    if setting.is_empty() {
        add(bench, pair, FAILBACK, "ms", seen.gap);
    }
    idle(pair)
}

fn partition(bench: &Bench, pair: &Pair) -> Result<(), String> {
    let named = |e: io::Error| e.to_string();
    let lab = &pair.lab;
    let watch = lab.watch(ADDRESS).map_err(named)?;
    lab.cut(NODES[0], NODES[1]).map_err(named)?;
    lab.wait_for("both have the address", BOUND, || watch.owners().len() == 2)?;
    sleep(APART);
    bench.phases.wait(pair.kind, "partition");
    let since = Watcher::now();
    lab.heal().map_err(named)?;
    sleep(WATCHED);
    if !watch.wait_for_owner(NODES[0], since, BOUND) {
        return Err(format!("partition: the address is at {:?}, not back", watch.owners()));
    }
    idle(pair)?;
    watch.settle();
    add(
        bench,
        pair,
        HEALED,
        "ms",
        watch.timeline().double_time(since) as f64 / 1000.0,
    );
    let gap = watch.longest_gap(since).map_or(0.0, |g| g.millis());
    add(bench, pair, "gap: a partition has healed", "ms", gap);
    Ok(())
}

/// What follows rests by itself.
fn idle(pair: &Pair) -> Result<(), String> {
    pair.lab
        .wait_for("the cluster has nothing to do", BOUND, || pair.knows_peer())
        .map(drop)
}

/// The first of them is measured with the memory. One after another and in no slot: a start takes seconds, most of them waiting.
fn starts(bench: &Bench) {
    for run in 2..=bench.runs {
        for program in Program::MANAGERS {
            let what = format!("{SECTION}, {program}: start {run}");
            if Instant::now() >= bench.end {
                bench.results.failed(&format!("{what} left out, the time was over"));
            } else if let Err(e) = started(bench, kind(program), false) {
                bench.results.failed(&format!("{what}: {e}"));
            }
        }
    }
}

fn started(bench: &Bench, kind: Kind, with_memory: bool) -> io::Result<()> {
    let pair = Pair::make(&bench.place, kind)?;
    let (took, _) = first_answer(&pair)?;
    add(bench, &pair, START, "ms", took);
    if with_memory {
        sleep(SETTLED);
        let all = sample(&pair)?;
        add(bench, &pair, PROCESSES, "count", all.len() as f64);
        add(bench, &pair, PSS, "kB", all.iter().map(|p| p.pss).sum::<u64>() as f64);
    }
    Ok(())
}
