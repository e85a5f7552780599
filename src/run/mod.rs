//! The drivers: what turns the pure machine into processes.
//!
//! * `start`: the command `heartbeat`: check, start, stop, reload, status
//! * `master`: root; opens media, runs scripts, keeps the state that outlives the core, starts the other two
//! * `core`: no rights; sockets, FIFOs and the clock around [`crate::daemon::Daemon`]
//! * `heir`: root, asleep; becomes the master when that dies
//! * `link`: what master and core say to each other
//! * `role`: which process this one is
//! * `logger`: one pipe that every process writes log lines into, one thread that writes them to disk
//! * `teller`, `status_file`: from the core's state to the file that cl_status reads when the daemon hangs
//! * `state`: generation, uuid, pid file, held groups: files that survive a power cut
//!
//! Any one of the three may die: the master starts the core again, the heir takes the master's place, the master
//! starts a new heir. Held groups stay up, peers see a new generation and nothing moves.

pub mod core;
pub mod heir;
pub mod link;
pub mod logger;
pub mod master;
pub mod role;
pub mod start;
mod state;
mod status_file;
mod teller;
