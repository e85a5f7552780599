//! What one heartbeat decides, as one pure machine: the message layer ([`crate::core`]), the resource manager
//! ([`crate::groups`]) and the programs connected to it ([`crate::clients`]), wired together.
//!
//! Pure. Everything that happens is an [`Event`]; everything to be done is an [`Action`]. The same machine runs in the
//! daemon (`run::core`), in unit tests and as one of several nodes in the simulator.

pub mod view;

use crate::auth::Keyring;
use crate::conf::{HaCf, Haresources};
use crate::groups::job::{Command, Outcome};
use crate::ids::{ClientId, Generation, JobId, MediumId, NodeName, ResourceName};
use crate::msg::Message;
use crate::time::{Instant, Now};
use std::sync::Arc;

/// Everything a daemon is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub me: NodeName,
    pub uuid: [u8; 16],
    pub generation: Generation,
    pub cf: HaCf,
    pub haresources: Haresources,
    pub keys: Keyring,
    /// For the random delays; the same seed gives the same trace.
    pub seed: u64,
    /// `Some` when this daemon carries on after another (`heartbeat -R`, or a core that died): the groups that were
    /// held then, to be looked at with `status` and adopted.
    pub resumed: Option<Vec<ResourceName>>,
}

/// Who a client is, as the kernel tells (owner of its FIFOs), never as its message says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
}

#[derive(Clone, Debug)]
pub enum Event {
    /// A datagram, or one message of a serial line, as it came.
    Received {
        medium: MediumId,
        bytes: Vec<u8>,
    },
    /// A medium cannot be opened, read or written.
    MediumBroken {
        medium: MediumId,
        why: String,
    },
    MediumMended {
        medium: MediumId,
    },
    /// From the command FIFO: scripts, hb_standby, hb_takeover.
    Local {
        message: Message,
    },
    JobEnded {
        job: JobId,
        outcome: Outcome,
    },
    /// A message of a connected program, the sign-on included.
    Request {
        client: ClientId,
        who: Identity,
        message: Message,
    },
    ClientGone {
        client: ClientId,
    },
    /// The line of /proc/loadavg, for the `ld` field.
    Load {
        line: String,
    },
    /// The files were read again and are good.
    Reload {
        cf: Box<HaCf>,
        haresources: Haresources,
        keys: Keyring,
    },
    /// SIGTERM: release everything, tell the peers, end.
    Stop,
    /// `Daemon::deadline()` has come; calling early or twice does nothing.
    Timer,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// One whole message on one medium.
    Send {
        medium: MediumId,
        bytes: Arc<[u8]>,
    },
    Run {
        job: JobId,
        command: Command,
    },
    /// To a connected program.
    Reply {
        client: ClientId,
        message: Message,
    },
    /// This program is to be disconnected (after its replies).
    DropClient {
        client: ClientId,
    },
    /// The groups held now (in file order), for whoever carries on after this process dies.
    Remember {
        held: Vec<ResourceName>,
    },
    /// After a reload: media may have come or gone; open and close to match the new ha.cf.
    MediaChanged,
    /// The orderly stop is complete; the process may end.
    Stopped,
}

/// The machine. `handle` consumes one event and says what the world must do.
#[derive(Debug)]
pub struct Daemon {}

impl Daemon {
    pub fn new(_now: Now, _settings: Settings) -> (Self, Vec<Action>) {
        unimplemented!()
    }

    pub fn handle(&mut self, _now: Now, _event: Event) -> Vec<Action> {
        unimplemented!()
    }

    /// When [`Event::Timer`] is due next.
    pub fn deadline(&self) -> Instant {
        unimplemented!()
    }
}
