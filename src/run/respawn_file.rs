//! The file of the client programs that this node has started, for the master that comes after this one: it must find
//! them, and must not start a second copy.

use super::respawn_rules::Pace;
use crate::paths;
use crate::sys::{files, program};
use crate::time::Instant;
use std::fs;
use std::io;

/// What is known of one program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Process and the moment of its start; `None`: it is not to be started again.
    pub process: Option<(u32, u64)>,
    pub began: Instant,
    pub restarts: u64,
    pub pace: Pace,
    /// The line of ha.cf, blanks made one.
    pub line: String,
}

impl Entry {
    fn print(&self) -> String {
        let (pid, started) = self.process.unwrap_or((0, 0));
        let (began, restarts, fast) = (self.began.as_millis(), self.restarts, self.pace.fast);
        format!("{pid} {started} {began} {restarts} {fast} {}\n", self.line)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(6, ' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (pid, started, began, restarts, fast) = (number()?, number()?, number()?, number()?, number()?);
        Some(Self {
            process: (pid != 0).then_some((u32::try_from(pid).ok()?, started)),
            began: Instant::from_millis(began),
            restarts,
            pace: Pace {
                fast: u32::try_from(fast).ok()?,
            },
            line: words.next()?.to_owned(),
        })
    }
}

/// The first line says which boot the numbers are of.
pub fn write(entries: &[Entry]) -> io::Result<()> {
    let lines: String = entries.iter().map(Entry::print).collect();
    files::put(
        &paths::respawned(),
        format!("{}\n{lines}", program::boot()).as_bytes(),
        0o600,
        true,
    )
}

/// Empty when there is none, or when it is of another boot.
pub fn read() -> Vec<Entry> {
    let text = fs::read_to_string(paths::respawned()).unwrap_or_default();
    let mut lines = text.lines();
    if lines.next() != Some(&program::boot()) {
        return Vec::new();
    }
    lines.filter_map(Entry::parse).collect()
}

pub fn remove() {
    let _ = fs::remove_file(paths::respawned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for process in [Some((77, 123_456)), None] {
            let entry = Entry {
                process,
                began: Instant::from_millis(9),
                restarts: 3,
                pace: Pace { fast: 2 },
                line: "respawn hacluster /usr/lib/heartbeat/ipfail -x y".into(),
            };
            assert_eq!(Entry::parse(entry.print().trim_end()), Some(entry));
        }
        for bad in ["", "1 2 3 4 5", "x 2 3 4 5 respawn", "99999999999 2 3 4 5 respawn"] {
            assert_eq!(Entry::parse(bad), None, "{bad}");
        }
    }
}
