//! FIFOs: making them so that nobody can slip something else in, opening them without ever waiting.
//!
//! Every open is non-blocking, close-on-exec, follows no symbolic link and shows afterwards, on the descriptor itself,
//! that it is a FIFO: a name that is looked at first and opened later can be another file by then.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat};
use nix::unistd::{Gid, Group, fchown, geteuid, mkfifo};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::Path;

/// The largest write that a FIFO takes whole or not at all, even with many writers. PIPE_BUF of Linux.
pub const ATOMIC: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
    /// For the daemon's end of a FIFO with many writers: it never sees the end of file.
    Both,
}

/// Who made a FIFO and who may use it, asked of the descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    pub uid: u32,
    pub gid: u32,
    /// Permission bits only.
    pub mode: u32,
    pub links: u64,
    /// Device and inode: two descriptors with the same pair are the same FIFO.
    pub place: (u64, u64),
}

/// Opens a FIFO. `ENXIO` when it is opened for writing and nobody reads; `InvalidInput` when it is not a FIFO.
pub fn open_fifo(path: &Path, access: Access) -> io::Result<(OwnedFd, Facts)> {
    let direction = match access {
        Access::Read => OFlag::O_RDONLY,
        Access::Write => OFlag::O_WRONLY,
        Access::Both => OFlag::O_RDWR,
    };
    let flags = direction | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let fd = open(path, flags, Mode::empty())?;
    let facts = facts(fd.as_fd())?;
    Ok((fd, facts))
}

/// What an open FIFO is; `InvalidInput` when the descriptor is something else.
pub fn facts(fd: BorrowedFd<'_>) -> io::Result<Facts> {
    let stat: FileStat = fstat(fd)?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFIFO {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a FIFO"));
    }
    Ok(Facts {
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode & 0o7777,
        links: stat.st_nlink,
        place: (stat.st_dev, stat.st_ino),
    })
}

/// Makes a FIFO with exactly this mode, whatever the umask is. Fails when the name exists.
pub fn make(path: &Path, mode: u32) -> io::Result<()> {
    // 0600 first: until it has its final mode nobody else gets in.
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let (fd, _) = open_fifo(path, Access::Read)?;
    set_mode(fd.as_fd(), mode)
}

/// Makes the FIFO `path` ours, or takes the one that is there: a file of that name that is not a FIFO, or not ours, is
/// replaced (the classic hb_standby left a regular file there when no daemon ran). Open for both directions.
pub fn make_ours(path: &Path, mode: u32, group: Option<u32>) -> io::Result<OwnedFd> {
    let me = geteuid().as_raw();
    // Twice: another process may take the name between our removal and our making it. A third time is no accident.
    for _ in 0..3 {
        match fs::symlink_metadata(path) {
            Ok(m) if m.file_type().is_fifo() && m.uid() == me && m.nlink() == 1 => {}
            Ok(m) if m.is_dir() => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is a directory")),
            Ok(_) => {
                fs::remove_file(path)?;
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => match make(path, 0o600) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e),
            },
            Err(e) => return Err(e),
        }
        let (fd, facts) = open_fifo(path, Access::Both)?;
        if facts.uid != me {
            return Err(io::Error::other("it changed hands while it was opened"));
        }
        if let Some(gid) = group {
            fchown(&fd, None, Some(Gid::from_raw(gid)))?;
        }
        set_mode(fd.as_fd(), mode)?;
        return Ok(fd);
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "somebody keeps making a file of this name",
    ))
}

/// Makes a directory with exactly this mode and group, or corrects the one that is there. It must be ours: whoever owns
/// it could exchange the FIFOs in it.
pub fn make_dir(path: &Path, mode: u32, group: Option<u32>) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let fd = open(path, flags, Mode::empty())?;
    let stat = fstat(&fd)?;
    if stat.st_uid != geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("it belongs to uid {}", stat.st_uid),
        ));
    }
    if let Some(gid) = group {
        fchown(&fd, None, Some(Gid::from_raw(gid)))?;
    }
    set_mode(fd.as_fd(), mode)
}

fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    Ok(fchmod(fd, Mode::from_bits_truncate(mode))?)
}

/// Up to `buffer.len()` bytes. 0 is the end of file: all writers are gone (or none has come yet: poll first).
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::read(fd, buffer) {
            Err(Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// All or nothing up to [`ATOMIC`] bytes, perhaps a part of more. `WouldBlock` when there is no room.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::write(fd, bytes) {
            Err(Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Nobody has the FIFO open for reading.
pub fn nobody_reads(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ENXIO as i32)
}

/// The number of a group, from the user database. May wait for a name server: not for the core.
pub fn group_id(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|g| g.gid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ha-fifo-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_regular_file_or_a_link_in_the_place_of_the_fifo_is_replaced_and_a_fifo_is_kept() {
        let dir = folder("replace");
        let path = dir.join("fifo");
        let target = dir.join("target");
        fs::write(&target, "untouched").unwrap();
        let check = |what: &str| {
            let fd = make_ours(&path, 0o620, None).unwrap();
            assert_eq!(facts(fd.as_fd()).unwrap().mode, 0o620, "{what}");
            facts(fd.as_fd()).unwrap().place
        };
        fs::write(&path, "left by a shell").unwrap();
        check("a regular file");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let first = check("a symbolic link");
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
        assert_eq!(first, check("our own FIFO"), "it is kept");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(make_ours(&path, 0o600, None).is_err(), "a directory is not removed");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn only_fifos_are_opened() {
        let dir = folder("only");
        let (file, fifo, link) = (dir.join("file"), dir.join("fifo"), dir.join("link"));
        fs::write(&file, "").unwrap();
        make(&fifo, 0o640).unwrap();
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        assert_eq!(
            open_fifo(&file, Access::Read).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        assert!(open_fifo(&link, Access::Read).is_err());
        assert!(nobody_reads(&open_fifo(&fifo, Access::Write).unwrap_err()));
        let (reader, facts) = open_fifo(&fifo, Access::Read).unwrap();
        assert_eq!((facts.mode, facts.links), (0o640, 1));
        let (writer, same) = open_fifo(&fifo, Access::Write).unwrap();
        assert_eq!(facts, same);
        write(writer.as_fd(), b"hello").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(read(reader.as_fd(), &mut buffer).unwrap(), 5);
        drop(writer);
        assert_eq!(read(reader.as_fd(), &mut buffer).unwrap(), 0);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_directory_gets_its_mode_and_keeps_what_is_in_it() {
        let dir = folder("dir");
        let casual = dir.join("casual");
        make_dir(&casual, 0o3730, None).unwrap();
        fs::write(casual.join("1.req"), "").unwrap();
        fs::set_permissions(&casual, fs::Permissions::from_mode(0o755)).unwrap();
        make_dir(&casual, 0o3730, None).unwrap();
        assert_eq!(fs::metadata(&casual).unwrap().permissions().mode() & 0o7777, 0o3730);
        assert!(casual.join("1.req").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
