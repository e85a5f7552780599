//! What is wrong is named, with the remedy, and heartbeat does not start; or keeps what it has.

use crate::cluster::{Cluster, Said, Setup, skipped};

/// Starts heartbeat on hello; returns what it said.
fn try_start(c: &Cluster) -> Said {
    c.run("hello", &[&c.program("heartbeat")])
}

fn is_stopped(c: &Cluster) {
    let status = c.run("hello", &[&c.program("heartbeat"), "-s"]);
    assert_eq!(status.code, Some(3), "{status:?}");
}

#[test]
fn s2_02_a_wrong_line_is_named_with_its_number_and_nothing_starts() {
    let Some(c) = Setup::default().make("bad-lines") else {
        return;
    };
    let good = Setup::default();
    let with = |line: &str| good.ha_cf() + line;
    let count = good.ha_cf().lines().count();
    let at = |file: &str, line: usize| format!("{file}:{line}:");
    #[rustfmt::skip]
    let table = [
        // file        text                                              where                          what
        ("ha.cf",       with("keepalife 2\n"),                            at("ha.cf", count + 1),        "keepalife"),
        ("ha.cf",       with("baud 12345\n"),                             at("ha.cf", count + 1),        "12345"),
        ("ha.cf",       good.ha_cf().replace("100ms", "tomorrow"),        at("ha.cf", 2),                "tomorrow"),
        ("haresources", "hello 10.77.0.100\n\nnobody x\n".into(),         at("haresources", 3),          "nobody"),
        ("haresources", "hello 10.77.0.300\n".into(),                     at("haresources", 1),          "10.77.0.300"),
        ("authkeys",    "auth 1\n1 rot13 secret\n".into(),                at("authkeys", 2),             "unknown method"),
        ("authkeys",    "auth 2\n1 crc\n".into(),                         at("authkeys", 1),             "2"),
    ];
    for (file, text, place, what) in table {
        let path = format!("ha.d/{file}");
        let before = std::fs::read_to_string(c.lab.files("hello").root.join(&path)).expect(file);
        c.lab.write("hello", &path, &text).expect("written");
        let said = try_start(&c);
        assert_eq!(said.code, Some(6), "{text}: {said:?}");
        let line = said
            .err
            .lines()
            .find(|l| l.contains(&place))
            .unwrap_or_else(|| panic!("{place}: {said:?}"));
        assert!(line.contains(what), "{what}: {line}");
        is_stopped(&c);
        let checked = c.run("hello", &[&c.program("heartbeat"), "-t"]);
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert!(checked.err.contains(&place), "{place}: {checked:?}");
        c.lab.write("hello", &path, &before).expect("written");
    }
}

#[test]
fn s2_02_every_mistake_of_every_file_is_told_at_once() {
    let Some(c) = Setup::default().make("bad-all") else {
        return;
    };
    let ha_cf = Setup::default().ha_cf() + "foo\nbar\n";
    c.lab.write("hello", "ha.d/ha.cf", &ha_cf).expect("written");
    c.lab
        .write("hello", "ha.d/haresources", "hello 10.77.0.300\n")
        .expect("written");
    c.lab
        .write("hello", "ha.d/authkeys", "auth 1\n1 rot13 x\n")
        .expect("written");
    let said = try_start(&c);
    assert_eq!(said.code, Some(6), "{said:?}");
    for word in ["\"foo\"", "\"bar\"", "10.77.0.300", "authkeys:2"] {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
}

#[test]
fn s2_04_an_authkeys_that_others_may_read_is_refused_with_the_remedy() {
    let Some(c) = Setup::default().make("bad-authkeys") else {
        return;
    };
    let file = c.lab.files("hello").ha_d().join("authkeys").display().to_string();
    for mode in ["644", "640", "604"] {
        c.run("hello", &["chmod", mode, &file]).good("chmod");
        let said = try_start(&c);
        assert_eq!(said.code, Some(6), "{mode}: {said:?}");
        assert!(
            said.err.contains("authkeys") && said.err.contains("chmod 600"),
            "{said:?}"
        );
        is_stopped(&c);
    }
    c.run("hello", &["rm", &file]).good("rm");
    let said = try_start(&c);
    assert_eq!(said.code, Some(6), "{said:?}");
    assert!(
        said.err.contains("authkeys") && said.err.contains("hb_keygen"),
        "{said:?}"
    );
    c.run("hello", &["hb_keygen"]).good("hb_keygen");
    let mode = c.run("hello", &["stat", "-c", "%a", &file]).good("stat");
    assert_eq!(mode, "600\n");
    c.start("hello");
}

#[test]
fn a_node_that_ha_cf_does_not_name_is_refused_and_shown_both_names() {
    let Some(c) = Setup::default().make("bad-node") else {
        return;
    };
    let text = Setup::default().ha_cf().replace("node hello\n", "node goodbye\n");
    c.lab.write("hello", "ha.d/ha.cf", &text).expect("written");
    c.lab
        .write("hello", "ha.d/haresources", "web 10.77.0.100\n")
        .expect("written");
    let said = try_start(&c);
    assert_eq!(said.code, Some(6), "{said:?}");
    assert!(said.err.contains("hello") && said.err.contains("goodbye"), "{said:?}");
    is_stopped(&c);
}

#[test]
fn a_port_in_use_is_named_with_its_user() {
    let Some(c) = Setup::default().make("bad-port") else {
        return;
    };
    let program = "my $s = IO::Socket::INET->new(LocalPort => 694, Proto => 'udp') or die; sleep 1000";
    let perl = ["perl", "-MIO::Socket::INET", "-e", program];
    if c.run("hello", &["perl", "-MIO::Socket::INET", "-e", "1"]).code != Some(0) {
        return skipped("a port in use: perl is not installed (Debian package perl-base)");
    }
    let _user = c.spawn("hello", &perl);
    c.wait("the port is in use", || {
        c.run("hello", &["cat", "/proc/net/udp", "/proc/net/udp6"])
            .out
            .contains(":02B6")
    });
    let said = try_start(&c);
    assert_eq!(said.code, Some(1), "{said:?}");
    for word in ["694", "in use", "perl"] {
        assert!(said.err.contains(word), "{word}: {said:?}");
    }
    is_stopped(&c);
}

#[test]
fn a_missing_interface_is_named_and_used_when_it_appears() {
    let setup = Setup {
        media: "bcast eth0\nbcast eth7\n".into(),
        ..Setup::default()
    };
    let Some(c) = setup.make("bad-interface") else { return };
    for node in ["hello", "web"] {
        // The lab gives every node every interface that ha.cf names: this machine's card is not there yet.
        c.run(node, &["ip", "link", "set", "eth7", "down"]).good("ip");
        c.run(node, &["ip", "link", "set", "eth7", "name", "later"]).good("ip");
        let said = c.run(node, &[&c.program("heartbeat")]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.err.contains("eth7"), "{said:?}");
    }
    c.all_active(&["hello", "web"]);
    let screen = c.run("hello", &["cl_status", "status"]).good("cl_status");
    assert!(screen.contains("BROKEN: interface eth7 does not exist"), "{screen}");
    for node in ["hello", "web"] {
        c.run(node, &["ip", "link", "set", "later", "name", "eth7"]).good("ip");
        c.run(node, &["ip", "link", "set", "eth7", "up"]).good("ip");
    }
    c.wait("web is heard on eth7", || {
        c.run("hello", &["cl_status", "hblinkstatus", "web", "eth7"]).out.trim() == "up"
    });
    let screen = c.run("hello", &["cl_status", "status"]).good("cl_status");
    assert!(!screen.contains("BROKEN"), "{screen}");
}

#[test]
fn an_interface_that_is_the_only_medium_and_missing_keeps_heartbeat_from_starting() {
    let Some(c) = Setup::default().make("bad-only-interface") else {
        return;
    };
    c.run("hello", &["ip", "link", "set", "eth0", "down"]).good("ip");
    c.run("hello", &["ip", "link", "set", "eth0", "name", "other"])
        .good("ip");
    let said = try_start(&c);
    assert_eq!(said.code, Some(6), "{said:?}");
    assert!(
        said.err.contains("eth0") && said.err.contains("no such interface"),
        "{said:?}"
    );
    is_stopped(&c);
}

#[test]
fn a_tty_that_cannot_be_used_is_named_and_ethernet_goes_on() {
    let Some(c) = Setup::default().make("bad-tty") else {
        return;
    };
    let tty = c.lab.files("hello").root.join("ttyS9").display().to_string();
    let ha_cf = Setup::default().ha_cf() + &format!("baud 19200\nserial {tty}\n");
    c.lab.write("hello", "ha.d/ha.cf", &ha_cf).expect("written");
    c.run("hello", &["touch", &tty]).good("touch");
    let said = try_start(&c);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains(&tty), "{said:?}");
    c.start("web");
    c.all_active(&["hello", "web"]);
    let screen = c.run("hello", &["cl_status", "status"]).good("cl_status");
    assert!(screen.contains("ttyS9") && screen.contains("BROKEN"), "{screen}");
}

#[test]
fn a_reload_of_bad_files_keeps_the_running_configuration() {
    let Some(c) = Setup::default().started("bad-reload") else {
        return;
    };
    let good = Setup::default().ha_cf();
    let changed = good.replace("warntime 700ms", "warntime 900ms") + "what is this\n";
    c.lab.write("hello", "ha.d/ha.cf", &changed).expect("written");
    let said = c.reload("hello");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("NOT restarted"), "{said:?}");
    // The signal by itself, as from an old script.
    let pid = std::fs::read_to_string(c.lab.files("hello").run().join("heartbeat.pid")).expect("a pid file");
    c.run("hello", &["kill", "-HUP", pid.trim()]).good("kill");
    c.wait_log("hello", "the running configuration stays in force");
    let warntime = || c.run("hello", &["cl_status", "hbparameter", "-p", "warntime"]).out;
    assert_eq!(warntime().trim(), "700ms");
    assert_eq!(c.owners("web", "10.77.0.100"), ["hello"]);
    c.lab
        .write("hello", "ha.d/ha.cf", &good.replace("warntime 700ms", "warntime 900ms"))
        .expect("written");
    c.reload("hello").good("reload");
    c.wait("the good file is in force", || warntime().trim() == "900ms");
}

/// All three go from one process to another in one message.
#[test]
fn files_that_are_too_large_together_are_refused_and_large_ones_work() {
    let Some(c) = Setup::default().make("bad-size") else {
        return;
    };
    let good = std::fs::read_to_string(c.lab.files("hello").root.join("ha.d/haresources")).expect("a file");
    let of_size = |bytes: usize| good.clone() + &"# about the groups above\n".repeat(bytes / 25);
    c.lab
        .write("hello", "ha.d/haresources", &of_size(120_000))
        .expect("written");
    let said = try_start(&c);
    assert_eq!(said.code, Some(6), "{said:?}");
    assert!(
        said.err.contains("haresources") && said.err.contains("shorten it"),
        "{said:?}"
    );
    is_stopped(&c);
    c.lab
        .write("hello", "ha.d/haresources", &of_size(90_000))
        .expect("written");
    assert_eq!(try_start(&c).code, Some(0));
    c.wait("the group is up", || c.owners("hello", "10.77.0.100") == ["hello"]);
    c.lab
        .write("hello", "ha.d/haresources", &of_size(120_000))
        .expect("written");
    let said = c.reload("hello");
    assert_eq!(said.code, Some(1), "{said:?}");
    c.lab
        .write("hello", "ha.d/haresources", &of_size(80_000))
        .expect("written");
    c.reload("hello").good("reload");
    assert_eq!(c.owners("hello", "10.77.0.100"), ["hello"]);
}
