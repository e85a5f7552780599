//! Taking a resource away, with every constraint that names it: what is left is valid.

use super::attributes::{parent, resource};
use crate::cib::{Cib, Edit, Element};
use std::collections::BTreeSet;

/// What goes with a resource.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Removal {
    pub edits: Vec<Edit>,
    /// Name and id of each resource that goes.
    pub resources: Vec<(String, String)>,
    /// Constraints that go.
    pub constraints: Vec<String>,
    /// Constraints that lose a member of a set.
    pub changed: Vec<String>,
}

/// `None`: there is no such resource.
pub fn remove(cib: &Cib, id: &str) -> Option<Removal> {
    // A group without members and a clone of nothing go, too.
    let mut whole = resource(cib, id)?;
    while let Some(around) = parent(cib, whole.id()) {
        let members = around
            .children
            .iter()
            .filter(|c| ["primitive", "group"].contains(&&*c.name));
        if members.count() > 1 {
            break;
        }
        whole = around;
    }
    let is_resource = |e: &&Element| ["primitive", "group", "clone", "master", "template"].contains(&&*e.name);
    let gone: BTreeSet<&str> = whole.walk().filter(is_resource).map(Element::id).collect();
    let mut out = Removal {
        resources: whole
            .walk()
            .filter(is_resource)
            .map(|e| (e.name.clone(), e.id().to_owned()))
            .collect(),
        ..Removal::default()
    };
    let constraints = cib.section("constraints").into_iter().flat_map(|s| &s.children);
    for constraint in constraints {
        let section = "constraints".to_owned();
        match without(constraint, &gone) {
            Left::All => {}
            Left::Less(xml) => {
                out.changed.push(constraint.id().to_owned());
                out.edits.push(Edit::Replace { section, xml });
            }
            Left::Nothing => {
                out.constraints.push(constraint.id().to_owned());
                let xml = Element::new(&constraint.name).with("id", constraint.id());
                out.edits.push(Edit::Delete { section, xml });
            }
        }
    }
    out.edits.push(Edit::Delete {
        section: "resources".to_owned(),
        xml: Element::new(&whole.name).with("id", whole.id()),
    });
    Some(out)
}

/// What is left of a constraint.
enum Left {
    All,
    Less(Element),
    Nothing,
}

fn without(constraint: &Element, gone: &BTreeSet<&str>) -> Left {
    let names = ["rsc", "with-rsc", "first", "then"];
    if names
        .iter()
        .any(|n| constraint.get(n).is_some_and(|id| gone.contains(id)))
    {
        return Left::Nothing;
    }
    let mut less = constraint.clone();
    let is_gone = |e: &Element| e.name == "resource_ref" && gone.contains(e.id());
    if less.remove_all(&is_gone) == 0 {
        return Left::All;
    }
    less.remove_all(&|e: &Element| e.name == "resource_set" && e.children.is_empty() && e.get("id-ref").is_none());
    let left = less.walk().filter(|e| e.name == "resource_ref").count();
    // A place can be one resource's; an order or a colocation of one says nothing.
    let enough = if constraint.name == "rsc_location" { 1 } else { 2 };
    if left >= enough {
        Left::Less(less)
    } else {
        Left::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cib::edit::Origin;

    const CONSTRAINTS: &str = "<rsc_colocation id='c1' rsc='a' with-rsc='b'/><rsc_order id='o1' first='b' then='m1'/>
        <rsc_location id='l1' rsc='a' node='n' score='1'/>
        <rsc_order id='o2'><resource_set id='o2-0'><resource_ref id='a'/></resource_set>
          <resource_set id='o2-1'><resource_ref id='b'/><resource_ref id='k'/></resource_set></rsc_order>
        <rsc_location id='l2'><resource_set id='l2-0'><resource_ref id='a'/><resource_ref id='b'/></resource_set>
          <rule id='r' score='1'><expression id='e' attribute='x' operation='defined'/></rule></rsc_location>";

    #[test]
    fn whatever_goes_what_is_left_is_valid() {
        let text = format!(
            "<cib><configuration><resources><primitive id='a' class='lsb' type='x'/><primitive id='b' class='lsb' type='x'/>
             <group id='g'><primitive id='m1' class='lsb' type='x'/><primitive id='m2' class='lsb' type='x'/></group>
             <clone id='k'><primitive id='ki' class='lsb' type='x'/></clone></resources>
             <constraints>{CONSTRAINTS}</constraints></configuration></cib>"
        );
        type Row<'a> = [&'a [&'a str]; 4];
        #[rustfmt::skip]
        let table: &[Row<'_>] = &[
            // removed one after the other, resources that went with the last, constraints, changed constraints
            [&["a"],         &["a"],            &["c1", "l1"],       &["o2", "l2"]],
            [&["b"],         &["b"],            &["c1", "o1"],       &["o2", "l2"]],
            [&["a", "b"],    &["b"],            &["o1", "o2", "l2"], &[]],
            [&["m1"],        &["m1"],           &["o1"],             &[]],
            [&["m2", "m1"],  &["g", "m1"],      &["o1"],             &[]],
            [&["g"],         &["g", "m1", "m2"], &["o1"],            &[]],
            [&["ki"],        &["k", "ki"],      &[],                 &["o2"]],
        ];
        for [ids, resources, constraints, changed] in table {
            let mut cib = Cib::parse(&text).unwrap();
            let mut last = Removal::default();
            for id in *ids {
                last = remove(&cib, id).unwrap();
                cib.apply(&last.edits, &Origin::default())
                    .unwrap_or_else(|e| panic!("{ids:?}: {e}"));
                assert!(remove(&cib, id).is_none(), "{ids:?}");
            }
            let went: Vec<&str> = last.resources.iter().map(|(_, id)| &**id).collect();
            assert_eq!(went, *resources, "{ids:?}");
            assert_eq!(last.constraints, *constraints, "{ids:?}");
            assert_eq!(last.changed, *changed, "{ids:?}");
        }
    }
}
