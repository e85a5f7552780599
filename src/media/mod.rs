//! bcast, ucast, mcast (IPv4 and IPv6) and serial.
//!
//! The master opens a medium ([`open`]) with its rights; the core, which has none, gets the descriptor over the socket
//! pair and reads and writes through a [`Port`]. Nothing here blocks: a full queue drops the oldest message.

use crate::conf::MediumSpec;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

/// An opened medium as it travels from the master to the core.
#[derive(Debug)]
pub struct Opened {
    pub fd: OwnedFd,
    /// Where datagrams are sent; `None` for serial lines.
    pub to: Option<SocketAddr>,
}

/// Opens one medium. The error names what is missing ("interface eth9 does not exist").
pub fn open(_spec: &MediumSpec) -> io::Result<Opened> {
    unimplemented!()
}

/// An open medium in the core's loop.
#[derive(Debug)]
pub struct Port {}

impl Port {
    pub fn new(_spec: &MediumSpec, _opened: Opened) -> io::Result<Self> {
        unimplemented!()
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        unimplemented!()
    }

    /// Queued bytes wait for the descriptor (serial lines).
    pub fn wants_write(&self) -> bool {
        unimplemented!()
    }

    /// The packets that wait, at most `limit`; an error means the medium is broken and must be opened again.
    pub fn receive(&mut self, _limit: usize) -> io::Result<Vec<Vec<u8>>> {
        unimplemented!()
    }

    /// Sends, or queues, one message. A full socket buffer is not an error: the message is lost and counted, as on
    /// any network.
    pub fn send(&mut self, _bytes: &[u8]) -> io::Result<()> {
        unimplemented!()
    }

    /// Writes queued bytes when the descriptor is writable.
    pub fn flush(&mut self) -> io::Result<()> {
        unimplemented!()
    }
}
