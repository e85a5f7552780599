//! What somebody recorded on the cable is sent again, to real nodes: nothing happens but counting.

use crate::cluster::{Cluster, Setup, VIP, skipped};
use crate::packets::clients_socket;
use ha::lab::Watcher;
use ha::sys::process;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

const NODES: [&str; 2] = ["hello", "web"];
const ADDRESSES: [&str; 2] = ["10.77.0.1:694", "10.77.0.2:694"];

/// Writes down what the nodes broadcast until it is told to end.
struct Recorder {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

impl Recorder {
    fn start(socket: &UdpSocket) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let (socket, stop) = (socket.try_clone().expect("a socket"), end.clone());
        let thread = std::thread::spawn(move || {
            let mut tape = Vec::new();
            let mut buffer = [0; 65_536];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((n, _)) = socket.recv_from(&mut buffer) {
                    tape.push(buffer[..n].to_vec());
                }
            }
            tape
        });
        Self { end, thread }
    }

    fn end(self) -> Vec<Vec<u8>> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

/// Everything a cluster says something about: a start, moves, messages of clients, a leave, a return, a power failure.
fn recorded_life(c: &Cluster, socket: &UdpSocket) -> Vec<Vec<u8>> {
    let recorder = Recorder::start(socket);
    for node in NODES {
        c.start(node);
    }
    c.all_active(&NODES);
    c.stable(&NODES);
    c.run("hello", &["hb_standby", "all"]).good("hb_standby");
    c.run("hello", &["hb_takeover", "all"]).good("hb_takeover");
    c.stable(&NODES);
    for n in 0..20 {
        c.run("web", &["hb_msg", "of_a_script", &format!("info={n}")])
            .good("hb_msg");
    }
    c.stop("web");
    c.start("web");
    c.all_active(&NODES);
    c.lab.power_off("web").expect("off");
    c.wait("web is dead", || c.node_status("hello", "web") == "dead");
    c.lab.power_on("web").expect("on");
    c.start("web");
    c.all_active(&NODES);
    c.stable(&NODES);
    // A tape of thousands: beats of two nodes, ten a second each.
    sleep(Duration::from_secs(20));
    recorder.end()
}

/// What was dropped since the start of this daemon.
fn dropped(c: &Cluster, node: &str) -> u64 {
    let causes = ["bad_packets_replayed", "stale_packets", "duplicates"];
    let status = c.status(node);
    let count = |cause| status.get("counters").get(cause).number();
    causes.into_iter().map(count).sum()
}

struct Stage {
    c: Cluster,
    socket: UdpSocket,
    tape: Vec<Vec<u8>>,
    watcher: Watcher,
}

impl Stage {
    /// Plays the tape to the nodes that run. The owner stays, no script runs, nobody comes or goes.
    fn play(&self, when: &str, alive: &[&str]) {
        let c = &self.c;
        let statuses = || -> Vec<String> {
            let pairs = alive.iter().flat_map(|on| NODES.map(|of| (*on, of)));
            pairs.map(|(on, of)| c.node_status(on, of)).collect()
        };
        let (before, before_dropped) = (statuses(), alive.iter().map(|n| dropped(c, n)).collect::<Vec<_>>());
        let logs = NODES.map(|n| c.log(n).len());
        NODES.iter().for_each(|n| c.forget_calls(n));
        let since = Watcher::now();
        for piece in self.tape.chunks(10) {
            for packet in piece {
                for (node, address) in NODES.iter().zip(ADDRESSES) {
                    if alive.contains(node) {
                        self.socket.send_to(packet, address).expect("sent");
                    }
                }
            }
            // A storm is another test, and would be filtered: less than the thousand a second of a flood.
            sleep(Duration::from_millis(15));
        }
        for (node, before) in alive.iter().zip(before_dropped) {
            // Half of the tape is the node's own; what it said in this life only shows that the cable carries.
            let want = before + self.tape.len() as u64 / 8;
            c.wait(&format!("{when}: {node} counts what it drops"), || {
                dropped(c, node) > want
            });
        }
        assert_eq!(statuses(), before, "{when}");
        self.watcher.settle();
        assert_eq!(self.watcher.timeline().owners(since), ["hello"], "{when}");
        for (node, length) in NODES.iter().zip(logs) {
            assert!(c.calls(node).is_empty(), "{when}: {:?}", c.calls(node));
            let said = &c.log(node)[length..];
            for event in [
                "is dead",
                "Heartbeat restart",
                "Status update",
                "returning after partition",
                "group ",
            ] {
                assert!(!said.contains(event), "{when}: {node}: {event}: {said}");
            }
        }
    }
}

#[test]
fn a_recorded_life_played_again_changes_nothing() {
    if !process::is_root() {
        return skipped("replayed packets: a test needs root to speak from the network of a node");
    }
    let setup = Setup::haresources(&format!("hello {VIP} service\n"));
    let Some(c) = setup.make("replaying") else {
        return;
    };
    c.recorder("service");
    let socket = clients_socket(&c);
    let tape = recorded_life(&c, &socket);
    assert!(tape.len() > 400, "{} packets", tape.len());
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let stage = Stage {
        c,
        socket,
        tape,
        watcher,
    };
    let c = &stage.c;
    stage.play("in the same life", &NODES);

    c.stop("web");
    c.start("web");
    c.all_active(&NODES);
    c.stable(&NODES);
    stage.play("after a restart of the peer, and of itself", &NODES);

    c.lab.power_off("web").expect("off");
    c.wait("web is dead", || c.node_status("hello", "web") == "dead");
    stage.play("while the peer is dead", &["hello"]);

    // The daemon that starts now has never heard web; its files have.
    c.stop("hello");
    c.start("hello");
    c.wait("web is dead again", || c.node_status("hello", "web") == "dead");
    c.stable(&["hello"]);
    let since = Watcher::now();
    c.wait_owner(&stage.watcher, "hello", since);
    stage.play("after its own restart, while the peer is dead", &["hello"]);

    c.lab.power_on("web").expect("on");
    c.start("web");
    c.all_active(&NODES);
    c.stable(&NODES);
    stage.play("after restarts of both", &NODES);
}

/// Played while a node knows least: it has just started, and waits for a peer that is dead.
#[test]
fn a_node_that_starts_does_not_take_a_recorded_peer_for_a_living_one() {
    if !process::is_root() {
        return skipped("replayed packets: a test needs root to speak from the network of a node");
    }
    let Some(c) = Setup::default().make("replaying-start") else {
        return;
    };
    let socket = clients_socket(&c);
    let recorder = Recorder::start(&socket);
    for node in NODES {
        c.start(node);
    }
    c.all_active(&NODES);
    c.stable(&NODES);
    // What web says when hello does not hear it any more, hello cannot know.
    c.stop("web");
    c.stop("hello");
    let tape = recorder.end();
    let peers = std::fs::read_to_string(c.lab.files("hello").state().join("hb_peers")).expect("written at the stop");
    assert!(peers.starts_with("web\t") && peers.lines().count() == 1, "{peers}");

    // Played all the time from before the start on; a node that believes it waits for web for ever.
    let end = Arc::new(AtomicBool::new(false));
    let (out, stop) = (socket.try_clone().expect("a socket"), end.clone());
    let player = std::thread::spawn(move || {
        for packet in tape.iter().cycle() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            // Refused while nobody listens yet.
            let _ = out.send_to(packet, ADDRESSES[0]);
            sleep(Duration::from_millis(2));
        }
    });
    c.start("hello");
    c.wait("web is dead for hello", || c.node_status("hello", "web") == "dead");
    c.stable(&["hello"]);
    assert!(dropped(&c, "hello") > 0);
    end.store(true, Ordering::Relaxed);
    player.join().expect("it does not panic");
    let log = c.log("hello");
    let begin = log.rfind("Configuration validated").unwrap_or(0);
    assert!(
        !log[begin..].contains("Status update for node web"),
        "{}",
        &log[begin..]
    );
}
