//! The master process: root. It opens media, runs scripts, keeps what must outlive the core (generation, held groups),
//! and starts the core and the heir, again when one of them dies. It parses no packet.

use super::access;
use super::dopd;
use super::lease::Keeper;
use super::link::{NodeTexts, ToCore, ToHeir, ToMaster};
use super::logger::{self, NewPlaces, Places};
use super::lookout::care::Care;
use super::node_files::{self, NodeFiles};
use super::respawn::Programs;
use super::role::{self, CORE_TITLE, FOREGROUND, GENERATIONS, HEIR_TITLE, OUTPUTS, READY, RESUME, ROLE, STOPPING};
use super::say;
use super::shelf::Shelf;
use super::status_file::StatusFile;
use super::watchdog::Watchdog;
use super::{respawn_file, state};
use crate::check::{self, Texts};
use crate::conf::access::OWN_USER;
use crate::conf::hostcache::uuid_of_name;
use crate::conf::{Complaint, GroupSpec, HaCf, MediumSpec, ha_cf, haresources};
use crate::groups::job::Command;
use crate::ids::{Generation, JobId, MediumId, NodeName, ResourceName};
use crate::ipc::CommandFifo;
use crate::ipc::server::Server;
use crate::jobs::fence::Fences;
use crate::jobs::left::{Left, Notes};
use crate::jobs::rc::RcScripts;
use crate::jobs::{Jobs, environment};
use crate::sys::mark::Mark;
use crate::sys::pair::{End, Got, pair};
use crate::sys::poll::{Want, wait};
use crate::sys::signals::{Asked, Signals};
use crate::sys::{self, files, process};
use crate::time::{Duration, Instant};
use crate::{media, paths};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
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
/// A dead master's lock is gone long before.
const LOCK_WITHIN: Duration = Duration::from_secs(5);
/// Threads that open a medium are small: their stack is locked into memory like everything else.
const OPENER_STACK: usize = 256 * 1024;

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

type Failed = (Option<End>, io::Error);

/// What the heir has kept of the master before it.
struct Legacy {
    files: Option<OwnedFd>,
    last_beat: Option<OwnedFd>,
    /// Of scripts and of services they have started, with the title of each.
    outputs: Vec<(String, OwnedFd)>,
    generations: Range<u64>,
}

fn begin(
    resumed: bool,
    stopping: bool,
    legacy: Legacy,
    watchdog: Option<OwnedFd>,
    ready: Option<End>,
    foreground: bool,
) -> Result<Master, Failed> {
    match prepare(resumed, stopping, legacy, foreground) {
        Ok(mut master) => {
            master.ready = ready;
            if master.ready.is_none() {
                master.lookout.begin();
            }
            if let Some(device) = watchdog {
                master.watchdog = Some(Watchdog::keep(device, master.cf.watchdog.as_deref()));
                master.share_watchdog();
            }
            Ok(master)
        }
        Err(e) => Err((ready, e)),
    }
}

/// The files on disk; for an heir, when these are broken, the ones its master ran with.
fn read_files(me: &NodeName, legacy: Option<OwnedFd>) -> io::Result<(HaCf, Texts, Vec<Complaint>)> {
    let loaded = check::load(me);
    let usable = loaded.is_usable();
    if let Some(cf) = loaded.cf.filter(|_| usable) {
        return Ok((cf, loaded.texts, loaded.complaints));
    }
    let mut bytes = Vec::new();
    if let Some(fd) = legacy {
        fs::File::from(fd).read_to_end(&mut bytes)?;
    }
    if let Some(ToHeir::Keep { texts }) = ToHeir::decode(&bytes)
        && let Some(cf) = ha_cf::parse(Path::new("ha.cf"), &texts.ha_cf, me).value
    {
        return Ok((cf, texts, loaded.complaints));
    }
    Err(io::Error::other(format!(
        "configuration errors:\n{}",
        check::report(&loaded.complaints)
    )))
}

fn prepare(resumed: bool, stopping: bool, legacy: Legacy, foreground: bool) -> io::Result<Master> {
    let me = check::node_name().map_err(|e| io::Error::other(e.to_string()))?;
    let (cf, texts, complaints) = read_files(&me, legacy.files)?;
    let lock = take_lock(resumed)?;
    let signals = Signals::catch()?;
    let (log_pipe, log_places) = logger::start_writer(Places::of(&cf))?;
    logger::init(&me, log_pipe.try_clone()?, cf.debug, foreground);
    for complaint in &complaints {
        log::warn!("{complaint}");
    }
    needed_unless(resumed, make_directories())?;
    if cf.crm {
        needed_unless(resumed, make_crm_directories())?;
    }
    if cf.realtime {
        if let Err(e) = process::realtime(cf.rtprio) {
            log::warn!("master: no real-time priority ({e})");
        }
        if let Err(e) = process::lock_memory() {
            log::warn!("master: cannot be locked into memory ({e})");
        }
    }
    needed_unless(resumed, state::write_pid())?;
    let held = if resumed { state::read_held() } else { Vec::new() };
    if resumed {
        log::error!(
            "the master process died; its heir takes over with {} held group(s){}",
            held.len(),
            if stopping { " and goes on stopping" } else { "" }
        );
    } else {
        log::info!(
            "Configuration validated. Starting heartbeat {}",
            env!("CARGO_PKG_VERSION")
        );
    }
    let env = environment::script_env(&cf, &me);
    let mut found = respawn_file::read();
    if !resumed {
        // What an earlier heartbeat has left running counts even now; what did not want to run gets a new chance.
        found.retain(|f| f.process.is_some());
    }
    let mut jobs = Jobs::new(
        vec![paths::resource_d(), paths::init_d()],
        environment::resource_env(&cf, &me),
    );
    let mut left = Vec::new();
    match Notes::at(paths::scripts(), "master") {
        Ok(notes) => {
            left = notes.find();
            jobs.note_in(notes);
        }
        Err(e) => log::error!("{e}: a new master would not find the scripts that run"),
    }
    for (title, pipe) in legacy.outputs {
        jobs.read_on(sys::now(), title, pipe);
    }
    let shelf = Arc::new(Shelf::start()?);
    let mut master = Master {
        signals,
        uuid: match cf.uuid_from_name {
            true => uuid_of_name(&me),
            false => state::uuid()?,
        },
        fifo: CommandFifo::create(&paths::fifo())?,
        register: Server::create(&paths::state())?,
        me: me.clone(),
        texts,
        accounts: access::accounts(&cf.apiauth).to_string(),
        generation: Generation(0),
        generations: legacy.generations,
        _lock: lock,
        held,
        remembered: node_files::read(),
        shelf: Arc::clone(&shelf),
        node_files: NodeFiles::start()?,
        fences: Fences::new(env.clone()),
        jobs,
        leases: Keeper::new(&cf),
        lookout: Care::new(&cf, &me, log_pipe.try_clone()?),
        left,
        waiting: VecDeque::new(),
        programs: Programs::new(sys::now(), &cf.clients, env.clone(), found, shelf),
        rc: RcScripts::new(env, cf.resource_timeout),
        watchdog: None,
        last_beat: legacy.last_beat.map_or_else(Mark::new, |fd| Ok(Mark::of(fd)))?,
        released: false,
        log_pipe,
        log_places,
        status_file: StatusFile::start()
            .inspect_err(|e| log::warn!("no thread to write the status file: {e}"))
            .ok(),
        core: None,
        core_at: Instant::NEVER,
        core_deaths: VecDeque::new(),
        heir: None,
        ready: None,
        stopping: stopping.then(sys::now),
        done: false,
        cf,
    };
    master.start_core(resumed)?;
    master.start_heir();
    Ok(master)
}

/// An heir hears of its master's death from a socket, which the kernel may close a moment before the lock; and whoever
/// starts heartbeat right after a `kill -9` may be as fast.
fn take_lock(resumed: bool) -> io::Result<fs::File> {
    let until = sys::now() + if resumed { LOCK_WITHIN } else { PAUSE };
    loop {
        match state::lock() {
            Err(_) if sys::now() < until => std::thread::sleep(Duration::from_millis(2)),
            other => return other,
        }
    }
}

/// A disk that fails stops a fresh start, with the reason. An heir goes on without: resources run.
fn needed_unless(resumed: bool, result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if resumed => {
            log::error!("{e}; going on without");
            Ok(())
        }
        other => other,
    }
}

/// Directories of state and of the scripts' temporary files; the latter are emptied at every start.
fn make_directories() -> io::Result<()> {
    let named = |path: &Path, e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    for dir in [paths::state(), paths::run()] {
        fs::create_dir_all(&dir).map_err(|e| named(&dir, e))?;
    }
    for file in [
        paths::generation(),
        paths::uuid(),
        paths::hostcache(),
        paths::delhostcache(),
    ] {
        files::sweep(&file);
    }
    let tmp = environment::rsctmp();
    let _ = fs::remove_dir_all(&tmp);
    fs::create_dir_all(&tmp).map_err(|e| named(&tmp, e))?;
    files::set_mode(&tmp, 0o1777).map_err(|e| named(&tmp, e))?;
    // Whether dopd runs is the administrator's choice; it has no right to make this.
    if let Err(e) = dopd::make_directory() {
        log::warn!("{}: {e}; dopd cannot serve", paths::outdater().display());
    }
    Ok(())
}

/// What the crm's programs write to: crmd has no right to make it.
fn make_crm_directories() -> io::Result<()> {
    let named = |path: &Path, e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    // In a lab without root rights there is no other user.
    let owner = process::user_and_group(OWN_USER, "haclient").filter(|_| process::is_root());
    for dir in [paths::crm(), paths::pengine()] {
        fs::create_dir_all(&dir).map_err(|e| named(&dir, e))?;
        if let Some((uid, gid)) = owner
            && let Err(e) = std::os::unix::fs::chown(&dir, Some(uid), Some(gid))
        {
            log::warn!(
                "{}: cannot be given to {OWN_USER}: {e}; the crm may not be able to write it",
                dir.display()
            );
        }
        files::set_mode(&dir, 0o750).map_err(|e| named(&dir, e))?;
    }
    Ok(())
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

    /// Starts a core; with `resumed` it carries on with the groups that are held.
    fn start_core(&mut self, resumed: bool) -> io::Result<()> {
        let (ours, theirs) = pair()?;
        let fds = [
            theirs.as_fd(),
            self.fifo.as_fd(),
            self.register.as_fd(),
            self.log_pipe.as_fd(),
            self.last_beat.fd(),
        ];
        let env = [(ROLE, "core".to_owned())];
        let mut process = process::spawn_urgent(CORE_TITLE, &env, &fds, false, self.priority())?;
        drop(theirs);
        // While the program is loaded. The core has no number before it is told, and no number may be used twice, whoever
        // dies now.
        let generation = match self.next_generation(resumed) {
            Ok(generation) => generation,
            Err(e) => {
                drop(ours);
                end_child(&mut process);
                return Err(e);
            }
        };
        self.leave_generations_to_heir();
        self.generation = generation;
        let mut seed = [0; 8];
        files::random(&mut seed)?;
        let mut link = End::new(ours);
        let begin = ToCore::Begin {
            texts: self.texts.clone(),
            me: self.me.to_string(),
            uuid: self.uuid,
            generation: generation.0,
            seed: u64::from_ne_bytes(seed),
            resumed: resumed.then(|| self.held.clone()),
            accounts: self.accounts.clone(),
            remembered: self.remembered.clone(),
        };
        say::to_core(&mut link, &begin, None);
        let types = self.rc.types().to_vec();
        say::to_core(&mut link, &ToCore::Scripts { types }, None);
        let clients = self.programs.report();
        say::to_core(&mut link, &ToCore::Clients { clients }, None);
        if let Some(copy) = self.watchdog.as_ref().and_then(|w| w.copy().ok()) {
            say::to_core(&mut link, &ToCore::Watchdog, Some(copy));
        }
        if self.stopping.is_some() {
            say::to_core(&mut link, &ToCore::Stop, None);
        }
        log::info!("core process {} started, generation {generation}", process.id());
        self.core = Some(Core { process, link });
        self.core_at = Instant::NEVER;
        Ok(())
    }

    /// Without the disk as long as there are any of those taken from it.
    fn next_generation(&mut self, resumed: bool) -> io::Result<Generation> {
        if self.generations.is_empty() {
            let taken = match resumed {
                // The disk may hang; the groups that are held cannot wait for it.
                true => self.shelf.ask("generation", state::next_generations),
                false => Some(state::next_generations()),
            };
            match taken.unwrap_or_else(|| Err(io::Error::other("the disk does not answer"))) {
                Ok(taken) => self.generations = taken,
                Err(e) => {
                    let why = format!("{} cannot be written: {e}", paths::generation().display());
                    if !resumed {
                        return Err(io::Error::new(e.kind(), why));
                    }
                    log::error!("{why}; going on without");
                }
            }
        }
        let next = self.generations.next().map(Generation);
        Ok(next.unwrap_or_else(|| self.generation.unwritten_after(sys::wall().0)))
    }

    fn leave_generations_to_heir(&mut self) {
        let left = self.generations.clone();
        if let Some(heir) = &mut self.heir {
            say::to_heir(&mut heir.link, &ToHeir::Generations { left }, None);
        }
    }

    fn read_core(&mut self) -> io::Result<()> {
        loop {
            let Some(core) = &mut self.core else { return Ok(()) };
            match core.link.receive()? {
                Got::Message { bytes, .. } => match ToMaster::decode(&bytes) {
                    Some(said) => self.core_said(said),
                    None => log::error!("master: the core said something that is not understood; ignored"),
                },
                Got::Nothing => return Ok(()),
                Got::Closed => {
                    self.core_died();
                    return Ok(());
                }
            }
        }
    }

    fn core_said(&mut self, said: ToMaster) {
        match said {
            ToMaster::Ready { working, broken } => {
                let open = self.watchdog.as_ref().map(|w| &w.path);
                if working > 0 && open != self.cf.watchdog.as_ref() {
                    self.watch();
                }
                self.core_ready(working, &broken);
            }
            ToMaster::Open { medium } => self.open(medium),
            ToMaster::Run { job, command } => self.waiting.push_back((job, command)),
            ToMaster::Fence { job, command } => self.fences.order(sys::now(), &self.cf.fencing, job, command),
            ToMaster::Held { held } => {
                self.held = held.clone();
                self.shelf.ask("held groups", move || {
                    if let Err(e) = state::write_held(&held) {
                        log::error!(
                            "{} cannot be written ({e}): a new master would not know what is held",
                            paths::held().display()
                        );
                    }
                });
            }
            ToMaster::Renew { number, at, addresses } => {
                if let Some(found) = self.leases.renew(sys::now(), at, addresses) {
                    self.tell_core(&ToCore::Renewed { number, found });
                }
            }
            ToMaster::Lookout { bytes } => self.lookout.forward(bytes),
            ToMaster::Drop { addresses } => self.leases.drop_at_once(addresses),
            ToMaster::Wake { pair, pid, signal } => access::wake(&pair, pid, signal),
            ToMaster::Status { text } => {
                if let Some(file) = &self.status_file {
                    file.put(text);
                }
            }
            // The master before this one may have stopped them already.
            ToMaster::Active if self.stopping.is_some() => {}
            ToMaster::Active => self.programs.begin(),
            ToMaster::Notice { kind, fields } => self.rc.push(&kind, fields),
            ToMaster::Released => {
                self.programs.stop();
                self.released = true;
            }
            ToMaster::Nodes { texts } => {
                // The core faces the network: what is no list of nodes is not written.
                if node_files::is_good(&texts) {
                    self.remembered = texts.clone();
                    self.node_files.write(texts);
                } else {
                    log::error!("master: the core's list of nodes is not understood; it is not written");
                }
            }
            ToMaster::Stopped => {
                log::info!("Heartbeat shutdown complete.");
                self.done = true;
            }
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

    fn core_ready(&mut self, working: usize, broken: &[String]) {
        let Some(mut ready) = self.ready.take() else { return };
        if working == 0 {
            let why = format!(
                "no medium works:\n{}",
                broken.iter().map(|b| format!("{b}\n")).collect::<String>()
            );
            log::error!("heartbeat cannot start: {}", why.trim_end());
            ready.send(format!("error {why}").into_bytes(), None);
            self.stop();
            return;
        }
        let warnings: String = broken
            .iter()
            .map(|b| format!("{b} (it is tried again until it works)\n"))
            .collect();
        ready.send(format!("ok {warnings}").into_bytes(), None);
        // Not before: it would take processor time from the start of the core.
        self.lookout.begin();
    }

    /// Opens a medium in a thread of its own: a name server may be slow, and scripts and signals must not wait for it.
    fn open(&mut self, medium: MediumId) {
        let (Some(spec), Some(core)) = (self.cf.media.get(medium.0).cloned(), &self.core) else {
            return;
        };
        let Ok(link) = core.link.try_clone() else { return };
        let what = spec.whole();
        let opener = std::thread::Builder::new()
            .name("opener".to_owned())
            .stack_size(OPENER_STACK);
        let spawned = opener.spawn(move || open_and_tell(medium, &spec, link));
        if let Err(e) = spawned {
            self.tell_core(&ToCore::NotOpened {
                medium,
                what,
                why: format!("no thread to open it: {e}"),
            });
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

    /// The newest script's; an earlier one's was left when that was started.
    fn leave_output_to_heir(&mut self) {
        let Some(heir) = &mut self.heir else { return };
        if let Some((title, pipe)) = self.jobs.newest_output()
            && let Ok(copy) = pipe.try_clone_to_owned()
        {
            let title = title.to_owned();
            say::to_heir(&mut heir.link, &ToHeir::Output { title }, Some(copy));
        }
    }

    fn core_died(&mut self) {
        let Some(mut core) = self.core.take() else { return };
        let how = core.process.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
        if self.done {
            return;
        }
        let now = sys::now();
        if let Some(mut ready) = self.ready.take() {
            ready.send(
                format!("error the core process ended at once ({how}); see the log").into_bytes(),
                None,
            );
            self.done = true;
            return;
        }
        self.core_deaths.push_back(now);
        while self.core_deaths.front().is_some_and(|at| now - *at > CALM) {
            self.core_deaths.pop_front();
        }
        let pause = if self.core_deaths.len() > QUICK_DEATHS {
            PAUSE
        } else {
            Duration::ZERO
        };
        log::error!(
            "the core process died ({how}); starting it again{}, with {} held group(s)",
            if pause.is_zero() { "" } else { " in a second" },
            self.held.len()
        );
        self.waiting.clear();
        // The next core begins anew: nothing that this one has ordered is taken for done.
        self.fences.forget();
        self.jobs.disown();
        self.core_at = now + pause;
    }

    fn start_heir(&mut self) {
        let started = pair().and_then(|(ours, theirs)| {
            let env = [(ROLE, "heir".to_owned())];
            let fds = [theirs.as_fd(), self.last_beat.fd()];
            let process = process::spawn_urgent(HEIR_TITLE, &env, &fds, false, self.priority())?;
            Ok(Heir {
                process,
                link: End::new(ours),
            })
        });
        match started {
            Ok(mut heir) => {
                let texts = self.texts.clone();
                say::to_heir(&mut heir.link, &ToHeir::Keep { texts }, None);
                if let Some(copy) = self.watchdog.as_ref().and_then(|w| w.copy().ok()) {
                    say::to_heir(&mut heir.link, &ToHeir::Watchdog, Some(copy));
                }
                let left = self.generations.clone();
                say::to_heir(&mut heir.link, &ToHeir::Generations { left }, None);
                for (title, pipe) in self.jobs.outputs() {
                    let title = title.to_owned();
                    if let Ok(copy) = pipe.try_clone_to_owned() {
                        say::to_heir(&mut heir.link, &ToHeir::Output { title }, Some(copy));
                    }
                }
                if self.stopping.is_some() {
                    say::to_heir(&mut heir.link, &ToHeir::Stopping, None);
                }
                self.heir = Some(heir);
            }
            Err(e) => log::error!("no heir ({e}): if the master dies, nobody takes its place"),
        }
    }

    fn heir_died(&mut self) {
        let Some(mut heir) = self.heir.take() else { return };
        let _ = heir.process.kill();
        let how = heir.process.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
        log::warn!("the heir died ({how}); starting a new one");
        self.start_heir();
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
        state::remove_pid();
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

fn open_and_tell(medium: MediumId, spec: &MediumSpec, mut link: End) {
    let what = spec.whole();
    let (said, fd) = match media::open(spec) {
        Ok(media::Opened { fd, to }) => (ToCore::Opened { medium, what, to }, Some(fd)),
        Err(e) => (
            ToCore::NotOpened {
                medium,
                what,
                why: e.to_string(),
            },
            None,
        ),
    };
    link.send(said.encode(), fd);
    while link.wants_write() {
        if wait(
            &[Want {
                fd: link.fd(),
                write: true,
            }],
            sys::now() + PAUSE,
        )
        .is_err()
        {
            return;
        }
        link.flush();
    }
}
