//! What is acknowledged is not lost, whatever is killed meanwhile.

use crate::crm::{Crm, THREE, dummy, vip};
use ha::cib::Edit;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often something is killed; the whole story is 200 kills: `CRM_KILLS=200 cargo test --test lab crm_kills`.
fn kills() -> u64 {
    std::env::var("CRM_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(6)
}

/// Small and the same in every run: what is killed next, and how long after the last time.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Commits one change after the other on a node until told to end; keeps what was acknowledged.
fn commit(crm: &Crm, node: &str, done: &AtomicBool, acknowledged: &Mutex<BTreeSet<String>>) {
    let mut access = crm.access(node);
    for n in 0.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("change-{node}-{n}");
        let edit = Edit::Modify {
            section: "crm_config".into(),
            xml: crate::crm::xml(&format!(
                "<cluster_property_set id='changes'><nvpair id='{id}' name='{id}' value='{n}'/></cluster_property_set>"
            )),
            or_create: true,
        };
        match access.apply(&[edit]) {
            Ok(_) => drop(acknowledged.lock().expect("no one panics with it").insert(id)),
            // It is being killed: nobody was told that it was made.
            Err(_) => {
                access.disconnect();
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn killed(test: &str, kill: impl Fn(&Crm, &str)) {
    let Some(crm) = Crm::started(test, &THREE) else { return };
    crm.create("node1", "resources", &[&dummy("a")]);
    crm.wait_idle("node1");
    let done = AtomicBool::new(false);
    let acknowledged = Mutex::new(BTreeSet::new());
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    std::thread::scope(|scope| {
        for node in ["node1", "node2"] {
            let (crm, done, acknowledged) = (&crm, &done, &acknowledged);
            scope.spawn(move || commit(crm, node, done, acknowledged));
        }
        // The tests' own threads end whatever happens here.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _end = End(&done);
        for n in 0..kills() {
            let before = acknowledged.lock().expect("no one panics with it").len();
            crm.c.wait("changes are made", || {
                acknowledged.lock().expect("no one panics with it").len() > before + 2
            });
            std::thread::sleep(Duration::from_millis(random(&mut seed) % 40));
            let dc = THREE
                .iter()
                .find_map(|node| crm.dc(node))
                .unwrap_or_else(|| "node3".into());
            kill(&crm, &dc);
            crm.wait_partition(&THREE, true);
            let all = acknowledged.lock().expect("no one panics with it").clone();
            for node in THREE {
                // A crmd that has just come back may hear of another view before it answers.
                let mut answered = None;
                crm.c.wait("it answers", || {
                    answered = crm.cib(node);
                    answered.is_some()
                });
                let cib = answered.expect("it was waited for").root().to_bare();
                let missing: Vec<_> = all.iter().filter(|id| !cib.contains(&format!("id=\"{id}\""))).collect();
                assert!(missing.is_empty(), "kill {n}: {node} lacks {missing:?}\n{}", crm.logs());
            }
        }
    });
    crm.wait_idle("node1");
    assert_eq!(crm.runs("node1", "a").len(), 1, "{}", crm.logs());
}

#[test]
fn no_acknowledged_change_is_lost_when_the_crmd_of_the_dc_is_killed() {
    killed("crm-kill-crmd", |crm, dc| {
        crm.c.shell(dc, "kill -9 $(pidof crmd)").good("kill");
    });
}

#[test]
fn no_acknowledged_change_is_lost_when_the_dc_loses_its_power() {
    killed("crm-kill-dc", |crm, dc| {
        crm.c.lab.power_off(dc).expect("off");
        let left: Vec<&str> = THREE.iter().copied().filter(|n| *n != dc).collect();
        crm.wait_partition(&left, true);
        crm.c.start(dc);
    });
}

/// Heartbeat's own processes may be killed, too: the crm goes on.
#[test]
fn the_core_and_the_master_of_heartbeat_are_killed_and_nothing_moves() {
    let Some(crm) = Crm::started("crm-kill-core", &THREE) else {
        return;
    };
    crm.create("node1", "resources", &[&vip()]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    for title in ["core process", "master control process"] {
        for node in ["node1", "node3"] {
            let before = crm.c.processes(node, title);
            assert_eq!(before.len(), 1, "{title} of {node}");
            crm.c.shell(node, &format!("kill -9 {}", before[0])).good("kill");
            crm.c.wait(&format!("the {title} of {node} is another one"), || {
                let now = crm.c.processes(node, title);
                now.len() == 1 && now != before
            });
            crm.wait_partition(&THREE, true);
            crm.wait_idle("node1");
            assert_eq!(crm.holders(), ["node1"], "{title} of {node}\n{}", crm.logs());
        }
    }
}
