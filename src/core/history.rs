//! The numbered messages we have sent, kept for peers that missed one.

use crate::ids::Seq;
use crate::msg::{Message, netstring};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// 500, as in heartbeat 3.0.6 (from source).
pub const MAX_HISTORY: usize = 500;
/// A message is sent again at most once in this time, as in heartbeat 3.0.6 (from source): two peers that both miss it
/// get the same repetition.
const REPEAT_AFTER: Duration = Duration::from_millis(240);

/// What all peers have is kept up to this size only: 500 beats fit, 500 large messages of clients do not.
const ROOMY: usize = 512 * 1024;
/// Never more than this, acknowledged or not.
const MAX_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
struct Sent {
    /// The message as a netstring: a quarter of what its fields take, and hardly any is ever asked for.
    bytes: Box<[u8]>,
    repeated: Option<Instant>,
}

/// What to do about a request for a number.
#[derive(PartialEq, Eq, Debug)]
pub enum Found {
    Send(Message),
    /// Sent again a moment ago.
    JustSent,
    TooOld,
    NeverSent,
}

#[derive(Debug, Default)]
pub struct History {
    /// Ascending without holes; the last one has the number `newest`.
    sent: VecDeque<Sent>,
    newest: Seq,
    bytes: usize,
}

impl History {
    /// The number of the next message.
    pub fn next(&self) -> Seq {
        Seq(self.newest.0 + 1)
    }

    pub fn newest(&self) -> Seq {
        self.newest
    }

    /// Keeps the message that was sent with the number `next()`.
    pub fn keep(&mut self, message: &Message) {
        self.newest = self.next();
        let bytes = netstring::encode(message).into_boxed_slice();
        self.bytes += bytes.len();
        self.sent.push_back(Sent { bytes, repeated: None });
        while self.sent.len() > MAX_HISTORY || (self.bytes > MAX_BYTES && self.sent.len() > 1) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(old) = self.sent.pop_front() {
            self.bytes -= old.bytes.len();
        }
    }

    /// Everybody has everything up to here. It is kept all the same while it is little: a peer that is taken for dead may
    /// come back and ask.
    pub fn release(&mut self, acked: Seq) {
        while self.bytes > ROOMY
            && self.newest.0 - (self.sent.len() as u64).saturating_sub(1) <= acked.0
            && !self.sent.is_empty()
        {
            self.drop_oldest();
        }
    }

    /// Size of what was sent after this number.
    pub fn bytes_after(&self, acked: Seq) -> usize {
        let count = self.newest.0.saturating_sub(acked.0);
        self.sent.iter().rev().take(count as usize).map(|s| s.bytes.len()).sum()
    }

    pub fn find(&mut self, seq: Seq, now: Instant) -> Found {
        if seq > self.newest {
            return Found::NeverSent;
        }
        let back = self.newest.0 - seq.0;
        let Some(index) = (self.sent.len() as u64).checked_sub(1 + back) else {
            return Found::TooOld;
        };
        let sent = &mut self.sent[index as usize];
        match sent.repeated {
            Some(at) if now - at < REPEAT_AFTER => Found::JustSent,
            Some(_) | None => {
                sent.repeated = Some(now);
                // What could be sent can be read; one that could not is as good as forgotten.
                netstring::decode(&sent.bytes).map_or(Found::TooOld, |d| Found::Send(d.message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_500_are_found_and_older_ones_are_not() {
        let at = Instant::from_millis;
        let mut h = History::default();
        assert_eq!(h.find(Seq(1), at(0)), Found::NeverSent);
        for n in 1..=600u64 {
            assert_eq!(h.next(), Seq(n));
            h.keep(&Message::new(&n.to_string()).with("seq", n.to_string()));
        }
        #[rustfmt::skip]
        let table = [(0, false), (100, false), (101, true), (600, true)];
        for (n, found) in table {
            match h.find(Seq(n), at(1000)) {
                Found::Send(m) => {
                    let kept = Message::new(&n.to_string()).with("seq", n.to_string());
                    assert!(found && m == kept, "{n}");
                }
                other => assert!(!found && other == Found::TooOld, "{n}: {other:?}"),
            }
        }
        assert_eq!(h.find(Seq(601), at(1000)), Found::NeverSent);
        assert_eq!(h.find(Seq(600), at(1239)), Found::JustSent);
        assert!(matches!(h.find(Seq(600), at(1240)), Found::Send(_)));
    }
    #[test]
    fn large_messages_are_kept_only_until_they_are_acknowledged() {
        let at = Instant::from_millis;
        let large = |n: usize| Message::new("m").with("x", "x".repeat(n));
        let mut h = History::default();
        for _ in 0..100 {
            h.keep(&large(10_000));
        }
        assert_eq!(h.bytes_after(Seq(90)) / 10_000, 10);
        assert_eq!(h.bytes_after(Seq(100)), 0);
        h.release(Seq(20));
        assert_eq!(h.find(Seq(20), at(0)), Found::TooOld);
        assert!(matches!(h.find(Seq(21), at(0)), Found::Send(_)));
        h.release(Seq(100));
        assert!(h.bytes <= ROOMY && h.bytes > ROOMY - 20_000, "{}", h.bytes);
        assert!(matches!(h.find(Seq(100), at(0)), Found::Send(_)));
        for _ in 0..500 {
            h.keep(&large(60_000));
        }
        assert!(h.bytes <= MAX_BYTES);
        h.keep(&large(MAX_BYTES));
        assert_eq!(h.sent.len(), 1);
    }
}
