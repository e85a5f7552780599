//! Whole Ethernet frames: the sockets of the lab's switch and of the client that watches an address.

use super::namespace::owned;
use super::packet::PACKET_IGNORE_OUTGOING;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// From linux/if_packet.h; the libc crate does not have them for every target.
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_QDISC_BYPASS: libc::c_int = 20;

/// Frames are preceded by a `virtio_net_hdr` of this length on a [`Tap`].
pub const TAP_HEADER: usize = 10;

/// The far end of a virtual cable: everything that is sent into the cable can be read, what is written comes out at
/// the other end.
///
/// Each frame carries the kernel's own header about unfinished checksums and large segments. Handed on unchanged, it
/// makes the receiving kernel treat the frame as if both were on one cable; without it, UDP from a virtual cable has
/// a wrong checksum.
#[derive(Debug)]
pub struct Tap(OwnedFd);

impl Tap {
    /// `interface` in the caller's network namespace.
    pub fn open(interface: &str) -> io::Result<Self> {
        let fd = socket(libc::ETH_P_ALL)?;
        option(fd.as_fd(), libc::SOL_PACKET, PACKET_VNET_HDR, 1)?;
        option(fd.as_fd(), libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)?;
        // A burst of the nodes must not be lost here; without the right to force it the default has to do.
        let _ = option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 4 << 20);
        bind(fd.as_fd(), interface, libc::ETH_P_ALL)?;
        Ok(Self(fd))
    }

    /// For sending only: the kernel queues nothing for it to read, and frames do not wait in a queue on their way out.
    pub fn sender(interface: &str) -> io::Result<Self> {
        let fd = socket(0)?;
        option(fd.as_fd(), libc::SOL_PACKET, PACKET_VNET_HDR, 1)?;
        option(fd.as_fd(), libc::SOL_PACKET, PACKET_QDISC_BYPASS, 1)?;
        bind(fd.as_fd(), interface, 0)?;
        Ok(Self(fd))
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// The next frame with its header, `None` when there is none.
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        read(self.fd(), buffer)
    }

    /// A frame with its header. A full queue loses it, as a cable would.
    pub fn write(&self, frame: &[u8]) {
        write(self.fd(), frame);
    }

    /// Many frames with their headers in one system call. A full queue loses the rest.
    pub fn write_many(&self, frames: &[&[u8]]) -> io::Result<()> {
        let parts: Vec<[io::IoSlice<'_>; 1]> = frames.iter().map(|f| [io::IoSlice::new(f)]).collect();
        let none: Vec<Option<SockaddrStorage>> = vec![None; frames.len()];
        let mut headers = MultiHeaders::preallocate(frames.len(), None);
        match sendmmsg(
            self.0.as_raw_fd(),
            &mut headers,
            &parts,
            &none,
            [],
            MsgFlags::MSG_DONTWAIT,
        ) {
            Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

/// ARP of one interface.
#[derive(Debug)]
pub struct ArpSocket {
    fd: OwnedFd,
    /// Hardware address of the interface.
    pub mac: [u8; 6],
}

impl ArpSocket {
    pub fn open(interface: &str) -> io::Result<Self> {
        let fd = socket(libc::ETH_P_ARP)?;
        let _ = option(fd.as_fd(), libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
        let _ = option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 4 << 20);
        let mac = bind(fd.as_fd(), interface, libc::ETH_P_ARP)?;
        Ok(Self { fd, mac })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The next whole frame, `None` when there is none.
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        read(self.fd(), buffer)
    }

    pub fn write(&self, frame: &[u8]) {
        write(self.fd(), frame);
    }
}

fn socket(protocol: libc::c_int) -> io::Result<OwnedFd> {
    let network_order = i32::from((protocol as u16).to_be());
    // SAFETY: no memory is handed over; the number returned is checked and owned by nobody else.
    owned(unsafe {
        libc::socket(
            libc::AF_PACKET,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
            network_order,
        )
    })
}

fn option(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: `value` lives through the call and its length is given.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// Binds to an interface and says its hardware address.
fn bind(fd: BorrowedFd<'_>, interface: &str, protocol: libc::c_int) -> io::Result<[u8; 6]> {
    let index = nix::net::if_::if_nametoindex(interface)?;
    // SAFETY: sockaddr_ll is plain numbers; all zero is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (protocol as u16).to_be();
    address.sll_ifindex = index as i32;
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: `address` is a whole sockaddr_ll and `length` its length.
    Errno::result(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) })?;
    // SAFETY: the kernel writes at most `length` bytes into `address`.
    Errno::result(unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut address).cast(), &raw mut length) })?;
    let mut mac = [0; 6];
    mac.copy_from_slice(&address.sll_addr[..6]);
    Ok(mac)
}

fn read<'b>(fd: BorrowedFd<'_>, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
    match nix::unistd::read(fd, buffer) {
        Ok(n) => Ok(Some(&buffer[..n])),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn write(fd: BorrowedFd<'_>, frame: &[u8]) {
    // An interface that is down or full loses frames: that is what the lab is for.
    let _ = nix::unistd::write(fd, frame);
}
