//! The scores a resource has by itself, before any other is looked at: constraints of location, failures, stickiness.

use super::input::{N, R, Shape};
use super::managed::is_left_alone;
use super::place::Placer;
use crate::cib::Score;

impl Placer<'_> {
    pub(super) fn add(&mut self, r: R, n: N, score: Score) {
        let here = &mut self.scores[r][n];
        *here = Some(here.map_or(score, |old| old + score));
    }

    /// A score for a resource and for what it is made of: of a group the first member, of a clone every instance.
    fn locate(&mut self, r: R, n: N, score: Score) {
        self.add(r, n, score);
        match &self.input.resources[r].shape {
            Shape::Primitive(_) => {}
            Shape::Group(members) => {
                for (i, member) in members.iter().enumerate() {
                    self.locate(*member, n, if i == 0 { score } else { Score::ZERO });
                }
            }
            Shape::Clone(clones) => {
                for instance in &clones.instances {
                    self.locate(*instance, n, score);
                }
            }
        }
    }

    /// From a node, with all that is in it.
    fn ban(&mut self, r: R, n: N) {
        self.add(r, n, Score::BANNED);
        for child in self.input.children(r) {
            self.ban(*child, n);
        }
    }

    pub(super) fn locations(&mut self) {
        for location in self.input.locations.iter().filter(|l| !l.of_master) {
            self.locate(location.rsc, location.node, location.score);
        }
    }

    pub(super) fn failures(&mut self) {
        for (r, rsc) in self.input.resources.iter().enumerate() {
            if !matches!(rsc.shape, Shape::Primitive(_)) {
                continue;
            }
            // Of a clone whose instances are all the same, no instance is better than the one that failed.
            let banned = match self.input.clone_of(r) {
                Some((clone, clones)) if !clones.unique => clone,
                _ => r,
            };
            for n in 0..self.input.nodes.len() {
                let has_failed = self.state.banned.contains_key(&(rsc.plain.clone(), n));
                if has_failed || self.state.stopped_everywhere.contains(&r) {
                    self.ban(banned, n);
                }
                if self.state.not_stopped.contains(&(r, n)) {
                    self.ban(r, n);
                }
            }
        }
    }

    pub(super) fn stickiness(&mut self) {
        for (r, rsc) in self.input.resources.iter().enumerate() {
            if is_left_alone(self.input, self.state, r) {
                // It stays where it is, so that is what it wishes for.
                for n in self.state.running_on(r) {
                    self.add(r, n, Score::INFINITY);
                }
                continue;
            }
            if !matches!(rsc.shape, Shape::Primitive(_)) || !rsc.managed || rsc.stickiness == Score::ZERO {
                continue;
            }
            if let [n] = self.state.running_on(r)[..]
                && self.scores[r][n].is_some()
            {
                self.add(r, n, rsc.stickiness);
            }
        }
    }
}
