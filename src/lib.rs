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
//! | [`auth`] | yes | signing and checking messages: crc, md5, sha1, sha256 |
//! | [`conf`] | yes | ha.cf, haresources, authkeys, monitors: text in, typed value or all complaints out |
//! | [`core`] | yes | the message layer: links, nodes, generations, numbers, retransmission |
//! | [`groups`] | yes | the v1 resource manager: who holds what |
//! | [`checks`] | yes | whether a service still works: when to look, when to believe it, when to have it repaired |
//! | [`ipfail`] | yes | which of two nodes serves when their ping nodes differ |
//! | [`clients`] | yes | what programs may ask the daemon, and the answers |
//! | [`daemon`] | yes | `core`, `groups` and `clients` as one machine: event in, actions out |
//! | [`cib`] | yes | the crm's document: its tree, versions, schema, and changes to it |
//! | [`agents`] | yes | how agents are called, what they say of themselves, what their exit codes mean; who runs when |
//! | [`agree`] | yes | the crm's nodes agree: members, the DC, one CIB |
//! | [`crm`] | no | the crm's tools, and their conversation with crmd |
//! | [`dopd`] | yes | DRBD's fence-peer handler: whose data are to be marked outdated, and what came of it |
//! | [`policy`] | yes | the crm's decisions: a CIB in, places and ordered actions out |
//! | [`transition`] | yes | the crm's acting: a plan in, orders to nodes out, and what came of them |
//! | [`shell`] | yes | the language of the crm shell: a line as an element of the CIB, an element as lines |
//! | [`text`] | yes | the state of a cluster as crm_mon shows it |
//! | [`drbd`] | yes | what DRBD says of its devices, and what follows: promotion, split brain |
//! | [`ocf`] | yes | OCF agents as resources: their words, their time limits, their exit statuses |
//! | [`wire`] | yes | bytes of netlink, ARP, IPv6 neighbour advertisement, ICMP echo |
//! | [`sys`] | no | the kernel: every `unsafe`, `libc`, `nix` |
//! | [`address`] | no | the service address: finding its place, setting, removing, announcing it |
//! | [`paths`] | no | where the files are |
//! | [`media`] | no | bcast, ucast, mcast, serial, ping |
//! | [`ipc`] | no | FIFOs: the daemon's ends, and the client library of every tool |
//! | [`jobs`] | no | running resource scripts |
//! | [`mirror`] | no | the programs around DRBD: drbddisk, drbdctl |
//! | [`run`] | no | the drivers: master, core, heir |
//! | [`check`] | no | what `heartbeat -t` looks at outside the files themselves |
//! | [`lab`] | no | a cluster on one machine: namespaces, faults, the client that watches |
//! | [`sim`] | yes | virtual network and clock around [`daemon`], faults, invariants |
//!
//! What can grow, and how far; each bound is tested where it is:
//!
//! | what | at most | beyond it |
//! |---|---|---|
//! | what waits for a process of ours that does not read ([`sys::pair`]) | 1 MiB, 4096 messages, 128 descriptors | superseded messages have given way before; the reader counts as hung: the master ends it and starts another one; core and lookout end themselves when it is the master |
//! | log lines | a pipe, 64 KiB | lost, counted |
//! | state files to be written, where to log to | one of each | the newest takes the place |
//! | what waits for a medium ([`media`]) | 16 KiB | the oldest is dropped |
//! | messages kept for repetition ([`core`]) | 500, 4 MiB | the oldest is forgotten |
//! | numbers missing of a peer | 500 | given up |
//! | messages of clients that a peer has not acknowledged | 250, 512 KiB | clients wait |
//! | nodes, deleted nodes | 100 each | refused |
//! | clients, of them not root's, of one user ([`ipc`]) | 256, 192, 32 | refused |
//! | what waits for a client, for all clients | 512 KiB, 8 MiB | the client is dropped |
//! | joins and leaves that wait for what is missing before them | 500 | told out of order |
//! | messages for scripts of rc.d | 64 | dropped, said |
//! | output of a script kept for the log and the status ([`jobs`]) | 4 KiB; 50 lines a second | dropped, said |
//! | resources of lrmd; of each: orders that wait, operations that recur ([`agents`]) | 10,000; 64; 16 | refused |
//! | agents that run at once; of them recurring | 128; 32 | the others wait |
//! | meta-data of an agent | 128 KiB | refused |
//! | orders that wait for lrmd ([`run::lrmd`]) | 4 MiB | lrmd counts as gone |
//! | what a tool asks of crmd and waits for ([`run::crmd`]) | 64 | refused |
//! | what crmd is to write to a disk that hangs | one CIB, one input of the policy, 4 CIBs to keep aside | the newest takes the place |
//! | instances of a clone ([`policy`]) | 1000 | not made |
//! | ha.cf, haresources, authkeys together ([`check`]) | 96 KiB | refused |
//! | connections remembered of a node | 512 | not tickled |
//! | addresses known during a flood | 32 | addresses are not looked at |
//! | changes kept for `cl_status` | 64 | the oldest is forgotten |

pub mod address;
pub mod agents;
pub mod agree;
pub mod auth;
pub mod check;
pub mod checks;
pub mod cib;
pub mod clients;
pub mod conf;
pub mod core;
pub mod crm;
pub mod daemon;
pub mod dopd;
pub mod drbd;
pub mod groups;
pub mod ids;
pub mod ipc;
pub mod ipfail;
pub mod jobs;
pub mod lab;
pub mod media;
pub mod mirror;
pub mod msg;
pub mod ocf;
pub mod paths;
pub mod policy;
pub mod run;
pub mod shell;
pub mod sim;
pub mod sys;
pub mod text;
pub mod time;
pub mod transition;
pub mod wire;
