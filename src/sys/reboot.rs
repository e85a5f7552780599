//! Ending this machine at once: nothing is written, nobody is asked.

use nix::sys::reboot::{RebootMode, reboot};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// Inode of the first pid namespace of every kernel (PROC_PID_INIT_INO).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Reboots; comes back only when it may not. In a pid namespace of its own (a container, a node of a lab) the kernel ends
/// that namespace instead, which is the same to whoever is inside.
pub fn now() -> io::Error {
    let why: io::Error = match reboot(RebootMode::RB_AUTOBOOT) {
        Err(e) => e.into(),
        Ok(never) => match never {},
    };
    // Only where it can hit nobody else: this file knows no namespaces.
    let alone = fs::metadata("/proc/self/ns/pid").is_ok_and(|m| m.ino() == FIRST_PID_NAMESPACE);
    if alone && fs::write("/proc/sysrq-trigger", "b").is_ok() {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    why
}
