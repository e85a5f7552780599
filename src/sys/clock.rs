//! The clocks. The only place where real moments come from.

use crate::time::{Instant, Now, Wall};
use nix::time::{ClockId, clock_gettime};

/// Milliseconds on CLOCK_BOOTTIME: it counts the time a machine sleeps, the monotonic clock of std does not.
pub fn now() -> Instant {
    let t = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME is there since Linux 2.6.39");
    Instant::from_millis(t.tv_sec() as u64 * 1000 + t.tv_nsec() as u64 / 1_000_000)
}

/// Seconds since 1970.
pub fn wall() -> Wall {
    let t = clock_gettime(ClockId::CLOCK_REALTIME).expect("CLOCK_REALTIME is always there");
    Wall(u64::try_from(t.tv_sec()).unwrap_or(0))
}

pub fn clock() -> Now {
    Now {
        mono: now(),
        wall: wall(),
    }
}
