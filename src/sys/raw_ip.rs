//! Whole IP packets, sent as they are.

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, socket};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

#[derive(Debug)]
pub struct RawIp(OwnedFd);

impl RawIp {
    /// With IPPROTO_RAW the header is part of what is sent, and nothing is ever received.
    pub fn open(v6: bool) -> io::Result<Self> {
        let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        Ok(Self(socket(family, SockType::Raw, flags, SockProtocol::Raw)?))
    }

    pub fn send(&self, packet: &[u8], to: IpAddr) -> io::Result<()> {
        // A port would be taken for a protocol.
        let to = SockaddrStorage::from(SocketAddr::new(to, 0));
        sendto(self.0.as_raw_fd(), packet, &to, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}
