//! Fencing: a node that died is switched off before anything it may have is started here.
//!
//! * A node whose fencing is *due* keeps its claims, and nothing is started on this node: while we do not hear it, it may
//!   have started anything. Moves are refused for so long.
//! * Fencing is due for a node that was not heard since this daemon began, or that died, unless it left in good order.
//!   One that held nothing is left in peace as long as all groups are with living nodes. What was fenced before this
//!   daemon began does not count.
//! * It is over when a device reports success, when another node reports that (`stonith` with `OK`), or when a person says
//!   so (meatclient). A failure is never a success: the devices are tried in order, again and again.
//! * A node that is heard again before that is not fenced any more; nothing is started before it has told what it has. Two
//!   owners are then told apart as always.
//! * A node that no device can reset is taken over as without fencing.
//!
//! * Each node tells whom it does not hear. One that hears this of itself starts nothing: the other one may have fenced it
//!   and be about to take its groups, and does not hear what it claims.
//!
//! Two nodes that lose each other fence each other at the same time: the quicker one wins.

mod devices;

use super::job::{Exit, Outcome};
use super::manager::{Groups, Order, Phase, later};
use super::peer::{Claim, ClaimState};
use super::set::Set;
use crate::conf::{FenceDevice, FenceKind};
use crate::daemon::view::FencingView;
use crate::ids::{JobId, NodeName};
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// After all devices have failed, as in heartbeat 3.0.6.
const RETRY: Duration = Duration::from_secs(5);
/// The device is asked whether it is well this often, as in heartbeat 3.0.6.
const CHECK_EVERY: Duration = Duration::from_secs(3600);
/// A person is reminded this often, and a failure that repeats itself is logged this often.
const REMIND: Duration = Duration::from_secs(60);
/// What a device may take: machines with slow management boards need most of a minute.
const RESET_WITHIN: Duration = Duration::from_secs(60);
const ASK_WITHIN: Duration = Duration::from_secs(20);
/// A reason is shown on one line.
const LONGEST_REASON: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FenceVerb {
    /// Its output is the list of nodes that the device can reset.
    Hosts,
    Status,
    Reset,
    /// Only the crm asks for this; ha.cf has it as a parameter of the device.
    Off,
}

impl FenceVerb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Status => "status",
            Self::Reset => "reset",
            Self::Off => "off",
        }
    }
}

/// Something for a device to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FenceCommand {
    /// Index in ha.cf's list, and `FenceDevice::title` of what should be there: a reload may be on its way.
    pub device: usize,
    pub title: String,
    pub verb: FenceVerb,
    /// Whom to reset.
    pub node: Option<NodeName>,
    pub limit: Duration,
}

#[derive(Debug)]
struct Device {
    spec: FenceDevice,
    /// Not known before the device has told.
    hosts: Option<Vec<String>>,
    ask_at: Instant,
    check_at: Instant,
    job: Option<(JobId, FenceVerb)>,
    /// Why its last check failed.
    fault: Option<String>,
}

impl Device {
    fn new(spec: &FenceDevice, now: Instant) -> Self {
        let no_check = spec.kind == FenceKind::Meatware;
        Self {
            spec: spec.clone(),
            hosts: spec.hosts(),
            ask_at: now,
            check_at: if no_check { Instant::NEVER } else { now },
            job: None,
            fault: None,
        }
    }

    fn covers(&self, node: &NodeName) -> Option<bool> {
        let hosts = self.hosts.as_ref()?;
        Some(hosts.iter().any(|h| h.eq_ignore_ascii_case(node.as_str())))
    }
}

#[derive(Debug)]
enum State {
    /// Not heard since this daemon began: it may be there all the same.
    Unheard,
    Alive,
    /// Heard again, or for the first time, and has not told what it has.
    Doubtful,
    /// Died while it held nothing: not fenced before something is to be started that it may have started since.
    Idle,
    Due(Due),
    Free(Free),
}

#[derive(Debug)]
struct Due {
    since: Instant,
    remind_at: Instant,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Until then, then from the first device on.
    Pause(Instant),
    Running {
        job: JobId,
        device: usize,
    },
}

/// Why nothing need be done about a node that is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Free {
    Fenced,
    /// It has left in good order.
    Unneeded,
    NoDevice,
}

#[derive(Debug)]
struct Node {
    state: State,
    /// Tries since it was last well.
    failures: u32,
    last: String,
    /// Another node has reset it, and nothing was heard of it since.
    reset_by_other: bool,
}

impl Node {
    fn new() -> Self {
        Self {
            state: State::Unheard,
            failures: 0,
            last: String::new(),
            reset_by_other: false,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Fencing {
    devices: Vec<Device>,
    nodes: BTreeMap<NodeName, Node>,
    done: u64,
    failed: u64,
}

impl Fencing {
    /// Can a device reset it? `None` while that is not known.
    fn covers(&self, node: &NodeName) -> Option<bool> {
        if self.devices.iter().any(|d| d.covers(node) == Some(true)) {
            return Some(true);
        }
        self.devices.iter().all(|d| d.hosts.is_some()).then_some(false)
    }

    fn asks_people(&self, node: &NodeName) -> bool {
        let person = |d: &Device| d.spec.kind == FenceKind::Meatware && d.covers(node) == Some(true);
        self.devices.iter().any(person)
    }

    /// For the counters: successes and failures.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.done, self.failed)
    }
}

impl Groups {
    /// Takes the devices of ha.cf; what is known of the nodes stays.
    pub(super) fn set_fencing(&mut self, specs: &[FenceDevice]) {
        let now = self.bench.now.mono;
        let peers = &self.peers;
        self.fencing.nodes.retain(|name, _| peers.contains_key(name));
        for name in self.peers.keys() {
            self.fencing.nodes.entry(name.clone()).or_insert_with(Node::new);
        }
        let same = self.fencing.devices.iter().map(|d| &d.spec).eq(specs);
        // A device with a file may have changed in that file; it is asked again.
        if same && specs.iter().all(|d| d.hosts().is_some()) {
            return;
        }
        self.fencing.devices = specs.iter().map(|d| Device::new(d, now)).collect();
        for node in self.fencing.nodes.values_mut() {
            if let State::Due(due) = &mut node.state {
                due.step = Step::Pause(now);
            }
        }
    }

    /// Something came from this node; `fresh` when it was not among the living before.
    pub(super) fn fencing_heard(&mut self, name: &NodeName, fresh: bool) {
        let Some(node) = self.fencing.nodes.get_mut(name) else {
            return;
        };
        node.reset_by_other = false;
        if !fresh {
            return;
        }
        if let State::Due(_) = node.state {
            log::warn!("node {name}: is heard again before it was fenced; it is not fenced any more");
        }
        node.state = State::Doubtful;
        node.failures = 0;
    }

    /// A node died. True when it must be fenced before it is taken over.
    pub(super) fn fencing_died(&mut self, name: &NodeName) -> bool {
        let now = self.bench.now.mono;
        let nothing = self.holds_nothing(name);
        let left = nothing && self.peers.get(name).is_none_or(|p| p.leaving);
        let idle = nothing && self.all_are_held(name);
        let covered = self.fencing.covers(name);
        let configured = !self.fencing.devices.is_empty();
        let Some(node) = self.fencing.nodes.get_mut(name) else {
            return false;
        };
        if let State::Due(_) = node.state {
            return true;
        }
        let stopping = !matches!(self.phase, Phase::Waiting | Phase::Serving);
        if left || idle || stopping {
            node.state = if left || stopping {
                State::Free(Free::Unneeded)
            } else {
                State::Idle
            };
            if !stopping {
                self.say_stonith(name, "unneeded");
            }
            return false;
        }
        if std::mem::take(&mut node.reset_by_other) {
            log::info!("node {name}: another node has fenced it");
            node.state = State::Free(Free::Fenced);
            self.ask_what_was_passed_on();
            return false;
        }
        if covered == Some(false) {
            self.cannot_be_fenced(name, configured);
            return false;
        }
        node.due(now);
        log::warn!("node {name}: must be fenced before its groups are taken over");
        true
    }

    /// It has said that it holds nothing, and nothing is on its way to it.
    fn holds_nothing(&self, name: &NodeName) -> bool {
        let Some(peer) = self.peers.get(name) else { return true };
        let node = self.fencing.nodes.get(name);
        let heard = node.is_some_and(|n| !matches!(n.state, State::Unheard));
        let told = heard && peer.told && (peer.ours || peer.set == Set::NONE);
        told && !peer.claims.values().any(Claim::holds)
    }

    /// Every group is with a living node other than this one, or on its way from one to another.
    fn all_are_held(&self, but: &NodeName) -> bool {
        self.groups.iter().all(|g| {
            let ours = g.claim();
            let theirs = self.peers.values().filter(|p| p.alive && p.name != *but);
            let mut claims = theirs.filter_map(|p| p.claims.get(g.key())).chain(ours.as_ref());
            claims.any(|c| match &c.state {
                ClaimState::Moving(to) => to != but,
                ClaimState::Starting | ClaimState::Running | ClaimState::Stopping | ClaimState::Blocked => true,
                ClaimState::Failed => false,
            })
        })
    }

    /// Something has no owner any more: a node that was left in peace may have it.
    fn wake_idle(&mut self) {
        let now = self.bench.now.mono;
        let idle = |n: &Node| matches!(n.state, State::Idle);
        let names = self.fencing.nodes.iter().filter(|(_, n)| idle(n));
        let names: Vec<NodeName> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            if !self.all_are_held(&name)
                && let Some(node) = self.fencing.nodes.get_mut(&name)
            {
                log::warn!("node {name}: must be fenced before a group without an owner is started");
                node.due(now);
            }
        }
    }

    /// An address that this dead node had answers. True when the node must be fenced before the address is taken over.
    pub(super) fn fence_for_answer(&mut self, name: &NodeName) -> bool {
        let now = self.bench.now.mono;
        let covered = self.fencing.covers(name) == Some(true);
        let Some(node) = self.fencing.nodes.get_mut(name).filter(|_| covered) else {
            return false;
        };
        match node.state {
            State::Due(_) => true,
            State::Idle | State::Unheard | State::Free(Free::Unneeded | Free::NoDevice) => {
                log::warn!("node {name}: must be fenced: an address that it had is answered for");
                node.due(now);
                true
            }
            State::Free(Free::Fenced) | State::Alive | State::Doubtful => false,
        }
    }

    /// Whom this node does not hear, for the others; nothing where nobody is fenced.
    pub(super) fn unheard(&self) -> Option<String> {
        if self.fencing.devices.is_empty() {
            return None;
        }
        let names: Vec<&str> = self
            .peers
            .values()
            .filter(|p| !p.alive)
            .map(|p| p.name.as_str())
            .collect();
        (!names.is_empty()).then(|| names.join(" "))
    }

    fn cannot_be_fenced(&mut self, name: &NodeName, configured: bool) {
        if let Some(node) = self.fencing.nodes.get_mut(name) {
            node.state = State::Free(Free::NoDevice);
        }
        if configured {
            log::error!("CRIT: node {name}: no STONITH device of this node can reset it.");
            self.say_stonith(name, "badhost");
        } else {
            log::warn!("No STONITH device configured.");
            self.say_stonith(name, "n_stnth");
        }
        log::warn!("Shared disks are not protected.");
    }

    fn say_stonith(&mut self, name: &NodeName, result: &str) {
        let message = Message::new("stonith")
            .with(fields::NODE, name.as_str())
            .with(fields::RESULT, result);
        self.orders.push(Order::Send(message));
    }

    /// What another node says that it has done to a third one.
    pub(super) fn stonith_message(&mut self, from: &NodeName, message: &Message) {
        let (Some(name), Some(result)) = (message.get(fields::NODE), message.get(fields::RESULT)) else {
            return;
        };
        log::info!("node {from}: says of fencing node {name}: {result}");
        if result != "OK" {
            return;
        }
        if name == self.me.as_str() {
            log::error!(
                "CRIT: node {from} says that it has reset this node, which is not true: see what its STONITH device does"
            );
            return;
        }
        let Some(name) = self.peers.keys().find(|n| n.as_str() == name).cloned() else {
            return;
        };
        let Some(node) = self.fencing.nodes.get_mut(&name) else {
            return;
        };
        match node.state {
            State::Due(_) | State::Unheard | State::Idle => self.fenced(&name, &format!("node {from}"), false),
            State::Alive | State::Doubtful => node.reset_by_other = true,
            State::Free(_) => {}
        }
    }

    /// A person says that a node is off. The reason when nobody had asked.
    pub(super) fn confirmed(&mut self, name: &str) -> Result<(), String> {
        let Some(name) = self
            .peers
            .keys()
            .find(|n| n.as_str().eq_ignore_ascii_case(name))
            .cloned()
        else {
            return Err(format!("node {name} is not a node of ha.cf, or is this one"));
        };
        if !matches!(self.fencing.nodes.get(&name).map(|n| &n.state), Some(State::Due(_))) {
            return Err(format!("node {name} does not wait to be fenced"));
        }
        self.fenced(&name, "a person (meatclient)", true);
        Ok(())
    }

    fn fenced(&mut self, name: &NodeName, by: &str, tell: bool) {
        if let Some(node) = self.fencing.nodes.get_mut(name) {
            node.state = State::Free(Free::Fenced);
            node.last = format!("done by {by}");
        }
        log::info!("node {name}: fenced by {by}");
        if tell {
            self.fencing.done += 1;
            self.say_stonith(name, "OK");
        }
        self.ask_what_was_passed_on();
        self.free(name);
    }

    /// A fenced node may have handed groups to a third one while neither was heard here: what those say from now on tells.
    fn ask_what_was_passed_on(&mut self) {
        if self.order.len() > 2 {
            self.ask_again(|p| p.active && p.ours);
        }
    }

    /// Whatever a dead node had may be taken over.
    fn free(&mut self, name: &NodeName) {
        if let Some(peer) = self.peers.get_mut(name) {
            peer.forget_claims();
            peer.set = Set::NONE;
        }
        self.acquiring_from(name);
        self.touch();
    }

    /// A node may have what nobody else has: nothing of that is started.
    pub(super) fn fencing_blocks(&self) -> bool {
        if self.peers.values().any(|p| p.alive && p.deaf) {
            return true;
        }
        self.fencing.nodes.iter().any(|(name, node)| match node.state {
            State::Due(_) => true,
            State::Unheard | State::Doubtful | State::Idle => self.fencing.covers(name) != Some(false),
            State::Alive | State::Free(_) => false,
        })
    }

    /// Devices are asked and checked, nodes that are due are reset.
    pub(super) fn go_on_with_fencing(&mut self) {
        self.ask_devices();
        let now = self.bench.now.mono;
        let patience = self.deadtime.max(Duration::from_secs(4));
        for (name, node) in &mut self.fencing.nodes {
            let Some(peer) = self.peers.get(name) else { continue };
            // A classic node in legacy mode never tells.
            let silent = peer.active && now - peer.silent_since >= patience;
            if matches!(node.state, State::Doubtful) && peer.alive && (peer.told || silent) {
                node.state = State::Alive;
            }
        }
        if self.phase != Phase::Serving {
            return;
        }
        self.wake_idle();
        let due: Vec<NodeName> = self
            .fencing
            .nodes
            .iter()
            .filter(|(_, n)| matches!(&n.state, State::Due(_)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            if self.fencing.covers(&name) == Some(false) {
                let configured = !self.fencing.devices.is_empty();
                self.cannot_be_fenced(&name, configured);
                self.free(&name);
                continue;
            }
            self.remind(&name);
            if self.fencing.nodes.get(&name).is_some_and(|n| n.pauses_until(now)) {
                self.try_from(&name, 0);
            }
        }
    }

    /// True when the job was one of a device.
    pub(super) fn fencing_ended(&mut self, job: JobId, outcome: &Outcome) -> bool {
        if let Some(i) = self
            .fencing
            .devices
            .iter()
            .position(|d| d.job.is_some_and(|(j, _)| j == job))
        {
            self.device_answered(i, outcome);
            return true;
        }
        let running = |n: &Node| match &n.state {
            State::Due(Due {
                step: Step::Running { job: j, device },
                ..
            }) if *j == job => Some(*device),
            _ => None,
        };
        let Some((name, device)) = self
            .fencing
            .nodes
            .iter()
            .find_map(|(name, n)| running(n).map(|device| (name.clone(), device)))
        else {
            return false;
        };
        let title = self
            .fencing
            .devices
            .get(device)
            .map_or_else(String::new, |d| d.spec.title());
        if outcome.exit == Exit::Code(0) {
            // For whoever looks for the line of heartbeat 3.0.6.
            log::info!("node {name} now reset.");
            self.fenced(&name, &title, true);
            return true;
        }
        let why = format!("{title}: {}", reason(outcome));
        self.fencing.failed += 1;
        self.say_stonith(&name, "bad");
        if let Some(node) = self.fencing.nodes.get_mut(&name) {
            node.failures = node.failures.saturating_add(1);
            if node.failures <= 2 {
                log::error!("STONITH of {name} failed.  Retrying... ({why})");
            }
            node.last = why;
        }
        self.try_from(&name, device + 1);
        true
    }

    pub(super) fn fencing_deadline(&self) -> Instant {
        let now = self.bench.now.mono;
        let mut at = Instant::NEVER;
        if !matches!(self.phase, Phase::Waiting | Phase::Serving) {
            return at;
        }
        for device in self.fencing.devices.iter().filter(|d| d.job.is_none()) {
            at = at.min(if device.hosts.is_some() {
                device.check_at
            } else {
                device.ask_at
            });
        }
        for node in self.fencing.nodes.values() {
            if let State::Due(due) = &node.state
                && self.phase == Phase::Serving
            {
                at = at.min(later(due.remind_at, now));
                if let Step::Pause(until) = due.step {
                    at = at.min(until);
                }
            }
        }
        at
    }

    pub fn fencing_counts(&self) -> (u64, u64) {
        self.fencing.counts()
    }

    /// For `cl_status`; `None` where there is no device.
    pub fn fencing_view(&self, name: &NodeName) -> Option<FencingView> {
        let node = self.fencing.nodes.get(name)?;
        if self.fencing.covers(name) == Some(false) {
            return None;
        }
        let fault = || {
            let mut faults = self.fencing.devices.iter().filter(|d| d.covers(name) != Some(false));
            faults.find_map(|d| Some(format!("{}: {}", d.spec.title(), d.fault.as_ref()?)))
        };
        let (state, last) = match &node.state {
            State::Unheard | State::Doubtful | State::Alive => ("ready", fault().unwrap_or_default()),
            State::Due(_) if node.failures > 0 => ("failed", node.last.clone()),
            State::Due(Due {
                step: Step::Running { .. },
                ..
            }) => ("running", String::new()),
            State::Due(_) => ("needed", fault().unwrap_or_default()),
            State::Free(Free::Fenced) => ("done", node.last.clone()),
            State::Idle | State::Free(Free::Unneeded | Free::NoDevice) => ("unneeded", String::new()),
        };
        let people = matches!(node.state, State::Due(_)) && self.fencing.asks_people(name);
        Some(FencingView {
            state,
            failures: node.failures,
            last,
            todo: people.then(|| format!("switch {name} off, then run: meatclient -c {name}")),
        })
    }
}

impl Node {
    fn due(&mut self, now: Instant) {
        self.failures = 0;
        self.last.clear();
        self.state = State::Due(Due {
            since: now,
            remind_at: now,
            step: Step::Pause(now),
        });
    }

    fn pauses_until(&self, now: Instant) -> bool {
        matches!(&self.state, State::Due(Due { step: Step::Pause(until), .. }) if *until <= now)
    }
}

/// Why it failed: how it ended, and the last line it wrote.
fn reason(outcome: &Outcome) -> String {
    let how = match &outcome.exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(n) => format!("ended by signal {n}"),
        Exit::TimedOut => format!("timed out after {} s", outcome.took.as_secs()),
        Exit::CannotRun(why) => why.clone(),
    };
    let said = outcome.output.lines().rev().map(str::trim).find(|l| !l.is_empty());
    let text = match said {
        Some(line) => format!("{how}: {line}"),
        None => how,
    };
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(LONGEST_REASON).collect()
}
