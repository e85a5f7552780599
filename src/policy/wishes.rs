//! Colocation: what those who go with a resource wish for it, and what it means for them where it has been placed.

use super::clones;
use super::input::{Colocation, N, R, Role, Shape};
use super::place::{Placer, Scores};
use crate::cib::Score;

/// How the wishes of dependents are added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wishes {
    All,
    /// Never more than a nudge: what would make a good node a bad one is left out.
    Positive,
}

impl Placer<'_> {
    fn value(&self, n: N, attribute: Option<&str>) -> Option<String> {
        match attribute {
            None | Some("#uname") => Some(self.input.nodes[n].uname.clone()),
            Some(name) => self.input.nodes[n].attributes.get(name).cloned(),
        }
    }

    /// What it means for `r`'s scores that it goes with what `c` names, which is placed.
    pub(super) fn go_with(&mut self, r: R, c: &Colocation) {
        if c.rsc_role == Some(Role::Master) {
            return;
        }
        let primary = match &self.input.resources[c.with].shape {
            Shape::Primitive(_) => Some(c.with),
            Shape::Group(members) if c.score == Score::INFINITY => members.last().copied(),
            Shape::Group(members) => members.first().copied(),
            Shape::Clone(_) => {
                clones::go_with(self, r, c);
                return;
            }
        };
        if let Some(primary) = primary {
            self.go_with_primitive(r, c, primary);
        }
    }

    pub(super) fn go_with_primitive(&mut self, r: R, c: &Colocation, primary: R) {
        let Some(place) = self.assigned[primary] else { return };
        if c.with_role.is_some_and(|role| role != self.role[primary]) {
            return;
        }
        let wanted = place.and_then(|n| self.value(n, c.attribute.as_deref()));
        let mut work = self.scores[r].clone();
        for (n, score) in work.iter_mut().enumerate() {
            let Some(old) = *score else { continue };
            *score = Some(match (&wanted, self.value(n, c.attribute.as_deref())) {
                (None, _) if c.score < Score::ZERO => old,
                (None, _) => old + -c.score,
                (Some(w), Some(v)) if *w == v => {
                    if c.score < Score::INFINITY {
                        old + c.score
                    } else {
                        old
                    }
                }
                (Some(_), _) if c.score >= Score::INFINITY => Score::BANNED,
                (Some(_), _) => old,
            });
        }
        if c.score.is_infinite() || self.any_left(&work) {
            self.scores[r] = work;
        }
    }

    /// Adds the wishes of `who`, and of those who go with it, to `work`, unless they leave no node.
    pub(super) fn hear(&mut self, who: R, work: &mut Scores, attribute: Option<&str>, factor: f64, wishes: Wishes) {
        if self.merging[who] {
            return;
        }
        self.merging[who] = true;
        let before = work.clone();
        let input = self.input;
        if let Shape::Group(members) = &input.resources[who].shape {
            // The first speaks for all: each of the others goes with the one before it.
            if let Some(first) = members.first() {
                self.hear(*first, work, attribute, factor, wishes);
            }
            self.merging[who] = false;
            return;
        }
        self.add_wishes(who, work, attribute, factor, wishes);
        if self.any_left(work) {
            for i in self.with_this[who].clone() {
                let c = self.colocations[i].clone();
                // Who goes with a group is heard when the group is placed, not by those that the group goes with.
                if c.with != who && !self.busy[c.with] {
                    continue;
                }
                self.hear(c.rsc, work, c.attribute.as_deref(), self::factor(c.score), wishes);
            }
        } else {
            *work = before;
        }
        self.merging[who] = false;
    }

    fn add_wishes(&self, who: R, work: &mut Scores, attribute: Option<&str>, factor: f64, wishes: Wishes) {
        for (n, score) in work.iter_mut().enumerate() {
            let Some(old) = *score else { continue };
            let wish = match attribute {
                None | Some("#uname") => self.scores[who][n],
                attribute => {
                    // The best of the nodes that have the same value.
                    let value = self.value(n, attribute);
                    let same = (0..self.input.nodes.len()).filter(|m| self.value(*m, attribute) == value);
                    same.filter_map(|m| self.scores[who][m]).max()
                }
            };
            let wish = wish.unwrap_or(Score::BANNED);
            if factor < 0.0 && wish < Score::ZERO {
                continue; // Not wanting a node is no reason for others to want it.
            }
            let new = old + scaled(wish, factor);
            if wishes == Wishes::Positive && new < Score::ZERO && old >= Score::ZERO {
                if old > Score::ZERO {
                    *score = Some(Score::new(1));
                }
                continue;
            }
            *score = Some(new);
        }
    }
}

pub(super) fn factor(score: Score) -> f64 {
    f64::from(score.value()) / f64::from(Score::INFINITY.value())
}

/// Rounded; what is not nothing stays at least 1.
fn scaled(wish: Score, factor: f64) -> Score {
    let exact = f64::from(wish.value()) * factor;
    // Scores are at most a million: no rounding of the float is lost.
    #[expect(clippy::cast_possible_truncation)]
    let rounded = exact.round() as i64;
    match rounded {
        0 if exact > 0.0 => Score::new(1),
        0 if exact < 0.0 => Score::new(-1),
        rounded => Score::new(rounded),
    }
}
