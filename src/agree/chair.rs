//! The DC's part in its view: it finds the CIB that counts, gives it to all, and then makes one change after the other.

use super::change::{Change, ChangeId, check_sum, fingerprint};
use super::claim::{self, Claim};
use super::machine::Agree;
use super::mark::epochs;
use super::node_state::{self, Seen};
use super::parts::For;
use super::seat::{AGAIN, copy_text, read_copy};
use super::types::{Action, Committed, Refused};
use crate::cib::{Element, Version};
use crate::ids::NodeName;
use crate::msg::{Message, Value};
use crate::time::Instant;
use std::collections::{BTreeMap, VecDeque};

/// So many commits, and so many bytes of them, may be unacknowledged: more of them wait.
const WINDOW: usize = 64;
const WINDOW_BYTES: usize = 256 * 1024;
/// Changes of one node that came before one that is missing: as many as it may have on the way.
const HELD: usize = super::seat::ON_THE_WAY;

type Outcome = Result<Committed, Refused>;

#[derive(Debug)]
enum Stage {
    /// Not every member has said what it has.
    Collecting,
    /// The CIB that counts is another member's.
    Fetching { from: usize },
    /// The members take it and write it; what those report that come from elsewhere.
    Giving {
        message: Message,
        synced: BTreeMap<usize, Option<Element>>,
    },
    /// Changes are made.
    Open,
}

/// What one node sends, in its order.
#[derive(Debug, Default)]
struct Lane {
    next: u64,
    held: BTreeMap<u64, Change>,
    /// Until the sender says that it knows: what became of its changes, and the commit that must be acknowledged first.
    results: BTreeMap<u64, (u64, Outcome)>,
}

#[derive(Debug)]
struct Logged {
    n: u64,
    message: Message,
    /// What is too long for the message.
    body: Option<String>,
}

#[derive(Debug)]
pub(super) struct Chair {
    stage: Stage,
    claims: BTreeMap<usize, Claim>,
    round: u64,
    n: u64,
    log: VecDeque<Logged>,
    acked: BTreeMap<usize, u64>,
    /// Made or refused, to be told when everything up to the commit is acknowledged.
    answers: VecDeque<(u64, ChangeId)>,
    lanes: BTreeMap<(NodeName, u64), Lane>,
    waiting: VecDeque<(ChangeId, Change)>,
    /// The commit with which the view begins to work.
    first: Option<u64>,
    kept: Vec<String>,
    again_at: Instant,
}

impl Chair {
    pub fn new(now: Instant) -> Self {
        Self {
            stage: Stage::Collecting,
            claims: BTreeMap::new(),
            round: 0,
            n: 0,
            log: VecDeque::new(),
            acked: BTreeMap::new(),
            answers: VecDeque::new(),
            lanes: BTreeMap::new(),
            waiting: VecDeque::new(),
            first: None,
            kept: vec![],
            again_at: now + AGAIN,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    fn committed(&self) -> u64 {
        self.acked.values().copied().min().unwrap_or(0)
    }

    /// When something is to be said again.
    pub fn deadline(&self) -> Instant {
        if self.is_open() && self.log.is_empty() {
            return Instant::NEVER;
        }
        self.again_at
    }

    pub fn body_of(&self, n: u64) -> Option<&str> {
        self.log.iter().find(|l| l.n == n)?.body.as_deref()
    }
}

impl Agree {
    fn chair(&mut self) -> Option<&mut Chair> {
        self.view.as_mut()?.chair.as_mut()
    }

    pub(super) fn on_claim(&mut self, now: Instant, from: usize, message: &Message) {
        let Some(claim) = Claim::read(message) else { return };
        let Some(view) = &mut self.view else { return };
        let Some(chair) = &mut view.chair else { return };
        match &chair.stage {
            Stage::Collecting => {}
            // It lost what it had been told.
            Stage::Giving { message, .. } => {
                let message = message.clone();
                return self.post(from, message);
            }
            Stage::Fetching { .. } | Stage::Open => return,
        }
        chair.claims.insert(from, claim);
        if !view.members.iter().all(|n| chair.claims.contains_key(n)) {
            return;
        }
        let dc = view.dc;
        let claims = chair.claims.iter().map(|(n, c)| (*n, c));
        let winner = claim::winner(claims, dc).expect("every member has claimed");
        if chair.claims[&winner].fingerprint == chair.claims[&dc].fingerprint {
            self.give(now, winner, None);
        } else {
            chair.stage = Stage::Fetching { from: winner };
            self.fetch(now, winner, "mine".to_owned(), 0, For::Winner);
        }
    }

    /// The CIB that counts has come from the member that had it.
    pub(super) fn on_winner(&mut self, now: Instant, text: &str) {
        let Some(Stage::Fetching { from }) = self.chair().map(|c| &c.stage) else {
            return;
        };
        let from = *from;
        self.give(now, from, Some(text));
    }

    /// The CIB that counts becomes everybody's.
    fn give(&mut self, now: Instant, winner: usize, text: Option<&str>) {
        let Some(chair) = self.chair() else { return };
        let claims: Vec<Claim> = chair.claims.values().cloned().collect();
        let best = chair.claims[&winner].clone();
        if let Some(text) = text {
            let Some((cib, recent)) = read_copy(text) else {
                let from = self.hearing.name(winner).clone();
                self.say(
                    log::Level::Error,
                    format!("the CIB of {from} cannot be read; waiting for a new view"),
                );
                return;
            };
            self.gave_way = self.put_in_place(cib, recent, best.lineage);
        }
        let view_mark = self.mark.view.max(best.mark.view);
        self.mark = best.mark.clone();
        self.mark.view = claims.iter().map(|c| c.mark.view).fold(view_mark, u64::max);
        // What was committed with quorum may have a lower version than what was changed without: versions never fall.
        let highest = claims.iter().map(|c| epochs(c.version)).max().unwrap_or_default();
        if highest > epochs(self.cib.version()) {
            self.cib.set_version(Version {
                admin_epoch: highest.0,
                epoch: highest.1.saturating_add(1),
                num_updates: 0,
            });
        }
        let Some(view) = &self.view else { return };
        if view.quorum {
            self.mark.view = self.mark.view.max(view.number);
            if !self.mark.covers(&self.cib) {
                self.mark.commit = (view.number, 0);
                self.mark.version = epochs(self.cib.version());
            }
        }
        self.mark.remember(&self.recent);
        self.begin_round(now, best.lineage, |_, claim| {
            claim.lineage.is_none() || claim.lineage != best.lineage
        });
    }

    /// Everybody is to have this node's CIB. `reports`: whose history is not in it.
    fn begin_round(&mut self, now: Instant, lineage: Option<u64>, reports: impl Fn(usize, &Claim) -> bool) {
        let text = copy_text(&self.cib, &self.recent);
        let Some(chair) = self.chair() else { return };
        chair.round += 1;
        let (round, n) = (chair.round, chair.n);
        let reporters: Vec<usize> = chair
            .claims
            .iter()
            .filter(|(n, c)| reports(**n, c))
            .map(|(n, _)| *n)
            .collect();
        let mut message = self
            .message("crm-sync")
            .with("round", round.to_string())
            .with("n", n.to_string())
            .with("version", self.cib.version().to_string())
            .with("fingerprint", fingerprint(&self.cib, &self.recent))
            .with("size", text.len().to_string())
            .with("mark", self.mark.to_text());
        if let Some(lineage) = lineage {
            message.set("lineage", Value::hex(lineage));
        }
        for reporter in reporters {
            message.push("report", Value::from(self.hearing.name(reporter).as_str()));
        }
        let Some(view) = &mut self.view else { return };
        view.seat.served = Some(text);
        let Some(chair) = &mut view.chair else { return };
        chair.again_at = now + AGAIN;
        chair.log.clear();
        chair.stage = Stage::Giving {
            message: message.clone(),
            synced: BTreeMap::new(),
        };
        self.post_all(message);
    }

    pub(super) fn on_synced(&mut self, now: Instant, from: usize, message: &Message) {
        let round = message.dec("round");
        let Some(chair) = self.chair() else { return };
        if round != Some(chair.round) {
            return;
        }
        let Stage::Giving { synced, .. } = &chair.stage else {
            // Its first commit is on the way, or lost: the log is sent again.
            return;
        };
        if synced.contains_key(&from) {
            return;
        }
        if let Some(kept) = message.get("kept") {
            let kept = kept.to_owned();
            self.note_kept(from, &kept);
        }
        if message.get("size").is_none() {
            return self.one_more_synced(now, from, None);
        }
        match message.get("xml") {
            Some(text) => {
                let report = Element::parse(text).ok();
                self.one_more_synced(now, from, report);
            }
            None => {
                let (blob, size) = Self::body(message);
                self.fetch(now, from, blob, size, For::Report);
            }
        }
    }

    fn note_kept(&mut self, from: usize, kept: &str) {
        let Some((version, file)) = kept.split_once(' ') else {
            return;
        };
        let (name, now) = (self.hearing.name(from), self.cib.version());
        let text = format!(
            "the CIB of node {name}, version {version}, gives way to the cluster's, version {now}; node {name} keeps it as {file}"
        );
        if let Some(chair) = self.chair().filter(|c| !c.kept.contains(&text)) {
            chair.kept.push(text);
        }
    }

    pub(super) fn one_more_synced(&mut self, now: Instant, from: usize, report: Option<Element>) {
        let Some(view) = &mut self.view else { return };
        let Some(chair) = &mut view.chair else { return };
        let Stage::Giving { synced, .. } = &mut chair.stage else {
            return;
        };
        synced.insert(from, report);
        if !view.members.iter().all(|n| synced.contains_key(n)) {
            return;
        }
        let reports = std::mem::take(synced);
        chair.stage = Stage::Open;
        chair.acked = view.members.iter().map(|n| (*n, chair.n)).collect();
        chair.again_at = now + AGAIN;
        let (quorum, members, dc) = (view.quorum, view.members.clone(), view.dc);
        let seen: Vec<Seen> = (0..self.hearing.count())
            .filter_map(|n| {
                Some(Seen {
                    name: self.hearing.name(n).to_string(),
                    uuid: self.hearing.uuid(n)?.to_owned(),
                    member: members.contains(&n),
                    alive: self.hearing.is_alive(n),
                    left: self.hearing.has_left(n),
                    report: reports.get(&n).cloned().flatten(),
                })
            })
            .collect();
        let change = Change {
            edits: node_state::edits(&self.cib, &seen),
            seen: Some((quorum, self.hearing.uuid(dc).unwrap_or_default().to_owned())),
            ..Change::default()
        };
        self.commit(change, None, true);
        self.release(now);
    }

    /// Makes a change and sends it to the members. What changes nothing is answered when what came before is there.
    fn commit(&mut self, change: Change, id: Option<ChangeId>, first: bool) {
        let before = self.cib.version();
        let made = change.make(&mut self.cib);
        let quorum = self.view.as_ref().is_some_and(|v| v.quorum);
        let after = self.cib.version();
        let Some(chair) = self.chair() else { return };
        let outcome = match &made {
            Ok(_) => Ok(Committed { version: after, quorum }),
            Err(refusal) => Err(Refused::from(refusal.clone())),
        };
        let configuration = match made {
            Ok(configuration) if first || after != before => configuration,
            Ok(_) | Err(_) => {
                let n = chair.n;
                if let Some(id) = id {
                    chair.settle(id, n, outcome);
                } else if let Err(refused) = outcome {
                    self.say(
                        log::Level::Error,
                        format!("the state of the nodes could not be written: {refused}"),
                    );
                }
                if first {
                    // The view works all the same.
                    self.commit(Change::default(), None, true);
                }
                return;
            }
        };
        chair.n += 1;
        let (n, round) = (chair.n, chair.round);
        if first {
            chair.first = Some(n);
        }
        let kept = std::mem::take(&mut chair.kept);
        if let Some(id) = id.clone() {
            chair.settle(id, n, outcome);
        }
        self.note_made(n, id.clone(), configuration);
        let mut message = self
            .message("crm-commit")
            .with("round", round.to_string())
            .with("n", n.to_string())
            .with("version", after.to_string());
        change.write_to(&mut message);
        if let Some(sum) = check_sum(&self.cib, configuration) {
            message.set("sum", sum);
        }
        if let Some(id) = &id {
            id.write_to(&mut message);
        }
        if first {
            message.set("first", "1");
            for text in kept {
                message.push("kept", Value::from(text));
            }
        }
        let text = change.text();
        let body = Self::put_body(&mut message, &text, &format!("c{n}")).then_some(text);
        self.post_others(&message);
        if let Some(chair) = self.chair() {
            chair.log.push_back(Logged {
                n,
                message: message.clone(),
                body,
            });
        }
        self.made(n, configuration);
        if first {
            self.first_commit_made(&message);
        }
        self.acknowledge(false);
    }

    pub(super) fn on_ack(&mut self, now: Instant, from: usize, message: &Message) {
        let (Some(n), round) = (message.dec("n"), message.dec("round")) else {
            return;
        };
        let Some(chair) = self.chair() else { return };
        if round != Some(chair.round) || !chair.is_open() || n > chair.n {
            return;
        }
        if let Some(acked) = chair.acked.get_mut(&from).filter(|a| **a < n) {
            *acked = n;
            chair.again_at = now + AGAIN;
            self.release(now);
        }
    }

    /// A member's CIB is not what it should be: everybody gets this one.
    pub(super) fn on_resync(&mut self, now: Instant, from: usize) {
        if !self.chair().is_some_and(|c| c.is_open()) {
            return;
        }
        let name = self.hearing.name(from).clone();
        self.say(
            log::Level::Warn,
            format!("node {name}: its CIB differs from that of the DC; it gets a full copy"),
        );
        self.begin_round(now, self.lineage, |_, _| false);
    }

    /// Tells what is acknowledged by all, and makes what waits for room.
    fn release(&mut self, now: Instant) {
        let mut told = vec![];
        let Some(chair) = self.chair() else { return };
        if !chair.is_open() {
            return;
        }
        let committed = chair.committed();
        while chair.log.front().is_some_and(|l| l.n <= committed) {
            chair.log.pop_front();
        }
        while chair.answers.front().is_some_and(|(n, _)| *n <= committed) {
            told.extend(chair.answers.pop_front().map(|(_, id)| id));
        }
        let starts = chair.first.take_if(|n| *n <= committed).is_some();
        for id in told {
            self.tell_outcome(&id);
        }
        if starts {
            let start_from = self.start_from();
            self.out.push(Action::Active { start_from });
            self.send_pending(now);
        }
        self.pump();
    }

    fn tell_outcome(&mut self, id: &ChangeId) {
        let Some(chair) = self.chair() else { return };
        let lane = chair.lanes.get(&(id.node.clone(), id.life));
        let Some((_, outcome)) = lane.and_then(|l| l.results.get(&id.number)) else {
            return;
        };
        let outcome = outcome.clone();
        let mut message = self.message("crm-done");
        id.write_to(&mut message);
        match outcome {
            Ok(Committed { version, quorum }) => {
                message.set("version", version.to_string());
                message.set("quorum", if quorum { "1" } else { "0" });
            }
            Err(Refused { code, text }) => {
                message.set("code", code.to_string());
                message.set("text", text);
            }
        }
        if let Some(to) = self.hearing.find(&id.node) {
            self.post(to, message);
        }
    }

    pub(super) fn on_submit(&mut self, now: Instant, from: usize, message: &Message) {
        let (Some(id), Some(first)) = (ChangeId::of(message), message.dec("first")) else {
            return;
        };
        let Some(chair) = self.chair() else { return };
        if !chair.is_open() {
            return;
        }
        let committed = chair.committed();
        let lane = chair.lanes.entry((id.node.clone(), id.life)).or_default();
        lane.next = lane.next.max(first);
        lane.results = lane.results.split_off(&first);
        if id.number < lane.next {
            if lane.results.get(&id.number).is_some_and(|(n, _)| *n <= committed) {
                self.tell_outcome(&id);
            }
            return;
        }
        if lane.held.contains_key(&id.number) || lane.held.len() >= HELD {
            return;
        }
        match message.get("xml") {
            Some(text) => {
                let change = Change::read(message, text);
                self.submitted(id, change.map_err(|e| e.to_string()));
            }
            None => {
                let (blob, size) = Self::body(message);
                let message = Box::new(message.clone());
                self.fetch(now, from, blob, size, For::Submit { id, message });
            }
        }
        self.release(now);
    }

    /// A change is here as a whole.
    pub(super) fn submitted(&mut self, id: ChangeId, change: Result<Change, String>) {
        let Some(chair) = self.chair() else { return };
        if !chair.is_open() {
            return;
        }
        let n = chair.n;
        let lane = chair.lanes.entry((id.node.clone(), id.life)).or_default();
        if id.number < lane.next {
            return;
        }
        match change {
            Ok(change) => {
                lane.held.insert(id.number, change);
            }
            Err(why) => {
                // An empty change in its place keeps the order.
                lane.held.insert(id.number, Change::default());
                let refused = Refused {
                    code: Refused::UNREADABLE,
                    text: format!("the change cannot be read: {why}"),
                };
                lane.results.insert(id.number, (n, Err(refused)));
            }
        }
        while let Some(change) = lane.held.remove(&lane.next) {
            let id = ChangeId {
                number: lane.next,
                ..id.clone()
            };
            lane.next = lane.next.saturating_add(1);
            chair.waiting.push_back((id, change));
        }
        self.pump();
    }

    /// Makes changes as long as there is room for commits.
    fn pump(&mut self) {
        loop {
            let Some(chair) = self.chair() else { return };
            let bytes: usize = chair.log.iter().filter_map(|l| Some(l.message.get("xml")?.len())).sum();
            if !chair.is_open() || chair.log.len() >= WINDOW || bytes >= WINDOW_BYTES {
                return;
            }
            let Some((id, change)) = chair.waiting.pop_front() else {
                return;
            };
            // An earlier DC has made it.
            let quorum = self.view.as_ref().is_some_and(|v| v.quorum);
            let before = self.recent.find(&id).map(|done| done.version);
            let Some(chair) = self.chair() else { return };
            match before {
                Some(version) => {
                    let n = chair.n;
                    chair.settle(id, n, Ok(Committed { version, quorum }));
                }
                None => self.commit(change, Some(id), false),
            }
            self.tell_idle();
        }
    }

    /// Answers that need no acknowledgement any more.
    fn tell_idle(&mut self) {
        let mut told = vec![];
        let Some(chair) = self.chair() else { return };
        let committed = chair.committed();
        while chair.answers.front().is_some_and(|(n, _)| *n <= committed) {
            told.extend(chair.answers.pop_front().map(|(_, id)| id));
        }
        for id in told {
            self.tell_outcome(&id);
        }
    }

    pub(super) fn repeat_chair(&mut self, now: Instant) {
        let Some(view) = &mut self.view else { return };
        let Some(chair) = &mut view.chair else { return };
        if now < chair.again_at {
            return;
        }
        chair.again_at = now + AGAIN;
        let mut again: Vec<(usize, Message)> = vec![];
        match &chair.stage {
            Stage::Collecting | Stage::Fetching { .. } => {}
            Stage::Giving { message, synced } => {
                let missing = view.members.iter().filter(|n| !synced.contains_key(n));
                again.extend(missing.map(|n| (*n, message.clone())));
            }
            Stage::Open => {
                for (member, acked) in &chair.acked {
                    let missing = chair.log.iter().filter(|l| l.n > *acked);
                    again.extend(missing.map(|l| (*member, l.message.clone())));
                }
            }
        }
        let me = self.hearing.me();
        for (to, message) in again {
            // What this node has not on its disk yet will be.
            if to != me || message.kind() == "crm-sync" {
                self.post(to, message);
            }
        }
    }

    /// When the DC may begin to start what nodes outside may still run.
    fn start_from(&self) -> Instant {
        let Some(view) = &self.view else { return self.now };
        let Some(chair) = &view.chair else { return self.now };
        let outside = |n: &usize| !view.members.contains(n) && !self.hearing.has_left(*n);
        let kept_quorum = chair.claims.values().all(|c| c.quorum);
        let mut from = view.since;
        for n in (0..self.hearing.count()).filter(outside) {
            let name = self.hearing.name(n);
            let together = chair.claims.values().filter_map(|c| {
                let (_, ago) = c.apart.iter().find(|(node, _)| node == name)?;
                Some(view.since.as_millis().saturating_sub(ago.as_millis() as u64))
            });
            let together = Instant::from_millis(together.max().unwrap_or(view.since.as_millis()));
            // A node that notices its own loss of quorum does so within a beat of us.
            let gone = if (kept_quorum || !view.quorum) && !self.hearing.is_headless(self.now, n) {
                together + self.settings.keepalive
            } else {
                together + self.settings.deadtime + self.settings.stop_margin
            };
            from = from.max(gone);
        }
        from
    }
}

impl Chair {
    fn settle(&mut self, id: ChangeId, n: u64, outcome: Outcome) {
        let lane = self.lanes.entry((id.node.clone(), id.life)).or_default();
        lane.results.entry(id.number).or_insert((n, outcome));
        self.answers.push_back((n, id));
    }
}
