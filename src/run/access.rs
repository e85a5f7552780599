//! What the master does for clients that the core has no right to: the numbers behind the names of `apiauth`, and the
//! signals that clients asked for.

use crate::clients::request;
use crate::conf::{Accounts, ApiAuth};
use crate::paths;
use crate::sys::{files, process};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// Asks the user database; a name it does not know is said, and lets nobody in. May wait for a name service: at start
/// and at a reload only.
pub fn accounts(lines: &[ApiAuth]) -> Accounts {
    let mut all = Accounts::default();
    let (users, groups) = Accounts::wanted(lines);
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    for name in users {
        if let Some(uid) = files::user_id(name) {
            all.add_user(name, uid);
        }
    }
    for name in groups {
        if let Some((gid, members)) = files::group(name) {
            let mut uids: Vec<u32> = members.iter().filter_map(|m| files::user_id(m)).collect();
            uids.extend(primary_members(&passwd, gid));
            uids.sort_unstable();
            uids.dedup();
            all.add_group(name, gid, uids);
        }
    }
    all
}

/// The local users whose own group it is; a group does not list them.
fn primary_members(passwd: &str, gid: u32) -> impl Iterator<Item = u32> + '_ {
    passwd.lines().filter_map(move |line| {
        let mut words = line.split(':').skip(2);
        let uid = words.next()?.parse().ok()?;
        (words.next()?.parse() == Ok(gid)).then_some(uid)
    })
}

/// Sends a signal that a client asked for. The core is not trusted with it: only a process that has the answer FIFO of
/// the client open is reached.
pub fn wake(pair: &str, pid: u32, signal: u8) {
    match try_wake(pair, pid, signal) {
        Ok(()) => {}
        // It has ended; the core will notice.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => log::warn!("client {pair}: no signal {signal} to process {pid}: {e}"),
    }
}

fn try_wake(pair: &str, pid: u32, signal: u8) -> io::Result<()> {
    let refused = |why: &str| io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned());
    let good = match pair.split_once('/') {
        Some(("api" | "casual", name)) => request::kind_of_id(name).is_some(),
        _ => false,
    };
    if !good || signal == 0 || signal > 31 || pid <= 1 || pid > i32::MAX as u32 {
        return Err(refused("that is no client, or no signal for one"));
    }
    let path = paths::state().join(format!("{pair}.rsp"));
    let fifo = fs::symlink_metadata(&path)?;
    let file_name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    // Held from here on, so that the number cannot come to mean another process.
    let target = process::pidfd(pid).map_err(|e| io::Error::new(io::ErrorKind::NotFound, e))?;
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        // By name first: looking at any other file could wait for a disk.
        let named = fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().ends_with(&file_name));
        if named && fs::metadata(entry.path()).is_ok_and(|m| (m.dev(), m.ino()) == (fifo.dev(), fifo.ino())) {
            return process::signal_through(&target, signal);
        }
    }
    Err(refused("it does not have the client's answers open"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_belong_to_the_group_in_their_line() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nha:x:103:106::/:/bin/false\nbad\nx:x:a:106\nbob:x:1000:106:Bob:/h:/b\n";
        assert_eq!(primary_members(passwd, 106).collect::<Vec<_>>(), [103, 1000]);
        assert_eq!(primary_members(passwd, 7).count(), 0);
    }

    #[test]
    fn nobody_but_a_client_is_signalled() {
        for (pair, pid, signal) in [
            ("../../etc/x", 1, 15),
            ("api/../x", 4_000_000, 15),
            ("api/x", 1, 15),
            ("api/x", 0, 15),
            ("api/x", u32::MAX, 15),
            ("casual/70", 4_000_000, 0),
            ("casual/70", 4_000_000, 32),
        ] {
            let refused = try_wake(pair, pid, signal).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{pair} {pid} {signal}");
        }
    }
}
