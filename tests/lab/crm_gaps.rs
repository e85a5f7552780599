//! How long the address answers nobody when it moves. Figures, not promises: `cargo test --release --test lab crm_gaps --
//! --ignored --nocapture` prints them.

use crate::cluster::{VIP, skipped};
use crate::crm::{Crm, THREE, vip};
use ha::lab::Watcher;

/// The address by our own script: three milliseconds of each way.
fn own_vip() -> String {
    format!(
        "<primitive id='vip' class='heartbeat' type='IPaddr'><instance_attributes id='vip-p'>\
         <nvpair id='vip-1' name='1' value='{VIP}/24/eth0'/></instance_attributes><operations>\
         <op id='vip-monitor' name='monitor' interval='2s' timeout='20s'/></operations></primitive>"
    )
}

fn longest(watcher: &Watcher) -> String {
    let gap = watcher.timeline().longest_gap(0);
    gap.map_or_else(|| "none".into(), |g| format!("{:.1} ms", g.millis()))
}

fn moves(agent: &str, resource: &str, times: usize) {
    let Some(crm) = Crm::started(&format!("crm-gaps-{agent}"), &THREE) else {
        return;
    };
    if crm.c.run("node1", &["sh", "-c", "command -v crm_resource"]).code != Some(0) {
        return skipped("crm_resource is not built");
    }
    crm.create("node1", "resources", &[resource]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    let watcher = crm.c.watch(VIP);
    crm.c.wait_owner(&watcher, "node1", 0);
    for n in 0..times {
        let to = THREE[(n + 1) % 3];
        crm.c
            .run("node2", &["crm_resource", "-M", "-r", "vip", "-N", to])
            .good("crm_resource");
        crm.wait_holders(&[to]);
        crm.c.wait_owner(&watcher, to, 0);
        crm.wait_idle("node1");
        println!("{agent}: move {n} to {to}: longest gap so far {}", longest(&watcher));
    }
}

#[test]
#[ignore = "prints figures"]
fn moves_by_our_own_script() {
    moves("heartbeat", &own_vip(), 9);
}

#[test]
#[ignore = "prints figures"]
fn moves_by_the_agent_of_debian() {
    moves("ocf", &vip(), 9);
}

#[test]
#[ignore = "prints figures"]
fn crashes() {
    let Some(crm) = Crm::started("crm-gaps-crash", &THREE) else {
        return;
    };
    crm.create("node1", "resources", &[&own_vip()]);
    crm.wait_holders(&["node1"]);
    for n in 0..5 {
        crm.wait_idle("node1");
        let holder = crm.holders()[0];
        let watcher = crm.c.watch(VIP);
        crm.c.wait_owner(&watcher, holder, 0);
        crm.c.lab.power_off(holder).expect("off");
        crm.c.wait("another node has the address", || {
            let timeline = watcher.timeline();
            timeline
                .last()
                .is_some_and(|s| s.owners.len() == 1 && s.owners[0] != holder)
        });
        println!("crash {n} of {holder}, deadtime 1 s: gap {}", longest(&watcher));
        crm.c.start(holder);
        crm.wait_partition(&THREE, true);
    }
}
