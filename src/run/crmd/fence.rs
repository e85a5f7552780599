//! Fencing as the DC does it: one device after the other, until one of them says that it was done.

use crate::agents::Agent;
use crate::agents::protocol::{Fencing, How};
use crate::cib::{Cib, Edit, Element};
use crate::policy::input::{Input, Shape, Target};
use crate::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// Parameters that say which nodes a device is for.
const HOSTS: [&str; 3] = ["pcmk_host_list", "hostlist", "host_list"];

#[derive(Clone, Debug)]
struct Device {
    rsc: String,
    agent: Agent,
    params: BTreeMap<String, String>,
}

/// A node that is to be fenced.
#[derive(Debug)]
pub struct Fence {
    pub number: u64,
    pub id: usize,
    pub node: String,
    how: How,
    timeout: Duration,
    left: VecDeque<Device>,
    /// The one at work, by its number at lrmd.
    pub asked: Option<u64>,
}

impl Fence {
    pub fn new(input: &Input, number: u64, id: usize, node: &str, action: &str, timeout: Duration) -> Self {
        Self {
            number,
            id,
            node: node.to_owned(),
            how: How::parse(action).unwrap_or(How::Reboot),
            timeout,
            left: devices(input, node),
            asked: None,
        }
    }

    /// What to try next; `None`: nothing is left.
    pub fn next(&mut self) -> Option<impl FnOnce(u64) -> Fencing + use<>> {
        let device = self.left.pop_front()?;
        log::info!("fencing node {}: with {} ({})", self.node, device.rsc, device.agent);
        let (how, node, timeout) = (self.how, self.node.clone(), self.timeout);
        Some(move |id| Fencing {
            id,
            rsc: device.rsc,
            agent: device.agent,
            params: device.params,
            how,
            node: Some(node),
            timeout,
        })
    }
}

/// The devices that are for this node, or do not say which they are for.
fn devices(input: &Input, node: &str) -> VecDeque<Device> {
    let mut all = VecDeque::new();
    for rsc in input.resources.iter().filter(|r| !r.orphan && r.target == Target::Any) {
        let Shape::Primitive(primitive) = &rsc.shape else {
            continue;
        };
        if primitive.class != "stonith" {
            continue;
        }
        let hosts = HOSTS.iter().find_map(|h| primitive.params.get(*h));
        let separator = |c: char| c.is_whitespace() || ",;".contains(c);
        let named = |hosts: &String| hosts.split(separator).any(|h| h.eq_ignore_ascii_case(node));
        if !hosts.is_none_or(named) || all.iter().any(|d: &Device| d.rsc == rsc.plain) {
            continue;
        }
        match Agent::new(&primitive.class, None, &primitive.kind) {
            Ok(agent) => all.push_back(Device {
                rsc: rsc.plain.clone(),
                agent,
                params: primitive.params.clone(),
            }),
            Err(why) => log::error!("fencing node {node}: {}: {why}", rsc.plain),
        }
    }
    all
}

/// The node is off: nothing of it runs, and it is missed no more. One that was never seen has no state until then.
pub fn fenced(cib: &Cib, node: &str) -> Vec<Edit> {
    let named = |e: &&Element| e.get("uname").is_some_and(|u| u.eq_ignore_ascii_case(node));
    let seen = cib.status().children_named("node_state").find(named);
    let configured = || cib.section("nodes")?.children_named("node").find(named);
    let Some(id) = seen.or_else(configured).map(Element::id) else {
        return Vec::new();
    };
    let parts = ["lrm", "transient_attributes"].into_iter().filter(|_| seen.is_some());
    let mut edits: Vec<Edit> = parts
        .map(|part| Edit::Delete {
            section: "status".to_owned(),
            xml: Element::new("node_state").with("id", id).holding(Element::new(part)),
        })
        .collect();
    let state = Element::new("node_state").with("id", id).with("uname", node);
    edits.push(Edit::Modify {
        section: "status".to_owned(),
        xml: state
            .with("in_ccm", "false")
            .with("crmd", "offline")
            .with("join", "down")
            .with("expected", "down"),
        or_create: true,
    });
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{history, unpack};
    use crate::time::Wall;

    #[test]
    fn a_node_that_was_fenced_is_missed_no_more_and_runs_nothing() {
        let lost = "<node_state id='u2' uname='n2' in_ccm='false' crmd='offline' join='down' expected='member'>\
                    <transient_attributes id='u2'/><lrm id='u2'><lrm_resources><lrm_resource id='a' class='ocf' \
                    provider='pacemaker' type='Dummy'><lrm_rsc_op id='a_last_0' operation='start' interval='0' call-id='1' \
                    rc-code='0' op-status='0' transition-key='1:1:0:x'/></lrm_resource></lrm_resources></lrm></node_state>";
        let stopped = "<node_state id='u2' uname='N2' in_ccm='true' crmd='online' join='member' expected='member'/>";
        for status in ["", lost, stopped] {
            let mut cib = Cib::parse(&format!(
                "<cib><configuration><crm_config/><nodes><node id='u1' uname='n1'/><node id='u2' uname='n2'/></nodes>\
                 <resources><primitive id='a' class='ocf' provider='pacemaker' type='Dummy'/></resources><constraints/>\
                 </configuration><status>{status}</status></cib>"
            ))
            .expect("a CIB");
            cib.apply(&fenced(&cib, "n2"), &Default::default()).expect("applied");
            let mut input = unpack::unpack(&cib, Wall(0));
            let state = history::read(&cib, &mut input);
            let n = input.node("n2").expect("it is configured");
            let node = &input.nodes[n];
            assert!(!node.unclean && !node.online && node.seen, "{status}: {node:?}");
            assert!(
                state
                    .on
                    .iter()
                    .all(|((_, on), h)| *on != n || h.role == Default::default()),
                "{status}"
            );
        }
    }
}
