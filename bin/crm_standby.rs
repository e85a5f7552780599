//! Whether a node may have resources; crm_standby(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crm_standby", ha::crm::attribute::crm_standby)
}
