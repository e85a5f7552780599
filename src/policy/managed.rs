//! What is the cluster's to start and stop, and what it has to leave alone.

use super::history::State;
use super::input::{Input, MultipleActive, N, R, Shape};

pub(super) fn is_managed(input: &Input, state: &State, r: R) -> bool {
    // Told to fence and without anything to do it, the cluster touches nothing.
    let helpless = input.settings.fencing && !input.settings.can_fence;
    !is_left_alone(input, state, r) && !runs_too_often(input, state, r) && !helpless
}

/// By the word of the administrator, or after a failure that only he can mend.
pub(super) fn is_left_alone(input: &Input, state: &State, r: R) -> bool {
    let rsc = &input.resources[r];
    let running = state.running_on(r);
    let blocked = running.iter().any(|n| state.on[&(r, *n)].blocked);
    let kept = rsc.orphan && !input.settings.stop_orphans;
    let frozen = running.iter().any(|n| input.nodes[*n].maintenance);
    !rsc.managed || blocked || kept || frozen
}

/// It failed in a way that only the administrator can mend.
pub(super) fn is_blocked(input: &Input, state: &State, r: R) -> bool {
    let running = state.running_on(r);
    running.iter().any(|n| state.on[&(r, *n)].blocked) || runs_too_often(input, state, r)
}

/// More than once, with the order to leave it so: one of a group stands for all of it.
fn runs_too_often(input: &Input, state: &State, r: R) -> bool {
    let blocks = |r: R| input.resources[r].multiple_active == MultipleActive::Block && state.running_on(r).len() > 1;
    let parent = input.resources[r].parent;
    let group = parent.filter(|p| matches!(input.resources[*p].shape, Shape::Group(_)));
    blocks(r) || group.is_some_and(|g| input.children(g).iter().any(|m| blocks(*m)))
}

/// Where a primitive is. A fencing device needs no fencing itself: what a dead node holds of it does not count while
/// there is another.
pub(super) fn current(input: &Input, state: &State, r: R) -> Option<N> {
    let running = state.running_on(r);
    let is_device = input.primitive(r).is_some_and(|p| p.class == "stonith");
    let clean = running.iter().find(|n| !is_device || !input.nodes[**n].unclean);
    clean.or(running.first()).copied()
}
