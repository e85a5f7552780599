//! `IPaddr`, `send_arp` and `ha::address` against a real kernel: two network namespaces, a cable between them.
//!
//! Each test has its own pair and leaves nothing behind. `ip` and `ifconfig` lay the cable and check the result; the
//! programs under test do without them.

use ha::address::{self, Renewal, Spec};
use ha::sys::netlink::Netlink;
use ha::sys::now;
use ha::sys::packet::PacketSocket;
use ha::time::{Duration, Instant};
use ha::wire::Mac;
use ha::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, Stdio};
use std::thread;

/// Longer than anything here takes on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

/// A node (where the calling thread is) and its peer, `eth0` each.
struct Cable {
    node: File,
    peer: File,
}

fn this_namespace() -> File {
    File::open("/proc/thread-self/ns/net").expect("/proc is there")
}

fn sh(command: &str) -> String {
    let mut words = command.split(' ');
    let program = words.next().expect("a program");
    let out = Command::new(program).args(words).output().expect(program);
    assert!(
        out.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs the test on a node of its own; in a thread of its own, because namespaces are a thread's.
fn on_a_node(test: impl FnOnce(&Cable) + Send) {
    if !geteuid().is_root() {
        println!("SKIPPED: network namespaces need root");
        return;
    }
    if Command::new("ip").arg("-V").output().is_err() {
        println!("SKIPPED: ip (iproute2) is needed to lay the test's cable");
        return;
    }
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            if let Err(e) = unshare(CloneFlags::CLONE_NEWNET) {
                println!("SKIPPED: no network namespaces: {e}");
                return;
            }
            let peer = this_namespace();
            sh("ip link set lo up");
            unshare(CloneFlags::CLONE_NEWNET).expect("a second one");
            let cable = Cable {
                node: this_namespace(),
                peer,
            };
            sh("ip link set lo up");
            let path = format!("/proc/{}/fd/{}", process::id(), cable.peer.as_raw_fd());
            sh(&format!("ip link add eth0 type veth peer name eth0 netns {path}"));
            sh("ip addr add 10.66.0.1/24 brd + dev eth0");
            sh("ip addr add 2001:db8::1/64 dev eth0 nodad");
            sh("ip link set eth0 up");
            cable.at_peer(|| sh("ip link set eth0 up"));
            // An interface that is up drops what is sent, without a word, until the kernel has seen to its carrier.
            let carries = || {
                let link = sh("ip -o link show eth0");
                (link.contains("state UP") && !link.contains("qdisc noop ")).then_some(())
            };
            until("the cable carries", carries);
            cable.at_peer(|| until("the cable carries at the peer", carries));
            test(&cable);
        });
        if let Err(panic) = run.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

impl Cable {
    fn at_peer<T>(&self, f: impl FnOnce() -> T) -> T {
        setns(&self.peer, CloneFlags::CLONE_NEWNET).expect("the peer");
        let result = f();
        setns(&self.node, CloneFlags::CLONE_NEWNET).expect("back home");
        result
    }

    /// All frames of that kind that reach the peer from now on.
    fn listen(&self, ethertype: u16) -> PacketSocket {
        self.at_peer(|| PacketSocket::receiver(index("eth0"), ethertype).expect("a packet socket"))
    }
}

fn links() -> Vec<ha::wire::route::Link> {
    Netlink::open().expect("netlink").links().expect("links")
}

fn index(name: &str) -> u32 {
    links().iter().find(|l| l.name == name).expect(name).index
}

fn mac(name: &str) -> Mac {
    links().iter().find(|l| l.name == name).and_then(|l| l.mac).expect(name)
}

fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = now() + BOUND;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(now() < end, "gave up waiting until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Exit status, stdout, stderr.
fn run(command: &mut Command) -> (i32, String, String) {
    let out = command.stdin(Stdio::null()).output().expect("the program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        out.status.code().expect("it exits"),
        text(&out.stdout),
        text(&out.stderr),
    )
}

fn ipaddr(words: &str) -> (i32, String, String) {
    run(Command::new(env!("CARGO_BIN_EXE_IPaddr")).args(words.split(' ')))
}

fn start(spec: &str) {
    let (code, _, err) = ipaddr(&format!("{spec} start"));
    assert_eq!((code, err.as_str()), (0, ""), "{spec}");
}

fn addresses() -> String {
    sh("ip -o addr show")
}

/// The numbers of the processes of this node that the test did not start itself: those that announce.
fn announcers() -> Vec<u32> {
    let here = fs::read_link("/proc/thread-self/ns/net").expect("our namespace");
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    all.filter(|d| fs::read_link(d.path().join("ns/net")).is_ok_and(|n| n == here))
        .filter_map(|d| d.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != process::id())
        .collect()
}

fn spec(text: &str) -> Spec {
    text.parse().expect(text)
}

#[test]
fn s2_03_mask_interface_and_broadcast_are_found_from_routes() {
    on_a_node(|_| {
        let table = [
            (
                "10.66.0.240",
                "inet 10.66.0.240/24 brd 10.66.0.255 scope global secondary eth0:0",
            ),
            (
                "10.66.0.240/24",
                "inet 10.66.0.240/24 brd 10.66.0.255 scope global secondary eth0:0",
            ),
            (
                "10.66.0.240/255.255.255.0",
                "inet 10.66.0.240/24 brd 10.66.0.255 scope global secondary eth0:0",
            ),
            (
                "10.66.0.240/19/eth0/10.66.31.251",
                "inet 10.66.0.240/19 brd 10.66.31.251 scope global eth0:0",
            ),
            (
                "10.66.0.240/24/10.66.0.250",
                "inet 10.66.0.240/24 brd 10.66.0.250 scope global secondary eth0:0",
            ),
            (
                "10.66.0.240/24/eth0:5",
                "inet 10.66.0.240/24 brd 10.66.0.255 scope global secondary eth0:0",
            ),
            (
                "192.168.7.9/24/eth0",
                "inet 192.168.7.9/24 brd 192.168.7.255 scope global eth0:0",
            ),
            ("2001:db8::9", "inet6 2001:db8::9/64 scope global nodad"),
            ("2001:db8::9/128/eth0", "inet6 2001:db8::9/128 scope global nodad"),
        ];
        for (spec, shown) in table {
            start(spec);
            let all = addresses();
            assert!(all.contains(shown), "{spec}: {all}");
            assert!(!all.contains("/9 tentative"), "{all}");
            assert_eq!(ipaddr(&format!("{spec} stop")).0, 0, "{spec}");
            let all = addresses();
            assert!(
                !all.contains(".240/") && !all.contains("::9/") && !all.contains(".7.9/"),
                "{spec}: {all}"
            );
            assert!(
                all.contains("10.66.0.1/24") && all.contains("2001:db8::1/64"),
                "{spec}: {all}"
            );
        }
    });
}

#[test]
fn s2_03_an_address_without_a_place_is_refused_in_words() {
    on_a_node(|_| {
        let no_route = "IPaddr: 10.9.9.9: no route fits it; write 10.9.9.9/MASK/INTERFACE in haresources\n";
        let table = [
            ("10.9.9.9 start", 1, no_route),
            ("10.9.9.9 validate-all", 1, no_route),
            ("10.66.0.240/24/eth9 start", 1, "IPaddr: eth9: unknown interface\n"),
            ("10.66.0.240 validate-all", 0, ""),
        ];
        for (words, code, err) in table {
            assert_eq!(ipaddr(words), (code, String::new(), err.to_owned()), "{words}");
        }
        assert!(announcers().is_empty());
    });
}

#[test]
fn s2_06_label_shows_in_ifconfig() {
    on_a_node(|_| {
        for (ip, n) in [("10.66.0.240", 0), ("10.66.0.241", 1), ("10.66.0.242", 2)] {
            start(ip);
            assert!(addresses().contains(&format!("eth0:{n}")), "{ip}");
        }
        ipaddr("10.66.0.241 stop");
        start("10.66.0.243");
        assert!(addresses().contains("inet 10.66.0.243/24 brd 10.66.0.255 scope global secondary eth0:1"));
        if Command::new("ifconfig").arg("--version").output().is_err() {
            println!("SKIPPED: the rest needs ifconfig (net-tools)");
            return;
        }
        let shown = sh("ifconfig");
        for label in ["eth0:0", "eth0:1", "eth0:2"] {
            assert!(shown.contains(label), "{shown}");
        }
    });
}

#[test]
fn labels_of_programs_that_start_at_the_same_time_differ() {
    on_a_node(|_| {
        let children: Vec<_> = (10..22)
            .map(|n| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_IPaddr"));
                command
                    .args([&format!("10.66.0.{n}"), "start"])
                    .stdout(Stdio::null())
                    .spawn()
                    .expect("IPaddr")
            })
            .collect();
        for mut child in children {
            assert!(child.wait().expect("it ends").success());
        }
        let all = addresses();
        for n in 0..12 {
            assert_eq!(all.matches(&format!(" eth0:{n}\\")).count(), 1, "eth0:{n} in {all}");
        }
    });
}

#[test]
fn an_interface_name_too_long_for_a_label_gets_none_and_a_warning() {
    on_a_node(|_| {
        sh("ip link set eth0 name fourteen-chars");
        let (code, _, err) = ipaddr("10.66.0.240/24/fourteen-chars start");
        assert_eq!(code, 0);
        assert!(
            err.contains("the label fourteen-chars:0 is longer than 15 characters"),
            "{err}"
        );
        assert!(addresses().contains("10.66.0.240/24"));
    });
}

#[test]
fn s2_08_gratuitous_request_and_reply_have_left_when_start_returns() {
    on_a_node(|cable| {
        let peer = cable.listen(ETHERTYPE_ARP);
        let own = mac("eth0").0;
        start("10.66.0.240");
        let ip = [10, 66, 0, 240];
        for (operation, target) in [(1, [0; 6]), (2, own)] {
            let expected = [
                &[0xff; 6][..],
                &own,
                &[8, 6],
                &[0, 1, 8, 0, 6, 4, 0, operation],
                &own,
                &ip,
                &target,
                &ip,
            ]
            .concat();
            let frame = peer.receive(now() + BOUND).expect("the socket").expect("a frame");
            assert_eq!(frame, expected, "operation {operation}");
        }
        // The series goes on after the program has ended.
        assert!(peer.receive(now() + BOUND).expect("the socket").is_some());
    });
}

#[test]
fn s2_08_neighbour_advertisement_arrives_with_right_bytes() {
    on_a_node(|cable| {
        let peer = cable.listen(ETHERTYPE_IPV6);
        let own = mac("eth0").0;
        start("2001:db8::9");
        let head = [
            &[0x33, 0x33, 0, 0, 0, 1][..],
            &own,
            &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255],
        ]
        .concat();
        let ip = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        // The interface says other things in IPv6 too.
        let frame = until("the advertisement is there", || {
            let frame = peer.receive(now() + BOUND).expect("the socket").expect("a frame");
            (frame.starts_with(&head) && frame[54] == 136).then_some(frame)
        });
        let expected = [
            &head[..],
            &ip,
            &all_nodes,
            &[136, 0],
            &frame[56..58],
            &[0x20, 0, 0, 0],
            &ip,
            &[2, 1],
            &own,
        ]
        .concat();
        assert_eq!(frame, expected);
        // The one's complement sum over pseudo-header and packet is all ones when the checksum in it is right.
        let summed = [&frame[22..54], &[0, 0, 0, 32, 0, 0, 0, 58], &frame[54..]].concat();
        let sum: u32 = summed.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c[1])).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    });
}

#[test]
fn s2_08_the_peer_sends_to_the_new_owner_at_once() {
    on_a_node(|cable| {
        cable.at_peer(|| {
            sh("ip addr add 10.66.0.2/24 dev eth0");
            sh("ip neigh replace 10.66.0.240 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
        });
        start("10.66.0.240");
        let own = mac("eth0").to_string();
        until("the peer knows", || {
            cable
                .at_peer(|| sh("ip neigh show 10.66.0.240"))
                .contains(&own)
                .then_some(())
        });
    });
}

#[test]
fn who_has_lost_the_address_does_not_go_on_announcing() {
    on_a_node(|cable| {
        let peer = cable.listen(ETHERTYPE_ARP);
        start("10.66.0.240");
        assert_eq!(ipaddr("10.66.0.240 stop").0, 0);
        while peer.receive(Instant::from_millis(0)).expect("the socket").is_some() {}
        until("the announcer has ended", || announcers().is_empty().then_some(()));
        assert_eq!(peer.receive(now()).expect("the socket"), None);
    });
}

#[test]
fn the_announcer_keeps_nothing_of_the_caller() {
    on_a_node(|_| {
        // `output` returns at the end of file of stdout and stderr: before the series ends, so the announcer has neither.
        start("10.66.0.240");
        let announcers = announcers();
        assert_eq!(announcers.len(), 1, "the series goes on");
        let proc = format!("/proc/{}", announcers[0]);
        for n in 0..3 {
            let file = fs::read_link(format!("{proc}/fd/{n}")).expect("open");
            assert_eq!(file.to_str(), Some("/dev/null"), "descriptor {n}");
        }
        assert_eq!(fs::read_link(format!("{proc}/cwd")).expect("cwd").to_str(), Some("/"));
        let stat = fs::read_to_string(format!("{proc}/stat")).expect("stat");
        let after_name = stat.rsplit(") ").next().expect("fields");
        let session: u32 = after_name
            .split(' ')
            .nth(3)
            .expect("session")
            .parse()
            .expect("a number");
        assert_ne!(session, nix::unistd::getsid(None).expect("ours").as_raw() as u32);
    });
}

#[test]
fn start_and_stop_twice_are_no_errors_and_status_says_what_is() {
    on_a_node(|cable| {
        let stopped = (7, "INFO:  Resource is stopped\n".to_owned(), String::new());
        assert_eq!(ipaddr("10.66.0.240 status"), stopped);
        assert_eq!(ipaddr("10.66.0.240 monitor").0, 7);
        assert_eq!(ipaddr("10.66.0.240 stop"), (0, String::new(), String::new()));
        start("10.66.0.240");
        let peer = cable.listen(ETHERTYPE_ARP);
        start("10.66.0.240");
        assert!(
            peer.receive(now() + BOUND).expect("the socket").is_some(),
            "announced again"
        );
        assert_eq!(addresses().matches("10.66.0.240").count(), 1);
        let running = "INFO:  Running OK: 10.66.0.240/24 on eth0 as eth0:0\n";
        assert_eq!(ipaddr("10.66.0.240 status"), (0, running.to_owned(), String::new()));
        assert_eq!(ipaddr("10.66.0.240 monitor").0, 0);
        sh("ip link set eth0 down");
        assert_eq!(ipaddr("10.66.0.240 status").0, 0);
        let down = "IPaddr: 10.66.0.240: is on eth0, which is down\n";
        assert_eq!(ipaddr("10.66.0.240 monitor"), (1, String::new(), down.to_owned()));
        sh("ip link set eth0 up");
        assert_eq!(ipaddr("10.66.0.240 stop").0, 0);
        assert_eq!(ipaddr("10.66.0.240 status"), stopped);
    });
}

#[test]
fn works_without_iproute2() {
    on_a_node(|_| {
        let bare = |words: &[&str]| {
            run(Command::new(env!("CARGO_BIN_EXE_IPaddr"))
                .args(words)
                .env_clear()
                .env("PATH", ""))
        };
        for ip in ["10.66.0.240", "2001:db8::9"] {
            assert_eq!(bare(&[ip, "start"]).0, 0, "{ip}");
            assert!(addresses().contains(ip));
            assert!(bare(&[ip, "status"]).1.contains("Running OK"), "{ip}");
            assert_eq!(bare(&[ip, "stop"]).0, 0, "{ip}");
            assert!(!addresses().contains(ip));
        }
    });
}

#[test]
fn the_ocf_form_takes_its_parameters_from_the_environment() {
    on_a_node(|_| {
        let ocf = |action: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_IPaddr"));
            command.arg0("IPaddr2").arg(action);
            for (name, value) in [
                ("ip", "10.66.0.240"),
                ("cidr_netmask", "20"),
                ("nic", "eth0"),
                ("iflabel", "web"),
            ] {
                command.env(format!("OCF_RESKEY_{name}"), value);
            }
            run(command.env("OCF_RESKEY_broadcast", "10.66.15.250"))
        };
        assert_eq!(ocf("monitor").0, 7);
        assert_eq!(ocf("validate-all").0, 0);
        assert_eq!(ocf("start").0, 0);
        assert!(addresses().contains("inet 10.66.0.240/20 brd 10.66.15.250 scope global eth0:web"));
        assert_eq!(ocf("start").0, 0);
        assert_eq!(ocf("monitor").0, 0);
        assert_eq!(ocf("stop").0, 0);
        assert_eq!(ocf("stop").0, 0);
        assert_eq!(ocf("monitor").0, 7);
        assert_eq!(ocf("promote").0, 3);
        assert!(ocf("meta-data").1.contains("<resource-agent name=\"IPaddr2\""));
    });
}

#[test]
fn an_interface_that_is_down_is_set_up() {
    on_a_node(|_| {
        sh("ip link set eth0 down");
        let (code, _, err) = ipaddr("10.66.0.240/24/eth0 start");
        assert_eq!(
            (code, err.as_str()),
            (0, "IPaddr: 10.66.0.240: eth0 was down; set up\n")
        );
        assert!(links().iter().any(|l| l.name == "eth0" && l.is_up()));
    });
}

#[test]
fn stopping_the_first_of_a_network_leaves_the_others() {
    on_a_node(|_| {
        // The kernel's default; distributions differ.
        fs::write("/proc/sys/net/ipv4/conf/eth0/promote_secondaries", "0").expect("sysctl");
        fs::write("/proc/sys/net/ipv4/conf/all/promote_secondaries", "0").expect("sysctl");
        for ip in ["192.168.7.8", "192.168.7.9", "192.168.7.10"] {
            start(&format!("{ip}/24/eth0"));
        }
        assert_eq!(ipaddr("192.168.7.8/24/eth0 stop").0, 0);
        let all = addresses();
        assert!(!all.contains("192.168.7.8/"), "{all}");
        assert!(
            all.contains("192.168.7.9/24 brd 192.168.7.255 scope global eth0:1"),
            "{all}"
        );
        assert!(
            all.contains("192.168.7.10/24 brd 192.168.7.255 scope global secondary eth0:2"),
            "{all}"
        );
    });
}

#[test]
fn an_address_on_another_interface_is_found_stopped_and_not_set_twice() {
    on_a_node(|_| {
        sh("ip link add eth1 type veth peer name eth2");
        sh("ip link set eth1 up");
        start("10.66.0.240/24/eth1");
        assert_eq!(ipaddr("10.66.0.240/24/eth0 status").0, 0);
        let (code, _, err) = ipaddr("10.66.0.240/24/eth0 start");
        let sentence = "IPaddr: 10.66.0.240: is on eth1 already, not on eth0; stop it or correct the interface\n";
        assert_eq!((code, err.as_str()), (1, sentence));
        assert_eq!(ipaddr("10.66.0.240/24/eth0 stop").0, 0);
        assert!(!addresses().contains("10.66.0.240"));
        // Behind a load balancer the service address is on lo, and stays there.
        sh("ip addr add 10.66.0.240/32 dev lo");
        assert_eq!(ipaddr("10.66.0.240 status").0, 7);
        assert_eq!(ipaddr("10.66.0.240 stop").0, 0);
        assert!(addresses().contains("10.66.0.240/32"));
    });
}

#[test]
fn a_lease_that_is_not_renewed_ends_in_the_kernel() {
    on_a_node(|_| {
        let mut netlink = Netlink::open().expect("netlink");
        for ip in ["10.66.0.240", "2001:db8::9"] {
            let spec = spec(ip);
            let second = Duration::from_secs(1);
            let short = address::add(&mut netlink, &spec, Some(second / 2)).expect_err("too short");
            assert!(short.to_string().contains("a lease of 500 ms is too short"), "{short}");
            assert!(address::add(&mut netlink, &spec, Some(second)).expect("set").fresh);
            // Renewed to last much longer than the test: only the next order ends it.
            assert_eq!(
                address::renew(&mut netlink, &spec, second * 600).expect("renewed"),
                Renewal::Renewed
            );
            let held = address::find(&mut netlink, &spec).expect("asked").expect("there");
            assert!(held.address.valid.is_some_and(|s| s > 500), "{held:?}");
            assert_eq!(
                held.address.label.is_some(),
                held.address.ip.is_ipv4(),
                "renewing keeps the label: {held:?}"
            );
            // A start by hand makes it permanent, a lease can be given back.
            start(ip);
            assert_eq!(
                address::find(&mut netlink, &spec)
                    .expect("asked")
                    .expect("there")
                    .address
                    .valid,
                None
            );
            assert!(!address::add(&mut netlink, &spec, Some(second)).expect("lease").fresh);
            until("the kernel drops it", || {
                address::find(&mut netlink, &spec)
                    .expect("asked")
                    .is_none()
                    .then_some(())
            });
            assert_eq!(
                address::renew(&mut netlink, &spec, second * 600).expect("asked"),
                Renewal::Gone
            );
            assert!(
                !addresses().contains(&format!("{ip}/")),
                "renewing does not bring it back"
            );
        }
    });
}

#[test]
fn send_arp_repeats_and_stops_at_sigterm() {
    on_a_node(|cable| {
        let peer = cable.listen(ETHERTYPE_ARP);
        let pid_file = std::env::temp_dir().join(format!("send_arp-test-{}.pid", process::id()));
        let mut child = Command::new(env!("CARGO_BIN_EXE_send_arp"))
            .args(["-i", "20", "-r", "100000", "-p"])
            .arg(&pid_file)
            .args(["eth0", "10.66.0.77", "020000000077", "10.66.0.255", "ffffffffffff"])
            .spawn()
            .expect("send_arp");
        for operation in [1, 2, 1, 2, 1, 2] {
            let frame = peer.receive(now() + BOUND).expect("the socket").expect("a frame");
            assert_eq!(frame[20..28], [0, operation, 2, 0, 0, 0, 0, 0x77], "{frame:?}");
        }
        let pid: i32 = fs::read_to_string(&pid_file)
            .expect("the pid file")
            .trim()
            .parse()
            .expect("a number");
        assert_eq!(pid, child.id() as i32);
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it runs");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert!(!pid_file.exists());

        let (code, _, err) =
            run(Command::new(env!("CARGO_BIN_EXE_send_arp")).args(["lo", "10.66.0.77", "auto", "x", "y"]));
        assert_eq!(code, 1);
        assert!(err.starts_with("send_arp: lo: not an Ethernet interface"), "{err}");
    });
}
