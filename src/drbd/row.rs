//! One device seen from one node, towards one peer: what all sources of it have in common.

use super::words::{Connection, Disk, Role};

/// How far a copy, or a comparison, has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// In tenths of a percent.
    pub done: u32,
    pub left_kib: Option<u64>,
    pub total_kib: Option<u64>,
    /// As DRBD estimates it.
    pub finish_seconds: Option<u64>,
    pub kib_a_second: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Empty while it is not known: `/proc/drbd` has numbers only.
    pub resource: String,
    pub volume: u32,
    pub minor: Option<u32>,
    /// DRBD 8.4 knows no names of peers and says "peer"; without a connection it has none.
    pub peer: String,
    pub connection: Connection,
    pub role: Role,
    pub peer_role: Role,
    pub disk: Disk,
    pub peer_disk: Disk,
    /// `A`, `B` or `C`; not known without a connection, and not told by `events2`.
    pub protocol: Option<char>,
    /// The six letters of `/proc/drbd`.
    pub flags: String,
    pub suspended: bool,
    pub out_of_sync_kib: Option<u64>,
    pub progress: Option<Progress>,
}

impl Row {
    /// Nothing of it in the kernel.
    pub fn unconfigured(resource: &str, volume: u32, minor: Option<u32>) -> Self {
        Self {
            resource: resource.to_owned(),
            volume,
            minor,
            peer: String::new(),
            connection: Connection::Unconfigured,
            role: Role::Unconfigured,
            peer_role: Role::Unknown,
            disk: Disk::Diskless,
            peer_disk: Disk::DUnknown,
            protocol: None,
            flags: String::new(),
            suspended: false,
            out_of_sync_kib: None,
            progress: None,
        }
    }

    pub fn is_configured(&self) -> bool {
        self.connection != Connection::Unconfigured
    }

    /// `local/peer`, as DRBD's commands print it; one word when there is nothing.
    pub fn roles(&self) -> String {
        match self.role {
            Role::Unconfigured => Role::Unconfigured.to_string(),
            role => format!("{role}/{}", self.peer_role),
        }
    }

    pub fn disks(&self) -> String {
        match self.is_configured() {
            true => format!("{}/{}", self.disk, self.peer_disk),
            false => Connection::Unconfigured.to_string(),
        }
    }
}
