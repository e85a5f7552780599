//! This toolkit beside heartbeat 3.0.6, keepalived, ucarp and Pacemaker, measured in one run: see README.md in the directory
//! above.
//! `tests/bench/run` gets the other programs and calls this.

mod core;
mod cost;
mod crm;
mod gaps;
mod lanes;
mod managers;
mod owners;
mod plot;
mod programs;
mod results;
mod weather;
mod work;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use lanes::{Bench, Phases, Slots};
use programs::Place;
use results::{Occasion, Results};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A stage: its name, and what does it.
type Stage = (&'static str, fn(&Bench, &ArgMatches));

const STAGES: [Stage; 8] = [
    ("gaps", |bench, _| gaps::run(bench)),
    ("owners", |bench, _| owners::run(bench)),
    ("crm", |bench, _| crm::run(bench)),
    ("loss", |bench, _| weather::loss(bench)),
    ("junk", |bench, _| weather::junk(bench)),
    ("busy", |bench, _| weather::busy(bench)),
    ("cost", |bench, _| cost::run(bench)),
    ("work", |bench, matches| {
        work::run(bench, matches.get_one::<PathBuf>("valgrind").map(PathBuf::as_path));
    }),
];

fn arguments() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .value_parser(value_parser!(u32).range(1..=100_000))
            .default_value(default)
            .help(help)
    };
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    Command::new("side")
        .about("Measures this toolkit beside other cluster programs; tests/bench/run gets those and calls this")
        .arg(number(
            "runs",
            "5",
            "how often each gap and each time with two owners is measured",
        ))
        .arg(number("loss", "60", "seconds in which 30 % of the packets are lost"))
        .arg(number("junk", "10", "seconds of each kind of junk"))
        .arg(number("busy", "30", "seconds beside a load that keeps all cores busy"))
        .arg(number("minutes", "18", "nothing new is begun after so many minutes"))
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("STAGE")
                .value_parser(STAGES.map(|(name, _)| name))
                .action(ArgAction::Append)
                .help("these stages and no others; may be repeated"),
        )
        .arg(path("packages", "where the other programs are unpacked").required_unless_present("readme"))
        .arg(path(
            "programs",
            "directory of our programs, with hb_lab [default: those of the release build]",
        ))
        .arg(path("valgrind", "the program that counts instructions"))
        .arg(path("out", "directory for the results").default_value("tests/bench/results"))
        .arg(path("readme", "only write the newest table between the markers of this file").conflicts_with("packages"))
        .arg(
            Arg::new("date")
                .long("date")
                .value_name("DATE")
                .default_value("undated")
                .help("names the results"),
        )
        .subcommand_negates_reqs(true)
        .subcommand(
            Command::new(work::SIMULATE)
                .hide(true)
                .arg(Arg::new("seconds").value_parser(value_parser!(u64))),
        )
        .subcommand(
            Command::new(core::COUNTED)
                .hide(true)
                .arg(Arg::new("seconds").value_parser(value_parser!(u64)))
                .arg(
                    Arg::new("command")
                        .num_args(1..)
                        .trailing_var_arg(true)
                        .allow_hyphen_values(true),
                ),
        )
        .subcommand(Command::new(cost::READY).hide(true).arg(Arg::new("program")))
        // cargo bench says so to every benchmark.
        .arg(Arg::new("bench").long("bench").action(ArgAction::SetTrue).hide(true))
}

fn main() -> ExitCode {
    let matches = arguments().get_matches();
    let out = matches.get_one::<PathBuf>("out").expect("it has a default");
    let done = match (matches.subcommand(), matches.get_one::<PathBuf>("readme")) {
        (Some((word, asked)), _) => alone(word, asked),
        (None, Some(readme)) => show(readme, out),
        (None, None) => measure(&matches, out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("side: {e}");
            ExitCode::FAILURE
        }
    }
}

/// What this program has itself do in a process of its own.
fn alone(word: &str, asked: &ArgMatches) -> io::Result<()> {
    let seconds = || asked.get_one("seconds").copied().unwrap_or(1);
    match word {
        work::SIMULATE => work::simulate(seconds()).map_err(io::Error::other),
        core::COUNTED => {
            let command: Vec<String> = asked.get_many("command").into_iter().flatten().cloned().collect();
            core::run(&command, seconds())
        }
        _ => cost::ready(asked.get_one::<String>("program").map_or("heartbeat", String::as_str)),
    }
}

fn measure(matches: &ArgMatches, out: &Path) -> io::Result<()> {
    let number = |name: &str| *matches.get_one::<u32>(name).expect("it has a default");
    let seconds = |name: &str| Duration::from_secs(number(name).into());
    let packages = matches.get_one::<PathBuf>("packages").expect("it is required");
    let begun = Instant::now();
    let bench = Bench {
        place: Place {
            hb_lab: match matches.get_one::<PathBuf>("programs") {
                Some(dir) => dir.canonicalize()?.join("hb_lab"),
                None => env!("CARGO_BIN_EXE_hb_lab").into(),
            },
            packages: packages.canonicalize()?,
        },
        results: Results::default(),
        runs: number("runs"),
        slots: Slots::new(std::thread::available_parallelism().map_or(1, usize::from)),
        phases: Phases::default(),
        end: begun + seconds("minutes") * 60,
        loss: seconds("loss"),
        junk: seconds("junk"),
        busy: seconds("busy"),
    };
    let load_before = load();
    let only: Vec<&String> = matches.get_many("only").into_iter().flatten().collect();
    let written = |bench: &Bench| -> io::Result<String> {
        let occasion = Occasion {
            date: matches.get_one::<String>("date").expect("it has a default").clone(),
            machine: machine(),
            versions: programs::versions(packages),
            load_before: load_before.clone(),
            load_after: load(),
            seconds: begun.elapsed().as_secs(),
        };
        let file = |suffix: &str| out.join(format!("{}.{suffix}", occasion.date));
        let table = results::markdown(&occasion, &bench.results);
        fs::write(file("json"), results::json(&occasion, &bench.results))?;
        fs::write(file("md"), &table)?;
        let title = format!("{}, {}", occasion.date, occasion.machine);
        fs::write(file("svg"), plot::svg(&title, &bench.results))?;
        Ok(table)
    };
    fs::create_dir_all(out).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", out.display())))?;
    for (name, stage) in STAGES {
        if !only.is_empty() && !only.iter().any(|o| *o == name) {
            continue;
        }
        if Instant::now() >= bench.end {
            bench.results.failed(&format!("{name}: left out, the time was over"));
            continue;
        }
        let stage_begun = Instant::now();
        eprintln!("== {name}");
        stage(&bench, matches);
        eprintln!(
            "== {name}: {:.0} s, load {}",
            stage_begun.elapsed().as_secs_f32(),
            load()
        );
        // Whoever ends this keeps what there is.
        written(&bench)?;
    }
    let table = written(&bench)?;
    print!("{table}");
    match bench.results.failures().len() {
        0 => Ok(()),
        n => Err(io::Error::other(format!(
            "{n} run(s) ended early: the table lists them"
        ))),
    }
}

const MARKERS: [&str; 2] = ["<!-- bench: begin -->", "<!-- bench: end -->"];

/// Puts the head of the newest table between the markers.
fn show(readme: &Path, out: &Path) -> io::Result<()> {
    let mut tables: Vec<PathBuf> = fs::read_dir(out)?.flatten().map(|e| e.path()).collect();
    tables.retain(|p| p.extension().is_some_and(|e| e == "md"));
    tables.sort();
    let none = || io::Error::other(format!("{}: has no table; tests/bench/run writes one", out.display()));
    let newest = tables.last().ok_or_else(none)?;
    let table = fs::read_to_string(newest)?;
    let (head, _) = table.split_once("\n## ").unwrap_or((&table, ""));
    let text = fs::read_to_string(readme)?;
    let parts = text.split_once(MARKERS[0]).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(MARKERS[1])?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| {
        let message = format!(
            "{}: has no lines \"{}\" and \"{}\"",
            readme.display(),
            MARKERS[0],
            MARKERS[1]
        );
        io::Error::other(message)
    })?;
    let text = format!("{before}{}\n{}\n{}{after}", MARKERS[0], head.trim_end(), MARKERS[1]);
    fs::write(readme, text)?;
    println!("{}: shows {}", readme.display(), newest.display());
    Ok(())
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores ({model}), Linux {}", kernel.trim())
}
