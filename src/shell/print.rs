//! Elements of the configuration as lines of the language.
//!
//! What is printed loads again unchanged: each object is parsed back, and one that the language cannot say whole (nested
//! rules, attributes of newer versions) is printed as `xml <...>`.

use super::parse::{self, Statement};
use super::words::quoted;
use crate::cib::{Element, Score};
use std::fmt::Write;

/// Between the lines of one object.
const NEXT: &str = " \\\n\t";

/// One object as it stands in `section`, without a newline at its end.
pub fn object(section: &str, element: &Element) -> String {
    let text = candidate(section, element);
    if text.as_deref().is_some_and(|text| says(text, section, element)) {
        return text.unwrap_or_default();
    }
    match section {
        // These sets have no name of their own in the language.
        "rsc_defaults" | "op_defaults" => format!("xml {}", Element::new(section).holding(element.clone())),
        _ => format!("xml {element}"),
    }
}

/// Whether parsing `text` gives the element again.
fn says(text: &str, section: &str, element: &Element) -> bool {
    let commands = super::lines::commands(text);
    let [command] = &commands[..] else {
        return false;
    };
    let Ok(Some(Statement::Object(parsed))) = parse::statement(&command.text) else {
        return false;
    };
    let mut made = parsed.element;
    for member in parsed.members {
        made.children.push(Element::new("primitive").with("id", member.id));
    }
    let wrapped = ["rsc_defaults", "op_defaults"].contains(&section);
    match (wrapped, made.children.as_slice()) {
        (true, [set]) if made.name == section => meaning(set) == meaning(element),
        (true, _) => false,
        (false, _) => meaning(&made) == meaning(element),
    }
}

/// The element with all left out that the language does not say: ids of small parts, order of attributes, spellings.
pub fn meaning(element: &Element) -> Element {
    let mut e = element.clone();
    e.line = 0;
    let anonymous = [
        "nvpair",
        "op",
        "expression",
        "date_expression",
        "duration",
        "date_spec",
        "resource_set",
        "fencing-level",
    ];
    if anonymous.contains(&&*e.name) {
        e.unset("id");
    }
    if let Some(score) = e.get("score").and_then(Score::parse) {
        e.set("score", score);
    }
    match &*e.name {
        "node" => {
            // A line that gives no id means the name.
            if let (None, Some(uname)) = (e.get("id"), e.get("uname").map(str::to_owned)) {
                e.set("id", uname);
            }
            if matches!(e.get("type"), Some("normal" | "member")) {
                e.unset("type");
            }
        }
        "rsc_order" => {
            if let Some(kind) = e.get("kind").or(e.get("score")).and_then(parse::constraints::kind) {
                e.unset("score");
                e.set("kind", kind);
            }
        }
        "rule" if e.children.len() < 2 || e.get("boolean-op") == Some("and") => {
            e.unset("boolean-op");
        }
        "op" => {
            for set in &mut e.children {
                set.unset("id");
            }
        }
        "group" | "clone" | "master" => {
            for child in e.children.iter_mut().filter(|c| is_resource(c)) {
                *child = Element::new("member").with("id", child.id());
            }
        }
        _ => {}
    }
    e.attributes.sort();
    e.children = e.children.iter().map(meaning).collect();
    if !["resource_set", "rule", "rsc_location", "tag", "fencing-topology"].contains(&&*e.name) {
        e.children.sort_by_key(kind_rank);
    }
    e
}

/// Parts of different kinds have no order among each other; those of one kind have.
fn kind_rank(element: &Element) -> usize {
    let kinds = ["instance_attributes", "meta_attributes", "utilization", "operations"];
    kinds.iter().position(|k| *k == element.name).unwrap_or(kinds.len())
}

pub fn is_resource(element: &Element) -> bool {
    ["primitive", "group", "clone", "master", "bundle"].contains(&&*element.name)
}

/// The lines, when the element looks like something the language has words for.
fn candidate(section: &str, e: &Element) -> Option<String> {
    Some(match &*e.name {
        "node" => node(e),
        "primitive" => primitive("primitive", e)?,
        "template" => primitive("rsc_template", e)?,
        "group" | "clone" => container(&e.name, e)?,
        "master" => container("ms", e)?,
        "rsc_location" => location(e)?,
        "rsc_colocation" => colocation(e)?,
        "rsc_order" => order(e)?,
        "rsc_ticket" => ticket(e)?,
        "cluster_property_set" => settings("property", e)?,
        "meta_attributes" => settings(section, e)?,
        "tag" => format!("tag {} {}", e.id(), ids(&e.children).join(" ")),
        "fencing-topology" => fencing(e)?,
        _ => return None,
    })
}

fn ids(elements: &[Element]) -> Vec<&str> {
    elements.iter().map(Element::id).collect()
}

fn pairs(e: &Element) -> Option<Vec<String>> {
    let pair = |p: &Element| Some(format!("{}={}", p.get("name")?, quoted(p.get("value")?)));
    e.children.iter().map(pair).collect()
}

/// `params a=1 b=2`, with the id of the set when it is not the usual one.
fn set(keyword: &str, e: &Element, usual: &str) -> Option<String> {
    if let Some(other) = e.get("id-ref") {
        return Some(format!("{keyword} $id-ref={}", quoted(other)));
    }
    let mut out = keyword.to_owned();
    if e.id() != usual {
        let _ = write!(out, " $id={}", quoted(e.id()));
    }
    for pair in pairs(e)? {
        let _ = write!(out, " {pair}");
    }
    Some(out)
}

/// All sets of an object; the ids of the second and later of a kind are usual with `-0`, `-1`.
fn sets(out: &mut String, e: &Element, prefix: &str) -> Option<()> {
    let mut used = parse::ids::Ids::default();
    for (keyword, name) in &parse::sets::SETS[..3] {
        for s in e.children_named(name) {
            let wish = format!("{prefix}-{name}");
            let usual = match s.id() {
                id if id == wish || id.is_empty() => used.new_one(&wish),
                id => {
                    // Only one that the parser would make as well is usual.
                    let made = used.clone().new_one(&wish);
                    if made == id { used.new_one(&wish) } else { wish }
                }
            };
            let _ = write!(out, "{NEXT}{}", set(keyword, s, &usual)?);
        }
    }
    Some(())
}

fn described(out: &mut String, e: &Element) {
    if let Some(text) = e.get("description") {
        let _ = write!(out, " description={}", quoted(text));
    }
}

fn node(e: &Element) -> String {
    let uname = e.get("uname").unwrap_or_default();
    let mut out = match e.id() {
        id if id == uname => format!("node {uname}"),
        id => format!("node {id}: {uname}"),
    };
    if let Some(kind) = e.get("type").filter(|k| !["normal", "member"].contains(k)) {
        let _ = write!(out, ":{kind}");
    }
    described(&mut out, e);
    for (keyword, name, usual) in [
        ("attributes", "instance_attributes", format!("nodes-{}", e.id())),
        ("utilization", "utilization", format!("nodes-{}-utilization", e.id())),
    ] {
        for s in e
            .children_named(name)
            .filter(|s| !s.children.is_empty() || s.get("id-ref").is_some())
        {
            let Some(text) = set(keyword, s, &usual) else {
                return String::new();
            };
            let _ = write!(out, "{NEXT}{text}");
        }
    }
    out
}

/// The agent as the language writes it: `IPaddr2` for ocf:heartbeat, the whole name for any other.
pub fn agent(e: &Element) -> Option<String> {
    if let Some(template) = e.get("template") {
        return Some(format!("@{template}"));
    }
    let (class, kind) = (e.get("class")?, e.get("type")?);
    Some(match e.get("provider") {
        Some("heartbeat") if class == "ocf" => kind.to_owned(),
        Some(provider) => format!("{class}:{provider}:{kind}"),
        None => format!("{class}:{kind}"),
    })
}

fn primitive(keyword: &str, e: &Element) -> Option<String> {
    let mut out = format!("{keyword} {} {}", e.id(), agent(e)?);
    described(&mut out, e);
    sets(&mut out, e, e.id())?;
    for operations in e.children_named("operations") {
        for name in ["id", "id-ref"] {
            if let Some(value) = operations.get(name) {
                let _ = write!(out, "{NEXT}operations ${name}={}", quoted(value));
            }
        }
        for op in operations.children_named("op") {
            let _ = write!(out, "{NEXT}op {}", op.get("name")?);
            for (name, value) in op.attributes.iter().filter(|(n, _)| *n != "id" && *n != "name") {
                let _ = write!(out, " {name}={}", quoted(value));
            }
            for s in &op.children {
                let keyword = match &*s.name {
                    "instance_attributes" => "op_params",
                    _ => "op_meta",
                };
                let _ = write!(out, "{NEXT}{}", set(keyword, s, s.id())?);
            }
        }
    }
    Some(out)
}

fn container(keyword: &str, e: &Element) -> Option<String> {
    let members: Vec<&str> = e.children.iter().filter(|c| is_resource(c)).map(Element::id).collect();
    let mut out = format!("{keyword} {} {}", e.id(), members.join(" "));
    described(&mut out, e);
    sets(&mut out, e, e.id())?;
    Some(out)
}

/// A score as the language writes it.
pub fn score(text: &str) -> Option<String> {
    Some(match Score::parse(text)? {
        Score::INFINITY => "inf".to_owned(),
        Score::BANNED => "-inf".to_owned(),
        score => score.to_string(),
    })
}

fn location(e: &Element) -> Option<String> {
    let mut out = format!("location {}", e.id());
    match (e.get("rsc"), e.get("rsc-pattern"), e.child("resource_set")) {
        (Some(rsc), None, None) => {
            let _ = write!(out, " {rsc}");
        }
        (None, Some(pattern), None) => {
            let pattern = format!("/{pattern}/");
            let needs_quotes = pattern.contains(|c: char| c.is_whitespace() || "\"'\\".contains(c));
            out += &format!(" {}", if needs_quotes { quoted(&pattern) } else { pattern });
        }
        (None, None, Some(set)) => {
            let _ = write!(out, " {{ {} }}", references(set, "role")?.join(" "));
        }
        _ => return None,
    }
    for name in ["role", "resource-discovery"] {
        if let Some(value) = e.get(name) {
            let _ = write!(out, " {name}={}", quoted(value));
        }
    }
    let mut rules = e.children_named("rule").peekable();
    if rules.peek().is_none() {
        let _ = write!(out, " {}: {}", score(e.get("score")?)?, quoted(e.get("node")?));
        return Some(out);
    }
    let mut used = parse::ids::Ids::default();
    for r in rules {
        let usual = used.clone().new_one(&format!("{}-rule", e.id()));
        if r.id() == usual {
            used.take(&usual);
        }
        let _ = write!(out, "{NEXT}{}", rule(r, &usual)?);
    }
    Some(out)
}

fn rule(e: &Element, usual: &str) -> Option<String> {
    if let Some(other) = e.get("id-ref") {
        return Some(format!("rule $id-ref={}", quoted(other)));
    }
    let mut out = "rule".to_owned();
    if e.id() != usual {
        let _ = write!(out, " $id={}", quoted(e.id()));
    }
    if let Some(role) = e.get("role") {
        let _ = write!(out, " $role={role}");
    }
    let weight = match (e.get("score"), e.get("score-attribute")) {
        (Some(text), None) => score(text)?,
        (None, Some(attribute)) => attribute.to_owned(),
        _ => return None,
    };
    let all: Option<Vec<String>> = e.children.iter().map(expression).collect();
    let join = format!(" {} ", e.get("boolean-op").unwrap_or("and"));
    let _ = write!(out, " {weight}: {}", all?.join(&join));
    Some(out)
}

/// A word of a rule. `#uname` needs no quotes: it does not begin the line.
fn word(text: &str) -> String {
    match text.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && quoted(rest) == rest => text.to_owned(),
        _ => quoted(text),
    }
}

fn expression(e: &Element) -> Option<String> {
    match &*e.name {
        "expression" => {
            let (operation, attribute) = (e.get("operation")?, word(e.get("attribute")?));
            if ["defined", "not_defined"].contains(&operation) {
                return Some(format!("{operation} {attribute}"));
            }
            let kind = e.get("type").map(|t| format!("{t}:")).unwrap_or_default();
            Some(format!("{attribute} {kind}{operation} {}", word(e.get("value")?)))
        }
        "date_expression" => {
            let spans = |span: &Element| {
                let all = span.attributes.iter().filter(|(n, _)| *n != "id");
                all.map(|(n, v)| format!(" {n}={}", quoted(v))).collect::<String>()
            };
            Some(match e.get("operation")? {
                "lt" => format!("date lt {}", word(e.get("end")?)),
                "gt" => format!("date gt {}", word(e.get("start")?)),
                "in_range" => {
                    let ends = ["start", "end"]
                        .iter()
                        .filter_map(|n| Some(format!(" {n}={}", quoted(e.get(n)?))));
                    let ends: String = ends.collect();
                    format!("date in{ends}{}", e.child("duration").map(spans).unwrap_or_default())
                }
                "date_spec" => format!("date spec{}", spans(e.child("date_spec")?)),
                _ => return None,
            })
        }
        _ => None,
    }
}

/// `a:Master b:Master`.
fn references(set: &Element, what: &str) -> Option<Vec<String>> {
    let of = set.get(what).map(|w| format!(":{w}")).unwrap_or_default();
    let one = |r: &Element| (!r.id().is_empty()).then(|| format!("{}{of}", r.id()));
    set.children.iter().map(one).collect()
}

/// The references of a constraint: its two, or its sets.
fn referred(e: &Element, what: &str, names: [&str; 4]) -> Option<String> {
    let sets: Vec<&Element> = e.children_named("resource_set").collect();
    if sets.is_empty() {
        let with = |name: &str, of: &str| {
            let of = e.get(of).map(|w| format!(":{w}")).unwrap_or_default();
            Some(format!("{}{of}", e.get(name)?))
        };
        return Some(format!("{} {}", with(names[0], names[1])?, with(names[2], names[3])?));
    }
    let mut parts = Vec::new();
    for set in sets {
        let inner = references(set, what)?.join(" ");
        parts.push(match (set.get("require-all"), set.get("sequential")) {
            (None, None) => inner,
            (None, Some("false")) => format!("( {inner} )"),
            (Some("false"), Some("false")) => format!("[ {inner} ]"),
            (Some(all), Some(sequential)) => format!("( {inner} sequential={sequential} require-all={all} )"),
            (None, Some(sequential)) => format!("( {inner} sequential={sequential} )"),
            (Some(_), None) => return None,
        });
    }
    Some(parts.join(" "))
}

fn options(out: &mut String, e: &Element, names: &[&str]) {
    for name in names {
        if let Some(value) = e.get(name) {
            let _ = write!(out, " {name}={}", quoted(value));
        }
    }
}

fn colocation(e: &Element) -> Option<String> {
    let all = referred(e, "role", ["rsc", "rsc-role", "with-rsc", "with-rsc-role"])?;
    let mut out = format!("colocation {} {}: {all}", e.id(), score(e.get("score")?)?);
    options(&mut out, e, &["node-attribute", "influence"]);
    Some(out)
}

fn order(e: &Element) -> Option<String> {
    let all = referred(e, "action", ["first", "first-action", "then", "then-action"])?;
    let mut out = format!("order {}", e.id());
    if let Some(kind) = e.get("kind").or(e.get("score")) {
        let _ = write!(out, " {}:", parse::constraints::kind(kind)?);
    }
    let _ = write!(out, " {all}");
    options(&mut out, e, &["symmetrical", "require-all"]);
    Some(out)
}

fn ticket(e: &Element) -> Option<String> {
    let all = match e.get("rsc") {
        Some(rsc) => format!(
            "{rsc}{}",
            e.get("rsc-role").map(|r| format!(":{r}")).unwrap_or_default()
        ),
        None => referred(e, "role", ["rsc", "rsc-role", "", ""])?,
    };
    let mut out = format!("rsc_ticket {} {}: {all}", e.id(), e.get("ticket")?);
    options(&mut out, e, &["loss-policy"]);
    Some(out)
}

fn settings(keyword: &str, e: &Element) -> Option<String> {
    let mut out = format!("{keyword} {}:", e.id());
    for pair in pairs(e)? {
        let _ = write!(out, "{NEXT}{pair}");
    }
    Some(out)
}

fn fencing(e: &Element) -> Option<String> {
    let mut out = "fencing_topology".to_owned();
    let mut before = None;
    for level in &e.children {
        let target = level.get("target")?;
        if before != Some(target) {
            let _ = write!(out, "{NEXT}{target}:");
            before = Some(target);
        }
        let _ = write!(out, " {}", quoted(level.get("devices")?));
    }
    Some(out)
}
