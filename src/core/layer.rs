//! The message layer's state, its timers, and what the rooms above may ask of it.

use super::counters::Counters;
use super::flow::Flow;
use super::history::History;
use super::knock::Knocking;
use super::membership::Phase;
use super::node::{Link, Node, NodeStatus};
use super::random::Random;
use super::table::LIVES_EVERY;
use crate::auth::Keyring;
use crate::conf::Autojoin;
use crate::conf::ha_cf::{HaCf, MediumKind, NodeKind, NodeSpec};
use crate::conf::hostcache::{Entry, MAX_NODES};
use crate::daemon::{Action, Settings};
use crate::ids::{Generation, LinkName, MediumId, NodeName, Seq};
use crate::msg::Message;
use crate::time::{Duration, Instant, Now};
use std::collections::VecDeque;
use std::sync::Arc;

/// What the message layer tells the rooms above.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Up {
    /// An accepted message, our own ones included.
    Message {
        from: NodeName,
        generation: Generation,
        seq: Seq,
        message: Arc<Message>,
    },
    /// A message without a number that is for the rooms above.
    Aside {
        from: NodeName,
        message: Message,
    },
    /// The status of a node changed, ours included.
    Status {
        node: NodeName,
        status: NodeStatus,
    },
    /// A node that was dead is heard again and had not been restarted: the network was the dead one.
    Returned {
        node: NodeName,
    },
    /// A known node has a new generation: its heartbeat was started anew.
    Restarted {
        node: NodeName,
    },
    Link {
        node: NodeName,
        link: LinkName,
        up: bool,
    },
    /// A node that was not in the table before; it counts as dead until it is heard.
    Joined {
        node: NodeName,
    },
    /// It is no longer in the table.
    Left {
        node: NodeName,
    },
    /// This node was not running for so long, suspended or starved of the processor, that others may take it for dead.
    Woke {
        asleep: Duration,
    },
}

/// What the last packet was, for whoever must choose what to listen to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Worth {
    /// Of a node of ours, and new; or its newest one, by this medium for the first time.
    Good,
    /// Authentic, but anybody may have sent it once more.
    Plain,
    /// Dropped.
    Bad,
}

#[derive(Debug)]
pub(super) struct Medium {
    pub link: LinkName,
    pub serial: bool,
    pub kind: &'static str,
    /// It carries the echoes of this ping node and nothing else.
    pub ping: Option<NodeName>,
    /// Why it does not work.
    pub broken: Option<String>,
}

/// The message layer of one node.
#[derive(Debug)]
pub struct Core {
    pub(super) me: NodeName,
    pub(super) uuid: [u8; 16],
    pub(super) generation: Generation,
    pub(super) cf: HaCf,
    pub(super) keys: Keyring,
    pub(super) random: Random,
    pub(super) started: Instant,
    pub(super) last_turn: Instant,
    pub(super) next_beat: Instant,
    /// Peers count their deadtime from here.
    pub(super) last_beat: Instant,
    pub(super) beats: u64,
    pub(super) knocking: Knocking,
    pub(super) phase: Phase,
    pub(super) status: NodeStatus,
    pub(super) load: String,
    /// In the order of ha.cf, this node included.
    pub(super) nodes: Vec<Node>,
    /// Deleted with hb_delnode: these do not join again by themselves.
    pub(super) deleted: Vec<Entry>,
    /// haresources prefers them.
    pub(super) pinned: Vec<NodeName>,
    /// What is remembered of the nodes differs from what was given away last.
    pub(super) table_changed: bool,
    /// A life of a peer began or ended: to be remembered at once.
    pub(super) lives_changed: bool,
    /// When the numbers of the peers are remembered next.
    pub(super) lives_due: Instant,
    pub(super) media: Vec<Medium>,
    pub(super) history: History,
    pub(super) flow: Flow,
    /// The packets we sent last, as they come back from a broadcast.
    pub(super) sent: VecDeque<Arc<[u8]>>,
    pub(super) counters: Counters,
    pub(super) worth: Worth,
    pub(super) out: Vec<Action>,
    pub(super) up: VecDeque<Up>,
}

impl Core {
    /// A node that has just started: it says `init`, then `up`, and listens.
    pub fn new(now: Now, settings: &Settings) -> Self {
        let mut core = Self {
            me: settings.me.clone(),
            uuid: settings.uuid,
            generation: settings.generation,
            cf: settings.cf.clone(),
            keys: settings.keys.clone(),
            random: Random::new(settings.seed),
            started: now.mono,
            last_turn: now.mono,
            next_beat: now.mono,
            last_beat: now.mono,
            beats: 0,
            phase: Phase::Listening,
            status: NodeStatus::Init,
            load: "n/a".to_owned(),
            nodes: Vec::new(),
            deleted: Vec::new(),
            pinned: Vec::new(),
            table_changed: false,
            lives_changed: false,
            lives_due: now.mono + LIVES_EVERY,
            media: Vec::new(),
            history: History::default(),
            flow: Flow::default(),
            sent: VecDeque::new(),
            knocking: Knocking::default(),
            counters: Counters::default(),
            worth: Worth::Bad,
            out: Vec::new(),
            up: VecDeque::new(),
        };
        core.lay_out(now.mono);
        core.recall(now.mono, &settings.remembered, settings.resumed.is_some());
        core.beat(now);
        core.set_status(now, NodeStatus::Up);
        core.next_beat = now.mono;
        core
    }

    /// Makes nodes and media as `cf` has them, keeping what is known of those that stay.
    fn lay_out(&mut self, now: Instant) {
        self.media = self
            .cf
            .media
            .iter()
            .map(|m| Medium {
                link: m.link(),
                serial: m.is_serial(),
                kind: m.medium(),
                ping: match &m.kind {
                    MediumKind::Ping { node, .. } => Some(node.clone()),
                    _ => None,
                },
                broken: None,
            })
            .collect();
        let mut known = std::mem::take(&mut self.nodes);
        for NodeSpec { name, kind, .. } in self.cf.nodes.clone() {
            let mut node = match known.iter().position(|n| n.name == name && n.kind == kind) {
                Some(i) => known.swap_remove(i),
                None => match kind {
                    NodeKind::Normal => Node::new(name, kind, now, self.cf.deadtime, self.random.below(10)),
                    NodeKind::Ping => Node::new(name, kind, now, self.cf.deadping, 0),
                },
            };
            // It does not announce one.
            if node.is_ping() {
                node.dt = self.cf.deadping;
            }
            let ping = node.is_ping().then(|| node.name.clone());
            let media = || self.media.iter().filter(|m| m.ping == ping);
            node.links.retain(|link, _| media().any(|m| m.link == *link));
            node.figures.retain(|link, _| media().any(|m| m.link == *link));
            for medium in media() {
                node.links.entry(medium.link.clone()).or_insert(Link::Dead);
                node.figures_of(&medium.link, now);
            }
            self.nodes.push(node);
        }
        for mut stays in known {
            if self.cf.autojoin != Autojoin::None && stays.joined && self.nodes.len() < MAX_NODES {
                // The rooms above have just read an ha.cf without it.
                self.up.push_back(Up::Joined {
                    node: stays.name.clone(),
                });
                let media = || self.media.iter().filter(|m| m.ping.is_none());
                stays.links.retain(|link, _| media().any(|m| m.link == *link));
                for medium in media() {
                    stays.links.entry(medium.link.clone()).or_insert(Link::Dead);
                }
                self.nodes.push(stays);
                continue;
            }
            log::info!("node {}: no longer in ha.cf", stays.name);
            self.table_changed = true;
        }
        self.mark_configured();
    }

    /// Takes over a new configuration; nodes, links and numbers that stay are not touched. True when the media differ,
    /// so that the driver must open and close some.
    pub fn reconfigure(&mut self, now: Now, cf: HaCf, keys: Keyring) -> bool {
        let media_changed = cf.media != self.cf.media;
        let new_deadtime = cf.deadtime != self.cf.deadtime;
        let broken: Vec<_> = self
            .cf
            .media
            .iter()
            .cloned()
            .zip(self.media.iter().map(|m| m.broken.clone()))
            .collect();
        self.cf = cf;
        self.keys = keys;
        self.lay_out(now.mono);
        // What was believed with the old keys is no longer known to be authentic.
        self.sent.clear();
        for node in &mut self.nodes {
            node.newest.clear();
        }
        for (spec, medium) in self.cf.media.iter().zip(&mut self.media) {
            medium.broken = broken
                .iter()
                .find(|(old, _)| old == spec)
                .and_then(|(_, why)| why.clone());
        }
        self.next_beat = self.next_beat.min(now.mono + self.cf.keepalive);
        if new_deadtime {
            // The peers wait for as long as we said last: tell them before it matters.
            self.beat(now);
        }
        media_changed
    }

    /// True when it worked until now.
    pub fn medium_broken(&mut self, medium: MediumId, why: String) -> bool {
        let Some(m) = self.media.get_mut(medium.0) else {
            return false;
        };
        if m.broken.as_ref() != Some(&why) {
            log::error!(
                "link {}: {} does not work: {why}; trying again until it does",
                m.link,
                m.kind
            );
        }
        m.broken.replace(why).is_none()
    }

    /// True when it was broken until now.
    pub fn medium_mended(&mut self, medium: MediumId) -> bool {
        let Some(m) = self.media.get_mut(medium.0) else {
            return false;
        };
        let was_broken = m.broken.take().is_some();
        if was_broken {
            log::info!("link {}: {} works", m.link, m.kind);
        }
        was_broken
    }

    pub fn set_load(&mut self, line: String) {
        self.load = line;
    }

    /// Notices how long nothing was handled; to be called first in every turn. Time in which this node did not listen
    /// is not counted against its peers. One that was away for so long that they may take it for dead gives them all of
    /// their deadtime anew.
    pub fn turn(&mut self, now: Now) {
        let idle = now.mono - self.last_turn;
        self.last_turn = now.mono;
        let asleep = idle.saturating_sub(self.cf.keepalive);
        let woke = idle > self.cf.keepalive && now.mono - self.last_beat >= self.cf.deadtime;
        if asleep < self.cf.deadtime / 2 && !woke {
            return;
        }
        log::warn!(
            "node {}: did nothing for {} ms: suspended, or starved of the processor",
            self.me,
            idle.as_millis()
        );
        self.counters.add("stalls");
        for node in &mut self.nodes {
            let waited = |heard: Instant| if woke { now.mono } else { (heard + asleep).min(now.mono) };
            node.heard = node.heard.map(waited);
            for link in node.links.values_mut() {
                if let Link::Up { heard } = link {
                    *heard = waited(*heard);
                }
            }
        }
        if woke {
            self.up.push_back(Up::Woke { asleep });
        }
    }

    /// Everything that is due: beats, deaths, links, requests for missing messages, the way to `active`.
    pub fn timer(&mut self, now: Now) {
        if now.mono >= self.next_beat {
            self.beat(now);
            self.next_beat += self.cf.keepalive;
            if self.next_beat <= now.mono {
                self.next_beat = now.mono + self.cf.keepalive;
            }
        }
        if now.mono >= self.knock_due() {
            self.knock(now);
        }
        for i in 0..self.nodes.len() {
            self.judge_links(i, now.mono);
            if self.nodes[i].name != self.me
                && now.mono >= self.nodes[i].deadline(self.started, self.cf.initdead.max(self.cf.deadtime))
            {
                self.declare_dead(i, now.mono);
            }
        }
        self.ask_for_missing(now);
        self.advance_phase(now);
    }

    /// When `timer` is due next.
    pub fn deadline(&self) -> Instant {
        let initdead = self.cf.initdead.max(self.cf.deadtime);
        let mut at = self.next_beat.min(self.phase.deadline()).min(self.knock_due());
        for node in &self.nodes {
            if node.name != self.me {
                at = at
                    .min(node.deadline(self.started, initdead))
                    .min(node.window.deadline());
            }
            for link in node.links.values() {
                if let Link::Up { heard } = link {
                    at = at.min(*heard + node.dt);
                }
            }
        }
        at
    }

    /// Nobody is heard although there is somebody to hear: no other node, and none of the ping nodes, of which there is at
    /// least one, has answered the last two times.
    pub fn is_isolated(&self, now: Instant) -> bool {
        let late = self.cf.keepalive * 2;
        let (mut pings, mut others) = (false, false);
        for node in self.nodes.iter().filter(|n| n.name != self.me) {
            let ping = node.is_ping();
            let lately = |at: Instant| !ping || now - at <= late;
            if !node.is_dead() && node.heard.is_some_and(lately) {
                return false;
            }
            pings |= ping;
            others |= !ping;
        }
        pings && others
    }

    fn judge_links(&mut self, i: usize, now: Instant) {
        let node = &mut self.nodes[i];
        for (name, link) in &mut node.links {
            match link {
                Link::Up { heard } if now - *heard >= node.dt => {
                    *link = Link::Dead;
                    if let Some(figures) = node.figures.get_mut(name) {
                        figures.since = now;
                    }
                    log::warn!("Link {}:{name} dead.", node.name);
                    self.up.push_back(Up::Link {
                        node: node.name.clone(),
                        link: name.clone(),
                        up: false,
                    });
                }
                Link::Up { .. } | Link::Dead => {}
            }
        }
    }

    fn declare_dead(&mut self, i: usize, now: Instant) {
        let node = &mut self.nodes[i];
        match node.heard {
            Some(heard) => log::warn!(
                "node {}: is dead (silent for {} ms)",
                node.name,
                (now - heard).as_millis()
            ),
            None if node.is_ping() => log::warn!("node {}: is dead (it has not answered a ping yet)", node.name),
            None => log::warn!("node {}: is dead (never heard within initdead)", node.name),
        }
        node.window.forget_missing();
        node.status = NodeStatus::Dead;
        node.since = now;
        self.lives_changed |= node.generation.is_some();
        self.counters.add(if node.is_ping() { "ping_deaths" } else { "deaths" });
        self.up.push_back(Up::Status {
            node: self.nodes[i].name.clone(),
            status: NodeStatus::Dead,
        });
    }

    /// Changes our own status and tells it at once.
    pub(super) fn set_status(&mut self, now: Now, status: NodeStatus) {
        if self.status == status {
            return;
        }
        self.status = status;
        self.beat(now);
        let me = self.index(&self.me).expect("ha.cf without this node is refused");
        self.nodes[me].status = status;
        self.nodes[me].since = now.mono;
        self.up.push_back(Up::Status {
            node: self.me.clone(),
            status,
        });
    }

    pub(super) fn index(&self, name: &NodeName) -> Option<usize> {
        self.nodes.iter().position(|n| n.name == *name)
    }

    pub fn next_up(&mut self) -> Option<Up> {
        self.up.pop_front()
    }

    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.out)
    }

    pub fn me(&self) -> &NodeName {
        &self.me
    }

    pub fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    pub fn status(&self) -> NodeStatus {
        self.status
    }

    pub fn cf(&self) -> &HaCf {
        &self.cf
    }

    /// What is known of every node, in the order of ha.cf.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn media(&self) -> impl Iterator<Item = (&'static str, &LinkName, Option<&str>)> {
        self.media.iter().map(|m| (m.kind, &m.link, m.broken.as_deref()))
    }

    pub fn beats(&self) -> u64 {
        self.beats
    }

    /// Of the packet that was received last.
    pub fn worth(&self) -> Worth {
        self.worth
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A message of this life of `node` with a lower number than this may still come.
    pub fn misses_before(&self, node: &NodeName, generation: Generation, seq: Seq) -> bool {
        let node = self.index(node).map(|i| &self.nodes[i]);
        node.filter(|n| n.generation == Some(generation))
            .and_then(|n| n.window.first_missing())
            .is_some_and(|missing| missing < seq)
    }

    /// Messages of `node` are known to be missing: what it says now may not be the whole story.
    pub fn has_gaps(&self, node: &NodeName) -> bool {
        self.index(node).is_some_and(|i| self.nodes[i].window.has_gaps())
    }
}
