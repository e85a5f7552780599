//! What an operation leaves in the status when it is over: its line in the history, and the count of its failures.

use crate::cib::{Element, Score};
use crate::time::{Duration, Wall};

/// An operation that is over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// As the history calls it: without the number of an anonymous instance.
    pub rsc: String,
    pub class: String,
    pub provider: String,
    pub kind: String,
    pub operation: String,
    pub interval: Duration,
    pub call: i64,
    pub rc: i32,
    /// How it ended: 0 done, 2 timed out, … ; see [`super::history::Entry`].
    pub status: i32,
    pub took: Duration,
    pub queued: Duration,
    /// When this result was there first.
    pub at: Wall,
    pub reason: String,
    /// `ACTION:TRANSITION:EXPECTED-RC:UUID`
    pub key: String,
    pub digest: String,
    /// Of agents that take some parameters without a restart: names and digest of the others.
    pub restart: Option<(String, String)>,
}

/// A line's id for everything that does not recur, and for the last failure.
pub const LAST: &str = "last_0";
pub const LAST_FAILURE: &str = "last_failure_0";

impl Record {
    pub fn is_probe(&self) -> bool {
        self.operation == "monitor" && self.interval.is_zero()
    }

    pub fn expected(&self) -> i32 {
        self.key.split(':').nth(2).and_then(|rc| rc.parse().ok()).unwrap_or(0)
    }

    /// A look at what may or may not run cannot fail by finding either.
    pub fn is_failure(&self) -> bool {
        let found = self.status == 0 && self.is_probe() && [0, 7, 8].contains(&self.rc);
        !found && (self.rc != self.expected() || self.status != 0)
    }

    /// What it counts as, from what was counted before; `None`: it is no failure.
    pub fn count(&self, before: Option<&str>, start_failure_is_fatal: bool) -> Option<String> {
        if !self.is_failure() {
            return None;
        }
        let fatal = self.operation == "stop" || self.operation == "start" && start_failure_is_fatal;
        Some(match before.and_then(Score::parse) {
            _ if fatal => "INFINITY".to_owned(),
            Some(before) if before.is_infinite() => "INFINITY".to_owned(),
            before => (before.map_or(0, Score::value).max(0) + 1).to_string(),
        })
    }

    /// `fail-count-web#monitor_10000` and when that was last.
    pub fn counters(&self) -> [String; 2] {
        ["fail-count", "last-failure"]
            .map(|what| format!("{what}-{}#{}_{}", self.rsc, self.operation, self.interval.as_millis()))
    }

    /// Where its line stands: `web_last_0`, `web_monitor_10000`.
    pub fn id(&self) -> String {
        match self.interval.as_millis() {
            0 => format!("{}_{LAST}", self.rsc),
            ms => format!("{}_{}_{ms}", self.rsc, self.operation),
        }
    }

    /// Its line in the history of a node, with this id.
    pub fn line(&self, id: String, node: &str) -> Element {
        let ms = self.interval.as_millis();
        let mut line = Element::new("lrm_rsc_op")
            .with("id", id)
            .with("operation_key", format!("{}_{}_{ms}", self.rsc, self.operation))
            .with("operation", &self.operation)
            .with("interval", ms)
            .with("call-id", self.call)
            .with("rc-code", self.rc)
            .with("op-status", self.status)
            .with("transition-key", &self.key)
            .with("transition-magic", format!("{}:{};{}", self.status, self.rc, self.key))
            .with("on_node", node)
            .with("last-rc-change", self.at.0)
            .with("exec-time", self.took.as_millis())
            .with("queue-time", self.queued.as_millis())
            .with("exit-reason", &self.reason)
            .with("op-digest", &self.digest);
        if let Some((names, digest)) = &self.restart {
            line.set("op-force-restart", names);
            line.set("op-restart-digest", digest);
        }
        line
    }

    /// What holds the lines of its resource, still without any.
    pub fn resource(&self) -> Element {
        let mut e = Element::new("lrm_resource")
            .with("id", &self.rsc)
            .with("type", &self.kind)
            .with("class", &self.class);
        if !self.provider.is_empty() {
            e.set("provider", &self.provider);
        }
        e
    }
}

/// A transient attribute of a node, as the status has it.
pub fn attribute(node_id: &str, name: &str, value: &str) -> Element {
    Element::new("nvpair")
        .with("id", format!("status-{node_id}-{}", name.replace('#', ".")))
        .with("name", name)
        .with("value", value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_failure_and_what_it_counts_as() {
        #[rustfmt::skip]
        let table = [
            // operation  ms     expected rc status  fatal  before            counts as
            ("monitor",   0,     7,       7, 0,      true,  None,             None),
            ("monitor",   0,     7,       0, 0,      true,  None,             None),
            ("monitor",   0,     7,       8, 0,      true,  None,             None),
            ("monitor",   0,     7,       1, 4,      true,  None,             Some("1")),
            ("monitor",   10000, 0,       0, 0,      true,  Some("3"),        None),
            ("monitor",   10000, 8,       8, 0,      true,  None,             None),
            ("monitor",   10000, 0,       7, 0,      true,  Some("3"),        Some("4")),
            ("monitor",   10000, 0,       7, 0,      true,  Some("INFINITY"), Some("INFINITY")),
            ("monitor",   10000, 0,       1, 2,      true,  Some("x"),        Some("1")),
            ("start",     0,     0,       0, 0,      true,  None,             None),
            ("start",     0,     0,       1, 4,      true,  None,             Some("INFINITY")),
            ("start",     0,     0,       1, 4,      false, Some("1"),        Some("2")),
            ("stop",      0,     0,       1, 4,      false, None,             Some("INFINITY")),
            ("promote",   0,     0,       1, 4,      true,  None,             Some("1")),
        ];
        for (operation, ms, expected, rc, status, fatal, before, counts) in table {
            let record = Record {
                operation: operation.into(),
                interval: Duration::from_millis(ms),
                rc,
                status,
                key: format!("1:2:{expected}:u"),
                ..Record::default()
            };
            let got = record.count(before, fatal);
            assert_eq!(
                got.as_deref(),
                counts,
                "{operation} {ms} {expected} {rc} {status} {fatal} {before:?}"
            );
        }
    }

    #[test]
    fn a_line_is_read_as_what_it_was() {
        let record = Record {
            rsc: "web".into(),
            operation: "monitor".into(),
            interval: Duration::from_secs(10),
            call: 7,
            rc: 7,
            status: 0,
            took: Duration::from_millis(12),
            at: Wall(99),
            key: "3:4:0:u".into(),
            reason: "it's gone".into(),
            ..Record::default()
        };
        let entry = crate::policy::history::Entry::read(&record.line(record.id(), "n1"));
        assert_eq!((&*entry.operation, entry.interval), ("monitor", record.interval));
        assert_eq!((entry.call, entry.rc, entry.status, entry.expected), (7, 7, 0, 0));
        assert_eq!(
            (entry.at, entry.took, &*entry.reason),
            (Wall(99), record.took, "it's gone")
        );
        assert_eq!(record.id(), "web_monitor_10000");
    }
}
