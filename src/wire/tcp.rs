//! A TCP segment that makes the other end speak: an acknowledgement whose numbers fit no connection. Whoever has an
//! established connection of these addresses and ports answers with the right numbers (RFC 9293, section 3.10.7.4), and a
//! machine that has just taken over an address and knows nothing of the connection answers that with a reset.

use std::net::{IpAddr, SocketAddr};

const TCP: u8 = 6;
const LENGTH: usize = 20;
/// Five words of header.
const OFFSET: u8 = 5 << 4;
const ACK: u8 = 0x10;
/// What a window is does not matter here; zero would ask the other end to be silent.
const WINDOW: u16 = 1024;

/// A local and a remote end of different kinds make no connection.
pub fn tickle(from: SocketAddr, to: SocketAddr) -> Option<[u8; LENGTH]> {
    let mut segment = [0; LENGTH];
    segment[..2].copy_from_slice(&from.port().to_be_bytes());
    segment[2..4].copy_from_slice(&to.port().to_be_bytes());
    segment[12] = OFFSET;
    segment[13] = ACK;
    segment[14..16].copy_from_slice(&WINDOW.to_be_bytes());
    let sum = checksum(from.ip(), to.ip(), &segment)?;
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    Some(segment)
}

/// Over the pseudo-header and the segment; 0 over one that holds a right checksum already.
fn checksum(from: IpAddr, to: IpAddr, segment: &[u8]) -> Option<u16> {
    let mut bytes = Vec::with_capacity(64);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => bytes.extend([from.octets(), to.octets()].concat()),
        (IpAddr::V6(from), IpAddr::V6(to)) => bytes.extend([from.octets(), to.octets()].concat()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    }
    bytes.extend([0, TCP]);
    bytes.extend(u16::try_from(segment.len()).ok()?.to_be_bytes());
    bytes.extend(segment);
    let words = bytes.chunks(2);
    let mut sum: u32 = words
        .map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    Some(!(sum as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_byte_by_byte() {
        let (from, to) = ("10.66.0.240:80".parse().unwrap(), "10.66.0.7:40000".parse().unwrap());
        #[rustfmt::skip]
        let expected = [0, 80,  0x9c, 0x40,  0, 0, 0, 0,  0, 0, 0, 0,  0x50, 0x10,  4, 0];
        let segment = tickle(from, to).unwrap();
        assert_eq!(segment[..16], expected);
        assert_eq!(checksum(from.ip(), to.ip(), &segment), Some(0));
        let by_hand = 0x0a42 + 0x00f0 + 0x0a42 + 0x0007 + 0x0006 + 0x0014 + 0x0050 + 0x9c40 + 0x5010 + 0x0400u32;
        let folded = (by_hand & 0xffff) + (by_hand >> 16);
        assert_eq!(segment[16..18], (!(folded as u16)).to_be_bytes());
    }

    #[test]
    fn ends_of_different_kinds_make_no_segment() {
        let (four, six) = ("10.0.0.1:80".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap());
        assert_eq!(tickle(four, six), None);
        let other: SocketAddr = "[2001:db8::2]:9".parse().unwrap();
        let segment = tickle(six, other).unwrap();
        assert_eq!(checksum(six.ip(), other.ip(), &segment), Some(0));
    }
}
