//! dopd: has the peer's copy of a DRBD resource marked outdated, over the links of heartbeat.
//!
//! * [`machine`]: what dopd does: requests of `drbd-peer-outdater`, messages of other dopds, ends of `drbdadm`;
//! * [`outcome`]: the numbers that DRBD wants to hear from its fence-peer handler, and what `drbdadm` said;
//! * [`frame`]: the messages on the socket between `drbd-peer-outdater` and dopd;
//! * [`name`]: names of DRBD resources; `peers`: what is known of the other nodes.
//!
//! Pure. Promises: every request is answered once, within its time; 5 ("cannot be reached, is taken for dead") is said
//! only of nodes that are not in the cluster or have left it; and no name from outside becomes anything but one
//! argument of `drbdadm`.

pub mod frame;
pub mod machine;
pub mod name;
pub mod outcome;
mod peers;
#[cfg(test)]
mod tests;

pub use machine::{Action, Dopd, Event};
pub use name::DrbdName;
pub use outcome::Outcome;

/// The name that dopd signs on with, on every node.
pub const CLIENT: &str = "dopd";

/// Words of heartbeat 3.0.6; those marked "ours" are not known there, and not missed by us when they are not there.
pub mod word {
    /// A request on the socket, and its answer.
    pub const OUTDATER: &str = "outdater";
    pub const OUTDATER_RC: &str = "outdater_rc";
    pub const OUTDATER_PEER: &str = "outdater_peer";
    pub const OUTDATER_RES: &str = "outdater_res";
    /// Ours: how long the asker waits, in milliseconds.
    pub const OUTDATER_TIMEOUT: &str = "outdater_timeout";
    /// Between two dopds.
    pub const START_OUTDATE: &str = "start_outdate";
    pub const OUTDATE_RC: &str = "outdate_rc";
    pub const DOP_RES: &str = "dop_res";
    pub const DOP_VALUE: &str = "dop_value";
    /// Ours: which request it is; comes back in the answer.
    pub const DOP_ID: &str = "dop_id";
    /// Ours: how long there is time for it, in milliseconds.
    pub const DOP_LIMIT: &str = "dop_limit";
}
