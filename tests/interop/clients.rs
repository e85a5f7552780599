//! Client programs of the two: one of ours by the FIFOs and the classic's own `api_test` by its socket, and both dopd.

use crate::bed::{Pair, Setup, both_sides};
use std::time::Instant;

const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/ping.sh");
/// Their name is `ping`.
const THEIRS: &str = "/usr/libexec/heartbeat/api_test";

fn online(p: &Pair, on: &str, node: &str) -> bool {
    let said = p.run(on, &["cl_status", "clientstatus", node, "ping", "20000"]);
    said.out.trim() == "online"
}

#[test]
fn a_client_of_each_hears_the_other_come_speak_and_go() {
    let setup = Setup {
        more: "apiauth ping uid=root\n".into(),
        // api_test asks its own daemon for a parameter that the daemon does not have.
        known: &["Mandantory Parameter normalpoll"],
        ..Setup::default()
    };
    both_sides("clients", &setup, |p, rows| {
        p.started();
        let begun = Instant::now();
        let _ours = p.in_background(p.ours, &format!("sh {OURS}"), "ping");
        p.wait("ours is signed on", || p.output(p.ours, "ping").contains("signed on"));
        p.wait("theirs knows of it", || online(p, p.theirs, p.ours));
        // It ends by itself after a while; here it is ended.
        let _theirs = p.in_background(p.theirs, &format!("timeout 20 {THEIRS}"), "ping");
        p.wait("ours knows of theirs", || online(p, p.ours, p.theirs));
        let other = p.theirs;
        for line in ["joined", "asked by", "answered by"] {
            p.wait(&format!("ours: {line}"), || {
                p.output(p.ours, "ping").contains(&format!("{line} {other}\n"))
            });
        }
        for kind in ["ping", "pingreply"] {
            p.wait(&format!("theirs gets a {kind}"), || {
                p.output(p.theirs, "ping")
                    .contains(&format!("of type [{kind}] from [{}]", p.ours))
            });
        }
        p.shell(p.theirs, "kill $(pidof api_test)");
        p.wait("ours hears it go", || {
            p.output(p.ours, "ping").contains(&format!("left {other}\n"))
        });
        p.wait("ours is gone for theirs", || !online(p, p.theirs, p.ours));
        p.wait("theirs is gone for ours", || !online(p, p.ours, p.theirs));
        rows.note("a client of each: come, ask, answer, go", begun.elapsed());
    });
}

/// Notes its calls, and succeeds.
const DRBDADM: &str = "#!/bin/sh\necho \"$*\" >>/var/log/drbdadm\n[ $1 != dstate ] || echo Outdated/DUnknown\nexit $(cat /var/log/code)\n";

fn outdate(p: &Pair, from: &str, to: &str) -> Option<i32> {
    let program = if from == p.ours {
        p.lab.plan.programs.join("drbd-peer-outdater").display().to_string()
    } else {
        "/usr/libexec/heartbeat/drbd-peer-outdater".to_owned()
    };
    p.run(from, &[&program, "-p", to, "-r", "r0", "-t", "20"]).code
}

#[test]
fn dopd_of_each_has_the_others_disk_outdated() {
    let setup = Setup {
        more: "apiauth dopd uid=root\n".into(),
        // Theirs dies when a client of its own node goes, and their heartbeat says so.
        known: &["dopd process", "Respawning client"],
        ..Setup::default()
    };
    both_sides("dopd", &setup, |p, rows| {
        let ours = p.lab.files(p.ours).root.join("drbdadm");
        p.lab.script(p.ours, "drbdadm", DRBDADM).expect("a script");
        p.lab.script(p.theirs, "drbdadm", DRBDADM).expect("a script");
        let lines = [
            (
                p.ours,
                format!("respawn root /usr/lib/heartbeat/dopd --drbdadm {}\n", ours.display()),
            ),
            (p.theirs, "respawn root /usr/libexec/heartbeat/dopd\n".to_owned()),
        ];
        for (node, line) in lines {
            p.change(node, "ha.cf", "node node2\n", &format!("node node2\n{line}"));
        }
        // It calls `drbdadm` by its PATH.
        let theirs = p.lab.files(p.theirs).root.join("drbdadm");
        p.shell(p.theirs, &format!("cp {} /usr/sbin/drbdadm", theirs.display()));
        p.started();
        #[rustfmt::skip]
        let table = [
            // drbdadm outdate  drbd-peer-outdater
            (0,                 4),
            (5,                 3),
            (17,                6),
            (1,                 20),
        ];
        for (from, to) in [(p.ours, p.theirs), (p.theirs, p.ours)] {
            let who = if from == p.ours {
                "ours asks the classic"
            } else {
                "the classic asks ours"
            };
            for (code, wanted) in table {
                p.lab.write(to, "log/code", &code.to_string()).expect("written");
                let begun = Instant::now();
                // The classic's dopd dies whenever a client has left; it is started again a second later.
                p.wait(&format!("{who}, drbdadm says {code}"), || {
                    outdate(p, from, to) == Some(wanted)
                });
                if code == 0 {
                    rows.note(format!("dopd: {who}"), begun.elapsed());
                }
            }
            let calls = p.output(to, "drbdadm");
            assert!(calls.contains("outdate r0\n"), "{calls}");
        }
    });
}
