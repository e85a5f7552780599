//! Orderly stops, restarts and reloads of each node.

use crate::bed::{PRIMARY, Pair, SECONDARY, Setup, both_sides};
use ha::lab::Watcher;
use std::time::Instant;

const HOME: [(&str, &str); 2] = [(PRIMARY, "web"), (SECONDARY, "mail")];
const NODES: [(&str, &str, &str); 2] = [(SECONDARY, PRIMARY, "secondary"), (PRIMARY, SECONDARY, "primary")];

fn all_on(node: &'static str) -> [(&'static str, &'static str); 2] {
    [(node, "web"), (node, "mail")]
}

#[test]
fn a_stopped_node_hands_over_at_once_and_gets_its_own_back_with_auto_failback() {
    both_sides("stop-on", &Setup::default(), |p, rows| {
        p.started();
        let watcher = p.watch();
        for (node, other, who) in NODES {
            let begun = Instant::now();
            p.stop(node);
            let took = p.settled(&all_on(other), begun);
            rows.note(format!("the {who} is stopped: the other has all"), took);
            let begun = Instant::now();
            p.start(node);
            let took = p.settled(&HOME, begun);
            rows.note(format!("the {who} starts again: its own is back"), took);
        }
        p.never_double(&watcher, 0);
    });
}

#[test]
fn a_stopped_node_gets_nothing_back_without_auto_failback() {
    both_sides("stop-off", &Setup::failback("off"), |p, rows| {
        p.started();
        let watcher = p.watch();
        for (node, other, who) in NODES {
            let begun = Instant::now();
            p.stop(node);
            let took = p.settled(&all_on(other), begun);
            rows.note(format!("auto_failback off: the {who} is stopped"), took);
            p.forget_calls();
            let begun = Instant::now();
            p.start(node);
            p.wait("it is active again", || p.status(other, node) == "active");
            let took = p.settled(&all_on(other), begun);
            rows.note(
                format!("auto_failback off: the {who} starts again, nothing moves"),
                took,
            );
            p.nothing_moved();
        }
        p.never_double(&watcher, 0);
    });
}

/// `restart` of the init script, and of an administrator who waits for nothing.
#[test]
fn each_node_is_restarted() {
    both_sides("restart", &Setup::default(), |p, rows| {
        p.started();
        for (node, _, who) in NODES {
            let begun = Instant::now();
            p.stop(node);
            p.start(node);
            p.wait("it is active", || {
                [PRIMARY, SECONDARY].iter().all(|on| p.status(on, node) == "active")
            });
            rows.note(
                format!("the {who} is stopped and started at once"),
                p.settled(&HOME, begun),
            );
        }
    });
}

fn reload(p: &Pair, node: &str) {
    p.good(node, &["heartbeat", "-r"]);
}

#[test]
fn each_node_is_reloaded_after_a_change_of_ha_cf_and_nothing_moves() {
    both_sides("reload", &Setup::default(), |p, rows| {
        p.started();
        for (node, other, who) in NODES {
            let watcher = p.watch();
            let since = Watcher::now();
            p.forget_calls();
            // The classic compares the time of the last change, in whole seconds.
            p.grown_up();
            p.change(node, "ha.cf", "deadtime 2\n", "deadtime 3\n");
            let begun = Instant::now();
            reload(p, node);
            p.wait("the new deadtime holds", || {
                p.run(node, &["cl_status", "hbparameter", "-p", "deadtime"]).out.trim() == "3"
            });
            let took = p.settled(&HOME, begun);
            p.nothing_moved();
            if node == p.theirs {
                // Its way is the restart in place.
                p.wait_log(node, "restart exec");
            }
            p.wait("the other one sees it active", || p.status(other, node) == "active");
            rows.note(format!("the {who} is reloaded, nothing moves"), took);
            watcher.settle();
            assert_eq!(watcher.timeline().owners(since), [PRIMARY]);
        }
    });
}

/// SIGKILL to the main process. Ours is back in place; the classic is started again before it is dead for the other.
#[test]
fn each_node_is_started_anew_before_it_is_missed() {
    let setup = Setup {
        deadtime: "10",
        initdead: "10",
        ..Setup::default()
    };
    both_sides("anew", &setup, |p, rows| {
        p.started();
        p.grown_up();
        p.forget_calls();
        let begun = Instant::now();
        p.good(p.ours, &["sh", "-c", "kill -9 $(cat /run/heartbeat.pid)"]);
        p.wait("another master is there", || {
            p.run(p.ours, &["heartbeat", "-s"]).code == Some(0)
        });
        rows.note(
            "the main process of ours is killed: back in place",
            p.settled(&HOME, begun),
        );
        p.nothing_moved();
        let begun = Instant::now();
        let generation = p.log(p.ours).matches("Heartbeat restart on node").count();
        p.shell(p.theirs, "kill -9 $(cat /run/heartbeat.pid)");
        p.wait("its processes are gone", || {
            p.run(p.theirs, &["pidof", "heartbeat"]).code != Some(0)
        });
        p.start(p.theirs);
        p.wait("ours notices the restart", || {
            p.log(p.ours).matches("Heartbeat restart on node").count() > generation
        });
        let took = p.settled(&HOME, begun);
        rows.note("the main process of the classic is killed: started again", took);
        assert!(!p.log(p.ours).contains("is dead"), "{}", p.log(p.ours));
    });
}
