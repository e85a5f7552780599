//! `drbdsetup events2 --now --statistics`: resources, connections and devices by name, of DRBD 8.4 and of DRBD 9.
//!
//! A line is `exists KIND name:value ...`. DRBD 9 has a connection for each peer, and so a row for each volume and peer.

use super::row::{Progress, Row};
use super::words::{Connection, Disk, Role};
use std::collections::BTreeMap;

/// Lines that are looked at: a thousand resources with some peers.
const MOST_LINES: usize = 20_000;

type Fields<'a> = BTreeMap<&'a str, &'a str>;

/// What was told about everything there is; `None` when it was not told to its end.
pub fn rows(text: &str) -> Option<Vec<Row>> {
    let mut resources: Vec<Fields<'_>> = Vec::new();
    let mut connections: Vec<Fields<'_>> = Vec::new();
    let mut devices: Vec<Fields<'_>> = Vec::new();
    let mut peer_devices: Vec<Fields<'_>> = Vec::new();
    let mut whole = false;
    for line in text.lines().take(MOST_LINES) {
        let Some(rest) = line.strip_prefix("exists ") else {
            continue;
        };
        let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let fields: Fields<'_> = rest.split(' ').filter_map(|w| w.split_once(':')).collect();
        match kind {
            "resource" => resources.push(fields),
            "connection" => connections.push(fields),
            "device" => devices.push(fields),
            "peer-device" => peer_devices.push(fields),
            "-" => whole = true,
            // Paths of DRBD 9, and what later versions add.
            _ => {}
        }
    }
    if !whole {
        return None;
    }
    let mut rows = Vec::new();
    for device in &devices {
        let same = |f: &&Fields<'_>, names: &[&str]| names.iter().all(|n| f.get(n) == device.get(n));
        let resource = resources.iter().find(|r| same(r, &["name"]));
        let mut row = Row::unconfigured(
            field(device, "name"),
            parsed(device, "volume").unwrap_or(0),
            parsed(device, "minor"),
        );
        row.role = resource
            .and_then(|r| Role::of(field(r, "role")))
            .unwrap_or(Role::Unknown);
        row.disk = Disk::of(field(device, "disk")).unwrap_or(Disk::Diskless);
        // Yes, no, or the reasons.
        row.suspended = resource.is_some_and(|r| !matches!(field(r, "suspended"), "" | "no"));
        row.connection = Connection::StandAlone;
        let before = rows.len();
        for connection in connections.iter().filter(|c| same(c, &["name"])) {
            let of_peer = |f: &&Fields<'_>| {
                same(f, &["name", "volume"]) && f.get("peer-node-id") == connection.get("peer-node-id")
            };
            let mut row = towards(row.clone(), connection, peer_devices.iter().find(of_peer));
            if row.progress.is_none() && row.connection.is_sync() {
                row.progress = by_size(row.out_of_sync_kib, parsed(device, "size"));
            }
            rows.push(row);
        }
        if rows.len() == before {
            // Attached and nothing else, or no peer in the configuration.
            rows.push(row);
        }
    }
    Some(rows)
}

fn field<'a>(fields: &Fields<'a>, name: &str) -> &'a str {
    fields.get(name).copied().unwrap_or("")
}

fn parsed<T: std::str::FromStr>(fields: &Fields<'_>, name: &str) -> Option<T> {
    field(fields, name).parse().ok()
}

/// How far it is when it is not said.
fn by_size(left: Option<u64>, size: Option<u64>) -> Option<Progress> {
    let (left, size) = (left?, size?.max(1));
    let done = u128::from(size.saturating_sub(left)) * 1000 / u128::from(size);
    Some(Progress {
        done: u32::try_from(done).unwrap_or(0),
        left_kib: Some(left),
        ..Progress::default()
    })
}

fn towards(mut row: Row, connection: &Fields<'_>, device: Option<&Fields<'_>>) -> Row {
    row.peer = field(connection, "conn-name").to_owned();
    row.peer_role = Role::of(field(connection, "role")).unwrap_or(Role::Unknown);
    // A word that is not known is no connection.
    row.connection = Connection::of(field(connection, "connection")).unwrap_or(Connection::StandAlone);
    let Some(device) = device else { return row };
    row.peer_disk = Disk::of(field(device, "peer-disk")).unwrap_or(Disk::DUnknown);
    if row.connection == Connection::Connected
        && let Some(replication) = Connection::of(field(device, "replication"))
    {
        row.connection = replication;
    }
    row.out_of_sync_kib = parsed(device, "out-of-sync");
    if row.connection.is_sync()
        && let Some(done) = parsed::<f64>(device, "done").filter(|d| (0.0..=100.0).contains(d))
    {
        let done = (done * 10.0) as u32;
        row.progress = Some(Progress {
            done,
            left_kib: row.out_of_sync_kib,
            ..Progress::default()
        });
    }
    row
}
