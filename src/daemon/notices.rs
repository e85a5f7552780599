//! Which messages and changes go to the scripts of rc.d: those that heartbeat 3.0.6 queues for them, less the types whose
//! work this daemon does itself. Only types that have a script are told at all.

use crate::core::{Core, Up};
use crate::msg::{Message, fields};
use std::collections::BTreeSet;

/// Scripts of 3.0.6 that move resources: here they would work against the daemon.
pub const OWN_WORK: [&str; 4] = ["ask_resources", "hb_takeover", "ip-request", "ip-request-resp"];
/// `HA_OSTATUS`: the status of this node.
const OWN_STATUS: &str = "OSTATUS";

/// A longer value is of no use to a script.
const LONGEST: usize = 4096;

/// The types of message that have a script.
#[derive(Debug, Default)]
pub struct Notices {
    types: BTreeSet<String>,
}

impl Notices {
    pub fn listen_to(&mut self, types: Vec<String>) {
        self.types = types.into_iter().filter(|t| !OWN_WORK.contains(&t.as_str())).collect();
    }

    /// What a script is to hear of this.
    pub fn of(&self, up: &Up, core: &Core) -> Option<Message> {
        if self.types.is_empty() {
            return None;
        }
        let change = |kind, name, value: &str| self.types.contains(kind).then(|| Message::new(kind).with(name, value));
        let message = match up {
            Up::Status { node, status } if node != core.me() => {
                change("status", fields::SRC, node.as_str())?.with(fields::STATUS, status.as_str())
            }
            Up::Link { node, link, up } => change("ifstat", fields::NODE, node.as_str())?
                .with(fields::IFNAME, link.as_str())
                .with(fields::STATUS, if *up { "up" } else { "dead" }),
            // A beat is told when it changes the status, above.
            Up::Message { message, .. }
                if !["status", "ifstat"].contains(&message.kind())
                    && self.types.contains(&message.kind().to_ascii_lowercase()) =>
            {
                text_of(message)
            }
            Up::Left { node } => change("delnode", fields::NODE, node.as_str())?,
            Up::Status { .. }
            | Up::Aside { .. }
            | Up::Message { .. }
            | Up::Returned { .. }
            | Up::Restarted { .. }
            | Up::Joined { .. }
            | Up::Woke { .. } => return None,
        };
        Some(message.with(OWN_STATUS, core.status().as_str()))
    }
}

/// The text fields; never the signature.
fn text_of(message: &Message) -> Message {
    let mut text = Message::new(message.kind());
    for field in message.fields() {
        if let Some(value) = message.get(&field.name)
            && value.len() <= LONGEST
            && !["t", "auth"].contains(&&*field.name)
        {
            text.set(&field.name, value);
        }
    }
    text
}
