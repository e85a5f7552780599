//! The agents that run now: operations, and questions for their meta-data.

use super::devices::{self, Devices};
use super::places::Surroundings;
use crate::agents::executor::{self, Ended};
use crate::agents::protocol::Fencing;
use crate::agents::status::{self, Asked};
use crate::agents::{Agent, Class, MetaData, Order, Status, environment, metadata};
use crate::cib::words::truth;
use crate::conf::ResourceSpec;
use crate::conf::ha_cf::fencing::is_secret;
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::ids::{ClientId, JobId};
use crate::jobs::left::{Left, Notes};
use crate::jobs::runner::{Jobs, Program};
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// An agent that needs longer to describe itself is not waited for.
const LOOK_LIMIT: Duration = Duration::from_secs(20);
/// Questions for meta-data at the same time.
const MOST_LOOKS: usize = 32;
/// Agents whose restart parameters are remembered.
const MOST_REMEMBERED: usize = 256;
/// A script's header stands in its first lines.
const HEADER: u64 = 8 * 1024;
/// A word that is a part of many others must not be cut out of what an agent writes.
const SHORTEST_SECRET: usize = 4;
/// After these the history says which parameters need a restart.
const WITH_RESTART: [&str; 6] = ["start", "promote", "demote", "migrate_from", "reload", "reload-agent"];

/// What has come to its end.
#[derive(Debug)]
pub enum Over {
    Ended(JobId, Ended),
    Fenced {
        client: ClientId,
        id: u64,
        result: Result<String, String>,
    },
    Meta {
        client: ClientId,
        id: u64,
        result: Result<String, String>,
    },
    /// An agent of the lrmd before this one, of this resource.
    Left(String),
}

/// Which file a program was: another one says other things of itself.
type Print = (u64, i64, i64, u64);

#[derive(Debug)]
struct Look {
    agent: Agent,
    print: Option<Print>,
    /// Who is to be told; nobody when it is for our own use.
    clients: Vec<(ClientId, u64)>,
}

#[derive(Debug)]
pub struct Calls {
    here: Surroundings,
    operations: Jobs,
    orders: BTreeMap<JobId, Order>,
    looks: Jobs,
    looking: BTreeMap<JobId, Look>,
    last_look: u64,
    restart: BTreeMap<Agent, (Print, Option<Vec<String>>)>,
    /// Ended, but what their agent says of itself is still on its way.
    late: Vec<(JobId, Agent, Ended)>,
    devices: Devices,
    left: Vec<Left>,
    over: Vec<Over>,
}

impl Calls {
    pub fn new(here: Surroundings) -> Self {
        let env: Vec<(String, String)> = here.env.clone().into_iter().collect();
        Self {
            here,
            operations: Jobs::new(Vec::new(), Vec::new()),
            orders: BTreeMap::new(),
            looks: Jobs::new(Vec::new(), Vec::new()),
            looking: BTreeMap::new(),
            last_look: 0,
            restart: BTreeMap::new(),
            late: Vec::new(),
            devices: Devices::new(env),
            left: Vec::new(),
            over: Vec::new(),
        }
    }

    /// Finds what the lrmd before this one has left running, by resource; from now on this one can be followed, too.
    pub fn inherit(&mut self, now: Instant, notes: Notes) -> Vec<String> {
        self.left = notes.find();
        self.operations.read_on_through(now, notes.outputs());
        self.operations.note_in(notes);
        self.left.iter().map(|l| l.resource.to_string()).collect()
    }

    pub fn begin(&mut self, now: Instant, job: JobId, mut order: Order) {
        order.agent = self.here.settled(&order.agent);
        let class = order.agent.class;
        if !status::can(class, &order.op) {
            let why = format!("agents of class {class} cannot {}", order.op);
            return self.settle(job, &order, (status::UNIMPLEMENTED, Status::NotSupported), why);
        }
        if class == Class::Stonith {
            return self.devices.operate(now, job, &order);
        }
        let path = match self.here.program(&order.agent) {
            Ok(path) => path,
            Err(why) => return self.settle(job, &order, status::of_missing(), why),
        };
        let Ok(name) = order.rsc.parse() else {
            return self.settle(
                job,
                &order,
                (status::BAD_ARGUMENTS, Status::Failed),
                "its name is none".to_owned(),
            );
        };
        if class == Class::Ocf && WITH_RESTART.contains(&&*order.op) {
            self.look_for_restart(now, &order.agent, &path);
        }
        let verb = match &*order.op {
            "monitor" | "status" => Verb::Status,
            "stop" | "demote" | "migrate_to" => Verb::Stop,
            _ => Verb::Start,
        };
        let command = Command {
            resource: ResourceSpec {
                name,
                script: order.agent.to_string(),
                args: Vec::new(),
            },
            verb,
            limit: order.limit(),
        };
        let mut env = self.here.env.clone();
        env.extend(environment::variables(&order, &self.here.node));
        let secret =
            |(name, value): &(&str, &str)| is_secret(name) && value.len() >= SHORTEST_SECRET && truth(value).is_none();
        let program = Program {
            title: executor::title(&order),
            path,
            args: environment::arguments(&order),
            env: env.into_iter().collect(),
            secrets: environment::own(&order)
                .filter(secret)
                .map(|(_, v)| v.to_owned())
                .collect(),
            does: order.op.clone(),
            ..Program::default()
        };
        self.orders.insert(job, order);
        self.operations.start_program(now, job, command, program);
    }

    /// Over without a process.
    fn settle(&mut self, job: JobId, order: &Order, (rc, status): (i32, Status), reason: String) {
        // Of what recurs, and of first looks where something is not installed, the result says enough.
        let level = if order.op == "monitor" {
            log::Level::Debug
        } else {
            log::Level::Warn
        };
        log::log!(level, "{}: {reason}", executor::title(order));
        let ended = Ended {
            rc,
            status: Some(status),
            reason,
            ..Ended::default()
        };
        self.over.push(Over::Ended(job, ended));
    }

    pub fn fence(&mut self, now: Instant, client: ClientId, fencing: Fencing) {
        self.devices.fence(now, client, fencing);
    }

    /// Somebody asks for the meta-data of an agent.
    pub fn meta(&mut self, now: Instant, client: ClientId, id: u64, agent: &Agent) {
        let agent = self.here.settled(agent);
        let program = self.here.program(&agent);
        let result = match (agent.class, program) {
            (Class::Stonith, Err(_)) if ["meatware", "null"].contains(&&*agent.name) => Ok(of_no_program(&agent)),
            (_, Err(why)) => Err(why),
            (Class::Systemd, Ok(_)) => Ok(MetaData::of_class(&agent, "").to_xml()),
            (Class::Lsb | Class::Service | Class::Heartbeat, Ok(path)) => {
                head(&path).map(|script| MetaData::of_class(&agent, &script).to_xml())
            }
            (Class::Ocf | Class::Stonith, Ok(path)) => match self.look(now, &agent, &path) {
                Ok(look) => return look.clients.push((client, id)),
                Err(why) => Err(why),
            },
        };
        self.over.push(Over::Meta { client, id, result });
    }

    fn look(&mut self, now: Instant, agent: &Agent, path: &Path) -> Result<&mut Look, String> {
        let known = self
            .looking
            .iter()
            .find(|(_, l)| l.agent == *agent)
            .map(|(job, _)| *job);
        let job = match known {
            Some(job) => job,
            None if self.looking.len() >= MOST_LOOKS => {
                return Err(format!("{MOST_LOOKS} agents are being asked already; ask again"));
            }
            None => {
                self.last_look += 1;
                let job = JobId(self.last_look);
                self.looks
                    .start_program(now, job, look_command()?, self.look_program(agent, path));
                let look = Look {
                    agent: agent.clone(),
                    print: print(path),
                    clients: Vec::new(),
                };
                self.looking.insert(job, look);
                job
            }
        };
        self.looking.get_mut(&job).ok_or_else(|| "it was not asked".to_owned())
    }

    fn look_program(&self, agent: &Agent, path: &Path) -> Program {
        let mut env = self.here.env.clone();
        env.extend(environment::of_agent(agent, &agent.name));
        let (word, input) = match agent.class {
            Class::Stonith if agent.name.starts_with("external/") => (Some("getinfo-xml"), None),
            Class::Stonith => (None, Some(b"action=metadata\n".to_vec())),
            _ => (Some("meta-data"), None),
        };
        Program {
            title: format!("agent {agent} meta-data"),
            path: path.to_owned(),
            args: word.into_iter().map(str::to_owned).collect(),
            env: env.into_iter().collect(),
            input,
            keep: metadata::LONGEST,
            ..Program::default()
        }
    }

    /// Unless it is known already.
    fn look_for_restart(&mut self, now: Instant, agent: &Agent, path: &Path) {
        let print = print(path);
        if self.restart.get(agent).is_none_or(|(known, _)| Some(*known) != print)
            && let Err(why) = self.look(now, agent, path)
        {
            log::debug!("agent {agent}: {why}");
        }
    }

    pub fn running(&self) -> usize {
        self.orders.len() + self.late.len() + self.devices.fencing()
    }

    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let mut all = self.operations.fds();
        all.extend(self.looks.fds());
        all.extend(self.devices.fds());
        all.extend(self.left.iter().map(Left::fd));
        all
    }

    pub fn deadline(&self) -> Instant {
        if !self.over.is_empty() {
            return Instant::default();
        }
        let jobs = self
            .operations
            .deadline()
            .min(self.looks.deadline())
            .min(self.devices.deadline());
        self.left.iter().map(Left::deadline).fold(jobs, Instant::min)
    }

    /// What has come to its end. Never blocks.
    pub fn tick(&mut self, now: Instant) -> Vec<Over> {
        for looked in self.looks.tick(now) {
            if let Some(look) = self.looking.remove(&looked.job) {
                self.looked(look, &looked.outcome);
            }
        }
        for ended in self.operations.tick(now) {
            if let Some(order) = self.orders.remove(&ended.job) {
                self.operated(ended.job, &order, ended.outcome);
            }
        }
        let mut i = 0;
        while i < self.late.len() {
            if self.looking.values().any(|l| l.agent == self.late[i].1) {
                i += 1;
                continue;
            }
            let (job, agent, mut ended) = self.late.remove(i);
            ended.restart = self.restart.get(&agent).and_then(|(_, names)| names.clone());
            self.over.push(Over::Ended(job, ended));
        }
        for over in self.devices.tick(now) {
            self.over.push(match over {
                devices::Over::Operation(job, ended) => Over::Ended(job, ended),
                devices::Over::Fenced { client, id, result } => Over::Fenced { client, id, result },
            });
        }
        let over = &mut self.over;
        self.left.retain_mut(|left| {
            let ended = left.is_over(now);
            if ended {
                over.push(Over::Left(left.resource.to_string()));
            }
            !ended
        });
        std::mem::take(&mut self.over)
    }

    fn operated(&mut self, job: JobId, order: &Order, outcome: Outcome) {
        let ended = told(order, outcome);
        match order.agent.class == Class::Ocf && WITH_RESTART.contains(&&*order.op) {
            true => self.late.push((job, order.agent.clone(), ended)),
            false => self.over.push(Over::Ended(job, ended)),
        }
    }

    fn looked(&mut self, look: Look, outcome: &Outcome) {
        let Look { agent, print, clients } = look;
        let read = match &outcome.exit {
            Exit::Code(0) => read_look(&agent, &outcome.output),
            Exit::Code(code) => Err(format!("its meta-data: exit code {code}")),
            Exit::Signal(signal) => Err(format!("its meta-data: ended by signal {signal}")),
            Exit::TimedOut => Err(format!("its meta-data: not within {} s", LOOK_LIMIT.as_secs())),
            Exit::CannotRun(why) => Err(why.clone()),
        };
        if let Err(why) = &read {
            log::warn!("agent {agent}: cannot be asked: {why}");
        }
        if let Some(print) = print {
            if self.restart.len() >= MOST_REMEMBERED {
                self.restart.clear();
            }
            let names = read.as_ref().ok().and_then(|(_, meta)| meta.restart_parameters());
            self.restart.insert(agent, (print, names));
        }
        for (client, id) in clients {
            let result = read.as_ref().map(|(xml, _)| xml.clone()).map_err(String::clone);
            self.over.push(Over::Meta { client, id, result });
        }
    }
}

/// What the agent wrote, without what stands around it; a plugin's answer as an agent would say it.
fn read_look(agent: &Agent, output: &str) -> Result<(String, MetaData), String> {
    let bad = |e: metadata::BadMetaData| format!("its meta-data cannot be read: {e}");
    if agent.name.starts_with("external/") {
        let meta = MetaData::of_plugin(&agent.name, output).map_err(bad)?;
        return Ok((meta.to_xml(), meta));
    }
    let meta = MetaData::parse(output).map_err(bad)?;
    Ok((output.to_owned(), meta))
}

fn of_no_program(agent: &Agent) -> String {
    let hostlist = metadata::Parameter {
        name: "hostlist".to_owned(),
        required: true,
        kind: "string".to_owned(),
        shortdesc: "Names of the nodes".to_owned(),
        ..metadata::Parameter::default()
    };
    let mut meta = MetaData::of_class(agent, "");
    meta.shortdesc = match &*agent.name {
        "null" => "Says that it has reset a node and does nothing; for tests only".to_owned(),
        _ => "A person resets the node and confirms it".to_owned(),
    };
    meta.parameters.push(hostlist);
    meta.to_xml()
}

/// How an agent's end is told.
fn told(order: &Order, outcome: Outcome) -> Ended {
    let output = status::readable(&outcome.output);
    let (rc, st, reason) = match &outcome.exit {
        Exit::Code(code) => {
            let rc = status::of_exit(order.agent.class, Asked::of(&order.op), *code, &output);
            (rc, Status::Done, status::reason(&output))
        }
        Exit::Signal(signal) => {
            let (rc, st) = status::of_signal();
            (rc, st, format!("the agent was ended by signal {signal}"))
        }
        Exit::TimedOut => {
            let (rc, st) = status::of_timeout();
            (rc, st, format!("not done within {} ms", order.limit().as_millis()))
        }
        Exit::CannotRun(why) => (status::FAILED, Status::Failed, why.clone()),
    };
    Ended {
        rc,
        status: Some(st),
        took: outcome.took,
        output,
        reason,
        restart: None,
    }
}

fn look_command() -> Result<Command, String> {
    Ok(Command {
        resource: ResourceSpec {
            name: "meta-data".parse().map_err(|e: crate::ids::BadName| e.to_string())?,
            script: String::new(),
            args: Vec::new(),
        },
        verb: Verb::Status,
        limit: LOOK_LIMIT,
    })
}

fn print(path: &Path) -> Option<Print> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
}

fn head(path: &Path) -> Result<String, String> {
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(named)?;
    file.take(HEADER).read_to_end(&mut bytes).map_err(named)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
