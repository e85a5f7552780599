//! A member's part in its view: it claims, takes the CIB that counts, and follows the DC change by change.

use super::change::{Change, ChangeId, Done, Recent, check_sum, fingerprint};
use super::claim::Claim;
use super::machine::Agree;
use super::mark::{Mark, epochs};
use super::parts::For;
use super::types::Action;
use crate::cib::{Cib, Element};
use crate::msg::{Message, Value};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};

/// Changes of one node that the DC has and has not answered yet.
pub(super) const ON_THE_WAY: usize = 16;
/// What was not answered for this long is said again.
pub(super) const AGAIN: Duration = Duration::from_millis(500);
/// Commits that came before one that is missing are kept up to this number: more than the DC sends unacknowledged.
const EARLY: usize = 128;

/// How far a member is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// It has said what it has.
    Claimed,
    /// The DC has said what counts, and it is on its way.
    Copying { round: u64 },
    /// It is there, and being written to the disk.
    Storing { round: u64 },
    /// The DC knows. `said` is repeated until the first commit comes.
    Synced { round: u64, said: Message },
    /// The first commit is made: every member's history is in the CIB.
    Following { round: u64 },
}

#[derive(Debug)]
pub(super) struct Seat {
    pub stage: Stage,
    /// Repeated until the DC has answered.
    pub claim: Message,
    /// What the DC said of the round, while the copy is on its way.
    sync: Option<Message>,
    /// The last commit that was made.
    pub applied: u64,
    /// Commits of the configuration that are not on the disk yet, with their tokens.
    storing: VecDeque<(u64, u64)>,
    stored_for: Option<u64>,
    acked: u64,
    inbox: BTreeMap<u64, (Message, Option<String>)>,
    pub again_at: Instant,
    /// This node's CIB as text, for the one who fetches it.
    pub served: Option<String>,
    pub report: Option<String>,
}

impl Seat {
    pub fn new(claim: Message, now: Instant) -> Self {
        Self {
            stage: Stage::Claimed,
            claim,
            sync: None,
            applied: 0,
            storing: VecDeque::new(),
            stored_for: None,
            acked: 0,
            inbox: BTreeMap::new(),
            again_at: now + AGAIN,
            served: None,
            report: None,
        }
    }

    fn round(&self) -> u64 {
        match &self.stage {
            Stage::Claimed => 0,
            Stage::Copying { round }
            | Stage::Storing { round }
            | Stage::Synced { round, .. }
            | Stage::Following { round } => *round,
        }
    }

    pub fn is_following(&self) -> bool {
        matches!(self.stage, Stage::Following { .. })
    }
}

/// The CIB and the changes made lately, as one text.
pub(super) fn copy_text(cib: &Cib, recent: &Recent) -> String {
    Element::new("copy")
        .holding(recent.to_element())
        .holding(cib.root().clone())
        .to_bare()
}

pub(super) fn read_copy(text: &str) -> Option<(Cib, Recent)> {
    let mut copy = Element::parse(text).ok()?;
    let cib = copy.children.pop()?;
    let recent = Recent::from_element(copy.child("recent")?);
    Some((Cib::from_element(cib).ok()?, recent))
}

impl Agree {
    /// The DC says which CIB counts.
    pub(super) fn on_sync(&mut self, now: Instant, message: Message) {
        let Some(round) = message.dec("round") else { return };
        let Some(view) = &mut self.view else { return };
        let seat = &mut view.seat;
        if round <= seat.round() {
            // It has not heard our answer.
            if let Stage::Synced { round: ours, said } = &seat.stage
                && *ours == round
            {
                let said = said.clone();
                self.tell_dc(said);
            }
            return;
        }
        let size = message.dec("size").unwrap_or(0);
        let wanted = message.get("fingerprint").unwrap_or_default().to_owned();
        seat.stage = Stage::Copying { round };
        seat.inbox.clear();
        seat.storing.clear();
        seat.sync = Some(message);
        let dc = view.dc;
        if dc == self.hearing.me() || wanted == fingerprint(&self.cib, &self.recent) {
            self.adopt(now, None);
        } else {
            self.fetch(now, dc, format!("copy{round}"), size, For::Copy);
        }
    }

    /// What counts is here: `None` when it was before.
    pub(super) fn adopt(&mut self, now: Instant, copy: Option<String>) {
        let Some(view) = &mut self.view else { return };
        let Some(sync) = view.seat.sync.take() else { return };
        let round = view.seat.round();
        let id = view.id;
        let mark = sync.get("mark").and_then(Mark::parse);
        let copied = copy.map(|text| read_copy(&text));
        let (Some(mark), false) = (mark, matches!(copied, Some(None))) else {
            view.seat.stage = Stage::Claimed;
            return self.say(
                log::Level::Error,
                "the DC's copy of the CIB cannot be read; asking again",
            );
        };
        let mut kept = None;
        if let Some(Some((cib, recent))) = copied {
            kept = self.put_in_place(cib, recent, sync.hex("lineage"));
        }
        self.mark = mark;
        self.lineage = Some(id);
        self.complete = false;
        let Some(view) = &mut self.view else { return };
        view.seat.applied = sync.dec("n").unwrap_or(0);
        view.seat.acked = view.seat.applied;
        if view.chair.is_none() {
            view.seat.served = None;
        }
        let me = self.hearing.name(self.hearing.me()).as_str();
        let reports = sync
            .fields()
            .iter()
            .any(|f| f.name == "report" && f.value == Value::from(me));
        let mut said = self.message("crm-synced").with("round", round.to_string());
        if let Some(kept) = kept.or(self.gave_way.take()) {
            said.set("kept", kept);
        }
        if reports {
            let text = self.own_report().to_bare();
            Self::put_body(&mut said, &text, "report");
            if let Some(view) = &mut self.view {
                view.seat.report = Some(text);
            }
        }
        let token = self.store_if_new();
        let Some(view) = &mut self.view else { return };
        view.seat.sync = Some(said);
        view.seat.stage = Stage::Storing { round };
        view.seat.stored_for = token;
        if token.is_none() {
            self.synced(now);
        }
    }

    /// Another CIB takes the place of ours. The name under which ours is kept, with its version, if it lacked or had
    /// something.
    pub(super) fn put_in_place(&mut self, cib: Cib, recent: Recent, lineage: Option<u64>) -> Option<String> {
        let old = std::mem::replace(&mut self.cib, cib);
        self.recent = recent;
        let configuration = old.configuration() != self.cib.configuration();
        self.out.push(Action::CibChanged { configuration });
        // Of one view: one of them is a commit behind, which nobody was told of as made.
        let related = lineage.is_some() && lineage == self.lineage;
        if !configuration || related || epochs(old.version()) == (0, 0) {
            return None;
        }
        let me = self.hearing.name(self.hearing.me());
        let digest = crate::cib::document::digest(&old.stored());
        let name = format!("cib-{me}-{}-{}.xml", old.version(), &digest[..8]);
        let kept = format!("{} {name}", old.version());
        self.out.push(Action::KeepAside {
            name,
            cib: Box::new(old),
        });
        Some(kept)
    }

    fn own_report(&self) -> Element {
        match &self.own {
            Some(report) => report.clone(),
            None => super::node_state::report(&self.cib, &self.uuid, self.history.as_ref(), false),
        }
    }

    /// What this node has of the round is on its disk.
    fn synced(&mut self, now: Instant) {
        let Some(view) = &mut self.view else { return };
        let Some(said) = view.seat.sync.take() else { return };
        let round = view.seat.round();
        view.seat.stage = Stage::Synced {
            round,
            said: said.clone(),
        };
        view.seat.again_at = now + AGAIN;
        self.tell_dc(said);
    }

    pub(super) fn on_stored(&mut self, now: Instant, token: u64) {
        let Some(view) = &mut self.view else { return };
        let seat = &mut view.seat;
        while seat.storing.front().is_some_and(|(_, t)| *t <= token) {
            seat.storing.pop_front();
        }
        if matches!(seat.stage, Stage::Storing { .. }) && seat.stored_for.is_some_and(|t| t <= token) {
            self.synced(now);
        }
        self.acknowledge(false);
    }

    pub(super) fn on_commit(&mut self, now: Instant, message: Message) {
        let Some(n) = message.dec("n") else { return };
        let Some(view) = &mut self.view else { return };
        let seat = &mut view.seat;
        if message.dec("round") != Some(seat.round())
            || !matches!(seat.stage, Stage::Synced { .. } | Stage::Following { .. })
        {
            return;
        }
        if n <= seat.applied {
            self.acknowledge(true);
            return;
        }
        if seat.inbox.contains_key(&n) || seat.inbox.len() >= EARLY {
            return;
        }
        let inline = message.get("xml").map(str::to_owned);
        let (blob, size) = Self::body(&message);
        seat.inbox.insert(n, (message, inline.clone()));
        let dc = view.dc;
        if inline.is_none() {
            self.fetch(now, dc, blob, size, For::Commit { n });
        }
        self.follow();
    }

    pub(super) fn on_commit_body(&mut self, n: u64, text: String) {
        if let Some(entry) = self.view.as_mut().and_then(|v| v.seat.inbox.get_mut(&n)) {
            entry.1 = Some(text);
        }
        self.follow();
    }

    /// Makes all commits that are whole and next.
    fn follow(&mut self) {
        loop {
            let Some(view) = &mut self.view else { return };
            let seat = &mut view.seat;
            let whole = seat
                .inbox
                .first_entry()
                .filter(|e| Some(*e.key()) == seat.applied.checked_add(1) && e.get().1.is_some());
            let Some((n, (message, text))) = whole.map(|e| e.remove_entry()) else {
                break;
            };
            let Some(configuration) = self.make_theirs(n, &message, &text.unwrap_or_default()) else {
                let ask = self.message("crm-resync");
                self.tell_dc(ask);
                return;
            };
            self.made(n, configuration);
            if message.get("first").is_some() {
                self.first_commit_made(&message);
            }
        }
        self.acknowledge(false);
    }

    /// Makes a commit of the DC. `None`: it does not lead to what it led to there.
    fn make_theirs(&mut self, n: u64, message: &Message, text: &str) -> Option<bool> {
        let wanted = message.get("version")?.parse().ok()?;
        let change = Change::read(message, text).ok()?;
        let configuration = change.make(&mut self.cib).ok()?;
        if self.cib.version() != wanted {
            return None;
        }
        let sum = check_sum(&self.cib, configuration);
        if sum.as_deref() != message.get("sum") {
            return None;
        }
        self.note_made(n, ChangeId::of(message), configuration);
        Some(configuration)
    }

    /// On the DC and on its members alike, right after a change was made.
    pub(super) fn note_made(&mut self, n: u64, id: Option<ChangeId>, configuration: bool) {
        if let Some(id) = id {
            self.recent.push(Done {
                id,
                version: self.cib.version(),
                configuration,
            });
        }
        let Some(view) = self.view.as_ref().filter(|_| configuration) else {
            return;
        };
        if view.quorum {
            self.mark.commit = (view.number, n);
            self.mark.version = epochs(self.cib.version());
        }
        self.mark.remember(&self.recent);
    }

    /// Number `n` is in the CIB of this node; on the disk when its token comes back.
    pub(super) fn made(&mut self, n: u64, configuration: bool) {
        self.out.push(Action::CibChanged { configuration });
        let token = configuration.then(|| self.store());
        let Some(view) = &mut self.view else { return };
        view.seat.applied = n;
        view.seat.storing.extend(token.map(|t| (n, t)));
    }

    pub(super) fn first_commit_made(&mut self, message: &Message) {
        let Some(view) = &mut self.view else { return };
        let round = view.seat.round();
        view.seat.stage = Stage::Following { round };
        view.seat.report = None;
        view.seat.served = None;
        self.own = None;
        self.active = true;
        self.complete = true;
        for field in message.fields().iter().filter(|f| f.name == "kept") {
            if let Value::Text(bytes) = &field.value {
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.say(log::Level::Warn, text);
            }
        }
        if self.view.as_ref().is_some_and(|v| v.dc != self.hearing.me()) {
            self.out.push(Action::Active { start_from: self.now });
        }
    }

    /// Tells the DC up to where this node has everything, on the disk where that is due.
    pub(super) fn acknowledge(&mut self, again: bool) {
        let Some(view) = &mut self.view else { return };
        let seat = &mut view.seat;
        if !matches!(seat.stage, Stage::Synced { .. } | Stage::Following { .. }) {
            return;
        }
        let up_to = seat.storing.front().map_or(seat.applied, |(n, _)| n - 1);
        if up_to > seat.acked || again {
            seat.acked = up_to;
            let ack = self
                .message("crm-ack")
                .with("round", self.round().to_string())
                .with("n", up_to.to_string());
            self.tell_dc(ack);
        }
    }

    fn round(&self) -> u64 {
        self.view.as_ref().map_or(0, |v| v.seat.round())
    }

    /// What to say again when nobody answered.
    pub(super) fn repeat_seat(&mut self, now: Instant) {
        let Some(view) = &mut self.view else { return };
        if now < view.seat.again_at {
            return;
        }
        view.seat.again_at = now + AGAIN;
        match &view.seat.stage {
            Stage::Claimed => {
                let claim = view.seat.claim.clone();
                self.tell_dc(claim);
            }
            Stage::Synced { said, .. } => {
                let said = said.clone();
                self.tell_dc(said);
            }
            Stage::Copying { .. } | Stage::Storing { .. } | Stage::Following { .. } => {}
        }
    }

    pub(super) fn claim(&self, now: Instant, members: &[usize]) -> Claim {
        let apart = (0..self.hearing.count()).filter(|n| !members.contains(n));
        let apart = apart.map(|n| {
            let name = self.hearing.name(n).clone();
            let last = self.together.get(&name).copied().unwrap_or(self.started);
            (name, now - last)
        });
        Claim {
            version: self.cib.version(),
            mark: self.mark.clone(),
            fingerprint: fingerprint(&self.cib, &self.recent),
            lineage: self.lineage.filter(|_| self.complete),
            quorum: self.had_quorum,
            apart: apart.collect(),
        }
    }
}
