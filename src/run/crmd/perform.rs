//! What follows from what happened: actions of the agreement, commands of the transition, results of lrmd, words of
//! other crmds.

use super::dc::Dc;
use super::fence::{Fence, fenced};
use super::here::Out;
use super::watch::{Change, Watch};
use super::words::{self, Order, Reply};
use super::{ESCALATION, NOBODY, Program, Stop};
use crate::agree::{Action, Committed, Event, Refused, View};
use crate::cib::edit::Origin;
use crate::cib::{Edit, Element, words as cib_words};
use crate::conf::hostcache::uuid_text;
use crate::crm::protocol::{Answer, Attribute};
use crate::crm::tool::date;
use crate::ids::{ClientId, NodeName};
use crate::ipc::client::ClientError;
use crate::msg::Message;
use crate::policy::nodes::HAD_QUORUM;
use crate::policy::unpack;
use crate::sys;
use crate::sys::files;
use crate::sys::interrupt::Told;

use crate::time::Duration;
use crate::transition::Command;
use crate::transition::history::{self, Node};
use crate::transition::operation::{Operation, RUN};
use std::borrow::Cow;

/// Why something was submitted: who waits for the answer.
#[derive(Debug)]
pub(super) enum Why {
    Nobody,
    /// The history of this node: it must not be lost.
    History(Vec<Edit>),
    /// An action of a transition.
    Action {
        number: u64,
        id: usize,
    },
    /// Another crmd, or this one, has ordered it.
    Order {
        to: NodeName,
        reply: Reply,
    },
    /// A tool.
    Tool {
        client: ClientId,
        word: &'static str,
        /// The answer, when it is not the version.
        text: Option<String>,
    },
    /// A node that was fenced.
    Fenced {
        number: u64,
        id: usize,
    },
}

/// What another crmd, or lrmd, was asked for a tool.
#[derive(Debug)]
pub(super) enum Asked {
    /// So many answers are still to come; then this is the tool's.
    Several {
        client: ClientId,
        word: &'static str,
        left: usize,
        text: String,
    },
    Idle {
        client: ClientId,
        word: &'static str,
    },
    Meta {
        client: ClientId,
        word: &'static str,
        id: u64,
    },
}

const PROPERTIES: &str = "cib-bootstrap-options";
/// As the classic calls it.
const INFRASTRUCTURE: &str = "Heartbeat";
/// Of a change made without quorum.
const MAY_BE_LOST: &str = "it is lost when a partition with quorum has gone on meanwhile";

type Done = Result<(), ClientError>;

impl Program {
    pub(super) fn feed(&mut self, event: Event) -> Done {
        let actions = self.agree.handle(sys::now(), event);
        for action in actions {
            self.perform(action)?;
        }
        Ok(())
    }

    /// What cannot be sent is lost: heartbeat is away, and [`Program::reconnect`] follows.
    pub(super) fn send(&mut self, to: Option<&str>, message: &Message) {
        if self.broken.is_some() {
            return;
        }
        let sent = self.heartbeat().and_then(|client| match to {
            None => client.send_to_cluster(message),
            Some(node) => client.send_to_node(node, message),
        });
        self.broken = sent.err();
    }

    fn perform(&mut self, action: Action) -> Done {
        match action {
            Action::Send { to, message } => {
                self.send(to.as_ref().map(NodeName::as_str), &message);
                Ok(())
            }
            Action::Store { token, cib, mark } => {
                self.disk.store(token, cib, mark);
                Ok(())
            }
            Action::KeepAside { name, cib } => {
                self.disk.keep(name, cib);
                Ok(())
            }
            Action::Answer { id, result } => self.answered(id, result),
            Action::View(view) => self.view(&view),
            Action::Active { start_from } => {
                self.start_from = start_from;
                self.active()
            }
            Action::CibChanged { configuration } => self.cib_changed(configuration),
            Action::Log { level, text } => {
                log::log!(level, "{text}");
                Ok(())
            }
            Action::Left => {
                self.stop = Stop::Left;
                Ok(())
            }
        }
    }

    pub(super) fn origin(&self, client: &str, user: &str) -> Origin {
        Origin {
            node: self.me.to_string(),
            client: client.to_owned(),
            user: user.to_owned(),
        }
    }

    pub(super) fn submit(&mut self, edits: Vec<Edit>, why: Why) -> Done {
        let origin = self.origin(super::NAME, "hacluster");
        self.submit_as(edits, origin, why)
    }

    pub(super) fn submit_as(&mut self, edits: Vec<Edit>, origin: Origin, why: Why) -> Done {
        let id = self.number();
        self.submitted.insert(id, why);
        let written = date(sys::wall());
        self.feed(Event::Submit {
            id,
            edits,
            origin,
            written,
        })
    }

    fn answered(&mut self, id: u64, result: Result<Committed, Refused>) -> Done {
        let Some(why) = self.submitted.remove(&id) else {
            return Ok(());
        };
        let good = result.is_ok();
        match why {
            Why::Nobody => {
                if let Err(refused) = result {
                    log::warn!("a change of the status was refused: {refused}");
                }
            }
            Why::History(edits) => {
                if let Err(refused) = result {
                    log::error!("the history of this node was not written ({refused}); trying again");
                    self.again.push_back(edits);
                }
            }
            Why::Action { number, id } => return self.action_over(number, id, good),
            Why::Order { to, reply } => return self.reply(&to, Reply { good, ..reply }),
            Why::Tool { client, word, text } => {
                let answer = match (result, text) {
                    (Ok(_), Some(text)) => Answer::Done(text),
                    (Ok(Committed { version, quorum }), None) => {
                        let warning = (!quorum).then(|| {
                            log::warn!("a change was made WITHOUT quorum: {MAY_BE_LOST}");
                            format!("a change was made WITHOUT quorum: {MAY_BE_LOST}")
                        });
                        Answer::Applied { version, warning }
                    }
                    (Err(refused), _) => Answer::Refused {
                        code: refused.code,
                        text: refused.text,
                    },
                };
                self.door.answer(client, word, &answer);
            }
            Why::Fenced { number, id } => return self.action_over(number, id, good),
        }
        Ok(())
    }

    fn view(&mut self, view: &View) -> Done {
        let now = sys::now();
        self.had_quorum |= self.agree.has_quorum();
        self.here.drop_held();
        if !self.agree.is_dc() && self.dc.take().is_some() {
            log::info!("node {}: is not the DC any more", self.me);
            self.fences.clear();
            self.waiting.clear();
        }
        let mut commands = Vec::new();
        if let Some(dc) = &mut self.dc {
            for lost in &view.lost {
                commands.extend(dc.node_lost(now, lost.node.as_str()));
            }
            commands.extend(dc.changed(now, "the partition has changed"));
        }
        self.door.changed(self.agree.cib().version());
        self.commands(commands)
    }

    /// Orders to other nodes may not have arrived: they are given anew.
    pub(super) fn orders_lost(&mut self) -> Done {
        let (now, me) = (sys::now(), self.me.clone());
        let others = self.agree.members().into_iter().filter(|n| *n != me);
        for node in others.collect::<Vec<_>>() {
            let Some(dc) = &mut self.dc else { return Ok(()) };
            let commands = dc.node_lost(now, node.as_str());
            self.commands(commands)?;
        }
        Ok(())
    }

    fn active(&mut self) -> Done {
        let now = sys::now();
        if self.agree.is_dc() {
            match &mut self.dc {
                Some(dc) => {
                    let commands = dc.changed(now, "the partition has changed");
                    self.commands(commands)?;
                }
                None => {
                    log::info!("node {}: is the DC", self.me);
                    self.dc = Some(Dc::new(now, new_run()));
                    self.watch = Watch::default();
                    self.watch.look(self.agree.cib());
                    self.properties()?;
                }
            }
        }
        for edits in std::mem::take(&mut self.again) {
            self.submit(edits.clone(), Why::History(edits))?;
        }
        if let Stop::Asked { .. } = self.stop {
            self.ask_to_go()?;
        }
        // Whoever was asked before may be DC no more.
        let idle: Vec<u64> = self
            .asked
            .iter()
            .filter(|(_, a)| matches!(a, Asked::Idle { .. }))
            .map(|(i, _)| *i)
            .collect();
        for id in idle {
            self.ask_idle(id)?;
        }
        Ok(())
    }

    /// What the cluster says of itself, in the configuration.
    fn properties(&mut self) -> Done {
        let wanted = [
            ("dc-version", env!("CARGO_PKG_VERSION")),
            ("cluster-infrastructure", INFRASTRUCTURE),
        ];
        let cib = self.agree.cib();
        let missing = wanted.iter().filter(|(n, v)| cib.property(n) != Some(*v));
        let pair = |(name, value): &(&str, &str)| {
            let id = format!("{PROPERTIES}-{name}");
            Element::new("nvpair")
                .with("id", id)
                .with("name", name)
                .with("value", value)
        };
        let pairs: Vec<Element> = missing.map(pair).collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let mut set = Element::new("cluster_property_set").with("id", PROPERTIES);
        set.children = pairs;
        let edit = Edit::Modify {
            section: "crm_config".to_owned(),
            xml: set,
            or_create: true,
        };
        self.submit(vec![edit], Why::Nobody)
    }

    fn cib_changed(&mut self, configuration: bool) -> Done {
        let now = sys::now();
        self.door.changed(self.agree.cib().version());
        let Some(dc) = &mut self.dc else { return Ok(()) };
        let mut commands = Vec::new();
        if configuration {
            commands.extend(dc.configured(now));
        }
        for change in self.watch.look(self.agree.cib()) {
            commands.extend(match change {
                Change::Line { node, line } => dc.line(now, &node, &line),
                Change::Node { node, what } => dc.changed(now, &format!("{what} of node {node} has changed")),
                // What goes away is what a transition takes away, or what is looked at after it.
                Change::Gone => dc.gone(now),
            });
        }
        self.commands(commands)
    }

    /// The DC's turn.
    pub(super) fn plan(&mut self) -> Done {
        let now = sys::now();
        if !self.may_plan() || now < self.start_from {
            return Ok(());
        }
        let Some(dc) = &mut self.dc else { return Ok(()) };
        if now < dc.deadline() {
            return self.tell_idle();
        }
        let mut cib = Cow::Borrowed(self.agree.cib());
        let suicide = cib.property("no-quorum-policy") == Some("suicide");
        if suicide && self.had_quorum && !self.agree.has_quorum() {
            cib.to_mut().set(HAD_QUORUM, "1");
        }
        let turn = dc.turn(now, sys::wall(), &cib);
        let text = turn.planned.then(|| cib.root().to_indented());
        self.commands(turn.commands)?;
        if let Some(text) = text {
            let most = self.agree.cib().property("pe-input-series-max");
            self.disk.input(text, most.and_then(|m| m.trim().parse().ok()));
        }
        self.tell_idle()
    }

    /// Tells those who wait that nothing is going on.
    fn tell_idle(&mut self) -> Done {
        if self.waiting.is_empty() || !self.dc.as_ref().is_some_and(Dc::is_idle) || !self.submitted.is_empty() {
            return Ok(());
        }
        for (to, id) in std::mem::take(&mut self.waiting) {
            let message = Message::new(words::IDLED).with("id", id.to_string());
            self.tell(&to, message)?;
        }
        Ok(())
    }

    pub(super) fn ask_idle(&mut self, id: u64) -> Done {
        let Some(dc) = self.agree.dc().cloned() else {
            return Ok(());
        };
        self.tell(&dc, Message::new(words::IDLE).with("id", id.to_string()))
    }

    fn commands(&mut self, commands: Vec<Command>) -> Done {
        let number = self.dc.as_ref().map_or(0, Dc::number);
        for command in commands {
            match command {
                Command::Run { operation, .. } | Command::Notify { operation, .. } => self.order(operation)?,
                Command::Cancel {
                    id,
                    node,
                    rsc,
                    interval,
                } => self.send_order(&node, &Order::Cancel { rsc, interval }, number, id as u64)?,
                Command::Forget { id, node, rsc } => {
                    let failures = true;
                    self.send_order(&node, &Order::Forget { rsc, failures }, number, id as u64)?;
                }
                Command::Fence { id, node, action } => self.fence(number, id, &node, &action)?,
                Command::Release { node } => {
                    if let Ok(node) = node.parse() {
                        self.tell(&node, Message::new(words::RELEASE))?;
                    }
                }
                Command::Edit { id, edits } => self.submit(edits, Why::Action { number, id })?,
                Command::Lost(operation) => self.late(&operation)?,
                Command::Over(_) => {}
            }
        }
        Ok(())
    }

    /// It is there, but has not said how this ended.
    fn late(&mut self, operation: &Operation) -> Done {
        log::error!(
            "{} {} on node {}: its end was not heard of in time",
            operation.rsc,
            operation.name,
            operation.node
        );
        let Some(id) = self.id_of(&operation.node) else {
            return Ok(());
        };
        let node = Node {
            id: &id,
            uname: &operation.node,
        };
        let edits = history::over(self.agree.cib(), node, &operation.lost(sys::wall()));
        self.submit(edits, Why::Nobody)
    }

    /// The id of a node in the status, or else in the configuration.
    pub(super) fn id_of(&self, uname: &str) -> Option<String> {
        let cib = self.agree.cib();
        let named = |e: &&Element| e.get("uname").is_some_and(|u| u.eq_ignore_ascii_case(uname));
        let of_status = cib.status().children_named("node_state").find(named);
        let configured = || cib.section("nodes")?.children_named("node").find(named);
        of_status.or_else(configured).map(|e| e.id().to_owned())
    }

    pub(super) fn tell(&mut self, to: &NodeName, message: Message) -> Done {
        if *to == self.me {
            return self.word(&to.clone(), &message);
        }
        self.send(Some(to.as_str()), &message);
        Ok(())
    }

    fn order(&mut self, operation: Operation) -> Done {
        if operation.node == self.me.as_str() {
            return self.run_here(operation);
        }
        self.send(Some(&operation.node), &operation.to_message());
        Ok(())
    }

    fn run_here(&mut self, operation: Operation) -> Done {
        for out in self.here.run(sys::wall(), self.agree.cib(), operation) {
            self.out(out)?;
        }
        Ok(())
    }

    pub(super) fn send_order(&mut self, node: &str, order: &Order, number: u64, id: u64) -> Done {
        match node.parse() {
            Ok(node) => self.tell(&node, order.to_message(number, id)),
            Err(_) => Ok(()),
        }
    }

    fn reply(&mut self, to: &NodeName, reply: Reply) -> Done {
        self.tell(to, reply.to_message())
    }

    fn action_over(&mut self, number: u64, id: usize, good: bool) -> Done {
        let Some(dc) = &mut self.dc else { return Ok(()) };
        let commands = dc.answered(sys::now(), number, id, good);
        self.commands(commands)
    }

    /// A word of another crmd, or of this one to itself.
    pub(super) fn word(&mut self, from: &NodeName, message: &Message) -> Done {
        let ours = self.agree.members().contains(from);
        if !ours {
            // It is of another partition: who gives orders there gives none here.
            return Ok(());
        }
        let of_dc = self.agree.dc() == Some(from);
        match message.kind() {
            RUN if of_dc => match Operation::from_message(message, self.me.as_str()) {
                Some(operation) => self.run_here(operation),
                None => {
                    log::error!("an order of node {from} cannot be read");
                    Ok(())
                }
            },
            words::CANCEL | words::FORGET => self.ordered(from, message),
            words::RELEASE if of_dc => {
                self.released();
                Ok(())
            }
            words::DONE => match Reply::from_message(message) {
                Some(reply) => self.replied(reply),
                None => Ok(()),
            },
            words::IDLE => {
                if let Some(id) = message.dec("id") {
                    self.waiting.push((from.clone(), id));
                }
                Ok(())
            }
            words::IDLED => {
                if let Some(id) = message.dec("id")
                    && let Some(Asked::Idle { client, word }) = self.asked.remove(&id)
                {
                    self.door.answer(client, word, &Answer::Done(String::new()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ordered(&mut self, from: &NodeName, message: &Message) -> Done {
        let Some((order, number, id)) = Order::from_message(message) else {
            return Ok(());
        };
        let reply = Reply { number, id, good: true };
        let outs = match order {
            Order::Cancel { rsc, interval } => self.here.cancel(&rsc, interval),
            Order::Forget { rsc, failures } => self.here.forget(self.agree.cib(), &rsc, failures),
        };
        for out in outs {
            match out {
                Out::Write(edits) => {
                    let to = from.clone();
                    let reply = reply.clone();
                    self.submit(edits, Why::Order { to, reply })?;
                }
                other => self.out(other)?,
            }
        }
        Ok(())
    }

    fn replied(&mut self, reply: Reply) -> Done {
        if reply.number != 0 {
            return self.action_over(
                reply.number,
                usize::try_from(reply.id).unwrap_or(usize::MAX),
                reply.good,
            );
        }
        self.one_less(reply.id);
        Ok(())
    }

    /// One of several answers for a tool has come.
    pub(super) fn one_less(&mut self, id: u64) {
        let Some(Asked::Several { left, .. }) = self.asked.get_mut(&id) else {
            return;
        };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return;
        }
        if let Some(Asked::Several { client, word, text, .. }) = self.asked.remove(&id) {
            self.door.answer(client, word, &Answer::Done(text));
        }
    }

    pub(super) fn out(&mut self, out: Out) -> Done {
        match out {
            Out::Write(edits) => self.submit(edits.clone(), Why::History(edits)),
            Out::Reply(reply) => match self.agree.dc().cloned() {
                Some(dc) => self.reply(&dc, reply),
                None => Ok(()),
            },
            Out::Meta { id, xml } => {
                let asked = self
                    .asked
                    .iter()
                    .find(|(_, a)| matches!(a, Asked::Meta { id: i, .. } if *i == id));
                let Some((&key, _)) = asked else { return Ok(()) };
                if let Some(Asked::Meta { client, word, .. }) = self.asked.remove(&key) {
                    let answer = match xml {
                        Ok(xml) => Answer::Done(xml),
                        Err(text) => Answer::Refused { code: 1, text },
                    };
                    self.door.answer(client, word, &answer);
                }
                Ok(())
            }
            Out::Fenced { id, result } => self.device_done(id, result),
        }
    }

    fn fence(&mut self, number: u64, id: usize, node: &str, action: &str) -> Done {
        let cib = self.agree.cib();
        let input = unpack::unpack(cib, sys::wall());
        let timeout = cib.property("stonith-timeout").and_then(cib_words::interval);
        let timeout = timeout.unwrap_or(Duration::from_secs(60));
        log::warn!("node {node}: is to be fenced ({action})");
        let fence = Fence::new(&input, number, id, node, action, timeout);
        self.fences.push(fence);
        self.next_device(self.fences.len() - 1)
    }

    fn next_device(&mut self, at: usize) -> Done {
        let fence = &mut self.fences[at];
        fence.asked = fence.next().and_then(|make| self.here.fence(make));
        if self.fences[at].asked.is_some() {
            return Ok(());
        }
        let fence = self.fences.remove(at);
        log::error!("node {}: no device could fence it", fence.node);
        self.action_over(fence.number, fence.id, false)
    }

    fn device_done(&mut self, id: u64, result: Result<String, String>) -> Done {
        let Some(at) = self.fences.iter().position(|f| f.asked == Some(id)) else {
            return Ok(());
        };
        if let Err(why) = result {
            log::error!("fencing node {}: {why}", self.fences[at].node);
            return self.next_device(at);
        }
        let fence = self.fences.remove(at);
        log::warn!("node {}: was fenced", fence.node);
        let edits = fenced(self.agree.cib(), &fence.node);
        let why = Why::Fenced {
            number: fence.number,
            id: fence.id,
        };
        self.submit(edits, why)
    }

    /// Transient attributes, by the node they are of.
    pub(super) fn write_attribute(&mut self, node: &str, attribute: &Attribute, why: Why) -> Done {
        let Some(id) = self.id_of(node) else {
            log::warn!("attribute {}: node {node} is not known", attribute.name);
            return Ok(());
        };
        let of = Node { id: &id, uname: node };
        let edit = match &attribute.value {
            Some(value) => history::set(of, &[(attribute.name.clone(), value.clone())]),
            None => history::unset(of, &attribute.name),
        };
        self.submit(vec![edit], why)
    }

    /// SIGTERM: the resources of this node are to go first.
    pub(super) fn stop_asked(&mut self, interrupt: &Told) {
        interrupt.clear();
        if self.stop != Stop::No {
            return;
        }
        let now = sys::now();
        let escalation = self
            .agree
            .cib()
            .property("shutdown-escalation")
            .and_then(cib_words::interval);
        let until = now + escalation.unwrap_or(ESCALATION).min(ESCALATION);
        log::info!("node {}: is to stop; its resources go first", self.me);
        self.stop = Stop::Asked { since: now, until };
        if self.agree.is_active()
            && let Err(e) = self.ask_to_go()
        {
            log::error!("{e}");
        }
    }

    /// The DC sees the attribute, has the resources stopped, and says when this node may go.
    fn ask_to_go(&mut self) -> Done {
        let (uuid, me) = (self.uuid.clone(), self.me.to_string());
        let node = Node { id: &uuid, uname: &me };
        let edit = history::set(node, &[("shutdown".to_owned(), sys::wall().0.to_string())]);
        self.submit(vec![edit], Why::Nobody)
    }

    fn released(&mut self) {
        match self.stop {
            Stop::Asked { .. } => self.stop = Stop::Released,
            Stop::No => log::warn!("this node was told that it may go, and does not want to"),
            Stop::Released | Stop::Leaving | Stop::Left => {}
        }
    }

    /// How far the stop is.
    pub(super) fn stopping(&mut self) -> Done {
        let now = sys::now();
        match self.stop {
            Stop::Asked { until, .. } if now >= until => {
                log::error!(
                    "node {}: its resources did not go within the time: it goes without",
                    self.me
                );
                self.stop = Stop::Released;
            }
            Stop::Asked { since, .. } if now >= since + NOBODY && !self.agree.is_active() => {
                log::error!("node {}: is in no partition: it goes as it is", self.me);
                self.stop = Stop::Released;
            }
            _ => {}
        }
        if self.stop == Stop::Released && (self.submitted.is_empty() || !self.agree.is_active()) {
            self.stop = Stop::Leaving;
            self.flush()?;
            return self.feed(Event::Leave);
        }
        Ok(())
    }
}

/// Names a term of this DC, as a uuid does.
fn new_run() -> String {
    let mut bytes = [0; 16];
    // Without it the time is as good: no two terms begin at one moment on one node.
    if files::random(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&super::life().to_be_bytes());
    }
    uuid_text(&bytes)
}
