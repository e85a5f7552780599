//! The parts of crm_mon below the list of resources.

use super::status::{Dates, Options, View};
use super::words;
use crate::cib::Element;
use crate::policy::history::{Entry, Failure, PENDING, fail_count};
use crate::policy::input::{Input, N, R};
use crate::time::Wall;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Attributes that the cluster has for itself.
const HIDDEN: &[&str] = &[
    "shutdown",
    "terminate",
    "standby",
    "probe_complete",
    "fail-count",
    "last-failure",
];

/// `Failed actions:`
pub fn failures(view: &View<'_>, options: Options, dates: Dates<'_>) -> String {
    let mut out = String::new();
    for f in distinct(view) {
        if out.is_empty() {
            out += "\nFailed actions:\n";
        }
        let key = format!("{}_{}_{}", f.rsc, f.operation, f.interval.as_millis());
        let timing = match options.timing {
            true => format!(", last-rc-change='{}', exec={}ms", dates(f.at), f.took.as_millis()),
            false => String::new(),
        };
        let _ = write!(
            out,
            "    {key} (node={}, call={}, rc={}, status={}{timing}): {}",
            view.input.nodes[f.node].uname,
            f.call,
            f.rc,
            words::status(f.status),
            words::rc(f.rc)
        );
        if !f.reason.is_empty() {
            let _ = write!(out, " ({})", f.reason);
        }
        out.push('\n');
    }
    out
}

/// Each failure once: the newest one stands in the history twice.
pub fn distinct<'a>(view: &'a View<'_>) -> impl Iterator<Item = &'a Failure> {
    let mut seen = BTreeSet::new();
    let all = view.state.failures.iter();
    all.filter(move |f| seen.insert((&f.rsc, f.node, &f.operation, f.interval, f.call)))
}

/// `Migration summary:` with the fail counts, or `Operations:` with all that was done.
pub fn histories(view: &View<'_>, options: Options, dates: Dates<'_>) -> String {
    let mut out = String::from(match options.operations {
        true => "\nOperations:\n",
        false => "\nMigration summary:\n",
    });
    for state in view.cib.status().children_named("node_state") {
        let Some(n) = view.input.node(state.get("uname").unwrap_or(state.id())) else {
            continue;
        };
        if !view.input.nodes[n].online {
            continue;
        }
        let _ = writeln!(out, "* Node {}: ", view.input.nodes[n].uname);
        for rsc in lrm_resources(state) {
            let Some(r) = by_history(&view.input, rsc.id()) else {
                continue;
            };
            one_history(view, options, dates, (r, n), rsc, &mut out);
        }
    }
    out
}

/// The part of a node's state that its executor wrote.
pub fn lrm_resources(state: &Element) -> impl Iterator<Item = &Element> {
    let lrm = state.child("lrm").and_then(|l| l.child("lrm_resources"));
    lrm.into_iter().flat_map(|l| l.children_named("lrm_resource"))
}

/// The resource that a history is about.
pub fn by_history(input: &Input, id: &str) -> Option<R> {
    let plain = id.split(':').next().unwrap_or(id);
    input.resource(id).or_else(|| input.resource(plain))
}

fn one_history(view: &View<'_>, options: Options, dates: Dates<'_>, (r, n): (R, N), rsc: &Element, out: &mut String) {
    let resource = &view.input.resources[r];
    let (count, last) = fail_count(&view.input, &resource.plain, n);
    if options.operations || count.value() > 0 || last != Wall(0) {
        let threshold = resource.migration_threshold.unwrap_or(1_000_000);
        let _ = write!(out, "   {}: migration-threshold={threshold}", rsc.id());
        if count.value() > 0 {
            let _ = write!(out, " fail-count={}", count.value());
        }
        if last != Wall(0) {
            let _ = write!(out, " last-failure='{}'", dates(last));
        }
        out.push('\n');
    }
    if !options.operations {
        return;
    }
    let mut entries: Vec<Entry> = rsc.children_named("lrm_rsc_op").map(Entry::read).collect();
    entries.sort_by_key(|e| e.call);
    // The newest failure stands in the history twice.
    entries.dedup_by(|a, b| (a.call, &a.operation, a.rc) == (b.call, &b.operation, b.rc));
    for e in &entries {
        if e.operation == "notify" || e.is_probe() && e.rc == 7 || e.status == PENDING {
            continue;
        }
        let _ = write!(out, "    + ({}) {}:", e.call, words::operation(e));
        if !e.interval.is_zero() {
            let _ = write!(out, " interval={}ms", e.interval.as_millis());
        }
        if options.timing {
            let _ = write!(
                out,
                " last-rc-change='{}' exec-time={}ms",
                dates(e.at),
                e.took.as_millis()
            );
        }
        let _ = writeln!(out, " rc={} ({})", e.rc, words::rc(e.rc));
    }
}

/// `Node Attributes:`
pub fn attributes(view: &View<'_>) -> String {
    let mut out = String::from("\nNode Attributes:\n");
    for (n, node) in view.members().filter(|(_, n)| n.online) {
        let _ = writeln!(out, "* Node {}:", node.uname);
        for (name, value) in &node.attributes {
            if HIDDEN.iter().any(|h| name.starts_with(h)) {
                continue;
            }
            let _ = write!(out, "    + {name:<32}\t: {value:<10}");
            if let Some(expected) = expected_score(view, n, name) {
                match value.parse::<i64>().unwrap_or(0) {
                    0 => out += "\t: Connectivity is lost",
                    score if score < expected => {
                        let _ = write!(out, "\t: Connectivity is degraded (Expected={expected})");
                    }
                    _ => {}
                }
            }
            out.push('\n');
        }
    }
    out
}

/// What an attribute that a resource of type ping or pingd sets should be when all its hosts answer.
fn expected_score(view: &View<'_>, n: N, attribute: &str) -> Option<i64> {
    let all = (0..view.input.resources.len()).filter(|r| view.state.knows(&view.input.resources[*r].plain, n));
    all.filter_map(|r| view.input.primitive(r)).find_map(|p| {
        if !["ping", "pingd"].contains(&&*p.kind) {
            return None;
        }
        let name = p.params.get("name").map_or("pingd", |v| v);
        if name != attribute {
            return None;
        }
        let hosts = p.params.get("host_list")?.split_whitespace().count();
        let multiplier: i64 = p.params.get("multiplier").and_then(|m| m.parse().ok()).unwrap_or(1);
        Some(multiplier.saturating_mul(i64::try_from(hosts).unwrap_or(i64::MAX)))
    })
}

/// `Negative location constraints:`, those that keep a resource from a node whatever else there is.
pub fn bans(view: &View<'_>) -> String {
    let mut out = String::from("\nNegative location constraints:\n");
    let mut seen = BTreeSet::new();
    for location in view.input.locations.iter().filter(|l| l.score.value() < 0) {
        let rsc = &view.input.resources[location.rsc].plain;
        let node = &view.input.nodes[location.node].uname;
        if !seen.insert((&location.id, rsc, node)) {
            continue;
        }
        let as_master = if location.of_master { "as Master " } else { "" };
        let _ = writeln!(
            out,
            " {}\tprevents {rsc} from running {as_master}on {node}",
            location.id
        );
    }
    out
}

/// `Tickets:`
pub fn tickets(view: &View<'_>) -> String {
    let mut out = String::from("\nTickets:\n");
    let all = view.cib.status().child("tickets");
    for ticket in all.into_iter().flat_map(|t| t.children_named("ticket_state")) {
        let granted = match ticket.get("granted") {
            Some("true") => "granted",
            _ => "revoked",
        };
        let standby = match ticket.get("standby") {
            Some("true") => " [standby]",
            _ => "",
        };
        let _ = writeln!(out, " {}\t{granted}{standby}", ticket.id());
    }
    out
}
