//! The unsolicited neighbour advertisement of IPv6 (RFC 4861, section 7.2.6): what gratuitous ARP is for IPv4; and the
//! solicitation from nobody that asks whether anybody has an address (RFC 4862, section 5.4.2).

use super::ethernet::{ETHERTYPE_IPV6, Mac, frame, open_frame};
use std::net::Ipv6Addr;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;
/// ICMPv6 header and flags 8, target 16, option with the hardware address 8.
const LENGTH: usize = 32;

/// "`ip` is at `mac`", to all hosts of the segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advert {
    pub ip: Ipv6Addr,
    pub mac: Mac,
    /// The sender forwards packets. A router that says it is none is dropped from the hosts' lists of routers.
    pub router: bool,
}

/// The Internet checksum over the pseudo-header of IPv6 and the packet (RFC 8200, section 8.1). It is 0 over a packet
/// that holds a right checksum already.
fn checksum(from: Ipv6Addr, to: Ipv6Addr, packet: &[u8]) -> u16 {
    let length = u32::try_from(packet.len()).unwrap_or(u32::MAX).to_be_bytes();
    let parts: [&[u8]; 5] = [&from.octets(), &to.octets(), &length, &[0, 0, 0, ICMPV6], packet];
    let mut sum = 0u64;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

impl Advert {
    pub fn multicast_frame(&self) -> Vec<u8> {
        let mut icmp = Vec::with_capacity(LENGTH);
        let router = if self.router { ROUTER } else { 0 };
        icmp.extend([NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, OVERRIDE | router, 0, 0, 0]);
        icmp.extend(self.ip.octets());
        // Option 2, "target link-layer address", one unit of eight bytes.
        icmp.extend([2, 1]);
        icmp.extend(self.mac.0);
        let sum = checksum(self.ip, ALL_NODES, &icmp).to_be_bytes();
        icmp[2..4].copy_from_slice(&sum);

        let mut packet = Vec::with_capacity(40 + LENGTH);
        // Version 6; payload length; next header; hop limit 255, which shows that no router has passed it on.
        packet.extend([0x60, 0, 0, 0, 0, LENGTH as u8, ICMPV6, 255]);
        packet.extend(self.ip.octets());
        packet.extend(ALL_NODES.octets());
        packet.extend(icmp);
        frame(Mac::ALL_IPV6_HOSTS, self.mac, ETHERTYPE_IPV6, &packet)
    }

    /// Reads a frame; none if it is not an unsolicited advertisement with hardware address and right checksum.
    pub fn from_frame(bytes: &[u8]) -> Option<Self> {
        let (_, _, ETHERTYPE_IPV6, packet) = open_frame(bytes)? else {
            return None;
        };
        let (head, rest) = packet.split_first_chunk::<8>()?;
        let [0x60, _, _, _, length_high, length_low, ICMPV6, 255] = *head else {
            return None;
        };
        let (from, rest) = rest.split_first_chunk::<16>()?;
        let (to, rest) = rest.split_first_chunk::<16>()?;
        let icmp = rest.get(..usize::from(u16::from_be_bytes([length_high, length_low])))?;
        if checksum(Ipv6Addr::from(*from), Ipv6Addr::from(*to), icmp) != 0 {
            return None;
        }
        let [NEIGHBOUR_ADVERTISEMENT, 0, _, _, flags, _, _, _] = *icmp.first_chunk::<8>()? else {
            return None;
        };
        let (target, option) = icmp.get(8..)?.split_first_chunk::<16>()?;
        let mac = option.strip_prefix(&[2, 1])?.first_chunk::<6>()?;
        Some(Self {
            ip: Ipv6Addr::from(*target),
            mac: Mac(*mac),
            router: flags & ROUTER != 0,
        })
    }
}

/// "Who has `ip`?", from the unspecified address, so that no table learns from it. Whoever has it tells all hosts.
pub fn probe_frame(ip: Ipv6Addr, mac: Mac) -> Vec<u8> {
    let [.., a, b, c] = ip.octets();
    // Where whoever has the address listens (RFC 4291, section 2.7.1), and its hardware address.
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let to = Mac([0x33, 0x33, 0xff, a, b, c]);
    let mut icmp = vec![NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(ip.octets());
    let sum = checksum(Ipv6Addr::UNSPECIFIED, group, &icmp).to_be_bytes();
    icmp[2..4].copy_from_slice(&sum);
    let mut packet = vec![0x60, 0, 0, 0, 0, icmp.len() as u8, ICMPV6, 255];
    packet.extend(Ipv6Addr::UNSPECIFIED.octets());
    packet.extend(group.octets());
    packet.extend(icmp);
    frame(to, mac, ETHERTYPE_IPV6, &packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADVERT: Advert = Advert {
        ip: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9),
        mac: Mac([2, 0, 0, 0, 0, 9]),
        router: false,
    };

    #[test]
    fn advertisement_byte_by_byte() {
        // The checksum by hand: source and target 2 * (2001 + 0db8 + 0009), destination ff02 + 0001, length 0020, next
        // header 003a, then 8800, 2000, 0201 and 0200 + 0000 + 0009 are 0002_06eb; folded 06ed; inverted f912.
        #[rustfmt::skip]
        let expected: [u8; 86] = [
            0x33, 0x33, 0, 0, 0, 1,  2, 0, 0, 0, 0, 9,  0x86, 0xdd,
            0x60, 0, 0, 0,  0, 32,  58,  255,
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
            0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            136, 0,  0xf9, 0x12,  0x20, 0, 0, 0,
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
            2, 1,  2, 0, 0, 0, 0, 9,
        ];
        assert_eq!(ADVERT.multicast_frame(), expected);
        assert_eq!(Advert::from_frame(&expected), Some(ADVERT));
        let router = Advert { router: true, ..ADVERT };
        assert_eq!(router.multicast_frame()[14 + 40 + 4], 0xa0);
        assert_eq!(Advert::from_frame(&router.multicast_frame()), Some(router));
    }

    #[test]
    fn a_probe_byte_by_byte() {
        let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3456);
        let bytes = probe_frame(ip, ADVERT.mac);
        assert_eq!(bytes.len(), 14 + 40 + 24);
        assert_eq!(
            bytes[..14],
            [0x33, 0x33, 0xff, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 9, 0x86, 0xdd]
        );
        assert_eq!(bytes[22..38], [0; 16]);
        assert_eq!(
            bytes[38..54],
            [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x12, 0x34, 0x56]
        );
        let (from, to) = (
            Ipv6Addr::UNSPECIFIED,
            Ipv6Addr::from(*bytes[38..].first_chunk::<16>().unwrap()),
        );
        assert_eq!(checksum(from, to, &bytes[54..]), 0);
        assert_eq!(bytes[62..78], ip.octets());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Advert::from_frame(&bytes);
        }

        #[test]
        fn a_flipped_bit_after_the_ip_header_start_is_noticed(bit in 0usize..(64 * 8)) {
            let mut bytes = ADVERT.multicast_frame();
            bytes[22 + bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Advert::from_frame(&bytes), None);
        }
    }
}
