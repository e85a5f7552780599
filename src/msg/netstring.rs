//! Netstring form: `###`, `LEN:(T)name=value,` a field, `%%%`, and behind it the signature.

use super::{Message, MsgError};

/// A netstring datagram taken apart.
#[derive(Debug)]
pub struct Datagram<'a> {
    pub message: Message,
    /// What the signature covers: from the first `#` to the LF after `%%%`.
    pub signed: &'a [u8],
    /// `NUM HEX`, when there is one.
    pub token: Option<&'a str>,
}

/// `###\n` … `%%%\n`, without signature.
pub fn encode(_message: &Message) -> Vec<u8> {
    unimplemented!()
}

pub fn decode(_bytes: &[u8]) -> Result<Datagram<'_>, MsgError> {
    unimplemented!()
}
