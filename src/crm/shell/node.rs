//! The level `node`: standby, attributes, fencing, removal.

use super::session::{Call, Done, Failure, Session};
use crate::cib::{Cib, Edit, Element};
use crate::crm::changes::attributes::{self, Kind, Owner};
use crate::crm::tool;
use crate::policy::show;
use std::fmt::Write;

impl Session {
    pub fn node(&mut self, call: Call<'_>) -> Done {
        match call.name {
            "status" => {
                call.at_most(1)?;
                let cib = self.access().cib()?;
                let only = call.words.first().map(|w| &*w.text);
                if let Some(name) = only {
                    self.member(&cib, name)?;
                }
                let nodes = cib.section("nodes").into_iter().flat_map(|s| s.children_named("node"));
                let wanted = |n: &&Element| only.is_none_or(|o| n.get("uname") == Some(o) || n.id() == o);
                let text: String = nodes.filter(wanted).map(Element::to_indented).collect();
                self.out(&text);
                Ok(())
            }
            "show" => self.show_nodes(call),
            "server" => {
                let cib = self.access().cib()?;
                let names: Vec<String> = match call.words.first() {
                    Some(word) => vec![self.member(&cib, &word.text)?.0],
                    None => tool::view(&cib).input.nodes.iter().map(|n| n.uname.clone()).collect(),
                };
                self.out(&names.iter().map(|n| format!("{n}\n")).collect::<String>());
                Ok(())
            }
            "standby" => self.standby(call),
            "online" => {
                call.at_most(1)?;
                let (node, _) = self.named(&call, 0)?;
                self.set(&node, Kind::Instance, "standby", Some("off"))?;
                self.forget_transient(&node, "standby")?;
                self.info(&format!("online node {node}"));
                self.settle()
            }
            "maintenance" | "ready" => {
                call.at_most(1)?;
                let (node, _) = self.named(&call, 0)?;
                let value = if call.name == "ready" { "off" } else { "on" };
                self.set(&node, Kind::Instance, "maintenance", Some(value))?;
                if value == "off" {
                    self.forget_transient(&node, "maintenance")?;
                }
                self.settle()
            }
            "attribute" => self.attributes(call, Kind::Instance),
            "utilization" => self.attributes(call, Kind::Utilization),
            "status-attr" => self.transients(call),
            "fence" => {
                let node = call.need(0, "the name of a node")?;
                call.at_most(1)?;
                let cib = self.access().cib()?;
                let (node, _) = self.member(&cib, node)?;
                let question = format!(
                    "Fencing {node} will shut down the node and migrate any resources that are running on it! Do you \
                     want to fence {node}"
                );
                self.sure(&question)?;
                self.transient(&node, "terminate", Some("true"))?;
                self.settle()
            }
            "clearstate" => {
                let node = call.need(0, "the name of a node")?;
                call.at_most(1)?;
                self.clear_state(node)
            }
            _ => {
                let node = call.need(0, "the name of a node")?;
                call.at_most(1)?;
                self.delete_node(node)
            }
        }
    }

    /// The node's name and id.
    fn member(&self, cib: &Cib, name: &str) -> Result<(String, String), Failure> {
        match attributes::node(cib, name) {
            Some(node) => Ok((node.get("uname").unwrap_or(name).to_owned(), node.id().to_owned())),
            None => Err(Failure::Text(format!("Node \"{name}\" is not a cluster node"))),
        }
    }

    /// The node that a word names, else this one.
    fn named(&self, call: &Call<'_>, at: usize) -> Result<(String, String), Failure> {
        let name = match call.words.get(at) {
            Some(word) => word.text.clone(),
            None => self.access().local_node()?,
        };
        self.member(&self.access().cib()?, &name)
    }

    /// Asks; without anybody to ask, only -F is an answer.
    fn sure(&mut self, question: &str) -> Done {
        match self.ask(question, false) {
            true => Ok(()),
            false if self.asker.is_none() && !self.options.no => {
                Err("not without -F: there is nobody to ask whether this is meant".into())
            }
            false => Err(Failure::Text("nothing was done".to_owned())),
        }
    }

    fn show_nodes(&mut self, call: Call<'_>) -> Done {
        call.at_most(1)?;
        let cib = self.access().cib()?;
        let only = match call.words.first() {
            Some(word) => Some(self.member(&cib, &word.text)?.0),
            None => None,
        };
        let view = tool::view(&cib);
        let mut out = String::new();
        for node in view
            .input
            .nodes
            .iter()
            .filter(|n| only.as_ref().is_none_or(|o| *o == n.uname))
        {
            let element = attributes::node(&cib, &node.uname);
            let kind = element.and_then(|e| e.get("type")).unwrap_or("normal");
            let id = if node.id == node.uname {
                String::new()
            } else {
                format!("({})", node.id)
            };
            let away = if show::mode(node, || false).contains("OFFLINE") {
                "(offline)"
            } else {
                ""
            };
            let _ = writeln!(out, "{}{id}: {kind}{away}", node.uname);
            let sets = element
                .into_iter()
                .flat_map(|e| e.children_named("instance_attributes"));
            let pairs: Vec<String> = sets
                .flat_map(|s| s.children_named("nvpair"))
                .filter_map(|p| Some(format!("{}={}", p.get("name")?, p.get("value")?)))
                .collect();
            if !pairs.is_empty() {
                let _ = writeln!(out, "\t{}", pairs.join(" "));
            }
        }
        self.out(&out);
        Ok(())
    }

    /// `[NODE] [reboot|forever]`
    fn standby(&mut self, call: Call<'_>) -> Done {
        let is_lifetime = |w: &str| ["reboot", "forever"].contains(&w);
        let (node, lifetime) = match call.texts()[..] {
            [] => (self.named(&call, 0)?.0, "forever"),
            [lifetime] if is_lifetime(lifetime) => (self.named(&call, 1)?.0, lifetime),
            [_] => (self.named(&call, 0)?.0, "forever"),
            [_, lifetime] if is_lifetime(lifetime) => (self.named(&call, 0)?.0, lifetime),
            _ => return Err(call.expected(1, "reboot or forever")),
        };
        if lifetime == "reboot" {
            self.transient(&node, "standby", Some("on"))?;
        } else {
            self.set(&node, Kind::Instance, "standby", Some("on"))?;
        }
        self.info(&format!("standby node {node}"));
        self.settle()
    }

    /// Sets or takes away an attribute of a node's entry; whether it was there.
    fn set(&mut self, node: &str, kind: Kind, name: &str, value: Option<&str>) -> Result<bool, Failure> {
        let mut access = self.access();
        let cib = access.cib()?;
        let element = attributes::node(&cib, node).ok_or_else(|| format!("Node \"{node}\" is not a cluster node"))?;
        let new_set = match kind {
            Kind::Utilization => format!("nodes-{}-utilization", element.id()),
            _ => format!("nodes-{}", element.id()),
        };
        let owner = Owner {
            section: "nodes",
            element,
            kind,
            set: None,
            pair: None,
            new_set: &new_set,
        };
        let there = owner.find(name);
        let edits: Vec<Edit> = match value {
            Some(value) => vec![owner.set(name, value).0],
            None => there.iter().map(|p| owner.delete(p)).collect(),
        };
        if !edits.is_empty() {
            access.apply(&edits)?;
        }
        Ok(!there.is_empty())
    }

    fn forget_transient(&mut self, node: &str, name: &str) -> Done {
        let cib = self.access().cib()?;
        let view = tool::view(&cib);
        let there = view
            .input
            .node(node)
            .is_some_and(|n| view.input.nodes[n].transient.contains_key(name));
        let written = cib
            .status()
            .walk()
            .any(|e| e.name == "nvpair" && e.get("name") == Some(name));
        if there || written {
            self.transient(node, name, None)?;
        }
        Ok(())
    }

    /// `NODE set NAME VALUE | delete NAME | show NAME`
    fn attributes(&mut self, call: Call<'_>, kind: Kind) -> Done {
        call.need(0, "the name of a node")?;
        let (node, _) = self.named(&call, 0)?;
        let what = "set, delete or show";
        let verb = call.need(1, what)?;
        let name = call.need(2, "the name of an attribute")?;
        match verb {
            "set" => {
                call.at_most(4)?;
                self.set(&node, kind, name, Some(call.need(3, "a value")?))?;
            }
            "delete" => {
                call.at_most(3)?;
                if !self.set(&node, kind, name, None)? {
                    return Err(format!("node {node} has no attribute {name}").into());
                }
            }
            "show" => {
                call.at_most(3)?;
                let cib = self.access().cib()?;
                let sets = attributes::node(&cib, &node)
                    .into_iter()
                    .flat_map(|e| e.children_named(kind.element()));
                let pair = sets
                    .flat_map(|s| s.children_named("nvpair"))
                    .find(|p| p.get("name") == Some(name));
                match pair.and_then(|p| p.get("value")) {
                    Some(value) => self.out(&format!("scope=nodes  name={name} value={value}\n")),
                    None => return Err(format!("node {node} has no attribute {name}").into()),
                }
                return Ok(());
            }
            _ => return Err(call.expected(1, what)),
        }
        self.settle()
    }

    fn transients(&mut self, call: Call<'_>) -> Done {
        call.need(0, "the name of a node")?;
        let (node, _) = self.named(&call, 0)?;
        let what = "set, delete or show";
        let verb = call.need(1, what)?;
        let name = call.need(2, "the name of an attribute")?;
        match verb {
            "set" => {
                call.at_most(4)?;
                self.transient(&node, name, Some(call.need(3, "a value")?))?;
            }
            "delete" => {
                call.at_most(3)?;
                self.transient(&node, name, None)?;
            }
            "show" => {
                call.at_most(3)?;
                let cib = self.access().cib()?;
                let states = cib.status().children_named("node_state");
                let mut states = states.filter(|s| s.get("uname") == Some(&*node));
                let found = states.next().and_then(|s| {
                    let mut pairs = s.child("transient_attributes")?.walk().filter(|e| e.name == "nvpair");
                    pairs
                        .find(|p| p.get("name") == Some(name))?
                        .get("value")
                        .map(str::to_owned)
                });
                match found {
                    Some(value) => self.out(&format!("scope=status  name={name} value={value}\n")),
                    None => return Err(format!("node {node} has no attribute {name}").into()),
                }
                return Ok(());
            }
            _ => return Err(call.expected(1, what)),
        }
        self.settle()
    }

    /// Tells the cluster that a node is down, so that what it may have run can be started elsewhere.
    fn clear_state(&mut self, node: &str) -> Done {
        let mut access = self.access();
        let cib = access.cib()?;
        let (node, id) = self.member(&cib, node)?;
        let view = tool::view(&cib);
        if view.input.node(&node).is_some_and(|n| view.input.nodes[n].online) {
            return Err(format!("node {node} is online: its state is its own").into());
        }
        self.sure(&format!("Do you really want to drop state for node {node}"))?;
        let state = Element::new("node_state")
            .with("id", &id)
            .with("uname", &node)
            .with("in_ccm", "false")
            .with("crmd", "offline")
            .with("join", "down")
            .with("expected", "down");
        let mut edits = vec![Edit::Modify {
            section: "status".to_owned(),
            xml: state,
            or_create: true,
        }];
        // What it ran, it runs no more.
        let lrm = cib
            .status()
            .children_named("node_state")
            .find(|s| s.id() == id)
            .and_then(|s| s.child("lrm"));
        if let Some(lrm) = lrm {
            edits.push(Edit::Replace {
                section: "status".to_owned(),
                xml: Element {
                    attributes: lrm.attributes.clone(),
                    ..Element::new("lrm")
                },
            });
        }
        access.apply(&edits)?;
        self.settle()
    }

    fn delete_node(&mut self, node: &str) -> Done {
        let mut access = self.access();
        let cib = access.cib()?;
        let (node, id) = self.member(&cib, node)?;
        let view = tool::view(&cib);
        let n = view.input.node(&node);
        if n.is_some_and(|n| view.input.nodes[n].online || view.input.nodes[n].pending) {
            return Err(Failure::Plain(format!(
                "according to crm_node, node {node} is still active"
            )));
        }
        if access.path().is_none() {
            access.remove_node(&node)?;
        } else {
            let delete = |section: &str, name: &str| Edit::Delete {
                section: section.to_owned(),
                xml: Element::new(name).with("id", &id),
            };
            access.apply(&[delete("nodes", "node"), delete("status", "node_state")])?;
        }
        self.info(&format!("node {node} deleted"));
        Ok(())
    }
}
