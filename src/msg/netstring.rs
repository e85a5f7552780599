//! Netstring form: `###`, `LEN:(T)name=value,` a field, `%%%`, and behind it the signature.
//!
//! Binary values are raw and may hold `%%%`, so the end is found by stepping from length to length; that is also
//! cheap enough ([`MAX_FIELDS`] steps at most) to be done before the signature has been checked.

use super::message::{MAX_DEPTH, MAX_FIELDS, MAX_MESSAGE, checked_name, checked_text, take_field};
use super::{Field, Message, MsgError, Value};

const START: &[u8] = b"###\n";
const END: &[u8] = b"%%%\n";
/// Room for a message that tells claims, with its signature.
const USUAL: usize = 480;

/// A netstring datagram taken apart.
#[derive(Debug)]
pub struct Datagram<'a> {
    pub message: Message,
    /// What the signature covers: from the first `#` to the LF after `%%%`.
    pub signed: &'a [u8],
    /// `NUM HEX`, when there is one.
    pub token: Option<&'a str>,
}

/// A netstring datagram of which only the frame has been looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// As in [`Datagram`].
    pub signed: &'a [u8],
    pub token: Option<&'a str>,
}

/// `###\n` … `%%%\n`, without signature.
pub fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL);
    out.extend_from_slice(START);
    for Field { name, value } in message.fields() {
        let (kind, value): (&[u8], &[u8]) = match value {
            Value::Text(text) => (b"(0)", text),
            Value::Binary(bytes) => (b"(1)", bytes),
            Value::Struct(child) => (b"(2)", &encode(child)),
            Value::List(items) => (b"(3)", &encode_list(items)),
        };
        push(&mut out, &[kind, name.as_bytes(), b"=", value]);
    }
    out.extend_from_slice(END);
    out
}

pub fn decode(bytes: &[u8]) -> Result<Datagram<'_>, MsgError> {
    let frame = split(bytes)?;
    let message = frame.message()?;
    let Frame { signed, token } = frame;
    Ok(Datagram { message, signed, token })
}

impl Frame<'_> {
    /// The message in it.
    pub fn message(&self) -> Result<Message, MsgError> {
        let mut left = MAX_FIELDS;
        read(self.signed, 0, &mut left).map(|(message, _)| message)
    }
}

/// Finds the end of the message and the token, without making anything of the fields.
pub fn split(bytes: &[u8]) -> Result<Frame<'_>, MsgError> {
    let mut rest = bytes.strip_prefix(START).ok_or(MsgError::NoStart)?;
    if bytes.len() > MAX_MESSAGE {
        return Err(MsgError::TooLong);
    }
    let mut left = MAX_FIELDS;
    while let Some((_, next)) = field(rest)? {
        take_field(&mut left)?;
        rest = next;
    }
    rest = &rest[END.len()..];
    let signed = &bytes[..bytes.len() - rest.len()];
    let token = match rest.first() {
        None => None,
        Some(b'0'..=b'9') => match peel(rest)? {
            (token, []) => Some(std::str::from_utf8(token).map_err(|_| MsgError::BadField)?),
            _ => return Err(MsgError::Trailing),
        },
        Some(_) => return Err(MsgError::Trailing),
    };
    Ok(Frame { signed, token })
}

/// What a datagram that was not checked says of its sender, generation and number: good enough to refuse it, never to
/// believe it.
pub fn claims(bytes: &[u8]) -> Option<(&str, u64, u64)> {
    let (mut src, mut generation, mut seq) = (None, None, None);
    let mut rest = bytes.strip_prefix(START)?;
    for _ in 0..MAX_FIELDS {
        let (body, next) = field(rest).ok()??;
        let text = |name: &[u8]| std::str::from_utf8(body.strip_prefix(name)?).ok();
        let hex = |name: &[u8]| u64::from_str_radix(text(name)?, 16).ok();
        src = src.or_else(|| text(b"(0)src="));
        generation = generation.or_else(|| hex(b"(0)hg="));
        seq = seq.or_else(|| hex(b"(0)seq="));
        if let (Some(src), Some(generation), Some(seq)) = (src, generation, seq) {
            return Some((src, generation, seq));
        }
        rest = next;
    }
    None
}

/// Reads a message from `START` to `END`; gives what is behind it too. `level` is 0 for a whole message.
fn read<'a>(bytes: &'a [u8], level: usize, left: &mut usize) -> Result<(Message, &'a [u8]), MsgError> {
    if level > MAX_DEPTH {
        return Err(MsgError::TooDeep);
    }
    let mut rest = bytes.strip_prefix(START).ok_or(MsgError::NoStart)?;
    let mut message = Message::with_room();
    while let Some((body, next)) = field(rest)? {
        take_field(left)?;
        let (kind, body) = match body {
            [b'(', kind @ b'0'..=b'3', b')', body @ ..] => (kind, body),
            _ => return Err(MsgError::BadField),
        };
        let eq = body.iter().position(|b| *b == b'=').ok_or(MsgError::BadField)?;
        let name = checked_name(&body[..eq])?;
        let value = &body[eq + 1..];
        let value = match kind {
            b'0' => Value::Text(checked_text(value)?.into()),
            b'1' => Value::Binary(value.to_vec()),
            b'2' => match read(value, level + 1, left)? {
                (child, []) => Value::Struct(child),
                _ => return Err(MsgError::Trailing),
            },
            _ => Value::List(decode_list(value)?),
        };
        message.push(name, value);
        rest = next;
    }
    Ok((message, &rest[END.len()..]))
}

/// What one netstring holds, and what is behind it.
type Peeled<'a> = (&'a [u8], &'a [u8]);

/// The next field's netstring and the rest, or `None` when `rest` begins with the end mark.
fn field(rest: &[u8]) -> Result<Option<Peeled<'_>>, MsgError> {
    if rest.first().is_some_and(u8::is_ascii_digit) {
        peel(rest).map(Some)
    } else if rest.starts_with(END) {
        Ok(None)
    } else if END.starts_with(rest) {
        Err(MsgError::Unfinished)
    } else {
        peel(rest).map(Some)
    }
}

/// Takes one `LEN:bytes,` off. No number that fits has more digits than `MAX_MESSAGE`.
fn peel(bytes: &[u8]) -> Result<Peeled<'_>, MsgError> {
    const DIGITS: usize = 6;
    let digits = bytes.iter().take(DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
    let mut rest = match bytes.get(digits) {
        Some(b':') if (1..=DIGITS).contains(&digits) => &bytes[digits + 1..],
        None if (1..=DIGITS).contains(&digits) => return Err(MsgError::Unfinished),
        _ => return Err(MsgError::BadField),
    };
    let len = bytes[..digits].iter().fold(0, |n, b| n * 10 + usize::from(b - b'0'));
    let data = rest.get(..len).ok_or(MsgError::Unfinished)?;
    rest = &rest[len..];
    match rest.split_first() {
        Some((b',', rest)) => Ok((data, rest)),
        Some(_) => Err(MsgError::BadField),
        None => Err(MsgError::Unfinished),
    }
}

/// Writes the parts as one `LEN:bytes,`.
pub(crate) fn push(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|p| p.len()).sum();
    push_decimal(out, len);
    out.push(b':');
    for part in parts {
        out.extend_from_slice(part);
    }
    out.push(b',');
}

fn push_decimal(out: &mut Vec<u8>, number: usize) {
    if number >= 10 {
        push_decimal(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}

/// A list is written the same way in both forms: `3:one,5:two,2,`.
pub(super) fn encode_list(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        push(&mut out, &[item]);
    }
    out
}

pub(super) fn decode_list(mut rest: &[u8]) -> Result<Vec<Vec<u8>>, MsgError> {
    let mut items = Vec::new();
    while !rest.is_empty() {
        // What is cut off here is a bad field, not an unfinished message.
        let (item, next) = peel(rest).map_err(|_| MsgError::BadField)?;
        items.push(checked_text(item)?.to_vec());
        rest = next;
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::arbitrary;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_message_is_refused_with_its_reason() {
        #[rustfmt::skip]
        let table: [(&[u8], MsgError); 30] = [
            (b"",                                    MsgError::NoStart),
            (b"###",                                 MsgError::NoStart),
            (b">>>\n<<<\n",                          MsgError::NoStart),
            (b"###\n",                               MsgError::Unfinished),
            (b"###\n%%%",                            MsgError::Unfinished),
            (b"###\n9",                              MsgError::Unfinished),
            (b"###\n9:(0)t=te",                      MsgError::Unfinished),
            (b"###\n9:(0)t=test",                    MsgError::Unfinished),
            (b"###\n9:(0)t=test,",                   MsgError::Unfinished),
            (b"###\n999999:(0)t=test,%%%\n",         MsgError::Unfinished),
            (b"###\n9999999:(0)t=test,%%%\n",        MsgError::BadField),
            (b"###\n99999999999999999999999:(0)t=a,%%%\n", MsgError::BadField),
            (b"###\n:(0)t=test,%%%\n",               MsgError::BadField),
            (b"###\n+9:(0)t=test,%%%\n",             MsgError::BadField),
            (b"###\n8:(0)t=test,%%%\n",              MsgError::BadField),
            (b"###\n9:(0)t=test;%%%\n",              MsgError::BadField),
            (b"###\n0:,%%%\n",                       MsgError::BadField),
            (b"###\n6:t=test,%%%\n",                 MsgError::BadField),
            (b"###\n9:(4)t=test,%%%\n",              MsgError::BadField),
            (b"###\n9:(0)ttest,%%%\n",               MsgError::BadField),
            (b"###\n8:(0)=test,%%%\n",               MsgError::BadField),
            (b"###\n9:(0)t=te\0t,%%%\n",             MsgError::BadField),
            (b"###\n9:(1)\xff=test,%%%\n",           MsgError::BadField),
            (b"###\n10:(1)a\nb=cd,%%%\n",            MsgError::BadField),
            (b"###\n9:(0)(=test,%%%\n",              MsgError::BadField),
            (b"###\n9:(2)t=test,%%%\n",              MsgError::NoStart),
            (b"###\n14:(2)c=###\n%%%\nx,%%%\n",      MsgError::Trailing),
            (b"###\n9:(0)t=test,%%%\nx",             MsgError::Trailing),
            (b"###\n9:(0)t=test,%%%\n3:1 a,\0",      MsgError::Trailing),
            (b"###\n9:(0)t=test,%%%\n3:1 a",         MsgError::Unfinished),
        ];
        for (bytes, error) in table {
            let got = decode(bytes).map(|d| d.message);
            assert_eq!(got, Err(error), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn end_is_not_looked_for_inside_values() {
        let message = Message::new("a").with("b", Value::Binary(b",%%%\n3:1 a,".to_vec()));
        let mut bytes = encode(&message);
        let signed = bytes.len();
        push(&mut bytes, &[b"1 ", b"beef"]);
        let datagram = decode(&bytes).unwrap();
        assert_eq!(datagram.message, message);
        assert_eq!(datagram.signed, &bytes[..signed]);
        assert_eq!(datagram.token, Some("1 beef"));
    }

    #[test]
    fn limits_hold_at_the_limit() {
        let back = |message: &Message| decode(&encode(message)).map(|d| d.message);
        for levels in [1, MAX_DEPTH] {
            let message = arbitrary::nested(levels);
            assert_eq!(back(&message), Ok(message), "{levels}");
        }
        assert_eq!(back(&arbitrary::nested(MAX_DEPTH + 1)), Err(MsgError::TooDeep));

        let wide = |n| {
            (0..n).fold(Message::default(), |mut m, _| {
                m.push("x", "");
                m
            })
        };
        assert!(back(&wide(MAX_FIELDS)).is_ok());
        assert_eq!(back(&wide(MAX_FIELDS + 1)), Err(MsgError::TooManyFields));
        assert_eq!(split(&encode(&wide(MAX_FIELDS + 1))), Err(MsgError::TooManyFields));
        // The fields of children count too.
        let child = |n| Message::default().with("c", Value::Struct(wide(n)));
        assert!(back(&child(MAX_FIELDS - 1)).is_ok());
        assert_eq!(back(&child(MAX_FIELDS)), Err(MsgError::TooManyFields));

        let frame = b"###\n262122:(0)x=,%%%\n".len();
        let long = |size: usize| Message::default().with("x", "v".repeat(size - frame));
        assert_eq!(encode(&long(MAX_MESSAGE)).len(), MAX_MESSAGE);
        assert!(back(&long(MAX_MESSAGE)).is_ok());
        assert_eq!(back(&long(MAX_MESSAGE + 1)), Err(MsgError::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in arbitrary::almost_netstring()) {
            if let Ok(datagram) = decode(&bytes) {
                let again = encode(&datagram.message);
                prop_assert_eq!(decode(&again).map(|d| d.message), Ok(datagram.message));
            }
        }

        #[test]
        fn message_reads_back_as_written(message in arbitrary::message()) {
            let bytes = encode(&message);
            let datagram = decode(&bytes).unwrap();
            prop_assert_eq!(datagram.signed, &bytes[..]);
            prop_assert_eq!(datagram.token, None);
            prop_assert_eq!(datagram.message, message);
        }

        #[test]
        fn cut_off_message_is_refused(message in arbitrary::message(), cut in any::<prop::sample::Index>()) {
            let bytes = encode(&message);
            prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
