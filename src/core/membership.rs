//! From `init` to `active`: every node is heard or known to be dead, and a live one agreed on who is a member.

use super::layer::Core;
use super::node::NodeStatus;
use super::table::JOINED;
use crate::conf::Autojoin;
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant, Now};

/// A node that does not answer `reqnodes` in this time is asked again, as in heartbeat 3.0.6.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// After so many questions without an answer we go on: the classic waits for ever, and one broken peer then keeps a
/// good node from serving.
const MAX_QUESTIONS: u32 = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Until every configured node was heard or is dead.
    Listening,
    /// `reqnodes` is out.
    Asking {
        questions: u32,
        again: Instant,
    },
    Active,
}

impl Phase {
    pub fn deadline(self) -> Instant {
        match self {
            Self::Asking { again, .. } => again,
            Self::Listening | Self::Active => Instant::NEVER,
        }
    }
}

impl Core {
    pub(super) fn advance_phase(&mut self, now: Now) {
        match self.phase {
            Phase::Listening => {
                if self
                    .nodes
                    .iter()
                    .all(|n| n.name == self.me || n.is_ping() || n.heard.is_some() || n.is_dead())
                {
                    self.ask_for_nodes(now, 0);
                }
            }
            Phase::Asking { questions, again } if now.mono >= again => {
                if questions < MAX_QUESTIONS {
                    self.ask_for_nodes(now, questions);
                } else {
                    log::warn!("no node answered reqnodes {questions} times; going on without");
                    self.activate(now);
                }
            }
            Phase::Asking { .. } | Phase::Active => {}
        }
    }

    fn ask_for_nodes(&mut self, now: Now, questions: u32) {
        let live: Vec<_> = self
            .nodes
            .iter()
            .filter(|n| n.name != self.me && !n.is_dead() && n.heard.is_some() && n.speaks_protocol)
            .map(|n| n.name.clone())
            .collect();
        match live.get(questions as usize % live.len().max(1)) {
            None => self.activate(now),
            Some(name) => {
                self.phase = Phase::Asking {
                    questions: questions + 1,
                    again: now.mono + ASK_EVERY,
                };
                self.send(now, Message::new("reqnodes").with(fields::DEST, name.as_str()));
            }
        }
    }

    fn activate(&mut self, now: Now) {
        self.phase = Phase::Active;
        log::info!("Comm_now_up(): node {} is active", self.me);
        self.set_status(now, NodeStatus::Active);
    }

    /// `reqnodes` for us: tell our node list. `dest` goes first, as 3.0.6 writes it.
    pub(super) fn answer_reqnodes(&mut self, now: Now, who: usize) {
        let normal = self.nodes.iter().filter(|n| !n.is_ping());
        let list: String = normal.map(|n| format!("{} ", n.name)).collect();
        let joined = self.joined_names();
        let answer = Message::default()
            .with(fields::DEST, self.nodes[who].name.as_str())
            .with(fields::TYPE, "repnodes")
            .with(fields::NODELIST, list)
            .with(fields::DELNODELIST, self.deleted_names());
        let answer = match joined.is_empty() {
            true => answer,
            false => answer.with(JOINED, joined),
        };
        self.send(now, answer);
    }

    /// The answer to our `reqnodes`. The classic removes nodes that the list lacks; here ha.cf decides, and a
    /// difference is said.
    pub(super) fn take_repnodes(&mut self, now: Now, message: &Message, who: usize) {
        let from = self.nodes[who].name.clone();
        self.catch_up(now, &from, message);
        let theirs: Vec<&str> = message
            .get(fields::NODELIST)
            .unwrap_or("")
            .split_ascii_whitespace()
            .collect();
        let normal = self.nodes.iter().filter(|n| !n.is_ping());
        let ours: Vec<&str> = normal.map(|n| n.name.as_str()).collect();
        let same = theirs.len() == ours.len() && theirs.iter().all(|n| ours.contains(n));
        if !same && self.cf.autojoin == Autojoin::None {
            log::error!(
                "node {}: its ha.cf has the nodes \"{}\", ours has \"{}\"; make the node lines the same",
                from,
                theirs.join(" "),
                ours.join(" ")
            );
        }
        if let Phase::Asking { .. } = self.phase {
            self.activate(now);
        }
    }
}
