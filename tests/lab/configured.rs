//! The article's own files, as they are.

use crate::cluster::{Cluster, Setup};
use ha::lab::Config;
use std::path::PathBuf;

fn data(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/conf/rhel4")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn s2_02_the_articles_ha_cf_is_accepted_as_it_is() {
    let config = Config::Texts {
        ha_cf: data("ha.cf"),
        haresources: "rhelh2  172.16.70.11 httpd\n".into(),
        authkeys: data("authkeys.3"),
    };
    let Some(c) = Cluster::of("s2-02", config, false) else {
        return;
    };
    c.recorder("httpd");
    let nodes = ["rhelh1", "rhelh2"];
    for node in nodes {
        let said = c.run(node, &[&c.program("heartbeat")]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    c.all_active(&nodes);
    c.wait("the group runs where the article wants it", || {
        c.calls("rhelh2") == ["httpd start"]
    });
    assert_eq!(c.owners("rhelh1", "172.16.70.11"), ["rhelh2"]);
    #[rustfmt::skip]
    let parameters = [
        ("keepalive", "2"), ("deadtime", "30"), ("warntime", "10"), ("initdead", "120"), ("udpport", "694"),
        ("baud", "19200"), ("auto_failback", "on"), ("debugfile", "/var/log/ha-debug"), ("logfile", "/var/log/ha-log"),
    ];
    for (name, value) in parameters {
        let said = c.run("rhelh1", &["cl_status", "hbparameter", "-p", name]);
        assert_eq!((said.code, said.out.trim()), (Some(0), value), "{name}: {said:?}");
    }
    // Both media carry: Ethernet and the serial line.
    let mut links = c
        .run("rhelh1", &["cl_status", "listhblinks", "-v", "rhelh2"])
        .good("cl_status");
    c.wait("both links are up", || {
        links = c
            .run("rhelh1", &["cl_status", "listhblinks", "-v", "rhelh2"])
            .good("cl_status");
        links.matches("up").count() == 2
    });
    assert!(links.contains("eth0"), "{links}");
    for log in ["ha-log", "ha-debug"] {
        let text = std::fs::read_to_string(c.lab.files("rhelh1").log().join(log)).expect(log);
        assert!(text.contains("heartbeat: ["), "{log}: {text}");
    }
    for node in nodes {
        c.stop(node);
    }
    assert_eq!(c.calls("rhelh2"), ["httpd start", "httpd stop"]);
}

#[test]
fn s2_02_a_directive_holds_for_the_media_after_it() {
    let setup = Setup {
        media: "bcast eth0\nudpport 7694\nbcast eth1\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.started("s2-02-order") else { return };
    // Local address and port of every UDP socket, in hexadecimal: 694 and 7694.
    let sockets = c.run("hello", &["cat", "/proc/net/udp"]).good("cat");
    for port in [":02B6", ":1E0E"] {
        assert!(sockets.contains(port), "{port}: {sockets}");
    }
    c.wait("web is heard on both", || {
        let links = c.run("hello", &["cl_status", "listhblinks", "-v", "web"]).out;
        links.matches("up").count() == 2
    });
}

#[test]
fn s2_04_crc_md5_and_sha1_all_work() {
    let Some(c) = Setup::default().make("s2-04") else {
        return;
    };
    let texts = [data("authkeys.2"), data("authkeys.3"), data("authkeys.1")];
    for text in &texts {
        for node in ["hello", "web"] {
            c.lab.write(node, "ha.d/authkeys", text).expect("written");
            c.start(node);
        }
        c.all_active(&["hello", "web"]);
        let counters = c.status("hello");
        let bad = counters
            .get("counters")
            .members()
            .iter()
            .filter(|(n, count)| n.starts_with("bad_packets") && count.number() > 0);
        assert_eq!(bad.count(), 0, "{text}: {counters}");
        for node in ["web", "hello"] {
            c.stop(node);
        }
    }
}

#[test]
fn s2_04_packets_signed_with_another_key_are_dropped_and_counted() {
    let Some(c) = Setup::default().make("s2-04-other-key") else {
        return;
    };
    c.lab
        .write("web", "ha.d/authkeys", "auth 1\n1 sha1 another-key\n")
        .expect("written");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.wait("hello counts what it dropped", || {
        c.counter("hello", "bad_packets_wrong_signature") > 0
    });
    c.wait_log("hello", "a packet of");
    c.wait("hello takes web for dead", || c.node_status("hello", "web") == "dead");
    // The right key, and web is there.
    c.lab
        .write("web", "ha.d/authkeys", "auth 1\n1 sha1 key-of-the-lab\n")
        .expect("written");
    c.reload("web").good("reload");
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
}
