//! The watchdog: a FIFO stands for the device, and this test reads it.

use crate::cluster::{Cluster, Setup, VIP};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

/// A node whose ha.cf names a FIFO as watchdog, and our end of it.
fn guarded(test: &str) -> Option<(Cluster, File)> {
    let setup = Setup {
        nodes: vec!["hello"],
        haresources: format!("hello {VIP} service\n"),
        ..Setup::default()
    };
    let c = setup.make(test)?;
    c.recorder("service");
    let fifo = c.lab.files("hello").ha_d().join("dog");
    c.run("hello", &["mkfifo", &fifo.display().to_string()]).good("mkfifo");
    let file = c.lab.files("hello").ha_d().join("ha.cf");
    let text = std::fs::read_to_string(&file).expect("ha.cf");
    c.lab
        .write("hello", "ha.d/ha.cf", &format!("{text}watchdog {}\n", fifo.display()))
        .expect("written");
    const O_NONBLOCK: i32 = 0o4000;
    let end = File::options()
        .read(true)
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(&fifo)
        .expect("the FIFO");
    c.start("hello");
    c.all_active(&["hello"]);
    c.stable(&["hello"]);
    Some((c, end))
}

/// What was written since the last look.
fn taken(end: &mut File) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = end.read(&mut buffer) {
        all.extend(&buffer[..n]);
    }
    all
}

fn is_fed(c: &Cluster, end: &mut File) {
    taken(end);
    let mut all = Vec::new();
    c.wait("the watchdog is fed", || {
        all.extend(taken(end));
        all.len() >= 5
    });
    assert!(!all.contains(&b'V'), "{all:?}");
}

#[test]
fn the_watchdog_is_fed_with_the_beats_and_disarmed_last_of_all() {
    let Some((c, mut end)) = guarded("watchdog-stop") else {
        return;
    };
    c.wait_log("hello", "its time limit cannot be set");
    is_fed(&c, &mut end);
    // The service does not let go until it may.
    let go = c.lab.files("hello").run().join("go");
    let waits = format!(
        "test $verb != stop || while ! test -e {}; do sleep 0.05; done",
        go.display()
    );
    c.recorder_in("ha.d/resource.d", "service", &waits);
    let _stop = c.spawn("hello", &[&c.program("heartbeat"), "-k"]);
    c.wait_log("hello", "releasing it (heartbeat is stopping)");
    is_fed(&c, &mut end);
    std::fs::write(&go, "").expect("a file");
    let mut all = Vec::new();
    c.wait("it is stopped", || {
        all.extend(taken(&mut end));
        c.processes("hello", "").is_empty()
    });
    all.extend(taken(&mut end));
    assert_eq!(all.last(), Some(&b'V'), "{all:?}");
    assert_eq!(all.iter().filter(|b| **b == b'V').count(), 1, "{all:?}");
    assert_eq!(c.calls("hello").last().map(String::as_str), Some("service stop"));
}

#[test]
fn a_core_that_hangs_feeds_nothing_and_a_process_that_dies_disarms_nothing() {
    let Some((c, mut end)) = guarded("watchdog-core") else {
        return;
    };
    is_fed(&c, &mut end);
    let core = c.processes("hello", "core process")[0];
    c.shell("hello", &format!("kill -STOP {core}")).good("kill");
    c.wait("the core is stopped", || {
        c.shell("hello", &format!("grep -q '^State:.T' /proc/{core}/status"))
            .code
            == Some(0)
    });
    taken(&mut end);
    // The rest of the node goes on, and takes more time than many beats: the master answers, and is told to reload.
    for _ in 0..3 {
        c.reload("hello").good("reload");
    }
    assert_eq!(taken(&mut end), b"", "nobody else feeds it");
    c.shell("hello", &format!("kill -CONT {core}")).good("kill");
    is_fed(&c, &mut end);
    for title in ["core process", "master control process", "heir", "core process"] {
        let old = c.processes("hello", title);
        c.shell("hello", &format!("kill -9 {}", old[0])).good("kill");
        c.wait("it is replaced", || {
            let now = c.processes("hello", title);
            now.len() == 1 && now != old && c.processes("hello", "heir").len() == 1
        });
        is_fed(&c, &mut end);
    }
    let titles = ["core process", "master control process"];
    let before = titles.map(|t| c.processes("hello", t));
    c.change_ha_cf("deadtime 1500ms", "deadtime 3");
    c.change_ha_cf("initdead 1500ms", "initdead 3");
    c.reload("hello").good("reload");
    is_fed(&c, &mut end);
    assert_eq!(titles.map(|t| c.processes("hello", t)), before);
    c.stop("hello");
    assert_eq!(taken(&mut end).last(), Some(&b'V'));
}

#[test]
fn a_watchdog_that_takes_nothing_does_not_hold_the_beat() {
    let Some((c, mut end)) = guarded("watchdog-full") else {
        return;
    };
    is_fed(&c, &mut end);
    c.shell("hello", "head -c 200000 /dev/zero | timeout 1 cat >$HA_DIR/dog; true")
        .good("filled");
    c.wait_log("hello", "watchdog: cannot be fed");
    assert_eq!(c.node_status("hello", "hello"), "active");
    assert!(!c.log("hello").contains("did nothing for"), "{}", c.log("hello"));
    is_fed(&c, &mut end);
}
