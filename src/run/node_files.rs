//! hostcache, delhostcache and hb_peers on disk: read at start, written by a thread of their own, because a disk may hang and
//! neither scripts nor signals may wait for it.

use super::link::NodeTexts;
use crate::conf::{Complaint, hostcache, lives};
use crate::paths;
use crate::sys::files;
use crate::time::Duration;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A hundred lines with the longest names and sites have 45 KB.
const LARGEST: u64 = 256 * 1024;
/// The thread is small: its stack is locked into memory like everything else.
const STACK: usize = 256 * 1024;

/// Reads a file: what is good in it, printed again, and what is wrong with it.
type Reader = fn(&Path, &str) -> (String, Vec<Complaint>);

fn hosts(path: &Path, text: &str) -> (String, Vec<Complaint>) {
    let parsed = hostcache::parse(path, text);
    (hostcache::print(&parsed.value.unwrap_or_default()), parsed.complaints)
}

fn peers(path: &Path, text: &str) -> (String, Vec<Complaint>) {
    let parsed = lives::parse(path, text);
    (lives::print(&parsed.value.unwrap_or_default()), parsed.complaints)
}

/// What the files say, as far as it can be read. A damaged file is complained about, with its lines, and kept aside as
/// `hostcache.damaged`; heartbeat 3.0.6 removes it.
pub fn read() -> NodeTexts {
    NodeTexts {
        nodes: read_one(&paths::hostcache(), hosts),
        deleted: read_one(&paths::delhostcache(), hosts),
        peers: read_one(&paths::peers(), peers),
    }
}

fn read_one(path: &Path, reader: Reader) -> String {
    let mut bytes = Vec::new();
    let got = File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
    if let Err(e) = got {
        if e.kind() != io::ErrorKind::NotFound {
            log::error!("{}: cannot be read ({e}); what it says is not known", path.display());
        }
        return String::new();
    }
    let (good, complaints) = reader(path, &String::from_utf8_lossy(&bytes));
    for complaint in &complaints {
        log::error!("{complaint}; the line is ignored");
    }
    if !complaints.is_empty() {
        let aside = path.with_extension("damaged");
        match fs::copy(path, &aside) {
            Ok(_) => log::error!(
                "{}: is damaged; as it was it is kept in {}",
                path.display(),
                aside.display()
            ),
            Err(e) => log::error!(
                "{}: is damaged, and cannot be kept in {} ({e})",
                path.display(),
                aside.display()
            ),
        }
    }
    good
}

/// Would this be read back without a complaint?
pub fn is_good(texts: &NodeTexts) -> bool {
    let all: [(&String, Reader); 3] = [(&texts.nodes, hosts), (&texts.deleted, hosts), (&texts.peers, peers)];
    all.iter()
        .all(|(text, reader)| text.len() as u64 <= LARGEST && reader(Path::new(""), text).1.is_empty())
}

#[derive(Default)]
struct Slot {
    /// The newest only: what was not written yet is replaced.
    next: Option<NodeTexts>,
    busy: bool,
}

/// The writing thread.
pub struct NodeFiles {
    shared: Arc<(Mutex<Slot>, Condvar)>,
}

impl std::fmt::Debug for NodeFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeFiles")
    }
}

impl NodeFiles {
    pub fn start() -> io::Result<Self> {
        let shared = Arc::<(Mutex<Slot>, Condvar)>::default();
        let theirs = shared.clone();
        std::thread::Builder::new()
            .name("hostcache".to_owned())
            .stack_size(STACK)
            .spawn(move || write_for_ever(&theirs))?;
        Ok(Self { shared })
    }

    pub fn write(&self, texts: NodeTexts) {
        let (slot, changed) = &*self.shared;
        slot.lock().unwrap_or_else(PoisonError::into_inner).next = Some(texts);
        changed.notify_all();
    }

    /// Waits until everything is written, but not longer than this.
    pub fn finish(&self, longest: Duration) {
        let (slot, changed) = &*self.shared;
        let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = changed.wait_timeout_while(slot, longest, |s| s.busy || s.next.is_some());
    }
}

fn write_for_ever((slot, changed): &(Mutex<Slot>, Condvar)) {
    let mut written = NodeTexts::default();
    loop {
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        held.busy = false;
        changed.notify_all();
        let texts = loop {
            match held.next.take() {
                Some(texts) => break texts,
                None => held = changed.wait(held).unwrap_or_else(PoisonError::into_inner),
            }
        };
        held.busy = true;
        drop(held);
        if texts.nodes != written.nodes {
            put(&paths::hostcache(), &texts.nodes);
        }
        // There is none until the first hb_delnode.
        if texts.deleted != written.deleted || (texts.deleted.is_empty() && paths::delhostcache().exists()) {
            put(&paths::delhostcache(), &texts.deleted);
        }
        if texts.peers != written.peers {
            put(&paths::peers(), &texts.peers);
        }
        written = texts;
    }
}

/// One of the three, whole.
pub fn put(path: &Path, text: &str) {
    if let Err(e) = files::put(path, text.as_bytes(), 0o644, true) {
        log::error!(
            "{}: cannot be written ({e}): after a restart what it says of the nodes is not known",
            path.display()
        );
    }
}
