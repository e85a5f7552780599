//! Programs that use the client API on real nodes: named clients, their messages, joins and leaves, and what happens to
//! the others when one misbehaves.

use crate::cluster::{Cluster, Setup};
use ha::lab::Inside;
use std::collections::BTreeMap;

const SHELL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/client.sh");
const NODES: [&str; 2] = ["hello", "web"];

fn with_auth(lines: &str) -> Setup {
    Setup {
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
    let said = c
        .shell("web", &format!("timeout 60 {command}"))
        .good("the shell client");
    assert_eq!(
        said,
        "signed on at web\nnode hello normal active\nnode web normal active\nhello says: hello web\nsigned off\n"
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
