//! ARP for IPv4 over Ethernet (RFC 826): the gratuitous request and reply that tell the segment where an address is now,
//! and the probe that asks whether anybody has it.

use super::ethernet::{ETHERTYPE_ARP, Mac, frame, open_frame};
use std::net::Ipv4Addr;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Request,
    Reply,
}

/// The fields of an ARP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arp {
    pub operation: Operation,
    pub sender_mac: Mac,
    pub sender_ip: Ipv4Addr,
    pub target_mac: Mac,
    pub target_ip: Ipv4Addr,
}

/// Ethernet, IPv4, address lengths 6 and 4.
const HEAD: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// "`ip` is at `mac`", to everybody. Some hosts and routers update their table on the request, others on the reply: send
/// both. The target hardware address is unused in a request and the new address in a reply (RFC 5944, section 4.6).
pub fn gratuitous(operation: Operation, ip: Ipv4Addr, mac: Mac) -> Arp {
    Arp {
        operation,
        sender_mac: mac,
        sender_ip: ip,
        target_mac: match operation {
            Operation::Request => Mac([0; 6]),
            Operation::Reply => mac,
        },
        target_ip: ip,
    }
}

/// "Who has `ip`?", from nobody: the sender's protocol address is zero, so that no table learns from it (RFC 5227).
pub fn probe(ip: Ipv4Addr, mac: Mac) -> Arp {
    Arp {
        operation: Operation::Request,
        sender_mac: mac,
        sender_ip: Ipv4Addr::UNSPECIFIED,
        target_mac: Mac([0; 6]),
        target_ip: ip,
    }
}

impl Arp {
    /// The packet in a broadcast frame of its sender.
    pub fn broadcast_frame(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28);
        bytes.extend(HEAD);
        bytes.extend(match self.operation {
            Operation::Request => [0, 1],
            Operation::Reply => [0, 2],
        });
        bytes.extend(self.sender_mac.0);
        bytes.extend(self.sender_ip.octets());
        bytes.extend(self.target_mac.0);
        bytes.extend(self.target_ip.octets());
        frame(Mac::BROADCAST, self.sender_mac, ETHERTYPE_ARP, &bytes)
    }

    /// Reads a frame; none if it is not ARP for IPv4 over Ethernet. Padding after the packet is normal.
    pub fn from_frame(bytes: &[u8]) -> Option<Self> {
        let (_, _, ETHERTYPE_ARP, packet) = open_frame(bytes)? else {
            return None;
        };
        let packet = packet.strip_prefix(&HEAD)?;
        let (operation, packet) = packet.split_first_chunk::<2>()?;
        let operation = match operation {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return None,
        };
        let (sender_mac, packet) = packet.split_first_chunk::<6>()?;
        let (sender_ip, packet) = packet.split_first_chunk::<4>()?;
        let (target_mac, packet) = packet.split_first_chunk::<6>()?;
        let (target_ip, _) = packet.split_first_chunk::<4>()?;
        Some(Self {
            operation,
            sender_mac: Mac(*sender_mac),
            sender_ip: Ipv4Addr::from(*sender_ip),
            target_mac: Mac(*target_mac),
            target_ip: Ipv4Addr::from(*target_ip),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);
    const IP: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 240);

    #[test]
    fn gratuitous_request_and_reply_byte_by_byte() {
        #[rustfmt::skip]
        let table: [(Operation, [u8; 42]); 2] = [
            (Operation::Request, [
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  2, 0, 0, 0, 0, 9,  8, 6,
                0, 1,  8, 0,  6, 4,  0, 1,
                2, 0, 0, 0, 0, 9,  10, 66, 0, 240,
                0, 0, 0, 0, 0, 0,  10, 66, 0, 240,
            ]),
            (Operation::Reply, [
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  2, 0, 0, 0, 0, 9,  8, 6,
                0, 1,  8, 0,  6, 4,  0, 2,
                2, 0, 0, 0, 0, 9,  10, 66, 0, 240,
                2, 0, 0, 0, 0, 9,  10, 66, 0, 240,
            ]),
        ];
        for (operation, bytes) in table {
            let arp = gratuitous(operation, IP, MAC);
            assert_eq!(arp.broadcast_frame(), bytes, "{operation:?}");
            assert_eq!(Arp::from_frame(&bytes), Some(arp), "{operation:?}");
        }
    }

    #[test]
    fn a_probe_byte_by_byte() {
        #[rustfmt::skip]
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  2, 0, 0, 0, 0, 9,  8, 6,
            0, 1,  8, 0,  6, 4,  0, 1,
            2, 0, 0, 0, 0, 9,  0, 0, 0, 0,
            0, 0, 0, 0, 0, 0,  10, 66, 0, 240,
        ];
        assert_eq!(probe(IP, MAC).broadcast_frame(), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Arp::from_frame(&bytes);
        }

        #[test]
        fn a_shortened_or_padded_frame_is_handled(keep in 0usize..60) {
            let mut bytes = gratuitous(Operation::Reply, IP, MAC).broadcast_frame();
            bytes.resize(keep, 0);
            prop_assert_eq!(Arp::from_frame(&bytes).is_some(), keep >= 42);
        }
    }
}
