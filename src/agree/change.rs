//! One transaction on its way, and those that were made lately.

use super::mark::epochs;
use super::types::Refused;
use crate::cib::edit::Origin;
use crate::cib::version::Version;
use crate::cib::xml::Unreadable;
use crate::cib::{Cib, Edit, Element, Refusal, document, wire};
use crate::ids::NodeName;
use crate::msg::Message;
use std::collections::VecDeque;

/// Far more than all nodes together may have on their way (each [`super::seat::ON_THE_WAY`]).
const REMEMBERED: usize = 512;

/// Who sends a change, and which of its changes it is: the same wherever and however often it arrives.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ChangeId {
    pub node: NodeName,
    pub life: u64,
    pub number: u64,
}

impl ChangeId {
    pub fn write_to(&self, message: &mut Message) {
        message.set("by", self.to_string());
    }

    pub fn of(message: &Message) -> Option<Self> {
        Self::parse(message.get("by")?)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            node: words.next()?.parse().ok()?,
            life: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
        })
    }
}

impl std::fmt::Display for ChangeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.node, self.life, self.number)
    }
}

/// A change that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Done {
    pub id: ChangeId,
    pub version: Version,
    pub configuration: bool,
}

impl Done {
    pub fn to_element(&self) -> Element {
        Element::new("change")
            .with("by", &self.id)
            .with("version", self.version)
            .with("configuration", self.configuration)
    }

    pub fn from_element(element: &Element) -> Option<Self> {
        Some(Self {
            id: ChangeId::parse(element.get("by")?)?,
            version: element.get("version")?.parse().ok()?,
            configuration: element.get("configuration") == Some("true"),
        })
    }
}

/// The last changes, in the order in which they were made; the same on every member.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Recent {
    changes: VecDeque<Done>,
}

impl Recent {
    pub fn new(changes: Vec<Done>) -> Self {
        Self {
            changes: changes.into(),
        }
    }

    pub fn push(&mut self, done: Done) {
        if self.changes.len() >= REMEMBERED {
            self.changes.pop_front();
        }
        self.changes.push_back(done);
    }

    pub fn find(&self, id: &ChangeId) -> Option<&Done> {
        self.changes.iter().rev().find(|d| d.id == *id)
    }

    pub fn of_configuration(&self, at_most: usize) -> Vec<Done> {
        let all: Vec<_> = self.changes.iter().filter(|d| d.configuration).collect();
        let first = all.len().saturating_sub(at_most);
        all[first..].iter().map(|d| (*d).clone()).collect()
    }

    pub fn to_element(&self) -> Element {
        Element {
            children: self.changes.iter().map(Done::to_element).collect(),
            ..Element::new("recent")
        }
    }

    pub fn from_element(element: &Element) -> Self {
        Self::new(element.children.iter().filter_map(Done::from_element).collect())
    }
}

/// What a change does: edits, and for the DC's own the attributes of the whole.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Change {
    pub edits: Vec<Edit>,
    pub origin: Origin,
    /// For cib-last-written.
    pub written: String,
    /// have-quorum and dc-uuid.
    pub seen: Option<(bool, String)>,
}

impl Change {
    /// The same on every member. Whether the configuration changed.
    pub fn make(&self, cib: &mut Cib) -> Result<bool, Refusal> {
        let before = cib.version();
        cib.apply(&self.edits, &self.origin)?;
        if let Some((quorum, dc)) = &self.seen {
            let quorum = if *quorum { "1" } else { "0" };
            if cib.root().get("have-quorum") != Some(quorum) || cib.root().get("dc-uuid") != Some(dc) {
                cib.set("have-quorum", quorum);
                cib.set("dc-uuid", dc);
                if cib.version() == before {
                    cib.set_version(before.next_update());
                }
            }
        }
        let configured = epochs(cib.version()) != epochs(before);
        if configured && !self.written.is_empty() {
            cib.set("cib-last-written", &self.written);
        }
        Ok(configured)
    }

    pub fn text(&self) -> String {
        wire::to_element(&self.edits).to_bare()
    }

    pub fn write_to(&self, message: &mut Message) {
        message.set("origin-node", self.origin.node.as_str());
        message.set("origin-client", self.origin.client.as_str());
        message.set("origin-user", self.origin.user.as_str());
        message.set("written", self.written.as_str());
        if let Some((quorum, dc)) = &self.seen {
            message.set("seen-quorum", if *quorum { "1" } else { "0" });
            message.set("seen-dc", dc.as_str());
        }
    }

    pub fn read(message: &Message, text: &str) -> Result<Self, Unreadable> {
        let field = |name: &str| message.get(name).unwrap_or_default().to_owned();
        Ok(Self {
            edits: wire::from_element(&Element::parse(text)?)?,
            origin: Origin {
                node: field("origin-node"),
                client: field("origin-client"),
                user: field("origin-user"),
            },
            written: field("written"),
            seen: message.get("seen-quorum").map(|q| (q == "1", field("seen-dc"))),
        })
    }
}

/// Of what a change led to, as much as can be compared cheaply: the configuration whenever it changed, everything now and
/// then. The status may be many times the configuration, and changes a thousand times as often.
pub(super) fn check_sum(cib: &Cib, configuration: bool) -> Option<String> {
    const NOW_AND_THEN: u64 = 64;
    if configuration {
        Some(document::digest(cib.configuration()))
    } else if cib.version().num_updates.is_multiple_of(NOW_AND_THEN) {
        Some(document::digest(cib.root()))
    } else {
        None
    }
}

/// Of two members with the same one, neither needs the other's copy.
pub(super) fn fingerprint(cib: &Cib, recent: &Recent) -> String {
    format!(
        "{}{}",
        document::digest(cib.root()),
        document::digest(&recent.to_element())
    )
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.exit_code(),
            text: refusal.to_string(),
        }
    }
}
