//! ipfail as a program: the client API around [`crate::ipfail`].

use crate::clients::request::{self, field};
use crate::conf::AutoFailback;
use crate::groups::Set;
use crate::ipc::client::{Client, ClientError, Filter};
use crate::ipc::relay;
use crate::ipfail::{Action, Event, Ipfail, Settings};
use crate::msg::{Message, fields};
use crate::sys;
use crate::sys::interrupt::Told;
use crate::sys::poll::{Want, wait};
use crate::time::{Duration, parse_time};
use std::collections::BTreeMap;
use std::fmt;

/// The name it signs on with, on every node.
pub const NAME: &str = "ipfail";
/// The daemon answers in a millisecond; on a machine that swaps it may take longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The list of nodes is read again so often: a reload may have changed it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Words of heartbeat 3.0.6.
const NUM_PING_NODES: &str = "num_ping_nodes";
const NUM_PING: &str = "num_ping";
const YOU_ARE_DEAD: &str = "you_are_dead";
const ABORT_GIVEUP: &str = "abort_giveup";
const ASK_RESOURCES: &str = "ask_resources";
const CLIENT_STATUS: &str = "hbapi-clstat";
const PING: &str = "ping";
const DEAD: &str = "dead";

/// Why it ends.
#[derive(Debug)]
pub enum End {
    /// It has nothing to do on this node; heartbeat is not to start it again (exit code 100).
    Useless(String),
    Failed(ClientError),
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Useless(why) => f.write_str(why),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

struct Program {
    client: Client,
    machine: Ipfail,
    other: String,
    /// Ping nodes and what is known of them; `None` before they were judged.
    pings: BTreeMap<String, Option<bool>>,
}

/// Serves until a signal ends it (`Ok`) or something goes wrong.
pub fn run() -> Result<(), End> {
    let interrupt = Told::of_interruption().map_err(|e| ClientError::Os("signals".into(), e))?;
    let mut program = Program::begin(Client::sign_on(NAME, TIMEOUT)?)?;
    let mut look_at = sys::now() + LOOK_AGAIN;
    loop {
        while let Some(message) = program.client.event()? {
            program.message(&message)?;
        }
        let now = sys::now();
        if now >= program.machine.deadline() {
            program.event(Event::Timer)?;
        }
        if now >= look_at {
            program.look()?;
            look_at = now + LOOK_AGAIN;
        }
        relay::flush(&mut program.client)?;
        let wants = [Want::read(interrupt.fd()), Want::read(program.client.fd())];
        let ready = wait(&wants, program.machine.deadline().min(look_at))
            .map_err(|e| ClientError::Os("events of heartbeat".into(), e))?;
        if ready[0].read {
            program.client.signoff()?;
            return Ok(());
        }
    }
}

impl Program {
    fn begin(mut client: Client) -> Result<Self, End> {
        client.set_filter(Filter::NEWS)?;
        let failback = client.parameter("auto_failback")?;
        let goes_home = match failback.as_deref().and_then(AutoFailback::parse) {
            Some(AutoFailback::On) => true,
            Some(AutoFailback::Off) => false,
            Some(AutoFailback::Legacy) | None => {
                return Err(End::Useless(
                    "auto_failback is legacy in ha.cf: resources cannot be given up; write on or off".into(),
                ));
            }
        };
        let time = |word: Option<String>| word.and_then(|w| parse_time(&w).ok());
        let deadtime = Duration::from_millis(client.signon().hex(field::DEADTIME).unwrap_or(30_000));
        let settings = Settings {
            keepalive: Duration::from_millis(client.signon().hex(field::KEEPALIVE).unwrap_or(1000)),
            deadping: time(client.parameter("deadping")?).unwrap_or(deadtime),
            goes_home,
        };
        let mut program = Self {
            client,
            machine: Ipfail::new(settings),
            other: String::new(),
            pings: BTreeMap::new(),
        };
        let holds = program.client.resources()?;
        // In `transition` the end of the move tells the set.
        program.event(Event::Holds {
            set: Set::parse(&holds).unwrap_or(Set::NONE),
            moving: holds == "transition",
        })?;
        program.look()?;
        if program.pings.is_empty() {
            log::warn!("ha.cf has no ping nodes: there is nothing to compare; add lines `ping ADDRESS`");
        }
        // It answers if it is there.
        program.event(Event::Partner { online: true })?;
        Ok(program)
    }

    /// Reads the list of nodes: which is the other one, which ping nodes answer.
    fn look(&mut self) -> Result<(), End> {
        let mut others = Vec::new();
        let mut pings = BTreeMap::new();
        for node in self.client.nodes()? {
            match node.kind.as_str() {
                "normal" if node.name != self.client.node() => others.push(node.name),
                PING => {
                    pings.insert(node.name, judged(&node.status));
                }
                _ => {}
            }
        }
        let [other] = others.as_slice() else {
            return Err(End::Useless(format!(
                "ipfail is for clusters of two nodes; ha.cf has {}",
                others.len() + 1
            )));
        };
        self.other.clone_from(other);
        self.pings = pings;
        self.count()
    }

    /// Nothing is said before each of them was judged: a node that starts has not heard them yet.
    fn count(&mut self) -> Result<(), End> {
        let alive: Option<Vec<bool>> = self.pings.values().copied().collect();
        match alive {
            Some(alive) => self.event(Event::Pings(alive.into_iter().filter(|a| *a).count())),
            None => Ok(()),
        }
    }

    fn message(&mut self, message: &Message) -> Result<(), End> {
        let src = message.get(fields::SRC).unwrap_or("");
        let from_other = src == self.other;
        let status = message.get(fields::STATUS).unwrap_or("");
        match message.kind() {
            "status" | "NS_st" => {
                if let Some(known) = self.pings.get_mut(src) {
                    if let Some(alive) = judged(status) {
                        *known = Some(alive);
                    }
                    self.count()
                } else if from_other {
                    self.event(Event::Partner { online: status != DEAD })
                } else if src != self.client.node() {
                    self.look()
                } else {
                    Ok(())
                }
            }
            CLIENT_STATUS if from_other && message.get(fields::FROM_ID) == Some(NAME) => self.event(Event::Partner {
                online: status == "join",
            }),
            NUM_PING_NODES if from_other => match message.dec(NUM_PING) {
                Some(n) => self.event(Event::Told(usize::try_from(n).unwrap_or(usize::MAX - 1))),
                None => Ok(()),
            },
            YOU_ARE_DEAD if from_other => self.event(Event::Worse),
            ABORT_GIVEUP if from_other => self.event(Event::Equal),
            "resource" if src == self.client.node() => match message.get(fields::RSC_HOLD).and_then(Set::parse) {
                Some(set) => {
                    let moving = message.get(fields::ISSTABLE) == Some("0");
                    self.event(Event::Holds { set, moving })
                }
                None => Ok(()),
            },
            request::ANSWER => {
                log::error!(
                    "heartbeat refused a message: {}",
                    message.get(fields::INFO).unwrap_or("")
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn event(&mut self, event: Event) -> Result<(), End> {
        let actions = self.machine.handle(sys::now(), event);
        // The reason stands in the log before what it leads to.
        relay::flush(&mut self.client)?;
        for action in actions {
            let message = match action {
                Action::Tell(n) => Message::new(NUM_PING_NODES).with(NUM_PING, n.to_string()),
                Action::TellWorse => Message::new(YOU_ARE_DEAD),
                Action::TellEqual => Message::new(ABORT_GIVEUP),
                Action::GiveUp(set) => {
                    // For the daemons of both nodes.
                    let ask = Message::new(ASK_RESOURCES)
                        .with(fields::RSC_HOLD, set.as_str())
                        .with(fields::INFO, "me");
                    self.client.send_to_cluster(&ask)?;
                    continue;
                }
            };
            self.client.send_to_node(&self.other, &message)?;
        }
        Ok(())
    }
}

/// `None` while it is not known yet.
fn judged(status: &str) -> Option<bool> {
    match status {
        PING => Some(true),
        DEAD => Some(false),
        _ => None,
    }
}
