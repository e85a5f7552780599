//! Single attributes of resources and nodes, as `resource param`, `resource meta` and `node attribute` change them.

use super::{Draft, find, objects, section_mut};
use crate::cib::Element;
use crate::shell::parse::ids::Ids;
use crate::shell::print::is_resource;

/// Where an attribute is, as crm_resource tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub id: String,
    pub set: String,
}

impl Draft {
    /// The value of an attribute of an object itself, not of what holds it. `kind` is the element of the set.
    pub fn attribute(&self, object: &str, kind: &str, name: &str) -> Option<&str> {
        let sets = find(&self.now, object)?.children.iter().filter(|c| c.name == kind);
        let mut pairs = sets.flat_map(|s| s.children.iter());
        pairs
            .find(|p| p.name == "nvpair" && p.get("name") == Some(name))?
            .get("value")
    }

    pub fn set_attribute(&mut self, object: &str, kind: &str, name: &str, value: &str) -> Result<Place, String> {
        let mut ids = Ids::default();
        for e in self.now.walk() {
            ids.take(e.id());
        }
        let element = self.object_mut(object)?;
        for set in element.children.iter_mut().filter(|c| c.name == kind) {
            let id = set.id().to_owned();
            if let Some(pair) = set.children.iter_mut().find(|p| p.get("name") == Some(name)) {
                pair.set("value", value);
                let place = pair.id().to_owned();
                return Ok(Place { id: place, set: id });
            }
        }
        let prefix = if element.name == "node" { "nodes-" } else { "" };
        let suffix = match (&*element.name, kind) {
            ("node", "instance_attributes") => String::new(),
            _ => format!("-{kind}"),
        };
        let wish = format!("{prefix}{}{suffix}", element.id());
        let at = element
            .children
            .iter()
            .position(|c| c.name == kind && c.get("id").is_some());
        let at = at.unwrap_or_else(|| {
            let set = Element::new(kind).with("id", ids.new_one(&wish));
            // Before the operations and the members, where the shell writes it, too.
            let before = element
                .children
                .iter()
                .position(|c| c.name == "operations" || is_resource(c));
            let at = before.unwrap_or(element.children.len());
            element.children.insert(at, set);
            at
        });
        let set = element.children[at].id().to_owned();
        let id = ids.new_one(&format!("{set}-{name}"));
        element.children[at].children.push(
            Element::new("nvpair")
                .with("id", &id)
                .with("name", name)
                .with("value", value),
        );
        Ok(Place { id, set })
    }

    /// The id of what was taken away; none when there was none.
    pub fn delete_attribute(&mut self, object: &str, kind: &str, name: &str) -> Result<Option<String>, String> {
        let element = self.object_mut(object)?;
        for set in element.children.iter_mut().filter(|c| c.name == kind) {
            if let Some(at) = set.children.iter().position(|p| p.get("name") == Some(name)) {
                return Ok(Some(set.children.remove(at).id().to_owned()));
            }
        }
        Ok(None)
    }

    /// The resources in a group or clone that say something of their own about `name`.
    pub fn inner_with(&self, object: &str, kind: &str, name: &str) -> Vec<String> {
        let Some(element) = find(&self.now, object) else {
            return Vec::new();
        };
        let inner = element.walk().skip(1).filter(|e| is_resource(e)).map(Element::id);
        inner
            .filter(|id| self.attribute(id, kind, name).is_some())
            .map(str::to_owned)
            .collect()
    }

    fn object_mut(&mut self, object: &str) -> Result<&mut Element, String> {
        let found = objects(&self.now)
            .into_iter()
            .find(|o| o.name() == object && o.section != "constraints");
        let Some((section, id)) = found.map(|o| (o.section.to_owned(), o.element.id().to_owned())) else {
            return Err(format!("object {object} does not exist"));
        };
        let name = |e: &Element| is_resource(e) || e.name == "node" || e.name == "template";
        let section = section_mut(&mut self.now, &section);
        Ok(section
            .find_mut(&|e| e.id() == id && name(e))
            .expect("objects() listed it"))
    }
}
