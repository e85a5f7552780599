//! Who runs when. The operations of one resource run one after the other, those of different ones side by side. Recurring
//! ones run again an interval after their end, when nothing else of the resource waits; of them only changes are told.
//!
//! A `stop` ends what recurs of its resource. An operation that runs is never interrupted by another order: it ends, by
//! itself or at its limit.

use super::operation::{Finished, Known, Order, Status, own};
use super::protocol::Report;
use super::status::UNKNOWN;
use crate::ids::JobId;
use crate::time::{Duration, Instant, Now};
use resource::{Call, Recurring, Resource, Work};
use std::collections::BTreeMap;

mod resource;

/// Twice the largest cluster that was measured.
const MOST_RESOURCES: usize = 10_000;
/// Of one resource; a plan orders one at a time.
const MOST_WAITING: usize = 64;
const MOST_RECURRING: usize = 16;
/// Processes at the same time. Hanging monitors must leave room for orders.
const MOST_RUNNING: usize = 128;
const MOST_RECURRING_RUNNING: usize = 32;
/// Resources in one answer.
const LISTED_AT_ONCE: usize = 32;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Order(Order),
    Cancel {
        rsc: String,
        op: String,
        interval: Duration,
    },
    Forget {
        rsc: String,
    },
    /// What [`Action::Run`] began is over.
    Ended {
        job: JobId,
        ended: Ended,
    },
    /// An agent of an lrmd before this one still works on the resource: it is left alone until that is over.
    Left {
        rsc: String,
    },
    LeftOver {
        rsc: String,
    },
    Timer,
    /// Nothing more begins.
    Stop,
}

/// How an operation ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ended {
    pub rc: i32,
    pub status: Option<Status>,
    pub took: Duration,
    pub output: String,
    pub reason: String,
    /// Parameters of the agent whose change needs a restart, if it can take others without one.
    pub restart: Option<Vec<String>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    Run {
        job: JobId,
        order: Order,
    },
    /// To whoever gave the order.
    Answer(Report),
    /// To everybody.
    Tell(Report),
}

#[derive(Debug, Default)]
pub struct Executor {
    resources: BTreeMap<String, Resource>,
    /// By an lrmd before this one.
    held: BTreeMap<String, usize>,
    jobs: BTreeMap<JobId, String>,
    recurring_now: usize,
    calls: u64,
    last_job: u64,
    stopping: bool,
}

impl Executor {
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Order(order) => self.order(now, order, &mut out),
            Event::Cancel { rsc, op, interval } => self.cancel(now, &rsc, &op, interval, &mut out),
            Event::Forget { rsc } => self.forget(now, &rsc, &mut out),
            Event::Ended { job, ended } => self.ended(now, job, ended, &mut out),
            Event::Left { rsc } => *self.held.entry(rsc).or_default() += 1,
            Event::LeftOver { rsc } => {
                if let Some(count) = self.held.get_mut(&rsc) {
                    *count -= 1;
                    if *count == 0 {
                        self.held.remove(&rsc);
                    }
                }
            }
            Event::Timer => {}
            Event::Stop => self.stopping = true,
        }
        self.begin(now, &mut out);
        out
    }

    /// When [`Event::Timer`] is due next.
    pub fn deadline(&self) -> Instant {
        if self.stopping || self.jobs.len() >= MOST_RUNNING {
            return Instant::NEVER;
        }
        let crowded = self.recurring_now >= MOST_RECURRING_RUNNING;
        let idle = self
            .resources
            .iter()
            .filter(|(rsc, r)| r.running.is_none() && !self.held.contains_key(*rsc));
        idle.flat_map(|(_, r)| {
            let again = r.recurring.iter().filter(|_| !crowded).map(|a| a.call.due);
            r.waiting.iter().map(|c| c.due).chain(again)
        })
        .min()
        .unwrap_or(Instant::NEVER)
    }

    /// Operations that run now.
    pub fn running(&self) -> usize {
        self.jobs.len()
    }

    /// The next resources behind `after`, and whether there are more.
    pub fn known(&self, after: Option<&str>) -> (Vec<Known>, bool) {
        let after = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut behind = self.resources.range::<str, _>((after, std::ops::Bound::Unbounded));
        let known = behind
            .by_ref()
            .take(LISTED_AT_ONCE)
            .map(|(rsc, r)| r.known(rsc))
            .collect();
        (known, behind.next().is_some())
    }

    fn order(&mut self, now: Now, order: Order, out: &mut Vec<Action>) {
        if let Err(why) = self.room_for(&order) {
            return out.push(Action::Answer(Report::Refused { id: order.id, why }));
        }
        self.calls += 1;
        let id = self.calls;
        out.push(Action::Answer(Report::Pending {
            id: order.id,
            call_id: id,
        }));
        let resource = self
            .resources
            .entry(order.rsc.clone())
            .or_insert_with(|| Resource::new(&order.agent));
        resource.agent.clone_from(&order.agent);
        resource.forgotten = false;
        if order.op == "stop" {
            resource.end_recurring(now, |_| true, out);
        } else {
            resource.params = Some(own(&order.params));
        }
        let call = Call {
            due: now.mono + order.start_delay,
            order,
            id,
        };
        if call.order.interval.is_zero() {
            return resource.waiting.push_back(call);
        }
        // Ordered anew: the same one with other parameters, whose first result is told.
        let (op, interval) = (&call.order.op, call.order.interval);
        let same = resource.recurring.iter_mut().find(|r| r.is(op, interval));
        match same {
            Some(same) => *same = Recurring { call, last: None },
            None => resource.recurring.push(Recurring { call, last: None }),
        }
    }

    fn room_for(&self, order: &Order) -> Result<(), String> {
        if self.stopping {
            return Err("lrmd is ending".to_owned());
        }
        match self.resources.get(&order.rsc) {
            None if self.resources.len() >= MOST_RESOURCES => {
                Err(format!("{MOST_RESOURCES} resources are known already"))
            }
            Some(r) if r.waiting.len() >= MOST_WAITING => Err(format!("{MOST_WAITING} operations of it wait already")),
            Some(r) if !order.interval.is_zero() && r.recurring.len() >= MOST_RECURRING => {
                Err(format!("{MOST_RECURRING} operations of it recur already"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn cancel(&mut self, now: Now, rsc: &str, op: &str, interval: Duration, out: &mut Vec<Action>) {
        let resource = self.resources.get_mut(rsc);
        let ended = resource.map_or(0, |r| r.end_recurring(now, |again| again.is(op, interval), out));
        if ended == 0 {
            // Nobody is to wait for the end of what there is not.
            let nothing = Finished {
                rsc: rsc.to_owned(),
                op: op.to_owned(),
                interval,
                call_id: 0,
                rc: UNKNOWN,
                status: Status::Cancelled,
                exec_time: Duration::ZERO,
                queue_time: Duration::ZERO,
                rc_change: now.wall,
                output: String::new(),
                reason: String::new(),
                key: String::new(),
                digest: String::new(),
                restart: None,
            };
            out.push(Action::Tell(Report::Result(nothing)));
        }
    }

    fn forget(&mut self, now: Now, rsc: &str, out: &mut Vec<Action>) {
        let Some(resource) = self.resources.get_mut(rsc) else {
            return;
        };
        resource.end_recurring(now, |_| true, out);
        for call in resource.waiting.drain(..) {
            out.push(Action::Tell(Report::Result(call.cancelled(now, None))));
        }
        (resource.last, resource.failure) = (None, None);
        if resource.running.is_some() {
            resource.forgotten = true;
        } else {
            self.resources.remove(rsc);
        }
    }

    fn ended(&mut self, now: Now, job: JobId, ended: Ended, out: &mut Vec<Action>) {
        let Some(rsc) = self.jobs.remove(&job) else {
            return;
        };
        let Some(resource) = self.resources.get_mut(&rsc) else {
            return;
        };
        let Some(running) = resource.running.take().filter(|r| r.job == job) else {
            return;
        };
        match running.work {
            Work::Once(call) => {
                let finished = call.finished(ended, running.queued, running.wall);
                resource.keep(&finished);
                out.push(Action::Tell(Report::Result(finished)));
            }
            Work::Again(_, _, Some(cancelled)) => {
                self.recurring_now -= 1;
                let last = cancelled.last.as_ref();
                out.push(Action::Tell(Report::Result(cancelled.call.cancelled(now, last))));
            }
            Work::Again(op, interval, None) => {
                self.recurring_now -= 1;
                resource.again(now.mono, &op, interval, &running.wall, running.queued, ended, out);
            }
        }
        if resource.forgotten {
            self.resources.remove(&rsc);
        }
    }

    /// Begins what may begin now: orders first, then what recurs, the longest due first.
    fn begin(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.stopping {
            return;
        }
        let mut ready: Vec<(bool, Instant, String)> = Vec::new();
        for (rsc, r) in &self.resources {
            if r.running.is_some() || self.held.contains_key(rsc) {
                continue;
            }
            let once = r.waiting.iter().map(|c| c.due).filter(|due| *due <= now.mono).min();
            let again = r
                .recurring
                .iter()
                .map(|a| a.call.due)
                .filter(|due| *due <= now.mono)
                .min();
            match (once, again) {
                (Some(due), _) => ready.push((false, due, rsc.clone())),
                (None, Some(due)) => ready.push((true, due, rsc.clone())),
                (None, None) => {}
            }
        }
        ready.sort();
        for (recurs, _, rsc) in ready {
            let crowded = recurs && self.recurring_now >= MOST_RECURRING_RUNNING;
            if crowded || self.jobs.len() >= MOST_RUNNING {
                continue;
            }
            let Some(resource) = self.resources.get_mut(&rsc) else {
                continue;
            };
            self.last_job += 1;
            let job = JobId(self.last_job);
            if let Some(order) = resource.take_up(now, job, recurs) {
                self.recurring_now += usize::from(recurs);
                self.jobs.insert(job, rsc);
                out.push(Action::Run { job, order });
            }
        }
    }
}

/// What a log line says of an operation.
pub fn title(order: &Order) -> String {
    match order.interval.as_millis() {
        0 => format!("resource {} {}", order.rsc, order.op),
        ms => format!("resource {} {} every {ms} ms", order.rsc, order.op),
    }
}

#[cfg(test)]
mod tests;
