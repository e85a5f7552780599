//! From what happened on a node to edits of its status.

use crate::cib::{Cib, Edit, Element, words};
use crate::policy::record::{LAST_FAILURE, Record, attribute};
use crate::time::Duration;
use std::collections::BTreeMap;

/// A node as the status knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node<'a> {
    pub id: &'a str,
    pub uname: &'a str,
}

const STATUS: &str = "status";

impl Node<'_> {
    fn state(self) -> Element {
        Element::new("node_state").with("id", self.id).with("uname", self.uname)
    }

    fn lrm(self, resource: Element) -> Element {
        let resources = Element::new("lrm_resources").holding(resource);
        Element::new("lrm").with("id", self.id).holding(resources)
    }

    fn history(self, resource: Element) -> Element {
        self.state().holding(self.lrm(resource))
    }

    /// Where something is in the status, by the node's id alone.
    fn path(self, within: Element) -> Element {
        Element::new("node_state").with("id", self.id).holding(within)
    }

    fn path_of_history(self, resource: Element) -> Element {
        let resources = Element::new("lrm_resources").holding(resource);
        self.path(Element::new("lrm").holding(resources))
    }
}

fn modify(xml: Element) -> Edit {
    Edit::Modify {
        section: STATUS.to_owned(),
        xml,
        or_create: true,
    }
}

fn delete(xml: Element) -> Edit {
    Edit::Delete {
        section: STATUS.to_owned(),
        xml,
    }
}

/// What the status has of a node.
pub fn state_of<'a>(cib: &'a Cib, node: Node<'_>) -> Option<&'a Element> {
    let mut states = cib.status().children_named("node_state");
    states.find(|s| s.id() == node.id)
}

/// The lines of a resource in the history of a node.
pub fn lines_of<'a>(cib: &'a Cib, node: Node<'_>, rsc: &str) -> impl Iterator<Item = &'a Element> {
    let resources = state_of(cib, node)
        .and_then(|s| s.child("lrm")?.child("lrm_resources"))
        .into_iter();
    let found = resources
        .flat_map(|r| r.children_named("lrm_resource"))
        .find(|r| r.id() == rsc);
    found.into_iter().flat_map(|r| r.children_named("lrm_rsc_op"))
}

/// The transient attributes of a node.
pub fn attributes_of(cib: &Cib, node: Node<'_>) -> BTreeMap<String, String> {
    let sets = state_of(cib, node).and_then(|s| s.child("transient_attributes"));
    let sets = sets.into_iter().flat_map(|t| t.children_named("instance_attributes"));
    let pairs = sets.flat_map(|s| s.children_named("nvpair"));
    pairs
        .filter_map(|p| Some((p.get("name")?.to_owned(), p.get("value")?.to_owned())))
        .collect()
}

/// An operation on this node is over.
pub fn over(cib: &Cib, node: Node<'_>, record: &Record) -> Vec<Edit> {
    let mut resource = record.resource();
    resource.children.push(record.line(record.id(), node.uname));
    let attributes = attributes_of(cib, node);
    let [count, last] = record.counters();
    let fatal = cib
        .property("start-failure-is-fatal")
        .and_then(words::truth)
        .unwrap_or(true);
    let counted = record.count(attributes.get(&count).map(|v| &**v), fatal);
    if counted.is_some() {
        let id = last_failure_id(&record.rsc);
        resource.children.push(record.line(id, node.uname));
    }
    let mut edits = vec![modify(node.history(resource))];
    if let Some(counted) = counted {
        edits.push(set(node, &[(count, counted), (last, record.at.0.to_string())]));
    }
    // What looked at it again and again ended with it.
    if record.operation == "stop" && record.rc == record.expected() && record.status == 0 {
        let recurring = lines_of(cib, node, &record.rsc).filter(|l| l.get("interval").is_some_and(|i| i != "0"));
        let failure = last_failure_id(&record.rsc);
        let gone = recurring.filter(|l| l.id() != failure);
        edits.extend(gone.map(|line| delete(line_at(node, &record.rsc, line.id()))));
    }
    edits
}

/// A line alone.
pub fn line(node: Node<'_>, record: &Record, id: String) -> Edit {
    let mut resource = record.resource();
    resource.children.push(record.line(id, node.uname));
    modify(node.history(resource))
}

pub fn last_failure_id(rsc: &str) -> String {
    format!("{rsc}_{LAST_FAILURE}")
}

fn line_at(node: Node<'_>, rsc: &str, id: &str) -> Element {
    let line = Element::new("lrm_rsc_op").with("id", id);
    node.path_of_history(Element::new("lrm_resource").with("id", rsc).holding(line))
}

/// A monitor does not look any more.
pub fn cancelled(node: Node<'_>, rsc: &str, interval: Duration) -> Vec<Edit> {
    let id = format!("{rsc}_monitor_{}", interval.as_millis());
    vec![delete(line_at(node, rsc, &id))]
}

/// Nothing is known of a resource here any more.
pub fn forgotten(node: Node<'_>, rsc: &str) -> Vec<Edit> {
    vec![delete(
        node.path_of_history(Element::new("lrm_resource").with("id", rsc)),
    )]
}

/// Transient attributes of a node.
pub fn set(node: Node<'_>, values: &[(String, String)]) -> Edit {
    let mut pairs = Element::new("instance_attributes").with("id", format!("status-{}", node.id));
    for (name, value) in values {
        pairs.children.push(attribute(node.id, name, value));
    }
    let transient = Element::new("transient_attributes").with("id", node.id).holding(pairs);
    modify(node.state().holding(transient))
}

/// The attribute goes.
pub fn unset(node: Node<'_>, name: &str) -> Edit {
    let pair = Element::new("nvpair").with("name", name);
    let set = Element::new("instance_attributes").holding(pair);
    delete(node.path(Element::new("transient_attributes").holding(set)))
}

/// The counts of failures of a resource go, when they were, and the line that tells of the last one.
pub fn clear_counts(node_id: &str, attributes: &BTreeMap<String, String>, rsc: &str) -> Vec<Edit> {
    let node = Node { id: node_id, uname: "" };
    let counts = attributes.keys().filter(|name| is_count_of(name, rsc));
    let mut edits: Vec<Edit> = counts.map(|name| unset(node, name)).collect();
    edits.push(delete(line_at(node, rsc, &last_failure_id(rsc))));
    edits
}

fn is_count_of(name: &str, rsc: &str) -> bool {
    let rest = name.strip_prefix("fail-count-").or(name.strip_prefix("last-failure-"));
    let rest = rest.and_then(|r| r.strip_prefix(rsc));
    rest.is_some_and(|r| r.is_empty() || r.starts_with('#'))
}
