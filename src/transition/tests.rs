use super::*;
use crate::cib::Cib;
use crate::policy::record::Record;
use crate::policy::{history as policy_history, plan, unpack};
use crate::time::Wall;
use std::collections::BTreeMap;

const RUN: &str = "run";

fn cib(resources: &str, nodes: &[&str]) -> Cib {
    let configured: String = nodes.iter().map(|n| format!("<node id='{n}' uname='{n}'/>")).collect();
    let there = |n: &&str| {
        format!(
            "<node_state id='{n}' uname='{n}' in_ccm='true' crmd='online' join='member' expected='member'>\
             <lrm id='{n}'><lrm_resources/></lrm></node_state>"
        )
    };
    let status: String = nodes.iter().map(there).collect();
    Cib::parse(&format!(
        "<cib have-quorum='1' epoch='1'><configuration><crm_config><cluster_property_set id='o'>\
         <nvpair id='o1' name='stonith-enabled' value='false'/></cluster_property_set></crm_config>\
         <nodes>{configured}</nodes><resources>{resources}</resources><constraints/></configuration>\
         <status>{status}</status></cib>"
    ))
    .unwrap()
}

fn dummy(id: &str) -> String {
    format!(
        "<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'><operations>\
         <op id='{id}-m' name='monitor' interval='10s' timeout='30s'/></operations></primitive>"
    )
}

/// Plays a cluster: what goes out ends as the table says, and is written into the status.
struct Play {
    cib: Cib,
    now: Instant,
    number: u64,
    call: i64,
    /// `a_start_0@n1` and its exit code; everything else goes well.
    ends: Vec<(&'static str, i32)>,
    /// What was run, in order.
    log: Vec<String>,
}

fn name(operation: &Operation) -> String {
    format!(
        "{}_{}_{}@{}",
        operation.rsc,
        operation.name,
        operation.interval.as_millis(),
        operation.node
    )
}

impl Play {
    fn new(cib: Cib) -> Self {
        Self {
            cib,
            now: Instant::from_millis(1000),
            number: 0,
            call: 0,
            ends: Vec::new(),
            log: Vec::new(),
        }
    }

    fn plan(&mut self, limit: usize) -> Option<Transition> {
        let mut input = unpack::unpack(&self.cib, Wall(100));
        let state = policy_history::read(&self.cib, &mut input);
        let plan = plan::plan(&input, &state);
        if plan.actions.is_empty() {
            return None;
        }
        self.number += 1;
        let settings = Settings {
            batch_limit: limit,
            margin: Duration::from_secs(60),
            fence_timeout: Duration::from_secs(60),
        };
        Some(Transition::new(self.number, RUN, settings, &input, &state, &plan))
    }

    /// The node writes the end of an operation; gives the lines.
    fn end(&mut self, operation: &Operation) -> Vec<Element> {
        let rc = self.ends.iter().find(|(n, _)| *n == name(operation)).map(|(_, rc)| *rc);
        self.call += 1;
        let record = Record {
            rc: rc.unwrap_or_else(|| operation.record().expected()),
            call: self.call,
            at: Wall(100),
            ..operation.record()
        };
        let node = history::Node {
            id: &operation.node,
            uname: &operation.node,
        };
        let edits = history::over(&self.cib, node, &record);
        self.cib.apply(&edits, &Default::default()).unwrap();
        let xml = edits.iter().filter_map(|e| match e {
            Edit::Modify { xml, .. } => Some(
                xml.walk()
                    .filter(|e| e.name == "lrm_rsc_op")
                    .cloned()
                    .collect::<Vec<_>>(),
            ),
            _ => None,
        });
        xml.flatten().collect()
    }

    /// Until nothing is left to do; gives why the transition was not finished.
    fn carry_out(&mut self, transition: &mut Transition) -> Option<String> {
        let mut open = transition.begin(self.now);
        let mut most = 0;
        while !open.is_empty() {
            most = most.max(open.len());
            match open.remove(0) {
                Command::Run { operation, .. } => {
                    self.log.push(name(&operation));
                    for line in self.end(&operation) {
                        let node = operation.node.clone();
                        open.extend(transition.handle(self.now, Event::Line { node, line }));
                    }
                }
                Command::Notify { id, operation } => {
                    self.log.push(name(&operation));
                    open.extend(transition.handle(self.now, Event::Answered { id, good: true }));
                }
                Command::Cancel {
                    id,
                    node,
                    rsc,
                    interval,
                } => {
                    let on = history::Node {
                        id: &node,
                        uname: &node,
                    };
                    self.log.push(format!("{rsc}_cancel_{}@{node}", interval.as_millis()));
                    let edits = history::cancelled(on, &rsc, interval);
                    self.cib.apply(&edits, &Default::default()).unwrap();
                    open.extend(transition.handle(self.now, Event::Answered { id, good: true }));
                }
                Command::Forget { id, node, rsc } => {
                    let on = history::Node {
                        id: &node,
                        uname: &node,
                    };
                    self.log.push(format!("{rsc}_forget@{node}"));
                    self.cib
                        .apply(&history::forgotten(on, &rsc), &Default::default())
                        .unwrap();
                    open.extend(transition.handle(self.now, Event::Answered { id, good: true }));
                }
                Command::Edit { id, edits } => {
                    self.cib.apply(&edits, &Default::default()).unwrap();
                    open.extend(transition.handle(self.now, Event::Answered { id, good: true }));
                }
                Command::Fence { id, node, .. } => {
                    self.log.push(format!("fence {node}"));
                    open.extend(transition.handle(self.now, Event::Answered { id, good: true }));
                }
                Command::Release { node } => self.log.push(format!("release {node}")),
                Command::Lost(operation) => panic!("{operation:?}"),
                Command::Over(why) => {
                    assert_eq!(open, vec![], "nothing comes after the end");
                    return why;
                }
            }
        }
        panic!("it never ended: {:?}", self.log);
    }

    /// Plans and carries out until there is nothing to do; gives what was run in each round.
    fn settle(&mut self) -> Vec<Vec<String>> {
        let mut rounds = Vec::new();
        while let Some(mut transition) = self.plan(0) {
            self.log.clear();
            self.carry_out(&mut transition);
            rounds.push(self.log.clone());
            assert!(rounds.len() < 20, "{rounds:?}");
        }
        rounds
    }

    fn runs(&self) -> Vec<String> {
        let mut input = unpack::unpack(&self.cib, Wall(100));
        let state = policy_history::read(&self.cib, &mut input);
        let of = |r: usize| {
            let nodes = state.running_on(r).into_iter().map(|n| input.nodes[n].uname.clone());
            format!("{} {}", input.resources[r].id, nodes.collect::<Vec<_>>().join(","))
        };
        (0..input.resources.len())
            .filter(|r| input.primitive(*r).is_some())
            .map(of)
            .collect()
    }
}

#[test]
fn probes_come_first_then_the_start_then_the_monitor() {
    let mut play = Play::new(cib(&dummy("a"), &["n1", "n2"]));
    let rounds = play.settle();
    assert_eq!(
        rounds,
        [vec![
            "a_monitor_0@n1",
            "a_monitor_0@n2",
            "a_start_0@n1",
            "a_monitor_10000@n1"
        ]]
    );
    assert_eq!(play.runs(), ["a n1"]);
}

#[test]
fn what_is_found_running_is_taken_as_it_is() {
    let mut play = Play::new(cib(&dummy("a"), &["n1", "n2"]));
    play.ends = vec![("a_monitor_0@n2", 0)];
    let rounds = play.settle();
    assert_eq!(rounds[1], ["a_monitor_10000@n2"], "{rounds:?}");
    assert_eq!(play.runs(), ["a n2"]);
}

#[test]
fn a_start_that_fails_bans_the_node_and_another_one_has_it() {
    let mut play = Play::new(cib(&dummy("a"), &["n1", "n2"]));
    play.ends = vec![("a_start_0@n1", 1)];
    let rounds = play.settle();
    assert_eq!(
        rounds[1],
        ["a_stop_0@n1", "a_start_0@n2", "a_monitor_10000@n2"],
        "{rounds:?}"
    );
    assert_eq!(play.runs(), ["a n2"]);
    let n1 = history::Node { id: "n1", uname: "n1" };
    let counts = history::attributes_of(&play.cib, n1);
    assert_eq!(counts.get("fail-count-a#start_0").map(|v| &**v), Some("INFINITY"));
    // Cleaned up, nothing of it is left.
    let edits = history::clear_counts("n1", &counts, "a");
    play.cib.apply(&edits, &Default::default()).unwrap();
    play.cib
        .apply(&history::forgotten(n1, "a"), &Default::default())
        .unwrap();
    assert_eq!(history::attributes_of(&play.cib, n1), BTreeMap::new());
    assert_eq!(play.settle(), [["a_monitor_0@n1"]]);
    assert_eq!(play.runs(), ["a n2"]);
}

#[test]
fn a_monitor_that_fails_is_counted_and_its_resource_recovered_in_place() {
    let mut play = Play::new(cib(&dummy("a"), &["n1"]));
    play.settle();
    let monitor = Operation {
        node: "n1".into(),
        rsc: "a".into(),
        class: "ocf".into(),
        provider: "pacemaker".into(),
        kind: "Dummy".into(),
        name: "monitor".into(),
        interval: Duration::from_secs(10),
        key: "9:1:0:run".into(),
        // As Pacemaker 2.1.5 wrote it for a monitor of 30 s without parameters.
        digest: "02a5bcf940fc8d3239701acb11438d6a".into(),
        ..Operation::default()
    };
    play.ends = vec![("a_monitor_10000@n1", 7)];
    play.end(&monitor);
    play.ends.clear();
    assert_eq!(play.settle(), [["a_stop_0@n1", "a_start_0@n1", "a_monitor_10000@n1"]]);
    let n1 = history::Node { id: "n1", uname: "n1" };
    let counts = || history::attributes_of(&play.cib, n1);
    assert_eq!(counts().get("fail-count-a#monitor_10000").map(|v| &**v), Some("1"));

    // The monitor that failed was another one: that says nothing of the one there is now.
    let other = play.cib.root().to_bare().replace("timeout=\"30s\"", "timeout=\"40s\"");
    play.cib = Cib::parse(&other).unwrap();
    let rounds = play.settle();
    assert_eq!(rounds[0], ["a_monitor_10000@n1"], "{rounds:?}");
    assert_eq!(history::attributes_of(&play.cib, n1), BTreeMap::new());
}

#[test]
fn no_more_at_once_than_the_batch_limit() {
    let all: String = ["a", "b", "c", "d"].map(dummy).concat();
    for (limit, at_once) in [(1, 1), (3, 3), (0, 8)] {
        let mut play = Play::new(cib(&all, &["n1", "n2"]));
        let mut transition = play.plan(limit).unwrap();
        let first = transition.begin(play.now);
        assert_eq!(first.len(), at_once, "limit {limit}");
    }
}

#[test]
fn when_something_else_changes_what_is_under_way_ends_and_nothing_new_begins() {
    let mut play = Play::new(cib(&dummy("a"), &["n1", "n2"]));
    let mut transition = play.plan(0).unwrap();
    let probes = transition.begin(play.now);
    assert_eq!(
        transition.handle(play.now, Event::Abort("the configuration".into())),
        vec![]
    );
    let mut out = Vec::new();
    for probe in &probes {
        let Command::Run { operation, .. } = probe else {
            panic!("{probe:?}")
        };
        for line in play.end(operation) {
            let node = operation.node.clone();
            out.extend(transition.handle(play.now, Event::Line { node, line }));
        }
    }
    assert_eq!(out, [Command::Over(Some("the configuration".into()))]);
    assert!(transition.is_over());
}

#[test]
fn a_lost_node_ends_what_it_was_doing() {
    let mut play = Play::new(cib(&dummy("a"), &["n1", "n2"]));
    let mut transition = play.plan(0).unwrap();
    let probes = transition.begin(play.now);
    assert_eq!(probes.len(), 2);
    assert_eq!(transition.handle(play.now, Event::NodeLost("n2".into())), vec![]);
    let out = transition.handle(play.now, Event::NodeLost("n1".into()));
    assert_eq!(out, [Command::Over(Some("node n2 was lost".into()))]);
}

#[test]
fn a_node_that_does_not_answer_is_written_down_as_late() {
    let mut play = Play::new(cib(&dummy("a"), &["n1"]));
    let mut transition = play.plan(0).unwrap();
    transition.begin(play.now);
    // The probe has the limit of its monitor, 30 s; the margin is a minute.
    let until = transition.deadline();
    assert_eq!(until - play.now, Duration::from_secs(90));
    assert_eq!(transition.handle(play.now, Event::Timer), vec![]);
    let out = transition.handle(until, Event::Timer);
    let [Command::Lost(operation), Command::Over(Some(_))] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(name(operation), "a_monitor_0@n1");
    assert_eq!(operation.lost(Wall(7)).status, 2);
}

#[test]
fn lines_of_another_term_of_the_dc_are_news() {
    let mut play = Play::new(cib(&dummy("a"), &["n1"]));
    let mut transition = play.plan(0).unwrap();
    transition.begin(play.now);
    let line = Element::new("lrm_rsc_op")
        .with("id", "a_last_0")
        .with("operation_key", "a_monitor_0")
        .with("operation", "monitor")
        .with("rc-code", 7)
        .with("op-status", 0)
        .with("transition-key", "0:1:7:another");
    let event = |line: &Element| Event::Line {
        node: "n1".into(),
        line: line.clone(),
    };
    assert_eq!(transition.handle(play.now, event(&line)), vec![]);
    // What was expected still comes.
    let out = transition.handle(play.now, event(&line.with("transition-key", "0:1:7:run")));
    assert!(
        matches!(&out[..], [Command::Over(Some(why))] if why.contains("nobody waited")),
        "{out:?}"
    );
}

#[test]
fn instances_are_told_of_each_other() {
    let ms = format!(
        "<master id='ms'><meta_attributes id='m'><nvpair id='m1' name='notify' value='true'/></meta_attributes>{}</master>",
        dummy("d")
    );
    let mut play = Play::new(cib(&ms, &["n1", "n2"]));
    let mut transition = play.plan(0).unwrap();
    let mut told = Vec::new();
    let mut open = transition.begin(play.now);
    while let Some(command) = open.pop() {
        match command {
            Command::Run { operation, .. } => {
                for line in play.end(&operation) {
                    let node = operation.node.clone();
                    open.extend(transition.handle(play.now, Event::Line { node, line }));
                }
            }
            Command::Notify { id, operation } => {
                told.push(operation.params);
                open.extend(transition.handle(play.now, Event::Answered { id, good: true }));
            }
            Command::Over(why) => assert_eq!(why, None),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told.len(), 2, "after the start, both");
    for params in told {
        let say = |n: &str| params.get(&format!("CRM_meta_{n}")).map_or("", |v| &**v);
        assert_eq!((say("notify_type"), say("notify_operation")), ("post", "start"));
        assert_eq!(say("notify_start_resource"), "d:0 d:1");
        assert_eq!(say("notify_start_uname"), "n1 n2");
        assert_eq!(say("notify_master_resource"), " ");
        assert_eq!(say("notify_all_uname"), "n1 n2");
        assert_eq!((say("clone_max"), say("master_max")), ("2", "1"));
    }
}

#[test]
fn operations_come_over_as_messages() {
    let mut play = Play::new(cib(&dummy("a"), &["n1"]));
    let mut transition = play.plan(0).unwrap();
    let out = transition.begin(play.now);
    let [Command::Run { operation, .. }] = &out[..] else {
        panic!("{out:?}")
    };
    let bytes = crate::msg::classic::encode(&operation.to_message());
    let message = crate::msg::classic::decode(&bytes).unwrap();
    assert_eq!(Operation::from_message(&message, "n1").as_ref(), Some(operation));
}
