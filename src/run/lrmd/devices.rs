//! STONITH devices: those that were started on this node, and what any of them is asked to do.
//!
//! Starting a device is remembering it and asking it whether it is well; stopping is forgetting it. Nothing of that has a
//! process, so a new lrmd knows of none: the first look at it says that it does not run.

use crate::agents::executor::Ended;
use crate::agents::protocol::{Fencing, How};
use crate::agents::{Order, environment, status};
use crate::conf::ha_cf::fencing::fence_kind;
use crate::conf::{FenceDevice, FenceKind, FenceParameters};
use crate::groups::fencing::{FenceCommand, FenceVerb};
use crate::groups::job::{Exit, Outcome};
use crate::ids::JobId;
use crate::jobs::fence::Fences;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;

/// Requests at the same time; a cluster has as many nodes at most.
const MOST_AT_ONCE: usize = 100;
/// Of a device that has no limit of its own; 60 s, as `stonith-timeout`.
const USUAL_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum For {
    /// The operation of the executor, and the device if it is to be started.
    Operation { job: JobId, starts: Option<String> },
    Fencing {
        client: crate::ids::ClientId,
        fencing: Box<Fencing>,
    },
}

/// What has come to its end.
#[derive(Debug)]
pub enum Over {
    Operation(JobId, Ended),
    Fenced {
        client: crate::ids::ClientId,
        id: u64,
        result: Result<String, String>,
    },
}

#[derive(Debug)]
pub struct Devices {
    fences: Fences,
    started: BTreeSet<String>,
    asked: BTreeMap<JobId, For>,
    next: u64,
    over: Vec<Over>,
}

impl Devices {
    pub fn new(env: Vec<(String, String)>) -> Self {
        Self {
            fences: Fences::new(env),
            started: BTreeSet::new(),
            asked: BTreeMap::new(),
            next: 0,
            over: Vec::new(),
        }
    }

    /// An operation of a resource of class `stonith`.
    pub fn operate(&mut self, now: Instant, job: JobId, order: &Order) {
        let starts = match &*order.op {
            "start" => Some(order.rsc.clone()),
            "stop" => {
                self.started.remove(&order.rsc);
                return self.settle(job, status::OK, String::new());
            }
            _ if order.is_probe() => {
                let rc = if self.started.contains(&order.rsc) {
                    status::OK
                } else {
                    status::NOT_RUNNING
                };
                return self.settle(job, rc, String::new());
            }
            _ => None,
        };
        let own = environment::own(order)
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        match device(&order.agent.name, own, None, How::Status) {
            Ok(device) => {
                let what = For::Operation { job, starts };
                self.ask(now, what, device, FenceVerb::Status, None, order.limit());
            }
            Err(why) => self.settle(job, status::FAILED, why),
        }
    }

    fn settle(&mut self, job: JobId, rc: i32, reason: String) {
        let ended = Ended {
            rc,
            reason,
            ..Ended::default()
        };
        self.over.push(Over::Operation(job, ended));
    }

    /// A node is to be reset, or a device asked.
    pub fn fence(&mut self, now: Instant, client: crate::ids::ClientId, fencing: Fencing) {
        let id = fencing.id;
        let refused = |why: String| Over::Fenced {
            client,
            id,
            result: Err(why),
        };
        if self.asked.len() >= MOST_AT_ONCE {
            return self
                .over
                .push(refused(format!("{MOST_AT_ONCE} requests to devices wait already")));
        }
        let verb = match fencing.how {
            How::Reboot => FenceVerb::Reset,
            How::Off => FenceVerb::Off,
            How::Hosts => FenceVerb::Hosts,
            How::Status => FenceVerb::Status,
        };
        let node = fencing
            .node
            .clone()
            .filter(|_| matches!(fencing.how, How::Reboot | How::Off));
        let named = match (node.as_deref().map(str::parse), fencing.how) {
            (Some(Ok(node)), _) => Some(node),
            (None, How::Hosts | How::Status) => None,
            (Some(Err(_)) | None, _) => return self.over.push(refused("it is not said which node".to_owned())),
        };
        let own = fencing
            .params
            .iter()
            .filter(|(n, _)| crate::agents::operation::is_own(n));
        let own = own.map(|(n, v)| (n.clone(), v.clone())).collect();
        let limit = if fencing.timeout.is_zero() {
            USUAL_LIMIT
        } else {
            fencing.timeout
        };
        let device = device(&fencing.agent.name, own, node.as_deref(), fencing.how);
        match device {
            Ok(device)
                if device.kind == FenceKind::Meatware && verb != FenceVerb::Hosts && verb != FenceVerb::Status =>
            {
                let why = "a person has to do that, and to confirm it: crm node clearstate NODE";
                self.over.push(refused(why.to_owned()));
            }
            Ok(device) => {
                if let Some(node) = &node {
                    log::warn!(
                        "device {} ({}): {} of node {node}",
                        fencing.rsc,
                        device.name(),
                        fencing.how.as_str()
                    );
                }
                let fencing = Box::new(fencing);
                self.ask(now, For::Fencing { client, fencing }, device, verb, named, limit);
            }
            Err(why) => self.over.push(refused(why)),
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        what: For,
        device: FenceDevice,
        verb: FenceVerb,
        node: Option<crate::ids::NodeName>,
        limit: Duration,
    ) {
        self.next += 1;
        let job = JobId(self.next);
        self.asked.insert(job, what);
        let command = FenceCommand {
            device: 0,
            title: device.title(),
            verb,
            node,
            limit,
        };
        self.fences.order(now, &[device], job, command);
    }

    /// Resets that are on their way; a status that hangs keeps nobody from ending.
    pub fn fencing(&self) -> usize {
        self.asked.values().filter(|a| matches!(a, For::Fencing { .. })).count()
    }

    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.fences.fds()
    }

    pub fn deadline(&self) -> Instant {
        if self.over.is_empty() {
            self.fences.deadline()
        } else {
            Instant::default()
        }
    }

    pub fn tick(&mut self, now: Instant) -> Vec<Over> {
        for (job, outcome) in self.fences.tick(now) {
            let Some(what) = self.asked.remove(&job) else {
                continue;
            };
            let over = match what {
                For::Operation { job, starts } => {
                    if let Some(rsc) = starts.filter(|_| outcome.exit == Exit::Code(0)) {
                        self.started.insert(rsc);
                    }
                    Over::Operation(job, told(outcome))
                }
                For::Fencing { client, fencing } => {
                    let (id, node) = (fencing.id, fencing.node.as_deref().unwrap_or("-"));
                    let result = match &outcome.exit {
                        Exit::Code(0) => Ok(outcome.output.clone()),
                        _ => Err(failure(&outcome)),
                    };
                    match &result {
                        Ok(_) => log::info!("device {}: {} of node {node}: done", fencing.rsc, fencing.how.as_str()),
                        Err(why) => {
                            log::error!(
                                "device {}: {} of node {node} failed: {why}",
                                fencing.rsc,
                                fencing.how.as_str()
                            );
                        }
                    }
                    Over::Fenced { client, id, result }
                }
            };
            self.over.push(over);
        }
        std::mem::take(&mut self.over)
    }
}

fn told(outcome: Outcome) -> Ended {
    let (rc, st) = match &outcome.exit {
        Exit::Code(0) => (status::OK, None),
        Exit::Code(_) => (status::FAILED, None),
        Exit::TimedOut => (status::of_timeout().0, Some(status::of_timeout().1)),
        Exit::Signal(_) => (status::of_signal().0, Some(status::of_signal().1)),
        Exit::CannotRun(_) => (status::of_missing().0, Some(status::of_missing().1)),
    };
    let reason = match rc {
        status::OK => String::new(),
        _ => failure(&outcome),
    };
    Ended {
        rc,
        status: st,
        took: outcome.took,
        output: status::readable(&outcome.output),
        reason,
        restart: None,
    }
}

/// The last line that the program wrote is what it complains of.
fn failure(outcome: &Outcome) -> String {
    let how = match &outcome.exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("ended by signal {signal}"),
        Exit::TimedOut => format!("took longer than {} s", outcome.took.as_secs()),
        Exit::CannotRun(why) => return why.clone(),
    };
    match outcome.output.lines().map(str::trim).rfind(|l| !l.is_empty()) {
        Some(line) => format!(
            "{how}: {}",
            status::readable(line).chars().take(200).collect::<String>()
        ),
        None => how,
    }
}

/// The device of these parameters. What is Pacemaker's own of them (`pcmk_…`) becomes what our devices have for it.
fn device(name: &str, own: Vec<(String, String)>, node: Option<&str>, how: How) -> Result<FenceDevice, String> {
    let kind = fence_kind(name)?;
    let parameters = match kind {
        FenceKind::Agent(_) => of_agent(own, node, how),
        FenceKind::External(_) | FenceKind::Meatware | FenceKind::Null => own,
    };
    Ok(FenceDevice {
        kind,
        parameters: FenceParameters::Pairs(parameters),
        line: 0,
    })
}

fn of_agent(own: Vec<(String, String)>, node: Option<&str>, how: How) -> Vec<(String, String)> {
    let find = |name: &str| own.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let plugged = find("pcmk_host_argument") != Some("none");
    let mut hosts: Vec<String> = Vec::new();
    let words = |text: &str| -> Vec<String> {
        let words = text.split([',', ';', ' ', '\t', '\n']).filter(|w| !w.is_empty());
        words.map(str::to_owned).collect()
    };
    // `node1:1;node2:2,3`
    let map = find("pcmk_host_map").unwrap_or("").split([';', ' ', '\t', '\n']);
    for (host, plug) in map.filter_map(|pair| pair.split_once([':', '='])) {
        hosts.push(format!("{host}:{plug}"));
    }
    // Who has no plug of its own in the list is called by its name.
    let named = |host: &str| {
        if plugged {
            format!("{host}:{host}")
        } else {
            host.to_owned()
        }
    };
    hosts.extend(words(find("pcmk_host_list").unwrap_or("")).iter().map(|h| named(h)));
    if hosts.is_empty() {
        // It did not say: then it is for whomever it is asked.
        hosts.extend(node.map(named));
    }
    let action = match how {
        How::Reboot => find("pcmk_reboot_action"),
        How::Off | How::Hosts | How::Status => None,
    };
    let said = find("hosts").is_some();
    let action = action.map(|a| ("action".to_owned(), a.to_owned()));
    let hosts = (!said).then(|| ("hosts".to_owned(), hosts.join(",")));
    let mut all: Vec<(String, String)> = own.iter().filter(|(n, _)| !n.starts_with("pcmk_")).cloned().collect();
    if action.is_some() {
        all.retain(|(n, _)| n != "action");
    }
    all.extend(hosts.into_iter().chain(action));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn parameters_of_pacemaker_become_those_of_our_devices() {
        type Pairs = &'static [(&'static str, &'static str)];
        #[rustfmt::skip]
        let table: &[(Pairs, Option<&str>, How, Pairs)] = &[
            (&[("ip", "x"), ("pcmk_host_list", "n1,n2")],           Some("n1"), How::Reboot,
             &[("ip", "x"), ("hosts", "n1:n1,n2:n2")]),
            (&[("pcmk_host_map", "n1:4;n2:5"), ("passwd", "p")],    Some("n1"), How::Off,
             &[("passwd", "p"), ("hosts", "n1:4,n2:5")]),
            (&[("pcmk_host_list", "n1 n2"), ("pcmk_host_argument", "none")], Some("n1"), How::Reboot,
             &[("hosts", "n1,n2")]),
            (&[("ip", "x")],                                        Some("n3"), How::Reboot,
             &[("ip", "x"), ("hosts", "n3:n3")]),
            (&[("hosts", "n1:7")],                                  Some("n1"), How::Reboot, &[("hosts", "n1:7")]),
            (&[("hosts", "n1"), ("action", "off"), ("pcmk_reboot_action", "reboot")], Some("n1"), How::Reboot,
             &[("hosts", "n1"), ("action", "reboot")]),
        ];
        for (own, node, how, want) in table {
            assert_eq!(of_agent(pairs(own), *node, *how), pairs(want), "{own:?}");
        }
    }

    #[test]
    fn types_of_devices() {
        for good in ["external/ssh", "fence_virt", "meatware", "null"] {
            assert!(device(good, Vec::new(), None, How::Status).is_ok(), "{good}");
        }
        for bad in ["ssh", "external/", "x/y"] {
            assert!(device(bad, Vec::new(), None, How::Status).is_err(), "{bad}");
        }
    }
}
