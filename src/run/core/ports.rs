//! The media as the core process has them: by the numbers of ha.cf, each asked of the master, open, or to be asked for again.

use crate::conf::MediumSpec;
use crate::core::Worth;
use crate::core::guard::Order;
use crate::ids::MediumId;
use crate::media::{Opened, Packet, Port, Room};
use crate::sys;
use crate::sys::poll::{Want, wait};
use crate::time::{Duration, Instant};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

/// A bounded number at a time.
const PACKETS_AT_ONCE: usize = 64;
/// Within so many deadtimes a living node is heard, whatever is lost.
const LEARNING: u32 = 2;
/// A broken medium is tried again after this time: soon at first, since a restart of our own frees the port in a moment.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_secs(1);
const SOON: u32 = 5;

#[derive(Debug)]
enum Slot {
    /// Asked of the master.
    Opening,
    Open(Port),
    /// To be asked for again.
    Broken {
        retry: Instant,
    },
}

#[derive(Debug)]
struct Medium {
    spec: MediumSpec,
    slot: Slot,
    /// How often it was opened in vain.
    tries: u32,
}

impl Medium {
    fn new(spec: MediumSpec) -> Self {
        Self {
            spec,
            slot: Slot::Opening,
            tries: 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct Ports {
    media: Vec<Medium>,
    deadtime: Duration,
    /// For the datagrams of all ports.
    room: Room,
}

/// What a heap of packets was.
#[derive(Debug)]
pub(super) struct Heap {
    pub packets: Vec<Packet>,
    /// Nothing that came before the moment is left.
    pub last: bool,
}

impl Ports {
    pub fn new(specs: &[MediumSpec], deadtime: Duration) -> Self {
        Self {
            media: specs.iter().cloned().map(Medium::new).collect(),
            deadtime,
            room: Room::default(),
        }
    }

    fn port(&mut self, medium: MediumId) -> Option<&mut Port> {
        match &mut self.media.get_mut(medium.0)?.slot {
            Slot::Open(port) => Some(port),
            Slot::Opening | Slot::Broken { .. } => None,
        }
    }

    fn open(&self) -> impl Iterator<Item = (MediumId, &Port)> {
        self.media.iter().enumerate().filter_map(|(i, m)| match &m.slot {
            Slot::Open(port) => Some((MediumId(i), port)),
            Slot::Opening | Slot::Broken { .. } => None,
        })
    }

    /// Not yet open and not yet broken. A ping node tells something when it is there; nobody waits for it.
    pub fn awaited(&self) -> impl Iterator<Item = MediumId> {
        let awaited = |m: &Medium| matches!(m.slot, Slot::Opening) && !m.spec.is_ping();
        let media = self.media.iter().enumerate();
        media.filter(move |(_, m)| awaited(m)).map(|(i, _)| MediumId(i))
    }

    /// False for what was asked for before a reload gave the number to another medium.
    pub fn is_meant(&self, medium: MediumId, what: &str) -> bool {
        self.media.get(medium.0).is_some_and(|m| m.spec.whole() == what)
    }

    /// Those over which nodes are heard.
    pub fn of_nodes(&self) -> impl Iterator<Item = MediumId> {
        let media = self.media.iter().enumerate();
        media.filter(|(_, m)| !m.spec.is_ping()).map(|(i, _)| MediumId(i))
    }

    /// Why the opened medium is of no use, when it is not.
    pub fn opened(&mut self, medium: MediumId, to: Option<SocketAddr>, fd: Option<OwnedFd>) -> Option<String> {
        let learning = self.deadtime * LEARNING;
        let (Some(m), Some(fd)) = (self.media.get_mut(medium.0), fd) else {
            return None;
        };
        match Port::new(&m.spec, Opened { fd, to }) {
            Ok(port) => {
                m.slot = Slot::Open(port.guarded(&m.spec, learning));
                m.tries = 0;
                None
            }
            Err(e) => {
                self.broken(medium);
                Some(e.to_string())
            }
        }
    }

    pub fn broken(&mut self, medium: MediumId) {
        let Some(m) = self.media.get_mut(medium.0) else {
            return;
        };
        m.tries += 1;
        let pause = if m.tries <= SOON { FIRST_RETRY } else { RETRY };
        m.slot = Slot::Broken {
            retry: sys::now() + pause,
        };
    }

    /// Broken ones whose time has come; they count as asked for again.
    pub fn try_again(&mut self, now: Instant) -> Vec<MediumId> {
        let mut due = Vec::new();
        for (i, m) in self.media.iter_mut().enumerate() {
            if matches!(m.slot, Slot::Broken { retry } if now >= retry) {
                m.slot = Slot::Opening;
                due.push(MediumId(i));
            }
        }
        due
    }

    /// The open ones and what to wait for, in the same order.
    pub fn wants(&self) -> (Vec<MediumId>, Vec<Want<'_>>) {
        self.open()
            .map(|(medium, port)| {
                let want = Want {
                    fd: port.fd(),
                    write: port.wants_write(),
                };
                (medium, want)
            })
            .unzip()
    }

    /// Those of the open ones that have something to read now.
    pub fn readable(&self) -> io::Result<Vec<MediumId>> {
        let (open, wants): (Vec<_>, Vec<_>) = self.open().map(|(m, port)| (m, Want::read(port.fd()))).unzip();
        let ready = wait(&wants, sys::now())?;
        Ok(open
            .into_iter()
            .zip(ready)
            .filter(|(_, r)| r.read)
            .map(|(m, _)| m)
            .collect())
    }

    /// When something is to be done although nothing came.
    pub fn deadline(&self) -> Instant {
        let due = self.media.iter().map(|m| match &m.slot {
            Slot::Open(port) => port.deadline(),
            Slot::Broken { retry } => *retry,
            Slot::Opening => Instant::NEVER,
        });
        due.min().unwrap_or(Instant::NEVER)
    }

    pub fn are_flooded(&self) -> bool {
        self.open().any(|(_, port)| port.is_flooded())
    }

    /// What came to this medium before `began`, a heap of it, and perhaps more; `None` when it is not open.
    pub fn receive(&mut self, medium: MediumId, began: Instant) -> io::Result<Option<Heap>> {
        let Some(Slot::Open(port)) = self.media.get_mut(medium.0).map(|m| &mut m.slot) else {
            return Ok(None);
        };
        let packets = port.receive(&mut self.room, PACKETS_AT_ONCE)?;
        let newest = packets.last().map_or(began, |p| p.at);
        let last = port.is_read_up_to(began) || newest > began;
        Ok(Some(Heap { packets, last }))
    }

    /// Of a packet from `from`. A reload may have taken the medium away meanwhile.
    pub fn judged(&mut self, medium: MediumId, now: Instant, from: Option<IpAddr>, worth: Worth) {
        if let Some(port) = self.port(medium) {
            port.judged(now, from, worth);
        }
    }

    pub fn send(&mut self, medium: MediumId, bytes: &[u8]) -> io::Result<()> {
        self.port(medium).map_or(Ok(()), |port| port.send(bytes))
    }

    pub fn flush(&mut self, medium: MediumId) -> io::Result<()> {
        self.port(medium).map_or(Ok(()), Port::flush)
    }

    /// A flood is told once when it begins and once when it is over.
    pub fn mind_floods(&mut self, medium: MediumId) {
        let Some(port) = self.port(medium) else { return };
        let was_shut = port.is_flooded();
        let Some((order, done)) = port.mind_floods(sys::now()) else {
            return;
        };
        let link = self.media[medium.0].spec.link();
        match (order, done) {
            (_, Err(e)) => log::warn!("link {link}: it is flooded, and the kernel takes no filter: {e}"),
            (Order::Shut { .. }, Ok(())) if was_shut => {}
            (Order::Shut { .. }, Ok(())) => log::warn!(
                "link {link}: flooded with bad packets; until that is over the kernel drops what does not come from a \
                 known node or does not look like a message, and only a part of it is counted"
            ),
            (Order::Open, Ok(())) => log::info!("link {link}: the flood is over; everything is looked at again"),
        }
    }

    /// Follows a new ha.cf: ports of lines that stay are kept as they are. The numbers of those to ask for.
    pub fn follow(&mut self, specs: &[MediumSpec], deadtime: Duration) -> Vec<MediumId> {
        self.deadtime = deadtime;
        let mut old = std::mem::take(&mut self.media);
        let mut fresh = Vec::new();
        for (i, spec) in specs.iter().enumerate() {
            let stays =
                |m: &Medium| m.spec.kind == spec.kind && m.spec.port == spec.port && !matches!(m.slot, Slot::Opening);
            let medium = match old.iter().position(stays) {
                Some(at) => Medium {
                    spec: spec.clone(),
                    ..old.swap_remove(at)
                },
                None => {
                    fresh.push(MediumId(i));
                    Medium::new(spec.clone())
                }
            };
            self.media.push(medium);
        }
        fresh
    }
}
