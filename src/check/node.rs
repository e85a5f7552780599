//! The name of this node.

use crate::ids::{BadName, NodeName};
use crate::{paths, sys};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why this machine has no node name.
#[derive(Debug)]
pub enum NoName {
    NodeInfo(PathBuf, BadName),
    Unreadable(PathBuf, io::Error),
    Uname(BadName),
    Os(io::Error),
}

impl fmt::Display for NoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeInfo(file, e) => write!(f, "{}:1: {e}; write the name of this node there", file.display()),
            Self::Unreadable(file, e) => write!(f, "{}: cannot be read: {e}", file.display()),
            Self::Uname(e) => write!(f, "host name: {e}; write the name of this node into nodeinfo"),
            Self::Os(e) => write!(f, "host name: cannot be asked for: {e}"),
        }
    }
}

impl std::error::Error for NoName {}

/// The first line of `nodeinfo` when there is one, else what `uname -n` prints.
pub fn node_name() -> Result<NodeName, NoName> {
    let file = paths::config().join("nodeinfo");
    match std::fs::read(&file) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let name = text.lines().next().unwrap_or("").trim();
            if !name.is_empty() {
                return name.parse().map_err(|e| NoName::NodeInfo(file, e));
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(NoName::Unreadable(file, e)),
    }
    sys::files::host_name()
        .map_err(NoName::Os)?
        .parse()
        .map_err(NoName::Uname)
}
