//! Gives a node another weight; hb_setweight(8).

use ha::ipc::node_command::{Command, main_of};
use std::process::ExitCode;

fn main() -> ExitCode {
    main_of(Command::Weight)
}
