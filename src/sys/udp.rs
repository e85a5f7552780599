//! UDP sockets, their options, and what the kernel knows of interfaces.

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, getsockname, sendmsg,
    setsockopt, socket, sockopt,
};
use nix::time::{ClockId, clock_gettime};
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// An interface as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    pub index: u32,
    pub up: bool,
    /// First IPv4 address under this name and where its broadcasts go (`None`: the interface cannot broadcast).
    pub ipv4: Option<(Ipv4Addr, Option<Ipv4Addr>)>,
}

/// Looks at interface `name`; `None` when there is none of that name.
pub fn interface(name: &str) -> io::Result<Option<Interface>> {
    let index = match if_nametoindex(name) {
        Ok(index) => index,
        Err(Errno::ENODEV | Errno::ENXIO) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut found = Interface {
        index,
        up: false,
        ipv4: None,
    };
    let v4 = |a: Option<SockaddrStorage>| a.and_then(|a| a.as_sockaddr_in().map(|a| a.ip()));
    for entry in getifaddrs()?.filter(|e| e.interface_name == name) {
        found.up |= entry.flags.contains(InterfaceFlags::IFF_UP);
        let (None, Some(address)) = (found.ipv4, v4(entry.address)) else {
            continue;
        };
        let can = entry.flags.contains(InterfaceFlags::IFF_BROADCAST);
        let broadcast = can.then(|| broadcast_of(address, v4(entry.netmask), v4(entry.broadcast)));
        found.ipv4 = Some((address, broadcast.flatten()));
    }
    Ok(Some(found))
}

/// `ip addr add 10.0.0.1/24 dev eth0` without `brd +` sets no broadcast address, and libc then gives the address itself.
/// The kernel has a route for the highest address of the network all the same, except for /31 and /32.
fn broadcast_of(address: Ipv4Addr, mask: Option<Ipv4Addr>, given: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    if let Some(given) = given.filter(|b| *b != address && !b.is_unspecified()) {
        return Some(given);
    }
    let host_bits = !u32::from(mask?);
    (host_bits > 1).then(|| Ipv4Addr::from(u32::from(address) | host_bits))
}

/// A UDP socket, non-blocking and close-on-exec.
pub fn udp_socket(v6: bool) -> io::Result<OwnedFd> {
    let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(family, SockType::Datagram, flags, None)?)
}

/// Only packets of this interface come in, and all go out of it. The kernel remembers its index, not its name: when
/// the interface is deleted and made again, the socket stays with the dead one.
pub fn bind_to_device(fd: BorrowedFd<'_>, dev: &str) -> io::Result<()> {
    Ok(setsockopt(&fd, sockopt::BindToDevice, &OsString::from(dev))?)
}

pub fn bind_address(fd: BorrowedFd<'_>, address: SocketAddr) -> io::Result<()> {
    Ok(bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?)
}

/// A switch or number of a socket. Names as in socket(7), ip(7) and ipv6(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketOption {
    ReuseAddr,
    ReusePort,
    Broadcast,
    DontRoute,
    Tos,
    TrafficClass,
    V6Only,
    MulticastTtl,
    MulticastLoop,
    MulticastAll,
    MulticastHops6,
    MulticastLoop6,
    MulticastIf6,
}

pub fn set(fd: BorrowedFd<'_>, option: SocketOption, value: u32) -> io::Result<()> {
    let (level, name) = match option {
        SocketOption::ReuseAddr => (libc::SOL_SOCKET, libc::SO_REUSEADDR),
        SocketOption::ReusePort => (libc::SOL_SOCKET, libc::SO_REUSEPORT),
        SocketOption::Broadcast => (libc::SOL_SOCKET, libc::SO_BROADCAST),
        SocketOption::DontRoute => (libc::SOL_SOCKET, libc::SO_DONTROUTE),
        SocketOption::Tos => (libc::IPPROTO_IP, libc::IP_TOS),
        SocketOption::TrafficClass => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
        SocketOption::V6Only => (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
        SocketOption::MulticastTtl => (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL),
        SocketOption::MulticastLoop => (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP),
        SocketOption::MulticastAll => (libc::IPPROTO_IP, libc::IP_MULTICAST_ALL),
        SocketOption::MulticastHops6 => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS),
        SocketOption::MulticastLoop6 => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP),
        SocketOption::MulticastIf6 => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF),
    };
    set_raw(fd, level, name, &value)
}

fn set_raw<T: Copy>(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).expect("options are a few bytes long");
    // SAFETY: `value` is a live plain value of `len` bytes, the kernel only reads it, and `fd` is open while borrowed.
    let done = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const *value).cast(), len) };
    Ok(Errno::result(done).map(drop)?)
}

/// Sends multicast out of interface `index`, whatever its addresses become, and joins `group` there.
pub fn join4(fd: BorrowedFd<'_>, group: Ipv4Addr, index: u32) -> io::Result<()> {
    let request = |group: Ipv4Addr| libc::ip_mreqn {
        imr_multiaddr: in_addr(group),
        imr_address: in_addr(Ipv4Addr::UNSPECIFIED),
        imr_ifindex: libc::c_int::try_from(index).expect("the kernel counts interfaces in an int"),
    };
    let none = Ipv4Addr::UNSPECIFIED;
    set_raw(fd, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request(none))?;
    set_raw(fd, libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &request(group))
}

/// Joins `group` on interface `index`; where packets go out is [`SocketOption::MulticastIf6`].
pub fn join6(fd: BorrowedFd<'_>, group: Ipv6Addr, index: u32) -> io::Result<()> {
    let request = libc::ipv6_mreq {
        ipv6mr_multiaddr: libc::in6_addr {
            s6_addr: group.octets(),
        },
        ipv6mr_interface: index,
    };
    set_raw(fd, libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, &request)
}

fn in_addr(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr {
        s_addr: u32::from_ne_bytes(address.octets()),
    }
}

/// Room for `bytes` of packets that were not read yet, beyond the system's limit when we are allowed to.
pub fn receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    match setsockopt(&fd, sockopt::RcvBufForce, &bytes) {
        Ok(()) => Ok(()),
        Err(_) => Ok(setsockopt(&fd, sockopt::RcvBuf, &bytes)?),
    }
}

/// Asks the kernel whether a packet to `to` could leave now (by `dev`); sends nothing.
pub fn probe(dev: Option<&str>, to: SocketAddr) -> io::Result<()> {
    let fd = udp_socket(to.is_ipv6())?;
    if let Some(dev) = dev {
        bind_to_device(fd.as_fd(), dev)?;
    }
    set(fd.as_fd(), SocketOption::Broadcast, 1)?;
    Ok(connect(fd.as_raw_fd(), &SockaddrStorage::from(to))?)
}

/// The address that packets to `to` have as their source now.
pub fn source_for(to: SocketAddr) -> io::Result<IpAddr> {
    let fd = udp_socket(to.is_ipv6())?;
    connect(fd.as_raw_fd(), &SockaddrStorage::from(to))?;
    let own: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    let (v4, v6) = (own.as_sockaddr_in(), own.as_sockaddr_in6());
    let own = v4.map(|a| a.ip().into()).or_else(|| v6.map(|a| a.ip().into()));
    own.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Sends one datagram, with source address `from` if given; the kernel refuses (EINVAL) a source that is not ours.
pub fn send_to(fd: BorrowedFd<'_>, bytes: &[u8], to: SocketAddr, from: Option<Ipv4Addr>) -> io::Result<()> {
    let info = from.map(|from| libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: in_addr(from),
        ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
    });
    let control: Vec<ControlMessage<'_>> = info.iter().map(ControlMessage::Ipv4PacketInfo).collect();
    let (iov, to) = ([IoSlice::new(bytes)], SockaddrStorage::from(to));
    sendmsg(fd.as_raw_fd(), &iov, &control, MsgFlags::MSG_DONTWAIT, Some(&to))?;
    Ok(())
}

/// Datagrams that one system call reads at most.
const PLACES: usize = 16;
/// Above the largest UDP payload, 65507 bytes.
const PLACE: usize = 64 * 1024;
/// For the one control message that is asked for, the time of receipt.
const CONTROL: usize = 64;

/// Room for what [`receive`] reads: one for all sockets of a thread.
#[derive(Debug)]
pub struct Room {
    bytes: Vec<u8>,
    got: Vec<Datagram>,
}

/// What is known of a datagram in the room.
#[derive(Clone, Copy, Debug)]
struct Datagram {
    length: usize,
    from: Option<IpAddr>,
    /// When it came, by the wall clock.
    stamp: Option<Duration>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            bytes: vec![0; PLACES * PLACE],
            got: Vec::with_capacity(PLACES),
        }
    }
}

impl Room {
    /// What was read last: bytes, sender, and how long it has waited to be read.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], Option<IpAddr>, Duration)> {
        let wall = clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, Duration::from);
        self.got.iter().enumerate().map(move |(i, d)| {
            let bytes = &self.bytes[i * PLACE..][..d.length];
            let waited = d.stamp.map_or(Duration::ZERO, |stamp| wall.saturating_sub(stamp));
            (bytes, d.from, waited)
        })
    }
}

/// The kernel notes when each datagram of the socket comes.
pub fn stamp_receipt(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?)
}

/// Reads up to `limit` datagrams into the room; how many. None waiting is the error `WouldBlock`.
pub fn receive(fd: BorrowedFd<'_>, room: &mut Room, limit: usize) -> io::Result<usize> {
    room.got.clear();
    let count = limit.min(PLACES);
    // SAFETY: plain numbers and null pointers, for which zero is a value.
    let (mut names, mut headers): ([libc::sockaddr_storage; PLACES], [libc::mmsghdr; PLACES]) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    let mut control = [[0_u64; CONTROL / 8]; PLACES];
    let mut parts: Vec<libc::iovec> = Vec::with_capacity(PLACES);
    for place in room.bytes.chunks_exact_mut(PLACE) {
        parts.push(libc::iovec {
            iov_base: place.as_mut_ptr().cast(),
            iov_len: PLACE,
        });
    }
    for (i, header) in headers.iter_mut().enumerate() {
        header.msg_hdr.msg_name = (&raw mut names[i]).cast();
        header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_hdr.msg_iov = &raw mut parts[i];
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = control[i].as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = CONTROL as _;
    }
    // SAFETY: `count` headers point to names, parts and control buffers that live until the return, each with its own
    // length, and the parts to disjoint pieces of the room.
    let got = Errno::result(unsafe {
        libc::recvmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT as _,
            std::ptr::null_mut(),
        )
    })?;
    let got = usize::try_from(got).unwrap_or(0).min(count);
    for (header, name) in headers.iter().zip(&names).take(got) {
        room.got.push(Datagram {
            length: (header.msg_len as usize).min(PLACE),
            from: address_of(name),
            stamp: stamp_of(&header.msg_hdr),
        });
    }
    Ok(got)
}

fn address_of(name: &libc::sockaddr_storage) -> Option<IpAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what the kernel wrote there, and the storage is large enough for every family.
            let v4 = unsafe { *(&raw const *name).cast::<libc::sockaddr_in>() };
            Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { *(&raw const *name).cast::<libc::sockaddr_in6>() };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// The time of receipt among the control messages of a header that the kernel has filled in.
fn stamp_of(header: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the kernel has written `msg_controllen` bytes of control messages, which live as long as the header; a
    // message of this level and type holds one timespec, for which there is room if its length says so.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(m) = message.as_ref() {
            // The length has another type in musl than in glibc.
            let whole = m.cmsg_len as u64 >= u64::from(libc::CMSG_LEN(size_of::<libc::timespec>() as libc::c_uint));
            if m.cmsg_level == libc::SOL_SOCKET && m.cmsg_type == libc::SCM_TIMESTAMPNS && whole {
                let stamp = libc::CMSG_DATA(m).cast::<libc::timespec>().read_unaligned();
                return Some(Duration::new(
                    stamp.tv_sec.try_into().ok()?,
                    stamp.tv_nsec.try_into().ok()?,
                ));
            }
            message = libc::CMSG_NXTHDR(header, m);
        }
    }
    None
}

/// What an error of `send_to` or `receive` says about the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Nothing there, or no room, now.
    Wait,
    /// This packet is lost, the next may pass: a full queue, a firewall, a message too long, a peer that is not there.
    Lost,
    /// The socket will not work again until it is opened again.
    Broken,
}

/// Sorts the errors. What is not known to pass is `Broken`: opening again is harmless, a socket that is silently dead
/// is not.
pub fn trouble(error: &io::Error) -> Trouble {
    match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
        Errno::EAGAIN | Errno::EINTR => Trouble::Wait,
        // EPERM is a firewall's DROP in OUTPUT, EACCES a `prohibit` route; the ICMP errors tell of the peer.
        Errno::ENOBUFS
        | Errno::ENOMEM
        | Errno::EMSGSIZE
        | Errno::EPERM
        | Errno::EACCES
        | Errno::ECONNREFUSED
        | Errno::EHOSTUNREACH
        | Errno::EHOSTDOWN
        | Errno::EPROTO
        | Errno::ENOPROTOOPT => Trouble::Lost,
        // ENODEV, ENXIO: the interface is gone. ENETDOWN, ENETUNREACH: it is down. EADDRNOTAVAIL, EINVAL: its address
        // is gone. EIO: a tty hung up.
        _ => Trouble::Broken,
    }
}

/// Puts this thread into a network namespace of its own. For tests: sockets of media need real interfaces.
pub fn unshare_net() -> io::Result<()> {
    Ok(unshare(CloneFlags::CLONE_NEWNET)?)
}

/// The address a name stands for, of the family asked for. May ask name servers, so it may take seconds.
pub fn look_up(name: &str, v6: bool) -> io::Result<Option<IpAddr>> {
    use std::net::ToSocketAddrs;
    let found = (name, 0).to_socket_addrs()?.map(|a| a.ip());
    Ok(found.into_iter().find(|a| a.is_ipv6() == v6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_address_is_the_given_one_or_computed() {
        let ip = |s: &str| s.parse::<Ipv4Addr>().unwrap();
        let table = [
            // address     mask                     given               broadcasts go to
            (
                "10.0.0.1",
                Some("255.255.255.0"),
                Some("10.0.0.255"),
                Some("10.0.0.255"),
            ),
            (
                "10.0.0.1",
                Some("255.255.255.0"),
                Some("10.0.0.127"),
                Some("10.0.0.127"),
            ),
            ("10.0.0.1", Some("255.255.255.0"), Some("10.0.0.1"), Some("10.0.0.255")),
            ("10.0.0.1", Some("255.255.255.0"), Some("0.0.0.0"), Some("10.0.0.255")),
            ("10.0.0.1", Some("255.255.255.252"), None, Some("10.0.0.3")),
            ("10.0.0.1", Some("255.255.255.254"), None, None),
            ("10.0.0.1", Some("255.255.255.255"), Some("10.0.0.1"), None),
            ("10.0.0.1", None, None, None),
        ];
        for (address, mask, given, want) in table {
            let got = broadcast_of(ip(address), mask.map(ip), given.map(ip));
            assert_eq!(got, want.map(ip), "{address} {mask:?} {given:?}");
        }
    }

    #[test]
    fn errors_are_sorted() {
        use Trouble::*;
        #[rustfmt::skip]
        let table = [
            (Errno::EAGAIN, Wait), (Errno::EINTR, Wait),
            (Errno::ENOBUFS, Lost), (Errno::ENOMEM, Lost), (Errno::EMSGSIZE, Lost), (Errno::EPERM, Lost),
            (Errno::EACCES, Lost), (Errno::ECONNREFUSED, Lost), (Errno::EHOSTUNREACH, Lost), (Errno::EHOSTDOWN, Lost),
            (Errno::EPROTO, Lost), (Errno::ENOPROTOOPT, Lost),
            (Errno::ENODEV, Broken), (Errno::ENXIO, Broken), (Errno::ENETDOWN, Broken), (Errno::ENETUNREACH, Broken),
            (Errno::EADDRNOTAVAIL, Broken), (Errno::EINVAL, Broken), (Errno::EIO, Broken), (Errno::EBADF, Broken),
            (Errno::ENOTCONN, Broken), (Errno::EPIPE, Broken),
        ];
        for (errno, want) in table {
            assert_eq!(trouble(&errno.into()), want, "{errno}");
        }
        assert_eq!(trouble(&io::Error::other("without a number")), Broken);
    }
}
