//! How Pacemaker 1.1 calls exit statuses, operations and roles.

use crate::policy::history::Entry;
use crate::policy::input::{Input, Primitive, R, Role};

/// What an agent's exit status means.
pub fn rc(rc: i32) -> &'static str {
    match rc {
        0 => "ok",
        1 => "unknown error",
        2 => "invalid parameter",
        3 => "unimplemented feature",
        4 => "insufficient privileges",
        5 => "not installed",
        6 => "not configured",
        7 => "not running",
        8 => "master",
        9 => "master (failed)",
        193 => "pending",
        _ => "unknown exec error",
    }
}

/// How an operation ended, apart from what the agent said.
pub fn status(status: i32) -> &'static str {
    match status {
        -1 => "pending",
        0 => "complete",
        1 => "Cancelled",
        2 => "Timed Out",
        3 => "NOT SUPPORTED",
        4 => "Error",
        5 => "Not installed",
        _ => "UNKNOWN!",
    }
}

/// Of a member of a master/slave set, `Slave` instead of `Started`.
pub fn role(input: &Input, r: R, role: Role) -> &'static str {
    match role {
        Role::Stopped => "Stopped",
        Role::Master => "Master",
        Role::Started | Role::Slave if input.is_promotable(r) => "Slave",
        Role::Started | Role::Slave => "Started",
    }
}

/// `ocf::heartbeat:IPaddr`, `lsb:httpd`.
pub fn agent(primitive: &Primitive) -> String {
    match &*primitive.provider {
        "" => format!("{}:{}", primitive.class, primitive.kind),
        provider => format!("{}::{provider}:{}", primitive.class, primitive.kind),
    }
}

/// `monitor` that is not repeated is a `probe`.
pub fn operation(entry: &Entry) -> &str {
    if entry.is_probe() { "probe" } else { &entry.operation }
}
