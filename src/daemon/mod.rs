//! What one heartbeat decides, as one pure machine: the message layer ([`crate::core`]), the resource manager
//! ([`crate::groups`]) and the programs connected to it ([`crate::clients`]), wired together.
//!
//! * [`view`]: the state as it may be shown; [`counted`]: what is counted; [`transitions`]: what happened last;
//! * `notices`: what goes to the scripts of rc.d.
//!
//! Pure. Everything that happens is an [`Event`]; everything to be done is an [`Action`]. The same machine runs in the
//! daemon (`run::core`), in unit tests and as one of several nodes in the simulator.

pub mod counted;
mod notices;
pub mod transitions;
pub mod view;

#[cfg(test)]
mod tests;

use crate::auth::Keyring;
use crate::clients::order::Order as ClientOrder;
use crate::clients::request::{self, field};
use crate::clients::{Answer, Class, Clients, Identity};
use crate::conf::hostcache::Remembered;
use crate::conf::{HaCf, Haresources};
use crate::core::{Core, NodeStatus, Table, Up, Worth, ping};
use crate::groups::fencing::FenceCommand;
use crate::groups::job::{Command, Outcome};
use crate::groups::lease::Found;
use crate::groups::lookout::{Ask, Sighting};
use crate::groups::{Groups, Order};
use crate::ids::{ClientId, Generation, JobId, MediumId, NodeName, ResourceName};
use crate::msg::{Message, Value, fields};
use crate::time::{Duration, Instant, Now};
use notices::Notices;
use std::collections::BTreeSet;
use std::sync::Arc;
use transitions::{Kind, Transition, Transitions};
use view::{ClientReport, View};

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
    /// hostcache, delhostcache and hb_peers.
    pub remembered: Remembered,
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
    /// What became of an [`Action::Renew`]. An event for a number answers those before it too.
    Renewed {
        number: u64,
        found: Vec<(String, Found)>,
    },
    /// What the lookout has seen.
    Sighted {
        sighting: Sighting,
    },
    /// A message of a connected program, the sign-on included.
    Request {
        client: ClientId,
        who: Identity,
        message: Message,
    },
    /// `why` in the words of the API: `EOF`, `badclient`, …
    ClientGone {
        client: ClientId,
        why: &'static str,
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
    /// How the programs of `respawn` lines are.
    Programs {
        clients: Vec<ClientReport>,
    },
    /// The types of message that rc.d has a script for.
    Scripts {
        types: Vec<String>,
    },
    /// SIGTERM: release everything, tell the peers, end.
    Stop,
    /// All that waited in the sockets when this node woke up was read, see [`Daemon::must_catch_up`].
    CaughtUp,
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
    /// Something for a STONITH device; its end is a [`Event::JobEnded`].
    Fence {
        job: JobId,
        command: FenceCommand,
    },
    /// To a connected program.
    Reply {
        client: ClientId,
        message: Message,
    },
    /// Whatever is written to this program is to be followed by this signal; 0 for none.
    Signal {
        client: ClientId,
        pid: u32,
        signal: u8,
    },
    /// This program is to be disconnected (after its replies).
    DropClient {
        client: ClientId,
    },
    /// The groups held now (in file order), for whoever carries on after this process dies.
    Remember {
        held: Vec<ResourceName>,
    },
    /// These addresses get another lease; the answer is an [`Event::Renewed`].
    Renew {
        number: u64,
        addresses: Vec<String>,
    },
    /// For the lookout.
    Lookout {
        ask: Ask,
    },
    /// These addresses go from this machine at once; their groups stay as they are.
    Drop {
        addresses: Vec<String>,
    },
    /// What should be on disk about the nodes now.
    RememberNodes {
        table: Table,
    },
    /// After a reload: media may have come or gone; open and close to match the new ha.cf.
    MediaChanged,
    /// A message or a change that rc.d has a script for.
    Notice {
        message: Message,
    },
    /// The orderly stop is complete; the process may end.
    Stopped,
}

/// The machine. `handle` consumes one event and says what the world must do.
#[derive(Debug)]
pub struct Daemon {
    core: Core,
    groups: Groups,
    clients: Clients,
    /// Joins and leaves that wait for what was lost before them.
    order: ClientOrder,
    /// Nodes whose new status the clients have not heard of.
    changed: BTreeSet<NodeName>,
    transitions: Transitions,
    programs: Vec<ClientReport>,
    notices: Notices,
    /// Of the beats, the leases have heard of so many.
    beats: u64,
    /// See [`Daemon::news`].
    news: u64,
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
        let mut core = core;
        core.set_pinned(groups.preferred_nodes());
        let mut daemon = Self {
            core,
            groups,
            clients: Clients::default(),
            order: ClientOrder::default(),
            changed: BTreeSet::new(),
            transitions: Transitions::default(),
            programs: Vec::new(),
            notices: Notices::default(),
            beats: 0,
            news: 1,
            out: Vec::new(),
        };
        daemon.settle(now);
        let actions = std::mem::take(&mut daemon.out);
        (daemon, actions)
    }

    /// To be told at once of a daemon that takes the place of another one: that one had not beaten for so long.
    pub fn was_silent(&mut self, now: Now, silent: Duration) -> Vec<Action> {
        if self.groups.was_silent(now, silent) {
            self.settle(now);
        }
        std::mem::take(&mut self.out)
    }

    /// See [`Groups::doubt_calm`].
    pub fn doubt_calm(&mut self) {
        self.groups.doubt_calm();
    }

    pub fn calm_mistakes(&self) -> u64 {
        self.groups.calm_mistakes()
    }

    /// [`Event::Received`] without a buffer of its own.
    pub fn receive(&mut self, now: Now, medium: MediumId, bytes: &[u8]) -> Vec<Action> {
        self.receive_at(now, now.mono, medium, bytes)
    }

    /// The same for a packet that came at `at` and is read now.
    pub fn receive_at(&mut self, now: Now, at: Instant, medium: MediumId, bytes: &[u8]) -> Vec<Action> {
        self.turn(now);
        self.core.receive_at(now, at, medium, bytes);
        self.settle(now);
        std::mem::take(&mut self.out)
    }

    /// Of the packet that was received last.
    pub fn worth(&self) -> Worth {
        self.core.worth()
    }

    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        self.turn(now);
        if is_news(&event) {
            self.news += 1;
        }
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
            Event::Local { message } if crate::core::NODE_COMMANDS.contains(&message.kind()) => {
                self.node_command(now, &message);
            }
            Event::Local { message } => {
                if let Some(message) = self.groups.local(now, message) {
                    self.core.send(now, message);
                }
            }
            Event::JobEnded { job, outcome } => self.groups.job_ended(now, job, &outcome),
            Event::Renewed { number, found } => self.groups.renewed(now, number, found),
            Event::Sighted { sighting } => self.groups.sighted(now, sighting),
            Event::Request { client, who, message } => self.request(now, client, who, &message),
            Event::ClientGone { client, why } => {
                let left = self.clients.gone(client, why);
                self.answer(now, left);
            }
            Event::Load { line } => self.core.set_load(line),
            Event::Reload { cf, haresources, keys } => {
                self.groups.reload(now, &cf, haresources);
                if self.core.reconfigure(now, *cf, keys) {
                    self.out.push(Action::MediaChanged);
                }
                let text = "the changed files are in force";
                self.transitions.add(Transition::good(now.wall, Kind::Reload, "", text));
                self.core.set_pinned(self.groups.preferred_nodes());
            }
            Event::Programs { clients } => self.programs = clients,
            Event::Scripts { types } => self.notices.listen_to(types),
            Event::Stop => self.groups.stop(now),
            Event::CaughtUp => self.groups.caught_up(now),
            Event::Timer => {
                self.core.timer(now);
                self.groups.look_at_leases(now);
            }
        }
        self.settle(now);
        std::mem::take(&mut self.out)
    }

    /// A pause of ours is known to all before the first thing is looked at that waited for its end.
    fn turn(&mut self, now: Now) {
        self.core.turn(now);
        self.lift(now);
    }

    /// To be called when a wait is over, before anything is read: what there is to do at once after a pause.
    pub fn look_at_clock(&mut self, now: Now) -> Vec<Action> {
        self.turn(now);
        if self.must_catch_up() {
            self.settle(now);
        }
        std::mem::take(&mut self.out)
    }

    /// True after a pause, until everything was read that waited in the sockets: [`Event::CaughtUp`] says so.
    pub fn must_catch_up(&self) -> bool {
        self.groups.must_catch_up()
    }

    /// What happened below reaches the rooms above.
    fn lift(&mut self, now: Now) {
        while let Some(up) = self.core.next_up() {
            self.news += u64::from(!is_a_beat(&up));
            self.note(now, &up);
            self.groups.up(now, &up);
            if let Some(message) = self.notices.of(&up, &self.core) {
                self.out.push(Action::Notice { message });
            }
            self.publish(now, up);
        }
    }

    /// Lets what happened below reach the rooms above, and what these order reach the media, until all is quiet.
    fn settle(&mut self, now: Now) {
        if self.core.beats() != self.beats {
            self.beats = self.core.beats();
            self.groups.beat(now);
        }
        loop {
            self.lift(now);
            self.publish_late(now);
            let core = &self.core;
            self.groups.set_isolated(core.is_isolated(now.mono));
            self.groups.settle(now, &|node| !core.has_gaps(node));
            for transition in self.groups.take_transitions() {
                self.transitions.add(transition);
            }
            let orders = self.groups.take_orders();
            if orders.is_empty() {
                break;
            }
            // A renewal goes with every beat.
            let usual = |o: &Order| matches!(o, Order::Renew { .. } | Order::SendAside(_));
            self.news += u64::from(!orders.iter().all(usual));
            for order in orders {
                match order {
                    Order::Send(message) => self.core.send(now, message),
                    Order::SendAside(message) => self.core.send_aside(now, message),
                    Order::Lookout(ask) => self.out.push(Action::Lookout { ask }),
                    Order::Tell(message) => self.tell_clients(now, &message),
                    Order::Run { job, command } => self.out.push(Action::Run { job, command }),
                    Order::Fence { job, command } => self.out.push(Action::Fence { job, command }),
                    Order::Remember { held } => self.out.push(Action::Remember { held }),
                    Order::Renew { number, addresses } => self.out.push(Action::Renew { number, addresses }),
                    Order::Drop { addresses } => self.out.push(Action::Drop { addresses }),
                    Order::Stopped => {
                        // The last word about the peers: recorded packets are old for the next life.
                        let table = self.core.table();
                        self.out.push(Action::RememberNodes { table });
                        self.out.push(Action::Stopped);
                    }
                }
            }
        }
        self.out.extend(self.core.take_actions());
        if let Some(table) = self.core.take_table(now.mono) {
            self.out.push(Action::RememberNodes { table });
        }
    }

    /// hb_addnode and its like: what became of it is told to the command that waits for it, and to the log.
    fn node_command(&mut self, now: Now, message: &Message) {
        let (phase, info) = match self.core.node_command(now, message) {
            Ok(done) => {
                log::info!("{}: {done}", message.kind());
                ("done", done)
            }
            Err(why) => {
                log::warn!("{}: refused: {why}", message.kind());
                ("refused", why)
            }
        };
        if let Some(id) = message.get(field::REQID) {
            let event = Message::new("hb_phase")
                .with(field::REQID, id)
                .with(field::PHASE, phase)
                .with(fields::INFO, info);
            self.tell_clients(now, &event);
        }
    }

    /// Keeps what an administrator asks for afterwards.
    fn note(&mut self, now: Now, up: &Up) {
        let good =
            |kind, subject: &dyn ToString, text: &str| Transition::good(now.wall, kind, subject.to_string(), text);
        let bad = |kind, subject: &dyn ToString, text: &str| Transition::bad(now.wall, kind, subject.to_string(), text);
        let transition = match up {
            Up::Message { .. } | Up::Aside { .. } => return,
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
            Up::Joined { node } => good(Kind::Node, node, "is a node of the cluster from now on"),
            Up::Left { node } => good(Kind::Node, node, "was removed from the cluster"),
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
    fn publish(&mut self, now: Now, up: Up) {
        let up = match up {
            Up::Message { from, message, .. } if message.kind() == request::QUERY_CSTATUS => {
                // A flood of questions must not use up our numbers: who asked waits in vain, and asks again.
                if from != *self.core.me()
                    && self.core.room_for_clients(now) > 0
                    && let Some(answer) = self.clients.answer_query(&message)
                {
                    self.core.send(now, answer);
                }
                return;
            }
            up if self.clients.is_empty() => {
                drop(up);
                self.changed.clear();
                return;
            }
            up => up,
        };
        match up {
            Up::Message { from, message, .. } if from == *self.core.me() && !self.is_for_me(&message) => {}
            Up::Message {
                from,
                generation,
                seq,
                message,
            } => match message.kind() {
                request::CLSTAT => self.order.hold(from, generation, seq, message),
                "status" => {
                    let news = self.changed.remove(&from);
                    let answers = match news {
                        true => self.clients.publish(&message),
                        false => self.clients.publish_as(Class::NoChange, &message),
                    };
                    self.answer(now, answers);
                }
                _ => self.tell_clients(now, &message),
            },
            Up::Status {
                node,
                status: NodeStatus::Dead,
            } => self.tell_status(now, &node, NodeStatus::Dead.as_str()),
            Up::Status { node, .. } => drop(self.changed.insert(node)),
            Up::Link { node, link, up } => {
                let message = Message::new("ifstat")
                    .with(fields::NODE, node.as_str())
                    .with(fields::IFNAME, link.as_str())
                    .with(fields::STATUS, if up { "up" } else { "dead" });
                self.tell_clients(now, &message);
            }
            Up::Left { node } => {
                let message = Message::new("delnode").with(fields::NODE, node.as_str());
                self.tell_clients(now, &message);
            }
            Up::Joined { .. } | Up::Returned { .. } | Up::Restarted { .. } | Up::Woke { .. } | Up::Aside { .. } => {}
        }
    }

    /// What had to wait for others: joins and leaves, and changes that no message of the node told.
    fn publish_late(&mut self, now: Now) {
        if !self.order.is_empty() {
            let core = &self.core;
            let ready = self
                .order
                .release(|node, generation, seq| core.misses_before(node, generation, seq));
            for message in ready {
                self.tell_clients(now, &message);
            }
        }
        while let Some(node) = self.changed.pop_first() {
            if let Some(status) = self.core.nodes().iter().find(|n| n.name == node).map(|n| n.status) {
                self.tell_status(now, &node, status.as_str());
            }
        }
    }

    fn tell_status(&mut self, now: Now, node: &NodeName, status: &str) {
        let message = match self.core.ping_info(node) {
            // What its echo brought.
            Some(info) if status == NodeStatus::Ping.as_str() => Message::new(ping::NS_STATUS)
                .with(fields::STATUS, ping::ALIVE)
                .with(fields::INFO, info)
                .with(fields::SRC, node.as_str())
                .with(fields::TS, Value::hex(now.wall.0)),
            ping_info => {
                let notice = Message::new("status")
                    .with(fields::SEQ, "1")
                    .with(fields::TS, Value::hex(now.wall.0))
                    .with(fields::SRC, node.as_str())
                    .with(fields::STATUS, status);
                match ping_info {
                    Some(_) => notice.with(fields::INFO, ping::ALIVE),
                    None => notice,
                }
            }
        };
        self.tell_clients(now, &message);
    }

    fn is_for_me(&self, message: &Message) -> bool {
        message
            .get(fields::DEST)
            .is_none_or(|dest| dest.eq_ignore_ascii_case(self.core.me().as_str()))
    }

    fn tell_clients(&mut self, now: Now, message: &Message) {
        let answers = self.clients.publish(message);
        self.answer(now, answers);
    }

    fn request(&mut self, now: Now, client: ClientId, who: Identity, message: &Message) {
        let room = self.core.room_for_clients(now);
        let seen = self.clients.publish_as(Class::Request, message);
        let view = self
            .core
            .view(&self.groups, &self.programs, self.transitions.list(), now);
        let answers = self.clients.request(now, client, who, message, &view, room);
        self.answer(now, seen);
        self.answer(now, answers);
    }

    fn answer(&mut self, now: Now, answers: impl IntoIterator<Item = Answer>) {
        for answer in answers {
            match answer {
                Answer::Reply { client, message } => self.out.push(Action::Reply { client, message }),
                Answer::Drop { client } => self.out.push(Action::DropClient { client }),
                Answer::Signal { client, pid, signal } => self.out.push(Action::Signal { client, pid, signal }),
                Answer::Order { message } => drop(self.groups.local(now, message)),
                Answer::Send { client, message } => {
                    let kind = message.kind().to_owned();
                    if let (Err(why), Some(client)) = (self.core.send_for_client(now, message), client) {
                        log::warn!("a message \"{}\" of a client is refused: {why}", kind.escape_debug());
                        let message = request::refusal(request::MESSAGE, &why).with(field::MSGTYPE, kind);
                        self.out.push(Action::Reply { client, message });
                    }
                }
            }
        }
    }

    /// How many messages of named clients may be handed in now; 0 while a peer is behind with its acknowledgements.
    pub fn room_for_clients(&mut self, now: Now) -> usize {
        self.core.room_for_clients(now)
    }

    /// When [`Event::Timer`] is due next.
    pub fn deadline(&self) -> Instant {
        self.core.deadline().min(self.groups.deadline())
    }

    /// What should be on disk about the nodes now.
    pub fn table(&self) -> Table {
        self.core.table()
    }

    /// Is this node a full member, which may be given groups?
    pub fn is_active(&self) -> bool {
        self.core.status() == NodeStatus::Active
    }

    /// The state as it may be shown.
    pub fn view(&self, now: Now) -> View<'_> {
        self.core
            .view(&self.groups, &self.programs, self.transitions.list(), now)
    }

    /// Counts what may have changed the state that is shown, beats left out: while it stays, nobody need look.
    pub fn news(&self) -> u64 {
        self.news
    }

    /// How many beats this node has sent: what a watchdog is fed by.
    pub fn beats(&self) -> u64 {
        self.core.beats()
    }
}

/// May the state that is shown be another one after it? Packets tell in `lift`, what a timer does in orders.
fn is_news(event: &Event) -> bool {
    match event {
        Event::Received { .. } | Event::Load { .. } | Event::Timer | Event::CaughtUp => false,
        Event::Request { .. } | Event::ClientGone { .. } => false,
        Event::Renewed { found, .. } => found.iter().any(|(_, found)| *found != Found::Renewed),
        Event::Sighted { sighting } => !matches!(sighting, Sighting::Connections { .. }),
        Event::MediumBroken { .. }
        | Event::MediumMended { .. }
        | Event::Local { .. }
        | Event::JobEnded { .. }
        | Event::Reload { .. }
        | Event::Programs { .. }
        | Event::Scripts { .. }
        | Event::Stop => true,
    }
}

/// A beat that says nothing new, or what is not shown.
fn is_a_beat(up: &Up) -> bool {
    match up {
        Up::Message { message, .. } => message.kind() == "status",
        Up::Aside { .. } => true,
        Up::Status { .. }
        | Up::Returned { .. }
        | Up::Restarted { .. }
        | Up::Link { .. }
        | Up::Joined { .. }
        | Up::Left { .. }
        | Up::Woke { .. } => false,
    }
}
