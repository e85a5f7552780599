//! Commands of their own and files of them.

use super::Bed;

/// The configuration of the article, as it is pasted.
pub const ARTICLE: &str = r#"property stonith-enabled=false
property no-quorum-policy=ignore
property start-failure-is-fatal=false
rsc_defaults migration-threshold=1
primitive vip ocf:heartbeat:IPaddr2 params ip=10.1.6.100 nic=br100 op monitor interval=3s
primitive www lsb:apache2 op monitor interval="10s"
primitive nova-network lsb:nova-network op monitor interval="60s"
colocation vip_and_www inf: www vip
order vip_and_www_order inf: vip www
location compute-1 vip 200: compute-1
location compute-2 vip 100: compute-2
commit
"#;

pub const SHOWN: &str = "node u1: compute-1
node u2: compute-2
primitive busy lsb:apache2
primitive nova-network lsb:nova-network \\
\top monitor interval=60s
primitive vip IPaddr2 \\
\tparams ip=10.1.6.100 nic=br100 \\
\top monitor interval=3s
primitive www lsb:apache2 \\
\top monitor interval=10s
location compute-1 vip 200: compute-1
location compute-2 vip 100: compute-2
colocation vip_and_www inf: www vip
order vip_and_www_order Mandatory: vip www
property cib-bootstrap-options: \\
\tstonith-enabled=false \\
\tno-quorum-policy=ignore \\
\tstart-failure-is-fatal=false
rsc_defaults rsc-options: \\
\tmigration-threshold=1
";

/// S1.1 without the cluster: the text goes in unchanged, by each way there is, and comes out such that it loads again.
#[test]
fn the_configuration_of_the_article_goes_in_by_every_way() {
    let bed = Bed::new("article");
    let file = bed.dir.join("article.txt");
    let file = file.to_str().unwrap();
    std::fs::write(file, format!("configure\n{ARTICLE}")).unwrap();
    let ways: [(&[&str], &str); 4] = [
        (&["configure"], ARTICLE),
        (&["-f", file], ""),
        (&["-f", "-"], &format!("configure\n{ARTICLE}")),
        // Without its commit: the end of the text commits.
        (&[], &format!("configure\n{}", ARTICLE.replace("commit\n", ""))),
    ];
    for (words, text) in ways {
        std::fs::write(bed.cib(), super::CIB).unwrap();
        let ran = bed.fed(words, text);
        assert_eq!((ran.code, &*ran.err), (0, ""), "{words:?}");
        assert_eq!(bed.well(&["configure", "show"]), SHOWN, "{words:?}");
    }
    let before = bed.text();
    let saved = bed.dir.join("saved");
    let saved = saved.to_str().unwrap();
    bed.well(&["configure", "save", saved]);
    bed.well(&["configure", "load", "replace", saved]);
    assert_eq!(bed.text(), before, "what save wrote loads unchanged");
    bed.well(&["configure", "save", "xml", saved]);
    bed.well(&["configure", "load", "xml", "replace", saved]);
    assert_eq!(bed.text(), before, "and as XML");
}

#[test]
fn one_command_commits_by_itself() {
    let bed = Bed::new("single");
    bed.well(&["configure", "property", "stonith-enabled=false"]);
    bed.well(&["configure", "property", "default-action-timeout=60"]);
    bed.well(&[
        "configure",
        "primitive",
        "webip",
        "ocf:heartbeat:IPaddr",
        "params",
        "ip=192.168.1.100",
    ]);
    bed.well(&[
        "configure",
        "primitive",
        "webserver",
        "lsb:httpd",
        "meta",
        "description=two words",
    ]);
    bed.well(&["conf", "group", "web", "webip", "webserver"]);
    bed.well(&["configure", "colocation", "c", "inf:", "(", "web", "busy", ")"]);
    bed.well(&[
        "configure",
        "xml",
        "<primitive id=\"raw\" class=\"lsb\" type=\"httpd\"/>",
    ]);
    bed.well(&["configure", "monitor", "busy", "30s:20s"]);
    let text = bed.well(&["configure", "show"]);
    for line in [
        "group web webip webserver\n",
        "colocation c inf: ( web busy )\n",
        "\tmeta description=\"two words\"\n",
        "primitive raw lsb:httpd\n",
        "\top monitor interval=30s timeout=20s\n",
        "\tdefault-action-timeout=60\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(bed.well(&["configure", "get_property", "stonith-enabled"]), "false\n");
    assert_eq!(
        bed.well(&["configure", "show", "web", "c"]),
        "group web webip webserver\ncolocation c inf: ( web busy )\n"
    );
    assert_eq!(
        bed.well(&["-D", "uppercase", "configure", "show", "web"]),
        "GROUP web webip webserver\n"
    );
    assert!(
        bed.well(&["configure", "show", "xml", "web"])
            .starts_with("<group id=\"web\">\n  <primitive id=\"webip\"")
    );
    bed.well(&["configure", "rename", "web", "www"]);
    bed.well(&["configure", "modgroup", "www", "remove", "webip"]);
    bed.well(&["configure", "delete", "www"]);
    assert!(
        bed.well(&["configure", "show", "type:colocation"])
            .contains("( webserver busy )")
    );
    assert!(bed.well(&["configure", "simulate"]).contains("Transition Summary:"));
}

#[test]
fn what_is_refused_says_why_and_changes_nothing() {
    let bed = Bed::new("refused");
    #[rustfmt::skip]
    let table: &[(&[&str], &str)] = &[
        (&["nosuch"],                                              "ERROR: nosuch: No such command\n"),
        (&["configure", "nosuch"],                                 "ERROR: configure.nosuch: No such command\n"),
        (&["configure", "primitive", "x"],                         "ERROR: configure.primitive: column 23: expected an agent: "),
        (&["configure", "primitive", "x", "lsb:httpd", "wrong"],   "ERROR: configure.primitive: column 33: expected params, meta, utilization, operations or op, found \"wrong\"\n"),
        (&["configure", "primitive", "busy", "lsb:httpd"],         "ERROR: Cannot create primitive with ID 'busy': Found existing primitive with same ID.\n"),
        (&["configure", "group", "gg", "nosuch"],                  "ERROR: configure.group: column 20: gg refers to missing object nosuch\n"),
        (&["configure", "property"],                               "ERROR: configure.property: column 20: expected NAME=VALUE, but the line ends here\n"),
        (&["configure", "property", "no-quorum-policy=perhaps"],   "ERROR: cib-bootstrap-options: no-quorum-policy=\"perhaps\" is none of stop, freeze, ignore, suicide, demote\n"),
        (&["configure", "primitive", "x", "ocf:heartbeat:nosuch"], "ERROR: ocf:heartbeat:nosuch: got no meta-data, does this RA exist?\n"),
        (&["configure", "primitive", "x", "IPaddr2"],              "ERROR: x: required parameter \"ip\" not defined\n"),
        (&["configure", "order", "o", "inf:", "busy", "nosuch"],   "ERROR: rsc_order: then refers to \"nosuch\", which does not exist\n"),
        (&["configure", "delete", "busy"],                         "ERROR: resource busy is running, can't delete it\n"),
        (&["configure", "delete", "nosuch"],                       "ERROR: object nosuch does not exist\n"),
        (&["configure", "rename", "busy", "idle"],                 "ERROR: resource busy is running, can't rename it\n"),
        (&["configure", "erase"],                                  "CIB erase aborted (nothing was deleted)\n"),
        (&["configure", "edit", "busy"],                           "ERROR: configure.edit: needs a terminal"),
        (&["configure", "load", "replace", "/nosuch"],             "ERROR: configure.load: /nosuch: No such file"),
        (&["configure", "show", "nosuch"],                         "ERROR: configure.show: object nosuch does not exist\n"),
        (&["resource", "status", "nosuch"],                        "ERROR: resource.status: resource nosuch does not exist\n"),
        (&["resource", "start", "nosuch"],                         "ERROR: resource.start: resource nosuch does not exist\n"),
        (&["resource", "migrate", "busy", "nowhere"],              "ERROR: resource.migrate: column 23: expected the name of a node, a lifetime like PT2M, or force, found \"nowhere\"\n"),
        (&["resource", "cleanup", "busy"],                         ""),
        (&["node", "standby", "nosuch"],                           "ERROR: node.standby: Node \"nosuch\" is not a cluster node\n"),
        (&["node", "delete", "compute-1"],                         "ERROR: according to crm_node, node compute-1 is still active\n"),
        (&["node", "clearstate", "compute-2"],                     "ERROR: node.clearstate: not without -F"),
        (&["ra", "meta", "nosuch"],                                "ERROR: ra.meta: ocf:heartbeat:nosuch: got no meta-data, does this RA exist?\n"),
        (&["ra", "list", "nosuch"],                                "ERROR: ra.list: column 9: expected a class: "),
    ];
    let before = bed.text();
    for (words, expected) in table.iter().filter(|(_, e)| !e.is_empty()) {
        let ran = bed.crm(words);
        assert_eq!(ran.code, 1, "{words:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{words:?}: {ran:?}");
        assert_eq!(bed.text(), before, "{words:?}");
    }
}

#[test]
fn a_file_goes_on_after_a_bad_line_and_ends_with_1() {
    let bed = Bed::new("batch");
    let text = "configure\nproperty stonith-enabled=false\nprimitive p11 lsb:httpd\nnosuchcmd\n# a comment\n\nprimitive p12 \\\n\tlsb:httpd \\\n\twrong\n\
                primitive p13 lsb:httpd\ncommit\n";
    let ran = bed.fed(&[], text);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("ERROR: configure.nosuchcmd: No such command\n"),
        "{ran:?}"
    );
    assert!(
        ran.err
            .contains("ERROR: configure.primitive: line 9, column 2: expected params, meta"),
        "{ran:?}"
    );
    let shown = bed.well(&["configure", "show", "type:primitive"]);
    assert_eq!(
        shown,
        "primitive busy lsb:apache2\nprimitive p11 lsb:httpd\nprimitive p13 lsb:httpd\n"
    );
    // A load is whole or not at all.
    let file = bed.dir.join("half.txt");
    std::fs::write(&file, "primitive p14 lsb:httpd\nprimitive\n").unwrap();
    let before = bed.text();
    let ran = bed.crm(&["configure", "load", "update", file.to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("half.txt: line 2, column 11: expected a name"),
        "{ran:?}"
    );
    assert_eq!(bed.text(), before);
}

#[test]
fn questions_have_the_answer_that_the_option_gives() {
    let bed = Bed::new("answers");
    bed.well(&["-F", "configure", "delete", "busy"]);
    assert!(!bed.well(&["configure", "show"]).contains("busy"));
    let ran = bed.fed(&["-n", "configure"], "primitive x lsb:httpd\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!bed.text().contains("\"x\""), "-n does not commit");
    let lost = super::CIB.replace("join=\"down\" expected=\"down\"", "join=\"member\" expected=\"member\"");
    std::fs::write(bed.cib(), lost).unwrap();
    assert!(
        bed.well(&["status"])
            .contains("Node compute-2 (u2): UNCLEAN (offline)\n")
    );
    bed.well(&["-F", "node", "clearstate", "compute-2"]);
    assert!(bed.well(&["status"]).contains("OFFLINE: [ compute-2 ]\n"));
    let xml = bed.well(&["status", "xml"]);
    assert!(xml.starts_with("<?xml version=\"1.0\"?>\n<crm_mon "), "{xml}");
    let html = bed.well(&["status", "inactive", "html"]);
    assert!(
        html.starts_with("<html>") && html.contains("OFFLINE: [ compute-2 ]\n"),
        "{html}"
    );
    let simple = bed.crm(&["status", "simple"]);
    assert_eq!(
        (&*simple.out, simple.code),
        ("Warning: offline node: compute-2\n", 1),
        "{simple:?}"
    );
    assert_eq!(
        bed.well(&["node", "delete", "compute-2"]),
        "INFO: node compute-2 deleted\n"
    );
    assert_eq!(bed.well(&["node", "server"]), "compute-1\n");
}

#[test]
fn resources_and_nodes() {
    let bed = Bed::new("levels");
    assert!(
        bed.well(&["status"])
            .contains("Online: [ compute-1 ]\nOFFLINE: [ compute-2 ]\n")
    );
    assert!(
        bed.well(&["status"])
            .contains("busy\t(lsb:apache2):\tStarted compute-1\n")
    );
    assert!(
        bed.well(&["resource", "status", "busy"])
            .starts_with("resource busy is running on: compute-1")
    );
    bed.well(&["resource", "stop", "busy"]);
    assert!(bed.text().contains("name=\"target-role\" value=\"Stopped\""));
    bed.well(&["resource", "start", "busy"]);
    assert!(bed.text().contains("name=\"target-role\" value=\"Started\""));
    let restarted = bed.well(&["resource", "restart", "busy"]);
    assert_eq!(restarted, "INFO: ordering busy to stop\nINFO: ordering busy to start\n");
    bed.well(&["resource", "unmanage", "busy"]);
    assert_eq!(bed.well(&["resource", "meta", "busy", "show", "is-managed"]), "false\n");
    bed.well(&["resource", "manage", "busy"]);
    bed.well(&["resource", "param", "busy", "set", "a", "1"]);
    assert_eq!(bed.well(&["resource", "param", "busy", "show", "a"]), "1\n");
    bed.well(&["resource", "param", "busy", "delete", "a"]);
    let gone = bed.crm(&["resource", "param", "busy", "show", "a"]);
    assert!(gone.out.is_empty() && gone.err.contains("not found"), "{gone:?}");
    bed.well(&["resource", "migrate", "busy", "compute-2"]);
    assert!(bed.text().contains("id=\"cli-prefer-busy\""));
    assert!(bed.well(&["resource", "constraints", "busy"]).contains("compute-2"));
    assert!(
        bed.well(&["resource", "unmigrate", "busy"])
            .contains("INFO: Removed migration constraints for busy\n")
    );
    assert!(!bed.text().contains("cli-"));
    bed.well(&["resource", "migrate", "busy"]);
    assert!(bed.text().contains("id=\"cli-ban-busy-on-compute-1\""));
    bed.well(&["resource", "clear", "busy"]);
    bed.well(&["resource", "failcount", "busy", "set", "compute-1", "3"]);
    assert_eq!(
        bed.well(&["resource", "failcount", "busy", "show", "compute-1"]),
        "scope=status  name=fail-count-busy value=3\n"
    );
    assert!(
        bed.well(&["resource", "scores"])
            .contains("busy allocation score on compute-1")
    );

    assert_eq!(
        bed.well(&["node", "standby", "compute-1"]),
        "INFO: standby node compute-1\n"
    );
    assert_eq!(
        bed.well(&["node", "show"]),
        "compute-1(u1): normal\n\tstandby=on\ncompute-2(u2): normal(offline)\n"
    );
    bed.well(&["node", "standby", "compute-2", "reboot"]);
    assert_eq!(
        bed.well(&["node", "status-attr", "compute-2", "show", "standby"]),
        "scope=status  name=standby value=on\n"
    );
    bed.well(&["node", "online", "compute-1"]);
    bed.well(&["node", "online", "compute-2"]);
    assert_eq!(
        bed.crm(&["node", "status-attr", "compute-2", "show", "standby"]).code,
        1
    );
    bed.well(&["node", "attribute", "compute-1", "set", "rack", "a 1"]);
    assert_eq!(
        bed.well(&["node", "attribute", "compute-1", "show", "rack"]),
        "scope=nodes  name=rack value=a 1\n"
    );
    assert!(bed.well(&["configure", "show", "compute-1"]).contains("rack=\"a 1\""));
    bed.well(&["node", "attribute", "compute-1", "delete", "rack"]);
    bed.well(&["node", "maintenance", "compute-1"]);
    bed.well(&["node", "ready", "compute-1"]);
}

#[test]
fn agents_of_this_machine() {
    let bed = Bed::new("agents");
    let classes = bed.well(&["ra", "classes"]);
    assert!(
        classes.starts_with("heartbeat\nlsb\nocf / heartbeat\nstonith\n"),
        "{classes}"
    );
    assert_eq!(bed.well(&["ra", "list", "heartbeat"]), "IPaddr    drbddisk\n");
    assert_eq!(bed.well(&["ra", "list", "ocf", "heartbeat"]), "IPaddr   IPaddr2\n");
    assert_eq!(
        bed.well(&["configure", "ra", "list", "lsb"]),
        "apache2       httpd         nova-network\n"
    );
    assert_eq!(bed.well(&["ra", "providers", "IPaddr2"]), "heartbeat\n");
    let expected = "Sets an address (ocf:heartbeat:IPaddr2)

An address.

Parameters (*: required, []: default):

ip* (string): Address
    The address.

nic (string, [eth0]): Interface
    Where.

Operations' defaults (advisory minimum):

    start         timeout=20s
    monitor       depth=0 timeout=20s interval=10s
";
    assert_eq!(bed.well(&["ra", "meta", "ocf:heartbeat:IPaddr2"]), expected);
    assert_eq!(bed.well(&["ra", "info", "IPaddr2", "ocf", "heartbeat"]), expected);
    assert!(
        bed.well(&["ra", "meta", "lsb:httpd"])
            .starts_with("A service (lsb:httpd)\n")
    );
}

/// A cluster that does not run: the article's words.
#[test]
fn without_a_cluster_it_says_so() {
    let bed = Bed::new("none");
    let run = |words: &[&str]| {
        let output = bed.command().env_remove("CIB_file").args(words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = run(&["status"]);
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("Connection to cluster failed: connection failed\n"),
        "{err}"
    );
    let (code, err) = run(&["configure", "show"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("ERROR: configure: cannot reach the CIB: "), "{err}");
}

#[test]
fn copies_of_the_configuration() {
    let bed = Bed::new("copies");
    assert_eq!(bed.well(&["cib", "new", "trial"]), "INFO: trial shadow CIB created\n");
    bed.well(&["-c", "trial", "configure", "primitive", "x", "lsb:httpd"]);
    assert!(!bed.text().contains("id=\"x\""));
    assert_eq!(bed.well(&["cib", "list"]), "trial\n");
    bed.well(&["cib", "commit", "trial"]);
    assert!(bed.text().contains("id=\"x\""));
    bed.well(&["cib", "delete", "trial"]);
    assert_eq!(bed.well(&["cib", "list"]), "");
}
