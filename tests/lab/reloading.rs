//! SIGHUP: what changed changes, and nothing else is touched.

use crate::cluster::{Cluster, Setup, VIP, skipped};
use crate::packets::{clients_socket, heard, keys};
use ha::auth::seal_netstring;
use ha::lab::Watcher;
use ha::sys::process;

const NODES: [&str; 2] = ["hello", "web"];

fn with_service(test: &str, setup: &Setup) -> Option<Cluster> {
    let c = setup.make(test)?;
    c.recorder("service");
    c.recorder("another");
    for node in NODES {
        c.start(node);
    }
    c.all_active(&NODES);
    c.stable(&NODES);
    Some(c)
}

/// Runs `change` under watch: the address did not move, no script ran but those of `calls`, no process was replaced.
fn nothing_else_is_touched(c: &Cluster, change: impl FnOnce()) {
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    let titles = ["master control process", "core process", "heir"];
    let before = titles.map(|t| c.processes("hello", t));
    change();
    c.all_active(&NODES);
    c.stable(&NODES);
    watcher.settle();
    assert_eq!(watcher.timeline().owners(since), ["hello"]);
    assert_eq!(titles.map(|t| c.processes("hello", t)), before);
    let service: Vec<String> = c
        .calls("hello")
        .into_iter()
        .filter(|call| call.starts_with("service"))
        .collect();
    assert_eq!(service, ["service start"]);
    for node in NODES {
        assert!(!c.log(node).contains("is dead"), "{}", c.log(node));
        assert!(!c.log(node).contains("Heartbeat restart on node"), "{}", c.log(node));
    }
}

fn setup() -> Setup {
    Setup::haresources("hello 10.77.0.100 service\n")
}

#[test]
fn s2_05_a_reload_of_times_touches_nothing_else() {
    let Some(c) = with_service("reload-times", &setup()) else {
        return;
    };
    nothing_else_is_touched(&c, || {
        c.change_ha_cf("keepalive 100ms", "keepalive 200ms");
        c.change_ha_cf("deadtime 1500ms", "deadtime 3");
        c.change_ha_cf("initdead 1500ms", "initdead 3");
        for node in NODES {
            c.reload(node).good("reload");
            c.wait("the new keepalive is in force", || {
                c.status(node).get("keepalive_ms").number() == 200
            });
            assert_eq!(c.status(node).get("deadtime_ms").number(), 3000);
        }
    });
    // An unchanged file is no change at all.
    c.reload("hello").good("reload");
    c.wait_log("hello", "Configuration unchanged.");
}

#[test]
fn s2_05_a_reload_of_haresources_starts_what_is_new_and_stops_what_is_gone() {
    let Some(c) = with_service("reload-groups", &setup()) else {
        return;
    };
    let put = |text: &str| {
        for node in NODES {
            c.lab.write(node, "ha.d/haresources", text).expect("written");
            c.reload(node).good("reload");
        }
    };
    nothing_else_is_touched(&c, || {
        put("hello 10.77.0.100 service\nhello another\n");
        c.wait("the new group runs", || {
            c.calls("hello") == ["service start", "another start"]
        });
        put("hello 10.77.0.100 service\n");
        c.wait("it is stopped again", || {
            c.calls("hello") == ["service start", "another start", "another stop"]
        });
    });
    assert!(c.calls("web").is_empty(), "{:?}", c.calls("web"));
}

#[test]
fn s2_04_a_key_is_replaced_without_losing_a_beat() {
    if !process::is_root() {
        return skipped("change of keys: a test needs root to listen in the network of a node");
    }
    let Some(c) = with_service("reload-keys", &setup()) else {
        return;
    };
    let socket = clients_socket(&c);
    let mut old = heard(&socket, "10.77.0.2", &keys("auth 1\n1 sha1 key-of-the-lab\n")).1;
    let losses = |node: &str| -> u64 {
        let status = c.status(node);
        let nodes = status.get("nodes").items();
        let links = nodes.iter().flat_map(|n| n.get("links").items());
        links.map(|l| l.get("packets_missed").number()).sum()
    };
    nothing_else_is_touched(&c, || {
        // First everybody knows both keys, then everybody signs with the new one, then the old one goes.
        for text in [
            "auth 1\n1 sha1 key-of-the-lab\n2 sha256 new-one\n",
            "auth 2\n1 sha1 key-of-the-lab\n2 sha256 new-one\n",
            "auth 2\n2 sha256 new-one\n",
        ] {
            for node in NODES {
                c.lab.write(node, "ha.d/authkeys", text).expect("written");
                c.reload(node).good("reload");
                // The next step comes when this one is in force.
                let times = || c.log(node).matches("the new configuration is in force").count();
                let want = match text {
                    t if t.starts_with("auth 1") => 1,
                    t if t.contains("sha1") => 2,
                    _ => 3,
                };
                c.wait("the new keys are in force", || times() == want);
            }
        }
    });
    for node in NODES {
        let status = c.status(node);
        let counters = status.get("counters").members();
        let lost =
            |name: &str| name.starts_with("bad_packets") || ["gaps", "retransmission_requests_sent"].contains(&name);
        let bad = counters.iter().filter(|(n, count)| lost(n) && count.number() > 0);
        assert_eq!(bad.count(), 0, "{status}");
        assert_eq!(losses(node), 0, "no beat was lost: {status}");
    }
    // They sign with the new key, and the old one is worth nothing.
    let new = keys("auth 2\n2 sha256 new-one\n");
    for address in ["10.77.0.1", "10.77.0.2"] {
        heard(&socket, address, &new);
    }
    // A number that was heard already would be refused for that.
    old.set("seq", "ffffff");
    let old = seal_netstring(&old, &keys("auth 1\n1 sha1 key-of-the-lab\n"), true);
    socket.send_to(&old, "10.77.0.1:694").expect("sent");
    c.wait("the old key is refused", || {
        c.counter("hello", "bad_packets_unknown_key") == 1
    });
}

#[test]
fn s2_05_a_reload_of_media_opens_what_is_new_and_closes_what_is_gone() {
    // The lab makes the interfaces that the first ha.cf names.
    let first = Setup {
        media: "bcast eth0 eth1\n".into(),
        ..setup()
    };
    let Some(c) = with_service("reload-media", &first) else {
        return;
    };
    let link = |on: &str, node: &str, link: &str| {
        c.run(on, &["cl_status", "hblinkstatus", node, link])
            .out
            .trim()
            .to_owned()
    };
    nothing_else_is_touched(&c, || {
        c.change_ha_cf("bcast eth0 eth1", "bcast eth0");
        for node in NODES {
            c.reload(node).good("reload");
            c.wait("eth1 is no link any more", || {
                c.status(node).get("media").items().len() == 1
            });
        }
        c.change_ha_cf("bcast eth0", "bcast eth0\nmcast eth1 239.77.0.1 694 1 0");
        for node in NODES {
            c.reload(node).good("reload");
        }
        c.wait("eth1 is up", || {
            link("hello", "web", "eth1") == "up" && link("web", "hello", "eth1") == "up"
        });
        // The first medium goes while the second one carries on.
        c.change_ha_cf("bcast eth0\n", "");
        for node in NODES {
            c.reload(node).good("reload");
            c.wait("eth0 is no link any more", || {
                c.status(node).get("media").items().len() == 1
            });
        }
    });
    assert_eq!(link("hello", "web", "eth1"), "up");
}
