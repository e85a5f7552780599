//! Fencing with real processes: nothing of a node that died is taken over before its device says that it is off.

use crate::cluster::{Cluster, Setup, VIP, skipped};
use ha::lab::Watcher;
use std::path::PathBuf;

const SECRET: &str = "open-sesame";

/// hello has the address; web has a STONITH device for it. `line` is web's and hello's.
fn with_device(test: &str, line: &str, scripts: &[(&str, String)]) -> Option<Cluster> {
    let setup = Setup {
        more: format!("{line}\n"),
        ..Setup::default()
    };
    let c = setup.make(test)?;
    for node in ["hello", "web"] {
        std::fs::create_dir_all(c.lab.files(node).root.join("stonith")).expect("a directory");
        for (name, text) in scripts {
            let text = text.replace("@STATE@", &c.lab.files(node).state().display().to_string());
            c.lab.script(node, &format!("stonith/{name}"), &text).expect("a script");
        }
    }
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    Some(c)
}

/// A plugin by the contract of cluster-glue. A reset is noted and works when the test says that the power is off.
fn plugin() -> String {
    format!(
        r#"#!/bin/sh
cd @STATE@
case $1 in
getconfignames) echo hostlist passwd ;;
gethosts) for h in $hostlist; do echo $h; done ;;
status) [ "$passwd" = {SECRET} ] ;;
reset)
	echo "reset $2 $# $passwd" >>fence-calls
	echo "logging in with $passwd"
	if [ -e fence-broken ]; then echo 'the device does not answer'; exit 1; fi
	until [ -e fence-off ]; do sleep 0.05; done ;;
*) exit 1 ;;
esac
"#
    )
}

/// An agent by the contract of fence-agents.
fn agent() -> String {
    r#"#!/bin/sh
cd @STATE@
[ $# = 0 ] || exit 2
while read -r line; do
	case $line in
	action=*) action=${line#*=} ;;
	port=*) port=${line#*=} ;;
	password=*) password=${line#*=} ;;
	esac
done
case $action in
monitor) exit 0 ;;
reboot | off)
	echo "$action $port $password" >>fence-calls
	if [ -e fence-broken ]; then echo 'Unable to connect/login to fencing device' >&2; exit 3; fi
	until [ -e fence-off ]; do sleep 0.05; done ;;
*) exit 1 ;;
esac
"#
    .to_owned()
}

fn mark(c: &Cluster, node: &str, name: &str) -> PathBuf {
    c.lab.files(node).state().join(name)
}

fn put(c: &Cluster, node: &str, name: &str) {
    std::fs::write(mark(c, node, name), "").expect("written");
}

fn fencing(c: &Cluster, on: &str, node: &str, field: &str) -> String {
    let status = c.status(on);
    let nodes = status.get("nodes").items();
    let found = nodes.iter().find(|n| n.get("name").text() == node);
    found.map_or_else(String::new, |n| n.get("fencing").get(field).text().to_owned())
}

fn fence_calls(c: &Cluster, node: &str) -> Vec<String> {
    let text = std::fs::read_to_string(mark(c, node, "fence-calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Nobody but hello had the address since the beginning, and web has not asked for it.
fn not_taken_over(c: &Cluster) {
    let addresses = c.run("web", &["ip", "-4", "addr"]).good("ip addr");
    assert!(!addresses.contains("10.77.0.100"), "{addresses}");
    assert!(
        !c.log("web").contains("group 10.77.0.100: acquiring"),
        "{}",
        c.log("web")
    );
}

fn no_secret_is_shown(c: &Cluster) {
    let screen = c.run("web", &["cl_status", "status"]).good("cl_status");
    let json = c.run("web", &["cl_status", "status", "--json"]).good("cl_status");
    for text in [c.log("web"), c.log("hello"), screen, json] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// hello freezes: its address stays. It is taken over when the device has worked, after it has failed.
fn only_after_success(test: &str, line: &str, script: (&str, String), call: &str, why: &str) {
    let Some(c) = with_device(test, line, &[script]) else {
        return;
    };
    c.wait("the device is known", || {
        fencing(&c, "web", "hello", "state") == "ready"
    });
    put(&c, "web", "fence-broken");
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    c.lab.freeze("hello").expect("frozen");
    c.wait("the first try has failed", || {
        fencing(&c, "web", "hello", "state") == "failed"
    });
    c.wait("it is tried again", || fence_calls(&c, "web").len() >= 2);
    let last = fencing(&c, "web", "hello", "last");
    assert!(last.contains(why), "{last}");
    not_taken_over(&c);
    assert_eq!(fence_calls(&c, "web")[0], call);
    no_secret_is_shown(&c);
    let screen = c.run("web", &["cl_status", "status"]).good("cl_status");
    assert!(screen.contains("FENCING of hello failed"), "{screen}");
    // Now it works, but takes its time.
    let before = fence_calls(&c, "web").len();
    std::fs::remove_file(mark(&c, "web", "fence-broken")).expect("removed");
    c.wait("the device is at work", || fence_calls(&c, "web").len() > before);
    not_taken_over(&c);
    c.lab.power_off("hello").expect("off");
    put(&c, "web", "fence-off");
    c.wait_owner(&watcher, "web", since);
    assert!(watcher.doubles(since).is_empty());
    assert_eq!(fencing(&c, "web", "hello", "state"), "done");
    assert_eq!(c.counter("web", "fencings_ok"), 1);
    assert!(c.counter("web", "fencings_failed") >= 2);
    no_secret_is_shown(&c);
}

#[test]
fn a_plugin_of_cluster_glue_is_waited_for() {
    let line = format!("stonith_host * external/tester hello,web {SECRET}");
    let plugin = plugin().replace("for h in $hostlist", "for h in `echo $hostlist | tr , ' '`");
    let call = format!("reset hello 2 {SECRET}");
    only_after_success(
        "fence-external",
        &line,
        ("tester", plugin),
        &call,
        "the device does not answer",
    );
}

#[test]
fn an_agent_of_fence_agents_is_waited_for() {
    let line = format!("stonith_host * fence_tester ip=10.0.0.1 password={SECRET} hosts=hello:3,web:4");
    let call = format!("reboot 3 {SECRET}");
    only_after_success(
        "fence-agent",
        &line,
        ("fence_tester", agent()),
        &call,
        "Unable to connect/login",
    );
}

#[test]
fn the_parameters_may_stand_in_a_file_and_the_next_device_is_tried() {
    let broken =
        "#!/bin/sh\ncase $1 in\ngetconfignames) ;;\ngethosts) echo hello web ;;\nstatus) ;;\n*) exit 1 ;;\nesac\n";
    let setup = Setup::default();
    let Some(c) = setup.make("fence-file") else { return };
    for node in ["hello", "web"] {
        let files = c.lab.files(node);
        std::fs::create_dir_all(files.root.join("stonith")).expect("a directory");
        let text = plugin().replace("@STATE@", &files.state().display().to_string());
        c.lab.script(node, "stonith/tester", &text).expect("a script");
        c.lab.script(node, "stonith/broken", broken).expect("a script");
        let file = files.ha_d().join("tester.cfg");
        std::fs::write(&file, format!("# who and how\npasswd={SECRET}\nhostlist=hello web\n")).expect("written");
        let more = format!(
            "stonith_host * external/broken\nstonith external/tester {}\n",
            file.display()
        );
        c.lab
            .write(node, "ha.d/ha.cf", &(setup.ha_cf() + &more))
            .expect("written");
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    c.lab.power_off("hello").expect("off");
    c.wait("the second device is at work", || !fence_calls(&c, "web").is_empty());
    not_taken_over(&c);
    put(&c, "web", "fence-off");
    c.wait_owner(&watcher, "web", since);
    no_secret_is_shown(&c);
}

#[test]
fn a_core_that_dies_while_fencing_begins_anew() {
    let line = format!("stonith_host * external/tester hello {SECRET}");
    let Some(c) = with_device("fence-core", &line, &[("tester", plugin())]) else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    c.lab.power_off("hello").expect("off");
    c.wait("the device is at work", || fence_calls(&c, "web").len() == 1);
    let old = c.processes("web", "core process");
    c.run("web", &["kill", "-9", &old[0].to_string()]).good("kill -9");
    c.wait("it is ordered again", || fence_calls(&c, "web").len() >= 2);
    not_taken_over(&c);
    put(&c, "web", "fence-off");
    c.wait_owner(&watcher, "web", since);
}

#[test]
fn a_person_confirms_with_meatclient() {
    let Some(c) = with_device("fence-meatware", "stonith_host * meatware hello web", &[]) else {
        return;
    };
    let early = c.run("web", &[&c.program("meatclient"), "-c", "hello", "-w"]);
    assert_eq!(early.code, Some(1), "{early:?}");
    assert!(early.err.contains("does not wait"), "{early:?}");
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    c.lab.power_off("hello").expect("off");
    c.wait_log("web", "OPERATOR INTERVENTION REQUIRED to reset hello.");
    assert_eq!(fencing(&c, "web", "hello", "state"), "needed");
    let screen = c.run("web", &["cl_status", "status"]).good("cl_status");
    assert!(screen.contains("run: meatclient -c hello"), "{screen}");
    not_taken_over(&c);
    let no = c.shell("web", &format!("echo n | {} -c hello", c.program("meatclient")));
    assert_eq!(no.code, Some(1), "{no:?}");
    assert!(no.out.contains("operation canceled"), "{no:?}");
    not_taken_over(&c);
    let yes = c
        .shell("web", &format!("echo y | {} -c hello", c.program("meatclient")))
        .good("meatclient");
    assert!(yes.contains("reset confirmed"), "{yes}");
    c.wait_owner(&watcher, "web", since);
}

#[test]
fn an_orderly_stop_needs_no_fencing() {
    let line = format!("stonith_host * external/tester hello {SECRET}");
    let Some(c) = with_device("fence-stop", &line, &[("tester", plugin())]) else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    c.stop("hello");
    c.wait_owner(&watcher, "web", since);
    c.wait("web knows that hello is gone", || {
        c.node_status("web", "hello") == "dead"
    });
    c.wait("it says so", || fencing(&c, "web", "hello", "state") == "unneeded");
    assert!(fence_calls(&c, "web").is_empty(), "{:?}", fence_calls(&c, "web"));
}

#[test]
fn a_plugin_of_cluster_glue_works_unchanged() {
    let installed = PathBuf::from("/usr/lib/stonith/plugins/external/ssh");
    let Ok(text) = std::fs::read_to_string(&installed) else {
        skipped("a test with external/ssh: it is not installed (Debian package cluster-glue)");
        return;
    };
    // It pings the node after its attempt and says yes when there is no answer.
    let Some(c) = with_device("fence-glue", "stonith_host * external/ssh hello,web", &[("ssh", text)]) else {
        return;
    };
    c.wait("the device is known", || {
        fencing(&c, "web", "hello", "state") == "ready"
    });
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    c.lab.power_off("hello").expect("off");
    // Its ssh has no time limit: while the neighbour is still known, only TCP gives up, after half a minute.
    c.run("web", &["ip", "neigh", "flush", "all"]).good("ip neigh");
    c.wait_owner(&watcher, "web", since);
    assert_eq!(fencing(&c, "web", "hello", "state"), "done");
}

#[test]
fn a_device_that_cannot_be_keeps_heartbeat_from_starting() {
    let setup = Setup {
        more: "stonith_host * external/none x\nstonith_host * apcmaster 10.0.0.1 user secret\n\
               stonith external/none /etc/no-such-file\nstonith_host * fence_none ip=1\nstonith_host * meatware\n"
            .into(),
        ..Setup::default()
    };
    let Some(c) = setup.make("fence-bad") else { return };
    let said = c.run("hello", &[&c.program("heartbeat"), "-t"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    let text = said.out + &said.err;
    for part in [
        "is no type of this version",
        "fence_apc",
        "hosts=NODE",
        "the nodes that it is for are missing",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!text.contains("user secret"), "{text}");
    let good = Setup {
        more: "stonith_host * external/none x\n".into(),
        ..Setup::default()
    };
    c.lab.write("hello", "ha.d/ha.cf", &good.ha_cf()).expect("written");
    let said = c.run("hello", &[&c.program("heartbeat"), "-t"]);
    let text = said.out + &said.err;
    assert!(text.contains("install cluster-glue"), "{text}");
}
