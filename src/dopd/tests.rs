//! One dopd as a table: what happens, what it does.

use super::machine::{Action, Dopd, Event, Verb};
use super::outcome::{Exit, Outcome};
use super::word;
use crate::ids::{ClientId, JobId};
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant};
use proptest::prelude::*;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// n1, among n2 (alive), n3 (dead) and a ping node.
fn fresh() -> Dopd {
    let mut dopd = Dopd::new("n1".parse().unwrap(), "life".into());
    let node = |name: &str, kind: &str, status: &str| (name.parse().unwrap(), kind.to_owned(), status.to_owned());
    let nodes = vec![
        node("n1", "normal", "active"),
        node("n2", "normal", "active"),
        node("n3", "normal", "dead"),
        node("10.0.0.1", "ping", "ping"),
    ];
    assert!(dopd.handle(at(0), Event::Nodes(nodes)).is_empty());
    dopd
}

fn request(client: u64, peer: &str, resource: &str) -> Event {
    let message = Message::new(word::OUTDATER)
        .with(word::OUTDATER_PEER, peer)
        .with(word::OUTDATER_RES, resource)
        .with(word::OUTDATER_TIMEOUT, "10000");
    Event::Request {
        client: ClientId(client),
        message,
    }
}

fn from_dopd(kind: &str, src: &str) -> Message {
    Message::new(kind)
        .with(fields::SRC, src)
        .with(fields::FROM_ID, "dopd")
        .with(fields::TO_ID, "dopd")
}

fn result(src: &str, value: &str, resource: &str, id: Option<&str>) -> Event {
    let mut message = from_dopd(word::OUTDATE_RC, src)
        .with(word::DOP_VALUE, value)
        .with(word::DOP_RES, resource);
    if let Some(id) = id {
        message.set(word::DOP_ID, id);
    }
    Event::News(message)
}

fn start(src: &str, resource: &str, id: Option<&str>) -> Event {
    let mut message = from_dopd(word::START_OUTDATE, src)
        .with(word::DOP_RES, resource)
        .with(fields::DEST, "n1");
    if let Some(id) = id {
        message.set(word::DOP_ID, id);
        message.set(word::DOP_LIMIT, "5000");
    }
    Event::News(message)
}

fn status(src: &str, status: &str, generation: Option<u64>) -> Event {
    let mut message = Message::new("status")
        .with(fields::SRC, src)
        .with(fields::STATUS, status);
    if let Some(generation) = generation {
        message.set(fields::GENERATION, format!("{generation:x}"));
    }
    Event::News(message)
}

fn ran(job: u64, code: i32, output: &str) -> Event {
    Event::Ran {
        job: JobId(job),
        exit: Exit::Code(code),
        output: output.into(),
    }
}

/// `answer CLIENT NUMBER`, `send NODE KIND RESOURCE VALUE-OR-ID`, `run JOB VERB RESOURCE UNTIL`
fn shown(actions: &[Action]) -> String {
    let one = |action: &Action| match action {
        Action::Answer { client, outcome } => format!("answer {client} {}", outcome.number()),
        Action::Send { node, message } => {
            let get = |name| message.get(name).unwrap_or("-");
            let (kind, value, id) = (message.kind(), get(word::DOP_VALUE), get(word::DOP_ID));
            format!("send {node} {kind} {} {value} {id}", get(word::DOP_RES))
        }
        Action::Run {
            job,
            verb,
            resource,
            until,
        } => format!("run {job} {} {resource} {}", verb.as_str(), until.as_millis()),
    };
    actions.iter().map(one).collect::<Vec<_>>().join("; ")
}

type Step = (u64, Event, &'static str);

#[track_caller]
fn play(what: &str, steps: Vec<Step>) {
    let mut dopd = fresh();
    for (i, (now, event, want)) in steps.into_iter().enumerate() {
        let shown_event = format!("{event:?}");
        assert_eq!(
            shown(&dopd.handle(at(now), event)),
            want,
            "{what}: step {i}: {shown_event}"
        );
    }
}

const ASKED: &str = "send n2 start_outdate r0 - life-1";

#[test]
fn requests_that_are_answered_at_once() {
    #[rustfmt::skip]
    let table = [
        // peer       resource     answer
        ("n1",        "r0",        5),
        ("N3",        "r0",        5),
        ("n4",        "r0",        5),
        ("10.0.0.1",  "r0",        5),
        ("",          "r0",        5),
        ("n 2",       "r0",        5),
        ("n2",        "",          20),
        ("n2",        "-a",        20),
        ("n2",        "r0;reboot", 20),
        ("n2",        "all",       20),
    ];
    for (peer, resource, number) in table {
        let got = fresh().handle(at(1), request(7, peer, resource));
        assert_eq!(shown(&got), format!("answer 7 {number}"), "{peer} {resource}");
    }
    for message in [
        Message::new("outdater"),
        Message::new("start_outdate"),
        Message::default(),
    ] {
        let event = Event::Request {
            client: ClientId(7),
            message,
        };
        assert_eq!(shown(&fresh().handle(at(1), event)), "answer 7 20");
    }
}

#[test]
fn results_of_the_peer_are_handed_on() {
    #[rustfmt::skip]
    let table = [
        ("3", "answer 1 3"), ("4", "answer 1 4"), ("6", "answer 1 6"), ("20", "answer 1 20"),
        // Who answers can be reached; nothing but these is a result.
        ("5", "answer 1 20"), ("21", "answer 1 20"), ("0", "answer 1 20"), ("x", "answer 1 20"), ("999", "answer 1 20"),
    ];
    for (value, want) in table {
        for id in [Some("life-1"), None] {
            let steps = vec![
                (1, request(1, "N2", "r0"), ASKED),
                (2, result("n2", value, "r0", id), want),
            ];
            play(value, steps);
        }
    }
}

#[test]
fn only_who_was_asked_is_believed_and_only_about_this_request() {
    let mut of_another_client = from_dopd(word::OUTDATE_RC, "n2")
        .with(word::DOP_VALUE, "4")
        .with(word::DOP_RES, "r0");
    of_another_client.set(fields::FROM_ID, "ipfail");
    play(
        "strangers",
        vec![
            (1, request(1, "n2", "r0"), ASKED),
            (2, result("n3", "4", "r0", None), ""),
            (2, result("n1", "4", "r0", None), ""),
            (2, result("n9", "4", "r0", None), ""),
            (2, result("n2", "4", "r1", None), ""),
            (2, result("n2", "4", "r0", Some("life-0")), ""),
            (2, result("n2", "4", "-x", Some("life-1")), ""),
            (2, Event::News(of_another_client), ""),
            (3, result("n2", "4", "r0", Some("life-1")), "answer 1 4"),
            (4, result("n2", "4", "r0", Some("life-1")), ""),
        ],
    );
    play(
        "an answer to a request that is over",
        vec![
            (1, request(1, "n2", "r0"), ASKED),
            (9_001, Event::Timer, "answer 1 20"),
            (9_002, request(2, "n2", "r0"), "send n2 start_outdate r0 - life-2"),
            (9_003, result("n2", "4", "r0", Some("life-1")), ""),
            (9_004, result("n2", "3", "r0", Some("life-2")), "answer 2 3"),
        ],
    );
}

#[test]
fn a_second_request_for_the_same_resource_hears_21_and_the_first_its_result() {
    play(
        "two at once",
        vec![
            (1, request(1, "n2", "r0"), ASKED),
            (2, request(2, "n2", "r0"), "answer 2 21"),
            (3, request(3, "n2", "r1"), "send n2 start_outdate r1 - life-2"),
            (4, result("n2", "6", "r1", Some("life-2")), "answer 3 6"),
            (5, result("n2", "4", "r0", Some("life-1")), "answer 1 4"),
            (6, request(2, "n2", "r0"), "send n2 start_outdate r0 - life-3"),
        ],
    );
}

#[test]
fn nobody_waits_for_a_node_that_is_away() {
    let shutdone = || {
        Event::News(
            Message::new("shutdone")
                .with(fields::SRC, "n2")
                .with(fields::GENERATION, "5"),
        )
    };
    let asked = || (1, request(1, "n2", "r0"), ASKED);
    play("dies", vec![asked(), (2, status("n2", "dead", None), "answer 1 5")]);
    play(
        "stops",
        vec![
            asked(),
            (2, shutdone(), "answer 1 5"),
            (3, request(2, "n2", "r0"), "answer 2 5"),
        ],
    );
    play(
        "what was on its way when it stopped says nothing",
        vec![
            (1, shutdone(), ""),
            (2, status("n2", "active", Some(5)), ""),
            (2, status("n2", "active", None), ""),
            (3, request(1, "n2", "r0"), "answer 1 5"),
            (4, status("n2", "dead", None), ""),
            (5, status("n2", "up", Some(6)), ""),
            (6, request(1, "n2", "r0"), ASKED),
        ],
    );
    play(
        "returns after a partition",
        vec![
            (1, status("n2", "dead", None), ""),
            (2, status("n2", "active", Some(5)), ""),
            (3, request(1, "n2", "r0"), ASKED),
        ],
    );
    play(
        "goes from ha.cf",
        vec![asked(), (2, Event::Nodes(Vec::new()), "answer 1 5")],
    );
    let lie = |kind: &str| Event::News(from_dopd(kind, "n2").with(fields::STATUS, "dead"));
    play(
        "a client is no daemon",
        vec![asked(), (2, lie("status"), ""), (3, lie("shutdone"), "")],
    );
}

#[test]
fn a_node_that_is_alive_and_says_nothing_is_not_called_unreachable() {
    let mut dopd = fresh();
    dopd.handle(at(1), request(1, "n2", "r0"));
    // 10 s, a second less for the way back.
    assert_eq!(dopd.deadline(), at(9_001));
    assert_eq!(shown(&dopd.handle(at(9_000), Event::Timer)), "");
    assert_eq!(shown(&dopd.handle(at(9_001), Event::Timer)), "answer 1 20");
    assert_eq!(dopd.deadline(), Instant::NEVER);
}

#[test]
fn a_dopd_that_begins_anew_is_asked_again_with_the_same_number() {
    let clstat = |src: &str, st: &str| Event::News(from_dopd("hbapi-clstat", src).with(fields::STATUS, st));
    play(
        "again",
        vec![
            (1, request(1, "n2", "r0"), ASKED),
            (2, clstat("n2", "leave"), ""),
            (3, clstat("n3", "join"), ""),
            (4, clstat("n2", "join"), ASKED),
            (5, result("n2", "4", "r0", Some("life-1")), "answer 1 4"),
            (6, clstat("n2", "join"), ""),
        ],
    );
}

#[test]
fn a_client_that_left_is_forgotten() {
    let left = |n| Event::Left { client: ClientId(n) };
    play(
        "left",
        vec![
            (1, left(9), ""),
            (1, request(1, "n2", "r0"), ASKED),
            (2, left(1), ""),
            (3, request(2, "n2", "r0"), "send n2 start_outdate r0 - life-2"),
            (4, result("n2", "4", "r0", Some("life-1")), ""),
            (5, result("n2", "4", "r0", Some("life-2")), "answer 2 4"),
        ],
    );
}

#[test]
fn what_drbdadm_says_becomes_a_result() {
    #[rustfmt::skip]
    let table = [
        // exit of outdate, what dstate says          result
        (0,  Some((0, "Outdated/DUnknown\n")),         4),
        (0,  Some((0, "Inconsistent/DUnknown\n")),     3),
        (0,  Some((0, "Diskless\n")),                  3),
        (0,  Some((0, "Martian\n")),                   20),
        (0,  Some((0, "")),                            4),
        (0,  Some((10, "no\n")),                       4),
        (5,  None,                                     3),
        (17, None,                                     6),
        (1,  None,                                     20),
        (11, None,                                     20),
    ];
    for (code, look, number) in table {
        for id in [None, Some("x-1")] {
            let mut dopd = fresh();
            // 3.0.6 does not say how long it waits.
            let until = if id.is_some() { 5_010 } else { 30_010 };
            let began = shown(&dopd.handle(at(10), start("n2", "r0", id)));
            assert_eq!(began, format!("run 1 outdate r0 {until}"));
            let mut got = shown(&dopd.handle(at(20), ran(1, code, "")));
            if let Some((code, output)) = look {
                assert_eq!(got, format!("run 2 dstate r0 {until}"));
                got = shown(&dopd.handle(at(30), ran(2, code, output)));
            }
            let want = format!("send n2 outdate_rc r0 {number} {}", id.unwrap_or("-"));
            assert_eq!(got, want, "{code} {look:?}");
            assert_eq!(shown(&dopd.handle(at(40), ran(2, 0, "Outdated"))), "", "once");
        }
    }
    for exit in [Exit::Signal(9), Exit::TimedOut, Exit::CannotRun("no".into())] {
        let mut dopd = fresh();
        dopd.handle(at(10), start("n2", "r0", None));
        let event = Event::Ran {
            job: JobId(1),
            exit,
            output: String::new(),
        };
        assert_eq!(shown(&dopd.handle(at(20), event)), "send n2 outdate_rc r0 20 -");
    }
}

#[test]
fn a_disk_that_stays_good_is_not_called_outdated() {
    play(
        "DRBD notices in the end",
        vec![
            (0, start("n2", "r0", Some("x")), "run 1 outdate r0 5000"),
            (10, ran(1, 0, ""), "run 2 dstate r0 5000"),
            (20, ran(2, 0, "UpToDate/UpToDate\n"), ""),
            (1_019, Event::Timer, ""),
            (1_020, Event::Timer, "run 3 outdate r0 5000"),
            (1_030, ran(3, 0, ""), "run 4 dstate r0 5000"),
            (1_040, ran(4, 0, "Outdated/DUnknown\n"), "send n2 outdate_rc r0 4 x"),
        ],
    );
    play(
        "it never does",
        vec![
            (0, start("n2", "r0", Some("x")), "run 1 outdate r0 5000"),
            (10, ran(1, 0, ""), "run 2 dstate r0 5000"),
            (4_000, ran(2, 0, "UpToDate/UpToDate\n"), "send n2 outdate_rc r0 20 x"),
        ],
    );
}

#[test]
fn one_run_serves_all_who_ask() {
    play(
        "two nodes, and one of them twice",
        vec![
            (0, start("n2", "r0", Some("x")), "run 1 outdate r0 5000"),
            (1, start("n2", "r0", Some("x")), ""),
            (2, start("n3", "r0", None), ""),
            (3, start("n2", "r1", Some("y")), "run 2 outdate r1 5003"),
            (
                4,
                ran(1, 17, ""),
                "send n2 outdate_rc r0 6 x; send n3 outdate_rc r0 6 -",
            ),
            (5, ran(2, 5, ""), "send n2 outdate_rc r1 3 y"),
        ],
    );
}

#[test]
fn orders_of_strangers_and_names_that_are_none_run_nothing() {
    let long = "x".repeat(300);
    play(
        "strangers",
        vec![
            (0, start("n1", "r0", None), ""),
            (0, start("n9", "r0", None), ""),
            (0, start("10.0.0.1", "r0", None), ""),
            (
                0,
                start("n2", "$(reboot)", Some("x")),
                "send n2 outdate_rc $(reboot) 20 x",
            ),
            (0, start("n2", "--all", None), "send n2 outdate_rc --all 20 -"),
            (0, start("n2", &long, None), ""),
        ],
    );
    let mut forged = from_dopd(word::START_OUTDATE, "n2").with(word::DOP_RES, "r0");
    forged.remove(fields::FROM_ID);
    play("not of a dopd", vec![(0, Event::News(forged), "")]);
}

fn any_event() -> impl Strategy<Value = Event> {
    let node = prop::sample::select(vec!["n1", "n2", "n3", "n4", "10.0.0.1"]);
    let resource = prop::sample::select(vec!["r0", "r1", "r2", "-x", "a b", ""]);
    let id = prop::sample::select(vec![None, Some("life-1"), Some("life-2"), Some("life-3"), Some("x")]);
    let value = prop::sample::select(vec!["3", "4", "5", "6", "20", "21", "x"]);
    let word = prop::sample::select(vec!["dead", "active", "up", "init", "ping"]);
    let output = prop::sample::select(vec!["Outdated", "UpToDate", "Inconsistent", ""]);
    prop_oneof![
        4 => (0..4u64, node.clone(), resource.clone()).prop_map(|(c, n, r)| request(c, n, r)),
        3 => (node.clone(), value, resource.clone(), id.clone()).prop_map(|(n, v, r, i)| result(n, v, r, i)),
        3 => (node.clone(), resource, id).prop_map(|(n, r, i)| start(n, r, i)),
        2 => (node, word, prop::option::of(0..9u64)).prop_map(|(n, w, g)| status(n, w, g)),
        1 => (0..4u64).prop_map(|c| Event::Left { client: ClientId(c) }),
        3 => (0..12u64, prop::sample::select(vec![0, 5, 17, 1]), output).prop_map(|(j, c, o)| ran(j, c, o)),
        2 => Just(Event::Timer),
    ]
}

proptest! {
    /// Each request is answered once and in time, nothing runs under a name that is none, and after the deadline of
    /// everything nothing is left to wait for.
    #[test]
    fn every_request_is_answered_once(events in prop::collection::vec((0..3_000u64, any_event()), 0..60)) {
        let mut dopd = fresh();
        let (mut now, mut open, mut client) = (0, Vec::<(u64, u64)>::new(), 100);
        let end = (0u64, Event::Timer);
        for (pause, mut event) in events.into_iter().chain([end]) {
            let last = dopd.deadline();
            // The timer comes when it is due.
            if last != Instant::NEVER && last.as_millis() < now + pause {
                for action in dopd.handle(last, Event::Timer) {
                    if let Action::Answer { client, outcome } = action {
                        prop_assert_eq!(outcome, Outcome::Failed);
                        prop_assert!(open.iter().any(|(c, _)| *c == client.0), "answered twice");
                        open.retain(|(c, _)| *c != client.0);
                    }
                }
            }
            now += pause;
            if let Event::Request { client: c, .. } = &mut event {
                client += 1;
                *c = ClientId(client);
                open.push((client, now));
            }
            if let Event::Left { client: c } = &mut event
                && let Some((first, _)) = open.first().copied()
            {
                *c = ClientId(first);
                open.remove(0);
            }
            for action in dopd.handle(at(now), event) {
                match action {
                    Action::Answer { client, .. } => {
                        prop_assert!(open.iter().any(|(c, _)| *c == client.0), "answered twice");
                        open.retain(|(c, _)| *c != client.0);
                    }
                    Action::Run { verb, .. } => prop_assert!(matches!(verb, Verb::Outdate | Verb::DiskState)),
                    Action::Send { node, .. } => prop_assert!(node.as_str() != "n1"),
                }
            }
        }
        let far = at(now) + Duration::from_secs(60);
        for action in dopd.handle(far, Event::Timer) {
            if let Action::Answer { client, .. } = action {
                open.retain(|(c, _)| *c != client.0);
            }
        }
        prop_assert!(open.is_empty(), "not answered: {:?}", open);
    }
}
