//! Looks whether services still work, and has them restarted or moved; hb_monitor(8).

use clap::{Arg, ArgAction, Command};
use ha::ipc::client::ClientError;
use ha::ipc::relay;
use ha::run::monitor::{self, Cleared};
use std::process::ExitCode;

const FAILED: u8 = 1;
const WRONG_ARGUMENTS: u8 = 2;
const NOT_PERMITTED: u8 = 4;
const NOT_RUNNING: u8 = 7;

fn main() -> ExitCode {
    let matches = Command::new("hb_monitor")
        .about("Looks whether services still work, and has them restarted or moved")
        .long_about(
            "Looks whether services still work, and has them restarted in place or moved to the other node. \
             heartbeat starts it: write `respawn root /usr/lib/heartbeat/hb_monitor` in ha.cf of both nodes, \
             and what is to be looked at in /etc/ha.d/monitors.",
        )
        .arg(
            Arg::new("clear")
                .long("clear")
                .action(ArgAction::SetTrue)
                .help("Forget what failed on this node, so that it can have the groups again"),
        )
        .arg(
            Arg::new("GROUP")
                .requires("clear")
                .help("Only of this group, by its first resource"),
        )
        .get_matches();
    if matches.get_flag("clear") {
        return clear(matches.get_one::<String>("GROUP").map(String::as_str));
    }
    relay::init();
    match monitor::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn clear(only: Option<&str>) -> ExitCode {
    match monitor::clear(only) {
        Ok(Cleared::Groups(groups)) => {
            if groups.is_empty() {
                println!("nothing has failed here");
            }
            for group in groups {
                println!("{group}");
            }
            ExitCode::SUCCESS
        }
        Ok(Cleared::Unknown { known }) => {
            let name = only.unwrap_or("");
            eprintln!(
                "hb_monitor: {name}: there is no such group; there are {}",
                known.join(", ")
            );
            ExitCode::from(WRONG_ARGUMENTS)
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &ClientError) -> ExitCode {
    eprintln!("hb_monitor: {error}");
    ExitCode::from(match error {
        ClientError::NotRunning => NOT_RUNNING,
        ClientError::NotPermitted(_) => NOT_PERMITTED,
        _ => FAILED,
    })
}
