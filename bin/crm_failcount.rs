//! How often a resource has failed on a node; crm_failcount(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crm_failcount", ha::crm::transient::crm_failcount)
}
