//! Runs OCF agents: the program `OCF`, and what the runner has to know of a resource `OCF::…`.
//!
//! The agent is a child in the process group of the program, so that whoever ends the one ends both. How long it may take is
//! not its business: the runner asks [`limit`] before it starts the program, and finds what the last `status` has written.

use crate::agents::{self, environment};
use crate::conf::ResourceSpec;
use crate::groups::job::{Command as Order, Exit, Verb};
use crate::jobs::runner::{Jobs, Program};
use crate::ocf::call::{self, Call, FIRST_PROVIDER, With};
use crate::ocf::status::{self, Answer};
use crate::ocf::{Action, Limits, limits};
use crate::paths;
use crate::sys::files;
use crate::sys::poll::{Want, wait};
use crate::time::Duration;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

/// The name in haresources.
pub const SCRIPT: &str = "OCF";
/// An agent that needs longer to describe itself is not waited for; its actions have the limit of all scripts then.
const META_DATA_LIMIT: Duration = Duration::from_secs(5);
/// What is kept of the output of a monitor, to show when it fails.
const SHOWN: usize = 4096;
/// The end of that output, when the agent has left something behind that holds it open.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(200);

const FAILED: u8 = 1;
const NOT_INSTALLED: u8 = 5;
const NOT_CONFIGURED: u8 = 6;
const NOT_RUNNING: u8 = 7;

pub const USAGE: &str = "\
Usage: OCF [PROVIDER:]AGENT [NAME=VALUE...] start|stop|status|monitor|validate-all|meta-data
       OCF [PROVIDER:]AGENT INSTANCE start|stop|status|monitor|validate-all

Runs an OCF agent of $OCF_ROOT/resource.d [/usr/lib/ocf/resource.d] with these
parameters, or with those of the file conf/OCF/AGENT/INSTANCE of ha.d. In haresources:

    node1 OCF::IPaddr2::ip=10.0.0.1::cidr_netmask=24 OCF::heartbeat:nginx

start-timeout=TIME, stop-timeout=TIME and monitor-timeout=TIME replace the limits
that the agent advises.
";

/// An agent that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Agent {
    provider: String,
    name: String,
    path: PathBuf,
}

impl Agent {
    fn title(&self) -> String {
        format!("{}:{}", self.provider, self.name)
    }

    fn limits_file(&self) -> PathBuf {
        paths::run()
            .join("heartbeat/ocf")
            .join(format!("{}.{}", self.provider, self.name))
    }

    /// What was noted, if the agent has not been replaced since.
    fn noted_limits(&self) -> Option<Limits> {
        let file = self.limits_file();
        let (note, agent) = (fs::metadata(&file).ok()?, fs::metadata(&self.path).ok()?);
        let newer = (note.ctime(), note.ctime_nsec()) > (agent.ctime(), agent.ctime_nsec());
        let text = (newer && note.uid() == files::own_user()).then(|| fs::read_to_string(&file).ok())??;
        Some(Limits::from_line(&text))
    }
}

/// Why there is no agent.
#[derive(Clone, PartialEq, Eq, Debug)]
enum NoAgent {
    Missing(String),
    /// It may well be there, and its service running: a disk does not answer, or the name fits several.
    Unknown(String),
}

impl NoAgent {
    fn sentence(self) -> String {
        match self {
            Self::Missing(why) | Self::Unknown(why) => why,
        }
    }
}

/// The agent that is meant, or the sentence that says where was looked.
fn find(root: &Path, call: &Call) -> Result<Agent, NoAgent> {
    let agents = root.join("resource.d");
    let at = |provider: &str| {
        let path = agents.join(provider).join(&call.agent);
        match fs::metadata(&path) {
            Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => Ok(Some(Agent {
                provider: provider.to_owned(),
                name: call.agent.clone(),
                path,
            })),
            Ok(_) => Ok(None),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(NoAgent::Unknown(format!("{}: {e}", path.display()))),
        }
    };
    let missing = |place: &Path| {
        NoAgent::Missing(format!(
            "there is no OCF agent {} in {}: install it (Debian: resource-agents), or correct its name",
            call.agent,
            place.display()
        ))
    };
    if let Some(provider) = &call.provider {
        return at(provider)?.ok_or_else(|| missing(&agents.join(provider)));
    }
    if let Some(agent) = at(FIRST_PROVIDER)? {
        return Ok(agent);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&agents).into_iter().flatten().flatten() {
        found.extend(at(&entry.file_name().to_string_lossy())?);
    }
    found.sort_by(|a, b| a.provider.cmp(&b.provider));
    match found.len() {
        0 => Err(missing(&agents)),
        1 => Ok(found.remove(0)),
        _ => {
            let names: Vec<String> = found.iter().map(Agent::title).collect();
            Err(NoAgent::Unknown(format!(
                "several providers have an agent {}: write one of {}",
                call.agent,
                names.join(", ")
            )))
        }
    }
}

/// Why a resource `OCF::…` cannot work on this node: for `heartbeat -t`.
pub fn fault(resource: &ResourceSpec) -> Option<String> {
    let call = call::parse(&resource.args).ok()?;
    if let With::Instance(name) = &call.with
        && let Err(why) = instance(&call.agent, name)
    {
        return Some(format!("{}: {why}", resource.name));
    }
    find(Path::new(super::environment::OCF_ROOT), &call)
        .err()
        .map(|e| format!("{}: {}", resource.name, e.sentence()))
}

/// The limit of a resource `OCF::…`: what its words say, else what its agent advises. `None` while nobody has asked the
/// agent yet: its `status`, which comes before every start, does.
pub fn limit(resource: &ResourceSpec, verb: Verb, env: &[(String, String)]) -> Option<Duration> {
    if resource.script != SCRIPT {
        return None;
    }
    let action = match verb {
        Verb::Start => Action::Start,
        Verb::Stop => Action::Stop,
        Verb::Status => Action::Monitor,
    };
    let call = call::parse(&resource.args).ok()?;
    let root = env.iter().find(|(name, _)| name == "OCF_ROOT")?;
    let noted = || find(Path::new(&root.1), &call).ok()?.noted_limits()?.get(action);
    call.limits.get(action).or_else(noted)
}

/// The parameters in `conf/OCF/AGENT/INSTANCE`.
fn instance(agent: &str, name: &str) -> Result<Vec<(String, String)>, String> {
    let file = paths::config().join("conf/OCF").join(agent).join(name);
    let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    call::instance_file(&text).map_err(|why| format!("{}: {why}", file.display()))
}

/// The whole program: the exit status.
pub fn main(args: &[String]) -> u8 {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (action, words) = match words[..] {
        [] => return wrong("no agent and no action"),
        ["usage" | "--help" | "-h"] | [_, "usage"] => return print(USAGE),
        [.., action] => (action, &args[..args.len() - 1]),
    };
    if !["start", "stop", "status", "monitor", "validate-all", "meta-data"].contains(&action) {
        return wrong(&format!("\"{action}\" is not an action"));
    }
    let call = match call::parse(words) {
        Ok(call) => call,
        Err(why) => return wrong(&why),
    };
    let given = match &call.with {
        With::Parameters(pairs) => Ok(pairs.clone()),
        With::Instance(name) => instance(&call.agent, name),
    };
    let parameters = match given {
        Ok(pairs) => pairs,
        Err(why) => return fail(&why, NOT_CONFIGURED),
    };
    let root = std::env::var_os("OCF_ROOT").filter(|v| !v.is_empty());
    let root = root.map_or_else(|| PathBuf::from(super::environment::OCF_ROOT), PathBuf::from);
    match find(&root, &call) {
        Ok(agent) => act(&root, &call, &agent, parameters, action),
        // What is not installed does not run: a node without the agent must be able to let go of its group.
        Err(NoAgent::Missing(why)) if action == "stop" => {
            complain(&why);
            0
        }
        Err(NoAgent::Missing(why)) if action == "status" => {
            complain(&why);
            print("INFO:  Resource is stopped\n");
            NOT_RUNNING
        }
        Err(NoAgent::Missing(why)) => fail(&why, NOT_INSTALLED),
        Err(NoAgent::Unknown(why)) => fail(&why, FAILED),
    }
}

fn act(root: &Path, call: &Call, agent: &Agent, parameters: Vec<(String, String)>, action: &str) -> u8 {
    let mut env: BTreeMap<String, String> = parameters
        .into_iter()
        .map(|(name, value)| (format!("OCF_RESKEY_{name}"), value))
        .collect();
    let name = instance_name(agent, &env);
    let meant = agents::Agent {
        class: agents::Class::Ocf,
        provider: Some(agent.provider.clone()),
        name: agent.name.clone(),
    };
    env.extend(environment::of_agent(&meant, &name));
    let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
    set("OCF_ROOT", &root.to_string_lossy());
    set("OCF_RESKEY_CRM_meta_interval", "0");
    if action == "meta-data" {
        return run(agent, &env, action);
    }
    let advised = agent.noted_limits().unwrap_or_else(|| note_limits(agent, &env));
    let limit = Action::from_word(action).and_then(|a| call.limits.get(a).or(advised.get(a)));
    if let Some(limit) = limit {
        env.insert("OCF_RESKEY_CRM_meta_timeout".to_owned(), limit.as_millis().to_string());
    }
    match action {
        "status" => tell_status(agent, &env),
        action => run(agent, &env, action),
    }
}

/// The same for the same parameters, another for others: agents keep their state under this name.
fn instance_name(agent: &Agent, parameters: &BTreeMap<String, String>) -> String {
    // A script that hands its work to this program may have a name already.
    if let Ok(name) = std::env::var("OCF_RESOURCE_INSTANCE")
        && !name.is_empty()
    {
        return name;
    }
    let mut all: BTreeMap<String, String> = environment().filter(|(n, _)| n.starts_with("OCF_RESKEY_")).collect();
    all.extend(parameters.clone());
    let mut sha = Sha1::new();
    for (name, value) in &all {
        sha.update(format!("{name}={value}\n").as_bytes());
    }
    let hex: String = sha.finalize()[..4].iter().map(|b| format!("{b:02x}")).collect();
    format!("{}_{hex}", agent.name)
}

/// What is not UTF-8 is no parameter of an agent, and must not stop one.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Asks the agent and writes the answer down. Whatever goes wrong: then there are no limits of its own.
fn note_limits(agent: &Agent, env: &BTreeMap<String, String>) -> Limits {
    let mut whole: BTreeMap<String, String> = environment().collect();
    whole.extend(env.clone());
    let mut jobs = Jobs::new(Vec::new(), Vec::new());
    let Ok(name) = agent.title().parse() else {
        return Limits::default();
    };
    let order = Order {
        resource: ResourceSpec {
            name,
            script: SCRIPT.to_owned(),
            args: Vec::new(),
        },
        verb: Verb::Status,
        limit: META_DATA_LIMIT,
    };
    let program = Program {
        title: agent.title(),
        path: agent.path.clone(),
        args: vec!["meta-data".to_owned()],
        env: whole.into_iter().collect(),
        ..Program::default()
    };
    jobs.start_program(crate::sys::now(), crate::ids::JobId(0), order, program);
    let outcome = loop {
        let wants: Vec<Want<'_>> = jobs.fds().into_iter().map(Want::read).collect();
        let _ = wait(&wants, jobs.deadline());
        if let Some(ended) = jobs.tick(crate::sys::now()).pop() {
            break ended.outcome;
        }
    };
    if outcome.exit != Exit::Code(0) {
        return Limits::default();
    }
    // The runner keeps the last 4 KiB, where an agent has its actions.
    let limits = limits::of_meta_data(&outcome.output);
    let file = agent.limits_file();
    let written = fs::create_dir_all(file.parent().unwrap_or(Path::new("/")))
        .and_then(|()| files::put(&file, limits.to_line().as_bytes(), 0o644, true));
    if let Err(e) = written
        && e.kind() != io::ErrorKind::PermissionDenied
    {
        complain(&format!("{}: {e}", file.display()));
    }
    limits
}

/// An action whose exit status is the answer.
fn run(agent: &Agent, env: &BTreeMap<String, String>, action: &str) -> u8 {
    match Command::new(&agent.path)
        .arg(action)
        .envs(env)
        .stdin(Stdio::null())
        .status()
    {
        Ok(ended) => {
            let code = ended.code().unwrap_or(i32::from(FAILED));
            let answer = action == "monitor" && status::answer(code) != Answer::Unknown;
            if code != status::DONE && !answer {
                complain(&format!(
                    "{} {action}: {} (exit status {code})",
                    agent.title(),
                    status::sentence(code)
                ));
            }
            u8::try_from(code).unwrap_or(FAILED)
        }
        Err(e) => fail(&format!("{}: {e}", agent.path.display()), NOT_INSTALLED),
    }
}

/// `monitor`, its exit status told in words. What the agent itself says is shown only when something is wrong, and not
/// where it could be taken for the answer.
fn tell_status(agent: &Agent, env: &BTreeMap<String, String>) -> u8 {
    let (code, said) = match captured(agent, env) {
        Ok(both) => both,
        Err(e) => return fail(&format!("{}: {e}", agent.path.display()), NOT_INSTALLED),
    };
    match status::answer(code) {
        Answer::Running => print(&format!("INFO:  Running OK: {}\n", agent.title())),
        Answer::Stopped => {
            print("INFO:  Resource is stopped\n");
            NOT_RUNNING
        }
        Answer::Unknown => {
            for line in said.lines().filter(|l| !sounds_running(l)) {
                complain(line);
            }
            complain(&format!(
                "{} monitor: {} (exit status {code})",
                agent.title(),
                status::sentence(code)
            ));
            u8::try_from(code).unwrap_or(FAILED)
        }
    }
}

fn sounds_running(line: &str) -> bool {
    line.contains("OK") || line.to_ascii_lowercase().contains("running")
}

fn captured(agent: &Agent, env: &BTreeMap<String, String>) -> io::Result<(i32, String)> {
    let (mut ours, theirs) = io::pipe()?;
    let mut child = Command::new(&agent.path)
        .arg("monitor")
        .envs(env)
        .stdin(Stdio::null())
        .stdout(theirs.try_clone()?)
        .stderr(theirs)
        .spawn()?;
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n) = ours.read(&mut buffer) {
            // The receiver goes when it has waited long enough.
            if n == 0 || send.send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    let ended = child.wait()?;
    let mut kept: Vec<u8> = Vec::new();
    while let Ok(bytes) = received.recv_timeout(OUTPUT_PATIENCE) {
        kept.extend_from_slice(&bytes);
        let excess = kept.len().saturating_sub(SHOWN);
        kept.drain(..excess);
    }
    let code = ended.code().unwrap_or(i32::from(FAILED));
    Ok((code, String::from_utf8_lossy(&kept).into_owned()))
}

fn print(text: &str) -> u8 {
    let _ = io::stdout().write_all(text.as_bytes());
    0
}

fn complain(sentence: &str) {
    let _ = writeln!(io::stderr(), "OCF: {sentence}");
}

fn fail(sentence: &str, code: u8) -> u8 {
    complain(sentence);
    code
}

fn wrong(sentence: &str) -> u8 {
    complain(sentence);
    let _ = write!(io::stderr(), "{USAGE}");
    FAILED
}
