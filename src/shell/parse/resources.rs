//! primitive, rsc_template, group, clone, ms, monitor.

use super::cursor::Cursor;
use super::ids::Ids;
use super::sets::{self, SETS, special};
use super::{Member, Object};
use crate::cib::{Element, words::interval};
use crate::shell::words::{Complaint, Word};

/// What an `op` says of itself; every other pair is handed to the agent.
const OP_ATTRIBUTES: [&str; 9] = [
    "interval",
    "timeout",
    "start-delay",
    "on-fail",
    "role",
    "enabled",
    "record-pending",
    "requires",
    "interval-origin",
];
const OP_SETS: [(&str, &str); 2] = [("op_params", "instance_attributes"), ("op_meta", "meta_attributes")];
const SECTIONS: &str = "params, meta, utilization, operations or op";
const SPEC: &str = "an agent: TYPE, CLASS:TYPE, ocf:PROVIDER:TYPE, or @TEMPLATE";

/// Class, provider and type of `IPaddr2`, `lsb:apache2`, `ocf:heartbeat:IPaddr2`.
pub fn agent(spec: &str) -> Option<(&str, Option<&str>, &str)> {
    let word = |w: &str| !w.is_empty() && !w.contains(char::is_whitespace);
    let parts: Vec<&str> = spec.split(':').collect();
    let (class, provider, kind) = match parts[..] {
        [kind] => ("ocf", Some("heartbeat"), kind),
        ["ocf", kind] => ("ocf", Some("heartbeat"), kind),
        [class, kind] => (class, None, kind),
        ["ocf", provider, kind] => ("ocf", Some(provider), kind),
        // Names of systemd units may have colons; nothing but ocf has a provider.
        ["systemd" | "service" | "lsb", _, ..] => (parts[0], None, &spec[parts[0].len() + 1..]),
        _ => return None,
    };
    (word(class) && word(kind) && provider.is_none_or(word)).then_some((class, provider, kind))
}

pub fn primitive(cursor: &mut Cursor<'_>, element: &str) -> Result<Object, Complaint> {
    let id = cursor.id("a name for the resource")?.text.clone();
    let mut ids = Ids::default();
    let mut made = Element::new(element).with("id", ids.take(&id));
    let spec = cursor
        .peek()
        .filter(|w| !w.quoted)
        .ok_or_else(|| cursor.expected(SPEC))?;
    match (spec.text.strip_prefix('@'), agent(&spec.text)) {
        (Some(template), _) if element == "primitive" && crate::cib::schema::is_xml_name(template) => {
            made.set("template", template);
        }
        (None, Some((class, provider, kind))) if spec.pair().is_none() => {
            made.set("class", class);
            if let Some(provider) = provider {
                made.set("provider", provider);
            }
            made.set("type", kind);
        }
        _ => return Err(cursor.expected(SPEC)),
    }
    cursor.next();
    let mut operations: Option<Element> = None;
    // Pairs that follow the agent without a word before them are its parameters.
    description(cursor, &mut made);
    if cursor.peek().is_some_and(is_plain_pair) {
        made.children
            .push(set_of(cursor, "instance_attributes", &id, &mut ids)?);
    }
    while let Some(word) = cursor.next() {
        let opens = SETS[..3].iter().find(|(keyword, _)| word.is(keyword));
        if let Some((_, element)) = opens {
            made.children.push(set_of(cursor, element, &id, &mut ids)?);
        } else if word.is("operations") {
            let (id, reference) = operations_ids(cursor)?;
            let all = operations.get_or_insert_with(|| Element::new("operations"));
            for (name, value) in [("id", id), ("id-ref", reference)] {
                if let Some(value) = value {
                    all.set(name, value);
                }
            }
        } else if word.is("op") {
            let prefix = operations.as_ref().and_then(|o| o.get("id")).unwrap_or(&id).to_owned();
            let op = operation(cursor, &prefix, &mut ids)?;
            operations
                .get_or_insert_with(|| Element::new("operations"))
                .children
                .push(op);
        } else {
            return Err(Complaint::new(
                word.column,
                format!("expected {SECTIONS}, found \"{}\"", word.text),
            ));
        }
    }
    made.children.extend(operations);
    in_order(&mut made);
    Ok(Object::alone(made))
}

/// The order that Pacemaker's schema has the parts of a resource in.
fn in_order(resource: &mut Element) {
    let place = |e: &Element| match &*e.name {
        "instance_attributes" => 0,
        "meta_attributes" => 1,
        "utilization" => 2,
        _ => 3,
    };
    resource.children.sort_by_key(place);
}

fn is_plain_pair(word: &Word) -> bool {
    !word.text.starts_with('$') && word.pair().is_some()
}

/// `description="what it is for"` belongs to the object itself.
fn description(cursor: &mut Cursor<'_>, object: &mut Element) {
    let word = cursor.next_if(|w| w.pair().is_some_and(|(n, _)| n == "description"));
    if let Some((_, text)) = word.and_then(|w| w.pair()) {
        object.set("description", text);
    }
}

fn set_of(cursor: &mut Cursor<'_>, element: &str, id: &str, ids: &mut Ids) -> Result<Element, Complaint> {
    sets::set(cursor, element, &format!("{id}-{element}"), ids)
}

fn operations_ids<'a>(cursor: &mut Cursor<'a>) -> Result<(Option<&'a str>, Option<&'a str>), Complaint> {
    let word = cursor.expect("$id=ID or $id-ref=ID")?;
    match (special(word, "id"), special(word, "id-ref")) {
        (None, None) => Err(sets::unknown_special(word, "$id=ID or $id-ref=ID")),
        found => Ok(found),
    }
}

/// What follows `op`.
fn operation(cursor: &mut Cursor<'_>, prefix: &str, ids: &mut Ids) -> Result<Element, Complaint> {
    let name = cursor
        .next_if(|w| w.pair().is_none() && !w.text.is_empty())
        .ok_or_else(|| cursor.expected("the name of an operation: start, stop, monitor, promote, demote, ..."))?;
    let mut op = Element::new("op").with("name", &name.text);
    let mut given: Vec<(&str, &str)> = Vec::new();
    let mut own_id = None;
    if let Some(word) = cursor.next_if(|w| w.text.starts_with('$')) {
        own_id = Some(special(word, "id").ok_or_else(|| sets::unknown_special(word, "$id=ID"))?);
    }
    while let Some(pair) = sets::next_pair(cursor) {
        if op.get(pair.name).is_some() && pair.name != "name" || given.iter().any(|(n, _)| *n == pair.name) {
            return Err(Complaint::new(pair.column, format!("{} is given twice", pair.name)));
        }
        if ["interval", "timeout", "start-delay"].contains(&pair.name) && interval(pair.value).is_none() {
            let what = format!(
                "expected a time like 10, 10s, 500ms, 2min after {}=, found \"{}\"",
                pair.name, pair.value
            );
            return Err(Complaint::new(pair.column, what));
        }
        if OP_ATTRIBUTES.contains(&pair.name) || pair.name == "description" {
            op.set(pair.name, pair.value);
        } else {
            given.push((pair.name, pair.value));
        }
    }
    if op.get("interval").is_none() {
        op.set("interval", 0);
    }
    let wish = format!("{prefix}-{}-{}", name.text, op.get("interval").unwrap_or_default());
    let id = match own_id {
        Some(id) => ids.take(id),
        None => ids.new_one(&wish),
    };
    op.set("id", &id);
    if !given.is_empty() {
        let set = ids.new_one(&format!("{id}-instance_attributes"));
        let mut element = Element::new("instance_attributes").with("id", &set);
        for (name, value) in given {
            element.children.push(sets::nvpair(&set, name, value, ids));
        }
        op.children.push(element);
    }
    while let Some(word) = cursor.next_if(|w| OP_SETS.iter().any(|(k, _)| w.is(k))) {
        let element = OP_SETS.iter().find(|(k, _)| word.is(k)).expect("it was looked for").1;
        op.children
            .push(sets::set(cursor, element, &format!("{id}-{element}"), ids)?);
    }
    Ok(op)
}

/// `monitor ID[:ROLE] INTERVAL[:TIMEOUT]`: the resource, and the operation it gets.
pub fn monitor(cursor: &mut Cursor<'_>) -> Result<(Member, Element), Complaint> {
    let word = cursor.expect("the name of a primitive")?;
    let (rsc, role) = match word.text.split_once(':') {
        Some((rsc, role)) => (rsc, Some(role)),
        None => (&*word.text, None),
    };
    let times = cursor.expect("an interval: INTERVAL or INTERVAL:TIMEOUT")?;
    let (every, timeout) = match times.text.split_once(':') {
        Some((every, timeout)) => (every, Some(timeout)),
        None => (&*times.text, None),
    };
    for time in std::iter::once(every).chain(timeout) {
        if interval(time).is_none() {
            let what = format!("expected a time like 10, 10s, 500ms, 2min, found \"{time}\"");
            return Err(Complaint::new(times.column, what));
        }
    }
    cursor.end("the end of the line")?;
    let mut op = Element::new("op").with("name", "monitor").with("interval", every);
    if let Some(timeout) = timeout {
        op.set("timeout", timeout);
    }
    if let Some(role) = role {
        let role = super::constraints::role(role).ok_or_else(|| {
            Complaint::new(
                word.column,
                format!("expected ID:ROLE with ROLE {}, found \"{}\"", super::ROLES, word.text),
            )
        })?;
        op.set("role", role);
    }
    op.set("id", format!("{rsc}-monitor-{every}"));
    Ok((Member::new(word.column, rsc), op))
}

/// group, clone and ms: what they hold is put in by the working copy.
pub fn container(cursor: &mut Cursor<'_>, element: &str) -> Result<Object, Complaint> {
    let name = if element == "master" { "ms" } else { element };
    let id = cursor.id(&format!("a name for the {name}"))?.text.clone();
    let mut ids = Ids::default();
    let mut made = Element::new(element).with("id", ids.take(&id));
    let mut members = Vec::new();
    let keyword = |w: &Word| SETS[..2].iter().any(|(k, _)| w.is(k)) || w.is("utilization");
    while let Some(word) = cursor.next_if(|w| !keyword(w) && w.pair().is_none()) {
        if !crate::cib::schema::is_xml_name(&word.text) {
            let what = format!(
                "expected the name of a resource, params or meta, found \"{}\"",
                word.text
            );
            return Err(Complaint::new(word.column, what));
        }
        if members.iter().any(|m: &Member| m.id == word.text) {
            return Err(Complaint::new(word.column, format!("{} is named twice", word.text)));
        }
        if element != "group" && !members.is_empty() {
            let what = format!(
                "expected params or meta: a {name} holds one resource, found \"{}\"",
                word.text
            );
            return Err(Complaint::new(word.column, what));
        }
        members.push(Member::new(word.column, &word.text));
    }
    if members.is_empty() {
        return Err(cursor.expected("the name of a resource"));
    }
    description(cursor, &mut made);
    while let Some(word) = cursor.next() {
        let Some((_, element)) = SETS[..2].iter().find(|(k, _)| word.is(k)) else {
            let what = format!("expected params or meta, found \"{}\"", word.text);
            return Err(Complaint::new(word.column, what));
        };
        made.children.push(set_of(cursor, element, &id, &mut ids)?);
    }
    in_order(&mut made);
    Ok(Object { element: made, members })
}
