//! What the verbs of `hb_lab` print.

use super::handle::{Lab, keeper_of};
use super::options::{Config, Options};
use super::plan::{Plan, Role};
use super::probe;
use super::site::Site;
use super::timeline::{Micros, Timeline, millis};
use super::{control, watch};
use crate::sys::ethernet::ArpSocket;
use crate::sys::interrupt::Told;
use crate::sys::namespace::{self, now_micros};
use crate::sys::process;
use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Output;

/// A probe that was lost on a busy machine is not worth a line: gaps below this are not shown.
const LEAST_GAP: Micros = 5_000;

pub fn up(options: &Options) -> io::Result<()> {
    let lab = Lab::up(options)?;
    let mut out = io::stdout();
    let from = match &options.config {
        Config::Site(dir) => format!(" with the files of {}", dir.display()),
        _ => String::new(),
    };
    writeln!(out, "lab {} is up{from}:", lab.plan.name)?;
    for node in &lab.plan.nodes {
        if node.role == Role::Ping {
            writeln!(out, "  {:<12} answers pings", node.name)?;
            continue;
        }
        write!(out, "  {:<12}", node.name)?;
        for link in &node.links {
            let v4 = link.addresses.iter().filter(|a| a.0.is_ipv4());
            let list: Vec<String> = v4.map(|(a, p)| format!("{a}/{p}")).collect();
            write!(out, " {} {}", link.name, list.join(" "))?;
        }
        writeln!(out)?;
    }
    for line in &lab.left_out {
        writeln!(out, "  left out of ha.cf: {line}")?;
    }
    if lab.plan.serial {
        writeln!(out, "  a serial line joins the first two nodes")?;
    }
    let first = lab.plan.cluster().next().unwrap_or_default();
    writeln!(out, "the nodes' files: {}", lab.plan.directory.display())?;
    let (option, name) = match lab.plan.name.as_str() {
        "lab" => (String::new(), String::new()),
        name => (format!(" -l {name}"), format!(" {name}")),
    };
    writeln!(
        out,
        "next: hb_lab start{option} {first}; hb_lab watch{option}; hb_lab down{name}"
    )
}

pub fn down(name: &str) -> io::Result<()> {
    let mut out = io::stdout();
    if Lab::remove(name)? {
        writeln!(out, "lab {name}: nothing of it is left")
    } else {
        writeln!(out, "lab {name}: there is none")
    }
}

pub fn status(lab: &Lab) -> io::Result<()> {
    let mut out = io::stdout();
    for line in lab.ask("status")?.lines() {
        match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            ["node", node, "on"] if lab.plan.cluster().any(|n| n == node) => {
                let runs = heartbeat_runs(lab, node);
                writeln!(
                    out,
                    "{node:<12} on, heartbeat {}",
                    if runs { "runs" } else { "does not run" }
                )?;
                for client in client_processes(lab, node) {
                    writeln!(out, "{:<12}   {client}", "")?;
                }
            }
            ["node", node, state] => writeln!(out, "{node:<12} {state}")?,
            ["fault", from, to, link, percent] => {
                let every = |w: &str, all: &str| if w == "*" { all.to_owned() } else { w.to_owned() };
                let loss = if percent == "100" {
                    "cut".into()
                } else {
                    format!("{percent} % lost")
                };
                let (from, to) = (every(from, "every node"), every(to, "every node"));
                writeln!(out, "{loss}: {from} -> {to}, {}", every(link, "every interface"))?;
            }
            _ => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}

/// The pid file names a process that the node has.
fn heartbeat_runs(lab: &Lab, node: &str) -> bool {
    let pid = fs::read_to_string(lab.files(node).run().join("heartbeat.pid")).unwrap_or_default();
    let Ok(pid) = pid.trim().parse::<u32>() else {
        return false;
    };
    lab.exec(node, &["test", "-d", &format!("/proc/{pid}")])
        .is_ok_and(|o| o.status.success())
}

/// The programs of `respawn` lines that run in a node: its file names them, the node says which still are there.
fn client_processes(lab: &Lab, node: &str) -> Vec<String> {
    let file = fs::read_to_string(lab.files(node).run().join("heartbeat.clients")).unwrap_or_default();
    let mut found = Vec::new();
    for line in file.lines().skip(1) {
        let words: Vec<&str> = line.splitn(6, ' ').collect();
        let [pid, _, _, _, _, command] = words[..] else {
            continue;
        };
        let there = lab.exec(node, &["test", "-d", &format!("/proc/{pid}")]);
        if pid != "0" && there.is_ok_and(|o| o.status.success()) {
            found.push(format!("client {command} [pid {pid}]"));
        }
    }
    found
}

/// Hands on what a program in a node printed, and its exit code.
pub fn passed_on(output: &Output) -> io::Result<u8> {
    io::stdout().write_all(&output.stdout)?;
    io::stderr().write_all(&output.stderr)?;
    Ok(exit_code(output.status))
}

/// 128 and the signal's number for a killed one, as the shell does.
pub fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let number = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
    u8::try_from(number).unwrap_or(1)
}

/// The first address of the lab's haresources.
pub fn first_address(lab: &Lab) -> io::Result<Ipv4Addr> {
    let node = lab.plan.cluster().next().unwrap_or_default().to_owned();
    let file = lab.files(&node).ha_d().join("haresources");
    let text = fs::read_to_string(&file)?;
    let services = Site::read("", &text).services;
    services
        .first()
        .map(|s| s.address)
        .ok_or_else(|| io::Error::other(format!("{}: names no address; say which one to watch", file.display())))
}

/// Prints each change of owner as it is seen, and the sum at the end (`seconds` over, or Ctrl-C).
pub fn watch(lab: &Lab, address: Ipv4Addr, seconds: Option<f64>, json: bool) -> io::Result<()> {
    let stop = Told::of_interruption_or_hangup()?;
    let socket = client_socket(&lab.plan)?;
    let start = now_micros();
    let until = seconds.map_or(Micros::MAX, |s| start.saturating_add((s * 1e6) as Micros));
    let mut timeline = Timeline::default();
    let mut out = io::stdout();
    if !json {
        writeln!(out, "asking every millisecond who has {address}; Ctrl-C ends")?;
    }
    let mut broken = Ok(());
    let ended = probe::run(&socket, &lab.plan, address, 1000, until, Some(stop.fd()), |p| {
        if timeline.push(p.at, p.owners) && !json {
            broken = print_change(&mut out, &timeline, start);
        }
        broken.is_ok()
    });
    broken?;
    if json {
        writeln!(out, "{}", timeline.json(&address.to_string(), LEAST_GAP))?;
    } else {
        sum(&mut out, &timeline)?;
    }
    ended.map_err(|e| io::Error::new(e.kind(), format!("{address}: cannot be watched any more: {e}")))
}

fn print_change(out: &mut impl Write, timeline: &Timeline, start: Micros) -> io::Result<()> {
    let Some(span) = timeline.last() else { return Ok(()) };
    let at = span.from.saturating_sub(start) as f64 / 1e6;
    let gap = timeline.gaps(span.from - 1, 0).pop();
    match (&span.owners[..], gap) {
        // Said when somebody answers again, or in the sum.
        ([], _) => Ok(()),
        ([one], Some(gap)) if gap.to - gap.from >= LEAST_GAP => {
            writeln!(
                out,
                "{at:9.3} s  {one} answers, after {:.0} ms without an answer",
                gap.millis()
            )
        }
        ([_], Some(gap)) if gap.before == gap.after => Ok(()),
        ([one], _) => writeln!(out, "{at:9.3} s  {one} answers"),
        (more, _) => writeln!(out, "{at:9.3} s  TWO OWNERS: {}", more.join(" and ")),
    }
}

fn sum(out: &mut impl Write, timeline: &Timeline) -> io::Result<()> {
    let gaps = timeline.gaps(0, LEAST_GAP);
    let owners = timeline.owners(0);
    if owners.is_empty() {
        return writeln!(out, "nobody answered");
    }
    writeln!(out, "owners: {}", owners.join(", then "))?;
    match gaps.iter().map(|g| g.to - g.from).max() {
        Some(longest) => writeln!(out, "gaps: {}, the longest {:.0} ms", gaps.len(), millis(longest))?,
        None => writeln!(out, "gaps: none")?,
    }
    if timeline.last().is_some_and(|s| s.owners.is_empty()) {
        writeln!(out, "at the end nobody answered")?;
    }
    match timeline.double_time(0) {
        0 => writeln!(out, "two owners: never"),
        time => writeln!(out, "two owners: for {:.0} ms", millis(time)),
    }
}

/// `hb_lab __probe`: a line a change, and one now and then so that the reader knows how far the watch is.
pub fn probe(directory: &Path, address: Ipv4Addr) -> io::Result<()> {
    /// How old the reader's knowledge may become.
    const AT_LEAST_EVERY: Micros = 10_000;
    let plan = control::read_plan(directory)?;
    let socket = client_socket(&plan)?;
    let (mut last, mut told) = (None, 0);
    let stdin = io::stdin();
    let mut out = io::stdout().lock();
    // Lines before a change say how long the old state held: without them a gap would seem longer than it was.
    let mut held = None;
    probe::run(&socket, &plan, address, 1000, Micros::MAX, Some(stdin.as_fd()), |p| {
        let changed = last.as_ref() != Some(&p.owners);
        let mut text = String::new();
        if changed && let (Some(at), Some(owners)) = (held, &last) {
            text = watch::print(at, owners) + "\n";
        }
        held = Some(p.at);
        if changed || p.at >= told + AT_LEAST_EVERY {
            text += &(watch::print(p.at, &p.owners) + "\n");
            told = p.at;
        }
        last = Some(p.owners);
        text.is_empty() || out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
    })
}

/// A socket in the client's network; the caller stays there.
fn client_socket(plan: &Plan) -> io::Result<ArpSocket> {
    // As for the switch: the asking shall not depend on what else the machine does.
    let _ = process::realtime(1);
    let pid = keeper_of(plan, super::CLIENT)?;
    namespace::Place::of(pid)?.enter_network()?;
    ArpSocket::open("eth0")
}
