//! The machine: what it knows, the events it takes, and the settling of all groups after each of them.

use super::fencing::{FenceCommand, Fencing};
use super::group::{Bench, Group};
use super::handover::{Handover, Request, Taking};
use super::job::Command;
use super::lease::Leases;
use super::lookout::{Ask, Lookout};
use super::messages::Told;
use super::peer::Peer;
use super::set::Set;
use super::takeover::Wanted;
use super::waking::Waking;
use crate::conf::haresources::{digest, line_digests};
use crate::conf::{AutoFailback, HaCf, Haresources};
use crate::daemon::transitions::Transition;
use crate::ids::{JobId, NodeName, ResourceName};
use crate::msg::Message;
use crate::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, VecDeque};

/// What we hold is told again so often although nothing changed: whoever missed it knows then.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(2);
/// A group that no node could start is tried again after this time, as in heartbeat 3.0.6 …
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(30);
/// … but only so often; then it waits for a command, a reload or a node that joins.
pub(super) const MAX_FAILURES: u32 = 3;
/// How long a released group waits for the node it was released for.
pub(super) const MOVING_FOR: Duration = Duration::from_secs(10);
/// A claim that a living node drops may have gone to a third node, whose word is still on its way: by then it has spoken
/// again, or a gap in its numbers is known.
pub(super) const PASSED_ON: Duration = Duration::from_millis(2500);
/// After `shutdone` we stay this long for peers that missed something, as in heartbeat 3.0.6.
const LINGER: Duration = Duration::from_secs(1);
/// … and so long at most until a classic peer has taken over: it never gives back what it takes from a node that starts
/// again meanwhile. Two of the classic never meet that, as its own stop takes three seconds.
const LINGER_CLASSIC: Duration = Duration::from_secs(6);
/// A classic peer that is calm for this long without taking an orphan never takes it.
pub(super) const CLASSIC_TAKES_WITHIN: Duration = Duration::from_secs(3);
/// A classic peer that is calm for this long without giving back what prefers a node that has just started forgot it.
pub(super) const CLASSIC_GIVES_WITHIN: Duration = Duration::from_secs(5);

/// A classic peer that returns after a partition gives everything up after 2 s; its scripts may be at work just then.
pub(super) const CLASSIC_GIVES_UP_WITHIN: Duration = Duration::from_secs(6);

/// What is to be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    Send(Message),
    /// Without a number, and not over serial lines: nobody asks for it again.
    SendAside(Message),
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
    Lookout(Ask),
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
    pub(super) initdead: Duration,
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
    pub(super) came_home: bool,
    /// Do not start orphans before: a handover was called off and the taker may not know yet.
    pub(super) hold_off: Instant,
    remembered: Vec<ResourceName>,
    pub(super) orders: Vec<Order>,
    pub(super) counts: Counts,
    pub(super) transitions: Vec<Transition>,
    calm: Calm,
    pub(super) leases: Leases,
    pub(super) lookout: Lookout,
    pub(super) waking: Option<Waking>,
}

/// What happened to groups here, in numbers.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) acquisitions: u64,
    pub(super) takeovers: u64,
    pub(super) releases: u64,
    pub(super) failures: u64,
    pub(super) restarts: u64,
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
    /// Look all the same, and count when there was something to do.
    doubted: bool,
    mistakes: u64,
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
                no_starts: false,
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
            lookout: Lookout::default(),
            waking: None,
        };
        groups.set_lease(cf.lease());
        groups.set_takeovers(cf);
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

    pub(super) fn set_peers(&mut self) {
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
        self.set_takeovers(cf);
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
        let mut forgotten = false;
        for group in &mut self.groups {
            forgotten |= group.failed_at.is_some();
            group.forget_failures();
        }
        if forgotten {
            self.ask_whether_forgotten();
        }
        for peer in self.peers.values_mut() {
            // Compared again with its next message.
            peer.digest = None;
        }
    }

    fn set_takeovers(&mut self, cf: &HaCf) {
        self.lookout.inquiries.policy = cf.if_answered;
        self.lookout.inquiries.even_isolated = cf.isolated_takeover;
        self.lookout.connections.on = cf.tickle;
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

    /// For the simulator: is a look that is left out ever missed? [`Self::calm_mistakes`] says how often.
    pub fn doubt_calm(&mut self) {
        self.calm.doubted = true;
    }

    pub fn calm_mistakes(&self) -> u64 {
        self.calm.mistakes
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
            if self.calm.doubted {
                // A lease that is due may be among them already.
                let before = (self.orders.len(), self.bench.orders.len());
                self.look(now, caught_up);
                self.calm.mistakes += u64::from(before != (self.orders.len(), self.bench.orders.len()));
            }
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
        self.forget_in_time();
        self.end_moves();
        match self.phase {
            Phase::Waiting => {
                self.go_on_with_fencing();
                self.serve_again_alone();
            }
            Phase::Stopped => {}
            Phase::Serving if self.is_waking() => {}
            Phase::Serving => {
                self.go_on_with_fencing();
                self.watch_claims();
                self.no_longer_wait_for_classics();
                self.resolve_conflicts();
                self.serve_again();
                self.go_on_with_starts();
                self.start_groups(caught_up);
                self.go_on_with_handover();
                self.go_on_with_taking();
                self.come_home();
                self.begin_next_move(caught_up);
                self.ask_silent_classics();
                self.tell_connections();
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
        self.look_after_addresses();
        self.tell_if_due();
        self.remember();
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
        if self.phase == Phase::Waiting
            && let Some(waking) = &self.waking
        {
            at = at.min(later(waking.until, self.bench.now.mono));
        }
        if self.phase == Phase::Serving
            && let Some(waking) = &self.waking
        {
            // Nothing else is looked at before.
            let groups = self.groups.iter().map(Group::deadline).min();
            return at.min(waking.until).min(groups.unwrap_or(Instant::NEVER));
        }
        for group in &self.groups {
            at = at.min(group.deadline());
            if group.is_stopped() {
                at = at.min(group.forgotten_at());
            }
            if let Some((_, until)) = &group.moving {
                at = at.min(*until);
            }
            if let Some(until) = group.asking {
                // Over without a start when another node has the group.
                at = at.min(later(until, self.bench.now.mono));
            }
            if let Some(dropped) = group.passed_on {
                at = at.min(later(dropped + PASSED_ON, self.bench.now.mono));
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
        for peer in self
            .peers
            .values()
            .filter(|p| p.alive && p.active && !p.ours && !p.told)
        {
            let asked = peer.asked_at + self.deadtime.max(TELL_EVERY * 2);
            at = at.min(later(asked, self.bench.now.mono));
        }
        for gives_up in self.peers.values().filter_map(|p| p.gives_up) {
            at = at.min(later(gives_up, self.bench.now.mono));
        }
        at = at
            .min(later(self.hold_off, self.bench.now.mono))
            .min(later(self.failback_at, self.bench.now.mono));
        if let Phase::Leaving { until, .. } = self.phase {
            at = at.min(until);
        }
        at.min(self.moves_deadline())
            .min(self.fencing_deadline())
            .min(self.lookout_deadline())
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
}

impl Groups {}

/// `at` when it is still to come; a deadline that has passed must not keep the timer spinning.
pub(super) fn later(at: Instant, now: Instant) -> Instant {
    if at > now { at } else { Instant::NEVER }
}
