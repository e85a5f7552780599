//! The plan: every action that brings the cluster from what is to what should be, each with those it waits for.

use super::graph::{Act, COLOCATED, Graph, Kind};
use super::history::State;
use super::input::{Input, N, R, Shape, Verb};
use super::notify;
use super::orders::Orders;
use super::place::{Places, place};
use super::steps::Steps;
use crate::time::Duration;
use std::collections::BTreeSet;

/// All that is decided about one CIB.
#[derive(Clone, Debug)]
pub struct Plan {
    pub places: Places,
    /// What the summary says of each resource.
    pub steps: Vec<Step>,
    /// In an order in which they can be done one by one.
    pub actions: Vec<Action>,
    pub complaints: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    pub what: What,
    /// Indices in [`Plan::actions`] of those that must be over before; all smaller than its own.
    pub after: Vec<usize>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum What {
    /// A node runs an operation of an agent.
    Run {
        rsc: R,
        node: N,
        task: Task,
    },
    /// The node that ran it is gone: it counts as stopped, as demoted.
    Gone {
        rsc: R,
        node: N,
        verb: Verb,
    },
    /// A mark that others wait for: `web_start_0`.
    Mark(String),
    Fence {
        node: N,
        action: String,
    },
    /// The node may go now.
    Shutdown(N),
    ClearFailCount {
        rsc: R,
        node: N,
    },
    /// The node forgets the history of a resource.
    Forget {
        rsc: R,
        node: N,
    },
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Task {
    /// The first look at a resource on a node.
    Probe,
    Stop,
    Start,
    Demote,
    Promote,
    Monitor(Duration),
    Cancel(Duration),
    Notify {
        after: bool,
        verb: Verb,
    },
}

/// A step of a resource's on its way, as the plan sees it: also those that cannot be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    pub rsc: R,
    pub verb: Verb,
    pub node: Option<N>,
    /// Must be done; can be done.
    pub required: bool,
    pub possible: bool,
    pub why: String,
}

pub fn plan(input: &Input, state: &State) -> Plan {
    let places = place(input, state);
    let mut steps = Steps {
        input,
        state,
        places: &places,
        graph: Graph::default(),
    };
    steps.fencing();
    for r in (0..input.resources.len()).rev() {
        match input.resources[r].shape {
            Shape::Primitive(_) => steps.primitive(r),
            Shape::Group(_) | Shape::Clone(_) => steps.collective(r),
        }
    }
    steps.probes();
    for r in 0..input.resources.len() {
        steps.monitors(r);
    }
    steps.housekeeping();
    let mut graph = steps.graph;
    let orders = Orders {
        input,
        state,
        places: &places,
    };
    orders.groups(&mut graph);
    orders.colocations(&mut graph);
    orders.constraints(&mut graph);
    fences_first(input, &mut graph);
    graph.settle(&|act| name(input, act));
    notify::add(input, state, &places, &mut graph);
    let mut complaints = input.complaints.clone();
    let steps = summary(&graph);
    let actions = sorted(input, &graph, &mut complaints);
    Plan {
        places,
        steps,
        actions,
        complaints,
    }
}

fn name(input: &Input, act: &Act) -> String {
    let id = act.rsc.map_or("", |r| &*input.resources[r].id);
    match act.kind {
        Kind::Do(verb) => format!("{id} {}", verb.as_str()),
        Kind::All(verb) => format!("{id} {}", done(verb)),
        Kind::AnyOf(i) => format!("one-or-more:{}", input.orders[i].id),
        _ => id.to_owned(),
    }
}

fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Start => "running",
        Verb::Stop => "stopped",
        Verb::Promote => "promoted",
        Verb::Demote => "demoted",
    }
}

/// Nothing starts before the nodes that may still run it are off.
fn fences_first(input: &Input, graph: &mut Graph) {
    let fences: Vec<usize> = (0..input.nodes.len()).filter_map(|n| graph.fence_of(n)).collect();
    if fences.is_empty() {
        return;
    }
    // Who gives the orders goes last.
    let dc = input.nodes.iter().position(|n| n.dc);
    if let Some(last) = dc.and_then(|n| graph.fence_of(n)) {
        for fence in fences.iter().filter(|f| **f != last) {
            graph.edge(*fence, last, 0);
        }
    }
    for r in 0..input.resources.len() {
        let Some(primitive) = input.primitive(r) else { continue };
        if primitive.class == "stonith" {
            continue;
        }
        for verb in [Verb::Start, Verb::Promote] {
            for act in graph.of(r, verb) {
                for fence in &fences {
                    graph.edge(*fence, act, 0);
                }
            }
        }
    }
}

fn summary(graph: &Graph) -> Vec<Step> {
    let of = |act: &Act| {
        let Kind::Do(verb) = act.kind else { return None };
        Some(Step {
            rsc: act.rsc?,
            verb,
            node: act.node,
            required: !act.optional,
            possible: act.runnable,
            why: act.why.clone(),
        })
    };
    graph.acts.iter().filter_map(of).collect()
}

fn what(act: &Act, input: &Input) -> What {
    let rsc = act.rsc.unwrap_or_default();
    let node = act.node.unwrap_or_default();
    let run = |task| What::Run { rsc, node, task };
    match act.kind {
        Kind::Do(verb) if act.gone => What::Gone { rsc, node, verb },
        Kind::Do(Verb::Start) => run(Task::Start),
        Kind::Do(Verb::Stop) => run(Task::Stop),
        Kind::Do(Verb::Promote) => run(Task::Promote),
        Kind::Do(Verb::Demote) => run(Task::Demote),
        Kind::All(verb) => What::Mark(format!("{}_{}_0", input.resources[rsc].id, verb.as_str())),
        Kind::AnyOf(i) => What::Mark(format!("one-or-more:{}", input.orders[i].id)),
        Kind::Probe => run(Task::Probe),
        Kind::Monitor(interval) => run(Task::Monitor(interval)),
        Kind::Cancel(interval) => run(Task::Cancel(interval)),
        Kind::Notify(after, verb) => run(Task::Notify { after, verb }),
        Kind::Fence => What::Fence {
            node,
            action: input.settings.fence_action.clone(),
        },
        Kind::Shutdown => What::Shutdown(node),
        Kind::ClearFailCount => What::ClearFailCount { rsc, node },
        Kind::Forget => What::Forget { rsc, node },
    }
}

/// Puts each action behind those it waits for; a group's or clone's act becomes two marks, around all that is in it. A
/// circle of orders is broken at its last one, and said.
fn sorted(input: &Input, graph: &Graph, complaints: &mut Vec<String>) -> Vec<Action> {
    // Two places an act: its begin and its end, the same but for collectives.
    let count = graph.acts.len();
    let shown = |i: usize| graph.acts[i].is_done() && !matches!(graph.acts[i].kind, Kind::AnyOf(_));
    let is_mark = |i: usize| matches!(graph.acts[i].kind, Kind::All(_));
    let end = |i: usize| if is_mark(i) { count + i } else { i };
    let mut waits: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); 2 * count];
    for edge in &graph.edges {
        if edge.bits & COLOCATED == 0 && graph.acts[edge.first].is_done() && graph.acts[edge.then].is_done() {
            waits[edge.then].insert(end(edge.first));
        }
    }
    for i in (0..count).filter(|i| is_mark(*i) && shown(*i)) {
        waits[count + i].insert(i);
        for m in graph.members(i).iter().copied().filter(|m| graph.acts[*m].is_done()) {
            waits[m].insert(i);
            waits[count + i].insert(end(m));
        }
    }
    let exists = |i: usize| {
        if i < count {
            graph.acts[i].is_done()
        } else {
            is_mark(i - count) && shown(i - count)
        }
    };
    let mut later: Vec<Vec<usize>> = vec![Vec::new(); 2 * count];
    let mut open: Vec<usize> = vec![0; 2 * count];
    for (i, earlier) in waits.iter().enumerate() {
        open[i] = earlier.len();
        for e in earlier {
            later[*e].push(i);
        }
    }
    let mut left: BTreeSet<usize> = (0..2 * count).filter(|i| exists(*i)).collect();
    let mut ready: BTreeSet<usize> = left.iter().copied().filter(|i| open[*i] == 0).collect();
    let mut at: Vec<Option<usize>> = vec![None; 2 * count];
    let mut out: Vec<Action> = Vec::new();
    while !left.is_empty() {
        let Some(i) = ready.pop_first() else {
            let stuck = *left.first().expect("the loop runs while some are left");
            complaints.push(format!(
                "the orders go round in a circle: {} does not wait any longer",
                name(input, &graph.acts[stuck % count])
            ));
            open[stuck] = 0;
            ready.insert(stuck);
            continue;
        };
        if !left.remove(&i) {
            continue;
        }
        let act = &graph.acts[i % count];
        let mut after: BTreeSet<usize> = BTreeSet::new();
        for e in &waits[i] {
            after.extend(at[*e]);
        }
        if matches!(act.kind, Kind::AnyOf(_)) {
            // Only a knot: who waits for it, waits for those before it.
            at[i] = after.last().copied();
        } else {
            let what = match i < count {
                true => what(act, input),
                false => {
                    let (Kind::All(verb), Some(r)) = (act.kind, act.rsc) else {
                        unreachable!("only collectives have an end of their own")
                    };
                    What::Mark(format!("{}_{}_0", input.resources[r].id, done(verb)))
                }
            };
            at[i] = Some(out.len());
            out.push(Action {
                what,
                after: after.into_iter().collect(),
            });
        }
        for l in &later[i] {
            open[*l] = open[*l].saturating_sub(1);
            if open[*l] == 0 && left.contains(l) {
                ready.insert(*l);
            }
        }
    }
    out
}
