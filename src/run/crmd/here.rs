//! What this node does for the DC: operations of agents by lrmd, and what is written of their ends.

use super::words::{self, Reply};
use crate::agents::operation::{is_own, own};
use crate::agents::{Agent, Finished, Known, Order, Status};
use crate::cib::{Cib, Edit, Element};
use crate::policy::record::Record;
use crate::run::lrmd::client::{Event, Lrm};
use crate::time::{Duration, Instant, Wall};
use crate::transition::history::{self, Node};
use crate::transition::operation::Operation;
use std::collections::{BTreeMap, BTreeSet};

/// What an agent is called that does not exist; as the history has it.
const NOT_INSTALLED: i32 = 5;
const GENERIC: i32 = 1;
/// More orders than any transition has on its way on one node.
const MOST_HELD: usize = 4096;

/// What came of something.
#[derive(Debug)]
pub enum Out {
    /// For the status.
    Write(Vec<Edit>),
    /// For whoever asked.
    Reply(Reply),
    /// The answers to what was asked of lrmd for others.
    Meta {
        id: u64,
        xml: Result<String, String>,
    },
    Fenced {
        id: u64,
        result: Result<String, String>,
    },
}

/// The agents of this node.
#[derive(Debug)]
pub struct Here {
    lrm: Lrm,
    id: String,
    uname: String,
    last: u64,
    /// By key: sent to lrmd and not over. A recurring one is over, here, with its first result.
    running: BTreeMap<String, (u64, Operation)>,
    /// For an lrmd that is not there yet.
    held: Vec<Operation>,
    /// By resource: its agent.
    agents: BTreeMap<String, Agent>,
    /// By resource: what it was started with. It is stopped with that, whatever is configured by then.
    started_with: BTreeMap<String, BTreeMap<String, String>>,
    /// This node's part of the status, as it is known here, whoever is DC.
    mirror: Cib,
    /// lrmd was there before.
    met: bool,
    /// Questions that go beyond a resource of this node.
    asked: BTreeSet<u64>,
}

impl Here {
    pub fn new(id: &str, uname: &str) -> Self {
        Self {
            lrm: Lrm::new("crmd"),
            id: id.to_owned(),
            uname: uname.to_owned(),
            last: 0,
            running: BTreeMap::new(),
            held: Vec::new(),
            agents: BTreeMap::new(),
            started_with: BTreeMap::new(),
            mirror: Cib::empty(),
            met: false,
            asked: BTreeSet::new(),
        }
    }

    pub fn lrm(&self) -> &Lrm {
        &self.lrm
    }

    pub fn has_met_lrmd(&self) -> bool {
        self.met
    }

    /// This node's `lrm` element.
    pub fn history(&self) -> Element {
        let lrm = history::state_of(&self.mirror, self.node()).and_then(|s| s.child("lrm"));
        let empty = || {
            Element::new("lrm")
                .with("id", &self.id)
                .holding(Element::new("lrm_resources"))
        };
        lrm.cloned().unwrap_or_else(empty)
    }

    fn node(&self) -> Node<'_> {
        Node {
            id: &self.id,
            uname: &self.uname,
        }
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Writes into the mirror, too.
    fn write(&mut self, edits: Vec<Edit>) -> Out {
        // It can only be refused where there is nothing to change.
        let _ = self.mirror.apply(&edits, &Default::default());
        Out::Write(edits)
    }

    /// An order of the DC.
    pub fn run(&mut self, wall: Wall, cib: &Cib, mut operation: Operation) -> Vec<Out> {
        self.as_started(&mut operation);
        let provider = Some(&*operation.provider).filter(|p| !p.is_empty());
        let agent = match Agent::new(&operation.class, provider, &operation.kind) {
            Ok(agent) => agent,
            Err(why) => {
                return self.failed(
                    wall,
                    cib,
                    &operation,
                    NOT_INSTALLED,
                    Status::NotInstalled,
                    why.to_string(),
                );
            }
        };
        let id = self.number();
        self.agents.insert(operation.rsc.clone(), agent.clone());
        let order = Order {
            id,
            rsc: operation.rsc.clone(),
            agent,
            op: operation.name.clone(),
            interval: operation.interval,
            timeout: operation.timeout,
            start_delay: operation.start_delay,
            params: operation.params.clone(),
            key: operation.key.clone(),
        };
        // It is started with this program, or again when it died: a moment later it is there.
        if !self.lrm.is_connected() || !self.lrm.exec(order) {
            if self.held.len() < MOST_HELD {
                self.held.push(operation);
            }
            return Vec::new();
        }
        self.running.insert(operation.key.clone(), (id, operation));
        Vec::new()
    }

    fn as_started(&mut self, operation: &mut Operation) {
        if operation.name != "stop" {
            let params = own(&operation.params);
            self.started_with.insert(operation.rsc.clone(), params);
        } else if let Some(params) = self.started_with.get(&operation.rsc) {
            operation.params.retain(|name, _| !is_own(name));
            operation.params.extend(params.clone());
        }
    }

    /// Orders that were not begun are the old DC's: a new one gives its own.
    pub fn drop_held(&mut self) {
        self.held.clear();
    }

    /// It was not even begun.
    fn failed(
        &mut self,
        wall: Wall,
        cib: &Cib,
        operation: &Operation,
        rc: i32,
        status: Status,
        reason: String,
    ) -> Vec<Out> {
        log::error!("{} {}: {reason}", operation.rsc, operation.name);
        if operation.name == words::NOTIFY {
            return vec![Out::Reply(Reply::to_key(&operation.key, false))];
        }
        let record = Record {
            rc,
            status: status.code(),
            at: wall,
            reason,
            ..operation.record()
        };
        let edits = history::over(cib, self.node(), &record);
        vec![self.write(edits)]
    }

    pub fn cancel(&mut self, rsc: &str, interval: Duration) -> Vec<Out> {
        self.lrm.cancel(rsc, "monitor", interval);
        let edits = history::cancelled(self.node(), rsc, interval);
        vec![self.write(edits)]
    }

    /// Nothing is known of the resource any more, its failures neither where that is wanted.
    pub fn forget(&mut self, cib: &Cib, rsc: &str, failures: bool) -> Vec<Out> {
        self.lrm.forget(rsc);
        self.agents.remove(rsc);
        self.started_with.remove(rsc);
        let mut edits = history::forgotten(self.node(), rsc);
        if failures {
            let attributes = history::attributes_of(cib, self.node());
            edits.extend(history::clear_counts(&self.id, &attributes, rsc));
        }
        vec![self.write(edits)]
    }

    /// The answer comes as [`Out::Meta`]; `None` when there is no lrmd.
    pub fn meta(&mut self, agent: Agent) -> Option<u64> {
        let id = self.number();
        let asked = self.lrm.meta(id, agent);
        self.expect(id, asked)
    }

    /// The answer comes as [`Out::Fenced`]; `None` when there is no lrmd.
    pub fn fence(&mut self, make: impl FnOnce(u64) -> crate::agents::protocol::Fencing) -> Option<u64> {
        let id = self.number();
        let asked = self.lrm.fence(make(id));
        self.expect(id, asked)
    }

    fn expect(&mut self, id: u64, asked: bool) -> Option<u64> {
        if !asked {
            return None;
        }
        self.asked.insert(id);
        Some(id)
    }

    pub fn turn(&mut self, now: Instant, wall: Wall, cib: &Cib) -> Vec<Out> {
        let mut out = Vec::new();
        for event in self.lrm.turn(now) {
            match event {
                Event::Connected { known } => {
                    out.extend(self.connected(cib, known));
                    for operation in std::mem::take(&mut self.held) {
                        out.extend(self.run(wall, cib, operation));
                    }
                }
                Event::Gone => out.extend(self.gone()),
                Event::Pending { .. } => {}
                Event::Refused { id, why } => out.extend(self.refused(wall, cib, id, why)),
                Event::Result(finished) => out.extend(self.finished(cib, finished)),
                Event::Meta { id, xml } => {
                    self.asked.remove(&id);
                    out.push(Out::Meta { id, xml: Ok(xml) });
                }
                Event::Fenced { id, result } => {
                    self.asked.remove(&id);
                    out.push(Out::Fenced { id, result });
                }
            }
        }
        out
    }

    fn refused(&mut self, wall: Wall, cib: &Cib, id: u64, why: String) -> Vec<Out> {
        if self.asked.remove(&id) {
            // Of the two that are asked only one has this number.
            let xml = Err(why.clone());
            return vec![Out::Meta { id, xml }, Out::Fenced { id, result: Err(why) }];
        }
        let key = self.running.iter().find(|(_, (i, _))| *i == id).map(|(k, _)| k.clone());
        match key.and_then(|key| self.running.remove(&key)) {
            Some((_, operation)) => self.failed(wall, cib, &operation, GENERIC, Status::Failed, why),
            None => Vec::new(),
        }
    }

    fn finished(&mut self, cib: &Cib, finished: Finished) -> Vec<Out> {
        let ours = self.running.remove(&finished.key);
        if finished.status == Status::Cancelled {
            // Before it ended: whoever waits for it has to know.
            let waited = ours.filter(|(_, o)| o.key == finished.key);
            return waited
                .map(|(_, o)| Out::Reply(Reply::to_key(&o.key, false)))
                .into_iter()
                .collect();
        }
        if finished.op == words::NOTIFY {
            return vec![Out::Reply(Reply::to_key(&finished.key, finished.rc == 0))];
        }
        let Some(record) = self.record(&finished) else {
            log::warn!(
                "{} {}: ended, and its agent is not known here",
                finished.rsc,
                finished.op
            );
            return Vec::new();
        };
        say(&record);
        let edits = history::over(cib, self.node(), &record);
        vec![self.write(edits)]
    }

    fn record(&self, finished: &Finished) -> Option<Record> {
        let agent = self.agents.get(&finished.rsc)?;
        Some(record_of(finished, agent))
    }

    /// The recurring ones are over, and nobody says how the others end: nothing of what was known here is true any more.
    fn gone(&mut self) -> Vec<Out> {
        log::error!("lrmd is gone: what it was doing is looked for again when it is back");
        let asked = std::mem::take(&mut self.asked).into_iter().flat_map(|id| {
            let why = || Err("lrmd is gone".to_owned());
            [Out::Meta { id, xml: why() }, Out::Fenced { id, result: why() }]
        });
        let mut out: Vec<Out> = asked.collect();
        for (key, _) in std::mem::take(&mut self.running) {
            out.push(Out::Reply(Reply::to_key(&key, false)));
        }
        out
    }

    /// What lrmd knows is what is true.
    fn connected(&mut self, cib: &Cib, known: Vec<Known>) -> Vec<Out> {
        log::info!("lrmd is there; it knows {} resource(s)", known.len());
        self.met = true;
        let mut edits = Vec::new();
        let of_mirror = resources(&self.mirror, self.node());
        let of_cib = resources(cib, self.node());
        for rsc in of_mirror.iter().chain(&of_cib).collect::<BTreeSet<_>>() {
            if !known.iter().any(|k| k.rsc == *rsc && !k.history.is_empty()) {
                edits.extend(history::forgotten(self.node(), rsc));
            }
        }
        for known in known {
            self.agents.insert(known.rsc.clone(), known.agent.clone());
            // A crmd that was not there when it was started must be able to stop what is configured no more.
            if let Some(params) = known.params {
                self.started_with.insert(known.rsc.clone(), params);
            }
            for finished in known.history.iter().filter(|f| f.op != words::NOTIFY) {
                let record = record_of(finished, &known.agent);
                edits.push(history::line(self.node(), &record, record.id()));
                if record.is_failure() {
                    let id = history::last_failure_id(&record.rsc);
                    edits.push(history::line(self.node(), &record, id));
                }
            }
        }
        match edits.is_empty() {
            true => Vec::new(),
            false => vec![self.write(edits)],
        }
    }
}

fn resources(cib: &Cib, node: Node<'_>) -> Vec<String> {
    let lrm = history::state_of(cib, node).and_then(|s| s.child("lrm")?.child("lrm_resources"));
    let resources = lrm.into_iter().flat_map(|r| r.children_named("lrm_resource"));
    resources.map(|r| r.id().to_owned()).collect()
}

fn record_of(finished: &Finished, agent: &Agent) -> Record {
    Record {
        rsc: finished.rsc.clone(),
        class: agent.class.to_string(),
        provider: agent.provider.clone().unwrap_or_default(),
        kind: agent.name.clone(),
        operation: finished.op.clone(),
        interval: finished.interval,
        call: i64::try_from(finished.call_id).unwrap_or(i64::MAX),
        rc: finished.rc,
        status: finished.status.code(),
        took: finished.exec_time,
        queued: finished.queue_time,
        at: finished.rc_change,
        reason: finished.reason.clone(),
        key: finished.key.clone(),
        digest: finished.digest.clone(),
        restart: finished.restart.clone(),
    }
}

fn say(record: &Record) {
    let ms = record.interval.as_millis();
    let (rsc, op, rc) = (&record.rsc, &record.operation, record.rc);
    let (took, status) = (record.took.as_millis(), record.status);
    match record.is_failure() {
        false => log::info!("{rsc} {op} ({ms} ms): {rc}, after {took} ms"),
        true => {
            let why = match &*record.reason {
                "" => String::new(),
                why => format!(": {why}"),
            };
            log::error!(
                "{rsc} {op} ({ms} ms): failed with {rc} (status {status}, expected {}) after {took} ms{why}",
                record.expected()
            );
        }
    }
}
