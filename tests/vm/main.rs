//! The real programs on two virtual machines with a real DRBD, a real watchdog and a serial cable.
//!
//! A machine boots in some seconds without root and without hardware help; `tests/vm/packages` gets its kernel, and
//! `tests/run` calls that. Where there is no QEMU, no kernel or no drbd-utils the tests say `SKIPPED: reason` and pass.

mod agent;
mod cpio;
mod crash;
mod devices;
mod guest;
mod image;
mod lab;
mod media;
mod split_brain;
