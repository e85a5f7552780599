//! The looking itself: scripts and connections that are on their way. A look that takes too long has failed at that
//! moment, whatever becomes of it later.

use crate::checks::http;
use crate::conf::{CheckKind, CheckSpec, ResourceSpec};
use crate::groups::group::says_running;
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::ids::JobId;
use crate::jobs::environment::of_client;
use crate::jobs::runner::{Jobs, Program};
use crate::paths;
use crate::sys::poll::Want;
use crate::sys::tcp;
use crate::time::{Duration, Instant};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;

/// Scripts that were killed and hang in the kernel; as many again would hang too.
const MOST_STUCK: usize = 16;

/// Check, run, and what was seen.
pub type Seen = (usize, u64, Result<(), String>);

#[derive(Debug)]
enum Look {
    /// Ends as a job of the run's number. Of a resource script the words decide, of others the exit code.
    Script { by_words: bool },
    Connection {
        stream: TcpStream,
        /// The rest of the question; `None` before there is a connection, and for ever when nothing is asked.
        question: Option<Vec<u8>>,
        answer: Vec<u8>,
        kind: CheckKind,
    },
}

#[derive(Debug)]
struct Probe {
    check: usize,
    run: u64,
    until: Instant,
    timeout: Duration,
    look: Look,
}

#[derive(Debug)]
pub struct Probes {
    jobs: Jobs,
    env: Vec<(String, String)>,
    now: Vec<Probe>,
    /// Scripts that nobody waits for any more and that have not ended yet: check and run.
    late: Vec<(usize, u64)>,
    /// Over before they began.
    over: Vec<Seen>,
}

impl Probes {
    pub fn new() -> Self {
        let env = of_client();
        Self {
            jobs: Jobs::new(vec![paths::resource_d(), paths::init_d()], env.clone()),
            env,
            now: Vec::new(),
            late: Vec::new(),
            over: Vec::new(),
        }
    }

    pub fn begin(&mut self, now: Instant, check: usize, run: u64, spec: &CheckSpec) {
        let look = match &spec.kind {
            CheckKind::Status(_) | CheckKind::Script { .. } if self.hangs(check) => {
                Err("the script of the look before still hangs".to_owned())
            }
            CheckKind::Status(resource) => {
                self.jobs
                    .start(now, JobId(run), command(resource.clone(), spec.timeout));
                Ok(Look::Script { by_words: true })
            }
            CheckKind::Script { program, args } => {
                let title = format!("check {}", spec.kind);
                let named = ResourceSpec {
                    name: spec.from.clone(),
                    script: title.clone(),
                    args: Vec::new(),
                };
                let program = Program {
                    title,
                    path: program.clone(),
                    args: args.clone(),
                    env: self.env.clone(),
                    ..Program::default()
                };
                self.jobs
                    .start_program(now, JobId(run), command(named, spec.timeout), program);
                Ok(Look::Script { by_words: false })
            }
            CheckKind::Tcp(address) | CheckKind::Http { address, .. } => match tcp::begin(*address) {
                Ok(stream) => Ok(Look::Connection {
                    stream,
                    question: None,
                    answer: Vec::new(),
                    kind: spec.kind.clone(),
                }),
                Err(e) => Err(plain(&e)),
            },
        };
        match look {
            Ok(look) => self.now.push(Probe {
                check,
                run,
                until: now + spec.timeout,
                timeout: spec.timeout,
                look,
            }),
            Err(why) => self.over.push((check, run, Err(why))),
        }
    }

    fn hangs(&self, check: usize) -> bool {
        self.late.iter().any(|(c, _)| *c == check) || self.jobs.stuck() >= MOST_STUCK
    }

    pub fn drop_one(&mut self, check: usize) {
        self.over.retain(|(c, _, _)| *c != check);
        while let Some(at) = self.now.iter().position(|p| p.check == check) {
            let probe = self.now.remove(at);
            if matches!(probe.look, Look::Script { .. }) {
                self.late.push((probe.check, probe.run));
            }
        }
    }

    /// The checks have other numbers now.
    pub fn drop_all(&mut self) {
        (self.now, self.late, self.over) = (Vec::new(), Vec::new(), Vec::new());
    }

    pub fn wants(&self) -> Vec<Want<'_>> {
        let scripts = self.jobs.fds().into_iter().map(Want::read);
        let connections = self.now.iter().filter_map(|p| match &p.look {
            Look::Script { .. } => None,
            Look::Connection { stream, question, .. } => Some(Want {
                fd: stream.as_fd(),
                write: question.as_ref().is_none_or(|q| !q.is_empty()),
            }),
        });
        scripts.chain(connections).collect()
    }

    pub fn deadline(&self) -> Instant {
        if !self.over.is_empty() {
            return Instant::default();
        }
        let due = self.now.iter().map(|p| p.until).min().unwrap_or(Instant::NEVER);
        due.min(self.jobs.deadline())
    }

    /// What was seen since the last turn. Never blocks.
    pub fn tick(&mut self, now: Instant) -> Vec<Seen> {
        let mut seen = std::mem::take(&mut self.over);
        for ended in self.jobs.tick(now) {
            let run = ended.job.0;
            self.late.retain(|(_, late)| *late != run);
            if let Some(at) = self.now.iter().position(|p| p.run == run) {
                let probe = self.now.remove(at);
                let by_words = matches!(probe.look, Look::Script { by_words: true });
                seen.push((probe.check, run, verdict(&ended.outcome, by_words)));
            }
        }
        let mut i = 0;
        while i < self.now.len() {
            let probe = &mut self.now[i];
            let result = match probe.look.go_on() {
                None if now >= probe.until => Some(Err(format!("no answer within {} ms", probe.timeout.as_millis()))),
                other => other,
            };
            let Some(result) = result else {
                i += 1;
                continue;
            };
            let probe = self.now.remove(i);
            if matches!(probe.look, Look::Script { .. }) {
                self.late.push((probe.check, probe.run));
            }
            seen.push((probe.check, probe.run, result));
        }
        seen
    }
}

impl Look {
    /// What came of it, when it is decided.
    fn go_on(&mut self) -> Option<Result<(), String>> {
        let Self::Connection {
            stream,
            question,
            answer,
            kind,
        } = self
        else {
            return None;
        };
        if question.is_none() {
            match tcp::made(stream)? {
                Ok(()) => {}
                Err(e) => return Some(Err(plain(&e))),
            }
        }
        let CheckKind::Http { host, path, expect, .. } = kind else {
            return Some(Ok(()));
        };
        let rest = question.get_or_insert_with(|| http::question(host, path).into_bytes());
        match ask(stream, rest, answer) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
            Err(e) => return Some(Err(plain(&e))),
        }
        Some(match http::status(answer) {
            Some(Ok(code)) if (expect.0..=expect.1).contains(&code) => Ok(()),
            Some(Ok(code)) => Err(format!("status {code}")),
            Some(Err(why)) => Err(why),
            None => Err("the connection was closed without an answer".to_owned()),
        })
    }
}

/// Writes what is left of the question and reads the first line of the answer. `Ok`: there is one, or there is no more.
fn ask(stream: &mut TcpStream, question: &mut Vec<u8>, answer: &mut Vec<u8>) -> io::Result<()> {
    while !question.is_empty() {
        match stream.write(question)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => drop(question.drain(..n)),
        }
    }
    let mut buffer = [0; http::LONGEST_LINE];
    while http::status(answer).is_none() {
        match stream.read(&mut buffer)? {
            0 => break,
            n => answer.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(())
}

/// Without the number of the system's error.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

fn command(resource: ResourceSpec, limit: Duration) -> Command {
    Command {
        resource,
        verb: Verb::Status,
        limit,
    }
}

fn verdict(outcome: &Outcome, by_words: bool) -> Result<(), String> {
    let last = outcome
        .output
        .lines()
        .rfind(|l| !l.trim().is_empty())
        .unwrap_or("")
        .trim();
    match &outcome.exit {
        Exit::Code(_) if by_words && says_running(&outcome.output) => Ok(()),
        Exit::Code(_) if by_words && last.is_empty() => Err("it does not say that it is running".to_owned()),
        Exit::Code(_) if by_words => Err(format!("\"{last}\"")),
        Exit::Code(0) => Ok(()),
        Exit::Code(code) if last.is_empty() => Err(format!("exit code {code}")),
        Exit::Code(code) => Err(format!("exit code {code}: {last}")),
        Exit::Signal(n) => Err(format!("killed by signal {n}")),
        Exit::TimedOut => Err(format!("no answer within {} ms", outcome.took.as_millis())),
        Exit::CannotRun(why) => Err(why.clone()),
    }
}

/// What the daemon gave to this program is what it gives to resource scripts.
#[cfg(test)]
mod tests;
