//! The machine: what it knows, the events it takes, and the settling of all groups after each of them.

use super::fencing::{FenceCommand, Fencing};
use super::group::{Bench, Done, Group};
use super::handover::{Handover, Request, Taking};
use super::job::{Command, Outcome};
use super::lease::Leases;
use super::messages::{Told, is_ours};
use super::peer::{ClaimState, Peer};
use super::place;
use super::set::Set;
use super::takeover::Wanted;
use super::waking::Waking;
use crate::conf::haresources::{digest, line_digests};
use crate::conf::{AutoFailback, HaCf, Haresources};
use crate::core::{NodeStatus, Up};
use crate::daemon::transitions::{Kind, Transition};
use crate::daemon::view::{FailedView, GroupView};
use crate::ids::{JobId, NodeName, ResourceName};
use crate::msg::Message;
use crate::time::{Duration, Instant, Now, Wall};
use std::collections::{BTreeMap, VecDeque};

/// What we hold is told again so often although nothing changed: whoever missed it knows then.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// A group that no node could start is tried again after this time, as in heartbeat 3.0.6 …
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// … but only so often; then it waits for a command, a reload or a node that joins.
const MAX_FAILURES: u32 = 3;
/// How long a released group waits for the node it was released for.
pub(super) const MOVING_FOR: Duration = Duration::from_secs(10);
/// A claim that a living node drops may have gone to a third node, whose word is still on its way: by then it has spoken
/// again, or a gap in its numbers is known.
const PASSED_ON: Duration = Duration::from_millis(2500);
/// After `shutdone` we stay this long for peers that missed something, as in heartbeat 3.0.6.
const LINGER: Duration = Duration::from_secs(1);
/// … and so long at most until a classic peer has taken over: it never gives back what it takes from a node that starts
/// again meanwhile. Two of the classic never meet that, as its own stop takes three seconds.
const LINGER_CLASSIC: Duration = Duration::from_secs(6);
/// A classic peer that is calm for this long without taking an orphan never takes it.
const CLASSIC_TAKES_WITHIN: Duration = Duration::from_secs(3);
/// A classic peer that is calm for this long without giving back what prefers a node that has just started forgot it.
const CLASSIC_GIVES_WITHIN: Duration = Duration::from_secs(5);

/// What is to be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    Send(Message),
    /// For connected programs only.
    Tell(Message),
    Run {
        job: JobId,
        command: Command,
    },
    /// Something for a STONITH device; ends like a script.
    Fence {
        job: JobId,
        command: FenceCommand,
    },
    Remember {
        held: Vec<ResourceName>,
    },
    /// These addresses, as haresources has them, get another lease; the answer is `Groups::renewed`.
    Renew {
        number: u64,
        addresses: Vec<String>,
    },
    /// These addresses go from this machine at once, whatever their scripts do.
    Drop {
        addresses: Vec<String>,
    },
    /// The orderly stop is complete.
    Stopped,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// This node is not `active` yet.
    Waiting,
    Serving,
    /// Releasing everything.
    Stopping,
    /// Everything is released and `shutdone` is out; waiting until the moment or until all groups have found an owner.
    Leaving {
        since: Instant,
        until: Instant,
    },
    Stopped,
}

/// The v1 resource manager of one node.
#[derive(Debug)]
pub struct Groups {
    pub(super) me: NodeName,
    pub(super) mode: AutoFailback,
    /// All normal nodes in the order of ha.cf.
    pub(super) order: Vec<NodeName>,
    pub(super) deadtime: Duration,
    initdead: Duration,
    /// In the order of haresources.
    pub(super) groups: Vec<Group>,
    pub(super) peers: BTreeMap<NodeName, Peer>,
    pub(super) fencing: Fencing,
    pub(super) phase: Phase,
    pub(super) bench: Bench,
    pub(super) handover: Option<Handover>,
    pub(super) taking: Option<Taking>,
    pub(super) wanted: VecDeque<Wanted>,
    pub(super) queue: VecDeque<Request>,
    /// The classic's sets that have no group in haresources, and that we hold by name only.
    pub(super) empty: Set,
    pub(super) digest: String,
    pub(super) lines: Vec<(usize, String)>,
    pub(super) told: Told,
    pub(super) tell_at: Instant,
    pub(super) failback_at: Instant,
    /// Everything that prefers this node was asked for since it started, or came without.
    came_home: bool,
    /// Do not start orphans before: a handover was called off and the taker may not know yet.
    pub(super) hold_off: Instant,
    remembered: Vec<ResourceName>,
    pub(super) orders: Vec<Order>,
    counts: Counts,
    pub(super) transitions: Vec<Transition>,
    calm: Calm,
    pub(super) leases: Leases,
    pub(super) waking: Option<Waking>,
}

/// What happened to groups here, in numbers.
#[derive(Debug, Default)]
struct Counts {
    acquisitions: u64,
    takeovers: u64,
    releases: u64,
    failures: u64,
}

/// Whether another look at all groups can change anything. Most events are beats, which change nothing here.
#[derive(Debug, Default)]
struct Calm {
    /// Looks since the last event of ours that ordered nothing. The second one finds what the first one has left.
    looks: u8,
    /// When the next thing is due by the clock.
    until: Instant,
    /// The living peers of which messages were missing.
    gaps: Vec<bool>,
}

impl Groups {
    pub fn new(now: Now, me: NodeName, cf: &HaCf, haresources: Haresources, resumed: Option<&[ResourceName]>) -> Self {
        let mut groups = Self {
            me,
            mode: cf.auto_failback,
            order: cf.normal_nodes().cloned().collect(),
            deadtime: cf.deadtime,
            initdead: cf.initdead,
            groups: Vec::new(),
            peers: BTreeMap::new(),
            fencing: Fencing::default(),
            phase: Phase::Waiting,
            bench: Bench {
                now,
                limit: cf.resource_timeout,
                next_job: 0,
                orders: Vec::new(),
            },
            handover: None,
            taking: None,
            wanted: VecDeque::new(),
            queue: VecDeque::new(),
            empty: Set::NONE,
            digest: digest(&haresources),
            lines: line_digests(&haresources),
            told: Told::default(),
            tell_at: Instant::NEVER,
            failback_at: now.mono,
            came_home: resumed.is_some(),
            hold_off: now.mono,
            remembered: Vec::new(),
            orders: Vec::new(),
            counts: Counts::default(),
            transitions: Vec::new(),
            calm: Calm::default(),
            leases: Leases::default(),
            waking: None,
        };
        groups.set_lease(cf.lease());
        groups.set_peers();
        groups.set_fencing(&cf.fencing);
        groups.groups = haresources
            .groups
            .into_iter()
            .map(|spec| Group::new(spec, now.mono))
            .collect();
        for key in resumed.unwrap_or(&[]) {
            match groups.groups.iter_mut().find(|g| g.key() == key) {
                Some(group) => group.adopt(&mut groups.bench),
                None => log::warn!("group {key}: ran here before, but haresources no longer has it; stop it by hand"),
            }
        }
        groups
    }

    /// Something happened that may change what belongs where.
    pub(super) fn touch(&mut self) {
        self.calm.looks = 0;
    }

    /// The nodes that haresources gives groups to.
    pub fn preferred_nodes(&self) -> Vec<NodeName> {
        let mut nodes: Vec<NodeName> = self.groups.iter().map(|g| g.spec.node.clone()).collect();
        nodes.sort();
        nodes.dedup();
        nodes
    }

    fn set_peers(&mut self) {
        let (me, order) = (self.me.clone(), self.order.clone());
        self.peers.retain(|name, _| order.contains(name));
        for name in order.iter().filter(|n| **n != me) {
            self.peers
                .entry(name.clone())
                .or_insert_with(|| Peer::new(name.clone()));
        }
    }

    /// Takes over changed files: groups that stay are not touched, groups that went are released, new ones are placed.
    pub fn reload(&mut self, now: Now, cf: &HaCf, haresources: Haresources) {
        self.bench.now = now;
        self.touch();
        self.mode = cf.auto_failback;
        self.order = cf.normal_nodes().cloned().collect();
        self.deadtime = cf.deadtime;
        self.initdead = cf.initdead;
        self.bench.limit = cf.resource_timeout;
        self.set_peers();
        self.set_fencing(&cf.fencing);
        self.set_lease(cf.lease());
        self.digest = digest(&haresources);
        self.lines = line_digests(&haresources);
        let mut old = std::mem::take(&mut self.groups);
        for spec in haresources.groups {
            let group = match old.iter().position(|g| g.key() == spec.key()) {
                Some(i) if old[i].spec.resources == spec.resources || !old[i].is_stopped() => {
                    let mut kept = old.swap_remove(i);
                    kept.removed = false;
                    if kept.spec.resources == spec.resources {
                        kept.spec = spec;
                    } else {
                        log::warn!(
                            "group {}: its resources changed but it is in use; the new list holds after its next move",
                            kept.key()
                        );
                        kept.next_spec = Some(spec);
                    }
                    kept
                }
                Some(_) | None => Group::new(spec, now.mono),
            };
            self.groups.push(group);
        }
        for mut gone in old {
            if !gone.is_stopped() {
                gone.removed = true;
                gone.release(&mut self.bench, "haresources no longer has it");
                self.groups.push(gone);
            }
        }
        for group in &mut self.groups {
            group.forget_failures();
        }
        for peer in self.peers.values_mut() {
            // Compared again with its next message.
            peer.digest = None;
        }
    }

    /// An event of the message layer.
    pub fn up(&mut self, now: Now, up: &Up) {
        self.bench.now = now;
        if !matches!(up, Up::Message { from, message, .. } if *from == self.me || !is_ours(message.kind())) {
            self.touch();
        }
        match up {
            Up::Status { node, status } if *node == self.me => {
                if *status == NodeStatus::Active && self.phase == Phase::Waiting {
                    self.serve();
                }
            }
            Up::Status {
                node,
                status: NodeStatus::Dead,
            } => self.peer_died(node),
            Up::Status { node, status } => {
                let Some(peer) = self.peers.get_mut(node) else { return };
                let active = *status == NodeStatus::Active;
                let fresh = !peer.alive;
                if !peer.alive || peer.active != active {
                    peer.silent_since = now.mono;
                }
                let joins = active && !peer.active && !peer.ours;
                peer.alive = true;
                peer.active = active;
                if joins && self.mode == AutoFailback::Legacy && self.phase == Phase::Serving {
                    self.let_legacy_have_its_own(node);
                }
                self.fencing_heard(node, fresh);
            }
            Up::Restarted { node } => {
                if let Some(peer) = self.peers.get_mut(node) {
                    // What it claimed stays claimed until it speaks: it may have been started again with its groups.
                    peer.told = false;
                    // Another program may have been put in its place.
                    peer.ours = false;
                    peer.stable = false;
                    peer.leaving = false;
                    peer.gives_up = false;
                    peer.silent_since = now.mono;
                }
                self.fencing_heard(node, true);
                self.cancel_with(node, "it was started again");
            }
            Up::Returned { node } => {
                if let Some(peer) = self.peers.get_mut(node) {
                    peer.told = false;
                    peer.silent_since = now.mono;
                    // It found us returning too, and that is what it does then.
                    peer.gives_up = !peer.ours;
                }
                self.tell_at = now.mono;
            }
            Up::Joined { node } => {
                if !self.order.contains(node) {
                    self.order.push(node.clone());
                    self.set_peers();
                }
            }
            Up::Left { node } => {
                self.cancel_with(node, "it was deleted");
                self.order.retain(|n| n != node);
                self.set_peers();
            }
            Up::Woke { asleep } => self.woke(*asleep),
            Up::Message {
                from,
                generation,
                seq,
                message,
            } => {
                self.fencing_heard(from, false);
                self.message(from, (*generation, *seq), message);
            }
            Up::Link { .. } => {}
        }
    }

    /// A classic node in legacy mode takes what prefers it as soon as it is active. It asks for it before only when it
    /// has heard by then that we are active.
    fn let_legacy_have_its_own(&mut self, node: &NodeName) {
        for group in self
            .groups
            .iter_mut()
            .filter(|g| g.spec.node == *node && g.is_wanted_here())
        {
            group.release(&mut self.bench, &format!("node {node} takes its own in legacy mode"));
        }
    }

    fn serve(&mut self) {
        self.phase = Phase::Serving;
        self.tell_at = self.bench.now.mono;
        // A set without any group is "held" by the node it is local to, as the classic has it.
        self.empty.local = true;
        if self.mode != AutoFailback::Legacy {
            let starting = self.with_claims(Message::new("starting"));
            self.orders.push(Order::Send(starting));
        } else {
            self.ask_for_local_groups();
        }
    }

    fn peer_died(&mut self, node: &NodeName) {
        // What it had decides, so that comes first.
        let due = self.fencing_died(node);
        let Some(peer) = self.peers.get_mut(node) else { return };
        peer.alive = false;
        peer.active = false;
        peer.told = false;
        let leaving = peer.leaving;
        for group in &mut self.groups {
            if !leaving && peer.holds(group.key()) {
                group.had_by = Some(node.clone());
            }
        }
        if !due {
            peer.forget_claims();
            peer.set = Set::NONE;
        }
        peer.failback_due = false;
        peer.gives_up = false;
        for group in &mut self.groups {
            // It has not passed anything on.
            group.claimed = false;
        }
        if !due {
            self.acquiring_from(node);
        }
        self.cancel_with(node, "it is dead");
    }

    pub(super) fn acquiring_from(&mut self, node: &NodeName) {
        if self.peers.get(node).is_some_and(|p| p.leaving) {
            log::info!("Dead node {node} gave up resources.");
        } else if self.phase == Phase::Serving {
            log::info!("Resources being acquired from {node}.");
            self.empty.foreign = true;
        }
    }

    /// A script ended.
    pub fn job_ended(&mut self, now: Now, job: JobId, outcome: &Outcome) {
        self.bench.now = now;
        self.touch();
        if self.fencing_ended(job, outcome) {
            return;
        }
        let patient = matches!(self.phase, Phase::Stopping);
        let Some(i) = self.groups.iter().position(|g| g.waits_for(job)) else {
            log::debug!("job {job}: nobody waits for it any more");
            return;
        };
        let done = self.groups[i].job_ended(&mut self.bench, outcome, patient);
        if self.waking.is_some() {
            // A start that was under way may have set one.
            self.drop_addresses();
        }
        let Some(done) = done else { return };
        self.note_done(i, &done);
        match done {
            Done::Released => self.released(i),
            Done::Failed { .. } => self.failed_beside_classic(i),
            Done::Acquired | Done::Blocked { .. } => {}
        }
        if self.groups[i].is_stopped()
            && let Some(spec) = self.groups[i].next_spec.take()
        {
            self.groups[i].spec = spec;
        }
        if self.groups[i].removed && self.groups[i].is_stopped() {
            self.groups.remove(i);
        }
    }

    fn note_done(&mut self, i: usize, done: &Done) {
        let group = &mut self.groups[i];
        let (bad, text) = match done {
            Done::Acquired => {
                self.counts.acquisitions += 1;
                self.counts.takeovers += u64::from(group.had_by.take().is_some());
                (false, format!("runs here, {}", group.last))
            }
            Done::Released => {
                self.counts.releases += 1;
                (false, group.last.clone())
            }
            Done::Failed { why } => {
                self.counts.failures += 1;
                (true, format!("could not be started here: {why}"))
            }
            Done::Blocked { why } => (true, format!("is stuck here: {why}")),
        };
        let key = group.key().clone();
        self.note(bad, Kind::Group, &key, text);
    }

    pub(super) fn note(&mut self, bad: bool, kind: Kind, subject: &impl ToString, text: String) {
        let transition = Transition::good(self.bench.now.wall, kind, subject.to_string(), text);
        self.transitions.push(Transition { bad, ..transition });
    }

    pub fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// A group is down here: for whom?
    fn released(&mut self, i: usize) {
        let until = self.bench.now.mono + MOVING_FOR;
        let to = match (&self.handover, self.phase) {
            (_, Phase::Stopping) => self.successor(i),
            (Some(h), _) if h.keys.contains(self.groups[i].key()) => Some(h.to.clone()),
            (Some(_) | None, _) => None,
        };
        self.groups[i].moving = to.map(|to| (to, until));
        if let Some(asker) = self.groups[i].asked_by.take() {
            self.groups[i].moving = Some((asker.clone(), until));
            self.answer_ip_request(&asker, i, true);
        }
    }

    /// Group `i` cannot be started here. One of ours sees that and tries; a classic node is given the set that the group
    /// is in, as its own scripts do (it waits 30 s before). There the set can come back in the same way.
    fn failed_beside_classic(&mut self, i: usize) {
        let set = if self.groups[i].spec.node == self.me {
            Set::LOCAL
        } else {
            Set::FOREIGN
        };
        let able = |p: &&Peer| p.can_serve() && !p.ours && p.told;
        let Some(to) = self.peers.values().find(able).map(|p| p.name.clone()) else {
            return;
        };
        if self.phase != Phase::Serving || self.mode == AutoFailback::Legacy {
            return;
        }
        let failed = self.groups[i].key().clone();
        let mut keys = self.keys_held(|g| set.holds(g.spec.node == self.me));
        log::info!(
            "group {failed}: node {to}, of heartbeat 3.0.6, is asked to take our {} resources",
            set.as_str()
        );
        keys.push(failed);
        self.request(set, keys, Some(to), None, "it cannot be started here");
    }

    /// With `auto_failback on` a classic node gives back by itself what prefers a node that starts, unless that starts
    /// while it is still taking over. Then it is asked once.
    fn come_home(&mut self) {
        let now = self.bench.now.mono;
        if self.came_home || self.mode != AutoFailback::On {
            return;
        }
        let mine = |g: &&Group| g.spec.node == self.me;
        let with = |p: &&Peer| {
            p.can_serve() && !p.ours && p.told && p.stable && self.groups.iter().filter(mine).any(|g| p.holds(g.key()))
        };
        match self.peers.values().find(with) {
            None => {
                // Everything is here: nothing to come any more.
                self.came_home = self.groups.iter().filter(mine).all(Group::is_running);
            }
            Some(p)
                if now - p.calm_since >= CLASSIC_GIVES_WITHIN && self.handover.is_none() && self.taking.is_none() =>
            {
                log::info!(
                    "node {}: has not given back what prefers this node; asking for it",
                    p.name
                );
                self.came_home = true;
                self.takeover_command(Set::LOCAL, None);
                // Begun with the next look, and that is not to wait until something else happens.
                self.touch();
            }
            Some(_) => {}
        }
    }

    /// Who starts group `i` when we leave.
    fn successor(&self, i: usize) -> Option<NodeName> {
        let group = &self.groups[i];
        let able: Vec<&NodeName> = self
            .order
            .iter()
            .filter(|n| {
                self.peers
                    .get(*n)
                    .is_some_and(|p| p.can_serve() && !p.failed(group.key()))
            })
            .collect();
        place::choose(&group.spec.node, &able).cloned()
    }

    /// SIGTERM: release everything; `Order::Stopped` follows.
    pub fn stop(&mut self, now: Now) {
        self.bench.now = now;
        self.touch();
        match self.phase {
            Phase::Stopping | Phase::Leaving { .. } | Phase::Stopped => return,
            Phase::Waiting | Phase::Serving => {}
        }
        log::info!("node {}: stopping; all groups are released", self.me);
        for request in std::mem::take(&mut self.queue) {
            self.tell_phase(
                &request.reqid,
                "failed",
                "heartbeat is stopping",
                None,
                None,
                request.set,
            );
        }
        if let Some(h) = self.handover.take() {
            self.tell_phase(&h.reqid, "failed", "heartbeat is stopping", None, Some(&h.to), h.set);
        }
        self.end_wanted("heartbeat is stopping");
        self.end_taking();
        self.phase = Phase::Stopping;
        self.empty = Set::NONE;
        for group in &mut self.groups {
            group.release(&mut self.bench, "heartbeat is stopping");
        }
        self.tell(Some("shutdown"));
    }

    /// Brings everything to where it belongs; to be called after every event. `caught_up` tells whether no message of
    /// a node is known to be missing.
    pub fn settle(&mut self, now: Now, caught_up: &dyn Fn(&NodeName) -> bool) {
        self.bench.now = now;
        let gaps = self.peers.keys().map(|name| !caught_up(name));
        if !gaps.clone().eq(self.calm.gaps.iter().copied()) {
            self.calm.gaps = gaps.collect();
            self.touch();
        }
        if self.calm.looks >= 2 && now.mono < self.calm.until {
            return;
        }
        self.look(now, caught_up);
        if self.orders.is_empty() && self.bench.orders.is_empty() {
            self.calm.looks = self.calm.looks.saturating_add(1);
        } else {
            self.touch();
        }
        self.calm.until = self.next_due();
    }

    fn look(&mut self, now: Now, caught_up: &dyn Fn(&NodeName) -> bool) {
        for group in &mut self.groups {
            group.timer(&mut self.bench);
        }
        self.end_moves();
        match self.phase {
            Phase::Waiting => self.go_on_with_fencing(),
            Phase::Stopped => {}
            Phase::Serving if self.is_waking() => {}
            Phase::Serving => {
                self.go_on_with_fencing();
                self.watch_claims();
                self.resolve_conflicts();
                self.serve_again();
                self.start_groups(caught_up);
                self.go_on_with_handover();
                self.go_on_with_taking();
                self.come_home();
                self.begin_next_move(caught_up);
            }
            Phase::Stopping => {
                if self.groups.iter().all(Group::is_stopped) {
                    log::info!("All HA resources relinquished.");
                    let shutdone = self.with_claims(Message::new("shutdone").with("st", "dead"));
                    self.orders.push(Order::Send(shutdone));
                    for peer in self.peers.values_mut() {
                        peer.has_all = false;
                    }
                    self.phase = Phase::Leaving {
                        since: now.mono,
                        until: now.mono + LINGER,
                    };
                }
            }
            Phase::Leaving { since, until } => {
                let all_found = self.groups.iter().all(|g| g.moving.is_none());
                let alone = !self.peers.values().any(|p| p.alive);
                let only_ours = self.peers.values().all(|p| !p.alive || p.ours);
                let taking =
                    |p: &Peer| p.can_serve() && p.told && !p.ours && !p.has_all && self.mode != AutoFailback::Legacy;
                if alone || (all_found && only_ours) {
                    self.phase = Phase::Stopped;
                    self.orders.push(Order::Stopped);
                } else if now.mono >= until {
                    if self.peers.values().any(taking) && until < since + LINGER_CLASSIC {
                        self.phase = Phase::Leaving {
                            since,
                            until: until + LINGER / 2,
                        };
                    } else {
                        self.phase = Phase::Stopped;
                        self.orders.push(Order::Stopped);
                    }
                }
            }
        }
        self.tell_if_due();
        self.remember();
    }

    /// A released group stops waiting for its taker once that has it, cannot have it, or the time is over.
    fn end_moves(&mut self) {
        let now = self.bench.now.mono;
        for group in &mut self.groups {
            let Some((to, until)) = &group.moving else { continue };
            let over = match self.peers.get(to) {
                Some(peer) => peer.holds(group.key()) || peer.failed(group.key()) || !peer.can_serve(),
                None => true,
            };
            if over {
                group.moving = None;
            } else if now >= *until {
                log::warn!(
                    "group {}: node {to} did not take it within {} s",
                    group.key(),
                    MOVING_FOR.as_secs()
                );
                // It may still be about to: it must have heard of this before anybody else starts the group.
                self.hold_off = now + self.deadtime;
                group.moving = None;
            }
        }
    }

    /// Notes which claims were dropped, where there is a third node that may have taken the group.
    fn watch_claims(&mut self) {
        if self.order.len() < 3 {
            return;
        }
        let now = self.bench.now.mono;
        for group in &mut self.groups {
            let claimed = self
                .peers
                .values()
                .any(|p| p.alive && (p.holds(group.key()) || p.claims.get(group.key()).is_some_and(|c| c.is_moving())));
            if group.claimed && !claimed {
                group.passed_on = Some(now + PASSED_ON);
            }
            group.claimed = claimed;
        }
    }

    /// Two nodes claim a group: one keeps it, the other stops it.
    fn resolve_conflicts(&mut self) {
        let goes_home = self.mode != AutoFailback::Off;
        for i in 0..self.groups.len() {
            let Some(mine) = self.groups[i].wanted_claim() else {
                continue;
            };
            let (key, preferred) = (self.groups[i].key(), &self.groups[i].spec.node);
            let mut contested = false;
            let mut lost_to = None;
            for peer in self.peers.values().filter(|p| p.alive && p.told) {
                let Some(theirs) = peer.claims.get(key).filter(|c| c.holds()) else {
                    continue;
                };
                contested = true;
                // A classic node never lets go, or lets go of everything and says so.
                let it_decides = !peer.ours && self.mode != AutoFailback::Legacy;
                if it_decides {
                    if theirs.state != ClaimState::Stopping && !peer.gives_up {
                        lost_to = Some(peer.name.clone());
                    }
                } else if theirs.state != ClaimState::Stopping
                    && *place::keeper(preferred, goes_home, (&self.me, &mine), (&peer.name, theirs)) != self.me
                {
                    lost_to = Some(peer.name.clone());
                }
            }
            let group = &mut self.groups[i];
            if contested && !group.contested {
                let key = group.key();
                log::error!("CRIT: group {key}: Both machines own our resources! (this node and another one)");
            }
            if let Some(other) = lost_to {
                group.release(&mut self.bench, &format!("node {other} has it too and keeps it"));
            } else if group.contested && !contested {
                log::info!(
                    "group {}: this node is the only owner again; announcing its addresses",
                    group.key()
                );
                group.announce(&mut self.bench);
            }
            self.groups[i].contested = contested;
        }
    }

    /// Starts the groups that are this node's turn: released for us, or orphans.
    fn start_groups(&mut self, caught_up: &dyn Fn(&NodeName) -> bool) {
        if !self.may_start(caught_up) {
            return;
        }
        let now = self.bench.now.mono;
        let blocked = self.fencing_blocks();
        for i in 0..self.groups.len() {
            let group = &self.groups[i];
            if !group.is_stopped() || group.moving.is_some() || group.removed {
                continue;
            }
            let key = group.key();
            let given = self
                .peers
                .values()
                .find_map(|p| match p.claims.get(key).map(|c| &c.state) {
                    Some(ClaimState::Moving(to)) if p.alive => Some((p.name.clone(), *to == self.me)),
                    _ => None,
                });
            // A dead one has claims while it is not fenced.
            if self.peers.values().any(|p| p.holds(key)) {
                continue;
            }
            if let Some((from, for_me)) = given {
                if for_me && group.failed_at.is_none() && !blocked {
                    self.groups[i].had_by = Some(from.clone());
                    self.groups[i].acquire(&mut self.bench, &format!("node {from} hands it over"));
                }
                continue;
            }
            if blocked || now < self.hold_off || self.groups[i].asking.is_some_and(|until| now < until) {
                continue;
            }
            if self.groups[i].passed_on.is_some_and(|until| now < until) {
                continue;
            }
            self.groups[i].asking = None;
            self.start_orphan(i);
        }
    }

    /// Everything that may decide about an orphan is known.
    fn may_start(&self, caught_up: &dyn Fn(&NodeName) -> bool) -> bool {
        let now = self.bench.now.mono;
        self.peers.values().filter(|p| p.alive).all(|p| {
            let patience = self.deadtime.max(TELL_EVERY * 2);
            let known = p.told || !p.active || self.mode == AutoFailback::Legacy || now - p.silent_since >= patience;
            known && caught_up(&p.name)
        })
    }

    fn start_orphan(&mut self, i: usize) {
        let now = self.bench.now.mono;
        let group = &self.groups[i];
        let key = group.key();
        let joining =
            |p: &Peer| p.alive && !p.active && !p.leaving && now - p.silent_since < self.initdead.max(self.deadtime);
        let leaves_orphans = |p: &Peer| {
            self.mode != AutoFailback::Legacy
                && !p.ours
                && p.told
                && p.stable
                && now - p.calm_since >= CLASSIC_TAKES_WITHIN
        };
        let candidates = |with_failed: bool| -> Vec<&NodeName> {
            self.order
                .iter()
                .filter(|n| match self.peers.get(*n) {
                    None => with_failed || group.failed_at.is_none(),
                    Some(p) => (p.can_serve() || joining(p)) && (with_failed || !p.failed(key)) && !leaves_orphans(p),
                })
                .collect()
        };
        let able = candidates(false);
        let chosen = place::choose(&group.spec.node, &able);
        if chosen == Some(&self.me) {
            let why = match &group.had_by {
                Some(node) if self.peers.get(node).is_some_and(|p| !p.alive) => {
                    format!("node {node}, which had it, is dead")
                }
                Some(_) | None if group.spec.node == self.me => "no node has it and it prefers this one".to_owned(),
                Some(_) | None => "no node has it".to_owned(),
            };
            self.groups[i].acquire(&mut self.bench, &why);
        } else if chosen.is_none()
            && group.failures < MAX_FAILURES
            && group.failed_at.is_some_and(|at| now - at >= RETRY_AFTER)
            && place::choose(&group.spec.node, &candidates(true)) == Some(&self.me)
        {
            self.groups[i].failed_at = None;
            self.groups[i].acquire(&mut self.bench, "no node could start it; trying again");
        }
    }

    /// `Timer` is due then.
    pub fn deadline(&self) -> Instant {
        if self.calm.looks > 0 {
            self.calm.until
        } else {
            self.next_due()
        }
    }

    fn next_due(&self) -> Instant {
        let mut at = match self.phase {
            Phase::Serving | Phase::Stopping | Phase::Leaving { .. } if !self.must_catch_up() => self.tell_at,
            _ => Instant::NEVER,
        };
        at = at.min(self.leases_deadline());
        if self.phase == Phase::Serving
            && let Some(waking) = &self.waking
        {
            // Nothing else is looked at before.
            let groups = self.groups.iter().map(Group::deadline).min();
            return at.min(waking.until).min(groups.unwrap_or(Instant::NEVER));
        }
        for group in &self.groups {
            at = at.min(group.deadline());
            if let Some((_, until)) = &group.moving {
                at = at.min(*until);
            }
            if let Some(until) = group.asking {
                // Over without a start when another node has the group.
                at = at.min(later(until, self.bench.now.mono));
            }
            if let Some(until) = group.passed_on {
                at = at.min(later(until, self.bench.now.mono));
            }
            if let Some(failed) = group.failed_at
                && group.failures < MAX_FAILURES
                && group.is_stopped()
            {
                at = at.min(later(failed + RETRY_AFTER, self.bench.now.mono));
            }
        }
        for peer in self.peers.values().filter(|p| p.alive && !p.told) {
            at = at.min(later(
                peer.silent_since + self.deadtime.max(TELL_EVERY * 2),
                self.bench.now.mono,
            ));
            at = at.min(later(
                peer.silent_since + self.initdead.max(self.deadtime),
                self.bench.now.mono,
            ));
        }
        for peer in self.peers.values().filter(|p| p.alive && !p.ours && p.told) {
            at = at.min(later(peer.calm_since + CLASSIC_TAKES_WITHIN, self.bench.now.mono));
            at = at.min(later(peer.calm_since + CLASSIC_GIVES_WITHIN, self.bench.now.mono));
        }
        at = at
            .min(later(self.hold_off, self.bench.now.mono))
            .min(later(self.failback_at, self.bench.now.mono));
        if let Phase::Leaving { until, .. } = self.phase {
            at = at.min(until);
        }
        at.min(self.moves_deadline()).min(self.fencing_deadline())
    }

    pub fn take_orders(&mut self) -> Vec<Order> {
        for (job, command) in std::mem::take(&mut self.bench.orders) {
            self.orders.push(Order::Run { job, command });
        }
        std::mem::take(&mut self.orders)
    }

    pub(super) fn next_tell(&self) -> Instant {
        self.bench.now.mono + TELL_EVERY
    }

    fn remember(&mut self) {
        let held = self
            .groups
            .iter()
            .filter(|g| g.claim().is_some_and(|c| c.holds()))
            .map(Group::key);
        if !held.clone().eq(&self.remembered) {
            let held: Vec<ResourceName> = held.cloned().collect();
            self.remembered.clone_from(&held);
            self.orders.push(Order::Remember { held });
        }
    }

    /// What we hold, in the classic's words.
    pub fn set(&self) -> Set {
        if matches!(self.phase, Phase::Stopping | Phase::Leaving { .. } | Phase::Stopped) {
            return Set::NONE;
        }
        let holds = |local: bool, by_name: bool| {
            let mut of_set = self
                .groups
                .iter()
                .filter(|g| (g.spec.node == self.me) == local)
                .peekable();
            match of_set.peek() {
                None => by_name,
                Some(_) => of_set.any(Group::is_wanted_here),
            }
        };
        Set {
            local: holds(true, self.empty.local),
            foreign: holds(false, self.empty.foreign),
        }
    }

    /// Nothing is being moved or about to be.
    pub fn is_stable(&self) -> bool {
        let settled = |g: &Group| !g.is_busy() || g.is_running();
        self.phase == Phase::Serving
            && self.handover.is_none()
            && self.taking.is_none()
            && self.groups.iter().all(settled)
    }

    /// For `cl_status rscstatus`.
    pub fn hold_word(&self) -> &'static str {
        if self.is_stable() {
            self.set().as_str()
        } else {
            "transition"
        }
    }

    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("acquisitions", self.counts.acquisitions),
            ("takeovers", self.counts.takeovers),
            ("releases", self.counts.releases),
            ("failures", self.counts.failures),
        ]
        .into_iter()
    }

    pub fn peer_differs(&self, node: &NodeName) -> Vec<String> {
        self.peers.get(node).map(|p| p.differs.clone()).unwrap_or_default()
    }

    pub fn view(&self, now: Now) -> Vec<GroupView> {
        self.groups
            .iter()
            .map(|g| {
                let mut owners: Vec<NodeName> = self
                    .peers
                    .values()
                    .filter(|p| p.alive && p.holds(g.key()))
                    .map(|p| p.name.clone())
                    .collect();
                if g.claim().is_some_and(|c| c.holds()) {
                    owners.insert(0, self.me.clone());
                }
                GroupView {
                    key: g.key().clone(),
                    resources: g.spec.resources.iter().map(|r| r.name.clone()).collect(),
                    preferred: g.spec.node.clone(),
                    here: g.word(),
                    owned_since: self.owned_since(g, owners.first(), now),
                    failed: self.failed(g),
                    lease: self.lease_of(g),
                    owners,
                    since: now.mono - g.since,
                    last: g.last.clone(),
                }
            })
            .collect()
    }
}

impl Groups {
    fn owned_since(&self, group: &Group, owner: Option<&NodeName>, now: Now) -> Option<Wall> {
        let owner = owner?;
        let claim = match self.peers.get(owner) {
            None => group.claim(),
            Some(peer) => peer.claims.get(group.key()).cloned(),
        };
        // Whatever a peer says: not in the future.
        claim.map(|c| Wall(c.stamp.min(now.wall.0)))
    }

    /// The nodes that could not start it, this one first.
    fn failed(&self, group: &Group) -> Vec<FailedView> {
        let here = group.failure.clone().filter(|_| group.failed_at.is_some());
        let here = here.map(|(at, why)| FailedView {
            node: self.me.clone(),
            at,
            why: Some(why),
        });
        let there = self.peers.values().filter(|p| p.alive && p.failed(group.key()));
        let there = there.map(|p| FailedView {
            node: p.name.clone(),
            at: Wall(p.claims.get(group.key()).map_or(0, |c| c.stamp)),
            why: None,
        });
        here.into_iter().chain(there).collect()
    }
}

/// `at` when it is still to come; a deadline that has passed must not keep the timer spinning.
pub(super) fn later(at: Instant, now: Instant) -> Instant {
    if at > now { at } else { Instant::NEVER }
}
