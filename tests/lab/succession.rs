//! One process of heartbeat is killed at each step of a start, a takeover, a standby and a stop: a script that is at work
//! then is found again, awaited, and asked for its result; no script runs twice, none beside another one of its group.

use crate::cluster::{Cluster, Setup, VIP};
use ha::clients::json::Json;
use ha::lab::Watcher;
use std::cell::Cell;

const MASTER: &str = "master control process";
const CORE: &str = "core process";
const HEIR: &str = "heir";
const LOOKOUT: &str = "lookout";

/// Where a script waits: before its work, or after it.
const STARTING: [&str; 4] = [
    "first start begin",
    "first start end",
    "second status begin",
    "second start end",
];
const STOPPING: [&str; 3] = ["second stop begin", "second stop end", "first stop begin"];

/// A script that notes when each call begins and ends, and waits where the file `gate` says until there is a file `go`.
fn gated(c: &Cluster, name: &str) {
    for node in c.lab.plan.cluster() {
        let text = format!(
            r#"#!/bin/sh
eval "verb=\${{$#}}"
run={run}
pass() {{
	echo "{name} $verb $1" >>{calls}
	[ "$(cat $run/gate 2>/dev/null)" = "{name} $verb $1" ] || return 0
	mv $run/gate $run/reached
	until [ -e $run/go ]; do sleep 0.05; done
	rm -f $run/go $run/reached
}}
pass begin
case $verb in
start) echo "{name} works" ; : >$run/{name}.started ;;
stop) rm -f $run/{name}.started ;;
esac
pass end
[ $verb != status ] || if [ -e $run/{name}.started ]; then echo running; else echo stopped; exit 3; fi
"#,
            run = c.lab.files(node).run().display(),
            calls = c.lab.files(node).state().join("calls").display(),
        );
        c.lab
            .script(node, &format!("ha.d/resource.d/{name}"), &text)
            .expect("a script");
    }
}

struct Matrix {
    c: Cluster,
    watcher: Watcher,
    /// Beats of hello that web found late before a process was killed.
    late: Cell<u64>,
}

/// What web says of the beats of hello: how many were late, and the longest time between two, in milliseconds. `None`
/// while it does not run.
fn beats(c: &Cluster) -> Option<(u64, u64)> {
    let hello = hello(c)?;
    Some((
        hello.get("late_beats").number(),
        hello.get("longest_interval_ms").number(),
    ))
}

/// Hello, as web sees it.
fn hello(c: &Cluster) -> Option<Json> {
    let status = c.status("web");
    let nodes = status.get("nodes").items();
    nodes.iter().find(|n| n.get("name").text() == "hello").cloned()
}

impl Matrix {
    /// Heartbeat runs on both nodes; the group is on the node that it prefers.
    fn make(test: &str, preferred: &str) -> Option<Self> {
        let c = Setup::haresources(&format!("{preferred} {VIP} first second\n")).make(test)?;
        gated(&c, "first");
        gated(&c, "second");
        for node in ["hello", "web"] {
            c.start(node);
        }
        let watcher = c.watch(VIP);
        let late = Cell::default();
        let it = Self { c, watcher, late };
        it.settled(preferred, 0);
        Some(it)
    }

    fn settled(&self, owner: &str, since: u64) {
        self.c.all_active(&["hello", "web"]);
        // The address is the first of its group: from there on the rest is on its way, or there.
        self.c.wait_owner(&self.watcher, owner, since);
        self.c.stable(&["hello", "web"]);
    }

    fn in_run(&self, node: &str, file: &str) -> bool {
        self.c.lab.files(node).run().join(file).exists()
    }

    /// The next call of this kind on hello waits.
    fn close(&self, gate: &str) {
        for node in ["hello", "web"] {
            self.c.forget_calls(node);
        }
        self.c.lab.write("hello", "run/gate", gate).expect("written");
    }

    /// Waits until a script waits, kills the process, waits for its successor, and lets the script go on.
    fn kill_at(&self, gate: &str, victim: &str) {
        let c = &self.c;
        c.wait(&format!("a script of hello waits at {gate}"), || {
            self.in_run("hello", "reached")
        });
        if let Some((late, _)) = beats(c) {
            self.late.set(late);
        }
        let old = c.processes("hello", victim);
        assert_eq!(old.len(), 1, "{victim} at {gate}: {old:?}");
        c.run("hello", &["kill", "-9", &old[0].to_string()]).good("kill -9");
        c.wait(&format!("{victim} of hello has a successor at {gate}"), || {
            let new = c.processes("hello", victim);
            new.len() == 1 && new != old && [MASTER, CORE, HEIR].iter().all(|t| c.processes("hello", t).len() == 1)
        });
        if victim == MASTER {
            c.wait_log("hello", "still runs since the master before this one");
        }
        c.lab.write("hello", "run/go", "").expect("written");
        c.wait(&format!("the script of hello goes on after {gate}"), || {
            !self.in_run("hello", "go")
        });
    }

    /// One script of the group at a time, each to its end; on the owner everything runs, elsewhere nothing.
    fn nothing_lost(&self, what: &str, owner: &str, since: u64) {
        let c = &self.c;
        self.watcher.settle();
        for node in ["hello", "web"] {
            let calls = c.calls(node);
            for pair in calls.chunks(2) {
                let [begin, end] = pair else {
                    panic!("{what}: a script of {node} has no end: {calls:#?}");
                };
                let both = (begin.strip_suffix(" begin"), end.strip_suffix(" end"));
                assert!(
                    both.0.is_some() && both.0 == both.1,
                    "{what}: {node}: {begin}, then {end}: {calls:#?}"
                );
            }
            for name in ["first", "second"] {
                let runs = self.in_run(node, &format!("{name}.started"));
                assert_eq!(runs, node == owner, "{what}: {name} on {node}: {calls:#?}");
            }
        }
        assert!(
            self.watcher.doubles(since).is_empty(),
            "{what}: {:?}",
            self.watcher.doubles(since)
        );
        let (late, longest) = beats(c).expect("web runs");
        let (late, before) = (late, self.late.replace(late));
        println!(
            "{what}: {} late beat(s), the longest interval {longest} ms",
            late.saturating_sub(before)
        );
        assert!(late <= before + 1, "{what}: {late} late beats, {before} before");
        assert!(
            !c.log("web").contains("node hello: is dead"),
            "{what}: {}",
            c.log("web")
        );
    }

    /// How often hello ran this call since the gate was closed.
    fn ran(&self, call: &str) -> usize {
        let begin = format!("{call} begin");
        self.c.calls("hello").iter().filter(|l| **l == begin).count()
    }
}

fn each(gates: &[&'static str], case: impl Fn(&'static str, &'static str)) {
    for gate in gates {
        for victim in [MASTER, CORE, HEIR] {
            case(gate, victim);
        }
    }
}

#[test]
fn whoever_is_killed_during_a_start_everything_is_started_once() {
    let Some(m) = Matrix::make("succeed-start", "hello") else {
        return;
    };
    each(&STARTING, |gate, victim| {
        let what = format!("start, {victim} at {gate}");
        m.c.stop("hello");
        m.settled_alone("web");
        let since = Watcher::now();
        m.close(gate);
        m.c.start("hello");
        m.kill_at(gate, victim);
        m.settled("hello", since);
        m.nothing_lost(&what, "hello", since);
        for call in ["first start", "second start"] {
            assert_eq!(m.ran(call), 1, "{what}: {call}: {:#?}", m.c.calls("hello"));
        }
    });
}

#[test]
fn whoever_is_killed_during_a_takeover_everything_is_started_once() {
    let Some(m) = Matrix::make("succeed-take", "web") else {
        return;
    };
    each(&STARTING[..2], |gate, victim| {
        let what = format!("takeover, {victim} at {gate}");
        m.close(gate);
        m.c.lab.power_off("web").expect("off");
        // What it began when its link went, a moment before it died itself, has no end.
        m.c.forget_calls("web");
        m.kill_at(gate, victim);
        m.c.wait(&format!("{what}: hello has everything"), || {
            m.in_run("hello", "first.started") && m.in_run("hello", "second.started")
        });
        let since = Watcher::now();
        m.c.wait_owner(&m.watcher, "hello", since);
        for call in ["first start", "second start"] {
            assert_eq!(m.ran(call), 1, "{what}: {call}: {:#?}", m.c.calls("hello"));
        }
        m.c.lab.power_on("web").expect("on");
        m.c.start("web");
        m.settled("web", since);
        m.nothing_lost(&what, "web", since);
    });
}

#[test]
fn whoever_is_killed_during_a_standby_one_node_has_everything() {
    let Some(m) = Matrix::make("succeed-standby", "hello") else {
        return;
    };
    let heartbeat_has_it = |node: &str| m.c.owners("hello", "10.77.0.100") == [node];
    each(&STOPPING[..2], |gate, victim| {
        let what = format!("standby, {victim} at {gate}");
        let since = Watcher::now();
        m.close(gate);
        let mut standby = m.c.spawn("hello", &["hb_standby"]);
        m.kill_at(gate, victim);
        m.c.all_active(&["hello", "web"]);
        m.c.stable(&["hello", "web"]);
        let owner = if heartbeat_has_it("web") { "web" } else { "hello" };
        // Nobody's death but the heir's ends the move: it has no part in it.
        assert!(victim != HEIR || owner == "web", "{what}: {owner} has it");
        m.c.wait_owner(&m.watcher, owner, since);
        m.nothing_lost(&what, owner, since);
        standby.wait().expect("it ends");
        if owner == "web" {
            m.c.run("hello", &["hb_takeover"]).good("hb_takeover");
        }
        m.settled("hello", since);
    });
}

#[test]
fn whoever_is_killed_during_a_stop_everything_is_stopped_once() {
    let Some(m) = Matrix::make("succeed-stop", "hello") else {
        return;
    };
    each(&STOPPING, |gate, victim| {
        let what = format!("stop, {victim} at {gate}");
        let since = Watcher::now();
        m.close(gate);
        let heartbeat = m.c.program("heartbeat");
        let mut stop = m.c.spawn("hello", &[&heartbeat, "-k"]);
        m.kill_at(gate, victim);
        assert!(stop.wait().expect("it ends").success(), "{what}");
        m.settled_alone("web");
        m.nothing_lost(&what, "web", since);
        assert_eq!(m.ran("first start"), 0, "{what}: {:#?}", m.c.calls("hello"));
        m.c.start("hello");
        m.settled("hello", since);
    });
}

#[test]
fn whoever_is_killed_the_peer_sees_at_most_one_late_beat() {
    let setup = Setup {
        deadtime: "15s",
        ..Setup::default()
    };
    let Some(c) = setup.make("succeed-beats") else {
        return;
    };
    // A beat that is late by more than one keepalive is counted: warntime is two of them.
    c.change_ha_cf(
        "keepalive 100ms\ndeadtime 15s\nwarntime 700ms\ninitdead 15s",
        "keepalive 1s\ndeadtime 15s\nwarntime 2s\ninitdead 15s",
    );
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    for victim in [MASTER, CORE, HEIR, LOOKOUT] {
        let (before, _) = beats(&c).expect("web runs");
        let old = c.processes("hello", victim);
        assert_eq!(old.len(), 1, "{victim}: {old:?}");
        c.run("hello", &["kill", "-9", &old[0].to_string()]).good("kill -9");
        c.wait(&format!("{victim} of hello has a successor"), || {
            let all = [MASTER, CORE, HEIR, LOOKOUT].map(|t| c.processes("hello", t));
            all.iter().all(|p| p.len() == 1) && c.processes("hello", victim) != old
        });
        // Web has heard hello go on for some beats: what was late is counted by then.
        let mut from = u64::MAX;
        c.wait(&format!("hello goes on after {victim}"), || {
            let heard = hello(&c).map_or(0, |h| h.get("packets_expected").number());
            from = from.min(heard);
            heard >= from + 3
        });
        c.stable(&["hello", "web"]);
        let (late, longest) = beats(&c).expect("web runs");
        println!(
            "{victim}: {} late beat(s), the longest interval {longest} ms",
            late - before
        );
        assert!(late <= before + 1, "{victim}: {late} late beats, {before} before");
    }
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
    assert!(!c.log("web").contains("node hello: is dead"), "{}", c.log("web"));
}

impl Matrix {
    /// Heartbeat was stopped on the other node.
    fn settled_alone(&self, owner: &str) {
        let since = Watcher::now();
        self.c.stable(&[owner]);
        self.c.wait_owner(&self.watcher, owner, since);
    }
}

#[test]
fn a_service_that_writes_to_its_start_scripts_output_outlives_two_masters() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 talker\n").make("talker") else {
        return;
    };
    for node in c.lab.plan.cluster() {
        let run = c.lab.files(node).run();
        let text = format!(
            r#"#!/bin/sh
pid={run}/talker.pid
case $1 in
start) n=0; while :; do n=$((n + 1)); echo "line $n"; echo $n >{run}/said; sleep 0.05; done & echo $! >$pid ;;
stop) kill $(cat $pid); rm -f $pid ;;
status) if [ -e $pid ] && kill -0 $(cat $pid); then echo running; else echo stopped; fi ;;
esac
"#,
            run = run.display()
        );
        c.lab.script(node, "ha.d/resource.d/talker", &text).expect("a script");
    }
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let said = || {
        let text = std::fs::read_to_string(c.lab.files("hello").run().join("said")).unwrap_or_default();
        text.trim().parse::<u64>().unwrap_or_default()
    };
    c.wait("the service runs", || said() > 0);
    let pid = || std::fs::read_to_string(c.lab.files("hello").run().join("talker.pid")).expect("its number");
    let service = pid();
    for _ in 0..2 {
        let old = c.processes("hello", MASTER);
        c.run("hello", &["kill", "-9", &old[0].to_string()]).good("kill -9");
        c.wait("the heir is master and has an heir", || {
            let new = c.processes("hello", MASTER);
            new.len() == 1 && new != old && c.processes("hello", HEIR).len() == 1
        });
        let before = said();
        c.wait("the service goes on", || said() > before + 5);
        // What it says from now on is in the log.
        let line = said() + 1;
        c.wait("its words are logged", || {
            (line..line + 200).any(|n| c.log("hello").contains(&format!("talker start: line {n}\n")))
        });
    }
    assert_eq!(pid(), service, "it was not started again");
    c.stable(&["hello", "web"]);
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
}
