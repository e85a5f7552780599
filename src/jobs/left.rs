//! Scripts that the master, or the lrmd, before this one has left running: found by the notes they wrote of themselves, awaited, and
//! ended when they take longer than their limit. How they ended is nobody's to know: `status` says what came of it.

use super::runner::{KILL_TO_GIVE_UP, TERM_TO_KILL};
use crate::groups::job::Command;
use crate::ids::ResourceName;
use crate::sys::child::Note;
use crate::sys::program::{self, Program};
use crate::time::{Duration, Instant};
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// The directory of the notes, one a script that runs.
#[derive(Debug)]
pub struct Notes {
    directory: PathBuf,
    /// Of this process and this boot: no other note has this name.
    prefix: String,
    boot: String,
    whose: &'static str,
    with_output: bool,
}

/// In the names of FIFOs, before the name of the resource.
const OUTPUT: &str = ".out.";

impl Notes {
    /// `whose` scripts they are, in a word for the log.
    pub fn at(directory: PathBuf, whose: &'static str) -> io::Result<Self> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", directory.display()));
        fs::create_dir_all(&directory).map_err(named)?;
        crate::sys::files::set_mode(&directory, 0o700).map_err(named)?;
        Ok(Self {
            directory,
            prefix: std::process::id().to_string(),
            boot: program::boot(),
            whose,
            with_output: false,
        })
    }

    /// What the scripts write goes through FIFOs beside the notes, so that the next one reads on.
    #[must_use]
    pub fn with_output(mut self) -> Self {
        self.with_output = true;
        self
    }

    /// The FIFO of a script.
    pub fn output(&self, number: u64, command: &Command) -> Option<PathBuf> {
        let name = command.resource.name.as_str().replace('/', "_");
        let name: String = name.chars().take(100).collect();
        self.with_output
            .then(|| self.directory.join(format!("{}.{number}{OUTPUT}{name}", self.prefix)))
    }

    /// The FIFOs that are there, with a title for each.
    pub fn outputs(&self) -> Vec<(String, PathBuf)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some((_, resource)) = name.split_once(OUTPUT) {
                all.push((format!("resource {resource}"), entry.path()));
            }
        }
        all.sort();
        all
    }

    pub fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{}.{number}", self.prefix))
    }

    /// What a script is to write before it begins.
    /// `does` in place of the command's verb, unless it is empty.
    pub fn of(&self, path: &Path, command: &Command, does: &str) -> Option<Note> {
        let limit = command.limit.as_millis();
        let (verb, resource) = (command.verb.as_str(), &command.resource.name);
        let verb = if does.is_empty() { verb } else { does };
        Note::new(path, format!("{}\n{limit} {verb} {resource}\n", self.boot))
    }

    /// The scripts that still run; the notes of others are thrown away.
    pub fn find(&self) -> Vec<Left> {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        let mut found: Vec<Left> = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            // Reading a FIFO would wait for its other end.
            if !entry.file_type().is_ok_and(|t| t.is_file()) {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            match self.read(&text, &path) {
                Some(left) => found.push(left),
                None => drop(fs::remove_file(&path)),
            }
        }
        found.sort_by(|a, b| a.note.cmp(&b.note));
        found
    }

    fn read(&self, text: &str, path: &Path) -> Option<Left> {
        let Written {
            pid,
            at,
            boot,
            limit,
            verb,
            resource,
        } = Written::parse(text)?;
        let program = (boot == self.boot).then(|| Program::adopt_from(pid, at))??;
        let title = format!("resource {resource} {verb}");
        let whose = self.whose;
        log::warn!("{title}: still runs since the {whose} before this one [pid {pid}]; waiting for its end");
        Some(Left {
            program,
            resource,
            title,
            whose,
            note: path.to_owned(),
            push: Push::InTime { until: at + limit },
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Written {
    pid: u32,
    at: Instant,
    boot: String,
    limit: Duration,
    verb: String,
    resource: ResourceName,
}

impl Written {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (pid, at) = lines.next()?.split_once(' ')?;
        let boot = lines.next()?.to_owned();
        let mut words = lines.next()?.splitn(3, ' ');
        Some(Self {
            pid: pid.parse().ok()?,
            at: Instant::from_millis(at.parse().ok()?),
            boot,
            limit: Duration::from_millis(words.next()?.parse().ok()?),
            verb: words.next()?.to_owned(),
            resource: words.next()?.parse().ok()?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Push {
    InTime { until: Instant },
    Terminated { kill_at: Instant },
    Killed { give_up_at: Instant },
}

/// A script of the master, or the lrmd, before this one.
#[derive(Debug)]
pub struct Left {
    program: Program,
    pub resource: ResourceName,
    title: String,
    whose: &'static str,
    note: PathBuf,
    push: Push,
}

impl Left {
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.program.fd()
    }

    pub fn deadline(&self) -> Instant {
        match self.push {
            Push::InTime { until: t } | Push::Terminated { kill_at: t } | Push::Killed { give_up_at: t } => t,
        }
    }

    /// True when it is over, or given up.
    pub fn is_over(&mut self, now: Instant) -> bool {
        if self.program.ended(true).is_some() {
            log::info!(
                "{}: the script of the {} before this one has ended",
                self.title,
                self.whose
            );
            let _ = fs::remove_file(&self.note);
            return true;
        }
        if now < self.deadline() {
            return false;
        }
        let title = &self.title;
        self.push = match self.push {
            Push::InTime { .. } => {
                log::warn!("{title}: takes longer than its limit, sending SIGTERM");
                self.program.terminate();
                Push::Terminated {
                    kill_at: now + TERM_TO_KILL,
                }
            }
            Push::Terminated { .. } => {
                log::warn!("{title}: still there {TERM_TO_KILL:?} after SIGTERM, sending SIGKILL");
                self.program.kill();
                Push::Killed {
                    give_up_at: now + KILL_TO_GIVE_UP,
                }
            }
            Push::Killed { .. } => {
                log::error!("{title}: survives SIGKILL (it hangs in the kernel), given up");
                return true;
            }
        };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let text = "17 123456\nsome-boot\n300000 start IPaddr::10.0.0.1\n";
        let want = Written {
            pid: 17,
            at: Instant::from_millis(123_456),
            boot: "some-boot".to_owned(),
            limit: Duration::from_secs(300),
            verb: "start".to_owned(),
            resource: "IPaddr::10.0.0.1".parse().unwrap(),
        };
        assert_eq!(Written::parse(text), Some(want));
        for length in 0..text.len() - "10.0.0.1\n".len() - 8 {
            assert_eq!(Written::parse(&text[..length]), None, "cut off at {length}");
        }
    }
}
