//! Nodes that come and go: autojoin, hb_addnode and hb_delnode, weights, sites, uuids, and what is remembered of them.
//!
//! What ha.cf names is a node, always. Others become nodes
//! * by themselves, when ha.cf says `autojoin other` or `any` (then haresources is empty): an authentic message is
//!   enough, unless the node was deleted with hb_delnode;
//! * by hb_addnode on one node, which all living nodes must hear. With `autojoin none` such a node stays until the next
//!   start or reload that does not find it in ha.cf; with the others it is remembered.
//!
//! Nothing of it goes to a disk here: [`Core::take_table`] gives the text to whoever writes it.

use super::layer::{Core, Up};
use super::node::{Link, Node, NodeStatus};
use crate::conf::Autojoin;
use crate::conf::ha_cf::NodeKind;
use crate::conf::hostcache::{self, Entry, MAX_NODES, Remembered, uuid_text};
use crate::conf::lives::{self, Life};
use crate::ids::NodeName;
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant, Now};
use log::Level;

/// Field of ours in `repnodes`: the nodes that hb_addnode added, which no ha.cf names.
pub(super) const JOINED: &str = "hb_joined";
const WEIGHT: &str = "weight";
const SITE: &str = "site";

/// How far the remembered numbers of living peers may lag behind. A peer that dies is remembered at once, so this is
/// what can be played to us again after *both* died within it: at most so long the peer looks alive once more.
pub(super) const LIVES_EVERY: Duration = Duration::from_secs(10);

/// hostcache, delhostcache and hb_peers as they should be on disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    pub nodes: String,
    pub deleted: String,
    pub peers: String,
}

/// The commands of this file, as `t` in the FIFO and on the wire.
pub const COMMANDS: [&str; 4] = ["addnode", "delnode", "setweight", "setsite"];

impl Core {
    /// What was remembered from the time before; to be called once, before the first beat.
    pub(super) fn recall(&mut self, now: Instant, remembered: &Remembered, resumed: bool) {
        for entry in remembered.deleted.iter().take(MAX_NODES) {
            match self.member(&entry.name) {
                // The configuration is newer than the deletion, unless this daemon carries on after another.
                Some(i) if resumed && entry.name != self.me => {
                    self.nodes.remove(i);
                    self.deleted.push(entry.clone());
                }
                Some(_) => {
                    log::warn!(
                        "node {}: was deleted with hb_delnode, but ha.cf names it: it is a node",
                        entry.name
                    );
                    self.table_changed = true;
                }
                None => self.deleted.push(entry.clone()),
            }
        }
        let keeps = self.cf.autojoin != Autojoin::None || resumed;
        for entry in &remembered.nodes {
            let known = self.member(&entry.name);
            let gone = self.deleted.iter().any(|d| d.name == entry.name);
            let i = match known {
                Some(i) => i,
                None if keeps && !gone && self.index(&entry.name).is_none() && self.nodes.len() < MAX_NODES => {
                    log::info!("node {}: joined before, and is remembered in hostcache", entry.name);
                    self.push_node(now, entry.name.clone());
                    self.nodes.len() - 1
                }
                None => {
                    self.table_changed = true;
                    continue;
                }
            };
            let node = &mut self.nodes[i];
            node.weight = entry.weight;
            node.site = entry.site.clone();
            if node.name != self.me {
                node.uuid = entry.uuid;
            }
        }
        for life in &remembered.peers {
            // What ha.cf no longer names is forgotten with the next change.
            if let Some(i) = self.member(&life.name).filter(|_| life.name != self.me) {
                self.nodes[i].past = Some((life.generation, life.seq));
            }
        }
        if let Some(me) = self.index(&self.me) {
            let uuid = Some(self.uuid);
            self.table_changed |= self.nodes[me].uuid != uuid || remembered.nodes.len() != self.nodes.len();
            self.nodes[me].uuid = uuid;
        }
    }

    /// A node of the cluster, no ping node.
    fn member(&self, name: &NodeName) -> Option<usize> {
        self.index(name).filter(|i| !self.nodes[*i].is_ping())
    }

    fn push_node(&mut self, now: Instant, name: NodeName) {
        let digit = self.random.below(10);
        let mut node = Node::new(name, NodeKind::Normal, now, self.cf.deadtime, digit);
        let media = self.media.iter().filter(|m| m.ping.is_none());
        node.links = media.map(|m| (m.link.clone(), Link::Dead)).collect();
        node.joined = true;
        self.up.push_back(Up::Joined {
            node: node.name.clone(),
        });
        self.nodes.push(node);
        self.table_changed = true;
    }

    /// A node more while we run. It counts as dead until it is heard: nobody waits for it.
    fn add(&mut self, now: Instant, name: NodeName, why: &str) {
        log::info!("node {name}: Adding new node[{name}] to configuration: {why}");
        self.deleted.retain(|d| d.name != name);
        self.push_node(now, name);
        if let Some(node) = self.nodes.last_mut() {
            node.status = NodeStatus::Dead;
        }
    }

    fn delete(&mut self, name: &NodeName, why: &str) {
        let Some(i) = self.index(name) else { return };
        log::info!("node {name}: deleted: {why}");
        let node = self.nodes.remove(i);
        if self.deleted.len() >= MAX_NODES {
            self.deleted.remove(0);
        }
        self.deleted.push(entry_of(&node));
        self.table_changed = true;
        self.up.push_back(Up::Left { node: name.clone() });
    }

    /// A message with a good signature of a node that is not in the table. True when it is now.
    pub(super) fn join(&mut self, now: Now, src: &NodeName) -> bool {
        let no = if self.cf.autojoin == Autojoin::None {
            "ha.cf has no such node line"
        } else if self.deleted.iter().any(|d| d.name == *src) {
            "it was deleted with hb_delnode; hb_addnode lets it in again"
        } else if self.nodes.len() >= MAX_NODES {
            "there are 100 nodes already"
        } else {
            self.add(now.mono, src.clone(), "it was heard, and ha.cf says autojoin");
            return true;
        };
        self.counters
            .complain(now.mono, Level::Error, "bad_packets_unknown_node", || {
                format!("bad node [{src}] in message: {no}; dropped")
            });
        false
    }

    /// Learns the uuid that node `i` sends, and says when it cannot be right.
    pub(super) fn note_uuid(&mut self, now: Now, i: usize, uuid: [u8; 16]) {
        if self.nodes[i].uuid == Some(uuid) {
            return;
        }
        let name = self.nodes[i].name.clone();
        if let Some(other) = self.nodes.iter().find(|n| n.name != name && n.uuid == Some(uuid)) {
            let other = other.name.clone();
            self.counters.complain(now.mono, Level::Error, "uuid_used_twice", || {
                format!(
                    "node {name}: has the uuid of node {other} ({}): a copied machine? Stop heartbeat on one of the two, \
                     remove its hb_uuid, and start it again",
                    uuid_text(&uuid)
                )
            });
        }
        if let Some(old) = self.nodes[i].uuid {
            log::warn!(
                "nodename {name} uuid changed to {} (it was {}): its hb_uuid was lost, or another machine has its name now",
                uuid_text(&uuid),
                uuid_text(&old)
            );
        }
        self.nodes[i].uuid = Some(uuid);
        self.table_changed = true;
    }

    /// A message of node `i` that is no newer than what is known of it: from another machine?
    pub(super) fn name_used_twice(&self, i: usize, uuid: Option<[u8; 16]>) -> Option<String> {
        let (ours, theirs) = (self.nodes[i].uuid?, uuid?);
        (ours != theirs).then(|| two_machines(&self.nodes[i].name, &ours, &theirs))
    }

    /// hb_addnode, hb_delnode, hb_setweight, hb_setsite on this node: done and told to all, or the reason why not.
    pub fn node_command(&mut self, now: Now, message: &Message) -> Result<String, String> {
        let outcome = match message.kind() {
            "addnode" => self.command_add(now, message)?,
            "delnode" => self.command_delete(message)?,
            _ => self.apply_mark(message)?,
        };
        let mut told = Message::new(message.kind());
        for name in [fields::NODELIST, fields::NODE, WEIGHT, SITE] {
            if let Some(value) = message.get(name) {
                told.set(name, value);
            }
        }
        self.send(now, told);
        Ok(outcome)
    }

    fn silent(&self, but: &[NodeName]) -> Option<&Node> {
        let gone = |n: &&Node| {
            !n.is_ping() && n.name != self.me && !but.contains(&n.name) && (n.is_dead() || n.heard.is_none())
        };
        self.nodes.iter().find(gone)
    }

    fn command_add(&mut self, now: Now, message: &Message) -> Result<String, String> {
        let names = names(message)?;
        if let Some(known) = names.iter().find(|n| self.index(n).is_some()) {
            return Err(format!("node {known} is a node already"));
        }
        if self.nodes.len() + names.len() > MAX_NODES {
            return Err(format!("a cluster has at most {MAX_NODES} nodes"));
        }
        // A node that does not hear of it would not see what the new one holds.
        if let Some(n) = self.silent(&[]) {
            return Err(format!(
                "node {} does not hear of it now: start heartbeat there first, or delete it with hb_delnode",
                n.name
            ));
        }
        for name in &names {
            self.add(now.mono, name.clone(), "hb_addnode");
        }
        let list = list(&names);
        Ok(match self.cf.autojoin {
            Autojoin::None => format!(
                "added {list}; ha.cf says `autojoin none`: write the node line into ha.cf of all nodes too, a start or \
                 reload without it forgets the node"
            ),
            Autojoin::Other | Autojoin::Any => format!("added {list}"),
        })
    }

    fn command_delete(&mut self, message: &Message) -> Result<String, String> {
        let names = names(message)?;
        for name in &names {
            self.may_delete(name)?;
        }
        if let Some(n) = self.silent(&names) {
            return Err(format!(
                "deletion failed. We don't have all required nodes alive ({} is dead): it would not hear of it",
                n.name
            ));
        }
        let configured: Vec<_> = names
            .iter()
            .filter(|n| self.cf.normal_nodes().any(|c| c == *n))
            .collect();
        let more = match configured.is_empty() {
            true => String::new(),
            false => {
                "; ha.cf names it: remove that from ha.cf of all nodes, or the next start or reload brings it back"
                    .to_owned()
            }
        };
        let text = format!("deleted {}{more}", list(&names));
        for name in &names {
            self.delete(name, "hb_delnode");
        }
        Ok(text)
    }

    fn may_delete(&self, name: &NodeName) -> Result<(), String> {
        match self.member(name) {
            None => Err(format!("there is no node {name}")),
            Some(_) if *name == self.me => Err(format!("deletion failed: node {name} is this node")),
            Some(i) if !self.nodes[i].is_dead() => Err(format!(
                "deletion failed: node {name} is not dead; stop heartbeat there first"
            )),
            Some(_) if self.pinned.contains(name) => Err(format!(
                "deletion failed: haresources gives resources to node {name}; change it on all nodes first"
            )),
            Some(_) => Ok(()),
        }
    }

    /// setweight and setsite.
    fn apply_mark(&mut self, message: &Message) -> Result<String, String> {
        let name: NodeName = message
            .get(fields::NODE)
            .unwrap_or("")
            .parse()
            .map_err(|e: crate::ids::BadName| e.to_string())?;
        let what = if message.kind() == "setweight" { WEIGHT } else { SITE };
        let Some(i) = self.member(&name) else {
            return Err(format!("set {what} to non-existing node {name}"));
        };
        let value = message.get(what).unwrap_or("").trim();
        if what == WEIGHT {
            let weight = value
                .parse()
                .map_err(|_| format!("\"{}\" is not a weight: it is a whole number", value.escape_debug()))?;
            self.nodes[i].weight = weight;
        } else {
            if let Some(why) = hostcache::site_error(value) {
                return Err(why);
            }
            self.nodes[i].site = value.to_owned();
        }
        self.table_changed = true;
        Ok(format!("node {name}: {what} {value}"))
    }

    /// The same commands as another node tells them.
    pub(super) fn take_node_command(&mut self, now: Now, from: &NodeName, message: &Message) {
        let bad = match (message.kind(), names(message)) {
            ("addnode", Ok(names)) => {
                for name in names {
                    if self.index(&name).is_none() && self.nodes.len() < MAX_NODES {
                        self.add(now.mono, name, &format!("hb_addnode on {from}"));
                    }
                }
                None
            }
            ("delnode", Ok(names)) => names.iter().find_map(|name| match self.may_delete(name) {
                Ok(()) => {
                    self.delete(name, &format!("hb_delnode on {from}"));
                    None
                }
                Err(_) if self.index(name).is_none() => None,
                Err(why) => Some(why),
            }),
            ("addnode" | "delnode", Err(why)) => Some(why),
            _ => self.apply_mark(message).err(),
        };
        if let Some(why) = bad {
            self.counters.complain(now.mono, Level::Warn, "bad_node_commands", || {
                format!("node {from}: its {} is not followed here: {why}", message.kind())
            });
        }
    }

    /// `repnodes`: a node that was down hears of those that came and went meanwhile.
    pub(super) fn catch_up(&mut self, now: Now, from: &NodeName, message: &Message) {
        let list = |field| -> Vec<NodeName> {
            let text = message.get(field).unwrap_or("");
            text.split_ascii_whitespace()
                .filter_map(|w| w.parse().ok())
                .take(MAX_NODES)
                .collect()
        };
        let joins = self.cf.autojoin != Autojoin::None;
        for name in list(fields::DELNODELIST) {
            let ours = self.index(&name).is_some_and(|i| self.nodes[i].joined);
            if joins && ours && name != *from && self.may_delete_unheard(&name) {
                self.delete(&name, &format!("{from} says so"));
            }
        }
        for name in list(if joins { fields::NODELIST } else { JOINED }) {
            let deleted = self.deleted.iter().any(|d| d.name == name);
            if self.index(&name).is_none() && !deleted && self.nodes.len() < MAX_NODES {
                self.add(now.mono, name, &format!("{from} has it"));
            }
        }
    }

    /// Dead, or not heard since we started.
    fn may_delete_unheard(&self, name: &NodeName) -> bool {
        let silent = |i: usize| self.nodes[i].is_dead() || self.nodes[i].heard.is_none();
        *name != self.me && !self.pinned.contains(name) && self.index(name).is_some_and(silent)
    }

    pub(super) fn deleted_names(&self) -> String {
        match self.deleted.is_empty() {
            true => " ".to_owned(),
            false => self.deleted.iter().map(|d| format!("{} ", d.name)).collect(),
        }
    }

    /// Nodes that ha.cf does not name, for `repnodes`.
    pub(super) fn joined_names(&self) -> String {
        self.nodes
            .iter()
            .filter(|n| n.joined)
            .map(|n| format!("{} ", n.name))
            .collect()
    }

    /// The nodes that haresources prefers: these are not deleted.
    pub fn set_pinned(&mut self, pinned: Vec<NodeName>) {
        self.pinned = pinned;
    }

    /// What should be on disk, when that has changed.
    pub fn take_table(&mut self, now: Instant) -> Option<Table> {
        let lives = std::mem::take(&mut self.lives_changed) || now >= self.lives_due;
        if !std::mem::take(&mut self.table_changed) && !lives {
            return None;
        }
        self.lives_due = now + LIVES_EVERY;
        Some(self.table())
    }

    pub fn table(&self) -> Table {
        let members = || self.nodes.iter().filter(|n| !n.is_ping());
        let nodes: Vec<Entry> = members().map(entry_of).collect();
        let life = |n: &Node| {
            let (generation, seq) = n.heard_up_to().filter(|_| n.name != self.me)?;
            Some(Life {
                name: n.name.clone(),
                generation,
                seq,
            })
        };
        let peers: Vec<Life> = members().filter_map(life).collect();
        Table {
            nodes: hostcache::print(&nodes),
            deleted: hostcache::print(&self.deleted),
            peers: lives::print(&peers),
        }
    }

    /// After a new ha.cf: every node it names is one, and no longer one that joined or was deleted.
    pub(super) fn mark_configured(&mut self) {
        for i in 0..self.nodes.len() {
            let name = self.nodes[i].name.clone();
            self.nodes[i].joined = !self.nodes[i].is_ping() && !self.cf.normal_nodes().any(|n| *n == name);
            let before = self.deleted.len();
            self.deleted.retain(|d| d.name != name);
            self.table_changed |= before != self.deleted.len();
        }
    }
}

fn entry_of(node: &Node) -> Entry {
    Entry {
        name: node.name.clone(),
        uuid: node.uuid,
        weight: node.weight,
        site: node.site.clone(),
    }
}

fn names(message: &Message) -> Result<Vec<NodeName>, String> {
    let mut names: Vec<NodeName> = Vec::new();
    for word in message.get(fields::NODELIST).unwrap_or("").split_ascii_whitespace() {
        let name = word.parse().map_err(|e: crate::ids::BadName| e.to_string())?;
        if !names.contains(&name) {
            names.push(name);
        }
        if names.len() > MAX_NODES {
            return Err(format!("a cluster has at most {MAX_NODES} nodes"));
        }
    }
    match names.is_empty() {
        true => Err("no node is named".to_owned()),
        false => Ok(names),
    }
}

fn list(names: &[NodeName]) -> String {
    let names: Vec<&str> = names.iter().map(NodeName::as_str).collect();
    match names.len() {
        1 => format!("node {}", names[0]),
        _ => format!("nodes {}", names.join(", ")),
    }
}

fn two_machines(name: &NodeName, one: &[u8; 16], other: &[u8; 16]) -> String {
    format!(
        "node {name}: two machines send under this name, with the uuids {} and {}: give each node its own name",
        uuid_text(one),
        uuid_text(other)
    )
}
