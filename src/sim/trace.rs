//! The last steps of a run as text, and a hash of all of them.

use crate::daemon::{Action, Event};
use crate::groups::job::{Command, Outcome};
use crate::ids::JobId;
use crate::msg::{fields, netstring};
use crate::time::Instant;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many steps are kept …
const KEPT: usize = 3000;
/// … and so many lines of them are shown.
const SHOWN: usize = 70;

#[derive(Clone, Debug)]
pub enum Line {
    Note(String),
    Sent(Arc<[u8]>),
    Run(JobId, Command),
    Ended(JobId, Outcome),
}

#[derive(Debug)]
pub struct Trace {
    lines: VecDeque<(Instant, Option<usize>, Line)>,
    hash: u64,
}

impl Trace {
    pub fn new() -> Self {
        Self {
            lines: VecDeque::new(),
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// FNV-1a over eight bytes at a time: fast, and a difference is a difference.
    fn mix(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.hash = (self.hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3);
            self.hash ^= self.hash >> 29;
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    fn push(&mut self, at: Instant, node: Option<usize>, line: Line) {
        if log::log_enabled!(log::Level::Trace)
            && let Some(text) = show(&line)
        {
            log::trace!("{}", with_time(at, node, &text));
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back((at, node, line));
    }

    pub fn note(&mut self, at: Instant, node: Option<usize>, text: String) {
        self.mix(text.as_bytes());
        self.push(at, node, Line::Note(text));
    }

    pub fn event(&mut self, at: Instant, node: usize, event: &Event) {
        if let Event::JobEnded { job, outcome } = event {
            self.push(at, Some(node), Line::Ended(*job, outcome.clone()));
        }
    }

    pub fn action(&mut self, at: Instant, node: usize, action: &Action) {
        self.mix(&at.as_millis().to_le_bytes());
        self.mix(&(node as u64).to_le_bytes());
        match action {
            Action::Send { medium, bytes } => {
                self.mix(bytes);
                if medium.0 == 0 {
                    self.push(at, Some(node), Line::Sent(bytes.clone()));
                }
            }
            Action::Run { job, command } => {
                self.mix(command.resource.name.as_str().as_bytes());
                self.mix(command.verb.as_str().as_bytes());
                self.push(at, Some(node), Line::Run(*job, command.clone()));
            }
            Action::Fence { job, command } => {
                let whom = command.node.as_ref().map_or("", |n| n.as_str());
                let text = format!("fence {job}: {} {whom}", command.verb.as_str());
                self.note(at, Some(node), text);
            }
            Action::Remember { held } => {
                let text = format!("remembers {held:?}");
                self.note(at, Some(node), text);
            }
            Action::Stopped => self.note(at, Some(node), "stopped".to_owned()),
            Action::MediaChanged => self.note(at, Some(node), "media changed".to_owned()),
            Action::Reply { .. } | Action::Signal { .. } | Action::DropClient { .. } | Action::Notice { .. } => {}
            Action::RememberNodes { .. } | Action::Renew { .. } | Action::Lookout { .. } => {}
            Action::Drop { addresses } => self.note(at, Some(node), format!("drops {}", addresses.join(" "))),
        }
    }

    /// The last lines; beats only when they say something new.
    pub fn tail(&self) -> Vec<String> {
        let mut out: Vec<String> = self
            .lines
            .iter()
            .rev()
            .filter_map(|(at, node, line)| Some(with_time(*at, *node, &show(line)?)))
            .take(SHOWN)
            .collect();
        out.reverse();
        out
    }
}

fn with_time(at: Instant, node: Option<usize>, text: &str) -> String {
    let who = node.map_or_else(|| "world".to_owned(), |n| format!("n{}", n + 1));
    format!("{:>12.3} {who:<5} {text}", at.as_millis() as f64 / 1000.0)
}

fn show(line: &Line) -> Option<String> {
    match line {
        Line::Note(text) => Some(format!("* {text}")),
        Line::Run(job, command) => Some(format!(
            "run {job}: {} {}",
            command.resource.name,
            command.verb.as_str()
        )),
        Line::Ended(job, outcome) => Some(format!("end {job}: {:?} {}", outcome.exit, outcome.output)),
        Line::Sent(bytes) => {
            let message = netstring::decode(bytes).ok()?.message;
            let mut words = Vec::new();
            for name in [
                "rsc_hold",
                "info",
                "isstable",
                "hb_to",
                "hb_groups",
                "dest",
                "st",
                "firstseq",
                "ipaddr",
            ] {
                if let Some(value) = message.get(name) {
                    words.push(format!("{name}={value}"));
                }
            }
            let kind = message.kind();
            if kind == "status" && message.get(fields::STATUS) == Some("active") || kind == "NS_ackmsg" {
                return None;
            }
            Some(format!("-> {kind} {}", words.join(" | ")))
        }
    }
}
