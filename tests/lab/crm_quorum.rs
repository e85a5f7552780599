//! What a partition without quorum does, by no-quorum-policy. `stop` and `ignore` are in the stories of S0 and S3.

use crate::crm::{Crm, THREE, dummy, stays, vip};
use crate::crm_fencing::{external, fence_calls, is_off};
use std::time::Duration;

#[test]
fn freeze_keeps_and_mends_what_runs_and_starts_nothing() {
    let Some(crm) = Crm::started("crm-freeze", &THREE) else {
        return;
    };
    crm.property("node1", "no-quorum-policy", "freeze");
    crm.create("node1", "resources", &[&vip()]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    for node in ["node2", "node3"] {
        crm.c.lab.power_off(node).expect("off");
    }
    crm.wait_partition(&["node1"], false);
    crm.create("node1", "resources", &[&dummy("late")]);
    crm.wait_idle("node1");
    stays("it keeps what runs", Duration::from_secs(3), || {
        crm.has_vip("node1") && crm.runs("node1", "late").is_empty()
    });
    // What runs is looked after.
    crm.c
        .shell("node1", "ip addr del 10.77.0.100/24 dev eth0")
        .good("the address is taken away");
    crm.c.wait("the failure is counted", || {
        let cib = crm.cib("node1").map(|c| c.root().to_bare()).unwrap_or_default();
        cib.contains("fail-count-vip#monitor_2000")
    });
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    assert!(crm.runs("node1", "late").is_empty());
    // With quorum again all is started.
    crm.c.start("node2");
    crm.wait_partition(&["node1", "node2"], true);
    crm.wait_runs("late", &["node2"]);
    crm.wait_idle("node1");
    assert_eq!(crm.holders(), ["node1"]);
}

#[test]
fn suicide_has_a_partition_fence_itself_when_it_loses_quorum_and_not_before_it_had_any() {
    let Some(crm) = external("crm-suicide") else { return };
    crm.property("node1", "no-quorum-policy", "suicide");
    crm.wait_idle("node1");
    let holder = crm.holders()[0];
    let others: Vec<&str> = THREE.iter().copied().filter(|n| *n != holder).collect();
    for node in &others {
        crm.c.lab.power_off(node).expect("off");
    }
    crm.c.wait("it has switched itself off", || is_off(&crm, holder));
    assert_eq!(
        fence_calls(&crm),
        [format!("reset {holder}")],
        "it may fence nobody else"
    );
    // A node that starts has no quorum yet: it waits for the others.
    crm.c.start(holder);
    crm.wait_partition(&[holder], false);
    crm.wait_idle(holder);
    stays("it waits", Duration::from_secs(3), || {
        !is_off(&crm, holder) && crm.holders().is_empty()
    });
    crm.c.start(others[0]);
    let mut two = [holder, others[0]];
    two.sort_unstable();
    crm.wait_partition(&two, true);
    // The third one was lost, and nobody knows that it is off.
    crm.c.wait("it is fenced", || {
        fence_calls(&crm).contains(&format!("reset {}", others[1]))
    });
    crm.c.wait("one of them has the address", || crm.holders().len() == 1);
    crm.wait_idle(holder);
    assert!(two.iter().all(|n| !is_off(&crm, n)));
}

#[test]
fn suicide_leaves_nobody_where_no_two_nodes_hear_each_other() {
    let Some(crm) = external("crm-suicide-cut") else { return };
    crm.property("node1", "no-quorum-policy", "suicide");
    crm.wait_idle("node1");
    for (a, b) in [("node1", "node2"), ("node1", "node3"), ("node2", "node3")] {
        crm.c.lab.cut(a, b).expect("cut");
    }
    crm.c.wait("all have switched themselves off", || {
        THREE.iter().all(|n| is_off(&crm, n))
    });
    let mut calls = fence_calls(&crm);
    calls.sort();
    assert_eq!(calls, ["reset node1", "reset node2", "reset node3"]);
}
