//! Netlink: the messages between programs and the kernel, and the attributes in them.
//!
//! Numbers are in the machine's own byte order, everything is padded to four bytes, lengths are without the padding.

use std::fmt;

/// Flags of a request.
pub const REQUEST: u16 = 0x1;
pub const ACK: u16 = 0x4;
pub const DUMP: u16 = 0x300;
pub const REPLACE: u16 = 0x100;
pub const EXCLUSIVE: u16 = 0x200;
pub const CREATE: u16 = 0x400;

/// Flag of an answer: the table changed while it was listed; ask again.
pub const DUMP_INTERRUPTED: u16 = 0x10;

/// Kinds every netlink family has.
pub const ERROR: u16 = 2;
pub const DONE: u16 = 3;

const HEADER: usize = 16;

/// A request being written.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// `head` is the fixed structure that follows the netlink header in messages of this kind.
    pub fn new(kind: u16, flags: u16, sequence: u32, head: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(96);
        bytes.extend([0; 4]);
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(head);
        Self { bytes }
    }

    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).expect("our attributes are a few bytes long");
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).expect("our requests are a few hundred bytes long");
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes
    }
}

/// One message of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub body: &'a [u8],
}

/// A length in the bytes does not fit them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer of the kernel on netlink has a length that does not fit; please report it")
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The messages in what one read gave.
pub fn messages(mut bytes: &[u8]) -> Result<Vec<Message<'_>>, Malformed> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = u32_at(bytes, 0).ok_or(Malformed)? as usize;
        let whole = bytes.get(..length).ok_or(Malformed)?;
        all.push(Message {
            body: whole.get(HEADER..).ok_or(Malformed)?,
            kind: u16_at(whole, 4).ok_or(Malformed)?,
            flags: u16_at(whole, 6).ok_or(Malformed)?,
            sequence: u32_at(whole, 8).ok_or(Malformed)?,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(all)
}

/// The attributes at the end of a message: kind and value.
pub fn attributes(mut bytes: &[u8]) -> Result<Vec<(u16, &[u8])>, Malformed> {
    /// The two highest bits of the kind say "nested" and "network byte order".
    const KIND: u16 = 0x3fff;
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16_at(bytes, 0).ok_or(Malformed)?);
        let whole = bytes.get(..length).ok_or(Malformed)?;
        let kind = u16_at(whole, 2).ok_or(Malformed)? & KIND;
        all.push((kind, whole.get(4..).ok_or(Malformed)?));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn a_request_byte_by_byte() {
        let bytes = Request::new(20, REQUEST | ACK, 7, &[2, 24, 0, 0, 5, 0, 0, 0])
            .attribute(3, b"eth0:0\0")
            .finish();
        #[rustfmt::skip]
        assert_eq!(bytes, [
            36, 0, 0, 0,  20, 0,  5, 0,  7, 0, 0, 0,  0, 0, 0, 0,
            2, 24, 0, 0,  5, 0, 0, 0,
            11, 0,  3, 0,  b'e', b't', b'h', b'0', b':', b'0', 0,  0,
        ]);
    }

    #[test]
    fn lengths_at_their_bounds() {
        let whole = Request::new(1, 0, 0, &[]).finish();
        assert_eq!(messages(&whole).map(|m| m.len()), Ok(1));
        assert_eq!(messages(&whole[..15]), Err(Malformed));
        let mut lying = whole.clone();
        lying[..4].copy_from_slice(&15u32.to_ne_bytes());
        assert_eq!(messages(&lying), Err(Malformed), "shorter than its own header");
        lying[..4].copy_from_slice(&17u32.to_ne_bytes());
        assert_eq!(messages(&lying), Err(Malformed), "longer than what came");
        assert_eq!(messages(&[]), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = messages(&bytes);
            let _ = attributes(&bytes);
        }

        #[test]
        fn attributes_come_back_in_order(list in proptest::collection::vec((0u16..0x3fff, any::<Vec<u8>>()), 0..5)) {
            let mut request = Request::new(1, 2, 3, &[]);
            for (kind, value) in &list {
                request = request.attribute(*kind, value);
            }
            let bytes = request.finish();
            let all = messages(&bytes).expect("well formed");
            prop_assert_eq!(all.len(), 1);
            let expected: Vec<(u16, &[u8])> = list.iter().map(|(k, v)| (*k, v.as_slice())).collect();
            prop_assert_eq!(attributes(all[0].body), Ok(expected));
        }
    }
}
