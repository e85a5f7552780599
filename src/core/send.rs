//! Sending: control fields, numbers, signatures, and the repetition of what a peer missed.

use super::history::Found;
use super::layer::{Core, Up};
use crate::auth;
use crate::daemon::Action;
use crate::ids::{MediumId, Seq};
use crate::msg::{Message, Value, fields};
use crate::time::{Duration, Instant, Now};
use std::sync::Arc;

/// At most so many missing numbers are asked for in one turn, as many as a peer repeats at once.
const MAX_REQUESTS: usize = 50;
/// At most so many messages are sent again for one request, as in heartbeat 3.0.6 (from source).
const MAX_REPEATS: u64 = 50;
/// So many of our own packets are known again when they come back: what one turn usually sends.
const OWN_PACKETS: usize = 4;
/// Numbers on the wire of a 3.0.6 peer are not always ascending: wait this long before asking.
const FIRST_REQUEST: Duration = Duration::from_millis(10);

impl Core {
    /// Numbers, signs and sends a message on all media, and hands it to the rooms above as if it had been received.
    pub fn send(&mut self, now: Now, message: Message) {
        let message = Arc::new(self.complete(now, message));
        let seq = self.history.next();
        self.history.keep(&message);
        self.transmit(&message, None);
        self.up.push_back(Up::Message {
            from: self.me.clone(),
            generation: self.generation,
            seq,
            message,
        });
    }

    /// One `status` message: the heartbeat itself.
    pub(super) fn beat(&mut self, now: Now) {
        let message = Message::new("status")
            .with(fields::STATUS, self.status.as_str())
            .with(fields::DEADTIME, Value::hex(self.cf.deadtime.as_millis() as u64))
            .with(fields::PROTOCOL, "1");
        let message = self.complete(now, message);
        self.transmit(&message, None);
        self.history.keep(&message);
        self.beats += 1;
        self.last_beat = now.mono;
        self.ping(now);
    }

    /// An `NS_` message: not numbered, not repeated, not kept.
    pub(super) fn send_unnumbered(&mut self, now: Now, message: Message) {
        let message = self.complete(now, message);
        self.transmit(&message, None);
    }

    /// A message that nobody asks for again, for the rooms above; serial lines are too slow for it.
    pub fn send_aside(&mut self, now: Now, message: Message) {
        let message = self.complete(now, message);
        for i in (0..self.media.len())
            .filter(|i| !self.media[*i].serial)
            .collect::<Vec<_>>()
        {
            self.transmit(&message, Some(MediumId(i)));
        }
    }

    /// Adds the control fields in the order of heartbeat 3.0.6.
    fn complete(&self, now: Now, mut message: Message) -> Message {
        let numbered = !message.kind().starts_with("NS_");
        let dest = message
            .get(fields::DEST)
            .and_then(|d| d.parse().ok())
            .and_then(|d| self.index(&d));
        if let Some(uuid) = dest.and_then(|i| self.nodes[i].uuid) {
            message.set(fields::DESTUUID, Value::Binary(uuid.to_vec()));
        }
        message.set(fields::SRC, self.me.as_str());
        message.set(fields::SRCUUID, Value::Binary(self.uuid.to_vec()));
        if numbered {
            message.set(fields::SEQ, Value::hex(self.history.next().0));
        }
        message.set(fields::GENERATION, Value::hex(self.generation.0));
        message.set(fields::TS, Value::hex(now.wall.0));
        if numbered {
            message.set(fields::LOAD, self.load.clone());
        }
        let hops = usize::from(self.cf.hopfudge) + self.cf.nodes.len().max(self.nodes.len());
        message.set(fields::TTL, hops.to_string());
        message
    }

    /// Signs and puts on every working medium, except `but`.
    pub(super) fn transmit(&mut self, message: &Message, only: Option<MediumId>) {
        let mut netstring: Option<Arc<[u8]>> = None;
        let mut classic: Option<Arc<[u8]>> = None;
        for (i, medium) in self.media.iter().enumerate() {
            if medium.broken.is_some() || medium.ping.is_some() || only.is_some_and(|o| o.0 != i) {
                continue;
            }
            let bytes = if medium.serial {
                classic.get_or_insert_with(|| auth::seal_classic(message, &self.keys).into())
            } else {
                let inner = !self.cf.msgfmt_netstring;
                netstring.get_or_insert_with(|| auth::seal_netstring(message, &self.keys, inner).into())
            };
            self.out.push(Action::Send {
                medium: MediumId(i),
                bytes: bytes.clone(),
            });
        }
        for bytes in [netstring, classic].into_iter().flatten() {
            if self.sent.len() == OWN_PACKETS {
                self.sent.pop_front();
            }
            self.sent.push_back(bytes);
        }
    }

    /// The moment of the first request for a number that was found missing: a little later than now, and not the same
    /// on all nodes.
    pub(super) fn first_request(&mut self, now: Instant) -> Instant {
        let spread = self.cf.max_rexmit_delay.min(Duration::from_millis(50)).as_millis() as u64;
        now + FIRST_REQUEST.min(self.cf.max_rexmit_delay) + Duration::from_millis(self.random.below(spread))
    }

    pub(super) fn ask_for_missing(&mut self, now: Now) {
        let again = now.mono + self.cf.max_rexmit_delay;
        for i in 0..self.nodes.len() {
            if self.nodes[i].is_dead() || self.nodes[i].window.deadline() > now.mono {
                continue;
            }
            for range in self.nodes[i].window.due(now.mono, again, MAX_REQUESTS) {
                let message = Message::new("NS_rexmit")
                    .with(fields::DEST, self.nodes[i].name.as_str())
                    .with(fields::FIRSTSEQ, range.start().to_string())
                    .with(fields::LASTSEQ, range.end().to_string());
                self.counters.add("retransmission_requests_sent");
                self.send_unnumbered(now, message);
            }
        }
    }

    /// Answers an `NS_rexmit` that is meant for us.
    pub(super) fn repeat(&mut self, now: Now, request: &Message, who: usize) {
        let (Some(first), Some(last)) = (request.dec(fields::FIRSTSEQ), request.dec(fields::LASTSEQ)) else {
            self.counters
                .complain(now.mono, log::Level::Warn, "bad_retransmission_requests", || {
                    "a request for retransmission without numbers is ignored".to_owned()
                });
            return;
        };
        for n in first..=last.min(first.saturating_add(MAX_REPEATS - 1)) {
            match self.history.find(Seq(n), now.mono) {
                Found::Send(message) => {
                    self.counters.add("retransmissions");
                    self.transmit(&message, None);
                }
                Found::JustSent => {}
                Found::TooOld => {
                    let nak = Message::new("NS_nak_rexmit")
                        .with(fields::FIRSTSEQ, format!("{n:x}"))
                        .with(fields::DEST, self.nodes[who].name.as_str())
                        .with(fields::INFO, "seqno too low");
                    self.send_unnumbered(now, nak);
                }
                Found::NeverSent => {
                    let newest = self.history.newest();
                    self.counters
                        .complain(now.mono, log::Level::Warn, "bad_retransmission_requests", || {
                            format!("a request for our message {n} is ignored: the newest is {newest}")
                        });
                    break;
                }
            }
        }
    }
}
