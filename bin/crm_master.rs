//! Promotion scores, for agents; crm_master(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crm_master", ha::crm::transient::crm_master)
}
