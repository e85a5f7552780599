//! Edits as one XML element, and back: how tools hand them to the daemon, and the daemons to each other.
//!
//! ```xml
//! <edits>
//!   <create section="resources"><primitive id="www" class="lsb" type="httpd"/></create>
//!   <modify section="crm_config" or-create="true">…</modify>
//!   <replace section="cib">…</replace>  <delete section="constraints">…</delete>
//!   <erase/>  <bump/>
//!   <expect id="www"><primitive id="www" …/></expect>  (empty: it must not be there)
//! </edits>
//! ```

use super::edit::Edit;
use super::words::truth;
use super::xml::{Element, Unreadable};

/// The name of the whole.
pub const EDITS: &str = "edits";

pub fn to_element(edits: &[Edit]) -> Element {
    Element {
        children: edits.iter().map(one_to_element).collect(),
        ..Element::new(EDITS)
    }
}

pub fn from_element(element: &Element) -> Result<Vec<Edit>, Unreadable> {
    if element.name != EDITS {
        return Err(wrong(element, format!("is {}, not {EDITS}", element.name)));
    }
    element.children.iter().map(one_from_element).collect()
}

fn one_to_element(edit: &Edit) -> Element {
    let within =
        |kind: &str, section: &str, xml: &Element| Element::new(kind).with("section", section).holding(xml.clone());
    match edit {
        Edit::Create { section, xml } => within("create", section, xml),
        Edit::Modify {
            section,
            xml,
            or_create,
        } => within("modify", section, xml).with("or-create", or_create),
        Edit::Replace { section, xml } => within("replace", section, xml),
        Edit::Delete { section, xml } => within("delete", section, xml),
        Edit::Erase => Element::new("erase"),
        Edit::Bump => Element::new("bump"),
        Edit::Expect { id, was } => Element {
            children: was.iter().cloned().collect(),
            ..Element::new("expect").with("id", id)
        },
    }
}

fn one_from_element(e: &Element) -> Result<Edit, Unreadable> {
    let attribute = |name: &str| {
        let missing = || wrong(e, format!("{}: has no attribute {name}", e.name));
        e.get(name).map(str::to_owned).ok_or_else(missing)
    };
    let xml = || match &e.children[..] {
        [xml] => Ok(xml.clone()),
        others => Err(wrong(
            e,
            format!("{}: holds {} elements instead of one", e.name, others.len()),
        )),
    };
    Ok(match &*e.name {
        "create" => Edit::Create {
            section: attribute("section")?,
            xml: xml()?,
        },
        "modify" => Edit::Modify {
            section: attribute("section")?,
            xml: xml()?,
            or_create: truth(&attribute("or-create")?)
                .ok_or_else(|| wrong(e, "modify: or-create is neither true nor false".to_owned()))?,
        },
        "replace" => Edit::Replace {
            section: attribute("section")?,
            xml: xml()?,
        },
        "delete" => Edit::Delete {
            section: attribute("section")?,
            xml: xml()?,
        },
        "erase" => Edit::Erase,
        "bump" => Edit::Bump,
        "expect" => Edit::Expect {
            id: attribute("id")?,
            was: match &e.children[..] {
                [] => None,
                _ => Some(xml()?),
            },
        },
        other => return Err(wrong(e, format!("{other} is no edit"))),
    })
}

fn wrong(element: &Element, why: String) -> Unreadable {
    Unreadable {
        line: element.line,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_list_of_edits_is_refused() {
        #[rustfmt::skip]
        let table = [
            ("<edits/>",                                                      None),
            ("<edits><bump/></edits>",                                        None),
            ("<cib/>",                                                        Some("line 1: is cib, not edits")),
            ("<edits>\n<wish/></edits>",                                      Some("line 2: wish is no edit")),
            ("<edits><create section='resources'/></edits>",                  Some("line 1: create: holds 0 elements instead of one")),
            ("<edits><create section='resources'><a/><b/></create></edits>",  Some("line 1: create: holds 2 elements instead of one")),
            ("<edits><delete><a/></delete></edits>",                          Some("line 1: delete: has no attribute section")),
            ("<edits><modify section='s'><a/></modify></edits>",              Some("line 1: modify: has no attribute or-create")),
            ("<edits><modify section='s' or-create='x'><a/></modify></edits>", Some("line 1: modify: or-create is neither true nor false")),
            ("<edits><expect id='a'><a/><a/></expect></edits>",               Some("line 1: expect: holds 2 elements instead of one")),
        ];
        for (text, refused) in table {
            let got = from_element(&Element::parse(text).unwrap());
            assert_eq!(got.err().map(|e| e.to_string()).as_deref(), refused, "{text}");
        }
    }

    fn any_edit() -> impl Strategy<Value = Edit> {
        let leaf = ("[a-z_]{1,6}", "[ -~\n\tä€]{0,9}").prop_map(|(n, v)| Element::new(&n).with("id", v));
        let xml = move || {
            leaf.clone().prop_recursive(3, 8, 3, |inner| {
                ("[a-z]{1,6}", proptest::collection::vec(inner, 0..3)).prop_map(|(n, children)| Element {
                    children,
                    ..Element::new(&n)
                })
            })
        };
        let section = || "[a-z_\"<]{0,9}";
        prop_oneof![
            (section(), xml()).prop_map(|(section, xml)| Edit::Create { section, xml }),
            (section(), xml(), any::<bool>()).prop_map(|(section, xml, or_create)| Edit::Modify {
                section,
                xml,
                or_create
            }),
            (section(), xml()).prop_map(|(section, xml)| Edit::Replace { section, xml }),
            (section(), xml()).prop_map(|(section, xml)| Edit::Delete { section, xml }),
            Just(Edit::Erase),
            Just(Edit::Bump),
            ("[a-z&]{0,5}", proptest::option::of(xml())).prop_map(|(id, was)| Edit::Expect { id, was }),
        ]
    }

    proptest! {
        #[test]
        fn edits_come_back_from_their_text(edits in proptest::collection::vec(any_edit(), 0..5)) {
            let text = to_element(&edits).to_bare();
            prop_assert_eq!(from_element(&Element::parse(&text).unwrap()).unwrap(), edits);
        }

        #[test]
        fn any_element_is_looked_at_without_panic(text in "<edits>(<(create|modify|expect|delete) ?(section='a')?>(<a/>)?</(create|modify|expect|delete)>){0,3}</edits>") {
            if let Ok(element) = Element::parse(&text) {
                let _ = from_element(&element);
            }
        }
    }
}
