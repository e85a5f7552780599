//! The acts of each resource by itself: what brings it from where it is to where it belongs, and what has to be tidied up.

use super::graph::{Act, Graph, IMPLIES_FIRST_OF_MASTER, IMPLIES_THEN, Kind, RESTART, RUNNABLE};
use super::history::State;
use super::input::{Input, MultipleActive, N, R, Role, Shape, Verb, WithoutQuorum};
use super::managed::{current, is_blocked};
use super::place::Places;

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
        let current = current(input, state, r);
        let moving = chosen.is_some_and(|n| current.is_some_and(|c| c != n));
        let many = running.iter().filter(counts).count() > 1;
        // What was promoted and is to be no more than started: only a new start brings it there.
        let overdone = role == Role::Master && next == Role::Started;
        let need_stop = moving || many || failed || changed || blocked || overdone;
        let keeps = (role <= next || overdone || changed) && role != Role::Stopped && !blocked;
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
            if !node.shutting_down || !node.online || node.ping || node.unclean {
                continue;
            }
            let mut act = Act::new(Kind::Shutdown, None, Some(n));
            act.optional = false;
            let shutdown = self.graph.add(act);
            for r in 0..input.resources.len() {
                for stop in self.graph.of(r, Verb::Stop) {
                    // Nobody waits for what is left alone, unless it is because it failed.
                    let waits = self.graph.acts[stop].managed || is_blocked(input, state, r);
                    if self.graph.acts[stop].node == Some(n) && waits {
                        self.graph.edge(stop, shutdown, RUNNABLE);
                    }
                }
            }
        }
        for &(r, n) in &state.clear {
            if input.nodes[n].online && !input.nodes[n].unclean && self.places.managed(input, state, r) {
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
