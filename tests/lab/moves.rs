//! Who has the address when nodes start, stop, die and come back.

use crate::cluster::{Cluster, Setup, VIP, skipped};
use ha::lab::{CLIENT, Watcher};
use std::net::Ipv4Addr;

/// The article's line: interface left away, broadcast address given.
const ARTICLE: &str = "hello 192.168.8.240/19/192.168.31.255\n";
const ARTICLES_VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 240);

/// Lines of a log in which `text` stands.
fn places(log: &str, text: &str) -> Vec<usize> {
    let lines = log.lines().enumerate();
    lines.filter(|(_, l)| l.contains(text)).map(|(i, _)| i).collect()
}

#[test]
fn s2_06_primary_alone_owns_the_labelled_address() {
    let Some(c) = Setup::haresources(ARTICLE).make("s2-06") else {
        return;
    };
    let watcher = c.watch(ARTICLES_VIP);
    c.start("hello");
    c.wait_owner(&watcher, "hello", 0);
    let shown = c
        .run("hello", &["ip", "-o", "-4", "addr", "show", "dev", "eth0"])
        .good("ip addr");
    let line = shown.lines().find(|l| l.contains("192.168.8.240")).expect(&shown);
    assert!(line.contains("192.168.8.240/19 brd 192.168.31.255"), "{line}");
    assert!(line.contains("eth0:0"), "{line}");
    let ifconfig = c.shell("hello", "ifconfig eth0:0");
    match ifconfig.code {
        Some(127) => skipped("the address as ifconfig shows it: ifconfig is not installed (Debian package net-tools)"),
        _ => {
            let text = ifconfig.good("ifconfig");
            assert!(
                text.contains("192.168.8.240") && text.contains("255.255.224.0"),
                "{text}"
            );
        }
    }
    let ping = c.shell(CLIENT, "ping -c 1 -W 5 192.168.8.240");
    match ping.code {
        Some(127) => skipped("ping of the address: ping is not installed (Debian package iputils-ping)"),
        _ => drop(ping.good("ping of the third host")),
    }
    // Logging in, as far as the network has to do with it: a connection reaches the primary.
    let hb_lab = c.lab.plan.program.display().to_string();
    let _service = c.spawn("hello", &[&hb_lab, "__serve", "7700", "hello"]);
    c.wait("a connection to the address reaches hello", || {
        c.run(CLIENT, &[&hb_lab, "__ask", "192.168.8.240", "7700"]).out.trim() == "hello"
    });
    assert_eq!(c.run("hello", &["cl_status", "rscstatus"]).code, Some(0));
}

#[test]
fn s2_07_the_secondary_starts_and_nothing_moves() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 service\n").make("s2-07") else {
        return;
    };
    c.recorder("service");
    let watcher = c.watch(VIP);
    c.start("hello");
    c.wait_owner(&watcher, "hello", 0);
    c.wait("the service runs", || c.calls("hello") == ["service start"]);
    let since = Watcher::now();
    c.start("web");
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    watcher.settle();
    let timeline = watcher.timeline();
    assert_eq!(timeline.owners(since), ["hello"]);
    assert!(timeline.doubles(since).is_empty());
    assert_eq!(c.calls("hello"), ["service start"]);
    assert!(c.calls("web").is_empty());
    for node in ["hello", "web"] {
        assert_eq!(c.owners(node, "10.77.0.100"), ["hello"], "as {node} sees it");
    }
}

#[test]
fn s2_08_stopping_the_primary_hands_everything_over_at_once() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 service\n").make("s2-08") else {
        return;
    };
    c.recorder("service");
    let watcher = c.watch(VIP);
    c.start("hello");
    c.start("web");
    c.all_active(&["hello", "web"]);
    c.wait_owner(&watcher, "hello", 0);
    c.stable(&["hello", "web"]);
    let since = Watcher::now();
    c.stop("hello");
    c.wait_owner(&watcher, "web", since);
    c.wait("the service runs on web", || c.calls("web") == ["service start"]);
    assert_eq!(c.calls("hello"), ["service start", "service stop"]);
    watcher.settle();
    assert!(watcher.doubles(0).is_empty(), "{:?}", watcher.doubles(0));
    // Not by waiting for a death: the takeover began with the goodbye.
    c.wait_log("web", "group 10.77.0.100: acquired");
    let log = c.log("web");
    let taken = places(&log, "acquiring it");
    let dead = places(&log, "node hello: is dead");
    assert_eq!(taken.len(), 1, "{log}");
    assert!(dead.iter().all(|d| *d > taken[0]), "{log}");
    let heartbeat = c.program("heartbeat");
    assert_eq!(c.run("hello", &[&heartbeat, "-s"]).code, Some(3));
}

#[test]
fn s2_09_with_auto_failback_on_the_address_goes_home() {
    let Some(c) = Setup::failback("on").started("s2-09-on") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.stop("hello");
    c.wait_owner(&watcher, "web", 0);
    let since = Watcher::now();
    c.start("hello");
    c.wait_owner(&watcher, "hello", since);
    c.stable(&["hello", "web"]);
    watcher.settle();
    assert_eq!(watcher.timeline().owners(since), ["web", "hello"]);
    assert!(watcher.doubles(0).is_empty(), "{:?}", watcher.doubles(0));
}

#[test]
fn s2_09_with_auto_failback_off_the_address_stays() {
    let Some(c) = Setup::failback("off").started("s2-09-off") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.stop("hello");
    c.wait_owner(&watcher, "web", 0);
    let since = Watcher::now();
    c.start("hello");
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    watcher.settle();
    assert_eq!(watcher.timeline().owners(since), ["web"]);
    assert_eq!(c.owners("hello", "10.77.0.100"), ["web"]);
}

#[test]
fn s2_09_with_auto_failback_legacy_the_address_goes_home_and_standby_is_refused() {
    let Some(c) = Setup::failback("legacy").started("s2-09-legacy") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let refused = c.run("hello", &["hb_standby"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("auto_failback"), "{refused:?}");
    c.stop("hello");
    c.wait_owner(&watcher, "web", 0);
    let since = Watcher::now();
    c.start("hello");
    c.wait_owner(&watcher, "hello", since);
    c.stable(&["hello", "web"]);
    watcher.settle();
    assert!(watcher.doubles(0).is_empty(), "{:?}", watcher.doubles(0));
}

/// How long `peer` was silent when it was declared dead, and that nothing was acquired before.
fn silent_before_takeover(c: &Cluster, on: &str, peer: &str) -> u64 {
    c.wait_log(on, "group 10.77.0.100: acquired");
    let log = &c.log(on);
    let dead = places(log, &format!("node {peer}: is dead"));
    let taken = places(log, "acquiring it");
    assert_eq!((dead.len(), taken.len()), (1, 1), "{log}");
    assert!(dead[0] < taken[0], "{log}");
    let line = log.lines().nth(dead[0]).expect("it was found");
    let ms = line.split("silent for ").nth(1).and_then(|t| t.split(' ').next());
    ms.and_then(|t| t.parse().ok()).expect(line)
}

#[test]
fn s2_10_after_a_power_failure_the_secondary_takes_over_after_deadtime_and_not_before() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 service\n").make("s2-10-power") else {
        return;
    };
    c.recorder("service");
    let watcher = c.watch(VIP);
    c.start("hello");
    c.start("web");
    c.all_active(&["hello", "web"]);
    c.wait_owner(&watcher, "hello", 0);
    c.stable(&["hello", "web"]);
    let since = Watcher::now();
    c.lab.power_off("hello").expect("off");
    c.wait_owner(&watcher, "web", since);
    assert!(silent_before_takeover(&c, "web", "hello") >= 1500);
    c.wait("the service runs on web", || c.calls("web") == ["service start"]);
    assert_eq!(c.node_status("web", "hello"), "dead");
    // The machine boots again, and heartbeat with it.
    let since = Watcher::now();
    c.start("hello");
    c.wait_owner(&watcher, "hello", since);
    c.stable(&["hello", "web"]);
    assert_eq!(c.calls("web"), ["service start", "service stop"]);
    assert_eq!(c.calls("hello"), ["service start", "service start"]);
    watcher.settle();
    assert!(watcher.doubles(0).is_empty(), "{:?}", watcher.doubles(0));
}

#[test]
fn s2_10_after_a_pulled_cable_the_secondary_takes_over_after_deadtime_and_not_before() {
    let Some(c) = Setup::default().make("s2-10-cable") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.start("hello");
    c.start("web");
    c.all_active(&["hello", "web"]);
    c.wait_owner(&watcher, "hello", 0);
    c.stable(&["hello", "web"]);
    let since = Watcher::now();
    c.lab.cut_node("hello").expect("cut");
    c.wait_owner(&watcher, "web", since);
    assert!(silent_before_takeover(&c, "web", "hello") >= 1500);
}

#[test]
fn s2_10_a_node_that_is_frozen_for_less_than_deadtime_keeps_everything() {
    let setup = Setup {
        deadtime: "10",
        ..Setup::default()
    };
    let Some(c) = setup.started("s2-10-frozen") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    c.lab.freeze("hello").expect("frozen");
    let late = || {
        c.status("web")
            .get("nodes")
            .items()
            .iter()
            .map(|n| n.get("late_beats").number())
            .sum::<u64>()
    };
    let before = late();
    // warntime: told when the next beat comes, so the node is thawed once it must be late.
    let silent = Watcher::now();
    c.wait("it is silent for longer than warntime", || {
        Watcher::now() > silent + 1_000_000
    });
    c.lab.thaw("hello").expect("thawed");
    c.wait("web counts a late beat", || late() > before);
    c.wait_log("web", "Late heartbeat: Node hello");
    c.stable(&["hello", "web"]);
    watcher.settle();
    assert_eq!(watcher.timeline().owners(0), ["hello"]);
    assert!(places(&c.log("web"), "is dead").is_empty());
}
