//! What one heartbeat decides, as one pure machine: the message layer ([`crate::core`]), the resource manager
//! ([`crate::groups`]) and the programs connected to it ([`crate::clients`]), wired together.
//!
//! Pure. Everything that happens is an [`Event`]; everything to be done is an [`Action`]. The same machine runs in the
//! daemon (`run::core`), in unit tests and as one of several nodes in the simulator.

pub mod counted;
pub mod transitions;
pub mod view;

#[cfg(test)]
mod tests;

use crate::auth::Keyring;
use crate::clients::{Answer, Clients, Identity};
use crate::conf::{HaCf, Haresources};
use crate::core::{Core, NodeStatus, Up, ping};
use crate::groups::job::{Command, Outcome};
use crate::groups::{Groups, Order};
use crate::ids::{ClientId, Generation, JobId, MediumId, NodeName, ResourceName};
use crate::msg::{Message, fields};
use crate::time::{Instant, Now};
use std::sync::Arc;
use transitions::{Kind, Transition, Transitions};
use view::View;

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
pub struct Daemon {
    core: Core,
    groups: Groups,
    clients: Clients,
    transitions: Transitions,
    out: Vec<Action>,
}

impl Daemon {
    pub fn new(now: Now, settings: Settings) -> (Self, Vec<Action>) {
        let core = Core::new(now, &settings);
        let groups = Groups::new(
            now,
            settings.me,
            &settings.cf,
            settings.haresources,
            settings.resumed.as_deref(),
        );
        let mut daemon = Self {
            core,
            groups,
            clients: Clients::default(),
            transitions: Transitions::default(),
            out: Vec::new(),
        };
        daemon.settle(now);
        let actions = std::mem::take(&mut daemon.out);
        (daemon, actions)
    }

    /// [`Event::Received`] without a buffer of its own.
    pub fn receive(&mut self, now: Now, medium: MediumId, bytes: &[u8]) -> Vec<Action> {
        self.core.turn(now);
        self.core.receive(now, medium, bytes);
        self.settle(now);
        std::mem::take(&mut self.out)
    }

    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        self.core.turn(now);
        match event {
            Event::Received { medium, bytes } => self.core.receive(now, medium, &bytes),
            Event::MediumBroken { medium, why } => {
                if self.core.medium_broken(medium, why.clone()) {
                    self.note_medium(now, medium, true, format!("is broken: {why}"));
                }
            }
            Event::MediumMended { medium } => {
                if self.core.medium_mended(medium) {
                    self.note_medium(now, medium, false, "works again".to_owned());
                }
            }
            Event::Local { message } => {
                if let Some(message) = self.groups.local(now, message) {
                    self.core.send(now, message);
                }
            }
            Event::JobEnded { job, outcome } => self.groups.job_ended(now, job, &outcome),
            Event::Request { client, who, message } => self.request(now, client, who, &message),
            Event::ClientGone { client } => self.clients.gone(client),
            Event::Load { line } => self.core.set_load(line),
            Event::Reload { cf, haresources, keys } => {
                self.groups.reload(now, &cf, haresources);
                if self.core.reconfigure(now, *cf, keys) {
                    self.out.push(Action::MediaChanged);
                }
                let text = "the changed files are in force";
                self.transitions.add(Transition::good(now.wall, Kind::Reload, "", text));
            }
            Event::Stop => self.groups.stop(now),
            Event::Timer => self.core.timer(now),
        }
        self.settle(now);
        std::mem::take(&mut self.out)
    }

    /// Lets what happened below reach the rooms above, and what these order reach the media, until all is quiet.
    fn settle(&mut self, now: Now) {
        loop {
            while let Some(up) = self.core.next_up() {
                self.note(now, &up);
                self.groups.up(now, &up);
                self.publish(&up);
            }
            let core = &self.core;
            self.groups.settle(now, &|node| !core.has_gaps(node));
            for transition in self.groups.take_transitions() {
                self.transitions.add(transition);
            }
            let orders = self.groups.take_orders();
            if orders.is_empty() {
                break;
            }
            for order in orders {
                match order {
                    Order::Send(message) => self.core.send(now, message),
                    Order::Tell(message) => self.tell_clients(&message),
                    Order::Run { job, command } => self.out.push(Action::Run { job, command }),
                    Order::Remember { held } => self.out.push(Action::Remember { held }),
                    Order::Stopped => self.out.push(Action::Stopped),
                }
            }
        }
        self.out.extend(self.core.take_actions());
    }

    /// Keeps what an administrator asks for afterwards.
    fn note(&mut self, now: Now, up: &Up) {
        let good =
            |kind, subject: &dyn ToString, text: &str| Transition::good(now.wall, kind, subject.to_string(), text);
        let bad = |kind, subject: &dyn ToString, text: &str| Transition::bad(now.wall, kind, subject.to_string(), text);
        let transition = match up {
            Up::Message { .. } => return,
            // The one link of a ping node says what its status says.
            Up::Link { node, .. } if self.core.ping_info(node).is_some() => return,
            Up::Status { node, status } => match status {
                NodeStatus::Dead if self.core.ping_info(node).is_some() => bad(Kind::Node, node, "does not answer"),
                NodeStatus::Ping => good(Kind::Node, node, "answers"),
                NodeStatus::Dead => bad(Kind::Node, node, "is dead"),
                NodeStatus::Init | NodeStatus::Up => good(Kind::Node, node, "is starting"),
                NodeStatus::Active => good(Kind::Node, node, "is active"),
            },
            Up::Returned { node } => bad(
                Kind::Node,
                node,
                "is heard again: the network between us was dead, not the node",
            ),
            Up::Restarted { node } => good(Kind::Node, node, "was started again"),
            Up::Link { node, link, up } => {
                let subject = format!("{link} to {node}");
                match up {
                    true => good(Kind::Link, &subject, "is up"),
                    false => bad(Kind::Link, &subject, "is dead"),
                }
            }
            Up::Woke { asleep } => {
                let text = format!("did nothing for {} ms: suspended or starved", asleep.as_millis());
                bad(Kind::Node, self.core.me(), &text)
            }
        };
        self.transitions.add(transition);
    }

    fn note_medium(&mut self, now: Now, medium: MediumId, bad: bool, text: String) {
        let Some((kind, link, _)) = self.core.media().nth(medium.0) else {
            return;
        };
        let subject = format!("{kind} {link}");
        self.transitions.add(Transition {
            bad,
            ..Transition::good(now.wall, Kind::Medium, subject, text)
        });
    }

    /// What connected programs hear of an event of the message layer.
    fn publish(&mut self, up: &Up) {
        if self.clients.is_empty() {
            return;
        }
        let message = match up {
            Up::Message { message, .. } => Message::clone(message),
            Up::Status {
                node,
                status: NodeStatus::Dead,
            } => {
                let notice = Message::new("status")
                    .with(fields::SEQ, "1")
                    .with(fields::SRC, node.as_str())
                    .with(fields::STATUS, NodeStatus::Dead.as_str());
                match self.core.ping_info(node) {
                    Some(_) => notice.with(fields::INFO, ping::ALIVE),
                    None => notice,
                }
            }
            // What its echo brought.
            Up::Status {
                node,
                status: NodeStatus::Ping,
            } => Message::new(ping::NS_STATUS)
                .with(fields::STATUS, ping::ALIVE)
                .with(fields::INFO, self.core.ping_info(node).unwrap_or(ping::ALIVE))
                .with(fields::SRC, node.as_str()),
            Up::Link { node, link, up } => Message::new("ifstat")
                .with(fields::NODE, node.as_str())
                .with(fields::IFNAME, link.as_str())
                .with(fields::STATUS, if *up { "up" } else { "dead" }),
            Up::Status { .. } | Up::Returned { .. } | Up::Restarted { .. } | Up::Woke { .. } => return,
        };
        self.tell_clients(&message);
    }

    fn tell_clients(&mut self, message: &Message) {
        let answers = self.clients.publish(message);
        self.answer(answers);
    }

    fn request(&mut self, now: Now, client: ClientId, who: Identity, message: &Message) {
        let view = self.core.view(&self.groups, self.transitions.list(), now);
        let answers = self.clients.request(now, client, who, message, &view);
        self.answer(answers);
    }

    fn answer(&mut self, answers: Vec<Answer>) {
        self.out.extend(answers.into_iter().map(|a| match a {
            Answer::Reply { client, message } => Action::Reply { client, message },
            Answer::Drop { client } => Action::DropClient { client },
        }));
    }

    /// When [`Event::Timer`] is due next.
    pub fn deadline(&self) -> Instant {
        self.core.deadline().min(self.groups.deadline())
    }

    /// Is this node a full member, which may be given groups?
    pub fn is_active(&self) -> bool {
        self.core.status() == NodeStatus::Active
    }

    /// The state as it may be shown.
    pub fn view(&self, now: Now) -> View<'_> {
        self.core.view(&self.groups, self.transitions.list(), now)
    }
}
