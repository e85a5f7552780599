//! crm_mon's text, whole, for states of many kinds.

use super::{data, root};
use ha::cib::Cib;
use ha::policy::rules::iso_text;
use ha::text::status::{Options, one_line, status};
use ha::text::status_xml;
use ha::time::Wall;

/// Name of the golden file, the CIB, the options.
const CASES: &[(&str, &str, &str)] = &[
    ("articles", "data/crm/articles.cib.xml", "none"),
    ("articles_inactive", "data/crm/articles.cib.xml", ""),
    ("articles_everything", "data/crm/articles.cib.xml", "full"),
    ("articles_by_node", "data/crm/articles.cib.xml", "bynode inactive"),
    ("articles_operations", "data/crm/articles.cib.xml", "ops failcounts"),
    (
        "articles_brief",
        "data/crm/articles.cib.xml",
        "brief inactive noheaders",
    ),
    (
        "articles_detail",
        "data/crm/articles.cib.xml",
        "detail inactive noheaders",
    ),
    (
        "group_of_clone_fails",
        "policy/cases/clone_of_group_member_fails.cib.xml",
        "",
    ),
    ("clone_unique", "policy/cases/clone_unique.cib.xml", ""),
    ("master", "policy/cases/ms_master_node_standby.cib.xml", ""),
    ("master_unmanaged", "policy/cases/ms_unmanaged.cib.xml", ""),
    (
        "master_fails",
        "policy/cases/ms_master_monitor_fails.cib.xml",
        "failcounts",
    ),
    ("orphan", "policy/cases/orphan_kept.cib.xml", ""),
    ("pending", "policy/cases/node_pending.cib.xml", ""),
    ("start_pending", "policy/cases/start_pending.cib.xml", "detail"),
    ("fencing", "policy/cases/on_fail_fence.cib.xml", ""),
    ("no_quorum", "policy/cases/worked_quorum_lost_freeze.cib.xml", ""),
    ("maintenance", "policy/cases/maintenance_of_a_node.cib.xml", ""),
    ("unmanaged", "policy/cases/unmanaged_failed_is_left.cib.xml", ""),
    ("connectivity", "policy/cases/pingd_100_and_0.cib.xml", "full"),
];

fn read(path: &str) -> Cib {
    let text = std::fs::read_to_string(root().join("tests").join(path)).unwrap();
    Cib::parse(&text).unwrap()
}

#[test]
fn the_whole_text() {
    let write = std::env::var("GOLDEN").is_ok_and(|v| v == "write");
    let mut bad = Vec::new();
    for (name, path, words) in CASES {
        let options = Options::of_words(words.split_whitespace());
        let text = status(&read(path), options, Wall(1_795_248_900), &iso_text);
        let version = format!("Version: {}\n", env!("CARGO_PKG_VERSION"));
        let text = format!("# {path}: {words}\n{}", text.replace(&version, "Version: ours\n"));
        let file = data(&format!("{name}.status"));
        if write {
            std::fs::write(&file, text).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != text {
            bad.push(format!("{name}:\n{text}"));
        }
    }
    assert!(bad.is_empty(), "not as in tests/data/crm:\n{}", bad.join("\n"));
    assert!(!write, "written: read them, then run the test without GOLDEN");
}

#[test]
fn options_of_crm_status() {
    let all = |o: Options| (o.inactive, o.by_node, o.fail_counts, o.operations, o.timing);
    #[rustfmt::skip]
    let table = [
        ("",                    (true,  false, false, false, false)),
        ("bynode",              (false, true,  false, false, false)),
        ("bynode inactive",     (true,  true,  false, false, false)),
        ("ops timing",          (false, false, false, true,  true)),
        ("failcounts nonsense", (false, false, true,  false, false)),
        ("full",                (true,  false, true,  true,  true)),
    ];
    for (words, expected) in table {
        assert_eq!(all(Options::of_words(words.split_whitespace())), expected, "{words}");
    }
}

#[test]
fn one_line_for_a_monitoring_system() {
    let well = read("data/crm/articles.cib.xml");
    assert_eq!(
        one_line(&well, Wall(0)),
        ("Ok: 2 nodes online, 4 resources configured\n".to_owned(), 0)
    );
    let text = well.root().to_bare();
    #[rustfmt::skip]
    let table = [
        ("dc-uuid=\"1\"", "dc-uuid=\"\"", "Warning:No DC \n"),
        ("id=\"2\" uname=\"compute-2\" in_ccm=\"true\" crmd=\"online\" join=\"member\" expected=\"member\"",
         "id=\"2\" uname=\"compute-2\" in_ccm=\"false\" crmd=\"offline\" join=\"down\" expected=\"down\"",
         "Warning: offline node: compute-2\n"),
        ("<node id=\"1\" uname=\"compute-1\"/>",
         "<node id=\"1\" uname=\"compute-1\"><instance_attributes id=\"x\"><nvpair id=\"y\" name=\"standby\" value=\"on\"/></instance_attributes></node>",
         "Warning: standby node: compute-1\n"),
    ];
    for (from, to, line) in table {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        assert_eq!(
            one_line(&Cib::parse(&changed).unwrap(), Wall(0)),
            (line.to_owned(), 1),
            "{to}"
        );
    }
}

/// Every CIB that the policy is tested with, with every option: each resource of the XML is in the text, in the same
/// role, and so is each failure.
#[test]
fn programs_are_told_the_same() {
    let cases = std::fs::read_dir(root().join("tests/policy/cases")).unwrap();
    let names = cases.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut seen = 0;
    for name in names.filter(|n| n.ends_with(".cib.xml")) {
        seen += 1;
        let cib = read(&format!("policy/cases/{name}"));
        let options = Options {
            detail: true,
            ..Options::of_words(["full"])
        };
        let now = Wall(1_795_248_900);
        let text = status(&cib, options, now, &iso_text);
        let tree = status_xml::status(&cib, options, now, &iso_text);
        for rsc in tree.walk().filter(|e| e.name == "resource") {
            let (agent, role) = (rsc.get("resource_agent").unwrap(), rsc.get("role").unwrap());
            let orphan = if rsc.get("orphaned") == Some("true") {
                " ORPHANED"
            } else {
                ""
            };
            let line = format!("{}\t({agent}){orphan}:\t{role}", rsc.id());
            assert!(text.contains(&line), "{name}: {line} is not in\n{text}");
        }
        for failure in tree.walk().filter(|e| e.name == "failure") {
            let (key, node) = (failure.get("op_key").unwrap(), failure.get("node").unwrap());
            let line = format!("    {key} (node={node}, ");
            assert!(text.contains(&line), "{name}: {line} is not in\n{text}");
        }
    }
    assert!(seen > 100, "only {seen} cases were found");
}
