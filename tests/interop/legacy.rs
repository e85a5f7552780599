//! `auto_failback legacy`: the protocol before nice_failback, in which nobody says what it holds.

use crate::bed::{PRIMARY, SECONDARY, Setup, both_sides};
use std::time::Instant;

const HOME: [(&str, &str); 2] = [(PRIMARY, "web"), (SECONDARY, "mail")];

#[test]
fn in_legacy_mode_everything_goes_home_by_asking() {
    both_sides("legacy", &Setup::failback("legacy"), |p, rows| {
        rows.note("legacy: start", p.started());
        for (node, other, who) in [(PRIMARY, SECONDARY, "primary"), (SECONDARY, PRIMARY, "secondary")] {
            let begun = Instant::now();
            p.stop(node);
            let all = [(other, "web"), (other, "mail")];
            rows.note(format!("legacy: the {who} is stopped"), p.settled(&all, begun));
            let begun = Instant::now();
            p.start(node);
            rows.note(format!("legacy: the {who} starts again"), p.settled(&HOME, begun));
        }
    });
}
