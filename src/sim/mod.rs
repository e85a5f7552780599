//! A cluster of [`crate::daemon::Daemon`]s under a virtual clock: seeded network, machines, scripts and faults, and
//! the promises that must hold after every step.
//!
//! Pure: the same seed gives the same trace. For tests and for trying a configuration before it is used.
//!
//! * `plan`: what is simulated: configuration, chances, and the faults with their moments
//! * `incident`: the kinds of things that happen in a random plan, each with its end
//! * `schedule`: random plans by number, and what is left of a failing one
//! * `net`: who hears whom, with loss, delay, disorder, repetition and cuts
//! * `machine`: one machine: its daemon, its scripts, what is up on it
//! * `program`, `classic`: what runs on it: ours, or a model of heartbeat 3.0.6
//! * `cluster`: the clock, the queue of what is to come, one step after the other; faults, leases, questions in it
//! * `watch`: the promises; a broken one stops the run
//! * `trace`: the last steps, and a hash of all of them

mod classic;
pub mod cluster;
pub mod incident;
mod machine;
mod net;
pub mod plan;
mod program;
pub mod schedule;
mod trace;
mod watch;

pub use cluster::Sim;
pub use plan::{Config, Fault, Plan};
pub use schedule::Schedule;
