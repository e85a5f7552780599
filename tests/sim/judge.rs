//! Two thousand random schedules of faults over two to eight nodes; a hundred thousand by
//!
//! `cargo test --release --test sim -- --ignored --nocapture a_hundred_thousand`
//!
//! (`SIM_COUNT` and `SIM_FIRST` say how many and from which on, `SIM_KIND` which of them, `SIM_ENOUGH` how many may fail.) What fails is made smaller and printed as one line, with
//! which it can be played again, with the log of the daemons when `SIM_LOG` is set:
//!
//! `SIM_SCHEDULE='17 3 fenced: 4 7/2' cargo test --release --test sim -- --ignored --nocapture one_schedule`
//!
//! and which becomes a row of [`schedules_that_once_failed_pass`].

use ha::sim::Schedule;
use ha::sim::plan::Kind;
use std::sync::atomic::{AtomicU64, Ordering};

/// Each of these once broke a promise, of the daemon unless it says otherwise; what it was stands beside it.
#[test]
fn schedules_that_once_failed_pass() {
    #[rustfmt::skip]
    let table: &[(&str, &str)] = &[
        ("464 2 classic: 7 9/6", "a classic that started while it was cut off has all and does not say so: two owners for ever"),
        ("754 2 classic: 6 8", "the same, started long before the end of the cut"),
        ("654 2 classic: 0", "a classic that heard us while we did not hear it was expected to give everything up"),
        ("624 2 classic: 0/4 1/6", "a standby that a classic called off was waited for, and so was ours by it"),
        ("18584 2 classic: 4 6/6", "the same, of a classic that had just become active and ignored its own question"),
        ("3068 2 fenced: 1/1 5/1 6 7 9/3 10/6", "failures were forgotten by a reload on both nodes while they did not hear each other: both started"),
        ("21686 3 fenced: 2/2 3/6", "what a node passed on to one that a third did not hear any more was started by the third"),
        ("73427 2 fenced: 2 5/6 7 8/6", "the same, by hb_takeover on both"),
        ("88345 4 fenced: 0 1/4 2/6", "what a node handed to a third one before it was fenced, unheard, was started again"),
        ("35767 5 fenced: 1/2 2/6", "the same; nobody had heard the third node yet"),
        ("29580 7 anything: 1 5/1", "a node that woke up asked once a packet for what it had missed, and could not be heard: a storm"),
        ("77034 2 classic: 6 8/2", "that a classic begins to release was said late, after newer news, and not believed"),
        ("45834 2 classic: 2 3/6 4 6/1 7/6", "a classic that was asked twice released twice, and then said that it had what it had not"),
        ("23339 4 planned: 9/6 10", "the judge: a node that came back after the repair had no time to get its groups"),
    ];
    for (text, what) in table {
        let schedule: Schedule = text.parse().unwrap();
        if let Err(why) = schedule.play() {
            panic!("{what}: {why}");
        }
    }
}

/// Plays these schedules on all processors; what fails, as small as it can be made.
fn play(numbers: std::ops::Range<u64>, only: Option<Kind>, enough: usize) -> Vec<String> {
    let next = AtomicU64::new(numbers.start);
    let work = || {
        let mut bad = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= numbers.end || bad.len() >= enough {
                return bad;
            }
            if n.is_multiple_of(1000) && n > numbers.start {
                eprintln!("{n} schedules were begun");
            }
            let schedule = Schedule::number(n);
            if only.is_none_or(|kind| kind == schedule.kind) && schedule.play().is_err() {
                let small = schedule.shrunk(|s| s.play().is_err());
                let why = small.play().err().unwrap_or_default();
                eprintln!(
                    "FAILED: \"{schedule}\", smaller \"{small}\": {}",
                    why.lines().next().unwrap_or("")
                );
                bad.push(format!("{why}\n{}", small.describe()));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|t| t.join().unwrap()).collect()
    })
}

#[test]
fn no_promise_is_broken_in_two_thousand_schedules() {
    let bad = play(0..2000, None, 1);
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
}

/// Most events change nothing for the groups, which then are not looked at. Here they are, and nothing is to be done.
#[test]
fn a_look_that_is_left_out_was_not_needed() {
    for n in (0..400).step_by(7) {
        if let Err(why) = Schedule::number(n).play_with(|config| config.doubtful = true) {
            panic!("{why}");
        }
    }
}

/// What is allowed without fencing while nodes do not hear each other is seen as soon as it is not allowed.
#[test]
fn two_owners_do_not_escape_the_judge() {
    let cut = |s: &&Schedule| s.describe().contains("Cut {") && s.kind == Kind::Anything;
    let all: Vec<Schedule> = (0..40).map(Schedule::number).collect();
    let seen = all
        .iter()
        .filter(cut)
        .filter_map(|s| s.play_with(|config| config.strict = true).err());
    let seen: Vec<String> = seen.collect();
    assert!(seen.len() > 5, "{}", seen.len());
    assert!(seen.iter().all(|why| why.contains("at once")), "{}", seen.join("\n"));
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(otherwise)
}

#[test]
#[ignore = "long: hours of processor time, see above"]
fn a_hundred_thousand_schedules() {
    let first = number("SIM_FIRST", 0);
    let count = number("SIM_COUNT", 100_000);
    let only = std::env::var("SIM_KIND").ok();
    let only = only.map(|word| Kind::parse(&word).expect("SIM_KIND is anything, planned, fenced or classic"));
    let bad = play(first..first + count, only, number("SIM_ENOUGH", 20) as usize);
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
    eprintln!("{count} schedules, all promises kept");
}

#[test]
#[ignore = "a tool: plays the schedule that the environment names"]
fn one_schedule() {
    struct Print;
    impl log::Log for Print {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            eprintln!("{} {}", record.level(), record.args());
        }
        fn flush(&self) {}
    }
    if std::env::var_os("SIM_LOG").is_some() {
        log::set_logger(&Print).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    }
    let text = std::env::var("SIM_SCHEDULE").expect("SIM_SCHEDULE says which");
    let schedule: Schedule = text.parse().unwrap();
    eprint!("{}", schedule.describe());
    match schedule.play() {
        Ok(sim) => eprintln!("{} steps, hash {:x}{}", sim.steps(), sim.hash(), sim.state()),
        Err(why) => panic!("{why}"),
    }
}
