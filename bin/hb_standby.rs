//! Gives resources of this node to the other one; hb_standby(8).

use ha::ipc::mover::{Command, main_of};
use std::process::ExitCode;

fn main() -> ExitCode {
    main_of(Command::Standby)
}
