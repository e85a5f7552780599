//! Files that must be whole or absent, and what else is asked of the kernel about files, users and interfaces.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::unistd::{Group, User, geteuid};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The user that this process acts as.
pub fn own_user() -> u32 {
    geteuid().as_raw()
}

/// `None`: the machine has no such user. May ask a name service, and so may take a while.
pub fn user_id(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|u| u.uid.as_raw())
}

/// As above, the other way round.
pub fn user_name(id: u32) -> Option<String> {
    User::from_uid(id.into()).ok().flatten().map(|u| u.name)
}

/// Number and listed members of a group; as above.
pub fn group(name: &str) -> Option<(u32, Vec<String>)> {
    let group = Group::from_name(name).ok().flatten()?;
    Some((group.gid.as_raw(), group.mem))
}

/// What `uname -n` prints.
pub fn host_name() -> io::Result<String> {
    let name = nix::sys::utsname::uname()?;
    Ok(name.nodename().to_string_lossy().into_owned())
}

/// A network interface of this network namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interface {
    pub up: bool,
    /// Of its first IPv4 address that has one.
    pub broadcast: Option<Ipv4Addr>,
}

/// By name; names with a label (`eth0:0`) stand beside their interface.
pub fn interfaces() -> io::Result<BTreeMap<String, Interface>> {
    let mut all: BTreeMap<String, Interface> = BTreeMap::new();
    for address in getifaddrs()? {
        let entry = all.entry(address.interface_name).or_default();
        entry.up |= address.flags.contains(InterfaceFlags::IFF_UP);
        if address.flags.contains(InterfaceFlags::IFF_BROADCAST) && entry.broadcast.is_none() {
            entry.broadcast = address
                .broadcast
                .as_ref()
                .and_then(|b| b.as_sockaddr_in())
                .map(|b| b.ip());
        }
    }
    Ok(all)
}

/// A file without a name, in memory, that can be handed to another process; reading starts at its beginning.
pub fn in_memory(name: &str, content: &[u8]) -> io::Result<std::os::fd::OwnedFd> {
    use std::io::Seek;
    let fd = nix::sys::memfd::memfd_create(name, nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(fd);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

/// Where an open file is; empty when the kernel does not say.
pub fn path_of(fd: std::os::fd::BorrowedFd<'_>) -> PathBuf {
    use std::os::fd::AsRawFd;
    fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default()
}

/// Size and use of the file system that is mounted there, in KiB.
pub fn space(mount_point: &Path) -> io::Result<(u64, u64)> {
    let about = nix::sys::statvfs::statvfs(mount_point)?;
    let kib = |blocks: u64| blocks.saturating_mul(about.fragment_size()) / 1024;
    Ok((
        kib(about.blocks()),
        kib(about.blocks().saturating_sub(about.blocks_free())),
    ))
}

/// A part of a block device as it is on the disk: what was read of it before, when somebody else wrote, is forgotten.
pub fn read_fresh(path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    use std::os::unix::fs::FileExt;
    let file = File::open(path)?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// The mode as given, whatever the umask.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

/// A new file for us and the members of `group`; only for us where there is no such group, or it may not be given.
pub fn write_for_group(path: &Path, content: &[u8], group: Option<u32>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    if group.is_some_and(|gid| std::os::unix::fs::fchown(&file, None, Some(gid)).is_ok()) {
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o640))?;
    }
    file.sync_all()
}

/// Bytes nobody can guess.
pub fn random(bytes: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}

/// A pipe: the reading end waits, the writing end never does. Both close-on-exec.
pub fn pipe() -> io::Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// Puts a file in place as a whole: whoever reads it, even after a power failure, finds the old one or the new one.
/// With `overwrite` false an existing file is left alone, and the error is `AlreadyExists`.
pub fn put(path: &Path, content: &[u8], mode: u32, overwrite: bool) -> io::Result<()> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let (fresh, mut file) = fresh_file(dir, &name.to_string_lossy(), mode)?;
    let written = (|| {
        file.write_all(content)?;
        // The umask took bits away that the caller asked for.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.sync_all()?;
        if overwrite {
            return fs::rename(&fresh, path);
        }
        // A link fails when the name exists, a rename would replace it.
        fs::hard_link(&fresh, path)
    })();
    if written.is_err() || !overwrite {
        let _ = fs::remove_file(&fresh);
    }
    written?;
    File::open(dir)?.sync_all()
}

/// Removes what [`put`] leaves behind when its process is killed half-way: for whoever starts, and is the only one who
/// writes these files. A disk that does not want to is asked again at the next start.
pub fn sweep(path: &Path) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let begin = format!(".{}.", name.to_string_lossy());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let tail = name.to_str().and_then(|n| n.strip_prefix(&begin)).unwrap_or("");
        if tail.len() == 16 && tail.bytes().all(|b| b.is_ascii_hexdigit()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A new file beside the one to be written, with a name that no one had before.
fn fresh_file(dir: &Path, name: &str, mode: u32) -> io::Result<(PathBuf, File)> {
    for _ in 0..16 {
        let mut tail = [0; 8];
        random(&mut tail)?;
        let fresh = dir.join(format!(".{name}.{:016x}", u64::from_ne_bytes(tail)));
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|file| (fresh, file)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_put_whole_and_not_over_another_unless_asked() {
        let dir = std::env::temp_dir().join(format!("ha-files-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("keys");
        put(&path, b"one", 0o600, false).unwrap();
        assert_eq!(
            put(&path, b"two", 0o600, false).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(&path).unwrap(), b"one");
        put(&path, b"two", 0o640, true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "no rest of a try is left");
        for name in [
            ".keys.0123456789abcdef",
            ".keys.0123456789abcde",
            ".other.0123456789abcdef",
        ] {
            fs::write(dir.join(name), "").unwrap();
        }
        sweep(&path);
        assert_eq!(
            fs::read_dir(&dir).unwrap().count(),
            3,
            "the rest of a try, and nothing else"
        );
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_machine_answers() {
        assert_eq!(user_id("root"), Some(0));
        assert_eq!(user_id("no-such-user-here"), None);
        assert!(!host_name().unwrap().is_empty());
        assert!(interfaces().unwrap().contains_key("lo"));
    }
}
