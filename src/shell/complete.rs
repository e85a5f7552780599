//! What a line that is being typed may go on with.

use super::levels::{self, Arg, Found, Level};

/// What only the cluster and the machine know.
pub trait Known {
    fn resources(&self) -> Vec<String>;
    fn nodes(&self) -> Vec<String>;
    fn objects(&self) -> Vec<String>;
    fn groups(&self) -> Vec<String>;
    fn classes(&self) -> Vec<String>;
    fn providers(&self) -> Vec<String>;
    /// Whole names: `ocf:heartbeat:IPaddr2`.
    fn agents(&self) -> Vec<String>;
    /// The parameters of an agent.
    fn parameters(&self, agent: &str) -> Vec<String>;
}

/// Properties of the cluster that the policy looks at.
pub const PROPERTIES: [&str; 20] = [
    "batch-limit",
    "cluster-delay",
    "cluster-recheck-interval",
    "concurrent-fencing",
    "default-action-timeout",
    "default-resource-stickiness",
    "enable-startup-probes",
    "is-managed-default",
    "maintenance-mode",
    "no-quorum-policy",
    "pe-input-series-max",
    "start-failure-is-fatal",
    "startup-fencing",
    "stonith-action",
    "stonith-enabled",
    "stonith-timeout",
    "stop-all-resources",
    "stop-orphan-actions",
    "stop-orphan-resources",
    "symmetric-cluster",
];
pub const META: [&str; 18] = [
    "allow-migrate",
    "clone-max",
    "clone-node-max",
    "failure-timeout",
    "globally-unique",
    "interleave",
    "is-managed",
    "maintenance",
    "master-max",
    "master-node-max",
    "migration-threshold",
    "multiple-active",
    "notify",
    "ordered",
    "priority",
    "requires",
    "resource-stickiness",
    "target-role",
];
const OPERATIONS: [&str; 6] = ["start", "stop", "monitor", "promote", "demote", "notify"];
const OP_WORDS: [&str; 7] = [
    "interval=",
    "timeout=",
    "start-delay=",
    "on-fail=",
    "role=",
    "enabled=",
    "requires=",
];

/// Candidates for the last word of `line`, and the byte where that word begins. Sorted, each once.
pub fn candidates(line: &str, levels: &[Level], known: &dyn Known) -> (usize, Vec<String>) {
    let start = line.rfind(|c: char| c.is_whitespace()).map_or(0, |at| at + 1);
    let (before, word) = line.split_at(start);
    let before: Vec<&str> = before.split_whitespace().collect();
    let mut level = levels.last().copied().unwrap_or(Level::Root);
    let mut rest = &before[..];
    let mut all = loop {
        let Some(first) = rest.first() else {
            break names(level);
        };
        match levels::find(level, first) {
            Ok(Found::Level(sub)) => (level, rest) = (sub, &rest[1..]),
            Ok(Found::Command(command)) => break arguments(level, command, &rest[1..], known),
            Err(_) => break Vec::new(),
        }
    };
    all.retain(|c| c.starts_with(word));
    all.sort();
    all.dedup();
    (start, all)
}

fn names(level: Level) -> Vec<String> {
    let commands = level.commands().iter().chain(levels::EVERYWHERE).map(|c| c.name);
    commands
        .chain(level.sublevels().iter().map(|l| l.name()))
        .map(str::to_owned)
        .collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

fn with_equals(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    names.into_iter().map(|n| format!("{}=", n.as_ref())).collect()
}

fn arguments(level: Level, command: &levels::Command, given: &[&str], known: &dyn Known) -> Vec<String> {
    match command.name {
        "help" => return names(level),
        "cd" => return level.sublevels().iter().map(|l| l.name().to_owned()).collect(),
        "show" | "edit" if level == Level::Configure => {
            let mut all = known.objects();
            all.extend(owned(&[
                "changed",
                "xml",
                "type:primitive",
                "type:location",
                "type:property",
            ]));
            return all;
        }
        "rsc_defaults" => return with_equals(META),
        "op_defaults" => return owned(&OP_WORDS),
        _ => {}
    }
    let arg = match command.args.get(given.len()).or(command.args.last()) {
        Some(arg) if given.len() < command.args.len() || matches!(arg, Arg::Statement) => arg,
        _ => return Vec::new(),
    };
    match arg {
        Arg::Resource => known.resources(),
        Arg::Node => known.nodes(),
        Arg::Object => known.objects(),
        Arg::Group => known.groups(),
        Arg::Agent => known.agents(),
        Arg::Class => known.classes(),
        Arg::Provider => known.providers(),
        Arg::Property => with_equals(PROPERTIES),
        Arg::Words(words) => owned(words),
        Arg::Statement => statement(command.name, given, known),
        Arg::Any => Vec::new(),
    }
}

/// The inside of an object: by the last keyword before.
fn statement(keyword: &str, given: &[&str], known: &dyn Known) -> Vec<String> {
    let sections: &[&str] = match keyword {
        "primitive" | "rsc_template" => &["params", "meta", "op", "operations", "utilization"],
        "node" => &["attributes", "utilization"],
        "location" => &["rule"],
        _ => &["params", "meta"],
    };
    let opened = given.iter().rposition(|w| sections.contains(w));
    let mut all = owned(sections);
    match opened.map(|at| (given[at], given.len() - at - 1)) {
        Some(("params", _)) if keyword != "group" => {
            all.extend(
                given
                    .get(1)
                    .map(|agent| with_equals(known.parameters(agent)))
                    .unwrap_or_default(),
            );
        }
        Some(("meta", _)) => all.extend(with_equals(META)),
        Some(("op", 0)) => return owned(&OPERATIONS),
        Some(("op", _)) => all.extend(owned(&OP_WORDS)),
        Some(("rule", _)) => all = owned(&["#uname", "defined", "not_defined", "date", "and", "or"]),
        None if keyword == "group" => all.extend(known.resources()),
        None if keyword == "location" => all.extend(known.nodes()),
        Some(_) | None => {}
    }
    // What was given is not offered again.
    all.retain(|c| !c.ends_with('=') || !given.iter().any(|g| g.starts_with(&**c)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lab;

    impl Known for Lab {
        fn resources(&self) -> Vec<String> {
            owned(&["vip", "www"])
        }
        fn nodes(&self) -> Vec<String> {
            owned(&["node1", "node2"])
        }
        fn objects(&self) -> Vec<String> {
            owned(&["node1", "node2", "vip", "www", "cib-bootstrap-options"])
        }
        fn groups(&self) -> Vec<String> {
            owned(&["web"])
        }
        fn classes(&self) -> Vec<String> {
            owned(&["heartbeat", "lsb", "ocf", "stonith"])
        }
        fn providers(&self) -> Vec<String> {
            owned(&["heartbeat", "pacemaker"])
        }
        fn agents(&self) -> Vec<String> {
            owned(&["ocf:heartbeat:IPaddr", "ocf:heartbeat:IPaddr2", "lsb:apache2"])
        }
        fn parameters(&self, agent: &str) -> Vec<String> {
            assert_eq!(agent, "ocf:heartbeat:IPaddr2");
            owned(&["ip", "nic"])
        }
    }

    #[test]
    fn what_a_line_may_go_on_with() {
        #[rustfmt::skip]
        let table: &[(&[Level], &str, &[&str])] = &[
            (&[],                 "conf",                                   &["configure"]),
            (&[],                 "configure pri",                          &["primitive"]),
            (&[],                 "resource mig",                           &["migrate"]),
            (&[],                 "resource migrate v",                     &["vip"]),
            (&[],                 "resource migrate vip ",                  &["node1", "node2"]),
            (&[],                 "nonsense ",                              &[]),
            (&[Level::Configure], "primitive vip ocf:heartbeat:IPaddr2",    &["ocf:heartbeat:IPaddr2"]),
            (&[Level::Configure], "primitive vip ocf:",                     &["ocf:heartbeat:IPaddr", "ocf:heartbeat:IPaddr2"]),
            (&[Level::Configure], "primitive vip ocf:heartbeat:IPaddr2 p",  &["params"]),
            (&[Level::Configure], "primitive vip ocf:heartbeat:IPaddr2 params ip=1 n", &["nic="]),
            (&[Level::Configure], "primitive vip ocf:heartbeat:IPaddr2 params ip=1 i", &[]),
            (&[Level::Configure], "primitive v lsb:x op mon",               &["monitor"]),
            (&[Level::Configure], "primitive v lsb:x op monitor int",       &["interval="]),
            (&[Level::Configure], "property no-q",                          &["no-quorum-policy="]),
            (&[Level::Configure], "delete w",                               &["www"]),
            (&[Level::Configure], "group g v",                              &["vip"]),
            (&[Level::Configure], "modgroup ",                              &["web"]),
            (&[Level::Configure], "cd ",                                    &["cib", "ra"]),
            (&[Level::Configure, Level::Ra], "list o",                      &["ocf"]),
            (&[Level::Ra],        "list ocf h",                             &["heartbeat"]),
            (&[Level::Node],      "standby node2 re",                       &["reboot"]),
        ];
        for (levels, line, expected) in table {
            let (start, got) = candidates(line, levels, &Lab);
            assert_eq!(got, *expected, "{levels:?} {line}");
            assert_eq!(start, line.rfind(' ').map_or(0, |at| at + 1), "{line}");
        }
    }
}
