//! Ping nodes: asked with every beat, believed only with an answer to our own question, and members of nothing.

use super::*;
use crate::conf::ha_cf::NodeKind;

const WITH_PING: &str = "keepalive 100ms\ndeadtime 500ms\nwarntime 300ms\ninitdead 1\ndeadping 400ms\nauto_failback on\n\
    node a\nping 10.0.0.9\nnode b\nping_group gw 10.0.0.1 fd00::1\nbcast eth0\n";
const TARGET: MediumId = MediumId(0);
const GROUP: [MediumId; 2] = [MediumId(1), MediumId(2)];
const BCAST: MediumId = MediumId(3);

fn pinger(cf: &str) -> Core {
    Core::new(at(0), &settings("a", cf, 1))
}

fn question(core: &mut Core, medium: MediumId) -> Vec<u8> {
    let all = sent(core);
    let last = all.iter().rfind(|(m, _)| *m == medium).expect("it was asked");
    last.1.to_vec()
}

fn status_of(core: &Core, name: &str) -> NodeStatus {
    core.nodes().iter().find(|n| n.name == *name).expect("a node").status
}

fn link_changes(ups: &[Up], of: &str) -> Vec<bool> {
    let change = |u: &Up| match u {
        Up::Link { node, up, .. } if *node == *of => Some(*up),
        _ => None,
    };
    ups.iter().filter_map(change).collect()
}

#[test]
fn the_question_is_byte_for_byte_that_of_the_classic() {
    let cf = WITH_PING.replace("10.0.0.9", "10.66.0.250");
    let mut settings = settings("a", &cf, 1);
    settings.keys = keys("auth 1\n1 crc\n");
    let now = Now {
        mono: Instant::from_millis(0),
        wall: Wall(0x6b01_4e80),
    };
    let mut a = Core::new(now, &settings);
    // The vector "09-crc-ping-ipfail packet 5" of tests/data/captures.
    let classic = "###\n10:(0)t=NS_st,10:(0)st=ping,12:(0)info=ping,18:(0)src=10.66.0.250,14:(0)ts=6b014e80,\
        18:(0)auth=1 8dc677d4,%%%\n10:1 e00fdbd3,";
    assert_eq!(question(&mut a, TARGET), classic.as_bytes());
}

#[test]
fn it_is_alive_when_it_answers_dead_after_deadping_and_back_with_the_next_answer() {
    let mut a = pinger(WITH_PING);
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Init);
    let asked = question(&mut a, TARGET);
    a.receive(at(1), TARGET, &asked);
    let told = ups(&mut a);
    let alive = Up::Status {
        node: "10.0.0.9".parse().unwrap(),
        status: NodeStatus::Ping,
    };
    assert_eq!(told.iter().filter(|u| **u == alive).count(), 1);
    assert_eq!(link_changes(&told, "10.0.0.9"), [true]);
    a.timer(at(400));
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Ping);
    assert!(a.deadline() <= Instant::from_millis(401));
    a.timer(at(401));
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Dead);
    let told = ups(&mut a);
    assert_eq!(link_changes(&told, "10.0.0.9"), [false]);
    // It is asked all the same.
    a.timer(at(1500));
    let asked = question(&mut a, TARGET);
    a.receive(at(1501), TARGET, &asked);
    a.receive(at(1502), TARGET, &asked);
    assert_eq!(statuses(&mut a, "10.0.0.9"), [NodeStatus::Ping], "told once");
}

#[test]
fn one_host_keeps_a_group_alive() {
    let mut a = pinger(WITH_PING);
    let mut asked = sent(&mut a);
    asked.retain(|(m, _)| GROUP.contains(m));
    let ours: Vec<_> = asked.iter().filter(|(m, _)| *m == GROUP[1]).collect();
    let [.., (_, bytes)] = ours[..] else { panic!("asked") };
    assert!(
        asked.iter().any(|(m, b)| *m == GROUP[0] && b == bytes),
        "the same to every host"
    );
    let message = auth::open(bytes, &keys("auth 1\n1 sha1 secret\n")).unwrap();
    assert_eq!(
        (message.get("info"), message.get("src")),
        (Some("ping_group"), Some("gw"))
    );
    a.receive(at(1), GROUP[1], bytes);
    assert_eq!(status_of(&a, "gw"), NodeStatus::Ping);
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Init);
    let gw = a.nodes().iter().find(|n| n.name == *"gw").unwrap();
    let links: Vec<&str> = gw.links.keys().map(LinkName::as_str).collect();
    assert_eq!((links, gw.kind), (vec!["gw"], NodeKind::Ping));
}

#[test]
fn nothing_but_an_answer_to_our_own_question_is_believed() {
    let mut earlier = pinger(WITH_PING);
    let of_earlier = question(&mut earlier, TARGET);
    let now = |ms: u64| Now {
        mono: Instant::from_millis(ms),
        wall: Wall(2_000_000 + ms / 1000),
    };
    let mut a = Core::new(now(0), &settings("a", WITH_PING, 2));
    let all = sent(&mut a);
    let asked = |medium| all.iter().rfind(|(m, _)| *m == medium).unwrap().1.to_vec();
    let mut flipped = asked(TARGET);
    flipped[13] ^= 1;
    let forged = Message::new("NS_st")
        .with("st", "ping")
        .with("info", "ping")
        .with("src", "10.0.0.9")
        .with("ts", "1e8480");
    let forged = auth::seal_netstring(&forged, &keys("auth 1\n1 sha1 guessed\n"), true);
    let table: [(&str, MediumId, Vec<u8>); 6] = [
        ("one of an earlier life", TARGET, of_earlier),
        ("a flipped bit", TARGET, flipped),
        ("signed by somebody else", TARGET, forged),
        ("of another ping node", TARGET, asked(GROUP[0])),
        ("over the network of the cluster", BCAST, asked(TARGET)),
        ("nothing", TARGET, Vec::new()),
    ];
    for (what, medium, packet) in table {
        a.receive(now(1), medium, &packet);
        assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Init, "{what}");
    }
    // That of another ping node is not one: the two may be the same host, whose every socket hears all answers.
    assert_eq!(count(&a, "bad_packets_strange_echo"), 1);
    assert_eq!(count(&a, "bad_packets_wrong_signature"), 2);
    a.receive(now(2), TARGET, &asked(TARGET));
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Ping);
}

#[test]
fn an_answer_may_be_late_but_not_by_more_questions_than_are_remembered() {
    let mut a = pinger(WITH_PING);
    let first = question(&mut a, TARGET);
    for second in 1..16 {
        a.timer(at(second * 1000));
    }
    a.receive(at(15_500), TARGET, &first);
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Ping);
    a.timer(at(16_000));
    a.timer(at(16_500));
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Dead);
    a.receive(at(16_501), TARGET, &first);
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Dead);
}

#[test]
fn a_ping_node_delays_no_start_and_is_no_member() {
    let mut a = pinger(WITH_PING);
    let mut b = Core::new(at(0), &settings("b", WITH_PING, 1));
    // No ping is answered here.
    for ms in 1..5 {
        for _ in 0..3 {
            let cluster = |all: Vec<(MediumId, Arc<[u8]>)>| all.into_iter().filter(|(m, _)| *m == BCAST);
            let (from_a, from_b) = (sent(&mut a), sent(&mut b));
            cluster(from_a).for_each(|(m, bytes)| b.receive(at(ms), m, &bytes));
            cluster(from_b).for_each(|(m, bytes)| a.receive(at(ms), m, &bytes));
        }
        a.timer(at(ms));
        b.timer(at(ms));
    }
    assert_eq!((a.status(), b.status()), (NodeStatus::Active, NodeStatus::Active));
    let names: Vec<&str> = a.nodes().iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["a", "10.0.0.9", "b", "gw"], "in the order of ha.cf");
    let b_links: Vec<_> = a.nodes()[2].links.keys().map(LinkName::as_str).collect();
    assert_eq!(b_links, ["eth0"]);
    // Hops: hopfudge 1 and four nodes.
    a.timer(at(200));
    let beat = question(&mut a, BCAST);
    let beat = auth::open(&beat, &keys("auth 1\n1 sha1 secret\n")).unwrap();
    assert_eq!(beat.get("ttl"), Some("5"));
}

#[test]
fn a_reload_adds_and_removes_ping_nodes_and_leaves_the_others_alone() {
    let mut a = pinger(WITH_PING);
    let asked = question(&mut a, TARGET);
    a.receive(at(1), TARGET, &asked);
    let new = WITH_PING
        .replace("ping_group gw 10.0.0.1 fd00::1\n", "ping6 fd00::2\n")
        .replace("deadping 400ms", "deadping 900ms");
    let s = settings("a", &new, 1);
    assert!(a.reconfigure(at(100), s.cf, s.keys));
    let names: Vec<&str> = a.nodes().iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["a", "10.0.0.9", "b", "fd00::2"]);
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Ping);
    a.timer(at(900));
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Ping, "the new deadping counts");
    assert_eq!(status_of(&a, "fd00::2"), NodeStatus::Init);
    a.timer(at(1000));
    assert_eq!(status_of(&a, "fd00::2"), NodeStatus::Dead);
    assert_eq!(status_of(&a, "10.0.0.9"), NodeStatus::Dead);
}
