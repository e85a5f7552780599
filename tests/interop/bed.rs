//! Two nodes, one of each kind, and the questions a scenario asks them.

use ha::lab::{Config, Inside, Lab, Options, Watcher};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

/// The slowest step of the classic (a healed partition) takes some 20 s.
pub const BOUND: Duration = Duration::from_secs(60);

pub const PRIMARY: &str = "node1";
pub const SECONDARY: &str = "node2";
/// Of the group that prefers the primary, with the service `web`.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

/// ERROR lines that the classic writes in any scenario about itself, and why. What it writes in one only is with that.
const KNOWN: [(&str, &str); 2] = [
    (
        "Cannot lock ourselves into memory",
        "the limit for locked memory of whoever started it",
    ),
    (
        "msg2string: Message with zero fields",
        "its FIFO reader, about a message of its own hb_standby that it read in two pieces; the command is lost",
    ),
];

/// Of its last moments when its machine is switched off: the network goes before the processes.
pub const NETWORK_GONE: [&str; 3] = ["No such device", "Network is down", "libnet_write failed"];

/// The page with the table that the rows are for.
const PAGE: &str = include_str!("../../man/hb_migrate.7");

pub fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}

/// The files of a cluster.
#[derive(Clone, Debug)]
pub struct Setup {
    pub auto_failback: &'static str,
    pub keepalive: &'static str,
    pub deadtime: &'static str,
    pub initdead: &'static str,
    pub media: &'static str,
    pub authkeys: &'static str,
    pub serial: bool,
    /// A host that answers pings, and further lines of ha.cf.
    pub ping: Option<Ipv4Addr>,
    pub more: String,
    pub haresources: &'static str,
    /// ERROR lines that the classic also writes about itself in this scenario.
    pub known: &'static [&'static str],
    /// Both nodes begin with the classic.
    pub both_classic: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            auto_failback: "on",
            keepalive: "100ms",
            deadtime: "2",
            initdead: "3",
            media: "bcast eth0",
            authkeys: "auth 1\n1 sha1 the-key-of-both\n",
            serial: false,
            ping: None,
            more: String::new(),
            haresources: "node1 10.77.0.100 web\nnode2 10.77.0.101 mail\n",
            known: &[],
            both_classic: false,
        }
    }
}

impl Setup {
    /// Where nothing comes home by itself, the nodes wait for each other, however slowly the machine starts the second.
    pub fn failback(auto_failback: &'static str) -> Self {
        Self {
            auto_failback,
            initdead: if auto_failback == "off" { "15" } else { "3" },
            ..Self::default()
        }
    }

    pub fn ha_cf(&self) -> String {
        format!(
            "logfile /var/log/ha-log\nkeepalive {}\nwarntime 1\ndeadtime {}\ninitdead {}\nudpport 694\nbaud 115200\n{}\n\
             auto_failback {}\nnode node1\nnode node2\n{}",
            self.keepalive, self.deadtime, self.initdead, self.media, self.auto_failback, self.more
        )
    }
}

/// One measured part of a scenario.
#[derive(Debug, Default)]
pub struct Rows(Vec<(String, Duration)>);

impl Rows {
    pub fn note(&mut self, what: impl Into<String>, took: Duration) {
        self.0.push((what.into(), took));
    }
}

/// Plays a scenario on both sides at once.
pub fn both_sides(name: &str, setup: &Setup, scenario: impl Fn(&Pair, &mut Rows) + Sync) {
    if let Err(why) = possible() {
        skipped(&format!("tests with heartbeat 3.0.6: {why}"));
        return;
    }
    let play = |ours: &'static str| {
        let pair = Pair::make(name, setup, ours);
        let mut rows = Rows::default();
        scenario(&pair, &mut rows);
        pair.no_complaint(pair.theirs, setup.known);
        rows.0
    };
    let (first, second) = thread::scope(|s| {
        let primary = s.spawn(|| play(PRIMARY));
        let secondary = s.spawn(|| play(SECONDARY));
        (primary.join(), secondary.join())
    });
    let side = |result: thread::Result<_>, side: &str| match result {
        Ok(rows) => rows,
        Err(why) => {
            let text = why.downcast_ref::<String>().cloned();
            panic!("{name}, ours is the {side}: {}", text.unwrap_or_default());
        }
    };
    let (first, second) = (side(first, "primary"), side(second, "secondary"));
    let mut labels: Vec<&String> = Vec::new();
    for (label, _) in first.iter().chain(&second) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    for label in &labels {
        let of = |rows: &[(String, Duration)]| {
            let found = rows.iter().find(|(l, _)| l == *label);
            found.map_or("-".to_owned(), |(_, took)| format!("{:.1}", took.as_secs_f64()))
        };
        row(label, &of(&first), &of(&second));
    }
    for label in labels {
        in_the_page(label);
    }
}

/// A row of the table in hb_migrate(7).
pub fn row(label: &str, primary: &str, secondary: &str) {
    println!("ROW | {label} | {primary} | {secondary}");
}

/// tests/interop/table makes the table of all rows.
pub fn in_the_page(label: &str) {
    assert!(
        PAGE.contains(&format!("\n.It {label} Ta ")),
        "hb_migrate(7) has no row \"{label}\": tests/interop/table --write makes the table"
    );
}

fn programs() -> PathBuf {
    let hb_lab = Path::new(env!("CARGO_BIN_EXE_hb_lab"));
    hb_lab.parent().expect("a program is in a directory").to_owned()
}

/// Can the classic run here?
pub fn possible() -> Result<(), String> {
    let packages = ha::lab::classic::packages(None, &programs()).map_err(|e| e.to_string())?;
    // The machine must have the libraries that the packages were made for.
    let daemon = packages.join("usr/libexec/heartbeat/heartbeat");
    let path = packages.join("usr/lib");
    let more = path.join("x86_64-linux-gnu");
    let said = std::process::Command::new(daemon)
        .arg("-V")
        .env("LD_LIBRARY_PATH", format!("{}:{}", path.display(), more.display()))
        .output()
        .map_err(|e| e.to_string())?;
    if String::from_utf8_lossy(&said.stdout).starts_with("3.0.6") {
        Ok(())
    } else {
        Err(format!(
            "its program does not run: {}",
            String::from_utf8_lossy(&said.stderr)
        ))
    }
}

/// What a command left behind.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

#[derive(Debug)]
pub struct Pair {
    pub lab: Lab,
    pub ours: &'static str,
    pub theirs: &'static str,
    /// In which nobody says what it holds.
    legacy: bool,
}

impl Pair {
    pub fn make(name: &str, setup: &Setup, ours: &'static str) -> Self {
        let side = if ours == PRIMARY { "p" } else { "s" };
        let mut options = Options::new(&format!("interop-{name}-{side}-{}", std::process::id()));
        options.program = Some(PathBuf::from(env!("CARGO_BIN_EXE_hb_lab")));
        options.config = Config::Texts {
            ha_cf: setup.ha_cf(),
            haresources: setup.haresources.into(),
            authkeys: setup.authkeys.into(),
        };
        options.serial = setup.serial;
        options.ping = setup.ping.into_iter().map(Into::into).collect();
        let theirs = if ours == PRIMARY { SECONDARY } else { PRIMARY };
        options.classic = vec![theirs.into()];
        if setup.both_classic {
            options.classic.push(ours.into());
        }
        let lab = Lab::up(&options).unwrap_or_else(|e| panic!("{e}"));
        let legacy = setup.auto_failback == "legacy";
        let pair = Self {
            lab,
            ours,
            theirs,
            legacy,
        };
        for service in ["web", "mail"] {
            for node in [PRIMARY, SECONDARY] {
                let text = recorder(&pair.lab, node, service);
                let file = format!("ha.d/resource.d/{service}");
                pair.lab.script(node, &file, &text).expect("a script");
            }
        }
        pair
    }

    pub fn run(&self, node: &str, words: &[&str]) -> Said {
        self.lab.exec(node, words).expect("hb_lab runs").into()
    }

    #[track_caller]
    pub fn good(&self, node: &str, words: &[&str]) -> String {
        let said = self.run(node, words);
        if said.code != Some(0) {
            self.failed(&format!("{words:?} on {node}: {said:?}"));
        }
        said.out
    }

    /// Types a command that moves something. The classic loses one now and then in its own FIFO, and says so.
    #[track_caller]
    pub fn command(&self, node: &str, words: &[&str]) {
        let lost = || self.log(node).matches("Message with zero fields").count();
        let begun = lost();
        self.good(node, words);
        if node == self.theirs {
            let before = self.running();
            let patience = Instant::now() + Duration::from_secs(5);
            while Instant::now() < patience && self.running() == before {
                thread::sleep(Duration::from_millis(50));
                if lost() > begun {
                    self.good(node, words);
                    return;
                }
            }
        }
    }

    #[track_caller]
    pub fn start(&self, node: &str) {
        let said = Said::from(self.lab.start(node).expect("hb_lab runs"));
        assert_eq!(said.code, Some(0), "start on {node}: {said:?}");
    }

    #[track_caller]
    pub fn stop(&self, node: &str) {
        let said = Said::from(self.lab.stop(node).expect("hb_lab runs"));
        assert_eq!(said.code, Some(0), "stop on {node}: {said:?}");
    }

    /// Both run, and each group is where haresources wants it.
    #[track_caller]
    pub fn started(&self) -> Duration {
        let begun = Instant::now();
        self.start(PRIMARY);
        self.start(SECONDARY);
        self.settled(&[(PRIMARY, "web"), (SECONDARY, "mail")], begun)
    }

    pub fn log(&self, node: &str) -> String {
        self.lab.log(node)
    }

    pub fn watch(&self) -> Watcher {
        self.lab.watch(VIP).expect("the client watches")
    }

    /// Fails, with both logs.
    #[track_caller]
    pub fn failed(&self, what: &str) -> ! {
        let logs = [PRIMARY, SECONDARY].map(|n| {
            let kind = if n == self.ours { "ours" } else { "theirs" };
            format!(
                "--- {kind}, {n}\n{}--- scripts of {n}\n{}\n",
                self.log(n),
                self.calls(n).join("\n")
            )
        });
        panic!("{what}\n{}", logs.concat());
    }

    /// Looks until it holds; returns when it did.
    #[track_caller]
    pub fn wait(&self, what: &str, holds: impl FnMut() -> bool) {
        self.wait_for(BOUND, what, holds);
    }

    #[track_caller]
    pub fn wait_for(&self, bound: Duration, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            if begun.elapsed() >= bound {
                self.failed(&format!("{what}: not within {bound:?}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn wait_log(&self, node: &str, text: &str) {
        self.wait(&format!("{node} logs \"{text}\""), || self.log(node).contains(text));
    }

    pub fn runs(&self, node: &str, service: &str) -> bool {
        self.is_on(node) && self.lab.files(node).run().join(format!("{service}.started")).exists()
    }

    pub fn is_on(&self, node: &str) -> bool {
        self.lab
            .ask("status")
            .is_ok_and(|s| s.contains(&format!("node {node} on")))
    }

    /// The classic announces two seconds more than its deadtime in its first five: a crash then is noticed later.
    pub fn grown_up(&self) {
        thread::sleep(Duration::from_secs(6));
    }

    /// What every node runs, as `node1 web`.
    pub fn running(&self) -> Vec<(&'static str, &'static str)> {
        let all = [PRIMARY, SECONDARY].map(|n| ["web", "mail"].map(|s| (n, s)));
        all.concat().into_iter().filter(|(n, s)| self.runs(n, s)).collect()
    }

    pub fn rscstatus(&self, node: &str) -> String {
        self.run(node, &["cl_status", "rscstatus"]).out.trim().to_owned()
    }

    /// Waits until exactly this runs, and then until both programs say that they are calm and hold what they hold.
    /// Returns how long it took to run, since `begun`.
    #[track_caller]
    pub fn settled(&self, wanted: &[(&'static str, &'static str)], begun: Instant) -> Duration {
        let sorted = |mut v: Vec<(&'static str, &'static str)>| {
            v.sort_unstable();
            v
        };
        let wanted = sorted(wanted.to_vec());
        let what = format!("exactly {wanted:?} run");
        self.wait(&what, || sorted(self.running()) == wanted);
        let took = begun.elapsed();
        for node in [PRIMARY, SECONDARY].into_iter().filter(|_| !self.legacy) {
            let local = if node == PRIMARY { "web" } else { "mail" };
            let foreign = if node == PRIMARY { "mail" } else { "web" };
            let word = match (wanted.contains(&(node, local)), wanted.contains(&(node, foreign))) {
                (true, true) => "all",
                (true, false) => "local",
                (false, true) => "foreign",
                (false, false) => "none",
            };
            if self.lives(node) {
                self.wait(&format!("{node} says that it holds {word}"), || {
                    self.rscstatus(node) == word
                });
            }
        }
        if sorted(self.running()) != wanted {
            self.failed(&format!("{what}, and then something else: {:?}", self.running()));
        }
        took
    }

    /// Heartbeat runs there.
    pub fn lives(&self, node: &str) -> bool {
        self.is_on(node) && self.run(node, &["heartbeat", "-s"]).code == Some(0)
    }

    pub fn status(&self, on: &str, node: &str) -> String {
        self.run(on, &["cl_status", "nodestatus", node]).out.trim().to_owned()
    }

    pub fn calls(&self, node: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.lab.files(node).state().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn forget_calls(&self) {
        for node in [PRIMARY, SECONDARY] {
            let _ = std::fs::remove_file(self.lab.files(node).state().join("calls"));
        }
    }

    /// No call of a script since [`forget_calls`](Self::forget_calls).
    #[track_caller]
    pub fn nothing_moved(&self) {
        for node in [PRIMARY, SECONDARY] {
            if !self.calls(node).is_empty() {
                self.failed(&format!("something moved on {node}: {:?}", self.calls(node)));
            }
        }
    }

    /// Runs a script of the node's shell.
    #[track_caller]
    pub fn shell(&self, node: &str, script: &str) -> String {
        self.good(node, &["sh", "-c", script])
    }

    /// In the background; what it writes is [`output`](Self::output).
    pub fn in_background(&self, node: &str, command: &str, out: &str) -> Inside {
        let script = format!("exec {command} >/var/log/{out} 2>&1");
        self.lab.spawn(node, &["sh", "-c", &script]).expect("hb_lab runs")
    }

    pub fn output(&self, node: &str, out: &str) -> String {
        std::fs::read_to_string(self.lab.files(node).log().join(out)).unwrap_or_default()
    }

    /// A line of all nodes' ha.cf, or of one's.
    pub fn change(&self, node: &str, file: &str, old: &str, new: &str) {
        let path = self.lab.files(node).ha_d().join(file);
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(old), "{old} is in\n{text}");
        self.lab
            .write(node, &format!("ha.d/{file}"), &text.replacen(old, new, 1))
            .expect("written");
    }

    /// Nobody saw two nodes answer for the address.
    #[track_caller]
    pub fn never_double(&self, watcher: &Watcher, since: u64) {
        watcher.settle();
        let doubles = watcher.doubles(since);
        if !doubles.is_empty() {
            let now = Watcher::now();
            let ago: Vec<String> = doubles
                .iter()
                .map(|d| format!("{} ms long, {} ms ago", (d.to - d.from) / 1000, (now - d.from) / 1000))
                .collect();
            self.failed(&format!("two nodes had the address: {ago:?}"));
        }
    }

    /// What the classic wrote about us; and in its node ours, before or after it.
    #[track_caller]
    pub fn no_complaint(&self, node: &str, known_here: &[&str]) {
        let log = self.log(node);
        let bad = complaints(&log, known_here);
        if !bad.is_empty() {
            self.failed(&format!("complaints on {node}:\n{}", bad.join("\n")));
        }
    }
}

/// The ERROR lines of a log that are not known.
fn complaints<'a>(log: &'a str, known_here: &[&str]) -> Vec<&'a str> {
    let known = |line: &&str| {
        let everywhere = KNOWN.iter().map(|(text, _)| text);
        everywhere.chain(known_here).any(|text| line.contains(text))
    };
    log.lines().filter(|l| l.contains("ERROR") && !known(l)).collect()
}

/// A resource script that notes `NAME VERB` of each call but `status`.
fn recorder(lab: &Lab, node: &str, name: &str) -> String {
    let (state, run) = (lab.files(node).state(), lab.files(node).run());
    format!(
        r#"#!/bin/sh
calls={calls}
mark={run}/{name}.started
case $1 in
start)
	echo "{name} $1" >>"$calls"
	[ ! -e {state}/fail-{name} ] || exit 1
	: >"$mark" ;;
stop)
	echo "{name} $1" >>"$calls"
	rm -f "$mark" ;;
status) if [ -e "$mark" ]; then echo running; else echo stopped; exit 3; fi ;;
*) exit 2 ;;
esac
"#,
        calls = state.join("calls").display(),
        state = state.display(),
        run = run.display(),
    )
}
