//! What is acknowledged is not lost, whatever is killed meanwhile.

use crate::crm::{Crm, THREE, dummy, vip};
use ha::cib::{Cib, Edit};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often something is killed; the whole story is 200 kills: `CRM_KILLS=200 cargo test --release --test lab
/// no_acknowledged_change -- --nocapture`.
fn kills() -> u64 {
    std::env::var("CRM_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(6)
}

/// Kills of one cluster; more are dealt out to several, side by side.
const KILLS_OF_ONE: u64 = 100;
/// Names that a writer uses in turn: the CIB does not grow with the time that a test takes.
const NAMES: u64 = 64;
/// What each name was last acknowledged with.
type Acknowledged = BTreeMap<String, u64>;

/// Small and the same in every run: what is killed next, and how long after the last time.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Commits one change after the other on a node until told to end; keeps what was acknowledged.
fn commit(crm: &Crm, node: &str, done: &AtomicBool, acknowledged: &Mutex<Acknowledged>, count: &AtomicU64) {
    let mut access = crm.access(node);
    for n in 1.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("change-{node}-{}", n % NAMES);
        let edit = Edit::Modify {
            section: "crm_config".into(),
            xml: crate::crm::xml(&format!(
                "<cluster_property_set id='changes'><nvpair id='{id}' name='{id}' value='{n}'/></cluster_property_set>"
            )),
            or_create: true,
        };
        match access.apply(&[edit]) {
            Ok(_) => {
                acknowledged.lock().expect("no one panics with it").insert(id, n);
                count.fetch_add(1, Ordering::Relaxed);
            }
            // It is being killed: nobody was told that it was made.
            Err(_) => {
                access.disconnect();
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// What a node has of less than was acknowledged. Only one writer writes a name, and always more than before.
fn missing(cib: &Cib, acknowledged: &Acknowledged) -> Vec<String> {
    let set = cib.section("crm_config").into_iter().flat_map(|s| s.walk());
    let has: BTreeMap<&str, u64> = set
        .filter(|e| e.name == "nvpair" && e.id().starts_with("change-"))
        .map(|e| (e.id(), e.get("value").and_then(|v| v.parse().ok()).unwrap_or(0)))
        .collect();
    let lacks = |(id, n): &(&String, &u64)| has.get(id.as_str()).is_none_or(|has| has < *n);
    let said = |(id, n): (&String, &u64)| format!("{id}={n} (has {:?})", has.get(id.as_str()));
    acknowledged.iter().filter(lacks).map(said).collect()
}

fn killed(test: &str, kill: fn(&Crm, &str)) {
    let all = kills();
    std::thread::scope(|scope| {
        for first in (0..all).step_by(usize::try_from(KILLS_OF_ONE).expect("a small number")) {
            let count = KILLS_OF_ONE.min(all - first);
            scope.spawn(move || killed_in_one(&format!("{test}-{first}"), first, count, kill));
        }
    });
}

fn killed_in_one(test: &str, first: u64, kills: u64, kill: fn(&Crm, &str)) {
    let Some(crm) = Crm::started(test, &THREE) else { return };
    crm.create("node1", "resources", &[&dummy("a")]);
    crm.wait_idle("node1");
    let done = AtomicBool::new(false);
    let acknowledged = Mutex::new(Acknowledged::new());
    let count = AtomicU64::new(0);
    let mut seed = 0x9e37_79b9_7f4a_7c15 ^ first;
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        for node in ["node1", "node2"] {
            let (crm, done, acknowledged, count) = (&crm, &done, &acknowledged, &count);
            scope.spawn(move || commit(crm, node, done, acknowledged, count));
        }
        // The tests' own threads end whatever happens here.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _end = End(&done);
        for n in 0..kills {
            let before = count.load(Ordering::Relaxed);
            crm.c
                .wait("changes are made", || count.load(Ordering::Relaxed) > before + 2);
            std::thread::sleep(Duration::from_millis(random(&mut seed) % 40));
            let dc = THREE
                .iter()
                .find_map(|node| crm.dc(node))
                .unwrap_or_else(|| "node3".into());
            let at = Instant::now();
            kill(&crm, &dc);
            crm.wait_partition(&THREE, true);
            slowest = slowest.max(at.elapsed());
            let all = acknowledged.lock().expect("no one panics with it").clone();
            for node in THREE {
                // A crmd that has just come back may hear of another view before it answers.
                let mut answered = None;
                crm.c.wait("it answers", || {
                    answered = crm.cib(node);
                    answered.is_some()
                });
                let missing = missing(&answered.expect("it was waited for"), &all);
                assert!(missing.is_empty(), "kill {n}: {node} lacks {missing:?}\n{}", crm.logs());
            }
        }
    });
    crm.wait_idle("node1");
    assert_eq!(crm.runs("node1", "a").len(), 1, "{}", crm.logs());
    println!(
        "{test}: {kills} kills in {:.0} s, {} changes acknowledged, none lost; whole again after {:.1} s at most",
        begun.elapsed().as_secs_f64(),
        count.load(Ordering::Relaxed),
        slowest.as_secs_f64()
    );
}

#[test]
fn no_acknowledged_change_is_lost_when_the_crmd_of_the_dc_is_killed() {
    killed("crm-kill-crmd", |crm, dc| {
        let begun = crm.c.log(dc).matches("/crmd\" as hacluster").count();
        let given_up = crm.c.log(dc).matches("too fast: given up").count();
        crm.c.shell(dc, "kill -9 $(pidof crmd)").good("kill");
        crm.c.wait("it is started again, or given up", || {
            let log = crm.c.log(dc);
            if log.matches("too fast: given up").count() > given_up {
                // Eleven times in a row within half a minute: the administrator has to say that it is worth a try.
                crm.c.reload(dc).good("heartbeat -r");
                return true;
            }
            log.matches("/crmd\" as hacluster").count() > begun
        });
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
