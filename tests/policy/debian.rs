//! Debian's crm_simulate as the oracle: what it does with a CIB, as sets that can be compared.

use ha::cib::Element;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

pub const PROGRAM: &str = "/usr/sbin/crm_simulate";

/// What a policy made of a CIB: who runs where as what in the end, and what was done on the way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// `r1 Started node1`.
    pub places: BTreeSet<String>,
    /// `r1 start node1`, `r1 monitor=10000 node1`, `fence node2 reboot`.
    pub actions: BTreeSet<String>,
}

impl Outcome {
    /// As golden cases are stored.
    pub fn to_text(&self) -> String {
        let lines = |set: &BTreeSet<String>| set.iter().map(|l| format!("  {}\n", l.trim())).collect::<String>();
        format!("actions\n{}places\n{}", lines(&self.actions), lines(&self.places))
    }
}

/// `None` when it refuses the CIB or cannot be run.
#[allow(dead_code)] // the golden cases do without the oracle
pub fn outcome(file: &Path) -> Option<Outcome> {
    let run = Command::new(PROGRAM)
        .args(["-S", "--output-as=xml", "-x"])
        .arg(file)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&run.stdout);
    let tree = Element::parse(&text).ok()?;
    let actions = actions(tree.child("transition")?);
    let mut places = places(tree.child("revised_cluster_status")?);
    // Its simulator writes a cancelled monitor back as one that succeeded: what was stopped appears to run again.
    places.retain(|place| {
        let mut words = place.split(' ');
        let (rsc, node) = (words.next().unwrap_or_default(), words.next_back().unwrap_or_default());
        let cancelled = actions
            .iter()
            .any(|a| a.starts_with(&format!("{rsc} cancel=")) && a.ends_with(node));
        let stopped =
            actions.contains(&format!("{rsc} stop {node}")) && !actions.contains(&format!("{rsc} start {node}"));
        !(cancelled && stopped)
    });
    Some(Outcome { places, actions })
}

/// Instances of anonymous clones are the same to an administrator: the number does not count.
pub fn plain(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

fn places(status: &Element) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for rsc in status.walk().filter(|e| e.name == "resource") {
        for node in rsc.children_named("node") {
            let role = rsc.get("role").unwrap_or_default();
            out.insert(format!(
                "{} {role} {}",
                plain(rsc.id()),
                node.get("name").unwrap_or_default()
            ));
        }
    }
    out
}

fn actions(transition: &Element) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for e in &transition.children {
        let get = |name: &str| e.get(name).unwrap_or_default();
        match &*e.name {
            "rsc_action" => {
                let interval = e
                    .get("interval")
                    .filter(|i| *i != "0")
                    .map_or(String::new(), |i| format!("={i}"));
                out.insert(format!(
                    "{} {}{interval} {}",
                    plain(get("resource")),
                    get("op"),
                    get("node")
                ));
            }
            "cluster_action" => {
                out.insert(format!("{} {} {}", plain(get("id")), get("task"), get("node")));
            }
            "fencing_action" => {
                out.insert(format!("fence {} {}", get("target"), get("op")));
            }
            _ => {}
        }
    }
    out
}
