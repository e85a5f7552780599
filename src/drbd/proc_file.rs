//! `/proc/drbd` of DRBD 8.4: a line a device, its counters, and a bar while blocks are copied.

use super::row::{Progress, Row};
use super::words::{Connection, Disk, Role};

/// A file longer than this is not DRBD's: some 300 bytes a device, 1000 devices.
pub const LONGEST: usize = 1 << 20;

/// The version of the module, such as `8.4.11`.
pub fn version(text: &str) -> Option<&str> {
    text.lines().next()?.strip_prefix("version: ")?.split(' ').next()
}

/// The devices, without the names of their resources. Of DRBD 9 there are none: its file has the version only.
pub fn rows(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines() {
        if let Some(row) = device(line) {
            rows.push(row);
        } else if let Some(row) = rows.last_mut() {
            detail(row, line.trim());
        }
    }
    rows
}

/// ` 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----`. The protocol is a blank in StandAlone, so the
/// words after the states are told apart by their lengths.
fn device(line: &str) -> Option<Row> {
    let (minor, rest) = line.trim_start().split_once(": ")?;
    let minor: u32 = minor.parse().ok()?;
    let mut words = rest.split_whitespace();
    let connection = Connection::of(words.next()?.strip_prefix("cs:")?)?;
    let mut row = Row::unconfigured("", 0, Some(minor));
    row.connection = connection;
    if connection == Connection::Unconfigured {
        return Some(row);
    }
    let pair = |word: Option<&str>, name: &str| {
        let (own, other) = word?.strip_prefix(name)?.split_once('/')?;
        Some((own.to_owned(), other.to_owned()))
    };
    let (role, peer_role) = pair(words.next(), "ro:")?;
    let (disk, peer_disk) = pair(words.next(), "ds:")?;
    (row.role, row.peer_role) = (Role::of(&role)?, Role::of(&peer_role)?);
    (row.disk, row.peer_disk) = (Disk::of(&disk)?, Disk::of(&peer_disk)?);
    for word in words {
        let mut letters = word.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => row.protocol = Some(letter),
            _ => row.flags = word.to_owned(),
        }
    }
    row.suspended = row.flags.starts_with('s');
    if connection.is_up() {
        row.peer = "peer".to_owned();
    }
    Some(row)
}

/// What stands below a device. Anything else is skipped: versions differ in it.
fn detail(row: &mut Row, line: &str) {
    let value = |name: &str| line.split_whitespace().find_map(|w| w.strip_prefix(name));
    if line.starts_with("ns:") {
        row.out_of_sync_kib = value("oos:").and_then(|v| v.parse().ok());
    } else if let Some((_, after)) = line.split_once("sync'ed:").or_else(|| line.split_once("verified:")) {
        row.progress = percent(after);
    } else if line.starts_with("finish:") {
        let Some(progress) = &mut row.progress else { return };
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "finish:" => progress.finish_seconds = words.next().and_then(clock),
                "speed:" => progress.kib_a_second = words.next().and_then(number),
                _ => {}
            }
        }
    }
}

/// `12.5% (87320/98264)K`, or `(85/95)M` of large devices.
fn percent(text: &str) -> Option<Progress> {
    let (percent, rest) = text.trim().split_once('%')?;
    let (whole, tenth) = percent.trim().split_once('.').unwrap_or((percent.trim(), "0"));
    let done = whole
        .parse::<u32>()
        .ok()?
        .checked_mul(10)?
        .checked_add(tenth.get(..1)?.parse().ok()?)?;
    let mut progress = Progress {
        done: done.min(1000),
        ..Progress::default()
    };
    if let Some((counts, unit)) = rest.trim().strip_prefix('(').and_then(|r| r.split_once(')')) {
        let factor = if unit.starts_with('M') { 1024 } else { 1 };
        let count = |n: &str| number(n).and_then(|n| n.checked_mul(factor));
        if let Some((left, total)) = counts.split_once('/') {
            (progress.left_kib, progress.total_kib) = (count(left), count(total));
        }
    }
    Some(progress)
}

/// `26,792`
fn number(word: &str) -> Option<u64> {
    let digits: String = word.chars().filter(|c| *c != ',').collect();
    digits.parse().ok()
}

/// `0:02:28`
fn clock(word: &str) -> Option<u64> {
    let mut seconds = 0u64;
    for part in word.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    Some(seconds)
}
