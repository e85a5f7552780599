//! Gives a node another weight; hb_setweight(8).

use ha::ipc::node_command::{Command, run};
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(run(
        Command::Weight,
        &args,
        &ha::paths::state(),
        &mut io::stdout(),
        &mut io::stderr(),
    ))
}
