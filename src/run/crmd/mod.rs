//! The program crmd: a client of heartbeat that makes its node a member of the crm.
//!
//! * `dc`: plans and their execution, of the one who is DC; `watch`, what the DC sees change; `fence`, nodes that are lost
//! * `here`: what this node does for the DC, by lrmd
//! * `door`: what tools ask; `attributes`: what they set that waits
//! * `disk`: the thread that writes
//! * `words`: what crmds say to each other
//! * `perform`: what follows from what happened
//!
//! Who is a member, who is DC and what the CIB says decides [`crate::agree::Agree`]; what is to be done,
//! [`crate::policy`]; in which order it goes out, [`crate::transition`]. Here all of it meets the world: one loop, nothing
//! in it waits but for heartbeat to take a message.

mod attributes;
mod dc;
mod disk;
mod door;
mod fence;
mod here;
mod perform;
mod watch;
mod words;

use crate::agree::{Agree, Configured, Event, Settings};
use crate::clients::request::{self, field};
use crate::conf::hostcache::uuid_text;
use crate::crm::store::Store;
use crate::ids::NodeName;
use crate::ipc::client::{Client, ClientError, Filter};
use crate::ipc::relay;
use crate::msg::{Message, fields};
use crate::paths;
use crate::sys;
use crate::sys::interrupt::Told;
use crate::sys::poll::{Ready, Want, wait};
use crate::time::{Duration, Instant};
use attributes::Attributes;
use dc::Dc;
use disk::Disk;
use door::Door;
use fence::Fence;
use here::Here;
use perform::{Asked, Why};
use std::collections::{BTreeMap, VecDeque};
use watch::Watch;

/// The name it signs on with, on every node.
pub const NAME: &str = "crmd";
/// The daemon answers in a millisecond; on a machine that swaps it may take longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The core of heartbeat is back in milliseconds after it died, the master a little later.
const BACK_WITHIN: Duration = Duration::from_secs(5);
const KNOCK_EVERY: Duration = Duration::from_millis(20);
/// Messages of the daemon taken in one turn; everything else has its turn in between.
const NEWS_A_TURN: usize = 64;
/// The resources of a node that has lost quorum are down within this time of its noticing, usually.
const STOP_MARGIN: Duration = Duration::from_secs(1);
/// `shutdown-escalation`: a node that wants to go and may not goes all the same.
const ESCALATION: Duration = Duration::from_secs(20 * 60);
/// A node that wants to go and is in no partition by then.
const NOBODY: Duration = Duration::from_secs(30);

/// How far the end of this program is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    No,
    /// The DC is asked; until then.
    Asked {
        since: Instant,
        until: Instant,
    },
    /// Nothing runs here any more: the others are told when all that was written is answered.
    Released,
    Leaving,
    Left,
}

struct Program {
    /// `None` while heartbeat is away.
    client: Option<Client>,
    me: NodeName,
    uuid: String,
    agree: Agree,
    here: Here,
    dc: Option<Dc>,
    watch: Watch,
    fences: Vec<Fence>,
    door: Door,
    attributes: Attributes,
    disk: Disk,
    /// What was submitted and is not answered.
    submitted: BTreeMap<u64, Why>,
    /// What others were asked for tools.
    asked: BTreeMap<u64, Asked>,
    /// As the DC: who wants to know when nothing is going on.
    waiting: Vec<(NodeName, u64)>,
    last: u64,
    /// Where nothing may be started yet.
    start_from: Instant,
    /// This program has seen a partition with quorum.
    had_quorum: bool,
    stop: Stop,
    /// Why heartbeat cannot be talked to.
    broken: Option<ClientError>,
    again: VecDeque<Vec<crate::cib::Edit>>,
}

/// Serves until a signal ends it (`Ok`) or something goes wrong.
pub fn run() -> Result<(), ClientError> {
    let interrupt = Told::of_interruption().map_err(|e| ClientError::Os("signals".into(), e))?;
    let mut program = Program::begin()?;
    loop {
        if let Err(e) = program.turn() {
            program.broken.get_or_insert(e);
        }
        if let Some(why) = program.broken.take() {
            program.reconnect(why)?;
            continue;
        }
        if program.stop == Stop::Left {
            program.flush()?;
            return program.client.take().map_or(Ok(()), Client::signoff);
        }
        let deadline = program.deadline();
        let (interrupted, door) = {
            let mut wants = vec![Want::read(interrupt.fd()), Want::read(program.disk.fd())];
            wants.extend(program.client.iter().map(|c| Want::read(c.fd())));
            let lrm = program.here.lrm().wants();
            let before_door = wants.len() + lrm.len();
            wants.extend(lrm);
            wants.extend(program.door.server.wants());
            let ready = wait(&wants, deadline).map_err(|e| ClientError::Os("events".into(), e))?;
            let door: Vec<Ready> = ready[before_door..].to_vec();
            (ready[0].read, door)
        };
        if interrupted {
            program.stop_asked(&interrupt);
        }
        program.requests(&door);
    }
}

impl Program {
    fn begin() -> Result<Self, ClientError> {
        let os = |path: std::path::PathBuf| move |e| ClientError::Os(path, e);
        let mut client = Client::sign_on(NAME, TIMEOUT)?;
        client.set_filter(Filter::NEWS)?;
        let me: NodeName = client
            .node()
            .parse()
            .map_err(|_| ClientError::BadName(client.node().to_owned()))?;
        let uuid = uuid_of(&mut client, me.as_str())?.unwrap_or_else(|| me.to_string());
        let door = Door::open(&paths::crm()).map_err(os(paths::crm()))?;
        let mut store = Store::new(paths::crm());
        let bad =
            |e: crate::crm::store::StoreError| ClientError::Os(paths::crm(), std::io::Error::other(e.to_string()));
        let found = store.load().map_err(bad)?;
        for line in &found.said {
            log::log!(line.0, "{}", line.1);
        }
        let disk = Disk::start(store).map_err(os(paths::crm()))?;
        let ms = |name, otherwise| Duration::from_millis(client.signon().hex(name).unwrap_or(otherwise));
        let now = sys::now();
        let settings = Settings {
            keepalive: ms(field::KEEPALIVE, 1000),
            deadtime: ms(field::DEADTIME, 30_000),
            stop_margin: STOP_MARGIN,
            life: life(),
        };
        let (nodes, heard) = nodes_of(&mut client)?;
        let agree = Agree::new(&me, &uuid, nodes, settings, found.cib, found.mark, now);
        let mut program = Self {
            here: Here::new(&uuid, me.as_str()),
            client: Some(client),
            me,
            uuid,
            agree,
            dc: None,
            watch: Watch::default(),
            fences: Vec::new(),
            door,
            attributes: Attributes::default(),
            disk,
            submitted: BTreeMap::new(),
            asked: BTreeMap::new(),
            waiting: Vec::new(),
            last: 0,
            start_from: now,
            had_quorum: false,
            stop: Stop::No,
            broken: None,
            again: VecDeque::new(),
        };
        program.feed(Event::History {
            lrm: program.here.history(),
        })?;
        log::info!("node {} ({}): the crm begins", program.me, program.uuid);
        program.heard(heard)?;
        Ok(program)
    }

    fn heard(&mut self, heard: Vec<(NodeName, bool)>) -> Result<(), ClientError> {
        for (node, alive) in heard {
            if node != self.me {
                self.feed(Event::NodeHeard { node, alive })?;
            }
        }
        Ok(())
    }

    /// A process of heartbeat died: its successor is there in a moment. What was on the way to others may be lost.
    fn reconnect(&mut self, why: ClientError) -> Result<(), ClientError> {
        // It removes its FIFOs, which have the name of the new ones.
        drop(self.client.take());
        let until = sys::now() + BACK_WITHIN;
        let mut client = loop {
            match Client::sign_on(NAME, TIMEOUT) {
                Ok(client) => break client,
                Err(_) if sys::now() < until => std::thread::sleep(KNOCK_EVERY),
                Err(_) => return Err(why),
            }
        };
        client.set_filter(Filter::NEWS)?;
        log::warn!("heartbeat was away ({why}); it is back");
        let (nodes, heard) = nodes_of(&mut client)?;
        self.client = Some(client);
        self.feed(Event::Nodes(nodes))?;
        self.heard(heard)?;
        self.orders_lost()
    }

    fn heartbeat(&mut self) -> Result<&mut Client, ClientError> {
        self.client.as_mut().ok_or(ClientError::Closed)
    }

    fn flush(&mut self) -> Result<(), ClientError> {
        relay::flush(self.heartbeat()?)
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn deadline(&self) -> Instant {
        let mut at = self.agree.deadline().min(self.here.lrm().deadline());
        at = at.min(self.attributes.deadline());
        if self.may_plan() {
            at = at.min(
                self.dc
                    .as_ref()
                    .map_or(Instant::NEVER, Dc::deadline)
                    .max(self.start_from),
            );
        }
        match self.stop {
            Stop::Asked { until, .. } if self.agree.is_active() => at.min(until),
            Stop::Asked { since, until } => at.min(until).min(since + NOBODY),
            Stop::No | Stop::Released | Stop::Leaving | Stop::Left => at,
        }
    }

    fn may_plan(&self) -> bool {
        self.dc.is_some() && self.agree.is_active()
    }

    /// Everything that has come, and everything that is due.
    fn turn(&mut self) -> Result<(), ClientError> {
        for _ in 0..NEWS_A_TURN {
            match self.heartbeat()?.event()? {
                Some(message) => self.message(&message)?,
                None => break,
            }
        }
        for token in self.disk.done() {
            self.feed(Event::Stored { token })?;
        }
        let (now, wall) = (sys::now(), sys::wall());
        let met = self.here.has_met_lrmd();
        for out in self.here.turn(now, wall, self.agree.cib()) {
            self.out(out)?;
        }
        if !met && self.here.has_met_lrmd() {
            let lrm = self.here.history();
            self.feed(Event::History { lrm })?;
        }
        for (node, attribute) in self.attributes.take(now) {
            self.write_attribute(&node, &attribute, Why::Nobody)?;
        }
        if now >= self.agree.deadline() {
            self.feed(Event::Timer)?;
        }
        self.plan()?;
        self.stopping()?;
        self.flush()
    }

    fn message(&mut self, message: &Message) -> Result<(), ClientError> {
        let src = message.get(fields::SRC).unwrap_or("");
        let Ok(from) = src.parse::<NodeName>() else {
            return Ok(());
        };
        let mine = from == self.me;
        match message.kind() {
            "status" | "NS_st" if !mine => {
                let alive = message.get(fields::STATUS) != Some("dead");
                self.feed(Event::NodeHeard { node: from, alive })
            }
            // One that leaves is not told: it said so before, or it was killed and is there again before it is missed.
            request::CLSTAT if !mine && message.get(fields::FROM_ID) == Some(NAME) => {
                match message.get(fields::STATUS) == Some("join") {
                    true => self.feed(Event::ClientOf {
                        node: from,
                        there: true,
                    }),
                    false => Ok(()),
                }
            }
            request::ANSWER => {
                let why = message.get(fields::INFO).unwrap_or("");
                log::error!("heartbeat refused a message: {why}");
                Ok(())
            }
            kind if kind.starts_with(Agree::KIND) => {
                if mine {
                    return Ok(());
                }
                let fields = message.clone();
                self.feed(Event::Message { from, fields })
            }
            kind if kind.starts_with("crmd-") => self.word(&from, message),
            _ => Ok(()),
        }
    }
}

type Nodes = (Vec<Configured>, Vec<(NodeName, bool)>);

/// The nodes of ha.cf in its order, and which of them heartbeat hears.
fn nodes_of(client: &mut Client) -> Result<Nodes, ClientError> {
    let (mut nodes, mut heard) = (Vec::new(), Vec::new());
    for node in client.nodes()?.into_iter().filter(|n| n.kind == "normal") {
        let uuid = uuid_of(client, &node.name)?;
        let Ok(name) = node.name.parse::<NodeName>() else {
            continue;
        };
        heard.push((name.clone(), node.status != "dead"));
        nodes.push(Configured { name, uuid });
    }
    Ok((nodes, heard))
}

/// Differs from that of every earlier start.
fn life() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// As the CIB writes it; `None` while heartbeat has not heard the node.
fn uuid_of(client: &mut Client, node: &str) -> Result<Option<String>, ClientError> {
    let question = request::of(request::GETUUID).with(field::QUERYNAME, node);
    let answer = client.ask_one(&question)?;
    let uuid = answer.binary(field::QUERYUUID).and_then(|u| u.try_into().ok());
    Ok(uuid.map(|u| uuid_text(&u)))
}
