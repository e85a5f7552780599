//! Bytes of what the kernel and the network speak, as pure functions: fields in, bytes out, and back.
//!
//! * [`netlink`], [`route`], [`inet_diag`]: what the kernel is asked and says;
//! * [`ethernet`], [`arp`], [`advert`], [`icmp`], [`tcp`]: packets; [`sight`]: who says that an address is his;
//! * [`guard`]: the filter that a flooded medium gets.
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
