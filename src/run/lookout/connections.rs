//! The established connections of held addresses, for the node that may take the addresses over.
//!
//! What lives for a second only is not worth telling: a connection counts when it was seen twice.

use super::scene::Scene;
use crate::groups::lookout::Ends;
use crate::groups::tickle::MOST;
use crate::sys::inet_diag::Connections;
use crate::time::{Duration, Instant};
use crate::wire::inet_diag::State;
use std::collections::BTreeSet;

const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Watch {
    wanted: bool,
    at: Instant,
    seen: BTreeSet<Ends>,
    told: Vec<Ends>,
    fails: bool,
}

impl Watch {
    pub fn set(&mut self, now: Instant, wanted: bool) {
        if wanted && !self.wanted {
            self.at = now;
        }
        self.wanted = wanted;
    }

    /// Never while there is nothing to look at.
    pub fn deadline(&self, scene: &Scene) -> Instant {
        let anything = scene.held().next().is_some() || !self.told.is_empty();
        if self.wanted && anything {
            self.at
        } else {
            Instant::NEVER
        }
    }

    /// The list, when it has changed.
    pub fn tick(&mut self, now: Instant, scene: &Scene) -> Option<Vec<Ends>> {
        if now < self.deadline(scene) {
            return None;
        }
        self.at = now + LOOK_EVERY;
        let mut seen = BTreeSet::new();
        for (_, ip, _) in scene.held() {
            let found = Connections::open().and_then(|mut c| c.of(ip, State::Established, 4 * MOST));
            match found {
                Ok(found) => seen.extend(found.into_iter().map(|c| (c.local, c.remote))),
                Err(e) if !self.fails => {
                    self.fails = true;
                    log::warn!("tickle: the kernel does not tell its connections: {e}");
                }
                Err(_) => {}
            }
        }
        let mut lasting: Vec<Ends> = seen.intersection(&self.seen).copied().collect();
        lasting.truncate(MOST);
        self.seen = seen;
        if lasting == self.told {
            return None;
        }
        self.told.clone_from(&lasting);
        Some(lasting)
    }
}
