//! Nodes that do not hear each other, or only some of it.

use crate::bed::{PRIMARY, SECONDARY, Setup, both_sides};
use std::thread;
use std::time::{Duration, Instant};

const HOME: [(&str, &str); 2] = [(PRIMARY, "web"), (SECONDARY, "mail")];

#[test]
fn after_a_partition_there_is_exactly_one_owner() {
    // That is what a partition is, and two of the classic say it too.
    let setup = Setup {
        known: &[
            "Both machines own our resources!",
            "Both machines own foreign resources!",
        ],
        ..Setup::default()
    };
    both_sides("partition", &setup, |p, rows| {
        p.started();
        p.grown_up();
        let begun = Instant::now();
        p.lab.cut(PRIMARY, SECONDARY).expect("cut");
        p.wait("both have all", || p.running().len() == 4);
        rows.note("partition: both have everything", begun.elapsed());
        let begun = Instant::now();
        p.lab.heal().expect("healed");
        p.wait("each group has one owner", || {
            let running = p.running();
            running.len() == 2 && ["web", "mail"].iter().all(|s| running.iter().any(|(_, r)| r == s))
        });
        rows.note("healed: nothing runs twice", begun.elapsed());
        p.wait("everything is at home", || {
            let mut running = p.running();
            running.sort_unstable();
            running == HOME && p.rscstatus(PRIMARY) == "local" && p.rscstatus(SECONDARY) == "local"
        });
        rows.note("healed: everything at home and calm", begun.elapsed());
        // The classic still restarts itself some seconds later.
        p.wait_log(p.theirs, "returning after partition");
    });
}

/// A minute in which three of ten packets are lost, in both directions: asked for and sent again, and nobody dies.
#[test]
fn thirty_percent_loss_for_a_minute_kills_nobody() {
    let setup = Setup {
        deadtime: "5",
        initdead: "6",
        ..Setup::default()
    };
    both_sides("loss", &setup, |p, rows| {
        p.started();
        p.forget_calls();
        p.lab.loss(PRIMARY, SECONDARY, 30).expect("lossy");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_secs(1));
            p.nothing_moved();
        }
        for node in [PRIMARY, SECONDARY] {
            assert!(!p.log(node).contains("is dead"), "{}", p.log(node));
        }
        // The classic missed some of ours and got them; we missed some of theirs and got them.
        p.wait_log(p.theirs, "No pkts missing from");
        let counters = p.good(p.ours, &["cl_status", "status", "--json"]);
        let json = ha::clients::json::Json::parse(&counters).expect("JSON");
        let gaps = json.get("counters").get("gaps").number();
        assert!(gaps > 20, "{counters}");
        p.lab.heal().expect("healed");
        p.settled(&HOME, begun);
        rows.note("30 % loss for a minute: nothing moved", Duration::from_secs(60));
    });
}
