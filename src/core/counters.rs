//! Counts by cause, and few log lines a cause: at most one a second, and fewer while it goes on.

use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// A cause is logged at most once in this time. While it goes on, twice as long after each line, up to a minute.
const QUIET: Duration = Duration::from_secs(1);
const LONGEST_QUIET: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Count {
    total: u64,
    logged: Option<Instant>,
    quiet: Duration,
    /// The last time it came, logged or not.
    seen: Instant,
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

    /// Counts, and logs `what` unless this cause was logged a short while ago.
    pub fn complain(&mut self, now: Instant, level: log::Level, cause: &'static str, what: impl FnOnce() -> String) {
        let count = self.counts.entry(cause).or_default();
        count.total += 1;
        let pause = now - std::mem::replace(&mut count.seen, now);
        if count.logged.is_none() || pause >= count.quiet {
            // The first, or it had stopped.
            count.quiet = QUIET;
        } else if count.logged.is_some_and(|at| now - at < count.quiet) {
            count.unlogged += 1;
            return;
        } else {
            count.quiet = (count.quiet * 2).min(LONGEST_QUIET);
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

    fn logged(moments: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut c = Counters::default();
        let mut lines = Vec::new();
        for ms in moments {
            c.complain(Instant::from_millis(ms), log::Level::Warn, "bad", || {
                lines.push(ms);
                String::new()
            });
        }
        lines
    }

    #[test]
    fn everything_is_counted_but_logged_ever_more_seldom() {
        let table: &[(&[u64], &[u64])] = &[
            // comes at                      is logged at
            (&[0, 1, 999, 1000, 1001], &[0, 1000]),
            (&[0, 1000, 2000, 3000], &[0, 1000, 2000, 3000]),
            (&[0, 999, 1998, 2997, 3996], &[0, 1998]),
        ];
        for (moments, lines) in table {
            assert_eq!(logged(moments.iter().copied()), *lines, "{moments:?}");
        }
        // Without an end: 0, 1, 3, 7, 15, 31, 63, 123 s and so on.
        let lines = logged(0..600_000);
        assert_eq!(lines[..8], [0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000]);
        assert_eq!(lines.len(), 7 + (600 - 63) / 60);
        let mut c = Counters::default();
        for ms in 0..5 {
            c.complain(Instant::from_millis(ms), log::Level::Warn, "bad", String::new);
        }
        assert_eq!(c.list().collect::<Vec<_>>(), [("bad", 5)]);
    }
}
