//! lrmd as a program: the door, the jobs and the clock around [`crate::agents::executor`].
//!
//! * `calls`: the agents that run now; `places`: where they are; `devices`: those that are STONITH devices
//! * `teller`: the thread that hands the log to heartbeat
//! * [`client`]: the library of crmd
//!
//! It serves whoever comes through the door, root and hacluster only. When crmd goes, everything goes on: what recurs
//! recurs, what runs ends, and the next crmd is told. When lrmd is killed, the agents it had begun go on to their end, and
//! the lrmd after it leaves their resources alone until then.

mod calls;
pub mod client;
mod devices;
mod places;
mod teller;

use crate::agents::executor::{Action, Event, Executor};
use crate::agents::protocol::{PREFIX, Report, Request};
use crate::clients::request::{self, field};
use crate::conf::access::OWN_USER;
use crate::ids::ClientId;
use crate::ipc::{Server, ServerEvent};
use crate::jobs::left::Notes;
use crate::msg::{Message, fields};
use crate::paths;
use crate::sys::fifo::{self, Access};
use crate::sys::interrupt::Told;
use crate::sys::poll::{Ready, Want, wait};
use crate::sys::{self, files, process};
use crate::time::{Duration, Instant};
use calls::{Calls, Over};
use places::Surroundings;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The name it signs on with at heartbeat.
pub const NAME: &str = "lrmd";
/// Who the crm's own files belong to.
const GROUP: &str = "haclient";
/// The door itself hands on a bounded number a turn; the executor refuses what is too much.
const ROOM: usize = usize::MAX;
/// The last lines of the log.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

/// Why it does not run.
#[derive(Debug)]
pub enum End {
    /// Agents need all rights.
    NotRoot,
    /// Another one serves this door.
    Running(PathBuf),
    Os(PathBuf, io::Error),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot => f.write_str("must run as root: write `crm on` in ha.cf, heartbeat starts it"),
            Self::Running(door) => write!(f, "{}: another lrmd runs here", door.display()),
            Self::Os(path, e) => write!(f, "{}: {e}", path.display()),
        }
    }
}

impl std::error::Error for End {}

struct Program {
    server: Server,
    /// Who has signed on; true when it is to hear of all results.
    clients: BTreeMap<ClientId, bool>,
    trusted: Vec<u32>,
    executor: Executor,
    calls: Calls,
}

/// Serves until a signal ends it.
pub fn run() -> Result<(), End> {
    if !process::is_root() {
        return Err(End::NotRoot);
    }
    let interrupt = Told::of_interruption().map_err(|e| End::Os("signals".into(), e))?;
    let door = paths::lrm();
    if fifo::open_fifo(&door.join("register"), Access::Write).is_ok() {
        return Err(End::Running(door));
    }
    // Before anything is logged: what waits is bounded.
    teller::begin(NAME).map_err(|e| End::Os("thread of the log".into(), e))?;
    let mut program = Program::begin(&door)?;
    let mut stopping = false;
    loop {
        program.turn();
        if stopping && program.executor.running() == 0 && program.calls.running() == 0 {
            break;
        }
        let mut wants = program.server.wants();
        let of_server = wants.len();
        wants.extend(program.calls.fds().into_iter().map(Want::read));
        if !stopping {
            // Heard once: it stays readable.
            wants.push(Want::read(interrupt.fd()));
        }
        let ready = wait(&wants, program.deadline()).map_err(|e| End::Os("events".into(), e))?;
        program.serve(&ready[..of_server]);
        if !stopping && ready.last().is_some_and(|r| r.read) {
            log::info!("ending; {} agent(s) still run", program.executor.running());
            stopping = true;
            program.event(Event::Stop, None);
        }
    }
    log::info!("ended");
    teller::settle(LAST_LINES_WITHIN);
    Ok(())
}

impl Program {
    fn begin(door: &Path) -> Result<Self, End> {
        make_places(door)?;
        let register = Server::create(door).map_err(|e| End::Os(door.to_owned(), e))?;
        let here = Surroundings::here();
        log::info!("serves {} on node {}", door.display(), here.node);
        let mut program = Self {
            server: Server::new(register, door),
            clients: BTreeMap::new(),
            trusted: files::user_id(OWN_USER).into_iter().chain([0]).collect(),
            executor: Executor::default(),
            calls: Calls::new(here),
        };
        match Notes::at(paths::agents(), NAME) {
            Ok(notes) => {
                for rsc in program.calls.inherit(sys::now(), notes.with_output()) {
                    program.event(Event::Left { rsc }, None);
                }
            }
            Err(e) => log::error!("{e}; an lrmd after this one will not find the agents that run then"),
        }
        Ok(program)
    }

    fn deadline(&self) -> Instant {
        if self.server.has_more() {
            return Instant::default();
        }
        self.executor.deadline().min(self.calls.deadline())
    }

    fn turn(&mut self) {
        let now = sys::now();
        for over in self.calls.tick(now) {
            match over {
                Over::Ended(job, ended) => self.event(Event::Ended { job, ended }, None),
                Over::Left(rsc) => self.event(Event::LeftOver { rsc }, None),
                Over::Fenced { client, id, result } => self.reply(client, &Report::Fenced { id, result }),
                Over::Meta { client, id, result } => self.reply(
                    client,
                    &match result {
                        Ok(xml) => Report::Meta { id, xml },
                        Err(why) => Report::Refused { id, why },
                    },
                ),
            }
        }
        if now >= self.executor.deadline() {
            self.event(Event::Timer, None);
        }
    }

    fn serve(&mut self, ready: &[Ready]) {
        for event in self.server.pump(ready, ROOM) {
            match event {
                ServerEvent::Request { client, who, message } if self.trusted.contains(&who.uid) => {
                    self.message(client, &message);
                }
                ServerEvent::Request { client, who, message } => {
                    log::warn!("uid {} asked; only root and {OWN_USER} may", who.uid);
                    let reqtype = message.get(field::REQTYPE).unwrap_or(request::MESSAGE);
                    self.server.reply(
                        client,
                        &request::refusal(reqtype, "only root and hacluster may ask lrmd"),
                    );
                    self.server.drop_client(client);
                }
                ServerEvent::Gone { client, why } => {
                    if self.clients.remove(&client) == Some(true) {
                        log::info!("crmd is gone ({why}); what runs goes on");
                    }
                }
            }
        }
    }

    fn message(&mut self, client: ClientId, message: &Message) {
        if message.kind().starts_with(PREFIX) && self.clients.contains_key(&client) {
            return match Request::from_message(message) {
                Ok(request) => self.request(client, request),
                Err(e) => self.reply(client, &Report::Refused { id: e.id, why: e.why }),
            };
        }
        match message.get(field::REQTYPE) {
            Some(request::SIGNON) => {
                let id = message.get(fields::FROM_ID).unwrap_or("");
                let named = request::kind_of_id(id) == Some(request::Kind::Named);
                self.clients.insert(client, named);
                if named {
                    log::info!("{id} is there");
                }
                let answer = request::answer(request::SIGNON).with(fields::RESULT, request::OK);
                self.server.reply(client, &answer);
            }
            Some(request::SIGNOFF) => {
                self.clients.remove(&client);
                self.server.drop_client(client);
            }
            other => {
                let refusal = request::refusal(other.unwrap_or(request::MESSAGE), "lrmd does not know that");
                self.server.reply(client, &refusal);
            }
        }
    }

    fn request(&mut self, client: ClientId, request: Request) {
        let event = match request {
            Request::Exec(order) => Event::Order(order),
            Request::Cancel { rsc, op, interval } => Event::Cancel { rsc, op, interval },
            Request::Forget { rsc } => Event::Forget { rsc },
            Request::List { after } => {
                let (known, more) = self.executor.known(after.as_deref());
                for one in known {
                    self.reply(client, &Report::Known(one));
                }
                return self.reply(client, &Report::Listed { more });
            }
            Request::Meta { id, agent } => return self.calls.meta(sys::now(), client, id, &agent),
            Request::Fence(fencing) => return self.calls.fence(sys::now(), client, fencing),
        };
        self.event(event, Some(client));
    }

    /// `asker` gave the order that this event is, if it is one.
    fn event(&mut self, event: Event, asker: Option<ClientId>) {
        let now = sys::clock();
        for action in self.executor.handle(now, event) {
            match action {
                Action::Run { job, order } => self.calls.begin(now.mono, job, order),
                Action::Answer(report) => {
                    if let Some(client) = asker {
                        self.reply(client, &report);
                    }
                }
                Action::Tell(report) => {
                    let message = report.to_message();
                    for (client, _) in self.clients.iter().filter(|(_, hears)| **hears) {
                        self.server.reply(*client, &message);
                    }
                }
            }
        }
    }

    fn reply(&mut self, client: ClientId, report: &Report) {
        self.server.reply(client, &report.to_message());
    }
}

/// `crm` is hacluster's, the door in it ours.
fn make_places(door: &Path) -> Result<(), End> {
    let crm = paths::crm();
    let named = |path: &Path, e: io::Error| End::Os(path.to_owned(), e);
    let owner = process::user_and_group(OWN_USER, GROUP);
    match std::fs::create_dir(&crm) {
        Ok(()) => {
            if let Some((uid, gid)) = owner {
                std::os::unix::fs::chown(&crm, Some(uid), Some(gid)).map_err(|e| named(&crm, e))?;
            }
            files::set_mode(&crm, 0o750).map_err(|e| named(&crm, e))?;
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(named(&crm, e)),
    }
    fifo::make_dir(door, 0o750, owner.map(|(_, gid)| gid)).map_err(|e| named(door, e))
}
