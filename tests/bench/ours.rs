//! What is measured of this toolkit, one run: everything that can happen to a pair.

use crate::bed::{BOUND, Bed, well};
use crate::figures::Figures;
use ha::lab::Lab;
use std::io;
use std::thread;
use std::time::Duration;

/// keepalive 100 ms, deadtime 500 ms and initdead 1 s, as [`ha::lab::Config::Plain`] has them.
const INITDEAD: f64 = 1000.0;
const CRASH: f64 = 500.0 + 100.0 + 30.0;
const PLANNED: f64 = 20.0;
const LONE: f64 = 150.0;
/// After a kill of all processes the dead node's kernel still answers; this long we look how long.
const WATCHED: Duration = Duration::from_secs(2);

pub fn run(bed: &Bed, out: &mut Figures) -> Result<(), String> {
    bed.reboot()?;
    let since = bed.rest();
    start(&bed.lab, "node1").map_err(|e| format!("start of node1: {e}"))?;
    bed.settled_on("start of node1", "node1", since)?;
    let took = bed
        .first_answer("node1", since)
        .ok_or("start of node1: nobody answered")?;
    out.add(
        "lone",
        "lone node: start to address, less initdead",
        Some(LONE),
        took - INITDEAD,
    );
    start(&bed.lab, "node2").map_err(|e| format!("start of node2: {e}"))?;
    bed.lab.wait_for("node2 is a member", BOUND, || is_active(&bed.lab))?;

    let exec = |node, words: &[&str]| bed.lab.exec(node, words).and_then(well);
    let seen = bed.event("hb_standby", "node2", |_| exec("node1", &["hb_standby"]))?;
    out.add("standby", "hb_standby: address", Some(PLANNED), seen.address);
    out.add("standby_tcp", "hb_standby: service", None, seen.service);
    let seen = bed.event("hb_takeover", "node1", |_| exec("node1", &["hb_takeover"]))?;
    out.add("takeover", "hb_takeover: address", Some(PLANNED), seen.address);
    out.add("takeover_tcp", "hb_takeover: service", None, seen.service);
    let seen = bed.event("heartbeat -k", "node2", |lab| lab.stop("node1").and_then(well))?;
    out.add("stop", "heartbeat -k: address", Some(PLANNED), seen.address);
    out.add("stop_tcp", "heartbeat -k: service", None, seen.service);
    bed.event("return of node1", "node1", |lab| start(lab, "node1"))?;

    let seen = bed.event("power failure", "node2", |lab| lab.power_off("node1"))?;
    out.add("crash", "power failure: address", Some(CRASH), seen.address);
    out.add("crash_tcp", "power failure: service", None, seen.service);
    let seen = bed.event("failback", "node1", |lab| start(lab, "node1"))?;
    out.add(
        "failback",
        "failback (auto_failback on): address",
        Some(PLANNED),
        seen.address,
    );
    out.add(
        "failback_tcp",
        "failback (auto_failback on): service",
        None,
        seen.service,
    );
    killed(bed, out)
}

/// All processes of node1 are killed, its kernel lives and has the address: two owners, until somebody takes it away.
fn killed(bed: &Bed, out: &mut Figures) -> Result<(), String> {
    let since = bed.rest();
    bed.lab.kill("node1").map_err(|e| format!("kill of node1: {e}"))?;
    bed.served_by("kill of node1", "node2", since)?;
    thread::sleep(WATCHED);
    let seen = bed.seen(since);
    out.add("kill_tcp", "kill -9 of all: service", None, seen.service);
    out.add(
        "kill_two",
        "kill -9 of all: two owners (watched for 2 s after takeover)",
        None,
        seen.two_owners,
    );
    Ok(())
}

fn start(lab: &Lab, node: &str) -> io::Result<()> {
    lab.start(node).and_then(well)
}

fn is_active(lab: &Lab) -> bool {
    let asked = lab.exec("node1", &["cl_status", "nodestatus", "node2"]);
    asked.is_ok_and(|o| o.stdout.starts_with(b"active"))
}
