//! Opening the medium of a ping node: a raw ICMP socket that hears one host's answers to this machine's heartbeat.

use super::Opened;
use super::net::look_up;
use crate::sys::{icmp, udp};
use crate::wire::icmp::reply_filter;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;

/// The identifier of all our echo requests: the master's process number in the byte order of the machine, as heartbeat
/// 3.0.6 writes it.
fn identifier() -> u16 {
    (std::process::id() as u16).to_be()
}

/// `to` has the identifier where a UDP medium has the port.
pub fn open(host: &str, v6: bool) -> io::Result<Opened> {
    let to = if v6 { address6(host)? } else { address4(host)? };
    let fd = icmp::socket(v6).map_err(|e| {
        let why = match e.kind() {
            io::ErrorKind::PermissionDenied => "not permitted; heartbeat must be started by root".to_owned(),
            _ => e.to_string(),
        };
        io::Error::new(e.kind(), format!("no raw ICMP socket: {why}"))
    })?;
    icmp::attach_filter(fd.as_fd(), &reply_filter(to.ip(), to.port()))?;
    // Without this a host that no route leads to would be opened, break, and be opened again for ever.
    udp::probe(None, to).map_err(|e| io::Error::new(e.kind(), format!("{} cannot be reached: {e}", to.ip())))?;
    Ok(Opened { fd, to: Some(to) })
}

fn address4(host: &str) -> io::Result<SocketAddr> {
    let address = match host.parse::<Ipv4Addr>() {
        Ok(address) => address.into(),
        Err(_) => look_up(host, false)?,
    };
    Ok((address, identifier()).into())
}

fn address6(host: &str) -> io::Result<SocketAddr> {
    let (name, zone) = match host.split_once('%') {
        Some((name, zone)) => (name, Some(zone)),
        None => (host, None),
    };
    let address = match name.parse::<Ipv6Addr>() {
        Ok(address) => address,
        Err(_) => match look_up(name, true)? {
            IpAddr::V6(address) => address,
            IpAddr::V4(address) => address.to_ipv6_mapped(),
        },
    };
    let refuse = |kind, why| Err(io::Error::new(kind, why));
    let index = match zone.map(|z| (z, udp::interface(z))) {
        Some((_, Ok(Some(found)))) => found.index,
        Some((zone, Ok(None))) => {
            return refuse(io::ErrorKind::NotFound, format!("interface {zone} does not exist"));
        }
        Some((_, Err(e))) => return Err(e),
        None if address.is_unicast_link_local() => {
            let why = format!("{address} is on every link: write {address}%INTERFACE");
            return refuse(io::ErrorKind::InvalidInput, why);
        }
        None => 0,
    };
    Ok(SocketAddrV6::new(address, identifier(), 0, index).into())
}
