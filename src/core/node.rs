//! What this node knows of one node: its status, its links, its numbers.

use super::tally::Tally;
use super::window::Window;
use crate::conf::ha_cf::NodeKind;
use crate::conf::hostcache::DEFAULT_WEIGHT;
use crate::ids::{Generation, LinkName, NodeName, Seq};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The words that stand in `st`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NodeStatus {
    /// Never heard, or just started.
    Init,
    /// The program runs but is not ready.
    Up,
    /// Full member.
    Active,
    Dead,
    /// A ping node that answers.
    Ping,
}

impl NodeStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Up => "up",
            Self::Active => "active",
            Self::Dead => "dead",
            Self::Ping => super::ping::ALIVE,
        }
    }

    /// What a cluster node says of itself: that it is a ping node is decided by ha.cf.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "init" => Some(Self::Init),
            "up" => Some(Self::Up),
            "active" => Some(Self::Active),
            "dead" => Some(Self::Dead),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    Dead,
    Up { heard: Instant },
}

/// Since when a link is what it is, and how many packets of the node come over it.
#[derive(Clone, Debug, Default)]
pub struct LinkFigures {
    pub since: Instant,
    pub tally: Tally,
}

#[derive(Debug)]
pub struct Node {
    pub name: NodeName,
    pub kind: NodeKind,
    pub uuid: Option<[u8; 16]>,
    pub status: NodeStatus,
    /// What it said last, before it was found dead.
    pub said: NodeStatus,
    pub since: Instant,
    /// `None` until the first authentic message.
    pub generation: Option<Generation>,
    /// What a life of ours before this one had heard of it last: up to here nothing is new.
    pub past: Option<(Generation, Seq)>,
    pub window: Window,
    /// The packet that brought the newest number, as it came: its copies need not be checked and read again.
    pub newest: Vec<u8>,
    /// Media over which it came, a bit each: what comes by one of them once more may be anybody's.
    pub newest_by: u64,
    /// The messages with which a ping node was asked last, oldest first.
    pub questions: VecDeque<Arc<[u8]>>,
    /// Last status message; `None` before the first.
    pub heard: Option<Instant>,
    /// How long to wait for its next status, as it announces; ours until then.
    pub dt: Duration,
    pub links: BTreeMap<LinkName, Link>,
    /// Of the links above; a link that was never heard may have none.
    pub figures: BTreeMap<LinkName, LinkFigures>,
    /// Packets of this node on all its links together.
    pub tally: Tally,
    /// The longest time between two of its beats since it was last given up or started.
    pub longest_interval: Duration,
    /// Its status messages carry `protocol`: it knows node list exchange and acknowledgements.
    pub speaks_protocol: bool,
    /// We acknowledge its numbers that end in this digit.
    pub ack_digit: u64,
    pub late_beats: u64,
    /// Numbers found missing since the last status, for naming the cause of a late heartbeat.
    pub lost_since_status: u64,
    /// Its present life has beaten.
    pub beating: bool,
    /// Its present life took the place of one that had not been given up: after a kill of one of its processes, say.
    pub succeeded: bool,
    pub weight: i32,
    pub site: String,
    /// ha.cf does not name it: it joined by itself or with hb_addnode.
    pub joined: bool,
    /// It has acknowledged everything up to here.
    pub acked: Seq,
    /// When it said so last, or began to count.
    pub acked_at: Instant,
}

impl Node {
    pub fn new(name: NodeName, kind: NodeKind, now: Instant, dt: Duration, digit: u64) -> Self {
        Self {
            name,
            kind,
            uuid: None,
            status: NodeStatus::Init,
            said: NodeStatus::Init,
            since: now,
            generation: None,
            past: None,
            window: Window::default(),
            newest: Vec::new(),
            newest_by: 0,
            questions: VecDeque::new(),
            heard: None,
            dt,
            links: BTreeMap::new(),
            figures: BTreeMap::new(),
            tally: Tally::default(),
            longest_interval: Duration::ZERO,
            speaks_protocol: false,
            ack_digit: digit,
            late_beats: 0,
            lost_since_status: 0,
            beating: false,
            succeeded: false,
            weight: DEFAULT_WEIGHT,
            site: String::new(),
            joined: false,
            acked: Seq(0),
            acked_at: now,
        }
    }

    /// Asked for an echo, and no member of the cluster.
    pub fn is_ping(&self) -> bool {
        self.kind == NodeKind::Ping
    }

    /// The figures of a link, made at the first look.
    pub fn figures_of(&mut self, link: &LinkName, now: Instant) -> &mut LinkFigures {
        if !self.figures.contains_key(link) {
            let fresh = LinkFigures {
                since: now,
                tally: Tally::default(),
            };
            self.figures.insert(link.clone(), fresh);
        }
        self.figures.get_mut(link).expect("put in a moment ago")
    }

    /// It starts anew, or is heard again after it was given up: figures of before say nothing about now.
    pub fn begin_figures(&mut self) {
        self.longest_interval = Duration::ZERO;
        self.tally.restart();
        for figures in self.figures.values_mut() {
            figures.tally.restart();
        }
    }

    pub fn is_dead(&self) -> bool {
        self.status == NodeStatus::Dead
    }

    /// The highest generation that this node or its life before has heard of it: lower ones are over for ever.
    pub fn newest_life(&self) -> Option<Generation> {
        self.generation.max(self.past.map(|(generation, _)| generation))
    }

    /// Its newest life and the newest number in that: what the life after ours must know.
    pub fn heard_up_to(&self) -> Option<(Generation, Seq)> {
        let now = self.generation.zip(self.window.last());
        now.max(self.past)
    }

    /// When it is dead unless it is heard before.
    pub fn deadline(&self, start: Instant, initdead: Duration) -> Instant {
        match (self.status, self.heard) {
            (NodeStatus::Dead, _) => Instant::NEVER,
            (_, Some(heard)) => heard + self.dt,
            // Nobody waits for a ping node, so it is not given the time of a boot.
            (_, None) if self.is_ping() => self.since + self.dt,
            (_, None) => start + initdead,
        }
    }
}
