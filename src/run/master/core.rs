//! The master's part with the core: it is started, gets its generation and its media, and is replaced when it dies.

use super::{CALM, Core, Master, PAUSE, QUICK_DEATHS, end_child};
use crate::conf::MediumSpec;
use crate::ids::{Generation, MediumId};
use crate::run::link::{ToCore, ToMaster};
use crate::run::role::{CORE_TITLE, ROLE};
use crate::run::{access, node_files, say, state};
use crate::sys::pair::{End, Got, pair};
use crate::sys::poll::{Want, wait};
use crate::sys::{self, files, process};
use crate::time::{Duration, Instant};
use crate::{media, paths};
use std::io;
use std::os::fd::AsFd;

/// Threads that open a medium are small: their stack is locked into memory like everything else.
const OPENER_STACK: usize = 256 * 1024;

impl Master {
    /// Starts a core; with `resumed` it carries on with the groups that are held.
    pub(super) fn start_core(&mut self, resumed: bool) -> io::Result<()> {
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

    pub(super) fn read_core(&mut self) -> io::Result<()> {
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

    pub(super) fn core_died(&mut self) {
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
