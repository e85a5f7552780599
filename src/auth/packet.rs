//! Signing and checking whole packets, in both written forms.

use super::{Keyring, Refusal};
use crate::msg::{Message, classic, fields, netstring};

/// Netstring datagram, signed. With `inner` the message gets the classic `auth` field first, as 3.0.6 does with
/// `msgfmt classic`. (A ring without its active key signs nothing, and every peer will refuse the packet.)
pub fn seal_netstring(message: &Message, keys: &Keyring, inner: bool) -> Vec<u8> {
    let mut packet = if inner {
        netstring::encode(&with_auth(message, keys))
    } else {
        netstring::encode(message)
    };
    if let Some(token) = keys.sign(&packet) {
        netstring::push(&mut packet, &[token.as_bytes()]);
    }
    packet
}

/// Classic text with its `auth` field last.
pub fn seal_classic(message: &Message, keys: &Keyring) -> Vec<u8> {
    classic::encode(&with_auth(message, keys))
}

fn with_auth(message: &Message, keys: &Keyring) -> Message {
    let mut message = message.clone();
    message.remove(fields::AUTH);
    if let Some(token) = keys.sign(&classic::signed_part(&message)) {
        message.push(fields::AUTH, token);
    }
    message
}

/// Reads and checks a packet of either form. The message has no `auth` field any more: it has done its work in classic
/// form, and is only a leftover in netstring form, where the signature outside counts.
///
/// A netstring packet is checked before its fields are looked at. Classic text must be read first, because the
/// signature covers the message written again.
pub fn open(packet: &[u8], keys: &Keyring) -> Result<Message, Refusal> {
    let mut message = if packet.starts_with(b"###") {
        let frame = netstring::split(packet)?;
        keys.check(frame.token.ok_or(Refusal::NoToken)?, frame.signed)?;
        frame.message()?
    } else {
        let message = classic::decode(packet)?;
        let token = message.get(fields::AUTH).ok_or(Refusal::NoToken)?;
        keys.check(token, &classic::signed_part(&message))?;
        message
    };
    message.remove(fields::AUTH);
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Key, Method};
    use crate::msg::{MsgError, arbitrary};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The numbers 1 and 2 are two bits apart: crc has no secret, so a token whose number became that of another crc key
    /// is as good as before (and so is the message).
    fn ring(method: Method) -> Keyring {
        let key = |secret: &[u8]| Key::new(method, secret.to_vec());
        Keyring {
            active: 1,
            keys: BTreeMap::from([(1, key(b"labkey")), (2, key(b"Hello!"))]),
        }
    }

    fn methods() -> impl Strategy<Value = Method> {
        prop::sample::select(vec![Method::Crc, Method::Md5, Method::Sha1, Method::Sha256])
    }

    #[test]
    fn refusals_name_their_reason() {
        let keys = ring(Method::Sha1);
        let message = Message::new("status").with(fields::SRC, "n1");
        let netstring = seal_netstring(&message, &keys, true);
        let classic = seal_classic(&message, &keys);
        assert_eq!(open(&netstring, &keys), Ok(message.clone()));
        assert_eq!(open(&classic, &keys), Ok(message.clone()));
        assert_eq!(open(&[&classic[..], b"\0"].concat(), &keys), Ok(message.clone()));
        for unsigned in [netstring::encode(&message), classic::encode(&message)] {
            assert_eq!(open(&unsigned, &keys), Err(Refusal::NoToken));
        }
        let mut others = keys.clone();
        others.active = 7;
        others.keys = BTreeMap::from([(7, keys.keys[&1].clone())]);
        for packet in [&netstring, &classic] {
            assert_eq!(open(packet, &others), Err(Refusal::UnknownKey));
            assert_eq!(open(packet, &ring(Method::Md5)), Err(Refusal::WrongSignature));
        }
        assert_eq!(open(b"", &keys), Err(Refusal::Malformed(MsgError::NoStart)));
        assert_eq!(open(b"###\n", &keys), Err(Refusal::Malformed(MsgError::Unfinished)));
    }

    #[test]
    fn malformed_fields_are_not_looked_at_before_the_signature() {
        let keys = ring(Method::Sha1);
        let mut packet = b"###\n3:???,%%%\n".to_vec();
        let signature = keys.sign(&packet).unwrap();
        let mut forged = packet.clone();
        netstring::push(&mut packet, &[signature.as_bytes()]);
        netstring::push(&mut forged, &[b"1 00"]);
        assert_eq!(open(&packet, &keys), Err(Refusal::Malformed(MsgError::BadField)));
        assert_eq!(open(&forged, &keys), Err(Refusal::WrongSignature));
    }

    #[test]
    fn the_number_of_a_key_is_covered_by_its_secret_alone() {
        let message = Message::new("status").with(fields::SRC, "n1");
        for (method, want) in [
            (Method::Crc, Ok(message.clone())),
            (Method::Sha1, Err(Refusal::WrongSignature)),
        ] {
            let keys = ring(method);
            let text = String::from_utf8(seal_classic(&message, &keys)).unwrap();
            assert!(text.contains("auth=1 "), "{text}");
            assert_eq!(open(text.replace("auth=1 ", "auth=2 ").as_bytes(), &keys), want);
        }
    }

    #[test]
    fn inner_auth_is_not_looked_at_and_not_handed_on() {
        let keys = ring(Method::Md5);
        let message = Message::new("a").with(fields::AUTH, "1 wrong").with("x", "y");
        let expected = Message::new("a").with("x", "y");
        assert_eq!(
            open(&seal_netstring(&message, &keys, false), &keys),
            Ok(expected.clone())
        );
        assert_eq!(
            open(&seal_netstring(&message, &keys, true), &keys),
            Ok(expected.clone())
        );
        assert_eq!(open(&seal_classic(&message, &keys), &keys), Ok(expected));
    }

    proptest! {
        #[test]
        fn sealed_message_opens(message in arbitrary::message(), inner in any::<bool>(), method in methods()) {
            let keys = ring(method);
            prop_assert_eq!(open(&seal_netstring(&message, &keys, inner), &keys), Ok(message));
        }

        #[test]
        fn sealed_classic_message_opens(message in arbitrary::classic_message(), method in methods()) {
            let keys = ring(method);
            prop_assert_eq!(open(&seal_classic(&message, &keys), &keys), Ok(message));
        }

        #[test]
        fn flipped_bit_fails(
            message in arbitrary::classic_message(),
            classic in any::<bool>(),
            method in methods(),
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let keys = ring(method);
            let seal = |m| if classic { seal_classic(m, &keys) } else { seal_netstring(m, &keys, true) };
            let mut packet = seal(&message);
            let at = at.index(packet.len());
            packet[at] ^= 1u8 << bit;
            prop_assert!(open(&packet, &keys).is_err());
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop_oneof![arbitrary::almost_classic(), arbitrary::almost_netstring()]) {
            prop_assert!(open(&bytes, &ring(Method::Sha1)).is_err());
        }
    }
}
