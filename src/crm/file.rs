//! A file with a CIB in the place of a cluster.

use super::client::AccessError;
use super::protocol::{Cluster, code};
use crate::cib::edit::Origin;
use crate::cib::{Cib, Edit, Element, Refusal, Version, document};
use crate::sys::{clock, files};
use std::path::{Path, PathBuf};

pub(super) fn read_file(path: &Path) -> Result<Cib, AccessError> {
    let text = std::fs::read_to_string(path).map_err(|e| AccessError::file(path, &e))?;
    Cib::parse(&text).map_err(|e| AccessError::File {
        path: path.to_owned(),
        why: e.to_string(),
    })
}

pub(super) fn apply_to_file(path: &Path, edits: &[Edit], program: &str) -> Result<Version, AccessError> {
    let mut cib = read_file(path)?;
    let before = cib.clone();
    let origin = Origin {
        node: files::host_name().unwrap_or_default(),
        client: program.to_owned(),
        user: files::user_name(files::own_user()).unwrap_or_default(),
    };
    let refused = |r: Refusal| AccessError::Refused {
        code: r.exit_code(),
        text: r.to_string(),
    };
    let version = cib.apply(edits, &origin).map_err(refused)?;
    if cib == before {
        return Ok(version);
    }
    if cib.configuration() != before.configuration() {
        cib.set("cib-last-written", &clock::local_date(crate::sys::wall().0));
    }
    let mode = std::fs::metadata(path)
        .map(|m| std::os::unix::fs::PermissionsExt::mode(&m.permissions()) & 0o777)
        .unwrap_or(0o600);
    let put = |path: &Path, text: &str| {
        files::put(path, text.as_bytes(), mode, true).map_err(|e| AccessError::file(path, &e))
    };
    put(path, &cib.root().to_indented())?;
    // A file that is signed stays signed: heartbeat would not take it otherwise.
    let mut signature = path.as_os_str().to_owned();
    signature.push(".sig");
    let signature = PathBuf::from(signature);
    if signature.exists() {
        put(&signature, &document::digest(cib.root()))?;
    }
    Ok(version)
}

pub(super) fn cluster_of(cib: &Cib) -> Cluster {
    let dc_id = cib.root().get("dc-uuid").unwrap_or_default();
    let nodes = || cib.section("nodes").into_iter().flat_map(|s| s.children_named("node"));
    let name = |id: &str| nodes().find(|n| n.id() == id).and_then(|n| n.get("uname"));
    let node = files::host_name().unwrap_or_default();
    let uuid = nodes()
        .find(|n| n.get("uname") == Some(&node))
        .map(|n| n.id().to_owned());
    let there = |s: &&Element| s.get("in_ccm") == Some("true") && s.get("crmd") == Some("online");
    let states = cib.status().children_named("node_state");
    let mut members: Vec<String> = states
        .filter(there)
        .map(|s| s.get("uname").unwrap_or(s.id()).to_owned())
        .collect();
    members.sort();
    Cluster {
        uuid: uuid.unwrap_or_default(),
        node,
        dc: name(dc_id).map(str::to_owned),
        quorum: cib.root().get("have-quorum") == Some("1"),
        members,
        state: String::new(),
        version: cib.version(),
    }
}

/// The change of the status that sets a transient attribute, or takes it away.
pub fn transient_edit(cib: &Cib, node: &str, name: &str, value: Option<&str>) -> Result<Edit, AccessError> {
    let nodes = cib.section("nodes").into_iter().flat_map(|s| s.children_named("node"));
    let id = nodes
        .into_iter()
        .find(|n| n.get("uname") == Some(node) || n.id() == node)
        .map(|n| n.id().to_owned());
    let id = id.ok_or_else(|| AccessError::Refused {
        code: code::NO_SUCH_OBJECT,
        text: format!("node {node}: is not in the CIB"),
    })?;
    // Where it is already, whatever its id; `#` may not stand in a new one.
    let mut states = cib.status().children_named("node_state");
    let there = states
        .find(|s| s.id() == id)
        .and_then(|s| s.child("transient_attributes"));
    let sets = there.into_iter().flat_map(|t| t.children_named("instance_attributes"));
    let mut pairs = sets.flat_map(|s| s.children_named("nvpair").map(move |p| (s.id(), p)));
    let (set, pair_id) = match pairs.find(|(_, p)| p.get("name") == Some(name)) {
        Some((set, pair)) => (set.to_owned(), pair.id().to_owned()),
        None => (
            format!("status-{id}"),
            format!("status-{id}-{}", name.replace('#', ".")),
        ),
    };
    let pair = Element::new("nvpair").with("id", &pair_id).with("name", name);
    let section = "status".to_owned();
    Ok(match value {
        None => Edit::Delete { section, xml: pair },
        Some(value) => Edit::Modify {
            section,
            xml: Element::new("node_state").with("id", &id).holding(
                Element::new("transient_attributes").with("id", &id).holding(
                    Element::new("instance_attributes")
                        .with("id", set)
                        .holding(pair.with("value", value)),
                ),
            ),
            or_create: true,
        },
    })
}
