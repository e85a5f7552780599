//! The files that carry state from one boot to the next, when the power fails at any instant while they are written.
//!
//! The real writer is stopped before and after each of its system calls. There it is killed; or the disk, an ext4 in a
//! file, is copied as it is at that moment, and the copy is mounted as after a boot. Whoever reads then finds the old
//! content or the new one.

use ha::agree::Mark;
use ha::cib::{Cib, Element, document};
use ha::crm::store::Store;
use ha::lab::Watcher;
use ha::run::{node_files, respawn_file, state, status_file};
use ha::sys::trace::{Next, be_watched, between_calls};
use ha::sys::{files, namespace, process};
use ha::{ids, paths};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// For the writer: which file it is to write.
const WHAT: &str = "HA_TEST_POWER_CUT";

type Write = fn();
/// Name, file below the directory of all, its old content, who writes, and whether this is the new content.
type Case = (&'static str, &'static str, &'static [u8], Write, fn(&[u8]) -> bool);

/// As crmd wrote it, and as it is about to.
const OLD_CIB: &str = "<?xml version=\"1.0\" ?>\n<cib epoch=\"1\" num_updates=\"0\" admin_epoch=\"0\">\n  <configuration>\n    <crm_config/>\n    <nodes/>\n    <resources/>\n    <constraints/>\n  </configuration>\n  <status/>\n</cib>\n";
const NEW_MARK: &str = "<agreed view=\"3\" commit-view=\"3\" commit=\"1\" admin_epoch=\"0\" epoch=\"2\"/>";

fn cases() -> [Case; 8] {
    [
        (
            "generation",
            "hb_generation",
            b"           1000\n",
            || {
                state::next_generations().expect("written");
            },
            |new| new.len() == 16 && new.ends_with(b"\n") && new != b"           1000\n",
        ),
        // Damaged, so that it is written.
        (
            "uuid",
            "hb_uuid",
            b"short",
            || {
                state::uuid().expect("written");
            },
            |new| new.len() == 16,
        ),
        (
            "hostcache",
            "hostcache",
            b"node1\t00000000-0000-0000-0000-000000000001\t100\n",
            || {
                node_files::put(
                    &paths::hostcache(),
                    &"node2\t00000000-0000-0000-0000-000000000002\t100\n".repeat(200),
                )
            },
            |new| new.len() == 47 * 200,
        ),
        (
            "delhostcache",
            "delhostcache",
            b"old\n",
            || node_files::put(&paths::delhostcache(), ""),
            |new| new.is_empty(),
        ),
        (
            "held",
            "heartbeat.held",
            b"one\n",
            || {
                let held: Vec<ids::ResourceName> = ["one", "two"].map(|n| n.parse().expect("a name")).to_vec();
                state::write_held(&held).expect("written");
            },
            |new| new == b"one\ntwo\n",
        ),
        (
            "clients",
            "heartbeat.clients",
            b"no boot\n",
            || respawn_file::write(&[]).expect("written"),
            |new| new.len() > 30 && new.ends_with(b"\n"),
        ),
        (
            "status",
            "heartbeat/status",
            b"{\"old\":1}",
            || status_file::write(&paths::status(), &"{\"new\":2}".repeat(1000), None).expect("written"),
            |new| new.len() == 9000,
        ),
        (
            "cib",
            "crm/cib.xml",
            OLD_CIB.as_bytes(),
            || {
                let mut store = Store::new(paths::state().join("crm"));
                let loaded = store.load().expect("read");
                let text = loaded.cib.root().to_bare().replace("epoch=\"1\"", "epoch=\"2\"");
                let mark = Mark::parse(NEW_MARK).expect("a mark");
                store.write(&Cib::parse(&text).expect("a CIB"), &mark).expect("written");
            },
            |new| String::from_utf8_lossy(new).contains(" epoch=\"2\""),
        ),
    ]
}

/// Without the usual harness: the writer must be the first thread of its process, or nobody could wait for it.
fn main() {
    if let Ok(what) = env::var(WHAT) {
        return writer(&what);
    }
    // As the harness does: a filter, and lines that tests/run understands.
    let filter = env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    let mut passed = 0;
    for (name, test) in TESTS {
        if name.contains(&filter) {
            test();
            println!("test {name} ... ok");
            passed += 1;
        }
    }
    println!("test result: ok. {passed} passed; 0 failed");
}

const TESTS: [(&str, fn()); 2] = [
    (
        "a_writer_that_is_killed_between_any_two_calls_leaves_the_old_or_the_new_file",
        a_writer_that_is_killed_between_any_two_calls_leaves_the_old_or_the_new_file,
    ),
    (
        "a_power_cut_between_any_two_calls_leaves_the_old_or_the_new_file_on_the_disk",
        a_power_cut_between_any_two_calls_leaves_the_old_or_the_new_file_on_the_disk,
    ),
];

/// The process that is watched.
fn writer(what: &str) {
    let (.., write, _) = *cases().iter().find(|c| c.0 == what).expect("a case");
    be_watched().expect("watched");
    write();
}

fn command(what: &str, dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.env(WHAT, what).env("HA_VARLIB", dir).env("HA_RUN", dir);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn lay_out(dir: &Path, file: &str, old: &[u8]) {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().expect("a file has a directory")).expect("made");
    if file.ends_with("cib.xml") {
        // Nothing of the try before, and the digest beside it.
        let dir = path.parent().expect("a file has a directory");
        fs::remove_dir_all(dir).expect("removed");
        fs::create_dir(dir).expect("made");
        let digest = document::digest(&Element::parse(OLD_CIB).expect("XML"));
        files::put(&dir.join("cib.xml.sig"), digest.as_bytes(), 0o600, true).expect("written");
    }
    files::put(&path, old, 0o600, true).expect("written");
}

/// The next crmd finds the old CIB or the new one, has nothing to complain about, and a mark never ahead of its CIB.
fn check_cib(dir: &Path, file: &str, when: &str) {
    if !file.ends_with("cib.xml") {
        return;
    }
    let loaded = Store::new(dir.join("crm")).load().expect("read");
    assert_eq!(loaded.said, [], "cib: {when}");
    let (epoch, mark) = (loaded.cib.version().epoch, loaded.mark.to_text());
    assert!(epoch == 1 || epoch == 2, "cib: {when}: {epoch}");
    assert!(mark != NEW_MARK || epoch == 2, "cib: {when}: {epoch} {mark}");
}

fn own_directory(test: &str) -> PathBuf {
    let dir = env::temp_dir().join(format!("ha-{test}-{}-{}", std::process::id(), Watcher::now()));
    fs::create_dir_all(&dir).expect("made");
    dir
}

fn a_writer_that_is_killed_between_any_two_calls_leaves_the_old_or_the_new_file() {
    let dir = own_directory("killed");
    for (name, file, old, _, is_new) in cases() {
        let (mut seen_old, mut seen_new) = (0, 0);
        for kill_at in 0.. {
            lay_out(&dir, file, old);
            let stops = between_calls(&mut command(name, &dir), |stop| match stop == kill_at {
                true => Next::Kill,
                false => Next::GoOn,
            })
            .expect("watched");
            let found = fs::read(dir.join(file)).expect("it is always there");
            match (found == old, is_new(&found)) {
                (true, _) => seen_old += 1,
                (false, true) => seen_new += 1,
                (false, false) => panic!(
                    "{name}: killed at call {kill_at}: {:?}",
                    String::from_utf8_lossy(&found)
                ),
            }
            check_cib(&dir, file, &format!("killed at call {kill_at}"));
            files::sweep(&dir.join(file));
            // It came to its end.
            if stops <= kill_at {
                assert!(is_new(&found), "{name}: not written");
                break;
            }
        }
        assert!(seen_old > 5 && seen_new > 1, "{name}: {seen_old} old, {seen_new} new");
    }
    fs::remove_dir_all(dir).expect("removed");
}

fn run(words: &[&str]) -> Result<(), String> {
    let said = Command::new(words[0])
        .args(&words[1..])
        .output()
        .map_err(|e| format!("{}: {e}", words[0]))?;
    match said.status.success() {
        true => Ok(()),
        false => Err(format!("{words:?}: {}", String::from_utf8_lossy(&said.stderr).trim())),
    }
}

/// An ext4 that does not hide a missing sync, mounted on `disk` for this thread and its children.
fn mount(image: &Path, disk: &Path) -> Result<(), String> {
    let (image, disk) = (image.display().to_string(), disk.display().to_string());
    run(&["mount", "-t", "ext4", "-o", "loop,noauto_da_alloc", &image, &disk])
}

fn a_power_cut_between_any_two_calls_leaves_the_old_or_the_new_file_on_the_disk() {
    if !process::is_root() {
        return println!("SKIPPED: power cuts: they need root to mount a disk");
    }
    let dir = own_directory("power-cut");
    let (image, cut) = (dir.join("image"), dir.join("cut"));
    let (disk, after) = (dir.join("disk"), dir.join("after"));
    for place in [&disk, &after] {
        fs::create_dir(place).expect("made");
    }
    namespace::own_network_and_mounts().expect("root may");
    fs::File::create(&image).and_then(|f| f.set_len(8 << 20)).expect("made");
    let made =
        run(&["mkfs.ext4", "-q", "-F", "-b", "1024", &image.display().to_string()]).and_then(|()| mount(&image, &disk));
    if let Err(why) = made {
        fs::remove_dir_all(dir).expect("removed");
        return println!("SKIPPED: power cuts: no ext4 in a file here: {why}");
    }
    let (mut seen_old, mut seen_new) = (0, 0);
    for (name, file, old, _, is_new) in cases() {
        lay_out(&disk, file, old);
        let mut look = |at: &str| {
            fs::copy(&image, &cut).expect("copied");
            mount(&cut, &after).expect("the copy is a disk after a power cut");
            let found = fs::read(after.join(file)).unwrap_or_else(|e| panic!("{name}: power cut {at}: {e}"));
            check_cib(&after, file, at);
            run(&["umount", &after.display().to_string()]).expect("unmounted");
            match (found == old, is_new(&found)) {
                (true, _) => seen_old += 1,
                (false, true) => seen_new += 1,
                (false, false) => panic!("{name}: power cut {at}: {} bytes that are neither", found.len()),
            }
            is_new(&found)
        };
        let stops = between_calls(&mut command(name, &disk), |stop| {
            look(&format!("at call {stop}"));
            Next::GoOn
        })
        .expect("watched");
        assert!(stops > 10, "{name}: {stops} stops");
        // What it says is written is on the disk: only the directory of the status file may come later.
        assert!(
            look("at the end") || name == "status",
            "{name}: not on the disk when its writer went on"
        );
    }
    run(&["umount", &disk.display().to_string()]).expect("unmounted");
    assert!(seen_old > 20 && seen_new > 5, "{seen_old} old, {seen_new} new");
    fs::remove_dir_all(dir).expect("removed");
}
