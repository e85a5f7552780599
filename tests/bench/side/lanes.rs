//! Many pairs at once, each in a thread of its own: their waiting overlaps, and what is measured falls on the same minutes
//! for all. Only a few things that are measured happen at one moment.

use crate::programs::{ADDRESS, Kind, NODES, Pair, Place, Program};
use crate::results::Results;
use ha::lab::Watcher;
use ha::lab::timeline::Micros;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What takes this long has failed.
pub const BOUND: Duration = Duration::from_secs(25);
/// Linux takes a neighbour's second change within a second for a lie: moves must be further apart than that.
pub const REST: Duration = Duration::from_millis(1100);
/// The classic refuses to move anything before it is sure that all is calm, and does not say when that is.
const CALM: Duration = Duration::from_secs(3);

/// A counter of free places.
#[derive(Debug)]
pub struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    pub fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    pub fn during<T>(&self, what: impl FnOnce() -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |n| *n == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        drop(free);
        let done = what();
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.freed.notify_one();
        done
    }
}

/// Where between two beats something happens: as far apart as so many moments can be, however many these will be. By chance
/// alone it would depend on how long the steps before took, which is always the same.
#[derive(Debug, Default)]
pub struct Phases(Mutex<BTreeMap<(Program, u32, &'static str), u32>>);

impl Phases {
    /// Multiples of the golden section, without their whole part, fill the range from 0 to 1 evenly.
    const STEP: f64 = 0.618_033_988_749_895;

    pub fn wait(&self, kind: Kind, what: &'static str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry((kind.program, kind.pace.dead, what)).or_default();
        *times += 1;
        let part = (f64::from(*times) * Self::STEP).fract();
        drop(seen);
        thread::sleep(Duration::from_millis(kind.pace.beat.into()).mul_f64(part));
    }
}

/// What all lanes of one run of this program share.
#[derive(Debug)]
pub struct Bench {
    pub place: Place,
    pub results: Results,
    pub runs: u32,
    pub slots: Slots,
    pub phases: Phases,
    /// Nothing begins after it.
    pub end: Instant,
    pub loss: Duration,
    pub junk: Duration,
    pub busy: Duration,
}

impl Bench {
    /// One thread a pair; each does `round` so many times, with a new pair after one that failed.
    pub fn lanes(&self, what: &str, kinds: &[Kind], runs: u32, round: impl Fn(&Pair) -> Result<(), String> + Sync) {
        thread::scope(|scope| {
            for kind in kinds {
                scope.spawn(|| self.lane(what, *kind, runs, &round));
            }
        });
    }

    fn lane(&self, what: &str, kind: Kind, runs: u32, round: &impl Fn(&Pair) -> Result<(), String>) {
        let name = format!("{what}, {}, {} ms", kind.program, kind.pace.dead);
        let mut kept: Option<Pair> = None;
        for run in 1..=runs {
            if Instant::now() >= self.end {
                self.results
                    .failed(&format!("{name}: run {run} of {runs} left out, the time was over"));
                continue;
            }
            let begun = Instant::now();
            let pair = match kept.take().map_or_else(|| self.settled(kind), Ok) {
                Ok(pair) => pair,
                Err(e) => {
                    self.results.failed(&format!("{name}: run {run}: no pair: {e}"));
                    continue;
                }
            };
            match round(&pair) {
                Ok(()) => kept = Some(pair),
                Err(why) => self
                    .results
                    .failed(&format!("{name}: run {run}: {why}\n{}", pair.logs())),
            }
            eprintln!("{name}: run {run} of {runs}, {:.0} s", begun.elapsed().as_secs_f32());
        }
    }

    /// Both nodes run, the first has the address.
    pub fn settled(&self, kind: Kind) -> io::Result<Pair> {
        let pair = Pair::make(&self.place, kind)?;
        let watch = pair.lab.watch(ADDRESS)?;
        for node in NODES {
            pair.start(node)?;
        }
        if !watch.wait_for_owner(NODES[0], 0, BOUND * 2) {
            return Err(io::Error::other(format!(
                "{} has no address\n{}",
                NODES[0],
                pair.logs()
            )));
        }
        calm(&pair).map_err(io::Error::other)?;
        Ok(pair)
    }
}

/// Waits until the pair is ready for the next thing.
pub fn calm(pair: &Pair) -> Result<(), String> {
    pair.lab
        .wait_for("the nodes know each other", BOUND, || pair.knows_peer())?;
    thread::sleep(match pair.kind.program {
        Program::Ours | Program::OurCrm | Program::OurCrmScript | Program::Pacemaker => REST,
        Program::Classic => CALM,
        Program::Keepalived | Program::Ucarp => REST.max(Duration::from_millis(u64::from(pair.kind.pace.dead) * 3 / 2)),
    });
    Ok(())
}

/// What the client saw.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Longest time without an answer.
    pub gap: f64,
    /// Time with two answers.
    pub two: f64,
}

pub fn seen(watch: &Watcher, since: Micros) -> Seen {
    watch.settle();
    Seen {
        gap: watch.longest_gap(since).map_or(0.0, |g| g.millis()),
        two: watch.timeline().double_time(since) as f64 / 1000.0,
    }
}
