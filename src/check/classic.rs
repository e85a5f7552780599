//! `heartbeat -t --classic`: what in a site's files heartbeat 3.0.6 takes differently, by file and line. For whoever
//! changes a cluster over (hb_migrate(7)).

use super::{Files, Texts};
use crate::conf::{Complaint, Severity};

/// Directives whose effect is another one here, and how.
const DIRECTIVES: [(&str, &str); 7] = [
    (
        "auto_failback",
        "after a partition the classic gives everything up and starts anew; here each group keeps one owner",
    ),
    (
        "nice_failback",
        "the classic takes every value for \"auto_failback legacy\"; write auto_failback instead",
    ),
    ("initdead", "the classic waits for ping nodes too; here for nodes only"),
    (
        "deadping",
        "the classic uses the time of the last node of the file for all links; here each has its own",
    ),
    ("compression", "messages are not compressed here"),
    ("autojoin", "nodes that ha.cf does not name are not taken in here"),
    ("crm", "there is no cluster resource manager here"),
];

/// Time words that the classic refuses.
const TIMES: [&str; 5] = ["keepalive", "deadtime", "warntime", "initdead", "deadping"];

fn words(line: &str) -> Vec<&str> {
    let text = line.split('#').next().unwrap_or("");
    text.split_ascii_whitespace().collect()
}

/// Everything that differs, as warnings.
pub fn differences(files: &Files, texts: &Texts) -> Vec<Complaint> {
    let mut out = Vec::new();
    let mut say = |file: &std::path::Path, line: usize, message: String| {
        out.push(Complaint {
            file: file.to_owned(),
            line,
            severity: Severity::Warning,
            message,
        });
    };
    for (i, line) in texts.ha_cf.lines().enumerate() {
        let words = words(line);
        let Some(directive) = words.first() else { continue };
        if let Some((_, how)) = DIRECTIVES.iter().find(|(name, _)| name == directive) {
            say(&files.ha_cf, i + 1, format!("3.0.6: {directive}: {how}"));
        }
        let seconds = |w: &&str| w.ends_with('s') && w.trim_end_matches('s').parse::<f64>().is_ok();
        if TIMES.contains(directive) && words.get(1).is_some_and(seconds) {
            say(
                &files.ha_cf,
                i + 1,
                format!(
                    "3.0.6: {directive}: does not know the unit \"s\"; leave it away while a classic node reads this"
                ),
            );
        }
    }
    let mut first = true;
    for (i, line) in texts.haresources.lines().enumerate() {
        if words(line).is_empty() {
            continue;
        }
        if std::mem::take(&mut first) {
            let message = "3.0.6: a group whose start fails stays down for 30 s, and groups are started one after the other; here \
                           the other node tries at once, and groups do not wait for each other";
            say(&files.haresources, i + 1, message.to_owned());
        }
    }
    for (i, line) in texts.authkeys.lines().enumerate() {
        let words = words(line);
        if words.get(1) == Some(&"sha256") {
            say(
                &files.authkeys,
                i + 1,
                "3.0.6: does not know the method sha256".to_owned(),
            );
        }
        if words.first() == Some(&"auth") {
            let message = "3.0.6: checks every message with this key only; change it on both nodes within one deadtime";
            say(&files.authkeys, i + 1, message.to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_is_told_with_its_line() {
        let texts = Texts {
            ha_cf: "keepalive 2s # short\ndeadtime 500ms\nauto_failback on\ncrm off\nnode a b\n".into(),
            haresources: "# groups\na ip \\\n  web # the site\n".into(),
            authkeys: "auth 1\n1 sha256 secret\n".into(),
        };
        let found = differences(&Files::installed(), &texts);
        let shown: Vec<String> = found
            .iter()
            .map(|c| {
                let name = c.file.file_name().unwrap().to_string_lossy().into_owned();
                let what = c.message.split(' ').take(4).collect::<Vec<_>>().join(" ");
                format!("{name}:{} {what}", c.line)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "ha.cf:1 3.0.6: keepalive: does not",
                "ha.cf:3 3.0.6: auto_failback: after a",
                "ha.cf:4 3.0.6: crm: there is",
                "haresources:2 3.0.6: a group whose",
                "authkeys:1 3.0.6: checks every message",
                "authkeys:2 3.0.6: does not know",
            ]
        );
        assert!(found.iter().all(|c| !c.message.contains("secret")));
    }
}
