//! Runs of `drbdadm`: one argument a name, a time limit, its output in the log.

use crate::dopd::machine::Verb;
use crate::dopd::outcome::Exit;
use crate::dopd::{DrbdName, Event};
use crate::ids::JobId;
use crate::jobs::environment::SAFE_PATH;
use crate::jobs::output::Output;
use crate::sys::child::{self, Child, Ended};
use crate::sys::files;
use crate::time::{Duration, Instant};
use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// From SIGTERM to SIGKILL.
const TERM_TO_KILL: Duration = Duration::from_secs(1);
/// Runs that were given up and hang in the kernel; as many again would not end either.
const MOST_STUCK: usize = 8;
/// What needs root when dopd is not, of drbd-utils 8.4 to 9.
const NEED_ROOT: [&str; 4] = [
    "/sbin/drbdsetup",
    "/usr/sbin/drbdsetup",
    "/lib/drbd/drbdsetup-84",
    "/usr/lib/drbd/drbdsetup-84",
];
/// What drbdsetup says then: the kernel's "not root", and that of the library.
const NO_RIGHTS: [&str; 4] = ["(152)", "ermission denied", "not permitted", "root"];

#[derive(Debug)]
struct Run {
    job: JobId,
    child: Child,
    output: Output,
    began: Instant,
    until: Instant,
}

#[derive(Debug)]
pub struct Drbdadm {
    program: Option<PathBuf>,
    running: Vec<Run>,
    /// Could not be started.
    stillborn: Vec<Event>,
    /// Told to end; killed at the moment.
    ending: Vec<(Child, Instant)>,
}

fn find() -> Option<PathBuf> {
    let places = SAFE_PATH.split(':').map(|dir| Path::new(dir).join("drbdadm"));
    places.into_iter().find(|p| p.is_file())
}

impl Drbdadm {
    pub fn new(program: Option<PathBuf>) -> Self {
        Self {
            program,
            running: Vec::new(),
            stillborn: Vec::new(),
            ending: Vec::new(),
        }
    }

    /// Said at the start, not when it is needed.
    pub fn warn_of_rights(&self) {
        if self.program.is_none() && find().is_none() {
            log::warn!("drbdadm: is not in {SAFE_PATH}; install drbd-utils");
        } else if files::own_user() != 0 && self.program.is_none() {
            let setuid = |p: &str| fs::metadata(p).is_ok_and(|m| m.permissions().mode() & 0o4000 != 0);
            if !NEED_ROOT.iter().any(|p| setuid(p)) {
                log::warn!("drbdadm: may not change DRBD's state for this user; {}", REMEDY);
            }
        }
    }

    pub fn start(&mut self, now: Instant, job: JobId, verb: Verb, resource: &DrbdName, until: Instant) {
        let cannot = |why: String| {
            log::error!("resource {resource}: drbdadm {}: {why}", verb.as_str());
            Event::Ran {
                job,
                exit: Exit::CannotRun(why),
                output: String::new(),
            }
        };
        if self.ending.len() >= MOST_STUCK {
            let why = format!("not run: {MOST_STUCK} earlier ones hang and cannot be ended");
            return self.stillborn.push(cannot(why));
        }
        let Some(program) = self.program.clone().or_else(find) else {
            let why = format!("is not in {SAFE_PATH}; install drbd-utils");
            return self.stillborn.push(cannot(why));
        };
        let args = [verb.as_str().to_owned(), resource.to_string()];
        let env = [("PATH".to_owned(), SAFE_PATH.to_owned())];
        match child::spawn(&program, &args, &env) {
            Ok((child, pipe)) => {
                let title = format!("resource {resource}: drbdadm {}", verb.as_str());
                let output = Output::new(now, pipe, title, log::Level::Info);
                self.running.push(Run {
                    job,
                    child,
                    output,
                    began: now,
                    until,
                });
            }
            Err(e) => self.stillborn.push(cannot(format!("{}: {e}", program.display()))),
        }
    }

    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let running = self.running.iter().map(|r| r.child.fd());
        let outputs = self.running.iter().filter_map(|r| r.output.fd());
        let ending = self.ending.iter().map(|(c, _)| c.fd());
        running.chain(outputs).chain(ending).collect()
    }

    pub fn deadline(&self) -> Instant {
        if !self.stillborn.is_empty() {
            return Instant::default();
        }
        let limits = self.running.iter().map(|r| r.until);
        let kills = self.ending.iter().map(|(_, t)| *t);
        limits.chain(kills).min().unwrap_or(Instant::NEVER)
    }

    pub fn turn(&mut self, now: Instant) -> Vec<Event> {
        let mut over = std::mem::take(&mut self.stillborn);
        let mut still = Vec::new();
        for mut run in std::mem::take(&mut self.running) {
            run.output.read(now);
            if run.child.has_ended() {
                // Whatever it wrote before it ended is in the pipe by now.
                run.output.read(now);
                let exit = match run.child.reap() {
                    Ok(Some(Ended::Code(code))) => Exit::Code(code),
                    Ok(Some(Ended::Signal(signal))) => Exit::Signal(signal),
                    Ok(None) => Exit::CannotRun("its exit code was lost".to_owned()),
                    Err(e) => Exit::CannotRun(format!("its exit code was lost: {e}")),
                };
                over.push(run.over(now, exit));
            } else if now >= run.until {
                run.child.terminate();
                let (event, child) = run.late(now);
                self.ending.push((child, now + TERM_TO_KILL));
                over.push(event);
            } else {
                still.push(run);
            }
        }
        self.running = still;
        for (child, kill_at) in &mut self.ending {
            if now >= *kill_at && *kill_at != Instant::NEVER {
                child.kill();
                *kill_at = Instant::NEVER;
            }
        }
        self.ending.retain_mut(|(child, _)| {
            if child.has_ended() {
                // What it started and left behind; the number is its own until the line below.
                child.kill();
            }
            matches!(child.reap(), Ok(None))
        });
        over
    }
}

/// What dopd(8) explains.
const REMEDY: &str = "start dopd as root (respawn root ...) or give drbdsetup to the group haclient, see dopd(8)";

impl Run {
    fn over(mut self, now: Instant, exit: Exit) -> Event {
        let text = self.output.finish(now);
        let (title, took) = (self.output.title(), (now - self.began).as_secs_f32());
        match exit {
            Exit::Code(0) => log::info!("{title}: exit code 0 after {took:.3} s"),
            Exit::Code(code) => log::warn!("{title}: exit code {code} after {took:.3} s"),
            Exit::Signal(signal) => log::error!("{title}: ended by signal {signal} after {took:.3} s"),
            Exit::TimedOut => log::error!("{title}: timed out after {took:.3} s"),
            Exit::CannotRun(ref why) => log::error!("{title}: {why}"),
        }
        let refused = matches!(exit, Exit::Code(code) if code != 0) && NO_RIGHTS.iter().any(|w| text.contains(w));
        if refused && files::own_user() != 0 {
            log::error!("{title}: dopd has not the rights; {REMEDY}");
        }
        Event::Ran {
            job: self.job,
            exit,
            output: text,
        }
    }

    /// The answer is given now; the process is ended beside it.
    fn late(self, now: Instant) -> (Event, Child) {
        let Self {
            job,
            child,
            mut output,
            began,
            ..
        } = self;
        let text = output.finish(now);
        let took = (now - began).as_secs_f32();
        log::error!(
            "{}: takes longer than there is time for, ended after {took:.3} s",
            output.title()
        );
        let event = Event::Ran {
            job,
            exit: Exit::TimedOut,
            output: text,
        };
        (event, child)
    }
}
