use super::*;
use proptest::prelude::*;

const AGENT: &str = r#"sourcing something wrote this line
<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="Example" version="1.0">
<version>1.1</version>
<longdesc lang="de">Lang</longdesc>
<longdesc lang="en">
Long &lt;b&gt; &amp; <![CDATA[a < b]]>
</longdesc>
<shortdesc lang="en">Short</shortdesc>
<parameters>
<parameter name="ip" unique="1" required="1">
<longdesc lang="en">The address</longdesc><shortdesc lang="en">Address</shortdesc>
<content type="string" default="" />
</parameter>
<parameter name="state" unique-group="state"><content type="string" default="/run/x"/></parameter>
<parameter name="fake" reloadable="true"><content/></parameter>
<parameter name="mode" required="no" deprecated="1">
<content type="select" default="a"><option value="a"/><option value="b"/></content></parameter>
</parameters>
<actions>
<action name="start" timeout="20s" />
<action name="monitor" depth="0" timeout="20" interval="10s" role="Slave"/>
<action name="monitor" depth="0" timeout="30" interval="9s" role="Master" start-delay="1min"/>
<action name="reload" timeout="2min"/>
</actions>
</resource-agent>
and that one
"#;

#[test]
fn an_agent_is_read_and_written() {
    let meta = MetaData::parse(AGENT).unwrap();
    assert_eq!(
        (&*meta.name, &*meta.version, &*meta.shortdesc),
        ("Example", "1.0", "Short")
    );
    assert_eq!(meta.longdesc, "Long <b> & a < b");
    let names: Vec<_> = meta
        .parameters
        .iter()
        .map(|p| (&*p.name, p.required, p.unique, p.deprecated))
        .collect();
    assert_eq!(
        names,
        [
            ("ip", true, true, false),
            ("state", false, true, false),
            ("fake", false, false, false),
            ("mode", false, false, true)
        ]
    );
    let mode = meta.parameter("mode").unwrap();
    assert_eq!(
        (&*mode.kind, mode.default.as_deref(), &mode.values[..]),
        ("select", Some("a"), &["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!(meta.parameter("fake").unwrap().default, None);
    assert_eq!(
        meta.action("start", None).unwrap().timeout(),
        Some(Duration::from_secs(20))
    );
    let monitor = |role| meta.action("monitor", role).unwrap().interval();
    assert_eq!(monitor(Some("Master")), Some(Duration::from_secs(9)));
    assert_eq!(monitor(None), Some(Duration::from_secs(10)));
    assert_eq!(meta.action("promote", None), None);
    assert_eq!(MetaData::parse(&meta.to_xml()), Ok(meta.clone()));
    let given = BTreeSet::from(["fake", "fuke", "CRM_meta_on_node"]);
    assert_eq!(faults(&meta, &given), (vec!["fuke"], vec!["ip"]));
}

#[test]
fn what_needs_a_restart() {
    let meta = MetaData::parse(AGENT).unwrap();
    let names = |meta: &MetaData| meta.restart_parameters().map(|n| n.join(" "));
    assert_eq!(
        names(&meta).as_deref(),
        Some("ip state"),
        "the reload of old: the unique ones"
    );
    let new = MetaData::parse(&AGENT.replace("\"reload\"", "\"reload-agent\"")).unwrap();
    assert_eq!(names(&new).as_deref(), Some("ip state mode"), "all that are not marked");
    let none = MetaData::parse(&AGENT.replace("\"reload\"", "\"validate-all\"")).unwrap();
    assert_eq!(names(&none), None);
}

#[test]
fn what_is_no_meta_data_is_refused() {
    let with = |head: &str| AGENT.replace("<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">", head);
    let bomb = with("<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>").replace("Short", "&b;");
    let deep = format!("<resource-agent>{}</resource-agent>", "<a>".repeat(1_000_000));
    let long = format!("<resource-agent>{}</resource-agent>", " ".repeat(LONGEST));
    let deep_enough = format!(
        "<resource-agent>{}{}</resource-agent>",
        "<a>".repeat(100),
        "</a>".repeat(100)
    );
    #[rustfmt::skip]
    let table = [
        ("",                                                   "there is no <resource-agent>"),
        ("Usage: x start|stop",                                "there is no <resource-agent>"),
        ("</resource-agent><resource-agent>",                  "stands before"),
        ("<resource-agent><a></resource-agent>",               "expected"),
        ("<?xml version=\"1.0\"?><x></resource-agent>",        "expected"),
        ("<resource-agent>&x;</resource-agent>",               "entity"),
        (&bomb,                                                "a DTD of its own"),
        (&deep,                                                "too long"),
        (&deep_enough,                                         "too many elements"),
        (&long,                                                "too long"),
    ];
    for (text, part) in table {
        let shown: String = text.chars().take(60).collect();
        let why = MetaData::parse(text).expect_err(&shown).to_string();
        assert!(why.contains(part), "{shown}: {why}");
    }
    assert_eq!(
        MetaData::parse("<resource-agent></resource-agent>"),
        Ok(MetaData::default())
    );
}

#[test]
fn classes_without_meta_data_have_limits() {
    let script = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: x\n# Short-Description: web server\n# Description: serves\n\
                  #              the web\n# X: y\n### END INIT INFO\n# Short-Description: no\n";
    let lsb = MetaData::of_class(&"lsb:x".parse().unwrap(), script);
    assert_eq!((&*lsb.shortdesc, &*lsb.longdesc), ("web server", "serves the web"));
    #[rustfmt::skip]
    let table = [
        // agent          action          limit    interval
        ("lsb:x",         "start",        15,      None),
        ("lsb:x",         "force-reload", 15,      None),
        ("lsb:x",         "monitor",      15,      Some(15)),
        ("heartbeat:x",   "monitor",      15,      Some(15)),
        ("systemd:x",     "start",        100,     None),
        ("systemd:x",     "monitor",      100,     Some(60)),
    ];
    for (agent, action, limit, interval) in table {
        let meta = MetaData::of_class(&agent.parse().unwrap(), "");
        let found = meta.action(action, None).unwrap();
        let got = (found.timeout(), found.interval());
        assert_eq!(
            got,
            (Some(Duration::from_secs(limit)), interval.map(Duration::from_secs)),
            "{agent} {action}"
        );
        assert_eq!(MetaData::parse(&meta.to_xml()), Ok(meta));
    }
}

#[test]
fn plugins_of_cluster_glue_say_their_parameters() {
    let said = "<parameters>\n<parameter name=\"hostlist\" unique=\"1\" required=\"1\"><content type=\"string\" />\
                <shortdesc lang=\"en\">Hostlist</shortdesc></parameter>\n</parameters>\n";
    let meta = MetaData::of_plugin("external/ssh", said).unwrap();
    assert_eq!(meta.name, "external/ssh");
    assert!(meta.parameter("hostlist").unwrap().required);
    assert_eq!(
        meta.action("monitor", None).unwrap().timeout(),
        Some(Duration::from_secs(60))
    );
    for bad in [
        "",
        "<parameters>",
        "</parameters><parameters>",
        "<parameters><a></parameters>",
    ] {
        assert!(MetaData::of_plugin("x", bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "(<resource-agent|</resource-agent>|<parameters>|</parameters>|<!DOCTYPE|[ä<>/a=\"'&;#!\\[\\]\n-]){0,60}") {
        let _ = (MetaData::parse(&text), MetaData::of_plugin("x", &text), lsb_header(&text, "Description"));
    }

    #[test]
    fn what_is_written_reads_back(
        name in "[a-z]{1,5}", text in "[ -~ä]{0,20}", default in proptest::option::of("[ -~]{0,9}"), required: bool
    ) {
        let meta = MetaData {
            name: name.clone(),
            longdesc: text.trim().to_owned(),
            parameters: vec![Parameter { name: name.clone(), required, default, kind: "string".into(), ..Parameter::default() }],
            actions: limits(&[(&name, &text)]),
            ..MetaData::default()
        };
        prop_assert_eq!(MetaData::parse(&meta.to_xml()), Ok(meta));
    }
}
