//! Machines with a heartbeat each, directed links between them, a crmd's agreement on each of them, and a virtual clock.
//!
//! The heartbeat of a machine is as much of it as a crmd sees: whether beats arrive, whether a peer's crmd is signed on,
//! messages in their order as long as the link is up. Everything random comes from the seed.

use ha::agree::{Action, Agree, Configured, Event, Mark, Settings, View};
use ha::cib::edit::Origin;
use ha::cib::{Cib, Edit, Element};
use ha::ids::NodeName;
use ha::msg::{Message, classic};
use ha::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

pub const KEEPALIVE: u64 = 100;
pub const DEADTIME: u64 = 1000;
/// What is promised after any change of the links.
pub const BOUND: u64 = DEADTIME + 3000;
/// What heartbeat takes from a client in one message.
const LARGEST: usize = 32 * 1024;

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Debug)]
enum What {
    Beat {
        of: usize,
    },
    Deliver {
        from: usize,
        to: usize,
        life: u64,
        message: Message,
    },
    Client {
        of: usize,
        to: usize,
        there: bool,
    },
    Written {
        node: usize,
        life: u64,
        token: u64,
        cib: Box<Cib>,
        mark: Mark,
    },
    Start {
        node: usize,
    },
    Resume {
        node: usize,
    },
}

#[derive(Debug, Default)]
struct Disk {
    cib: Option<Element>,
    mark: Mark,
}

#[derive(Debug)]
pub struct Machine {
    pub name: NodeName,
    pub agree: Option<Agree>,
    pub life: u64,
    /// Without power nothing beats.
    pub power: bool,
    pub paused: bool,
    waiting: Vec<Event>,
    disk: Disk,
    writing: Vec<(u64, Box<Cib>, Mark)>,
    wake: Instant,
    last_beat: Vec<u64>,
    alive: Vec<bool>,
    pub views: Vec<(u64, View)>,
    pub active: Vec<(u64, Instant)>,
    pub kept: Vec<String>,
    pub log: Vec<String>,
    pub left: bool,
}

/// What became of a change that was submitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    Open,
    Committed { quorum: bool },
    Refused(u8, String),
}

#[derive(Debug)]
pub struct Bed {
    pub now: u64,
    pub random: Random,
    pub machines: Vec<Machine>,
    /// `up[a][b]`: what a sends arrives at b.
    pub up: Vec<Vec<bool>>,
    /// Percent of messages that get lost all the same.
    pub loss: u64,
    queue: BTreeMap<(u64, u64), What>,
    number: u64,
    arrival: BTreeMap<(usize, usize), u64>,
    pub changes: BTreeMap<u64, (usize, u64, Fate)>,
    pub sent: u64,
    lives: u64,
    /// Delay of a write to the disk at most.
    pub disk: u64,
    /// The node whose disk does not answer.
    pub hung: Option<usize>,
}

impl Bed {
    /// n1, n2, … all on, all links up, their crmds started within a second.
    pub fn new(seed: u64, nodes: usize) -> Self {
        let names: Vec<String> = (1..=nodes).map(|n| format!("ha-host{n}")).collect();
        let machine = |name: &String| Machine {
            name: name.parse().unwrap(),
            agree: None,
            life: 0,
            power: true,
            paused: false,
            waiting: vec![],
            disk: Disk::default(),
            writing: vec![],
            wake: Instant::NEVER,
            last_beat: vec![0; nodes],
            alive: vec![true; nodes],
            views: vec![],
            active: vec![],
            kept: vec![],
            log: vec![],
            left: false,
        };
        let mut bed = Self {
            now: 1_000_000,
            random: Random::new(seed),
            machines: names.iter().map(machine).collect(),
            up: vec![vec![true; nodes]; nodes],
            loss: 0,
            queue: BTreeMap::new(),
            number: 0,
            arrival: BTreeMap::new(),
            changes: BTreeMap::new(),
            sent: 0,
            lives: 1_700_000_000_000,
            disk: 10,
            hung: None,
        };
        for n in 0..nodes {
            bed.machines[n].last_beat = vec![bed.now; nodes];
            let phase = bed.random.below(KEEPALIVE);
            bed.at(phase, What::Beat { of: n });
            let start = bed.random.below(1000);
            bed.at(start, What::Start { node: n });
        }
        bed
    }

    fn at(&mut self, delay: u64, what: What) {
        self.number += 1;
        self.queue.insert((self.now + delay, self.number), what);
    }

    pub fn running(&self) -> impl Iterator<Item = (usize, &Agree)> {
        self.machines
            .iter()
            .enumerate()
            .filter_map(|(n, m)| Some((n, m.agree.as_ref()?)))
    }

    pub fn agree(&self, n: usize) -> &Agree {
        self.machines[n].agree.as_ref().expect("its crmd runs")
    }

    pub fn cut(&mut self, from: usize, to: usize) {
        self.up[from][to] = false;
    }

    pub fn cut_both(&mut self, a: usize, b: usize) {
        self.cut(a, b);
        self.cut(b, a);
    }

    pub fn heal(&mut self) {
        for row in &mut self.up {
            row.fill(true);
        }
    }

    /// Kill -9 of the crmd; writes under way are done or not.
    pub fn kill(&mut self, n: usize) {
        if self.machines[n].agree.take().is_none() {
            return;
        }
        let done = self.random.below(self.machines[n].writing.len() as u64 + 1) as usize;
        let machine = &mut self.machines[n];
        for (_, cib, mark) in machine.writing.drain(..).take(done) {
            machine.disk.cib = Some(cib.stored());
            machine.disk.mark = mark;
        }
        machine.waiting.clear();
        machine.life = 0;
        machine.wake = Instant::NEVER;
        for to in 0..self.machines.len() {
            if to != n && self.up[n][to] && self.machines[n].power {
                let delay = 1 + self.random.below(3);
                self.at(
                    delay,
                    What::Client {
                        of: n,
                        to,
                        there: false,
                    },
                );
            }
        }
    }

    pub fn power_off(&mut self, n: usize) {
        self.machines[n].power = false;
        self.kill(n);
    }

    pub fn start(&mut self, n: usize, delay: u64) {
        self.at(delay, What::Start { node: n });
    }

    pub fn pause(&mut self, n: usize, length: u64) {
        self.machines[n].paused = true;
        self.at(length, What::Resume { node: n });
    }

    pub fn submit(&mut self, n: usize, edits: Vec<Edit>) -> u64 {
        self.number += 1;
        let id = self.number;
        if self.machines[n].agree.is_some() {
            self.changes.insert(id, (n, self.machines[n].life, Fate::Open));
            let origin = Origin {
                node: self.machines[n].name.to_string(),
                client: "test".into(),
                user: "root".into(),
            };
            let written = String::new();
            self.event(
                n,
                Event::Submit {
                    id,
                    edits,
                    origin,
                    written,
                },
            );
        }
        id
    }

    /// A primitive of a name that was never used: made twice it would be refused.
    pub fn create(&mut self, n: usize) -> u64 {
        let id = self.number + 1;
        let xml = Element::new("primitive")
            .with("id", format!("r{id}"))
            .with("class", "lsb")
            .with("type", "x");
        self.submit(
            n,
            vec![Edit::Create {
                section: "resources".into(),
                xml,
            }],
        )
    }

    pub fn has(&self, n: usize, change: u64) -> bool {
        let resources = self.agree(n).cib().section("resources").expect("always there");
        resources.children.iter().any(|p| p.id() == format!("r{change}"))
    }

    pub fn on_disk(&self, n: usize, change: u64) -> bool {
        let cib = self.machines[n].disk.cib.as_ref();
        cib.is_some_and(|c| c.to_bare().contains(&format!("\"r{change}\"")))
    }

    /// The disk answers again: what waits is written.
    pub fn unhang(&mut self) {
        let Some(node) = self.hung.take() else { return };
        let life = self.machines[node].life;
        if let Some((token, cib, mark)) = self.machines[node].writing.last().cloned() {
            self.at(
                1,
                What::Written {
                    node,
                    life,
                    token,
                    cib,
                    mark,
                },
            );
        }
    }

    pub fn run(&mut self, span: u64) {
        let until = self.now + span;
        loop {
            let wake = self
                .machines
                .iter()
                .filter(|m| !m.paused)
                .map(|m| m.wake.as_millis())
                .min();
            let wake = wake.unwrap_or(u64::MAX);
            let next = self.queue.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
            if wake.min(next) > until {
                break;
            }
            if wake < next {
                self.now = self.now.max(wake);
                let due = self
                    .machines
                    .iter()
                    .position(|m| !m.paused && m.wake.as_millis() == wake);
                let node = due.expect("it was the earliest");
                self.event(node, Event::Timer);
                continue;
            }
            let ((at, _), what) = self.queue.pop_first().expect("it was the earliest");
            self.now = self.now.max(at);
            self.happen(what);
        }
        self.now = until;
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Beat { of } => self.beat(of),
            What::Deliver {
                from,
                to,
                life,
                message,
            } => {
                if self.up[from][to] && self.machines[to].life == life {
                    let from = self.machines[from].name.clone();
                    self.event(to, Event::Message { from, fields: message });
                }
            }
            What::Client { of, to, there } => {
                if self.up[of][to] {
                    let node = self.machines[of].name.clone();
                    self.event(to, Event::ClientOf { node, there });
                }
            }
            What::Written {
                node,
                life,
                token,
                cib,
                mark,
            } => {
                let machine = &mut self.machines[node];
                if machine.life == life {
                    machine.writing.retain(|(t, ..)| *t > token);
                    machine.disk.cib = Some(cib.stored());
                    machine.disk.mark = mark;
                    self.event(node, Event::Stored { token });
                }
            }
            What::Start { node } => self.begin(node),
            What::Resume { node } => {
                self.machines[node].paused = false;
                if self.machines[node].agree.is_some() {
                    self.event(node, Event::Timer);
                    for event in std::mem::take(&mut self.machines[node].waiting) {
                        self.event(node, event);
                    }
                }
            }
        }
    }

    fn beat(&mut self, of: usize) {
        self.at(KEEPALIVE, What::Beat { of });
        if !self.machines[of].power {
            return;
        }
        for to in 0..self.machines.len() {
            if to == of {
                continue;
            }
            if self.up[of][to] && self.machines[to].power {
                self.machines[to].last_beat[of] = self.now;
                if !self.machines[to].alive[of] {
                    self.machines[to].alive[of] = true;
                    let node = self.machines[of].name.clone();
                    self.event(
                        to,
                        Event::NodeHeard {
                            node: node.clone(),
                            alive: true,
                        },
                    );
                    if self.machines[of].agree.is_some() {
                        self.event(to, Event::ClientOf { node, there: true });
                    }
                }
            }
            if self.machines[of].alive[to] && self.now - self.machines[of].last_beat[to] > DEADTIME {
                self.machines[of].alive[to] = false;
                let node = self.machines[to].name.clone();
                self.event(of, Event::NodeHeard { node, alive: false });
            }
        }
    }

    fn begin(&mut self, n: usize) {
        if self.machines[n].agree.is_some() {
            return;
        }
        self.lives += 1;
        let nodes = self
            .machines
            .iter()
            .map(|m| Configured {
                name: m.name.clone(),
                uuid: None,
            })
            .collect();
        let (now, all) = (self.now, self.machines.len());
        let machine = &mut self.machines[n];
        if !machine.power {
            machine.power = true;
            machine.last_beat = vec![now; all];
            machine.alive = vec![true; all];
        }
        machine.life = self.lives;
        machine.paused = false;
        machine.waiting.clear();
        machine.left = false;
        let cib = machine
            .disk
            .cib
            .clone()
            .map_or_else(Cib::empty, |root| Cib::from_element(root).unwrap());
        let mark = Mark::parse(&machine.disk.mark.to_text())
            .expect("as written")
            .for_cib(&cib);
        let settings = Settings {
            keepalive: Duration::from_millis(KEEPALIVE),
            deadtime: Duration::from_millis(DEADTIME),
            stop_margin: Duration::from_millis(1000),
            life: self.lives,
        };
        let uuid = format!("uuid-{}", machine.name);
        let agree = Agree::new(
            &machine.name,
            &uuid,
            nodes,
            settings,
            cib,
            mark,
            Instant::from_millis(now),
        );
        machine.agree = Some(agree);
        let lrm = Element::new("lrm").with("id", &uuid).holding(
            Element::new("lrm_resources").holding(Element::new("lrm_resource").with("id", format!("of-{}", n + 1))),
        );
        self.event(n, Event::History { lrm });
        for peer in 0..self.machines.len() {
            if peer == n {
                continue;
            }
            let (node, alive) = (self.machines[peer].name.clone(), self.machines[n].alive[peer]);
            self.event(
                n,
                Event::NodeHeard {
                    node: node.clone(),
                    alive,
                },
            );
            let there = self.machines[peer].agree.is_some();
            if self.up[peer][n] && alive {
                self.event(n, Event::ClientOf { node, there });
            }
            if self.up[n][peer] {
                let delay = 1 + self.random.below(3);
                self.at(
                    delay,
                    What::Client {
                        of: n,
                        to: peer,
                        there: true,
                    },
                );
            }
        }
    }

    pub fn event(&mut self, n: usize, event: Event) {
        let now = Instant::from_millis(self.now);
        let machine = &mut self.machines[n];
        if machine.paused && machine.agree.is_some() {
            if !matches!(event, Event::Timer) && machine.waiting.len() < 100_000 {
                machine.waiting.push(event);
            }
            return;
        }
        let Some(agree) = &mut machine.agree else { return };
        let actions = agree.handle(now, event);
        machine.wake = agree.deadline();
        assert!(
            machine.wake > now || !actions.is_empty(),
            "{}: its deadline is past: it would spin",
            machine.name
        );
        if machine.wake <= now {
            machine.wake = now + Duration::from_millis(1);
        }
        for action in actions {
            self.perform(n, action);
        }
    }

    fn perform(&mut self, n: usize, action: Action) {
        match action {
            Action::Send { to, message } => self.send(n, to, &message),
            Action::Store { token, cib, mark } => {
                let delay = 1 + self.random.below(self.disk);
                let life = self.machines[n].life;
                let last = self.arrival.entry((n, n)).or_insert(0);
                *last = (*last).max(self.now + delay);
                let delay = *last - self.now;
                self.machines[n].writing.push((token, cib.clone(), mark.clone()));
                if self.hung == Some(n) {
                    return;
                }
                self.at(
                    delay,
                    What::Written {
                        node: n,
                        life,
                        token,
                        cib,
                        mark,
                    },
                );
            }
            Action::Answer { id, result } => {
                let (_, _, fate) = self.changes.get_mut(&id).expect("it was submitted");
                assert_eq!(*fate, Fate::Open, "answered twice");
                *fate = match result {
                    Ok(done) => Fate::Committed { quorum: done.quorum },
                    Err(refused) => Fate::Refused(refused.code, refused.text),
                };
            }
            Action::View(view) => self.machines[n].views.push((self.now, view)),
            Action::Active { start_from } => self.machines[n].active.push((self.now, start_from)),
            Action::CibChanged { .. } => {}
            Action::KeepAside { name, .. } => self.machines[n].kept.push(name),
            Action::Log { text, .. } => {
                let line = format!("{} {}: {text}", self.now, self.machines[n].name);
                if std::env::var_os("HA_TEST_LOG").is_some() {
                    eprintln!("{line}");
                }
                self.machines[n].log.push(line);
            }
            Action::Left => self.machines[n].left = true,
        }
    }

    fn send(&mut self, from: usize, to: Option<NodeName>, message: &Message) {
        self.sent += 1;
        if std::env::var_os("HA_TEST_TALK").is_some() && message.kind() != "crm-state" {
            let me = &self.machines[from].name;
            let fields: Vec<String> = message.fields().iter().skip(2).map(|f| format!("{f:?}")).collect();
            let text: String = fields.join(" ").chars().take(200).collect();
            eprintln!("{} {me} -> {to:?} {} {text}", self.now, message.kind());
        }
        let length = classic::encode(message).len();
        assert!(length < LARGEST, "{} of {length} bytes", message.kind());
        for peer in 0..self.machines.len() {
            let meant = to.as_ref().is_none_or(|to| *to == self.machines[peer].name);
            if peer == from || !meant || !self.up[from][peer] || self.random.below(100) < self.loss {
                continue;
            }
            let delay = 1 + self.random.below(4);
            let last = self.arrival.entry((from, peer)).or_insert(0);
            *last = (*last).max(self.now + delay);
            let delay = *last - self.now;
            let life = self.machines[peer].life;
            if life != 0 {
                let message = message.clone();
                self.at(
                    delay,
                    What::Deliver {
                        from,
                        to: peer,
                        life,
                        message,
                    },
                );
            }
        }
    }

    /// The sets the rule gives for the links as they are, by trying all subsets.
    pub fn expected(&self) -> Vec<Vec<usize>> {
        let all: Vec<usize> = self.running().map(|(n, _)| n).collect();
        let hear = |a: usize, b: usize| a == b || self.up[a][b] && self.up[b][a];
        let mut left: BTreeSet<usize> = all.iter().copied().collect();
        let mut sets = vec![];
        while let Some(first) = left.first().copied() {
            let candidates: Vec<usize> = left.iter().copied().collect();
            let mut best: Vec<usize> = vec![];
            for mask in 0u32..1 << candidates.len() {
                let set: Vec<usize> = (0..candidates.len())
                    .filter(|i| mask >> i & 1 == 1)
                    .map(|i| candidates[i])
                    .collect();
                let whole = set.iter().all(|a| set.iter().all(|b| hear(*a, *b)));
                let better = set.len() > best.len() || set.len() == best.len() && set < best;
                if set.contains(&first) && whole && better {
                    best = set;
                }
            }
            left.retain(|n| !best.contains(n));
            sets.push(best);
        }
        sets
    }

    /// What every node shows: members, DC, quorum.
    pub fn shown(&self, n: usize) -> (Vec<NodeName>, Option<NodeName>, bool) {
        let agree = self.agree(n);
        (agree.members(), agree.dc().cloned(), agree.has_quorum())
    }

    /// Every node is in the set that the rule gives, with one DC and one CIB.
    pub fn check_settled(&self, what: &str) {
        let mut quorate = 0;
        for set in self.expected() {
            let names: Vec<NodeName> = set.iter().map(|n| self.machines[*n].name.clone()).collect();
            let quorum = set.len() * 2 > self.machines.len();
            quorate += usize::from(quorum);
            let dc = self.agree(set[0]).dc().cloned();
            assert!(
                dc.as_ref().is_some_and(|dc| names.contains(dc)),
                "{what}: {names:?}: DC {dc:?}"
            );
            let digest = |n: usize| ha::cib::document::digest(self.agree(n).cib().root());
            for n in set.iter().copied() {
                let of = format!("{what}: {} at {}", self.machines[n].name, self.now);
                if std::env::var_os("HA_TEST_LOG").is_some() && self.shown(n).0 != names {
                    for (n, agree) in self.running() {
                        let text = format!("{agree:?}");
                        eprintln!("{n}: {}", text.split("settings:").next().unwrap_or_default());
                    }
                }
                assert_eq!(self.shown(n), (names.clone(), dc.clone(), quorum), "{of}");
                assert!(self.agree(n).is_active(), "{of}: does not work");
                assert_eq!(digest(n), digest(set[0]), "{of}");
                let cib = self.agree(n).cib();
                assert_eq!(
                    cib.root().get("have-quorum"),
                    Some(if quorum { "1" } else { "0" }),
                    "{of}"
                );
                self.check_states(n, &names, &of);
            }
        }
        assert!(quorate <= 1, "{what}");
    }

    fn check_states(&self, n: usize, members: &[NodeName], of: &str) {
        for state in &self.agree(n).cib().status().children {
            let name: NodeName = state.get("uname").unwrap().parse().unwrap();
            let member = members.contains(&name);
            assert_eq!(state.get("crmd") == Some("online"), member, "{of}: {state}");
            if member {
                let number = name.as_str().trim_start_matches("ha-host");
                let lrm = state.child("lrm").and_then(|l| l.children.first()?.children.first());
                assert_eq!(
                    lrm.map(|r| r.id().to_owned()),
                    Some(format!("of-{number}")),
                    "{of}: {state}"
                );
            }
        }
    }

    /// What was answered with quorum is in the CIB of a node; what was made once was not made again.
    pub fn check_changes(&self, n: usize, what: &str) {
        for (id, (node, _, fate)) in &self.changes {
            match fate {
                Fate::Committed { quorum: true } => {
                    assert!(
                        self.has(n, *id),
                        "{what}: change {id} of node {node} was answered, and is lost"
                    )
                }
                Fate::Refused(code, text) => assert_eq!(*code, 124, "{what}: change {id} of node {node}: {text}"),
                Fate::Committed { quorum: false } | Fate::Open => {}
            }
        }
    }
}
