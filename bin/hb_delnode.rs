//! Removes dead nodes from the running cluster; hb_delnode(8).

use ha::ipc::node_command::{Command, main_of};
use std::process::ExitCode;

fn main() -> ExitCode {
    main_of(Command::Delete)
}
