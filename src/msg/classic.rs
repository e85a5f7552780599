//! Classic text form: `>>>`, a line a field, `<<<`.

use super::{Message, MsgError};

/// `>>>\n` … `<<<\n`
pub fn encode(_message: &Message) -> Vec<u8> {
    unimplemented!()
}

/// What a classic signature covers: all field lines but `auth`, without the marks.
pub fn signed_part(_message: &Message) -> Vec<u8> {
    unimplemented!()
}

/// Reads one whole message (a datagram, or what `stream` cut out).
pub fn decode(_bytes: &[u8]) -> Result<Message, MsgError> {
    unimplemented!()
}
