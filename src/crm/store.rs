//! The CIB on disk, as Pacemaker writes it: `cib.xml` and its digest `cib.xml.sig`, the versions before it as `cib-N.raw`,
//! and what the nodes agreed on (`cib.agreed`, ours alone).
//!
//! May use `cib`, `agree`, `sys`. Promises that whoever reads after a crash or a power cut at any moment finds the old CIB
//! or the new one, and that a damaged file is replaced by the newest good backup and never lost without a word.
//!
//! The new content and its digest are written beside the old ones, then renamed one after the other. Between the two the
//! new digest still lies beside: [`Store::load`] finishes what was begun.

use crate::agree::Mark;
use crate::cib::{Cib, Element, document};
use crate::sys::files;
use log::Level;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{error, fmt};

/// Backups are numbered from 1 to this, then from 1 again; as in Pacemaker 2.1.5.
const BACKUPS: u32 = 100;
/// CIBs of this node that gave way to the cluster's.
const ASIDE: usize = 20;
const MODE: u32 = 0o600;
const FILE: &str = "cib.xml";
const DIGEST: &str = "cib.xml.sig";
const NEW_FILE: &str = "cib.xml.new";
const NEW_DIGEST: &str = "cib.xml.sig.new";
const NEXT: &str = "cib.last";
const MARK: &str = "cib.agreed";

/// What could not be done with which file.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    what: &'static str,
    error: io::Error,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path.display(), self.what, self.error)
    }
}

impl error::Error for StoreError {}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError { path, what, error }
}

/// What was found at the start.
#[derive(Debug)]
pub struct Loaded {
    pub cib: Cib,
    pub mark: Mark,
    /// For the log.
    pub said: Vec<(Level, String)>,
}

/// One directory; nobody else writes into it.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Digest of what `cib.xml` holds, and its configuration's; the mark: as this process wrote or read them.
    written: Option<String>,
    configured: Option<String>,
    marked: Option<Mark>,
}

/// A file whose digest is as it should be, or that has none (the administrator removed it after a change by hand).
struct Good {
    cib: Cib,
    digest: String,
    signed: bool,
}

impl Store {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            written: None,
            configured: None,
            marked: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Reads what is there; puts right what a crash or a broken disk left. Without any file: the empty CIB.
    pub fn load(&mut self) -> Result<Loaded, StoreError> {
        for name in [FILE, DIGEST, NEXT, MARK] {
            files::sweep(&self.path(name));
        }
        self.finish_what_was_begun();
        let mut said = vec![];
        let path = self.path(FILE);
        let cib = match self.read(FILE, DIGEST) {
            Ok(Some(good)) => {
                if !good.signed {
                    said.push((
                        Level::Warn,
                        format!(
                            "{}: has no digest ({DIGEST}): taken as it is, changed by hand",
                            path.display()
                        ),
                    ));
                }
                self.written = Some(good.digest);
                self.configured = Some(configured(&good.cib));
                good.cib
            }
            Ok(None) => {
                said.push((
                    Level::Info,
                    format!("{}: is not there: beginning with an empty CIB", path.display()),
                ));
                Cib::empty()
            }
            Err(why) => self.fall_back(&why, &mut said)?,
        };
        let mark = self.load_mark(&mut said).for_cib(&cib);
        self.marked = Some(mark.clone());
        Ok(Loaded { cib, mark, said })
    }

    /// The new file was put in place, its digest was not.
    fn finish_what_was_begun(&self) {
        let pending = fs::read_to_string(self.path(NEW_DIGEST)).unwrap_or_default();
        let fits = fs::read_to_string(self.path(FILE))
            .ok()
            .and_then(|text| Element::parse(&text).ok())
            .is_some_and(|found| document::digest(&found) == pending.trim());
        if fits {
            let _ = fs::rename(self.path(NEW_DIGEST), self.path(DIGEST));
        } else {
            let _ = fs::remove_file(self.path(NEW_DIGEST));
        }
        let _ = fs::remove_file(self.path(NEW_FILE));
    }

    /// `None`: there is no such file. `Err`: why it cannot be used.
    fn read(&self, file: &str, digest: &str) -> Result<Option<Good>, String> {
        let text = match read_bounded(&self.path(file)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| e.to_string())?,
        };
        let root = Element::parse(&text).map_err(|e| e.to_string())?;
        let is = document::digest(&root);
        let wanted = match fs::read_to_string(self.path(digest)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(|e| format!("{digest}: {e}"))?),
        };
        if wanted.as_ref().is_some_and(|w| w.trim() != is) {
            return Err(format!("its digest is not that in {digest}"));
        }
        let cib = Cib::from_element(root).map_err(|e| e.to_string())?;
        Ok(Some(Good {
            cib,
            digest: is,
            signed: wanted.is_some(),
        }))
    }

    /// The damaged file is kept; the newest good backup takes its place.
    fn fall_back(&mut self, why: &str, said: &mut Vec<(Level, String)>) -> Result<Cib, StoreError> {
        let path = self.path(FILE);
        let aside = self.set_aside()?;
        let damaged = format!("{}: is damaged: {why}; kept as {}", path.display(), aside.display());
        for n in self.backups() {
            let (raw, sig) = backup_names(n);
            let Ok(Some(good)) = self.read(&raw, &sig) else {
                continue;
            };
            let version = good.cib.version();
            said.push((
                Level::Error,
                format!(
                    "{damaged}; using the newest good backup, {}, version {version}",
                    self.path(&raw).display()
                ),
            ));
            self.put(&good.cib.stored(), &good.digest)?;
            self.configured = Some(configured(&good.cib));
            return Ok(good.cib);
        }
        said.push((
            Level::Error,
            format!("{damaged}; there is no good backup: beginning with an empty CIB"),
        ));
        let _ = fs::remove_file(self.path(DIGEST));
        fs::remove_file(&path).map_err(failed(&path, "cannot be removed"))?;
        Ok(Cib::empty())
    }

    /// Links the file and its digest to a name that is free.
    fn set_aside(&self) -> Result<PathBuf, StoreError> {
        let path = self.path(FILE);
        let mut bytes = [0; 3];
        for _ in 0..16 {
            files::random(&mut bytes).map_err(failed(&path, "no random name for a copy"))?;
            let tail: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            let aside = self.path(&format!("cib.auto.{tail}"));
            match fs::hard_link(&path, &aside) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                other => {
                    other.map_err(failed(&path, "cannot be kept aside"))?;
                    let _ = fs::hard_link(self.path(DIGEST), self.path(&format!("cib.auto.{tail}.sig")));
                    return Ok(aside);
                }
            }
        }
        Err(failed(&path, "cannot be kept aside")(
            io::ErrorKind::AlreadyExists.into(),
        ))
    }

    /// The numbers of the backups, the newest first.
    fn backups(&self) -> Vec<u32> {
        let next = self.next();
        let before_next = (1..=BACKUPS).map(|back| (next + 2 * BACKUPS - 1 - back) % BACKUPS + 1);
        let there: Vec<u32> = before_next
            .filter(|n| self.path(&backup_names(*n).0).exists())
            .collect();
        if self.path(NEXT).exists() {
            return there;
        }
        // Nobody knows which was the last one: by their age.
        let age = |n: &u32| {
            let about = fs::metadata(self.path(&backup_names(*n).0));
            std::cmp::Reverse(about.and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH))
        };
        let mut there = there;
        there.sort_by_key(age);
        there
    }

    fn next(&self) -> u32 {
        let text = fs::read_to_string(self.path(NEXT)).unwrap_or_default();
        let number = text.trim().parse().unwrap_or(1);
        if (1..=BACKUPS).contains(&number) { number } else { 1 }
    }

    fn load_mark(&self, said: &mut Vec<(Level, String)>) -> Mark {
        let path = self.path(MARK);
        match fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Mark::default(),
            Ok(text) if Mark::parse(&text).is_some() => Mark::parse(&text).unwrap_or_default(),
            Ok(_) | Err(_) => {
                said.push((
                    Level::Error,
                    format!(
                        "{}: is damaged: this node does not know which changes were made with quorum",
                        path.display()
                    ),
                ));
                Mark::default()
            }
        }
    }

    /// Writes what is new of it. A file that somebody changed meanwhile is kept, and said (`Ok(Some(..))`).
    pub fn write(&mut self, cib: &Cib, mark: &Mark) -> Result<Option<String>, StoreError> {
        let mut said = None;
        // Who is the DC, and whether there is quorum, changes more often and is not worth a version of its own.
        let new = configured(cib);
        if self.configured.as_ref() != Some(&new) {
            let stored = cib.stored();
            said = self.backup()?;
            self.put(&stored, &document::digest(&stored))?;
            self.configured = Some(new);
        }
        // After the CIB: a mark must not promise what the CIB has not.
        if self.marked.as_ref() != Some(mark) {
            let path = self.path(MARK);
            files::put(&path, mark.to_text().as_bytes(), MODE, true).map_err(failed(&path, "cannot be written"))?;
            self.marked = Some(mark.clone());
        }
        Ok(said)
    }

    /// The file as it is gets the next number.
    fn backup(&mut self) -> Result<Option<String>, StoreError> {
        let path = self.path(FILE);
        match self.read(FILE, DIGEST) {
            Ok(None) => return Ok(None),
            Ok(Some(good)) if self.written.as_ref().is_none_or(|w| *w == good.digest) => {}
            Ok(Some(_)) => return self.keep_foreign("was changed by somebody else").map(Some),
            Err(why) => return self.keep_foreign(&why).map(Some),
        }
        let n = self.next();
        let (raw, sig) = backup_names(n);
        let next = self.path(NEXT);
        for (from, to) in [(FILE, raw), (DIGEST, sig)] {
            let to = self.path(&to);
            match fs::remove_file(&to) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&to, "cannot be replaced")(e)),
                Ok(()) | Err(_) => {}
            }
            match fs::hard_link(self.path(from), &to) {
                // A file without a digest was taken as it is.
                Err(e) if e.kind() != io::ErrorKind::NotFound || from == FILE => {
                    return Err(failed(&path, "no backup can be made")(e));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let after = n % BACKUPS + 1;
        files::put(&next, after.to_string().as_bytes(), MODE, true).map_err(failed(&next, "cannot be written"))?;
        Ok(None)
    }

    fn keep_foreign(&self, why: &str) -> Result<String, StoreError> {
        let aside = self.set_aside()?;
        Ok(format!(
            "{}: {why}, while crmd was running: not used; kept as {}. Change the configuration with the tools, or while heartbeat is down, and then remove {DIGEST}",
            self.path(FILE).display(),
            aside.display()
        ))
    }

    /// Content first, digest second; each is whole or absent.
    fn put(&mut self, stored: &Element, digest: &str) -> Result<(), StoreError> {
        let text = format!("<?xml version=\"1.0\" ?>\n{}", stored.to_indented());
        let new = [(NEW_FILE, FILE, text.as_str()), (NEW_DIGEST, DIGEST, digest)];
        for (beside, _, content) in &new {
            let path = self.path(beside);
            write_through(&path, content.as_bytes()).map_err(failed(&path, "cannot be written"))?;
        }
        // Both names must be on the disk before one of them is moved: else the digest could be missing afterwards.
        self.sync()?;
        for (beside, name, _) in &new {
            let path = self.path(name);
            fs::rename(self.path(beside), &path).map_err(failed(&path, "cannot be put in place"))?;
        }
        self.sync()?;
        self.written = Some(digest.to_owned());
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        File::open(&self.dir)
            .and_then(|d| d.sync_all())
            .map_err(failed(&self.dir, "cannot be synced"))
    }

    /// Keeps a CIB that gave way to the cluster's under this name; of many the oldest go.
    pub fn keep_aside(&self, name: &str, cib: &Cib) -> Result<PathBuf, StoreError> {
        let path = self.path(name);
        let text = format!("<?xml version=\"1.0\" ?>\n{}", cib.stored().to_indented());
        files::put(&path, text.as_bytes(), MODE, true).map_err(failed(&path, "cannot be written"))?;
        let mut kept: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.dir)
            .map_err(failed(&self.dir, "cannot be read"))?
            .flatten()
            .filter(|e| {
                e.file_name()
                    .to_str()
                    .is_some_and(|n| n.starts_with("cib-") && n.ends_with(".xml"))
            })
            .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
            .collect();
        kept.sort();
        let too_many = kept.len().saturating_sub(ASIDE);
        for (_, old) in kept.into_iter().take(too_many).filter(|(_, old)| *old != path) {
            let _ = fs::remove_file(old);
        }
        Ok(path)
    }
}

/// What makes a new version: the configuration and its number.
fn configured(cib: &Cib) -> String {
    let version = cib.version();
    let digest = document::digest(cib.configuration());
    format!("{}.{} {digest}", version.admin_epoch, version.epoch)
}

fn backup_names(n: u32) -> (String, String) {
    (format!("cib-{n}.raw"), format!("cib-{n}.raw.sig"))
}

/// No more than a CIB may have.
fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let limit = crate::cib::xml::LONGEST as u64 + 1;
    File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

fn write_through(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
