//! The constraints, each as pairs of resources: sets are taken apart, rules tried on every node.

use super::input::{Colocation, Input, Location, N, Order, OrderKind, R, Role, Verb};
use super::rules::{self, Place};
use super::unpack::role;
use crate::cib::{Cib, Element, Score, words};

pub(super) fn unpack(cib: &Cib, input: &mut Input) {
    for constraint in &cib.section("constraints").expect("every CIB has it").children {
        match &*constraint.name {
            "rsc_location" => location(constraint, input),
            "rsc_colocation" => colocation(constraint, input),
            "rsc_order" => order(constraint, input),
            _ => {}
        }
        if !lives(constraint, input) {
            // Its time is over: a `lifetime` whose rule no longer holds.
            let id = constraint.id();
            input.locations.retain(|c| c.id != id);
            input.colocations.retain(|c| c.id != id);
            input.orders.retain(|c| c.id != id);
        }
    }
}

fn lives(constraint: &Element, input: &Input) -> bool {
    let place = Place {
        node: None,
        now: input.settings.now,
    };
    let mut lifetimes = constraint
        .children_named("lifetime")
        .flat_map(|l| l.children_named("rule"));
    lifetimes.all(|r| rules::holds(r, place))
}

fn find(id: &str, constraint: &Element, input: &mut Input) -> Option<R> {
    let found = input.resources.iter().position(|r| r.plain == id && !r.orphan);
    // Who names the child of a clone means the clone.
    let meant = found.map(|r| {
        let clone = input.clone_of(r).map(|(clone, _)| clone);
        clone.unwrap_or(r)
    });
    if meant.is_none() {
        let complaint = format!(
            "{}: names the resource {id}, which does not exist: ignored",
            constraint.id()
        );
        input.complaints.push(complaint);
    }
    meant
}

fn location(constraint: &Element, input: &mut Input) {
    let of_master = |e: &Element| e.get("role").and_then(role) == Some(Role::Master);
    let ids: Vec<String> = match (constraint.get("rsc"), constraint.get("rsc-pattern")) {
        (Some(id), _) => vec![id.to_owned()],
        (None, Some(pattern)) => {
            let all = input
                .resources
                .iter()
                .filter(|r| !r.orphan && matches(pattern, &r.plain));
            all.map(|r| r.plain.clone()).collect()
        }
        (None, None) => refs(constraint).map(|(_, id)| id.to_owned()).collect(),
    };
    let nodes: Vec<N> = (0..input.nodes.len()).collect();
    let mut seen = Vec::new();
    for id in ids {
        let Some(rsc) = find(&id, constraint, input) else {
            continue;
        };
        if seen.contains(&rsc) {
            continue;
        }
        seen.push(rsc);
        let add = |input: &mut Input, node, score, of_master| {
            input.locations.push(Location {
                id: constraint.id().to_owned(),
                rsc,
                node,
                score,
                of_master,
            });
        };
        if let (Some(name), Some(score)) = (constraint.get("node"), constraint.get("score")) {
            let Some(node) = input.node(name) else {
                let complaint = format!(
                    "{}: names the node {name}, which does not exist: ignored",
                    constraint.id()
                );
                input.complaints.push(complaint);
                continue;
            };
            add(
                input,
                node,
                Score::parse(score).unwrap_or_default(),
                of_master(constraint),
            );
        }
        for rule in constraint.children_named("rule") {
            for &node in &nodes {
                let place = Place {
                    node: Some(&input.nodes[node]),
                    now: input.settings.now,
                };
                if let Some(score) = rules::score(rule, place) {
                    add(input, node, score, of_master(rule) || of_master(constraint));
                }
            }
        }
    }
}

/// The patterns in use are anchored names with `.*` and alternatives; what else a regular expression can be is taken
/// as the text it is.
fn matches(pattern: &str, id: &str) -> bool {
    pattern.split('|').any(|one| {
        let open_start = !one.starts_with('^');
        let open_end = !one.ends_with('$');
        let parts: Vec<&str> = one.trim_start_matches('^').trim_end_matches('$').split(".*").collect();
        let mut rest = id;
        for (i, part) in parts.iter().enumerate() {
            let Some(at) = rest.find(part) else { return false };
            if i == 0 && !open_start && at != 0 {
                return false;
            }
            rest = &rest[at + part.len()..];
        }
        open_end || rest.is_empty() || parts.last().is_some_and(|p| !p.is_empty() && id.ends_with(p))
    })
}

/// The resources of all sets of a constraint, with the number of the set of each.
fn refs(constraint: &Element) -> impl Iterator<Item = (usize, &str)> {
    let sets = constraint.children_named("resource_set").enumerate();
    sets.flat_map(|(i, set)| set.children_named("resource_ref").map(move |r| (i, r.id())))
}

/// A resource_set with its resources found.
struct Set {
    members: Vec<R>,
    sequential: bool,
    all: bool,
    role: Option<Role>,
    action: Option<Verb>,
    score: Option<Score>,
}

fn sets(constraint: &Element, input: &mut Input) -> Vec<Set> {
    let yes = |e: &Element, name: &str| e.get(name).and_then(words::truth).unwrap_or(true);
    let mut out = Vec::new();
    for set in constraint.children_named("resource_set") {
        let ids: Vec<_> = set.children_named("resource_ref").map(|r| r.id().to_owned()).collect();
        out.push(Set {
            members: ids.iter().filter_map(|id| find(id, constraint, input)).collect(),
            sequential: yes(set, "sequential"),
            all: yes(set, "require-all"),
            role: set.get("role").and_then(role),
            action: set.get("action").and_then(verb),
            score: set.get("score").and_then(Score::parse),
        });
    }
    out
}

fn colocation(constraint: &Element, input: &mut Input) {
    let score = constraint
        .get("score")
        .and_then(Score::parse)
        .unwrap_or(Score::INFINITY);
    let attribute = constraint.get("node-attribute").map(str::to_owned);
    let add = |input: &mut Input, rsc, rsc_role, with, with_role, score| {
        input.colocations.push(Colocation {
            id: constraint.id().to_owned(),
            rsc,
            rsc_role,
            with,
            with_role,
            score,
            attribute: attribute.clone(),
        });
    };
    if let (Some(rsc), Some(with)) = (constraint.get("rsc"), constraint.get("with-rsc")) {
        let (rsc, with) = (find(rsc, constraint, input), find(with, constraint, input));
        let role_of = |name: &str| constraint.get(name).and_then(role).filter(|r| *r != Role::Started);
        if let (Some(rsc), Some(with)) = (rsc, with) {
            add(input, rsc, role_of("rsc-role"), with, role_of("with-rsc-role"), score);
        }
        return;
    }
    let sets = sets(constraint, input);
    for set in &sets {
        if set.sequential {
            // Each goes with the one before it.
            for pair in set.members.windows(2) {
                add(input, pair[1], set.role, pair[0], set.role, set.score.unwrap_or(score));
            }
        }
    }
    for pair in sets.windows(2) {
        // The earlier set goes with the last of the later one; of a set without order, each with each.
        let (dependents, primaries) = (&pair[0], &pair[1]);
        let with: Vec<R> = match primaries.sequential {
            true => primaries.members.last().copied().into_iter().collect(),
            false => primaries.members.clone(),
        };
        let who: Vec<R> = match dependents.sequential {
            true => dependents.members.first().copied().into_iter().collect(),
            false => dependents.members.clone(),
        };
        for rsc in who {
            for with in &with {
                add(input, rsc, dependents.role, *with, primaries.role, score);
            }
        }
    }
}

fn verb(word: &str) -> Option<Verb> {
    match word {
        "start" => Some(Verb::Start),
        "stop" => Some(Verb::Stop),
        "promote" => Some(Verb::Promote),
        "demote" => Some(Verb::Demote),
        _ => None,
    }
}

fn order(constraint: &Element, input: &mut Input) {
    let kind = match (
        constraint.get("kind").map(str::to_ascii_lowercase).as_deref(),
        constraint.get("score"),
    ) {
        (Some("optional"), _) => OrderKind::Optional,
        (Some("serialize"), _) => OrderKind::Serialize,
        (Some(_), _) | (None, None) => OrderKind::Mandatory,
        (None, Some(score)) => match Score::parse(score) {
            Some(score) if score > Score::ZERO => OrderKind::Mandatory,
            _ => OrderKind::Optional,
        },
    };
    let symmetrical = constraint.get("symmetrical").and_then(words::truth);
    let pattern = Order {
        id: constraint.id().to_owned(),
        first: Vec::new(),
        first_action: Verb::Start,
        then: 0,
        then_action: Verb::Start,
        kind,
        symmetrical: symmetrical.unwrap_or(kind != OrderKind::Serialize) && kind != OrderKind::Serialize,
        all: constraint.get("require-all").and_then(words::truth).unwrap_or(true),
    };
    if let (Some(first), Some(then)) = (constraint.get("first"), constraint.get("then")) {
        let (first, then) = (find(first, constraint, input), find(then, constraint, input));
        let first_action = constraint.get("first-action").and_then(verb).unwrap_or(Verb::Start);
        if let (Some(first), Some(then)) = (first, then) {
            input.orders.push(Order {
                first: vec![first],
                first_action,
                then,
                then_action: constraint.get("then-action").and_then(verb).unwrap_or(first_action),
                ..pattern
            });
        }
        return;
    }
    let sets = sets(constraint, input);
    for set in &sets {
        let action = set.action.unwrap_or(Verb::Start);
        if set.sequential {
            for pair in set.members.windows(2) {
                input.orders.push(Order {
                    first: vec![pair[0]],
                    first_action: action,
                    then: pair[1],
                    then_action: action,
                    ..pattern.clone()
                });
            }
        }
    }
    for pair in sets.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        let firsts: Vec<Vec<R>> = match (before.all, before.sequential) {
            (false, _) => vec![before.members.clone()],
            (true, true) => before.members.last().map(|r| vec![*r]).into_iter().collect(),
            (true, false) => before.members.iter().map(|r| vec![*r]).collect(),
        };
        let thens: Vec<R> = match after.sequential {
            true => after.members.first().copied().into_iter().collect(),
            false => after.members.clone(),
        };
        for first in &firsts {
            for then in &thens {
                input.orders.push(Order {
                    first: first.clone(),
                    first_action: before.action.unwrap_or(Verb::Start),
                    then: *then,
                    then_action: after.action.unwrap_or(Verb::Start),
                    all: before.all,
                    ..pattern.clone()
                });
            }
        }
    }
}
