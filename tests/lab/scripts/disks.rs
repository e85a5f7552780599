//! Filesystem with real file systems on loop devices: what is refused, who is ended, and that no data are lost.

use super::{NODE, Script, bench};
use crate::cluster::{Cluster, skipped};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A disk: a file behind a loop device, gone with the test.
struct Disk {
    device: String,
    file: PathBuf,
}

impl Disk {
    /// `None`, and a word about it, on a machine without loop devices.
    fn new(megabytes: u64) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("ha-disk-{}-{n}", std::process::id()));
        let image = std::fs::File::create(&file).expect("a file");
        image.set_len(megabytes << 20).expect("its size");
        let output = Command::new("losetup")
            .args(["-f", "--show"])
            .arg(&file)
            .output()
            .expect("losetup");
        let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if device.is_empty() {
            let _ = std::fs::remove_file(&file);
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            skipped(&format!("tests of Filesystem: no loop device can be had: {why}"));
            return None;
        }
        Some(Self { device, file })
    }

    fn with(megabytes: u64, mkfs: &[&str]) -> Option<Self> {
        let disk = Self::new(megabytes)?;
        let output = Command::new(mkfs[0]).args(&mkfs[1..]).arg(&disk.device).output();
        let output = output.unwrap_or_else(|e| panic!("{}: {e}", mkfs[0]));
        assert!(output.status.success(), "{output:?}");
        Some(disk)
    }

    fn ext4() -> Option<Self> {
        Self::with(32, &["mkfs.ext4", "-q", "-F"])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.device]).output();
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Where it is to be mounted, as the node sees it.
fn place(c: &Cluster) -> String {
    // Not made: that is the script's business.
    c.lab.files(NODE).state().join("srv/data").display().to_string()
}

fn is_mounted(c: &Cluster, place: &str) -> bool {
    c.shell(NODE, &format!("grep -q ' {place} ' /proc/self/mountinfo")).code == Some(0)
}

#[test]
fn filesystems_are_mounted_and_unmounted_and_keep_their_data() {
    #[rustfmt::skip]
    let table: [(&str, u64, &[&str], &str); 4] = [
        ("ext4",  32,  &["mkfs.ext4", "-q", "-F"],          "noatime"),
        ("ext2",  32,  &["mkfs.ext2", "-q", "-F"],          ""),
        ("xfs",   320, &["mkfs.xfs", "-q", "-f"],           ""),
        ("",      32,  &["mkfs.ext4", "-q", "-F"],          ""),
    ];
    for (kind, megabytes, mkfs, options) in table {
        let Some(c) = bench(&format!("scripts-fs-{kind}")) else {
            return;
        };
        let Some(disk) = Disk::with(megabytes, mkfs) else {
            return;
        };
        let place = place(&c);
        let script = Script::new(&c, &["Filesystem", &disk.device, &place, kind, options]);
        script.walk(&format!("{} on a loop device", mkfs[0]), || is_mounted(&c, &place));
        script.good("start");
        let shown = c.shell(NODE, &format!("grep ' {place} ' /proc/self/mountinfo")).out;
        assert!(
            shown.contains(if kind.is_empty() { "ext4" } else { kind }) && shown.contains(options),
            "{shown}"
        );
        c.shell(NODE, &format!("echo kept >{place}/file")).good("written");
        script.good("stop");
        script.good("start");
        assert_eq!(c.shell(NODE, &format!("cat {place}/file")).out, "kept\n");
        script.good("stop");
    }
}

#[test]
fn labels_links_and_files_are_found_too() {
    let Some(c) = bench("scripts-fs-names") else { return };
    let label = format!("ha{}", std::process::id());
    let Some(disk) = Disk::with(32, &["mkfs.ext4", "-q", "-F", "-L", &label]) else {
        return;
    };
    let place = place(&c);
    let link = c.lab.files(NODE).state().join("disk");
    std::os::unix::fs::symlink(&disk.device, &link).expect("a link");
    for name in [
        format!("LABEL={label}"),
        format!("-L{label}"),
        link.display().to_string(),
    ] {
        let script = Script::new(&c, &["Filesystem", &name, &place, "ext4"]);
        script.walk("a loop device by another name", || is_mounted(&c, &place));
    }
    // A directory behind a link, and a blank in its name.
    let state = c.lab.files(NODE).state();
    c.shell(
        NODE,
        &format!(
            "mkdir -p '{0}/real dir' && ln -s 'real dir' {0}/linked",
            state.display()
        ),
    )
    .good("made");
    let linked = state.join("linked").display().to_string();
    let script = Script::new(&c, &["Filesystem", &disk.device, &linked, "ext4"]);
    script.walk("a loop device at a link", || {
        c.shell(NODE, &format!("mountpoint -q '{linked}'")).code == Some(0)
    });
    // A file that mount itself puts behind a loop device.
    let image = state.join("image");
    c.shell(
        NODE,
        &format!("truncate -s 32M {0} && mkfs.ext4 -q -F {0}", image.display()),
    )
    .good("made");
    let script = Script::new(
        &c,
        &["Filesystem", &image.display().to_string(), &place, "ext4", "loop"],
    );
    script.walk("a file", || is_mounted(&c, &place));
    // No device at all.
    let script = Script::new(&c, &["Filesystem", "tmpfs", &place, "tmpfs", "size=1m"]);
    script.walk("tmpfs", || is_mounted(&c, &place));
}

#[test]
fn nothing_is_mounted_that_could_be_damaged_by_it() {
    let Some(c) = bench("scripts-fs-refusals") else { return };
    let (Some(disk), Some(other)) = (Disk::ext4(), Disk::ext4()) else {
        return;
    };
    let place = place(&c);
    let elsewhere = c.lab.files(NODE).state().join("elsewhere").display().to_string();
    let script = Script::new(&c, &["Filesystem", &disk.device, &place, "ext4"]);
    c.shell(
        NODE,
        &format!("mkdir -p {elsewhere} {place} && mount {} {elsewhere}", disk.device),
    )
    .good("mount");
    script.refuses("start", "is mounted at");
    assert!(!script.runs());
    // The other node must not get a disk that is mounted here, wherever.
    script.refuses("stop", "unmount it there by hand");
    c.shell(NODE, &format!("umount {elsewhere} && mount {} {place}", other.device))
        .good("mount");
    script.refuses("start", "not mounted over it");
    assert!(!script.runs(), "what is mounted there is something else");
    script.good("stop");
    assert!(is_mounted(&c, &place), "and not ours to unmount");
    c.shell(NODE, &format!("umount {place} && blockdev --setro {}", disk.device))
        .good("blockdev");
    script.refuses("start", "is read-only");
    let reader = Script::new(&c, &["Filesystem", &disk.device, &place, "ext4", "ro"]);
    reader.walk("ext4, read-only", || is_mounted(&c, &place));
    c.shell(NODE, &format!("blockdev --setrw {}", disk.device))
        .good("blockdev");
    script.walk("ext4 again", || is_mounted(&c, &place));
}

#[test]
fn fsck_repairs_what_needs_no_question_and_keeps_the_rest_from_being_mounted() {
    let Some(c) = bench("scripts-fs-fsck") else { return };
    let place = place(&c);
    for (kind, choice, refused) in [
        ("ext2", None, true),
        ("ext2", Some("fsck=no"), false),
        ("ext4", Some("fsck=yes"), true),
    ] {
        let mkfs = format!("mkfs.{kind}");
        let Some(disk) = Disk::with(32, &[&mkfs, "-q", "-F"]) else {
            return;
        };
        let mut words = vec!["Filesystem", &disk.device, &place, kind];
        if let Some(choice) = choice {
            words.extend(["", choice]);
        }
        let script = Script::new(&c, &words);
        // Not unmounted in good order: repaired without a question.
        c.shell(
            NODE,
            &format!("debugfs -w -R 'set_super_value state 0' {}", disk.device),
        )
        .good("debugfs");
        script.good("start");
        script.good("stop");
        // The table of inodes has no lost+found, which is made anew; or not even a root, which is for people.
        c.shell(
            NODE,
            &format!(
                "debugfs -w -R 'clri <{1}>' {0}; debugfs -w -R 'set_super_value state 2' {0}",
                disk.device,
                if refused { 2 } else { 11 }
            ),
        )
        .good("debugfs");
        if refused {
            script.refuses("start", "repair it by hand");
            assert!(!is_mounted(&c, &place));
        } else {
            script.good("start");
            script.good("stop");
        }
    }
}

#[test]
fn users_of_the_mount_are_asked_to_end_and_then_killed() {
    let Some(c) = bench("scripts-fs-users") else { return };
    let Some(disk) = Disk::ext4() else { return };
    let place = place(&c);
    let script = Script::new(&c, &["Filesystem", &disk.device, &place, "ext4"]);
    script.good("start");
    // One that ends when it is asked and writes its last word; one that does not listen; one that only stands there.
    let polite =
        format!("trap 'echo bye >{place}/polite; exit' TERM; exec 3>{place}/open; while :; do sleep 0.1 3>&-; done");
    let deaf = format!("trap '' TERM; exec 3>{place}/other; while :; do sleep 0.1 3>&-; done");
    let standing = format!("cd {place}; exec sleep 1000");
    let mut users: Vec<_> = [polite, deaf, standing]
        .iter()
        .map(|s| c.spawn(NODE, &["sh", "-c", s]))
        .collect();
    c.wait("all of them are there", || {
        c.shell(
            NODE,
            &format!("ls -l /proc/[0-9]*/fd /proc/[0-9]*/cwd 2>/dev/null | grep -c -- '-> {place}'"),
        )
        .out
        .trim()
            == "3"
    });
    let said = script.good("stop");
    assert!(!is_mounted(&c, &place));
    let (term, kill) = (
        said.err.find("SIGTERM").expect("asked"),
        said.err.find("SIGKILL").expect("killed"),
    );
    assert!(term < kill, "{said:?}");
    assert_eq!(said.err.matches("SIGTERM").count(), 3, "each is told of once: {said:?}");
    assert_eq!(
        said.err.matches("SIGKILL").count(),
        1,
        "only the one that did not listen: {said:?}"
    );
    for user in &mut users {
        user.wait().expect("it has ended");
    }
    script.good("start");
    assert_eq!(
        c.shell(NODE, &format!("cat {place}/polite")).out,
        "bye\n",
        "what it wrote at its end is kept"
    );
    script.good("stop");
}

#[test]
fn a_stop_that_cannot_be_is_no_success() {
    let Some(c) = bench("scripts-fs-busy") else { return };
    let Some(disk) = Disk::ext4() else { return };
    let place = place(&c);
    let script = Script::new(&c, &["Filesystem", &disk.device, &place, "ext4"]);
    script.good("start");
    // The kernel itself uses it: nobody to send a signal to.
    let inner = c
        .shell(
            NODE,
            &format!("truncate -s 1M {place}/image && losetup -f --show {place}/image"),
        )
        .good("losetup");
    script.refuses("stop", &format!("{} of a file in it", inner.trim()));
    assert!(script.runs(), "it is still mounted, and says so");
    c.shell(NODE, &format!("losetup -d {}", inner.trim())).good("losetup");
    script.good("stop");
}

#[test]
fn mounts_below_it_and_in_other_namespaces_go_with_it() {
    let Some(c) = bench("scripts-fs-below") else { return };
    let Some(disk) = Disk::ext4() else { return };
    let place = place(&c);
    let script = Script::new(&c, &["Filesystem", &disk.device, &place, "ext4"]);
    script.good("start");
    c.shell(
        NODE,
        &format!(
            "mkdir {place}/a && mount -t tmpfs tmpfs {place}/a && mkdir {place}/a/b && mount -t tmpfs tmpfs {place}/a/b"
        ),
    )
    .good("mount");
    script.good("stop");
    assert!(!is_mounted(&c, &place) && !is_mounted(&c, &format!("{place}/a")));
    // A service with a mount namespace of its own keeps a disk in use that nobody else sees any more.
    script.good("start");
    let _service = c.spawn(
        NODE,
        &["unshare", "--mount", "--propagation", "private", "sleep", "1000"],
    );
    let number = c.shell(NODE, &format!("stat -c %Hr:%Lr {}", disk.device)).good("stat");
    let holders = || {
        let grep = format!(
            "grep -lw -e {} /proc/[0-9]*/mountinfo | xargs -r -n 1 dirname | xargs -r -n 1 -I% readlink %/ns/mnt | sort -u | wc -l",
            number.trim()
        );
        c.shell(NODE, &grep).out.trim().to_owned()
    };
    c.wait("it has a mount of its own", || holders() == "2");
    script.good("stop");
    assert_eq!(holders(), "0");
}
