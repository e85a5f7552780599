//! A schedule of faults by its number: the same number, the same cluster, the same faults. One that breaks a promise is
//! made smaller as long as it still does, and what is left is written as one line from which it can be played again.

use super::cluster::Sim;
use super::incident;
use super::plan::{Config, Draft, Kind};
use crate::time::{Duration, Instant};
use std::fmt;
use std::str::FromStr;

/// Many faults in a short time: long times in which beats are all that happens find nothing.
const EVERY: Duration = Duration::from_secs(20);
const UNTIL: Instant = Instant::from_millis(240_000);
/// Of twenty schedules, so many have so many nodes: large clusters are rare, and cost as much as all others.
const NODES: [usize; 20] = [2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5, 6, 7, 8];
/// A failing schedule is played so often at most to make it smaller.
const MOST_TRIES: usize = 300;

/// What is left of an incident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Kept {
    index: usize,
    /// It lasts a half, a quarter, … as long.
    halvings: u32,
}

/// Prints as `SEED NODES KIND`, with `: INDEX/HALVINGS …` behind it when only some of its incidents happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub nodes: usize,
    pub kind: Kind,
    kept: Option<Vec<Kept>>,
}

impl Schedule {
    /// Of two to eight nodes: of ten, four without fencing, four with it, one beside heartbeat 3.0.6, one with what
    /// administrators do only.
    pub fn number(n: u64) -> Self {
        let kind = match n % 10 {
            0..4 => Kind::Anything,
            4 => Kind::Classic,
            5..9 => Kind::Fenced,
            _ => Kind::Planned,
        };
        let nodes = match kind {
            Kind::Classic => 2,
            Kind::Anything | Kind::Planned | Kind::Fenced => NODES[(n / 10 % 20) as usize],
        };
        Self {
            seed: n,
            nodes,
            kind,
            kept: None,
        }
    }

    fn draft(&self) -> Draft {
        Draft::random(self.seed, self.nodes, self.kind, EVERY, UNTIL, incident::ALL_KINDS)
    }

    fn kept_draft(&self) -> Draft {
        let mut draft = self.draft();
        if let Some(kept) = &self.kept {
            let all = std::mem::take(&mut draft.incidents);
            for k in kept {
                if let Some(mut incident) = all.get(k.index).cloned() {
                    incident.lasting /= 1 << k.halvings;
                    draft.incidents.push(incident);
                }
            }
        }
        draft
    }

    /// The faults of it, one a line.
    pub fn describe(&self) -> String {
        let draft = self.kept_draft();
        let mut lines = format!("{self}\n");
        for (at, fault) in draft.plan().faults {
            lines += &format!("{:>12.3} {fault:?}\n", at.as_millis() as f64 / 1000.0);
        }
        lines
    }

    /// Plays it to the end: the faults, the repair, and the time in which everything must have found its place.
    pub fn play(&self) -> Result<Sim, String> {
        self.play_with(|_| ())
    }

    /// The same with another configuration.
    pub fn play_with(&self, change: impl FnOnce(&mut Config)) -> Result<Sim, String> {
        let mut plan = self.kept_draft().plan();
        change(&mut plan.config);
        // A node that was stopped may be meant to come back after everything else was mended.
        let last = plan.faults.last().map_or(UNTIL, |(at, _)| *at);
        let end = last + plan.config.settles_within();
        let mut sim = Sim::new(self.seed, plan);
        match sim.run_until(end).and_then(|()| sim.check_settled()) {
            Ok(()) => Ok(sim),
            Err(why) => Err(format!("schedule \"{self}\": {why}")),
        }
    }

    /// Fewer faults first, then shorter ones, as long as it fails; what fails then may be another promise.
    #[must_use]
    pub fn shrunk(&self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut tries = 0;
        let mut fails = |s: &Self| {
            tries += 1;
            tries <= MOST_TRIES && fails(s)
        };
        let all = self.draft().incidents.len();
        let whole = (0..all).map(|index| Kept { index, halvings: 0 }).collect();
        let mut best = self.kept.clone().unwrap_or(whole);
        let with = |kept: &[Kept]| Self {
            kept: Some(kept.to_vec()),
            ..self.clone()
        };
        let mut part = best.len().div_ceil(2);
        while part > 0 {
            let mut at = 0;
            let before = best.len();
            while at < best.len() {
                let mut fewer = best.clone();
                fewer.drain(at..(at + part).min(best.len()));
                if fails(&with(&fewer)) {
                    best = fewer;
                } else {
                    at += part;
                }
            }
            // Once more with single ones when one of them went: others may have needed it.
            part = if part == 1 && best.len() < before { 1 } else { part / 2 };
        }
        for i in 0..best.len() {
            for _ in 0..6 {
                let mut shorter = best.clone();
                shorter[i].halvings += 1;
                if !fails(&with(&shorter)) {
                    break;
                }
                best = shorter;
            }
        }
        with(&best)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.seed, self.nodes, self.kind.as_str())?;
        let Some(kept) = &self.kept else { return Ok(()) };
        f.write_str(":")?;
        for k in kept {
            write!(f, " {}", k.index)?;
            if k.halvings > 0 {
                write!(f, "/{}", k.halvings)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("\"{text}\" is not a schedule: SEED NODES KIND, then \": INDEX/HALVINGS …\" if not all of it");
        let (head, kept) = match text.split_once(':') {
            Some((head, kept)) => (head, Some(kept)),
            None => (text, None),
        };
        let words: Vec<&str> = head.split_ascii_whitespace().collect();
        let [seed, nodes, kind] = words[..] else {
            return Err(bad());
        };
        let kept = kept.map(|kept| {
            let one = |word: &str| {
                let (index, halvings) = word.split_once('/').unwrap_or((word, "0"));
                Some(Kept {
                    index: index.parse().ok()?,
                    halvings: halvings.parse().ok().filter(|n| *n < 32)?,
                })
            };
            kept.split_ascii_whitespace().map(one).collect::<Option<Vec<_>>>()
        });
        if kept == Some(None) {
            return Err(bad());
        }
        let kind = Kind::parse(kind).ok_or_else(bad)?;
        let most = if kind == Kind::Classic { 2 } else { 8 };
        Ok(Self {
            seed: seed.parse().map_err(|_| bad())?,
            nodes: nodes.parse().ok().filter(|n| (2..=most).contains(n)).ok_or_else(bad)?,
            kind,
            kept: kept.flatten(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_reads_back_as_printed() {
        for text in ["17 3 fenced", "4 2 classic: 1", "0 8 anything: 3 7/2", "5 2 planned:"] {
            let schedule: Schedule = text.parse().unwrap();
            assert_eq!(schedule.to_string(), text);
        }
        for bad in [
            "1 3 classic",
            "",
            "1 2",
            "1 2 any",
            "1 9 fenced",
            "1 2 fenced: x",
            "1 2 fenced: 1/99",
        ] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_does_not_matter_is_left_out() {
        let whole = Schedule::number(11);
        let n = whole.draft().incidents.len();
        assert!(n > 4, "{n}");
        // Fails when the second and the last one happen, and the last one for long.
        let fails = |s: &Schedule| {
            let kept = s.kept.clone().unwrap_or_default();
            let has = |i: usize| kept.iter().any(|k| k.index == i && k.halvings < 3);
            kept.iter().any(|k| k.index == 1) && has(n - 1)
        };
        let small = whole.shrunk(fails);
        let kept = small.kept.unwrap();
        let indices: Vec<usize> = kept.iter().map(|k| k.index).collect();
        assert_eq!((indices, kept[1].halvings), (vec![1, n - 1], 2));
    }
}
