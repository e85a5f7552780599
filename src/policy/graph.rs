//! The graph of all actions that could be: which of them must be, which cannot be, and what that means for those that
//! depend on them.
//!
//! Every action begins as its own resource sees it. Then each edge says what the one end means for the other, until
//! nothing changes: a flag is only ever taken away, so that it ends.

use super::input::{N, R, Role, Verb};
use crate::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// If the first is done, so is the second.
pub(super) const IMPLIES_THEN: u8 = 1;
/// If the second is done, so is the first.
pub(super) const IMPLIES_FIRST: u8 = 2;
/// The second needs the first to be possible.
pub(super) const RUNNABLE: u8 = 4;
/// Between stop and start of one resource: who must start again stops, and who cannot start stays stopped.
pub(super) const RESTART: u8 = 8;
/// The second must not be done unless the first can be; but no more than that.
pub(super) const ASYMMETRIC: u8 = 16;
/// As [`IMPLIES_FIRST`], where the resource of the second is a master.
pub(super) const IMPLIES_FIRST_OF_MASTER: u8 = 32;

/// The second must be where the first is: it does not start if the first should and cannot. No order.
pub(super) const COLOCATED: u8 = 64;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Do(Verb),
    /// A group's or clone's, for all in it.
    All(Verb),
    /// Possible as soon as one of those before it is.
    AnyOf(usize),
    Probe,
    Monitor(Duration),
    Cancel(Duration),
    Fence,
    Shutdown,
    ClearFailCount,
    Forget,
    Notify(bool, Verb),
}

#[derive(Clone, Debug)]
pub(super) struct Act {
    pub kind: Kind,
    pub rsc: Option<R>,
    pub node: Option<N>,
    pub optional: bool,
    pub runnable: bool,
    /// Done even if it need not be: it was begun, and nothing has been heard of its end.
    pub again: bool,
    /// Nobody is there to do it: it counts as done.
    pub gone: bool,
    /// Where its resource runs as a master, or nowhere.
    pub role: Role,
    pub managed: bool,
    pub why: String,
    members: Vec<usize>,
    within: Vec<usize>,
    /// Of a clone: one member that can is enough.
    any: bool,
}

impl Act {
    pub fn new(kind: Kind, rsc: Option<R>, node: Option<N>) -> Self {
        Self {
            kind,
            rsc,
            node,
            optional: true,
            runnable: true,
            again: false,
            gone: false,
            role: Role::Stopped,
            managed: true,
            why: String::new(),
            members: Vec::new(),
            within: Vec::new(),
            any: false,
        }
    }

    pub fn is_done(&self) -> bool {
        (!self.optional || self.again) && self.runnable
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub first: usize,
    pub then: usize,
    pub bits: u8,
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    pub acts: Vec<Act>,
    pub edges: Vec<Edge>,
    index: BTreeMap<(Option<R>, Kind, Option<N>), usize>,
    /// By resource: its acts, in the order they were made.
    of: BTreeMap<R, Vec<usize>>,
}

impl Graph {
    pub fn add(&mut self, act: Act) -> usize {
        let key = (act.rsc, act.kind, act.node);
        if let Some(i) = self.index.get(&key) {
            return *i;
        }
        let i = self.acts.len();
        self.index.insert(key, i);
        if let Some(r) = act.rsc {
            self.of.entry(r).or_default().push(i);
        }
        self.acts.push(act);
        i
    }

    pub fn find(&self, rsc: R, kind: Kind, node: N) -> Option<usize> {
        self.index.get(&(Some(rsc), kind, Some(node))).copied()
    }

    pub fn fence_of(&self, node: N) -> Option<usize> {
        self.index.get(&(None, Kind::Fence, Some(node))).copied()
    }

    pub fn all_of(&self, rsc: R) -> &[usize] {
        self.of.get(&rsc).map_or(&[], |v| v)
    }

    /// What a resource does for a verb: a primitive's acts wherever they take place, or the one act of a collective.
    pub fn of(&self, rsc: R, verb: Verb) -> Vec<usize> {
        let fits = |i: &usize| matches!(self.acts[*i].kind, Kind::Do(v) | Kind::All(v) if v == verb);
        self.all_of(rsc).iter().copied().filter(fits).collect()
    }

    pub fn edge(&mut self, first: usize, then: usize, bits: u8) {
        if first != then {
            self.edges.push(Edge { first, then, bits });
        }
    }

    /// `any`: of a clone one is enough, of a group all must be possible.
    pub fn collect(&mut self, mark: usize, members: Vec<usize>, any: bool) {
        for m in &members {
            self.acts[*m].within.push(mark);
        }
        self.acts[mark].any = any;
        self.acts[mark].members = members;
    }

    pub fn members(&self, mark: usize) -> &[usize] {
        &self.acts[mark].members
    }

    /// Until nothing changes.
    pub fn settle(&mut self, name: &dyn Fn(&Act) -> String) {
        let mut near: Vec<Vec<usize>> = vec![Vec::new(); self.acts.len()];
        for (e, edge) in self.edges.iter().enumerate() {
            near[edge.first].push(e);
            near[edge.then].push(e);
        }
        let mut changed: VecDeque<usize> = VecDeque::new();
        for i in 0..self.acts.len() {
            self.refresh(i, &mut changed);
        }
        changed.clear();
        let mut waiting: VecDeque<usize> = (0..self.edges.len()).collect();
        let mut queued = vec![true; self.edges.len()];
        loop {
            while let Some(i) = changed.pop_front() {
                for mark in self.acts[i].within.clone() {
                    self.refresh(mark, &mut changed);
                }
                for &e in &near[i] {
                    if !queued[e] {
                        queued[e] = true;
                        waiting.push_back(e);
                    }
                }
            }
            let Some(e) = waiting.pop_front() else { return };
            queued[e] = false;
            self.apply(self.edges[e], name, &mut changed);
        }
    }

    /// What its members say of a collective.
    fn refresh(&mut self, mark: usize, changed: &mut VecDeque<usize>) {
        if !matches!(self.acts[mark].kind, Kind::All(_) | Kind::AnyOf(_)) {
            return;
        }
        let members = std::mem::take(&mut self.acts[mark].members);
        let can = |i: &usize| self.acts[*i].runnable;
        let runnable = match self.acts[mark].any {
            true => members.iter().any(can),
            false => members.iter().all(can),
        };
        let optional = members.iter().all(|i| self.acts[*i].optional);
        let act = &mut self.acts[mark];
        act.members = members;
        let before = (act.optional, act.runnable);
        act.runnable &= runnable;
        act.optional &= optional;
        if (act.optional, act.runnable) != before {
            changed.push_back(mark);
        }
    }

    fn require(&mut self, i: usize, why: &str, changed: &mut VecDeque<usize>) {
        if !self.acts[i].optional {
            return;
        }
        let act = &mut self.acts[i];
        act.optional = false;
        if act.why.is_empty() {
            why.clone_into(&mut act.why);
        }
        changed.push_back(i);
        let any = act.any;
        if matches!(act.kind, Kind::All(_)) {
            for m in act.members.clone() {
                if self.acts[m].runnable || !any {
                    self.require(m, why, changed);
                }
            }
        }
    }

    fn forbid(&mut self, i: usize, why: &str, changed: &mut VecDeque<usize>) {
        if !self.acts[i].runnable {
            return;
        }
        let act = &mut self.acts[i];
        act.runnable = false;
        why.clone_into(&mut act.why);
        changed.push_back(i);
        if matches!(act.kind, Kind::All(_)) {
            for m in act.members.clone() {
                self.forbid(m, why, changed);
            }
        }
    }

    fn apply(&mut self, edge: Edge, name: &dyn Fn(&Act) -> String, changed: &mut VecDeque<usize>) {
        let Edge { first, then, bits } = edge;
        let has = |bit: u8| bits & bit != 0;
        let unrunnable = |g: &Self| format!("unrunnable {}", name(&g.acts[first]));
        let required = |g: &Self, i: usize| format!("required {}", name(&g.acts[i]));
        if has(ASYMMETRIC) && !self.acts[first].runnable && !self.already(then) {
            let why = unrunnable(self);
            self.require(then, &why, changed);
            self.forbid(then, &why, changed);
        }
        let of_master = has(IMPLIES_FIRST_OF_MASTER) && self.acts[then].role == Role::Master;
        if (has(IMPLIES_FIRST) || of_master) && !self.acts[then].optional && self.acts[first].optional {
            let why = required(self, then);
            self.require(first, &why, changed);
        }
        if has(RUNNABLE) && self.acts[then].runnable && !self.acts[first].runnable {
            let why = unrunnable(self);
            self.forbid(then, &why, changed);
        }
        let blocked = !self.acts[first].optional && !self.acts[first].runnable;
        if has(COLOCATED) && blocked && self.acts[then].runnable {
            let why = format!("colocation with {}", name(&self.acts[first]));
            self.forbid(then, &why, changed);
        }
        if has(IMPLIES_THEN) && self.acts[then].optional && !self.acts[first].optional {
            let why = required(self, first);
            self.require(then, &why, changed);
        }
        if has(RESTART) {
            let (f, t) = (&self.acts[first], &self.acts[then]);
            let (cannot, must) = (!t.runnable && t.managed && f.rsc == t.rsc, !t.optional);
            if (cannot || must) && f.optional {
                let why = t.why.clone();
                self.require(first, &why, changed);
            }
            let f = &self.acts[first];
            if (cannot || must) && !f.optional && !f.runnable {
                let why = f.why.clone();
                self.forbid(then, &why, changed);
            }
        }
    }

    /// A start of what runs, or a stop of what does not, is no business of an order's.
    fn already(&self, then: usize) -> bool {
        let act = &self.acts[then];
        let runs = act.role != Role::Stopped;
        let verb = match act.kind {
            Kind::Do(v) | Kind::All(v) => Some(v),
            _ => None,
        };
        act.optional && (runs && verb == Some(Verb::Start) || !runs && verb == Some(Verb::Stop))
    }
}
