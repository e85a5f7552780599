//! The status as Prometheus reads it: the text exposition format, version 0.0.4. Names follow its conventions: base
//! units, `_total` for what only grows, no unit abbreviated; `promtool check metrics` has nothing to say about them.

use super::json::Json;
use super::problems::{Severity, loss, owners, problems};
use crate::daemon::counted::COUNTED;
use std::fmt::Write;

const NODE_STATES: [&str; 5] = ["init", "up", "active", "dead", "ping"];
const GROUP_STATES: [&str; 6] = ["stopped", "starting", "running", "stopping", "failed", "blocked"];
const CAUSE: &str = "bad_packets_";

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// One metric with its samples; none without samples.
    fn metric(&mut self, name: &str, kind: &str, help: &str, samples: Vec<(Vec<(&str, String)>, String)>) {
        if samples.is_empty() {
            return;
        }
        // Writing into a String does not fail.
        let _ = writeln!(
            self.text,
            "# HELP heartbeat_{name} {help}\n# TYPE heartbeat_{name} {kind}"
        );
        for (labels, value) in samples {
            let labels: Vec<String> = labels.iter().map(|(n, v)| format!("{n}=\"{}\"", escaped(v))).collect();
            let braces = match labels.is_empty() {
                true => String::new(),
                false => format!("{{{}}}", labels.join(",")),
            };
            let _ = writeln!(self.text, "heartbeat_{name}{braces} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, samples: Vec<(Vec<(&str, String)>, String)>) {
        self.metric(name, "gauge", help, samples);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn flag(on: bool) -> String {
    u8::from(on).to_string()
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// What is said of a heartbeat that does not answer: a scrape that fails would look like a broken exporter.
pub fn down() -> String {
    let mut page = Page::default();
    page.gauge("up", UP, vec![(vec![], flag(false))]);
    page.text
}

const UP: &str = "Whether heartbeat of this node answers.";

pub fn text(status: &Json) -> String {
    let mut page = Page::default();
    page.gauge("up", UP, vec![(vec![], flag(true))]);
    let of = |name: &str| status.get(name).text().to_owned();
    page.gauge(
        "build_info",
        "Version of heartbeat; always 1.",
        vec![(vec![("version", of("version")), ("node", of("node"))], flag(true))],
    );
    page.gauge(
        "active",
        "Whether this node has started up and manages resources.",
        vec![(vec![], flag(status.get("active").is_true()))],
    );
    let found = problems(status);
    let count = |severity: Severity| {
        let n = found.iter().filter(|p| p.severity == severity).count();
        (vec![("severity", severity.as_str().to_owned())], n.to_string())
    };
    page.gauge(
        "problems",
        "What cl_status watch lists at its top, in numbers.",
        vec![count(Severity::Bad), count(Severity::Warning)],
    );
    nodes(&mut page, status);
    links(&mut page, status);
    media(&mut page, status);
    groups(&mut page, status);
    counters(&mut page, status);
    page.text
}

fn label(name: &'static str, item: &Json, member: &str) -> (&'static str, String) {
    (name, item.get(member).text().to_owned())
}

fn nodes(page: &mut Page, status: &Json) {
    let all = status.get("nodes").items();
    let each = |value: &dyn Fn(&Json) -> String| {
        let samples = all.iter().map(|n| (vec![label("node", n, "name")], value(n)));
        samples.collect::<Vec<_>>()
    };
    let states = all.iter().flat_map(|n| {
        NODE_STATES.map(|state| {
            let labels = vec![
                label("node", n, "name"),
                label("kind", n, "kind"),
                ("state", state.to_owned()),
            ];
            (labels, flag(n.get("status").text() == state))
        })
    });
    page.gauge("node_state", "1 for the state a node is in.", states.collect());
    page.gauge(
        "node_state_age_seconds",
        "How long a node is in its state.",
        each(&|n| seconds(n.get("since_ms").number())),
    );
    page.metric(
        "node_late_beats_total",
        "counter",
        "Heartbeats of a node that came later than warntime.",
        each(&|n| n.get("late_beats").number().to_string()),
    );
    page.gauge(
        "node_longest_beat_interval_seconds",
        "Longest time between two heartbeats of a node since it was last given up or started.",
        each(&|n| seconds(n.get("longest_interval_ms").number())),
    );
}

fn links(page: &mut Page, status: &Json) {
    let nodes = status.get("nodes").items();
    let each = |value: &dyn Fn(&Json) -> String| {
        let links = nodes
            .iter()
            .flat_map(|n| n.get("links").items().iter().map(move |l| (n, l)));
        links
            .map(|(n, l)| (vec![label("node", n, "name"), label("link", l, "name")], value(l)))
            .collect::<Vec<_>>()
    };
    page.gauge(
        "link_up",
        "Whether a node is heard on a link.",
        each(&|l| flag(l.get("status").text() == "up")),
    );
    page.gauge(
        "link_recent_packets_expected",
        "Packets of a node that should have come over a link in the last one to two minutes.",
        each(&|l| loss(l).1.to_string()),
    );
    page.gauge(
        "link_recent_packets_missed",
        "Packets of a node that did not come over a link in the last one to two minutes.",
        each(&|l| loss(l).0.to_string()),
    );
}

fn media(page: &mut Page, status: &Json) {
    let samples = status.get("media").items().iter().map(|m| {
        let labels = vec![label("link", m, "link"), label("kind", m, "kind")];
        (labels, flag(*m.get("broken") == Json::Null))
    });
    page.gauge(
        "medium_working",
        "Whether a medium of this node can be used.",
        samples.collect(),
    );
}

fn groups(page: &mut Page, status: &Json) {
    let all = status.get("groups").items();
    let key = |g: &Json| label("group", g, "key");
    let nodes: Vec<&Json> = status
        .get("nodes")
        .items()
        .iter()
        .filter(|n| n.get("kind").text() == "normal")
        .collect();
    page.gauge(
        "group_owners",
        "Nodes that have a resource group; anything but 1 is a fault.",
        all.iter()
            .map(|g| (vec![key(g)], owners(g).len().to_string()))
            .collect(),
    );
    let owned = all.iter().flat_map(|g| {
        nodes.iter().map(move |n| {
            let has = owners(g).contains(&n.get("name").text());
            (vec![key(g), label("node", n, "name")], flag(has))
        })
    });
    page.gauge("group_owned", "Whether a node has a resource group.", owned.collect());
    let states = all.iter().flat_map(|g| {
        GROUP_STATES.map(|state| {
            (
                vec![key(g), ("state", state.to_owned())],
                flag(g.get("here").text() == state),
            )
        })
    });
    page.gauge(
        "group_state",
        "1 for the state a resource group is in on this node.",
        states.collect(),
    );
    let leases = all.iter().filter_map(|g| match g.get("lease_s") {
        Json::Number(seconds) => Some((vec![key(g)], seconds.to_string())),
        _ => None,
    });
    page.gauge(
        "group_lease_seconds",
        "How long the kernel keeps the addresses of a resource group that runs here after the last beat; 0 is for ever.",
        leases.collect(),
    );
    let failed = all.iter().flat_map(|g| {
        nodes.iter().map(move |n| {
            let mut on = g.get("failed").items().iter().map(|f| f.get("node").text());
            let has = on.any(|name| name == n.get("name").text());
            (vec![key(g), label("node", n, "name")], flag(has))
        })
    });
    page.gauge(
        "group_failed",
        "Whether a node could not start a resource group.",
        failed.collect(),
    );
}

fn counters(page: &mut Page, status: &Json) {
    let mut causes = Vec::new();
    for (name, value) in status.get("counters").members() {
        let value = value.number().to_string();
        if let Some(cause) = name.strip_prefix(CAUSE) {
            causes.push((vec![("cause", cause.to_owned())], value));
            continue;
        }
        let help = COUNTED.iter().find(|(n, _)| n == name).map(|(_, help)| *help);
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_lowercase() || c.is_ascii_digit() {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let help = help.unwrap_or("Counted since heartbeat was started.");
        page.metric(&format!("{name}_total"), "counter", help, vec![(vec![], value)]);
    }
    page.metric(
        "bad_packets_total",
        "counter",
        "Packets that were dropped, by cause.",
        causes,
    );
}

#[cfg(test)]
mod tests {
    use super::super::status::to_json;
    use super::super::tests::{copy, with_view};
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Reads the format strictly: `# HELP`, `# TYPE`, then the samples of that metric and no other. Gives the type of
    /// each metric and the value of each sample.
    fn read(page: &str) -> (BTreeMap<String, String>, BTreeMap<String, f64>) {
        let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut now = String::new();
        assert!(page.ends_with('\n'));
        let is_name = |n: &str| {
            n.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                && n.chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        let mut lines = page.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').expect("a help text");
                assert!(is_name(name) && !text.is_empty(), "{line}");
                let kind = lines
                    .next()
                    .and_then(|l| l.strip_prefix("# TYPE "))
                    .expect("a type after the help");
                let (of, kind) = kind.split_once(' ').expect("name and type");
                assert_eq!(of, name);
                assert!(["counter", "gauge"].contains(&kind), "{kind}");
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
                name.clone_into(&mut now);
                assert!(lines.peek().is_some_and(|l| l.starts_with(&now)), "{name} has samples");
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = match sample.split_once('{') {
                None => (sample, ""),
                Some((name, rest)) => (name, rest.strip_suffix('}').expect("closed braces")),
            };
            assert_eq!(name, now, "samples stand under their metric");
            let mut rest = labels;
            let mut seen = BTreeSet::new();
            while !rest.is_empty() {
                let (label, after) = rest.split_once("=\"").expect("label=\"value\"");
                assert!(is_name(label) && seen.insert(label), "{line}");
                let mut end = None;
                let mut chars = after.char_indices();
                while let Some((i, c)) = chars.next() {
                    match c {
                        '\\' => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n'))), "{line}"),
                        '"' => {
                            end = Some(i);
                            break;
                        }
                        _ => {}
                    }
                }
                rest = &after[end.expect("a closed value") + 1..];
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            let value: f64 = value.parse().expect("a number");
            assert!(samples.insert(sample.to_owned(), value).is_none(), "{sample} twice");
        }
        (types, samples)
    }

    #[test]
    fn the_page_is_well_formed_and_has_every_counter() {
        with_view(|view| {
            let mut view = copy(view);
            view.groups[0].key = "web::\"quoted\"\\back".parse().unwrap();
            let json = to_json(&view, "9.9");
            let page = text(&json);
            let (types, samples) = read(&page);
            for (name, kind) in &types {
                assert!(name.starts_with("heartbeat_"), "{name}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
                for word in ["_ms", "_sec", "_count", "_sum", "_bucket", "gauge", "counter"] {
                    let bad = name.ends_with(word) || name.contains(&format!("{word}_"));
                    assert!(!bad, "{name}: {word}");
                }
            }
            for (name, _) in json.get("counters").members() {
                let sample = match name.strip_prefix("bad_packets_") {
                    Some(cause) => format!("heartbeat_bad_packets_total{{cause=\"{cause}\"}}"),
                    None => format!("heartbeat_{name}_total"),
                };
                assert!(samples.contains_key(&sample), "{sample}\n{page}");
            }
            #[rustfmt::skip]
            let table = [
                ("heartbeat_up", 1.0),
                ("heartbeat_takeovers_total", 2.0),
                ("heartbeat_node_state{node=\"n2\",kind=\"normal\",state=\"dead\"}", 1.0),
                ("heartbeat_node_state{node=\"n2\",kind=\"normal\",state=\"active\"}", 0.0),
                ("heartbeat_node_state_age_seconds{node=\"n2\"}", 65.0),
                ("heartbeat_node_longest_beat_interval_seconds{node=\"n2\"}", 1.234),
                ("heartbeat_link_up{node=\"n2\",link=\"/dev/ttyS0\"}", 0.0),
                ("heartbeat_link_recent_packets_missed{node=\"n2\",link=\"eth0\"}", 6.0),
                ("heartbeat_medium_working{link=\"/dev/ttyS0\",kind=\"serial\"}", 0.0),
                ("heartbeat_group_owned{group=\"web::\\\"quoted\\\"\\\\back\",node=\"n1\"}", 1.0),
                ("heartbeat_group_failed{group=\"web::\\\"quoted\\\"\\\\back\",node=\"n2\"}", 1.0),
            ];
            for (sample, value) in table {
                assert_eq!(samples.get(sample), Some(&value), "{sample}\n{page}");
            }
        });
        let (_, samples) = read(&down());
        assert_eq!(samples.get("heartbeat_up"), Some(&0.0));
    }
}
