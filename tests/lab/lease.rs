//! The kernel keeps service addresses only as long as heartbeat beats: it drops them when all processes are killed or
//! frozen, and they stay when one process dies.

use crate::cluster::{Cluster, Setup, VIP};
use ha::lab::Watcher;
use std::thread::sleep;
use std::time::Duration;

const NODES: [&str; 2] = ["hello", "web"];

/// A deadtime that leaves room for a lease of `deadtime` less one second.
fn setup(deadtime: &'static str, more: &str) -> Setup {
    Setup {
        deadtime,
        more: more.into(),
        ..Setup::default()
    }
}

/// The whole seconds the kernel keeps the address for, when nobody renews it; `None` when it is there for ever.
#[track_caller]
fn left(c: &Cluster, node: &str) -> Option<u32> {
    let text = c.run(node, &["ip", "-4", "addr", "show"]).good("ip addr");
    let after = text
        .split("10.77.0.100/")
        .nth(1)
        .unwrap_or_else(|| panic!("{node}: {text}{}", c.log(node)));
    let valid = after
        .split("valid_lft ")
        .nth(1)
        .and_then(|t| t.split_whitespace().next());
    valid?.strip_suffix("sec")?.parse().ok()
}

fn has_address(c: &Cluster, node: &str) -> bool {
    let text = c.run(node, &["ip", "-4", "addr", "show"]).good("ip addr");
    text.contains("10.77.0.100/")
}

fn label(c: &Cluster, node: &str) -> String {
    let text = c.run(node, &["ip", "-4", "addr", "show"]).good("ip addr");
    let line = text.lines().find(|l| l.contains("10.77.0.100/")).unwrap_or_default();
    line.trim().to_owned()
}

fn lease_shown(c: &Cluster, node: &str) -> u64 {
    c.status(node)
        .get("groups")
        .items()
        .first()
        .map_or(0, |g| g.get("lease_s").number())
}

#[test]
fn the_kernel_drops_the_address_of_a_node_whose_processes_are_all_killed() {
    let Some(c) = setup("5", "").started("lease-kill") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    c.wait("the lease is shown", || lease_shown(&c, "hello") == 4);
    assert!(left(&c, "hello").is_some_and(|s| s <= 4));
    let since = Watcher::now();
    c.lab.kill("hello").expect("killed");
    c.wait_owner(&watcher, "web", since);
    // The other one has it, and here it is gone: the watcher would have seen both.
    c.wait("the address is gone", || !has_address(&c, "hello"));
    watcher.settle();
    let both = watcher.timeline().double_time(since);
    println!("killed: both answered for {} ms", both / 1000);
    assert!(both <= 1_000_000, "{:?}", watcher.doubles(since));
}

/// The longest time in which two nodes answered, and the longest in which none did, in milliseconds, since a moment.
fn figures(watcher: &Watcher, since: u64) -> (u64, u64) {
    let double = watcher.doubles(since).iter().map(|s| s.to - s.from).max();
    let gap = watcher.longest_gap(since).map(|g| g.to - g.from);
    (double.unwrap_or(0) / 1000, gap.unwrap_or(0) / 1000)
}

#[test]
fn s2_10_all_stopped_for_three_deadtimes_the_woken_node_never_answers_beside_the_true_owner() {
    for (mode, owner) in [("on", "hello"), ("off", "web")] {
        let with = Setup {
            auto_failback: mode,
            ..setup("5", "")
        };
        let Some(c) = with.started(&format!("lease-stop-{mode}")) else {
            return;
        };
        let watcher = c.watch(VIP);
        c.wait_owner(&watcher, "hello", 0);
        let stopped = Watcher::now();
        c.lab.freeze("hello").expect("stopped");
        c.wait_owner(&watcher, "web", stopped);
        let (both, _) = figures(&watcher, stopped);
        // Three times deadtime, all of it: what waits in the sockets is then as old as that.
        let left = Duration::from_secs(15).saturating_sub(Duration::from_micros(Watcher::now() - stopped));
        sleep(left);
        let woken = Watcher::now();
        c.lab.thaw("hello").expect("goes on");
        c.wait_log("hello", "woke up after");
        c.wait_log("hello", "awake; serving what no other node has");
        c.all_active(&NODES);
        c.stable(&NODES);
        c.wait_owner(&watcher, owner, woken);
        watcher.settle();
        let (double, gap) = figures(&watcher, woken);
        println!(
            "stopped, auto_failback {mode}: both answered {both} ms; after the waking {double} ms, nobody {gap} ms"
        );
        assert!(both <= 1000, "{:?}", watcher.doubles(stopped));
        assert!(double <= 100, "{:?}\n{}", watcher.doubles(woken), c.log("hello"));
        assert_eq!(watcher.owner().as_deref(), Some(owner));
    }
}

#[test]
fn an_heir_that_was_stopped_for_long_starts_nothing_before_it_has_heard_the_owner() {
    for (mode, owner) in [("on", "hello"), ("off", "web")] {
        let with = Setup {
            auto_failback: mode,
            ..setup("5", "")
        };
        let Some(c) = with.started(&format!("lease-heir-late-{mode}")) else {
            return;
        };
        let watcher = c.watch(VIP);
        c.wait_owner(&watcher, "hello", 0);
        let stopped = Watcher::now();
        c.lab.freeze("hello").expect("stopped");
        let master = c.processes("hello", "master control process");
        assert_eq!(master.len(), 1, "{master:?}");
        c.run("hello", &["kill", "-9", &master[0].to_string()]).good("kill -9");
        c.wait_owner(&watcher, "web", stopped);
        // Claims of one second are equally old, and then the lower name has it.
        sleep(Duration::from_secs(3));
        let woken = Watcher::now();
        c.lab.thaw("hello").expect("goes on");
        c.wait_log(
            "hello",
            "the master process died; its heir takes over with 1 held group(s)",
        );
        c.wait_log("hello", "woke up after");
        c.wait_log("hello", "awake; serving what no other node has");
        c.all_active(&NODES);
        c.stable(&NODES);
        c.wait_owner(&watcher, owner, woken);
        watcher.settle();
        let (double, gap) = figures(&watcher, woken);
        println!("a late heir, auto_failback {mode}: both answered for {double} ms, nobody for {gap} ms");
        assert!(double <= 100, "{:?}\n{}", watcher.doubles(woken), c.log("hello"));
        assert_eq!(watcher.owner().as_deref(), Some(owner));
    }
}

#[test]
fn any_process_may_die_and_the_lease_is_renewed_all_the_same() {
    let Some(c) = setup("4", "").started("lease-heir") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let before = label(&c, "hello");
    let since = Watcher::now();
    for title in ["core process", "master control process", "heir"] {
        let old = c.processes("hello", title);
        c.run("hello", &["kill", "-9", &old[0].to_string()]).good("kill -9");
        c.wait(&format!("another {title} runs"), || {
            let new = c.processes("hello", title);
            new.len() == 1 && new != old
        });
        // Longer than the lease and what the kernel is late: only a renewal keeps it.
        sleep(Duration::from_secs(4));
        assert!(left(&c, "hello").is_some(), "after the death of the {title}");
    }
    watcher.settle();
    assert_eq!(watcher.timeline().owners(since), ["hello"]);
    let same = |line: &str| line.split("dynamic").map(str::trim).collect::<Vec<_>>().join(" ");
    assert_eq!(
        same(&label(&c, "hello")),
        same(&before),
        "broadcast and label are as before"
    );
    assert!(!c.log("hello").contains("resources are lost"), "{}", c.log("hello"));
}

#[test]
fn an_address_that_goes_away_is_set_again() {
    let Some(c) = setup("3", "").started("lease-gone") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let line = label(&c, "hello");
    let words: Vec<&str> = line.split_whitespace().collect();
    let since = Watcher::now();
    c.run("hello", &["ip", "addr", "del", words[1], "dev", "eth0"])
        .good("ip addr del");
    c.wait_log("hello", "is gone from this machine; setting it again");
    c.wait_owner(&watcher, "hello", since);
    // Longer than a lease, so it was renewed: what was renewed once is known to have had its lease from us.
    sleep(Duration::from_secs(3));
    assert!(left(&c, "hello").is_some());
    // Somebody else sets it for ever: it is ours, and has a lease again.
    let line = label(&c, "hello");
    let words: Vec<&str> = line.split_whitespace().collect();
    let change = [
        "ip",
        "addr",
        "change",
        words[1],
        "dev",
        "eth0",
        "label",
        "eth0:0",
        "valid_lft",
        "forever",
    ];
    c.run("hello", &[&change[..], &["preferred_lft", "forever"]].concat())
        .good("ip addr change");
    c.wait_log("hello", "somebody has set it for ever; it has its lease again");
    c.wait("it has a lease", || left(&c, "hello").is_some());
    c.stable(&NODES);
}

#[test]
fn ipv6_addresses_have_a_lease_too() {
    let with = Setup {
        haresources: "hello IPv6addr::fd00:0:0:0:0:0:0:64/64/eth0\n".into(),
        ..setup("5", "")
    };
    let Some(c) = with.make("lease-v6") else { return };
    for node in NODES {
        c.start(node);
    }
    c.all_active(&NODES);
    c.stable(&NODES);
    let shows = |node: &str| {
        c.run(node, &["ip", "-6", "addr", "show"])
            .good("ip addr")
            .contains("fd00::64/64")
    };
    c.wait("hello has it", || shows("hello"));
    // Longer than a lease: only renewals keep it.
    sleep(Duration::from_secs(6));
    assert!(shows("hello"), "{}", c.log("hello"));
    c.lab.kill("hello").expect("killed");
    c.wait("web has it", || shows("web"));
    c.wait("it is gone where all was killed", || !shows("hello"));
}

#[test]
fn a_master_that_hangs_loses_the_resources_and_the_other_node_takes_them_alone() {
    let Some(c) = setup("4", "").started("lease-hang") else {
        return;
    };
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    let since = Watcher::now();
    let master = c.processes("hello", "master control process")[0].to_string();
    c.run("hello", &["kill", "-STOP", &master]).good("kill -STOP");
    c.wait_owner(&watcher, "web", since);
    c.run("hello", &["kill", "-CONT", &master]).good("kill -CONT");
    // The thread that writes the log is the master's.
    c.wait_log("hello", "its resources are lost");
    c.stable(&NODES);
    watcher.settle();
    assert!(watcher.doubles(since).is_empty(), "{:?}", watcher.doubles(since));
}

#[test]
fn without_a_lease_the_address_is_there_for_ever_also_after_a_reload() {
    let Some(c) = setup("3", "").started("lease-off") else {
        return;
    };
    assert!(left(&c, "hello").is_some());
    c.wait("the lease is shown", || lease_shown(&c, "hello") == 2);
    c.change_ha_cf("deadtime 3", "vip_lease off\ndeadtime 3");
    c.reload("hello").good("reload");
    c.wait("it is there for ever", || left(&c, "hello").is_none());
    assert_eq!(lease_shown(&c, "hello"), 0);
    c.stop("hello");
    c.start("hello");
    c.all_active(&NODES);
    c.wait("it is home again", || has_address(&c, "hello"));
    assert_eq!(left(&c, "hello"), None);
}
