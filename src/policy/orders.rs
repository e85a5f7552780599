//! What the order of resources means for their acts: that of constraints, of a group's members, of a clone's steps.

use super::graph::{ASYMMETRIC, Act, COLOCATED, Graph, IMPLIES_FIRST, IMPLIES_THEN, Kind, RESTART, RUNNABLE};
use super::history::State;
use super::input::{Input, N, Order, OrderKind, R, Shape, Verb};
use super::place::Places;
use crate::cib::Score;

pub(super) struct Orders<'a> {
    pub input: &'a Input,
    pub state: &'a State,
    pub places: &'a Places,
}

impl Orders<'_> {
    pub fn groups(&self, graph: &mut Graph) {
        for (r, rsc) in self.input.resources.iter().enumerate() {
            match &rsc.shape {
                Shape::Primitive(_) => {}
                Shape::Group(members) => {
                    for pair in members.windows(2) {
                        self.pair(
                            graph,
                            pair[0],
                            Verb::Start,
                            pair[1],
                            Verb::Start,
                            IMPLIES_THEN | RUNNABLE,
                        );
                        self.pair(graph, pair[1], Verb::Stop, pair[0], Verb::Stop, RESTART);
                        if self.input.is_promotable(r) {
                            self.pair(
                                graph,
                                pair[0],
                                Verb::Promote,
                                pair[1],
                                Verb::Promote,
                                IMPLIES_THEN | RUNNABLE,
                            );
                            self.pair(graph, pair[1], Verb::Demote, pair[0], Verb::Demote, 0);
                        }
                    }
                }
                Shape::Clone(clones) => {
                    for (first, then) in [
                        (Verb::Demote, Verb::Stop),
                        (Verb::Stop, Verb::Start),
                        (Verb::Demote, Verb::Start),
                        (Verb::Start, Verb::Promote),
                        (Verb::Demote, Verb::Promote),
                    ] {
                        self.pair(graph, r, first, r, then, 0);
                    }
                    if clones.ordered {
                        for pair in clones.instances.windows(2) {
                            self.pair(graph, pair[0], Verb::Start, pair[1], Verb::Start, 0);
                            self.pair(graph, pair[1], Verb::Stop, pair[0], Verb::Stop, 0);
                        }
                    }
                }
            }
        }
    }

    fn pair(&self, graph: &mut Graph, first: R, before: Verb, then: R, after: Verb, bits: u8) {
        for f in graph.of(first, before) {
            for t in graph.of(then, after) {
                graph.edge(f, t, bits);
            }
        }
    }

    /// Who must be where another is does not start without it.
    pub fn colocations(&self, graph: &mut Graph) {
        for c in &self.input.colocations {
            let plain = c.with_role.is_none() && c.rsc_role.is_none() && c.attribute.is_none();
            let clone = self.input.clone_of(c.with).is_some();
            if c.score == Score::INFINITY && plain && !clone {
                for with in self.input.primitives(c.with) {
                    for rsc in self.input.primitives(c.rsc) {
                        self.pair(graph, with, Verb::Start, rsc, Verb::Start, COLOCATED);
                    }
                }
            }
        }
    }

    pub fn constraints(&self, graph: &mut Graph) {
        for (i, order) in self.input.orders.iter().enumerate() {
            let bits = match (order.kind, order.symmetrical) {
                (OrderKind::Optional | OrderKind::Serialize, _) => 0,
                (OrderKind::Mandatory, false) => ASYMMETRIC,
                (OrderKind::Mandatory, true) => match order.first_action {
                    Verb::Start | Verb::Promote => IMPLIES_THEN | RUNNABLE,
                    Verb::Stop | Verb::Demote => IMPLIES_THEN,
                },
            };
            let inverse = if order.kind == OrderKind::Mandatory {
                IMPLIES_FIRST
            } else {
                0
            };
            if !order.all {
                self.any_of(graph, i, order);
                continue;
            }
            for &first in &order.first {
                self.one(graph, first, order.first_action, order.then, order.then_action, bits);
                if order.symmetrical {
                    let (before, after) = (order.then_action.inverse(), order.first_action.inverse());
                    self.one(graph, order.then, before, first, after, inverse);
                }
            }
        }
    }

    /// One of several is enough for the one after them.
    fn any_of(&self, graph: &mut Graph, i: usize, order: &Order) {
        let acts: Vec<usize> = order
            .first
            .iter()
            .flat_map(|f| graph.of(*f, order.first_action))
            .collect();
        let mut mark = Act::new(Kind::AnyOf(i), None, None);
        mark.optional = false;
        let mark = graph.add(mark);
        for act in &acts {
            graph.edge(*act, mark, 0);
        }
        graph.collect(mark, acts, true);
        for then in graph.of(order.then, order.then_action) {
            let bits = if order.kind == OrderKind::Mandatory {
                RUNNABLE
            } else {
                0
            };
            graph.edge(mark, then, bits);
        }
        if order.symmetrical {
            for &first in &order.first {
                self.one(
                    graph,
                    order.then,
                    order.then_action.inverse(),
                    first,
                    order.first_action.inverse(),
                    0,
                );
            }
        }
    }

    fn one(&self, graph: &mut Graph, first: R, before: Verb, then: R, after: Verb, bits: u8) {
        let (first_is, then_is) = (self.input.clone_of(first), self.input.clone_of(then));
        let both = first_is.is_some_and(|(c, _)| c == first) && then_is.is_some_and(|(c, _)| c == then);
        let stopping = matches!(before, Verb::Stop | Verb::Demote);
        // Whose instances care for their own node only: those of the one that depends, also on the way down.
        let depends = if stopping { first_is } else { then_is };
        if both && depends.is_some_and(|(_, c)| c.interleave) {
            self.pair(graph, first, before, then, after, 0);
            self.interleaved(graph, first, before, then, after, bits);
        } else {
            self.pair(graph, first, before, then, after, bits);
        }
    }

    /// Where an instance is, for a step down, or will be, for a step up.
    fn node(&self, instance: R, down: bool) -> Option<N> {
        let primitives = self.input.primitives(instance);
        match down {
            true => primitives
                .iter()
                .find_map(|p| self.state.running_on(*p).first().copied()),
            false => primitives.first().and_then(|p| self.places.node[*p]),
        }
    }

    fn interleaved(&self, graph: &mut Graph, first: R, before: Verb, then: R, after: Verb, bits: u8) {
        let down = matches!(before, Verb::Stop | Verb::Demote);
        let firsts = self.input.children(first);
        for &t in self.input.children(then) {
            let node = self.node(t, down);
            let beside = firsts.iter().find(|f| node.is_some() && self.node(**f, down) == node);
            match beside {
                Some(f) => self.pair(graph, *f, before, t, after, bits),
                None if bits & RUNNABLE != 0 => {
                    for act in graph.of(t, after) {
                        graph.acts[act].runnable = false;
                        graph.acts[act].why =
                            format!("unrunnable {} {}", self.input.resources[first].id, before.as_str());
                        for m in graph.members(act).to_vec() {
                            graph.acts[m].runnable = false;
                        }
                    }
                }
                None => {}
            }
        }
    }
}
