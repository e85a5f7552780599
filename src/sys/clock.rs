//! The clocks, and moments as people read them. The only place where real moments come from.

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

/// The local time as `Nov 21 08:18:36`, for log lines.
pub fn local_time(seconds: u64) -> String {
    let (tm, month) = broken_down(seconds);
    format!(
        "{month} {:02} {:02}:{:02}:{:02}",
        tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec
    )
}

/// `Sat Nov 21 08:10:36 2026`: the local time as the C library's `ctime` writes it.
pub fn local_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let (tm, month) = broken_down(seconds);
    let day = DAYS[usize::try_from(tm.tm_wday).unwrap_or(0) % 7];
    format!(
        "{day} {month} {:>2} {:02}:{:02}:{:02} {}",
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        tm.tm_year.saturating_add(1900)
    )
}

/// The fields of a local time, and the name of its month.
fn broken_down(seconds: u64) -> (libc::tm, &'static str) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // The type is the function's: its name is about to change in musl.
    let time = seconds.try_into().unwrap_or(0);
    // SAFETY: `tm` is plain numbers, for which zero is a value; both pointers live across the call.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        libc::localtime_r(&time, &mut tm);
        tm
    };
    let month = MONTHS[usize::try_from(tm.tm_mon).unwrap_or(0) % 12];
    (tm, month)
}
