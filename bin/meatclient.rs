//! Says that a node has been switched off by hand; meatclient(8).

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(ha::ipc::meatclient::run(
        &args,
        &ha::paths::state(),
        &mut io::stdin().lock(),
        &mut io::stdout(),
        &mut io::stderr(),
    ))
}
