//! Rows and accounts as people and programs read them.

use super::account::{Account, Volume};
use super::row::{Progress, Row};
use super::words::Role;
use crate::clients::json::{Json, list, object};
use std::fmt::Write;

/// `[=======>............]`, as in /proc/drbd.
pub fn bar(done: u32, width: usize) -> String {
    let full = (done.min(1000) as usize * width) / 1000;
    match full {
        f if f >= width => format!("[{}]", "=".repeat(width)),
        f => format!("[{}>{}]", "=".repeat(f), ".".repeat(width - f - 1)),
    }
}

/// `1.5 GiB`
pub fn size(kib: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut tenths = u128::from(kib) * 10;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    match tenths % 10 {
        0 => format!("{} {}", tenths / 10, units[unit]),
        t => format!("{}.{t} {}", tenths / 10, units[unit]),
    }
}

fn seconds(all: u64) -> String {
    format!("{}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60)
}

/// `[=>...] 12.5%, 85.2 MiB to go, 0:02:28 at 576 KiB/s`
pub fn progress(p: &Progress) -> String {
    let mut text = format!("{} {}.{}%", bar(p.done, 20), p.done / 10, p.done % 10);
    if let Some(left) = p.left_kib {
        let _ = write!(text, ", {} to go", size(left));
    }
    if let Some(finish) = p.finish_seconds {
        let _ = write!(text, ", {}", seconds(finish));
    }
    if let Some(speed) = p.kib_a_second {
        let _ = write!(text, " at {}/s", size(speed));
    }
    text
}

/// The lines of the old drbd-overview: number and name, connection, roles, disks; then where it is mounted.
pub fn overview(volumes: &[Volume]) -> String {
    let name = |r: &Row| {
        let minor = r.minor.map_or("?".to_owned(), |m| m.to_string());
        let peer = if matches!(r.peer.as_str(), "" | "peer") {
            String::new()
        } else {
            format!("/{}", r.peer)
        };
        format!("{minor:>2}:{}/{}{peer}", r.resource, r.volume)
    };
    let widest = volumes.iter().map(|v| name(&v.row).len()).max().unwrap_or(0);
    let mut text = String::new();
    for v in volumes {
        let row = &v.row;
        let (roles, disks) = if row.is_configured() {
            (row.roles(), row.disks())
        } else {
            (".".into(), ".".into())
        };
        let _ = write!(text, "{:widest$}  {} {roles} {disks}", name(row), row.connection);
        if let Some(m) = &v.mounted {
            let percent = (m.used_kib * 100).div_ceil(m.size_kib.max(1));
            let free = m.size_kib.saturating_sub(m.used_kib);
            let _ = write!(
                text,
                " {} {} {} {} {} {percent}%",
                m.place,
                m.kind,
                short(m.size_kib),
                short(m.used_kib),
                short(free)
            );
        } else if !v.held_by.is_empty() {
            let _ = write!(text, " in use by {}", v.held_by);
        }
        text.push('\n');
        if let Some(p) = &row.progress {
            let _ = writeln!(text, "    {}", progress(p));
        }
    }
    text
}

/// `85M`, as df -h.
fn short(kib: u64) -> String {
    let text = size(kib);
    match text.split_once(' ') {
        Some((number, unit)) => format!("{number}{}", unit.chars().next().unwrap_or('K')),
        None => text,
    }
}

/// More about each, for `drbdctl status`.
pub fn status(volumes: &[Volume]) -> String {
    let mut text = String::new();
    for v in volumes {
        let row = &v.row;
        let _ = writeln!(text, "{} volume {}: {}", row.resource, row.volume, row.connection);
        if !row.is_configured() {
            let _ = writeln!(text, "  not up on this node: drbdadm up {}", row.resource);
            continue;
        }
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<12} {value}");
        };
        line("device", row.minor.map_or("?".to_owned(), |m| format!("/dev/drbd{m}")));
        line("role", row.roles());
        line("data", row.disks());
        if row.suspended {
            line("I/O", "suspended".to_owned());
        }
        if let Some(n) = row.out_of_sync_kib.filter(|n| *n > 0) {
            line("out of sync", size(n));
        }
        if let Some(p) = &row.progress {
            line("copied", progress(p));
        }
        if let Some(m) = &v.mounted {
            line(
                "mounted",
                format!(
                    "{} ({}, {} of {} used)",
                    m.place,
                    m.kind,
                    size(m.used_kib),
                    size(m.size_kib)
                ),
            );
        }
        if !v.held_by.is_empty() {
            line("open", v.held_by.clone());
        }
    }
    text
}

/// What a person wants to know before saying whose changes are to go.
pub fn side(account: &Account, local_time: &dyn Fn(u64) -> String) -> String {
    let mut text = format!("{}\n", account.node);
    if account.volumes.is_empty() {
        text += "  the resource is not up there\n";
    }
    for v in &account.volumes {
        let row = &v.row;
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<13} {value}");
        };
        if account.volumes.len() > 1 {
            line("volume", row.volume.to_string());
        }
        line("state", format!("{} {} {}", row.connection, row.roles(), row.disks()));
        if let Some(kib) = row.out_of_sync_kib {
            line("changed alone", format!("{} at most", size(kib)));
        }
        if let Some(kib) = v.size_kib {
            line("size", size(kib));
        }
        line(
            "last written",
            v.written.map_or("not known".to_owned(), |w| local_time(w.0)),
        );
        line(
            "in use",
            match (&v.mounted, v.held_by.as_str()) {
                (Some(m), _) => format!(
                    "mounted on {} ({}, {} of {} used)",
                    m.place,
                    m.kind,
                    size(m.used_kib),
                    size(m.size_kib)
                ),
                (None, "") if row.role == Role::Primary => "primary, not mounted".to_owned(),
                (None, "") => "no".to_owned(),
                (None, who) => format!("open by {who}"),
            },
        );
    }
    text
}

fn row_json(v: &Volume) -> Vec<(&'static str, Json)> {
    let row = &v.row;
    let p = row.progress.as_ref();
    vec![
        ("resource", row.resource.as_str().into()),
        ("volume", u64::from(row.volume).into()),
        ("minor", row.minor.map(u64::from).into()),
        ("peer", row.peer.as_str().into()),
        ("connection", row.connection.as_str().into()),
        ("role", row.role.as_str().into()),
        ("peer_role", row.peer_role.as_str().into()),
        ("disk", row.disk.as_str().into()),
        ("peer_disk", row.peer_disk.as_str().into()),
        ("suspended", row.suspended.into()),
        ("out_of_sync_kib", row.out_of_sync_kib.into()),
        ("done_permille", p.map(|p| u64::from(p.done)).into()),
        ("left_kib", p.and_then(|p| p.left_kib).into()),
        ("finish_seconds", p.and_then(|p| p.finish_seconds).into()),
        ("kib_a_second", p.and_then(|p| p.kib_a_second).into()),
        ("size_kib", v.size_kib.into()),
        ("written", v.written.map(|w| w.0).into()),
        ("generations", v.generations.map(|g| g.to_string()).as_deref().into()),
        ("open_by", Some(v.held_by.as_str()).filter(|h| !h.is_empty()).into()),
        (
            "mounted",
            v.mounted.as_ref().map_or(Json::Null, |m| {
                object([
                    ("place", m.place.as_str().into()),
                    ("kind", m.kind.as_str().into()),
                    ("size_kib", m.size_kib.into()),
                    ("used_kib", m.used_kib.into()),
                ])
            }),
        ),
    ]
}

pub fn json(volumes: &[Volume]) -> Json {
    list(volumes, |v| {
        Json::Object(row_json(v).into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_sizes() {
        #[rustfmt::skip]
        let bars = [
            (0,    "[>.........]"),
            (99,   "[>.........]"),
            (100,  "[=>........]"),
            (999,  "[=========>]"),
            (1000, "[==========]"),
            (9999, "[==========]"),
        ];
        for (done, want) in bars {
            assert_eq!(bar(done, 10), want, "{done}");
        }
        for (kib, want) in [
            (0, "0 KiB"),
            (1023, "1023 KiB"),
            (1024, "1 MiB"),
            (1536, "1.5 MiB"),
            (65496, "63.9 MiB"),
            (2_103_412, "2 GiB"),
            (u64::MAX, "16777215.9 PiB"),
        ] {
            assert_eq!(size(kib), want, "{kib}");
        }
    }
}
