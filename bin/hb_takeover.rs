//! Takes resources from the other node; hb_takeover(8).

use ha::ipc::mover::{Command, main_of};
use std::process::ExitCode;

fn main() -> ExitCode {
    main_of(Command::Takeover)
}
