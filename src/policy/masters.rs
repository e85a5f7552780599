//! Master/slave sets: what the agents and the constraints say for each node, and who is promoted.

use super::input::{Clones, Colocation, Input, Location, N, R, Role, Shape, Target, WithoutQuorum};
use super::managed::is_managed;
use super::place::{Placer, Scores};
use super::wishes::{Wishes, factor};
use crate::cib::Score;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Whether what is said of a node is about this instance: it is the one there, or may be the one; and is not banned.
fn counts(placer: &Placer<'_>, r: R, n: N) -> bool {
    let (input, state) = (placer.input, placer.state);
    let knows = |r: R, n: N| {
        state
            .on
            .get(&(r, n))
            .is_some_and(|h| h.known || h.role != Role::Stopped)
    };
    let allowed = placer.scores[r][n].is_some_and(|s| s >= Score::ZERO);
    let same_plain = |i: &R| input.resources[*i].plain == input.resources[r].plain;
    let nothing_known = !(0..input.nodes.len()).any(|m| knows(r, m));
    let meant = match input.clone_of(r) {
        Some((_, clones)) if !clones.unique => {
            let mut all = clones
                .instances
                .iter()
                .flat_map(|i| input.primitives(*i))
                .filter(same_plain);
            match all.find(|i| state.role(*i, n) != Role::Stopped) {
                Some(active) => active == r,
                None => state.knows(&input.resources[r].plain, n),
            }
        }
        _ => false,
    };
    allowed && (meant || nothing_known || knows(r, n))
}

/// What the agents said with crm_master about a node.
fn said_score(placer: &Placer<'_>, instance: R, n: N) -> Option<Score> {
    let of_one = |r: R| {
        if !counts(placer, r, n) {
            return None;
        }
        let rsc = &placer.input.resources[r];
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

/// The most that is said for an instance of a master/slave set on a node where it could be. The place of a group is its
/// own affair.
pub(super) fn best_said(placer: &Placer<'_>, instance: R) -> Score {
    let input = placer.input;
    if !input.is_promotable(instance) || input.primitive(instance).is_none() {
        return Score::ZERO;
    }
    let nodes = (0..input.nodes.len()).filter(|n| input.nodes[*n].is_usable());
    let said = nodes.filter_map(|n| said_score(placer, instance, n)).max();
    said.unwrap_or_default().max(Score::ZERO)
}

/// A node where an instance would be promoted is the better place for it.
pub(super) fn add_promotion_scores(placer: &mut Placer<'_>, clones: &Clones) {
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

pub(super) fn promote(placer: &mut Placer<'_>, clone: R, clones: &Clones, max: usize, per_node: usize) {
    let input = placer.input;
    let Wanted { own, by_node } = wanted(placer, clone, clones);
    let place = |placer: &Placer<'_>, i: R| placer.assigned[head(input, i)].flatten();
    let was = |i: R| {
        let roles = input.primitives(i).into_iter().map(|p| placer.state.strongest(p));
        roles.max().unwrap_or_default()
    };
    // Of equals the one that was placed first: among others, those that have failed come last.
    let (mut order, others): (Vec<R>, Vec<R>) = placer.turns[clone].iter().partition(|i| own.contains_key(*i));
    order.sort_by_key(|i| (place(placer, *i).map(|n| Reverse(by_node[n])), Reverse(was(*i))));
    placer.turns[clone] = order.iter().chain(&others).copied().collect();
    let frozen = !input.settings.quorate && input.settings.without_quorum == WithoutQuorum::Freeze;
    let mut promoted: BTreeMap<N, usize> = BTreeMap::new();
    for i in order {
        let Some(n) = place(placer, i) else { continue };
        let is_master = was(i) == Role::Master;
        if !is_managed(input, placer.state, head(input, i)) {
            // What is left alone stays what it is, and counts.
            if is_master {
                *promoted.entry(n).or_default() += 1;
            }
            continue;
        }
        let room = promoted.get(&n).is_none_or(|here| *here < per_node) && promoted.values().sum::<usize>() < max;
        let willing = input.resources[clone].target == Target::Any && own[&i] >= Score::ZERO;
        let able = is_complete(placer, i) && input.nodes[n].is_usable() && (!frozen || is_master);
        if room && willing && able {
            *promoted.entry(n).or_default() += 1;
            for p in input.primitives(i) {
                placer.role[p] = Role::Master;
            }
        }
    }
}

/// What places an instance: itself, or the first of the group.
fn head(input: &Input, instance: R) -> R {
    input.primitives(instance).first().copied().unwrap_or(instance)
}

/// Of a group all must be there to be promoted, and none be ranked below zero.
fn is_complete(placer: &Placer<'_>, instance: R) -> bool {
    let members = placer.input.primitives(instance);
    let ranked = |p: &R| placer.input.resources[*p].priority >= Score::ZERO;
    members.iter().all(|p| placer.assigned[*p].flatten().is_some())
        && (members == [instance] || members.iter().all(ranked))
}

/// How much each placed instance is wanted as a master.
struct Wanted {
    /// By itself: what is below zero is never promoted.
    own: BTreeMap<R, Score>,
    /// With the place it has, and the wishes of those who go with the master.
    by_node: Scores,
}

fn wanted(placer: &mut Placer<'_>, clone: R, clones: &Clones) -> Wanted {
    let input = placer.input;
    let mut by_node: Scores = vec![None; input.nodes.len()];
    let mut own = BTreeMap::new();
    for &i in &clones.instances {
        let Some(n) = placer.assigned[head(input, i)].flatten() else {
            continue;
        };
        // Without a word from the agent nothing is promoted unless a constraint asks for it.
        let mut score = said_score(placer, i, n).unwrap_or(Score::new(-1));
        if !is_managed(input, placer.state, i) && placer.state.role(i, n) == Role::Master {
            // It stays the master whatever is said.
            score = Score::INFINITY;
        }
        let here = |l: &&Location| l.of_master && l.rsc == clone && l.node == n;
        for location in input.locations.iter().filter(here) {
            score = score + location.score;
        }
        for k in placer.this_with[clone].clone() {
            let c = placer.colocations[k].clone();
            if c.rsc_role == Some(Role::Master) {
                score = score + promotion_with(placer, &c, n);
            }
        }
        placer.promotion.push((i, n, score));
        own.insert(i, score);
        let with_place = placer.scores[clone][n].unwrap_or_default() + score;
        by_node[n] = Some(by_node[n].map_or(with_place, |w| w.max(with_place)));
    }
    for k in placer.with_this[clone].clone() {
        let c = placer.colocations[k].clone();
        if c.with_role == Some(Role::Master) {
            let factor = factor(c.score);
            placer.hear(c.rsc, &mut by_node, c.attribute.as_deref(), factor, Wishes::Positive);
        }
    }
    Wanted { own, by_node }
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
