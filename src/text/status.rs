//! The state of a cluster in the layout of crm_mon 1.1.7: what `crm_mon` and `crm status` print.

use super::{summary, words};
use crate::cib::words::plain;
use crate::cib::{Cib, words as cib_words};
use crate::policy::history::{self, Here, State};
use crate::policy::input::{Input, N, Node, R, Role, Shape};
use crate::policy::{show, unpack};
use crate::time::Wall;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What is to be shown besides nodes, active resources and failed actions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `-r`: what runs nowhere, too.
    pub inactive: bool,
    /// `-n`: below each node what runs there.
    pub by_node: bool,
    /// `-f`
    pub fail_counts: bool,
    /// `-o`
    pub operations: bool,
    /// `-t`: with operations, when and how long.
    pub timing: bool,
    /// `-A`
    pub attributes: bool,
    /// `-c`
    pub tickets: bool,
    /// `-L`: constraints that keep a resource from a node.
    pub bans: bool,
    /// `-b`: how many of a kind instead of each.
    pub brief: bool,
    /// `-R`: each instance of a clone.
    pub detail: bool,
    /// `-D`
    pub no_header: bool,
    /// Only what a resource does, not where.
    pub no_nodes: bool,
}

impl Options {
    /// The words after `crm status`; without any it shows all resources. Unknown words count for nothing, as in crmsh.
    pub fn of_words<'a>(options: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = Self::default();
        let mut any = false;
        for word in options {
            any = true;
            match word {
                "bynode" | "group-by-node" => all.by_node = true,
                "inactive" => all.inactive = true,
                "ops" | "operations" => all.operations = true,
                "timing" => all.timing = true,
                "failcounts" => all.fail_counts = true,
                "tickets" => all.tickets = true,
                "noheaders" => all.no_header = true,
                "brief" => all.brief = true,
                "detail" | "verbose" => all.detail = true,
                "full" => {
                    (all.inactive, all.operations, all.timing) = (true, true, true);
                    (all.fail_counts, all.attributes, all.tickets, all.bans) = (true, true, true, true);
                }
                _ => {}
            }
        }
        all.inactive |= !any;
        all
    }
}

/// Writes a moment as the reader's clock shows it: `Sat Nov 21 08:10:36 2026`.
pub type Dates<'a> = &'a dyn Fn(Wall) -> String;

/// A CIB as the policy sees it at one moment.
#[derive(Debug)]
pub struct View<'a> {
    pub cib: &'a Cib,
    pub input: Input,
    pub state: State,
}

impl<'a> View<'a> {
    pub fn new(cib: &'a Cib, now: Wall) -> Self {
        let mut input = unpack::unpack(cib, now);
        let state = history::read(cib, &mut input);
        Self { cib, input, state }
    }

    /// The DC's name and id.
    pub fn dc(&self) -> Option<(&str, &str)> {
        let id = self.cib.root().get("dc-uuid").filter(|id| !id.is_empty())?;
        let node = self.input.nodes.iter().find(|n| n.id == id)?;
        Some((&node.uname, &node.id))
    }

    /// Heartbeat, unless the file comes from another cluster.
    pub fn stack(&self) -> &str {
        match self.cib.property("cluster-infrastructure") {
            None | Some("heartbeat") => "Heartbeat",
            Some(other) => other,
        }
    }

    pub fn version(&self) -> &str {
        self.cib.property("dc-version").unwrap_or(env!("CARGO_PKG_VERSION"))
    }

    /// All nodes that can have resources.
    pub fn members(&self) -> impl Iterator<Item = (N, &Node)> {
        self.input.nodes.iter().enumerate().filter(|(_, n)| !n.ping)
    }

    pub fn votes(&self) -> String {
        let said = self.cib.property("expected-quorum-votes").map(str::to_owned);
        // Quorum is a majority of the nodes that are configured.
        said.unwrap_or_else(|| self.members().count().to_string())
    }

    pub fn configured(&self) -> usize {
        self.input
            .tops
            .iter()
            .filter(|r| !self.input.resources[**r].orphan)
            .count()
    }

    /// `online`, `OFFLINE`, or what is special about it.
    pub fn mode(&self, node: &Node) -> &'static str {
        show::mode(node, || false)
    }

    pub fn quorate(&self) -> bool {
        self.cib
            .root()
            .get("have-quorum")
            .and_then(cib_words::truth)
            .unwrap_or(false)
    }

    pub fn is_active(&self, r: R) -> bool {
        self.input
            .primitives(r)
            .iter()
            .any(|p| !self.state.running_on(*p).is_empty())
    }

    pub fn is_wholly_active(&self, r: R) -> bool {
        let parts = self.input.primitives(r);
        !parts.is_empty() && parts.iter().all(|p| !self.state.running_on(*p).is_empty())
    }

    /// An orphan that runs nowhere is but a trace in the history.
    pub fn is_shown(&self, r: R) -> bool {
        !self.input.resources[r].orphan || self.is_active(r)
    }
}

/// Everything.
pub fn status(cib: &Cib, options: Options, now: Wall, dates: Dates<'_>) -> String {
    let view = View::new(cib, now);
    let mut out = String::new();
    if !options.no_header {
        out += &header(&view, now, dates);
        out.push('\n');
    }
    out += &nodes(&view, options);
    out += &resource_list(&view, options);
    if options.tickets {
        out += &summary::tickets(&view);
    }
    if options.attributes {
        out += &summary::attributes(&view);
    }
    if options.operations || options.fail_counts {
        out += &summary::histories(&view, options, dates);
    }
    out += &summary::failures(&view, options, dates);
    if options.bans {
        out += &summary::bans(&view);
    }
    out
}

fn header(view: &View<'_>, now: Wall, dates: Dates<'_>) -> String {
    const LINE: &str = "============\n";
    let mut out = format!("{LINE}Last updated: {}\n", dates(now));
    let said = |name: &str| view.cib.root().get(name).filter(|v| !v.is_empty());
    let (when, client, origin) = (said("cib-last-written"), said("update-client"), said("update-origin"));
    if when.is_some() || client.is_some() || origin.is_some() {
        let _ = write!(out, "Last change: {}", when.unwrap_or_default());
        for (word, value) in [("via", client), ("on", origin)] {
            if let Some(value) = value {
                let _ = write!(out, " {word} {value}");
            }
        }
        out.push('\n');
    }
    let _ = writeln!(out, "Stack: {}", view.stack());
    match view.dc() {
        None => out += "Current DC: NONE\n",
        Some((name, id)) => {
            let quorum = if view.quorate() { "with" } else { "WITHOUT" };
            let _ = writeln!(out, "Current DC: {} - partition {quorum} quorum", named(name, id));
        }
    }
    let _ = writeln!(out, "Version: {}", view.version());
    let (nodes, votes) = (view.members().count(), view.votes());
    let _ = writeln!(out, "{nodes} Nodes configured, {votes} expected votes");
    let _ = writeln!(out, "{} Resources configured.\n{LINE}", view.configured());
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The id in parentheses, where it says more than the name.
fn named(name: &str, id: &str) -> String {
    if name == id {
        name.to_owned()
    } else {
        format!("{name} ({id})")
    }
}

fn nodes(view: &View<'_>, options: Options) -> String {
    let mut out = String::new();
    let (mut online, mut offline) = (Vec::new(), Vec::new());
    for (n, node) in view.members() {
        let mode = view.mode(node);
        match mode {
            "online" if !options.by_node => online.push(&*node.uname),
            "OFFLINE" if !options.by_node => offline.push(&*node.uname),
            _ => {
                let _ = writeln!(out, "Node {}: {mode}", named(&node.uname, &node.id));
            }
        }
        if options.by_node {
            for r in (0..view.input.resources.len()).filter(|r| view.state.role(*r, n) != Role::Stopped) {
                let _ = writeln!(out, "\t{}", primitive(view, r, options, Some(n)));
            }
        }
    }
    for (word, names) in [("Online", online), ("OFFLINE", offline)] {
        if !names.is_empty() {
            let _ = writeln!(out, "{word}: [ {} ]", names.join(" "));
        }
    }
    out
}

fn resource_list(view: &View<'_>, options: Options) -> String {
    let tops = view.input.tops.iter().copied();
    let wanted = |r: &R| {
        view.is_shown(*r)
            && match (options.by_node, options.inactive) {
                (false, inactive) => inactive || view.is_active(*r),
                (true, inactive) => inactive && !view.is_wholly_active(*r),
            }
    };
    let tops: Vec<R> = tops.filter(wanted).collect();
    let mut out = String::new();
    match (options.inactive, options.by_node) {
        (true, false) => out += "\nFull list of resources:\n",
        (true, true) => out += "\nInactive resources:\n",
        (false, _) => {}
    }
    if tops.is_empty() {
        return out;
    }
    out.push('\n');
    if options.brief {
        out += &brief(view, &tops);
        return out;
    }
    for r in tops {
        resource(view, r, " ", options, &mut out);
    }
    out
}

/// The nodes on which a kind of resource runs, by its agent, with how many of it run there.
fn brief(view: &View<'_>, tops: &[R]) -> String {
    let mut counts: BTreeMap<(String, Option<N>), usize> = BTreeMap::new();
    for r in tops.iter().flat_map(|t| view.input.primitives(*t)) {
        let Some(primitive) = view.input.primitive(r) else {
            continue;
        };
        let agent = words::agent(primitive);
        let running = view.state.running_on(r);
        for n in running
            .iter()
            .map(|n| Some(*n))
            .chain(running.is_empty().then_some(None))
        {
            *counts.entry((agent.clone(), n)).or_default() += 1;
        }
    }
    let mut out = String::new();
    for ((agent, node), count) in counts {
        let state = match node {
            Some(n) => format!("Active {}", view.input.nodes[n].uname),
            None => "Stopped".to_owned(),
        };
        let _ = writeln!(out, " {count}\t({agent}):\t{state}");
    }
    out
}

/// One resource and what is in it, each line behind `indent`.
pub fn resource(view: &View<'_>, r: R, indent: &str, options: Options, out: &mut String) {
    let rsc = &view.input.resources[r];
    let unmanaged = if rsc.managed { "" } else { " (unmanaged)" };
    match &rsc.shape {
        Shape::Primitive(_) => {
            let _ = writeln!(out, "{indent}{}", primitive(view, r, options, None));
        }
        Shape::Group(members) => {
            let _ = writeln!(out, "{indent}Resource Group: {}", rsc.id);
            for m in members {
                resource(view, *m, &format!("{indent}    "), options, out);
            }
        }
        Shape::Clone(clones) => {
            let child = clones
                .instances
                .first()
                .map_or("", |i| plain(&view.input.resources[*i].id));
            let kind = match clones.promotable {
                Some(_) => "Master/Slave Set",
                None => "Clone Set",
            };
            let unique = if clones.unique { " (unique)" } else { "" };
            let _ = writeln!(out, "{indent}{kind}: {} [{child}]{unique}{unmanaged}", rsc.id);
            set(view, r, &clones.instances, indent, options, out);
        }
    }
}

/// What holds of one instance of a clone as a whole.
enum Instance {
    Stopped,
    /// In the same role on one node, and nothing else is to be said.
    Plain(Role, N),
    Special,
}

fn instance(view: &View<'_>, r: R, options: Options) -> Instance {
    let parts = view.input.primitives(r);
    let here: Vec<(N, &Here)> = parts
        .iter()
        .flat_map(|p| {
            view.state
                .running_on(*p)
                .into_iter()
                .map(|n| (n, &view.state.on[&(*p, n)]))
        })
        .collect();
    let unique = view.input.clone_of(r).is_some_and(|(_, c)| c.unique);
    let Some((node, first)) = here.first() else {
        return if unique || options.detail {
            Instance::Special
        } else {
            Instance::Stopped
        };
    };
    let lost = &view.input.nodes[*node];
    let alike = here.iter().all(|(n, h)| n == node && h.role == first.role);
    let special = unique
        || options.detail
        || here.len() < parts.len()
        || !alike
        || here.iter().any(|(_, h)| h.failed || h.blocked || h.ignored)
        || parts.iter().any(|p| !view.input.resources[*p].managed)
        || !lost.online
        || lost.unclean;
    if special {
        Instance::Special
    } else {
        Instance::Plain(first.role, *node)
    }
}

/// The instances of a clone: those of which there is something to say one by one, then the rest by role.
fn set(view: &View<'_>, r: R, instances: &[R], indent: &str, options: Options, out: &mut String) {
    let below = format!("{indent}    ");
    let (mut masters, mut started, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    for &i in instances {
        match instance(view, i, options) {
            Instance::Special => resource(view, i, &below, options, out),
            Instance::Stopped => stopped.push(&*view.input.resources[i].id),
            Instance::Plain(Role::Master, n) => masters.push(n),
            Instance::Plain(_, n) => started.push(n),
        }
    }
    let names = |nodes: &mut Vec<N>| {
        nodes.sort_unstable();
        nodes
            .iter()
            .map(|n| &*view.input.nodes[*n].uname)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let slaves = if view.input.is_promotable(r) {
        "Slaves"
    } else {
        "Started"
    };
    for (word, nodes) in [("Masters", &mut masters), (slaves, &mut started)] {
        if !nodes.is_empty() {
            let _ = writeln!(out, "{below}{word}: [ {} ]", names(nodes));
        }
    }
    if !stopped.is_empty() {
        let _ = writeln!(out, "{below}Stopped: [ {} ]", stopped.join(" "));
    }
}

/// Id, agent, state, nodes, and what is special. Below a node (`only`) it is not named again.
fn primitive(view: &View<'_>, r: R, options: Options, only: Option<N>) -> String {
    let rsc = &view.input.resources[r];
    let agent = view.input.primitive(r).map(words::agent).unwrap_or_default();
    let orphan = if rsc.orphan { " ORPHANED" } else { "" };
    let running = match only {
        Some(n) => vec![n],
        None => view.state.running_on(r),
    };
    let here: Vec<&Here> = running.iter().map(|n| &view.state.on[&(r, *n)]).collect();
    let role = here.iter().map(|h| h.role).max().unwrap_or_default();
    let mut out = format!("{}\t({agent}){orphan}:\t{}", rsc.id, words::role(&view.input, r, role));
    let names: Vec<&str> = running.iter().map(|n| &*view.input.nodes[*n].uname).collect();
    match &names[..] {
        _ if only.is_some() || options.no_nodes => {}
        [] => {}
        [one] => {
            let _ = write!(out, " {one}");
        }
        many => {
            let _ = write!(out, " [ {} ]", many.join(" "));
        }
    }
    if let [n] = running[..]
        && view.input.nodes[n].unclean
    {
        out += " (UNCLEAN)";
    }
    if !rsc.managed || here.iter().any(|h| h.blocked) {
        out += " (unmanaged)";
    }
    if here.iter().any(|h| h.failed) {
        out += " FAILED";
    }
    if here.iter().any(|h| h.ignored) {
        out += " (failure ignored)";
    }
    if options.detail
        && let Some(act) = here.iter().find_map(|h| h.pending.as_deref())
    {
        let _ = write!(out, " ({act} is under way)");
    }
    out
}

/// `-s`: one line for a monitoring system, and its exit status: 0 well, 1 a warning.
pub fn one_line(cib: &Cib, now: Wall) -> (String, u8) {
    let view = View::new(cib, now);
    let mut wrong = Vec::new();
    if view.dc().is_none() {
        wrong.push("No DC ".to_owned());
    }
    let mut online = 0;
    for (_, node) in view.members() {
        match view.mode(node) {
            "online" => online += 1,
            mode if mode.starts_with("standby") => wrong.push(format!(" standby node: {}", node.uname)),
            _ => wrong.push(format!(" offline node: {}", node.uname)),
        }
    }
    if wrong.is_empty() {
        let count = view.configured();
        (format!("Ok: {online} nodes online, {count} resources configured\n"), 0)
    } else {
        (format!("Warning:{}\n", wrong.join(",")), 1)
    }
}
