//! `rule [$id=ID] [$role=ROLE] [SCORE|ATTRIBUTE:] EXPR [and|or EXPR] ...`

use super::constraints::{role, score};
use super::cursor::Cursor;
use super::ids::Ids;
use super::sets::{special, unknown_special};
use crate::cib::{Element, Score};
use crate::shell::words::Complaint;

const COMPARISONS: [&str; 6] = ["lt", "gt", "lte", "gte", "eq", "ne"];
const TYPES: [&str; 4] = ["string", "integer", "number", "version"];
const EXPRESSION: &str = "an expression: ATTRIBUTE lt|gt|lte|gte|eq|ne VALUE, defined ATTRIBUTE, not_defined ATTRIBUTE or \
                          date lt|gt|in|spec ...";
/// Of a date_spec and a duration.
const SPANS: [&str; 12] = [
    "hours",
    "monthdays",
    "weekdays",
    "yeardays",
    "yearsdays",
    "months",
    "weeks",
    "years",
    "weekyears",
    "moon",
    "days",
    "minutes",
];

/// What follows the word `rule`.
pub fn rule(cursor: &mut Cursor<'_>, constraint: &str, ids: &mut Ids) -> Result<Element, Complaint> {
    let mut made = Element::new("rule");
    while let Some(word) = cursor.next_if(|w| w.text.starts_with('$')) {
        if let Some(id) = special(word, "id") {
            made.set("id", ids.take(id));
        } else if let Some(other) = special(word, "id-ref") {
            return Ok(made.with("id-ref", other));
        } else if let Some(role) = special(word, "role").and_then(role) {
            made.set("role", role);
        } else {
            return Err(unknown_special(
                word,
                &format!("$id=ID or $role=ROLE with ROLE {}", super::ROLES),
            ));
        }
    }
    let colon = |w: &crate::shell::words::Word| !w.quoted && w.text.len() > 1 && w.text.ends_with(':');
    match cursor.next_if(colon) {
        Some(word) => match score(word) {
            Some(score) => made.set("score", score),
            None => made.set("score-attribute", word.text.trim_end_matches(':')),
        },
        None => made.set("score", Score::INFINITY),
    }
    let id = match made.get("id") {
        Some(id) => id.to_owned(),
        None => ids.new_one(&format!("{constraint}-rule")),
    };
    made.set("id", &id);
    made.children.push(expression(cursor, &id, ids)?);
    while let Some(word) = cursor.next_if(|w| w.is("and") || w.is("or")) {
        let op = word.text.to_ascii_lowercase();
        match made.get("boolean-op") {
            Some(before) if before != op => {
                let what = format!("expected {before}: a rule has only one of and, or; write another rule");
                return Err(Complaint::new(word.column, what));
            }
            _ => made.set("boolean-op", op),
        }
        made.children.push(expression(cursor, &id, ids)?);
    }
    Ok(made)
}

fn expression(cursor: &mut Cursor<'_>, rule: &str, ids: &mut Ids) -> Result<Element, Complaint> {
    let start = cursor.clone();
    let refuse = |at: &Cursor<'_>| Err(at.expected(EXPRESSION));
    let Some(word) = cursor.next() else {
        return refuse(&start);
    };
    let id = |ids: &mut Ids| ids.new_one(&format!("{rule}-expression"));
    if word.is("defined") || word.is("not_defined") {
        let attribute = cursor.expect("the name of an attribute")?;
        return Ok(Element::new("expression")
            .with("operation", word.text.to_ascii_lowercase())
            .with("attribute", &attribute.text)
            .with("id", id(ids)));
    }
    let is_date = |w: &crate::shell::words::Word| {
        ["lt", "gt", "in", "in_range", "spec", "date_spec"]
            .iter()
            .any(|k| w.is(k))
    };
    if word.is("date") && cursor.peek().is_some_and(is_date) {
        return date(cursor, id(ids));
    }
    if "()[]{}".contains(&*word.text) && !word.quoted || word.is("and") || word.is("or") {
        return refuse(&start);
    }
    let operator = cursor.peek().map(|w| w.text.to_ascii_lowercase()).unwrap_or_default();
    let (kind, operator) = match operator.split_once(':') {
        Some((kind, operator)) => (Some(kind), operator),
        None => (None, &*operator),
    };
    if !COMPARISONS.contains(&operator) || kind.is_some_and(|k| !TYPES.contains(&k)) {
        return Err(cursor.expected(&format!("one of {}", COMPARISONS.join(", "))));
    }
    cursor.next();
    let value = cursor.expect("a value to compare with")?;
    let mut made = Element::new("expression")
        .with("operation", operator)
        .with("attribute", &word.text)
        .with("value", &value.text);
    if let Some(kind) = kind {
        made.set("type", kind);
    }
    made.set("id", id(ids));
    Ok(made)
}

/// What follows the word `date`.
fn date(cursor: &mut Cursor<'_>, id: String) -> Result<Element, Complaint> {
    let word = cursor.expect("lt, gt, in or spec")?;
    let mut made = Element::new("date_expression");
    let spans = |cursor: &mut Cursor<'_>, name: &str| {
        let mut span = Element::new(name);
        let known = |n: &str| SPANS.contains(&n) || n == "seconds";
        while let Some(word) = cursor.next_if(|w| w.pair().is_some_and(|(n, _)| known(n))) {
            let (name, value) = word.pair().expect("it was looked at");
            span.set(name, value);
        }
        span.with("id", format!("{id}-{name}"))
    };
    if word.is("lt") || word.is("gt") {
        let when = cursor.expect("a date like 2026-11-21 or 2026-11-21T10:00:00")?;
        let end = if word.is("lt") { "end" } else { "start" };
        made.set("operation", word.text.to_ascii_lowercase());
        made.set(end, &when.text);
    } else if word.is("in") || word.is("in_range") {
        made.set("operation", "in_range");
        while let Some(word) = cursor.next_if(|w| w.pair().is_some_and(|(n, _)| n == "start" || n == "end")) {
            let (name, value) = word.pair().expect("it was looked at");
            made.set(name, value);
        }
        let duration = spans(cursor, "duration");
        let lasting = duration.attributes.len() > 1;
        if made.get("start").is_none() && made.get("end").is_none() || lasting && made.get("end").is_some() {
            return Err(cursor.expected("start=DATE end=DATE, or start=DATE and a duration like hours=3"));
        }
        if lasting {
            made.children.push(duration);
        }
    } else {
        made.set("operation", "date_spec");
        let spec = spans(cursor, "date_spec");
        if spec.attributes.len() == 1 {
            return Err(cursor.expected("hours=9-16, weekdays=1-5 or the like"));
        }
        made.children.push(spec);
    }
    made.set("id", id);
    Ok(made)
}
