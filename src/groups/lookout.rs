//! What the lookout sees of our addresses on this machine and on the wire, and what is done about it.
//!
//! The lookout is a process of its own (`run::lookout`): it listens to the kernel and to the segment, asks, and announces.
//! It decides nothing; what it sees comes here as a [`Sighting`], what it is to do goes there as an [`Ask`].
//!
//! * An address that was taken from this machine by somebody else is set again, at once.
//! * It is announced again after everything after which somebody else may have announced it: another machine did, the cable
//!   was out, a peer or we ourselves were away.
//! * One that is taken away again and again is given to another node.
//!
//! All of that only while this node is sure that the group is its own: every peer that is heard has told what it has.

use super::group::{ADDRESS_SCRIPTS, Group};
use super::inquiry::Inquiries;
use super::manager::{Groups, Order, Phase};
use super::set::Set;
use super::tickle::Connections;
use crate::daemon::transitions::Kind;
use crate::time::{Duration, Instant, Now};
use crate::wire::Mac;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// Two ends of a TCP connection, ours first.
pub type Ends = (SocketAddr, SocketAddr);

/// What the lookout is to do. Addresses are as haresources has them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// These are held now and those may be some day; the connections of the held ones are wanted or not.
    Watch {
        held: Vec<String>,
        all: Vec<String>,
        connections: bool,
    },
    /// Does anybody answer for these? The answer is a [`Sighting::Answered`].
    Whether {
        number: u64,
        addresses: Vec<String>,
    },
    Announce {
        addresses: Vec<String>,
    },
    /// The clients of these connections are to find out that they are no more.
    Tickle {
        connections: Vec<Ends>,
    },
}

/// What the lookout has seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sighting {
    /// It has just begun and watches nothing yet.
    Began,
    /// Who answered for which address; an address nobody answered for is not there.
    Answered { number: u64, answers: Vec<(String, Mac)> },
    /// A held address is gone from this machine.
    Lost { address: String },
    /// Another machine says that it has a held address; so often since this was told last.
    Foreign {
        address: String,
        mac: Mac,
        interface: String,
        times: u64,
    },
    /// The cable of an interface with a held address is in again.
    LinkUp { interface: String },
    /// The established connections of the held addresses; told when they change.
    Connections { connections: Vec<Ends> },
}

/// An address that goes away more often than this in `LOSSES_WITHIN` has an enemy here.
const MOST_LOSSES: usize = 5;
const LOSSES_WITHIN: Duration = Duration::from_secs(60);
/// Such an address, where no other node can have it, is set again so often.
const AGAIN_EVERY: Duration = Duration::from_secs(1);
/// One line of the log in this time for another machine that says it has an address …
const SAY_EVERY: Duration = Duration::from_secs(1);
/// … and one event for whoever looks afterwards.
const NOTE_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Claimed {
    said_at: Option<Instant>,
    noted_at: Option<Instant>,
    /// Not said yet.
    times: u64,
}

#[derive(Debug, Default)]
pub(super) struct Lookout {
    /// What it was told to watch last.
    told: Option<(Vec<String>, Vec<String>, bool)>,
    pub inquiries: Inquiries,
    pub connections: Connections,
    /// Gone, and not set again yet.
    lost: BTreeSet<String>,
    /// When addresses of a group went away lately.
    losses: BTreeMap<String, VecDeque<Instant>>,
    /// When an address of a group was set again last.
    set_at: BTreeMap<String, Instant>,
    claimed: BTreeMap<String, Claimed>,
    /// Everything is announced once this node is sure of it.
    announce: bool,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    lost: u64,
    restored: u64,
    foreign: u64,
}

/// The addresses of a group, as haresources has them.
pub(super) fn addresses(group: &Group) -> impl Iterator<Item = &str> {
    let resources = group.spec.resources.iter();
    let ours = resources.filter(|r| ADDRESS_SCRIPTS.contains(&r.script.as_str()));
    ours.filter_map(|r| r.args.first()).map(String::as_str)
}

impl Groups {
    /// Something that the lookout has seen.
    pub fn sighted(&mut self, now: Now, sighting: Sighting) {
        self.bench.now = now;
        self.touch();
        match sighting {
            Sighting::Began => self.lookout.told = None,
            Sighting::Answered { number, answers } => self.lookout.inquiries.answered(now.mono, number, answers),
            Sighting::Lost { address } => self.address_lost(address),
            Sighting::Foreign {
                address,
                mac,
                interface,
                times,
            } => self.address_claimed(&address, mac, &interface, times),
            Sighting::LinkUp { interface } => {
                log::info!("interface {interface}: is up again; our addresses are announced");
                self.lookout.announce = true;
            }
            Sighting::Connections { connections } => self.connections_seen(connections),
        }
    }

    /// After whatever may have let another machine announce our addresses.
    pub(super) fn announce_all(&mut self) {
        self.lookout.announce = true;
    }

    /// Everybody who is heard has told what it has: what no other one claims is ours.
    fn is_sure(&self) -> bool {
        self.phase == Phase::Serving
            && self.waking.is_none()
            && self.peers.values().all(|p| !p.alive || p.told || !p.active)
    }

    /// The group that has this address up, when nobody else claims that.
    fn owner_of(&self, address: &str) -> Option<usize> {
        let is_it = |g: &Group| !g.contested && g.addresses_set().any(|a| a == address);
        self.groups.iter().position(is_it)
    }

    pub(super) fn look_after_addresses(&mut self) {
        self.tell_lookout();
        if !self.is_sure() {
            return;
        }
        for address in std::mem::take(&mut self.lookout.lost) {
            self.set_lost_again(address);
        }
        if std::mem::take(&mut self.lookout.announce) {
            let free = self.groups.iter().filter(|g| g.is_running() && !g.contested);
            let addresses: Vec<String> = free.flat_map(Group::addresses_set).map(str::to_owned).collect();
            if !addresses.is_empty() {
                self.orders.push(Order::Lookout(Ask::Announce { addresses }));
            }
        }
    }

    fn tell_lookout(&mut self) {
        let names = |of: &mut dyn Iterator<Item = &str>| of.map(str::to_owned).collect::<Vec<_>>();
        let held = names(&mut self.groups.iter().flat_map(Group::addresses_set));
        let all = names(&mut self.groups.iter().flat_map(addresses));
        let told = Some((held, all, self.lookout.connections.wanted()));
        if told == self.lookout.told {
            return;
        }
        self.lookout.told.clone_from(&told);
        if let Some((held, all, connections)) = told {
            self.lookout.lost.retain(|a| held.contains(a));
            self.lookout.claimed.retain(|a, _| held.contains(a));
            self.orders.push(Order::Lookout(Ask::Watch { held, all, connections }));
        }
    }

    fn address_lost(&mut self, address: String) {
        // What is just being stopped is meant to go.
        let Some(i) = self.groups.iter().position(|g| g.addresses_set().any(|a| a == address)) else {
            return;
        };
        let now = self.bench.now.mono;
        // A lookout that was told anew tells anew; after a pause we have dropped it ourselves.
        if self.lookout.lost.contains(&address) || self.waking.is_some() {
            return;
        }
        self.lookout.counts.lost += 1;
        let losses = self.lookout.losses.entry(self.groups[i].key().to_string()).or_default();
        losses.push_back(now);
        while losses.len() > MOST_LOSSES + 1 || losses.front().is_some_and(|at| now - *at > LOSSES_WITHIN) {
            losses.pop_front();
        }
        let key = self.groups[i].key().clone();
        self.note(
            true,
            Kind::Group,
            &key,
            format!("its address {address} was taken from this machine"),
        );
        self.lookout.lost.insert(address);
    }

    fn set_lost_again(&mut self, address: String) {
        let now = self.bench.now.mono;
        let Some(i) = self.owner_of(&address) else { return };
        let key = self.groups[i].key().to_string();
        let losses = self.lookout.losses.entry(key.clone()).or_default();
        if losses.len() > MOST_LOSSES {
            let set_at = self.lookout.set_at.get(&key).copied();
            if self.other_node_for(self.groups[i].key()).is_some() {
                self.lookout.losses.remove(&key);
                self.hand_over_lost(i, &address);
            } else if set_at.is_some_and(|at| now - at < AGAIN_EVERY) {
                self.lookout.lost.insert(address);
                return;
            }
        }
        if self.groups[i].is_idle() {
            self.lookout.set_at.insert(key, now);
            self.groups[i].set_again(&mut self.bench, &address);
        } else {
            // Its scripts are at work; then.
            self.lookout.lost.insert(address);
        }
    }

    /// Until it is gone from here the address is set again all the same.
    fn hand_over_lost(&mut self, i: usize, address: &str) {
        let set = match self.groups[i].spec.node == self.me {
            true => Set::LOCAL,
            false => Set::FOREIGN,
        };
        let key = self.groups[i].key().clone();
        log::error!(
            "CRIT: group {key}: its address {address} was taken from this machine more than {MOST_LOSSES} times in {} s: \
             the group goes to another node. See what else sets addresses here",
            LOSSES_WITHIN.as_secs()
        );
        // A classic node takes whole sets only.
        let classic = self.peers.values().any(|p| p.can_serve() && !p.ours);
        let keys = match classic {
            true => self.keys_held(|g| set.holds(g.spec.node == self.me)),
            false => vec![key],
        };
        self.request(set, keys, None, None, "its address does not stay here");
    }

    fn address_claimed(&mut self, address: &str, mac: Mac, interface: &str, times: u64) {
        self.lookout.counts.foreign += times;
        let now = self.bench.now.mono;
        let known = self.groups.iter().any(|g| addresses(g).any(|a| a == address));
        if !known {
            return;
        }
        let claimed = self.lookout.claimed.entry(address.to_owned()).or_default();
        claimed.times = claimed.times.saturating_add(times);
        let due = |at: Option<Instant>, every| at.is_none_or(|at| now - at >= every);
        let (say, note) = (due(claimed.said_at, SAY_EVERY), due(claimed.noted_at, NOTE_EVERY));
        let times = claimed.times;
        if say {
            claimed.said_at = Some(now);
            claimed.times = 0;
        }
        if note {
            claimed.noted_at = Some(now);
        }
        let sure = self.is_sure();
        let owner = self.owner_of(address).filter(|_| sure);
        if say {
            let what = if owner.is_some() { "; announcing it as ours" } else { "" };
            log::error!(
                "CRIT: address {address}: the machine with hardware address {mac} says on {interface} that it has it \
                 ({times} time(s)){what}"
            );
        }
        let Some(i) = owner else { return };
        if note {
            let key = self.groups[i].key().clone();
            self.note(
                true,
                Kind::Group,
                &key,
                format!("the machine with hardware address {mac} says that it has {address}"),
            );
        }
        self.orders.push(Order::Lookout(Ask::Announce {
            addresses: vec![address.to_owned()],
        }));
    }

    pub(super) fn address_restored(&mut self) {
        self.lookout.counts.restored += 1;
    }

    pub(super) fn lookout_deadline(&self) -> Instant {
        let waiting = |address: &String| {
            let group = self
                .owner_of(address)
                .map(|i| &self.groups[i])
                .filter(|g| g.is_idle())?;
            let set_at = self.lookout.set_at.get(group.key().as_str())?;
            Some(*set_at + AGAIN_EVERY)
        };
        let again = self.lookout.lost.iter().filter_map(waiting).min();
        let again = again.map_or(Instant::NEVER, |at| super::manager::later(at, self.bench.now.mono));
        again
            .min(self.lookout.inquiries.deadline(self.bench.now.mono))
            .min(self.lookout.connections.deadline(self.bench.now.mono))
    }

    pub fn lookout_counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("addresses_lost", self.lookout.counts.lost),
            ("addresses_restored", self.lookout.counts.restored),
            ("foreign_announcements", self.lookout.counts.foreign),
            ("answered_takeovers", self.lookout.inquiries.taken),
        ]
        .into_iter()
    }
}
