//! ipfail decides: the node that hears more ping nodes serves.
//!
//! Both nodes' ipfail tell each other how many ping nodes they hear, in the words of heartbeat 3.0.6. What follows is
//! never decided by one message but by how the two numbers have stood for a while (`Relation`):
//!
//! * ours is lower for the settle time: our groups go to the other node;
//! * equal for a while, after the partner had been worse: what came here for that goes home (`auto_failback on`);
//! * anything else: nothing.
//!
//! So a ping node that both lose moves nothing, although they notice at different moments, and one that comes and goes
//! moves the groups less and less often. Pure; `run::ipfail` is the program around it.

use crate::groups::Set;
use crate::time::{Duration, Instant};
use std::cmp::Ordering;

/// So many keepalives must one node have been worse. A ping node that dies is noticed by the two nodes within one
/// keepalive of each other, within three when one of them had lost two answers before.
const SETTLE_BEATS: u32 = 3;
/// But heartbeat 3.0.6 looks for dead ping nodes only about once a second, however short the keepalive.
const SETTLE_LEAST: Duration = Duration::from_millis(1500);
/// A move that did not happen is asked for again after this time, then after twice as long …
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// … up to this. The same bound for the wait before groups go home to a node whose ping nodes come and go.
const LONGEST: Duration = Duration::from_secs(600);
/// Going home waits longer each time the partner becomes worse again within this time.
const RESTLESS: Duration = Duration::from_secs(3600);
/// While the numbers differ ours is told again so often, for a partner that started to listen late.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Times from ha.cf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    pub keepalive: Duration,
    pub deadping: Duration,
    /// `auto_failback on`
    pub goes_home: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// So many ping nodes answer this node. Not said before each of them has been judged once.
    Pings(usize),
    /// The other node's ipfail came (again) or went.
    Partner {
        online: bool,
    },
    /// `num_ping_nodes` of the partner.
    Told(usize),
    /// `you_are_dead`: the partner hears more than we have told.
    Worse,
    /// `abort_giveup`: the partner hears as many as we have told.
    Equal,
    /// What this node holds; `moving` while a move is under way.
    Holds {
        set: Set,
        moving: bool,
    },
    Timer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// `num_ping_nodes`
    Tell(usize),
    /// `you_are_dead`
    TellWorse,
    /// `abort_giveup`
    TellEqual,
    /// `ask_resources`: this set goes to the other node.
    GiveUp(Set),
}

/// How this node stands to the other one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    /// Nothing is known of one of them.
    Unknown,
    Better,
    Equal,
    Worse,
}

#[derive(Debug)]
pub struct Ipfail {
    settings: Settings,
    online: bool,
    mine: Option<usize>,
    theirs: Option<usize>,
    /// The partner has spoken since we told our number last: it is there, and `theirs` is not of yesterday.
    answered: bool,
    relation: Relation,
    since: Instant,
    holds: Set,
    moving: bool,
    /// The foreign groups came while the partner was worse.
    guests: bool,
    /// Since when the partner was worse, the last time.
    worse_at: Option<Instant>,
    home_wait: Duration,
    ask_at: Instant,
    ask_again: Duration,
    tell_at: Instant,
}

impl Ipfail {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            online: false,
            mine: None,
            theirs: None,
            answered: false,
            relation: Relation::Unknown,
            since: Instant::default(),
            holds: Set::NONE,
            moving: false,
            guests: false,
            worse_at: None,
            home_wait: settings.deadping,
            ask_at: Instant::default(),
            ask_again: ASK_AGAIN,
            tell_at: Instant::NEVER,
        }
    }

    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Pings(alive) => {
                if self.mine != Some(alive) {
                    self.mine = Some(alive);
                    self.tell(now, &mut actions);
                }
            }
            Event::Partner { online } => {
                self.online = online;
                self.theirs = None;
                self.tell(now, &mut actions);
            }
            Event::Told(theirs) => {
                // It may have signed on before we did.
                self.online = true;
                self.theirs = Some(theirs);
                self.answered = true;
                match self.mine.map(|mine| mine.cmp(&theirs)) {
                    Some(Ordering::Greater) => actions.push(Action::TellWorse),
                    Some(Ordering::Equal) => actions.push(Action::TellEqual),
                    // So that it knows too: its answer is that we are worse.
                    Some(Ordering::Less) => self.tell(now, &mut actions),
                    None => {}
                }
            }
            Event::Worse => {
                let more = self.mine.map(|mine| self.theirs.unwrap_or(0).max(mine + 1));
                self.theirs = more.or(self.theirs);
                self.answered = true;
            }
            Event::Equal => {
                self.theirs = self.mine.or(self.theirs);
                self.answered = true;
            }
            Event::Holds { set, moving } => {
                if !set.foreign {
                    self.guests = false;
                } else if !self.holds.foreign && self.relation == Relation::Better {
                    self.guests = true;
                }
                self.holds = set;
                self.moving = moving;
            }
            Event::Timer => {}
        }
        self.compare(now);
        self.decide(now, &mut actions);
        if now >= self.tell_at && self.relation != Relation::Equal {
            self.tell(now, &mut actions);
        }
        actions
    }

    fn tell(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if let Some(mine) = self.mine.filter(|_| self.online) {
            actions.push(Action::Tell(mine));
            self.answered = false;
        }
        self.tell_at = now + TELL_AGAIN;
    }

    fn compare(&mut self, now: Instant) {
        let relation = match (self.mine, self.theirs) {
            (Some(mine), Some(theirs)) if self.online => match mine.cmp(&theirs) {
                Ordering::Less => Relation::Worse,
                Ordering::Equal => Relation::Equal,
                Ordering::Greater => Relation::Better,
            },
            _ => Relation::Unknown,
        };
        if relation == self.relation {
            return;
        }
        self.relation = relation;
        self.since = now;
        self.ask_at = now;
        self.ask_again = ASK_AGAIN;
        match relation {
            Relation::Worse => log::warn!(
                "this node hears fewer ping nodes than the other one ({} to {}); its resources go there if it stays so for {} ms",
                self.mine.unwrap_or(0),
                self.theirs.unwrap_or(0),
                self.settle().as_millis()
            ),
            Relation::Better => {
                let again = self.worse_at.is_some_and(|at| now - at < RESTLESS);
                self.home_wait = if again {
                    (self.home_wait * 2).min(LONGEST).max(self.settings.deadping)
                } else {
                    self.settings.deadping
                };
                self.worse_at = Some(now);
                log::info!("this node hears more ping nodes than the other one");
            }
            Relation::Equal => log::info!("both nodes hear as many ping nodes"),
            Relation::Unknown => log::info!("the other node's ping nodes are not known; nothing is moved for them"),
        }
    }

    fn settle(&self) -> Duration {
        (self.settings.keepalive * SETTLE_BEATS).max(SETTLE_LEAST)
    }

    fn decide(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let stood = now - self.since;
        if self.moving || now < self.ask_at {
            return;
        }
        match self.relation {
            Relation::Worse if self.answered && self.holds != Set::NONE && stood >= self.settle() => {
                log::warn!("giving up all resources: the other node hears more ping nodes");
                actions.push(Action::GiveUp(Set::ALL));
            }
            Relation::Equal if self.guests && self.settings.goes_home && stood >= self.home_wait => {
                log::info!("the other node hears its ping nodes again; what it is preferred for goes home");
                actions.push(Action::GiveUp(Set::FOREIGN));
            }
            Relation::Worse | Relation::Equal | Relation::Better | Relation::Unknown => return,
        }
        self.ask_at = now + self.ask_again;
        self.ask_again = (self.ask_again * 2).min(LONGEST);
    }

    /// `Timer` is due then.
    pub fn deadline(&self) -> Instant {
        let decision = match self.relation {
            Relation::Worse if self.answered && self.holds != Set::NONE => self.since + self.settle(),
            Relation::Equal if self.guests && self.settings.goes_home => self.since + self.home_wait,
            Relation::Worse | Relation::Equal | Relation::Better | Relation::Unknown => Instant::NEVER,
        };
        let decision = if self.moving { Instant::NEVER } else { decision };
        let telling = match self.relation {
            Relation::Equal => Instant::NEVER,
            Relation::Unknown | Relation::Better | Relation::Worse if self.online => self.tell_at,
            Relation::Unknown | Relation::Better | Relation::Worse => Instant::NEVER,
        };
        telling.min(decision.max(self.ask_at))
    }
}

#[cfg(test)]
mod tests;
