//! What is taken for a death that is none: beats that are lost, junk, and a machine that is busy. All at a deadtime of 1 s,
//! with the beat that each program can have beside it; the busy machine at each one's fastest, too.

use crate::lanes::Bench;
use crate::programs::{ADDRESS, Kind, NODES, Pace, Pair, Program, fastest};
use ha::lab::flood::{self, Source};
use ha::lab::{Flood, Watcher};
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const SECTION: &str = "Weather";
const RATE: u32 = 50_000;
/// What is known of a fault comes later.
const AFTER: Duration = Duration::from_secs(2);

fn kind(program: Program) -> Kind {
    let pace = Pace { beat: 100, dead: 1000 };
    Kind {
        program,
        pace,
        media: 1,
    }
}

/// 30 % of what the nodes tell each other is lost. All pairs at once.
pub fn loss(bench: &Bench) {
    let kinds = Program::ALL.map(kind);
    bench.lanes(SECTION, &kinds, 1, |pair| {
        let lab = &pair.lab;
        lab.loss(NODES[0], NODES[1], 30).map_err(|e| e.to_string())?;
        let watched = watched(bench, pair, "30 % loss", || asleep(bench.loss));
        lab.heal().map_err(|e| e.to_string())?;
        watched.map_err(|e| e.to_string())
    });
}

/// Junk for the node that waits, one program after the other.
pub fn junk(bench: &Bench) {
    let kinds = Program::ALL.map(kind);
    bench.lanes(SECTION, &kinds, 1, |pair| {
        for kind in flood::Kind::ALL {
            let flood = Flood {
                target: NODES[1].to_owned(),
                peer: NODES[0].to_owned(),
                kind,
                source: Source::Peer,
                carrier: match pair.kind.program.is_heartbeat() {
                    true => flood::Carrier::Heartbeat,
                    false => flood::Carrier::Vrrp,
                },
                rate: RATE,
                time: bench.junk,
            };
            bench
                .slots
                .during(|| watched(bench, pair, &format!("{kind} packets"), || flooded(pair, &flood)))
                .map_err(|e| format!("{kind} packets: {e}"))?;
        }
        Ok(())
    });
}

fn flooded(pair: &Pair, flood: &Flood) -> io::Result<()> {
    let mut child = pair.lab.flood(flood)?;
    let mut said = String::new();
    if let Some(out) = &mut child.stdout {
        out.read_to_string(&mut said)?;
    }
    match child.wait()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("the flood ended early")),
    }
}

/// Both cores have more to do than they can.
pub fn busy(bench: &Bench) {
    let fast = |program| Kind {
        pace: fastest(program),
        ..kind(program)
    };
    let load = thread::available_parallelism().map_or(2, usize::from) * 2;
    let at_a_second = Program::ALL.map(|p| ("busy cores, 1 s", kind(p)));
    let all = Program::ALL
        .map(|p| ("busy cores, fastest", fast(p)))
        .into_iter()
        .chain(at_a_second);
    thread::scope(|scope| {
        let pairs: Vec<_> = all
            .map(|(what, kind)| (what, kind, scope.spawn(move || bench.settled(kind))))
            .collect();
        let settled: Vec<_> = pairs
            .into_iter()
            .map(|(what, kind, pair)| (what, kind, pair.join()))
            .collect();
        let burners: Vec<Burner> = (0..load).filter_map(|_| Burner::start().ok()).collect();
        for (what, kind, pair) in settled {
            scope.spawn(move || {
                let failed = |why: &str| bench.results.failed(&format!("{what}, {}: {why}", kind.program));
                match pair {
                    Ok(Ok(pair)) => {
                        if let Err(e) = watched(bench, &pair, what, || asleep(bench.busy)) {
                            failed(&e.to_string());
                        }
                    }
                    Ok(Err(e)) => failed(&format!("no pair: {e}")),
                    Err(_) => failed("no pair"),
                }
            });
        }
        sleep(bench.busy + AFTER);
        drop(burners);
    });
    eprintln!("busy cores: {:.0} s", bench.busy.as_secs_f32());
}

/// A loop that never ends, until it is dropped.
struct Burner(Child);

impl Burner {
    fn start() -> io::Result<Self> {
        let mut command = Command::new("timeout");
        command.args(["3600", "sh", "-c", "while :; do :; done"]);
        command.stdin(Stdio::null()).spawn().map(Self)
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        // timeout hands SIGTERM on; its own end by SIGKILL would leave the loop alone.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Nothing else is done meanwhile.
fn asleep(time: Duration) -> io::Result<()> {
    sleep(time);
    Ok(())
}

/// How often the address changed its owner, how long it had two or none.
fn watched(bench: &Bench, pair: &Pair, what: &str, during: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let watch = pair.lab.watch(ADDRESS)?;
    let since = Watcher::now();
    let begun = Instant::now();
    during()?;
    sleep(AFTER);
    watch.settle();
    let timeline = watch.timeline();
    let add = |row: &str, unit: &'static str, value: f64| {
        let row = format!("{what}: {row}");
        bench.results.add(SECTION, &row, unit, pair.kind.program, value);
    };
    add("moves", "times", timeline.owners(since).len().saturating_sub(1) as f64);
    add("two owners", "s", timeline.double_time(since) as f64 / 1e6);
    let gaps: u64 = timeline.gaps(since, 20_000).iter().map(|g| g.to - g.from).sum();
    add("nobody (gaps over 20 ms)", "s", gaps as f64 / 1e6);
    eprintln!("{what}, {}: {:.0} s", pair.kind.program, begun.elapsed().as_secs_f32());
    Ok(())
}
