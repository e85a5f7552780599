//! One group and its scripts: acquired left to right, released right to left, one script at a time.

mod addresses;

use super::job::{Command, Exit, Outcome, Verb};
use super::peer::{Claim, ClaimState};
use crate::conf::GroupSpec;
use crate::ids::{JobId, NodeName, ResourceName};
use crate::time::{Duration, Instant, Now, Wall};

/// A stop that fails is tried so often, as `HA_STOPRETRYMAX` of heartbeat 3.0.6.
const MAX_STOPS: u32 = 10;
/// Pause between two tries of a stop, as in heartbeat 3.0.6.
const STOP_AGAIN: Duration = Duration::from_secs(1);
/// `status` that has not answered after this time counts as no answer.
const STATUS_LIMIT: Duration = Duration::from_secs(20);
/// Scripts that hold an address: their `start` on a running one announces it again.
pub(super) const ADDRESS_SCRIPTS: [&str; 3] = ["IPaddr", "IPaddr2", "IPv6addr"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// `status` before `start`: what runs already is not started again.
    Check,
    Start,
    Stop,
    /// `status` after the last failed `stop`: is it really still there?
    CheckStopped,
    /// `start` of a running address, so that its neighbours hear of it again.
    Announce,
    /// `start` of an address that went away by itself.
    SetAgain,
}

impl Step {
    /// Its script may bring something up that was not.
    fn starts(self) -> bool {
        match self {
            Self::Start | Self::Announce | Self::SetAgain => true,
            Self::Check | Self::Stop | Self::CheckStopped => false,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Busy {
    step: Step,
    /// Index of the resource.
    at: usize,
    /// `None` while waiting for `retry`, or until something may be started again.
    job: Option<JobId>,
    retry: Instant,
    tries: u32,
    /// Release as soon as the running script has ended.
    unwanted: bool,
    /// Why, when it is being released because it does not work here.
    failure: Option<String>,
    /// Restarting in place from this resource on; those before it run on.
    restart: Option<usize>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Stopped,
    Busy(Busy),
    Running,
    Blocked,
}

/// What has become of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Done {
    Acquired,
    /// It was not startable here and is released again.
    Failed {
        why: String,
    },
    Released,
    /// A part of it was restarted in place.
    Restarted,
    /// That did not work, and it stays as it is since no other node can have it.
    Limping {
        why: String,
    },
    /// An address that had gone is there again.
    Restored,
    /// A stop script fails and the resource is still there.
    Blocked {
        why: String,
    },
}

/// The master's ear: jobs are ordered here.
#[derive(Debug)]
pub struct Bench {
    pub now: Now,
    pub limit: Duration,
    pub next_job: u64,
    /// After a long sleep: nothing is started before it is known what others have.
    pub no_starts: bool,
    pub orders: Vec<(JobId, Command)>,
}

impl Bench {
    fn order(&mut self, command: Command) -> JobId {
        self.next_job += 1;
        let job = JobId(self.next_job);
        self.orders.push((job, command));
        job
    }
}

#[derive(Debug)]
pub struct Group {
    pub spec: GroupSpec,
    state: State,
    /// In this state since.
    pub since: Instant,
    /// When the present claim was made, for `keeper`.
    stamp: u64,
    /// Released for this node, until it claims the group or the moment has come.
    pub moving: Option<(NodeName, Instant)>,
    pub failures: u32,
    /// It does not work here, since.
    pub failed_at: Option<Instant>,
    /// That is forgotten after this time.
    pub forget_after: Option<Duration>,
    /// When it was repaired in place, the oldest first.
    pub repairs: Vec<Instant>,
    /// It does not work here, for this reason, and is handed over to a classic node: failed here once that is done.
    pub condemned: Option<String>,
    /// Why the last repair that was asked for was not done.
    pub unrepaired: Option<String>,
    /// Why it did not work here, and when.
    pub failure: Option<(Wall, String)>,
    /// The last thing that happened to it here, and why.
    pub last: String,
    /// The other node that had it last, until this one has it.
    pub had_by: Option<NodeName>,
    /// Another node claims it too.
    pub contested: bool,
    /// A living peer claimed it at the last look.
    pub claimed: bool,
    /// When such a claim was dropped: somebody else may have it.
    pub passed_on: Option<Instant>,
    /// Legacy mode: the holder was asked for it; until then we wait for the answer.
    pub asking: Option<Instant>,
    /// Legacy mode: this node is told when it is released.
    pub asked_by: Option<NodeName>,
    /// haresources has this for it since a reload; holds from the next start on.
    pub next_spec: Option<GroupSpec>,
    /// haresources no longer has it; it goes when it is stopped.
    pub removed: bool,
    /// It ran here before heartbeat was started again: any of its resources may be up, until it was acquired or stopped.
    adopting: bool,
    /// Nobody renews its addresses: until then it is given up in words only, and after that offered to the others.
    lost: Option<Instant>,
    /// That moment has come.
    offered: bool,
}

impl Group {
    pub fn new(spec: GroupSpec, now: Instant) -> Self {
        Self {
            spec,
            state: State::Stopped,
            since: now,
            stamp: 0,
            moving: None,
            failures: 0,
            failed_at: None,
            forget_after: None,
            repairs: Vec::new(),
            condemned: None,
            unrepaired: None,
            failure: None,
            last: String::new(),
            had_by: None,
            contested: false,
            claimed: false,
            passed_on: None,
            asking: None,
            asked_by: None,
            next_spec: None,
            removed: false,
            adopting: false,
            lost: None,
            offered: false,
        }
    }

    pub fn key(&self) -> &ResourceName {
        self.spec.key()
    }

    /// Starts what does not run yet. Only from `stopped`.
    pub fn acquire(&mut self, bench: &mut Bench, why: &str) {
        if self.state != State::Stopped {
            return;
        }
        log::info!("group {}: acquiring it ({why})", self.key());
        self.last = format!("acquired: {why}");
        self.moving = None;
        self.stamp = bench.now.wall.0;
        self.begin(bench, 0);
    }

    /// Takes up what ran here before heartbeat was started again.
    pub fn adopt(&mut self, bench: &mut Bench) {
        self.adopting = true;
        self.acquire(bench, "it ran here before heartbeat was started again");
    }

    /// The last resource that may be up, when the scripts got as far as `at`.
    fn last_begun(&self, at: usize) -> usize {
        if self.adopting {
            self.spec.resources.len() - 1
        } else {
            at
        }
    }

    /// Stops everything; a script that runs now is awaited first.
    pub fn release(&mut self, bench: &mut Bench, why: &str) {
        match &mut self.state {
            State::Stopped => return,
            State::Busy(busy) => match busy.step {
                // Not only from that resource on, now.
                Step::Stop | Step::CheckStopped if busy.restart.is_some() => busy.restart = None,
                Step::Stop | Step::CheckStopped => return,
                Step::Check | Step::Start | Step::Announce | Step::SetAgain => {
                    if busy.unwanted {
                        return;
                    }
                    busy.unwanted = true;
                    self.go_on(bench);
                }
            },
            State::Running | State::Blocked => {
                let last = self.spec.resources.len() - 1;
                self.go(bench, Step::Stop, last, None);
            }
        }
        log::info!("group {}: releasing it ({why})", self.key());
        self.last = format!("released: {why}");
    }

    /// Announces its addresses anew; nothing when it is not simply running or has none.
    pub fn announce(&mut self, bench: &mut Bench) {
        if self.state == State::Running
            && let Some(at) = self.address_after(0)
        {
            self.go(bench, Step::Announce, at, None);
        }
    }

    /// Looks whether a resource runs, and starts it if not. The script of an address is started without that look: its
    /// `start` on a running one does no harm, and the time of a script more is time without the address.
    fn begin(&mut self, bench: &mut Bench, at: usize) {
        let is_address = ADDRESS_SCRIPTS.contains(&self.spec.resources[at].script.as_str());
        let step = if is_address && !self.adopting {
            Step::Start
        } else {
            Step::Check
        };
        self.go(bench, step, at, None);
    }

    fn address_after(&self, from: usize) -> Option<usize> {
        (from..self.spec.resources.len()).find(|i| ADDRESS_SCRIPTS.contains(&self.spec.resources[*i].script.as_str()))
    }

    fn go(&mut self, bench: &mut Bench, step: Step, at: usize, failure: Option<String>) {
        // What another node claims too is not started before one has let go, only looked at.
        let held = step.starts() && (bench.no_starts || (self.adopting && self.contested));
        let job = (!held).then(|| self.order(bench, step, at));
        self.state = State::Busy(Busy {
            step,
            at,
            job,
            retry: Instant::NEVER,
            tries: 0,
            unwanted: false,
            failure,
            restart: None,
        });
        self.since = bench.now.mono;
    }

    /// Stops and starts the resources from `from` on, while those before it run on. Only of a running group.
    pub fn restart(&mut self, bench: &mut Bench, from: usize, why: &str) {
        if self.state != State::Running {
            return;
        }
        log::warn!(
            "group {}: restarting {} in place ({why})",
            self.key(),
            self.spec.resources[from].name
        );
        self.last = format!("restarted in place: {why}");
        let last = self.spec.resources.len() - 1;
        self.go_restarting(bench, Step::Stop, last, Some(from));
    }

    fn go_restarting(&mut self, bench: &mut Bench, step: Step, at: usize, from: Option<usize>) {
        self.go(bench, step, at, None);
        if let State::Busy(busy) = &mut self.state {
            busy.restart = from;
        }
    }

    /// Stops all of a running group, which does not work here: another node is to have it.
    pub fn give_up(&mut self, bench: &mut Bench, why: String) {
        if self.state != State::Running {
            return;
        }
        log::error!("CRIT: group {}: Giving up resources due to failure: {why}", self.key());
        self.last = format!("giving up: {why}");
        let last = self.spec.resources.len() - 1;
        self.go(bench, Step::Stop, last, Some(why));
    }

    /// Begins what was held back while nothing might be started; a group that is not wanted here any more is stopped.
    pub fn go_on(&mut self, bench: &mut Bench) {
        let State::Busy(busy) = &self.state else { return };
        if busy.job.is_some() || !busy.step.starts() {
            return;
        }
        let (step, at, failure, restart) = (busy.step, busy.at, busy.failure.clone(), busy.restart);
        if busy.unwanted {
            return self.go(bench, Step::Stop, self.last_up(step, at), failure);
        }
        self.go(bench, step, at, failure);
        if let State::Busy(busy) = &mut self.state {
            busy.restart = restart;
        }
    }

    /// Where a stop begins that comes instead of this step's end.
    fn last_up(&self, step: Step, at: usize) -> usize {
        match step {
            Step::Announce | Step::SetAgain => self.spec.resources.len() - 1,
            Step::Check | Step::Start | Step::Stop | Step::CheckStopped => self.last_begun(at),
        }
    }

    fn order(&self, bench: &mut Bench, step: Step, at: usize) -> JobId {
        let (verb, limit) = match step {
            Step::Check | Step::CheckStopped => (Verb::Status, STATUS_LIMIT.min(bench.limit)),
            Step::Start | Step::Announce | Step::SetAgain => (Verb::Start, bench.limit),
            Step::Stop => (Verb::Stop, bench.limit),
        };
        bench.order(Command {
            resource: self.spec.resources[at].clone(),
            verb,
            limit,
        })
    }

    fn settle(&mut self, now: Instant, state: State) {
        if matches!(state, State::Stopped | State::Blocked) {
            self.lost = None;
            self.offered = false;
        }
        self.state = state;
        self.since = now;
    }

    /// When `timer` is due.
    pub fn deadline(&self) -> Instant {
        let offer = self.lost.filter(|_| !self.offered).unwrap_or(Instant::NEVER);
        match &self.state {
            State::Busy(busy) => busy.retry.min(offer),
            State::Stopped | State::Running | State::Blocked => offer,
        }
    }

    /// Repeats a stop whose pause is over.
    pub fn timer(&mut self, bench: &mut Bench) {
        if self.lost.is_some_and(|until| until <= bench.now.mono) && !self.offered {
            log::error!(
                "group {}: the kernel has dropped its addresses; another node may have it",
                self.key()
            );
            self.offered = true;
        }
        let State::Busy(busy) = &self.state else { return };
        if busy.retry > bench.now.mono {
            return;
        }
        let job = self.order(bench, busy.step, busy.at);
        if let State::Busy(busy) = &mut self.state {
            busy.job = Some(job);
            busy.retry = Instant::NEVER;
        }
    }

    pub fn waits_for(&self, job: JobId) -> bool {
        matches!(&self.state, State::Busy(busy) if busy.job == Some(job))
    }

    /// A script of this group has ended: the next step. `patient`: a stop that fails is repeated without end. `alone`: no
    /// other node could have the group.
    pub fn job_ended(&mut self, bench: &mut Bench, outcome: &Outcome, patient: bool, alone: bool) -> Option<Done> {
        let State::Busy(busy) = self.state.clone() else {
            return None;
        };
        let now = bench.now.mono;
        let resource = self.spec.resources[busy.at].name.clone();
        let ok = outcome.exit == Exit::Code(0);
        match busy.step {
            Step::Check | Step::Start | Step::Announce | Step::SetAgain if busy.unwanted => {
                let from = self.last_up(busy.step, busy.at);
                self.go(bench, Step::Stop, from, busy.failure);
                None
            }
            Step::Check => {
                if let Exit::CannotRun(why) = &outcome.exit {
                    return self.give_back(bench, busy.at, format!("{resource}: {why}"));
                }
                if says_running(&outcome.output) {
                    self.next_resource(bench, &busy)
                } else {
                    self.go(bench, Step::Start, busy.at, None);
                    None
                }
            }
            Step::Start if ok => self.next_resource(bench, &busy),
            Step::Start if busy.restart.is_some() && alone => {
                let why = format!("start of {resource} {}", how(outcome));
                log::error!(
                    "CRIT: group {}: {why}; no other node can have the group, what runs of it stays up",
                    self.key()
                );
                self.last = format!("restart in place failed: {why}");
                self.settle(now, State::Running);
                Some(Done::Limping { why })
            }
            Step::Start => self.give_back(bench, busy.at, format!("start of {resource} {}", how(outcome))),
            Step::Announce => {
                match self.address_after(busy.at + 1) {
                    Some(at) => self.go(bench, Step::Announce, at, None),
                    None => self.settle(now, State::Running),
                }
                None
            }
            Step::SetAgain if ok => {
                self.settle(now, State::Running);
                Some(Done::Restored)
            }
            Step::SetAgain => {
                let why = format!("start of {resource}, which had gone, {}", how(outcome));
                self.give_back(bench, self.spec.resources.len() - 1, why)
            }
            Step::Stop => {
                if ok {
                    return self.previous_resource(bench, &busy);
                }
                if let Exit::CannotRun(why) = &outcome.exit {
                    log::error!("group {}: {resource} cannot be stopped: {why}; going on", self.key());
                    return self.previous_resource(bench, &busy);
                }
                let tries = busy.tries + 1;
                log::warn!(
                    "group {}: stop of {resource} {} (try {tries})",
                    self.key(),
                    how(outcome)
                );
                let next = if tries >= MAX_STOPS && !patient {
                    let job = self.order(bench, Step::CheckStopped, busy.at);
                    Busy {
                        step: Step::CheckStopped,
                        job: Some(job),
                        tries,
                        ..busy
                    }
                } else {
                    Busy {
                        job: None,
                        retry: now + STOP_AGAIN,
                        tries,
                        ..busy
                    }
                };
                self.state = State::Busy(next);
                None
            }
            Step::CheckStopped => {
                if !says_running(&outcome.output) {
                    log::error!(
                        "group {}: {resource} fails to stop but says it is not running: its script is not \
                         LSB-compliant; going on",
                        self.key()
                    );
                    return self.previous_resource(bench, &busy);
                }
                let why = format!("{resource} cannot be stopped ({MAX_STOPS} tries) and still runs");
                log::error!(
                    "CRIT: group {}: {why}; it stays claimed by this node so that no other one starts it. Stop it by \
                     hand, then run hb_standby",
                    self.key()
                );
                self.last = format!("blocked: {why}");
                self.settle(now, State::Blocked);
                Some(Done::Blocked { why })
            }
        }
    }

    fn next_resource(&mut self, bench: &mut Bench, busy: &Busy) -> Option<Done> {
        let next = busy.at + 1;
        if next < self.spec.resources.len() {
            match busy.restart {
                // It was just stopped.
                Some(_) => self.go_restarting(bench, Step::Start, next, busy.restart),
                None => self.begin(bench, next),
            }
            return None;
        }
        if busy.restart.is_some() {
            log::info!("group {}: restarted in place", self.key());
            self.settle(bench.now.mono, State::Running);
            return Some(Done::Restarted);
        }
        log::info!("group {}: acquired", self.key());
        self.failures = 0;
        self.adopting = false;
        self.settle(bench.now.mono, State::Running);
        Some(Done::Acquired)
    }

    fn previous_resource(&mut self, bench: &mut Bench, busy: &Busy) -> Option<Done> {
        if busy.restart == Some(busy.at) {
            self.go_restarting(bench, Step::Start, busy.at, busy.restart);
            return None;
        }
        if busy.at > 0 {
            self.go(bench, Step::Stop, busy.at - 1, busy.failure.clone());
            if let State::Busy(next) = &mut self.state {
                next.restart = busy.restart;
            }
            return None;
        }
        log::info!("group {}: released", self.key());
        self.adopting = false;
        self.settle(bench.now.mono, State::Stopped);
        match busy.failure.clone() {
            Some(why) => {
                self.failures += 1;
                self.failed_at = Some(bench.now.mono);
                // The others are to know since when, too.
                self.stamp = bench.now.wall.0;
                self.failure = Some((bench.now.wall, why.clone()));
                self.last = format!("failed: {why}");
                Some(Done::Failed { why })
            }
            None => {
                if let Some(why) = self.condemned.take() {
                    self.failed_at = Some(bench.now.mono);
                    self.failure = Some((bench.now.wall, why));
                }
                Some(Done::Released)
            }
        }
    }

    /// A start failed: what was begun is stopped again.
    fn give_back(&mut self, bench: &mut Bench, at: usize, why: String) -> Option<Done> {
        log::error!("CRIT: group {}: Giving up resources due to failure: {why}", self.key());
        self.last = format!("giving up: {why}");
        self.go(bench, Step::Stop, self.last_begun(at), Some(why));
        None
    }

    /// What we tell the others about it.
    pub fn claim(&self) -> Option<Claim> {
        let state = match &self.state {
            State::Busy(_) if self.offered => ClaimState::Failed,
            State::Busy(busy) => match busy.step {
                Step::Check | Step::Start if busy.unwanted => ClaimState::Stopping,
                Step::Check | Step::Start => ClaimState::Starting,
                Step::Announce | Step::SetAgain if busy.unwanted => ClaimState::Stopping,
                Step::Announce | Step::SetAgain => ClaimState::Running,
                // It is not on its way to anybody.
                Step::Stop | Step::CheckStopped if busy.restart.is_some() => ClaimState::Starting,
                Step::Stop | Step::CheckStopped => ClaimState::Stopping,
            },
            State::Running => ClaimState::Running,
            State::Blocked => ClaimState::Blocked,
            State::Stopped => match (&self.moving, self.failed_at) {
                (Some((to, _)), _) => ClaimState::Moving(to.clone()),
                (None, Some(_)) => ClaimState::Failed,
                (None, None) => return None,
            },
        };
        Some(Claim {
            state,
            stamp: self.stamp,
        })
    }

    pub fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    pub fn is_running(&self) -> bool {
        self.claim().is_some_and(|c| c.state == ClaimState::Running)
    }

    /// It runs, and no script of it does.
    pub fn is_idle(&self) -> bool {
        self.state == State::Running
    }

    /// Scripts of it run, or are about to.
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Busy(_))
    }

    /// It is, or will be, up here: starting or running and not on its way out.
    pub fn is_wanted_here(&self) -> bool {
        self.wanted_claim().is_some()
    }

    /// Its claim, when it is wanted here.
    pub fn wanted_claim(&self) -> Option<Claim> {
        self.claim()
            .filter(|c| matches!(c.state, ClaimState::Starting | ClaimState::Running))
    }

    pub fn forget_failures(&mut self) {
        self.failures = 0;
        self.failed_at = None;
        self.forget_after = None;
        self.repairs.clear();
        self.condemned = None;
        self.unrepaired = None;
    }

    /// When it is to be tried here again, by itself.
    pub fn forgotten_at(&self) -> Instant {
        match (self.failed_at, self.forget_after) {
            (Some(at), Some(after)) => at + after,
            (None, _) | (_, None) => Instant::NEVER,
        }
    }

    /// The word for `cl_status`.
    pub fn word(&self) -> &'static str {
        match self.claim().map(|c| c.state) {
            None | Some(ClaimState::Moving(_)) => "stopped",
            Some(ClaimState::Starting) => "starting",
            Some(ClaimState::Running) => "running",
            Some(ClaimState::Stopping) => "stopping",
            Some(ClaimState::Blocked) => "blocked",
            Some(ClaimState::Failed) => "failed",
        }
    }
}

/// What heartbeat 3.0.6 takes for "running": the text, not the exit code.
pub fn says_running(output: &str) -> bool {
    let lower = output.to_ascii_lowercase();
    (lower.contains("running") && !lower.contains("not running")) || output.contains("OK")
}

fn how(outcome: &Outcome) -> String {
    match &outcome.exit {
        Exit::Code(code) => format!("failed with exit code {code} after {} ms", outcome.took.as_millis()),
        Exit::Signal(signal) => format!("was killed by signal {signal}"),
        Exit::TimedOut => format!("took longer than {} s and was killed", outcome.took.as_secs()),
        Exit::CannotRun(why) => format!("could not be run: {why}"),
    }
}

#[cfg(test)]
mod tests;
