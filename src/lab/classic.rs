//! Nodes that run heartbeat 3.0.6 itself: Debian's packages, unpacked beside the machine and laid over its directories in
//! the node's own mounts. Nothing is installed; what a node writes there is the node's and goes with the lab.

use super::files::NodeFiles;
use super::plan::Plan;
use crate::sys::{namespace, process};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where packages have their files, and what a node may change.
const LAID_OVER: [&str; 3] = ["usr", "etc", "var"];
/// The daemon as Debian has it; without it a directory holds no packages of heartbeat.
const DAEMON: &str = "usr/libexec/heartbeat/heartbeat";
/// What Debian's installation script would make in /var/lib/heartbeat. The daemon starts without the others.
const CORES: [&str; 3] = ["cores/root", "cores/nobody", "cores/hacluster"];

/// The unpacked packages: `given`, or what `HB_LAB_CLASSIC` names, or `classic/root` beside the build's programs.
pub fn packages(given: Option<&Path>, programs: &Path) -> io::Result<PathBuf> {
    let named = std::env::var_os("HB_LAB_CLASSIC").filter(|v| !v.is_empty());
    let place = match (given, named) {
        (Some(given), _) => given.to_owned(),
        (None, Some(named)) => named.into(),
        (None, None) => programs.parent().unwrap_or(programs).join("classic/root"),
    };
    if !place.join(DAEMON).exists() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "{}: has no unpacked packages of heartbeat 3.0.6 ({DAEMON}); on Debian tests/interop/packages makes them",
                place.display()
            ),
        ));
    }
    if !process::is_root() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "heartbeat 3.0.6 runs only in a lab of root",
        ));
    }
    place.canonicalize()
}

/// What is in a node's directories before it is switched on.
pub fn make(files: &NodeFiles) -> io::Result<()> {
    for dir in CORES {
        fs::create_dir_all(files.state().join(dir))?;
    }
    for dir in LAID_OVER {
        fs::create_dir_all(upper(files, dir))?;
        fs::create_dir_all(work(files, dir))?;
    }
    Ok(())
}

/// Where what the node writes to `/DIR` is kept.
pub fn upper(files: &NodeFiles, dir: &str) -> PathBuf {
    files.root.join("over").join(dir)
}

fn work(files: &NodeFiles, dir: &str) -> PathBuf {
    files.root.join("over.work").join(dir)
}

/// In the node: lays the packages over the machine's directories. Before anything else is mounted there.
pub fn mounts(packages: &Path, files: &NodeFiles) -> io::Result<()> {
    for dir in LAID_OVER {
        let at = Path::new("/").join(dir);
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: cannot be laid over: {e}", at.display()));
        let package = packages.join(dir);
        let lower: Vec<&Path> = [package.as_path(), at.as_path()]
            .into_iter()
            .filter(|p| p.exists())
            .collect();
        namespace::overlay_mount(&lower, &upper(files, dir), &work(files, dir), &at).map_err(named)?;
    }
    // Where /var/lock leads.
    fs::create_dir_all(files.run().join("lock/subsys"))
}

/// Nothing tells the classic where its files are: it has them where it always had them. Its helpers are not in any PATH
/// of an administrator; here they are, as the lab's own are in its other nodes.
pub fn environment() -> Vec<(&'static str, PathBuf)> {
    let path = "/usr/share/heartbeat:/usr/libexec/heartbeat:/usr/lib/heartbeat:/usr/sbin:/usr/bin:/sbin:/bin";
    vec![("PATH", path.into())]
}

/// The lab's directory must not be under what is laid over: a node would write to copies of its own.
pub fn check_place(plan: &Plan) -> io::Result<()> {
    let below = |dir: &str| plan.directory.starts_with(Path::new("/").join(dir));
    match LAID_OVER.iter().find(|dir| below(dir)) {
        None => Ok(()),
        Some(dir) => Err(io::Error::other(format!(
            "{}: a lab with heartbeat 3.0.6 cannot be below /{dir}; set HB_LAB_DIR to another place",
            plan.directory.display()
        ))),
    }
}
