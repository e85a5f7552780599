//! The self-test that comes with heartbeat 3.0.6, `BasicSanityCheck`, on heartbeat 3.0.6 and on ours in its place: it starts
//! the daemon with a node that is always dead, looks for its words in the log and for the answers of `cl_status`, reloads it
//! twice and stops it.

use crate::bed::{BOUND, PRIMARY, Pair, SECONDARY, Setup, possible, skipped};
use std::path::Path;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/self_test.sh");

/// How its complaints begin.
const COMPLAINTS: [&str; 7] = [
    "Does not look like",
    "Looks like",
    "Heartbeat ",
    "That's weird",
    "/usr/bin/cl_status",
    "ERROR: Did not find",
    "OOPS! We generated",
];

/// What it found wrong, each once, without the name of its log.
fn complaints(output: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for line in output.lines().filter(|l| COMPLAINTS.iter().any(|c| l.starts_with(c))) {
        let line = line.split(" in /tmp/").next().unwrap_or(line);
        if !found.contains(&line) {
            found.push(line);
        }
    }
    found
}

#[test]
fn the_classics_own_self_test_runs_on_ours() {
    if let Err(why) = possible() {
        skipped(&format!("tests with heartbeat 3.0.6: {why}"));
        return;
    }
    let setup = Setup {
        both_classic: true,
        ..Setup::default()
    };
    let pair = Pair::make("self-test", &setup, SECONDARY);
    pair.lab.cut(PRIMARY, SECONDARY).expect("cut");
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("init/install.sh");
    let programs = Path::new(env!("CARGO_BIN_EXE_heartbeat"))
        .parent()
        .expect("in a directory");
    pair.good(
        SECONDARY,
        &[
            "sh",
            &install.display().to_string(),
            "--from",
            &programs.display().to_string(),
        ],
    );
    let _running = [PRIMARY, SECONDARY].map(|n| pair.in_background(n, &format!("unshare -m sh {SCRIPT}"), "self-test"));
    let output = |node| pair.output(node, "self-test");
    // Some 45 s, of which most is its own waiting.
    pair.wait_for(BOUND * 4, "the self-test of both is over", || {
        [PRIMARY, SECONDARY].iter().all(|n| output(n).contains("ended with"))
    });
    let (theirs, ours) = (output(PRIMARY), output(SECONDARY));
    println!("heartbeat 3.0.6:\n{theirs}\nours:\n{ours}");
    for text in [&theirs, &ours] {
        for step in ["Starting heartbeat", "Reloading heartbeat", "Stopping heartbeat"] {
            assert!(text.contains(step), "{text}");
        }
    }
    assert_eq!(
        complaints(&ours),
        [
            // A reload of ours is not a restart …
            "Does not look like we did a restart exec.",
            // … and `heartbeat -r` does not write to the log.
            "ERROR: Did not find [2:] occurances of Signalling.* to reread config files",
        ],
        "{ours}"
    );
    // Of its ERROR lines all are of the classic's `ccm`, which looks for the classic's socket.
    let errors = ours
        .lines()
        .filter(|l| l.contains(" heartbeat: ") && l.contains("ERROR"));
    for line in errors {
        assert!(line.contains("/usr/lib/heartbeat/ccm\""), "{line}\n{ours}");
    }
    let all = ["Looks like monitor operation failed"];
    assert!(complaints(&theirs).iter().all(|c| all.contains(c)), "{theirs}");
}
