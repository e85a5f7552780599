//! The lab as tests, the demo and `hb_lab` use it.

use super::files::{self, NodeFiles};
use super::flood::Flood;
use super::options::{Options, contents};
use super::plan::Plan;
use super::site::Site;
use super::watch::Watcher;
use super::{CLIENT, classic, control, keeper};
use crate::paths;
use crate::sys::namespace;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Killed processes are gone within this time, unless one hangs in the kernel.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const GONE_PAUSE: Duration = Duration::from_millis(2);

/// A lab that is up. Dropping it ends an owned one.
#[derive(Debug)]
pub struct Lab {
    pub plan: Plan,
    /// Lines of a site's ha.cf that its nodes did not get, each with the reason; known when the lab is made.
    pub left_out: Vec<String>,
    switch: Option<Child>,
}

impl Lab {
    /// Makes a lab; one of that name that died is removed first, one that lives is an error.
    pub fn up(options: &Options) -> io::Result<Self> {
        check_name("lab", &options.name)?;
        let directory = files::lab(&options.name);
        if control::alive(&directory) {
            return Err(io::Error::other(format!(
                "lab {}: is there already; \"hb_lab down {}\" ends it",
                options.name, options.name
            )));
        }
        control::remove(&directory)?;
        let program = match &options.program {
            Some(program) => program.clone(),
            None => this_program()?,
        };
        let contents = contents(options, &programs(&program))?;
        let mut site = Site::read(&contents.ha_cf, &contents.haresources);
        site.serial |= options.serial;
        site.hosts = options.ping.clone();
        if site.nodes.is_empty() {
            return Err(io::Error::other("ha.cf: names no node"));
        }
        for node in &site.nodes {
            check_name("node", node)?;
        }
        let mut plan = Plan::new(&options.name, &directory, &program, &programs(&program), &site);
        if !options.classic.is_empty() {
            let packages = classic::packages(options.packages.as_deref(), &plan.programs)?;
            for node in &options.classic {
                if !plan.set_classic(node, &packages) {
                    return Err(io::Error::other(format!("node {node}: is not in ha.cf")));
                }
            }
            classic::check_place(&plan)?;
        }
        if let Some(far) = plan
            .nodes
            .iter()
            .find(|n| n.links.iter().any(|l| l.addresses.is_empty()))
        {
            let message = format!(
                "ping node {}: is in no network of the lab; choose an address such as 10.77.0.250 or fd77::250",
                far.name
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        files::make_base()?;
        fs::create_dir_all(&directory)
            .and_then(|()| files::make(&plan, &contents))
            .and_then(|()| fs::write(directory.join("plan"), plan.to_text()))
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", directory.display())))?;
        let switch = start_switch(&plan, options.owned).inspect_err(|_| {
            let _ = control::remove(&directory);
        })?;
        Ok(Self {
            plan,
            left_out: contents.left_out,
            switch: options.owned.then_some(switch),
        })
    }

    /// A lab that runs already.
    pub fn attach(name: &str) -> io::Result<Self> {
        check_name("lab", name)?;
        let directory = files::lab(name);
        if !control::alive(&directory) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("lab {name}: is not up; \"hb_lab up\" makes it"),
            ));
        }
        Ok(Self {
            plan: control::read_plan(&directory)?,
            left_out: Vec::new(),
            switch: None,
        })
    }

    /// Ends a lab, alive or dead, and removes all of it. False: there was none.
    pub fn remove(name: &str) -> io::Result<bool> {
        check_name("lab", name)?;
        control::remove(&files::lab(name))
    }

    pub fn ask(&self, request: &str) -> io::Result<String> {
        control::ask(&self.plan.directory, request)
    }

    pub fn files(&self, node: &str) -> NodeFiles {
        NodeFiles::of(&self.plan, node)
    }

    /// Writes a file below the node's own directory, as `ha.d/ha.cf`; authkeys only for the owner to read.
    pub fn write(&self, node: &str, file: &str, text: &str) -> io::Result<()> {
        let path = self.files(node).root.join(file);
        if file.ends_with("authkeys") {
            files::secret(&path, text)
        } else {
            fs::write(path, text)
        }
    }

    /// Writes a script below the node's own directory, as `ha.d/resource.d/hello`.
    pub fn script(&self, node: &str, file: &str, text: &str) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.files(node).root.join(file);
        // Many are links to the programs themselves, which are not to be written over.
        if path.is_symlink() {
            fs::remove_file(&path)?;
        }
        fs::write(&path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
    }

    /// The command that runs `words` in a node, with the node's environment.
    pub fn command(&self, node: &str, words: &[&str]) -> Command {
        let mut command = Command::new(&self.plan.program);
        command.args(["exec", "--lab", &self.plan.name, node, "--"]).args(words);
        if let Some(base) = self.plan.directory.parent() {
            command.env("HB_LAB_DIR", base);
        }
        command
    }

    /// Runs a command in a node to its end.
    pub fn exec(&self, node: &str, words: &[&str]) -> io::Result<Output> {
        self.command(node, words).stdin(Stdio::null()).output()
    }

    /// Starts a command in a node; it is killed when what is returned is dropped.
    pub fn spawn(&self, node: &str, words: &[&str]) -> io::Result<Inside> {
        let child = self.command(node, words).stdin(Stdio::null()).spawn()?;
        Ok(Inside { child })
    }

    /// Switches the node on if it is off, and starts heartbeat in it. The answer is heartbeat's own.
    pub fn start(&self, node: &str) -> io::Result<Output> {
        self.ask(&format!("on {node}"))?;
        if self.plan.is_classic(node) {
            // Its init script makes the directories it needs in the empty /run.
            return self.exec(node, &["/etc/init.d/heartbeat", "start"]);
        }
        self.exec(node, &[&self.program("heartbeat")])
    }

    /// `heartbeat -k`: returns when heartbeat has given everything up.
    pub fn stop(&self, node: &str) -> io::Result<Output> {
        if self.plan.is_classic(node) {
            return self.exec(node, &["heartbeat", "-k"]);
        }
        self.exec(node, &[&self.program("heartbeat"), "-k"])
    }

    fn program(&self, name: &str) -> String {
        let built = self.plan.programs.join(name);
        if built.exists() {
            built.display().to_string()
        } else {
            name.to_owned()
        }
    }

    /// SIGKILL to every process of the node at once, and a look whether they are gone: a busy machine takes its time. Its
    /// kernel, and so its addresses, live on.
    pub fn kill(&self, node: &str) -> io::Result<()> {
        self.ask(&format!("kill {node}"))?;
        let begun = Instant::now();
        // The switch, which carries the packets of the others, does not wait for that.
        while begun.elapsed() < GONE_WITHIN && self.ask(&format!("runs {node}"))?.trim() == "yes" {
            thread::sleep(GONE_PAUSE);
        }
        Ok(())
    }

    /// SIGSTOP to every process of the node.
    pub fn freeze(&self, node: &str) -> io::Result<()> {
        self.ask(&format!("freeze {node}")).map(drop)
    }

    pub fn thaw(&self, node: &str) -> io::Result<()> {
        self.ask(&format!("thaw {node}")).map(drop)
    }

    /// The power fails: processes, kernel state, addresses and link are gone at one moment. Disks stay.
    pub fn power_off(&self, node: &str) -> io::Result<()> {
        self.ask(&format!("off {node}")).map(drop)
    }

    /// The node boots, with an empty /run; heartbeat is not started.
    pub fn power_on(&self, node: &str) -> io::Result<()> {
        self.ask(&format!("on {node}")).map(drop)
    }

    /// Nothing passes between two nodes any more, except over the serial line.
    pub fn cut(&self, a: &str, b: &str) -> io::Result<()> {
        self.fault(a, b, "*", 100)?;
        self.fault(b, a, "*", 100)
    }

    /// Nothing passes from one node to another; the way back is open.
    pub fn cut_one_way(&self, from: &str, to: &str) -> io::Result<()> {
        self.fault(from, to, "*", 100)
    }

    /// The node's Ethernet cables are pulled: nobody hears it, the client neither.
    pub fn cut_node(&self, node: &str) -> io::Result<()> {
        self.cut(node, "*")
    }

    pub fn cut_serial(&self) -> io::Result<()> {
        self.fault("*", "*", "serial", 100)
    }

    /// Of what passes between two nodes `percent` is lost.
    pub fn loss(&self, a: &str, b: &str, percent: u8) -> io::Result<()> {
        self.fault(a, b, "*", percent)?;
        self.fault(b, a, "*", percent)
    }

    /// A fault of one direction on one interface (`serial`: the serial line); `*` stands for every one.
    pub fn fault(&self, from: &str, to: &str, link: &str, percent: u8) -> io::Result<()> {
        self.ask(&format!("fault {from} {to} {link} {percent}")).map(drop)
    }

    /// All cuts and losses end.
    pub fn heal(&self) -> io::Result<()> {
        self.ask("heal").map(drop)
    }

    /// Floods a node with junk until the time of the flood is over; standard output says how many packets were sent.
    pub fn flood(&self, flood: &Flood) -> io::Result<Child> {
        let mut command = Command::new(&self.plan.program);
        command.arg("__flood").arg(&self.plan.directory).args(flood.words());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        namespace::let_die_with_us(&mut command).spawn()
    }

    /// Watches who answers for an address, from the client, until the watcher is dropped.
    pub fn watch(&self, address: Ipv4Addr) -> io::Result<Watcher> {
        Watcher::start(&self.plan, address)
    }

    /// All that the node has logged: the files of its /var/log, one after another.
    pub fn log(&self, node: &str) -> String {
        let Ok(entries) = fs::read_dir(self.files(node).log()) else {
            return String::new();
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.is_file()).collect();
        paths.sort();
        let text = |p: &PathBuf| String::from_utf8_lossy(&fs::read(p).unwrap_or_default()).into_owned();
        paths.iter().map(text).collect()
    }

    /// Looks until something holds. The error says what did not, and shows the logs.
    pub fn wait_for(&self, what: &str, bound: Duration, mut holds: impl FnMut() -> bool) -> Result<Duration, String> {
        let begun = Instant::now();
        loop {
            if holds() {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() >= bound {
                let logs = self.plan.cluster().map(|n| format!("--- log of {n}\n{}", self.log(n)));
                return Err(format!("{what}: not within {bound:?}\n{}", logs.collect::<String>()));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(switch) = &mut self.switch {
            let _ = control::remove(&self.plan.directory);
            let _ = switch.wait();
        }
    }
}

/// A command that runs in a node.
#[derive(Debug)]
pub struct Inside {
    /// Its stand-in outside, `hb_lab exec`; the command dies with it.
    pub child: Child,
}

impl Inside {
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_switch(plan: &Plan, owned: bool) -> io::Result<Child> {
    let log = fs::File::create(plan.directory.join("switch.log"))?;
    let mut command = Command::new(&plan.program);
    command.arg("__switch").arg(&plan.directory);
    if owned {
        command.arg("--owned").stdin(Stdio::piped());
    } else {
        command.stdin(Stdio::null());
    }
    let mut switch = command.stdout(Stdio::piped()).stderr(log).spawn()?;
    let mut line = String::new();
    BufReader::new(switch.stdout.take().expect("standard output is a pipe")).read_line(&mut line)?;
    if line.trim_end() == keeper::READY {
        return Ok(switch);
    }
    let _ = switch.kill();
    let _ = switch.wait();
    Err(io::Error::other(match line.trim_end() {
        "" => format!("{}: the lab's switch died at its start", plan.program.display()),
        reason => reason.to_owned(),
    }))
}

/// hb_lab: this program, or one in its directory or the one above (a test of cargo runs in `deps`).
fn this_program() -> io::Result<PathBuf> {
    let me = std::env::current_exe()?;
    if me.file_name().is_some_and(|n| n == "hb_lab") {
        return Ok(me);
    }
    let near = me.ancestors().skip(1).take(2).map(|dir| dir.join("hb_lab"));
    near.into_iter().find(|p| p.exists()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("{}: has no hb_lab near it", me.display()),
        )
    })
}

/// Where heartbeat is: beside hb_lab in a build directory, else where it is installed.
fn programs(hb_lab: &Path) -> PathBuf {
    match hb_lab.parent() {
        Some(dir) if dir.join("heartbeat").exists() && dir.join("ResourceManager").exists() => dir.to_owned(),
        _ => paths::lib(),
    }
}

/// A name becomes a directory: it must not lead elsewhere, nor be one of the lab's own files.
fn check_name(what: &str, name: &str) -> io::Result<()> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let own = what == "node" && [CLIENT, "plan", "hosts", "passwd", "group", "control", "switch.log"].contains(&name);
    if name.is_empty() || name.starts_with('.') || name.len() > 64 || !name.chars().all(ok) || own {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{what} \"{name}\": the name must be letters, digits, \".\", \"_\" and \"-\", and not one of the lab's own"
            ),
        ));
    }
    Ok(())
}

/// Runs a command inside a node, in the place of this process, and returns how it ended.
pub fn run_inside(plan: &Plan, node: &str, words: &[String]) -> io::Result<ExitStatus> {
    let pid = keeper_of(plan, node)?;
    let files = NodeFiles::of(plan, node);
    let environment = files.environment(plan);
    let place = namespace::Place::of(pid)?;
    place.enter()?;
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("node {node}: no command is given")))?;
    let mut command = Command::new(program);
    if plan.is_classic(node) {
        // Only what the caller's own session has to do with it: the classic keeps the environment it is started in.
        command.env_clear();
    }
    command.args(arguments).envs(environment).current_dir("/");
    namespace::let_die_with_us(&mut command)
        .status()
        .map_err(|e| io::Error::new(e.kind(), format!("{program}: {e}")))
}

/// Process 1 of a node as it is numbered outside.
pub fn keeper_of(plan: &Plan, node: &str) -> io::Result<u32> {
    let answer = control::ask(&plan.directory, &format!("pid {node}"))?;
    answer
        .trim()
        .parse()
        .map_err(|_| io::Error::other(format!("node {node}: the switch gave no process number")))
}
