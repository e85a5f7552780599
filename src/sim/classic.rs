//! The resource manager of heartbeat 3.0.6 as its peer sees it: which of our groups it takes and lets go, when, and what
//! it says of them. The message layer is our own, which speaks the same; packets, scripts' messages and commands wait for
//! a look every half second, as there.
//!
//! Taken from what two real nodes of it said and did (`tests/data/sessions`), and one real node beside ours
//! (`tests/interop`). Where neither shows what it does a comment says what was assumed. Left out: scripts that fail (it
//! does not notice), `reload`, STONITH, three nodes (with which it cannot work).

use crate::conf::{AutoFailback, GroupSpec};
use crate::core::{Core, NodeStatus, Up};
use crate::daemon::{Action, Event, Settings};
use crate::groups::Set;
use crate::groups::job::{Command, Verb};
use crate::ids::{JobId, MediumId, NodeName, ResourceName};
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant, Now};
use std::collections::VecDeque;

/// It looks at what has come only when one of its timers fires.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
/// Two that start at once wait for each other so long.
const RQSTDELAY: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const MOVE_WITHIN: Duration = Duration::from_secs(3600);
/// From the return of a peer to the moment when it gives everything up.
pub const GIVES_UP_AFTER: Duration = Duration::from_secs(2);
/// From its `shutdone` to its end.
const LINGERS: Duration = Duration::from_secs(2);
const FAILBACK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Init,
    Starting,
    BothStarting,
    ResourceReceived,
    Stable,
    Shutdown,
}

/// The standby protocol; the set as the giver says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Going {
    Not,
    Me,
    Other,
    Given,
    Taking,
}

/// A process that runs scripts, one after the other, and then says something.
#[derive(Debug, Default)]
struct Child {
    steps: VecDeque<Step>,
    then: Vec<Message>,
    /// The script that runs.
    job: Option<(JobId, Step)>,
}

/// What is asked of which resource of which group. A `Status` is followed by the start of what does not run.
type Step = (Verb, usize, usize);

#[derive(Debug)]
pub struct Classic {
    core: Core,
    me: NodeName,
    mode: AutoFailback,
    groups: Vec<GroupSpec>,
    state: State,
    holds: Set,
    other_holds: Set,
    other_stable: bool,
    peer_alive: bool,
    /// The last status of the peer, and of this node.
    beats: [Option<Instant>; 2],
    peer_active: bool,
    going: Going,
    going_until: Instant,
    takeover: bool,
    need_failback: bool,
    failback_at: Instant,
    /// The 10 s timer, which is started once.
    waits: Option<Instant>,
    /// Forked at once.
    children: Vec<Child>,
    /// One at a time, while no child runs.
    queue: VecDeque<Child>,
    stopping: bool,
    restarts: bool,
    gives_up_at: Instant,
    ends_at: Instant,
    packets: Vec<(MediumId, Vec<u8>)>,
    /// From commands and scripts, by its FIFO.
    said: Vec<Message>,
    look_at: Instant,
    jobs: u64,
    out: Vec<Action>,
}

impl Classic {
    pub fn new(now: Now, settings: Settings) -> (Self, Vec<Action>) {
        let mut classic = Self {
            core: Core::new(now, &settings).without_knocking(),
            me: settings.me,
            mode: settings.cf.auto_failback,
            groups: settings.haresources.groups,
            state: State::Init,
            holds: Set::NONE,
            other_holds: Set::NONE,
            other_stable: false,
            peer_alive: false,
            beats: [None; 2],
            peer_active: false,
            going: Going::Not,
            going_until: Instant::NEVER,
            takeover: false,
            need_failback: false,
            failback_at: Instant::NEVER,
            waits: None,
            children: Vec::new(),
            queue: VecDeque::new(),
            stopping: false,
            restarts: false,
            gives_up_at: Instant::NEVER,
            ends_at: Instant::NEVER,
            packets: Vec::new(),
            said: Vec::new(),
            look_at: Instant::NEVER,
            jobs: 0,
            out: Vec::new(),
        };
        let actions = classic.settle(now);
        (classic, actions)
    }

    pub fn receive(&mut self, now: Now, medium: MediumId, bytes: &[u8]) -> Vec<Action> {
        self.packets.push((medium, bytes.to_vec()));
        self.look_soon(now);
        Vec::new()
    }

    fn look_soon(&mut self, now: Now) {
        let every = LOOKS_EVERY.as_millis() as u64;
        let next = Instant::from_millis((now.mono.as_millis() / every + 1) * every);
        self.look_at = self.look_at.min(next);
    }

    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        self.core.turn(now);
        match event {
            Event::Received { medium, bytes } => return self.receive(now, medium, &bytes),
            Event::Local { message } => {
                self.said.push(message);
                self.look_soon(now);
            }
            Event::MediumBroken { medium, why } => drop(self.core.medium_broken(medium, why)),
            Event::MediumMended { medium } => drop(self.core.medium_mended(medium)),
            Event::JobEnded { job, outcome } => self.job_ended(now, job, &outcome.output),
            Event::Stop => self.stopping = true,
            Event::Timer => self.timer(now),
            // Without programs, devices, leases and changes of its files.
            Event::Renewed { .. }
            | Event::Sighted { .. }
            | Event::Request { .. }
            | Event::ClientGone { .. }
            | Event::Load { .. }
            | Event::Reload { .. }
            | Event::Programs { .. }
            | Event::Scripts { .. }
            | Event::CaughtUp => {}
        }
        self.settle(now)
    }

    pub fn deadline(&self) -> Instant {
        let waits = match self.state {
            State::ResourceReceived => self.waits.unwrap_or(Instant::NEVER),
            _ => Instant::NEVER,
        };
        [
            self.core.deadline(),
            self.look_at,
            waits,
            self.going_until,
            self.failback_at,
            self.gives_up_at,
            self.ends_at,
        ]
        .into_iter()
        .min()
        .expect("there are some")
    }

    fn timer(&mut self, now: Now) {
        // A process that was stopped reads what waits before it looks at its clocks.
        if now.mono >= self.look_at {
            self.look_at = Instant::NEVER;
            for (medium, bytes) in std::mem::take(&mut self.packets) {
                self.core.receive(now, medium, &bytes);
            }
            for message in std::mem::take(&mut self.said) {
                self.say(now, message);
            }
        }
        self.core.timer(now);
        self.lift(now);
        if self.state == State::ResourceReceived && self.waits.is_some_and(|at| now.mono >= at) {
            self.state = State::Stable;
            self.acquire_own(now, false);
            self.tell(now, None);
        }
        if now.mono >= self.going_until {
            // "No reply to standby request. Standby request cancelled."
            (self.going, self.going_until) = (Going::Not, Instant::NEVER);
        }
        if now.mono >= self.failback_at {
            self.failback_at = Instant::NEVER;
            self.test_failback(now);
        }
        if now.mono >= self.gives_up_at {
            self.gives_up_at = Instant::NEVER;
            (self.stopping, self.restarts) = (true, true);
        }
        if now.mono >= self.ends_at {
            self.ends_at = Instant::NEVER;
            self.out.push(Action::Stopped);
        }
    }

    /// It hears its own words first: what it says because of them leaves before them, with a higher number.
    fn say(&mut self, now: Now, message: Message) {
        self.out.extend(self.core.take_actions());
        self.core.send(now, message);
        let sent = self.core.take_actions();
        self.lift(now);
        self.out.extend(sent);
    }

    fn lift(&mut self, now: Now) {
        while let Some(up) = self.core.next_up() {
            self.up(now, up);
        }
    }

    fn settle(&mut self, now: Now) -> Vec<Action> {
        loop {
            self.lift(now);
            if self.children.is_empty()
                && self.state != State::Shutdown
                && let Some(child) = self.queue.pop_front()
            {
                self.fork(now, child);
            } else if self.stopping && self.state != State::Shutdown && self.is_active() && self.is_stable() {
                self.give_everything_up(now);
            } else {
                break;
            }
        }
        self.lift(now);
        self.out.extend(self.core.take_actions());
        std::mem::take(&mut self.out)
    }

    fn up(&mut self, now: Now, up: Up) {
        match up {
            Up::Status { node, status } if node == self.me => {
                if status == NodeStatus::Active && self.state == State::Init {
                    self.serve(now);
                }
            }
            Up::Status { status, .. } => {
                self.peer_active = status == NodeStatus::Active;
                self.peer_alive = status != NodeStatus::Dead;
                if !self.peer_alive {
                    self.beats[0] = None;
                    self.peer_died(now);
                }
            }
            Up::Message { from, message, .. } => {
                if message.kind() == "status" {
                    self.look_back(now, from == self.me);
                }
                self.message(now, from == self.me, &message);
            }
            Up::Returned { .. } => self.restart_soon(now),
            Up::Restarted { .. } => self.beats[0] = None,
            Up::Woke { .. } | Up::Aside { .. } => {}
            Up::Joined { .. } | Up::Left { .. } | Up::Link { .. } => {}
        }
    }

    /// "Late heartbeat": it was stopped itself. The peer was dead then; and "No local heartbeat. Forcing restart.", where
    /// what is done is taken to be the same.
    fn look_back(&mut self, now: Now, mine: bool) {
        let last = self.beats[usize::from(mine)].replace(now.mono);
        if last.is_some_and(|last| now.mono - last > self.core.cf().deadtime) && (mine || self.peer_alive) {
            if !mine {
                self.peer_died(now);
            }
            self.restart_soon(now);
        }
    }

    fn restart_soon(&mut self, now: Now) {
        if !self.stopping {
            self.gives_up_at = self.gives_up_at.min(now.mono + GIVES_UP_AFTER);
        }
    }

    fn serve(&mut self, now: Now) {
        if self.mode == AutoFailback::Legacy {
            self.state = State::Stable;
            self.acquire_own(now, false);
        } else {
            self.state = State::Starting;
            self.say(now, Message::new("starting"));
        }
    }

    fn message(&mut self, now: Now, mine: bool, m: &Message) {
        let set = m.get(fields::RSC_HOLD).map_or(Some(Set::ALL), Set::parse);
        let nice = self.mode != AutoFailback::Legacy;
        let for_me = m.get(fields::DEST) == Some(self.me.as_str()) && m.get(fields::OK) == Some("OK");
        match (m.kind(), set) {
            ("starting", _) if nice && !mine => self.peer_starts(now),
            ("resource", Some(set)) if nice && self.state != State::Init => self.told(now, mine, set, m),
            ("shutdone", _) if mine => self.ends_at = now.mono + LINGERS,
            ("shutdone", _) => self.peer_left(now),
            ("ask_resources", Some(set)) if nice => self.standby(now, mine, set, m.get(fields::INFO)),
            // Its script runs hb_standby with what the asker calls so.
            ("hb_takeover", Some(set)) if nice && !mine => self.queue.push_back(Child {
                then: vec![ask(set.mirrored(), "me")],
                ..Child::default()
            }),
            ("ip-request", _) if !mine => {
                if let Some(g) = self.group(m.get(fields::IPADDR)) {
                    // It answers `yes` or `no`; ours takes both for "it does not have it any more".
                    let answer = Message::new("ip-request-resp")
                        .with(fields::DEST, m.get(fields::SRC).unwrap_or_default())
                        .with(fields::IPADDR, self.groups[g].key().as_str())
                        .with(fields::WEOWN, "yes")
                        .with(fields::OK, "OK");
                    let then = vec![answer];
                    let steps = self.gives(|i, _| i == g);
                    self.queue.push_back(Child { steps, then, job: None });
                }
            }
            ("ip-request-resp", _) if for_me => {
                if let Some(g) = self.group(m.get(fields::IPADDR)) {
                    let steps = self.takes(|i, _| i == g);
                    self.queue.push_back(Child {
                        steps,
                        ..Child::default()
                    });
                }
            }
            _ => {}
        }
    }

    fn peer_starts(&mut self, now: Now) {
        match self.state {
            State::Init | State::BothStarting => return,
            State::Starting => self.state = State::BothStarting,
            State::ResourceReceived | State::Stable | State::Shutdown => {}
        }
        self.other_stable = false;
        self.tell(now, None);
    }

    /// `resource`, of either node.
    fn told(&mut self, now: Now, mine: bool, set: Set, m: &Message) {
        if matches!(self.state, State::Starting | State::BothStarting) {
            self.state = State::ResourceReceived;
            self.waits.get_or_insert(now.mono + RQSTDELAY);
        }
        if mine {
            if m.get(fields::INFO) == Some("mach_down") {
                self.takeover = false;
                self.holds.foreign = true;
                self.need_failback = true;
                self.other_stable = true;
                self.test_failback(now);
            }
            return;
        }
        self.other_holds = match m.get(fields::RTYPE) {
            Some("full") => set,
            _ if set == Set::NONE => set,
            _ => Set {
                local: self.other_holds.local || set.local,
                foreign: self.other_holds.foreign || set.foreign,
            },
        };
        match m.get(fields::ISSTABLE) {
            Some("1") => {
                if !std::mem::replace(&mut self.other_stable, true) {
                    self.tell(now, None);
                    self.test_failback(now);
                }
                if !matches!(self.state, State::Stable | State::Shutdown) {
                    self.acquire_own(now, false);
                    self.state = State::Stable;
                    self.tell(now, None);
                    self.test_failback(now);
                }
            }
            Some(_) => self.other_stable = false,
            None => {}
        }
    }

    fn tell(&mut self, now: Now, info: Option<&str>) {
        if self.mode == AutoFailback::Legacy {
            return;
        }
        let stable = self.state == State::Stable && info.is_none();
        let mut message = full(self.holds, stable);
        if let Some(info) = info {
            message.set(fields::INFO, info);
        }
        self.say(now, message);
    }

    /// What prefers this node, unless the peer has it; `forced` when it cannot.
    fn acquire_own(&mut self, now: Now, forced: bool) {
        if self.stopping || !forced && (self.other_holds.foreign || self.holds.local) {
            return;
        }
        self.holds.local = true;
        let asks = self.mode == AutoFailback::Legacy && self.peer_alive && !forced;
        let own = self.groups.iter().filter(|g| g.node == self.me);
        let mut then: Vec<Message> = own
            .map(|g| match asks {
                true => Message::new("ip-request").with(fields::IPADDR, g.key().as_str()),
                // To itself: another child starts it, after this one has said that all is well.
                false => Message::new("ip-request-resp")
                    .with(fields::DEST, self.me.as_str())
                    .with(fields::IPADDR, g.key().as_str())
                    .with(fields::WEOWN, "yes")
                    .with(fields::OK, "OK"),
            })
            .collect();
        if self.mode != AutoFailback::Legacy {
            then.push(full(self.holds, true).with(fields::INFO, "req_our_resources()"));
        }
        self.fork(
            now,
            Child {
                then,
                ..Child::default()
            },
        );
    }

    fn peer_died(&mut self, now: Now) {
        (self.going, self.going_until) = (Going::Not, Instant::NEVER);
        if self.stopping {
            // Assumed: nobody else can make it stable again, and it is seen to stop.
            self.other_stable = true;
            return;
        }
        self.need_failback = true;
        let result = if self.other_holds == Set::NONE {
            "unneeded"
        } else {
            "n_stnth"
        };
        let peer = self.peer_name();
        let said = Message::new("stonith")
            .with(fields::NODE, peer.as_str())
            .with("result", result);
        self.say(now, said);
        let silent = self.mode == AutoFailback::Legacy;
        if silent || self.other_holds != Set::NONE || self.holds != Set::ALL {
            self.take_over(now);
        }
    }

    fn peer_name(&self) -> NodeName {
        let mut nodes = self.core.nodes().iter();
        nodes
            .find(|n| n.name != self.me)
            .map_or_else(|| self.me.clone(), |n| n.name.clone())
    }

    fn take_over(&mut self, now: Now) {
        self.holds.foreign = true;
        self.other_holds = Set::NONE;
        (self.other_stable, self.takeover) = (true, true);
        let then = match self.mode {
            AutoFailback::Legacy => Vec::new(),
            AutoFailback::On | AutoFailback::Off => vec![
                Message::new("resource")
                    .with(fields::RSC_HOLD, "foreign")
                    .with(fields::INFO, "mach_down"),
            ],
        };
        let steps = self.takes(|_, own| !own);
        self.queue.push_back(Child { steps, then, job: None });
        self.acquire_own(now, true);
    }

    fn peer_left(&mut self, now: Now) {
        self.other_holds = Set::NONE;
        self.other_stable = true;
        if self.stopping || self.state == State::Init {
            return;
        }
        if self.holds != Set::ALL && self.mode != AutoFailback::Legacy {
            // By a mistake of its own it takes what it has already, and says so.
            let has = self.holds;
            (self.going, self.going_until) = (Going::Taking, now.mono + MOVE_WITHIN);
            let steps = self.takes(|_, own| has.holds(own));
            let then = vec![ask(has.mirrored(), "done")];
            self.fork(now, Child { steps, then, job: None });
        }
        self.take_over(now);
    }

    fn standby(&mut self, now: Now, mine: bool, set: Set, info: Option<&str>) {
        match (info, mine, self.going) {
            // "ignored. Other side is in flux", or this one, or a move is on its way.
            (Some("me"), _, Going::Not) if !self.other_stable || self.state != State::Stable => {}
            (Some("me"), true, Going::Not) => {
                (self.going, self.going_until) = (Going::Me, now.mono + ANSWER_WITHIN);
                self.other_stable = false;
            }
            (Some("me"), false, Going::Not) => {
                (self.going, self.going_until) = (Going::Other, now.mono + MOVE_WITHIN);
                self.other_stable = false;
                self.say(now, ask(set, "other"));
            }
            (Some("other"), false, Going::Me) => {
                self.going_until = now.mono + MOVE_WITHIN;
                self.holds.local &= !set.local;
                self.holds.foreign &= !set.foreign;
                self.tell(now, Some("standby"));
                // Assumed: not beside a child that starts some of it, which would go on and leave it half up.
                let steps = self.gives(|_, own| set.holds(own));
                let then = vec![ask(set, "done")];
                self.queue.push_back(Child { steps, then, job: None });
            }
            (Some("done"), true, Going::Me) => self.going = Going::Given,
            (Some("done"), false, Going::Other) => {
                self.going = Going::Taking;
                let steps = self.takes(|_, own| set.mirrored().holds(own));
                let then = vec![ask(set, "done")];
                self.fork(now, Child { steps, then, job: None });
            }
            (Some("done"), true, Going::Taking) => {
                let more = set.mirrored();
                self.holds.local |= more.local;
                self.holds.foreign |= more.foreign;
                self.end_standby(now);
            }
            (Some("done"), false, Going::Given) => self.end_standby(now),
            _ => {}
        }
    }

    fn end_standby(&mut self, now: Now) {
        (self.going, self.going_until) = (Going::Not, Instant::NEVER);
        self.tell(now, None);
    }

    /// The holder gives back what prefers the other one, which never asks.
    fn test_failback(&mut self, now: Now) {
        if self.mode != AutoFailback::On || self.stopping || !self.holds.foreign || !self.need_failback {
            return;
        }
        // A dead one is not asked, and not in the first seconds after a partition either: later, when it is stable again.
        if !self.peer_active {
            return;
        }
        if self.going != Going::Not || !self.other_stable || self.state != State::Stable {
            self.failback_at = now.mono + FAILBACK_AGAIN;
            return;
        }
        self.need_failback = false;
        self.say(now, ask(Set::FOREIGN, "me"));
    }

    fn give_everything_up(&mut self, now: Now) {
        self.state = State::Shutdown;
        self.holds = Set::NONE;
        self.tell(now, Some("shutdown"));
        let steps = self.gives(|_, _| true);
        let then = vec![Message::new("shutdone").with("st", "dead")];
        self.fork(now, Child { steps, then, job: None });
    }

    fn group(&self, key: Option<&str>) -> Option<usize> {
        self.groups.iter().position(|g| Some(g.key().as_str()) == key)
    }

    /// Groups in the order of the file, by number and whether they prefer this node.
    fn takes(&self, which: impl Fn(usize, bool) -> bool) -> VecDeque<Step> {
        let groups = self.groups.iter().enumerate();
        groups
            .filter(|(i, g)| which(*i, g.node == self.me))
            .flat_map(|(i, g)| (0..g.resources.len()).map(move |r| (Verb::Status, i, r)))
            .collect()
    }

    fn gives(&self, which: impl Fn(usize, bool) -> bool) -> VecDeque<Step> {
        let groups = self.groups.iter().enumerate();
        groups
            .filter(|(i, g)| which(*i, g.node == self.me))
            .flat_map(|(i, g)| (0..g.resources.len()).rev().map(move |r| (Verb::Stop, i, r)))
            .collect()
    }

    fn fork(&mut self, now: Now, child: Child) {
        self.children.push(child);
        self.go_on(now, self.children.len() - 1);
    }

    fn go_on(&mut self, now: Now, child: usize) {
        let Some(step) = self.children[child].steps.pop_front() else {
            let ended = self.children.remove(child);
            if !ended.then.is_empty() {
                self.said.extend(ended.then);
                self.look_soon(now);
            }
            return;
        };
        let (verb, g, r) = step;
        self.jobs += 1;
        let job = JobId(self.jobs);
        self.children[child].job = Some((job, step));
        let command = Command {
            resource: self.groups[g].resources[r].clone(),
            verb,
            limit: self.core.cf().resource_timeout,
        };
        self.out.push(Action::Run { job, command });
    }

    fn job_ended(&mut self, now: Now, job: JobId, output: &str) {
        for i in 0..self.children.len() {
            let Some((_, (verb, g, r))) = self.children[i].job.take_if(|(j, _)| *j == job) else {
                continue;
            };
            if verb == Verb::Status && output != "running" {
                self.children[i].steps.push_front((Verb::Start, g, r));
            }
            self.go_on(now, i);
            break;
        }
    }

    pub fn is_active(&self) -> bool {
        self.core.status() == NodeStatus::Active
    }

    /// Its end is a restart, after a partition: it sleeps so long before.
    pub fn restarts_after(&self) -> Option<Duration> {
        self.restarts.then(|| self.core.cf().deadtime + Duration::from_secs(1))
    }

    pub fn is_stable(&self) -> bool {
        let idle = self.children.is_empty() && self.queue.is_empty();
        let calm = self.other_stable
            && !self.takeover
            && self.going == Going::Not
            && matches!(self.state, State::Stable | State::Shutdown | State::Init);
        idle && (calm || self.mode == AutoFailback::Legacy)
    }

    /// It waits for something that does not come: for an hour when its peer died in the middle of a move and was back before
    /// it was missed; for its peer to come when it was asked to take over while that was stopping; for the end of a takeover
    /// that was over before it noted its begin. What runs, runs.
    pub fn is_stuck(&self) -> bool {
        !self.is_stable() && self.children.is_empty() && (self.going != Going::Not || !self.peer_alive || self.takeover)
    }

    /// What `cl_status rscstatus` says of it.
    pub fn rscstatus(&self) -> &'static str {
        if self.is_stable() {
            self.holds.as_str()
        } else {
            "transition"
        }
    }

    /// Does it say that it has a group? In legacy mode it says nothing.
    pub fn claims(&self, key: &ResourceName) -> Option<bool> {
        let group = self.groups.iter().find(|g| g.key() == key);
        let says = self.mode != AutoFailback::Legacy;
        group.filter(|_| says).map(|g| self.holds.holds(g.node == self.me))
    }
}

fn full(holds: Set, stable: bool) -> Message {
    Message::new("resource")
        .with(fields::RSC_HOLD, holds.as_str())
        .with(fields::RTYPE, "full")
        .with(fields::ISSTABLE, if stable { "1" } else { "0" })
}

fn ask(set: Set, info: &str) -> Message {
    Message::new("ask_resources")
        .with(fields::RSC_HOLD, set.as_str())
        .with(fields::INFO, info)
}

impl std::fmt::Display for Classic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?}, {:?}, holds {}, the other {} stable {}, takeover {}, children {:?}, queue {:?}",
            self.state,
            self.going,
            self.holds.as_str(),
            self.other_holds.as_str(),
            self.other_stable,
            self.takeover,
            self.children,
            self.queue.len()
        )
    }
}
