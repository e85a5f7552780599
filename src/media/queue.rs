//! What waits to be written to a serial line.
//!
//! Pure. A line is slow and may stop altogether; a beat that is late is worth less than the next one. So the queue is
//! short, and when it is full the oldest message goes.

use std::collections::VecDeque;

/// 16 KiB: some 40 beats, 8.5 s at 19200 baud.
pub const LIMIT: usize = 16 * 1024;

/// Whole messages, oldest first.
#[derive(Debug, Default)]
pub struct Queue {
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
    /// So much of the first message is on the line already: it must be finished, half a message spoils the next.
    begun: usize,
    dropped: u64,
}

impl Queue {
    /// Adds a message. Older ones that have not begun make room; a message above the limit waits alone.
    pub fn push(&mut self, message: &[u8]) {
        if message.is_empty() {
            return;
        }
        let first = usize::from(self.begun > 0);
        while self.bytes + message.len() > LIMIT {
            let Some(old) = self.messages.remove(first) else {
                break;
            };
            self.bytes -= old.len();
            self.dropped += 1;
        }
        self.bytes += message.len();
        self.messages.push_back(message.to_vec());
    }

    /// What is to be written next; empty when nothing is.
    pub fn front(&self) -> &[u8] {
        self.messages.front().map_or(&[], |m| &m[self.begun..])
    }

    /// `n` bytes of [`Self::front`] were written.
    pub fn written(&mut self, n: usize) {
        self.begun += n;
        let Some(first) = self.messages.front() else {
            return;
        };
        if self.begun >= first.len() {
            self.bytes -= first.len();
            self.begun = 0;
            self.messages.pop_front();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Messages that were never written.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: u8, len: usize) -> Vec<u8> {
        vec![name; len]
    }

    fn drain(queue: &mut Queue) -> Vec<(u8, usize)> {
        let mut out = Vec::new();
        while !queue.is_empty() {
            out.push((queue.front()[0], queue.front().len()));
            queue.written(queue.front().len());
        }
        assert_eq!((queue.bytes, queue.begun), (0, 0));
        out
    }

    #[test]
    fn at_the_limit_nothing_is_dropped_one_byte_above_the_oldest_is() {
        for (last, dropped) in [(LIMIT / 2, 0), (LIMIT / 2 + 1, 1)] {
            let mut queue = Queue::default();
            queue.push(&message(b'a', LIMIT / 4));
            queue.push(&message(b'b', LIMIT / 4));
            queue.push(&message(b'c', last));
            assert_eq!(queue.dropped(), dropped, "{last}");
            assert_eq!(drain(&mut queue).len() as u64, 3 - dropped, "{last}");
        }
    }

    #[test]
    fn a_message_that_has_begun_is_finished() {
        let mut queue = Queue::default();
        queue.push(&message(b'a', LIMIT / 2));
        queue.push(&message(b'b', LIMIT / 2));
        queue.written(1);
        queue.push(&message(b'c', LIMIT / 2));
        assert_eq!(queue.dropped(), 1);
        assert_eq!(drain(&mut queue), [(b'a', LIMIT / 2 - 1), (b'c', LIMIT / 2)]);
    }

    #[test]
    fn a_message_above_the_limit_waits_alone() {
        let mut queue = Queue::default();
        queue.push(&message(b'a', 10));
        queue.push(&message(b'b', LIMIT + 1));
        assert_eq!(queue.dropped(), 1);
        assert_eq!(queue.front().len(), LIMIT + 1);
        queue.push(&message(b'c', 10));
        assert_eq!(drain(&mut queue), [(b'c', 10)]);
        assert_eq!(queue.dropped(), 2);
        queue.push(b"");
        assert!(queue.is_empty());
    }
}
