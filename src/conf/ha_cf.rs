//! ha.cf: one directive a line.
//!
//! `directives` is the table of what there is; `reader` goes line by line and puts words (`draft`) and rests of lines
//! (`whole_line`) into the draft; `values` reads single words; `whole` checks what only the whole file can tell: deadtime
//! against keepalive, the own node, the order of lines.

mod directives;
mod draft;
pub mod fencing;
mod reader;
mod values;
mod whole;
mod whole_line;

pub use directives::{DIRECTIVES, Directive, Effect};
pub use fencing::{FenceDevice, FenceKind, FenceParameters};

use super::access::{Accounts, ApiAuth};
use super::{Complaints, Parsed};
use crate::ids::{LinkName, NodeName};
use crate::time::Duration;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AutoFailback {
    On,
    Off,
    /// The default when ha.cf says nothing, as in the classic.
    #[default]
    Legacy,
}

impl AutoFailback {
    /// Every word for true and false counts, as in the classic.
    pub fn parse(word: &str) -> Option<Self> {
        match (word, values::boolean(word)) {
            ("legacy", _) => Some(Self::Legacy),
            (_, Ok(true)) => Some(Self::On),
            (_, Ok(false)) => Some(Self::Off),
            (_, Err(_)) => None,
        }
    }
}

/// What is done about an address that is to be taken over and that somebody still answers for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IfAnswered {
    /// The node that had it is fenced where that is possible; then it is taken over.
    #[default]
    Fence,
    /// Nobody is asked, as in heartbeat 3.0.6.
    On,
    /// It is not taken over as long as somebody answers.
    Off,
}

impl IfAnswered {
    pub fn parse(word: &str) -> Option<Self> {
        match (word, values::boolean(word)) {
            ("fence", _) => Some(Self::Fence),
            (_, Ok(true)) => Some(Self::On),
            (_, Ok(false)) => Some(Self::Off),
            (_, Err(_)) => None,
        }
    }
}

/// Who may become a node without a node line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Autojoin {
    #[default]
    None,
    /// Other machines; this one has a node line.
    Other,
    /// This one too.
    Any,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    Normal,
    Ping,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeSpec {
    pub name: NodeName,
    pub kind: NodeKind,
    /// Line of ha.cf.
    pub line: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MediumKind {
    Bcast {
        dev: String,
    },
    /// `to` is the address or name as written; names are looked up by the master at start, never by the core.
    Ucast {
        dev: String,
        to: String,
    },
    Mcast {
        dev: String,
        group: Ipv4Addr,
        port: u16,
        ttl: u8,
        loopback: bool,
    },
    Ucast6 {
        dev: String,
        to: String,
    },
    Mcast6 {
        dev: String,
        group: std::net::Ipv6Addr,
        port: u16,
        hops: u8,
        loopback: bool,
    },
    Serial {
        device: PathBuf,
        baud: u32,
    },
    /// One host to be asked for an echo. The hosts of a `ping_group` are a medium each, of one node and one link.
    Ping {
        node: NodeName,
        /// Address or name as written.
        host: String,
        v6: bool,
        group: bool,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediumSpec {
    pub kind: MediumKind,
    /// UDP port in force when this line was read; not used by serial (mcast carries its own).
    pub port: u16,
    pub line: usize,
}

impl MediumSpec {
    /// The link name the classic gives it: the interface, the device path, what a ping node is called.
    pub fn link(&self) -> LinkName {
        let name = match &self.kind {
            MediumKind::Bcast { dev }
            | MediumKind::Ucast { dev, .. }
            | MediumKind::Mcast { dev, .. }
            | MediumKind::Ucast6 { dev, .. }
            | MediumKind::Mcast6 { dev, .. } => dev.clone(),
            MediumKind::Serial { device, .. } => device.display().to_string(),
            MediumKind::Ping { node, group: true, .. } => node.to_string(),
            MediumKind::Ping { host, .. } => host.clone(),
        };
        name.parse()
            .expect("the parser of ha.cf made sure that device names are link names")
    }

    /// `bcast`, `ucast`, … as in ha.cf.
    pub fn medium(&self) -> &'static str {
        match self.kind {
            MediumKind::Bcast { .. } => "bcast",
            MediumKind::Ucast { .. } => "ucast",
            MediumKind::Mcast { .. } => "mcast",
            MediumKind::Ucast6 { .. } => "ucast6",
            MediumKind::Mcast6 { .. } => "mcast6",
            MediumKind::Serial { .. } => "serial",
            MediumKind::Ping { group: true, .. } => "ping_group",
            MediumKind::Ping { v6: true, .. } => "ping6",
            MediumKind::Ping { .. } => "ping",
        }
    }

    /// It brings answers of a ping node and no messages of other nodes: a cluster that has nothing else has no medium.
    pub fn is_ping(&self) -> bool {
        matches!(self.kind, MediumKind::Ping { .. })
    }

    /// Where it leads, in words that no other medium of a file has.
    pub fn whole(&self) -> String {
        format!("{:?} {}", self.kind, self.port)
    }

    /// Serial lines carry classic text, everything else netstrings.
    pub fn is_serial(&self) -> bool {
        matches!(self.kind, MediumKind::Serial { .. })
    }
}

/// A `respawn` or `failfast` line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientLine {
    pub failfast: bool,
    pub user: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub line: usize,
    /// From SIGTERM to SIGKILL when it is to end.
    pub patience: Duration,
}

/// ha.cf as read; times that the file leaves away are filled in from the table of defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HaCf {
    /// Normal and ping nodes in the order of the file.
    pub nodes: Vec<NodeSpec>,
    pub media: Vec<MediumSpec>,
    pub keepalive: Duration,
    pub deadtime: Duration,
    pub warntime: Duration,
    pub initdead: Duration,
    pub deadping: Duration,
    pub max_rexmit_delay: Duration,
    pub hopfudge: u8,
    pub auto_failback: AutoFailback,
    /// `msgfmt netstring`: no inner auth field.
    pub msgfmt_netstring: bool,
    pub logfile: Option<PathBuf>,
    pub debugfile: Option<PathBuf>,
    pub logfacility: Option<String>,
    pub syslogmsgfmt: bool,
    pub debug: u8,
    pub realtime: bool,
    pub rtprio: u8,
    pub autojoin: Autojoin,
    /// Line of `autojoin`; 0 when there is none.
    pub autojoin_line: usize,
    /// The resources are the crm's: haresources is not used.
    pub crm: bool,
    /// `uuidfrom nodename`
    pub uuid_from_name: bool,
    /// Ours: time limit of start and stop scripts.
    pub resource_timeout: Duration,
    /// Ours: `vip_lease off` turns the kernel lease off.
    pub vip_lease: bool,
    /// Ours: `takeover_if_vip_answers`
    pub if_answered: IfAnswered,
    /// Ours: may this node start what nobody has while it hears neither another node nor a ping node?
    pub isolated_takeover: bool,
    /// Ours: the connections of service addresses are told to the other nodes, so that they can wake their clients.
    pub tickle: bool,
    pub watchdog: Option<PathBuf>,
    pub clients: Vec<ClientLine>,
    /// Who may sign on, the defaults included.
    pub apiauth: Vec<ApiAuth>,
    /// The numbers behind the names in `apiauth`; filled in by whoever may look them up.
    pub accounts: Accounts,
    /// `stonith` and `stonith_host` lines that are for this node.
    pub fencing: Vec<FenceDevice>,
    /// `env NAME=VALUE`
    pub env: Vec<(String, String)>,
    /// Directives with one value as written, for `cl_status hbparameter` and the `HA_name` environment of scripts;
    /// defaults included, in alphabetical order.
    pub parameters: Vec<(String, String)>,
}

/// The kernel drops an address up to 806 ms late (measured on Linux 6.18), and the renewal follows the beat.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

impl HaCf {
    /// Why `autojoin` cannot be used with these groups, as in heartbeat 3.0.6: a machine that joins by itself has no
    /// haresources that anybody compared with ours.
    pub fn autojoin_conflict(&self, haresources: &super::Haresources) -> Option<&'static str> {
        (self.autojoin != Autojoin::None && !haresources.groups.is_empty()).then_some(
            "R1 style resource management conflicts with autojoin set: write `autojoin none` and a node line for each \
             node, or remove all groups from haresources",
        )
    }

    /// How long the kernel keeps a service address that nobody renews: whole seconds, as the kernel counts, and over
    /// before a peer's deadtime is, although the kernel may be 806 ms late. `None`: off, or there is no room for it.
    pub fn lease(&self) -> Option<Duration> {
        let lease = Duration::from_secs(self.deadtime.saturating_sub(LEASE_MARGIN).as_secs());
        (self.vip_lease && !lease.is_zero() && lease >= self.keepalive * 2).then_some(lease)
    }

    pub fn normal_nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes
            .iter()
            .filter(|n| n.kind == NodeKind::Normal)
            .map(|n| &n.name)
    }
}

/// What a directive is when ha.cf does not say: name, value as `getparm` shows it, where the value comes from.
/// The reader starts by reading these. warntime, initdead and deadping follow from deadtime, see `whole`.
pub const DEFAULTS: &[(&str, &str, &str)] = &[
    ("auto_failback", "legacy", "heartbeat 3.0.6"),
    ("autojoin", "none", "heartbeat 3.0.6"),
    ("baud", "19200", "heartbeat 3.0.6"),
    ("cluster", "linux-ha", "heartbeat 3.0.6"),
    ("compression_threshold", "2", "heartbeat 3.0.6"),
    ("conn_logd_time", "60", "heartbeat 3.0.6"),
    ("coredumps", "true", "heartbeat 3.0.6"),
    ("crm", "false", "heartbeat 3.0.6"),
    ("deadtime", "30000ms", "heartbeat 3.0.6"),
    ("debug", "0", "heartbeat 3.0.6"),
    ("hbgenmethod", "file", "heartbeat 3.0.6"),
    ("hopfudge", "1", "heartbeat 3.0.6"),
    ("keepalive", "1000ms", "heartbeat 3.0.6"),
    ("log_badpack", "true", "heartbeat 3.0.6"),
    ("max_rexmit_delay", "250", "heartbeat 3.0.6"),
    ("memreserve", "6500", "heartbeat 3.0.6"),
    ("msgfmt", "classic", "heartbeat 3.0.6"),
    ("normalpoll", "true", "heartbeat 3.0.6"),
    ("realtime", "true", "heartbeat 3.0.6"),
    (
        "resource_timeout",
        "300",
        "ours: longer than a slow database needs, short enough to be noticed the same hour",
    ),
    ("rtprio", "1", "heartbeat 3.0.6"),
    ("syslogmsgfmt", "true", "heartbeat 3.0.6"),
    (
        "takeover_if_vip_answers",
        "fence",
        "ours: the service comes first; the log and the counters tell",
    ),
    (
        "tickle",
        "off",
        "ours: the list of connections costs a message every two seconds",
    ),
    ("traditional_compression", "no", "heartbeat 3.0.6"),
    (
        "udpport",
        "694",
        "heartbeat 3.0.6 where /etc/services has no ha-cluster",
    ),
    ("uuidfrom", "file", "heartbeat 3.0.6"),
    (
        "vip_lease",
        "on",
        "ours: on where deadtime leaves room for it, see ha.cf(5)",
    ),
];

/// Reads ha.cf for node `me`. All mistakes are reported, each with its line.
pub fn parse(file: &Path, text: &str, me: &NodeName) -> Parsed<HaCf> {
    let mut bad = Complaints::about(file);
    let draft = reader::read(text, &mut bad);
    let cf = whole::finish(draft, me, &mut bad);
    bad.finish(|| Some(cf))
}

#[cfg(test)]
mod tests;
