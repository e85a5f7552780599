//! The files that carry state from one boot to the next, when the power fails at any instant while they are written.
//!
//! The real writer is stopped before and after each of its system calls. There it is killed; or the disk, an ext4 in a
//! file, is copied as it is at that moment, and the copy is mounted as after a boot. Whoever reads then finds the old
//! content or the new one.

use ha::lab::Watcher;
use ha::run::{node_files, respawn_file, state, status_file};
use ha::sys::trace::{Next, be_watched, between_calls};
use ha::sys::{files, namespace};
use ha::{ids, paths};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// For the writer: which file it is to write.
const WHAT: &str = "HA_TEST_POWER_CUT";

type Write = fn();
/// Name, file below the directory of all, its old content, who writes, and whether this is the new content.
type Case = (&'static str, &'static str, &'static [u8], Write, fn(&[u8]) -> bool);

fn cases() -> [Case; 7] {
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
    files::put(&path, old, 0o600, true).expect("written");
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
    if !namespace::is_root() {
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
