//! Transient attributes of nodes; attrd_updater(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("attrd_updater", ha::crm::transient::attrd_updater)
}
