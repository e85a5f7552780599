//! Moves the resources to the node that hears more ping nodes; ipfail(8).

use clap::Command;
use ha::run::ipfail::{self, End};
use log::Level;
use std::io::Write;
use std::process::ExitCode;

/// heartbeat does not start it again.
const USELESS: u8 = 100;

fn main() -> ExitCode {
    // Prints --help and refuses everything else.
    Command::new("ipfail")
        .about("Moves the resources to the node that hears more ping nodes")
        .long_about(
            "Moves the resources to the node that hears more ping nodes. \
             heartbeat starts it: write `respawn hacluster /usr/lib/heartbeat/ipfail` in ha.cf of both nodes.",
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
    match ipfail::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(end) => {
            eprintln!("ipfail: {end}");
            ExitCode::from(match end {
                End::Useless(_) => USELESS,
                End::Failed(_) => 1,
            })
        }
    }
}
