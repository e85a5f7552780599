//! STONITH devices: asked, checked and used by the contract of each, as jobs with a limit like every script.
//!
//! * `external/NAME`: a plugin of cluster-glue; `PLUGIN VERB [NODE]`, the parameters in its environment, their names asked
//!   of it first (`getconfignames`);
//! * `fence_NAME`: an agent of fence-agents; everything as `NAME=VALUE` lines on standard input;
//! * `meatware`: a person; here only the file with the names of the nodes is read;
//! * `null`: as `meatware`, and a reset succeeds without doing anything: for tests.
//!
//! Nothing of the parameters is logged, and passwords are cut out of what the programs write.

use super::environment::SAFE_PATH;
use super::runner::{Jobs, Program};
use crate::conf::ha_cf::fencing::{agent_parameters, external_parameters, is_secret, people, plugs};
use crate::conf::{FenceDevice, FenceKind, FenceParameters, ResourceSpec};
use crate::groups::fencing::{FenceCommand, FenceVerb};
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::ids::JobId;
use crate::paths;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where plugins of cluster-glue find its shell functions.
const GLUE: &str = "/usr/share/cluster-glue";
/// A file of parameters that is longer is none; it also fits into a pipe.
const LONGEST_FILE: u64 = 32 * 1024;

type Pairs = Vec<(String, String)>;

#[derive(Debug)]
struct Ask {
    job: JobId,
    device: FenceDevice,
    command: FenceCommand,
    /// The names of the parameters were asked for; what is wanted comes next.
    names: bool,
}

/// The devices at work.
#[derive(Debug)]
pub struct Fences {
    jobs: Jobs,
    env: Pairs,
    asks: BTreeMap<JobId, Ask>,
    /// Numbers of our own: one request may take two programs.
    next: u64,
    /// Ended without a program.
    ended: Vec<(JobId, Outcome)>,
}

impl Fences {
    /// `env` is what resource scripts get too.
    pub fn new(env: Pairs) -> Self {
        Self {
            jobs: Jobs::new(Vec::new(), Vec::new()),
            env,
            asks: BTreeMap::new(),
            next: 0,
            ended: Vec::new(),
        }
    }

    pub fn set_env(&mut self, env: Pairs) {
        self.env = env;
    }

    /// What the core has ordered until now is of no interest any more. Programs that run come to their end.
    pub fn forget(&mut self) {
        self.asks.clear();
        self.ended.clear();
    }

    /// Begins what the core wants of one of `devices`.
    pub fn order(&mut self, now: Instant, devices: &[FenceDevice], job: JobId, command: FenceCommand) {
        let device = devices.get(command.device).filter(|d| d.title() == command.title);
        let Some(device) = device.cloned() else {
            return self.end(job, Err("ha.cf has changed".to_owned()));
        };
        let ask = Ask {
            job,
            device,
            command,
            names: true,
        };
        match &ask.device.kind {
            FenceKind::External(_) => self.run(now, ask, "getconfignames", Vec::new()),
            FenceKind::Agent(_) => self.agent(now, ask),
            FenceKind::Meatware | FenceKind::Null => {
                if let Some(node) = &ask.command.node {
                    log::warn!("Host null-reset: {node} (STONITH device null does not reset anything; for tests only)");
                }
                let hosts = match &ask.device.parameters {
                    FenceParameters::Pairs(_) => Ok(ask.device.hosts().unwrap_or_default()),
                    FenceParameters::Words(_) | FenceParameters::File(_) => {
                        parameters(&ask.device).map(|text| people(&text))
                    }
                };
                self.end(job, hosts.map(|hosts| hosts.join("\n")));
            }
        }
    }

    /// Ended without a program: what it says, or why not.
    fn end(&mut self, job: JobId, result: Result<String, String>) {
        let (exit, output) = match result {
            Ok(output) => (Exit::Code(0), output),
            Err(why) => (Exit::CannotRun(why), String::new()),
        };
        let took = Duration::ZERO;
        self.ended.push((job, Outcome { exit, output, took }));
    }

    fn run(&mut self, now: Instant, ask: Ask, verb: &str, parameters: Pairs) {
        let path = match program(&ask.device.kind) {
            Ok(path) => path,
            Err(why) => return self.end(ask.job, Err(why)),
        };
        let secrets = secrets(&parameters);
        let mut env: BTreeMap<String, String> = self.env.iter().cloned().collect();
        env.insert("PATH".to_owned(), format!("{SAFE_PATH}:{GLUE}"));
        env.insert("HA_LOGTAG".to_owned(), format!("stonith: {}", ask.device.name()));
        env.extend(parameters);
        let node = ask.command.node.as_ref().filter(|_| !ask.names);
        let args = [Some(verb), node.map(|n| n.as_str())];
        let program = Program {
            title: format!("STONITH {} {verb}", ask.device.title()),
            path,
            args: args.into_iter().flatten().map(str::to_owned).collect(),
            env: env.into_iter().collect(),
            secrets,
            ..Program::default()
        };
        self.start(now, ask, program);
    }

    fn agent(&mut self, now: Instant, mut ask: Ask) {
        ask.names = false;
        let pairs = match &ask.device.parameters {
            FenceParameters::Pairs(pairs) => Ok(pairs.clone()),
            FenceParameters::Words(_) | FenceParameters::File(_) => {
                parameters(&ask.device).and_then(|text| agent_parameters(&text))
            }
        };
        let pairs = match pairs {
            Ok(pairs) => pairs,
            Err(why) => return self.end(ask.job, Err(why)),
        };
        let hosts = match (plugs(&pairs), ask.command.verb) {
            (Ok(hosts), _) => hosts,
            // Whether it is well does not depend on whom it is for.
            (Err(_), FenceVerb::Status) => Vec::new(),
            (Err(why), _) => return self.end(ask.job, Err(why)),
        };
        if ask.command.verb == FenceVerb::Hosts {
            let names: Vec<String> = hosts.into_iter().map(|(host, _)| host).collect();
            return self.end(ask.job, Ok(names.join("\n")));
        }
        let action = match (ask.command.verb, pairs.iter().find(|(n, _)| n == "action")) {
            (FenceVerb::Reset, Some((_, action))) if action == "off" => "off",
            (FenceVerb::Reset, _) => "reboot",
            (FenceVerb::Off, _) => "off",
            (FenceVerb::Status | FenceVerb::Hosts, _) => "monitor",
        };
        let mut lines = format!("action={action}\n");
        for (name, value) in pairs.iter().filter(|(n, _)| n != "hosts" && n != "action") {
            lines += &format!("{name}={value}\n");
        }
        if let Some(node) = &ask.command.node {
            let Some((_, plug)) = hosts.iter().find(|(h, _)| h.eq_ignore_ascii_case(node.as_str())) else {
                return self.end(ask.job, Err(format!("it does not say that it switches {node} off")));
            };
            lines += &format!("nodename={node}\n");
            if let Some(plug) = plug {
                lines += &format!("port={plug}\n");
            }
        }
        let path = match program(&ask.device.kind) {
            Ok(path) => path,
            Err(why) => return self.end(ask.job, Err(why)),
        };
        let program = Program {
            title: format!("STONITH {} {action}", ask.device.title()),
            path,
            args: Vec::new(),
            env: self.env.clone(),
            input: Some(lines.into_bytes()),
            secrets: secrets(&pairs),
            ..Program::default()
        };
        self.start(now, ask, program);
    }

    fn start(&mut self, now: Instant, ask: Ask, program: Program) {
        self.next += 1;
        let number = JobId(self.next);
        let name = ask.device.name();
        let Ok(resource) = name.parse() else {
            return self.end(ask.job, Err(format!("{name} is no name")));
        };
        let command = Command {
            resource: ResourceSpec {
                name: resource,
                script: name,
                args: Vec::new(),
            },
            // Its lines go to the log as those of `status`: of the failures the core speaks.
            verb: Verb::Status,
            limit: ask.command.limit,
        };
        self.asks.insert(number, ask);
        self.jobs.start_program(now, number, command, program);
    }

    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.jobs.fds()
    }

    /// As `Jobs::tick`: what has ended, by the numbers of the core.
    pub fn tick(&mut self, now: Instant) -> Vec<(JobId, Outcome)> {
        for ended in self.jobs.tick(now) {
            let Some(ask) = self.asks.remove(&ended.job) else {
                continue;
            };
            if ask.names && ended.outcome.exit == Exit::Code(0) {
                self.named(now, ask, &ended.outcome.output);
            } else {
                self.ended.push((ask.job, ended.outcome));
            }
        }
        std::mem::take(&mut self.ended)
    }

    /// A plugin has said what its parameters are called.
    fn named(&mut self, now: Instant, mut ask: Ask, names: &str) {
        ask.names = false;
        let names: Vec<&str> = names.split_ascii_whitespace().collect();
        let given = match &ask.device.parameters {
            // What the plugin does not know is somebody else's.
            FenceParameters::Pairs(pairs) => {
                let known = pairs.iter().filter(|(name, _)| names.contains(&name.as_str()));
                Ok(known.cloned().collect())
            }
            FenceParameters::Words(_) | FenceParameters::File(_) => {
                parameters(&ask.device).and_then(|text| external_parameters(&names, &text))
            }
        };
        match given {
            Ok(parameters) => {
                let verb = match ask.command.verb {
                    FenceVerb::Hosts => "gethosts",
                    FenceVerb::Status => "status",
                    FenceVerb::Reset => "reset",
                    FenceVerb::Off => "off",
                };
                self.run(now, ask, verb, parameters);
            }
            Err(why) => self.end(ask.job, Err(why)),
        }
    }

    pub fn deadline(&self) -> Instant {
        if self.ended.is_empty() {
            self.jobs.deadline()
        } else {
            Instant::from_millis(0)
        }
    }
}

fn secrets(parameters: &Pairs) -> Vec<String> {
    let secret = parameters.iter().filter(|(name, _)| is_secret(name));
    secret.map(|(_, value)| value.clone()).collect()
}

/// The parameters as they are written.
fn parameters(device: &FenceDevice) -> Result<String, String> {
    match &device.parameters {
        FenceParameters::Words(words) => Ok(words.join(" ")),
        FenceParameters::File(file) => read(file),
        FenceParameters::Pairs(_) => Err("its parameters stand in no file".to_owned()),
    }
}

fn read(file: &Path) -> Result<String, String> {
    let named = |e: std::io::Error| format!("{}: {e}", file.display());
    // Asked first, because opening a FIFO would wait for its other end.
    if !std::fs::metadata(file).map_err(named)?.is_file() {
        return Err(format!("{}: it is not a regular file", file.display()));
    }
    let mut text = String::new();
    let handle = std::fs::File::open(file).map_err(named)?;
    handle.take(LONGEST_FILE).read_to_string(&mut text).map_err(named)?;
    Ok(text)
}

/// The program of a device; what keeps it from being used is said as a sentence.
pub fn program(kind: &FenceKind) -> Result<PathBuf, String> {
    let (path, package) = match kind {
        FenceKind::External(name) => (paths::stonith_plugins().join(name), "cluster-glue"),
        FenceKind::Agent(name) => (paths::fence_agents().join(name), "fence-agents"),
        FenceKind::Meatware | FenceKind::Null => return Err("it is no program".to_owned()),
    };
    let shown = path.display();
    let facts = match std::fs::metadata(&path) {
        Ok(facts) => facts,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!("there is no {shown}: install {package}, or write another type"));
        }
        Err(e) => return Err(format!("{shown}: {e}")),
    };
    let mode = facts.permissions().mode();
    if !facts.is_file() || mode & 0o111 == 0 {
        return Err(format!("{shown} cannot be run: chmod 755 {shown}"));
    }
    // As cluster-glue, which does not see such a plugin at all.
    if mode & 0o022 != 0 {
        return Err(format!(
            "others may write {shown}, and so become root: chmod 755 {shown}"
        ));
    }
    Ok(path)
}

/// What is wrong with a device before it is ever used: no program, no file, parameters that cannot be.
pub fn fault(device: &FenceDevice) -> Option<String> {
    if !matches!(device.kind, FenceKind::Meatware | FenceKind::Null)
        && let Err(why) = program(&device.kind)
    {
        return Some(why);
    }
    let text = match parameters(device) {
        Ok(text) => text,
        Err(why) => return Some(why),
    };
    match device.kind {
        FenceKind::External(_) => None,
        FenceKind::Agent(_) => agent_parameters(&text).and_then(|p| plugs(&p)).err(),
        FenceKind::Meatware | FenceKind::Null if people(&text).is_empty() => Some("it names no node".to_owned()),
        FenceKind::Meatware | FenceKind::Null => None,
    }
}
