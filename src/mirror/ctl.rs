//! The program drbdctl: what DRBD's devices do, in one screen or as JSON; roles; waiting; the way out of a split brain.

use super::recover::{self, Bar, pause};
use super::{answer, disk, look};
use crate::dopd::DrbdName;
use crate::drbd::account::Volume;
use crate::drbd::{Disk, Row, show};
use crate::ids::NodeName;
use crate::sys::{files, now};
use crate::time::{Duration, Instant};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::io::Write;

const LOOK: Duration = Duration::from_millis(500);
/// Of `wait`: not within the time, as drbdsetup has it.
const LATE: u8 = 5;
/// The resource is not up.
const NOT_UP: u8 = 7;

pub fn command() -> Command {
    let resource = || {
        Arg::new("resource")
            .value_name("RESOURCE")
            .required(true)
            .value_parser(value_parser!(DrbdName))
            .help("Its name in drbd.conf")
    };
    let json = || {
        Arg::new("json")
            .long("json")
            .action(ArgAction::SetTrue)
            .help("One line of JSON, for programs")
    };
    let timeout = |default: &'static str, help: &'static str| {
        Arg::new("timeout")
            .long("timeout")
            .value_name("SECONDS")
            .default_value(default)
            .value_parser(value_parser!(u32))
            .help(help)
    };
    let simple = |name: &'static str, about: &'static str| Command::new(name).about(about).arg(resource());
    Command::new("drbdctl")
        .about("Shows and steers DRBD resources of a cluster")
        .subcommand_required(true)
        .subcommand(
            Command::new("overview")
                .about("A line for each device: connection, roles, data, mount")
                .arg(json()),
        )
        .subcommand(
            Command::new("status")
                .about("More about one resource, or all")
                .arg(resource().required(false))
                .arg(json())
                .arg(
                    Arg::new("words")
                        .long("words")
                        .action(ArgAction::SetTrue)
                        .help("A line of words for scripts: volume, connection, role, peer's role, data, peer's data"),
                ),
        )
        .subcommand(simple("role", "This node's role and the peer's: Primary/Secondary").arg(json()))
        .subcommand(simple("cstate", "The connection: Connected, WFConnection, StandAlone ...").arg(json()))
        .subcommand(simple("dstate", "The data here and on the peer: UpToDate/UpToDate").arg(json()))
        .subcommand(simple(
            "primary",
            "Makes this node primary, or says why not; never by force",
        ))
        .subcommand(simple(
            "secondary",
            "Makes this node secondary, or says who holds the device",
        ))
        .subcommand(
            simple("wait", "Waits until the nodes are connected, or have the same data")
                .arg(
                    Arg::new("for")
                        .long("for")
                        .value_name("WHAT")
                        .value_parser(["connected", "uptodate"])
                        .default_value("uptodate")
                        .help("What is waited for"),
                )
                .arg(timeout("0", "No longer than this; 0: as long as it takes")),
        )
        .subcommand(
            simple(
                "recover",
                "Compares both nodes; leads them out of a split brain when a victim is named",
            )
            .arg(
                Arg::new("victim")
                    .long("victim")
                    .value_name("NODE")
                    .value_parser(value_parser!(NodeName))
                    .help("The node whose changes since the split are thrown away"),
            )
            .arg(
                Arg::new("unmount")
                    .long("unmount")
                    .action(ArgAction::SetTrue)
                    .help("Has the victim unmount the device first; never by force"),
            )
            .arg(timeout("60", "Time for the nodes to connect"))
            .arg(json()),
        )
        .subcommand(Command::new("answer").hide(true).about("For rc.d/drbdctl"))
}

/// Does what the command line says; gives the exit code.
pub fn run(matches: &ArgMatches, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let Some((verb, args)) = matches.subcommand() else {
        return 2;
    };
    let resource = || args.get_one::<DrbdName>("resource").expect("clap demands it").clone();
    let json = args
        .try_get_one::<bool>("json")
        .ok()
        .flatten()
        .copied()
        .unwrap_or(false);
    let seconds = || Duration::from_secs(u64::from(*args.get_one::<u32>("timeout").expect("it has a default")));
    let result = match verb {
        "overview" => overview(json, out),
        "status" if args.get_flag("words") => words(args.get_one("resource"), out),
        "status" => status(args.get_one("resource"), json, out),
        "role" => one(&resource(), json, "role", Row::roles, out),
        "cstate" => one(&resource(), json, "connection", |r| r.connection.to_string(), out),
        "dstate" => one(&resource(), json, "data", Row::disks, out),
        "primary" => Ok(u8::from(disk::start(&resource(), 1, err).is_err())),
        "secondary" => Ok(u8::from(disk::stop(&resource(), 1, err).is_err())),
        "wait" => {
            let connected = args.get_one::<String>("for").is_some_and(|w| w == "connected");
            wait_for(&resource(), connected, seconds(), out)
        }
        "recover" => {
            let options = recover::Options {
                resource: resource(),
                victim: args.get_one("victim").cloned(),
                unmount: args.get_flag("unmount"),
                json,
                timeout: seconds(),
            };
            return recover::run(&options, out, err);
        }
        _ => {
            let me = std::env::var("HA_CURHOST")
                .or_else(|_| files::host_name())
                .unwrap_or_default();
            return answer::run(&me, |name| std::env::var(format!("HA_{name}")).ok(), out);
        }
    };
    result.unwrap_or_else(|why| {
        let _ = writeln!(err, "drbdctl: {why}");
        1
    })
}

fn all() -> Result<Vec<Volume>, String> {
    let rows = look::all().map_err(|e| e.to_string())?;
    Ok(rows.into_iter().map(look::with_users).collect())
}

/// Rows of the resource; none is an error that says which of the reasons it has.
fn rows(resource: &DrbdName) -> Result<Vec<Row>, String> {
    let rows = look::rows_of(resource).map_err(|e| e.to_string())?;
    if rows.is_empty() && !look::configured().map_err(|e| e.to_string())?.contains(resource) {
        return Err(format!("{resource}: is not in drbd.conf for this host"));
    }
    Ok(rows)
}

fn overview(json: bool, out: &mut dyn Write) -> Result<u8, String> {
    if !look::is_loaded() && !json {
        // As the old drbd-overview.
        return print(out, "drbd not loaded\n");
    }
    let volumes = all()?;
    match json {
        true => print(out, &format!("{}\n", show::json(&volumes))),
        false => print(out, &show::overview(&volumes)),
    }
}

fn print(out: &mut dyn Write, text: &str) -> Result<u8, String> {
    out.write_all(text.as_bytes()).map_err(|e| format!("output: {e}"))?;
    Ok(0)
}

fn status(resource: Option<&DrbdName>, json: bool, out: &mut dyn Write) -> Result<u8, String> {
    let mut volumes = all()?;
    if let Some(name) = resource {
        volumes.retain(|v| v.row.resource == name.as_str());
        if volumes.is_empty() {
            return Err(format!("{name}: is not in drbd.conf for this host"));
        }
    }
    let up = volumes.iter().any(|v| v.row.is_configured());
    match json {
        true => print(out, &format!("{}\n", show::json(&volumes)))?,
        false => print(out, &show::status(&volumes))?,
    };
    Ok(if up || resource.is_none() { 0 } else { NOT_UP })
}

fn words(resource: Option<&DrbdName>, out: &mut dyn Write) -> Result<u8, String> {
    let rows = match resource {
        Some(name) => rows(name)?,
        None => look::rows().map_err(|e| e.to_string())?,
    };
    for r in &rows {
        print(
            out,
            &format!(
                "{} {} {} {} {} {}\n",
                r.volume, r.connection, r.role, r.peer_role, r.disk, r.peer_disk
            ),
        )?;
    }
    Ok(if rows.is_empty() { NOT_UP } else { 0 })
}

fn one(
    resource: &DrbdName,
    json: bool,
    name: &str,
    text: impl Fn(&Row) -> String,
    out: &mut dyn Write,
) -> Result<u8, String> {
    let rows = rows(resource)?;
    let values: Vec<String> = match rows.is_empty() {
        true => vec!["Unconfigured".to_owned()],
        false => rows.iter().map(text).collect(),
    };
    for value in values {
        match json {
            true => {
                use crate::clients::json::object;
                let line = object([("resource", resource.as_str().into()), (name, value.as_str().into())]);
                print(out, &format!("{line}\n"))?
            }
            false => print(out, &format!("{value}\n"))?,
        };
    }
    Ok(if rows.is_empty() { NOT_UP } else { 0 })
}

fn wait_for(resource: &DrbdName, connected: bool, limit: Duration, out: &mut dyn Write) -> Result<u8, String> {
    let deadline = if limit.is_zero() { Instant::NEVER } else { now() + limit };
    let mut bar = Bar::new();
    loop {
        let rows = rows(resource)?;
        if rows.is_empty() {
            return Err(format!("{resource}: is not up: drbdadm up {resource}"));
        }
        let there = |r: &Row| match connected {
            true => r.connection.is_up(),
            false => r.connection.is_up() && r.disk == Disk::UpToDate && r.peer_disk == Disk::UpToDate,
        };
        if rows.iter().all(there) {
            bar.end(out);
            return Ok(0);
        }
        if let Some(row) = rows.iter().find(|r| r.connection.is_sync()) {
            bar.show(row, out);
        }
        if let Some(row) = rows
            .iter()
            .find(|r| r.connection == crate::drbd::Connection::StandAlone)
        {
            bar.end(out);
            return Err(format!(
                "{resource}: volume {} is StandAlone: it will not connect by itself; see drbdctl recover {resource}",
                row.volume
            ));
        }
        if now() >= deadline {
            bar.end(out);
            return Ok(LATE);
        }
        pause(LOOK);
    }
}
