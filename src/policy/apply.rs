//! What a CIB's status says when a plan has been carried out and every action succeeded.

use super::history::op_digest;
use super::input::{Input, N, R};
use super::plan::{Plan, Task, What};
use crate::cib::{Cib, Element};
use crate::time::Duration;
use std::str::FromStr;

/// An operation that is to be taken as having ended so: `web_monitor_10000@node1=7`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    pub rsc: String,
    pub operation: String,
    pub interval: Duration,
    pub node: String,
    pub rc: i32,
}

impl FromStr for Outcome {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (key, rest) = text.split_once('@')?;
            let (node, rc) = rest.split_once('=')?;
            let mut words = key.rsplitn(3, '_');
            let (interval, operation, rsc) = (words.next()?, words.next()?, words.next()?);
            Some(Self {
                rsc: rsc.to_owned(),
                operation: operation.to_owned(),
                interval: Duration::from_millis(interval.parse().ok()?),
                node: node.to_owned(),
                rc: rc.parse().ok()?,
            })
        };
        parts().ok_or_else(|| {
            format!("{text}: is no RESOURCE_OPERATION_MILLISECONDS@NODE=RC, as web_monitor_10000@node1=7")
        })
    }
}

/// The CIB with the outcome of every action of the plan in its status.
pub fn apply(cib: &Cib, input: &Input, plan: &Plan) -> Cib {
    apply_failing(cib, input, plan, &[])
}

/// The same where some operations fail: what waits for them is not done.
pub fn apply_failing(cib: &Cib, input: &Input, plan: &Plan, failing: &[Outcome]) -> Cib {
    let mut root = cib.root().clone();
    let mut undone = vec![false; plan.actions.len()];
    for (i, action) in plan.actions.iter().enumerate() {
        if action.after.iter().any(|a| undone[*a]) {
            undone[i] = true;
            continue;
        }
        match &action.what {
            What::Run { rsc, node, task } => {
                let outcome = failing.iter().find(|o| is_about(input, o, *rsc, *node, task));
                undone[i] = outcome.is_some();
                match outcome {
                    Some(outcome) => inject(&mut root, input, outcome),
                    None => run(&mut root, input, *rsc, *node, task),
                }
            }
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
        status.children.push(
            Element::new("node_state")
                .with("id", &node.id)
                .with("uname", &node.uname),
        );
        status.children.len() - 1
    });
    &mut status.children[at]
}

fn fenced(root: &mut Element, input: &Input, node: N) {
    let state = state_of(root, input, node);
    for (name, value) in [
        ("in_ccm", "false"),
        ("crmd", "offline"),
        ("join", "down"),
        ("expected", "down"),
    ] {
        state.set(name, value);
    }
    state.children.clear();
}

fn forget(root: &mut Element, input: &Input, rsc: R, node: N) {
    let plain = &input.resources[rsc].plain;
    let state = state_of(root, input, node);
    state.remove_all(&|e: &Element| e.name == "lrm_resource" && e.id() == plain);
}

fn is_about(input: &Input, outcome: &Outcome, rsc: R, node: N, task: &Task) -> bool {
    let (operation, interval) = match task {
        Task::Probe => ("monitor", Duration::ZERO),
        Task::Monitor(interval) => ("monitor", *interval),
        Task::Stop => ("stop", Duration::ZERO),
        Task::Start => ("start", Duration::ZERO),
        Task::Demote => ("demote", Duration::ZERO),
        Task::Promote => ("promote", Duration::ZERO),
        Task::Cancel(_) | Task::Notify { .. } => return false,
    };
    outcome.rsc == input.resources[rsc].plain
        && outcome.node == input.nodes[node].uname
        && (&*outcome.operation, outcome.interval) == (operation, interval)
}

/// Writes an outcome into the status, and counts it if it is a failure. Unknown resources and nodes change nothing.
pub fn inject(root: &mut Element, input: &Input, outcome: &Outcome) {
    let (Some(node), Some(rsc)) = (input.node(&outcome.node), input.resource(&outcome.rsc)) else {
        return;
    };
    let (ms, op) = (outcome.interval.as_millis(), &*outcome.operation);
    let probe = op == "monitor" && ms == 0;
    let rc = match (probe, ms > 0 && op == "monitor") {
        (true, _) => 7,
        (false, true) => expected(input, rsc, outcome.interval),
        (false, false) => 0,
    };
    write(root, input, rsc, node, (op, outcome.interval), (rc, outcome.rc));
    if outcome.rc == rc || probe && [0, 7, 8].contains(&outcome.rc) {
        return;
    }
    let plain = &input.resources[rsc].plain;
    let now = input.settings.now.0;
    let fatal = op == "stop" || op == "start" && input.settings.start_failure_is_fatal;
    let state = state_of(root, input, node);
    let set = state
        .child_or_new("transient_attributes")
        .child_or_new("instance_attributes");
    let name = format!("fail-count-{plain}#{op}_{ms}");
    let before = set
        .children
        .iter()
        .find(|e| e.get("name") == Some(&name))
        .and_then(|e| e.get("value"));
    let count = match before.and_then(|v| v.parse::<u64>().ok()) {
        _ if fatal => "INFINITY".to_owned(),
        before => (before.unwrap_or(0) + 1).to_string(),
    };
    for (name, value) in [
        (name, count),
        (format!("last-failure-{plain}#{op}_{ms}"), now.to_string()),
    ] {
        set.children.retain(|e| e.get("name") != Some(&name));
        let id = format!("status-{}-{}", input.nodes[node].id, name.replace('#', "."));
        set.children.push(
            Element::new("nvpair")
                .with("id", id)
                .with("name", name)
                .with("value", value),
        );
    }
}

/// The history's line for an action that ended as expected.
fn run(root: &mut Element, input: &Input, rsc: R, node: N, task: &Task) {
    let (operation, interval, rc) = match task {
        Task::Probe => ("monitor", Duration::ZERO, 7),
        Task::Stop => ("stop", Duration::ZERO, 0),
        Task::Start => ("start", Duration::ZERO, 0),
        Task::Demote => ("demote", Duration::ZERO, 0),
        Task::Promote => ("promote", Duration::ZERO, 0),
        Task::Monitor(interval) => ("monitor", *interval, expected(input, rsc, *interval)),
        Task::Cancel(_) | Task::Notify { .. } => return,
    };
    write(root, input, rsc, node, (operation, interval), (rc, rc));
}

/// A line of the history, in the place of the one before it.
fn write(
    root: &mut Element,
    input: &Input,
    rsc: R,
    node: N,
    (operation, interval): (&str, Duration),
    (wanted, rc): (i32, i32),
) {
    let resource = &input.resources[rsc];
    let Some(primitive) = input.primitive(rsc) else { return };
    let ms = interval.as_millis();
    let history = state_of(root, input, node)
        .child_or_new("lrm")
        .child_or_new("lrm_resources");
    let plain = &resource.plain;
    let at = history
        .children
        .iter()
        .position(|e| e.id() == plain)
        .unwrap_or_else(|| {
            let mut e = Element::new("lrm_resource")
                .with("id", plain)
                .with("type", &primitive.kind);
            e.set("class", &primitive.class);
            if !primitive.provider.is_empty() {
                e.set("provider", &primitive.provider);
            }
            history.children.push(e);
            history.children.len() - 1
        });
    let entries = &mut history.children[at];
    let calls = entries
        .children
        .iter()
        .filter_map(|e| e.get("call-id")?.parse::<i64>().ok());
    let call = calls.max().unwrap_or(0).max(0) + 1;
    let id = if ms == 0 {
        format!("{plain}_last_0")
    } else {
        format!("{plain}_monitor_{ms}")
    };
    entries.children.retain(|e| e.id() != id);
    let op = primitive
        .operations
        .iter()
        .find(|o| o.name == operation && o.interval == interval);
    let key = format!("0:0:{wanted}:00000000-0000-0000-0000-000000000000");
    entries.children.push(
        Element::new("lrm_rsc_op")
            .with("id", id)
            .with("operation_key", format!("{plain}_{operation}_{ms}"))
            .with("operation", operation)
            .with("interval", ms)
            .with("call-id", call)
            .with("rc-code", rc)
            .with("op-status", if rc == wanted { 0 } else { 4 })
            .with("transition-key", &key)
            .with(
                "transition-magic",
                format!("{}:{rc};{key}", if rc == wanted { 0 } else { 4 }),
            )
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
