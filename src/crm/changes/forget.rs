//! Forgetting: failures and fail counts (cleanup), or all that is known of a resource on a node (refresh).

use crate::cib::words::plain;
use crate::cib::{Cib, Edit, Element};
use crate::policy::input::Input;
use std::collections::BTreeSet;

/// What is forgotten.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Forgotten {
    pub edits: Vec<Edit>,
    /// Resource, by the id of its history, and name of the node.
    pub of: Vec<(String, String)>,
}

impl Forgotten {
    /// A line each, as crm_resource prints them.
    pub fn lines(&self) -> String {
        self.of
            .iter()
            .map(|(rsc, node)| format!("Cleaned up {rsc} on {node}\n"))
            .collect()
    }
}

/// With `only_failed` nothing but histories with a failure, and fail counts, are looked at. `rsc` may be a primitive, a
/// group or a clone; everything unless it is given. The history of a resource on a node goes whole: it is looked for
/// again.
pub fn forget(cib: &Cib, input: &Input, rsc: Option<&str>, node: Option<&str>, only_failed: bool) -> Forgotten {
    let meant: Option<BTreeSet<String>> = rsc.map(|id| {
        let all =
            (0..input.resources.len()).filter(|r| input.resources[*r].id == id || input.resources[*r].plain == id);
        let parts = all.flat_map(|r| input.primitives(r));
        parts.map(|p| input.resources[p].plain.clone()).collect()
    });
    let is_meant = |id: &str| meant.as_ref().is_none_or(|m| m.contains(id) || m.contains(plain(id)));
    let mut out = Forgotten::default();
    for state in cib.status().children_named("node_state") {
        let uname = state.get("uname").unwrap_or(state.id());
        if node.is_some_and(|n| n != uname && n != state.id()) {
            continue;
        }
        let mut forgotten = BTreeSet::new();
        for pair in counts(state) {
            let (name, id) = (pair.get("name").unwrap_or_default(), pair.id());
            let Some(of) = rsc_of_count(name).filter(|of| is_meant(of)) else {
                continue;
            };
            forgotten.insert(of.to_owned());
            out.edits.push(Edit::Delete {
                section: "status".to_owned(),
                xml: Element::new("nvpair").with("id", id),
            });
        }
        if let Some(lrm) = state.child("lrm") {
            let mut less = lrm.clone();
            let goes = |e: &Element| {
                e.name == "lrm_resource"
                    && is_meant(e.id())
                    && (!only_failed || forgotten.contains(e.id()) || e.children.iter().any(is_failure))
            };
            let histories: Vec<String> = lrm.walk().filter(|e| goes(e)).map(|e| e.id().to_owned()).collect();
            if less.remove_all(&goes) > 0 {
                out.edits.push(Edit::Replace {
                    section: "status".to_owned(),
                    xml: less,
                });
            }
            forgotten.extend(histories);
        }
        out.of.extend(forgotten.into_iter().map(|id| (id, uname.to_owned())));
    }
    out
}

fn counts(state: &Element) -> impl Iterator<Item = &Element> {
    let all = state.child("transient_attributes").into_iter();
    all.flat_map(Element::walk)
        .filter(|e| e.name == "nvpair" && e.get("name").is_some_and(|n| rsc_of_count(n).is_some()))
}

/// `fail-count-www#monitor_10000` is about www.
fn rsc_of_count(name: &str) -> Option<&str> {
    let rest = name
        .strip_prefix("fail-count-")
        .or_else(|| name.strip_prefix("last-failure-"))?;
    Some(rest.split('#').next().unwrap_or(rest))
}

fn is_failure(entry: &Element) -> bool {
    if entry.id().ends_with("_last_failure_0") {
        return true;
    }
    let number = |name: &str| entry.get(name).and_then(|v| v.parse::<i32>().ok()).unwrap_or(0);
    let expected = entry
        .get("transition-key")
        .and_then(|k| k.split(':').nth(2)?.parse().ok());
    let probe = entry.get("operation") == Some("monitor") && number("interval") == 0;
    let (rc, status) = (number("rc-code"), number("op-status"));
    let good = rc == expected.unwrap_or(0) || probe && [0, 7, 8].contains(&rc);
    status > 1 || status == 0 && !good
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cib::edit::Origin;
    use crate::policy::unpack::unpack;
    use crate::time::Wall;

    #[test]
    fn failures_go_and_what_works_stays_known() {
        let op = |rsc: &str, name: &str, rc: i32, last: &str| {
            format!(
                "<lrm_rsc_op id='{rsc}_{last}' operation='{name}' interval='0' rc-code='{rc}' op-status='0' transition-key='1:1:0:u'/>"
            )
        };
        let history =
            |rsc: &str, ops: &str| format!("<lrm_resource id='{rsc}' class='lsb' type='x'>{ops}</lrm_resource>");
        let failed = op("www", "start", 0, "last_0") + &op("www", "monitor", 1, "last_failure_0");
        let state = |id: &str, counts: &str, histories: &str| {
            format!(
                "<node_state id='{id}' uname='n{id}'><transient_attributes id='{id}'><instance_attributes id='status-{id}'>{counts}
                 <nvpair id='p{id}' name='pingd' value='1'/></instance_attributes></transient_attributes>
                 <lrm id='{id}'><lrm_resources>{histories}</lrm_resources></lrm></node_state>"
            )
        };
        let count = "<nvpair id='f' name='fail-count-www#monitor_0' value='1'/><nvpair id='l' name='last-failure-www#monitor_0' value='5'/>";
        let good = history("db", &op("db", "start", 0, "last_0"));
        let text = format!(
            "<cib><configuration><nodes><node id='1' uname='n1'/><node id='2' uname='n2'/></nodes><resources>
             <group id='g'><primitive id='www' class='lsb' type='x'/><primitive id='db' class='lsb' type='x'/></group></resources>
             </configuration><status>{}{}</status></cib>",
            state("1", count, &(history("www", &failed) + &good)),
            state("2", "", &(history("www", &op("www", "monitor", 7, "last_0")) + &good)),
        );
        type Row<'a> = (Option<&'a str>, Option<&'a str>, bool, &'a [&'a str], usize);
        #[rustfmt::skip]
        let table: &[Row<'_>] = &[
            // resource, node, only what failed, lines, histories left
            (None,        None,       true,  &["www n1"], 3),
            (Some("www"), None,       true,  &["www n1"], 3),
            (Some("g"),   None,       true,  &["www n1"], 3),
            (Some("db"),  None,       true,  &[], 4),
            (Some("www"), Some("n2"), true,  &[], 4),
            (Some("www"), None,       false, &["www n1", "www n2"], 2),
            (Some("g"),   Some("n2"), false, &["db n2", "www n2"], 2),
            (None,        None,       false, &["db n1", "www n1", "db n2", "www n2"], 0),
        ];
        for (rsc, node, only_failed, lines, left) in table {
            let mut cib = Cib::parse(&text).unwrap();
            let input = unpack(&cib, Wall(0));
            let forgotten = forget(&cib, &input, *rsc, *node, *only_failed);
            let got: Vec<String> = forgotten.of.iter().map(|(r, n)| format!("{r} {n}")).collect();
            assert_eq!(got, *lines, "{rsc:?} {node:?}");
            cib.apply(&forgotten.edits, &Origin::default()).unwrap();
            let there = |name: &str| cib.status().walk().filter(|e| e.name == name).count();
            assert_eq!(there("lrm_resource"), *left, "{rsc:?} {node:?} {only_failed}");
            let counts = if lines.contains(&"www n1") { 2 } else { 4 };
            assert_eq!(
                there("nvpair"),
                counts,
                "{rsc:?} {node:?}: attributes that are no failures stay"
            );
        }
    }
}
