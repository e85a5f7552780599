//! How many packets of a sender came, of those that it sent: what "loss" means on the screen.

use super::window::MAX_GAP;
use crate::ids::Seq;
use crate::time::{Duration, Instant};

/// Figures cover the present minute and the one before it: recent enough to judge a cable by, long enough for a
/// keepalive of some seconds.
const SPAN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loss {
    pub expected: u64,
    pub missed: u64,
}

/// Counts the numbers that came first here. A repetition of a lost packet does not mend the figure: the packet was lost.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    newest: Option<Seq>,
    from: Instant,
    now: Loss,
    before: Loss,
}

impl Tally {
    /// Packet `seq` came, for the first time or again.
    pub fn heard(&mut self, now: Instant, seq: Seq) {
        self.turn(now);
        match self.newest.replace(seq) {
            Some(newest) if seq <= newest => self.newest = Some(newest),
            Some(newest) if seq.0 - newest.0 <= MAX_GAP => {
                self.now.expected += seq.0 - newest.0;
                self.now.missed += seq.0 - newest.0 - 1;
            }
            // A new beginning: what was sent meanwhile was not meant to be heard here.
            Some(_) | None => self.now.expected += 1,
        }
    }

    /// Whoever was silent is not counted for what it sent meanwhile: that it was dead says more.
    pub fn restart(&mut self) {
        self.newest = None;
    }

    pub fn loss(&self, now: Instant) -> Loss {
        let mut copy = self.clone();
        copy.turn(now);
        Loss {
            expected: copy.now.expected + copy.before.expected,
            missed: copy.now.missed + copy.before.missed,
        }
    }

    fn turn(&mut self, now: Instant) {
        let age = now - self.from;
        if age < SPAN {
            return;
        }
        let last = std::mem::take(&mut self.now);
        self.before = if age < SPAN * 2 { last } else { Loss::default() };
        self.from = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_came_counts_and_what_came_twice_does_not() {
        #[rustfmt::skip]
        let table: &[(&[u64], u64, u64)] = &[
            // numbers heard        expected  missed
            (&[],                   0,        0),
            (&[7],                  1,        0),
            (&[7, 8, 9],            3,        0),
            (&[7, 7, 8, 8],         2,        0),
            (&[7, 10],              4,        2),
            (&[7, 10, 8],           4,        2),
            (&[7, 257],             251,      249),
            (&[7, 258],             2,        0),
        ];
        for (seqs, expected, missed) in table {
            let mut t = Tally::default();
            for seq in *seqs {
                t.heard(Instant::from_millis(5), Seq(*seq));
            }
            let want = Loss {
                expected: *expected,
                missed: *missed,
            };
            assert_eq!(t.loss(Instant::from_millis(5)), want, "{seqs:?}");
        }
    }

    #[test]
    fn old_losses_are_forgotten() {
        let at = Instant::from_millis;
        let mut t = Tally::default();
        t.heard(at(100_000), Seq(1));
        t.heard(at(100_000), Seq(3));
        #[rustfmt::skip]
        let table = [(100_000, 1), (159_999, 1), (160_000, 1), (219_999, 1), (220_000, 0), (900_000, 0)];
        for (ms, missed) in table {
            assert_eq!(t.loss(at(ms)).missed, missed, "at {ms}");
        }
        t.restart();
        t.heard(at(900_000), Seq(50));
        assert_eq!(t.loss(at(900_000)), Loss { expected: 1, missed: 0 });
    }
}
