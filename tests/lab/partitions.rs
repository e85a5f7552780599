//! Nodes that do not hear each other and then do again: exactly one owner, and only the loser stops anything.

use crate::cluster::{Cluster, Setup, VIP};
use ha::lab::Watcher;

/// Cuts the nodes apart until both have the group and miss the other one, heals, and returns the owner at the end.
fn cut_and_heal(c: &Cluster) -> String {
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    c.lab.cut("hello", "web").expect("cut");
    c.wait("both have it", || watcher.owners() == ["hello", "web"]);
    // The address comes first in the group, its service after it.
    c.wait("web runs the service", || c.calls("web") == ["service start"]);
    // They miss each other a moment apart, and who heals in between has had a partition on one side only.
    c.wait("each takes the other one for dead", || {
        c.node_status("web", "hello") == "dead" && c.node_status("hello", "web") == "dead"
    });
    c.lab.heal().expect("healed");
    let since = Watcher::now();
    c.wait("exactly one node has it", || {
        let timeline = watcher.timeline();
        timeline.last().is_some_and(|s| s.to > since && s.owners.len() == 1)
    });
    let owner = watcher.owner().expect("one");
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    watcher.settle();
    assert_eq!(watcher.owner().as_ref(), Some(&owner));
    // Both, then the one: never nobody, never the other one alone.
    let last: Vec<String> = watcher
        .timeline()
        .owners(since)
        .into_iter()
        .filter(|o| *o != "hello,web")
        .collect();
    assert_eq!(last, std::slice::from_ref(&owner));
    let gaps = watcher.gaps(since, std::time::Duration::from_millis(100));
    assert!(gaps.is_empty(), "{gaps:?}");
    for node in ["hello", "web"] {
        assert_eq!(c.owners(node, "10.77.0.100").join(" "), owner, "as {node} sees it");
        let calls = c.calls(node);
        if node == owner {
            assert_eq!(calls, ["service start"], "the winner {node} was not touched");
        } else {
            assert_eq!(
                calls,
                ["service start", "service stop"],
                "the loser {node} stopped once"
            );
        }
        c.wait_log(node, "returning after partition");
    }
    c.wait_log(&owner, "Both machines own our resources");
    owner
}

fn started(test: &str, auto_failback: &'static str) -> Option<Cluster> {
    let setup = Setup {
        auto_failback,
        ..Setup::haresources("hello 10.77.0.100 service\n")
    };
    let c = setup.make(test)?;
    c.recorder("service");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    Some(c)
}

#[test]
fn s4_02_after_a_partition_the_preferred_node_keeps_the_group() {
    let Some(c) = started("heal-on", "on") else { return };
    assert_eq!(cut_and_heal(&c), "hello");
}

#[test]
fn s4_02_after_a_partition_without_failback_the_older_claim_keeps_the_group() {
    let Some(c) = started("heal-off", "off") else { return };
    // The group is on the node that it does not prefer, for a whole second of the clock that claims are compared by.
    let first = ha::sys::wall().0;
    c.wait("the clock goes on", || ha::sys::wall().0 > first);
    c.run("hello", &["hb_standby"]).good("hb_standby");
    c.run("hello", &["hb_takeover"]).good("hb_takeover");
    c.forget_calls("hello");
    c.forget_calls("web");
    std::fs::write(c.lab.files("hello").state().join("calls"), "service start\n").expect("written");
    assert_eq!(cut_and_heal(&c), "hello");
}

#[test]
fn three_nodes_of_which_two_do_not_hear_each_other_end_with_one_owner() {
    let setup = Setup {
        nodes: vec!["hello", "web", "third"],
        ..Setup::haresources("hello 10.77.0.100 service\n")
    };
    let Some(c) = setup.make("three") else { return };
    c.recorder("service");
    let nodes = ["hello", "web", "third"];
    for node in nodes {
        c.start(node);
    }
    c.all_active(&nodes);
    c.stable(&nodes);
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    c.lab.cut("hello", "web").expect("cut");
    c.wait("web takes hello for dead", || c.node_status("web", "hello") == "dead");
    c.lab.heal().expect("healed");
    c.all_active(&nodes);
    c.stable(&nodes);
    let since = Watcher::now();
    c.wait("one owner", || {
        let timeline = watcher.timeline();
        timeline.last().is_some_and(|s| s.to > since && s.owners.len() == 1)
    });
    let owner = watcher.owner().expect("one");
    for on in nodes {
        c.wait(&format!("{on} knows the owner"), || {
            c.owners(on, "10.77.0.100") == [owner.clone()]
        });
    }
}

#[test]
fn a_lossy_network_moves_nothing() {
    let setup = Setup {
        deadtime: "4",
        ..Setup::haresources("hello 10.77.0.100 service\n")
    };
    let Some(c) = setup.make("lossy") else { return };
    c.recorder("service");
    c.lab.loss("hello", "web", 30).expect("lossy");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.wait("hello runs it", || c.calls("hello") == ["service start"]);
    c.wait("lost packets were asked for", || c.counter("web", "gaps") >= 5);
    c.stable(&["hello", "web"]);
    assert!(c.calls("web").is_empty(), "{:?}", c.calls("web"));
    c.run("hello", &["hb_standby"]).good("hb_standby over a lossy network");
    c.wait("web runs it", || c.calls("web") == ["service start"]);
    assert_eq!(c.calls("hello"), ["service start", "service stop"]);
}
