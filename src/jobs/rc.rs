//! The scripts of rc.d: one after the other through `harc`, for messages that the core tells of. Nobody waits for them.

use super::output::Output;
use super::runner::{KILL_TO_GIVE_UP, TERM_TO_KILL};
use crate::paths;
use crate::sys::child::{self, Child};
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

#[derive(Debug)]
struct Running {
    kind: String,
    child: Child,
    output: Output,
    began: Instant,
    push: Push,
}

#[derive(Clone, Copy, Debug)]
enum Push {
    InTime { until: Instant },
    Terminated { kill_at: Instant },
    Killed { give_up_at: Instant },
}

impl Push {
    fn deadline(self) -> Instant {
        match self {
            Self::InTime { until: t } | Self::Terminated { kill_at: t } | Self::Killed { give_up_at: t } => t,
        }
    }
}

/// One script that runs, and the messages that wait.
#[derive(Debug)]
pub struct RcScripts {
    types: Vec<String>,
    env: Vec<(String, String)>,
    limit: Duration,
    waiting: VecDeque<(String, Vec<(String, String)>)>,
    dropped: u64,
    running: Option<Running>,
    /// Survived SIGKILL; waited for, not awaited.
    stuck: Vec<Child>,
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
            running: None,
            stuck: Vec::new(),
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
        let running = self.running.iter();
        let outputs = running.clone().filter_map(|r| r.output.fd());
        running.map(|r| r.child.fd()).chain(outputs).collect()
    }

    pub fn deadline(&self) -> Instant {
        match &self.running {
            Some(running) => running.push.deadline(),
            None if self.waiting.is_empty() => Instant::NEVER,
            None => Instant::from_millis(0),
        }
    }

    /// Reads, pushes, buries, starts the next one. Never blocks.
    pub fn tick(&mut self, now: Instant) {
        self.stuck.retain_mut(|child| matches!(child.reap(), Ok(None)));
        if let Some(mut running) = self.running.take() {
            if running.turn(now) {
                self.running = Some(running);
                return;
            }
            if matches!(running.child.reap(), Ok(None)) {
                self.stuck.push(running.child);
            }
        }
        while self.running.is_none() {
            let Some((kind, fields)) = self.waiting.pop_front() else {
                return;
            };
            self.start(now, kind, &fields);
        }
        if self.dropped > 0 && self.waiting.is_empty() {
            log::warn!("rc.d: {} messages were dropped", self.dropped);
            self.dropped = 0;
        }
    }

    fn start(&mut self, now: Instant, kind: String, fields: &[(String, String)]) {
        let harc = paths::config().join("harc");
        let mut all = vec![("t".to_owned(), kind.clone())];
        all.extend(fields.iter().filter(|(name, _)| name != "t").cloned());
        match child::spawn(&harc, std::slice::from_ref(&kind), &with_fields(&self.env, &all)) {
            Ok((child, pipe)) => {
                log::debug!("rc.d/{kind}: running [pid {}]", child.pid());
                self.running = Some(Running {
                    output: Output::new(now, pipe, format!("rc.d/{kind}"), log::Level::Info),
                    kind,
                    child,
                    began: now,
                    push: Push::InTime {
                        until: now + self.limit,
                    },
                });
            }
            Err(e) => log::error!("rc.d/{kind}: {} cannot be run: {e}", harc.display()),
        }
    }
}

impl Running {
    /// False when it is over.
    fn turn(&mut self, now: Instant) -> bool {
        self.output.read(now);
        let kind = &self.kind;
        if self.child.has_ended() {
            self.output.read(now);
            if !matches!(self.push, Push::InTime { .. }) {
                self.child.kill();
            }
            let took = (now - self.began).as_secs_f32();
            match self.child.reap() {
                Ok(Some(child::Ended::Code(0))) => log::info!("rc.d/{kind}: exit code 0 after {took:.3} s"),
                Ok(Some(child::Ended::Code(n))) => log::warn!("rc.d/{kind}: exit code {n} after {took:.3} s"),
                Ok(Some(child::Ended::Signal(n))) => log::warn!("rc.d/{kind}: ended by signal {n} after {took:.3} s"),
                Ok(None) => return true,
                Err(e) => log::warn!("rc.d/{kind}: its exit code was lost: {e}"),
            }
            self.output.finish(now);
            return false;
        }
        if now < self.push.deadline() {
            return true;
        }
        match self.push {
            Push::InTime { .. } => {
                log::warn!("rc.d/{kind}: takes too long, sending SIGTERM");
                self.child.terminate();
                self.push = Push::Terminated {
                    kill_at: now + TERM_TO_KILL,
                };
                true
            }
            Push::Terminated { .. } => {
                log::warn!("rc.d/{kind}: still there {TERM_TO_KILL:?} after SIGTERM, sending SIGKILL");
                self.child.kill();
                self.push = Push::Killed {
                    give_up_at: now + KILL_TO_GIVE_UP,
                };
                true
            }
            Push::Killed { .. } => {
                log::error!("rc.d/{kind}: survives SIGKILL (it hangs in the kernel), given up");
                false
            }
        }
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
