//! The rolling replacement: two classic nodes with a service and a client who looks all the time; ours is installed over
//! one, then over the other.

use crate::bed::{PRIMARY, Pair, SECONDARY, Setup, in_the_page, possible, row, skipped};
use ha::lab::Watcher;
use std::path::Path;
use std::time::Instant;

const HOME: [(&str, &str); 2] = [(PRIMARY, "web"), (SECONDARY, "mail")];

fn script(pair: &Pair, node: &str, words: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("init/install.sh");
    let script = script.display().to_string();
    pair.good(node, &[&["sh", &script], words].concat());
}

fn version(pair: &Pair, node: &str) -> String {
    let said = pair.run(node, &["/usr/libexec/heartbeat/heartbeat", "-V"]);
    said.out + &said.err
}

#[test]
fn ours_replaces_both_nodes_one_after_the_other_and_a_client_sees_only_the_planned_moves() {
    if let Err(why) = possible() {
        skipped(&format!("tests with heartbeat 3.0.6: {why}"));
        return;
    }
    let setup = Setup {
        both_classic: true,
        ..Setup::failback("off")
    };
    let pair = Pair::make("rolling", &setup, SECONDARY);
    // Two of the classic wait for each other for ten seconds.
    pair.started();
    let watcher = pair.watch();
    let programs = Path::new(env!("CARGO_BIN_EXE_heartbeat"))
        .parent()
        .expect("in a directory");
    let programs = programs.display().to_string();
    let since = Watcher::now();
    let mut rows = Vec::new();
    for (node, other) in [(SECONDARY, PRIMARY), (PRIMARY, SECONDARY)] {
        let begun = Instant::now();
        pair.command(node, &["hb_standby", "all"]);
        pair.settled(&[(other, "web"), (other, "mail")], begun);
        assert!(version(&pair, node).contains("3.0.6"));
        pair.stop(node);
        script(&pair, node, &["--from", &programs]);
        assert!(
            !version(&pair, node).contains("3.0.6 (node"),
            "{}",
            version(&pair, node)
        );
        pair.start(node);
        pair.wait("it serves again", || pair.rscstatus(node) == "none");
        rows.push(begun.elapsed());
        // Its own comes home when the administrator says so.
        pair.good(node, &["hb_takeover", "local"]);
        pair.settled(&HOME, begun);
    }
    pair.never_double(&watcher, since);
    assert_eq!(
        watcher.timeline().owners(since),
        [PRIMARY, SECONDARY, PRIMARY],
        "the two planned moves"
    );
    let gap = watcher.longest_gap(since).map_or(0, |g| (g.to - g.from) / 1000);
    let seconds = |i: usize| format!("{:.1}", rows[i].as_secs_f64());
    let label = "rolling replacement, from hb_standby to the start of ours";
    row(label, &seconds(1), &seconds(0));
    in_the_page(label);
    println!("the longest time without an answer: {gap} ms");
    // And back: the classic is what it was.
    let begun = Instant::now();
    pair.stop(SECONDARY);
    pair.settled(&[(PRIMARY, "web"), (PRIMARY, "mail")], begun);
    script(&pair, SECONDARY, &["--uninstall"]);
    assert!(
        version(&pair, SECONDARY).contains("3.0.6"),
        "{}",
        version(&pair, SECONDARY)
    );
    pair.start(SECONDARY);
    // Refused until the classic is a member again.
    pair.wait("ours gives back what is its own", || {
        pair.run(PRIMARY, &["hb_standby", "foreign"]).code == Some(0)
    });
    pair.settled(&HOME, begun);
    for node in [PRIMARY, SECONDARY] {
        pair.no_complaint(node, &[]);
    }
}
