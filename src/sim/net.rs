//! The networks: for each of them and each direction of each pair, what happens to a packet.

use crate::core::random::Random;
use crate::time::{Duration, Instant};

/// What happens to packets of one node to another one on one network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    pub cut: bool,
    /// Of 100 packets.
    pub loss: u8,
    /// Of 100 packets come twice.
    pub repeats: u8,
    pub delay: Duration,
    /// Up to so much more, differently for each packet: they overtake each other.
    pub jitter: Duration,
}

pub const CLEAR: Path = Path {
    cut: false,
    loss: 0,
    repeats: 0,
    delay: Duration::from_millis(1),
    jitter: Duration::ZERO,
};

#[derive(Debug)]
pub struct Net {
    nodes: usize,
    paths: Vec<Path>,
    /// Per network and node: the interface does not work.
    broken: Vec<bool>,
}

impl Net {
    pub fn new(nets: usize, nodes: usize) -> Self {
        Self {
            nodes,
            paths: vec![CLEAR; nets * nodes * nodes],
            broken: vec![false; nets * nodes],
        }
    }

    pub fn nets(&self) -> usize {
        self.broken.len() / self.nodes
    }

    fn at(&self, net: usize, from: usize, to: usize) -> usize {
        (net * self.nodes + from) * self.nodes + to
    }

    pub fn path(&self, net: usize, from: usize, to: usize) -> Path {
        self.paths[self.at(net, from, to)]
    }

    pub fn path_mut(&mut self, net: usize, from: usize, to: usize) -> &mut Path {
        let at = self.at(net, from, to);
        &mut self.paths[at]
    }

    pub fn set_broken(&mut self, net: usize, node: usize, broken: bool) {
        self.broken[net * self.nodes + node] = broken;
    }

    pub fn is_broken(&self, net: usize, node: usize) -> bool {
        self.broken[net * self.nodes + node]
    }

    /// Everything works again.
    pub fn heal(&mut self) {
        self.paths.fill(CLEAR);
        self.broken.fill(false);
    }

    /// When the copies of a packet that is sent now arrive: none, one or two.
    pub fn arrivals(
        &self,
        random: &mut Random,
        now: Instant,
        net: usize,
        from: usize,
        to: usize,
    ) -> [Option<Instant>; 2] {
        if self.is_broken(net, from) || self.is_broken(net, to) {
            return [None; 2];
        }
        if from == to {
            return [Some(now), None];
        }
        let path = self.path(net, from, to);
        if path.cut || (path.loss > 0 && random.below(100) < u64::from(path.loss)) {
            return [None; 2];
        }
        let mut when = || now + path.delay + Duration::from_millis(random.below(path.jitter.as_millis() as u64 + 1));
        let first = when();
        let second = when();
        let twice = path.repeats > 0 && random.below(100) < u64::from(path.repeats);
        [Some(first), twice.then_some(second)]
    }

    /// The loss in percent of the best network that carries from `a` to `b` and back; `None` when none does.
    pub fn best_loss(&self, a: usize, b: usize) -> Option<u8> {
        (0..self.nets())
            .filter(|n| !self.is_broken(*n, a) && !self.is_broken(*n, b))
            .map(|n| (self.path(n, a, b), self.path(n, b, a)))
            .filter(|(to, fro)| !to.cut && !fro.cut)
            .map(|(to, fro)| to.loss.max(fro.loss))
            .min()
    }
}
