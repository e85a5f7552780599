//! Sequence numbers of one peer within one generation: what is new, what is a repetition, what is missing.

use crate::ids::Seq;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A jump of more than this restarts the counting, as in heartbeat 3.0.6.
pub const MAX_GAP: u64 = 250;
/// At most this many numbers are remembered as missing, as in heartbeat 3.0.6 (from source).
pub const MAX_MISSING: usize = 500;

/// After so many requests for a number without an answer, the pause is eight times as long.
const EAGER: u32 = 8;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The next number, or the first of all.
    Next,
    /// New, and `missing` numbers before it have not come.
    AfterGap { missing: u64 },
    /// One of the missing numbers; `complete` when it was the last of them.
    Late { complete: bool },
    /// The newest number once more: normal with several media.
    Again,
    /// Older than the newest and not missing: a repetition.
    Old,
    /// A jump too large to repair; counting starts anew here.
    Jump { lost: u64 },
}

/// When the next request for a missing number is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask {
    pub due: Instant,
    pub asked: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Window {
    last: Option<Seq>,
    missing: BTreeMap<Seq, Ask>,
}

impl Window {
    /// Judges `seq` and takes note of it. Numbers found missing before it are first asked for at `due`.
    pub fn judge(&mut self, seq: Seq, due: Instant) -> Verdict {
        let Some(last) = self.last else {
            self.last = Some(seq);
            return Verdict::Next;
        };
        if seq == last {
            return Verdict::Again;
        }
        if seq < last {
            return match self.missing.remove(&seq) {
                Some(_) => Verdict::Late {
                    complete: self.missing.is_empty(),
                },
                None => Verdict::Old,
            };
        }
        self.last = Some(seq);
        let missing = seq.0 - last.0 - 1;
        if missing == 0 {
            return Verdict::Next;
        }
        if missing > MAX_GAP {
            self.missing.clear();
            return Verdict::Jump { lost: missing };
        }
        for n in last.0 + 1..seq.0 {
            self.missing.insert(Seq(n), Ask { due, asked: 0 });
        }
        while self.missing.len() > MAX_MISSING {
            self.missing.pop_first();
        }
        Verdict::AfterGap { missing }
    }

    /// [`Self::judge`] would call it old; takes no note of anything.
    pub fn is_old(&self, seq: Seq) -> bool {
        self.last.is_some_and(|last| seq < last) && !self.missing.contains_key(&seq)
    }

    /// Starts counting at `seq`: everything up to it counts as seen.
    pub fn restart_at(&mut self, seq: Seq) {
        self.last = Some(seq);
        self.missing.clear();
    }

    /// The peer no longer has this number. True when it was missing here.
    pub fn give_up(&mut self, seq: Seq) -> bool {
        self.missing.remove(&seq).is_some()
    }

    pub fn forget_missing(&mut self) {
        self.missing.clear();
    }

    pub fn last(&self) -> Option<Seq> {
        self.last
    }

    pub fn has_gaps(&self) -> bool {
        !self.missing.is_empty()
    }

    pub fn first_missing(&self) -> Option<Seq> {
        self.missing.first_key_value().map(|(seq, _)| *seq)
    }

    /// The highest number before which nothing is missing.
    pub fn gap_free(&self) -> Option<Seq> {
        match self.missing.first_key_value() {
            Some((first, _)) => Some(Seq(first.0 - 1)),
            None => self.last,
        }
    }

    /// Earliest moment at which something is to be asked for.
    pub fn deadline(&self) -> Instant {
        self.missing.values().map(|a| a.due).min().unwrap_or(Instant::NEVER)
    }

    /// The numbers whose request is due, at most `limit`, neighbours in one range: who slept for minutes asks a few times
    /// and not once a number. Each is scheduled again at `again`, later when it was asked for often: a peer that cannot
    /// hear us must not be asked four times a second for ever.
    pub fn due(&mut self, now: Instant, again: Instant, limit: usize) -> Vec<RangeInclusive<u64>> {
        let mut out: Vec<RangeInclusive<u64>> = Vec::new();
        for (seq, ask) in self.missing.iter_mut().filter(|(_, ask)| ask.due <= now).take(limit) {
            ask.asked += 1;
            ask.due = if ask.asked < EAGER {
                again
            } else {
                again + (again - now) * 7
            };
            match out.last_mut() {
                Some(range) if range.end() + 1 == seq.0 => *range = *range.start()..=seq.0,
                Some(_) | None => out.push(seq.0..=seq.0),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn verdicts() {
        #[rustfmt::skip]
        let table = [
            // seen before      next   verdict
            (vec![],            7,     Verdict::Next),
            (vec![1],           2,     Verdict::Next),
            (vec![1, 2],        2,     Verdict::Again),
            (vec![1, 2],        1,     Verdict::Old),
            (vec![1],           4,     Verdict::AfterGap { missing: 2 }),
            (vec![1, 4],        2,     Verdict::Late { complete: false }),
            (vec![1, 4, 2],     3,     Verdict::Late { complete: true }),
            (vec![1, 4, 2],     2,     Verdict::Old),
            (vec![1],           252,   Verdict::AfterGap { missing: 250 }),
            (vec![1],           253,   Verdict::Jump { lost: 251 }),
            (vec![1, 4, 300],   2,     Verdict::Old),
        ];
        for (before, next, want) in table {
            let mut w = Window::default();
            for n in &before {
                w.judge(Seq(*n), Instant::from_millis(0));
            }
            assert_eq!(
                w.judge(Seq(next), Instant::from_millis(0)),
                want,
                "{before:?} then {next}"
            );
        }
    }

    #[test]
    fn missing_numbers_are_asked_for_until_they_come() {
        let at = Instant::from_millis;
        let mut w = Window::default();
        w.judge(Seq(1), at(0));
        w.judge(Seq(4), at(50));
        w.judge(Seq(7), at(50));
        assert_eq!(w.deadline(), at(50));
        assert_eq!(w.due(at(49), at(300), 50), []);
        assert_eq!(w.due(at(50), at(300), 1), [2..=2]);
        assert_eq!(w.due(at(50), at(300), 50), [3..=3, 5..=6]);
        assert_eq!(w.due(at(300), at(550), 50), [2..=3, 5..=6]);
        assert_eq!(w.gap_free(), Some(Seq(1)));
        assert!(w.give_up(Seq(2)));
        assert!(!w.give_up(Seq(2)));
        for late in [3, 5, 6] {
            w.judge(Seq(late), at(0));
        }
        assert_eq!((w.deadline(), w.gap_free()), (Instant::NEVER, Some(Seq(7))));
    }

    #[test]
    fn a_number_that_does_not_come_is_asked_for_less_often() {
        let at = Instant::from_millis;
        let mut w = Window::default();
        w.judge(Seq(1), at(0));
        w.judge(Seq(3), at(0));
        let asked = (0..20_000).filter(|ms| w.due(at(*ms), at(ms + 250), 50) == [2..=2]);
        assert_eq!(asked.count(), 8 + (20_000 - 7 * 250 - 1) / 2000);
    }

    proptest! {
        #[test]
        fn every_number_is_accepted_at_most_once(seqs in proptest::collection::vec(1u64..400, 0..400)) {
            let mut w = Window::default();
            let mut accepted = std::collections::BTreeSet::new();
            for s in seqs {
                match w.judge(Seq(s), Instant::from_millis(0)) {
                    Verdict::Next | Verdict::AfterGap { .. } | Verdict::Late { .. } | Verdict::Jump { .. } => {
                        prop_assert!(accepted.insert(s), "{} twice", s);
                    }
                    Verdict::Again | Verdict::Old => {}
                }
            }
            prop_assert!(w.missing.len() <= MAX_MISSING);
        }
    }
}
