//! Takes from a CIB all that a difference does not need.

use ha::cib::Element;
use std::collections::BTreeSet;

/// The smallest CIB that one removal after the other leaves, for which `differs` still holds.
pub fn shrink(cib: &Element, differs: &dyn Fn(&Element) -> bool) -> Element {
    let mut best = cib.clone();
    loop {
        let mut any = false;
        // Large parts first: the order of the document has the containers before what they hold.
        let mut at = 1;
        while at < best.walk().count() {
            let mut smaller = best.clone();
            let mut number = at;
            let kept = removed(&mut smaller, &mut number).is_some_and(|e| is_kept(&e));
            tidy(&mut smaller);
            if !kept && smaller.walk().count() < best.walk().count() && differs(&smaller) {
                best = smaller;
                any = true;
            } else {
                at += 1;
            }
        }
        if !any {
            return best;
        }
    }
}

/// What makes a case look strange without making it simpler.
fn is_kept(e: &Element) -> bool {
    let section = [
        "crm_config",
        "cluster_property_set",
        "lrm_rsc_op",
        "configuration",
        "status",
        "node",
    ];
    section.contains(&&*e.name) || e.get("name") == Some("stonith-enabled") || e.get("class") == Some("stonith")
}

/// Removes the element with this number in the order of the document.
fn removed(e: &mut Element, number: &mut usize) -> Option<Element> {
    for i in 0..e.children.len() {
        *number -= 1;
        if *number == 0 {
            return Some(e.children.remove(i));
        }
        let found = removed(&mut e.children[i], number);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Removes what names a resource that is gone, and containers that are empty and may not be.
fn tidy(cib: &mut Element) {
    let resources = ["primitive", "group", "clone"];
    let ids: BTreeSet<String> = cib
        .walk()
        .filter(|e| resources.contains(&&*e.name))
        .map(|e| e.id().to_owned())
        .collect();
    for _ in 0..3 {
        cib.remove_all(&|e: &Element| {
            let names = ["rsc", "with-rsc", "first", "then"];
            let gone = e.name.starts_with("rsc_") && names.iter().any(|n| e.get(n).is_some_and(|v| !ids.contains(v)));
            let bare = match &*e.name {
                "resource_ref" => !ids.contains(e.id()),
                "resource_set" => e.children.is_empty(),
                "group" | "clone" => !e.children.iter().any(|c| resources.contains(&&*c.name)),
                "rsc_location" | "rsc_colocation" | "rsc_order" => {
                    e.children.is_empty() && e.get("score").is_none() && e.get("first").is_none()
                }
                "rule" => !e.children.iter().any(|c| c.name.contains("expression")),
                "lrm_resource" => {
                    e.children.is_empty()
                        || !e.id().starts_with("old") && !ids.contains(e.id().split(':').next().unwrap_or_default())
                }
                _ => false,
            };
            gone || bare
        });
    }
}
