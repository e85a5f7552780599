//! Who is in which partition, after every cut of the links, and how soon.

use super::bed::{BOUND, Bed, Random};

fn settled(seed: u64, nodes: usize) -> Bed {
    let mut bed = Bed::new(seed, nodes);
    bed.run(6000);
    bed.check_settled("start");
    bed
}

fn names(bed: &Bed, n: usize) -> (String, String, bool) {
    let short = |name: &str| name.trim_start_matches("ha-host").to_owned();
    let (members, dc, quorum) = bed.shown(n);
    let members: Vec<_> = members.iter().map(|m| short(m.as_str())).collect();
    (members.join(" "), short(dc.unwrap().as_str()), quorum)
}

/// The article, step by step: what each host shows, and the same a minute later.
/// Members, DC, quorum, as each of the three nodes has them.
type Views = [(&'static str, &'static str, bool); 3];

#[test]
fn s3_01_to_s3_03_the_article_step_by_step() {
    let mut bed = settled(1, 3);
    #[rustfmt::skip]
    let steps: &[(&[(usize, usize)], Views)] = &[
        (&[],                       [("1 2 3", "3", true), ("1 2 3", "3", true), ("1 2 3", "3", true)]),
        (&[(1, 3)],                 [("1 2", "2", true),   ("1 2", "2", true),   ("3", "3", false)]),
        (&[(1, 3), (1, 2)],         [("1", "1", false),    ("2 3", "3", true),   ("2 3", "3", true)]),
        (&[(1, 3), (1, 2), (2, 3)], [("1", "1", false),    ("2", "2", false),    ("3", "3", false)]),
        (&[],                       [("1 2 3", "3", true), ("1 2 3", "3", true), ("1 2 3", "3", true)]),
    ];
    for (cut, shown) in steps {
        bed.heal();
        for (a, b) in *cut {
            bed.cut_both(a - 1, b - 1);
        }
        bed.run(BOUND);
        for later in [0, 60_000] {
            bed.run(later);
            for (n, (members, dc, quorum)) in shown.iter().enumerate() {
                let expected = (members.to_string(), dc.to_string(), *quorum);
                assert_eq!(
                    names(&bed, n),
                    expected,
                    "cut {cut:?}, ha-host{}, {later} ms later",
                    n + 1
                );
            }
            bed.check_settled("step");
        }
    }
}

/// Every subset of the six directed links of three nodes: final within the bound, and no new view for a minute.
#[test]
fn s3_every_cut_of_three_nodes_one_way_or_both() {
    let links = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)];
    let mut slowest = 0;
    for mask in 0u64..64 {
        let mut bed = settled(mask, 3);
        let begun = bed.now;
        let cut: Vec<_> = (0..6).filter(|i| mask >> i & 1 == 1).map(|i| links[i]).collect();
        for (a, b) in &cut {
            bed.cut(*a, *b);
        }
        bed.run(BOUND);
        bed.check_settled(&format!("cut {cut:?}"));
        let works = bed
            .machines
            .iter()
            .filter_map(|m| m.active.last().map(|(at, _)| at.saturating_sub(begun)));
        slowest = works.max().into_iter().fold(slowest, u64::max);
        let shown: Vec<_> = (0..3).map(|n| bed.shown(n)).collect();
        let views: Vec<_> = bed.machines.iter().map(|m| m.views.len()).collect();
        bed.run(60_000);
        let later: Vec<_> = (0..3).map(|n| bed.shown(n)).collect();
        assert_eq!(shown, later, "cut {cut:?}");
        let views_later: Vec<_> = bed.machines.iter().map(|m| m.views.len()).collect();
        assert_eq!(views, views_later, "cut {cut:?}: a new view without a reason");
        bed.heal();
        bed.run(BOUND);
        bed.check_settled(&format!("after cut {cut:?}"));
    }
    println!("64 cuts: the slowest partition works after {slowest} ms (deadtime 1000 ms)");
}

/// Cuts upon cuts of two to six nodes.
#[test]
fn any_cut_of_any_cluster_settles_in_time_and_stays() {
    for seed in super::seeds(300) {
        let mut random = Random::new(seed);
        let nodes = 2 + random.below(5) as usize;
        let mut bed = settled(seed, nodes);
        for step in 0..4 {
            let share = random.below(100);
            for a in 0..nodes {
                for b in 0..nodes {
                    if a != b {
                        bed.up[a][b] = !random.chance(share);
                    }
                }
            }
            bed.run(BOUND);
            let what = format!("seed {seed}, step {step}");
            bed.check_settled(&what);
            let views: Vec<_> = bed.machines.iter().map(|m| m.views.len()).collect();
            bed.run(10_000);
            let later: Vec<_> = bed.machines.iter().map(|m| m.views.len()).collect();
            assert_eq!(views, later, "{what}: a new view without a reason");
        }
    }
}

/// The DC of nodes that were started together is the one with the highest name; one that sits stays.
#[test]
fn s3_05_the_dc_keeps_its_office() {
    let mut bed = settled(5, 3);
    assert_eq!(names(&bed, 0).1, "3");
    bed.power_off(2);
    bed.run(BOUND);
    assert_eq!(names(&bed, 0), ("1 2".into(), "2".into(), true));
    bed.start(2, 0);
    bed.run(BOUND + 2000);
    assert_eq!(
        names(&bed, 0),
        ("1 2 3".into(), "2".into(), true),
        "{:?}",
        bed.machines[0].log
    );
    bed.check_settled("returned");
}

/// After the start of one, the others come one by one; nobody waits for ever for who is not there.
#[test]
fn nodes_that_come_late_join() {
    let mut bed = Bed::new(9, 3);
    bed.power_off(1);
    bed.power_off(2);
    bed.run(500);
    bed.power_off(1);
    bed.power_off(2);
    bed.run(BOUND);
    bed.power_off(1);
    bed.power_off(2);
    bed.run(BOUND);
    assert_eq!(names(&bed, 0), ("1".into(), "1".into(), false));
    bed.start(1, 0);
    bed.run(BOUND);
    assert_eq!(names(&bed, 1), ("1 2".into(), "1".into(), true));
    bed.check_settled("two");
}

#[test]
fn who_leaves_in_order_is_not_waited_for() {
    let mut bed = settled(3, 3);
    let dc = 2;
    bed.event(dc, ha::agree::Event::Leave);
    bed.run(1000);
    assert!(bed.machines[dc].left);
    bed.kill(dc);
    bed.run(500);
    assert_eq!(names(&bed, 0), ("1 2".into(), "2".into(), true));
    let (_, view) = bed.machines[1].views.last().unwrap();
    assert!(view.lost[0].clean, "{view:?}");
    let state = bed
        .agree(0)
        .cib()
        .status()
        .children
        .iter()
        .find(|s| s.get("uname") == Some("ha-host3"));
    assert_eq!(state.unwrap().get("expected"), Some("down"));
    bed.check_settled("left");
    let (at, from) = bed.machines[1].active.last().unwrap();
    assert!(from.as_millis() <= *at, "nothing is to be waited for");
    bed.start(dc, 0);
    bed.run(3000);
    bed.check_settled("back");
}

/// A crmd that stands still is left behind, and knows that it was when it goes on.
#[test]
fn who_stood_still_joins_anew_without_quorum_in_between() {
    for seed in 0..20 {
        let mut bed = settled(seed, 3);
        bed.pause(2, 20_000);
        bed.run(19_000);
        assert_eq!(names(&bed, 0), ("1 2".into(), "2".into(), true));
        assert_eq!(
            names(&bed, 2),
            ("1 2 3".into(), "3".into(), true),
            "it knows nothing yet"
        );
        let before = bed.machines[2].views.len();
        bed.run(1001);
        let (_, first) = &bed.machines[2].views[before];
        assert!(!first.quorum && first.members.len() == 1, "{first:?}");
        bed.run(BOUND);
        bed.check_settled("woken");
    }
}

/// The one who loses quorum stops at once; those who gain it wait until that must be over.
#[test]
fn who_gains_quorum_waits_until_the_others_have_stopped() {
    for seed in 0..50 {
        let mut bed = settled(seed, 3);
        bed.cut_both(0, 2);
        bed.run(20_000);
        let cut = bed.now;
        bed.cut_both(0, 1);
        bed.run(BOUND);
        assert_eq!(names(&bed, 1).0, "2 3");
        let (lost, _) = bed.machines[0].views.last().unwrap();
        let dc = if names(&bed, 1).1 == "2" { 1 } else { 2 };
        let (_, from) = bed.machines[dc].active.last().unwrap();
        assert!(from.as_millis() > lost + 1000, "cut {cut}, lost {lost}, from {from:?}");
        assert!(from.as_millis() <= lost + 4000);
    }
}

/// Who keeps quorum waits no longer than the lost node can be late in noticing: failover is soon.
#[test]
fn who_keeps_quorum_starts_soon_and_after_the_other_noticed() {
    let mut overlaps = 0;
    for seed in 0..200 {
        let mut bed = settled(seed, 3);
        let now = bed.now;
        let views = (bed.machines[1].views.len(), bed.machines[2].views.len());
        bed.cut_both(0, 1);
        bed.cut_both(0, 2);
        bed.run(BOUND);
        let after = (bed.machines[1].views.len(), bed.machines[2].views.len());
        assert_eq!(
            (views.0 + 1, views.1 + 1),
            after,
            "seed {seed}: those who stay see one new view"
        );
        let (lost, view) = bed.machines[0].views.last().unwrap();
        assert!(!view.quorum);
        let (at, from) = bed.machines[2].active.last().unwrap();
        overlaps += u32::from(from.as_millis() <= *lost);
        let delay = from.as_millis().max(*at) - now;
        assert!(delay <= 1000 + 300, "seed {seed}: {at} {from:?} {now}");
    }
    assert_eq!(overlaps, 0, "of 200");
}
