//! The verbs of ResourceManager: the groups of haresources, looked at and moved by hand.
//!
//! The daemon does not use this: it has its own state machine and runs the scripts itself. Here a command runs them one
//! after the other and waits.

use super::environment::script_env;
use super::runner::{Jobs, run_to_end};
use crate::check;
use crate::conf::{GroupSpec, HaCf, Haresources, Parsed, ResourceSpec, ha_cf, haresources};
use crate::groups::group::says_running;
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::ids::NodeName;
use crate::paths;
use crate::time::Duration;
use std::io::Write;
use std::path::Path;

/// 10, as HA_STOPRETRYMAX in heartbeat 3.0.6.
const STOP_RETRIES: i64 = 10;
const STOP_PAUSE: Duration = Duration::from_secs(1);

/// A site as its files describe it, and the means to run its scripts.
#[derive(Debug)]
pub struct Manager {
    pub me: NodeName,
    pub cf: HaCf,
    pub groups: Vec<GroupSpec>,
    jobs: Jobs,
    stop_retries: i64,
}

/// How much of a group runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runs {
    All,
    Some,
    None,
}

impl Manager {
    /// Reads ha.cf and haresources. The error is every complaint, one a line.
    pub fn load() -> Result<Self, String> {
        let me = node_name()?;
        let cf = read(&paths::ha_cf(), |file, text| ha_cf::parse(file, text, &me))?;
        let nodes: Vec<NodeName> = cf.normal_nodes().cloned().collect();
        let Haresources { groups } = read(&paths::haresources(), |file, text| {
            haresources::parse(file, text, &nodes)
        })?;
        let jobs = Jobs::new(vec![paths::resource_d(), paths::init_d()], script_env(&cf, &me));
        let stop_retries = std::env::var("HA_STOPRETRYMAX").ok().and_then(|v| v.parse().ok());
        Ok(Self {
            me,
            cf,
            groups,
            jobs,
            stop_retries: stop_retries.unwrap_or(STOP_RETRIES),
        })
    }

    /// The groups of node `name`, letters of any case.
    pub fn groups_of(&self, name: &str) -> impl Iterator<Item = &GroupSpec> {
        self.groups
            .iter()
            .filter(move |g| g.node.as_str().eq_ignore_ascii_case(name))
    }

    /// Every group that has exactly the word `key`; the first word of a line is its key, but any of them will do.
    pub fn groups_with(&self, key: &str) -> Vec<GroupSpec> {
        let has = |g: &&GroupSpec| g.resources.iter().any(|r| r.name.as_str() == key);
        self.groups.iter().filter(has).cloned().collect()
    }

    /// A resource as haresources would write it.
    pub fn resource(&self, word: &str) -> Result<ResourceSpec, String> {
        let known = self
            .groups
            .iter()
            .flat_map(|g| &g.resources)
            .find(|r| r.name.as_str() == word);
        if let Some(resource) = known {
            return Ok(resource.clone());
        }
        let line = format!("{} {word}\n", self.me);
        let parsed = haresources::parse(Path::new("argument"), &line, std::slice::from_ref(&self.me));
        match parsed.value.map(|h| h.groups) {
            Some(groups) if groups.len() == 1 && groups[0].resources.len() == 1 => Ok(groups[0].resources[0].clone()),
            Some(_) | None => Err(format!("\"{word}\" is not a resource as haresources writes it")),
        }
    }

    pub fn status(&mut self, resource: &ResourceSpec) -> Result<bool, String> {
        let outcome = self.run(resource, Verb::Status);
        match &outcome.exit {
            Exit::CannotRun(why) => Err(why.clone()),
            Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut => Ok(says_running(&outcome.output)),
        }
    }

    /// What of the group runs; a script that cannot be asked does not count as running.
    pub fn runs(&mut self, group: &GroupSpec) -> Runs {
        let mut running = 0;
        for resource in &group.resources {
            running += usize::from(self.status(resource).unwrap_or(false));
        }
        match running {
            0 => Runs::None,
            n if n == group.resources.len() => Runs::All,
            _ => Runs::Some,
        }
    }

    /// Starts left to right what does not run yet. After a failure the group is released again.
    pub fn take(&mut self, group: &GroupSpec) -> bool {
        log::info!("group {}: acquiring", group.key());
        for resource in &group.resources {
            if self.status(resource).unwrap_or(false) {
                log::info!("resource {}: is running already", resource.name);
                continue;
            }
            if self.run(resource, Verb::Start).exit != Exit::Code(0) {
                log::error!(
                    "group {}: giving up resources due to failure of {}",
                    group.key(),
                    resource.name
                );
                self.give(group);
                return false;
            }
        }
        true
    }

    /// Stops right to left; one that will not stop does not keep the others.
    pub fn give(&mut self, group: &GroupSpec) -> bool {
        log::info!("group {}: releasing", group.key());
        let mut good = true;
        for resource in group.resources.iter().rev() {
            good &= self.stop(resource);
        }
        good
    }

    fn stop(&mut self, resource: &ResourceSpec) -> bool {
        let mut tries = 0;
        loop {
            match self.run(resource, Verb::Stop).exit {
                Exit::Code(0) => return true,
                // There is no use in asking a script again that is not there.
                Exit::CannotRun(_) => return false,
                Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut => tries += 1,
            }
            if self.stop_retries > 0 && tries >= self.stop_retries {
                break;
            }
            log::warn!(
                "resource {}: does not stop, trying again (retry {tries})",
                resource.name
            );
            std::thread::sleep(STOP_PAUSE);
        }
        match self.status(resource) {
            Ok(false) => {
                log::error!(
                    "resource {}: stop fails, but it does not run: its script is probably not LSB-compliant",
                    resource.name
                );
                true
            }
            Ok(true) | Err(_) => {
                log::error!(
                    "resource {}: cannot be stopped; stop it by hand before another node takes it",
                    resource.name
                );
                false
            }
        }
    }

    fn run(&mut self, resource: &ResourceSpec, verb: Verb) -> Outcome {
        let command = Command {
            resource: resource.clone(),
            verb,
            limit: self.cf.resource_timeout,
        };
        run_to_end(&mut self.jobs, command)
    }
}

/// Commands log to stderr, in the classic's words; `HA_debug` in the environment shows the status runs too.
pub fn log_to_stderr(program: &'static str) {
    let level = match std::env::var("HA_debug").as_deref() {
        Ok("") | Ok("0") | Err(_) => log::LevelFilter::Info,
        Ok(_) => log::LevelFilter::Debug,
    };
    let line = move |out: &mut env_logger::fmt::Formatter, record: &log::Record<'_>| {
        let word = match record.level() {
            log::Level::Error => "ERROR",
            log::Level::Warn => "WARN",
            log::Level::Info => "info",
            log::Level::Debug | log::Level::Trace => "debug",
        };
        writeln!(out, "{program}: {word}: {}", record.args())
    };
    // A second logger would be a mistake of the program, not of its user; the first goes on.
    let _ = env_logger::Builder::new().filter_level(level).format(line).try_init();
}

/// HA_CURHOST, which heartbeat gives its scripts; else the name that the daemon would take.
fn node_name() -> Result<NodeName, String> {
    match std::env::var("HA_CURHOST") {
        Ok(name) if !name.is_empty() => name.parse().map_err(|e| format!("HA_CURHOST: {e}")),
        Ok(_) | Err(_) => check::node_name().map_err(|e| e.to_string()),
    }
}

fn read<T>(file: &Path, parse: impl Fn(&Path, &str) -> Parsed<T>) -> Result<T, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let parsed = parse(file, &text);
    parsed.value.ok_or_else(|| {
        let lines: Vec<String> = parsed.complaints.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}
