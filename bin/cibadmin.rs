//! The CIB, element by element; cibadmin(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    ha::crm::tool::main("cibadmin", ha::crm::admin::run)
}
