//! Who says that an address is his: ARP for IPv4 and neighbour advertisements for IPv6, picked out of all frames of a
//! segment.

use super::advert::{Advert, probe_frame};
use super::arp::{Arp, probe};
use super::ethernet::Mac;
use super::icmp::Instruction;
use std::net::IpAddr;

/// A machine of the segment says that it has an address, by asking, answering or announcing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sight {
    pub ip: IpAddr,
    pub mac: Mac,
}

impl Sight {
    pub fn from_frame(frame: &[u8]) -> Option<Self> {
        if let Some(arp) = Arp::from_frame(frame) {
            let (ip, mac) = (arp.sender_ip.into(), arp.sender_mac);
            return Some(Self { ip, mac });
        }
        let advert = Advert::from_frame(frame)?;
        let (ip, mac) = (advert.ip.into(), advert.mac);
        Some(Self { ip, mac })
    }
}

/// The frame that asks whether anybody has `ip`, and that no table learns from.
pub fn question(ip: IpAddr, mac: Mac) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => probe(ip, mac).broadcast_frame(),
        IpAddr::V6(ip) => probe_frame(ip, mac),
    }
}

const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// More than any frame has.
const WHOLE_FRAME: u32 = 0x4_0000;
/// More addresses than that are not told apart in the kernel: its jumps are a byte long.
const MOST: usize = 200;

/// Where things are in a frame.
const ARP_SENDER_IP: u32 = 14 + 14;
const IPV6_NEXT_HEADER: u32 = 14 + 6;
const ICMPV6_TYPE: u32 = 14 + 40;
/// The last four bytes of the address an advertisement is about.
const ADVERT_TARGET_END: u32 = 14 + 40 + 8 + 12;

/// For a packet socket of ARP (`v6`: of IPv6): only frames in which somebody says that he has one of the addresses come
/// in. What comes in is looked at more closely by [`Sight::from_frame`].
pub fn filter(v6: bool, addresses: &[IpAddr]) -> Vec<Instruction> {
    let step = |code, yes, no, value| Instruction { code, yes, no, value };
    let words: Vec<u32> = addresses
        .iter()
        .filter_map(|ip| match ip {
            IpAddr::V4(ip) if !v6 => Some(ip.to_bits()),
            IpAddr::V6(ip) if v6 => Some(ip.to_bits() as u32),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        })
        .collect();
    let mut program = Vec::new();
    let all = words.len() > MOST;
    let tests = if all { 0 } else { words.len() as u8 };
    if v6 {
        // The refusal stands behind the tests, or behind the acceptance where there is none.
        let refuse = tests + 1;
        program.push(step(LOAD_BYTE, 0, 0, IPV6_NEXT_HEADER));
        program.push(step(IF_EQUAL, 0, refuse + 2, 58));
        program.push(step(LOAD_BYTE, 0, 0, ICMPV6_TYPE));
        program.push(step(IF_EQUAL, 0, refuse, 136));
        if !all {
            program.push(step(LOAD_WORD, 0, 0, ADVERT_TARGET_END));
        }
    } else if !all {
        program.push(step(LOAD_WORD, 0, 0, ARP_SENDER_IP));
    }
    if !all {
        for (i, word) in words.iter().enumerate() {
            program.push(step(IF_EQUAL, tests - i as u8, 0, *word));
        }
        program.push(step(RETURN, 0, 0, 0));
        program.push(step(RETURN, 0, 0, WHOLE_FRAME));
        return program;
    }
    program.push(step(RETURN, 0, 0, WHOLE_FRAME));
    program.push(step(RETURN, 0, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arp::{Operation, gratuitous};
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);

    /// What the kernel does with a program.
    fn accepts(program: &[Instruction], frame: &[u8]) -> bool {
        let (mut at, mut a) = (0, 0u32);
        loop {
            let step = program[at];
            at += 1;
            let value = step.value as usize;
            match step.code {
                LOAD_WORD => match frame.get(value..value + 4) {
                    Some(b) => a = u32::from_be_bytes(b.try_into().unwrap()),
                    None => return false,
                },
                LOAD_BYTE => match frame.get(value) {
                    Some(b) => a = u32::from(*b),
                    None => return false,
                },
                IF_EQUAL => at += usize::from(if a == step.value { step.yes } else { step.no }),
                RETURN => return step.value != 0,
                other => panic!("{other:#x}"),
            }
        }
    }

    fn four(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a4d_0000 + n).into()
    }

    fn six(n: u128) -> IpAddr {
        Ipv6Addr::from_bits((0x2001_0db8 << 96) + n).into()
    }

    fn announced(ip: IpAddr) -> Vec<u8> {
        match ip {
            IpAddr::V4(ip) => gratuitous(Operation::Reply, ip, MAC).broadcast_frame(),
            IpAddr::V6(ip) => Advert {
                ip,
                mac: MAC,
                router: false,
            }
            .multicast_frame(),
        }
    }

    #[test]
    fn only_what_is_about_one_of_the_addresses_comes_in() {
        for count in [0, 1, 2, 60, MOST as u32, MOST as u32 + 1] {
            let fours: Vec<IpAddr> = (0..count).map(four).collect();
            let sixes: Vec<IpAddr> = (0..count).map(|n| six(n.into())).collect();
            let both = [fours.clone(), sixes.clone()].concat();
            for (v6, mine, stranger) in [(false, &fours, four(9999)), (true, &sixes, six(9999))] {
                let program = filter(v6, &both);
                for ip in mine {
                    assert!(accepts(&program, &announced(*ip)), "{ip} of {count}");
                }
                let all = count as usize > MOST;
                assert_eq!(accepts(&program, &announced(stranger)), all, "stranger of {count}");
                assert!(!accepts(&program, &announced(stranger)[..20]) || !v6 && all, "short");
            }
            let asked = question(six(1), MAC);
            assert!(!accepts(&filter(true, &both), &asked), "a question is no claim");
        }
    }

    #[test]
    fn claims_are_read_and_questions_of_nobody_name_nobody() {
        for ip in [four(7), six(7)] {
            assert_eq!(Sight::from_frame(&announced(ip)), Some(Sight { ip, mac: MAC }));
        }
        let asked = Sight::from_frame(&question(four(7), MAC));
        assert!(asked.is_some_and(|s| s.ip.is_unspecified()));
        assert_eq!(Sight::from_frame(&question(six(7), MAC)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Sight::from_frame(&bytes);
            accepts(&filter(false, &[four(1)]), &bytes);
            accepts(&filter(true, &[six(1)]), &bytes);
        }
    }
}
