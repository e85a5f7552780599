//! What comes in and what goes out.

use super::mark::Mark;
use crate::cib::edit::Origin;
use crate::cib::{Cib, Edit, Element, Version};
use crate::ids::NodeName;
use crate::msg::Message;
use crate::time::{Duration, Instant};
use std::fmt;

/// Times, and which life this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    pub keepalive: Duration,
    pub deadtime: Duration,
    /// How long the resources of a node may take to stop that has lost quorum.
    pub stop_margin: Duration,
    /// Differs from that of every earlier start of this node's crmd: milliseconds since 1970 do.
    pub life: u64,
}

/// A node of ha.cf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configured {
    pub name: NodeName,
    /// `None` while heartbeat has not heard it; its crmd tells its own.
    pub uuid: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Timer,
    /// Heartbeat's status of another node: alive is everything but dead.
    NodeHeard {
        node: NodeName,
        alive: bool,
    },
    /// The other node's crmd has signed on or off.
    ClientOf {
        node: NodeName,
        there: bool,
    },
    /// A message of another node's crmd, of a kind that begins with [`super::Agree::KIND`].
    Message {
        from: NodeName,
        fields: Message,
    },
    /// A change of the CIB. Answered once with its id; one that waits for a view keeps its place.
    Submit {
        id: u64,
        edits: Vec<Edit>,
        origin: Origin,
        /// The time for `cib-last-written`, as the CIB writes it.
        written: String,
    },
    /// What was to be stored under this token, and everything before it, is on the disk. Also to be said, after the error
    /// was logged, when the disk does not want it: the cluster must not wait for a broken disk.
    Stored {
        token: u64,
    },
    /// The `lrm` element of this node as its lrmd has it; wanted before the first view.
    History {
        lrm: Element,
    },
    /// ha.cf has other nodes now, in its order.
    Nodes(Vec<Configured>),
    /// This node stops in order: its resources are down, and what it submitted was answered. Ends with [`Action::Left`].
    Leave,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// To the crmd of one node, or of all.
    Send {
        to: Option<NodeName>,
        message: Message,
    },
    /// To be written to the disk, and then [`Event::Stored`]. Of several the last one is enough.
    Store {
        token: u64,
        cib: Box<Cib>,
        mark: Mark,
    },
    Answer {
        id: u64,
        result: Result<Committed, Refused>,
    },
    /// A new view is there. Without quorum what runs must go now; nothing is to be started before [`Action::Active`].
    View(View),
    /// The members of the last view have one CIB now and every node's history is in it. The DC may plan.
    Active {
        /// Until then nodes that were lost may still run what they ran: it must not be started here.
        start_from: Instant,
    },
    CibChanged {
        /// Otherwise the status alone.
        configuration: bool,
    },
    /// This node's CIB gives way to the cluster's and has what that lacks, or lacked something itself: to be kept under
    /// this name beside it. The log names it.
    KeepAside {
        name: String,
        cib: Box<Cib>,
    },
    Log {
        level: log::Level,
        text: String,
    },
    /// The others go on without this node.
    Left,
}

/// What was made of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed {
    pub version: Version,
    /// Otherwise it is lost when the nodes meet others that have gone on: the one who made it is to be warned.
    pub quorum: bool,
}

/// Why a change was not made, or why it is not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The number cibadmin ends with.
    pub code: u8,
    pub text: String,
}

impl Refused {
    pub(super) const BUSY: u8 = 16;
    pub(super) const UNREADABLE: u8 = 65;
    pub(super) const TIMEOUT: u8 = 124;
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {}

/// The partition of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// Higher than that of the view before.
    pub number: u64,
    /// In the order of ha.cf.
    pub members: Vec<NodeName>,
    pub dc: NodeName,
    pub quorum: bool,
    /// Not in the view before, or there in an earlier life.
    pub joined: Vec<NodeName>,
    pub lost: Vec<Lost>,
}

/// A node that was in the view before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    pub node: NodeName,
    /// It has left in order: its resources are down.
    pub clean: bool,
    /// Heartbeat hears it: only its crmd is gone, or other nodes do not hear it.
    pub alive: bool,
}
