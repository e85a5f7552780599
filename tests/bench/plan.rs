//! How long the policy takes for one large CIB: our crm_simulate and Debian's, printed. See README.md here.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use ha::cib::{Cib, Element};
use ha::policy::{history, plan::plan, unpack};
use ha::time::Wall;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::io;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

const DEBIAN: &str = "/usr/sbin/crm_simulate";

fn arguments() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        let parser = value_parser!(u32).range(1..=100_000);
        Arg::new(name)
            .long(name)
            .value_name("N")
            .value_parser(parser)
            .default_value(default)
            .help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).action(ArgAction::SetTrue);
        arg.help(help)
    };
    Command::new("plan")
        .about("Measures how long the policy takes for one large CIB")
        .arg(number("resources", "1000", "primitives, five to a group"))
        .arg(number("nodes", "5", "nodes; the last of them is down"))
        .arg(number("runs", "9", "how often each is measured; -S of Debian's once"))
        .arg(flag("rival", "measure Debian's crm_simulate, too"))
        .arg(flag("simulate", "also what follows when the plan is carried out (-S)"))
        // cargo bench says so to every benchmark.
        .arg(flag("bench", "").hide(true))
}

fn main() -> ExitCode {
    match measure(&arguments().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("plan: {e}");
            ExitCode::FAILURE
        }
    }
}

fn measure(matches: &ArgMatches) -> io::Result<()> {
    let number = |name: &str| *matches.get_one::<u32>(name).expect("it has a default") as usize;
    let document = large(number("resources"), number("nodes"));
    let file = std::env::temp_dir().join(format!("plan-{}.xml", std::process::id()));
    std::fs::write(&file, document.to_indented())?;
    let outcome = all(matches, number("runs"), &file, document);
    std::fs::remove_file(&file)?;
    outcome
}

fn all(matches: &ArgMatches, runs: usize, file: &Path, document: Element) -> io::Result<()> {
    println!("{} elements, {} bytes", document.walk().count(), file.metadata()?.len());
    let cib = Cib::from_element(document).map_err(|e| io::Error::other(e.to_string()))?;
    let (mut took, mut actions) = (Vec::new(), 0);
    for _ in 0..runs {
        let (before, begin) = (used(UsageWho::RUSAGE_SELF)?, Instant::now());
        let mut input = unpack::unpack(&cib, Wall(0));
        let state = history::read(&cib, &mut input);
        actions = plan(&input, &state).actions.len();
        took.push((begin.elapsed(), used(UsageWho::RUSAGE_SELF)? - before));
    }
    report(&format!("the plan of {actions} actions, the file being read"), took);
    let rival = matches.get_flag("rival") && Path::new(DEBIAN).exists();
    if matches.get_flag("rival") && !rival {
        println!("SKIPPED: {DEBIAN} is not there (Debian's package pacemaker-cli-utils)");
    }
    let mut ways = vec!["-R"];
    if matches.get_flag("simulate") {
        ways.push("-S");
    }
    for way in ways {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // In turn: what else the machine does falls on both.
        for n in 0..runs {
            ours.push(run(env!("CARGO_BIN_EXE_crm_simulate"), way, file)?);
            if rival && (n == 0 || way == "-R") {
                theirs.push(run(DEBIAN, way, file)?);
            }
        }
        let ours = report(&format!("our crm_simulate {way}"), ours);
        if rival {
            let theirs = report(&format!("Debian's crm_simulate {way}"), theirs);
            let times = |theirs: Duration, ours: Duration| theirs.as_secs_f64() / ours.as_secs_f64();
            println!(
                "{way}: Debian's takes {:.1} times as much of the processor, {:.1} times as long",
                times(theirs.1, ours.1),
                times(theirs.0, ours.0)
            );
        }
    }
    Ok(())
}

/// Clock and processor; the medians.
fn report(what: &str, all: Vec<(Duration, Duration)>) -> (Duration, Duration) {
    let spread = |mut times: Vec<Duration>| {
        times.sort();
        (times[times.len() / 2], times[0], times[times.len() - 1])
    };
    let count = all.len();
    let (clock, processor): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let (clock, processor) = (spread(clock), spread(processor));
    let text = |(median, least, most): (Duration, Duration, Duration)| {
        let ms = |d: Duration| format!("{:.1}", d.as_secs_f64() * 1000.0);
        format!("{} ms ({} to {})", ms(median), ms(least), ms(most))
    };
    println!(
        "{what}, {count} times: of the processor {}, on the clock {}",
        text(processor),
        text(clock)
    );
    (clock.0, processor.0)
}

/// How long a program took, on the clock and of the processor.
fn run(program: &str, way: &str, file: &Path) -> io::Result<(Duration, Duration)> {
    let (before, begin) = (used(UsageWho::RUSAGE_CHILDREN)?, Instant::now());
    let status = std::process::Command::new(program)
        .args([way, "-x"])
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("{program} {way}: {status}")));
    }
    Ok((begin.elapsed(), used(UsageWho::RUSAGE_CHILDREN)? - before))
}

/// Of the processor, without what the kernel did.
fn used(who: UsageWho) -> io::Result<Duration> {
    let microseconds = getrusage(who)?.user_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(microseconds).unwrap_or(0)))
}

/// Groups of five, spread over the nodes; each second one likes a node, each fourth goes with the one before it, and each
/// fourth starts after it. Everything runs and is known everywhere, and then the last node is lost.
fn large(resources: usize, nodes: usize) -> Element {
    let pair = |id: String, name: &str, value: &str| {
        let e = Element::new("nvpair").with("id", id);
        e.with("name", name).with("value", value)
    };
    let options = Element::new("cluster_property_set").with("id", "options").holding(pair(
        "fencing".into(),
        "stonith-enabled",
        "false",
    ));
    let mut all_nodes = Element::new("nodes");
    let mut sections = (Element::new("resources"), Element::new("constraints"));
    for n in 1..=nodes {
        all_nodes
            .children
            .push(Element::new("node").with("id", n).with("uname", format!("node{n}")));
    }
    let members = |g: usize| (g * 5..resources.min(g * 5 + 5)).map(|i| format!("r{i}"));
    for g in 0..resources.div_ceil(5) {
        let mut group = Element::new("group").with("id", format!("g{g}"));
        for id in members(g) {
            let op = Element::new("op").with("id", format!("{id}-m")).with("name", "monitor");
            let agent = Element::new("primitive").with("id", id).with("class", "ocf");
            let agent = agent.with("provider", "pacemaker").with("type", "Dummy");
            group
                .children
                .push(agent.holding(Element::new("operations").holding(op.with("interval", "10s"))));
        }
        sections.0.children.push(group);
        let (this, last) = (format!("g{g}"), format!("g{}", g.saturating_sub(1)));
        if g % 2 == 0 {
            let location = Element::new("rsc_location")
                .with("id", format!("l{g}"))
                .with("rsc", &this);
            let node = format!("node{}", 1 + g % nodes);
            sections
                .1
                .children
                .push(location.with("node", node).with("score", "100"));
        }
        if g % 4 == 1 {
            let colocation = Element::new("rsc_colocation").with("id", format!("k{g}"));
            let pair = colocation.with("rsc", &this).with("with-rsc", &last);
            sections.1.children.push(pair.with("score", "INFINITY"));
        }
        if g % 4 == 3 {
            let order = Element::new("rsc_order")
                .with("id", format!("o{g}"))
                .with("first", &last);
            sections.1.children.push(order.with("then", &this));
        }
    }
    let mut status = Element::new("status");
    for n in 0..nodes {
        let up = n + 1 < nodes || nodes == 1;
        let mut lrm = Element::new("lrm_resources");
        for i in 0..resources {
            // Groups that go with each other run on one node.
            let g = i / 5;
            let home = if g % 4 == 1 { g - 1 } else { g } % nodes;
            lrm.children.push(known(&format!("r{i}"), home == n));
        }
        let state = Element::new("node_state")
            .with("id", n + 1)
            .with("uname", format!("node{}", n + 1));
        let state = state
            .with("in_ccm", up)
            .with("crmd", if up { "online" } else { "offline" });
        let state = state
            .with("join", if up { "member" } else { "down" })
            .with("expected", "member");
        status
            .children
            .push(state.holding(Element::new("lrm").with("id", n + 1).holding(lrm)));
    }
    let mut cib = Element::new("cib")
        .with("admin_epoch", 0)
        .with("epoch", 1)
        .with("num_updates", 1);
    for (name, value) in [
        ("crm_feature_set", "3.16.1"),
        ("validate-with", "pacemaker-3.9"),
        ("have-quorum", "1"),
        ("dc-uuid", "1"),
        ("execution-date", "1795248000"),
    ] {
        cib.set(name, value);
    }
    cib.holding(
        Element::new("configuration")
            .holding(Element::new("crm_config").holding(options))
            .holding(all_nodes)
            .holding(sections.0)
            .holding(sections.1),
    )
    .holding(status)
}

/// The history of a resource on a node: started there and looked after, or found not to run.
fn known(id: &str, runs: bool) -> Element {
    // The digests of no parameters, and of a time limit of 20 s alone.
    let (none, limit) = ("f2317cad3d54cec5d7d7aa7d0bf35cf8", "4811cef7f7f94e3a35a70be7916cb2fd");
    let line = |operation: &str, interval: u32, rc: u32, digest: &str| {
        let key = format!("1:1:{rc}:5aba61cc-0000-0000-0000-000000000000");
        let name = if interval == 0 {
            format!("{id}_last_0")
        } else {
            format!("{id}_monitor_{interval}")
        };
        let e = Element::new("lrm_rsc_op").with("id", name);
        let e = e.with("operation_key", format!("{id}_{operation}_{interval}"));
        let e = e.with("operation", operation).with("interval", interval);
        let e = e
            .with("call-id", 10 + interval / 1000)
            .with("rc-code", rc)
            .with("op-status", 0);
        let e = e
            .with("transition-key", &key)
            .with("transition-magic", format!("0:{rc};{key}"));
        e.with("last-rc-change", 1_795_244_000).with("op-digest", digest)
    };
    let e = Element::new("lrm_resource").with("id", id).with("class", "ocf");
    let e = e.with("provider", "pacemaker").with("type", "Dummy");
    if runs {
        e.holding(line("start", 0, 0, none))
            .holding(line("monitor", 10_000, 0, limit))
    } else {
        e.holding(line("monitor", 0, 7, none))
    }
}
