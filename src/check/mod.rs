//! The files of this machine: read, parsed, and compared with what the machine has. `heartbeat -t`, the start and
//! the reload go through [`load`].
//!
//! * `read`: files into text; `machine`: what only the machine can tell; `node`: the name of this node;
//! * [`monitors`]: the same of that file; [`classic`]: what 3.0.6 takes differently; [`keygen`]: a new key.
//!
//! Impure: reads files and asks the kernel for interfaces and users. Never asks a name server for host names: a reload
//! runs inside the living daemon, and a name server that hangs must not stop its beat.

pub mod classic;
pub mod keygen;
mod machine;
pub mod monitors;
mod node;
mod read;

pub use node::node_name;

use crate::auth::Keyring;
use crate::conf::{Complaint, HaCf, Haresources, Severity, authkeys, ha_cf, haresources, hostcache, lives};
use crate::ids::NodeName;
use crate::paths;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the three files are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    pub ha_cf: PathBuf,
    pub haresources: PathBuf,
    pub authkeys: PathBuf,
}

impl Files {
    /// Below `HA_DIR`, by default /etc/ha.d.
    pub fn installed() -> Self {
        Self {
            ha_cf: paths::ha_cf(),
            haresources: paths::haresources(),
            authkeys: paths::authkeys(),
        }
    }

    /// Reads and checks the three files for node `me`.
    pub fn load(&self, me: &NodeName) -> Loaded {
        let mut complaints = Vec::new();
        let cf_text = read::text(&self.ha_cf, "ha.cf", &mut complaints);
        let cf = cf_text.as_deref().and_then(|text| {
            let parsed = ha_cf::parse(&self.ha_cf, text, me);
            complaints.extend(parsed.complaints);
            parsed.value
        });
        let nodes: Vec<NodeName> = cf.iter().flat_map(|cf| cf.normal_nodes().cloned()).collect();
        let crm = cf.as_ref().is_some_and(|cf| cf.crm);
        // With the crm it need not be there.
        let groups_text = match crm {
            true => read::text(&self.haresources, "haresources", &mut Vec::new()),
            false => read::text(&self.haresources, "haresources", &mut complaints),
        };
        let groups = groups_text.as_deref().and_then(|text| {
            let parsed = haresources::parse(&self.haresources, text, &nodes);
            match (crm, &parsed.value) {
                (true, Some(unused)) if unused.groups.is_empty() => {}
                (true, Some(_) | None) => complaints.extend(unused(&self.haresources, text)),
                (false, _) => complaints.extend(parsed.complaints),
            }
            parsed.value.filter(|_| !crm)
        });
        let groups = groups.or_else(|| crm.then(Haresources::default));
        let keys_text = read::keys(&self.authkeys, &mut complaints);
        let keys = keys_text.as_deref().and_then(|text| {
            let parsed = authkeys::parse(&self.authkeys, text);
            complaints.extend(parsed.complaints);
            parsed.value
        });
        read::sample_key(&self.authkeys, keys.as_ref(), &mut complaints);
        let sizes = [
            (&self.ha_cf, &cf_text),
            (&self.haresources, &groups_text),
            (&self.authkeys, &keys_text),
        ];
        read::together(
            sizes.map(|(file, text)| (file.as_path(), text.as_ref().map_or(0, String::len))),
            &mut complaints,
        );
        if let Some(cf) = &cf {
            machine::ha_cf(&self.ha_cf, cf, &mut complaints);
        }
        if let Some(groups) = &groups {
            machine::haresources(&self.haresources, groups, &mut complaints);
        }
        if let (Some(cf), Some(groups)) = (&cf, &groups)
            && let Some(why) = cf.autojoin_conflict(groups)
        {
            read::complain(
                &mut complaints,
                &self.ha_cf,
                cf.autojoin_line,
                Severity::Error,
                why.to_owned(),
            );
        }
        let clean = |file: &PathBuf| {
            !complaints
                .iter()
                .any(|c| c.file == *file && c.severity == Severity::Error)
        };
        Loaded {
            cf: cf.filter(|_| clean(&self.ha_cf)),
            haresources: groups.filter(|_| clean(&self.haresources)),
            keys: keys.filter(|_| clean(&self.authkeys)),
            texts: Texts {
                ha_cf: cf_text.unwrap_or_default(),
                haresources: groups_text.unwrap_or_default(),
                authkeys: keys_text.unwrap_or_default(),
            },
            complaints,
        }
    }
}

/// The files as they were read, to see at a reload which of them changed. A file that could not be read is empty.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Texts {
    pub ha_cf: String,
    pub haresources: String,
    pub authkeys: String,
}

impl fmt::Debug for Texts {
    /// Never shows the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts")
            .field("ha_cf", &self.ha_cf)
            .field("haresources", &self.haresources)
            .finish_non_exhaustive()
    }
}

/// What [`load`] found. A value is there exactly when no complaint about its file is an error.
#[derive(Debug)]
pub struct Loaded {
    pub cf: Option<HaCf>,
    pub haresources: Option<Haresources>,
    pub keys: Option<Keyring>,
    pub texts: Texts,
    pub complaints: Vec<Complaint>,
}

impl Loaded {
    /// May the daemon start with these files?
    pub fn is_usable(&self) -> bool {
        !self.complaints.iter().any(|c| c.severity == Severity::Error)
    }
}

/// What haresources has while the crm has the resources.
fn unused(file: &Path, text: &str) -> Option<Complaint> {
    let is_said = |l: &str| !l.trim().is_empty() && !l.trim_start().starts_with('#');
    let line = text.lines().position(is_said)? + 1;
    let message = "crm is on in ha.cf: the groups of this file are not used; configure them with `crm configure`, or \
                   write `crm off` in ha.cf"
        .to_owned();
    Some(Complaint {
        file: file.to_owned(),
        line,
        severity: Severity::Warning,
        message,
    })
}

/// Host names of ucast lines that cannot be looked up. For `heartbeat -t` only: it may wait for a name server.
pub fn host_names(file: &Path, cf: &HaCf) -> Vec<Complaint> {
    machine::host_names(file, cf)
}

/// What is damaged in hostcache, delhostcache and hb_peers: a warning each, since the daemon starts without what is lost.
pub fn remembered() -> Vec<Complaint> {
    [paths::hostcache(), paths::delhostcache(), paths::peers()]
        .iter()
        .filter(|file| file.exists())
        .flat_map(|file| match std::fs::read(file) {
            Ok(bytes) if *file == paths::peers() => lives::parse(file, &String::from_utf8_lossy(&bytes)).complaints,
            Ok(bytes) => hostcache::parse(file, &String::from_utf8_lossy(&bytes)).complaints,
            Err(e) => vec![Complaint {
                file: file.clone(),
                line: 0,
                severity: Severity::Warning,
                message: format!("cannot be read: {e}"),
            }],
        })
        .collect()
}

/// Reads and checks the installed files for node `me`.
pub fn load(me: &NodeName) -> Loaded {
    Files::installed().load(me)
}

/// One complaint a line, by file and line. Empty when there is none.
pub fn report(complaints: &[Complaint]) -> String {
    let mut sorted: Vec<&Complaint> = complaints.iter().collect();
    sorted.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    sorted.iter().map(|c| format!("{c}\n")).collect()
}
