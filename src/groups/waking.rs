//! Waking up: a node that beat for so long not at all that the others may have taken over what it has (it was stopped,
//! or its machine was) asks nothing of its memory. Its addresses go at once, before anything else is done; then it reads
//! what waits in its sockets, tells what it still runs, and hears from every other node what that has. Only then, or when
//! one deadtime has passed without that, it decides, starts, serves and announces again. Its claims are as old as its
//! waking: with `auto_failback off` a node that took over meanwhile has had the group longer.
//!
//! So does a daemon that takes the place of one that had not beaten for so long: its master was killed while all of them
//! were stopped, say.

use super::group::Group;
use super::lease::Found;
use super::manager::{Groups, Order};
use super::peer::Peer;
use crate::time::{Duration, Instant, Now};

#[derive(Debug)]
pub(super) struct Waking {
    /// It is over then, whoever is missing.
    pub until: Instant,
    /// All was read that waited.
    caught_up: bool,
}

impl Groups {
    pub(super) fn woke(&mut self, asleep: Duration) {
        self.forget_renewals();
        if self.order.len() < 2 {
            return;
        }
        log::warn!(
            "node {}: woke up after {} ms; others may have what it had: it serves again when it has heard them",
            self.me,
            asleep.as_millis()
        );
        self.waking = Some(Waking {
            until: self.bench.now.mono + self.deadtime,
            caught_up: false,
        });
        self.bench.no_starts = true;
        self.drop_addresses();
        for group in &mut self.groups {
            group.slept(&self.bench);
        }
        self.ask_again(|_| true);
    }

    /// Before anything else: the daemon before this one had not beaten for so long. True when that matters.
    pub fn was_silent(&mut self, now: Now, silent: Duration) -> bool {
        if silent < self.deadtime {
            return false;
        }
        self.bench.now = now;
        self.touch();
        self.woke(silent);
        true
    }

    /// What these said before counts no more.
    pub(super) fn ask_again(&mut self, whom: impl Fn(&Peer) -> bool) {
        let now = self.bench.now.mono;
        for peer in self.peers.values_mut().filter(|p| p.alive && whom(p)) {
            peer.told = false;
            peer.silent_since = now;
        }
        self.tell_at = now;
    }

    /// Addresses set for ever by somebody else stay.
    pub(super) fn drop_addresses(&mut self) {
        let ours = |a: &&str| !(self.leases.length.is_some() && self.leases.found(a) == Some(Found::Permanent));
        let addresses: Vec<String> = self
            .groups
            .iter()
            .flat_map(Group::addresses_maybe_up)
            .filter(ours)
            .map(str::to_owned)
            .collect();
        if !addresses.is_empty() {
            self.forget_renewals();
            self.leases.forget_found();
            self.orders.push(Order::Drop { addresses });
        }
    }

    pub fn must_catch_up(&self) -> bool {
        self.waking.as_ref().is_some_and(|w| !w.caught_up)
    }

    /// What is heard from now on was said after we woke up, and what we say is answered.
    pub fn caught_up(&mut self, now: Now) {
        self.bench.now = now;
        self.touch();
        let Some(waking) = &mut self.waking else { return };
        waking.caught_up = true;
        self.ask_again(|_| true);
    }

    pub(super) fn is_waking(&self) -> bool {
        let Some(waking) = &self.waking else { return false };
        let mut others = self.order.iter().filter(|n| **n != self.me);
        let told = others.all(|n| self.peers.get(n).is_some_and(|p| p.alive && (p.told || !p.active)));
        !(waking.caught_up && told) && self.bench.now.mono < waking.until
    }

    /// Sets and announces what no other node claims.
    pub(super) fn serve_again(&mut self) {
        if self.waking.take().is_none() {
            return;
        }
        self.bench.no_starts = false;
        log::info!("node {}: awake; serving what no other node has", self.me);
        for group in self.groups.iter_mut().filter(|g| !g.contested) {
            group.announce(&mut self.bench);
        }
    }

    /// A node that is no member yet, and hears nobody who could make it one: what it has may run on.
    pub(super) fn serve_again_alone(&mut self) {
        let alone = !self.peers.values().any(|p| p.alive);
        if self
            .waking
            .as_ref()
            .is_some_and(|w| alone && self.bench.now.mono >= w.until)
        {
            self.serve_again();
            self.go_on_with_starts();
        }
    }

    /// What was held back while this node was waking. A group that another node claims too waits until that is settled.
    pub(super) fn go_on_with_starts(&mut self) {
        for group in self.groups.iter_mut().filter(|g| !g.contested) {
            group.go_on(&mut self.bench);
        }
    }
}
