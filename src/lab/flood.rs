//! Junk for one node of a lab, as fast as wanted: what an attacker, a broken program or a network in a loop would send.
//!
//! It is written into the node's end of the cable from outside, past the lab's switch, so that the switch is not what is
//! measured. Nothing the node itself says changes because of it.

use super::plan::{Node, Plan};
use super::{CLIENT, control};
use crate::sys;
use crate::sys::ethernet::{TAP_HEADER, Tap};
use crate::sys::namespace::{self, now_micros};
use crate::sys::poll::{Want, wait};
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// Different packets of one flood.
const VARIETY: usize = 64;
/// So many real packets are recorded before they are sent again, or forged.
const RECORDED: usize = 24;
/// A node says something every keepalive.
const RECORD_WITHIN: Duration = Duration::from_secs(20);
/// Frames of one system call; at most so many are caught up with after a pause.
const BURST: usize = 64;
const PORT: u16 = 694;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes without any meaning.
    Random,
    /// Real packets of the peer in which a part of the signature was changed.
    Forged,
    /// Real packets of the peer, once more.
    Replayed,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Random, Self::Forged, Self::Replayed];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random => "random",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
        })
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|k| k.to_string() == text);
        found.ok_or_else(|| format!("\"{text}\" is no kind of flood: random, forged or replayed"))
    }
}

/// What the packets are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// UDP to heartbeat's port.
    Heartbeat,
    /// IP packets of VRRP's own protocol to its group: keepalived's, and ucarp's, which has borrowed them.
    Vrrp,
}

/// IANA's number of VRRP, and its group.
const VRRP: u8 = 112;
const VRRP_GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const VRRP_MAC: [u8; 6] = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x12];

/// Whose address the junk has as its source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The client's, which is no node of the cluster.
    Foreign,
    /// The peer's own.
    Peer,
}

#[derive(Clone, Debug)]
pub struct Flood {
    /// Who gets it.
    pub target: String,
    /// Whose packets are recorded, and whose address is taken.
    pub peer: String,
    pub kind: Kind,
    pub source: Source,
    pub carrier: Carrier,
    /// Packets a second.
    pub rate: u32,
    pub time: Duration,
}

impl Flood {
    /// For `hb_lab __flood DIRECTORY WORDS`.
    pub fn words(&self) -> Vec<String> {
        let source = match self.source {
            Source::Foreign => "foreign",
            Source::Peer => "peer",
        };
        let carrier = match self.carrier {
            Carrier::Heartbeat => "heartbeat",
            Carrier::Vrrp => "vrrp",
        };
        vec![
            self.target.clone(),
            self.peer.clone(),
            self.kind.to_string(),
            source.to_owned(),
            carrier.to_owned(),
            self.rate.to_string(),
            self.time.as_millis().to_string(),
        ]
    }

    fn parse(words: &[&str]) -> Result<Self, String> {
        let [target, peer, kind, source, carrier, rate, time] = words else {
            return Err("a flood is TARGET PEER KIND SOURCE CARRIER RATE MILLISECONDS".to_owned());
        };
        let number = |text: &str| text.parse::<u32>().map_err(|e| format!("\"{text}\": {e}"));
        Ok(Self {
            target: (*target).to_owned(),
            peer: (*peer).to_owned(),
            kind: kind.parse()?,
            source: match *source {
                "foreign" => Source::Foreign,
                "peer" => Source::Peer,
                other => return Err(format!("\"{other}\" is no source: foreign or peer")),
            },
            carrier: match *carrier {
                "heartbeat" => Carrier::Heartbeat,
                "vrrp" => Carrier::Vrrp,
                other => return Err(format!("\"{other}\" carries no flood: heartbeat or vrrp")),
            },
            rate: number(rate)?,
            time: Duration::from_millis(number(time)?.into()),
        })
    }
}

/// The process that floods: says how many packets it has sent when it is done.
pub fn run(directory: &Path, words: &[&str]) -> io::Result<()> {
    let flood = Flood::parse(words).map_err(io::Error::other)?;
    let plan = control::read_plan(directory)?;
    let switch = namespace::peer_process(UnixStream::connect(control::socket(directory))?.as_fd())?;
    let node = |name: &str| {
        plan.node(name)
            .ok_or_else(|| io::Error::other(format!("no node {name}")))
    };
    let (target, peer, client) = (node(&flood.target)?, node(&flood.peer)?, node(CLIENT)?);
    namespace::Place::of(switch)?.enter_network()?;
    let payloads = match flood.kind {
        Kind::Random => noise(),
        Kind::Forged => record(&plan, peer, flood.carrier)?
            .iter()
            .flat_map(|p| forged(p, flood.carrier))
            .take(VARIETY)
            .collect(),
        Kind::Replayed => record(&plan, peer, flood.carrier)?,
    };
    let from = match flood.source {
        Source::Foreign => address(client)?,
        Source::Peer => address(peer)?,
    };
    let (to, mac) = match flood.carrier {
        Carrier::Heartbeat => (address(target)?, target.links[0].mac),
        Carrier::Vrrp => (VRRP_GROUP, VRRP_MAC),
    };
    let macs = [mac, client.links[0].mac];
    let frames: Vec<Vec<u8>> = payloads
        .iter()
        .map(|p| frame(flood.carrier, macs, from, to, p))
        .collect();
    let tap = Tap::sender(&plan.port(&flood.target, &target.links[0].name))?;
    let sent = send(&tap, &frames, flood.rate, flood.time)?;
    writeln!(io::stdout(), "{sent}")
}

fn address(node: &Node) -> io::Result<Ipv4Addr> {
    let all = node.links.first().map_or(&[][..], |l| &l.addresses);
    let v4 = all.iter().find_map(|(a, _)| match a {
        IpAddr::V4(a) => Some(*a),
        IpAddr::V6(_) => None,
    });
    v4.ok_or_else(|| {
        io::Error::other(format!(
            "node {}: has no IPv4 address on its first interface",
            node.name
        ))
    })
}

/// As many as are due now, a thousand times a second.
fn send(tap: &Tap, frames: &[Vec<u8>], rate: u32, time: Duration) -> io::Result<u64> {
    let begun = now_micros();
    let length = time.as_micros() as u64;
    let (mut sent, mut next) = (0u64, 0);
    loop {
        let passed = (now_micros() - begun).min(length);
        let due = passed * u64::from(rate) / 1_000_000;
        while sent < due {
            let count = ((due - sent) as usize).min(BURST);
            let burst: Vec<&[u8]> = (0..count).map(|i| &frames[(next + i) % frames.len()][..]).collect();
            next = (next + count) % frames.len();
            tap.write_many(&burst)?;
            sent += count as u64;
        }
        if passed >= length {
            return Ok(sent);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The same in every run; lengths as those of beats.
fn noise() -> Vec<Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        // xorshift64, after Marsaglia (2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..VARIETY)
        .map(|_| {
            let length = 150 + (next() % 250) as usize;
            (0..length).map(|_| next() as u8).collect()
        })
        .collect()
}

/// Real packets that the peer sends, from its end of the cable.
fn record(plan: &Plan, peer: &Node, carrier: Carrier) -> io::Result<Vec<Vec<u8>>> {
    let tap = Tap::open(&plan.port(&peer.name, &peer.links[0].name))?;
    let until = sys::now() + RECORD_WITHIN;
    let (mut out, mut buffer) = (Vec::new(), vec![0; 70_000]);
    while out.len() < RECORDED {
        if sys::now() >= until {
            let why = format!("node {}: says nothing that could be recorded", peer.name);
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        wait(&[Want::read(tap.fd())], until)?;
        while let Some(frame) = tap.read(&mut buffer)? {
            out.extend(payload(carrier, frame.get(TAP_HEADER..).unwrap_or(&[])).map(<[u8]>::to_vec));
        }
    }
    Ok(out)
}

/// What a frame with an IPv4 packet carries: UDP to heartbeat's port, or VRRP.
fn payload(carrier: Carrier, frame: &[u8]) -> Option<&[u8]> {
    let ip = frame.strip_prefix(frame.get(..12)?)?.strip_prefix(&[0x08, 0x00])?;
    let header = usize::from(ip.first()? & 0x0f) * 4;
    if carrier == Carrier::Vrrp {
        let length = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
        return ip.get(header..length).filter(|_| ip[9] == VRRP);
    }
    let udp = ip.get(header..)?;
    let is_ours = ip[9] == 17 && udp.get(2..4)? == PORT.to_be_bytes();
    let length = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    udp.get(8..length).filter(|_| is_ours)
}

/// The last hexadecimal digits, which belong to the signature in both forms, are others: three different forgeries. Of VRRP
/// the last bytes, which belong to ucarp's signature; keepalived's has none, only a checksum, which they make wrong.
fn forged(packet: &[u8], carrier: Carrier) -> Vec<Vec<u8>> {
    if carrier == Carrier::Vrrp {
        let other = |at: usize| {
            let mut copy = packet.to_vec();
            copy[at] ^= 1;
            copy
        };
        return (0..packet.len()).rev().take(3).map(other).collect();
    }
    let digits: Vec<usize> = (0..packet.len())
        .rev()
        .filter(|&i| packet[i].is_ascii_hexdigit())
        .take(3)
        .collect();
    let forge = |&at: &usize| {
        let mut copy = packet.to_vec();
        copy[at] = if copy[at] == b'0' { b'1' } else { b'0' };
        copy
    };
    digits.iter().map(forge).collect()
}

/// A packet in an Ethernet frame, behind the header that a [`Tap`] wants. Without a UDP checksum: IPv4 allows that. VRRP is
/// only heard with a time to live of 255.
fn frame(carrier: Carrier, macs: [[u8; 6]; 2], from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let (header, lives, protocol) = match carrier {
        Carrier::Heartbeat => (8, 64, 17),
        Carrier::Vrrp => (0, 255, VRRP),
    };
    let length = (header + payload.len()) as u16;
    let mut ip = vec![0x45, 0];
    ip.extend((20 + length).to_be_bytes());
    ip.extend([0, 0, 0x40, 0, lives, protocol, 0, 0]);
    ip.extend(from.octets());
    ip.extend(to.octets());
    let words = ip.chunks_exact(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut out = vec![0; TAP_HEADER];
    out.extend(macs.concat());
    out.extend([0x08, 0x00]);
    out.extend(ip);
    if carrier == Carrier::Heartbeat {
        out.extend(PORT.to_be_bytes());
        out.extend(PORT.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend([0, 0]);
    }
    out.extend(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_carries_its_payload_and_words_read_back() {
        let packet = b"###\n8:(0)t=abc,%%%\n42:1 00ff,";
        let (from, to) = (Ipv4Addr::new(10, 77, 0, 2), Ipv4Addr::new(10, 77, 0, 1));
        for (carrier, other) in [(Carrier::Heartbeat, Carrier::Vrrp), (Carrier::Vrrp, Carrier::Heartbeat)] {
            let frame = frame(carrier, [[2; 6], [4; 6]], from, to, packet);
            assert_eq!(payload(carrier, &frame[TAP_HEADER..]), Some(&packet[..]));
            assert_eq!(payload(other, &frame[TAP_HEADER..]), None);
            for cut in 0..frame.len() - TAP_HEADER {
                assert_eq!(payload(carrier, &frame[TAP_HEADER..][..cut]), None, "{cut}");
            }
            for forgery in forged(packet, carrier) {
                assert_eq!(forgery.iter().zip(packet).filter(|(a, b)| a != b).count(), 1);
                assert_eq!(forgery[..22], packet[..22], "only the signature");
            }
        }
        let flood = Flood {
            target: "a".into(),
            peer: "b".into(),
            kind: Kind::Forged,
            source: Source::Peer,
            carrier: Carrier::Vrrp,
            rate: 7,
            time: Duration::from_millis(9),
        };
        let words = flood.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(Flood::parse(&words).unwrap().words(), flood.words());
        assert!(Flood::parse(&words[1..]).is_err() && "x".parse::<Kind>().is_err());
    }
}
