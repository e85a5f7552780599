//! What crm_resource shows, in the layouts of Pacemaker 2.1.5; the list is that of crm_mon without the nodes.

use super::changes::attributes;
use super::tool::date;
use crate::cib::{Element, Score};
use crate::policy::history::Entry;
use crate::policy::input::{N, R, Role, Shape, Target};
use crate::policy::show;
use crate::text::status::{Options, View, resource};
use crate::text::summary::{by_history, lrm_resources};
use crate::text::words;
use std::collections::BTreeSet;
use std::fmt::Write;

/// `-L`
pub fn list(view: &View<'_>) -> String {
    let options = Options {
        no_nodes: true,
        ..Options::default()
    };
    let mut out = String::new();
    for r in view.input.tops.iter().filter(|r| view.is_shown(**r)) {
        resource(view, *r, " ", options, &mut out);
    }
    if out.is_empty() {
        out += "NO resources configured\n";
    }
    out
}

/// `-l`
pub fn raw(view: &View<'_>) -> String {
    let all = view.input.tops.iter().flat_map(|t| view.input.primitives(*t));
    let shown = all.filter(|r| view.is_shown(*r));
    shown.map(|r| format!("{}\n", view.input.resources[r].id)).collect()
}

/// Where a resource is active, and in which role; of a group where its first member is that runs.
pub fn places(view: &View<'_>, r: R) -> Vec<(N, Role)> {
    let instances = match (&view.input.resources[r].shape, view.input.clone_of(r)) {
        (Shape::Clone(clones), _) => clones.instances.clone(),
        // Named without its number, an instance stands for all.
        (Shape::Primitive(_), Some((_, clones))) if !clones.unique => {
            let plain = &view.input.resources[r].plain;
            let all = clones.instances.iter().flat_map(|i| view.input.primitives(*i));
            all.filter(|p| view.input.resources[*p].plain == *plain).collect()
        }
        (Shape::Primitive(_) | Shape::Group(_), _) => vec![r],
    };
    let mut all: Vec<(N, Role)> = Vec::new();
    for part in instances.into_iter().flat_map(|i| view.input.primitives(i)) {
        for n in view.state.running_on(part) {
            if !all.iter().any(|(m, _)| *m == n) {
                all.push((n, view.state.role(part, n)));
            }
        }
    }
    all
}

/// `-W`; nothing when it runs nowhere.
pub fn locate(view: &View<'_>, id: &str, quiet: bool) -> String {
    let here = view.input.resource(id).map(|r| places(view, r)).unwrap_or_default();
    let line = |(n, role): &(N, Role)| {
        let node = &view.input.nodes[*n].uname;
        let master = if *role == Role::Master { " Master" } else { "" };
        match quiet {
            true => format!("{node}\n"),
            false => format!("resource {id} is running on: {node}{master}\n"),
        }
    };
    here.iter().map(line).collect()
}

/// `-O`: of what is active, on its node; `-o`: all.
pub fn operations(view: &View<'_>, rsc: Option<&str>, node: Option<&str>, all: bool) -> String {
    let meant = rsc.and_then(|id| view.input.resource(id)).map(|r| {
        let parts = view.input.primitives(r);
        parts
            .iter()
            .map(|p| view.input.resources[*p].plain.clone())
            .collect::<BTreeSet<_>>()
    });
    let mut out = String::new();
    for state in view.cib.status().children_named("node_state") {
        let uname = state.get("uname").unwrap_or(state.id());
        let Some(n) = view
            .input
            .node(uname)
            .filter(|_| node.is_none_or(|wanted| wanted == uname))
        else {
            continue;
        };
        for history in lrm_resources(state) {
            let Some(r) = by_history(&view.input, history.id()) else {
                continue;
            };
            let plain = &view.input.resources[r].plain;
            if meant.as_ref().is_some_and(|m| !m.contains(plain)) {
                continue;
            }
            // The instance of an anonymous clone that runs there.
            let r = (0..view.input.resources.len())
                .find(|i| view.input.resources[*i].plain == *plain && view.state.role(*i, n) != Role::Stopped)
                .unwrap_or(r);
            if all || view.state.role(r, n) != Role::Stopped {
                operations_of(view, r, uname, history, &mut out);
            }
        }
    }
    out
}

fn operations_of(view: &View<'_>, r: R, node: &str, history: &Element, out: &mut String) {
    let mut entries: Vec<(Entry, &Element)> = history
        .children_named("lrm_rsc_op")
        .map(|e| (Entry::read(e), e))
        .collect();
    entries.sort_by_key(|(e, _)| e.call);
    let state = show::primitive(&view.input, &view.state, r);
    let head = state.split_once("):\t ").map_or(&*state, |(head, _)| head);
    let running = view.state.running_on(r);
    let failed = running.iter().any(|n| view.state.on[&(r, *n)].failed);
    let role = match (failed, view.state.strongest(r)) {
        (true, _) => "FAILED",
        (false, role) => words::role(&view.input, r, role),
    };
    for (e, element) in entries {
        let key = element.get("operation_key").unwrap_or(element.id());
        let _ = writeln!(
            out,
            "{head}):\t {role}: {key} (node={node}, call={}, rc={}, last-rc-change='{}', exec={}ms): {}",
            e.call,
            e.rc,
            date(e.at),
            e.took.as_millis(),
            words::status(e.status)
        );
    }
}

/// `-q`, `-w`: the state, then the element.
pub fn definition(view: &View<'_>, id: &str, expanded: bool) -> String {
    let Some(element) = attributes::resource(view.cib, id.split(':').next().unwrap_or(id)) else {
        return String::new();
    };
    let mut out = String::new();
    if element.name == "primitive"
        && let Some(r) = view.input.resource(id)
    {
        out += &show::primitive(&view.input, &view.state, r);
        out.push('\n');
    }
    let template = element.get("template").and_then(|t| attributes::resource(view.cib, t));
    let shown = match template {
        Some(template) if expanded => filled(element, template),
        _ => element.clone(),
    };
    out + "Resource XML:\n" + &shown.to_indented()
}

/// A resource with what its template says.
fn filled(element: &Element, template: &Element) -> Element {
    let mut whole = element.clone();
    whole.unset("template");
    for (name, value) in &template.attributes {
        if whole.get(name).is_none() {
            whole.set(name, value);
        }
    }
    whole.children.extend(template.children.iter().cloned());
    whole
}

/// `-a`: the places of a resource and what it goes with; `-A`: and what those go with.
pub fn constraints(view: &View<'_>, id: &str, deep: bool) -> String {
    let mut out = String::new();
    let mut seen = BTreeSet::from([id.to_owned()]);
    about(view, id, deep, 0, &mut seen, &mut out);
    out
}

fn about(view: &View<'_>, id: &str, deep: bool, level: usize, seen: &mut BTreeSet<String>, out: &mut String) {
    let indent = "  ".repeat(level);
    let heading = if level == 0 {
        indent.clone()
    } else {
        format!("{indent}* ")
    };
    let all = || view.cib.section("constraints").into_iter().flat_map(|s| &s.children);
    let locations: Vec<String> = all()
        .filter(|c| c.name == "rsc_location" && c.get("rsc") == Some(id))
        .flat_map(|c| location_lines(view, c))
        .collect();
    if !locations.is_empty() {
        let _ = writeln!(out, "{heading}Locations:");
        for line in locations {
            let _ = writeln!(out, "{indent}  * {line}");
        }
    }
    let directions = [
        ("rsc", "with-rsc", format!("Resources {id} is colocated with:")),
        ("with-rsc", "rsc", format!("Resources colocated with {id}:")),
    ];
    for (this, that, title) in directions {
        let pairs = all().filter(|c| c.name == "rsc_colocation" && c.get(this) == Some(id));
        let others = pairs.filter_map(|c| Some((c, c.get(that)?)));
        // Not back to where it came from.
        let others: Vec<(&Element, &str)> = others.filter(|(_, other)| !seen.contains(*other)).collect();
        if others.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{heading}{title}");
        for (constraint, other) in others {
            let score = constraint
                .get("score")
                .and_then(Score::parse)
                .unwrap_or(Score::INFINITY);
            let attribute = constraint.get("node-attribute");
            let attribute = attribute.map(|a| format!(", node-attribute={a}")).unwrap_or_default();
            let _ = writeln!(
                out,
                "{indent}  * {other} (score={score}{attribute}, id={})",
                constraint.id()
            );
            // What it follows has its places shown; what follows it only on demand.
            if (deep || this == "rsc") && seen.insert(other.to_owned()) {
                about(view, other, deep, level + 2, seen, out);
            }
        }
    }
}

fn location_lines(view: &View<'_>, constraint: &Element) -> Vec<String> {
    let (id, rsc) = (constraint.id(), constraint.get("rsc").unwrap_or_default());
    if let Some(node) = constraint.get("node") {
        let score = constraint.get("score").and_then(Score::parse).unwrap_or_default();
        return vec![format!("Node {node} (score={score}, id={id}, rsc={rsc})")];
    }
    let mut lines: Vec<String> = Vec::new();
    for location in view.input.locations.iter().filter(|l| l.id == id) {
        let node = &view.input.nodes[location.node].uname;
        let line = format!("Node {node} (score={}, id={id}, rsc={rsc})", location.score);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// `-Y`
pub fn why(view: &View<'_>, rsc: Option<&str>) -> String {
    let meant: Vec<R> = match rsc.and_then(|id| view.input.resource(id)) {
        Some(r) => vec![r],
        None => view.input.tops.clone(),
    };
    let mut out = String::new();
    for r in meant.iter().flat_map(|r| view.input.primitives(*r)) {
        let resource = &view.input.resources[r];
        let running = !view.state.running_on(r).is_empty();
        let not = if running { "" } else { "not " };
        let _ = writeln!(out, "Resource {} is {not}running", resource.id);
        if running {
            continue;
        }
        if resource.target == Target::Stopped {
            let _ = writeln!(out, "  * its target-role is Stopped");
        }
        if !resource.managed {
            let _ = writeln!(out, "  * it is unmanaged");
        }
        if view.state.stopped_everywhere.contains(&r) {
            let _ = writeln!(out, "  * a failure keeps it from all nodes");
        }
        for (n, node) in view.members() {
            let ban = view.state.banned.get(&(resource.plain.clone(), n));
            let why = match ban {
                Some(why) => (*why).to_owned(),
                None if !node.is_usable() => format!("the node is {}", view.mode(node)),
                None => continue,
            };
            let _ = writeln!(out, "  * not on {}: {why}", node.uname);
        }
        if !view.quorate() {
            let _ = writeln!(out, "  * the partition has no quorum");
        }
    }
    out
}
