//! The service address after it was set: asked for before a takeover, watched while it is held, and the connections of
//! its clients when it moves.

use crate::cluster::{BOUND, Cluster, Setup, VIP};
use ha::lab::{CLIENT, Watcher};
use ha::sys::ethernet::ArpSocket;
use ha::sys::namespace::Place;
use ha::wire::Mac;
use ha::wire::advert::Advert;
use ha::wire::arp::{Arp, Operation, gratuitous};
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const NODES: [&str; 2] = ["hello", "web"];
const PORT: u16 = 8080;
const STRANGER: Mac = Mac([2, 0xba, 0xd, 0, 0, 1]);

/// Makes something on a node's network; it stays there.
fn inside<T: Send + 'static>(c: &Cluster, node: &str, what: impl FnOnce() -> T + Send + 'static) -> T {
    let pid = c.lab.ask(&format!("pid {node}")).expect("the node runs");
    let pid = pid.trim().parse().expect("a number");
    let made = std::thread::spawn(move || {
        Place::of(pid).and_then(|p| p.enter_network()).expect("root may");
        what()
    });
    made.join().expect("it does not panic")
}

fn remove_address(c: &Cluster, node: &str) {
    let text = c.run(node, &["ip", "-o", "-4", "addr", "show"]).good("ip addr");
    let word = text.split_whitespace().find(|w| w.starts_with("10.77.0.100/"));
    let word = word
        .unwrap_or_else(|| panic!("{node} has the address: {text}"))
        .to_owned();
    c.run(node, &["ip", "addr", "del", &word, "dev", "eth0"])
        .good("ip addr del");
}

fn has_address(c: &Cluster, node: &str) -> bool {
    c.run(node, &["ip", "-4", "addr", "show"])
        .good("ip addr")
        .contains("10.77.0.100/")
}

fn mac_of(c: &Cluster, node: &str) -> Mac {
    Mac(c.lab.plan.node(node).expect("a node").links[0].mac)
}

#[test]
fn an_address_that_somebody_removes_is_back_within_50_ms() {
    let Some(c) = Setup::default().started("addr-lost") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let mut gaps = Vec::new();
    for n in 1..=4 {
        let since = Watcher::now();
        remove_address(&c, "hello");
        c.wait("it is set again", || c.counter("hello", "addresses_restored") == n);
        c.wait_owner(&watcher, "hello", since);
        watcher.settle();
        // Of a gap that is shorter than a question, nothing is seen.
        gaps.push(watcher.longest_gap(since).map_or(0.0, |g| g.millis()));
    }
    println!("removed four times, nobody answered for {gaps:?} ms");
    // A busy machine may be late once, not each time.
    assert!(gaps.iter().any(|ms| *ms <= 50.0), "{gaps:?}");
    assert_eq!(c.counter("hello", "addresses_lost"), 4);
    assert_eq!(watcher.timeline().owners(0), ["hello"]);
    assert!(!c.log("web").contains("acquiring it"), "{}", c.log("web"));
}

#[test]
fn an_address_that_is_removed_again_and_again_goes_to_the_other_node() {
    let Some(c) = Setup::default().started("addr-enemy") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    for _ in 0..6 {
        c.wait("hello has it", || has_address(&c, "hello"));
        remove_address(&c, "hello");
    }
    c.wait_owner(&watcher, "web", since);
    c.stable(&NODES);
    c.wait_log("hello", "more than 5 times in 60 s: the group goes to another node");
    watcher.settle();
    assert!(watcher.doubles(since).is_empty(), "{:?}", watcher.doubles(since));
}

#[test]
fn a_machine_that_says_it_has_our_address_is_answered_and_named() {
    let Some(c) = Setup::default().started("addr-foreign") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let socket = inside(&c, CLIENT, || ArpSocket::open("eth0").expect("root may"));
    let hello = mac_of(&c, "hello");
    let mut buffer = [0; 2048];
    let mut heard = |of: Mac| -> usize {
        let mut times = 0;
        while let Ok(Some(frame)) = socket.read(&mut buffer) {
            let said = Arp::from_frame(frame);
            times += usize::from(said.is_some_and(|a| a.sender_ip == VIP && a.sender_mac == of && a.target_ip == VIP));
        }
        times
    };
    // What is left of the announcement at the start is over when nothing came for longer than its longest pause.
    let mut quiet = Instant::now();
    c.wait("the first announcements are over", || {
        if heard(hello) > 0 {
            quiet = Instant::now();
        }
        quiet.elapsed() > Duration::from_secs(6)
    });
    let lie = gratuitous(Operation::Reply, VIP, STRANGER).broadcast_frame();
    socket.write(&lie);
    c.wait("hello says that it has it", || heard(hello) > 0);
    c.wait_log(
        "hello",
        &format!("hardware address {STRANGER} says on eth0 that it has it (1 time(s))"),
    );
    c.wait("it is counted", || c.counter("hello", "foreign_announcements") == 1);
    let late = c.counter("web", "late_heartbeats");
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        for _ in 0..20 {
            socket.write(&lie);
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(4));
    }
    c.wait("a flood is counted", || {
        c.counter("hello", "foreign_announcements") > 1000
    });
    let took = begun.elapsed().as_secs() + 1;
    let (lines, answers) = (
        c.log("hello").matches("says on eth0 that it has it").count(),
        heard(hello),
    );
    println!("{sent} lies in {took} s: {lines} lines of the log, {answers} frames in answer");
    assert!(lines as u64 <= took + 2, "{}", c.log("hello"));
    // Ten times a second, a request and a reply, and what is repeated after the last one.
    assert!(answers as u64 <= 20 * (took + 1) + 20, "{answers}");
    c.stable(&NODES);
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
    assert!(!c.log("web").contains("is dead"));
    println!(
        "late beats: {late} before, {} after",
        c.counter("web", "late_heartbeats")
    );
}

#[test]
fn addresses_are_announced_again_when_the_cable_is_in_again() {
    let Some(c) = Setup::default().started("addr-cable") else {
        return;
    };
    c.run("hello", &["ip", "link", "set", "eth0", "down"]).good("down");
    c.wait("web misses hello", || c.node_status("web", "hello") == "dead");
    c.run("hello", &["ip", "link", "set", "eth0", "up"]).good("up");
    c.wait_log("hello", "interface eth0: is up again; our addresses are announced");
    c.all_active(&NODES);
    c.stable(&NODES);
}

/// All of hello's processes are killed, its kernel answers on; a deadtime of 1500 ms leaves no room for a lease.
fn killed(test: &str, more: &str) -> Option<(Cluster, Watcher)> {
    let setup = Setup {
        more: more.into(),
        ..Setup::default()
    };
    let c = setup.started(test)?;
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    c.lab.kill("hello").expect("killed");
    Some((c, watcher))
}

#[test]
fn an_address_that_still_answers_is_taken_over_loudly() {
    let Some((c, _watcher)) = killed("addr-answers", "") else {
        return;
    };
    let said = format!("somebody answers for 10.77.0.100 at {}", mac_of(&c, "hello"));
    c.wait_log("web", &said);
    c.wait("it is taken and counted", || {
        has_address(&c, "web") && c.counter("web", "answered_takeovers") == 1
    });
}

#[test]
fn an_ipv6_address_is_defended_against_a_lie_and_asked_for_before_it_is_taken() {
    let setup = Setup::haresources("hello IPv6addr::fd00:0:0:0:0:0:0:64/64/eth0\n");
    let Some(c) = setup.make("addr-v6") else { return };
    for node in NODES {
        c.start(node);
    }
    c.all_active(&NODES);
    c.stable(&NODES);
    let has = |node: &str| {
        let shown = c.run(node, &["ip", "-6", "addr", "show"]).good("ip addr");
        shown.contains("fd00::64/64")
    };
    c.wait("hello has it", || has("hello"));
    let socket = inside(&c, CLIENT, || ArpSocket::open("eth0").expect("root may"));
    let lie = Advert {
        ip: "fd00::64".parse().expect("an address"),
        mac: STRANGER,
        router: false,
    };
    socket.write(&lie.multicast_frame());
    c.wait_log(
        "hello",
        &format!("hardware address {STRANGER} says on eth0 that it has it (1 time(s))"),
    );
    c.wait("it is counted", || c.counter("hello", "foreign_announcements") == 1);
    c.lab.kill("hello").expect("killed");
    c.wait_log("web", "somebody answers for fd00:");
    c.wait("it is taken and counted", || {
        has("web") && c.counter("web", "answered_takeovers") == 1
    });
    let mac = mac_of(&c, "hello").to_string();
    let said = c
        .log("web")
        .lines()
        .any(|l| l.contains("somebody answers for fd00:") && l.contains(&mac));
    assert!(said, "{}", c.log("web"));
}

#[test]
fn with_takeover_if_vip_answers_off_it_is_not_taken_before_nobody_answers() {
    let Some((c, watcher)) = killed("addr-answers-off", "takeover_if_vip_answers off\n") else {
        return;
    };
    c.wait_log("web", "is not taken over: somebody answers for its addresses");
    let since = Watcher::now();
    // It is asked again each second, three times at least.
    c.wait("hello answers on", || Watcher::now() > since + 3_500_000);
    watcher.settle();
    assert_eq!(watcher.timeline().owners(since), ["hello"]);
    assert!(!has_address(&c, "web"));
    let since = Watcher::now();
    c.lab.power_off("hello").expect("off");
    c.wait_owner(&watcher, "web", since);
    assert_eq!(c.counter("web", "answered_takeovers"), 0);
}

#[test]
fn with_takeover_if_vip_answers_on_nobody_is_asked() {
    let Some((c, _watcher)) = killed("addr-answers-on", "takeover_if_vip_answers on\n") else {
        return;
    };
    c.wait("web takes it", || has_address(&c, "web"));
    assert!(!c.log("web").contains("somebody answers"), "{}", c.log("web"));
}

#[test]
fn a_dead_machine_does_not_answer_and_is_taken_over_without_a_word() {
    let Some(c) = Setup::default().started("addr-dead") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    c.lab.power_off("hello").expect("off");
    c.wait_owner(&watcher, "web", since);
    let log = c.log("web");
    assert!(
        !log.contains("somebody answers") && !log.contains("could not be asked"),
        "{log}"
    );
}

fn with_router(more: &str) -> Setup {
    Setup {
        ping: vec!["10.77.0.250".parse().expect("an address")],
        more: format!("deadping 1500ms\nping 10.77.0.250\n{more}"),
        ..Setup::default()
    }
}

#[test]
fn a_node_that_is_cut_off_takes_nothing_over() {
    let Some(c) = with_router("").started("addr-isolated") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    c.lab.cut_node("web").expect("cut");
    c.wait_log(
        "web",
        "is not taken over: this node hears neither another node nor a ping node",
    );
    c.wait("web sees the router dead", || {
        c.node_status("web", "10.77.0.250") == "dead"
    });
    assert!(!has_address(&c, "web"), "{}", c.log("web"));
    c.lab.heal().expect("healed");
    c.all_active(&NODES);
    c.stable(&NODES);
    watcher.settle();
    assert_eq!(watcher.timeline().owners(since), ["hello"]);
    // It is the other one that is dead: the router answers.
    let since = Watcher::now();
    c.lab.power_off("hello").expect("off");
    c.wait_owner(&watcher, "web", since);
}

#[test]
fn with_isolated_takeover_on_a_node_that_is_cut_off_takes_over() {
    let Some(c) = with_router("isolated_takeover on\n").started("addr-isolated-on") else {
        return;
    };
    c.lab.cut_node("web").expect("cut");
    c.wait("web has it too", || has_address(&c, "web"));
    c.lab.heal().expect("healed");
    c.all_active(&NODES);
    c.stable(&NODES);
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
}

/// A service on every node that accepts and is silent, and a client with a connection.
fn connected(c: &Cluster) -> (Vec<TcpListener>, TcpStream, TcpStream) {
    let listen = || TcpListener::bind(("0.0.0.0", PORT)).expect("the port is free");
    let listeners: Vec<TcpListener> = NODES.iter().map(|node| inside(c, node, listen)).collect();
    let client = inside(c, CLIENT, || TcpStream::connect((VIP, PORT)).expect("connected"));
    let (server, _) = listeners[0].accept().expect("accepted");
    (listeners, client, server)
}

/// How the connection ends for the client; `None` when it does not within the time.
fn end_of(mut client: &TcpStream, within: Duration) -> Option<ErrorKind> {
    client.set_read_timeout(Some(within)).expect("a socket");
    match client.read(&mut [0]) {
        Ok(n) => panic!("{n} bytes of a silent service"),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(e) => Some(e.kind()),
    }
}

#[test]
fn connections_are_reset_when_the_address_leaves_in_good_order() {
    let Some(c) = Setup::default().started("addr-reset") else {
        return;
    };
    let (_listeners, client, mut server) = connected(&c);
    c.run("hello", &["hb_standby"]).good("hb_standby");
    assert_eq!(end_of(&client, BOUND), Some(ErrorKind::ConnectionReset));
    let error = server.read(&mut [0]).expect_err("the service is told too");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    c.wait_log("hello", "Reset 1 TCP connection(s) of 10.77.0.100");
}

fn client_after_a_power_failure(test: &str, tickle: bool) -> Option<Option<ErrorKind>> {
    let setup = Setup {
        more: format!(
            "debug 1\ndebugfile /var/log/ha-log\ntickle {}\n",
            if tickle { "on" } else { "off" }
        ),
        ..Setup::default()
    };
    let c = setup.started(test)?;
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let (_listeners, client, _server) = connected(&c);
    if tickle {
        c.wait_log("web", "node hello: tells 1 connection(s) of addresses that it has");
    }
    let since = Watcher::now();
    c.lab.power_off("hello").expect("off");
    c.wait_owner(&watcher, "web", since);
    let taken = Instant::now();
    // Without help it hangs for as long as we look; with help it ends long before.
    let within = if tickle { BOUND } else { Duration::from_secs(8) };
    let end = end_of(&client, within);
    println!("tickle {tickle}: {end:?} after {} ms", taken.elapsed().as_millis());
    if tickle {
        c.wait_log("web", "waking the clients of 1 connection(s) that node hello had");
    }
    Some(end)
}

#[test]
fn with_tickle_an_idle_client_notices_the_takeover() {
    if let Some(end) = client_after_a_power_failure("addr-tickle", true) {
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
    }
}

#[test]
fn without_tickle_an_idle_client_hangs() {
    if let Some(end) = client_after_a_power_failure("addr-no-tickle", false) {
        assert_eq!(end, None);
    }
}

#[test]
fn a_lookout_that_dies_is_replaced_and_watches_on() {
    let Some(c) = Setup::default().started("addr-lookout") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let old = c.processes("hello", "lookout");
    assert_eq!(old.len(), 1, "{old:?}");
    c.run("hello", &["kill", "-9", &old[0].to_string()]).good("kill -9");
    c.wait("another one runs", || {
        let new = c.processes("hello", "lookout");
        new.len() == 1 && new != old
    });
    let since = Watcher::now();
    c.wait("it watches", || {
        // What was removed before it looked is not its doing.
        if has_address(&c, "hello") && c.counter("hello", "addresses_lost") == 0 {
            remove_address(&c, "hello");
        }
        c.counter("hello", "addresses_restored") >= 1
    });
    c.wait_owner(&watcher, "hello", since);
    c.stable(&NODES);
    assert_eq!(watcher.timeline().owners(0), ["hello"]);
}
