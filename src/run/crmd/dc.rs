//! What the DC does besides keeping the CIB: a plan whenever something has changed, and its execution.

use crate::cib::{Cib, Element, words};
use crate::policy::history::{self, State, fail_count};
use crate::policy::input::Input;
use crate::policy::plan::{Plan, What, plan};
use crate::policy::rules::iso_time;
use crate::policy::{summary, unpack};
use crate::time::{Duration, Instant, Wall};
use crate::transition::{Command, Event, Settings, Transition};
use std::collections::BTreeMap;

/// As in the classic.
const BATCH_LIMIT: usize = 30;
const CLUSTER_DELAY: Duration = Duration::from_secs(60);
const STONITH_TIMEOUT: Duration = Duration::from_secs(60);
const RECHECK_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// A node that may go and does not is told again.
const RELEASED_AGAIN: Duration = Duration::from_secs(5);
/// The same plan so often in a row leads nowhere: from then on there are pauses between.
const SAME: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);
/// Plans that are further apart than this are not "in a row".
const IN_A_ROW: Duration = Duration::from_secs(30);

/// What a turn brought.
#[derive(Debug, Default)]
pub struct Turn {
    pub commands: Vec<Command>,
    /// The CIB that a new plan was made from is worth keeping.
    pub planned: bool,
}

/// The plans of one who is DC.
#[derive(Debug)]
pub struct Dc {
    /// Part of every key: tells this term from any other.
    run: String,
    number: u64,
    transition: Option<Transition>,
    /// When to plan; never, as long as nothing has changed.
    plan_at: Instant,
    recheck_at: Instant,
    /// Nodes that were told that they may go.
    released: BTreeMap<String, Instant>,
    last: Last,
}

#[derive(Debug, Default)]
struct Last {
    actions: String,
    times: u32,
    at: Instant,
}

impl Dc {
    pub fn new(now: Instant, run: String) -> Self {
        Self {
            run,
            number: 0,
            transition: None,
            plan_at: now,
            recheck_at: Instant::NEVER,
            released: BTreeMap::new(),
            last: Last::default(),
        }
    }

    /// Nothing is going on, and nothing is due.
    pub fn is_idle(&self) -> bool {
        self.transition.is_none() && self.plan_at == Instant::NEVER
    }

    pub fn state(&self) -> &'static str {
        match (&self.transition, self.plan_at) {
            (Some(_), _) => "S_TRANSITION_ENGINE",
            (None, Instant::NEVER) => "S_IDLE",
            (None, _) => "S_POLICY_ENGINE",
        }
    }

    pub fn deadline(&self) -> Instant {
        match &self.transition {
            Some(transition) => transition.deadline(),
            None => self.plan_at.min(self.recheck_at),
        }
    }

    /// Something is not as it was when the plan was made.
    pub fn changed(&mut self, now: Instant, why: &str) -> Vec<Command> {
        self.plan_at = self.plan_at.min(now);
        self.event(now, Event::Abort(why.to_owned()))
    }

    /// The administrator has changed something: what was tried before says nothing any more.
    pub fn configured(&mut self, now: Instant) -> Vec<Command> {
        self.last = Last::default();
        self.changed(now, "the configuration has changed")
    }

    pub fn node_lost(&mut self, now: Instant, node: &str) -> Vec<Command> {
        self.released.remove(node);
        self.plan_at = self.plan_at.min(now);
        self.event(now, Event::NodeLost(node.to_owned()))
    }

    /// A line came into a history.
    pub fn line(&mut self, now: Instant, node: &str, line: &Element) -> Vec<Command> {
        if self.transition.is_none() {
            self.plan_at = self.plan_at.min(now);
        }
        let (node, line) = (node.to_owned(), line.clone());
        self.event(now, Event::Line { node, line })
    }

    /// Something went from the status. A transition does that itself; what else it may mean is looked at after it.
    pub fn gone(&mut self, now: Instant) -> Vec<Command> {
        if self.transition.is_none() {
            self.plan_at = self.plan_at.min(now);
        }
        Vec::new()
    }

    /// `number` is that of the transition which asked.
    pub fn answered(&mut self, now: Instant, number: u64, id: usize, good: bool) -> Vec<Command> {
        match &self.transition {
            Some(t) if t.number() == number => self.event(now, Event::Answered { id, good }),
            Some(_) | None => Vec::new(),
        }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    fn event(&mut self, now: Instant, event: Event) -> Vec<Command> {
        let Some(transition) = &mut self.transition else {
            return Vec::new();
        };
        let commands = transition.handle(now, event);
        self.look(now, &commands);
        commands
    }

    /// Keeps in mind what goes out. After every transition comes a look whether all is as it should be.
    fn look(&mut self, now: Instant, commands: &[Command]) {
        for command in commands {
            match command {
                Command::Over(why) => {
                    match why {
                        Some(why) => log::info!("transition {}: not finished: {why}", self.number),
                        None => log::info!("transition {}: done", self.number),
                    }
                    self.transition = None;
                    self.plan_at = self.plan_at.min(now);
                }
                Command::Release { node } => drop(self.released.insert(node.clone(), now + RELEASED_AGAIN)),
                _ => {}
            }
        }
    }

    /// What is due: the time limits of a transition, or a plan.
    pub fn turn(&mut self, now: Instant, wall: Wall, cib: &Cib) -> Turn {
        let mut turn = Turn::default();
        if self.transition.as_ref().is_some_and(|t| now >= t.deadline()) {
            turn.commands = self.event(now, Event::Timer);
        }
        if self.transition.is_some() || now < self.plan_at.min(self.recheck_at) {
            return turn;
        }
        let mut input = unpack::unpack(cib, wall);
        let state = history::read(cib, &mut input);
        let plan = plan(&input, &state);
        self.released.retain(|_, until| *until > now);
        self.plan_at = Instant::NEVER;
        self.recheck_at = next_look(now, cib, &input);
        if plan.actions.iter().all(|a| self.is_under_way(&input, &a.what)) {
            self.last = Last::default();
            return turn;
        }
        if let Some(pause) = self.pause(now, &input, &plan) {
            self.plan_at = pause;
            return turn;
        }
        turn.planned = true;
        turn.commands.extend(self.begin(now, cib, &input, &state, &plan));
        turn
    }

    fn begin(&mut self, now: Instant, cib: &Cib, input: &Input, state: &State, plan: &Plan) -> Vec<Command> {
        self.number += 1;
        let text = summary::transition(input, state, plan);
        log::info!("transition {}: {} action(s)", self.number, plan.actions.len());
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()).take(MOST_LINES) {
            log::info!("transition {}: {}", self.number, line.trim_start_matches("* "));
        }
        for complaint in &plan.complaints {
            log::warn!("policy: cannot be followed: {complaint}");
        }
        let time = |name: &str, otherwise| cib.property(name).and_then(words::interval).unwrap_or(otherwise);
        let settings = Settings {
            batch_limit: cib
                .property("batch-limit")
                .and_then(|v| v.trim().parse().ok())
                .unwrap_or(BATCH_LIMIT),
            margin: time("cluster-delay", CLUSTER_DELAY),
            fence_timeout: time("stonith-timeout", STONITH_TIMEOUT),
        };
        let mut transition = Transition::new(self.number, &self.run, settings, input, state, plan);
        let commands = transition.begin(now);
        self.transition = Some(transition);
        self.look(now, &commands);
        commands
    }

    fn is_under_way(&self, input: &Input, what: &What) -> bool {
        match what {
            What::Shutdown(node) => self.released.contains_key(&input.nodes[*node].uname),
            What::Mark(_) => true,
            _ => false,
        }
    }

    /// Until when a plan has to wait that was carried out again and again and changed nothing.
    fn pause(&mut self, now: Instant, input: &Input, plan: &Plan) -> Option<Instant> {
        let actions = summary::actions(input, plan);
        let again = actions == self.last.actions && now - self.last.at < IN_A_ROW;
        if !again {
            self.last = Last {
                actions,
                times: 0,
                at: now,
            };
            return None;
        }
        if self.last.times >= SAME {
            let pause = (PAUSE * (1 << (self.last.times - SAME).min(8))).min(LONGEST_PAUSE);
            let until = self.last.at + pause;
            if now < until {
                return Some(until);
            }
        }
        self.last.times += 1;
        self.last.at = now;
        None
    }
}

/// Lines of the summary that go into the log.
const MOST_LINES: usize = 50;

/// When the passing of time alone may change something: a failure grows too old, a date of a rule comes; in any case
/// after the interval.
fn next_look(now: Instant, cib: &Cib, input: &Input) -> Instant {
    let interval = cib.property("cluster-recheck-interval").and_then(words::interval);
    let interval = interval.filter(|i| !i.is_zero()).unwrap_or(RECHECK_INTERVAL);
    let wall = input.settings.now;
    let mut dates: Vec<u64> = Vec::new();
    for rsc in input.resources.iter().filter(|r| !r.failure_timeout.is_zero()) {
        for n in 0..input.nodes.len() {
            let last = fail_count(input, &rsc.plain, n).1;
            if last.0 > 0 {
                dates.push(last.0.saturating_add(rsc.failure_timeout.as_secs()).saturating_add(1));
            }
        }
    }
    for rule in cib.configuration().walk().filter(|e| e.name == "date_expression") {
        let ends = [rule.get("start"), rule.get("end")].into_iter().flatten();
        dates.extend(ends.filter_map(iso_time).map(|w| w.0.saturating_add(1)));
    }
    let next = dates.into_iter().filter(|d| *d > wall.0).min();
    let next = next.map_or(interval, |d| Duration::from_secs(d - wall.0).min(interval));
    now + next
}
