//! Setting, finding, renewing and removing a service address.
//!
//! A **lease** is a valid lifetime in the kernel: if nobody renews it, because all our processes were killed or frozen,
//! the kernel drops the address by itself. It expires up to 806 ms late and never early (measured on Linux 6.18).

use super::place::{NoPlace, choose_label, find_place, same_network};
use super::spec::Spec;
use crate::sys::netlink::{NamespaceLock, Netlink};
use crate::wire::route::{Address, DUPLICATE, Existing, Family, Link, NO_DUPLICATE_CHECK, SECONDARY};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Two that start at the same time must not choose the same label. It is only a label: nobody waits longer for it.
const LABEL_PATIENCE: Duration = Duration::from_millis(200);

/// An address and the interface that has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    pub address: Address,
    pub link: Link,
}

/// What [`add`] did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Added {
    pub held: Held,
    /// False: it was there already, and only its lifetime was set.
    pub fresh: bool,
    /// Whole sentences for the log.
    pub warnings: Vec<String>,
}

/// What [`renew`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Renewal {
    Renewed,
    /// The address is not there (any more): it was not set again, the lease had run out.
    Gone,
    /// It is there for ever: somebody else has set it, and it was not touched.
    Permanent,
}

/// Why an address could not be set, found or removed.
#[derive(Debug)]
pub enum Error {
    NoPlace(NoPlace),
    Elsewhere {
        ip: IpAddr,
        has: String,
        wanted: String,
    },
    LeaseTooShort {
        ip: IpAddr,
        lease: Duration,
    },
    Refused {
        ip: IpAddr,
        verb: &'static str,
        interface: String,
        source: io::Error,
    },
    Kernel(io::Error),
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::Kernel(e)
    }
}

impl Error {
    /// Only root may do this.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Refused { source, .. } | Self::Kernel(source) => source.kind() == io::ErrorKind::PermissionDenied,
            Self::NoPlace(_) | Self::Elsewhere { .. } | Self::LeaseTooShort { .. } => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlace(e) => e.fmt(f),
            Self::Elsewhere { ip, has, wanted } => {
                write!(
                    f,
                    "{ip}: is on {has} already, not on {wanted}; stop it or correct the interface"
                )
            }
            Self::LeaseTooShort { ip, lease } => {
                write!(
                    f,
                    "{ip}: a lease of {} ms is too short; the kernel counts in seconds",
                    lease.as_millis()
                )
            }
            Self::Refused {
                ip,
                verb,
                interface,
                source,
            } => write!(f, "{ip}: cannot be {verb} {interface}: {source}"),
            Self::Kernel(e) => write!(f, "netlink: {e}"),
        }
    }
}

impl std::error::Error for Error {}

/// All places where `ip` is, except on the loopback interface unless it is `wanted`: real servers behind a load balancer
/// have the service address there and do not serve it to the segment. Addresses which the kernel does not use because it
/// saw another machine with them are listed too.
fn all(netlink: &mut Netlink, ip: IpAddr, wanted: Option<&str>) -> io::Result<Vec<Held>> {
    let addresses = netlink.addresses(Family::of(ip))?;
    if addresses.iter().all(|a| a.ip != ip) {
        return Ok(Vec::new());
    }
    let links = netlink.links()?;
    let held = addresses.into_iter().filter(|a| a.ip == ip).filter_map(|address| {
        let link = links.iter().find(|l| l.index == address.index)?.clone();
        Some(Held { address, link })
    });
    Ok(held.filter(|h| serves(h, wanted)).collect())
}

fn serves(held: &Held, wanted: Option<&str>) -> bool {
    !held.link.is_loopback() || wanted == Some(&held.link.name)
}

fn usable(held: &Held) -> bool {
    held.address.flags & DUPLICATE == 0
}

/// Where the address is, if this machine has it and uses it.
pub fn find(netlink: &mut Netlink, spec: &Spec) -> Result<Option<Held>, Error> {
    let everywhere = all(netlink, spec.ip, spec.interface.as_deref())?;
    // The interface it should be on comes first.
    let best = everywhere
        .into_iter()
        .filter(usable)
        .min_by_key(|h| spec.interface.as_ref() != Some(&h.link.name));
    Ok(best)
}

/// Whole seconds, rounded down: an address must not stay longer than was asked for.
fn seconds(ip: IpAddr, lease: Option<Duration>) -> Result<Option<u32>, Error> {
    lease
        .map(|lease| match u32::try_from(lease.as_secs()) {
            Ok(0) => Err(Error::LeaseTooShort { ip, lease }),
            // The largest number means "for ever".
            Ok(s) => Ok(s.min(u32::MAX - 1)),
            Err(_) => Ok(u32::MAX - 1),
        })
        .transpose()
}

/// Sets the address, for ever or for `lease`. If it is there already, it only gets that lifetime.
pub fn add(netlink: &mut Netlink, spec: &Spec, lease: Option<Duration>) -> Result<Added, Error> {
    let valid = seconds(spec.ip, lease)?;
    let _alone = NamespaceLock::take(LABEL_PATIENCE);
    for unusable in all(netlink, spec.ip, spec.interface.as_deref())?
        .iter()
        .filter(|h| !usable(h))
    {
        netlink.delete(&unusable.address)?;
    }
    if let Some(mut held) = find(netlink, spec)? {
        if let Some(wanted) = spec.interface.as_ref().filter(|w| **w != held.link.name) {
            return Err(Error::Elsewhere {
                ip: spec.ip,
                has: held.link.name,
                wanted: wanted.clone(),
            });
        }
        // A permanent address that shall be permanent needs no change, and no right to change.
        if held.address.valid != valid {
            held.address.valid = valid;
            set(netlink, &held, Existing::Renew)?;
        }
        return Ok(Added {
            held,
            fresh: false,
            warnings: Vec::new(),
        });
    }
    let links = netlink.links()?;
    let routes = netlink.routes(Family::of(spec.ip))?;
    let place = find_place(spec, &links, &routes).map_err(Error::NoPlace)?;
    let there: Vec<Address> = netlink.addresses(Family::of(spec.ip))?;
    let there: Vec<Address> = there.into_iter().filter(|a| a.index == place.link.index).collect();
    let mut warnings = Vec::new();
    let label = if spec.ip.is_ipv4() {
        let label = choose_label(&place.link.name, spec.label.as_deref(), &there);
        label
            .map_err(|long| {
                warnings.push(format!(
                    "{}: the label {long} is longer than 15 characters; set without a label, ifconfig will not show it",
                    spec.ip
                ));
            })
            .ok()
    } else {
        None
    };
    let sibling = there
        .iter()
        .find(|a| a.prefix == place.prefix && same_network(a.ip, spec.ip, a.prefix));
    let held = Held {
        address: Address {
            index: place.link.index,
            ip: spec.ip,
            peer: None,
            prefix: place.prefix,
            broadcast: place.broadcast,
            label,
            // The check would keep an IPv6 address unusable for a second; that the other node is gone was decided before.
            flags: if spec.ip.is_ipv6() { NO_DUPLICATE_CHECK } else { 0 },
            // The kernel refuses two scopes in one IPv4 network of an interface.
            scope: sibling.filter(|a| a.ip.is_ipv4()).map_or(0, |a| a.scope),
            valid,
            created: 0,
        },
        link: place.link,
    };
    set(netlink, &held, Existing::Refuse)?;
    if !held.link.is_up() {
        warnings.push(format!("{}: {} was down; set up", spec.ip, held.link.name));
        netlink.set_up(held.link.index)?;
    }
    Ok(Added {
        held,
        fresh: true,
        warnings,
    })
}

fn set(netlink: &mut Netlink, held: &Held, existing: Existing) -> Result<(), Error> {
    netlink.set(&held.address, existing).map_err(|source| Error::Refused {
        ip: held.address.ip,
        verb: "set on",
        interface: held.link.name.clone(),
        source,
    })
}

/// Removes the address from wherever it is and says where it was; removing one that is not there is no error.
pub fn remove(netlink: &mut Netlink, spec: &Spec) -> Result<Vec<Held>, Error> {
    let everywhere = all(netlink, spec.ip, spec.interface.as_deref())?;
    for held in &everywhere {
        let siblings = secondaries_of(netlink, held)?;
        match netlink.delete(&held.address) {
            // Its lease ran out in between.
            Err(e) if e.raw_os_error() == Some(EADDRNOTAVAIL) => {}
            result => result.map_err(|source| Error::Refused {
                ip: spec.ip,
                verb: "removed from",
                interface: held.link.name.clone(),
                source,
            })?,
        }
        if !siblings.is_empty() {
            restore(netlink, &siblings)?;
        }
    }
    Ok(everywhere)
}

/// "Cannot assign requested address": the kernel's word for "no such address here".
const EADDRNOTAVAIL: i32 = 99;

/// The addresses the kernel may drop along with `held`: with `promote_secondaries` off, its default, the first address of
/// an IPv4 network takes the others of that network with it.
fn secondaries_of(netlink: &mut Netlink, held: &Held) -> io::Result<Vec<Address>> {
    let first = &held.address;
    if first.ip.is_ipv6() || first.flags & SECONDARY != 0 {
        return Ok(Vec::new());
    }
    let mut all = netlink.addresses(Family::V4)?;
    all.retain(|a| {
        let same = a.index == first.index && a.prefix == first.prefix && same_network(a.ip, first.ip, first.prefix);
        same && a.ip != first.ip && a.flags & SECONDARY != 0
    });
    Ok(all)
}

/// Sets again what went away with another service address.
fn restore(netlink: &mut Netlink, siblings: &[Address]) -> io::Result<()> {
    let there = netlink.addresses(Family::V4)?;
    for lost in siblings {
        if !there.iter().any(|a| a.index == lost.index && a.ip == lost.ip) {
            netlink.set(lost, Existing::Refuse)?;
        }
    }
    Ok(())
}

/// Gives the address another `lease` from now on, if it is still there and has one.
///
/// The kernel sets an address that is not there when asked to renew it. So this looks before and after: if this process
/// was stopped in between until the lease had ended, the address is a new one now, and is removed again, because another
/// node may have it by now.
pub fn renew(netlink: &mut Netlink, spec: &Spec, lease: Duration) -> Result<Renewal, Error> {
    let found = renew_all(netlink, std::slice::from_ref(spec), lease)?;
    Ok(found.first().copied().unwrap_or(Renewal::Gone))
}

/// [`renew`] of many, with one look before and one after: what became of each.
pub fn renew_all(netlink: &mut Netlink, specs: &[Spec], lease: Duration) -> Result<Vec<Renewal>, Error> {
    renew_while(netlink, specs, lease, |_| ())
}

/// `meanwhile` is what happens while this process stands still between look and renewal.
fn renew_while(
    netlink: &mut Netlink,
    specs: &[Spec],
    lease: Duration,
    meanwhile: impl Fn(&Address),
) -> Result<Vec<Renewal>, Error> {
    let before = find_all(netlink, specs)?;
    let mut renewed = Vec::new();
    let mut refused = None;
    for (spec, held) in specs.iter().zip(&before) {
        let Some(mut held) = held.clone().filter(has_time_left) else {
            renewed.push(false);
            continue;
        };
        meanwhile(&held.address);
        held.address.valid = seconds(spec.ip, Some(lease))?;
        let result = set(netlink, &held, Existing::Renew);
        renewed.push(result.is_ok());
        refused = refused.or(result.err());
    }
    if !renewed.contains(&true) {
        // What one interface refuses is not held against the others; what all refuse is.
        return match refused {
            Some(e) => Err(e),
            None => Ok(before.iter().map(|held| unrenewed(held.as_ref())).collect()),
        };
    }
    let after = find_all(netlink, specs)?;
    let mut found = Vec::new();
    for ((before, after), renewed) in before.iter().zip(after).zip(renewed) {
        found.push(match (before, after) {
            (before, _) if !renewed => unrenewed(before.as_ref()),
            (Some(old), Some(new)) if new.address.created == old.address.created => Renewal::Renewed,
            (_, Some(new)) => {
                netlink.delete(&new.address)?;
                Renewal::Gone
            }
            (_, None) => Renewal::Gone,
        });
    }
    Ok(found)
}

/// Has a lease, and more of it than a part of a second: with none left the kernel is about to drop it.
fn has_time_left(held: &Held) -> bool {
    held.address.valid.is_some_and(|s| s > 0)
}

fn unrenewed(held: Option<&Held>) -> Renewal {
    match held {
        Some(held) if held.address.valid.is_none() => Renewal::Permanent,
        Some(_) | None => Renewal::Gone,
    }
}

/// [`find`] for many: two or three lists of the kernel, however many are asked for.
fn find_all(netlink: &mut Netlink, specs: &[Spec]) -> Result<Vec<Option<Held>>, Error> {
    let mut there = Vec::new();
    for family in [Family::V4, Family::V6] {
        if specs.iter().any(|s| Family::of(s.ip) == family) {
            there.extend(netlink.addresses(family)?);
        }
    }
    let links = netlink.links()?;
    let find = |spec: &Spec| {
        let held = there.iter().filter(|a| a.ip == spec.ip).filter_map(|address| {
            let link = links.iter().find(|l| l.index == address.index)?.clone();
            Some(Held {
                address: address.clone(),
                link,
            })
        });
        held.filter(|h| serves(h, spec.interface.as_deref()) && usable(h))
            .min_by_key(|h| spec.interface.as_ref() != Some(&h.link.name))
    };
    Ok(specs.iter().map(find).collect())
}

/// Gives an address that is there for ever a lease; says whether it was.
pub fn take_back(netlink: &mut Netlink, spec: &Spec, lease: Duration) -> Result<bool, Error> {
    let Some(mut held) = find(netlink, spec)?.filter(|h| h.address.valid.is_none()) else {
        return Ok(false);
    };
    held.address.valid = seconds(spec.ip, Some(lease))?;
    set(netlink, &held, Existing::Renew)?;
    Ok(true)
}

/// Takes the lease away from addresses that have one: they stay until somebody removes them. Says which are there.
pub fn make_permanent(netlink: &mut Netlink, specs: &[Spec]) -> Result<Vec<Renewal>, Error> {
    let mut found = find_all(netlink, specs)?;
    for held in found.iter_mut().flatten().filter(|h| has_time_left(h)) {
        held.address.valid = None;
        set(netlink, held, Existing::Renew)?;
    }
    Ok(found.iter().map(|held| unrenewed(held.as_ref())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use std::thread;

    #[test]
    fn an_address_that_went_during_its_renewal_is_not_brought_back() {
        let run = || {
            if let Err(e) = unshare(CloneFlags::CLONE_NEWNET) {
                println!("SKIPPED: no network namespace: {e}");
                return;
            }
            let mut netlink = Netlink::open().expect("netlink");
            for text in ["10.1.1.9/32/lo", "2001:db8::9/128/lo"] {
                let spec: Spec = text.parse().expect(text);
                add(&mut netlink, &spec, Some(Duration::from_secs(600))).expect(text);
                // The kernel notes the time of setting in hundredths of a second; the shortest lease is a hundred of them.
                thread::sleep(Duration::from_millis(30));
                let week = Duration::from_secs(604_800);
                assert_eq!(
                    renew(&mut netlink, &spec, week).expect(text),
                    Renewal::Renewed,
                    "{text}"
                );
                let expire = |a: &Address| Netlink::open().and_then(|mut n| n.delete(a)).expect(text);
                assert_eq!(
                    renew_while(&mut netlink, std::slice::from_ref(&spec), week, expire).expect(text),
                    [Renewal::Gone],
                    "{text}"
                );
                assert_eq!(find(&mut netlink, &spec).expect(text), None, "{text}");
            }
        };
        // Namespaces are a thread's: the other tests of this process stay where they are.
        thread::spawn(run).join().expect("no panic");
    }
}
