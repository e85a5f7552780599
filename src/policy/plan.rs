//! The plan: every action that brings the cluster from what is to what should be, each with those it waits for.

use super::history::State;
use super::input::{Input, N, OnFail, OrderKind, R, Role, Shape, Verb, WithoutQuorum};
use super::needs::{Need, all_orders, needs};
use super::place::{Places, place};
use crate::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// All that is decided about one CIB.
#[derive(Clone, Debug)]
pub struct Plan {
    pub places: Places,
    pub needs: Vec<Need>,
    /// In an order in which they can be done one by one.
    pub actions: Vec<Action>,
    pub complaints: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    pub what: What,
    /// Indices in [`Plan::actions`] of those that must be over before; all smaller than its own.
    pub after: Vec<usize>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum What {
    /// A node runs an operation of an agent.
    Run {
        rsc: R,
        node: N,
        task: Task,
    },
    /// The node that ran it is gone: it counts as stopped, as demoted.
    Gone {
        rsc: R,
        node: N,
        verb: Verb,
    },
    /// A mark that others wait for: `web_start_0`.
    Mark(String),
    Fence {
        node: N,
        action: String,
    },
    ClearFailCount {
        rsc: R,
        node: N,
    },
    /// The node forgets the history of a resource.
    Forget {
        rsc: R,
        node: N,
    },
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Task {
    /// The first look at a resource on a node.
    Probe,
    Stop,
    Start,
    Demote,
    Promote,
    Monitor(Duration),
    Cancel(Duration),
    Notify {
        after: bool,
        verb: Verb,
    },
}

pub fn plan(input: &Input, state: &State) -> Plan {
    let places = place(input, state);
    let needs = needs(input, state, &places);
    let mut graph = Graph {
        input,
        state,
        needs: &needs,
        nodes: Vec::new(),
        index: BTreeMap::new(),
    };
    graph.fencing();
    graph.probes();
    graph.operations();
    graph.marks();
    graph.notifications();
    graph.monitors();
    graph.housekeeping();
    graph.orders();
    let mut complaints = input.complaints.clone();
    let actions = graph.sorted(&mut complaints);
    Plan {
        places,
        needs,
        actions,
        complaints,
    }
}

/// Whether this partition may fence: with quorum, or when it need not have it.
pub fn may_fence(input: &Input) -> bool {
    let settings = &input.settings;
    settings.fencing && (settings.quorate || settings.without_quorum == WithoutQuorum::Ignore)
}

/// Actions while they are collected: what each waits for, by index, and whether it must.
struct Graph<'a> {
    input: &'a Input,
    state: &'a State,
    needs: &'a [Need],
    nodes: Vec<(What, BTreeMap<usize, bool>)>,
    index: BTreeMap<What, usize>,
}

impl Graph<'_> {
    fn add(&mut self, what: What) -> usize {
        if let Some(i) = self.index.get(&what) {
            return *i;
        }
        self.nodes.push((what.clone(), BTreeMap::new()));
        self.index.insert(what, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn wait(&mut self, later: usize, earlier: usize, must: bool) {
        if later != earlier {
            *self.nodes[later].1.entry(earlier).or_insert(must) |= must;
        }
    }

    /// The actions of a verb for a primitive, wherever they take place.
    fn of(&self, r: R, verb: Verb) -> Vec<usize> {
        let need = &self.needs[r];
        let task = |node: N, task: Task| self.index.get(&What::Run { rsc: r, node, task }).copied();
        let gone = |node: N| self.index.get(&What::Gone { rsc: r, node, verb }).copied();
        let each = |nodes: &BTreeSet<N>, t: Task| -> Vec<usize> {
            nodes
                .iter()
                .filter_map(|n| task(*n, t.clone()).or_else(|| gone(*n)))
                .collect()
        };
        match verb {
            Verb::Start => need.start.and_then(|n| task(n, Task::Start)).into_iter().collect(),
            Verb::Promote => need.promote.and_then(|n| task(n, Task::Promote)).into_iter().collect(),
            Verb::Stop => each(&need.stop, Task::Stop),
            Verb::Demote => each(&need.demote, Task::Demote),
        }
    }

    fn fencing(&mut self) {
        let input = self.input;
        let suicide = !input.settings.quorate && input.settings.without_quorum == WithoutQuorum::Suicide;
        for (n, node) in input.nodes.iter().enumerate() {
            if node.unclean && may_fence(input) || suicide && node.online && !node.ping {
                let action = input.settings.fence_action.clone();
                self.add(What::Fence { node: n, action });
            }
        }
    }

    fn fence_of(&self, n: N) -> Option<usize> {
        let action = self.input.settings.fence_action.clone();
        self.index.get(&What::Fence { node: n, action }).copied()
    }

    /// Every resource is looked for on every node where nothing is known of it.
    fn probes(&mut self) {
        let input = self.input;
        if !input.settings.probes {
            return;
        }
        for (n, node) in input.nodes.iter().enumerate() {
            if !node.online || node.ping || node.unclean {
                continue;
            }
            let mut asked = BTreeSet::new();
            for (r, rsc) in input.resources.iter().enumerate() {
                let Some(primitive) = input.primitive(r) else { continue };
                let known = self.state.known.contains(&(rsc.plain.clone(), n));
                if rsc.orphan || known || primitive.class == "stonith" && !input.settings.fencing {
                    continue;
                }
                // Of instances that are all the same one look tells all; the one that will be there is asked about.
                if asked.contains(&rsc.plain) {
                    continue;
                }
                let twin = |o: &R| input.resources[*o].plain == rsc.plain && self.needs[*o].next == Some(n);
                let about = (0..input.resources.len()).find(twin).unwrap_or(r);
                asked.insert(rsc.plain.clone());
                self.add(What::Run {
                    rsc: about,
                    node: n,
                    task: Task::Probe,
                });
            }
        }
    }

    fn operations(&mut self) {
        let input = self.input;
        for r in 0..input.resources.len() {
            let need = self.needs[r].clone();
            let run = |node: N, task: Task| What::Run { rsc: r, node, task };
            for (nodes, task, verb) in [
                (&need.demote, Task::Demote, Verb::Demote),
                (&need.stop, Task::Stop, Verb::Stop),
            ] {
                for &n in nodes {
                    // What a dead node ran is stopped when the node is known to be off.
                    if input.nodes[n].unclean || !input.nodes[n].online {
                        let gone = self.add(What::Gone { rsc: r, node: n, verb });
                        if let Some(fence) = self.fence_of(n) {
                            self.wait(gone, fence, true);
                        }
                    } else {
                        self.add(run(n, task.clone()));
                    }
                }
            }
            if let Some(n) = need.start {
                self.add(run(n, Task::Start));
            }
            if let Some(n) = need.promote {
                self.add(run(n, Task::Promote));
            }
            for (earlier, later) in [
                (Verb::Demote, Verb::Stop),
                (Verb::Stop, Verb::Start),
                (Verb::Start, Verb::Promote),
                (Verb::Demote, Verb::Promote),
            ] {
                for e in self.of(r, earlier) {
                    for l in self.of(r, later) {
                        self.wait(l, e, true);
                    }
                }
            }
            let plain = &input.resources[r].plain;
            let probes: Vec<usize> = self
                .index
                .iter()
                .filter(|(what, _)| {
                    matches!(what, What::Run { rsc, task: Task::Probe, .. } if input.resources[*rsc].plain == *plain)
                })
                .map(|(_, i)| *i)
                .collect();
            for later in self.of(r, Verb::Start) {
                for probe in &probes {
                    self.wait(later, *probe, true);
                }
            }
        }
    }

    /// Begin and end of what is done to a group or clone as a whole.
    fn marks(&mut self) {
        let input = self.input;
        for r in 0..input.resources.len() {
            let is_clone = matches!(input.resources[r].shape, Shape::Clone(_));
            if matches!(input.resources[r].shape, Shape::Primitive(_)) {
                continue;
            }
            for (verb, done) in [
                (Verb::Stop, "stopped"),
                (Verb::Start, "running"),
                (Verb::Demote, "demoted"),
                (Verb::Promote, "promoted"),
            ] {
                if !is_clone && [Verb::Demote, Verb::Promote].contains(&verb) {
                    continue;
                }
                let members: Vec<usize> = input.primitives(r).into_iter().flat_map(|p| self.of(p, verb)).collect();
                if members.is_empty() {
                    continue;
                }
                let id = &input.resources[r].id;
                let begin = self.add(What::Mark(format!("{id}_{}_0", verb.as_str())));
                let end = self.add(What::Mark(format!("{id}_{done}_0")));
                for member in members {
                    self.wait(member, begin, true);
                    self.wait(end, member, true);
                }
            }
        }
    }

    /// Instances of clones that want it are told before and after each step.
    fn notifications(&mut self) {
        let input = self.input;
        for rsc in &input.resources {
            let Shape::Clone(clones) = &rsc.shape else { continue };
            if !clones.notify {
                continue;
            }
            let members: Vec<R> = clones.instances.iter().flat_map(|i| input.primitives(*i)).collect();
            let mut before_this: Vec<usize> = Vec::new();
            for verb in [Verb::Demote, Verb::Stop, Verb::Start, Verb::Promote] {
                let steps: Vec<usize> = members.iter().flat_map(|m| self.of(*m, verb)).collect();
                if steps.is_empty() {
                    continue;
                }
                let (mut told, mut told_after) = (Vec::new(), Vec::new());
                for &m in &members {
                    for (after, list) in [(false, &mut told), (true, &mut told_after)] {
                        for node in self.present(m, verb, after) {
                            let task = Task::Notify { after, verb };
                            list.push(self.add(What::Run { rsc: m, node, task }));
                        }
                    }
                }
                for &pre in &told {
                    for earlier in &before_this {
                        self.wait(pre, *earlier, true);
                    }
                    for step in &steps {
                        self.wait(*step, pre, true);
                    }
                }
                for &post in &told_after {
                    for step in &steps {
                        self.wait(post, *step, true);
                    }
                }
                for step in &steps {
                    for earlier in &before_this {
                        self.wait(*step, *earlier, true);
                    }
                }
                before_this = if told_after.is_empty() { steps } else { told_after };
            }
        }
    }

    /// Where an instance is when it is told about a step: before it what runs by then, after it what is left or new.
    fn present(&self, r: R, verb: Verb, after: bool) -> Vec<N> {
        let need = &self.needs[r];
        let alive = |n: N| self.input.nodes[n].online && !self.input.nodes[n].unclean;
        let old = need.now.iter().map(|(n, _)| *n);
        let stopped = match verb {
            Verb::Demote => false,
            Verb::Stop => after,
            Verb::Start | Verb::Promote => true,
        };
        let started = match verb {
            Verb::Demote | Verb::Stop => false,
            Verb::Start => after,
            Verb::Promote => true,
        };
        let mut nodes: BTreeSet<N> = old.filter(|n| !(stopped && need.stop.contains(n))).collect();
        if started {
            nodes.extend(need.start);
        }
        nodes.into_iter().filter(|n| alive(*n)).collect()
    }

    /// Recurring monitors: those that are configured for the role it will have, and no others.
    fn monitors(&mut self) {
        let input = self.input;
        for r in 0..input.resources.len() {
            let Some(primitive) = input.primitive(r) else { continue };
            let (need, rsc) = (&self.needs[r], &input.resources[r]);
            let stays: Vec<N> = need
                .now
                .iter()
                .map(|(n, _)| *n)
                .filter(|n| !need.stop.contains(n))
                .collect();
            let will_be = need
                .start
                .into_iter()
                .chain(stays.iter().copied())
                .collect::<BTreeSet<N>>();
            let need = need.clone();
            for n in will_be {
                let node = &input.nodes[n];
                if !node.online || node.unclean {
                    continue;
                }
                let off = rsc.maintenance || node.maintenance;
                let fresh = need.start == Some(n);
                let here = self.state.on.get(&(r, n)).filter(|_| !fresh);
                let has = |d: &Duration| here.is_some_and(|h| h.recurring.contains(&("monitor".to_owned(), *d)));
                let stale =
                    |d: &Duration| here.is_some_and(|h| h.changed_monitors.contains(&("monitor".to_owned(), *d)));
                let is_master = need.promote == Some(n)
                    || need.now.contains(&(n, Role::Master)) && !need.demote.contains(&n) && !fresh;
                let role = if is_master { Role::Master } else { Role::Slave };
                let promotable = input.clone_of(r).is_some_and(|(_, c)| c.promotable.is_some());
                let mut wanted = BTreeSet::new();
                for op in &primitive.operations {
                    let fits = match op.role {
                        None => !promotable || role == Role::Slave,
                        Some(Role::Started | Role::Slave) => role == Role::Slave,
                        Some(Role::Master) => role == Role::Master,
                        Some(Role::Stopped) => false,
                    };
                    if op.name == "monitor" && !op.interval.is_zero() && op.enabled && fits && !off && !rsc.orphan {
                        wanted.insert(op.interval);
                    }
                }
                let has_now: Vec<Duration> = here
                    .map(|h| {
                        h.recurring
                            .iter()
                            .filter(|(op, _)| op == "monitor")
                            .map(|(_, d)| *d)
                            .collect()
                    })
                    .unwrap_or_default();
                for interval in has_now {
                    if !wanted.contains(&interval) && (off || input.settings.cancel_orphan_actions) {
                        let task = Task::Cancel(interval);
                        let cancel = self.add(What::Run { rsc: r, node: n, task });
                        for later in [self.of(r, Verb::Promote), self.of(r, Verb::Demote)].concat() {
                            self.wait(later, cancel, true);
                        }
                    }
                }
                for interval in wanted {
                    if has(&interval) && !stale(&interval) {
                        continue;
                    }
                    let task = Task::Monitor(interval);
                    let monitor = self.add(What::Run { rsc: r, node: n, task });
                    let after = [Verb::Start, Verb::Promote, Verb::Demote]
                        .map(|v| self.of(r, v))
                        .concat();
                    for earlier in after {
                        self.wait(monitor, earlier, true);
                    }
                }
            }
        }
    }

    /// What is left of resources that are configured no more, and of failures that are too old to count.
    fn housekeeping(&mut self) {
        let input = self.input;
        for (r, rsc) in input.resources.iter().enumerate() {
            if !rsc.orphan || self.needs[r].left_alone {
                continue;
            }
            for (n, node) in input.nodes.iter().enumerate() {
                if node.online && !node.unclean && self.state.known.contains(&(rsc.plain.clone(), n)) {
                    let forget = self.add(What::Forget { rsc: r, node: n });
                    for stop in self.of(r, Verb::Stop) {
                        self.wait(forget, stop, true);
                    }
                }
            }
        }
        for &(rsc, node) in &self.state.expired {
            if input.nodes[node].online {
                self.add(What::ClearFailCount { rsc, node });
            }
        }
    }

    fn orders(&mut self) {
        let input = self.input;
        for order in all_orders(input) {
            let must = order.kind != OrderKind::Optional;
            let mut pairs = vec![(order.first_action, order.then_action, false)];
            if order.symmetrical {
                pairs.push((order.first_action.inverse(), order.then_action.inverse(), true));
            }
            for (first_verb, then_verb, inverse) in pairs {
                for f in order.first.iter().flat_map(|f| input.primitives(*f)) {
                    for t in input.primitives(order.then) {
                        for a in self.of(f, first_verb) {
                            for b in self.of(t, then_verb) {
                                if order.same_node && self.node_of(a) != self.node_of(b) {
                                    continue;
                                }
                                match inverse {
                                    false => self.wait(b, a, must),
                                    true => self.wait(a, b, must),
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn node_of(&self, action: usize) -> Option<N> {
        match &self.nodes[action].0 {
            What::Run { node, .. } | What::Gone { node, .. } | What::Fence { node, .. } => Some(*node),
            What::ClearFailCount { node, .. } | What::Forget { node, .. } => Some(*node),
            What::Mark(_) => None,
        }
    }

    /// Puts each action behind those it waits for. A circle of orders is broken at an order that need not be kept, else
    /// at the last one, and said.
    fn sorted(mut self, complaints: &mut Vec<String>) -> Vec<Action> {
        let mut done: BTreeMap<usize, usize> = BTreeMap::new();
        let mut out: Vec<Action> = Vec::with_capacity(self.nodes.len());
        let mut left: BTreeSet<usize> = (0..self.nodes.len()).collect();
        while !left.is_empty() {
            let ready: Vec<usize> = left
                .iter()
                .copied()
                .filter(|i| self.nodes[*i].1.keys().all(|e| done.contains_key(e)))
                .collect();
            if ready.is_empty() {
                let waits = |must: bool| {
                    left.iter().find_map(|l| {
                        let open = self.nodes[*l].1.iter().find(|(e, m)| **m == must && left.contains(e));
                        open.map(|(e, _)| (*l, *e))
                    })
                };
                let (later, earlier) = waits(false)
                    .or_else(|| waits(true))
                    .expect("what waits, waits for something");
                complaints.push(format!(
                    "the orders go round in a circle: {:?} does not wait for {:?}",
                    self.nodes[later].0, self.nodes[earlier].0
                ));
                self.nodes[later].1.remove(&earlier);
                continue;
            }
            for i in ready {
                left.remove(&i);
                done.insert(i, out.len());
                out.push(Action {
                    what: self.nodes[i].0.clone(),
                    after: self.nodes[i].1.keys().map(|e| done[e]).collect(),
                });
            }
        }
        out
    }
}

/// Whether the failure of an operation is to be passed over.
pub fn is_ignored(input: &Input, rsc: R, operation: &str, interval: Duration) -> bool {
    let operations = input.primitive(rsc).map(|p| &p.operations);
    let found = operations.and_then(|ops| ops.iter().find(|o| o.name == operation && o.interval == interval));
    found.is_some_and(|o| o.on_fail == Some(OnFail::Ignore))
}
