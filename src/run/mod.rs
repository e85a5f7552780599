//! The drivers: what turns the pure machine into processes.
//!
//! * `start`: the command `heartbeat`: check, start, stop, reload, status
//! * `master`: root; opens media, runs scripts, keeps the state that outlives the core, starts the other two
//! * `core`: no rights; sockets, FIFOs and the clock around [`crate::daemon::Daemon`]
//! * `crmd`: the program crmd: a client, the agreement, the policy, and the door of the crm's tools
//! * `dopd`: the program dopd: the client API, a socket and `drbdadm` around [`crate::dopd::Dopd`]
//! * `heir`: root, asleep; becomes the master when that dies
//! * `lookout`: no right but raw packets; watches the service addresses on this machine and on the wire
//! * `client`: what becomes a program of a `respawn` line
//! * `respawn`: the master's care for these programs; `respawn_rules`, when they are started again; `respawn_file`,
//!   where the next master finds them
//! * `watchdog`: the device that resets the machine
//! * `lease`: the master renews the addresses of held groups
//! * `link`: what master and core say to each other
//! * `say`: what of that waits, and what gives way, while the other one does not read
//! * `access`: what the master does for clients of the API: names of `apiauth`, signals
//! * `node_files`: hostcache, delhostcache and hb_peers on disk
//! * `ipfail`: a client: the program around [`crate::ipfail`]
//! * `lrmd`: a client, root: the program lrmd, which runs agents, and the library to order things of it
//! * `monitor`: a client: the program hb_monitor around [`crate::checks`]
//! * `role`: which process this one is
//! * `logger`: one pipe that every process writes log lines into, one thread that writes them to disk
//! * `teller`, `status_file`: from the core's state to the file that cl_status reads when the daemon hangs
//! * `shelf`: the thread that writes the state files, because a disk may hang
//! * `state`: generation, uuid, pid file, held groups: files that survive a power cut
//!
//! Any one of them may die: the master starts the core again, the heir takes the master's place, the master
//! starts a new heir or lookout. Held groups stay up, peers see a new generation and nothing moves.

pub mod access;
pub mod client;
pub mod core;
pub mod crmd;
pub mod dopd;
pub mod heir;
pub mod ipfail;
mod lease;
pub mod link;
pub mod logger;
pub mod lookout;
pub mod lrmd;
pub mod master;
pub mod monitor;
pub mod node_files;
pub mod respawn;
pub mod respawn_file;
pub mod respawn_rules;
pub mod role;
mod say;
mod shelf;
pub mod start;
pub mod state;
pub mod status_file;
mod teller;
pub mod watchdog;
