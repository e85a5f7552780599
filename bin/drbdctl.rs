//! drbdctl: shows and steers DRBD resources of a cluster; drbdctl(8). All of it is in [`ha::mirror::ctl`].

use ha::mirror::ctl;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = ctl::command().get_matches();
    ExitCode::from(ctl::run(&matches, &mut io::stdout(), &mut io::stderr()))
}
