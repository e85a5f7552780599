//! The lookout: a process that watches the service addresses, on this machine and on the wire. It knows nothing of nodes
//! and groups and decides nothing: what it sees goes to the core, what the core wants comes from there
//! ([`crate::groups::lookout`]). Its only right is that to raw packets.
//!
//! Nobody waits for it: without it the daemon works as before, and the master starts a new one.
//!
//! * `link`: what it and the core say to each other
//! * `scene`: interfaces and addresses as they are, and what has changed
//! * `ears`: who says on the wire that an address is his; questions and their answers
//! * `voice`: announcements, and segments that wake clients
//! * `care`: the master's care for it
//! * `connections`: the established connections of held addresses

pub mod care;
mod connections;
mod ears;
pub mod link;
mod scene;
mod voice;

use self::connections::Watch;
use self::ears::Ears;
use self::link::Begin;
use self::scene::Scene;
use self::voice::Voice;
use super::logger;
use crate::groups::lookout::{Ask, Sighting};
use crate::sys::netlink::{News, Told};
use crate::sys::pair::{End, Got, Waits};
use crate::sys::poll::{Want, wait};
use crate::sys::{self, process, signals};
use crate::time::{Duration, Instant};
use std::io;

/// What `role` calls it.
pub const ROLE_NAME: &str = "lookout";

/// Changes of interfaces come in dozens: one look for all of them.
const LOOK_AFTER: Duration = Duration::from_millis(20);
const BEGIN_WITHIN: Duration = Duration::from_secs(10);

pub fn run() -> io::Result<()> {
    let mut fds = process::inherited(2)?.into_iter();
    let (Some(master), Some(log)) = (fds.next(), fds.next()) else {
        return Err(io::Error::other("a descriptor of the master is missing"));
    };
    signals::block_all_but_kill()?;
    let mut master = End::new(master);
    let begin = first_message(&mut master)?;
    logger::init(&begin.me, log, begin.debug, false);
    if let Some(priority) = begin.priority {
        if let Err(e) = process::realtime(priority) {
            log::debug!("lookout: no real-time priority ({e})");
        }
        if let Err(e) = process::lock_memory() {
            log::debug!("lookout: cannot be locked into memory ({e})");
        }
    }
    if process::is_root() {
        match process::keep_only_raw_packets("hacluster", "haclient") {
            Ok(Some(())) => {}
            Ok(None) => log::debug!("lookout: there is no user hacluster or no group haclient"),
            Err(e) => log::warn!("lookout: cannot become hacluster ({e}); it goes on with the rights it has"),
        }
    }
    let mut lookout = Lookout {
        master,
        news: News::open()?,
        scene: Scene::new()?,
        ears: Ears::default(),
        voice: Voice::default(),
        watch: Watch::default(),
        look_at: Instant::NEVER,
    };
    lookout.tell(&Sighting::Began);
    while lookout.turn()? {}
    Ok(())
}

fn first_message(master: &mut End) -> io::Result<Begin> {
    let deadline = sys::now() + BEGIN_WITHIN;
    while sys::now() < deadline {
        wait(&[Want::read(master.fd())], deadline)?;
        match master.receive()? {
            Got::Message { bytes, .. } => {
                return Begin::decode(&bytes).ok_or_else(|| io::Error::other("the master said rubbish"));
            }
            Got::Nothing => {}
            Got::Closed => return Err(io::Error::other("the master is gone")),
        }
    }
    Err(io::Error::other("the master did not say anything"))
}

#[derive(Debug)]
struct Lookout {
    master: End,
    news: News,
    scene: Scene,
    ears: Ears,
    voice: Voice,
    watch: Watch,
    look_at: Instant,
}

impl Lookout {
    fn tell(&mut self, sighting: &Sighting) {
        // The list of connections is whole each time.
        let waits = match sighting {
            Sighting::Connections { .. } => Waits::Newest("connections"),
            _ => Waits::Once,
        };
        self.master.send_as(waits, link::write_sighting(sighting), None);
    }

    /// False when the master is gone.
    fn turn(&mut self) -> io::Result<bool> {
        if self.master.is_hung() {
            return Err(io::Error::other("the master hangs: it reads nothing that it is told"));
        }
        let now = sys::now();
        let deadline = self.look_at.min(self.ears.deadline());
        let deadline = deadline
            .min(self.voice.deadline())
            .min(self.watch.deadline(&self.scene));
        let mut wants = vec![
            Want {
                fd: self.master.fd(),
                write: self.master.wants_write(),
            },
            Want::read(self.news.fd()),
        ];
        let first = wants.len();
        let open = self.ears.wants(now, &mut wants);
        let ready = wait(&wants, deadline)?;
        let heard: Vec<usize> = open
            .into_iter()
            .zip(&ready[first..])
            .filter(|(_, r)| r.read)
            .map(|(ear, _)| ear)
            .collect();
        let (from_master, news) = (ready[0], ready[1].read);
        if from_master.write {
            self.master.flush();
        }
        // What happened to the addresses comes before what is to be done with them.
        if news {
            self.read_news()?;
        }
        let now = sys::now();
        if now >= self.look_at {
            self.look();
        }
        if from_master.read && !self.read_master()? {
            return Ok(false);
        }
        for ear in heard {
            self.ears.listen(ear, sys::now(), &self.scene);
        }
        let now = sys::now();
        for sighting in self.ears.tick(now, &self.scene) {
            self.tell(&sighting);
        }
        self.voice.tick(now, &mut self.scene, &self.ears);
        if let Some(connections) = self.watch.tick(now, &self.scene) {
            self.tell(&Sighting::Connections { connections });
        }
        Ok(true)
    }

    fn read_news(&mut self) -> io::Result<()> {
        loop {
            match self.news.read()? {
                Told::Nothing => return Ok(()),
                Told::Lost => self.look_at = sys::now(),
                Told::Of(replies) if self.scene.knows(&replies) => {}
                Told::Of(replies) => {
                    let at_once = self.scene.concerns_held(&replies);
                    let due = sys::now() + if at_once { Duration::ZERO } else { LOOK_AFTER };
                    self.look_at = self.look_at.min(due);
                }
            }
        }
    }

    fn look(&mut self) {
        self.look_at = Instant::NEVER;
        match self.scene.look() {
            Ok(sightings) => {
                for sighting in sightings {
                    self.tell(&sighting);
                }
                self.ears.follow(&self.scene);
            }
            Err(e) => {
                log::debug!("lookout: the kernel does not tell its addresses ({e}); trying again");
                self.look_at = sys::now() + Duration::from_secs(1);
            }
        }
    }

    fn read_master(&mut self) -> io::Result<bool> {
        loop {
            match self.master.receive()? {
                Got::Message { bytes, .. } => match link::read_ask(&bytes) {
                    Some(ask) => self.asked(ask),
                    None => log::error!("lookout: the core said something that is not understood"),
                },
                Got::Nothing => return Ok(true),
                Got::Closed => return Ok(false),
            }
        }
    }

    fn asked(&mut self, ask: Ask) {
        let now = sys::now();
        match ask {
            Ask::Watch { held, all, connections } => {
                self.scene.set(&held, &all);
                self.watch.set(now, connections);
                self.look();
            }
            Ask::Whether { number, addresses } => self.ears.ask(now, number, &addresses, &self.scene),
            Ask::Announce { addresses } => self.voice.announce(now, &addresses, &self.scene),
            Ask::Tickle { connections } => self.voice.tickle(now, connections),
        }
    }
}
