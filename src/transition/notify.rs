//! What the instances of a clone with notify=true are told of each other.

use crate::policy::history::State;
use crate::policy::input::{Input, R, Role, Shape};
use crate::policy::plan::{Plan, Task, What};
use std::collections::BTreeMap;

/// By clone: names without `CRM_meta_`, and their values.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Told(BTreeMap<R, BTreeMap<String, String>>);

impl Told {
    pub fn new(input: &Input, state: &State, plan: &Plan) -> Self {
        let wants = |r: &R| matches!(&input.resources[*r].shape, Shape::Clone(c) if c.notify);
        let clones = (0..input.resources.len()).filter(wants);
        Self(clones.map(|r| (r, lists(input, state, plan, r))).collect())
    }

    pub fn about(&self, input: &Input, rsc: R) -> BTreeMap<String, String> {
        let clone = input.clone_of(rsc).map(|(r, _)| r);
        clone.and_then(|r| self.0.get(&r)).cloned().unwrap_or_default()
    }
}

/// As the agents know them: parted by blanks, a single blank when there is nothing.
fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = words.collect();
    if all.is_empty() { " ".to_owned() } else { all.join(" ") }
}

fn lists(input: &Input, state: &State, plan: &Plan, clone: R) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let instances = input.primitives(clone);
    let mut pairs = |word: &str, mut of: Vec<(R, Option<usize>)>| {
        of.sort();
        let resources = joined(of.iter().map(|(r, _)| &*input.resources[*r].id));
        out.insert(format!("notify_{word}_resource"), resources);
        let nodes = of.iter().filter_map(|(_, n)| n.map(|n| &*input.nodes[n].uname));
        out.insert(format!("notify_{word}_uname"), joined(nodes));
    };
    for (word, task) in [
        ("start", Task::Start),
        ("stop", Task::Stop),
        ("promote", Task::Promote),
        ("demote", Task::Demote),
    ] {
        let done = plan.actions.iter().filter_map(|a| match &a.what {
            What::Run { rsc, node, task: t } if *t == task && instances.contains(rsc) => Some((*rsc, Some(*node))),
            _ => None,
        });
        pairs(word, done.collect());
    }
    let with = |role: &dyn Fn(Role) -> bool| -> Vec<(R, Option<usize>)> {
        let on = instances
            .iter()
            .flat_map(|r| state.running_on(*r).into_iter().map(move |n| (*r, n)));
        on.filter(|(r, n)| role(state.role(*r, *n)))
            .map(|(r, n)| (r, Some(n)))
            .collect()
    };
    let promotable = input.is_promotable(clone);
    pairs(
        "active",
        with(&|role| role != Role::Stopped && !(promotable && role == Role::Master)),
    );
    pairs(
        "slave",
        with(&|role| promotable && matches!(role, Role::Slave | Role::Started)),
    );
    pairs("master", with(&|role| role == Role::Master));
    let idle = instances.iter().filter(|r| state.running_on(**r).is_empty());
    pairs("inactive", idle.map(|r| (*r, None)).collect());
    out.remove("notify_inactive_uname");
    let all = input.nodes.iter().filter(|n| !n.ping);
    out.insert("notify_all_uname".to_owned(), joined(all.clone().map(|n| &*n.uname)));
    let there = all.filter(|n| n.online && !n.unclean);
    out.insert("notify_available_uname".to_owned(), joined(there.map(|n| &*n.uname)));
    out
}
