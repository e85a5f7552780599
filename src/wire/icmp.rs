//! ICMP echo for IPv4 (RFC 792) and IPv6 (RFC 4443), and the filter that leaves a socket nothing but its own answers.

use std::net::IpAddr;

/// Type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;

const fn request_type(v6: bool) -> u8 {
    if v6 { 128 } else { 8 }
}

const fn reply_type(v6: bool) -> u8 {
    if v6 { 129 } else { 0 }
}

/// An echo request. The kernel writes the checksum of the IPv6 one, for which it needs the addresses.
pub fn echo_request(v6: bool, id: u16, seq: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + data.len());
    bytes.extend([request_type(v6), 0, 0, 0]);
    bytes.extend(id.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(data);
    if !v6 {
        let sum = checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// The data of an echo reply with this identifier, as a raw socket gives it: an IPv4 one after the header of IP.
pub fn echo_reply(v6: bool, id: u16, packet: &[u8]) -> Option<&[u8]> {
    let icmp = if v6 {
        packet
    } else {
        let words = packet.first()? & 0x0f;
        packet.get(usize::from(words) * 4..)?
    };
    let (head, data) = icmp.split_first_chunk::<HEADER>()?;
    let ours = head[0] == reply_type(v6) && head[1] == 0 && head[4..6] == id.to_be_bytes();
    ours.then_some(data)
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|c| u32::from(c[0]) << 8 | c.get(1).map_or(0, |b| u32::from(*b)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An instruction of a socket filter, as in bpf(4): `code`, where to go when a test holds or fails, a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    pub code: u16,
    pub yes: u8,
    pub no: u8,
    pub value: u32,
}

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_AFTER_IP: u16 = 0x48;
const LOAD_BYTE_AFTER_IP: u16 = 0x50;
const SKIP_IP: u16 = 0xb1;
const IS_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Counted from the header of IP, wherever the packet of the socket begins (SKF_NET_OFF).
const IP_HEADER: u32 = 0xfff0_0000;
const WHOLE: u32 = 0x4_0000;

/// For a raw socket: only replies with this identifier from this host come in. A raw ICMP socket gets every ICMP packet
/// of its machine otherwise, and with N ping nodes each reply would be read N times.
pub fn reply_filter(from: IpAddr, id: u16) -> Vec<Instruction> {
    let v6 = from.is_ipv6();
    let (byte, half) = match v6 {
        true => (LOAD_BYTE, LOAD_HALF),
        false => (LOAD_BYTE_AFTER_IP, LOAD_HALF_AFTER_IP),
    };
    let mut tests = vec![(byte, 0, u32::from(reply_type(v6))), (half, 4, u32::from(id))];
    match from {
        IpAddr::V4(address) => tests.push((LOAD_WORD, IP_HEADER + 12, address.to_bits())),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            tests.extend((0..4).map(|word| (LOAD_WORD, IP_HEADER + 8 + 4 * word, (bits >> (96 - 32 * word)) as u32)));
        }
    }
    let step = |code, no, value| Instruction {
        code,
        yes: 0,
        no,
        value,
    };
    let mut program = Vec::new();
    if !v6 {
        program.push(step(SKIP_IP, 0, 0));
    }
    let count = tests.len();
    for (i, (load, at, wanted)) in tests.into_iter().enumerate() {
        program.push(step(load, 0, at));
        // Over the tests that are left, two steps each, and the "yes" after them.
        let to_no = 2 * (count - 1 - i) + 1;
        program.push(step(IS_EQUAL, to_no as u8, wanted));
    }
    program.push(step(RETURN, 0, WHOLE));
    program.push(step(RETURN, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first request of heartbeat 3.0.6 to 10.66.0.250 and the answer, from their IP headers on. Recorded between two
    /// real nodes; the data is the vector "09-crc-ping-ipfail packet 5" of tests/data/captures.
    const REQUEST: &str = "
        4500 009c 4838 4000 4001 dcaa 0a42 0001 0a42 00fa 0800 ed45 1500 0000 2323 230a 3130 3a28 3029 743d 4e53 5f73
        742c 3130 3a28 3029 7374 3d70 696e 672c 3132 3a28 3029 696e 666f 3d70 696e 672c 3138 3a28 3029 7372 633d 3130
        2e36 362e 302e 3235 302c 3134 3a28 3029 7473 3d36 6230 3134 6538 302c 3138 3a28 3029 6175 7468 3d31 2038 6463
        3637 3764 342c 2525 250a 3130 3a31 2065 3030 6664 6264 332c";
    const REPLY_HEAD: &str = "4500 009c f2b4 0000 4001 722e 0a42 00fa 0a42 0001 0000 f545 1500 0000";

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn request_and_reply_are_those_of_the_classic() {
        let request = hex(REQUEST);
        let data = &request[28..];
        assert!(data.starts_with(b"###\n10:(0)t=NS_st,10:(0)st=ping,12:(0)info=ping,"));
        assert_eq!(echo_request(false, 0x1500, 0, data), request[20..]);
        let reply = [&hex(REPLY_HEAD)[..], data].concat();
        assert_eq!(echo_reply(false, 0x1500, &reply), Some(data));
        assert_eq!(checksum(&reply[20..]), 0, "the sum over a good packet and its checksum");
    }

    #[test]
    fn only_a_reply_with_our_identifier_is_read() {
        let packet = |v6: bool, kind: u8, id: u16| {
            let mut icmp = echo_request(v6, id, 7, b"data");
            icmp[0] = kind;
            if v6 { icmp } else { [&[0x45; 20][..], &icmp].concat() }
        };
        #[rustfmt::skip]
        let table = [
            // v6    type  id   read
            (false, 0,   5,   true),
            (false, 0,   6,   false),
            (false, 8,   5,   false),
            (false, 129, 5,   false),
            (true,  129, 5,   true),
            (true,  129, 6,   false),
            (true,  128, 5,   false),
            (true,  0,   5,   false),
        ];
        for (v6, kind, id, read) in table {
            let packet = packet(v6, kind, id);
            assert_eq!(echo_reply(v6, 5, &packet).is_some(), read, "{v6} {kind} {id}");
        }
    }

    #[test]
    fn every_test_of_the_filter_leads_to_its_last_step_when_it_fails() {
        for from in ["10.0.0.1", "fd77::1"] {
            let program = reply_filter(from.parse().unwrap(), 7);
            let last = program.len() - 1;
            assert_eq!((program[last].code, program[last].value), (RETURN, 0));
            for (i, step) in program.iter().enumerate().filter(|(_, s)| s.code == IS_EQUAL) {
                assert_eq!(i + 1 + usize::from(step.no), last, "{from}: step {i}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(v6: bool, id: u16, bytes: Vec<u8>) {
            let _ = echo_reply(v6, id, &bytes);
        }

        #[test]
        fn what_is_asked_comes_back(v6: bool, id: u16, seq: u16, data: Vec<u8>) {
            let mut reply = echo_request(v6, id, seq, &data);
            reply[0] = reply_type(v6);
            let packet = if v6 { reply } else { [&[0x45; 20][..], &reply].concat() };
            prop_assert_eq!(echo_reply(v6, id, &packet), Some(&data[..]));
        }
    }
}
