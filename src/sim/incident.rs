//! One thing that goes wrong, or that an administrator does, and its end: the unit in which a failing plan is shrunk.

use super::plan::{Config, Fault, Kind};
use crate::core::random::Random;
use crate::groups::Set;
use crate::time::{Duration, Instant};

/// The kinds that the plans of old seeds are made of.
pub const OLD_KINDS: u64 = 13;
pub const ALL_KINDS: u64 = 19;

pub const CALM: Fault = Fault::Weather {
    loss: 0,
    repeats: 0,
    delay: Duration::from_millis(1),
    jitter: Duration::ZERO,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub at: Instant,
    pub lasting: Duration,
    /// So long after the beginning each.
    pub begin: Vec<(Duration, Fault)>,
    pub end: Vec<Fault>,
}

impl Incident {
    pub fn faults(&self) -> impl Iterator<Item = (Instant, Fault)> {
        let begin = self.begin.iter().map(|(after, f)| (self.at + *after, f.clone()));
        let end = self.end.iter().map(|f| (self.at + self.lasting, f.clone()));
        begin.chain(end)
    }

    fn then(&mut self, begin: Fault) {
        self.begin.push((Duration::ZERO, begin));
    }

    fn until(&mut self, begin: Fault, end: Fault) {
        self.then(begin);
        self.end.push(end);
    }

    /// Nothing goes between the two, one way or both.
    fn cut(&mut self, net: Option<usize>, (from, to): (usize, usize)) {
        self.until(Fault::Cut { net, from, to }, Fault::Mend { net, from, to });
    }

    /// A classic whose processes die leaves everything running, for ever: nothing that its peer does can help, so its
    /// whole machine dies. It does not notice that haresources changes, so only ha.cf does.
    #[must_use]
    pub fn beside(mut self, classic: &[usize]) -> Self {
        if classic.is_empty() {
            return self;
        }
        for (_, fault) in &mut self.begin {
            match fault {
                Fault::DaemonDies { node, back_after } if classic.contains(node) => {
                    self.lasting = *back_after;
                    self.end.push(Fault::Start(*node));
                    *fault = Fault::PowerOff(*node);
                }
                Fault::Reload(variant) => *variant = *variant % 2 * 3,
                _ => {}
            }
        }
        self
    }

    pub fn random(r: &mut Random, config: &Config, kind: Kind, kinds: u64, at: Instant, lasting: Duration) -> Self {
        let n = config.nodes as u64;
        let node = r.below(n) as usize;
        let other = (node + 1 + r.below(n - 1) as usize) % config.nodes;
        let net = (config.nets > 1 && r.below(2) == 0).then(|| r.below(config.nets as u64) as usize);
        let planned = [8, 9, 9, 10, 10, 11, 12];
        let what = match kind {
            Kind::Anything | Kind::Fenced | Kind::Classic => r.below(kinds),
            Kind::Planned => planned[r.below(planned.len() as u64) as usize],
        };
        let mut it = Self {
            at,
            lasting,
            begin: Vec::new(),
            end: Vec::new(),
        };
        match what {
            0 | 1 => {
                let both = r.below(3) > 0;
                it.cut(net, (node, other));
                if both {
                    it.cut(net, (other, node));
                }
            }
            // A node without any neighbour.
            2 => {
                for to in (0..config.nodes).filter(|i| *i != node) {
                    it.cut(net, (node, to));
                    it.cut(net, (to, node));
                }
            }
            3 => {
                let loss = [1, 5, 20, 40, 70][r.below(5) as usize];
                it.until(weather(r, loss), CALM);
            }
            4 => {
                let net = net.unwrap_or(0);
                it.until(Fault::MediumBreaks { net, node }, Fault::MediumMends { net, node });
            }
            5 => it.until(Fault::Freeze(node), Fault::Thaw(node)),
            6 => it.until(Fault::PowerOff(node), Fault::Start(node)),
            7 => {
                let back_after = Duration::from_millis([5, 200, lasting.as_millis() as u64][r.below(3) as usize]);
                it.then(Fault::DaemonDies { node, back_after });
            }
            8 => {
                it.lasting += Duration::from_secs(1);
                it.then(Fault::Stop(node));
                it.end.push(Fault::Start(node));
            }
            9 | 10 => {
                let ask = |node, set| match what {
                    9 => Fault::Standby(node, set),
                    _ => Fault::Takeover(node, set),
                };
                it.then(ask(node, random_set(r)));
                if r.below(3) == 0 {
                    let soon = Duration::from_millis(r.below(300));
                    it.begin.push((soon, ask(other, random_set(r))));
                }
            }
            11 => it.then(Fault::Reload(r.below(6) as usize)),
            12 => {
                let loss = if r.below(2) == 0 { 0 } else { 10 };
                it.until(weather(r, loss), CALM);
            }
            13 => {
                let far = [5, 3600, 86_400 * 400][r.below(3) as usize];
                let seconds = if r.below(2) == 0 { far } else { -far };
                it.then(Fault::ClockStep { node, seconds });
            }
            14 => it.until(Fault::DiskFails(node), Fault::DiskMends(node)),
            // The cluster falls into two parts.
            15 => {
                let side = 1 + r.below((1 << n) - 2);
                for from in 0..config.nodes {
                    for to in 0..config.nodes {
                        if (side >> from) & 1 != (side >> to) & 1 {
                            it.cut(net, (from, to));
                        }
                    }
                }
            }
            // Power is off in the whole house.
            16 => {
                for node in 0..config.nodes {
                    it.until(Fault::PowerOff(node), Fault::Start(node));
                }
            }
            // A service dies, on one node or on one after the other.
            18 => {
                let group = r.below(config.groups.len() as u64) as usize;
                let restarts = r.below(3) as u32;
                for i in 0..1 + r.below(4) {
                    let node = if r.below(3) == 0 { other } else { node };
                    let after = Duration::from_millis(i * r.below(1500));
                    it.begin.push((after, Fault::Sick { node, group, restarts }));
                }
            }
            // Scripts fail and hang for a while.
            _ => {
                let usual = Fault::Scripts {
                    start_fails: config.start_fails,
                    stop_fails: config.stop_fails,
                };
                let worse = Fault::Scripts {
                    start_fails: [100, 1000][r.below(2) as usize],
                    stop_fails: [0, 200][r.below(2) as usize],
                };
                it.until(worse, usual);
            }
        }
        it
    }
}

fn random_set(r: &mut Random) -> Set {
    [Set::ALL, Set::LOCAL, Set::FOREIGN][r.below(3) as usize]
}

fn weather(r: &mut Random, loss: u8) -> Fault {
    Fault::Weather {
        loss,
        repeats: [0, 10][r.below(2) as usize],
        delay: Duration::from_millis(r.below(30)),
        jitter: Duration::from_millis([0, 5, 100][r.below(3) as usize]),
    }
}
