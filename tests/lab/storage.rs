//! Disks that are full, read-only or hang: the beat goes on, and so does a takeover, in both directions.

use crate::cluster::{Cluster, Setup, VIP, skipped};
use ha::lab::Watcher;
use ha::sys::process;
use std::path::Path;

/// A cluster that does not run yet, where a test may mount what it likes in the nodes.
fn made(test: &str) -> Option<Cluster> {
    if !process::is_root() {
        skipped("disks that fail: they need root to mount them");
        return None;
    }
    Setup::default().make(test)
}

fn start(c: &Cluster) -> Watcher {
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let watcher = c.watch(VIP);
    c.wait_owner(&watcher, "hello", 0);
    watcher
}

/// What hello must do with a disk that does not work. It is not asked anything: the FIFOs of its answers are on that disk.
fn hello_serves(c: &Cluster, watcher: &Watcher) {
    // Twice: the second one is started by a master that knows the disk hangs.
    for _ in 0..2 {
        let old = c.processes("hello", "core process");
        assert_eq!(old.len(), 1, "{old:?}");
        c.run("hello", &["kill", "-9", &old[0].to_string()]).good("kill");
        c.wait("hello has another core", || {
            let new = c.processes("hello", "core process");
            new.len() == 1 && new != old
        });
    }
    c.wait("web sees hello active, with its address", || {
        c.node_status("web", "hello") == "active" && c.owners("web", "10.77.0.100") == ["hello"]
    });
    assert_eq!(c.counter("web", "deaths"), 0, "{}", c.log("web"));
    // It lets go when it is asked to …
    let since = Watcher::now();
    c.run("web", &["hb_takeover"]).good("hb_takeover");
    c.wait_owner(watcher, "web", since);
    assert_eq!(c.counter("web", "deaths"), 0, "{}", c.log("web"));
    // … and takes over when the other one dies.
    let since = Watcher::now();
    c.lab.power_off("web").expect("off");
    c.wait_owner(watcher, "hello", since);
    assert!(watcher.doubles(since).is_empty());
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_full_disk_stops_nothing() {
    let Some(c) = made("disk-full") else { return };
    let dirs = [shown(&c.lab.files("hello").state()), "/var/log".to_owned()];
    for dir in &dirs {
        c.shell("hello", &format!("mount -t tmpfs -o size=512k tmpfs {dir}"))
            .good("mount");
    }
    let watcher = start(&c);
    for dir in &dirs {
        let fill = c.shell("hello", &format!("dd if=/dev/zero of={dir}/fill bs=1k"));
        assert_ne!(fill.code, Some(0), "it is full: {fill:?}");
    }
    hello_serves(&c, &watcher);
    // There is room again: what is new is in the log, and this says how it was.
    let file = format!("{}/ha-log", dirs[1]);
    for dir in &dirs {
        c.shell("hello", &format!("rm {dir}/fill")).good("rm");
    }
    c.start("web");
    c.wait("hello logs again", || {
        c.shell("hello", &format!("tail -n 5 {file}")).out.contains("node web")
    });
    c.stop("hello");
}

#[test]
fn a_disk_that_became_read_only_stops_nothing() {
    let Some(c) = made("disk-ro") else { return };
    let state = shown(&c.lab.files("hello").state());
    c.shell("hello", &format!("mount --bind {state} {state}")).good("mount");
    let watcher = start(&c);
    c.shell("hello", &format!("mount -o remount,bind,ro {state}"))
        .good("remount");
    assert_ne!(
        c.shell("hello", &format!(": >{state}/x")).code,
        Some(0),
        "it is read-only"
    );
    hello_serves(&c, &watcher);
    c.wait_log(
        "hello",
        "hb_peers: cannot be written (Read-only file system (os error 30))",
    );
}

/// Thaws whatever happens: nothing else ends a process that waits for a frozen disk.
struct Frozen<'a>(&'a Cluster, String);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.run("hello", &["fsfreeze", "-u", &self.1]);
    }
}

#[test]
fn a_disk_that_hangs_stops_nothing() {
    let Some(c) = made("disk-hangs") else { return };
    let (state, log) = (shown(&c.lab.files("hello").state()), "/var/log");
    let (image, disk) = (
        shown(&c.lab.plan.directory.join("disk.image")),
        shown(&c.lab.plan.directory.join("disk")),
    );
    let made = c.shell(
        "hello",
        &format!(
            "set -e; mkdir {disk}; truncate -s 8M {image}; mkfs.ext4 -q -F {image}; mount -o loop {image} {disk}\n\
             mkdir {disk}/state {disk}/log; mount --bind {disk}/state {state}; mount --bind {disk}/log {log}"
        ),
    );
    if made.code != Some(0) {
        return skipped(&format!("a disk that hangs: no ext4 in a file here: {}", made.err));
    }
    let watcher = start(&c);
    c.run("hello", &["fsfreeze", "-f", &disk]).good("fsfreeze");
    let frozen = Frozen(&c, disk.clone());
    hello_serves(&c, &watcher);
    drop(frozen);
    let logged = |text: &str| c.shell("hello", &format!("cat {log}/ha-log")).out.contains(text);
    c.wait("hello tells it when it can", || {
        logged("acquiring it (node web, which had it, is dead)")
    });
    c.stop("hello");
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let Some(c) = made("log-hangs") else { return };
    let log = shown(&c.lab.files("hello").log());
    c.shell("hello", &format!("mkfifo {log}/ha-log")).good("mkfifo");
    let watcher = start(&c);
    // More than any pipe holds.
    c.run("hello", &[&c.program("heartbeat"), "-r"]).good("reload");
    for _ in 0..100 {
        c.run("hello", &[&c.program("hb_msg"), "-t", "no-such-type"]);
    }
    hello_serves(&c, &watcher);
}
