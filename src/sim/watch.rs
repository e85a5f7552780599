//! The promises, looked at after every step.
//!
//! 1. *Never two owners* among nodes that can hear each other, for longer than it takes to find out: the peer's next
//!    message must come through ([`patience`]). Time in which a script of the group is at work does not count: letting
//!    go takes as long as the stop script.
//! 2. *Never no owner* for longer than it takes to notice a death and to agree, while a node could start it.
//! 3. Messages stay below a bound a second, and a machine never runs two scripts of one group at once.
//! 4. A machine whose daemon is dead or frozen has no address for longer than a lease and the second that the kernel may
//!    be late.
//! 5. Beside a classic the first two have longer bounds: what it takes to give up and to start anew after a partition.
//!    That it runs one script of a group at a time, and has its addresses only while it lives, nobody promises. One that
//!    says for ever that it has what it has not (it took over while it gave the same away) is believed: we start nothing.
//! 6. In a `strict` plan a group is not up on two nodes even for a moment.

use super::machine::Machine;
use super::net::Net;
use super::plan::Config;
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::ids::ResourceName;
use crate::time::{Duration, Instant};

/// Nodes tell what they hold at least this often (`groups::manager::TELL_EVERY`).
const TELL_EVERY: Duration = Duration::from_secs(2);
/// Messages a node and medium may send in a window: beats, claims, repetitions; more is a storm.
const WINDOW: Duration = Duration::from_secs(10);
const MAX_MESSAGES: u64 = 2000;

/// How long two nodes may take to learn that they both have a group: after silence the first beat revives the peer and
/// makes us tell; each of the messages may be lost, so many in a row that it never happens in a test.
fn patience(config: &Config, loss: u8) -> Duration {
    if loss == 0 {
        return config.deadtime;
    }
    let mut tries = 1;
    let mut all_lost = f64::from(loss) / 100.0;
    let one = all_lost;
    // Once in 10^10.
    while all_lost > 1e-10 && tries < 100 {
        all_lost *= one;
        tries += 1;
    }
    let beat = config.keepalive.max(TELL_EVERY);
    beat * tries * 2 + Duration::from_secs(1)
}

/// A classic finds nothing out by itself. What returns after a partition it gives up after 2 s, unless it waits for its
/// peer just then (10 s), or its scripts are at work, which it runs one after the other; its looks, and the words of both
/// on the way, are in the rest. What it does not give up we do.
fn classic_lets_go(config: &Config) -> Duration {
    match config.classic {
        [] => Duration::ZERO,
        _ => Duration::from_secs(15) + config.script.1 * 12,
    }
}

#[derive(Clone, Debug)]
struct Group {
    resources: Vec<ResourceName>,
    /// Since when each pair of nodes has it both, hears each other with this loss and runs no script of it.
    double: Vec<Option<(Instant, u8)>>,
    none: Option<Instant>,
    /// A script of it has failed since it was last up.
    failed: bool,
}

#[derive(Debug)]
pub struct Watch {
    groups: Vec<Group>,
    dirty: bool,
    /// When one of the promises will be broken unless something changes.
    due: Instant,
    window_ends: Instant,
}

impl Watch {
    pub fn new(config: &Config) -> Self {
        let group = |resources: &[&str]| Group {
            resources: resources
                .iter()
                .map(|r| r.parse().expect("a resource of ours"))
                .collect(),
            double: vec![None; config.nodes * config.nodes],
            none: None,
            failed: false,
        };
        let mut groups: Vec<Group> = config.groups.iter().map(|(_, r)| group(r)).collect();
        if let Some(last) = groups.last_mut() {
            // It has one more in some variants of haresources.
            last.resources.push("extra".parse().expect("a resource of ours"));
        }
        Self {
            groups,
            dirty: true,
            due: Instant::default(),
            window_ends: Instant::default(),
        }
    }

    /// What is up, who runs or who hears whom has changed.
    pub fn changed(&mut self) {
        self.dirty = true;
    }

    pub fn fault(&mut self) {
        // The moment to become owner counts from here again.
        for group in &mut self.groups {
            group.none = None;
        }
    }

    fn group_of(&self, resource: &ResourceName) -> Option<usize> {
        self.groups.iter().position(|g| g.resources.contains(resource))
    }

    /// A script is about to begin.
    pub fn script(&mut self, node: usize, machine: &Machine, command: &Command) -> Option<String> {
        let g = self.group_of(&command.resource.name)?;
        let busy = machine
            .scripts
            .values()
            .find(|s| self.groups[g].resources.contains(&s.command.resource.name))?;
        Some(format!(
            "node {}: {} {} begins while {} {} of the same group runs",
            node + 1,
            command.resource.name,
            command.verb.as_str(),
            busy.command.resource.name,
            busy.command.verb.as_str()
        ))
    }

    pub fn script_ended(&mut self, command: &Command, outcome: &Outcome) {
        if let Some(g) = self.group_of(&command.resource.name) {
            self.groups[g].failed |= outcome.exit != Exit::Code(0) && command.verb != Verb::Status;
        }
    }

    pub fn look(&mut self, now: Instant, config: &Config, machines: &mut [Machine], net: &Net) -> Option<String> {
        if now >= self.window_ends {
            self.window_ends = now + WINDOW;
            for (i, m) in machines.iter_mut().enumerate() {
                let sent = std::mem::take(&mut m.sent);
                if sent > MAX_MESSAGES * config.nets as u64 {
                    return Some(format!("node {} sent {sent} messages in {} s", i + 1, WINDOW.as_secs()));
                }
            }
        }
        if !self.dirty && now < self.due {
            return None;
        }
        self.dirty = false;
        self.due = Instant::NEVER;
        for (i, m) in machines.iter().enumerate() {
            if let Some(why) = self.lease_outlived(i, now, config, m) {
                return Some(why);
            }
        }
        for g in 0..self.groups.len() {
            let broken = self
                .two_owners(g, now, config, machines, net)
                .or_else(|| self.no_owner(g, now, config, machines));
            if broken.is_some() {
                return broken;
            }
        }
        None
    }

    fn lease_outlived(&mut self, i: usize, now: Instant, config: &Config, m: &Machine) -> Option<String> {
        let silent = m.silent?;
        let (name, _) = m.resources.iter().find(|(_, r)| r.occupied && r.lease.is_some())?;
        // Lease: deadtime less one second. Kernel: at most one second late.
        let end = silent + config.deadtime;
        if now > end {
            return Some(format!(
                "n{} has {name}, though its daemon does nothing since {} ms",
                i + 1,
                silent.as_millis()
            ));
        }
        self.due = self.due.min(end + Duration::from_millis(1));
        None
    }

    fn two_owners(
        &mut self,
        g: usize,
        now: Instant,
        config: &Config,
        machines: &[Machine],
        net: &Net,
    ) -> Option<String> {
        let group = &mut self.groups[g];
        let key = &group.resources[0];
        let at_work = |m: &Machine| {
            m.scripts
                .values()
                .any(|s| group.resources.contains(&s.command.resource.name))
        };
        for a in 0..machines.len() {
            for b in a + 1..machines.len() {
                let pair = a * machines.len() + b;
                let (ma, mb) = (&machines[a], &machines[b]);
                let both = ma.occupies(key) && mb.occupies(key);
                if both && config.strict {
                    return Some(format!("group {key} is up on n{} and n{} at once", a + 1, b + 1));
                }
                let loss = net.best_loss(a, b).filter(|_| {
                    both && ma.listens() && mb.listens() && ma.active && mb.active && !at_work(ma) && !at_work(mb)
                });
                let Some(loss) = loss else {
                    group.double[pair] = None;
                    continue;
                };
                // In better weather they have to be quicker, from then on.
                let since = match group.double[pair] {
                    Some((since, before)) if before == loss => since,
                    Some(_) | None => now,
                };
                group.double[pair] = Some((since, loss));
                let end = since + patience(config, loss) + classic_lets_go(config);
                if now >= end {
                    return Some(format!(
                        "group {key} is up on n{} and n{}, which hear each other, since {} ms",
                        a + 1,
                        b + 1,
                        since.as_millis()
                    ));
                }
                self.due = self.due.min(end);
            }
        }
        None
    }

    fn no_owner(&mut self, g: usize, now: Instant, config: &Config, machines: &[Machine]) -> Option<String> {
        let group = &mut self.groups[g];
        let key = &group.resources[0];
        let removed = g + 1 == config.groups.len() && machines.iter().any(|m| m.variant % 3 == 1);
        let able = machines.iter().any(|m| m.listens() && m.active);
        let owned = machines.iter().any(|m| m.occupies(key));
        let at_work = |m: &Machine| {
            m.scripts
                .values()
                .any(|s| group.resources.contains(&s.command.resource.name))
        };
        if owned && !machines.iter().any(at_work) {
            group.failed = false;
        }
        let untrue = machines.iter().any(|m| m.is_stuck_with(key));
        if owned || removed || !able || group.failed || untrue {
            group.none = None;
            return None;
        }
        let since = *group.none.get_or_insert(now);
        // A death; a start that waits for a joining node; a handover that was called off.
        let mut bound = config.deadtime * 2 + config.initdead + Duration::from_secs(15) + config.script.1 * 3;
        bound += config.classic_restarts_within();
        if !config.fencing.is_empty() {
            // Devices take up to a minute and fail; two nodes may have shot each other, and boot.
            bound += Duration::from_secs(900);
        }
        if now >= since + bound {
            return Some(format!("group {key} is nowhere since {} ms", since.as_millis()));
        }
        self.due = self.due.min(since + bound);
        None
    }
}
