//! How long nobody answers for the address when something happens, at two paces.

use crate::lanes::{BOUND, Bench, REST, Seen, calm, seen};
use crate::programs::{ADDRESS, Kind, NODES, Pace, Pair, Program, fastest};
use ha::lab::Watcher;
use std::io;
use std::thread::sleep;
use std::time::Instant;

const SECTION: &str = "Gaps";
const TWO: &str = "Two owners in these gaps";

pub fn run(bench: &Bench) {
    let kinds: Vec<Kind> = Program::ALL
        .into_iter()
        .flat_map(|program| [Pace::of(1000), fastest(program)].map(|pace| (program, pace)))
        .map(|(program, pace)| Kind {
            program,
            pace,
            media: 1,
        })
        .collect();
    bench.lanes(SECTION, &kinds, bench.runs, |pair| round(bench, pair));
    start(bench);
}

fn round(bench: &Bench, pair: &Pair) -> Result<(), String> {
    let program = pair.kind.program;
    let pace = if pair.kind.pace.dead == 1000 { "1 s" } else { "fastest" };
    let note = |what: &str, seen: Seen| {
        bench
            .results
            .add(SECTION, &format!("{what}, {pace}"), "ms", program, seen.gap);
        // Who takes the address before the other one has let it go shows no gap, but this.
        let row = format!("{what}, {pace}");
        bench.results.add(TWO, &row, "ms", program, seen.two);
    };
    note(
        "planned move",
        event(bench, pair, "planned move", NODES[1], Pair::give)?,
    );
    // ucarp comes back after 3 s, whoever wants it or not.
    event(bench, pair, "move back", NODES[0], Pair::take)?;
    calm(pair)?;
    note(
        "orderly stop",
        event(bench, pair, "orderly stop", NODES[1], |p| p.stop(NODES[0]))?,
    );
    event(bench, pair, "return after it", NODES[0], |p| p.start(NODES[0]))?;
    calm(pair)?;
    let crash = |p: &Pair| p.lab.power_off(NODES[0]);
    bench.phases.wait(pair.kind, "crash");
    note("crash", event(bench, pair, "crash", NODES[1], crash)?);
    note(
        "failback",
        event(bench, pair, "failback", NODES[0], |p| p.start(NODES[0]))?,
    );
    calm(pair)
}

/// Does something after which `node` has the address, and returns what the client saw from then on.
pub fn event(
    bench: &Bench,
    pair: &Pair,
    what: &str,
    node: &str,
    event: impl FnOnce(&Pair) -> io::Result<()>,
) -> Result<Seen, String> {
    sleep(REST);
    bench.slots.during(|| moved(pair, what, node, event))
}

/// The same of what takes seconds by itself, so that it needs no slot.
pub fn moved(pair: &Pair, what: &str, node: &str, event: impl FnOnce(&Pair) -> io::Result<()>) -> Result<Seen, String> {
    let named = |e: io::Error| format!("{what}: {e}");
    let watch = pair.lab.watch(ADDRESS).map_err(named)?;
    let since = Watcher::now();
    event(pair).map_err(named)?;
    if !watch.wait_for_owner(node, since, BOUND) {
        return Err(format!(
            "{what}: {node} did not get the address; it is at {:?}",
            watch.owners()
        ));
    }
    Ok(seen(&watch, since))
}

/// A node that is alone, from the command to the first answer, and from the command until it has returned.
fn start(bench: &Bench) {
    for run in 1..=bench.runs {
        for program in Program::ALL {
            let kind = Kind {
                program,
                pace: Pace::of(1000),
                media: 1,
            };
            if Instant::now() >= bench.end {
                bench
                    .results
                    .failed(&format!("start, {program}: run {run} left out, the time was over"));
            } else if let Err(why) = started(bench, kind) {
                bench.results.failed(&format!("start, {program}: run {run}: {why}"));
            }
        }
        eprintln!("start: run {run} of {}", bench.runs);
    }
}

fn started(bench: &Bench, kind: Kind) -> io::Result<()> {
    let pair = Pair::make(&bench.place, kind)?;
    let (took, ready) = first_answer(&pair)?;
    let add = |row: &str, value: f64| bench.results.add("Start", row, "ms", kind.program, value);
    add("command to address, a lone node that waits 1 s for the other", took);
    if kind.program != Program::Ucarp {
        add("command until it returns", ready);
    }
    Ok(())
}

/// Starts the first node: milliseconds from the command to the first answer, and until the command has returned.
pub fn first_answer(pair: &Pair) -> io::Result<(f64, f64)> {
    let watch = pair.lab.watch(ADDRESS)?;
    // What entering a node costs is not the program's.
    let begun = Instant::now();
    pair.shell(NODES[0], ":")?;
    let entering = begun.elapsed();
    let since = Watcher::now();
    let begun = Instant::now();
    pair.start(NODES[0])?;
    let ready = begun.elapsed().saturating_sub(entering).as_secs_f64() * 1000.0;
    if !watch.wait_for_owner(NODES[0], since, BOUND) {
        return Err(io::Error::other(format!("no address\n{}", pair.logs())));
    }
    watch.settle();
    let timeline = watch.timeline();
    let first = timeline.spans().iter().find(|s| s.from > since && !s.owners.is_empty());
    let took = first.map_or(0.0, |s| (s.from - since) as f64 / 1000.0);
    Ok((took, ready))
}
