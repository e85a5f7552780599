//! The same events with other programs, from their unpacked Debian packages, in the same lab.
//!
//! heartbeat 3.0.6 runs with the same three files. keepalived has neither standby nor scripts: its daemon is stopped
//! instead, and the service runs on both nodes all the time.

use crate::bed::{ADDRESS, Bed, NODES, well};
use crate::figures::Figures;
use crate::ours::{CRASH, FAILBACK, STANDBY, STOP, TAKEOVER, note};
use ha::lab::Lab;
use std::io;
use std::path::Path;
use std::process::Output;
use std::thread;
use std::time::Duration;

const ROOT: &str = include_str!("rival.sh");
/// The classic refuses to move anything before it is sure that all is calm, and does not say when that is.
const CALM: Duration = Duration::from_secs(3);
const HEARTBEAT: &str = "/usr/libexec/heartbeat/heartbeat";
const KEEPALIVED: &str = "keepalived -f /etc/keepalived.conf -p /run/k.pid -r /run/kv.pid -c /run/kc.pid";

pub fn classic(bed: &Bed, packages: &Path, out: &mut Figures) -> Result<(), String> {
    let start = |lab: &Lab, node| inside(lab, node, &[HEARTBEAT]).and_then(well);
    let boot = |lab: &Lab, node| make_root(lab, node, packages).and_then(|()| start(lab, node));
    let command =
        |lab: &Lab, name: &str| inside(lab, "node1", &[&format!("/usr/share/heartbeat/{name}")]).and_then(well);
    bed.reboot()?;
    let since = bed.rest();
    for node in NODES {
        boot(&bed.lab, node).map_err(|e| format!("start of {node}: {e}"))?;
    }
    bed.settled_on("start", "node1", since)?;
    thread::sleep(CALM);
    note(
        out,
        STANDBY,
        bed.event("hb_standby", "node2", |lab| command(lab, "hb_standby"))?,
    );
    thread::sleep(CALM);
    note(
        out,
        TAKEOVER,
        bed.event("hb_takeover", "node1", |lab| command(lab, "hb_takeover"))?,
    );
    thread::sleep(CALM);
    let stop = |lab: &Lab| inside(lab, "node1", &[HEARTBEAT, "-k"]).and_then(well);
    note(out, STOP, bed.event("heartbeat -k", "node2", stop)?);
    bed.event("return of node1", "node1", |lab| start(lab, "node1"))?;
    thread::sleep(CALM);
    note(
        out,
        CRASH,
        bed.event("power failure", "node2", |lab| lab.power_off("node1"))?,
    );
    let back = |lab: &Lab| lab.power_on("node1").and_then(|()| boot(lab, "node1"));
    note(out, FAILBACK, bed.event("failback", "node1", back)?);
    Ok(())
}

pub fn keepalived(bed: &Bed, packages: &Path, out: &mut Figures) -> Result<(), String> {
    let start = |lab: &Lab, node| inside(lab, node, &["sh", "-c", KEEPALIVED]).and_then(well);
    let boot = |lab: &Lab, node| {
        make_root(lab, node, packages)?;
        inside(lab, node, &["/etc/ha.d/resource.d/hello", "start"]).and_then(well)?;
        start(lab, node)
    };
    bed.reboot()?;
    let since = bed.rest();
    for node in NODES {
        boot(&bed.lab, node).map_err(|e| format!("start of {node}: {e}"))?;
    }
    bed.settled_on("start", "node1", since)?;
    let stop = |lab: &Lab| inside(lab, "node1", &["sh", "-c", "kill $(cat /run/k.pid)"]).and_then(well);
    note(out, STOP, bed.event("stop", "node2", stop)?);
    bed.event("return of node1", "node1", |lab| start(lab, "node1"))?;
    note(
        out,
        CRASH,
        bed.event("power failure", "node2", |lab| lab.power_off("node1"))?,
    );
    let back = |lab: &Lab| lab.power_on("node1").and_then(|()| boot(lab, "node1"));
    note(out, FAILBACK, bed.event("failback", "node1", back)?);
    Ok(())
}

fn make_root(lab: &Lab, node: &str, packages: &Path) -> io::Result<()> {
    let directory = lab.files(node).root;
    let priority = if node == NODES[0] { "150" } else { "100" };
    let words = [
        "sh",
        "-c",
        ROOT,
        "rival.sh",
        &directory.to_string_lossy(),
        &packages.to_string_lossy(),
        &ADDRESS.to_string(),
        node,
        priority,
    ];
    lab.exec(node, &words).and_then(well)
}

/// Runs a command in the node's other root, without what our programs are told by the environment.
fn inside(lab: &Lab, node: &str, words: &[&str]) -> io::Result<Output> {
    let root = lab.files(node).root.join("bed/all");
    let root = root.to_string_lossy();
    let chroot = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "chroot", &root];
    lab.exec(node, &[&chroot, words].concat())
}
