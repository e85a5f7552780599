//! Interfaces and addresses of this machine as they are, and what has become of the ones we watch.

use crate::address::Spec;
use crate::address::place::find_place;
use crate::groups::lookout::Sighting;
use crate::sys::netlink::Netlink;
use crate::wire::Mac;
use crate::wire::route::{Address, DUPLICATE, Family, Link, Reply};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

/// Where a held address is, by the number of the interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// It was not looked for yet.
    Unseen,
    Here(u32),
    /// It went with an interface that was set down; that is looked at again when the interface is up.
    Down(u32),
    /// That was told.
    Gone,
}

#[derive(Debug)]
struct Held {
    spec: Spec,
    place: Place,
}

#[derive(Debug)]
pub(super) struct Scene {
    netlink: Netlink,
    links: Vec<Link>,
    held: BTreeMap<String, Held>,
    all: BTreeMap<String, Spec>,
    /// The interface each of `all` is on or belongs to.
    homes: BTreeMap<String, u32>,
}

impl Scene {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            netlink: Netlink::open()?,
            links: Vec::new(),
            held: BTreeMap::new(),
            all: BTreeMap::new(),
            homes: BTreeMap::new(),
        })
    }

    /// What is to be watched from now on. What is no address was never set by us.
    pub fn set(&mut self, held: &[String], all: &[String]) {
        let spec = |word: &String| Some((word.clone(), word.parse::<Spec>().ok()?));
        self.all = all.iter().filter_map(spec).collect();
        let mut before = std::mem::take(&mut self.held);
        for (word, spec) in held.iter().filter_map(spec) {
            // What was told as gone is told again to whoever still counts on it: the core may be another one now.
            let place = before.remove(&word).map(|h| h.place).filter(|p| *p != Place::Gone);
            let place = place.unwrap_or(Place::Unseen);
            self.held.insert(word, Held { spec, place });
        }
    }

    /// A held address went away, or an interface changed: what must not wait.
    pub fn concerns_held(&self, replies: &[Reply]) -> bool {
        replies.iter().any(|reply| match reply {
            Reply::AddressGone(a) | Reply::Address(a) => self.held.values().any(|h| h.spec.ip == a.ip),
            Reply::Link(_) | Reply::LinkGone(_) => false,
            Reply::Route(_) | Reply::Done | Reply::Ended(_) | Reply::Other => false,
        })
    }

    /// Everything of it is known: it tells of held addresses that they are where they were, as each renewal of a lease does.
    pub fn knows(&self, replies: &[Reply]) -> bool {
        replies.iter().all(|reply| match reply {
            Reply::Address(a) => self.held.values().any(|held| {
                let found = where_is(std::slice::from_ref(a), &self.links, &held.spec);
                found.is_some_and(|index| held.place == Place::Here(index))
            }),
            Reply::AddressGone(_) | Reply::Link(_) | Reply::LinkGone(_) | Reply::Route(_) => false,
            Reply::Done | Reply::Ended(_) | Reply::Other => false,
        })
    }

    /// Looks at everything and says what has happened to what is held.
    pub fn look(&mut self) -> io::Result<Vec<Sighting>> {
        let mut sightings = Vec::new();
        let links = self.netlink.links()?;
        let mut addresses = Vec::new();
        let mut routes = Vec::new();
        for family in [Family::V4, Family::V6] {
            if self.all.values().any(|s| Family::of(s.ip) == family) {
                addresses.extend(self.netlink.addresses(family)?);
                routes.extend(self.netlink.routes(family)?);
            }
        }
        for (word, held) in &mut self.held {
            let found = where_is(&addresses, &links, &held.spec);
            let link = |index| links.iter().find(|l: &&Link| l.index == index);
            held.place = match (held.place, found) {
                (_, Some(index)) => Place::Here(index),
                (Place::Gone, None) => Place::Gone,
                (Place::Here(index) | Place::Down(index), None) if link(index).is_some_and(|l| !l.is_up()) => {
                    Place::Down(index)
                }
                (Place::Unseen | Place::Here(_) | Place::Down(_), None) => {
                    sightings.push(Sighting::Lost { address: word.clone() });
                    Place::Gone
                }
            };
        }
        for link in links.iter().filter(|l| l.is_running()) {
            let was_down = self
                .links
                .iter()
                .any(|old| old.index == link.index && !old.is_running());
            let ours = self.held.values().any(|h| h.place == Place::Here(link.index));
            if was_down && ours {
                sightings.push(Sighting::LinkUp {
                    interface: link.name.clone(),
                });
            }
        }
        self.homes.clear();
        for (word, spec) in &self.all {
            let home = where_is(&addresses, &links, spec)
                .or_else(|| find_place(spec, &links, &routes).ok().map(|place| place.link.index));
            if let Some(index) = home {
                self.homes.insert(word.clone(), index);
            }
        }
        self.links = links;
        Ok(sightings)
    }

    /// An interface with neighbours and its hardware address.
    pub fn link(&self, index: u32) -> Option<(&Link, Mac)> {
        let link = self.links.iter().find(|l| l.index == index && l.has_neighbours())?;
        Some((link, link.mac?))
    }

    pub fn is_own(&self, mac: Mac) -> bool {
        self.links.iter().any(|l| l.mac == Some(mac))
    }

    /// Every address we know, and the interface it belongs to.
    pub fn homes(&self) -> impl Iterator<Item = (&str, IpAddr, u32)> {
        let home = |(word, spec): (&'_ String, &'_ Spec)| self.homes.get(word).map(|index| (spec.ip, *index));
        self.all
            .iter()
            .filter_map(move |(word, spec)| home((word, spec)).map(|(ip, index)| (word.as_str(), ip, index)))
    }

    /// The held addresses that are here, and the interface they are on.
    pub fn held(&self) -> impl Iterator<Item = (&str, IpAddr, u32)> {
        self.held.iter().filter_map(|(word, held)| match held.place {
            Place::Here(index) => Some((word.as_str(), held.spec.ip, index)),
            Place::Unseen | Place::Down(_) | Place::Gone => None,
        })
    }

    /// Asks the kernel right now: who has lost an address must not announce it.
    pub fn still_has(&mut self, ip: IpAddr, index: u32) -> bool {
        let there = |a: &Address| a.ip == ip && a.index == index && a.flags & DUPLICATE == 0;
        let addresses = self.netlink.addresses(Family::of(ip));
        addresses.is_ok_and(|all| all.iter().any(there))
    }
}

/// As [`crate::address::find`] sees it: not where a load balancer's real servers have it.
fn where_is(addresses: &[Address], links: &[Link], spec: &Spec) -> Option<u32> {
    let wanted = spec.interface.as_deref();
    let serves = |a: &&Address| {
        let link = links.iter().find(|l| l.index == a.index);
        a.ip == spec.ip
            && a.flags & DUPLICATE == 0
            && link.is_some_and(|l| !l.is_loopback() || wanted == Some(l.name.as_str()))
    };
    addresses.iter().find(serves).map(|a| a.index)
}
