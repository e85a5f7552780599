//! Clones and master/slave sets: which instance goes where, and which are promoted.

use super::input::{Clones, Colocation, N, R, Role, Shape, Target, WithoutQuorum};
use super::place::{Placer, Scores, Wishes, factor, is_managed};
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
fn current(placer: &Placer<'_>, instance: R) -> Option<N> {
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

/// As many instances as may be, those that run first, on the node they are on.
fn distribute(placer: &mut Placer<'_>, clone: R, clones: &Clones) {
    let input = placer.input;
    // Those that are too many have no place.
    let (within, surplus) = clones.instances.split_at(clones.max.min(clones.instances.len()));
    for &i in surplus {
        for p in input.primitives(i).into_iter().chain([i]) {
            placer.scores[p].fill(Some(Score::BANNED));
        }
        placer.assign_to(i, None);
    }
    let mut order = within.to_vec();
    order.sort_by_key(|i| {
        let n = current(placer, *i);
        let score = n.and_then(|n| placer.scores[*i][n]).filter(|s| *s >= Score::ZERO);
        let usable = n.is_some_and(|n| input.nodes[n].is_usable()) && score.is_some();
        (Reverse(usable), Reverse(n.is_some()), Reverse(score), *i)
    });
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
        let closed = placer.scores[clone][n].is_none() || !input.nodes[n].is_usable();
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
        let head = input.primitives(i).first().copied().unwrap_or(i);
        let node = placer.assigned[head].flatten()?;
        let role_fits = match c.with_role {
            Some(role) => placer.role[head] == role,
            None => placer.role[head] != Role::Stopped,
        };
        role_fits.then_some(node)
    };
    if c.score == Score::INFINITY {
        let nodes: Vec<N> = clones.instances.iter().filter_map(|i| fits(placer, *i)).collect();
        for (n, score) in placer.scores[r].iter_mut().enumerate() {
            if !nodes.contains(&n) && score.is_some() {
                *score = Some(Score::BANNED);
            }
        }
        return;
    }
    for i in clones.instances.clone() {
        let head = input.primitives(i).first().copied().unwrap_or(i);
        if fits(placer, i).is_some() {
            placer.go_with_primitive(r, c, head);
        }
    }
}

/// What the agents said with crm_master about a node.
fn said_score(placer: &Placer<'_>, instance: R, n: N) -> Option<Score> {
    let of_one = |r: R| {
        let rsc = &placer.input.resources[r];
        // Known of elsewhere and not here, it has said nothing yet about this place.
        let unknown = !placer.state.knows(&rsc.plain, n);
        if unknown && !placer.state.running_on(r).is_empty() {
            return None;
        }
        let attributes = &placer.input.nodes[n].attributes;
        let by_name = |id: &str| attributes.get(&format!("master-{id}")).and_then(|v| Score::parse(v));
        by_name(&rsc.plain).or_else(|| by_name(&rsc.id))
    };
    let scores: Vec<Score> = placer
        .input
        .primitives(instance)
        .into_iter()
        .filter_map(of_one)
        .collect();
    let sum = scores.iter().fold(Score::ZERO, |sum, s| sum + *s);
    (!scores.is_empty()).then_some(sum)
}

/// A node where an instance would be promoted is the better place for it.
fn add_promotion_scores(placer: &mut Placer<'_>, clones: &Clones) {
    for &i in &clones.instances {
        // The place of a group is its own affair.
        if !matches!(placer.input.resources[i].shape, Shape::Primitive(_)) {
            continue;
        }
        let head = i;
        for n in 0..placer.input.nodes.len() {
            let open = placer.scores[head][n].is_some_and(|s| s >= Score::ZERO) && placer.input.nodes[n].is_usable();
            if let Some(score) = said_score(placer, i, n)
                && open
                && score > Score::ZERO
            {
                placer.add(head, n, score);
            }
        }
    }
}

fn promote(placer: &mut Placer<'_>, clone: R, clones: &Clones, max: usize, per_node: usize) {
    let input = placer.input;
    let head = |i: R| input.primitives(i).first().copied().unwrap_or(i);
    let target = input.resources[clone].target;
    // The node table of the set now tells how much each node's instance wants to be promoted.
    let mut wants: Scores = vec![None; input.nodes.len()];
    let mut priority: BTreeMap<R, Score> = BTreeMap::new();
    for &i in &clones.instances {
        let Some(n) = placer.assigned[head(i)].flatten() else {
            continue;
        };
        // Without a word from the agent nothing is promoted unless a constraint asks for it.
        let mut score = said_score(placer, i, n).unwrap_or(Score::new(-1));
        for location in input
            .locations
            .iter()
            .filter(|l| l.of_master && l.rsc == clone && l.node == n)
        {
            score = score + location.score;
        }
        for k in placer.this_with[clone].clone() {
            let c = placer.colocations[k].clone();
            if c.rsc_role == Some(Role::Master) {
                score = score + promotion_with(placer, &c, n);
            }
        }
        placer.promotion.push((i, n, score));
        priority.insert(i, score);
        wants[n] = Some(wants[n].map_or(score, |w| w.max(score)));
    }
    for k in placer.with_this[clone].clone() {
        let c = placer.colocations[k].clone();
        if c.with_role == Some(Role::Master) {
            placer.hear(
                c.rsc,
                &mut wants,
                c.attribute.as_deref(),
                factor(c.score),
                Wishes::Positive,
            );
        }
    }
    let mut order: Vec<R> = priority.keys().copied().collect();
    let was = |placer: &Placer<'_>, i: R| current(placer, i).map_or(Role::Stopped, |n| placer.state.role(head(i), n));
    order.sort_by_key(|i| {
        let n = placer.assigned[head(*i)]
            .flatten()
            .expect("only placed ones are in the list");
        (Reverse(wants[n]), Reverse(was(placer, *i)), *i)
    });
    let frozen = !input.settings.quorate && input.settings.without_quorum == WithoutQuorum::Freeze;
    let mut promoted: BTreeMap<N, usize> = BTreeMap::new();
    for i in order {
        let n = placer.assigned[head(i)]
            .flatten()
            .expect("only placed ones are in the list");
        let managed = is_managed(input, placer.state, head(i));
        let is_master = was(placer, i) == Role::Master;
        let here = promoted.entry(n).or_default();
        let room = *here < per_node;
        let may = match managed {
            false => is_master,
            true => {
                target == Target::Any
                    && priority[&i] >= Score::ZERO
                    && input.nodes[n].is_usable()
                    && room
                    && (!frozen || is_master)
            }
        };
        if may && (promoted.values().sum::<usize>() < max || !managed) {
            *promoted.entry(n).or_default() += 1;
            for p in input.primitives(i) {
                placer.role[p] = Role::Master;
            }
        }
    }
}

/// What a constraint on the master's place says about being promoted on `n`.
fn promotion_with(placer: &mut Placer<'_>, c: &Colocation, n: N) -> Score {
    placer.assign(c.with);
    let input = placer.input;
    let there = input.primitives(c.with).into_iter().any(|r| {
        let role_fits = c.with_role.is_none_or(|role| placer.role[r] == role);
        placer.assigned[r].flatten() == Some(n) && role_fits
    });
    match there {
        true => c.score,
        false if c.score == Score::INFINITY => Score::BANNED,
        false => Score::ZERO,
    }
}
