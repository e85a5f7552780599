//! location, colocation, order, rsc_ticket.

use super::cursor::Cursor;
use super::ids::Ids;
use super::{Object, rules};
use crate::cib::schema::is_xml_name;
use crate::cib::{Element, Score};
use crate::shell::words::{Complaint, Word};

/// Roles as the CIB writes them.
const ROLE_WORDS: [&str; 6] = ["Stopped", "Started", "Master", "Slave", "Promoted", "Unpromoted"];
const ACTIONS: [&str; 4] = ["start", "stop", "promote", "demote"];
const KINDS: [&str; 3] = ["Mandatory", "Optional", "Serialize"];
const SCORE: &str = "a score and a colon: 100:, -100:, inf: or -inf:";

pub fn role(word: &str) -> Option<&'static str> {
    ROLE_WORDS.into_iter().find(|r| r.eq_ignore_ascii_case(word))
}

/// `200:`, `inf:`.
pub fn score(word: &Word) -> Option<Score> {
    Score::parse(word.text.strip_suffix(':')?)
}

pub fn location(cursor: &mut Cursor<'_>) -> Result<Object, Complaint> {
    let id = cursor.id("a name for the constraint")?.text.clone();
    let mut ids = Ids::default();
    let mut made = Element::new("rsc_location").with("id", ids.take(&id));
    let what = "the name of a resource, /REGEX/, or { RESOURCE RESOURCE }";
    let word = cursor.peek().ok_or_else(|| cursor.expected(what))?;
    if word.is("{") {
        let sets = sets(cursor, &id, &mut ids, "role", &[("{", "}")])?;
        made.children.extend(sets.elements);
    } else if let Some(pattern) = regex(&word.text) {
        cursor.next();
        made.set("rsc-pattern", pattern);
    } else if is_xml_name(&word.text) {
        made.set("rsc", &cursor.expect(what)?.text);
    } else {
        return Err(cursor.expected(what));
    }
    while let Some(word) = cursor.next_if(|w| w.pair().is_some()) {
        let (name, value) = word.pair().expect("it was looked at");
        match name.trim_start_matches('$') {
            "role" => made.set("role", role_or(word, value)?),
            name @ "resource-discovery" => made.set(name, value),
            _ => {
                let what = format!("expected role= or resource-discovery=, found \"{}\"", word.text);
                return Err(Complaint::new(word.column, what));
            }
        }
    }
    if cursor.peek().is_some_and(|w| w.is("rule")) {
        while cursor.next_if(|w| w.is("rule")).is_some() {
            made.children.push(rules::rule(cursor, &id, &mut ids)?);
        }
        cursor.end("and, or, another rule, or the end of the line")?;
        return Ok(Object::alone(made));
    }
    let wanted = cursor.next_if(|w| score(w).is_some());
    let wanted = wanted.ok_or_else(|| cursor.expected(&format!("{SCORE}; or rule")))?;
    made.set("score", score(wanted).expect("it was looked at"));
    let node = cursor.expect("the name of a node")?;
    made.set("node", &node.text);
    cursor.end("the end of the line")?;
    Ok(Object::alone(made))
}

fn regex(word: &str) -> Option<&str> {
    word.strip_prefix('/')?.strip_suffix('/').filter(|r| !r.is_empty())
}

fn role_or(word: &Word, value: &str) -> Result<&'static str, Complaint> {
    role(value).ok_or_else(|| {
        let what = format!("expected one of the roles {}, found \"{value}\"", super::ROLES);
        Complaint::new(word.column, what)
    })
}

/// The references of a constraint, as sets; and how it was written.
struct Sets {
    elements: Vec<Element>,
    /// There were brackets.
    bracketed: bool,
    /// Each reference: its id, its role or action.
    all: Vec<(String, Option<&'static str>)>,
}

const BRACKETS: &[(&str, &str)] = &[("(", ")"), ("[", "]")];

/// `A B ( C D ) [ E F ]`, up to the first pair that is not inside brackets. `what` is `role` or `action`.
fn sets(
    cursor: &mut Cursor<'_>,
    id: &str,
    ids: &mut Ids,
    what: &str,
    brackets: &[(&str, &str)],
) -> Result<Sets, Complaint> {
    let mut out = Sets {
        elements: Vec::new(),
        bracketed: false,
        all: Vec::new(),
    };
    let mut number = 0;
    let mut new_set = |ids: &mut Ids| {
        number += 1;
        Element::new("resource_set").with("id", ids.new_one(&format!("{id}-{}", number - 1)))
    };
    // The set that references without brackets go to, as long as their roles are the same.
    let mut run: Option<(Option<&'static str>, Element)> = None;
    while let Some(word) = cursor.peek() {
        if let Some((open, close)) = brackets.iter().find(|(open, _)| word.is(open)) {
            out.elements.extend(run.take().map(|(_, set)| set));
            out.bracketed = true;
            cursor.next();
            let mut set = new_set(ids);
            if *open == "[" {
                set.set("require-all", "false");
            }
            if *open != "{" {
                set.set("sequential", "false");
            }
            inside(cursor, &mut set, close, what, &mut out.all)?;
            out.elements.push(set);
            if *open == "{" {
                break;
            }
            continue;
        }
        if word.pair().is_some() {
            break;
        }
        let (rsc, word_of) = reference(cursor, what)?;
        if run.as_ref().is_none_or(|(before, _)| *before != word_of) {
            out.elements.extend(run.take().map(|(_, set)| set));
            let mut set = new_set(ids);
            if let Some(word_of) = word_of {
                set.set(what, word_of);
            }
            run = Some((word_of, set));
        }
        if let Some((_, set)) = &mut run {
            set.children.push(Element::new("resource_ref").with("id", &rsc));
        }
        out.all.push((rsc, word_of));
    }
    out.elements.extend(run.take().map(|(_, set)| set));
    Ok(out)
}

/// What stands between two brackets.
fn inside(
    cursor: &mut Cursor<'_>,
    set: &mut Element,
    close: &str,
    what: &str,
    all: &mut Vec<(String, Option<&'static str>)>,
) -> Result<(), Complaint> {
    loop {
        let Some(word) = cursor.peek() else {
            return Err(cursor.expected(&format!("\"{close}\"")));
        };
        if word.is(close) {
            if set.children.is_empty() {
                return Err(cursor.expected("the name of a resource"));
            }
            cursor.next();
            return Ok(());
        }
        if let Some((name, value)) = word.pair() {
            let truth = crate::cib::words::truth(value);
            if !["sequential", "require-all"].contains(&name) || truth.is_none() {
                return Err(cursor.expected(&format!("\"{close}\", sequential=true|false or require-all=true|false")));
            }
            set.set(name, value);
            cursor.next();
            continue;
        }
        let column = word.column;
        let (rsc, word_of) = reference(cursor, what)?;
        match (set.get(what), word_of) {
            (None, Some(word_of)) if set.children.is_empty() => set.set(what, word_of),
            (before, now) if before == now => {}
            (before, _) => {
                let before = before.unwrap_or("none");
                let text = format!("expected the {what} of the others between these brackets, which is {before}");
                return Err(Complaint::new(column, text));
            }
        }
        set.children.push(Element::new("resource_ref").with("id", &rsc));
        all.push((rsc, word_of));
    }
}

/// `RSC` or `RSC:ROLE`.
fn reference(cursor: &mut Cursor<'_>, what: &str) -> Result<(String, Option<&'static str>), Complaint> {
    let expected = format!("the name of a resource, or RESOURCE:{}", what.to_uppercase());
    let word = cursor.expect(&expected)?;
    let (rsc, of) = match word.text.split_once(':') {
        Some((rsc, of)) => (rsc, Some(of)),
        None => (&*word.text, None),
    };
    if !is_xml_name(rsc) {
        return Err(Complaint::new(
            word.column,
            format!("expected {expected}, found \"{}\"", word.text),
        ));
    }
    let Some(of) = of else {
        return Ok((rsc.to_owned(), None));
    };
    let known = match what {
        "role" => role(of),
        _ => ACTIONS.into_iter().find(|a| a.eq_ignore_ascii_case(of)),
    };
    let words = if what == "role" {
        super::ROLES.to_owned()
    } else {
        ACTIONS.join(", ")
    };
    match known {
        Some(known) => Ok((rsc.to_owned(), Some(known))),
        None => Err(Complaint::new(
            word.column + rsc.chars().count() + 1,
            format!("expected one of {words} after \"{rsc}:\", found \"{of}\""),
        )),
    }
}

/// At least two references, and what is written behind them.
fn finish(
    cursor: &mut Cursor<'_>,
    made: &mut Element,
    mut sets: Sets,
    names: [&str; 4],
    options: &[&str],
) -> Result<(), Complaint> {
    if sets.all.len() < 2 {
        return Err(cursor.expected("the name of another resource"));
    }
    let mut sequential = None;
    while let Some(word) = cursor.next_if(|w| w.pair().is_some()) {
        let (name, value) = word.pair().expect("it was looked at");
        match name {
            "sequential" if !sets.bracketed => sequential = Some(value),
            name if options.contains(&name) => made.set(name, value),
            _ => {
                let what = format!("expected {}=..., found \"{}\"", options.join("= or "), word.text);
                return Err(Complaint::new(word.column, what));
            }
        }
    }
    cursor.end("NAME=VALUE or the end of the line")?;
    if sets.bracketed || sets.all.len() > 2 || sequential.is_some() {
        if let Some(sequential) = sequential {
            for set in &mut sets.elements {
                set.set("sequential", sequential);
            }
        }
        made.children.extend(sets.elements);
        return Ok(());
    }
    let [one, one_of, other, other_of] = names;
    for ((rsc, of), (name, name_of)) in sets.all.into_iter().zip([(one, one_of), (other, other_of)]) {
        made.set(name, rsc);
        if let Some(of) = of {
            made.set(name_of, of);
        }
    }
    Ok(())
}

pub fn colocation(cursor: &mut Cursor<'_>) -> Result<Object, Complaint> {
    let id = cursor.id("a name for the constraint")?.text.clone();
    let mut ids = Ids::default();
    let mut made = Element::new("rsc_colocation").with("id", ids.take(&id));
    let wanted = cursor
        .next_if(|w| score(w).is_some())
        .ok_or_else(|| cursor.expected(SCORE))?;
    made.set("score", score(wanted).expect("it was looked at"));
    let sets = sets(cursor, &id, &mut ids, "role", BRACKETS)?;
    let names = ["rsc", "rsc-role", "with-rsc", "with-rsc-role"];
    finish(cursor, &mut made, sets, names, &["node-attribute", "influence"])?;
    Ok(Object::alone(made))
}

/// What a kind or a score before the colon means.
pub fn kind(word: &str) -> Option<&'static str> {
    let by_name = KINDS.into_iter().find(|k| k.eq_ignore_ascii_case(word));
    by_name.or_else(|| Score::parse(word).map(|s| if s == Score::ZERO { "Optional" } else { "Mandatory" }))
}

pub fn order(cursor: &mut Cursor<'_>) -> Result<Object, Complaint> {
    let id = cursor.id("a name for the constraint")?.text.clone();
    let mut ids = Ids::default();
    let mut made = Element::new("rsc_order").with("id", ids.take(&id));
    if let Some(word) = cursor.next_if(|w| w.text.ends_with(':')) {
        let before = word.text.trim_end_matches(':');
        let kind = kind(before).ok_or_else(|| {
            let what = format!(
                "expected Mandatory:, Optional:, Serialize: or a score like inf:, found \"{}\"",
                word.text
            );
            Complaint::new(word.column, what)
        })?;
        made.set("kind", kind);
    }
    let sets = sets(cursor, &id, &mut ids, "action", BRACKETS)?;
    let names = ["first", "first-action", "then", "then-action"];
    finish(cursor, &mut made, sets, names, &["symmetrical", "require-all"])?;
    Ok(Object::alone(made))
}

pub fn ticket(cursor: &mut Cursor<'_>) -> Result<Object, Complaint> {
    let id = cursor.id("a name for the constraint")?.text.clone();
    let mut ids = Ids::default();
    let ticket = cursor.next_if(|w| w.text.len() > 1 && w.text.ends_with(':'));
    let ticket = ticket.ok_or_else(|| cursor.expected("the name of a ticket and a colon"))?;
    let mut made = Element::new("rsc_ticket")
        .with("id", ids.take(&id))
        .with("ticket", ticket.text.trim_end_matches(':'));
    let sets = sets(cursor, &id, &mut ids, "role", &[])?;
    while let Some(word) = cursor.next_if(|w| w.pair().is_some_and(|(n, _)| n == "loss-policy")) {
        made.set("loss-policy", word.pair().expect("it was looked at").1);
    }
    cursor.end("loss-policy=stop|demote|fence|freeze or the end of the line")?;
    match &sets.all[..] {
        [] => return Err(cursor.expected("the name of a resource")),
        [(rsc, role)] => {
            made.set("rsc", rsc);
            if let Some(role) = role {
                made.set("rsc-role", role);
            }
        }
        _ => made.children.extend(sets.elements),
    }
    Ok(Object::alone(made))
}
