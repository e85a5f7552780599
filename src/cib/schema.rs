//! Which elements and attributes a CIB has, and every place where a document is not like that.
//!
//! One table, `ELEMENTS`. Sections outside the crm's subset (`KEPT`) are not looked into, only kept.

use super::document::Cib;
use super::words::{Score, truth};
use super::xml::Element;
use std::collections::BTreeMap;
use std::fmt;

/// One place where the document is not like the schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub line: u32,
    pub element: String,
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: element {}: {}", self.line, self.element, self.what)
    }
}

/// What an attribute's value must be.
#[derive(Clone, Copy, Debug)]
enum Value {
    Text,
    /// A name of XML that no other element of the document has.
    Id,
    /// The id of a resource.
    Resource,
    Score,
    Truth,
    OneOf(&'static [&'static str]),
}

use Value::{Id, OneOf, Resource, Text, Truth};

/// An attribute, and whether the element cannot be without it.
type Attribute = (&'static str, Value, bool);

struct Kind {
    name: &'static str,
    attributes: &'static [Attribute],
    children: &'static [&'static str],
}

const YES: bool = true;
const NO: bool = false;
const SCORE: Value = Value::Score;
const ROLE: Value = OneOf(&["Stopped", "Started", "Master", "Slave", "Promoted", "Unpromoted"]);
const ACTION: Value = OneOf(&["start", "stop", "promote", "demote"]);
const KIND: Value = OneOf(&[
    "Mandatory",
    "Optional",
    "Serialize",
    "mandatory",
    "optional",
    "serialize",
]);
const AND_OR: Value = OneOf(&["and", "or"]);
const COMPARISON: Value = OneOf(&["lt", "gt", "lte", "gte", "eq", "ne", "defined", "not_defined"]);
const VALUE_TYPE: Value = OneOf(&["string", "integer", "number", "version"]);
const ON_FAIL: Value = OneOf(&[
    "ignore",
    "block",
    "stop",
    "restart",
    "standby",
    "fence",
    "restart-container",
    "demote",
    "migrate",
]);
/// A set may stand for another one by `id-ref`.
const SET: &[Attribute] = &[("id", Id, NO), ("id-ref", Text, NO), ("score", SCORE, NO)];
const IN_SET: &[&str] = &["rule", "nvpair"];
const OF_RESOURCE: &[&str] = &["meta_attributes", "instance_attributes"];
const CLONED: &[&str] = &["meta_attributes", "instance_attributes", "primitive", "group"];
const NAMED: &[Attribute] = &[("id", Id, YES), ("description", Text, NO)];
/// Hours, days and the like, each a number or a range.
const SPAN: &[Attribute] = &[
    ("id", Id, YES),
    ("hours", Text, NO),
    ("monthdays", Text, NO),
    ("weekdays", Text, NO),
    ("yearsdays", Text, NO),
    ("yeardays", Text, NO),
    ("months", Text, NO),
    ("weeks", Text, NO),
    ("years", Text, NO),
    ("weekyears", Text, NO),
    ("moon", Text, NO),
    ("days", Text, NO),
    ("minutes", Text, NO),
    ("seconds", Text, NO),
];

/// Elements whose inside is not looked at: other programs' configuration, and the status, which the cluster writes.
const KEPT: &[&str] = &["acls", "tags", "fencing-topology", "alerts", "status", "bundle"];

#[rustfmt::skip]
const ELEMENTS: &[Kind] = &[
    Kind { name: "configuration", attributes: &[], children: &super::document::SECTIONS },
    Kind { name: "crm_config", attributes: &[], children: &["cluster_property_set"] },
    Kind { name: "nodes", attributes: &[], children: &["node"] },
    Kind { name: "resources", attributes: &[], children: &["primitive", "group", "clone", "master", "template", "bundle"] },
    Kind { name: "constraints", attributes: &[], children: &["rsc_location", "rsc_colocation", "rsc_order", "rsc_ticket"] },
    Kind { name: "rsc_defaults", attributes: &[], children: &["meta_attributes"] },
    Kind { name: "op_defaults", attributes: &[], children: &["meta_attributes"] },
    Kind { name: "cluster_property_set", attributes: SET, children: IN_SET },
    Kind { name: "meta_attributes", attributes: SET, children: IN_SET },
    Kind { name: "instance_attributes", attributes: SET, children: IN_SET },
    Kind { name: "utilization", attributes: SET, children: IN_SET },
    Kind { name: "nvpair", children: &[],
           attributes: &[("id", Id, NO), ("id-ref", Text, NO), ("name", Text, NO), ("value", Text, NO)] },
    Kind { name: "node", children: &["instance_attributes", "utilization"],
           attributes: &[("id", Id, YES), ("uname", Text, YES), ("type", OneOf(&["normal", "member", "ping", "remote"]), NO),
                         ("description", Text, NO), ("score", SCORE, NO)] },
    Kind { name: "primitive", children: &["meta_attributes", "instance_attributes", "utilization", "operations"],
           attributes: &[("id", Id, YES), ("class", Text, NO), ("provider", Text, NO), ("type", Text, NO),
                         ("description", Text, NO), ("template", Resource, NO)] },
    Kind { name: "template", children: &["meta_attributes", "instance_attributes", "utilization", "operations"],
           attributes: &[("id", Id, YES), ("class", Text, YES), ("provider", Text, NO), ("type", Text, YES),
                         ("description", Text, NO)] },
    Kind { name: "group", attributes: NAMED, children: &["meta_attributes", "instance_attributes", "primitive"] },
    Kind { name: "clone", attributes: NAMED, children: CLONED },
    Kind { name: "master", attributes: NAMED, children: CLONED },
    Kind { name: "operations", attributes: &[("id", Id, NO), ("id-ref", Text, NO)], children: &["op"] },
    Kind { name: "op", children: OF_RESOURCE,
           attributes: &[("id", Id, YES), ("name", Text, YES), ("interval", Text, YES), ("timeout", Text, NO),
                         ("start-delay", Text, NO), ("on-fail", ON_FAIL, NO), ("role", ROLE, NO), ("enabled", Truth, NO),
                         ("record-pending", Truth, NO), ("description", Text, NO), ("interval-origin", Text, NO),
                         ("requires", OneOf(&["nothing", "quorum", "fencing", "unfencing"]), NO)] },
    Kind { name: "rsc_location", children: &["rule", "resource_set", "lifetime"],
           attributes: &[("id", Id, YES), ("rsc", Resource, NO), ("rsc-pattern", Text, NO), ("node", Text, NO),
                         ("score", SCORE, NO), ("role", ROLE, NO),
                         ("resource-discovery", OneOf(&["always", "never", "exclusive"]), NO)] },
    Kind { name: "rsc_colocation", children: &["resource_set", "lifetime", "rule"],
           attributes: &[("id", Id, YES), ("rsc", Resource, NO), ("with-rsc", Resource, NO), ("score", SCORE, NO),
                         ("rsc-role", ROLE, NO), ("with-rsc-role", ROLE, NO), ("node-attribute", Text, NO),
                         ("rsc-instance", Text, NO), ("with-rsc-instance", Text, NO), ("influence", Truth, NO)] },
    Kind { name: "rsc_order", children: &["resource_set", "lifetime"],
           attributes: &[("id", Id, YES), ("first", Resource, NO), ("then", Resource, NO), ("score", SCORE, NO),
                         ("kind", KIND, NO), ("first-action", ACTION, NO), ("then-action", ACTION, NO),
                         ("symmetrical", Truth, NO), ("require-all", Truth, NO),
                         ("first-instance", Text, NO), ("then-instance", Text, NO)] },
    Kind { name: "rsc_ticket", children: &["resource_set"],
           attributes: &[("id", Id, YES), ("rsc", Resource, NO), ("rsc-role", ROLE, NO), ("ticket", Text, YES),
                         ("loss-policy", OneOf(&["stop", "demote", "fence", "freeze"]), NO)] },
    Kind { name: "lifetime", attributes: &[], children: &["rule"] },
    Kind { name: "rule", children: &["rule", "expression", "date_expression", "rsc_expression", "op_expression"],
           attributes: &[("id", Id, NO), ("id-ref", Text, NO), ("score", SCORE, NO), ("score-attribute", Text, NO),
                         ("boolean-op", AND_OR, NO), ("role", ROLE, NO)] },
    Kind { name: "expression", children: &[],
           attributes: &[("id", Id, YES), ("attribute", Text, YES), ("operation", COMPARISON, YES), ("value", Text, NO),
                         ("type", VALUE_TYPE, NO), ("value-source", OneOf(&["literal", "param", "meta"]), NO)] },
    Kind { name: "rsc_expression", children: &[],
           attributes: &[("id", Id, YES), ("class", Text, NO), ("provider", Text, NO), ("type", Text, NO)] },
    Kind { name: "op_expression", children: &[],
           attributes: &[("id", Id, YES), ("name", Text, YES), ("interval", Text, NO)] },
    Kind { name: "date_expression", children: &["duration", "date_spec"],
           attributes: &[("id", Id, YES), ("operation", OneOf(&["gt", "lt", "in_range", "date_spec", "eq", "neq"]), NO),
                         ("start", Text, NO), ("end", Text, NO)] },
    Kind { name: "duration", attributes: SPAN, children: &[] },
    Kind { name: "date_spec", attributes: SPAN, children: &[] },
    Kind { name: "resource_set", children: &["resource_ref"],
           attributes: &[("id", Id, NO), ("id-ref", Text, NO), ("sequential", Truth, NO), ("action", ACTION, NO),
                         ("role", ROLE, NO), ("score", SCORE, NO), ("require-all", Truth, NO), ("kind", KIND, NO),
                         ("ordering", OneOf(&["group", "listed"]), NO)] },
    Kind { name: "resource_ref", attributes: &[("id", Resource, YES)], children: &[] },
];

const RESOURCES: &[&str] = &["primitive", "group", "clone", "master", "template", "bundle"];

/// Every fault of the document, in its order.
pub fn check(cib: &Cib) -> Vec<Fault> {
    let kinds: BTreeMap<&str, &Kind> = ELEMENTS.iter().map(|k| (k.name, k)).collect();
    let all = cib.configuration().walk();
    let resources = all
        .filter(|e| RESOURCES.contains(&&*e.name))
        .map(|e| (e.id(), &*e.name))
        .collect();
    let mut checker = Checker {
        kinds,
        resources,
        seen: BTreeMap::new(),
        faults: Vec::new(),
    };
    for child in &cib.root().children {
        if !["configuration", "status"].contains(&&*child.name) {
            checker.fault(child, "does not belong into cib".to_owned());
        }
    }
    checker.element(cib.configuration());
    checker.faults
}

struct Checker<'d> {
    kinds: BTreeMap<&'static str, &'static Kind>,
    /// Ids of the resources, and which element each is.
    resources: BTreeMap<&'d str, &'d str>,
    /// Ids so far, with the line of each.
    seen: BTreeMap<&'d str, u32>,
    faults: Vec<Fault>,
}

impl<'d> Checker<'d> {
    fn fault(&mut self, element: &Element, what: String) {
        self.faults.push(Fault {
            line: element.line,
            element: element.name.clone(),
            what,
        });
    }

    fn element(&mut self, element: &'d Element) {
        let Some(&kind) = self.kinds.get(&*element.name) else {
            return;
        };
        for (name, value) in &element.attributes {
            match kind.attributes.iter().find(|(n, ..)| *n == name) {
                Some((_, wanted, _)) => self.value(element, name, value, *wanted),
                None => self.fault(element, format!("has no attribute {name}")),
            }
        }
        for (name, _, required) in kind.attributes {
            if *required && element.get(name).is_none() {
                self.fault(element, format!("attribute {name} is missing"));
            }
        }
        for what in incomplete(element) {
            self.fault(element, what);
        }
        for child in &element.children {
            if !kind.children.contains(&&*child.name) {
                self.fault(child, format!("does not belong into {}", element.name));
            } else if !KEPT.contains(&&*child.name) {
                self.element(child);
            }
        }
    }

    fn value(&mut self, element: &'d Element, name: &str, value: &'d str, wanted: Value) {
        let what = match wanted {
            Text => None,
            Id => self.id(element, value),
            Resource => match self.resources.get(value) {
                Some(kind) if name == "template" && *kind != "template" => {
                    Some(format!("{name} \"{value}\" is a {kind}"))
                }
                Some(_) => None,
                None => Some(format!("{name} refers to \"{value}\", which does not exist")),
            },
            Value::Score => Score::parse(value)
                .is_none()
                .then(|| format!("{name}=\"{value}\" is no score: a whole number, INFINITY or -INFINITY")),
            Truth => truth(value)
                .is_none()
                .then(|| format!("{name}=\"{value}\" is neither true nor false")),
            OneOf(words) => {
                (!words.contains(&value)).then(|| format!("{name}=\"{value}\" is none of {}", words.join(", ")))
            }
        };
        if let Some(what) = what {
            self.fault(element, what);
        }
    }

    fn id(&mut self, element: &'d Element, id: &'d str) -> Option<String> {
        // Ids of nodes are numbers under corosync.
        if element.name != "node" && !is_xml_name(id) {
            return Some(format!(
                "id \"{id}\" is no name: letters, digits, - _ and ., not starting with a digit"
            ));
        }
        let before = self.seen.insert(id, element.line)?;
        Some(format!("id \"{id}\" is used already, in line {before}"))
    }
}

/// As XML wants its ids.
pub fn is_xml_name(id: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    id.starts_with(|c: char| c.is_alphabetic() || c == '_') && id.chars().all(inner)
}

/// What a list of attributes and children does not say: which of them must come together.
fn incomplete(element: &Element) -> Vec<String> {
    let has = |name: &str| element.get(name).is_some();
    let count = |name: &str| element.children_named(name).count();
    let mut what = Vec::new();
    let mut must = |holds: bool, text: &str| {
        if !holds {
            what.push(text.to_owned());
        }
    };
    match &*element.name {
        "primitive" => {
            must(has("template") || has("class"), "attribute class is missing");
            must(has("template") || has("type"), "attribute type is missing");
            must(
                has("template") || (element.get("class") == Some("ocf")) == has("provider"),
                "attribute provider belongs to class ocf, and to no other",
            );
        }
        "group" => must(count("primitive") > 0, "holds no primitive"),
        "clone" | "master" => must(
            count("primitive") + count("group") == 1,
            "must hold exactly one primitive or group",
        ),
        "nvpair" => must(
            has("id-ref") || has("id") && has("name"),
            "attributes id and name are missing",
        ),
        "cluster_property_set"
        | "meta_attributes"
        | "instance_attributes"
        | "utilization"
        | "resource_set"
        | "rule" => {
            must(has("id") || has("id-ref"), "attribute id is missing");
        }
        "rsc_location" => {
            must(
                has("rsc") || has("rsc-pattern") || count("resource_set") > 0,
                "names no resource: rsc, rsc-pattern or a resource_set",
            );
            must(
                has("node") && has("score") || count("rule") > 0,
                "says no place: node and score, or a rule",
            );
        }
        "rsc_colocation" => must(
            has("rsc") && has("with-rsc") || count("resource_set") > 0,
            "names no resources: rsc and with-rsc, or resource_sets",
        ),
        "rsc_order" => must(
            has("first") && has("then") || count("resource_set") > 0,
            "names no resources: first and then, or resource_sets",
        ),
        _ => {}
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(resources: &str, constraints: &str) -> Vec<String> {
        let text = format!(
            "<cib><configuration><resources>{resources}</resources>\n<constraints>{constraints}</constraints>\
             <acls><anything goes='here'/></acls></configuration><status><node_state strange='1'/></status></cib>"
        );
        check(&Cib::parse(&text).unwrap())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    const A: &str = "<primitive id='a' class='ocf' provider='heartbeat' type='Dummy'/>";

    #[test]
    fn faults_name_line_element_and_reason() {
        let b = A.replace("'a'", "'b'");
        let two = format!("{A}{b}");
        #[rustfmt::skip]
        let table: &[(&str, &str, &[&str])] = &[
            // resources, constraints, faults
            (A, "", &[]),
            (&two, "<rsc_order id='o' first='a' then='b' kind='Mandatory'/>", &[]),
            (&two, "<rsc_colocation id='c' score='INFINITY' rsc='a' with-rsc='b' with-rsc-role='Master'/>", &[]),
            (A, "<rsc_location id='l' rsc='a' score='100' node='elsewhere'/>", &[]),
            (A, "<rsc_location id='l' rsc='a'><rule id='r' score='-INFINITY'><expression id='e' attribute='p' operation='not_defined'/></rule></rsc_location>", &[]),
            ("<primitive id='w' class='lsb' type='httpd'/>", "", &[]),
            ("<group id='g'><primitive id='w' class='lsb' type='httpd'/></group>", "<rsc_location id='l' rsc='g' score='1' node='n'/>", &[]),
            (A, "<rsc_order id='o' first='a' then='nosuch'/>", &["2: element rsc_order: then refers to \"nosuch\", which does not exist"]),
            (A, "<rsc_order id='a' first='a' then='a'/>", &["2: element rsc_order: id \"a\" is used already, in line 1"]),
            (A, "<rsc_order id='1o' first='a' then='a'/>", &["2: element rsc_order: id \"1o\" is no name: letters, digits, - _ and ., not starting with a digit"]),
            (A, "<rsc_order id='o' first='a'/>", &["2: element rsc_order: names no resources: first and then, or resource_sets"]),
            (A, "<rsc_order id='o' first='a' then='a' colour='red'/>", &["2: element rsc_order: has no attribute colour"]),
            (A, "<rsc_location id='l' rsc='a' score='many' node='n'/>", &["2: element rsc_location: score=\"many\" is no score: a whole number, INFINITY or -INFINITY"]),
            (A, "<wish id='w'/>", &["2: element wish: does not belong into constraints"]),
            ("<primitive class='ocf' type='Dummy' provider='p'/>", "", &["1: element primitive: attribute id is missing"]),
            ("<primitive id='a' class='ocf' type='Dummy'/>", "", &["1: element primitive: attribute provider belongs to class ocf, and to no other"]),
            ("<group id='g'/>", "", &["1: element group: holds no primitive"]),
            ("<clone id='c'/>", "", &["1: element clone: must hold exactly one primitive or group"]),
        ];
        for (resources, constraints, expected) in table {
            assert_eq!(faults(resources, constraints), *expected, "{resources} {constraints}");
        }
    }

    #[test]
    fn every_child_that_may_stand_somewhere_is_known() {
        for kind in ELEMENTS {
            for child in kind.children {
                let known = KEPT.contains(child) || ELEMENTS.iter().any(|k| k.name == *child);
                assert!(known, "{child} in {}", kind.name);
            }
        }
    }
}
