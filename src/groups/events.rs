//! What the message layer tells: nodes come, go, return and speak.

use super::manager::{CLASSIC_GIVES_UP_WITHIN, Groups, Order, Phase};
use super::messages::is_ours;
use super::set::Set;
use super::tickle;
use crate::conf::AutoFailback;
use crate::core::{NodeStatus, Up};
use crate::ids::NodeName;
use crate::msg::{Message, fields};
use crate::time::Now;

impl Groups {
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
                    peer.gives_up = None;
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
                    peer.gives_up = (!peer.ours).then(|| now.mono + CLASSIC_GIVES_UP_WITHIN);
                }
                self.tell_at = now.mono;
                self.announce_all();
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
            Up::Woke { asleep } => {
                self.woke(*asleep);
                self.announce_all();
            }
            Up::Message {
                from,
                generation,
                seq,
                message,
            } => {
                self.fencing_heard(from, false);
                self.message(from, (*generation, *seq), message);
            }
            Up::Aside { from, message } if message.kind() == tickle::KIND => self.connections_told(from, message),
            Up::Aside { .. } => {}
            Up::Link { .. } => {}
        }
    }

    /// A classic node in legacy mode takes what prefers it as soon as it is active. It asks for it before only when it
    /// has heard by then that we are active. What prefers us we ask for: it may have been started alone.
    fn let_legacy_have_its_own(&mut self, node: &NodeName) {
        for group in self.groups.iter().filter(|g| g.spec.node == self.me) {
            let ask = Message::new("ip-request").with(fields::IPADDR, group.key().as_str());
            self.orders.push(Order::Send(ask));
        }
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
        peer.gives_up = None;
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
}
