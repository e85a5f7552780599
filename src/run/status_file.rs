//! The status file: what `cl_status` reads when the daemon hangs or is gone.
//!
//! A thread of the master writes it. It has room for one text: a newer one takes the place of one that was not written
//! yet, so that a file system that hangs costs neither time nor memory of those who have something to say.

use crate::paths;
use crate::sys::{fifo, files, process};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const STACK: usize = 128 * 1024;
/// The end of heartbeat waits so long for a write that is under way.
const END_WITHIN: Duration = Duration::from_secs(1);
/// Those who may ask the daemon may read what it said.
const GROUP: &str = "haclient";

#[derive(Debug, Default)]
struct Desk {
    text: Option<String>,
    /// The orderly end: the file is to be removed.
    end: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct Shared {
    desk: Mutex<Desk>,
    news: Condvar,
}

impl Shared {
    /// Nothing that is done with the lock held can panic half-way.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub struct StatusFile {
    shared: Arc<Shared>,
}

impl StatusFile {
    pub fn start() -> io::Result<Self> {
        Self::start_at(paths::status())
    }

    fn start_at(path: PathBuf) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("status writer".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                process::normal_priority();
                write_all(&theirs, &path);
            })?;
        Ok(Self { shared })
    }

    /// Never waits for the file system.
    pub fn put(&self, text: String) {
        self.shared.desk().text = Some(text);
        self.shared.news.notify_all();
    }

    /// Removes the file, so that nobody takes it for a crash. A file system that hangs is not waited for.
    pub fn end(&self) {
        let mut desk = self.shared.desk();
        desk.end = true;
        desk.text = None;
        self.shared.news.notify_all();
        let ended = self.shared.news.wait_timeout_while(desk, END_WITHIN, |d| !d.ended);
        drop(ended);
    }
}

fn write_all(shared: &Shared, path: &Path) {
    let group = fifo::group_id(GROUP);
    let mut complained = false;
    loop {
        let mut desk = shared.desk();
        while desk.text.is_none() && !desk.end {
            desk = shared.news.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
        let (text, end) = (desk.text.take(), desk.end);
        drop(desk);
        if end {
            let _ = fs::remove_file(path);
            shared.desk().ended = true;
            shared.news.notify_all();
            return;
        }
        let Some(text) = text else { continue };
        match write(path, &text, group) {
            Ok(()) => complained = false,
            Err(e) if !complained => {
                log::warn!(
                    "{} cannot be written: {e}; cl_status has no last state to show",
                    path.display()
                );
                complained = true;
            }
            Err(_) => {}
        }
    }
}

/// New name, then the name: whoever reads finds a whole file, after a power failure too.
pub fn write(path: &Path, text: &str, group: Option<u32>) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(directory)?;
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    files::write_for_group(&fresh, text.as_bytes(), group)?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_newest_text_is_in_the_file_and_an_orderly_end_removes_it() {
        let directory = std::env::temp_dir().join(format!("ha-status-file-{}", std::process::id()));
        let path = directory.join("heartbeat/status");
        let file = StatusFile::start_at(path.clone()).unwrap();
        for n in 0..=100 {
            file.put(format!("{{\"n\":{n}}}"));
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while fs::read_to_string(&path).ok().as_deref() != Some("{\"n\":100}") {
            assert!(std::time::Instant::now() < deadline, "it is never written");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert!([0o600, 0o640].contains(&mode), "{mode:o}");
        file.end();
        assert!(!path.exists());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_written_harms_nobody() {
        let file = StatusFile::start_at(PathBuf::from("/proc/no-such-place/status")).unwrap();
        for _ in 0..1000 {
            file.put("x".to_owned());
        }
        file.end();
    }
}
