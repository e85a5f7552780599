//! The directories of a lab: where it keeps its state, and what each node finds in its own ha.d.

use super::classic;
use super::plan::Plan;
use crate::sys::{files, process};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where labs are: `HB_LAB_DIR`, or /run/hb_lab, or a place of the user's own.
pub fn base() -> PathBuf {
    if let Some(dir) = std::env::var_os("HB_LAB_DIR").filter(|d| !d.is_empty()) {
        return dir.into();
    }
    if process::is_root() {
        return "/run/hb_lab".into();
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty()) {
        Some(dir) => PathBuf::from(dir).join("hb_lab"),
        None => std::env::temp_dir().join(format!("hb_lab-{}", files::own_user())),
    }
}

pub fn lab(name: &str) -> PathBuf {
    base().join(name)
}

/// Makes the place where labs are. In a directory that everybody may write to, it could be somebody else's.
pub fn make_base() -> io::Result<()> {
    let base = base();
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", base.display()));
    fs::create_dir_all(&base).map_err(named)?;
    let meta = base.symlink_metadata().map_err(named)?;
    if !meta.is_dir() || meta.uid() != files::own_user() {
        return Err(io::Error::other(format!(
            "{}: does not belong to the user who runs this; set HB_LAB_DIR to another place",
            base.display()
        )));
    }
    Ok(())
}

/// The directories of one node.
#[derive(Clone, Debug)]
pub struct NodeFiles {
    pub root: PathBuf,
}

impl NodeFiles {
    pub fn of(plan: &Plan, node: &str) -> Self {
        Self {
            root: plan.directory.join(node),
        }
    }

    pub fn ha_d(&self) -> PathBuf {
        self.root.join("ha.d")
    }

    pub fn state(&self) -> PathBuf {
        self.root.join("lib")
    }

    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The node's /var/log.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    pub fn init_d(&self) -> PathBuf {
        self.root.join("init.d")
    }

    pub fn serial(&self) -> PathBuf {
        self.root.join("ttyS0")
    }

    /// What the node's programs find their files by.
    pub fn environment(&self, plan: &Plan) -> Vec<(&'static str, PathBuf)> {
        if self
            .root
            .file_name()
            .is_some_and(|n| plan.is_classic(&n.to_string_lossy()))
        {
            return classic::environment();
        }
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/sbin:/usr/bin:/sbin:/bin".into());
        vec![
            ("HA_DIR", self.ha_d()),
            ("HA_VARLIB", self.state()),
            ("HA_RUN", self.run()),
            ("HA_LIBDIR", plan.programs.clone()),
            ("HA_INITDIR", self.init_d()),
            // What is configured must not switch the site's real machines off.
            ("HA_STONITHDIR", self.root.join("stonith")),
            ("HA_FENCEDIR", self.root.join("stonith")),
            ("PATH", format!("{}:{path}", plan.programs.display()).into()),
        ]
    }

    /// What a reboot empties.
    pub fn clear_run(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.run()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => fs::create_dir_all(self.run()),
        }
    }
}

/// What goes into every node's ha.d.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    pub ha_cf: String,
    pub haresources: String,
    pub authkeys: String,
    /// A whole ha.d to be copied first.
    pub copy: Option<PathBuf>,
    /// Lines of a site's ha.cf that the nodes do not get, each with the reason.
    pub left_out: Vec<String>,
}

/// Makes the directories of all nodes.
pub fn make(plan: &Plan, contents: &Contents) -> io::Result<()> {
    let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for node in &plan.nodes {
        if let Some((address, _)) = node.links.first().and_then(|l| l.addresses.first()) {
            hosts.push_str(&format!("{address} {}\n", node.name));
        }
        let files = NodeFiles::of(plan, &node.name);
        for dir in [files.ha_d(), files.state(), files.run(), files.log(), files.init_d()] {
            fs::create_dir_all(dir)?;
        }
    }
    fs::write(plan.directory.join("hosts"), hosts)?;
    if process::is_root() {
        make_accounts(&plan.directory)?;
    }
    for node in plan.cluster() {
        let files = NodeFiles::of(plan, node);
        if plan.is_classic(node) {
            classic::make(&files)?;
        }
        make_ha_d(plan, &files, contents)?;
        // The machine's own init scripts stay usable; a test may put its own beside them.
        link_all(Path::new("/etc/init.d"), &files.init_d())?;
    }
    Ok(())
}

/// The user and group that heartbeat gives its rights up to, on a machine where it was never installed.
///
/// Only root can become another user: the labs of others do without.
fn make_accounts(directory: &Path) -> io::Result<()> {
    let read = |name: &str| fs::read_to_string(name).unwrap_or_default();
    let (mut users, mut groups) = (read("/etc/passwd"), read("/etc/group"));
    let has = |text: &str, name: &str| text.lines().any(|l| l.split(':').next() == Some(name));
    let numbers = |text: &str| -> Vec<u32> {
        text.lines()
            .filter_map(|l| l.split(':').nth(2))
            .filter_map(|n| n.parse().ok())
            .collect()
    };
    if has(&users, "hacluster") || has(&groups, "haclient") {
        return Ok(());
    }
    let used = [numbers(&users), numbers(&groups)].concat();
    // The range of system accounts, from its end.
    let Some(free) = (100..1000).rev().find(|n| !used.contains(n)) else {
        return Ok(());
    };
    users.push_str(&format!("hacluster:x:{free}:{free}:heartbeat:/:/usr/sbin/nologin\n"));
    groups.push_str(&format!("haclient:x:{free}:\n"));
    fs::write(directory.join("passwd"), users)?;
    fs::write(directory.join("group"), groups)
}

/// Resource scripts that are programs of ours.
const OUR_SCRIPTS: [(&str, &str); 5] = [
    ("IPaddr", "IPaddr"),
    ("IPaddr2", "IPaddr"),
    ("IPv6addr", "IPaddr"),
    ("OCF", "OCF"),
    ("drbddisk", "drbddisk"),
];

fn make_ha_d(plan: &Plan, files: &NodeFiles, contents: &Contents) -> io::Result<()> {
    let ha_d = files.ha_d();
    let scripts = ha_d.join("resource.d");
    if let Some(from) = &contents.copy {
        copy_all(from, &ha_d)?;
    }
    let is_classic = files
        .root
        .file_name()
        .is_some_and(|n| plan.is_classic(&n.to_string_lossy()));
    let from = match &plan.packages {
        Some(packages) if is_classic => Some(packages.join("etc/ha.d")),
        _ => samples(&plan.programs),
    };
    if let Some(from) = from {
        for part in ["resource.d", "rc.d", "harc", "shellfuncs"] {
            copy_missing(&from.join(part), &ha_d.join(part))?;
        }
    }
    fs::create_dir_all(&scripts)?;
    for (script, program) in OUR_SCRIPTS.iter().filter(|_| !is_classic) {
        let program = plan.programs.join(program);
        if program.exists() && !scripts.join(script).exists() {
            symlink(program, scripts.join(script))?;
        }
    }
    let mut ha_cf = String::new();
    for line in contents.ha_cf.lines() {
        // The cable between the lab's nodes stands for the one that the site has.
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["serial", ..] => ha_cf.push_str(&format!("serial {}\n", files.serial().display())),
            // The only user there is in such a lab.
            [directive @ ("respawn" | "failfast"), _, ref command @ ..] if !process::is_root() => {
                ha_cf.push_str(&format!("{directive} root {}\n", command.join(" ")));
            }
            _ => {
                ha_cf.push_str(line);
                ha_cf.push('\n');
            }
        }
    }
    fs::write(ha_d.join("ha.cf"), ha_cf)?;
    fs::write(ha_d.join("haresources"), &contents.haresources)?;
    secret(&ha_d.join("authkeys"), &contents.authkeys)
}

/// Writes a file that only its owner may read.
pub fn secret(path: &Path, text: &str) -> io::Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// The scripts that come with the toolkit: of the source tree the programs were built in, else the installed ones.
fn samples(programs: &Path) -> Option<PathBuf> {
    let built = programs.ancestors().take(4).map(|dir| dir.join("ha.d"));
    let mut places = built.chain([PathBuf::from("/etc/ha.d")]);
    places.find(|dir| dir.join("shellfuncs").exists() || dir.join("resource.d").exists())
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_missing(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Copies a file or a directory; what is there stays, what is neither file nor directory is left out.
fn copy_missing(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        copy_all(from, to)
    } else if from.is_file() && to.symlink_metadata().is_err() {
        let name = |e: io::Error| io::Error::other(format!("{}: cannot be copied: {e}", from.display()));
        fs::copy(from, to).map(|_| ()).map_err(name)
    } else {
        Ok(())
    }
}

fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let at = to.join(entry.file_name());
        if at.symlink_metadata().is_err() {
            symlink(entry.path(), at)?;
        }
    }
    Ok(())
}
