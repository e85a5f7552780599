use super::*;
use crate::conf::ResourceSpec;

fn group(words: &[&str]) -> Group {
    let resources = words
        .iter()
        .map(|w| ResourceSpec {
            name: w.parse().unwrap(),
            script: (*w).to_owned(),
            args: Vec::new(),
        })
        .collect();
    Group::new(
        GroupSpec {
            node: "a".parse().unwrap(),
            resources,
            line: 1,
        },
        Instant::default(),
    )
}

fn bench() -> Bench {
    Bench {
        now: Now::default(),
        limit: Duration::from_secs(300),
        next_job: 0,
        no_starts: false,
        orders: Vec::new(),
    }
}

/// Plays a group against scripts: `fails` says which `RESOURCE VERB` exits 1; gives the verbs in order.
fn play(g: &mut Group, b: &mut Bench, fails: &[&str]) -> (Vec<String>, Option<Done>) {
    play_alone(g, b, fails, false)
}

fn play_alone(g: &mut Group, b: &mut Bench, fails: &[&str], alone: bool) -> (Vec<String>, Option<Done>) {
    let (mut seen, mut done) = (Vec::new(), None);
    for _ in 0..200 {
        let orders = std::mem::take(&mut b.orders);
        if orders.is_empty() {
            if g.deadline() == Instant::NEVER {
                break;
            }
            b.now.mono = g.deadline();
            g.timer(b);
            continue;
        }
        for (job, command) in orders {
            assert!(g.waits_for(job));
            let line = format!("{} {}", command.resource.name, command.verb.as_str());
            let failed = fails.contains(&line.as_str());
            let output = match (command.verb, failed) {
                (Verb::Status, true) => "running",
                (Verb::Status, false) => "stopped",
                _ => "",
            };
            seen.push(line);
            let outcome = Outcome {
                exit: Exit::Code(i32::from(failed)),
                output: output.into(),
                took: Duration::ZERO,
            };
            done = g.job_ended(b, &outcome, false, alone).or(done);
        }
    }
    (seen, done)
}

#[test]
fn s2_03_resources_start_left_to_right_and_stop_right_to_left() {
    let (mut g, mut b) = (group(&["ip", "web"]), bench());
    g.acquire(&mut b, "test");
    let (seen, done) = play(&mut g, &mut b, &[]);
    assert_eq!(seen, ["ip status", "ip start", "web status", "web start"]);
    assert_eq!(done, Some(Done::Acquired));
    g.release(&mut b, "test");
    let (seen, done) = play(&mut g, &mut b, &[]);
    assert_eq!(seen, ["web stop", "ip stop"]);
    assert_eq!((done, g.claim()), (Some(Done::Released), None));
}

fn running(words: &[&str]) -> (Group, Bench) {
    let (mut g, mut b) = (group(words), bench());
    g.acquire(&mut b, "test");
    assert_eq!(play(&mut g, &mut b, &[]).1, Some(Done::Acquired));
    (g, b)
}

fn state(g: &Group) -> Option<ClaimState> {
    g.claim().map(|c| c.state)
}

#[test]
fn a_restart_in_place_leaves_what_stands_before_it_alone() {
    #[rustfmt::skip]
    let table: [(usize, &[&str], &[&str]); 4] = [
        // from  fails  seen
        (2, &[], &["mail stop", "mail start"]),
        (1, &[], &["mail stop", "web stop", "web start", "mail start"]),
        (0, &[], &["mail stop", "web stop", "ip stop", "ip start", "web start", "mail start"]),
        // What is dead may not know how to stop: it says after ten tries that it is down.
        (2, &["mail stop"], &["mail stop", "mail stop", "mail stop", "mail stop", "mail stop", "mail stop", "mail stop",
                              "mail stop", "mail stop", "mail stop", "mail status", "mail start"]),
    ];
    for (from, fails, want) in table {
        let (mut g, mut b) = running(&["ip", "web", "mail"]);
        g.restart(&mut b, from, "test");
        assert_eq!(state(&g), Some(ClaimState::Starting), "it is on its way to nobody");
        let (seen, done) = play(&mut g, &mut b, fails);
        assert_eq!(
            (seen, done),
            (want.iter().map(|s| (*s).to_owned()).collect(), Some(Done::Restarted)),
            "{from}"
        );
        assert_eq!(state(&g), Some(ClaimState::Running));
    }
}

#[test]
fn a_restart_that_fails_gives_the_group_up_unless_nobody_could_have_it() {
    let (mut g, mut b) = running(&["ip", "web", "mail"]);
    g.restart(&mut b, 1, "test");
    let (seen, done) = play(&mut g, &mut b, &["web start"]);
    assert_eq!(seen, ["mail stop", "web stop", "web start", "web stop", "ip stop"]);
    assert!(matches!(done, Some(Done::Failed { .. })), "{done:?}");
    assert_eq!(state(&g), Some(ClaimState::Failed));

    let (mut g, mut b) = running(&["ip", "web", "mail"]);
    g.restart(&mut b, 1, "test");
    let (seen, done) = play_alone(&mut g, &mut b, &["web start"], true);
    assert_eq!(seen, ["mail stop", "web stop", "web start"]);
    assert!(matches!(done, Some(Done::Limping { .. })), "{done:?}");
    assert_eq!(state(&g), Some(ClaimState::Running));
    // The next one may work.
    g.restart(&mut b, 1, "test");
    let (seen, done) = play_alone(&mut g, &mut b, &[], true);
    assert_eq!(seen, ["mail stop", "web stop", "web start", "mail start"]);
    assert_eq!(done, Some(Done::Restarted));
}

#[test]
fn a_release_in_the_middle_of_a_restart_stops_everything() {
    // Asked for while the script of this number runs.
    for (number, want) in [
        (0, vec!["mail stop", "web stop", "ip stop"]),
        (1, vec!["mail stop", "web stop", "ip stop"]),
        (2, vec!["mail stop", "web stop", "web start", "web stop", "ip stop"]),
        (
            3,
            vec![
                "mail stop",
                "web stop",
                "web start",
                "mail start",
                "mail stop",
                "web stop",
                "ip stop",
            ],
        ),
    ] {
        let (mut g, mut b) = running(&["ip", "web", "mail"]);
        g.restart(&mut b, 1, "test");
        let mut seen = Vec::new();
        for _ in 0..number {
            let (job, command) = b.orders.remove(0);
            seen.push(format!("{} {}", command.resource.name, command.verb.as_str()));
            let outcome = Outcome {
                exit: Exit::Code(0),
                output: String::new(),
                took: Duration::ZERO,
            };
            assert!(g.waits_for(job));
            assert_eq!(g.job_ended(&mut b, &outcome, false, false), None);
        }
        g.release(&mut b, "test");
        assert_eq!(state(&g), Some(ClaimState::Stopping));
        let (rest, done) = play(&mut g, &mut b, &[]);
        seen.extend(rest);
        assert_eq!(
            (seen, done),
            (want.iter().map(|s| (*s).to_owned()).collect(), Some(Done::Released)),
            "{number}"
        );
        assert_eq!(state(&g), None);
    }
}

#[test]
fn a_group_that_is_given_up_is_stopped_and_failed_here() {
    let (mut g, mut b) = running(&["ip", "web"]);
    g.give_up(&mut b, "no answer".to_owned());
    assert_eq!(state(&g), Some(ClaimState::Stopping));
    let (seen, done) = play(&mut g, &mut b, &[]);
    assert_eq!(seen, ["web stop", "ip stop"]);
    assert_eq!(
        done,
        Some(Done::Failed {
            why: "no answer".to_owned()
        })
    );
    assert_eq!(
        (state(&g), g.forgotten_at()),
        (Some(ClaimState::Failed), Instant::NEVER)
    );
    g.forget_after = Some(Duration::from_secs(60));
    assert_eq!(g.forgotten_at(), g.since + Duration::from_secs(60));
    g.forget_failures();
    assert_eq!(state(&g), None);
}

#[test]
fn what_runs_already_is_not_started_again() {
    let (mut g, mut b) = (group(&["ip", "web"]), bench());
    g.acquire(&mut b, "test");
    let (seen, _) = play(&mut g, &mut b, &["ip status"]);
    assert_eq!(seen, ["ip status", "web status", "web start"]);
}

#[test]
fn a_failed_start_gives_the_group_back() {
    let (mut g, mut b) = (group(&["ip", "web", "mail"]), bench());
    g.acquire(&mut b, "test");
    let (seen, done) = play(&mut g, &mut b, &["web start"]);
    assert_eq!(
        seen,
        [
            "ip status",
            "ip start",
            "web status",
            "web start",
            "web stop",
            "ip stop"
        ]
    );
    assert!(matches!(done, Some(Done::Failed { .. })));
    assert_eq!(g.claim().map(|c| c.state), Some(ClaimState::Failed));
}

#[test]
fn a_start_that_is_no_longer_wanted_is_not_begun() {
    let (mut g, mut b) = (group(&["ip", "web"]), bench());
    g.acquire(&mut b, "test");
    g.release(&mut b, "changed our mind");
    assert_eq!(g.claim().map(|c| c.state), Some(ClaimState::Stopping));
    let (seen, done) = play(&mut g, &mut b, &[]);
    assert_eq!(seen, ["ip status", "ip stop"]);
    assert_eq!(done, Some(Done::Released));
}

#[test]
fn a_group_that_ran_before_is_stopped_from_its_last_resource() {
    let (mut g, mut b) = (group(&["ip", "web", "mail"]), bench());
    g.adopt(&mut b);
    g.release(&mut b, "another node keeps it");
    let (seen, done) = play(&mut g, &mut b, &["ip status"]);
    assert_eq!(seen, ["ip status", "mail stop", "web stop", "ip stop"]);
    assert_eq!(done, Some(Done::Released));
    g.adopt(&mut b);
    let (seen, _) = play(&mut g, &mut b, &["ip start"]);
    assert_eq!(seen, ["ip status", "ip start", "mail stop", "web stop", "ip stop"]);
}

#[test]
fn a_stop_is_tried_ten_times_then_the_group_is_blocked_or_let_go() {
    for (still_there, want_blocked) in [(true, true), (false, false)] {
        let (mut g, mut b) = (group(&["web"]), bench());
        g.acquire(&mut b, "test");
        play(&mut g, &mut b, &[]);
        g.release(&mut b, "test");
        let fails: &[&str] = if still_there {
            &["web stop", "web status"]
        } else {
            &["web stop"]
        };
        let (seen, done) = play(&mut g, &mut b, fails);
        assert_eq!(seen.iter().filter(|l| *l == "web stop").count(), 10);
        assert_eq!(matches!(done, Some(Done::Blocked { .. })), want_blocked, "{done:?}");
        assert_eq!(g.word(), if want_blocked { "blocked" } else { "stopped" });
    }
}

#[test]
fn running_is_what_the_text_says() {
    #[rustfmt::skip]
    let table = [
        ("INFO:  Running OK", true), ("nginx is running", true), ("OK", true), ("Running", true),
        ("nginx is not running", false), ("stopped", false), ("", false), ("INFO:  Resource is stopped", false),
    ];
    for (text, want) in table {
        assert_eq!(says_running(text), want, "{text}");
    }
}
