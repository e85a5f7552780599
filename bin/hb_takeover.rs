//! Takes resources from the other node; hb_takeover(8).

use ha::ipc::mover::{Command, run};
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(run(
        Command::Takeover,
        &args,
        &ha::paths::state(),
        &mut io::stdout(),
        &mut io::stderr(),
    ))
}
