//! S0, S1: resources of the crm start, spread, move and come back.

use crate::crm::{Crm, THREE, TWO, dummy, stays, vip};
use std::time::Duration;

#[test]
fn s0_02_nodes_elect_a_dc_and_a_resource_runs_somewhere() {
    let Some(crm) = Crm::started("s0-02", &TWO) else { return };
    for node in TWO {
        let seen = crm.seen(node).expect("it answers");
        // Started together: the higher name gives the orders.
        assert_eq!(seen.dc.as_deref(), Some("node2"));
        assert!(seen.quorum && seen.members == TWO, "{seen:?}");
    }
    crm.create("node1", "resources", &[&dummy("a")]);
    crm.wait_runs("a", &["node1"]);
    crm.wait_idle("node2");
    // Every node has the same: nothing is left out of the status.
    let [one, two] = TWO.map(|n| crm.cib(n).expect("a CIB"));
    assert_eq!(one, two);
    assert_eq!(one.property("cluster-infrastructure"), Some("Heartbeat"));
    assert!(one.property("dc-version").is_some());
    // Stored, without the status, for the next start.
    for node in TWO {
        let file = crm.c.lab.files(node).state().join("crm/cib.xml");
        let text = std::fs::read_to_string(&file).expect("cib.xml");
        assert!(
            text.contains("primitive id=\"a\"") && !text.contains("lrm_rsc_op"),
            "{text}"
        );
    }
}

#[test]
fn s0_06_two_resources_spread_and_a_group_stays_together() {
    let Some(crm) = Crm::started("s0-06", &TWO) else { return };
    crm.create("node1", "resources", &[&vip(), &dummy("webserver")]);
    crm.wait_runs("vip", &["node1"]);
    crm.wait_runs("webserver", &["node2"]);
    crm.wait_holders(&["node1"]);
    // S0.7
    crm.delete("node1", "resources", "<primitive id='webserver'/>");
    crm.delete("node1", "resources", "<primitive id='vip'/>");
    crm.wait_holders(&[]);
    crm.create(
        "node1",
        "resources",
        &[&format!("<group id='web'>{}{}</group>", vip(), dummy("webserver"))],
    );
    crm.wait_runs("vip", &["node1"]);
    crm.wait_runs("webserver", &["node1"]);
    crm.wait_idle("node1");
}

#[test]
fn s0_08_a_node_that_stops_leaves_the_other_without_quorum_and_then_it_is_ignored() {
    let Some(crm) = Crm::started("s0-08", &TWO) else { return };
    crm.create("node1", "resources", &[&vip()]);
    crm.wait_holders(&["node1"]);
    crm.c.stop("node1");
    assert!(!crm.has_vip("node1"), "what stops in order leaves nothing behind");
    crm.wait_partition(&["node2"], false);
    crm.wait_idle("node2");
    stays("nothing runs without quorum", Duration::from_secs(2), || {
        crm.holders().is_empty()
    });
    // S0.9
    crm.property("node2", "no-quorum-policy", "ignore");
    crm.wait_holders(&["node2"]);
    crm.c.start("node1");
    crm.wait_partition(&TWO, true);
    crm.wait_idle("node1");
    assert_eq!(crm.holders(), ["node2"], "a single resource stays where it is");
    assert_eq!(crm.runs("node1", "vip"), ["node2"]);
}

#[test]
fn s1_02_a_service_that_dies_is_counted_and_at_the_threshold_it_moves() {
    let Some(crm) = Crm::started("s1-02", &TWO) else { return };
    crm.modify(
        "node1",
        "rsc_defaults",
        "<meta_attributes id='rsc-options'><nvpair id='rsc-t' name='migration-threshold' value='1'/></meta_attributes>",
    );
    crm.create("node1", "resources", &[&vip()]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    crm.c
        .shell("node1", "ip addr del 10.77.0.100/24 dev eth0")
        .good("the address is taken away");
    crm.wait_holders(&["node2"]);
    crm.wait_runs("vip", &["node2"]);
    crm.wait_idle("node1");
    let cib = crm.cib("node2").expect("a CIB").root().to_bare();
    assert!(
        cib.contains("name=\"fail-count-vip#monitor_2000\" value=\"1\""),
        "{cib}"
    );
    assert!(cib.contains("vip_last_failure_0"), "{cib}");

    // S1.3: cleaned up, it may return, and nothing of the failure is left.
    let text = crm.access("node2").cleanup(Some("vip"), None).expect("cleaned up");
    assert!(text.contains("vip on node1"), "{text}");
    crm.wait_idle("node1");
    let cib = crm.cib("node1").expect("a CIB").root().to_bare();
    assert!(!cib.contains("fail-count") && !cib.contains("last_failure"), "{cib}");
    assert_eq!(crm.holders(), ["node2"]);
}

#[test]
fn a_crash_moves_the_address_and_the_node_that_returns_is_a_member_again() {
    let Some(crm) = Crm::started("crm-crash", &THREE) else {
        return;
    };
    crm.create("node1", "resources", &[&vip()]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    crm.c.lab.power_off("node1").expect("off");
    crm.wait_partition(&["node2", "node3"], true);
    crm.c.wait("another node has the address", || {
        crm.has_vip("node2") || crm.has_vip("node3")
    });
    crm.c.start("node1");
    crm.wait_partition(&THREE, true);
    crm.wait_idle("node1");
    assert_eq!(crm.holders().len(), 1);
}

#[test]
fn a_crmd_that_was_not_there_at_the_start_stops_with_the_parameters_of_that_time() {
    let Some(crm) = Crm::started("crm-orphan", &TWO) else {
        return;
    };
    crm.create("node1", "resources", &[&vip()]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    let kill = "kill -9 $(pidof crmd)";
    crm.c.shell("node1", kill).good(kill);
    crm.c
        .wait("it is back", || crm.c.shell("node1", "pidof crmd").code == Some(0));
    crm.wait_partition(&TWO, true);
    crm.wait_idle("node1");
    assert_eq!(crm.holders(), ["node1"]);
    // Which address it is, nobody has written down any more.
    crm.delete("node2", "resources", "<primitive id='vip'/>");
    crm.wait_holders(&[]);
    crm.wait_idle("node1");
    let cib = crm.cib("node2").expect("a CIB").root().to_bare();
    assert!(!cib.contains("fail-count-vip"), "{cib}");
}

#[test]
fn programs_that_are_killed_come_back_and_nothing_moves() {
    let Some(crm) = Crm::started("crm-killed", &TWO) else {
        return;
    };
    crm.create("node1", "resources", &[&vip()]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    let watcher = crm.c.watch(crate::cluster::VIP);
    crm.c.wait_owner(&watcher, "node1", 0);
    for program in ["crmd", "lrmd"] {
        for node in TWO {
            let kill = format!("kill -9 $(pidof {program})");
            crm.c.shell(node, &kill).good(&kill);
            let back = format!("pidof {program}");
            crm.c.wait("it is back", || crm.c.shell(node, &back).code == Some(0));
            crm.wait_partition(&TWO, true);
            crm.wait_runs_seen("node2", "vip", &["node1"]);
            crm.wait_idle(node);
        }
    }
    // It is still looked after. The first look after a return finds it gone without counting that: so again and again.
    crm.c.wait("the failure was seen and mended", || {
        let cib = crm.cib("node2").map(|c| c.root().to_bare()).unwrap_or_default();
        let counted = cib.contains("fail-count-vip#monitor_2000");
        if !counted {
            crm.c.shell("node1", "ip addr del 10.77.0.100/24 dev eth0");
            std::thread::sleep(Duration::from_millis(500));
        }
        counted && crm.has_vip("node1")
    });
}
