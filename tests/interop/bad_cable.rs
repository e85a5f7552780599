//! Nodes that hear only some of what the other one says. The longest scenario, and the first by its name: the others run
//! beside it.

use crate::bed::{PRIMARY, SECONDARY, Setup, both_sides};
use std::thread;
use std::time::{Duration, Instant};

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
