//! What the lookout sends: announcements of held addresses, and segments that wake the clients of lost connections.

use super::ears::Ears;
use super::scene::Scene;
use crate::address::announce::{self, SERIES};
use crate::groups::lookout::Ends;
use crate::sys::raw_ip::RawIp;
use crate::time::{Duration, Instant};
use crate::wire::tcp;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// When clients are woken, counted from the first time. A segment may be lost, and Linux answers one that fits nothing
/// twice a second at most.
const ROUNDS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(600), Duration::from_secs(2)];

#[derive(Debug)]
struct Announcement {
    index: u32,
    begun: Instant,
    /// Next of the series.
    next: usize,
}

#[derive(Debug)]
struct Tickle {
    connections: Vec<Ends>,
    begun: Instant,
    next: usize,
}

#[derive(Debug, Default)]
pub(super) struct Voice {
    announcements: BTreeMap<IpAddr, Announcement>,
    tickles: Vec<Tickle>,
}

impl Announcement {
    fn due(&self) -> Option<Instant> {
        match self.next {
            0 => Some(self.begun),
            n => SERIES.get(n - 1).map(|after| self.begun + *after),
        }
    }
}

impl Tickle {
    fn due(&self) -> Option<Instant> {
        ROUNDS.get(self.next).map(|after| self.begun + *after)
    }
}

impl Voice {
    /// Now, and a few times more.
    pub fn announce(&mut self, now: Instant, addresses: &[String], scene: &Scene) {
        for (_, ip, index) in scene.held().filter(|(word, ..)| addresses.iter().any(|a| a == word)) {
            let fresh = Announcement {
                index,
                begun: now,
                next: 0,
            };
            self.announcements.insert(ip, fresh);
        }
    }

    pub fn tickle(&mut self, now: Instant, connections: Vec<Ends>) {
        self.tickles.push(Tickle {
            connections,
            begun: now,
            next: 0,
        });
    }

    pub fn deadline(&self) -> Instant {
        let announcements = self.announcements.values().filter_map(Announcement::due);
        let tickles = self.tickles.iter().filter_map(Tickle::due);
        announcements.chain(tickles).min().unwrap_or(Instant::NEVER)
    }

    pub fn tick(&mut self, now: Instant, scene: &mut Scene, ears: &Ears) {
        let mut announcements = std::mem::take(&mut self.announcements);
        announcements.retain(|ip, a| {
            if a.due().is_some_and(|at| now >= at) {
                a.next += 1;
                say(*ip, a.index, scene, ears);
            }
            a.due().is_some() && scene.held().any(|(_, held, _)| held == *ip)
        });
        self.announcements = announcements;
        for tickle in &mut self.tickles {
            if tickle.due().is_some_and(|at| now >= at) {
                tickle.next += 1;
                wake(&tickle.connections, scene);
            }
        }
        self.tickles.retain(|t| t.due().is_some());
    }
}

fn say(ip: IpAddr, index: u32, scene: &mut Scene, ears: &Ears) {
    if !scene.still_has(ip, index) {
        return;
    }
    let Some((link, mac)) = scene.link(index) else { return };
    let frames = announce::frames(ip, mac, ip.is_ipv6() && announce::is_router(link));
    if let Err(e) = frames.iter().try_for_each(|f| ears.send(index, ip, f)) {
        log::debug!("lookout: {ip} cannot be announced: {e}");
    }
}

/// Only from addresses that are here.
fn wake(connections: &[Ends], scene: &Scene) {
    let here: Vec<IpAddr> = scene.held().map(|(_, ip, _)| ip).collect();
    for v6 in [false, true] {
        let ours = |(local, _): &&Ends| local.is_ipv6() == v6 && here.contains(&local.ip());
        let mut ours = connections.iter().filter(ours).peekable();
        if ours.peek().is_none() {
            continue;
        }
        let sent = RawIp::open(v6).map(|socket| {
            for (local, remote) in ours {
                // A client that cannot be reached is not woken; the others are.
                let _ = tcp::tickle(*local, *remote).map(|packet| socket.send(&packet, remote.ip()));
            }
        });
        if let Err(e) = sent {
            log::debug!("lookout: no client can be woken: {e}");
        }
    }
}
