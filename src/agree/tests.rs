//! One node, and small things; clusters are played in tests/agree.

use super::*;
use crate::cib::edit::Origin;
use crate::cib::{Cib, Edit, Element};
use crate::time::{Duration, Instant};

const NOW: Instant = Instant::from_millis(1000);

/// As far as it comes without others.
fn alone(mark: Mark) -> Agree {
    let me = "n1".parse().unwrap();
    let nodes = vec![Configured {
        name: "n1".parse().unwrap(),
        uuid: None,
    }];
    let settings = Settings {
        keepalive: Duration::from_millis(100),
        deadtime: Duration::from_secs(1),
        stop_margin: Duration::from_secs(1),
        life: 1,
    };
    let mut agree = Agree::new(&me, "u-1", nodes, settings, Cib::empty(), mark, NOW);
    let mut actions = agree.handle(NOW, Event::Timer);
    for _ in 0..10 {
        let stored = actions.iter().rev().find_map(|a| match a {
            Action::Store { token, .. } => Some(*token),
            _ => None,
        });
        let Some(token) = stored else { break };
        actions = agree.handle(NOW, Event::Stored { token });
    }
    agree
}

#[test]
fn a_mark_that_somebody_wrote_by_hand_stops_no_node() {
    let mark = Mark::parse(
        "<agreed view='18446744073709551615' commit-view='18446744073709551615' commit='18446744073709551615' \
         admin_epoch='0' epoch='0'/>",
    );
    assert!(alone(mark.expect("it has all its numbers")).is_dc());
}

#[test]
fn a_node_alone_is_its_own_dc_and_answers() {
    let now = NOW;
    let mut agree = alone(Mark::default());
    assert!(agree.is_dc() && agree.has_quorum() && agree.is_active(), "{agree:#?}");
    assert_eq!(agree.cib().root().get("have-quorum"), Some("1"));
    assert_eq!(agree.cib().root().get("dc-uuid"), Some("u-1"));
    let edits = vec![Edit::Create {
        section: "resources".into(),
        xml: Element::parse("<primitive id='a' class='lsb' type='x'/>").unwrap(),
    }];
    let submit = Event::Submit {
        id: 7,
        edits,
        origin: Origin::default(),
        written: "now".into(),
    };
    let actions = agree.handle(now, submit);
    assert!(
        !actions.iter().any(|a| matches!(a, Action::Answer { .. })),
        "it is not on the disk"
    );
    let token = actions
        .iter()
        .find_map(|a| match a {
            Action::Store { token, .. } => Some(*token),
            _ => None,
        })
        .unwrap();
    let actions = agree.handle(now, Event::Stored { token });
    let answered = actions
        .iter()
        .any(|a| matches!(a, Action::Answer { id: 7, result: Ok(c) } if c.quorum));
    assert!(answered, "{actions:#?}");
    assert_eq!(agree.cib().root().get("cib-last-written"), Some("now"));
}
