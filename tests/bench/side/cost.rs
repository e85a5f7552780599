//! What a node costs that does nothing but beat: processes, memory, processor time, and how often something is woken; what
//! a start and the programs take.

use crate::lanes::{BOUND, Bench};
use crate::programs::{ADDRESS, Kind, NODES, Pace, Pair, Program, well};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const SECTION: &str = "Cost";
const SAMPLED: Duration = Duration::from_secs(20);
/// Until what a start needed is done with: a fresh address is announced for 5 s.
pub const SETTLED: Duration = Duration::from_secs(6);
const STARTS: u32 = 11;

/// What runs in the node, but for those who look: a line a process, then a line a task of it.
const LOOK: &str = r#"for d in /proc/[0-9]*; do
	name=$(cat $d/comm)
	case $name in sh|cat|grep|tr|hb_lab|hb_lab\ *|"") continue ;; esac
	echo "process $(grep ^Pss: $d/smaps_rollup) $(tr '\0' ' ' <$d/cmdline)"
	for t in $d/task/*; do echo "task $(cat $t/schedstat) $(grep _ctxt_switches: $t/status | tr '\n' ' ')"; done
done 2>/dev/null; true"#;

/// The word by which this program asks itself to start a daemon and to say how long that took.
pub const READY: &str = "__ready";

/// One process. `pss` in kB, `cpu` in nanoseconds; `willing` and `unwilling` count when it gave a processor up.
#[derive(Clone, Debug, Default)]
pub struct Process {
    title: String,
    pub pss: u64,
    cpu: u64,
    willing: u64,
    unwilling: u64,
}

impl Process {
    /// The part that it has, as `core` in `heartbeat: core process`.
    fn part(&self) -> &str {
        let words = self.title.strip_prefix("heartbeat: ").unwrap_or(&self.title);
        words.split(' ').next().unwrap_or_default()
    }
}

pub fn sample(pair: &Pair) -> io::Result<Vec<Process>> {
    let said = pair.lab.exec(NODES[0], &["sh", "-c", LOOK])?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    well(said)?;
    let mut all: Vec<Process> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers: Vec<u64> = words.iter().filter_map(|w| w.parse().ok()).collect();
        match (&words[..], &numbers[..], all.last_mut()) {
            (["process", "Pss:", pss, "kB", title @ ..], _, _) => all.push(Process {
                title: title.join(" "),
                pss: pss.parse().unwrap_or(0),
                ..Process::default()
            }),
            (["task", ..], [cpu, .., willing, unwilling], Some(process)) => {
                process.cpu += cpu;
                process.willing += willing;
                process.unwilling += unwilling;
            }
            _ => {}
        }
    }
    match all.is_empty() {
        true => Err(io::Error::other("nothing runs in the node")),
        false => Ok(all),
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
    for (what, done) in [("start to ready", starts(bench)), ("sizes", sizes(bench))] {
        if let Err(e) = done {
            bench.results.failed(&format!("{what}: {e}"));
        }
    }
    eprintln!("memory, starts, sizes: done");
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
    add("processes", "count", sample.len() as f64);
    add("PSS", "kB", sample.iter().map(|p| p.pss).sum::<u64>() as f64);
    if kind.program == Program::Ours {
        for process in sample {
            add(&format!("PSS of {}", process.part()), "kB", process.pss as f64);
        }
    }
    Ok(())
}

/// Starts the daemon and says how long its command took. It returns when the first beat is sent and the FIFOs are served.
pub fn ready(program: &str) -> io::Result<()> {
    let begun = Instant::now();
    let status = Command::new(program)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let took = begun.elapsed();
    if !status.success() {
        return Err(io::Error::other(format!("{program}: {status}")));
    }
    println!("{}", took.as_secs_f64() * 1000.0);
    Ok(())
}

/// From the command `heartbeat` to a daemon that beats and answers.
fn starts(bench: &Bench) -> io::Result<()> {
    let kind = Kind {
        program: Program::Ours,
        pace: Pace::of(1000),
        media: 1,
    };
    let pair = Pair::make(&bench.place, kind)?;
    let me = std::env::current_exe()?.display().to_string();
    let heartbeat = pair.lab.plan.programs.join("heartbeat").display().to_string();
    pair.lab.power_on(NODES[0])?;
    for _ in 0..STARTS {
        let said = pair.lab.exec(NODES[0], &[&me, READY, &heartbeat])?;
        let took = String::from_utf8_lossy(&said.stdout).trim().parse::<f64>();
        well(said)?;
        let took = took.map_err(|e| io::Error::other(format!("{READY}: {e}")))?;
        pair.lab
            .exec(NODES[0], &["cl_status", "nodestatus", NODES[0]])
            .and_then(well)?;
        bench.results.add(SECTION, "start to ready", "ms", Program::Ours, took);
        pair.stop(NODES[0])?;
    }
    Ok(())
}

/// What our programs have on disk.
fn sizes(bench: &Bench) -> io::Result<()> {
    let place = bench.place.hb_lab.parent().unwrap_or(Path::new("."));
    let mut names: Vec<_> = fs::read_dir(place)?.flatten().collect();
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let (name, facts) = (entry.file_name(), fs::metadata(entry.path())?);
        let name = name.to_string_lossy();
        if facts.is_file() && facts.permissions().mode() & 0o111 != 0 && !name.contains('.') {
            let row = format!("size of {name}");
            bench
                .results
                .add(SECTION, &row, "kB", Program::Ours, facts.len() as f64 / 1000.0);
        }
    }
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
    let sum = |all: &[Process], of: fn(&Process) -> u64| all.iter().map(of).sum::<u64>();
    let grown = |of: fn(&Process) -> u64| sum(&after, of).saturating_sub(sum(&before, of)) as f64 / passed;
    add("CPU", "ms a minute", grown(|p| p.cpu) / 1e6);
    add("context switches", "a minute", grown(|p| p.willing + p.unwilling));
    if kind.program == Program::Ours && kind.media == 1 {
        for now in &after {
            let then = before.iter().find(|p| p.title == now.title);
            let woken = now.willing.saturating_sub(then.map_or(0, |p| p.willing));
            add(
                &format!("wake-ups of {}", now.part()),
                "a minute",
                woken as f64 / passed,
            );
        }
    }
    Ok(())
}
