//! What one node does with what its lookout sees; the other node is a script of messages.

use super::fencing::FenceVerb;
use super::lookout::{Ask, Sighting};
use super::manager::{Groups, Order};
use super::tickle::KIND;
use crate::conf::{HaCf, Haresources, ha_cf, haresources};
use crate::core::{NodeStatus, Up};
use crate::groups::job::{Exit, Outcome};
use crate::ids::{Generation, JobId, NodeName, Seq};
use crate::msg::Message;
use crate::time::{Duration, Instant, Now, Wall};
use crate::wire::Mac;
use std::path::Path;
use std::sync::Arc;

const STRANGER: Mac = Mac([2, 0xba, 0xd, 0, 0, 1]);

/// Node a of a and b; `b 10.0.0.1` and `a 10.0.0.2` in haresources. Scripts work at once.
struct Node {
    groups: Groups,
    now: Now,
    seq: u64,
    /// The device is at work.
    reset: Option<JobId>,
}

/// `takeover_if_vip_answers` and whatever else.
fn files(more: &str) -> (HaCf, Haresources) {
    let [me, other]: [NodeName; 2] = ["a", "b"].map(|n| n.parse().unwrap());
    let text = format!("keepalive 500ms\ndeadtime 5\nauto_failback on\nnode a b\nbcast eth0\nvip_lease off\n{more}");
    let cf = ha_cf::parse(Path::new("ha.cf"), &text, &me).value.expect("a good file");
    let lines = "b 10.0.0.1 web\na 10.0.0.2\n";
    let groups = haresources::parse(Path::new("haresources"), lines, &[me, other]);
    (cf, groups.value.expect("good groups"))
}

fn good(output: &str) -> Outcome {
    Outcome {
        exit: Exit::Code(0),
        output: output.into(),
        took: Duration::ZERO,
    }
}

fn at(ms: u64) -> Now {
    Now {
        mono: Instant::from_millis(ms),
        wall: Wall(1_000_000 + ms / 1000),
    }
}

fn b() -> NodeName {
    "b".parse().unwrap()
}

impl Node {
    /// Active, and b too, which has its own group.
    fn beside_b(cf: &str) -> Self {
        let (cf, haresources) = files(cf);
        let mut node = Self {
            groups: Groups::new(at(0), "a".parse().unwrap(), &cf, haresources, None),
            now: at(0),
            seq: 0,
            reset: None,
        };
        node.status("b", NodeStatus::Active);
        node.b_has("10.0.0.1 running f4240");
        node.status("a", NodeStatus::Active);
        node.settle();
        node
    }

    fn status(&mut self, node: &str, status: NodeStatus) {
        let node = node.parse().unwrap();
        self.groups.up(self.now, &Up::Status { node, status });
    }

    fn b_says(&mut self, message: Message) {
        self.seq += 1;
        let up = Up::Message {
            from: b(),
            generation: Generation(1),
            seq: Seq(self.seq),
            message: Arc::new(message),
        };
        self.groups.up(self.now, &up);
    }

    fn b_has(&mut self, claims: &str) {
        let message = Message::new("resource").with("isstable", "1").with("rsc_hold", "local");
        self.b_says(message.with("hb_groups", claims));
    }

    fn b_tells(&mut self, n: usize, parts: usize, list: &str) {
        let message = Message::new(KIND)
            .with("hb_part", n.to_string())
            .with("hb_parts", parts.to_string());
        let message = message.with("hb_conns", list);
        self.groups.up(self.now, &Up::Aside { from: b(), message });
        self.settle();
    }

    fn b_dies(&mut self) -> Vec<String> {
        self.status("b", NodeStatus::Dead);
        self.settle()
    }

    /// What is ordered until nothing is, in words.
    fn settle(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        loop {
            self.groups.settle(self.now, &|_| true);
            let orders = self.groups.take_orders();
            if orders.is_empty() {
                return words;
            }
            for order in orders {
                match order {
                    Order::Run { job, command } => {
                        words.push(format!("{} {}", command.verb.as_str(), command.resource.name));
                        self.groups.job_ended(self.now, job, &good("stopped"));
                    }
                    Order::Lookout(Ask::Watch { .. }) => {}
                    Order::Lookout(Ask::Whether { number, addresses }) => {
                        words.push(format!("ask {number} {}", addresses.join(" ")));
                        // At its own start, before b is dead, nobody is in the way.
                        if number == 1 {
                            let answers = Vec::new();
                            self.groups.sighted(self.now, Sighting::Answered { number, answers });
                        }
                    }
                    Order::Lookout(Ask::Announce { addresses }) => {
                        words.push(format!("announce {}", addresses.join(" ")))
                    }
                    Order::Lookout(Ask::Tickle { connections }) => {
                        let ends = connections.iter().map(|(ours, theirs)| format!("{ours}={theirs}"));
                        words.push(format!("tickle {}", ends.collect::<Vec<_>>().join(" ")));
                    }
                    Order::Send(message) if message.kind() == "ask_resources" => words.push("gives".into()),
                    Order::Fence { job, command } => {
                        if command.verb == FenceVerb::Reset {
                            words.push(format!("reset {}", command.node.expect("a reset names its node")));
                            self.reset = Some(job);
                        } else {
                            self.groups.job_ended(self.now, job, &good("a b\n"));
                        }
                    }
                    Order::Send(_)
                    | Order::SendAside(_)
                    | Order::Tell(_)
                    | Order::Renew { .. }
                    | Order::Drop { .. }
                    | Order::Remember { .. }
                    | Order::Stopped => {}
                }
            }
        }
    }

    /// The device has done its work, or failed.
    fn reset_ends(&mut self, exit: Exit) -> Vec<String> {
        let outcome = Outcome { exit, ..good("") };
        let job = self.reset.take().expect("a reset is under way");
        self.groups.job_ended(self.now, job, &outcome);
        self.settle()
    }

    fn go(&mut self, ms: u64) -> Vec<String> {
        self.now = at(ms);
        self.settle()
    }

    fn sees(&mut self, sighting: Sighting) -> Vec<String> {
        self.groups.sighted(self.now, sighting);
        self.settle()
    }

    fn answered(&mut self, number: u64, by: &[Mac]) -> Vec<String> {
        let answers = by.iter().map(|mac| ("10.0.0.1".to_owned(), *mac)).collect();
        self.sees(Sighting::Answered { number, answers })
    }

    fn lost(&mut self) -> Vec<String> {
        let address = "10.0.0.2".to_owned();
        self.sees(Sighting::Lost { address })
    }

    fn foreign(&mut self) -> Vec<String> {
        self.sees(Sighting::Foreign {
            address: "10.0.0.2".into(),
            mac: STRANGER,
            interface: "eth0".into(),
            times: 3,
        })
    }

    fn count(&self, name: &str) -> u64 {
        self.groups
            .lookout_counts()
            .find(|(n, _)| *n == name)
            .expect("it is one")
            .1
    }
}

const TAKEN: [&str; 3] = ["start 10.0.0.1", "status web", "start web"];

#[test]
fn what_a_dead_node_had_is_asked_for_and_then_taken() {
    let mut a = Node::beside_b("");
    assert_eq!(a.b_dies(), ["ask 2 10.0.0.1"]);
    assert_eq!(a.go(8), [""; 0]);
    assert_eq!(a.answered(1, &[]), [""; 0], "an answer to an older question");
    assert_eq!(a.answered(2, &[]), TAKEN);
    assert_eq!(a.count("answered_takeovers"), 0);
}

#[test]
fn a_lookout_that_does_not_answer_is_not_waited_for() {
    let mut a = Node::beside_b("");
    a.b_dies();
    assert_eq!(a.go(499), [""; 0]);
    assert_eq!(a.groups.deadline(), Instant::from_millis(500));
    assert_eq!(a.go(500), TAKEN);
}

#[test]
fn what_is_answered_for_is_taken_loudly_or_not_at_all() {
    let mut a = Node::beside_b("");
    a.b_dies();
    assert_eq!(a.answered(2, &[STRANGER]), TAKEN);
    assert_eq!(a.count("answered_takeovers"), 1);

    let mut a = Node::beside_b("takeover_if_vip_answers off\n");
    a.b_dies();
    assert_eq!(a.answered(2, &[STRANGER]), [""; 0]);
    assert_eq!(a.go(999), [""; 0]);
    assert_eq!(a.go(1_000), ["ask 3 10.0.0.1"], "once a second");
    assert_eq!(a.answered(3, &[STRANGER]), [""; 0]);
    assert_eq!(a.go(2_000), ["ask 4 10.0.0.1"]);
    assert_eq!(a.answered(4, &[]), TAKEN);
    assert_eq!(a.count("answered_takeovers"), 0);

    let mut a = Node::beside_b("takeover_if_vip_answers on\n");
    assert_eq!(a.b_dies(), TAKEN, "nobody is asked");
}

#[test]
fn a_dead_node_whose_address_is_answered_for_is_fenced_first_when_it_can_be_by_now() {
    const DEVICE: &str = "stonith_host * external/tester a b\n";
    for (policy, fenced) in [("", true), ("takeover_if_vip_answers off\n", false)] {
        // It died while no device could reset it, so its group is to be taken; then there is one.
        let mut a = Node::beside_b(policy);
        assert_eq!(a.b_dies(), ["ask 2 10.0.0.1"]);
        let (cf, haresources) = files(&format!("{policy}{DEVICE}"));
        a.groups.reload(a.now, &cf, haresources);
        assert_eq!(a.settle(), [""; 0], "{policy}");
        let want: &[&str] = if fenced { &["reset b"] } else { &[] };
        assert_eq!(a.answered(2, &[STRANGER]), want, "{policy}");
        if !fenced {
            continue;
        }
        // Nothing is started before the device has done it, whatever it answers first.
        assert_eq!(a.go(10), [""; 0]);
        assert_eq!(a.reset_ends(Exit::Code(1)), [""; 0]);
        let again = a.go(5_010);
        assert_eq!(again, ["reset b"], "the device is tried again");
        // Off at last: the address is asked for once more, since whoever answered may not have been that node.
        assert_eq!(a.reset_ends(Exit::Code(0)), ["ask 3 10.0.0.1"]);
        assert_eq!(a.answered(3, &[]), TAKEN);
        assert_eq!(a.count("answered_takeovers"), 0);
    }
}

#[test]
fn who_answers_after_the_dead_node_was_fenced_is_somebody_else_and_the_address_is_taken_loudly() {
    let mut a = Node::beside_b("stonith_host * external/tester a b\n");
    assert_eq!(a.b_dies(), ["reset b"], "it had the group");
    assert_eq!(a.reset_ends(Exit::Code(0)), ["ask 2 10.0.0.1"]);
    assert_eq!(a.answered(2, &[STRANGER]), TAKEN);
    assert_eq!(a.count("answered_takeovers"), 1);
}

#[test]
fn nobody_is_asked_for_what_its_owner_has_let_go() {
    let mut a = Node::beside_b("");
    a.b_has("10.0.0.1 moving=a f4240");
    assert_eq!(a.settle(), TAKEN, "handed over");
    let mut a = Node::beside_b("");
    a.b_has("10.0.0.1 failed f4240");
    assert_eq!(a.settle(), TAKEN, "it could not be started there");
}

#[test]
fn a_node_that_is_cut_off_takes_nothing_until_it_hears_somebody() {
    for (more, waits) in [("", true), ("isolated_takeover on\n", false)] {
        let mut a = Node::beside_b(&format!("ping 10.0.0.9\n{more}"));
        a.groups.set_isolated(true);
        let ordered = a.b_dies();
        assert_eq!(ordered.is_empty(), waits, "{ordered:?}");
        a.groups.set_isolated(false);
        assert_eq!(a.settle().is_empty(), !waits, "the router answers");
    }
}

#[test]
fn an_address_that_was_taken_away_is_set_again_and_after_six_times_given_away() {
    let mut a = Node::beside_b("");
    for n in 1..=5 {
        assert_eq!(a.lost(), ["start 10.0.0.2"], "{n}");
    }
    assert_eq!((a.count("addresses_lost"), a.count("addresses_restored")), (5, 5));
    let sixth = a.lost();
    assert!(
        sixth.contains(&"gives".to_owned()) && sixth.contains(&"start 10.0.0.2".to_owned()),
        "{sixth:?}"
    );
    // A minute later that is forgotten.
    let mut a = Node::beside_b("");
    for n in 0..12 {
        a.now = at(15_000 * n);
        a.b_has("10.0.0.1 running f4240");
        a.settle();
        assert_eq!(a.lost(), ["start 10.0.0.2"], "{n}");
    }
}

#[test]
fn without_another_node_an_enemy_is_met_once_a_second() {
    let mut a = Node::beside_b("");
    a.b_dies();
    a.answered(2, &[]);
    let mut set = 0;
    for ms in (10..=10_000).step_by(10) {
        set += a.go(ms).len();
        set += a.lost().len();
    }
    assert!((14..=18).contains(&set), "{set}");
}

#[test]
fn a_lie_is_answered_only_by_a_node_that_is_sure() {
    let mut a = Node::beside_b("");
    assert_eq!(a.foreign(), ["announce 10.0.0.2"]);
    assert_eq!(a.count("foreign_announcements"), 3);
    // The other one is back after a partition and may have it too: it is heard first.
    a.groups.up(a.now, &Up::Returned { node: b() });
    assert_eq!(a.foreign(), [""; 0]);
    a.b_has("10.0.0.1 running f4240");
    assert_eq!(a.settle(), ["announce 10.0.0.2"], "because it was away");
    assert_eq!(a.foreign(), ["announce 10.0.0.2"]);
    let interface = "eth0".to_owned();
    assert_eq!(a.sees(Sighting::LinkUp { interface }), ["announce 10.0.0.2"]);
}

#[test]
fn clients_of_what_is_taken_over_are_woken_and_of_nothing_else() {
    let good = "10.0.0.1:80=10.0.0.7:4000";
    #[rustfmt::skip]
    let table = [
        // part, parts, list                                       woken
        (0, 1, good.to_owned(),                                     Some(good)),
        (0, 4, good.to_owned(),                                     Some(good)),
        (0, 0, good.to_owned(),                                     None),
        (4, 4, good.to_owned(),                                     None),
        (0, 5, good.to_owned(),                                     None),
        (0, usize::MAX, good.to_owned(),                            None),
        (0, 1, "10.0.0.3:80=10.0.0.7:4000".to_owned(),              None),
        (0, 1, "10.0.0.2:80=10.0.0.7:4000".to_owned(),              None),
        (0, 1, "10.0.0.1:80=10.0.0.1:4000".to_owned(),              None),
        (0, 1, format!("10.0.0.9:22=10.0.0.7:4000 {good} nonsense"), Some(good)),
    ];
    for (n, parts, list, woken) in table {
        let mut a = Node::beside_b("tickle on\n");
        a.b_tells(n, parts, &list);
        a.b_dies();
        let ordered = a.answered(2, &[]);
        let tickled = ordered.iter().find_map(|o| o.strip_prefix("tickle "));
        assert_eq!(tickled, woken, "{n} of {parts}: {list}");
    }
    let mut a = Node::beside_b("");
    a.b_tells(0, 1, good);
    a.b_dies();
    assert_eq!(a.answered(2, &[]), TAKEN, "tickle is off");
}
