//! The library behind every program of the toolkit: one room a subject.
//!
//! Pure rooms have no clock, file, process, environment or `unsafe`; `tests/layers.rs` reads their
//! source and holds them to it. They run in the daemon, in unit tests and in the simulator alike.
//!
//! | room | pure | is for |
//! |---|---|---|
//! | [`time`] | yes | our `Instant`, the wall clock's type, time words (`2`, `1500ms`) |
//! | [`ids`] | yes | names and numbers that must not be mixed up |
//! | [`msg`] | yes | the messages: ordered fields, classic text and netstring form |
//! | [`auth`] | yes | signing and checking messages: crc, md5, sha1 |
//! | [`conf`] | yes | ha.cf, haresources, authkeys: text in, typed value or all complaints out |
//! | [`core`] | yes | the message layer: links, nodes, generations, numbers, retransmission |
//! | [`groups`] | yes | the v1 resource manager: who holds what |
//! | [`ipfail`] | yes | which of two nodes serves when their ping nodes differ |
//! | [`clients`] | yes | what programs may ask the daemon, and the answers |
//! | [`daemon`] | yes | the three above as one machine: event in, actions out |
//! | [`cib`] | yes | the crm's document: its tree, versions, schema, and changes to it |
//! | [`dopd`] | yes | DRBD's fence-peer handler: whose data are to be marked outdated, and what came of it |
//! | [`policy`] | yes | the crm's decisions: a CIB in, places and ordered actions out |
//! | [`wire`] | yes | bytes of netlink, ARP, IPv6 neighbour advertisement, ICMP echo |
//! | [`sys`] | no | the kernel: every `unsafe`, `libc`, `nix` |
//! | [`address`] | no | the service address: finding its place, setting, removing, announcing it |
//! | [`media`] | no | bcast, ucast, mcast, serial, ping |
//! | [`ipc`] | no | FIFOs: the daemon's ends, and the client library of every tool |
//! | [`jobs`] | no | running resource scripts |
//! | [`run`] | no | the drivers: master, core, heir |
//! | [`check`] | no | what `heartbeat -t` looks at outside the files themselves |
//! | [`lab`] | no | a cluster on one machine: namespaces, faults, the client that watches |
//! | [`sim`] | yes | virtual network and clock around [`daemon`], faults, invariants |

pub mod address;
pub mod auth;
pub mod check;
pub mod cib;
pub mod clients;
pub mod conf;
pub mod core;
pub mod daemon;
pub mod dopd;
pub mod groups;
pub mod ids;
pub mod ipc;
pub mod ipfail;
pub mod jobs;
pub mod lab;
pub mod media;
pub mod msg;
pub mod paths;
pub mod policy;
pub mod run;
pub mod sim;
pub mod sys;
pub mod time;
pub mod wire;
