//! S4.1, S4.3: services are looked after, with a real nginx.
//!
//! The interval is 500 ms, what a check may take is plenty: the machine of a test may be busy. Order and ownership are
//! asserted here; how fast it is, `cargo bench --bench repairs` says.

use crate::cluster::{Cluster, Setup, VIP, skipped};
use ha::clients::json::Json;
use ha::lab::{CLIENT, Inside};

const NODES: [&str; 2] = ["hello", "web"];
const NO_BUDGET: &str = "10.77.0.100 repair restarts=0 grace=200ms\n";

fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path
        .split(':')
        .any(|dir| std::path::Path::new(dir).join(program).is_file());
    if !found {
        skipped(&format!("service checks: {program} is not installed"));
    }
    found
}

/// A cluster whose nodes run hb_monitor with these lines; `DIR` in them is the state directory of each node.
fn make(test: &str, setup: Setup, monitors: &str) -> Option<Cluster> {
    let setup = Setup {
        more: setup.more + "respawn root /usr/lib/heartbeat/hb_monitor\n",
        ..setup
    };
    let c = setup.make(test)?;
    for node in NODES {
        let text = monitors.replace("DIR", &c.lab.files(node).state().display().to_string());
        c.lab.write(node, "ha.d/monitors", &text).expect("written");
    }
    Some(c)
}

fn start(c: &Cluster) {
    for node in NODES {
        c.start(node);
    }
    c.all_active(&NODES);
    c.stable(&NODES);
    for node in NODES {
        c.wait_log(node, "hb_monitor: ");
    }
}

/// Puts a resource script for nginx on both nodes: it serves the name of its node, and notes its calls like a recorder.
fn nginx(c: &Cluster) {
    for node in NODES {
        let (state, run) = (c.lab.files(node).state(), c.lab.files(node).run());
        let (state, run) = (state.display(), run.display());
        let conf = format!(
            "user root;\nworker_processes 1;\npid {run}/nginx.pid;\nevents {{ }}\nhttp {{\n  access_log off;\n  \
             client_body_temp_path {run}/body;\n  proxy_temp_path {run}/proxy;\n  fastcgi_temp_path {run}/fastcgi;\n  \
             uwsgi_temp_path {run}/uwsgi;\n  scgi_temp_path {run}/scgi;\n  \
             server {{ listen 80; location / {{ return 200 {node}; }} }}\n}}\n"
        );
        std::fs::write(c.lab.files(node).state().join("nginx.conf"), conf).expect("written");
        let script = format!(
            r#"#!/bin/sh
runs() {{ [ -s {run}/nginx.pid ] && kill -0 "$(cat {run}/nginx.pid)" 2>/dev/null; }}
[ "$1" = status ] || echo "nginx $1" >>{state}/calls
case $1 in
start) runs || exec /usr/sbin/nginx -e {state}/nginx.log -c {state}/nginx.conf ;;
stop)
	if runs; then kill -TERM "$(cat {run}/nginx.pid)"; fi
	while runs; do sleep 0.02; done ;;
status) if runs; then echo running; else echo stopped; exit 3; fi ;;
esac
"#
        );
        c.lab.script(node, "ha.d/resource.d/nginx", &script).expect("a script");
        // The one of the story: how many processes of nginx are there?
        let check = format!(
            "#!/bin/sh\nn=0\nfor p in $(cat {run}/nginx.pid 2>/dev/null); do kill -0 \"$p\" && n=1; done\n\
             if [ $n -eq 0 ]; then echo 'nginx down'; exit 1; fi\n"
        );
        let path = c.lab.files(node).state().join("check_ng.sh");
        std::fs::write(&path, check).expect("written");
        c.shell(node, &format!("chmod 755 {}", path.display())).good("chmod");
    }
}

fn page(c: &Cluster) -> String {
    c.shell(CLIENT, "curl -sf --noproxy '*' -m 2 http://10.77.0.100/").out
}

fn kill_nginx(c: &Cluster, node: &str) {
    // All of it: workers that outlive their master keep the port.
    let pid = c.lab.files(node).run().join("nginx.pid");
    c.shell(node, &format!("kill -9 -\"$(cat {})\"", pid.display()))
        .good("kill");
}

fn break_nginx(c: &Cluster, node: &str, broken: bool) {
    let conf = c.lab.files(node).state().join("nginx.conf");
    let text = std::fs::read_to_string(&conf).expect("nginx.conf");
    let good = text.replace("no such thing;\n", "");
    let text = if broken {
        format!("no such thing;\n{good}")
    } else {
        good
    };
    std::fs::write(conf, text).expect("written");
}

/// The nodes where the first group failed, as `on` knows them.
fn failed(c: &Cluster, on: &str) -> Vec<String> {
    let status = c.status(on);
    let groups = status.get("groups").items();
    let failed = groups.first().map_or(&[][..], |g: &Json| g.get("failed").items());
    failed.iter().map(|f| f.get("node").text().to_owned()).collect()
}

fn monitor(c: &Cluster, node: &str) -> u64 {
    let status = c.status(node);
    let clients = status.get("clients").items();
    let it = clients.iter().find(|p| p.get("command").text().contains("hb_monitor"));
    it.map_or(0, |p| p.get("pid").number())
}

#[test]
fn s4_01_nginx_that_died_is_restarted_in_place_and_one_that_cannot_start_moves_the_address() {
    if !has("nginx") || !has("curl") {
        return;
    }
    let setup = Setup::haresources("hello 10.77.0.100 nginx\n");
    let lines = "10.77.0.100 script every=500ms DIR/check_ng.sh\n\
                 10.77.0.100 http every=500ms timeout=10s expect=200 http://10.77.0.100/\n\
                 10.77.0.100 repair restarts=3 within=600s grace=200ms\n";
    let Some(c) = make("s4-01", setup, lines) else { return };
    nginx(&c);
    start(&c);
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    c.wait("the page is there", || page(&c) == "hello");

    // Stopped by hand, and killed.
    let restarts = |n| c.counter("hello", "restarts") == n;
    c.shell(
        "hello",
        &format!("{}/resource.d/nginx stop", c.lab.files("hello").ha_d().display()),
    )
    .good("stop");
    c.wait("it was restarted", || restarts(1) && page(&c) == "hello");
    kill_nginx(&c, "hello");
    c.wait("it was restarted again", || restarts(2) && page(&c) == "hello");
    c.stable(&NODES);
    let timeline = watcher.timeline();
    assert_eq!(
        timeline.owners(0),
        [["hello"]].concat(),
        "the address stays where it is"
    );
    assert_eq!(c.counter("web", "acquisitions"), 0);
    assert_eq!(failed(&c, "hello"), [""; 0]);
    assert!(
        c.status("hello").get("groups").items()[0]
            .get("last")
            .text()
            .starts_with("restarted in place: ")
    );

    // It cannot start any more.
    break_nginx(&c, "hello", true);
    kill_nginx(&c, "hello");
    c.wait_owner(&watcher, "web", 0);
    c.wait("web serves the page", || page(&c) == "web");
    c.stable(&NODES);
    for on in NODES {
        c.wait("hello is the node where it failed", || failed(&c, on) == ["hello"]);
        let screen = c.run(on, &["cl_status", "status"]).good("cl_status");
        assert!(screen.contains("runs on web, failed on hello"), "{screen}");
    }
    c.wait_log("hello", "Giving up resources due to failure: start of nginx failed");

    // It is not used again: not by hand, and not for the sake of auto_failback, which is on.
    let said = c.run("web", &["hb_standby"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("no other node"), "{said:?}");
    assert_eq!(watcher.timeline().owners(0).len(), 2, "it moved once");

    // It is mended and that is said; nothing moves for it.
    break_nginx(&c, "hello", false);
    let said = c
        .run("hello", &[&c.program("hb_monitor"), "--clear"])
        .good("hb_monitor --clear");
    assert_eq!(said.trim(), "10.77.0.100");
    for on in NODES {
        c.wait("nobody is marked any more", || failed(&c, on).is_empty());
    }
    assert_eq!(c.owners("web", "10.77.0.100"), ["web"]);
    c.run("web", &["hb_standby"]).good("hb_standby");
    c.wait("hello serves again", || page(&c) == "hello");
    let mut calls = c.calls("hello");
    calls.dedup();
    #[rustfmt::skip]
    assert_eq!(calls, [
        "nginx start",
        // By hand, and then by heartbeat; the address is not touched.
        "nginx stop", "nginx start",
        "nginx stop", "nginx start",
        // The start that failed, and what is stopped then.
        "nginx stop", "nginx start", "nginx stop",
        "nginx start",
    ]);
    let said = c.run("hello", &[&c.program("hb_monitor"), "--clear", "10.0.0.9"]);
    assert_eq!(said.code, Some(2), "{said:?}");
}

#[test]
fn s4_01_a_service_that_dies_again_and_again_moves_even_if_hb_monitor_dies_in_between() {
    let setup = Setup::haresources("hello 10.77.0.100 svc\n");
    let lines = "10.77.0.100 status every=500ms svc\n10.77.0.100 repair restarts=1 grace=200ms\n";
    let Some(c) = make("s4-01-budget", setup, lines) else {
        return;
    };
    c.recorder("svc");
    start(&c);
    c.wait("it runs", || c.calls("hello") == ["svc start"]);
    let die = || {
        let mark = c.lab.files("hello").run().join("svc.started");
        std::fs::remove_file(mark).expect("it ran");
    };
    die();
    c.wait("it was restarted in place", || c.counter("hello", "restarts") == 1);
    let old = monitor(&c, "hello");
    c.shell("hello", &format!("kill -9 {old}")).good("kill");
    c.wait("hb_monitor is there again", || {
        ![0, old].contains(&monitor(&c, "hello"))
    });
    die();
    c.wait("web has it", || c.owners("web", "10.77.0.100") == ["web"]);
    assert_eq!(c.calls("hello"), ["svc start", "svc stop", "svc start", "svc stop"]);
    c.wait("hello is the node where it failed", || failed(&c, "web") == ["hello"]);
    c.wait_log("hello", "\"stopped\"; restarted in place once within 600 s");

    // It dies on web too: nobody is left, so it stays there and is restarted no more often than the rule says.
    let mark = c.lab.files("web").run().join("svc.started");
    c.wait("web started it", || mark.exists());
    std::fs::remove_file(&mark).expect("it ran");
    c.wait("it was restarted on web", || {
        c.counter("web", "restarts") == 1 && mark.exists()
    });
    std::fs::remove_file(&mark).expect("it ran");
    c.wait_log("web", "no other node can have it: it stays");
    assert_eq!(c.owners("web", "10.77.0.100"), ["web"]);
    let addresses = c.run("web", &["ip", "-4", "addr"]).good("ip addr");
    assert!(addresses.contains("10.77.0.100"), "{addresses}");
    assert_eq!(c.counter("web", "restarts"), 1);
}

#[test]
fn s4_01_a_check_that_hangs_has_failed_and_holds_up_nothing() {
    let lines = format!("10.77.0.100 script every=500ms timeout=300ms DIR/hangs\n{NO_BUDGET}");
    let Some(c) = make("s4-01-hangs", Setup::failback("off"), &lines) else {
        return;
    };
    for node in NODES {
        let text = "#!/bin/sh\n[ \"$HA_CURHOST\" = web ] && exit 0\ntrap '' TERM\nwhile :; do sleep 1; done\n";
        let path = c.lab.files(node).state().join("hangs");
        std::fs::write(&path, text).expect("written");
        c.shell(node, &format!("chmod 755 {}", path.display())).good("chmod");
    }
    let watcher = c.watch(VIP);
    start(&c);
    c.wait_owner(&watcher, "web", 0);
    c.wait("hello is the node where it failed", || failed(&c, "web") == ["hello"]);
    c.wait_log("hello", "no answer within 300 ms");
    assert_eq!(c.node_status("web", "hello"), "active");
    assert_eq!(c.counter("hello", "stalls"), 0);
}

/// Something that takes connections on the port of MySQL, on a node.
fn mysql(c: &Cluster, node: &str) -> Inside {
    let script = format!(
        "echo $$ >{}; exec {} __serve 3306 {node}",
        mysql_pid(c, node),
        c.program("hb_lab")
    );
    c.spawn(node, &["sh", "-c", &script])
}

fn mysql_pid(c: &Cluster, node: &str) -> String {
    c.lab.files(node).run().join("mysql.pid").display().to_string()
}

fn kill_mysql(c: &Cluster, node: &str) {
    c.shell(node, &format!("kill -9 $(cat {})", mysql_pid(c, node)))
        .good("kill");
}

#[test]
fn s4_03_an_address_whose_mysql_does_not_answer_moves_and_does_not_come_back() {
    let lines = format!("10.77.0.100 tcp every=500ms timeout=10s retries=2 pause=100ms 3306\n{NO_BUDGET}");
    let Some(c) = make("s4-03", Setup::failback("off"), &lines) else {
        return;
    };
    let mut servers: Vec<Inside> = NODES.iter().map(|node| mysql(&c, node)).collect();
    let listens = |node: &str| c.shell(node, "grep -q ':0CEA 00000000:0000 0A' /proc/net/tcp").code == Some(0);
    c.wait("both servers listen", || NODES.iter().all(|n| listens(n)));
    let watcher = c.watch(VIP);
    start(&c);
    c.wait_owner(&watcher, "hello", 0);

    kill_mysql(&c, "hello");
    c.wait_owner(&watcher, "web", 0);
    c.wait_log("hello", "tcp 127.0.0.1:3306: connection refused");
    servers.push(mysql(&c, "hello"));
    c.wait("it listens again", || listens("hello"));
    c.wait("hello is the node where it failed", || {
        failed(&c, "hello") == ["hello"] && failed(&c, "web") == ["hello"]
    });
    c.stable(&NODES);

    // Not back by itself, and not even when the other one fails too: nobody is better then.
    kill_mysql(&c, "web");
    c.wait_log("web", "no other node can have it: it stays");
    assert_eq!(c.owners("web", "10.77.0.100"), ["web"]);
    // Somebody has looked at hello: now it is better.
    c.run("hello", &[&c.program("hb_monitor"), "--clear", "10.77.0.100"])
        .good("hb_monitor --clear");
    c.wait_owner(&watcher, "hello", 0);
    let timeline = watcher.timeline();
    assert_eq!(timeline.doubles(0), []);
    assert_eq!(timeline.owners(0).len(), 3, "{timeline:?}");
}

#[test]
fn the_file_of_checks_is_tested_read_again_and_kept_when_it_is_wrong() {
    let Some(c) = make(
        "monitors-file",
        Setup::haresources("hello 10.77.0.100 svc\n"),
        "# nothing yet\n",
    ) else {
        return;
    };
    c.recorder("svc");
    start(&c);
    c.wait_log("hello", "nothing to check");
    c.lab
        .write(
            "hello",
            "ha.d/monitors",
            "10.77.0.100 status every=500ms svc\nsomething else\n10.0.0.9 status\n",
        )
        .expect("written");
    c.wait_log("hello", "the checks stay as they were");
    let said = c.run("hello", &[&c.program("heartbeat"), "-t"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for line in [
        "monitors:2: \"else\" is no check",
        "monitors:3: \"10.0.0.9\" is not a group of haresources",
    ] {
        assert!(said.err.contains(line), "{line}: {said:?}");
        assert!(c.log("hello").contains(line), "{line}");
    }
    c.lab
        .write(
            "hello",
            "ha.d/monitors",
            "10.77.0.100 status every=500ms svc\n* repair grace=200ms\n",
        )
        .expect("written");
    c.run("hello", &[&c.program("heartbeat"), "-t"]).good("heartbeat -t");
    c.wait_log("hello", "1 check(s) of 1 group(s)");
    std::fs::remove_file(c.lab.files("hello").run().join("svc.started")).expect("it ran");
    c.wait("it was restarted in place", || c.counter("hello", "restarts") == 1);
}
