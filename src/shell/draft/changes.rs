//! The difference of two configurations, as edits that refuse themselves when somebody else was faster.

use super::{Listed, objects};
use crate::cib::{Edit, Element};

/// Edits that make `now` of `before`. The objects that change must still be as they were, unless `force`.
pub fn edits(before: &Element, now: &Element, force: bool) -> Vec<Edit> {
    let (mut expects, mut removals, mut additions) = (Vec::new(), Vec::new(), Vec::new());
    let was = tops(before);
    let is = tops(now);
    let same = |a: &Listed<'_>, b: &Listed<'_>| {
        a.section == b.section && a.element.name == b.element.name && a.element.id() == b.element.id()
    };
    for old in &was {
        if !is.iter().any(|new| same(old, new)) {
            expects.extend(expect(old.element.get("id"), Some(old.element)));
            removals.push(Edit::Delete {
                section: old.section.to_owned(),
                xml: bare(old.element),
            });
        }
    }
    for new in &is {
        match was.iter().find(|old| same(old, new)) {
            // Somebody else may make the same set meanwhile, the DC of a new cluster for one: its pairs go beside theirs.
            None if is_pairs_only(new.element) && held_elsewhere(before, new.element).is_none() => {
                let nothing = Element::new(&new.element.name);
                settings(&nothing, new, &mut expects, &mut removals, &mut additions);
            }
            None => {
                expects.extend(expect(new.element.get("id"), held_elsewhere(before, new.element)));
                additions.push(Edit::Create {
                    section: new.section.to_owned(),
                    xml: new.element.clone(),
                });
            }
            Some(old) if old.element == new.element => {}
            Some(old) if is_pairs_only(old.element) && is_pairs_only(new.element) => {
                settings(old.element, new, &mut expects, &mut removals, &mut additions);
            }
            Some(old) => {
                expects.extend(expect(old.element.get("id"), Some(old.element)));
                additions.push(Edit::Replace {
                    section: new.section.to_owned(),
                    xml: new.element.clone(),
                });
            }
        }
    }
    if force {
        expects.clear();
        // What somebody else has put there or taken away meanwhile must not stop it.
        additions = additions.into_iter().map(whatever_is_there).collect();
    }
    expects.into_iter().chain(removals).chain(additions).collect()
}

fn whatever_is_there(edit: Edit) -> Edit {
    match edit {
        Edit::Replace { section, xml } if xml.get("id").is_some() => Edit::Modify {
            section,
            xml,
            or_create: true,
        },
        other => other,
    }
}

/// The objects as commit sends them: a group with what it holds is one.
fn tops(configuration: &Element) -> Vec<Listed<'_>> {
    objects(configuration)
        .into_iter()
        .filter(|o| o.parent.is_none())
        .collect()
}

fn expect(id: Option<&str>, was: Option<&Element>) -> Option<Edit> {
    Some(Edit::Expect {
        id: id?.to_owned(),
        was: was.cloned(),
    })
}

/// A new object may have been the member of another one before.
fn held_elsewhere<'a>(before: &'a Element, new: &Element) -> Option<&'a Element> {
    before
        .walk()
        .find(|e| e.get("id") == new.get("id") && e.name != "resource_ref" && e.name != "obj_ref")
}

fn bare(element: &Element) -> Element {
    let mut bare = Element::new(&element.name);
    if let Some(id) = element.get("id") {
        bare.set("id", id);
    }
    bare
}

/// A set of settings, which several may change at once: each pair is an object of its own.
fn is_pairs_only(element: &Element) -> bool {
    ["cluster_property_set", "meta_attributes"].contains(&&*element.name)
        && element.get("id").is_some()
        && element
            .children
            .iter()
            .all(|c| c.name == "nvpair" && c.get("id").is_some())
}

fn settings(
    old: &Element,
    new: &Listed<'_>,
    expects: &mut Vec<Edit>,
    removals: &mut Vec<Edit>,
    additions: &mut Vec<Edit>,
) {
    let section = || new.section.to_owned();
    for pair in &old.children {
        if !new.element.children.iter().any(|c| c.id() == pair.id()) {
            expects.extend(expect(pair.get("id"), Some(pair)));
            removals.push(Edit::Delete {
                section: section(),
                xml: bare(pair),
            });
        }
    }
    let mut changed = Element {
        attributes: new.element.attributes.clone(),
        ..Element::new(&new.element.name)
    };
    for pair in &new.element.children {
        let was = old.children.iter().find(|c| c.id() == pair.id());
        if was != Some(pair) {
            expects.extend(expect(pair.get("id"), was));
            changed.children.push(pair.clone());
        }
    }
    if !changed.children.is_empty() || changed.attributes != old.attributes {
        additions.push(Edit::Modify {
            section: section(),
            xml: changed,
            or_create: true,
        });
    }
}
