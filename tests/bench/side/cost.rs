//! What a node costs that does nothing but beat: processes, memory, processor time, and how often something is woken.

use crate::lanes::{BOUND, Bench};
use crate::programs::{ADDRESS, Kind, NODES, Pace, Pair, Program, well};
use std::io;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const SECTION: &str = "Cost";
const SAMPLED: Duration = Duration::from_secs(20);
/// Until what a start needed is done with.
pub const SETTLED: Duration = Duration::from_secs(3);

/// What runs in the node, but for those who look: a line a process, then a line a task of it.
const LOOK: &str = r#"for d in /proc/[0-9]*; do
	name=$(cat $d/comm)
	case $name in sh|cat|grep|hb_lab|hb_lab\ *|"") continue ;; esac
	echo "process $name $(grep ^Pss: $d/smaps_rollup)"
	for t in $d/task/*; do echo "task $(cat $t/schedstat) $(grep _ctxt_switches: $t/status | tr -d '\n')"; done
done 2>/dev/null; true"#;

#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub processes: u32,
    /// kB.
    pub pss: u64,
    /// Nanoseconds.
    cpu: u64,
    switches: u64,
}

pub fn sample(pair: &Pair) -> io::Result<Sample> {
    let said = pair.lab.exec(NODES[0], &["sh", "-c", LOOK])?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    well(said)?;
    let mut sample = Sample::default();
    for line in text.lines() {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|w| w.parse().ok()).collect();
        match (line.split(' ').next(), &numbers[..]) {
            (Some("process"), numbers) => {
                sample.processes += 1;
                sample.pss += numbers.last().copied().unwrap_or(0);
            }
            (Some("task"), [cpu, .., willing, unwilling]) => {
                sample.cpu += cpu;
                sample.switches += willing + unwilling;
            }
            _ => {}
        }
    }
    match sample.processes {
        0 => Err(io::Error::other("nothing runs in the node")),
        _ => Ok(sample),
    }
}

/// The others beat over what they have: one interface.
fn kinds(pace: Pace) -> Vec<Kind> {
    let one = |(program, media)| Kind { program, pace, media };
    let heartbeats = [1, 2, 4]
        .into_iter()
        .flat_map(|n| [(Program::Ours, n), (Program::Classic, n)]);
    heartbeats
        .chain([(Program::Keepalived, 1), (Program::Ucarp, 1)])
        .map(one)
        .collect()
}

pub fn run(bench: &Bench) {
    // Alone on the machine: pages that several share would be divided among them.
    for kind in kinds(Pace::of(1000)) {
        if let Err(e) = memory(bench, kind) {
            bench.results.failed(&format!("memory, {}: {e}", kind.program));
        }
    }
    eprintln!("memory: done");
    // VRRP's three beats and 56/256 make its own 1 s and 100 ms.
    for (word, dead, beat) in [("1 s", 3220, 1000), ("100 ms", 322, 100)] {
        thread::scope(|scope| {
            for kind in kinds(Pace { beat, dead }) {
                scope.spawn(move || {
                    if let Err(e) = steady(bench, kind, word) {
                        let why = format!("cost, {}, beat {word}, {} media: {e}", kind.program, kind.media);
                        bench.results.failed(&why);
                    }
                });
            }
        });
        eprintln!("cost at a beat of {word}: done");
    }
}

fn memory(bench: &Bench, kind: Kind) -> io::Result<()> {
    let pair = Pair::make(&bench.place, kind)?;
    let watch = pair.lab.watch(ADDRESS)?;
    pair.start(NODES[0])?;
    if !watch.wait_for_owner(NODES[0], 0, BOUND) {
        return Err(io::Error::other(format!("no address\n{}", pair.logs())));
    }
    drop(watch);
    sleep(SETTLED);
    let sample = sample(&pair)?;
    let add = |row: &str, unit: &'static str, value: f64| {
        let row = format!("{row}, {} media", kind.media);
        bench.results.add(SECTION, &row, unit, kind.program, value);
    };
    add("processes", "count", sample.processes.into());
    add("PSS", "kB", sample.pss as f64);
    Ok(())
}

fn steady(bench: &Bench, kind: Kind, word: &str) -> io::Result<()> {
    let pair = bench.settled(kind)?;
    sleep(SETTLED);
    let (before, begun) = (sample(&pair)?, Instant::now());
    sleep(SAMPLED);
    let (after, passed) = (sample(&pair)?, begun.elapsed().as_secs_f64() / 60.0);
    let add = |row: &str, unit: &'static str, value: f64| {
        let row = format!("{row}, beat {word}, {} media", kind.media);
        bench.results.add(SECTION, &row, unit, kind.program, value);
    };
    let used = after.cpu.saturating_sub(before.cpu) as f64 / 1e6;
    add("CPU", "ms a minute", used / passed);
    let switches = after.switches.saturating_sub(before.switches) as f64;
    add("context switches", "a minute", switches / passed);
    Ok(())
}
