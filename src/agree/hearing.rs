//! Who is in the partition: each node tells whom it hears, and passes on what it was told by those it hears.
//!
//! A pair is up when both hear each other. So each node knows of its whole neighbourhood who hears whom, computes its set
//! ([`super::partition`]) and proposes it under a number. When all members propose the same set, lives included, under
//! the same number, its first member names the DC, and the set is the view.
//!
//! What is known of nodes out of reach may be old, but it does not matter: a set is inside one neighbourhood, and what is
//! told there is fresh.

use super::partition::{self, Set, members};
use super::types::{Configured, Settings};
use crate::ids::NodeName;
use crate::msg::{Message, Value};
use crate::time::{Duration, Instant};
use std::cmp::Reverse;

/// The message.
pub(super) const STATE: &str = "crm-state";
/// crmds that were started within this time are of one age: the higher name becomes the DC.
const SAME_AGE: Duration = Duration::from_secs(15);
/// A node whose crmd says nothing for deadtime and this much more is not heard: the program hangs.
const HANGS: Duration = Duration::from_millis(1500);
/// Messages follow one another at least this far apart: several changes at once are one message.
const GAP: Duration = Duration::from_millis(10);
/// A node that this one hears is left out of its set only after two keepalives and this: who lost the same third node
/// notices within a keepalive of one another, and in between its set looks torn.
const HOLD: Duration = Duration::from_millis(300);
/// Every node is to show its partition within deadtime and three seconds.
const LONGEST_HOLD: Duration = Duration::from_secs(2);
/// At the start the others are waited for, this long after deadtime.
const SETTLE: Duration = Duration::from_secs(1);

/// What a node says of itself, and others repeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Row {
    life: u64,
    seq: u64,
    hears: Set,
    /// It has left in order.
    left: bool,
}

/// A set of nodes in certain lives, under a number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Proposal {
    pub number: u64,
    pub members: Vec<(usize, u64)>,
}

#[derive(Debug)]
struct Peer {
    name: NodeName,
    uuid: Option<String>,
    /// Heartbeat's word; `None` before it was said.
    alive: Option<bool>,
    client: Option<bool>,
    /// When its crmd spoke to this node.
    told: Option<Instant>,
    row: Option<Row>,
    /// By itself, not repeated by others.
    proposal: Option<Proposal>,
    /// It is in a view, and it is the DC of it.
    in_view: bool,
    sits: bool,
    born: Instant,
    features: (u64, u64, u64),
    /// The DC it names for its proposal.
    names: Option<usize>,
}

impl Peer {
    fn new(node: Configured) -> Self {
        Self {
            name: node.name,
            uuid: node.uuid,
            alive: None,
            client: None,
            told: None,
            row: None,
            proposal: None,
            in_view: false,
            sits: false,
            born: Instant::NEVER,
            features: (0, 0, 0),
            names: None,
        }
    }
}

/// A set that all its members agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Agreed {
    pub proposal: Proposal,
    pub dc: usize,
}

#[derive(Debug)]
pub(super) struct Hearing {
    me: usize,
    life: u64,
    seq: u64,
    peers: Vec<Peer>,
    silence: Duration,
    every: Duration,
    settled_at: Instant,
    hold: Duration,
    /// Since when a member that is heard would be left out.
    torn_at: Option<Instant>,
    highest: u64,
    mine: Option<Proposal>,
    /// As the first member: whom we named for `mine`.
    named: Option<usize>,
    agreed: Option<Agreed>,
    leaving: bool,
    heard: Set,
    told_at: Option<Instant>,
    tell_at: Instant,
}

impl Hearing {
    pub fn new(
        me: &NodeName,
        uuid: &str,
        nodes: Vec<Configured>,
        settings: &Settings,
        highest: u64,
        now: Instant,
    ) -> Self {
        let mut peers: Vec<_> = nodes.into_iter().map(Peer::new).collect();
        let at = match peers.iter().position(|p| p.name == *me) {
            Some(at) => at,
            // A node that ha.cf does not name is a member of nothing but itself.
            None => {
                peers.push(Peer::new(Configured {
                    name: me.clone(),
                    uuid: None,
                }));
                peers.len() - 1
            }
        };
        peers[at].uuid = Some(uuid.to_owned());
        peers[at].born = now;
        peers[at].features = features();
        Self {
            me: at,
            life: settings.life,
            seq: 0,
            peers,
            silence: settings.deadtime + HANGS,
            every: (settings.deadtime / 4).clamp(Duration::from_millis(100), Duration::from_secs(1)),
            settled_at: now + settings.deadtime + SETTLE,
            hold: (2 * settings.keepalive + HOLD).min(LONGEST_HOLD),
            torn_at: None,
            highest,
            mine: None,
            named: None,
            agreed: None,
            leaving: false,
            heard: 0,
            told_at: None,
            tell_at: now,
        }
    }

    pub fn me(&self) -> usize {
        self.me
    }

    pub fn count(&self) -> usize {
        self.peers.len()
    }

    pub fn name(&self, node: usize) -> &NodeName {
        &self.peers[node].name
    }

    pub fn uuid(&self, node: usize) -> Option<&str> {
        self.peers[node].uuid.as_deref()
    }

    pub fn find(&self, name: &NodeName) -> Option<usize> {
        self.peers.iter().position(|p| p.name == *name)
    }

    pub fn is_alive(&self, node: usize) -> bool {
        node == self.me || self.peers[node].alive == Some(true)
    }

    /// Its heartbeat is heard, its crmd is not: it may be dead, or hang, and what it started may go on running.
    pub fn is_headless(&self, now: Instant, node: usize) -> bool {
        let peer = &self.peers[node];
        let silent = peer.told.is_none_or(|at| now - at > self.silence);
        self.is_alive(node) && (peer.client == Some(false) || silent)
    }

    pub fn has_left(&self, node: usize) -> bool {
        self.peers[node].row.is_some_and(|r| r.left)
    }

    /// A pause longer than this, and the others have gone on without us.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// The list of ha.cf changed. Everything that is known by place is forgotten and learned anew within a beat.
    pub fn configure(&mut self, nodes: Vec<Configured>) -> bool {
        let same = nodes.len() == self.peers.len() && nodes.iter().zip(&self.peers).all(|(n, p)| n.name == p.name);
        if same {
            for (node, peer) in nodes.into_iter().zip(&mut self.peers) {
                peer.uuid = peer.uuid.take().or(node.uuid);
            }
            return false;
        }
        let name = self.peers[self.me].name.clone();
        let mut old = std::mem::take(&mut self.peers);
        let mut take = |node: &NodeName| old.iter().position(|p| p.name == *node).map(|at| old.swap_remove(at));
        for node in nodes {
            let peer = match take(&node.name) {
                Some(me) if me.name == name => me,
                Some(known) => Peer {
                    alive: known.alive,
                    client: known.client,
                    ..Peer::new(Configured {
                        uuid: known.uuid.or(node.uuid.clone()),
                        ..node
                    })
                },
                None => Peer::new(node),
            };
            self.peers.push(peer);
        }
        self.peers.extend(take(&name));
        self.me = self.find(&name).expect("it is in the list or was added");
        self.mine = None;
        self.agreed = None;
        self.named = None;
        self.heard = 0;
        true
    }

    pub fn node_heard(&mut self, node: usize, alive: bool) {
        self.peers[node].alive = Some(alive);
        if !alive {
            self.peers[node].told = None;
        }
    }

    pub fn client_of(&mut self, now: Instant, node: usize, there: bool) {
        self.peers[node].client = Some(there);
        if there {
            // It knows nothing of us yet.
            self.hurry(now);
        } else {
            self.peers[node].told = None;
        }
    }

    /// Whatever its crmd says shows that it is there.
    pub fn spoke(&mut self, now: Instant, node: usize) {
        self.peers[node].told = Some(now);
        self.peers[node].client = Some(true);
    }

    pub fn leave(&mut self, now: Instant) {
        self.leaving = true;
        self.hurry(now);
    }

    /// This program stood still: the others do not count on it any more, nor may it count on what it knows of them.
    pub fn slept(&mut self, now: Instant) {
        for peer in &mut self.peers {
            peer.told = None;
        }
        self.hurry(now);
    }

    fn hurry(&mut self, now: Instant) {
        let soonest = self.told_at.map_or(now, |at| now.max(at + GAP));
        self.tell_at = self.tell_at.min(soonest);
    }

    /// Takes what another node tells.
    pub fn told(&mut self, now: Instant, from: usize, message: &Message) {
        let rows = rows(message);
        let places: Vec<Option<usize>> = rows.iter().map(|(name, _)| self.find(name)).collect();
        let ours = |set: Set| -> Set {
            let known = members(set).filter_map(|i| *places.get(i)?);
            known.fold(0, |set, i| set | 1 << i)
        };
        let life_of = |node: usize| {
            let at = places.iter().position(|p| *p == Some(node))?;
            rows[at].1.map(|r| r.life)
        };
        let mut news = false;
        for (&place, (_, row)) in places.iter().zip(&rows) {
            let (Some(node), Some(row)) = (place, row) else {
                continue;
            };
            let row = Row {
                hears: ours(row.hears),
                ..*row
            };
            if node == self.me {
                // Somebody knows a later life of ours than this one: the clock was set back.
                if (row.life, row.seq) > (self.life, self.seq) {
                    self.life = row.life.saturating_add(1);
                    self.seq = 0;
                    news = true;
                }
                continue;
            }
            let known = self.peers[node].row;
            if known.is_none_or(|k| (row.life, row.seq) > (k.life, k.seq)) {
                news |= known.is_none_or(|k| (k.life, k.hears, k.left) != (row.life, row.hears, row.left));
                self.peers[node].row = Some(row);
            }
        }
        if news {
            self.hurry(now);
        }
        let Some(row) = self.peers[from].row.filter(|r| Some(r.life) == message.dec("life")) else {
            return;
        };
        if message.dec("telling") != Some(row.seq) {
            return;
        }
        let number = message.dec("number").unwrap_or(0);
        self.highest = self.highest.max(number).max(message.dec("highest").unwrap_or(0));
        let set: Vec<_> = members(ours(read_set(message, "set"))).collect();
        let lives: Option<Vec<_>> = set.iter().map(|n| Some((*n, life_of(*n)?))).collect();
        let names = message
            .get("dc")
            .and_then(|n| n.parse().ok())
            .and_then(|n| self.find(&n));
        let peer = &mut self.peers[from];
        peer.proposal = lives
            .filter(|l| !l.is_empty())
            .map(|members| Proposal { number, members });
        peer.names = names;
        peer.in_view = message.get("in") == Some("1");
        peer.sits = message.get("sits") == Some("1");
        peer.uuid = message.get("uuid").map(str::to_owned).or(peer.uuid.take());
        // Its age, told in milliseconds, gives the moment on our clock: at most the time on the way too late.
        peer.born = message.dec("age").map_or(Instant::NEVER, |age| {
            Instant::from_millis(now.as_millis().saturating_sub(age))
        });
        peer.features = message.get("features").and_then(read_features).unwrap_or((0, 0, 0));
    }

    /// Looks at everything anew. `Some`: a view that was not there before.
    pub fn look(&mut self, now: Instant, sits: bool) -> Option<Agreed> {
        let heard = (0..self.peers.len()).filter(|n| self.hears(now, *n));
        let heard = heard.fold(0, |set: Set, n| set | 1 << n);
        let mut changed = heard != self.heard;
        self.heard = heard;
        changed |= self.propose(now);
        if self.named.is_none() && self.is_first() && self.all_propose() {
            self.named = Some(self.elect(sits));
            changed = true;
        }
        let new = self.outcome().filter(|a| self.agreed.as_ref() != Some(a));
        if let Some(new) = &new {
            self.agreed = Some(new.clone());
            changed = true;
        }
        if changed {
            self.hurry(now);
        }
        new
    }

    fn hears(&self, now: Instant, node: usize) -> bool {
        let peer = &self.peers[node];
        node != self.me
            && peer.alive != Some(false)
            && peer.client != Some(false)
            && peer.told.is_some_and(|at| now - at <= self.silence)
            && peer.row.is_some_and(|r| !r.left)
    }

    /// For each node those that it hears and that hear it.
    fn mutual(&self) -> Vec<Set> {
        let hears: Vec<Set> = (0..self.peers.len())
            .map(|n| match self.peers[n].row {
                _ if n == self.me => self.heard,
                Some(row) if !row.left => row.hears,
                _ => 0,
            })
            .collect();
        let both = |a: usize, b: usize| b < hears.len() && hears[b] >> a & 1 == 1;
        let of = |a: usize| {
            members(hears[a])
                .filter(move |b| both(a, *b))
                .fold(0, |set, b| set | 1 << b)
        };
        (0..hears.len()).map(of).collect()
    }

    fn propose(&mut self, now: Instant) -> bool {
        let before = self.mine.clone();
        let mutual = self.mutual();
        if self.leaving || !self.is_settled(now, mutual[self.me]) {
            self.mine = None;
            return before.is_some();
        }
        let set = partition::set_of(self.me, &mutual);
        if self.is_torn(now, set, mutual[self.me]) {
            return false;
        }
        let life = |n: usize| {
            let told = self.peers[n].row.map_or(0, |r| r.life);
            (n, if n == self.me { self.life } else { told })
        };
        let wanted: Vec<_> = members(set).map(life).collect();
        let mut number = match &before {
            Some(mine) if mine.members == wanted => mine.number,
            _ => self.highest.saturating_add(1),
        };
        for (n, _) in &wanted {
            if let Some(theirs) = self.peers[*n].proposal.as_ref().filter(|p| p.members == wanted) {
                number = number.max(theirs.number);
            }
        }
        self.highest = self.highest.max(number);
        self.mine = Some(Proposal {
            number,
            members: wanted,
        });
        if self.mine == before {
            return false;
        }
        self.named = None;
        true
    }

    /// A member of the view that is heard would be left out, and not for long enough to believe it.
    fn is_torn(&mut self, now: Instant, set: Set, mutual: Set) -> bool {
        let agreed = self.agreed.iter().flat_map(|a| &a.proposal.members);
        let left_out = agreed
            .map(|(n, _)| *n)
            .any(|n| mutual >> n & 1 == 1 && set >> n & 1 == 0);
        if !left_out {
            self.torn_at = None;
            return false;
        }
        now - *self.torn_at.get_or_insert(now) < self.hold
    }

    /// At the start nothing is proposed before every other node was heard of. Where there is a view already, who has no
    /// crmd is not waited for.
    fn is_settled(&mut self, now: Instant, mutual: Set) -> bool {
        let in_view = members(mutual).any(|n| self.peers[n].in_view);
        let known = |n: usize| {
            let peer = &self.peers[n];
            let gone = peer.alive == Some(false) || in_view && peer.client == Some(false);
            n == self.me || mutual >> n & 1 == 1 || gone
        };
        if now >= self.settled_at || (0..self.peers.len()).all(known) {
            self.settled_at = Instant::default();
            return true;
        }
        false
    }

    fn is_first(&self) -> bool {
        self.mine.as_ref().is_some_and(|m| m.members[0].0 == self.me)
    }

    fn all_propose(&self) -> bool {
        let Some(mine) = &self.mine else { return false };
        let others = mine.members.iter().filter(|(n, _)| *n != self.me);
        others
            .clone()
            .all(|(n, _)| self.peers[*n].proposal.as_ref() == Some(mine))
    }

    fn outcome(&self) -> Option<Agreed> {
        if !self.all_propose() {
            return None;
        }
        let mine = self.mine.as_ref()?;
        let first = mine.members[0].0;
        let dc = if first == self.me {
            self.named
        } else {
            self.peers[first].names
        }?;
        mine.members.iter().any(|(n, _)| *n == dc).then(|| Agreed {
            proposal: mine.clone(),
            dc,
        })
    }

    /// A DC keeps its office. Else, and of several: the oldest features, the longest life, the highest name.
    fn elect(&self, sits: bool) -> usize {
        let all: Vec<usize> = self
            .mine
            .iter()
            .flat_map(|m| m.members.iter().map(|(n, _)| *n))
            .collect();
        let sitting = |n: usize| if n == self.me { sits } else { self.peers[n].sits };
        let any = all.iter().any(|n| sitting(*n));
        let mut left: Vec<usize> = all.into_iter().filter(|n| !any || sitting(*n)).collect();
        let oldest = left.iter().map(|n| self.peers[*n].features).min();
        left.retain(|n| Some(self.peers[*n].features) == oldest);
        let born = left.iter().map(|n| self.peers[*n].born).min().unwrap_or_default();
        left.retain(|n| self.peers[*n].born - born <= SAME_AGE);
        left.sort_by_key(|n| Reverse(&self.peers[*n].name));
        left[0]
    }

    /// Nobody we hear counts on us any more.
    pub fn is_let_go(&self) -> bool {
        let counts = |n: usize| {
            let proposal = self.peers[n].proposal.as_ref();
            proposal.is_some_and(|p| p.members.iter().any(|(n, _)| *n == self.me))
        };
        !members(self.heard).any(counts)
    }

    /// The message to all nodes, when it is due.
    pub fn tell(&mut self, now: Instant, in_view: bool, sits: bool) -> Option<Message> {
        if now < self.tell_at {
            return None;
        }
        self.told_at = Some(now);
        self.tell_at = now + self.every;
        self.seq += 1;
        let born = self.peers[self.me].born;
        let (a, b, c) = features();
        let mut message = Message::new(STATE)
            .with("life", self.life.to_string())
            // Heartbeat has a field `seq` of its own.
            .with("telling", self.seq.to_string())
            .with("uuid", self.peers[self.me].uuid.as_deref().unwrap_or_default())
            .with("age", (now - born).as_millis().to_string())
            .with("features", format!("{a}.{b}.{c}"))
            .with("highest", self.highest.to_string())
            .with("in", if in_view { "1" } else { "0" })
            .with("sits", if sits { "1" } else { "0" });
        if let Some(mine) = &self.mine {
            let set = mine.members.iter().fold(0, |set: Set, (n, _)| set | 1 << n);
            message.set("number", mine.number.to_string());
            message.set("set", format!("{set:x}"));
        }
        if let Some(named) = self.named {
            message.set("dc", self.peers[named].name.as_str());
        }
        for (n, peer) in self.peers.iter().enumerate() {
            let row = match peer.row {
                _ if n == self.me => Row {
                    life: self.life,
                    seq: self.seq,
                    hears: self.heard,
                    left: self.leaving,
                },
                Some(row) => row,
                None => {
                    message.push("row", Value::from(peer.name.as_str()));
                    continue;
                }
            };
            let left = if row.left { "left" } else { "here" };
            let text = format!("{} {} {} {left} {:x}", peer.name, row.life, row.seq, row.hears);
            message.push("row", Value::from(text));
        }
        Some(message)
    }

    pub fn deadline(&self, now: Instant) -> Instant {
        let silent = members(self.heard).filter_map(|n| self.peers[n].told.map(|at| at + self.silence));
        let silent = silent.min().unwrap_or(Instant::NEVER);
        // The first moment at which it is over.
        let silent = silent + Duration::from_millis(1);
        let settled = if self.settled_at > now {
            self.settled_at
        } else {
            Instant::NEVER
        };
        let torn = self.torn_at.map(|at| at + self.hold).filter(|at| *at > now);
        self.tell_at
            .min(silent)
            .min(settled)
            .min(torn.unwrap_or(Instant::NEVER))
    }
}

/// The names of a message in its order, and what it knows of each.
fn rows(message: &Message) -> Vec<(NodeName, Option<Row>)> {
    let texts = message
        .fields()
        .iter()
        .filter(|f| f.name == "row")
        .filter_map(|f| match &f.value {
            Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Value::Binary(_) | Value::Struct(_) | Value::List(_) => None,
        });
    texts
        .take(Set::BITS as usize)
        .filter_map(|text| {
            let mut words = text.split(' ');
            let name = words.next()?.parse().ok()?;
            Some((name, read_row(words)))
        })
        .collect()
}

fn read_row<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Row> {
    Some(Row {
        life: words.next()?.parse().ok()?,
        seq: words.next()?.parse().ok()?,
        left: words.next()? == "left",
        hears: Set::from_str_radix(words.next()?, 16).ok()?,
    })
}

fn read_set(message: &Message, field: &str) -> Set {
    message
        .get(field)
        .and_then(|t| Set::from_str_radix(t, 16).ok())
        .unwrap_or(0)
}

fn features() -> (u64, u64, u64) {
    read_features(crate::cib::document::FEATURE_SET).expect("three numbers")
}

fn read_features(text: &str) -> Option<(u64, u64, u64)> {
    let mut numbers = text.split('.').map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}
