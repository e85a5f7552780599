//! What the resource managers say to each other: the classic's messages, with our claims added to each.

use super::group::Group;
use super::manager::{Groups, Order, Phase, TELL_EVERY};
use super::peer::{Claim, ClaimState, Claims, read_claims, write_claims};
use super::repair;
use super::set::Set;
use crate::conf::AutoFailback;
use crate::daemon::transitions::Kind;
use crate::ids::{Generation, NodeName, ResourceName, Seq};
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant};
use std::borrow::Cow;

/// Ours: what the sender claims, see `peer::write_claims`.
pub const CLAIMS: &str = "hb_groups";
/// Ours: digest of the sender's haresources.
const DIGEST: &str = "hb_digest";
/// Ours: a short digest of each of its lines, separated by blanks.
const LINES: &str = "hb_lines";
/// Ours: the nodes that the sender, which fences, does not hear.
const UNHEARD: &str = "hb_unheard";
/// Ours: the node a standby request is meant for, when there are more than two.
pub(super) const TO: &str = "hb_to";
/// Ours: names a request of a command, so that its progress can be told to it.
pub(super) const REQUEST: &str = "reqid";
/// In legacy mode an `ip-request` that nobody answers is over after this time.
const ASK_FOR: Duration = Duration::from_secs(5);

/// What the others were told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    set: Option<Set>,
    pub stable: bool,
    claims: Vec<(ResourceName, Claim)>,
    /// The claims as they were written.
    text: String,
}

impl Told {
    fn claims(&self) -> impl Iterator<Item = (&ResourceName, Cow<'_, Claim>)> {
        self.claims.iter().map(|(key, claim)| (key, Cow::Borrowed(claim)))
    }
}

/// The types of message that the resource managers say to each other.
pub(super) fn is_ours(kind: &str) -> bool {
    matches!(
        kind,
        "starting"
            | "resource"
            | "hb_claims"
            | "ask_resources"
            | "shutdone"
            | "hb_takeover"
            | "ip-request"
            | "ip-request-resp"
            | "stonith"
    )
}

impl Groups {
    /// Adds what we claim and which haresources we have.
    pub(super) fn with_claims(&self, message: Message) -> Message {
        let lines: Vec<&str> = self.lines.iter().map(|(_, digest)| digest.as_str()).collect();
        let claims = if self.claims().eq(self.told.claims()) {
            self.told.text.clone()
        } else {
            write_claims(self.claims())
        };
        let mut message = message
            .with(CLAIMS, claims)
            .with(DIGEST, self.digest.as_str())
            .with(LINES, lines.join(" "));
        if let Some(names) = self.unheard() {
            message.set(UNHEARD, names);
        }
        message
    }

    fn claims(&self) -> impl Iterator<Item = (&ResourceName, Cow<'_, Claim>)> {
        self.groups
            .iter()
            .filter_map(|g| Some((g.key(), Cow::Owned(g.claim()?))))
    }

    /// Tells what we hold when it changed, and now and then anyway.
    pub(super) fn tell_if_due(&mut self) {
        if !matches!(self.phase, Phase::Serving | Phase::Stopping | Phase::Leaving { .. }) || self.must_catch_up() {
            return;
        }
        let told = self.told.set == Some(self.set())
            && self.told.stable == self.is_stable()
            && self.claims().eq(self.told.claims());
        if !told || self.bench.now.mono >= self.tell_at {
            let info = match self.phase {
                Phase::Serving if self.handover.as_ref().is_some_and(|h| h.is_giving()) => Some("standby"),
                Phase::Serving | Phase::Waiting => None,
                Phase::Stopping | Phase::Leaving { .. } | Phase::Stopped => Some("shutdown"),
            };
            self.tell(info);
        }
    }

    pub(super) fn tell(&mut self, info: Option<&str>) {
        self.told.set = Some(self.set());
        self.told.stable = self.is_stable();
        if !self.claims().eq(self.told.claims()) {
            let claims: Vec<_> = self
                .claims()
                .map(|(key, claim)| (key.clone(), claim.into_owned()))
                .collect();
            self.told.text = write_claims(self.claims());
            self.told.claims = claims;
        }
        self.tell_at = self.next_tell();
        // Classic nodes in legacy mode know no `resource` messages and complain about them.
        let mut message = match self.mode {
            AutoFailback::Legacy => Message::new("hb_claims"),
            AutoFailback::On | AutoFailback::Off => Message::new("resource"),
        }
        .with(fields::RSC_HOLD, self.set().as_str())
        .with(fields::RTYPE, "full")
        .with(fields::ISSTABLE, if self.is_stable() { "1" } else { "0" });
        if let Some(info) = info {
            message.set(fields::INFO, info);
        }
        let message = self.with_claims(message);
        self.orders.push(Order::Send(message));
    }

    /// A classic node that started while it did not hear us has said what it holds before we heard it, and says it again
    /// only to a node that becomes stable: so we do.
    pub(super) fn ask_silent_classics(&mut self) {
        let now = self.bench.now.mono;
        let patience = self.deadtime.max(TELL_EVERY * 2);
        let mut silent = false;
        for p in self.peers.values_mut() {
            let waits = p.alive && p.active && !p.told && !p.ours && now >= p.silent_since.max(p.asked_at) + patience;
            if waits {
                p.asked_at = now;
                silent = true;
            }
        }
        if !silent || self.mode == AutoFailback::Legacy {
            return;
        }
        let unstable = Message::new("resource")
            .with(fields::RSC_HOLD, self.set().as_str())
            .with(fields::RTYPE, "full")
            .with(fields::ISSTABLE, "0");
        let unstable = self.with_claims(unstable);
        self.orders.push(Order::Send(unstable));
        self.told.stable = false;
    }

    /// A message of another node (or our own, come round).
    pub(super) fn message(&mut self, from: &NodeName, number: (Generation, Seq), message: &Message) {
        let kind = message.kind();
        if !is_ours(kind) || *from == self.me {
            return;
        }
        if !self.take_claims(from, number, message) {
            return;
        }
        match kind {
            "starting" => self.peer_starts(from),
            "resource" | "hb_claims" => self.peer_tells(from, number, message),
            "ask_resources" => self.standby_message(from, number, message),
            "shutdone" => self.peer_left(from),
            "hb_takeover" => self.peer_wants(from, message),
            "ip-request" => self.ip_request(from, message),
            "ip-request-resp" => self.ip_answer(message),
            "stonith" => self.stonith_message(from, message),
            _ => {}
        }
    }

    /// Notes what the sender claims. False when the message is older than one already heard, so that nothing in it may
    /// be acted on any more (ours repeat what matters).
    fn take_claims(&mut self, from: &NodeName, number: (Generation, Seq), message: &Message) -> bool {
        let Some(claims) = message.get(CLAIMS) else {
            return self.peers.contains_key(from);
        };
        let Some(peer) = self.peers.get_mut(from) else {
            return false;
        };
        if number <= peer.newest {
            return false;
        }
        if peer.claims_text != claims {
            let Some(read) = read_claims(claims) else {
                log::warn!("node {from}: its claims cannot be read; ignored");
                return false;
            };
            let before = std::mem::replace(&mut peer.claims, read.clone());
            claims.clone_into(&mut peer.claims_text);
            self.note_claims(from, &before, &read);
        }
        let Some(peer) = self.peers.get_mut(from) else {
            return false;
        };
        peer.newest = number;
        peer.said_at = self.bench.now.mono;
        let me = self.me.as_str();
        peer.deaf = message
            .get(UNHEARD)
            .is_some_and(|names| names.split_ascii_whitespace().any(|n| n == me));
        peer.ours = true;
        peer.told = true;
        if message.get(fields::INFO) == Some("shutdown") {
            peer.leaving = true;
        }
        self.compare_haresources(from, message);
        true
    }

    /// What became of groups on another node.
    fn note_claims(&mut self, from: &NodeName, before: &Claims, after: &Claims) {
        for (key, claim) in after {
            if before.get(key).is_some_and(|b| b.state == claim.state) {
                continue;
            }
            if claim.state == ClaimState::Running
                && let Some(i) = self.group_index(Some(key.as_str()))
            {
                self.groups[i].had_by = Some(from.clone());
            }
            let (bad, text) = match claim.state {
                ClaimState::Running => (false, format!("runs on {from}")),
                ClaimState::Failed => (true, format!("failed on {from}; its log says why")),
                ClaimState::Blocked => (true, format!("is stuck on {from}: it cannot be stopped there")),
                ClaimState::Starting | ClaimState::Stopping | ClaimState::Moving(_) => continue,
            };
            self.note(bad, Kind::Group, key, text);
        }
    }

    /// S2.14: the two haresources differ: said once, on both nodes, with our lines that the other lacks.
    fn compare_haresources(&mut self, from: &NodeName, message: &Message) {
        let (Some(digest), Some(lines)) = (message.get(DIGEST), message.get(LINES)) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(from) else { return };
        if peer.digest.as_deref() == Some(digest) {
            return;
        }
        let before = peer.digest.replace(digest.to_owned()).is_some() || !peer.differs.is_empty();
        peer.differs.clear();
        if digest == self.digest {
            if before {
                log::info!("haresources: the same as on node {from} again");
            }
            return;
        }
        let theirs: Vec<&str> = lines.split_ascii_whitespace().collect();
        let line_text = |line: usize| {
            let group = self.groups.iter().find(|g| g.spec.line == line);
            group.map(|g| g.spec.canonical()).unwrap_or_default()
        };
        for (line, digest) in &self.lines {
            if !theirs.contains(&digest.as_str()) {
                peer.differs.push(format!(
                    "haresources:{line}: node {from} does not have \"{}\"",
                    line_text(*line)
                ));
            }
        }
        if peer.differs.is_empty() {
            let more = theirs.len().saturating_sub(self.lines.len());
            peer.differs.push(match more {
                0 => format!("haresources: node {from} has the same lines in another order"),
                n => format!("haresources: node {from} has {n} line(s) more than this node"),
            });
        }
        log::error!("haresources: differs from the one of node {from}: copy the right one to both, then reload");
        for line in &peer.differs {
            log::error!("{line}");
        }
    }

    fn peer_starts(&mut self, from: &NodeName) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.leaving = false;
        peer.stable = false;
        peer.gives_up = None;
        peer.calm_since = self.bench.now.mono;
        if !peer.ours {
            // It will say what it holds once it has heard us.
            peer.told = false;
            peer.silent_since = self.bench.now.mono;
        }
        peer.failback_due = self.mode == AutoFailback::On;
        for group in &mut self.groups {
            // A node that joins is a new chance for what nobody could start.
            if group.failures >= 3 {
                group.failures = 0;
            }
        }
        if self.phase == Phase::Serving {
            self.tell(None);
        }
    }

    fn peer_tells(&mut self, from: &NodeName, number: (Generation, Seq), message: &Message) {
        let now = self.bench.now.mono;
        let Some(peer) = self.peers.get_mut(from) else { return };
        if !peer.ours {
            // A giver begins once: that is true even when it comes late.
            if let Some(taking) = self.taking.as_mut().filter(|t| t.from == *from && t.asked < number) {
                taking.releases |= message.get(fields::INFO) == Some("standby");
            }
            // One that was lost and sent again tells what was, not what is.
            if number <= peer.newest {
                return;
            }
            peer.newest = number;
        }
        let (was_stable, had) = (peer.stable, peer.set);
        if let Some(stable) = message.get(fields::ISSTABLE) {
            peer.stable = stable == "1";
        }
        if !peer.ours {
            let Some(set) = message.get(fields::RSC_HOLD).and_then(Set::parse) else {
                return;
            };
            peer.set = match message.get(fields::RTYPE) {
                Some("full") => set,
                _ if set == Set::NONE => Set::NONE,
                _ => Set {
                    local: peer.set.local || set.local,
                    foreign: peer.set.foreign || set.foreign,
                },
            };
            peer.told = true;
            peer.leaving = message.get(fields::INFO) == Some("shutdown");
            peer.has_all |= message.get(fields::INFO) == Some("mach_down");
            if peer.stable != was_stable || peer.set != had {
                peer.calm_since = now;
            }
            self.claims_of_classic(from);
        }
        let Some(peer) = self.peers.get(from) else { return };
        let (stable, set) = (peer.stable, message.get(fields::RSC_HOLD).and_then(Set::parse));
        if let Some(set) = set {
            if set.foreign {
                self.empty.local = false;
            }
            if set.local {
                self.empty.foreign = false;
            }
        }
        if stable && !was_stable && self.phase == Phase::Serving {
            log::info!("remote resource transition completed.");
            self.tell(None);
        }
        if stable {
            self.giver_is_done(from);
        }
    }

    /// A classic node says only which sets it holds: it claims every group of them.
    ///
    /// It says so when its work *begins*, also when the work is to release them: what it gives up it still has until it
    /// says `done` or `shutdone`, or is stable again.
    fn claims_of_classic(&mut self, from: &NodeName) {
        let stamp = self.bench.now.wall.0;
        let specs: Vec<(ResourceName, bool)> = self
            .groups
            .iter()
            .map(|g| (g.key().clone(), g.spec.node == *from))
            .collect();
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.claims_text.clear();
        for (key, preferred) in specs {
            if peer.set.holds(preferred) {
                let claim = peer.claims.entry(key).or_insert(Claim {
                    state: ClaimState::Running,
                    stamp,
                });
                claim.state = ClaimState::Running;
            } else if peer.stable {
                peer.claims.remove(&key);
            } else if let Some(claim) = peer.claims.get_mut(&key) {
                claim.state = ClaimState::Stopping;
            }
        }
    }

    fn peer_left(&mut self, from: &NodeName) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        log::info!("Received shutdown notice from '{from}'.");
        peer.leaving = true;
        peer.stable = true;
        peer.gives_up = None;
        peer.set = Set::NONE;
        if !peer.ours {
            peer.forget_claims();
            peer.told = true;
        }
        self.empty.foreign = self.phase == Phase::Serving;
        self.cancel_with(from, "it has stopped");
    }

    /// `hb_takeover` typed on another node: what it wants of ours goes there by the standby protocol.
    fn peer_wants(&mut self, from: &NodeName, message: &Message) {
        let set = message.get(fields::RSC_HOLD).map_or(Some(Set::ALL), Set::parse);
        let Some(set) = set else { return };
        if self.mode == AutoFailback::Legacy || self.phase != Phase::Serving {
            return;
        }
        // What the asker calls local is what prefers it; `failback` is its own groups coming home.
        let set = if message.get(fields::RSC_HOLD) == Some("failback") {
            Set::LOCAL
        } else {
            set
        };
        // Asked again while it is on its way: nothing new.
        let on_its_way = |key: &ResourceName| {
            self.handover
                .as_ref()
                .is_some_and(|h| h.to == *from && h.keys.contains(key))
                || self
                    .queue
                    .iter()
                    .any(|r| r.to.as_ref() == Some(from) && r.keys.contains(key))
        };
        // A classic node names the set only.
        let wanted = |key: &ResourceName| {
            message
                .get(super::takeover::KEYS)
                .is_none_or(|keys| keys.split_ascii_whitespace().any(|k| k == key.as_str()))
        };
        let keys = self.keys_held(|g| set.holds(g.spec.node == *from) && wanted(g.key()) && !on_its_way(g.key()));
        if keys.is_empty() {
            return;
        }
        let mirrored = set.mirrored();
        self.request(
            mirrored,
            keys,
            Some(from.clone()),
            None,
            &format!("node {from} asked for it with hb_takeover"),
        );
    }

    /// Legacy mode: each of our groups is asked for; the holder gives it and says so.
    pub(super) fn ask_for_local_groups(&mut self) {
        let somebody = self.peers.values().any(|p| p.alive);
        let until = self.bench.now.mono + ASK_FOR;
        for group in self.groups.iter_mut().filter(|g| g.spec.node == self.me) {
            if somebody {
                // What goes on here from an earlier life may have been taken over meanwhile.
                group.asking = group.is_stopped().then_some(until);
                let ask = Message::new("ip-request").with(fields::IPADDR, group.key().as_str());
                self.orders.push(Order::Send(ask));
            }
        }
    }

    fn ip_request(&mut self, from: &NodeName, message: &Message) {
        let Some(i) = self.group_index(message.get(fields::IPADDR)) else {
            return;
        };
        let group = &mut self.groups[i];
        let own = group.is_wanted_here();
        if own {
            group.release(&mut self.bench, &format!("node {from} asks for it (ip-request)"));
        }
        if self.groups[i].is_stopped() {
            self.answer_ip_request(from, i, own);
        } else {
            self.groups[i].asked_by = Some(from.clone());
        }
    }

    pub(super) fn answer_ip_request(&mut self, to: &NodeName, i: usize, own: bool) {
        let answer = Message::new("ip-request-resp")
            .with(fields::DEST, to.as_str())
            .with(fields::IPADDR, self.groups[i].key().as_str())
            .with(fields::WEOWN, if own { "yes" } else { "no" })
            .with(fields::OK, "OK");
        let answer = self.with_claims(answer);
        self.orders.push(Order::Send(answer));
    }

    fn ip_answer(&mut self, message: &Message) {
        // "Not mine" says nothing about a third node, which may have it and be about to answer.
        let others = self.peers.values().filter(|p| p.alive).count();
        let theirs = message.get(fields::WEOWN) == Some("yes");
        if message.get(fields::OK) != Some("OK") || (!theirs && others > 1) {
            return;
        }
        if let Some(i) = self.group_index(message.get(fields::IPADDR)) {
            self.groups[i].asking = None;
        }
    }

    pub(super) fn group_index(&self, key: Option<&str>) -> Option<usize> {
        let key = key?;
        self.groups.iter().position(|g| g.key() == key)
    }

    pub(super) fn keys_held(&self, which: impl Fn(&Group) -> bool) -> Vec<ResourceName> {
        self.groups
            .iter()
            .filter(|g| g.is_wanted_here() && which(g))
            .map(|g| g.key().clone())
            .collect()
    }

    /// A message of a script or a command on this node. `Some` gives it back to be sent as it is.
    pub fn local(&mut self, now: crate::time::Now, message: Message) -> Option<Message> {
        self.bench.now = now;
        self.touch();
        let id = message.get(REQUEST).map(str::to_owned);
        let set = message.get(fields::RSC_HOLD).map_or(Some(Set::ALL), Set::parse);
        match (message.kind(), message.get(fields::INFO), set) {
            ("ask_resources" | "hb_takeover", _, None) => {
                self.tell_phase(&id, "refused", "unknown resource set", None, None, Set::NONE);
                None
            }
            ("ask_resources", Some("me"), Some(set)) => {
                // A client such as ipfail; else the command.
                let by = message.get(fields::FROM_ID).unwrap_or("hb_standby");
                self.standby_command(set, id, by);
                None
            }
            // req_resource: one group of ours, if nobody has it.
            ("ip-request-resp", _, _) if message.get(fields::DEST) == Some(self.me.as_str()) => {
                if let Some(i) = self.group_index(message.get(fields::IPADDR)) {
                    self.acquire_if_free(i, "req_resource asks for it");
                }
                None
            }
            // mach_down by hand has started them; they are ours from now on, unless somebody has them.
            ("resource", Some("mach_down"), _) => {
                for i in 0..self.groups.len() {
                    if self.groups[i].spec.node != self.me {
                        self.acquire_if_free(i, "mach_down was run by hand");
                    }
                }
                None
            }
            // meatclient: a person has switched a node off.
            ("meatware", _, _) => {
                let name = message.get(fields::NODE).unwrap_or("");
                match self.confirmed(name) {
                    Ok(()) => {}
                    Err(why) => log::warn!("meatclient: {why}; nothing is done"),
                }
                None
            }
            (repair::REPAIR, _, _) => {
                self.repair(&message);
                None
            }
            (repair::CLEAR, _, _) => {
                self.clear(&message);
                None
            }
            ("hb_takeover", _, Some(set)) => {
                let set = if message.get(fields::RSC_HOLD) == Some("failback") {
                    Set::LOCAL
                } else {
                    set
                };
                self.takeover_command(set, id);
                None
            }
            _ => Some(message),
        }
    }

    fn acquire_if_free(&mut self, i: usize, why: &str) {
        let key = self.groups[i].key();
        if let Some(owner) = self.peers.values().find(|p| p.alive && p.holds(key)) {
            log::warn!("group {key}: {why}, but node {} has it; nothing is done", owner.name);
        } else if self.fencing_blocks() {
            log::warn!("group {key}: {why}, but a node that may have it is not fenced yet; nothing is done");
        } else if self.phase == Phase::Serving {
            self.groups[i].forget_failures();
            self.groups[i].acquire(&mut self.bench, why);
        }
    }

    /// May a move be begun now? The reason when not.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match (self.phase, self.mode) {
            (Phase::Waiting, _) => Some("this node is not active yet"),
            (Phase::Stopping | Phase::Leaving { .. } | Phase::Stopped, _) => Some("heartbeat is stopping"),
            (Phase::Serving, AutoFailback::Legacy) => {
                Some("standby needs \"auto_failback on\" or \"off\" in ha.cf (it is legacy, or not set)")
            }
            (Phase::Serving, AutoFailback::On | AutoFailback::Off) if self.fencing_blocks() => {
                Some("a node that died is not fenced yet; cl_status status tells more")
            }
            (Phase::Serving, AutoFailback::On | AutoFailback::Off) => None,
        }
    }

    fn standby_command(&mut self, set: Set, id: Option<String>, by: &str) {
        if let Some(why) = self.refusal() {
            log::warn!("standby request refused: {why}");
            self.tell_phase(&id, "refused", why, None, None, set);
            return;
        }
        let me = self.me.clone();
        let keys: Vec<ResourceName> = self
            .groups
            .iter()
            .filter(|g| !g.is_stopped() && set.holds(g.spec.node == me))
            .map(|g| g.key().clone())
            .collect();
        log::info!("{me} wants to go standby [{}]", set.as_str());
        self.request(set, keys, None, id, by);
    }

    /// Progress of a move, for the command that waits for it.
    pub(super) fn tell_phase(
        &mut self,
        id: &Option<String>,
        phase: &str,
        info: &str,
        giver: Option<&NodeName>,
        taker: Option<&NodeName>,
        set: Set,
    ) {
        let Some(id) = id else { return };
        let name = |n: Option<&NodeName>| n.map_or("", |n| n.as_str()).to_owned();
        let message = Message::new("hb_phase")
            .with(REQUEST, id.as_str())
            .with("phase", phase)
            .with(fields::INFO, info)
            .with("giver", name(giver))
            .with("taker", name(taker))
            .with(fields::RSC_HOLD, set.as_str());
        self.orders.push(Order::Tell(message));
    }

    /// When one of the moves must be looked at again.
    pub(super) fn moves_deadline(&self) -> Instant {
        let handover = self.handover.as_ref().map_or(Instant::NEVER, |h| h.deadline());
        let now = self.bench.now.mono;
        let taking = self.taking.as_ref().map_or(Instant::NEVER, |t| t.deadline(now));
        let queued = self.queue.front().map_or(Instant::NEVER, |r| r.begin_by);
        handover
            .min(taking)
            .min(super::manager::later(queued, self.bench.now.mono))
            .min(self.wanted_deadline())
    }
}
