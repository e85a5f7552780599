//! `NAME=VALUE` pairs and the sets they make: params, meta, utilization, attributes, properties.

use super::cursor::Cursor;
use super::ids::Ids;
use crate::cib::Element;
use crate::shell::words::{Complaint, Word};

/// The words that open a set, and the element each makes.
pub const SETS: [(&str, &str); 4] = [
    ("params", "instance_attributes"),
    ("meta", "meta_attributes"),
    ("utilization", "utilization"),
    ("attributes", "instance_attributes"),
];

/// What a `$` word says: `$id="x"`.
pub fn special<'a>(word: &'a Word, name: &str) -> Option<&'a str> {
    word.text.strip_prefix('$')?.strip_prefix(name)?.strip_prefix('=')
}

/// A value with the column it stands in.
#[derive(Debug)]
pub struct Pair<'a> {
    pub column: usize,
    pub name: &'a str,
    pub value: &'a str,
}

pub fn next_pair<'a>(cursor: &mut Cursor<'a>) -> Option<Pair<'a>> {
    let word = cursor.next_if(|w| !w.text.starts_with('$') && w.pair().is_some_and(|(n, _)| is_name(n)))?;
    let (name, value) = word.pair()?;
    Some(Pair {
        column: word.column,
        name,
        value,
    })
}

/// Names have no blanks and no quotes; `fail-count-www#monitor_10000` is one.
fn is_name(name: &str) -> bool {
    name.chars().all(|c| !c.is_whitespace() && !"\"'<>{}()[]".contains(c))
}

/// `[$id=ID | $id-ref=ID] NAME=VALUE ...`, at least one pair unless another set is referred to.
pub fn set(cursor: &mut Cursor<'_>, element: &str, default: &str, ids: &mut Ids) -> Result<Element, Complaint> {
    let (mut id, mut reference) = (None, None);
    while let Some(word) = cursor.next_if(|w| w.text.starts_with('$')) {
        match (special(word, "id"), special(word, "id-ref")) {
            (Some(value), _) => id = Some(value),
            (_, Some(value)) => reference = Some(value),
            _ => return Err(unknown_special(word, "$id=ID or $id-ref=ID")),
        }
    }
    if let Some(other) = reference {
        return Ok(Element::new(element).with("id-ref", other));
    }
    let id = match id {
        Some(id) => ids.take(id),
        None => ids.new_one(default),
    };
    let mut set = Element::new(element).with("id", &id);
    while let Some(pair) = next_pair(cursor) {
        if set.children.iter().any(|c| c.get("name") == Some(pair.name)) {
            return Err(Complaint::new(pair.column, format!("{} is given twice", pair.name)));
        }
        let nvpair = nvpair(&id, pair.name, pair.value, ids);
        set.children.push(nvpair);
    }
    if set.children.is_empty() {
        return Err(cursor.expected("NAME=VALUE"));
    }
    Ok(set)
}

pub fn nvpair(set: &str, name: &str, value: &str, ids: &mut Ids) -> Element {
    Element::new("nvpair")
        .with("name", name)
        .with("value", value)
        .with("id", ids.new_one(&format!("{set}-{name}")))
}

pub fn unknown_special(word: &Word, expected: &str) -> Complaint {
    Complaint::new(word.column, format!("expected {expected}, found \"{}\"", word.text))
}
