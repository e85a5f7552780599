//! Clusters with the crm, and the questions a test asks them. `s0_NN_`, `s1_NN_` and `s3_NN_` are steps of the scenarios.

use crate::cluster::{Cluster, Setup, VIP};
use ha::cib::{Cib, Edit, Element};
use ha::crm::client::Access;
use ha::crm::protocol::Cluster as Seen;
use ha::policy::{history, unpack};
use std::time::{Duration, Instant};

/// What tools would say they are.
const PROGRAM: &str = "test";
pub const THREE: [&str; 3] = ["node1", "node2", "node3"];
pub const TWO: [&str; 2] = ["node1", "node2"];

#[derive(Debug)]
pub struct Crm {
    pub c: Cluster,
    pub nodes: Vec<&'static str>,
}

pub fn xml(text: &str) -> Element {
    Element::parse(text).expect("the test writes XML")
}

/// A resource that runs nowhere but in a file.
pub fn dummy(id: &str) -> String {
    format!(
        "<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'><operations>\
         <op id='{id}-monitor' name='monitor' interval='1s' timeout='20s'/></operations></primitive>"
    )
}

/// The address of most tests.
pub fn vip() -> String {
    format!(
        "<primitive id='vip' class='ocf' provider='heartbeat' type='IPaddr2'><instance_attributes id='vip-p'>\
         <nvpair id='vip-ip' name='ip' value='{VIP}'/><nvpair id='vip-mask' name='cidr_netmask' value='24'/>\
         <nvpair id='vip-nic' name='nic' value='eth0'/></instance_attributes><operations>\
         <op id='vip-monitor' name='monitor' interval='2s' timeout='20s'/></operations></primitive>"
    )
}

impl Crm {
    /// A beat of 100 ms and a deadtime of a second, as the issue has it.
    pub fn make(test: &str, nodes: &[&'static str]) -> Option<Self> {
        let setup = Setup {
            nodes: nodes.to_vec(),
            deadtime: "1s",
            more: "crm on\n".into(),
            haresources: String::new(),
            ..Setup::default()
        };
        let c = setup.make(test)?;
        let nodes = nodes.to_vec();
        Some(Self { c, nodes })
    }

    /// All nodes are members of one partition with quorum, and fencing is off.
    pub fn started(test: &str, nodes: &[&'static str]) -> Option<Self> {
        let crm = Self::make(test, nodes)?;
        for node in nodes {
            crm.c.start(node);
        }
        crm.wait_partition(nodes, true);
        crm.property(nodes[0], "stonith-enabled", "false");
        Some(crm)
    }

    pub fn access(&self, node: &str) -> Access {
        Access::at(PROGRAM, &self.c.lab.files(node).state())
    }

    #[track_caller]
    pub fn apply(&self, node: &str, edits: &[Edit]) {
        if let Err(e) = self.access(node).apply(edits) {
            panic!("{node}: {e}\n{}", self.logs());
        }
    }

    pub fn logs(&self) -> String {
        self.nodes
            .iter()
            .map(|n| format!("--- log of {n}\n{}", self.c.log(n)))
            .collect()
    }

    #[track_caller]
    pub fn property(&self, node: &str, name: &str, value: &str) {
        let set = format!(
            "<cluster_property_set id='cib-bootstrap-options'>\
             <nvpair id='cib-bootstrap-options-{name}' name='{name}' value='{value}'/></cluster_property_set>"
        );
        self.modify(node, "crm_config", &set);
    }

    #[track_caller]
    pub fn modify(&self, node: &str, section: &str, text: &str) {
        let edit = Edit::Modify {
            section: section.into(),
            xml: xml(text),
            or_create: true,
        };
        self.apply(node, &[edit]);
    }

    #[track_caller]
    pub fn create(&self, node: &str, section: &str, texts: &[&str]) {
        let create = |text: &&str| Edit::Create {
            section: section.into(),
            xml: xml(text),
        };
        self.apply(node, &texts.iter().map(create).collect::<Vec<_>>());
    }

    #[track_caller]
    pub fn delete(&self, node: &str, section: &str, text: &str) {
        let edit = Edit::Delete {
            section: section.into(),
            xml: xml(text),
        };
        self.apply(node, &[edit]);
    }

    /// What crmd on this node says; `None` while it does not answer.
    pub fn seen(&self, on: &str) -> Option<Seen> {
        self.access(on).cluster().ok()
    }

    pub fn cib(&self, on: &str) -> Option<Cib> {
        self.access(on).cib().ok()
    }

    /// Where a primitive runs, as `on` knows it; instances of a clone all together.
    pub fn runs(&self, on: &str, rsc: &str) -> Vec<String> {
        let Some(cib) = self.cib(on) else {
            return vec!["?".into()];
        };
        let mut input = unpack::unpack(&cib, ha::sys::wall());
        let state = history::read(&cib, &mut input);
        let of = |r: usize| input.resources[r].plain == rsc && input.primitive(r).is_some();
        let mut nodes: Vec<String> = (0..input.resources.len())
            .filter(|r| of(*r))
            .flat_map(|r| state.running_on(r))
            .map(|n| input.nodes[n].uname.clone())
            .collect();
        nodes.sort();
        nodes.dedup();
        nodes
    }

    /// These nodes, and no others, are one partition with one DC.
    #[track_caller]
    pub fn wait_partition(&self, members: &[&str], quorum: bool) {
        self.c
            .wait(&format!("{members:?} are one partition, quorum {quorum}"), || {
                self.is_partition(members, quorum)
            });
    }

    pub fn is_partition(&self, members: &[&str], quorum: bool) -> bool {
        let seen: Vec<Option<Seen>> = members.iter().map(|n| self.seen(n)).collect();
        let good = |s: &Option<Seen>| {
            let (Some(s), Some(Some(first))) = (s, seen.first()) else {
                return false;
            };
            s.members == *members
                && s.quorum == quorum
                && s.dc == first.dc
                && s.dc.is_some()
                && s.state != "S_INTEGRATION"
        };
        seen.iter().all(good)
    }

    #[track_caller]
    pub fn wait_runs(&self, rsc: &str, on: &[&str]) {
        self.c.wait(&format!("{rsc} runs on {on:?}"), || {
            let from = self.nodes.iter().find(|n| self.seen(n).is_some());
            from.is_some_and(|n| self.runs(n, rsc) == on)
        });
    }

    /// The same asked of one node.
    #[track_caller]
    pub fn wait_runs_seen(&self, by: &str, rsc: &str, on: &[&str]) {
        self.c.wait(&format!("{rsc} runs on {on:?}, as {by} sees it"), || {
            self.runs(by, rsc) == on
        });
    }

    /// Nothing is going on any more.
    #[track_caller]
    pub fn wait_idle(&self, node: &str) {
        let idle = self.access(node).wait_idle(crate::cluster::BOUND);
        assert!(matches!(idle, Ok(true)), "{node}: {idle:?}\n{}", self.logs());
    }

    /// Whether a node has the address, whatever it says of itself.
    pub fn has_vip(&self, node: &str) -> bool {
        let out = self.c.run(node, &["ip", "-4", "addr", "show", "dev", "eth0"]).out;
        out.contains(&format!("inet {VIP}/"))
    }

    /// The nodes that have the address.
    pub fn holders(&self) -> Vec<&'static str> {
        self.nodes.iter().copied().filter(|n| self.has_vip(n)).collect()
    }

    #[track_caller]
    pub fn wait_holders(&self, on: &[&str]) {
        self.c
            .wait(&format!("{on:?} have the address"), || self.holders() == on);
    }

    pub fn dc(&self, on: &str) -> Option<String> {
        self.seen(on)?.dc
    }
}

/// It stays so for this long.
#[track_caller]
pub fn stays(what: &str, time: Duration, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        assert!(holds(), "{what}: after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
}
