//! cibadmin: the CIB as it is, element by element.

use super::client::{Access, AccessError};
use super::protocol::code;
use super::tool::{self, Failure, Outcome, flag, one, value, verbose};
use crate::cib::document::{SECTIONS, digest};
use crate::cib::{Cib, Edit, Element, xpath};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::fmt::Write;
use std::io::Read;

const DEEDS: &[&str] = &[
    "query",
    "create",
    "modify",
    "replace",
    "delete",
    "delete-all",
    "erase",
    "bump",
    "upgrade",
    "md5-sum",
    "empty",
];

fn command() -> Command {
    Command::new("cibadmin")
        .about("Shows and changes the CIB, the cluster's configuration and status")
        .arg(flag("query", 'Q', "show it").visible_alias("cib_query"))
        .arg(
            flag(
                "create",
                'C',
                "put an element into it; refused when it is there already",
            )
            .visible_alias("cib_create"),
        )
        .arg(flag("modify", 'M', "set the attributes of an element, add children to it").visible_alias("cib_modify"))
        .arg(flag("replace", 'R', "put an element in the place of the one of the same id").visible_alias("cib_replace"))
        .arg(flag("delete", 'D', "delete the first element with these attributes").visible_alias("cib_delete"))
        .arg(flag("delete-all", 'd', "with -A: delete all that it means"))
        .arg(flag("erase", 'E', "delete everything; needs -f").visible_alias("cib_erase"))
        .arg(flag("bump", 'B', "raise the epoch").visible_alias("cib_bump"))
        .arg(flag("upgrade", 'u', "nothing is to be upgraded: every form is understood").visible_alias("cib_upgrade"))
        .arg(flag("md5-sum", '5', "the digest of a CIB on disk, as in cib.xml.sig"))
        .arg(flag("empty", 'a', "show an empty CIB"))
        .group(clap::ArgGroup::new("deed").args(DEEDS).multiple(true).required(true))
        .arg(value("xml-text", 'X', "XML", "the element"))
        .arg(value("xml-file", 'x', "FILE", "the element is in FILE"))
        .arg(flag("xml-pipe", 'p', "the element is on standard input"))
        .arg(
            value(
                "scope",
                'o',
                "SECTION",
                "resources, constraints, crm_config, nodes, status, configuration, …",
            )
            .visible_alias("obj_type"),
        )
        .arg(value("xpath", 'A', "XPATH", "the elements that this means"))
        .arg(flag("node-path", 'e', "with -Q -A: where they are, instead of them"))
        .arg(flag("no-children", 'n', "with -Q: without what is inside"))
        .arg(flag("allow-create", 'c', "with -M: make it when it is not there"))
        .arg(flag("force", 'f', "do it all the same"))
        .arg(flag(
            "local",
            'l',
            "accepted for old scripts: questions are answered by this node anyway",
        ))
        .arg(flag(
            "sync-call",
            's',
            "accepted for old scripts: every change is waited for",
        ))
        .arg(value("timeout", 't', "SECONDS", "accepted for old scripts"))
        .arg(
            value(
                "host",
                'h',
                "NODE",
                "accepted for old scripts: the DC makes all changes",
            )
            .visible_alias("node")
            .visible_short_alias('N'),
        )
        .arg(
            Arg::new("help")
                .long("help")
                .short('?')
                .action(ArgAction::Help)
                .help("print the options"),
        )
        .disable_help_flag(true)
        .arg(verbose())
}

pub fn run(args: &[String], mut access: Access) -> Outcome {
    let mut failed = String::new();
    let mut outcome = tool::run(command(), args, |m, out| admin(m, &mut access, out, &mut failed));
    // Scripts look for it on standard output.
    outcome.out += &failed;
    outcome
}

fn admin(m: &ArgMatches, access: &mut Access, out: &mut String, failed: &mut String) -> Result<u8, Failure> {
    let is = |name: &str| m.get_flag(name);
    if is("empty") {
        *out += &Cib::empty().root().to_indented();
        return Ok(code::OK);
    }
    if is("md5-sum") {
        let root = input(m)?.ok_or_else(no_input)?;
        let _ = writeln!(out, "{}", digest(&root));
        return Ok(code::OK);
    }
    let dangerous = is("erase") && !is("force");
    if dangerous {
        return Err(Failure::new(
            code::UNSAFE,
            "The supplied command is considered dangerous.  To prevent accidental destruction of the cluster, \
             the --force flag is required in order to proceed.",
        ));
    }
    if is("query") {
        return query(m, &access.cib()?, out);
    }
    if is("upgrade") {
        return Ok(code::OK);
    }
    let (word, edits) = changes(m, access)?;
    match access.apply(&edits) {
        Ok(_) => Ok(code::OK),
        Err(e) => Err(refused(word, &edits, &e, failed)),
    }
}

fn no_input() -> Failure {
    Failure::usage("which element? -X gives it, -x names a file, -p reads it from standard input")
}

/// What pacemaker's cibadmin says of it, and what it really was.
fn refused(word: &str, edits: &[Edit], e: &AccessError, failed: &mut String) -> Failure {
    let reason = match e.code() {
        code::EXISTS => "File exists",
        code::NO_SUCH_OBJECT => "No such device or address",
        code::OLDER => "Update was older than existing configuration",
        code::INVALID => "Update does not conform to the configured schema",
        _ => return e.clone().into(),
    };
    if let (code::EXISTS, [Edit::Create { xml, .. }]) = (e.code(), edits) {
        let update = Element::new("failed_update")
            .with("id", xml.id())
            .with("object_type", &xml.name)
            .with("operation", word)
            .with("reason", reason)
            .holding(xml.clone());
        *failed += &Element::new("failed").holding(update).to_indented();
    }
    Failure::new(e.code(), format!("{e}\nCall {word} failed: {reason}"))
}

fn query(m: &ArgMatches, cib: &Cib, out: &mut String) -> Result<u8, Failure> {
    let shown = |e: &Element| match m.get_flag("no-children") {
        true => Element {
            children: Vec::new(),
            ..e.clone()
        },
        false => e.clone(),
    };
    let missing = || Failure::bare(code::NO_SUCH_OBJECT, "Call failed: No such device or address");
    let Some(expression) = one(m, "xpath") else {
        // An unknown section shows everything, as in Pacemaker 2.1.5.
        let section = one(m, "scope").unwrap_or("cib");
        let element = match section {
            "configuration" => cib.configuration(),
            "status" => cib.status(),
            name if SECTIONS.contains(&name) => cib.section(name).ok_or_else(missing)?,
            _ => cib.root(),
        };
        *out += &shown(element).to_indented();
        return Ok(code::OK);
    };
    let found = xpath::find(cib.root(), expression).map_err(|e| Failure::new(code::USAGE, e))?;
    if found.is_empty() {
        return Err(missing());
    }
    let last = |path: &xpath::Path<'_>| path.last().map(|e| shown(e)).unwrap_or_default();
    if m.get_flag("node-path") {
        for path in &found {
            let _ = writeln!(out, "{}", xpath::text(path));
        }
    } else if let [path] = &found[..] {
        *out += &last(path).to_indented();
    } else {
        let all = Element {
            children: found.iter().map(last).collect(),
            ..Element::new("xpath-query")
        };
        *out += &all.to_indented();
    }
    Ok(code::OK)
}

/// The element of `-X`, `-x` or `-p`.
fn input(m: &ArgMatches) -> Result<Option<Element>, Failure> {
    let (name, text) = if let Some(text) = one(m, "xml-text") {
        ("-X".to_owned(), text.to_owned())
    } else if let Some(file) = one(m, "xml-file") {
        let unreadable = |e| Failure::new(code::NO_INPUT, format!("{file}: {e}"));
        (file.to_owned(), std::fs::read_to_string(file).map_err(unreadable)?)
    } else if m.get_flag("xml-pipe") {
        let (mut text, limit) = (String::new(), crate::cib::xml::LONGEST as u64 + 1);
        let unreadable = |e| Failure::new(code::IO, format!("standard input: {e}"));
        std::io::stdin()
            .take(limit)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        ("standard input".to_owned(), text)
    } else {
        return Ok(None);
    };
    let bad = |e| Failure::new(code::INVALID, format!("{name}: {e}"));
    Element::parse(&text).map(Some).map_err(bad)
}

/// The section in which an element of this name belongs.
fn section_of(element: &str) -> &'static str {
    match element {
        "primitive" | "group" | "clone" | "master" | "template" => "resources",
        "rsc_location" | "rsc_colocation" | "rsc_order" | "rsc_ticket" => "constraints",
        "node" => "nodes",
        "cluster_property_set" => "crm_config",
        "node_state" => "status",
        _ => "configuration",
    }
}

fn changes(m: &ArgMatches, access: &mut Access) -> Result<(&'static str, Vec<Edit>), Failure> {
    let is = |name: &str| m.get_flag(name);
    if is("erase") {
        return Ok(("cib_erase", vec![Edit::Erase]));
    }
    if is("bump") {
        return Ok(("cib_bump", vec![Edit::Bump]));
    }
    if let Some(expression) = one(m, "xpath") {
        return by_xpath(m, &access.cib()?, expression);
    }
    let mut xml = input(m)?.ok_or_else(no_input)?;
    let scope = one(m, "scope");
    if let (Some(section), "cib") = (scope, &*xml.name) {
        // Of a whole CIB only this section is meant.
        let half = |name: &str| xml.child(name).cloned();
        let found = match section {
            "cib" | "all" => Some(xml.clone()),
            "configuration" | "status" => half(section),
            name => half("configuration").and_then(|c| c.child(name).cloned()),
        };
        xml = found.ok_or_else(|| Failure::new(code::BAD_DATA, format!("{section}: is not in what was given")))?;
    }
    let whole = xml.name == "cib";
    let section = match scope {
        Some("cib" | "all") | None => section_of(&xml.name),
        Some(section) => section,
    };
    let section = section.to_owned();
    if is("create") {
        // A section stands for what is in it.
        let all = if xml.name == section { xml.children } else { vec![xml] };
        let edits = all.into_iter().map(|xml| Edit::Create {
            section: section.clone(),
            xml,
        });
        return Ok(("cib_create", edits.collect()));
    }
    if is("modify") {
        if whole {
            return Ok(("cib_modify", vec![root_attributes(&access.cib()?, &xml)]));
        }
        let or_create = is("allow-create");
        return Ok((
            "cib_modify",
            vec![Edit::Modify {
                section,
                xml,
                or_create,
            }],
        ));
    }
    if is("replace") {
        let section = if whole { "cib".to_owned() } else { section };
        return Ok(("cib_replace", vec![Edit::Replace { section, xml }]));
    }
    // As in Pacemaker the children of what is to be deleted do not matter.
    xml.children.clear();
    Ok(("cib_delete", vec![Edit::Delete { section, xml }]))
}

/// The attributes of the element `cib` itself: the administrator's epoch.
fn root_attributes(cib: &Cib, wanted: &Element) -> Edit {
    let mut xml = cib.root().clone();
    for (name, value) in &wanted.attributes {
        let plus = value == format!("{name}++");
        let now = xml.get(name).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        match plus {
            true => xml.set(name, now.saturating_add(1)),
            false => xml.set(name, value),
        }
    }
    Edit::Replace {
        section: "cib".to_owned(),
        xml,
    }
}

fn by_xpath(m: &ArgMatches, cib: &Cib, expression: &str) -> Result<(&'static str, Vec<Edit>), Failure> {
    let found = xpath::find(cib.root(), expression).map_err(|e| Failure::new(code::USAGE, e))?;
    let half = |path: &xpath::Path<'_>| path.get(1).map_or("configuration", |e| &*e.name).to_owned();
    let inner = found.iter().filter(|p| p.len() > 2);
    let missing = || Failure::new(code::NO_SUCH_OBJECT, "Call failed: No such device or address");
    if m.get_flag("delete") || m.get_flag("delete-all") {
        let most = if m.get_flag("delete-all") { usize::MAX } else { 1 };
        let edits = inner.take(most).filter_map(|p| {
            Some(Edit::Delete {
                section: half(p),
                xml: Element {
                    children: Vec::new(),
                    ..(*p.last()?).clone()
                },
            })
        });
        return Ok(("cib_delete", edits.collect()));
    }
    let path = inner.take(1).next().ok_or_else(missing)?;
    let there = *path.last().ok_or_else(missing)?;
    let section = half(path);
    let mut xml = input(m)?.ok_or_else(no_input)?;
    if xml.name != there.name {
        return Err(Failure::new(
            code::BAD_DATA,
            format!("{expression}: means the element {}, not {}", there.name, xml.name),
        ));
    }
    if let (None, Some(id)) = (xml.get("id"), there.get("id")) {
        xml.set("id", id);
    }
    if m.get_flag("modify") {
        let or_create = false;
        Ok((
            "cib_modify",
            vec![Edit::Modify {
                section,
                xml,
                or_create,
            }],
        ))
    } else if m.get_flag("replace") {
        Ok(("cib_replace", vec![Edit::Replace { section, xml }]))
    } else {
        Err(Failure::usage("-A goes with -Q, -M, -R and -D"))
    }
}
