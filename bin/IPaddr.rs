//! IPaddr, IPaddr2, IPv6addr: a service address as a resource. All of it is in [`ha::address`].

use ha::address::agent::Agent;
use std::env;
use std::io;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = env::args_os().map(|a| a.to_string_lossy().into_owned());
    let called = args.next().unwrap_or_default();
    let name = Path::new(&called).file_name().map(|n| n.to_string_lossy().into_owned());
    let args: Vec<String> = args.collect();
    let code = Agent {
        name: name.as_deref().unwrap_or("IPaddr"),
        env: &|variable| env::var(variable).ok(),
        out: &mut io::stdout(),
        err: &mut io::stderr(),
    }
    .run(&args);
    ExitCode::from(code)
}
