//! The log of a client program, in the log of heartbeat: lines wait here until [`flush`] hands them to the daemon.
//!
//! A program that `respawn` starts runs as a user who may write no log file, and its standard error is /dev/null.

use super::client::{Client, ClientError};
use crate::time::Duration;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::{Condvar, Mutex};

/// While the daemon does not answer, the newest lines are kept.
const MAX_LINES: usize = 200;

struct Relay {
    lines: Mutex<VecDeque<(Level, String)>>,
    more: Condvar,
    /// Started by hand: whoever did it is to see it too.
    by_hand: bool,
}

static RELAY: std::sync::OnceLock<Relay> = std::sync::OnceLock::new();

impl Log for Relay {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        if self.by_hand {
            eprintln!("{text}");
        }
        // A thread that panicked in the middle of a push has left whole lines.
        let mut lines = self.lines.lock().unwrap_or_else(|e| e.into_inner());
        if lines.len() >= MAX_LINES {
            lines.pop_front();
        }
        lines.push_back((record.level(), text));
        self.more.notify_all();
    }

    fn flush(&self) {}
}

/// To be called once, by the program itself.
pub fn init() {
    let relay = RELAY.get_or_init(|| Relay {
        lines: Mutex::default(),
        more: Condvar::new(),
        by_hand: std::io::stderr().is_terminal(),
    });
    if log::set_logger(relay).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// Waits until there is a line, at most so long: for a thread that does nothing else.
pub fn wait_for_lines(limit: Duration) {
    if let Some(relay) = RELAY.get() {
        let lines = relay.lines.lock().unwrap_or_else(|e| e.into_inner());
        let waited = relay.more.wait_timeout_while(lines, limit, |lines| lines.is_empty());
        drop(waited.unwrap_or_else(|e| e.into_inner()));
    }
}

/// Lines that wait.
pub fn waiting() -> usize {
    RELAY
        .get()
        .map_or(0, |r| r.lines.lock().unwrap_or_else(|e| e.into_inner()).len())
}

/// Hands over what waits.
pub fn flush(client: &mut Client) -> Result<(), ClientError> {
    let Some(relay) = RELAY.get() else { return Ok(()) };
    loop {
        let line = relay.lines.lock().unwrap_or_else(|e| e.into_inner()).pop_front();
        let Some((level, text)) = line else { return Ok(()) };
        match client.log(level, &text) {
            // Too many lines: the daemon says how many it left out.
            Ok(()) | Err(ClientError::Refused { .. }) => {}
            Err(e) => return Err(e),
        }
    }
}
