//! Runs of DRBD's own programs: found in the directories of the system, with nothing of our environment, ended in time.

use crate::drbd::promotion::last_reason;
use crate::jobs::environment::SAFE_PATH;
use crate::sys::child::{self, Child, Ended};
use crate::sys::now;
use crate::sys::poll::{Want, wait};
use crate::time::{Duration, Instant};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A question to the kernel takes milliseconds; on a machine that swaps some seconds.
pub const QUESTION: Duration = Duration::from_secs(20);
/// A promotion may have to wait for the fence-peer handler, which may take a minute.
pub const CHANGE: Duration = Duration::from_secs(120);
/// From SIGTERM to SIGKILL, and from that to going on without it.
const PATIENCE: Duration = Duration::from_secs(2);
/// `events2` of a thousand resources; what is longer is cut off.
const LONGEST: usize = 1 << 20;

/// How it ended, and what it wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// `None` when a signal ended it, ours after the time limit included.
    pub code: Option<i32>,
    pub text: String,
}

impl Ran {
    pub fn good(&self) -> bool {
        self.code == Some(0)
    }
}

/// Why a program could not be run, or what it said against it.
#[derive(Debug)]
pub enum Fault {
    /// DRBD's programs are not installed.
    Missing(String),
    CannotRun(String, io::Error),
    /// Program with arguments, exit code, reason.
    Refused(String, Option<i32>, String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "{name}: is not in {SAFE_PATH}; install drbd-utils"),
            Self::CannotRun(what, e) => write!(f, "{what}: {e}"),
            Self::Refused(what, Some(code), why) => write!(f, "{what}: {why} (exit code {code})"),
            Self::Refused(what, None, why) => write!(f, "{what}: took too long, or was killed: {why}"),
        }
    }
}

impl std::error::Error for Fault {}

/// Runs it to its end, or to ours.
pub fn run(program: &str, args: &[&str], limit: Duration) -> Result<Ran, Fault> {
    let title = || format!("{program} {}", args.join(" "));
    let places = SAFE_PATH.split(':').map(|dir| Path::new(dir).join(program));
    let path = places.into_iter().find(|p| p.is_file());
    let path = path.ok_or_else(|| Fault::Missing(program.to_owned()))?;
    let words: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
    let env = [("PATH".to_owned(), SAFE_PATH.to_owned())];
    let cannot = |e| Fault::CannotRun(title(), e);
    let (mut child, pipe) = child::spawn(&path, &words, &env).map_err(cannot)?;
    let mut pipe = File::from(pipe);
    let mut text = Vec::new();
    let deadline = now() + limit;
    let ended = listen(&child, &mut pipe, &mut text, deadline).map_err(cannot)?;
    if !ended {
        child.terminate();
        if !listen(&child, &mut pipe, &mut text, now() + PATIENCE).map_err(cannot)? {
            child.kill();
            listen(&child, &mut pipe, &mut text, now() + PATIENCE).map_err(cannot)?;
        }
    }
    let code = match child.reap().map_err(cannot)? {
        Some(Ended::Code(code)) if ended => Some(code),
        Some(Ended::Code(_) | Ended::Signal(_)) | None => None,
    };
    Ok(Ran {
        code,
        text: String::from_utf8_lossy(&text).into_owned(),
    })
}

/// The same; anything but exit code 0 is a fault.
pub fn good(program: &str, args: &[&str], limit: Duration) -> Result<String, Fault> {
    let ran = run(program, args, limit)?;
    match ran.good() {
        true => Ok(ran.text),
        false => Err(Fault::Refused(
            format!("{program} {}", args.join(" ")),
            ran.code,
            last_reason(&ran.text),
        )),
    }
}

/// Takes what it writes until it has ended (true) or the deadline has come. A process that it left behind may hold the
/// pipe: its end is not waited for.
fn listen(child: &Child, pipe: &mut File, text: &mut Vec<u8>, deadline: Instant) -> io::Result<bool> {
    use std::os::fd::AsFd;
    let mut open = true;
    loop {
        // Looked at before the pipe is read: whatever it wrote before it ended is in the pipe then.
        let ended = child.has_ended();
        let mut buffer = [0; 8192];
        while open {
            match pipe.read(&mut buffer) {
                Ok(0) => open = false,
                Ok(n) => text.extend(&buffer[..n.min(LONGEST.saturating_sub(text.len()))]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if ended || now() >= deadline {
            return Ok(ended);
        }
        let mut wants = vec![Want::read(child.fd())];
        if open {
            wants.push(Want::read(pipe.as_fd()));
        }
        wait(&wants, deadline)?;
    }
}
