//! Line by line: each directive with its words goes into the draft of an `HaCf`.

use super::DEFAULTS;
use super::directives::{self, Directive, Effect, Shape};
use super::draft::Draft;
use super::values::{self, shown};
use crate::conf::{Complaints, lines};

/// Reads all lines; what only the whole file can tell is left to `whole`.
pub(super) fn read(text: &str, bad: &mut Complaints) -> Draft {
    let mut draft = Draft::new();
    for (number, raw) in lines(text) {
        bad.long_line(number, raw);
        let content = raw.split('#').next().unwrap_or("");
        let content = content.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let end = content
            .find(|c: char| c.is_ascii_whitespace() || c == ',')
            .unwrap_or(content.len());
        let (name, rest) = content.split_at(end);
        if name.is_empty() {
            continue;
        }
        match directives::find(name) {
            Some(directive) => line(&mut draft, directive, number, rest, bad),
            None => bad.error(number, directives::unknown(name)),
        }
    }
    draft
}

fn line(draft: &mut Draft, directive: &'static Directive, number: usize, rest: &str, bad: &mut Complaints) {
    let (name, usage) = (directive.name, directive.usage);
    let refuse = |draft: &mut Draft, bad: &mut Complaints, why: String| {
        draft.refused.insert(name);
        bad.error(number, format!("{name}: {why}; the form is `{usage}`"));
    };
    let words: Vec<&str> = match directive.shape {
        Shape::Line => rest.split_ascii_whitespace().collect(),
        Shape::One | Shape::Many => {
            let blank = |c: char| c.is_ascii_whitespace() || c == ',';
            rest.split(blank).filter(|w| !w.is_empty()).collect()
        }
    };
    if words.is_empty() && directive.shape != Shape::Line {
        bad.warn(
            number,
            format!("{name}: without a value it does nothing; write `{usage}`"),
        );
        return;
    }
    match directive.shape {
        Shape::One => {
            repeated(draft, directive, number, &words, bad);
            for word in &words {
                match draft.single(name, word) {
                    Ok(()) if matches!(name, "nice_failback" | "use_apphbd") => {}
                    Ok(()) => drop(draft.parameters.insert(name.to_owned(), (*word).to_owned())),
                    Err(why) => refuse(draft, bad, why),
                }
            }
        }
        Shape::Many => {
            for word in &words {
                match draft.member(name, number, word) {
                    Ok(None) => {}
                    Ok(Some(text)) => bad.warn(number, format!("{name}: {text}")),
                    Err(why) => refuse(draft, bad, why),
                }
            }
        }
        Shape::Line => match draft.whole_line(name, number, &words) {
            Ok(None) => {}
            Ok(Some(text)) => bad.warn(number, format!("{name}: {text}")),
            Err(why) => refuse(draft, bad, why),
        },
    }
    if !draft.refused.contains(name) {
        no_effect(directive, number, &words, bad);
    }
    draft.seen.insert(name, number);
}

/// One value, written twice.
fn repeated(draft: &Draft, directive: &Directive, number: usize, words: &[&str], bad: &mut Complaints) {
    let name = directive.name;
    let last = words.last().copied().unwrap_or("");
    let before = match name {
        "crm" | "pacemaker" => draft.seen.get("crm").or(draft.seen.get("pacemaker")),
        _ => draft.seen.get(name),
    };
    let once = matches!(name, "baud" | "watchdog" | "crm" | "pacemaker");
    match before {
        Some(before) if once => bad.error(number, format!("{name}: already in line {before}: keep one of the two")),
        Some(before) => {
            bad.warn(
                number,
                format!(
                    "{name}: already in line {before}: \"{}\" counts, remove the other",
                    shown(last)
                ),
            );
        }
        None if words.len() > 1 && once => bad.error(number, format!("{name}: takes one value: keep one of them")),
        None if words.len() > 1 => {
            bad.warn(
                number,
                format!("{name}: takes one value: \"{}\" counts, remove the others", shown(last)),
            );
        }
        None => {}
    }
}

/// Says what an accepted directive does not do. A value that is the default asks for nothing: silence.
fn no_effect(directive: &Directive, number: usize, words: &[&str], bad: &mut Complaints) {
    let Some(last) = words.last() else { return };
    let name = directive.name;
    match (name, directive.effect) {
        ("use_logd", _) if values::boolean(last) == Ok(true) => {
            bad.warn(
                number,
                "use_logd: there is no logging daemon, it has no effect: write `logfile` or `logfacility`",
            );
        }
        ("use_apphbd", _) if values::boolean(last) == Ok(true) => {
            bad.warn(
                number,
                "use_apphbd: there is no apphbd, it has no effect: write `use_apphbd off`",
            );
        }
        (_, Effect::Nothing(why)) => {
            let default = DEFAULTS.iter().find(|d| d.0 == name).map(|d| d.1);
            let same = default.is_some_and(|d| {
                d == *last || (directive.usage.contains("true|false") && values::boolean(d) == values::boolean(last))
            });
            if !same {
                bad.warn(number, format!("{name}: accepted, but without effect: {why}"));
            }
        }
        (_, Effect::Works) => {}
    }
}
