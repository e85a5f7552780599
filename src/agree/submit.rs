//! This node's own changes, on their way to the DC and back.

use super::change::{Change, ChangeId};
use super::machine::Agree;
use super::seat::{AGAIN, ON_THE_WAY};
use super::types::{Action, Committed, Refused};
use crate::msg::Message;
use crate::time::{Duration, Instant};

/// A change that was not answered for this long is given up: its sender does not wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);
/// Changes of this node that wait.
const MOST_PENDING: usize = 4096;

/// A change that this node submitted.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    /// The submitter's; `None` for our own.
    id: Option<u64>,
    pub(super) text: String,
    change: Change,
    since: Instant,
    pub(super) sent: Option<Instant>,
}

impl Agree {
    // This node's own changes.

    pub(super) fn submit(&mut self, now: Instant, id: Option<u64>, change: Change) {
        if self.pending.len() >= MOST_PENDING {
            if let Some(id) = id {
                let refused = Refused {
                    code: Refused::BUSY,
                    text: format!("{MOST_PENDING} changes wait for the DC already: try again later"),
                };
                self.out.push(Action::Answer {
                    id,
                    result: Err(refused),
                });
            }
            return;
        }
        self.number += 1;
        self.pending.push_back(Pending {
            number: self.number,
            id,
            text: change.text(),
            change,
            since: now,
            sent: None,
        });
    }

    /// The first of them go to the DC, and again while it does not answer.
    pub(super) fn send_pending(&mut self, now: Instant) {
        if !self.view.as_ref().is_some_and(|v| v.seat.is_following()) {
            return;
        }
        let Some(first) = self.pending.front().map(|p| p.number) else {
            return;
        };
        let me = self.hearing.name(self.hearing.me()).clone();
        let empty = self.message("crm-submit");
        let mut messages = vec![];
        for pending in self.pending.iter_mut().take(ON_THE_WAY) {
            if pending.sent.is_some_and(|at| now - at < 2 * AGAIN) {
                continue;
            }
            pending.sent = Some(now);
            let mut message = empty.clone().with("first", first.to_string());
            let id = ChangeId {
                node: me.clone(),
                life: self.settings.life,
                number: pending.number,
            };
            id.write_to(&mut message);
            pending.change.write_to(&mut message);
            Self::put_body(&mut message, &pending.text, &format!("s{}", pending.number));
            messages.push(message);
        }
        for message in messages {
            self.tell_dc(message);
        }
    }

    pub(super) fn on_done(&mut self, message: &Message) {
        let Some(done) = ChangeId::of(message) else { return };
        if done.life != self.settings.life || done.node != *self.hearing.name(self.hearing.me()) {
            return;
        }
        let Some(at) = self.pending.iter().position(|p| p.number == done.number) else {
            return;
        };
        let result = match (message.get("version").and_then(|v| v.parse().ok()), message.dec("code")) {
            (Some(version), _) => Ok(Committed {
                version,
                quorum: message.get("quorum") == Some("1"),
            }),
            (None, Some(code)) => Err(Refused {
                code: u8::try_from(code).unwrap_or(1),
                text: message.get("text").unwrap_or_default().to_owned(),
            }),
            (None, None) => return,
        };
        let pending = self.pending.remove(at).expect("its place was just found");
        match pending.id {
            Some(id) => self.out.push(Action::Answer { id, result }),
            None => {
                if let Err(refused) = result {
                    self.say(
                        log::Level::Error,
                        format!("this node's own change was refused: {refused}"),
                    );
                }
            }
        }
    }

    /// What nobody has acknowledged for too long.
    pub(super) fn give_up(&mut self, now: Instant) {
        while self.pending.front().is_some_and(|p| now - p.since >= PATIENCE) {
            let Some(Pending { id: Some(id), .. }) = self.pending.pop_front() else {
                continue;
            };
            let text = format!(
                "not all members have acknowledged it within {} s: it may have been made, and may still be",
                PATIENCE.as_secs()
            );
            let refused = Refused {
                code: Refused::TIMEOUT,
                text,
            };
            self.out.push(Action::Answer {
                id,
                result: Err(refused),
            });
        }
    }
}
