//! From the CIB to [`Input`]: resources with what they inherit, clones with their instances.

use super::constraints;
use super::input::{Clones, Input, MultipleActive, OnFail, Operation, Primitive, R, Resource, Role, Shape, Target};
use super::nodes::{nodes, settings};
use super::rules::{Place, pairs, truth};
use crate::cib::{Cib, Element, Score, words};
use crate::time::Wall;
use std::collections::{BTreeMap, BTreeSet};

/// Of one clone: more than any cluster has places for. `clone-max=INFINITY` is a million.
const MOST_INSTANCES: usize = 1000;

pub(super) type Pairs = BTreeMap<String, String>;

/// `now` stands for the wall clock unless the CIB says itself when it is looked at.
pub fn unpack(cib: &Cib, now: Wall) -> Input {
    let now = cib
        .root()
        .get("execution-date")
        .and_then(|v| v.parse().ok())
        .map_or(now, Wall);
    let settings = settings(cib, now);
    let mut nodes = nodes(cib, &settings);
    nodes.sort_by(|a, b| a.uname.cmp(&b.uname));
    let mut input = Input {
        settings,
        nodes,
        resources: Vec::new(),
        tops: Vec::new(),
        locations: Vec::new(),
        colocations: Vec::new(),
        orders: Vec::new(),
        complaints: Vec::new(),
        names: BTreeMap::new(),
    };
    Unpacker::new(cib, &mut input).resources(cib);
    input.settings.can_fence = input
        .resources
        .iter()
        .any(|r| matches!(&r.shape, Shape::Primitive(p) if p.class == "stonith"));
    constraints::unpack(cib, &mut input);
    input
}

pub(super) fn set_of(element: Option<&Element>, kind: &'static str, now: Wall) -> Pairs {
    let sets = element.into_iter().flat_map(|e| e.children_named(kind));
    pairs(sets, Place { node: None, now })
}

/// By the id of a history: the nodes where it may be running.
fn active(cib: &Cib) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let stops = |e: &Element| e.get("operation") == Some("stop") && e.get("rc-code") == Some("0");
    for state in cib.status().children_named("node_state") {
        let lrm = state.child("lrm").and_then(|l| l.child("lrm_resources"));
        for rsc in lrm.iter().flat_map(|l| l.children_named("lrm_resource")) {
            if rsc.children.iter().any(|e| e.get("rc-code") != Some("7") && !stops(e)) {
                out.entry(rsc.id().to_owned())
                    .or_default()
                    .insert(state.id().to_owned());
            }
        }
    }
    out
}

/// Goes through the section of resources and notes what the CIB says for all of them.
struct Unpacker<'a> {
    input: &'a mut Input,
    defaults: Pairs,
    op_defaults: Pairs,
    templates: BTreeMap<&'a str, &'a Element>,
    node_count: usize,
    /// The nodes on which each id of the history may be running.
    active: BTreeMap<String, BTreeSet<String>>,
}

impl<'a> Unpacker<'a> {
    fn new(cib: &'a Cib, input: &'a mut Input) -> Self {
        let now = input.settings.now;
        let mut defaults = set_of(cib.section("rsc_defaults"), "meta_attributes", now);
        // What Pacemaker 1.0 had as cluster properties.
        for (property, meta) in [
            ("default-resource-stickiness", "resource-stickiness"),
            ("is-managed-default", "is-managed"),
        ] {
            if let Some(value) = cib.property(property) {
                defaults.entry(meta.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
        let resources = cib.section("resources");
        Self {
            defaults,
            op_defaults: set_of(cib.section("op_defaults"), "meta_attributes", now),
            templates: resources
                .into_iter()
                .flat_map(|s| s.children_named("template"))
                .map(|t| (t.id(), t))
                .collect(),
            node_count: input.nodes.iter().filter(|n| !n.ping).count(),
            active: active(cib),
            input,
        }
    }

    fn resources(&mut self, cib: &Cib) {
        for element in &cib.section("resources").expect("every CIB has it").children {
            if let Some(top) = self.resource(element, None, "", &Pairs::new()) {
                self.input.tops.push(top);
            }
        }
        self.orphans(cib);
        self.input.index();
    }

    /// What ran here and is no longer configured.
    fn orphans(&mut self, cib: &Cib) {
        let known: BTreeSet<String> = self.input.resources.iter().map(|r| r.plain.clone()).collect();
        let mut seen = BTreeSet::new();
        for state in cib.status().children_named("node_state") {
            if self.input.node(state.get("uname").unwrap_or(state.id())).is_none() {
                continue;
            }
            let lrm = state.child("lrm").and_then(|l| l.child("lrm_resources"));
            for rsc in lrm.into_iter().flat_map(|l| l.children_named("lrm_resource")) {
                let id = rsc.id();
                let base = id.split(':').next().unwrap_or(id);
                if known.contains(id) || known.contains(base) || !seen.insert(id.to_owned()) {
                    continue;
                }
                let copy = Element {
                    attributes: rsc.attributes.clone(),
                    ..Element::new("primitive")
                };
                if let Some(orphan) = self.resource(&copy, None, "", &Pairs::new()) {
                    self.input.resources[orphan].orphan = true;
                    self.input.tops.push(orphan);
                }
            }
        }
    }

    /// One resource and all in it. `suffix` is the number of the instance it belongs to, `inherited` its parents' meta.
    fn resource(&mut self, element: &Element, parent: Option<R>, suffix: &str, inherited: &Pairs) -> Option<R> {
        let now = self.input.settings.now;
        let template = element.get("template").and_then(|t| self.templates.get(t).copied());
        let own = || [Some(element), template].into_iter().flatten();
        let mut meta = pairs(
            own().flat_map(|e| e.children_named("meta_attributes")),
            Place { node: None, now },
        );
        for (name, value) in inherited {
            meta.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let passed_on = meta.clone();
        for (name, value) in &self.defaults {
            meta.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let number = suffix.to_owned();
        let at = self.input.resources.len();
        let mut resource = self.common(element.id(), &number, parent, meta);
        match &*element.name {
            "primitive" => {
                let place = Place { node: None, now };
                let said = |name: &str| own().find_map(|e| e.get(name)).unwrap_or_default().to_owned();
                resource.shape = Shape::Primitive(Primitive {
                    class: said("class"),
                    provider: said("provider"),
                    kind: said("type"),
                    params: pairs(own().flat_map(|e| e.children_named("instance_attributes")), place),
                    operations: self.operations(own()),
                });
                self.input.resources.push(resource);
            }
            "group" => {
                self.input.resources.push(resource);
                let members = element.children_named("primitive");
                let members = members
                    .filter_map(|m| self.resource(m, Some(at), suffix, &passed_on))
                    .collect();
                self.input.resources[at].shape = Shape::Group(members);
            }
            "clone" | "master" => {
                let mut clones = self.clones(&element.name, &resource.meta);
                if !resource.meta.contains_key("resource-stickiness") {
                    resource.stickiness = Score::new(1);
                }
                let mut passed_on = passed_on;
                passed_on
                    .entry("resource-stickiness".to_owned())
                    .or_insert_with(|| resource.stickiness.to_string());
                self.input.resources.push(resource);
                let child = element
                    .children
                    .iter()
                    .find(|c| ["primitive", "group"].contains(&&*c.name))?;
                // Instances that run are there, also those that are too many.
                let ids = child.walk().filter(|e| e.name == "primitive").map(|e| e.id());
                let running = ids
                    .filter_map(|id| self.active.get(id))
                    .flatten()
                    .collect::<BTreeSet<_>>()
                    .len();
                let count = if clones.unique {
                    clones.max
                } else {
                    clones.max.max(running)
                };
                for i in 0..count.max(1) {
                    let number = format!(":{i}");
                    clones
                        .instances
                        .extend(self.resource(child, Some(at), &number, &passed_on));
                }
                if clones.unique {
                    self.number(&clones.instances);
                }
                self.input.resources[at].shape = Shape::Clone(clones);
            }
            _ => return None,
        }
        Some(at)
    }

    /// Distinct instances are known by their number everywhere.
    fn number(&mut self, instances: &[R]) {
        for r in instances
            .iter()
            .flat_map(|i| self.input.primitives(*i))
            .collect::<Vec<_>>()
        {
            self.input.resources[r].plain = self.input.resources[r].id.clone();
        }
    }

    fn common(&self, id: &str, number: &str, parent: Option<R>, meta: Pairs) -> Resource {
        let settings = &self.input.settings;
        let score = |name: &str| meta.get(name).and_then(|v| Score::parse(v)).unwrap_or_default();
        let maintenance = settings.maintenance || truth(&meta, "maintenance", false);
        let threshold = meta.get("migration-threshold").and_then(|v| Score::parse(v));
        Resource {
            id: format!("{id}{number}"),
            plain: id.to_owned(),
            parent,
            shape: Shape::Primitive(Primitive::default()),
            orphan: false,
            managed: truth(&meta, "is-managed", true) && !maintenance,
            maintenance,
            stickiness: score("resource-stickiness"),
            priority: score("priority"),
            migration_threshold: threshold
                .filter(|t| !t.is_infinite() && t.value() > 0)
                .and_then(|t| u32::try_from(t.value()).ok()),
            failure_timeout: meta
                .get("failure-timeout")
                .and_then(|v| words::interval(v))
                .unwrap_or_default(),
            target: match meta.get("target-role").map(|r| r.to_ascii_lowercase()).as_deref() {
                _ if settings.stop_all => Target::Stopped,
                Some("stopped") => Target::Stopped,
                Some("slave" | "unpromoted") => Target::Slave,
                _ => Target::Any,
            },
            multiple_active: match meta.get("multiple-active").map(|v| &**v) {
                Some("stop_only") => MultipleActive::StopOnly,
                Some("block") => MultipleActive::Block,
                _ => MultipleActive::StopStart,
            },
            meta,
        }
    }

    fn clones(&self, element: &str, meta: &Pairs) -> Clones {
        let number = |names: [&str; 2], otherwise: usize| {
            let said = names.iter().find_map(|n| meta.get(*n));
            said.and_then(|v| Score::parse(v))
                .and_then(|s| usize::try_from(s.value()).ok())
                .unwrap_or(otherwise)
        };
        let promotable = element == "master" || truth(meta, "promotable", false);
        let per_node = number(["clone-node-max", ""], 1);
        Clones {
            instances: Vec::new(),
            max: number(["clone-max", ""], self.node_count.max(1)).min(MOST_INSTANCES),
            per_node,
            unique: truth(meta, "globally-unique", false),
            interleave: truth(meta, "interleave", false),
            ordered: truth(meta, "ordered", false),
            notify: truth(meta, "notify", false),
            promotable: promotable.then(|| {
                (
                    number(["promoted-max", "master-max"], 1),
                    number(["promoted-node-max", "master-node-max"], 1),
                )
            }),
        }
    }

    fn operations<'e>(&self, elements: impl Iterator<Item = &'e Element>) -> Vec<Operation> {
        let now = self.input.settings.now;
        let mut operations: Vec<Operation> = Vec::new();
        for op in elements
            .flat_map(|e| e.children_named("operations"))
            .flat_map(|o| o.children_named("op"))
        {
            let meta = set_of(Some(op), "meta_attributes", now);
            let said = |name: &str| {
                let own = op.get(name).or_else(|| meta.get(name).map(|v| &**v));
                own.or_else(|| self.op_defaults.get(name).map(|v| &**v))
            };
            let time = |name: &str| said(name).and_then(words::interval);
            let operation = Operation {
                name: op.get("name").unwrap_or_default().to_owned(),
                interval: op.get("interval").and_then(words::interval).unwrap_or_default(),
                timeout: time("timeout"),
                role: said("role").and_then(role),
                on_fail: said("on-fail").and_then(on_fail),
                enabled: said("enabled").and_then(words::truth).unwrap_or(true),
                start_delay: time("start-delay").unwrap_or_default(),
                params: set_of(Some(op), "instance_attributes", now),
            };
            let same = |o: &Operation| o.name == operation.name && o.interval == operation.interval;
            if !operations.iter().any(same) {
                operations.push(operation);
            }
        }
        operations
    }
}

pub(super) fn role(word: &str) -> Option<Role> {
    match word.to_ascii_lowercase().as_str() {
        "stopped" => Some(Role::Stopped),
        "started" => Some(Role::Started),
        "slave" | "unpromoted" => Some(Role::Slave),
        "master" | "promoted" => Some(Role::Master),
        _ => None,
    }
}

fn on_fail(word: &str) -> Option<OnFail> {
    match word {
        "ignore" | "nothing" => Some(OnFail::Ignore),
        "restart" => Some(OnFail::Restart),
        "block" => Some(OnFail::Block),
        "stop" => Some(OnFail::Stop),
        "migrate" => Some(OnFail::Migrate),
        "standby" => Some(OnFail::Standby),
        "fence" => Some(OnFail::Fence),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_without_a_limit_has_no_million_instances() {
        let text = "<cib><configuration><crm_config/><nodes><node id='1' uname='n1'/></nodes><resources><clone id='c'>\
            <meta_attributes id='m'><nvpair id='x' name='clone-max' value='INFINITY'/></meta_attributes>\
            <primitive id='p' class='ocf' provider='heartbeat' type='Dummy'/></clone></resources><constraints/>\
            </configuration><status/></cib>";
        let input = unpack(&Cib::parse(text).unwrap(), Wall(0));
        assert_eq!(input.resources.len(), 1 + MOST_INSTANCES);
    }
}
