//! The watchdog device, as the master has it. The core writes to its own copy with each beat, so that a core that hangs
//! lets it fire; the heir has a third copy, so that whichever process dies, the device is neither closed nor fed.
//! Disarmed (`V`) only when every resource is released: a stop that hangs is reset too, unlike in heartbeat 3.0.6.

use crate::sys::{files, watchdog};
use crate::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Tells the device that it is closed on purpose.
const DISARM: u8 = b'V';
/// Any other byte feeds it.
pub const FEED: u8 = b'h';

#[derive(Debug)]
pub struct Watchdog {
    pub path: PathBuf,
    device: OwnedFd,
}

/// `deadtime` and 10 ms, in whole seconds: as heartbeat 3.0.6.
fn limit(deadtime: Duration) -> i32 {
    let ms = deadtime.as_millis() + 10;
    i32::try_from(ms.div_ceil(1000)).unwrap_or(i32::MAX)
}

impl Watchdog {
    pub fn open(path: &Path, deadtime: Duration) -> io::Result<Self> {
        let device = watchdog::open_device(path)?;
        let opened = Self {
            path: path.to_owned(),
            device,
        };
        opened.set_limit(deadtime);
        Ok(opened)
    }

    /// The copy that the heir has kept; `named` is what ha.cf says now, perhaps by another name or of another device.
    pub fn keep(device: OwnedFd, named: Option<&Path>) -> Self {
        let open = files::path_of(device.as_fd());
        let path = match named {
            Some(path) if path.canonicalize().is_ok_and(|p| p == open) => path.to_owned(),
            Some(_) | None => open,
        };
        Self { path, device }
    }

    pub fn set_limit(&self, deadtime: Duration) {
        let (path, seconds) = (self.path.display(), limit(deadtime));
        match watchdog::set_timeout(self.device.as_fd(), seconds) {
            Ok(got) if got == seconds => {
                log::info!("watchdog {path}: resets this machine after {got} s without a beat")
            }
            Ok(got) => log::warn!("watchdog {path}: takes {got} s, not the {seconds} s that deadtime asks for"),
            Err(e) => log::warn!("watchdog {path}: its time limit cannot be set ({e}); it is fed all the same"),
        }
    }

    pub fn copy(&self) -> io::Result<OwnedFd> {
        self.device.try_clone()
    }

    /// Closed on purpose: nothing is reset.
    pub fn disarm(self) {
        let path = self.path.display();
        match watchdog::write(self.device.as_fd(), DISARM) {
            Ok(()) => log::info!("watchdog {path}: disarmed"),
            Err(e) => log::error!("watchdog {path}: cannot be disarmed ({e}): it may reset this machine"),
        }
    }
}

/// The core's side: one byte.
pub fn feed(device: BorrowedFd<'_>) -> io::Result<()> {
    watchdog::write(device, FEED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_deadtime_and_a_little_in_whole_seconds() {
        for (ms, seconds) in [(500, 1), (990, 1), (991, 2), (1000, 2), (30_000, 31), (29_990, 30)] {
            assert_eq!(limit(Duration::from_millis(ms)), seconds, "{ms}");
        }
    }
}
