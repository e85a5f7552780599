//! How long a client of a cluster waits: measured, printed, and judged by nobody but the reader. See README.md here.

mod bed;
mod figures;
mod ours;
mod repairs;
mod tcp;

use bed::Bed;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use figures::Figures;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The lab in which this toolkit is measured.
const OURS: &str = "ours";

fn arguments() -> Command {
    Command::new("gaps")
        .about("Measures how long a client waits when something happens to a cluster")
        .arg(
            Arg::new("runs")
                .long("runs")
                .value_name("N")
                .value_parser(value_parser!(u8).range(1..=100))
                .default_value("5")
                .help("how often everything is measured"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("write every single value to this file"),
        )
        // cargo bench says so to every benchmark.
        .arg(Arg::new("bench").long("bench").action(ArgAction::SetTrue).hide(true))
        .subcommand(Command::new(tcp::PROBER).hide(true).arg(Arg::new("words").num_args(2)))
}

fn main() -> ExitCode {
    let matches = arguments().get_matches();
    let done = match matches.subcommand() {
        Some((_, prober)) => probe(prober),
        None => measure(&matches),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("gaps: {why}");
            ExitCode::FAILURE
        }
    }
}

fn probe(matches: &ArgMatches) -> Result<(), String> {
    let words: Vec<&String> = matches.get_many("words").into_iter().flatten().collect();
    let [address, port] = words[..] else {
        return Err("the prober needs an address and a port".to_owned());
    };
    let address: Ipv4Addr = address.parse().map_err(|e| format!("{address}: {e}"))?;
    let port = port.parse().map_err(|e| format!("{port}: {e}"))?;
    // Whoever reads it ends first.
    let _ = tcp::probe(address, port);
    Ok(())
}

fn measure(matches: &ArgMatches) -> Result<(), String> {
    let runs = *matches.get_one::<u8>("runs").expect("it has a default");
    let machine = machine();
    println!("## Gaps seen by a client\n\n{machine}, {runs} run(s)\n");
    let mut programs = Vec::new();
    programs.push(several("this toolkit", OURS, runs, Bed::make, ours::run)?);
    match repairs::is_possible() {
        true => programs.push(several(repairs::TITLE, repairs::LAB, runs, repairs::bed, repairs::run)?),
        false => println!("hb_monitor: not measured, nginx is not installed\n"),
    }
    for program in &programs {
        println!("{}", program.table());
    }
    if let Some(file) = matches.get_one::<PathBuf>("json") {
        fs::write(file, figures::json(&machine, &programs)).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    match programs.iter().flat_map(|p| &p.failed).count() {
        0 => Ok(()),
        n => Err(format!("{n} run(s) ended early")),
    }
}

fn several(
    program: &str,
    lab: &str,
    runs: u8,
    make: fn(&str) -> Result<Bed, String>,
    run: impl Fn(&Bed, &mut Figures) -> Result<(), String>,
) -> Result<Figures, String> {
    let bed = make(lab)?;
    let mut out = Figures::of(program, lab == OURS || lab == repairs::LAB);
    for n in 1..=runs {
        let begun = Instant::now();
        if let Err(why) = run(&bed, &mut out) {
            eprintln!("{why}");
            // The logs come after it.
            out.failed.push(why.lines().next().unwrap_or_default().to_owned());
        }
        eprintln!(
            "{program}: run {n} of {runs} took {:.1} s",
            begun.elapsed().as_secs_f32()
        );
    }
    Ok(out)
}

/// What the figures depend on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = date(seconds / 86_400);
    format!(
        "{cores} core(s), load {load} before, Linux {}, {year}-{month:02}-{day:02}, heartbeat {}",
        kernel.trim(),
        env!("CARGO_PKG_VERSION")
    )
}

/// Day of the calendar from days since 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}
