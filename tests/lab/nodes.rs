//! Nodes that come and go while the cluster runs.

use crate::cluster::{Cluster, Setup};
use ha::conf::hostcache;
use std::path::Path;

fn write_cf(c: &Cluster, node: &str, setup: &Setup, nodes: &str, more: &str) {
    let text: String = setup
        .ha_cf()
        .lines()
        .filter(|l| !l.starts_with("node "))
        .fold(String::new(), |t, l| t + l + "\n");
    c.lab
        .write(node, "ha.d/ha.cf", &format!("{text}{nodes}{more}"))
        .expect("written");
}

/// What is remembered on a node: `name weight site`, a word for a known uuid.
fn remembered(c: &Cluster, node: &str, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(c.lab.files(node).state().join(file)).unwrap_or_default();
    let parsed = hostcache::parse(Path::new(file), &text);
    assert!(parsed.complaints.is_empty(), "{:?}", parsed.complaints);
    let line = |e: &hostcache::Entry| {
        let uuid = if e.uuid.is_some() { "known" } else { "unknown" };
        format!("{} {uuid} {} {}", e.name, e.weight, e.site)
            .trim_end()
            .to_owned()
    };
    parsed.value.expect("always there").iter().map(line).collect()
}

fn names(c: &Cluster, node: &str) -> Vec<String> {
    let out = c.run(node, &["cl_status", "listnodes"]).out;
    let mut names: Vec<String> = out.lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn a_third_node_joins_by_itself_is_remembered_and_can_be_deleted() {
    let setup = Setup {
        nodes: vec!["hello", "web", "third"],
        haresources: "# none\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.make("nodes-join") else { return };
    for node in ["hello", "web"] {
        write_cf(&c, node, &setup, "node hello web\n", "autojoin other\n");
    }
    // This one names nobody, not even itself.
    write_cf(&c, "third", &setup, "", "autojoin any\n");
    c.start("hello");
    c.start("web");
    c.all_active(&["hello", "web"]);
    assert_eq!(names(&c, "hello"), ["hello", "web"]);
    c.start("third");
    c.all_active(&["hello", "web", "third"]);
    for node in ["hello", "web", "third"] {
        c.wait(&format!("{node} remembers three nodes"), || {
            let mut all = remembered(&c, node, "hostcache");
            all.sort();
            all == ["hello known 100", "third known 100", "web known 100"]
        });
    }
    c.wait_log("hello", "Adding new node[third]");

    // After a restart it is known before it is heard.
    c.stop("third");
    c.stop("hello");
    c.start("hello");
    assert_eq!(names(&c, "hello"), ["hello", "third", "web"]);
    c.wait("third is dead", || {
        c.node_status("hello", "third") == "dead" && c.node_status("web", "third") == "dead"
    });
    c.all_active(&["hello", "web"]);

    // Deleted: it does not come back by itself, until it is let in.
    c.run("hello", &["hb_delnode", "third"]).good("hb_delnode");
    c.wait("third is gone on both", || {
        ["hello", "web"].iter().all(|n| names(&c, n) == ["hello", "web"])
    });
    c.start("third");
    c.wait_log("web", "bad node [third] in message: it was deleted with hb_delnode");
    assert_eq!(names(&c, "web"), ["hello", "web"]);
    c.wait("the deletion is remembered", || {
        remembered(&c, "web", "delhostcache").len() == 1
    });
    let again = c.run("web", &["hb_addnode", "third"]);
    assert_eq!(
        (again.code, again.out.trim()),
        (Some(0), "added node third"),
        "{again:?}"
    );
    c.all_active(&["hello", "web", "third"]);
    c.wait("nothing is deleted", || {
        remembered(&c, "web", "delhostcache").is_empty()
    });
}

#[test]
fn nodes_are_added_and_deleted_and_marked_while_groups_run() {
    let setup = Setup {
        nodes: vec!["hello", "web", "third"],
        ..Setup::default()
    };
    let Some(c) = setup.make("nodes-add") else { return };
    for node in ["hello", "web"] {
        write_cf(&c, node, &setup, "node hello web\n", "");
    }
    c.start("hello");
    c.start("web");
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let added = c.run("hello", &["hb_addnode", "third"]);
    assert!(
        added.code == Some(0) && added.out.contains("ha.cf of all nodes"),
        "{added:?}"
    );
    c.wait("web knows it too", || c.node_status("web", "third") == "dead");
    c.start("third");
    c.all_active(&["hello", "web", "third"]);
    c.stable(&["hello", "web", "third"]);

    #[rustfmt::skip]
    let table: [(&[&str], &str); 8] = [
        (&["hb_addnode", "third"],             "refused: node third is a node already"),
        (&["hb_delnode", "third"],             "refused: deletion failed: node third is not dead"),
        (&["hb_delnode", "hello"],             "refused: deletion failed: node hello is this node"),
        (&["hb_delnode", "stranger"],          "refused: there is no node stranger"),
        (&["hb_setweight", "stranger", "5"],   "refused: set weight to non-existing node stranger"),
        (&["hb_setsite", "stranger", "east"],  "refused: set site to non-existing node stranger"),
        (&["hb_setweight", "web", "much"],     "is not a weight"),
        (&["hb_addnode"],                      "no node is named"),
    ];
    for (words, says) in table {
        let said = c.run("hello", words);
        assert!(said.code == Some(1) && said.err.contains(says), "{words:?}: {said:?}");
    }
    c.run("web", &["hb_setweight", "third", "42"]).good("hb_setweight");
    c.run("third", &["hb_setsite", "third", "east coast"])
        .good("hb_setsite");
    for node in ["hello", "web", "third"] {
        c.wait(&format!("{node} knows weight and site"), || {
            let ask = |what: &str| c.run(node, &["cl_status", what, "third"]).out.trim().to_owned();
            (ask("nodeweight"), ask("nodesite")) == ("42".to_owned(), "east coast".to_owned())
        });
        c.wait(&format!("{node} remembers them"), || {
            remembered(&c, node, "hostcache").contains(&"third known 42 east coast".to_owned())
        });
    }
    let shown = c.run("hello", &["cl_status", "nodeweight", "third", "-m"]);
    assert_eq!(shown.out.trim(), "The weight of the cluster node third is 42");

    // A node that was down meanwhile, with the old ha.cf, learns of the third from the others; a reload forgets it.
    c.stop("web");
    c.start("web");
    c.all_active(&["hello", "web", "third"]);
    c.wait("web knows third", || c.node_status("web", "third") == "active");
    c.stop("third");
    c.wait("third is dead", || {
        c.node_status("hello", "third") == "dead" && c.node_status("web", "third") == "dead"
    });
    let refused = c.run("third", &["hb_delnode", "web"]);
    assert!(
        refused.code == Some(1) && refused.err.contains("not running"),
        "{refused:?}"
    );
    c.run("hello", &["hb_delnode", "third"]).good("hb_delnode");
    for node in ["hello", "web"] {
        c.wait(&format!("{node} forgot third"), || names(&c, node) == ["hello", "web"]);
    }
    // What the groups need stays.
    c.lab.power_off("hello").expect("off");
    c.wait("hello is dead", || c.node_status("web", "hello") == "dead");
    let refused = c.run("web", &["hb_delnode", "hello"]);
    assert!(
        refused.err.contains("haresources gives resources to node hello"),
        "{refused:?}"
    );
}

#[test]
fn two_machines_with_one_name_are_named_in_the_log() {
    let setup = Setup {
        nodes: vec!["hello", "web", "third"],
        haresources: "# none\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.make("nodes-twice") else { return };
    for node in ["hello", "web", "third"] {
        write_cf(&c, node, &setup, "node hello web\n", "");
    }
    c.start("hello");
    c.start("web");
    c.all_active(&["hello", "web"]);
    c.lab.write("third", "ha.d/nodeinfo", "web\n").expect("written");
    c.start("third");
    c.wait_log("hello", "node web: two machines send under this name, with the uuids ");
    c.wait("one of the two sees it", || {
        ["web", "third"]
            .iter()
            .any(|n| c.log(n).contains("another machine sends as node web"))
    });
}

#[test]
fn a_damaged_hostcache_is_named_kept_aside_and_does_not_stop_the_start() {
    let setup = Setup {
        haresources: "# none\n".into(),
        more: "autojoin other\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.make("nodes-damage") else { return };
    let none = "00000000-0000-0000-0000-000000000000";
    let state = c.lab.files("hello").state();
    let damaged = format!("hello\t{none}\t7\t\nrubbish\nlater\t{none}\t100\twest\n");
    std::fs::write(state.join("hostcache"), &damaged).expect("written");
    let tested = c.run("hello", &[&c.program("heartbeat"), "-t"]);
    assert!(
        tested.err.contains("hostcache:2: warning: ") && tested.code == Some(0),
        "{tested:?}"
    );
    c.start("hello");
    c.start("web");
    c.all_active(&["hello", "web"]);
    c.wait_log("hello", "hostcache:2: ");
    assert_eq!(
        std::fs::read_to_string(state.join("hostcache.damaged")).expect("kept"),
        damaged
    );
    assert_eq!(names(&c, "hello"), ["hello", "later", "web"]);
    let weight = c.run("hello", &["cl_status", "nodeweight", "hello"]);
    assert_eq!(weight.out.trim(), "7");
    c.wait("it is written anew", || {
        let all = remembered(&c, "hello", "hostcache");
        all.contains(&"hello known 7".to_owned()) && all.contains(&"later unknown 100 west".to_owned())
    });
}
