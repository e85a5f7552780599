//! Ethernet: hardware addresses and the 14 bytes in front of every packet.

use std::fmt;
use std::str::FromStr;

/// What the two bytes after the addresses say.
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// 33:33:00:00:00:01, where all IPv6 hosts of the segment listen (RFC 2464, section 7).
    pub const ALL_IPV6_HOSTS: Self = Self([0x33, 0x33, 0, 0, 0, 1]);
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no hardware address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadMac(String);

impl fmt::Display for BadMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not a hardware address: write 52:54:00:12:34:56 or 525400123456",
            self.0
        )
    }
}

impl FromStr for Mac {
    type Err = BadMac;
    /// With colons, or as twelve digits in a row, as scripts of heartbeat hand it to `send_arp`.
    fn from_str(text: &str) -> Result<Self, BadMac> {
        let bad = || BadMac(text.to_owned());
        let mut pairs = Vec::new();
        if text.contains(':') {
            pairs.extend(text.split(':').map(str::to_owned));
        } else {
            let digits: Vec<char> = text.chars().collect();
            pairs.extend(digits.chunks(2).map(|c| c.iter().collect()));
        }
        let mut mac = [0; 6];
        if pairs.len() != mac.len() {
            return Err(bad());
        }
        for (byte, pair) in mac.iter_mut().zip(&pairs) {
            // `from_str_radix` alone would take "+5".
            if pair.len() != 2 || !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(mac))
    }
}

/// The header and the payload as one frame. Not padded to the 60 bytes of the cable: drivers do that.
pub fn frame(to: Mac, from: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(14 + payload.len());
    bytes.extend(to.0);
    bytes.extend(from.0);
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Destination, source, ethertype and payload; none if it is shorter than a header.
pub fn open_frame(bytes: &[u8]) -> Option<(Mac, Mac, u16, &[u8])> {
    let (to, rest) = bytes.split_first_chunk::<6>()?;
    let (from, rest) = rest.split_first_chunk::<6>()?;
    let (ethertype, payload) = rest.split_first_chunk::<2>()?;
    Some((Mac(*to), Mac(*from), u16::from_be_bytes(*ethertype), payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hardware_addresses_are_read_in_both_spellings() {
        let mac = Some(Mac([0x52, 0x54, 0, 0x12, 0x34, 0xab]));
        let table = [
            ("52:54:00:12:34:ab", mac),
            ("52:54:00:12:34:AB", mac),
            ("5254001234ab", mac),
            ("5254001234a", None),
            ("52:54:00:12:34", None),
            ("52:54:00:12:34:ab:cd", None),
            ("52:54:00:12:34:+b", None),
            ("auto", None),
            ("", None),
            ("äöüäöü", None),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(bytes: [u8; 6]) {
            prop_assert_eq!(Mac(bytes).to_string().parse(), Ok(Mac(bytes)));
        }

        #[test]
        fn any_text_and_bytes_are_taken_without_a_panic(text: String, bytes: Vec<u8>) {
            let _ = text.parse::<Mac>();
            if let Some((to, from, kind, payload)) = open_frame(&bytes) {
                prop_assert_eq!(frame(to, from, kind, payload), bytes);
            }
        }
    }
}
