//! dopd: has the peer's copy of a DRBD resource marked outdated; dopd(8).

use clap::{Arg, Command, value_parser};
use log::Level;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = Command::new("dopd")
        .about("Has the peer's copy of a DRBD resource marked outdated")
        .long_about(
            "Has the peer's copy of a DRBD resource marked outdated. \
             heartbeat starts it: write `respawn hacluster /usr/lib/heartbeat/dopd` in ha.cf of both nodes.",
        )
        .arg(
            Arg::new("drbdadm")
                .long("drbdadm")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .help("The program drbdadm, when it is not in one of the usual directories"),
        )
        .get_matches();
    // What it writes goes into the log of heartbeat.
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Info)
        .format(|out, record| {
            let level = match record.level() {
                Level::Error => "ERROR: ",
                Level::Warn => "WARN: ",
                Level::Info | Level::Debug | Level::Trace => "",
            };
            writeln!(out, "{level}{}", record.args())
        })
        .target(env_logger::Target::Stderr)
        .init();
    match ha::run::dopd::run(matches.get_one::<PathBuf>("drbdadm").cloned()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(end) => {
            eprintln!("dopd: {end}");
            ExitCode::FAILURE
        }
    }
}
