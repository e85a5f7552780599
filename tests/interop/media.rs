//! Every signature and every medium that both programs have: a start, a move and the way back over each.

use crate::bed::{PRIMARY, Rows, SECONDARY, Setup, both_sides};
use std::time::Instant;

const HOME: [(&str, &str); 2] = [(PRIMARY, "web"), (SECONDARY, "mail")];

fn start_and_move(name: &str, label: &str, setup: &Setup) {
    let setup = Setup {
        auto_failback: "off",
        initdead: Setup::failback("off").initdead,
        ..setup.clone()
    };
    both_sides(name, &setup, |p, rows: &mut Rows| {
        rows.note(format!("{label}: start"), p.started());
        let begun = Instant::now();
        p.command(PRIMARY, &["hb_standby"]);
        let took = p.settled(&[(SECONDARY, "web"), (SECONDARY, "mail")], begun);
        rows.note(format!("{label}: hb_standby"), took);
        let begun = Instant::now();
        p.command(PRIMARY, &["hb_takeover", "local"]);
        rows.note(format!("{label}: hb_takeover local"), p.settled(&HOME, begun));
    });
}

fn signed(name: &str, label: &str, authkeys: &'static str) {
    start_and_move(
        name,
        label,
        &Setup {
            authkeys,
            ..Setup::default()
        },
    );
}

fn over(name: &str, label: &str, media: &'static str) {
    start_and_move(
        name,
        label,
        &Setup {
            media,
            ..Setup::default()
        },
    );
}

#[test]
fn signed_with_crc() {
    signed("crc", "crc", "auth 2\n2 crc\n");
}

#[test]
fn signed_with_md5() {
    signed("md5", "md5", "auth 3\n3 md5 Hello!\n");
}

#[test]
fn over_ucast() {
    over("ucast", "ucast", "ucast eth0 10.77.0.1\nucast eth0 10.77.0.2");
}

#[test]
fn over_mcast() {
    over("mcast", "mcast", "mcast eth0 239.0.0.43 694 1 0");
}

#[test]
fn over_a_serial_line() {
    let setup = Setup {
        media: "serial /dev/ttyS0",
        serial: true,
        // A beat is some 200 bytes: at 100 ms they would fill a slow line.
        keepalive: "500ms",
        deadtime: "4",
        ..Setup::default()
    };
    start_and_move("serial", "serial", &setup);
}

#[test]
fn over_two_media_of_which_one_is_cut() {
    let setup = Setup {
        media: "bcast eth0 eth1",
        ..Setup::default()
    };
    both_sides("two-media", &setup, |p, rows| {
        rows.note("two media: start", p.started());
        p.forget_calls();
        for (cut, left) in [("eth0", "eth1"), ("eth1", "eth0")] {
            for (from, to) in [(PRIMARY, SECONDARY), (SECONDARY, PRIMARY)] {
                p.lab.fault(from, to, cut, 100).expect("cut");
            }
            let begun = Instant::now();
            for (on, node) in [(PRIMARY, SECONDARY), (SECONDARY, PRIMARY)] {
                p.wait("the link is dead", || {
                    p.run(on, &["cl_status", "hblinkstatus", node, cut]).out.trim() == "dead"
                });
                assert_eq!(p.run(on, &["cl_status", "hblinkstatus", node, left]).out.trim(), "up");
                assert_eq!(p.status(on, node), "active");
            }
            rows.note(format!("two media: {cut} is cut, nothing moves"), begun.elapsed());
            p.lab.heal().expect("healed");
            for (on, node) in [(PRIMARY, SECONDARY), (SECONDARY, PRIMARY)] {
                p.wait("the link is up", || {
                    p.run(on, &["cl_status", "hblinkstatus", node, cut]).out.trim() == "up"
                });
            }
        }
        p.nothing_moved();
    });
}
