//! Makes its node a member of the crm; crmd(8).

use clap::Command;
use ha::ipc::client::ClientError;
use ha::ipc::relay;
use ha::run::crmd;
use std::process::ExitCode;

const FAILED: u8 = 1;
const NOT_PERMITTED: u8 = 4;
const NOT_RUNNING: u8 = 7;

fn main() -> ExitCode {
    // Prints --help and refuses everything else.
    Command::new("crmd")
        .about("Makes this node a member of the cluster resource manager")
        .long_about(
            "Makes this node a member of the cluster resource manager: agrees with the other nodes on who is there and on \
             the configuration, and has the resources started and stopped. heartbeat starts it: write `crm on` in ha.cf \
             of all nodes.",
        )
        .get_matches();
    relay::init();
    match crmd::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crmd: {error}");
            ExitCode::from(match error {
                ClientError::NotRunning => NOT_RUNNING,
                ClientError::NotPermitted(_) => NOT_PERMITTED,
                _ => FAILED,
            })
        }
    }
}
