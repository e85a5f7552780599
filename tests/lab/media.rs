//! Media: the serial line with and without Ethernet, several interfaces, an interface that goes and comes back.

use crate::cluster::{Cluster, Setup, VIP};
use ha::lab::Watcher;

fn link(c: &Cluster, on: &str, node: &str, link: &str) -> String {
    c.run(on, &["cl_status", "hblinkstatus", node, link])
        .out
        .trim()
        .to_owned()
}

fn serial(c: &Cluster, node: &str) -> String {
    c.lab.files(node).serial().display().to_string()
}

#[test]
fn s2_12_over_the_serial_line_alone() {
    let setup = Setup {
        media: "baud 19200\nserial /dev/ttyS0\n".into(),
        serial: true,
        ..Setup::default()
    };
    let Some(c) = setup.make("s2-12-alone") else { return };
    c.lab.cut("hello", "web").expect("cut");
    let watcher = c.watch(VIP);
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    c.run("hello", &["hb_standby"]).good("hb_standby over the serial line");
    c.wait_owner(&watcher, "web", since);
    let since = Watcher::now();
    c.lab.power_off("web").expect("off");
    c.wait_owner(&watcher, "hello", since);
    watcher.settle();
    assert!(watcher.doubles(0).is_empty(), "{:?}", watcher.doubles(0));
}

#[test]
fn s2_12_over_both_heartbeats_go_on_as_long_as_one_medium_lives() {
    let setup = Setup {
        media: "bcast eth0\nbaud 19200\nserial /dev/ttyS0\n".into(),
        serial: true,
        ..Setup::default()
    };
    let Some(c) = setup.started("s2-12-both") else { return };
    let tty = serial(&c, "hello");
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    c.wait("both links are up", || {
        link(&c, "hello", "web", "eth0") == "up" && link(&c, "hello", "web", &tty) == "up"
    });
    // Ethernet off: nothing moves, and the dead link is named.
    let since = Watcher::now();
    c.lab.cut("hello", "web").expect("cut");
    for (on, other) in [("hello", "web"), ("web", "hello")] {
        c.wait("the Ethernet link is dead", || link(&c, on, other, "eth0") == "dead");
        c.wait_log(on, &format!("Link {other}:eth0 dead."));
        assert_eq!(link(&c, on, other, &serial(&c, on)), "up");
        assert_eq!(c.node_status(on, other), "active");
    }
    watcher.settle();
    assert_eq!(watcher.timeline().owners(since), ["hello"]);
    // The serial line off as well: takeover.
    c.lab.cut_serial().expect("cut");
    c.wait("web takes over", || watcher.owners() == ["hello", "web"]);
    assert_eq!(c.node_status("web", "hello"), "dead");
    // One medium back is enough.
    c.lab.heal().expect("healed");
    c.lab.cut("hello", "web").expect("cut");
    let since = Watcher::now();
    c.wait_owner(&watcher, "hello", since);
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
}

#[test]
fn of_several_media_one_dead_one_is_named_and_disturbs_nothing() {
    let setup = Setup {
        media: "bcast eth0\nmcast eth1 239.77.0.1 694 1 0\nucast eth2 192.168.5.1\nucast eth2 192.168.5.2\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.started("several") else { return };
    let links = ["eth0", "eth1", "eth2"];
    for dead in links {
        c.wait("all links are up", || {
            links.iter().all(|l| link(&c, "hello", "web", l) == "up")
        });
        c.lab.fault("web", "hello", dead, 100).expect("cut");
        c.wait(&format!("{dead} is dead"), || link(&c, "hello", "web", dead) == "dead");
        c.wait_log("hello", &format!("Link web:{dead} dead."));
        for other in links.iter().filter(|l| **l != dead) {
            assert_eq!(link(&c, "hello", "web", other), "up", "{other} while {dead} is dead");
        }
        c.lab.heal().expect("healed");
    }
    c.wait("all links are up", || {
        links.iter().all(|l| link(&c, "hello", "web", l) == "up")
    });
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
    for node in ["hello", "web"] {
        assert!(!c.log(node).contains("is dead"), "{}", c.log(node));
    }
}

#[test]
fn an_interface_that_vanishes_and_comes_back_is_used_again() {
    let setup = Setup {
        media: "bcast eth0\nbcast eth1\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.started("vanishes") else { return };
    let up = || link(&c, "hello", "web", "eth1") == "up" && link(&c, "web", "hello", "eth1") == "up";
    c.wait("eth1 is up", up);
    let broken = || c.run("hello", &["cl_status", "status"]).out.contains("BROKEN");
    // Away under this name: as when a driver is unloaded.
    c.run("hello", &["ip", "link", "set", "eth1", "down"]).good("ip");
    c.run("hello", &["ip", "link", "set", "eth1", "name", "away"])
        .good("ip");
    c.wait("eth1 is named as broken", broken);
    c.wait("web is not heard on it", || link(&c, "hello", "web", "eth1") == "dead");
    c.wait_log("hello", "link eth1: bcast does not work");
    // Another card comes under this name, first without an address, and goes again.
    let add = "ip link add eth1 type veth peer name far";
    c.shell("hello", add).good(add);
    c.wait_log("hello", "interface eth1 is down");
    let up_with_address = "ip addr add 10.77.9.1/24 brd + dev eth1 && ip link set far up && ip link set eth1 up";
    c.shell("hello", up_with_address).good(up_with_address);
    c.wait_log("hello", "link eth1: bcast works");
    c.run("hello", &["ip", "link", "del", "eth1"]).good("ip");
    c.wait("eth1 is broken again", broken);
    // And the first one is back, under a number that is not the last one's.
    c.run("hello", &["ip", "link", "set", "away", "name", "eth1"])
        .good("ip");
    c.run("hello", &["ip", "link", "set", "eth1", "up"]).good("ip");
    c.wait("eth1 is up again", up);
    c.wait("nothing is named as broken", || !broken());
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
    for node in ["hello", "web"] {
        assert!(!c.log(node).contains("is dead"), "{}", c.log(node));
    }
}

#[test]
fn the_only_interface_vanishes_for_a_while_and_the_cluster_finds_itself_again() {
    let Some(c) = Setup::default().started("only-one-vanishes") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    c.run("web", &["ip", "link", "set", "eth0", "down"]).good("ip");
    c.wait("web is dead to hello", || c.node_status("hello", "web") == "dead");
    c.run("web", &["ip", "link", "set", "eth0", "up"]).good("ip");
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    c.wait_owner(&watcher, "hello", 0);
    c.wait("both agree", || c.owners("web", "10.77.0.100") == ["hello"]);
}
