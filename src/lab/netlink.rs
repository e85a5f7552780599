//! The few netlink requests that make and set up the lab's interfaces. Pure: fields in, bytes out.
//!
//! Numbers are those of linux/rtnetlink.h, linux/if_link.h and linux/veth.h.

use std::net::{IpAddr, Ipv4Addr};

const ERROR: u16 = 2;
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;

const REQUEST: u16 = 0x001;
const ACK: u16 = 0x004;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;

const INTERFACE_UP: u32 = 1;
/// No duplicate address detection: the lab's own addresses are there at once.
const ADDRESS_NODAD: u8 = 0x02;

fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + body.len());
    out.extend((16 + body.len() as u32).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend((REQUEST | ACK | flags).to_ne_bytes());
    out.extend(1u32.to_ne_bytes()); // sequence number: one request, one answer
    out.extend(0u32.to_ne_bytes()); // sender: the kernel fills it in
    out.extend(body);
    out
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend((4 + value.len() as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn name(out: &mut Vec<u8>, kind: u16, value: &str) {
    attribute(out, kind, &[value.as_bytes(), &[0]].concat());
}

fn interface_header(index: u32, flags: u32) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend(index.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend(flags.to_ne_bytes()); // which flags to change
    out
}

/// A cable: one end `here` in the sender's network, the other named `there` in the network behind descriptor `network`.
pub fn new_cable(here: &str, mac: [u8; 6], there: &str, network: u32) -> Vec<u8> {
    let mut peer = interface_header(0, 0);
    name(&mut peer, 3, there);
    attribute(&mut peer, 28, &network.to_ne_bytes());
    let mut data = Vec::new();
    attribute(&mut data, 1, &peer);
    let mut info = Vec::new();
    name(&mut info, 1, "veth");
    attribute(&mut info, 2, &data);
    let mut body = interface_header(0, 0);
    name(&mut body, 3, here);
    attribute(&mut body, 1, &mac);
    attribute(&mut body, 18, &info);
    request(NEW_LINK, CREATE | EXCLUSIVE, &body)
}

/// Switches an interface on.
pub fn link_up(index: u32) -> Vec<u8> {
    request(NEW_LINK, 0, &interface_header(index, INTERFACE_UP))
}

/// Takes an interface away, and a cable with both its ends.
pub fn delete_link(index: u32) -> Vec<u8> {
    request(DELETE_LINK, 0, &interface_header(index, 0))
}

/// A permanent address, with the broadcast address that its length gives.
pub fn new_address(index: u32, address: IpAddr, prefix: u8) -> Vec<u8> {
    let (family, bytes, flags) = match address {
        IpAddr::V4(a) => (2, a.octets().to_vec(), 0),
        IpAddr::V6(a) => (10, a.octets().to_vec(), ADDRESS_NODAD),
    };
    let mut body = vec![family, prefix, flags, 0];
    body.extend(index.to_ne_bytes());
    attribute(&mut body, 2, &bytes);
    attribute(&mut body, 1, &bytes);
    if let IpAddr::V4(a) = address {
        let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        attribute(&mut body, 4, &(a.to_bits() | host).to_be_bytes());
    }
    request(NEW_ADDRESS, CREATE | EXCLUSIVE, &body)
}

/// The way to everywhere else.
pub fn default_route(index: u32, gateway: Ipv4Addr) -> Vec<u8> {
    // IPv4, any destination, main table, set by the administrator, everywhere, unicast.
    let mut body = vec![2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
    attribute(&mut body, 5, &gateway.octets());
    attribute(&mut body, 4, &index.to_ne_bytes());
    request(NEW_ROUTE, CREATE | EXCLUSIVE, &body)
}

/// What the kernel said to a request: nothing to complain about, or an error number.
pub fn acknowledged(answer: &[u8]) -> Result<(), i32> {
    let kind = answer.get(4..6).map(|b| u16::from_ne_bytes([b[0], b[1]]));
    let number = answer.get(16..20).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    match (kind, number) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(n)) => Err(n.saturating_neg()),
        // EBADMSG: no acknowledgement at all.
        _ => Err(74),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_say_their_own_length_and_are_padded() {
        let all = [
            new_cable("eth0", [2, 0, 0, 0, 0, 1], "n1e0", 7),
            link_up(3),
            delete_link(3),
            new_address(3, "10.77.0.1".parse().expect("an address"), 24),
            new_address(3, "fd77::1".parse().expect("an address"), 64),
            default_route(3, Ipv4Addr::new(10, 77, 0, 200)),
        ];
        for bytes in all {
            assert_eq!(bytes.len() % 4, 0);
            assert_eq!(
                u32::from_ne_bytes(bytes[..4].try_into().expect("4 bytes")) as usize,
                bytes.len()
            );
        }
    }

    #[test]
    fn broadcast_address_follows_from_the_prefix() {
        let bytes = new_address(3, "192.168.8.240".parse().expect("an address"), 19);
        assert!(bytes.windows(4).any(|w| w == [192, 168, 31, 255]), "{bytes:?}");
    }

    #[test]
    fn answers() {
        let answer = |kind: u16, error: i32| {
            let mut out = vec![0; 4];
            out.extend(kind.to_ne_bytes());
            out.resize(16, 0);
            out.extend(error.to_ne_bytes());
            out
        };
        assert_eq!(acknowledged(&answer(ERROR, 0)), Ok(()));
        assert_eq!(acknowledged(&answer(ERROR, -17)), Err(17));
        assert_eq!(acknowledged(&answer(NEW_LINK, 0)), Err(74));
        assert_eq!(acknowledged(&[]), Err(74));
    }
}
