//! Cuts classic messages out of a stream of bytes (FIFO, serial line, conversation).

use super::{Message, MsgError};

/// Keeps what has come of an unfinished message. Bounded: at most one message of `MAX_MESSAGE` bytes.
#[derive(Debug, Default)]
pub struct StreamReader {
    _private: (),
}

impl StreamReader {
    /// Takes the next bytes; gives every message that ended in them, and an error for each one that was spoilt.
    pub fn push(&mut self, _bytes: &[u8]) -> Vec<Result<Message, MsgError>> {
        unimplemented!()
    }
}
