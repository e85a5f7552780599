//! Two ipfails beside each other, with a network that is slow and partners that come late.

use super::*;
use proptest::prelude::*;

const BEAT: Duration = Duration::from_secs(1);
const DEADPING: Duration = Duration::from_secs(5);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn settings(goes_home: bool) -> Settings {
    Settings {
        keepalive: BEAT,
        deadping: DEADPING,
        goes_home,
    }
}

/// Two nodes, the groups of both, and messages that take 50 ms.
struct Pair {
    now: Instant,
    nodes: [Ipfail; 2],
    /// Which node holds the groups that prefer node 0, node 1.
    owner: [usize; 2],
    moves: usize,
    mail: Vec<(Instant, usize, Event)>,
}

impl Pair {
    fn new(goes_home: bool, pings: usize) -> Self {
        let mut pair = Self {
            now: at(0),
            nodes: [Ipfail::new(settings(goes_home)), Ipfail::new(settings(goes_home))],
            owner: [0, 1],
            moves: 0,
            mail: Vec::new(),
        };
        for node in 0..2 {
            pair.event(node, pair.holds(node));
            pair.event(node, Event::Pings(pings));
            pair.event(1 - node, Event::Partner { online: true });
        }
        pair.run(10_000);
        pair
    }

    fn holds(&self, node: usize) -> Event {
        let set = Set {
            local: self.owner[node] == node,
            foreign: self.owner[1 - node] == node,
        };
        Event::Holds { set, moving: false }
    }

    fn event(&mut self, node: usize, event: Event) {
        for action in self.nodes[node].handle(self.now, event) {
            let other = 1 - node;
            let event = match action {
                Action::Tell(n) => Event::Told(n),
                Action::TellWorse => Event::Worse,
                Action::TellEqual => Event::Equal,
                Action::GiveUp(set) => {
                    for group in 0..2 {
                        if self.owner[group] == node && set.holds(group == node) {
                            self.owner[group] = other;
                            self.moves += 1;
                        }
                    }
                    for n in [node, other] {
                        let holds = self.holds(n);
                        self.mail.push((self.now, n, holds));
                    }
                    continue;
                }
            };
            self.mail.push((self.now + Duration::from_millis(50), other, event));
        }
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let mail = self.mail.iter().map(|m| m.0).min().unwrap_or(Instant::NEVER);
            let timer = self.nodes[0].deadline().min(self.nodes[1].deadline());
            let next = mail.min(timer);
            if next > end {
                break;
            }
            assert!(next >= self.now || timer >= self.now, "a deadline in the past spins");
            self.now = self.now.max(next);
            if mail <= self.now {
                let i = self.mail.iter().position(|m| m.0 == mail).unwrap();
                let (_, node, event) = self.mail.remove(i);
                self.event(node, event);
            } else {
                for node in 0..2 {
                    if self.nodes[node].deadline() <= self.now {
                        self.event(node, Event::Timer);
                        assert!(self.nodes[node].deadline() > self.now, "a timer that stays due spins");
                    }
                }
            }
        }
        self.now = end;
    }
}

#[test]
fn s2_13_resources_go_to_the_node_that_hears_more() {
    for goes_home in [false, true] {
        let mut pair = Pair::new(goes_home, 2);
        pair.event(0, Event::Pings(1));
        pair.run(2900);
        assert_eq!(pair.owner, [0, 1], "not before it has settled");
        pair.run(1000);
        assert_eq!(pair.owner, [1, 1]);
        // It comes back: home with failback on, and in any case not more than one move.
        pair.event(0, Event::Pings(2));
        pair.run(60_000);
        assert_eq!(pair.owner, if goes_home { [0, 1] } else { [1, 1] });
        assert_eq!(pair.moves, 1 + usize::from(goes_home));
    }
}

#[test]
fn s2_13_a_ping_node_that_both_lose_moves_nothing() {
    for late in [0, 10, 900, 1900, 2800] {
        let mut pair = Pair::new(true, 1);
        pair.event(0, Event::Pings(0));
        pair.run(late);
        pair.event(1, Event::Pings(0));
        pair.run(100_000);
        pair.event(1, Event::Pings(1));
        pair.run(late);
        pair.event(0, Event::Pings(1));
        pair.run(100_000);
        assert_eq!((pair.owner, pair.moves), ([0, 1], 0), "{late} ms apart");
    }
}

#[test]
fn what_an_administrator_moved_is_not_sent_home() {
    let mut pair = Pair::new(true, 1);
    pair.owner = [1, 1];
    for node in 0..2 {
        pair.event(node, pair.holds(node));
    }
    pair.event(0, Event::Pings(0));
    pair.run(20_000);
    pair.event(0, Event::Pings(1));
    pair.run(100_000);
    assert_eq!((pair.owner, pair.moves), ([1, 1], 0));
}

#[test]
fn without_the_partners_number_nothing_is_moved() {
    let mut pair = Pair::new(true, 1);
    pair.event(0, Event::Partner { online: false });
    pair.mail.clear();
    pair.event(0, Event::Pings(0));
    pair.mail.clear();
    pair.run(100_000);
    assert_eq!(pair.moves, 0);
}

#[test]
fn a_ping_node_that_comes_and_goes_moves_less_and_less() {
    let mut pair = Pair::new(true, 1);
    for _ in 0..60 {
        pair.event(0, Event::Pings(0));
        pair.run(30_000);
        pair.event(0, Event::Pings(1));
        pair.run(30_000);
    }
    // An hour of it: every swing would be 120 moves.
    assert!(pair.moves <= 7, "{} moves", pair.moves);
    pair.run(700_000);
    assert_eq!(pair.owner, [0, 1], "and is at home when it is quiet again");
}

#[test]
fn a_partner_that_speaks_only_the_classics_words_is_understood() {
    let mut ours = Ipfail::new(settings(true));
    let hold = Event::Holds {
        set: Set::LOCAL,
        moving: false,
    };
    ours.handle(at(0), hold);
    assert_eq!(ours.handle(at(0), Event::Pings(0)), []);
    assert_eq!(ours.handle(at(1), Event::Partner { online: true }), [Action::Tell(0)]);
    // Its answer to our number when it hears more.
    assert_eq!(ours.handle(at(2), Event::Worse), []);
    assert_eq!(ours.deadline(), at(3002));
    assert_eq!(ours.handle(at(3002), Event::Timer), [Action::GiveUp(Set::ALL)]);
    // It lost its own in the meantime.
    assert_eq!(ours.handle(at(3500), Event::Equal), []);
    assert_eq!(ours.handle(at(3500), Event::Told(0)), [Action::TellEqual]);
    assert_eq!(ours.handle(at(3600), Event::Pings(1)), [Action::Tell(1)]);
    assert_eq!(ours.handle(at(3700), Event::Told(0)), [Action::TellWorse]);
}

#[test]
fn a_move_that_does_not_happen_is_asked_for_less_and_less() {
    let mut ours = Ipfail::new(settings(false));
    let hold = Event::Holds {
        set: Set::ALL,
        moving: false,
    };
    ours.handle(at(0), hold);
    ours.handle(at(0), Event::Pings(0));
    assert_eq!(ours.handle(at(0), Event::Told(1)), [Action::Tell(0)]);
    ours.handle(at(0), Event::Worse);
    let mut asked = Vec::new();
    let mut now = at(0);
    while now < at(3_600_000) {
        now = ours.deadline();
        for action in ours.handle(now, Event::Timer) {
            match action {
                Action::GiveUp(_) => asked.push(now.as_millis() / 1000),
                Action::Tell(_) => assert_eq!(ours.handle(now, Event::Worse), []),
                Action::TellWorse | Action::TellEqual => panic!("{action:?}"),
            }
        }
    }
    assert_eq!(asked[..5], [3, 33, 93, 213, 453]);
    assert!(asked.len() < 12, "{asked:?}");
}

#[test]
fn a_partner_that_does_not_answer_any_more_moves_nothing() {
    let mut ours = Ipfail::new(settings(true));
    let hold = Event::Holds {
        set: Set::ALL,
        moving: false,
    };
    ours.handle(at(0), hold);
    ours.handle(at(0), Event::Pings(2));
    ours.handle(at(1), Event::Told(2));
    ours.handle(at(2), Event::Pings(1));
    assert!(ours.deadline() > at(20_000), "only to tell it again");
    for now in [5_000, 20_000, 40_000] {
        assert!(!ours.handle(at(now), Event::Timer).contains(&Action::GiveUp(Set::ALL)));
    }
    assert_eq!(ours.handle(at(40_001), Event::Told(2)), [Action::Tell(1)]);
    assert_eq!(ours.handle(at(40_002), Event::Worse), [Action::GiveUp(Set::ALL)]);
}

proptest! {
    /// Whatever is lost and found, and when: it ends with each group on one node, the better one when there is one.
    #[test]
    fn it_always_comes_to_rest(steps in proptest::collection::vec((0..2usize, 0..3usize, 0..20_000u64), 0..40), home: bool) {
        let mut pair = Pair::new(home, 2);
        for &(node, pings, ms) in &steps {
            pair.event(node, Event::Pings(pings));
            pair.run(ms);
        }
        pair.run(1_300_000);
        let moves = pair.moves;
        let [a, b] = [pair.nodes[0].mine.unwrap(), pair.nodes[1].mine.unwrap()];
        match a.cmp(&b) {
            Ordering::Less => prop_assert_eq!(pair.owner, [1, 1]),
            Ordering::Greater => prop_assert_eq!(pair.owner, [0, 0]),
            Ordering::Equal => {}
        }
        pair.run(3_600_000);
        prop_assert_eq!(pair.moves, moves);
    }
}
