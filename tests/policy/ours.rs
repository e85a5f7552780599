//! What our policy does with a CIB, in the same words as [`super::debian`].

use super::debian::{Outcome, plain};
use ha::cib::{Cib, Element};
use ha::policy::input::{Input, Role};
use ha::policy::plan::{What, plan};
use ha::policy::{apply, history, summary, unpack};
use ha::time::Wall;

pub fn outcome(cib: &Element) -> Outcome {
    let cib = Cib::from_element(cib.clone()).expect("a CIB");
    let mut input = unpack::unpack(&cib, Wall(0));
    let state = history::read(&cib, &mut input);
    let plan = plan(&input, &state);
    let mut out = Outcome::default();
    for action in &plan.actions {
        out.actions.extend(line(&input, &action.what));
    }
    let after = apply::apply(&cib, &input, &plan);
    let mut input = unpack::unpack(&after, Wall(0));
    let state = history::read(&after, &mut input);
    for ((r, n), here) in &state.on {
        let promotable = input.is_promotable(*r);
        let role = match here.role {
            Role::Stopped => continue,
            Role::Master => "Promoted",
            _ if promotable => "Unpromoted",
            _ => "Started",
        };
        out.places.insert(format!(
            "{} {role} {}",
            plain(&input.resources[*r].id),
            input.nodes[*n].uname
        ));
    }
    out
}

fn line(input: &Input, what: &What) -> Option<String> {
    let id = |r: usize| plain(&input.resources[r].id).to_owned();
    let on = |n: usize| &input.nodes[n].uname;
    Some(match what {
        What::Run { rsc, node, task } => {
            let task = summary::task_word(task);
            format!("{} {task} {}", id(*rsc), on(*node))
        }
        What::Fence { node, action } => format!("fence {} {action}", on(*node)),
        What::ClearFailCount { rsc, node } => format!("{} clear_failcount {}", id(*rsc), on(*node)),
        What::Shutdown(n) => format!(" do_shutdown {}", on(*n)),
        What::Forget { rsc, node } => format!("{} delete {}", id(*rsc), on(*node)),
        What::Gone { .. } | What::Mark(_) => return None,
    })
}
