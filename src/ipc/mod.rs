//! FIFOs: the command FIFO, the conversation FIFOs of clients, and the client library of every tool.
//!
//! * [`command`]: one message into `/var/lib/heartbeat/fifo`, and the daemon's end of it;
//! * [`server`]: the daemon's ends of the conversations: sign-on, requests, bounded queues of replies;
//! * [`client`]: the other ends, for programs; [`questions`]: what they ask;
//! * [`outdater`]: the program drbd-peer-outdater, which asks dopd;
//! * [`cl_status`], [`mover`], [`message_command`], [`node_command`]: the programs cl_status, hb_standby and hb_takeover,
//!   hb_msg, hb_addnode and its like;
//! * `watch`, `last_state`: cl_status on the whole terminal; the status file it falls back to.
//!
//! May use `sys`, `msg`, `paths`. Promises the daemon that no client, however slow, dead or hostile, makes it wait or
//! use more than a bounded amount of memory.

pub mod cl_status;
pub mod client;
pub mod command;
mod last_state;
pub mod meatclient;
pub mod message_command;
pub mod mover;
pub mod node_command;
pub mod outdater;
pub mod questions;
pub mod server;
mod watch;

pub use command::CommandFifo;
pub use server::{Server, ServerEvent};
