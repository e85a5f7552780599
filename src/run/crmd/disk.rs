//! The thread that writes: the CIB, copies of others, inputs of the policy. A disk that hangs holds nobody else.

use crate::agree::Mark;
use crate::cib::Cib;
use crate::crm::store::Store;
use crate::paths;
use crate::sys::fifo;
use crate::sys::files::{pipe, put};
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// As in Pacemaker.
const INPUTS: u64 = 4000;
/// A CIB is written with what it was parsed to, and that goes deep.
const STACK: usize = 1024 * 1024;

/// CIBs to be kept aside that wait at once: a node gives up one when it joins a cluster.
const MOST_ASIDE: usize = 4;

#[derive(Debug)]
enum Work {
    Store { token: u64, cib: Box<Cib>, mark: Mark },
    Keep { name: String, cib: Box<Cib> },
    Input { text: String, most: u64 },
}

/// What is to be written, the newest of each kind, and what was.
#[derive(Debug, Default)]
struct Desk {
    store: Option<Work>,
    keep: VecDeque<Work>,
    input: Option<Work>,
    /// Tokens of what is on the disk; the pipe has a byte for each.
    done: Vec<u64>,
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

    fn put(&self, work: Work) {
        let mut desk = self.desk();
        match work {
            Work::Store { .. } => desk.store = Some(work),
            Work::Input { .. } => desk.input = Some(work),
            Work::Keep { .. } => {
                if desk.keep.len() == MOST_ASIDE {
                    desk.keep.pop_front();
                }
                desk.keep.push_back(work);
            }
        }
        drop(desk);
        self.news.notify_all();
    }

    fn next(&self) -> Work {
        let mut desk = self.desk();
        loop {
            let work = desk.keep.pop_front();
            if let Some(work) = work.or_else(|| desk.store.take()).or_else(|| desk.input.take()) {
                return work;
            }
            desk = self.news.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[derive(Debug)]
pub struct Disk {
    shared: Arc<Shared>,
    woken: OwnedFd,
}

impl Disk {
    pub fn start(store: Store) -> io::Result<Self> {
        let (woken, wake) = pipe()?;
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("disk".to_owned())
            .stack_size(STACK)
            .spawn(move || write_for_ever(store, &theirs, &wake))?;
        Ok(Self { shared, woken })
    }

    /// Readable when [`Disk::done`] has something.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }

    /// Tokens of what is on the disk.
    pub fn done(&self) -> Vec<u64> {
        let done = std::mem::take(&mut self.shared.desk().done);
        let mut bytes = vec![0; done.len()];
        if !done.is_empty() {
            let _ = fifo::read(self.woken.as_fd(), &mut bytes);
        }
        done
    }

    pub fn store(&self, token: u64, cib: Box<Cib>, mark: Mark) {
        self.shared.put(Work::Store { token, cib, mark });
    }

    pub fn keep(&self, name: String, cib: Box<Cib>) {
        self.shared.put(Work::Keep { name, cib });
    }

    /// What a plan was made from; `most` of them are kept.
    pub fn input(&self, text: String, most: Option<u64>) {
        let most = most.unwrap_or(INPUTS);
        if most > 0 {
            self.shared.put(Work::Input { text, most });
        }
    }
}

fn write_for_ever(mut store: Store, shared: &Shared, wake: &OwnedFd) {
    loop {
        match shared.next() {
            Work::Store { token, cib, mark } => {
                match store.write(&cib, &mark) {
                    Ok(None) => {}
                    Ok(Some(said)) => log::warn!("{said}"),
                    Err(e) => log::error!("{e}"),
                }
                // Under the lock: whoever takes the token finds its byte.
                let mut desk = shared.desk();
                desk.done.push(token);
                // Full: it is awake anyway.
                let _ = fifo::write(wake.as_fd(), &[1]);
            }
            Work::Keep { name, cib } => {
                if let Err(e) = store.keep_aside(&name, &cib) {
                    log::error!("{e}");
                }
            }
            Work::Input { text, most } => {
                if let Err(e) = input(&text, most) {
                    log::warn!("input of the policy: not kept: {e}");
                }
            }
        }
    }
}

fn input(text: &str, most: u64) -> io::Result<()> {
    let directory = paths::pengine();
    let last = directory.join("pe-input.last");
    let number = fs::read_to_string(&last)
        .ok()
        .and_then(|t| t.trim().parse::<u64>().ok());
    let number = number.unwrap_or(0) % most;
    let file: PathBuf = directory.join(format!("pe-input-{number}.xml"));
    // Nothing depends on them: no sync, unlike for the CIB.
    fs::write(&file, text)?;
    put(&last, (number + 1).to_string().as_bytes(), 0o600, true)?;
    log::info!("the input of this transition is {}", file.display());
    Ok(())
}
