//! What was recorded and is played again, over restarts of either side.

use super::*;
use crate::conf::lives::Life;

fn life(generation: u64, seq: u64) -> Life {
    Life {
        name: "b".parse().unwrap(),
        generation: Generation(generation),
        seq: crate::ids::Seq(seq),
    }
}

/// A node `a` that heard so much of `b` before it was started anew.
fn restarted(past: Life) -> Core {
    let mut settings = settings("a", CF, 2);
    settings.remembered.peers = vec![past];
    Core::new(at(0), &settings)
}

fn status(core: &Core) -> NodeStatus {
    core.nodes().iter().find(|n| n.name == *"b").expect("in ha.cf").status
}

#[test]
fn what_was_heard_before_a_restart_is_old_after_it() {
    #[rustfmt::skip]
    let table = [
        // generation  number         believed  counted as
        (4,            u64::MAX / 2,  false,    "bad_packets_replayed"),
        (5,            1,             false,    "stale_packets"),
        (5,            99,            false,    "stale_packets"),
        (5,            100,           false,    "stale_packets"),
        (5,            101,           true,     ""),
        (5,            9000,          true,     ""),
        (6,            1,             true,     ""),
    ];
    for (generation, seq, believed, cause) in table {
        let mut a = restarted(life(5, 100));
        a.receive(at(1), M, &beat(generation, seq));
        let case = format!("{generation} {seq}");
        let want = if believed { NodeStatus::Active } else { NodeStatus::Init };
        assert_eq!(status(&a), want, "{case}");
        for name in ["bad_packets_replayed", "stale_packets"] {
            assert_eq!(count(&a, name), u64::from(name == cause), "{case}: {name}");
        }
        // Nothing between what was remembered and what came first is asked for.
        sent(&mut a);
        a.timer(at(400));
        assert_eq!(count(&a, "retransmission_requests_sent"), 0, "{case}");
        // An old one changes nothing about what is remembered, whatever it says.
        let mut text = format!("b\t{generation}\t{seq}\n");
        if !believed {
            text = "b\t5\t100\n".to_owned();
        }
        assert_eq!(a.table().peers, text, "{case}");
    }
}

#[test]
fn a_dead_peer_stays_dead_after_our_restart_whatever_is_played() {
    let mut a = restarted(life(5, 100));
    for (i, generation) in [3, 4, 5].iter().cycle().take(300).enumerate() {
        let now = at(10 * i as u64);
        a.receive(now, M, &beat(*generation, (i % 101) as u64));
        a.timer(now);
    }
    assert_eq!(status(&a), NodeStatus::Dead);
    assert_eq!(count(&a, "deaths"), 1);
    assert!(a.nodes().iter().all(|n| n.name != *"b" || n.heard.is_none()));
    // The true one comes back.
    a.receive(at(3000), M, &beat(6, 1));
    assert_eq!(status(&a), NodeStatus::Active);
    assert_eq!(a.table().peers, "b\t6\t1\n");
}

#[test]
fn a_new_life_and_a_death_are_remembered_at_once_and_numbers_now_and_then() {
    let mut a = core("a", 1);
    let peers = |a: &mut Core, ms| a.take_table(at(ms).mono).map(|t| t.peers);
    let _ = peers(&mut a, 0);
    assert_eq!(peers(&mut a, 1), None);
    a.receive(at(2), M, &beat(5, 7));
    assert_eq!(peers(&mut a, 2).as_deref(), Some("b\t5\t7\n"));
    a.receive(at(100), M, &beat(5, 8));
    assert_eq!(peers(&mut a, 100), None);
    assert_eq!(peers(&mut a, 10_001), None);
    assert_eq!(peers(&mut a, 10_002).as_deref(), Some("b\t5\t8\n"));
    assert_eq!(peers(&mut a, 10_003), None);
    a.receive(at(10_100), M, &beat(5, 9));
    a.timer(at(10_599));
    assert_eq!(peers(&mut a, 10_599), None);
    a.timer(at(10_600));
    assert_eq!(status(&a), NodeStatus::Dead);
    assert_eq!(peers(&mut a, 10_600).as_deref(), Some("b\t5\t9\n"));
    a.receive(at(11_000), M, &beat(6, 1));
    assert_eq!(peers(&mut a, 11_000).as_deref(), Some("b\t6\t1\n"));
}

#[test]
fn an_acknowledgement_of_an_earlier_life_frees_nothing() {
    let mut a = core("a", 9);
    a.receive(at(1), M, &beat(5, 1));
    for n in 0..20 {
        a.send(at(2 + n), Message::new("x"));
    }
    let acked = |a: &Core| a.nodes().iter().find(|n| n.name == *"b").map(|n| n.acked.0);
    let before = acked(&a);
    let ack = |more: &[(&str, &str)]| {
        let fields = [&[("dest", "a"), ("ackseq", "10")], more].concat();
        packet(5, 0, "NS_ackmsg", &fields)
    };
    a.receive(at(50), M, &ack(&[("hb_life", "8")]));
    assert_eq!((acked(&a), count(&a, "stale_packets")), (before, 1));
    // Of this life; the classic does not say which.
    a.receive(at(51), M, &ack(&[("hb_life", "9")]));
    assert_eq!(acked(&a), Some(0x10));
    let mut b = core("a", 9);
    b.receive(at(1), M, &beat(5, 1));
    for n in 0..20 {
        b.send(at(2 + n), Message::new("x"));
    }
    b.receive(at(51), M, &ack(&[]));
    assert_eq!(acked(&b), Some(0x10));
}
