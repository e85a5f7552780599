//! Which of our processes this one is: told by environment variables, since the title of a process is for people.

use std::ops::Range;

/// `master`, `core`, `heir`, `lookout` or `client`; not there in a command.
pub const ROLE: &str = "HEARTBEAT_ROLE";
/// Set for a master that carries on after another one: how many descriptors it is left: its files,
/// the mark of the last beat, and perhaps the watchdog.
pub const RESUME: &str = "HEARTBEAT_RESUME";
/// Set, with `RESUME`, when the master before this one was stopping.
pub const STOPPING: &str = "HEARTBEAT_STOPPING";
/// Set, with `RESUME`, when descriptors with the output of scripts come after the others: the title of each, a line each.
pub const OUTPUTS: &str = "HEARTBEAT_OUTPUTS";
/// Set, with `RESUME`: generations that are taken from the disk and not used, as [`range`] reads them.
pub const GENERATIONS: &str = "HEARTBEAT_GENERATIONS";
/// Set when descriptor 3 waits to hear that the master runs.
pub const READY: &str = "HEARTBEAT_READY";
/// Set when log lines also go to standard error.
pub const FOREGROUND: &str = "HEARTBEAT_FOREGROUND";

/// What `ps` shows, in the classic's style.
pub const MASTER_TITLE: &str = "heartbeat: master control process";
pub const CORE_TITLE: &str = "heartbeat: core process";
pub const HEIR_TITLE: &str = "heartbeat: heir";
pub const LOOKOUT_TITLE: &str = "heartbeat: lookout";
pub const CLIENT_TITLE: &str = "heartbeat: client to be";

/// `FROM-END`, the end not among them.
pub fn range(text: &str) -> Option<Range<u64>> {
    let (from, end) = text.split_once('-')?;
    Some(from.parse().ok()?..end.parse().ok()?)
}
