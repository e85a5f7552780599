//! drbddisk: the resource script of a DRBD device; drbddisk(8). All of it is in [`ha::mirror::disk`].

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(ha::mirror::disk::run(&args, &mut io::stdout()))
}
