//! Counts by cause, and at most one log line a cause and second.

use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// A cause is logged at most once in this time.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Count {
    total: u64,
    logged: Option<Instant>,
    unlogged: u64,
}

#[derive(Debug, Default)]
pub struct Counters {
    counts: BTreeMap<&'static str, Count>,
}

impl Counters {
    pub fn add(&mut self, cause: &'static str) {
        self.counts.entry(cause).or_default().total += 1;
    }

    /// Counts, and logs `what` unless this cause was logged within the last second.
    pub fn complain(&mut self, now: Instant, level: log::Level, cause: &'static str, what: impl FnOnce() -> String) {
        let count = self.counts.entry(cause).or_default();
        count.total += 1;
        if count.logged.is_some_and(|at| now - at < QUIET) {
            count.unlogged += 1;
            return;
        }
        let what = what();
        match count.unlogged {
            0 => log::log!(level, "{what}"),
            n => log::log!(level, "{what} ({n} more like it since the last such line)"),
        }
        count.logged = Some(now);
        count.unlogged = 0;
    }

    pub fn list(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.counts.iter().map(|(name, c)| (*name, c.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_but_logged_once_a_second() {
        let mut c = Counters::default();
        let mut lines = 0;
        for ms in [0, 1, 999, 1000, 1001] {
            c.complain(Instant::from_millis(ms), log::Level::Warn, "bad", || {
                lines += 1;
                String::new()
            });
        }
        assert_eq!((lines, c.list().collect::<Vec<_>>()), (2, vec![("bad", 5)]));
    }
}
