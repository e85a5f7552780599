//! A TCP connection that is being made while something else is done.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

/// Begins to connect; the socket is non-blocking and becomes writable when it is decided.
pub fn begin(to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv6() {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Stream, flags, None)?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(TcpStream::from(fd)),
        Err(e) => Err(e.into()),
    }
}

/// What came of it; `None` while it is not decided.
pub fn made(stream: &TcpStream) -> Option<io::Result<()>> {
    match (stream.take_error(), stream.peer_addr(), stream.local_addr()) {
        (Ok(Some(e)) | Err(e), _, _) => Some(Err(e)),
        // A port of this machine that nobody listens on can be given to the very socket that asks for it.
        (Ok(None), Ok(peer), Ok(own)) if peer == own => Some(Err(io::ErrorKind::ConnectionRefused.into())),
        (Ok(None), Ok(_), _) => Some(Ok(())),
        (Ok(None), Err(e), _) if e.kind() == io::ErrorKind::NotConnected => None,
        (Ok(None), Err(e), _) => Some(Err(e)),
    }
}
