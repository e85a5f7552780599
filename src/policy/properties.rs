//! The cluster's properties: what is written, and which of it is no value that its property can have.

use super::rules::truth;
use super::unpack::{Pairs, set_of};
use crate::cib::{Cib, Score, words};
use crate::time::Wall;

/// What a property can be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Truth,
    Time,
    Number,
    /// In any case.
    OneOf(&'static [&'static str]),
    /// As it is written here.
    Exactly(&'static [&'static str]),
}

use Kind::{Exactly, Number, OneOf, Time, Truth};

/// The last three are Pacemaker 1.0's; the others are those, in that order, that Pacemaker 2.1.5's crm_verify looks at.
const PROPERTIES: &[(&str, Kind)] = &[
    (
        "no-quorum-policy",
        OneOf(&["stop", "freeze", "ignore", "demote", "suicide"]),
    ),
    ("symmetric-cluster", Truth),
    ("maintenance-mode", Truth),
    ("start-failure-is-fatal", Truth),
    ("enable-startup-probes", Truth),
    ("shutdown-lock", Truth),
    ("shutdown-lock-limit", Time),
    ("stonith-enabled", Truth),
    ("stonith-action", Exactly(&["reboot", "off", "poweroff"])),
    ("stonith-timeout", Time),
    ("have-watchdog", Truth),
    ("concurrent-fencing", Truth),
    ("startup-fencing", Truth),
    ("priority-fencing-delay", Time),
    ("cluster-delay", Time),
    ("batch-limit", Number),
    ("migration-limit", Number),
    ("stop-all-resources", Truth),
    ("stop-orphan-resources", Truth),
    ("stop-orphan-actions", Truth),
    ("remove-after-stop", Truth),
    ("pe-error-series-max", Number),
    ("pe-warn-series-max", Number),
    ("pe-input-series-max", Number),
    (
        "node-health-strategy",
        OneOf(&["none", "migrate-on-red", "only-green", "progressive", "custom"]),
    ),
    ("node-health-base", Number),
    ("node-health-green", Number),
    ("node-health-yellow", Number),
    ("node-health-red", Number),
    (
        "placement-strategy",
        OneOf(&["default", "utilization", "minimal", "balanced"]),
    ),
    ("default-action-timeout", Time),
    ("default-resource-stickiness", Number),
    ("is-managed-default", Truth),
];

/// By name, with dashes; of several sets the one that counts at that time.
pub(super) fn written(cib: &Cib, now: Wall) -> Pairs {
    let all = set_of(cib.section("crm_config"), "cluster_property_set", now);
    all.into_iter().map(|(n, v)| (n.replace('_', "-"), v)).collect()
}

/// A sentence for each property whose value means nothing or cannot be carried out, by what crm_verify says it with.
pub fn faults(cib: &Cib, now: Wall) -> Vec<(&'static str, String)> {
    let properties = written(cib, now);
    let mut out = Vec::new();
    for (name, kind) in PROPERTIES {
        let Some(value) = properties.get(*name).filter(|v| !kind.has(v)) else {
            continue;
        };
        let text = format!("Using default value for cluster option '{name}' because '{value}' is invalid");
        out.push(("cluster_option_value", text));
    }
    let policy = properties.get("no-quorum-policy");
    if policy.is_some_and(|p| p.eq_ignore_ascii_case("suicide")) && !truth(&properties, "stonith-enabled", true) {
        let text = "Resetting no-quorum-policy to 'stop' because fencing is disabled";
        out.push(("unpack_config", text.to_owned()));
    }
    out
}

impl Kind {
    fn has(self, value: &str) -> bool {
        match self {
            Truth => words::truth(value).is_some(),
            Time => words::interval(value).is_some(),
            Number => Score::parse(value).is_some(),
            OneOf(words) => words.iter().any(|w| w.eq_ignore_ascii_case(value)),
            Exactly(words) => words.contains(&value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::input::WithoutQuorum;
    use crate::policy::nodes::settings;

    fn cib(pairs: &[(&str, &str)]) -> Cib {
        let pairs: String = pairs
            .iter()
            .map(|(n, v)| format!("<nvpair id='o-{n}' name='{n}' value='{v}'/>"))
            .collect();
        let set = format!("<cluster_property_set id='o'>{pairs}</cluster_property_set>");
        Cib::parse(&format!(
            "<cib><configuration><crm_config>{set}</crm_config></configuration></cib>"
        ))
        .unwrap()
    }

    /// What Pacemaker 2.1.5's crm_verify says of the same values.
    #[test]
    fn values_that_mean_nothing() {
        let table: &[(&str, &[&str], &[&str])] = &[
            // property, good values, bad values
            (
                "no-quorum-policy",
                &["stop", "Freeze", "IGNORE", "demote"],
                &["foo", "", "0"],
            ),
            (
                "symmetric-cluster",
                &["TRUE", "On", "y", "N", "0", "1"],
                &["maybe", "", "t", "2"],
            ),
            (
                "stonith-timeout",
                &["60", "0", "1min", "2 min", "PT1M", "10ms", "60 s", "500us"],
                &["abc", "", "-5", "60x", "1d", "INFINITY", "+5"],
            ),
            (
                "batch-limit",
                &["-1", "0", "+5", " 5", "INFINITY", "-INFINITY"],
                &["x", ""],
            ),
            ("stonith-action", &["reboot", "off"], &["kill", "Off", ""]),
            ("placement-strategy", &["Minimal", "default"], &["foo"]),
            ("cluster_delay", &["60s"], &["-1"]),
            ("dc-deadtime", &["whatever"], &[]),
        ];
        for (name, good, bad) in table {
            for value in *good {
                assert_eq!(faults(&cib(&[(name, value)]), Wall(0)), [], "{name}={value}");
            }
            for value in *bad {
                let said = format!(
                    "Using default value for cluster option '{}' because '{value}' is invalid",
                    name.replace('_', "-")
                );
                let expected = [("cluster_option_value", said)];
                assert_eq!(faults(&cib(&[(name, value)]), Wall(0)), expected, "{name}={value}");
            }
        }
    }

    #[test]
    fn what_means_nothing_is_the_default_and_words_count_in_any_case() {
        let of = |name: &str, value: &str| settings(&cib(&[("stonith-enabled", "false"), (name, value)]), Wall(0));
        assert_eq!(of("no-quorum-policy", "foo").without_quorum, WithoutQuorum::Stop);
        assert_eq!(of("no-quorum-policy", "Freeze").without_quorum, WithoutQuorum::Freeze);
        assert_eq!(of("stonith-action", "kill").fence_action, "reboot");
        assert_eq!(of("stonith-action", "poweroff").fence_action, "off");
        assert!(of("symmetric-cluster", "maybe").symmetric);
        // Nobody can be made to go without fencing.
        assert_eq!(of("no-quorum-policy", "suicide").without_quorum, WithoutQuorum::Stop);
        let both = cib(&[("stonith-enabled", "false"), ("no-quorum-policy", "suicide")]);
        let said = "Resetting no-quorum-policy to 'stop' because fencing is disabled";
        assert_eq!(faults(&both, Wall(0)), [("unpack_config", said.to_owned())]);
        assert_eq!(faults(&cib(&[("no-quorum-policy", "suicide")]), Wall(0)), []);
    }
}
