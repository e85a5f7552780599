//! The working copy of the configuration: what `configure` changes, until `commit` sends the difference.
//!
//! Every change is made whole or not at all: it works on a copy that takes the place of the old one at its end.

mod changes;
mod references;

use super::parse::{Member, Object, Statement, section_of};
use super::words::Complaint;
use super::{parse, print};
use crate::cib::{Cib, Edit, Element};
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
        if !parse::cursor::is_id(new) {
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
const NODE_KEY: &str = "node ";

/// What tells two objects apart.
fn key_of(element: &Element) -> String {
    match &*element.name {
        "node" => format!("{NODE_KEY}{}", name_of(element)),
        _ => name_of(element).to_owned(),
    }
}

fn name_of(element: &Element) -> &str {
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
fn in_order(configuration: &Element) -> Vec<Listed<'_>> {
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

/// The object by the shell's name for it, wherever in the configuration it is: by its id, else a node by its uname.
fn find<'a>(configuration: &'a Element, name: &str) -> Option<&'a Element> {
    listed(configuration, name).map(|o| o.element)
}

fn listed<'a>(configuration: &'a Element, name: &str) -> Option<Listed<'a>> {
    let of_node = |o: &Listed<'a>| o.element.name == "node";
    let mut named: Vec<Listed<'a>> = objects(configuration)
        .into_iter()
        .filter(|o| o.name() == name)
        .collect();
    named.sort_by_key(of_node);
    named.first().copied()
}

fn find_mut<'a>(configuration: &'a mut Element, id: &str) -> Option<&'a mut Element> {
    let resources = section_mut(configuration, "resources");
    resources.find_mut(&|e| e.id() == id && (print::is_resource(e) || e.name == "template"))
}

fn any_with_id<'a>(configuration: &'a Element, id: &str) -> Option<&'a Element> {
    configuration
        .walk()
        .find(|e| e.id() == id && e.name != "resource_ref" && e.name != "obj_ref")
}

fn section_mut<'a>(configuration: &'a mut Element, name: &str) -> &'a mut Element {
    configuration.child_or_new(name)
}

fn group_of<'a>(configuration: &'a Element, id: &str) -> Result<&'a Element, String> {
    match find(configuration, id) {
        Some(e) if e.name == "group" => Ok(e),
        Some(e) => Err(format!("{id} is not a group, but a {}", e.name)),
        None => Err(format!("object {id} does not exist")),
    }
}

fn monitor(configuration: &mut Element, member: &Member, mut op: Element) -> Result<(), Complaint> {
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
fn put(configuration: &mut Element, object: Object, mode: Mode) -> Result<(), Complaint> {
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
fn take_member(configuration: &mut Element, id: &str, keyword: &str, member: &str) -> Result<Element, String> {
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
