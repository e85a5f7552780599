//! Says at which site a node is; hb_setsite(8).

use ha::ipc::node_command::{Command, main_of};
use std::process::ExitCode;

fn main() -> ExitCode {
    main_of(Command::Site)
}
