//! The service address: finding its place, setting and removing it, telling the segment where it is now.
//!
//! What `IPaddr` and `send_arp` are made of; the daemon renews its leases with [`renew`]. Uses `wire` for the bytes and
//! `sys` for the sockets, and starts no other program: a takeover is a few milliseconds of system calls.
//!
//! | file | is for |
//! |---|---|
//! | [`spec`] | `IP[/MASK[/INTERFACE[/BROADCAST]]]`, read and printed (pure) |
//! | [`place`] | interface, prefix and broadcast address out of interfaces and routes (pure) |
//! | [`hold`] | set, remove, find, renew |
//! | [`announce`] | gratuitous ARP and neighbour advertisement, at once and a short series after |
//! | [`sockets`] | the connections of an address that goes |
//! | [`agent`] | the program `IPaddr`: both calling forms, texts, exit codes |
//! | [`send_arp`] | the program `send_arp` |
//! | [`tickle`] | the program `tickle_tcp` |

pub mod agent;
pub mod announce;
pub mod hold;
pub mod place;
pub mod send_arp;
pub mod sockets;
pub mod spec;
pub mod tickle;

pub use hold::{Added, Error, Held, Renewal, add, find, make_permanent, remove, renew, renew_all, take_back};
pub use spec::Spec;
