//! The numbered messages we have sent, kept for peers that missed one.

use crate::ids::Seq;
use crate::msg::Message;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;
use std::sync::Arc;

/// 500, as in heartbeat 3.0.6 (from source).
pub const MAX_HISTORY: usize = 500;
/// A message is sent again at most once in this time, as in heartbeat 3.0.6 (from source): two peers that both miss it
/// get the same repetition.
const REPEAT_AFTER: Duration = Duration::from_millis(240);

#[derive(Debug)]
struct Sent {
    message: Arc<Message>,
    repeated: Option<Instant>,
}

/// What to do about a request for a number.
#[derive(PartialEq, Eq, Debug)]
pub enum Found<'a> {
    Send(&'a Arc<Message>),
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
    pub fn keep(&mut self, message: Arc<Message>) {
        self.newest = self.next();
        self.sent.push_back(Sent {
            message,
            repeated: None,
        });
        if self.sent.len() > MAX_HISTORY {
            self.sent.pop_front();
        }
    }

    pub fn find(&mut self, seq: Seq, now: Instant) -> Found<'_> {
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
                Found::Send(&sent.message)
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
            h.keep(Message::new(&n.to_string()).into());
        }
        #[rustfmt::skip]
        let table = [(0, false), (100, false), (101, true), (600, true)];
        for (n, found) in table {
            match h.find(Seq(n), at(1000)) {
                Found::Send(m) => assert!(found && m.kind() == n.to_string(), "{n}"),
                other => assert!(!found && other == Found::TooOld, "{n}: {other:?}"),
            }
        }
        assert_eq!(h.find(Seq(601), at(1000)), Found::NeverSent);
        assert_eq!(h.find(Seq(600), at(1239)), Found::JustSent);
        assert!(matches!(h.find(Seq(600), at(1240)), Found::Send(_)));
    }
}
