//! OCF: an OCF agent as a resource of haresources. All of it is in [`ha::jobs::ocf`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(ha::jobs::ocf::main(&args))
}
