//! The devices: who resets whom, in which order they are tried, and what they answered.

use super::{
    ASK_WITHIN, CHECK_EVERY, Device, Due, FenceCommand, FenceVerb, REMIND, RESET_WITHIN, RETRY, State, Step, reason,
};
use crate::conf::FenceKind;
use crate::groups::job::{Exit, Outcome};
use crate::groups::manager::{Groups, Order};
use crate::ids::{JobId, NodeName};

impl Groups {
    pub(super) fn ask_devices(&mut self) {
        let now = self.bench.now.mono;
        let mut orders = Vec::new();
        for (i, device) in self.fencing.devices.iter_mut().enumerate() {
            if device.job.is_some() {
                continue;
            }
            let verb = if device.hosts.is_none() && now >= device.ask_at {
                FenceVerb::Hosts
            } else if device.hosts.is_some() && now >= device.check_at {
                FenceVerb::Status
            } else {
                continue;
            };
            self.bench.next_job += 1;
            let job = JobId(self.bench.next_job);
            device.job = Some((job, verb));
            orders.push(Order::Fence {
                job,
                command: FenceCommand {
                    device: i,
                    title: device.spec.title(),
                    verb,
                    node: None,
                    limit: ASK_WITHIN,
                },
            });
        }
        self.orders.extend(orders);
    }

    pub(super) fn remind(&mut self, name: &NodeName) {
        let now = self.bench.now.mono;
        let people = self.fencing.asks_people(name);
        let Some(node) = self.fencing.nodes.get_mut(name) else {
            return;
        };
        let State::Due(due) = &mut node.state else { return };
        if now < due.remind_at {
            return;
        }
        due.remind_at = now + REMIND;
        if people {
            log::error!("CRIT: OPERATOR INTERVENTION REQUIRED to reset {name}.");
            log::error!("CRIT: Run \"meatclient -c {name}\" AFTER power-cycling the machine.");
        } else if node.failures > 0 {
            log::error!(
                "CRIT: node {name}: is not fenced after {} tries in {} s, and its groups are nowhere: {}; trying again. \
                 If it is off, run \"meatclient -c {name}\"",
                node.failures,
                (now - due.since).as_secs(),
                node.last
            );
        }
    }

    /// Orders the reset by the first device from `first` on that can do it.
    pub(super) fn try_from(&mut self, name: &NodeName, first: usize) {
        let now = self.bench.now.mono;
        let can = |d: &Device| d.spec.kind != FenceKind::Meatware && d.covers(name) == Some(true);
        let devices = &self.fencing.devices;
        let next = (first..devices.len()).find(|i| can(&devices[*i]));
        let title = next.map(|i| devices[i].spec.title());
        let Some(node) = self.fencing.nodes.get_mut(name) else {
            return;
        };
        let State::Due(due) = &mut node.state else { return };
        let (Some(device), Some(title)) = (next, title) else {
            due.step = Step::Pause(now + RETRY);
            return;
        };
        self.bench.next_job += 1;
        let job = JobId(self.bench.next_job);
        due.step = Step::Running { job, device };
        if node.failures == 0 {
            log::info!("Resetting node {name} with [{title}]");
        }
        self.orders.push(Order::Fence {
            job,
            command: FenceCommand {
                device,
                title,
                verb: FenceVerb::Reset,
                node: Some(name.clone()),
                limit: RESET_WITHIN,
            },
        });
    }

    pub(super) fn device_answered(&mut self, i: usize, outcome: &Outcome) {
        let now = self.bench.now.mono;
        let device = &mut self.fencing.devices[i];
        let title = device.spec.title();
        let Some((_, verb)) = device.job.take() else { return };
        let fault = (outcome.exit != Exit::Code(0)).then(|| reason(outcome));
        // What is the same as before was said before.
        let news = device.fault != fault;
        match (&fault, verb) {
            (None, FenceVerb::Hosts) => {
                let hosts: Vec<String> = outcome.output.split_ascii_whitespace().map(str::to_owned).collect();
                log::info!("STONITH device {title}: can reset {}", hosts.join(", "));
                device.hosts = Some(hosts);
                for node in self.fencing.nodes.values_mut() {
                    if let State::Due(Due {
                        step: Step::Pause(until),
                        ..
                    }) = &mut node.state
                    {
                        *until = now;
                    }
                }
                let missing: Vec<&NodeName> = self
                    .fencing
                    .nodes
                    .keys()
                    .filter(|n| self.fencing.covers(n) == Some(false))
                    .collect();
                for name in missing {
                    log::warn!("node {name}: no STONITH device of this node can reset it; it is taken over without");
                }
            }
            (None, _) => {
                if news {
                    log::info!("STONITH device {title}: is well again");
                }
                device.check_at = now + CHECK_EVERY;
            }
            (Some(why), _) => {
                if news {
                    log::error!("STONITH status operation failed. ({title}: {why})");
                }
                device.ask_at = now + RETRY;
                device.check_at = now + if device.hosts.is_some() { CHECK_EVERY } else { RETRY };
            }
        }
        self.fencing.devices[i].fault = fault;
    }
}
