//! Who answered for an address, and when: from single probes to owners, gaps and double owners. Pure.
//!
//! A probe is one question to everybody ("who has it?"). Each carries a number that comes back with each answer, so a
//! gap is only where a question was asked and nobody answered it (or where the owner changed between two questions),
//! and two owners are only where two nodes answered the same question. A late answer can feign neither.

use std::collections::VecDeque;
use std::fmt::Write;

/// Microseconds of the lab's clock.
pub type Micros = u64;

/// A time in which the same nodes answered every probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// First and last probe of it.
    pub from: Micros,
    pub to: Micros,
    /// Sorted; empty: nobody answered.
    pub owners: Vec<String>,
}

/// Time between the last answered probe and the next answered one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    pub from: Micros,
    pub to: Micros,
    pub before: String,
    pub after: String,
}

impl Gap {
    pub fn millis(&self) -> f64 {
        millis(self.to - self.from)
    }
}

pub fn millis(t: Micros) -> f64 {
    t as f64 / 1000.0
}

/// The spans so far.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    spans: Vec<Span>,
}

impl Timeline {
    /// One probe, in the order of asking: true when something changed.
    pub fn push(&mut self, at: Micros, mut owners: Vec<String>) -> bool {
        owners.sort();
        owners.dedup();
        match self.spans.last_mut() {
            Some(last) if last.owners == owners => {
                last.to = at;
                false
            }
            _ => {
                self.spans.push(Span {
                    from: at,
                    to: at,
                    owners,
                });
                true
            }
        }
    }

    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub fn last(&self) -> Option<&Span> {
        self.spans.last()
    }

    /// Gaps that ended after `since` and are at least `least` long, between two answers. A change of owner between two
    /// questions counts as one too: nobody knows that somebody would have answered.
    pub fn gaps(&self, since: Micros, least: Micros) -> Vec<Gap> {
        let mut out = Vec::new();
        let mut before: Option<&Span> = None;
        let mut unanswered = false;
        for after in &self.spans {
            if after.owners.is_empty() {
                unanswered = true;
                continue;
            }
            if let Some(before) = before {
                // An owner that goes on while another one comes or goes leaves no gap, unless a question between the
                // two went without an answer.
                let goes_on = before.owners.iter().any(|o| after.owners.contains(o));
                if (unanswered || !goes_on) && after.from > since && after.from - before.to >= least {
                    out.push(Gap {
                        from: before.to,
                        to: after.from,
                        before: before.owners.join(","),
                        after: after.owners.join(","),
                    });
                }
            }
            before = Some(after);
            unanswered = false;
        }
        out
    }

    /// Longest time without an answer that ended after `since`.
    pub fn longest_gap(&self, since: Micros) -> Option<Gap> {
        self.gaps(since, 0).into_iter().max_by_key(|g| g.to - g.from)
    }

    /// Spans in which two or more nodes answered, after `since`.
    pub fn doubles(&self, since: Micros) -> Vec<Span> {
        let double = |s: &&Span| s.owners.len() > 1 && s.to >= since;
        self.spans.iter().filter(double).cloned().collect()
    }

    pub fn double_time(&self, since: Micros) -> Micros {
        // A single probe with two answers stands for the time to the next one, at least.
        let time = |s: &Span| (s.to - s.from.max(since)).max(1000);
        self.doubles(since).iter().map(time).sum()
    }

    /// The owner after each change, without the gaps between.
    pub fn owners(&self, since: Micros) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for span in self.spans.iter().filter(|s| s.to >= since && !s.owners.is_empty()) {
            let name = span.owners.join(",");
            if out.last() != Some(&name) {
                out.push(name);
            }
        }
        out
    }

    /// One JSON object; times in milliseconds since the first probe.
    pub fn json(&self, address: &str, least: Micros) -> String {
        let start = self.spans.first().map_or(0, |s| s.from);
        let end = self.spans.last().map_or(0, |s| s.to);
        let quoted = |names: &[String]| names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(",");
        let spans = self.spans.iter().map(|s| {
            format!(
                "{{\"from_ms\":{:.3},\"to_ms\":{:.3},\"owners\":[{}]}}",
                millis(s.from - start),
                millis(s.to - start),
                quoted(&s.owners)
            )
        });
        let gaps = self.gaps(0, least).into_iter().map(|g| {
            format!(
                "{{\"from_ms\":{:.3},\"gap_ms\":{:.3},\"before\":{:?},\"after\":{:?}}}",
                millis(g.from - start),
                g.millis(),
                g.before,
                g.after
            )
        });
        let mut out = String::new();
        let _ = write!(
            out,
            "{{\"address\":{address:?},\"watched_ms\":{:.3},\"spans\":[{}],\"gaps\":[{}],\"double_owner_ms\":{:.3}}}",
            millis(end - start),
            spans.collect::<Vec<_>>().join(","),
            gaps.collect::<Vec<_>>().join(","),
            millis(self.double_time(0))
        );
        out
    }
}

/// Probes that may still be answered.
#[derive(Debug)]
pub struct Pending {
    next: u32,
    waiting: VecDeque<(Micros, Vec<String>)>,
    patience: Micros,
}

impl Pending {
    /// An answer later than `patience` is none.
    pub fn new(patience: Micros) -> Self {
        Self {
            next: 0,
            waiting: VecDeque::new(),
            patience,
        }
    }

    /// Number of the probe that is sent now.
    pub fn ask(&mut self, now: Micros) -> u32 {
        self.waiting.push_back((now, Vec::new()));
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
    }

    pub fn answer(&mut self, number: u32, owner: &str) {
        let age = self.next.wrapping_sub(number) as usize;
        let Some(at) = self.waiting.len().checked_sub(age).filter(|_| age > 0) else {
            return;
        };
        let owners = &mut self.waiting[at].1;
        if !owners.iter().any(|o| o == owner) {
            owners.push(owner.to_owned());
        }
    }

    /// The next probe of which all is known: an answered one after a little while, an unanswered one after `patience`.
    pub fn settled(&mut self, now: Micros) -> Option<(Micros, Vec<String>)> {
        let (asked, owners) = self.waiting.front()?;
        let wait = if owners.is_empty() {
            self.patience
        } else {
            self.patience / 4
        };
        if now.saturating_sub(*asked) < wait {
            return None;
        }
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(probes: &[(Micros, &str)]) -> Timeline {
        let mut out = Timeline::default();
        for (at, owners) in probes {
            out.push(*at, owners.split_terminator(',').map(str::to_owned).collect());
        }
        out
    }

    #[test]
    fn gaps_and_doubles() {
        #[rustfmt::skip]
        type Case = (&'static [(Micros, &'static str)], &'static [Micros], Micros);
        let table: &[Case] = &[
            // probes                                                             gaps       double
            (&[(0, "a"), (1000, "a"), (2000, "a")], &[], 0),
            (&[(0, "a"), (1000, ""), (2000, ""), (3000, "b")], &[3000], 0),
            (&[(0, "a"), (90_000, "b")], &[90_000], 0),
            (&[(0, "a"), (90_000, "a"), (91_000, "a,b")], &[], 1000),
            (&[(0, ""), (1000, "a"), (2000, "")], &[], 0),
            (
                &[(0, "a"), (1000, "a,b"), (2000, "b,a"), (5000, "a,b"), (6000, "b")],
                &[],
                4000,
            ),
            (&[(0, "a"), (1000, "a,b"), (2000, "b")], &[], 1000),
            (
                &[(0, "a"), (1000, ""), (2000, "a"), (3000, ""), (9000, "a")],
                &[2000, 7000],
                0,
            ),
        ];
        for (probes, gaps, double) in table {
            let line = line(probes);
            let found: Vec<Micros> = line.gaps(0, 0).iter().map(|g| g.to - g.from).collect();
            assert_eq!(found, *gaps, "{probes:?}");
            assert_eq!(line.double_time(0), *double, "{probes:?}");
        }
    }

    #[test]
    fn owners_in_their_order() {
        let line = line(&[(0, "a"), (1, ""), (2, "a"), (3, "a,b"), (4, "b")]);
        assert_eq!(line.owners(0), ["a", "a,b", "b"]);
        assert_eq!(
            line.longest_gap(0).map(|g| (g.before, g.after)),
            Some(("a".into(), "a".into()))
        );
        assert_eq!(line.longest_gap(2), None);
    }

    #[test]
    fn an_answer_belongs_to_its_own_probe() {
        let mut pending = Pending::new(100);
        let first = pending.ask(0);
        let second = pending.ask(10);
        pending.answer(second, "b");
        pending.answer(second, "b");
        pending.answer(first, "a");
        pending.answer(77, "x");
        assert_eq!(pending.settled(24), None);
        assert_eq!(pending.settled(25), Some((0, vec!["a".into()])));
        assert_eq!(pending.settled(36), Some((10, vec!["b".into()])));
        let third = pending.ask(40);
        assert_eq!(pending.settled(139), None);
        assert_eq!(pending.settled(140), Some((40, vec![])));
        pending.answer(third, "late");
        assert_eq!(pending.settled(1000), None);
    }

    #[test]
    fn json_has_everything() {
        let text = line(&[(5000, "a"), (6000, ""), (12_000, "b")]).json("10.77.0.100", 5000);
        assert_eq!(
            text,
            "{\"address\":\"10.77.0.100\",\"watched_ms\":7.000,\"spans\":[\
             {\"from_ms\":0.000,\"to_ms\":0.000,\"owners\":[\"a\"]},\
             {\"from_ms\":1.000,\"to_ms\":1.000,\"owners\":[]},\
             {\"from_ms\":7.000,\"to_ms\":7.000,\"owners\":[\"b\"]}],\
             \"gaps\":[{\"from_ms\":0.000,\"gap_ms\":7.000,\"before\":\"a\",\"after\":\"b\"}],\"double_owner_ms\":0.000}"
        );
    }
}
