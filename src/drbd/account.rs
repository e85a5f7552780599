//! What one node has to tell about a resource: its states, its generations, and what a person wants to know before saying
//! whose data are to go: how much was changed, when it was last written, who has it mounted.

use super::generations::{Generations, Kinship};
use super::row::Row;
use super::words::{Connection, Disk, Role};
use crate::dopd::DrbdName;
use crate::ids::NodeName;
use crate::msg::Message;
use crate::time::Wall;

/// Volumes that find room in one message.
pub const MOST_VOLUMES: usize = 8;

/// A file system on the device that is mounted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mounted {
    pub place: String,
    pub kind: String,
    pub size_kib: u64,
    pub used_kib: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    pub row: Row,
    pub generations: Option<Generations>,
    pub size_kib: Option<u64>,
    pub mounted: Option<Mounted>,
    /// Who else has the device open: programs, other block devices.
    pub held_by: String,
    /// When its file system was last written, as it says itself (ext2, ext3, ext4).
    pub written: Option<Wall>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    pub node: NodeName,
    pub resource: DrbdName,
    pub volumes: Vec<Volume>,
}

/// How the data of two nodes stand to each other: the worst of the volumes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Situation {
    /// One of the nodes has not said enough.
    Unknown,
    Unrelated,
    SplitBrain,
    /// They can connect by themselves; one of them is behind.
    Behind,
    Same,
}

impl Account {
    pub fn connection(&self) -> Connection {
        let all = self.volumes.iter().map(|v| v.row.connection);
        all.min().unwrap_or(Connection::Unconfigured)
    }

    pub fn role(&self) -> Role {
        self.volumes.first().map_or(Role::Unconfigured, |v| v.row.role)
    }

    /// The worst.
    pub fn disk(&self) -> Disk {
        self.volumes.iter().map(|v| v.row.disk).min().unwrap_or(Disk::Diskless)
    }

    /// Blocks are copied for one of the volumes.
    pub fn sync(&self) -> Option<&Row> {
        self.volumes.iter().map(|v| &v.row).find(|r| r.connection.is_sync())
    }

    /// Mounted, or open: with the words for it.
    pub fn in_use(&self) -> Option<String> {
        self.volumes.iter().find_map(|v| {
            let device = v.row.minor.map_or("the device".to_owned(), |m| format!("/dev/drbd{m}"));
            match (&v.mounted, v.held_by.as_str()) {
                (Some(m), _) => Some(format!("{device} is mounted on {}", m.place)),
                (None, "") => None,
                (None, who) => Some(format!("{device} is in use by {who}")),
            }
        })
    }

    pub fn situation(&self, other: &Self) -> Situation {
        if self.volumes.is_empty() || self.volumes.len() != other.volumes.len() {
            return Situation::Unknown;
        }
        let mut worst = Situation::Same;
        for ours in &self.volumes {
            let theirs = other.volumes.iter().find(|v| v.row.volume == ours.row.volume);
            let (Some(a), Some(b)) = (ours.generations, theirs.and_then(|v| v.generations)) else {
                return Situation::Unknown;
            };
            let this = match Kinship::of(a, b) {
                Kinship::Same => Situation::Same,
                Kinship::OursNewer | Kinship::TheirsNewer | Kinship::New => Situation::Behind,
                Kinship::SplitBrain => Situation::SplitBrain,
                Kinship::Unrelated => Situation::Unrelated,
            };
            if (this as u8) < (worst as u8) {
                worst = this;
            }
        }
        worst
    }

    /// As fields of a message; the mark of a volume is its number.
    pub fn write(&self, mut message: Message) -> Message {
        message.set("resource", self.resource.as_str());
        message.set("volumes", self.volumes.len().to_string());
        for (i, volume) in self.volumes.iter().take(MOST_VOLUMES).enumerate() {
            message.set(&format!("volume{i}"), volume.write());
        }
        message
    }

    /// Of a message of that node. What it does not say, or says in words that are not known, is not there.
    pub fn read(node: &NodeName, message: &Message) -> Option<Self> {
        let resource = message.get("resource")?.parse().ok()?;
        let count: usize = message.get("volumes")?.parse().ok().filter(|n| *n <= MOST_VOLUMES)?;
        let volumes = (0..count).map(|i| Volume::read(&resource, message.get(&format!("volume{i}"))?));
        Some(Self {
            node: node.clone(),
            volumes: volumes.collect::<Option<_>>()?,
            resource: resource.clone(),
        })
    }
}

/// Blanks and what else would end a word, as in /proc/mounts.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", c as u32),
        c if c.is_control() => "?".to_owned(),
        c => c.to_string(),
    };
    text.chars().take(200).map(escape).collect()
}

pub fn unescaped(word: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('\\') {
        out += before;
        let code = after
            .get(..3)
            .and_then(|d| u8::from_str_radix(d, 8).ok())
            .filter(u8::is_ascii);
        match code {
            Some(code) => (out, rest) = (out + &char::from(code).to_string(), &after[3..]),
            None => (out, rest) = (out + "\\", after),
        }
    }
    out + rest
}

impl Volume {
    fn write(&self) -> String {
        let row = &self.row;
        let mut words = vec![
            format!("volume={}", row.volume),
            format!("cs={}", row.connection),
            format!("ro={}/{}", row.role, row.peer_role),
            format!("ds={}/{}", row.disk, row.peer_disk),
        ];
        let mut add = |name: &str, value: Option<String>| words.extend(value.map(|v| format!("{name}={v}")));
        add("minor", row.minor.map(|n| n.to_string()));
        add("oos", row.out_of_sync_kib.map(|n| n.to_string()));
        add("done", row.progress.as_ref().map(|p| p.done.to_string()));
        add("gi", self.generations.map(|g| g.to_string()));
        add("size", self.size_kib.map(|n| n.to_string()));
        add("written", self.written.map(|w| w.0.to_string()));
        add("held", Some(escaped(&self.held_by)).filter(|h| !h.is_empty()));
        if let Some(m) = &self.mounted {
            add("mounted", Some(escaped(&m.place)));
            add("fs", Some(escaped(&m.kind)));
            add("fs_size", Some(m.size_kib.to_string()));
            add("fs_used", Some(m.used_kib.to_string()));
        }
        words.join(" ")
    }

    fn read(resource: &DrbdName, text: &str) -> Option<Self> {
        let get = |name: &str| text.split(' ').find_map(|w| w.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &str| get(name).and_then(|v| v.parse::<u64>().ok());
        let mut row = Row::unconfigured(resource.as_str(), get("volume")?.parse().ok()?, None);
        row.minor = get("minor").and_then(|m| m.parse().ok());
        row.connection = Connection::of(get("cs")?)?;
        let (role, peer_role) = get("ro")?.split_once('/')?;
        let (disk, peer_disk) = get("ds")?.split_once('/')?;
        (row.role, row.peer_role) = (Role::of(role)?, Role::of(peer_role)?);
        (row.disk, row.peer_disk) = (Disk::of(disk)?, Disk::of(peer_disk)?);
        row.out_of_sync_kib = number("oos");
        let done = number("done")
            .and_then(|d| u32::try_from(d).ok())
            .filter(|d| *d <= 1000);
        row.progress = done.map(|done| super::row::Progress {
            done,
            ..Default::default()
        });
        let mounted = get("mounted").map(|place| Mounted {
            place: unescaped(place),
            kind: unescaped(get("fs").unwrap_or("")),
            size_kib: number("fs_size").unwrap_or(0),
            used_kib: number("fs_used").unwrap_or(0),
        });
        Some(Self {
            row,
            generations: get("gi").and_then(|g| g.parse().ok()),
            size_kib: number("size"),
            mounted,
            held_by: unescaped(get("held").unwrap_or("")),
            written: number("written").map(Wall),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::msg::classic;
    use proptest::prelude::*;

    pub(crate) fn volume(cs: Connection, role: Role, gi: &str) -> Volume {
        let mut row = Row::unconfigured("r0", 0, Some(0));
        (row.connection, row.role, row.disk) = (cs, role, Disk::UpToDate);
        Volume {
            row,
            generations: gi.parse().ok(),
            size_kib: None,
            mounted: None,
            held_by: String::new(),
            written: None,
        }
    }

    #[test]
    fn what_is_sent_is_what_is_heard() {
        let node: NodeName = "node1".parse().unwrap();
        let gi = "540CD07870CF82E5:78AB9E8AD5AA2C9D:0000000000000000:0000000000000000:1:1:1:0:0:0:0";
        let mut full = volume(Connection::StandAlone, Role::Primary, gi);
        full.row.out_of_sync_kib = Some(4228);
        full.row.progress = Some(super::super::row::Progress {
            done: 125,
            ..Default::default()
        });
        full.size_kib = Some(65496);
        full.written = Some(Wall(1_790_000_000));
        full.held_by = "mysqld (77) dm-0".to_owned();
        full.mounted = Some(Mounted {
            place: "/mnt/my data".into(),
            kind: "ext4".into(),
            size_kib: 55997,
            used_kib: 14,
        });
        let bare = volume(Connection::WFConnection, Role::Secondary, "");
        let account = Account {
            node: node.clone(),
            resource: "r0".parse().unwrap(),
            volumes: vec![full, bare],
        };
        let message = account.write(Message::new("x"));
        assert!(classic::encode(&message).len() < 3000);
        assert_eq!(Account::read(&node, &message), Some(account));
        for spoilt in [
            "volumes=9",
            "volumes=3",
            "volume0=cs=Good volume=0",
            "resource=--force",
            "volume1=volume=0",
        ] {
            let (name, value) = spoilt.split_once('=').unwrap();
            let mut message = message.clone();
            message.set(name, value);
            assert_eq!(Account::read(&node, &message), None, "{spoilt}");
        }
    }

    proptest! {
        #[test]
        fn words_survive_and_nothing_panics(text in "\\PC{0,60}") {
            prop_assert_eq!(unescaped(&escaped(&text)), text.clone());
            prop_assert!(!escaped(&text).contains(' '));
            let _ = unescaped(&text);
            let _ = Volume::read(&"r0".parse().unwrap(), &text);
        }
    }
}
