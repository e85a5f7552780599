//! Before a group that no node has is started here, the network is asked whether somebody answers for its addresses all
//! the same: a node whose heartbeat is dead and whose kernel is not, a partition that only the beats do not cross, a
//! stranger.
//!
//! Nobody is asked where the last owner has said that it let go: a planned move takes no longer for it. The question takes
//! a few milliseconds for all addresses of the group together; a lookout that does not answer is not waited for.

use super::lookout::{Ask, addresses};
use super::manager::{Groups, Order, later};
use crate::conf::IfAnswered;
use crate::daemon::transitions::Kind;
use crate::ids::{NodeName, ResourceName};
use crate::time::{Duration, Instant};
use crate::wire::Mac;
use std::collections::BTreeMap;

/// The lookout has answered by then, or is dead.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// What was answered holds so long: something else may have kept the group from being started at once.
const FRESH: Duration = Duration::from_secs(1);
/// Somebody who answers is asked again so often, where that keeps the group from being started.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// That a group is not taken is said this often.
const REMIND: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum State {
    Asked { number: u64, until: Instant },
    Known { at: Instant, answers: Vec<(String, Mac)> },
}

#[derive(Debug, Default)]
pub(super) struct Inquiries {
    pub policy: IfAnswered,
    /// `isolated_takeover`
    pub even_isolated: bool,
    /// Neither another node nor a ping node is heard.
    pub isolated: bool,
    number: u64,
    groups: BTreeMap<ResourceName, State>,
    /// When it was said that a group is not taken, and why.
    said: BTreeMap<ResourceName, (Instant, &'static str)>,
    /// Groups that were taken although somebody answered.
    pub taken: u64,
}

enum Verdict {
    Ask,
    Wait,
    Take,
    Answered(Vec<(String, Mac)>),
}

impl Inquiries {
    pub fn answered(&mut self, now: Instant, number: u64, answers: Vec<(String, Mac)>) {
        for state in self.groups.values_mut() {
            if matches!(state, State::Asked { number: n, .. } if *n == number) {
                *state = State::Known {
                    at: now,
                    answers: answers.clone(),
                };
            }
        }
    }

    fn verdict(&mut self, now: Instant, key: &ResourceName) -> Verdict {
        match self.groups.get(key) {
            None => Verdict::Ask,
            Some(State::Asked { until, .. }) if now < *until => Verdict::Wait,
            Some(State::Asked { .. }) => {
                log::warn!(
                    "group {key}: whether somebody answers for its addresses could not be asked within {} ms",
                    ANSWER_WITHIN.as_millis()
                );
                Verdict::Take
            }
            Some(State::Known { at, answers }) if answers.is_empty() && now - *at < FRESH => Verdict::Take,
            Some(State::Known { at, answers }) if now - *at < ASK_AGAIN => Verdict::Answered(answers.clone()),
            Some(State::Known { .. }) => Verdict::Ask,
        }
    }

    pub fn deadline(&self, now: Instant) -> Instant {
        let due = self.groups.values().map(|state| match state {
            State::Asked { until, .. } => *until,
            State::Known { at, answers } if !answers.is_empty() => *at + ASK_AGAIN,
            State::Known { .. } => Instant::NEVER,
        });
        due.map(|at| later(at, now)).min().unwrap_or(Instant::NEVER)
    }
}

impl Groups {
    /// Whether this node hears anybody: to be told before every settling.
    pub fn set_isolated(&mut self, isolated: bool) {
        if self.lookout.inquiries.isolated != isolated {
            self.lookout.inquiries.isolated = isolated;
            self.touch();
        }
    }

    /// Starts group `i`, which no node has, when nothing speaks against it.
    pub(super) fn take_orphan(&mut self, i: usize, why: &str) {
        let now = self.bench.now.mono;
        let key = self.groups[i].key().clone();
        if self.lookout.inquiries.isolated && !self.lookout.inquiries.even_isolated {
            let why = "this node hears neither another node nor a ping node: it is cut off (isolated_takeover)";
            self.not_taken(i, why);
            return;
        }
        let verdict = match self.must_ask(i) {
            true => self.lookout.inquiries.verdict(now, &key),
            false => Verdict::Take,
        };
        match verdict {
            Verdict::Wait => {}
            Verdict::Ask => {
                let number = self.lookout.inquiries.number + 1;
                self.lookout.inquiries.number = number;
                let until = now + ANSWER_WITHIN;
                self.lookout
                    .inquiries
                    .groups
                    .insert(key, State::Asked { number, until });
                let addresses = addresses(&self.groups[i]).map(str::to_owned).collect();
                self.orders.push(Order::Lookout(Ask::Whether { number, addresses }));
            }
            Verdict::Take => self.take(i, why),
            Verdict::Answered(answers) => self.take_although_answered(i, why, &answers),
        }
    }

    fn take(&mut self, i: usize, why: &str) {
        let key = self.groups[i].key().clone();
        self.lookout.inquiries.groups.remove(&key);
        self.lookout.inquiries.said.remove(&key);
        self.groups[i].failed_at = None;
        self.groups[i].acquire(&mut self.bench, why);
    }

    /// Not when the one that had it last has said that it does not have it any more.
    fn must_ask(&self, i: usize) -> bool {
        let group = &self.groups[i];
        if self.lookout.inquiries.policy == IfAnswered::On || addresses(group).next().is_none() {
            return false;
        }
        let last = group.had_by.as_ref().and_then(|node| self.peers.get(node));
        !last.is_some_and(|p| p.leaving || (p.alive && p.told))
    }

    fn take_although_answered(&mut self, i: usize, why: &str, answers: &[(String, Mac)]) {
        let who: Vec<String> = answers.iter().map(|(a, mac)| format!("{a} at {mac}")).collect();
        let who = who.join(", ");
        let key = self.groups[i].key().clone();
        let had_by = self.groups[i].had_by.clone();
        let fences = self.lookout.inquiries.policy == IfAnswered::Fence;
        let fenced_first = fences && had_by.is_some_and(|node| self.must_fence_first(&node));
        match self.lookout.inquiries.policy {
            IfAnswered::Off => {
                let news = self.not_taken(i, "somebody answers for its addresses (takeover_if_vip_answers off)");
                if news {
                    log::error!("CRIT: group {key}: answered for: {who}");
                }
            }
            IfAnswered::Fence if fenced_first => {
                log::error!("CRIT: group {key}: somebody answers for {who}: the node that had it is fenced first");
                self.lookout.inquiries.groups.remove(&key);
                // Now, not with the next event.
                self.go_on_with_fencing();
            }
            IfAnswered::Fence | IfAnswered::On => {
                log::error!(
                    "CRIT: group {key}: somebody answers for {who}, and no node can be fenced for it: taking it over all the \
                     same; two machines have it until that one is gone (takeover_if_vip_answers)"
                );
                self.note(
                    true,
                    Kind::Group,
                    &key,
                    format!("taken although somebody answers for {who}"),
                );
                self.lookout.inquiries.taken += 1;
                self.take(i, why);
            }
        }
    }

    /// Says so once a minute. True when it did.
    fn not_taken(&mut self, i: usize, why: &'static str) -> bool {
        let now = self.bench.now.mono;
        let key = self.groups[i].key().clone();
        let said = &mut self.lookout.inquiries.said;
        if said.get(&key).is_some_and(|(at, w)| *w == why && now - *at < REMIND) {
            return false;
        }
        said.insert(key.clone(), (now, why));
        log::error!("CRIT: group {key}: is not taken over: {why}");
        self.groups[i].last = format!("not taken over: {why}");
        self.note(true, Kind::Group, &key, format!("is not taken over: {why}"));
        true
    }

    /// An address that a dead node had answers. True when the node is to be fenced for that, or is being fenced.
    fn must_fence_first(&mut self, name: &NodeName) -> bool {
        let dead = self.peers.get(name).is_some_and(|p| !p.alive);
        dead && self.fence_for_answer(name)
    }
}
