//! Lock files of serial lines, UUCP style: `LCK..ttyS0` holds the process id of the user in ten columns.
//!
//! minicom, pppd, uucico and the classic heartbeat look at them too.

use crate::sys::tty::alive;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where the lock of `device` is: /dev/pts/3 has `LCK..pts_3`, as pppd does it.
fn lock_file(dir: &Path, device: &Path) -> PathBuf {
    // Whoever opens the line by its real name must meet the same lock.
    let real = fs::canonicalize(device).unwrap_or_else(|_| device.to_owned());
    let name = real
        .strip_prefix("/dev")
        .unwrap_or(&real)
        .to_string_lossy()
        .into_owned();
    dir.join(format!("LCK..{}", name.trim_start_matches('/').replace('/', "_")))
}

/// The directory of lock files on this system.
fn directory() -> &'static Path {
    let run = Path::new("/run/lock");
    if run.is_dir() { run } else { Path::new("/var/lock") }
}

/// Makes the lock of `device` ours. Without a directory for locks, or without the right to write there, the line is
/// used all the same: a warning says so.
pub fn take(device: &Path) -> io::Result<()> {
    take_in(directory(), device)
}

/// Removes the lock of `device` if it is ours.
pub fn release(device: &Path) {
    release_in(directory(), device);
}

fn take_in(dir: &Path, device: &Path) -> io::Result<()> {
    let lock = lock_file(dir, device);
    let me = std::process::id();
    // Written under another name and linked: nobody ever sees a lock without a number in it.
    let name = lock.file_name().unwrap_or_default().to_string_lossy();
    let own = dir.join(format!("LTMP.{me}.{name}"));
    let made = write_new(&own, me).and_then(|()| claim(&own, &lock, device, me));
    let _ = fs::remove_file(&own);
    match made {
        Err(e) if e.raw_os_error().is_some() => {
            log::warn!(
                "serial {}: goes without lock file {}: {e}",
                device.display(),
                lock.display()
            );
            Ok(())
        }
        made => made,
    }
}

fn write_new(path: &Path, me: u32) -> io::Result<()> {
    // Left by a process that died and had our number.
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(format!("{me:10}\n").as_bytes())
}

fn claim(own: &Path, lock: &Path, device: &Path, me: u32) -> io::Result<()> {
    // Twice is enough when the lock is stale; a third time means that others come and go.
    for _ in 0..3 {
        match fs::hard_link(own, lock) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done,
        }
        let text = match fs::read_to_string(lock) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            text => text.unwrap_or_default(),
        };
        match text.trim().parse::<u32>() {
            Ok(pid) if pid == me => return Ok(()),
            Ok(pid) if alive(pid) => return Err(held(device, lock, &format!("process {pid}"))),
            Ok(_) => fs::remove_file(lock)?,
            Err(_) => return Err(held(device, lock, "an unknown program")),
        }
    }
    Err(held(device, lock, "programs that come and go"))
}

fn held(device: &Path, lock: &Path, by: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        format!(
            "serial {} is in use by {by}, as {} says; end it, or remove the file if that is not true",
            device.display(),
            lock.display()
        ),
    )
}

fn release_in(dir: &Path, device: &Path) {
    let lock = lock_file(dir, device);
    let ours = fs::read_to_string(&lock).is_ok_and(|t| t.trim().parse() == Ok(std::process::id()));
    if !ours {
        return;
    }
    if let Err(e) = fs::remove_file(&lock) {
        log::warn!(
            "serial {}: cannot remove lock file {}: {e}",
            device.display(),
            lock.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_other_programs_use() {
        let table = [
            ("/dev/ttyS97", "LCK..ttyS97"),
            ("/dev/pts/no-such", "LCK..pts_no-such"),
            ("/no-such/tty", "LCK..no-such_tty"),
        ];
        for (device, name) in table {
            assert_eq!(
                lock_file(Path::new("/l"), Path::new(device)),
                Path::new("/l").join(name)
            );
        }
    }

    #[test]
    fn a_lock_is_kept_by_the_living_and_taken_from_the_dead() {
        let dir = std::env::temp_dir().join(format!("ha-lock-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let device = Path::new("/dev/ttyS97");
        let lock = lock_file(&dir, device);
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let parent = std::os::unix::process::parent_id();
        let table = [
            // in the file                        ours afterwards
            (None, true),
            (Some(format!("{:10}\n", dead.id())), true),
            (Some(format!("{:10}\n", std::process::id())), true),
            (Some(format!("{parent:10}\n")), false),
            (Some(format!("{parent}")), false),
            (Some("?".to_owned()), false),
            (Some(String::new()), false),
        ];
        for (before, ours) in table {
            let _ = fs::remove_file(&lock);
            if let Some(text) = &before {
                fs::write(&lock, text).unwrap();
            }
            let taken = take_in(&dir, device);
            assert_eq!(taken.is_ok(), ours, "{before:?}: {taken:?}");
            if let Err(e) = taken {
                assert!(e.to_string().contains("LCK..ttyS97"), "{e}");
            }
            release_in(&dir, device);
            assert_eq!(lock.exists(), !ours, "{before:?}");
        }
        let _ = fs::remove_file(&lock);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir(&dir).unwrap();
        assert!(take_in(&dir, device).is_ok(), "no directory is a warning");
    }
}
