//! The keys of authkeys, a token over bytes, and its check.

use crate::msg::MsgError;
use hmac::{Hmac, KeyInit, Mac};
use std::collections::BTreeMap;
use std::fmt;

/// The CRC of POSIX `cksum`, without the length that `cksum` feeds in last: what 3.0.6 calls crc. Sixteen bytes at a
/// time: a beat of 300 bytes is signed once and checked by every node and medium.
static CRC: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_CKSUM);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Crc,
    Md5,
    Sha1,
    /// Ours; heartbeat 3.0.6 does not know it.
    Sha256,
}

/// One key. The half of an HMAC that depends on the key alone is worked out once and not for every beat.
#[derive(Clone)]
pub struct Key {
    /// Empty for crc.
    secret: Vec<u8>,
    prepared: Prepared,
}

#[derive(Clone)]
enum Prepared {
    Crc,
    Md5(Hmac<md5::Md5>),
    Sha1(Hmac<sha1::Sha1>),
    Sha256(Hmac<sha2::Sha256>),
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.method() == other.method() && self.secret == other.secret
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    /// Never shows the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.method())
    }
}

impl Key {
    pub fn new(method: Method, secret: Vec<u8>) -> Self {
        let prepared = match method {
            Method::Crc => Prepared::Crc,
            Method::Md5 => Prepared::Md5(prepared(&secret)),
            Method::Sha1 => Prepared::Sha1(prepared(&secret)),
            Method::Sha256 => Prepared::Sha256(prepared(&secret)),
        };
        Self { secret, prepared }
    }

    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    pub fn method(&self) -> Method {
        match self.prepared {
            Prepared::Crc => Method::Crc,
            Prepared::Md5(_) => Method::Md5,
            Prepared::Sha1(_) => Method::Sha1,
            Prepared::Sha256(_) => Method::Sha256,
        }
    }

    /// The signature of `bytes` in lower-case hexadecimal; crc without leading zeros, as 3.0.6 prints it.
    fn sign(&self, bytes: &[u8]) -> String {
        match &self.prepared {
            Prepared::Crc => format!("{:x}", CRC.checksum(bytes)),
            Prepared::Md5(mac) => tag(mac, bytes),
            Prepared::Sha1(mac) => tag(mac, bytes),
            Prepared::Sha256(mac) => tag(mac, bytes),
        }
    }
}

fn prepared<M: Mac + KeyInit>(secret: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of any length")
}

fn tag<M: Mac + Clone>(mac: &M, bytes: &[u8]) -> String {
    let tag = mac.clone().chain_update(bytes).finalize().into_bytes();
    // Written out: formatting each byte would take longer than the hash of a beat.
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n & 0x0f)]);
    tag.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The keys of authkeys by number (0 to 15), and the one we sign with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keyring {
    pub active: u8,
    pub keys: BTreeMap<u8, Key>,
}

impl Keyring {
    /// The token `NUM HEX` for `bytes` with the active key; `None` when there is no such key (the reader of authkeys
    /// lets no such ring pass).
    pub fn sign(&self, bytes: &[u8]) -> Option<String> {
        let key = self.keys.get(&self.active)?;
        Some(format!("{} {}", self.active, key.sign(bytes)))
    }

    /// Checks `bytes` against a token `NUM HEX` with the key of that number.
    pub fn check(&self, token: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let (number, hex) = token.split_once(' ').ok_or(Refusal::NoToken)?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::NoToken);
        }
        let number: u8 = number.parse().map_err(|_| Refusal::UnknownKey)?;
        let key = self.keys.get(&number).ok_or(Refusal::UnknownKey)?;
        if same(key.sign(bytes).as_bytes(), hex.as_bytes()) {
            Ok(())
        } else {
            Err(Refusal::WrongSignature)
        }
    }
}

/// Compares in a time that depends on the lengths alone, which are no secret.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differing = a
        .iter()
        .zip(b)
        .fold(0, |bits, (a, b)| std::hint::black_box(bits | (a ^ b)));
    a.len() == b.len() && differing == 0
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

impl From<MsgError> for Refusal {
    fn from(e: MsgError) -> Self {
        Self::Malformed(e)
    }
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

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(method: Method, secret: &[u8]) -> Key {
        Key::new(method, secret.to_vec())
    }

    /// RFC 2202 and RFC 4231, cases 1, 2 and 6 (a key longer than a block), and the check value of the CRC's catalogue.
    #[test]
    fn signatures_are_the_published_ones() {
        #[rustfmt::skip]
        let table: [(Method, &[u8], &[u8], &str); 11] = [
            (Method::Md5,  &[0x0b; 16], b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
            (Method::Md5,  b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
            (Method::Md5,  &[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First", "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
            (Method::Sha1, &[0x0b; 20], b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
            (Method::Sha1, b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Method::Sha1, &[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First", "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
            (Method::Sha256, &[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (Method::Sha256, b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (Method::Sha256, &[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First", "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
            (Method::Crc,  b"", b"123456789", "765e7680"),
            (Method::Crc,  b"", b"", "ffffffff"),
        ];
        for (method, secret, bytes, hex) in table {
            assert_eq!(key(method, secret).sign(bytes), hex, "{method:?} {bytes:?}");
        }
    }

    #[test]
    fn key_is_chosen_by_the_number_in_the_token() {
        let ring = |active| Keyring {
            active,
            keys: BTreeMap::from([(1, key(Method::Sha1, b"old")), (12, key(Method::Md5, b"new"))]),
        };
        let old = ring(1).sign(b"x").unwrap();
        let new = ring(12).sign(b"x").unwrap();
        for (token, result) in [
            (old.clone(), Ok(())),
            (new.clone(), Ok(())),
            (old.replacen("1 ", "12 ", 1), Err(Refusal::WrongSignature)),
            (old.replacen("1 ", "2 ", 1), Err(Refusal::UnknownKey)),
            (old.replacen("1 ", "16 ", 1), Err(Refusal::UnknownKey)),
            (old.replacen("1 ", "257 ", 1), Err(Refusal::UnknownKey)),
            (old.replacen("1 ", "+1 ", 1), Err(Refusal::NoToken)),
            (old.replacen("1 ", " ", 1), Err(Refusal::NoToken)),
            (old.replacen("1 ", "1", 1), Err(Refusal::NoToken)),
            (old.to_uppercase(), Err(Refusal::WrongSignature)),
            (format!("{old}0"), Err(Refusal::WrongSignature)),
            (old[..old.len() - 1].to_owned(), Err(Refusal::WrongSignature)),
            ("1 ".to_owned(), Err(Refusal::WrongSignature)),
            (String::new(), Err(Refusal::NoToken)),
        ] {
            assert_eq!(ring(12).check(&token, b"x"), result, "{token:?}");
        }
        assert_eq!(ring(3).sign(b"x"), None);
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let ring = Keyring {
            active: 1,
            keys: BTreeMap::from([(1, key(Method::Sha1, b"labkey"))]),
        };
        let shown = format!("{ring:?}");
        assert!(!shown.contains("labkey") && !shown.contains("108"), "{shown}");
    }
}
