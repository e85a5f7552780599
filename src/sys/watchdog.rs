//! A watchdog device: it resets the machine unless somebody writes to it in time.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// `_IOWR('W', 6, int)` of linux/watchdog.h.
const WDIOC_SETTIMEOUT: u32 = 0xC004_5706;

/// Opens the device, which from now on wants to be written to. A FIFO, which may stand for a device, is opened for both
/// directions so that it needs no reader.
pub fn open_device(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    match open(path, flags | OFlag::O_WRONLY, Mode::empty()) {
        Ok(fd) => {
            let kind = SFlag::from_bits_truncate(fstat(&fd)?.st_mode) & SFlag::S_IFMT;
            if kind == SFlag::S_IFIFO {
                return Ok(open(path, flags | OFlag::O_RDWR, Mode::empty())?);
            }
            Ok(fd)
        }
        Err(Errno::ENXIO) => Ok(open(path, flags | OFlag::O_RDWR, Mode::empty())?),
        Err(e) => Err(e.into()),
    }
}

/// Sets the time limit; gives the one that the device took.
pub fn set_timeout(fd: BorrowedFd<'_>, seconds: i32) -> io::Result<i32> {
    let mut value: libc::c_int = seconds;
    // SAFETY: the call reads and writes one int, which lives across it.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), WDIOC_SETTIMEOUT as _, &raw mut value) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}

/// Writes without waiting.
pub fn write(fd: BorrowedFd<'_>, byte: u8) -> io::Result<()> {
    match nix::unistd::write(fd, &[byte]) {
        Ok(_) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
