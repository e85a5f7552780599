//! What is done towards a node of heartbeat 3.0.6, `b`, by the words it says. This node is `a`; `web` prefers it, `mail`
//! prefers `b`.

use super::job::{Exit, Outcome, Verb};
use super::*;
use crate::conf::{ha_cf, haresources};
use crate::core::{NodeStatus, Up};
use crate::ids::{Generation, NodeName, Seq};
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant, Now, Wall};
use std::path::Path;
use std::sync::Arc;

struct Bed {
    groups: Groups,
    now: Now,
    seq: u64,
    /// Its start scripts fail.
    fails: Option<&'static str>,
    stopped: bool,
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a name")
}

impl Bed {
    /// Both have just become active, `b` before us, and it is a classic.
    fn new(auto_failback: &str) -> Self {
        let me = name("a");
        let text = format!(
            "keepalive 500ms\ndeadtime 2\ninitdead 10\nauto_failback {auto_failback}\nlogfacility none\nnode a b\nbcast eth0\n"
        );
        let cf = ha_cf::parse(Path::new("ha.cf"), &text, &me).value.expect("a good file");
        let names = [name("a"), name("b")];
        let lines = haresources::parse(Path::new("haresources"), "a web\nb mail\n", &names);
        let now = Now {
            mono: Instant::from_millis(1_000_000),
            wall: Wall(1_700_000_000),
        };
        let mut bed = Self {
            groups: Groups::new(now, me, &cf, lines.value.expect("a good file"), None),
            now,
            seq: 0,
            fails: None,
            stopped: false,
        };
        for status in [NodeStatus::Up, NodeStatus::Active] {
            for node in names.iter().rev().cloned() {
                bed.up(&Up::Status { node, status });
            }
        }
        bed
    }

    fn up(&mut self, up: &Up) -> Vec<String> {
        self.groups.up(self.now, up);
        self.step()
    }

    /// Settles until nothing is ordered any more; scripts end at once. What `b` hears, and what is run.
    fn step(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        let mut idle = 0;
        for _ in 0..100 {
            self.groups.settle(self.now, &|_| true);
            let orders = self.groups.take_orders();
            // The beats of the nodes see to the second look.
            idle = if orders.is_empty() { idle + 1 } else { 0 };
            if idle == 2 {
                return seen;
            }
            for order in orders {
                match order {
                    Order::Send(message) => seen.extend(said(&message)),
                    Order::Run { job, command } => {
                        let script = format!("{} {}", command.resource.name, command.verb.as_str());
                        let failed = command.verb == Verb::Start && self.fails == Some(command.resource.name.as_str());
                        if command.verb != Verb::Status {
                            seen.push(script);
                        }
                        let outcome = Outcome {
                            exit: Exit::Code(i32::from(failed)),
                            output: "stopped".into(),
                            took: Duration::ZERO,
                        };
                        self.groups.job_ended(self.now, job, &outcome);
                    }
                    Order::Stopped => self.stopped = true,
                    Order::Tell(_)
                    | Order::Fence { .. }
                    | Order::Remember { .. }
                    | Order::Renew { .. }
                    | Order::SendAside(_)
                    | Order::Lookout(_)
                    | Order::Drop { .. } => {}
                }
            }
        }
        panic!("it orders things without end: {seen:?}");
    }

    /// Lets time pass; the timer is looked at when it is due.
    fn wait(&mut self, time: Duration) -> Vec<String> {
        let end = self.now.mono + time;
        let mut seen = Vec::new();
        loop {
            let due = self.groups.deadline().max(self.now.mono + Duration::from_millis(1));
            self.now.mono = due.min(end);
            seen.extend(self.step());
            if due >= end {
                return seen;
            }
        }
    }

    /// `b` says something, as a classic does: without claims.
    fn hear(&mut self, message: Message) -> Vec<String> {
        self.seq += 1;
        self.up(&Up::Message {
            from: name("b"),
            generation: Generation(1),
            seq: Seq(self.seq),
            message: Arc::new(message),
        })
    }

    /// `t=resource`: what it holds as it sees it, and whether it is calm.
    fn holds(&mut self, set: &str, stable: bool, info: &str) -> Vec<String> {
        let mut message = Message::new("resource")
            .with(fields::RSC_HOLD, set)
            .with(fields::RTYPE, "full")
            .with(fields::ISSTABLE, if stable { "1" } else { "0" });
        if !info.is_empty() {
            message.set(fields::INFO, info);
        }
        self.hear(message)
    }

    fn ask(&mut self, set: &str, info: &str) -> Vec<String> {
        self.hear(
            Message::new("ask_resources")
                .with(fields::RSC_HOLD, set)
                .with(fields::INFO, info),
        )
    }

    /// A command typed here.
    fn command(&mut self, kind: &str, set: &str) -> Vec<String> {
        let message = Message::new(kind).with(fields::RSC_HOLD, set).with(fields::INFO, "me");
        assert!(self.groups.local(self.now, message).is_none());
        self.step()
    }

    fn dies(&mut self) -> Vec<String> {
        let (node, status) = (name("b"), NodeStatus::Dead);
        self.up(&Up::Status { node, status })
    }

    /// The groups that run here.
    fn here(&self) -> Vec<String> {
        let views = self.groups.view(self.now);
        let running = views.iter().filter(|v| v.here == "running");
        running.map(|v| v.key.to_string()).collect()
    }

    /// Both serve what prefers them, calmly.
    fn home(auto_failback: &str) -> Self {
        let mut bed = Self::new(auto_failback);
        bed.hear(Message::new("starting"));
        bed.holds("local", true, "");
        assert_eq!(bed.here(), ["web"]);
        bed.wait(Duration::from_secs(10));
        bed
    }

    /// This node has everything, `b` nothing, calmly.
    fn all_here(auto_failback: &str) -> Self {
        let mut bed = Self::home(auto_failback);
        bed.hear(Message::new("shutdone").with("st", "dead"));
        bed.dies();
        assert_eq!(bed.here(), ["web", "mail"]);
        bed
    }
}

/// A message in few words; the repetitions of what we hold are left out.
fn said(message: &Message) -> Option<String> {
    let word = |field| message.get(field).unwrap_or("-").to_owned();
    match message.kind() {
        "ask_resources" | "hb_takeover" => Some(format!(
            "> {} {} {}",
            message.kind(),
            word(fields::RSC_HOLD),
            word(fields::INFO)
        )),
        "resource" | "hb_claims" => None,
        kind => Some(format!("> {kind}")),
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn nothing_is_started_before_a_classic_has_said_what_it_holds() {
    let mut bed = Bed::new("off");
    assert_eq!(bed.here(), NOTHING, "b is active and silent");
    bed.holds("all", true, "");
    assert_eq!(bed.here(), NOTHING, "it has everything");
    bed.wait(Duration::from_secs(60));
    assert_eq!(bed.here(), NOTHING);
}

#[test]
fn a_silent_classic_is_waited_for_only_so_long() {
    let mut bed = Bed::new("off");
    bed.wait(Duration::from_millis(3_900));
    assert_eq!(bed.here(), NOTHING);
    bed.wait(Duration::from_millis(200));
    assert_eq!(bed.here(), ["web"], "its own is its own business");
}

/// Its sets are as it sees them: what it calls foreign prefers us.
#[test]
fn the_sets_of_a_classic_are_read_from_its_side() {
    #[rustfmt::skip]
    let table = [
        // b holds    we start
        ("none",    &["web"][..]),
        ("local",   &["web"]),
        ("foreign", &[]),
        ("all",     &[]),
    ];
    for (set, wanted) in table {
        let mut bed = Bed::new("off");
        bed.holds(set, true, "");
        assert_eq!(bed.here(), wanted, "b holds {set}");
    }
}

#[test]
fn an_orphan_that_a_calm_classic_never_takes_is_ours_after_three_seconds() {
    let mut bed = Bed::home("off");
    bed.holds("none", true, "");
    bed.wait(Duration::from_millis(2_900));
    assert_eq!(bed.here(), ["web"], "it may be about to take it");
    bed.wait(Duration::from_millis(200));
    assert_eq!(bed.here(), ["web", "mail"]);
}

#[test]
fn a_classic_that_is_not_calm_is_not_hurried() {
    let mut bed = Bed::home("off");
    bed.holds("none", false, "");
    bed.wait(Duration::from_secs(30));
    assert_eq!(bed.here(), ["web"], "it is at work");
}

/// `resource` comes when its work begins: what it gives up it still has until it is calm or says that it is done.
#[test]
fn what_a_classic_gives_up_is_its_own_until_it_is_done() {
    let mut bed = Bed::home("off");
    assert_eq!(bed.ask("local", "me"), ["> ask_resources local other"]);
    bed.holds("none", false, "standby");
    assert_eq!(bed.here(), ["web"], "its stop scripts are at work");
    assert_eq!(bed.ask("local", "done"), ["mail start", "> ask_resources local done"]);
    assert_eq!(bed.here(), ["web", "mail"]);
}

#[test]
fn a_question_is_put_to_a_classic_once_and_given_up_after_ten_seconds() {
    let mut bed = Bed::home("off");
    assert_eq!(bed.command("ask_resources", "all"), ["> ask_resources local me"]);
    let seen = bed.wait(Duration::from_secs(9));
    assert_eq!(seen, NOTHING, "asked again it complains");
    bed.wait(Duration::from_secs(2));
    assert_eq!(bed.here(), ["web"]);
    assert!(bed.groups.is_stable(), "the move is forgotten");
}

#[test]
fn a_standby_to_a_classic_goes_in_four_messages() {
    let mut bed = Bed::home("off");
    assert_eq!(bed.command("ask_resources", "local"), ["> ask_resources local me"]);
    assert_eq!(bed.ask("local", "other"), ["web stop", "> ask_resources local done"]);
    bed.holds("all", true, "");
    bed.ask("local", "done");
    assert!(bed.groups.is_stable());
    bed.wait(Duration::from_secs(60));
    assert_eq!(bed.here(), NOTHING);
}

/// A classic ignores a question while it is at work, so it is put when that is over.
#[test]
fn a_command_waits_until_a_classic_is_calm() {
    let mut bed = Bed::home("off");
    bed.holds("local", false, "");
    assert_eq!(bed.command("ask_resources", "all"), NOTHING);
    assert_eq!(bed.wait(Duration::from_secs(19)), NOTHING);
    assert_eq!(bed.holds("local", true, ""), ["> ask_resources local me"]);
    let mut bed = Bed::home("off");
    bed.holds("local", false, "");
    bed.command("ask_resources", "all");
    assert_eq!(
        bed.wait(Duration::from_millis(20_100)),
        ["> ask_resources local me"],
        "20 s are enough"
    );
}

#[test]
fn a_takeover_typed_at_a_classic_is_answered_with_the_standby_of_what_it_wants() {
    let mut bed = Bed::home("off");
    let wanted = Message::new("hb_takeover").with(fields::RSC_HOLD, "foreign");
    assert_eq!(bed.hear(wanted), ["> ask_resources local me"]);
    let mut bed = Bed::home("off");
    let wanted = Message::new("hb_takeover").with(fields::RSC_HOLD, "local");
    assert_eq!(bed.hear(wanted), NOTHING, "it has them");
}

#[test]
fn a_classic_that_starts_gets_its_own_back_when_it_is_calm() {
    for (mode, wanted) in [("on", &["> ask_resources foreign me"][..]), ("off", &[])] {
        let mut bed = Bed::all_here(mode);
        for status in [NodeStatus::Up, NodeStatus::Active] {
            bed.up(&Up::Status {
                node: name("b"),
                status,
            });
        }
        assert_eq!(bed.hear(Message::new("starting")), NOTHING, "{mode}");
        assert_eq!(bed.holds("none", false, ""), NOTHING, "{mode}: it would refuse");
        assert_eq!(bed.holds("none", true, ""), wanted, "{mode}");
        assert_eq!(
            bed.here(),
            ["web", "mail"],
            "{mode}: nothing is stopped before it is ready"
        );
    }
}

/// It forgets to when we start while it is still taking over.
#[test]
fn a_calm_classic_that_keeps_what_prefers_us_is_asked_once_after_five_seconds() {
    let mut bed = Bed::new("on");
    bed.holds("all", true, "");
    assert_eq!(
        bed.wait(Duration::from_millis(4_900)),
        NOTHING,
        "it may give it by itself"
    );
    assert_eq!(bed.wait(Duration::from_millis(200)), ["> hb_takeover local -"]);
    assert_eq!(bed.wait(Duration::from_secs(29)), NOTHING);
    let mut bed = Bed::new("off");
    bed.holds("all", true, "");
    assert_eq!(
        bed.wait(Duration::from_secs(30)),
        NOTHING,
        "with auto_failback off it keeps it"
    );
}

#[test]
fn what_cannot_start_here_is_given_to_a_classic_with_its_set() {
    let mut bed = Bed::new("off");
    bed.fails = Some("web");
    let mut seen = bed.holds("local", true, "");
    seen.extend(bed.wait(Duration::from_secs(1)));
    assert_eq!(seen, ["web start", "web stop", "> ask_resources local me"]);
    assert_eq!(
        bed.ask("local", "other"),
        ["> ask_resources local done"],
        "nothing of it runs"
    );
}

/// After a partition both have all. The classic gives everything up and starts anew; whoever stops too leaves nobody.
#[test]
fn after_a_partition_a_classic_gives_up_and_we_keep() {
    let mut bed = Bed::home("on");
    bed.dies();
    assert_eq!(bed.here(), ["web", "mail"]);
    bed.up(&Up::Returned { node: name("b") });
    bed.up(&Up::Status {
        node: name("b"),
        status: NodeStatus::Active,
    });
    assert_eq!(bed.holds("all", true, ""), NOTHING);
    assert_eq!(bed.here(), ["web", "mail"], "it is the one that lets go");
    bed.holds("none", false, "shutdown");
    bed.hear(Message::new("shutdone").with("st", "dead"));
    bed.wait(Duration::from_secs(60));
    assert_eq!(bed.here(), ["web", "mail"]);
}

/// Without a partition it does not let go, so we do.
#[test]
fn a_classic_that_takes_what_we_have_keeps_it() {
    let mut bed = Bed::home("off");
    assert_eq!(bed.holds("all", true, ""), ["web stop"]);
    assert_eq!(bed.here(), NOTHING);
}

#[test]
fn a_late_message_of_a_classic_changes_nothing() {
    let mut bed = Bed::home("off");
    let late = Message::new("resource")
        .with(fields::RSC_HOLD, "none")
        .with(fields::RTYPE, "full")
        .with(fields::ISSTABLE, "1");
    bed.up(&Up::Message {
        from: name("b"),
        generation: Generation(1),
        seq: Seq(1),
        message: Arc::new(late),
    });
    bed.wait(Duration::from_secs(60));
    assert_eq!(bed.here(), ["web"], "lost and sent again: it tells what was");
}

/// It never gives back what it takes from a node that starts again meanwhile.
#[test]
fn a_stop_waits_for_a_classic_until_it_has_taken_over_or_six_seconds() {
    for (took_over, longest) in [(true, 1_600), (false, 6_600)] {
        let mut bed = Bed::home("on");
        bed.groups.stop(bed.now);
        assert_eq!(bed.step(), ["web stop", "> shutdone"]);
        bed.wait(Duration::from_millis(900));
        assert!(!bed.stopped, "a second in any case");
        if took_over {
            bed.holds("all", true, "mach_down");
        }
        bed.wait(Duration::from_millis(longest - 900));
        assert!(bed.stopped, "took over: {took_over}");
        if !took_over {
            let mut bed = Bed::home("on");
            bed.groups.stop(bed.now);
            bed.step();
            bed.wait(Duration::from_millis(5_500));
            assert!(!bed.stopped);
        }
    }
}

#[test]
fn in_legacy_mode_groups_are_asked_for_by_name_and_given_by_name() {
    let answer = |own| {
        Message::new("ip-request-resp")
            .with(fields::IPADDR, "web")
            .with(fields::OK, "OK")
            .with(fields::WEOWN, own)
    };
    // Whether it had it or not: it has it no more.
    for own in ["no", "yes"] {
        let mut bed = Bed::new("legacy");
        assert_eq!(bed.wait(Duration::from_millis(4_900)), NOTHING, "it has not answered");
        assert_eq!(bed.hear(answer(own)), ["web start"], "{own}");
        let asked = Message::new("ip-request").with(fields::IPADDR, "web");
        assert_eq!(bed.hear(asked), ["web stop", "> ip-request-resp"]);
    }
    let mut bed = Bed::new("legacy");
    assert_eq!(
        bed.wait(Duration::from_millis(5_100)),
        ["web start"],
        "it does not answer"
    );
}

/// It did not hear that we were gone, so it takes part in no partition and gives nothing up.
#[test]
fn a_classic_that_heard_us_all_the_time_keeps_what_it_has_six_seconds_after_it_returns() {
    let mut bed = Bed::home("off");
    bed.dies();
    assert_eq!(bed.here(), ["web", "mail"]);
    bed.up(&Up::Returned { node: name("b") });
    bed.up(&Up::Status {
        node: name("b"),
        status: NodeStatus::Active,
    });
    assert_eq!(bed.holds("local", true, ""), NOTHING, "it may be about to let go");
    bed.wait(Duration::from_millis(5_900));
    assert_eq!(bed.here(), ["web", "mail"]);
    bed.wait(Duration::from_millis(200));
    assert_eq!(bed.here(), ["web"]);
    // In legacy mode it says nothing: it is active, so it has its own, and ours too if it has been alone.
    let mut bed = Bed::new("legacy");
    bed.dies();
    bed.wait(Duration::from_secs(6));
    assert_eq!(bed.here(), ["web", "mail"]);
    let (node, status) = (name("b"), NodeStatus::Active);
    assert_eq!(bed.up(&Up::Status { node, status }), ["> ip-request", "mail stop"]);
}

/// Both started alone: each has said what it holds when the other did not hear it.
#[test]
fn a_classic_that_does_not_say_what_it_holds_hears_that_we_are_unstable_and_stable_again() {
    let mut bed = Bed::all_here("off");
    bed.up(&Up::Restarted { node: name("b") });
    bed.now.mono += Duration::from_millis(1);
    let status = NodeStatus::Active;
    bed.up(&Up::Status {
        node: name("b"),
        status,
    });
    let mut told = Vec::new();
    for _ in 0..90 {
        bed.now.mono += Duration::from_millis(100);
        bed.groups.settle(bed.now, &|_| true);
        for order in bed.groups.take_orders() {
            if let Order::Send(message) = order {
                told.push(message.get(fields::ISSTABLE).unwrap_or("-").to_owned());
            }
        }
    }
    let asked: Vec<usize> = (0..told.len()).filter(|i| told[*i] == "0").collect();
    assert_eq!(asked.len(), 2, "every four seconds: {told:?}");
    assert!(asked.iter().all(|i| told[i + 1] == "1"), "and at once: {told:?}");
    bed.holds("all", true, "");
    assert_eq!(bed.here(), NOTHING, "it does not let go");
}

#[test]
fn a_classic_that_got_no_answer_to_its_standby_is_not_waited_for() {
    let mut bed = Bed::home("off");
    assert_eq!(bed.ask("local", "me"), ["> ask_resources local other"]);
    bed.holds("local", false, "");
    bed.wait(Duration::from_millis(14_900));
    assert!(!bed.groups.is_stable());
    bed.wait(Duration::from_millis(200));
    assert!(
        bed.groups.is_stable(),
        "it does not release anything, so it has given up"
    );
    bed.ask("local", "me");
    bed.holds("none", false, "standby");
    bed.wait(Duration::from_secs(600));
    assert!(!bed.groups.is_stable(), "its scripts are at work");
}
