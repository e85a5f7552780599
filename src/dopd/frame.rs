//! Messages on a local socket as heartbeat 3.0.6 frames them: length and a constant, both 32 bits in the order of the
//! machine, then the classic text and a NUL.

use crate::msg::{Message, MsgError, classic};
use std::fmt;

const MAGIC: u32 = 0xabcd;
const HEADER: usize = 8;
/// A request has some 100 bytes; whoever announces more than this is no drbd-peer-outdater.
pub const LONGEST: usize = 4096;

/// Why what came is no message. The rest of the stream has lost its meaning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FrameError {
    Magic(u32),
    Length(u32),
    Spoilt(MsgError),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(number) => write!(f, "is no message: it begins with {number:#x}, not {MAGIC:#x}"),
            Self::Length(length) => write!(f, "is no message: it says that it has {length} bytes"),
            Self::Spoilt(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for FrameError {}

pub fn encode(message: &Message) -> Vec<u8> {
    let text = classic::encode(message);
    let length = u32::try_from(text.len() + 1).expect("a message of ours is far below 4 GiB");
    let mut out = Vec::with_capacity(HEADER + text.len() + 1);
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&MAGIC.to_ne_bytes());
    out.extend_from_slice(&text);
    out.push(0);
    out
}

/// Cuts messages out of a stream; keeps at most one unfinished one.
#[derive(Debug, Default)]
pub struct Frames {
    kept: Vec<u8>,
}

impl Frames {
    /// Takes what was read. Call [`Frames::next`] until it gives nothing.
    pub fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
    }

    /// The next whole message.
    #[allow(clippy::should_implement_trait, reason = "it is fed between two calls")]
    pub fn next(&mut self) -> Result<Option<Message>, FrameError> {
        let Some((length, magic)) = self.header() else {
            return Ok(None);
        };
        if magic != MAGIC {
            return Err(FrameError::Magic(magic));
        }
        let size = match usize::try_from(length) {
            Ok(size) if (1..=LONGEST).contains(&size) => size,
            Ok(_) | Err(_) => return Err(FrameError::Length(length)),
        };
        let Some(body) = self.kept.get(HEADER..HEADER + size) else {
            return Ok(None);
        };
        let message = classic::decode(body).map_err(FrameError::Spoilt)?;
        self.kept.drain(..HEADER + size);
        Ok(Some(message))
    }

    fn header(&self) -> Option<(u32, u32)> {
        let (length, rest) = self.kept.split_first_chunk()?;
        let (magic, _) = rest.split_first_chunk()?;
        Some((u32::from_ne_bytes(*length), u32::from_ne_bytes(*magic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::arbitrary;
    use proptest::prelude::*;

    /// Recorded from drbd-peer-outdater of heartbeat 3.0.6 (`-p N1 -r r0`) on a machine of little-endian order.
    #[cfg(target_endian = "little")]
    const RECORDED: &[u8] =
        b"L\x00\x00\x00\xcd\xab\x00\x00>>>\nt=outdater\nsrc=drbd-peer-outdater\noutdater_peer=n1\noutdater_res=r0\n<<<\n\x00";

    #[cfg(target_endian = "little")]
    #[test]
    fn the_request_of_heartbeat_3_0_6_is_read_and_written_byte_for_byte() {
        let mut frames = Frames::default();
        frames.push(RECORDED);
        let message = frames.next().unwrap().unwrap();
        assert_eq!(message.kind(), "outdater");
        assert_eq!(message.get("outdater_peer"), Some("n1"));
        assert_eq!(encode(&message), RECORDED);
        assert_eq!(frames.next(), Ok(None));
    }

    #[test]
    fn rubbish_is_refused_at_the_first_bytes_that_show_it() {
        let header = |length: u32, magic: u32| [length.to_ne_bytes(), magic.to_ne_bytes()].concat();
        let spoilt = [header(3, MAGIC), b"a=b".to_vec()].concat();
        #[rustfmt::skip]
        let table = [
            (b"short".to_vec(),                     Ok(None)),
            (b"GET / HTTP/1.0\r\n".to_vec(),        Err(true)),
            (header(10, MAGIC + 1),                 Err(true)),
            (header(0, MAGIC),                      Err(true)),
            (header(LONGEST as u32, MAGIC),         Ok(None)),
            (header(LONGEST as u32 + 1, MAGIC),     Err(true)),
            (header(u32::MAX, MAGIC),               Err(true)),
            (spoilt,                                Err(true)),
        ];
        for (bytes, want) in table {
            let mut frames = Frames::default();
            frames.push(&bytes);
            assert_eq!(frames.next().map_err(|_| true), want, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_messages(messages in prop::collection::vec(arbitrary::classic_message(), 1..4), step in 1usize..50) {
            let small: Vec<Message> = messages.into_iter().filter(|m| encode(m).len() <= LONGEST).collect();
            let bytes: Vec<u8> = small.iter().flat_map(encode).collect();
            let (mut frames, mut got) = (Frames::default(), Vec::new());
            for part in bytes.chunks(step) {
                frames.push(part);
                while let Some(message) = frames.next().unwrap() {
                    got.push(message);
                }
            }
            prop_assert_eq!(got, small);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::default();
            frames.push(&bytes);
            let _ = frames.next();
        }
    }
}
