//! What goes wrong with the machines and the network, what administrators do, and how each of them starts and goes on.

use super::{SICK_FOR, Sim, What};
use crate::conf::hostcache::Remembered;
use crate::conf::{Repair, lives};
use crate::daemon::{Daemon, Event, Settings};
use crate::groups::{Set, repair};
use crate::ids::{Generation, MediumId, ResourceName};
use crate::msg::{Message, fields};
use crate::sim::classic::Classic;
use crate::sim::plan::Fault;
use crate::sim::program::Program;
use crate::time::Duration;
use std::path::Path;

impl Sim {
    pub(super) fn nets(&self, net: Option<usize>) -> Vec<usize> {
        net.map_or_else(|| (0..self.net.nets()).collect(), |n| vec![n])
    }

    pub(super) fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Cut { net, from, to } => {
                for n in self.nets(net) {
                    self.net.path_mut(n, from, to).cut = true;
                }
            }
            Fault::Mend { net, from, to } => {
                for n in self.nets(net) {
                    self.net.path_mut(n, from, to).cut = false;
                }
            }
            Fault::Weather {
                loss,
                repeats,
                delay,
                jitter,
            } => {
                for (net, from, to) in self.all_paths() {
                    let path = self.net.path_mut(net, from, to);
                    (path.loss, path.repeats, path.delay, path.jitter) = (loss, repeats, delay, jitter);
                }
            }
            Fault::MediumBreaks { net, node } => {
                self.net.set_broken(net, node, true);
                let why = "the interface is down".to_owned();
                self.handle(
                    node,
                    Event::MediumBroken {
                        medium: MediumId(net),
                        why,
                    },
                );
            }
            Fault::MediumMends { net, node } => {
                self.net.set_broken(net, node, false);
                self.handle(node, Event::MediumMended { medium: MediumId(net) });
            }
            Fault::Freeze(node) => {
                let m = &mut self.machines[node];
                if m.daemon.is_some() && !m.frozen {
                    m.frozen = true;
                    m.silent = Some(self.now);
                }
            }
            Fault::Thaw(node) => self.thaw(node),
            Fault::PowerOff(node) => self.machines[node].power_off(),
            Fault::DaemonDies { node, back_after } => {
                if self.machines[node].daemon.is_some() {
                    self.machines[node].daemon_gone(Some(self.now));
                    let life = self.machines[node].life;
                    self.push(self.now + back_after, What::Resume { node, life });
                }
            }
            Fault::Stop(node) => self.handle(node, Event::Stop),
            Fault::Start(node) => {
                if self.machines[node].daemon.is_none() {
                    // A machine whose daemon died unnoticed is started with what it had.
                    let held = std::mem::take(&mut self.machines[node].held);
                    self.start(node, (!held.is_empty()).then_some(held), false);
                }
            }
            Fault::Standby(node, set) => self.handle(node, command("ask_resources", set, "me")),
            Fault::Sick { node, group, restarts } => self.sick(node, group, restarts),
            Fault::Takeover(node, set) => {
                let event = command("hb_takeover", set, "");
                self.handle(node, event);
            }
            Fault::Reload(variant) => {
                for node in 0..self.machines.len() {
                    let at = self.now + Duration::from_millis(node as u64 * 700);
                    self.at(at, Fault::ReloadOne(node, variant));
                }
            }
            Fault::ReloadOne(node, variant) => self.reload(node, variant),
            Fault::Scripts {
                start_fails,
                stop_fails,
            } => {
                (self.config.start_fails, self.config.stop_fails) = (start_fails, stop_fails);
            }
            Fault::Device { fails } => self.config.fence_fails = fails,
            Fault::Confirm { by, node } => {
                let message = Message::new("meatware").with(fields::NODE, self.names[node].as_str());
                self.handle(by, Event::Local { message });
            }
            Fault::ClockStep { node, seconds } => self.machines[node].skew += seconds,
            Fault::DiskFails(node) => self.machines[node].disk_fails = true,
            Fault::DiskMends(node) => self.machines[node].disk_fails = false,
            Fault::Repair => self.repair(),
        }
    }

    /// Asks as hb_monitor does: only where the group runs.
    pub(super) fn sick(&mut self, node: usize, group: usize, restarts: u32) {
        let resources = &self.config.groups[group].1;
        let name = |word: &str| word.parse::<ResourceName>().expect("a resource of ours");
        let (key, from) = (name(resources[0]), name(resources[resources.len() - 1]));
        if !self.machines[node].occupies(&key) {
            return;
        }
        let rule = Repair {
            restarts,
            forget: Some(SICK_FOR),
            ..Repair::default()
        };
        let message = repair::request(&key, &from, &rule, "it does not answer");
        self.handle(node, Event::Local { message });
    }

    pub(super) fn all_paths(&self) -> Vec<(usize, usize, usize)> {
        let n = self.machines.len();
        (0..self.net.nets())
            .flat_map(|net| (0..n * n).map(move |i| (net, i / n, i % n)))
            .collect()
    }

    /// `replaces`: in the place of a process that died, by its master or its heir.
    pub(super) fn start(&mut self, node: usize, resumed: Option<Vec<ResourceName>>, replaces: bool) {
        let now = self.clock(node);
        let m = &mut self.machines[node];
        m.powered = true;
        let silent = m
            .silent
            .take()
            .filter(|_| replaces)
            .map_or(Duration::ZERO, |at| self.now - at);
        let taken = m.written.is_some_and(|last| replaces && m.generation < last);
        m.generation = if taken {
            Generation(m.generation.0 + 1)
        } else if !m.disk_fails {
            let next = Generation::after(m.written, now.wall.0);
            m.written = Some(Generation(next.0 + Generation::AHEAD - 1));
            next
        } else if replaces {
            m.generation.unwritten_after(now.wall.0)
        } else {
            // "hb_generation cannot be written"; init tries again, or a person does.
            self.trace
                .note(self.now, Some(node), "does not start: its disk fails".to_owned());
            return;
        };
        m.life += 1;
        let (cfs, haresources) = &self.files[&m.variant];
        // What ran and is no longer in the files is stopped by hand, as the log tells.
        m.resources.retain(|k, _| {
            haresources
                .groups
                .iter()
                .flat_map(|g| &g.resources)
                .any(|r| r.name == *k)
        });
        let mut uuid = [0; 16];
        uuid[15] = node as u8 + 1;
        let settings = Settings {
            me: self.names[node].clone(),
            uuid,
            generation: m.generation,
            cf: cfs[node].clone(),
            haresources: haresources.clone(),
            keys: self.keys.clone(),
            seed: self.random.draw(),
            resumed,
            remembered: Remembered {
                peers: lives::parse(Path::new("hb_peers"), &m.peers).value.unwrap_or_default(),
                ..Default::default()
            },
        };
        self.trace
            .note(self.now, Some(node), format!("starts, resumed {:?}", settings.resumed));
        let (program, actions) = if m.classic {
            // Nothing was written down for its next life.
            let (classic, actions) = Classic::new(now, settings);
            (Program::Classic(Box::new(classic)), actions)
        } else {
            let (mut daemon, mut actions) = Daemon::new(now, settings);
            actions.extend(daemon.was_silent(now, silent));
            if self.config.doubtful {
                daemon.doubt_calm();
            }
            (Program::Ours(Box::new(daemon)), actions)
        };
        m.wake = program.deadline();
        m.daemon = Some(program);
        self.watch.changed();
        self.after(node, actions);
        for net in 0..self.net.nets() {
            if self.net.is_broken(net, node) {
                let why = "the interface is down".to_owned();
                self.handle(
                    node,
                    Event::MediumBroken {
                        medium: MediumId(net),
                        why,
                    },
                );
            }
        }
    }

    /// What came in the meantime is read before or after the timer, as it happens.
    pub(super) fn thaw(&mut self, node: usize) {
        if !std::mem::take(&mut self.machines[node].frozen) {
            return;
        }
        self.machines[node].silent = None;
        if self.random.below(2) == 0 {
            self.handle(node, Event::Timer);
        }
        for event in std::mem::take(&mut self.machines[node].waiting) {
            self.handle(node, event);
        }
        while let Some((medium, bytes)) = self.machines[node].packets.pop_front() {
            self.receive(node, medium, &bytes);
        }
    }

    pub(super) fn reload(&mut self, node: usize, variant: usize) {
        self.machines[node].variant = variant;
        let (cfs, haresources) = &self.files[&variant];
        let event = Event::Reload {
            cf: Box::new(cfs[node].clone()),
            haresources: haresources.clone(),
            keys: self.keys.clone(),
        };
        self.handle(node, event);
    }

    pub(super) fn repair(&mut self) {
        self.net.heal();
        (self.config.start_fails, self.config.stop_fails) = (0, 0);
        self.config.fence_fails = 0;
        for node in 0..self.machines.len() {
            self.machines[node].disk_fails = false;
            self.thaw(node);
            for net in 0..self.net.nets() {
                self.handle(node, Event::MediumMended { medium: MediumId(net) });
            }
            let blocked = self.machines[node]
                .ours()
                .is_some_and(|d| d.view(self.clock(node)).groups.iter().any(|g| g.here == "blocked"));
            if blocked {
                self.trace
                    .note(self.now, Some(node), "power cycle: it cannot stop a group".to_owned());
                self.machines[node].power_off();
            }
            self.suffer(Fault::Start(node));
        }
        self.at(self.now + self.config.resource_timeout * 2, Fault::Reload(0));
    }
}

fn command(kind: &str, set: Set, info: &str) -> Event {
    let mut message = Message::new(kind).with(fields::RSC_HOLD, set.as_str());
    if !info.is_empty() {
        message.set(fields::INFO, info);
    }
    Event::Local { message }
}
