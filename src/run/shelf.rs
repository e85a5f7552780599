//! The thread by which the master reads and writes its state files once it runs: a disk may hang, and the scripts of a
//! takeover must not wait for it.
//!
//! A write is waited for a moment, so that in all usual cases what is to outlive the master is on disk before the script
//! begins that it tells of. When the disk does not answer nothing is waited for any more until it does. What is to be
//! written then is kept, the newest of each kind.

use crate::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Far above what a busy disk takes to sync, far below any deadtime.
const PATIENCE: Duration = Duration::from_millis(250);
/// The thread is small: its stack is locked into memory like everything else.
const STACK: usize = 256 * 1024;

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Desk {
    /// By what it is about: something newer takes the place of what was not begun.
    next: BTreeMap<&'static str, Work>,
    hangs: bool,
}

#[derive(Default)]
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

pub struct Shelf {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf")
    }
}

impl Shelf {
    pub fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("state files".to_owned())
            .stack_size(STACK)
            .spawn(move || work_for_ever(&theirs))?;
        Ok(Self { shared })
    }

    /// Has it done by the thread. `None`: the disk does not answer, and it will be done when it does, unless something
    /// newer about the same thing comes before.
    pub fn ask<T: Send + 'static>(&self, about: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (tell, hear) = channel();
        let mut desk = self.shared.desk();
        let hung = desk.hangs;
        let work = move || {
            // Nobody listens any more when it took too long.
            let _ = tell.send(work());
        };
        desk.next.insert(about, Box::new(work));
        drop(desk);
        self.shared.news.notify_all();
        let patience = if hung { Duration::ZERO } else { PATIENCE };
        let done = hear.recv_timeout(patience).ok();
        if done.is_none() && !hung {
            self.shared.desk().hangs = true;
            log::error!("{about}: the disk does not answer; going on without it");
        }
        done
    }
}

fn work_for_ever(shared: &Shared) {
    loop {
        let mut desk = shared.desk();
        let work = loop {
            match desk.next.pop_first() {
                Some((_, work)) => break work,
                None => desk = shared.news.wait(desk).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(desk);
        work();
        if std::mem::take(&mut shared.desk().hangs) {
            log::info!("the disk with the state files answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_disk_that_hangs_is_waited_for_once_and_the_newest_is_written_when_it_answers() {
        let shelf = Shelf::start().unwrap();
        assert_eq!(shelf.ask("held", || 1), Some(1));
        // The thread hangs in this one until it is told to go on.
        let (go_on, hangs) = sync_channel::<()>(0);
        assert_eq!(shelf.ask("held", move || hangs.recv().is_ok()), None);
        let (tell, hear) = channel();
        for n in 0..1000 {
            let tell = tell.clone();
            assert_eq!(shelf.ask("held", move || tell.send(n).is_ok()), None);
        }
        assert_eq!(shelf.ask("clients", || 2), None);
        assert_eq!(shelf.shared.desk().next.len(), 2, "one of each kind");
        drop(tell);
        go_on.send(()).unwrap();
        assert_eq!(hear.iter().collect::<Vec<_>>(), [999]);
        while shelf.ask("held", || 3) != Some(3) {
            std::thread::yield_now();
        }
        assert!(!shelf.shared.desk().hangs);
    }
}
