//! The files that carry state from one process, or one boot, to the next. Each is put in place as a whole, so that a
//! power cut leaves the old one or the new one.

use crate::ids::{Generation, ResourceName};
use crate::paths;
use crate::sys::{self, files};
use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::Path;

/// The next generations: from one more than in the file, and at least the current time. The last of them is written to disk
/// before the first is used: a node that comes up with an old one is taken for a replay, by peers that remember for ever.
///
/// heartbeat 3.0.6 looks at the time only when there is no file, or when ha.cf says `time`. Here it counts always: a file
/// that came out of a backup, or a daemon that went on while its disk did not ([`Generation::unwritten_after`]), would
/// leave the node with numbers that are over.
pub fn next_generations() -> io::Result<Range<u64>> {
    next_generations_in(&paths::generation(), sys::wall().0)
}

fn next_generations_in(path: &Path, now: u64) -> io::Result<Range<u64>> {
    let old = match fs::read(path) {
        Ok(bytes) => {
            let old = std::str::from_utf8(&bytes)
                .ok()
                .and_then(|t| t.trim().parse::<u64>().ok());
            if old.is_none() {
                log::error!(
                    "{}: is damaged ({} bytes that are no number); starting from the time instead",
                    path.display(),
                    bytes.len()
                );
            }
            old
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    let first = Generation::after(old.map(Generation), now).0;
    let end = first.saturating_add(Generation::AHEAD);
    // 15 characters, right aligned, as heartbeat 3.0.6 writes it.
    files::put(path, format!("{:>15}\n", end.saturating_sub(1)).as_bytes(), 0o644, true)?;
    Ok(first..end)
}

/// Held by the master as long as it lives: two masters on one machine would be two owners.
pub fn lock() -> io::Result<File> {
    let path = paths::run().join("heartbeat.lock");
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(named)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another heartbeat is running or just being started")),
        Err(TryLockError::Error(e)) => Err(named(e)),
    }
}

/// The uuid of this node; made at the first start.
pub fn uuid() -> io::Result<[u8; 16]> {
    let path = paths::uuid();
    if let Ok(bytes) = fs::read(&path) {
        match bytes.try_into() {
            Ok(uuid) if uuid != [0; 16] => return Ok(uuid),
            Ok(_) | Err(_) => log::error!(
                "{}: is damaged (no 16 bytes that are a uuid); this node gets a new one",
                path.display()
            ),
        }
    }
    let mut uuid = [0; 16];
    files::random(&mut uuid)?;
    // Random uuid, version 4.
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    files::put(&path, &uuid, 0o644, true)?;
    Ok(uuid)
}

/// What this node holds, for the master that comes after this one.
pub fn write_held(held: &[ResourceName]) -> io::Result<()> {
    let lines: String = held.iter().map(|k| format!("{k}\n")).collect();
    files::put(&paths::held(), lines.as_bytes(), 0o600, true)
}

pub fn read_held() -> Vec<ResourceName> {
    let text = fs::read_to_string(paths::held()).unwrap_or_default();
    text.lines().filter_map(|l| l.parse().ok()).collect()
}

pub fn remove_held() {
    let _ = fs::remove_file(paths::held());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_only_grow() {
        let dir = std::env::temp_dir().join(format!("ha-generation-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("hb_generation");
        #[rustfmt::skip]
        let steps = [
            // now  first
            (1000,  1000),
            (1000,  1100),
            (5000,  5000),
            (400,   5100),
            (0,     5200),
        ];
        // What a disk may make of it; the time is higher than any number that was counted up once a start.
        #[rustfmt::skip]
        let damaged = [&b""[..], b"          ", b"12x", b"\xff\xff\0", b"99999999999999999999999", b"-4"];
        for damage in damaged {
            fs::write(&path, damage).unwrap();
            let taken = next_generations_in(&path, 1000).unwrap();
            assert_eq!(taken.start, 1000, "{damage:?}");
            fs::remove_file(&path).unwrap();
        }
        for (now, first) in steps {
            let taken = next_generations_in(&path, now).unwrap();
            assert_eq!(taken, first..first + Generation::AHEAD);
            let last = first + Generation::AHEAD - 1;
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{last:>15}\n"));
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
