//! What is ordered of an agent, and what came of it.

use super::Agent;
use crate::cib::Element;
use crate::cib::document::digest;
use crate::time::{Duration, Wall};
use std::collections::BTreeMap;

/// The limit of an operation that has none; 20 s, as in every version of Pacemaker.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// Parameters that are the cluster's, not the agent's, begin with this.
pub const META: &str = "CRM_meta_";
/// Which of the cluster's variables an agent can count on.
pub const FEATURES: &str = "crm_feature_set";

/// One operation of one resource; with an interval: from now on, again and again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The asker's number: it comes back with the first answer.
    pub id: u64,
    pub rsc: String,
    pub agent: Agent,
    /// `start`, `stop`, `monitor`, `promote`, `demote`, `notify`, …
    pub op: String,
    /// Zero: once.
    pub interval: Duration,
    /// From its beginning, not from the order; zero: [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
    pub start_delay: Duration,
    /// The agent's parameters, `OCF_CHECK_LEVEL` and its like, and those of the cluster (`CRM_meta_…`).
    pub params: BTreeMap<String, String>,
    /// `ACTION:TRANSITION:EXPECTED-RC:UUID`; comes back with every result.
    pub key: String,
}

impl Order {
    pub fn limit(&self) -> Duration {
        if self.timeout.is_zero() {
            DEFAULT_TIMEOUT
        } else {
            self.timeout
        }
    }

    /// The first look at a resource.
    pub fn is_probe(&self) -> bool {
        self.op == "monitor" && self.interval.is_zero()
    }

    /// What the history keeps of the parameters: see [`digest_of`].
    pub fn digest(&self) -> String {
        let own = self.params.iter().filter(|(n, _)| is_own(n));
        let mut all: BTreeMap<&str, String> = own.map(|(n, v)| (n.as_str(), v.clone())).collect();
        if !self.interval.is_zero() {
            all.insert("CRM_meta_timeout", self.limit().as_millis().to_string());
        }
        digest_of(all.iter().map(|(n, v)| (*n, v.as_str())))
    }

    /// Of those parameters whose change needs a restart.
    pub fn restart_digest(&self, names: &[String]) -> String {
        let kept = self.params.iter().filter(|(n, _)| names.contains(n));
        digest_of(kept.map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

/// Those parameters that are the agent's own.
pub fn own(params: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = params.iter().filter(|(name, _)| is_own(name));
    own.map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// Is this parameter the agent's own?
pub fn is_own(name: &str) -> bool {
    !name.starts_with(META) && name != FEATURES
}

/// The digest of parameters, sorted by name, as Pacemaker 2.1.5 writes it into its histories.
pub fn digest_of<'a>(sorted: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut element = Element::new("parameters");
    for (name, value) in sorted {
        element.set(name, value);
    }
    digest(&element)
}

/// How an operation ended, as `op-status` of the history has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// Not yet.
    Pending,
    /// The agent came to its end: its exit code counts.
    Done,
    Cancelled,
    TimedOut,
    /// The agent has no such operation, or the machine nothing to do it with.
    NotSupported,
    Failed,
    /// Never again on this node.
    Hard,
    /// Never again anywhere.
    Fatal,
    NotInstalled,
}

impl Status {
    const ALL: [Self; 9] = [
        Self::Pending,
        Self::Done,
        Self::Cancelled,
        Self::TimedOut,
        Self::NotSupported,
        Self::Failed,
        Self::Hard,
        Self::Fatal,
        Self::NotInstalled,
    ];

    pub fn code(self) -> i32 {
        match self {
            Self::Pending => -1,
            Self::Done => 0,
            Self::Cancelled => 1,
            Self::TimedOut => 2,
            Self::NotSupported => 3,
            Self::Failed => 4,
            Self::Hard => 5,
            Self::Fatal => 6,
            Self::NotInstalled => 7,
        }
    }

    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }
}

/// What came of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    pub rsc: String,
    pub op: String,
    pub interval: Duration,
    /// Rises with every operation of this lrmd.
    pub call_id: u64,
    pub rc: i32,
    pub status: Status,
    pub exec_time: Duration,
    pub queue_time: Duration,
    /// When this result was seen first.
    pub rc_change: Wall,
    /// The last of what it wrote, at most 4 KiB.
    pub output: String,
    /// What the agent says of its failure, or why it could not be called; else empty.
    pub reason: String,
    pub key: String,
    pub digest: String,
    /// Names, with blanks around them, and digest of the parameters whose change needs a restart; of agents that can
    /// take others without one.
    pub restart: Option<(String, String)>,
}

/// All that lrmd knows of a resource: for a crmd that was not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    pub rsc: String,
    pub agent: Agent,
    /// The newest of those that run once, the newest failure, the newest of each recurring one that goes on. An entry
    /// that is both the newest and the newest failure is there once.
    pub history: Vec<Finished>,
    /// Ordered and not over yet.
    pub pending: Vec<Pending>,
    /// The agent's own parameters of the newest order that was no stop: what it is to be stopped with, whatever is
    /// configured by then.
    pub params: Option<BTreeMap<String, String>>,
}

/// An operation that has been taken and will end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    pub op: String,
    pub interval: Duration,
    pub call_id: u64,
    pub key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(op: &str, interval: u64, params: &[(&str, &str)]) -> Order {
        Order {
            id: 1,
            rsc: "a".into(),
            agent: "ocf:heartbeat:IPaddr2".parse().unwrap(),
            op: op.into(),
            interval: Duration::from_millis(interval),
            timeout: Duration::from_secs(30),
            start_delay: Duration::ZERO,
            params: params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            key: String::new(),
        }
    }

    /// The digests are those that Pacemaker 2.1.5 wrote for the same parameters.
    #[test]
    fn digests_leave_out_what_is_the_clusters() {
        let ip: &[_] = &[("ip", "192.168.56.100"), ("cidr_netmask", "24")];
        let meta: &[_] = &[("CRM_meta_on_node", "n1"), ("crm_feature_set", "3.16.1")];
        #[rustfmt::skip]
        let table = [
            (order("start",   0,      &[]),                     "f2317cad3d54cec5d7d7aa7d0bf35cf8"),
            (order("start",   0,      meta),                    "f2317cad3d54cec5d7d7aa7d0bf35cf8"),
            (order("monitor", 10_000, &[]),                     "02a5bcf940fc8d3239701acb11438d6a"),
            (order("monitor", 10_000, meta),                    "02a5bcf940fc8d3239701acb11438d6a"),
            (order("start",   0,      ip),                      "29190ca344de3911c6bca396a8bc055b"),
            (order("start",   0,      &[ip, meta].concat()),    "29190ca344de3911c6bca396a8bc055b"),
        ];
        for (order, digest) in table {
            assert_eq!(order.digest(), digest, "{order:?}");
        }
        let start = order("start", 0, &[("state", "/x"), ("fake", "y")]);
        assert_eq!(start.restart_digest(&[]), "f2317cad3d54cec5d7d7aa7d0bf35cf8");
        let only = order("start", 0, &[("state", "/x")]);
        assert_eq!(start.restart_digest(&["state".into()]), only.digest());
    }

    #[test]
    fn codes_of_status() {
        for code in -3..12 {
            assert_eq!(
                Status::from_code(code).map(Status::code),
                (-1..=7).contains(&code).then_some(code)
            );
        }
        let mut never = order("start", 0, &[]);
        never.timeout = Duration::ZERO;
        assert_eq!(never.limit(), DEFAULT_TIMEOUT);
    }
}
