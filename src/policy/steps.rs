//! The acts of each resource by itself: what brings it from where it is to where it belongs, the looks at it, and what
//! has to be tidied up.

use super::graph::{Act, Graph, IMPLIES_FIRST_OF_MASTER, IMPLIES_THEN, Kind, RESTART, RUNNABLE};
use super::history::{State, fail_count};
use super::input::{Input, MultipleActive, N, Operation, R, Role, Shape, Verb, WithoutQuorum};
use super::place::Places;
use crate::cib::Score;
use crate::time::Duration;
use std::collections::BTreeMap;

pub(super) struct Steps<'a> {
    pub input: &'a Input,
    pub state: &'a State,
    pub places: &'a Places,
    pub graph: Graph,
}

/// Whether a node may be fenced: with quorum or where it does not matter, and one's own members always; and with
/// something to do it.
pub fn may_fence(input: &Input, n: N) -> bool {
    let settings = &input.settings;
    if settings.maintenance {
        return false;
    }
    let entitled = settings.quorate || settings.without_quorum == WithoutQuorum::Ignore || input.nodes[n].online;
    settings.fencing && settings.can_fence && entitled
}

impl Steps<'_> {
    pub fn fencing(&mut self) {
        let input = self.input;
        for (n, node) in input.nodes.iter().enumerate() {
            if node.unclean && !node.ping && may_fence(input, n) {
                let mut act = Act::new(Kind::Fence, None, Some(n));
                act.optional = false;
                self.graph.add(act);
            }
        }
    }

    /// Acts of a primitive on its way, stops before starts.
    pub fn primitive(&mut self, r: R) {
        let (input, state) = (self.input, self.state);
        let rsc = &input.resources[r];
        let running = state.running_on(r);
        let now: Vec<(N, Role)> = running.iter().map(|n| (*n, state.role(r, *n))).collect();
        let role = now.iter().map(|(_, role)| *role).max().unwrap_or_default();
        let chosen = self.places.node[r];
        let next = if chosen.is_some() {
            self.places.role[r]
        } else {
            Role::Stopped
        };
        let blocked = now.iter().any(|(n, _)| state.on[&(r, *n)].blocked);
        let managed = self.places.managed(input, state, r);
        let here = |n: &N| state.on.get(&(r, *n));
        let failed = now.iter().any(|(n, _)| here(n).is_some_and(|h| h.failed));
        let changed = now.iter().any(|(n, _)| here(n).is_some_and(|h| h.changed)) && managed;
        // A fencing device needs no fencing: what a dead node holds of it does not count.
        let counts = |n: &&N| input.primitive(r).is_some_and(|p| p.class != "stonith") || !input.nodes[**n].unclean;
        let current = running.iter().find(counts).or(running.first());
        let moving = chosen.is_some_and(|n| current.is_some_and(|c| *c != n));
        let many = running.iter().filter(counts).count() > 1;
        let need_stop = moving || many || failed || changed || blocked;
        let keeps = role <= next && role != Role::Stopped && !blocked;
        let why = if changed && !failed && !moving {
            "resource definition change"
        } else {
            ""
        };
        if role == Role::Master {
            let must = need_stop || next != Role::Master;
            for (n, _) in now.iter().filter(|(_, role)| *role == Role::Master) {
                self.act(r, Verb::Demote, Some(*n), role, must, why);
            }
        }
        let must_stop = need_stop || next == Role::Stopped;
        for n in &running {
            let why = if next == Role::Stopped {
                "node availability"
            } else {
                why
            };
            self.act(r, Verb::Stop, Some(*n), role, must_stop, why);
        }
        let starting = chosen
            .and_then(|n| here(&n))
            .is_some_and(|h| h.pending.as_deref() == Some("start"));
        let starts = next != Role::Stopped && (role == Role::Stopped || keeps);
        let only_stops = many && rsc.multiple_active == MultipleActive::StopOnly;
        let must_start = starts && !only_stops && (need_stop || role == Role::Stopped);
        // Where it has no place others wait for its start in vain.
        let place = chosen.filter(|_| next != Role::Stopped && !blocked && !only_stops);
        let start = self.act(r, Verb::Start, place, role, must_start, why);
        self.graph.acts[start].again = starting && starts && managed;
        if input.is_promotable(r) {
            let becomes = next == Role::Master;
            let must = becomes && (role != Role::Master || need_stop);
            self.act(r, Verb::Promote, chosen.filter(|_| becomes), role, must, why);
        }
        self.own_order(r);
    }

    fn act(&mut self, r: R, verb: Verb, node: Option<N>, role: Role, must: bool, why: &str) -> usize {
        let mut act = Act::new(Kind::Do(verb), Some(r), node);
        let managed = self.places.managed(self.input, self.state, r);
        act.role = role;
        act.managed = managed;
        // What is not ours to touch is neither begun nor ended.
        act.optional = !must || !managed;
        why.clone_into(&mut act.why);
        let (runnable, reason) = self.can(r, verb, node, role);
        act.runnable = runnable;
        if !runnable {
            reason.clone_into(&mut act.why);
        }
        let stopping = matches!(verb, Verb::Stop | Verb::Demote);
        if !managed && stopping {
            act.runnable = false;
            "unmanaged".clone_into(&mut act.why);
        }
        // What a dead node ran is over when the node is known to be off.
        if stopping && let Some(fence) = node.and_then(|n| self.graph.fence_of(n)) {
            act.gone = true;
            act.runnable = true;
            let i = self.graph.add(act);
            self.graph.edge(fence, i, 0);
            return i;
        }
        self.graph.add(act)
    }

    fn can(&self, r: R, verb: Verb, node: Option<N>, role: Role) -> (bool, &'static str) {
        let input = self.input;
        let Some(n) = node else {
            return (false, "node availability");
        };
        let node = &input.nodes[n];
        if !node.online && !node.pending {
            return (false, "node availability");
        }
        if node.pending {
            return (false, "node pending");
        }
        if matches!(verb, Verb::Stop | Verb::Demote) || input.settings.quorate {
            return (true, "");
        }
        match input.settings.without_quorum {
            WithoutQuorum::Stop => (false, "no quorum"),
            WithoutQuorum::Suicide => (false, "no quorum"),
            WithoutQuorum::Freeze if role == Role::Stopped || self.places.role[r] > role => (false, "quorum freeze"),
            WithoutQuorum::Freeze | WithoutQuorum::Ignore => (true, ""),
        }
    }

    /// The order of the steps of one resource.
    fn own_order(&mut self, r: R) {
        for (earlier, later, bits) in [
            (Verb::Stop, Verb::Start, IMPLIES_THEN | RESTART),
            (Verb::Demote, Verb::Stop, IMPLIES_FIRST_OF_MASTER),
            (Verb::Start, Verb::Promote, RUNNABLE | IMPLIES_THEN),
            (Verb::Demote, Verb::Promote, 0),
        ] {
            for e in self.graph.of(r, earlier) {
                for l in self.graph.of(r, later) {
                    self.graph.edge(e, l, bits);
                }
            }
        }
    }

    /// One act for the whole of a group or clone, for each verb.
    pub fn collective(&mut self, r: R) {
        let input = self.input;
        let is_clone = match &input.resources[r].shape {
            Shape::Primitive(_) => return,
            Shape::Group(_) => false,
            Shape::Clone(_) => true,
        };
        let primitives = input.primitives(r);
        let role = primitives
            .iter()
            .map(|p| self.state.strongest(*p))
            .max()
            .unwrap_or_default();
        for verb in [Verb::Stop, Verb::Start, Verb::Demote, Verb::Promote] {
            let mut act = Act::new(Kind::All(verb), Some(r), None);
            act.role = role;
            let mark = self.graph.add(act);
            let members = input.children(r).iter().flat_map(|c| self.graph.of(*c, verb)).collect();
            self.graph.collect(mark, members, is_clone);
        }
    }

    /// Every resource is looked for on every node where nothing is known of it.
    pub fn probes(&mut self) {
        let (input, state) = (self.input, self.state);
        if !input.settings.probes {
            return;
        }
        // Of instances that are all the same one look tells all; the one that will be there is asked about.
        let mut asked: BTreeMap<(&str, N), (R, bool)> = BTreeMap::new();
        for (r, rsc) in input.resources.iter().enumerate() {
            if !matches!(rsc.shape, Shape::Primitive(_)) || rsc.orphan {
                continue;
            }
            for (n, node) in input.nodes.iter().enumerate() {
                let there = node.online && !node.ping && !node.unclean;
                if !there || state.knows(&rsc.plain, n) {
                    continue;
                }
                let belongs = self.places.node[r] == Some(n);
                let asked = asked.entry((&rsc.plain, n)).or_insert((r, belongs));
                if belongs && !asked.1 {
                    *asked = (r, true);
                }
            }
        }
        let mut probes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for ((plain, n), (r, _)) in asked {
            let mut act = Act::new(Kind::Probe, Some(r), Some(n));
            act.optional = false;
            act.runnable = !input.nodes[n].pending;
            probes.entry(plain).or_default().push(self.graph.add(act));
        }
        for (r, rsc) in input.resources.iter().enumerate() {
            for verb in [Verb::Start, Verb::Stop] {
                for act in self.graph.of(r, verb) {
                    for probe in probes.get(&*rsc.plain).into_iter().flatten() {
                        if verb == Verb::Start {
                            self.graph.edge(*probe, act, RUNNABLE);
                        }
                    }
                }
            }
        }
    }

    /// Recurring monitors: those that are configured for the role it will have, and no others.
    pub fn monitors(&mut self, r: R) {
        let (input, state) = (self.input, self.state);
        let Some(primitive) = input.primitive(r) else { return };
        let rsc = &input.resources[r];
        for n in state.running_on(r) {
            let here = &state.on[&(r, n)];
            if here.changed || !here.changed_monitors.is_empty() {
                self.clear_failures(r, n);
            }
            self.cancel(r, n);
        }
        let Some(n) = self.places.node[r] else { return };
        let node = &input.nodes[n];
        let role = self.places.role[r];
        let blocked = state.running_on(r).iter().any(|n| state.on[&(r, *n)].blocked);
        if role == Role::Stopped || rsc.orphan || rsc.maintenance || node.maintenance || blocked {
            return;
        }
        let start = self.graph.find(r, Kind::Do(Verb::Start), n);
        let promote = self.graph.find(r, Kind::Do(Verb::Promote), n);
        let demotes = self.graph.of(r, Verb::Demote);
        let here = state.on.get(&(r, n));
        for op in primitive.operations.iter().filter(|o| recurs(o) && fits(o, role)) {
            let key = ("monitor".to_owned(), op.interval);
            let known = here.is_some_and(|h| h.recurring.contains(&key) && !h.changed_monitors.contains(&key));
            let mut act = Act::new(Kind::Monitor(op.interval), Some(r), Some(n));
            let restarts = start.is_some_and(|s| !self.graph.acts[s].optional);
            act.optional = known && !restarts;
            act.runnable = node.online && !node.unclean;
            let act = self.graph.add(act);
            if let Some(start) = start {
                self.graph.edge(start, act, IMPLIES_THEN | RUNNABLE);
            }
            if let Some(promote) = promote.filter(|_| role == Role::Master) {
                self.graph.edge(promote, act, IMPLIES_THEN | RUNNABLE);
            }
            for demote in demotes.iter().filter(|_| role != Role::Master) {
                self.graph.edge(*demote, act, IMPLIES_THEN | RUNNABLE);
            }
        }
    }

    /// Monitors that run and should not.
    fn cancel(&mut self, r: R, n: N) {
        let (input, state) = (self.input, self.state);
        let (rsc, node) = (&input.resources[r], &input.nodes[n]);
        let (Some(here), Some(primitive)) = (state.on.get(&(r, n)), input.primitive(r)) else {
            return;
        };
        if !node.online || node.unclean || rsc.orphan {
            return;
        }
        let tended = node.is_looked_after();
        let stays = self.places.node[r] == Some(n);
        let role = self.places.role[r];
        for (_, interval) in here.recurring.iter().filter(|(op, _)| op == "monitor") {
            let configured = primitive
                .operations
                .iter()
                .find(|o| recurs(o) && o.interval == *interval);
            let placed = self.places.node[r].is_some();
            let cancelled = placed
                && match configured {
                    _ if rsc.maintenance || node.maintenance => tended,
                    None => input.settings.cancel_orphan_actions && tended,
                    Some(op) => stays && role != Role::Stopped && !fits(op, role),
                };
            if !cancelled {
                continue;
            }
            if configured.is_none() {
                self.clear_failures(r, n);
            }
            let mut act = Act::new(Kind::Cancel(*interval), Some(r), Some(n));
            act.optional = false;
            let cancel = self.graph.add(act);
            for verb in [Verb::Promote, Verb::Demote] {
                for later in self.graph.of(r, verb) {
                    self.graph.edge(cancel, later, 0);
                }
            }
        }
    }

    /// Failures of what is no longer configured like that count no more.
    fn clear_failures(&mut self, r: R, n: N) {
        if fail_count(self.input, &self.input.resources[r].plain, n).0 > Score::ZERO {
            let mut act = Act::new(Kind::ClearFailCount, Some(r), Some(n));
            act.optional = false;
            self.graph.add(act);
        }
    }

    /// What is left of resources that are configured no more, and of failures that are too old to count.
    pub fn housekeeping(&mut self) {
        let (input, state) = (self.input, self.state);
        for (r, rsc) in input.resources.iter().enumerate().filter(|(_, r)| r.orphan) {
            let failed = state.running_on(r).iter().any(|n| state.on[&(r, *n)].failed);
            if !self.places.managed(input, state, r) || failed {
                continue;
            }
            for (n, node) in input.nodes.iter().enumerate() {
                if node.is_looked_after() && state.traces.contains(&(rsc.plain.clone(), n)) {
                    let mut act = Act::new(Kind::Forget, Some(r), Some(n));
                    act.optional = false;
                    let forget = self.graph.add(act);
                    for stop in self.graph.of(r, Verb::Stop) {
                        self.graph.edge(stop, forget, 0);
                    }
                }
            }
        }
        for (n, node) in input.nodes.iter().enumerate() {
            if !node.shutting_down || !node.online || node.ping {
                continue;
            }
            let mut act = Act::new(Kind::Shutdown, None, Some(n));
            act.optional = false;
            let shutdown = self.graph.add(act);
            for r in 0..input.resources.len() {
                for stop in self.graph.of(r, Verb::Stop) {
                    if self.graph.acts[stop].node == Some(n)
                        && (self.graph.acts[stop].managed || state.on.get(&(r, n)).is_some_and(|h| h.blocked))
                    {
                        self.graph.edge(stop, shutdown, RUNNABLE);
                    }
                }
            }
        }
        for &(r, n) in &state.clear {
            if input.nodes[n].online && !input.nodes[n].unclean {
                let mut act = Act::new(Kind::ClearFailCount, Some(r), Some(n));
                act.optional = false;
                let clear = self.graph.add(act);
                for start in self.graph.of(r, Verb::Start) {
                    self.graph.edge(clear, start, 0);
                }
            }
        }
    }
}

fn recurs(op: &Operation) -> bool {
    op.name == "monitor" && op.interval > Duration::ZERO && op.enabled
}

fn fits(op: &Operation, role: Role) -> bool {
    match op.role {
        None => matches!(role, Role::Started | Role::Slave),
        Some(Role::Started) => role == Role::Started || role == Role::Slave,
        Some(Role::Slave) => role == Role::Slave,
        Some(Role::Master) => role == Role::Master,
        Some(Role::Stopped) => false,
    }
}
