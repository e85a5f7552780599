//! Programs that use the client API on real nodes: named clients, their messages, joins and leaves, and what happens to
//! the others when one misbehaves.

use crate::cluster::{Cluster, Setup};
use ha::lab::Inside;
use std::collections::BTreeMap;

const SHELL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/client.sh");
const NODES: [&str; 2] = ["hello", "web"];

fn with_auth(lines: &str) -> Setup {
    Setup {
        // What is said while one node takes the other for dead is not said again: no busy machine may bring that about.
        deadtime: "15s",
        more: lines.to_owned(),
        ..Setup::haresources("hello 10.77.0.100\n")
    }
}

fn in_background(c: &Cluster, node: &str, command: &str, out: &str) -> Inside {
    let script = format!("exec {command} >/var/log/{out} 2>&1");
    c.lab.spawn(node, &["sh", "-c", &script]).expect("hb_lab runs")
}

fn output(c: &Cluster, node: &str, out: &str) -> String {
    std::fs::read_to_string(c.lab.files(node).log().join(out)).unwrap_or_default()
}

#[test]
fn a_shell_client_lists_nodes_hears_joins_and_talks_to_its_like() {
    let Some(c) = with_auth("apiauth talk uid=root\n").started("api-shell") else {
        return;
    };
    let command = format!("sh {SHELL} talk");
    let _first = in_background(&c, "hello", &command, "talk");
    c.wait("the first client is signed on", || {
        output(&c, "hello", "talk").contains("node web")
    });
    let asked = c.run("web", &["cl_status", "clientstatus", "hello", "talk", "20000"]);
    assert_eq!(asked.good("clientstatus of another node").trim(), "online");
    let second = c.shell("hello", &format!("timeout 20 {command}"));
    assert!(second.code != Some(0), "{second:?}");
    let said = c.shell("web", &format!("timeout 60 {command}"));
    assert_eq!(
        said.code,
        Some(0),
        "{said:?}; the first: {}\n{}\n{}",
        output(&c, "hello", "talk"),
        c.log("hello"),
        c.log("web")
    );
    // The greeting may come before or between the nodes.
    let mut lines: Vec<&str> = said.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "hello says: hello web",
            "node hello normal active",
            "node web normal active",
            "signed off",
            "signed on at web"
        ]
    );
    c.wait("the first has heard, too", || {
        output(&c, "hello", "talk").contains("signed off")
    });
    assert_eq!(
        output(&c, "hello", "talk").replace("left web\n", ""),
        "signed on at hello\nnode hello normal active\nnode web normal active\njoined web\nweb says: hello hello\n\
         signed off\n"
    );
    c.wait("nobody is left", || {
        let asked = c.run("web", &["cl_status", "clientstatus", "hello", "talk", "20000"]);
        asked.out.trim() == "offline"
    });
    let stranger = c.shell("hello", &format!("timeout 20 sh {SHELL} stranger"));
    assert!(stranger.err.contains("signon: no default client auth"), "{stranger:?}");
    c.wait_log(
        "hello",
        "client stranger: its sign-on is refused: no default client auth",
    );
}

/// Memory of the core in KiB that belongs to nobody else: pages of the program are shared with every heartbeat that runs
/// on this machine, and how many do changes with the other tests.
fn memory(c: &Cluster, node: &str) -> u64 {
    let [core] = c.processes(node, "core")[..] else {
        panic!("one core runs on {node}");
    };
    let status = c
        .shell(node, &format!("cat /proc/{core}/smaps_rollup"))
        .good("memory of the core");
    let anonymous = |l: &&str| l.starts_with("Anonymous:");
    let line = status.lines().find(anonymous).expect("a line Anonymous");
    line.split_ascii_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("a number")
}

/// Of each client of this node: its process number, and what it has said.
fn crowd(c: &Cluster, node: &str) -> BTreeMap<usize, String> {
    (0..50).map(|i| (i, output(c, node, &format!("c{i}")))).collect()
}

#[test]
fn a_hundred_clients_of_which_half_die_and_a_quarter_freezes_lose_nothing() {
    const EACH: u64 = 400;
    let Some(c) = with_auth("apiauth default uid=root\n").make("api-crowd") else {
        return;
    };
    // A beat that is late by more than one keepalive is counted: warntime is two of them.
    c.change_ha_cf(
        "keepalive 100ms\ndeadtime 15s\nwarntime 700ms\ninitdead 15s",
        "keepalive 1s\ndeadtime 15s\nwarntime 2s\ninitdead 15s",
    );
    for node in NODES {
        c.start(node);
    }
    c.all_active(&NODES);
    c.stable(&NODES);
    // 50 names, each on both nodes.
    let hb_lab = c.lab.plan.program.display().to_string();
    let start = format!("for i in $(seq 0 49); do {hb_lab} __talk c$i {EACH} /var/log >/var/log/c$i 2>&1 & done; wait");
    let all: Vec<Inside> = NODES
        .iter()
        .map(|n| c.lab.spawn(n, &["sh", "-c", &start]).expect("hb_lab runs"))
        .collect();
    for node in NODES {
        c.wait(&format!("50 clients are signed on at {node}"), || {
            crowd(&c, node).values().all(|said| said.starts_with("on "))
        });
    }
    let before = NODES.map(|node| memory(&c, node));
    // Names below 25 are killed; the next twelve freeze, and one of the thirteenth: 50, 25, and 25 that talk.
    let dead = 25;
    let frozen = |node: &str, i: usize| (25..37).contains(&i) || (i == 37 && node == "web");
    for node in NODES {
        let pid = |said: &String| {
            said.lines()
                .next()
                .map(|l| l["on ".len()..].to_owned())
                .expect("a process number")
        };
        let who = crowd(&c, node);
        let words = |which: &dyn Fn(usize) -> bool| {
            let pids: Vec<String> = who
                .iter()
                .filter(|(i, _)| which(**i))
                .map(|(_, said)| pid(said))
                .collect();
            pids.join(" ")
        };
        c.shell(node, &format!("kill -9 {}", words(&|i| i < dead))).good("kill");
        c.shell(node, &format!("kill -STOP {}", words(&|i| frozen(node, i))))
            .good("freeze");
        c.shell(node, ": >/var/log/go").good("go");
    }
    let lives = |node: &str, i: usize| i >= dead && !frozen(node, i);
    for node in NODES {
        for i in (dead..50).filter(|i| lives(node, *i)) {
            let mut wanted = Vec::new();
            for from in NODES.iter().filter(|from| lives(from, i)) {
                wanted.push(format!("heard {EACH} of {from}, 0 twice, to {EACH}"));
            }
            c.wait(&format!("c{i} of {node} has heard everything"), || {
                let said = output(&c, node, &format!("c{i}"));
                let lines: Vec<&str> = said.lines().collect();
                wanted.iter().all(|w| lines.contains(&w.as_str()))
            });
        }
    }
    let talkers = NODES
        .iter()
        .map(|n| (0..50).filter(|i| lives(n, *i)).count())
        .sum::<usize>();
    assert_eq!(talkers as u64 * EACH, 10_000);
    // Those that froze were not waited for; they are killed now, the living leave.
    for node in NODES {
        let who = crowd(&c, node);
        for (i, said) in &who {
            assert!(!said.contains("error"), "{i}: {said}");
            if frozen(node, *i) {
                let pid = said.lines().next().map_or("", |l| &l["on ".len()..]);
                c.shell(node, &format!("kill -9 {pid}")).good("kill");
            }
        }
        c.shell(node, ": >/var/log/end").good("end");
    }
    for node in NODES {
        for i in 0..50 {
            c.wait(&format!("c{i} of {node} is gone"), || {
                c.run(node, &["cl_status", "clientstatus", node, &format!("c{i}")])
                    .out
                    .trim()
                    == "offline"
            });
            let said = output(&c, node, &format!("c{i}"));
            assert!(
                !said.contains(", 1 twice") && (!lives(node, i) || said.contains("off")),
                "c{i} of {node}: {said}"
            );
        }
        assert_eq!(c.counter(node, "late_heartbeats"), 0, "{}", c.log(node));
    }
    drop(all);
    for (node, before) in NODES.iter().zip(before) {
        let after = memory(&c, node);
        assert!(after <= before + 1024, "{node}: {before} KiB before, {after} KiB after");
        eprintln!("{node}: {before} KiB before, {after} KiB after");
    }
}

/// Signs on as `mover`, asks for standby as ipfail does, and shows what it is told until the resources are gone.
const MOVER: &str = r#"
cd "${HA_VARLIB:-/var/lib/heartbeat}/api"
mkfifo -m 640 mover.req
mkfifo -m 620 mover.rsp
trap 'rm -f mover.req mover.rsp' EXIT
exec 4<>mover.rsp
printf '>>>\nt=hbapi-req\nreqtype=signon\npid=%s\nfrom_id=mover\n<<<\n' $$ >../register
while read -r line <&4 && [ "$line" != "<<<" ]; do echo "$line"; done
exec 3>mover.req
printf '>>>\nt=%s\nrsc_hold=all\ninfo=me\n<<<\n' "$1" >&3
while read -r line <&4; do echo "$line"; [ "$line" != "$2" ] || exit 0; done
"#;

#[test]
fn a_client_of_root_moves_resources_as_ipfail_does_and_says_nothing_else_for_the_daemon() {
    let Some(c) = with_auth("apiauth mover uid=root\n").started("api-mover") else {
        return;
    };
    let mover = |kind: &str, until: &str| c.run("hello", &["timeout", "60", "sh", "-c", MOVER, "sh", kind, until]);
    let said = mover("shutdone", "msgtype=shutdone").good("the refusal is told");
    assert!(
        said.contains("info=EPERM: this type of message is for daemons only"),
        "{said}"
    );
    c.wait_log("hello", "client mover of uid 0: its message \"shutdone\" is refused");
    mover("ask_resources", "rsc_hold=none").good("it hears that nothing is held any more");
    c.wait("the address is on web", || c.owners("web", "10.77.0.100") == ["web"]);
    c.wait_log("hello", "client mover: asks for ask_resources");
}
