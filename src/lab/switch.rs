//! The process behind a lab: joins the nodes' cables, loses what is cut, and holds the nodes' keepers.

use super::control;
use super::fabric::{Fault, Faults, Learned, SERIAL};
use super::files::NodeFiles;
use super::keeper;
use super::netlink;
use super::plan::{Node, Plan};
use crate::sys::ethernet::{TAP_HEADER, Tap};
use crate::sys::interrupt::Told;
use crate::sys::namespace::{self, FirstProcess, Pty, RouteSocket};
use crate::sys::poll::{Want, wait};
use crate::sys::process;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// A large segment of 64 KiB and its headers.
const LARGEST_FRAME: usize = 66 * 1024;
/// Frames of one port in one turn: a flood on one must not keep the others waiting.
const FRAMES_A_TURN: usize = 64;

/// A node that is switched on.
#[derive(Debug)]
struct Running {
    keeper: FirstProcess,
    frozen: bool,
}

#[derive(Debug)]
struct Port {
    node: usize,
    link: String,
    tap: Tap,
}

#[derive(Debug)]
struct Switch {
    plan: Plan,
    running: Vec<Option<Running>>,
    ports: Vec<Port>,
    learned: BTreeMap<String, Learned>,
    faults: Faults,
    serial: Option<[Pty; 2]>,
    kernel: RouteSocket,
}

/// The whole life of the process. `owned`: it ends when its standard input does, that is, when its owner dies.
///
/// Says `ready` or the reason on standard output. When it returns the lab is gone; the directory is not.
pub fn run(directory: &Path, owned: bool) -> io::Result<()> {
    namespace::own_session();
    // A cable is not slower because a machine is busy. Children do not inherit this; who is not root does without.
    let _ = process::realtime(1);
    let mut out = io::stdout();
    match Switch::set_up(directory) {
        Ok((switch, listener)) => {
            writeln!(out, "{}", keeper::READY)?;
            out.flush()?;
            switch.run(&listener, owned)
        }
        Err(e) => {
            writeln!(out, "{e}")?;
            Err(e)
        }
    }
}

impl Switch {
    fn set_up(directory: &Path) -> io::Result<(Self, UnixListener)> {
        let plan = control::read_plan(directory)?;
        let why = |what: &str, e: io::Error| io::Error::new(e.kind(), format!("{what}: {e}"));
        if !process::is_root() {
            namespace::become_root_of_own_namespace().map_err(|e| {
                why(
                    "cannot make a user namespace (does this machine allow them? root needs none)",
                    e,
                )
            })?;
        }
        namespace::own_network_and_mounts().map_err(|e| why("cannot make a network namespace", e))?;
        // The switch's ends of the cables must not speak themselves.
        let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        let listener = UnixListener::bind(control::socket(directory))?;
        listener.set_nonblocking(true)?;
        let serial = if plan.serial {
            Some([Pty::open()?, Pty::open()?])
        } else {
            None
        };
        if let Some(ends) = &serial {
            for (end, node) in ends.iter().zip(plan.cluster()) {
                symlink(&end.path, NodeFiles::of(&plan, node).serial())?;
            }
        }
        let count = plan.nodes.len();
        let mut switch = Self {
            plan,
            running: (0..count).map(|_| None).collect(),
            ports: Vec::new(),
            learned: BTreeMap::new(),
            faults: Faults::default(),
            serial,
            kernel: RouteSocket::open()?,
        };
        for node in 0..count {
            switch.switch_on(node)?;
        }
        Ok((switch, listener))
    }

    fn switch_on(&mut self, node: usize) -> io::Result<()> {
        if self.running[node].is_some() {
            return Ok(());
        }
        let name = self.plan.nodes[node].name.clone();
        NodeFiles::of(&self.plan, &name).clear_run()?;
        let words = ["__keeper".as_ref(), self.plan.directory.as_os_str(), name.as_ref()];
        let mut keeper = FirstProcess::start(&self.plan.program, &words)?;
        let line = first_line(&mut keeper.output)?;
        if line != keeper::READY {
            keeper.end();
            return Err(io::Error::other(match line.as_str() {
                "" => format!("node {name}: its first process died"),
                reason => reason.to_owned(),
            }));
        }
        self.running[node] = Some(Running { keeper, frozen: false });
        for link in self.plan.nodes[node].links.clone() {
            let port = self.plan.port(&name, &link.name);
            let index = namespace::interface_index(&port)?;
            keeper::ask(&self.kernel, &port, &netlink::link_up(index))?;
            let tap = Tap::open(&port)?;
            self.ports.push(Port {
                node,
                link: link.name,
                tap,
            });
        }
        Ok(())
    }

    /// Power gone: from one moment to the next no frame and no process of the node is left.
    fn switch_off(&mut self, node: usize) {
        self.ports.retain(|p| p.node != node);
        // Nobody in it is to see its links and addresses go.
        let _ = self.order(node, keeper::KILL);
        let Node { name, links, .. } = &self.plan.nodes[node];
        for link in links {
            // The kernel takes a dead node's network away some time later; a node that boots needs the names now.
            if let Ok(index) = namespace::interface_index(&self.plan.port(name, &link.name)) {
                let _ = keeper::ask(&self.kernel, &link.name, &netlink::delete_link(index));
            }
        }
        if let Some(running) = self.running[node].take() {
            running.keeper.end();
        }
    }

    /// Gives an order to a node's keeper and waits until it has been carried out.
    fn order(&mut self, node: usize, order: u8) -> io::Result<u8> {
        let name = self.plan.nodes[node].name.clone();
        let Some(running) = &mut self.running[node] else {
            return Err(io::Error::other(format!("node {name}: is switched off")));
        };
        running.keeper.input.write_all(&[order])?;
        let mut answer = [0];
        running.keeper.output.read_exact(&mut answer)?;
        match order {
            keeper::FREEZE => running.frozen = true,
            keeper::KILL | keeper::THAW => running.frozen = false,
            _ => {}
        }
        Ok(answer[0])
    }

    fn run(mut self, listener: &UnixListener, owned: bool) -> io::Result<()> {
        let ends = Told::of_ended_children()?;
        let stdin = io::stdin();
        let mut buffer = vec![0; LARGEST_FRAME];
        loop {
            let mut wants = vec![Want::read(listener.as_fd()), Want::read(ends.fd())];
            wants.extend(self.ports.iter().map(|p| Want::read(p.tap.fd())));
            wants.extend(self.serial.iter().flatten().map(|p| Want::read(p.fd())));
            if owned {
                wants.push(Want::read(stdin.as_fd()));
            }
            let ready = wait(&wants, Instant::NEVER)?;
            let ports = self.ports.len();
            for at in 0..ports {
                if ready[2 + at].read {
                    self.forward(at, &mut buffer);
                }
            }
            if self.serial.is_some() {
                for end in 0..2 {
                    if ready[2 + ports + end].read {
                        self.relay(end, &mut buffer);
                    }
                }
            }
            if owned && ready.last().is_some_and(|r| r.read) && stdin.lock().read(&mut [0]).unwrap_or(0) == 0 {
                break;
            }
            if ready[1].read {
                ends.clear();
                self.notice_ended_keepers();
            }
            if ready[0].read
                && let Ok((stream, _)) = listener.accept()
                && let Some(last) = self.serve(stream)
            {
                self.all_off();
                drop(last);
                return Ok(());
            }
        }
        self.all_off();
        // The owner is dead: nobody else removes this.
        control::remove_directory(&self.plan.directory)
    }

    fn all_off(&mut self) {
        for node in 0..self.running.len() {
            self.switch_off(node);
        }
    }

    fn notice_ended_keepers(&mut self) {
        for node in 0..self.running.len() {
            if self.running[node].as_ref().is_some_and(|r| r.keeper.has_ended()) {
                self.running[node] = None;
                self.switch_off(node);
            }
        }
    }

    fn forward(&mut self, at: usize, buffer: &mut [u8]) {
        let from = &self.ports[at];
        let from_name = &self.plan.nodes[from.node].name;
        for _ in 0..FRAMES_A_TURN {
            // An interface that went away says so here; the end of its keeper is noticed elsewhere.
            let Ok(Some(frame)) = from.tap.read(buffer) else {
                return;
            };
            let Some(ethernet) = frame.get(TAP_HEADER..) else {
                continue;
            };
            let learned = self.learned.entry(from.link.clone()).or_default();
            let only = learned.route(from.node, ethernet);
            for to in &self.ports {
                let wanted = to.node != from.node && to.link == from.link && only.is_none_or(|n| n == to.node);
                if wanted && !self.faults.lost(from_name, &self.plan.nodes[to.node].name, &from.link) {
                    to.tap.write(frame);
                }
            }
        }
    }

    fn relay(&mut self, end: usize, buffer: &mut [u8]) {
        let Some(ends) = &self.serial else { return };
        let bytes = ends[end].read(buffer);
        let (from, to) = (&self.plan.nodes[end].name, &self.plan.nodes[1 - end].name);
        if !bytes.is_empty() && !self.faults.lost(from, to, SERIAL) {
            ends[1 - end].write(bytes);
        }
    }

    /// Answers one request. Returns the stream when it asked for the end of the lab: it closes when all is over.
    fn serve(&mut self, mut stream: UnixStream) -> Option<UnixStream> {
        // Clients write their one line at once; one that does not must not hold the network up.
        let patience = std::time::Duration::from_millis(200);
        stream.set_nonblocking(false).ok()?;
        stream.set_read_timeout(Some(patience)).ok()?;
        stream.set_write_timeout(Some(patience)).ok()?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).ok()?;
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if words == ["down"] {
            return Some(stream);
        }
        let answer = match self.answer(&words) {
            Ok(text) => text,
            Err(e) => format!("error {e}\n"),
        };
        let _ = stream.write_all(answer.as_bytes());
        None
    }

    fn answer(&mut self, words: &[&str]) -> io::Result<String> {
        match words {
            [] => Err(io::Error::other("the request is empty")),
            ["status"] => Ok(self.status()),
            ["heal"] => {
                self.faults.heal();
                Ok(String::new())
            }
            ["fault", rest @ ..] => {
                let fault: Fault = rest.join(" ").parse().map_err(io::Error::other)?;
                for node in fault.from.iter().chain(&fault.to) {
                    self.node(node)?;
                }
                self.faults.add(fault);
                Ok(String::new())
            }
            ["pid", node] => {
                let node = self.node(node)?;
                match &self.running[node] {
                    Some(running) => Ok(format!("{}\n", running.keeper.id())),
                    None => Err(io::Error::other(format!(
                        "node {}: is switched off",
                        self.plan.nodes[node].name
                    ))),
                }
            }
            ["runs", node] => {
                let node = self.node(node)?;
                let answer = self.order(node, keeper::ANYBODY)?;
                Ok(if answer == keeper::NOBODY { "no" } else { "yes" }.to_owned())
            }
            [verb @ ("kill" | "freeze" | "thaw" | "off" | "on"), node] => {
                let node = self.node(node)?;
                match *verb {
                    "kill" => drop(self.order(node, keeper::KILL)?),
                    "freeze" => drop(self.order(node, keeper::FREEZE)?),
                    "thaw" => drop(self.order(node, keeper::THAW)?),
                    "off" => self.switch_off(node),
                    _ => self.switch_on(node)?,
                }
                Ok(String::new())
            }
            _ => Err(io::Error::other(format!(
                "\"{}\" is not a request to a lab",
                words.join(" ")
            ))),
        }
    }

    fn node(&self, name: &str) -> io::Result<usize> {
        self.plan.nodes.iter().position(|n| n.name == name).ok_or_else(|| {
            let all: Vec<&str> = self.plan.nodes.iter().map(|n| n.name.as_str()).collect();
            io::Error::other(format!("node {name}: is not in this lab, which has {}", all.join(" ")))
        })
    }

    fn status(&self) -> String {
        let mut out = String::new();
        for (node, running) in self.plan.nodes.iter().zip(&self.running) {
            let state = match running {
                None => "off",
                Some(r) if r.frozen => "frozen",
                Some(_) => "on",
            };
            out.push_str(&format!("node {} {state}\n", node.name));
        }
        for fault in self.faults.list() {
            out.push_str(&format!("fault {fault}\n"));
        }
        out
    }
}

/// A byte at a time: what comes later is for somebody else.
fn first_line(from: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
