//! The state of a cluster as text, in Pacemaker's modern layout: the list of nodes, the list of resources.

use super::history::{Here, State};
use super::input::{Input, N, Node, R, Role, Shape, Target};
use crate::cib::words::plain;
use std::fmt::Write;

/// `  * Node List:` and its lines.
pub fn nodes(input: &Input, state: &State) -> String {
    let mut out = String::from("  * Node List:\n");
    let (mut online, mut offline) = (Vec::new(), Vec::new());
    for (n, node) in input.nodes.iter().enumerate().filter(|(_, n)| !n.ping) {
        match mode(node, || holds(state, n)) {
            "online" => online.push(&*node.uname),
            "OFFLINE" => offline.push(&*node.uname),
            mode => {
                let _ = writeln!(out, "    * Node {}: {mode}", node.uname);
            }
        }
    }
    for (word, names) in [("Online", online), ("OFFLINE", offline)] {
        if !names.is_empty() {
            let _ = writeln!(out, "    * {word}: [ {} ]", names.join(" "));
        }
    }
    out
}

fn holds(state: &State, n: N) -> bool {
    state
        .on
        .iter()
        .any(|((_, m), here)| *m == n && here.role != Role::Stopped)
}

/// `online`, `OFFLINE`, or what is special about a node.
pub fn mode(node: &Node, active: impl Fn() -> bool) -> &'static str {
    match node {
        n if n.unclean && n.online => "UNCLEAN (online)",
        n if n.unclean && n.pending => "UNCLEAN (pending)",
        n if n.unclean => "UNCLEAN (offline)",
        n if n.pending => "pending",
        n if n.standby_on_fail && n.online => "standby (on-fail)",
        n if n.standby && n.online && active() => "standby (with active resources)",
        n if n.standby && n.online => "standby",
        n if n.standby => "OFFLINE (standby)",
        n if n.maintenance && n.online => "maintenance",
        n if n.maintenance => "OFFLINE (maintenance)",
        n if n.online => "online",
        _ => "OFFLINE",
    }
}

/// `  * Full List of Resources:` and its lines.
pub fn resources(input: &Input, state: &State) -> String {
    let mut out = String::from("  * Full List of Resources:\n");
    let shown = |r: &R| !input.resources[*r].orphan || !state.running_on(*r).is_empty();
    let tops: Vec<R> = input.tops.iter().copied().filter(shown).collect();
    for r in &tops {
        resource(input, state, *r, 2, &mut out);
    }
    if tops.is_empty() {
        out.push_str("    * No resources\n");
    }
    out
}

fn resource(input: &Input, state: &State, r: R, level: usize, out: &mut String) {
    let indent = "  ".repeat(level);
    let rsc = &input.resources[r];
    match &rsc.shape {
        Shape::Primitive(_) => {
            let _ = writeln!(out, "{indent}* {}", primitive(input, state, r));
        }
        Shape::Group(members) => {
            let _ = writeln!(out, "{indent}* Resource Group: {}{}:", rsc.id, marks(input, r, None));
            for m in members {
                resource(input, state, *m, level + 1, out);
            }
        }
        Shape::Clone(clones) => {
            let child = clones.instances.first().map_or("", |i| plain(&input.resources[*i].id));
            let promotable = clones.promotable.is_some().then_some("promotable");
            let _ = writeln!(
                out,
                "{indent}* Clone Set: {} [{child}]{}:",
                rsc.id,
                marks(input, r, promotable)
            );
            set(input, state, r, &clones.instances, level + 1, out);
        }
    }
}

/// ` (promotable, disabled)`: what is special about a group or clone as a whole.
fn marks(input: &Input, r: R, first: Option<&'static str>) -> String {
    let rsc = &input.resources[r];
    let mut words: Vec<&str> = first.into_iter().collect();
    if rsc.maintenance {
        words.push("maintenance");
    } else if !rsc.managed {
        words.push("unmanaged");
    }
    if rsc.target == Target::Stopped {
        words.push("disabled");
    }
    if words.is_empty() {
        String::new()
    } else {
        format!(" ({})", words.join(", "))
    }
}

/// The instances of a clone: those about which there is something to say, one by one, then the rest by role.
fn set(input: &Input, state: &State, r: R, instances: &[R], level: usize, out: &mut String) {
    let indent = "  ".repeat(level);
    let (mut masters, mut started, mut stopped) = (Vec::new(), Vec::new(), 0);
    let unique = input.clone_of(r).is_some_and(|(_, c)| c.unique);
    for &i in instances {
        let parts = input.primitives(i);
        let here: Vec<(N, &Here)> = parts
            .iter()
            .flat_map(|p| state.running_on(*p).into_iter().map(|n| (n, &state.on[&(*p, n)])))
            .collect();
        if here.is_empty() && !unique {
            stopped += 1;
            continue;
        }
        let node = here.first().map(|(n, _)| *n);
        let special = unique
            || here.len() < parts.len()
            || here
                .iter()
                .any(|(n, h)| h.failed || h.blocked || h.ignored || Some(*n) != node)
            || here
                .iter()
                .any(|(_, h)| h.pending.is_some() || h.role != here[0].1.role)
            || node.is_some_and(|n| input.nodes[n].unclean || !input.nodes[n].online)
            || parts.iter().any(|p| !input.resources[*p].managed);
        match (special, node) {
            (true, _) => resource(input, state, i, level, out),
            (false, Some(n)) if here[0].1.role == Role::Master => masters.push(n),
            (false, Some(n)) => started.push(n),
            (false, None) => {}
        }
    }
    let promotable = input.is_promotable(r);
    let names = |nodes: &mut Vec<N>| {
        nodes.sort_unstable();
        let names: Vec<&str> = nodes.iter().map(|n| &*input.nodes[*n].uname).collect();
        names.join(" ")
    };
    let word = if promotable { "Unpromoted" } else { "Started" };
    let running: Vec<N> = masters.iter().chain(&started).copied().collect();
    for (word, nodes) in [("Promoted", &mut masters), (word, &mut started)] {
        if !nodes.is_empty() {
            let _ = writeln!(out, "{indent}* {word}: [ {} ]", names(nodes));
        }
    }
    let active = |n: &N| input.primitives(r).iter().any(|p| state.role(*p, *n) != Role::Stopped);
    let free = (0..input.nodes.len()).filter(|n| !input.nodes[*n].ping && !running.contains(n) && !active(n));
    let mut free: Vec<N> = free.collect();
    if stopped > 0 && !free.is_empty() && !unique {
        let disabled = if input.resources[r].target == Target::Stopped {
            " (disabled)"
        } else {
            ""
        };
        let _ = writeln!(out, "{indent}* Stopped{disabled}: [ {} ]", names(&mut free));
    }
}

/// `web(ocf:heartbeat:apache): Started node1`, with tabs around the agent's name.
pub fn primitive(input: &Input, state: &State, r: R) -> String {
    let rsc = &input.resources[r];
    let agent = input
        .primitive(r)
        .map(super::input::Primitive::agent)
        .unwrap_or_default();
    let name = if input.clone_of(r).is_some_and(|(_, c)| !c.unique) {
        plain(&rsc.id)
    } else {
        &rsc.id
    };
    format!("{name}\t({agent}):\t {}", state_of(input, state, r))
}

fn state_of(input: &Input, state: &State, r: R) -> String {
    let rsc = &input.resources[r];
    let running = state.running_on(r);
    let here: Vec<&Here> = running.iter().map(|n| &state.on[&(r, *n)]).collect();
    let role = here.iter().map(|h| h.role).max().unwrap_or_default();
    let failed = here.iter().any(|h| h.failed);
    let mut out = String::new();
    if rsc.orphan {
        out.push_str("ORPHANED ");
    }
    let pending = here.iter().find_map(|h| h.pending.as_deref());
    out.push_str(match (failed, role, pending) {
        (true, Role::Master, _) => "FAILED Promoted",
        (true, ..) => "FAILED",
        (_, _, Some("start")) => "Starting",
        (_, _, Some("stop")) => "Stopping",
        (_, _, Some("promote")) => "Promoting",
        (_, _, Some("demote")) => "Demoting",
        (_, Role::Stopped, _) => "Stopped",
        (_, Role::Master, _) => "Promoted",
        _ if input.is_promotable(r) => "Unpromoted",
        _ => "Started",
    });
    let names: Vec<&str> = running.iter().map(|n| &*input.nodes[*n].uname).collect();
    match &names[..] {
        [] => {}
        [one] => {
            let _ = write!(out, " {one}");
        }
        many => {
            let _ = write!(out, " [ {} ]", many.join(" "));
        }
    }
    let mut words = Vec::new();
    if let [n] = running[..] {
        let node = &input.nodes[n];
        if !node.online && node.unclean {
            words.push("UNCLEAN");
        } else if !node.online {
            words.push("offline");
        }
    }
    if rsc.target == Target::Stopped {
        words.push("disabled");
    }
    if here.iter().any(|h| h.blocked) {
        words.push("blocked");
    } else if !rsc.managed {
        words.push("unmanaged");
    }
    if here.iter().any(|h| h.ignored) {
        words.push("failure ignored");
    }
    if !words.is_empty() {
        let _ = write!(out, " ({})", words.join(", "));
    }
    out
}
