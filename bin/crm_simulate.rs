//! crm_simulate: what the crm would do with a CIB. It needs no daemon.

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use ha::cib::{Cib, Element};
use ha::crm::client::Access;
use ha::policy::apply::{self, Outcome};
use ha::policy::history::State;
use ha::policy::input::Input;
use ha::policy::plan::{Plan, plan};
use ha::policy::{history, show, summary, unpack};
use ha::time::Wall;
use std::io::{self, Write};
use std::process::ExitCode;

fn command() -> Command {
    let flag = |name: &'static str, short, help: &'static str| {
        Arg::new(name)
            .long(name)
            .short(short)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let value = |name: &'static str, short, word: &'static str, help: &'static str| {
        Arg::new(name).long(name).short(short).value_name(word).help(help)
    };
    let many = |name, short, word, help| value(name, short, word, help).action(ArgAction::Append);
    Command::new("crm_simulate")
        .about("Shows what the crm would do with a CIB")
        .arg(value("xml-file", 'x', "FILE", "the CIB"))
        .arg(flag("live-check", 'L', "the CIB of the cluster that runs"))
        .group(ArgGroup::new("source").args(["xml-file", "live-check"]).required(true))
        .arg(flag(
            "simulate",
            'S',
            "carry the plan out on paper and show what it leads to",
        ))
        .arg(flag(
            "show-scores",
            's',
            "show the scores of each resource on each node",
        ))
        .arg(flag("run", 'R', "show what would be done"))
        .arg(value("save-output", 'O', "FILE", "write the CIB that results to FILE"))
        .arg(value("quorum", 'q', "0|1", "with (1) or without (0) quorum").value_parser(["0", "1"]))
        .arg(value(
            "set-datetime",
            't',
            "SECONDS",
            "at that time, in seconds since 1970",
        ))
        .arg(many("node-up", 'u', "NODE", "as if NODE were online"))
        .arg(many("node-down", 'd', "NODE", "as if NODE were offline"))
        .arg(many(
            "op-inject",
            'i',
            "OP",
            "RESOURCE_OPERATION_MS@NODE=RC has happened",
        ))
        .arg(many("op-fail", 'F', "OP", "RESOURCE_OPERATION_MS@NODE=RC will happen"))
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("for programs"),
        )
}

fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() {
                ExitCode::from(64)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(&matches, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, why }) => {
            let _ = writeln!(io::stderr(), "crm_simulate: {why}");
            ExitCode::from(code)
        }
    }
}

/// One look at a CIB.
struct Look {
    input: Input,
    state: State,
}

fn look(cib: &Cib, now: Wall) -> Look {
    let mut input = unpack::unpack(cib, now);
    let state = history::read(cib, &mut input);
    Look { input, state }
}

/// Why it ends, and with which number.
struct Failure {
    code: u8,
    why: String,
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self { code: 1, why }
    }
}

fn run(matches: &ArgMatches, out: &mut impl Write) -> Result<(), Failure> {
    let one = |name: &str| matches.get_one::<String>(name);
    let is = |name: &str| matches.get_flag(name);
    let mut access = match one("xml-file") {
        Some(file) => Access::file("crm_simulate", file),
        None => Access::live("crm_simulate"),
    };
    let cib = access.cib().map_err(|e| Failure {
        code: if one("xml-file").is_some() { 1 } else { e.code() },
        why: e.to_string(),
    })?;
    let now = ha::sys::wall();
    let cib = changed(matches, cib, now)?;
    let Look { input, state } = look(&cib, now);
    let plan = plan(&input, &state);
    let outcomes = outcomes(matches, "op-fail")?;
    // What follows from the plan takes as long as the plan: only for who asked.
    let wanted = is("simulate") || one("save-output").is_some();
    let after = wanted.then(|| apply::apply_failing(&cib, &input, &plan, &outcomes));
    if let (Some(file), Some(after)) = (one("save-output"), &after) {
        std::fs::write(file, after.root().to_indented()).map_err(|e| format!("{file}: {e}"))?;
    }
    let said = |e: io::Error| format!("standard output: {e}");
    if is("json") {
        return Ok(writeln!(out, "{}", summary::json(&input, &plan)).map_err(said)?);
    }
    let mut text = format!(
        "Current cluster status:\n{}\n{}",
        show::nodes(&input, &state),
        show::resources(&input, &state)
    );
    if is("show-scores") {
        text += &format!("\nAllocation scores:\n{}", summary::scores(&input, &plan));
    }
    if is("run") || is("simulate") || is("show-scores") {
        text += &format!("\nTransition Summary:\n{}", summary::transition(&input, &state, &plan));
    }
    if let Some(after) = after.filter(|_| is("simulate")) {
        text += &format!("\nExecuting Cluster Transition:\n{}", summary::actions(&input, &plan));
        let then = look(&after, now);
        let (nodes, resources) = (
            show::nodes(&then.input, &then.state),
            show::resources(&then.input, &then.state),
        );
        text += &format!("\nRevised Cluster Status:\n{nodes}\n{resources}");
    }
    complain(&plan);
    // The process ends here: the kernel takes the memory of all this in one piece, and at once.
    std::mem::forget((cib, input, state, plan));
    Ok(out.write_all(text.as_bytes()).map_err(said)?)
}

fn complain(plan: &Plan) {
    for complaint in &plan.complaints {
        let _ = writeln!(io::stderr(), "crm_simulate: {complaint}");
    }
}

fn outcomes(matches: &ArgMatches, name: &str) -> Result<Vec<Outcome>, String> {
    let words = matches.get_many::<String>(name).into_iter().flatten();
    words.map(|w| w.parse().map_err(|e| format!("--{name}: {e}"))).collect()
}

/// The CIB as the options want it to be looked at.
fn changed(matches: &ArgMatches, cib: Cib, now: Wall) -> Result<Cib, String> {
    let one = |name: &str| matches.get_one::<String>(name);
    let changes = ["quorum", "set-datetime", "node-up", "node-down", "op-inject"];
    if !changes.iter().any(|name| matches.contains_id(name)) {
        return Ok(cib);
    }
    let mut root = cib.root().clone();
    if let Some(quorum) = one("quorum") {
        root.set("have-quorum", quorum);
    }
    if let Some(date) = one("set-datetime") {
        let seconds: u64 = date
            .parse()
            .map_err(|_| format!("--set-datetime: {date}: is no number of seconds since 1970"))?;
        root.set("execution-date", seconds);
    }
    let look = look(&cib, now);
    for (name, up) in [("node-up", true), ("node-down", false)] {
        for node in matches.get_many::<String>(name).into_iter().flatten() {
            let n = look
                .input
                .node(node)
                .ok_or_else(|| format!("--{name}: node {node}: is not in this CIB"))?;
            set_node(&mut root, &look.input.nodes[n].id, &look.input.nodes[n].uname, up);
        }
    }
    for outcome in outcomes(matches, "op-inject")? {
        if look.input.node(&outcome.node).is_none() || look.input.resource(&outcome.rsc).is_none() {
            return Err(format!(
                "--op-inject: {}@{}: there is no such resource or node",
                outcome.rsc, outcome.node
            ));
        }
        apply::inject(&mut root, &look.input, &outcome);
    }
    Cib::from_element(root).map_err(|e| e.to_string())
}

fn set_node(root: &mut Element, id: &str, uname: &str, up: bool) {
    let status = root.child_or_new("status");
    let at = status.children.iter().position(|e| e.id() == id).unwrap_or_else(|| {
        status
            .children
            .push(Element::new("node_state").with("id", id).with("uname", uname));
        status.children.len() - 1
    });
    let state = &mut status.children[at];
    let words = if up {
        ["true", "online", "member", "member"]
    } else {
        ["false", "offline", "down", "down"]
    };
    for (name, value) in ["in_ccm", "crmd", "join", "expected"].iter().zip(words) {
        state.set(name, value);
    }
    if !up {
        // It has left: what it ran, it runs no more.
        state.children.clear();
    }
}
