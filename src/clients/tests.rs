use super::*;
use crate::conf::ha_cf::NodeKind;
use crate::conf::{AutoFailback, HaCf};
use crate::core::tally::Loss;
use crate::daemon::counted;
use crate::daemon::transitions::{Kind as Happened, Transition};
use crate::daemon::view::{FailedView, GroupView, LinkView, MediumView, NodeView};
use crate::time::{Duration, Wall};

fn cf() -> HaCf {
    let s = Duration::from_secs;
    HaCf {
        nodes: Vec::new(),
        media: Vec::new(),
        keepalive: s(1),
        deadtime: s(5),
        warntime: s(3),
        initdead: s(12),
        deadping: s(5),
        max_rexmit_delay: Duration::from_millis(250),
        hopfudge: 1,
        auto_failback: AutoFailback::On,
        msgfmt_netstring: false,
        logfile: None,
        debugfile: None,
        logfacility: Some("local0".to_owned()),
        syslogmsgfmt: true,
        debug: 0,
        realtime: true,
        rtprio: 1,
        generation_from_time: false,
        resource_timeout: s(60),
        vip_lease: true,
        watchdog: None,
        clients: Vec::new(),
        env: Vec::new(),
        parameters: vec![("deadtime".to_owned(), "5".to_owned())],
    }
}

fn node(name: &str, kind: NodeKind, status: &'static str, links: &[(&str, bool)]) -> NodeView {
    NodeView {
        name: name.parse().unwrap(),
        kind,
        status,
        links: links
            .iter()
            .map(|&(name, up)| LinkView {
                name: name.parse().unwrap(),
                up,
                since: Duration::from_secs(7200),
                loss: Loss::default(),
            })
            .collect(),
        since: Duration::ZERO,
        late_beats: 0,
        longest_interval: Duration::ZERO,
        loss: Loss::default(),
        haresources_differ: Vec::new(),
    }
}

/// n1 (us), n2 (dead, one link of two), a ping node; one group; one broken medium.
pub(crate) fn with_view(test: impl FnOnce(&View<'_>)) {
    let me = "n1".parse().unwrap();
    let cf = cf();
    let medium = |kind, link: &str, broken: Option<&str>| MediumView {
        kind,
        link: link.parse().unwrap(),
        broken: broken.map(str::to_owned),
    };
    let mut n2 = node("n2", NodeKind::Normal, "dead", &[("eth0", true), ("/dev/ttyS0", false)]);
    n2.since = Duration::from_secs(65);
    n2.late_beats = 3;
    n2.longest_interval = Duration::from_millis(1234);
    n2.links[0].loss = Loss {
        expected: 100,
        missed: 6,
    };
    n2.haresources_differ = vec!["has a group \"web\" that we have not".to_owned()];
    test(&View {
        me: &me,
        cf: &cf,
        nodes: vec![
            node("n1", NodeKind::Normal, "active", &[("eth0", true)]),
            n2,
            node("10.0.0.254", NodeKind::Ping, "ping", &[("10.0.0.254", true)]),
        ],
        media: vec![
            medium("bcast", "eth0", None),
            medium("serial", "/dev/ttyS0", Some("no such device")),
        ],
        groups: vec![GroupView {
            key: "IPaddr::10.0.0.1".parse().unwrap(),
            resources: vec!["IPaddr::10.0.0.1".parse().unwrap(), "httpd".parse().unwrap()],
            preferred: "n1".parse().unwrap(),
            here: "running",
            owners: vec!["n1".parse().unwrap()],
            owned_since: Some(Wall(1_763_700_000)),
            failed: vec![FailedView {
                node: "n2".parse().unwrap(),
                at: Wall(1_763_701_000),
                why: None,
            }],
            since: Duration::from_secs(2 * 3600 + 4 * 60),
            last: "started".to_owned(),
        }],
        rsc_hold: "local",
        active: true,
        counters: counted::all([("takeovers".to_owned(), 2)].into_iter()),
        transitions: vec![
            Transition::good(Wall(1_763_700_001), Happened::Group, "IPaddr::10.0.0.1", "runs here"),
            Transition::bad(Wall(1_763_707_335), Happened::Node, "n2", "is dead"),
        ],
        time: Wall(1_763_707_400),
    });
}

const USER: Identity = Identity { uid: 1000, gid: 1000 };
const ROOT: Identity = Identity { uid: 0, gid: 0 };

/// `name=value` of every message, `;` between fields, without type and reqtype; `DROP` for a drop.
fn shown(answers: Vec<Answer>) -> Vec<String> {
    answers
        .into_iter()
        .map(|a| match a {
            Answer::Drop { .. } => "DROP".to_owned(),
            Answer::Reply { message, .. } => message
                .fields()
                .iter()
                .filter(|f| f.name != "t" && f.name != "reqtype")
                .map(|f| format!("{}={}", f.name, message.get(&f.name).unwrap()))
                .collect::<Vec<_>>()
                .join(";"),
        })
        .collect()
}

fn ask(clients: &mut Clients, client: u64, who: Identity, message: &Message, view: &View<'_>) -> Vec<String> {
    shown(clients.request(Now::default(), ClientId(client), who, message, view))
}

fn words(reqtype: &str, more: &str) -> Message {
    let mut message = request::of(reqtype).with("from_id", "70");
    for word in more.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap();
        message.set(name, value);
    }
    message
}

#[test]
fn questions_and_answers() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &[&str])] = &[
        ("nodelist", "", &["node=n1;nodetype=normal;st=active;result=ok/more",
                           "node=n2;nodetype=normal;st=dead;result=ok/more",
                           "node=10.0.0.254;nodetype=ping;st=ping;result=OK"]),
        ("nodestatus", "node=n2",         &["st=dead;result=OK"]),
        ("nodestatus", "node=N1",         &["st=active;result=OK"]),
        ("nodestatus", "node=n9",         &["result=badreq;info=EINVAL"]),
        ("nodestatus", "",                &["result=badreq;info=EINVAL"]),
        ("nodetype",   "node=10.0.0.254", &["nodetype=ping;result=OK"]),
        ("nodetype",   "node=n9",         &["result=badreq;info=EINVAL"]),
        ("nodeweight", "node=n2",         &["weight=100;result=OK"]),
        ("nodesite",   "node=n2",         &["site=;result=OK"]),
        ("numnodes",   "",                &["numnodes=2;result=OK"]),
        ("iflist",     "node=n2",         &["ifname=eth0;st=up;result=ok/more", "ifname=/dev/ttyS0;st=dead;result=OK"]),
        ("iflist",     "node=10.0.0.254", &["ifname=10.0.0.254;st=up;result=OK"]),
        ("iflist",     "node=n9",         &["result=badreq;info=EINVAL"]),
        ("ifstatus",   "node=n2 ifname=/dev/ttyS0", &["st=dead;result=OK"]),
        ("ifstatus",   "node=n2 ifname=eth9",       &["result=badreq;info=EINVAL"]),
        ("ifstatus",   "node=n2",                   &["result=badreq;info=EINVAL"]),
        ("getparm",    "pname=deadtime",  &["pvalue=5;result=OK"]),
        ("getparm",    "pname=hbversion", &[concat!("pvalue=", env!("CARGO_PKG_VERSION"), ";result=OK")]),
        ("getparm",    "pname=nosuch",    &["result=OK"]),
        ("getparm",    "",                &["result=badreq;info=EINVAL"]),
        ("getrsc",     "",                &["rsc_hold=local;result=OK"]),
        ("clientstatus", "node=n1 cn=ipfail", &["subt=respond-cstatus;cs=offline;result=OK"]),
        ("clientstatus", "node=n1 cn=70",     &["subt=respond-cstatus;cs=online;result=OK"]),
        ("clientstatus", "node=n2 cn=ipfail", &["subt=respond-cstatus;cs=offline;result=OK"]),
        ("clientstatus", "node=n9 cn=ipfail", &["result=badreq;info=EINVAL"]),
        ("clientstatus", "node=n1",           &["result=badreq;info=EINVAL"]),
        ("setsignal",  "signal=0",        &["result=OK"]),
        ("setsignal",  "signal=10",       &["result=badreq;info=EINVAL"]),
        ("setfilter",  "fmask=1",         &["result=OK"]),
        ("setfilter",  "fmask=40",        &["result=badreq;info=EINVAL"]),
        ("setfilter",  "fmask=x",         &["result=badreq;info=EINVAL"]),
        ("setfilter",  "fmask=3",         &["result=badreq;info=EPERM"]),
        ("fortytwo",   "",                &["result=badreq"]),
        ("nodestatus", "node=n2 from_id=71", &["result=badreq;info=EPERM"]),
        ("signoff",    "",                &["DROP"]),
    ];
    with_view(|view| {
        let mut clients = Clients::default();
        assert_eq!(
            ask(&mut clients, 1, USER, &words("signon", ""), view),
            [format!(
                "result=OK;deadtime=1388;keepalive=3e8;node=n1;hbversion={};pacemaker=false;logfacility=128",
                env!("CARGO_PKG_VERSION")
            )]
        );
        for (reqtype, more, answer) in table {
            assert_eq!(
                ask(&mut clients, 1, USER, &words(reqtype, more), view),
                *answer,
                "{reqtype} {more}"
            );
        }
        assert_eq!(
            ask(&mut clients, 1, USER, &words("nodelist", ""), view),
            ["result=badreq;info=EPERM", "DROP"],
            "after signoff"
        );
    });
}

#[test]
fn the_status_is_one_field_of_json() {
    with_view(|view| {
        let mut clients = Clients::default();
        ask(&mut clients, 1, USER, &words("signon", ""), view);
        let answers = clients.request(Now::default(), ClientId(1), USER, &words("getstatus", ""), view);
        let [Answer::Reply { message, .. }] = answers.as_slice() else {
            panic!("{answers:?}");
        };
        let status = json::Json::parse(message.get("json").unwrap()).unwrap();
        assert_eq!(status.get("node").text(), "n1");
    });
}

#[test]
fn who_may_not_sign_on_or_speak_is_told_and_dropped() {
    with_view(|view| {
        let mut clients = Clients::default();
        let named = words("signon", "from_id=ipfail");
        assert_eq!(ask(&mut clients, 1, USER, &named, view)[1], "DROP");
        let nameless = request::of("signon");
        assert_eq!(
            ask(&mut clients, 2, USER, &nameless, view),
            ["result=badreq;info=EINVAL", "DROP"]
        );
        assert_eq!(
            ask(&mut clients, 3, USER, &words("nodelist", ""), view),
            ["result=badreq;info=EPERM", "DROP"]
        );
        ask(&mut clients, 4, USER, &words("signon", ""), view);
        let order = Message::new("ask_resources").with("rsc_hold", "all");
        assert_eq!(
            ask(&mut clients, 4, USER, &order, view),
            ["result=badreq;info=EPERM", "DROP"]
        );
    });
}

#[test]
fn events_go_to_those_who_asked_for_them() {
    with_view(|view| {
        let mut clients = Clients::default();
        for (client, who, filter) in [
            (1, USER, ""),
            (2, USER, "fmask=1"),
            (3, ROOT, "fmask=3f"),
            (4, ROOT, "fmask=2"),
        ] {
            let id = format!("from_id=7{client}");
            ask(&mut clients, client, who, &words("signon", &id), view);
            if !filter.is_empty() {
                let answer = ask(
                    &mut clients,
                    client,
                    who,
                    &words("setfilter", &format!("{id} {filter}")),
                    view,
                );
                assert_eq!(answer, ["result=OK"]);
            }
        }
        let to = |answers: Vec<Answer>| -> Vec<u64> {
            let client = |a: &Answer| match a {
                Answer::Reply { client, .. } | Answer::Drop { client } => client.0,
            };
            answers.iter().map(client).collect()
        };
        let status = Message::new("status").with("node", "n2").with("st", "dead");
        assert_eq!(to(clients.publish(&status)), [2, 3]);
        assert_eq!(to(clients.publish_as(Class::NoChange, &status)), [3, 4]);
        assert_eq!(to(clients.publish(&status.clone().with("to_id", "73"))), [3]);
        assert_eq!(to(clients.publish(&status.clone().with("to_id", "ipfail"))), [0u64; 0]);
        clients.gone(ClientId(3));
        clients.gone(ClientId(99));
        assert_eq!(to(clients.publish(&status)), [2]);
    });
}

/// A view to be changed.
pub(crate) fn copy<'a>(view: &View<'a>) -> View<'a> {
    View {
        nodes: view.nodes.clone(),
        media: view.media.clone(),
        groups: view.groups.clone(),
        counters: view.counters.clone(),
        transitions: view.transitions.clone(),
        ..*view
    }
}
