//! S3: three nodes and every way to cut them apart.

use crate::crm::{Crm, THREE, stays, vip};
use std::time::Duration;

pub type Pair = (&'static str, &'static str);
type Partitions = &'static [&'static [&'static str]];

/// Which pairs are cut, and the partitions that follow: the first one has quorum if it has two members.
pub const CUTS: [(&[Pair], Partitions); 7] = [
    (&[("node1", "node3")], &[&["node1", "node2"], &["node3"]]),
    (&[("node1", "node2")], &[&["node1", "node3"], &["node2"]]),
    (&[("node2", "node3")], &[&["node1", "node2"], &["node3"]]),
    (
        &[("node1", "node3"), ("node1", "node2")],
        &[&["node2", "node3"], &["node1"]],
    ),
    (
        &[("node1", "node2"), ("node2", "node3")],
        &[&["node1", "node3"], &["node2"]],
    ),
    (
        &[("node1", "node3"), ("node2", "node3")],
        &[&["node1", "node2"], &["node3"]],
    ),
    (
        &[("node1", "node2"), ("node2", "node3"), ("node1", "node3")],
        &[&["node1"], &["node2"], &["node3"]],
    ),
];

/// How much of a pair is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Both,
    /// What the first sends to the second.
    There,
    Back,
}

/// One of the pairs that are cut, and how.
#[derive(Clone, Debug)]
pub struct Cut {
    pub pairs: Vec<(Pair, Way)>,
    pub partitions: Partitions,
}

impl Cut {
    /// Cuts all of the pairs both ways, or each one way: by its bit of `ways` there or back.
    pub fn of(kind: usize, ways: Option<usize>) -> Self {
        let (pairs, partitions) = CUTS[kind];
        let way = |i: usize| match ways.map(|w| w >> i & 1) {
            None => Way::Both,
            Some(0) => Way::There,
            Some(_) => Way::Back,
        };
        Self {
            pairs: pairs.iter().enumerate().map(|(i, p)| (*p, way(i))).collect(),
            partitions,
        }
    }

    /// As `1>3 1-2`: what node1 sends to node3 is lost, and all between node1 and node2.
    pub fn name(&self) -> String {
        let short = |n: &str| n.trim_start_matches("node").to_owned();
        let one = |((a, b), way): &(Pair, Way)| match way {
            Way::Both => format!("{}-{}", short(a), short(b)),
            Way::There => format!("{}>{}", short(a), short(b)),
            Way::Back => format!("{}>{}", short(b), short(a)),
        };
        self.pairs.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    pub fn make(&self, crm: &Crm) {
        for ((a, b), way) in &self.pairs {
            match way {
                Way::Both => crm.c.lab.cut(a, b),
                Way::There => crm.c.lab.cut_one_way(a, b),
                Way::Back => crm.c.lab.cut_one_way(b, a),
            }
            .expect("cut");
        }
    }

    /// The partition that a node ends in.
    pub fn partition_of(&self, node: &str) -> &'static [&'static str] {
        let mut all = self.partitions.iter();
        all.find(|p| p.contains(&node)).expect("every node is in one of them")
    }

    pub fn is_seen(&self, crm: &Crm) -> bool {
        self.partitions.iter().all(|p| crm.is_partition(p, p.len() > 1))
    }

    /// One node of the partition with quorum has the address; without one, no node has it.
    pub fn is_obeyed(&self, holders: &[&str]) -> bool {
        match self.partitions[0].len() > 1 {
            true => holders.len() == 1 && self.partitions[0].contains(&holders[0]),
            false => holders.is_empty(),
        }
    }
}

#[test]
fn s3_01_three_nodes_are_one_partition_with_one_dc() {
    let Some(crm) = Crm::started("s3-01", &THREE) else {
        return;
    };
    for node in THREE {
        assert_eq!(crm.dc(node).as_deref(), Some("node3"));
    }
    crm.create("node2", "resources", &[&vip()]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
}

/// The story, step by step: S3.2 to S3.5.
#[test]
fn s3_02_to_s3_05_cuts_one_after_the_other_and_the_end_of_them() {
    let Some(crm) = Crm::started("s3-02", &THREE) else {
        return;
    };
    crm.create("node2", "resources", &[&vip()]);
    crm.wait_holders(&["node1"]);
    crm.wait_idle("node1");
    let cut = |a: &str, b: &str| crm.c.lab.cut(a, b).expect("cut");
    // S3.2
    cut("node1", "node3");
    crm.wait_partition(&["node1", "node2"], true);
    crm.wait_partition(&["node3"], false);
    crm.wait_idle("node1");
    assert_eq!(crm.holders(), ["node1"], "it stays where it is");
    assert_eq!(crm.dc("node1").as_deref(), Some("node2"));
    assert_eq!(crm.dc("node3").as_deref(), Some("node3"));
    // S3.3
    cut("node1", "node2");
    crm.wait_partition(&["node1"], false);
    crm.wait_partition(&["node2", "node3"], true);
    crm.wait_holders(&["node2"]);
    // S3.4
    cut("node2", "node3");
    for node in THREE {
        crm.wait_partition(&[node], false);
    }
    crm.wait_holders(&[]);
    stays("nothing runs without quorum", Duration::from_secs(3), || {
        crm.holders().is_empty()
    });
    // S3.5
    crm.c.lab.heal().expect("healed");
    crm.wait_partition(&THREE, true);
    crm.c.wait("one node has the address", || crm.holders().len() == 1);
    crm.wait_idle("node1");
    assert_eq!(crm.holders().len(), 1);
}

/// One cut follows the other without a moment in which all is well.
fn cuts_in_a_row(test: &str, cuts: &[Cut], stable: Duration) {
    let Some(crm) = Crm::started(test, &THREE) else { return };
    crm.create("node2", "resources", &[&vip()]);
    crm.c.wait("one node has the address", || crm.holders().len() == 1);
    for cut in cuts {
        let what = cut.name();
        crm.c.lab.heal().expect("healed");
        cut.make(&crm);
        crm.c.wait(&format!("cut {what}: the partitions"), || cut.is_seen(&crm));
        crm.c
            .wait(&format!("cut {what}: the address"), || cut.is_obeyed(&crm.holders()));
        stays(&format!("cut {what}: it stays so"), stable, || {
            cut.is_seen(&crm) && cut.is_obeyed(&crm.holders())
        });
    }
    crm.c.lab.heal().expect("healed");
    crm.wait_partition(&THREE, true);
    crm.c.wait("one node has the address", || crm.holders().len() == 1);
    crm.wait_idle("node1");
    assert_eq!(crm.holders().len(), 1);
}

#[test]
fn s3_pairs_cut_both_ways_end_in_the_same_partitions_and_the_address_obeys_quorum() {
    let cuts: Vec<Cut> = (0..CUTS.len()).map(|kind| Cut::of(kind, None)).collect();
    cuts_in_a_row("s3-both-ways", &cuts, Duration::from_secs(1));
}

#[test]
fn s3_pairs_cut_one_way_end_in_the_same_partitions_and_the_address_obeys_quorum() {
    let cuts: Vec<Cut> = (0..CUTS.len()).map(|kind| Cut::of(kind, Some(kind % 3))).collect();
    cuts_in_a_row("s3-one-way", &cuts, Duration::from_secs(1));
}

#[test]
fn s3_a_one_way_cut_stays_as_it_is() {
    cuts_in_a_row("s3-stays", &[Cut::of(0, Some(0))], Duration::from_secs(10));
}
