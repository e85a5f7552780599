//! The v1 resource manager: who holds which group of haresources.
//!
//! Pure. The truth about a group is with the node that runs it: every message of the resource manager carries what its
//! sender *claims* (`hb_groups`), newest message wins, and everything else follows from the claims:
//!
//! * a group that no live node claims is an *orphan*; [`place::choose`] says who starts it, the same on every node;
//! * a group that two nodes claim (a healed partition, a node that was frozen) is kept by [`place::keeper`] and stopped by
//!   the other; nothing else moves;
//! * a *handover* keeps the claim as `moving=TAKER` until the taker claims the group, so that it is never an orphan on the
//!   way, whichever of the two dies.
//!
//! Towards a classic peer, which knows only the sets `local` and `foreign`, the messages of heartbeat 3.0.6 (`starting`,
//! `resource`, `ask_resources`, `shutdone`, `hb_takeover`, `ip-request`) carry the same decisions.
//!
//! * `manager`: the machine: events in, orders out
//! * `events`, `ended`: what nodes and scripts did; `orphans`, `conflicts`: nobody has a group, two have it
//! * `report`: what it looks like from outside
//! * `messages`: what the nodes say to each other, both ways
//! * `handover`: planned moves: standby, takeover, failback
//! * `takeover`: `hb_takeover` of this node, until it has what it wants
//! * `fencing`: a node that died is switched off before its groups are taken over
//! * `repair`: a group that does not work any more is restarted in place, or given up
//! * `lease`: the kernel keeps addresses only as long as this node beats and its master answers
//! * `inquiry`: whether somebody answers for the addresses of a group that no node has
//! * `lookout`: what is seen of our addresses on this machine and on the wire, and what is done about it
//! * `tickle`: the connections of service addresses, for the next owner
//! * `waking`: a node that was stopped for long serves again when it knows what the others have
//! * `group`: one group and its scripts: acquire left to right, release right to left
//! * `peer`, `set`, `place`: what is known of a peer; the classic's sets; the two decisions
//! * `job`: a script run, as ordered and as ended

mod conflicts;
mod ended;
mod events;
pub mod fencing;
pub mod group;
mod handover;
mod inquiry;
pub mod job;
pub mod lease;
pub mod lookout;
#[cfg(test)]
mod lookout_tests;
pub mod manager;
pub mod messages;
mod orphans;
pub mod peer;
pub mod place;
pub mod repair;
mod report;
pub mod set;
mod takeover;
pub mod tickle;
mod waking;

#[cfg(test)]
mod tests;

pub use manager::{Groups, Order};
pub use set::Set;
