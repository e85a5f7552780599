//! Whether what runs was started as it is configured today: the digests of its parameters tell.

use super::entry::{Entry, PENDING};
use super::history::Here;
use super::input::{Input, N, Operation, Primitive, R, Role};
use crate::agents::operation::digest_of;
use std::collections::{BTreeMap, BTreeSet};

/// Compares what runs with what is configured.
pub(super) fn compare(input: &Input, r: R, node: N, primitive: &Primitive, entries: &[Entry], here: &mut Here) {
    if here.role == Role::Stopped || input.resources[r].orphan || !input.nodes[node].is_looked_after() {
        return;
    }
    let last_start = entries
        .iter()
        .rposition(|e| ["start", "migrate_from"].contains(&&*e.operation));
    for (i, e) in entries.iter().enumerate() {
        // A start that is not over was asked for with the parameters of that time.
        let pending = e.status == PENDING && e.operation != "start";
        if last_start.is_some_and(|s| i < s) || pending {
            continue;
        }
        let recurring = !e.interval.is_zero();
        if !recurring && !e.is_probe() && !["start", "promote", "migrate_from"].contains(&&*e.operation) {
            continue;
        }
        let operation = primitive
            .operations
            .iter()
            .find(|o| o.name == e.operation && o.interval == e.interval);
        if recurring && operation.is_none() {
            continue;
        }
        let all = op_digest(input, primitive, operation, recurring);
        if e.digest.as_deref() == Some(&*all) {
            continue;
        }
        if recurring {
            here.changed_monitors.insert((e.operation.clone(), e.interval));
        } else if !only_reloads(primitive, e) {
            here.changed = true;
        }
    }
}

/// Whether an entry's parameters are not those of today.
pub(super) fn is_other(input: &Input, r: R, e: &Entry) -> bool {
    let Some(primitive) = input.primitive(r) else {
        return false;
    };
    let op = primitive
        .operations
        .iter()
        .find(|o| o.name == e.operation && o.interval == e.interval);
    e.digest
        .as_deref()
        .is_some_and(|d| *d != *op_digest(input, primitive, op, !e.interval.is_zero()))
}

/// The agent can take the parameters that changed without a restart.
fn only_reloads(primitive: &Primitive, e: &Entry) -> bool {
    let (Some(names), Some(digest)) = (&e.force_restart, &e.restart_digest) else {
        return false;
    };
    let names: BTreeSet<&str> = names.split_whitespace().collect();
    let kept = primitive.params.iter().filter(|(n, _)| names.contains(&***n));
    *digest == digest_of(kept.map(|(n, v)| (n.as_str(), v.as_str())))
}

/// See the spec of the CIB: the parameters sorted by name, of a recurring operation its time limit among them.
pub fn op_digest(input: &Input, primitive: &Primitive, operation: Option<&Operation>, recurring: bool) -> String {
    let mut all: BTreeMap<&str, String> = primitive.params.iter().map(|(n, v)| (&**n, v.clone())).collect();
    if let Some(operation) = operation {
        for (name, value) in &operation.params {
            all.insert(name, value.clone());
        }
    }
    if recurring {
        let timeout = operation
            .and_then(|o| o.timeout)
            .unwrap_or(input.settings.default_timeout);
        all.insert("CRM_meta_timeout", timeout.as_millis().to_string());
    }
    digest_of(all.iter().map(|(n, v)| (*n, v.as_str())))
}
