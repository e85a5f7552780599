//! Runs resource scripts: own process group, closed descriptors, /dev/null on stdin, a time limit, captured output.
//!
//! Used by the master only.

use crate::groups::job::{Command, Outcome};
use crate::ids::JobId;
use crate::time::Instant;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// A script that has ended.
#[derive(Debug)]
pub struct Ended {
    pub job: JobId,
    pub command: Command,
    pub outcome: Outcome,
}

/// The scripts that run now.
#[derive(Debug)]
pub struct Jobs {}

impl Jobs {
    /// `places` are the directories where scripts are looked for, in order; `env` is the whole environment of scripts.
    pub fn new(_places: Vec<PathBuf>, _env: Vec<(String, String)>) -> Self {
        unimplemented!()
    }

    pub fn set_env(&mut self, _env: Vec<(String, String)>) {
        unimplemented!()
    }

    /// Starts a script. When it cannot be started at all, `tick` reports it as ended at once.
    pub fn start(&mut self, _now: Instant, _job: JobId, _command: Command) {
        unimplemented!()
    }

    /// The descriptors to wait for.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        unimplemented!()
    }

    /// Reads what the scripts wrote, sends due signals and reports what has ended. Never blocks; call it whenever a
    /// descriptor is readable, after SIGCHLD, and at `deadline()`.
    pub fn tick(&mut self, _now: Instant) -> Vec<Ended> {
        unimplemented!()
    }

    pub fn deadline(&self) -> Instant {
        unimplemented!()
    }

    pub fn running(&self) -> usize {
        unimplemented!()
    }
}
