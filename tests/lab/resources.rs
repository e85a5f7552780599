//! Groups of resources and their scripts: order, arguments, places, failures.

use crate::cluster::{Setup, VIP};
use ha::lab::CLIENT;

#[test]
fn s2_03_groups_start_left_to_right_and_stop_right_to_left() {
    let setup = Setup::haresources("hello 10.77.0.100 httpd tomcat::a::b\nweb 10.77.0.101/24/eth0 mail\n");
    let Some(c) = setup.make("s2-03-order") else { return };
    for script in ["httpd", "tomcat", "mail"] {
        c.recorder(script);
    }
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.wait("hello started its group", || {
        c.calls("hello") == ["httpd start", "tomcat a b start"]
    });
    c.wait("web started its group", || c.calls("web") == ["mail start"]);
    c.stable(&["hello", "web"]);
    c.stop("hello");
    assert_eq!(
        c.calls("hello"),
        ["httpd start", "tomcat a b start", "tomcat a b stop", "httpd stop"]
    );
    c.wait("web started the group of hello after its own", || {
        c.calls("web") == ["mail start", "httpd start", "tomcat a b start"]
    });
    c.stop("web");
    let stops = c.calls("web").split_off(3);
    let at = |call: &str| stops.iter().position(|s| s == call);
    assert!(at("tomcat a b stop") < at("httpd stop"), "{stops:?}");
    assert!(stops.len() == 3 && at("mail stop").is_some(), "{stops:?}");
    for node in ["hello", "web"] {
        let addresses = c.run(node, &["ip", "-4", "addr"]).good("ip addr");
        assert!(!addresses.contains("10.77.0.10"), "{addresses}");
    }
}

#[test]
fn s2_03_mask_interface_and_broadcast_come_from_the_route() {
    let setup = Setup {
        media: "bcast eth0 eth1\n".into(),
        haresources: "hello 10.77.1.100 10.77.0.100/32/eth0 IPaddr::192.168.8.240/19/eth0/192.168.31.251\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.make("s2-03-mask") else { return };
    c.start("hello");
    c.wait("hello has the last address", || {
        c.run("hello", &["ip", "-4", "addr"]).out.contains("192.168.8.240")
    });
    let shown = c.run("hello", &["ip", "-o", "-4", "addr"]).good("ip addr");
    #[rustfmt::skip]
    let table = [
        // address         interface  as shown                               label
        ("10.77.1.100/",   "eth1",    "10.77.1.100/24 brd 10.77.1.255",       "eth1:0"),
        ("10.77.0.100/",   "eth0",    "10.77.0.100/32",                       "eth0:0"),
        ("192.168.8.240/", "eth0",    "192.168.8.240/19 brd 192.168.31.251",  "eth0:1"),
    ];
    for (address, interface, facts, label) in table {
        let line = shown.lines().find(|l| l.contains(address)).expect(&shown);
        for part in [interface, facts, label] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

#[test]
fn s2_03_scripts_are_found_in_resource_d_first_then_in_init_d() {
    let setup = Setup::haresources("hello both only-init\nhello gone\n");
    let Some(c) = setup.make("s2-03-places") else { return };
    c.recorder("both");
    c.recorder_in("init.d", "both", "echo wrong place >>\"$calls\"");
    c.recorder_in("init.d", "only-init", "");
    c.start("hello");
    c.wait("the group runs", || {
        c.calls("hello") == ["both start", "only-init start"]
    });
    c.wait_log("hello", "cannot locate resource script gone");
}

#[test]
fn scripts_have_the_classics_environment() {
    let setup = Setup {
        haresources: "hello look\n".into(),
        more: "deadping 3\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.make("environment") else { return };
    c.recorder_in(
        "ha.d/resource.d",
        "look",
        "echo \"$HA_CURHOST $HA_deadping $HA_LOGFILE $HA_LOGD $HA_NICEFAILBACK $(id -u)\" >\"$calls.env\"",
    );
    c.start("hello");
    c.wait("the script ran", || !c.calls("hello").is_empty());
    let text = std::fs::read_to_string(c.lab.files("hello").state().join("calls.env")).expect("the script wrote it");
    assert_eq!(text.trim_end(), "hello 3 /var/log/ha-log no yes 0");
}

#[test]
fn a_group_that_cannot_be_started_goes_to_the_other_node() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 sick\n").make("start-fails") else {
        return;
    };
    c.recorder_in(
        "ha.d/resource.d",
        "sick",
        "if [ \"$HA_CURHOST $verb\" = 'hello start' ]; then echo \"sick try\" >>\"$calls\"; exit 1; fi",
    );
    let watcher = c.watch(VIP);
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.wait_owner(&watcher, "web", 0);
    c.wait("web started it", || c.calls("web") == ["sick start"]);
    // What was begun on hello is stopped again.
    assert_eq!(c.calls("hello"), ["sick try", "sick stop"]);
    let addresses = c.run("hello", &["ip", "-4", "addr"]).good("ip addr");
    assert!(!addresses.contains("10.77.0.100"), "{addresses}");
    c.wait_log(
        "hello",
        "Giving up resources due to failure: start of sick failed with exit code 1",
    );
    // A group that failed here does not come back by itself …
    c.stable(&["hello", "web"]);
    let here = || {
        let status = c.status("hello");
        status.get("groups").items()[0].get("here").text().to_owned()
    };
    assert_eq!(here(), "failed");
    // … but when the other node goes it is tried once more before there is nobody.
    let asked = c.run("hello", &["hb_takeover"]);
    assert_eq!(asked.code, Some(1), "it fails again: {asked:?}");
    assert!(asked.err.contains("could not"), "{asked:?}");
    c.wait("web has it again", || c.owners("web", "10.77.0.100") == ["web"]);
}

#[test]
fn a_group_that_no_node_can_start_is_tried_a_bounded_number_of_times() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 sick\n").make("start-fails-both") else {
        return;
    };
    c.recorder_in(
        "ha.d/resource.d",
        "sick",
        "[ \"$verb\" = start ] && { echo \"sick try\" >>\"$calls\"; exit 1; }",
    );
    for node in ["hello", "web"] {
        c.start(node);
    }
    let failed = |node: &str| {
        let status = c.status(node);
        let groups = status.get("groups").items();
        !groups.is_empty() && groups[0].get("here").text() == "failed" && groups[0].get("owners").items().is_empty()
    };
    c.wait("both nodes have tried", || failed("hello") && failed("web"));
    for node in ["hello", "web"] {
        assert_eq!(c.calls(node), ["sick try", "sick stop"], "{node}");
        let addresses = c.run(node, &["ip", "-4", "addr"]).good("ip addr");
        assert!(!addresses.contains("10.77.0.100"), "{addresses}");
    }
    let screen = c.run("hello", &["cl_status", "status"]).good("cl_status");
    assert!(screen.contains("! NOBODY serves resource 10.77.0.100"), "{screen}");
    assert!(screen.contains("start of sick failed with exit code 1"), "{screen}");
}

#[test]
fn independent_groups_start_side_by_side() {
    let Some(c) = Setup::haresources("hello slow\nhello quick\n").make("side-by-side") else {
        return;
    };
    // The first group waits for what the second one does; one after the other would never end.
    c.recorder_in(
        "ha.d/resource.d",
        "slow",
        "if [ \"$verb\" = start ]; then until grep -q 'quick start' \"$calls\"; do sleep 0.05; done; fi",
    );
    c.recorder("quick");
    c.start("hello");
    c.wait("both run", || c.calls("hello") == ["quick start", "slow start"]);
}

#[test]
fn the_neighbours_hear_of_the_new_owner_at_once() {
    let Some(c) = Setup::default().started("announced") else {
        return;
    };
    let ping = || {
        c.shell(
            CLIENT,
            "ping -c 1 -W 1 10.77.0.100 >/dev/null; ip neigh show 10.77.0.100",
        )
        .out
    };
    c.wait("the client has hello's hardware address", || {
        ping().contains("02:77:00:00:00:01")
    });
    c.stop("hello");
    // Without a ping: only an announcement can change it so soon.
    c.wait("the client has web's hardware address", || {
        let known = c.run(CLIENT, &["ip", "neigh", "show", "10.77.0.100"]);
        known.out.contains("02:77:00:00:00:02")
    });
}
