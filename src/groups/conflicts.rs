//! Two nodes claim a group: one keeps it, the other stops it.

use super::manager::Groups;
use super::peer::{ClaimState, Peer};
use super::place;
use crate::conf::AutoFailback;

impl Groups {
    /// A classic peer whose packets came through no more, and ours did: it knows of no partition, and has what it had.
    pub(super) fn no_longer_wait_for_classics(&mut self) {
        let now = self.bench.now.mono;
        let keeps = |p: &&mut Peer| p.gives_up.is_some_and(|at| now >= at) && p.stable;
        for peer in self.peers.values_mut().filter(keeps) {
            peer.gives_up = None;
            log::warn!(
                "node {}: heard us while we did not hear it; it keeps what it has",
                peer.name
            );
        }
    }

    /// Two nodes claim a group: one keeps it, the other stops it.
    pub(super) fn resolve_conflicts(&mut self) {
        let goes_home = self.mode != AutoFailback::Off;
        let mut with_ours = false;
        for i in 0..self.groups.len() {
            let Some(mine) = self.groups[i].wanted_claim() else {
                continue;
            };
            let (key, preferred) = (self.groups[i].key(), &self.groups[i].spec.node);
            let mut contested = false;
            let mut lost_to = None;
            for peer in self.peers.values().filter(|p| p.alive && p.told) {
                let Some(theirs) = peer.claims.get(key).filter(|c| c.holds()) else {
                    continue;
                };
                contested = true;
                with_ours |= peer.ours;
                // A classic node never lets go, or lets go of everything and says so.
                let it_decides = !peer.ours && self.mode != AutoFailback::Legacy;
                if it_decides {
                    if theirs.state != ClaimState::Stopping && peer.gives_up.is_none() {
                        lost_to = Some(peer.name.clone());
                    }
                } else if theirs.state != ClaimState::Stopping
                    && *place::keeper(preferred, goes_home, (&self.me, &mine), (&peer.name, theirs)) != self.me
                {
                    lost_to = Some(peer.name.clone());
                }
            }
            let group = &mut self.groups[i];
            if contested && !group.contested {
                let key = group.key();
                log::error!("CRIT: group {key}: Both machines own our resources! (this node and another one)");
            }
            if let Some(other) = lost_to {
                group.release(&mut self.bench, &format!("node {other} has it too and keeps it"));
            } else if group.contested && !contested {
                log::info!(
                    "group {}: this node is the only owner again; announcing its addresses",
                    group.key()
                );
                group.announce(&mut self.bench);
            }
            self.groups[i].contested = contested;
        }
        if with_ours {
            // It may have been deaf when it was told last.
            self.tell_at = self.tell_at.min(self.bench.now.mono + self.deadtime / 4);
        }
    }
}
