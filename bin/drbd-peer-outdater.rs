//! drbd-peer-outdater: DRBD's fence-peer handler. All of it is in [`ha::ipc::outdater`].

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(ha::ipc::outdater::run(&args, &mut io::stdout(), &mut io::stderr()))
}
