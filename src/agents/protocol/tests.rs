use super::*;
use crate::msg::classic;
use proptest::prelude::*;

fn finished(call_id: u64) -> Finished {
    Finished {
        rsc: "web".into(),
        op: "monitor".into(),
        interval: Duration::from_secs(10),
        call_id,
        rc: 7,
        status: Status::Done,
        exec_time: Duration::from_millis(81),
        queue_time: Duration::from_millis(2),
        rc_change: Wall(1_795_248_944),
        output: "line one\nline two = 2\n".into(),
        reason: "no \"pid\" file".into(),
        key: "19:1:0:5aba61cc".into(),
        digest: "f2317cad3d54cec5d7d7aa7d0bf35cf8".into(),
        restart: (call_id == 1).then(|| ("  state  ".into(), "02a5".into())),
    }
}

fn order() -> Order {
    Order {
        id: 77,
        rsc: "web:1".into(),
        agent: "ocf:heartbeat:IPaddr2".parse().unwrap(),
        op: "start".into(),
        interval: Duration::ZERO,
        timeout: Duration::from_secs(60),
        start_delay: Duration::from_millis(5),
        params: [("ip", "10.0.0.1 <&\">\n"), ("1", "one"), ("CRM_meta_on_node", "n1")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .into(),
        key: "1:2:0:u".into(),
    }
}

fn across(m: &Message) -> Message {
    classic::decode(&classic::encode(m)).unwrap()
}

#[test]
fn requests_arrive_as_they_were_sent() {
    let stonith: Agent = "stonith:external/ssh".parse().unwrap();
    let table = [
        Request::Exec(order()),
        Request::Cancel {
            rsc: "web".into(),
            op: "monitor".into(),
            interval: Duration::from_secs(10),
        },
        Request::Forget { rsc: "web".into() },
        Request::List { after: None },
        Request::List {
            after: Some("web".into()),
        },
        Request::Meta {
            id: 3,
            agent: stonith.clone(),
        },
        Request::Fence(Fencing {
            id: 9,
            rsc: "st".into(),
            agent: stonith,
            params: order().params,
            how: How::Off,
            node: Some("n2".into()),
            timeout: Duration::from_secs(60),
        }),
    ];
    for request in table {
        assert_eq!(Request::from_message(&across(&request.to_message())), Ok(request));
    }
}

#[test]
fn reports_arrive_as_they_were_sent() {
    let known = Known {
        rsc: "web".into(),
        agent: "lsb:apache2".parse().unwrap(),
        history: vec![finished(1), finished(2)],
        pending: vec![Pending {
            op: "start".into(),
            interval: Duration::ZERO,
            call_id: 12,
            key: "k".into(),
        }],
        params: Some(order().params),
    };
    let stopped_only = Known {
        params: None,
        ..known.clone()
    };
    let table = [
        Report::Pending { id: 1, call_id: 2 },
        Report::Refused {
            id: 1,
            why: "no".into(),
        },
        Report::Result(finished(1)),
        Report::Result(finished(2)),
        Report::Known(known),
        Report::Known(stopped_only),
        Report::Listed { more: true },
        Report::Listed { more: false },
        Report::Meta {
            id: 1,
            xml: "<resource-agent>\n</resource-agent>\n".into(),
        },
        Report::Fenced {
            id: 1,
            result: Ok("n1\nn2".into()),
        },
        Report::Fenced {
            id: 1,
            result: Err("it does not answer".into()),
        },
    ];
    for report in table {
        assert_eq!(Report::from_message(&across(&report.to_message())), Ok(report));
    }
}

#[test]
fn what_is_no_request_is_refused_with_its_number() {
    let good = Request::Exec(order()).to_message();
    #[rustfmt::skip]
    let table = [
        // field           value           part of the reason
        ("rsc",            "",             "rsc: \"\" is no name"),
        ("rsc",            "a b",          "is no name"),
        ("rsc",            "a\nb",         "is no name"),
        ("op",             "start\u{7}",   "is no name"),
        ("class",          "upstart",      "no such class"),
        ("type",           "../x",         "is not the name of a file"),
        ("interval",       "10s",          "interval: it is no number"),
        ("timeout",        "-1",           "timeout: it is no number"),
        ("params",         "<a",           "params: "),
        ("t",              "lrm-rubbish",  "is no request"),
    ];
    for (field, value, part) in table {
        let refused = Request::from_message(&good.clone().with(field, value)).unwrap_err();
        assert!(
            refused.id == 77 && refused.why.contains(part),
            "{field}={value:?}: {refused:?}"
        );
    }
    let secret = format!(
        "{:?}",
        Request::from_message(
            &Request::Fence(Fencing {
                id: 1,
                rsc: "st".into(),
                agent: "stonith:null".parse().unwrap(),
                params: [("passwd".to_owned(), "geheim".to_owned())].into(),
                how: How::Status,
                node: None,
                timeout: Duration::ZERO,
            })
            .to_message()
        )
    );
    assert!(!secret.contains("geheim"), "{secret}");
}

proptest! {
    #[test]
    fn any_message_is_read_without_panic(
        kind in "lrm-(exec|cancel|forget|list|meta|fence|pending|result|known|listed|fenced)",
        fields in proptest::collection::vec(("(id|rsc|op|class|type|interval|rc|op_status|params|how|more)", "[ -~]{0,12}"), 0..12),
    ) {
        let mut m = Message::new(&kind);
        for (name, value) in fields {
            m.push(name, value);
        }
        let _ = (Request::from_message(&m), Report::from_message(&m));
    }
}
