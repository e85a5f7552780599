//! Makes nodes known to the running cluster; hb_addnode(8).

use ha::ipc::node_command::{Command, main_of};
use std::process::ExitCode;

fn main() -> ExitCode {
    main_of(Command::Add)
}
