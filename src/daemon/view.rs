//! The state of the daemon as it may be shown: what clients ask about and `cl_status` prints.

use crate::conf::HaCf;
use crate::conf::ha_cf::NodeKind;
use crate::ids::{LinkName, NodeName, ResourceName};
use crate::time::Duration;

#[derive(Clone, Debug)]
pub struct LinkView {
    pub name: LinkName,
    pub up: bool,
}

#[derive(Clone, Debug)]
pub struct NodeView {
    pub name: NodeName,
    pub kind: NodeKind,
    /// `init` `up` `active` `dead` `ping`
    pub status: &'static str,
    pub links: Vec<LinkView>,
    /// Since when it is in this status.
    pub since: Duration,
    /// Beats later than warntime from this node.
    pub late_beats: u64,
    /// What differs between its haresources and ours; empty when equal or unknown.
    pub haresources_differ: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct GroupView {
    pub key: ResourceName,
    /// As in haresources, key included.
    pub resources: Vec<ResourceName>,
    pub preferred: NodeName,
    /// State on this node: `stopped` `starting` `running` `stopping` `failed` `blocked`
    pub here: &'static str,
    /// Every node known to hold it (more than one is a fault).
    pub owners: Vec<NodeName>,
    /// How long it is in this state here.
    pub since: Duration,
    /// The last thing that happened to it here, and why.
    pub last: String,
}

#[derive(Clone, Debug)]
pub struct MediumView {
    /// `bcast`, `serial`, …
    pub kind: &'static str,
    pub link: LinkName,
    /// Why it does not work; `None` when it does.
    pub broken: Option<String>,
}

#[derive(Debug)]
pub struct View<'a> {
    pub me: &'a NodeName,
    pub cf: &'a HaCf,
    pub nodes: Vec<NodeView>,
    pub media: Vec<MediumView>,
    pub groups: Vec<GroupView>,
    /// `none` `local` `foreign` `all` `transition`
    pub rsc_hold: &'static str,
    /// Is this node `active`, i.e. may clients be served as by the classic?
    pub active: bool,
    /// name, value: takeovers, bad packets by cause, retransmissions, …
    pub counters: Vec<(String, u64)>,
}
