//! Changes: made once, everywhere, and never lost when they were answered in a partition with quorum.

use super::bed::{BOUND, Bed, Fate, Random};
use ha::cib::{Edit, Element};

fn settled(seed: u64, nodes: usize) -> Bed {
    let mut bed = Bed::new(seed, nodes);
    bed.run(6000);
    bed.check_settled("start");
    bed
}

fn fate(bed: &Bed, change: u64) -> &Fate {
    &bed.changes[&change].2
}

#[test]
fn a_change_is_on_every_node_when_it_is_answered() {
    let mut bed = settled(1, 3);
    for n in 0..3 {
        let change = bed.create(n);
        while *fate(&bed, change) == Fate::Open {
            bed.run(1);
        }
        assert_eq!(*fate(&bed, change), Fate::Committed { quorum: true });
        assert!((0..3).all(|n| bed.has(n, change)));
    }
    let create = Edit::Create {
        section: "resources".into(),
        xml: Element::parse("<primitive id='r0' colour='red'/>").unwrap(),
    };
    let bad = bed.submit(0, vec![create]);
    bed.run(100);
    assert!(matches!(fate(&bed, bad), Fate::Refused(78, text) if text.contains("colour")));
    bed.check_settled("done");
}

#[test]
fn changes_of_one_node_keep_their_order() {
    let mut bed = settled(2, 3);
    bed.loss = 10;
    let state = |n: u64| Edit::Modify {
        section: "status".into(),
        xml: Element::new("node_state")
            .with("id", "uuid-ha-host1")
            .with("shutdown", n),
        or_create: false,
    };
    let all: Vec<u64> = (1..=200).map(|n| bed.submit(0, vec![state(n)])).collect();
    bed.run(60_000);
    bed.loss = 0;
    bed.run(BOUND);
    assert!(all.iter().all(|c| *fate(&bed, *c) == Fate::Committed { quorum: true }));
    let cib = bed.agree(2).cib();
    let last = cib
        .status()
        .children
        .iter()
        .find(|s| s.id() == "uuid-ha-host1")
        .unwrap();
    assert_eq!(last.get("shutdown"), Some("200"));
}

/// Megabytes in one change, and as the copy for a node that comes back; nothing in large messages.
#[test]
fn what_is_long_comes_in_parts() {
    let mut bed = settled(3, 3);
    bed.power_off(0);
    bed.run(BOUND);
    let edits = (0..8000).map(|n| Edit::Create {
        section: "resources".into(),
        xml: Element::new("primitive")
            .with("id", format!("big-{n}"))
            .with("class", "ocf")
            .with("provider", "heartbeat")
            .with("type", "Dummy")
            .with("description", "ä".repeat(60)),
    });
    let change = bed.submit(1, edits.collect());
    bed.run(10_000);
    assert_eq!(*fate(&bed, change), Fate::Committed { quorum: true });
    bed.start(0, 0);
    bed.run(BOUND + 10_000);
    bed.check_settled("all");
    let cib = bed.agree(0).cib();
    assert_eq!(cib.section("resources").unwrap().children.len(), 8000);
    assert!(cib.root().to_bare().len() > 1_500_000);
}

/// Both sides of a split change; the table of what real Pacemaker did, but for its last line.
#[test]
fn s3_04_what_was_committed_with_quorum_survives_a_split() {
    #[rustfmt::skip]
    let table: &[(usize, usize, bool, bool)] = &[
        // minority, majority: changes; whose are there after healing
        (1, 2, false, true),
        (3, 1, false, true),
        (2, 0, true,  true),
        (0, 2, true,  true),
    ];
    for (minority, majority, keeps_minority, keeps_majority) in table {
        let what = format!("{minority} changes against {majority}");
        let mut bed = settled(4, 3);
        let common = bed.create(0);
        bed.run(100);
        bed.cut_both(0, 1);
        bed.cut_both(0, 2);
        bed.run(BOUND);
        let few: Vec<u64> = (0..*minority).map(|_| bed.create(0)).collect();
        let many: Vec<u64> = (0..*majority).map(|_| bed.create(1)).collect();
        bed.run(1000);
        assert!(
            few.iter().all(|c| *fate(&bed, *c) == Fate::Committed { quorum: false }),
            "{what}: warned"
        );
        assert!(
            many.iter().all(|c| *fate(&bed, *c) == Fate::Committed { quorum: true }),
            "{what}"
        );
        let versions: Vec<_> = (0..3).map(|n| bed.agree(n).cib().version()).collect();
        bed.heal();
        bed.run(BOUND);
        bed.check_settled(&what);
        for n in 0..3 {
            assert!(bed.has(n, common), "{what}");
            assert!(few.iter().all(|c| bed.has(n, *c) == *keeps_minority), "{what}");
            assert!(many.iter().all(|c| bed.has(n, *c) == *keeps_majority), "{what}");
            assert!(
                bed.agree(n).cib().version() >= *versions.iter().max().unwrap(),
                "{what}: versions never fall"
            );
        }
        if *minority > 0 && *majority > 0 {
            assert_eq!(bed.machines[0].kept.len(), 1, "{what}: {:?}", bed.machines[0].kept);
            let name = bed.machines[0].kept[0].clone();
            for machine in &bed.machines {
                let named = machine.log.iter().any(|l| l.contains(&name) && l.contains("ha-host1"));
                assert!(named, "{what}: {}: {:?}", machine.name, machine.log);
            }
        }
    }
}

#[test]
fn a_node_that_returns_gets_the_clusters_cib_and_keeps_its_own() {
    let mut bed = settled(6, 3);
    let first = bed.create(0);
    bed.run(500);
    bed.power_off(2);
    bed.run(BOUND);
    let second = bed.create(0);
    bed.run(500);
    bed.start(2, 0);
    bed.run(BOUND);
    bed.check_settled("back");
    assert!(bed.has(2, first) && bed.has(2, second));
    assert_eq!(bed.machines[2].kept.len(), 1);
    assert!(bed.machines[0].log.iter().any(|l| l.contains(&bed.machines[2].kept[0])));
}

/// Everything goes down and comes back: what was answered is on the disks.
#[test]
fn all_at_once_without_power() {
    for seed in 0..50 {
        let mut bed = settled(seed, 3);
        for _ in 0..10 {
            let n = bed.random.below(3) as usize;
            bed.create(n);
        }
        let when = bed.random.below(60);
        bed.run(when);
        for n in 0..3 {
            bed.power_off(n);
        }
        for n in 0..3 {
            let delay = 1000 + bed.random.below(2000);
            bed.start(n, delay);
        }
        bed.run(3000 + BOUND + 2000);
        let what = format!("seed {seed}");
        bed.check_settled(&what);
        bed.check_changes(0, &what);
    }
}

/// The DC's crmd, or its whole machine, is killed in the middle of commits.
#[test]
fn the_dc_is_killed_in_the_middle_of_commits() {
    let mut under_way = 0;
    let seeds = super::seeds(1000);
    let count = seeds.clone().count();
    for seed in seeds {
        let mut random = Random::new(seed);
        let nodes = 3 + random.below(3) as usize;
        let mut bed = settled(seed, nodes);
        for _ in 0..random.below(20) + 1 {
            let n = random.below(nodes as u64) as usize;
            bed.create(n);
            bed.run(random.below(5));
        }
        bed.run(random.below(15));
        let dc = (0..nodes).find(|n| bed.agree(*n).is_dc()).expect("somebody is");
        under_way += usize::from(bed.changes.values().any(|(_, _, fate)| *fate == Fate::Open));
        if random.chance(50) {
            bed.kill(dc);
        } else {
            bed.power_off(dc);
        }
        let back = random.below(3000);
        if random.chance(70) {
            bed.start(dc, back);
        }
        for _ in 0..random.below(10) {
            let n = random.below(nodes as u64) as usize;
            bed.create(n);
            bed.run(random.below(20));
        }
        bed.run(back + BOUND + 1000);
        let what = format!("seed {seed}");
        bed.check_settled(&what);
        for (id, (node, life, fate)) in &bed.changes {
            // Everybody whose crmd was not killed got an answer.
            if bed.machines[*node].life == *life {
                assert_eq!(*fate, Fate::Committed { quorum: true }, "{what}: change {id} of {node}");
            }
        }
        for (n, _) in bed.running() {
            bed.check_changes(n, &what);
        }
    }
    println!("{count} kills of the DC, {under_way} of them with changes under way");
    assert!(under_way * 3 > count, "{under_way} of {count}");
}

fn attribute(n: usize) -> Edit {
    let id = format!("uuid-ha-host{}", n + 1);
    let pair = Element::new("nvpair")
        .with("id", format!("status-{id}-pingd"))
        .with("name", "pingd")
        .with("value", 100);
    let set = Element::new("instance_attributes")
        .with("id", format!("status-{id}"))
        .holding(pair);
    let attributes = Element::new("transient_attributes").with("id", &id).holding(set);
    Edit::Modify {
        section: "status".into(),
        xml: Element::new("node_state").with("id", id).holding(attributes),
        or_create: false,
    }
}

fn has_attribute(bed: &Bed, at: usize, of: usize) -> bool {
    let id = format!("uuid-ha-host{}", of + 1);
    let state = bed.agree(at).cib().status().children.iter().find(|s| s.id() == id);
    state.is_some_and(|s| s.child("transient_attributes").is_some())
}

/// They are of a life of a node: gone when it is lost, there again when only the network was.
#[test]
fn transient_attributes_are_wiped_with_their_node() {
    let mut bed = settled(7, 3);
    for n in 0..3 {
        bed.submit(n, vec![attribute(n)]);
    }
    bed.run(200);
    assert!((0..3).all(|at| (0..3).all(|of| has_attribute(&bed, at, of))));
    bed.cut_both(0, 1);
    bed.cut_both(0, 2);
    bed.run(BOUND);
    assert!(has_attribute(&bed, 0, 0) && !has_attribute(&bed, 0, 1));
    assert!(has_attribute(&bed, 1, 1) && !has_attribute(&bed, 1, 0));
    bed.heal();
    bed.run(BOUND);
    assert!(
        (0..3).all(|at| (0..3).all(|of| has_attribute(&bed, at, of))),
        "each brings its own"
    );
    bed.kill(0);
    bed.run(500);
    assert!(!has_attribute(&bed, 1, 0));
    bed.start(0, 0);
    bed.run(BOUND);
    assert!(
        !has_attribute(&bed, 1, 0) && has_attribute(&bed, 0, 1),
        "a new life has none"
    );
    bed.check_settled("back");
}

#[test]
fn nothing_is_answered_before_all_have_it_on_disk() {
    let mut bed = settled(8, 3);
    bed.disk = 5000;
    for n in 0..20 {
        let change = bed.create(n % 3);
        let begun = bed.now;
        while *fate(&bed, change) == Fate::Open {
            bed.run(1);
        }
        assert!((0..3).all(|n| bed.on_disk(n, change)), "after {} ms", bed.now - begun);
    }
}

/// A write to a disk that hangs does not hang the submitter for ever, and the cluster goes on when it is over.
#[test]
fn a_disk_that_hangs_is_waited_for_a_minute() {
    let mut bed = settled(9, 3);
    bed.hung = Some(2);
    let change = bed.create(0);
    bed.run(59_000);
    assert_eq!(*fate(&bed, change), Fate::Open);
    bed.run(2000);
    assert!(
        matches!(fate(&bed, change), Fate::Refused(124, _)),
        "{:?}",
        fate(&bed, change)
    );
    bed.unhang();
    bed.run(BOUND);
    let change = bed.create(0);
    bed.run(500);
    assert_eq!(*fate(&bed, change), Fate::Committed { quorum: true });
    bed.check_settled("answers again");
}
