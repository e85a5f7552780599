//! Planned moves: standby, takeover and failback, by the classic's protocol in four messages: `me` (the giver asks),
//! `other` (the taker is ready), `done` (everything is released), `done` (everything runs).
//!
//! One move at a time on each node; further requests wait in a queue.

use super::group::Group;
use super::manager::{Groups, Order, Phase};
use super::messages::TO;
use super::peer::{ClaimState, Peer};
use super::place;
use super::set::Set;
use crate::conf::AutoFailback;
use crate::daemon::transitions::Kind;
use crate::ids::{Generation, NodeName, ResourceName, Seq};
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant};

/// The taker must answer within this time, as in heartbeat 3.0.6.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// One of ours is asked again so often: the question may have been lost.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The longest a move may take, as in heartbeat 3.0.6: scripts may be slow.
const MOVE_WITHIN: Duration = Duration::from_secs(3600);
/// A classic node that moves something itself is done by then, or is not waited for.
const CALM_WITHIN: Duration = Duration::from_secs(20);
/// A classic that got no answer looks at that with its next beat, and what it says then is on its way.
const CALLS_OFF_WITHIN: Duration = Duration::from_secs(5);
/// A failback that did not work is not tried again before.
const FAILBACK_AGAIN: Duration = Duration::from_secs(5);

/// A move that is to be begun.
#[derive(Debug)]
pub struct Request {
    pub set: Set,
    pub keys: Vec<ResourceName>,
    pub to: Option<NodeName>,
    /// Of the command that asked.
    pub reqid: Option<String>,
    pub why: String,
    /// It does not wait longer than that for a classic node to calm down.
    pub begin_by: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// `me` is out.
    Asked { again: Instant, until: Instant },
    /// `other` came; our scripts are at work.
    Releasing { until: Instant },
    /// `done` is out; the taker's scripts are at work.
    Given { until: Instant },
}

/// This node gives groups to another one.
#[derive(Debug)]
pub struct Handover {
    pub set: Set,
    pub keys: Vec<ResourceName>,
    pub to: NodeName,
    pub reqid: Option<String>,
    step: Step,
    /// The taker said `done`.
    taker_done: bool,
}

impl Handover {
    pub fn is_giving(&self) -> bool {
        matches!(self.step, Step::Releasing { .. })
    }

    pub fn deadline(&self) -> Instant {
        match self.step {
            Step::Asked { again, until } => again.min(until),
            Step::Releasing { until } | Step::Given { until } => until,
        }
    }
}

/// This node takes groups from another one.
#[derive(Debug)]
pub struct Taking {
    pub from: NodeName,
    /// As the giver says it.
    set: Set,
    keys: Vec<ResourceName>,
    /// The giver's question: what is older belongs to another move.
    pub asked: (Generation, Seq),
    /// The giver has released everything.
    begun: bool,
    /// A classic giver has said that it releases it …
    pub releases: bool,
    /// … or gave up waiting for our answer by then, or never waited: what it asks it may ignore itself.
    answer_by: Instant,
    pub until: Instant,
}

impl Taking {
    pub fn deadline(&self, now: Instant) -> Instant {
        match self.begun {
            true => self.until,
            false => self.until.min(super::manager::later(self.answer_by, now)),
        }
    }
}

impl Groups {
    /// Queues a move; it begins as soon as nothing else is on the way.
    pub(super) fn request(
        &mut self,
        set: Set,
        keys: Vec<ResourceName>,
        to: Option<NodeName>,
        reqid: Option<String>,
        why: &str,
    ) {
        if self
            .queue
            .iter()
            .any(|r| r.keys == keys && r.to == to && r.reqid == reqid)
        {
            return;
        }
        if self.handover.is_some() || self.taking.is_some() || !self.queue.is_empty() {
            self.tell_phase(
                &reqid,
                "queued",
                "another move is on its way",
                Some(&self.me.clone()),
                to.as_ref(),
                set,
            );
        }
        self.queue.push_back(Request {
            set,
            keys,
            to,
            reqid,
            why: why.to_owned(),
            begin_by: self.bench.now.mono + CALM_WITHIN,
        });
    }

    /// Begins the next queued move, or the return of groups to a node that joined.
    pub(super) fn begin_next_move(&mut self, caught_up: &dyn Fn(&NodeName) -> bool) {
        while self.handover.is_none() && self.taking.is_none() {
            if self.classic_is_in_flux() {
                return;
            }
            let Some(request) = self.queue.pop_front() else { break };
            self.begin(request);
        }
        let now = self.bench.now.mono;
        if self.handover.is_some() || self.taking.is_some() || now < self.failback_at || !self.wanted.is_empty() {
            return;
        }
        let due = |p: &&Peer| p.failback_due && p.can_serve() && p.told && caught_up(&p.name);
        let due: Vec<NodeName> = self.peers.values().filter(due).map(|p| p.name.clone()).collect();
        for name in due {
            let peer = &self.peers[&name];
            // A classic peer refuses while it is not stable itself.
            if self.mode != AutoFailback::On || (!peer.ours && !peer.stable) {
                return;
            }
            let keys = self.keys_held(|g| g.spec.node == name && !peer.failed(g.key()));
            if keys.is_empty() {
                self.peers.get_mut(&name).expect("it was found above").failback_due = false;
                continue;
            }
            self.failback_at = now + FAILBACK_AGAIN;
            self.begin(Request {
                set: Set::FOREIGN,
                keys,
                to: Some(name),
                reqid: None,
                why: "auto_failback".to_owned(),
                begin_by: now,
            });
            return;
        }
    }

    /// A classic node ignores a request, without a word to us, while it is not stable or has not heard that we are.
    fn classic_is_in_flux(&self) -> bool {
        let waits = |r: &Request| self.bench.now.mono < r.begin_by;
        self.mode != AutoFailback::Legacy
            && self.queue.front().is_some_and(waits)
            && self
                .peers
                .values()
                .any(|p| p.can_serve() && !p.ours && p.told && !(p.stable && self.told.stable))
    }

    fn begin(&mut self, mut request: Request) {
        let me = self.me.clone();
        let to_classic = request
            .to
            .as_ref()
            .and_then(|to| self.peers.get(to))
            .is_some_and(|p| !p.ours);
        request.keys.retain(|k| {
            // What failed here is given to a classic node by its name only.
            let given = |g: &Group| !g.is_stopped() || (to_classic && g.failed_at.is_some());
            self.group_index(Some(k.as_str()))
                .is_some_and(|i| given(&self.groups[i]))
        });
        if request.keys.is_empty() {
            self.tell_phase(
                &request.reqid,
                "done",
                "nothing of it is here",
                Some(&me),
                None,
                request.set,
            );
            return;
        }
        let target = |g: &Groups, key: &ResourceName| match &request.to {
            Some(to) => g.peers.get(to).is_some_and(|p| p.can_serve()).then(|| to.clone()),
            None => g.other_node_for(key),
        };
        let Some(to) = target(self, &request.keys[0]) else {
            let why = "no other node is active and able to take it";
            log::warn!("standby [{}] refused: {why}", request.set.as_str());
            self.tell_phase(&request.reqid, "refused", why, Some(&me), None, request.set);
            return;
        };
        let (keys, rest): (Vec<_>, Vec<_>) = request
            .keys
            .iter()
            .cloned()
            .partition(|k| target(self, k).as_ref() == Some(&to));
        let last_part = rest.is_empty();
        let (reqid, why) = (request.reqid.clone(), request.why.clone());
        if !last_part {
            // Groups for another node follow in a move of their own; only that one reports the end.
            self.queue.push_front(Request { keys: rest, ..request });
        }
        let set = if last_part { request_set(self, &keys) } else { Set::ALL };
        log::info!(
            "standby [{}] ({}): asking node {to} to take {}",
            set.as_str(),
            why,
            names(&keys)
        );
        self.note(
            false,
            Kind::Move,
            &names(&keys),
            format!("node {to} is asked to take it: {why}"),
        );
        self.tell_phase(&reqid, "asked", "", Some(&me), Some(&to), set);
        let now = self.bench.now.mono;
        let step = Step::Asked {
            again: now,
            until: now + ANSWER_WITHIN,
        };
        self.handover = Some(Handover {
            set,
            keys,
            to,
            reqid: reqid.filter(|_| last_part),
            step,
            taker_done: false,
        });
        self.go_on_with_handover();
    }

    /// Where a group goes when nobody is named: its preferred node, else the first other one that can serve it.
    pub(super) fn other_node_for(&self, key: &ResourceName) -> Option<NodeName> {
        let group = &self.groups[self.group_index(Some(key.as_str()))?];
        let able: Vec<&NodeName> = self
            .order
            .iter()
            .filter(|n| self.peers.get(*n).is_some_and(|p| p.can_serve() && !p.failed(key)))
            .collect();
        place::choose(&group.spec.node, &able).cloned()
    }

    pub(super) fn go_on_with_handover(&mut self) {
        let now = self.bench.now.mono;
        let Some(h) = &mut self.handover else { return };
        let (to, set) = (h.to.clone(), h.set);
        match h.step {
            Step::Asked { until, .. } if now >= until => {
                log::warn!("No reply to standby request of node {to}. Standby request cancelled.");
                self.end_handover(Err(format!(
                    "node {to} did not answer within {} s",
                    ANSWER_WITHIN.as_secs()
                )));
            }
            Step::Asked { again, until } if now >= again => {
                // A classic node takes a second question for a second request and complains.
                let ours = self.peers.get(&to).is_some_and(|p| p.ours);
                h.step = Step::Asked {
                    again: if ours { now + ASK_AGAIN } else { Instant::NEVER },
                    until,
                };
                self.say_standby(set, "me", Some(&to));
            }
            Step::Asked { .. } => {}
            Step::Releasing { until } => {
                let keys = h.keys.clone();
                // Or released, not startable there, and acquired here again while others are still being stopped.
                let released = |k: &ResourceName| {
                    self.group_index(Some(k.as_str()))
                        .is_none_or(|i| self.groups[i].is_stopped() || self.groups[i].is_wanted_here())
                };
                if keys.iter().all(released) {
                    if let Some(h) = &mut self.handover {
                        h.step = Step::Given { until };
                    }
                    self.say_standby(set, "done", Some(&to));
                } else if let Some(stuck) = keys.iter().find(|k| {
                    self.group_index(Some(k.as_str()))
                        .is_some_and(|i| self.groups[i].word() == "blocked")
                }) {
                    self.end_handover(Err(format!("group {stuck} cannot be stopped here; see the log")));
                } else if now >= until {
                    self.end_handover(Err("stopping the resources took longer than an hour".to_owned()));
                }
            }
            Step::Given { until } => {
                let Some(h) = &self.handover else { return };
                let peer = self.peers.get(&to);
                let state = |k: &ResourceName| peer.and_then(|p| p.claims.get(k)).map(|c| c.state.clone());
                let ours = peer.is_some_and(|p| p.ours);
                let failed: Vec<&ResourceName> =
                    h.keys.iter().filter(|k| state(k) == Some(ClaimState::Failed)).collect();
                let all_run = h.keys.iter().all(|k| state(k) == Some(ClaimState::Running));
                // Nobody waits for the taker any more: it did not take it, or the group was started here again.
                let over = h.keys.iter().all(|k| {
                    let moving = self
                        .group_index(Some(k.as_str()))
                        .is_some_and(|i| self.groups[i].moving.is_some());
                    !moving && !matches!(state(k), Some(ClaimState::Starting | ClaimState::Stopping))
                });
                let verdict = if all_run || (h.taker_done && !ours) {
                    Some(Ok(()))
                } else if !failed.is_empty() {
                    Some(Err(format!("node {to} could not start {}; see its log", names(failed))))
                } else if h.taker_done && h.keys.iter().all(|k| !matches!(state(k), Some(ClaimState::Starting))) {
                    Some(Err(format!("node {to} did not start everything")))
                } else if over && ours {
                    Some(Err(format!("node {to} does not have {}", names(&h.keys))))
                } else if now >= until {
                    Some(Err(format!("node {to} did not report within an hour")))
                } else {
                    None
                };
                if let Some(verdict) = verdict {
                    self.end_handover(verdict);
                }
            }
        }
    }

    fn end_handover(&mut self, verdict: Result<(), String>) {
        let Some(h) = self.handover.take() else { return };
        let me = self.me.clone();
        match verdict {
            Ok(()) => {
                log::info!(
                    "Standby resource transfer completed: node {} has {}",
                    h.to,
                    names(&h.keys)
                );
                self.note(
                    false,
                    Kind::Move,
                    &names(&h.keys),
                    format!("done: node {} has it", h.to),
                );
                self.tell_phase(&h.reqid, "done", "", Some(&me), Some(&h.to), h.set);
            }
            Err(why) => {
                // Asked for again, if it still does not work.
                for group in self.groups.iter_mut().filter(|g| h.keys.contains(g.key())) {
                    group.condemned = None;
                }
                log::warn!("standby [{}] to node {} not completed: {why}", h.set.as_str(), h.to);
                self.note(true, Kind::Move, &names(&h.keys), format!("not completed: {why}"));
                self.tell_phase(&h.reqid, "failed", &why, Some(&me), Some(&h.to), h.set);
            }
        }
        self.tell(None);
    }

    fn say_standby(&mut self, set: Set, info: &str, to: Option<&NodeName>) {
        let mut message = Message::new("ask_resources")
            .with(fields::RSC_HOLD, set.as_str())
            .with(fields::INFO, info);
        if let Some(to) = to.filter(|_| self.order.len() > 2) {
            message.set(TO, to.as_str());
        }
        let message = self.with_claims(message);
        self.orders.push(Order::Send(message));
    }

    /// `ask_resources` of another node.
    pub(super) fn standby_message(&mut self, from: &NodeName, number: (Generation, Seq), message: &Message) {
        if self.phase != Phase::Serving || message.get(TO).is_some_and(|to| to != self.me.as_str()) {
            return;
        }
        let Some(set) = message.get(fields::RSC_HOLD).map_or(Some(Set::ALL), Set::parse) else {
            return;
        };
        if self.mode == AutoFailback::Legacy {
            log::info!("Standby mode only implemented when auto_failback is on or off");
            return;
        }
        match message.get(fields::INFO) {
            Some("me") => self.peer_gives(from, number, set),
            Some("other") => self.peer_is_ready(from),
            Some("done") => self.peer_is_done(from),
            other => log::warn!("node {from}: standby message {other:?} is not known; ignored"),
        }
    }

    fn peer_gives(&mut self, from: &NodeName, asked: (Generation, Seq), set: Set) {
        if self.fencing_blocks() {
            log::warn!(
                "node {from}: its standby request is not answered: a node that may have them too is not fenced yet"
            );
            return;
        }
        if let Some(h) = &self.handover {
            // Both ask at the same time: the lower name gives first.
            let both = h.to == *from && matches!(h.step, Step::Asked { .. });
            if !both || self.me < *from {
                log::info!("node {from}: its standby request waits until ours is over");
                return;
            }
            let h = self.handover.take().expect("it was just looked at");
            self.tell_phase(&h.reqid, "queued", "the other node gives first", None, None, h.set);
            self.queue.push_front(Request {
                set: h.set,
                keys: h.keys,
                to: None,
                reqid: h.reqid,
                why: "hb_standby".to_owned(),
                begin_by: self.bench.now.mono,
            });
        }
        let mirrored = set.mirrored();
        match &self.taking {
            // A classic that releases already ignores its own second question, but not our answer to it.
            Some(t) if t.from != *from || t.begun || t.releases => {
                log::info!("node {from}: its standby request waits until the present move is over");
                return;
            }
            Some(_) | None => {}
        }
        let me = self.me.clone();
        let peer = &self.peers[from];
        let keys: Vec<ResourceName> = self
            .groups
            .iter()
            .filter(|g| mirrored.holds(g.spec.node == me) && peer.holds(g.key()))
            .map(|g| g.key().clone())
            .collect();
        log::info!(
            "standby: node {from} gives its {} resources; ready to take them",
            set.as_str()
        );
        for key in &keys {
            if let Some(i) = self.group_index(Some(key.as_str())) {
                self.groups[i].forget_failures();
            }
        }
        self.note(
            false,
            Kind::Move,
            &names(&keys),
            format!("node {from} gives it to this one"),
        );
        self.taking = Some(Taking {
            from: from.clone(),
            set,
            keys,
            asked,
            begun: false,
            releases: false,
            answer_by: self.bench.now.mono + ANSWER_WITHIN + CALLS_OFF_WITHIN,
            until: self.bench.now.mono + MOVE_WITHIN,
        });
        self.wanted_phase("releasing", from);
        self.say_standby(set, "other", Some(from));
    }

    fn peer_is_ready(&mut self, from: &NodeName) {
        let now = self.bench.now.mono;
        let Some(h) = &mut self.handover else { return };
        if h.to != *from || !matches!(h.step, Step::Asked { .. }) {
            return;
        }
        h.step = Step::Releasing {
            until: now + MOVE_WITHIN,
        };
        let (keys, set, reqid) = (h.keys.clone(), h.set, h.reqid.clone());
        log::info!("standby: {from} can take our {} resources", set.as_str());
        let me = self.me.clone();
        self.tell_phase(&reqid, "releasing", "", Some(&me), Some(from), set);
        if set.local {
            self.empty.local = false;
        }
        if set.foreign {
            self.empty.foreign = false;
        }
        for key in &keys {
            if let Some(i) = self.group_index(Some(key.as_str())) {
                self.groups[i].release(&mut self.bench, &format!("handed over to {from}"));
            }
        }
        self.tell(Some("standby"));
    }

    /// `done`: of the giver, when it has released; of the taker, when everything runs there.
    fn peer_is_done(&mut self, from: &NodeName) {
        if let Some(h) = &mut self.handover
            && h.to == *from
        {
            h.taker_done = true;
            return;
        }
        let me = self.me.clone();
        let Some(t) = &mut self.taking else { return };
        if t.from != *from || t.begun {
            return;
        }
        t.begun = true;
        let (keys, mirrored) = (t.keys.clone(), t.set.mirrored());
        self.empty.local |= mirrored.local;
        self.empty.foreign |= mirrored.foreign;
        if !self.peers[from].ours {
            // A classic giver: its flags said what it held, and now it holds nothing of it.
            for i in 0..self.groups.len() {
                let group = &mut self.groups[i];
                if mirrored.holds(group.spec.node == me) {
                    if let Some(peer) = self.peers.get_mut(from) {
                        peer.claims.remove(group.key());
                    }
                    group.acquire(&mut self.bench, &format!("{from} handed it over"));
                }
            }
        }
        log::info!("standby: acquire {} resources of {from}", names(&keys));
        self.wanted_phase("acquiring", from);
    }

    pub(super) fn go_on_with_taking(&mut self) {
        self.go_on_with_wanted();
        let now = self.bench.now.mono;
        let Some(t) = &self.taking else { return };
        if now >= t.until {
            log::warn!(
                "standby: node {} did not finish giving its resources; forgotten",
                t.from
            );
            self.end_taking();
            return;
        }
        let peer = &self.peers[&t.from];
        if !t.begun {
            if !peer.ours && !t.releases && now >= t.answer_by {
                log::info!("standby: node {} called its move off", t.from);
                self.end_taking();
            }
            return;
        }
        let settled = |k: &ResourceName| {
            let still_coming =
                matches!(peer.claims.get(k).map(|c| &c.state), Some(ClaimState::Moving(to)) if *to == self.me);
            match self.group_index(Some(k.as_str())) {
                None => true,
                Some(i) => {
                    let group = &self.groups[i];
                    let to_come = still_coming && group.is_stopped() && group.failed_at.is_none();
                    !group.is_busy() && !to_come
                }
            }
        };
        if t.keys.iter().all(settled) {
            let (from, set) = (t.from.clone(), t.set);
            log::info!("standby: the move from node {from} is complete");
            let text = format!("the move from node {from} is over");
            let keys = names(&t.keys);
            self.note(false, Kind::Move, &keys, text);
            self.end_taking();
            self.say_standby(set, "done", Some(&from));
        }
    }

    /// The giver is stable and does not hand anything to us: whatever we waited for is over.
    pub(super) fn giver_is_done(&mut self, from: &NodeName) {
        let Some(t) = &self.taking else { return };
        let peer = &self.peers[from];
        let giving = peer
            .claims
            .values()
            .any(|c| c.state == ClaimState::Moving(self.me.clone()) || c.state == ClaimState::Stopping);
        if t.from == *from && !t.begun && peer.ours && !giving {
            log::info!("standby: node {from} called its move off");
            self.end_taking();
        }
    }

    pub(super) fn end_taking(&mut self) {
        self.taking = None;
        self.wanted_move_over();
    }

    /// A node is gone, or started anew: moves with it are over.
    pub(super) fn cancel_with(&mut self, node: &NodeName, why: &str) {
        if self.handover.as_ref().is_some_and(|h| h.to == *node) {
            log::warn!("Cancelling pending standby operation with node {node}: {why}");
            self.end_handover(Err(format!("node {node}: {why}")));
        }
        if self.taking.as_ref().is_some_and(|t| t.from == *node) {
            log::warn!("Cancelling pending standby operation of node {node}: {why}");
            self.end_taking();
        }
    }
}

/// The smallest of the classic's sets that covers the groups.
fn request_set(groups: &Groups, keys: &[ResourceName]) -> Set {
    let mut set = Set::NONE;
    for i in keys.iter().filter_map(|k| groups.group_index(Some(k.as_str()))) {
        if groups.groups[i].spec.node == groups.me {
            set.local = true;
        } else {
            set.foreign = true;
        }
    }
    set
}

pub(super) fn names<'a>(keys: impl IntoIterator<Item = &'a ResourceName>) -> String {
    keys.into_iter()
        .map(ResourceName::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
