//! From the source tree to a running node by install.sh and the init script.

use crate::cluster::{Cluster, Said, Setup, VIP};
use std::path::{Path, PathBuf};
use std::process::Command;

fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The programs without their debugging information: a tenth of the bytes to copy.
fn stripped(programs: &Path) -> PathBuf {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stripped-for-the-lab");
    std::fs::create_dir_all(&to).expect("a directory");
    let manifest = std::fs::read_to_string(source().join("Cargo.toml")).expect("Cargo.toml");
    for section in manifest.split("[[bin]]").skip(1) {
        let name = section
            .lines()
            .find_map(|l| l.strip_prefix("name = \"")?.strip_suffix('"'));
        let name = name.expect("a [[bin]] has a name");
        let (from, to) = (programs.join(name), to.join(name));
        let done = Command::new("strip").arg("-o").args([&to, &from]).status();
        if !done.is_ok_and(|s| s.success()) {
            std::fs::copy(&from, &to).expect("copied");
        }
    }
    to
}

/// Runs the init script of a node.
fn init(c: &Cluster, node: &str, script: &Path, verb: &str) -> Said {
    c.run(node, &["sh", &script.display().to_string(), verb])
}

#[test]
fn s2_01_a_node_starts_from_what_install_sh_installed() {
    let Some(c) = Setup::default().make("s2-01") else {
        return;
    };
    // Inside the lab's directory, so that it goes with the lab.
    let tree = c.lab.files("hello").root.join("installed");
    std::fs::create_dir_all(&tree).expect("a directory");
    let at = |path: &str| tree.join(path).display().to_string();
    let said = Command::new("sh")
        .arg(source().join("init/install.sh"))
        .arg("--from")
        .arg(stripped(&c.lab.plan.programs))
        // With a DESTDIR, even of no effect, install.sh leaves the users of this machine alone.
        .env("DESTDIR", "/")
        .env("PREFIX", at("usr"))
        .env("SYSCONFDIR", at("etc"))
        .env("STATEDIR", at("var/lib/heartbeat"))
        .output()
        .expect("sh runs");
    Said::from(said).good("install.sh");
    for (link, to) in [
        ("etc/rc3.d/S75heartbeat", "../init.d/heartbeat"),
        ("etc/rc6.d/K05heartbeat", "../init.d/heartbeat"),
    ] {
        assert_eq!(std::fs::read_link(tree.join(link)).expect(link), Path::new(to));
    }
    for file in ["ha.cf", "haresources", "authkeys"] {
        assert!(tree.join("usr/share/doc/heartbeat").join(file).exists(), "{file}");
        let from = c.lab.files("hello").ha_d().join(file);
        let text = std::fs::read_to_string(from).expect(file);
        c.lab
            .write("hello", &format!("installed/etc/ha.d/{file}"), &text)
            .expect("written");
    }
    let script = tree.join("etc/rc3.d/S75heartbeat").display().to_string();
    let run = |verb: &str| {
        let ha_dir = format!("HA_DIR={}", at("etc/ha.d"));
        c.run("hello", &["env", "-u", "HA_LIBDIR", &ha_dir, "sh", &script, verb])
    };
    let watcher = c.watch(VIP);
    let said = run("start");
    assert_eq!(said.code, Some(0), "{said:?}");
    c.wait_owner(&watcher, "hello", 0);
    let master = c.processes("hello", "master control process");
    let program = c
        .run("hello", &["readlink", &format!("/proc/{}/exe", master[0])])
        .good("readlink");
    assert_eq!(program.trim(), at("usr/lib/heartbeat/heartbeat"));
    assert_eq!(run("status").code, Some(0));
    let status = c.run("hello", &[&at("usr/bin/cl_status"), "rscstatus"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert_eq!(run("stop").code, Some(0));
    assert_eq!(run("status").code, Some(3));
    watcher.settle();
    c.wait("nobody has the address", || watcher.owners().is_empty());
}

#[test]
fn s2_05_the_init_script_has_the_verbs_and_exit_codes_of_the_lsb() {
    let Some(c) = Setup::haresources("hello 10.77.0.100 service\n").make("s2-05") else {
        return;
    };
    c.recorder("service");
    let script = source().join("init/heartbeat");
    let run = |verb: &str| init(&c, "hello", &script, verb);
    let pid = || {
        let text = std::fs::read_to_string(c.lab.files("hello").run().join("heartbeat.pid")).unwrap_or_default();
        text.trim().to_owned()
    };
    let said = run("status");
    assert_eq!(
        (said.code, said.out.starts_with("heartbeat is stopped")),
        (Some(3), true),
        "{said:?}"
    );
    let said = run("start");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.starts_with("Starting High-Availability services: Done.\n"),
        "{said:?}"
    );
    let said = run("status");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains(&format!(
            "heartbeat OK [pid {} et al] is running on hello [hello]",
            pid()
        )),
        "{said:?}"
    );
    let first = pid();
    assert_eq!(run("start").code, Some(0), "running already is what was asked for");
    assert_eq!(pid(), first);
    c.wait("the service runs", || c.calls("hello") == ["service start"]);
    assert_eq!(init(&c, "web", &script, "start").code, Some(0));
    c.all_active(&["hello", "web"]);
    c.stable(&["hello", "web"]);
    for verb in ["reload", "force-reload"] {
        let said = run(verb);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(
            said.out.starts_with("Reloading High-Availability services: Done.\n"),
            "{said:?}"
        );
    }
    assert_eq!(
        (pid(), c.calls("hello")),
        (first.clone(), vec!["service start".to_owned()])
    );
    let said = run("standby");
    assert_eq!(said.code, Some(0), "{said:?}");
    c.wait("web has it", || c.calls("web") == ["service start"]);
    let said = run("restart");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("Stopping") && said.out.contains("Starting"),
        "{said:?}"
    );
    assert_ne!(pid(), first);
    c.all_active(&["hello", "web"]);
    let said = run("stop");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.starts_with("Stopping High-Availability services: Done.\n"),
        "{said:?}"
    );
    assert_eq!(run("stop").code, Some(0), "stopped already is what was asked for");
    assert_eq!(run("status").code, Some(3));
    // A daemon that died: 1, "dead and the pid file exists".
    assert_eq!(run("start").code, Some(0));
    c.lab.kill("hello").expect("killed");
    assert_eq!(run("status").code, Some(1));
    assert_eq!(run("start").code, Some(0));
    c.all_active(&["hello", "web"]);
}
