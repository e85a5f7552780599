//! Moves the resources to the node that hears more ping nodes; ipfail(8).

use clap::Command;
use ha::ipc::relay;
use ha::run::ipfail::{self, End};
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
    relay::init();
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
