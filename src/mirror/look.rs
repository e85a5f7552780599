//! How the DRBD devices of this machine are, and who uses them.

use super::tools::{self, Fault, QUESTION};
use crate::dopd::DrbdName;
use crate::drbd::account::{Account, Mounted, Volume, unescaped};
use crate::drbd::generations::Generations;
use crate::drbd::{Row, events, proc_file};
use crate::ids::NodeName;
use crate::sys::files;
use crate::time::Wall;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

const PROC: &str = "/proc/drbd";
/// Programs and devices that are named when a device is in use.
const MOST_HOLDERS: usize = 4;
/// Where ext2, ext3 and ext4 have their superblock, and what is read of it.
const SUPERBLOCK: u64 = 1024;
const EXT_MAGIC: [u8; 2] = [0x53, 0xef];

fn proc_drbd() -> Option<String> {
    let mut text = String::new();
    let file = fs::File::open(PROC).ok()?;
    file.take(proc_file::LONGEST as u64).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The module is in the kernel.
pub fn is_loaded() -> bool {
    Path::new(PROC).exists()
}

/// What the kernel has: each device, with each peer. Nothing when the module is not loaded.
pub fn rows() -> Result<Vec<Row>, Fault> {
    let Some(text) = proc_drbd() else { return Ok(Vec::new()) };
    let of_proc = proc_file::rows(&text);
    let told = tools::run("drbdsetup", &["events2", "--now", "--statistics"], QUESTION)?;
    let Some(mut rows) = events::rows(&told.text).filter(|_| told.good()) else {
        // Programs of 8.4 before 8.4.6 do not know it.
        return named(of_proc);
    };
    // What only the other one says.
    for row in &mut rows {
        if let Some(other) = of_proc.iter().find(|o| o.minor == row.minor && row.minor.is_some()) {
            row.protocol = other.protocol;
            row.flags.clone_from(&other.flags);
            row.out_of_sync_kib = other.out_of_sync_kib.or(row.out_of_sync_kib);
            // Both were asked one after the other: only what fits.
            if other.connection == row.connection {
                row.progress = other.progress.clone().or(row.progress.take());
            }
        }
    }
    Ok(rows)
}

/// Numbers of devices to names of resources, by drbd.conf.
fn named(mut rows: Vec<Row>) -> Result<Vec<Row>, Fault> {
    for resource in configured()? {
        let minors = tools::good("drbdadm", &["sh-minor", resource.as_str()], QUESTION)?;
        for (volume, minor) in (0..).zip(minors.split_whitespace().filter_map(|m| m.parse::<u32>().ok())) {
            if let Some(row) = rows.iter_mut().find(|r| r.minor == Some(minor)) {
                row.resource = resource.to_string();
                row.volume = volume;
            }
        }
    }
    Ok(rows)
}

/// The resources of drbd.conf for this host.
pub fn configured() -> Result<Vec<DrbdName>, Fault> {
    let text = tools::good("drbdadm", &["sh-resources"], QUESTION)?;
    // Warnings stand before them.
    let line = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("");
    Ok(line.split_whitespace().filter_map(|w| w.parse().ok()).collect())
}

/// Of one resource; none when it is not up.
pub fn rows_of(resource: &DrbdName) -> Result<Vec<Row>, Fault> {
    let mut rows = rows()?;
    rows.retain(|r| r.resource == resource.as_str());
    Ok(rows)
}

/// Everything that is up, and with it what could be.
pub fn all() -> Result<Vec<Row>, Fault> {
    let mut rows = rows()?;
    for name in configured()? {
        if !rows.iter().any(|r| r.resource == name.as_str()) {
            let minors = tools::good("drbdadm", &["sh-minor", name.as_str()], QUESTION)?;
            let minors = minors.split_whitespace().filter_map(|m| m.parse().ok());
            rows.extend(
                (0..)
                    .zip(minors)
                    .map(|(volume, minor)| Row::unconfigured(name.as_str(), volume, Some(minor))),
            );
        }
    }
    rows.sort_by_key(|r| (r.minor, r.peer.clone()));
    Ok(rows)
}

/// With what this machine knows beside DRBD: mounts, who has it open, size.
pub fn with_users(row: Row) -> Volume {
    let minor = row.minor.filter(|_| row.is_configured());
    let mounted = minor.and_then(mounted);
    let held_by = match (minor, &mounted) {
        (Some(minor), None) => holders(minor),
        _ => String::new(),
    };
    let size_kib = minor.and_then(|m| {
        let sectors = fs::read_to_string(format!("/sys/block/drbd{m}/size")).ok()?;
        sectors.trim().parse::<u64>().ok().map(|s| s / 2)
    });
    Volume {
        row,
        generations: None,
        size_kib,
        mounted,
        held_by,
        written: None,
    }
}

/// What this node has to tell about a resource. One row a volume: the first peer's.
pub fn account(node: &NodeName, resource: &DrbdName) -> Result<Account, Fault> {
    let mut volumes: Vec<Volume> = Vec::new();
    for row in rows_of(resource)? {
        if volumes.iter().any(|v| v.row.volume == row.volume) {
            continue;
        }
        let which = format!("{resource}/{}", row.volume);
        let mut volume = with_users(row);
        let told = tools::run("drbdadm", &["get-gi", &which], QUESTION)?;
        volume.generations = told.text.lines().find_map(|l| l.parse::<Generations>().ok());
        volume.written = written(&volume, &which);
        volumes.push(volume);
    }
    Ok(Account {
        node: node.clone(),
        resource: resource.clone(),
        volumes,
    })
}

/// When the file system says that it was last written. A secondary's device cannot be opened; its disk can, and has the
/// file system at its beginning.
fn written(volume: &Volume, which: &str) -> Option<Wall> {
    let path = match (volume.row.role, volume.row.minor) {
        (crate::drbd::Role::Primary, Some(minor)) => PathBuf::from(format!("/dev/drbd{minor}")),
        _ => {
            let told = tools::good("drbdadm", &["sh-ll-dev", which], QUESTION).ok()?;
            PathBuf::from(told.lines().last()?.trim())
        }
    };
    let block = files::read_fresh(&path, SUPERBLOCK, 1024).ok()?;
    last_written(&block)
}

/// The superblock of ext2, ext3 and ext4: its mark at 56, the time of the last write at 48, its upper byte at 0x274.
fn last_written(block: &[u8]) -> Option<Wall> {
    if block.get(56..58)? != EXT_MAGIC {
        return None;
    }
    let low = u32::from_le_bytes(block.get(48..52)?.try_into().ok()?);
    let high = *block.get(0x274)?;
    Some(Wall(u64::from(low) | u64::from(high) << 32)).filter(|w| w.0 > 0)
}

/// The places where a device is mounted, the last one first.
pub fn places(minor: u32) -> Vec<(String, String)> {
    let device = device_number(minor);
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut places: Vec<(String, String)> = text.lines().filter_map(|l| mount(l, &device)).collect();
    places.reverse();
    places
}

/// As the kernel numbers it; 147 is DRBD's major number.
fn device_number(minor: u32) -> String {
    let told = fs::read_to_string(format!("/sys/block/drbd{minor}/dev")).unwrap_or_default();
    match told.trim() {
        "" => format!("147:{minor}"),
        number => number.to_owned(),
    }
}

/// `30 1 147:0 / /mnt rw,relatime - ext4 /dev/drbd0 rw`
fn mount(line: &str, device: &str) -> Option<(String, String)> {
    let (before, after) = line.split_once(" - ")?;
    let mut words = before.split(' ').skip(2);
    let (number, _, place) = (words.next()?, words.next()?, words.next()?);
    let kind = after.split(' ').next()?;
    (number == device).then(|| (unescaped(place), kind.to_owned()))
}

fn mounted(minor: u32) -> Option<Mounted> {
    let (place, kind) = places(minor).pop()?;
    let (size_kib, used_kib) = files::space(Path::new(&place)).unwrap_or_default();
    Some(Mounted {
        place,
        kind,
        size_kib,
        used_kib,
    })
}

/// Who has the device open, by what the kernel shows: swap, devices on top of it, programs. Empty when nobody has.
fn holders(minor: u32) -> String {
    let device = format!("/dev/drbd{minor}");
    let mut all = Vec::new();
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps
        .lines()
        .any(|l| l.split_whitespace().next() == Some(device.as_str()))
    {
        all.push("swap".to_owned());
    }
    let above = fs::read_dir(format!("/sys/block/drbd{minor}/holders"))
        .into_iter()
        .flatten()
        .flatten();
    all.extend(above.map(|e| e.file_name().to_string_lossy().into_owned()));
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(open) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        if open
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == Path::new(&device)))
        {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            all.push(format!("{} ({pid})", name.trim()));
        }
        if all.len() >= MOST_HOLDERS {
            break;
        }
    }
    all.join(", ")
}

/// Who has it open, mounts included, in one sentence for a log.
pub fn users(minor: u32) -> String {
    let places: Vec<String> = places(minor)
        .into_iter()
        .map(|(p, _)| format!("mounted on {p}"))
        .collect();
    let all = [places.join(", "), holders(minor)]
        .into_iter()
        .filter(|t| !t.is_empty());
    all.collect::<Vec<_>>().join(", ")
}

/// The hosts of a resource in drbd.conf: `on NAME {`.
pub fn hosts(resource: &DrbdName) -> Result<Vec<String>, Fault> {
    Ok(hosts_of(&tools::good(
        "drbdadm",
        &["dump", resource.as_str()],
        QUESTION,
    )?))
}

fn hosts_of(dump: &str) -> Vec<String> {
    let names = dump
        .lines()
        .filter_map(|l| l.trim().strip_prefix("on ")?.strip_suffix('{'));
    names
        .flat_map(|n| n.split_whitespace())
        .map(|n| n.trim_matches('"').to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_by_the_number_of_the_device() {
        let line = "30 1 147:0 / /mnt/my\\040data rw,relatime shared:1 - ext4 /dev/drbd0 rw";
        assert_eq!(mount(line, "147:0"), Some(("/mnt/my data".into(), "ext4".into())));
        assert_eq!(mount(line, "147:1"), None);
        assert_eq!(mount("rubbish", "147:0"), None);
    }

    #[test]
    fn the_time_of_the_last_write_stands_in_the_superblock() {
        let mut block = vec![0; 1024];
        assert_eq!(last_written(&block), None);
        block[56..58].copy_from_slice(&EXT_MAGIC);
        assert_eq!(last_written(&block), None, "never");
        block[48..52].copy_from_slice(&1_790_000_000u32.to_le_bytes());
        assert_eq!(last_written(&block), Some(Wall(1_790_000_000)));
        block[0x274] = 1;
        assert_eq!(last_written(&block), Some(Wall(1_790_000_000 + (1 << 32))));
        assert_eq!(last_written(&block[..100]), None);
    }

    #[test]
    fn hosts_stand_in_the_dump() {
        let dump = "# resource r0 on node1: not ignored, not stacked\nresource r0 {\n    on node1 {\n        address x;\n    }\n    on \"Node2\" {\n    }\n    net {\n    }\n}\n";
        assert_eq!(hosts_of(dump), ["node1", "node2"]);
    }
}
