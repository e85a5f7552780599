//! What the status section tells of each resource on each node: its role, its failures, what is known and what recurs.

use super::input::{Input, N, OnFail, Operation, Primitive, R, Role, Shape};
use crate::cib::document::digest;
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

/// A line of the history.
#[derive(Clone, Debug)]
pub struct Entry {
    pub operation: String,
    pub interval: Duration,
    pub call: i64,
    pub rc: i32,
    pub status: i32,
    pub expected: i32,
    pub at: Wall,
    pub took: Duration,
    pub reason: String,
    digest: Option<String>,
    force_restart: Option<String>,
    restart_digest: Option<String>,
}

pub const PENDING: i32 = -1;
const NOT_RUNNING: i32 = 7;
const MASTER: i32 = 8;
const FAILED_MASTER: i32 = 9;

impl Entry {
    pub fn read(e: &Element) -> Self {
        let number = |name: &str| e.get(name).and_then(|v| v.parse::<i64>().ok());
        let small = |name: &str, otherwise| number(name).and_then(|v| i32::try_from(v).ok()).unwrap_or(otherwise);
        let ms = |name: &str| Duration::from_millis(number(name).and_then(|v| u64::try_from(v).ok()).unwrap_or(0));
        let text = |name: &str| e.get(name).map(str::to_owned);
        // ACTION:TRANSITION:EXPECTED-RC:UUID
        let key = e.get("transition-key").unwrap_or_default();
        let expected = key.split(':').nth(2).and_then(|v| v.parse().ok());
        Self {
            operation: text("operation").unwrap_or_default(),
            interval: ms("interval"),
            call: number("call-id").unwrap_or(0),
            rc: small("rc-code", 0),
            status: small("op-status", 0),
            expected: expected.unwrap_or(0),
            at: Wall(
                number("last-rc-change")
                    .and_then(|v| u64::try_from(v).ok())
                    .unwrap_or(0),
            ),
            took: ms("exec-time"),
            reason: text("exit-reason").unwrap_or_default(),
            digest: text("op-digest"),
            force_restart: text("op-force-restart"),
            restart_digest: text("op-restart-digest"),
        }
    }

    pub fn is_probe(&self) -> bool {
        self.operation == "monitor" && self.interval.is_zero()
    }
}

/// How an entry ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Pending,
    Good,
    Soft,
    /// Never again on this node.
    Hard,
    /// Never again anywhere.
    Fatal,
}

fn outcome(e: &Entry) -> Outcome {
    let recurring = !e.interval.is_zero();
    if e.status == PENDING {
        return Outcome::Pending;
    }
    // Killed, timed out, lost: what the agent said does not count.
    if ![0, 4, 5, 6, 7].contains(&e.status) {
        return if e.status == 3 && !recurring {
            Outcome::Hard
        } else {
            Outcome::Soft
        };
    }
    match e.rc {
        rc if rc == e.expected => Outcome::Good,
        0 | NOT_RUNNING | MASTER if e.is_probe() => Outcome::Good,
        2 | 4 | 5 => Outcome::Hard,
        3 if !recurring => Outcome::Hard,
        6 => Outcome::Fatal,
        _ => Outcome::Soft,
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
        let counts = input.nodes[node].online || input.settings.fencing;
        if !counts {
            continue;
        }
        for rsc in lrm.iter().flat_map(|l| l.children_named("lrm_resource")) {
            reader.resource(input, node, rsc, counts);
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
    fn resource(&mut self, input: &mut Input, node: N, rsc: &Element, counts: bool) {
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
        let (here, verdicts) = history(input, pattern, primitive, node, &entries);
        if !entries.is_empty() {
            self.state.traces.insert((plain.clone(), node));
        }
        if here.known {
            self.state.known.insert((plain.clone(), node));
        }
        let r = self.instance(input, pattern, node, here.role != Role::Stopped && counts);
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
        for verdict in verdicts {
            match verdict {
                Verdict::Failed(failure) => self.state.failures.push(*failure),
                Verdict::Banned(why) => {
                    self.state.banned.insert((plain.clone(), node), why);
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
        if counts {
            self.state.on.insert((r, node), here);
        }
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
                if has_expired(input, r, last) {
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

/// The sum of the counts of all operations of a resource, and when the last failure was.
pub fn fail_count(input: &Input, plain: &str, n: N) -> (Score, Wall) {
    let of = |name: &str, prefix: &str| {
        let rest = name.strip_prefix(prefix)?.strip_prefix(plain)?;
        (rest.is_empty() || rest.starts_with('#')).then_some(())
    };
    let (mut count, mut last) = (Score::ZERO, Wall(0));
    for (name, value) in &input.nodes[n].transient {
        if of(name, "fail-count-").is_some() {
            count = count + Score::parse(value).unwrap_or_default();
        }
        if of(name, "last-failure-").is_some() {
            last = last.max(Wall(value.parse().unwrap_or(0)));
        }
    }
    (count, last)
}

fn has_expired(input: &Input, r: R, last: Wall) -> bool {
    let rsc = &input.resources[r];
    let timeout = rsc.failure_timeout.as_secs();
    let blocks = input
        .primitive(r)
        .is_some_and(|p| p.operations.iter().any(|o| o.on_fail == Some(OnFail::Block)));
    timeout > 0 && last.0 > 0 && !blocks && input.settings.now.0 > last.0.saturating_add(timeout)
}

enum Verdict {
    Failed(Box<Failure>),
    Banned(&'static str),
    Nowhere,
    Standby,
    Fence,
}

/// Plays a resource's history on a node, oldest entry first.
fn history(input: &Input, r: R, primitive: &Primitive, node: N, entries: &[Entry]) -> (Here, Vec<Verdict>) {
    let rsc = &input.resources[r];
    let slaves = input.clone_of(r).is_some_and(|(_, c)| c.promotable.is_some());
    let started = if slaves { Role::Slave } else { Role::Started };
    let mut here = Here::default();
    let mut verdicts = Vec::new();
    let mut on_fail: Option<OnFail> = None;
    let mut failed_key = None;
    for e in entries {
        let key = (e.operation.clone(), e.interval);
        // What nobody looks after may stop.
        let let_go = !rsc.managed && e.operation == "monitor" && e.rc == NOT_RUNNING && e.status != PENDING;
        match if let_go { Outcome::Good } else { outcome(e) } {
            Outcome::Pending => {
                if !e.is_probe() {
                    here.pending = Some(e.operation.clone());
                    here.known |= e.operation != "stop";
                }
                if e.operation == "start" {
                    here.role = here.role.max(started);
                }
            }
            Outcome::Good => {
                here.known = true;
                let mut clears = true;
                match &*e.operation {
                    "monitor" => {
                        here.role = match e.rc {
                            NOT_RUNNING => Role::Stopped,
                            MASTER => Role::Master,
                            FAILED_MASTER => Role::Master,
                            _ => here.role.max(started),
                        };
                        if e.rc != MASTER && here.role == Role::Master && e.rc == 0 {
                            here.role = started;
                        }
                        clears = failed_key.as_ref() == Some(&key);
                        if !e.interval.is_zero() {
                            here.recurring.insert(key);
                        }
                    }
                    "start" | "migrate_from" => {
                        here.role = started;
                        here.recurring.clear();
                    }
                    "stop" | "migrate_to" => {
                        here.role = Role::Stopped;
                        here.recurring.clear();
                    }
                    "promote" => here.role = Role::Master,
                    "demote" => here.role = Role::Slave,
                    _ => clears = false,
                }
                if clears && on_fail.is_some_and(|f| [OnFail::Ignore, OnFail::Restart, OnFail::Block].contains(&f)) {
                    on_fail = None;
                }
            }
            bad @ (Outcome::Soft | Outcome::Hard | Outcome::Fatal) => {
                verdicts.push(Verdict::Failed(Box::new(failure(rsc, node, e))));
                if has_expired(input, r, e.at) {
                    continue;
                }
                here.known = true;
                let reaction = reaction(input, primitive, e);
                let stop = e.operation == "stop";
                match bad {
                    Outcome::Hard if !stop => verdicts.push(Verdict::Banned("it cannot run there")),
                    Outcome::Fatal if !stop => verdicts.push(Verdict::Nowhere),
                    _ => {}
                }
                if reaction == OnFail::Ignore {
                    here.ignored = true;
                } else {
                    failed_key = Some(key);
                    on_fail = on_fail.max(Some(reaction));
                }
                here.role = match &*e.operation {
                    "promote" => Role::Master,
                    "demote" => Role::Slave,
                    _ if e.is_probe() && e.rc == 5 => Role::Stopped,
                    _ if e.rc == FAILED_MASTER || e.rc == MASTER => Role::Master,
                    _ => here.role.max(started),
                };
                if e.operation == "start" {
                    here.recurring.clear();
                } else if e.operation == "monitor" && !e.interval.is_zero() {
                    here.recurring.insert((e.operation.clone(), e.interval));
                }
            }
        }
    }
    match on_fail {
        None | Some(OnFail::Ignore) => {}
        Some(OnFail::Restart) => here.failed = true,
        Some(OnFail::Block) => (here.failed, here.blocked) = (true, true),
        Some(OnFail::Stop) => {
            here.failed = true;
            verdicts.push(Verdict::Nowhere);
        }
        Some(OnFail::Migrate) => {
            here.failed = true;
            verdicts.push(Verdict::Banned("on-fail=migrate"));
        }
        Some(OnFail::Standby) => {
            here.failed = true;
            verdicts.push(Verdict::Standby);
        }
        Some(OnFail::Fence) => {
            here.failed = true;
            verdicts.push(Verdict::Fence);
        }
    }
    here.failed &= here.role != Role::Stopped;
    definition(input, r, node, primitive, entries, &mut here);
    (here, verdicts)
}

/// What the configuration says is to be done about a failure.
fn reaction(input: &Input, primitive: &Primitive, e: &Entry) -> OnFail {
    let configured = primitive
        .operations
        .iter()
        .find(|o| o.name == e.operation && o.interval == e.interval)
        .and_then(|o| o.on_fail);
    match configured {
        Some(OnFail::Fence) if !input.settings.fencing && e.operation == "stop" => OnFail::Block,
        Some(OnFail::Fence) if !input.settings.fencing => OnFail::Restart,
        Some(configured) => configured,
        None if e.operation != "stop" => OnFail::Restart,
        None if input.settings.fencing => OnFail::Fence,
        None => OnFail::Block,
    }
}

fn failure(rsc: &super::input::Resource, node: N, e: &Entry) -> Failure {
    Failure {
        rsc: rsc.plain.clone(),
        node,
        operation: e.operation.clone(),
        interval: e.interval,
        call: e.call,
        rc: e.rc,
        status: e.status,
        at: e.at,
        took: e.took,
        reason: e.reason.clone(),
    }
}

/// Compares what runs with what is configured.
fn definition(input: &Input, r: R, node: N, primitive: &Primitive, entries: &[Entry], here: &mut Here) {
    if here.role == Role::Stopped || input.resources[r].orphan || !input.nodes[node].is_looked_after() {
        return;
    }
    let last_start = entries
        .iter()
        .rposition(|e| ["start", "migrate_from"].contains(&&*e.operation));
    for (i, e) in entries.iter().enumerate() {
        if last_start.is_some_and(|s| i < s) || e.status == PENDING {
            continue;
        }
        let recurring = !e.interval.is_zero();
        if !recurring && !e.is_probe() && !["start", "promote", "migrate_from"].contains(&&*e.operation) {
            continue;
        }
        let operation = primitive
            .operations
            .iter()
            .find(|o| o.name == e.operation && o.interval == e.interval);
        if recurring && operation.is_none() {
            continue;
        }
        let all = op_digest(input, primitive, operation, recurring);
        if e.digest.as_deref() == Some(&*all) {
            continue;
        }
        if recurring {
            here.changed_monitors.insert((e.operation.clone(), e.interval));
        } else if !only_reloads(primitive, e) {
            here.changed = true;
        }
    }
}

/// Whether an entry's parameters are not those of today.
fn is_other(input: &Input, r: R, e: &Entry) -> bool {
    let Some(primitive) = input.primitive(r) else {
        return false;
    };
    let op = primitive
        .operations
        .iter()
        .find(|o| o.name == e.operation && o.interval == e.interval);
    e.digest
        .as_deref()
        .is_some_and(|d| *d != *op_digest(input, primitive, op, !e.interval.is_zero()))
}

/// The agent can take the parameters that changed without a restart.
fn only_reloads(primitive: &Primitive, e: &Entry) -> bool {
    let (Some(names), Some(digest)) = (&e.force_restart, &e.restart_digest) else {
        return false;
    };
    let names: BTreeSet<&str> = names.split_whitespace().collect();
    let kept = primitive.params.iter().filter(|(n, _)| names.contains(&***n));
    *digest == parameters_digest(kept.map(|(n, v)| (n.as_str(), v.as_str())))
}

/// See the spec of the CIB: the parameters sorted by name, of a recurring operation its time limit among them.
pub fn op_digest(input: &Input, primitive: &Primitive, operation: Option<&Operation>, recurring: bool) -> String {
    let mut all: BTreeMap<&str, String> = primitive.params.iter().map(|(n, v)| (&**n, v.clone())).collect();
    if let Some(operation) = operation {
        for (name, value) in &operation.params {
            all.insert(name, value.clone());
        }
    }
    if recurring {
        let timeout = operation
            .and_then(|o| o.timeout)
            .unwrap_or(input.settings.default_timeout);
        all.insert("CRM_meta_timeout", timeout.as_millis().to_string());
    }
    parameters_digest(all.iter().map(|(n, v)| (*n, v.as_str())))
}

fn parameters_digest<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut element = Element::new("parameters");
    for (name, value) in parameters {
        element.set(name, value);
    }
    digest(&element)
}
