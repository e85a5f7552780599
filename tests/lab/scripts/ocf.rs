//! OCF agents: Debian's own through a whole cluster, and what becomes of their exit statuses and time limits.

use super::services::own_nginx;
use super::{NODE, Script, bench, put};
use crate::cluster::{Setup, skipped};
use std::net::Ipv4Addr;
use std::path::Path;

fn agents_are_installed() -> bool {
    let found = Path::new("/usr/lib/ocf/resource.d/heartbeat/IPaddr2").exists();
    if !found {
        skipped("tests with OCF agents: Debian's resource-agents is not installed");
    }
    found
}

#[test]
fn agents_of_debian_keep_the_promises_of_a_script() {
    if !agents_are_installed() {
        return;
    }
    let Some(c) = bench("scripts-ocf") else { return };
    let has = |address: &'static str| {
        let c = &c;
        move || c.shell(NODE, "ip -o addr").out.contains(address)
    };
    Script::new(&c, &["OCF", "IPaddr2", "ip=10.77.0.150", "cidr_netmask=24"])
        .walk("Debian's IPaddr2", has("10.77.0.150"));
    Script::new(
        &c,
        &[
            "OCF",
            "heartbeat:IPaddr2",
            "ip=fd77",
            "5",
            "nic=eth0",
            "cidr_netmask=64",
        ],
    )
    .walk("Debian's IPaddr2, an IPv6 address", has("fd77::5"));
    let dummy = Script::new(&c, &["OCF", "heartbeat:Dummy"]);
    dummy.walk("Debian's Dummy", || dummy.runs());
    // Two of one kind do not get in each other's way.
    let state = c.lab.files(NODE).state().display().to_string();
    let [first, second] = ["one", "two"].map(|n| Script::new(&c, &["OCF", "Dummy", &format!("state={state}/{n}")]));
    first.good("start");
    assert!(first.runs() && !second.runs());
    first.good("stop");
    if own_nginx(&c, NODE).is_some() {
        let serves = || {
            c.shell(
                NODE,
                "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 2 127.0.0.1 8082",
            )
            .out
        };
        Script::new(&c, &["OCF", "nginx"]).walk("Debian's nginx", || serves().contains("the page of nginx"));
    }
    // The file of an instance, as heartbeat 3.0.6 has it.
    put(
        &c,
        NODE,
        "ha.d/conf/OCF/IPaddr2/web",
        "# of web\nip=10.77.0.151\nOCF_RESKEY_cidr_netmask=\"24\"\n",
    );
    Script::new(&c, &["OCF", "IPaddr2", "web"]).walk("Debian's IPaddr2, an instance file", has("10.77.0.151"));
}

/// What the agents answer: an agent made for it, since no real one can be made to say all of it.
#[test]
fn exit_statuses_become_words_and_limits_are_those_of_the_meta_data() {
    let Some(c) = bench("scripts-ocf-codes") else { return };
    let root = c.lab.files(NODE).state().join("ocf");
    let agent = r#"#!/bin/sh
if [ "$1" = meta-data ]; then
	echo asked >>"$OCF_ROOT/asked"
	echo '<actions><action name="start" timeout="45s"/><action name="monitor" timeout="30"/></actions>'
	exit 0
fi
echo "limit ${OCF_RESKEY_CRM_meta_timeout:-none} action $1"
echo "it is running, OK" >&2
exit "${OCF_RESKEY_code:-0}"
"#;
    put(&c, NODE, "lib/ocf/resource.d/mine/codes", agent);
    let root = format!("OCF_ROOT={}", root.display());
    let run = |words: &[&str], verb: &str| {
        let script = Script::new(&c, words);
        let mut all = vec!["env", root.as_str()];
        all.extend(script.words.iter().map(String::as_str));
        all.push(verb);
        c.run(NODE, &all)
    };
    #[rustfmt::skip]
    let table = [
        // code   verb      exit  running  words
        ("0",     "status", 0,    true,    "Running OK: mine:codes"),
        ("7",     "status", 7,    false,   "Resource is stopped"),
        ("8",     "status", 0,    true,    "Running OK: mine:codes"),
        ("1",     "status", 1,    false,   "mine:codes monitor: failed (exit status 1)"),
        ("5",     "status", 5,    false,   "something that it needs is not installed (exit status 5)"),
        ("6",     "start",  6,    true,    "mine:codes start: its configuration is wrong (exit status 6)"),
        ("2",     "stop",   2,    true,    "mine:codes stop: a parameter is missing or wrong (exit status 2)"),
        ("0",     "stop",   0,    true,    "action stop"),
    ];
    for (code, verb, exit, sounds, words) in table {
        let said = run(&["OCF", "codes", &format!("code={code}")], verb);
        let text = format!("{}{}", said.out, said.err);
        assert_eq!(said.code, Some(exit), "{code} {verb}: {said:?}");
        assert!(text.contains(words), "{code} {verb}: {said:?}");
        assert_eq!(
            ha::groups::group::says_running(&text),
            sounds,
            "{code} {verb}: {said:?}"
        );
    }
    let limit = |words: &[&str], verb: &str| {
        let said = run(words, verb);
        said.out.split_whitespace().nth(1).unwrap_or("").to_owned()
    };
    assert_eq!(limit(&["OCF", "mine:codes"], "start"), "45000");
    assert_eq!(limit(&["OCF", "codes"], "stop"), "none");
    assert_eq!(limit(&["OCF", "codes", "start-timeout=90s"], "start"), "90000");
    let asked = c
        .shell(NODE, &format!("cat {}/asked", root.trim_start_matches("OCF_ROOT=")))
        .out;
    assert_eq!(asked, "asked\n", "once, not at every call");
    // Another agent in its place is asked again.
    put(&c, NODE, "lib/ocf/resource.d/mine/codes", &agent.replace("45s", "50s"));
    assert_eq!(limit(&["OCF", "codes"], "start"), "50000");
}

/// A start that hangs is ended by what its agent says of itself, not by resource_timeout, and the other node takes over.
#[test]
fn a_start_over_the_limit_of_its_agent_is_ended() {
    if !agents_are_installed() {
        return;
    }
    let setup = Setup {
        more: "resource_timeout 3600\n".into(),
        haresources: "hello OCF::Delay::startdelay=1000::start-timeout=1s\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.make("scripts-ocf-limit") else {
        return;
    };
    c.start(NODE);
    c.wait_log(NODE, "takes longer than its limit of 1s");
    c.wait_log(NODE, "timed out after");
}

#[test]
fn a_group_of_debians_agents_starts_moves_and_stops() {
    const OCF_VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
    if !agents_are_installed() {
        return;
    }
    let setup =
        Setup::haresources("hello OCF::IPaddr2::ip=10.77.0.100::cidr_netmask=24 OCF::nginx OCF::heartbeat:Dummy\n");
    let Some(c) = setup.make("scripts-ocf-moves") else {
        return;
    };
    for node in ["hello", "web"] {
        if own_nginx(&c, node).is_none() {
            return;
        }
    }
    let page = |of: &str| {
        let said = c.shell(
            ha::lab::CLIENT,
            &format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 2 {OCF_VIP} 8082"),
        );
        said.out.contains(&format!("the page of nginx on {of}"))
    };
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    c.wait("hello serves", || page("hello"));
    // A planned move.
    c.run("hello", &["hb_standby"]).good("hb_standby");
    c.wait("web serves", || page("web"));
    let addresses = c.shell("hello", "ip -o -4 addr").out;
    assert!(!addresses.contains("10.77.0.100"), "{addresses}");
    c.run("hello", &["hb_takeover"]).good("hb_takeover");
    c.wait("hello serves again", || page("hello"));
    // The machine dies.
    c.lab.power_off("hello").expect("off");
    c.wait("web has taken over", || page("web"));
    c.stop("web");
    let addresses = c.shell("web", "ip -o -4 addr").out;
    assert!(!addresses.contains("10.77.0.100"), "{addresses}");
    assert!(!page("web"));
    // What came of each, as whoever reads the log sees it; the limits are the agents' own.
    let log = c.log("web");
    for word in ["resource OCF::nginx start: ", "resource OCF::heartbeat:Dummy stop: "] {
        assert!(log.contains(word), "{word}: {log}");
    }
    let limits = c.lab.files("web").run().join("heartbeat/ocf/heartbeat.nginx");
    let limits = std::fs::read_to_string(limits).expect("noted");
    assert!(limits.contains("start=") && limits.contains("stop="), "{limits}");
}
