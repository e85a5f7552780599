//! The media in the core's loop: reading and writing without ever waiting.

use super::framer::Framer;
use super::queue::Queue;
use super::{MAX_DATAGRAM, Opened};
use crate::conf::{MediumKind, MediumSpec};
use crate::msg::message::MAX_MESSAGE;
use crate::sys::tty;
use crate::sys::udp::{self, Trouble, trouble};
use crate::wire::icmp;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One read of a serial line: 0.2 s at 19200 baud.
const SERIAL_READ: usize = 512;
/// Above every answer to our own questions, which are some 200 bytes long.
const ECHO_READ: usize = 2048;

/// An open medium in the core's loop.
#[derive(Debug)]
pub struct Port {
    fd: OwnedFd,
    way: Way,
    buf: Vec<u8>,
    dropped: u64,
    /// An error that came after packets had been read: told at the next call.
    broken: Option<io::Error>,
}

#[derive(Debug)]
enum Way {
    Datagrams {
        to: SocketAddr,
        /// Only for bcast. `to` was computed from this address of ours; when it is taken from the interface the kernel
        /// would go on sending to `to`, where nobody listens any more. With it as source the kernel refuses.
        from: Option<Ipv4Addr>,
    },
    /// Each message goes out in an echo request and comes back in the reply.
    Echo {
        to: SocketAddr,
        id: u16,
        seq: u16,
    },
    Line {
        framer: Box<Framer>,
        queue: Queue,
    },
}

impl Port {
    pub fn new(spec: &MediumSpec, opened: Opened) -> io::Result<Self> {
        let (way, room) = match (&spec.kind, opened.to) {
            (MediumKind::Serial { .. }, _) => {
                let (framer, queue) = (Box::default(), Queue::default());
                (Way::Line { framer, queue }, SERIAL_READ)
            }
            (MediumKind::Bcast { dev }, Some(to)) => (
                Way::Datagrams {
                    to,
                    from: Some(source(dev, to)?),
                },
                MAX_DATAGRAM,
            ),
            (MediumKind::Ping { .. }, Some(mut to)) => {
                let id = to.port();
                // For a raw socket of IPv6 it would be the protocol.
                to.set_port(0);
                (Way::Echo { to, id, seq: 0 }, ECHO_READ)
            }
            (_, Some(to)) => (Way::Datagrams { to, from: None }, MAX_DATAGRAM),
            (_, None) => return Err(io::Error::other(format!("{} has no destination", spec.medium()))),
        };
        Ok(Self {
            fd: opened.fd,
            way,
            buf: vec![0; room],
            dropped: 0,
            broken: None,
        })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Queued bytes wait for the descriptor (serial lines).
    pub fn wants_write(&self) -> bool {
        match &self.way {
            Way::Datagrams { .. } | Way::Echo { .. } => false,
            Way::Line { queue, .. } => !queue.is_empty(),
        }
    }

    /// Messages that could not be sent or were not received whole.
    pub fn dropped(&self) -> u64 {
        match &self.way {
            Way::Datagrams { .. } | Way::Echo { .. } => self.dropped,
            Way::Line { framer, queue } => self.dropped + queue.dropped() + framer.spoilt(),
        }
    }

    /// The packets that wait, at most `limit` (of a serial line: and those that the last read completed, so that none
    /// waits here unseen). An error means the medium is broken and must be opened again.
    pub fn receive(&mut self, limit: usize) -> io::Result<Vec<Vec<u8>>> {
        if let Some(e) = self.broken.take() {
            return Err(e);
        }
        let mut out = Vec::new();
        // A bound of its own: empty datagrams, junk and errors that pass bring no packets, but must not hold the loop.
        for _ in 0..limit {
            if out.len() >= limit {
                break;
            }
            match self.receive_once(&mut out) {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) if out.is_empty() => return Err(e),
                Err(e) => {
                    self.broken = Some(e);
                    break;
                }
            }
        }
        Ok(out)
    }

    /// False when nothing waits.
    fn receive_once(&mut self, out: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        match &mut self.way {
            Way::Datagrams { .. } | Way::Echo { .. } => match udp::receive(self.fd.as_fd(), &mut self.buf) {
                Ok(0) => {}
                Ok(n) => out.extend(self.way.message(&self.buf[..n]).map(<[u8]>::to_vec)),
                Err(e) => match trouble(&e) {
                    Trouble::Wait => return Ok(false),
                    Trouble::Lost => {}
                    Trouble::Broken => return Err(e),
                },
            },
            Way::Line { framer, .. } => match tty::read(self.fd.as_fd(), &mut self.buf)? {
                None => return Ok(false),
                Some(n) => out.extend(framer.push(&self.buf[..n])),
            },
        }
        Ok(true)
    }

    /// Sends, or queues, one message. A full socket buffer is not an error: the message is lost and counted, as on any
    /// network. An error means the medium is broken and must be opened again.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = match &mut self.way {
            Way::Datagrams { to, from } => udp::send_to(self.fd.as_fd(), bytes, *to, *from),
            Way::Echo { to, id, seq } => {
                let request = icmp::echo_request(to.is_ipv6(), *id, *seq, bytes);
                *seq = seq.wrapping_add(1);
                udp::send_to(self.fd.as_fd(), &request, *to, None)
            }
            Way::Line { queue, .. } => {
                if bytes.len() > MAX_MESSAGE {
                    self.dropped += 1;
                    return Ok(());
                }
                queue.push(bytes);
                return self.flush();
            }
        };
        match sent {
            Err(e) if trouble(&e) == Trouble::Broken => Err(e),
            Err(_) => {
                self.dropped += 1;
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Writes queued bytes when the descriptor is writable.
    pub fn flush(&mut self) -> io::Result<()> {
        let Way::Line { queue, .. } = &mut self.way else {
            return Ok(());
        };
        while !queue.is_empty() {
            match tty::write(self.fd.as_fd(), queue.front())? {
                0 => break,
                n => queue.written(n),
            }
        }
        Ok(())
    }
}

impl Way {
    /// What a datagram carries; none when it is not an answer to us.
    fn message<'a>(&self, datagram: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Echo { to, id, .. } => icmp::echo_reply(to.is_ipv6(), *id, datagram),
            Self::Datagrams { .. } | Self::Line { .. } => Some(datagram),
        }
    }
}

/// Our address on `dev` that broadcasts to `to`.
fn source(dev: &str, to: SocketAddr) -> io::Result<Ipv4Addr> {
    match udp::interface(dev)?.and_then(|found| found.ipv4) {
        Some((address, Some(broadcast))) if to.ip() == broadcast => Ok(address),
        _ => {
            let why = format!("broadcast address of interface {dev} is no longer {}", to.ip());
            Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why))
        }
    }
}
