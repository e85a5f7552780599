//! How much work a message is, and how many nodes can be in one cluster.

use crate::core;
use crate::lanes::{BOUND, Bench};
use crate::programs::{Kind, NODES, Pace, Pair, Program, well};
use ha::clients::json::Json;
use ha::sim::Sim;
use ha::sim::plan::Config;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const SECTION: &str = "Work";
const SENT: &str = "a beat sent and one heard (ours: the core; heartbeat 3.0.6: all its processes)";
const PLAYED: &str = "a beat sent and one heard (simulator)";

/// The word by which this program asks itself to play two nodes, for a valgrind that counts.
pub const SIMULATE: &str = "__simulate";
/// A shorter and a longer run under valgrind, in seconds: the difference is beats, 10 a second, and nothing else.
const SHORT: u64 = 4;
const LONG: u64 = 14;
const BEATS: f64 = 100.0;
/// Valgrind makes everything some fifty times slower.
const COUNTED_WITHIN: &str = "100";
/// What the simulator is given.
const SIMULATED: Duration = Duration::from_secs(40);

pub fn run(bench: &Bench, valgrind: Option<&Path>) {
    match valgrind {
        None => bench
            .results
            .failed("instructions a beat: left out, there is no valgrind"),
        Some(valgrind) => {
            let played = || instructions(|seconds| count_played(valgrind, seconds));
            let ours = || instructions(|seconds| count_core(bench, valgrind, seconds));
            let classic = || instructions(|seconds| count_classic(bench, valgrind, seconds));
            let (played, ours, classic) = thread::scope(|scope| {
                let classic = scope.spawn(classic);
                (played(), ours(), classic.join())
            });
            let add = |row: &str, program, counted: io::Result<f64>| match counted {
                Ok(count) => bench.results.add(SECTION, row, "instructions", program, count),
                Err(e) => bench.results.failed(&format!("instructions a beat, {program}: {e}")),
            };
            // Two nodes are played, each sends and hears.
            add(PLAYED, Program::Ours, played.map(|count| count / 2.0));
            add(SENT, Program::Ours, ours);
            let classic = classic.unwrap_or_else(|_| Err(io::Error::other("the run ended early")));
            add(SENT, Program::Classic, classic);
            eprintln!("instructions a beat: done");
        }
    }
    if let Err(e) = simulated(bench) {
        bench.results.failed(&format!("simulator: {e}"));
    }
    for nodes in [4, 8, 16] {
        if let Err(e) = crowd(bench, nodes) {
            bench.results.failed(&format!("{nodes} nodes: {e}"));
        }
    }
}

/// What a beat of a longer run took more than a shorter one.
fn instructions(count: impl Fn(u64) -> io::Result<u64> + Sync) -> io::Result<f64> {
    let (short, long) = thread::scope(|scope| {
        let short = scope.spawn(|| count(SHORT));
        (short.join(), count(LONG))
    });
    let short = short.unwrap_or_else(|_| Err(io::Error::other("the run ended early")))?;
    Ok(long?.saturating_sub(short) as f64 / BEATS)
}

/// Beats ten times a second; what runs under valgrind may be slow.
fn patient(bench: &Bench, program: Program) -> io::Result<Pair> {
    let pace = Pace { beat: 100, dead: 5000 };
    let kind = Kind {
        program,
        pace,
        media: 1,
    };
    Pair::make(&bench.place, kind)
}

/// The core of the second node, as it runs in the daemon; the first node runs without valgrind.
fn count_core(bench: &Bench, valgrind: &Path, seconds: u64) -> io::Result<u64> {
    let pair = patient(bench, Program::Ours)?;
    pair.start(NODES[0])?;
    pair.lab.power_on(NODES[1])?;
    let dir = pair.lab.files(NODES[1]).log().join("counted");
    fs::create_dir_all(&dir)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777))?;
    let me = std::env::current_exe()?.display().to_string();
    let seconds = seconds.to_string();
    let valgrind = valgrind.display().to_string();
    let heartbeat = pair.lab.plan.programs.join("heartbeat").display().to_string();
    // Callgrind makes its file at the start and writes it at the end: it must be the same user then.
    let user = ["setpriv", "--reuid=hacluster", "--regid=haclient", "--clear-groups"];
    let tool = [
        &valgrind,
        "-q",
        "--vgdb=no",
        "--tool=callgrind",
        "--callgrind-out-file=/var/log/counted/callgrind.%p",
    ];
    let play = ["timeout", COUNTED_WITHIN, &me, core::COUNTED, &seconds];
    let words = [&play[..], &user, &tool, &[&heartbeat]].concat();
    pair.lab.exec(NODES[1], &words).and_then(well)?;
    counted(&dir)
}

/// Two nodes in the simulator.
fn count_played(valgrind: &Path, seconds: u64) -> io::Result<u64> {
    let dir = std::env::temp_dir().join(format!("side-{}-{seconds}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let said = Command::new("timeout")
        .arg(COUNTED_WITHIN)
        .arg(valgrind)
        .args(["-q", "--vgdb=no", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", dir.join("callgrind.0").display()))
        .arg(std::env::current_exe()?)
        .args([SIMULATE, &seconds.to_string()])
        .output()
        .and_then(well)
        .and_then(|()| counted(&dir));
    let _ = fs::remove_dir_all(&dir);
    said
}

/// What this program does as `__simulate`.
pub fn simulate(seconds: u64) -> Result<(), String> {
    Sim::started(1, alone(2)).run_for(Duration::from_secs(seconds))
}

/// So many nodes, one group.
fn alone(nodes: usize) -> Config {
    Config {
        groups: vec![(0, &["10.0.0.1"])],
        ..Config::quick(nodes)
    }
}

/// All processes of a node of heartbeat 3.0.6 together; the other node runs without valgrind.
fn count_classic(bench: &Bench, valgrind: &Path, seconds: u64) -> io::Result<u64> {
    let pair = patient(bench, Program::Classic)?;
    pair.start(NODES[1])?;
    let daemon = "/usr/libexec/heartbeat/heartbeat";
    let under = format!(
        "mkdir -p /run/heartbeat/rsctmp /run/lock/subsys; timeout {COUNTED_WITHIN} \
         {} -q --vgdb=no --tool=callgrind --trace-children=yes --callgrind-out-file=/var/log/callgrind.%p {daemon} >/var/log/said 2>&1",
        valgrind.display()
    );
    pair.lab.power_on(NODES[0])?;
    pair.shell(NODES[0], &under)?;
    pair.lab
        .wait_for("the nodes know each other", BOUND * 2, || pair.knows_peer())
        .map_err(io::Error::other)?;
    sleep(Duration::from_secs(seconds));
    pair.shell(NODES[0], &format!("timeout {COUNTED_WITHIN} {daemon} -k"))?;
    counted(&pair.lab.files(NODES[0]).log())
}

/// The sum of all of callgrind's files in a directory.
fn counted(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("callgrind.") {
            continue;
        }
        let text = fs::read_to_string(entry.path())?;
        let total = text.lines().filter_map(|l| l.strip_prefix("totals: ")).next_back();
        sum += total.and_then(|t| t.trim().parse::<u64>().ok()).unwrap_or(0);
    }
    match sum {
        0 => Err(io::Error::other("valgrind counted nothing")),
        sum => Ok(sum),
    }
}

/// The same daemon without sockets: what two nodes can say to each other, and at how many nodes one of them has no time
/// left between two beats of 100 ms.
fn simulated(bench: &Bench) -> Result<(), String> {
    let mut most = 0;
    let end = Instant::now() + SIMULATED;
    for nodes in [2, 4, 8, 16, 32, 64] {
        let mut sim = Sim::started(1, alone(nodes));
        let seconds = if nodes == 2 { 600 } else { 5 };
        // All have started, before it counts.
        if !play(&mut sim, 3, end)? {
            break;
        }
        let begun = Instant::now();
        if !play(&mut sim, seconds, end)? {
            break;
        }
        let (used, beats) = (begun.elapsed().as_secs_f64(), seconds as f64 * 10.0);
        if nodes == 2 {
            let row = "messages signed, sent, heard and understood (simulator)";
            bench
                .results
                .add(SECTION, row, "a second", Program::Ours, beats * 2.0 / used);
        }
        // One node's part of the work in one beat.
        let share = used / beats / nodes as f64;
        let row = format!("simulator, {nodes:2} nodes: a node's work in a beat");
        bench.results.add(SECTION, &row, "ms", Program::Ours, share * 1000.0);
        if share > 0.1 {
            break;
        }
        most = nodes;
    }
    bench.results.add(
        SECTION,
        "simulator: most nodes tried, all in time at a beat of 100 ms",
        "nodes",
        Program::Ours,
        most as f64,
    );
    Ok(())
}

/// Plays so many seconds; false: the time was over.
fn play(sim: &mut Sim, seconds: u64, end: Instant) -> Result<bool, String> {
    for _ in 0..seconds * 100 {
        if Instant::now() >= end {
            return Ok(false);
        }
        sim.run_for(Duration::from_millis(10))?;
    }
    Ok(true)
}

/// Real processes: a cluster of so many nodes on this machine, and how many beats came late in ten seconds.
fn crowd(bench: &Bench, nodes: u32) -> io::Result<()> {
    let kind = Kind {
        program: Program::Ours,
        pace: Pace { beat: 100, dead: 2000 },
        media: 1,
    };
    let names: Vec<String> = (1..=nodes).map(|n| format!("node{n}")).collect();
    let pair = Pair::with(&bench.place, kind, &names, "")?;
    for name in &names {
        pair.start(name)?;
    }
    sleep(Duration::from_secs(5));
    let counters = || -> io::Result<(u64, u64)> {
        let mut sum = (0, 0);
        for name in &names {
            let said = pair.lab.exec(name, &["cl_status", "status", "--json"])?;
            let status = Json::parse(&String::from_utf8_lossy(&said.stdout)).unwrap_or(Json::Null);
            let counter = |name: &str| status.get("counters").get(name).number();
            sum.0 += counter("late_heartbeats");
            sum.1 += counter("deaths");
        }
        Ok(sum)
    };
    let before = counters()?;
    sleep(Duration::from_secs(10));
    let after = counters()?;
    let add = |what: &str, value: u64| {
        let row = format!("{nodes:2} real nodes, beat 100 ms, 10 s: {what}");
        bench.results.add(SECTION, &row, "times", Program::Ours, value as f64);
    };
    add("late beats", after.0 - before.0);
    add("deaths", after.1 - before.1);
    eprintln!("{nodes} real nodes: done");
    Ok(())
}
