//! What failures lead to: what each `on-fail` does, and failures that grow too old to count.

use crate::crm::{Crm, TWO, vip};

/// A dummy whose monitor does this when it fails. Each node has a /run of its own.
fn dummy(id: &str, on_fail: &str) -> String {
    format!(
        "<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'><instance_attributes id='{id}-p'>\
         <nvpair id='{id}-s' name='state' value='/run/{id}.state'/></instance_attributes><operations>\
         <op id='{id}-m' name='monitor' interval='1s' timeout='20s' on-fail='{on_fail}'/></operations></primitive>"
    )
}

fn prefers(id: &str, node: &str) -> String {
    format!("<rsc_location id='l-{id}' rsc='{id}' node='{node}' score='50'/>")
}

fn break_it(crm: &Crm, node: &str, id: &str) {
    crm.c.shell(node, &format!("rm /run/{id}.state")).good("it breaks");
}

fn status(crm: &Crm, node: &str) -> String {
    crm.c.run(node, &["crm_mon", "-1rf"]).good("crm_mon")
}

fn fail_count(crm: &Crm, id: &str) -> bool {
    let cib = crm.cib("node2").map(|c| c.root().to_bare()).unwrap_or_default();
    cib.contains(&format!("fail-count-{id}#monitor"))
}

#[test]
fn a_failure_that_has_grown_too_old_counts_no_more_and_the_resource_returns() {
    let Some(crm) = Crm::started("crm-failure-timeout", &TWO) else {
        return;
    };
    let meta = "<meta_attributes id='vip-m'><nvpair id='vip-mt' name='migration-threshold' value='1'/>\
                <nvpair id='vip-ft' name='failure-timeout' value='6s'/></meta_attributes>";
    let vip = vip().replace("<operations>", &format!("{meta}<operations>"));
    crm.create("node1", "resources", &[&vip]);
    crm.create("node1", "constraints", &[&prefers("vip", "node1")]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    crm.c
        .shell("node1", "ip addr del 10.77.0.100/24 dev eth0")
        .good("the address is taken away");
    crm.wait_holders(&["node2"]);
    assert!(fail_count(&crm, "vip"), "{}", status(&crm, "node1"));
    // Nobody does anything: only the time passes.
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    assert!(!fail_count(&crm, "vip"), "{}", status(&crm, "node1"));
    crm.wait_runs("vip", &["node1"]);
}

#[test]
fn each_on_fail_does_what_its_name_says() {
    let Some(crm) = Crm::started("crm-on-fail", &TWO) else {
        return;
    };
    let names = ["ignore", "restart", "block", "stop", "migrate"];
    let all: Vec<String> = names.iter().map(|n| dummy(n, n)).collect();
    crm.create(
        "node1",
        "resources",
        &all.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let places: Vec<String> = names.iter().map(|n| prefers(n, "node1")).collect();
    crm.create(
        "node1",
        "constraints",
        &places.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for name in names {
        crm.wait_runs(name, &["node1"]);
    }
    crm.wait_idle("node1");
    for name in names {
        break_it(&crm, "node1", name);
        crm.c.wait(&format!("{name} has failed"), || fail_count(&crm, name));
    }
    crm.wait_runs("stop", &[]);
    crm.wait_runs("migrate", &["node2"]);
    crm.wait_runs("restart", &["node1"]);
    crm.wait_idle("node1");
    let there = |id: &str| crm.c.shell("node1", &format!("test -e /run/{id}.state")).code == Some(0);
    assert!(there("restart"), "it was started again");
    // Nothing is done about these two.
    assert!(!there("ignore") && !there("block"));
    assert_eq!(crm.runs("node2", "ignore"), ["node1"]);
    assert_eq!(crm.runs("node2", "block"), ["node1"]);
    let shown = status(&crm, "node2");
    assert!(
        shown.contains("FAILED (blocked)") || shown.contains("(unmanaged) FAILED") || shown.contains("blocked"),
        "{shown}"
    );
    assert!(shown.contains("failure ignored"), "{shown}");
    // Cleaned up, all is well again: what failed is looked for, and started where it is missing.
    crm.access("node2").cleanup(None, None).expect("cleaned up");
    crm.c.wait("all runs again", || {
        ["ignore", "block", "stop", "restart", "migrate"]
            .iter()
            .all(|id| there(id))
    });
    crm.wait_idle("node1");
    let shown = status(&crm, "node2");
    assert!(!shown.contains("FAILED") && !shown.contains("fail-count"), "{shown}");
}

#[test]
fn on_fail_standby_empties_the_node_and_a_stop_that_fails_blocks_without_fencing() {
    let Some(crm) = Crm::started("crm-on-fail-standby", &TWO) else {
        return;
    };
    for node in TWO {
        let script = "#!/bin/sh\ncase $1 in\nstart) touch /run/stuck ;;\nstop) [ ! -e /run/stuck ] || exit 1 ;;\n\
                      status) [ -e /run/stuck ] || exit 3 ;;\nesac\n";
        crm.c.lab.script(node, "init.d/stuck", script).expect("a script");
    }
    let standby = dummy("standby", "standby");
    crm.create(
        "node1",
        "resources",
        &[&standby, &vip(), "<primitive id='stuck' class='lsb' type='stuck'/>"],
    );
    let places: Vec<String> = ["standby", "vip", "stuck"]
        .iter()
        .map(|n| prefers(n, "node1"))
        .collect();
    crm.create(
        "node1",
        "constraints",
        &places.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for id in ["standby", "vip", "stuck"] {
        crm.wait_runs(id, &["node1"]);
    }
    crm.wait_idle("node1");
    break_it(&crm, "node1", "standby");
    crm.wait_runs("standby", &["node2"]);
    crm.wait_holders(&["node2"]);
    crm.c
        .wait("the stop has failed", || status(&crm, "node2").contains("stuck_stop_0"));
    crm.wait_idle("node1");
    let shown = status(&crm, "node2");
    assert!(shown.contains("standby (on-fail)"), "{shown}");
    assert!(shown.contains("FAILED"), "{shown}");
    assert_eq!(crm.runs("node2", "stuck"), ["node1"], "it is started nowhere else");
    // The administrator mends it.
    crm.c.shell("node1", "rm -f /run/stuck").good("rm");
    crm.access("node2").cleanup(None, None).expect("cleaned up");
    crm.wait_holders(&["node1"]);
    crm.wait_runs("stuck", &["node1"]);
}
