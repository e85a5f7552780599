//! `cl_status watch` on terminals of two sizes while things break, and the status file while the daemon hangs.

use crate::cluster::{Cluster, Setup, VIP, skipped};
use ha::clients::json::Json;
use ha::lab::Inside;
use std::path::PathBuf;
use std::process::Command;

/// As much of a terminal as the program uses. Whatever it does not know, and whatever would wrap or scroll, fails.
struct Model {
    columns: usize,
    rows: usize,
    cells: Vec<Vec<char>>,
    at: (usize, usize),
}

impl Model {
    fn new((columns, rows): (usize, usize)) -> Self {
        Self {
            columns,
            rows,
            cells: vec![vec![' '; columns]; rows],
            at: (0, 0),
        }
    }

    fn play(&mut self, bytes: &str) {
        let mut rest = bytes;
        while let Some(c) = rest.chars().next() {
            if let Some(sequence) = rest.strip_prefix("\x1b[") {
                // The end of what was written so far.
                let Some(end) = sequence.find(|c: char| c.is_ascii_alphabetic()) else {
                    return;
                };
                self.obey(&sequence[..end], sequence.as_bytes()[end]);
                rest = &sequence[end + 1..];
                continue;
            }
            if rest == "\x1b" {
                return;
            }
            assert!((' '..='~').contains(&c), "{c:?} is not for a terminal");
            let (row, column) = self.at;
            assert!(
                row < self.rows && column + 1 < self.columns,
                "{c:?} at {row},{column} would wrap"
            );
            self.cells[row][column] = c;
            self.at.1 += 1;
            rest = &rest[1..];
        }
    }

    fn obey(&mut self, parameters: &str, verb: u8) {
        let numbers: Vec<usize> = parameters.split(';').filter_map(|n| n.parse().ok()).collect();
        match (verb, numbers.as_slice()) {
            (b'H', [row, column]) => self.at = (row - 1, column - 1),
            (b'K', []) => {
                let (row, column) = self.at;
                self.cells[row][column..].fill(' ');
            }
            (b'J', [2]) => *self = Self::new((self.columns, self.rows)),
            (b'm', _) => {}
            (b'h' | b'l', _) if parameters.starts_with('?') => {}
            _ => panic!("escape [{parameters}{} is not known", char::from(verb)),
        }
    }

    fn text(&self) -> String {
        let rows = self.cells.iter().map(|r| r.iter().collect::<String>());
        rows.map(|r| r.trim_end().to_owned() + "\n").collect()
    }
}

/// A running `cl_status watch`, as script(1) records it.
struct Watching {
    size: (usize, usize),
    typescript: PathBuf,
    inside: Inside,
}

impl Watching {
    fn of(c: &Cluster, node: &str, size: (usize, usize)) -> Self {
        let typescript = c.lab.files(node).state().join(format!("typescript-{}", size.0));
        let (columns, rows) = size;
        let command = format!("stty cols {columns} rows {rows} -echo; TERM=xterm exec cl_status watch");
        let file = typescript.display().to_string();
        let inside = c.spawn(node, &["script", "-q", "-f", "-c", &command, &file]);
        Self {
            size,
            typescript,
            inside,
        }
    }

    fn raw(&self) -> String {
        let bytes = std::fs::read(&self.typescript).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // The line that script itself writes at the top.
        text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned())
    }

    fn screen(&self) -> String {
        let mut model = Model::new(self.size);
        model.play(&self.raw());
        model.text()
    }
}

#[track_caller]
fn all_show(c: &Cluster, watching: &[Watching], parts: &[&str]) {
    for w in watching {
        c.wait(&format!("{parts:?} on {:?}; it shows\n{}", w.size, w.screen()), || {
            let screen = w.screen();
            parts.iter().all(|p| screen.contains(p))
        });
    }
}

#[test]
fn watch_says_in_its_first_lines_what_is_wrong_on_every_size_of_terminal() {
    if Command::new("script").arg("--version").output().is_err() {
        return skipped("cl_status watch on a terminal: script is not installed (Debian package bsdutils)");
    }
    let setup = Setup {
        media: "bcast eth0 eth1\n".into(),
        auto_failback: "off",
        ..Setup::haresources("hello 10.77.0.100 service\n")
    };
    let Some(c) = setup.make("watch") else { return };
    for node in c.lab.plan.cluster() {
        let fail = c.lab.files(node).run().join("fail");
        let fails = format!("[ $verb = start ] && [ -e {} ] && exit 1", fail.display());
        let text = crate::cluster::recorder(&c.lab.files(node).state(), &c.lab.files(node).run(), "service", &fails);
        c.lab.script(node, "ha.d/resource.d/service", &text).expect("a script");
    }
    for node in ["hello", "web"] {
        c.start(node);
    }
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    let watching = [(80, 24), (200, 50)].map(|size| Watching::of(&c, "web", size));
    all_show(
        &c,
        &watching,
        &["ALL IS WELL", "10.77.0.100  hello", "hello:eth1", "LAST TRANSITIONS"],
    );
    c.run("web", &["ip", "link", "set", "eth1", "down"]).good("eth1 down");
    all_show(&c, &watching, &["1 PROBLEM ", "! medium bcast eth1 is BROKEN"]);
    c.run("web", &["ip", "link", "set", "eth1", "up"]).good("eth1 up");
    all_show(&c, &watching, &["ALL IS WELL", "medium bcast eth1 works again"]);
    // The group cannot be started on web, and hello keeps serving it.
    c.lab.write("web", "run/fail", "").expect("written");
    c.run("web", &["hb_takeover"]);
    all_show(
        &c,
        &watching,
        &[
            // Another one may be what eth1 lost while it was down.
            " WARNING",
            "! 10.77.0.100 runs on hello, failed on web",
            "10.77.0.100  hello",
        ],
    );
    std::fs::remove_file(c.lab.files("web").run().join("fail")).expect("removed");
    c.run("web", &["hb_takeover"]).good("hb_takeover");
    all_show(
        &c,
        &watching,
        &["ALL IS WELL", "10.77.0.100  web", "node hello gives it to this one"],
    );
    c.lab.power_off("hello").expect("off");
    all_show(&c, &watching, &["1 PROBLEM ", "! node hello is DEAD"]);
    // Ended with a signal it leaves the terminal as it was.
    for w in watching {
        c.shell("web", "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^cl_status watch' && kill ${p#/proc/}; done; true");
        c.wait("the screen is given back", || {
            w.raw().contains("\x1b[?7h\x1b[?25h\x1b[?1049l")
        });
        drop(w.inside);
    }
    let left = std::fs::read_dir(c.lab.files("web").state().join("casual"))
        .expect("casual")
        .count();
    assert_eq!(left, 0, "its FIFOs are gone");
}

#[test]
fn watch_sees_a_takeover_and_status_counts_it() {
    let Some(c) = Setup::default().started("watch-takeover") else {
        return;
    };
    c.lab.power_off("hello").expect("off");
    c.wait("web has it", || c.owners("web", &VIP.to_string()) == ["web"]);
    c.stable(&["web"]);
    let said = c.run("web", &["cl_status", "watch", "--once"]).good("watch --once");
    for part in [
        "1 PROBLEM ",
        "! node hello is DEAD (",
        "node hello is dead",
        "node hello, which had it, is dead",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(!said.contains('\x1b'), "{said}");
    assert_eq!(c.counter("web", "takeovers"), 1);
    let page = c
        .run("web", &["cl_status", "status", "--prometheus"])
        .good("--prometheus");
    for sample in [
        "heartbeat_up 1",
        "heartbeat_takeovers_total 1",
        "heartbeat_node_state{node=\"hello\",kind=\"normal\",state=\"dead\"} 1",
        "heartbeat_group_owned{group=\"10.77.0.100\",node=\"web\"} 1",
    ] {
        assert!(page.lines().any(|l| l == sample), "{sample}\n{page}");
    }
}

#[test]
fn a_daemon_that_hangs_leaves_its_last_state_in_a_file_and_an_orderly_stop_removes_it() {
    let Some(c) = Setup::default().started("status-file") else {
        return;
    };
    let file = c.lab.files("hello").run().join("heartbeat/status");
    let saved = || std::fs::read_to_string(&file).ok().and_then(|t| Json::parse(&t).ok());
    c.wait("the file says that hello has the group", || {
        saved().is_some_and(|s| {
            let groups = s.get("groups").items();
            groups
                .iter()
                .all(|g| g.get("owners").items().iter().any(|o| o.text() == "hello"))
                && s.get("rsc_hold").text() == "local"
        })
    });
    let core = c.processes("hello", "core process")[0].to_string();
    c.run("hello", &["kill", "-STOP", &core]).good("kill -STOP");
    let said = c.run("hello", &["cl_status", "status"]);
    assert_eq!(said.code, Some(12), "{said:?}");
    assert!(
        said.out.starts_with("heartbeat DOES NOT ANSWER; last known state, of "),
        "{said:?}"
    );
    assert!(said.out.contains("10.77.0.100  hello"), "{said:?}");
    assert!(
        said.err.contains("did not answer within 5 s; last known state"),
        "{said:?}"
    );
    let said = c.run("hello", &["cl_status", "status", "--json"]);
    let json = Json::parse(&said.out).expect("JSON");
    assert_eq!((said.code, json.get("from_file").is_true()), (Some(12), true));
    assert_eq!(json.get("node").text(), "hello");
    let said = c.run("hello", &["cl_status", "watch", "--once"]);
    assert_eq!(said.code, Some(12));
    assert!(said.out.starts_with("NO ANSWER from heartbeat for "), "{said:?}");
    c.run("hello", &["kill", "-CONT", &core]).good("kill -CONT");
    c.wait("it answers again", || {
        c.run("hello", &["cl_status", "status"]).code == Some(0)
    });
    c.stable(&["hello", "web"]);
    c.stop("hello");
    assert!(!file.exists());
    let said = c.run("hello", &["cl_status", "status"]);
    assert_eq!((said.code, said.out.as_str()), (Some(13), ""));
    // After a crash of everything the file tells what was.
    let file = c.lab.files("web").run().join("heartbeat/status");
    c.wait("web has written its state", || file.exists());
    c.lab.kill("web").expect("killed");
    let said = c.run("web", &["cl_status", "status"]);
    assert_eq!(said.code, Some(13), "{said:?}");
    assert!(
        said.err.contains("is not running on this node; last known state"),
        "{said:?}"
    );
    assert!(said.out.contains("web (here)"), "{said:?}");
}
