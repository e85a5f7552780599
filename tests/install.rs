//! `init/install.sh` with the real programs into a directory tree, and the scripts it installs.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("ha-install-{}-{name}-{n}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// The programs under test without their debugging information: a tenth of the bytes to copy.
fn programs() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let built = Path::new(env!("CARGO_BIN_EXE_heartbeat")).parent().unwrap();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stripped");
        std::fs::create_dir_all(&dir).unwrap();
        for name in program_names() {
            let status = Command::new("strip")
                .arg("-o")
                .args([dir.join(&name), built.join(&name)])
                .status();
            if !status.is_ok_and(|s| s.success()) {
                std::fs::copy(built.join(&name), dir.join(&name)).unwrap();
            }
        }
        dir
    })
}

fn program_names() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let names = text.split("[[bin]]").skip(1).map(|section| {
        let name = section
            .lines()
            .find_map(|l| l.strip_prefix("name = \"")?.strip_suffix('"'));
        name.expect("a [[bin]] has a name").to_owned()
    });
    names.collect()
}

/// A directory tree to install into, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        Self(scratch(name))
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.join(inside.trim_start_matches('/'))
    }

    fn text(&self, inside: &str) -> String {
        std::fs::read_to_string(self.path(inside)).unwrap_or_else(|e| panic!("{inside}: {e}"))
    }

    fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn run(&self, args: &[&str], prefix: &str) -> String {
        let output = Command::new("sh")
            .arg(root().join("init/install.sh"))
            .args(args)
            .env("DESTDIR", &self.0)
            .env("PREFIX", prefix)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", output.status);
        said
    }

    fn install(&self) -> String {
        self.run(&["--from", programs().to_str().unwrap()], "/usr")
    }

    /// Every path with its mode and what is in it.
    fn everything(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        walk(&self.0, &mut |path| {
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_symlink() {
                format!("-> {}", std::fs::read_link(path).unwrap().display())
            } else if meta.is_file() {
                format!(
                    "{:x?}",
                    std::fs::read(path)
                        .unwrap()
                        .iter()
                        .fold(0u64, |s, b| s.rotate_left(5) ^ u64::from(*b))
                )
            } else {
                String::new()
            };
            let inside = path.strip_prefix(&self.0).unwrap().display().to_string();
            all.insert(inside, format!("{:o} {content}", meta.permissions().mode()));
        });
        all
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn walk(dir: &Path, see: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        see(&path);
        if path.symlink_metadata().unwrap().is_dir() {
            walk(&path, see);
        }
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata()
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .permissions()
        .mode()
        & 0o7777
}

#[test]
fn s2_01_one_command_installs_everything_a_site_needs() {
    let tree = Tree::new("s2-01");
    tree.install();
    for name in program_names() {
        let path = tree.path(&format!("/usr/lib/heartbeat/{name}"));
        assert_eq!(mode(&path), 0o755, "{name}");
    }
    #[rustfmt::skip]
    let links = [
        ("/usr/bin/cl_status",                   "../lib/heartbeat/cl_status"),
        ("/usr/sbin/heartbeat",                  "../lib/heartbeat/heartbeat"),
        ("/usr/sbin/hb_standby",                 "../lib/heartbeat/hb_standby"),
        ("/usr/share/heartbeat/hb_standby",      "../../lib/heartbeat/hb_standby"),
        ("/usr/share/heartbeat/ResourceManager", "../../lib/heartbeat/ResourceManager"),
        ("/etc/ha.d/resource.d/IPaddr",          "/usr/lib/heartbeat/IPaddr"),
        ("/etc/ha.d/resource.d/IPaddr2",         "/usr/lib/heartbeat/IPaddr"),
        ("/etc/ha.d/resource.d/IPv6addr",        "/usr/lib/heartbeat/IPaddr"),
        ("/etc/ha.d/resource.d/drbddisk",        "/usr/lib/heartbeat/drbddisk"),
        ("/usr/sbin/drbdctl",                    "../lib/heartbeat/drbdctl"),
        ("/etc/rc2.d/S75heartbeat",              "../init.d/heartbeat"),
        ("/etc/rc3.d/S75heartbeat",              "../init.d/heartbeat"),
        ("/etc/rc4.d/S75heartbeat",              "../init.d/heartbeat"),
        ("/etc/rc5.d/S75heartbeat",              "../init.d/heartbeat"),
        ("/etc/rc0.d/K05heartbeat",              "../init.d/heartbeat"),
        ("/etc/rc1.d/K05heartbeat",              "../init.d/heartbeat"),
        ("/etc/rc6.d/K05heartbeat",              "../init.d/heartbeat"),
    ];
    for (path, target) in links {
        let found = std::fs::read_link(tree.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!(found, Path::new(target), "{path}");
        let resolved = match target.strip_prefix('/') {
            Some(inside) => tree.path(inside),
            None => tree.path(path).parent().unwrap().join(target),
        };
        assert!(resolved.exists(), "{path} -> {target} leads nowhere");
    }
    #[rustfmt::skip]
    let files = [
        ("/etc/init.d/heartbeat",                        0o755),
        ("/etc/ha.d/harc",                               0o755),
        ("/etc/ha.d/shellfuncs",                         0o755),
        ("/etc/ha.d/rc.d/README",                        0o644),
        ("/etc/ha.d/rc.d/status",                        0o644),
        ("/etc/ha.d/rc.d/drbdctl",                       0o755),
        ("/usr/lib/ocf/resource.d/heartbeat/drbd",       0o755),
        ("/etc/ha.d/resource.d/README",                  0o644),
        ("/etc/logrotate.d/heartbeat",                   0o644),
        ("/usr/lib/systemd/system/heartbeat.service",    0o644),
        ("/usr/share/doc/heartbeat/README.md",           0o644),
        ("/usr/share/doc/heartbeat/LICENSE-MIT",         0o644),
        ("/usr/share/doc/heartbeat/ha.cf",               0o644),
        ("/usr/share/doc/heartbeat/haresources",         0o644),
        ("/usr/share/doc/heartbeat/authkeys",            0o600),
        ("/usr/share/man/man8/heartbeat.8",              0o644),
        ("/usr/share/man/man5/ha.cf.5",                  0o644),
        ("/usr/lib/heartbeat/installed",                 0o644),
        ("/var/lib/heartbeat",                           0o755),
        ("/var/lib/heartbeat/api",                       0o3730),
        ("/var/lib/heartbeat/casual",                    0o3730),
    ];
    for (path, expected) in files {
        assert_eq!(mode(&tree.path(path)), expected, "{path}");
    }
    for page in std::fs::read_dir(root().join("man")).unwrap() {
        let page = page.unwrap().path();
        let section = page.extension().unwrap().to_str().unwrap();
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(
            tree.path(&format!("/usr/share/man/man{section}/{name}")).exists(),
            "{name}"
        );
    }
    // The site's own files are the site's to write.
    for name in ["ha.cf", "haresources", "authkeys"] {
        assert!(!tree.path(&format!("/etc/ha.d/{name}")).exists(), "{name}");
    }
    let help = Command::new(tree.path("/usr/lib/heartbeat/ResourceManager"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(help.status.success());
}

#[test]
fn a_second_run_changes_nothing_and_keeps_what_the_site_wrote() {
    let tree = Tree::new("twice");
    // Before the first run: a file of the site where ours would go.
    tree.write("/etc/ha.d/resource.d/IPaddr2", "#!/bin/sh\n# our own\n");
    tree.write("/etc/ha.d/ha.cf", "node a b\n");
    tree.write("/etc/ha.d/authkeys", "auth 1\n1 crc\n");
    assert!(
        tree.install()
            .contains("/etc/ha.d/resource.d/IPaddr2 is somebody else's: kept")
    );
    let first = tree.everything();
    tree.install();
    let second = tree.everything();
    assert!(first.keys().eq(second.keys()));
    for (path, is) in second {
        assert_eq!(is, first[&path], "{path}");
    }

    tree.write("/etc/ha.d/shellfuncs", "# changed\n");
    tree.write("/etc/init.d/heartbeat", "# changed too\n");
    let said = tree.install();
    assert_eq!(tree.text("/etc/ha.d/shellfuncs"), "# changed\n");
    assert_eq!(tree.text("/etc/init.d/heartbeat"), "# changed too\n");
    assert!(said.contains("/etc/ha.d/shellfuncs has been changed: kept"), "{said}");
    assert_eq!(tree.text("/etc/ha.d/ha.cf"), "node a b\n");
    assert_eq!(tree.text("/etc/ha.d/authkeys"), "auth 1\n1 crc\n");
    assert_eq!(tree.text("/etc/ha.d/resource.d/IPaddr2"), "#!/bin/sh\n# our own\n");
}

#[test]
fn an_upgrade_replaces_what_only_we_have_written() {
    let tree = Tree::new("upgrade");
    tree.install();
    // As an older version would have left it: another harc, a program that is gone by now.
    tree.write("/etc/ha.d/harc", "old\n");
    tree.write("/usr/lib/heartbeat/gone", "old\n");
    let cksum = Command::new("sh")
        .arg("-c")
        .arg("printf 'old\\n' | cksum")
        .output()
        .unwrap();
    let sum = String::from_utf8(cksum.stdout).unwrap();
    let sum = sum.trim().replace(' ', "-");
    let manifest: String = tree
        .text("/usr/lib/heartbeat/installed")
        .lines()
        .map(|l| match l.ends_with(" /etc/ha.d/harc") {
            true => format!("conf {sum} /etc/ha.d/harc\n"),
            false => format!("{l}\n"),
        })
        .collect();
    tree.write(
        "/usr/lib/heartbeat/installed",
        &(manifest + "file /usr/lib/heartbeat/gone\n"),
    );
    tree.install();
    let ours = std::fs::read_to_string(root().join("ha.d/harc")).unwrap();
    assert_eq!(tree.text("/etc/ha.d/harc"), ours);
    assert!(!tree.path("/usr/lib/heartbeat/gone").exists());
}

#[test]
fn uninstall_leaves_the_configuration_and_the_state() {
    let tree = Tree::new("uninstall");
    tree.write("/etc/hosts", "127.0.0.1 localhost\n");
    tree.install();
    let site = [
        ("/etc/ha.d/ha.cf", "node a b\n"),
        ("/etc/ha.d/haresources", "a 10.0.0.1\n"),
        ("/etc/ha.d/authkeys", "auth 1\n1 crc\n"),
        ("/etc/ha.d/resource.d/httpd", "#!/bin/sh\n"),
        ("/etc/ha.d/shellfuncs", "# changed\n"),
        ("/var/lib/heartbeat/hb_generation", "              7\n"),
    ];
    for (path, text) in site {
        tree.write(path, text);
    }
    let said = tree.run(&["--uninstall"], "/usr");
    assert!(said.contains("/etc/ha.d/shellfuncs has been changed: kept"), "{said}");
    for (path, text) in site {
        assert_eq!(tree.text(path), text);
    }
    let mut left: Vec<String> = Vec::new();
    for path in tree.everything().into_keys().filter(|p| !tree.0.join(p).is_dir()) {
        left.push(format!("/{path}"));
    }
    let mut expected: Vec<String> = site.iter().map(|(path, _)| (*path).to_owned()).collect();
    expected.push("/etc/hosts".to_owned());
    expected.sort();
    assert_eq!(left, expected);
    assert!(
        !tree.path("/usr").exists(),
        "directories that we made and that are empty go too"
    );
}

/// The scripts of 3.0.6 call agents of another package; those of the site are the site's.
#[test]
fn resource_scripts_of_the_old_package_go_aside_and_come_back() {
    let tree = Tree::new("scripts");
    let old = "#!/bin/sh\n. /etc/ha.d/resource.d//hto-mapfuncs\nOCF_TYPE=Filesystem\n";
    let own = "#!/bin/sh\n# our own, and better\n";
    tree.write("/etc/ha.d/resource.d/Filesystem", old);
    tree.write("/etc/ha.d/resource.d/OCF", "#!/bin/sh\nOCF_RES_VERSION_MAJOR=1\n");
    tree.write("/etc/ha.d/resource.d/apache", own);
    tree.install();
    for _ in 0..2 {
        let text = tree.text("/etc/ha.d/resource.d/Filesystem");
        assert!(text.contains("resource.d/functions") && text != old);
        assert_eq!(tree.text("/etc/ha.d/resource.d/apache"), own);
        let link = std::fs::read_link(tree.path("/etc/ha.d/resource.d/OCF")).unwrap();
        assert_eq!(link, Path::new("/usr/lib/heartbeat/OCF"));
        // An upgrade does not take ours for the old one's.
        tree.install();
    }
    tree.run(&["--uninstall"], "/usr");
    assert_eq!(tree.text("/etc/ha.d/resource.d/Filesystem"), old);
    assert_eq!(tree.text("/etc/ha.d/resource.d/apache"), own);
}

#[test]
fn another_prefix_is_known_to_everything_installed() {
    let tree = Tree::new("prefix");
    tree.run(&["--from", programs().to_str().unwrap()], "/usr/local");
    for path in [
        "/etc/init.d/heartbeat",
        "/etc/ha.d/shellfuncs",
        "/usr/local/lib/systemd/system/heartbeat.service",
    ] {
        let text = tree.text(path);
        assert!(text.contains("/usr/local/lib/heartbeat"), "{path}");
        assert!(!text.contains("/usr/lib/heartbeat"), "{path}");
    }
    let link = std::fs::read_link(tree.path("/etc/ha.d/resource.d/IPaddr")).unwrap();
    assert_eq!(link, Path::new("/usr/local/lib/heartbeat/IPaddr"));
    assert!(!tree.path("/usr/lib").exists());
}

/// The shells of this machine that our scripts must work with.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [vec!["sh"], vec!["dash"], vec!["bash", "--posix"], vec!["busybox", "sh"]];
    let works = |shell: &Vec<&str>| shell_run(shell, &["-c", "exit 0"]).is_some_and(|o| o.status.success());
    let (found, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(works);
    for shell in missing {
        println!("SKIPPED: scripts under {}: it is not installed", shell.join(" "));
    }
    found
}

fn shell_run(shell: &[&str], args: &[&str]) -> Option<Output> {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(args).stdin(Stdio::null()).output().ok()
}

#[test]
fn scripts_are_posix_shell() {
    for shell in shells() {
        for script in ["init/heartbeat", "init/install.sh", "ha.d/harc", "ha.d/shellfuncs"] {
            let path = root().join(script);
            let output = shell_run(&shell, &["-n", path.to_str().unwrap()]).unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{shell:?} {script}: {said}");
        }
    }
}

/// An installed init script, called as the LSB says, with `HA_DIR` in the tree.
fn init_script(tree: &Tree, shell: &[&str], libdir: &str, verb: &str) -> (i32, String) {
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .args([tree.path("/etc/init.d/heartbeat").to_str().unwrap(), verb])
        .env("HA_DIR", tree.path("/etc/ha.d"))
        .env("HA_RUN", tree.path("/run"))
        .env("HA_VARLIB", tree.path("/var/lib/heartbeat"))
        .env("HA_LIBDIR", tree.path(libdir))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

#[test]
fn init_script_without_configuration_or_program() {
    let tree = Tree::new("init");
    tree.install();
    let conf = format!(
        "Heartbeat not configured: {} not found. Heartbeat failure [rc=6]. Failed.\n",
        tree.path("/etc/ha.d/ha.cf").display()
    );
    let inst = format!(
        "Heartbeat not installed: {} not found. Heartbeat failure [rc=5]. Failed.\n",
        tree.path("/nowhere/heartbeat").display()
    );
    let unknown = format!(
        "heartbeat: {} not found, status unknown\n",
        tree.path("/nowhere/heartbeat").display()
    );
    let stopped = "Stopping High-Availability services: Done.\n\n".to_owned();
    let status = "heartbeat is stopped. No process\n".to_owned();
    let restart = format!("{stopped}{conf}");
    let usage = format!(
        "Usage: {} {{start|stop|status|restart|reload|force-reload|standby}}\n",
        tree.path("/etc/init.d/heartbeat").display()
    );
    #[rustfmt::skip]
    let table = [
        // programs             verb            exit said
        ("/usr/lib/heartbeat",  "start",        6,   &conf),
        ("/usr/lib/heartbeat",  "reload",       6,   &conf),
        ("/usr/lib/heartbeat",  "force-reload", 6,   &conf),
        ("/usr/lib/heartbeat",  "standby",      6,   &conf),
        ("/usr/lib/heartbeat",  "stop",         0,   &stopped),
        ("/usr/lib/heartbeat",  "status",       3,   &status),
        ("/usr/lib/heartbeat",  "restart",      6,   &restart),
        ("/usr/lib/heartbeat",  "nonsense",     1,   &usage),
        ("/nowhere",            "start",        5,   &inst),
        ("/nowhere",            "status",       4,   &unknown),
    ];
    for shell in shells() {
        for (libdir, verb, exit, said) in &table {
            assert_eq!(
                init_script(&tree, &shell, libdir, verb),
                (*exit, (*said).clone()),
                "{shell:?} {verb}"
            );
        }
    }
}

#[test]
fn init_script_tells_what_is_wrong_with_the_configuration() {
    let tree = Tree::new("init-bad");
    tree.install();
    tree.write("/etc/ha.d/ha.cf", "nodes n1\n");
    tree.write("/etc/ha.d/resource.d/startstop", "not executable: not called\n");
    for shell in shells() {
        let (exit, said) = init_script(&tree, &shell, "/usr/lib/heartbeat", "start");
        assert_eq!(exit, 6, "{shell:?}: {said}");
        let begin = "Starting High-Availability services:  Heartbeat failure [rc=6]. Failed.\n\n";
        assert!(said.starts_with(begin), "{shell:?}: {said}");
        assert!(said.contains("ha.cf:1: "), "{shell:?}: {said}");
        assert_eq!(
            init_script(&tree, &shell, "/usr/lib/heartbeat", "status").0,
            3,
            "{shell:?}"
        );
        let (exit, said) = init_script(&tree, &shell, "/usr/lib/heartbeat", "standby");
        assert_eq!(
            (exit, said.as_str()),
            (1, "Heartbeat is not running: cannot go standby.\n"),
            "{shell:?}"
        );
    }
}

#[test]
fn harc_runs_the_site_script_and_nothing_outside() {
    let tree = Tree::new("harc");
    tree.install();
    tree.write("/etc/ha.d/rc.d/notes", "not executable\n");
    // Written by another process: one that this one has open for writing could not be executed while a sibling test
    // forks at that moment ("text file busy").
    tree.write("/hello", "#!/bin/sh\necho \"$1 from $HA_src\"\n");
    let copy = [tree.path("/hello"), tree.path("/etc/ha.d/rc.d/hello")];
    assert!(
        Command::new("install")
            .args(["-m", "755"])
            .args(copy)
            .status()
            .unwrap()
            .success()
    );
    #[rustfmt::skip]
    let table = [
        ("Hello",       0, "hello from n2\n"),
        ("notes",       0, ""),
        ("other",       0, ""),
        ("../harc",     2, ""),
        ("a b",         2, ""),
        ("",            2, ""),
    ];
    for shell in shells() {
        for (kind, exit, said) in table {
            let output = Command::new(shell[0])
                .args(&shell[1..])
                .args([tree.path("/etc/ha.d/harc").to_str().unwrap(), kind])
                .env("HA_DIR", tree.path("/etc/ha.d"))
                .env("HA_src", "n2")
                .output()
                .unwrap();
            let got = (
                output.status.code(),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            );
            assert_eq!(got, (Some(exit), said.to_owned()), "{shell:?} {kind:?}");
        }
    }
}

#[test]
fn functions_for_scripts_of_a_site() {
    let tree = Tree::new("shellfuncs");
    tree.write(
        "/etc/ha.d/ha.cf",
        "# deadtime 1\ndeadtime 5\nkeepalive\t500ms # fast\ndeadtime 10\nbcast eth0 eth1\n",
    );
    let script = format!(
        ". {}/ha.d/shellfuncs
for name in deadtime keepalive bcast nothing; do ha_parameter $name; echo \"rc $?\"; done
for verb in status monitor start status stop status; do ha_pseudo_resource mark $verb; echo \"rc $?\"; done
ha_log 'info: something happened'
HA_debug=1 ha_debug seen
HA_debug=0 ha_debug unseen
echo t=x | ha_clustermsg; echo \"rc $?\"
sed 's/^.*\t//' $HA_LOGFILE
sed 's/^.*\t//' $HA_DEBUGLOG",
        root().display()
    );
    let expected = "10\nrc 0\n500ms\nrc 0\neth0 eth1\nrc 0\nrc 1\n\
         mark stopped\nrc 3\nmark stopped\nrc 7\nrc 0\nmark running\nrc 0\nrc 0\nmark stopped\nrc 3\n\
         rc 1\n\
         info: something happened\nERROR: ha_clustermsg: heartbeat is not running on this node\n\
         info: something happened\ndebug: seen\nERROR: ha_clustermsg: heartbeat is not running on this node\n";
    for shell in shells() {
        for log in ["ha-log", "ha-debug"] {
            tree.write(log, "");
        }
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", &script])
            .env("HA_DIR", tree.path("/etc/ha.d"))
            .env("HA_RSCTMP", tree.path("/run/rsctmp"))
            .env("HA_VARLIB", tree.path("/var/lib/heartbeat"))
            .env("HA_LOGFILE", tree.path("ha-log"))
            .env("HA_DEBUGLOG", tree.path("ha-debug"))
            .env_remove("HA_LOGFACILITY")
            .env_remove("HA_debug")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{shell:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
    }
}
