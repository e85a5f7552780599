use super::*;
use crate::conf::Severity;
use proptest::prelude::*;

fn read(text: &str) -> Parsed<HaCf> {
    parse(Path::new("ha.cf"), text, &"n1".parse().unwrap())
}

fn good(text: &str) -> HaCf {
    let parsed = read(text);
    let complaints = parsed.complaints;
    parsed.value.unwrap_or_else(|| panic!("{text:?}: {complaints:?}"))
}

/// A file without any complaint, line `line` added at its end.
fn with(line: &str) -> String {
    format!("auto_failback on\nlogfacility local0\nbcast eth0\nnode n1 n2\n{line}\n")
}

#[test]
fn the_smallest_file_has_the_defaults_of_the_classic() {
    let cf = good(&with(""));
    assert!(
        read(&with("")).complaints.is_empty(),
        "{:?}",
        read(&with("")).complaints
    );
    let ms = Duration::from_millis;
    assert_eq!(
        (cf.keepalive, cf.deadtime, cf.warntime),
        (ms(1000), ms(30_000), ms(15_000))
    );
    assert_eq!(
        (cf.initdead, cf.deadping, cf.max_rexmit_delay),
        (ms(30_000), ms(30_000), ms(250))
    );
    assert_eq!((cf.hopfudge, cf.debug, cf.rtprio, cf.realtime), (1, 0, 1, true));
    assert!(cf.syslogmsgfmt && cf.vip_lease && !cf.msgfmt_netstring);
    assert_eq!(cf.resource_timeout, ms(300_000));
    assert_eq!(cf.media[0].port, 694);
    let names: Vec<_> = cf.normal_nodes().map(NodeName::as_str).collect();
    assert_eq!(names, ["n1", "n2"]);
}

#[test]
fn every_default_is_read_and_names_a_directive() {
    for (name, value, _) in DEFAULTS {
        assert!(DIRECTIVES.iter().any(|d| d.name == *name), "{name}");
        let text = with(&format!("{name} {value}"));
        let twice = read(&text)
            .complaints
            .iter()
            .filter(|c| !c.message.contains("already in"))
            .count();
        assert_eq!(twice, 0, "{name}: {:?}", read(&text).complaints);
    }
    assert!(DEFAULTS.windows(2).all(|w| w[0].0 < w[1].0));
}

#[test]
fn initdead_follows_deadtime() {
    #[rustfmt::skip]
    let table = [("10001ms", 10_001), ("10", 20_000), ("6", 12_000), ("5999ms", 12_000), ("2500ms", 12_000)];
    for (deadtime, ms) in table {
        let cf = good(&with(&format!("deadtime {deadtime}")));
        assert_eq!(cf.initdead.as_millis(), ms, "{deadtime}");
    }
}

#[test]
fn values_at_their_bounds() {
    #[rustfmt::skip]
    let table = [
        // line                                  accepted
        ("keepalive 500ms\ndeadtime 1001ms\ninitdead 10", true),
        ("keepalive 500ms\ndeadtime 1000ms\ninitdead 10", false),
        ("deadtime 5\ninitdead 5",               true),
        ("deadtime 5\ninitdead 4999ms",          false),
        ("deadping 2001ms",                      true),
        ("deadping 2",                           false),
        ("mcast eth0 239.0.0.43 694 4 0",        true),
        ("mcast eth0 239.0.0.43 694 5 0",        false),
        ("mcast eth0 223.255.255.255 694 1 0",   false),
        ("mcast eth0 224.0.0.0 694 1 1",         true),
        ("mcast eth0 224.0.0.0 694 1 2",         false),
        ("mcast eth0 224.0.0.0 0 1 1",           false),
        ("mcast6 eth0 ff02::694 694 1 0",        true),
        ("mcast6 eth0 fe80::1 694 1 0",          false),
        ("ucast6 eth0 fe80::1",                  true),
        ("ucast eth0",                           false),
        ("hopfudge 255",                         true),
        ("hopfudge 256",                         false),
        ("rtprio 99",                            true),
        ("rtprio 100",                           false),
        ("udpport 65535",                        true),
        ("udpport 65536",                        false),
        ("apiauth ipfail uid=hacluster gid=0,7", true),
        ("apiauth ipfail uid=",                  false),
        ("apiauth ipfail uid=a,,b",              false),
        ("crm off",                              true),
        ("pacemaker respawn",                    true),
        ("crm perhaps",                          false),
        ("env A=1 B=",                           true),
        ("env 1A=1",                             false),
        ("keepalive 2s",                         true),
        ("keepalive -1",                         false),
        ("keepalive 500 ms",                     false),
        ("auto_failback legacy",                 true),
        ("auto_failback maybe",                  false),
        ("respawn hacluster /usr/lib/heartbeat/ipfail -d 1", true),
        ("stonith_host n9 meatware n2",          true),
        ("stonith meatware",                     false),
        ("stonith_host * null n1 n2",            true),
        ("stonith_host n1 null",                 false),
        ("stonith null /etc/ha.d/null",          true),
    ];
    for (line, accepted) in table {
        let parsed = read(&with(line));
        assert_eq!(parsed.value.is_some(), accepted, "{line}: {:?}", parsed.complaints);
    }
}

#[test]
fn commas_separate_in_list_directives_only() {
    let cf = good("auto_failback on\nlogfacility none\nbcast eth0,eth1\nnode n1,N2\nucast eth2 n2 # their side\n");
    let links: Vec<_> = cf.media.iter().map(|m| m.link().to_string()).collect();
    assert_eq!(links, ["eth0", "eth1", "eth2"]);
    assert_eq!(cf.normal_nodes().count(), 2);
    let two = read(&with("ucast eth0,eth1 10.0.0.1")).value.expect("one strange name");
    assert_eq!(two.media[1].link().as_str(), "eth0,eth1");
}

#[test]
fn port_and_rate_count_from_their_line_on_and_the_order_is_told_when_it_matters() {
    let text = "bcast eth0\nserial /dev/ttyS0\nmcast eth0 239.0.0.1 694 1 0\nudpport 695\nbaud 9600\nbcast eth1\n\
                serial /dev/ttyS1\nnode n1\nauto_failback on\nlogfile /l\n";
    let cf = good(text);
    assert_eq!((cf.media[0].port, cf.media[3].port), (694, 695));
    let rates: Vec<_> = cf
        .media
        .iter()
        .filter_map(|m| {
            if let MediumKind::Serial { baud, .. } = m.kind {
                Some(baud)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(rates, [19200, 9600]);
    let lines: Vec<_> = read(text).complaints.iter().map(|c| (c.line, c.severity)).collect();
    assert_eq!(lines, [(1, Severity::Warning), (2, Severity::Warning)]);
    // The same value later is no difference.
    assert!(read(&with("udpport 694\nbaud 19200")).complaints.is_empty());
}

#[test]
fn what_cannot_be_the_name_of_a_link_is_refused() {
    let (fits, long) = (format!("/dev/{}", "x".repeat(250)), format!("/dev/{}", "x".repeat(251)));
    #[rustfmt::skip]
    let table = [
        ("serial /dev/ttyS0".to_owned(),    true),
        ("serial /dev/tty\0S0".to_owned(),  false),
        (format!("serial {fits}"),          true),
        (format!("serial {long}"),          false),
        ("ping6 fe80::1%eth0".to_owned(),   true),
        ("ping6 fe80::1%\u{7}".to_owned(),  false),
    ];
    for (line, accepted) in table {
        let cf = read(&with(&line)).value;
        assert_eq!(cf.is_some(), accepted, "{line:?}");
        for medium in cf.iter().flat_map(|cf| &cf.media) {
            let _ = medium.link();
        }
    }
}

#[test]
fn nice_failback_is_what_its_manual_said() {
    #[rustfmt::skip]
    let table = [
        ("nice_failback on\n",                    AutoFailback::Off),
        ("nice_failback off\n",                   AutoFailback::Legacy),
        ("nice_failback on\nauto_failback on\n",  AutoFailback::On),
        ("",                                      AutoFailback::Legacy),
    ];
    for (lines, mode) in table {
        let text = format!("{lines}logfacility local0\nbcast eth0\nnode n1\n");
        assert_eq!(good(&text).auto_failback, mode, "{lines}");
        assert_eq!(read(&text).complaints.len(), 1, "{lines}");
    }
}

#[test]
fn parameters_are_as_written_or_the_default() {
    let cf = good(&with(
        "keepalive 1\nwarntime 10s\nwatchdog /dev/watchdog\nnice_failback on\nenv X=1",
    ));
    let get = |name: &str| cf.parameters.iter().find(|p| p.0 == name).map(|p| p.1.as_str());
    #[rustfmt::skip]
    let table = [
        ("keepalive", Some("1")), ("deadtime", Some("30000ms")), ("warntime", Some("10s")), ("initdead", Some("30000ms")),
        ("watchdog", Some("/dev/watchdog")), ("auto_failback", Some("on")), ("udpport", Some("694")), ("hopfudge", Some("1")),
        ("nice_failback", None), ("node", None), ("bcast", None), ("env", None), ("logfile", None),
    ];
    for (name, value) in table {
        assert_eq!(get(name), value, "{name}");
    }
    assert!(cf.parameters.is_sorted());
    assert_eq!(cf.env, [("X".to_owned(), "1".to_owned())]);
}

#[test]
fn ping_nodes_stand_in_the_order_of_the_file() {
    let cf = good("ping 10.0.0.254,gw\nnode n2\nping_group web 10.0.0.8 10.0.0.9\nnode n1\nbcast eth0\n");
    let nodes: Vec<_> = cf.nodes.iter().map(|n| (n.name.as_str(), n.kind, n.line)).collect();
    assert_eq!(
        nodes,
        [
            ("10.0.0.254", NodeKind::Ping, 1),
            ("gw", NodeKind::Ping, 1),
            ("n2", NodeKind::Normal, 2),
            ("web", NodeKind::Ping, 3),
            ("n1", NodeKind::Normal, 4),
        ]
    );
}

#[test]
fn a_ping_node_is_a_link_of_its_name_and_each_host_of_a_group_a_medium() {
    let cf = good(
        "ping Gw.example\nping6 fe80::1%eth0\nping_group Web 10.0.0.8 fd00::9\nnode n1\nbcast eth0\nping Gw.example\n",
    );
    let media: Vec<_> = cf.media.iter().map(|m| (m.medium(), m.link().to_string())).collect();
    let want = [
        ("ping", "Gw.example"),
        ("ping6", "fe80::1%eth0"),
        ("ping_group", "web"),
        ("ping_group", "web"),
        ("bcast", "eth0"),
    ];
    assert_eq!(media, want.map(|(kind, link)| (kind, link.to_owned())));
    let ways: Vec<bool> = cf
        .media
        .iter()
        .filter_map(|m| match m.kind {
            MediumKind::Ping { v6, .. } => Some(v6),
            _ => None,
        })
        .collect();
    assert_eq!(ways, [false, true, false, true]);
    let alone = read("ping 10.0.0.1\nnode n1\nauto_failback on\nlogfacility none\n");
    assert!(alone.value.is_none(), "a ping node is no medium of the cluster");
}

#[test]
fn what_has_no_effect_says_so_unless_it_asks_for_nothing() {
    #[rustfmt::skip]
    let table = [
        ("memreserve 6500", 0), ("memreserve 7000", 1), ("log_badpack yes", 0), ("log_badpack off", 1),
        ("use_logd off", 0), ("use_logd yes", 1), ("ping 10.0.0.1", 0), ("watchdog /dev/watchdog", 0),
        ("uuidfrom file", 0), ("uuidfrom nodename", 0), ("cluster mine", 0), ("quorum_server q", 1),
    ];
    for (line, warnings) in table {
        let parsed = read(&with(line));
        assert!(parsed.value.is_some(), "{line}");
        assert_eq!(parsed.complaints.len(), warnings, "{line}: {:?}", parsed.complaints);
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = read(&text);
    }

    /// Any words behind any directive: a value exactly when nothing is an error, and links that have names.
    #[test]
    fn no_words_make_it_panic(lines in prop::collection::vec((0..DIRECTIVES.len(), "[ ,]?\\PC{0,12}( [a-z0-9./=:#,-]{1,12}){0,6}"), 0..12)) {
        let text: Vec<String> = lines.iter().map(|(i, rest)| format!("{} {rest}", DIRECTIVES[*i].name)).collect();
        let parsed = read(&text.join("\n"));
        let errors = parsed.complaints.iter().any(|c| c.severity == Severity::Error);
        prop_assert_eq!(parsed.value.is_none(), errors);
        if let Some(cf) = parsed.value {
            for medium in &cf.media {
                let _ = medium.link();
            }
        }
    }
}
