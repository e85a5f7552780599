//! Shows and changes resources; crm_resource(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("crm_resource", ha::crm::resource::run)
}
