//! The lab itself: real namespaces, real frames, real processes. Needs root or user namespaces, and `ip`.

use ha::lab::{CLIENT, Config, Inside, Lab, Options, Watcher};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const BOUND: Duration = Duration::from_secs(10);

fn hb_lab() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_hb_lab"))
}

fn options(test: &str) -> Options {
    let mut options = Options::new(&format!("test-{test}-{}", std::process::id()));
    options.program = Some(hb_lab());
    options
}

/// `None`, and a word about it, where the machine does not allow namespaces.
fn up(options: &Options) -> Option<Lab> {
    match Lab::up(options) {
        Ok(lab) => Some(lab),
        Err(e) if e.to_string().contains("namespace") => {
            eprintln!("skipped: {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

fn run(lab: &Lab, node: &str, words: &[&str]) -> String {
    let output = lab.exec(node, words).expect("hb_lab runs");
    assert!(output.status.success(), "{node}: {words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn address(lab: &Lab, verb: &str, node: &str) {
    run(lab, node, &["ip", "addr", verb, "10.77.0.100/24", "dev", "eth0"]);
}

/// Whether a packet of `from` reaches `to`, and the answer comes back.
fn reaches(lab: &Lab, from: &str, to: &str) -> bool {
    let program = hb_lab().display().to_string();
    let to = lab.plan.node(to).expect("a node").links[0].addresses[0].0.to_string();
    lab.exec(from, &[&program, "__ask", &to, "7700"])
        .expect("hb_lab runs")
        .status
        .success()
}

fn serve(lab: &Lab, node: &str) -> Inside {
    let program = hb_lab().display().to_string();
    let child = lab
        .spawn(node, &[&program, "__serve", "7700", node])
        .expect("hb_lab runs");
    lab.wait_for("the service listens", BOUND, || reaches(lab, node, node))
        .expect("it does");
    child
}

#[test]
fn a_node_is_a_machine_of_its_own() {
    let Some(lab) = up(&options("own")) else { return };
    assert_eq!(run(&lab, "node1", &["uname", "-n"]), "node1\n");
    let processes = run(&lab, "node1", &["sh", "-c", "ls /proc | grep -c '^[0-9]'"]);
    assert!(processes.trim().parse::<u32>().expect("a number") < 6, "{processes}");
    let environment = run(&lab, "node2", &["env"]);
    for variable in ["HA_DIR", "HA_VARLIB", "HA_RUN", "HA_LIBDIR", "HA_INITDIR"] {
        assert!(
            environment.contains(&format!("{variable}=/")),
            "{variable}: {environment}"
        );
    }
    run(
        &lab,
        "node1",
        &[
            "sh",
            "-c",
            "echo first >/var/log/ha-log; echo x >/run/x; test -f \"$HA_RUN/x\"",
        ],
    );
    assert!(lab.log("node1").contains("first"));
    assert!(!lab.log("node2").contains("first"));
    let failed = lab
        .exec("node1", &["sh", "-c", "echo said; exit 7"])
        .expect("hb_lab runs");
    assert_eq!((failed.status.code(), &failed.stdout[..]), (Some(7), &b"said\n"[..]));
    assert!(Lab::up(&options("own")).is_err(), "there is one of that name already");
    let directory = lab.plan.directory.clone();
    drop(lab);
    assert!(!directory.exists());
}

#[test]
fn what_is_cut_does_not_pass_and_the_rest_does() {
    let mut options = options("cut");
    options.nodes = ["a", "b", "c"].map(String::from).to_vec();
    let Some(lab) = up(&options) else { return };
    let _services = ["a", "b", "c"].map(|n| serve(&lab, n));
    assert!(reaches(&lab, "a", "b") && reaches(&lab, CLIENT, "a"));
    lab.cut("a", "b").expect("cut");
    assert!(!reaches(&lab, "a", "b") && !reaches(&lab, "b", "a"));
    assert!(reaches(&lab, "a", "c") && reaches(&lab, "c", "b") && reaches(&lab, CLIENT, "b"));
    lab.heal().expect("heal");
    lab.wait_for("a reaches b again", BOUND, || reaches(&lab, "a", "b"))
        .expect("healed");
    lab.cut_node("c").expect("cut");
    assert!(!reaches(&lab, "a", "c") && !reaches(&lab, CLIENT, "c"));
    assert!(reaches(&lab, "b", "a"));
    assert!(lab.cut("a", "nobody").is_err());
    assert!(lab.loss("a", "b", 101).is_err());
}

#[test]
fn the_watcher_sees_owners_gaps_and_double_owners() {
    let Some(lab) = up(&options("watch")) else { return };
    let watcher = lab.watch(VIP).expect("a watcher");
    assert_eq!(watcher.owner(), None);
    address(&lab, "add", "node1");
    assert!(watcher.wait_for_owner("node1", 0, BOUND));

    let moved = Watcher::now();
    address(&lab, "del", "node1");
    assert!(watcher.wait_for_nobody(moved, BOUND));
    address(&lab, "add", "node2");
    assert!(watcher.wait_for_owner("node2", moved, BOUND));
    let gap = watcher.longest_gap(moved).expect("a gap");
    assert_eq!((gap.before.as_str(), gap.after.as_str()), ("node1", "node2"));
    assert!(watcher.doubles(0).is_empty());

    let doubled = Watcher::now();
    address(&lab, "add", "node1");
    assert!(watcher.wait_for(BOUND, |t| t.double_time(doubled) > 10_000));
    assert_eq!(watcher.owners(), ["node1", "node2"]);
    let off = Watcher::now();
    lab.power_off("node1").expect("off");
    assert!(
        watcher.wait_for_owner("node2", off, BOUND),
        "a node without power does not answer"
    );
    assert_eq!(watcher.timeline().owners(0), ["node1", "node2", "node1,node2", "node2"]);
}

#[test]
fn killed_frozen_and_switched_off_nodes() {
    let Some(lab) = up(&options("kill")) else { return };
    let mut sleeper = lab.spawn("node1", &["sleep", "1000"]).expect("hb_lab runs");
    let state = || {
        let script = "for p in /proc/[0-9]*; do grep -qs sleep $p/comm && cut -d' ' -f3 $p/stat; done; true";
        run(&lab, "node1", &["sh", "-c", script]).trim().to_owned()
    };
    lab.wait_for("it sleeps", BOUND, || state() == "S").expect("it does");
    lab.freeze("node1").expect("freeze");
    assert_eq!(state(), "T");
    assert!(lab.ask("status").expect("status").contains("node node1 frozen"));
    lab.thaw("node1").expect("thaw");
    lab.wait_for("it sleeps again", BOUND, || state() == "S")
        .expect("it does");
    address(&lab, "add", "node1");
    lab.kill("node1").expect("kill");
    assert!(!sleeper.wait().expect("it ended").success());
    lab.wait_for("it is gone", BOUND, || state().is_empty()).expect("it is");
    let addresses = || run(&lab, "node1", &["ip", "addr"]);
    assert!(
        addresses().contains("10.77.0.100"),
        "the kernel of a killed node lives on"
    );

    run(
        &lab,
        "node1",
        &["sh", "-c", "echo x >/run/pid; echo x >\"$HA_VARLIB/disk\""],
    );
    lab.power_off("node1").expect("off");
    assert!(!lab.exec("node1", &["true"]).expect("hb_lab runs").status.success());
    lab.power_on("node1").expect("on");
    assert!(!addresses().contains("10.77.0.100"), "a reboot forgets addresses");
    run(
        &lab,
        "node1",
        &["sh", "-c", "test ! -e /run/pid && test -e \"$HA_VARLIB/disk\""],
    );
    let _service = serve(&lab, "node1");
    assert!(reaches(&lab, "node2", "node1"));
}

#[test]
fn the_serial_line_carries_bytes_until_it_is_cut() {
    let mut options = options("serial");
    options.serial = true;
    let Some(lab) = up(&options) else { return };
    let line = |node: &str| lab.files(node).serial().display().to_string();
    let cf = std::fs::read_to_string(lab.files("node1").ha_d().join("ha.cf")).expect("ha.cf");
    assert!(cf.contains(&format!("serial {}", line("node1"))), "{cf}");
    let heard = format!("cat {} >>/var/log/heard", line("node2"));
    let _reader = lab.spawn("node2", &["sh", "-c", &heard]).expect("hb_lab runs");
    let say = |word: &str| run(&lab, "node1", &["sh", "-c", &format!("echo {word} >{}", line("node1"))]);
    lab.cut("node1", "node2").expect("cut");
    say("ethernet-is-cut");
    lab.wait_for("the line carries", BOUND, || {
        lab.log("node2").contains("ethernet-is-cut")
    })
    .expect("it does");
    lab.cut_serial().expect("cut");
    say("lost");
    // The word is with the switch by now, which looks at the line before it answers anybody.
    lab.wait_for("the line is empty", BOUND, || lab.ask("status").is_ok())
        .expect("it is");
    lab.heal().expect("heal");
    say("healed");
    lab.wait_for("the line carries again", BOUND, || lab.log("node2").contains("healed"))
        .expect("it does");
    assert!(!lab.log("node2").contains("lost"));
}

#[test]
fn a_sites_own_files_are_rehearsed() {
    let site = std::env::temp_dir().join(format!("hb-lab-site-{}", std::process::id()));
    std::fs::create_dir_all(site.join("resource.d")).expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(site.join(name), text).expect("a file");
    write(
        "ha.cf",
        "bcast eth0 eth1\nping 192.168.31.251\nnode hello world\nwatchdog /dev/watchdog\n\
         stonith_host * external/ipmi world\nrespawn root /no/such/program\nauto_failback on\nlogfacility none\n",
    );
    write("haresources", "hello 192.168.8.240/19/eth0 httpd\n");
    write("authkeys", "auth 1\n1 crc\n");
    write("resource.d/httpd", "#!/bin/sh\n");
    let mut options = options("site");
    options.config = Config::Site(site.clone());
    let lab = up(&options);
    std::fs::remove_dir_all(&site).expect("removed");
    let Some(lab) = lab else { return };
    // What a rehearsal must not do is left out, and the files are good without.
    assert_eq!(lab.left_out.len(), 3, "{:?}", lab.left_out);
    let heartbeat = env!("CARGO_BIN_EXE_heartbeat");
    let checked = lab.exec("hello", &[heartbeat, "-t"]).expect("hb_lab runs");
    let complaints = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{complaints}");
    for word in ["watchdog", "external/ipmi", "program"] {
        assert!(!complaints.contains(word), "{complaints}");
    }
    let of_node = run(&lab, "hello", &["ip", "-o", "-4", "addr"]);
    assert!(
        of_node.contains("eth1") && of_node.contains("192.168.0.1/19"),
        "{of_node}"
    );
    assert!(run(&lab, CLIENT, &["ip", "-o", "-4", "addr"]).contains("192.168.31.251"));
    let ha_d = lab.files("world").ha_d();
    assert!(ha_d.join("resource.d/httpd").exists());
    let mode = |p: &Path| std::os::unix::fs::PermissionsExt::mode(&p.metadata().expect("there").permissions()) & 0o777;
    assert_eq!(mode(&ha_d.join("authkeys")), 0o600);
}

#[test]
fn a_lab_whose_processes_were_killed_leaves_nothing() {
    let mut options = options("dead");
    let name = options.name.clone();
    let command = |verb: &str| {
        let output = Command::new(hb_lab())
            .args([verb, &name])
            .output()
            .expect("hb_lab runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    options.owned = false;
    if up(&options).is_none() {
        return;
    }
    let lab = Lab::attach(&name).expect("it is there");
    let mut sleeper = lab.spawn("node1", &["sleep", "1000"]).expect("hb_lab runs");
    let socket = std::os::unix::net::UnixStream::connect(lab.plan.directory.join("control")).expect("a socket");
    let switch = ha::sys::namespace::peer_process(std::os::fd::AsFd::as_fd(&socket)).expect("a process");
    drop(socket);
    let sleeps = ["sh", "-c", "grep -qs sleep /proc/[0-9]*/comm"];
    lab.wait_for("it sleeps", BOUND, || {
        lab.exec("node1", &sleeps).is_ok_and(|o| o.status.success())
    })
    .expect("it does");
    ha::sys::namespace::kill_process(switch);
    // Its keepers are killed by the kernel, and with them everything in the nodes.
    assert!(!sleeper.wait().expect("it ended").success());
    lab.wait_for("the socket is dead", BOUND, || Lab::attach(&name).is_err())
        .expect("it is");
    assert!(lab.plan.directory.exists());
    assert!(command("up").0, "the next one removes what is left");
    assert_eq!(command("down"), (true, format!("lab {name}: nothing of it is left\n")));
    assert!(!lab.plan.directory.exists());
    assert_eq!(command("down"), (true, format!("lab {name}: there is none\n")));
}

#[test]
fn an_owned_lab_ends_with_its_owner() {
    let options = options("owner");
    let Some(lab) = up(&options) else { return };
    // A second lab in a copy of the directory, owned by a pipe of which the test holds the other end.
    let directory = lab.plan.directory.with_extension("copy");
    let copied = Command::new("cp")
        .arg("-a")
        .args([&lab.plan.directory, &directory])
        .status();
    assert!(copied.expect("cp runs").success());
    drop(lab);
    std::fs::remove_file(directory.join("control")).expect("removed");
    let mut switch = Command::new(hb_lab())
        .args(["__switch".as_ref(), directory.as_os_str(), "--owned".as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("hb_lab runs");
    drop(switch.stdin.take());
    assert!(switch.wait().expect("it ended").success());
    assert!(!directory.exists());
}

#[test]
fn the_demo_holds() {
    let Some(lab) = up(&options("demo")) else { return };
    drop(lab);
    let output = Command::new(hb_lab()).arg("demo").output().expect("hb_lab runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for step in [
        "power failure",
        "return",
        "hb_standby",
        "orderly stop",
        "never a moment with two owners",
    ] {
        assert!(text.contains(step), "{step}: {text}");
    }
    assert!(!text.contains('\x1b'), "colours only at a terminal");
}
