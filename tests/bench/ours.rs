//! What is measured of this toolkit, one run: everything that can happen to a pair.

use crate::bed::{BOUND, Bed, Seen, well};
use crate::figures::Figures;
use ha::lab::Lab;
use std::io;
use std::thread;
use std::time::Duration;

/// Beside keepalive 100 ms and deadtime 500 ms, as [`ha::lab::Config::Plain`] has them.
pub const INITDEAD: f64 = 1000.0;
const LONE: f64 = 150.0;
/// After a kill of all processes the dead node's kernel still answers; this long we look how long.
const WATCHED: Duration = Duration::from_secs(2);

/// What can happen to a pair: the keys and names of its two figures, and the gap of the address that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Happening {
    keys: [&'static str; 2],
    names: [&'static str; 2],
    wanted: f64,
}

const DEADTIME: f64 = 500.0;
/// Deadtime, one keepalive and 30 ms.
const DEAD: f64 = DEADTIME + 100.0 + 30.0;
/// What a client may wait when a partition heals.
const HEALED: f64 = 100.0;
const PLANNED: f64 = 20.0;

pub const STANDBY: Happening = Happening {
    keys: ["standby", "standby_tcp"],
    names: ["hb_standby: address", "hb_standby: service"],
    wanted: PLANNED,
};
pub const TAKEOVER: Happening = Happening {
    keys: ["takeover", "takeover_tcp"],
    names: ["hb_takeover: address", "hb_takeover: service"],
    wanted: PLANNED,
};
pub const STOP: Happening = Happening {
    keys: ["stop", "stop_tcp"],
    names: ["orderly stop: address", "orderly stop: service"],
    wanted: PLANNED,
};
pub const CRASH: Happening = Happening {
    keys: ["crash", "crash_tcp"],
    names: ["power failure: address", "power failure: service"],
    wanted: DEAD,
};
pub const FAILBACK: Happening = Happening {
    keys: ["failback", "failback_tcp"],
    names: ["failback after it: address", "failback after it: service"],
    wanted: PLANNED,
};

pub fn note(out: &mut Figures, what: Happening, seen: Seen) {
    out.add(what.keys[0], what.names[0], Some(what.wanted), seen.address);
    out.add(what.keys[1], what.names[1], None, seen.service);
}

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
    note(
        out,
        STANDBY,
        bed.event("hb_standby", "node2", |_| exec("node1", &["hb_standby"]))?,
    );
    note(
        out,
        TAKEOVER,
        bed.event("hb_takeover", "node1", |_| exec("node1", &["hb_takeover"]))?,
    );
    note(
        out,
        STOP,
        bed.event("heartbeat -k", "node2", |lab| lab.stop("node1").and_then(well))?,
    );
    bed.event("return of node1", "node1", |lab| start(lab, "node1"))?;
    note(
        out,
        CRASH,
        bed.event("power failure", "node2", |lab| lab.power_off("node1"))?,
    );
    note(
        out,
        FAILBACK,
        bed.event("failback", "node1", |lab| start(lab, "node1"))?,
    );
    healed(bed, out)?;
    killed(bed, out)
}

/// The nodes do not hear each other and both serve, the client hears both; then they hear each other again.
fn healed(bed: &Bed, out: &mut Figures) -> Result<(), String> {
    let cut = bed.rest();
    bed.lab.cut("node1", "node2").map_err(|e| format!("cut: {e}"))?;
    bed.lab
        .wait_for("both have the address", BOUND, || bed.both_answer(cut))?;
    // Both have taken the other one for dead, and their services run.
    thread::sleep(WATCHED);
    let since = bed.rest();
    bed.lab.heal().map_err(|e| format!("heal: {e}"))?;
    bed.settled_on("heal", "node1", since)?;
    bed.rest();
    let seen = bed.seen(since);
    out.add(
        "heal_two",
        "partition heals: two owners",
        Some(DEADTIME),
        seen.two_owners,
    );
    out.add("heal", "partition heals: address", Some(HEALED), seen.address);
    out.add("heal_tcp", "partition heals: service", Some(HEALED), seen.service);
    Ok(())
}

/// All processes of node1 are killed, its kernel lives and has the address: two owners, until somebody takes it away,
/// because a deadtime of 500 ms leaves no room for `vip_lease`.
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
