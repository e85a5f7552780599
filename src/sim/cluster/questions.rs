//! What tests and the log may ask of a run: owners, counters, and whether all is settled.

use super::Sim;
use crate::daemon::Daemon;
use crate::ids::ResourceName;
use crate::sim::program::Program;

impl Sim {
    /// Who holds what, in fact and as each node sees it.
    pub fn state(&self) -> String {
        let mut text = String::new();
        for (i, m) in self.machines.iter().enumerate() {
            let up: Vec<&ResourceName> = m.resources.iter().filter(|(_, r)| r.occupied).map(|(k, _)| k).collect();
            text += &format!(
                "\n{}: powered {} frozen {} variant {} scripts {} up {up:?}",
                self.names[i],
                m.powered,
                m.frozen,
                m.variant,
                m.scripts.len()
            );
            if let Some(classic) = m.daemon.as_ref().and_then(Program::classic) {
                text += &format!("\n    {}: {classic}", classic.rscstatus());
            }
            if let Some(d) = m.ours() {
                let view = d.view(self.clock(i));
                let nodes: Vec<String> = view.nodes.iter().map(|n| format!("{} {}", n.name, n.status)).collect();
                text += &format!(
                    "\n    {}; hold {}; wake {}",
                    nodes.join(", "),
                    view.rsc_hold,
                    m.wake.as_millis()
                );
                for g in view.groups {
                    text += &format!(
                        "\n    {} prefers {}: {} owners {:?} ({})",
                        g.key, g.preferred, g.here, g.owners, g.last
                    );
                }
            }
        }
        text
    }

    /// What went wrong, with the last steps and the state of every node.
    pub fn report(&self, why: &str) -> String {
        let mut text = format!("seed {} at {} ms: {why}\n", self.seed, self.now.as_millis());
        text += &self.trace.tail().join("\n");
        text += &self.state();
        text
    }

    /// The daemon's own view of one node; `None` for a classic.
    pub fn daemon(&self, node: usize) -> Option<&Daemon> {
        self.machines[node].ours()
    }

    /// How often a node has acquired a group since its daemon started.
    pub fn acquisitions(&self, node: usize) -> u64 {
        self.counter(node, "acquisitions")
    }

    /// What a daemon has counted; 0 when it does not run.
    pub fn counter(&self, node: usize, name: &str) -> u64 {
        let view = self.machines[node].ours().map(|d| d.view(self.clock(node)));
        let counters = view.map(|v| v.counters).unwrap_or_default();
        counters.iter().find(|(n, _)| n == name).map_or(0, |(_, n)| *n)
    }

    /// What STONITH devices were asked to do, by all nodes.
    pub fn fencings(&self) -> u64 {
        self.fencings
    }

    /// Start scripts that were run, on all nodes.
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// The nodes on which the first resource of a group is, or may be, up.
    pub fn owners(&self, group: usize) -> Vec<usize> {
        let key: ResourceName = self.config.groups[group].1[0].parse().expect("a resource of ours");
        (0..self.machines.len())
            .filter(|i| self.machines[*i].occupies(&key))
            .collect()
    }

    /// Every group has exactly one owner, every running daemon says so, and nothing is on its way.
    pub fn check_settled(&self) -> Result<(), String> {
        let running: Vec<usize> = (0..self.machines.len())
            .filter(|i| self.machines[*i].listens())
            .collect();
        for (g, (_, resources)) in self.config.groups.iter().enumerate() {
            let owners = self.owners(g);
            let key = resources[0];
            let name: ResourceName = key.parse().expect("a resource of ours");
            if owners.is_empty() && self.machines.iter().any(|m| m.is_stuck_with(&name)) {
                continue;
            }
            let [owner] = owners[..] else {
                return Err(self.report(&format!("group {key} has the owners {owners:?}, not exactly one")));
            };
            for &i in &running {
                if let Some(why) = self.classic_is_wrong(i, &name, owner) {
                    return Err(self.report(&why));
                }
                let Some(daemon) = self.machines[i].ours() else {
                    continue;
                };
                let view = daemon.view(self.clock(i));
                if view.rsc_hold == "transition" {
                    return Err(self.report(&format!("{} is still in transition", self.names[i])));
                }
                let seen = view.groups.iter().find(|v| v.key == *key).map(|v| v.owners.clone());
                // In legacy mode a classic never says that it has a group.
                let silent = self.config.auto_failback == "legacy" && self.machines[owner].classic;
                if !silent && seen.as_deref() != Some(&[self.names[owner].clone()]) {
                    let why = format!(
                        "{} says that {key} is at {seen:?}, but it is at {}",
                        self.names[i], self.names[owner]
                    );
                    return Err(self.report(&why));
                }
            }
        }
        Ok(())
    }

    /// What a classic says of itself, which is all it says.
    pub(super) fn classic_is_wrong(&self, node: usize, key: &ResourceName, owner: usize) -> Option<String> {
        let classic = self.machines[node].daemon.as_ref()?.classic()?;
        if !classic.is_stable() && !classic.is_stuck() {
            return Some(format!("{} is still in transition", self.names[node]));
        }
        (classic.claims(key)? != (node == owner)).then(|| {
            format!(
                "{} says {}, but {key} is at {}",
                self.names[node],
                classic.rscstatus(),
                self.names[owner]
            )
        })
    }
}
