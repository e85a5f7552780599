//! The master's part of the leases: it asks the kernel to keep addresses for a while more, as often as the core beats.

use crate::address::{self, Renewal, Spec};
use crate::conf::HaCf;
use crate::groups::lease::Found;
use crate::sys::netlink::Netlink;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::io;

/// A renewal follows its beat within this time, or it is too late for a whole lease: peers count from the beat.
const PROMPT: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Keeper {
    /// `None` when `vip_lease` is off.
    length: Option<Duration>,
    /// Open from the first renewal on.
    netlink: Option<Netlink>,
    /// The log knows that the kernel refuses.
    fails: bool,
    /// Addresses that had a lease, of those asked for last; true when the log knows that somebody set one for ever.
    lent: BTreeMap<String, bool>,
}

impl Keeper {
    pub fn new(cf: &HaCf) -> Self {
        let length = cf.lease();
        say(cf);
        Self {
            length,
            netlink: None,
            fails: false,
            lent: BTreeMap::new(),
        }
    }

    /// The files have changed.
    pub fn reload(&mut self, cf: &HaCf) {
        let old = std::mem::replace(&mut self.length, cf.lease());
        if old == self.length {
            return;
        }
        say(cf);
    }

    /// Renews what the core asked for `at` that moment; `None` when that did not work. What has been waiting for us gets
    /// only the rest of its lease: the beat it belongs to is as old. With leases off, what still has one is set for ever.
    pub fn renew(&mut self, now: Instant, at: Instant, addresses: Vec<String>) -> Option<Vec<(String, Found)>> {
        let age = now - at;
        let lease = match self.length {
            Some(length) if age > PROMPT => Some(length.saturating_sub(age)),
            length => length,
        };
        if lease.is_some_and(|l| l < Duration::from_secs(1)) {
            log::warn!(
                "leases: a renewal came {} ms late; it counts for nothing",
                age.as_millis()
            );
            return None;
        }
        // The core names what the scripts have set; what is no address was not.
        let known = addresses.into_iter().filter_map(|a| Some((a.parse().ok()?, a)));
        let (specs, names): (Vec<Spec>, Vec<String>) = known.unzip();
        self.lent.retain(|name, _| names.contains(name));
        let renewed = self.with_netlink(|netlink| match lease {
            Some(lease) => address::renew_all(netlink, &specs, lease),
            None => address::make_permanent(netlink, &specs),
        });
        match renewed {
            Ok(found) => {
                self.fails = false;
                let found = found.into_iter().map(|renewal| match renewal {
                    Renewal::Renewed => Found::Renewed,
                    Renewal::Gone => Found::Gone,
                    Renewal::Permanent => Found::Permanent,
                });
                let found = names.into_iter().zip(found).zip(specs);
                let taken_back = found.map(|((name, found), spec)| self.take_back(name, found, &spec, lease));
                Some(taken_back.collect())
            }
            Err(e) => {
                if !self.fails {
                    log::error!("leases: addresses cannot be renewed: {e}");
                }
                self.fails = true;
                None
            }
        }
    }

    /// An address that has had a lease from us is ours: somebody who sets it for ever does not change that.
    fn take_back(&mut self, name: String, found: Found, spec: &Spec, lease: Option<Duration>) -> (String, Found) {
        match (found, lease, self.lent.get(&name).copied()) {
            (Found::Renewed, ..) => {
                self.lent.entry(name.clone()).or_default();
            }
            (Found::Permanent, Some(lease), Some(told)) => {
                if let Ok(true) = self.with_netlink(|netlink| address::take_back(netlink, spec, lease)) {
                    if !told {
                        log::warn!("address {name}: somebody has set it for ever; it has its lease again");
                    }
                    self.lent.insert(name.clone(), true);
                    return (name, Found::Renewed);
                }
            }
            // One that is gone is set again by our script, with a lease.
            (Found::Permanent | Found::Gone, ..) => {}
        }
        (name, found)
    }

    /// Takes addresses off this machine. One that cannot be removed is named in the log; its lease ends by itself.
    pub fn drop_at_once(&mut self, addresses: Vec<String>) {
        for address in addresses {
            let Ok(spec) = address.parse::<Spec>() else { continue };
            match self.with_netlink(|netlink| address::remove(netlink, &spec)) {
                Ok(held) if held.is_empty() => {}
                Ok(_) => log::info!("address {address}: removed until it is known whether another node has it"),
                Err(e) => log::error!("address {address}: cannot be removed: {e}"),
            }
        }
    }

    fn with_netlink<T>(
        &mut self,
        what: impl FnOnce(&mut Netlink) -> Result<T, address::Error>,
    ) -> Result<T, address::Error> {
        let mut netlink = match self.netlink.take() {
            Some(open) => open,
            None => Netlink::open().map_err(|e: io::Error| address::Error::from(e))?,
        };
        let result = what(&mut netlink);
        if result.is_ok() {
            // After an error an answer may still be waiting in it: the next one is fresh.
            self.netlink = Some(netlink);
        }
        result
    }
}

/// What the log should know at the start.
fn say(cf: &HaCf) {
    match cf.lease() {
        Some(lease) => log::info!(
            "vip_lease: addresses stay for {} s after the last beat of this node, not longer",
            lease.as_secs()
        ),
        None if cf.vip_lease => log::info!(
            "vip_lease: off: between keepalive {} ms and deadtime {} ms is no room for it (deadtime less 1 s, in whole \
             seconds, must be two keepalives); addresses stay when heartbeat is killed",
            cf.keepalive.as_millis(),
            cf.deadtime.as_millis()
        ),
        None => log::info!("vip_lease: off: addresses stay when heartbeat is killed"),
    }
}
