//! Addresses: the kernel's lease of each, and who answers for it when a lookout asks.

use super::{ASKED, Sim, What};
use crate::daemon::Event;
use crate::groups::lease::Found;
use crate::groups::lookout::{Ask, Sighting};
use crate::ids::ResourceName;
use crate::sim::machine::Machine;
use crate::time::{Duration, Instant};
use crate::wire::Mac;
use std::net::IpAddr;

impl Sim {
    /// Whoever has a resource and can be reached answers for it.
    pub(super) fn lookout(&mut self, node: usize, ask: Ask) {
        let Ask::Whether { number, addresses } = ask else {
            return;
        };
        let has =
            |m: &Machine, a: &String| m.powered && m.resources.iter().any(|(name, r)| name.as_str() == a && r.occupied);
        let answers = addresses.into_iter().filter_map(|a| {
            let other = (0..self.machines.len())
                .filter(|i| *i != node)
                .find(|i| self.net.best_loss(node, *i).is_some() && has(&self.machines[*i], &a))?;
            Some((a, Mac([2, 0, 0, 0, 0, other as u8])))
        });
        let answers = answers.collect();
        let life = self.machines[node].life;
        let sighting = Sighting::Answered { number, answers };
        self.push(self.now + ASKED, What::Sighted { node, life, sighting });
    }

    /// The master asks the kernel for another lease. With less than a second left that is too late.
    pub(super) fn renew(&mut self, node: usize, number: u64, addresses: Vec<String>) -> Event {
        let mut found = Vec::new();
        for address in addresses {
            let name: ResourceName = address.parse().expect("addresses of the simulator are resources");
            let resource = self.machines[node].resources.get(&name).filter(|r| r.occupied);
            let state = match resource.map(|r| r.lease) {
                Some(Some(until)) if until > self.now + Duration::from_secs(1) => {
                    self.set_lease(node, &name);
                    Found::Renewed
                }
                Some(None) => Found::Permanent,
                Some(Some(_)) | None => Found::Gone,
            };
            found.push((address, state));
        }
        Event::Renewed { number, found }
    }

    pub(super) fn drop_at_once(&mut self, node: usize, addresses: &[String]) {
        for address in addresses {
            let name: ResourceName = address.parse().expect("addresses of the simulator are resources");
            if let Some(resource) = self.machines[node].resources.get_mut(&name) {
                resource.vanish();
            }
        }
        self.watch.changed();
    }

    /// From now on an address stays for one lease, if its node has leases.
    pub(super) fn set_lease(&mut self, node: usize, resource: &ResourceName) {
        let m = &mut self.machines[node];
        let is_address = resource.as_str().parse::<IpAddr>().is_ok();
        let lease = self.files[&m.variant].0[node].lease().filter(|_| !m.classic);
        let (Some(lease), true) = (lease, is_address) else {
            return;
        };
        let Some(there) = m.resources.get_mut(resource) else {
            return;
        };
        let until = self.now + lease;
        there.lease = Some(until);
        if there.looked_at.is_none() {
            self.watch_lease(node, resource, until);
        }
    }

    /// The kernel is 50 to 806 ms late (measured on Linux 6.18), never early.
    pub(super) fn watch_lease(&mut self, node: usize, resource: &ResourceName, until: Instant) {
        let at = until + Duration::from_millis(50 + self.lateness.below(757));
        if let Some(there) = self.machines[node].resources.get_mut(resource) {
            there.looked_at = Some(at);
        }
        let resource = resource.clone();
        self.push(at, What::LeaseEnds { node, resource });
    }

    pub(super) fn lease_ends(&mut self, node: usize, name: &ResourceName) {
        // The machine may have been switched off and on meanwhile.
        let now = self.now;
        let resources = &mut self.machines[node].resources;
        let Some(resource) = resources.get_mut(name).filter(|r| r.looked_at == Some(now)) else {
            return;
        };
        resource.looked_at = None;
        match resource.lease {
            Some(until) if until > now => self.watch_lease(node, name, until),
            Some(_) => {
                resource.vanish();
                self.trace.note(now, Some(node), format!("the kernel drops {name}"));
                self.watch.changed();
            }
            None => {}
        }
    }
}
