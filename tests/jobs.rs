//! Real scripts, real processes: what a script is given, how it ends, and that it always ends.

use ha::conf::ResourceSpec;
use ha::groups::job::{Command, Exit, Outcome, Verb};
use ha::ids::JobId;
use ha::jobs::runner::{KILL_TO_GIVE_UP, TERM_TO_KILL};
use ha::jobs::{Ended, Jobs, run_to_end};
use ha::sys::now;
use ha::sys::poll::{Want, wait};
use ha::time::{Duration, Instant};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};

/// Longer than anything here takes on a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);
/// The limit of every script here. Its time is not waited for: `tick` is told that it is later than it is.
const LIMIT: Duration = Duration::from_secs(300);

/// A directory with `resource.d` and `init.d`, removed at the end.
struct Site(PathBuf);

impl Site {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("ha-jobs-{}-{n}", std::process::id()));
        for place in ["resource.d", "init.d"] {
            std::fs::create_dir_all(dir.join(place)).unwrap();
        }
        Self(dir)
    }

    /// Written by another process: a script that this one has open for writing could not be executed while a sibling
    /// test forks at that moment ("text file busy").
    fn write(&self, place: &str, name: &str, mode: &str, text: &str) {
        let path = self.0.join(place).join(name);
        let mut sh = std::process::Command::new("/bin/sh")
            .args(["-c", "cat > \"$1\" && chmod \"$2\" \"$1\"", "sh"])
            .args([path.to_str().unwrap(), mode])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
    }

    fn script(&self, name: &str, text: &str) {
        self.write("resource.d", name, "755", &format!("#!/bin/sh\n{text}\n"));
    }

    fn jobs(&self) -> Jobs {
        let places = vec![self.0.join("resource.d"), self.0.join("init.d")];
        let env = vec![
            ("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("SITE".to_owned(), self.0.display().to_string()),
        ];
        Jobs::new(places, env)
    }

    fn run(&self, script: &str, verb: Verb) -> Outcome {
        run_to_end(&mut self.jobs(), command(script, verb))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `SCRIPT::arg::arg`
fn command(resource: &str, verb: Verb) -> Command {
    let mut words = resource.split("::").map(str::to_owned);
    Command {
        resource: ResourceSpec {
            name: resource.parse().unwrap(),
            script: words.next().unwrap(),
            args: words.collect(),
        },
        verb,
        limit: LIMIT,
    }
}

fn wait_for_any(jobs: &Jobs, deadline: Instant) {
    let wants: Vec<Want<'_>> = jobs.fds().into_iter().map(Want::read).collect();
    wait(&wants, deadline).unwrap();
}

/// Ticks, `ahead` of the real clock, until a script has ended.
fn next_end(jobs: &mut Jobs, ahead: Duration) -> Ended {
    let give_up = now() + PATIENCE;
    loop {
        if let Some(ended) = jobs.tick(now() + ahead).pop() {
            return ended;
        }
        assert!(now() < give_up, "nothing ended for {PATIENCE:?}");
        wait_for_any(jobs, give_up);
    }
}

/// Ticks until nothing is left to wait for.
fn until_quiet(jobs: &mut Jobs) {
    let give_up = now() + PATIENCE;
    while !jobs.fds().is_empty() {
        assert!(now() < give_up, "there is still something to wait for");
        wait_for_any(jobs, give_up);
        assert!(jobs.tick(now()).is_empty());
    }
    assert_eq!((jobs.running(), jobs.deadline()), (0, Instant::NEVER));
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let give_up = now() + PATIENCE;
    while !done() {
        assert!(now() < give_up, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_way_to_end() {
    let site = Site::new();
    site.script("good", "exit 0");
    site.script("seven", "exit 7");
    site.script("killed", "kill -9 $$");
    site.write("resource.d", "plain", "755", "exit 4\n");
    site.write("resource.d", "text", "644", "#!/bin/sh\n");
    site.write("resource.d", "broken", "755", "#!/no/such/interpreter\n");
    std::fs::create_dir(site.0.join("resource.d/folder")).unwrap();
    let dir = site.0.display();
    let absent = |script| format!("cannot locate resource script {script} in {dir}/resource.d or {dir}/init.d");
    #[rustfmt::skip]
    let table = [
        ("good",      Exit::Code(0)),
        ("seven",     Exit::Code(7)),
        ("killed",    Exit::Signal(9)),
        ("plain",     Exit::Code(4)),
        ("text",      Exit::CannotRun(format!("{dir}/resource.d/text is not executable (chmod 755 it)"))),
        ("broken",    Exit::CannotRun(format!("{dir}/resource.d/broken: No such file or directory (os error 2)"))),
        ("absent",    Exit::CannotRun(absent("absent"))),
        ("folder",    Exit::CannotRun(absent("folder"))),
        ("../sneaky", Exit::CannotRun("\"../sneaky\" is not the name of a script: write it without a path".to_owned())),
    ];
    for (script, exit) in table {
        assert_eq!(site.run(script, Verb::Start).exit, exit, "{script}");
    }
}

#[test]
fn resource_d_comes_before_init_d_and_links_count() {
    let site = Site::new();
    site.script("both", "echo resource.d");
    site.write("init.d", "both", "755", "#!/bin/sh\necho init.d\n");
    site.write("init.d", "only", "755", "#!/bin/sh\necho init.d \"$@\"\n");
    std::os::unix::fs::symlink(site.0.join("init.d/only"), site.0.join("resource.d/link")).unwrap();
    // Not executable in the first place: the second is still looked at.
    site.write("resource.d", "only", "644", "#!/bin/sh\necho wrong\n");
    #[rustfmt::skip]
    let table = [
        ("both",       Verb::Stop,   "resource.d\n"),
        ("only::a::b", Verb::Start,  "init.d a b start\n"),
        ("link",       Verb::Status, "init.d status\n"),
        ("only::",     Verb::Stop,   "init.d  stop\n"),
    ];
    for (script, verb, output) in table {
        assert_eq!(site.run(script, verb).output, output, "{script}");
    }
}

#[test]
fn a_script_gets_a_clean_process() {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use nix::sys::signal::{SigSet, Signal};
    let site = Site::new();
    // What must not be inherited: a descriptor without close-on-exec, blocked and ignored signals (SIGPIPE, by std), a umask.
    let leak = std::fs::File::open("/dev/null").unwrap();
    fcntl(&leak, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let mut set = SigSet::empty();
    set.add(Signal::SIGUSR1);
    set.thread_block().unwrap();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    site.script(
        "look",
        r#"pwd
umask
# Fields of stat: 1 pid, 5 process group, 6 session, 19 nice, 41 policy.
set -- $(cat /proc/$$/stat)
[ "$5" = $$ ] && [ "$6" = $$ ] && echo own group and session
echo nice ${19} policy ${41}
grep -E '^Sig(Blk|Ign)' /proc/self/status
cat /proc/self/oom_score_adj
for fd in 0 1 2; do echo "$fd $(readlink /proc/$$/fd/$fd | sed 's/:.*//')"; done
ls -l /proc/$$/fd | grep -c -e /dev/null
env | grep -v -e '^PWD=' -e '^OLDPWD=' -e '^_=' -e '^SHLVL=' | sort"#,
    );
    let outcome = site.run("look", Verb::Start);
    drop(leak);
    // Only root can undo the nice value that the tests were started with.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let nice = match nix::unistd::geteuid().is_root() {
        true => "0",
        // Its field 19; the name of the program has no blanks.
        false => stat.split(' ').nth(18).unwrap(),
    };
    let expected = format!(
        "/\n0022\nown group and session\nnice {nice} policy 0\n\
         SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n\
         0 /dev/null\n1 pipe\n2 pipe\n1\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nSITE={}\n",
        site.0.display()
    );
    assert_eq!(outcome.output, expected);
}

#[test]
fn a_service_left_behind_neither_delays_the_outcome_nor_dies_of_its_next_line() {
    let site = Site::new();
    site.script(
        "service",
        "(while [ ! -e $SITE/go ]; do sleep 0.01; done; echo late; echo later; : > $SITE/alive) &\necho started",
    );
    let mut jobs = site.jobs();
    jobs.start(now(), JobId(5), command("service", Verb::Start));
    let ended = next_end(&mut jobs, Duration::ZERO);
    assert_eq!((ended.job, ended.outcome.exit), (JobId(5), Exit::Code(0)));
    assert_eq!(ended.outcome.output, "started\n");
    assert_eq!(
        (jobs.running(), jobs.fds().len()),
        (0, 1),
        "only the service's output is still read"
    );
    std::fs::write(site.0.join("go"), "").unwrap();
    until_quiet(&mut jobs);
    assert!(site.0.join("alive").exists());
}

#[test]
fn a_script_over_its_limit_is_asked_then_killed_with_its_children() {
    let site = Site::new();
    let body = "sleep 1000 & echo $! > $SITE/child; : > $SITE/ready; wait; wait";
    site.script("polite", &format!("trap 'echo cleaning up; exit 0' TERM\n{body}"));
    site.script("deaf", &format!("trap '' TERM\n{body}"));
    #[rustfmt::skip]
    let table = [
        // script   ends at SIGTERM  output
        ("polite",  true,            "cleaning up\n"),
        ("deaf",    false,           ""),
    ];
    for (name, at_term, output) in table {
        let mut jobs = site.jobs();
        let began = now();
        jobs.start(began, JobId(1), command(name, Verb::Stop));
        let ready = site.0.join("ready");
        until("the script runs", || ready.exists());
        std::fs::remove_file(&ready).unwrap();
        let child = pid_in(&site.0.join("child"));

        assert_eq!(jobs.deadline(), began + LIMIT, "{name}");
        assert!(
            jobs.tick(began + (LIMIT - Duration::from_millis(1))).is_empty(),
            "{name}"
        );
        assert_eq!(jobs.deadline(), began + LIMIT, "{name}: not pushed a millisecond early");
        let mut ahead = LIMIT;
        if !at_term {
            let t = now() + LIMIT;
            assert!(jobs.tick(t).is_empty(), "{name}: SIGTERM was sent");
            assert_eq!(jobs.deadline(), t + TERM_TO_KILL, "{name}");
            assert!(is_alive(child), "{name}: the whole group ignores SIGTERM");
            ahead = LIMIT + TERM_TO_KILL;
        }
        let ended = next_end(&mut jobs, ahead);
        assert_eq!(ended.outcome.exit, Exit::TimedOut, "{name}");
        assert_eq!(ended.outcome.output, output, "{name}");
        assert!(ended.outcome.took >= ahead, "{name}");
        until("its child is gone", || !is_alive(child));
        until_quiet(&mut jobs);
    }
}

#[test]
fn what_outlives_sigkill_is_given_up_and_reaped_later() {
    let site = Site::new();
    site.script("slow", "trap '' TERM\nexec sleep 1000");
    let mut jobs = site.jobs();
    let began = now();
    jobs.start(began, JobId(1), command("slow", Verb::Stop));
    // The whole escalation within one moment: the kernel has had no time to end the process, as if it hung there.
    let mut ended = jobs.tick(began + LIMIT);
    ended.extend(jobs.tick(began + LIMIT + TERM_TO_KILL));
    ended.extend(jobs.tick(began + LIMIT + TERM_TO_KILL + KILL_TO_GIVE_UP));
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].outcome.exit, Exit::TimedOut);
    assert_eq!(jobs.running(), 0);
    until_quiet(&mut jobs);
}

#[test]
fn many_lines_end_in_four_kib_and_a_short_log() {
    let lines = log_lines();
    let site = Site::new();
    site.script(
        "flood",
        "i=0\nwhile [ $i -lt 20000 ]; do i=$((i+1)); echo \"line $i\"; done\nprintf 'the \\033 end'",
    );
    let outcome = site.run("flood", Verb::Start);
    assert_eq!(outcome.exit, Exit::Code(0));
    assert_eq!(outcome.output.len(), 4096);
    assert!(outcome.output.ends_with("line 19999\nline 20000\nthe \u{1b} end"));
    let all = lines.lock().unwrap();
    let logged: Vec<&String> = all.iter().filter(|l| l.starts_with("resource flood start:")).collect();
    assert_eq!(logged[0], "resource flood start: line 1");
    assert!(
        logged
            .iter()
            .any(|l| l.ends_with("more lines within a second, not logged"))
    );
    let last = logged.last().unwrap();
    assert!(last.contains("/resource.d/flood start: exit code 0 after "), "{last}");
    let seconds = outcome.took.as_secs() as usize + 2;
    assert!(
        logged.len() < seconds * 60,
        "{} lines in {:?}",
        logged.len(),
        outcome.took
    );
    assert!(logged.iter().all(|l| !l.contains('\u{1b}')));
}

#[test]
fn many_at_once_are_each_reported_once() {
    let site = Site::new();
    site.script("one", "echo $1; exit $1");
    let mut jobs = site.jobs();
    for n in 0..40 {
        jobs.start(now(), JobId(n), command(&format!("one::{n}"), Verb::Status));
    }
    assert_eq!(jobs.running(), 40);
    let mut codes = Vec::new();
    let give_up = now() + PATIENCE;
    while codes.len() < 40 {
        assert!(now() < give_up, "only {codes:?}");
        wait_for_any(&jobs, give_up);
        for e in jobs.tick(now()) {
            assert_eq!(e.outcome.exit, Exit::Code(e.job.0 as i32));
            assert_eq!(e.outcome.output, format!("{}\n", e.job));
            codes.push(e.job.0);
        }
    }
    codes.sort_unstable();
    assert_eq!(codes, (0..40).collect::<Vec<u64>>());
    until_quiet(&mut jobs);
}

fn pid_in(file: &Path) -> i32 {
    std::fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

/// A zombie does not count: who inherited it may be slow to reap.
fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "))
}

/// The log of this whole test program.
fn log_lines() -> &'static Mutex<Vec<String>> {
    struct Collect;
    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static ONCE: Once = Once::new();
    impl log::Log for Collect {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            LINES.lock().unwrap().push(record.args().to_string());
        }
        fn flush(&self) {}
    }
    ONCE.call_once(|| {
        log::set_logger(&Collect).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
    &LINES
}
