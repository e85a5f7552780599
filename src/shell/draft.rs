//! The working copy of the configuration: what `configure` changes, until `commit` sends the difference.
//!
//! Every change is made whole or not at all: it works on a copy that takes the place of the old one at its end.

mod changes;
mod listed;
mod put;
mod references;

pub use listed::{Listed, objects};

use super::parse::{Object, Statement};
use super::words::Complaint;
use super::{parse, print};
use crate::cib::{Cib, Edit, Element};
use listed::{NODE_KEY, any_with_id, find, find_mut, group_of, in_order, key_of, listed, name_of, section_mut};
use put::{monitor, put, take_member};
use std::collections::{BTreeMap, BTreeSet};

/// The configuration as it was read, and as it is to be.
#[derive(Clone, Debug)]
pub struct Draft {
    base: Cib,
    /// The element `configuration`.
    now: Element,
}

/// How an object goes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Its name must be new; settings are added to those there are.
    New,
    /// One of that name is replaced; settings are added to those there are.
    Update,
    /// As `Update`, and settings that are not given go.
    Exact,
}

/// What a change also did, for the one who asked for it: `INFO: ...`.
pub type Notes = Vec<String>;

impl Draft {
    pub fn new(base: Cib) -> Self {
        let now = base.configuration().clone();
        Self { base, now }
    }

    /// What it was made from.
    pub fn base(&self) -> &Cib {
        &self.base
    }

    /// The whole document with the changes in it.
    pub fn cib(&self) -> Cib {
        let mut root = self.base.root().clone();
        if let Some(configuration) = root.child_mut("configuration") {
            *configuration = self.now.clone();
        }
        Cib::from_element(root).expect("its outermost element is cib, as it was")
    }

    pub fn configuration(&self) -> &Element {
        &self.now
    }

    pub fn is_changed(&self) -> bool {
        self.now != *self.base.configuration()
    }

    /// What `commit` sends; it refuses itself when one of the objects was changed by somebody else, unless `force`.
    pub fn edits(&self, force: bool) -> Vec<Edit> {
        changes::edits(self.base.configuration(), &self.now, force)
    }

    /// The keys of the objects that are new or other than they were.
    pub fn changed(&self) -> BTreeSet<String> {
        let before = objects(self.base.configuration());
        let before: BTreeMap<String, &Element> = before.iter().map(|o| (o.key(), o.element)).collect();
        let now = objects(&self.now).into_iter().map(|o| (o.key(), o.element));
        now.filter(|(key, element)| before.get(key) != Some(element))
            .map(|(key, _)| key)
            .collect()
    }

    /// Takes one parsed line in.
    pub fn take(&mut self, statement: Statement, mode: Mode) -> Result<Notes, Complaint> {
        let mut next = self.now.clone();
        match statement {
            Statement::Monitor(member, op) => monitor(&mut next, &member, op)?,
            Statement::Object(object) => put(&mut next, object, mode)?,
        }
        self.now = next;
        Ok(Vec::new())
    }

    /// Takes an element in as `xml <...>` does.
    pub fn put(&mut self, element: Element, mode: Mode) -> Result<(), Complaint> {
        let object = Object {
            element,
            members: Vec::new(),
        };
        let mut next = self.now.clone();
        put(&mut next, object, mode)?;
        self.now = next;
        Ok(())
    }

    /// Takes objects away, and what cannot be without them. `running` tells which resources the cluster has started.
    pub fn delete(&mut self, ids: &[&str], running: &dyn Fn(&str) -> bool) -> Result<Notes, String> {
        let mut next = self.now.clone();
        let mut notes = Vec::new();
        for id in ids {
            let found = objects(&next).iter().any(|o| o.name() == *id);
            if !found {
                return Err(format!("object {id} does not exist"));
            }
            if running(id) {
                return Err(format!("resource {id} is running, can't delete it"));
            }
        }
        // Groups and clones before what they hold: their members are then plain resources.
        let is_container =
            |id: &&str| find(&next, id).is_some_and(|e| ["group", "clone", "master"].contains(&&*e.name));
        let (mut order, others): (Vec<&str>, Vec<&str>) = ids.iter().copied().partition(is_container);
        order.sort_by_key(|id| find(&next, id).is_some_and(|e| e.name == "group"));
        order.extend(others);
        for id in order {
            references::delete(&mut next, id, ids, &mut notes);
        }
        self.now = next;
        Ok(notes)
    }

    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), String> {
        if find(&self.now, old).is_none() {
            return Err(format!("object {old} does not exist"));
        }
        if !crate::cib::schema::is_xml_name(new) {
            return Err(format!(
                "\"{new}\" is no name: letters, digits, - _ and ., not starting with a digit"
            ));
        }
        if let Some(there) = any_with_id(&self.now, new) {
            return Err(format!("an object with ID '{new}' exists already: a {}", there.name));
        }
        references::rename(&mut self.now, old, new);
        Ok(())
    }

    /// `modgroup GROUP add MEMBER [before|after OTHER]`
    pub fn add_member(&mut self, group: &str, member: &str, place: Option<(bool, &str)>) -> Result<(), String> {
        let mut next = self.now.clone();
        let at = {
            let group = group_of(&next, group)?;
            match place {
                None => group.children.len(),
                Some((before, other)) => {
                    let at = group
                        .children
                        .iter()
                        .position(|c| c.name == "primitive" && c.id() == other);
                    let at = at.ok_or_else(|| format!("{other} is not a member of group {}", group.id()))?;
                    at + usize::from(!before)
                }
            }
        };
        let element = take_member(&mut next, group, "group", member)?;
        if let Some(group) = find_mut(&mut next, group) {
            let at = at.min(group.children.len());
            group.children.insert(at, element);
        }
        self.now = next;
        Ok(())
    }

    /// `modgroup GROUP remove MEMBER`: it is a plain resource afterwards.
    pub fn remove_member(&mut self, group: &str, member: &str) -> Result<(), String> {
        let mut next = self.now.clone();
        group_of(&next, group)?;
        let found = find_mut(&mut next, group).expect("it was found before");
        let at = found
            .children
            .iter()
            .position(|c| c.name == "primitive" && c.id() == member);
        let at = at.ok_or_else(|| format!("{member} is not a member of group {group}"))?;
        if found.children_named("primitive").count() == 1 {
            return Err(format!(
                "{member} is the only member of group {group}: delete the group instead"
            ));
        }
        let element = found.children.remove(at);
        section_mut(&mut next, "resources").children.push(element);
        self.now = next;
        Ok(())
    }

    /// Everything goes; the nodes stay unless they are meant too.
    pub fn erase(&mut self, nodes: bool) {
        let empty = Cib::empty().configuration().clone();
        let kept = self.now.child("nodes").cloned();
        self.now = empty;
        if let Some(kept) = kept.filter(|_| !nodes) {
            *section_mut(&mut self.now, "nodes") = kept;
        }
    }

    /// Takes a whole text in: every line of it, or nothing. The members of groups may stand behind their group. With
    /// [`Mode::Exact`] what the text does not name goes, but for nodes; what it says as it was stays as it was.
    pub fn load(&mut self, text: &str, mode: Mode) -> Result<(), Vec<String>> {
        let mut next = self.clone();
        let names = next.load_objects(text, mode)?;
        if mode == Mode::Exact {
            next.remove_others(&names);
        }
        *self = next;
        Ok(())
    }

    /// The same for objects that came as XML.
    pub fn load_tree(&mut self, given: &Self, mode: Mode) -> Result<(), String> {
        let mut next = self.clone();
        if mode == Mode::Exact {
            let nodes = next.now.child("nodes").cloned();
            next.now = given.now.clone();
            if let Some(nodes) = nodes.filter(|_| given.now.child("nodes").is_none_or(|n| n.children.is_empty())) {
                *section_mut(&mut next.now, "nodes") = nodes;
            }
        } else {
            for object in objects(&given.now).iter().filter(|o| o.parent.is_none()) {
                let element = match object.section {
                    "rsc_defaults" | "op_defaults" => Element::new(object.section).holding(object.element.clone()),
                    _ => object.element.clone(),
                };
                next.put(element, mode).map_err(|c| c.what)?;
            }
        }
        *self = next;
        Ok(())
    }

    /// The names of the objects that were in the text.
    fn load_objects(&mut self, text: &str, mode: Mode) -> Result<BTreeSet<String>, Vec<String>> {
        let mut complaints = Vec::new();
        let mut statements = Vec::new();
        let mut names = BTreeSet::new();
        for command in super::lines::commands(text) {
            match parse::statement(&command.text) {
                Ok(Some(statement)) => {
                    if let Statement::Object(o) = &statement
                        && !names.insert(key_of(&o.element))
                    {
                        let twice = Complaint::new(1, format!("{} is there twice", name_of(&o.element)));
                        complaints.push(command.complain(&twice));
                    }
                    statements.push((command, statement));
                }
                Ok(None) if ends_a_level(&command.text) => {}
                Ok(None) => {
                    let expected = Complaint::new(1, format!("expected an object: {}", parse::OBJECTS.join(", ")));
                    complaints.push(command.complain(&expected));
                }
                Err(complaint) => complaints.push(command.complain(&complaint)),
            }
        }
        statements.sort_by_key(|(_, s)| rank(s));
        for (command, statement) in statements {
            if let Err(complaint) = self.take(statement, mode) {
                complaints.push(command.complain(&complaint));
            }
        }
        if complaints.is_empty() {
            Ok(names)
        } else {
            Err(complaints)
        }
    }

    /// Takes away what is not in `names`; members of a group that goes and are in it become plain resources.
    fn remove_others(&mut self, names: &BTreeSet<String>) {
        loop {
            let gone = |o: &Listed<'_>| o.section != "nodes" && !names.contains(&o.key());
            let Some(found) = objects(&self.now).into_iter().find(gone) else {
                return;
            };
            let (section, name, id) = (
                found.section.to_owned(),
                found.element.name.clone(),
                found.element.id().to_owned(),
            );
            let inner: Vec<Element> = found
                .element
                .children
                .iter()
                .filter(|c| print::is_resource(c))
                .cloned()
                .collect();
            if section == "configuration" {
                self.now.children.retain(|c| c.name != name);
                continue;
            }
            let section = section_mut(&mut self.now, &section);
            section.remove_all(&|e| e.name == name && e.id() == id);
            section.children.extend(inner);
        }
    }

    /// What came back from the editor, for the objects whose keys are given.
    pub fn edited(&mut self, given: &[String], text: &str) -> Result<Notes, Vec<String>> {
        let mut next = self.clone();
        // First what is new: a member that was taken out of a group that goes is then where it belongs.
        let named = next.load_objects(text, Mode::Exact)?;
        let gone = given.iter().filter(|g| !named.contains(*g));
        let gone: Vec<&str> = gone.map(|g| g.strip_prefix(NODE_KEY).unwrap_or(g)).collect();
        let notes = next.delete(&gone, &|_| false).map_err(|e| vec![e])?;
        *self = next;
        Ok(notes)
    }

    /// The objects by these names, or by `type:KIND`, `changed`; all of them for none. In the order of `show`.
    pub fn select(&self, names: &[&str]) -> Result<Vec<Listed<'_>>, String> {
        let all = in_order(&self.now);
        if names.is_empty() {
            return Ok(all);
        }
        let changed = match names.contains(&"changed") {
            true => self.changed(),
            false => BTreeSet::new(),
        };
        for name in names.iter().filter(|n| **n != "changed" && !n.starts_with("type:")) {
            if !all.iter().any(|o| o.name() == *name) {
                return Err(format!("object {name} does not exist"));
            }
        }
        let wanted = |o: &Listed<'_>| {
            names.iter().any(|n| match n.strip_prefix("type:") {
                Some(kind) => kind.trim_end_matches('s') == o.keyword().trim_end_matches('s') || o.element.name == kind,
                None => *n == o.name(),
            }) || changed.contains(&o.key())
        };
        Ok(all.into_iter().filter(wanted).collect())
    }

    pub fn find(&self, id: &str) -> Option<&Element> {
        find(&self.now, id)
    }

    /// Every name that an object has.
    pub fn names(&self) -> Vec<String> {
        in_order(&self.now).iter().map(|o| o.name().to_owned()).collect()
    }
}

/// Pasted texts end with such words.
fn ends_a_level(line: &str) -> bool {
    ["commit", "end", "exit", "quit", "bye", "up", "configure"].contains(&line.trim())
}

/// Members before what holds them.
fn rank(statement: &Statement) -> u8 {
    match statement {
        Statement::Monitor(..) => 5,
        Statement::Object(o) => match &*o.element.name {
            "node" | "template" => 0,
            "primitive" => 1,
            "group" => 2,
            "clone" | "master" => 3,
            _ => 4,
        },
    }
}
