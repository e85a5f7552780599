//! lrmd as a process with real agents: those of Debian's resource-agents where they are installed, scripts of init.d and
//! resource.d, and agents that hang, flood, are missing or are left behind.

use ha::agents::protocol::{Fencing, How};
use ha::agents::{Agent, Finished, Known, MetaData, Order, Status};
use ha::run::lrmd::client::{Event, Lrm};
use ha::sys::now;
use ha::sys::poll::wait;
use ha::time::Duration;
use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Longer than anything here takes on a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(90);
const OCF: &str = "/usr/lib/ocf";

/// A node of its own: state, agents, and the lrmd that serves it.
struct Node {
    dir: PathBuf,
    lrmd: Option<Child>,
    /// In front of the program, to run it somewhere else.
    wrapper: Vec<String>,
}

impl Node {
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !ha::sys::process::is_root() {
            return skipped("agents are run by root only");
        }
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("ha-lrmd-{}-{n}", std::process::id()));
        for place in [
            "state",
            "run",
            "ha.d/resource.d",
            "init.d",
            "external",
            "sbin",
            "ocf/resource.d/test",
        ] {
            std::fs::create_dir_all(dir.join(place)).unwrap();
        }
        for real in ["lib", "resource.d/heartbeat", "resource.d/pacemaker"] {
            if Path::new(OCF).join(real).is_dir() {
                std::os::unix::fs::symlink(Path::new(OCF).join(real), dir.join("ocf").join(real)).unwrap();
            }
        }
        // hacluster must get through.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self {
            dir,
            lrmd: None,
            wrapper: Vec::new(),
        })
    }

    fn path(&self, place: &str) -> PathBuf {
        self.dir.join(place)
    }

    /// Written by another process: one that this process has open for writing could not be executed while a sibling test
    /// forks at that moment ("text file busy").
    fn write(&self, place: &str, mode: &str, text: &str) {
        let mut sh = Command::new("/bin/sh")
            .args(["-c", "cat > \"$1\" && chmod \"$2\" \"$1\"", "sh"])
            .args([self.path(place).to_str().unwrap(), mode])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
    }

    fn script(&self, place: &str, text: &str) {
        self.write(place, "755", &format!("#!/bin/sh\nD={}\n{text}\n", self.dir.display()));
    }

    fn start(&mut self) {
        let program = env!("CARGO_BIN_EXE_lrmd").to_owned();
        let words: Vec<String> = self.wrapper.iter().cloned().chain([program]).collect();
        let place = |name: &str| self.path(name);
        let child = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HA_VARLIB", place("state"))
            .env("HA_RUN", place("run"))
            .env("HA_DIR", place("ha.d"))
            .env("HA_INITDIR", place("init.d"))
            .env("HA_STONITHDIR", place("external"))
            .env("HA_FENCEDIR", place("sbin"))
            .env("HA_RSCTMP", place("run"))
            .env("HA_CURHOST", "node1")
            .env("OCF_ROOT", place("ocf"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.lrmd = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut lrmd) = self.lrmd.take() {
            lrmd.kill().unwrap();
            lrmd.wait().unwrap();
        }
    }

    fn pid(&self) -> u32 {
        self.lrmd.as_ref().unwrap().id()
    }

    /// A crmd of this node, connected.
    fn crmd(&self) -> Crmd {
        self.crmd_and_known().0
    }

    fn crmd_and_known(&self) -> (Crmd, Vec<Known>) {
        let mut crmd = Crmd {
            lrm: Lrm::at(self.path("state/crm/lrm"), "crmd"),
            events: VecDeque::new(),
            next: 1000,
        };
        let known = crmd.connected();
        (crmd, known)
    }

    fn started() -> Option<(Self, Crmd)> {
        let mut node = Self::new()?;
        node.start();
        let crmd = node.crmd();
        Some((node, crmd))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn skipped<T>(reason: &str) -> Option<T> {
    eprintln!("SKIPPED: {reason}");
    None
}

/// What crmd does with its library.
struct Crmd {
    lrm: Lrm,
    events: VecDeque<Event>,
    next: u64,
}

impl Crmd {
    fn event(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let until = now() + PATIENCE;
        loop {
            if let Some(at) = self.events.iter().position(&wanted) {
                return self.events.remove(at).unwrap();
            }
            assert!(now() < until, "no {what}; there is {:?}", self.events);
            self.events.extend(self.lrm.turn(now()));
            if self.events.is_empty() || !self.events.iter().any(&wanted) {
                wait(&self.lrm.wants(), self.lrm.deadline().min(until)).unwrap();
            }
        }
    }

    fn connected(&mut self) -> Vec<Known> {
        match self.event("connection", |e| matches!(e, Event::Connected { .. })) {
            Event::Connected { known } => known,
            _ => unreachable!(),
        }
    }

    fn order(&mut self, agent: &str, rsc: &str, op: &str, params: &[(&str, &str)]) -> Order {
        self.next += 1;
        let expected = if op == "monitor" { 7 } else { 0 };
        Order {
            id: self.next,
            rsc: rsc.into(),
            agent: agent.parse().unwrap(),
            op: op.into(),
            interval: Duration::ZERO,
            timeout: Duration::from_secs(60),
            start_delay: Duration::ZERO,
            params: params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            key: format!("1:2:{expected}:u"),
        }
    }

    fn result(&mut self, rsc: &str, op: &str) -> Finished {
        let what = format!("result of {rsc} {op}");
        match self.event(&what, |e| matches!(e, Event::Result(f) if f.rsc == rsc && f.op == op)) {
            Event::Result(finished) => finished,
            _ => unreachable!(),
        }
    }

    /// Runs it to its end.
    fn run(&mut self, agent: &str, rsc: &str, op: &str, params: &[(&str, &str)]) -> Finished {
        let order = self.order(agent, rsc, op, params);
        assert!(self.lrm.exec(order));
        self.result(rsc, op)
    }

    fn rc(&mut self, agent: &str, rsc: &str, op: &str, params: &[(&str, &str)]) -> i32 {
        let finished = self.run(agent, rsc, op, params);
        assert_eq!(finished.status, Status::Done, "{finished:?}");
        finished.rc
    }

    fn meta(&mut self, agent: &str) -> Result<MetaData, String> {
        self.next += 1;
        let number = self.next;
        let asked: Agent = agent.parse().unwrap();
        assert!(self.lrm.meta(number, asked));
        let answer = self.event(
            &format!("meta-data of {agent}"),
            |e| matches!(e, Event::Meta { id, .. } | Event::Refused { id, .. } if *id == number),
        );
        match answer {
            Event::Meta { xml, .. } => Ok(MetaData::parse(&xml).unwrap()),
            Event::Refused { why, .. } => Err(why),
            _ => unreachable!(),
        }
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let end = now() + PATIENCE;
    while !condition() {
        assert!(now() < end, "{what}: it did not come to that");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `None` and a word about it when the machine lacks the agent.
fn installed(agent: &str) -> Option<()> {
    match Path::new(OCF).join("resource.d").join(agent).exists() {
        true => Some(()),
        false => skipped(&format!(
            "there is no {OCF}/resource.d/{agent} (Debian: resource-agents)"
        )),
    }
}

/// Tests that may have to be skipped end with `None`.
fn test(body: impl FnOnce() -> Option<()>) {
    let _ = body();
}

#[test]
fn debians_dummy_runs_unchanged() {
    test(|| {
        installed("heartbeat/Dummy")?;
        let (node, mut crmd) = Node::started()?;
        let state = node.path("state-file").display().to_string();
        let params: &[_] = &[("state", &*state)];
        for (op, rc) in [
            ("monitor", 7),
            ("start", 0),
            ("monitor", 0),
            ("stop", 0),
            ("monitor", 7),
            ("validate-all", 0),
        ] {
            assert_eq!(crmd.rc("ocf:heartbeat:Dummy", "d", op, params), rc, "{op}");
            assert_eq!(
                Path::new(&state).exists(),
                op == "start" || (op, rc) == ("monitor", 0),
                "{op}"
            );
        }
        // What it does not know it says itself.
        assert_eq!(crmd.rc("ocf:heartbeat:Dummy", "d", "promote", params), 3);
        Some(())
    });
}

#[test]
fn a_stateful_agent_is_promoted_and_its_restart_parameters_are_told() {
    test(|| {
        installed("pacemaker/Stateful")?;
        let (node, mut crmd) = Node::started()?;
        // Its programs are heartbeat's own; these only have to be there.
        let state = node.path("s.state").display().to_string();
        let params: &[_] = &[("state", &*state), ("OCF_CHECK_LEVEL", "0")];
        for (op, rc) in [
            ("monitor", 7),
            ("start", 0),
            ("monitor", 0),
            ("promote", 0),
            ("monitor", 8),
            ("demote", 0),
            ("stop", 0),
        ] {
            let finished = crmd.run("ocf:pacemaker:Stateful", "s", op, params);
            assert_eq!(finished.rc, rc, "{finished:?}");
        }
        installed("pacemaker/Dummy")?;
        let params: &[_] = &[("state", &*state), ("fake", "1"), ("CRM_meta_timeout", "60000")];
        let started = crmd.run("ocf:pacemaker:Dummy", "d", "start", params);
        assert_eq!(started.rc, 0, "{started:?}");
        let (names, digest) = started.restart.clone().expect("it can reload");
        assert_eq!(names.trim(), "state");
        // Of `state` alone, as an order with only that has it; the whole digest has both.
        let only = crmd.order("ocf:pacemaker:Dummy", "d", "start", &[("state", &*state)]);
        assert_eq!(digest, only.digest());
        assert_ne!(started.digest, digest);
        assert_eq!(crmd.run("ocf:pacemaker:Dummy", "d", "stop", params).restart, None);
        Some(())
    });
}

#[test]
fn an_agent_finds_its_environment_and_nothing_else() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.script(
            "ocf/resource.d/test/env",
            "env > $D/env.$1; echo \"ocf-exit-reason:said $1\" >&2; exit 1",
        );
        let params: &[_] = &[
            ("ip", "10.0.0.1"),
            ("OCF_CHECK_LEVEL", "10"),
            ("CRM_meta_notify_active_uname", " "),
            ("passwd", "geheim!"),
        ];
        let finished = crmd.run("ocf:test:env", "x:0", "start", params);
        assert_eq!(
            (finished.rc, finished.status, &*finished.reason),
            (1, Status::Done, "said start")
        );
        let env = std::fs::read_to_string(node.path("env.start")).unwrap();
        for line in [
            "OCF_RESKEY_ip=10.0.0.1",
            "OCF_CHECK_LEVEL=10",
            "OCF_RESKEY_CRM_meta_timeout=60000",
            "OCF_RESKEY_CRM_meta_on_node=node1",
            "OCF_RESKEY_CRM_meta_notify_active_uname= ",
            "OCF_RESOURCE_INSTANCE=x:0",
            "OCF_RESOURCE_PROVIDER=test",
            "OCF_RA_VERSION_MAJOR=1",
            "HA_CURHOST=node1",
        ] {
            assert!(env.lines().any(|l| l == line), "{line} is not in\n{env}");
        }
        let path = env.lines().find_map(|l| l.strip_prefix("PATH=")).unwrap();
        assert!(
            path.starts_with("/usr/lib/heartbeat:") && path.contains("/usr/sbin"),
            "{path}"
        );
        let strange = |l: &&str| {
            !["OCF_", "HA_", "PATH=", "PWD=", "SHLVL=", "_="]
                .iter()
                .any(|p| l.starts_with(p))
        };
        assert_eq!(env.lines().filter(strange).collect::<Vec<_>>(), Vec::<&str>::new());
        Some(())
    });
}

#[test]
fn scripts_of_init_d_and_of_resource_d() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.script(
            "init.d/svc",
            "echo \"$@\" >> $D/lsb; case $1 in status) exit $(cat $D/lsb.rc);; start) exit 150;; esac",
        );
        #[rustfmt::skip]
        let table = [("0", 0), ("1", 7), ("2", 7), ("3", 7), ("4", 1)];
        for (code, rc) in table {
            std::fs::write(node.path("lsb.rc"), code).unwrap();
            assert_eq!(crmd.rc("lsb:svc", "l", "monitor", &[]), rc, "status {code}");
        }
        assert_eq!(crmd.rc("lsb:svc", "l", "start", &[]), 1);
        assert_eq!(crmd.rc("service:svc", "l", "stop", &[("1", "no parameters")]), 0);
        let called = std::fs::read_to_string(node.path("lsb")).unwrap();
        assert_eq!(
            called.lines().collect::<Vec<_>>(),
            ["status", "status", "status", "status", "status", "start", "stop"]
        );

        node.script(
            "ha.d/resource.d/v1",
            "echo \"$@\" >> $D/v1; [ \"$3\" = status ] && cat $D/v1.says; exit 3",
        );
        let params: &[_] = &[("2", "eth0"), ("1", "10.0.0.1"), ("x", "not this one")];
        for (says, rc) in [
            ("OK\n", 0),
            ("is running\n", 0),
            ("stopped\n", 7),
            ("not running\n", 7),
            ("", 7),
        ] {
            std::fs::write(node.path("v1.says"), says).unwrap();
            assert_eq!(crmd.rc("heartbeat:v1", "v", "monitor", params), rc, "{says:?}");
        }
        assert_eq!(
            crmd.rc("heartbeat:v1", "v", "start", params),
            3,
            "of others the exit code counts"
        );
        let called = std::fs::read_to_string(node.path("v1")).unwrap();
        assert_eq!(called.lines().last(), Some("10.0.0.1 eth0 start"));
        Some(())
    });
}

#[test]
fn what_is_missing_or_cannot_be_asked_is_said() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.write("init.d/plain", "644", "#!/bin/sh\n");
        node.script("init.d/svc", "exit 0");
        node.write("ocf/resource.d/test/interpreter", "755", "#!/no/such/shell\n");
        #[rustfmt::skip]
        let table = [
            ("ocf:test:nothing",    "start",   5, Status::NotInstalled, "there is no"),
            ("lsb:nothing",         "monitor", 5, Status::NotInstalled, "there is no"),
            ("heartbeat:nothing",   "stop",    5, Status::NotInstalled, "and no"),
            ("lsb:plain",           "start",   5, Status::NotInstalled, "chmod 755"),
            ("lsb:svc",             "promote", 3, Status::NotSupported, "class lsb cannot promote"),
            ("ocf:test:interpreter", "start",  1, Status::Failed,       "No such file"),
            ("stonith:fence_nothing", "start", 5, Status::NotInstalled, "there is no"),
        ];
        for (agent, op, rc, status, part) in table {
            let f = crmd.run(agent, "m", op, &[]);
            assert!(
                f.rc == rc && f.status == status && f.reason.contains(part),
                "{agent} {op}: {f:?}"
            );
        }
        if !Path::new("/run/systemd/system").is_dir() {
            let f = crmd.run("systemd:cron", "m", "start", &[]);
            assert!(f.rc == 5 && f.reason.contains("not run by systemd"), "{f:?}");
        }
        let mut bad = crmd.order("lsb:svc", "m", "start", &[]);
        bad.rsc = "two words".into();
        let number = bad.id;
        crmd.lrm.exec(bad);
        let Event::Refused { why, .. } =
            crmd.event("refusal", |e| matches!(e, Event::Refused { id, .. } if *id == number))
        else {
            unreachable!()
        };
        assert!(why.contains("rsc"), "{why}");
        Some(())
    });
}

#[test]
fn an_agent_that_hangs_is_killed_with_its_children() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.script(
            "ocf/resource.d/test/hang",
            "trap '' TERM\n(trap '' TERM; echo $$ > $D/child; while :; do sleep 1; done) &\necho $! > $D/pids; echo $$ >> $D/pids; wait",
        );
        node.script("ocf/resource.d/test/quick", "exit 0");
        let mut order = crmd.order("ocf:test:hang", "h", "start", &[]);
        order.timeout = Duration::from_secs(1);
        crmd.lrm.exec(order);
        // What waits behind it is not lost, and others do not wait.
        let behind = crmd.order("ocf:test:quick", "h", "stop", &[]);
        crmd.lrm.exec(behind);
        assert_eq!(crmd.rc("ocf:test:quick", "other", "start", &[]), 0);
        assert!(
            !crmd.events.iter().any(|e| matches!(e, Event::Result(_))),
            "{:?}",
            crmd.events
        );
        let finished = crmd.result("h", "start");
        assert_eq!((finished.rc, finished.status), (1, Status::TimedOut), "{finished:?}");
        assert!(finished.reason.contains("1000 ms"), "{finished:?}");
        let pids = std::fs::read_to_string(node.path("pids")).unwrap();
        for pid in pids.lines() {
            until("the end of its children", || {
                !ha::sys::process::is_alive(pid.parse().unwrap())
            });
        }
        assert_eq!(crmd.result("h", "stop").rc, 0);
        Some(())
    });
}

#[test]
fn an_agent_that_floods_costs_nothing() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.script(
            "ocf/resource.d/test/flood",
            "head -c 50000000 /dev/zero | tr '\\0' 'x' | fold -w 100; printf '\\033[31m ocf-exit-reason:not this\\nocf-exit-reason:too much\\n' >&2; exit 1",
        );
        let finished = crmd.run("ocf:test:flood", "f", "start", &[]);
        assert_eq!((finished.rc, &*finished.reason), (1, "too much"));
        assert!(
            finished.output.len() <= 4096 && !finished.output.contains('\u{1b}'),
            "{}",
            finished.output.len()
        );
        let pss = pss_kib(node.pid());
        assert!(pss < 8 * 1024, "{pss} KiB");
        node.script("ocf/resource.d/test/flood", "yes '<a>' | head -c 3000000; exit 0");
        assert!(crmd.meta("ocf:test:flood").unwrap_err().contains("meta-data"));
        Some(())
    });
}

#[test]
fn only_changes_of_a_recurring_monitor_are_told_and_a_stop_ends_it() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.script(
            "ocf/resource.d/test/m",
            "echo $1 >> $D/calls; [ $1 = monitor ] && exit $(cat $D/rc); exit 0",
        );
        std::fs::write(node.path("rc"), "0").unwrap();
        let mut order = crmd.order("ocf:test:m", "m", "monitor", &[]);
        order.interval = Duration::from_millis(50);
        order.key = "1:2:0:u".into();
        crmd.lrm.exec(order.clone());
        assert_eq!(crmd.result("m", "monitor").rc, 0);
        let calls = || {
            std::fs::read_to_string(node.path("calls"))
                .unwrap_or_default()
                .lines()
                .count()
        };
        until("more looks", || calls() > 5);
        std::fs::write(node.path("rc"), "7").unwrap();
        let failed = crmd.result("m", "monitor");
        assert_eq!(
            (failed.rc, failed.key.as_str(), failed.interval),
            (7, "1:2:0:u", order.interval)
        );
        let before = calls();
        until("more looks", || calls() > before + 5);
        assert_eq!(crmd.rc("ocf:test:m", "m", "stop", &[]), 0);
        let cancelled = crmd.result("m", "monitor");
        assert_eq!(
            cancelled.status,
            Status::Cancelled,
            "nothing was told in between: {cancelled:?}"
        );
        let lines = std::fs::read_to_string(node.path("calls")).unwrap();
        assert_eq!(lines.lines().last(), Some("stop"));
        crmd.lrm.cancel("m", "monitor", order.interval);
        assert_eq!(crmd.result("m", "monitor").call_id, 0, "there is none any more");
        Some(())
    });
}

#[test]
fn a_crmd_that_comes_back_is_told_everything() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.script(
            "ocf/resource.d/test/m",
            "case $1 in monitor) exit 0;; promote) while [ ! -e $D/go ]; do sleep 0.05; done;; esac; exit 0",
        );
        // More than one answer holds.
        for n in 0..40 {
            assert_eq!(crmd.rc("ocf:test:m", &format!("r{n:02}"), "start", &[]), 0);
        }
        let mut monitor = crmd.order("ocf:test:m", "r00", "monitor", &[]);
        monitor.interval = Duration::from_millis(100);
        crmd.lrm.exec(monitor);
        crmd.result("r00", "monitor");
        let slow = crmd.order("ocf:test:m", "r01", "promote", &[]);
        crmd.lrm.exec(slow);
        crmd.event("pending", |e| matches!(e, Event::Pending { call_id: 42, .. }));
        drop(crmd);
        let (mut crmd, known) = node.crmd_and_known();
        assert_eq!(known.len(), 40);
        let ops: Vec<_> = known[0]
            .history
            .iter()
            .map(|f| (&*f.op, f.rc, f.interval.as_millis()))
            .collect();
        assert_eq!(ops, [("start", 0, 0), ("monitor", 0, 100)]);
        let pending: Vec<_> = known[1].pending.iter().map(|p| (&*p.op, p.call_id)).collect();
        assert_eq!(pending, [("promote", 42)]);
        std::fs::write(node.path("go"), "").unwrap();
        assert_eq!(
            crmd.result("r01", "promote").call_id,
            42,
            "the new one hears of its end"
        );
        crmd.lrm.forget("r01");
        assert_eq!(crmd.rc("ocf:test:m", "r00", "notify", &[]), 0, "it has been read");
        drop(crmd);
        assert_eq!(node.crmd_and_known().1.len(), 39);
        Some(())
    });
}

#[test]
fn agents_of_a_killed_lrmd_are_not_lost() {
    test(|| {
        let (mut node, mut crmd) = Node::started()?;
        // What it starts writes where it writes, for ever.
        node.script(
            "ocf/resource.d/test/slow",
            "echo begin $1 >> $D/log\n\
             if [ $1 = start ]; then\n\
             (while :; do echo I serve; echo x >> $D/beats; sleep 0.05; done) &\n\
             echo $! > $D/service; touch $D/runs\n\
             while [ ! -e $D/go ]; do echo still there; echo still there >&2; sleep 0.05; done\n\
             fi\n\
             echo end $1 >> $D/log; exit 0",
        );
        let start = crmd.order("ocf:test:slow", "s", "start", &[]);
        crmd.lrm.exec(start);
        until("the agent", || node.path("runs").exists());
        node.kill();
        crmd.event("end", |e| *e == Event::Gone);
        assert!(!crmd.lrm.is_connected());
        node.start();
        assert_eq!(crmd.connected(), [], "the new one has no history");
        let probe = crmd.order("ocf:test:slow", "s", "monitor", &[]);
        crmd.lrm.exec(probe);
        // Others do not wait for it.
        assert_eq!(crmd.rc("ocf:test:slow", "other", "monitor", &[]), 0);
        assert!(
            !crmd.events.iter().any(|e| matches!(e, Event::Result(_))),
            "{:?}",
            crmd.events
        );
        std::fs::write(node.path("go"), "").unwrap();
        assert_eq!(crmd.result("s", "monitor").rc, 0);
        let log = std::fs::read_to_string(node.path("log")).unwrap();
        let mine: Vec<&str> = log.lines().collect();
        let end = mine.iter().position(|l| *l == "end start").unwrap();
        let looks: Vec<usize> = (0..mine.len()).filter(|i| mine[*i] == "begin monitor").collect();
        assert!(
            looks.len() == 2 && looks[1] > end,
            "it looked only after the end of the start: {mine:?}"
        );
        Some(())
    });
}

/// Nothing of the library waits: an order that does not fit into the FIFO goes when there is room.
#[test]
fn an_lrmd_that_is_frozen_freezes_nobody() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        let signal = |name: &str| {
            let done = Command::new("kill").args([name, &node.pid().to_string()]).status();
            assert!(done.unwrap().success());
        };
        signal("-STOP");
        // Ten times what the FIFO holds; none of them needs a process.
        const ORDERS: usize = 3000;
        for n in 0..ORDERS {
            let order = crmd.order(
                "stonith:null",
                &format!("r{:02}", n % 100),
                "stop",
                &[("hostlist", "n1")],
            );
            assert!(crmd.lrm.exec(order));
        }
        assert_eq!(crmd.lrm.turn(now()), []);
        signal("-CONT");
        for n in 0..ORDERS {
            let finished = crmd.result(&format!("r{:02}", n % 100), "stop");
            assert_eq!((finished.rc, finished.status), (0, Status::Done));
        }
        Some(())
    });
}

#[test]
fn one_lrmd_serves_a_door() {
    test(|| {
        let (mut node, mut crmd) = Node::started()?;
        let first = node.lrmd.take().unwrap();
        node.start();
        let second = node.lrmd.as_mut().unwrap().wait().unwrap();
        assert_eq!(second.code(), Some(1), "another one runs here");
        node.lrmd = Some(first);
        node.script(
            "ocf/resource.d/test/slow",
            "touch $D/runs; while [ ! -e $D/go ]; do sleep 0.05; done; touch $D/done; exit 0",
        );
        let order = crmd.order("ocf:test:slow", "s", "start", &[]);
        crmd.lrm.exec(order);
        until("the agent", || node.path("runs").exists());
        // An orderly end: what runs comes to its end, nothing else begins.
        ha::sys::process::signal(node.pid(), false).unwrap();
        let refused = loop {
            let order = crmd.order("ocf:test:slow", "t", "start", &[]);
            let number = order.id;
            crmd.lrm.exec(order);
            let answer = crmd.event(
                "answer",
                |e| matches!(e, Event::Refused { id, .. } | Event::Pending { id, .. } if *id == number),
            );
            if let Event::Refused { why, .. } = answer {
                break why;
            }
        };
        assert!(refused.contains("ending"), "{refused}");
        std::fs::write(node.path("go"), "").unwrap();
        assert_eq!(crmd.result("s", "start").rc, 0);
        crmd.event("end", |e| *e == Event::Gone);
        assert!(node.path("done").exists());
        assert!(node.lrmd.take().unwrap().wait().unwrap().success());
        Some(())
    });
}

#[test]
fn only_root_and_hacluster_come_in() {
    test(|| {
        let (node, _crmd) = Node::started()?;
        let mode = |place: &str| std::fs::metadata(node.path(place)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("state/crm"), mode("state/crm/lrm")), (0o750, 0o750));
        let Some((hacluster, haclient)) = ha::sys::process::user_and_group("hacluster", "haclient") else {
            return skipped("there is no user hacluster");
        };
        // A member of the group may open the door, and is sent away; hacluster is served.
        for (uid, answer) in [(hacluster, "OK"), (65534, "badreq")] {
            let script = "cd $0/casual && mkfifo -m 640 $$.req && mkfifo -m 620 $$.rsp && exec 4<>$$.rsp && \
                          printf '>>>\\nt=hbapi-req\\nreqtype=signon\\npid=%s\\nfrom_id=%s\\n<<<\\n' $$ $$ > ../register && \
                          exec 5>$$.req && head -n 4 <&4";
            let out = Command::new("setpriv")
                .args([
                    "--reuid",
                    &uid.to_string(),
                    "--regid",
                    &haclient.to_string(),
                    "--clear-groups",
                ])
                .args(["timeout", "30", "sh", "-c", script])
                .arg(node.path("state/crm/lrm"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(said.contains(&format!("result={answer}")), "uid {uid}: {said} {out:?}");
        }
        Some(())
    });
}

#[test]
fn stonith_devices_are_registered_asked_and_used() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.script(
            "external/box",
            "case $1 in getconfignames) echo hostlist passwd;; gethosts) echo $hostlist;; status) [ ! -e $D/ill ];;\n\
             getinfo-xml) echo '<parameters><parameter name=\"hostlist\" required=\"1\"><content type=\"string\"/></parameter></parameters>';;\n\
             reset|off) echo \"$1 $2 $passwd $priority\" >> $D/resets;; esac",
        );
        node.script(
            "sbin/fence_box",
            "cat >> $D/fenced; [ ! -e $D/ill ] || { echo the box is ill; exit 1; }",
        );
        let plugin: &[_] = &[("hostlist", "n1 n2"), ("passwd", "secret word"), ("priority", "7")];
        assert_eq!(
            crmd.rc("stonith:external/box", "st", "monitor", plugin),
            7,
            "not started here"
        );
        assert_eq!(crmd.rc("stonith:external/box", "st", "start", plugin), 0);
        assert_eq!(crmd.rc("stonith:external/box", "st", "monitor", plugin), 0);
        let mut watch = crmd.order("stonith:external/box", "st", "monitor", plugin);
        watch.interval = Duration::from_millis(100);
        crmd.lrm.exec(watch);
        assert_eq!(crmd.result("st", "monitor").rc, 0);
        std::fs::write(node.path("ill"), "").unwrap();
        assert_eq!(crmd.result("st", "monitor").rc, 1);
        assert_eq!(crmd.rc("stonith:external/box", "st", "stop", plugin), 0);
        crmd.events.clear();
        assert_eq!(crmd.rc("stonith:external/box", "st", "monitor", plugin), 7);

        let fence = |crmd: &mut Crmd, agent: &str, how, who: Option<&str>, params: &[(&str, &str)]| {
            crmd.next += 1;
            let number = crmd.next;
            let order = crmd.order(agent, "st", "start", params);
            crmd.lrm.fence(Fencing {
                id: number,
                rsc: "st".into(),
                agent: order.agent,
                params: order.params,
                how,
                node: who.map(str::to_owned),
                timeout: Duration::from_secs(60),
            });
            match crmd.event("fencing", |e| matches!(e, Event::Fenced { id, .. } if *id == number)) {
                Event::Fenced { result, .. } => result,
                _ => unreachable!(),
            }
        };
        assert_eq!(
            fence(&mut crmd, "stonith:external/box", How::Hosts, None, plugin)
                .unwrap()
                .trim(),
            "n1 n2"
        );
        assert!(fence(&mut crmd, "stonith:external/box", How::Reboot, Some("n1"), plugin).is_ok());
        assert!(fence(&mut crmd, "stonith:external/box", How::Off, Some("n2"), plugin).is_ok());
        let resets = std::fs::read_to_string(node.path("resets")).unwrap();
        assert_eq!(
            resets, "reset n1 secret word \noff n2 secret word \n",
            "what it does not know it is not told"
        );
        let agent: &[_] = &[("ip", "10.0.0.9"), ("pcmk_host_map", "n1:4;n2:5")];
        let ill = fence(&mut crmd, "stonith:fence_box", How::Reboot, Some("n2"), agent).unwrap_err();
        assert!(ill.contains("the box is ill"), "{ill}");
        let told = std::fs::read_to_string(node.path("fenced")).unwrap();
        assert_eq!(told, "action=reboot\nip=10.0.0.9\nnodename=n2\nport=5\n");
        let wrong = fence(&mut crmd, "stonith:fence_box", How::Reboot, Some("n3"), agent).unwrap_err();
        assert!(wrong.contains("n3"), "{wrong}");
        assert!(
            fence(
                &mut crmd,
                "stonith:null",
                How::Reboot,
                Some("n1"),
                &[("hostlist", "n1 n2")]
            )
            .is_ok()
        );
        assert!(
            fence(&mut crmd, "stonith:meatware", How::Reboot, Some("n1"), plugin)
                .unwrap_err()
                .contains("person")
        );
        assert!(
            fence(&mut crmd, "stonith:null", How::Off, None, plugin)
                .unwrap_err()
                .contains("which node")
        );
        assert!(
            crmd.meta("stonith:external/box")
                .unwrap()
                .parameter("hostlist")
                .unwrap()
                .required
        );
        Some(())
    });
}

#[test]
fn meta_data_of_every_class() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.script(
            "init.d/svc",
            "### BEGIN INIT INFO\n# Short-Description: serves\n### END INIT INFO\nexit 0",
        );
        node.script(
            "ocf/resource.d/test/bomb",
            "echo '<!DOCTYPE x [<!ENTITY a \"b\">]><resource-agent>&a;</resource-agent>'",
        );
        node.script("ocf/resource.d/test/fails", "exit 3");
        assert_eq!(crmd.meta("lsb:svc").unwrap().shortdesc, "serves");
        assert_eq!(crmd.meta("service:svc").unwrap().shortdesc, "serves");
        assert!(crmd.meta("stonith:null").unwrap().parameter("hostlist").is_some());
        for (agent, part) in [
            ("ocf:test:bomb", "DTD"),
            ("ocf:test:fails", "exit code 3"),
            ("ocf:test:none", "there is no"),
            ("lsb:none", "there is no"),
        ] {
            let why = crmd.meta(agent).unwrap_err();
            assert!(why.contains(part), "{agent}: {why}");
        }
        installed("heartbeat/IPaddr2")?;
        let ip = crmd.meta("ocf:heartbeat:IPaddr2").unwrap();
        assert!(ip.parameter("ip").unwrap().required);
        assert_eq!(
            ip.action("start", None).unwrap().timeout(),
            Some(Duration::from_secs(20))
        );
        Some(())
    });
}

/// Not a sample: whatever is installed.
#[test]
fn every_agent_of_this_machine_describes_itself() {
    test(|| {
        let (_node, mut crmd) = Node::started()?;
        let (mut good, mut bad) = (0, Vec::new());
        for provider in ["heartbeat", "pacemaker"] {
            let folder = Path::new(OCF).join("resource.d").join(provider);
            for agent in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = agent.file_name().to_string_lossy().into_owned();
                let runs = agent
                    .path()
                    .metadata()
                    .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
                if !runs || name.starts_with('.') || name.ends_with(".sh") {
                    continue;
                }
                match crmd.meta(&format!("ocf:{provider}:{name}")) {
                    Ok(meta) if !meta.actions.is_empty() => good += 1,
                    other => bad.push((name, other.map(|m| m.name))),
                }
            }
        }
        if good + bad.len() == 0 {
            return skipped("no OCF agent is installed");
        }
        eprintln!("{good} agents");
        assert_eq!(bad, []);
        Some(())
    });
}

#[test]
fn an_address_is_set_and_removed_by_debians_agent() {
    test(|| {
        installed("heartbeat/IPaddr2")?;
        let mut node = Node::new()?;
        let make = "ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d1 up && ip addr add 10.99.0.1/24 dev d0 && ip link set d0 up && exec \"$0\" \"$@\"";
        node.wrapper = ["unshare", "-n", "sh", "-c", make].map(str::to_owned).to_vec();
        if !Command::new("unshare")
            .args(["-n", "true"])
            .status()
            .is_ok_and(|s| s.success())
        {
            return skipped("no network namespace can be made here");
        }
        node.start();
        let mut crmd = node.crmd();
        let params: &[_] = &[("ip", "10.99.0.50"), ("cidr_netmask", "24"), ("nic", "d0")];
        let pid = node.pid().to_string();
        let is_set = || {
            let out = Command::new("nsenter")
                .args(["-t", &pid, "-n", "ip", "-o", "addr"])
                .output()
                .unwrap();
            String::from_utf8_lossy(&out.stdout).contains("10.99.0.50/24")
        };
        for (op, rc, set) in [
            ("monitor", 7, false),
            ("start", 0, true),
            ("monitor", 0, true),
            ("stop", 0, false),
            ("monitor", 7, false),
        ] {
            let finished = crmd.run("ocf:heartbeat:IPaddr2", "vip", op, params);
            assert_eq!((finished.rc, is_set()), (rc, set), "{op}: {finished:?}");
        }
        // The address of haresources, as a v1 script of this installation.
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_IPaddr"), node.path("ha.d/resource.d/IPaddr")).unwrap();
        let params: &[_] = &[("1", "10.99.0.50/24/d0")];
        for (op, rc, set) in [
            ("monitor", 7, false),
            ("start", 0, true),
            ("monitor", 0, true),
            ("stop", 0, false),
            ("monitor", 7, false),
        ] {
            let finished = crmd.run("heartbeat:IPaddr", "v1", op, params);
            assert_eq!((finished.rc, is_set()), (rc, set), "{op}: {finished:?}");
        }
        Some(())
    });
}

#[test]
fn twenty_resources_need_little_memory() {
    test(|| {
        let (node, mut crmd) = Node::started()?;
        node.script(
            "ocf/resource.d/test/m",
            "case $1 in meta-data) echo '<resource-agent></resource-agent>';; esac; exit 0",
        );
        for n in 0..20 {
            let rsc = format!("r{n:02}");
            assert_eq!(crmd.rc("ocf:test:m", &rsc, "start", &[("ip", "10.0.0.1")]), 0);
            let mut monitor = crmd.order("ocf:test:m", &rsc, "monitor", &[("ip", "10.0.0.1")]);
            monitor.interval = Duration::from_millis(500);
            crmd.lrm.exec(monitor);
            assert_eq!(crmd.result(&rsc, "monitor").rc, 0);
        }
        let pss = pss_kib(node.pid());
        eprintln!("lrmd with 20 resources: {pss} KiB PSS");
        assert!(pss < 4 * 1024, "{pss} KiB");
        Some(())
    });
}

fn pss_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
