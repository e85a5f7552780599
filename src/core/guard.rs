//! Notices that a medium is flooded, and says what the kernel shall let through until that is over.
//!
//! While all is well everything is let through, so that the log says who sends rubbish; and from what is believed
//! it is learned where the nodes are. Junk that has a node's own address and looks like a packet still comes in and is
//! checked: that costs some microseconds each, and loses nothing.

use super::Worth;
use crate::time::{Duration, Instant};
use std::net::IpAddr;

/// Packets are counted over this time.
const WINDOW: Duration = Duration::from_millis(100);
/// More bad packets than this in a window are a flood: 1000 a second, above what any mistake of a configuration makes.
const FLOOD: u32 = 100;
/// Of what is not known, one in so many is let through at first; and fewer, while there are more than `MANY` in a window.
const SHARE: u32 = 8;
const MANY: u32 = 800;
const LEAST_SHARE: u32 = 4096;
/// A flood is over when so long no window had more than `CALM` bad packets.
const OVER: Duration = Duration::from_secs(10);
const CALM: u32 = 10;
/// Above the number of addresses of any real cluster; when it is full, addresses are not looked at.
const MAX_SOURCES: usize = 32;
/// An address that was not heard from so long makes room for another one.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// What the medium shall do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Only what begins as a packet of ours and comes from these, and one in `share` of the rest.
    Shut {
        sources: Option<Vec<IpAddr>>,
        share: u32,
    },
    Open,
}

#[derive(Debug)]
pub struct Guard {
    /// Where the nodes are, this one included, and when they were heard last.
    known: Vec<(IpAddr, Instant)>,
    /// Every node that lives was heard by then.
    learned_at: Instant,
    window: Instant,
    bad: u32,
    /// Of these from addresses that are not known, or without the marks of a packet.
    strange: u32,
    shut: bool,
    share: u32,
    /// The last window with many bad packets.
    busy: Instant,
    changed: bool,
    /// The last order named the addresses.
    named: bool,
}

impl Guard {
    /// `seed` is known from the configuration; `learning` is the longest time in which a living node says nothing.
    pub fn new(now: Instant, seed: Option<IpAddr>, learning: Duration) -> Self {
        Self {
            known: seed.map(|s| (s, now)).into_iter().collect(),
            learned_at: now + learning,
            window: now,
            bad: 0,
            strange: 0,
            shut: false,
            share: SHARE,
            busy: now,
            changed: false,
            named: false,
        }
    }

    /// One packet was looked at.
    pub fn note(&mut self, now: Instant, from: IpAddr, worth: Worth) {
        let known = self.known.iter_mut().find(|(a, _)| *a == from);
        match (worth, known) {
            (Worth::Good, Some((_, heard))) => *heard = now,
            (Worth::Good, None) => {
                if self.known.len() >= MAX_SOURCES {
                    self.known.retain(|(_, heard)| now - *heard < FORGOTTEN);
                }
                if self.known.len() < MAX_SOURCES {
                    self.known.push((from, now));
                    self.changed = true;
                }
            }
            (Worth::Plain, _) => {}
            (Worth::Bad, known) => {
                self.strange += u32::from(known.is_none());
                self.bad += 1;
            }
        }
    }

    /// To be called after some packets, and when nothing has come for a while.
    pub fn order(&mut self, now: Instant) -> Option<Order> {
        let first = self.bad > FLOOD && !self.shut;
        if now - self.window < WINDOW && !first && !(self.shut && self.changed) {
            return None;
        }
        let was = (self.shut, self.share, self.named);
        if first {
            self.shut = true;
            self.share = SHARE;
        }
        if self.bad > CALM {
            self.busy = now;
        }
        if self.strange > MANY && self.shut && !first {
            self.share = (self.share * 2).min(LEAST_SHARE);
        }
        if now - self.window >= WINDOW || first {
            (self.window, self.bad, self.strange) = (now, 0, 0);
        }
        if self.shut && now - self.busy >= OVER {
            self.shut = false;
            self.changed = false;
            return Some(Order::Open);
        }
        let sources = self.sources(now);
        self.named = sources.is_some();
        let changed = std::mem::take(&mut self.changed);
        let new = changed || was != (self.shut, self.share, self.named);
        (self.shut && new).then_some(Order::Shut {
            sources,
            share: self.share,
        })
    }

    pub fn is_shut(&self) -> bool {
        self.shut
    }

    /// When to call [`Self::order`] even if nothing comes.
    pub fn deadline(&self) -> Instant {
        if self.shut {
            self.window + OVER / 10
        } else {
            Instant::NEVER
        }
    }

    /// `None` while it is not sure that all nodes are among them.
    fn sources(&self, now: Instant) -> Option<Vec<IpAddr>> {
        let sure = now >= self.learned_at && self.known.len() < MAX_SOURCES;
        sure.then(|| self.known.iter().map(|(a, _)| *a).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn guard() -> Guard {
        Guard::new(at(0), Some(ip(1)), Duration::from_secs(1))
    }

    fn junk(guard: &mut Guard, ms: u64, from: u8, count: u32) -> Option<Order> {
        for _ in 0..count {
            guard.note(at(ms), ip(from), Worth::Bad);
        }
        guard.order(at(ms))
    }

    fn shut(sources: &[u8], share: u32) -> Option<Order> {
        Some(Order::Shut {
            sources: Some(sources.iter().map(|s| ip(*s)).collect()),
            share,
        })
    }

    #[test]
    fn a_flood_is_shut_out_at_the_bound_and_let_in_when_it_is_over() {
        let mut g = guard();
        g.note(at(5), ip(2), Worth::Good);
        assert_eq!(junk(&mut g, 2000, 9, FLOOD), None);
        assert_eq!(junk(&mut g, 2050, 9, 1), None, "a new window began");
        assert_eq!(junk(&mut g, 2060, 9, FLOOD), shut(&[1, 2], SHARE));
        assert_eq!(junk(&mut g, 2070, 9, FLOOD), None, "it is shut already");
        // A node comes up and is heard: it is let in at once.
        g.note(at(2080), ip(3), Worth::Good);
        assert_eq!(g.order(at(2080)), shut(&[1, 2, 3], SHARE));
        assert_eq!(junk(&mut g, 5000, 9, CALM + 1), None);
        assert_eq!(junk(&mut g, 14_900, 9, CALM), None);
        assert_eq!(g.order(at(14_999)), None);
        assert_eq!(g.order(at(15_001)), Some(Order::Open));
        assert_eq!((g.order(at(16_000)), g.deadline()), (None, Instant::NEVER));
    }

    #[test]
    fn addresses_are_not_looked_at_before_every_living_node_was_heard() {
        let mut g = guard();
        let order = junk(&mut g, 100, 9, 2 * FLOOD);
        assert_eq!(
            order,
            Some(Order::Shut {
                sources: None,
                share: SHARE
            })
        );
        g.note(at(500), ip(2), Worth::Good);
        assert!(matches!(g.order(at(500)), Some(Order::Shut { sources: None, .. })));
        assert_eq!(junk(&mut g, 1000, 9, 2 * FLOOD), shut(&[1, 2], SHARE));
    }

    #[test]
    fn the_share_of_strangers_gets_smaller_while_there_are_many() {
        let mut g = guard();
        assert_eq!(junk(&mut g, 2000, 9, 5000), shut(&[1], SHARE));
        assert_eq!(junk(&mut g, 2100, 9, MANY), None);
        assert_eq!(junk(&mut g, 2200, 9, MANY + 1), shut(&[1], 2 * SHARE));
        for round in 0..20 {
            junk(&mut g, 2300 + round * 100, 9, MANY + 1);
        }
        assert_eq!(g.share, LEAST_SHARE);
        // Junk in the name of a node is no reason for it.
        let mut g = guard();
        assert_eq!(junk(&mut g, 2000, 1, 5000), shut(&[1], SHARE));
        assert_eq!(junk(&mut g, 2100, 1, 5000), None);
    }

    #[test]
    fn what_may_be_a_repetition_teaches_nothing_and_the_list_of_addresses_is_bounded() {
        let mut g = guard();
        g.note(at(1), ip(7), Worth::Plain);
        assert_eq!(junk(&mut g, 2000, 9, 1000), shut(&[1], SHARE));
        for last in 0..=255 {
            g.note(at(2001), ip(last), Worth::Good);
        }
        assert_eq!(g.known.len(), MAX_SOURCES);
        assert_eq!(
            g.order(at(2002)),
            Some(Order::Shut {
                sources: None,
                share: SHARE
            })
        );
        // Hours later the old ones make room.
        let later = 2001 + FORGOTTEN.as_millis() as u64;
        g.note(at(later), ip(200), Worth::Good);
        assert_eq!(g.known, [(ip(200), at(later))]);
    }
}
