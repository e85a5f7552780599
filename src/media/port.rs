//! The media in the core's loop: reading and writing without ever waiting.

use super::Opened;
use super::framer::Framer;
use super::queue::Queue;
use crate::conf::{MediumKind, MediumSpec};
use crate::core::Worth;
use crate::core::guard::{Guard, Order};
use crate::msg::message::MAX_MESSAGE;
use crate::sys::udp::{self, Room, Trouble, trouble};
use crate::sys::{self, icmp as raw, tty};
use crate::time::{Duration, Instant};
use crate::wire::{guard, icmp};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One read of a serial line: 0.2 s at 19200 baud.
const SERIAL_READ: usize = 512;

/// One message as it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    pub bytes: Vec<u8>,
    /// When it came to this machine: for datagrams by the kernel, for serial lines when it was read whole.
    pub at: Instant,
    /// The sender's address, of media that have such.
    pub from: Option<IpAddr>,
}

/// An open medium in the core's loop.
#[derive(Debug)]
pub struct Port {
    fd: OwnedFd,
    way: Way,
    dropped: u64,
    /// Nothing waited then, so that what is read later came later, whatever the wall clock did.
    clear: Instant,
    guard: Option<Guard>,
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
        let way = match (&spec.kind, opened.to) {
            (MediumKind::Serial { .. }, _) => {
                let (framer, queue) = (Box::default(), Queue::default());
                Way::Line { framer, queue }
            }
            (MediumKind::Bcast { dev }, Some(to)) => Way::Datagrams {
                to,
                from: Some(source(dev, to)?),
            },
            (MediumKind::Ping { .. }, Some(mut to)) => {
                let id = to.port();
                // For a raw socket of IPv6 it would be the protocol.
                to.set_port(0);
                Way::Echo { to, id, seq: 0 }
            }
            (_, Some(to)) => Way::Datagrams { to, from: None },
            (_, None) => return Err(io::Error::other(format!("{} has no destination", spec.medium()))),
        };
        if !matches!(way, Way::Line { .. }) {
            udp::stamp_receipt(opened.fd.as_fd())?;
        }
        Ok(Self {
            fd: opened.fd,
            way,
            dropped: 0,
            clear: sys::now(),
            guard: None,
            broken: None,
        })
    }

    /// From now on floods are noticed. A node that lives says something within `learning`.
    pub fn guarded(mut self, spec: &MediumSpec, learning: Duration) -> Self {
        if let Way::Datagrams { to, .. } = &self.way {
            // Our own packets come back from multicast and broadcast: they tell that the link is alive.
            let seed = match &spec.kind {
                MediumKind::Bcast { dev } | MediumKind::Mcast { dev, .. } => {
                    let found = udp::interface(dev).ok().flatten().and_then(|i| i.ipv4);
                    found.map(|(own, _)| own.into())
                }
                _ if to.ip().is_multicast() => udp::source_for(*to).ok(),
                _ => Some(to.ip()),
            };
            self.guard = Some(Guard::new(sys::now(), seed, learning));
        }
        self
    }

    /// What a packet from here was worth.
    pub fn judged(&mut self, now: Instant, from: Option<IpAddr>, worth: Worth) {
        if let (Some(guard), Some(from)) = (&mut self.guard, from) {
            guard.note(now, from, worth);
        }
    }

    /// Shuts a flood out, or lets everything in again; says so when it did.
    pub fn mind_floods(&mut self, now: Instant) -> Option<(Order, io::Result<()>)> {
        let order = self.guard.as_mut()?.order(now)?;
        let done = match &order {
            Order::Shut { sources, share } => {
                raw::attach_filter(self.fd.as_fd(), &guard::filter(sources.as_deref(), *share))
            }
            Order::Open => raw::detach_filter(self.fd.as_fd()),
        };
        Some((order, done))
    }

    /// When to call [`Self::mind_floods`] even if nothing comes.
    pub fn deadline(&self) -> Instant {
        self.guard.as_ref().map_or(Instant::NEVER, Guard::deadline)
    }

    pub fn is_flooded(&self) -> bool {
        self.guard.as_ref().is_some_and(Guard::is_shut)
    }

    /// Everything that came before this moment was read.
    pub fn is_read_up_to(&self, moment: Instant) -> bool {
        self.clear >= moment
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
    pub fn receive(&mut self, room: &mut Room, limit: usize) -> io::Result<Vec<Packet>> {
        if let Some(e) = self.broken.take() {
            return Err(e);
        }
        let mut out = Vec::new();
        // A bound of its own: empty datagrams, junk and errors that pass bring no packets, but must not hold the loop.
        for _ in 0..limit {
            if out.len() >= limit {
                break;
            }
            let began = sys::now();
            match self.receive_some(room, limit - out.len(), &mut out) {
                Ok(true) => {}
                Ok(false) => {
                    self.clear = began;
                    break;
                }
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
    fn receive_some(&mut self, room: &mut Room, limit: usize, out: &mut Vec<Packet>) -> io::Result<bool> {
        match &mut self.way {
            Way::Datagrams { .. } | Way::Echo { .. } => match udp::receive(self.fd.as_fd(), room, limit) {
                Ok(_) => {
                    let now = sys::now();
                    for (bytes, from, waited) in room.datagrams().filter(|(bytes, ..)| !bytes.is_empty()) {
                        let Some(message) = self.way.message(bytes) else {
                            continue;
                        };
                        let at = now.as_millis().saturating_sub(waited.as_millis() as u64);
                        out.push(Packet {
                            bytes: message.to_vec(),
                            at: Instant::from_millis(at).max(self.clear),
                            from,
                        });
                    }
                }
                Err(e) => match trouble(&e) {
                    Trouble::Wait => return Ok(false),
                    Trouble::Lost => {}
                    Trouble::Broken => return Err(e),
                },
            },
            Way::Line { framer, .. } => {
                let mut buffer = [0; SERIAL_READ];
                match tty::read(self.fd.as_fd(), &mut buffer)? {
                    None => return Ok(false),
                    Some(n) => {
                        let at = sys::now();
                        let packet = |bytes| Packet { bytes, at, from: None };
                        out.extend(framer.push(&buffer[..n]).into_iter().map(packet));
                    }
                }
            }
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
