//! Instances of clones that want it are told before and after each step of the others.

use super::graph::{Act, Graph, Kind};
use super::history::State;
use super::input::{Input, N, R, Shape, Verb};
use super::place::Places;
use std::collections::BTreeSet;

pub(super) fn add(input: &Input, state: &State, places: &Places, graph: &mut Graph) {
    for rsc in &input.resources {
        let Shape::Clone(clones) = &rsc.shape else { continue };
        if !clones.notify {
            continue;
        }
        let members: Vec<R> = clones.instances.iter().flat_map(|i| input.primitives(*i)).collect();
        let mut before_this: Vec<usize> = Vec::new();
        for verb in [Verb::Demote, Verb::Stop, Verb::Start, Verb::Promote] {
            let steps: Vec<usize> = members.iter().flat_map(|m| done(graph, *m, verb)).collect();
            if steps.is_empty() {
                continue;
            }
            let (mut told, mut told_after) = (Vec::new(), Vec::new());
            // What is left alone is told nothing.
            for &m in members.iter().filter(|m| places.managed(input, state, **m)) {
                for (after, list) in [(false, &mut told), (true, &mut told_after)] {
                    for node in present(input, state, graph, m, verb, after) {
                        let mut act = Act::new(Kind::Notify(after, verb), Some(m), Some(node));
                        act.optional = false;
                        list.push(graph.add(act));
                    }
                }
            }
            for &pre in &told {
                for earlier in &before_this {
                    graph.edge(*earlier, pre, 0);
                }
                for step in &steps {
                    graph.edge(pre, *step, 0);
                }
            }
            for &post in &told_after {
                for step in &steps {
                    graph.edge(*step, post, 0);
                }
            }
            for step in &steps {
                for earlier in &before_this {
                    graph.edge(*earlier, *step, 0);
                }
            }
            before_this = if told_after.is_empty() { steps } else { told_after };
        }
    }
}

fn done(graph: &Graph, r: R, verb: Verb) -> Vec<usize> {
    let acts = graph.of(r, verb);
    acts.into_iter().filter(|a| graph.acts[*a].is_done()).collect()
}

/// Where an instance is when it is told about a step: before it what runs by then, after it what is left or new.
fn present(input: &Input, state: &State, graph: &Graph, r: R, verb: Verb, after: bool) -> BTreeSet<N> {
    let nodes = |verb| -> BTreeSet<N> {
        done(graph, r, verb)
            .iter()
            .filter_map(|a| graph.acts[*a].node)
            .collect()
    };
    let alive = |n: &N| input.nodes[*n].online && !input.nodes[*n].pending && !input.nodes[*n].unclean;
    let (stops, starts) = (nodes(Verb::Stop), nodes(Verb::Start));
    let stopped = match verb {
        Verb::Demote => false,
        Verb::Stop => after,
        Verb::Start | Verb::Promote => true,
    };
    let started = match verb {
        Verb::Demote | Verb::Stop => false,
        Verb::Start => after,
        Verb::Promote => true,
    };
    let old = state
        .running_on(r)
        .into_iter()
        .filter(|n| !(stopped && stops.contains(n)));
    let mut out: BTreeSet<N> = old.collect();
    if started {
        out.extend(starts);
    }
    out.into_iter().filter(alive).collect()
}
