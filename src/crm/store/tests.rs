//! One directory, and what may befall it.

use super::*;
use crate::cib::Edit;
use crate::cib::edit::Origin;

fn directory(test: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("ha-store-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).unwrap();
    dir
}

fn next(cib: &mut Cib) {
    let id = format!("r{}", cib.version().epoch);
    let create = Edit::Create {
        section: "resources".into(),
        xml: Element::new("primitive")
            .with("id", id)
            .with("class", "lsb")
            .with("type", "x"),
    };
    cib.apply(&[create], &Origin::default()).unwrap();
}

fn mark(epoch: u64) -> Mark {
    let text = format!("<agreed view=\"3\" commit-view=\"3\" commit=\"{epoch}\" admin_epoch=\"0\" epoch=\"{epoch}\"/>");
    Mark::parse(&text).unwrap()
}

/// A directory with versions 0.1.0 to 0.`versions`.0 written one after the other.
fn with_versions(test: &str, versions: u64) -> (PathBuf, Cib) {
    let dir = directory(test);
    let mut store = Store::new(&dir);
    let mut cib = store.load().unwrap().cib;
    for n in 1..=versions {
        next(&mut cib);
        assert_eq!(store.write(&cib, &mark(n)).unwrap(), None);
    }
    (dir, cib)
}

fn reload(dir: &Path) -> Loaded {
    Store::new(dir).load().unwrap()
}

fn errors(loaded: &Loaded) -> Vec<&str> {
    let errors = loaded.said.iter().filter(|(level, _)| *level == Level::Error);
    errors.map(|(_, text)| &**text).collect()
}

#[test]
fn what_is_written_is_read_and_its_versions_are_kept() {
    let (dir, cib) = with_versions("versions", 3);
    let loaded = reload(&dir);
    assert_eq!(loaded.cib.root(), &cib.stored());
    assert_eq!(loaded.mark, mark(3));
    assert_eq!(loaded.said, []);
    let text = fs::read_to_string(dir.join("cib.xml")).unwrap();
    assert!(text.contains("\n  <configuration>\n    <crm_config/>\n"), "{text}");
    let sig = fs::read_to_string(dir.join("cib.xml.sig")).unwrap();
    assert_eq!(sig, document::digest(&cib.stored()));
    assert_eq!(fs::read_to_string(dir.join("cib.last")).unwrap(), "3");
    for n in 1..=2 {
        let raw = fs::read_to_string(dir.join(format!("cib-{n}.raw"))).unwrap();
        assert!(raw.contains(&format!("epoch=\"{n}\"")), "{raw}");
        assert!(dir.join(format!("cib-{n}.raw.sig")).exists());
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(dir.join("cib.xml")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn numbers_of_backups_wrap_after_a_hundred() {
    let (dir, _) = with_versions("wrap", 103);
    // 102 backups were made: the last two took the first two names.
    assert_eq!(fs::read_to_string(dir.join("cib.last")).unwrap(), "3");
    let version = |n: u32| {
        Cib::parse(&fs::read_to_string(dir.join(format!("cib-{n}.raw"))).unwrap())
            .unwrap()
            .version()
            .epoch
    };
    assert_eq!((version(1), version(2), version(3), version(100)), (101, 102, 3, 100));
    assert!(!dir.join("cib-101.raw").exists());
    let backups = Store::new(&dir).backups();
    assert_eq!((backups.len(), &backups[..4]), (100, &[2, 1, 100, 99][..]));
    fs::remove_dir_all(dir).unwrap();
}

type Damage = fn(&Path);

#[test]
fn damaged_files_are_replaced_and_named() {
    fn write(path: PathBuf, text: &str) {
        // Not through the link that a backup is.
        let _ = fs::remove_file(&path);
        fs::write(path, text).unwrap();
    }
    #[rustfmt::skip]
    let table: &[(&str, Damage, u64, &[&str])] = &[
        ("cut off",     |d| { let t = fs::read_to_string(d.join(FILE)).unwrap(); write(d.join(FILE), &t[..t.len() / 2]) },
                        4, &["cib.xml: is damaged", "cib-4.raw", "0.4.0", "cib.auto."]),
        ("one value",   |d| { let t = fs::read_to_string(d.join(FILE)).unwrap(); write(d.join(FILE), &t.replace("lsb", "ocf")) },
                        4, &["its digest is not that in cib.xml.sig", "cib-4.raw"]),
        ("empty",       |d| write(d.join(FILE), ""), 4, &["cib-4.raw"]),
        ("no text",     |d| { let _ = fs::remove_file(d.join(FILE)); fs::write(d.join(FILE), [0xff, 0xfe]).unwrap() }, 4, &["cib-4.raw"]),
        ("digest gone wrong", |d| write(d.join(DIGEST), "0"), 4, &["cib-4.raw"]),
        ("the last backup too", |d| { write(d.join(FILE), "<cib"); write(d.join("cib-4.raw"), "<") }, 3, &["cib-3.raw", "0.3.0"]),
        ("the number of the next too", |d| { write(d.join(FILE), "<cib"); fs::remove_file(d.join(NEXT)).unwrap() }, 4, &["cib-4.raw"]),
        ("everything",  |d| { write(d.join(FILE), ""); for n in 1..=4 { write(d.join(format!("cib-{n}.raw")), "") } },
                        0, &["there is no good backup"]),
    ];
    for (what, damage, version, words) in table {
        let (dir, _) = with_versions("damaged", 5);
        damage(&dir);
        let damaged = fs::read(dir.join(FILE)).unwrap();
        let loaded = reload(&dir);
        assert_eq!(loaded.cib.version().epoch, *version, "{what}");
        let said = errors(&loaded).join("\n");
        assert!(words.iter().all(|w| said.contains(w)), "{what}: {said}");
        assert!(loaded.mark != mark(5), "{what}: it promises what the backup has not");
        let aside = fs::read_dir(&dir).unwrap().flatten().find(|e| {
            let name = e.file_name().into_string().unwrap();
            name.starts_with("cib.auto.") && !name.ends_with(".sig")
        });
        assert_eq!(
            fs::read(aside.expect(what).path()).unwrap(),
            damaged,
            "{what}: it is kept"
        );
        // Put right: the next start finds nothing to complain about.
        let again = reload(&dir);
        assert_eq!(
            (again.cib.version().epoch, errors(&again).len()),
            (*version, 0),
            "{what}"
        );
        fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn a_file_changed_by_hand() {
    let (dir, mut cib) = with_versions("by-hand", 2);
    // While crmd is down, and the digest removed: taken.
    let text = fs::read_to_string(dir.join(FILE)).unwrap().replace("lsb", "ocf");
    fs::remove_file(dir.join(FILE)).unwrap();
    fs::write(dir.join(FILE), &text).unwrap();
    fs::remove_file(dir.join(DIGEST)).unwrap();
    let mut store = Store::new(&dir);
    let loaded = store.load().unwrap();
    assert!(loaded.cib.root().to_bare().contains("ocf"));
    assert!(loaded.said[0].1.contains("changed by hand"), "{:?}", loaded.said);
    next(&mut cib);
    assert_eq!(store.write(&cib, &mark(3)).unwrap(), None);
    // While it runs: kept, said, and the cluster's goes on.
    fs::remove_file(dir.join(FILE)).unwrap();
    fs::write(dir.join(FILE), "<cib epoch='99'/>").unwrap();
    next(&mut cib);
    let said = store.write(&cib, &mark(4)).unwrap().expect("said");
    assert!(said.contains("cib.auto.") && said.contains(DIGEST), "{said}");
    let loaded = reload(&dir);
    assert_eq!((loaded.cib.version().epoch, errors(&loaded).len()), (4, 0));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_was_half_put_in_place_is_finished() {
    let (dir, mut cib) = with_versions("half", 2);
    next(&mut cib);
    let stored = cib.stored();
    fs::remove_file(dir.join(FILE)).unwrap();
    fs::write(dir.join(FILE), stored.to_indented()).unwrap();
    fs::write(dir.join(NEW_DIGEST), document::digest(&stored)).unwrap();
    let loaded = reload(&dir);
    assert_eq!(
        (loaded.cib.version().epoch, loaded.said.len()),
        (3, 0),
        "{:?}",
        loaded.said
    );
    assert_eq!(loaded.mark, mark(2), "the mark comes after the CIB");
    // Nothing was put in place yet.
    fs::write(dir.join(NEW_FILE), "<ci").unwrap();
    fs::write(dir.join(NEW_DIGEST), "12").unwrap();
    let loaded = reload(&dir);
    assert_eq!((loaded.cib.version().epoch, loaded.said.len()), (3, 0));
    assert!(!dir.join(NEW_FILE).exists() && !dir.join(NEW_DIGEST).exists());
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let mut store = Store::new("/nonexistent/crm");
    let said = store.write(&Cib::empty(), &Mark::default()).unwrap_err().to_string();
    assert!(
        said.starts_with("/nonexistent/crm/cib.xml.new: cannot be written: "),
        "{said}"
    );
}

#[test]
fn of_what_was_kept_aside_the_newest_twenty_stay() {
    let dir = directory("aside");
    let store = Store::new(&dir);
    fs::write(dir.join(FILE), "").unwrap();
    for n in 0..25 {
        let path = store
            .keep_aside(&format!("cib-n1-0.{n}.0-abcdef01.xml"), &Cib::empty())
            .unwrap();
        assert!(path.exists());
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + n);
        File::open(&path).unwrap().set_modified(time).unwrap();
    }
    let there = (0..25).filter(|n| dir.join(format!("cib-n1-0.{n}.0-abcdef01.xml")).exists());
    assert_eq!(there.collect::<Vec<_>>(), (5..25).collect::<Vec<_>>());
    assert!(dir.join(FILE).exists());
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_same_is_not_written_twice() {
    let (dir, cib) = with_versions("same", 2);
    let mut store = Store::new(&dir);
    store.load().unwrap();
    let before = fs::metadata(dir.join(FILE)).unwrap().modified().unwrap();
    let mut cib = cib;
    cib.set("dc-uuid", "another");
    store.write(&cib, &mark(7)).unwrap();
    assert_ne!(reload(&dir).mark, mark(7), "it promises more than there is");
    assert_eq!(fs::metadata(dir.join(FILE)).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_to_string(dir.join(NEXT)).unwrap(), "2");
    fs::remove_dir_all(dir).unwrap();
}
