//! Asks the controllers of the cluster; crmadmin(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crmadmin", ha::crm::node::crmadmin)
}
