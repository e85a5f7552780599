//! Ctrl-C as a descriptor, for the commands that wait: they say what goes on without them instead of just dying.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Readable once SIGINT or SIGTERM has come. Both stay blocked as long as the process lives.
#[derive(Debug)]
pub struct Interrupt(SignalFd);

impl Interrupt {
    /// To be called by the first thread before it starts others, which inherit the mask.
    pub fn new() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        set.add(Signal::SIGTERM);
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(
            &set,
            SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
        )?))
    }

    /// Takes what has come, so that it is not readable any more.
    pub fn take(&self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
