//! What the DC writes of the nodes: `node_state` elements, and the entries of newcomers in the configuration.

use crate::cib::{Cib, Edit, Element};

/// A node as the DC sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub name: String,
    pub uuid: String,
    pub member: bool,
    /// Heartbeat hears it.
    pub alive: bool,
    /// It has left in order.
    pub left: bool,
    /// What it reports of itself, when it comes from elsewhere.
    pub report: Option<Element>,
}

/// What this node brings along: its history, and its transient attributes when this life had any.
pub(super) fn report(cib: &Cib, uuid: &str, history: Option<&Element>, in_cib: bool) -> Element {
    let mut report = Element::new("report");
    let state = cib.status().children.iter().find(|s| s.id() == uuid).filter(|_| in_cib);
    if let Some(attributes) = state.and_then(|s| s.child("transient_attributes")) {
        report.children.push(attributes.clone());
    }
    report
        .children
        .extend(state.and_then(|s| s.child("lrm")).or(history).cloned());
    report
}

/// Everything that is to be changed for these nodes; what is so already changes nothing.
pub(super) fn edits(cib: &Cib, nodes: &[Seen]) -> Vec<Edit> {
    let mut edits = vec![];
    for node in nodes {
        let known = cib.status().children.iter().any(|s| s.id() == node.uuid);
        // A node that never was here has no state.
        if !known && !node.member {
            continue;
        }
        let named = |name: &str| Element::new(name).with("id", &node.uuid);
        let status = |xml: Element| Edit::Delete {
            section: "status".to_owned(),
            xml,
        };
        let mut state = attributes(node);
        if let Some(report) = &node.report {
            edits.push(status(named("node_state")));
            state.children.clone_from(&report.children);
        } else if !node.member {
            edits.push(status(named("transient_attributes")));
        }
        edits.push(Edit::Modify {
            section: "status".to_owned(),
            xml: state,
            or_create: true,
        });
        edits.extend(entry(cib, node));
    }
    edits
}

fn attributes(node: &Seen) -> Element {
    let state = Element::new("node_state")
        .with("id", &node.uuid)
        .with("uname", &node.name);
    let state = state.with("ha", if node.alive || node.member { "active" } else { "dead" });
    if node.member {
        state
            .with("in_ccm", "true")
            .with("crmd", "online")
            .with("join", "member")
            .with("expected", "member")
            .with("shutdown", 0)
    } else {
        let state = state
            .with("in_ccm", "false")
            .with("crmd", "offline")
            .with("join", "down");
        if node.left {
            state.with("expected", "down")
        } else {
            state
        }
    }
}

/// A member's entry in the section `nodes`; one of the same name and another uuid is of a machine that is no more.
fn entry(cib: &Cib, node: &Seen) -> Vec<Edit> {
    let section = || "nodes".to_owned();
    let Some(entries) = cib.section("nodes").filter(|_| node.member) else {
        return vec![];
    };
    let of_node = |e: &&Element| e.get("uname").is_some_and(|u| u.eq_ignore_ascii_case(&node.name));
    let mut edits: Vec<_> = entries
        .children_named("node")
        .filter(of_node)
        .filter(|e| e.id() != node.uuid)
        .map(|e| Edit::Delete {
            section: section(),
            xml: Element::new("node").with("id", e.id()),
        })
        .collect();
    if !entries.children_named("node").any(|e| e.id() == node.uuid) {
        edits.push(Edit::Create {
            section: section(),
            xml: Element::new("node")
                .with("id", &node.uuid)
                .with("uname", &node.name)
                .with("type", "normal"),
        });
    }
    edits
}
