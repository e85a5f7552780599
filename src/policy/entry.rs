//! A line of a resource's history, and how what it tells of ended.

use crate::cib::Element;
use crate::time::{Duration, Wall};

/// A line of the history. What a line does not say is 0, or empty.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub operation: String,
    pub interval: Duration,
    pub call: i64,
    pub rc: i32,
    pub status: i32,
    pub expected: i32,
    pub at: Wall,
    pub took: Duration,
    pub reason: String,
    pub(super) digest: Option<String>,
    pub(super) force_restart: Option<String>,
    pub(super) restart_digest: Option<String>,
}

pub const PENDING: i32 = -1;
pub(super) const NOT_RUNNING: i32 = 7;
pub(super) const MASTER: i32 = 8;
pub(super) const FAILED_MASTER: i32 = 9;

impl Entry {
    pub fn read(e: &Element) -> Self {
        let ms = |value: &str| Duration::from_millis(value.parse().unwrap_or(0));
        let mut entry = Self::default();
        // There are thousands of them with a dozen attributes each: one walk.
        for (name, value) in &e.attributes {
            let text = || value.to_owned();
            match name {
                "operation" => entry.operation = text(),
                "interval" => entry.interval = ms(value),
                "call-id" => entry.call = value.parse().unwrap_or(0),
                "rc-code" => entry.rc = value.parse().unwrap_or(0),
                "op-status" => entry.status = value.parse().unwrap_or(0),
                // ACTION:TRANSITION:EXPECTED-RC:UUID
                "transition-key" => {
                    entry.expected = value.split(':').nth(2).and_then(|v| v.parse().ok()).unwrap_or(0);
                }
                "last-rc-change" => entry.at = Wall(value.parse().unwrap_or(0)),
                "exec-time" => entry.took = ms(value),
                "exit-reason" => entry.reason = text(),
                "op-digest" => entry.digest = Some(text()),
                "op-force-restart" => entry.force_restart = Some(text()),
                "op-restart-digest" => entry.restart_digest = Some(text()),
                _ => {}
            }
        }
        entry
    }

    pub fn is_probe(&self) -> bool {
        self.operation == "monitor" && self.interval.is_zero()
    }
}

/// How an entry ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Pending,
    Good,
    Soft,
    /// Never again on this node.
    Hard,
    /// Never again anywhere.
    Fatal,
}

pub(super) fn outcome(e: &Entry) -> Outcome {
    let recurring = !e.interval.is_zero();
    if e.status == PENDING {
        return Outcome::Pending;
    }
    // Killed, timed out, lost: what the agent said does not count.
    if ![0, 4, 5, 6, 7].contains(&e.status) {
        return if e.status == 3 && !recurring {
            Outcome::Hard
        } else {
            Outcome::Soft
        };
    }
    match e.rc {
        rc if rc == e.expected => Outcome::Good,
        0 | NOT_RUNNING | MASTER if e.is_probe() => Outcome::Good,
        2 | 4 | 5 => Outcome::Hard,
        3 if !recurring => Outcome::Hard,
        6 => Outcome::Fatal,
        _ => Outcome::Soft,
    }
}
