//! What of the status is not as the DC saw it last.

use crate::cib::{Cib, Element};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is new.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A line of a node's history is there, or is another one.
    Line { node: String, line: Element },
    /// A node's state, or an attribute of it.
    Node { node: String, what: String },
    /// Something is no longer there.
    Gone,
}

/// Every line and attribute by what it is, with what it says: as numbers, since there may be many thousands.
#[derive(Debug, Default)]
pub struct Watch(BTreeMap<u64, u64>);

fn number(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Watch {
    /// What has changed since the last look.
    pub fn look(&mut self, cib: &Cib) -> Vec<Change> {
        let mut now = BTreeMap::new();
        let mut changes = Vec::new();
        let mut see = |key: u64, value: u64, change: &mut dyn FnMut() -> Change| {
            if self.0.get(&key) != Some(&value) {
                changes.push(change());
            }
            now.insert(key, value);
        };
        for state in cib.status().children_named("node_state") {
            let node = state.get("uname").unwrap_or(state.id()).to_owned();
            let of_node = |what: &str| Change::Node {
                node: node.clone(),
                what: what.to_owned(),
            };
            see(number(("state", &node)), number(&state.attributes), &mut || {
                of_node("state")
            });
            let transient = state.child("transient_attributes").into_iter();
            for pair in transient.flat_map(Element::walk).filter(|e| e.name == "nvpair") {
                let name = pair.get("name").unwrap_or_default();
                see(number(("pair", &node, name)), number(pair.get("value")), &mut || {
                    of_node(name)
                });
            }
            let resources = state.child("lrm").and_then(|l| l.child("lrm_resources")).into_iter();
            for rsc in resources.flat_map(|r| r.children_named("lrm_resource")) {
                for line in rsc.children_named("lrm_rsc_op") {
                    let value = ["transition-magic", "call-id", "last-rc-change"].map(|a| line.get(a));
                    see(number(("line", &node, rsc.id(), line.id())), number(value), &mut || {
                        Change::Line {
                            node: node.clone(),
                            line: line.clone(),
                        }
                    });
                }
            }
        }
        if self.0.keys().any(|key| !now.contains_key(key)) {
            changes.push(Change::Gone);
        }
        self.0 = now;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cib(state: &str, pairs: &str, lines: &str) -> Cib {
        Cib::parse(&format!(
            "<cib><status><node_state id='1' uname='n1' crmd='{state}'><transient_attributes id='1'>\
             <instance_attributes id='s'>{pairs}</instance_attributes></transient_attributes>\
             <lrm id='1'><lrm_resources><lrm_resource id='a'>{lines}</lrm_resource></lrm_resources></lrm>\
             </node_state></status></cib>"
        ))
        .unwrap()
    }

    #[test]
    fn each_change_is_seen_once() {
        let line = |call: u32| format!("<lrm_rsc_op id='a_last_0' call-id='{call}' transition-magic='0:0;1:2:0:u'/>");
        let pair = "<nvpair id='p' name='pingd' value='100'/>";
        let other = pair.replace("100", "0");
        #[rustfmt::skip]
        let table = [
            // state     pairs    line      what is new
            ("online",   "",      line(1),  "Node state, Line a_last_0"),
            ("online",   "",      line(1),  ""),
            ("online",   pair,    line(1),  "Node pingd"),
            ("online",   pair,    line(2),  "Line a_last_0"),
            ("online",   &other,  line(2),  "Node pingd"),
            ("offline",  &other,  line(2),  "Node state"),
            ("offline",  "",      line(2),  "Gone"),
            ("offline",  "",      "".into(), "Gone"),
            ("offline",  "",      "".into(), ""),
        ];
        let mut watch = Watch::default();
        for (i, (state, pairs, line, expected)) in table.iter().enumerate() {
            let got = watch.look(&cib(state, pairs, line)).into_iter().map(|c| match c {
                Change::Line { line, .. } => format!("Line {}", line.id()),
                Change::Node { what, .. } => format!("Node {what}"),
                Change::Gone => "Gone".to_owned(),
            });
            assert_eq!(got.collect::<Vec<_>>().join(", "), *expected, "row {i}");
        }
    }
}
