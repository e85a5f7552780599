//! Messages and frames: what comes from cables, FIFOs, the kernel, and the other processes of the daemon.

use ha::auth::{self, Key, Keyring, Method};
use ha::dopd::frame::{self, Frames};
use ha::media::Framer;
use ha::msg::stream::StreamReader;
use ha::msg::{Message, classic, netstring};
use ha::run::link::{Order, ToCore, ToHeir, ToMaster};
use ha::wire::{advert, arp, ethernet, icmp, netlink as kernel, route};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One key of each method, with numbers at both ends of what is allowed.
pub fn ring() -> Keyring {
    let key = |method, secret: &[u8]| Key::new(method, secret.to_vec());
    let keys = [
        (0, key(Method::Crc, b"")),
        (1, key(Method::Sha1, b"labkey")),
        (3, key(Method::Md5, b"Hello!")),
        (15, key(Method::Sha256, b"a longer one")),
    ];
    Keyring {
        active: 0,
        keys: keys.into_iter().collect(),
    }
}

/// What was read can be written, and reads the same. Classic text cannot hold all that a netstring can.
fn again(message: &Message) {
    let bytes = netstring::encode(message);
    let back = netstring::decode(&bytes).expect("what we write, we read");
    assert_eq!(back.message, *message);
    let _ = classic::decode(&classic::encode(message));
    for number in ["seq", "hg", "ts", "dt"] {
        let _ = (
            message.hex(number),
            message.dec(number),
            message.get(number),
            message.binary(number),
        );
    }
}

/// A datagram: its form, its signature, its fields. Without its signature, and with a good one, it is read as well: a
/// fuzzer finds no HMAC.
pub fn packet(data: &[u8]) {
    let keys = ring();
    if let Ok(message) = auth::open(data, &keys) {
        again(&message);
    }
    for read in [
        netstring::decode(data).map(|d| d.message),
        classic::decode(data),
        netstring::split(data).and_then(|frame| frame.message()),
    ] {
        let Ok(message) = read else { continue };
        again(&message);
        let sealed = auth::seal_netstring(&message, &keys, true);
        let opened = auth::open(&sealed, &keys).expect("what we sign, we believe");
        let mut bare = message.clone();
        bare.remove("auth");
        assert_eq!(opened, bare);
    }
}

/// However a stream is cut into reads, the same messages come out. The first byte says how it is cut.
fn cut(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let size = data.first().map_or(1, |b| usize::from(*b) % 64 + 1);
    data.chunks(size)
}

/// The FIFOs of clients and scripts, and the local socket of dopd.
pub fn fifo(data: &[u8]) {
    let whole = StreamReader::default().push(data);
    let mut reader = StreamReader::default();
    let mut pieces = Vec::new();
    for piece in cut(data) {
        pieces.extend(reader.push(piece));
    }
    let good = |all: &[Result<Message, _>]| all.iter().flatten().cloned().collect::<Vec<_>>();
    assert_eq!(good(&whole), good(&pieces));
    for message in good(&whole) {
        let _ = netstring::decode(&netstring::encode(&message));
    }

    let mut frames = Frames::default();
    for piece in cut(data) {
        frames.push(piece);
        while let Ok(Some(message)) = frames.next() {
            let mut back = Frames::default();
            back.push(&frame::encode(&message));
            let _ = back.next();
        }
    }
}

/// What master, core and heir say to each other: a core that was taken over must not take the master with it.
pub fn records(data: &[u8]) {
    if let Some(said) = ToCore::decode(data) {
        assert_eq!(ToCore::decode(&said.encode()), Some(said));
    }
    if let Some(said) = ToMaster::decode(data) {
        assert_eq!(ToMaster::decode(&said.encode()), Some(said));
    }
    if let Some(said) = ToHeir::decode(data) {
        assert_eq!(ToHeir::decode(&said.encode()), Some(said));
    }
    if let Some(order) = Order::decode(data) {
        assert_eq!(Order::decode(&order.encode()), Some(order));
    }
}

/// Answers and events of the kernel.
pub fn netlink(data: &[u8]) {
    if let Ok(all) = kernel::messages(data) {
        assert!(all.len() <= data.len() / 16, "each has a header");
        for message in &all {
            let _ = route::read(message);
        }
    }
    if let Ok(all) = kernel::attributes(data) {
        assert!(all.len() <= data.len() / 4, "each has a header");
    }
}

/// Frames of the local network: ARP, IPv6 neighbour messages, echo replies.
pub fn neighbour(data: &[u8]) {
    if let Some((to, from, kind, payload)) = ethernet::open_frame(data) {
        assert_eq!(ethernet::frame(to, from, kind, payload), data);
    }
    if let Some(arp) = arp::Arp::from_frame(data) {
        assert_eq!(arp::Arp::from_frame(&arp.broadcast_frame()), Some(arp));
    }
    if let Some(advert) = advert::Advert::from_frame(data) {
        assert_eq!(advert::Advert::from_frame(&advert.multicast_frame()), Some(advert));
    }
    let id = match data {
        [a, b, ..] => u16::from_be_bytes([*a, *b]),
        _ => 0,
    };
    for (v6, packet) in [(false, data), (true, data), (false, data.get(2..).unwrap_or_default())] {
        for id in [id, 0x1500] {
            if let Some(echo) = icmp::echo_reply(v6, id, packet) {
                assert!(echo.len() + 8 <= packet.len());
            }
        }
    }
    for from in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        assert!(icmp::reply_filter(from, id).len() < 64);
    }
}

/// A serial line: noise, messages, halves of messages.
pub fn serial(data: &[u8]) {
    let whole = Framer::default().push(data);
    let mut framer = Framer::default();
    let mut pieces = Vec::new();
    for piece in cut(data) {
        pieces.extend(framer.push(piece));
    }
    assert_eq!(whole, pieces);
    let keys = ring();
    for text in whole {
        let _ = auth::open(&text, &keys);
        if let Ok(message) = classic::decode(&text) {
            let sealed = auth::seal_classic(&message, &keys);
            let _ = auth::open(&sealed, &keys);
        }
    }
}
