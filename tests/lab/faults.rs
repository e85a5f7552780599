//! Processes that are killed, scripts that are not theirs to stop, and what the other node sees of it: at most a late
//! beat.

use crate::cluster::{Cluster, Setup, VIP};
use ha::lab::Watcher;

/// Kills one process of heartbeat on hello, waits until another one has its place, and looks that nothing moved.
fn nothing_moves_when_killed(test: &str, title: &str) {
    let setup = Setup::haresources("hello 10.77.0.100 service\nweb 10.77.0.101 other\n");
    let Some(c) = setup.make(test) else { return };
    c.recorder("service");
    c.recorder("other");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.wait("both groups run", || {
        c.calls("hello") == ["service start"] && c.calls("web") == ["other start"]
    });
    c.stable(&["hello", "web"]);
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    for _ in 0..2 {
        let old = c.processes("hello", title);
        assert_eq!(old.len(), 1, "{title}: {old:?}");
        c.run("hello", &["kill", "-9", &old[0].to_string()]).good("kill -9");
        c.wait(&format!("another {title} runs"), || {
            let new = c.processes("hello", title);
            new.len() == 1 && new != old
        });
        c.wait("heartbeat of hello answers again", || {
            c.node_status("hello", "hello") == "active"
        });
    }
    // The same processes as before, no more and no fewer, each once.
    for title in ["master control process", "core process", "heir"] {
        c.wait(&format!("one {title}"), || c.processes("hello", title).len() == 1);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    watcher.settle();
    assert_eq!(watcher.timeline().owners(since), ["hello"]);
    assert!(watcher.doubles(since).is_empty());
    assert_eq!(c.calls("hello"), ["service start"]);
    assert_eq!(c.calls("web"), ["other start"]);
    assert!(!c.log("web").contains("node hello: is dead"), "{}", c.log("web"));
    // It is still the whole program: an orderly stop works.
    c.stop("hello");
    c.wait_owner(&watcher, "web", since);
    assert_eq!(c.calls("hello"), ["service start", "service stop"]);
}

#[test]
fn nothing_moves_when_the_core_is_killed() {
    nothing_moves_when_killed("kill-core", "core process");
}

#[test]
fn nothing_moves_when_the_master_is_killed() {
    nothing_moves_when_killed("kill-master", "master control process");
}

#[test]
fn nothing_moves_when_the_heir_is_killed() {
    nothing_moves_when_killed("kill-heir", "heir");
}

#[test]
fn after_all_processes_are_killed_the_other_node_takes_over_and_a_new_start_goes_home() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 service\n").make("kill-all") else {
        return;
    };
    c.recorder("service");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    c.lab.kill("hello").expect("killed");
    c.wait("web has the service", || c.calls("web") == ["service start"]);
    let status = c.run("hello", &[&c.program("heartbeat"), "-s"]);
    assert_eq!(status.code, Some(1), "it died: {status:?}");
    let watcher = c.watch(VIP);
    let since = Watcher::now();
    c.start("hello");
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    c.wait_owner(&watcher, "hello", since);
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
    assert_eq!(c.calls("web"), ["service start", "service stop"]);
}

#[test]
fn a_machine_that_slept_longer_than_deadtime_gives_way() {
    let setup = Setup {
        auto_failback: "off",
        ..Setup::haresources("hello 10.77.0.100 service\n")
    };
    let Some(c) = setup.make("slept") else { return };
    c.recorder("service");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    c.lab.freeze("hello").expect("frozen");
    c.wait("web took over", || c.calls("web") == ["service start"]);
    c.lab.thaw("hello").expect("thawed");
    c.all_active(&["hello", "web"]);
    one_owner_at_the_end(&c);
    let watcher = c.watch(VIP);
    let owner = c.owners("web", "10.77.0.100").remove(0);
    c.wait_owner(&watcher, &owner, 0);
}

fn one_owner_at_the_end(c: &Cluster) {
    c.stable(&["hello", "web"]);
    c.wait("both agree on one owner", || {
        let seen = c.owners("hello", "10.77.0.100");
        seen.len() == 1 && seen == c.owners("web", "10.77.0.100")
    });
    let owner = c.owners("web", "10.77.0.100").remove(0);
    for node in ["hello", "web"] {
        let calls = c.calls(node);
        let runs = calls.last().is_some_and(|call| call == "service start");
        assert_eq!(runs, node == owner, "{node}: {calls:?}");
    }
}

#[test]
fn a_stop_goes_on_when_the_master_is_killed_and_nothing_is_started_again() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 service\n").make("kill-stopping") else {
        return;
    };
    // A stop that takes until the test lets it go.
    for node in c.lab.plan.cluster() {
        let go = c.lab.files(node).run().join("go");
        let waits = format!(
            "[ $verb = stop ] && {{ echo waiting >>$calls; until [ -e {} ]; do sleep 0.1; done; }}",
            go.display()
        );
        let text = crate::cluster::recorder(&c.lab.files(node).state(), &c.lab.files(node).run(), "service", &waits);
        c.lab.script(node, "ha.d/resource.d/service", &text).expect("a script");
    }
    c.lab.write("web", "run/go", "").expect("written");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    c.wait("hello serves", || c.calls("hello") == ["service start"]);
    let heartbeat = c.program("heartbeat");
    let mut stop = c.spawn("hello", &[&heartbeat, "-k"]);
    c.wait("hello stops its group", || c.calls("hello").len() == 2);
    // Twice: the heir's own heir must know it as well.
    for _ in 0..2 {
        let old = c.processes("hello", "master control process");
        c.run("hello", &["kill", "-9", &old[0].to_string()]).good("kill -9");
        c.wait("the heir is master and has an heir", || {
            let new = c.processes("hello", "master control process");
            new.len() == 1 && new != old && c.processes("hello", "heir").len() == 1
        });
    }
    c.wait_log("hello", "and goes on stopping");
    c.lab.write("hello", "run/go", "").expect("written");
    // The command has waited for the end of the last of them.
    assert!(stop.wait().expect("it ends").success());
    assert_eq!(c.run("hello", &[&heartbeat, "-s"]).code, Some(3));
    for title in ["master control process", "core process", "heir"] {
        assert!(c.processes("hello", title).is_empty(), "{title}");
    }
    c.wait("web serves", || c.calls("web") == ["service start"]);
    let calls = c.calls("hello");
    assert_eq!(calls.iter().filter(|l| *l == "service start").count(), 1, "{calls:?}");
    assert_eq!(calls.last().map(String::as_str), Some("service stop"), "{calls:?}");
    let addresses = c.run("hello", &["ip", "-4", "addr"]).good("ip addr");
    assert!(!addresses.contains("10.77.0.100"), "{addresses}");
}

#[test]
fn a_stop_of_both_nodes_releases_everything_and_ends() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 service\n").make("stop-both") else {
        return;
    };
    c.recorder("service");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let heartbeat = c.program("heartbeat");
    let mut stops = ["hello", "web"].map(|node| c.spawn(node, &[&heartbeat, "-k"]));
    for stop in &mut stops {
        assert!(stop.wait().expect("it ends").success());
    }
    for node in ["hello", "web"] {
        assert_eq!(c.run(node, &[&heartbeat, "-s"]).code, Some(3));
        // The last line is in the log when the stop has ended.
        assert!(c.log(node).contains("Heartbeat shutdown complete."), "{}", c.log(node));
        let calls = c.calls(node);
        assert_ne!(
            calls.last().map(String::as_str),
            Some("service start"),
            "{node}: {calls:?}"
        );
        let addresses = c.run(node, &["ip", "-4", "addr"]).good("ip addr");
        assert!(!addresses.contains("10.77.0.100"), "{node}: {addresses}");
        for title in ["master control process", "core process", "heir"] {
            assert!(c.processes(node, title).is_empty(), "{node}: {title}");
        }
    }
}
