//! The dead-man's switch: the kernel keeps the addresses of held groups only as long as the master renews them, and the
//! master renews them only when this node beats.
//!
//! With a beat, at most four times a lease, the master is asked to renew; it answers with what it found. An address that
//! is gone although its group runs here is set again. A master that does not answer for half a lease cannot renew and
//! cannot stop anything: the groups are given up in words, and offered to the others once the kernel must have dropped
//! their addresses.

use super::group::Group;
use super::manager::{Groups, Order, Phase};
use crate::ids::ResourceName;
use crate::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, VecDeque};

/// The kernel drops an address up to 806 ms late (measured on Linux 6.18).
const KERNEL_LATE: Duration = Duration::from_secs(1);

/// Without leases, an address that was not there is looked at again so often.
const OFF_AGAIN: Duration = Duration::from_secs(1);

/// What the master found of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    Renewed,
    /// It is not there.
    Gone,
    /// It is there for ever; somebody else has set it.
    Permanent,
}

impl Found {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Gone => "gone",
            Self::Permanent => "permanent",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Renewed, Self::Gone, Self::Permanent]
            .into_iter()
            .find(|f| f.as_str() == word)
    }
}

#[derive(Debug, Default)]
pub(super) struct Leases {
    /// `None` when `vip_lease` is off.
    pub length: Option<Duration>,
    /// Of the last renewal.
    number: u64,
    asked_at: Option<Instant>,
    /// Answers up to this number mean nothing any more.
    void: u64,
    /// What the master has not answered yet, the oldest first.
    unanswered: VecDeque<(u64, Instant)>,
    /// What was found last, for what is held.
    found: BTreeMap<String, Found>,
    /// Groups of which the log knows that their address cannot have a lease.
    without: Vec<ResourceName>,
}

impl Groups {
    /// A beat goes out: whoever hears it may rely on our addresses for one deadtime more.
    pub fn beat(&mut self, now: Now) {
        let pause = self.leases.length.map_or(OFF_AGAIN, |length| length / 4);
        let due = self.leases.asked_at.is_none_or(|at| now.mono - at >= pause);
        if !due {
            return;
        }
        let renewing = self.leases.length.is_some();
        if renewing {
            self.say_without();
        }
        let addresses: Vec<String> = self
            .groups
            .iter()
            .flat_map(Group::addresses_up)
            .map(str::to_owned)
            .collect();
        self.leases.found.retain(|address, _| addresses.contains(address));
        // Without leases the master makes sure once that none is left from before a reload.
        let settled = |a: &String| self.leases.found.get(a).is_some_and(|f| *f != Found::Gone);
        if addresses.is_empty() || !renewing && addresses.iter().all(settled) {
            self.leases.asked_at = None;
            self.leases.unanswered.clear();
            return;
        }
        let number = self.leases.number + 1;
        self.leases.number = number;
        self.leases.asked_at = Some(now.mono);
        if renewing {
            self.leases.unanswered.push_back((number, now.mono));
        }
        self.orders.push(Order::Renew { number, addresses });
    }

    /// The master has answered.
    pub fn renewed(&mut self, now: Now, number: u64, found: Vec<(String, Found)>) {
        self.bench.now = now;
        self.touch();
        if number <= self.leases.void {
            return;
        }
        self.leases.unanswered.retain(|(n, _)| *n > number);
        let renewing = self.leases.length.is_some();
        for (address, found) in found {
            let before = self.leases.found.insert(address.clone(), found);
            match found {
                Found::Renewed => {}
                Found::Permanent | Found::Gone if !renewing => {}
                Found::Permanent if before == Some(Found::Permanent) => {}
                Found::Permanent => log::warn!(
                    "address {address}: has no lease, it is there for ever: it was set by hand, or by a script that \
                     knows no leases; it stays when heartbeat is killed"
                ),
                Found::Gone => self.address_gone(&address),
            }
        }
    }

    /// Set again, but not while another node claims the group too: who keeps it is settled first.
    fn address_gone(&mut self, address: &str) {
        let serving = self.phase == Phase::Serving;
        for group in &mut self.groups {
            if serving && !group.contested && group.addresses_up().any(|a| a == address) {
                group.set_again(&mut self.bench, address);
            }
        }
    }

    /// Due when the master has not answered for half a lease.
    fn answer_due(&self) -> Instant {
        match (self.leases.length, self.leases.unanswered.front()) {
            (Some(length), Some((_, asked))) => *asked + length / 2,
            (Some(_) | None, _) => Instant::NEVER,
        }
    }

    /// To be called when the clock has come that far, after everything was read that the master said.
    pub fn look_at_leases(&mut self, now: Now) {
        self.bench.now = now;
        let Some(length) = self.leases.length else { return };
        if now.mono < self.answer_due() {
            return;
        }
        self.touch();
        let last = self.leases.asked_at.unwrap_or(now.mono);
        self.leases.unanswered.clear();
        self.leases.asked_at = None;
        log::error!(
            "CRIT: the master has not renewed the addresses of this node for {} ms: its resources are lost; others may \
             take them when the kernel has dropped the addresses",
            (length / 2).as_millis()
        );
        let until = last + length + KERNEL_LATE;
        for group in &mut self.groups {
            if group.addresses_up().next().is_some() {
                group.lose(&mut self.bench, until);
            }
        }
    }

    pub(super) fn leases_deadline(&self) -> Instant {
        self.answer_due()
    }

    /// A pause of this process: answers of before it are waiting, and what was renewed then has ended.
    pub(super) fn forget_renewals(&mut self) {
        self.leases.unanswered.clear();
        self.leases.asked_at = None;
        self.leases.void = self.leases.number;
    }

    pub(super) fn set_lease(&mut self, length: Option<Duration>) {
        if length != self.leases.length {
            self.forget_renewals();
            self.leases.found.clear();
        }
        self.leases.length = length;
    }

    /// Says of each group once that its agent sets an address for ever.
    fn say_without(&mut self) {
        for group in self.groups.iter().filter(|g| g.is_running() && g.has_other_address()) {
            if !self.leases.without.contains(group.key()) {
                log::warn!(
                    "group {}: its OCF agent sets the address for ever: it stays when heartbeat is killed. Write the \
                     address as IPaddr::ADDRESS to give it a lease",
                    group.key()
                );
                self.leases.without.push(group.key().clone());
            }
        }
        let groups = &self.groups;
        self.leases.without.retain(|key| groups.iter().any(|g| g.key() == key));
    }

    /// For a group with addresses that runs here: the lease of all of them; zero when one has none.
    pub(super) fn lease_of(&self, group: &Group) -> Option<Duration> {
        let permanent = |a: &str| self.leases.found.get(a) == Some(&Found::Permanent);
        let has_address = group.has_other_address() || group.addresses_up().next().is_some();
        if !has_address || !group.is_running() {
            return None;
        }
        let lost = group.has_other_address() || group.addresses_up().any(permanent);
        Some(self.leases.length.filter(|_| !lost).unwrap_or(Duration::ZERO))
    }
}
