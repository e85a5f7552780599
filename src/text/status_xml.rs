//! The state of a cluster for programs: the elements and attributes of `crm_mon --as-xml` of Pacemaker 1.1.

use super::status::{Dates, Options, View};
use super::words;
use crate::cib::{Cib, Element};
use crate::policy::history::Failure;
use crate::policy::input::{Node, R, Role, Shape};
use crate::time::Wall;

pub fn status(cib: &Cib, options: Options, now: Wall, dates: Dates<'_>) -> Element {
    let view = View::new(cib, now);
    Element::new("crm_mon")
        .with("version", env!("CARGO_PKG_VERSION"))
        .holding(summary(&view, now, dates))
        .holding(nodes(&view))
        .holding(resources(&view, options))
        .holding(failures(&view, dates))
}

fn summary(view: &View<'_>, now: Wall, dates: Dates<'_>) -> Element {
    let said = |name: &str| view.cib.root().get(name).unwrap_or_default();
    let dc = match view.dc() {
        None => Element::new("current_dc").with("present", false),
        Some((name, id)) => Element::new("current_dc")
            .with("present", true)
            .with("version", view.version())
            .with("name", name)
            .with("id", id)
            .with("with_quorum", view.quorate()),
    };
    Element::new("summary")
        .holding(Element::new("last_update").with("time", dates(now)))
        .holding(
            Element::new("last_change")
                .with("time", said("cib-last-written"))
                .with("user", said("update-user"))
                .with("client", said("update-client"))
                .with("origin", said("update-origin")),
        )
        .holding(Element::new("stack").with("type", view.stack()))
        .holding(dc)
        .holding(
            Element::new("nodes_configured")
                .with("number", view.members().count())
                .with("expected_votes", view.votes()),
        )
        .holding(Element::new("resources_configured").with("number", view.configured()))
}

fn nodes(view: &View<'_>) -> Element {
    let dc = view.dc().map(|(_, id)| id);
    let one = |n: usize, node: &Node| {
        let running = (0..view.input.resources.len()).filter(|r| view.state.role(*r, n) != Role::Stopped);
        Element::new("node")
            .with("name", &node.uname)
            .with("id", &node.id)
            .with("online", node.online)
            .with("standby", node.standby)
            .with("standby_onfail", node.standby_on_fail)
            .with("maintenance", node.maintenance)
            .with("pending", node.pending)
            .with("unclean", node.unclean)
            .with("shutdown", node.shutting_down)
            .with("is_dc", dc == Some(&*node.id))
            .with("resources_running", running.count())
            .with("type", "member")
    };
    Element {
        children: view.members().map(|(n, node)| one(n, node)).collect(),
        ..Element::new("nodes")
    }
}

fn resources(view: &View<'_>, options: Options) -> Element {
    let tops = view.input.tops.iter().copied();
    let tops = tops.filter(|r| view.is_shown(*r) && (options.inactive || view.is_active(*r)));
    Element {
        children: tops.map(|r| resource(view, r)).collect(),
        ..Element::new("resources")
    }
}

fn resource(view: &View<'_>, r: R) -> Element {
    let rsc = &view.input.resources[r];
    match &rsc.shape {
        Shape::Primitive(_) => primitive(view, r),
        Shape::Group(members) => Element {
            children: members.iter().map(|m| resource(view, *m)).collect(),
            ..Element::new("group")
                .with("id", &rsc.id)
                .with("number_resources", members.len())
        },
        Shape::Clone(clones) => Element {
            children: clones.instances.iter().map(|m| resource(view, *m)).collect(),
            ..Element::new("clone")
                .with("id", &rsc.id)
                .with("multi_state", clones.promotable.is_some())
                .with("unique", clones.unique)
                .with("managed", rsc.managed)
        },
    }
}

fn primitive(view: &View<'_>, r: R) -> Element {
    let rsc = &view.input.resources[r];
    let running = view.state.running_on(r);
    let here = || running.iter().map(|n| &view.state.on[&(r, *n)]);
    let role = here().map(|h| h.role).max().unwrap_or_default();
    let agent = view.input.primitive(r).map(words::agent).unwrap_or_default();
    let node = |n: &usize| {
        let node = &view.input.nodes[*n];
        Element::new("node").with("name", &node.uname).with("id", &node.id)
    };
    Element {
        children: running.iter().map(node).collect(),
        ..Element::new("resource")
            .with("id", &rsc.id)
            .with("resource_agent", agent)
            .with("role", words::role(&view.input, r, role))
            .with("active", !running.is_empty())
            .with("orphaned", rsc.orphan)
            .with("managed", rsc.managed)
            .with("failed", here().any(|h| h.failed))
            .with("failure_ignored", here().any(|h| h.ignored))
            .with("nodes_running_on", running.len())
    }
}

fn failures(view: &View<'_>, dates: Dates<'_>) -> Element {
    let one = |f: &Failure| {
        Element::new("failure")
            .with(
                "op_key",
                format!("{}_{}_{}", f.rsc, f.operation, f.interval.as_millis()),
            )
            .with("node", &view.input.nodes[f.node].uname)
            .with("exitstatus", words::rc(f.rc))
            .with("exitreason", &f.reason)
            .with("exitcode", f.rc)
            .with("call", f.call)
            .with("status", words::status(f.status))
            .with("last-rc-change", dates(f.at))
            .with("exec", f.took.as_millis())
            .with("interval", f.interval.as_millis())
            .with("task", &f.operation)
    };
    Element {
        children: super::summary::distinct(view).map(one).collect(),
        ..Element::new("failures")
    }
}
