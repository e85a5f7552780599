//! What an exit code of the tools means; crm_error(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crm_error", ha::crm::node::crm_error)
}
