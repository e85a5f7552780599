//! node, property, rsc_defaults, op_defaults, tag, fencing_topology, xml.

use super::cursor::Cursor;
use super::ids::Ids;
use super::sets::{self, special, unknown_special};
use super::{Member, Object};
use crate::cib::Element;
use crate::cib::schema::is_xml_name;
use crate::shell::words::{Complaint, Word};

/// `node [$id=ID] [ID:] UNAME[:TYPE] [attributes ...] [utilization ...]`
pub fn node(cursor: &mut Cursor<'_>) -> Result<Object, Complaint> {
    let mut made = Element::new("node");
    if let Some(word) = cursor.next_if(|w| w.text.starts_with('$')) {
        let id = special(word, "id").ok_or_else(|| unknown_special(word, "$id=ID"))?;
        made.set("id", id);
    } else if let Some(word) = cursor.next_if(|w| w.text.len() > 1 && w.text.ends_with(':')) {
        made.set("id", word.text.trim_end_matches(':'));
    }
    let name_of = "the name of a node";
    let word = cursor
        .next_if(|w| w.pair().is_none())
        .ok_or_else(|| cursor.expected(name_of))?;
    let (name, kind) = match word.text.rsplit_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (&*word.text, None),
    };
    let kinds = ["normal", "member", "ping", "remote"];
    if name.is_empty() || kind.is_some_and(|k| !kinds.contains(&k)) {
        let what = format!(
            "expected {name_of}, or NODE:{}, found \"{}\"",
            kinds.join("|"),
            word.text
        );
        return Err(Complaint::new(word.column, what));
    }
    made.set("uname", name);
    if let Some(kind) = kind {
        made.set("type", kind);
    }
    let id = made.get("id").map_or_else(|| name.to_owned(), str::to_owned);
    let mut ids = Ids::default();
    if let Some(word) = cursor.next_if(|w| w.pair().is_some_and(|(n, _)| n == "description")) {
        made.set("description", word.pair().expect("it was looked at").1);
    }
    while let Some(word) = cursor.next() {
        let (element, default) = if word.is("attributes") {
            ("instance_attributes", format!("nodes-{id}"))
        } else if word.is("utilization") {
            ("utilization", format!("nodes-{id}-utilization"))
        } else {
            let what = format!("expected attributes or utilization, found \"{}\"", word.text);
            return Err(Complaint::new(word.column, what));
        };
        made.children.push(sets::set(cursor, element, &default, &mut ids)?);
    }
    Ok(Object::alone(made))
}

/// property, rsc_defaults, op_defaults: `[$id=SET] [SET:] NAME=VALUE ...`
pub fn settings(cursor: &mut Cursor<'_>, element: &str, default: &str) -> Result<Object, Complaint> {
    let named = |w: &Word| w.text.strip_suffix(':').is_some_and(is_xml_name);
    let name = cursor.next_if(named).map(|w| w.text.trim_end_matches(':'));
    let set = sets::set(cursor, element, name.unwrap_or(default), &mut Ids::default())?;
    cursor.end("NAME=VALUE")?;
    Ok(Object::alone(set))
}

pub fn tag(cursor: &mut Cursor<'_>) -> Result<Object, Complaint> {
    let what = "a name for the tag";
    let word = cursor.peek().filter(|w| is_xml_name(w.text.trim_end_matches(':')));
    let id = word.ok_or_else(|| cursor.expected(what))?.text.trim_end_matches(':');
    cursor.next();
    let mut made = Element::new("tag").with("id", id);
    while let Some(word) = cursor.next_if(|w| is_xml_name(&w.text)) {
        made.children.push(Element::new("obj_ref").with("id", &word.text));
    }
    if made.children.is_empty() {
        return Err(cursor.expected("the name of an object"));
    }
    cursor.end("the name of an object")?;
    Ok(Object::alone(made))
}

/// `NODE: DEVICE[,DEVICE] ... [NODE: ...]`: a level a word.
pub fn fencing(cursor: &mut Cursor<'_>) -> Result<Object, Complaint> {
    let mut made = Element::new("fencing-topology");
    let mut ids = Ids::default();
    let node_of = "the name of a node and a colon";
    while let Some(word) = cursor.next() {
        let node = word.text.strip_suffix(':').filter(|n| !n.is_empty());
        let node =
            node.ok_or_else(|| Complaint::new(word.column, format!("expected {node_of}, found \"{}\"", word.text)))?;
        let mut index = 0;
        while let Some(devices) = cursor.next_if(|w| !w.text.ends_with(':')) {
            index += 1;
            made.children.push(
                Element::new("fencing-level")
                    .with("target", node)
                    .with("index", index)
                    .with("devices", &devices.text)
                    .with("id", ids.new_one("fencing")),
            );
        }
        if index == 0 {
            return Err(cursor.expected("the name of a fencing device"));
        }
    }
    if made.children.is_empty() {
        return Err(cursor.expected(node_of));
    }
    Ok(Object::alone(made))
}

/// What follows the word `xml`, which stands in `column`.
pub fn xml(text: &str, column: usize) -> Result<Object, Complaint> {
    let element =
        Element::parse(text).map_err(|e| Complaint::new(column, format!("expected an XML element: {}", e.why)))?;
    if super::section_of(&element.name).is_none() || element.name != "fencing-topology" && element.id().is_empty() {
        let what = format!(
            "expected an object of the configuration with an id, found element {}",
            element.name
        );
        return Err(Complaint::new(column, what));
    }
    let members = Vec::<Member>::new();
    Ok(Object { element, members })
}
