//! Process 1 of a node: makes the node's network, mounts and name, then collects dead processes until it is ended.

use super::files::NodeFiles;
use super::netlink;
use super::plan::{Node, Plan, Role};
use super::{classic, control};
use crate::sys::interrupt::Told;
use crate::sys::namespace::{self, Everybody, RouteSocket};
use crate::sys::poll::{Want, wait};
use crate::time::Instant;
use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// The orders a keeper reads from its standard input, a byte each; it answers each with the same byte, but `ANYBODY` with
/// `NOBODY` when no process runs in the node.
pub const KILL: u8 = b'k';
pub const FREEZE: u8 = b'z';
pub const THAW: u8 = b't';
pub const ANYBODY: u8 = b'a';
pub const NOBODY: u8 = b'n';

/// What it says when the node is there; anything else is the reason why it is not.
pub const READY: &str = "ready";

/// The whole life of the process. It ends when its standard input does: then the switch is gone.
pub fn run(directory: &Path, name: &str) -> io::Result<()> {
    namespace::die_with_parent()?;
    let mut out = io::stdout();
    let ends = match set_up(directory, name) {
        Ok(ends) => ends,
        Err(e) => {
            writeln!(out, "node {name}: {e}")?;
            return Err(e);
        }
    };
    writeln!(out, "{READY}")?;
    out.flush()?;
    let mut orders = io::stdin();
    loop {
        let ready = wait(&[Want::read(orders.as_fd()), Want::read(ends.fd())], Instant::NEVER)?;
        if ready[1].read {
            ends.clear();
            namespace::reap();
        }
        if ready[0].read {
            let mut order = [0];
            if orders.read(&mut order)? == 0 {
                return Ok(());
            }
            match order[0] {
                KILL => namespace::signal_everybody(Everybody::Kill),
                FREEZE => namespace::signal_everybody(Everybody::Freeze),
                THAW => namespace::signal_everybody(Everybody::Thaw),
                ANYBODY if !anybody() => order = [NOBODY],
                _ => {}
            }
            out.write_all(&order)?;
            out.flush()?;
        }
    }
}

/// Whether a process other than this one runs in the node. A dead one that nobody has collected yet holds nothing open.
fn anybody() -> bool {
    let Ok(entries) = fs::read_dir("/proc") else {
        return false;
    };
    let me = std::process::id();
    entries.flatten().any(|entry| {
        let pid = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok());
        let dead = || {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            // Its first thread may be dead before the others.
            let threads = fs::read_dir(entry.path().join("task")).map_or(0, Iterator::count);
            state.is_none_or(|s| s == 'Z' || s == 'X') && threads <= 1
        };
        pid.is_some_and(|pid| pid != me) && !dead()
    })
}

fn set_up(directory: &Path, name: &str) -> io::Result<Told> {
    let plan = control::read_plan(directory)?;
    let node = plan
        .node(name)
        .ok_or_else(|| io::Error::other(format!("node {name}: is not in the plan of the lab")))?;
    let ends = Told::of_ended_children()?;
    let outside = namespace::this_network()?;
    namespace::own_everything_but_processes()?;
    namespace::set_host_name(name)?;
    // A site's own kernel settings of the outer network do not come in; IPv6 addresses shall be there at once.
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
    make_links(&plan, node, outside.as_fd())?;
    mounts(&plan, name)?;
    Ok(ends)
}

fn make_links(plan: &Plan, node: &Node, outside: BorrowedFd<'_>) -> io::Result<()> {
    let kernel = RouteSocket::open()?;
    ask(&kernel, "lo", &netlink::link_up(namespace::interface_index("lo")?))?;
    for link in &node.links {
        let port = plan.port(&node.name, &link.name);
        ask(
            &kernel,
            &link.name,
            &netlink::new_cable(&link.name, link.mac, &port, namespace::number(outside)),
        )?;
        let index = namespace::interface_index(&link.name)?;
        for (address, prefix) in &link.addresses {
            let what = format!("{} {address}/{prefix}", link.name);
            match ask(&kernel, &what, &netlink::new_address(index, *address, *prefix)) {
                // A machine without IPv6 still makes a lab.
                Err(_) if matches!(address, IpAddr::V6(_)) => {}
                result => result?,
            }
        }
        ask(&kernel, &link.name, &netlink::link_up(index))?;
    }
    if node.role == Role::Cluster {
        let index = namespace::interface_index("eth0")?;
        ask(
            &kernel,
            "default route",
            &netlink::default_route(index, Plan::gateway()),
        )?;
    }
    Ok(())
}

/// Sends one request to the kernel; the error names what it was about.
pub fn ask(kernel: &RouteSocket, what: &str, request: &[u8]) -> io::Result<()> {
    let answer = kernel.ask(request)?;
    netlink::acknowledged(&answer).map_err(|number| {
        let e = io::Error::from_raw_os_error(number);
        io::Error::new(e.kind(), format!("interface {what}: the kernel refused it: {e}"))
    })
}

/// The node's own /proc, /run and /var/log; its files are also where the classic has them, if those places exist.
fn mounts(plan: &Plan, name: &str) -> io::Result<()> {
    let files = NodeFiles::of(plan, name);
    if let (Some(packages), true) = (&plan.packages, plan.is_classic(name)) {
        classic::mounts(packages, &files)?;
    }
    let named = |what: &str, result: io::Result<()>| {
        result.map_err(|e| io::Error::new(e.kind(), format!("{what}: cannot be mounted: {e}")))
    };
    let over = |what: &Path, at: &str| -> io::Result<()> {
        if Path::new(at).exists() {
            named(at, namespace::bind_mount(what, Path::new(at)))
        } else {
            Ok(())
        }
    };
    over(&files.log(), "/var/log")?;
    over(&files.ha_d(), "/etc/ha.d")?;
    over(&files.state(), "/var/lib/heartbeat")?;
    over(&plan.directory.join("hosts"), "/etc/hosts")?;
    for accounts in ["passwd", "group"] {
        let file = plan.directory.join(accounts);
        if file.exists() {
            over(&file, &format!("/etc/{accounts}"))?;
        }
    }
    if let Ok(inside) = plan.directory.strip_prefix("/run") {
        // The lab's own directory must still be there once /run is the node's.
        let at = files.run().join(inside);
        fs::create_dir_all(&at)?;
        named("the lab's directory", namespace::bind_mount(&plan.directory, &at))?;
    }
    over(&files.run(), "/run")?;
    // Before /proc: what was inherited of it still shows the outer processes.
    let _ = namespace::mount_sys();
    named("/proc", namespace::mount_proc())
}
