//! What heartbeat has told about the nodes: which there are, and which of them are known to be away.

use crate::ids::NodeName;
use std::collections::BTreeMap;

/// The daemon's word for a dead node, and for the start of one.
const DEAD: &str = "dead";
const STARTING: [&str; 2] = ["init", "up"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Alive,
    Dead,
    /// It said goodbye in this generation. Beats of the same generation that come later were on their way.
    Stopped {
        generation: Option<u64>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Peer {
    normal: bool,
    life: Life,
}

/// Why a node cannot be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Away {
    Unknown,
    Myself,
    NotNormal,
    Dead,
    Stopped,
}

impl Away {
    pub fn why(self) -> &'static str {
        match self {
            Self::Unknown => "is not a node of this cluster: DRBD and ha.cf must call it alike",
            Self::Myself => "is this node itself",
            Self::NotNormal => "is a ping node",
            Self::Dead => "is dead",
            Self::Stopped => "has stopped heartbeat",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Peers {
    me: NodeName,
    known: BTreeMap<NodeName, Peer>,
}

impl Peers {
    pub fn new(me: NodeName) -> Self {
        Self {
            me,
            known: BTreeMap::new(),
        }
    }

    /// The whole list, as `nodelist` gives it: name, kind, status.
    pub fn list(&mut self, nodes: &[(NodeName, String, String)]) {
        self.known.retain(|name, _| nodes.iter().any(|(n, ..)| n == name));
        for (name, kind, status) in nodes {
            let stopped = self.known.get(name).map(|p| p.life).filter(|l| {
                // The list does not say which life it speaks of; a stopped node stays stopped until a beat says more.
                matches!(l, Life::Stopped { .. })
            });
            let life = stopped.unwrap_or(if status == DEAD { Life::Dead } else { Life::Alive });
            let normal = kind == "normal";
            self.known.insert(name.clone(), Peer { normal, life });
        }
    }

    pub fn status(&mut self, name: &NodeName, status: &str, generation: Option<u64>) {
        let Some(peer) = self.known.get_mut(name) else { return };
        peer.life = match (peer.life, status) {
            (stopped @ Life::Stopped { .. }, DEAD) => stopped,
            (_, DEAD) => Life::Dead,
            (Life::Stopped { generation: Some(old) }, _) if generation.is_some_and(|g| g <= old) => return,
            (Life::Stopped { .. }, status) if generation.is_none() && !STARTING.contains(&status) => return,
            _ => Life::Alive,
        };
    }

    pub fn stopped(&mut self, name: &NodeName, generation: Option<u64>) {
        if let Some(peer) = self.known.get_mut(name) {
            peer.life = Life::Stopped { generation };
        }
    }

    pub fn away(&self, name: &NodeName) -> Option<Away> {
        if *name == self.me {
            return Some(Away::Myself);
        }
        let Some(peer) = self.known.get(name) else {
            return Some(Away::Unknown);
        };
        match peer.life {
            _ if !peer.normal => Some(Away::NotNormal),
            Life::Dead => Some(Away::Dead),
            Life::Stopped { .. } => Some(Away::Stopped),
            Life::Alive => None,
        }
    }

    /// A node of the cluster that is not this one.
    pub fn is_other(&self, name: &NodeName) -> bool {
        *name != self.me && self.known.get(name).is_some_and(|p| p.normal)
    }
}
