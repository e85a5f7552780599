//! Telling the segment where an address is now: gratuitous ARP (request and reply) or a neighbour advertisement.

use crate::sys::netlink::Netlink;
use crate::sys::packet::{PacketSocket, in_background};
use crate::wire::Mac;
use crate::wire::advert::Advert;
use crate::wire::arp::{Operation, gratuitous};
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6};
use crate::wire::route::{DUPLICATE, Family, Link};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::Duration;

/// When an address is announced again, counted from the first time. A single packet may be lost, and Linux ignores a
/// second change of one neighbour within a second. The classic went on for 5 s too.
pub const SERIES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
    Duration::from_millis(5000),
];

/// The frames that say "`ip` is at `mac`".
pub fn frames(ip: IpAddr, mac: Mac, router: bool) -> Vec<Vec<u8>> {
    match ip {
        IpAddr::V4(ip) => [Operation::Request, Operation::Reply]
            .map(|operation| gratuitous(operation, ip, mac).broadcast_frame())
            .to_vec(),
        IpAddr::V6(ip) => vec![Advert { ip, mac, router }.multicast_frame()],
    }
}

/// The socket for them.
pub fn socket(index: u32, ip: IpAddr) -> io::Result<PacketSocket> {
    PacketSocket::sender(index, if ip.is_ipv4() { ETHERTYPE_ARP } else { ETHERTYPE_IPV6 })
}

/// Whether this machine forwards IPv6 packets that come in on the interface.
pub fn is_router(link: &Link) -> bool {
    let file = format!("/proc/sys/net/ipv6/conf/{}/forwarding", link.name);
    fs::read(file).is_ok_and(|text| text.starts_with(b"1"))
}

/// Announces the address once out of `socket` if the interface has it; says whether it has.
pub fn once(socket: &PacketSocket, index: u32, ip: IpAddr) -> io::Result<bool> {
    let mut netlink = Netlink::open()?;
    // Read anew each time: the hardware address of a bond changes when it fails over.
    let Some(link) = netlink.links()?.into_iter().find(|l| l.index == index) else {
        return Ok(false);
    };
    let Some(mac) = link.mac.filter(|_| link.has_neighbours()) else {
        return Ok(false);
    };
    let frames = frames(ip, mac, ip.is_ipv6() && is_router(&link));
    // As close to the sending as can be: who has lost the address must not go on announcing it.
    let addresses = netlink.addresses(Family::of(ip))?;
    if !addresses
        .iter()
        .any(|a| a.index == index && a.ip == ip && a.flags & DUPLICATE == 0)
    {
        return Ok(false);
    }
    for frame in frames {
        socket.send(&frame)?;
    }
    Ok(true)
}

/// Announces the address now, and a few times more from a process of its own, which ends early when the interface does not
/// have the address any more. For programs with one thread that end soon.
pub fn start(index: u32, ip: IpAddr) -> io::Result<()> {
    let socket = socket(index, ip)?;
    if !once(&socket, index, ip)? {
        return Ok(());
    }
    in_background(socket, |socket| {
        let mut before = Duration::ZERO;
        for at in SERIES {
            sleep(at - before);
            before = at;
            // An error may pass, for instance while the interface is down for a moment.
            if let Ok(false) = once(socket, index, ip) {
                break;
            }
        }
    })
}
