//! The scripts of rc.d: one after the other through `harc`, for messages that the core tells of. Nobody waits for them.

use super::runner::{Jobs, Program};
use crate::conf::ResourceSpec;
use crate::groups::job::{Command, Verb};
use crate::ids::JobId;
use crate::paths;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;

/// Messages that wait for a script. More than this come only when scripts hang or somebody floods us: then they are
/// dropped, which is said.
const MOST_WAITING: usize = 64;
/// A field with a longer value is not handed on: all of an environment has to fit into what the kernel allows.
const LONGEST_VALUE: usize = 4096;
const MOST_FIELDS: usize = 64;

/// One script that runs, and the messages that wait.
#[derive(Debug)]
pub struct RcScripts {
    types: Vec<String>,
    env: Vec<(String, String)>,
    limit: Duration,
    waiting: VecDeque<(String, Vec<(String, String)>)>,
    dropped: u64,
    jobs: Jobs,
    last: u64,
}

/// The names of rc.d that harc would run.
fn look() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(paths::config().join("rc.d")) else {
        return Vec::new();
    };
    let runs = |e: &std::fs::DirEntry| {
        std::fs::metadata(e.path()).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    let mut types: Vec<String> = entries
        .flatten()
        .filter(runs)
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| is_type(name))
        .collect();
    types.sort();
    types
}

/// As harc has it.
fn is_type(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// The fields come from the network: only what is a name becomes one, and what the daemon itself says is not changed. No
/// capitals: those are the names by which scripts find their programs (`HA_BIN`, `HA_DIR`).
fn with_fields(env: &[(String, String)], fields: &[(String, String)]) -> Vec<(String, String)> {
    let mut all = env.to_vec();
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 64
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    for (name, value) in fields.iter().take(MOST_FIELDS) {
        let variable = format!("HA_{name}");
        let fits = value.len() <= LONGEST_VALUE && !value.contains('\0');
        if (is_name(name) || name == "OSTATUS") && fits && !all.iter().any(|(n, _)| *n == variable) {
            all.push((variable, value.clone()));
        }
    }
    all
}

impl RcScripts {
    pub fn new(env: Vec<(String, String)>, limit: Duration) -> Self {
        Self {
            types: look(),
            env,
            limit,
            waiting: VecDeque::new(),
            dropped: 0,
            jobs: Jobs::new(Vec::new(), Vec::new()),
            last: 0,
        }
    }

    /// Looks at rc.d again.
    pub fn reload(&mut self, env: Vec<(String, String)>, limit: Duration) {
        (self.types, self.env, self.limit) = (look(), env, limit);
    }

    /// The types of message that have a script.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    pub fn push(&mut self, kind: &str, fields: Vec<(String, String)>) {
        let kind = kind.to_ascii_lowercase();
        if !self.types.contains(&kind) {
            return;
        }
        if self.waiting.len() == MOST_WAITING {
            if self.dropped == 0 {
                log::warn!("rc.d/{kind}: {MOST_WAITING} messages wait for scripts; further ones are dropped");
            }
            self.dropped += 1;
            return;
        }
        self.waiting.push_back((kind, fields));
    }

    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.jobs.fds()
    }

    pub fn deadline(&self) -> Instant {
        if self.jobs.running() == 0 && !self.waiting.is_empty() {
            return Instant::from_millis(0);
        }
        self.jobs.deadline()
    }

    /// What has ended has told its end; starts the next one. Never blocks.
    pub fn tick(&mut self, now: Instant) {
        self.jobs.tick(now);
        if self.jobs.running() == 0
            && let Some((kind, fields)) = self.waiting.pop_front()
        {
            self.start(now, kind, &fields);
        }
        if self.dropped > 0 && self.waiting.is_empty() {
            log::warn!("rc.d: {} messages were dropped", self.dropped);
            self.dropped = 0;
        }
    }

    fn start(&mut self, now: Instant, kind: String, fields: &[(String, String)]) {
        let mut all = vec![("t".to_owned(), kind.clone())];
        all.extend(fields.iter().filter(|(name, _)| name != "t").cloned());
        let title = format!("rc.d/{kind}");
        let Ok(name) = title.parse() else {
            return log::error!("{title}: is no name of a script");
        };
        let command = Command {
            resource: ResourceSpec {
                name,
                script: kind.clone(),
                args: Vec::new(),
            },
            // As much of it goes to the log as of a start.
            verb: Verb::Start,
            limit: self.limit,
        };
        let program = Program {
            title,
            path: paths::config().join("harc"),
            args: vec![kind],
            env: with_fields(&self.env, &all),
            ..Program::default()
        };
        self.last += 1;
        self.jobs.start_program(now, JobId(self.last), command, program);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_message_change_nothing_that_the_daemon_says() {
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        let env = [
            pair("PATH", "/bin"),
            pair("HA_keepalive", "1"),
            pair("HA_DIR", "/etc/ha.d"),
        ];
        let long = "x".repeat(LONGEST_VALUE + 1);
        let fields = [
            pair("src", "n2"),
            pair("st", "dead"),
            pair("st", "active"),
            pair("keepalive", "9"),
            pair("DIR", "/tmp"),
            pair("BIN", "/tmp"),
            pair("OSTATUS", "active"),
            pair("a b", "x"),
            pair("", "x"),
            pair("info", "a=b $(id)"),
            pair("big", &long),
        ];
        let all = with_fields(&env, &fields);
        let expected = [
            pair("HA_src", "n2"),
            pair("HA_st", "dead"),
            pair("HA_OSTATUS", "active"),
            pair("HA_info", "a=b $(id)"),
        ];
        assert_eq!(all[..3], env);
        assert_eq!(all[3..], expected);
    }

    #[test]
    fn types_are_names_without_a_way_out() {
        for (name, good) in [
            ("status", true),
            ("my-type_2", true),
            ("README", false),
            ("../x", false),
            ("", false),
        ] {
            assert_eq!(is_type(name), good, "{name}");
        }
    }
}
