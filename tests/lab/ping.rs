//! Ping nodes: alive while they answer, dead and named when they do not, and in nobody's way.

use crate::cluster::{BOUND, Cluster, Setup, skipped};
use ha::auth::{Keyring, packet};
use ha::clients::json::Json;
use ha::lab::CLIENT;
use ha::msg::{Message, fields};
use ha::sys::{icmp, namespace, process, udp};
use ha::wire::icmp::echo_request;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;

const NODES: [&str; 2] = ["hello", "web"];
const HOST: &str = "10.77.0.250";
const OTHER: &str = "10.77.0.251";
const HOST6: &str = "fd77::250";

fn setup(hosts: &[&str], ha_cf: &str) -> Setup {
    Setup {
        ping: hosts.iter().map(|h| h.parse::<IpAddr>().expect("an address")).collect(),
        more: format!("deadping 1500ms\n{ha_cf}"),
        ..Setup::default()
    }
}

#[track_caller]
fn wait_status(c: &Cluster, on: &str, node: &str, status: &str) {
    c.wait(&format!("{on} sees {node} as {status}"), || {
        c.node_status(on, node) == status
    });
}

fn node_of(status: &Json, name: &str) -> Json {
    let all = status.get("nodes").items();
    let found = all.iter().find(|n| n.get("name").text() == name);
    found.cloned().unwrap_or(Json::Null)
}

fn times(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[test]
fn a_ping_node_lives_while_it_answers_and_is_named_when_it_does_not() {
    let Some(c) = setup(&[HOST], &format!("ping {HOST}\n")).started("ping") else {
        return;
    };
    for on in NODES {
        wait_status(&c, on, HOST, "ping");
        let ask = |words: &[&str]| c.run(on, &[&["cl_status"], words].concat());
        assert_eq!(ask(&["nodetype", HOST]).good("nodetype").trim(), "ping");
        assert_eq!(ask(&["listnodes", "-p"]).good("listnodes").trim(), HOST);
        let mut normal: Vec<String> = ask(&["listnodes", "-n"])
            .good("listnodes")
            .lines()
            .map(str::to_owned)
            .collect();
        normal.sort();
        assert_eq!(normal, NODES);
        assert_eq!(ask(&["listhblinks", HOST]).good("listhblinks").trim(), HOST);
        assert_eq!(ask(&["hblinkstatus", HOST, HOST]).good("hblinkstatus").trim(), "up");
        assert_eq!(ask(&["listhblinks", "hello"]).good("listhblinks").trim(), "eth0");
        let screen = ask(&["status"]).good("status");
        assert!(
            screen.lines().any(|l| l.starts_with(HOST) && l.contains(" answers ")),
            "{screen}"
        );
        let node = node_of(&c.status(on), HOST);
        assert_eq!((node.get("kind").text(), node.get("status").text()), ("ping", "ping"));
    }
    // From one node it cannot be reached: only that one says so.
    c.lab.cut("hello", HOST).expect("cut");
    wait_status(&c, "hello", HOST, "dead");
    c.wait_log("hello", &format!("node {HOST}: is dead"));
    c.wait_log("hello", &format!("Link {HOST}:{HOST} dead."));
    assert_eq!(c.run("hello", &["cl_status", "nodestatus", HOST]).code, Some(1));
    assert_eq!(c.node_status("web", HOST), "ping");
    c.lab.heal().expect("healed");
    wait_status(&c, "hello", HOST, "ping");
    c.wait("it is told a second time", || {
        let log = c.log("hello");
        times(&log, &format!("Status update for node {HOST}: status ping")) == 2
            && times(&log, &format!("Link {HOST}:{HOST} up.")) == 2
    });
    // The host itself fails.
    c.lab.power_off(HOST).expect("off");
    for on in NODES {
        wait_status(&c, on, HOST, "dead");
    }
    c.lab.power_on(HOST).expect("on");
    for on in NODES {
        wait_status(&c, on, HOST, "ping");
        assert!(!c.log(on).contains("node hello: is dead") && !c.log(on).contains("node web: is dead"));
    }
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
}

#[test]
fn a_group_is_alive_as_long_as_one_of_its_hosts_is() {
    let hosts = [HOST, OTHER, HOST6];
    let ha_cf = format!("ping_group gw {HOST} {OTHER} {HOST6}\nping {HOST}\n");
    let Some(c) = setup(&hosts, &ha_cf).started("ping-group") else {
        return;
    };
    wait_status(&c, "hello", "gw", "ping");
    for host in [HOST, OTHER] {
        c.lab.cut("hello", host).expect("cut");
    }
    // As long as a node takes to die, the last host alone has kept the group alive.
    wait_status(&c, "hello", HOST, "dead");
    assert_eq!(c.node_status("hello", "gw"), "ping");
    assert!(!c.log("hello").contains("node gw: is dead"), "{}", c.log("hello"));
    c.lab.cut("hello", HOST6).expect("cut");
    wait_status(&c, "hello", "gw", "dead");
    c.wait_log("hello", "Link gw:gw dead.");
    assert_eq!(c.node_status("web", "gw"), "ping");
    c.lab.heal().expect("healed");
    c.lab.cut("hello", OTHER).expect("cut");
    wait_status(&c, "hello", "gw", "ping");
}

#[test]
fn an_ipv6_host_is_pinged_too() {
    let Some(c) = setup(&[HOST6], &format!("ping6 {HOST6}\n")).started("ping6") else {
        return;
    };
    for on in NODES {
        wait_status(&c, on, HOST6, "ping");
    }
    c.lab.cut_node(HOST6).expect("cut");
    for on in NODES {
        wait_status(&c, on, HOST6, "dead");
        c.wait_log(on, &format!("node {HOST6}: is dead"));
    }
    c.lab.heal().expect("healed");
    for on in NODES {
        wait_status(&c, on, HOST6, "ping");
    }
}

#[test]
fn ping_nodes_that_are_not_there_delay_no_start_and_disturb_nobody() {
    // The first is silent, the second is no name, no route leads to the third.
    let names = "ping 10.77.0.249 no-such-host.invalid\nping6 2001:db8::1\n";
    let mut setup = setup(&[], &format!("{names}ping_group gw no-such-host.invalid {HOST}\n"));
    // The client answers for what ha.cf names; it is cut off.
    setup.nodes = NODES.to_vec();
    let Some(c) = setup.make("ping-absent") else { return };
    c.lab.cut_node(CLIENT).expect("cut");
    let begun = ha::sys::now();
    for node in NODES {
        c.start(node);
    }
    c.all_active(&NODES);
    c.stable(&NODES);
    let took = ha::sys::now() - begun;
    assert!(took < BOUND / 2, "{took:?}");
    for ping in ["10.77.0.249", "no-such-host.invalid", "2001:db8::1", "gw"] {
        wait_status(&c, "hello", ping, "dead");
    }
    c.wait_log("hello", "link no-such-host.invalid: ping does not work");
    let screen = c.run("hello", &["cl_status", "status"]).good("status");
    let broken = |l: &str| l.starts_with("no-such-host.invalid") && l.contains("BROKEN");
    assert!(screen.lines().any(broken), "{screen}");
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
    for node in NODES {
        assert!(!c.log(node).contains("node hello: is dead") && !c.log(node).contains("node web: is dead"));
    }
    // The good host of the group counts although the other one is no name.
    c.lab.heal().expect("healed");
    wait_status(&c, "hello", "gw", "ping");
    assert_eq!(c.node_status("hello", "no-such-host.invalid"), "dead");
}

#[test]
fn a_reload_adds_and_removes_ping_nodes() {
    let Some(c) = setup(&[HOST, OTHER], &format!("ping {HOST}\n")).started("ping-reload") else {
        return;
    };
    wait_status(&c, "hello", HOST, "ping");
    c.change_ha_cf(&format!("ping {HOST}"), &format!("ping {HOST} {OTHER}"));
    c.reload("hello").good("reload");
    wait_status(&c, "hello", OTHER, "ping");
    c.change_ha_cf(&format!("ping {HOST} {OTHER}"), &format!("ping {OTHER}"));
    c.reload("hello").good("reload");
    c.wait("the first one is no longer known", || {
        c.run("hello", &["cl_status", "nodestatus", HOST]).code == Some(11)
    });
    let log = c.log("hello");
    assert_eq!(
        times(&log, &format!("Status update for node {OTHER}: status ping")),
        1,
        "{log}"
    );
    assert!(!log.contains("is dead"), "{log}");
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
}

/// A reply that nobody asked for, from the address of the ping node.
fn forged_reply(id: u16, message: &Message, keys: &str) -> Vec<u8> {
    let parsed = ha::conf::authkeys::parse(Path::new("authkeys"), keys);
    let keys: Keyring = parsed.value.expect("a good file");
    let mut bytes = echo_request(false, id, 1, &packet::seal_netstring(message, &keys, true));
    // Type 0 for 8: the checksum grows by as much.
    bytes[0] = 0;
    let sum = u32::from(u16::from_be_bytes([bytes[2], bytes[3]])) + 0x0800;
    bytes[2..4].copy_from_slice(&((sum + (sum >> 16)) as u16).to_be_bytes());
    bytes
}

#[test]
fn forged_and_old_replies_are_not_believed() {
    if !process::is_root() {
        return skipped("forged echoes: a test needs root to speak from the network of a node");
    }
    // No host of its own: the client has the address, and can be told not to answer.
    let Some(c) = setup(&[], &format!("ping {HOST}\n")).started("ping-forged") else {
        return;
    };
    wait_status(&c, "hello", HOST, "ping");
    let answer = |yes: bool| {
        let value = if yes { 0 } else { 1 };
        let script = format!("echo {value} >/proc/sys/net/ipv4/icmp_echo_ignore_all");
        c.shell(CLIENT, &script).good("sysctl");
    };
    answer(false);
    wait_status(&c, "hello", HOST, "dead");
    let pid = c.shell("hello", "cat /run/heartbeat.pid").good("the pid file");
    let id = (pid.trim().parse::<u32>().expect("a number") as u16).to_be();
    let client = c.lab.ask(&format!("pid {CLIENT}")).expect("the client runs");
    let client = client.trim().parse().expect("a number");
    let socket = std::thread::spawn(move || {
        let place = namespace::Place::of(client).and_then(|p| p.enter_network());
        place.and_then(|()| icmp::socket(false)).expect("root may")
    });
    let socket = socket.join().expect("it does not panic");
    let alive = |ts: &str| {
        Message::new("NS_st")
            .with(fields::STATUS, "ping")
            .with(fields::INFO, "ping")
            .with(fields::SRC, HOST)
            .with(fields::TS, ts)
    };
    let right = "auth 1\n1 sha1 key-of-the-lab\n";
    #[rustfmt::skip]
    let forged = [
        // what it is                         its bytes                                                          counted as
        ("signed with another key",           forged_reply(id, &alive("6b014e80"), "auth 1\n1 sha1 guessed\n"),   "bad_packets_wrong_signature"),
        ("ours, of a time long ago",          forged_reply(id, &alive("6b014e80"), right),                        "bad_packets_strange_echo"),
    ];
    let to = (Ipv4Addr::new(10, 77, 0, 1), 0).into();
    let send = |bytes: &[u8], from: Ipv4Addr| udp::send_to(socket.as_fd(), bytes, to, Some(from)).expect("sent");
    for (what, bytes, counter) in &forged {
        let before = c.counter("hello", counter);
        c.wait(&format!("a reply {what} is counted"), || {
            send(bytes, Ipv4Addr::new(10, 77, 0, 250));
            c.counter("hello", counter) > before
        });
    }
    // Of another identifier, or from another host: the kernel does not even hand it over.
    let before = c.counter("hello", "bad_packets_strange_echo");
    let foreign = forged_reply(id.wrapping_add(1), &alive("6b014e80"), right);
    for _ in 0..20 {
        send(&foreign, Ipv4Addr::new(10, 77, 0, 250));
        send(&forged[1].1, Ipv4Addr::new(10, 77, 0, 200));
    }
    let last = c.counter("hello", "bad_packets_wrong_signature");
    c.wait("what came after them is counted", || {
        send(&forged[0].1, Ipv4Addr::new(10, 77, 0, 250));
        c.counter("hello", "bad_packets_wrong_signature") > last
    });
    assert_eq!(c.counter("hello", "bad_packets_strange_echo"), before);
    assert_eq!(c.node_status("hello", HOST), "dead");
    assert_eq!(
        times(&c.log("hello"), &format!("Status update for node {HOST}: status ping")),
        1
    );
    answer(true);
    wait_status(&c, "hello", HOST, "ping");
}
