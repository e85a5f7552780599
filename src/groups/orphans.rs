//! Groups that no node has: who starts them, and when enough is known for that.

use super::manager::{CLASSIC_TAKES_WITHIN, Groups, MAX_FAILURES, MOVING_FOR, PASSED_ON, RETRY_AFTER, TELL_EVERY};
use super::peer::{ClaimState, Peer};
use super::place;
use crate::conf::AutoFailback;
use crate::ids::NodeName;
use crate::time::Instant;

impl Groups {
    /// A released group stops waiting for its taker once that has it, cannot have it, or the time is over.
    pub(super) fn end_moves(&mut self) {
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
    pub(super) fn watch_claims(&mut self) {
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
                group.passed_on = Some(now);
            }
            group.claimed = claimed;
        }
    }

    /// Starts the groups that are this node's turn: released for us, or orphans.
    pub(super) fn start_groups(&mut self, caught_up: &dyn Fn(&NodeName) -> bool) {
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
            if self.groups[i].passed_on.is_some_and(|at| self.may_have_gone_on(at)) {
                continue;
            }
            self.groups[i].asking = None;
            self.start_orphan(i);
        }
    }

    /// Somebody may have taken what was dropped then: one of us that was not heard since, or whose word is on its way.
    fn may_have_gone_on(&self, dropped: Instant) -> bool {
        let silent = |p: &Peer| p.alive && p.active && p.ours && p.said_at <= dropped;
        self.bench.now.mono < dropped + PASSED_ON || self.peers.values().any(silent)
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
            let failed_on = self.peers.values().find(|p| p.alive && p.failed(key));
            let why = match (&group.had_by, failed_on) {
                (Some(node), _) if self.peers.get(node).is_some_and(|p| !p.alive) => {
                    format!("node {node}, which had it, is dead")
                }
                (_, Some(peer)) => format!("it failed on node {}", peer.name),
                (_, None) if group.spec.node == self.me => "no node has it and it prefers this one".to_owned(),
                (_, None) => "no node has it".to_owned(),
            };
            self.take_orphan(i, &why);
        } else if chosen.is_none()
            && group.failures < MAX_FAILURES
            && group.failed_at.is_some_and(|at| now - at >= RETRY_AFTER)
            && place::choose(&group.spec.node, &candidates(true)) == Some(&self.me)
        {
            self.take_orphan(i, "no node could start it; trying again");
        }
    }
}
