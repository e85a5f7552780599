//! The master process: root. It opens media, runs scripts, keeps what must outlive the core (generation, held groups),
//! and starts the core and the heir, again when one of them dies. It parses no packet. Its beginning, and its parts with core
//! and heir, have files of their own.

mod begin;
mod core;
mod heir;

use self::begin::{Legacy, begin};
use super::access;
use super::lease::Keeper;
use super::link::{NodeTexts, ToCore, ToHeir};
use super::logger::{self, NewPlaces, Places};
use super::lookout::care::Care;
use super::node_files::NodeFiles;
use super::respawn::Programs;
use super::role::{self, FOREGROUND, GENERATIONS, OUTPUTS, READY, RESUME, ROLE, STOPPING};
use super::say;
use super::shelf::Shelf;
use super::status_file::StatusFile;
use super::watchdog::Watchdog;
use super::{respawn_file, state};
use crate::check::{self, Texts};
use crate::conf::{GroupSpec, HaCf, haresources};
use crate::groups::job::Command;
use crate::ids::{Generation, JobId, NodeName, ResourceName};
use crate::ipc::pid_file;
use crate::jobs::fence::Fences;
use crate::jobs::left::Left;
use crate::jobs::rc::RcScripts;
use crate::jobs::{Jobs, environment};
use crate::sys::mark::Mark;
use crate::sys::pair::End;
use crate::sys::poll::{Want, wait};
use crate::sys::signals::{Asked, Signals};
use crate::sys::{self, process};
use crate::time::{Duration, Instant};
use crate::{media, paths};
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;

/// A core that died is started again at once, but not more than so often in `CALM`.
const QUICK_DEATHS: usize = 5;
const CALM: Duration = Duration::from_secs(10);
/// After that: a pause before each start.
const PAUSE: Duration = Duration::from_secs(1);
/// A stop that hangs ends here, as in heartbeat 3.0.6.
const STOP_WITHIN: Duration = Duration::from_secs(3600);

struct Core {
    process: Child,
    link: End,
}

struct Heir {
    process: Child,
    link: End,
}

struct Master {
    signals: Signals,
    me: NodeName,
    uuid: [u8; 16],
    texts: Texts,
    /// Who is behind the names of `apiauth`; looked up when the files are read.
    accounts: String,
    cf: HaCf,
    generation: Generation,
    /// Taken from the disk, for the cores to come.
    generations: Range<u64>,
    /// Held as long as this process lives.
    _lock: fs::File,
    held: Vec<ResourceName>,
    remembered: NodeTexts,
    shelf: Arc<Shelf>,
    node_files: NodeFiles,
    jobs: Jobs,
    leases: Keeper,
    lookout: Care,
    fences: Fences,
    /// Scripts of the master before this one.
    left: Vec<Left>,
    waiting: VecDeque<(JobId, Command)>,
    programs: Programs,
    rc: RcScripts,
    watchdog: Option<Watchdog>,
    /// Set by each core with each beat; the next one looks how long ago that was.
    last_beat: Mark,
    /// The core has released everything and beats on until the programs have ended.
    released: bool,
    log_pipe: OwnedFd,
    log_places: NewPlaces,
    /// `None` when its thread could not be started.
    status_file: Option<StatusFile>,
    fifo: OwnedFd,
    register: OwnedFd,
    core: Option<Core>,
    core_at: Instant,
    core_deaths: VecDeque<Instant>,
    heir: Option<Heir>,
    /// Where the command `heartbeat` waits to hear that we run.
    ready: Option<End>,
    stopping: Option<Instant>,
    done: bool,
}

/// Becomes the master. An error is told to the waiting command, else to the log.
pub fn run() -> io::Result<()> {
    let resumed = std::env::var_os(RESUME).is_some();
    let handed = match std::env::var(RESUME) {
        Ok(count) => count.parse().unwrap_or(1),
        Err(_) => usize::from(std::env::var_os(READY).is_some()),
    };
    let titles = std::env::var(OUTPUTS).unwrap_or_default();
    let titles: Vec<String> = titles.lines().map(str::to_owned).collect();
    let mut handed = process::inherited(handed + titles.len())?;
    let pipes = handed.split_off(handed.len() - titles.len());
    let outputs = titles.into_iter().zip(pipes).collect();
    let mut handed = handed.into_iter();
    let (ready, legacy) = if resumed {
        (None, handed.next())
    } else {
        (handed.next().map(End::new), None)
    };
    let last_beat = if resumed { handed.next() } else { None };
    let watchdog = handed.next();
    let foreground = std::env::var_os(FOREGROUND).is_some();
    let stopping = std::env::var_os(STOPPING).is_some();
    let generations = std::env::var(GENERATIONS).unwrap_or_default();
    let legacy = Legacy {
        files: legacy,
        last_beat,
        outputs,
        generations: role::range(&generations).unwrap_or(0..0),
    };
    for name in [ROLE, RESUME, GENERATIONS, OUTPUTS, READY, FOREGROUND, STOPPING] {
        process::unset_env(name);
    }
    match begin(resumed, stopping, legacy, watchdog, ready, foreground) {
        Ok(mut master) => master.serve(),
        Err((ready, e)) => {
            if let Some(mut ready) = ready {
                ready.send(format!("error {e}").into_bytes(), None);
            }
            log::error!("heartbeat cannot start: {e}");
            Err(e)
        }
    }
}

impl Master {
    fn serve(&mut self) -> io::Result<()> {
        while !self.done {
            self.turn()?;
        }
        self.end();
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        let mut deadline = self.jobs.deadline().min(self.fences.deadline()).min(self.core_at);
        deadline = self.left.iter().map(Left::deadline).fold(deadline, Instant::min);
        deadline = deadline.min(self.programs.deadline()).min(self.rc.deadline());
        deadline = deadline.min(self.lookout.deadline());
        if let Some(since) = self.stopping {
            deadline = deadline.min(since + STOP_WITHIN);
        }
        let mut wants = vec![Want::read(self.signals.fd())];
        let core_at = self.core.as_ref().map(|c| {
            wants.push(Want {
                fd: c.link.fd(),
                write: c.link.wants_write(),
            });
            wants.len() - 1
        });
        let heir_at = self.heir.as_ref().map(|h| {
            wants.push(Want {
                fd: h.link.fd(),
                write: h.link.wants_write(),
            });
            wants.len() - 1
        });
        wants.extend(self.jobs.fds().into_iter().map(Want::read));
        wants.extend(self.left.iter().map(|left| Want::read(left.fd())));
        wants.extend(self.programs.fds().into_iter().map(Want::read));
        wants.extend(self.rc.fds().into_iter().map(Want::read));
        wants.extend(self.fences.fds().into_iter().map(Want::read));
        wants.extend(self.lookout.want());
        let ready = wait(&wants, deadline)?;
        if ready[0].read {
            self.read_signals();
        }
        if let Some(at) = core_at {
            if ready[at].write
                && let Some(core) = &mut self.core
            {
                core.link.flush();
            }
            if ready[at].read {
                self.read_core()?;
            }
        }
        if let Some(at) = heir_at {
            if ready[at].write
                && let Some(heir) = &mut self.heir
            {
                heir.link.flush();
            }
            if ready[at].read {
                self.heir_died();
            }
        }
        for bytes in self.lookout.tick() {
            // A core that does not read gets no more than it can take.
            if self.core.as_ref().is_some_and(|c| !c.link.wants_write()) {
                self.tell_core(&ToCore::Sighted { bytes });
            }
        }
        for ended in self.jobs.tick(sys::now()) {
            if !ended.wanted {
                log::info!(
                    "a script of the core before this one ended: {} {}",
                    ended.command.resource.name,
                    ended.command.verb.as_str()
                );
                continue;
            }
            self.tell_core(&ToCore::Ended {
                job: ended.job,
                outcome: ended.outcome,
            });
        }
        let now = sys::now();
        self.left.retain_mut(|left| !left.is_over(now));
        for (job, outcome) in self.fences.tick(sys::now()) {
            self.tell_core(&ToCore::Ended { job, outcome });
        }
        self.run_waiting();
        self.rc.tick(sys::now());
        self.care_for_programs();
        self.end_the_hung();
        let now = sys::now();
        if self.core.is_none()
            && now >= self.core_at
            && !self.done
            && let Err(e) = self.start_core(true)
        {
            log::error!("the core process cannot be started ({e}); trying again in a second");
            self.core_at = now + PAUSE;
        }
        if self.stopping.is_some_and(|since| now >= since + STOP_WITHIN) {
            log::error!(
                "CRIT: stopping took longer than an hour; giving up with resources still held: {:?}",
                self.held
            );
            self.done = true;
        }
        Ok(())
    }

    /// A child that has not read for so long is ended; it is missed like one that died.
    fn end_the_hung(&mut self) {
        if let Some(core) = self.core.as_mut().filter(|c| c.link.is_hung()) {
            log::error!("the core process hangs: it reads nothing that it is told; ending it");
            let _ = core.process.kill();
        }
        if self.heir.as_ref().is_some_and(|h| h.link.is_hung()) {
            log::error!("the heir hangs: it reads nothing that it is told; ending it");
            self.heir_died();
        }
    }

    fn care_for_programs(&mut self) {
        if self.programs.tick(sys::now()) {
            self.tell_core(&ToCore::Clients {
                clients: self.programs.report(),
            });
        }
        if self.released && self.programs.are_stopped() {
            self.released = false;
            self.tell_core(&ToCore::End);
        }
    }

    fn read_signals(&mut self) {
        while let Some(asked) = self.signals.take() {
            match asked {
                Asked::Stop => {
                    log::info!("Heartbeat shutdown in progress. ({})", std::process::id());
                    self.stop();
                }
                Asked::Reload => self.reload(),
                Asked::MoreDebug => self.debug(true),
                Asked::LessDebug => self.debug(false),
                // Ended children show on their own descriptors.
                Asked::Child => {}
            }
        }
    }

    /// An orderly stop begins, or is asked for once more. The heir hears of it first: from now on nobody serves.
    fn stop(&mut self) {
        self.stopping.get_or_insert_with(sys::now);
        if let Some(heir) = &mut self.heir {
            say::to_heir(&mut heir.link, &ToHeir::Stopping, None);
        }
        self.tell_core(&ToCore::Stop);
    }

    fn debug(&mut self, more: bool) {
        let level = if more {
            self.cf.debug.saturating_add(1)
        } else {
            self.cf.debug.saturating_sub(1)
        };
        self.cf.debug = level;
        log::set_max_level(logger::filter(level));
        log::info!("debug now set to {level}");
        self.tell_core(&ToCore::Debug { more: level > 0 });
    }

    /// SIGHUP: read, check, compare. A bad file leaves the running configuration in force.
    fn reload(&mut self) {
        let loaded = check::load(&self.me);
        for complaint in &loaded.complaints {
            log::warn!("reload: {complaint}");
        }
        let usable = loaded.is_usable();
        let Some(cf) = loaded.cf.filter(|_| usable) else {
            log::error!("reload: the files have errors; the running configuration stays in force");
            return;
        };
        let env = environment::script_env(&cf, &self.me);
        self.rc.reload(env.clone(), cf.resource_timeout);
        self.tell_core(&ToCore::Scripts {
            types: self.rc.types().to_vec(),
        });
        self.programs.reload(sys::now(), &cf.clients, env.clone());
        if loaded.texts == self.texts {
            log::info!("Configuration unchanged.");
            return;
        }
        log::info!("reload: the files have changed");
        self.log_places.put(Places::of(&cf));
        for gone in self
            .cf
            .media
            .iter()
            .filter(|old| !cf.media.iter().any(|new| new.kind == old.kind))
        {
            media::release(gone);
        }
        self.jobs.set_env(environment::resource_env(&cf, &self.me));
        self.leases.reload(&cf);
        self.fences.set_env(env);
        log::set_max_level(logger::filter(cf.debug));
        self.accounts = access::accounts(&cf.apiauth).to_string();
        self.cf = cf;
        self.texts = loaded.texts;
        self.watch();
        if let Some(heir) = &mut self.heir {
            let texts = self.texts.clone();
            say::to_heir(&mut heir.link, &ToHeir::Keep { texts }, None);
        }
        self.tell_core(&ToCore::Reload {
            texts: self.texts.clone(),
            accounts: self.accounts.clone(),
        });
    }

    fn priority(&self) -> Option<u8> {
        self.cf.realtime.then_some(self.cf.rtprio)
    }

    fn tell_core(&mut self, said: &ToCore) {
        if let Some(core) = &mut self.core {
            say::to_core(&mut core.link, said, None);
        }
    }

    /// Opens, changes or gives up the watchdog as ha.cf has it.
    fn watch(&mut self) {
        match (&self.watchdog, &self.cf.watchdog) {
            (Some(same), Some(path)) if same.path == *path => {
                same.set_limit(self.cf.deadtime);
                return;
            }
            (None, None) => return,
            (Some(_) | None, _) => {}
        }
        let old = self.watchdog.take();
        if let Some(path) = &self.cf.watchdog {
            match Watchdog::open(path, self.cf.deadtime) {
                Ok(watchdog) => self.watchdog = Some(watchdog),
                Err(e) => log::error!(
                    "watchdog {}: cannot be opened ({e}): nothing resets this machine when heartbeat hangs",
                    path.display()
                ),
            }
        }
        self.share_watchdog();
        if let Some(old) = old {
            old.disarm();
        }
    }

    /// Copies for the core, which feeds it, and for the heir.
    fn share_watchdog(&mut self) {
        let copy = || self.watchdog.as_ref().and_then(|w| w.copy().ok());
        let (for_core, for_heir) = (copy(), copy());
        if let Some(core) = &mut self.core {
            say::to_core(&mut core.link, &ToCore::Watchdog, for_core);
        }
        if let Some(heir) = &mut self.heir {
            say::to_heir(&mut heir.link, &ToHeir::Watchdog, for_heir);
        }
    }

    /// Hands over ordered scripts, unless one of the same group still runs that a dead core or a dead master has ordered:
    /// two scripts of a group never run at once, and `status` tells nothing about a start that is not over.
    fn run_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut busy: Vec<ResourceName> = self.jobs.disowned().cloned().collect();
        busy.extend(self.left.iter().map(|left| left.resource.clone()));
        let groups = if busy.is_empty() { Vec::new() } else { self.groups() };
        for (job, command) in std::mem::take(&mut self.waiting) {
            if busy
                .iter()
                .any(|other| may_disturb(&groups, &command.resource.name, other))
            {
                self.waiting.push_back((job, command));
                continue;
            }
            self.jobs.start(sys::now(), job, command);
            self.leave_output_to_heir();
        }
    }

    /// The resources of each line of haresources.
    fn groups(&self) -> Vec<Vec<ResourceName>> {
        let nodes: Vec<NodeName> = self.cf.normal_nodes().cloned().collect();
        let parsed = haresources::parse(Path::new("haresources"), &self.texts.haresources, &nodes);
        let groups = parsed.value.map_or_else(Vec::new, |h| h.groups);
        let names = |g: GroupSpec| g.resources.into_iter().map(|r| r.name).collect();
        groups.into_iter().map(names).collect()
    }

    /// The orderly end: the heir first, so that it does not take over.
    fn end(&mut self) {
        if let Some(mut heir) = self.heir.take() {
            say::to_heir(&mut heir.link, &ToHeir::Goodbye, None);
            end_child(&mut heir.process);
        }
        self.lookout.end();
        if let Some(mut core) = self.core.take() {
            drop(core.link);
            end_child(&mut core.process);
        }
        match self.watchdog.take() {
            Some(watchdog) if self.held.is_empty() => watchdog.disarm(),
            Some(watchdog) => log::error!(
                "CRIT: watchdog {}: left armed, since resources are not released: it resets this machine",
                watchdog.path.display()
            ),
            None => {}
        }
        self.node_files.finish(PAUSE);
        for spec in &self.cf.media {
            media::release(spec);
        }
        if !self.programs.any_runs() {
            respawn_file::remove();
        }
        for path in [paths::fifo(), paths::register()] {
            let _ = fs::remove_file(path);
        }
        if let Some(file) = &self.status_file {
            file.end();
        }
        state::remove_held();
        pid_file::remove();
    }
}

/// Are the two of one group? What haresources no longer has may be of any.
fn may_disturb(groups: &[Vec<ResourceName>], a: &ResourceName, b: &ResourceName) -> bool {
    let of = |name: &ResourceName| groups.iter().filter(|g| g.contains(name)).count();
    let together = groups.iter().any(|g| g.contains(a) && g.contains(b));
    together || of(a) == 0 || of(b) == 0
}

/// Waits a moment for a process that is ending by itself; one that hangs is killed.
fn end_child(process: &mut Child) {
    if !process::wait_gone(process.id(), PAUSE) {
        let _ = process.kill();
    }
    let _ = process.wait();
}
