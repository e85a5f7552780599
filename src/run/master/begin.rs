//! How a master begins: with the files, or with what the one before it has left.

use super::{Master, PAUSE};
use crate::check::{self, Texts};
use crate::conf::access::OWN_USER;
use crate::conf::hostcache::uuid_of_name;
use crate::conf::{Complaint, HaCf, ha_cf};
use crate::ids::{Generation, NodeName};
use crate::ipc::server::Server;
use crate::ipc::{CommandFifo, pid_file};
use crate::jobs::fence::Fences;
use crate::jobs::left::Notes;
use crate::jobs::rc::RcScripts;
use crate::jobs::{Jobs, environment};
use crate::paths;
use crate::run::lease::Keeper;
use crate::run::link::ToHeir;
use crate::run::logger::{self, Places};
use crate::run::lookout::care::Care;
use crate::run::node_files::{self, NodeFiles};
use crate::run::respawn::Programs;
use crate::run::shelf::Shelf;
use crate::run::status_file::StatusFile;
use crate::run::watchdog::Watchdog;
use crate::run::{access, dopd, respawn_file, state};
use crate::sys::mark::Mark;
use crate::sys::pair::End;
use crate::sys::signals::Signals;
use crate::sys::{self, files, process};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// A dead master's lock is gone long before.
const LOCK_WITHIN: Duration = Duration::from_secs(5);

type Failed = (Option<End>, io::Error);

/// What the heir has kept of the master before it.
pub(super) struct Legacy {
    pub(super) files: Option<OwnedFd>,
    pub(super) last_beat: Option<OwnedFd>,
    /// Of scripts and of services they have started, with the title of each.
    pub(super) outputs: Vec<(String, OwnedFd)>,
    pub(super) generations: Range<u64>,
}

pub(super) fn begin(
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
    needed_unless(resumed, pid_file::write())?;
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
        paths::peers(),
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
