//! What is fuzzed: each function takes any bytes, hands them to the code that meets bytes of strangers, and panics when
//! that code panics or breaks a promise. Used by libFuzzer (`tests/fuzz/bin`) and by `tests/fuzz_corpus.rs`.

mod cluster;
mod files;
mod messages;

pub use cluster::cluster;
pub use files::{authkeys, ha_cf, haresources, state};
pub use messages::{fifo, neighbour, netlink, packet, records, serial};

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: &[Target] = &[
    ("packet", packet),
    ("cluster", cluster),
    ("fifo", fifo),
    ("records", records),
    ("ha_cf", ha_cf),
    ("haresources", haresources),
    ("authkeys", authkeys),
    ("netlink", netlink),
    ("neighbour", neighbour),
    ("serial", serial),
    ("state", state),
];
