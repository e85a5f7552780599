//! One resource: what waits, what recurs, what runs, and what is kept of what was.

use super::{Action, Ended};
use crate::agents::Agent;
use crate::agents::operation::{Finished, Known, Order, Pending, Status};
use crate::agents::protocol::Report;
use crate::agents::status::UNKNOWN;
use crate::ids::JobId;
use crate::time::{Duration, Instant, Now, Wall};
use std::collections::{BTreeMap, VecDeque};

/// Of the output, what is kept for a crmd that was not there.
pub(super) const KEPT_OUTPUT: usize = 256;

/// An order that has been taken.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) order: Order,
    pub(super) id: u64,
    /// Not before.
    pub(super) due: Instant,
}

#[derive(Debug)]
pub(super) struct Recurring {
    pub(super) call: Call,
    pub(super) last: Option<Finished>,
}

#[derive(Debug)]
pub(super) enum Work {
    Once(Call),
    /// By operation and interval; it may have been cancelled meanwhile, then it is here.
    Again(String, Duration, Option<Box<Recurring>>),
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) job: JobId,
    pub(super) work: Work,
    pub(super) queued: Duration,
    pub(super) wall: Wall,
}

#[derive(Debug)]
pub(super) struct Resource {
    pub(super) agent: Agent,
    /// As [`Known::params`].
    pub(super) params: Option<BTreeMap<String, String>>,
    pub(super) waiting: VecDeque<Call>,
    pub(super) recurring: Vec<Recurring>,
    pub(super) running: Option<Running>,
    pub(super) last: Option<Finished>,
    pub(super) failure: Option<Finished>,
    /// To be dropped once nothing of it runs.
    pub(super) forgotten: bool,
}

impl Resource {
    pub(super) fn new(agent: &Agent) -> Self {
        Self {
            agent: agent.clone(),
            params: None,
            waiting: VecDeque::new(),
            recurring: Vec::new(),
            running: None,
            last: None,
            failure: None,
            forgotten: false,
        }
    }

    /// The operation that is due, begun.
    pub(super) fn take_up(&mut self, now: Now, job: JobId, recurs: bool) -> Option<Order> {
        let due = |due: Instant| due <= now.mono;
        let (work, order, since) = if recurs {
            let ready = self.recurring.iter().filter(|r| due(r.call.due));
            let call = &ready.min_by_key(|r| r.call.due)?.call;
            let work = Work::Again(call.order.op.clone(), call.order.interval, None);
            (work, call.order.clone(), call.due)
        } else {
            let at = self.waiting.iter().position(|c| due(c.due))?;
            let call = self.waiting.remove(at)?;
            let (order, since) = (call.order.clone(), call.due);
            (Work::Once(call), order, since)
        };
        self.running = Some(Running {
            job,
            work,
            queued: now.mono - since,
            wall: now.wall,
        });
        Some(order)
    }

    /// How many there were. One that runs is told at its end.
    pub(super) fn end_recurring(
        &mut self,
        now: Now,
        which: impl Fn(&Recurring) -> bool,
        out: &mut Vec<Action>,
    ) -> usize {
        let mut ended = 0;
        for again in self.recurring.extract_if(.., |r| which(r)) {
            ended += 1;
            if let Some(running) = &mut self.running
                && let Work::Again(op, interval, cancelled @ None) = &mut running.work
                && again.is(op, *interval)
            {
                *cancelled = Some(Box::new(again));
                continue;
            }
            out.push(Action::Tell(Report::Result(
                again.call.cancelled(now, again.last.as_ref()),
            )));
        }
        ended
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn again(
        &mut self,
        now: Instant,
        op: &str,
        interval: Duration,
        wall: &Wall,
        queued: Duration,
        ended: Ended,
        out: &mut Vec<Action>,
    ) {
        let Some(again) = self.recurring.iter_mut().find(|r| r.is(op, interval)) else {
            return;
        };
        again.call.due = now + interval;
        let mut finished = again.call.finished(ended, queued, *wall);
        let same = again
            .last
            .as_ref()
            .filter(|l| (l.rc, l.status) == (finished.rc, finished.status));
        if let Some(before) = same {
            finished.rc_change = before.rc_change;
            again.last = Some(kept(&finished));
            return;
        }
        again.last = Some(kept(&finished));
        if is_failure(&finished) {
            self.failure = Some(kept(&finished));
        }
        out.push(Action::Tell(Report::Result(finished)));
    }

    pub(super) fn keep(&mut self, finished: &Finished) {
        // What is done around an operation of another instance says nothing about this one.
        if finished.op == "notify" || self.forgotten {
            return;
        }
        self.last = Some(kept(finished));
        if is_failure(finished) {
            self.failure = Some(kept(finished));
        }
    }

    pub(super) fn known(&self, rsc: &str) -> Known {
        let failure = self.failure.as_ref().filter(|f| {
            let told = |other: &Finished| other.call_id == f.call_id && other.rc == f.rc && other.status == f.status;
            !self
                .last
                .iter()
                .chain(self.recurring.iter().filter_map(|r| r.last.as_ref()))
                .any(told)
        });
        let again = self.recurring.iter().filter_map(|r| r.last.as_ref());
        let history = self.last.iter().chain(failure).chain(again).cloned().collect();
        let now = self.running.iter().filter_map(|r| match &r.work {
            Work::Once(call) => Some(call),
            Work::Again(..) => None,
        });
        let first = self.recurring.iter().filter(|r| r.last.is_none()).map(|r| &r.call);
        let pending = now.chain(&self.waiting).chain(first).map(Call::pending).collect();
        Known {
            rsc: rsc.to_owned(),
            agent: self.agent.clone(),
            history,
            pending,
            params: self.params.clone(),
        }
    }
}

impl Recurring {
    pub(super) fn is(&self, op: &str, interval: Duration) -> bool {
        self.call.order.op == op && self.call.order.interval == interval
    }
}

impl Call {
    pub(super) fn pending(&self) -> Pending {
        Pending {
            op: self.order.op.clone(),
            interval: self.order.interval,
            call_id: self.id,
            key: self.order.key.clone(),
        }
    }

    pub(super) fn finished(&self, ended: Ended, queued: Duration, wall: Wall) -> Finished {
        let order = &self.order;
        let restart = ended.restart.map(|names| {
            let digest = order.restart_digest(&names);
            (
                format!(" {} ", names.iter().map(|n| format!(" {n} ")).collect::<String>()),
                digest,
            )
        });
        Finished {
            rsc: order.rsc.clone(),
            op: order.op.clone(),
            interval: order.interval,
            call_id: self.id,
            rc: ended.rc,
            status: ended.status.unwrap_or(Status::Done),
            exec_time: ended.took,
            queue_time: queued,
            rc_change: wall,
            output: ended.output,
            reason: ended.reason,
            key: order.key.clone(),
            digest: order.digest(),
            restart,
        }
    }

    pub(super) fn cancelled(&self, now: Now, last: Option<&Finished>) -> Finished {
        let ended = Ended {
            rc: last.map_or(UNKNOWN, |l| l.rc),
            status: Some(Status::Cancelled),
            ..Ended::default()
        };
        self.finished(ended, Duration::ZERO, now.wall)
    }
}

/// It came out otherwise than the order expected.
pub(super) fn is_failure(finished: &Finished) -> bool {
    let expected = finished
        .key
        .split(':')
        .nth(2)
        .and_then(|rc| rc.parse().ok())
        .unwrap_or(0);
    finished.status != Status::Done || finished.rc != expected
}

pub(super) fn kept(finished: &Finished) -> Finished {
    let excess = finished.output.len().saturating_sub(KEPT_OUTPUT);
    let from = (excess..).find(|at| finished.output.is_char_boundary(*at));
    Finished {
        output: finished.output[from.unwrap_or(0)..].to_owned(),
        ..finished.clone()
    }
}
