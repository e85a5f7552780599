//! The core process: media, FIFOs and the clock around the pure [`Daemon`]. It has no rights, opens nothing, and decides
//! nothing here: it waits, reads, feeds, performs.

mod ports;

use self::ports::Ports;
use super::link::{NodeTexts, Texts, ToCore, ToMaster};
use super::teller::Teller;
use super::{logger, lookout, say, watchdog};
use crate::auth::Keyring;
use crate::conf::hostcache::{self, Remembered};
use crate::conf::lives;
use crate::conf::{Accounts, HaCf, Haresources, authkeys, ha_cf, haresources};
use crate::core::Table;
use crate::daemon::{Action, Daemon, Event, Settings};
use crate::ids::{Generation, MediumId, NodeName};
use crate::ipc::CommandFifo;
use crate::ipc::server::{Server, ServerEvent, Wake};
use crate::media::Packet;
use crate::paths;
use crate::sys::mark::Mark;
use crate::sys::pair::{End, Got};
use crate::sys::poll::{Want, wait};
use crate::sys::{self, process, signals};
use crate::time::{Duration, Instant};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// In a turn everything is read that came before it began, or a peer might be declared dead while its beat waits behind
/// junk. These are 8192 packets, more than a socket's buffer holds, and some ten milliseconds of work.
const READS_A_TURN: usize = 128;
/// While a medium is flooded packets are read in heaps: being woken for each costs more than reading it.
const BREATH: Duration = Duration::from_millis(2);
/// After a pause more is read than a socket buffer holds; not without end when there is a flood of packets.
const CATCH_UP_ROUNDS: usize = 64;
/// The settings come when the disk has taken the new generation. A master that dies is noticed at once.
const BEGIN_WITHIN: Duration = Duration::from_secs(60);
/// Before the first beat we wait this long for the media to be open.
const OPEN_WITHIN: Duration = Duration::from_secs(3);
/// Beats tell the load; it is read with one of them, so often.
const LOAD_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Driver {
    master: End,
    fifo: CommandFifo,
    server: Server,
    ports: Ports,
    daemon: Option<Daemon>,
    me: NodeName,
    /// /proc/loadavg, open.
    load: Option<File>,
    load_at: Instant,
    teller: Teller,
    watchdog: Option<OwnedFd>,
    /// For whoever takes our place.
    last_beat: Mark,
    /// Of the beats, the watchdog has heard of so many.
    fed: u64,
    watchdog_fails: bool,
    /// The master knows that this node is active.
    active_told: bool,
    /// What the master said while the media were being opened.
    early: Vec<(ToCore, Option<OwnedFd>)>,
    /// The stop came while the media were being opened.
    stop_early: bool,
    stopped: bool,
}

/// Runs until the master says stop and everything is released, or until the master is gone.
pub fn run() -> io::Result<()> {
    let mut fds = process::inherited(5)?.into_iter();
    let mut next = || {
        fds.next()
            .ok_or_else(|| io::Error::other("a descriptor of the master is missing"))
    };
    let (master, fifo, register, log) = (next()?, next()?, next()?, next()?);
    let last_beat = Mark::of(next()?);
    signals::block_all_but_kill()?;
    let mut master = End::new(master);
    let ToCore::Begin {
        texts,
        me,
        uuid,
        generation,
        seed,
        resumed,
        accounts,
        remembered,
    } = first_message(&mut master)?
    else {
        return Err(io::Error::other("the master did not begin with its settings"));
    };
    let me: NodeName = me.parse().map_err(|e| io::Error::other(format!("{e}")))?;
    let (cf, haresources, keys) =
        parse(&texts, &accounts, &me).ok_or_else(|| io::Error::other("the files do not parse here"))?;
    logger::init(&me, log, cf.debug, false);
    // The master opens them meanwhile.
    for i in 0..cf.media.len() {
        ask_for(&mut master, MediumId(i));
    }
    take_place(&cf);
    let settings = Settings {
        me: me.clone(),
        uuid,
        generation: Generation(generation),
        cf,
        haresources,
        keys,
        seed,
        resumed,
        remembered: Remembered {
            // The master has complained about what is damaged.
            nodes: hostcache::parse(Path::new("hostcache"), &remembered.nodes)
                .value
                .unwrap_or_default(),
            deleted: hostcache::parse(Path::new("delhostcache"), &remembered.deleted)
                .value
                .unwrap_or_default(),
            peers: lives::parse(Path::new("hb_peers"), &remembered.peers)
                .value
                .unwrap_or_default(),
        },
    };
    let mut driver = Driver {
        master,
        fifo: CommandFifo::new(fifo),
        server: Server::new(register, paths::state()),
        ports: Ports::new(&settings.cf.media, settings.cf.deadtime),
        daemon: None,
        me,
        load: File::open("/proc/loadavg").ok(),
        load_at: Instant::default(),
        teller: Teller::default(),
        watchdog: None,
        last_beat,
        fed: 0,
        watchdog_fails: false,
        active_told: false,
        early: Vec::new(),
        stop_early: false,
        stopped: false,
    };
    let mut broken = driver.open_all()?;
    let silent = match settings.resumed {
        Some(_) => driver.last_beat.age().unwrap_or_default(),
        None => Duration::ZERO,
    };
    let (mut daemon, mut actions) = Daemon::new(sys::clock(), settings);
    actions.extend(daemon.was_silent(sys::clock(), silent));
    driver.daemon = Some(daemon);
    driver.perform(actions);
    for (medium, why) in broken.drain(..) {
        driver.feed(Event::MediumBroken { medium, why });
    }
    driver.report_ready();
    for (said, fd) in std::mem::take(&mut driver.early) {
        driver.master_said(said, fd);
    }
    if driver.stop_early {
        driver.feed(Event::Stop);
    }
    while !driver.stopped {
        driver.turn()?;
    }
    driver.drain();
    Ok(())
}

/// Real time, memory, and last of all the rights: each is wanted but not needed, so a refusal is said and survived.
fn take_place(cf: &HaCf) {
    if cf.realtime {
        if let Err(e) = process::realtime(cf.rtprio) {
            log::warn!("core: no real-time priority ({e}): beats may be late on a busy machine");
        }
        if let Err(e) = process::lock_memory() {
            log::warn!("core: cannot be locked into memory ({e}): beats may be late when the machine swaps");
        }
    }
    if !process::is_root() {
        return;
    }
    match process::drop_rights("hacluster", "haclient") {
        Ok(Some(())) => {}
        Ok(None) => log::warn!("core: there is no user hacluster or no group haclient; it goes on as root"),
        Err(e) => log::warn!("core: cannot become hacluster ({e}); it goes on as root"),
    }
}

fn ask_for(master: &mut End, medium: MediumId) {
    say::to_master(master, &ToMaster::Open { medium });
}

/// Waits for the settings.
fn first_message(master: &mut End) -> io::Result<ToCore> {
    let deadline = sys::now() + BEGIN_WITHIN;
    while sys::now() < deadline {
        wait(&[Want::read(master.fd())], deadline)?;
        match master.receive()? {
            Got::Message { bytes, .. } => {
                return ToCore::decode(&bytes).ok_or_else(|| io::Error::other("the master said rubbish"));
            }
            Got::Nothing => {}
            Got::Closed => return Err(io::Error::other("the master is gone")),
        }
    }
    Err(io::Error::other("the master did not say anything"))
}

/// The same bytes that the master has checked.
fn parse(texts: &Texts, accounts: &str, me: &NodeName) -> Option<(HaCf, Haresources, Keyring)> {
    let mut cf = ha_cf::parse(Path::new("ha.cf"), &texts.ha_cf, me).value?;
    cf.accounts = Accounts::read(accounts);
    let nodes: Vec<NodeName> = cf.normal_nodes().cloned().collect();
    let haresources = match cf.crm {
        true => Haresources::default(),
        false => haresources::parse(Path::new("haresources"), &texts.haresources, &nodes).value?,
    };
    let keys = authkeys::parse(Path::new("authkeys"), &texts.authkeys).value?;
    if cf.autojoin_conflict(&haresources).is_some() {
        return None;
    }
    Some((cf, haresources, keys))
}

impl Driver {
    /// Before the first beat: until every medium is open or known not to be.
    fn open_all(&mut self) -> io::Result<Vec<(MediumId, String)>> {
        let deadline = sys::now() + OPEN_WITHIN;
        let mut broken = Vec::new();
        while sys::now() < deadline && self.ports.awaited().next().is_some() {
            wait(
                &[Want {
                    fd: self.master.fd(),
                    write: self.master.wants_write(),
                }],
                deadline,
            )?;
            self.master.flush();
            match self.master.receive()? {
                Got::Message { bytes, fd } => match ToCore::decode(&bytes) {
                    Some(ToCore::Opened { medium, to, .. }) => {
                        if let Some(why) = self.ports.opened(medium, to, fd) {
                            broken.push((medium, why));
                        }
                    }
                    Some(ToCore::NotOpened { medium, why, .. }) => {
                        self.ports.broken(medium);
                        broken.push((medium, why));
                    }
                    Some(ToCore::Stop) => self.stop_early = true,
                    Some(said) => self.early.push((said, fd)),
                    None => {}
                },
                Got::Nothing => {}
                Got::Closed => return Err(io::Error::other("the master is gone")),
            }
        }
        let late = "it is still being opened (is a name server silent?)";
        broken.extend(self.ports.awaited().map(|medium| (medium, late.to_owned())));
        Ok(broken)
    }

    fn report_ready(&mut self) {
        let view = self.daemon.as_ref().expect("it was made before").view(sys::clock());
        let broken: Vec<String> = view
            .media
            .iter()
            .filter_map(|m| m.broken.as_ref().map(|why| format!("{} {}: {why}", m.kind, m.link)))
            .collect();
        let works = |medium: &MediumId| view.media[medium.0].broken.is_none();
        let working = self.ports.of_nodes().filter(works).count();
        say::to_master(&mut self.master, &ToMaster::Ready { working, broken });
    }

    /// One round: wait, read everything that is there, then the timer.
    fn turn(&mut self) -> io::Result<()> {
        if self.master.is_hung() {
            // Without a master nothing is served here; the others are to find out.
            return Err(io::Error::other("the master hangs: it reads nothing that it is told"));
        }
        let daemon = self.daemon.as_ref().expect("turns begin after it was made");
        let mut deadline = daemon
            .deadline()
            .min(self.teller.deadline(daemon))
            .min(self.ports.deadline());
        if self.server.has_more() {
            deadline = sys::now();
        }
        let mut wants = vec![
            Want {
                fd: self.master.fd(),
                write: self.master.wants_write(),
            },
            Want::read(self.fifo.fd()),
        ];
        let clients_from = wants.len();
        wants.extend(self.server.wants());
        let ports_from = wants.len();
        let (open, of_ports) = self.ports.wants();
        wants.extend(of_ports);
        if self.ports.are_flooded() {
            std::thread::sleep(BREATH);
        }
        let ready = wait(&wants, deadline)?;
        let began = sys::now();
        self.catch_up()?;
        // Packets first: after a pause of our own, what waits is heard before anybody is declared dead.
        for (medium, ready) in open.into_iter().zip(&ready[ports_from..]) {
            if ready.write {
                let flushed = self.ports.flush(medium);
                self.mind(medium, flushed);
            }
            if ready.read {
                self.read_port(medium, began);
            }
            self.ports.mind_floods(medium);
        }
        if ready[0].write {
            self.master.flush();
        }
        if ready[0].read {
            self.read_master()?;
        }
        if ready[1].read {
            for message in self.fifo.read() {
                self.feed(Event::Local { message });
            }
        }
        let room = self.daemon.as_mut().map_or(0, |d| d.room_for_clients(sys::clock()));
        for event in self.server.pump(&ready[clients_from..ports_from], room) {
            self.feed(match event {
                ServerEvent::Request { client, who, message } => Event::Request { client, who, message },
                ServerEvent::Gone { client, why } => Event::ClientGone { client, why },
            });
        }
        if self.server.crowd_has_left() {
            process::give_memory_back();
        }
        self.timers();
        for Wake { pair, pid, signal } in self.server.wakes() {
            say::to_master(&mut self.master, &ToMaster::Wake { pair, pid, signal });
        }
        Ok(())
    }

    /// After a pause of ours: reads what waits in the sockets before anything is said, sent or decided.
    fn catch_up(&mut self) -> io::Result<()> {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let actions = daemon.look_at_clock(sys::clock());
        self.perform(actions);
        if !self.must_catch_up() {
            return Ok(());
        }
        for _ in 0..CATCH_UP_ROUNDS {
            let readable = self.ports.readable()?;
            if readable.is_empty() {
                break;
            }
            for medium in readable {
                self.read_port(medium, sys::now());
            }
        }
        self.feed(Event::CaughtUp);
        Ok(())
    }

    fn must_catch_up(&self) -> bool {
        self.daemon.as_ref().is_some_and(Daemon::must_catch_up)
    }

    fn timers(&mut self) {
        let now = sys::now();
        for medium in self.ports.try_again(now) {
            ask_for(&mut self.master, medium);
        }
        if self.daemon.as_ref().is_some_and(|d| now >= d.deadline()) {
            self.look_at_load(now);
            self.feed(Event::Timer);
        }
        if let Some(daemon) = &self.daemon {
            self.teller.tell(now, daemon, &mut self.master);
        }
    }

    /// Just before a beat, so that nobody is woken for it alone.
    fn look_at_load(&mut self, now: Instant) {
        let Some(load) = self.load.as_ref().filter(|_| now >= self.load_at) else {
            return;
        };
        self.load_at = now + LOAD_EVERY;
        let mut line = [0; 128];
        let read = load.read_at(&mut line, 0).unwrap_or(0);
        let line = String::from_utf8_lossy(&line[..read]).trim_end().to_owned();
        if !line.is_empty() {
            self.feed(Event::Load { line });
        }
    }

    /// Everything that came to this medium before `began`, and perhaps more.
    fn read_port(&mut self, medium: MediumId, began: Instant) {
        for _ in 0..READS_A_TURN {
            match self.ports.receive(medium, began) {
                Ok(Some(heap)) => {
                    self.take(medium, heap.packets);
                    if heap.last {
                        return;
                    }
                }
                Ok(None) => return,
                Err(e) => return self.mind(medium, Err(e)),
            }
        }
    }

    fn take(&mut self, medium: MediumId, packets: Vec<Packet>) {
        let now = sys::clock();
        for Packet { bytes, at, from } in packets {
            let Some(daemon) = &mut self.daemon else { return };
            let actions = daemon.receive_at(now, at, medium, &bytes);
            let worth = daemon.worth();
            if !actions.is_empty() {
                self.perform(actions);
            }
            self.ports.judged(medium, now.mono, from, worth);
        }
        self.after();
    }

    /// A medium that fails is given up for a moment.
    fn mind(&mut self, medium: MediumId, done: io::Result<()>) {
        if let Err(e) = done {
            self.ports.broken(medium);
            self.feed(Event::MediumBroken {
                medium,
                why: e.to_string(),
            });
        }
    }

    fn read_master(&mut self) -> io::Result<()> {
        loop {
            match self.master.receive()? {
                Got::Message { bytes, fd } => match ToCore::decode(&bytes) {
                    Some(said) => self.master_said(said, fd),
                    None => log::error!("core: the master said something that is not understood"),
                },
                Got::Nothing => return Ok(()),
                // The heir takes the master's place and starts a core of its own.
                Got::Closed => return Err(io::Error::other("the master is gone")),
            }
        }
    }

    fn master_said(&mut self, said: ToCore, fd: Option<OwnedFd>) {
        match said {
            ToCore::Begin { .. } => log::error!("core: the master began twice"),
            ToCore::Opened { medium, what, .. } | ToCore::NotOpened { medium, what, .. }
                if !self.ports.is_meant(medium, &what) => {}
            ToCore::Opened { medium, to, .. } => match self.ports.opened(medium, to, fd) {
                None => self.feed(Event::MediumMended { medium }),
                Some(why) => self.feed(Event::MediumBroken { medium, why }),
            },
            ToCore::NotOpened { medium, why, .. } => {
                self.ports.broken(medium);
                self.feed(Event::MediumBroken { medium, why });
            }
            ToCore::Ended { job, outcome } => self.feed(Event::JobEnded { job, outcome }),
            ToCore::Reload { texts, accounts } => self.reload(&texts, &accounts),
            ToCore::Stop => self.feed(Event::Stop),
            ToCore::Debug { more } => {
                let level = if more { 1 } else { 0 };
                log::set_max_level(logger::filter(level));
            }
            ToCore::Clients { clients } => self.feed(Event::Programs { clients }),
            ToCore::Scripts { types } => self.feed(Event::Scripts { types }),
            ToCore::Watchdog => self.watchdog = fd,
            ToCore::Renewed { number, found } => self.feed(Event::Renewed { number, found }),
            ToCore::Sighted { bytes } => match lookout::link::read_sighting(&bytes) {
                Some(sighting) => self.feed(Event::Sighted { sighting }),
                None => log::error!("core: the lookout said something that is not understood"),
            },
            ToCore::End => self.stopped = true,
        }
    }

    fn reload(&mut self, texts: &Texts, accounts: &str) {
        let Some((cf, haresources, keys)) = parse(texts, accounts, &self.me) else {
            log::error!("core: the new files do not parse here; the old configuration stays");
            return;
        };
        log::set_max_level(logger::filter(cf.debug));
        let fresh = self.ports.follow(&cf.media, cf.deadtime);
        self.feed(Event::Reload {
            cf: Box::new(cf),
            haresources,
            keys,
        });
        for medium in fresh {
            ask_for(&mut self.master, medium);
        }
        log::info!("the new configuration is in force");
    }

    fn feed(&mut self, event: Event) {
        let Some(daemon) = &mut self.daemon else { return };
        let actions = daemon.handle(sys::clock(), event);
        self.perform(actions);
        self.after();
    }

    /// What the daemon did may concern the watchdog and the master.
    fn after(&mut self) {
        let Some(daemon) = &self.daemon else { return };
        let (beats, active) = (daemon.beats(), daemon.is_active());
        if beats != self.fed {
            self.fed = beats;
            if let Err(e) = self.last_beat.set() {
                log::debug!("core: the moment of a beat cannot be marked: {e}");
            }
            self.feed_watchdog();
        }
        if active && !self.active_told {
            self.active_told = true;
            say::to_master(&mut self.master, &ToMaster::Active);
        }
    }

    /// With each beat, after it: a core that hangs feeds nothing.
    fn feed_watchdog(&mut self) {
        let Some(device) = &self.watchdog else { return };
        match watchdog::feed(device.as_fd()) {
            Ok(()) => self.watchdog_fails = false,
            // Once: the next beat tries again.
            Err(e) if !self.watchdog_fails => {
                self.watchdog_fails = true;
                log::error!("watchdog: cannot be fed ({e}); it may reset this machine");
            }
            Err(_) => {}
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { medium, bytes } => {
                    let sent = self.ports.send(medium, &bytes);
                    self.mind(medium, sent);
                }
                Action::Fence { job, command } => {
                    say::to_master(&mut self.master, &ToMaster::Fence { job, command });
                }
                Action::Run { job, command } => say::to_master(&mut self.master, &ToMaster::Run { job, command }),
                Action::Reply { client, message } => self.server.reply(client, &message),
                Action::Signal { client, pid, signal } => self.server.set_signal(client, pid, signal),
                Action::DropClient { client } => self.server.drop_client(client),
                Action::Remember { held } => say::to_master(&mut self.master, &ToMaster::Held { held }),
                Action::Renew { number, addresses } => {
                    let at = sys::now();
                    say::to_master(&mut self.master, &ToMaster::Renew { number, at, addresses });
                }
                Action::Lookout { ask } => {
                    let bytes = lookout::link::write_ask(&ask);
                    say::to_master(&mut self.master, &ToMaster::Lookout { bytes });
                }
                Action::Drop { addresses } => say::to_master(&mut self.master, &ToMaster::Drop { addresses }),
                Action::RememberNodes { table } => self.remember(table),
                // `reload` has matched the ports to the new ha.cf before.
                Action::MediaChanged => {}
                // Not when the master is behind already: whoever has the key can send any number.
                Action::Notice { .. } if self.master.wants_write() => {}
                Action::Notice { message } => {
                    let text = |name: &str| message.get(name).map(|v| (name.to_owned(), v.to_owned()));
                    let fields = message.fields().iter().filter_map(|f| text(&f.name)).collect();
                    let kind = message.kind().to_owned();
                    say::to_master(&mut self.master, &ToMaster::Notice { kind, fields });
                }
                // The beat goes on while the clients end.
                Action::Stopped => say::to_master(&mut self.master, &ToMaster::Released),
            }
        }
    }

    fn remember(&mut self, table: Table) {
        let texts = NodeTexts {
            nodes: table.nodes,
            deleted: table.deleted,
            peers: table.peers,
        };
        say::to_master(&mut self.master, &ToMaster::Nodes { texts });
    }

    /// Says goodbye: what is queued goes out, the master hears that we are done.
    fn drain(&mut self) {
        // What the peers said while the clients ended is old for the next life as well.
        if let Some(table) = self.daemon.as_ref().map(Daemon::table) {
            self.remember(table);
        }
        say::to_master(&mut self.master, &ToMaster::Stopped);
        let deadline = sys::now() + Duration::from_secs(1);
        while sys::now() < deadline {
            let mut waiting = Vec::new();
            if self.master.wants_write() {
                waiting.push(Want {
                    fd: self.master.fd(),
                    write: true,
                });
            }
            let (open, wants) = self.ports.wants();
            let queued: Vec<_> = open.into_iter().zip(wants).filter(|(_, want)| want.write).collect();
            let (queued, wants): (Vec<_>, Vec<_>) = queued.into_iter().unzip();
            waiting.extend(wants);
            if waiting.is_empty() || wait(&waiting, deadline).is_err() {
                return;
            }
            self.master.flush();
            for medium in queued {
                let _ = self.ports.flush(medium);
            }
        }
    }
}
