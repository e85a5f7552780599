//! The objects of a configuration: what the shell calls them, where they are, in which order they are shown.

use crate::cib::Element;
use crate::shell::print;

/// One object of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    pub section: &'a str,
    pub element: &'a Element,
    /// The group or clone that holds it.
    pub parent: Option<&'a str>,
}

impl<'a> Listed<'a> {
    /// What the shell calls it: its id, of a node its uname.
    pub fn name(&self) -> &'a str {
        name_of(self.element)
    }

    /// What tells it apart from every other object.
    pub fn key(&self) -> String {
        key_of(self.element)
    }

    pub fn keyword(&self) -> &'a str {
        match &*self.element.name {
            "template" => "rsc_template",
            "master" => "ms",
            "rsc_location" => "location",
            "rsc_colocation" => "colocation",
            "rsc_order" => "order",
            "cluster_property_set" => "property",
            "meta_attributes" => self.section,
            "fencing-topology" => "fencing_topology",
            name => name,
        }
    }

    pub fn text(&self) -> String {
        print::object(self.section, self.element)
    }
}

/// Nodes have names of their own: one may be called as a constraint is.
pub(super) const NODE_KEY: &str = "node ";

/// What tells two objects apart.
pub(super) fn key_of(element: &Element) -> String {
    match &*element.name {
        "node" => format!("{NODE_KEY}{}", name_of(element)),
        _ => name_of(element).to_owned(),
    }
}

pub(super) fn name_of(element: &Element) -> &str {
    match (&*element.name, &element.children[..]) {
        ("fencing-topology", _) => "fencing_topology",
        ("rsc_defaults" | "op_defaults", [set]) => set.id(),
        ("node", _) => element.get("uname").unwrap_or(element.id()),
        _ => element.id(),
    }
}

/// All objects, members of groups and clones too, in the order of the document.
pub fn objects(configuration: &Element) -> Vec<Listed<'_>> {
    fn resource<'a>(element: &'a Element, parent: Option<&'a str>, out: &mut Vec<Listed<'a>>) {
        out.push(Listed {
            section: "resources",
            element,
            parent,
        });
        for child in element.children.iter().filter(|c| print::is_resource(c)) {
            resource(child, Some(element.id()), out);
        }
    }
    let mut out = Vec::new();
    for section in &configuration.children {
        match &*section.name {
            "resources" => section.children.iter().for_each(|e| resource(e, None, &mut out)),
            "fencing-topology" if section.children.is_empty() => {}
            "fencing-topology" => out.push(Listed {
                section: "configuration",
                element: section,
                parent: None,
            }),
            "crm_config" | "nodes" | "constraints" | "rsc_defaults" | "op_defaults" | "tags" => {
                out.extend(section.children.iter().map(|element| Listed {
                    section: &section.name,
                    element,
                    parent: None,
                }));
            }
            // Of other programs: kept, not shown.
            _ => {}
        }
    }
    out
}

/// As `show` prints them: nodes, templates, primitives, groups, ms, clones, tags, constraints, topology, settings.
pub(super) fn in_order(configuration: &Element) -> Vec<Listed<'_>> {
    let place = |o: &Listed<'_>| match (&*o.element.name, o.section) {
        ("node", _) => 0,
        ("template", _) => 1,
        ("primitive", _) => 2,
        ("group", _) => 3,
        ("master", _) => 4,
        ("clone" | "bundle", _) => 5,
        ("tag", _) => 6,
        (_, "constraints") => 7,
        ("fencing-topology", _) => 8,
        ("cluster_property_set", _) => 9,
        (_, "rsc_defaults") => 10,
        _ => 11,
    };
    let mut all = objects(configuration);
    // Sets of settings stay in their order: the first that names something wins.
    all.sort_by(|a, b| {
        let by_name = if place(a) < 8 {
            a.name().cmp(b.name())
        } else {
            std::cmp::Ordering::Equal
        };
        place(a).cmp(&place(b)).then(by_name)
    });
    all
}

/// The object by the shell's name for it, wherever in the configuration it is: by its id, else a node by its uname.
pub(super) fn find<'a>(configuration: &'a Element, name: &str) -> Option<&'a Element> {
    listed(configuration, name).map(|o| o.element)
}

pub(super) fn listed<'a>(configuration: &'a Element, name: &str) -> Option<Listed<'a>> {
    let of_node = |o: &Listed<'a>| o.element.name == "node";
    let mut named: Vec<Listed<'a>> = objects(configuration)
        .into_iter()
        .filter(|o| o.name() == name)
        .collect();
    named.sort_by_key(of_node);
    named.first().copied()
}

pub(super) fn find_mut<'a>(configuration: &'a mut Element, id: &str) -> Option<&'a mut Element> {
    let resources = section_mut(configuration, "resources");
    resources.find_mut(&|e| e.id() == id && (print::is_resource(e) || e.name == "template"))
}

pub(super) fn any_with_id<'a>(configuration: &'a Element, id: &str) -> Option<&'a Element> {
    configuration
        .walk()
        .find(|e| e.id() == id && e.name != "resource_ref" && e.name != "obj_ref")
}

pub(super) fn section_mut<'a>(configuration: &'a mut Element, name: &str) -> &'a mut Element {
    configuration.child_or_new(name)
}

pub(super) fn group_of<'a>(configuration: &'a Element, id: &str) -> Result<&'a Element, String> {
    match find(configuration, id) {
        Some(e) if e.name == "group" => Ok(e),
        Some(e) => Err(format!("{id} is not a group, but a {}", e.name)),
        None => Err(format!("object {id} does not exist")),
    }
}
