//! Putting one object into the configuration: new, or in place of the one of that name.

use super::Mode;
use super::listed::{any_with_id, find, find_mut, objects, section_mut};
use crate::cib::Element;
use crate::shell::parse::{Member, Object, section_of};
use crate::shell::print;
use crate::shell::words::Complaint;
use std::collections::BTreeSet;

pub(super) fn monitor(configuration: &mut Element, member: &Member, mut op: Element) -> Result<(), Complaint> {
    let refuse = |what: String| Err(Complaint::new(member.column, what));
    let taken: BTreeSet<String> = configuration.walk().map(|e| e.id().to_owned()).collect();
    match find_mut(configuration, &member.id) {
        None => refuse(format!("object {} does not exist", member.id)),
        Some(e) if e.name != "primitive" => refuse(format!("expected a primitive: {} is a {}", member.id, e.name)),
        Some(e) => {
            let same = |o: &Element| ["name", "interval", "role"].iter().all(|n| o.get(n) == op.get(n));
            if e.child("operations").is_some_and(|all| all.children.iter().any(same)) {
                let interval = op.get("interval").unwrap_or_default();
                return refuse(format!("{} has a monitor of interval {interval} already", member.id));
            }
            let wish = op.id().to_owned();
            let free = std::iter::once(wish.clone()).chain((0..).map(|n| format!("{wish}-{n}")));
            let id = free
                .into_iter()
                .find(|id| !taken.contains(id))
                .expect("numbers do not end");
            op.set("id", id);
            e.child_or_new("operations").children.push(op);
            Ok(())
        }
    }
}

/// Puts one object into its section.
pub(super) fn put(configuration: &mut Element, object: Object, mode: Mode) -> Result<(), Complaint> {
    let Object { element, members } = object;
    let refuse = |what: String| Err(Complaint::new(1, what));
    match &*element.name {
        "cluster_property_set" => {
            settings(section_mut(configuration, "crm_config"), element, mode);
            return Ok(());
        }
        "rsc_defaults" | "op_defaults" => {
            for set in element.children {
                settings(section_mut(configuration, &element.name), set, mode);
            }
            return Ok(());
        }
        "fencing-topology" => {
            *section_mut(configuration, "fencing-topology") = element;
            return Ok(());
        }
        "node" => {
            node(section_mut(configuration, "nodes"), element, mode);
            return Ok(());
        }
        _ => {}
    }
    let Some(section) = section_of(&element.name) else {
        return refuse(format!("{} is no object of the configuration", element.name));
    };
    let id = element.id().to_owned();
    let keyword = |e: &Element| match &*e.name {
        "master" => "ms".to_owned(),
        "cluster_property_set" => "property".to_owned(),
        name => name.trim_start_matches("rsc_").to_owned(),
    };
    let there = any_with_id(configuration, &id);
    if let (Some(there), Mode::New) = (there, mode) {
        let same = if there.name == element.name {
            "primitive with same ID".replace("primitive", &keyword(there))
        } else {
            format!("{} with same ID", keyword(there))
        };
        return refuse(format!(
            "Cannot create {} with ID '{id}': Found existing {same}.",
            keyword(&element)
        ));
    }
    let mut element = element;
    let old = find(configuration, &id).filter(|o| o.name != "node").cloned();
    // What is meant is there already: what the language does not say of it stays.
    let by_name = old.as_ref().map(|o| with_member_names(o, &members)).unwrap_or_default();
    if let Some(old) = &old
        && old.name == element.name
    {
        let mut new_one = element.clone();
        new_one
            .children
            .extend(members.iter().map(|m| Element::new("primitive").with("id", &m.id)));
        if print::meaning(&new_one) == print::meaning(old) && by_name {
            return Ok(());
        }
        adopt(&mut element, old);
    }
    if members.is_empty() && element.children.iter().any(print::is_resource) {
        // Given as XML, with its members in it: they are taken from where they were.
        let inner: Vec<String> = element
            .walk()
            .filter(|e| print::is_resource(e))
            .map(|e| e.id().to_owned())
            .collect();
        for inner in inner.iter().filter(|i| **i != id && mode != Mode::New) {
            let unwanted = |e: &Element| e.id() == inner && print::is_resource(e);
            section_mut(configuration, "resources").remove_all(&unwanted);
        }
    }
    let mut released = Vec::new();
    if let Some(old) = &old {
        released = old.children.iter().filter(|c| print::is_resource(c)).cloned().collect();
    }
    for member in &members {
        let own = released.iter().position(|r: &Element| r.id() == member.id);
        let taken = match own {
            Some(at) => released.remove(at),
            None => take_member(configuration, &id, &keyword(&element), &member.id)
                .map_err(|what| Complaint::new(member.column, what))?,
        };
        check_member(&element, &taken).map_err(|what| Complaint::new(member.column, what))?;
        element.children.push(taken);
    }
    let target = section_mut(configuration, section);
    match target.find_mut(&|e| e.id() == id && old.as_ref().is_some_and(|o| o.name == e.name)) {
        Some(place) => *place = element,
        None => target.children.push(element),
    }
    target
        .children
        .extend(released.into_iter().filter(|_| !members.is_empty()));
    Ok(())
}

/// Whether the members of a container are those that the line names.
fn with_member_names(old: &Element, members: &[Member]) -> bool {
    let held: Vec<&str> = old
        .children
        .iter()
        .filter(|c| print::is_resource(c))
        .map(Element::id)
        .collect();
    held == members.iter().map(|m| &*m.id).collect::<Vec<_>>()
}

fn check_member(container: &Element, member: &Element) -> Result<(), String> {
    let allowed: &[&str] = match &*container.name {
        "group" => &["primitive"],
        _ => &["primitive", "group"],
    };
    if allowed.contains(&&*member.name) {
        return Ok(());
    }
    Err(format!(
        "expected a {}: {} is a {}",
        allowed.join(" or a "),
        member.id(),
        member.name
    ))
}

/// Takes a resource out of the section, to be put into a group or clone.
pub(super) fn take_member(
    configuration: &mut Element,
    id: &str,
    keyword: &str,
    member: &str,
) -> Result<Element, String> {
    let parent = objects(configuration)
        .iter()
        .find(|o| o.section == "resources" && o.name() == member)
        .map(|o| {
            let holder = o.parent.and_then(|p| find(configuration, p));
            holder.map(|h| format!("Child {}:{member} already in {}:{}", o.element.name, h.name, h.id()))
        });
    match parent {
        None => Err(format!("{id} refers to missing object {member}")),
        Some(Some(held)) => Err(format!("Cannot create {keyword}:{id}: {held}")),
        Some(None) => {
            let resources = section_mut(configuration, "resources");
            let at = resources.children.iter().position(|c| c.id() == member);
            Ok(resources.children.remove(at.expect("objects() listed it there")))
        }
    }
}

/// Settings are added to the set of that id, or take its place.
fn settings(section: &mut Element, set: Element, mode: Mode) {
    let Some(there) = section
        .children
        .iter_mut()
        .find(|c| c.id() == set.id() && set.get("id").is_some())
    else {
        section.children.push(set);
        return;
    };
    if mode == Mode::Exact {
        let mut set = set;
        adopt(&mut set, there);
        *there = set;
        return;
    }
    for pair in set.children {
        match there
            .children
            .iter_mut()
            .find(|c| c.name == "nvpair" && c.get("name") == pair.get("name"))
        {
            Some(old) => {
                if let Some(value) = pair.get("value") {
                    old.set("value", value);
                }
            }
            None => there.children.push(pair),
        }
    }
}

/// A node that is there keeps its id and its type; its attributes are added to those it has, unless `Exact`.
fn node(section: &mut Element, node: Element, mode: Mode) {
    let given = node.get("id").map(str::to_owned);
    let same =
        |c: &&mut Element| c.get("uname") == node.get("uname") || given.is_some() && c.get("id") == given.as_deref();
    let Some(there) = section.children.iter_mut().find(same) else {
        let id = given.unwrap_or_else(|| node.get("uname").unwrap_or_default().to_owned());
        section.children.push(node.with("id", id));
        return;
    };
    let mut next = there.clone();
    for (name, value) in &node.attributes {
        next.set(name, value);
    }
    if mode == Mode::Exact {
        next.children
            .retain(|c| !["instance_attributes", "utilization"].contains(&&*c.name));
    }
    for set in node.children {
        // Without an id of its own the line's set got one from the name; the set that is there may have another.
        match next.children.iter_mut().find(|c| c.name == set.name) {
            Some(old) => {
                let mut wrapper = Element::new("set").holding(old.clone());
                let id = old.id().to_owned();
                settings(&mut wrapper, set.with("id", id), Mode::New);
                *old = wrapper.children.remove(0);
            }
            None => next.children.push(set),
        }
    }
    let mut changed = next;
    adopt(&mut changed, there);
    if print::meaning(&changed) != print::meaning(there) {
        *there = changed;
    }
}

/// Parts that were there before keep their ids: other programs may know them by these.
fn adopt(new: &mut Element, old: &Element) {
    let key = |e: &Element| {
        (
            e.name.clone(),
            e.get("name").map(str::to_owned),
            e.get("interval").map(str::to_owned),
            e.get("role").map(str::to_owned),
        )
    };
    let mut left: Vec<&Element> = old.children.iter().collect();
    let mut taken: BTreeSet<String> = new.walk().map(|e| e.id().to_owned()).collect();
    for child in new.children.iter_mut().filter(|c| !print::is_resource(c)) {
        let Some(at) = left.iter().position(|o| key(o) == key(child)) else {
            continue;
        };
        let was = left.remove(at);
        if let (Some(id), Some(is)) = (was.get("id"), child.get("id"))
            && is != id
            && child.name != "resource_ref"
            && !is_set(child)
            && taken.insert(id.to_owned())
        {
            child.set("id", id);
        }
        adopt(child, was);
    }
}

/// The ids of sets and rules are part of what a line says.
fn is_set(element: &Element) -> bool {
    [
        "instance_attributes",
        "meta_attributes",
        "utilization",
        "operations",
        "rule",
        "cluster_property_set",
    ]
    .contains(&&*element.name)
}
