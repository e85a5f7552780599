//! The state of the daemon as it may be shown: what clients ask about and `cl_status` prints.

use super::counted;
use super::transitions::Transition;
use crate::conf::HaCf;
use crate::conf::ha_cf::NodeKind;
use crate::core::node::{Link, Node};
use crate::core::tally::Loss;
use crate::core::{Core, NodeStatus};
use crate::groups::Groups;
use crate::ids::{LinkName, NodeName, ResourceName};
use crate::time::{Duration, Instant, Now, Wall};

#[derive(Clone, Debug)]
pub struct LinkView {
    pub name: LinkName,
    pub up: bool,
    /// How long it is what it is.
    pub since: Duration,
    /// Packets of the node that came over this link, of those it sent, lately.
    pub loss: Loss,
}

#[derive(Clone, Debug)]
pub struct NodeView {
    pub name: NodeName,
    pub kind: NodeKind,
    /// Once it was heard.
    pub uuid: Option<[u8; 16]>,
    /// `init` `up` `active` `dead` `ping`
    pub status: &'static str,
    pub links: Vec<LinkView>,
    /// Since when it is in this status.
    pub since: Duration,
    /// Beats later than warntime from this node.
    pub late_beats: u64,
    /// The longest time between two of its beats since it was last given up or started.
    pub longest_interval: Duration,
    /// Its packets that no link brought the first time, lately.
    pub loss: Loss,
    pub weight: i32,
    pub site: String,
    /// What differs between its haresources and ours; empty when equal or unknown.
    pub haresources_differ: Vec<String>,
    /// `None` where no STONITH device can reset it.
    pub fencing: Option<FencingView>,
}

#[derive(Clone, Debug)]
pub struct FencingView {
    /// `ready` `needed` `running` `failed` `done` `unneeded`
    pub state: &'static str,
    /// Tries that failed since the node died.
    pub failures: u32,
    /// Why the last one failed, or who did it.
    pub last: String,
    /// What a person has to do.
    pub todo: Option<String>,
}

/// A node where a group could not be started, or did not work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedView {
    pub node: NodeName,
    pub at: Wall,
    /// Known for this node only; the log of another one tells.
    pub why: Option<String>,
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
    /// When the first of them claimed it, by its own clock.
    pub owned_since: Option<Wall>,
    /// Nodes that do not try again until hb_takeover, a reload or a restart.
    pub failed: Vec<FailedView>,
    /// How long its addresses stay when nobody renews them; zero for ever. `None` when it has none here.
    pub lease: Option<Duration>,
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

/// A program of a `respawn` or `failfast` line, as the master tells of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientReport {
    pub user: String,
    /// Program and arguments as in ha.cf.
    pub command: String,
    pub failfast: bool,
    /// `waiting` `running` `done` (it wants no other start) `given up` `stopped`
    pub state: String,
    /// 0 when there is no process.
    pub pid: u32,
    /// In this state since then.
    pub since: Instant,
    pub restarts: u64,
    /// How it ended, or why it could not be started.
    pub last: String,
}

#[derive(Clone, Debug)]
pub struct ClientView {
    pub report: ClientReport,
    pub since: Duration,
}

#[derive(Debug)]
pub struct View<'a> {
    pub me: &'a NodeName,
    pub cf: &'a HaCf,
    pub nodes: Vec<NodeView>,
    pub media: Vec<MediumView>,
    pub groups: Vec<GroupView>,
    /// Programs of `respawn` lines, in the order of ha.cf.
    pub clients: Vec<ClientView>,
    /// `none` `local` `foreign` `all` `transition`
    pub rsc_hold: &'static str,
    /// Is this node `active`, i.e. may clients be served as by the classic?
    pub active: bool,
    /// name, value: takeovers, bad packets by cause, retransmissions, …
    pub counters: Vec<(String, u64)>,
    /// The newest last.
    pub transitions: Vec<Transition>,
    /// When this was put together.
    pub time: Wall,
}

impl Core {
    /// Puts together what may be shown.
    pub(super) fn view<'a>(
        &'a self,
        groups: &Groups,
        programs: &[ClientReport],
        transitions: Vec<Transition>,
        time: Now,
    ) -> View<'a> {
        let now = time.mono;
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
                    .map(|(name, link)| link_view(n, name, *link, now))
                    .collect(),
                since: now - n.since,
                late_beats: n.late_beats,
                longest_interval: n.longest_interval,
                loss: n.tally.loss(now),
                uuid: n.uuid,
                weight: n.weight,
                site: n.site.clone(),
                haresources_differ: groups.peer_differs(&n.name),
                fencing: groups.fencing_view(&n.name),
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
        let (fencings_ok, fencings_failed) = groups.fencing_counts();
        let fencings = [("fencings_ok", fencings_ok), ("fencings_failed", fencings_failed)];
        let counters = self
            .counters()
            .list()
            .chain(groups.counts())
            .chain(groups.lookout_counts())
            .chain(fencings);
        let counters = counted::all(counters.map(|(name, n)| (name.to_owned(), n)));
        View {
            me: self.me(),
            cf: self.cf(),
            nodes,
            media,
            groups: groups.view(time),
            clients: programs
                .iter()
                .map(|report| ClientView {
                    report: report.clone(),
                    since: now - report.since,
                })
                .collect(),
            rsc_hold: groups.hold_word(),
            active: self.status() == NodeStatus::Active,
            counters,
            transitions,
            time: time.wall,
        }
    }
}

fn link_view(node: &Node, name: &LinkName, link: Link, now: Instant) -> LinkView {
    let figures = node.figures.get(name);
    LinkView {
        name: name.clone(),
        up: link != Link::Dead,
        since: figures.map_or(Duration::ZERO, |f| now - f.since),
        loss: figures.map_or_else(Loss::default, |f| f.tally.loss(now)),
    }
}
