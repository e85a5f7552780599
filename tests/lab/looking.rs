//! What an administrator looks at: `ps`, the logs, cl_status.

use crate::cluster::{Setup, skipped};
use ha::sys::process;

#[test]
fn s2_11_process_titles_and_logs_explain_what_goes_on() {
    let setup = Setup {
        more: "debugfile /var/log/ha-debug\n".into(),
        ..Setup::haresources("hello 10.77.0.100 service\n")
    };
    let Some(c) = setup.make("s2-11") else { return };
    c.recorder("service");
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let shown = c.shell("hello", "ps aux | grep '[h]eartbeat'");
    match shown.code {
        Some(0) => {
            for title in [
                "heartbeat: master control process",
                "heartbeat: core process",
                "heartbeat: heir",
            ] {
                let lines: Vec<&str> = shown.out.lines().filter(|l| l.contains(title)).collect();
                assert_eq!(lines.len(), 1, "{title}: {}", shown.out);
                let user = lines[0].split(' ').next();
                // The process that reads packets has no rights; a user's own namespace has one user only.
                let root = user == Some("root");
                let has_hacluster = process::is_root();
                assert_eq!(root, !(has_hacluster && title.contains("core")), "{lines:?}");
            }
        }
        _ => skipped("process titles: ps is not installed (Debian package procps)"),
    }
    c.lab.power_off("hello").expect("off");
    c.wait("web took over", || c.calls("web") == ["service start"]);
    c.stable(&["web"]);
    // Judged by its own last packet, which may be newer than the last beat.
    c.wait_log("web", "Link hello:eth0 dead.");
    c.wait_log("web", "group 10.77.0.100: acquired");
    let read = |file: &str| std::fs::read_to_string(c.lab.files("web").log().join(file)).expect(file);
    let (log, debug) = (read("ha-log"), read("ha-debug"));
    // The story, in its order.
    let story = [
        "Configuration validated. Starting heartbeat",
        "Link hello:eth0 up.",
        "Status update for node hello: status active",
        "node web is active",
        "Link hello:eth0 dead.",
        "node hello: is dead",
        "Resources being acquired from hello.",
        "group 10.77.0.100: acquiring it",
        "group 10.77.0.100: acquired",
    ];
    for text in story {
        for (name, file) in [("ha-log", &log), ("ha-debug", &debug)] {
            assert!(file.contains(text), "{text}: {name}\n{file}");
        }
    }
    let at = |text: &str| log.find(text);
    assert!(
        at("node hello: is dead") < at("group 10.77.0.100: acquiring it"),
        "{log}"
    );
    assert!(
        at("group 10.77.0.100: acquiring it") < at("group 10.77.0.100: acquired"),
        "{log}"
    );
    // `Nov 21 08:18:36 web heartbeat: [21]: info: …`
    for line in log.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        assert_eq!(words[3..5], ["web", "heartbeat:"], "{line}");
    }
    assert!(!log.contains("debug:"), "{log}");
}

#[test]
fn cl_status_answers_for_the_real_daemon() {
    let setup = Setup::haresources("hello 10.77.0.100\nweb 10.77.0.101\n");
    let Some(c) = setup.make("cl-status") else { return };
    let stopped = c.run("hello", &["cl_status", "hbstatus"]);
    assert_eq!(
        (stopped.code, stopped.out.as_str()),
        (Some(1), "Heartbeat is stopped on this machine.\n")
    );
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    #[rustfmt::skip]
    let table: [(&[&str], i32, &str); 17] = [
        (&["hbstatus"],                         0,  "Heartbeat is running on this machine."),
        (&["listnodes"],                        0,  "web\nhello"),
        (&["listnodes", "-n"],                  0,  "web\nhello"),
        (&["listnodes", "-p"],                  0,  ""),
        (&["nodestatus", "web"],                0,  "active"),
        (&["nodetype", "web"],                  0,  "normal"),
        (&["nodeweight", "web"],                0,  "100"),
        (&["nodesite", "web"],                  0,  ""),
        (&["listhblinks", "web"],               0,  "eth0"),
        (&["hblinkstatus", "web", "eth0"],      0,  "up"),
        (&["rscstatus"],                        0,  "local"),
        (&["hbparameter", "-p", "deadtime"],    0,  "1500ms"),
        (&["hbparameter", "-p", "udpport"],     0,  "694"),
        (&["clientstatus", "hello", "nobody"],  1,  "offline"),
        (&["nodestatus", "stranger"],           11, ""),
        (&["nodestatus"],                       11, ""),
        (&["what"],                             11, ""),
    ];
    for (words, code, out) in table {
        let said = c.run("hello", &[&["cl_status"], words].concat());
        assert_eq!((said.code, said.out.trim()), (Some(code), out), "{words:?}: {said:?}");
    }
    c.lab.power_off("web").expect("off");
    c.wait("web is dead", || c.node_status("hello", "web") == "dead");
    c.stable(&["hello"]);
    #[rustfmt::skip]
    let table: [(&[&str], i32, &str); 3] = [
        (&["nodestatus", "web"],                1,  "dead"),
        (&["hblinkstatus", "web", "eth0"],      1,  "dead"),
        (&["rscstatus"],                        0,  "all"),
    ];
    for (words, code, out) in table {
        let said = c.run("hello", &[&["cl_status"], words].concat());
        assert_eq!((said.code, said.out.trim()), (Some(code), out), "{words:?}: {said:?}");
    }
}
