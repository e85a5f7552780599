//! Runs resource scripts: own process group, closed descriptors, /dev/null on stdin, a time limit, captured output.
//!
//! * [`runner`]: the scripts that run now, and how each of them ends;
//! * [`left`]: those that the master before this one has left running;
//! * [`fence`]: STONITH devices: what they are asked to do, by the contract of each;
//! * [`find`]: where a script is looked for;
//! * [`output`]: what a script writes: the last of it kept, its lines logged;
//! * [`environment`]: the whole environment of scripts;
//! * [`rc`]: the scripts of rc.d, one at a time;
//! * [`ocf`]: OCF agents as resource scripts;
//! * [`manager`]: the verbs of ResourceManager, for work by hand.
//!
//! May use `sys`. Used by the master and by the commands. Promises: no call blocks on a script, no script runs for ever,
//! and every one that was started is reported exactly once.

pub mod environment;
pub mod fence;
pub mod find;
pub mod left;
pub mod manager;
pub mod ocf;
pub mod output;
pub mod rc;
pub mod runner;

pub use environment::script_env;
pub use runner::{Ended, Jobs, run_to_end};
