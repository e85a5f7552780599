//! The kernel's list of TCP connections: reading it, and ending what stands in it.

use super::netlink::next_datagram;
use crate::wire::inet_diag::{self, Connection, State, families};
use crate::wire::netlink::{DONE, ERROR, messages};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The kernel answers before `send` returns; this is for the case that it never does.
const PATIENCE_SECONDS: i64 = 5;

/// A question and answer socket, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Connections {
    fd: OwnedFd,
    sequence: u32,
}

impl Connections {
    pub fn open() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkSockDiag,
        )?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE_SECONDS, 0))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// The connections whose local end is `ip`, at most `most` of them. Everybody may ask.
    pub fn of(&mut self, ip: IpAddr, state: State, most: usize) -> io::Result<Vec<Connection>> {
        let mut found = Vec::new();
        for family in families(ip) {
            let result = self.ask(
                |sequence| inet_diag::list(sequence, *family, ip, state),
                |connection| {
                    if found.len() < most {
                        found.push(connection);
                    }
                },
            );
            match result {
                // A kernel without IPv6.
                Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {}
                other => other?,
            }
        }
        Ok(found)
    }

    /// The other end gets a reset, the program here an error. For root; `Unsupported` where the kernel was built without
    /// CONFIG_INET_DIAG_DESTROY. One that has ended meanwhile is no error.
    pub fn end(&mut self, connection: &Connection) -> io::Result<()> {
        match self.ask(|sequence| inet_diag::destroy(sequence, connection), |_| ()) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            other => other,
        }
    }

    fn ask(&mut self, request: impl Fn(u32) -> Vec<u8>, mut each: impl FnMut(Connection)) -> io::Result<()> {
        let malformed = |e: crate::wire::netlink::Malformed| io::Error::new(io::ErrorKind::InvalidData, e.to_string());
        self.sequence = self.sequence.wrapping_add(1);
        send(self.fd.as_raw_fd(), &request(self.sequence), MsgFlags::empty())?;
        loop {
            let (bytes, from) = match next_datagram(self.fd.as_fd()) {
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                got => got?,
            };
            // Other processes can write to this socket too; the kernel is number 0.
            if from.is_none_or(|a| a.pid() != 0) {
                continue;
            }
            for message in messages(&bytes).map_err(malformed)? {
                if message.sequence != self.sequence {
                    continue;
                }
                match message.kind {
                    DONE => return Ok(()),
                    ERROR => match message.body.first_chunk().map(|n| i32::from_ne_bytes(*n)) {
                        Some(0) => return Ok(()),
                        Some(n) => return Err(io::Error::from_raw_os_error(n.saturating_neg())),
                        None => return Err(io::ErrorKind::InvalidData.into()),
                    },
                    _ => {
                        if let Some(connection) = inet_diag::read(&message).map_err(malformed)? {
                            each(connection);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn connections_are_listed_by_their_local_end_and_ended() {
        for (bound, ip) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::]:0", "127.0.0.1"),
            ("[::1]:0", "::1"),
        ] {
            let Ok(listener) = TcpListener::bind(bound) else {
                println!("SKIPPED: {bound}: this machine has no IPv6");
                continue;
            };
            let port = listener.local_addr().expect("it is bound").port();
            let ip: IpAddr = ip.parse().expect("test data");
            let mut client = TcpStream::connect((ip, port)).expect("connected");
            let (_server, _) = listener.accept().expect("accepted");
            let mut connections = Connections::open().expect("everybody may ask");
            let found = connections.of(ip, State::Established, 10_000).expect("listed");
            let client_end = client.local_addr().expect("connected");
            let ours = found
                .iter()
                .find(|c| c.local.port() == port && c.remote == client_end)
                .unwrap_or_else(|| panic!("{bound}: {found:?}"));
            assert_eq!(ours.local.ip(), ip, "{bound}");
            match connections.end(ours) {
                Ok(()) => {
                    let error = client.read(&mut [0]).expect_err("it was reset");
                    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{bound}");
                    connections.end(ours).expect("what has ended is no error");
                }
                Err(e) => println!("SKIPPED: ending a connection: {e}"),
            }
        }
    }
}
