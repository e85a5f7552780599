//! Waiting for descriptors and for a deadline, in one place.

use super::now;
use crate::time::Instant;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::BorrowedFd;

/// A descriptor and what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    pub fd: BorrowedFd<'a>,
    pub write: bool,
}

impl<'a> Want<'a> {
    pub fn read(fd: BorrowedFd<'a>) -> Self {
        Self { fd, write: false }
    }
}

/// What came of one descriptor. Errors and hang-ups count as readable: the read will tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ready {
    pub read: bool,
    pub write: bool,
    /// The other end is gone (POLLHUP or POLLERR).
    pub hangup: bool,
}

/// Waits until something is ready, the deadline has come or a signal interrupted; spurious returns are harmless.
pub fn wait(wants: &[Want<'_>], deadline: Instant) -> io::Result<Vec<Ready>> {
    let mut fds: Vec<PollFd<'_>> = wants
        .iter()
        .map(|w| {
            PollFd::new(
                w.fd,
                if w.write {
                    PollFlags::POLLIN | PollFlags::POLLOUT
                } else {
                    PollFlags::POLLIN
                },
            )
        })
        .collect();
    // `now` rounds down to a millisecond, so the wait is up to 1 ms long rather than ever short.
    let timeout = if deadline == Instant::NEVER {
        PollTimeout::NONE
    } else {
        let ms = (deadline - now()).as_millis();
        PollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
    };
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(fds
        .iter()
        .map(|f| {
            let got = f.revents().unwrap_or(PollFlags::empty());
            let hangup = got.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL);
            Ready {
                read: got.contains(PollFlags::POLLIN) || hangup,
                write: got.contains(PollFlags::POLLOUT),
                hangup,
            }
        })
        .collect())
}

/// True when nobody can write into this pipe any more.
pub fn is_hung_up(pipe: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(pipe, PollFlags::empty())];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    polled.is_ok_and(|n| n > 0) && fds[0].revents().is_some_and(|r| r.contains(PollFlags::POLLHUP))
}
