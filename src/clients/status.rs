//! The whole view as JSON (the answer to `getstatus`; the schema stands in cl_status(1)), and as one screen of text.

use super::json::{Json, list, object};
use crate::conf::AutoFailback;
use crate::conf::ha_cf::NodeKind;
use crate::daemon::view::{FencingView, GroupView, NodeView, View};
use crate::time::Duration;
use std::fmt::Write;

fn millis(d: Duration) -> Json {
    Json::Number(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

pub fn kind_word(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Normal => "normal",
        NodeKind::Ping => "ping",
    }
}

/// `up` or `dead`, the classic's words for links.
pub fn link_word(up: bool) -> &'static str {
    if up { "up" } else { "dead" }
}

pub fn to_json(view: &View<'_>, version: &str) -> Json {
    let failback = match view.cf.auto_failback {
        AutoFailback::On => "on",
        AutoFailback::Off => "off",
        AutoFailback::Legacy => "legacy",
    };
    object([
        ("version", version.into()),
        ("node", view.me.as_str().into()),
        ("active", view.active.into()),
        ("rsc_hold", view.rsc_hold.into()),
        ("auto_failback", failback.into()),
        ("keepalive_ms", millis(view.cf.keepalive)),
        ("deadtime_ms", millis(view.cf.deadtime)),
        ("nodes", list(&view.nodes, node_json)),
        (
            "media",
            list(&view.media, |m| {
                object([
                    ("kind", m.kind.into()),
                    ("link", m.link.as_str().into()),
                    ("broken", m.broken.as_deref().into()),
                ])
            }),
        ),
        ("groups", list(&view.groups, group_json)),
        (
            "counters",
            Json::Object(
                view.counters
                    .iter()
                    .map(|(name, n)| (name.clone(), (*n).into()))
                    .collect(),
            ),
        ),
    ])
}

fn node_json(node: &NodeView) -> Json {
    object([
        ("name", node.name.as_str().into()),
        ("kind", kind_word(node.kind).into()),
        ("status", node.status.into()),
        ("since_ms", millis(node.since)),
        ("late_beats", node.late_beats.into()),
        (
            "links",
            list(&node.links, |l| {
                object([("name", l.name.as_str().into()), ("status", link_word(l.up).into())])
            }),
        ),
        (
            "haresources_differ",
            list(&node.haresources_differ, |d| d.as_str().into()),
        ),
        ("fencing", node.fencing.as_ref().map_or(Json::Null, fencing_json)),
    ])
}

fn fencing_json(fencing: &FencingView) -> Json {
    object([
        ("state", fencing.state.into()),
        ("failures", u64::from(fencing.failures).into()),
        ("last", fencing.last.as_str().into()),
        ("todo", fencing.todo.as_deref().into()),
    ])
}

fn group_json(group: &GroupView) -> Json {
    object([
        ("key", group.key.as_str().into()),
        ("resources", list(&group.resources, |r| r.as_str().into())),
        ("preferred", group.preferred.as_str().into()),
        ("here", group.here.into()),
        ("owners", list(&group.owners, |n| n.as_str().into())),
        ("since_ms", millis(group.since)),
        ("last", group.last.as_str().into()),
    ])
}

/// One screen for people: nodes and links, media, groups and their owners, and what needs attention.
pub fn screen(status: &Json) -> String {
    let mut out = String::new();
    // Writing into a String does not fail.
    let _ = write_screen(&mut out, status);
    out
}

fn write_screen(out: &mut String, status: &Json) -> std::fmt::Result {
    let state = if status.get("active").is_true() {
        "active"
    } else {
        "starting"
    };
    writeln!(
        out,
        "heartbeat {} on {}: {state}, holds {} resources",
        status.get("version").text(),
        status.get("node").text(),
        status.get("rsc_hold").text(),
    )?;
    writeln!(out, "\nnodes")?;
    for node in status.get("nodes").items() {
        let kind = match node.get("kind").text() {
            "normal" => "",
            _ => " (ping node)",
        };
        let late = match node.get("late_beats").number() {
            0 => String::new(),
            n => format!(", {n} late beats"),
        };
        write!(
            out,
            "  {:<16} {:<7} for {}{late}{kind}",
            node.get("name").text(),
            node.get("status").text(),
            span(node.get("since_ms").number()),
        )?;
        for link in node.get("links").items() {
            write!(out, "; {} {}", link.get("name").text(), link.get("status").text())?;
        }
        writeln!(out)?;
        write_fencing(out, node.get("fencing"))?;
    }
    writeln!(out, "\nmedia")?;
    for medium in status.get("media").items() {
        let state = match medium.get("broken") {
            Json::Text(why) => format!("BROKEN: {why}"),
            _ => "ok".to_owned(),
        };
        writeln!(
            out,
            "  {:<7} {:<16} {state}",
            medium.get("kind").text(),
            medium.get("link").text()
        )?;
    }
    writeln!(out, "\ngroups")?;
    for group in status.get("groups").items() {
        let owners: Vec<&str> = group.get("owners").items().iter().map(Json::text).collect();
        let owners = match owners.len() {
            0 => "NOBODY".to_owned(),
            1 => owners[0].to_owned(),
            _ => format!("SEVERAL: {}", owners.join(" ")),
        };
        writeln!(
            out,
            "  {:<24} on {owners} (preferred {}); here {} for {}{}",
            group.get("key").text(),
            group.get("preferred").text(),
            group.get("here").text(),
            span(group.get("since_ms").number()),
            match group.get("last").text() {
                "" => String::new(),
                last => format!(": {last}"),
            }
        )?;
    }
    let mut title = "\nharesources differ\n";
    for node in status.get("nodes").items() {
        for difference in node.get("haresources_differ").items() {
            writeln!(out, "{title}  {}: {}", node.get("name").text(), difference.text())?;
            title = "";
        }
    }
    Ok(())
}

/// Below a node that is, or was, to be fenced, or whose device is not well.
fn write_fencing(out: &mut String, fencing: &Json) -> std::fmt::Result {
    let (state, last) = (fencing.get("state").text(), fencing.get("last").text());
    match state {
        "" | "unneeded" => return Ok(()),
        "ready" if last.is_empty() => return Ok(()),
        "ready" => write!(out, "    FENCING: the device is not well: {last}")?,
        "done" => write!(out, "    fencing: {last}")?,
        "failed" => write!(
            out,
            "    FENCING: failed {} times ({last}), tried again; its groups are not taken over",
            fencing.get("failures").number()
        )?,
        _ => write!(out, "    FENCING: {state}; its groups are not taken over before")?,
    }
    match fencing.get("todo") {
        Json::Text(todo) => writeln!(out, "\n    TO DO: {todo}"),
        _ => writeln!(out),
    }
}

/// `12s`, `3m05s`, `2h04m`, `5d03h`
fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_view;
    use super::*;

    #[test]
    fn the_json_has_everything_and_the_screen_shows_what_is_wrong() {
        with_view(|view| {
            let json = to_json(view, "9.9");
            assert_eq!(Json::parse(&json.to_string()).unwrap(), json);
            assert_eq!(json.get("nodes").items().len(), 3);
            assert_eq!(
                json.get("nodes").items()[1].get("links").items()[0]
                    .get("status")
                    .text(),
                "up"
            );
            assert_eq!(json.get("media").items()[1].get("broken").text(), "no such device");
            assert_eq!(json.get("groups").items()[0].get("owners").items()[0].text(), "n1");
            assert_eq!(json.get("counters").get("takeovers").number(), 2);
            let text = screen(&json);
            for part in [
                "heartbeat 9.9 on n1: active, holds local resources\n",
                "  n2               dead    for 1m05s, 3 late beats; eth0 up; /dev/ttyS0 dead\n",
                "  10.0.0.254       ping    for 0s (ping node); 10.0.0.254 up\n",
                "  serial  /dev/ttyS0       BROKEN: no such device\n",
                "  IPaddr::10.0.0.1         on n1 (preferred n1); here running for 2h04m: started\n",
                "haresources differ\n  n2: has a group \"web\" that we have not\n",
            ] {
                assert!(text.contains(part), "{part:?} in\n{text}");
            }
        });
    }
}
