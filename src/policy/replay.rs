//! Plays a resource's history on a node from its oldest line on: what runs there in the end, and what its failures mean.

use super::definition;
use super::entry::{Entry, FAILED_MASTER, MASTER, NOT_RUNNING, Outcome, PENDING, outcome};
use super::failures::{has_expired, reaction};
use super::history::{Failure, Here};
use super::input::{Input, N, OnFail, Primitive, R, Role};
use crate::time::Duration;

/// What a failure means beyond its resource's state on the node.
pub(super) enum Verdict {
    Failed(Box<Failure>),
    /// Of the resource, whichever instance.
    Banned(&'static str),
    /// It could not be stopped: this instance has no business there.
    NotStopped,
    Nowhere,
    Standby,
    Fence,
}

pub(super) fn replay(input: &Input, r: R, primitive: &Primitive, node: N, entries: &[Entry]) -> (Here, Vec<Verdict>) {
    let is_set = input.is_promotable(r);
    let mut replay = Replay {
        input,
        r,
        primitive,
        node,
        started: if is_set { Role::Slave } else { Role::Started },
        here: Here::default(),
        verdicts: Vec::new(),
        on_fail: None,
        failed: None,
    };
    for e in entries {
        replay.entry(e);
    }
    replay.react();
    let Replay { mut here, verdicts, .. } = replay;
    here.failed &= here.role != Role::Stopped;
    definition::compare(input, r, node, primitive, entries, &mut here);
    (here, verdicts)
}

struct Replay<'a> {
    input: &'a Input,
    r: R,
    primitive: &'a Primitive,
    node: N,
    /// What a start makes of it.
    started: Role,
    here: Here,
    verdicts: Vec<Verdict>,
    /// The severest reaction that is due.
    on_fail: Option<OnFail>,
    /// The operation that failed last.
    failed: Option<(String, Duration)>,
}

impl Replay<'_> {
    fn entry(&mut self, e: &Entry) {
        // What nobody looks after may stop.
        let managed = self.input.resources[self.r].managed;
        let let_go = !managed && e.operation == "monitor" && e.rc == NOT_RUNNING && e.status != PENDING;
        match if let_go { Outcome::Good } else { outcome(e) } {
            Outcome::Pending => self.pending(e),
            Outcome::Good => self.good(e),
            bad @ (Outcome::Soft | Outcome::Hard | Outcome::Fatal) => self.bad(e, bad),
        }
    }

    fn pending(&mut self, e: &Entry) {
        if !e.is_probe() {
            self.here.pending = Some(e.operation.clone());
            self.here.known |= e.operation != "stop";
        }
        if e.operation == "start" {
            self.here.role = self.here.role.max(self.started);
        }
    }

    fn good(&mut self, e: &Entry) {
        let here = &mut self.here;
        here.known = true;
        let clears = match &*e.operation {
            "monitor" => {
                here.role = match e.rc {
                    NOT_RUNNING => Role::Stopped,
                    MASTER | FAILED_MASTER => Role::Master,
                    0 if here.role == Role::Master => self.started,
                    _ => here.role.max(self.started),
                };
                let key = (e.operation.clone(), e.interval);
                let same = self.failed.as_ref() == Some(&key);
                if !e.interval.is_zero() {
                    here.recurring.insert(key);
                }
                same
            }
            operation => self.done(operation),
        };
        let passes = |f: OnFail| [OnFail::Ignore, OnFail::Restart, OnFail::Block].contains(&f);
        if clears && self.on_fail.is_some_and(passes) {
            self.on_fail = None;
        }
    }

    /// The role after an operation that is no monitor; whether it was one that changes roles.
    fn done(&mut self, operation: &str) -> bool {
        let here = &mut self.here;
        match operation {
            "start" | "migrate_from" => {
                here.role = self.started;
                here.recurring.clear();
            }
            "stop" | "migrate_to" => {
                here.role = Role::Stopped;
                here.recurring.clear();
            }
            "promote" => here.role = Role::Master,
            "demote" => here.role = Role::Slave,
            _ => return false,
        }
        true
    }

    fn bad(&mut self, e: &Entry, bad: Outcome) {
        self.verdicts.push(Verdict::Failed(Box::new(self.failure(e))));
        let recurs = e.operation == "monitor" && !e.interval.is_zero();
        if has_expired(self.input, self.r, e.at, [(&*e.operation, e.interval)].into_iter()) {
            if recurs {
                // Nobody knows what it says today: it begins anew.
                let key = (e.operation.clone(), e.interval);
                self.here.recurring.insert(key.clone());
                self.here.changed_monitors.insert(key);
            }
            return;
        }
        self.here.known = true;
        let reaction = reaction(self.input, self.primitive, e);
        if reaction == OnFail::Ignore {
            // As if it had done what it was told to.
            self.here.ignored = true;
            self.done(&e.operation);
        } else {
            self.failed = Some((e.operation.clone(), e.interval));
            self.on_fail = self.on_fail.max(Some(reaction));
            self.verdicts.extend(match bad {
                _ if e.operation == "stop" => Some(Verdict::NotStopped),
                Outcome::Hard => Some(Verdict::Banned("it cannot run there")),
                Outcome::Fatal => Some(Verdict::Nowhere),
                _ => None,
            });
            if e.operation == "start" {
                self.here.recurring.clear();
            }
        }
        if reaction != OnFail::Ignore || e.operation == "monitor" {
            self.here.role = match &*e.operation {
                "promote" => Role::Master,
                "demote" => Role::Slave,
                _ if e.is_probe() && e.rc == 5 => Role::Stopped,
                _ if e.rc == FAILED_MASTER || e.rc == MASTER => Role::Master,
                _ => self.here.role.max(self.started),
            };
        }
        if recurs {
            self.here.recurring.insert((e.operation.clone(), e.interval));
        }
    }

    fn react(&mut self) {
        let Some(reaction) = self.on_fail.filter(|f| *f != OnFail::Ignore) else {
            return;
        };
        self.here.failed = true;
        match reaction {
            OnFail::Ignore | OnFail::Restart => {}
            OnFail::Block => self.here.blocked = true,
            OnFail::Stop => self.verdicts.push(Verdict::Nowhere),
            OnFail::Migrate => self.verdicts.push(Verdict::Banned("on-fail=migrate")),
            OnFail::Standby => self.verdicts.push(Verdict::Standby),
            OnFail::Fence => self.verdicts.push(Verdict::Fence),
        }
    }

    fn failure(&self, e: &Entry) -> Failure {
        Failure {
            rsc: self.input.resources[self.r].plain.clone(),
            node: self.node,
            operation: e.operation.clone(),
            interval: e.interval,
            call: e.call,
            rc: e.rc,
            status: e.status,
            at: e.at,
            took: e.took,
            reason: e.reason.clone(),
        }
    }
}
