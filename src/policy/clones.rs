//! Clones: which instance goes where, and what a clone is to those who go with it.

use super::input::{Clones, Colocation, N, R, Role, Shape};
use super::masters::{add_promotion_scores, best_said, promote};
use super::place::{Placer, Scores};
use super::wishes::{Wishes, factor};
use crate::cib::Score;
use std::cmp::Reverse;
use std::collections::BTreeMap;

fn of<'a>(placer: &Placer<'a>, clone: R) -> &'a Clones {
    match &placer.input.resources[clone].shape {
        Shape::Clone(clones) => clones,
        Shape::Primitive(_) | Shape::Group(_) => unreachable!("asked for clones only"),
    }
}

pub(super) fn assign(placer: &mut Placer<'_>, clone: R) {
    let clones = of(placer, clone);
    if clones.promotable.is_some() {
        add_promotion_scores(placer, clones);
    }
    for i in placer.this_with[clone].clone() {
        placer.assign(placer.colocations[i].with);
    }
    for i in placer.with_this[clone].clone() {
        let c = placer.colocations[i].clone();
        let mut work = placer.scores[clone].clone();
        placer.hear(
            c.rsc,
            &mut work,
            c.attribute.as_deref(),
            factor(c.score),
            Wishes::Positive,
        );
        placer.scores[clone] = work;
    }
    distribute(placer, clone, clones);
    placer.assigned[clone] = Some(clones.instances.iter().find_map(|i| placer.assigned[*i].flatten()));
    if let Some((max, per_node)) = clones.promotable {
        promote(placer, clone, clones, max, per_node);
    }
}

/// The node an instance runs on, if it does.
pub(super) fn current(placer: &Placer<'_>, instance: R) -> Option<N> {
    let primitives = placer.input.primitives(instance);
    primitives
        .iter()
        .find_map(|r| placer.state.running_on(*r).first().copied())
}

fn failed(placer: &Placer<'_>, instance: R, n: N) -> bool {
    let primitives = placer.input.primitives(instance);
    primitives
        .iter()
        .any(|r| placer.state.on.get(&(*r, n)).is_some_and(|h| h.failed))
}

fn is_blocked(placer: &Placer<'_>, instance: R) -> bool {
    let state = placer.state;
    let at = |r: R| state.on.range((r, 0)..=(r, N::MAX));
    let primitives = placer.input.primitives(instance);
    primitives.into_iter().any(|r| at(r).any(|(_, here)| here.blocked))
}

/// As many instances as may be, those that run first, on the node they are on.
fn distribute(placer: &mut Placer<'_>, clone: R, clones: &Clones) {
    let input = placer.input;
    // Those that are too many have no place.
    let (within, surplus) = clones.instances.split_at(clones.max.min(clones.instances.len()));
    for &i in surplus {
        for p in input.primitives(i).into_iter().chain([i]) {
            placer.scores[p].fill(Some(Score::BANNED));
            placer.assigned[p] = Some(None);
        }
    }
    let mut order = within.to_vec();
    order.sort_by_cached_key(|i| {
        let runs = current(placer, *i);
        let score = runs.and_then(|n| placer.scores[*i][n]).filter(|s| *s >= Score::ZERO);
        // Where it may not stay it counts as being nowhere, and behind those that are.
        let banned = runs.is_some() && score.is_none();
        let n = runs.filter(|_| !banned);
        let usable = n.is_some_and(|n| input.nodes[n].is_usable());
        let broken = n.is_some_and(|n| failed(placer, *i, n));
        let wanted = best_said(placer, *i);
        (banned, Reverse(wanted), n.is_none(), !usable, broken, *i)
    });
    placer.turns[clone] = order.iter().chain(surplus).copied().collect();
    let available = input.nodes.iter().filter(|n| n.is_usable()).count();
    // Wishes of those who go with it matter only when some node goes without.
    let all = clones.max < available;
    let evenly = clones.max.checked_div(available).unwrap_or(1).max(1);
    let mut counts: BTreeMap<N, usize> = BTreeMap::new();
    let mut placed = 0;
    for &i in &order {
        if placed >= clones.max {
            break;
        }
        if let Some(n) = current(placer, i)
            && !failed(placer, i, n)
            && one(placer, clone, i, Some(n), all, evenly, &mut counts)
        {
            placed += 1;
        }
    }
    for &i in &order {
        if placer.assigned[i].is_some() {
            continue;
        }
        if placed >= clones.max {
            for p in input.primitives(i).into_iter().chain([i]) {
                placer.scores[p].fill(Some(Score::BANNED));
            }
            placer.assign_to(i, None);
        } else if one(placer, clone, i, None, all, clones.per_node, &mut counts) {
            placed += 1;
        }
    }
}

/// Places one instance; whether it has a node, and that the preferred one if there is one.
fn one(
    placer: &mut Placer<'_>,
    clone: R,
    instance: R,
    prefer: Option<N>,
    all: bool,
    limit: usize,
    counts: &mut BTreeMap<N, usize>,
) -> bool {
    let input = placer.input;
    // What places an instance: itself, or the first of the group.
    let first = input.primitives(instance).first().copied().unwrap_or(instance);
    let last = input.primitives(instance).last().copied().unwrap_or(instance);
    let inherit = |placer: &mut Placer<'_>| {
        for i in placer.this_with[clone].clone() {
            let score = placer.colocations[i].score;
            if all || score < Score::ZERO || score == Score::INFINITY {
                placer.this_with[first].push(i);
            }
        }
        for i in placer.with_this[clone].clone() {
            if all || placer.colocations[i].score < Score::ZERO {
                placer.with_this[last].push(i);
            }
        }
    };
    let lists = (placer.this_with[first].clone(), placer.with_this[last].clone());
    let backup: Vec<(R, Scores)> = input
        .primitives(instance)
        .into_iter()
        .map(|r| (r, placer.scores[r].clone()))
        .collect();
    if let Some(n) = prefer
        && placer.scores[first][n].is_none_or(|s| s < Score::ZERO)
    {
        return false;
    }
    inherit(placer);
    for n in 0..input.nodes.len() {
        let full = counts.get(&n).copied().unwrap_or(0) >= limit;
        let closed = placer.scores[clone][n].is_none_or(|s| s < Score::ZERO) || !input.nodes[n].is_usable();
        if full || closed {
            placer.scores[first][n] = Some(Score::BANNED);
        }
    }
    placer.assign_to(instance, prefer);
    // The lists are the clone's; a second try must not find them twice.
    (placer.this_with[first], placer.with_this[last]) = lists;
    match (placer.assigned[first].flatten(), prefer) {
        (Some(n), Some(wanted)) if n != wanted => {
            placer.unassign(instance);
            for (r, scores) in backup {
                placer.scores[r] = scores;
            }
            false
        }
        (Some(n), _) => {
            *counts.entry(n).or_default() += 1;
            true
        }
        (None, Some(_)) => {
            placer.unassign(instance);
            for (r, scores) in backup {
                placer.scores[r] = scores;
            }
            false
        }
        (None, None) => false,
    }
}

/// A resource that goes with a clone: where an instance is, or with the instance of its own node.
pub(super) fn go_with(placer: &mut Placer<'_>, r: R, c: &Colocation) {
    let input = placer.input;
    let clones = of(placer, c.with);
    if placer.assigned[c.with].is_none() {
        return;
    }
    let fits = |placer: &Placer<'_>, i: R| {
        if is_blocked(placer, i) {
            return None;
        }
        let head = input.primitives(i).first().copied().unwrap_or(i);
        let node = placer.assigned[head].flatten()?;
        let role_fits = match c.with_role {
            Some(role) => placer.role[head] == role,
            None => placer.role[head] != Role::Stopped,
        };
        role_fits.then_some(node)
    };
    if let Some((_, own)) = input.clone_of(r)
        && own.interleave
    {
        // With the instance on the node that it likes best of those that have one.
        let score = |n: N| placer.scores[r][n].unwrap_or(Score::BANNED);
        let mut nodes: Vec<N> = (0..input.nodes.len())
            .filter(|n| placer.scores[r][*n].is_some())
            .collect();
        nodes.sort_by_key(|n| (Reverse(score(*n)), placer.load[*n], *n));
        let on = |n: N| {
            placer.turns[c.with]
                .iter()
                .copied()
                .find(|i| fits(placer, *i) == Some(n))
        };
        match nodes.into_iter().find_map(on) {
            Some(i) => {
                let head = input.primitives(i).first().copied().unwrap_or(i);
                placer.go_with_primitive(r, c, head);
            }
            None if c.score == Score::INFINITY => placer.scores[r].fill(Some(Score::BANNED)),
            None => {}
        }
        return;
    }
    if c.score == Score::INFINITY {
        let nodes: Vec<N> = clones.instances.iter().filter_map(|i| fits(placer, *i)).collect();
        for (n, score) in placer.scores[r].iter_mut().enumerate() {
            if !nodes.contains(&n) && score.is_some() {
                *score = Some(Score::BANNED);
            }
        }
        return;
    }
    for i in placer.turns[c.with].clone() {
        let head = input.primitives(i).first().copied().unwrap_or(i);
        // An instance that has no place counts as one that is nowhere.
        placer.go_with_primitive(r, c, head);
    }
}
