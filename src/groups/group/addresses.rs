//! The addresses of a group: which are up, which another node has, and how one that is gone is set again.

use super::{ADDRESS_SCRIPTS, Bench, Group, State, Step};
use crate::conf::ResourceSpec;
use crate::time::Instant;

impl Group {
    /// The addresses that have to stay for now: those of resources that run or may do, but not what is being stopped.
    pub fn addresses_up(&self) -> impl Iterator<Item = &str> {
        let resources = &self.spec.resources;
        let up = match &self.state {
            State::Stopped | State::Blocked => 0,
            State::Running => resources.len(),
            State::Busy(busy) => match busy.step {
                Step::Check | Step::Start => self.last_begun(busy.at) + 1,
                Step::Announce | Step::SetAgain => resources.len(),
                Step::Stop | Step::CheckStopped => busy.at,
            },
        };
        self.addresses(if self.lost.is_some() { 0 } else { up })
    }

    /// The addresses that may be on this machine.
    pub fn addresses_maybe_up(&self) -> impl Iterator<Item = &str> {
        self.addresses(match &self.state {
            State::Stopped => 0,
            State::Running | State::Blocked => self.spec.resources.len(),
            State::Busy(busy) => match busy.step {
                Step::Check | Step::Start => self.last_begun(busy.at) + 1,
                Step::Announce | Step::SetAgain => self.spec.resources.len(),
                Step::Stop | Step::CheckStopped => busy.at + 1,
            },
        })
    }

    /// Those of the first `many` resources.
    fn addresses(&self, many: usize) -> impl Iterator<Item = &str> {
        let ours = |r: &&ResourceSpec| ADDRESS_SCRIPTS.contains(&r.script.as_str());
        self.spec.resources[..many]
            .iter()
            .filter(ours)
            .filter_map(|r| r.args.first())
            .map(String::as_str)
    }

    /// The addresses that are there now, as far as their scripts have said.
    pub fn addresses_set(&self) -> impl Iterator<Item = &str> {
        let resources = &self.spec.resources;
        let (set, but) = match &self.state {
            State::Stopped | State::Blocked => (0, None),
            State::Running => (resources.len(), None),
            State::Busy(busy) => match busy.step {
                Step::Check | Step::Start | Step::Stop | Step::CheckStopped => (busy.at, None),
                Step::Announce => (resources.len(), None),
                Step::SetAgain => (resources.len(), Some(busy.at)),
            },
        };
        let set = if self.lost.is_some() { 0 } else { set };
        let ours = resources[..set]
            .iter()
            .enumerate()
            .filter(move |(i, _)| Some(*i) != but);
        let ours = ours.filter(|(_, r)| ADDRESS_SCRIPTS.contains(&r.script.as_str()));
        ours.filter_map(|(_, r)| r.args.first()).map(String::as_str)
    }

    /// This node was away for so long that others may have had it since: it has it anew.
    pub fn slept(&mut self, bench: &Bench) {
        self.stamp = bench.now.wall.0;
    }

    /// An OCF agent that holds an address: it knows no leases.
    pub fn has_other_address(&self) -> bool {
        let mut scripts = self.spec.resources.iter().filter(|r| r.script == "OCF");
        // `OCF::AGENT`, `OCF::PROVIDER:AGENT`
        let agent = |a: &String| {
            a.rsplit(':')
                .next()
                .is_some_and(|agent| ADDRESS_SCRIPTS.contains(&agent))
        };
        scripts.any(|r| r.args.first().is_some_and(agent))
    }

    /// An address went away while the group runs.
    pub fn set_again(&mut self, bench: &mut Bench, address: &str) {
        if self.state != State::Running {
            return;
        }
        let is_it = |r: &ResourceSpec| {
            ADDRESS_SCRIPTS.contains(&r.script.as_str()) && r.args.first().is_some_and(|a| a == address)
        };
        if let Some(at) = self.spec.resources.iter().position(is_it) {
            log::error!(
                "group {}: the address {address} is gone from this machine; setting it again",
                self.key()
            );
            self.go(bench, Step::SetAgain, at, None);
        }
    }

    /// Nobody renews its addresses, and nobody may run its scripts: they are stopped when that is possible again. The
    /// kernel has dropped the addresses at `until`.
    pub fn lose(&mut self, bench: &mut Bench, until: Instant) {
        let why = "its addresses were not renewed".to_owned();
        self.last = format!("giving up: {why}");
        self.lost = Some(until);
        self.offered = false;
        match &mut self.state {
            State::Stopped => {}
            State::Busy(busy) => {
                busy.unwanted = true;
                // All of it is stopped, and nothing started behind that.
                busy.restart = None;
                busy.failure.get_or_insert(why);
            }
            State::Running | State::Blocked => self.go(bench, Step::Stop, self.spec.resources.len() - 1, Some(why)),
        }
    }
}
