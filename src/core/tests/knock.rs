//! How two halves find each other again between the beats, and what a recorded knock can do: make us beat.

use super::*;

const SLOW: &str = "keepalive 2\ndeadtime 10\ninitdead 10\nauto_failback on\nbcast eth0\nserial /dev/ttyS0\nnode a b\n";

/// `a` and `b` have been together and have given each other up at 20 s.
fn apart() -> (Core, Core) {
    let make = |me: &str| Core::new(at(0), &settings(me, SLOW, 1));
    let (mut a, mut b) = (make("a"), make("b"));
    exchange(at(0), &mut a, &mut b);
    for core in [&mut a, &mut b] {
        for ms in [2000, 4000, 6000, 8000, 10_000, 12_000, 14_000, 16_000, 18_000, 20_000] {
            core.turn(at(ms));
            core.timer(at(ms));
        }
        sent(core);
        ups(core);
    }
    (a, b)
}

fn kinds(packets: &[(MediumId, Arc<[u8]>)]) -> Vec<(usize, String)> {
    let keys = keys("auth 1\n1 sha1 secret\n");
    packets
        .iter()
        .map(|(medium, bytes)| (medium.0, auth::open(bytes, &keys).unwrap().kind().to_owned()))
        .collect()
}

#[test]
fn while_a_node_is_dead_it_is_asked_ten_times_a_beat_and_not_over_serial_lines() {
    let (mut a, _) = apart();
    assert_eq!(a.deadline(), Instant::from_millis(20_200));
    let mut knocks = 0;
    for ms in (20_200..22_000).step_by(200) {
        a.turn(at(ms));
        a.timer(at(ms));
        let knock = kinds(&sent(&mut a));
        assert_eq!(knock, [(0, "NS_hb_knock".to_owned())]);
        knocks += 1;
    }
    assert_eq!(knocks, 9);
    a.timer(at(22_000));
    assert_eq!(
        kinds(&sent(&mut a)),
        [(0, "status".to_owned()), (1, "status".to_owned())]
    );
}

#[test]
fn nobody_knocks_while_all_live_and_the_classic_never() {
    let mut a = core("a", 1);
    a.receive(at(10), M, &beat(3, 1));
    a.timer(at(10));
    assert_eq!(a.deadline(), Instant::from_millis(100), "the next beat");

    let mut classic = core("a", 1).without_knocking();
    for ms in (100..=1000).step_by(100) {
        classic.timer(at(ms));
    }
    assert!(classic.nodes()[1].is_dead());
    assert_eq!(classic.deadline(), Instant::from_millis(1100), "the next beat");
}

#[test]
fn a_knock_is_answered_with_a_beat_that_both_believe() {
    let (mut a, mut b) = apart();
    a.timer(at(20_200));
    for (medium, bytes) in sent(&mut a) {
        b.receive(at(20_200), medium, &bytes);
    }
    let still: Vec<NodeStatus> = statuses(&mut b, "a");
    assert_eq!(still, [], "a knock alone revives nobody");
    for (medium, bytes) in sent(&mut b) {
        a.receive(at(20_200), medium, &bytes);
    }
    assert_eq!(statuses(&mut a, "b"), [NodeStatus::Active]);
}

#[test]
fn a_recorded_knock_makes_a_node_beat_no_more_often_than_it_knocks_and_only_for_a_dead_one() {
    let (mut a, _) = apart();
    let knock = packet(1, 0, "NS_hb_knock", &[]);
    let mut beats = 0;
    for ms in 20_001..21_000 {
        a.receive(at(ms), M, &knock);
        beats += kinds(&sent(&mut a))
            .iter()
            .filter(|(m, k)| *m == 0 && k == "status")
            .count();
    }
    assert_eq!(beats, 4, "one in 200 ms");
    assert!(a.nodes()[1].is_dead());

    let mut alive = core("a", 1);
    alive.receive(at(60), M, &beat(3, 1));
    sent(&mut alive);
    alive.receive(at(90), M, &packet(3, 0, "NS_hb_knock", &[]));
    assert_eq!(kinds(&sent(&mut alive)), []);
}
