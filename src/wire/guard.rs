//! The filter that a flooded medium gets: the kernel drops what cannot be a packet of this cluster before it takes room in
//! the socket's buffer, and before the core is woken for it.

use super::icmp::Instruction;
use std::net::IpAddr;

/// Behind the header of UDP, with which the packet of the socket begins.
const PAYLOAD: u32 = 8;
/// How packets begin, in the two forms.
const MARKS: [[u8; 4]; 2] = [*b"###\n", *b">>>\n"];

const LOAD_WORD: u16 = 0x20;
const IS_EQUAL: u16 = 0x15;
const IS_AT_LEAST: u16 = 0x35;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
/// Counted from the header of IP (SKF_NET_OFF).
const IP_HEADER: u32 = 0xfff0_0000;
/// A random number (SKF_AD_RANDOM).
const RANDOM: u32 = 0xffff_f000 + 56;
const WHOLE: u32 = 0x4_0000;

const fn step(code: u16, yes: u8, no: u8, value: u32) -> Instruction {
    Instruction { code, yes, no, value }
}

/// Goes on behind `steps` if the packet is from this address, and else behind that.
fn is_from(source: IpAddr, steps: u32) -> Vec<Instruction> {
    let (at, words) = match source {
        IpAddr::V4(a) => (12, vec![a.to_bits()]),
        IpAddr::V6(a) => (8, (0..4).map(|w| (a.to_bits() >> (96 - 32 * w)) as u32).collect()),
    };
    let mut out = Vec::new();
    for (n, word) in words.iter().enumerate() {
        out.push(step(LOAD_WORD, 0, 0, IP_HEADER + at + 4 * n as u32));
        let to_end = 2 * (words.len() - 1 - n) + 1;
        out.push(step(IS_EQUAL, 0, to_end as u8, *word));
    }
    out.push(step(JUMP, 0, 0, steps));
    out
}

/// Lets through what begins as our packets do and comes from one of `sources` (`None`: from anywhere), and one in `share`
/// of all the rest: a node whose address is not known yet must be heard at last, and the end of a flood be seen.
pub fn filter(sources: Option<&[IpAddr]>, share: u32) -> Vec<Instruction> {
    let rest = [
        step(LOAD_WORD, 0, 0, RANDOM),
        step(IS_AT_LEAST, 0, 1, u32::MAX / share.max(1)),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, WHOLE),
    ];
    let marks = [
        step(LOAD_WORD, 0, 0, PAYLOAD),
        step(IS_EQUAL, 1, 0, u32::from_be_bytes(MARKS[0])),
        step(IS_EQUAL, 0, 1, u32::from_be_bytes(MARKS[1])),
        step(RETURN, 0, 0, WHOLE),
    ];
    let mut tests = Vec::new();
    if let Some(sources) = sources {
        // From the last to the first, so that it is known how far it is from each to the marks.
        tests.push(step(JUMP, 0, 0, marks.len() as u32));
        for source in sources.iter().rev() {
            tests.splice(0..0, is_from(*source, tests.len() as u32));
        }
    }
    [&tests[..], &marks, &rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do with a packet: `header` is that of IP, `udp` begins with the header of UDP.
    fn passes(program: &[Instruction], header: &[u8], udp: &[u8], random: u32) -> bool {
        let (mut at, mut a) = (0, 0);
        loop {
            let s = program[at];
            at += 1;
            match s.code {
                LOAD_WORD if s.value == RANDOM => a = random,
                LOAD_WORD => {
                    let (bytes, from) = match s.value.checked_sub(IP_HEADER) {
                        Some(from) => (header, from as usize),
                        None => (udp, s.value as usize),
                    };
                    match bytes.get(from..from + 4) {
                        Some(word) => a = u32::from_be_bytes(word.try_into().unwrap()),
                        None => return false,
                    }
                }
                IS_EQUAL => at += usize::from(if a == s.value { s.yes } else { s.no }),
                IS_AT_LEAST => at += usize::from(if a >= s.value { s.yes } else { s.no }),
                JUMP => at += s.value as usize,
                RETURN => return s.value != 0,
                other => panic!("{other:x}"),
            }
        }
    }

    fn header(from: IpAddr) -> Vec<u8> {
        match from {
            IpAddr::V4(a) => [&[0; 12][..], &a.octets(), &[0; 4]].concat(),
            IpAddr::V6(a) => [&[0; 8][..], &a.octets(), &[0; 16]].concat(),
        }
    }

    #[test]
    fn known_sources_with_our_marks_pass_and_of_the_rest_a_share() {
        for known in [
            ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
            ["fe80::1", "fe80::2", "2001:db8::1:0:3"],
        ] {
            let known = known.map(|a| a.parse::<IpAddr>().unwrap());
            let strangers = ["10.0.0.9", "fe80::9"].map(|a| a.parse::<IpAddr>().unwrap());
            let stranger = *strangers.iter().find(|s| s.is_ipv6() == known[0].is_ipv6()).unwrap();
            for count in 0..=known.len() {
                for listed in [None, Some(&known[..count])] {
                    let program = filter(listed, 8);
                    for source in known.iter().chain([&stranger]) {
                        for (payload, mark) in [
                            (&b"###\n1"[..], true),
                            (b">>>\n1", true),
                            (b"####1", false),
                            (b"", false),
                        ] {
                            let udp = [&[0; 8][..], payload].concat();
                            let sure = mark && listed.is_none_or(|l| l.contains(source));
                            let pass = |random| passes(&program, &header(*source), &udp, random);
                            assert_eq!(pass(u32::MAX), sure, "{source} {payload:?} {listed:?}");
                            // One that is too short for a mark never passes when its mark is looked at.
                            let looked_at = listed.is_none_or(|l| l.contains(source));
                            let lucky = sure || !(looked_at && payload.is_empty());
                            assert_eq!(pass(u32::MAX / 8 - 1), lucky, "{source} {payload:?} {listed:?}");
                            assert_eq!(pass(u32::MAX / 8), sure, "{source} {payload:?} {listed:?}");
                        }
                    }
                }
            }
        }
    }
}
