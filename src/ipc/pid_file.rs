//! Whether heartbeat runs here, by the file in which its master writes who it is.

use crate::paths;
use crate::sys::{files, process};
use std::fs;
use std::io;

/// The pid of the running master, if there is one.
pub fn running() -> Option<u32> {
    let pid = recorded()?;
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // A pid that went to another program after a crash does not count.
    (process::is_alive(pid) && title.starts_with(b"heartbeat")).then_some(pid)
}

pub fn recorded() -> Option<u32> {
    fs::read_to_string(paths::pid_file()).ok()?.trim().parse().ok()
}

/// Right aligned in 10 characters, as heartbeat 3.0.6 writes it.
pub fn write() -> io::Result<()> {
    files::put(
        &paths::pid_file(),
        format!("{:>10}\n", std::process::id()).as_bytes(),
        0o644,
        true,
    )
}

/// Removed at an orderly stop, so that `status` says "stopped" and not "dead".
pub fn remove() {
    let _ = fs::remove_file(paths::pid_file());
}
