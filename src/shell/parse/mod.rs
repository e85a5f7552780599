//! One line of the configuration language as an element of the CIB, with the ids that the classic shell gives its parts.
//!
//! * [`words`]: the line's words;
//! * [`cursor`]: reading them from left to right, and what was expected instead;
//! * [`sets`], [`ids`]: pairs, sets of them, their ids;
//! * [`resources`], [`constraints`], [`rules`], [`rest`]: the objects.

pub mod constraints;
pub mod cursor;
pub mod ids;
pub mod resources;
pub mod rest;
pub mod rules;
pub mod sets;

use super::words::{self, Complaint};
use crate::cib::Element;
use cursor::Cursor;

const ROLES: &str = "Master, Slave, Started, Stopped, Promoted, Unpromoted";

/// A resource that a line names, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub column: usize,
    pub id: String,
}

impl Member {
    pub fn new(column: usize, id: &str) -> Self {
        Self {
            column,
            id: id.to_owned(),
        }
    }
}

/// One object. A group or clone holds its members by name; the working copy has their elements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    pub element: Element,
    pub members: Vec<Member>,
}

impl Object {
    fn alone(element: Element) -> Self {
        Self {
            element,
            members: Vec::new(),
        }
    }
}

/// What a line of the level `configure` does to the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Statement {
    Object(Object),
    /// One more operation for a primitive.
    Monitor(Member, Element),
}

/// The words that begin an object, in the order of the help.
pub const OBJECTS: [&str; 18] = [
    "node",
    "primitive",
    "rsc_template",
    "group",
    "clone",
    "ms",
    "master",
    "monitor",
    "location",
    "colocation",
    "collocation",
    "order",
    "rsc_ticket",
    "property",
    "rsc_defaults",
    "op_defaults",
    "tag",
    "fencing_topology",
];

/// The section of the configuration that an element of that name belongs to.
pub fn section_of(element: &str) -> Option<&'static str> {
    Some(match element {
        "node" => "nodes",
        "primitive" | "template" | "group" | "clone" | "master" | "bundle" => "resources",
        "rsc_location" | "rsc_colocation" | "rsc_order" | "rsc_ticket" => "constraints",
        "cluster_property_set" => "crm_config",
        "tag" => "tags",
        "fencing-topology" => "configuration",
        // rsc_defaults and op_defaults hold the same kind; only the line says which of them.
        _ => return None,
    })
}

/// One line as a statement; `Ok(None)` when its first word begins no object.
pub fn statement(line: &str) -> Result<Option<Statement>, Complaint> {
    let first = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    // `xml<primitive ...>` needs no blank.
    let keyword = if first.starts_with("xml<") { "xml" } else { &first };
    statement_as(keyword, line)
}

/// The same, whatever the first word says: it may have been the beginning of the keyword only.
pub fn statement_as(keyword: &str, line: &str) -> Result<Option<Statement>, Complaint> {
    let first = line.trim_start();
    if keyword == "xml" {
        let end = first.find([' ', '\t', '<']).unwrap_or(first.len());
        let rest = &first[end..];
        let before = line.chars().count() - rest.trim_start().chars().count();
        return rest::xml(rest.trim_start(), before + 1).map(|o| Some(Statement::Object(o)));
    }
    let words = words::split(line)?;
    if words.first().is_none_or(|w| w.quoted) {
        return Ok(None);
    }
    let mut cursor = Cursor::new(&words);
    cursor.next();
    let c = &mut cursor;
    let object = match keyword {
        "node" => rest::node(c),
        "primitive" => resources::primitive(c, "primitive"),
        "rsc_template" => resources::primitive(c, "template"),
        "group" => resources::container(c, "group"),
        "clone" => resources::container(c, "clone"),
        "ms" | "master" => resources::container(c, "master"),
        "monitor" => return resources::monitor(c).map(|(m, op)| Some(Statement::Monitor(m, op))),
        "location" => constraints::location(c),
        "colocation" | "collocation" => constraints::colocation(c),
        "order" => constraints::order(c),
        "rsc_ticket" => constraints::ticket(c),
        "property" => rest::settings(c, "cluster_property_set", "cib-bootstrap-options"),
        "rsc_defaults" => rest::settings(c, "meta_attributes", "rsc-options").map(|o| defaults(o, "rsc_defaults")),
        "op_defaults" => rest::settings(c, "meta_attributes", "op-options").map(|o| defaults(o, "op_defaults")),
        "tag" => rest::tag(c),
        "fencing_topology" => rest::fencing(c),
        _ => return Ok(None),
    };
    object.map(|o| Some(Statement::Object(o)))
}

/// A set of defaults stands in its section, so that the element says where it belongs.
fn defaults(object: Object, section: &str) -> Object {
    Object::alone(Element::new(section).holding(object.element))
}
