//! Scripts of rc.d: which messages run them, and what they find in their environment.

use crate::cluster::{Cluster, Setup};

fn noted(c: &Cluster) -> String {
    c.shell("hello", "cat /var/log/notes 2>/dev/null; true").out
}

fn script(c: &Cluster, name: &str, line: &str) {
    let text = format!("#!/bin/sh\necho \"{line}\" >>/var/log/notes\n");
    c.lab
        .script("hello", &format!("ha.d/rc.d/{name}"), &text)
        .expect("a script");
}

#[test]
fn scripts_hear_of_nodes_links_and_messages_that_nobody_else_knows() {
    let Some(c) = Setup::default().make("rc-scripts") else {
        return;
    };
    script(
        &c,
        "status",
        "status $1 $HA_src $HA_st own=$HA_OSTATUS $HA_keepalive $HA_NICEFAILBACK $HA_LOGD",
    );
    script(&c, "ifstat", "ifstat $HA_node $HA_ifname $HA_st");
    script(&c, "my-type", "my-type $HA_t $HA_src $HA_info $HA_DIR ${HA_BIN-none}");
    script(&c, "hb_takeover", "never");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.wait("web is active", || noted(&c).contains("status status web active"));
    assert!(noted(&c).contains("100ms yes no"), "{}", noted(&c));
    c.wait("its link is up", || noted(&c).contains("ifstat web eth0 up"));
    let dir = c.lab.files("hello").ha_d().display().to_string();
    c.run(
        "web",
        &["hb_msg", "My-Type", "info=what it says", "DIR=/tmp", "BIN=/tmp"],
    )
    .good("hb_msg");
    c.wait("the message is heard", || {
        noted(&c).contains(&format!("my-type my-type web what it says {dir} none"))
    });
    c.run("web", &["hb_takeover", "all"]);
    c.lab.power_off("web").expect("off");
    c.wait("web is dead", || {
        noted(&c).contains("status status web dead own=active")
    });
    c.wait("its link, too", || noted(&c).contains("ifstat web eth0 dead"));
    assert!(!noted(&c).contains("never"), "the daemon does that itself");
    // One that is added later is found after a reload, and one that hangs does not hold the beat.
    c.lab
        .script("hello", "ha.d/rc.d/slow", "#!/bin/sh\nsleep 1000\n")
        .expect("a script");
    script(&c, "late", "late");
    c.reload("hello").good("reload");
    c.run("hello", &["hb_msg", "late"]).good("hb_msg");
    c.wait("the new script runs", || noted(&c).contains("late"));
    c.run("hello", &["hb_msg", "slow"]).good("hb_msg");
    c.wait("it runs", || {
        c.shell("hello", "grep -lx 'sleep.*' /proc/[0-9]*/comm").code == Some(0)
    });
    assert_eq!(c.node_status("hello", "hello"), "active");
    assert!(!c.log("hello").contains("did nothing for"), "{}", c.log("hello"));
    c.stop("hello");
}

#[test]
fn the_script_of_the_old_program_takes_nothing_twice() {
    let Some(c) = Setup::default().make("rc-classic") else {
        return;
    };
    let text = "#!/bin/sh\ncase $HA_st in dead) $HA_LIBDIR/mach_down $HA_src; echo \"mach_down $?\" >>/var/log/notes ;; esac\n";
    c.lab.script("web", "ha.d/rc.d/status", text).expect("a script");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    c.lab.power_off("hello").expect("off");
    c.wait("web has the group", || c.owners("web", "10.77.0.100") == ["web"]);
    c.wait("the old script has run", || {
        c.shell("web", "cat /var/log/notes 2>/dev/null; true")
            .out
            .contains("mach_down 0")
    });
    c.stable(&["web"]);
    let log = c.log("web");
    assert_eq!(
        log.matches("resource 10.77.0.100 start:").count() + log.matches("10.77.0.100 start: /").count(),
        log.matches("10.77.0.100 start").count(),
        "{log}"
    );
}
