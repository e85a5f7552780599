//! Scores, times, and truth values as the CIB writes them.

use crate::time::Duration;
use std::fmt;
use std::ops::{Add, Neg};

/// How much a resource wants a node; [`Score::INFINITY`] either way is a must.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Score(i32);

impl Score {
    /// 1,000,000, as in every version of Pacemaker.
    pub const INFINITY: Self = Self(1_000_000);
    pub const BANNED: Self = Self(-1_000_000);
    pub const ZERO: Self = Self(0);

    /// Clamped to the two infinities.
    pub fn new(value: i64) -> Self {
        let infinity = i64::from(Self::INFINITY.0);
        Self(i32::try_from(value.clamp(-infinity, infinity)).expect("the bounds fit"))
    }

    pub fn value(self) -> i32 {
        self.0
    }

    pub fn is_infinite(self) -> bool {
        self.0.abs() == Self::INFINITY.0
    }

    /// `None` when the word is no score; the CIB's readers then take 0.
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim();
        let (negative, bare) = match word.as_bytes().first() {
            Some(b'-') => (true, &word[1..]),
            Some(b'+') => (false, &word[1..]),
            _ => (false, word),
        };
        let size = if bare.eq_ignore_ascii_case("INFINITY") || bare.eq_ignore_ascii_case("inf") {
            Self::INFINITY
        } else if !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit()) {
            // More digits than a number holds are still a number, and a large one.
            bare.parse().map_or(Self::INFINITY, Self::new)
        } else {
            return None;
        };
        Some(if negative { -size } else { size })
    }
}

impl Neg for Score {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Add for Score {
    type Output = Self;
    /// A ban outweighs everything, then a must, then the sum.
    fn add(self, other: Self) -> Self {
        if self == Self::BANNED || other == Self::BANNED {
            Self::BANNED
        } else if self == Self::INFINITY || other == Self::INFINITY {
            Self::INFINITY
        } else {
            Self::new(i64::from(self.0) + i64::from(other.0))
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => f.write_str("INFINITY"),
            Self::BANNED => f.write_str("-INFINITY"),
            Self(value) => write!(f, "{value}"),
        }
    }
}

/// `www` of `www:0`, an instance of a clone.
pub fn plain(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

/// true/yes/on/1/y and false/no/off/0/n, in any case.
pub fn truth(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" => Some(true),
        "false" | "no" | "off" | "0" | "n" => Some(false),
        _ => None,
    }
}

/// A time of the CIB: `10`, `10s`, `500ms`, `2min`, `1h`, or ISO 8601's `PT1H30M`. A bare number is seconds.
pub fn interval(word: &str) -> Option<Duration> {
    let word = word.trim();
    if let Some(iso) = word.strip_prefix('P') {
        return iso_duration(iso);
    }
    let unit_at = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let number: u64 = word[..unit_at].parse().ok()?;
    let ms = match word[unit_at..].trim() {
        "" | "s" | "sec" => number.checked_mul(1000)?,
        "ms" | "msec" => number,
        "us" | "usec" => number / 1000,
        "m" | "min" => number.checked_mul(60_000)?,
        "h" | "hr" => number.checked_mul(3_600_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(ms))
}

/// What follows the `P`: `1DT2H3M4S`, `2W`. Years and months have no fixed length and are refused.
fn iso_duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut digits, mut of_day, mut any) = (0u64, String::new(), false, false);
    for c in text.chars() {
        let unit = match (c, of_day) {
            ('0'..='9', _) => {
                digits.push(c);
                continue;
            }
            ('T', false) if digits.is_empty() => {
                of_day = true;
                continue;
            }
            ('W', false) => 7 * 86_400,
            ('D', false) => 86_400,
            ('H', true) => 3600,
            ('M', true) => 60,
            ('S', true) => 1,
            _ => return None,
        };
        let number: u64 = std::mem::take(&mut digits).parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        any = true;
    }
    (any && digits.is_empty()).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores() {
        #[rustfmt::skip]
        let table: &[(&str, Option<&str>)] = &[
            ("100", Some("100")), ("-100", Some("-100")), ("+7", Some("7")), (" 0 ", Some("0")),
            ("INFINITY", Some("INFINITY")), ("+infinity", Some("INFINITY")), ("-INFINITY", Some("-INFINITY")),
            ("inf", Some("INFINITY")), ("-inf", Some("-INFINITY")), ("1000000", Some("INFINITY")),
            ("999999", Some("999999")), ("-99999999999999999999", Some("-INFINITY")),
            ("", None), ("-", None), ("ten", None), ("1.5", None), ("--1", None),
        ];
        for (word, printed) in table {
            assert_eq!(Score::parse(word).map(|s| s.to_string()).as_deref(), *printed, "{word}");
        }
    }

    #[test]
    fn adding() {
        let (inf, ban) = (Score::INFINITY, Score::BANNED);
        let n = Score::new;
        #[rustfmt::skip]
        let table = [
            (n(1), n(2), n(3)), (n(-5), n(2), n(-3)), (n(999_999), n(1), inf), (n(-999_999), n(-1), ban),
            (inf, n(-5), inf), (inf, ban, ban), (ban, ban, ban), (inf, inf, inf), (ban, n(7), ban),
        ];
        for (a, b, sum) in table {
            assert_eq!(a + b, sum, "{a} + {b}");
            assert_eq!(b + a, sum, "{b} + {a}");
        }
    }

    #[test]
    fn times() {
        #[rustfmt::skip]
        let table: &[(&str, Option<u64>)] = &[
            ("0", Some(0)), ("10", Some(10_000)), ("10s", Some(10_000)), ("10sec", Some(10_000)), ("500ms", Some(500)),
            ("2min", Some(120_000)), ("2m", Some(120_000)), ("1h", Some(3_600_000)), ("5000us", Some(5)),
            ("PT10S", Some(10_000)), ("PT2M", Some(120_000)), ("P1DT1H", Some(90_000_000)), ("P1W", Some(604_800_000)),
            ("", None), ("s", None), ("-5", None), ("10 parsecs", None), ("PT", None), ("P1M", None), ("PT5", None),
            ("P", None), ("99999999999999999999s", None),
        ];
        for (word, ms) in table {
            assert_eq!(interval(word).map(|d| d.as_millis() as u64), *ms, "{word}");
        }
    }

    #[test]
    fn truths() {
        for (word, value) in [
            ("TRUE", Some(true)),
            ("y", Some(true)),
            ("Off", Some(false)),
            ("0", Some(false)),
            ("2", None),
        ] {
            assert_eq!(truth(word), value, "{word}");
        }
    }
}
