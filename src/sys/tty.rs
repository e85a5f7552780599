//! Serial lines: opened and set by the serialport crate, then used as plain non-blocking descriptors.

use super::udp::{Trouble, trouble};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::signal::kill;
use nix::sys::stat::Mode;
use nix::sys::termios::{FlushArg, tcflush};
use nix::unistd::{Pid, isatty};
use serialport::{DataBits, FlowControl, Parity, StopBits, TTYPort};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::Path;

/// Whether `path` is a terminal that we may open.
pub fn is_tty(path: &Path) -> io::Result<bool> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fd = open(path, flags, Mode::empty())?;
    match isatty(&fd) {
        Ok(yes) => Ok(yes),
        Err(Errno::ENOTTY | Errno::EINVAL) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Opens `path` raw, 8 data bits, no parity, 1 stop bit; what waited in its queues is thrown away.
///
/// Differs from heartbeat 3.0.6: bit 7 is kept (no ISTRIP), and no break is sent (it would hold the caller for a quarter
/// of a second and tells the peer nothing).
pub fn open_serial(path: &Path, baud: u32, hardware_flow_control: bool) -> io::Result<OwnedFd> {
    let flow = if hardware_flow_control {
        FlowControl::Hardware
    } else {
        FlowControl::None
    };
    let builder = serialport::new(path.to_string_lossy(), baud)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(flow)
        // Who may use the line is said by our lock file. TIOCEXCL and flock would stay for as long as the core still
        // holds the descriptor of a line that the master has to open again.
        .exclusive(false);
    let port = TTYPort::open(&builder)?;
    // SAFETY: into_raw_fd gives up the only owner of an open descriptor.
    let fd = unsafe { OwnedFd::from_raw_fd(port.into_raw_fd()) };
    // serialport sets all file flags to none; O_NONBLOCK is wanted for good.
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    tcflush(&fd, FlushArg::TCIOFLUSH)?;
    Ok(fd)
}

/// Reads what waits; `None` when nothing does. A line that hung up is an error.
pub fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<Option<usize>> {
    match nix::unistd::read(fd, buf).map_err(io::Error::from) {
        // A raw tty has no end of file: 0 is what the kernel gives after a hang-up.
        Ok(0) => Err(Errno::EIO.into()),
        Ok(n) => Ok(Some(n)),
        Err(e) if trouble(&e) == Trouble::Wait => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes what fits now: 0 when nothing does.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    match nix::unistd::write(fd, bytes).map_err(io::Error::from) {
        Ok(n) => Ok(n),
        Err(e) if trouble(&e) == Trouble::Wait => Ok(0),
        Err(e) => Err(e),
    }
}

/// Whether process `pid` exists. One that only waits for its parent to notice its end (a zombie) does not count: the
/// master that follows a killed one must be able to take over its lines.
pub fn alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().filter(|p| *p > 0) else {
        return false;
    };
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return false;
    }
    // The state follows the program's name, which may itself hold blanks and parentheses.
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = String::from_utf8_lossy(&stat)
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, Some('Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_is_not_alive() {
        assert!(alive(std::process::id()));
        assert!(!alive(0));
        assert!(!alive(u32::MAX));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        // Its end is seen by a WNOWAIT wait, which leaves the zombie.
        let id = nix::sys::wait::Id::Pid(Pid::from_raw(child.id().try_into().unwrap()));
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(id, flags).unwrap();
        assert!(!alive(child.id()));
        child.wait().unwrap();
        assert!(!alive(child.id()));
    }

    #[test]
    fn tty_or_not() {
        assert!(!is_tty(Path::new("/dev/null")).unwrap());
        assert_eq!(
            is_tty(Path::new("/dev/no-such")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
