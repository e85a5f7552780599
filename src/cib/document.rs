//! The whole CIB: the element `cib` with its configuration and its status.

use super::version::Version;
use super::xml::{Element, Unreadable};
use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// What is written into a new CIB; the rules of its schema are those of [`super::schema`].
pub const VALIDATE_WITH: &str = "pacemaker-1.2";
/// Which digests and environment variables the cluster works with: those of Pacemaker 2.1.5.
pub const FEATURE_SET: &str = "3.16.1";
/// The sections of `configuration`, in the order of the document. The first four are always there.
pub const SECTIONS: [&str; 10] = [
    "crm_config",
    "nodes",
    "resources",
    "constraints",
    "acls",
    "tags",
    "fencing-topology",
    "rsc_defaults",
    "op_defaults",
    "alerts",
];
const ALWAYS: usize = 4;

/// A CIB whose skeleton is whole: both halves and the first four sections are there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cib {
    root: Element,
}

impl Cib {
    /// As `cibadmin -a` prints it.
    pub fn empty() -> Self {
        let mut root = Element::new("cib")
            .with("crm_feature_set", FEATURE_SET)
            .with("validate-with", VALIDATE_WITH)
            .with("epoch", 0)
            .with("num_updates", 0)
            .with("admin_epoch", 0);
        complete(&mut root);
        Self { root }
    }

    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        Self::from_element(Element::parse(text)?)
    }

    pub fn from_element(mut root: Element) -> Result<Self, Unreadable> {
        if root.name != "cib" {
            return Err(Unreadable {
                line: root.line,
                why: format!("the outermost element is {}, not cib", root.name),
            });
        }
        complete(&mut root);
        Ok(Self { root })
    }

    pub fn root(&self) -> &Element {
        &self.root
    }

    /// For what belongs to the `cib` element itself: have-quorum, dc-uuid, who changed it last.
    pub fn set(&mut self, attribute: &str, value: &str) {
        self.root.set(attribute, value);
    }

    pub fn version(&self) -> Version {
        Version::of(&self.root)
    }

    pub fn set_version(&mut self, version: Version) {
        version.write_to(&mut self.root);
    }

    pub fn configuration(&self) -> &Element {
        self.root.child("configuration").expect("complete() made it")
    }

    pub(super) fn configuration_mut(&mut self) -> &mut Element {
        self.root.child_mut("configuration").expect("complete() made it")
    }

    pub fn status(&self) -> &Element {
        self.root.child("status").expect("complete() made it")
    }

    pub(super) fn status_mut(&mut self) -> &mut Element {
        self.root.child_mut("status").expect("complete() made it")
    }

    /// A section of the configuration, by its name in [`SECTIONS`].
    pub fn section(&self, name: &str) -> Option<&Element> {
        self.configuration().child(name)
    }

    /// What lies on disk: no status, no count of its updates.
    pub fn stored(&self) -> Element {
        let mut root = Element {
            children: vec![self.configuration().clone(), Element::new("status")],
            ..Element {
                name: self.root.name.clone(),
                attributes: self.root.attributes.clone(),
                ..Element::default()
            }
        };
        root.set("num_updates", 0);
        root
    }

    /// Every element of the configuration that has an id.
    pub fn by_id(&self) -> BTreeMap<&str, &Element> {
        let all = self.configuration().walk();
        all.filter_map(|e| e.get("id").map(|id| (id, e)))
            .filter(|(_, e)| e.name != "resource_ref")
            .collect()
    }

    /// The value of a cluster property, as the set of the highest score says it; dashes and underscores are the same.
    pub fn property(&self, name: &str) -> Option<&str> {
        let mut sets: Vec<_> = self.section("crm_config")?.children.iter().collect();
        sets.sort_by_key(|s| std::cmp::Reverse(s.get("score").and_then(super::Score::parse).unwrap_or_default()));
        let same = |a: &str| a.len() == name.len() && a.replace('_', "-") == name.replace('_', "-");
        let mut pairs = sets.iter().flat_map(|s| s.children_named("nvpair"));
        pairs.find(|p| p.get("name").is_some_and(same))?.get("value")
    }
}

/// Puts in what every CIB has, and the sections in their order.
fn complete(root: &mut Element) {
    let configuration = root.child_or_new("configuration");
    for name in &SECTIONS[..ALWAYS] {
        configuration.child_or_new(name);
    }
    let place = |e: &Element| SECTIONS.iter().position(|s| *s == e.name).unwrap_or(SECTIONS.len());
    configuration.children.sort_by_key(place);
    root.child_or_new("status");
}

/// 32 hex digits: MD5 of a blank, the bare XML and a newline, as in `cib.xml.sig`.
pub fn digest(element: &Element) -> String {
    let mut hash = Md5::new();
    hash.update(b" ");
    hash.update(element.to_bare());
    hash.update(b"\n");
    let mut hex = String::with_capacity(32);
    for byte in hash.finalize() {
        let digit = |half: u8| char::from_digit(half.into(), 16).expect("half a byte is a digit of 16");
        hex.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three digests that Pacemaker 2.1.5 wrote for the parameters of its own operations.
    #[test]
    fn digests_are_those_of_pacemaker() {
        let none = Element::new("parameters");
        let table = [
            (none.clone(), "f2317cad3d54cec5d7d7aa7d0bf35cf8"),
            (
                none.clone().with("CRM_meta_timeout", 30_000),
                "02a5bcf940fc8d3239701acb11438d6a",
            ),
            (
                none.with("cidr_netmask", 24).with("ip", "192.168.56.100"),
                "29190ca344de3911c6bca396a8bc055b",
            ),
        ];
        for (parameters, expected) in table {
            assert_eq!(digest(&parameters), expected, "{parameters}");
        }
    }

    #[test]
    fn an_empty_cib_and_one_that_lacks_most() {
        let skeleton = "<configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>";
        assert!(Cib::empty().root().to_bare().ends_with(skeleton));
        let cib =
            Cib::parse("<cib epoch='7' num_updates='3'><configuration><op_defaults/><nodes/></configuration></cib>");
        let names: Vec<_> = cib
            .as_ref()
            .unwrap()
            .configuration()
            .children
            .iter()
            .map(|c| &*c.name)
            .collect();
        assert_eq!(
            names,
            ["crm_config", "nodes", "resources", "constraints", "op_defaults"]
        );
        assert_eq!(cib.as_ref().unwrap().version().to_string(), "0.7.3");
        assert!(
            cib.unwrap()
                .stored()
                .to_bare()
                .starts_with("<cib epoch=\"7\" num_updates=\"0\">")
        );
        assert!(Cib::parse("<configuration/>").is_err());
    }

    #[test]
    fn the_set_with_the_higher_score_says_the_property() {
        let cib = Cib::parse(
            "<cib><configuration><crm_config>
            <cluster_property_set id='a'><nvpair id='1' name='stonith_enabled' value='true'/></cluster_property_set>
            <cluster_property_set id='b' score='10'><nvpair id='2' name='stonith-enabled' value='false'/></cluster_property_set>
            </crm_config></configuration></cib>",
        );
        assert_eq!(cib.unwrap().property("stonith-enabled"), Some("false"));
    }
}
