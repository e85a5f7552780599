//! haresources: a line a resource group.

use super::Parsed;
use crate::ids::{NodeName, ResourceName};
use std::path::Path;

/// One resource of a group: which script, with which arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceSpec {
    /// As written: `192.168.8.240/19`, `Filesystem::/dev/sda1::/data::ext3`.
    pub name: ResourceName,
    /// `IPaddr` for the address sugar.
    pub script: String,
    pub args: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupSpec {
    /// The preferred node.
    pub node: NodeName,
    /// At least one, started left to right, stopped right to left. The first one's name is the key of the group.
    pub resources: Vec<ResourceSpec>,
    pub line: usize,
}

impl GroupSpec {
    pub fn key(&self) -> &ResourceName {
        &self.resources[0].name
    }

    /// Node and resources with single blanks: what the nodes compare, and what ResourceManager prints.
    pub fn canonical(&self) -> String {
        let words: Vec<&str> = self.resources.iter().map(|r| r.name.as_str()).collect();
        format!("{} {}", self.node, words.join(" "))
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Haresources {
    pub groups: Vec<GroupSpec>,
}

/// Reads haresources; `nodes` are the normal nodes of ha.cf.
pub fn parse(_file: &Path, _text: &str, _nodes: &[NodeName]) -> Parsed<Haresources> {
    unimplemented!()
}

/// Digest of the whole file.
pub fn digest(_haresources: &Haresources) -> String {
    String::new()
}

/// A short digest of each line.
pub fn line_digests(_haresources: &Haresources) -> Vec<(usize, String)> {
    Vec::new()
}
