//! hb_standby and hb_takeover: exit 0 only when it is done, else the reason.

use crate::cluster::{Cluster, Setup, VIP};
use ha::lab::Watcher;

const TWO_GROUPS: &str = "hello 10.77.0.100 first\nweb 10.77.0.101 second\n";

fn two_groups(test: &str) -> Option<Cluster> {
    let c = Setup::haresources(TWO_GROUPS).make(test)?;
    c.recorder("first");
    c.recorder("second");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    Some(c)
}

/// Who has the two groups now, when the command has ended: without waiting.
fn owners(c: &Cluster) -> [Vec<String>; 2] {
    ["10.77.0.100", "10.77.0.101"].map(|key| c.owners("hello", key))
}

fn both(first: &str, second: &str) -> [Vec<String>; 2] {
    [vec![first.to_owned()], vec![second.to_owned()]]
}

#[test]
fn standby_and_takeover_move_what_they_are_told_to() {
    let Some(c) = two_groups("by-hand") else { return };
    let watcher = c.watch(VIP);
    assert_eq!(owners(&c), both("hello", "web"));
    #[rustfmt::skip]
    let table: [(&str, &[&str], [&str; 2]); 9] = [
        // node    command                        owner of first and second afterwards
        ("hello",  &["hb_standby"],               ["web", "web"]),
        ("hello",  &["hb_takeover", "local"],     ["hello", "web"]),
        ("hello",  &["hb_takeover"],              ["hello", "hello"]),
        ("hello",  &["hb_standby", "foreign"],    ["hello", "web"]),
        ("hello",  &["hb_standby", "local"],      ["web", "web"]),
        ("web",    &["hb_standby", "failback"],   ["hello", "web"]),
        ("web",    &["hb_takeover", "foreign"],   ["web", "web"]),
        ("hello",  &["hb_takeover", "failback"],  ["hello", "web"]),
        ("hello",  &["hb_takeover", "local"],     ["hello", "web"]),
    ];
    for (node, command, after) in table {
        let said = c.run(node, command);
        assert_eq!(said.code, Some(0), "{node} {command:?}: {said:?}\n{}", c.log(node));
        // Done means done: the services run, whoever is asked.
        for on in ["hello", "web"] {
            c.wait(&format!("{on} knows the owners after {node} {command:?}"), || {
                ["10.77.0.100", "10.77.0.101"].map(|key| c.owners(on, key)) == both(after[0], after[1])
            });
        }
        for (group, owner) in ["first", "second"].iter().zip(after) {
            for on in ["hello", "web"] {
                let last = c.calls(on).into_iter().rfind(|call| call.starts_with(group));
                let runs = last.is_some_and(|l| l.ends_with("start"));
                assert_eq!(runs, on == owner, "{group} on {on} after {node} {command:?}");
            }
        }
    }
    watcher.settle();
    assert!(watcher.doubles(0).is_empty(), "{:?}", watcher.doubles(0));
}

#[test]
fn the_phases_of_a_move_are_shown() {
    let Some(c) = two_groups("phases") else { return };
    let said = c.run("hello", &["hb_standby"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("Going standby [all]."), "{said:?}");
    let shown = format!("{}{}", said.out, said.err);
    for phase in ["asked", "releasing", "done"] {
        assert!(shown.contains(phase), "{phase}: {shown}");
    }
    c.wait_log("hello", "hello wants to go standby [all]");
    c.wait_log("hello", "Standby resource transfer completed");
}

#[test]
fn moves_are_refused_with_the_reason_while_the_peer_is_dead() {
    let Some(c) = two_groups("refused") else { return };
    c.lab.power_off("web").expect("off");
    c.wait("hello has both groups", || owners(&c) == both("hello", "hello"));
    c.stable(&["hello"]);
    let said = c.run("hello", &["hb_standby"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("no other node is active"), "{said:?}");
    assert_eq!(owners(&c), both("hello", "hello"));
    // To take what one has already is done at once.
    let said = c.run("hello", &["hb_takeover"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    c.wait_log("hello", "hello wants to take over [all]");
    c.stop("hello");
    for command in ["hb_standby", "hb_takeover"] {
        let said = c.run("hello", &[command]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains("not running"), "{said:?}");
    }
}

#[test]
fn a_move_asked_for_during_another_one_waits_its_turn() {
    let setup = Setup::haresources("hello 10.77.0.100 slow\n");
    let Some(c) = setup.make("queued") else { return };
    // Its stop ends when the test says so.
    let gate = c.lab.files("hello").state().join("gate").display().to_string();
    c.recorder_in(
        "ha.d/resource.d",
        "slow",
        &format!("if [ $verb = stop ]; then echo stopping >>$calls; until [ -e {gate} ]; do sleep 0.05; done; fi"),
    );
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let mut standby = c.spawn("hello", &["hb_standby"]);
    c.wait("the stop has begun", || {
        c.calls("hello").contains(&"stopping".to_owned())
    });
    let text = c.lab.files("hello").state().join("second").display().to_string();
    let second = format!("hb_takeover >{text} 2>&1");
    let mut back = c.spawn("hello", &["sh", "-c", &second]);
    c.wait("the second command has been taken", || {
        std::fs::read_to_string(&text).is_ok_and(|t| !t.is_empty())
    });
    std::fs::write(&gate, "").expect("written");
    assert!(standby.wait().expect("it ends").success());
    assert!(
        back.wait().expect("it ends").success(),
        "{:?}",
        std::fs::read_to_string(&text)
    );
    c.wait("the group is back", || c.owners("hello", "10.77.0.100") == ["hello"]);
    assert_eq!(c.calls("web"), ["slow start", "stopping", "slow stop"]);
}

#[test]
fn a_move_whose_taker_dies_fails_and_the_group_stays_alive() {
    let setup = Setup::haresources("hello 10.77.0.100 slow\n");
    let Some(c) = setup.make("taker-dies") else { return };
    c.recorder_in(
        "ha.d/resource.d",
        "slow",
        "if [ \"$HA_CURHOST $verb\" = 'web start' ]; then echo starting >>$calls; sleep 1000; fi",
    );
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let watcher = c.watch(VIP);
    let mut standby = c.spawn("hello", &["hb_standby"]);
    c.wait("web starts it", || c.calls("web") == ["starting"]);
    let since = Watcher::now();
    c.lab.power_off("web").expect("off");
    assert_eq!(standby.wait().expect("it ends").code(), Some(1));
    c.wait_owner(&watcher, "hello", since);
    c.wait("hello runs it again", || {
        c.calls("hello") == ["slow start", "slow stop", "slow start"]
    });
}

#[test]
fn a_standby_whose_taker_cannot_start_it_says_so_and_the_group_comes_back() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 sick\n").make("standby-fails") else {
        return;
    };
    c.recorder_in(
        "ha.d/resource.d",
        "sick",
        "if [ \"$HA_CURHOST $verb\" = 'web start' ]; then exit 1; fi",
    );
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let said = c.run("hello", &["hb_standby"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("could not start"), "{said:?}");
    c.wait("hello has it again", || {
        c.owners("hello", "10.77.0.100") == ["hello"] && c.owners("web", "10.77.0.100") == ["hello"]
    });
}
