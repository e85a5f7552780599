//! Constraints that an administrator makes with a command: go there, stay away from there.

use crate::cib::{Cib, Edit, Element, Score};
use crate::policy::rules::iso_text;
use crate::time::Wall;

/// What a constraint of ours is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Go there.
    Prefer,
    /// Stay away from there.
    Ban,
}

/// A constraint to be made.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    pub rsc: &'a str,
    pub node: &'a str,
    pub wish: Wish,
    /// Only where it is promoted.
    pub of_master: bool,
    /// It holds until then.
    pub until: Option<Wall>,
}

impl Move<'_> {
    /// One a resource for Prefer, one a resource and node for Ban.
    pub fn id(&self) -> String {
        match self.wish {
            Wish::Prefer => format!("cli-prefer-{}", self.rsc),
            Wish::Ban => format!("cli-ban-{}-on-{}", self.rsc, self.node),
        }
    }

    /// The constraint, in place of one of the same id.
    pub fn edit(&self, cib: &Cib) -> Edit {
        let (score, word) = match self.wish {
            Wish::Prefer => (Score::INFINITY, "prefer"),
            Wish::Ban => (Score::BANNED, "ban"),
        };
        let id = self.id();
        let role = if self.of_master { "Master" } else { "Started" };
        let base = Element::new("rsc_location")
            .with("id", &id)
            .with("rsc", self.rsc)
            .with("role", role);
        let xml = match self.until {
            None => base.with("node", self.node).with("score", score),
            Some(until) => {
                let named = |part: &str| match self.wish {
                    Wish::Prefer => format!("cli-{word}-{part}-{}", self.rsc),
                    Wish::Ban => format!("cli-{word}-{part}-{}-on-{}", self.rsc, self.node),
                };
                base.holding(
                    Element::new("rule")
                        .with("id", named("rule"))
                        .with("score", score)
                        .with("boolean-op", "and")
                        .holding(
                            Element::new("expression")
                                .with("id", named("expr"))
                                .with("attribute", "#uname")
                                .with("operation", "eq")
                                .with("value", self.node)
                                .with("type", "string"),
                        )
                        .holding(
                            Element::new("date_expression")
                                .with("id", named("lifetime-end"))
                                .with("operation", "lt")
                                .with("end", iso_text(until)),
                        ),
                )
            }
        };
        let section = "constraints".to_owned();
        let there = cib
            .section("constraints")
            .is_some_and(|s| s.children.iter().any(|c| c.id() == id));
        match there {
            true => Edit::Replace { section, xml },
            false => Edit::Create { section, xml },
        }
    }
}

/// The constraints that commands have made for a resource; with a node, only those about that one.
pub fn made<'a>(cib: &'a Cib, rsc: &str, node: Option<&str>) -> Vec<&'a Element> {
    let prefer = format!("cli-prefer-{rsc}");
    // What Pacemaker 1.0 and 1.1 made.
    let standby = format!("cli-standby-{rsc}");
    let ban = format!("cli-ban-{rsc}-on-");
    let about = |c: &Element, node: &str| {
        let expression = || c.walk().find(|e| e.get("attribute") == Some("#uname"))?.get("value");
        c.get("node").or_else(expression) == Some(node)
    };
    let constraints = cib.section("constraints").into_iter().flat_map(|s| &s.children);
    constraints
        .filter(|c| c.id() == prefer || c.id() == standby || c.id().starts_with(&ban) && c.get("rsc") == Some(rsc))
        .filter(|c| node.is_none_or(|n| about(c, n)))
        .collect()
}

/// The change that takes a constraint away.
pub fn clear(constraint: &Element) -> Edit {
    Edit::Delete {
        section: "constraints".to_owned(),
        xml: Element::new(&constraint.name).with("id", constraint.id()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cib::edit::Origin;

    fn cib() -> Cib {
        Cib::parse(
            "<cib><configuration><resources><primitive id='vip' class='lsb' type='x'/><primitive id='vip-on' class='lsb' type='x'/>
             </resources></configuration></cib>",
        )
        .unwrap()
    }

    #[test]
    fn constraints_of_commands_are_valid_and_found_again() {
        let mut cib = cib();
        let all = [
            ("vip", "n1", Wish::Prefer, None),
            ("vip", "n2", Wish::Prefer, None),
            ("vip", "n1", Wish::Ban, None),
            ("vip", "n2", Wish::Ban, Some(Wall(1_795_248_858))),
            ("vip-on", "n1", Wish::Ban, None),
        ];
        for (rsc, node, wish, until) in all {
            let of_master = false;
            let edit = Move {
                rsc,
                node,
                wish,
                of_master,
                until,
            }
            .edit(&cib);
            cib.apply(&[edit], &Origin::default()).unwrap();
        }
        let ids = |node: Option<&str>| made(&cib, "vip", node).iter().map(|c| c.id()).collect::<Vec<_>>();
        // The second wish to prefer took the place of the first one.
        assert_eq!(ids(None), ["cli-prefer-vip", "cli-ban-vip-on-n1", "cli-ban-vip-on-n2"]);
        assert_eq!(ids(Some("n1")), ["cli-ban-vip-on-n1"]);
        assert_eq!(ids(Some("n2")), ["cli-prefer-vip", "cli-ban-vip-on-n2"]);
        let edits: Vec<Edit> = made(&cib, "vip", None).into_iter().map(clear).collect();
        cib.apply(&edits, &Origin::default()).unwrap();
        assert!(made(&cib, "vip", None).is_empty());
        assert_eq!(made(&cib, "vip-on", None).len(), 1, "another resource's stays");
    }
}
