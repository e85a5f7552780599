//! The cluster's properties, and its nodes with their state.

use super::input::{Node, Settings, WithoutQuorum};
use super::properties;
use super::rules::truth;
use super::unpack::set_of;
use crate::cib::{Cib, words};
use crate::time::{Duration, Wall};

/// The DC says so of a partition that has lost it; not in what is kept, only in what is planned from.
pub const HAD_QUORUM: &str = "no-quorum-panic";

pub(super) fn settings(cib: &Cib, now: Wall) -> Settings {
    let properties = properties::written(cib, now);
    let say = |name: &str| properties.get(name).map(|v| &**v);
    let yes = |name: &str, otherwise| truth(&properties, name, otherwise);
    let time = |name: &str| say(name).and_then(words::interval);
    let of_root = |name: &str| cib.root().get(name).and_then(words::truth).unwrap_or(false);
    let quorate = of_root("have-quorum");
    Settings {
        now,
        quorate,
        without_quorum: match say("no-quorum-policy").map(str::to_ascii_lowercase).as_deref() {
            Some("ignore") => WithoutQuorum::Ignore,
            Some("freeze") => WithoutQuorum::Freeze,
            // Without fencing nobody can be made to go; and who never had quorum has only just begun.
            Some("suicide") if yes("stonith-enabled", true) && (quorate || of_root(HAD_QUORUM)) => {
                WithoutQuorum::Suicide
            }
            _ => WithoutQuorum::Stop,
        },
        fencing: yes("stonith-enabled", true),
        can_fence: false,
        fence_action: match say("stonith-action") {
            Some("off" | "poweroff") => "off".to_owned(),
            _ => "reboot".to_owned(),
        },
        startup_fencing: yes("startup-fencing", true),
        symmetric: yes("symmetric-cluster", true),
        maintenance: yes("maintenance-mode", false),
        start_failure_is_fatal: yes("start-failure-is-fatal", true),
        probes: yes("enable-startup-probes", true),
        stop_all: yes("stop-all-resources", false),
        stop_orphans: yes("stop-orphan-resources", true),
        cancel_orphan_actions: yes("stop-orphan-actions", true),
        // 20 s, as in every version of Pacemaker.
        default_timeout: time("default-action-timeout").unwrap_or(Duration::from_secs(20)),
        feature_set: cib.root().get("crm_feature_set").unwrap_or_default().to_owned(),
    }
}

pub(super) fn nodes(cib: &Cib, settings: &Settings) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let configured = cib.section("nodes").into_iter().flat_map(|s| s.children_named("node"));
    for element in configured {
        nodes.push(Node {
            id: element.id().to_owned(),
            uname: element.get("uname").unwrap_or_default().to_owned(),
            ping: element.get("type") == Some("ping"),
            attributes: set_of(Some(element), "instance_attributes", settings.now),
            unclean: settings.fencing && settings.startup_fencing,
            lost: "node is unclean",
            ..Node::default()
        });
    }
    let dies = !settings.quorate && settings.without_quorum == WithoutQuorum::Suicide;
    let dc = cib.root().get("dc-uuid").filter(|id| !id.is_empty());
    for state in cib.status().children_named("node_state") {
        let (id, uname) = (state.id(), state.get("uname").unwrap_or_default());
        // Of a node that is no longer configured the status says nothing that matters.
        let Some(at) = nodes.iter().position(|n| n.id == id || n.uname == uname) else {
            continue;
        };
        let node = &mut nodes[at];
        let is = |name: &str, value: &str| state.get(name) == Some(value);
        let yes = |name: &str| state.get(name).and_then(words::truth).unwrap_or(false);
        let (there, running, joined) = (yes("in_ccm"), is("crmd", "online"), is("join", "member"));
        node.seen = true;
        node.dc = dc == Some(&*node.id);
        node.transient = set_of(state.child("transient_attributes"), "instance_attributes", settings.now);
        node.attributes.extend(node.transient.clone());
        let shutdown = |v: &str| v.trim().parse::<u64>().is_ok_and(|t| t > 0);
        node.shutting_down =
            node.transient.get("shutdown").is_some_and(|v| shutdown(v)) || state.get("shutdown").is_some_and(shutdown);
        let expected = is("expected", "member");
        (node.online, node.pending, node.unclean) = match settings.fencing {
            false => (
                there && running && joined,
                false,
                there && !running && expected && !node.shutting_down,
            ),
            true if node.shutting_down => (running, false, false),
            // It left as it should; it may be on its way back.
            true if !expected => (there, there || running, false),
            true => (there, running && !joined, !there || !running),
        };
        node.pending &= !node.unclean;
        node.lost = match (node.unclean, there) {
            (false, _) => "",
            (true, false) => "peer is no longer part of the cluster",
            (true, true) => "peer process is no longer available",
        };
        let asked = node
            .attributes
            .get("terminate")
            .is_some_and(|v| words::truth(v).unwrap_or(false));
        let why = match (asked && !node.shutting_down, dies) {
            (true, _) => Some("termination was requested"),
            (false, true) => Some("cluster does not have quorum"),
            (false, false) => None,
        };
        if let Some(why) = why.filter(|_| settings.fencing && node.online && !node.unclean) {
            (node.unclean, node.lost, node.pending) = (true, why, false);
        }
    }
    for node in &mut nodes {
        node.standby = truth(&node.attributes, "standby", false);
        node.maintenance = truth(&node.attributes, "maintenance", false);
    }
    nodes
}
