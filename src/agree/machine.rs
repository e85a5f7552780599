//! The machine: events in, actions out.

use super::chair::Chair;
use super::change::{Change, Recent};
use super::hearing::{self, Agreed, Hearing};
use super::mark::{Mark, epochs};
use super::node_state;
use super::parts::Fetch;
use super::seat::{AGAIN, Seat};
use super::submit::Pending;
use super::types::{Action, Configured, Event, Lost, Settings, View};
use crate::cib::{Cib, Element, document};
use crate::ids::NodeName;
use crate::msg::{Message, Value};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};

/// The others have this long to see that this node leaves.
const FAREWELL: Duration = Duration::from_secs(2);

/// The view this node is in.
#[derive(Debug)]
pub(super) struct Current {
    pub id: u64,
    pub number: u64,
    pub lives: Vec<(usize, u64)>,
    pub members: Vec<usize>,
    pub dc: usize,
    pub quorum: bool,
    pub since: Instant,
    pub seat: Seat,
    pub chair: Option<Chair>,
}

#[derive(Debug)]
pub struct Agree {
    pub(super) hearing: Hearing,
    pub(super) settings: Settings,
    pub(super) uuid: String,
    pub(super) cib: Cib,
    pub(super) recent: Recent,
    pub(super) mark: Mark,
    pub(super) view: Option<Current>,
    /// The view in which this node last had one CIB with its members.
    pub(super) lineage: Option<u64>,
    /// Its first commit was made here: this node's history was in the CIB.
    pub(super) complete: bool,
    pub(super) had_quorum: bool,
    /// When other nodes were in one view with this one, the last time.
    pub(super) together: BTreeMap<NodeName, Instant>,
    pub(super) started: Instant,
    /// The view works: this node's history is in the CIB.
    pub(super) active: bool,
    /// As the driver told it, for the first view.
    pub(super) history: Option<Element>,
    /// What this node reports of itself until a view works that has it.
    pub(super) own: Option<Element>,
    /// As the DC: what was kept aside when another node's CIB counted.
    pub(super) gave_way: Option<String>,
    pub(super) now: Instant,
    pub(super) out: Vec<Action>,
    pub(super) pending: VecDeque<Pending>,
    pub(super) number: u64,
    pub(super) fetches: BTreeMap<(usize, String), Fetch>,
    early: BTreeMap<usize, Message>,
    inside: VecDeque<Message>,
    token: u64,
    /// What was last to be stored.
    stored: (String, Mark),
    leave_by: Option<Instant>,
    woken: bool,
}

impl Agree {
    /// Messages of these kinds, of other nodes' crmds, are for [`Event::Message`].
    pub const KIND: &str = "crm-";

    pub fn new(
        me: &NodeName,
        uuid: &str,
        nodes: Vec<Configured>,
        settings: Settings,
        cib: Cib,
        mark: Mark,
        now: Instant,
    ) -> Self {
        let stored = (Self::essence(&cib), mark.clone());
        Self {
            hearing: Hearing::new(me, uuid, nodes, &settings, mark.view, now),
            settings,
            uuid: uuid.to_owned(),
            cib,
            recent: Recent::new(mark.recent.clone()),
            mark,
            view: None,
            lineage: None,
            complete: false,
            had_quorum: false,
            together: BTreeMap::new(),
            started: now,
            active: false,
            history: None,
            own: None,
            gave_way: None,
            now,
            out: vec![],
            pending: VecDeque::new(),
            number: 0,
            fetches: BTreeMap::new(),
            early: BTreeMap::new(),
            inside: VecDeque::new(),
            token: 0,
            stored,
            leave_by: None,
            woken: false,
        }
    }

    pub fn cib(&self) -> &Cib {
        &self.cib
    }

    /// Empty before the first view.
    pub fn members(&self) -> Vec<NodeName> {
        let members = self.view.iter().flat_map(|v| v.members.iter());
        members.map(|n| self.hearing.name(*n).clone()).collect()
    }

    pub fn dc(&self) -> Option<&NodeName> {
        self.view.as_ref().map(|v| self.hearing.name(v.dc))
    }

    pub fn is_dc(&self) -> bool {
        self.view.as_ref().is_some_and(|v| v.dc == self.hearing.me())
    }

    pub fn has_quorum(&self) -> bool {
        self.view.as_ref().is_some_and(|v| v.quorum)
    }

    /// The members have one CIB, and changes are made.
    pub fn is_active(&self) -> bool {
        self.active && self.view.as_ref().is_some_and(|v| v.seat.is_following())
    }

    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        if self.woken && now - self.now > self.hearing.silence() {
            let slept = (now - self.now).as_millis();
            self.say(
                log::Level::Warn,
                format!("crmd stood still for {slept} ms: the other nodes do not count on it any more; joining anew"),
            );
            self.hearing.slept(now);
        }
        self.woken = true;
        self.now = now;
        match event {
            Event::Timer => {}
            Event::NodeHeard { node, alive } => {
                if let Some(n) = self.other(&node) {
                    self.hearing.node_heard(n, alive);
                }
            }
            Event::ClientOf { node, there } => {
                if let Some(n) = self.other(&node) {
                    self.hearing.client_of(now, n, there);
                }
            }
            Event::Message { from, fields } => {
                if let Some(n) = self.other(&from) {
                    self.hearing.spoke(now, n);
                    self.receive(now, n, fields);
                }
            }
            Event::Submit {
                id,
                edits,
                origin,
                written,
            } => {
                let change = Change {
                    edits,
                    origin,
                    written,
                    seen: None,
                };
                self.submit(now, Some(id), change);
            }
            Event::Stored { token } => self.on_stored(now, token),
            Event::History { lrm } => self.learn_history(now, lrm),
            Event::Nodes(nodes) => {
                if self.hearing.configure(nodes) {
                    self.leave_view(now);
                }
            }
            Event::Leave => {
                self.leave_by.get_or_insert(now + FAREWELL);
                self.hearing.leave(now);
                self.leave_view(now);
            }
        }
        self.settle(now);
        std::mem::take(&mut self.out)
    }

    /// [`Event::Timer`] is due then.
    pub fn deadline(&self) -> Instant {
        let mut at = self.hearing.deadline(self.now);
        if let Some(view) = &self.view {
            if !view.seat.is_following() {
                at = at.min(view.seat.again_at);
            }
            at = at.min(view.chair.as_ref().map_or(Instant::NEVER, Chair::deadline));
        }
        if !self.fetches.is_empty() || !self.pending.is_empty() {
            at = at.min(self.now + AGAIN / 2);
        }
        at.min(self.leave_by.unwrap_or(Instant::NEVER))
    }

    fn other(&self, name: &NodeName) -> Option<usize> {
        self.hearing.find(name).filter(|n| *n != self.hearing.me())
    }

    pub(super) fn say(&mut self, level: log::Level, text: impl Into<String>) {
        let text = text.into();
        self.out.push(Action::Log { level, text });
    }

    /// Everything that follows from what has just been learned.
    fn settle(&mut self, now: Instant) {
        loop {
            while let Some(message) = self.inside.pop_front() {
                self.take(now, self.hearing.me(), message);
            }
            let sits = self.is_dc();
            match self.hearing.look(now, sits) {
                Some(agreed) => self.install(now, &agreed),
                None => break,
            }
        }
        self.repeat_seat(now);
        self.repeat_chair(now);
        self.repeat_fetches(now);
        self.send_pending(now);
        self.give_up(now);
        while let Some(message) = self.inside.pop_front() {
            self.take(now, self.hearing.me(), message);
        }
        let (in_view, sits) = (self.view.is_some(), self.is_dc());
        if let Some(message) = self.hearing.tell(now, in_view, sits) {
            self.out.push(Action::Send { to: None, message });
        }
        if self.leave_by.is_some_and(|by| now >= by || self.hearing.is_let_go()) {
            self.leave_by = None;
            self.out.push(Action::Left);
        }
    }

    fn receive(&mut self, now: Instant, from: usize, message: Message) {
        if message.kind() == hearing::STATE {
            return self.hearing.told(now, from, &message);
        }
        // Their view may be there before ours is: claims wait for it.
        if message.kind() == "crm-claim" && message.hex("view") != self.view.as_ref().map(|v| v.id) {
            self.early.insert(from, message);
            return;
        }
        self.take(now, from, message);
    }

    /// A message of a member of this view.
    fn take(&mut self, now: Instant, from: usize, message: Message) {
        let Some(view) = &self.view else { return };
        if message.hex("view") != Some(view.id) || !view.members.contains(&from) {
            return;
        }
        let of_dc = from == view.dc;
        match message.kind() {
            "crm-claim" => self.on_claim(now, from, &message),
            "crm-sync" if of_dc => self.on_sync(now, message),
            "crm-synced" => self.on_synced(now, from, &message),
            "crm-commit" if of_dc => self.on_commit(now, message),
            "crm-ack" => self.on_ack(now, from, &message),
            "crm-resync" => self.on_resync(now, from),
            "crm-submit" => self.on_submit(now, from, &message),
            "crm-done" if of_dc => self.on_done(&message),
            "crm-pull" => self.on_pull(from, &message),
            "crm-blob" => self.on_blob(now, from, &message),
            _ => {}
        }
    }

    fn install(&mut self, now: Instant, agreed: &Agreed) {
        let before = self.view.take();
        self.end_view(now, before.as_ref());
        let lives = agreed.proposal.members.clone();
        let members: Vec<usize> = lives.iter().map(|(n, _)| *n).collect();
        let quorum = members.len() * 2 > self.hearing.count();
        let old: Vec<(usize, u64)> = before.as_ref().map(|b| b.lives.clone()).unwrap_or_default();
        let names = |nodes: &[usize]| nodes.iter().map(|n| self.hearing.name(*n).clone()).collect::<Vec<_>>();
        let joined: Vec<usize> = lives.iter().filter(|m| !old.contains(m)).map(|(n, _)| *n).collect();
        let lost = old
            .iter()
            .map(|(n, _)| *n)
            .filter(|n| !members.contains(n))
            .map(|n| Lost {
                node: self.hearing.name(n).clone(),
                clean: self.hearing.has_left(n),
                alive: self.hearing.is_alive(n),
            });
        let view = View {
            number: agreed.proposal.number,
            members: names(&members),
            dc: self.hearing.name(agreed.dc).clone(),
            quorum,
            joined: names(&joined),
            lost: lost.collect(),
        };
        self.log_view(&view);
        let id = self.view_id(&agreed.proposal.members, agreed.proposal.number);
        let claim = self.claim(now, &members);
        let mut message = Message::new("crm-claim").with("view", Value::hex(id));
        claim.write_to(&mut message);
        self.had_quorum = quorum;
        let is_dc = agreed.dc == self.hearing.me();
        self.view = Some(Current {
            id,
            number: agreed.proposal.number,
            lives,
            members,
            dc: agreed.dc,
            quorum,
            since: now,
            seat: Seat::new(message.clone(), now),
            chair: is_dc.then(|| Chair::new(now)),
        });
        self.out.push(Action::View(view));
        self.tell_dc(message);
        for (from, message) in std::mem::take(&mut self.early) {
            self.take(now, from, message);
        }
    }

    fn log_view(&mut self, view: &View) {
        let list = |names: &[NodeName]| names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" ");
        let quorum = if view.quorum { "with" } else { "WITHOUT" };
        let (number, members, dc) = (view.number, list(&view.members), &view.dc);
        self.say(
            log::Level::Info,
            format!("partition {quorum} quorum: {members}; the DC is {dc} (view {number})"),
        );
        for lost in &view.lost {
            let why = match (lost.clean, lost.alive) {
                (true, _) => "has left",
                (false, true) => "is not in the partition any more; its heartbeat is heard",
                (false, false) => "is lost",
            };
            self.say(log::Level::Warn, format!("node {}: {why}", lost.node));
        }
    }

    /// What is to be known of the view that ends.
    fn end_view(&mut self, now: Instant, view: Option<&Current>) {
        self.fetches.clear();
        self.inside.clear();
        self.gave_way = None;
        for pending in &mut self.pending {
            pending.sent = None;
        }
        let Some(view) = view else { return };
        for n in &view.members {
            self.together.insert(self.hearing.name(*n).clone(), now);
        }
        if self.active {
            self.own = Some(node_state::report(&self.cib, &self.uuid, self.history.as_ref(), true));
        }
        self.active = false;
    }

    /// Without a new one: ha.cf changed, or this node leaves.
    fn leave_view(&mut self, now: Instant) {
        let before = self.view.take();
        self.end_view(now, before.as_ref());
        self.early.clear();
        self.together.clear();
    }

    /// The same for all who agreed on it, and another one for every other view.
    fn view_id(&self, lives: &[(usize, u64)], number: u64) -> u64 {
        // FNV-1a
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut add = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        add(&number.to_be_bytes());
        for (n, life) in lives {
            add(self.hearing.name(*n).as_str().as_bytes());
            add(&life.to_be_bytes());
        }
        hash
    }

    fn learn_history(&mut self, now: Instant, lrm: Element) {
        if self.active {
            let state = Element::new("node_state").with("id", &self.uuid);
            let section = || "status".to_owned();
            let named = lrm.clone();
            let edits = vec![
                crate::cib::Edit::Delete {
                    section: section(),
                    xml: Element::new("lrm").with("id", &self.uuid),
                },
                crate::cib::Edit::Modify {
                    section: section(),
                    xml: state.holding(named),
                    or_create: true,
                },
            ];
            let change = Change {
                edits,
                ..Change::default()
            };
            self.submit(now, None, change);
        }
        self.own = None;
        self.history = Some(lrm);
    }

    // What is sent.

    /// A message of this view.
    pub(super) fn message(&self, kind: &str) -> Message {
        let id = self.view.as_ref().map_or(0, |v| v.id);
        Message::new(kind).with("view", Value::hex(id))
    }

    pub(super) fn post(&mut self, to: usize, message: Message) {
        if to == self.hearing.me() {
            self.inside.push_back(message);
            return;
        }
        let to = Some(self.hearing.name(to).clone());
        self.out.push(Action::Send { to, message });
    }

    pub(super) fn tell_dc(&mut self, message: Message) {
        if let Some(dc) = self.view.as_ref().map(|v| v.dc) {
            self.post(dc, message);
        }
    }

    /// To all other members.
    pub(super) fn post_others(&mut self, message: &Message) {
        let Some(view) = &self.view else { return };
        let others: Vec<usize> = view
            .members
            .iter()
            .copied()
            .filter(|n| *n != self.hearing.me())
            .collect();
        match others[..] {
            [] => {}
            [one] => self.post(one, message.clone()),
            // Who is no member does not listen.
            _ => self.out.push(Action::Send {
                to: None,
                message: message.clone(),
            }),
        }
    }

    pub(super) fn post_all(&mut self, message: Message) {
        self.post_others(&message);
        self.inside.push_back(message);
    }

    // The disk.

    fn essence(cib: &Cib) -> String {
        format!("{:?} {}", epochs(cib.version()), document::digest(cib.configuration()))
    }

    /// Has the CIB and the mark written; the token that comes back when they are.
    pub(super) fn store(&mut self) -> u64 {
        self.token += 1;
        self.stored = (Self::essence(&self.cib), self.mark.clone());
        self.out.push(Action::Store {
            token: self.token,
            cib: Box::new(self.cib.clone()),
            mark: self.mark.clone(),
        });
        self.token
    }

    /// The same if they are not the last that were written.
    pub(super) fn store_if_new(&mut self) -> Option<u64> {
        let new = self.stored.1 != self.mark || self.stored.0 != Self::essence(&self.cib);
        new.then(|| self.store())
    }
}
