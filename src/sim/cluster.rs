//! The clock and the queue: one thing happens after the other, and after each the promises are looked at.

mod faults;
mod leases;
mod questions;

use super::classic::Classic;
use super::machine::Machine;
use super::net::Net;
use super::plan::{Config, Fault, Plan};
use super::program::Program;
use super::trace::Trace;
use super::watch::Watch;
use crate::auth::{Key, Keyring, Method};
use crate::conf::{HaCf, Haresources, ha_cf, haresources};
use crate::core::random::Random;
use crate::daemon::{Action, Daemon, Event};
use crate::groups::fencing::{FenceCommand, FenceVerb};
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::groups::lookout::Sighting;
use crate::ids::{JobId, MediumId, NodeName, ResourceName};
use crate::time::{Duration, Instant, Now, Wall};
use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;
use std::sync::Arc;

/// A daemon that wants its timer again at once more often than this is spinning.
const MAX_TIMERS: usize = 20;

/// What the lookout needs to ask the network.
const ASKED: Duration = Duration::from_millis(8);
/// The wall clock when a simulation begins.
const BEGIN: u64 = 1_700_000_000;

/// A node that gave a group up is tried again after this time.
const SICK_FOR: Duration = Duration::from_secs(20);

/// There and back.
const ECHO: Duration = Duration::from_millis(2);

#[derive(Debug)]
enum What {
    Packet {
        to: usize,
        medium: MediumId,
        bytes: Arc<[u8]>,
    },
    ScriptEnds {
        node: usize,
        number: u64,
    },
    /// A STONITH device takes the power from a machine.
    FenceHits {
        node: usize,
    },
    /// … which boots.
    Boots {
        node: usize,
        life: u64,
    },
    FenceEnds {
        node: usize,
        life: u64,
        job: JobId,
        outcome: Outcome,
    },
    Sighted {
        node: usize,
        life: u64,
        sighting: Sighting,
    },
    Fault(Fault),
    /// The kernel drops an address unless somebody has renewed it.
    LeaseEnds {
        node: usize,
        resource: ResourceName,
    },
    /// A daemon that died comes back, unless something else happened to it.
    Resume {
        node: usize,
        life: u64,
    },
}

#[derive(Debug)]
struct Next {
    at: Instant,
    number: u64,
    what: What,
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Next {}
impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Next {
    /// The heap gives the greatest first: the earliest, and of those the one that was queued first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// A cluster under simulation.
#[derive(Debug)]
pub struct Sim {
    seed: u64,
    pub config: Config,
    pub(super) now: Instant,
    random: Random,
    /// How late the kernel is; apart, so that a seed stays what it was.
    lateness: Random,
    queue: BinaryHeap<Next>,
    numbers: u64,
    pub(super) net: Net,
    pub(super) machines: Vec<Machine>,
    pub(super) names: Vec<NodeName>,
    files: BTreeMap<usize, (Vec<HaCf>, Haresources)>,
    keys: Keyring,
    pub(super) trace: Trace,
    watch: Watch,
    broken: Option<String>,
    recording: Option<Vec<(MediumId, Arc<[u8]>)>>,
    steps: u64,
    starts: u64,
    fencings: u64,
}

impl Sim {
    pub fn new(seed: u64, plan: Plan) -> Self {
        let config = plan.config;
        let mut random = Random::new(seed);
        let names: Vec<NodeName> = (0..config.nodes)
            .map(|i| Config::node_name(i).parse().expect("n1, n2, … are node names"))
            .collect();
        let files = (0..6)
            .map(|variant| {
                let cfs = names
                    .iter()
                    .map(|me| {
                        ha_cf::parse(Path::new("ha.cf"), &config.ha_cf(variant), me)
                            .value
                            .expect("the configuration of the simulator is good")
                    })
                    .collect();
                let text = config.haresources(variant);
                let groups = haresources::parse(Path::new("haresources"), &text, &names)
                    .value
                    .expect("the groups of the simulator are good");
                (variant, (cfs, groups))
            })
            .collect();
        let key = Key::new(Method::Crc, Vec::new());
        let mut sim = Self {
            seed,
            now: Instant::from_millis(0),
            net: Net::new(config.nets, config.nodes),
            machines: (0..config.nodes)
                .map(|i| Machine::new(config.classic.contains(&i), random.below(5) as i64))
                .collect(),
            names,
            files,
            keys: Keyring {
                active: 1,
                keys: BTreeMap::from([(1, key)]),
            },
            trace: Trace::new(),
            watch: Watch::new(&config),
            random,
            lateness: Random::new(seed ^ 0x1ea5e),
            queue: BinaryHeap::new(),
            numbers: 0,
            broken: None,
            recording: None,
            config,
            steps: 0,
            starts: 0,
            fencings: 0,
        };
        for (at, fault) in plan.faults {
            sim.at(at, fault);
        }
        sim
    }

    /// All nodes start at once.
    pub fn started(seed: u64, config: Config) -> Self {
        let nodes = config.nodes;
        let mut sim = Self::new(seed, Plan::new(config, Vec::new()));
        for i in 0..nodes {
            sim.at(sim.now, Fault::Start(i));
        }
        sim
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// Same seed, same number.
    pub fn hash(&self) -> u64 {
        self.trace.hash()
    }

    /// Things that happened so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// From now on what goes over the networks is written down by somebody who has no key.
    pub fn record(&mut self) {
        self.recording = Some(Vec::new());
    }

    /// What was written down, in order: medium and packet.
    pub fn recorded(&self) -> &[(MediumId, Arc<[u8]>)] {
        self.recording.as_deref().unwrap_or_default()
    }

    /// Somebody puts a packet on the network of a node; it arrives with the next step.
    pub fn inject(&mut self, to: usize, medium: MediumId, bytes: Arc<[u8]>) {
        self.push(self.now, What::Packet { to, medium, bytes });
    }

    /// A program on a node, or its network, says something.
    pub fn event(&mut self, node: usize, event: Event) {
        self.handle(node, event);
        self.look();
    }

    /// Something is to happen at this moment.
    pub fn at(&mut self, at: Instant, fault: Fault) {
        self.push(at, What::Fault(fault));
    }

    /// Something is to happen now, that is with the next step.
    pub fn fault(&mut self, fault: Fault) {
        self.at(self.now, fault);
    }

    fn push(&mut self, at: Instant, what: What) {
        self.numbers += 1;
        self.queue.push(Next {
            at,
            number: self.numbers,
            what,
        });
    }

    /// Plays until this moment; the first broken promise ends it.
    pub fn run_until(&mut self, end: Instant) -> Result<(), String> {
        while self.broken.is_none() {
            let queued = self.queue.peek().map_or(Instant::NEVER, |n| n.at);
            let (node, wake) = self
                .machines
                .iter()
                .enumerate()
                .map(|(i, m)| (i, if m.frozen { Instant::NEVER } else { m.wake }))
                .min_by_key(|(_, wake)| *wake)
                .unwrap_or((0, Instant::NEVER));
            let next = queued.min(wake);
            if next > end {
                self.now = end;
                self.look();
                break;
            }
            self.now = self.now.max(next);
            self.steps += 1;
            if queued <= wake {
                let next = self.queue.pop().expect("it was just looked at");
                self.happen(next.what);
            } else {
                self.handle(node, Event::Timer);
            }
            self.look();
        }
        match &self.broken {
            Some(why) => Err(self.report(why)),
            None => Ok(()),
        }
    }

    pub fn run_for(&mut self, time: Duration) -> Result<(), String> {
        self.run_until(self.now + time)
    }

    fn look(&mut self) {
        if let Some(why) = self.watch.look(self.now, &self.config, &mut self.machines, &self.net) {
            self.broken(why);
        }
    }

    fn broken(&mut self, why: String) {
        if self.broken.is_none() {
            self.broken = Some(why);
        }
    }

    fn clock(&self, node: usize) -> Now {
        Now {
            mono: self.now,
            wall: Wall((BEGIN + self.now.as_millis() / 1000).saturating_add_signed(self.machines[node].skew)),
        }
    }

    /// Hands an event to a daemon, as the driver does: then its timer, as often as that is due.
    fn handle(&mut self, node: usize, event: Event) {
        let now = self.clock(node);
        if self.machines[node].frozen {
            match event {
                Event::Received { .. } | Event::Timer => {}
                other => self.machines[node].waiting.push(other),
            }
            return;
        }
        self.trace.event(self.now, node, &event);
        self.turn(node, |daemon| daemon.handle(now, event));
    }

    /// A packet for a daemon that is not frozen.
    fn receive(&mut self, node: usize, medium: MediumId, bytes: &[u8]) {
        let now = self.clock(node);
        self.turn(node, |daemon| daemon.receive(now, medium, bytes));
    }

    fn turn(&mut self, node: usize, event: impl FnOnce(&mut Program) -> Vec<Action>) {
        let now = self.clock(node);
        let Some(daemon) = &mut self.machines[node].daemon else {
            return;
        };
        log::trace!("---- {} at {} ms", self.names[node], self.now.as_millis());
        let mut actions = event(daemon);
        // Now and then the driver calls too early; that must change nothing.
        let mut spurious = self.random.below(16) == 0;
        for turn in 0.. {
            let wake = daemon.deadline();
            if wake > self.now && !std::mem::take(&mut spurious) {
                self.machines[node].wake = wake;
                break;
            }
            actions.extend(daemon.handle(now, Event::Timer));
            if turn > MAX_TIMERS {
                let why = format!("{} wants its timer again and again", self.names[node]);
                self.broken(why);
                break;
            }
        }
        self.after(node, actions);
        let m = &self.machines[node];
        if m.packets.is_empty() && m.ours().is_some_and(Daemon::must_catch_up) {
            self.handle(node, Event::CaughtUp);
        }
    }

    fn after(&mut self, node: usize, actions: Vec<Action>) {
        if let Some(daemon) = &self.machines[node].daemon {
            let active = daemon.is_active();
            let mistaken = daemon.ours().is_some_and(|d| d.calm_mistakes() > 0);
            if active != self.machines[node].active {
                self.machines[node].active = active;
                self.watch.changed();
            }
            if mistaken {
                self.broken(format!("{} left out a look that was needed", self.names[node]));
            }
        }
        let mut answers = Vec::new();
        for action in actions {
            self.trace.action(self.now, node, &action);
            match action {
                Action::Send { medium, bytes } => self.send(node, medium, bytes),
                Action::Run { job, command } => self.run(node, job, command),
                Action::Fence { job, command } => self.fence(node, job, &command),
                Action::Remember { held } => self.machines[node].held = held,
                Action::Stopped => {
                    let m = &mut self.machines[node];
                    // What its present files do not have any more is not its business.
                    let listed: Vec<_> = self.files[&m.variant]
                        .1
                        .groups
                        .iter()
                        .flat_map(|g| &g.resources)
                        .collect();
                    let left: Vec<_> = m
                        .resources
                        .iter()
                        .filter(|(k, r)| r.occupied && listed.iter().any(|l| l.name == **k))
                        .map(|(k, _)| k.clone())
                        .collect();
                    let again = m
                        .daemon
                        .as_ref()
                        .and_then(Program::classic)
                        .and_then(Classic::restarts_after);
                    m.daemon_gone(Some(self.now));
                    m.held.clear();
                    let life = m.life;
                    if let Some(after) = again {
                        self.push(self.now + after, What::Boots { node, life });
                    }
                    self.watch.changed();
                    if !left.is_empty() {
                        self.broken(format!("{} has stopped and leaves {left:?}", self.names[node]));
                    }
                }
                Action::Reply { .. }
                | Action::Signal { .. }
                | Action::DropClient { .. }
                | Action::MediaChanged
                | Action::Notice { .. } => {}
                // Every node of the simulator stands in ha.cf; what was heard of it is for the next life.
                Action::RememberNodes { table } => self.machines[node].peers = table.peers,
                Action::Lookout { ask } => self.lookout(node, ask),
                Action::Renew { number, addresses } => answers.push(self.renew(node, number, addresses)),
                Action::Drop { addresses } => self.drop_at_once(node, &addresses),
            }
        }
        for answer in answers {
            self.answer(node, answer);
        }
    }

    /// The master answers in the same turn; no chance is taken, so that a seed stays what it was.
    fn answer(&mut self, node: usize, event: Event) {
        let now = self.clock(node);
        self.trace.event(self.now, node, &event);
        let m = &mut self.machines[node];
        let Some(daemon) = &mut m.daemon else { return };
        let actions = daemon.handle(now, event);
        m.wake = daemon.deadline();
        self.after(node, actions);
    }

    fn send(&mut self, from: usize, medium: MediumId, bytes: Arc<[u8]>) {
        self.machines[from].sent += 1;
        if let Some(all) = &mut self.recording {
            all.push((medium, bytes.clone()));
        }
        if medium.0 >= self.net.nets() {
            self.echo(from, medium, bytes);
            return;
        }
        for to in 0..self.machines.len() {
            for at in self
                .net
                .arrivals(&mut self.random, self.now, medium.0, from, to)
                .into_iter()
                .flatten()
            {
                let bytes = bytes.clone();
                self.push(at, What::Packet { to, medium, bytes });
            }
        }
    }

    /// The medium after the networks is the ping node's, which sends everything back.
    fn echo(&mut self, to: usize, medium: MediumId, bytes: Arc<[u8]>) {
        if !self.net.is_broken(0, to) {
            let at = self.now + ECHO;
            self.push(at, What::Packet { to, medium, bytes });
        }
    }

    fn run(&mut self, node: usize, job: JobId, command: Command) {
        if let Some(why) = self.watch.script(node, &self.machines[node], &command)
            && !self.machines[node].classic
        {
            self.broken(why);
        }
        self.starts += u64::from(command.verb == Verb::Start);
        self.numbers += 1;
        let number = self.numbers;
        let m = &mut self.machines[node];
        let started = (command.verb == Verb::Start).then(|| command.resource.name.clone());
        let end = m.begin(number, job, command, self.now, &self.config, &mut self.random);
        if let Some(name) = started {
            self.set_lease(node, &name);
        }
        self.push(end, What::ScriptEnds { node, number });
        self.watch.changed();
    }

    /// A device that is slow now and then, fails now and then, and then may have done its work or not.
    fn fence(&mut self, by: usize, job: JobId, command: &FenceCommand) {
        self.fencings += 1;
        let fails = self.random.below(1000) < self.config.fence_fails;
        let longest = [500, 5000, command.limit.as_millis() as u64][self.random.below(3) as usize];
        let took = Duration::from_millis(1 + self.random.below(longest));
        let mut output = String::new();
        if command.verb == FenceVerb::Hosts {
            output = self.names.iter().map(|n| format!("{n}\n")).collect();
        }
        let target = self.names.iter().position(|n| Some(n) == command.node.as_ref());
        if let Some(node) = target
            && (!fails || self.random.below(4) == 0)
        {
            let hit = Duration::from_millis(self.random.below(took.as_millis() as u64 + 1));
            self.push(self.now + hit, What::FenceHits { node });
        }
        let exit = match fails {
            false => Exit::Code(0),
            true if self.random.below(2) == 0 => Exit::TimedOut,
            true => Exit::Code(1),
        };
        let life = self.machines[by].life;
        let outcome = Outcome { exit, output, took };
        let end = What::FenceEnds {
            node: by,
            life,
            job,
            outcome,
        };
        self.push(self.now + took, end);
    }

    fn happen(&mut self, what: What) {
        match what {
            What::FenceHits { node } => {
                self.trace.note(self.now, Some(node), "is fenced".to_owned());
                self.machines[node].power_off();
                self.watch.changed();
                self.watch.fault();
                let life = self.machines[node].life;
                let boot = Duration::from_millis(10_000 + self.random.below(60_000));
                self.push(self.now + boot, What::Boots { node, life });
            }
            What::Boots { node, life } => {
                if self.machines[node].life == life && self.machines[node].daemon.is_none() {
                    self.start(node, None, false);
                }
            }
            What::FenceEnds {
                node,
                life,
                job,
                outcome,
            } => {
                if self.machines[node].life == life {
                    self.handle(node, Event::JobEnded { job, outcome });
                }
            }
            What::Packet { to, medium, bytes } => {
                let m = &mut self.machines[to];
                let net = if medium.0 < self.net.nets() { medium.0 } else { 0 };
                if m.daemon.is_none() || self.net.is_broken(net, to) {
                } else if m.frozen {
                    m.packet(medium, bytes);
                } else {
                    self.receive(to, medium, &bytes);
                }
            }
            What::Sighted { node, life, sighting } => {
                let m = &mut self.machines[node];
                let event = Event::Sighted { sighting };
                match m.frozen {
                    _ if m.life != life => {}
                    true => m.waiting.push(event),
                    false => self.answer(node, event),
                }
            }
            What::ScriptEnds { node, number } => {
                if let Some((job, outcome, command)) = self.machines[node].end(number, self.now, &mut self.random) {
                    if command.verb == Verb::Start && outcome.exit == Exit::Code(0) {
                        self.set_lease(node, &command.resource.name);
                    }
                    if let Some(silent) = &mut self.machines[node].silent {
                        // A script that goes on beside a frozen daemon.
                        *silent = self.now;
                    }
                    self.watch.script_ended(&command, &outcome);
                    self.watch.changed();
                    self.handle(node, Event::JobEnded { job, outcome });
                }
            }
            What::LeaseEnds { node, resource } => self.lease_ends(node, &resource),
            What::Resume { node, life } => {
                if self.machines[node].life == life
                    && self.machines[node].powered
                    && self.machines[node].daemon.is_none()
                {
                    let held = self.machines[node].held.clone();
                    self.start(node, Some(held), true);
                }
            }
            What::Fault(fault) => {
                self.trace.note(self.now, None, format!("{fault:?}"));
                self.watch.changed();
                self.watch.fault();
                self.suffer(fault);
            }
        }
    }
}
