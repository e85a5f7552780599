//! The agents of this machine: which there are, and what they say of themselves.

use crate::agents::agent::Roots;
use crate::agents::{Agent, Class, MetaData};
use crate::paths;
use crate::sys::poll::{Want, wait};
use crate::sys::program::Program;
use crate::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Most agents answer in a tenth of a second; one that hangs must not take the prompt with it.
const PATIENCE: Duration = Duration::from_secs(20);
/// As [`crate::agents::metadata::LONGEST`]: what is longer is refused there.
const LONGEST: u64 = 256 * 1024;
/// Of a terminal that does not say.
const WIDTH: usize = 80;
const ROWS: usize = 24;

pub fn width() -> usize {
    crate::sys::terminal::size().map_or(WIDTH, |(_, columns)| columns.max(1))
}

pub fn rows() -> usize {
    crate::sys::terminal::size().map_or(ROWS, |(rows, _)| rows.max(2))
}

/// Asks each agent once.
#[derive(Debug)]
pub struct Local {
    roots: Roots,
    known: RefCell<BTreeMap<String, Option<MetaData>>>,
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

impl Local {
    pub fn new() -> Self {
        let ocf = std::env::var_os("OCF_ROOT").filter(|r| !r.is_empty());
        Self {
            roots: Roots {
                ocf: ocf.map_or_else(|| PathBuf::from("/usr/lib/ocf"), PathBuf::from),
                init_d: paths::init_d(),
                resource_d: paths::resource_d(),
                stonith_plugins: paths::stonith_plugins(),
                fence_agents: paths::fence_agents(),
            },
            known: RefCell::default(),
        }
    }

    /// Providers of class ocf that have an agent.
    pub fn providers(&self) -> Vec<String> {
        let folders = names(&self.roots.ocf.join("resource.d"), |p| p.is_dir());
        folders
            .into_iter()
            .filter(|p| !self.agents(Class::Ocf, Some(p)).is_empty())
            .collect()
    }

    /// The names of the agents of a class, sorted bytewise.
    pub fn agents(&self, class: Class, provider: Option<&str>) -> Vec<String> {
        let mut all = match (class, provider) {
            (Class::Ocf, Some(provider)) => names(&self.roots.ocf.join("resource.d").join(provider), is_program),
            (Class::Ocf, None) => {
                let providers = names(&self.roots.ocf.join("resource.d"), |p| p.is_dir());
                providers
                    .iter()
                    .flat_map(|p| self.agents(Class::Ocf, Some(p)))
                    .collect()
            }
            (Class::Lsb | Class::Service, _) => names(&self.roots.init_d, is_program),
            (Class::Heartbeat, _) => names(&self.roots.resource_d, is_program),
            (Class::Stonith, _) => {
                let plugins = names(&self.roots.stonith_plugins, is_program);
                let plugins = plugins.into_iter().map(|n| format!("external/{n}"));
                let agents = names(&self.roots.fence_agents, is_program);
                plugins
                    .chain(agents.into_iter().filter(|n| n.starts_with("fence_")))
                    .collect()
            }
            (Class::Systemd, _) => units(),
        };
        all.retain(|n| !n.ends_with(".sh") && !n.starts_with("ocf-"));
        all.sort();
        all.dedup();
        all
    }

    /// The providers of an agent of class ocf.
    pub fn providers_of(&self, kind: &str) -> Vec<String> {
        let all = self.providers().into_iter();
        all.filter(|p| self.agents(Class::Ocf, Some(p)).iter().any(|n| n == kind))
            .collect()
    }

    /// What an agent says of itself; `None` when there is none here, or it says nothing that can be understood.
    pub fn meta(&self, agent: &Agent) -> Option<MetaData> {
        let name = agent.to_string();
        if let Some(known) = self.known.borrow().get(&name) {
            return known.clone();
        }
        let meta = self.look(agent);
        self.known.borrow_mut().insert(name, meta.clone());
        meta
    }

    fn look(&self, agent: &Agent) -> Option<MetaData> {
        if agent.class == Class::Systemd || agent.class == Class::Service && self.program(agent).is_none() {
            return units().contains(&agent.name).then(|| MetaData::of_class(agent, ""));
        }
        // Devices that are part of the fencing itself.
        if agent.class == Class::Stonith && ["meatware", "null"].contains(&&*agent.name) {
            return Some(MetaData::of_class(agent, ""));
        }
        let program = self.program(agent)?;
        match agent.class {
            Class::Ocf => {
                let mut command = Command::new(&program);
                command.arg("meta-data").env("OCF_ROOT", &self.roots.ocf);
                command
                    .env("OCF_RA_VERSION_MAJOR", "1")
                    .env("OCF_RA_VERSION_MINOR", "1");
                command.env("OCF_RESOURCE_TYPE", &agent.name);
                command.env("OCF_RESOURCE_INSTANCE", &agent.name);
                if let Some(provider) = &agent.provider {
                    command.env("OCF_RESOURCE_PROVIDER", provider);
                }
                MetaData::parse(&output(command)?).ok()
            }
            Class::Stonith if agent.name.starts_with("external/") => {
                let mut command = Command::new(&program);
                command.arg("getinfo-xml");
                MetaData::of_plugin(&agent.name, &output(command)?).ok()
            }
            Class::Stonith => {
                let mut command = Command::new(&program);
                command.args(["-o", "metadata"]);
                MetaData::parse(&output(command)?).ok()
            }
            Class::Lsb | Class::Heartbeat | Class::Service | Class::Systemd => {
                let mut text = Vec::new();
                let file = std::fs::File::open(&program).ok()?;
                file.take(LONGEST).read_to_end(&mut text).ok()?;
                Some(MetaData::of_class(agent, &String::from_utf8_lossy(&text)))
            }
        }
    }

    fn program(&self, agent: &Agent) -> Option<PathBuf> {
        agent.places(&self.roots).into_iter().find(|p| is_program(p))
    }
}

/// The entries of a folder for which `wanted` holds; names that begin with a dot are hidden.
fn names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<String> = entries
        .filter(|e| wanted(&e.path()))
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|n| !n.starts_with('.'))
        .collect();
    all.sort();
    all
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Services of systemd, where it is.
fn units() -> Vec<String> {
    let folders = ["/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"];
    let files = folders.iter().flat_map(|f| names(Path::new(f), |p| p.is_file()));
    files
        .filter_map(|n| n.strip_suffix(".service").map(str::to_owned))
        .collect()
}

/// What a program writes within its time.
fn output(mut command: Command) -> Option<String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command.spawn().ok()?;
    let pipe = child.stdout.take()?;
    let mut program = Program::own(child).ok()?;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.take(LONGEST).read_to_end(&mut text);
        text
    });
    let until = crate::sys::now() + PATIENCE;
    while program.ended(true).is_none() {
        if crate::sys::now() >= until {
            program.kill();
        }
        let next = until.max(crate::sys::now() + Duration::from_millis(100));
        let _ = wait(&[Want::read(program.fd())], next);
    }
    // What it left behind was killed with its group: the pipe is closed.
    let text = reader.join().ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}
