//! send_arp: announces an address. All of it is in [`ha::address::send_arp`].

use std::env;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(ha::address::send_arp::run(&args, &mut io::stdout(), &mut io::stderr()))
}
