//! What is too long for a message of heartbeat is fetched part by part.

use super::change::{Change, ChangeId};
use super::machine::Agree;
use super::seat::{AGAIN, Stage, copy_text};
use crate::cib::{Element, xml};
use crate::msg::Message;
use crate::time::Instant;

/// What is longer does not travel in one message but is fetched part by part: heartbeat's messages are small.
const INLINE: usize = 16 * 1024;
const PART: usize = 24 * 1024;
/// So many parts are sent for one question.
const PARTS: usize = 4;

/// What is fetched, and what for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum For {
    /// The DC: the CIB that counts.
    Winner,
    /// A member: the same from the DC.
    Copy,
    Commit {
        n: u64,
    },
    Submit {
        id: ChangeId,
        message: Box<Message>,
    },
    Report,
}

#[derive(Debug)]
pub(super) struct Fetch {
    why: For,
    /// 0: not known.
    size: u64,
    text: String,
    asked: Instant,
}

impl Agree {
    /// Puts a text into a message, or where it can be fetched (`true`).
    pub(super) fn put_body(message: &mut Message, text: &str, blob: &str) -> bool {
        message.set("size", text.len().to_string());
        if text.len() <= INLINE {
            message.set("xml", text);
            return false;
        }
        message.set("blob", blob);
        true
    }

    pub(super) fn body(message: &Message) -> (String, u64) {
        let blob = message.get("blob").unwrap_or_default().to_owned();
        (blob, message.dec("size").unwrap_or(0))
    }

    pub(super) fn fetch(&mut self, now: Instant, from: usize, blob: String, size: u64, why: For) {
        if size > xml::LONGEST as u64 {
            let node = self.hearing.name(from).clone();
            return self.say(
                log::Level::Error,
                format!("node {node}: {blob} of {size} bytes is no CIB"),
            );
        }
        let fetch = Fetch {
            why,
            size,
            text: String::new(),
            asked: now,
        };
        self.ask_for(from, &blob, 0);
        self.fetches.insert((from, blob), fetch);
    }

    fn ask_for(&mut self, from: usize, blob: &str, offset: usize) {
        let ask = self
            .message("crm-pull")
            .with("blob", blob)
            .with("offset", offset.to_string());
        self.post(from, ask);
    }

    pub(super) fn repeat_fetches(&mut self, now: Instant) {
        let mut late = vec![];
        for ((from, blob), fetch) in &mut self.fetches {
            if now - fetch.asked >= AGAIN {
                fetch.asked = now;
                late.push((*from, blob.clone(), fetch.text.len()));
            }
        }
        for (from, blob, offset) in late {
            self.ask_for(from, &blob, offset);
        }
    }

    pub(super) fn on_pull(&mut self, from: usize, message: &Message) {
        let (Some(blob), Some(offset)) = (message.get("blob"), message.dec("offset")) else {
            return;
        };
        if blob == "mine" {
            let text = copy_text(&self.cib, &self.recent);
            if let Some(view) = &mut self.view {
                // It changes nothing before it was told what counts.
                if view.seat.stage == Stage::Claimed && view.seat.served.is_none() {
                    view.seat.served = Some(text);
                }
            }
        }
        let Some(text) = self.blob(blob) else { return };
        let Ok(mut offset) = usize::try_from(offset) else {
            return;
        };
        let mut parts = vec![];
        for _ in 0..PARTS {
            if offset >= text.len() || !text.is_char_boundary(offset) {
                break;
            }
            let mut end = text.len().min(offset + PART);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            parts.push((offset, text[offset..end].to_owned()));
            offset = end;
        }
        let size = text.len();
        let last = parts.len();
        for (i, (offset, data)) in parts.into_iter().enumerate() {
            let part = self
                .message("crm-blob")
                .with("blob", blob)
                .with("offset", offset.to_string())
                .with("size", size.to_string())
                .with("ask", if i + 1 == last { "1" } else { "0" })
                .with("data", data);
            self.post(from, part);
        }
    }

    fn blob(&self, name: &str) -> Option<&str> {
        let view = self.view.as_ref()?;
        if name == "mine" || name.starts_with("copy") {
            return view.seat.served.as_deref();
        }
        if name == "report" {
            return view.seat.report.as_deref();
        }
        if let Some(n) = name.strip_prefix('c') {
            return view.chair.as_ref()?.body_of(n.parse().ok()?);
        }
        let number: u64 = name.strip_prefix('s')?.parse().ok()?;
        let pending = self.pending.iter().find(|p| p.number == number)?;
        Some(&pending.text)
    }

    pub(super) fn on_blob(&mut self, now: Instant, from: usize, message: &Message) {
        let (Some(blob), Some(offset), Some(size)) = (message.get("blob"), message.dec("offset"), message.dec("size"))
        else {
            return;
        };
        let Some(data) = message.get("data") else { return };
        let key = (from, blob.to_owned());
        let Some(fetch) = self.fetches.get_mut(&key) else {
            return;
        };
        if size > xml::LONGEST as u64 || fetch.size != 0 && fetch.size != size || fetch.text.len() as u64 != offset {
            return;
        }
        fetch.size = size;
        fetch.asked = now;
        fetch.text.push_str(data);
        let at = fetch.text.len();
        if (at as u64) < size {
            if message.get("ask") == Some("1") {
                self.ask_for(from, &key.1, at);
            }
            return;
        }
        if let Some(fetch) = self.fetches.remove(&key) {
            self.fetched(now, from, fetch);
        }
    }

    fn fetched(&mut self, now: Instant, from: usize, fetch: Fetch) {
        match fetch.why {
            For::Winner => self.on_winner(now, &fetch.text),
            For::Copy => self.adopt(now, Some(fetch.text)),
            For::Commit { n } => self.on_commit_body(n, fetch.text),
            For::Submit { id, message } => {
                let change = Change::read(&message, &fetch.text).map_err(|e| e.to_string());
                self.submitted(id, change);
            }
            For::Report => {
                let report = Element::parse(&fetch.text).ok();
                self.one_more_synced(now, from, report);
            }
        }
    }
}
