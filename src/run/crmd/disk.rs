//! The thread that writes: the CIB, copies of others, inputs of the policy. A disk that hangs holds nobody else.

use crate::agree::Mark;
use crate::cib::Cib;
use crate::crm::store::Store;
use crate::paths;
use crate::sys::fifo;
use crate::sys::files::{pipe, put};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// As in Pacemaker.
const INPUTS: u64 = 4000;
/// A CIB is written with what it was parsed to, and that goes deep.
const STACK: usize = 1024 * 1024;

#[derive(Debug)]
enum Work {
    Store { token: u64, cib: Box<Cib>, mark: Mark },
    Keep { name: String, cib: Box<Cib> },
    Input { text: String, most: u64 },
}

#[derive(Debug)]
pub struct Disk {
    ask: Sender<Work>,
    done: Arc<Mutex<Vec<u64>>>,
    woken: OwnedFd,
}

impl Disk {
    pub fn start(store: Store) -> io::Result<Self> {
        let (ask, asked) = channel();
        let (woken, wake) = pipe()?;
        let done = Arc::<Mutex<Vec<u64>>>::default();
        let told = Arc::clone(&done);
        std::thread::Builder::new()
            .name("disk".to_owned())
            .stack_size(STACK)
            .spawn(move || write_for_ever(store, &asked, &told, &wake))?;
        Ok(Self { ask, done, woken })
    }

    /// Readable when [`Disk::done`] has something.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }

    /// Tokens of what is on the disk.
    pub fn done(&self) -> Vec<u64> {
        let done = std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner));
        // A byte for each was written; more than that never are in the pipe.
        let mut buffer = vec![0; done.len().max(1)];
        if !done.is_empty() {
            let _ = fifo::read(self.woken.as_fd(), &mut buffer);
        }
        done
    }

    // The thread lives as long as this: what is asked is heard.

    pub fn store(&self, token: u64, cib: Box<Cib>, mark: Mark) {
        let _ = self.ask.send(Work::Store { token, cib, mark });
    }

    pub fn keep(&self, name: String, cib: Box<Cib>) {
        let _ = self.ask.send(Work::Keep { name, cib });
    }

    /// What a plan was made from; `most` of them are kept.
    pub fn input(&self, text: String, most: Option<u64>) {
        let most = most.unwrap_or(INPUTS);
        if most > 0 {
            let _ = self.ask.send(Work::Input { text, most });
        }
    }
}

fn write_for_ever(mut store: Store, asked: &Receiver<Work>, done: &Mutex<Vec<u64>>, wake: &OwnedFd) {
    let mut next: Option<Work> = None;
    loop {
        let Some(work) = next.take().or_else(|| asked.recv().ok()) else {
            return;
        };
        match work {
            Work::Store {
                mut token,
                mut cib,
                mut mark,
            } => {
                // Of several that wait the last one is enough.
                loop {
                    match asked.try_recv() {
                        Ok(Work::Store {
                            token: t,
                            cib: c,
                            mark: m,
                        }) => (token, cib, mark) = (t, c, m),
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                match store.write(&cib, &mark) {
                    Ok(None) => {}
                    Ok(Some(said)) => log::warn!("{said}"),
                    Err(e) => log::error!("{e}"),
                }
                done.lock().unwrap_or_else(PoisonError::into_inner).push(token);
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
