//! A script has ended: what becomes of its group, and who is to have it next.

use super::group::{Done, Group};
use super::job::Outcome;
use super::manager::{CLASSIC_GIVES_WITHIN, Groups, MOVING_FOR, Phase};
use super::peer::Peer;
use super::place;
use super::set::Set;
use crate::conf::AutoFailback;
use crate::daemon::transitions::{Kind, Transition};
use crate::ids::{JobId, NodeName};
use crate::time::Now;

impl Groups {
    /// A script ended.
    pub fn job_ended(&mut self, now: Now, job: JobId, outcome: &Outcome) {
        self.bench.now = now;
        self.touch();
        if self.fencing_ended(job, outcome) {
            return;
        }
        let patient = matches!(self.phase, Phase::Stopping);
        let Some(i) = self.groups.iter().position(|g| g.waits_for(job)) else {
            log::debug!("job {job}: nobody waits for it any more");
            return;
        };
        let alone = self.is_alone(i);
        let done = self.groups[i].job_ended(&mut self.bench, outcome, patient, alone);
        if self.waking.is_some() {
            // A start that was under way may have set one.
            self.drop_addresses();
        }
        let Some(done) = done else { return };
        let last = self.groups[i].had_by.clone();
        self.note_done(i, &done);
        match done {
            Done::Acquired => self.tickle(i, last.as_ref()),
            Done::Restored => self.address_restored(),
            Done::Released => self.released(i),
            Done::Failed { .. } => self.failed_beside_classic(i),
            Done::Restarted | Done::Limping { .. } | Done::Blocked { .. } => {}
        }
        if self.groups[i].is_stopped()
            && let Some(spec) = self.groups[i].next_spec.take()
        {
            self.groups[i].spec = spec;
        }
        if self.groups[i].removed && self.groups[i].is_stopped() {
            self.groups.remove(i);
        }
    }

    fn note_done(&mut self, i: usize, done: &Done) {
        let group = &mut self.groups[i];
        let (bad, text) = match done {
            Done::Acquired => {
                self.counts.acquisitions += 1;
                self.counts.takeovers += u64::from(group.had_by.take().is_some());
                (false, format!("runs here, {}", group.last))
            }
            Done::Released => {
                self.counts.releases += 1;
                (false, group.last.clone())
            }
            Done::Failed { why } => {
                self.counts.failures += 1;
                (true, format!("failed here: {why}"))
            }
            Done::Restarted => {
                self.counts.restarts += 1;
                (true, group.last.clone())
            }
            Done::Limping { why } => (
                true,
                format!("does not work here, and no other node can have it: {why}"),
            ),
            Done::Restored => (false, "its address is set again".to_owned()),
            Done::Blocked { why } => (true, format!("is stuck here: {why}")),
        };
        let key = group.key().clone();
        self.note(bad, Kind::Group, &key, text);
    }

    pub(super) fn note(&mut self, bad: bool, kind: Kind, subject: &impl ToString, text: String) {
        let transition = Transition::good(self.bench.now.wall, kind, subject.to_string(), text);
        self.transitions.push(Transition { bad, ..transition });
    }

    pub fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// A group is down here: for whom?
    fn released(&mut self, i: usize) {
        let until = self.bench.now.mono + MOVING_FOR;
        let to = match (&self.handover, self.phase) {
            (_, Phase::Stopping) => self.successor(i),
            (Some(h), _) if h.keys.contains(self.groups[i].key()) => Some(h.to.clone()),
            (Some(_) | None, _) => None,
        };
        self.groups[i].moving = to.map(|to| (to, until));
        if let Some(asker) = self.groups[i].asked_by.take() {
            self.groups[i].moving = Some((asker.clone(), until));
            self.answer_ip_request(&asker, i, true);
        }
    }

    /// Group `i` cannot be started here. One of ours sees that and tries; a classic node is given the set that the group
    /// is in, as its own scripts do (it waits 30 s before). There the set can come back in the same way.
    fn failed_beside_classic(&mut self, i: usize) {
        let set = self.set_of(i);
        let able = |p: &&Peer| p.can_serve() && !p.ours && p.told;
        let Some(to) = self.peers.values().find(able).map(|p| p.name.clone()) else {
            return;
        };
        if self.phase != Phase::Serving || self.mode == AutoFailback::Legacy {
            return;
        }
        let failed = self.groups[i].key().clone();
        let mut keys = self.keys_held(|g| set.holds(g.spec.node == self.me));
        log::info!(
            "group {failed}: node {to}, of heartbeat 3.0.6, is asked to take our {} resources",
            set.as_str()
        );
        keys.push(failed);
        self.request(set, keys, Some(to), None, "it cannot be started here");
    }

    /// With `auto_failback on` a classic node gives back by itself what prefers a node that starts, unless that starts
    /// while it is still taking over. Then it is asked once.
    pub(super) fn come_home(&mut self) {
        let now = self.bench.now.mono;
        if self.came_home || self.mode != AutoFailback::On {
            return;
        }
        let mine = |g: &&Group| g.spec.node == self.me;
        let with = |p: &&Peer| {
            p.can_serve() && !p.ours && p.told && p.stable && self.groups.iter().filter(mine).any(|g| p.holds(g.key()))
        };
        match self.peers.values().find(with) {
            None => {
                // Everything is here: nothing to come any more.
                self.came_home = self.groups.iter().filter(mine).all(Group::is_running);
            }
            Some(p)
                if now - p.calm_since >= CLASSIC_GIVES_WITHIN && self.handover.is_none() && self.taking.is_none() =>
            {
                log::info!(
                    "node {}: has not given back what prefers this node; asking for it",
                    p.name
                );
                self.came_home = true;
                self.takeover_command(Set::LOCAL, None);
                // Begun with the next look, and that is not to wait until something else happens.
                self.touch();
            }
            Some(_) => {}
        }
    }

    /// Who starts group `i` when we leave.
    fn successor(&self, i: usize) -> Option<NodeName> {
        let group = &self.groups[i];
        let able: Vec<&NodeName> = self
            .order
            .iter()
            .filter(|n| {
                self.peers
                    .get(*n)
                    .is_some_and(|p| p.can_serve() && !p.failed(group.key()))
            })
            .collect();
        place::choose(&group.spec.node, &able).cloned()
    }
}
