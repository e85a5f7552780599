use super::*;
use crate::conf::{haresources, monitors};
use proptest::prelude::*;
use std::path::Path;

const KEY: &str = "10.0.0.1";

fn checks(lines: &str) -> Checks {
    let groups = haresources::parse(Path::new("haresources"), "a 10.0.0.1 nginx\na 10.0.0.2 mysql\n", &[]);
    let parsed = monitors::parse(Path::new("monitors"), lines, groups.value.as_ref());
    Checks::new(&parsed.value.expect("good lines"), 0)
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn group(runs: bool) -> Event {
    Event::Group {
        key: KEY.parse().unwrap(),
        runs,
    }
}

/// Plays one check: from the start of the group on each run takes no time and ends as the letter says (`+` good, `-` bad).
/// Gives the moments of the runs, and of the repairs.
fn play(line: &str, runs: &str) -> (Vec<u64>, Vec<u64>) {
    let mut checks = checks(line);
    assert_eq!(checks.handle(at(0), Event::Timer), [], "at rest");
    assert_eq!(checks.deadline(), Instant::NEVER);
    assert_eq!(checks.handle(at(1000), group(true)), []);
    let (mut began, mut repairs) = (Vec::new(), Vec::new());
    for result in runs.chars() {
        let now = checks.deadline();
        assert_eq!(
            checks.handle(at(now.as_millis() - 1), Event::Timer),
            [],
            "not before it is due"
        );
        let [Action::Begin { check, run }] = checks.handle(now, Event::Timer)[..] else {
            panic!("nothing begins at {now:?}");
        };
        assert_eq!(checks.handle(now, Event::Timer), [], "once");
        began.push(now.as_millis() - 1000);
        let result = if result == '+' { Ok(()) } else { Err("no".to_owned()) };
        let actions = checks.handle(now, Event::Ended { check, run, result });
        repairs.extend(actions.iter().map(|_| now.as_millis() - 1000));
        assert!(actions.iter().all(|a| matches!(a, Action::Repair { .. })));
    }
    (began, repairs)
}

#[test]
fn rise_fall_and_retries() {
    #[rustfmt::skip]
    let table = [
        // line (every 10 s, pause 1 s)                        runs      began                              repairs
        ("10.0.0.1 tcp 80",                                    "++",     vec![5000, 15_000],                vec![]),
        ("10.0.0.1 tcp 80",                                    "+-+-",   vec![5000, 15_000, 25_000, 35_000], vec![15_000, 35_000]),
        ("10.0.0.1 tcp 80",                                    "---",    vec![5000, 15_000, 25_000],        vec![5000, 15_000, 25_000]),
        ("10.0.0.1 tcp fall=2 80",                             "-+--",   vec![5000, 15_000, 25_000, 35_000], vec![35_000]),
        ("10.0.0.1 tcp fall=2 rise=2 80",                      "-+-",    vec![5000, 15_000, 25_000],        vec![25_000]),
        ("10.0.0.1 tcp fall=2 rise=2 80",                      "-++-",   vec![5000, 15_000, 25_000, 35_000], vec![]),
        ("10.0.0.1 tcp retries=2 80",                          "--+-",   vec![5000, 6000, 7000, 15_000],    vec![]),
        ("10.0.0.1 tcp retries=2 80",                          "---+",   vec![5000, 6000, 7000, 15_000],    vec![7000]),
        ("10.0.0.1 tcp retries=1 every=500ms 80",              "--+",    vec![5000, 6000, 6000],            vec![6000]),
        ("10.0.0.1 tcp 80\n10.0.0.1 repair grace=0",           "++",     vec![0, 10_000],                   vec![]),
    ];
    for (line, runs, began, repairs) in table {
        assert_eq!(play(line, runs), (began, repairs), "{line}: {runs}");
    }
}

#[test]
fn a_repair_says_what_where_and_by_which_rule() {
    let mut checks =
        checks("10.0.0.1 http every=2s from=10.0.0.1 http://10.0.0.1/ok\n10.0.0.1 repair restarts=1 grace=0\n");
    checks.handle(at(0), group(true));
    checks.handle(at(0), Event::Timer);
    let result = Err("status 500".to_owned());
    let actions = checks.handle(
        at(9),
        Event::Ended {
            check: 0,
            run: 1,
            result,
        },
    );
    let [Action::Repair { key, from, rule, why }] = actions.as_slice() else {
        panic!("{actions:?}")
    };
    assert_eq!((key.as_str(), from.as_str(), rule.restarts), (KEY, KEY, 1));
    assert_eq!(why, "http://10.0.0.1:80/ok: status 500");
    assert_eq!(checks.deadline(), at(2000), "the interval counts from the begin");
}

#[test]
fn a_group_that_goes_takes_its_runs_with_it() {
    let mut checks = checks("10.0.0.1 tcp 80\n10.0.0.1 repair grace=0\n10.0.0.2 tcp 81\n");
    checks.handle(at(0), group(true));
    assert_eq!(checks.handle(at(0), Event::Timer), [Action::Begin { check: 0, run: 1 }]);
    assert_eq!(checks.handle(at(1), group(true)), [], "nothing new");
    assert_eq!(checks.handle(at(5), group(false)), [Action::Drop { check: 0 }]);
    assert_eq!(checks.deadline(), Instant::NEVER);
    checks.handle(at(6), group(true));
    assert_eq!(checks.handle(at(6), Event::Timer), [Action::Begin { check: 0, run: 2 }]);
    let late = |run| Event::Ended {
        check: 0,
        run,
        result: Err("late".to_owned()),
    };
    assert_eq!(checks.handle(at(7), late(1)), [], "of the time before");
    assert_eq!(checks.handle(at(7), late(2)).len(), 1);
    assert_eq!(checks.handle(at(7), late(2)), [], "it ended already");
}

#[test]
fn two_checks_that_see_the_same_ask_once() {
    let mut checks = checks("10.0.0.1 tcp 80\n10.0.0.1 tcp 81\n10.0.0.1 repair grace=0\n");
    checks.handle(at(0), group(true));
    checks.handle(at(0), Event::Timer);
    let bad = |check, run| Event::Ended {
        check,
        run,
        result: Err("no".to_owned()),
    };
    assert_eq!(checks.handle(at(1), bad(0, 1)).len(), 1);
    assert_eq!(checks.handle(at(2), bad(1, 2)), []);
    // Nobody has repaired it: both say so again when they look again.
    checks.handle(at(10_000), Event::Timer);
    assert_eq!(checks.handle(at(10_001), bad(1, 4)).len(), 1);
}

proptest! {
    /// Whatever happens in whatever order: nothing of a group that does not run here is looked at or repaired, a check runs
    /// once at a time, and a group that runs has something to come.
    #[test]
    fn any_order_of_events(steps in proptest::collection::vec((0..5u8, 0..4000u64, any::<bool>()), 1..120)) {
        let mut checks = checks("10.0.0.1 tcp every=1s retries=1 pause=200ms 80\n10.0.0.1 tcp every=3s fall=2 rise=2 81\n");
        let (mut now, mut runs) = (0, false);
        let mut running: Vec<(usize, u64)> = Vec::new();
        for (what, ms, flag) in steps {
            now += ms;
            let event = match what {
                0 => { runs = flag; group(flag) }
                1 | 2 => Event::Timer,
                _ => match running.pop() {
                    Some((check, run)) => {
                        let result = if flag { Ok(()) } else { Err("no".to_owned()) };
                        Event::Ended { check, run, result }
                    }
                    None => Event::Ended { check: 0, run: 0, result: Err("no run".to_owned()) },
                },
            };
            for action in checks.handle(at(now), event) {
                match action {
                    Action::Begin { check, run } => {
                        prop_assert!(runs);
                        prop_assert!(running.iter().all(|(c, _)| *c != check), "it runs already");
                        running.push((check, run));
                    }
                    Action::Drop { check } => running.retain(|(c, _)| *c != check),
                    Action::Repair { .. } => prop_assert!(runs),
                }
            }
            prop_assert!(!runs || !running.is_empty() || checks.deadline() < Instant::NEVER);
            prop_assert!(runs || checks.deadline() == Instant::NEVER);
        }
    }
}
