//! The files of a site: text in, typed value and *all* complaints out.
//!
//! * [`ha_cf`], [`haresources`], [`authkeys`], [`monitors`]: a file each; `complaints`: what their parsers share;
//! * [`hostcache`], [`lives`]: what a node remembers of the others;
//! * [`access`]: who may sign on under which name.
//!
//! Pure: nothing here looks at the disk or at the machine; what only the machine can tell (does the interface exist, is
//! the program executable) is asked in `check`. Every complaint names file and line, what is wrong and what to write.

pub mod access;
pub mod authkeys;
mod complaints;
pub mod ha_cf;
pub mod haresources;
pub mod hostcache;
pub mod lives;
pub mod monitors;

pub use access::{Accounts, ApiAuth};
pub(crate) use complaints::{Complaints, lines};
pub use ha_cf::{
    AutoFailback, Autojoin, ClientLine, FenceDevice, FenceKind, FenceParameters, HaCf, IfAnswered, MediumKind,
    MediumSpec, NodeSpec,
};
pub use haresources::{GroupSpec, Haresources, ResourceSpec};
pub use monitors::{CheckKind, CheckSpec, GroupMonitor, Monitors, Repair};

use std::fmt;
use std::path::PathBuf;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    Warning,
    /// The daemon does not start with it, and does not reload it.
    Error,
}

/// One thing wrong with one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    pub file: PathBuf,
    /// From 1; 0 when it is about the whole file.
    pub line: usize,
    pub severity: Severity,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning: ",
            Severity::Error => "",
        };
        match self.line {
            0 => write!(f, "{}: {word}{}", self.file.display(), self.message),
            n => write!(f, "{}:{n}: {word}{}", self.file.display(), self.message),
        }
    }
}

/// What reading a file gave. `value` is there exactly when no complaint is an error.
#[derive(Debug)]
pub struct Parsed<T> {
    pub value: Option<T>,
    pub complaints: Vec<Complaint>,
}
