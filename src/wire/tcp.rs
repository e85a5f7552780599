//! One TCP segment without data: the acknowledgement that makes the other end of a lost connection speak.
//!
//! A client whose server died with its machine waits until it has something to send, or for ever. A segment that fits no
//! window is answered with the number the client expects next (RFC 9293, 3.10.7.4); that answer reaches the new server,
//! which knows of no such connection and resets it. So the client learns of the takeover at once and connects again.

use super::icmp::checksum;
use std::net::{IpAddr, SocketAddr};

const TCP: u8 = 6;
const HEADER: usize = 20;
const ACK: u8 = 0x10;

/// The whole IP packet from `server` to `client`; the kernel writes the checksum of an IPv4 header and its identification.
/// `None` when one is IPv4 and the other IPv6.
pub fn tickle(server: SocketAddr, client: SocketAddr) -> Option<Vec<u8>> {
    let mut segment = Vec::with_capacity(HEADER);
    segment.extend(server.port().to_be_bytes());
    segment.extend(client.port().to_be_bytes());
    segment.extend([0; 8]); // Numbers that fit no connection but one in four billion.
    segment.extend([(HEADER as u8 / 4) << 4, ACK]);
    segment.extend(1234u16.to_be_bytes()); // A window; nobody gets to use it.
    segment.extend([0; 4]);
    let length = segment.len() as u16;
    let (mut packet, pseudo) = match (server.ip(), client.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut ip = vec![0x45, 0];
            ip.extend((20 + length).to_be_bytes());
            ip.extend([0, 0, 0x40, 0, 64, TCP, 0, 0]); // Never in pieces, 64 hops.
            ip.extend(from.octets());
            ip.extend(to.octets());
            let mut pseudo = [from.octets(), to.octets()].concat();
            pseudo.extend([0, TCP]);
            pseudo.extend(length.to_be_bytes());
            (ip, pseudo)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut ip = vec![0x60, 0, 0, 0];
            ip.extend(length.to_be_bytes());
            ip.extend([TCP, 64]);
            ip.extend(from.octets());
            ip.extend(to.octets());
            let mut pseudo = [from.octets(), to.octets()].concat();
            pseudo.extend(u32::from(length).to_be_bytes());
            pseudo.extend([0, 0, 0, TCP]);
            (ip, pseudo)
        }
        _ => return None,
    };
    let sum = checksum(&[pseudo, segment.clone()].concat());
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    packet.extend(segment);
    Some(packet)
}

/// A line as portblock writes it, `SERVER:PORT CLIENT:PORT`, an IPv6 address in brackets. An IPv4 client of an IPv6 socket
/// is an IPv4 connection.
pub fn connection(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = line.split_ascii_whitespace().map(|word| {
        let address: SocketAddr = word.parse().ok()?;
        Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
    });
    let (server, client) = (words.next()??, words.next()??);
    (words.next().is_none() && server.is_ipv4() == client.is_ipv4()).then_some((server, client))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_that_of_the_pseudo_header() {
        let packet = tickle("10.0.0.1:80".parse().unwrap(), "10.0.0.2:40000".parse().unwrap()).unwrap();
        assert_eq!(packet.len(), 40);
        #[rustfmt::skip]
        let words: [u32; 8] = [
            0x0a00, 0x0001, 0x0a00, 0x0002, 6, 20, // addresses, protocol, length
            80 + 40000 + 0x5010 + 1234, 0,
        ];
        let mut sum: u32 = words.iter().sum();
        sum = (sum & 0xffff) + (sum >> 16);
        assert_eq!(packet[36..38], (!(sum as u16)).to_be_bytes());
    }

    #[test]
    fn lines_of_connections() {
        #[rustfmt::skip]
        let table = [
            ("10.0.0.1:80 10.0.0.2:40000",                       Some(("10.0.0.1:80", "10.0.0.2:40000"))),
            ("  [fd00::1]:80   [fd00::2]:4 ",                    Some(("[fd00::1]:80", "[fd00::2]:4"))),
            ("[::ffff:10.0.0.1]:80 [::ffff:10.0.0.2]:4",         Some(("10.0.0.1:80", "10.0.0.2:4"))),
            ("10.0.0.1:80 [fd00::2]:4",                          None),
            ("10.0.0.1:80",                                      None),
            ("10.0.0.1:80 10.0.0.2:4 x",                         None),
            ("10.0.0.1:http 10.0.0.2:4",                         None),
            ("",                                                 None),
        ];
        for (line, ends) in table {
            let ends = ends.map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()));
            assert_eq!(connection(line), ends, "{line}");
        }
    }

    proptest! {
        #[test]
        fn every_packet_sums_up_to_nothing(from: [u8; 16], to: [u8; 16], a: u16, b: u16, v6: bool) {
            let address = |bytes: [u8; 16], port| {
                let short: [u8; 4] = [bytes[0], bytes[1], bytes[2], bytes[3]];
                if v6 { SocketAddr::new(bytes.into(), port) } else { SocketAddr::new(short.into(), port) }
            };
            let packet = tickle(address(from, a), address(to, b)).unwrap();
            let (ip, segment) = packet.split_at(if v6 { 40 } else { 20 });
            let addresses = if v6 { &ip[8..40] } else { &ip[12..20] };
            let mut all = addresses.to_vec();
            all.extend([0, TCP, 0, segment.len() as u8]);
            all.extend(segment);
            prop_assert_eq!(checksum(&all), 0);
        }

        #[test]
        fn no_line_is_too_odd(line in ".{0,80}") {
            let _ = connection(&line);
        }
    }
}
