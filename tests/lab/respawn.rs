//! Programs of `respawn` and `failfast` lines: real processes, killed by their numbers.

use crate::cluster::{Cluster, Setup};
use ha::clients::json::Json;

/// A program that notes its start and its TERM, as whom it runs, and stays.
const STAYS: &str = r#"#!/bin/sh
name=$1
trap 'echo "$name ends $HA_CURHOST" >>/var/log/clients; kill $sleep 2>/dev/null; exit 0' TERM
echo "$name begins $(id -un) $$ $(cut -d' ' -f5 /proc/$$/stat) keepalive=$HA_keepalive $2 $(ls /proc/$$/fd | wc -l) $(readlink /proc/$$/fd/1)" >>/var/log/clients
while :; do sleep 1000 & sleep=$!; wait $sleep; done
"#;

/// A node `hello` whose ha.cf has these lines; `P` stands for the directory of the programs of the test.
fn one(test: &str, lines: &str) -> Option<Cluster> {
    let setup = Setup {
        nodes: vec!["hello"],
        more: String::new(),
        ..Setup::default()
    };
    let c = setup.make(test)?;
    programs(&c, "hello");
    add(&c, "hello", lines);
    c.start("hello");
    Some(c)
}

fn programs(c: &Cluster, node: &str) {
    c.lab.script(node, "ha.d/stays", STAYS).expect("a script");
    let exits = "#!/bin/sh\necho \"exits $1\" >>/var/log/clients\nexit $1\n";
    c.lab.script(node, "ha.d/exits", exits).expect("a script");
    c.shell(node, "touch /var/log/clients; chmod 666 /var/log/clients")
        .good("a file");
}

fn directory(c: &Cluster, node: &str) -> String {
    c.lab.files(node).ha_d().display().to_string()
}

fn add(c: &Cluster, node: &str, lines: &str) {
    let file = c.lab.files(node).ha_d().join("ha.cf");
    let text =
        std::fs::read_to_string(&file).expect("ha.cf") + &lines.replace("P/", &format!("{}/", directory(c, node)));
    c.lab.write(node, "ha.d/ha.cf", &text).expect("written");
}

fn noted(c: &Cluster, node: &str) -> Vec<String> {
    let out = c.shell(node, "cat /var/log/clients").out;
    out.lines().map(str::to_owned).collect()
}

fn count(c: &Cluster, start: &str) -> usize {
    noted(c, "hello").iter().filter(|l| l.starts_with(start)).count()
}

/// What `cl_status status --json` says of the n-th program.
fn client(c: &Cluster, n: usize) -> Json {
    c.status("hello")
        .get("clients")
        .items()
        .get(n)
        .cloned()
        .unwrap_or(Json::Null)
}

fn pid(c: &Cluster, n: usize) -> u64 {
    client(c, n).get("pid").number()
}

fn runs(c: &Cluster, n: usize) -> bool {
    client(c, n).get("state").text() == "running" && pid(c, n) > 0
}

#[test]
fn programs_run_as_their_user_and_are_started_again_and_stopped_in_reverse_order() {
    let lines = "respawn root P/stays first 'two words' >>/var/log/out\nrespawn nobody P/stays second x\n";
    let Some(c) = one("respawn-order", lines) else { return };
    c.wait("both run", || {
        count(&c, "first begins") == 1 && count(&c, "second begins") == 1
    });
    let begins = noted(&c, "hello");
    let first = begins.iter().find(|l| l.starts_with("first begins")).expect("it");
    let words: Vec<&str> = first.split(' ').collect();
    assert_eq!(words[2], "root", "{first}");
    assert_eq!(words[3], words[4], "it leads a process group of its own: {first}");
    assert!(first.contains("keepalive=100ms two words"), "{first}");
    assert!(first.ends_with("/var/log/out"), "{first}");
    let second = begins.iter().find(|l| l.starts_with("second begins")).expect("it");
    if c.shell(
        "hello",
        "test \"$(id -u)\" = 0 && test $(wc -l </proc/self/uid_map) = 1 && grep -q 4294967295 /proc/self/uid_map",
    )
    .code
        == Some(0)
    {
        assert!(second.contains("begins nobody"), "{second}");
    }
    assert!(second.ends_with("/dev/null"), "{second}");
    let old = pid(&c, 0);
    let others = c.processes("hello", "core process");
    c.shell("hello", &format!("kill -9 {old}")).good("kill");
    c.wait("the first one runs again", || {
        count(&c, "first begins") == 2 && runs(&c, 0)
    });
    assert_ne!(pid(&c, 0), old);
    assert_eq!(client(&c, 0).get("restarts").number(), 1);
    assert_eq!(client(&c, 1).get("restarts").number(), 0);
    assert_eq!(c.processes("hello", "core process"), others);
    let screen = c.run("hello", &["cl_status", "status"]).good("status");
    assert!(screen.contains("PROGRAMS") && screen.contains("RESTARTS"), "{screen}");
    c.stop("hello");
    let ends: Vec<String> = noted(&c, "hello")
        .into_iter()
        .filter(|l| l.contains(" ends "))
        .collect();
    assert_eq!(ends, ["second ends hello", "first ends hello"]);
    let log = c.log("hello");
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text} in\n{log}"));
    assert!(
        at("All HA resources relinquished.") < at("stopping it [pid"),
        "after the resources"
    );
}

#[test]
fn what_is_wrong_with_a_line_is_told_before_the_start() {
    let Some(c) = (Setup {
        nodes: vec!["hello"],
        ..Setup::default()
    })
    .make("respawn-wrong") else {
        return;
    };
    programs(&c, "hello");
    let lines = "respawn nosuch P/stays x\nrespawn root P/ha.cf\nrespawn root /no/such\nrespawn root /usr/lib64/heartbeat/cl_status\n";
    add(&c, "hello", lines);
    let said = c.run("hello", &[&c.program("heartbeat"), "-t"]);
    assert_ne!(said.code, Some(0));
    let told = |err: &str, text: &str| {
        let with_line = |l: &str| l.contains("ha.cf:1") && l.contains(text);
        assert!(err.lines().any(with_line), "{text}: {err}");
    };
    assert!(
        !said.err.contains("cl_status"),
        "ours is found wherever it is: {}",
        said.err
    );
    for text in ["no user nosuch", "chmod +x", "no such program"] {
        told(&said.err, text);
    }
    assert_eq!(c.run("hello", &[&c.program("heartbeat")]).code, Some(6));
    // What cannot be read at all keeps the rest from being looked at.
    add(&c, "hello", "failfast root stays\n");
    let said = c.run("hello", &[&c.program("heartbeat"), "-t"]);
    told(&said.err, "\"stays\" is not a full path");
}

#[test]
fn a_program_that_wants_it_is_left_alone_and_one_that_dies_at_once_is_given_up() {
    let lines = "respawn root P/exits 100\nrespawn root P/exits 3\n";
    let Some(c) = one("respawn-codes", lines) else { return };
    c.wait("it is given up", || client(&c, 1).get("state").text() == "given up");
    assert_eq!((count(&c, "exits 100"), count(&c, "exits 3")), (1, 11));
    assert_eq!(client(&c, 0).get("state").text(), "done");
    c.wait_log("hello", "respawning too fast");
    // Somebody has mended it, and says so.
    c.reload("hello").good("reload");
    c.wait("it is tried again", || count(&c, "exits 3") > 11);
    assert_eq!(count(&c, "exits 100"), 1, "that one did not ask for it");
    c.stop("hello");
}

#[test]
fn a_new_master_takes_the_programs_over_and_starts_no_second_copy() {
    let lines = "respawn root P/stays first\nrespawn root P/exits 100\n";
    let Some(c) = one("respawn-heir", lines) else { return };
    c.wait("it runs", || {
        runs(&c, 0) && count(&c, "first begins") == 1 && count(&c, "exits 100") == 1
    });
    for round in 0..3 {
        let before = pid(&c, 0);
        let master = c.processes("hello", "master control process");
        c.shell("hello", &format!("kill -9 {}", master[0])).good("kill");
        c.wait("the heir is master", || {
            let now = c.processes("hello", "master control process");
            now.len() == 1 && now != master && c.processes("hello", "heir").len() == 1
        });
        c.wait("it is taken over", || runs(&c, 0));
        assert_eq!(pid(&c, 0), before, "round {round}");
    }
    assert_eq!((count(&c, "first begins"), count(&c, "exits 100")), (1, 1));
    // What another master has started is cared for, too.
    c.shell("hello", &format!("kill -9 {}", pid(&c, 0))).good("kill");
    c.wait("it runs again", || count(&c, "first begins") == 2 && runs(&c, 0));
    c.stop("hello");
    assert_eq!(count(&c, "first ends"), 1);
    assert!(!c.lab.files("hello").run().join("heartbeat.clients").exists());
}

#[test]
fn a_reload_starts_new_lines_stops_old_ones_and_leaves_the_others() {
    let lines = "respawn root P/stays kept\nrespawn root P/stays old\n";
    let Some(c) = one("respawn-reload", lines) else { return };
    c.wait("both run", || {
        count(&c, "kept begins") == 1 && count(&c, "old begins") == 1
    });
    let kept = pid(&c, 0);
    c.change_ha_cf("/stays old", "/stays new");
    c.reload("hello").good("reload");
    c.wait("the new one runs", || count(&c, "new begins") == 1 && runs(&c, 1));
    assert_eq!(
        (count(&c, "old ends"), count(&c, "kept ends"), count(&c, "kept begins")),
        (1, 0, 1)
    );
    assert_eq!(pid(&c, 0), kept);
    let at = |start: &str| noted(&c, "hello").iter().position(|l| l.starts_with(start));
    assert!(at("old ends") < at("new begins"), "one copy of a program at a time");
    let status = c.lab_status();
    assert!(
        status.contains("client respawn root") && status.contains("stays new"),
        "{status}"
    );
    c.stop("hello");
}

#[test]
fn what_a_dead_heartbeat_has_left_running_is_not_doubled() {
    let Some(c) = one("respawn-orphan", "respawn root P/stays first\n") else {
        return;
    };
    c.wait("it runs", || runs(&c, 0) && count(&c, "first begins") == 1);
    let before = pid(&c, 0);
    let ours: Vec<String> = ["heir", "master control process", "core process"]
        .iter()
        .flat_map(|t| c.processes("hello", t))
        .map(|p| p.to_string())
        .collect();
    // All at one moment: none is to make another one.
    let ours = ours.join(" ");
    c.shell("hello", &format!("kill -STOP {ours}; kill -9 {ours}"))
        .good("kill");
    c.start("hello");
    c.wait("it is taken over", || runs(&c, 0));
    assert_eq!((pid(&c, 0), count(&c, "first begins")), (before, 1));
    c.stop("hello");
    assert_eq!(count(&c, "first ends"), 1);
}

#[test]
fn a_failfast_program_that_dies_takes_the_machine_with_it() {
    let Some(c) = Setup::default().make("failfast") else {
        return;
    };
    programs(&c, "hello");
    add(&c, "hello", "failfast root P/stays guard\n");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    c.wait("it runs", || runs(&c, 0));
    // In the pid namespace of a node the reboot is the end of that node, and of nothing else.
    c.shell("hello", &format!("kill -9 {}", pid(&c, 0))).good("kill");
    c.wait("the node is gone, or may not reboot", || {
        c.log("hello").contains("cannot be rebooted") || c.node_status("web", "hello") == "dead"
    });
    c.wait_log("hello", "Rebooting system");
    if !c.log("hello").contains("cannot be rebooted") {
        c.wait("the other node has the groups", || {
            c.owners("web", "10.77.0.100") == ["web"]
        });
    }
}
