//! Watching an address from the client while a test or the demo does other things.

use super::plan::Plan;
use super::timeline::{Gap, Micros, Span, Timeline};
use crate::sys::namespace::{self, now_micros};
use std::io::{self, BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A running watch; ends when dropped.
///
/// Times are [`now`](Watcher::now)'s. What is known is up to 100 ms old: a question that nobody answered is given that
/// long.
#[derive(Debug)]
pub struct Watcher {
    child: Child,
    timeline: Arc<Mutex<Timeline>>,
}

/// How long a condition that can be met is looked for before it is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl Watcher {
    pub(super) fn start(plan: &Plan, address: Ipv4Addr) -> io::Result<Self> {
        let mut command = Command::new(&plan.program);
        command.arg("__probe").arg(&plan.directory).arg(address.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = namespace::let_die_with_us(&mut command).spawn()?;
        let lines = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let timeline = Arc::new(Mutex::new(Timeline::default()));
        let shared = Arc::clone(&timeline);
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some((at, owners)) = parse(&line) {
                    shared.lock().unwrap_or_else(PoisonError::into_inner).push(at, owners);
                }
            }
        });
        let watcher = Self { child, timeline };
        let begun = |t: &Timeline| t.last().is_some();
        if !watcher.wait_for(Duration::from_secs(5), begun) {
            return Err(io::Error::other(format!("{address}: the client could not watch it")));
        }
        Ok(watcher)
    }

    /// The clock of all times here.
    pub fn now() -> Micros {
        now_micros()
    }

    fn lock(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything seen so far.
    pub fn timeline(&self) -> Timeline {
        self.lock().clone()
    }

    /// Who answered last: nobody, one, or (which must not be) more.
    pub fn owners(&self) -> Vec<String> {
        self.lock().last().map(|s| s.owners.clone()).unwrap_or_default()
    }

    /// The one owner.
    pub fn owner(&self) -> Option<String> {
        match &self.owners()[..] {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    /// Gaps of at least `least` that ended after `since`.
    pub fn gaps(&self, since: Micros, least: Duration) -> Vec<Gap> {
        self.lock().gaps(since, least.as_micros() as Micros)
    }

    pub fn longest_gap(&self, since: Micros) -> Option<Gap> {
        self.lock().longest_gap(since)
    }

    /// Moments with two owners after `since`.
    pub fn doubles(&self, since: Micros) -> Vec<Span> {
        self.lock().doubles(since)
    }

    /// Waits until `node` alone answered a question asked after `since`. False: it did not within `bound`.
    pub fn wait_for_owner(&self, node: &str, since: Micros, bound: Duration) -> bool {
        self.wait_for(bound, |t| t.last().is_some_and(|s| s.to > since && s.owners == [node]))
    }

    /// Waits until nobody answers any more.
    pub fn wait_for_nobody(&self, since: Micros, bound: Duration) -> bool {
        self.wait_for(bound, |t| t.last().is_some_and(|s| s.to > since && s.owners.is_empty()))
    }

    /// Waits until everything asked before now is known.
    pub fn settle(&self) {
        let now = now_micros();
        self.wait_for(Duration::from_secs(2), |t| t.last().is_some_and(|s| s.to >= now));
    }

    pub fn wait_for(&self, bound: Duration, holds: impl Fn(&Timeline) -> bool) -> bool {
        let end = Instant::now() + bound;
        while Instant::now() < end {
            if holds(&self.lock()) {
                return true;
            }
            thread::sleep(LOOK_AGAIN);
        }
        holds(&self.lock())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `MICROS NAME,NAME`, nobody being `-`.
pub fn parse(line: &str) -> Option<(Micros, Vec<String>)> {
    let (at, owners) = line.split_once(' ')?;
    let owners = match owners {
        "-" => Vec::new(),
        names => names.split(',').map(str::to_owned).collect(),
    };
    Some((at.parse().ok()?, owners))
}

pub fn print(at: Micros, owners: &[String]) -> String {
    match owners {
        [] => format!("{at} -"),
        names => format!("{at} {}", names.join(",")),
    }
}
