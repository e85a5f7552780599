//! The message layer as one machine: two or three of them, joined by hand.

mod knock;
mod ping;
mod replay;

use super::layer::{Core, Up};
use super::node::NodeStatus;
use super::table::Table;
use crate::auth::{self, Keyring};
use crate::conf::hostcache::{self, Remembered};
use crate::conf::{authkeys, ha_cf};
use crate::daemon::{Action, Settings};
use crate::ids::{Generation, LinkName, MediumId, NodeName};
use crate::msg::{Message, Value};
use crate::time::{Duration, Instant, Now, Wall};
use std::path::Path;
use std::sync::Arc;

const CF: &str =
    "keepalive 100ms\ndeadtime 500ms\nwarntime 300ms\ninitdead 1\nauto_failback on\nbcast eth0\nnode a b\n";

fn keys(text: &str) -> Keyring {
    authkeys::parse(Path::new("authkeys"), text)
        .value
        .expect("the keys of a test are good")
}

fn at(ms: u64) -> Now {
    Now {
        mono: Instant::from_millis(ms),
        wall: Wall(1_000_000 + ms / 1000),
    }
}

fn settings(me: &str, cf: &str, generation: u64) -> Settings {
    let me: NodeName = me.parse().unwrap();
    let cf = ha_cf::parse(Path::new("ha.cf"), cf, &me)
        .value
        .expect("the ha.cf of a test is good");
    Settings {
        uuid: [me.as_str().as_bytes()[0]; 16],
        me,
        generation: Generation(generation),
        cf,
        haresources: Default::default(),
        keys: keys("auth 1\n1 sha1 secret\n"),
        seed: 7,
        resumed: None,
        remembered: Default::default(),
    }
}

fn core(me: &str, generation: u64) -> Core {
    Core::new(at(0), &settings(me, CF, generation))
}

fn sent(core: &mut Core) -> Vec<(MediumId, Arc<[u8]>)> {
    core.take_actions()
        .into_iter()
        .map(|a| match a {
            Action::Send { medium, bytes } => (medium, bytes),
            other => panic!("the message layer only sends: {other:?}"),
        })
        .collect()
}

fn ups(core: &mut Core) -> Vec<Up> {
    std::iter::from_fn(|| core.next_up()).collect()
}

fn statuses(core: &mut Core, of: &str) -> Vec<NodeStatus> {
    ups(core)
        .into_iter()
        .filter_map(|u| match u {
            Up::Status { node, status } if node == *of => Some(status),
            _ => None,
        })
        .collect()
}

fn count(core: &Core, name: &str) -> u64 {
    core.counters().list().find(|(n, _)| *n == name).map_or(0, |(_, n)| n)
}

/// Everything the one has sent reaches the other, until both are quiet.
fn exchange(now: Now, a: &mut Core, b: &mut Core) {
    loop {
        let (from_a, from_b) = (sent(a), sent(b));
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        for (medium, bytes) in from_a {
            b.receive(now, medium, &bytes);
        }
        for (medium, bytes) in from_b {
            a.receive(now, medium, &bytes);
        }
        a.timer(now);
        b.timer(now);
    }
}

/// A packet as node `b` would send it, with any fields.
fn packet(generation: u64, seq: u64, kind: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut message = Message::new(kind);
    for (name, value) in fields {
        message.set(name, *value);
    }
    let message = message
        .with("src", "b")
        .with("srcuuid", Value::Binary(vec![b'b'; 16]))
        .with("hg", format!("{generation:x}"))
        .with("ts", "f4240");
    // What is not to be sent again has no number.
    let message = match kind.starts_with("NS_") {
        true => message,
        false => message.with("seq", format!("{seq:x}")),
    };
    auth::seal_netstring(&message, &keys("auth 1\n1 sha1 secret\n"), true)
}

fn beat(generation: u64, seq: u64) -> Vec<u8> {
    packet(
        generation,
        seq,
        "status",
        &[("st", "active"), ("dt", "1f4"), ("protocol", "1")],
    )
}

const M: MediumId = MediumId(0);

#[test]
fn a_message_may_pass_as_many_nodes_as_there_are_and_hopfudge_more() {
    #[rustfmt::skip]
    let table = [
        // lines of ha.cf               ttl
        ("",                            "3"),
        ("hopfudge 0",                  "2"),
        ("hopfudge 7",                  "9"),
        ("hopfudge 7\nping 10.0.0.254", "10"),
    ];
    for (lines, ttl) in table {
        let mut core = Core::new(at(0), &settings("a", &format!("{CF}{lines}\n"), 1));
        for (_, bytes) in sent(&mut core) {
            let message = auth::open(&bytes, &keys("auth 1\n1 sha1 secret\n")).expect("our own packet");
            // What goes to a ping node passes no other.
            let expected = (message.kind() != "NS_st").then_some(ttl);
            assert_eq!(message.get("ttl"), expected, "{lines}");
        }
    }
}

#[test]
fn two_nodes_become_active_without_waiting_for_a_clock() {
    let (mut a, mut b) = (core("a", 1), core("b", 1));
    exchange(at(1), &mut a, &mut b);
    assert_eq!((a.status(), b.status()), (NodeStatus::Active, NodeStatus::Active));
    for (core, peer) in [(&a, "b"), (&b, "a")] {
        let node = core.nodes().iter().find(|n| n.name == *peer).unwrap();
        assert_eq!(node.status, NodeStatus::Active, "{peer}");
        assert!(node.uuid.is_some());
    }
}

#[test]
fn a_lone_node_is_active_exactly_when_initdead_is_over() {
    let mut a = core("a", 1);
    a.timer(at(999));
    assert_eq!(a.status(), NodeStatus::Up);
    assert_eq!(a.deadline(), Instant::from_millis(1000));
    a.timer(at(1000));
    assert_eq!(a.status(), NodeStatus::Active);
}

#[test]
fn s2_10_a_silent_node_is_dead_at_its_deadtime_and_not_before() {
    let mut a = core("a", 1);
    a.receive(at(0), M, &beat(5, 1));
    ups(&mut a);
    for ms in (50..500).step_by(50) {
        a.turn(at(ms));
        a.timer(at(ms));
    }
    a.turn(at(499));
    a.timer(at(499));
    assert_eq!(statuses(&mut a, "b"), []);
    a.turn(at(500));
    a.timer(at(500));
    assert_eq!(statuses(&mut a, "b"), [NodeStatus::Dead]);
}

#[test]
fn what_is_not_to_be_believed_is_dropped_and_counted_by_cause() {
    let good = beat(5, 1);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let foreign = {
        let message = Message::new("status")
            .with("src", "b")
            .with("seq", "1")
            .with("hg", "5")
            .with("ts", "1");
        auth::seal_netstring(&message, &keys("auth 1\n1 sha1 other\n"), false)
    };
    let unknown_key = {
        let message = Message::new("status")
            .with("src", "b")
            .with("seq", "1")
            .with("hg", "5")
            .with("ts", "1");
        auth::seal_netstring(&message, &keys("auth 2\n2 sha1 secret\n"), false)
    };
    let stranger = {
        let message = Message::new("status")
            .with("src", "x")
            .with("seq", "1")
            .with("hg", "5")
            .with("ts", "1");
        auth::seal_netstring(&message, &keys("auth 1\n1 sha1 secret\n"), false)
    };
    let nameless = {
        let message = Message::new("status").with("seq", "1").with("hg", "5").with("ts", "1");
        auth::seal_netstring(&message, &keys("auth 1\n1 sha1 secret\n"), false)
    };
    #[rustfmt::skip]
    let table: [(&str, Vec<u8>, &str); 8] = [
        ("junk",          b"hello".to_vec(),            "bad_packets_malformed"),
        ("nothing",       Vec::new(),                   "bad_packets_malformed"),
        ("too long",      vec![b'#'; 300 * 1024],       "bad_packets_malformed"),
        ("a flipped bit", flipped,                      ""),
        ("wrong key",     foreign,                      "bad_packets_wrong_signature"),
        ("unknown key",   unknown_key,                  "bad_packets_unknown_key"),
        ("unknown node",  stranger,                     "bad_packets_unknown_node"),
        ("no sender",     nameless,                     "bad_packets_incomplete"),
    ];
    for (what, bytes, cause) in table {
        let mut a = core("a", 1);
        ups(&mut a);
        a.receive(at(10), M, &bytes);
        assert_eq!(ups(&mut a), [], "{what} had an effect");
        if !cause.is_empty() {
            assert_eq!(
                count(&a, cause),
                1,
                "{what}: {:?}",
                a.counters().list().collect::<Vec<_>>()
            );
        }
    }
    let mut a = core("a", 1);
    a.receive(at(10), M, &good);
    assert_eq!(statuses(&mut a, "b"), [NodeStatus::Active]);
}

#[test]
fn a_replayed_packet_neither_counts_twice_nor_wakes_the_dead() {
    let mut a = core("a", 1);
    let old = beat(5, 7);
    a.receive(at(0), M, &old);
    a.receive(at(10), M, &beat(5, 8));
    ups(&mut a);
    a.receive(at(20), M, &old);
    assert_eq!((ups(&mut a), count(&a, "stale_packets")), (vec![], 1));
    for ms in (100..=520).step_by(10) {
        a.turn(at(ms));
        a.timer(at(ms));
    }
    assert_eq!(statuses(&mut a, "b"), [NodeStatus::Dead]);
    a.receive(at(530), M, &beat(5, 8));
    assert_eq!(ups(&mut a), [], "the newest packet of a dead node is a replay as well");
    a.receive(at(540), M, &beat(4, 900));
    assert_eq!((ups(&mut a), count(&a, "bad_packets_replayed")), (vec![], 1));
    a.receive(at(550), M, &beat(5, 9));
    let seen = ups(&mut a);
    assert!(seen.iter().any(|u| matches!(u, Up::Returned { .. })), "{seen:?}");
    a.receive(at(560), M, &beat(6, 1));
    let seen = ups(&mut a);
    assert!(seen.iter().any(|u| matches!(u, Up::Restarted { .. })), "{seen:?}");
}

#[test]
fn a_lost_message_is_asked_for_and_sent_again() {
    let (mut a, mut b) = (core("a", 1), core("b", 1));
    exchange(at(1), &mut a, &mut b);
    ups(&mut b);
    a.send(at(5), Message::new("precious").with("info", "one"));
    sent(&mut a);
    a.send(at(6), Message::new("precious").with("info", "two"));
    for (medium, bytes) in sent(&mut a) {
        b.receive(at(6), medium, &bytes);
    }
    assert!(b.has_gaps(&"a".parse().unwrap()));
    let ask_at = b.deadline();
    assert!(ask_at <= Instant::from_millis(66), "{ask_at:?}");
    let now = Now {
        mono: ask_at,
        wall: Wall(1),
    };
    b.timer(now);
    for (medium, bytes) in sent(&mut b) {
        a.receive(now, medium, &bytes);
    }
    for (medium, bytes) in sent(&mut a) {
        b.receive(now, medium, &bytes);
    }
    let got: Vec<String> = ups(&mut b)
        .into_iter()
        .filter_map(|u| match u {
            Up::Message { message, .. } if message.kind() == "precious" => message.get("info").map(str::to_owned),
            _ => None,
        })
        .collect();
    assert_eq!(got, ["two", "one"]);
    assert!(!b.has_gaps(&"a".parse().unwrap()));
    assert_eq!(count(&a, "retransmissions"), 1);
}

#[test]
fn what_is_no_longer_kept_is_refused_and_given_up() {
    let (mut a, mut b) = (core("a", 1), core("b", 1));
    exchange(at(1), &mut a, &mut b);
    a.send(at(5), Message::new("lost"));
    sent(&mut a);
    for n in 0..240u64 {
        a.send(at(6 + n / 2), Message::new("more"));
        for (medium, bytes) in sent(&mut a) {
            b.receive(at(6 + n / 2), medium, &bytes);
        }
        sent(&mut b);
    }
    // The history forgets it before anybody asks.
    for n in 0..300u64 {
        a.send(at(130 + n / 2), Message::new("more"));
        for (medium, bytes) in sent(&mut a) {
            b.receive(at(130 + n / 2), medium, &bytes);
        }
    }
    assert!(b.has_gaps(&"a".parse().unwrap()));
    b.timer(at(300));
    for (medium, bytes) in sent(&mut b) {
        a.receive(at(300), medium, &bytes);
    }
    for (medium, bytes) in sent(&mut a) {
        b.receive(at(300), medium, &bytes);
    }
    assert!(!b.has_gaps(&"a".parse().unwrap()));
    assert_eq!(count(&b, "lost_for_good"), 1);
}

#[test]
fn a_message_for_another_node_is_counted_but_not_handed_up() {
    let mut a = core("a", 1);
    a.receive(at(0), M, &beat(5, 1));
    ups(&mut a);
    a.receive(at(1), M, &packet(5, 2, "note", &[("dest", "b")]));
    a.receive(at(2), M, &packet(5, 3, "note", &[("dest", "A")]));
    let kinds: Vec<u64> = ups(&mut a)
        .into_iter()
        .filter_map(|u| match u {
            Up::Message { seq, message, .. } if message.kind() == "note" => Some(seq.0),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [3], "node names are compared without case");
    assert!(!a.has_gaps(&"b".parse().unwrap()));
}

#[test]
fn a_link_is_up_with_a_packet_and_dead_after_the_silence_of_its_node() {
    let mut a = core("a", 1);
    a.receive(at(0), M, &beat(5, 1));
    let link = |up: bool| Up::Link {
        node: "b".parse().unwrap(),
        link: "eth0".parse::<LinkName>().unwrap(),
        up,
    };
    assert!(ups(&mut a).contains(&link(true)));
    for ms in (100..=500).step_by(100) {
        a.turn(at(ms));
        a.timer(at(ms));
    }
    assert!(ups(&mut a).contains(&link(false)));
}

#[test]
fn time_in_which_this_node_slept_is_not_held_against_its_peers() {
    let mut a = core("a", 1);
    a.receive(at(0), M, &beat(5, 1));
    a.turn(at(100));
    a.timer(at(100));
    ups(&mut a);
    // Frozen for ten seconds.
    a.turn(at(10_100));
    a.timer(at(10_100));
    let seen = ups(&mut a);
    assert!(seen.iter().any(|u| matches!(u, Up::Woke { .. })), "{seen:?}");
    assert!(
        !seen.iter().any(|u| matches!(u, Up::Status { .. })),
        "nobody is judged at once: {seen:?}"
    );
    for ms in (10_150..10_700).step_by(50) {
        a.turn(at(ms));
        a.timer(at(ms));
    }
    assert_eq!(statuses(&mut a, "b"), [NodeStatus::Dead]);
}

#[test]
fn a_beat_of_a_successor_may_be_late_and_one_of_a_node_that_was_given_up_or_said_goodbye_is_not() {
    let figures = |a: &Core| {
        let b = a.nodes().iter().find(|n| n.name.as_str() == "b").unwrap();
        (b.late_beats, b.longest_interval.as_millis())
    };
    let mut a = core("a", 1);
    a.receive(at(0), M, &beat(5, 1));
    // One of its processes was killed: the next life is heard a moment later, or much later.
    a.receive(at(150), M, &beat(6, 1));
    assert_eq!(figures(&a), (0, 150));
    a.receive(at(600), M, &beat(7, 1));
    assert_eq!(figures(&a), (1, 450));
    assert_eq!(count(&a, "late_heartbeats"), 0, "3.0.6 says nothing of it");
    a.receive(at(700), M, &beat(7, 2));
    assert_eq!(figures(&a), (1, 450));
    a.receive(at(1150), M, &beat(7, 3));
    assert_eq!((figures(&a), count(&a, "late_heartbeats")), ((2, 450), 1));
    // Given up, and started anew.
    a.turn(at(1200));
    for ms in (1250..9000).step_by(50) {
        a.turn(at(ms));
        a.timer(at(ms));
    }
    a.receive(at(9000), M, &beat(8, 1));
    assert_eq!(figures(&a).0, 2);
    // An orderly stop.
    a.receive(at(9100), M, &packet(8, 2, "status", &[("st", "dead")]));
    a.receive(at(9600), M, &beat(9, 1));
    assert_eq!(figures(&a).0, 2);
}

#[test]
fn a_peer_cannot_announce_a_death_time_of_hours() {
    let mut a = core("a", 1);
    a.receive(
        at(0),
        M,
        &packet(5, 1, "status", &[("st", "active"), ("dt", "ffffffff")]),
    );
    let node = a.nodes().iter().find(|n| n.name == *"b").unwrap();
    assert_eq!(node.dt, Duration::from_secs(65));
    a.receive(at(1), M, &packet(5, 2, "status", &[("st", "active"), ("dt", "1")]));
    let node = a.nodes().iter().find(|n| n.name == *"b").unwrap();
    assert_eq!(node.dt, Duration::from_millis(200));
}

#[test]
fn a_second_machine_with_our_name_is_told_of() {
    let mut a = core("a", 1);
    let message = Message::new("status")
        .with("src", "a")
        .with("seq", "1")
        .with("hg", "9")
        .with("ts", "1");
    let bytes = auth::seal_netstring(&message, &keys("auth 1\n1 sha1 secret\n"), false);
    a.receive(at(0), M, &bytes);
    assert_eq!(count(&a, "own_name_used_by_another"), 1);
}

#[test]
fn in_a_ring_of_serial_lines_each_message_goes_round_once() {
    let cf = "keepalive 1\ndeadtime 10\nauto_failback on\nserial /dev/ttyS0\nserial /dev/ttyS1\nnode a b c\n";
    let make = |me: &str| Core::new(at(0), &settings(me, cf, 1));
    let mut ring = [make("a"), make("b"), make("c")];
    // Port 1 of each node leads to port 0 of the next one.
    let mut passed = 0;
    for core in &mut ring {
        sent(core);
        ups(core);
    }
    ring[0].send(at(5), Message::new("round").with("info", "hello"));
    for _ in 0..20 {
        for i in 0..3 {
            for (medium, bytes) in sent(&mut ring[i]) {
                passed += 1;
                let (to, port) = if medium.0 == 1 {
                    ((i + 1) % 3, 0)
                } else {
                    ((i + 2) % 3, 1)
                };
                ring[to].receive(at(6), MediumId(port), &bytes);
            }
        }
    }
    for core in &mut ring[1..] {
        let got = ups(core)
            .iter()
            .filter(|u| matches!(u, Up::Message { message, .. } if message.kind() == "round"))
            .count();
        assert_eq!(got, 1, "node {}", core.me());
    }
    assert!((4..=6).contains(&passed), "{passed} packets for one message");
}

#[test]
fn a_broken_medium_is_not_written_to_and_the_other_one_goes_on() {
    let cf = CF.replace("bcast eth0", "bcast eth0 eth1");
    let mut a = Core::new(at(0), &settings("a", &cf, 1));
    sent(&mut a);
    a.medium_broken(MediumId(0), "interface eth0 does not exist".to_owned());
    a.send(at(1), Message::new("x"));
    assert_eq!(sent(&mut a).iter().map(|(m, _)| m.0).collect::<Vec<_>>(), [1]);
    assert_eq!(a.media().filter(|(_, _, broken)| broken.is_some()).count(), 1);
    a.medium_mended(MediumId(0));
    a.send(at(2), Message::new("x"));
    assert_eq!(sent(&mut a).len(), 2);
}

#[test]
fn a_reload_keeps_what_is_known_and_tells_a_new_deadtime_at_once() {
    let (mut a, mut b) = (core("a", 1), core("b", 1));
    exchange(at(1), &mut a, &mut b);
    let new = settings("a", &CF.replace("deadtime 500ms", "deadtime 900ms"), 1);
    let changed = a.reconfigure(at(5), new.cf, new.keys);
    assert!(!changed, "the media are the same");
    for (medium, bytes) in sent(&mut a) {
        b.receive(at(5), medium, &bytes);
    }
    let node = b.nodes().iter().find(|n| n.name == *"a").unwrap();
    assert_eq!((node.dt, node.status), (Duration::from_millis(900), NodeStatus::Active));
    assert_eq!(
        a.nodes().iter().find(|n| n.name == *"b").unwrap().status,
        NodeStatus::Active
    );
}

#[test]
fn clients_wait_while_a_peer_does_not_acknowledge_and_go_on_when_it_does() {
    let mut a = core("a", 1);
    let talk = || Message::new("talk").with("x", "1");
    let ack = |seq: u64| packet(1, 2, "NS_ackmsg", &[("dest", "a"), ("ackseq", &format!("{seq:x}"))]);
    assert_eq!(a.room_for_clients(at(1)), 250, "nobody is heard yet");
    let beat = packet(1, 1, "status", &[("st", "active"), ("protocol", "1")]);
    a.receive(at(10), MediumId(0), &beat);
    assert_eq!(
        a.room_for_clients(at(10)),
        250,
        "what was said before it came is not for it"
    );
    for left in (0..250).rev() {
        a.send_for_client(at(20), talk()).unwrap();
        assert_eq!(a.room_for_clients(at(20)), left);
    }
    let newest = a.history.newest().0;
    a.receive(at(30), MediumId(0), &ack(newest + 1));
    assert_eq!(a.room_for_clients(at(30)), 0, "it cannot have what was never sent");
    a.receive(at(30), MediumId(0), &ack(newest - 100));
    assert_eq!(a.room_for_clients(at(30)), 150);
    // Few, but large.
    for _ in 0..9 {
        a.send_for_client(at(40), talk().with("x", "x".repeat(59_000))).unwrap();
    }
    assert_eq!(a.room_for_clients(at(40)), 0);
    a.receive(at(50), MediumId(0), &ack(newest + 9));
    assert_eq!(a.room_for_clients(at(50)), 250);
    // One that hears nothing of us any more, while we hear it, holds nobody up for ever.
    for _ in 0..300 {
        a.send_for_client(at(55), talk()).unwrap();
    }
    let (patience, newest) = (500 + 20 * 100, a.history.newest().0);
    assert_eq!(a.room_for_clients(at(50 + patience)), 0);
    assert_eq!(a.room_for_clients(at(50 + patience + 1)), 250);
    a.receive(at(60 + patience), MediumId(0), &ack(newest - 100));
    assert_eq!(a.room_for_clients(at(60 + patience)), 150, "it hears us again");
    a.receive(at(60 + patience), MediumId(0), &ack(newest));
    let too_large = a.send_for_client(at(60), talk().with("x", "x".repeat(60_001)));
    assert!(too_large.unwrap_err().starts_with("EMSGSIZE"));
    // A node of an old version acknowledges nothing and is not waited for.
    let old = packet(1, 3, "status", &[("st", "active")]);
    a.receive(at(70), MediumId(0), &old);
    for _ in 0..300 {
        a.send_for_client(at(80), talk()).unwrap();
    }
    assert_eq!(a.room_for_clients(at(80)), 250);
}

/// A packet of any node with any uuid.
fn from(src: &str, uuid: u8, generation: u64, seq: u64, kind: &str, more: &[(&str, &str)]) -> Vec<u8> {
    signed("secret", src, uuid, generation, seq, kind, more)
}

fn signed(key: &str, src: &str, uuid: u8, generation: u64, seq: u64, kind: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut message = Message::new(kind);
    for (name, value) in more {
        message.set(name, *value);
    }
    let message = message
        .with("src", src)
        .with("srcuuid", Value::Binary(vec![uuid; 16]))
        .with("seq", format!("{seq:x}"))
        .with("hg", format!("{generation:x}"))
        .with("ts", "f4240");
    auth::seal_netstring(&message, &keys(&format!("auth 1\n1 sha1 {key}\n")), true)
}

const UP: &[(&str, &str)] = &[("st", "active"), ("dt", "1f4"), ("protocol", "1")];

fn open_core(mode: &str) -> Core {
    Core::new(at(0), &settings("a", &format!("{CF}autojoin {mode}\n"), 1))
}

fn names(core: &Core) -> Vec<&str> {
    core.nodes().iter().map(|n| n.name.as_str()).collect()
}

#[test]
fn only_an_authentic_node_joins_and_only_where_autojoin_says_so() {
    #[rustfmt::skip]
    let table = [
        // mode    key       joins
        ("none",   "secret", false),
        ("other",  "secret", true),
        ("any",    "secret", true),
        ("any",    "wrong",  false),
    ];
    for (mode, key, joins) in table {
        let mut a = open_core(mode);
        a.receive(at(1), M, &signed(key, "c", 3, 5, 1, "status", UP));
        a.receive(at(1), M, b"###\nt=status\nsrc=c\n%%%\n");
        assert_eq!(names(&a).contains(&"c"), joins, "{mode} {key}");
        let seen = ups(&mut a);
        let status = seen
            .iter()
            .any(|u| matches!(u, Up::Status { node, status: NodeStatus::Active } if *node == *"c"));
        assert_eq!(status, joins, "{mode} {key}: {seen:?}");
    }
}

#[test]
fn a_hundred_nodes_join_and_no_more() {
    let mut a = open_core("any");
    for i in 0..200u8 {
        a.receive(at(1), M, &from(&format!("n{i}"), i.max(1), 5, 1, "status", UP));
    }
    assert_eq!(a.nodes().len(), 100);
    assert_eq!(count(&a, "bad_packets_unknown_node"), 102);
    let nodes = a.take_table(at(0).mono).expect("it changed").nodes;
    assert_eq!(nodes.lines().count(), 100);
    assert!(a.take_table(at(0).mono).is_none());
}

#[test]
fn what_was_remembered_is_there_after_a_start_and_the_deleted_stay_out() {
    let mut a = open_core("other");
    a.receive(at(1), M, &from("c", 3, 5, 1, "status", UP));
    a.receive(at(1), M, &from("d", 4, 5, 1, "status", UP));
    let Table { nodes, deleted, .. } = a.take_table(at(0).mono).expect("it changed");
    let read = |text: &str| hostcache::parse(Path::new("x"), text).value.unwrap();
    let mut again = settings("a", &format!("{CF}autojoin other\n"), 2);
    again.remembered = Remembered {
        nodes: read(&nodes),
        deleted: read(&deleted),
        peers: Vec::new(),
    };
    assert_eq!(names(&Core::new(at(0), &again)), ["a", "b", "c", "d"]);
    // A deleted node is not let in, one of ha.cf counts all the same, and resumed it does not.
    again.remembered.deleted = again.remembered.nodes.split_off(1);
    let mut fresh = Core::new(at(0), &again);
    fresh.receive(at(1), M, &from("c", 3, 5, 1, "status", UP));
    assert_eq!(names(&fresh), ["a", "b"]);
    again.resumed = Some(Vec::new());
    assert_eq!(names(&Core::new(at(0), &again)), ["a"]);
    // Without autojoin what is remembered of strangers does not make them nodes.
    let mut none = settings("a", CF, 2);
    none.remembered.nodes = read(&nodes);
    assert_eq!(names(&Core::new(at(0), &none)), ["a", "b"]);
}

#[test]
fn a_second_machine_of_one_name_is_dropped_and_a_shared_uuid_is_told() {
    let mut a = core("a", 1);
    a.receive(at(1), M, &from("b", 7, 5, 1, "status", UP));
    a.receive(at(2), M, &from("b", 8, 5, 2, "status", UP));
    a.receive(at(3), M, &from("b", 8, 4, 9, "status", UP));
    assert_eq!(count(&a, "name_used_twice"), 2);
    assert_eq!(a.nodes()[1].uuid, Some([7; 16]));
    // A new generation may bring a new uuid: its files were lost.
    a.receive(at(4), M, &from("b", 8, 6, 1, "status", UP));
    assert_eq!((count(&a, "name_used_twice"), a.nodes()[1].uuid), (2, Some([8; 16])));
    a.receive(at(5), M, &from("b", b'a', 7, 1, "status", UP));
    assert_eq!(count(&a, "uuid_used_twice"), 1);
}

#[test]
fn commands_of_other_nodes_are_followed_or_refused() {
    let mut a = core("a", 1);
    a.receive(at(1), M, &beat(5, 1));
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    #[rustfmt::skip]
    let table: [Case; 8] = [
        ("addnode",   &[("nodelist", "c d ")],                &["a", "b", "c", "d"]),
        ("addnode",   &[("nodelist", "")],                    &["a", "b", "c", "d"]),
        ("delnode",   &[("nodelist", "a")],                   &["a", "b", "c", "d"]),
        ("delnode",   &[("nodelist", "b")],                   &["a", "b", "c", "d"]),
        ("delnode",   &[("nodelist", "d")],                   &["a", "b", "c"]),
        ("setweight", &[("node", "c"), ("weight", "7")],      &["a", "b", "c"]),
        ("setweight", &[("node", "c"), ("weight", "seven")],  &["a", "b", "c"]),
        ("setsite",   &[("node", "c"), ("site", "x\ty")],     &["a", "b", "c"]),
    ];
    for (seq, (kind, fields, nodes)) in (2..).zip(table) {
        a.receive(at(seq), M, &packet(5, seq, kind, fields));
        assert_eq!(names(&a), nodes, "{kind} {fields:?}");
    }
    assert_eq!((a.nodes()[2].weight, a.nodes()[2].site.as_str()), (7, ""));
    assert_eq!(count(&a, "bad_node_commands"), 5);
    assert!(a.nodes()[2].is_dead(), "nobody waits for it");
}

#[test]
fn a_node_command_is_refused_with_the_reason() {
    let mut a = core("a", 1);
    let add = Message::new("addnode").with("nodelist", "c");
    assert!(
        a.node_command(at(1), &add)
            .unwrap_err()
            .contains("node b does not hear of it")
    );
    a.receive(at(1), M, &beat(5, 1));
    assert!(a.node_command(at(2), &add).unwrap().contains("ha.cf of all nodes"));
    let delete = |who: &str| Message::new("delnode").with("nodelist", who);
    #[rustfmt::skip]
    let table = [
        ("a",  "is this node"),
        ("b",  "is not dead"),
        ("x",  "there is no node x"),
        ("",   "no node is named"),
    ];
    for (who, says) in table {
        let why = a.node_command(at(3), &delete(who)).unwrap_err();
        assert!(why.contains(says), "{who}: {why}");
    }
    a.set_pinned(vec!["c".parse().unwrap()]);
    assert!(a.node_command(at(3), &delete("c")).unwrap_err().contains("haresources"));
    a.set_pinned(Vec::new());
    assert_eq!(a.node_command(at(3), &delete("c")).unwrap(), "deleted node c");
    let told: Vec<String> = ups(&mut a)
        .into_iter()
        .filter_map(|u| match u {
            Up::Message { from, message, .. } if from == *"a" => Some(message.kind().to_owned()),
            _ => None,
        })
        .filter(|kind| kind.ends_with("node"))
        .collect();
    assert_eq!(told, ["addnode", "delnode"]);
}

#[test]
fn the_highest_number_of_all_is_a_number_like_others() {
    let mut a = core("a", 1);
    // One of ten is acknowledged.
    for behind in (0..10).rev() {
        a.receive(at(10), M, &beat(3, u64::MAX - behind));
    }
    a.receive(at(30), M, &beat(3, 1));
    a.timer(at(100));
    assert!(!a.nodes()[1].is_dead());
}
