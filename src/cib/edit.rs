//! What cibadmin, the shell and the daemons may do to a CIB, and why one of them was refused.
//!
//! A list of edits is one transaction: all of them, with one step of the version, or none.

use super::document::{Cib, SECTIONS};
use super::schema::{self, Fault};
use super::version::Version;
use super::xml::Element;
use std::fmt;

/// One change. `section` is a section of the configuration, `configuration`, `status` or `cib`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edit {
    /// Puts `xml` into the section; refused when an element of that name and id is there.
    Create { section: String, xml: Element },
    /// Merges `xml` into the element of the same name and id: attributes are set, children merged or added.
    Modify {
        section: String,
        xml: Element,
        or_create: bool,
    },
    /// The element of the same name and id, or the whole section, becomes `xml`.
    Replace { section: String, xml: Element },
    /// Takes away the first element with the name and all the attributes of `xml`. That there is none is no fault.
    Delete { section: String, xml: Element },
    /// Empties the configuration and the status; one more admin_epoch.
    Erase,
    /// One more epoch, nothing else.
    Bump,
    /// Changes nothing, and refuses the rest when the object with this id is no longer `was` (`None`: not there).
    Expect { id: String, was: Option<Element> },
}

/// Who makes a change, for `Last change:` in the status.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    pub node: String,
    pub client: String,
    pub user: String,
}

/// Why a transaction was not made. The CIB is as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    NoSuchSection(String),
    NoSuchObject(String),
    Exists(String),
    Older {
        offered: Version,
        ours: Version,
    },
    /// The object is not what the change was made from.
    Changed(String),
    Invalid(Vec<Fault>),
}

impl Refusal {
    /// The number cibadmin ends with, as in Pacemaker 2.1.5.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid(_) => 78,
            Self::Older { .. } | Self::Changed(_) => 103,
            Self::NoSuchSection(_) | Self::NoSuchObject(_) => 105,
            Self::Exists(_) => 108,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSection(name) => write!(f, "{name}: there is no such section"),
            Self::NoSuchObject(id) => write!(f, "{id}: there is no such object"),
            Self::Exists(id) => write!(f, "{id}: is there already"),
            Self::Older { offered, ours } => write!(
                f,
                "version {offered} is older than the cluster's, which is {ours}: Update was older than existing configuration"
            ),
            Self::Changed(id) => write!(
                f,
                "{id}: was changed by somebody else meanwhile: look at it, and make the change again"
            ),
            Self::Invalid(faults) => {
                f.write_str("the configuration would not be valid")?;
                faults
                    .iter()
                    .try_for_each(|fault| write!(f, "; {}: {}", fault.element, fault.what))
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl Cib {
    /// Makes all the changes and one step of the version, or none. What changes nothing makes no step.
    pub fn apply(&mut self, edits: &[Edit], origin: &Origin) -> Result<Version, Refusal> {
        let of_status = |e: &Edit| matches!(section_of(e), Some("status"));
        // The status may be many times the configuration, and changes often: it is not copied, and not checked.
        if edits.iter().all(of_status) {
            return self.apply_to_status(edits);
        }
        let mut next = self.clone();
        for edit in edits {
            next.make(edit)?;
        }
        if next == *self {
            return Ok(self.version());
        }
        let faults = schema::check(&next);
        if !faults.is_empty() {
            return Err(Refusal::Invalid(faults));
        }
        let (before, written) = (self.version(), next.version());
        let configured = next.configuration() != self.configuration() || written != before;
        next.set_version(match () {
            // A replacement of the whole brings its version along; Erase and Bump made their own step.
            () if written > before => written,
            () if configured => before.next_epoch(),
            () => before.next_update(),
        });
        if configured {
            next.set("update-origin", &origin.node);
            next.set("update-client", &origin.client);
            next.set("update-user", &origin.user);
        }
        *self = next;
        Ok(self.version())
    }

    fn apply_to_status(&mut self, edits: &[Edit]) -> Result<Version, Refusal> {
        let mut undo = (edits.len() > 1).then(|| self.status().clone());
        let mut changed = false;
        for edit in edits {
            match apply_within(self.status_mut(), edit) {
                Ok(did) => changed |= did,
                Err(refusal) => {
                    if let Some(status) = undo.take() {
                        *self.status_mut() = status;
                    }
                    return Err(refusal);
                }
            }
        }
        if changed {
            self.set_version(self.version().next_update());
        }
        Ok(self.version())
    }

    fn make(&mut self, edit: &Edit) -> Result<(), Refusal> {
        match edit {
            Edit::Replace { section, xml } if section == "cib" || xml.name == "cib" => self.replace_whole(xml),
            Edit::Erase => {
                let version = self.version();
                *self.configuration_mut() = Cib::empty().configuration().clone();
                self.status_mut().children.clear();
                self.set_version(Version {
                    admin_epoch: version.admin_epoch.saturating_add(1),
                    ..version
                });
                Ok(())
            }
            Edit::Bump => {
                self.set_version(self.version().next_epoch());
                Ok(())
            }
            Edit::Expect { id, was } => {
                let is = self.by_id().get(&**id).copied();
                if is == was.as_ref() {
                    Ok(())
                } else {
                    Err(Refusal::Changed(id.clone()))
                }
            }
            Edit::Create { section, .. }
            | Edit::Modify { section, .. }
            | Edit::Replace { section, .. }
            | Edit::Delete { section, .. } => apply_within(self.target(section)?, edit).map(|_| ()),
        }
    }

    fn replace_whole(&mut self, xml: &Element) -> Result<(), Refusal> {
        let offered = Cib::from_element(xml.clone()).map_err(|e| {
            Refusal::Invalid(vec![Fault {
                line: e.line,
                element: xml.name.clone(),
                what: e.why,
            }])
        })?;
        let ours = self.version();
        if offered.version() < ours {
            return Err(Refusal::Older {
                offered: offered.version(),
                ours,
            });
        }
        // The status is the cluster's own, whatever a file says of it.
        let status = self.status().clone();
        *self = offered;
        *self.status_mut() = status;
        Ok(())
    }

    fn target(&mut self, section: &str) -> Result<&mut Element, Refusal> {
        match section {
            "configuration" => Ok(self.configuration_mut()),
            "status" => Ok(self.status_mut()),
            name if SECTIONS.contains(&name) => Ok(self.configuration_mut().child_or_new(name)),
            name => Err(Refusal::NoSuchSection(name.to_owned())),
        }
    }
}

fn section_of(edit: &Edit) -> Option<&str> {
    match edit {
        Edit::Create { section, .. }
        | Edit::Modify { section, .. }
        | Edit::Replace { section, .. }
        | Edit::Delete { section, .. } => Some(section),
        Edit::Erase | Edit::Bump | Edit::Expect { .. } => None,
    }
}

/// Makes one change inside `section`; whether there was anything to change.
fn apply_within(section: &mut Element, edit: &Edit) -> Result<bool, Refusal> {
    let same = |xml: &Element| {
        let (name, id) = (xml.name.clone(), xml.get("id").map(str::to_owned));
        move |e: &Element| e.name == name && e.get("id") == id.as_deref()
    };
    let missing = |xml: &Element| Err(Refusal::NoSuchObject(named(xml)));
    match edit {
        Edit::Create { xml, .. } => {
            if section.children.iter().any(same(xml)) {
                return Err(Refusal::Exists(named(xml)));
            }
            section.children.push(xml.clone());
            Ok(true)
        }
        Edit::Modify { xml, or_create, .. } => {
            if let Some(found) = section.find_mut(&same(xml)) {
                return Ok(merge(found, xml));
            }
            if !or_create {
                return missing(xml);
            }
            section.children.push(xml.clone());
            Ok(true)
        }
        Edit::Replace { xml, .. } => match section.find_mut(&same(xml)) {
            Some(found) if found == xml => Ok(false),
            Some(found) => {
                *found = xml.clone();
                Ok(true)
            }
            None => missing(xml),
        },
        Edit::Delete { xml, .. } => Ok(remove_first(section, xml)),
        Edit::Erase | Edit::Bump | Edit::Expect { .. } => Ok(false),
    }
}

fn named(xml: &Element) -> String {
    match xml.get("id") {
        Some(id) => id.to_owned(),
        None => xml.name.clone(),
    }
}

/// Sets the attributes of `from`, merges its children by name and id; whether anything changed.
fn merge(into: &mut Element, from: &Element) -> bool {
    let mut changed = false;
    for (name, value) in &from.attributes {
        if into.get(name) != Some(value) {
            into.set(name, value);
            changed = true;
        }
    }
    for child in &from.children {
        let same = |e: &&mut Element| e.name == child.name && e.get("id") == child.get("id");
        match into.children.iter_mut().find(same) {
            Some(there) => changed |= merge(there, child),
            None => {
                into.children.push(child.clone());
                changed = true;
            }
        }
    }
    changed
}

/// Takes away the first element below `within` that has the name and all the attributes of `like`.
fn remove_first(within: &mut Element, like: &Element) -> bool {
    let fits = |e: &Element| e.name == like.name && like.attributes.iter().all(|(n, v)| e.get(n) == Some(v));
    if let Some(at) = within.children.iter().position(fits) {
        within.children.remove(at);
        return true;
    }
    within.children.iter_mut().any(|c| remove_first(c, like))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn xml(text: &str) -> Element {
        Element::parse(text).unwrap()
    }

    fn primitive(id: &str) -> Element {
        xml(&format!("<primitive id='{id}' class='lsb' type='x'/>"))
    }

    fn create(id: &str) -> Edit {
        Edit::Create {
            section: "resources".into(),
            xml: primitive(id),
        }
    }

    fn modify(section: &str, text: &str, or_create: bool) -> Edit {
        Edit::Modify {
            section: section.into(),
            xml: xml(text),
            or_create,
        }
    }

    fn delete(text: &str) -> Edit {
        Edit::Delete {
            section: "resources".into(),
            xml: xml(text),
        }
    }

    fn with_a() -> Cib {
        let mut cib = Cib::empty();
        cib.apply(&[create("a")], &Origin::default()).unwrap();
        cib
    }

    /// The codes are those that cibadmin 2.1.5 ended with.
    #[test]
    fn edits_step_the_version_or_are_refused_with_their_code() {
        let older = "<cib epoch='0' num_updates='5'/>";
        let replace = |text: &str| Edit::Replace {
            section: "cib".into(),
            xml: xml(text),
        };
        let expect = |id: &str, was: Option<Element>| Edit::Expect { id: id.into(), was };
        let state = "<node_state id='1' uname='n'/>";
        #[rustfmt::skip]
        let table: &[(&str, Vec<Edit>, Result<&str, u8>)] = &[
            ("create",              vec![create("b")], Ok("0.2.0")),
            ("create twice",        vec![create("a")], Err(108)),
            ("two, one step",       vec![create("b"), create("c")], Ok("0.2.0")),
            ("all or none",         vec![create("b"), create("a")], Err(108)),
            ("modify",              vec![modify("resources", "<primitive id='a' type='y'/>", false)], Ok("0.2.0")),
            ("modify, as it is",    vec![modify("resources", "<primitive id='a' type='x'/>", false)], Ok("0.1.0")),
            ("modify missing",      vec![modify("resources", "<primitive id='b' class='lsb' type='y'/>", false)], Err(105)),
            ("modify or create",    vec![modify("resources", "<primitive id='b' class='lsb' type='y'/>", true)], Ok("0.2.0")),
            ("no such section",     vec![modify("wishes", "<primitive id='a'/>", true)], Err(105)),
            ("invalid",             vec![modify("resources", "<primitive id='a' colour='red'/>", false)], Err(78)),
            ("delete",              vec![delete("<primitive id='a'/>")], Ok("0.2.0")),
            ("delete missing",      vec![delete("<primitive id='b'/>")], Ok("0.1.0")),
            ("replace by older",    vec![replace(older)], Err(103)),
            ("replace by newer",    vec![replace("<cib epoch='9'/>")], Ok("0.9.0")),
            ("replace by equal",    vec![replace("<cib epoch='1'/>")], Ok("0.2.0")),
            ("erase",               vec![Edit::Erase], Ok("1.1.0")),
            ("bump",                vec![Edit::Bump], Ok("0.2.0")),
            ("as expected",         vec![expect("a", Some(primitive("a"))), create("b")], Ok("0.2.0")),
            ("not as expected",     vec![expect("a", None), create("b")], Err(103)),
            ("status",              vec![modify("status", state, true)], Ok("0.1.1")),
            ("status and resource", vec![modify("status", state, true), create("b")], Ok("0.2.0")),
            ("status, no such",     vec![modify("status", state, false)], Err(105)),
            ("status, undone",      vec![modify("status", state, true), modify("status", "<x id='1'/>", false)], Err(105)),
        ];
        for (what, edits, expected) in table {
            let mut cib = with_a();
            let before = cib.clone();
            let got = cib.apply(edits, &Origin::default());
            let got = got.map(|v| v.to_string()).map_err(|r| r.exit_code());
            assert_eq!(got.as_deref(), expected.as_ref().map(|v| *v), "{what}");
            if expected.is_err() {
                assert_eq!(cib, before, "{what}");
            }
        }
    }

    #[test]
    fn the_last_change_is_signed() {
        let origin = Origin {
            node: "n1".into(),
            client: "crm".into(),
            user: "root".into(),
        };
        let mut cib = Cib::empty();
        cib.apply(&[create("a")], &origin).unwrap();
        assert_eq!(cib.root().get("update-origin"), Some("n1"));
        assert_eq!(cib.root().get("update-client"), Some("crm"));
        assert_eq!(cib.root().get("update-user"), Some("root"));
    }

    fn any_edit() -> impl Strategy<Value = Edit> {
        let id = || "[a-d]";
        let one = |id: &str| format!("<primitive id='{id}'/>");
        prop_oneof![
            id().prop_map(|i| create(&i)),
            (id(), "[xyz]", any::<bool>()).prop_map(|(i, t, c)| modify(
                "resources",
                &format!("<primitive id='{i}' class='lsb' type='{t}'/>"),
                c
            )),
            id().prop_map(move |i| delete(&one(&i))),
            id().prop_map(|i| modify("status", &format!("<node_state id='{i}'/>"), true)),
            Just(Edit::Bump),
        ]
    }

    proptest! {
        /// What the cluster rests on: the same edits give the same document on every node, versions only rise, and a
        /// document that was valid stays so.
        #[test]
        fn any_edits_keep_it_valid_and_rising(transactions in proptest::collection::vec(proptest::collection::vec(any_edit(), 1..4), 0..12)) {
            let (mut one, mut other) = (Cib::empty(), Cib::empty());
            for edits in transactions {
                let before = one.version();
                let made = one.apply(&edits, &Origin::default());
                prop_assert_eq!(&made, &other.apply(&edits, &Origin::default()));
                prop_assert!(one.version() >= before);
                prop_assert_eq!(made.is_err() && one.version() != before, false);
                prop_assert_eq!(schema::check(&one), vec![]);
                prop_assert_eq!(&one, &other);
            }
        }
    }
}
