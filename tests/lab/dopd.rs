//! dopd and drbd-peer-outdater on two real nodes; a script stands for `drbdadm`, notes its calls and does as it is told.

use crate::cluster::{Cluster, Setup, skipped};
use ha::dopd::frame;
use ha::lab::Inside;
use ha::msg::Message;
use ha::sys::process;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

const NODES: [&str; 2] = ["hello", "web"];

fn made(test: &str) -> Option<Cluster> {
    let setup = Setup {
        more: "apiauth dopd uid=root,hacluster\n".into(),
        ..Setup::haresources("hello 10.77.0.100\n")
    };
    let c = setup.started(test)?;
    for node in NODES {
        let dir = drbd(&c, node);
        std::fs::create_dir_all(&dir).expect("a directory");
        let text = format!(
            "#!/bin/sh\necho \"$# $*\" >>{dir}/calls\n[ -e {dir}/on.$1 ] && . {dir}/on.$1\nexit 0\n",
            dir = dir.display()
        );
        c.lab.script(node, "drbd/drbdadm", &text).expect("a script");
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o1777)).expect("a directory");
        says(&c, node, "outdate", "exit 0");
        says(&c, node, "dstate", "echo Outdated/DUnknown");
    }
    Some(c)
}

fn drbd(c: &Cluster, node: &str) -> PathBuf {
    c.lab.files(node).root.join("drbd")
}

/// What the node's drbdadm does from now on.
fn says(c: &Cluster, node: &str, verb: &str, script: &str) {
    c.lab.write(node, &format!("drbd/on.{verb}"), script).expect("written");
}

fn calls(c: &Cluster, node: &str) -> Vec<String> {
    let text = std::fs::read_to_string(drbd(c, node).join("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Its lines in the log of heartbeat.
fn log(c: &Cluster, node: &str) -> String {
    let log = c.log(node);
    log.lines()
        .filter(|l| l.contains(": dopd: "))
        .map(|l| format!("{l}\n"))
        .collect()
}

/// Its lines travel through heartbeat, and may come after the answer to whom they are about.
fn logged(c: &Cluster, node: &str, text: &str) {
    c.wait(&format!("dopd of {node} logs: {text}"), || log(c, node).contains(text));
}

/// What it wrote to its standard error: why it ended.
fn said(c: &Cluster, node: &str) -> String {
    std::fs::read_to_string(c.lab.files(node).log().join("dopd")).unwrap_or_default()
}

/// As heartbeat would, `before` the program.
fn dopd_as(c: &Cluster, node: &str, before: &str) -> Inside {
    let drbdadm = drbd(c, node).join("drbdadm");
    let script = format!(
        "echo $$ >/var/log/dopd.pid; exec {before} {} --drbdadm {} >>/var/log/dopd 2>&1",
        c.program("dopd"),
        drbdadm.display()
    );
    let ready = log(c, node).matches(": ready").count();
    let inside = c.lab.spawn(node, &["sh", "-c", &script]).expect("hb_lab runs");
    c.wait(&format!("dopd of {node} is ready"), || {
        assert_eq!(said(c, node), "");
        log(c, node).matches(": ready").count() > ready
    });
    inside
}

fn dopd(c: &Cluster, node: &str) -> Inside {
    dopd_as(c, node, "")
}

fn ask(c: &Cluster, node: &str, words: &str) -> (Option<i32>, String) {
    let said = c.shell(node, &format!("{} {words}", c.program("drbd-peer-outdater")));
    (said.code, format!("{}{}", said.out, said.err))
}

#[track_caller]
fn asked(c: &Cluster, node: &str, words: &str, want: i32) -> String {
    let (code, text) = ask(c, node, words);
    let logs: String = NODES.iter().map(|n| format!("--- {n}\n{}", log(c, n))).collect();
    assert_eq!(code, Some(want), "{words}: {text}\n{logs}");
    text
}

#[test]
fn every_row_of_the_fence_peer_contract() {
    let Some(c) = made("dopd-rows") else { return };
    // Without any dopd.
    asked(&c, "hello", "", 1);
    asked(&c, "hello", "-p web -r -x", 1);
    let text = asked(&c, "hello", "-p web -r r0 -t 1", 5);
    assert!(text.contains("dopd does not listen"), "{text}");
    let _both = [dopd(&c, "hello"), dopd(&c, "web")];
    #[rustfmt::skip]
    let table = [
        // what drbdadm outdate does, and dstate          code
        ("exit 0",          "echo Outdated/DUnknown",     4),
        ("exit 0",          "echo Inconsistent/DUnknown", 3),
        ("exit 5",          "exit 1",                     3),
        ("exit 17",         "exit 1",                     6),
        ("exit 1",          "exit 1",                     20),
        ("exit 10",         "exit 1",                     20),
        ("kill -9 $$",      "exit 1",                     20),
        ("exit 0",          "echo UpToDate/UpToDate",     20),
        ("exec sleep 1000", "exit 1",                     20),
    ];
    for (outdate, dstate, code) in table {
        says(&c, "web", "outdate", outdate);
        says(&c, "web", "dstate", dstate);
        asked(&c, "hello", "-p WEB -r r0 -t 5", code);
    }
    c.wait("the drbdadm that hung is ended", || {
        c.shell("web", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
            .out
            .matches("sleep 1000")
            .count()
            == 0
    });
    logged(&c, "web", "takes longer than there is time for");
    // From DRBD's environment; a note of drbdadm is in the log.
    says(&c, "web", "outdate", "echo 'a word of drbdadm' >&2; exit 5");
    let program = c.program("drbd-peer-outdater");
    let said = c.shell("hello", &format!("DRBD_PEER=web DRBD_RESOURCE=r0 {program} -t 20"));
    assert_eq!(said.code, Some(3), "{said:?}");
    logged(&c, "web", "a word of drbdadm");
    for peer in ["hello", "nobody"] {
        asked(&c, "hello", &format!("-p {peer} -r r0"), 5);
    }
    let calls = calls(&c, "web");
    assert!(
        calls.iter().all(|c| c == "2 outdate r0" || c == "2 dstate r0"),
        "{calls:?}"
    );
    assert!(self::calls(&c, "hello").is_empty());
}

#[test]
fn two_at_once_and_rubbish_on_the_socket() {
    let Some(c) = made("dopd-two") else { return };
    let _both = [dopd(&c, "hello"), dopd(&c, "web")];
    let go = drbd(&c, "web").join("go");
    says(
        &c,
        "web",
        "outdate",
        &format!("until [ -e {} ]; do sleep 0.1; done", go.display()),
    );
    let first = std::thread::scope(|threads| {
        let first = threads.spawn(|| ask(&c, "hello", "-p web -r r0"));
        c.wait("drbdadm runs", || calls(&c, "web") == ["2 outdate r0"]);
        asked(&c, "hello", "-p web -r r0", 21);
        // The other one's client goes away while it waits; nobody else minds.
        let away = c.shell(
            "hello",
            &format!("timeout 1 {} -p web -r r1", c.program("drbd-peer-outdater")),
        );
        assert_eq!(away.code, Some(124), "{away:?}");
        std::fs::write(&go, "").expect("written");
        first.join().expect("it does not panic")
    });
    assert_eq!(first.0, Some(4), "{first:?}");
    asked(&c, "hello", "-p web -r r1", 4);

    let path = c.lab.files("hello").run().join("heartbeat/dopd/outdater");
    let connect = || UnixStream::connect(&path).expect("dopd listens");
    let good = frame::encode(&Message::new("outdater").with("outdater_peer", "web"));
    let rubbish: [&[u8]; 5] = [b"GET / HTTP/1.0\r\n\r\n", &[0xff; 4000], b"\0", &good[..20], b""];
    for bytes in rubbish {
        let mut stream = connect();
        stream.write_all(bytes).expect("a new socket takes it");
    }
    let _idle: Vec<UnixStream> = (0..20).map(|_| connect()).collect();
    for _ in 0..200 {
        drop(connect());
    }
    // What is understood but wrong has an answer.
    let mut stream = connect();
    stream.write_all(&good).expect("a new socket takes it");
    let mut answer = [0; 200];
    let n = stream.read(&mut answer).expect("an answer");
    let text = String::from_utf8_lossy(&answer[..n]);
    assert!(text.contains("t=outdater_rc\ndop_value=20\n"), "{text}");
    asked(&c, "hello", "-p web -r r0", 4);
    assert_eq!(log(&c, "hello").matches(": ready").count(), 1);
    let mode = |path: &std::path::Path| std::fs::symlink_metadata(path).expect("it is there").mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a directory"))), (0o660, 0o750));
}

#[test]
fn a_peer_that_stopped_or_died_is_not_waited_for() {
    let Some(c) = made("dopd-away") else { return };
    let _here = dopd(&c, "hello");
    // Alive, but nobody there to ask.
    let text = asked(&c, "hello", "-p web -r r0 -t 3", 20);
    assert!(!text.contains("no answer"), "dopd itself says so: {text}");
    // It comes while it is waited for.
    let answer = std::thread::scope(|threads| {
        let asking = threads.spawn(|| ask(&c, "hello", "-p web -r r0"));
        c.wait("hello asks", || {
            log(&c, "hello").matches("asking node web").count() == 2
        });
        let there = dopd(&c, "web");
        let answer = asking.join().expect("it does not panic");
        drop(there);
        answer
    });
    assert_eq!(
        answer.0,
        Some(4),
        "{answer:?}\n{}\n{}",
        log(&c, "hello"),
        log(&c, "web")
    );
    c.stop("web");
    asked(&c, "hello", "-p web -r r0 -t 600", 5);
    logged(&c, "hello", "node web has stopped heartbeat");
    c.start("web");
    c.all_active(&NODES);
    let there = dopd(&c, "web");
    asked(&c, "hello", "-p web -r r0", 4);
    // It dies while it is waited for.
    says(&c, "web", "outdate", "exec sleep 1000");
    let answer = std::thread::scope(|threads| {
        let asking = threads.spawn(|| ask(&c, "hello", "-p web -r r0 -t 600"));
        c.wait("drbdadm runs", || calls(&c, "web").len() == 5);
        c.lab.power_off("web").expect("off");
        asking.join().expect("it does not panic")
    });
    drop(there);
    assert_eq!(answer.0, Some(5), "{answer:?}");
    asked(&c, "hello", "-p web -r r0 -t 600", 5);
    logged(&c, "hello", "node web is dead");
}

#[test]
fn it_serves_without_rights_and_a_dopd_that_is_started_again_is_waited_for() {
    if !process::is_root() {
        return skipped("dopd without rights: only root can become hacluster");
    }
    let Some(c) = made("dopd-rights") else { return };
    let user = "setpriv --reuid hacluster --regid haclient --clear-groups";
    if c.shell("hello", &format!("{user} true")).code != Some(0) {
        return skipped("dopd without rights: setpriv is not installed (Debian package util-linux)");
    }
    let there = dopd_as(&c, "web", user);
    let here = dopd_as(&c, "hello", user);
    asked(&c, "hello", "-p web -r r0", 4);
    let stranger = c.shell(
        "hello",
        &format!(
            "setpriv --reuid 65534 --regid 65534 --clear-groups {} -p web -r r0",
            c.program("drbd-peer-outdater")
        ),
    );
    assert_eq!(stranger.code, Some(20), "{stranger:?}");
    // heartbeat would start it again within a second.
    c.shell("hello", "kill -9 $(cat /var/log/dopd.pid)").good("kill");
    drop(here);
    let pid = c.lab.files("hello").run().join("heartbeat.pid");
    assert!(pid.exists());
    let answer = std::thread::scope(|threads| {
        let asking = threads.spawn(|| ask(&c, "hello", "-p web -r r0"));
        let again = dopd_as(&c, "hello", user);
        let answer = asking.join().expect("it does not panic");
        drop(again);
        answer
    });
    assert_eq!(answer.0, Some(4), "{answer:?}");
    drop(there);
}
