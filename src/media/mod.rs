//! bcast, ucast, mcast (IPv4 and IPv6), serial, and the echoes of ping nodes.
//!
//! * `net`, `serial`, `echo`: opening them; `lock`: whose a serial line is; `port_user`: whose a UDP port is;
//! * [`Port`]: reading and writing; `framer`, `queue`: the bytes of a serial line, in and out.
//!
//! The master opens a medium ([`open`]) with its rights; the core, which has none, gets the descriptor over the socket
//! pair and reads and writes through a [`Port`]. Nothing in a port blocks: a full queue drops the oldest message.
//!
//! A port tells apart what passes (a full buffer, a firewall, a peer that is not there: counted, no error) and what
//! does not (the interface was deleted or set down, its address changed, the line hung up: an error). After an error the
//! core asks the master to open the medium again; that fails, with the reason, until it would really work.
//!
//! Each packet is read with the time at which it came, which on a busy machine may be long ago. Of a medium that is
//! flooded the kernel drops what cannot be a packet of this cluster, see [`crate::core::guard`].

mod echo;
mod framer;
mod lock;
mod net;
mod port;
mod port_user;
mod queue;
mod serial;

pub use crate::sys::udp::Room;
pub use framer::Framer;
pub use port::{Packet, Port};

use crate::conf::{MediumKind, MediumSpec};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// An opened medium as it travels from the master to the core.
#[derive(Debug)]
pub struct Opened {
    pub fd: OwnedFd,
    /// Where datagrams are sent; `None` for serial lines. Of a ping the port is the identifier of the echoes.
    pub to: Option<SocketAddr>,
}

/// Opens one medium. The error names what is missing ("interface eth9 does not exist"). Looks up the name of a ucast
/// or ping line, which may take seconds; everything else is quick.
pub fn open(spec: &MediumSpec) -> io::Result<Opened> {
    match &spec.kind {
        MediumKind::Bcast { dev } => net::bcast(dev, spec.port),
        MediumKind::Ucast { dev, to } => net::ucast(dev, to, spec.port),
        MediumKind::Mcast {
            dev,
            group,
            port,
            ttl,
            loopback,
        } => net::mcast(dev, *group, *port, *ttl, *loopback),
        MediumKind::Ucast6 { dev, to } => net::ucast6(dev, to, spec.port),
        MediumKind::Mcast6 {
            dev,
            group,
            port,
            hops,
            loopback,
        } => net::mcast6(dev, *group, *port, *hops, *loopback),
        MediumKind::Serial { device, baud } => serial::open(device, *baud),
        MediumKind::Ping { host, v6, .. } => echo::open(host, *v6),
    }
}

/// For the master, when a medium is no longer used: gives back the lock file of a serial line. One that is never given
/// back is taken over once its process is dead.
pub fn release(spec: &MediumSpec) {
    if let MediumKind::Serial { device, .. } = &spec.kind {
        lock::release(device);
    }
}
