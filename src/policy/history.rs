//! What the status section tells of each resource on each node: its role, its failures, what is known and what recurs.

use super::definition::is_other;
pub use super::definition::op_digest;
pub use super::entry::{Entry, PENDING};
use super::entry::{Outcome, outcome};
pub use super::failures::fail_count;
use super::failures::has_expired;
use super::input::{Input, N, R, Role, Shape};
use super::replay::{Verdict, replay};
use crate::cib::{Cib, Element, Score};
use crate::time::{Duration, Wall};
use std::collections::{BTreeMap, BTreeSet};

/// What the history says, by resource and node. Resources are primitives; instances stand for themselves.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub on: BTreeMap<(R, N), Here>,
    /// Where something is known of a resource, by the id of the history: no probe is needed there.
    pub known: BTreeSet<(String, N)>,
    /// Where the history has any line at all of a resource.
    pub traces: BTreeSet<(String, N)>,
    /// Nodes a resource may not have because of its failures; by the id of the history, and why.
    pub banned: BTreeMap<(String, N), &'static str>,
    /// Where a resource, of a clone an instance, could not be stopped.
    pub not_stopped: BTreeSet<(R, N)>,
    /// Resources that may run nowhere because of a failure.
    pub stopped_everywhere: BTreeSet<R>,
    pub failures: Vec<Failure>,
    /// Fail counts that are to be taken away: they have grown too old, or are about another definition.
    pub clear: BTreeSet<(R, N)>,
}

/// One resource on one node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Here {
    /// Something says whether it runs there.
    pub known: bool,
    pub role: Role,
    /// Failed, and must be stopped before it may start again.
    pub failed: bool,
    /// May not be touched.
    pub blocked: bool,
    /// Failed, but that does not matter (on-fail=ignore).
    pub ignored: bool,
    /// Monitors that run, by name and interval.
    pub recurring: BTreeSet<(String, Duration)>,
    /// Of those, the ones whose parameters are no longer the same.
    pub changed_monitors: BTreeSet<(String, Duration)>,
    /// It was started with other parameters than it has now.
    pub changed: bool,
    /// An action of it is not over yet.
    pub pending: Option<String>,
}

/// A failed action, as the status shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub rsc: String,
    pub node: N,
    pub operation: String,
    pub interval: Duration,
    pub call: i64,
    pub rc: i32,
    pub status: i32,
    pub at: Wall,
    pub took: Duration,
    pub reason: String,
}

impl State {
    pub fn role(&self, r: R, n: N) -> Role {
        self.on.get(&(r, n)).map_or(Role::Stopped, |h| h.role)
    }

    /// The highest role it has anywhere.
    pub fn strongest(&self, r: R) -> Role {
        let here = self.on.range((r, 0)..=(r, N::MAX));
        here.map(|(_, h)| h.role).max().unwrap_or_default()
    }

    /// Whether anything is known of a resource on a node.
    pub fn knows(&self, plain: &str, n: N) -> bool {
        self.known.contains(&(plain.to_owned(), n))
    }

    /// The nodes on which a primitive runs, in their order.
    pub fn running_on(&self, r: R) -> Vec<N> {
        let here = self.on.range((r, 0)..=(r, N::MAX));
        here.filter(|(_, h)| h.role != Role::Stopped)
            .map(|((_, n), _)| *n)
            .collect()
    }
}

pub fn read(cib: &Cib, input: &mut Input) -> State {
    let mut reader = Reader {
        state: State::default(),
        // Of an anonymous clone, the instance that a node's history belongs to.
        instances: BTreeMap::new(),
    };
    for node_state in cib.status().children_named("node_state") {
        let Some(node) = input.node(node_state.get("uname").unwrap_or(node_state.id())) else {
            continue;
        };
        let lrm = node_state.child("lrm").and_then(|l| l.child("lrm_resources"));
        // What a node holds of which nothing is heard counts only while it may still be running.
        if !input.nodes[node].online && !input.settings.fencing {
            continue;
        }
        for rsc in lrm.iter().flat_map(|l| l.children_named("lrm_resource")) {
            reader.resource(input, node, rsc);
        }
    }
    reader.fail_counts(input);
    reader.state
}

struct Reader {
    state: State,
    instances: BTreeMap<(R, N), R>,
}

impl Reader {
    fn resource(&mut self, input: &mut Input, node: N, rsc: &Element) {
        let mut entries: Vec<Entry> = rsc.children_named("lrm_rsc_op").map(Entry::read).collect();
        // What is not over yet was asked for last.
        entries.sort_by_key(|e| (e.status == PENDING, e.call));
        let id = rsc.id();
        let Some(pattern) = input
            .resource(id)
            .or_else(|| input.resource(id.split(':').next().unwrap_or(id)))
        else {
            return;
        };
        // Groups and clones have no history of their own: such a line is a mistake, or older than what is configured.
        let Some(primitive) = input.primitive(pattern) else {
            return;
        };
        let plain = input.resources[pattern].plain.clone();
        let (here, verdicts) = replay(input, pattern, primitive, node, &entries);
        if !entries.is_empty() {
            self.state.traces.insert((plain.clone(), node));
        }
        if here.known {
            self.state.known.insert((plain.clone(), node));
        }
        let r = self.instance(
            input,
            pattern,
            node,
            here.role != Role::Stopped || here.pending.is_some(),
        );
        // A failure of what was configured otherwise says nothing about what is configured now.
        if let Some(last) = rsc
            .children_named("lrm_rsc_op")
            .find(|e| e.id().ends_with("_last_failure_0"))
        {
            let entry = Entry::read(last);
            let failed = !matches!(outcome(&entry), Outcome::Good | Outcome::Pending);
            if failed && ["start", "monitor"].contains(&&*entry.operation) && is_other(input, pattern, &entry) {
                self.state.clear.insert((r, node));
            }
        }
        let (managed, fencing) = (input.resources[r].managed, input.settings.fencing);
        for verdict in verdicts {
            match verdict {
                Verdict::Failed(failure) => self.state.failures.push(*failure),
                Verdict::Banned(why) => {
                    self.state.banned.insert((plain.clone(), node), why);
                }
                Verdict::NotStopped => {
                    self.state.not_stopped.insert((r, node));
                }
                Verdict::Nowhere => {
                    self.state.stopped_everywhere.insert(r);
                }
                Verdict::Standby => {
                    input.nodes[node].standby = true;
                    input.nodes[node].standby_on_fail = true;
                }
                Verdict::Fence if input.settings.fencing => input.nodes[node].unclean = true,
                Verdict::Fence => {}
            }
        }
        // It left in good order as it seems, and yet something was left behind.
        let at = &mut input.nodes[node];
        if fencing && managed && here.role != Role::Stopped && !at.online && !at.maintenance && !at.unclean {
            at.unclean = true;
            at.lost = "something is thought to be active there";
        }
        self.state.on.insert((r, node), here);
    }

    /// Which resource a node's history under the pattern's id is about.
    fn instance(&mut self, input: &Input, pattern: R, node: N, active: bool) -> R {
        let Some((clone, clones)) = input.clone_of(pattern) else {
            return pattern;
        };
        if clones.unique {
            return pattern;
        }
        let taken: BTreeSet<R> = self
            .instances
            .iter()
            .filter(|((c, _), _)| *c == clone)
            .map(|(_, i)| *i)
            .collect();
        let free = clones.instances.iter().find(|i| !taken.contains(i)).copied();
        let instance = match self.instances.get(&(clone, node)) {
            Some(instance) => *instance,
            None => {
                let instance = free.unwrap_or(clones.instances[0]);
                if active {
                    self.instances.insert((clone, node), instance);
                }
                instance
            }
        };
        let plain = &input.resources[pattern].plain;
        let within = input.primitives(instance);
        within
            .into_iter()
            .find(|r| input.resources[*r].plain == *plain)
            .unwrap_or(pattern)
    }

    /// What the transient attributes say of failures: nodes that have had enough of them.
    fn fail_counts(&mut self, input: &Input) {
        for (r, rsc) in input.resources.iter().enumerate() {
            if !matches!(rsc.shape, Shape::Primitive(_)) {
                continue;
            }
            for n in 0..input.nodes.len() {
                let (count, last) = fail_count(input, &rsc.plain, n);
                if count == Score::ZERO {
                    continue;
                }
                let failures = &self.state.failures;
                let here = failures.iter().filter(|f| f.node == n && f.rsc == rsc.plain);
                if has_expired(input, r, last, here.map(|f| (&*f.operation, f.interval))) {
                    self.state.clear.insert((r, n));
                    continue;
                }
                let limit = rsc
                    .migration_threshold
                    .map_or(Score::INFINITY, |t| Score::new(i64::from(t)));
                let ignored = self.state.on.get(&(r, n)).is_some_and(|h| h.ignored);
                if count >= limit && !ignored {
                    self.state.banned.insert((rsc.plain.clone(), n), "migration-threshold");
                }
            }
        }
    }
}
