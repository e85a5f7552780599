//! Asks the heartbeat of this node; cl_status(1).

use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let outcome = ha::ipc::cl_status::run(&args, &ha::paths::state());
    // A closed pipe is the reader's decision: the exit code still tells the answer.
    let _ = io::stdout().write_all(outcome.out.as_bytes());
    let _ = io::stderr().write_all(outcome.err.as_bytes());
    ExitCode::from(outcome.code)
}
