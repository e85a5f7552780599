//! ipfail of each program, talking to the other's: a ping node that one of them loses.

use crate::bed::{PRIMARY, Pair, SECONDARY, Setup, both_sides};
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

const HOME: [(&str, &str); 2] = [(PRIMARY, "web"), (SECONDARY, "mail")];
const NODES: [(&str, &str, &str); 2] = [(PRIMARY, SECONDARY, "primary"), (SECONDARY, PRIMARY, "secondary")];
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 250);
/// The classic waits two keepalives, ours three; then ten seconds in which it may change its mind.
const LONG: Duration = Duration::from_secs(3);

fn setup(auto_failback: &'static str) -> Setup {
    Setup {
        ping: Some(ROUTER),
        more: format!(
            "deadping 1\nping {ROUTER}\napiauth ipfail uid=hacluster\nrespawn hacluster /usr/libexec/heartbeat/ipfail\n"
        ),
        ..Setup::failback(auto_failback)
    }
}

fn both_run(p: &Pair) {
    p.started();
    p.wait_log(p.ours, "both nodes hear as many ping nodes");
}

fn wait_ping(p: &Pair, on: &str, status: &str) {
    p.wait(&format!("{on} sees the ping node as {status}"), || {
        p.status(on, &ROUTER.to_string()) == status
    });
}

#[test]
fn the_node_that_lost_its_ping_node_gives_everything_up() {
    both_sides("ipfail-off", &setup("off"), |p, rows| {
        both_run(p);
        for (node, other, who) in NODES {
            let watcher = p.watch();
            let begun = Instant::now();
            p.lab.cut(node, &ROUTER.to_string()).expect("cut");
            let took = p.settled(&[(other, "web"), (other, "mail")], begun);
            rows.note(
                format!("ipfail: the {who} loses the ping node: the other has all"),
                took,
            );
            p.lab.heal().expect("healed");
            wait_ping(p, node, "ping");
            p.forget_calls();
            thread::sleep(LONG);
            p.nothing_moved();
            p.never_double(&watcher, 0);
        }
    });
}

#[test]
fn with_failback_everything_goes_home_when_the_ping_node_is_back() {
    both_sides("ipfail-on", &setup("on"), |p, rows| {
        both_run(p);
        for (node, other, who) in NODES {
            let watcher = p.watch();
            let begun = Instant::now();
            p.lab.cut(node, &ROUTER.to_string()).expect("cut");
            p.settled(&[(other, "web"), (other, "mail")], begun);
            let begun = Instant::now();
            p.lab.heal().expect("healed");
            let took = p.settled(&HOME, begun);
            rows.note(format!("ipfail, auto_failback on: the {who}'s ping node is back"), took);
            p.forget_calls();
            thread::sleep(LONG);
            p.nothing_moved();
            p.never_double(&watcher, 0);
        }
    });
}

/// Nobody is better off: nothing moves. The classic gives up two keepalives after it was told that it hears less, and
/// may itself notice only a second after us: with a beat of 100 ms it would move, as two of it would.
#[test]
fn a_ping_node_that_both_lose_moves_nothing() {
    let setup = Setup {
        keepalive: "1",
        deadtime: "5",
        ..setup("off")
    };
    let setup = Setup {
        more: setup.more.replace("deadping 1\n", "deadping 4\n"),
        ..setup
    };
    both_sides("ipfail-both", &setup, |p, rows| {
        both_run(p);
        p.forget_calls();
        let begun = Instant::now();
        p.lab.power_off(&ROUTER.to_string()).expect("off");
        for node in [PRIMARY, SECONDARY] {
            wait_ping(p, node, "dead");
        }
        thread::sleep(LONG);
        p.lab.power_on(&ROUTER.to_string()).expect("on");
        for node in [PRIMARY, SECONDARY] {
            wait_ping(p, node, "ping");
        }
        thread::sleep(LONG);
        p.nothing_moved();
        rows.note(
            "ipfail: both lose the ping node and hear it again, nothing moves",
            begun.elapsed(),
        );
    });
}
