//! Signals are read from a descriptor, never handled.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// What a signal asks of us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    Stop,
    Reload,
    MoreDebug,
    LessDebug,
    /// A child ended.
    Child,
}

#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks the signals we read, and those that the classic ignores (INT, PIPE, TTIN, TTOU, TSTP).
    pub fn catch() -> io::Result<Self> {
        let mut read = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
            Signal::SIGCHLD,
        ] {
            read.add(signal);
        }
        let mut blocked = read;
        for signal in [
            Signal::SIGINT,
            Signal::SIGPIPE,
            Signal::SIGTTIN,
            Signal::SIGTTOU,
            Signal::SIGTSTP,
        ] {
            blocked.add(signal);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None)?;
        let fd = SignalFd::with_flags(&read, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { fd })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The next signal that waits.
    pub fn take(&mut self) -> Option<Asked> {
        let info = self.fd.read_signal().ok().flatten()?;
        match Signal::try_from(info.ssi_signo as i32).ok()? {
            Signal::SIGTERM => Some(Asked::Stop),
            Signal::SIGHUP => Some(Asked::Reload),
            Signal::SIGUSR1 => Some(Asked::MoreDebug),
            Signal::SIGUSR2 => Some(Asked::LessDebug),
            _ => Some(Asked::Child),
        }
    }
}

/// For the core and the heir: nothing a terminal or a stray `kill` sends disturbs them; only the master speaks to them.
pub fn block_all_but_kill() -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?;
    Ok(())
}
