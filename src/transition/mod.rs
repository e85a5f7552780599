//! Carries out a plan: what may be done now goes out, what comes back lets the next ones go.
//!
//! * [`operation`]: what a node is told to run
//! * `notify`: what instances of clones are told of each other
//! * [`history`]: what an end of an operation changes in the status
//!
//! An action is confirmed by the status: its line in the history carries the key that it was sent out with. So whoever
//! wrote the line, and whichever way it came, the status and the transition agree. As soon as something happens that the
//! plan did not foresee, nothing new goes out; when what is on its way is over, the transition is, and a new plan is due.

pub mod history;
mod notify;
pub mod operation;
#[cfg(test)]
mod tests;

pub use operation::Operation;

use crate::cib::{Edit, Element};
use crate::policy::history::{Entry, State};
use crate::policy::input::Input;
use crate::policy::plan::{Plan, Task, What};
use crate::time::{Duration, Instant};
use notify::Told;
use operation::{expected, name_of};

/// What an action is called by whoever reports on it: its place in the plan.
pub type Id = usize;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Its node is to run it; its end is seen in the history.
    Run {
        id: Id,
        operation: Operation,
    },
    /// As before, but nothing is written about it: the node answers.
    Notify {
        id: Id,
        operation: Operation,
    },
    /// A monitor is to end; the node answers.
    Cancel {
        id: Id,
        node: String,
        rsc: String,
        interval: Duration,
    },
    /// A node is to forget all of a resource; it answers.
    Forget {
        id: Id,
        node: String,
        rsc: String,
    },
    Fence {
        id: Id,
        node: String,
        action: String,
    },
    /// A node that wanted to go has nothing left: it may.
    Release {
        node: String,
    },
    /// To be written into the status.
    Edit {
        id: Id,
        edits: Vec<Edit>,
    },
    /// A node is there but did not answer in time: that is to be written as the operation's end.
    Lost(Operation),
    /// All is over; `Some`: not all was done, and why.
    Over(Option<String>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Timer,
    /// A line came into the history of a node.
    Line {
        node: String,
        line: Element,
    },
    /// What had no line is over.
    Answered {
        id: Id,
        good: bool,
    },
    NodeLost(String),
    /// Something else has changed, and what.
    Abort(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    Waits,
    Runs {
        until: Instant,
    },
    Done,
    /// Or cannot be done any more.
    Failed,
}

#[derive(Debug)]
struct Job {
    act: Act,
    after: Vec<Id>,
    course: Course,
}

#[derive(Clone, Debug)]
enum Act {
    Nothing,
    Run(Box<Operation>),
    Notify(Box<Operation>),
    Cancel(String, String, Duration),
    Forget(String, String),
    Fence(String, String),
    Release(String),
    Edit(Vec<Edit>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How many actions may be on their way at once; 0: any number.
    pub batch_limit: usize,
    /// What an answer may take beyond the operation's own limit.
    pub margin: Duration,
    pub fence_timeout: Duration,
}

#[derive(Debug)]
pub struct Transition {
    number: u64,
    run: String,
    jobs: Vec<Job>,
    settings: Settings,
    aborted: Option<String>,
    over: bool,
}

/// What a key says of where it comes from: action, transition, run.
fn parts(key: &str) -> Option<(Id, u64, &str)> {
    let mut words = key.splitn(4, ':');
    let (id, number, _, run) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some((id.parse().ok()?, number.parse().ok()?, run))
}

impl Transition {
    /// `run` names this term of this DC: it is part of every key.
    pub fn new(number: u64, run: &str, settings: Settings, input: &Input, state: &State, plan: &Plan) -> Self {
        let told = Told::new(input, state, plan);
        let job = |(id, action): (Id, &crate::policy::plan::Action)| Job {
            act: act(input, &told, &action.what, &|rc| format!("{id}:{number}:{rc}:{run}")),
            after: action.after.clone(),
            course: Course::Waits,
        };
        Self {
            number,
            run: run.to_owned(),
            jobs: plan.actions.iter().enumerate().map(job).collect(),
            settings,
            aborted: None,
            over: false,
        }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// When [`Event::Timer`] is due next.
    pub fn deadline(&self) -> Instant {
        let running = self.jobs.iter().filter_map(|j| match j.course {
            Course::Runs { until } => Some(until),
            Course::Waits | Course::Done | Course::Failed => None,
        });
        running.min().unwrap_or(Instant::NEVER)
    }

    /// Sends out what nothing waits for. To be called once.
    pub fn begin(&mut self, now: Instant) -> Vec<Command> {
        let mut out = Vec::new();
        self.go_on(now, &mut out);
        out
    }

    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Command> {
        let mut out = Vec::new();
        if self.over {
            return out;
        }
        match event {
            Event::Timer => self.expire(now, &mut out),
            Event::Line { node, line } => self.line(&node, &line),
            Event::Answered { id, good } => {
                let job = self.jobs.get_mut(id);
                if let Some(job) = job.filter(|j| matches!(j.course, Course::Runs { .. })) {
                    job.course = if good { Course::Done } else { Course::Failed };
                    if !good {
                        self.abort(format!("action {id} failed"));
                    }
                }
            }
            Event::NodeLost(node) => self.lost(&node),
            Event::Abort(why) => self.abort(why),
        }
        self.go_on(now, &mut out);
        out
    }

    fn abort(&mut self, why: String) {
        self.aborted.get_or_insert(why);
    }

    fn line(&mut self, node: &str, line: &Element) {
        let entry = Entry::read(line);
        // It has begun, and was expected to.
        if entry.status == crate::policy::history::PENDING {
            return;
        }
        // The same line again, as the last failure.
        if line.id().ends_with(crate::policy::record::LAST_FAILURE) {
            return;
        }
        let key = line.get("transition-key").unwrap_or_default();
        let mine = parts(key).filter(|(_, number, run)| *number == self.number && *run == self.run);
        let job = mine.and_then(|(id, _, _)| self.jobs.get_mut(id));
        match job {
            Some(job) if matches!(job.course, Course::Runs { .. }) => {
                let good = entry.rc == entry.expected && entry.status == 0;
                job.course = if good { Course::Done } else { Course::Failed };
                if !good {
                    let op = line.get("operation_key").unwrap_or_default();
                    self.abort(format!(
                        "{op} on {node} ended with {} (status {})",
                        entry.rc, entry.status
                    ));
                }
            }
            Some(_) | None => {
                let op = line.get("operation_key").unwrap_or_default();
                self.abort(format!(
                    "{op} on {node} ended with {}, which nobody waited for",
                    entry.rc
                ));
            }
        }
    }

    fn lost(&mut self, node: &str) {
        for job in &mut self.jobs {
            let there = match &job.act {
                Act::Run(operation) | Act::Notify(operation) => operation.node == node,
                Act::Cancel(on, ..) | Act::Forget(on, _) => on == node,
                Act::Nothing | Act::Fence(..) | Act::Release(_) | Act::Edit(_) => false,
            };
            if there && matches!(job.course, Course::Runs { .. }) {
                job.course = Course::Failed;
            }
        }
        self.abort(format!("node {node} was lost"));
    }

    fn expire(&mut self, now: Instant, out: &mut Vec<Command>) {
        let mut late = Vec::new();
        for (id, job) in self.jobs.iter_mut().enumerate() {
            match job.course {
                Course::Runs { until } if now >= until => {}
                Course::Runs { .. } | Course::Waits | Course::Done | Course::Failed => continue,
            }
            job.course = Course::Failed;
            if let Act::Run(operation) = &job.act {
                out.push(Command::Lost((**operation).clone()));
            }
            late.push(id);
        }
        for id in late {
            self.abort(format!("nothing was heard of the end of action {id}"));
        }
    }

    /// Sends out what may go now.
    fn go_on(&mut self, now: Instant, out: &mut Vec<Command>) {
        if self.over {
            return;
        }
        let mut running = self.running();
        // Those before it have smaller numbers: one pass is enough.
        for id in 0..self.jobs.len() {
            if self.jobs[id].course != Course::Waits {
                continue;
            }
            let of = |course: Course| self.jobs[id].after.iter().any(|a| self.jobs[*a].course == course);
            if of(Course::Failed) {
                self.jobs[id].course = Course::Failed;
                continue;
            }
            if self.aborted.is_some() || !self.jobs[id].after.iter().all(|a| self.jobs[*a].course == Course::Done) {
                continue;
            }
            if let Act::Nothing = self.jobs[id].act {
                self.jobs[id].course = Course::Done;
                continue;
            }
            if self.settings.batch_limit > 0 && running >= self.settings.batch_limit {
                continue;
            }
            running += 1;
            let (command, limit) = self.command(id);
            out.push(command);
            self.jobs[id].course = match limit {
                Some(limit) => Course::Runs { until: now + limit },
                None => Course::Done,
            };
        }
        if self.running() == 0 && (self.aborted.is_some() || self.jobs.iter().all(|j| j.course != Course::Waits)) {
            self.over = true;
            out.push(Command::Over(self.aborted.clone()));
        }
    }

    fn running(&self) -> usize {
        let runs = |j: &&Job| matches!(j.course, Course::Runs { .. });
        self.jobs.iter().filter(runs).count()
    }

    /// What goes out for an action, and how long its end may take; `None`: it is over at once.
    fn command(&self, id: Id) -> (Command, Option<Duration>) {
        let margin = self.settings.margin;
        let long = |o: &Operation| Some(o.timeout.saturating_add(o.start_delay).saturating_add(margin));
        match self.jobs[id].act.clone() {
            Act::Nothing => unreachable!("it is done without going out"),
            Act::Run(operation) => {
                let limit = long(&operation);
                let operation = *operation;
                (Command::Run { id, operation }, limit)
            }
            Act::Notify(operation) => {
                let limit = long(&operation);
                let operation = *operation;
                (Command::Notify { id, operation }, limit)
            }
            Act::Cancel(node, rsc, interval) => {
                let command = Command::Cancel {
                    id,
                    node,
                    rsc,
                    interval,
                };
                (command, Some(margin))
            }
            Act::Forget(node, rsc) => (Command::Forget { id, node, rsc }, Some(margin)),
            Act::Fence(node, action) => {
                let limit = self.settings.fence_timeout.saturating_add(margin);
                (Command::Fence { id, node, action }, Some(limit))
            }
            Act::Release(node) => (Command::Release { node }, None),
            Act::Edit(edits) => (Command::Edit { id, edits }, Some(margin)),
        }
    }
}

fn act(input: &Input, told: &Told, what: &What, key: &dyn Fn(i32) -> String) -> Act {
    let uname = |n: usize| input.nodes[n].uname.clone();
    match what {
        What::Mark(_) | What::Gone { .. } => Act::Nothing,
        What::Run { rsc, node, task } => {
            let plain = || input.resources[*rsc].plain.clone();
            if let Task::Cancel(_) = task {
                return Act::Cancel(uname(*node), plain(), name_of(task).1);
            }
            let key = key(expected(input, *rsc, task));
            let Some(operation) = Operation::of(input, told, *rsc, *node, task, key) else {
                return Act::Nothing;
            };
            match task {
                Task::Notify { .. } => Act::Notify(Box::new(operation)),
                _ => Act::Run(Box::new(operation)),
            }
        }
        What::Fence { node, action } => Act::Fence(uname(*node), action.clone()),
        What::Shutdown(node) => Act::Release(uname(*node)),
        What::ClearFailCount { rsc, node } => Act::Edit(history::clear_counts(
            input.nodes[*node].id.as_str(),
            &input.nodes[*node].transient,
            &input.resources[*rsc].plain,
        )),
        What::Forget { rsc, node } => Act::Forget(uname(*node), input.resources[*rsc].plain.clone()),
    }
}
