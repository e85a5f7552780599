//! What a script writes: its last 4 KiB are kept for whoever asked, its lines go to the log, not too many of them.

use crate::time::{Duration, Instant};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// 4 KiB: a screenful, enough to see why a script failed.
pub const KEPT: usize = 4096;
/// A line longer than this is logged in pieces.
const LONGEST_LINE: usize = 1024;
/// Lines a second that one script may put into the log; the rest is counted.
const LINES_A_SECOND: u32 = 50;
/// Reads of one turn, together one full pipe: a script that never stops writing must not hold the caller.
const READS_A_TURN: usize = 16;

/// The reading end of a script's standard output and error.
#[derive(Debug)]
pub struct Output {
    /// `None` once every writer has closed it.
    pipe: Option<std::fs::File>,
    /// `resource NAME verb`, in front of each line.
    title: String,
    level: log::Level,
    kept: Vec<u8>,
    line: Vec<u8>,
    second: Instant,
    lines: u32,
    skipped: u32,
    /// Never shown.
    secrets: Vec<String>,
    keep: usize,
    /// The name of the FIFO it comes through; gone with the last who writes into it.
    file: Option<PathBuf>,
}

impl Output {
    pub fn new(now: Instant, pipe: OwnedFd, title: String, level: log::Level) -> Self {
        Self {
            pipe: Some(pipe.into()),
            title,
            level,
            kept: Vec::new(),
            line: Vec::new(),
            second: now,
            lines: 0,
            skipped: 0,
            secrets: Vec::new(),
            keep: KEPT,
            file: None,
        }
    }

    /// More than [`KEPT`] bytes of it.
    #[must_use]
    pub fn keeping(mut self, bytes: usize) -> Self {
        self.keep = bytes.max(KEPT);
        self
    }

    /// It comes through a FIFO of this name.
    #[must_use]
    pub fn through(mut self, file: Option<PathBuf>) -> Self {
        self.file = file;
        self
    }

    /// These words are left out of whatever is logged or kept.
    #[must_use]
    pub fn hiding(mut self, secrets: Vec<String>) -> Self {
        self.secrets = secrets;
        // The longest first: one may be a part of another.
        self.secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        self
    }

    fn clean(&self, text: &str) -> String {
        self.secrets
            .iter()
            .filter(|s| !s.is_empty())
            .fold(text.to_owned(), |text, s| text.replace(s.as_str(), "***"))
    }

    /// What to wait for; `None` at the end of the output.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    pub fn is_closed(&self) -> bool {
        self.pipe.is_none()
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    /// Reads what is there, at most a full pipe.
    pub fn read(&mut self, now: Instant) {
        let mut buffer = [0; 4096];
        for _ in 0..READS_A_TURN {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.close(),
                Ok(n) => self.take(now, &buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(e) => {
                    log::warn!("{}: reading its output: {e}", self.title);
                    self.close();
                }
            }
        }
    }

    /// Nothing more is read.
    pub fn close(&mut self) {
        self.pipe = None;
        if let Some(file) = self.file.take() {
            let _ = std::fs::remove_file(file);
        }
    }

    /// The last of it; what has no line end yet is logged too.
    pub fn finish(&mut self, now: Instant) -> String {
        self.end_of_line(now);
        self.tell_skipped();
        let kept = std::mem::take(&mut self.kept);
        let kept = self.clean(&String::from_utf8_lossy(&kept));
        // A character cut in two by the limit is at most three bytes of rubbish at the front.
        kept.trim_start_matches(char::REPLACEMENT_CHARACTER).to_owned()
    }

    fn take(&mut self, now: Instant, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        let excess = self.kept.len().saturating_sub(self.keep);
        self.kept.drain(..excess);
        for &b in bytes {
            if b != b'\n' {
                self.line.push(b);
            }
            if b == b'\n' || self.line.len() >= LONGEST_LINE {
                self.end_of_line(now);
            }
        }
    }

    fn end_of_line(&mut self, now: Instant) {
        let line = std::mem::take(&mut self.line);
        let text = self.clean(&String::from_utf8_lossy(&line));
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        if now - self.second >= Duration::from_secs(1) {
            self.tell_skipped();
            self.second = now;
            self.lines = 0;
        }
        self.lines += 1;
        if self.lines > LINES_A_SECOND {
            self.skipped = self.skipped.saturating_add(1);
        } else {
            // Terminal sequences of a script must not reach the terminal of whoever reads the log.
            let text: String = text
                .chars()
                .map(|c| if c.is_control() && c != '\t' { '?' } else { c })
                .collect();
            log::log!(self.level, "{}: {text}", self.title);
        }
    }

    fn tell_skipped(&mut self) {
        if self.skipped > 0 {
            let (level, title, skipped) = (self.level, &self.title, self.skipped);
            log::log!(level, "{title}: {skipped} more lines within a second, not logged");
            self.skipped = 0;
        }
    }
}
