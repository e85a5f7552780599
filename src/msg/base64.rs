//! Base64 as binary fields are written in classic text: standard alphabet, padded, no line breaks.

use super::MsgError;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            // A group of n bytes fills n + 1 digits, the rest is padding.
            out.push(match i > group.len() {
                true => b'=',
                false => ALPHABET[(bits >> (18 - 6 * i)) as usize & 63],
            });
        }
    }
}

/// Takes only what `encode` writes: another spelling of the same bytes would not survive the check of a classic
/// signature anyway, which is made over the text written again.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, MsgError> {
    if !text.len().is_multiple_of(4) {
        return Err(MsgError::BadBase64);
    }
    let groups = text.len() / 4;
    let mut out = Vec::with_capacity(groups * 3);
    for (i, group) in text.chunks(4).enumerate() {
        let digits = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 3,
            _ => 4,
        };
        let mut bits = 0;
        for &c in &group[..digits] {
            bits = bits << 6 | digit(c).ok_or(MsgError::BadBase64)?;
        }
        bits <<= 6 * (4 - digits);
        let [_, bytes @ ..] = bits.to_be_bytes();
        let (kept, spare) = bytes.split_at(digits - 1);
        if (digits < 4 && i + 1 < groups) || spare.iter().any(|b| *b != 0) {
            return Err(MsgError::BadBase64);
        }
        out.extend_from_slice(kept);
    }
    Ok(out)
}

fn digit(c: u8) -> Option<u32> {
    Some(u32::from(match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_pairs_and_refusals() {
        #[rustfmt::skip]
        let table: [(&str, Option<&[u8]>); 16] = [
            ("",             Some(b"")),
            ("AA==",         Some(b"\0")),
            ("Zg==",         Some(b"f")),
            ("Zm8=",         Some(b"fo")),
            ("Zm9v",         Some(b"foo")),
            ("AAEKPSz/",     Some(b"\x00\x01\n=,\xff")),
            ("Zh==",         None), // bits behind the end
            ("Zm9=",         None),
            ("Zg",           None),
            ("Zg=",          None),
            ("Zg==Zg==",     None),
            ("Zg =",         None),
            ("Z===",         None),
            ("====",         None),
            ("Zg=v",         None),
            ("Zm9v\n",       None),
        ];
        for (text, bytes) in table {
            assert_eq!(decode(text.as_bytes()).ok().as_deref(), bytes, "{text:?}");
            if let Some(bytes) = bytes {
                let mut out = Vec::new();
                encode(bytes, &mut out);
                assert_eq!(out, text.as_bytes());
            }
        }
    }
}
