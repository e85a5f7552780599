//! S2.13: the node that hears more ping nodes serves.

use crate::cluster::{Cluster, Setup, VIP};
use ha::lab::Watcher;
use ha::sys::process;
use std::time::Duration;

const NODES: [&str; 2] = ["hello", "web"];
/// What routers are to a site: alive as long as the network works.
const ROUTER: &str = "10.77.0.250";
const OTHER: &str = "10.77.0.251";
/// Twice what ipfail waits before it moves anything.
const LONG: Duration = Duration::from_secs(3);

fn cluster(test: &str, auto_failback: &'static str) -> Option<(Cluster, Watcher)> {
    // In a namespace of one's own there is only one user.
    let (user, auth) = match process::is_root() {
        true => ("hacluster", ""),
        false => ("root", "apiauth ipfail uid=root\n"),
    };
    let setup = Setup {
        auto_failback,
        ping: [ROUTER, OTHER].map(|h| h.parse().expect("an address")).to_vec(),
        more: format!("deadping 1500ms\nping {ROUTER} {OTHER}\n{auth}respawn {user} /usr/lib/heartbeat/ipfail\n"),
        ..Setup::default()
    };
    let c = setup.started(test)?;
    for node in NODES {
        c.wait_log(node, "both nodes hear as many ping nodes");
    }
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    Some((c, watcher))
}

/// So many times has the address changed hands.
fn moves(watcher: &Watcher) -> usize {
    let timeline = watcher.timeline();
    assert_eq!(timeline.doubles(0), [], "two owners");
    timeline.owners(0).len() - 1
}

fn wait_ping(c: &Cluster, on: &str, host: &str, status: &str) {
    c.wait(&format!("{on} sees {host} as {status}"), || {
        c.node_status(on, host) == status
    });
}

#[test]
fn s2_13_resources_move_to_the_node_that_hears_more_ping_nodes_and_move_once() {
    let Some((c, watcher)) = cluster("s2-13-off", "off") else {
        return;
    };
    c.lab.cut("hello", ROUTER).expect("cut");
    c.wait_owner(&watcher, "web", 0);
    c.wait_log("hello", "giving up all resources: the other node hears more ping nodes");
    c.stable(&NODES);
    c.lab.heal().expect("healed");
    wait_ping(&c, "hello", ROUTER, "ping");
    std::thread::sleep(LONG);
    assert_eq!(moves(&watcher), 1);
    // It works the other way round as well.
    c.lab.cut("web", ROUTER).expect("cut");
    c.lab.cut("web", OTHER).expect("cut");
    c.wait("hello has it again", || moves(&watcher) == 2);
    c.stable(&NODES);
}

#[test]
fn s2_13_with_failback_the_resources_go_home_once_when_the_ping_node_is_back() {
    let Some((c, watcher)) = cluster("s2-13-on", "on") else {
        return;
    };
    c.lab.cut("hello", ROUTER).expect("cut");
    c.wait_owner(&watcher, "web", 0);
    c.stable(&NODES);
    c.lab.heal().expect("healed");
    c.wait("it is home", || moves(&watcher) == 2);
    c.stable(&NODES);
    std::thread::sleep(LONG);
    assert_eq!(moves(&watcher), 2);
}

#[test]
fn s2_13_a_ping_node_that_both_lose_moves_nothing() {
    let Some((c, watcher)) = cluster("s2-13-both", "on") else {
        return;
    };
    c.lab.power_off(ROUTER).expect("off");
    for node in NODES {
        wait_ping(&c, node, ROUTER, "dead");
    }
    std::thread::sleep(LONG);
    c.lab.power_on(ROUTER).expect("on");
    for node in NODES {
        wait_ping(&c, node, ROUTER, "ping");
    }
    std::thread::sleep(LONG);
    assert_eq!(moves(&watcher), 0);
    for node in NODES {
        assert!(!c.log(node).contains("giving up"), "{}", c.log(node));
    }
}

#[test]
fn s2_13_without_the_others_ipfail_nothing_moves_and_it_is_started_again() {
    let Some((c, watcher)) = cluster("s2-13-gone", "off") else {
        return;
    };
    // Its program dies again and again while the ping node is away: no number of web is known.
    let pid = |c: &Cluster| {
        let script = "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline 2>/dev/null) in *heartbeat/ipfail*|*/ipfail*) echo ${p#/proc/};; esac; done; true";
        c.shell("web", script).out.lines().next().map(str::to_owned)
    };
    let old = pid(&c).expect("ipfail runs on web");
    c.shell("web", &format!("kill -STOP {old}")).good("kill");
    c.lab.cut("hello", ROUTER).expect("cut");
    wait_ping(&c, "hello", ROUTER, "dead");
    std::thread::sleep(LONG);
    assert_eq!(moves(&watcher), 0, "a number that is not told moves nothing");
    c.shell("web", &format!("kill -9 {old}")).good("kill");
    // The new one tells its number when it has signed on.
    c.wait("web has it", || moves(&watcher) == 1);
    assert_ne!(pid(&c), Some(old));
}
