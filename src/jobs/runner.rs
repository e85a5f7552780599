//! The scripts that run now: started, read, ended in time.

use super::find::find;
use super::left::Notes;
use super::ocf;
use super::output::Output;
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::ids::{JobId, ResourceName};
use crate::sys::child::{self, Child};
use crate::sys::fifo;
use crate::sys::poll::{Want, wait};
use crate::time::{Duration, Instant};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// From SIGTERM to SIGKILL: time for a script's own clean-up.
pub const TERM_TO_KILL: Duration = Duration::from_secs(5);
/// From SIGKILL to giving up. A process that outlives SIGKILL hangs in the kernel (a dead disk, a dead file server).
pub const KILL_TO_GIVE_UP: Duration = Duration::from_secs(2);
/// Services that still hold their start script's output; each costs a descriptor.
const MOST_TAILS: usize = 64;

/// A script that has ended.
#[derive(Debug)]
pub struct Ended {
    pub job: JobId,
    pub command: Command,
    pub outcome: Outcome,
    /// False after [`Jobs::disown`].
    pub wanted: bool,
}

/// A program that is no resource script. What its environment and its input say may be secret and is never logged.
#[derive(Default)]
pub struct Program {
    /// In front of each line of the log.
    pub title: String,
    pub path: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub input: Option<Vec<u8>>,
    /// Left out of its output.
    pub secrets: Vec<String>,
    /// What it does, for whoever finds it running after us; empty for the verb of its command.
    pub does: String,
    /// Bytes of its output that are kept, if more than usual.
    pub keep: usize,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Program").field(&self.title).field(&self.args).finish()
    }
}

/// How far a script that takes too long has been pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Push {
    InTime { until: Instant },
    Terminated { kill_at: Instant },
    Killed { give_up_at: Instant },
}

impl Push {
    fn deadline(self) -> Instant {
        match self {
            Self::InTime { until: t } | Self::Terminated { kill_at: t } | Self::Killed { give_up_at: t } => t,
        }
    }
}

#[derive(Debug)]
struct Job {
    job: JobId,
    command: Command,
    /// As it was called, for the log.
    called: String,
    child: Child,
    output: Output,
    began: Instant,
    push: Push,
    /// Says that it runs.
    note: Option<PathBuf>,
    wanted: bool,
}

/// The scripts that run now.
#[derive(Debug)]
pub struct Jobs {
    places: Vec<PathBuf>,
    env: Vec<(String, String)>,
    notes: Option<Notes>,
    /// Notes written so far.
    noted: u64,
    running: Vec<Job>,
    /// Could not be started; reported at the next `tick`.
    stillborn: Vec<Ended>,
    /// Given up, but the kernel has not let go of them.
    stuck: Vec<Child>,
    /// The script has ended, a service it left behind still holds its output. Closing our end would kill the service
    /// with SIGPIPE at its next line, so it is read to the log for as long as it is open.
    tails: Vec<Output>,
}

impl Jobs {
    /// `places` are the directories where scripts are looked for, in order; `env` is the whole environment of scripts.
    pub fn new(places: Vec<PathBuf>, env: Vec<(String, String)>) -> Self {
        Self {
            places,
            env,
            notes: None,
            noted: 0,
            running: Vec::new(),
            stillborn: Vec::new(),
            stuck: Vec::new(),
            tails: Vec::new(),
        }
    }

    /// Scripts are to be found by whoever comes after this process.
    pub fn note_in(&mut self, notes: Notes) {
        self.notes = Some(notes);
    }

    /// Output of scripts, or of services they have started, whose other end an earlier process had.
    pub fn read_on(&mut self, now: Instant, title: String, pipe: OwnedFd) {
        self.tails.push(Output::new(now, pipe, title, log::Level::Info));
    }

    /// The same through FIFOs, as [`Notes::outputs`] finds them.
    pub fn read_on_through(&mut self, now: Instant, fifos: Vec<(String, PathBuf)>) {
        for (title, path) in fifos {
            match fifo::open_fifo(&path, fifo::Access::Read) {
                Ok((pipe, _)) if self.tails.len() < MOST_TAILS => {
                    self.tails
                        .push(Output::new(now, pipe, title, log::Level::Info).through(Some(path)));
                }
                Ok(_) | Err(_) => drop(std::fs::remove_file(&path)),
            }
        }
    }

    /// Titles and descriptors of all output that is being read.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        let running = self.running.iter().map(|j| &j.output);
        running.chain(&self.tails).filter_map(|o| Some((o.title(), o.fd()?)))
    }

    /// Of the script that was started last, if it runs.
    pub fn newest_output(&self) -> Option<(&str, BorrowedFd<'_>)> {
        let output = &self.running.last()?.output;
        Some((output.title(), output.fd()?))
    }

    /// Nobody waits for what runs now any more; it is reported as not wanted.
    pub fn disown(&mut self) {
        for job in &mut self.running {
            job.wanted = false;
        }
        for ended in &mut self.stillborn {
            ended.wanted = false;
        }
    }

    /// The resources of scripts that run and that nobody waits for.
    pub fn disowned(&self) -> impl Iterator<Item = &ResourceName> {
        let running = self.running.iter().filter(|j| !j.wanted);
        running.map(|j| &j.command.resource.name)
    }

    /// For scripts started from now on.
    pub fn set_env(&mut self, env: Vec<(String, String)>) {
        self.env = env;
    }

    /// Starts a script. When it cannot be started at all, `tick` reports it as ended at once.
    pub fn start(&mut self, now: Instant, job: JobId, command: Command) {
        let mut command = command;
        if let Some(limit) = ocf::limit(&command.resource, command.verb, &self.env) {
            command.limit = limit;
        }
        let mut args = command.resource.args.clone();
        args.push(command.verb.as_str().to_owned());
        let program = find(&self.places, &command.resource.script).map(|path| Program {
            title: title(&command),
            path,
            args,
            env: self.env.clone(),
            ..Program::default()
        });
        match program {
            Ok(program) => self.start_program(now, job, command, program),
            Err(why) => self.not_started(title(&command), job, command, why),
        }
    }

    fn not_started(&mut self, title: String, job: JobId, command: Command, why: String) {
        log::error!("{title}: {why}");
        self.stillborn.push(Ended {
            job,
            command,
            outcome: Outcome {
                exit: Exit::CannotRun(why),
                output: String::new(),
                took: Duration::ZERO,
            },
            wanted: true,
        });
    }

    /// Starts any program; of `command` only the limit and the verb count, by which it is told how much is logged.
    pub fn start_program(&mut self, now: Instant, job: JobId, command: Command, program: Program) {
        let Program {
            title,
            path,
            args,
            env,
            input,
            secrets,
            does,
            keep,
        } = program;
        let called = format!("{} {}", path.display(), args.join(" "));
        let place = self.notes.as_ref().map(|notes| notes.path(self.noted));
        let fifo = self.notes.as_ref().and_then(|notes| notes.output(self.noted, &command));
        self.noted += 1;
        let note = self.notes.as_ref().zip(place.as_ref());
        let note = note.and_then(|(notes, place)| notes.of(place, &command, &does));
        match child::spawn_into(&path, &args, &env, input.as_deref(), note.as_ref(), fifo.as_deref()) {
            Ok((child, pipe)) => {
                log::debug!("{title}: running {called} [pid {}]", child.pid());
                let push = Push::InTime {
                    until: now + command.limit,
                };
                self.running.push(Job {
                    job,
                    output: Output::new(now, pipe, title, quiet_if_status(command.verb, log::Level::Info))
                        .hiding(secrets)
                        .keeping(keep)
                        .through(fifo),
                    command,
                    called,
                    child,
                    began: now,
                    push,
                    note: place,
                    wanted: true,
                });
            }
            Err(e) => {
                if let Some(fifo) = fifo {
                    let _ = std::fs::remove_file(fifo);
                }
                self.not_started(title, job, command, format!("{}: {e}", path.display()));
            }
        }
    }

    /// The descriptors to wait for.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let ends = self.running.iter().map(|j| j.child.fd());
        let outputs = self.running.iter().filter_map(|j| j.output.fd());
        let stuck = self.stuck.iter().map(Child::fd);
        let tails = self.tails.iter().filter_map(Output::fd);
        ends.chain(outputs).chain(stuck).chain(tails).collect()
    }

    /// Reads what the scripts wrote, sends due signals and reports what has ended. Never blocks; call it whenever a
    /// descriptor is readable, after SIGCHLD, and at `deadline()`.
    pub fn tick(&mut self, now: Instant) -> Vec<Ended> {
        let mut ended = std::mem::take(&mut self.stillborn);
        let mut i = 0;
        while i < self.running.len() {
            match self.running[i].turn(now) {
                Some(exit) => {
                    let job = self.running.remove(i);
                    ended.push(self.bury(now, job, exit));
                }
                None => i += 1,
            }
        }
        self.stuck.retain_mut(|child| matches!(child.reap(), Ok(None)));
        for tail in &mut self.tails {
            tail.read(now);
        }
        self.tails.retain(|tail| !tail.is_closed());
        ended
    }

    /// When `tick` is due without any descriptor being ready.
    pub fn deadline(&self) -> Instant {
        if !self.stillborn.is_empty() {
            return Instant::from_millis(0);
        }
        let due = self.running.iter().map(|j| j.push.deadline());
        due.min().unwrap_or(Instant::NEVER)
    }

    /// Scripts that were given up and hang in the kernel all the same.
    pub fn stuck(&self) -> usize {
        self.stuck.len()
    }

    /// Scripts that have been started and not yet been reported as ended.
    pub fn running(&self) -> usize {
        self.running.len() + self.stillborn.len()
    }

    fn bury(&mut self, now: Instant, mut job: Job, exit: Exit) -> Ended {
        let outcome = Outcome {
            exit,
            output: job.output.finish(now),
            took: now - job.began,
        };
        job.tell(&outcome);
        if matches!(job.child.reap(), Ok(None)) {
            self.stuck.push(job.child);
        }
        if !job.output.is_closed() {
            if self.tails.len() == MOST_TAILS {
                let mut oldest = self.tails.remove(0);
                oldest.close();
                log::warn!(
                    "{}: its output is no longer read: too many others are open",
                    oldest.title()
                );
            }
            self.tails.push(job.output);
        }
        if let Some(note) = &job.note {
            let _ = std::fs::remove_file(note);
        }
        Ended {
            job: job.job,
            command: job.command,
            outcome,
            wanted: job.wanted,
        }
    }
}

impl Job {
    /// Reads and pushes; the answer is there when the script is over.
    fn turn(&mut self, now: Instant) -> Option<Exit> {
        self.output.read(now);
        if self.child.has_ended() {
            // Whatever it wrote before it ended is in the pipe by now.
            self.output.read(now);
            let late = !matches!(self.push, Push::InTime { .. });
            if late {
                // Its children that took SIGTERM lightly; the number is safe until the line below.
                self.child.kill();
            }
            return Some(match self.child.reap() {
                Ok(_) if late => Exit::TimedOut,
                Ok(Some(child::Ended::Code(code))) => Exit::Code(code),
                Ok(Some(child::Ended::Signal(signal))) => Exit::Signal(signal),
                Ok(None) => return None,
                Err(e) => Exit::CannotRun(format!("its exit code was lost: {e}")),
            });
        }
        if now < self.push.deadline() {
            return None;
        }
        let title = self.output.title();
        match self.push {
            Push::InTime { .. } => {
                let limit = self.command.limit;
                log::warn!("{title}: takes longer than its limit of {limit:?}, sending SIGTERM");
                self.child.terminate();
                self.push = Push::Terminated {
                    kill_at: now + TERM_TO_KILL,
                };
                None
            }
            Push::Terminated { .. } => {
                log::warn!("{title}: still there {TERM_TO_KILL:?} after SIGTERM, sending SIGKILL");
                self.child.kill();
                self.push = Push::Killed {
                    give_up_at: now + KILL_TO_GIVE_UP,
                };
                None
            }
            Push::Killed { .. } => {
                let pid = self.child.pid();
                log::error!("{title}: process {pid} survives SIGKILL (it hangs in the kernel), given up");
                Some(Exit::TimedOut)
            }
        }
    }

    /// One line for each script: what was called, how it ended, how long it took.
    fn tell(&self, outcome: &Outcome) {
        let (called, took) = (&self.called, outcome.took.as_secs_f32());
        let title = self.output.title();
        let level = match (&outcome.exit, self.command.verb) {
            (Exit::Code(0), verb) => quiet_if_status(verb, log::Level::Info),
            // "not running" is an answer of status, not a failure.
            (Exit::Code(_), verb @ Verb::Status) => quiet_if_status(verb, log::Level::Info),
            (Exit::Code(_) | Exit::Signal(_), _) => log::Level::Warn,
            (Exit::TimedOut | Exit::CannotRun(_), _) => log::Level::Error,
        };
        match &outcome.exit {
            Exit::Code(code) => log::log!(level, "{title}: {called}: exit code {code} after {took:.3} s"),
            Exit::Signal(n) => log::log!(level, "{title}: {called}: ended by signal {n} after {took:.3} s"),
            Exit::TimedOut => log::log!(level, "{title}: {called}: timed out after {took:.3} s"),
            Exit::CannotRun(why) => log::log!(level, "{title}: {called}: {why}"),
        }
    }
}

fn title(command: &Command) -> String {
    format!("resource {} {}", command.resource.name, command.verb.as_str())
}

/// Status runs are many and say the same each time.
fn quiet_if_status(verb: Verb, level: log::Level) -> log::Level {
    match verb {
        Verb::Status => log::Level::Debug,
        Verb::Start | Verb::Stop => level,
    }
}

/// Runs one script and waits for its end: for commands, never for the daemon.
pub fn run_to_end(jobs: &mut Jobs, command: Command) -> Outcome {
    const ONLY: JobId = JobId(0);
    jobs.start(crate::sys::now(), ONLY, command);
    loop {
        let wants: Vec<Want<'_>> = jobs.fds().into_iter().map(Want::read).collect();
        if let Err(e) = wait(&wants, jobs.deadline()) {
            log::error!("waiting for a script: {e}");
        }
        if let Some(ended) = jobs.tick(crate::sys::now()).pop() {
            return ended.outcome;
        }
    }
}
