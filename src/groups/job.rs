//! A script run: what the resource manager orders, and what comes back.

use crate::conf::ResourceSpec;
use crate::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verb {
    Start,
    Stop,
    Status,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Status => "status",
        }
    }
}

/// `SCRIPT args… VERB`, the action last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    pub resource: ResourceSpec,
    pub verb: Verb,
    /// After this: SIGTERM to the process group, later SIGKILL.
    pub limit: Duration,
}

/// How a script ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// Killed because it took longer than its limit.
    TimedOut,
    /// There is no such script, or it cannot be executed: the sentence says where was looked.
    CannotRun(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    pub exit: Exit,
    /// The last 4 KiB of its standard output and error.
    pub output: String,
    pub took: Duration,
}
