//! What is wrong, in plain words: from the status as JSON to a list, the worst first. One glance at it is to be enough at
//! three in the morning.

use super::json::{Json, object};

/// A link that loses this part of the packets of a node is worth a look.
const LOSSY_PERCENT: u64 = 5;
/// Fewer packets than this say nothing about loss.
const LOSS_OF: u64 = 20;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// A service is down, or would be with one more fault.
    Bad,
    /// To be looked at by daylight.
    Warning,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warning => "warning",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub severity: Severity,
    pub text: String,
    /// How long, where that is known.
    pub since_ms: Option<u64>,
}

impl Problem {
    fn bad(text: String, since_ms: Option<u64>) -> Self {
        Self {
            severity: Severity::Bad,
            text,
            since_ms,
        }
    }

    fn warning(text: String, since_ms: Option<u64>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::bad(text, since_ms)
        }
    }

    pub fn to_json(&self) -> Json {
        object([
            ("severity", self.severity.as_str().into()),
            ("text", self.text.as_str().into()),
            ("since_ms", self.since_ms.into()),
        ])
    }
}

/// The worst first, else in the order of the sections: resources, nodes, fencing, links, media, programs, files.
pub fn problems(status: &Json) -> Vec<Problem> {
    let mut found = Vec::new();
    resources(status, &mut found);
    nodes(status, &mut found);
    fencing(status, &mut found);
    links(status, &mut found);
    media(status, &mut found);
    programs(status, &mut found);
    files(status, &mut found);
    found.sort_by_key(|p| p.severity);
    found
}

/// Seconds since 1970 as "so many milliseconds ago", by the clock of the status itself.
pub fn ago(status: &Json, time: &Json) -> Option<u64> {
    match time {
        Json::Number(at) => Some(status.get("time").number().saturating_sub(*at) * 1000),
        Json::Null | Json::Bool(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => None,
    }
}

fn since(item: &Json) -> Option<u64> {
    match item.get("since_ms") {
        Json::Number(ms) => Some(*ms),
        Json::Null | Json::Bool(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => None,
    }
}

pub fn owners(group: &Json) -> Vec<&str> {
    group.get("owners").items().iter().map(Json::text).collect()
}

fn resources(status: &Json, found: &mut Vec<Problem>) {
    let me = status.get("node").text();
    for group in status.get("groups").items() {
        let (key, here) = (group.get("key").text(), group.get("here").text());
        let owners = owners(group);
        match owners.as_slice() {
            // Until this node is active it does not know who has what.
            [] if !status.get("active").is_true() => {}
            [] => found.push(Problem::bad(format!("NOBODY serves resource {key}"), since(group))),
            [one] if *one == me && here == "blocked" => found.push(Problem::bad(
                format!("resource {key} is stuck on {me}: it cannot be stopped"),
                since(group),
            )),
            [one] if *one == me && here != "running" => {
                found.push(Problem::warning(
                    format!("resource {key} is {here} on {me}"),
                    since(group),
                ));
            }
            [_] => {}
            several => found.push(Problem::bad(
                format!("SEVERAL nodes serve resource {key}: {}", several.join(", ")),
                since(group),
            )),
        }
        for failed in group.get("failed").items() {
            let text = failed_on(key, failed, &owners);
            let problem = Problem::warning(text, ago(status, failed.get("time")));
            found.push(problem);
        }
    }
}

/// The owner first: that it failed on one node is no outage while another one serves it.
fn failed_on(key: &str, failed: &Json, owners: &[&str]) -> String {
    let node = failed.get("node").text();
    let why = match failed.get("why") {
        Json::Text(why) => why.clone(),
        _ => format!("the log of {node} says why"),
    };
    let served = match owners {
        [] => String::new(),
        served => format!("runs on {}, ", served.join(", ")),
    };
    format!("{key} {served}failed on {node}: {why}; hb_takeover on {node} tries again")
}

/// Programs of `respawn` lines that heartbeat does not start again any more.
fn programs(status: &Json, found: &mut Vec<Problem>) {
    for program in status.get("clients").items() {
        if program.get("state").text() == "given up" {
            let (command, last) = (program.get("command").text(), program.get("last").text());
            found.push(Problem::bad(
                format!("program {command} is given up: {last}; mend it, then reload heartbeat"),
                since(program),
            ));
        }
    }
}

fn nodes(status: &Json, found: &mut Vec<Problem>) {
    for node in status.get("nodes").items() {
        let (name, word) = (node.get("name").text(), node.get("status").text());
        let problem = match (node.get("kind").text(), word) {
            ("ping", "dead") => Problem::bad(format!("ping node {name} does not answer"), since(node)),
            ("ping", _) | (_, "active") => continue,
            (_, "dead") => Problem::bad(format!("node {name} is DEAD"), since(node)),
            (_, other) => Problem::warning(format!("node {name} is starting ({other})"), since(node)),
        };
        found.push(problem);
    }
}

/// What a person has to do is in the sentence.
fn fencing(status: &Json, found: &mut Vec<Problem>) {
    for node in status.get("nodes").items() {
        let fencing = node.get("fencing");
        let (name, last) = (node.get("name").text(), fencing.get("last").text());
        let todo = match fencing.get("todo") {
            Json::Text(todo) => format!("; {todo}"),
            _ => String::new(),
        };
        let problem = match fencing.get("state").text() {
            "needed" | "running" => Problem::bad(
                format!("FENCING of {name} is under way; its resources are not taken over before{todo}"),
                since(node),
            ),
            "failed" => Problem::bad(
                format!(
                    "FENCING of {name} failed {} times, tried again; its resources are not taken over: {last}{todo}",
                    fencing.get("failures").number()
                ),
                since(node),
            ),
            "ready" if !last.is_empty() => {
                Problem::warning(format!("the fencing device for {name} is not well: {last}"), None)
            }
            _ => continue,
        };
        found.push(problem);
    }
}

/// Links of living nodes only: a dead node is one problem, not one more for each of its links; a medium that is broken
/// here is told as such.
fn links(status: &Json, found: &mut Vec<Problem>) {
    let me = status.get("node").text();
    let media = status.get("media").items();
    let is_broken = |link: &str| {
        media
            .iter()
            .any(|m| m.get("link").text() == link && *m.get("broken") != Json::Null)
    };
    for node in status.get("nodes").items() {
        let name = node.get("name").text();
        let alive = node.get("status").text() != "dead" && node.get("kind").text() == "normal";
        if !alive || name == me {
            continue;
        }
        for link in node.get("links").items() {
            let of = link.get("name").text();
            if link.get("status").text() == "dead" {
                if !is_broken(of) {
                    found.push(Problem::bad(format!("link {of} to node {name} is DEAD"), since(link)));
                }
                continue;
            }
            let (missed, expected) = loss(link);
            if expected >= LOSS_OF && missed * 100 >= expected * LOSSY_PERCENT {
                found.push(Problem::warning(
                    format!("link {of} from node {name} loses packets: {missed} of the last {expected}"),
                    None,
                ));
            }
        }
    }
}

/// Missed, expected.
pub fn loss(item: &Json) -> (u64, u64) {
    (
        item.get("packets_missed").number(),
        item.get("packets_expected").number(),
    )
}

fn media(status: &Json, found: &mut Vec<Problem>) {
    for medium in status.get("media").items() {
        if let Json::Text(why) = medium.get("broken") {
            let (kind, link) = (medium.get("kind").text(), medium.get("link").text());
            let since = broken_since(status, &format!("{kind} {link}"));
            found.push(Problem::bad(format!("medium {kind} {link} is BROKEN: {why}"), since));
        }
    }
}

/// When that happened stands among the last transitions, unless a whole night of others came after it.
fn broken_since(status: &Json, medium: &str) -> Option<u64> {
    let transitions = status.get("transitions").items();
    let of = |t: &&Json| t.get("kind").text() == "medium" && t.get("subject").text() == medium;
    let last = transitions.iter().rev().find(of)?;
    last.get("bad").is_true().then(|| ago(status, last.get("time")))?
}

fn files(status: &Json, found: &mut Vec<Problem>) {
    for node in status.get("nodes").items() {
        for difference in node.get("haresources_differ").items() {
            found.push(Problem::warning(difference.text().to_owned(), None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::to_json;
    use super::super::tests::with_view;
    use super::*;
    use crate::daemon::view::View;

    fn texts(change: impl FnOnce(&mut View<'_>)) -> Vec<String> {
        let mut texts = Vec::new();
        with_view(|view| {
            let mut view = super::super::tests::copy(view);
            change(&mut view);
            let found = problems(&to_json(&view, "9.9"));
            texts = found
                .iter()
                .map(|p| format!("{}: {}", p.severity.as_str(), p.text))
                .collect();
        });
        texts
    }

    fn calm(view: &mut View<'_>) {
        view.nodes[1].status = "active";
        view.nodes[1].links.pop();
        view.nodes[1].links[0].loss.missed = 4;
        view.nodes[1].haresources_differ.clear();
        view.media[1].broken = None;
        view.groups[0].failed.clear();
    }

    #[test]
    fn each_thing_that_is_wrong_is_said_once() {
        type Change = fn(&mut View<'_>);
        #[rustfmt::skip]
        let table: &[(Change, &[&str])] = &[
            (|_| {}, &[]),
            (|v| v.nodes[1].status = "dead", &["bad: node n2 is DEAD"]),
            (|v| v.nodes[1].status = "up", &["warning: node n2 is starting (up)"]),
            (|v| v.nodes[2].status = "dead", &["bad: ping node 10.0.0.254 does not answer"]),
            (|v| v.nodes[1].links[0].up = false, &["bad: link eth0 to node n2 is DEAD"]),
            (|v| v.nodes[0].links[0].up = false, &[]),
            (|v| { v.nodes[1].status = "dead"; v.nodes[1].links[0].up = false; }, &["bad: node n2 is DEAD"]),
            (|v| { v.media[0].broken = Some("gone".into()); v.nodes[1].links[0].up = false; },
                &["bad: medium bcast eth0 is BROKEN: gone"]),
            (|v| v.nodes[1].links[0].loss.missed = 5,
                &["warning: link eth0 from node n2 loses packets: 5 of the last 100"]),
            (|v| v.groups[0].owners.clear(), &["bad: NOBODY serves resource IPaddr::10.0.0.1"]),
            (|v| { v.groups[0].owners.clear(); v.active = false; }, &[]),
            (|v| v.groups[0].owners.push("n2".parse().unwrap()),
                &["bad: SEVERAL nodes serve resource IPaddr::10.0.0.1: n1, n2"]),
            (|v| v.groups[0].here = "blocked",
                &["bad: resource IPaddr::10.0.0.1 is stuck on n1: it cannot be stopped"]),
            (|v| v.groups[0].here = "starting", &["warning: resource IPaddr::10.0.0.1 is starting on n1"]),
            (|v| v.nodes[1].haresources_differ.push("haresources:3: node n2 does not have \"x\"".into()),
                &["warning: haresources:3: node n2 does not have \"x\""]),
        ];
        for (i, (change, want)) in table.iter().enumerate() {
            let got = texts(|view| {
                calm(view);
                change(view);
            });
            assert_eq!(got, *want, "row {i}");
        }
    }

    #[test]
    fn a_failure_of_one_node_is_no_outage_and_the_owner_is_named_first() {
        let got = texts(|view| {
            let failed = view.groups[0].failed.clone();
            calm(view);
            view.groups[0].failed = failed;
        });
        assert_eq!(
            got,
            [
                "warning: IPaddr::10.0.0.1 runs on n1, failed on n2: the log of n2 says why; \
                 hb_takeover on n2 tries again"
            ]
        );
    }

    #[test]
    fn the_worst_comes_first() {
        let got = texts(|view| view.nodes[1].status = "up");
        assert!(
            got[0].starts_with("bad: medium") || got[0].starts_with("bad: link"),
            "{got:?}"
        );
        assert!(got.last().unwrap().starts_with("warning: "), "{got:?}");
    }
}
