//! The program drbddisk: `drbddisk [RESOURCE] {start|stop|status}`, the resource script of haresources. Start makes this
//! node primary, stop makes it secondary; nothing here ever throws data away.

use super::look;
use super::tools::{self, CHANGE, Fault, QUESTION};
use crate::dopd::DrbdName;
use crate::drbd::promotion::{self, ATTEMPTS, STOP_ATTEMPTS, Verdict};
use crate::drbd::{Connection, Role, Row};
use crate::sys::poll::wait;
use crate::time::Duration;
use std::io::Write;

pub const USAGE: &str = "\
Usage: drbddisk [RESOURCE] {start|stop|status}

Makes this node primary for a DRBD resource (start), or secondary (stop); for every
resource of drbd.conf when none is named.

  -h, --help   this text
";

/// Between two attempts, as the script of drbd-utils.
const PAUSE: Duration = Duration::from_secs(1);
/// A device that we brought up looks for its peer so long before it is promoted: the peer may have newer data.
const FIND_PEER: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);

/// Of `status`: 0 running, 3 stopped, 4 not known.
const STOPPED: u8 = 3;
const NOT_KNOWN: u8 = 4;

/// It could not be done; why has been said.
#[derive(Debug)]
pub struct Refused;

fn sleep(time: Duration) {
    // Nothing to wait for but the time.
    let _ = wait(&[], crate::sys::now() + time);
}

/// The whole program; gives its exit code. Whatever it has to say goes to `out`, as that of a script.
pub fn run(args: &[String], out: &mut dyn Write) -> u8 {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (name, verb) = match words[..] {
        ["-h" | "--help"] => return u8::from(out.write_all(USAGE.as_bytes()).is_err()),
        [verb @ ("start" | "stop" | "status")] => ("all", verb),
        [name, verb @ ("start" | "stop" | "status")] => (name, verb),
        _ => {
            let _ = out.write_all(USAGE.as_bytes());
            return 1;
        }
    };
    let resources = match (name, name.parse::<DrbdName>()) {
        ("all", _) => look::configured().map_err(|e| e.to_string()),
        (_, Ok(name)) => Ok(vec![name]),
        (_, Err(e)) => Err(e.to_string()),
    };
    let resources = match resources {
        // A machine without drbd-utils runs no DRBD.
        Err(_) if verb == "stop" && !look::is_loaded() => return 0,
        Err(why) => {
            say(out, &format!("ERROR: {why}"));
            return if verb == "status" { NOT_KNOWN } else { 1 };
        }
        Ok(resources) => resources,
    };
    // Each is done, whatever became of the one before; the worst is told.
    let each = resources.iter().map(|r| match verb {
        "start" => u8::from(start(r, ATTEMPTS, out).is_err()),
        "stop" => u8::from(stop(r, STOP_ATTEMPTS, out).is_err()),
        _ => status(r, out),
    });
    each.collect::<Vec<_>>().into_iter().max().unwrap_or(0)
}

fn say(out: &mut dyn Write, line: &str) {
    // Nobody may be reading any more.
    let _ = writeln!(out, "{line}");
}

/// The first row of the resource, when it is up.
fn row(resource: &DrbdName) -> Option<Row> {
    look::rows_of(resource).ok()?.into_iter().next()
}

/// Makes this node primary; `Err` when it is not, and why has been said.
pub fn start(resource: &DrbdName, attempts: u32, out: &mut dyn Write) -> Result<(), Refused> {
    let error = |out: &mut dyn Write, why: &str| {
        say(out, &format!("ERROR: resource {resource}: {why}"));
        Err(Refused)
    };
    let mut brought_up = false;
    let mut made = 0;
    loop {
        made += 1;
        let ran = match tools::run("drbdadm", &["primary", resource.as_str()], CHANGE) {
            Ok(ran) => ran,
            Err(fault) => return error(out, &fault.to_string()),
        };
        let now = row(resource);
        let why = match promotion::after_primary(ran.code, &ran.text, now.as_ref()) {
            Verdict::Done => {
                tell_of_peer(resource, now.as_ref(), out);
                return Ok(());
            }
            Verdict::GiveUp(why) => return error(out, &why),
            Verdict::BringUp if brought_up => return error(out, &promotion::last_reason(&ran.text)),
            Verdict::BringUp => {
                brought_up = true;
                // Not an attempt: nothing could be asked of it yet.
                made -= 1;
                say(out, &format!("INFO: resource {resource}: is not up; bringing it up"));
                if let Err(fault) = bring_up(resource) {
                    return error(out, &fault.to_string());
                }
                continue;
            }
            Verdict::Again(why) => why,
        };
        if made >= attempts {
            return error(out, &format!("cannot become primary after {made} attempt(s): {why}"));
        }
        say(
            out,
            &format!("INFO: resource {resource}: {why}; attempt {made} of {attempts}"),
        );
        sleep(PAUSE);
    }
}

fn tell_of_peer(resource: &DrbdName, row: Option<&Row>, out: &mut dyn Write) {
    match row.map(|r| r.connection) {
        Some(c) if c.is_up() => say(out, &format!("INFO: resource {resource}: primary")),
        Some(c) => say(
            out,
            &format!("WARNING: resource {resource}: primary, {c}: how the peer's data are is not known"),
        ),
        None => say(out, &format!("INFO: resource {resource}: primary")),
    }
}

/// Up, and connected if the peer is there.
fn bring_up(resource: &DrbdName) -> Result<(), Fault> {
    tools::good("drbdadm", &["adjust", resource.as_str()], CHANGE)?;
    let until = crate::sys::now() + FIND_PEER;
    while crate::sys::now() < until {
        let rows = look::rows_of(resource)?;
        let looks = |r: &Row| !r.connection.is_up() && r.connection != Connection::StandAlone;
        if !rows.iter().any(looks) {
            break;
        }
        sleep(LOOK);
    }
    Ok(())
}

/// Makes this node secondary.
pub fn stop(resource: &DrbdName, attempts: u32, out: &mut dyn Write) -> Result<(), Refused> {
    if !look::is_loaded() {
        return Ok(());
    }
    let error = |out: &mut dyn Write, why: &str| {
        say(out, &format!("ERROR: resource {resource}: {why}"));
        Err(Refused)
    };
    for made in 1..=attempts {
        let ran = match tools::run("drbdadm", &["secondary", resource.as_str()], CHANGE) {
            Ok(ran) => ran,
            Err(fault) => return error(out, &fault.to_string()),
        };
        let why = match promotion::after_secondary(ran.code, &ran.text) {
            Verdict::Done => return Ok(()),
            Verdict::GiveUp(why) => return error(out, &why),
            Verdict::BringUp => return Ok(()),
            Verdict::Again(why) => match users(resource) {
                who if who.is_empty() => why,
                who => format!("{why}: {who}"),
            },
        };
        if made == attempts {
            return error(out, &format!("cannot become secondary after {made} attempt(s): {why}"));
        }
        say(
            out,
            &format!("INFO: resource {resource}: {why}; attempt {made} of {attempts}"),
        );
        sleep(PAUSE);
    }
    Ok(())
}

/// Who holds it open, mounts included.
fn users(resource: &DrbdName) -> String {
    let rows = look::rows_of(resource).unwrap_or_default();
    let all = rows
        .iter()
        .filter_map(|r| r.minor)
        .map(look::users)
        .filter(|t| !t.is_empty());
    all.collect::<Vec<_>>().join(", ")
}

fn status(resource: &DrbdName, out: &mut dyn Write) -> u8 {
    let words = match tools::run("drbdadm", &["role", resource.as_str()], QUESTION) {
        Ok(ran) if ran.good() => ran.text,
        // Not in the kernel.
        Ok(ran) if ran.code == Some(promotion::code::CONFIGURATION) => "Unconfigured".to_owned(),
        Ok(_) | Err(_) if !look::is_loaded() => "Unconfigured".to_owned(),
        Ok(_) | Err(_) => String::new(),
    };
    // A line a volume, our own role before the slash; warnings are among them.
    let own = words.lines().find_map(|l| Role::of(l.trim().split('/').next()?));
    match own.or_else(|| row(resource).map(|r| r.role)) {
        Some(Role::Primary) => {
            say(out, "running (Primary)");
            0
        }
        Some(role @ (Role::Secondary | Role::Unconfigured)) => {
            say(out, &format!("stopped ({role})"));
            STOPPED
        }
        Some(Role::Unknown) | None => {
            // The word "running" is in it: heartbeat must take it for running.
            say(out, "cannot determine status, may be running (Unknown)");
            NOT_KNOWN
        }
    }
}
