//! Runs the agents of a crm cluster; lrmd(8).

use clap::Command;
use ha::run::lrmd;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Prints --help and refuses everything else.
    Command::new("lrmd")
        .about("Runs the resource agents of a crm cluster on this node")
        .long_about(
            "Runs the resource agents of a crm cluster on this node, by order of crmd. \
             heartbeat starts both: write `crm on` in ha.cf of all nodes.",
        )
        .get_matches();
    ha::ipc::relay::init();
    match lrmd::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(end) => {
            eprintln!("lrmd: {end}");
            ExitCode::from(1)
        }
    }
}
