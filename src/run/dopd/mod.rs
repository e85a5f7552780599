//! The program dopd: the client API, a socket and `drbdadm` around [`crate::dopd::Dopd`].
//!
//! * `door`: the socket of drbd-peer-outdater
//! * `drbdadm`: the runs of that program

mod door;
mod drbdadm;

pub use door::make_directory;

use crate::clients::request;
use crate::dopd::{Action, CLIENT, Dopd, Event};
use crate::ids::NodeName;
use crate::ipc::client::{Client, ClientError, Filter};
use crate::ipc::relay;
use crate::paths;
use crate::sys;
use crate::sys::interrupt::Told;
use crate::sys::poll::{Want, wait};
use crate::time::Duration;
use door::Door;
use drbdadm::Drbdadm;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// The daemon answers in a millisecond; on a machine that swaps it may take longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The list of nodes is read again so often: a reload may have changed it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Messages of the daemon taken in one turn; the socket and the runs have their turn in between.
const NEWS_A_TURN: usize = 64;

/// Why it ends.
#[derive(Debug)]
pub enum End {
    Heartbeat(ClientError),
    Os(PathBuf, io::Error),
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        Self::Heartbeat(error)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heartbeat(error) => error.fmt(f),
            Self::Os(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

struct Program {
    client: Client,
    machine: Dopd,
    door: Door,
    drbdadm: Drbdadm,
}

/// Serves until a signal ends it (`Ok`) or something goes wrong. `drbdadm` is the program of that name, looked for when
/// not given.
pub fn run(drbdadm: Option<PathBuf>) -> Result<(), End> {
    let interrupt = Told::of_interruption().map_err(|e| End::Os("signals".into(), e))?;
    // First of all: of two dopds one gets no further.
    let mut client = Client::sign_on(CLIENT, TIMEOUT)?;
    client.set_filter(Filter::NEWS)?;
    let me = client.node().parse::<NodeName>();
    let me = me.map_err(|e| End::Os("heartbeat".into(), io::Error::other(e.to_string())))?;
    let drbdadm = Drbdadm::new(drbdadm);
    drbdadm.warn_of_rights();
    let socket = paths::outdater();
    let door = Door::open(&socket).map_err(|e| End::Os(socket, e))?;
    let life = format!("{}-{}", sys::wall().0, std::process::id());
    let mut program = Program {
        machine: Dopd::new(me, life),
        client,
        door,
        drbdadm,
    };
    program.look()?;
    log::info!("node {}: ready", program.client.node());
    let mut look_at = sys::now() + LOOK_AGAIN;
    loop {
        program.turn()?;
        relay::flush(&mut program.client)?;
        if sys::now() >= look_at {
            program.look()?;
            look_at = sys::now() + LOOK_AGAIN;
        }
        let mut wants = vec![Want::read(interrupt.fd()), Want::read(program.client.fd())];
        wants.extend(program.drbdadm.fds().into_iter().map(Want::read));
        wants.extend(program.door.wants());
        let timers = [
            program.machine.deadline(),
            program.drbdadm.deadline(),
            program.door.deadline(),
            look_at,
        ];
        let deadline = timers.into_iter().min().unwrap_or(look_at);
        let ready = wait(&wants, deadline).map_err(|e| End::Os("poll".into(), e))?;
        if ready[0].read {
            program.client.signoff()?;
            return Ok(());
        }
    }
}

impl Program {
    /// Everything that can be done without waiting.
    fn turn(&mut self) -> Result<(), End> {
        loop {
            let mut taken = 0;
            while taken < NEWS_A_TURN {
                let Some(message) = self.client.event()? else { break };
                taken += 1;
                if message.kind() == request::ANSWER {
                    log::error!("heartbeat refused a message: {:?}", message.get("info").unwrap_or(""));
                }
                self.event(Event::News(message))?;
            }
            let now = sys::now();
            for event in self.drbdadm.turn(now) {
                self.event(event)?;
            }
            for event in self.door.turn(now) {
                self.event(event)?;
            }
            self.event(Event::Timer)?;
            if taken < NEWS_A_TURN {
                return Ok(());
            }
        }
    }

    fn look(&mut self) -> Result<(), End> {
        let known = self.client.nodes()?.into_iter();
        let nodes = known
            .filter_map(|n| Some((n.name.parse().ok()?, n.kind, n.status)))
            .collect();
        self.event(Event::Nodes(nodes))
    }

    fn event(&mut self, event: Event) -> Result<(), End> {
        let now = sys::now();
        for action in self.machine.handle(now, event) {
            match action {
                Action::Answer { client, outcome } => self.door.answer(now, client, outcome),
                Action::Send { node, message } => self.client.send_to_node(node.as_str(), &message)?,
                Action::Run {
                    job,
                    verb,
                    resource,
                    until,
                } => self.drbdadm.start(now, job, verb, &resource, until),
            }
        }
        Ok(())
    }
}
