//! Opening the media that carry datagrams: bcast, ucast, mcast over IPv4 and IPv6.
//!
//! One socket a medium, for both directions; the classic has two, which its peers cannot tell. Every socket is bound to
//! its interface: the link name of a packet is the interface it came in by.

use super::{Opened, port_user};
use crate::sys::udp::{self, Interface, SocketOption as Opt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Some thousand small packets, a tenth of a second of a flood, should the core be kept from running. The kernel takes the
/// memory only for what waits.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// "Low delay", as the captures of heartbeat 3.0.6 show for ucast.
const LOW_DELAY: u32 = 0x10;

fn refuse<T>(kind: io::ErrorKind, why: String) -> io::Result<T> {
    Err(io::Error::new(kind, why))
}

/// The interface, if it is there and up. A socket would open without that, and then break at the first packet.
fn interface(dev: &str) -> io::Result<Interface> {
    match udp::interface(dev)? {
        None => refuse(io::ErrorKind::NotFound, format!("interface {dev} does not exist")),
        Some(found) if !found.up => refuse(io::ErrorKind::NetworkDown, format!("interface {dev} is down")),
        Some(found) => Ok(found),
    }
}

pub fn bcast(dev: &str, port: u16) -> io::Result<Opened> {
    let Some((_, Some(broadcast))) = interface(dev)?.ipv4 else {
        let why = format!("interface {dev} has no broadcast address; use ucast or mcast");
        return refuse(io::ErrorKind::AddrNotAvailable, why);
    };
    let fd = socket(dev, false)?;
    udp::set(fd.as_fd(), Opt::Broadcast, 1)?;
    udp::set(fd.as_fd(), Opt::DontRoute, 1)?;
    finish(fd, dev, (Ipv4Addr::UNSPECIFIED, port).into(), (broadcast, port).into())
}

pub fn ucast(dev: &str, to: &str, port: u16) -> io::Result<Opened> {
    interface(dev)?;
    let to = match to.parse::<Ipv4Addr>() {
        Ok(address) => IpAddr::V4(address),
        Err(_) => look_up(to, false)?,
    };
    let fd = socket(dev, false)?;
    udp::set(fd.as_fd(), Opt::ReusePort, 1)?;
    udp::set(fd.as_fd(), Opt::Tos, LOW_DELAY)?;
    finish(fd, dev, (Ipv4Addr::UNSPECIFIED, port).into(), (to, port).into())
}

pub fn mcast(dev: &str, group: Ipv4Addr, port: u16, ttl: u8, loopback: bool) -> io::Result<Opened> {
    let found = interface(dev)?;
    if found.ipv4.is_none() {
        return refuse(
            io::ErrorKind::AddrNotAvailable,
            format!("interface {dev} has no IPv4 address"),
        );
    }
    let fd = socket(dev, false)?;
    udp::set(fd.as_fd(), Opt::MulticastTtl, ttl.into())?;
    udp::set(fd.as_fd(), Opt::MulticastLoop, loopback.into())?;
    // Only what was joined on this socket, not what any program of this machine has joined.
    udp::set(fd.as_fd(), Opt::MulticastAll, 0)?;
    udp::join4(fd.as_fd(), group, found.index).map_err(|e| cannot_join(group.into(), dev, &e))?;
    finish(fd, dev, (group, port).into(), (group, port).into())
}

pub fn ucast6(dev: &str, to: &str, port: u16) -> io::Result<Opened> {
    let found = interface(dev)?;
    let (name, zone) = to.split_once('%').unwrap_or((to, dev));
    if zone != dev {
        let why = format!("address {to} belongs to interface {zone}, not to {dev}");
        return refuse(io::ErrorKind::InvalidInput, why);
    }
    let to = match name.parse::<Ipv6Addr>() {
        Ok(address) => address,
        Err(_) => match look_up(name, true)? {
            IpAddr::V6(address) => address,
            IpAddr::V4(address) => address.to_ipv6_mapped(),
        },
    };
    let fd = socket(dev, true)?;
    udp::set(fd.as_fd(), Opt::ReusePort, 1)?;
    udp::set(fd.as_fd(), Opt::TrafficClass, LOW_DELAY)?;
    let to = scoped(to, port, found.index);
    finish(fd, dev, (Ipv6Addr::UNSPECIFIED, port).into(), to)
}

pub fn mcast6(dev: &str, group: Ipv6Addr, port: u16, hops: u8, loopback: bool) -> io::Result<Opened> {
    let found = interface(dev)?;
    let fd = socket(dev, true)?;
    udp::set(fd.as_fd(), Opt::MulticastIf6, found.index)?;
    udp::set(fd.as_fd(), Opt::MulticastHops6, hops.into())?;
    udp::set(fd.as_fd(), Opt::MulticastLoop6, loopback.into())?;
    udp::join6(fd.as_fd(), group, found.index).map_err(|e| cannot_join(group.into(), dev, &e))?;
    let to = scoped(group, port, found.index);
    finish(fd, dev, to, to)
}

/// Link-local addresses mean something on one interface only. The index is that of now: opening again makes a new one.
fn scoped(address: Ipv6Addr, port: u16, index: u32) -> SocketAddr {
    let link_local = address.is_unicast_link_local() || address.is_multicast();
    SocketAddrV6::new(address, port, 0, if link_local { index } else { 0 }).into()
}

pub fn look_up(name: &str, v6: bool) -> io::Result<IpAddr> {
    let family = if v6 { "IPv6" } else { "IPv4" };
    match udp::look_up(name, v6) {
        Ok(Some(address)) => Ok(address),
        Ok(None) => refuse(io::ErrorKind::NotFound, format!("{name} has no {family} address")),
        Err(e) => refuse(
            io::ErrorKind::NotFound,
            format!("{name} is no {family} address, and cannot be looked up: {e}"),
        ),
    }
}

fn cannot_join(group: IpAddr, dev: &str, e: &io::Error) -> io::Error {
    io::Error::new(
        e.kind(),
        format!("group {group} cannot be joined on interface {dev}: {e}"),
    )
}

fn socket(dev: &str, v6: bool) -> io::Result<OwnedFd> {
    let fd = udp::udp_socket(v6)?;
    udp::set(fd.as_fd(), Opt::ReuseAddr, 1)?;
    if v6 {
        // IPv4 media use the same port.
        udp::set(fd.as_fd(), Opt::V6Only, 1)?;
    }
    udp::receive_buffer(fd.as_fd(), RECEIVE_BUFFER)?;
    udp::bind_to_device(fd.as_fd(), dev).map_err(|e| {
        let why = match e.kind() {
            io::ErrorKind::PermissionDenied => "not permitted; heartbeat must be started by root".to_owned(),
            _ => e.to_string(),
        };
        io::Error::new(e.kind(), format!("socket cannot be bound to interface {dev}: {why}"))
    })?;
    Ok(fd)
}

fn finish(fd: OwnedFd, dev: &str, local: SocketAddr, to: SocketAddr) -> io::Result<Opened> {
    bind(fd.as_fd(), local)?;
    // Without this a socket whose packets have no way out would be opened, break, and be opened again for ever.
    udp::probe(Some(dev), to).map_err(|e| {
        let why = format!("{} cannot be reached by interface {dev}: {e}", to.ip());
        io::Error::new(e.kind(), why)
    })?;
    Ok(Opened { fd, to: Some(to) })
}

fn bind(fd: BorrowedFd<'_>, local: SocketAddr) -> io::Result<()> {
    udp::bind_address(fd, local).map_err(|e| {
        let port = local.port();
        let why = match e.kind() {
            io::ErrorKind::AddrInUse => {
                let user = port_user::who(port, local.is_ipv6());
                format!(
                    "UDP port {port} is in use by {user}; end that, or choose another udpport in ha.cf on all nodes"
                )
            }
            io::ErrorKind::PermissionDenied => {
                format!("UDP port {port} may be used by root only; heartbeat must be started by root")
            }
            _ => format!("UDP port {port}: {e}"),
        };
        io::Error::new(e.kind(), why)
    })
}
