//! Signing and checking messages with the keys of authkeys: crc, md5, sha1.
//!
//! * [`keyring`]: the keys, a token over bytes, and its check;
//! * [`packet`]: whole packets of both written forms.
//!
//! Pure. Comparison takes constant time. The key for checking is chosen by the number in the token (the classic
//! program uses its own active key; choosing by number is what makes a key roll-over possible).

pub mod keyring;
pub mod packet;

pub use keyring::{Key, Keyring, Method, Refusal};
pub use packet::{open, seal_classic, seal_netstring};
