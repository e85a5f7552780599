//! Ping nodes: hosts outside the cluster that are asked for an echo with each of our beats, and live while they answer.
//!
//! The question holds a whole signed message in the ping node's name, as heartbeat 3.0.6 writes it; the answer brings it
//! back. An answer is believed when it is, byte for byte, what this process sent a short while ago: no other machine and
//! no earlier life of this one can have made it up.

use super::layer::{Core, Up};
use super::node::{Node, NodeStatus};
use crate::auth;
use crate::daemon::Action;
use crate::ids::{MediumId, NodeName};
use crate::msg::{Message, Value, fields};
use crate::time::{Instant, Now};
use log::Level;
use std::sync::Arc;

/// Different questions that are remembered. One second has one text, so an answer may come some 16 s late.
const QUESTIONS: usize = 16;

/// `st` of a ping node that answers, and the type of the message that says so.
pub const ALIVE: &str = "ping";
pub const NS_STATUS: &str = "NS_st";

impl Core {
    /// One echo request to every host. Goes out with our beat.
    pub(super) fn ping(&mut self, now: Now) {
        for i in 0..self.nodes.len() {
            let Some(info) = self.ping_info(&self.nodes[i].name) else {
                continue;
            };
            let name = &self.nodes[i].name;
            let question = Message::new(NS_STATUS)
                .with(fields::STATUS, ALIVE)
                .with(fields::INFO, info)
                .with(fields::SRC, name.as_str())
                .with(fields::TS, Value::hex(now.wall.0));
            let bytes: Arc<[u8]> = auth::seal_netstring(&question, &self.keys, !self.cf.msgfmt_netstring).into();
            for (medium, m) in self.media.iter().enumerate() {
                if m.ping.as_ref() == Some(name) && m.broken.is_none() {
                    self.out.push(Action::Send {
                        medium: MediumId(medium),
                        bytes: bytes.clone(),
                    });
                }
            }
            let questions = &mut self.nodes[i].questions;
            if !questions.contains(&bytes) {
                if questions.len() == QUESTIONS {
                    questions.pop_front();
                }
                questions.push_back(bytes);
            }
        }
    }

    /// What an echo of this ping node brought.
    pub(super) fn hear_echo(&mut self, now: Now, medium: MediumId, node: &NodeName, packet: &[u8]) {
        let Some(i) = self.index(node) else { return };
        if !self.nodes[i].questions.iter().any(|q| **q == *packet) {
            // The same host as a ping node and in a group: each socket hears the answers to both.
            let asked = |n: &Node| n.questions.iter().any(|q| **q == *packet);
            if self.nodes.iter().any(asked) {
                return;
            }
            match auth::open(packet, &self.keys) {
                Err(refusal) => self.refused(now.mono, medium, packet.len(), &refusal),
                Ok(_) => self
                    .counters
                    .complain(now.mono, Level::Warn, "bad_packets_strange_echo", || {
                        format!("node {node}: an answer to a ping that was not sent lately is dropped")
                    }),
            }
            return;
        }
        self.link_heard(i, medium, now.mono);
        self.late_answer(now.mono, i);
        let node = &mut self.nodes[i];
        node.heard = Some(now.mono);
        if node.status != NodeStatus::Ping {
            log::info!("Status update for node {}: status {ALIVE}", node.name);
            node.status = NodeStatus::Ping;
            node.since = now.mono;
            self.up.push_back(Up::Status {
                node: node.name.clone(),
                status: NodeStatus::Ping,
            });
        }
    }

    fn late_answer(&mut self, now: Instant, i: usize) {
        let node = &mut self.nodes[i];
        let Some(heard) = node.heard.filter(|_| !node.is_dead()) else {
            return;
        };
        let interval = now - heard;
        if interval <= self.cf.warntime {
            return;
        }
        node.late_beats += 1;
        let name = node.name.clone();
        self.counters.complain(now, Level::Warn, "late_heartbeats", || {
            format!(
                "Late heartbeat: Node {name}: interval {} ms (it did not answer each ping)",
                interval.as_millis()
            )
        });
    }

    /// For a ping node what its messages have as `info`: which kind it is.
    pub fn ping_info(&self, node: &NodeName) -> Option<&'static str> {
        let medium = self.media.iter().find(|m| m.ping.as_ref() == Some(node));
        medium.map(|m| m.kind)
    }
}
