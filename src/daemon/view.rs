//! The state of the daemon as it may be shown: what clients ask about and `cl_status` prints.

use crate::conf::HaCf;
use crate::conf::ha_cf::NodeKind;
use crate::core::node::Link;
use crate::core::{Core, NodeStatus};
use crate::groups::Groups;
use crate::ids::{LinkName, NodeName, ResourceName};
use crate::time::{Duration, Instant};

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

impl Core {
    /// Puts together what may be shown.
    pub(super) fn view<'a>(&'a self, groups: &Groups, now: Instant) -> View<'a> {
        let nodes = self
            .nodes()
            .iter()
            .map(|n| NodeView {
                name: n.name.clone(),
                kind: n.kind,
                status: n.status.as_str(),
                links: n
                    .links
                    .iter()
                    .map(|(name, link)| LinkView {
                        name: name.clone(),
                        up: *link != Link::Dead,
                    })
                    .collect(),
                since: now - n.since,
                late_beats: n.late_beats,
                haresources_differ: groups.peer_differs(&n.name),
            })
            .collect();
        let media = self
            .media()
            .map(|(kind, link, broken)| MediumView {
                kind,
                link: link.clone(),
                broken: broken.map(str::to_owned),
            })
            .collect();
        let mut counters: Vec<(String, u64)> = self.counters().list().map(|(name, n)| (name.to_owned(), n)).collect();
        counters.push(("acquisitions".to_owned(), groups.acquisitions()));
        View {
            me: self.me(),
            cf: self.cf(),
            nodes,
            media,
            groups: groups.view(now),
            rsc_hold: groups.hold_word(),
            active: self.status() == NodeStatus::Active,
            counters,
        }
    }
}
