//! What the policy works on: nodes, resources and constraints of one CIB, with everything that is written about them
//! in several places brought together.

use crate::cib::Score;
use crate::time::{Duration, Wall};
use std::collections::BTreeMap;

/// Index of a node in [`Input::nodes`].
pub type N = usize;
/// Index of a resource in [`Input::resources`].
pub type R = usize;

#[derive(Clone, Debug)]
pub struct Input {
    pub settings: Settings,
    /// Sorted by name, so that the lower index is the lower name.
    pub nodes: Vec<Node>,
    /// Groups, clones, their members and instances, each once; parents before their children.
    pub resources: Vec<Resource>,
    /// Those without a parent, in the order of the configuration, orphans last.
    pub tops: Vec<R>,
    pub locations: Vec<Location>,
    pub colocations: Vec<Colocation>,
    pub orders: Vec<Order>,
    /// What is wrong with the configuration, but does not keep it from being carried out.
    pub complaints: Vec<String>,
    /// Of [`Input::resource`].
    pub(super) names: BTreeMap<String, R>,
}

/// The cluster properties that the policy looks at.
#[derive(Clone, Debug)]
pub struct Settings {
    pub now: Wall,
    pub quorate: bool,
    pub without_quorum: WithoutQuorum,
    pub fencing: bool,
    /// There is a fencing device.
    pub can_fence: bool,
    pub fence_action: String,
    pub startup_fencing: bool,
    pub symmetric: bool,
    pub maintenance: bool,
    pub start_failure_is_fatal: bool,
    pub probes: bool,
    pub stop_all: bool,
    pub stop_orphans: bool,
    pub cancel_orphan_actions: bool,
    pub default_timeout: Duration,
    /// Of the agent's environment and the digests.
    pub feature_set: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WithoutQuorum {
    Stop,
    Freeze,
    Ignore,
    Suicide,
}

#[derive(Clone, Debug, Default)]
pub struct Node {
    pub id: String,
    pub uname: String,
    pub ping: bool,
    /// In the membership, its crmd there, joined.
    pub online: bool,
    /// In the membership, but not joined.
    pub pending: bool,
    /// Lost without having said so, or what it holds cannot be stopped.
    pub unclean: bool,
    /// Why it is unclean.
    pub lost: &'static str,
    /// Has been heard of at all.
    pub seen: bool,
    /// Gives the orders.
    pub dc: bool,
    pub standby: bool,
    /// Standby because an operation's on-fail says so.
    pub standby_on_fail: bool,
    pub maintenance: bool,
    pub shutting_down: bool,
    /// Transient ones over permanent ones.
    pub attributes: BTreeMap<String, String>,
    /// Only those of the status: failures and promotion scores.
    pub transient: BTreeMap<String, String>,
}

impl Node {
    /// May be given resources.
    pub fn is_usable(&self) -> bool {
        self.online
            && !self.pending
            && !self.ping
            && !self.unclean
            && !self.standby
            && !self.maintenance
            && !self.shutting_down
    }
}

impl Node {
    /// Whether what runs there is compared with the configuration: not while nothing can be done about it.
    pub fn is_looked_after(&self) -> bool {
        self.is_usable() || self.maintenance && self.online
    }
}

#[derive(Clone, Debug)]
pub struct Resource {
    /// Of an instance with its number: `drbd:1`.
    pub id: String,
    /// In the history, the constraints and the environment: without the number, unless instances are distinct.
    pub plain: String,
    pub parent: Option<R>,
    pub shape: Shape,
    pub meta: BTreeMap<String, String>,
    /// Was in the history only.
    pub orphan: bool,
    pub managed: bool,
    pub maintenance: bool,
    pub stickiness: Score,
    pub priority: Score,
    /// The failures that ban it from a node; `None` when none do.
    pub migration_threshold: Option<u32>,
    pub failure_timeout: Duration,
    pub target: Target,
    pub multiple_active: MultipleActive,
}

#[derive(Clone, Debug)]
pub enum Shape {
    Primitive(Primitive),
    Group(Vec<R>),
    Clone(Clones),
}

#[derive(Clone, Debug, Default)]
pub struct Primitive {
    pub class: String,
    pub provider: String,
    pub kind: String,
    pub params: BTreeMap<String, String>,
    pub operations: Vec<Operation>,
}

impl Primitive {
    /// `ocf:heartbeat:IPaddr`, `lsb:httpd`.
    pub fn agent(&self) -> String {
        match &*self.provider {
            "" => format!("{}:{}", self.class, self.kind),
            provider => format!("{}:{provider}:{}", self.class, self.kind),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Clones {
    pub instances: Vec<R>,
    pub max: usize,
    pub per_node: usize,
    pub unique: bool,
    pub interleave: bool,
    pub ordered: bool,
    pub notify: bool,
    /// Master/slave: how many may be promoted in all and on a node.
    pub promotable: Option<(usize, usize)>,
}

#[derive(Clone, Debug)]
pub struct Operation {
    pub name: String,
    pub interval: Duration,
    pub timeout: Option<Duration>,
    pub role: Option<Role>,
    pub on_fail: Option<OnFail>,
    pub enabled: bool,
    pub start_delay: Duration,
    /// Attributes for the agent of this operation alone, like OCF_CHECK_LEVEL.
    pub params: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Role {
    #[default]
    Stopped,
    /// Of a primitive; [`Role::Slave`] of a master/slave set counts as this one, too.
    Started,
    Slave,
    Master,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OnFail {
    Ignore,
    Restart,
    Block,
    Stop,
    Migrate,
    Standby,
    Fence,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// As good as it can be: started, promoted.
    Any,
    Stopped,
    Slave,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MultipleActive {
    StopStart,
    StopOnly,
    Block,
}

/// One score for a resource on a node.
#[derive(Clone, Debug)]
pub struct Location {
    pub id: String,
    pub rsc: R,
    pub node: N,
    pub score: Score,
    /// Only for who is promoted, not for the place.
    pub of_master: bool,
}

/// `rsc` goes where `with` is.
#[derive(Clone, Debug)]
pub struct Colocation {
    pub id: String,
    pub rsc: R,
    pub rsc_role: Option<Role>,
    pub with: R,
    pub with_role: Option<Role>,
    pub score: Score,
    pub attribute: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Order {
    pub id: String,
    /// One of them is enough unless `all`.
    pub first: Vec<R>,
    pub first_action: Verb,
    pub then: R,
    pub then_action: Verb,
    pub kind: OrderKind,
    pub symmetrical: bool,
    pub all: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderKind {
    Mandatory,
    Optional,
    Serialize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verb {
    Start,
    Stop,
    Promote,
    Demote,
}

impl Verb {
    pub fn inverse(self) -> Self {
        match self {
            Self::Start => Self::Stop,
            Self::Stop => Self::Start,
            Self::Promote => Self::Demote,
            Self::Demote => Self::Promote,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Promote => "promote",
            Self::Demote => "demote",
        }
    }
}

impl Input {
    pub fn node(&self, id_or_name: &str) -> Option<N> {
        let by = |f: fn(&Node) -> &str| self.nodes.iter().position(|n| f(n) == id_or_name);
        by(|n| &n.uname).or_else(|| by(|n| &n.id))
    }

    /// By the id in the configuration: of an instance, its clone's child's.
    pub fn resource(&self, id: &str) -> Option<R> {
        self.names.get(id).copied()
    }

    /// To be done when all resources are there: who has an id, and else the first that is known by it in the history.
    pub(super) fn index(&mut self) {
        for (r, rsc) in self.resources.iter().enumerate().rev() {
            self.names.insert(rsc.plain.clone(), r);
        }
        for (r, rsc) in self.resources.iter().enumerate().rev() {
            self.names.insert(rsc.id.clone(), r);
        }
    }

    pub fn children(&self, r: R) -> &[R] {
        match &self.resources[r].shape {
            Shape::Primitive(_) => &[],
            Shape::Group(members) => members,
            Shape::Clone(clones) => &clones.instances,
        }
    }

    /// The primitives of a resource, itself if it is one, in their order.
    pub fn primitives(&self, r: R) -> Vec<R> {
        match &self.resources[r].shape {
            Shape::Primitive(_) => vec![r],
            Shape::Group(_) | Shape::Clone(_) => self.children(r).iter().flat_map(|c| self.primitives(*c)).collect(),
        }
    }

    /// The outermost resource that holds this one.
    pub fn top(&self, r: R) -> R {
        self.resources[r].parent.map_or(r, |p| self.top(p))
    }

    /// The clone that a resource is, or is an instance of, or a member of an instance of.
    pub fn clone_of(&self, r: R) -> Option<(R, &Clones)> {
        match &self.resources[r].shape {
            Shape::Clone(clones) => Some((r, clones)),
            _ => self.clone_of(self.resources[r].parent?),
        }
    }

    /// Whether it is, or is in, a master/slave set.
    pub fn is_promotable(&self, r: R) -> bool {
        self.clone_of(r).is_some_and(|(_, c)| c.promotable.is_some())
    }

    pub fn primitive(&self, r: R) -> Option<&Primitive> {
        match &self.resources[r].shape {
            Shape::Primitive(primitive) => Some(primitive),
            Shape::Group(_) | Shape::Clone(_) => None,
        }
    }
}
