//! A lab with heartbeat's files in it, and the questions a test asks it.

use ha::clients::json::Json;
use ha::lab::{Config, Inside, Lab, Options, Watcher};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

/// Everything awaited here takes a second or two; on a machine that does much else, some more.
pub const BOUND: Duration = Duration::from_secs(30);

/// The address of most tests, without a mask: the route of the lab says the rest.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

/// Says that a test, or a part of one, was left out; `tests/run` collects these lines.
pub fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}

/// What a cluster is made with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub nodes: Vec<&'static str>,
    pub deadtime: &'static str,
    pub auto_failback: &'static str,
    pub media: String,
    /// Further lines of ha.cf.
    pub more: String,
    pub haresources: String,
    pub authkeys: String,
    pub serial: bool,
    /// Hosts that answer pings.
    pub ping: Vec<IpAddr>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            nodes: vec!["hello", "web"],
            deadtime: "1500ms",
            auto_failback: "on",
            media: "bcast eth0\n".into(),
            more: String::new(),
            haresources: format!("hello {VIP}\n"),
            authkeys: "auth 1\n1 sha1 key-of-the-lab\n".into(),
            serial: false,
            ping: Vec::new(),
        }
    }
}

impl Setup {
    pub fn haresources(text: &str) -> Self {
        Self {
            haresources: text.into(),
            ..Self::default()
        }
    }

    pub fn failback(mode: &'static str) -> Self {
        Self {
            auto_failback: mode,
            ..Self::default()
        }
    }

    /// A beat of 100 ms: the machine of a test may be busy, so the times are ten times those of `hb_lab demo`.
    pub fn ha_cf(&self) -> String {
        let nodes: String = self.nodes.iter().map(|n| format!("node {n}\n")).collect();
        format!(
            "logfile /var/log/ha-log\nkeepalive 100ms\ndeadtime {}\nwarntime 700ms\ninitdead {}\nudpport 694\n{}\
             auto_failback {}\n{nodes}{}",
            self.deadtime, self.deadtime, self.media, self.auto_failback, self.more
        )
    }

    /// Makes the lab; no heartbeat runs in it yet. `None`, and a word about it, where there can be none.
    pub fn make(&self, test: &str) -> Option<Cluster> {
        Cluster::with_pings(
            test,
            Config::Texts {
                ha_cf: self.ha_cf(),
                haresources: self.haresources.clone(),
                authkeys: self.authkeys.clone(),
            },
            self.serial,
            &self.ping,
        )
    }

    /// Makes the lab and starts heartbeat on all nodes; each group is on the node that haresources prefers.
    pub fn started(&self, test: &str) -> Option<Cluster> {
        let cluster = self.make(test)?;
        for node in &self.nodes {
            cluster.start(node);
        }
        cluster.all_active(&self.nodes);
        cluster.stable(&self.nodes);
        Some(cluster)
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

impl Said {
    pub fn good(self, what: &str) -> String {
        assert_eq!(self.code, Some(0), "{what}: {self:?}");
        self.out
    }
}

#[derive(Debug)]
pub struct Cluster {
    pub lab: Lab,
}

impl Cluster {
    pub fn of(test: &str, config: Config, serial: bool) -> Option<Self> {
        Self::with_pings(test, config, serial, &[])
    }

    pub fn with_pings(test: &str, config: Config, serial: bool, ping: &[IpAddr]) -> Option<Self> {
        let mut options = Options::new(&format!("{test}-{}", std::process::id()));
        options.program = Some(PathBuf::from(env!("CARGO_BIN_EXE_hb_lab")));
        options.config = config;
        options.serial = serial;
        options.ping = ping.to_vec();
        match Lab::up(&options) {
            Ok(lab) => Some(Self { lab }),
            Err(e) if e.to_string().contains("namespace") => {
                skipped(&format!("tests with real nodes: {e}"));
                None
            }
            Err(e) => panic!("{e}"),
        }
    }

    pub fn run(&self, node: &str, words: &[&str]) -> Said {
        self.lab.exec(node, words).expect("hb_lab runs").into()
    }

    pub fn shell(&self, node: &str, script: &str) -> Said {
        self.run(node, &["sh", "-c", script])
    }

    /// Starts a command in a node; what it says is not wanted.
    pub fn spawn(&self, node: &str, words: &[&str]) -> Inside {
        let quiet = ["sh", "-c", "exec \"$@\" >/dev/null 2>&1", "sh"];
        self.lab.spawn(node, &[&quiet, words].concat()).expect("hb_lab runs")
    }

    /// Starts heartbeat, which must say yes.
    pub fn start(&self, node: &str) {
        let said = Said::from(self.lab.start(node).expect("hb_lab runs"));
        assert_eq!(said.code, Some(0), "start of heartbeat on {node}: {said:?}");
    }

    /// Stops heartbeat in good order.
    pub fn stop(&self, node: &str) {
        let said = Said::from(self.lab.stop(node).expect("hb_lab runs"));
        assert_eq!(said.code, Some(0), "stop of heartbeat on {node}: {said:?}");
    }

    pub fn watch(&self, address: Ipv4Addr) -> Watcher {
        self.lab.watch(address).expect("the client watches")
    }

    /// Looks until it holds; the logs of all nodes are shown when it never does.
    #[track_caller]
    pub fn wait(&self, what: &str, holds: impl FnMut() -> bool) {
        if let Err(why) = self.lab.wait_for(what, BOUND, holds) {
            let calls: String = self
                .lab
                .plan
                .cluster()
                .map(|n| format!("--- scripts of {n}\n{}\n", self.calls(n).join("\n")))
                .collect();
            panic!("{why}{calls}");
        }
    }

    #[track_caller]
    pub fn wait_owner(&self, watcher: &Watcher, node: &str, since: u64) {
        self.wait(&format!("{node} alone has the address"), || {
            let timeline = watcher.timeline();
            timeline.last().is_some_and(|s| s.to > since && s.owners == [node])
        });
    }

    /// `cl_status status --json`; `Null` while heartbeat does not answer.
    pub fn status(&self, node: &str) -> Json {
        let said = self.run(node, &["cl_status", "status", "--json"]);
        match said.code {
            Some(0) => Json::parse(&said.out).expect("cl_status prints JSON"),
            _ => Json::Null,
        }
    }

    /// The state of `node` as `on` sees it.
    pub fn node_status(&self, on: &str, node: &str) -> String {
        self.run(on, &["cl_status", "nodestatus", node]).out.trim().to_owned()
    }

    pub fn counter(&self, node: &str, name: &str) -> u64 {
        self.status(node).get("counters").get(name).number()
    }

    /// Owners of the group with this key, as `on` knows them.
    pub fn owners(&self, on: &str, key: &str) -> Vec<String> {
        let status = self.status(on);
        let groups = status.get("groups").items();
        let group = groups.iter().find(|g| g.get("key").text().ends_with(key));
        group.map_or_else(Vec::new, |g| {
            g.get("owners").items().iter().map(|o| o.text().to_owned()).collect()
        })
    }

    #[track_caller]
    pub fn all_active(&self, nodes: &[&str]) {
        for on in nodes {
            self.wait(&format!("{on} sees all nodes active"), || {
                let status = self.status(on);
                let active = |n: &&Json| n.get("status").text() == "active";
                status.get("nodes").items().iter().filter(active).count() >= nodes.len()
            });
        }
    }

    /// Every group runs on exactly one node, and nothing is on its way.
    #[track_caller]
    pub fn stable(&self, nodes: &[&str]) {
        for on in nodes {
            self.wait(&format!("{on} sees every group settled"), || {
                let status = self.status(on);
                let groups = status.get("groups").items();
                let settled = |g: &Json| {
                    let here = g.get("here").text();
                    g.get("owners").items().len() == 1 && ["running", "stopped", "failed"].contains(&here)
                };
                !matches!(status, Json::Null)
                    && status.get("rsc_hold").text() != "transition"
                    && groups.iter().all(settled)
            });
        }
    }

    pub fn log(&self, node: &str) -> String {
        self.lab.log(node)
    }

    #[track_caller]
    pub fn wait_log(&self, node: &str, text: &str) {
        self.wait(&format!("{node} logs \"{text}\""), || self.log(node).contains(text));
    }

    /// Puts a resource script on all nodes that notes `NAME ARGUMENTS… VERB` of each call but `status`, and remembers
    /// until the next boot whether it was started.
    pub fn recorder(&self, name: &str) {
        self.recorder_in("ha.d/resource.d", name, "");
    }

    /// The same elsewhere; `extra` are shell lines that run before the verb is looked at.
    pub fn recorder_in(&self, directory: &str, name: &str, extra: &str) {
        for node in self.lab.plan.cluster() {
            let text = recorder(&self.lab.files(node).state(), &self.lab.files(node).run(), name, extra);
            self.lab
                .script(node, &format!("{directory}/{name}"), &text)
                .expect("a script");
        }
    }

    /// What the recorders of a node noted.
    pub fn calls(&self, node: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.lab.files(node).state().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn forget_calls(&self, node: &str) {
        let _ = std::fs::remove_file(self.lab.files(node).state().join("calls"));
    }

    /// Process numbers inside the node of heartbeat's processes with this title.
    pub fn processes(&self, node: &str, title: &str) -> Vec<u32> {
        let script = format!(
            "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^heartbeat: {title}' && echo \
             ${{p#/proc/}}; done; true"
        );
        let out = self.shell(node, &script).out;
        out.lines().filter_map(|l| l.parse().ok()).collect()
    }

    /// What `hb_lab status` prints.
    pub fn lab_status(&self) -> String {
        let mut command = std::process::Command::new(&self.lab.plan.program);
        command.args(["status", &self.lab.plan.name]);
        Said::from(command.output().expect("hb_lab runs")).good("hb_lab status")
    }

    pub fn program(&self, name: &str) -> String {
        self.lab.plan.programs.join(name).display().to_string()
    }

    /// Replaces a line of ha.cf of all nodes.
    pub fn change_ha_cf(&self, old: &str, new: &str) {
        for node in self.lab.plan.cluster() {
            let file = self.lab.files(node).ha_d().join("ha.cf");
            let text = std::fs::read_to_string(&file).expect("ha.cf");
            assert!(text.contains(old), "{old} is in\n{text}");
            self.lab
                .write(node, "ha.d/ha.cf", &text.replacen(old, new, 1))
                .expect("written");
        }
    }

    /// `heartbeat -r`
    pub fn reload(&self, node: &str) -> Said {
        self.run(node, &[&self.program("heartbeat"), "-r"])
    }
}

pub fn recorder(state: &std::path::Path, run: &std::path::Path, name: &str, extra: &str) -> String {
    format!(
        r#"#!/bin/sh
eval "verb=\${{$#}}"
calls={calls}
mark={run}/{name}.started
{extra}
case $verb in
start)
	echo "{name} $*" >>"$calls"
	: >"$mark" ;;
stop)
	echo "{name} $*" >>"$calls"
	rm -f "$mark" ;;
status) if [ -e "$mark" ]; then echo running; else echo stopped; exit 3; fi ;;
*) exit 2 ;;
esac
"#,
        calls = state.join("calls").display(),
        run = run.display(),
    )
}
