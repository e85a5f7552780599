//! The state of the cluster, once or as it changes; crm_mon(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crm_mon", ha::crm::mon::run)
}
