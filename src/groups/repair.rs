//! A group that does not work any more, as hb_monitor finds: a part of it is restarted in place, so often and no more; then
//! it is given up here, and another node has it by the same way as after a failed start.
//!
//! It never goes to and fro: a node that gave a group up is remembered by all as one where it fails, until somebody says
//! otherwise (`hb_takeover`, `hb_monitor --clear`, a reload) or the time of its rule is over; and it is given up only when
//! some node is left where it has not failed. Else it stays, and is restarted as often as the rule allows, without end.

use super::manager::{Groups, Phase};
use super::peer::{ClaimState, Peer};
use super::set::Set;
use crate::conf::{AutoFailback, Repair};
use crate::daemon::transitions::Kind;
use crate::ids::{NodeName, ResourceName};
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant};

/// Of hb_monitor, or of `hb_msg`: the group `group` does not work; why is in `info`.
pub const REPAIR: &str = "hb_repair";
/// The failures of `group`, or of all groups, on this node are forgotten.
pub const CLEAR: &str = "hb_clear";
pub const GROUP: &str = "group";
/// What is restarted: this resource and those behind it; the last one when it does not say.
pub const FROM: &str = "from";
pub const RESTARTS: &str = "restarts";
/// In milliseconds, like `forget`.
pub const WITHIN: &str = "within";
pub const FORGET: &str = "forget";

/// As many moments are kept a group.
const MOST_RESTARTS: u64 = 100;

/// What hb_monitor sends.
pub fn request(key: &ResourceName, from: &ResourceName, rule: &Repair, why: &str) -> Message {
    let millis = |d: Duration| d.as_millis().to_string();
    let message = Message::new(REPAIR)
        .with(GROUP, key.as_str())
        .with(FROM, from.as_str())
        .with(RESTARTS, rule.restarts.to_string())
        .with(WITHIN, millis(rule.within))
        .with(fields::INFO, why);
    match rule.forget {
        Some(forget) => message.with(FORGET, millis(forget)),
        None => message,
    }
}

fn rule(message: &Message) -> Repair {
    let default = Repair::default();
    let millis = |name: &str| message.dec(name).map(Duration::from_millis);
    let restarts = message.dec(RESTARTS).map(|n| n.min(MOST_RESTARTS));
    Repair {
        restarts: restarts.map_or(default.restarts, |n| n as u32),
        within: millis(WITHIN).unwrap_or(default.within),
        forget: millis(FORGET),
        grace: default.grace,
    }
}

impl Groups {
    /// `hb_repair` of a program of this node.
    pub(super) fn repair(&mut self, message: &Message) {
        let now = self.bench.now.mono;
        let why = message.get(fields::INFO).unwrap_or("a check failed").to_owned();
        let Some(i) = self.group_index(message.get(GROUP)) else {
            let name = message.get(GROUP).unwrap_or("").escape_debug();
            log::warn!("repair of {name}: it is not a group of haresources of this node; nothing is done");
            return;
        };
        let (group, rule) = (&self.groups[i], rule(message));
        let key = group.key();
        let last = group.spec.resources.len() - 1;
        let named = message
            .get(FROM)
            .map(|from| group.spec.resources.iter().position(|r| r.name == *from));
        let Some(from) = named.unwrap_or(Some(last)) else {
            log::warn!("repair of {key}: it has no such resource since its last start; nothing is done");
            return;
        };
        let leaves = self.handover.as_ref().is_some_and(|h| h.keys.contains(key))
            || self.queue.iter().any(|r| r.keys.contains(key));
        if self.phase != Phase::Serving || !group.is_idle() || leaves {
            log::debug!("repair of {key}: it is being moved or started already");
            return;
        }
        let lasting = |at: &Instant| now - *at < rule.within;
        let restarted = group.repairs.iter().filter(|at| lasting(at)).count();
        if restarted < rule.restarts as usize {
            let group = &mut self.groups[i];
            group.repairs.retain(lasting);
            group.repairs.push(now);
            group.unrepaired = None;
            group.forget_after = rule.forget;
            group.condemned = None;
            group.restart(&mut self.bench, from, &why);
            return;
        }
        let tried = match restarted {
            0 => String::new(),
            1 => format!("; restarted in place once within {} s", rule.within.as_secs()),
            n => format!("; restarted in place {n} times within {} s", rule.within.as_secs()),
        };
        if self.is_alone(i) {
            let group = &mut self.groups[i];
            if group.unrepaired.as_ref() != Some(&why) {
                let key = group.key().clone();
                log::error!(
                    "CRIT: group {key}: {why}{tried}; no other node can have it: it stays, and is restarted as often as \
                     its rule allows"
                );
                group.unrepaired = Some(why.clone());
                self.note(
                    true,
                    Kind::Group,
                    &key,
                    format!("does not work, and no other node can have it: {why}"),
                );
            }
            return;
        }
        let to = self.other_node_for(self.groups[i].key());
        let classic = to.filter(|name| self.peers.get(name).is_some_and(|p| !p.ours));
        let group = &mut self.groups[i];
        group.unrepaired = None;
        group.forget_after = rule.forget;
        match classic {
            Some(to) => self.give_to_classic(i, to, format!("{why}{tried}")),
            None => group.give_up(&mut self.bench, format!("{why}{tried}")),
        }
    }

    /// Group `i` does not work here: a classic node is given the set that it is in, since it knows no less. Unlike after a
    /// failed start it still runs: so it goes the way of a standby, by which the classic sees nothing without an owner.
    fn give_to_classic(&mut self, i: usize, to: NodeName, why: String) {
        let set = self.set_of(i);
        let group = &mut self.groups[i];
        log::error!("CRIT: group {}: Giving up resources due to failure: {why}", group.key());
        group.condemned = Some(why);
        let keys = self.keys_held(|g| set.holds(g.spec.node == self.me));
        self.request(set, keys, Some(to), None, "it does not work here");
    }

    /// The classic's set that group `i` is in, as this node says it.
    pub(super) fn set_of(&self, i: usize) -> Set {
        match self.groups[i].spec.node == self.me {
            true => Set::LOCAL,
            false => Set::FOREIGN,
        }
    }

    /// No other node could have group `i` now.
    pub(super) fn is_alone(&self, i: usize) -> bool {
        // A classic node that gives back what it likes takes nothing of us.
        let takes = |p: &Peer| p.told && (p.ours || self.mode != AutoFailback::Legacy);
        let able = self.other_node_for(self.groups[i].key());
        let able = able.and_then(|name| self.peers.get(&name)).is_some_and(takes);
        !able || self.fencing_blocks()
    }

    /// `hb_clear`: whoever says so has mended it. Nothing moves: this node is one of those again that can have it.
    pub(super) fn clear(&mut self, message: &Message) {
        let only = message.get(GROUP);
        let mut cleared = Vec::new();
        for group in &mut self.groups {
            if only.is_none_or(|key| *group.key() == *key) {
                if group.failed_at.is_some() {
                    cleared.push(group.key().clone());
                }
                group.forget_failures();
            }
        }
        if !cleared.is_empty() {
            self.ask_whether_forgotten();
        }
        for key in cleared {
            log::info!("group {key}: its failures here are forgotten, as hb_monitor --clear says");
            self.note(false, Kind::Group, &key, "its failures here are forgotten".to_owned());
        }
    }

    /// Failures whose time is over.
    pub(super) fn forget_in_time(&mut self) {
        let now = self.bench.now.mono;
        for i in 0..self.groups.len() {
            let group = &mut self.groups[i];
            if group.is_stopped() && group.forgotten_at() <= now {
                let key = group.key().clone();
                group.forget_failures();
                log::info!("group {key}: its failure here is long ago and forgotten");
                self.note(
                    false,
                    Kind::Group,
                    &key,
                    "its failures here are forgotten, in time".to_owned(),
                );
                self.ask_whether_forgotten();
            }
        }
    }

    /// A node that has said that a group failed there may have forgotten that too, and be starting it at this moment: what
    /// it said before counts no more. A classic says nothing of the kind.
    pub(super) fn ask_whether_forgotten(&mut self) {
        self.ask_again(|p| p.ours && p.claims.values().any(|c| c.state == ClaimState::Failed));
    }
}
