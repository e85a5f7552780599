//! `hb_takeover` typed on this node: what it wants is asked of the nodes that have it, as soon as nothing else is on its
//! way, and the command hears what becomes of it. One after the other, in the order they were typed.

use super::handover::names;
use super::manager::{Groups, Order};
use super::set::Set;
use crate::ids::{NodeName, ResourceName};
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant};

/// Ours: which groups of the set are still wanted, separated by blanks.
pub(super) const KEYS: &str = "hb_keys";
/// The holder must begin within this time.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// A holder of ours is asked again so often: it may not have had the group yet when it was asked.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// After a failure is forgotten orphans wait so long: the others think that this node cannot start it, and may be about
/// to do so themselves.
const HEARD_WITHIN: Duration = Duration::from_secs(2);
/// The longest a move may take, as in heartbeat 3.0.6: scripts may be slow.
const MOVE_WITHIN: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Another move comes first.
    Queued,
    Asked {
        again: Instant,
    },
    /// The holder gives it, or our scripts are at work.
    Begun {
        until: Instant,
    },
}

/// A takeover that is not fulfilled yet.
#[derive(Debug)]
pub struct Wanted {
    id: Option<String>,
    /// What has not come yet. What came once is fulfilled, even if another command takes it away again.
    keys: Vec<ResourceName>,
    set: Set,
    step: Step,
    /// The next of them must have begun to come by then.
    begin_by: Instant,
}

impl Groups {
    pub(super) fn takeover_command(&mut self, set: Set, id: Option<String>) {
        if let Some(why) = self.refusal() {
            log::warn!("takeover request refused: {why}");
            self.tell_phase(&id, "refused", why, None, None, set);
            return;
        }
        let me = self.me.clone();
        log::info!("{me} wants to take over [{}]", set.as_str());
        if self.is_moving() || !self.wanted.is_empty() {
            self.tell_phase(&id, "queued", "another move is on its way", None, Some(&me), set);
        }
        self.wanted.push_back(Wanted {
            id,
            keys: Vec::new(),
            set,
            step: Step::Queued,
            begin_by: Instant::NEVER,
        });
    }

    fn is_moving(&self) -> bool {
        self.handover.is_some() || self.taking.is_some() || !self.queue.is_empty()
    }

    /// The commands hear that nothing comes of it any more.
    pub(super) fn end_wanted(&mut self, why: &str) {
        for w in std::mem::take(&mut self.wanted) {
            self.tell_phase(&w.id, "failed", why, None, None, w.set);
        }
    }

    pub(super) fn go_on_with_wanted(&mut self) {
        let now = self.bench.now.mono;
        while let Some(w) = self.wanted.front() {
            let verdict = match w.step {
                Step::Queued if self.is_moving() => return,
                Step::Queued => self.begin_wanted(),
                Step::Asked { .. } | Step::Begun { .. } => {
                    self.note_arrivals();
                    self.verdict_on_wanted()
                }
            };
            if let Some((phase, why)) = verdict {
                if let Some(w) = self.wanted.pop_front() {
                    let me = self.me.clone();
                    self.tell_phase(&w.id, phase, &why, None, Some(&me), w.set);
                }
                continue;
            }
            if matches!(self.wanted.front(), Some(Wanted { step: Step::Asked { again }, .. }) if now >= *again)
                && !self.is_moving()
            {
                self.ask_for_wanted();
            }
            return;
        }
    }

    /// What is wanted is decided now: an earlier move may have changed it.
    fn begin_wanted(&mut self) -> Option<(&'static str, String)> {
        let now = self.bench.now.mono;
        let me = self.me.clone();
        let mut forgotten = false;
        let w = self.wanted.front_mut()?;
        for group in &mut self.groups {
            if w.set.holds(group.spec.node == me) && !group.is_wanted_here() {
                forgotten |= group.failed_at.is_some();
                group.forget_failures();
                w.keys.push(group.key().clone());
            }
        }
        if w.keys.is_empty() {
            return Some(("done", "this node has them already".to_owned()));
        }
        w.step = Step::Asked { again: now };
        w.begin_by = now + BEGIN_WITHIN;
        let (id, set) = (w.id.clone(), w.set);
        if forgotten {
            self.hold_off = self.hold_off.max(now + HEARD_WITHIN);
            self.ask_whether_forgotten();
        }
        self.tell_phase(&id, "asked", "", None, Some(&me), set);
        None
    }

    fn note_arrivals(&mut self) {
        let begin_by = self.bench.now.mono + BEGIN_WITHIN;
        let groups = &self.groups;
        let Some(w) = self.wanted.front_mut() else { return };
        let before = w.keys.len();
        w.keys
            .retain(|k| groups.iter().any(|g| g.key() == k && !g.is_running()));
        if w.keys.len() < before {
            w.begin_by = begin_by;
        }
    }

    fn verdict_on_wanted(&self) -> Option<(&'static str, String)> {
        let now = self.bench.now.mono;
        let w = self.wanted.front()?;
        let group = |k: &ResourceName| self.group_index(Some(k.as_str())).map(|i| &self.groups[i]);
        let failed: Vec<&ResourceName> = w
            .keys
            .iter()
            .filter(|k| group(k).is_some_and(|g| g.failed_at.is_some()))
            .collect();
        if !failed.is_empty() {
            return Some((
                "failed",
                format!("{} could not be started here; see the log", names(failed)),
            ));
        }
        if w.keys.is_empty() {
            return Some(("done", String::new()));
        }
        match w.step {
            Step::Asked { .. } if now >= w.begin_by => Some((
                "failed",
                format!("the node that has it did not begin within {} s", BEGIN_WITHIN.as_secs()),
            )),
            Step::Begun { until } if now >= until => {
                Some(("failed", "starting the resources took longer than an hour".to_owned()))
            }
            Step::Queued | Step::Asked { .. } | Step::Begun { .. } => None,
        }
    }

    /// Asks the holders. What no node has is placed as always: by both sides the same.
    fn ask_for_wanted(&mut self) {
        let now = self.bench.now.mono;
        let Some(w) = self.wanted.front() else { return };
        let (keys, set) = (w.keys.clone(), w.set);
        let mut held = false;
        for key in &keys {
            // What is on its way to another node is as good as held there: it may be starting it right now.
            let theirs = self
                .peers
                .values()
                .filter(|p| p.alive)
                .filter_map(|p| p.claims.get(key))
                .any(|c| c.holds() || c.is_moving());
            let moving = self
                .group_index(Some(key.as_str()))
                .is_some_and(|i| self.groups[i].moving.is_some());
            held |= theirs || moving;
        }
        let all_here = keys.iter().all(|k| {
            self.group_index(Some(k.as_str()))
                .is_none_or(|i| self.groups[i].is_wanted_here())
        });
        // A classic node takes a second question for a second request.
        let repeat = self.peers.values().all(|p| !p.alive || p.ours);
        if let Some(w) = self.wanted.front_mut()
            && let Step::Asked { .. } = w.step
        {
            w.step = match (all_here, repeat) {
                (true, _) => Step::Begun {
                    until: now + MOVE_WITHIN,
                },
                (false, true) => Step::Asked { again: now + ASK_AGAIN },
                (false, false) => Step::Asked {
                    again: if held { Instant::NEVER } else { now + ASK_AGAIN },
                },
            };
        }
        if held {
            let word = if set == Set::NONE { "none" } else { set.as_str() };
            let message = Message::new("hb_takeover").with(fields::RSC_HOLD, word).with(
                KEYS,
                keys.iter().map(ResourceName::as_str).collect::<Vec<_>>().join(" "),
            );
            self.orders.push(Order::Send(message));
        }
    }

    /// A node gives us something; `phase` of it is told to the command that waits for it.
    pub(super) fn wanted_phase(&mut self, phase: &str, from: &NodeName) {
        let me = self.me.clone();
        let until = self.bench.now.mono + MOVE_WITHIN;
        let Some(w) = self.wanted.front_mut().filter(|w| w.step != Step::Queued) else {
            return;
        };
        w.step = Step::Begun { until };
        let (id, set) = (w.id.clone(), w.set);
        self.tell_phase(&id, phase, "", Some(from), Some(&me), set);
    }

    /// The move that was to bring it is over: what is still missing is asked for again.
    pub(super) fn wanted_move_over(&mut self) {
        let now = self.bench.now.mono;
        if let Some(w) = self.wanted.front_mut()
            && let Step::Begun { .. } = w.step
        {
            w.step = Step::Asked { again: now + ASK_AGAIN };
        }
    }

    pub(super) fn wanted_deadline(&self) -> Instant {
        let Some(w) = self.wanted.front() else {
            return Instant::NEVER;
        };
        match w.step {
            // The end of the other move wakes us.
            Step::Asked { .. } if self.is_moving() => w.begin_by,
            Step::Asked { again } => again.min(w.begin_by),
            Step::Begun { until } => until,
            Step::Queued => Instant::NEVER,
        }
    }
}
