//! The whole view as JSON: the answer to `getstatus`, and the status file. The schema stands in cl_status(1).

use super::json::{Json, list, object};
use super::problems::{Problem, problems};
use crate::conf::AutoFailback;
use crate::conf::ha_cf::NodeKind;
use crate::core::tally::Loss;
use crate::daemon::transitions::Transition;
use crate::daemon::view::{ClientView, FailedView, FencingView, GroupView, LinkView, NodeView, View};
use crate::time::Duration;

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
    let mut json = object([
        ("version", version.into()),
        ("time", view.time.0.into()),
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
        ("clients", list(&view.clients, client_json)),
        (
            "counters",
            Json::Object(
                view.counters
                    .iter()
                    .map(|(name, n)| (name.clone(), (*n).into()))
                    .collect(),
            ),
        ),
        ("transitions", list(&view.transitions, transition_json)),
    ]);
    let problems = list(&problems(&json), Problem::to_json);
    if let Json::Object(members) = &mut json {
        members.push(("problems".to_owned(), problems));
    }
    json
}

/// What only says how long, how often or when: two states that differ in nothing else are the same state.
const PASSING: [&str; 10] = [
    "time",
    "since_ms",
    "late_beats",
    "longest_interval_ms",
    "packets_expected",
    "packets_missed",
    "counters",
    "owner_since",
    "problems",
    "transitions",
];

/// The state without the figures that change with every beat.
pub fn lasting(json: &Json) -> Json {
    match json {
        Json::Object(members) => {
            let stays = |name: &str| !PASSING.contains(&name);
            let members = members.iter().filter(|(name, _)| stays(name));
            Json::Object(members.map(|(name, value)| (name.clone(), lasting(value))).collect())
        }
        Json::List(items) => Json::List(items.iter().map(lasting).collect()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => json.clone(),
    }
}

fn transition_json(t: &Transition) -> Json {
    object([
        ("time", t.at.0.into()),
        ("kind", t.kind.as_str().into()),
        ("subject", t.subject.as_str().into()),
        ("text", t.text.as_str().into()),
        ("bad", t.bad.into()),
    ])
}

fn expected(loss: Loss) -> (&'static str, Json) {
    ("packets_expected", loss.expected.into())
}

fn missed(loss: Loss) -> (&'static str, Json) {
    ("packets_missed", loss.missed.into())
}

fn node_json(node: &NodeView) -> Json {
    object([
        ("name", node.name.as_str().into()),
        ("kind", kind_word(node.kind).into()),
        ("status", node.status.into()),
        ("since_ms", millis(node.since)),
        ("late_beats", node.late_beats.into()),
        ("longest_interval_ms", millis(node.longest_interval)),
        expected(node.loss),
        missed(node.loss),
        ("links", list(&node.links, link_json)),
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

fn link_json(link: &LinkView) -> Json {
    object([
        ("name", link.name.as_str().into()),
        ("status", link_word(link.up).into()),
        ("since_ms", millis(link.since)),
        expected(link.loss),
        missed(link.loss),
    ])
}

fn failed_json(failed: &FailedView) -> Json {
    object([
        ("node", failed.node.as_str().into()),
        ("time", failed.at.0.into()),
        ("why", failed.why.as_deref().into()),
    ])
}

fn group_json(group: &GroupView) -> Json {
    object([
        ("key", group.key.as_str().into()),
        ("resources", list(&group.resources, |r| r.as_str().into())),
        ("preferred", group.preferred.as_str().into()),
        ("here", group.here.into()),
        ("owners", list(&group.owners, |n| n.as_str().into())),
        ("owner_since", group.owned_since.map(|at| at.0).into()),
        ("since_ms", millis(group.since)),
        ("last", group.last.as_str().into()),
        ("lease_s", group.lease.map(|l| l.as_secs()).into()),
        ("failed", list(&group.failed, failed_json)),
    ])
}

fn client_json(client: &ClientView) -> Json {
    let report = &client.report;
    object([
        ("command", report.command.as_str().into()),
        ("user", report.user.as_str().into()),
        ("failfast", report.failfast.into()),
        ("state", report.state.as_str().into()),
        ("pid", Json::Number(report.pid.into())),
        ("since_ms", millis(client.since)),
        ("restarts", report.restarts.into()),
        ("last", report.last.as_str().into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_view;
    use super::*;

    #[test]
    fn the_json_has_everything() {
        with_view(|view| {
            let json = to_json(view, "9.9");
            assert_eq!(Json::parse(&json.to_string()).unwrap(), json);
            assert_eq!(json.get("nodes").items().len(), 3);
            let link = &json.get("nodes").items()[1].get("links").items()[0];
            assert_eq!(link.get("status").text(), "up");
            assert_eq!(link.get("packets_missed").number(), 6);
            assert_eq!(json.get("media").items()[1].get("broken").text(), "no such device");
            let group = &json.get("groups").items()[0];
            assert_eq!(group.get("owners").items()[0].text(), "n1");
            assert_eq!(group.get("owner_since").number(), 1_763_700_000);
            assert_eq!(group.get("failed").items()[0].get("node").text(), "n2");
            assert_eq!(json.get("counters").get("takeovers").number(), 2);
            assert_eq!(json.get("transitions").items().len(), 2);
            assert!(!json.get("problems").items().is_empty());
        });
    }

    #[test]
    fn what_passes_makes_no_new_state() {
        with_view(|view| {
            let before = to_json(view, "9.9");
            let mut text = before.to_string();
            for (old, new) in [
                ("\"late_beats\":3", "\"late_beats\":4"),
                ("\"since_ms\":65000", "\"since_ms\":66000"),
            ] {
                assert!(text.contains(old), "{old}");
                text = text.replace(old, new);
            }
            assert_eq!(lasting(&Json::parse(&text).unwrap()), lasting(&before));
            let dead = Json::parse(&text.replace("\"dead\"", "\"active\"")).unwrap();
            assert_ne!(lasting(&dead), lasting(&before));
        });
    }
}
