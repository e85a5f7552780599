//! What is to be done for each primitive, given where it is and where it belongs; and what that means for those whose
//! order depends on it.

use super::history::State;
use super::input::{Input, MultipleActive, N, Order, OrderKind, R, Role, Shape, Verb, WithoutQuorum};
use super::place::Places;
use std::collections::BTreeSet;

/// What one primitive needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Need {
    /// Where it runs, and as what.
    pub now: Vec<(N, Role)>,
    /// Where it belongs.
    pub next: Option<N>,
    pub role: Role,
    pub stop: BTreeSet<N>,
    pub start: Option<N>,
    pub demote: BTreeSet<N>,
    pub promote: Option<N>,
    /// Why it may not start, though it has a place; why it restarts, though it is where it belongs.
    pub blocked: Option<String>,
    pub because: Option<String>,
    /// Nothing is done to it.
    pub left_alone: bool,
}

impl Need {
    /// Whether it runs, as `role` or more, when the plan has been carried out.
    fn will_be(&self, role: Role) -> bool {
        let stays = self.now.iter().any(|(n, _)| !self.stop.contains(n));
        let runs = self.start.is_some() || stays && self.next.is_some() || self.left_alone && !self.now.is_empty();
        let is_master = self.promote.is_some()
            || self
                .now
                .iter()
                .any(|(n, r)| *r == Role::Master && !self.stop.contains(n) && !self.demote.contains(n));
        runs && (role != Role::Master || is_master)
    }

    fn runs(&self) -> bool {
        !self.now.is_empty()
    }

    /// Stays as it is: runs, and is neither stopped nor started.
    fn stays(&self) -> bool {
        self.runs() && self.stop.is_empty() && self.start.is_none()
    }

    fn restart(&mut self, because: String) -> bool {
        if self.left_alone || !self.stays() {
            return false;
        }
        self.stop = self.now.iter().map(|(n, _)| *n).collect();
        self.demote = self.masters();
        self.start = self.next;
        self.promote = (self.role == Role::Master).then_some(self.next).flatten();
        self.because = Some(because);
        true
    }

    fn masters(&self) -> BTreeSet<N> {
        self.now
            .iter()
            .filter(|(_, r)| *r == Role::Master)
            .map(|(n, _)| *n)
            .collect()
    }

    /// May not start: does not, and is stopped where it runs.
    fn refuse(&mut self, because: String) -> bool {
        if self.left_alone || self.blocked.is_some() || self.next.is_none() {
            return false;
        }
        self.blocked = Some(because);
        self.start = None;
        self.promote = None;
        self.stop = self.now.iter().map(|(n, _)| *n).collect();
        self.demote = self.masters();
        true
    }

    /// May not be a master.
    fn refuse_promotion(&mut self, because: String) -> bool {
        let masters = self.masters();
        if self.left_alone || self.promote.is_none() && (masters.is_empty() || self.demote == masters) {
            return false;
        }
        self.promote = None;
        self.demote = masters;
        self.because = Some(because);
        true
    }

    fn demote_and_promote(&mut self, because: String) -> bool {
        let masters = self.masters();
        if self.left_alone || masters.is_empty() || self.demote == masters {
            return false;
        }
        self.demote = masters;
        self.promote = (self.role == Role::Master).then_some(self.next).flatten();
        self.because = Some(because);
        true
    }
}

/// The needs of all primitives, by resource; those of groups and clones are empty.
pub fn needs(input: &Input, state: &State, places: &Places) -> Vec<Need> {
    let mut needs: Vec<Need> = (0..input.resources.len())
        .map(|r| own(input, state, places, r))
        .collect();
    let orders = all_orders(input);
    // Each round restarts or refuses at least one, and none comes back: it ends.
    while orders.iter().fold(false, |any, o| depend(input, &mut needs, o) | any) {}
    needs
}

/// What a primitive needs for itself.
fn own(input: &Input, state: &State, places: &Places, r: R) -> Need {
    let rsc = &input.resources[r];
    if !matches!(rsc.shape, Shape::Primitive(_)) {
        return Need::default();
    }
    let now: Vec<(N, Role)> = state.running_on(r).into_iter().map(|n| (n, state.role(r, n))).collect();
    let blocked = now.iter().any(|(n, _)| state.on[&(r, *n)].blocked);
    let many = now.len() > 1;
    let mut need = Need {
        next: places.node[r],
        role: places.role[r],
        left_alone: !rsc.managed
            || blocked
            || many && rsc.multiple_active == MultipleActive::Block
            || rsc.orphan && !input.settings.stop_orphans,
        now,
        ..Need::default()
    };
    if need.left_alone {
        return need;
    }
    let here: BTreeSet<N> = need.now.iter().map(|(n, _)| *n).collect();
    let masters = need.masters();
    let Some(next) = need.next else {
        (need.stop, need.demote) = (here, masters);
        return need;
    };
    let failed = |n: N| state.on.get(&(r, n)).is_some_and(|h| h.failed);
    let changed = |n: N| state.on.get(&(r, n)).is_some_and(|h| h.changed);
    let gone = |n: N| input.nodes[n].unclean || !input.nodes[n].online;
    if many {
        need.stop = here.clone();
        need.start = (rsc.multiple_active == MultipleActive::StopStart).then_some(next);
    } else if !here.contains(&next) || failed(next) || changed(next) || gone(next) {
        need.stop = here.clone();
        need.start = Some(next);
        if here.contains(&next) && changed(next) && !failed(next) {
            need.because = Some("resource definition change".to_owned());
        }
    }
    need.demote = masters
        .iter()
        .filter(|n| need.stop.contains(n) || need.role != Role::Master)
        .copied()
        .collect();
    let was_master = masters.contains(&next) && !need.stop.contains(&next);
    need.promote = (need.role == Role::Master && !was_master).then_some(next);
    let settings = &input.settings;
    if !settings.quorate {
        match settings.without_quorum {
            WithoutQuorum::Stop => {
                need.refuse("no quorum".to_owned());
            }
            WithoutQuorum::Freeze if here.is_empty() => {
                need.refuse("quorum freeze".to_owned());
            }
            WithoutQuorum::Freeze | WithoutQuorum::Ignore | WithoutQuorum::Suicide => {}
        }
    }
    need
}

/// An order between two resources, that of a constraint or of a group's members.
pub(super) struct Between<'a> {
    pub first: Vec<R>,
    pub first_action: Verb,
    pub then: R,
    pub then_action: Verb,
    pub kind: OrderKind,
    pub symmetrical: bool,
    pub all: bool,
    /// Of the instances of two interleaved clones only those on one node have to do with each other.
    pub same_node: bool,
    pub from: Option<&'a Order>,
}

pub(super) fn all_orders(input: &Input) -> Vec<Between<'_>> {
    let mut out = Vec::new();
    for rsc in &input.resources {
        let Shape::Group(members) = &rsc.shape else { continue };
        for pair in members.windows(2) {
            for (first_action, then_action) in [(Verb::Start, Verb::Start), (Verb::Promote, Verb::Promote)] {
                let promotable = input.clone_of(pair[0]).is_some_and(|(_, c)| c.promotable.is_some());
                if first_action == Verb::Promote && !promotable {
                    continue;
                }
                out.push(Between {
                    first: vec![pair[0]],
                    first_action,
                    then: pair[1],
                    then_action,
                    kind: OrderKind::Mandatory,
                    symmetrical: true,
                    all: true,
                    same_node: false,
                    from: None,
                });
            }
        }
    }
    for order in &input.orders {
        let interleaved = |r: R| matches!(&input.resources[r].shape, Shape::Clone(c) if c.interleave);
        let is_clone = |r: R| matches!(&input.resources[r].shape, Shape::Clone(_));
        out.push(Between {
            first: order.first.clone(),
            first_action: order.first_action,
            then: order.then,
            then_action: order.then_action,
            kind: order.kind,
            symmetrical: order.symmetrical,
            all: order.all,
            same_node: interleaved(order.then) && order.first.iter().all(|f| is_clone(*f)),
            from: Some(order),
        });
    }
    out
}

/// Applies one order to the needs; whether anything changed.
fn depend(input: &Input, needs: &mut [Need], order: &Between<'_>) -> bool {
    if order.kind != OrderKind::Mandatory || order.first_action == Verb::Stop || order.first_action == Verb::Demote {
        return false;
    }
    let role = if order.first_action == Verb::Promote {
        Role::Master
    } else {
        Role::Started
    };
    let mut changed = false;
    for t in input.primitives(order.then) {
        let there = |n: &Need| -> BTreeSet<N> { n.now.iter().map(|(n, _)| *n).chain(n.next).collect() };
        let mine = there(&needs[t]);
        let beside = |f: R| !order.same_node || !there(&needs[f]).is_disjoint(&mine);
        // One that was stopped or is started again takes its dependents along; one that cannot run lets none run.
        let (mut moves, mut missing, mut present) = (None, None, None);
        for &first in &order.first {
            let whole = input.primitives(first);
            let is_clone = matches!(input.resources[first].shape, Shape::Clone(_));
            let beside: Vec<R> = whole.iter().copied().filter(|f| beside(*f)).collect();
            let up = |f: &R| needs[*f].will_be(role);
            // Of a clone any instance will do, of a group all members must be there.
            let enough = if is_clone {
                beside.iter().any(up)
            } else {
                whole.iter().all(up)
            };
            match enough {
                true => present = Some(first),
                false => missing = missing.or(Some(first)),
            }
            let turns = |f: &&R| match order.first_action {
                Verb::Promote => needs[**f].promote.is_some() || !needs[**f].demote.is_empty(),
                _ => needs[**f].start.is_some() || !needs[**f].stop.is_empty(),
            };
            moves = moves.or(beside.iter().find(turns).map(|_| first));
        }
        let lacks = if order.all {
            missing
        } else {
            missing.filter(|_| present.is_none())
        };
        let verb = order.first_action.as_str();
        let name = |r: R| input.resources[r].id.clone();
        changed |= match (lacks, moves, order.then_action) {
            (Some(f), _, Verb::Start) => needs[t].refuse(format!("unrunnable {} {verb}", name(f))),
            (Some(f), _, Verb::Promote) => needs[t].refuse_promotion(format!("unrunnable {} {verb}", name(f))),
            (None, Some(f), Verb::Start) if order.symmetrical => {
                needs[t].restart(format!("required {} {verb}", name(f)))
            }
            (None, Some(f), Verb::Promote) if order.symmetrical => {
                needs[t].demote_and_promote(format!("required {} {verb}", name(f)))
            }
            _ => false,
        };
    }
    changed
}
