//! The kernel: every `unsafe`, `libc::` and `nix::` of the project is in this room.
//!
//! * processes: [`process`], [`child`] (one script), [`program`] (a client), [`signals`], [`interrupt`], [`trace`], [`sections`];
//! * between them: [`pair`], [`fifo`], [`local`], [`mark`], [`poll`];
//! * the network: [`udp`], [`icmp`], [`raw_ip`], [`packet`], [`ethernet`], [`tcp`], [`netlink`], [`inet_diag`], [`namespace`];
//! * the machine: [`mod@clock`], [`files`], [`tty`], [`terminal`], [`watchdog`], [`reboot`].
//!
//! Wrappers take and give `OwnedFd`/`BorrowedFd`, never a bare number; all descriptors are close-on-exec. Nothing here
//! decides anything.

#![allow(unsafe_code)]

pub mod child;
pub mod clock;
pub mod ethernet;
pub mod fifo;
pub mod files;
pub mod icmp;
pub mod inet_diag;
pub mod interrupt;
pub mod local;
pub mod mark;
pub mod namespace;
pub mod netlink;
pub mod packet;
pub mod pair;
pub mod poll;
pub mod process;
pub mod program;
pub mod raw_ip;
pub mod reboot;
pub mod sections;
pub mod signals;
pub mod tcp;
pub mod terminal;
pub mod trace;
pub mod tty;
pub mod udp;
pub mod watchdog;

pub use clock::{clock, now, wall};
