//! How long two nodes answer for the address: while they do not hear each other and after, when all processes of the owner
//! are stopped for a while, and when all are killed. Deadtime 5 s, and the client hears both.

use crate::lanes::{BOUND, Bench, calm};
use crate::programs::{ADDRESS, Kind, NODES, Pace, Pair, Program};
use ha::lab::Watcher;
use std::thread::sleep;
use std::time::Duration;

const SECTION: &str = "Two owners";
const DEAD: u32 = 5000;
/// After what happened, it is watched so long.
const WATCHED: Duration = Duration::from_secs(10);

pub fn run(bench: &Bench) {
    let kind = |program| Kind {
        program,
        pace: Pace::of(DEAD),
        media: 1,
    };
    // Three lanes a program: what is seen here takes seconds, not milliseconds.
    let kinds: Vec<Kind> = Program::ALL.into_iter().map(kind).collect();
    std::thread::scope(|scope| {
        for lane in 0..3 {
            let (kinds, runs) = (&kinds, (bench.runs + 2 - lane) / 3);
            scope.spawn(move || bench.lanes(SECTION, kinds, runs, |pair| round(bench, pair)));
        }
    });
}

fn round(bench: &Bench, pair: &Pair) -> Result<(), String> {
    let named = |e: std::io::Error| e.to_string();
    let lab = &pair.lab;
    let add = |row: &str, millis: f64| bench.results.add(SECTION, row, "s", pair.kind.program, millis / 1000.0);
    let dead = Duration::from_millis(DEAD.into());
    let watch = lab.watch(ADDRESS).map_err(named)?;
    let two = |since| watch.timeline().double_time(since) as f64 / 1000.0;

    // Both serve for some seconds; what counts is how long they still do when they hear each other again.
    lab.cut(NODES[0], NODES[1]).map_err(named)?;
    sleep(dead + Duration::from_secs(4));
    bench.phases.wait(pair.kind, "partition");
    let since = Watcher::now();
    lab.heal().map_err(named)?;
    sleep(WATCHED);
    watch.settle();
    add("partition, after it", two(since));
    back(&watch, "partition")?;
    calm(pair)?;

    let since = Watcher::now();
    lab.freeze(NODES[0]).map_err(named)?;
    sleep(dead * 3);
    let thawed = Watcher::now();
    lab.thaw(NODES[0]).map_err(named)?;
    sleep(WATCHED);
    watch.settle();
    add("pause of all", two(since));
    add("pause of all, after it goes on", two(thawed));
    back(&watch, "pause")?;
    calm(pair)?;

    let since = Watcher::now();
    lab.kill(NODES[0]).map_err(named)?;
    sleep(dead + WATCHED);
    watch.settle();
    add("kill -9 of all", two(since));
    lab.power_off(NODES[0]).map_err(named)?;
    pair.start(NODES[0]).map_err(named)?;
    back(&watch, "kill")?;
    calm(pair)
}

fn back(watch: &Watcher, what: &str) -> Result<(), String> {
    match watch.wait_for_owner(NODES[0], Watcher::now(), BOUND) {
        true => Ok(()),
        false => Err(format!("{what}: the address is at {:?}, not back", watch.owners())),
    }
}
