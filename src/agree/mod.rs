//! The nodes of a crm agree: on who is a member, on who gives the orders (the DC), and on one CIB.
//!
//! * `partition`: who hears whom in, sets of nodes that all hear one another out;
//! * `hearing`: every node tells whom it hears, and passes on what it was told; a set becomes a view when all its members
//!   name the same list and number;
//! * `claim`: which of the members' CIBs is the cluster's;
//! * `change`: one transaction on its way, and those that were made lately, so that none is made twice;
//! * `mark`: what a node must remember beside its CIB: up to where a partition with quorum has committed it;
//! * `node_state`: what the DC writes of the nodes;
//! * `chair`: the DC's part; `seat`: every member's part, the DC's included;
//! * `submit`: this node's own changes until they are answered; `parts`: what is too long for one message;
//! * `machine`: all of it as one machine: event in, actions out, in the words of `types`.
//!
//! Pure. Messages may be lost, repeated or come late; what matters is sent again until it is answered. What it promises:
//!
//! * the members of a view hear one another, both ways, and a node is in one view at a time;
//! * while nothing changes no view changes;
//! * a change is answered when every member of the view has it (on disk, when it is of the configuration); one that was
//!   answered in a partition with quorum is in every later partition with quorum; none is made twice.
//!
//! Why the second half of that holds: two partitions with quorum share a node. It kept what it acknowledged, and its
//! [`Mark`] is higher than that of any CIB that lacks it, whatever the versions say.

mod chair;
mod change;
mod claim;
mod hearing;
mod machine;
mod mark;
mod node_state;
mod partition;
mod parts;
mod seat;
mod submit;
mod types;

pub use machine::Agree;
pub use mark::Mark;
pub use types::{Action, Committed, Configured, Event, Lost, Refused, Settings, View};

#[cfg(test)]
mod tests;
