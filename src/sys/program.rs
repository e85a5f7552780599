//! Client programs: processes that outlive the master which started them, and so may be somebody else's children.

use super::child::as_at_boot;
use crate::time::{Duration, Instant};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Gid, Pid, Uid, User, access, getgrouplist, setgid, setgroups, setuid};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command};

/// A second has so many ticks in /proc, on every architecture of Linux (USER_HZ).
const TICKS: u64 = 100;

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Code(i32),
    Signal(i32),
    /// It was the child of a master that is dead: only that it ended can be seen, not how.
    Unseen,
}

/// A process that leads a process group of its own. Dropping it leaves it alone.
#[derive(Debug)]
pub struct Program {
    pid: u32,
    pidfd: OwnedFd,
    /// `None` when another master started it.
    child: Option<Child>,
}

impl Program {
    /// One that this process has just started.
    pub fn own(mut child: Child) -> io::Result<Self> {
        match super::process::pidfd(child.id()) {
            Ok(pidfd) => Ok(Self {
                pid: child.id(),
                pidfd,
                child: Some(child),
            }),
            Err(e) => {
                // Without it its end would go unnoticed: better not to run it at all.
                let _ = child.kill();
                let _ = child.wait();
                Err(e)
            }
        }
    }

    /// One that another master started. `None` when it is gone: the number may be somebody else's by now, the moment of
    /// its start tells.
    pub fn adopt(pid: u32, started: u64) -> Option<Self> {
        // The descriptor first: what is read after that is of the process that it holds, or it has ended.
        let pidfd = super::process::pidfd(pid).ok()?;
        let program = Self {
            pid,
            pidfd,
            child: None,
        };
        (started_at(pid) == Some(started) && !program.is_over()).then_some(program)
    }

    /// One that had this number at that moment. `None` when it is gone: whoever has the number now began later.
    pub fn adopt_from(pid: u32, at: Instant) -> Option<Self> {
        let started = started_at(pid)?;
        let began = Duration::from_millis(started.saturating_mul(1000) / TICKS);
        let program = Self::adopt(pid, started)?;
        (Instant::from_millis(0) + began <= at).then_some(program)
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Readable once it has ended.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    fn is_over(&self) -> bool {
        let ready = super::poll::wait(&[super::poll::Want::read(self.fd())], super::now());
        ready.is_ok_and(|r| r[0].read)
    }

    /// How it ended; `None` while it runs. What is left of its group is killed first when `with_group`.
    pub fn ended(&mut self, with_group: bool) -> Option<End> {
        if !self.is_over() {
            return None;
        }
        if with_group && self.child.is_some() {
            // It stays a zombie until the line below, so the number is still its own.
            let _ = killpg(self.group(), Signal::SIGKILL);
        }
        let Some(child) = &mut self.child else {
            return Some(End::Unseen);
        };
        Some(match child.wait() {
            Ok(status) => match status.code() {
                Some(code) => End::Code(code),
                None => End::Signal(status.signal().unwrap_or(0)),
            },
            Err(_) => End::Unseen,
        })
    }

    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.pid as i32)
    }

    fn signal(&self, signal: Signal) {
        // Somebody else's child may have been waited for, and its number be another's by now.
        if self.child.is_some() || !self.is_over() {
            let _ = killpg(self.group(), signal);
        }
    }
}

/// When the process was started, in ticks since boot: with the pid it names a process for good.
pub fn started_at(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold blanks and parentheses. Field 22 is the 20th after it.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// What tells this boot from the one before; empty when the kernel does not say.
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(|_| String::new(), |t| t.trim().to_owned())
}

/// Becomes `user` with its groups, then the shell command `command`, whose program is `program`. Comes back only with the
/// reason why not. To be called in a process of its own: user databases may hang.
pub fn become_program(user: &str, program: &Path, command: &str, env: &[(String, String)]) -> String {
    if let Err(why) = become_user(user) {
        return why;
    }
    if let Err(e) = access(program, AccessFlags::X_OK) {
        return format!("{}: user {user} cannot run it: {e}", program.display());
    }
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("exec {command}"));
    shell.env_clear().envs(env.iter().map(|(n, v)| (n, v))).current_dir("/");
    as_at_boot();
    format!("/bin/sh: {}", shell.exec())
}

fn become_user(name: &str) -> Result<(), String> {
    let user = match User::from_name(name) {
        Ok(Some(user)) => user,
        Ok(None) => return Err(format!("there is no user {name}")),
        Err(e) => return Err(format!("user {name} cannot be looked up: {e}")),
    };
    let groups: Result<Vec<Gid>, _> = CString::new(name)
        .map_err(io::Error::other)
        .and_then(|c| Ok(getgrouplist(&c, user.gid)?));
    let changed = (|| -> io::Result<()> {
        setgroups(&groups?)?;
        setgid(user.gid)?;
        setuid(user.uid)?;
        Ok(())
    })();
    match changed {
        // In a container that allows no change there may be none to make.
        Err(_) if user.uid == Uid::effective() => Ok(()),
        Err(e) => Err(format!("cannot become user {name}: {e}")),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_and_moment_of_start() {
        let child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        let mut own = Program::own(child).unwrap();
        let started = started_at(pid).unwrap();
        assert!(
            Program::adopt(pid, started + 1).is_none(),
            "another process of that number"
        );
        let mut adopted = Program::adopt(pid, started).unwrap();
        assert_eq!((own.ended(false), adopted.ended(false)), (None, None));
        // It leads no group of its own here, so it is ended by hand.
        own.child.as_mut().unwrap().kill().unwrap();
        assert!(super::super::process::wait_gone(pid, Duration::from_secs(30)));
        assert_eq!(adopted.ended(false), Some(End::Unseen));
        assert_eq!(own.ended(false), Some(End::Signal(9)));
        assert!(Program::adopt(pid, started).is_none(), "it is gone");
    }
}
