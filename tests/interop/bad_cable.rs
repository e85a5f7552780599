//! Nodes that hear only some of what the other one says. The longest scenario, and the first by its name: the others run
//! beside it.

use crate::bed::{PRIMARY, SECONDARY, Setup, both_sides};
use std::thread;
use std::time::{Duration, Instant};

/// The beats of three seconds are missing in a row: a few questions get them all.
#[test]
fn what_is_missing_in_a_row_is_asked_for_at_once() {
    let setup = Setup {
        deadtime: "10",
        initdead: "11",
        ..Setup::default()
    };
    both_sides("in-a-row", &setup, |p, _| {
        p.started();
        let counted = |what: &str| {
            let status = p.good(p.ours, &["cl_status", "status", "--json"]);
            let json = ha::clients::json::Json::parse(&status).expect("JSON");
            json.get("counters").get(what).number()
        };
        let repaired = format!("No pkts missing from {}", p.theirs);
        let repairs = || p.log(p.ours).matches(&repaired).count();
        let (asked, gaps, before) = (counted("retransmission_requests_sent"), counted("gaps"), repairs());
        p.lab.cut_one_way(p.theirs, p.ours).expect("cut");
        thread::sleep(Duration::from_secs(3));
        p.lab.heal().expect("healed");
        p.wait("all is repeated", || repairs() > before);
        assert!(counted("gaps") > gaps);
        let asked = counted("retransmission_requests_sent") - asked;
        assert!((1..=8).contains(&asked), "{asked} questions for some 30 packets");
    });
}

const HOME: [(&str, &str); 2] = [(PRIMARY, "web"), (SECONDARY, "mail")];

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
