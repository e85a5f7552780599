//! Time: our own `Instant`, the wall clock as a type of its own, and the time words of ha.cf.
//!
//! Pure. `Instant` counts milliseconds on the clock that also counts time asleep; only `sys::now()` makes
//! real ones, tests and the simulator make their own. The wall clock is for printing and for the `ts` field.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
pub use std::time::Duration;

/// A moment, in milliseconds since some fixed past.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// Later than every moment that will ever come.
    pub const NEVER: Self = Self(u64::MAX);

    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    /// Rounds the duration up to a millisecond: a timer is never early.
    fn add(self, d: Duration) -> Self {
        let ms = d.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// Zero when `earlier` is in fact later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds since 1970. For printing and for the `ts` field; nothing is decided with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Wall(pub u64);

/// Both clocks at one moment, handed to every pure machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    pub mono: Instant,
    pub wall: Wall,
}

/// Why a time word was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadTime(String);

impl fmt::Display for BadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not a time: write a number of seconds (2, 0.5) or add a unit (500ms, 2s, 800us)",
            self.0
        )
    }
}

/// A time as ha.cf writes it: a number, with or without a fraction, directly followed by `ms`, `us`, `s` or nothing
/// (seconds). `s` is ours; the classic program wants it left away.
pub fn parse_time(word: &str) -> Result<Duration, BadTime> {
    let bad = || BadTime(word.to_owned());
    let unit_at = word
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(word.len());
    let (number, unit) = word.split_at(unit_at);
    let scale_ns: u128 = match unit {
        "" | "s" | "sec" => 1_000_000_000,
        "us" | "usec" => 1_000,
        u if u == "ms" || u.starts_with("msec") => 1_000_000,
        _ => return Err(bad()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 9 || fraction.len() > 9 || fraction.contains('.') {
        return Err(bad());
    }
    let digits = |s: &str| {
        if s.is_empty() {
            Ok(0u128)
        } else {
            s.parse::<u128>().map_err(|_| bad())
        }
    };
    let tenth_power = 10u128.pow(fraction.len() as u32);
    let ns = (digits(whole)? * tenth_power + digits(fraction)?) * scale_ns / tenth_power;
    Ok(Duration::from_nanos(u64::try_from(ns).map_err(|_| bad())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_words() {
        #[rustfmt::skip]
        let table = [
            ("2",       Some(2_000_000)),
            ("0.5",     Some(500_000)),
            (".5",      Some(500_000)),
            ("500ms",   Some(500_000)),
            ("1500msec",Some(1_500_000)),
            ("800us",   Some(800)),
            ("10s",     Some(10_000_000)),
            ("0",       Some(0)),
            ("",        None),
            (".",       None),
            ("-1",      None),
            ("1.2.3",   None),
            ("5m",      None),
            ("ms",      None),
            ("9999999999", None),
        ];
        for (word, us) in table {
            assert_eq!(parse_time(word).ok().map(|d| d.as_micros()), us, "{word}");
        }
    }

    #[test]
    fn timers_round_up_and_never_underflow() {
        let t = Instant::from_millis(5);
        assert_eq!(t + Duration::from_micros(1), Instant::from_millis(6));
        assert_eq!(Instant::from_millis(1) - t, Duration::ZERO);
        assert_eq!(Instant::NEVER + Duration::from_secs(1), Instant::NEVER);
    }
}
