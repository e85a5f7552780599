//! The media over real sockets, interfaces and pseudo terminals. The sockets live in network namespaces made here;
//! needs root, and says `SKIPPED: reason` on stdout otherwise.

use ha::conf::{MediumKind, MediumSpec};
use ha::media::{self, Framer, Packet, Port, Room};
use ha::sys::poll::{Want, wait};
use ha::sys::udp::unshare_net;
use ha::time::Duration;
use serialport::{SerialPort, TTYPort};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

const PORT: u16 = 694;
/// Upper bound of every wait; nothing here is expected to need a hundredth of it.
const BOUND: Duration = Duration::from_secs(20);

/// A network namespace and the thread that lives in it. It goes, with its interfaces, when the thread ends.
struct Node {
    tasks: Option<mpsc::Sender<Box<dyn FnOnce() + Send>>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn new() -> io::Result<Self> {
        let (tasks, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let thread = thread::spawn(move || queue.iter().for_each(|task| task()));
        let node = Self {
            tasks: Some(tasks),
            thread: Some(thread),
        };
        node.run(unshare_net)?;
        node.ip("link set lo up");
        Ok(node)
    }

    /// Runs `f` inside the namespace.
    fn run<R: Send + 'static>(&self, f: impl FnOnce() -> R + Send + 'static) -> R {
        let (answer, wait) = mpsc::channel();
        let task = Box::new(move || drop(answer.send(f())));
        self.tasks.as_ref().unwrap().send(task).unwrap();
        wait.recv_timeout(BOUND).expect("a task of a node ended in time")
    }

    fn ip(&self, args: &str) {
        let line = args.to_owned();
        let out = self.run(move || Command::new("ip").args(line.split(' ')).output().unwrap());
        assert!(
            out.status.success(),
            "ip {args}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }

    /// The kernel tells IPv4 and IPv6 of a new carrier a little after `up`; packets before that are lost.
    fn wait_for_carrier(&self, dev: &str) {
        let args = ["-o", "link", "show", dev].map(str::to_owned);
        let end = ha::sys::now() + BOUND;
        self.run(move || {
            loop {
                let out = Command::new("ip").args(&args).output().unwrap();
                if String::from_utf8_lossy(&out.stdout).contains("state UP") {
                    return;
                }
                assert!(ha::sys::now() < end, "the carrier came");
                thread::sleep(Duration::from_millis(5));
            }
        });
    }

    /// Number of the thread: names its namespace for `ip link … netns`.
    fn tid(&self) -> String {
        let me = self.run(|| std::fs::read_link("/proc/thread-self").unwrap());
        me.file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn open(&self, kind: &MediumKind) -> io::Result<Port> {
        let spec = spec(kind);
        self.run(move || Port::new(&spec, media::open(&spec)?))
    }

    fn refusal(&self, kind: &MediumKind) -> String {
        match self.open(kind) {
            Ok(_) => panic!("{kind:?} was opened"),
            Err(e) => e.to_string(),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn spec(kind: &MediumKind) -> MediumSpec {
    MediumSpec {
        kind: kind.clone(),
        port: PORT,
        line: 1,
    }
}

/// Two nodes on one cable: `net0` is 10.77.0.1 and 10.77.0.2, fd00:77::1 and fd00:77::2.
fn cable() -> Option<(Node, Node)> {
    let nodes = Node::new().and_then(|a| Ok((a, Node::new()?)));
    let (a, b) = match nodes {
        Ok(nodes) => nodes,
        Err(e) => {
            println!("SKIPPED: no network namespace: {e}");
            return None;
        }
    };
    plug(&a, &b);
    Some((a, b))
}

fn plug(a: &Node, b: &Node) {
    a.ip(&format!("link add net0 type veth peer name net0 netns {}", b.tid()));
    for (node, number) in [(a, 1), (b, 2)] {
        node.ip(&format!("addr add 10.77.0.{number}/24 dev net0"));
        node.ip(&format!("addr add fd00:77::{number}/64 dev net0 nodad"));
        node.ip("link set net0 up");
    }
    for node in [a, b] {
        node.wait_for_carrier("net0");
    }
}

/// Opens again and again until it works: link-local IPv6 addresses take a second or two to be usable.
fn open_when_ready(node: &Node, kind: &MediumKind) -> Port {
    let end = ha::sys::now() + BOUND;
    loop {
        match node.open(kind) {
            Ok(port) => return port,
            Err(e) if ha::sys::now() > end => panic!("{kind:?}: {e}"),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Waits for the next packet; `None` if the medium broke or nothing came within `bound`.
fn next_within(port: &mut Port, bound: Duration) -> Option<Vec<u8>> {
    let end = ha::sys::now() + bound;
    while ha::sys::now() < end {
        wait(&[Want::read(port.fd())], end).unwrap();
        let mut got = port.receive(&mut Room::default(), 1).ok()?;
        if let Some(packet) = got.pop() {
            return Some(packet.bytes);
        }
    }
    None
}

fn next(port: &mut Port) -> Vec<u8> {
    next_within(port, BOUND).expect("a packet came")
}

fn nothing_more(port: &mut Port, what: &str) {
    assert_eq!(port.receive(&mut Room::default(), 100).unwrap(), [], "{what}");
}

fn bcast() -> MediumKind {
    MediumKind::Bcast { dev: "net0".into() }
}

fn ucast(to: &str) -> MediumKind {
    let (dev, to) = ("net0".into(), to.into());
    MediumKind::Ucast { dev, to }
}

fn ucast6(to: &str) -> MediumKind {
    let (dev, to) = ("net0".into(), to.into());
    MediumKind::Ucast6 { dev, to }
}

fn mcast(loopback: bool) -> MediumKind {
    MediumKind::Mcast {
        dev: "net0".into(),
        group: "239.0.0.43".parse().unwrap(),
        port: PORT,
        ttl: 1,
        loopback,
    }
}

fn mcast6(group: &str, loopback: bool) -> MediumKind {
    MediumKind::Mcast6 {
        dev: "net0".into(),
        group: group.parse().unwrap(),
        port: PORT,
        hops: 1,
        loopback,
    }
}

#[test]
fn two_ends_exchange_packets() {
    let Some((a, b)) = cable() else { return };
    let table = [
        // at a                          at b                           own packets come back
        (bcast(), bcast(), true),
        (ucast("10.77.0.2"), ucast("10.77.0.1"), false),
        (mcast(true), mcast(true), true),
        (mcast(false), mcast(false), false),
        (ucast6("fd00:77::2"), ucast6("fd00:77::1"), false),
        (mcast6("ff02::77", true), mcast6("ff02::77", true), true),
        (mcast6("ff02::77", false), mcast6("ff02::77", false), false),
        (mcast6("ff05::77", true), mcast6("ff05::77", true), true),
    ];
    for (at_a, at_b, back) in table {
        let (mut a, mut b) = (open_when_ready(&a, &at_a), open_when_ready(&b, &at_b));
        // The large one is fragmented.
        for size in [10, 1400, 60_000] {
            let packet = vec![b'x'; size];
            a.send(&packet).unwrap();
            assert_eq!(next(&mut b), packet, "{at_a:?} to b, {size} bytes");
            b.send(&packet).unwrap();
            if back {
                assert_eq!(next(&mut a), packet, "{at_a:?} back to a");
                assert_eq!(next(&mut b), packet, "{at_a:?} back to b");
            }
            assert_eq!(next(&mut a), packet, "{at_b:?} to a, {size} bytes");
        }
        nothing_more(&mut a, &format!("{at_a:?}"));
        nothing_more(&mut b, &format!("{at_b:?}"));
        assert!(!a.wants_write());
        assert_eq!((a.dropped(), b.dropped()), (0, 0));
    }
}

fn ping(host: &str) -> MediumKind {
    MediumKind::Ping {
        node: "target".parse().unwrap(),
        host: host.into(),
        v6: host.contains(':'),
        group: false,
    }
}

#[test]
fn echoes_come_back_to_the_port_that_asked_and_to_no_other() {
    let Some((a, b)) = cable() else { return };
    b.ip("addr add 10.77.0.3/24 dev net0");
    b.ip("addr add fd00:77::3/64 dev net0 nodad");
    let hosts = ["10.77.0.2", "10.77.0.3", "fd00:77::2", "fd00:77::3"];
    let mut ports: Vec<Port> = hosts.iter().map(|h| a.open(&ping(h)).unwrap()).collect();
    let mut at_b = b.open(&ping("10.77.0.1")).unwrap();
    for round in 0..3 {
        for (port, host) in ports.iter_mut().zip(hosts) {
            port.send(format!("{host} {round}").as_bytes()).unwrap();
        }
        at_b.send(b"from b").unwrap();
        for (port, host) in ports.iter_mut().zip(hosts) {
            assert_eq!(next(port), format!("{host} {round}").as_bytes());
        }
        assert_eq!(next(&mut at_b), b"from b");
    }
    // A ping of somebody else, to the same host.
    let out = a.run(|| Command::new("ping").args(["-c", "1", "10.77.0.2"]).output());
    if out.is_err() {
        println!("SKIPPED: foreign pings: ping is not installed (Debian package iputils-ping)");
    }
    for (port, host) in ports.iter_mut().zip(hosts) {
        nothing_more(port, host);
    }
    nothing_more(&mut at_b, "b");
}

#[test]
fn a_ping_that_cannot_be_says_why() {
    let Some((a, _b)) = cable() else { return };
    #[rustfmt::skip]
    let table = [
        ("no-such-host.invalid", "no-such-host.invalid is no IPv4 address, and cannot be looked up"),
        ("192.0.2.1",            "192.0.2.1 cannot be reached"),
        ("2001:db8::1",          "2001:db8::1 cannot be reached"),
        ("fe80::9",              "fe80::9 is on every link: write fe80::9%INTERFACE"),
        ("fe80::9%nonet",        "interface nonet does not exist"),
    ];
    for (host, why) in table {
        let said = a.refusal(&ping(host));
        assert!(said.starts_with(why), "{host}: {said}");
    }
    assert!(a.open(&ping("fe80::9%net0")).is_ok());
}

#[test]
fn link_local_addresses_and_zones() {
    let Some((a, b)) = cable() else { return };
    for node in [&a, &b] {
        node.ip("addr flush dev net0 scope link");
    }
    a.ip("addr add fe80::1/64 dev net0 nodad");
    b.ip("addr add fe80::2/64 dev net0 nodad");
    let mut at_a = a.open(&ucast6("fe80::2")).unwrap();
    let mut at_b = b.open(&ucast6("fe80::1%net0")).unwrap();
    at_a.send(b"hello").unwrap();
    assert_eq!(next(&mut at_b), b"hello");
    at_b.send(b"world").unwrap();
    assert_eq!(next(&mut at_a), b"world");
    let why = a.refusal(&ucast6("fe80::2%lo"));
    assert_eq!(why, "address fe80::2%lo belongs to interface lo, not to net0");
}

#[test]
fn several_media_share_port_and_interface() {
    let Some((a, b)) = cable() else { return };
    let kinds = [
        bcast(),
        ucast("10.77.0.1"),
        ucast("10.77.0.2"),
        mcast(true),
        ucast6("fd00:77::2"),
    ];
    let mut ports: Vec<Port> = kinds.iter().map(|k| a.open(k).unwrap()).collect();
    // Which of the sockets of one interface gets a ucast packet is for the kernel to choose; one of them does.
    let mut sender = b.open(&ucast("10.77.0.1")).unwrap();
    sender.send(b"to one").unwrap();
    let end = ha::sys::now() + BOUND;
    let wants: Vec<Want<'_>> = ports.iter().map(|p| Want::read(p.fd())).collect();
    let ready = wait(&wants, end).unwrap();
    assert_eq!(ready.iter().filter(|r| r.read).count(), 1);
    let mut room = Room::default();
    let got: Vec<Packet> = ports
        .iter_mut()
        .flat_map(|p| p.receive(&mut room, 5).unwrap())
        .collect();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].bytes, b"to one");
}

#[test]
fn links_do_not_hear_each_other() {
    let Some((a, b)) = cable() else { return };
    a.ip(&format!("link add net1 type veth peer name net1 netns {}", b.tid()));
    for (node, number) in [(&a, 1), (&b, 2)] {
        node.ip(&format!("addr add 10.78.0.{number}/24 dev net1"));
        node.ip("link set net1 up");
    }
    for node in [&a, &b] {
        node.wait_for_carrier("net1");
    }
    let on = |dev: &str, kind: MediumKind| match kind {
        MediumKind::Mcast {
            group,
            port,
            ttl,
            loopback,
            ..
        } => MediumKind::Mcast {
            dev: dev.into(),
            group,
            port,
            ttl,
            loopback,
        },
        MediumKind::Mcast6 {
            group,
            port,
            hops,
            loopback,
            ..
        } => MediumKind::Mcast6 {
            dev: dev.into(),
            group,
            port,
            hops,
            loopback,
        },
        _ => MediumKind::Bcast { dev: dev.into() },
    };
    for kind in [bcast(), mcast(false), mcast6("ff02::77", false)] {
        let mut at_b = [
            open_when_ready(&b, &on("net0", kind.clone())),
            open_when_ready(&b, &on("net1", kind.clone())),
        ];
        for (i, dev) in ["net0", "net1"].into_iter().enumerate() {
            let mut sender = open_when_ready(&a, &on(dev, kind.clone()));
            sender.send(dev.as_bytes()).unwrap();
            assert_eq!(next(&mut at_b[i]), dev.as_bytes(), "{kind:?}");
            nothing_more(&mut at_b[1 - i], &format!("{kind:?} of {dev}"));
        }
    }
}

#[test]
fn the_limit_bounds_one_turn() {
    let Some((a, b)) = cable() else { return };
    let (mut a, mut b) = (
        a.open(&ucast("10.77.0.2")).unwrap(),
        b.open(&ucast("10.77.0.1")).unwrap(),
    );
    for i in 0..10_u8 {
        a.send(&[i]).unwrap();
    }
    let mut got = Vec::new();
    while got.len() < 10 {
        wait(&[Want::read(b.fd())], ha::sys::now() + BOUND).unwrap();
        let turn = b.receive(&mut Room::default(), 4).unwrap();
        assert!((1..=4).contains(&turn.len()));
        got.extend(turn.into_iter().flat_map(|p| p.bytes));
    }
    assert_eq!(got, (0..10).collect::<Vec<u8>>());
}

#[test]
fn a_deleted_interface_is_an_error_and_a_new_one_is_heard() {
    let Some((a, b)) = cable() else { return };
    for kind in [
        bcast(),
        ucast("10.77.0.2"),
        mcast(false),
        ucast6("fd00:77::2"),
        mcast6("ff02::77", false),
    ] {
        let mut old = open_when_ready(&a, &kind);
        old.send(b"before").unwrap();
        a.ip("link del net0");
        assert!(old.send(b"no interface").is_err(), "{kind:?}");
        assert_eq!(a.refusal(&kind), "interface net0 does not exist");
        plug(&a, &b);
        // It looks as before, but the socket stays with the one that was deleted.
        assert!(old.send(b"another interface").is_err(), "{kind:?}");
        let (mut new, mut peer) = (open_when_ready(&a, &kind), open_when_ready(&b, &mirrored(&kind)));
        new.send(b"after").unwrap();
        let heard = next_within(&mut peer, BOUND);
        assert_eq!(heard.as_deref(), Some(b"after".as_slice()), "{kind:?}");
    }
}

/// What the other node's ha.cf says.
fn mirrored(kind: &MediumKind) -> MediumKind {
    match kind {
        MediumKind::Ucast { .. } => ucast("10.77.0.1"),
        MediumKind::Ucast6 { .. } => ucast6("fd00:77::1"),
        kind => kind.clone(),
    }
}

#[test]
fn an_interface_that_is_down_is_an_error_and_comes_back() {
    let Some((a, b)) = cable() else { return };
    for kind in [bcast(), ucast("10.77.0.2"), mcast(false)] {
        let mut port = a.open(&kind).unwrap();
        a.ip("link set net0 down");
        assert!(port.send(b"down").is_err(), "{kind:?}");
        assert_eq!(a.refusal(&kind), "interface net0 is down");
        a.ip("link set net0 up");
        a.wait_for_carrier("net0");
        b.wait_for_carrier("net0");
        let (mut port, mut peer) = (a.open(&kind).unwrap(), b.open(&mirrored(&kind)).unwrap());
        port.send(b"up").unwrap();
        assert_eq!(next(&mut peer), b"up", "{kind:?}");
    }
}

#[test]
fn a_changed_address_is_noticed_by_bcast() {
    let Some((a, b)) = cable() else { return };
    let mut port = a.open(&bcast()).unwrap();
    for node in [&a, &b] {
        node.ip("-4 addr flush dev net0");
    }
    assert!(port.send(b"no address").is_err());
    assert!(a.refusal(&bcast()).contains("has no broadcast address"));
    a.ip("addr add 10.88.0.1/16 brd + dev net0");
    b.ip("addr add 10.88.0.2/16 dev net0");
    assert!(port.send(b"other address").is_err(), "10.77.0.255 is nobody now");
    let (mut port, mut peer) = (a.open(&bcast()).unwrap(), b.open(&bcast()).unwrap());
    port.send(b"10.88.255.255").unwrap();
    assert_eq!(next(&mut peer), b"10.88.255.255");
    peer.send(b"computed").unwrap();
    assert_eq!(next(&mut port), b"10.88.255.255");
    assert_eq!(next(&mut port), b"computed");
}

#[test]
fn what_a_peer_or_a_queue_does_is_no_error() {
    let Some((a, _b)) = cable() else { return };
    // Nobody listens on the port of b: ICMP errors come back. 10.77.0.9 does not exist at all.
    for to in ["10.77.0.2", "10.77.0.9"] {
        let mut port = a.open(&ucast(to)).unwrap();
        for _ in 0..100 {
            port.send(b"anybody?").unwrap();
            nothing_more(&mut port, to);
        }
    }
    // Longer than any datagram: counted, and the next one passes.
    let mut port = a.open(&bcast()).unwrap();
    port.send(&vec![0; 70_000]).unwrap();
    assert_eq!(port.dropped(), 1);
    port.send(b"short").unwrap();
    assert_eq!((next(&mut port), port.dropped()), (b"short".to_vec(), 1));
    // Nobody reads: the send buffer may fill, the receive buffer does; neither holds us.
    for _ in 0..5000 {
        port.send(&[0; 1400]).unwrap();
    }
    assert!(port.receive(&mut Room::default(), 64).unwrap().len() == 64);
}

#[test]
fn refusals_say_what_is_wrong() {
    let Some((a, _b)) = cable() else { return };
    a.ip("link add bare0 type veth peer name bare1");
    a.ip("link set bare0 up");
    let bcast_on = |dev: &str| MediumKind::Bcast { dev: dev.into() };
    let on_bare = |kind| match kind {
        MediumKind::Mcast {
            group,
            port,
            ttl,
            loopback,
            ..
        } => MediumKind::Mcast {
            dev: "bare0".into(),
            group,
            port,
            ttl,
            loopback,
        },
        kind => kind,
    };
    let table = [
        (bcast_on("eth9"), "interface eth9 does not exist"),
        (
            bcast_on("lo"),
            "interface lo has no broadcast address; use ucast or mcast",
        ),
        (
            bcast_on("bare0"),
            "interface bare0 has no broadcast address; use ucast or mcast",
        ),
        (on_bare(mcast(true)), "interface bare0 has no IPv4 address"),
        (
            ucast("no-such-host.invalid"),
            "no-such-host.invalid is no IPv4 address, and cannot be looked up",
        ),
        (
            ucast6("10.77.0.2.invalid"),
            "10.77.0.2.invalid is no IPv6 address, and cannot be looked up",
        ),
        (serial("/dev/no-such-tty"), "serial /dev/no-such-tty does not exist"),
        (serial("/dev/null"), "serial /dev/null is not a tty"),
        (serial("/etc/passwd"), "serial /etc/passwd is not a character device"),
    ];
    for (kind, want) in table {
        let why = a.refusal(&kind);
        assert!(why.starts_with(want), "{kind:?}: {why}");
    }
    // A program that does not share its port.
    let other = a.run(|| std::net::UdpSocket::bind(("0.0.0.0", PORT)).unwrap());
    let why = a.refusal(&bcast());
    let me = format!("(process {})", std::process::id());
    assert!(
        why.starts_with("UDP port 694 is in use by ") && why.contains(&me),
        "{why}"
    );
    drop(other);
    // A program that another test starts has a copy of the socket, until it is executed.
    let end = ha::sys::now() + BOUND;
    while let Err(e) = a.open(&bcast()) {
        assert!(ha::sys::now() < end, "{e}");
    }
}

// Serial lines: the port has the slave of a pseudo terminal, the test its master.

fn serial(device: &str) -> MediumKind {
    let (device, baud) = (PathBuf::from(device), 19200);
    MediumKind::Serial { device, baud }
}

/// A line: the test's end, which reads and writes with a time limit, and the port's.
fn line() -> (TTYPort, Port, MediumSpec) {
    let (mut master, slave) = TTYPort::pair().expect("pseudo terminals are there");
    master.set_timeout(Duration::from_secs(20)).unwrap();
    let spec = spec(&serial(&slave.name().unwrap()));
    let mut slave = slave;
    slave.set_exclusive(false).unwrap();
    let port = Port::new(&spec, media::open(&spec).unwrap()).unwrap();
    // Only now: with its last slave end closed the line would hang up.
    drop(slave);
    (master, port, spec)
}

fn beat(i: usize, len: usize) -> Vec<u8> {
    let head = format!(">>>\nt=status\nseq={i:x}\npad=");
    format!("{head}{}\n<<<\n", "x".repeat(len.saturating_sub(head.len() + 5))).into_bytes()
}

/// Reads what the line gives, and lets the port write on, until `done` holds for the messages seen.
fn read_until(master: &mut TTYPort, port: &mut Port, mut done: impl FnMut(&[Vec<u8>]) -> bool) -> Vec<Vec<u8>> {
    let (mut framer, mut seen, mut buf) = (Framer::default(), Vec::new(), [0; 1000]);
    let end = ha::sys::now() + BOUND;
    while !done(&seen) {
        assert!(ha::sys::now() < end, "{} messages came", seen.len());
        port.flush().unwrap();
        if master.bytes_to_read().unwrap() > 0 {
            let n = master.read(&mut buf).unwrap();
            seen.extend(framer.push(&buf[..n]));
        } else {
            let mut want = Want::read(port.fd());
            want.write = port.wants_write();
            wait(&[want], ha::sys::now() + Duration::from_millis(10)).unwrap();
        }
    }
    assert_eq!(framer.spoilt(), 0, "no message was torn");
    seen
}

#[test]
fn serial_lines_carry_messages_both_ways() {
    let (mut master, mut port, spec) = line();
    port.send(&beat(1, 200)).unwrap();
    assert_eq!(
        read_until(&mut master, &mut port, |seen| !seen.is_empty()),
        [beat(1, 200)]
    );
    // Junk first, then a message cut off by the next; every byte value but LF passes, bit 7 too.
    let all: Vec<u8> = (1..=255).filter(|b| *b != b'\n').collect();
    let good = [b">>>\nv=".as_slice(), &all, b"\n<<<\n"].concat();
    master.write_all(b"\xff\0noise\nlogin: \n>>>\nt=cut off\n").unwrap();
    master.write_all(&good).unwrap();
    assert_eq!(next(&mut port), good);
    assert_eq!(port.dropped(), 1);
    // In small pieces.
    for piece in beat(2, 300).chunks(7) {
        master.write_all(piece).unwrap();
    }
    assert_eq!(next(&mut port), beat(2, 300));
    media::release(&spec);
}

#[test]
fn a_recorded_line_of_the_classic_is_cut_into_its_messages() {
    let bytes = include_bytes!("data/media/serial-n1-to-n2");
    for chunk in [1, 100, 512, bytes.len()] {
        let mut framer = Framer::default();
        let cut: Vec<Vec<u8>> = bytes.chunks(chunk).flat_map(|c| framer.push(c)).collect();
        assert_eq!((cut.len(), framer.spoilt()), (86, 0), "pieces of {chunk}");
        assert_eq!(cut.concat(), bytes, "pieces of {chunk}");
    }
}

#[test]
fn a_peer_that_does_not_read_never_holds_us() {
    let (mut master, mut port, spec) = line();
    // Far more than the pseudo terminal and the queue can hold.
    let sent = 3000;
    for i in 1..=sent {
        port.send(&beat(i, 300)).unwrap();
    }
    assert!(port.wants_write());
    let dropped = usize::try_from(port.dropped()).unwrap();
    assert!(dropped > 0);
    // Now it reads: whole messages, in order, the newest among them.
    let seen = read_until(&mut master, &mut port, |seen| seen.last() == Some(&beat(sent, 300)));
    assert_eq!(seen.len() + dropped, sent);
    let mut numbers = (1..=sent).map(|i| beat(i, 300));
    assert!(seen.iter().all(|m| numbers.any(|n| n == *m)), "in order");
    assert!(!port.wants_write());
    media::release(&spec);
}

#[test]
fn a_large_message_is_written_in_parts() {
    let (mut master, mut port, spec) = line();
    let large = beat(1, 200_000);
    port.send(&large).unwrap();
    assert!(port.wants_write(), "more than the line takes at once");
    port.send(&beat(2, 100)).unwrap();
    let seen = read_until(&mut master, &mut port, |seen| seen.len() == 2);
    assert_eq!(seen, [large, beat(2, 100)]);
    assert_eq!(port.dropped(), 0);
    media::release(&spec);
}

#[test]
fn a_line_that_hangs_up_is_an_error() {
    let (mut master, mut port, spec) = line();
    master.write_all(&beat(1, 100)).unwrap();
    assert_eq!(next(&mut port), beat(1, 100));
    drop(master);
    let ready = wait(&[Want::read(port.fd())], ha::sys::now() + BOUND).unwrap();
    assert!(ready[0].read && ready[0].hangup);
    assert!(port.receive(&mut Room::default(), 10).is_err());
    assert!(port.send(&beat(2, 100)).is_err());
    media::release(&spec);
}

#[test]
fn a_line_can_be_opened_again_and_is_locked_meanwhile() {
    let (mut master, port, spec) = line();
    // The core still has the old descriptor while the master opens anew.
    let mut again = Port::new(&spec, media::open(&spec).unwrap()).unwrap();
    drop(port);
    again.send(&beat(1, 100)).unwrap();
    assert_eq!(
        read_until(&mut master, &mut again, |seen| !seen.is_empty()),
        [beat(1, 100)]
    );
    let MediumKind::Serial { device, .. } = &spec.kind else {
        unreachable!()
    };
    let name = format!("LCK..pts_{}", device.file_name().unwrap().to_str().unwrap());
    let Some(dir) = ["/run/lock", "/var/lock"]
        .map(Path::new)
        .into_iter()
        .find(|d| d.is_dir())
    else {
        println!("SKIPPED: no directory for lock files");
        return;
    };
    let lock = dir.join(name);
    let text = std::fs::read_to_string(&lock).unwrap();
    assert_eq!(text, format!("{:10}\n", std::process::id()));
    media::release(&spec);
    assert!(!lock.exists());
    // Another program's.
    let mut other = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    std::fs::write(&lock, format!("{:10}\n", other.id())).unwrap();
    let why = media::open(&spec).unwrap_err().to_string();
    assert!(why.contains(&format!("is in use by process {}", other.id())), "{why}");
    other.kill().unwrap();
    other.wait().unwrap();
    drop(media::open(&spec).expect("the lock of a dead process is taken over"));
    media::release(&spec);
}

#[test]
fn descriptors_do_not_block_and_close_on_exec() {
    let (_master, port, spec) = line();
    let flags = |fd: BorrowedFd<'_>| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
        let line = info
            .lines()
            .find_map(|l| l.strip_prefix("flags:"))
            .unwrap()
            .trim()
            .to_owned();
        u32::from_str_radix(&line, 8).unwrap()
    };
    // O_NONBLOCK and O_CLOEXEC as fdinfo shows them.
    assert_eq!(flags(port.fd()) & 0o2_004_000, 0o2_004_000, "serial");
    media::release(&spec);
    let Some((a, _b)) = cable() else { return };
    let port = a.open(&bcast()).unwrap();
    assert_eq!(flags(port.fd()) & 0o2_004_000, 0o2_004_000, "bcast");
}
