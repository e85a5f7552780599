//! Logging: every process writes whole lines into one pipe, one thread of the master writes them to disk and syslog.
//!
//! The pipe is never waited for: when a disk hangs and the pipe is full, lines are dropped and counted, and the beat goes
//! on. The core needs no right to the log files, and rotating them is seen in one place.

use crate::conf::HaCf;
use crate::ids::NodeName;
use crate::sys;
use log::{Level, LevelFilter};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Lines that found the pipe full, in this process.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// 65536, the size of a pipe; a line above PIPE_BUF (4096) could be torn, so lines are cut below it.
const MAX_LINE: usize = 4000;
/// Begins a line that is no log line: the writer has come so far. Log lines begin with a date.
const MARK: u8 = 0;
const MARK_PAUSE: Duration = Duration::from_millis(5);

/// The end that log lines go into.
#[derive(Debug)]
struct Sink {
    pipe: File,
    also_stderr: bool,
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.also_stderr {
            let _ = io::stderr().write_all(line);
        }
        let (text, end): (&[u8], &[u8]) = if line.len() > MAX_LINE {
            (&line[..MAX_LINE], b"...\n")
        } else {
            (line, b"")
        };
        let whole = [text, end].concat();
        if (&self.pipe).write(&whole).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The classic's words. `CRIT` has no level of its own in the log crate: such texts begin with it.
fn word(level: Level, text: &str) -> &'static str {
    match level {
        Level::Error if text.starts_with("CRIT:") => "",
        Level::Error => "ERROR: ",
        Level::Warn => "WARN: ",
        Level::Info => "info: ",
        Level::Debug | Level::Trace => "debug: ",
    }
}

pub fn filter(debug: u8) -> LevelFilter {
    if debug > 0 {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    }
}

/// Sends the log lines of this process into `pipe`: `Nov 21 08:18:36 n1 heartbeat: [21]: info: TEXT`.
pub fn init(me: &NodeName, pipe: OwnedFd, debug: u8, also_stderr: bool) {
    let me = me.clone();
    let sink = Sink {
        pipe: pipe.into(),
        also_stderr,
    };
    let done = env_logger::Builder::new()
        .filter_level(LevelFilter::Debug)
        .target(env_logger::Target::Pipe(Box::new(sink)))
        .format(move |out, record| {
            // Terminal sequences of whoever wrote it must not reach the terminal of whoever reads the log.
            let text = record.args().to_string().replace('\n', " ");
            let text = text.replace(|c: char| c.is_control() && c != '\t', "?");
            let now = sys::clock::local_time(sys::wall().0);
            let (pid, word) = (std::process::id(), word(record.level(), &text));
            let lost = match DROPPED.swap(0, Ordering::Relaxed) {
                0 => String::new(),
                n => format!(" ({n} log lines were lost before this one: the log disk is too slow)"),
            };
            writeln!(out, "{now} {me} heartbeat: [{pid}]: {word}{text}{lost}")
        })
        .try_init();
    if done.is_ok() {
        log::set_max_level(filter(debug));
    }
}

/// Where the lines end up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places {
    pub logfile: Option<PathBuf>,
    pub debugfile: Option<PathBuf>,
    pub facility: Option<String>,
}

impl Places {
    pub fn of(cf: &HaCf) -> Self {
        let facility = cf.logfacility.clone().filter(|f| f != "none");
        let nothing = cf.logfile.is_none() && cf.debugfile.is_none() && cf.logfacility.is_none();
        Self {
            logfile: cf.logfile.clone(),
            debugfile: cf.debugfile.clone(),
            // Without any place ha.cf means the log daemon; syslog's is what every machine has.
            facility: facility.or_else(|| nothing.then(|| "daemon".to_owned())),
        }
    }
}

/// New places for the writer. There is room for one: while a disk hangs, the newest takes the place of those before it.
#[derive(Clone, Debug, Default)]
pub struct NewPlaces(Arc<Mutex<Option<Places>>>);

impl NewPlaces {
    pub fn put(&self, places: Places) {
        *self.lock() = Some(places);
    }

    fn take(&self) -> Option<Places> {
        self.lock().take()
    }

    /// Nothing that is done with the lock held can panic half-way, or wait.
    fn lock(&self) -> MutexGuard<'_, Option<Places>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last mark that the writer has come to.
#[derive(Debug, Default)]
struct Progress {
    marks: Mutex<u64>,
    news: Condvar,
}

impl Progress {
    /// A number is whole whatever happened to who held it.
    fn marks(&self) -> MutexGuard<'_, u64> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self, mark: &[u8]) {
        let mark = std::str::from_utf8(mark).ok().and_then(|m| m.trim_end().parse().ok());
        *self.marks() = mark.unwrap_or(0);
        self.news.notify_all();
    }
}

/// What the writer of this process is waited with.
static WRITER: OnceLock<(File, Arc<Progress>)> = OnceLock::new();

/// Waits until all that was logged is written, but not longer than `limit`: the disk may hang. Only the process with the
/// writer waits.
pub fn settle(limit: Duration) {
    let Some((pipe, progress)) = WRITER.get() else { return };
    let until = Instant::now() + limit;
    let marks = progress.marks();
    let mark = marks.saturating_add(1);
    drop(marks);
    let text = [&[MARK], mark.to_string().as_bytes(), b"\n"].concat();
    // While the pipe is full the writer has something to do.
    while let Err(e) = (&mut &*pipe).write(&text) {
        if e.kind() != io::ErrorKind::WouldBlock || Instant::now() >= until {
            return;
        }
        std::thread::sleep(MARK_PAUSE);
    }
    let left = until.saturating_duration_since(Instant::now());
    let waited = progress
        .news
        .wait_timeout_while(progress.marks(), left, |reached| *reached < mark);
    drop(waited);
}

/// The master's side: makes the pipe and starts the thread that reads it.
pub fn start_writer(places: Places) -> io::Result<(OwnedFd, NewPlaces)> {
    let (read, write) = sys::files::pipe()?;
    let new = NewPlaces::default();
    let news = new.clone();
    let progress = Arc::new(Progress::default());
    let theirs = Arc::clone(&progress);
    let _ = WRITER.set((write.try_clone()?.into(), progress));
    std::thread::Builder::new()
        .name("log writer".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || {
            // Threads made before the master goes real-time are normal anyway; this says that it is meant.
            sys::process::normal_priority();
            write_lines(read, places, &news, &theirs);
        })?;
    Ok((write, new))
}

fn write_lines(pipe: OwnedFd, places: Places, news: &NewPlaces, progress: &Progress) {
    let mut places = places;
    let mut log = Appender::default();
    let mut debug = Appender::default();
    let mut syslog = Syslog::default();
    let mut lines = BufReader::new(File::from(pipe));
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        }
        if let Some(new) = news.take() {
            places = new;
        }
        if let [MARK, mark @ ..] = line.as_slice() {
            progress.reached(mark);
            continue;
        }
        let is_debug = find(&line, b"]: debug: ");
        if let Some(path) = places.logfile.as_deref().filter(|_| !is_debug) {
            log.append(path, &line);
        }
        if let Some(path) = &places.debugfile {
            debug.append(path, &line);
        }
        if let Some(facility) = places.facility.as_deref().filter(|_| !is_debug) {
            syslog.send(facility, &line);
        }
    }
}

fn find(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|w| w == word)
}

/// A log file that is opened again when it was moved away.
#[derive(Debug, Default)]
struct Appender {
    open: Option<(PathBuf, u64, File)>,
}

impl Appender {
    fn append(&mut self, path: &Path, line: &[u8]) {
        let same = |(p, inode, _): &(PathBuf, u64, File)| p == path && path.metadata().is_ok_and(|m| m.ino() == *inode);
        if !self.open.as_ref().is_some_and(same) {
            self.open = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .and_then(|f| Ok((path.to_owned(), f.metadata()?.ino(), f)))
                .ok();
        }
        if let Some((_, _, file)) = &mut self.open {
            // A full disk loses the line and nothing else; the next line tries again.
            let _ = file.write_all(line);
        }
    }
}

#[derive(Debug, Default)]
struct Syslog {
    socket: Option<UnixDatagram>,
}

impl Syslog {
    fn send(&mut self, facility: &str, line: &[u8]) {
        const FACILITIES: [&str; 24] = [
            "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "12",
            "13", "14", "15", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
        ];
        let number = FACILITIES.iter().position(|f| *f == facility).unwrap_or(3);
        let severity = [("]: ERROR: ", 3), ("]: WARN: ", 4), ("]: CRIT: ", 2)]
            .iter()
            .find(|(w, _)| find(line, w.as_bytes()))
            .map_or(6, |(_, s)| *s);
        let text = String::from_utf8_lossy(line);
        // `Mon dd HH:MM:SS NODE heartbeat: [pid]: …` becomes `<PRI>Mon dd HH:MM:SS heartbeat: [pid]: …`: syslog knows the host.
        let (date, rest) = text.split_at(text.len().min(16));
        let rest = rest.split_once(' ').map_or(rest, |(_, r)| r);
        let packet = format!("<{}>{date}{}", number * 8 + severity, rest.trim_end());
        if self.socket.is_none() {
            self.socket = UnixDatagram::unbound()
                .and_then(|s| s.set_nonblocking(true).map(|()| s))
                .ok();
        }
        if let Some(socket) = &self.socket {
            let _ = socket.send_to(packet.as_bytes(), "/dev/log");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_classics_words() {
        #[rustfmt::skip]
        let table = [
            (Level::Error, "x",       "ERROR: "),
            (Level::Error, "CRIT: x", ""),
            (Level::Warn,  "x",       "WARN: "),
            (Level::Info,  "x",       "info: "),
            (Level::Debug, "x",       "debug: "),
        ];
        for (level, text, want) in table {
            assert_eq!(word(level, text), want);
        }
    }

    #[test]
    fn the_end_waits_for_the_last_line_but_not_for_a_disk_that_hangs() {
        let dir = std::env::temp_dir().join(format!("ha-log-end-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let place = |name: &str| Places {
            logfile: Some(dir.join(name)),
            ..Places::default()
        };
        let (pipe, places) = start_writer(place("ha-log")).unwrap();
        let mut pipe = File::from(pipe);
        for round in 1..=3 {
            for line in 0..200 {
                writeln!(pipe, "{round} {line}").unwrap();
            }
            settle(Duration::from_secs(60));
            let text = std::fs::read_to_string(dir.join("ha-log")).unwrap();
            assert_eq!(text.lines().count(), round * 200);
            assert!(text.ends_with("199\n") && !text.contains('\0'), "{text}");
        }
        // Nobody reads this one, so that the writer does not come back from it.
        let hangs = dir.join("hangs");
        sys::fifo::make(&hangs, 0o600).unwrap();
        places.put(place("hangs"));
        writeln!(pipe, "lost").unwrap();
        settle(Duration::from_millis(50));
        // Meanwhile ha.cf is changed again and again: the newest file counts, the others were never there.
        for n in 1..=3 {
            places.put(place(&format!("new-{n}")));
        }
        writeln!(pipe, "kept").unwrap();
        let reader = std::fs::read_to_string(&hangs).unwrap();
        assert_eq!(reader, "lost\n");
        settle(Duration::from_secs(60));
        assert_eq!(std::fs::read_to_string(dir.join("new-3")).unwrap(), "kept\n");
        assert!(!dir.join("new-1").exists() && !dir.join("new-2").exists());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_log_file_that_was_moved_away_is_made_again() {
        let dir = std::env::temp_dir().join(format!("ha-log-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("ha-log");
        let mut log = Appender::default();
        log.append(&path, b"one\n");
        std::fs::rename(&path, dir.join("ha-log.1")).unwrap();
        log.append(&path, b"two\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"two\n");
        assert_eq!(std::fs::read(dir.join("ha-log.1")).unwrap(), b"one\n");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
