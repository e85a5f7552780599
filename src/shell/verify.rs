//! What is wrong with a configuration: its form, and what the agents say of their parameters.

use super::draft::{Draft, Listed, objects};
use super::print;
use crate::agents::{Agent, MetaData, metadata};
use crate::cib::words::interval;
use crate::cib::{Element, schema};
use crate::policy::unpack;
use crate::time::Wall;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Errors keep a commit from being made without a question; warnings are only said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
}

/// Tells an agent's meta-data; `None` when there is no such agent here.
pub type Agents<'a> = &'a dyn Fn(&Agent) -> Option<MetaData>;

/// Names of settings that a cluster writes itself, or that are of other programs.
const OWN_PROPERTIES: [&str; 10] = [
    "cluster-infrastructure",
    "cluster-name",
    "dc-version",
    "dc-deadtime",
    "have-watchdog",
    "last-lrm-refresh",
    "expected-quorum-votes",
    "election-timeout",
    "shutdown-escalation",
    "node-health-strategy",
];
/// Known to Pacemaker, of no use to our policy.
const OTHER_PROPERTIES: [&str; 14] = [
    "stonith-watchdog-timeout",
    "fence-reaction",
    "priority-fencing-delay",
    "placement-strategy",
    "pe-error-series-max",
    "pe-warn-series-max",
    "remove-after-stop",
    "migration-limit",
    "load-threshold",
    "node-action-limit",
    "crmd-integration-timeout",
    "crmd-finalization-timeout",
    "crmd-transition-delay",
    "join-integration-timeout",
];

/// The whole document's form; of the changed objects also what their agents say.
pub fn verify(draft: &Draft, agents: Agents<'_>, now: Wall) -> Findings {
    let mut out = Findings::default();
    let cib = draft.cib();
    for fault in schema::check(&cib) {
        out.errors.push(format!("{}: {}", fault.element, fault.what));
    }
    let changed = draft.changed();
    let all = objects(draft.configuration());
    for object in all.iter().filter(|o| changed.contains(&o.key())) {
        match &*object.element.name {
            "primitive" => primitive(object.element, agents, &mut out),
            "cluster_property_set" => properties(object.element, &mut out),
            _ if object.section == "constraints" => constraint(object, &all, &mut out),
            _ => {}
        }
    }
    if out.errors.is_empty() {
        out.warnings.extend(unpack::unpack(&cib, now).complaints);
    }
    out
}

/// What is to be said of an object at once, when it is entered.
pub fn at_entry(element: &Element, agents: Agents<'_>) -> Option<String> {
    (element.name == "primitive" && element.get("template").is_none()).then_some(())?;
    let agent = agent_of(element)?;
    agents(&agent)
        .is_none()
        .then(|| format!("{agent}: got no meta-data, does this RA exist?"))
}

pub fn agent_of(element: &Element) -> Option<Agent> {
    Agent::new(element.get("class")?, element.get("provider"), element.get("type")?).ok()
}

fn primitive(element: &Element, agents: Agents<'_>, out: &mut Findings) {
    let Some(agent) = agent_of(element) else {
        return;
    };
    let id = element.id();
    let Some(meta) = agents(&agent) else {
        out.errors
            .push(format!("{agent}: got no meta-data, does this RA exist?"));
        return;
    };
    let sets: Vec<&Element> = element.children_named("instance_attributes").collect();
    // What another set, or a rule, says is not known here.
    if sets
        .iter()
        .all(|s| s.get("id-ref").is_none() && s.child("rule").is_none())
        && !meta.parameters.is_empty()
    {
        let given: BTreeSet<&str> = sets
            .iter()
            .flat_map(|s| &s.children)
            .filter_map(|p| p.get("name"))
            .collect();
        let (unknown, missing) = metadata::faults(&meta, &given);
        for name in missing {
            out.errors
                .push(format!("{id}: required parameter \"{name}\" not defined"));
        }
        for name in unknown.into_iter().filter(|n| !fencing(&agent, n)) {
            out.warnings
                .push(format!("{id}: parameter \"{name}\" is not known to {agent}"));
        }
    }
    for op in element
        .children_named("operations")
        .flat_map(|o| o.children_named("op"))
    {
        let Some(name) = op.get("name") else { continue };
        let advised = meta.action(name, op.get("role"));
        let (Some(advised), Some(given)) = (advised, op.get("timeout")) else {
            continue;
        };
        let words = (advised.timeout.as_deref(), advised.timeout(), interval(given));
        if let (Some(word), Some(least), Some(time)) = words
            && time < least
        {
            out.warnings.push(format!(
                "{id}: specified timeout {given} for {name} is smaller than the advised {word}"
            ));
        }
    }
}

/// What a fencing resource may say to the cluster, not to its agent.
fn fencing(agent: &Agent, name: &str) -> bool {
    agent.class == crate::agents::Class::Stonith
        && (name.starts_with("pcmk_") || ["priority", "stonith-timeout", "hostlist"].contains(&name))
}

fn properties(set: &Element, out: &mut Findings) {
    let known = |name: &str| {
        let name = name.replace('_', "-");
        let mut all = super::complete::PROPERTIES
            .iter()
            .chain(&OWN_PROPERTIES)
            .chain(&OTHER_PROPERTIES);
        all.any(|k| *k == name)
    };
    for name in set.children.iter().filter_map(|p| p.get("name")).filter(|n| !known(n)) {
        out.warnings.push(format!("{}: unknown attribute '{name}'", set.id()));
    }
    let value = |name: &str| {
        set.children
            .iter()
            .find(|p| p.get("name") == Some(name))
            .and_then(|p| p.get("value"))
    };
    for (name, words) in [
        (
            "no-quorum-policy",
            &["stop", "freeze", "ignore", "suicide", "demote"][..],
        ),
        ("stonith-action", &["reboot", "off", "poweroff"][..]),
    ] {
        if let Some(value) = value(name).filter(|v| !words.contains(v)) {
            out.errors.push(format!(
                "{}: {name}=\"{value}\" is none of {}",
                set.id(),
                words.join(", ")
            ));
        }
    }
    for name in [
        "stonith-enabled",
        "symmetric-cluster",
        "maintenance-mode",
        "start-failure-is-fatal",
        "startup-fencing",
        "stop-orphan-resources",
        "stop-orphan-actions",
        "stop-all-resources",
        "enable-startup-probes",
        "is-managed-default",
    ] {
        if let Some(value) = value(name).filter(|v| crate::cib::words::truth(v).is_none()) {
            out.errors
                .push(format!("{}: {name}=\"{value}\" is neither true nor false", set.id()));
        }
    }
}

fn constraint(object: &Listed<'_>, all: &[Listed<'_>], out: &mut Findings) {
    let element = object.element;
    let node = element.get("node").filter(|n| {
        let named = |o: &Listed<'_>| o.element.get("uname") == Some(n) || o.element.id() == *n;
        !all.iter().any(|o| o.element.name == "node" && named(o))
    });
    if let Some(node) = node {
        out.warnings
            .push(format!("{}: referenced node {node} does not exist", element.id()));
    }
    for name in ["rsc", "with-rsc", "first", "then"] {
        let Some(rsc) = element.get(name) else { continue };
        let holder = all
            .iter()
            .find(|o| o.name() == rsc && print::is_resource(o.element))
            .and_then(|o| o.parent);
        let grouped = holder.is_some_and(|h| all.iter().any(|o| o.name() == h && o.element.name == "group"));
        if grouped {
            out.warnings.push(format!(
                "resource {rsc} is grouped, constraints should apply to the group"
            ));
        }
    }
}

/// What `ra meta` prints.
pub fn describe(agent: &Agent, meta: &MetaData) -> String {
    let mut out = format!("{} ({agent})\n\n", meta.shortdesc.trim());
    if !meta.longdesc.trim().is_empty() {
        let _ = writeln!(out, "{}\n", meta.longdesc.trim());
    }
    if !meta.parameters.is_empty() {
        out += "Parameters (*: required, []: default):\n\n";
    }
    for p in &meta.parameters {
        let star = if p.required { "*" } else { "" };
        let default = p
            .default
            .as_deref()
            .filter(|d| !d.is_empty())
            .map(|d| format!(", [{d}]"));
        let kind = if p.values.is_empty() {
            p.kind.clone()
        } else {
            format!("enum, {}", p.values.join("|"))
        };
        let _ = writeln!(
            out,
            "{}{star} ({kind}{}): {}",
            p.name,
            default.unwrap_or_default(),
            p.shortdesc.trim()
        );
        for line in p.longdesc.trim().lines() {
            let _ = writeln!(out, "    {}", line.trim_end());
        }
        out.push('\n');
    }
    let shown = |name: &str| !["meta-data", "validate-all", "methods", "usage"].contains(&name);
    let mut actions = meta.actions.iter().filter(|a| shown(&a.name)).peekable();
    if actions.peek().is_some() {
        out += "Operations' defaults (advisory minimum):\n\n";
    }
    for a in actions {
        let _ = write!(out, "    {:<13}", a.name);
        for (name, value) in [
            ("role", &a.role),
            ("depth", &a.depth),
            ("timeout", &a.timeout),
            ("interval", &a.interval),
            ("start-delay", &a.start_delay),
        ] {
            if let Some(value) = value
                .as_deref()
                .filter(|v| !v.is_empty() && (name != "start-delay" || *v != "0"))
            {
                let _ = write!(out, " {name}={value}");
            }
        }
        out.push('\n');
    }
    out
}

/// Names in columns as wide as the terminal, row by row.
pub fn columns(names: &[String], width: usize) -> String {
    let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0) + 2;
    let per_row = (width / longest.max(1)).max(1);
    let mut out = String::new();
    for row in names.chunks(per_row) {
        let cells: String = row.iter().map(|n| format!("{n:<longest$}")).collect();
        let _ = writeln!(out, "{}", cells.trim_end());
    }
    out
}
