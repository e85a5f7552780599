//! ResourceManager, mach_down and req_resource with real scripts: what they print, what they run, in which order, and how
//! they end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A node `n1` with its files; removed at the end. Each script writes what it is asked to into `calls`, keeps its state in
/// `run/SCRIPT-ARG`, and fails while `run/SCRIPT-ARG-fails-VERB` is there.
struct Node(PathBuf);

const SCRIPT: &str = r#"#!/bin/sh
for verb; do :; done
name=${0##*/}
if [ "$#" -gt 1 ]; then name=$name-$1; fi
echo "$name $verb" >>"$SITE/calls"
if [ -e "$SITE/run/$name-fails-$verb" ]; then exit 1; fi
case $verb in
start) : >"$SITE/run/$name" ;;
stop) rm -f "$SITE/run/$name" ;;
status) if [ -e "$SITE/run/$name" ]; then echo running; else echo stopped; exit 3; fi ;;
esac
"#;

const HARESOURCES: &str = "\
# two of n1, one of n2
n1 10.0.0.1 web db::main
N1 \\
   mail
n2 10.0.0.2 web::other
";

impl Node {
    fn new(auto_failback: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("ha-manager-{}-{n}", std::process::id()));
        for inside in ["ha.d/resource.d", "init.d", "run", "lib"] {
            std::fs::create_dir_all(dir.join(inside)).unwrap();
        }
        let node = Self(dir);
        // The environment of scripts is fixed; `env` lines of ha.cf are how a site reaches them.
        let site = node.0.display();
        node.write(
            "ha.d/ha.cf",
            &format!(
                "node n1 n2\nbcast lo\nping 10.0.0.254\nlogfile /dev/null\nauto_failback {auto_failback}\nenv SITE={site}\n"
            ),
        );
        node.write("ha.d/haresources", HARESOURCES);
        node.write("ha.d/authkeys", "auth 1\n1 crc\n");
        // Written by another process: a script that this one has open for writing could not be executed while a sibling
        // test forks at that moment ("text file busy").
        let copy = "cd \"$1\" && for f in ha.d/resource.d/IPaddr ha.d/resource.d/web init.d/db init.d/mail; do
            printf '%s' \"$2\" >$f && chmod 755 $f || exit; done";
        let status = Command::new("sh")
            .args([
                "-c",
                copy,
                "sh",
                node.0.to_str().unwrap(),
                &SCRIPT.replace("$SITE", "$HA_SITE"),
            ])
            .status();
        assert!(status.unwrap().success());
        node
    }

    fn write(&self, inside: &str, text: &str) {
        std::fs::write(self.0.join(inside), text).unwrap();
    }

    fn mark(&self, names: &[&str]) {
        for name in names {
            self.write(&format!("run/{name}"), "");
        }
    }

    /// Exit status, standard output, standard error.
    fn run(&self, program: &str, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(Path::new(env!("CARGO_BIN_EXE_ResourceManager")).with_file_name(program))
            .args(args)
            .env("HA_CURHOST", "n1")
            .env("HA_DIR", self.0.join("ha.d"))
            .env("HA_INITDIR", self.0.join("init.d"))
            .env("HA_VARLIB", self.0.join("lib"))
            .env("HA_STOPRETRYMAX", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// What the scripts were asked since the last time, `status` left out.
    fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.0.join("calls")).unwrap_or_default();
        let _ = std::fs::remove_file(self.0.join("calls"));
        calls
            .lines()
            .filter(|l| !l.ends_with(" status"))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn lists_and_answers() {
    let node = Node::new("on");
    node.mark(&["web", "IPaddr-10.0.0.2", "web-other"]);
    #[rustfmt::skip]
    let table: &[(&[&str], i32, &str)] = &[
        (&["listkeys", "n1"],           0, "10.0.0.1\nmail\n"),
        (&["listkeys", "N2"],           0, "10.0.0.2\n"),
        (&["listkeys", "n"],            0, ""),
        (&["allkeys"],                  0, "10.0.0.1\nmail\n10.0.0.2\n"),
        (&["ourkeys"],                  0, "10.0.0.1 web db::main \nmail \n"),
        (&["otherkeys"],                0, "10.0.0.2 web::other \n"),
        (&["status", "web"],            0, ""),
        (&["status", "web::other"],     0, ""),
        (&["status", "10.0.0.1"],       3, ""),
        (&["status", "IPaddr::10.0.0.2"], 0, ""),
        (&["status", "nothing"],        3, ""),
        (&["statgroup", "10.0.0.1"],    0, "SOME\n"),
        (&["statgroup", "10.0.0.2"],    0, "ALL\n"),
        (&["statgroup", "mail"],        0, "NONE\n"),
        (&["statgroup", "10.0.0"],      1, ""),
        (&["statgroup", "10x0.0.1"],    1, ""),
        (&["verifyallidle"],            1, ""),
        (&[],                           1, ""),
        (&["listkeys"],                 1, ""),
        (&["dance"],                    1, ""),
    ];
    for (args, exit, stdout) in table {
        let (code, out, err) = node.run("ResourceManager", args);
        assert_eq!((code, out.as_str()), (*exit, *stdout), "{args:?}: {err}");
        assert_eq!(
            err.is_empty(),
            *exit == 0 || *args == ["status", "10.0.0.1"],
            "{args:?}: {err}"
        );
    }
    let (_, _, err) = node.run("ResourceManager", &["verifyallidle"]);
    assert!(
        err.starts_with("ResourceManager: CRITICAL: resource 10.0.0.2 is active, and should not be!\n"),
        "{err}"
    );
}

#[test]
fn a_group_is_taken_left_to_right_and_given_right_to_left() {
    let node = Node::new("on");
    node.mark(&["web"]);
    assert_eq!(node.run("ResourceManager", &["takegroup", "10.0.0.1"]).0, 0);
    assert_eq!(
        node.calls(),
        ["IPaddr-10.0.0.1 start", "db-main start"],
        "what runs is not started again"
    );
    assert_eq!(node.run("ResourceManager", &["givegroup", "10.0.0.1"]).0, 0);
    assert_eq!(node.calls(), ["db-main stop", "web stop", "IPaddr-10.0.0.1 stop"]);
}

#[test]
fn a_group_that_cannot_start_is_released_again() {
    let node = Node::new("on");
    node.mark(&["db-main-fails-start"]);
    let (code, _, err) = node.run("ResourceManager", &["takegroup", "10.0.0.1"]);
    assert_eq!(code, 1);
    assert!(err.contains("giving up resources due to failure of db::main"), "{err}");
    let starts = ["IPaddr-10.0.0.1 start", "web start", "db-main start"];
    assert_eq!(
        node.calls(),
        [&starts[..], &["db-main stop", "web stop", "IPaddr-10.0.0.1 stop"]].concat()
    );
}

#[test]
fn a_resource_that_does_not_stop_is_reported_and_the_others_are_stopped() {
    let node = Node::new("on");
    node.mark(&["IPaddr-10.0.0.1", "web", "web-fails-stop"]);
    let (code, _, err) = node.run("ResourceManager", &["givegroup", "10.0.0.1"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("resource web: cannot be stopped; stop it by hand"),
        "{err}"
    );
    assert_eq!(node.calls(), ["db-main stop", "web stop", "IPaddr-10.0.0.1 stop"]);

    // A stop that fails of something that does not run (not LSB-compliant) is good enough.
    std::fs::remove_file(node.0.join("run/web")).unwrap();
    let (code, _, err) = node.run("ResourceManager", &["givegroup", "10.0.0.1"]);
    assert_eq!(code, 0);
    assert!(err.contains("not LSB-compliant"), "{err}");
}

#[test]
fn mach_down_takes_the_groups_of_a_dead_node() {
    let node = Node::new("on");
    assert_eq!(node.run("mach_down", &["N2"]).0, 0);
    assert_eq!(node.calls(), ["IPaddr-10.0.0.2 start", "web-other start"]);
    #[rustfmt::skip]
    let table: &[(&[&str], i32)] = &[
        (&["10.0.0.254"], 0), // a ping node
        (&["n1"],         1),
        (&["n3"],         1),
        (&[],             2),
        (&["n1", "n2"],   2),
        (&["--what"],     2),
    ];
    for (args, exit) in table {
        assert_eq!(node.run("mach_down", args).0, *exit, "{args:?}");
        assert!(node.calls().is_empty(), "{args:?}");
    }
}

#[test]
fn req_resource_asks_heartbeat_unless_it_runs() {
    let node = Node::new("on");
    node.mark(&["IPaddr-10.0.0.1"]);
    #[rustfmt::skip]
    let table: &[(&[&str], i32, &str)] = &[
        (&["10.0.0.1"], 0, ""),
        (&["mail"],     7, "req_resource: mail: heartbeat is not running on this node\n"),
        (&["web"],      1, "req_resource: web: is not the key of a group; ResourceManager allkeys lists them\n"),
        (&[],           2, ""),
    ];
    for (args, exit, said) in table {
        let (code, _, err) = node.run("req_resource", args);
        assert_eq!(code, *exit, "{args:?}: {err}");
        assert!(err.contains(said), "{args:?}: {err}");
    }
}

#[test]
fn req_resource_writes_one_message_for_this_node() {
    let node = Node::new("on");
    let path = node.0.join("lib/fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    // Read and write: the FIFO is never without a writer, and reading never ends.
    let mut fifo = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    assert_eq!(node.run("req_resource", &["mail"]), (0, String::new(), String::new()));
    let mut next = || {
        let mut bytes = vec![0; 4096];
        let n = std::io::Read::read(&mut fifo, &mut bytes).unwrap();
        let text = String::from_utf8(bytes[..n].to_vec()).unwrap();
        // What stands before the mark is skipped by every reader.
        let lines = text.lines().skip_while(|l| *l != ">>>");
        lines.collect::<Vec<&str>>().join(" ")
    };
    assert_eq!(next(), ">>> t=ip-request-resp dest=n1 ipaddr=mail weown=yes ok=OK <<<");
    assert_eq!(node.run("mach_down", &["n2"]).0, 0);
    assert_eq!(next(), ">>> t=resource rsc_hold=foreign info=mach_down <<<");
}

#[test]
fn mistakes_in_the_files_are_all_told() {
    let node = Node::new("on");
    node.write("ha.d/haresources", "n9 10.0.0.1\nn1 10.0.0.2\nn8 10.0.0.3\n");
    for (program, args) in [
        ("ResourceManager", &["allkeys"][..]),
        ("mach_down", &["n2"]),
        ("req_resource", &["mail"]),
    ] {
        let (code, out, err) = node.run(program, args);
        assert_eq!((code, out.as_str()), (6, ""), "{program}: {err}");
        let lines: Vec<&str> = err.lines().collect();
        assert_eq!(lines.len(), 2, "{err}");
        let file = node.0.join("ha.d/haresources");
        assert!(
            lines[0].starts_with(&format!("{program}: {}:1: n9 is not a node", file.display())),
            "{err}"
        );
        assert!(
            lines[1].starts_with(&format!("{program}: {}:3: n8 is not a node", file.display())),
            "{err}"
        );
    }
}

#[test]
fn words_that_are_not_utf8_are_refused_like_other_wrong_ones() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    for program in ["mach_down", "req_resource", "ResourceManager"] {
        let node = Node::new("on");
        let program = Path::new(env!("CARGO_BIN_EXE_ResourceManager")).with_file_name(program);
        let status = Command::new(&program)
            .arg(OsStr::from_bytes(b"\xff"))
            .env("HA_CURHOST", "n1")
            .env("HA_DIR", node.0.join("ha.d"))
            .env("HA_VARLIB", node.0.join("lib"))
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(1), "{}", program.display());
    }
}
