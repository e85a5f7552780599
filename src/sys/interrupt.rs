//! Signals as a descriptor: for the commands that wait and say what goes on without them instead of just dying, and for
//! who waits for children beside other things.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Readable when one of its signals has come. They stay blocked as long as the process lives.
#[derive(Debug)]
pub struct Told(SignalFd);

impl Told {
    /// Ctrl-C, or somebody wants the program to end.
    pub fn of_interruption() -> io::Result<Self> {
        Self::of(&[Signal::SIGINT, Signal::SIGTERM])
    }

    /// The terminal may also be gone.
    pub fn of_interruption_or_hangup() -> io::Result<Self> {
        Self::of(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
    }

    /// A child has ended.
    pub fn of_ended_children() -> io::Result<Self> {
        Self::of(&[Signal::SIGCHLD])
    }

    /// To be called by the first thread before it starts others, which inherit the mask.
    fn of(signals: &[Signal]) -> io::Result<Self> {
        let mut set = SigSet::empty();
        signals.iter().for_each(|s| set.add(*s));
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(
            &set,
            SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
        )?))
    }

    /// Takes what has come, so that it is not readable any more.
    pub fn clear(&self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
