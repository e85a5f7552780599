//! Loss and junk for some seconds each; `cargo bench --bench storms` does it for as long as one likes.

use crate::cluster::skipped;
use crate::storm::Pair;
use ha::lab::flood::{Kind, Source};
use ha::sys::process;
use std::time::Duration;

const RATE: u32 = 50_000;

fn pair(test: &str) -> Option<Pair> {
    if !process::is_root() {
        skipped("storms: they need root");
        return None;
    }
    Some(Pair::start(test, env!("CARGO_BIN_EXE_hb_lab").into(), false).expect("a pair that runs"))
}

fn junk(kind: Kind) {
    let Some(pair) = pair(&format!("junk-{kind}")) else {
        return;
    };
    for source in [Source::Foreign, Source::Peer] {
        let seen = pair.flood(kind, source, RATE, Duration::from_secs(5)).expect("a flood");
        assert_eq!(seen.sent, 5 * u64::from(RATE), "{source:?}: {seen:?}");
        assert!(
            seen.stayed && seen.deaths == 0 && seen.gaps == 0,
            "{source:?}: {seen:?}\n{}",
            pair.lab.log("node1")
        );
        assert!(seen.lines < 100, "{source:?}: {seen:?}\n{}", pair.lab.log("node1"));
        // 25 % are wanted of a machine that does nothing else.
        assert!(seen.cpu < 50.0, "{source:?}: {seen:?}");
    }
    let log = pair.lab.log("node1");
    assert!(log.contains("link eth0: flooded with bad packets"), "{log}");
}

#[test]
fn random_junk_moves_nothing() {
    junk(Kind::Random);
}

#[test]
fn forged_packets_move_nothing() {
    junk(Kind::Forged);
}

#[test]
fn replayed_packets_move_nothing() {
    junk(Kind::Replayed);
}

#[test]
fn a_network_that_loses_a_third_moves_nothing() {
    let Some(pair) = pair("loss") else { return };
    let seen = match pair.lose(30, Duration::from_secs(5)) {
        Ok(seen) => seen,
        Err(e) => return skipped(&format!("packets that are lost: no iptables with \"statistic\": {e}")),
    };
    assert!(seen.stayed && seen.deaths == 0, "{seen:?}\n{}", pair.lab.log("node1"));
    assert!(seen.gaps > 0, "nothing was lost: {seen:?}");
}
