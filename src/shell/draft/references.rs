//! What else must change when an object goes or gets another name: constraints, sets, tags.

use super::{Element, Notes, section_mut};
use crate::shell::print::is_resource;

/// The attributes by which constraints name resources.
const NAMING: [&str; 4] = ["rsc", "with-rsc", "first", "then"];

/// Takes the object away. The members of a group or clone stay, as plain resources, unless they are `going` too.
pub fn delete(configuration: &mut Element, id: &str, going: &[&str], notes: &mut Notes) {
    let Some(found) = super::listed(configuration, id) else {
        // It went with another one.
        return;
    };
    let (section, name, real_id) = (
        found.section.to_owned(),
        found.element.name.clone(),
        found.element.id().to_owned(),
    );
    let parent = found.parent.map(str::to_owned);
    let inner: Vec<Element> = found
        .element
        .children
        .iter()
        .filter(|c| is_resource(c))
        .cloned()
        .collect();
    if section == "configuration" {
        configuration.children.retain(|c| c.name != name);
        return;
    }
    let like = |e: &Element| e.name == name && e.id() == real_id;
    section_mut(configuration, &section).remove_all(&like);
    if section != "resources" {
        forget_tagged(configuration, id);
        return;
    }
    let heir = inner
        .iter()
        .map(Element::id)
        .find(|m| !going.contains(m))
        .map(str::to_owned);
    section_mut(configuration, "resources").children.extend(inner);
    match heir {
        Some(heir) => hand_over(configuration, id, &heir, notes),
        None => forget(configuration, id, notes),
    }
    forget_tagged(configuration, id);
    // A group or clone cannot be empty.
    let empty = parent.filter(|p| super::find(configuration, p).is_some_and(|e| !e.children.iter().any(is_resource)));
    if let Some(parent) = empty {
        notes.push(format!("{parent} holds nothing any more, and is deleted"));
        delete(configuration, &parent, going, notes);
    }
}

fn keyword(constraint: &Element) -> &str {
    constraint.name.trim_start_matches("rsc_")
}

/// Constraints on a group or clone that goes are now on what it held.
fn hand_over(configuration: &mut Element, from: &str, to: &str, notes: &mut Notes) {
    for constraint in &mut section_mut(configuration, "constraints").children {
        if rename_in(constraint, from, to) {
            notes.push(format!(
                "modified {}:{} from {from} to {to}",
                keyword(constraint),
                constraint.id()
            ));
        }
    }
}

/// Constraints that named a resource go, or lose it from their sets.
fn forget(configuration: &mut Element, id: &str, notes: &mut Notes) {
    section_mut(configuration, "constraints")
        .children
        .retain_mut(|constraint| {
            let label = format!("{}:{}", keyword(constraint), constraint.id());
            if NAMING.iter().any(|name| constraint.get(name) == Some(id)) {
                notes.push(format!("hanging {label} deleted"));
                return false;
            }
            if constraint.remove_all(&|e| e.name == "resource_ref" && e.id() == id) == 0 {
                return true;
            }
            constraint
                .children
                .retain(|c| c.name != "resource_set" || !c.children.is_empty());
            let left = constraint.walk().filter(|e| e.name == "resource_ref").count();
            let enough = if ["rsc_location", "rsc_ticket"].contains(&&*constraint.name) {
                1
            } else {
                2
            };
            if left < enough {
                notes.push(format!("hanging {label} deleted"));
                return false;
            }
            notes.push(format!("constraint {label} updated"));
            true
        });
}

fn forget_tagged(configuration: &mut Element, id: &str) {
    if let Some(tags) = configuration.child_mut("tags") {
        tags.remove_all(&|e| e.name == "obj_ref" && e.id() == id);
        tags.children.retain(|t| !t.children.is_empty());
    }
}

/// Whether `constraint` named it.
fn rename_in(constraint: &mut Element, from: &str, to: &str) -> bool {
    let mut found = false;
    for name in NAMING {
        if constraint.get(name) == Some(from) {
            constraint.set(name, to);
            found = true;
        }
    }
    for set in &mut constraint.children {
        for reference in set
            .children
            .iter_mut()
            .filter(|r| r.name == "resource_ref" && r.id() == from)
        {
            reference.set("id", to);
            found = true;
        }
    }
    found
}

/// Another name for an object, for its parts that are called after it, and wherever it is referred to.
pub fn rename(configuration: &mut Element, old: &str, new: &str) {
    fn parts(element: &mut Element, old: &str, new: &str) {
        let renamed = match element.id().strip_prefix(old) {
            Some("") => Some(new.to_owned()),
            Some(rest) if rest.starts_with('-') => Some(format!("{new}{rest}")),
            _ => None,
        };
        if let Some(renamed) = renamed {
            element.set("id", renamed);
        }
        for child in element
            .children
            .iter_mut()
            .filter(|c| !is_resource(c) && c.name != "resource_ref")
        {
            parts(child, old, new);
        }
    }
    for section in &mut configuration.children {
        if let Some(element) = section.find_mut(&|e| e.id() == old && e.name != "resource_ref" && e.name != "obj_ref") {
            parts(element, old, new);
        }
        for constraint in &mut section.children {
            rename_in(constraint, old, new);
            if constraint.get("template") == Some(old) {
                constraint.set("template", new);
            }
            if constraint.name == "tag" {
                for reference in constraint.children.iter_mut().filter(|r| r.id() == old) {
                    reference.set("id", new);
                }
            }
        }
    }
}
