use super::resource::KEPT_OUTPUT;
use super::*;
use crate::time::Wall;
use proptest::prelude::*;

/// A machine that writes down what it is told to do, one word each.
#[derive(Default)]
struct Bench {
    executor: Executor,
    now: u64,
    running: BTreeMap<String, JobId>,
    next: u64,
}

fn order(rsc: &str, op: &str, interval: u64, id: u64) -> Order {
    Order {
        id,
        rsc: rsc.into(),
        agent: "ocf:heartbeat:Dummy".parse().unwrap(),
        op: op.into(),
        interval: Duration::from_millis(interval),
        timeout: Duration::from_secs(20),
        start_delay: Duration::ZERO,
        params: BTreeMap::new(),
        key: "1:2:0:u".into(),
    }
}

impl Bench {
    fn handle(&mut self, event: Event) -> Vec<String> {
        let now = Now {
            mono: Instant::from_millis(self.now),
            wall: Wall(self.now / 1000),
        };
        let actions = self.executor.handle(now, event);
        actions.into_iter().map(|a| self.word(a)).collect()
    }

    fn word(&mut self, action: Action) -> String {
        match action {
            Action::Run { job, order } => {
                self.running.insert(order.rsc.clone(), job);
                format!("run {} {}", order.rsc, order.op)
            }
            Action::Answer(Report::Pending { id, call_id }) => format!("pending {id} as {call_id}"),
            Action::Answer(Report::Refused { id, why }) => format!("refused {id}: {why}"),
            Action::Tell(Report::Result(f)) => {
                format!(
                    "{} {} {}: {} {}",
                    f.rsc,
                    f.op,
                    f.interval.as_millis(),
                    f.rc,
                    f.status.code()
                )
            }
            other => format!("{other:?}"),
        }
    }

    fn order(&mut self, rsc: &str, op: &str, interval: u64) -> Vec<String> {
        self.next += 1;
        let mut said = self.handle(Event::Order(order(rsc, op, interval, self.next)));
        assert!(said.remove(0).starts_with("pending"));
        said
    }

    fn ended(&mut self, rsc: &str, rc: i32) -> Vec<String> {
        let job = self.running.remove(rsc).unwrap_or_else(|| panic!("{rsc} does not run"));
        let ended = Ended {
            rc,
            took: Duration::from_millis(30),
            output: "x".repeat(1000),
            ..Ended::default()
        };
        self.handle(Event::Ended { job, ended })
    }

    fn at(&mut self, now: u64) -> Vec<String> {
        self.now = now;
        self.handle(Event::Timer)
    }

    fn deadline(&self) -> Option<u64> {
        let deadline = self.executor.deadline();
        (deadline != Instant::NEVER).then(|| deadline.as_millis())
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn one_operation_of_a_resource_at_a_time_and_resources_side_by_side() {
    let mut b = Bench::default();
    assert_eq!(b.order("a", "start", 0), ["run a start"]);
    assert_eq!(b.order("a", "promote", 0), NOTHING);
    assert_eq!(b.order("b", "start", 0), ["run b start"]);
    assert_eq!(b.executor.running(), 2);
    assert_eq!(b.ended("b", 1), ["b start 0: 1 0"]);
    assert_eq!(b.ended("a", 0), ["a start 0: 0 0", "run a promote"]);
    assert_eq!(b.ended("a", 0), ["a promote 0: 0 0"]);
    assert_eq!(b.executor.running(), 0);
}

#[test]
fn a_recurring_operation_tells_its_first_result_and_changes() {
    let mut b = Bench::default();
    assert_eq!(b.order("a", "monitor", 10_000), ["run a monitor"]);
    assert_eq!(b.deadline(), None, "nothing is due while it runs");
    b.now = 500;
    assert_eq!(b.ended("a", 0), ["a monitor 10000: 0 0"]);
    assert_eq!(b.deadline(), Some(10_500), "counted from its end");
    assert_eq!(b.at(10_499), NOTHING);
    assert_eq!(b.at(10_500), ["run a monitor"]);
    assert_eq!(b.ended("a", 0), NOTHING);
    assert_eq!(b.at(20_500), ["run a monitor"]);
    assert_eq!(b.ended("a", 7), ["a monitor 10000: 7 0"]);
    assert_eq!(b.at(30_500), ["run a monitor"]);
    assert_eq!(b.ended("a", 7), NOTHING, "the same failure again");
    assert_eq!(b.at(40_500), ["run a monitor"]);
    assert_eq!(b.ended("a", 0), ["a monitor 10000: 0 0"]);
    let (known, more) = b.executor.known(None);
    assert!(!more);
    let codes: Vec<_> = known[0]
        .history
        .iter()
        .map(|f| (f.call_id, f.rc, f.rc_change.0, f.output.len()))
        .collect();
    assert_eq!(
        codes,
        [(1, 7, 20, KEPT_OUTPUT), (1, 0, 40, KEPT_OUTPUT)],
        "the failure, then what is now"
    );
    assert_eq!(
        b.order("a", "monitor", 10_000),
        ["run a monitor"],
        "ordered anew: at once"
    );
    assert_eq!(
        b.ended("a", 0),
        ["a monitor 10000: 0 0"],
        "and its first result is told"
    );
}

#[test]
fn orders_come_before_what_recurs() {
    let mut b = Bench::default();
    b.order("a", "monitor", 1000);
    b.ended("a", 0);
    b.now = 5000;
    assert_eq!(b.order("a", "notify", 0), ["run a notify"], "both are due");
    assert_eq!(b.ended("a", 0), ["a notify 0: 0 0", "run a monitor"]);
}

#[test]
fn nothing_begins_while_it_ends() {
    let mut b = Bench::default();
    b.order("a", "start", 0);
    b.order("a", "notify", 0);
    assert_eq!(b.handle(Event::Stop), NOTHING);
    assert_eq!(
        b.handle(Event::Order(order("b", "start", 0, 9))),
        ["refused 9: lrmd is ending"]
    );
    assert_eq!(b.ended("a", 0), ["a start 0: 0 0"]);
    assert_eq!((b.executor.running(), b.deadline()), (0, None));
}

#[test]
fn a_stop_ends_what_recurs() {
    let mut b = Bench::default();
    b.order("a", "monitor", 1000);
    b.ended("a", 0);
    b.order("a", "monitor", 2000);
    assert_eq!(
        b.order("a", "stop", 0),
        ["a monitor 1000: 0 1"],
        "the one that does not run"
    );
    assert_eq!(
        b.ended("a", 0),
        ["a monitor 2000: 193 1", "run a stop"],
        "the other one at its end"
    );
    assert_eq!(b.ended("a", 0), ["a stop 0: 0 0"]);
    assert_eq!(b.deadline(), None);
    assert_eq!(b.executor.recurring_now, 0);
}

#[test]
fn cancelling_is_always_answered() {
    let mut b = Bench::default();
    let cancel = |rsc: &str, interval: u64| Event::Cancel {
        rsc: rsc.into(),
        op: "monitor".into(),
        interval: Duration::from_millis(interval),
    };
    assert_eq!(b.handle(cancel("a", 1000)), ["a monitor 1000: 193 1"], "there is none");
    b.order("a", "monitor", 1000);
    assert_eq!(b.handle(cancel("a", 1000)), NOTHING, "it runs");
    assert_eq!(b.ended("a", 0), ["a monitor 1000: 193 1"]);
    b.order("a", "monitor", 1000);
    b.ended("a", 7);
    assert_eq!(b.handle(cancel("a", 2000)), ["a monitor 2000: 193 1"]);
    assert_eq!(b.handle(cancel("a", 1000)), ["a monitor 1000: 7 1"]);
    assert_eq!(b.deadline(), None);
    // Cancelled while it ran, and ordered anew before it ended: the new one is not the old one.
    b.order("a", "monitor", 1000);
    b.handle(cancel("a", 1000));
    assert_eq!(b.order("a", "monitor", 1000), NOTHING);
    assert_eq!(b.ended("a", 0), ["a monitor 1000: 193 1", "run a monitor"]);
    assert_eq!(b.ended("a", 0), ["a monitor 1000: 0 0"]);
}

#[test]
fn start_delay_delays_only_itself() {
    let mut b = Bench::default();
    let mut late = order("a", "monitor", 1000, 1);
    late.start_delay = Duration::from_secs(5);
    assert_eq!(b.handle(Event::Order(late)), ["pending 1 as 1"]);
    assert_eq!(b.deadline(), Some(5000));
    assert_eq!(b.order("a", "notify", 0), ["run a notify"]);
    b.ended("a", 0);
    assert_eq!(b.at(5000), ["run a monitor"]);
}

#[test]
fn what_an_lrmd_before_left_running_is_left_alone() {
    let mut b = Bench::default();
    let left = || Event::Left { rsc: "a".into() };
    let over = || Event::LeftOver { rsc: "a".into() };
    b.handle(left());
    b.handle(left());
    assert_eq!(b.order("a", "monitor", 0), NOTHING);
    assert_eq!(b.deadline(), None);
    assert_eq!(b.order("b", "monitor", 0), ["run b monitor"]);
    assert_eq!(b.handle(over()), NOTHING);
    assert_eq!(b.handle(over()), ["run a monitor"]);
}

#[test]
fn what_it_was_started_with_is_known_until_it_is_forgotten() {
    let mut b = Bench::default();
    let params = |executor: &Executor| executor.known(None).0.pop().and_then(|k| k.params);
    let given = |b: &mut Bench, op: &str, value: &str| {
        let with = [
            ("ip", value),
            ("CRM_meta_timeout", "20000"),
            ("crm_feature_set", "3.16.1"),
        ];
        let params = with.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        b.handle(Event::Order(Order {
            params,
            ..order("a", op, 0, 1)
        }));
        b.ended("a", 0);
    };
    let ip = |value: &str| Some(BTreeMap::from([("ip".to_owned(), value.to_owned())]));
    given(&mut b, "stop", "1");
    assert_eq!(params(&b.executor), None, "it was never asked to run");
    given(&mut b, "start", "2");
    assert_eq!(params(&b.executor), ip("2"), "the agent's own");
    given(&mut b, "stop", "3");
    assert_eq!(params(&b.executor), ip("2"));
    given(&mut b, "reload", "4");
    assert_eq!(params(&b.executor), ip("4"));
    b.handle(Event::Forget { rsc: "a".into() });
    assert_eq!(params(&b.executor), None);
}

#[test]
fn what_is_forgotten_is_gone() {
    let mut b = Bench::default();
    b.order("a", "start", 0);
    b.order("a", "notify", 0);
    b.order("a", "monitor", 1000);
    let forget = || Event::Forget { rsc: "a".into() };
    assert_eq!(b.handle(forget()), ["a monitor 1000: 193 1", "a notify 0: 193 1"]);
    assert_eq!(b.ended("a", 0), ["a start 0: 0 0"]);
    assert_eq!(b.executor.known(None), (Vec::new(), false));
    b.order("a", "monitor", 0);
    b.ended("a", 7);
    assert_eq!(b.executor.known(None).0.len(), 1);
    b.handle(forget());
    assert_eq!(b.executor.known(None), (Vec::new(), false));
    assert_eq!(b.handle(forget()), NOTHING);
}

#[test]
fn what_is_known_of_a_resource() {
    let mut b = Bench::default();
    b.order("a", "start", 0);
    b.ended("a", 1);
    b.order("a", "stop", 0);
    b.ended("a", 0);
    b.order("a", "notify", 0);
    b.ended("a", 1);
    b.order("a", "monitor", 1000);
    b.order("a", "promote", 0);
    for n in 0..LISTED_AT_ONCE {
        b.order(&format!("z{n:03}"), "start", 0);
    }
    let (known, more) = b.executor.known(None);
    assert!(more && known.len() == LISTED_AT_ONCE);
    let ops: Vec<_> = known[0].history.iter().map(|f| (&*f.op, f.rc)).collect();
    assert_eq!(
        ops,
        [("stop", 0), ("start", 1)],
        "the newest, then the newest failure; of notify nothing"
    );
    let pending: Vec<_> = known[0].pending.iter().map(|p| &*p.op).collect();
    assert_eq!(pending, ["promote", "monitor"]);
    let (rest, more) = b.executor.known(Some(&known.last().unwrap().rsc));
    assert_eq!((rest.len(), more), (1, false));
}

#[test]
fn a_resource_can_be_ordered_only_so_much() {
    let mut b = Bench::default();
    b.order("a", "start", 0);
    for _ in 0..MOST_WAITING {
        b.order("a", "notify", 0);
    }
    let said = b.handle(Event::Order(order("a", "notify", 0, 7)));
    assert_eq!(
        said,
        [format!("refused 7: {MOST_WAITING} operations of it wait already")]
    );
    for n in 1..=MOST_RECURRING {
        b.order("b", "monitor", n as u64);
    }
    let said = b.handle(Event::Order(order("b", "monitor", 99, 8)));
    assert_eq!(
        said,
        [format!("refused 8: {MOST_RECURRING} operations of it recur already")]
    );
}

#[test]
fn hanging_monitors_leave_room_for_orders() {
    let mut b = Bench::default();
    for n in 0..MOST_RECURRING_RUNNING + 5 {
        b.order(&format!("r{n:03}"), "monitor", 1000);
    }
    assert_eq!(b.executor.running(), MOST_RECURRING_RUNNING);
    assert_eq!(b.deadline(), None, "what waits for room has no time of its own");
    for n in 0..MOST_RUNNING {
        b.order(&format!("s{n:03}"), "stop", 0);
    }
    assert_eq!(b.executor.running(), MOST_RUNNING);
    let said = b.ended("r000", 0);
    assert!(said[1].starts_with("run s"), "{said:?}");
}

proptest! {
    /// Whatever is ordered, cancelled, forgotten and ended: never two operations of a resource at once, every order that
    /// was taken is told of, and when nothing recurs and all has ended, nothing is left to do.
    #[test]
    fn every_order_comes_to_an_end(steps in proptest::collection::vec((0u8..6, 0u8..3, 0u8..3), 1..60)) {
        let mut b = Bench::default();
        let mut taken: BTreeMap<(String, String), i64> = BTreeMap::new();
        let settle = |said: Vec<String>, taken: &mut BTreeMap<(String, String), i64>| {
            for line in said {
                let words: Vec<&str> = line.split([' ', ':']).collect();
                if words[2] == "0" && let Some(n) = taken.get_mut(&(words[0].to_owned(), words[1].to_owned())) {
                    *n -= 1;
                }
            }
        };
        for (step, rsc, kind) in steps {
            b.now += 300;
            let rsc = ["a", "b", "c"][usize::from(rsc)];
            let before = b.running.clone();
            let said = match step {
                0 | 1 => {
                    let op = ["start", "stop", "notify"][usize::from(kind)];
                    *taken.entry((rsc.to_owned(), op.to_owned())).or_default() += 1;
                    b.order(rsc, op, 0)
                }
                2 => b.order(rsc, "monitor", 1000),
                3 => b.handle(Event::Cancel { rsc: rsc.into(), op: "monitor".into(), interval: Duration::from_secs(1) }),
                4 if kind == 0 => b.handle(Event::Forget { rsc: rsc.into() }),
                _ if b.running.contains_key(rsc) => b.ended(rsc, 0),
                _ => b.at(b.now),
            };
            for line in &said {
                if let Some(run) = line.strip_prefix("run ") {
                    let rsc = run.split(' ').next().unwrap();
                    prop_assert!(!before.contains_key(rsc) || b.running[rsc] != before[rsc], "{said:?}");
                }
            }
            settle(said, &mut taken);
            prop_assert_eq!(b.running.len(), b.executor.running());
        }
        for rsc in ["a", "b", "c"] {
            settle(b.handle(Event::Cancel { rsc: rsc.into(), op: "monitor".into(), interval: Duration::from_secs(1) }), &mut taken);
        }
        while let Some(rsc) = b.running.keys().next().cloned() {
            settle(b.ended(&rsc, 0), &mut taken);
        }
        prop_assert_eq!(b.deadline(), None);
        prop_assert!(taken.values().all(|n| *n == 0), "{taken:?}");
        prop_assert_eq!(b.executor.recurring_now, 0);
    }
}
