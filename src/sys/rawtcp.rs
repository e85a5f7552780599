//! TCP segments that belong to no socket.

use super::icmp::attach_filter;
use crate::wire::icmp::Instruction;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage, bind, sendto};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Sends segments from one address of this machine. Needs CAP_NET_RAW.
#[derive(Debug)]
pub struct RawTcp {
    fd: OwnedFd,
}

impl RawTcp {
    /// Fails when this machine does not have `from`.
    pub fn open(from: IpAddr) -> io::Result<Self> {
        let family = if from.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: `socket` takes no pointers.
        let number = Errno::result(unsafe { libc::socket(family, kind, libc::IPPROTO_TCP) })?;
        // SAFETY: the kernel just gave us this descriptor; nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        // It would get a copy of every segment that comes for this machine; none is let in.
        let refuse = Instruction {
            code: 0x06,
            yes: 0,
            no: 0,
            value: 0,
        };
        attach_filter(fd.as_fd(), &[refuse])?;
        bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from, 0)))?;
        Ok(Self { fd })
    }

    pub fn send(&self, to: IpAddr, segment: &[u8]) -> io::Result<()> {
        // The port is in the segment; IPv6 refuses another one here.
        let to = SockaddrStorage::from(SocketAddr::new(to, 0));
        sendto(self.fd.as_raw_fd(), segment, &to, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}
