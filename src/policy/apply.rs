//! What a CIB's status says when a plan has been carried out and every action succeeded.

use super::history::op_digest;
use super::input::{Input, N, R, Verb};
use super::plan::{Plan, Task, What};
use crate::cib::{Cib, Element};
use crate::time::Duration;

/// The CIB with the outcome of every action of the plan in its status.
pub fn apply(cib: &Cib, input: &Input, plan: &Plan) -> Cib {
    let mut root = cib.root().clone();
    for action in &plan.actions {
        match &action.what {
            What::Run { rsc, node, task } => run(&mut root, input, *rsc, *node, task),
            What::Fence { node, .. } => fenced(&mut root, input, *node),
            What::Forget { rsc, node } => forget(&mut root, input, *rsc, *node),
            What::Gone { .. } | What::Mark(_) | What::ClearFailCount { .. } | What::Shutdown(_) => {}
        }
    }
    Cib::from_element(root).expect("it was one before, and its outermost element is the same")
}

fn state_of<'a>(root: &'a mut Element, input: &Input, node: N) -> &'a mut Element {
    let node = &input.nodes[node];
    let status = root.child_or_new("status");
    let same = |e: &Element| e.name == "node_state" && (e.id() == node.id || e.get("uname") == Some(&node.uname));
    let at = status.children.iter().position(same).unwrap_or_else(|| {
        status.children.push(Element::new("node_state").with("id", &node.id).with("uname", &node.uname));
        status.children.len() - 1
    });
    &mut status.children[at]
}

fn fenced(root: &mut Element, input: &Input, node: N) {
    let state = state_of(root, input, node);
    for (name, value) in [("in_ccm", "false"), ("crmd", "offline"), ("join", "down"), ("expected", "down")] {
        state.set(name, value);
    }
    state.children.clear();
}

fn forget(root: &mut Element, input: &Input, rsc: R, node: N) {
    let plain = &input.resources[rsc].plain;
    let state = state_of(root, input, node);
    state.remove_all(&|e: &Element| e.name == "lrm_resource" && e.id() == plain);
}

/// The history's line for an action that ended as expected.
fn run(root: &mut Element, input: &Input, rsc: R, node: N, task: &Task) {
    let resource = &input.resources[rsc];
    let Some(primitive) = input.primitive(rsc) else { return };
    let (operation, interval, rc) = match task {
        Task::Probe => ("monitor", Duration::ZERO, 7),
        Task::Stop => ("stop", Duration::ZERO, 0),
        Task::Start => ("start", Duration::ZERO, 0),
        Task::Demote => ("demote", Duration::ZERO, 0),
        Task::Promote => ("promote", Duration::ZERO, 0),
        Task::Monitor(interval) => ("monitor", *interval, expected(input, rsc, *interval)),
        Task::Cancel(_) | Task::Notify { .. } => return,
    };
    let ms = interval.as_millis();
    let history = state_of(root, input, node).child_or_new("lrm").child_or_new("lrm_resources");
    let plain = &resource.plain;
    let at = history.children.iter().position(|e| e.id() == plain).unwrap_or_else(|| {
        let mut e = Element::new("lrm_resource").with("id", plain).with("type", &primitive.kind);
        e.set("class", &primitive.class);
        if !primitive.provider.is_empty() {
            e.set("provider", &primitive.provider);
        }
        history.children.push(e);
        history.children.len() - 1
    });
    let entries = &mut history.children[at];
    let calls = entries.children.iter().filter_map(|e| e.get("call-id")?.parse::<i64>().ok());
    let call = calls.max().unwrap_or(0).max(0) + 1;
    let id = if ms == 0 { format!("{plain}_last_0") } else { format!("{plain}_monitor_{ms}") };
    entries.children.retain(|e| e.id() != id);
    let op = primitive.operations.iter().find(|o| o.name == operation && o.interval == interval);
    let key = format!("0:0:{rc}:00000000-0000-0000-0000-000000000000");
    entries.children.push(
        Element::new("lrm_rsc_op")
            .with("id", id)
            .with("operation_key", format!("{plain}_{operation}_{ms}"))
            .with("operation", operation)
            .with("interval", ms)
            .with("call-id", call)
            .with("rc-code", rc)
            .with("op-status", 0)
            .with("transition-key", &key)
            .with("transition-magic", format!("0:{rc};{key}"))
            .with("on_node", &input.nodes[node].uname)
            .with("last-rc-change", input.settings.now.0)
            .with("exec-time", 0)
            .with("queue-time", 0)
            .with("op-digest", op_digest(input, primitive, op, ms > 0)),
    );
}

/// A master's monitor says so.
fn expected(input: &Input, rsc: R, interval: Duration) -> i32 {
    let ops = input.primitive(rsc).map(|p| &p.operations);
    let op = ops.and_then(|ops| ops.iter().find(|o| o.name == "monitor" && o.interval == interval));
    match op.and_then(|o| o.role) {
        Some(super::input::Role::Master) => 8,
        _ => 0,
    }
}

/// The word of the history for a verb.
pub fn word(verb: Verb) -> &'static str {
    verb.as_str()
}
