//! S3: three nodes and every way to cut them apart.

use crate::crm::{Crm, THREE, stays, vip};
use std::time::Duration;

/// Which pairs are cut, and the partitions that follow: the first one has quorum.
struct Cut {
    pairs: &'static [(&'static str, &'static str)],
    partitions: &'static [&'static [&'static str]],
}

const CUTS: [Cut; 5] = [
    Cut {
        pairs: &[("node1", "node3")],
        partitions: &[&["node1", "node2"], &["node3"]],
    },
    Cut {
        pairs: &[("node1", "node2")],
        partitions: &[&["node1", "node3"], &["node2"]],
    },
    Cut {
        pairs: &[("node2", "node3")],
        partitions: &[&["node1", "node2"], &["node3"]],
    },
    Cut {
        pairs: &[("node1", "node3"), ("node1", "node2")],
        partitions: &[&["node2", "node3"], &["node1"]],
    },
    Cut {
        pairs: &[("node1", "node2"), ("node2", "node3"), ("node1", "node3")],
        partitions: &[&["node1"], &["node2"], &["node3"]],
    },
];

impl Cut {
    fn make(&self, crm: &Crm, one_way: bool) {
        for (a, b) in self.pairs {
            match one_way {
                true => crm.c.lab.cut_one_way(a, b),
                false => crm.c.lab.cut(a, b),
            }
            .expect("cut");
        }
    }

    fn is_seen(&self, crm: &Crm) -> bool {
        self.partitions.iter().all(|p| crm.is_partition(p, p.len() > 1))
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

#[test]
fn s3_every_cut_ends_in_the_same_partitions_and_the_address_obeys_quorum() {
    let Some(crm) = Crm::started("s3-cuts", &THREE) else {
        return;
    };
    crm.create("node2", "resources", &[&vip()]);
    crm.c.wait("one node has the address", || crm.holders().len() == 1);
    for (i, cut) in CUTS.iter().enumerate() {
        for one_way in [false, true] {
            let what = format!("cut {i}, one way {one_way}");
            cut.make(&crm, one_way);
            crm.c.wait(&format!("{what}: the partitions"), || cut.is_seen(&crm));
            let quorate = cut.partitions[0].len() > 1;
            crm.c.wait(&format!("{what}: the address"), || {
                let holders = crm.holders();
                match quorate {
                    true => holders.len() == 1 && cut.partitions[0].contains(&holders[0]),
                    false => holders.is_empty(),
                }
            });
            stays(&format!("{what}: it stays so"), Duration::from_secs(2), || {
                cut.is_seen(&crm)
            });
            crm.c.lab.heal().expect("healed");
            crm.wait_partition(&THREE, true);
            crm.c.wait("one node has the address", || crm.holders().len() == 1);
            crm.wait_idle("node1");
        }
    }
}
