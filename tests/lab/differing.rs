//! The two haresources differ.

use crate::cluster::Setup;

#[test]
fn s2_14_differing_haresources_are_named_on_both_nodes() {
    let Some(c) = Setup::haresources("hello 10.77.0.100\nhello first\n").make("s2-14") else {
        return;
    };
    c.recorder("first");
    c.recorder("second");
    c.lab
        .write(
            "web",
            "ha.d/haresources",
            "hello 10.77.0.100\n# a comment does not count\nhello second\n",
        )
        .expect("written");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    // Each names the line of its own file that the other one lacks.
    for (node, other, line, text) in [("hello", "web", 2, "first"), ("web", "hello", 3, "second")] {
        c.wait_log(node, &format!("haresources: differs from the one of node {other}"));
        let named = format!("haresources:{line}: node {other} does not have \"hello {text}\"");
        c.wait_log(node, &named);
        let screen = c.run(node, &["cl_status", "status"]).good("cl_status");
        assert!(screen.contains(&format!("! {named}")), "{screen}");
        let status = c.status(node);
        let peers = status.get("nodes").items();
        let peer = peers
            .iter()
            .find(|n| n.get("name").text() == other)
            .expect("it is there");
        let told: Vec<&str> = peer
            .get("haresources_differ")
            .items()
            .iter()
            .map(|d| d.text())
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(!screen.contains("10.77.0.100\" does"), "{screen}");
    }
    // Said once, not with every beat.
    let times = |node: &str| c.log(node).matches("haresources: differs from").count();
    assert_eq!((times("hello"), times("web")), (1, 1));
    // What both have is served; what only one has is served there.
    c.wait("the common group runs on hello", || {
        c.owners("web", "10.77.0.100") == ["hello"]
    });
    c.wait("hello runs its own", || c.calls("hello") == ["first start"]);
    // Mended: said too, and gone from the status.
    c.lab
        .write("web", "ha.d/haresources", "hello 10.77.0.100\nhello first\n")
        .expect("written");
    c.reload("web").good("reload");
    for (node, other) in [("hello", "web"), ("web", "hello")] {
        c.wait_log(node, &format!("haresources: the same as on node {other} again"));
        let screen = c.run(node, &["cl_status", "status"]).good("cl_status");
        assert!(!screen.contains("! haresources:"), "{screen}");
    }
    c.stable(&["hello", "web"]);
    assert_eq!(c.calls("hello"), ["first start"]);
}

#[test]
fn s2_14_a_file_with_more_lines_is_told_on_the_node_that_has_fewer() {
    let Some(c) = Setup::haresources("hello 10.77.0.100\n").make("s2-14-more") else {
        return;
    };
    c.recorder("more");
    c.lab
        .write("web", "ha.d/haresources", "hello 10.77.0.100\nweb more\n")
        .expect("written");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.wait_log("hello", "haresources: node web has 1 line(s) more than this node");
    c.wait_log("web", "haresources:2: node hello does not have \"web more\"");
}
