//! What connected programs hear.

use super::*;
use crate::clients::request;
use crate::conf::{authkeys, ha_cf};
use crate::time::{Duration, Wall};
use std::path::Path;

const CF: &str =
    "keepalive 100ms\ndeadtime 500ms\nauto_failback on\nlogfacility none\nnode a b\nping 10.0.0.9\nbcast eth0\n";
const TARGET: MediumId = MediumId(0);

fn at(ms: u64) -> Now {
    Now {
        mono: Instant::from_millis(ms),
        wall: Wall(1_000_000 + ms / 1000),
    }
}

fn events(actions: Vec<Action>) -> Vec<String> {
    let shown = |a: Action| match a {
        Action::Reply { message, .. } => {
            let fields = message.fields().iter();
            // The moment is not the point.
            let words = fields
                .filter(|f| f.name != "ts")
                .map(|f| format!("{}={}", f.name, message.get(&f.name).unwrap_or("")));
            Some(words.collect::<Vec<_>>().join(" "))
        }
        _ => None,
    };
    actions
        .into_iter()
        .filter_map(shown)
        .filter(|t| t.contains("10.0.0.9"))
        .collect()
}

#[test]
fn a_program_hears_when_a_ping_node_dies_and_when_it_is_back() {
    let me: NodeName = "a".parse().unwrap();
    let settings = Settings {
        cf: ha_cf::parse(Path::new("ha.cf"), CF, &me).value.expect("a good file"),
        me,
        uuid: [1; 16],
        generation: Generation(1),
        haresources: Haresources::default(),
        keys: authkeys::parse(Path::new("authkeys"), "auth 1\n1 crc\n")
            .value
            .expect("a good file"),
        seed: 1,
        resumed: None,
        remembered: Default::default(),
    };
    let (mut daemon, actions) = Daemon::new(at(0), settings);
    let question = actions.iter().rev().find_map(|a| match a {
        Action::Send { medium: TARGET, bytes } => Some(bytes.to_vec()),
        _ => None,
    });
    let question = question.expect("it is asked");
    let who = Identity { uid: 0, gid: 0 };
    for (reqtype, mask) in [("signon", None), ("setfilter", Some("1"))] {
        let mut message = request::of(reqtype).with("from_id", "70");
        if let Some(mask) = mask {
            message.set("fmask", mask);
        }
        let client = ClientId(1);
        let _ = daemon.handle(at(0), Event::Request { client, who, message });
    }
    let answer = |bytes: &[u8]| Event::Received {
        medium: TARGET,
        bytes: bytes.to_vec(),
    };
    let back = [
        "ifstat node=10.0.0.9 ifname=10.0.0.9 st=up",
        "NS_st st=ping info=ping src=10.0.0.9",
    ];
    assert_eq!(
        events(daemon.handle(at(1), answer(&question))),
        back.map(|t| format!("t={t}"))
    );
    assert_eq!(events(daemon.handle(at(2), answer(&question))), [""; 0], "no news");
    let mut heard = Vec::new();
    for ms in (100..700).step_by(100) {
        heard.extend(events(daemon.handle(at(ms), Event::Timer)));
    }
    let dead = [
        "ifstat node=10.0.0.9 ifname=10.0.0.9 st=dead",
        "status seq=1 src=10.0.0.9 st=dead info=ping",
    ];
    assert_eq!(heard, dead.map(|t| format!("t={t}")));
    assert_eq!(daemon.view(at(700)).nodes[2].since, Duration::from_millis(100));
    assert_eq!(
        events(daemon.handle(at(701), answer(&question))),
        back.map(|t| format!("t={t}"))
    );
}
