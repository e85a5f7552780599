//! A plan as text: what becomes of each resource, and the actions one by one.

use super::history::State;
use super::input::{Input, N, R, Role, Verb};
use super::plan::{Plan, Step, Task, What};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The lines below `Transition Summary:`.
pub fn transition(input: &Input, state: &State, plan: &Plan) -> String {
    let mut out = String::new();
    for action in &plan.actions {
        if let What::Fence { node, action } = &action.what {
            let node = &input.nodes[*node];
            let why = if node.lost.is_empty() {
                "a failure there asks for it"
            } else {
                node.lost
            };
            let _ = writeln!(out, "  * Fence ({action}) {} '{why}'", node.uname);
        }
    }
    let mut of: BTreeMap<R, Vec<&Step>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|s| s.required) {
        of.entry(step.rsc).or_default().push(step);
    }
    for (r, steps) in of {
        if let Some((word, detail)) = line(input, state, plan, r, &steps) {
            let _ = writeln!(out, "  * {word:<10} {:<14} {detail}", input.resources[r].id);
        }
    }
    out
}

fn line(input: &Input, state: &State, plan: &Plan, r: R, steps: &[&Step]) -> Option<(&'static str, String)> {
    let find = |verb: Verb| steps.iter().copied().find(|s| s.verb == verb && s.node.is_some());
    let name = |n: N| &*input.nodes[n].uname;
    let running = state.running_on(r);
    let role = state.strongest(r);
    let next = plan.places.role[r];
    let word = |role: Role| match role {
        Role::Stopped => "Stopped",
        Role::Master => "Promoted",
        _ if input.is_promotable(r) => "Unpromoted",
        Role::Started | Role::Slave => "Started",
    };
    let because = |s: &Step| {
        let blocked = if s.possible { "" } else { " (blocked)" };
        match &*s.why {
            "" => blocked.to_owned(),
            why => format!("  due to {why}{blocked}"),
        }
    };
    let failed = running.iter().any(|n| state.on[&(r, *n)].failed);
    let roles = |n: N| match input.is_promotable(r) {
        true => format!("( {} {} )", word(next), name(n)),
        false => format!("( {} )", name(n)),
    };
    Some(
        match (
            find(Verb::Stop),
            find(Verb::Start),
            find(Verb::Promote),
            find(Verb::Demote),
        ) {
            (Some(stop), Some(start), ..) if start.possible => {
                let (from, to) = (stop.node?, start.node?);
                let what = match (failed, from == to) {
                    (true, _) => "Recover",
                    (false, true) => "Restart",
                    (false, false) => "Move",
                };
                let place = match (from == to, role == next || !input.is_promotable(r)) {
                    (true, _) => roles(to),
                    (false, true) => format!("( {} -> {} )", name(from), name(to)),
                    (false, false) => format!("( {} {} -> {} {} )", word(role), name(from), word(next), name(to)),
                };
                let why = if what == "Restart" {
                    because(start)
                } else {
                    String::new()
                };
                (what, format!("{place}{why}"))
            }
            (Some(stop), ..) => ("Stop", format!("( {} ){}", name(stop.node?), because(stop))),
            (None, Some(start), Some(promote), _) if promote.possible => (
                "Promote",
                format!("( Stopped -> Promoted {} ){}", name(start.node?), because(start)),
            ),
            (None, Some(start), ..) => ("Start", format!("( {} ){}", name(start.node?), because(start))),
            (None, None, Some(promote), _) => (
                "Promote",
                format!(
                    "( {} -> Promoted {} ){}",
                    word(role),
                    name(promote.node?),
                    because(promote)
                ),
            ),
            (None, None, None, Some(demote)) => (
                "Demote",
                format!(
                    "( Promoted -> {} {} ){}",
                    word(next),
                    name(demote.node?),
                    because(demote)
                ),
            ),
            (None, None, None, None) => return None,
        },
    )
}

/// The lines below `Executing Cluster Transition:`.
pub fn actions(input: &Input, plan: &Plan) -> String {
    let mut out = String::new();
    for action in &plan.actions {
        let _ = writeln!(out, "  * {}", action_line(input, &action.what));
    }
    out
}

/// `Resource action: web             start on node1`.
pub fn action_line(input: &Input, what: &What) -> String {
    let on = |n: N| &*input.nodes[n].uname;
    let id = |r: R| &*input.resources[r].id;
    match what {
        What::Run { rsc, node, task } => {
            format!(
                "Resource action: {:<15} {} on {}",
                input.resources[*rsc].plain,
                task_word(task),
                on(*node)
            )
        }
        What::Gone { rsc, verb, .. } => format!("Pseudo action:   {}_{}_0", id(*rsc), verb.as_str()),
        What::Mark(mark) => format!("Pseudo action:   {mark}"),
        What::Fence { node, action } => format!("Fencing {} ({action})", on(*node)),
        What::Shutdown(node) => format!("Cluster action:  do_shutdown on {}", on(*node)),
        What::ClearFailCount { rsc, node } => {
            format!(
                "Cluster action:  clear_failcount for {} on {}",
                input.resources[*rsc].plain,
                on(*node)
            )
        }
        What::Forget { rsc, node } => format!("Resource action: {:<15} delete on {}", id(*rsc), on(*node)),
    }
}

pub fn task_word(task: &Task) -> String {
    match task {
        Task::Probe => "monitor".to_owned(),
        Task::Stop => "stop".to_owned(),
        Task::Start => "start".to_owned(),
        Task::Demote => "demote".to_owned(),
        Task::Promote => "promote".to_owned(),
        Task::Monitor(interval) => format!("monitor={}", interval.as_millis()),
        Task::Cancel(interval) => format!("cancel={}", interval.as_millis()),
        Task::Notify { .. } => "notify".to_owned(),
    }
}

/// `web allocation score on node1: 100`, for each resource and node, and the promotion scores.
pub fn scores(input: &Input, plan: &Plan) -> String {
    let mut out = String::new();
    for (r, rsc) in input.resources.iter().enumerate() {
        for (n, score) in plan.places.scores[r].iter().enumerate() {
            if let Some(score) = score {
                let _ = writeln!(out, "{} allocation score on {}: {score}", rsc.id, input.nodes[n].uname);
            }
        }
    }
    for (r, n, score) in &plan.places.promotion {
        let _ = writeln!(
            out,
            "{} promotion score on {}: {score}",
            input.resources[*r].id, input.nodes[*n].uname
        );
    }
    out
}

/// The plan for programs: each action with those it waits for, and where each resource belongs.
pub fn json(input: &Input, plan: &Plan) -> String {
    let text = |s: &str| {
        let mut out = String::from("\"");
        for c in s.chars() {
            match c {
                '"' | '\\' => {
                    out.push('\\');
                    out.push(c);
                }
                c if c < ' ' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out.push('"');
        out
    };
    let places = (0..input.resources.len())
        .filter(|r| input.primitive(*r).is_some())
        .map(|r| {
            let node = plan.places.node[r].map_or("null".to_owned(), |n| text(&input.nodes[n].uname));
            let role = match plan.places.role[r] {
                Role::Stopped => "Stopped",
                Role::Started => "Started",
                Role::Slave => "Unpromoted",
                Role::Master => "Promoted",
            };
            format!(
                "{{\"resource\":{},\"node\":{node},\"role\":\"{role}\"}}",
                text(&input.resources[r].id)
            )
        });
    let actions = plan.actions.iter().map(|a| {
        let after: Vec<String> = a.after.iter().map(ToString::to_string).collect();
        format!(
            "{{\"action\":{},\"after\":[{}]}}",
            text(&action_line(input, &a.what)),
            after.join(",")
        )
    });
    let complaints = plan.complaints.iter().map(|c| text(c));
    format!(
        "{{\"places\":[{}],\"actions\":[{}],\"complaints\":[{}]}}",
        places.collect::<Vec<_>>().join(","),
        actions.collect::<Vec<_>>().join(","),
        complaints.collect::<Vec<_>>().join(",")
    )
}
