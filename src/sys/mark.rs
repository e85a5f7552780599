//! A mark of a moment that every process with the descriptor can set and read, and that outlives all of them but the last.
//!
//! It is a timer of the kernel that is set to a time that never comes: what is left of it says when it was set. Unlike a
//! page of shared memory it is never swapped out, and unlike a file it is on no disk.

use crate::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// 68 years.
const FAR: i32 = i32::MAX;

#[derive(Debug)]
pub struct Mark(OwnedFd);

impl Mark {
    /// Not set yet. Counts the time a machine sleeps.
    pub fn new() -> io::Result<Self> {
        // SAFETY: plain system call on numbers.
        let raw = unsafe { libc::timerfd_create(libc::CLOCK_BOOTTIME, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made it for us and nobody else knows its number.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(raw) }))
    }

    /// One that another process of ours has made.
    pub fn of(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Now.
    pub fn set(&self) -> io::Result<()> {
        let at = libc::timespec {
            tv_sec: FAR.into(),
            tv_nsec: 0,
        };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = libc::itimerspec {
            it_interval: never,
            it_value: at,
        };
        // SAFETY: `spec` lives across the call, and nobody wants the old value.
        let done = unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &spec, std::ptr::null_mut()) };
        if done < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// How long ago it was set; `None` when it never was.
    pub fn age(&self) -> Option<Duration> {
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let mut spec = libc::itimerspec {
            it_interval: zero,
            it_value: zero,
        };
        // SAFETY: `spec` lives across the call and is what the kernel fills.
        let done = unsafe { libc::timerfd_gettime(self.0.as_raw_fd(), &mut spec) };
        let left = spec.it_value.tv_sec * 1000 + spec.it_value.tv_nsec / 1_000_000;
        (done == 0 && left > 0).then(|| Duration::from_millis(u64::try_from(i64::from(FAR) * 1000 - left).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_of_a_mark_tells_when_it_was_set_last() {
        let mark = Mark::new().unwrap();
        let copy = Mark::of(mark.fd().try_clone_to_owned().unwrap());
        assert_eq!(copy.age(), None);
        mark.set().unwrap();
        let pause = Duration::from_millis(30);
        std::thread::sleep(pause);
        let age = copy.age().unwrap();
        assert!(age >= pause, "{age:?}");
        copy.set().unwrap();
        assert!(mark.age().unwrap() < age + pause);
        // What is no such descriptor tells nothing.
        assert_eq!(Mark::of(std::fs::File::open("/dev/null").unwrap().into()).age(), None);
    }
}
