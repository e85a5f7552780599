//! Attributes of the cluster and its nodes; crm_attribute(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crm_attribute", ha::crm::attribute::crm_attribute)
}
