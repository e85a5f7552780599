//! Cuts the texts of classic messages out of the bytes of a serial line.
//!
//! Pure. It knows the two marks and nothing else: what stands between them is for `msg` to read.

use crate::msg::message::MAX_MESSAGE;

const START: &[u8] = b">>>";
const END: &[u8] = b"<<<";

/// Keeps the message that has begun, at most [`MAX_MESSAGE`] bytes.
#[derive(Debug, Default)]
pub struct Framer {
    /// From `>>>` up to the line before the current one; empty between messages.
    message: Vec<u8>,
    /// The current line. Between messages no longer than the start mark: the rest of a line of junk is not kept.
    line: Vec<u8>,
    spoilt: u64,
}

impl Framer {
    /// Takes the next bytes; gives every message that ended in them, from `>>>` to the line end after `<<<`.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut done = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.take(piece);
            if piece.ends_with(b"\n") {
                done.extend(self.line_ended());
            }
        }
        done
    }

    /// Messages that began and never ended: cut off by the next one, or too long.
    pub fn spoilt(&self) -> u64 {
        self.spoilt
    }

    fn take(&mut self, piece: &[u8]) {
        let mut piece = piece;
        if self.line.is_empty() {
            // A break on the line, or a sender that ends its text with NUL, leaves NULs before the next line.
            let text = piece.iter().position(|b| *b != 0).unwrap_or(piece.len());
            piece = &piece[text..];
        }
        let outside = self.message.is_empty() && !self.line.starts_with(START);
        if outside && self.line.len() >= START.len() {
            return;
        }
        if outside {
            // Enough to see the mark; if it is one, the rest belongs to the message.
            let missing = (START.len() - self.line.len()).min(piece.len());
            self.line.extend_from_slice(&piece[..missing]);
            piece = &piece[missing..];
            if !self.line.starts_with(START) {
                return;
            }
        }
        if self.message.len() + self.line.len() + piece.len() > MAX_MESSAGE {
            self.give_up();
            // The rest of this line is junk, whatever it looks like.
            self.line = b"...".to_vec();
            return;
        }
        self.line.extend_from_slice(piece);
    }

    fn line_ended(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if line.starts_with(START) {
            self.give_up();
            self.message = line;
            return None;
        }
        if self.message.is_empty() {
            return None;
        }
        self.message.extend_from_slice(&line);
        line.starts_with(END).then(|| std::mem::take(&mut self.message))
    }

    fn give_up(&mut self) {
        if !self.message.is_empty() || self.line.starts_with(START) {
            self.spoilt += 1;
        }
        self.message.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(framer: &mut Framer, bytes: &[u8]) -> Vec<String> {
        let cut = framer.push(bytes);
        cut.into_iter()
            .map(|m| String::from_utf8_lossy(&m).into_owned())
            .collect()
    }

    #[test]
    fn messages_are_cut_out_of_what_surrounds_them() {
        let table: &[(&str, &[&str], u64)] = &[
            // bytes                            messages                              spoilt
            (">>>\na=1\n<<<\n", &[">>>\na=1\n<<<\n"], 0),
            (">>>\n<<<\n>>>\nb=2\n<<<\n", &[">>>\n<<<\n", ">>>\nb=2\n<<<\n"], 0),
            ("junk\n>>>\na=1\n<<<\n", &[">>>\na=1\n<<<\n"], 0),
            ("a=0\n<<<\n>>>\na=1\n<<<\n", &[">>>\na=1\n<<<\n"], 0),
            ("x>>>\na=1\n<<<\n", &[], 0),
            ("x>>>\n>>>\na=1\n<<<\n", &[">>>\na=1\n<<<\n"], 0),
            ("\0\0>>>\na=1\n<<<\n\0>>>\n<<<\n", &[">>>\na=1\n<<<\n", ">>>\n<<<\n"], 0),
            (">>>\na=1\n>>>\nb=2\n<<<\n", &[">>>\nb=2\n<<<\n"], 1),
            (">>>\na=1 <<<\n<<<\n", &[">>>\na=1 <<<\n<<<\n"], 0),
            (">>>\na=1\n<<<", &[], 0),
            ("\n\n>>>\n\n<<<\n", &[">>>\n\n<<<\n"], 0),
            (">>\n>>>\n<<<\n", &[">>>\n<<<\n"], 0),
        ];
        for (bytes, want, spoilt) in table {
            let mut whole = Framer::default();
            assert_eq!(texts(&mut whole, bytes.as_bytes()), *want, "{bytes:?}");
            assert_eq!(whole.spoilt(), *spoilt, "{bytes:?}");
            let mut bytewise = Framer::default();
            let got: Vec<String> = bytes.bytes().flat_map(|b| texts(&mut bytewise, &[b])).collect();
            assert_eq!(got, *want, "{bytes:?} byte by byte");
            assert_eq!(bytewise.spoilt(), *spoilt, "{bytes:?} byte by byte");
        }
    }

    #[test]
    fn the_longest_message_passes_and_one_byte_more_does_not() {
        for (extra, passes) in [(0, true), (1, false)] {
            let frame = b">>>\nv=\n<<<\n".len();
            let text = format!(">>>\nv={}\n<<<\n", "x".repeat(MAX_MESSAGE - frame + extra));
            for chunk in [text.len(), 4096, 7] {
                let mut framer = Framer::default();
                let got: usize = text.as_bytes().chunks(chunk).map(|c| framer.push(c).len()).sum();
                assert_eq!(
                    (got == 1, framer.spoilt() == 0),
                    (passes, passes),
                    "{extra} in chunks of {chunk}"
                );
                assert_eq!(texts(&mut framer, b">>>\nnext=1\n<<<\n"), [">>>\nnext=1\n<<<\n"]);
            }
        }
    }

    #[test]
    fn endless_lines_are_not_kept() {
        let mut framer = Framer::default();
        for start in ["", ">>>", ">>>\n"] {
            framer.push(start.as_bytes());
            for _ in 0..3 * MAX_MESSAGE / 4096 {
                assert!(framer.push(&[b'x'; 4096]).is_empty());
                assert!(framer.message.len() + framer.line.len() <= MAX_MESSAGE);
            }
            framer.push(b"\n");
        }
        assert_eq!(texts(&mut framer, b">>>\n<<<\n"), [">>>\n<<<\n"]);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces(bytes in "([>]{1,4}|[<]{1,4}|\n|\n|\u{0}|[a-c=]){0,80}", at in 0..1000_usize) {
            let bytes = bytes.as_bytes();
            let whole = Framer::default().push(bytes);
            let (left, right) = bytes.split_at(at % (bytes.len() + 1));
            let mut framer = Framer::default();
            let mut pieces = framer.push(left);
            pieces.extend(framer.push(right));
            prop_assert_eq!(&whole, &pieces);
            for m in whole {
                prop_assert!(m.starts_with(b">>>") && m.ends_with(b"\n"));
                prop_assert_eq!(m.split(|b| *b == b'\n').filter(|l| l.starts_with(b">>>")).count(), 1);
                prop_assert_eq!(m.split(|b| *b == b'\n').filter(|l| l.starts_with(b"<<<")).count(), 1);
            }
        }

        #[test]
        fn whole_messages_survive_junk_between_them(
            bodies in prop::collection::vec("([a-z]{1,5}=[ -;=?-~]{0,20}\n){0,5}", 0..6),
            junk in "([a-z =\u{0}]{0,9}\n){0,4}",
        ) {
            let messages: Vec<Vec<u8>> = bodies.iter().map(|b| format!(">>>\n{b}<<<\n").into_bytes()).collect();
            let mut framer = Framer::default();
            let mut got = Vec::new();
            for m in &messages {
                got.extend(framer.push(junk.as_bytes()));
                got.extend(framer.push(m));
            }
            prop_assert_eq!(got, messages);
            prop_assert_eq!(framer.spoilt(), 0);
        }
    }
}
