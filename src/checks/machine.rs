//! The checks of all groups: each of them waits, runs and waits again while its group runs here, and is at rest while it
//! does not.
//!
//! A failed try is repeated `retries` times; when all of them fail the check has failed; `fall` failed checks, not
//! forgotten after `rise` good ones in a row, make a failed resource: its repair is asked for, and again with each failed
//! check that follows. Whoever repairs decides whether that is the time for it.

use crate::conf::monitors::{CheckSpec, Monitors, Repair};
use crate::ids::ResourceName;
use crate::time::{Duration, Instant};

/// After a repair was asked for, other checks of the group keep quiet so long: they may have seen the same, and the daemon
/// has not told yet that it is at work.
const ASKED_FOR: Duration = Duration::from_secs(1);

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Whether all of the group runs here, and nothing of it is being started or stopped.
    Group {
        key: ResourceName,
        runs: bool,
    },
    /// A run is over; the reason when what it saw was not good.
    Ended {
        check: usize,
        run: u64,
        result: Result<(), String>,
    },
    Timer,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Ends as `Event::Ended` with both numbers.
    Begin { check: usize, run: u64 },
    /// Nobody waits for this run any more.
    Drop { check: usize },
    Repair {
        key: ResourceName,
        /// This resource and those behind it.
        from: ResourceName,
        rule: Repair,
        why: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The group does not run here.
    Resting,
    Waiting {
        until: Instant,
        /// When the check began, if this is the pause before another try.
        began: Option<Instant>,
        tries: u32,
    },
    Running {
        run: u64,
        began: Instant,
        tries: u32,
    },
}

#[derive(Clone, Debug)]
struct Check {
    group: usize,
    spec: CheckSpec,
    state: State,
    /// Failed checks that are not forgotten, and good ones in a row since.
    bad: u32,
    good: u32,
    /// It has been said that it failed.
    told: bool,
}

#[derive(Clone, Debug)]
struct Group {
    key: ResourceName,
    rule: Repair,
    runs: bool,
    /// A repair was asked for, until then.
    asked: Instant,
}

/// The checks of this node.
#[derive(Clone, Debug)]
pub struct Checks {
    groups: Vec<Group>,
    checks: Vec<Check>,
    runs: u64,
}

impl Checks {
    /// At rest, until it is told which groups run. Runs are numbered after `runs`: those of a machine before this one must
    /// not be taken for its own.
    pub fn new(monitors: &Monitors, runs: u64) -> Self {
        let checks = monitors.groups.iter().enumerate().flat_map(|(group, m)| {
            m.checks.iter().map(move |spec| Check {
                group,
                spec: spec.clone(),
                state: State::Resting,
                bad: 0,
                good: 0,
                told: false,
            })
        });
        Self {
            checks: checks.collect(),
            groups: monitors
                .groups
                .iter()
                .map(|m| Group {
                    key: m.key.clone(),
                    rule: m.repair.clone(),
                    runs: false,
                    asked: Instant::default(),
                })
                .collect(),
            runs,
        }
    }

    /// What a check looks at, and how long it may take.
    pub fn spec(&self, check: usize) -> &CheckSpec {
        &self.checks[check].spec
    }

    /// The group a check is of.
    pub fn key(&self, check: usize) -> &ResourceName {
        &self.groups[self.checks[check].group].key
    }

    /// Runs numbered so far.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// When `Timer` is due.
    pub fn deadline(&self) -> Instant {
        let due = self.checks.iter().map(|c| match c.state {
            State::Waiting { until, .. } => until,
            State::Resting | State::Running { .. } => Instant::NEVER,
        });
        due.min().unwrap_or(Instant::NEVER)
    }

    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        match event {
            Event::Group { key, runs } => self.group(now, &key, runs),
            Event::Ended { check, run, result } => self.ended(now, check, run, result).into_iter().collect(),
            Event::Timer => self.timer(now),
        }
    }

    fn group(&mut self, now: Instant, key: &ResourceName, runs: bool) -> Vec<Action> {
        let mut out = Vec::new();
        let Some(at) = self.groups.iter().position(|g| g.key == *key) else {
            return out;
        };
        let group = &mut self.groups[at];
        if group.runs == runs {
            return out;
        }
        group.runs = runs;
        group.asked = Instant::default();
        for (number, check) in self.checks.iter_mut().enumerate().filter(|(_, c)| c.group == at) {
            if let State::Running { .. } = check.state {
                out.push(Action::Drop { check: number });
            }
            (check.bad, check.good, check.told) = (0, 0, false);
            check.state = match runs {
                true => State::Waiting {
                    until: now + group.rule.grace,
                    began: None,
                    tries: 0,
                },
                false => State::Resting,
            };
        }
        out
    }

    fn timer(&mut self, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        for (number, check) in self.checks.iter_mut().enumerate() {
            let State::Waiting { until, began, tries } = check.state else {
                continue;
            };
            if now < until {
                continue;
            }
            self.runs += 1;
            check.state = State::Running {
                run: self.runs,
                began: began.unwrap_or(now),
                tries,
            };
            out.push(Action::Begin {
                check: number,
                run: self.runs,
            });
        }
        out
    }

    fn ended(&mut self, now: Instant, number: usize, ended: u64, result: Result<(), String>) -> Option<Action> {
        let check = self.checks.get_mut(number)?;
        let State::Running { run, began, tries } = check.state else {
            return None;
        };
        if run != ended {
            return None;
        }
        if let (Err(why), true) = (&result, tries < check.spec.retries) {
            log::debug!("check {}: {why}; trying again", check.spec.kind);
            check.state = State::Waiting {
                until: now + check.spec.pause,
                began: Some(began),
                tries: tries + 1,
            };
            return None;
        }
        // One that takes longer than its interval begins again at once.
        check.state = State::Waiting {
            until: (began + check.spec.every).max(now),
            began: None,
            tries: 0,
        };
        let group = &mut self.groups[check.group];
        match result {
            Ok(()) => {
                check.good = check.good.saturating_add(1);
                if check.good >= check.spec.rise && check.bad > 0 {
                    check.bad = 0;
                    if std::mem::take(&mut check.told) {
                        log::info!("group {}: {} is good again", group.key, check.spec.kind);
                    }
                }
                None
            }
            Err(why) => {
                check.good = 0;
                check.bad = check.bad.saturating_add(1);
                let why = format!("{}: {why}", check.spec.kind);
                if check.bad < check.spec.fall {
                    log::info!("group {}: {why} ({} of {})", group.key, check.bad, check.spec.fall);
                    return None;
                }
                if !std::mem::replace(&mut check.told, true) {
                    log::warn!("group {}: {why}; asking for a repair", group.key);
                }
                if now < group.asked {
                    return None;
                }
                group.asked = now + ASKED_FOR;
                Some(Action::Repair {
                    key: group.key.clone(),
                    from: check.spec.from.clone(),
                    rule: group.rule.clone(),
                    why,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
