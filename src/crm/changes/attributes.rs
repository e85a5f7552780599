//! Name and value pairs, in the sets of a resource, a node or the cluster.

use crate::cib::{Cib, Edit, Element};

/// What may have pairs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Instance,
    Meta,
    Utilization,
    Property,
}

impl Kind {
    /// The element around the pairs.
    pub fn element(self) -> &'static str {
        match self {
            Self::Instance => "instance_attributes",
            Self::Meta => "meta_attributes",
            Self::Utilization => "utilization",
            Self::Property => "cluster_property_set",
        }
    }
}

/// A pair that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    pub set: String,
    pub id: String,
    pub name: String,
    pub value: Option<String>,
}

/// Where to look for a pair, and where to put it.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The section of the configuration.
    pub section: &'a str,
    /// The resource or node, or the section itself, whose sets are meant.
    pub element: &'a Element,
    pub kind: Kind,
    /// Only this set; without it any, and a new pair goes into `new_set`.
    pub set: Option<&'a str>,
    /// Only the pair with this id.
    pub pair: Option<&'a str>,
    pub new_set: &'a str,
}

impl Owner<'_> {
    /// All pairs of that name, in their order.
    pub fn find(&self, name: &str) -> Vec<Pair> {
        let sets = self.element.children_named(self.kind.element());
        let sets = sets.filter(|s| self.set.is_none_or(|wanted| s.id() == wanted));
        let same = |a: &str| a == name || self.kind == Kind::Property && a.replace('_', "-") == name.replace('_', "-");
        let all = sets.flat_map(|s| s.children_named("nvpair").map(move |p| (s, p)));
        all.filter(|(_, p)| p.get("name").is_some_and(same) && self.pair.is_none_or(|id| p.id() == id))
            .map(|(s, p)| Pair {
                set: s.id().to_owned(),
                id: p.id().to_owned(),
                name: p.get("name").unwrap_or_default().to_owned(),
                value: p.get("value").map(str::to_owned),
            })
            .collect()
    }

    /// The change that gives `name` the value, where it is already or in a new pair; the pair, and whether it is new.
    pub fn set(&self, name: &str, value: &str) -> (Edit, Pair, bool) {
        let there = self.find(name).into_iter().next();
        let is_new = there.is_none();
        let pair = there.unwrap_or_else(|| {
            let set = self.set.unwrap_or(self.new_set).to_owned();
            // `#` may not stand in an id.
            let id = self
                .pair
                .map_or_else(|| format!("{set}-{}", name.replace('#', ".")), str::to_owned);
            let (name, value) = (name.to_owned(), Some(value.to_owned()));
            Pair { set, id, name, value }
        });
        let set = Element::new(self.kind.element()).with("id", &pair.set).holding(
            Element::new("nvpair")
                .with("id", &pair.id)
                .with("name", &pair.name)
                .with("value", value),
        );
        // The sets of the cluster and of the defaults stand in their section, the others in what they belong to.
        let (xml, or_create) = match self.element.get("id") {
            Some(id) => (Element::new(&self.element.name).with("id", id).holding(set), false),
            None => (set, true),
        };
        let edit = Edit::Modify {
            section: self.section.to_owned(),
            xml,
            or_create,
        };
        let value = Some(value.to_owned());
        (edit, Pair { value, ..pair }, is_new)
    }

    /// The change that takes the pair away.
    pub fn delete(&self, pair: &Pair) -> Edit {
        Edit::Delete {
            section: self.section.to_owned(),
            xml: Element::new("nvpair").with("id", &pair.id),
        }
    }
}

/// The resource of that id: primitive, group, clone, master or template.
pub fn resource<'a>(cib: &'a Cib, id: &str) -> Option<&'a Element> {
    let resources = cib.section("resources")?;
    resources
        .walk()
        .find(|e| e.id() == id && ["primitive", "group", "clone", "master", "template"].contains(&&*e.name))
}

/// The resource that directly holds the one of that id.
pub fn parent<'a>(cib: &'a Cib, id: &str) -> Option<&'a Element> {
    let holds = |e: &&Element| {
        e.children
            .iter()
            .any(|c| c.id() == id && ["primitive", "group"].contains(&&*c.name))
    };
    cib.section("resources")?
        .walk()
        .filter(|e| e.name != "resources")
        .find(holds)
}

/// The node of that name or id.
pub fn node<'a>(cib: &'a Cib, name: &str) -> Option<&'a Element> {
    let nodes = cib.section("nodes")?;
    let by_name = nodes.children_named("node").find(|n| n.get("uname") == Some(name));
    by_name.or_else(|| nodes.children_named("node").find(|n| n.id() == name))
}
