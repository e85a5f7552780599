//! The looks at a resource: the first one on each node, the recurring ones, and which of those have to end.

use super::graph::{Act, IMPLIES_THEN, Kind, RUNNABLE};
use super::history::fail_count;
use super::input::{N, Operation, R, Role, Shape, Verb};
use super::steps::Steps;
use crate::cib::Score;
use crate::time::Duration;
use std::collections::BTreeMap;

impl Steps<'_> {
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
                if !there || state.knows(&rsc.plain, n) || self.is_surplus(r, n) {
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
            // What runs may go on and be moved although a node cannot be asked.
            let bits = if state.running_on(r).is_empty() { RUNNABLE } else { 0 };
            for act in self.graph.of(r, Verb::Start) {
                for probe in probes.get(&*rsc.plain).into_iter().flatten() {
                    self.graph.edge(*probe, act, bits);
                }
            }
        }
    }

    /// Whether a node has an instance of a resource's clone that is one too many: nobody asks for what it lacks.
    fn is_surplus(&self, r: R, n: N) -> bool {
        let Some((_, clones)) = self.input.clone_of(r).filter(|(_, c)| !c.unique) else {
            return false;
        };
        let runs = |i: &R| {
            self.input
                .primitives(*i)
                .iter()
                .any(|p| self.state.role(*p, n) != Role::Stopped)
        };
        clones.instances.iter().skip(clones.max).any(runs)
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
                self.graph.edge(promote, act, RUNNABLE);
            }
            for demote in demotes.iter().filter(|_| role != Role::Master) {
                self.graph.edge(*demote, act, RUNNABLE);
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
        if !node.online || node.pending || node.unclean || rsc.orphan {
            return;
        }
        let tended = node.is_looked_after();
        let start = self.graph.find(r, Kind::Do(Verb::Start), n);
        let restarts = start.is_some_and(|s| !self.graph.acts[s].optional);
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
                    // A new start ends them all.
                    Some(op) => stays && role != Role::Stopped && !fits(op, role) && !restarts,
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
        let managed = self.places.managed(self.input, self.state, r);
        if managed && fail_count(self.input, &self.input.resources[r].plain, n).0 > Score::ZERO {
            let mut act = Act::new(Kind::ClearFailCount, Some(r), Some(n));
            act.optional = false;
            self.graph.add(act);
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
