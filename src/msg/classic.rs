//! Classic text form: `>>>`, a line a field, `<<<`.
//!
//! A child message is written with another byte in place of LF, one for each level. A text value in a child cannot
//! hold the bytes that end lines around it; they are written as `?` (real messages have none).

use super::message::{MAX_DEPTH, MAX_FIELDS, MAX_MESSAGE, checked_name, checked_text, take_field};
use super::{Field, Message, MsgError, Value, base64, fields, netstring};

const START: &[u8] = b">>>";
const END: &[u8] = b"<<<";
/// Stands for LF inside a text value.
const LF_IN_TEXT: u8 = 0x13;

/// `>>>\n` … `<<<\n`
pub fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, message, 0);
    out
}

/// What a classic signature covers: all field lines but `auth`, without the marks.
pub fn signed_part(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    for field in message.fields().iter().filter(|f| f.name != fields::AUTH) {
        write_field(&mut out, field, 0);
    }
    out
}

/// Reads one whole message, such as a datagram. One NUL may follow it: the 0.4 and 1.x versions send one.
pub fn decode(bytes: &[u8]) -> Result<Message, MsgError> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.len() > MAX_MESSAGE {
        return Err(MsgError::TooLong);
    }
    let mut left = MAX_FIELDS;
    read(bytes, 0, &mut left)
}

/// The byte that ends the lines of a message `level` levels below the outermost: LF, then 20 to 31, then 15 to 18
/// (19 stands for LF in text). Deeper ones are refused by every reader, so any byte will do.
fn line_end(level: usize) -> u8 {
    match u8::try_from(level).unwrap_or(u8::MAX) {
        0 => b'\n',
        level @ 1..=12 => level + 19,
        level @ 13..=16 => level + 2,
        17.. => 18,
    }
}

fn write(out: &mut Vec<u8>, message: &Message, level: usize) {
    let end = line_end(level);
    out.extend_from_slice(START);
    out.push(end);
    for field in message.fields() {
        write_field(out, field, level);
    }
    out.extend_from_slice(END);
    out.push(end);
}

fn write_field(out: &mut Vec<u8>, field: &Field, level: usize) {
    let kind = match field.value {
        Value::Text(_) => "",
        Value::Binary(_) => "(1)",
        Value::Struct(_) => "(2)",
        Value::List(_) => "(3)",
    };
    out.extend_from_slice(kind.as_bytes());
    write_text(out, field.name.as_bytes(), level);
    out.push(b'=');
    match &field.value {
        Value::Text(text) => write_text(out, text, level),
        Value::Binary(bytes) => base64::encode(bytes, out),
        Value::Struct(child) => write(out, child, level + 1),
        // The lengths in it stay right: bytes are replaced one by one.
        Value::List(items) => write_text(out, &netstring::encode_list(items), level),
    }
    out.push(line_end(level));
}

fn write_text(out: &mut Vec<u8>, text: &[u8], level: usize) {
    let ends_a_line = |b| (1..=level.min(MAX_DEPTH)).any(|l| line_end(l) == b);
    out.extend(text.iter().map(|b| match *b {
        b'\n' => LF_IN_TEXT,
        b if b < b' ' && ends_a_line(b) => b'?',
        b => b,
    }));
}

/// Reads a message whose lines end as `level` says; `left` counts down the fields of all levels together.
fn read(bytes: &[u8], level: usize, left: &mut usize) -> Result<Message, MsgError> {
    if level > MAX_DEPTH {
        return Err(MsgError::TooDeep);
    }
    let end = [line_end(level)];
    let mut lines = bytes.split_inclusive(|b| *b == end[0]);
    if lines.next().and_then(|line| line.strip_suffix(&end)) != Some(START) {
        return Err(MsgError::NoStart);
    }
    let mut message = Message::default();
    loop {
        let line = lines
            .next()
            .and_then(|line| line.strip_suffix(&end))
            .ok_or(MsgError::Unfinished)?;
        if line == END {
            break;
        }
        read_line(&mut message, line, level, left)?;
    }
    match lines.next() {
        None => Ok(message),
        Some(_) => Err(MsgError::Trailing),
    }
}

/// Adds the field in `line` (without its end) to `message`. Empty lines are skipped, as heartbeat 3.0.6 does.
pub(super) fn read_line(message: &mut Message, line: &[u8], level: usize, left: &mut usize) -> Result<(), MsgError> {
    if line.is_empty() {
        return Ok(());
    }
    take_field(left)?;
    let (kind, line) = match line {
        [b'(', kind @ b'1'..=b'3', b')', line @ ..] => (*kind, line),
        // An explicit (0) is refused like an unknown number; `checked_name` sees to it.
        line => (b'0', line),
    };
    let eq = line.iter().position(|b| *b == b'=').ok_or(MsgError::BadField)?;
    let name = checked_name(&line[..eq])?;
    let value = &line[eq + 1..];
    let value = match kind {
        b'1' => Value::Binary(base64::decode(value)?),
        b'2' => Value::Struct(read(value, level + 1, left)?),
        b'3' => Value::List(netstring::decode_list(&read_text(value)?)?),
        _ => Value::Text(read_text(value)?.into()),
    };
    message.push(name, value);
    Ok(())
}

fn read_text(text: &[u8]) -> Result<Vec<u8>, MsgError> {
    let lf = |b: &u8| if *b == LF_IN_TEXT { b'\n' } else { *b };
    Ok(checked_text(text)?.iter().map(lf).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::arbitrary;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_message_is_refused_with_its_reason() {
        #[rustfmt::skip]
        let table: [(&[u8], MsgError); 23] = [
            (b"",                                   MsgError::NoStart),
            (b"###\n%%%\n",                         MsgError::NoStart),
            (b">>>",                                MsgError::NoStart),
            (b">>>\r\nt=a\r\n<<<\r\n",              MsgError::NoStart),
            (b">>>\n",                              MsgError::Unfinished),
            (b">>>\nt=a\n<<<",                      MsgError::Unfinished),
            (b">>>\nt=a\n<<<\0",                    MsgError::Unfinished),
            (b">>>\nt=a\n<<<\nx",                   MsgError::Trailing),
            (b">>>\nt=a\n<<<\n\0\0",                MsgError::Trailing),
            (b">>>\nt=a\n<<<\n>>>\nt=a\n<<<\n",     MsgError::Trailing),
            (b">>>\nt=a\0\n<<<\n",                  MsgError::BadField),
            (b">>>\nt\0=a\n<<<\n",                  MsgError::BadField),
            (b">>>\n\xff=a\n<<<\n",                 MsgError::BadField),
            (b">>>\n(1)\xff=AA==\n<<<\n",           MsgError::BadField),
            (b">>>\n(1)(2)x=AA==\n<<<\n",          MsgError::BadField),
            (b">>>\n(4)x=AA==\n<<<\n",             MsgError::BadField),
            (b">>>\n(1)x=AA=\n<<<\n",              MsgError::BadBase64),
            (b">>>\n(2)x=>>>\x14a=b\x14\n<<<\n",   MsgError::Unfinished),
            (b">>>\n(2)x=>>>\x15<<<\x15\n<<<\n",   MsgError::NoStart),
            (b">>>\n(3)x=3:on,\n<<<\n",            MsgError::BadField),
            (b">>>\n(3)x=2:one,\n<<<\n",           MsgError::BadField),
            (b">>>\n(3)x=-1:one,\n<<<\n",          MsgError::BadField),
            (b">>>\n(3)x=99999999999999999999:one,\n<<<\n", MsgError::BadField),
        ];
        for (bytes, error) in table {
            assert_eq!(decode(bytes), Err(error), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn limits_hold_at_the_limit() {
        for levels in [1, MAX_DEPTH] {
            let message = arbitrary::nested(levels);
            assert_eq!(decode(&encode(&message)), Ok(message), "{levels}");
        }
        assert_eq!(
            decode(&encode(&arbitrary::nested(MAX_DEPTH + 1))),
            Err(MsgError::TooDeep)
        );
        assert!(decode(&encode(&arbitrary::nested(MAX_DEPTH + 5))).is_err());

        let fields = |n: usize| [b">>>\n".to_vec(), b"x=\n".repeat(n), b"<<<\n".to_vec()].concat();
        assert!(decode(&fields(MAX_FIELDS)).is_ok());
        assert_eq!(decode(&fields(MAX_FIELDS + 1)), Err(MsgError::TooManyFields));

        let mut long = vec![b'x'; MAX_MESSAGE];
        long[..4].copy_from_slice(b">>>\n");
        long[5] = b'=';
        long[MAX_MESSAGE - 5..].copy_from_slice(b"\n<<<\n");
        assert!(decode(&long).is_ok());
        long.push(0);
        assert!(decode(&long).is_ok());
        long.push(0);
        assert_eq!(decode(&long), Err(MsgError::TooLong));
    }

    #[test]
    fn text_of_a_child_cannot_make_fields() {
        let child = Message::new("c").with("x", "a\x14y=b\x15z");
        let message = Message::new("m")
            .with("x", "a\x14b")
            .with("child", Value::Struct(child));
        let expected = Message::new("c").with("x", "a?y=b\x15z");
        let expected = Message::new("m")
            .with("x", "a\x14b")
            .with("child", Value::Struct(expected));
        assert_eq!(decode(&encode(&message)), Ok(expected));
    }

    #[test]
    fn signature_covers_all_lines_but_auth() {
        let message = decode(b">>>\nauth=1 2\nt=a\n\nx=\x13\n(1)b=AA==\nauth=3\n<<<\n").unwrap();
        assert_eq!(signed_part(&message), b"t=a\nx=\x13\n(1)b=AA==\n");
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in arbitrary::almost_classic()) {
            // What is read without complaint and written again is read as the same.
            if let Ok(message) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&message)), Ok(message));
            }
        }

        #[test]
        fn message_reads_back_as_written(message in arbitrary::classic_message()) {
            prop_assert_eq!(decode(&encode(&message)), Ok(message));
        }

        #[test]
        fn cut_off_message_is_refused(message in arbitrary::classic_message(), cut in any::<prop::sample::Index>()) {
            let bytes = encode(&message);
            prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
