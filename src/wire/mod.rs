//! Bytes of what the kernel and the network speak, as pure functions: fields in, bytes out, and back.
//!
//! Pure. Nothing here opens a socket (that is `sys`) or decides what to send (that is `address`). Every parser takes any
//! bytes without a panic.

pub mod advert;
pub mod arp;
pub mod ethernet;
pub mod guard;
pub mod icmp;
pub mod inet_diag;
pub mod netlink;
pub mod route;
pub mod sight;
pub mod tcp;

pub use ethernet::Mac;
