//! tickle_tcp: tells clients that their connections are gone. All of it is in [`ha::address::tickle`].

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let code = ha::address::tickle::run(&args, &mut io::stdin().lock(), &mut io::stdout(), &mut io::stderr());
    ExitCode::from(code)
}
