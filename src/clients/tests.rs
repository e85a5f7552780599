use super::*;
use crate::conf::ha_cf::NodeKind;
use crate::conf::{Accounts, ApiAuth, AutoFailback, HaCf};
use crate::core::tally::Loss;
use crate::daemon::counted;
use crate::daemon::transitions::{Kind as Happened, Transition};
use crate::daemon::view::{ClientReport, ClientView, FailedView, GroupView, LinkView, MediumView, NodeView};
use crate::time::{Duration, Instant, Wall};

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
        autojoin: Default::default(),
        autojoin_line: 0,
        crm: false,
        uuid_from_name: false,
        resource_timeout: s(60),
        vip_lease: true,
        if_answered: Default::default(),
        isolated_takeover: true,
        tickle: false,
        watchdog: None,
        clients: Vec::new(),
        apiauth: [("anon", "1000"), ("ipfail", "hacluster"), ("pair", "1000")]
            .map(|(client, user)| ApiAuth {
                client: client.to_owned(),
                users: vec!["0".to_owned(), user.to_owned()],
                groups: Vec::new(),
                line: 3,
            })
            .to_vec(),
        accounts: Accounts::read("user hacluster 103\n"),
        fencing: Vec::new(),
        env: Vec::new(),
        parameters: vec![("deadtime".to_owned(), "5".to_owned())],
    }
}

fn node(name: &str, kind: NodeKind, status: &'static str, links: &[(&str, bool)]) -> NodeView {
    NodeView {
        name: name.parse().unwrap(),
        kind,
        uuid: (kind == NodeKind::Normal).then_some([7; 16]),
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
        weight: 100,
        site: String::new(),
        haresources_differ: Vec::new(),
        fencing: None,
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
            lease: Some(Duration::from_secs(3)),
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
        clients: vec![ClientView {
            report: ClientReport {
                user: "hacluster".to_owned(),
                command: "/usr/lib/heartbeat/ipfail".to_owned(),
                failfast: false,
                state: "running".to_owned(),
                pid: 77,
                since: Instant::from_millis(0),
                restarts: 2,
                last: String::new(),
            },
            since: Duration::from_secs(61),
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
            Answer::Signal { pid, signal, .. } => format!("SIGNAL {signal} to {pid}"),
            Answer::Send { message, .. } => format!("SEND {}", plain(&message)),
            Answer::Order { message } => format!("ORDER {}", plain(&message)),
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

/// All fields in their order.
fn plain(message: &Message) -> String {
    let text = |f: &crate::msg::Field| format!("{}={}", f.name, message.get(&f.name).unwrap());
    message.fields().iter().map(text).collect::<Vec<_>>().join(";")
}

fn ask(clients: &mut Clients, client: u64, who: Identity, message: &Message, view: &View<'_>) -> Vec<String> {
    shown(clients.request(Now::default(), ClientId(client), who, message, view, 250))
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
        ("setsignal",  "signal=0",        &["SIGNAL 0 to 70", "result=OK"]),
        ("setsignal",  "signal=10",       &["SIGNAL 10 to 70", "result=OK"]),
        ("setsignal",  "signal=31",       &["SIGNAL 31 to 70", "result=OK"]),
        ("setsignal",  "signal=32",       &["result=badreq;info=EINVAL"]),
        ("setsignal",  "signal=9",        &["result=badreq;info=EINVAL"]),
        ("setsignal",  "signal=19",       &["result=badreq;info=EINVAL"]),
        ("setsignal",  "",                &["result=badreq;info=EINVAL"]),
        ("set_sendqlen", "sendqlen=9",    &[]),
        ("getnodename", "queryuuid=x",    &["result=OK"]),
        ("getuuid",    "queryname=n9",    &["result=OK"]),
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
            ask(&mut clients, 1, USER, &words("signon", "pid=70"), view),
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
        let answers = clients.request(Now::default(), ClientId(1), USER, &words("getstatus", ""), view, 250);
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
        let stranger = Identity { uid: 1001, gid: 0 };
        assert_eq!(ask(&mut clients, 1, stranger, &words("signon", ""), view)[1], "DROP");
        let nameless = request::of("signon");
        assert_eq!(
            ask(&mut clients, 2, USER, &nameless, view),
            ["result=badreq;info=invalid id info: there is no from_id", "DROP"]
        );
        assert_eq!(
            ask(&mut clients, 3, USER, &words("nodelist", ""), view),
            ["result=badreq;info=EPERM", "DROP"]
        );
        ask(&mut clients, 4, USER, &words("signon", ""), view);
        let order = Message::new("ask_resources").with("rsc_hold", "all");
        assert_eq!(
            ask(&mut clients, 4, USER, &order, view),
            [
                "result=badreq;info=badclient: only named clients may send messages;msgtype=ask_resources",
                "DROP"
            ]
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
                other => panic!("{other:?}"),
            };
            answers.iter().map(client).collect()
        };
        let status = Message::new("status").with("node", "n2").with("st", "dead");
        assert_eq!(to(clients.publish(&status)), [2, 3]);
        assert_eq!(to(clients.publish_as(Class::NoChange, &status)), [3, 4]);
        assert_eq!(to(clients.publish(&status.clone().with("to_id", "73"))), [3]);
        assert_eq!(to(clients.publish(&status.clone().with("to_id", "ipfail"))), [0u64; 0]);
        assert_eq!(clients.gone(ClientId(3), "EOF"), None, "nobody hears of casual clients");
        assert_eq!(clients.gone(ClientId(99), "EOF"), None);
        assert_eq!(to(clients.publish(&status)), [2]);
    });
}

/// A view to be changed.
pub(crate) fn copy<'a>(view: &View<'a>) -> View<'a> {
    View {
        nodes: view.nodes.clone(),
        media: view.media.clone(),
        groups: view.groups.clone(),
        clients: view.clients.clone(),
        counters: view.counters.clone(),
        transitions: view.transitions.clone(),
        ..*view
    }
}

const HA: Identity = Identity { uid: 103, gid: 106 };

#[test]
fn named_clients_join_send_to_their_like_and_leave() {
    with_view(|view| {
        let mut clients = Clients::default();
        let join = |client: u64, name: &str, n: u64| {
            format!("SEND t=hbapi-clstat;st=join;from_id={name};to_id={name};src=;info=signon;client_gen={n}|{client}")
        };
        for (client, who, name) in [(1, USER, "pair"), (2, HA, "ipfail")] {
            let said = ask(
                &mut clients,
                client,
                who,
                &words("signon", &format!("from_id={name}")),
                view,
            );
            assert_eq!(format!("{}|{client}", said[1]), join(client, name, client - 1));
        }
        let again = ask(&mut clients, 3, USER, &words("signon", "from_id=pair"), view);
        assert!(
            again[0].contains("duplicate add request") && again[1] == "DROP",
            "{again:?}"
        );

        let tail = "from_id=pair;to_id=pair;client_gen=0";
        #[rustfmt::skip]
        let table: &[(u64, Identity, &[&str], String)] = &[
            (1, USER, &["t=hello", "x=1"],                      format!("SEND t=hello;x=1;{tail}")),
            (1, USER, &["t=hello", "dest=N2"],                  format!("SEND t=hello;dest=N2;{tail}")),
            (1, USER, &["t=hello", "from_id=ipfail", "to_id=q", "seq=9", "hg=1", "auth=x", "client_gen=7"],
                                                                format!("SEND t=hello;{tail}")),
            (1, USER, &["t=hello", "dest=n9"],                  "there is no node \"n9\"".to_owned()),
            (1, USER, &["t=hello", "dest=10.0.0.254"],          "there is no node".to_owned()),
            (1, USER, &["x=1"],                                 "t is missing".to_owned()),
            (1, USER, &["t=status", "st=dead"],                 "for daemons only".to_owned()),
            (1, USER, &["t=NS_ackmsg"],                         "for daemons only".to_owned()),
            (1, USER, &["t=hbapi-clstat", "st=leave"],          "for daemons only".to_owned()),
            (1, USER, &["t=resource", "rsc_hold=all"],          "for daemons only".to_owned()),
            (1, USER, &["t=ask_resources", "info=me"],          "only clients of root and hacluster".to_owned()),
            (1, USER, &["t=hb_takeover"],                       "only clients of root and hacluster".to_owned()),
            (2, HA,   &["t=ask_resources", "info=done"],        "for daemons only".to_owned()),
            (2, HA,   &["t=ask_resources", "rsc_hold=all", "info=me"],
                                                                "ORDER t=ask_resources;rsc_hold=all;info=me;from_id=ipfail".to_owned()),
        ];
        for (client, who, said, want) in table {
            let mut message = Message::default();
            for word in *said {
                let (name, value) = word.split_once('=').unwrap();
                message.push(name.to_owned(), value);
            }
            // The order of the fields that were there before is kept.
            let got = ask(&mut clients, *client, *who, &message, view);
            let ordered = |line: &str| {
                let mut words: Vec<String> = line.split(';').map(str::to_owned).collect();
                words.sort();
                words
            };
            assert!(
                got.len() == 1 && (got[0].contains(want) || ordered(&got[0]) == ordered(want)),
                "{said:?}: {got:?}"
            );
        }
        let heard: Vec<_> = clients.publish(&Message::new("hello").with("to_id", "pair"));
        assert_eq!(heard.len(), 1, "clients begin with filter 1");

        let mut bye = words("signoff", "");
        bye.set("from_id", "pair");
        assert_eq!(
            ask(&mut clients, 1, USER, &bye, view),
            [
                "DROP",
                "SEND t=hbapi-clstat;st=leave;from_id=pair;to_id=pair;src=;info=signoff;client_gen=0"
            ]
        );
        let left = clients.gone(ClientId(2), "EOF").into_iter().collect();
        assert!(shown(left)[0].contains("st=leave;from_id=ipfail;to_id=ipfail;src=;info=EOF;client_gen=1"));
    });
}

#[test]
fn clients_of_other_nodes_are_asked_for_there() {
    with_view(|view| {
        let mut view = copy(view);
        view.nodes[1].status = "active";
        let mut clients = Clients::default();
        ask(&mut clients, 1, USER, &words("signon", ""), &view);
        let question = words("clientstatus", "node=n2 cn=ipfail");
        assert_eq!(
            ask(&mut clients, 1, USER, &question, &view),
            ["SEND t=query-cstatus;dest=n2;cn=ipfail;from_id=70"]
        );
        let paused = clients.request(Now::default(), ClientId(1), USER, &question, &view, 0);
        assert_eq!(shown(paused), ["result=badreq;info=EAGAIN"]);
        let query = Message::new("query-cstatus")
            .with("dest", "n1")
            .with("cn", "70")
            .with("from_id", "55")
            .with("src", "n2");
        let answer = clients.answer_query(&query).unwrap();
        assert_eq!(
            plain(&answer),
            "t=respond-cstatus;dest=n2;result=OK;cn=70;to_id=55;cs=online"
        );
        assert_eq!(clients.answer_query(&Message::new("query-cstatus")), None);
        // Whoever asked hears the answer though it wants no events.
        let answer = Message::new("respond-cstatus").with("to_id", "70").with("cs", "online");
        assert_eq!(clients.publish(&answer).len(), 1);
        assert_eq!(clients.publish(&answer.with("to_id", "71")).len(), 0);
    });
}
