//! The client programs of `respawn` and `failfast` lines: started in order once this node is active, again when they end,
//! stopped in the other order at the end of everything.
//!
//! They outlive a master that dies. `respawn_file` says which process each of them has, written before the program
//! begins, and the next master takes these over: it watches them, but cannot see how they end, since they are not its
//! children. (To have the kernel end them with the master would be simpler, and would stop ipfail or a resource manager
//! just when the cluster is in trouble.)

use super::client;
use super::link::Order;
use super::respawn_file::{self, Entry};
use super::respawn_rules::{Next, Pace};
use super::role::{CLIENT_TITLE, ROLE};
use super::shelf::Shelf;
use crate::conf::ha_cf::ClientLine;
use crate::daemon::view::ClientReport;
use crate::paths;
use crate::sys::pair::{End, Got, pair};
use crate::sys::program::{self, Program};
use crate::sys::{process, reboot};
use crate::time::{Duration, Instant};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// From SIGTERM to SIGKILL for what ha.cf does not have any more; heartbeat 3.0.6 waits an hour.
const UNKNOWN_PATIENCE: Duration = Duration::from_secs(10);
/// From SIGKILL to going on without.
const KILL_TO_GIVE_UP: Duration = Duration::from_secs(2);

#[derive(Debug)]
enum State {
    /// To be started then.
    Waiting {
        until: Instant,
    },
    /// `link` is open until the program itself runs.
    Running {
        process: Program,
        link: Option<End>,
    },
    /// It has said that it has nothing to do.
    Done,
    GivenUp,
}

#[derive(Debug)]
struct Client {
    line: ClientLine,
    /// Where the program really is.
    program: PathBuf,
    state: State,
    since: Instant,
    restarts: u64,
    pace: Pace,
    /// How it ended last, or why it could not be started.
    last: String,
    /// Not even begun this time.
    refused: bool,
    /// It was started by a master before this one.
    adopted: bool,
}

/// A program that is to end.
#[derive(Debug)]
struct Leaving {
    process: Program,
    name: String,
    program: PathBuf,
    patience: Duration,
    push: Push,
}

#[derive(Clone, Copy, Debug)]
enum Push {
    Asked { kill_at: Instant },
    Killed { give_up_at: Instant },
}

#[derive(Debug)]
pub struct Programs {
    list: Vec<Client>,
    /// Of lines that are gone, and of the one that is being stopped.
    leaving: Vec<Leaving>,
    env: Vec<(String, String)>,
    /// The node is active.
    begun: bool,
    stopping: bool,
    changed: bool,
    shelf: Arc<Shelf>,
}

/// As ha.cf has it.
fn words(line: &ClientLine) -> String {
    let directive = if line.failfast { "failfast" } else { "respawn" };
    let mut text = format!("{directive} {} {}", line.user, line.program.display());
    for arg in &line.args {
        text += " ";
        text += arg;
    }
    text
}

impl Programs {
    /// `found` is what a master before this one has left behind: what ha.cf still has is taken over, the rest is ended.
    pub fn new(
        now: Instant,
        lines: &[ClientLine],
        env: Vec<(String, String)>,
        found: Vec<Entry>,
        shelf: Arc<Shelf>,
    ) -> Self {
        let mut programs = Self {
            list: Vec::new(),
            leaving: Vec::new(),
            env,
            begun: false,
            stopping: false,
            changed: true,
            shelf,
        };
        programs.list = lines.iter().map(|line| Client::new(now, line)).collect();
        for entry in found {
            programs.take_over(now, entry);
        }
        programs
    }

    fn take_over(&mut self, now: Instant, entry: Entry) {
        let fits = |c: &&mut Client| !c.adopted && words(&c.line) == entry.line;
        let place = self.list.iter_mut().find(fits);
        let Some((pid, started)) = entry.process else {
            if let Some(client) = place {
                client.state = State::Done;
                client.adopted = true;
                client.since = entry.began;
                client.last = "it is not to be started again".to_owned();
            }
            return;
        };
        let Some(process) = Program::adopt(pid, started) else {
            return;
        };
        match place {
            Some(client) => {
                log::info!("client {}: runs on [pid {pid}]", client.line.program.display());
                client.state = State::Running { process, link: None };
                client.adopted = true;
                client.since = entry.began;
                client.restarts = entry.restarts;
                client.pace = entry.pace;
            }
            None => {
                let name = entry.line.split(' ').nth(2).unwrap_or_default().to_owned();
                log::info!("client {name}: runs [pid {pid}], but is not in ha.cf any more; stopping it");
                self.leaving
                    .push(Leaving::new(now, process, name.clone(), name.into(), UNKNOWN_PATIENCE));
            }
        }
    }

    /// This node is active: from now on programs run.
    pub fn begin(&mut self) {
        self.begun = true;
    }

    /// A new ha.cf: lines that are gone are stopped, new ones started, the others left alone. A program that was given up
    /// gets another chance.
    pub fn reload(&mut self, now: Instant, lines: &[ClientLine], env: Vec<(String, String)>) {
        self.env = env;
        self.changed = true;
        let mut old = std::mem::take(&mut self.list);
        for line in lines {
            match old.iter().position(|c| words(&c.line) == words(line)) {
                Some(at) => {
                    let mut kept = old.remove(at);
                    kept.line = line.clone();
                    if let State::GivenUp = kept.state {
                        kept = Client::new(now, line);
                    }
                    self.list.push(kept);
                }
                None => self.list.push(Client::new(now, line)),
            }
        }
        for gone in old.into_iter().rev() {
            if let State::Running { process, .. } = gone.state {
                log::info!(
                    "client {}: no longer in ha.cf, stopping it",
                    gone.line.program.display()
                );
                let name = gone.line.program.display().to_string();
                self.leaving
                    .push(Leaving::new(now, process, name, gone.program, gone.line.patience));
            }
        }
        self.write();
    }

    /// From now on nothing is started, and what runs is ended, the last one first.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Everything has ended, or was given up.
    pub fn are_stopped(&self) -> bool {
        self.stopping && !self.any_runs()
    }

    pub fn any_runs(&self) -> bool {
        let runs = |c: &Client| matches!(c.state, State::Running { .. });
        !self.leaving.is_empty() || self.list.iter().any(runs)
    }

    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let mut fds: Vec<BorrowedFd<'_>> = self.leaving.iter().map(|l| l.process.fd()).collect();
        for client in &self.list {
            if let State::Running { process, link } = &client.state {
                fds.push(process.fd());
                fds.extend(link.as_ref().map(End::fd));
            }
        }
        fds
    }

    pub fn deadline(&self) -> Instant {
        let mut at = Instant::NEVER;
        for leaving in &self.leaving {
            at = at.min(leaving.push.deadline());
        }
        if self.begun && !self.stopping {
            for client in &self.list {
                match client.state {
                    State::Waiting { until } if !self.is_leaving(client) => at = at.min(until),
                    State::Waiting { .. } | State::Running { .. } | State::Done | State::GivenUp => {}
                }
            }
        }
        at
    }

    /// Looks at what ended and does what is due; never blocks. True when something can be told.
    pub fn tick(&mut self, now: Instant) -> bool {
        for i in 0..self.list.len() {
            self.look_at(now, i);
        }
        self.leaving.retain_mut(|leaving| leaving.push(now));
        if self.stopping {
            self.stop_next(now);
        } else if self.begun {
            for i in 0..self.list.len() {
                if matches!(self.list[i].state, State::Waiting { until } if now >= until)
                    && !self.is_leaving(&self.list[i])
                {
                    self.start(now, i);
                }
            }
        }
        std::mem::take(&mut self.changed)
    }

    /// An old copy with other arguments has not ended yet.
    fn is_leaving(&self, client: &Client) -> bool {
        self.leaving.iter().any(|l| l.program == client.program)
    }

    fn stop_next(&mut self, now: Instant) {
        if !self.leaving.is_empty() {
            return;
        }
        let last = self.list.iter_mut().rev().find_map(|client| {
            let State::Running { .. } = client.state else {
                return None;
            };
            let state = std::mem::replace(&mut client.state, State::Done);
            client.since = now;
            client.last = "heartbeat is stopping".to_owned();
            match state {
                State::Running { process, .. } => Some((client, process)),
                State::Waiting { .. } | State::Done | State::GivenUp => None,
            }
        });
        if let Some((client, process)) = last {
            let name = client.line.program.display().to_string();
            log::info!("client {name}: stopping it [pid {}]", process.pid());
            self.leaving.push(Leaving::new(
                now,
                process,
                name,
                client.program.clone(),
                client.line.patience,
            ));
            self.changed = true;
        }
    }

    fn look_at(&mut self, now: Instant, i: usize) {
        let client = &mut self.list[i];
        let name = client.line.program.display().to_string();
        let State::Running { process, link } = &mut client.state else {
            return;
        };
        if let Some(end) = link {
            match end.receive() {
                Ok(Got::Message { bytes, .. }) => {
                    let why = String::from_utf8_lossy(&bytes).into_owned();
                    log::error!("client {name}: cannot be started: {why}");
                    client.last = why;
                    client.refused = true;
                }
                Ok(Got::Nothing) => {}
                Ok(Got::Closed) | Err(_) => *link = None,
            }
        }
        let Some(end) = process.ended(false) else { return };
        let pid = process.pid();
        let ran = now - client.since;
        // Why it could not be started says more than the exit code of the process that was to become it.
        let never_began = link.is_some() || client.refused;
        let how = match end {
            program::End::Code(code) => format!("exited with return code {code}"),
            program::End::Signal(signal) => format!("was killed by signal {signal}"),
            program::End::Unseen => "ended; how is not known, since another master had started it".to_owned(),
        };
        log::warn!("Managed {name} process {pid} {how}.");
        let failfast = client.line.failfast && !never_began && !self.stopping;
        if !never_began {
            client.last = how;
        }
        client.since = now;
        client.adopted = false;
        match client.pace.ended(failfast, end, ran) {
            // The word of the process in between is not the program's.
            Next::Never if !never_began => {
                log::info!("client {name}: is not started again, as it wants");
                client.state = State::Done;
            }
            Next::Start { after } => {
                let pause = if after.is_zero() { "" } else { " in a second" };
                log::error!("Respawning client \"{name}\"{pause}");
                client.restarts += 1;
                client.state = State::Waiting { until: now + after };
            }
            Next::Never | Next::GiveUp => {
                log::error!(
                    "Client \"{name}\" respawning too fast: given up. Mend it, then `heartbeat -r` starts it again"
                );
                client.state = State::GivenUp;
            }
            Next::Reboot => {
                log::error!("CRIT: Rebooting system.  Reason: {name}");
                // The line goes through a pipe to a thread: a moment for the disk.
                std::thread::sleep(Duration::from_millis(100));
                let why = reboot::now();
                log::error!(
                    "CRIT: client {name}: this machine cannot be rebooted ({why}); the client is started again"
                );
                client.restarts += 1;
                client.state = State::Waiting {
                    until: now + super::respawn_rules::PAUSE,
                };
            }
        }
        self.write();
    }

    fn start(&mut self, now: Instant, i: usize) {
        let client = &mut self.list[i];
        let name = client.line.program.display().to_string();
        client.since = now;
        client.refused = false;
        match spawn() {
            Ok((process, link)) => {
                log::info!(
                    "Starting \"{}\" as {} (pid {})",
                    command(client),
                    client.line.user,
                    process.pid()
                );
                client.state = State::Running {
                    process,
                    link: Some(link),
                };
            }
            Err(e) => {
                log::error!("client {name}: cannot be started ({e}); trying again");
                client.last = e.to_string();
                client.state = State::Waiting {
                    until: now + super::respawn_rules::PAUSE,
                };
                self.changed = true;
                return;
            }
        }
        self.write();
        let client = &mut self.list[i];
        let order = Order {
            user: client.line.user.clone(),
            program: client.program.clone(),
            command: command(client),
            env: self.env.clone(),
        };
        if let State::Running { link: Some(link), .. } = &mut client.state {
            link.send(order.encode(), None);
        }
    }

    /// For the next master. Nothing is written at the end of an orderly stop but that all is gone.
    fn write(&mut self) {
        self.changed = true;
        let entries: Vec<Entry> = self.list.iter().filter_map(Client::entry).collect();
        self.shelf.ask("client programs", move || {
            if let Err(e) = respawn_file::write(&entries) {
                let file = paths::respawned();
                log::error!(
                    "{} cannot be written ({e}): a new master would start a second copy of the clients",
                    file.display()
                );
            }
        });
    }

    /// For `cl_status status`.
    pub fn report(&self) -> Vec<ClientReport> {
        let report = |c: &Client| ClientReport {
            user: c.line.user.clone(),
            command: words(&c.line).splitn(3, ' ').nth(2).unwrap_or_default().to_owned(),
            failfast: c.line.failfast,
            state: match &c.state {
                State::Waiting { .. } => "waiting",
                State::Running { .. } => "running",
                State::Done if self.stopping => "stopped",
                State::Done => "done",
                State::GivenUp => "given up",
            }
            .to_owned(),
            pid: match &c.state {
                State::Running { process, .. } => process.pid(),
                State::Waiting { .. } | State::Done | State::GivenUp => 0,
            },
            since: c.since,
            restarts: c.restarts,
            last: c.last.clone(),
        };
        self.list.iter().map(report).collect()
    }
}

/// What the shell is to run, as in heartbeat 3.0.6: arguments may hold quotes and redirections.
fn command(client: &Client) -> String {
    let mut text = client.program.display().to_string();
    if client
        .program
        .to_string_lossy()
        .contains(|c: char| !(c.is_ascii_alphanumeric() || "/._-+@:".contains(c)))
    {
        text = format!("'{}'", text.replace('\'', "'\\''"));
    }
    for arg in &client.line.args {
        text += " ";
        text += arg;
    }
    text
}

fn spawn() -> io::Result<(Program, End)> {
    let (ours, theirs) = pair()?;
    let env = [(ROLE, client::ROLE_NAME.to_owned())];
    let child = process::spawn_own(CLIENT_TITLE, &env, &[theirs.as_fd()], true)?;
    Ok((Program::own(child)?, End::new(ours)))
}

impl Client {
    fn new(now: Instant, line: &ClientLine) -> Self {
        Self {
            line: line.clone(),
            program: paths::program(&line.program),
            state: State::Waiting { until: now },
            since: now,
            restarts: 0,
            pace: Pace::default(),
            last: String::new(),
            refused: false,
            adopted: false,
        }
    }

    fn entry(&self) -> Option<Entry> {
        let process = match &self.state {
            State::Running { process, .. } => Some((process.pid(), program::started_at(process.pid())?)),
            State::Done | State::GivenUp => None,
            State::Waiting { .. } => return None,
        };
        Some(Entry {
            process,
            began: self.since,
            restarts: self.restarts,
            pace: self.pace,
            line: words(&self.line),
        })
    }
}

impl Push {
    fn deadline(self) -> Instant {
        match self {
            Self::Asked { kill_at: t } | Self::Killed { give_up_at: t } => t,
        }
    }
}

impl Leaving {
    fn new(now: Instant, process: Program, name: String, program: PathBuf, patience: Duration) -> Self {
        process.terminate();
        Self {
            process,
            name,
            program,
            patience,
            push: Push::Asked {
                kill_at: now + patience,
            },
        }
    }

    /// False when it is over, one way or the other.
    fn push(&mut self, now: Instant) -> bool {
        let (name, pid) = (&self.name, self.process.pid());
        if self.process.ended(true).is_some() {
            log::info!("client {name}: stopped [pid {pid}]");
            return false;
        }
        if now < self.push.deadline() {
            return true;
        }
        match self.push {
            Push::Asked { .. } => {
                let waited = self.patience;
                log::warn!("client {name}: still there {waited:?} after SIGTERM, sending SIGKILL [pid {pid}]");
                self.process.kill();
                self.push = Push::Killed {
                    give_up_at: now + KILL_TO_GIVE_UP,
                };
                true
            }
            Push::Killed { .. } => {
                log::error!("client {name}: process {pid} survives SIGKILL (it hangs in the kernel), given up");
                false
            }
        }
    }
}
