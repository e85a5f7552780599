//! Signing and checking messages with the keys of authkeys: crc, md5, sha1.
//!
//! Pure. Comparison takes constant time. The key for checking is chosen by the number in the token (the classic
//! program uses its own active key; choosing by number is what makes a key roll-over possible).

use crate::msg::{Message, MsgError};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Crc,
    Md5,
    Sha1,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    pub method: Method,
    /// Empty for crc.
    pub secret: Vec<u8>,
}

impl fmt::Debug for Key {
    /// Never shows the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.method)
    }
}

/// The keys of authkeys by number (0 to 15), and the one we sign with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keyring {
    pub active: u8,
    pub keys: BTreeMap<u8, Key>,
}

/// Why a packet was not believed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Refusal {
    Malformed(MsgError),
    NoToken,
    /// The token names a key that we do not have.
    UnknownKey,
    WrongSignature,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(e) => write!(f, "malformed: it {e}"),
            Self::NoToken => f.write_str("not signed"),
            Self::UnknownKey => f.write_str("signed with a key number that authkeys does not have"),
            Self::WrongSignature => f.write_str("wrong signature: are the authkeys files the same?"),
        }
    }
}

/// Netstring datagram, signed. With `inner` the message gets the classic `auth` field first, as 3.0.6 does with
/// `msgfmt classic`.
pub fn seal_netstring(_message: &Message, _keys: &Keyring, _inner: bool) -> Vec<u8> {
    unimplemented!()
}

/// Classic text with its `auth` field last.
pub fn seal_classic(_message: &Message, _keys: &Keyring) -> Vec<u8> {
    unimplemented!()
}

/// Reads and checks a packet of either form.
pub fn open(_packet: &[u8], _keys: &Keyring) -> Result<Message, Refusal> {
    unimplemented!()
}
