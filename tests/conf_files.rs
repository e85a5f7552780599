//! The three files as administrators write them: samples, articles, and every mistake that heartbeat 3.0.6 notices.

use ha::auth::Method;
use ha::check::{Files, Loaded, keygen, report};
use ha::conf::ha_cf::{self, DIRECTIVES, MediumKind, NodeKind};
use ha::conf::{AutoFailback, Complaint, Haresources, Severity, authkeys, haresources};
use ha::ids::NodeName;
use ha::time::Duration;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

/// A directory with the three files of a small good cluster; goes away with the value.
struct Site(PathBuf);

impl Site {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ha-conf-{}-{name}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let site = Self(dir);
        site.write(
            "ha.cf",
            "auto_failback on\nlogfacility none\nucast lo 127.0.0.1\nnode n1 n2\n",
        );
        site.write("haresources", "n1 10.0.0.1\n");
        site.write("authkeys", "auth 1\n1 sha1 s3cr3t\n");
        site.mode("authkeys", 0o600);
        site
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(file), text).unwrap();
    }

    fn mode(&self, file: &str, mode: u32) {
        fs::set_permissions(self.path(file), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Loaded {
        let files = Files {
            ha_cf: self.path("ha.cf"),
            haresources: self.path("haresources"),
            authkeys: self.path("authkeys"),
        };
        files.load(&node("n1"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn find<'a>(all: &'a [Complaint], file: &str, line: usize, words: &str) -> Option<&'a Complaint> {
    all.iter()
        .find(|c| c.file.ends_with(file) && c.line == line && c.message.contains(words))
}

#[test]
fn samples_have_nothing_to_complain_about() {
    let cf = ha_cf::parse(Path::new("ha.cf"), &text("ha.d/ha.cf"), &node("node1"));
    assert!(cf.complaints.is_empty(), "{}", report(&cf.complaints));
    let nodes: Vec<NodeName> = cf.value.unwrap().normal_nodes().cloned().collect();
    let groups = haresources::parse(Path::new("haresources"), &text("ha.d/haresources"), &nodes);
    assert!(groups.complaints.is_empty(), "{}", report(&groups.complaints));
    let keys = authkeys::parse(Path::new("authkeys"), &text("ha.d/authkeys"));
    assert!(keys.complaints.is_empty(), "{}", report(&keys.complaints));
}

/// What stands in a sample behind a `#` without a blank is meant to be switched on.
#[test]
fn the_alternatives_in_the_samples_are_good_too() {
    let on = |path: &str| -> String {
        let lines = text(path);
        let lines = lines.lines().map(|l| match l.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphanumeric()) => rest,
            _ => l,
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let cf = ha_cf::parse(Path::new("ha.cf"), &on("ha.d/ha.cf"), &node("node1"));
    assert!(cf.complaints.is_empty(), "{}", report(&cf.complaints));
    assert_eq!(cf.value.unwrap().media.len(), 5);
    let keys = authkeys::parse(Path::new("authkeys"), &on("ha.d/authkeys"));
    assert!(keys.complaints.is_empty(), "{}", report(&keys.complaints));
    assert_eq!(keys.value.unwrap().keys.len(), 3);
}

/// S2.2: accepted as it is.
#[test]
fn the_article_is_accepted_as_it_is() {
    let cf = ha_cf::parse(
        Path::new("ha.cf"),
        &text("tests/data/conf/rhel4/ha.cf"),
        &node("rhelh1"),
    );
    assert!(cf.complaints.is_empty(), "{}", report(&cf.complaints));
    let cf = cf.value.expect("no error");
    let seconds = Duration::from_secs;
    assert_eq!(
        (cf.keepalive, cf.deadtime, cf.warntime),
        (seconds(2), seconds(30), seconds(10))
    );
    assert_eq!((cf.initdead, cf.auto_failback), (seconds(120), AutoFailback::On));
    let serial = MediumKind::Serial {
        device: "/dev/ttyS0".into(),
        baud: 19200,
    };
    assert_eq!(
        (&cf.media[0].kind, cf.media[1].medium(), cf.media[1].port),
        (&serial, "bcast", 694)
    );
    let nodes: Vec<_> = cf
        .nodes
        .iter()
        .map(|n| (n.name.as_str(), n.kind == NodeKind::Ping))
        .collect();
    assert_eq!(
        nodes,
        [
            ("ping-node1", true),
            ("ping-node2", true),
            ("rhelh1", false),
            ("rhelh2", false)
        ]
    );
    assert_eq!(cf.clients[0].program, Path::new("/usr/lib/heartbeat/ipfail"));
}

/// S2.3
#[test]
fn the_groups_of_the_article_are_read() {
    #[rustfmt::skip]
    let table = [
        (1, "rhelh2 172.16.70.11 httpd",                                      "172.16.70.11",                           2),
        (2, "hello 192.168.8.240/19 httpd tomcat",                            "192.168.8.240/19",                       3),
        (3, "hello 192.168.8.240/19/eth0/192.168.31.251 httpd tomcat",        "192.168.8.240/19/eth0/192.168.31.251",   3),
        (4, "hello 192.168.8.240/19/192.168.31.255",                          "192.168.8.240/19/192.168.31.255",        1),
    ];
    let nodes = ["hello", "web", "rhelh1", "rhelh2"].map(node);
    for (n, canonical, address, count) in table {
        let parsed = haresources::parse(
            Path::new("haresources"),
            &text(&format!("tests/data/conf/rhel4/haresources.{n}")),
            &nodes,
        );
        assert!(parsed.complaints.is_empty(), "{n}: {}", report(&parsed.complaints));
        let Haresources { groups } = parsed.value.unwrap();
        assert_eq!((groups.len(), groups[0].canonical().as_str()), (1, canonical), "{n}");
        assert_eq!(groups[0].resources.len(), count, "{n}");
        let first = &groups[0].resources[0];
        assert_eq!(
            (first.script.as_str(), first.args[0].as_str()),
            ("IPaddr", address),
            "{n}"
        );
    }
}

/// S2.4
#[test]
fn the_keys_of_the_article_are_read() {
    #[rustfmt::skip]
    let table = [(1, 1, Method::Sha1, "key-for-sha1"), (2, 2, Method::Crc, ""), (3, 3, Method::Md5, "Hello!")];
    for (n, active, method, secret) in table {
        let parsed = authkeys::parse(
            Path::new("authkeys"),
            &text(&format!("tests/data/conf/rhel4/authkeys.{n}")),
        );
        assert!(parsed.complaints.is_empty(), "{n}: {}", report(&parsed.complaints));
        let ring = parsed.value.unwrap();
        assert_eq!((ring.active, ring.keys.len()), (active, 1), "{n}");
        let key = &ring.keys[&active];
        assert_eq!((key.method(), key.secret()), (method, secret.as_bytes()), "{n}");
    }
}

/// What heartbeat 3.0.6 refuses we refuse too, but with the line and what to write.
#[test]
fn every_mistake_that_the_classic_refuses_is_named_with_its_line() {
    const TWO: &str = "node n1 n2\nucast lo 127.0.0.1\nauto_failback on\nlogfacility none\n";
    #[rustfmt::skip]
    let table = [
        // above, lines under test (from line 5 behind TWO)     line  says
        (TWO, "foo 1",                                            5, "\"foo\" is not a directive"),
        (TWO, "keepalife 1",                                      5, "did you mean `keepalive TIME`"),
        ("",  "node n1 n2",                                       0, "no medium is named"),
        ("",  "ucast lo 127.0.0.1",                               0, "no node is named: write `node n1`"),
        ("",  "ucast lo 127.0.0.1\nnode n2 n3",                   2, "this node is called n1 (uname -n), the file names n2, n3"),
        ("",  "ucast lo 127.0.0.1\nnode n1.example.com",          2,     "n1.example.com and n1 are different names"),
        (TWO, "keepalive 1\ndeadtime 2",                          6, "2000ms is too short for a keepalive of 1000ms"),
        (TWO, "deadtime 5\ninitdead 3",                           6, "3000ms is shorter than deadtime (5000ms)"),
        (TWO, "deadping 1",                                       5, "write more than 2000ms"),
        (TWO, "keepalive 500 ms",                                 5, "\"ms\" is not a time"),
        (TWO, "keepalive -1",                                     5, "\"-1\" is not a time"),
        (TWO, "realtime maybe",                                   5, "write on, yes or true"),
        (TWO, "msgfmt xml",                                       5, "write classic or netstring"),
        (TWO, "hopfudge 256",                                     5, "a number from 0 to 255"),
        (TWO, "warntime 0",                                       5, "above 0"),
        (TWO, "udpport abc",                                      5, "a number from 1 to 65535"),
        (TWO, "watchdog /dev/w\nwatchdog /dev/w",                 6, "already in line 5"),
        (TWO, "baud 9600\nbaud 9600",                             6, "already in line 5"),
        (TWO, "baud 300",                                         5, "write one of 9600, 19200"),
        ("",  "node n1\nbcast eth9x",                             2, "bcast eth9x: there is no such interface"),
        ("",  "node n1\nserial /dev/ttyS99x",                     2, "there is no such device"),
        (TWO, "serial ttyS0",                                     5, "not a full path"),
        (TWO, "ucast lo 10.0.0.256",                              5, "not an IPv4 address"),
        (TWO, "ping 10.0.0.256",                                  5, "not an IPv4 address"),
        (TWO, "mcast eth0 239.0.0.1 694",                         5, "missing: time to live, loop (0 or 1)"),
        (TWO, "mcast eth0 10.0.0.1 694 1 0",                      5, "not a multicast address"),
        (TWO, "respawn hacluster ipfail",                         5, "not a full path"),
        (TWO, "respawn hacluster",                                5, "missing: program"),
        (TWO, "apiauth ipfail",                                   5, "has no list"),
        (TWO, "apiauth a uid=b\napiauth a uid=c",                 6, "already in line 5"),
        (TWO, "rtprio 200",                                       5, "a number from 1 to 99"),
        (TWO, "logfacility bogus",                                5, "not a syslog facility"),
        (TWO, "autojoin all",                                     5, "write none or other or any"),
        (TWO, "autojoin other",                                   5, "R1 style resource management conflicts with autojoin"),
        (TWO, "crm off\npacemaker off",                           6, "already in line 5"),
        (TWO, "crm perhaps",                                      5, "crm on|off"),
        ("",  "node n1\nucast lo 127.0.0.1\nuse_logd off",        3, "no other log"),
    ];
    let site = Site::new("bad");
    for (above, lines, line, says) in table {
        site.write("ha.cf", format!("{above}{lines}\n"));
        let loaded = site.load();
        let found = find(&loaded.complaints, "ha.cf", line, says);
        assert_eq!(
            found.map(|c| c.severity),
            Some(Severity::Error),
            "{lines:?}:\n{}",
            report(&loaded.complaints)
        );
        assert!(loaded.cf.is_none() && !loaded.is_usable(), "{lines:?}");
        assert!(
            loaded.keys.is_some(),
            "{lines:?}: the other files are read all the same"
        );
    }
}

#[test]
fn what_the_classic_accepts_is_accepted() {
    #[rustfmt::skip]
    let table = [
        "node n2", "node N2", "logfacility none", "stonith_host nowhere meatware n1", "bcast eth0,eth1",
        "serial /dev/no-such-device", "apiauth ipfail gid=haclient uid=hacluster", "keepalive .5", "use_logd yes",
        "nice_failback on", "udp eth0", "ping_group gw 10.0.0.1 10.0.0.2", "keepalive", "debug 1", "tipc x",
    ];
    let site = Site::new("good");
    for line in table {
        site.write(
            "ha.cf",
            format!("auto_failback on\nlogfacility none\nucast lo 127.0.0.1\nnode n1 n2\n{line}\n"),
        );
        let loaded = site.load();
        assert!(loaded.is_usable(), "{line}:\n{}", report(&loaded.complaints));
    }
    site.write("haresources", "");
    let loaded = site.load();
    assert!(loaded.is_usable() && find(&loaded.complaints, "haresources", 0, "no resource group").is_some());
}

#[test]
fn missing_files_come_with_a_remedy() {
    let site = Site::new("missing");
    for (file, remedy) in [
        ("ha.cf", "ha.cf(5)"),
        ("haresources", "haresources(5)"),
        ("authkeys", "hb_keygen"),
    ] {
        fs::remove_file(site.path(file)).unwrap();
        let loaded = site.load();
        assert!(
            find(&loaded.complaints, file, 0, remedy).is_some(),
            "{}",
            report(&loaded.complaints)
        );
    }
    let loaded = site.load();
    assert!(loaded.cf.is_none() && loaded.haresources.is_none() && loaded.keys.is_none());
    assert_eq!(report(&loaded.complaints).lines().count(), 3);
}

/// S2.4: readable by others is refused, with the command that helps.
#[test]
fn keys_open_to_others_are_refused() {
    let site = Site::new("mode");
    #[rustfmt::skip]
    let table = [
        (0o600, None), (0o400, None), (0o700, None), (0o620, Some(Severity::Warning)), (0o602, Some(Severity::Warning)),
        (0o640, Some(Severity::Error)), (0o604, Some(Severity::Error)), (0o644, Some(Severity::Error)),
    ];
    for (mode, severity) in table {
        site.mode("authkeys", mode);
        let loaded = site.load();
        let remedy = format!("chmod 600 {}", site.path("authkeys").display());
        let found = find(&loaded.complaints, "authkeys", 0, &remedy);
        assert_eq!(
            found.map(|c| c.severity),
            severity,
            "{mode:o}: {}",
            report(&loaded.complaints)
        );
        assert_eq!(loaded.keys.is_none(), severity == Some(Severity::Error), "{mode:o}");
        assert!(!format!("{loaded:?}").contains("s3cr3t"), "{mode:o}: a key is shown");
    }
}

#[test]
fn comments_may_be_in_any_encoding_but_words_may_not() {
    let site = Site::new("encoding");
    site.write("haresources", b"# \xd6\xf7\xbd\xda\xb5\xe3\nn1 10.0.0.1 # \xd6\xf7\n");
    let loaded = site.load();
    assert!(loaded.is_usable(), "{}", report(&loaded.complaints));
    site.write("haresources", b"n1 10.0.0.1\n\nn2 x\xd6y\n");
    let loaded = site.load();
    assert!(find(&loaded.complaints, "haresources", 3, "not UTF-8").is_some());
    assert!(loaded.haresources.is_none());
}

#[test]
fn complaints_are_reported_by_file_and_line() {
    let site = Site::new("report");
    site.write("ha.cf", "zap\nucast lo 127.0.0.1\nnode n1\nkeepalive x\n");
    site.write("haresources", "n1 10.0.0.1\nn2 10.0.0.1\n");
    site.write("authkeys", "auth 1\n1 sha9 s3cr3t\n");
    let text = report(&site.load().complaints);
    let lines: Vec<&str> = text.lines().collect();
    let at = |words: &str| {
        lines
            .iter()
            .position(|l| l.contains(words))
            .unwrap_or_else(|| panic!("{words}:\n{text}"))
    };
    assert!(
        at("authkeys:2: ") < at("ha.cf:1: ") && at("ha.cf:1: ") < at("ha.cf:4: "),
        "{text}"
    );
    assert!(at("ha.cf:4: ") < at("haresources:2: "), "{text}");
    assert!(!text.contains("s3cr3t"), "{text}");
}

#[test]
fn a_generated_file_is_good_and_is_not_overwritten() {
    let site = Site::new("keygen");
    let path = site.path("fresh");
    assert!(keygen::write(&path, "sha1", false).unwrap().is_none());
    let first = fs::read_to_string(&path).unwrap();
    let ring = authkeys::parse(&path, &first).value.expect("a good file");
    assert_eq!(
        (ring.active, ring.keys[&1].method(), ring.keys[&1].secret().len()),
        (1, Method::Sha1, 64)
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        keygen::write(&path, "md5", false)
            .unwrap_err()
            .to_string()
            .contains("--force")
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    let backup = keygen::write(&path, "md5", true)
        .unwrap()
        .expect("the old keys are kept");
    assert_eq!(fs::read_to_string(&backup).unwrap(), first);
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let second = fs::read_to_string(&path).unwrap();
    assert_eq!(
        authkeys::parse(&path, &second).value.unwrap().keys[&1].method(),
        Method::Md5
    );
}

#[test]
fn every_directive_stands_in_the_page() {
    let page = text("man/ha.cf.5");
    let told = |name: &str| {
        page.lines().any(|l| {
            l.strip_prefix(".It Ic ")
                .is_some_and(|rest| rest.split_ascii_whitespace().next() == Some(name))
        })
    };
    let missing: Vec<&str> = DIRECTIVES.iter().map(|d| d.name).filter(|n| !told(n)).collect();
    assert!(missing.is_empty(), "not in man/ha.cf.5: {missing:?}");
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "(\\PC|[\\\\#,:/ \t\r\n]){0,400}") {
        let (file, me) = (Path::new("f"), node("n1"));
        let _ = ha_cf::parse(file, &text, &me);
        let _ = haresources::parse(file, &text, &[]);
        let _ = authkeys::parse(file, &text);
    }
}
