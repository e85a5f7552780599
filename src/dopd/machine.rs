//! What dopd does, for both sides: it asks another dopd for the program on its socket, and runs `drbdadm` for others.

use super::outcome::{Disk, Exit, Outcome, disk, of_outdate};
use super::peers::{Away, Peers};
use super::{CLIENT, DrbdName, word};
use crate::clients::request;
use crate::ids::{ClientId, JobId, NodeName};
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// As drbd-peer-outdater waits without `-t`; that of heartbeat 3.0.6 does not say how long it waits.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Nobody waits longer.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// For a request of a dopd of heartbeat 3.0.6, which does not say how long it waits: half of the usual.
const LIMIT: Duration = Duration::from_secs(30);
/// The answer is to be back before the asker goes: a fifth of the time is kept for the way, but no more than this.
const MARGIN: Duration = Duration::from_secs(1);
/// From one look at a disk that is not outdated yet to the next try.
const AGAIN: Duration = Duration::from_secs(1);
/// Resources that are asked about, and outdated, at one time. Far above what a machine has.
const MOST: usize = 64;
/// A name that is none is sent back with its refusal, so that whoever asked need not wait; a novel is not.
const LONGEST_ECHO: usize = 255;
/// Requests that wait for one run of `drbdadm`.
const MOST_ASKERS: usize = 16;

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The list of nodes: name, kind, status.
    Nodes(Vec<(NodeName, String, String)>),
    /// Anything that heartbeat tells its clients.
    News(Message),
    /// A message on the socket, and the end of who sent it.
    Request {
        client: ClientId,
        message: Message,
    },
    Left {
        client: ClientId,
    },
    /// A run of `drbdadm` is over.
    Ran {
        job: JobId,
        exit: Exit,
        output: String,
    },
    Timer,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    Answer {
        client: ClientId,
        outcome: Outcome,
    },
    Send {
        node: NodeName,
        message: Message,
    },
    /// `drbdadm VERB RESOURCE`, ended at `until`.
    Run {
        job: JobId,
        verb: Verb,
        resource: DrbdName,
        until: Instant,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Outdate,
    DiskState,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outdate => "outdate",
            Self::DiskState => "dstate",
        }
    }
}

/// A request of this node that waits for its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Asked {
    client: ClientId,
    peer: NodeName,
    id: String,
    until: Instant,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Outdate { job: JobId },
    Look { job: JobId },
    Pause { until: Instant },
}

/// What other nodes want done here.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Work {
    /// With the number of their request, when they gave one.
    askers: Vec<(NodeName, Option<String>)>,
    until: Instant,
    step: Step,
}

/// One dopd.
#[derive(Clone, Debug)]
pub struct Dopd {
    peers: Peers,
    /// In front of the number of each request: those of an earlier dopd of this node are not mistaken for ours.
    life: String,
    asked: BTreeMap<DrbdName, Asked>,
    work: BTreeMap<DrbdName, Work>,
    requests: u64,
    jobs: u64,
    out: Vec<Action>,
}

fn margin(time: Duration) -> Duration {
    MARGIN.min(time / 5)
}

fn milliseconds(message: &Message, name: &str, default: Duration) -> Duration {
    let given = message.dec(name).map(Duration::from_millis);
    given.unwrap_or(default).min(LONGEST)
}

impl Dopd {
    /// `life` differs from that of every earlier dopd of this node.
    pub fn new(me: NodeName, life: String) -> Self {
        Self {
            peers: Peers::new(me),
            life,
            asked: BTreeMap::new(),
            work: BTreeMap::new(),
            requests: 0,
            jobs: 0,
            out: Vec::new(),
        }
    }

    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        match event {
            Event::Nodes(nodes) => {
                self.peers.list(&nodes);
                self.forget_the_away();
            }
            Event::News(message) => self.news(now, &message),
            Event::Request { client, message } => self.request(now, client, &message),
            Event::Left { client } => self.asked.retain(|_, a| a.client != client),
            Event::Ran { job, exit, output } => self.ran(now, job, &exit, &output),
            Event::Timer => {}
        }
        self.timer(now);
        std::mem::take(&mut self.out)
    }

    /// When [`Event::Timer`] is due.
    pub fn deadline(&self) -> Instant {
        let pauses = self.work.values().filter_map(|w| match w.step {
            Step::Pause { until } => Some(until),
            Step::Outdate { .. } | Step::Look { .. } => None,
        });
        let asked = self.asked.values().map(|a| a.until);
        pauses.chain(asked).min().unwrap_or(Instant::NEVER)
    }

    fn timer(&mut self, now: Instant) {
        let late: Vec<DrbdName> = self
            .asked
            .iter()
            .filter(|(_, a)| now >= a.until)
            .map(|(r, _)| r.clone())
            .collect();
        for resource in late {
            let Some(asked) = self.asked.remove(&resource) else {
                continue;
            };
            log::error!(
                "resource {resource}: node {} is in the cluster, but its dopd has not answered in time; does its ha.cf \
                 start dopd, and what does its log say?",
                asked.peer
            );
            self.answer(asked.client, &resource, &asked.peer, Outcome::Failed);
        }
        let due = |w: &Work| matches!(w.step, Step::Pause { until } if now >= until);
        let due: Vec<DrbdName> = self
            .work
            .iter()
            .filter(|(_, w)| due(w))
            .map(|(r, _)| r.clone())
            .collect();
        for resource in due {
            self.run(&resource, Verb::Outdate);
        }
    }

    fn answer(&mut self, client: ClientId, resource: &DrbdName, peer: &NodeName, outcome: Outcome) {
        log::info!("resource {resource}: answer about node {peer}: {outcome}");
        self.out.push(Action::Answer { client, outcome });
    }

    /// From the socket. Everything that can be read gets an answer.
    fn request(&mut self, now: Instant, client: ClientId, message: &Message) {
        let mut refuse = |why: String, outcome: Outcome| {
            log::warn!("request refused: {why}; answer: {}", outcome.number());
            self.out.push(Action::Answer { client, outcome });
        };
        let text = |name: &str| message.get(name).unwrap_or("");
        if message.kind() != word::OUTDATER {
            let kind: String = message.kind().chars().take(40).collect();
            return refuse(
                format!("\"{}\" is not the type of a request", kind.escape_debug()),
                Outcome::Failed,
            );
        }
        let resource: DrbdName = match text(word::OUTDATER_RES).parse() {
            Ok(resource) => resource,
            Err(e) => return refuse(format!("{e}"), Outcome::Failed),
        };
        let peer: NodeName = match text(word::OUTDATER_PEER).parse() {
            Ok(peer) => peer,
            Err(e) => return refuse(format!("resource {resource}: {e}"), Outcome::Unreachable),
        };
        if let Some(away) = self.peers.away(&peer) {
            log::warn!("resource {resource}: node {peer} {}", away.why());
            return self.answer(client, &resource, &peer, Outcome::Unreachable);
        }
        if let Some(other) = self.asked.get(&resource) {
            log::warn!("resource {resource}: node {} is being asked already", other.peer);
            return self.answer(client, &resource, &peer, Outcome::Busy);
        }
        if self.asked.len() >= MOST {
            return refuse(
                format!("resource {resource}: {MOST} requests are on their way"),
                Outcome::Failed,
            );
        }
        let time = milliseconds(message, word::OUTDATER_TIMEOUT, TIMEOUT);
        self.requests += 1;
        let id = format!("{}-{}", self.life, self.requests);
        let until = now + time.saturating_sub(margin(time));
        log::info!("resource {resource}: asking node {peer} to mark its data outdated");
        self.asked.insert(
            resource.clone(),
            Asked {
                client,
                peer,
                id,
                until,
            },
        );
        self.ask(now, &resource);
    }

    /// To the dopd of the peer; a second time when that began anew meanwhile. It knows the request by its number.
    fn ask(&mut self, now: Instant, resource: &DrbdName) {
        let Some(asked) = self.asked.get(resource) else { return };
        let left = asked.until - now;
        let limit = left.saturating_sub(margin(left));
        let message = Message::new(word::START_OUTDATE)
            .with(word::DOP_RES, resource.as_str())
            .with(word::DOP_ID, asked.id.as_str())
            .with(word::DOP_LIMIT, limit.as_millis().to_string());
        self.out.push(Action::Send {
            node: asked.peer.clone(),
            message,
        });
    }

    fn news(&mut self, now: Instant, message: &Message) {
        let Ok(src) = message.get(fields::SRC).unwrap_or("").parse::<NodeName>() else {
            return;
        };
        let status = message.get(fields::STATUS).unwrap_or("");
        // What the daemons say has no sender among the clients; what clients say is not to be taken for it.
        let of_client = message.get(fields::FROM_ID);
        match (message.kind(), of_client) {
            ("status" | "NS_st", None) => self.peers.status(&src, status, message.hex(fields::GENERATION)),
            ("shutdone", None) => self.peers.stopped(&src, message.hex(fields::GENERATION)),
            (request::CLSTAT, Some(CLIENT)) if status == "join" => {
                let to = |(_, a): &(&DrbdName, &Asked)| a.peer == src;
                let again: Vec<DrbdName> = self.asked.iter().filter(to).map(|(r, _)| r.clone()).collect();
                for resource in again {
                    log::info!("resource {resource}: dopd of node {src} has begun; asking it again");
                    self.ask(now, &resource);
                }
            }
            (word::START_OUTDATE, Some(CLIENT)) if self.peers.is_other(&src) => self.begin(now, src, message),
            (word::OUTDATE_RC, Some(CLIENT)) if self.peers.is_other(&src) => self.answered(&src, message),
            _ => {}
        }
        self.forget_the_away();
    }

    /// Nobody waits for a node that is not there.
    fn forget_the_away(&mut self) {
        let gone = |a: &Asked| self.peers.away(&a.peer);
        let gone: Vec<(DrbdName, Away)> = self
            .asked
            .iter()
            .filter_map(|(r, a)| Some((r.clone(), gone(a)?)))
            .collect();
        for (resource, away) in gone {
            let Some(asked) = self.asked.remove(&resource) else {
                continue;
            };
            log::warn!("resource {resource}: node {} {}", asked.peer, away.why());
            self.answer(asked.client, &resource, &asked.peer, Outcome::Unreachable);
        }
    }

    /// The result of another node. Only who was asked is believed, and only about this request when it names one; dopd
    /// of heartbeat 3.0.6 names none.
    fn answered(&mut self, src: &NodeName, message: &Message) {
        let Ok(resource) = message.get(word::DOP_RES).unwrap_or("").parse::<DrbdName>() else {
            return log::warn!("node {src}: a result without a good resource name is not believed");
        };
        let ours = |a: &&Asked| a.peer == *src && message.get(word::DOP_ID).is_none_or(|id| id == a.id);
        let Some(asked) = self.asked.get(&resource).filter(ours).cloned() else {
            return log::info!("resource {resource}: node {src} answers what is not asked any more; not believed");
        };
        let outcome = match message.dec(word::DOP_VALUE).and_then(Outcome::of_number) {
            Some(good @ (Outcome::Inconsistent | Outcome::Outdated | Outcome::Primary | Outcome::Failed)) => good,
            // Whoever answers can be reached, whatever he says.
            other => {
                log::error!("resource {resource}: node {src} answers {other:?}, which is no result of drbdadm outdate");
                Outcome::Failed
            }
        };
        self.asked.remove(&resource);
        self.answer(asked.client, &resource, src, outcome);
    }

    /// Another node wants our data outdated.
    fn begin(&mut self, now: Instant, src: NodeName, message: &Message) {
        let id = message.get(word::DOP_ID).map(str::to_owned);
        let text = message.get(word::DOP_RES).unwrap_or("");
        let resource: DrbdName = match text.parse() {
            Ok(resource) => resource,
            Err(e) => {
                log::warn!("node {src}: asks to outdate {e}");
                if text.len() > LONGEST_ECHO {
                    return;
                }
                return self.reply(&src, text, id.as_deref(), Outcome::Failed);
            }
        };
        if let Some(work) = self.work.get_mut(&resource) {
            let asker = (src, id);
            if !work.askers.contains(&asker) && work.askers.len() < MOST_ASKERS {
                work.askers.push(asker);
            }
            return;
        }
        if self.work.len() >= MOST {
            log::error!("resource {resource}: not outdated: drbdadm works on {MOST} others");
            return self.reply(&src, text, id.as_deref(), Outcome::Failed);
        }
        log::info!("resource {resource}: node {src} asks to mark our data outdated");
        let work = Work {
            askers: vec![(src, id)],
            until: now + milliseconds(message, word::DOP_LIMIT, LIMIT),
            step: Step::Pause { until: now },
        };
        self.work.insert(resource.clone(), work);
        self.run(&resource, Verb::Outdate);
    }

    fn run(&mut self, resource: &DrbdName, verb: Verb) {
        let Some(work) = self.work.get_mut(resource) else {
            return;
        };
        self.jobs += 1;
        let job = JobId(self.jobs);
        work.step = match verb {
            Verb::Outdate => Step::Outdate { job },
            Verb::DiskState => Step::Look { job },
        };
        self.out.push(Action::Run {
            job,
            verb,
            resource: resource.clone(),
            until: work.until,
        });
    }

    fn ran(&mut self, now: Instant, job: JobId, exit: &Exit, output: &str) {
        let of_job = |w: &Work| matches!(w.step, Step::Outdate { job: j } | Step::Look { job: j } if j == job);
        let Some((resource, work)) = self.work.iter_mut().find(|(_, w)| of_job(w)) else {
            return;
        };
        let resource = resource.clone();
        let outcome = match work.step {
            Step::Outdate { .. } => match of_outdate(exit) {
                Some(outcome) => outcome,
                None => return self.run(&resource, Verb::DiskState),
            },
            Step::Look { .. } | Step::Pause { .. } => match disk(exit, output) {
                Disk::Outdated => Outcome::Outdated,
                Disk::Worse => Outcome::Inconsistent,
                Disk::Good if now + AGAIN < work.until => {
                    log::info!("resource {resource}: DRBD has not noticed yet that it is alone; trying again");
                    work.step = Step::Pause { until: now + AGAIN };
                    return;
                }
                Disk::Good => {
                    log::error!(
                        "resource {resource}: drbdadm outdate was obeyed, but the data are not marked outdated"
                    );
                    Outcome::Failed
                }
                Disk::Silent => {
                    log::warn!("resource {resource}: drbdadm dstate says nothing; drbdadm outdate is believed");
                    Outcome::Outdated
                }
                Disk::Unknown => {
                    log::error!("resource {resource}: drbdadm dstate says what is not understood");
                    Outcome::Failed
                }
            },
        };
        let Some(work) = self.work.remove(&resource) else {
            return;
        };
        for (node, id) in work.askers {
            self.reply(&node, resource.as_str(), id.as_deref(), outcome);
        }
    }

    fn reply(&mut self, node: &NodeName, resource: &str, id: Option<&str>, outcome: Outcome) {
        log::info!(
            "resource {}: result for node {node}: {}",
            resource.escape_debug(),
            outcome.number()
        );
        let mut message = Message::new(word::OUTDATE_RC)
            .with(word::DOP_VALUE, outcome.number().to_string())
            .with(word::DOP_RES, resource);
        if let Some(id) = id {
            message.set(word::DOP_ID, id);
        }
        self.out.push(Action::Send {
            node: node.clone(),
            message,
        });
    }
}

/// The answer on the socket.
pub fn answer(outcome: Outcome) -> Message {
    Message::new(word::OUTDATER_RC).with(word::DOP_VALUE, outcome.number().to_string())
}
