//! What much loss, and much junk, do to a pair: measured, printed, and judged by nobody but the reader. See README.md here.

mod storm;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use ha::lab::flood::{Kind, Source};
use std::io;
use std::process::ExitCode;
use std::time::Duration;
use storm::{Outcome, Pair};

fn arguments() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        let parser = value_parser!(u32).range(1..=1_000_000);
        Arg::new(name)
            .long(name)
            .value_name("N")
            .value_parser(parser)
            .default_value(default)
            .help(help)
    };
    Command::new("storms")
        .about("Measures what a network that loses much, and one that is full of junk, do to a cluster")
        .arg(number("seconds", "30", "length of each flood"))
        .arg(number(
            "loss-seconds",
            "600",
            "length of the time in which packets are lost",
        ))
        .arg(number("rate", "50000", "packets of junk a second"))
        .arg(number("percent", "30", "share of the packets that is lost"))
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("WHAT")
                .value_parser(["loss", "junk"])
                .help("leave the other out"),
        )
        .arg(
            Arg::new("classic")
                .long("classic")
                .action(ArgAction::SetTrue)
                .help("both nodes have heartbeat 3.0.6, as tests/interop/packages unpacks it"),
        )
        // cargo bench says so to every benchmark.
        .arg(Arg::new("bench").long("bench").action(ArgAction::SetTrue).hide(true))
}

fn main() -> ExitCode {
    match measure(&arguments().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("storms: {e}");
            ExitCode::FAILURE
        }
    }
}

fn measure(matches: &ArgMatches) -> io::Result<()> {
    let number = |name: &str| *matches.get_one::<u32>(name).expect("it has a default");
    let seconds = |name: &str| Duration::from_secs(number(name).into());
    let only = matches.get_one::<String>("only").map(String::as_str);
    let classic = matches.get_flag("classic");
    let name = if classic { "storm-classic" } else { "storm" };
    let start = || Pair::start(name, env!("CARGO_BIN_EXE_hb_lab").into(), classic);
    println!("load {}", std::fs::read_to_string("/proc/loadavg")?.trim());
    println!("| storm | sent | CPU | log lines | late beats | gaps | deaths | the address stayed |");
    println!("|---|---|---|---|---|---|---|---|");
    if only != Some("loss") {
        for kind in Kind::ALL {
            for source in [Source::Foreign, Source::Peer] {
                // A cluster of its own: what one storm has taught it, or broken in it, is not to help the next.
                let outcome = start()?.flood(kind, source, number("rate"), seconds("seconds"))?;
                row(&format!("{kind}, {source:?}"), &outcome);
            }
        }
    }
    if only != Some("junk") {
        let percent = u8::try_from(number("percent").min(99)).expect("it is below 100");
        let outcome = start()?.lose(percent, seconds("loss-seconds"))?;
        row(&format!("{percent} % loss for {} s", number("loss-seconds")), &outcome);
    }
    println!("load {}", std::fs::read_to_string("/proc/loadavg")?.trim());
    Ok(())
}

fn row(what: &str, outcome: &Outcome) {
    println!("| {what} | {outcome} |");
}
