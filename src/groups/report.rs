//! What the groups look like from outside: the classic's words, and the view for `cl_status`.

use super::group::Group;
use super::manager::{Groups, Phase};
use super::set::Set;
use crate::daemon::view::{FailedView, GroupView};
use crate::ids::NodeName;
use crate::time::{Now, Wall};

impl Groups {
    /// What we hold, in the classic's words.
    pub fn set(&self) -> Set {
        if matches!(self.phase, Phase::Stopping | Phase::Leaving { .. } | Phase::Stopped) {
            return Set::NONE;
        }
        let holds = |local: bool, by_name: bool| {
            let mut of_set = self
                .groups
                .iter()
                .filter(|g| (g.spec.node == self.me) == local)
                .peekable();
            match of_set.peek() {
                None => by_name,
                Some(_) => of_set.any(Group::is_wanted_here),
            }
        };
        Set {
            local: holds(true, self.empty.local),
            foreign: holds(false, self.empty.foreign),
        }
    }

    /// Nothing is being moved or about to be.
    pub fn is_stable(&self) -> bool {
        let settled = |g: &Group| !g.is_busy() || g.is_running();
        self.phase == Phase::Serving
            && self.handover.is_none()
            && self.taking.is_none()
            && self.groups.iter().all(settled)
    }

    /// For `cl_status rscstatus`.
    pub fn hold_word(&self) -> &'static str {
        if self.is_stable() {
            self.set().as_str()
        } else {
            "transition"
        }
    }

    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("acquisitions", self.counts.acquisitions),
            ("takeovers", self.counts.takeovers),
            ("releases", self.counts.releases),
            ("failures", self.counts.failures),
            ("restarts", self.counts.restarts),
        ]
        .into_iter()
    }

    pub fn peer_differs(&self, node: &NodeName) -> Vec<String> {
        self.peers.get(node).map(|p| p.differs.clone()).unwrap_or_default()
    }

    pub fn view(&self, now: Now) -> Vec<GroupView> {
        self.groups
            .iter()
            .map(|g| {
                let mut owners: Vec<NodeName> = self
                    .peers
                    .values()
                    .filter(|p| p.alive && p.holds(g.key()))
                    .map(|p| p.name.clone())
                    .collect();
                if g.claim().is_some_and(|c| c.holds()) {
                    owners.insert(0, self.me.clone());
                }
                GroupView {
                    key: g.key().clone(),
                    resources: g.spec.resources.iter().map(|r| r.name.clone()).collect(),
                    preferred: g.spec.node.clone(),
                    here: g.word(),
                    owned_since: self.owned_since(g, owners.first(), now),
                    failed: self.failed(g),
                    lease: self.lease_of(g),
                    owners,
                    since: now.mono - g.since,
                    last: g.last.clone(),
                }
            })
            .collect()
    }

    fn owned_since(&self, group: &Group, owner: Option<&NodeName>, now: Now) -> Option<Wall> {
        let owner = owner?;
        let claim = match self.peers.get(owner) {
            None => group.claim(),
            Some(peer) => peer.claims.get(group.key()).cloned(),
        };
        // Whatever a peer says: not in the future.
        claim.map(|c| Wall(c.stamp.min(now.wall.0)))
    }

    /// The nodes that could not start it, this one first.
    fn failed(&self, group: &Group) -> Vec<FailedView> {
        let here = group.failure.clone().filter(|_| group.failed_at.is_some());
        let here = here.map(|(at, why)| FailedView {
            node: self.me.clone(),
            at,
            why: Some(why),
        });
        let there = self.peers.values().filter(|p| p.alive && p.failed(group.key()));
        let there = there.map(|p| FailedView {
            node: p.name.clone(),
            at: Wall(p.claims.get(group.key()).map_or(0, |c| c.stamp)),
            why: None,
        });
        here.into_iter().chain(there).collect()
    }
}
