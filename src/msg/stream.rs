//! Cuts classic messages out of a stream of bytes (FIFO, serial line, conversation).

use super::message::{MAX_FIELDS, MAX_MESSAGE};
use super::{Message, MsgError, classic};

const START: &[u8] = b">>>\n";

/// Keeps what has come of an unfinished message. Bounded: at most one message of `MAX_MESSAGE` bytes.
///
/// Lines outside a message are skipped. A broken line spoils its message, and the reader goes on at the next `>>>`
/// line; a `>>>` line inside an unfinished message is itself such a broken line, so both messages are lost. All this
/// is as in heartbeat 3.0.6, but more generous in one point: there a line of more than 511 bytes spoils its message,
/// here it may be as long as `MAX_MESSAGE` allows.
#[derive(Debug, Default)]
pub struct StreamReader {
    /// The unfinished line; outside a message only as much of it as shows whether it is a `>>>` line.
    line: Vec<u8>,
    partial: Option<Partial>,
}

/// A message whose `<<<` has not come yet.
#[derive(Debug)]
struct Partial {
    message: Message,
    /// Bytes of it so far, without the unfinished line.
    size: usize,
    fields_left: usize,
}

impl StreamReader {
    /// Takes the next bytes; gives every message that ended in them, and an error for each one that was spoilt.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Result<Message, MsgError>> {
        let mut out = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let size = self
                .partial
                .as_ref()
                .map_or(0, |p| p.size + self.line.len() + piece.len());
            if size > MAX_MESSAGE {
                out.push(Err(MsgError::TooLong));
                self.partial = None;
            }
            match self.partial {
                Some(_) => self.line.extend_from_slice(piece),
                None => {
                    // One byte more than the mark: enough to tell a longer line from it.
                    let keep = START.len() + 1;
                    self.line.truncate(keep);
                    self.line.extend(piece.iter().take(keep - self.line.len()));
                }
            }
            if piece.ends_with(b"\n") {
                out.extend(self.end_line());
                self.line.clear();
            }
        }
        out
    }

    /// Looks at a complete line.
    fn end_line(&mut self) -> Option<Result<Message, MsgError>> {
        let Some(mut partial) = self.partial.take() else {
            if self.line == START {
                self.partial = Some(Partial {
                    message: Message::default(),
                    size: START.len(),
                    fields_left: MAX_FIELDS,
                });
                return None;
            }
            // Such as a message with CR LF: refused in words, for whoever wonders where it went.
            return self.line.starts_with(b">>>").then_some(Err(MsgError::BadField));
        };
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if line == b"<<<" {
            return Some(Ok(partial.message));
        }
        partial.size += self.line.len();
        match classic::read_line(&mut partial.message, line, 0, &mut partial.fields_left) {
            Ok(()) => {
                self.partial = Some(partial);
                None
            }
            Err(e) => Some(Err(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::arbitrary;
    use proptest::prelude::*;

    fn a() -> Message {
        Message::new("a")
    }

    #[test]
    fn spoilt_messages_are_told_and_the_next_one_is_found() {
        #[rustfmt::skip]
        let table: [(&[u8], Vec<Result<Message, MsgError>>); 12] = [
            (b">>>\nt=a\n<<<\n",                          vec![Ok(a())]),
            (b">>>\nt=a\n\n<<<\njunk\n>>>\nt=a\n<<<\n",  vec![Ok(a()), Ok(a())]),
            (b">>>\nt=a\n<<<",                             vec![]),
            (b"junk>>>\nt=a\n<<<\n",                      vec![]),
            (b">>>>\nt=a\n<<<\n",                         vec![Err(MsgError::BadField)]),
            (b">>>\r\nt=a\r\n<<<\r\n",                    vec![Err(MsgError::BadField)]),
            (b">>>\nt=a\r\n<<<\r\n>>>\nt=a\n<<<\n",      vec![Err(MsgError::BadField), Ok(a())]),
            (b">>>\nt=a\n>>>\nt=b\n<<<\n>>>\nt=a\n<<<\n", vec![Err(MsgError::BadField), Ok(a())]),
            (b">>>\nfoo\n>>>\nt=a\n<<<\n",                vec![Err(MsgError::BadField), Ok(a())]),
            (b">>>\n(1)x=?\n>>>\nt=a\n<<<\n",             vec![Err(MsgError::BadBase64), Ok(a())]),
            (b"<<<\nt=b\n\n>>>\nt=a\n<<<\n",              vec![Ok(a())]),
            (b">>>\n<<<\n",                               vec![Ok(Message::default())]),
        ];
        for (bytes, result) in table {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(StreamReader::default().push(bytes), result, "{shown:?}");
            let mut reader = StreamReader::default();
            let bytewise: Vec<_> = bytes.iter().flat_map(|b| reader.push(&[*b])).collect();
            assert_eq!(bytewise, result, "byte by byte: {shown:?}");
        }
    }

    /// A message of exactly `size` bytes.
    fn sized(size: usize) -> Vec<u8> {
        let x = size - b">>>\nt=a\nx=\n<<<\n".len();
        classic::encode(&a().with("x", "v".repeat(x)))
    }

    #[test]
    fn message_may_be_as_long_as_the_limit_and_no_longer() {
        for (size, ok) in [(MAX_MESSAGE - 1, true), (MAX_MESSAGE, true), (MAX_MESSAGE + 1, false)] {
            let mut bytes = sized(size);
            assert_eq!(bytes.len(), size);
            bytes.extend_from_slice(&classic::encode(&a()));
            let mut reader = StreamReader::default();
            let mut got: Vec<_> = bytes.chunks(1000).flat_map(|c| reader.push(c)).collect();
            assert_eq!(got.pop(), Some(Ok(a())), "{size}");
            assert_eq!(got.len(), 1, "{size}");
            assert_eq!(got[0].as_ref().err(), (!ok).then_some(&MsgError::TooLong), "{size}");
        }
    }

    #[test]
    fn junk_takes_no_memory() {
        let mib = vec![b'x'; 1 << 20];
        let mut reader = StreamReader::default();
        for _ in 0..16 {
            assert!(reader.push(&mib).is_empty());
        }
        assert!(reader.line.capacity() < 64);
        // The same as one endless line of a message: told once, then as junk.
        reader.push(b"\n>>>\nx=");
        let told: Vec<_> = (0..16).flat_map(|_| reader.push(&mib[..1 << 15])).collect();
        assert_eq!(told, [Err(MsgError::TooLong)]);
        assert!(reader.line.len() < 64 && reader.line.capacity() <= 2 * MAX_MESSAGE);
        assert_eq!(reader.push(b"\n>>>\nt=a\n<<<\n"), [Ok(a())]);
        // Many small fields end at the limit of their number.
        let told = reader.push(&[b">>>\n", b"x=\n".repeat(MAX_FIELDS + 1).as_slice()].concat());
        assert_eq!(told, [Err(MsgError::TooManyFields)]);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same(bytes in arbitrary::almost_classic(), cuts in prop::collection::vec(0..20usize, 0..40)) {
            let whole = StreamReader::default().push(&bytes);
            let mut reader = StreamReader::default();
            let (mut got, mut rest) = (Vec::new(), &bytes[..]);
            for cut in cuts {
                let (piece, next) = rest.split_at(cut.min(rest.len()));
                got.extend(reader.push(piece));
                rest = next;
            }
            got.extend(reader.push(rest));
            prop_assert_eq!(got, whole);
        }

        #[test]
        fn messages_come_out_as_they_went_in(messages in prop::collection::vec(arbitrary::classic_message(), 0..5)) {
            let bytes: Vec<u8> = messages.iter().flat_map(classic::encode).collect();
            let got: Result<Vec<_>, _> = StreamReader::default().push(&bytes).into_iter().collect();
            prop_assert_eq!(got, Ok(messages));
        }
    }
}
