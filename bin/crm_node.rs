//! The nodes of the cluster; crm_node(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crm_node", ha::crm::node::crm_node)
}
