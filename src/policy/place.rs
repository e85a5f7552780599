//! Where each resource belongs: scores, then one resource after the other takes the best node left to it.
//!
//! Who another resource is colocated with is placed before it, but hears its wishes first: the dependents' scores are
//! added to its own, in proportion to the constraint's.

use super::clones;
use super::history::State;
use super::input::{Colocation, Input, N, R, Role, Shape, Target, WithoutQuorum};
use crate::cib::Score;
use std::cmp::Reverse;

/// A score for each node; `None` where the resource is no candidate (symmetric-cluster=false).
pub(super) type Scores = Vec<Option<Score>>;

/// The answer: a node for each primitive, and the role it is to have there.
#[derive(Clone, Debug)]
pub struct Places {
    pub node: Vec<Option<N>>,
    pub role: Vec<Role>,
    /// As they were when the node was chosen, for `crm_simulate -s`.
    pub scores: Vec<Vec<Option<Score>>>,
    /// Of the instances of master/slave sets.
    pub promotion: Vec<(R, N, Score)>,
}

impl Places {
    /// Whether a primitive is the cluster's to start and stop.
    pub fn managed(&self, input: &Input, state: &State, r: R) -> bool {
        is_managed(input, state, r)
    }
}

pub(super) fn is_managed(input: &Input, state: &State, r: R) -> bool {
    let rsc = &input.resources[r];
    let running = state.running_on(r);
    let blocked = running.iter().any(|n| state.on[&(r, *n)].blocked);
    let too_many = running.len() > 1 && rsc.multiple_active == super::input::MultipleActive::Block;
    let kept = rsc.orphan && !input.settings.stop_orphans;
    let frozen = running.iter().any(|n| input.nodes[*n].maintenance);
    // Told to fence and without anything to do it, the cluster touches nothing.
    let helpless = input.settings.fencing && !input.settings.can_fence;
    rsc.managed && !blocked && !too_many && !kept && !frozen && !helpless
}

pub fn place(input: &Input, state: &State) -> Places {
    let mut placer = Placer::new(input, state);
    placer.locations();
    placer.failures();
    placer.stickiness();
    let mut order = input.tops.clone();
    order.sort_by_key(|r| Reverse(input.resources[*r].priority));
    for r in order {
        placer.assign(r);
    }
    Places {
        node: placer.assigned.iter().map(|a| a.flatten()).collect(),
        role: placer.role,
        scores: placer.scores,
        promotion: placer.promotion,
    }
}

pub(super) struct Placer<'a> {
    pub(super) input: &'a Input,
    pub(super) state: &'a State,
    pub(super) scores: Vec<Scores>,
    pub(super) colocations: Vec<Colocation>,
    /// By resource: the constraints in which it is the dependent, and those in which it is the one gone with.
    pub(super) this_with: Vec<Vec<usize>>,
    pub(super) with_this: Vec<Vec<usize>>,
    /// Outer `None`: not decided yet.
    pub(super) assigned: Vec<Option<Option<N>>>,
    pub(super) role: Vec<Role>,
    pub(super) promotion: Vec<(R, N, Score)>,
    /// Resources given to each node so far.
    load: Vec<usize>,
    /// In the middle of being placed, or of having its wishes asked: loops of constraints end there.
    busy: Vec<bool>,
    merging: Vec<bool>,
}

/// How the wishes of dependents are added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wishes {
    All,
    /// Never more than a nudge: what would make a good node a bad one is left out.
    Positive,
}

impl<'a> Placer<'a> {
    fn new(input: &'a Input, state: &'a State) -> Self {
        let count = input.resources.len();
        let start = input.settings.symmetric.then_some(Score::ZERO);
        let nodes: Scores = input.nodes.iter().map(|n| if n.ping { None } else { start }).collect();
        let mut placer = Self {
            input,
            state,
            scores: vec![nodes; count],
            colocations: input.colocations.clone(),
            this_with: vec![Vec::new(); count],
            with_this: vec![Vec::new(); count],
            assigned: vec![None; count],
            role: vec![Role::Stopped; count],
            promotion: Vec::new(),
            load: vec![0; input.nodes.len()],
            busy: vec![false; count],
            merging: vec![false; count],
        };
        placer.group_colocations();
        placer.index_colocations();
        placer
    }

    /// Each member of a group goes with the one before it.
    fn group_colocations(&mut self) {
        for rsc in &self.input.resources {
            let Shape::Group(members) = &rsc.shape else { continue };
            for pair in members.windows(2) {
                self.colocations.push(Colocation {
                    id: format!("{}:internal", rsc.id),
                    rsc: pair[1],
                    rsc_role: None,
                    with: pair[0],
                    with_role: None,
                    score: Score::INFINITY,
                    attribute: None,
                });
            }
        }
    }

    fn index_colocations(&mut self) {
        let input = self.input;
        for (i, c) in self.colocations.iter().enumerate() {
            let dependent = match &input.resources[c.rsc].shape {
                Shape::Group(members) => members.first().copied().unwrap_or(c.rsc),
                _ => c.rsc,
            };
            let primary = match &input.resources[c.with].shape {
                Shape::Group(members) => members.last().copied().unwrap_or(c.with),
                _ => c.with,
            };
            self.this_with[dependent].push(i);
            self.with_this[primary].push(i);
        }
        let weight = |r: R| match input.resources[r].shape {
            Shape::Primitive(_) => 0,
            Shape::Group(_) => 1,
            Shape::Clone(_) => 2,
        };
        let key = |r: R, id: &str| (Reverse(input.resources[r].priority), Reverse(weight(r)), id.to_owned());
        for list in &mut self.this_with {
            list.sort_by_key(|i| key(self.colocations[*i].with, &self.colocations[*i].id));
        }
        for list in &mut self.with_this {
            list.sort_by_key(|i| key(self.colocations[*i].rsc, &self.colocations[*i].id));
        }
    }

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

    fn locations(&mut self) {
        for location in self.input.locations.iter().filter(|l| !l.of_master) {
            self.locate(location.rsc, location.node, location.score);
        }
    }

    fn failures(&mut self) {
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
                if self.state.banned.contains_key(&(rsc.plain.clone(), n)) {
                    self.locate(banned, n, Score::BANNED);
                }
                if self.state.stopped_everywhere.contains(&r) {
                    self.locate(banned, n, Score::BANNED);
                }
            }
        }
    }

    fn stickiness(&mut self) {
        for (r, rsc) in self.input.resources.iter().enumerate() {
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

    /// Decides about a resource and all in it.
    pub(super) fn assign(&mut self, r: R) {
        if self.assigned[r].is_some() || self.busy[r] {
            return;
        }
        self.busy[r] = true;
        match &self.input.resources[r].shape {
            Shape::Primitive(_) => self.assign_primitive(r, None),
            Shape::Group(members) => {
                for member in members {
                    self.assign(*member);
                }
                self.assigned[r] = Some(members.first().and_then(|m| self.assigned[*m].flatten()));
            }
            Shape::Clone(_) => clones::assign(self, r),
        }
        self.busy[r] = false;
    }

    /// Places an instance of a clone, on `prefer` if one is given.
    pub(super) fn assign_to(&mut self, r: R, prefer: Option<N>) {
        self.busy[r] = true;
        match &self.input.resources[r].shape {
            Shape::Primitive(_) => self.assign_primitive(r, prefer),
            Shape::Group(members) => {
                for member in members {
                    self.assign_primitive(*member, prefer);
                }
                self.assigned[r] = Some(members.first().and_then(|m| self.assigned[*m].flatten()));
            }
            Shape::Clone(_) => clones::assign(self, r),
        }
        self.busy[r] = false;
    }

    /// Takes back what was decided about an instance.
    pub(super) fn unassign(&mut self, r: R) {
        for p in self.input.primitives(r) {
            if let Some(Some(n)) = self.assigned[p] {
                self.load[n] = self.load[n].saturating_sub(1);
            }
            self.assigned[p] = None;
            self.role[p] = Role::Stopped;
        }
        self.assigned[r] = None;
    }

    fn assign_primitive(&mut self, r: R, prefer: Option<N>) {
        let input = self.input;
        let rsc = &input.resources[r];
        for i in self.this_with[r].clone() {
            let c = self.colocations[i].clone();
            self.assign(c.with);
            self.go_with(r, &c);
        }
        for i in self.with_this[r].clone() {
            let c = self.colocations[i].clone();
            let mut work = self.scores[r].clone();
            self.hear(c.rsc, &mut work, c.attribute.as_deref(), factor(c.score), Wishes::All);
            self.scores[r] = work;
        }
        if rsc.target == Target::Stopped || rsc.orphan {
            for score in &mut self.scores[r] {
                *score = Some(Score::BANNED);
            }
        }
        let running = self.state.running_on(r);
        let left_alone = !is_managed(input, self.state, r);
        let chosen = if left_alone {
            running.first().copied()
        } else {
            self.best(r, &running, prefer)
        };
        self.assigned[r] = Some(chosen);
        self.role[r] = match chosen {
            Some(n) if left_alone => self.state.role(r, n),
            Some(_) if input.clone_of(r).is_some_and(|(_, c)| c.promotable.is_some()) => Role::Slave,
            Some(_) => Role::Started,
            None => Role::Stopped,
        };
        let frozen = !input.settings.quorate && input.settings.without_quorum == WithoutQuorum::Freeze;
        if frozen && running.is_empty() && !left_alone {
            // Nothing new begins; it is where it would be that the status says so.
            self.role[r] = Role::Stopped;
        }
        if let Some(n) = chosen {
            self.load[n] += 1;
        }
    }

    /// Whether some node can take a resource with these scores.
    pub(super) fn any_left(&self, scores: &Scores) -> bool {
        let usable = |n: N| self.input.nodes[n].is_usable();
        scores
            .iter()
            .enumerate()
            .any(|(n, s)| s.is_some_and(|s| s >= Score::ZERO) && usable(n))
    }

    /// The node with the best score; of equals the one with less to do, then the one it is on, then the first by name.
    fn best(&self, r: R, running: &[N], prefer: Option<N>) -> Option<N> {
        let score = |n: N| match self.scores[r][n] {
            Some(score) if self.input.nodes[n].is_usable() => score,
            _ => Score::BANNED,
        };
        // Where it is preferred to be, unless another place is better.
        let best_score = (0..self.input.nodes.len()).map(score).max().unwrap_or(Score::BANNED);
        if let Some(n) = prefer
            && score(n) >= Score::ZERO
            && score(n) >= best_score
        {
            return Some(n);
        }
        let candidates = (0..self.input.nodes.len()).filter(|n| self.scores[r][*n].is_some());
        let best = candidates.min_by_key(|n| (Reverse(score(*n)), self.load[*n], running.first() != Some(n), *n))?;
        if score(best) < Score::ZERO {
            return None;
        }
        match running.first() {
            // Where it has a reason to be, it is not moved to even out the load.
            Some(n) if score(best) > Score::ZERO && score(*n) == score(best) => Some(*n),
            _ => Some(best),
        }
    }

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
        let last = match &input.resources[who].shape {
            Shape::Group(members) => {
                for member in members {
                    self.hear(*member, work, attribute, factor, wishes);
                }
                members.last().copied().unwrap_or(who)
            }
            Shape::Primitive(_) | Shape::Clone(_) => {
                self.add_wishes(who, work, attribute, factor, wishes);
                who
            }
        };
        if self.any_left(work) {
            for i in self.with_this[last].clone() {
                let c = self.colocations[i].clone();
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
