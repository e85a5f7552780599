//! A line of a resource's history, and how what it tells of ended.

use crate::cib::Element;
use crate::time::{Duration, Wall};

/// A line of the history.
#[derive(Clone, Debug)]
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
        let number = |name: &str| e.get(name).and_then(|v| v.parse::<i64>().ok());
        let small = |name: &str, otherwise| number(name).and_then(|v| i32::try_from(v).ok()).unwrap_or(otherwise);
        let ms = |name: &str| Duration::from_millis(number(name).and_then(|v| u64::try_from(v).ok()).unwrap_or(0));
        let text = |name: &str| e.get(name).map(str::to_owned);
        // ACTION:TRANSITION:EXPECTED-RC:UUID
        let key = e.get("transition-key").unwrap_or_default();
        let expected = key.split(':').nth(2).and_then(|v| v.parse().ok());
        Self {
            operation: text("operation").unwrap_or_default(),
            interval: ms("interval"),
            call: number("call-id").unwrap_or(0),
            rc: small("rc-code", 0),
            status: small("op-status", 0),
            expected: expected.unwrap_or(0),
            at: Wall(
                number("last-rc-change")
                    .and_then(|v| u64::try_from(v).ok())
                    .unwrap_or(0),
            ),
            took: ms("exec-time"),
            reason: text("exit-reason").unwrap_or_default(),
            digest: text("op-digest"),
            force_restart: text("op-force-restart"),
            restart_digest: text("op-restart-digest"),
        }
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
