//! One machine: its daemon, the scripts that run on it, and what is up on it.

use super::plan::Config;
use super::program::Program;
use crate::core::random::Random;
use crate::daemon::{Daemon, Event};
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::ids::{Generation, JobId, MediumId, ResourceName};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Packets a socket keeps for a program that does not read; what comes then is lost.
const SOCKET_BUFFER: usize = 200;

/// One resource as it is on one machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resource {
    /// May be there: from the begin of a start to the end of a stop that worked.
    pub occupied: bool,
    /// What `status` answers.
    pub runs: bool,
    /// The kernel drops it after this moment, for addresses with `vip_lease`.
    pub lease: Option<Instant>,
    /// When the kernel looks at that.
    pub looked_at: Option<Instant>,
}

impl Resource {
    pub fn vanish(&mut self) {
        (self.occupied, self.runs, self.lease) = (false, false, None);
    }
}

#[derive(Clone, Debug)]
pub struct Script {
    pub job: JobId,
    pub command: Command,
    pub begun: Instant,
    exit: Exit,
}

#[derive(Debug)]
pub struct Machine {
    pub powered: bool,
    pub frozen: bool,
    /// heartbeat 3.0.6 is installed.
    pub classic: bool,
    pub daemon: Option<Program>,
    /// When the daemon's timer is due.
    pub wake: Instant,
    pub generation: Generation,
    /// Counts the daemons that ran here: answers to an earlier one are dropped.
    pub life: u64,
    /// Variant of its files.
    pub variant: usize,
    pub packets: VecDeque<(MediumId, Arc<[u8]>)>,
    /// Events other than packets that a frozen daemon has not seen yet.
    pub waiting: Vec<Event>,
    pub resources: BTreeMap<ResourceName, Resource>,
    pub scripts: BTreeMap<u64, Script>,
    pub held: Vec<ResourceName>,
    /// What the disk has for `generation`; `None` before the first start.
    pub written: Option<Generation>,
    pub disk_fails: bool,
    /// Its hb_peers.
    pub peers: String,
    /// This clock is so many seconds ahead.
    pub skew: i64,
    /// Messages sent in the present window of time.
    pub sent: u64,
    pub active: bool,
    /// Since when the daemon is dead or frozen.
    pub silent: Option<Instant>,
}

impl Machine {
    pub fn new(classic: bool, skew: i64) -> Self {
        Self {
            classic,
            powered: false,
            frozen: false,
            daemon: None,
            wake: Instant::NEVER,
            generation: Generation(0),
            life: 0,
            variant: 0,
            packets: VecDeque::new(),
            waiting: Vec::new(),
            resources: BTreeMap::new(),
            scripts: BTreeMap::new(),
            held: Vec::new(),
            written: None,
            disk_fails: false,
            peers: String::new(),
            skew,
            sent: 0,
            active: false,
            silent: None,
        }
    }

    /// The daemon, when it is ours.
    pub fn ours(&self) -> Option<&Daemon> {
        self.daemon.as_ref().and_then(Program::ours)
    }

    /// A classic that says for ever that it has the group.
    pub fn is_stuck_with(&self, key: &ResourceName) -> bool {
        let classic = self.daemon.as_ref().and_then(Program::classic);
        self.listens() && classic.is_some_and(|c| c.is_stuck() && c.claims(key) == Some(true))
    }

    /// The daemon runs and gets processor time.
    pub fn listens(&self) -> bool {
        self.daemon.is_some() && !self.frozen
    }

    pub fn occupies(&self, resource: &ResourceName) -> bool {
        self.resources.get(resource).is_some_and(|r| r.occupied)
    }

    pub fn packet(&mut self, medium: MediumId, bytes: Arc<[u8]>) {
        if self.packets.len() < SOCKET_BUFFER {
            self.packets.push_back((medium, bytes));
        }
    }

    pub fn power_off(&mut self) {
        self.daemon_gone(None);
        self.powered = false;
        self.scripts.clear();
        self.resources.clear();
        self.held.clear();
    }

    /// The daemon is gone, `at` that moment if its machine goes on; its scripts were killed half-way, what it had started
    /// stays.
    pub fn daemon_gone(&mut self, at: Option<Instant>) {
        // One that was frozen has been silent for longer.
        self.silent = at.map(|at| self.silent.filter(|_| self.frozen).unwrap_or(at));
        self.daemon = None;
        self.active = false;
        self.frozen = false;
        self.wake = Instant::NEVER;
        self.life += 1;
        self.packets.clear();
        self.waiting.clear();
        self.scripts.clear();
    }

    /// Begins a script; gives the moment of its end.
    pub fn begin(
        &mut self,
        number: u64,
        job: JobId,
        command: Command,
        now: Instant,
        config: &Config,
        random: &mut Random,
    ) -> Instant {
        let resource = self.resources.entry(command.resource.name.clone()).or_default();
        let fails = match command.verb {
            // The classic does not notice, see `classic`.
            _ if self.classic => 0,
            Verb::Status => 0,
            Verb::Start => config.start_fails,
            Verb::Stop => config.stop_fails,
        };
        if command.verb == Verb::Start {
            resource.occupied = true;
        }
        let span = (config.script.1 - config.script.0).as_millis() as u64;
        let mut took = config.script.0 + Duration::from_millis(random.below(span + 1));
        let mut exit = Exit::Code(0);
        if random.below(1000) < fails {
            exit = match random.below(4) {
                0 => {
                    took = command.limit;
                    Exit::TimedOut
                }
                _ => Exit::Code(1),
            };
        }
        let script = Script {
            job,
            command,
            begun: now,
            exit,
        };
        self.scripts.insert(number, script);
        now + took
    }

    /// Ends a script; `None` when it was killed before.
    pub fn end(&mut self, number: u64, now: Instant, random: &mut Random) -> Option<(JobId, Outcome, Command)> {
        let script = self.scripts.remove(&number)?;
        let resource = self.resources.entry(script.command.resource.name.clone()).or_default();
        let mut output = String::new();
        match (script.command.verb, &script.exit) {
            (Verb::Status, _) => {
                output = if resource.runs { "running" } else { "stopped" }.to_owned();
            }
            (Verb::Start, Exit::Code(0)) => (resource.runs, resource.occupied) = (true, true),
            (Verb::Stop, Exit::Code(0)) => resource.vanish(),
            // A script that fails may have done its work or not.
            (Verb::Start, _) => resource.runs |= random.below(2) == 0,
            (Verb::Stop, _) => resource.runs &= random.below(2) == 0,
        }
        let outcome = Outcome {
            exit: script.exit,
            output,
            took: now - script.begun,
        };
        Some((script.job, outcome, script.command))
    }
}
