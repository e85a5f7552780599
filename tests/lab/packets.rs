//! Packets that are not of this cluster, broken, or old: dropped before anything in them is believed, and counted.

use crate::cluster::{Cluster, Setup, VIP, skipped};
use ha::auth::{Keyring, packet};
use ha::lab::{CLIENT, Watcher};
use ha::msg::{Message, fields, netstring};
use ha::sys::{namespace, process};
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

pub fn keys(authkeys: &str) -> Keyring {
    let parsed = ha::conf::authkeys::parse(Path::new("authkeys"), authkeys);
    parsed.value.expect("a good file")
}

/// A beat of `src` as a node signs it.
fn beat(src: &str, generation: u64, seq: u64) -> Message {
    Message::new("status")
        .with(fields::STATUS, "active")
        .with(fields::DEADTIME, "5dc")
        .with(fields::SRC, src)
        .with(fields::SEQ, format!("{seq:x}"))
        .with(fields::GENERATION, format!("{generation:x}"))
        .with(fields::TS, "65000000")
        .with(fields::TTL, "3")
}

/// A socket on the client's network that hears what the nodes broadcast.
pub fn clients_socket(c: &Cluster) -> UdpSocket {
    let pid = c.lab.ask(&format!("pid {CLIENT}")).expect("the client runs");
    let pid = pid.trim().parse().expect("a number");
    let inside = std::thread::spawn(move || {
        namespace::Place::of(pid)
            .and_then(|p| p.enter_network())
            .expect("root may");
        UdpSocket::bind(("0.0.0.0", 694)).expect("the port is free")
    });
    let socket = inside.join().expect("it does not panic");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a socket");
    socket
}

/// The next beat from that address. (Nodes send other messages too, such as acknowledgements.)
///
/// Those that wait in the socket from before are signed with whatever key was in force then.
pub fn heard(socket: &UdpSocket, from: &str, keys: &Keyring) -> (Vec<u8>, Message) {
    let mut buffer = [0; 4096];
    socket.set_nonblocking(true).expect("a socket");
    while socket.recv_from(&mut buffer).is_ok() {}
    socket.set_nonblocking(false).expect("a socket");
    loop {
        let (n, sender) = socket.recv_from(&mut buffer).expect("the nodes beat");
        if sender.ip().to_string() != from {
            continue;
        }
        let message = packet::open(&buffer[..n], keys).expect("what a node sends opens with the key");
        if message.kind() == "status" {
            return (buffer[..n].to_vec(), message);
        }
    }
}

#[test]
fn foreign_malformed_and_replayed_packets_are_dropped_and_counted() {
    if !process::is_root() {
        return skipped("forged packets: a test needs root to speak from the network of a node");
    }
    let Some(c) = Setup::default().started("packets") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let socket = clients_socket(&c);
    let right = keys("auth 1\n1 sha1 key-of-the-lab\n");
    let (old, real) = heard(&socket, "10.77.0.2", &right);
    let (generation, seq) = (
        real.hex(fields::GENERATION).expect("every message has one"),
        real.hex(fields::SEQ).expect("every message has one"),
    );
    let send = |bytes: &[u8]| {
        socket.send_to(bytes, "10.77.0.1:694").expect("sent");
    };
    let seal = |message: &Message, keys: &Keyring| packet::seal_netstring(message, keys, true);
    let since = Watcher::now();
    let mut no_src = beat("web", generation, seq + 1000);
    no_src.remove(fields::SRC);
    #[rustfmt::skip]
    let table = [
        ("noise",                        b"\x00\xff noise".to_vec(),                                                "malformed"),
        ("an empty classic message",     b">>>\n<<<\n".to_vec(),                                                    "unsigned"),
        ("a length that is a lie",       b"###\n999999999:x,%%%\n".to_vec(),                                        "malformed"),
        ("nothing but a beginning",      b"###\n".to_vec(),                                                         "malformed"),
        ("too long",                     vec![b'x'; 20_000],                                                        "malformed"),
        ("without a signature",          netstring::encode(&beat("web", generation, seq + 1000)),                   "unsigned"),
        ("signed by a key we lack",      seal(&beat("web", generation, seq + 1000), &keys("auth 7\n7 sha1 x\n")),    "unknown_key"),
        ("signed with another secret",   seal(&beat("web", generation, seq + 1000), &keys("auth 1\n1 sha1 x\n")),    "wrong_signature"),
        ("signed by another method",     seal(&beat("web", generation, seq + 1000), &keys("auth 1\n1 crc\n")),       "wrong_signature"),
        ("without a sender",             seal(&no_src, &right),                                                     "incomplete"),
        ("of a node that is not ours",   seal(&beat("stranger", generation, 1), &right),                            "unknown_node"),
        ("of an old generation",         seal(&beat("web", generation - 1, seq + 1000), &right),                    "replayed"),
    ];
    for (what, bytes, cause) in &table {
        let name = format!("bad_packets_{cause}");
        let before = c.counter("hello", &name);
        send(bytes);
        c.wait(&format!("a packet {what} is counted as {name}"), || {
            c.counter("hello", &name) > before
        });
    }
    c.wait_log("hello", "bad node [stranger] in message");
    c.wait_log("hello", "attempted replay attack?");
    // A packet that was heard before, once more.
    // It may still be the newest one of web: then it counts as a duplicate, as from a second medium.
    let repeated = || c.counter("hello", "stale_packets") + c.counter("hello", "duplicates");
    let before = repeated();
    send(&old);
    c.wait("a repetition is counted", || repeated() > before);
    // A flood does not fill the log.
    let before = c.counter("hello", "bad_packets_malformed");
    let lines = || c.log("hello").matches("a packet of 6 bytes is dropped").count();
    for _ in 0..500 {
        send(b"rubble");
    }
    c.wait("the flood is counted", || {
        c.counter("hello", "bad_packets_malformed") >= before + 100
    });
    assert!(lines() < 20, "{} lines", lines());
    // None of it did anything.
    c.all_active(&["hello", "web"]);
    watcher.settle();
    assert_eq!(watcher.timeline().owners(since), ["hello"]);
    assert!(
        !c.log("hello").contains("Heartbeat restart on node"),
        "{}",
        c.log("hello")
    );
    // web is started anew: what it said in its last life is no sign of life any more.
    c.stop("web");
    c.start("web");
    c.all_active(&["hello", "web"]);
    c.lab.power_off("web").expect("off");
    let before = c.counter("hello", "bad_packets_replayed");
    c.wait("web is dead in spite of what is replayed", || {
        send(&old);
        c.node_status("hello", "web") == "dead"
    });
    assert!(c.counter("hello", "bad_packets_replayed") > before);
    send(&old);
    let after = c.counter("hello", "bad_packets_replayed");
    c.wait("one more", || {
        send(&old);
        c.counter("hello", "bad_packets_replayed") > after
    });
    assert_eq!(c.node_status("hello", "web"), "dead");
}
