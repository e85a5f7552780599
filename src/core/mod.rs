//! The message layer: who is there, over which links, and that every numbered message arrives.
//!
//! Pure. [`Core`] takes packets and time, and leaves two lists: `Send` actions for the media and [`Up`] events for the
//! resource manager and the clients. The rules are those of heartbeat 3.0.6, except where its way is a known fault
//! (each such place says so).
//!
//! * `layer`: the machine itself: timers, beats, death; what else it is asked
//! * `receive`: from bytes to believed messages: signature, generation, number
//! * `send`: numbering, signing, history, retransmission
//! * `membership`: the way from `init` to `active`: waiting for all, `reqnodes`
//! * `table`: nodes that come and go; what is remembered of them
//! * `knock`: how a node that was given up is found again between the beats
//! * `ping`: the nodes outside that are only asked for an echo
//! * `node`, `window`, `tally`, `history`: what is known of a node, its numbers, its losses, our own sent messages
//! * `flow`: how much clients may send
//! * `guard`: whether a medium is flooded, and what the kernel shall let through then
//! * `counters`, `random`: counts with rate-limited log lines; repeatable delays

pub mod counters;
mod flow;
pub mod guard;
pub mod history;
mod knock;
pub mod layer;
mod membership;
pub mod node;
pub mod ping;
pub mod random;
mod receive;
mod send;
mod table;
pub mod tally;
pub mod window;

#[cfg(test)]
mod tests;

pub use layer::{Core, Up, Worth};
pub use node::NodeStatus;
pub use table::{COMMANDS as NODE_COMMANDS, Table};
