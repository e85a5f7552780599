//! Who says on the wire that an address is his: what is heard by itself, and what is asked for.
//!
//! The kernel throws away all frames that are not about our addresses. Of the others a bounded number is read in a time:
//! whoever sends thousands a second costs a small constant part of one processor, and is told of ten times a second.

use super::scene::Scene;
use crate::groups::lookout::Sighting;
use crate::sys::packet::PacketSocket;
use crate::sys::poll::Want;
use crate::time::{Duration, Instant};
use crate::wire::Mac;
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6};
use crate::wire::sight::{self, Sight, filter};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

/// Frames that are read at a time; whoever sends more than that …
const FRAMES: usize = 64;
/// … is not listened to for so long.
const REST: Duration = Duration::from_millis(5);
/// What is said of one address is told so often.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// A machine of the segment answers within a millisecond; one question may be lost.
const ASK_AGAIN: Duration = Duration::from_millis(3);
const ANSWER_WITHIN: Duration = Duration::from_millis(8);

/// A socket for the frames of one interface.
#[derive(Debug)]
struct Ear {
    socket: PacketSocket,
    addresses: Vec<IpAddr>,
    rests_until: Instant,
}

#[derive(Debug)]
struct Question {
    number: u64,
    asked: Vec<(String, IpAddr, u32)>,
    answers: Vec<(String, Mac)>,
    again: Instant,
    until: Instant,
}

/// What another machine said of one of our addresses.
#[derive(Debug)]
struct Claim {
    mac: Mac,
    interface: String,
    times: u64,
    tell_at: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Ears {
    /// By interface and kind of address.
    ears: BTreeMap<(u32, bool), Ear>,
    questions: Vec<Question>,
    claims: BTreeMap<String, Claim>,
}

impl Ears {
    /// Listens where the addresses are or belong, and nowhere else.
    pub fn follow(&mut self, scene: &Scene) {
        let mut wanted: BTreeMap<(u32, bool), Vec<IpAddr>> = BTreeMap::new();
        for (_, ip, index) in scene.homes().chain(scene.held()) {
            if scene.link(index).is_some() {
                let addresses = wanted.entry((index, ip.is_ipv6())).or_default();
                if !addresses.contains(&ip) {
                    addresses.push(ip);
                }
            }
        }
        self.ears.retain(|place, _| wanted.contains_key(place));
        self.claims.retain(|word, _| scene.held().any(|(w, ..)| w == word));
        for (place, addresses) in wanted {
            if let Err(e) = self.listen_at(place, addresses) {
                log::debug!("lookout: cannot listen on interface number {}: {e}", place.0);
                self.ears.remove(&place);
            }
        }
    }

    fn listen_at(&mut self, place: (u32, bool), addresses: Vec<IpAddr>) -> io::Result<()> {
        let (index, v6) = place;
        let program = filter(v6, &addresses);
        if let Some(ear) = self.ears.get_mut(&place) {
            if ear.addresses != addresses {
                ear.socket.set_filter(&program)?;
                ear.addresses = addresses;
            }
            return Ok(());
        }
        let ethertype = if v6 { ETHERTYPE_IPV6 } else { ETHERTYPE_ARP };
        let socket = PacketSocket::listener(index, ethertype, &program)?;
        let rests_until = Instant::default();
        self.ears.insert(
            place,
            Ear {
                socket,
                addresses,
                rests_until,
            },
        );
        Ok(())
    }

    /// Adds the ears that are awake; gives their places in the order of `wants`.
    pub fn wants<'a>(&'a self, now: Instant, wants: &mut Vec<Want<'a>>) -> Vec<usize> {
        let awake = self.ears.values().enumerate().filter(|(_, e)| now >= e.rests_until);
        awake
            .map(|(i, ear)| {
                wants.push(Want::read(ear.socket.fd()));
                i
            })
            .collect()
    }

    pub fn deadline(&self) -> Instant {
        let rests = self
            .ears
            .values()
            .map(|e| e.rests_until)
            .filter(|at| *at > crate::sys::now());
        let questions = self.questions.iter().map(|q| q.again.min(q.until));
        let claims = self.claims.values().filter(|c| c.times > 0).map(|c| c.tell_at);
        rests.chain(questions).chain(claims).min().unwrap_or(Instant::NEVER)
    }

    /// Reads what ear number `i` has heard.
    pub fn listen(&mut self, i: usize, now: Instant, scene: &Scene) {
        let Some((place, ear)) = self.ears.iter_mut().nth(i) else {
            return;
        };
        let index = place.0;
        let mut sights = Vec::new();
        for n in 0.. {
            if n == FRAMES {
                ear.rests_until = now + REST;
                break;
            }
            // An interface that is down is an error once; what is heard afterwards comes all the same.
            match ear.socket.receive(Instant::default()) {
                Ok(Some(frame)) => sights.extend(Sight::from_frame(&frame)),
                Ok(None) | Err(_) => break,
            }
        }
        for sight in sights {
            self.heard(now, index, sight, scene);
        }
    }

    fn heard(&mut self, now: Instant, index: u32, sight: Sight, scene: &Scene) {
        if scene.is_own(sight.mac) {
            return;
        }
        for question in &mut self.questions {
            for (word, ip, at) in &question.asked {
                if *ip == sight.ip && *at == index && !question.answers.iter().any(|(w, _)| w == word) {
                    question.answers.push((word.clone(), sight.mac));
                }
            }
        }
        let held = scene.held().find(|(_, ip, at)| *ip == sight.ip && *at == index);
        let (Some((word, ..)), Some((link, _))) = (held, scene.link(index)) else {
            return;
        };
        let claim = self.claims.entry(word.to_owned()).or_insert_with(|| Claim {
            mac: sight.mac,
            interface: link.name.clone(),
            times: 0,
            tell_at: now,
        });
        claim.mac = sight.mac;
        claim.times = claim.times.saturating_add(1);
    }

    /// Asks the segment for these addresses, all at once.
    pub fn ask(&mut self, now: Instant, number: u64, addresses: &[String], scene: &Scene) {
        let here = |ip: IpAddr| scene.held().any(|(_, held, _)| held == ip);
        let asked = scene.homes().filter(|(word, ip, index)| {
            let running = scene.link(*index).is_some_and(|(link, _)| link.is_running());
            addresses.iter().any(|a| a == word) && running && !here(*ip)
        });
        let asked: Vec<(String, IpAddr, u32)> = asked.map(|(word, ip, index)| (word.to_owned(), ip, index)).collect();
        let question = Question {
            number,
            // Where nobody can be asked, nobody answers.
            until: if asked.is_empty() { now } else { now + ANSWER_WITHIN },
            again: now + ASK_AGAIN,
            asked,
            answers: Vec::new(),
        };
        self.put(&question, scene);
        self.questions.push(question);
    }

    /// A frame about `ip`, out of the socket that is open for it: to close one takes the kernel 8 ms.
    pub fn send(&self, index: u32, ip: IpAddr, frame: &[u8]) -> io::Result<()> {
        let ear = self.ears.get(&(index, ip.is_ipv6()));
        ear.ok_or(io::ErrorKind::NotConnected)?.socket.send(frame)
    }

    fn put(&self, question: &Question, scene: &Scene) {
        for (_, ip, index) in &question.asked {
            let Some((_, mac)) = scene.link(*index) else { continue };
            if let Err(e) = self.send(*index, *ip, &sight::question(*ip, mac)) {
                log::debug!("lookout: {ip} cannot be asked for: {e}");
            }
        }
    }

    /// What is to be told now.
    pub fn tick(&mut self, now: Instant, scene: &Scene) -> Vec<Sighting> {
        let mut told = Vec::new();
        for mut question in std::mem::take(&mut self.questions) {
            if now >= question.until || question.answers.len() == question.asked.len() {
                let Question { number, answers, .. } = question;
                told.push(Sighting::Answered { number, answers });
                continue;
            }
            if now >= question.again {
                question.again = Instant::NEVER;
                self.put(&question, scene);
            }
            self.questions.push(question);
        }
        for (word, claim) in &mut self.claims {
            if claim.times > 0 && now >= claim.tell_at {
                told.push(Sighting::Foreign {
                    address: word.clone(),
                    mac: claim.mac,
                    interface: claim.interface.clone(),
                    times: std::mem::take(&mut claim.times),
                });
                claim.tell_at = now + TELL_EVERY;
            }
        }
        told
    }
}
