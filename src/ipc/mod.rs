//! FIFOs: the command FIFO, the conversation FIFOs of clients, and the client library of every tool.
//!
//! * [`command`]: one message into `/var/lib/heartbeat/fifo`, and the daemon's end of it;
//! * [`server`]: the daemon's ends of the conversations: sign-on, requests, bounded queues of replies;
//! * [`client`]: the other ends, for programs; [`questions`]: what they ask;
//! * [`relay`]: the log of a client program, in the log of heartbeat;
//! * [`outdater`]: the program drbd-peer-outdater, which asks dopd;
//! * [`cl_status`], [`mover`], [`message_command`], [`node_command`], [`meatclient`]: the programs cl_status, hb_standby and
//!   hb_takeover, hb_msg, hb_addnode and its like, meatclient;
//! * [`pid_file`]: whether heartbeat runs;
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
pub mod pid_file;
pub mod questions;
pub mod relay;
pub mod server;
mod watch;

pub use command::CommandFifo;
pub use server::{Server, ServerEvent};

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// A program of words: its arguments, where the daemon's FIFOs are, its output and its complaints; its exit code.
pub(crate) fn program(run: impl FnOnce(&[String], &Path, &mut dyn Write, &mut dyn Write) -> u8) -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let state = crate::paths::state();
    ExitCode::from(run(&args, &state, &mut io::stdout(), &mut io::stderr()))
}
