//! Attributes of nodes, of the cluster and of the defaults: crm_attribute and crm_standby, and what the tools in
//! [`super::transient`] share with them.

use super::changes::attributes::{self, Kind, Owner};
use super::client::Access;
use super::protocol::{Attribute, code};
use super::tool::{self, Failure, Outcome, flag, node_name, one, value, verbose};
use super::transient::promotion;
use crate::cib::{Cib, Element};
use clap::{Arg, ArgMatches, Command};
use std::fmt::Write;

/// Where an attribute is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// A section with sets of its own: crm_config, rsc_defaults, op_defaults.
    Section(&'static str),
    /// Of a node, for good.
    Node(String),
    /// Of a node, until it leaves.
    Status(String),
}

impl Scope {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Section(name) => name,
            Self::Node(_) => "nodes",
            Self::Status(_) => "status",
        }
    }

    /// What `-D` calls it.
    fn noun(&self) -> &'static str {
        match self {
            Self::Section(_) => "option",
            Self::Node(_) | Self::Status(_) => "attribute",
        }
    }
}

/// Calls `then` with where the attributes are. `None` for the transient ones of a node that has none.
fn with_owner<T>(
    cib: &Cib,
    scope: &Scope,
    set: Option<&str>,
    pair: Option<&str>,
    then: impl FnOnce(Owner<'_>) -> T,
) -> Result<T, Failure> {
    let (section, element, kind, new_set) = match scope {
        Scope::Section(name) => {
            let (kind, new_set) = match *name {
                "crm_config" => (Kind::Property, "cib-bootstrap-options"),
                "rsc_defaults" => (Kind::Meta, "rsc-options"),
                _ => (Kind::Meta, "op-options"),
            };
            let element = cib.section(name).cloned().unwrap_or_else(|| Element::new(name));
            (*name, element, kind, new_set.to_owned())
        }
        Scope::Node(node) => {
            let element = attributes::node(cib, node).ok_or_else(|| Failure::no_such("Node", node))?;
            let set = format!("nodes-{}", element.id());
            ("nodes", element.clone(), Kind::Instance, set)
        }
        Scope::Status(node) => {
            let known = attributes::node(cib, node).ok_or_else(|| Failure::no_such("Node", node))?;
            let mut states = cib.status().children_named("node_state");
            let state = states.find(|s| s.id() == known.id());
            let element = state.and_then(|s| s.child("transient_attributes")).cloned();
            let set = format!("status-{}", known.id());
            ("status", element.unwrap_or_default(), Kind::Instance, set)
        }
    };
    Ok(then(Owner {
        section,
        element: &element,
        kind,
        set,
        pair,
        new_set: &new_set,
    }))
}

pub(super) fn get(cib: &Cib, scope: &Scope, name: &str) -> Result<Option<String>, Failure> {
    with_owner(cib, scope, None, None, |o| {
        o.find(name).into_iter().find_map(|p| p.value)
    })
}

pub(super) fn set(access: &mut Access, cib: &Cib, scope: &Scope, name: &str, value: &str) -> Result<(), Failure> {
    set_in(access, cib, scope, (None, None), name, value)
}

fn set_in(
    access: &mut Access,
    cib: &Cib,
    scope: &Scope,
    (in_set, pair): (Option<&str>, Option<&str>),
    name: &str,
    value: &str,
) -> Result<(), Failure> {
    if let Scope::Status(node) = scope {
        return Ok(access.set_transient(Attribute {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            node: Some(node.clone()),
            set: in_set.map(str::to_owned),
            ..Attribute::default()
        })?);
    }
    let edit = with_owner(cib, scope, in_set, pair, |o| o.set(name, value).0)?;
    access.apply(&[edit])?;
    Ok(())
}

/// Takes it away where it is, and says so.
pub(super) fn delete(
    access: &mut Access,
    cib: &Cib,
    scope: &Scope,
    (in_set, pair): (Option<&str>, Option<&str>),
    name: &str,
    out: &mut String,
) -> Result<(), Failure> {
    let found = with_owner(cib, scope, in_set, pair, |o| {
        let pair = o.find(name).into_iter().next()?;
        Some((o.delete(&pair), pair))
    })?;
    let Some((edit, pair)) = found else {
        return Ok(());
    };
    match scope {
        Scope::Status(node) => access.set_transient(Attribute {
            name: name.to_owned(),
            node: Some(node.clone()),
            ..Attribute::default()
        })?,
        Scope::Section(_) | Scope::Node(_) => access.apply(&[edit]).map(drop)?,
    }
    let _ = writeln!(
        out,
        "Deleted {} {}: id={} name={name}",
        scope.word(),
        scope.noun(),
        pair.id
    );
    Ok(())
}

pub(super) fn show(out: &mut String, quiet: bool, scope: &str, name: &str, value: &str) {
    let _ = match quiet {
        true => writeln!(out, "{value}"),
        false => writeln!(out, "scope={scope}  name={name} value={value}"),
    };
}

pub(super) fn missing() -> Failure {
    let text = "Error performing operation: No such device or address";
    Failure::new(code::NO_SUCH_OBJECT, text)
}

/// The node of `-N`, else the one this runs on.
pub(super) fn the_node(matches: &ArgMatches, access: &mut Access, cib: &Cib) -> Result<String, Failure> {
    let named = match one(matches, "node") {
        Some(name) => name.to_owned(),
        None => access.local_node()?,
    };
    node_name(cib, &named)
}

pub(super) fn node_option() -> Arg {
    value("node", 'N', "NODE", "the node; without it the one this runs on")
        .visible_aliases(["node-uname", "uname"])
        .visible_short_alias('U')
}

pub(super) fn lifetime_option() -> Arg {
    value(
        "lifetime",
        'l',
        "TIME",
        "forever, or reboot: until the node leaves the cluster",
    )
    .value_parser(["forever", "reboot", "status", "nodes"])
}

pub(super) fn quiet_option() -> Arg {
    flag("quiet", 'q', "print bare values").visible_short_alias('Q')
}

/// `-v`, `-G` and `-D`; `-G` unless one is given.
pub(super) fn deeds(command: Command) -> Command {
    command
        .arg(value("update", 'v', "VALUE", "set it").visible_aliases(["attr-value", "set"]))
        .arg(flag("query", 'G', "show it").visible_alias("get-value"))
        .arg(flag("delete", 'D', "delete it").visible_alias("delete-attr"))
        .group(clap::ArgGroup::new("deed").args(["update", "query", "delete"]))
}

pub fn crm_attribute(args: &[String], mut access: Access) -> Outcome {
    let command = deeds(Command::new("crm_attribute"))
        .about("Shows and changes attributes of the cluster and of its nodes")
        .arg(
            value("name", 'n', "NAME", "the attribute")
                .visible_alias("attr-name")
                .required_unless_present("promotion"),
        )
        .arg(
            Arg::new("promotion")
                .short('p')
                .long("promotion")
                .value_name("RSC")
                .num_args(0..=1)
                .require_equals(true)
                .help("not an attribute but the promotion score of RSC, as crm_master does"),
        )
        .arg(node_option())
        .arg(
            value(
                "type",
                't',
                "SECTION",
                "where it is: crm_config, nodes, status, rsc_defaults, op_defaults",
            )
            .value_parser(["crm_config", "nodes", "status", "rsc_defaults", "op_defaults"]),
        )
        .arg(lifetime_option())
        .arg(value("set-name", 's', "ID", "the id of the set of attributes"))
        .arg(value("id", 'i', "ID", "the id of the name and value").visible_alias("attr-id"))
        .arg(value(
            "default",
            'd',
            "VALUE",
            "with -G: what to print when there is none",
        ))
        .arg(quiet_option())
        .arg(verbose());
    tool::run(command, args, |m, out| {
        if m.contains_id("promotion") {
            return promotion(m, &mut access, one(m, "promotion"), out);
        }
        let cib = access.cib()?;
        let name = one(m, "name").unwrap_or_default();
        let of_node = one(m, "node").is_some() || one(m, "lifetime").is_some();
        let transient = matches!(one(m, "lifetime"), Some("reboot" | "status"));
        let scope = match one(m, "type") {
            Some("rsc_defaults") => Scope::Section("rsc_defaults"),
            Some("op_defaults") => Scope::Section("op_defaults"),
            Some("crm_config") => Scope::Section("crm_config"),
            None if !of_node => Scope::Section("crm_config"),
            Some("status") => Scope::Status(the_node(m, &mut access, &cib)?),
            Some(_) | None if transient => Scope::Status(the_node(m, &mut access, &cib)?),
            Some(_) | None => Scope::Node(the_node(m, &mut access, &cib)?),
        };
        let within = (one(m, "set-name"), one(m, "id"));
        if let Some(value) = one(m, "update") {
            set_in(&mut access, &cib, &scope, within, name, value)?;
        } else if m.get_flag("delete") {
            delete(&mut access, &cib, &scope, within, name, out)?;
        } else {
            let default = one(m, "default").map(str::to_owned);
            let value = get(&cib, &scope, name)?.or(default).ok_or_else(missing)?;
            show(out, m.get_flag("quiet"), scope.word(), name, &value);
        }
        Ok(code::OK)
    })
}

pub fn crm_standby(args: &[String], mut access: Access) -> Outcome {
    let command = deeds(Command::new("crm_standby"))
        .about("Shows and changes whether a node may have resources")
        .arg(node_option())
        .arg(lifetime_option())
        .arg(value("id", 'i', "ID", "the id of the name and value"))
        .arg(quiet_option())
        .arg(verbose());
    tool::run(command, args, |m, out| {
        const NAME: &str = "standby";
        let cib = access.cib()?;
        let node = the_node(m, &mut access, &cib)?;
        let transient = matches!(one(m, "lifetime"), Some("reboot" | "status"));
        let (of_node, of_status) = (Scope::Node(node.clone()), Scope::Status(node));
        let within = (None, one(m, "id"));
        if let Some(value) = one(m, "update") {
            let scope = if transient { &of_status } else { &of_node };
            set_in(&mut access, &cib, scope, within, NAME, value)?;
        } else if m.get_flag("delete") {
            let scopes = match one(m, "lifetime") {
                None => vec![&of_status, &of_node],
                Some(_) if transient => vec![&of_status],
                Some(_) => vec![&of_node],
            };
            for scope in scopes {
                delete(&mut access, &cib, scope, within, NAME, out)?;
            }
        } else {
            // The transient one counts first.
            let mut found = ("status", "off".to_owned());
            for scope in [&of_node, &of_status] {
                if let Some(value) = get(&cib, scope, NAME)? {
                    found = (scope.word(), value);
                }
            }
            show(out, m.get_flag("quiet"), found.0, NAME, &found.1);
        }
        Ok(code::OK)
    })
}
