//! Says what is wrong with a configuration; crm_verify(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crm_verify", ha::crm::verify::run)
}
