//! From bytes to believed messages: signature, sender, generation, number; then what the message layer itself does.

use super::knock;
use super::layer::{Core, Up, Worth};
use super::node::{Link, NodeStatus};
use super::table::COMMANDS;
use super::window::Verdict;
use crate::auth::{self, Refusal};
use crate::ids::{Generation, MediumId, NodeName, Seq};
use crate::msg::{Message, Value, fields, netstring};
use crate::time::{Duration, Instant, Now};
use log::Level;

/// A peer may announce a death time of at most this much more than ten of ours; the classic believes any number.
const LONGEST_DT: Duration = Duration::from_secs(60);

/// Field of ours in `NS_ackmsg`: the generation whose numbers are acknowledged. The classic does not say it.
const ACK_LIFE: &str = "hb_life";

/// What a numbered message is, by its number.
enum Counts {
    /// Over, or recorded.
    Not,
    /// Heard before.
    AsCopy,
    /// `closes`: it was the last one that was missing.
    AsNew { closes: bool },
}

impl Core {
    /// A packet that came just now.
    pub fn receive(&mut self, now: Now, medium: MediumId, packet: &[u8]) {
        self.receive_at(now, now.mono, medium, packet);
    }

    /// One packet from a medium, which came to this machine at `at`: on a busy one that may be long ago, and no peer is to
    /// be blamed for it. Anything that is not authentic is dropped before a field of it is believed.
    pub fn receive_at(&mut self, now: Now, at: Instant, medium: MediumId, packet: &[u8]) {
        self.worth = Worth::Bad;
        let at = at.min(now.mono);
        if medium.0 >= self.media.len() {
            return;
        }
        if let Some(node) = self.media[medium.0].ping.clone() {
            self.worth = Worth::Plain;
            self.hear_echo(now, medium, &node, packet);
            return;
        }
        if self.knows(at, medium, packet) {
            return;
        }
        if self.is_spent(packet) {
            self.counters.add("stale_packets");
            return;
        }
        let link = self.media[medium.0].link.clone();
        let message = match auth::open(packet, &self.keys) {
            Ok(message) => message,
            Err(refusal) => {
                self.refused(now.mono, medium, packet.len(), &refusal);
                return;
            }
        };
        let src = message.get(fields::SRC).and_then(|s| s.parse::<NodeName>().ok());
        let (Some(src), Some(generation), false) = (
            src,
            message.hex(fields::GENERATION).map(Generation),
            message.kind().is_empty(),
        ) else {
            self.counters
                .complain(now.mono, Level::Error, "bad_packets_incomplete", || {
                    format!("link {link}: a message without t, src or hg is dropped")
                });
            return;
        };
        let i = match self.index(&src) {
            Some(i) if self.nodes[i].is_ping() => {
                self.counters
                    .complain(now.mono, Level::Error, "bad_packets_unknown_node", || {
                        format!("link {link}: bad node [{src}] in message: it is a ping node; dropped")
                    });
                return;
            }
            Some(i) => i,
            None if self.join(now, &src) => self.nodes.len() - 1,
            None => return,
        };
        if src == self.me {
            self.hear_myself(now, at, i, medium, generation, &message);
            return;
        }
        // A uuid does not change while a heartbeat runs: two machines counting as one would hide each other's death.
        if self.nodes[i].generation.is_some_and(|known| generation <= known)
            && let Some(why) = self.name_used_twice(i, uuid_of(&message))
        {
            self.counters
                .complain(now.mono, Level::Error, "name_used_twice", || why);
            return;
        }
        if let Some(known) = self.nodes[i].newest_life().filter(|known| generation < *known) {
            self.counters
                .complain(now.mono, Level::Error, "bad_packets_replayed", || {
                    format!(
                        "node {src}: attempted replay attack? generation {generation} is over, {known} was heard; dropped \
                         (if the node lost its hb_generation, write {known} into it and start its heartbeat again)"
                    )
                });
            return;
        }
        if message.kind() == knock::KIND {
            self.worth = Worth::Plain;
            self.answer_knock(now, i);
            return;
        }
        if message.kind().starts_with("NS_") {
            self.take_unnumbered(now, i, generation, &message);
            return;
        }
        // Found again: the message may have taken other nodes out of the table.
        if self.take_numbered(now, at, i, medium, generation, message)
            && let Some(i) = self.index(&src)
        {
            let node = &mut self.nodes[i];
            node.newest.clear();
            node.newest.extend_from_slice(packet);
            node.newest_by = bit(medium);
        }
    }

    /// It would be dropped as a repetition if its signature were right, so the signature need not be looked at: somebody
    /// who records packets could send them again faster than they can be checked.
    fn is_spent(&self, packet: &[u8]) -> bool {
        let Some((src, generation, seq)) = netstring::claims(packet) else {
            return false;
        };
        let node = self.nodes.iter().find(|n| n.name.as_str() == src && n.name != self.me);
        node.is_some_and(|n| !n.is_dead() && n.generation == Some(Generation(generation)) && n.window.is_old(Seq(seq)))
    }

    pub(super) fn refused(&mut self, now: Instant, medium: MediumId, bytes: usize, refusal: &Refusal) {
        let cause = match refusal {
            Refusal::Malformed(_) => "bad_packets_malformed",
            Refusal::NoToken => "bad_packets_unsigned",
            Refusal::UnknownKey => "bad_packets_unknown_key",
            Refusal::WrongSignature => "bad_packets_wrong_signature",
        };
        let link = &self.media[medium.0].link;
        self.counters.complain(now, Level::Warn, cause, || {
            format!("link {link}: a packet of {bytes} bytes is dropped: {refusal}")
        });
    }

    /// A packet that was checked before, byte for byte: our own one that comes back, or the newest of a living peer once
    /// more, over another medium or repeated by the network. Most of what comes is of these two kinds.
    fn knows(&mut self, now: Instant, medium: MediumId, packet: &[u8]) -> bool {
        if let Some(i) = self
            .nodes
            .iter()
            .position(|n| n.newest == packet && !packet.is_empty() && !n.is_dead())
        {
            let by = &mut self.nodes[i].newest_by;
            let first = *by & bit(medium) == 0 && bit(medium) != 0;
            *by |= bit(medium);
            self.worth = if first { Worth::Good } else { Worth::Plain };
            // Drawn as for any other packet: the trace does not depend on how a repetition was recognised.
            self.first_request(now);
            self.counters.add("duplicates");
            self.link_heard(i, medium, now);
            if let Some(seq) = self.nodes[i].window.last() {
                self.count_packet(i, medium, now, seq);
            }
            return true;
        }
        let own = self.sent.iter().any(|sent| **sent == *packet);
        if own && let Some(me) = self.index(&self.me) {
            self.worth = Worth::Plain;
            self.link_heard(me, medium, now);
        }
        own
    }

    /// Our own packet came back: the medium carries. A number we never sent means that somebody has our name.
    fn hear_myself(&mut self, now: Now, at: Instant, i: usize, medium: MediumId, generation: Generation, m: &Message) {
        let newest = self.history.newest();
        let ours = generation == self.generation && m.hex(fields::SEQ).is_none_or(|s| Seq(s) <= newest);
        if ours {
            self.worth = Worth::Plain;
            self.link_heard(i, medium, at);
        } else if generation < self.generation {
            // Of a life of ours before this one.
            self.counters.add("stale_packets");
        } else {
            let me = self.me.clone();
            self.counters
                .complain(now.mono, Level::Error, "own_name_used_by_another", || {
                    let link = &self.media[medium.0].link;
                    format!("link {link}: another machine sends as node {me}; give each node its own name")
                });
        }
    }

    pub(super) fn link_heard(&mut self, i: usize, medium: MediumId, now: Instant) {
        let (node, link) = (&mut self.nodes[i], &self.media[medium.0].link);
        let heard = Link::Up { heard: now };
        let before = match node.links.get_mut(link) {
            // What came by another socket, or before a pause of ours, may be older than what is known.
            Some(Link::Up { heard: known }) => {
                *known = now.max(*known);
                return;
            }
            Some(state) => std::mem::replace(state, heard),
            None => node.links.insert(link.clone(), heard).unwrap_or(Link::Dead),
        };
        if before == Link::Dead {
            log::info!("Link {}:{link} up.", node.name);
            let figures = node.figures_of(link, now);
            figures.since = now;
            figures.tally.restart();
            self.up.push_back(Up::Link {
                node: node.name.clone(),
                link: link.clone(),
                up: true,
            });
        }
    }

    fn count_packet(&mut self, i: usize, medium: MediumId, now: Instant, seq: Seq) {
        let (node, link) = (&mut self.nodes[i], &self.media[medium.0].link);
        node.tally.heard(now, seq);
        node.figures_of(link, now).tally.heard(now, seq);
    }

    /// `NS_` types carry no number, so they are believed only within the known generation of a live sender.
    fn take_unnumbered(&mut self, now: Now, i: usize, generation: Generation, message: &Message) {
        if self.nodes[i].generation != Some(generation) {
            return;
        }
        self.worth = Worth::Plain;
        let for_me = self.is_for_me(message);
        match message.kind() {
            "NS_rexmit" if for_me => self.repeat(now, message, i),
            // Every node that misses the number may forget it; a request of somebody else tells as much.
            "NS_nak_rexmit" => {
                let Some(seq) = message.hex(fields::FIRSTSEQ).map(Seq) else {
                    return;
                };
                if self.nodes[i].window.give_up(seq) {
                    let name = self.nodes[i].name.clone();
                    self.counters.complain(now.mono, Level::Error, "lost_for_good", || {
                        format!("node {name}: Irretrievably lost packet {seq}")
                    });
                }
            }
            // Said to a life of ours before this one, whose numbers these are not.
            "NS_ackmsg" if for_me && message.hex(ACK_LIFE).is_some_and(|life| life != self.generation.0) => {
                self.counters.add("stale_packets");
            }
            "NS_ackmsg" if for_me => {
                let Some(acked) = message.hex(fields::ACKSEQ).map(Seq) else {
                    return;
                };
                if acked <= self.history.newest() {
                    self.nodes[i].acked = self.nodes[i].acked.max(acked);
                    self.nodes[i].acked_at = now.mono;
                    self.release_history(now.mono);
                }
            }
            kind if kind.starts_with("NS_hb_") && !self.nodes[i].is_dead() => self.up.push_back(Up::Aside {
                from: self.nodes[i].name.clone(),
                message: message.clone(),
            }),
            _ => {}
        }
    }

    /// True when it is the newest of its sender now.
    fn take_numbered(
        &mut self,
        now: Now,
        at: Instant,
        i: usize,
        medium: MediumId,
        generation: Generation,
        message: Message,
    ) -> bool {
        let name = self.nodes[i].name.clone();
        let (Some(seq), Some(_ts)) = (message.hex(fields::SEQ).map(Seq), message.hex(fields::TS)) else {
            self.counters
                .complain(now.mono, Level::Error, "bad_packets_incomplete", || {
                    format!("node {name}: a {} message without seq or ts is dropped", message.kind())
                });
            return false;
        };
        let is_status = message.kind() == "status";
        let closes = match self.judge(now, i, generation, seq, is_status) {
            Counts::AsNew { closes } => closes,
            Counts::AsCopy => {
                self.worth = Worth::Plain;
                self.counters.add("duplicates");
                self.link_heard(i, medium, at);
                self.count_packet(i, medium, now.mono, seq);
                return false;
            }
            Counts::Not => {
                self.counters.add("stale_packets");
                return false;
            }
        };
        self.worth = Worth::Good;
        self.link_heard(i, medium, at);
        if closes {
            self.acknowledge_all(now, i);
        }
        self.count_packet(i, medium, now.mono, seq);
        if let Some(uuid) = uuid_of(&message) {
            self.note_uuid(now, i, uuid);
        }
        self.acknowledge(now, i, seq);
        self.forward(medium, &message);
        if is_status {
            self.take_status(now, at, i, &message);
        }
        let newest = self.nodes[i].window.last() == Some(seq);
        if !self.is_for_me(&message) {
            return newest;
        }
        match message.kind() {
            "reqnodes" => self.answer_reqnodes(now, i),
            "repnodes" => self.take_repnodes(now, &message, i),
            kind if COMMANDS.contains(&kind) => self.take_node_command(now, &name, &message),
            _ => {}
        }
        self.up.push_back(Up::Message {
            from: name,
            generation,
            seq,
            message: message.into(),
        });
        newest
    }

    /// Whether a number counts, and what it says of its sender's life.
    fn judge(&mut self, now: Now, i: usize, generation: Generation, seq: Seq, is_status: bool) -> Counts {
        let node = &self.nodes[i];
        match node.generation {
            // Recorded before we were started anew: the peer itself is beyond this number.
            None if node.past.is_some_and(|past| (generation, seq) <= past) => Counts::Not,
            Some(known) if known == generation && node.is_dead() => match node.window.last() {
                Some(last) if seq <= last => Counts::Not,
                _ => self.returns(now, i, seq),
            },
            Some(known) if known == generation => self.judge_number(now, i, seq),
            known => self.begins(now, i, known, generation, seq, is_status),
        }
    }

    /// Learned from every message, not only from `status` as in the classic, which drops what a restarted peer says before its
    /// first beat.
    fn begins(
        &mut self,
        now: Now,
        i: usize,
        known: Option<Generation>,
        generation: Generation,
        seq: Seq,
        is_status: bool,
    ) -> Counts {
        self.lives_changed = true;
        let node = &mut self.nodes[i];
        node.generation = Some(generation);
        node.window.restart_at(seq);
        node.beating = false;
        node.succeeded = known.is_some() && !node.is_dead();
        // It begins to count, and to acknowledge, with what we say from now on.
        node.acked = self.history.newest();
        node.acked_at = now.mono;
        node.begin_figures();
        if let Some(known) = known {
            let name = node.name.clone();
            log::info!("Heartbeat restart on node {name} (generation {known} -> {generation})");
            self.up.push_back(Up::Restarted { node: name });
        }
        if self.nodes[i].is_dead() && !is_status {
            self.revive(now, i, NodeStatus::Up);
        }
        Counts::AsNew { closes: false }
    }

    /// It was given up and had not been restarted.
    fn returns(&mut self, now: Now, i: usize, seq: Seq) -> Counts {
        let node = &mut self.nodes[i];
        node.window.restart_at(seq);
        node.acked = self.history.newest();
        node.acked_at = now.mono;
        let (name, said) = (node.name.clone(), node.said);
        log::error!("CRIT: Cluster node {name} returning after partition.");
        self.revive(now, i, said);
        self.up.push_back(Up::Returned { node: name });
        Counts::AsNew { closes: false }
    }

    fn judge_number(&mut self, now: Now, i: usize, seq: Seq) -> Counts {
        let due = self.first_request(now.mono);
        let node = &mut self.nodes[i];
        let name = &node.name;
        match node.window.judge(seq, due) {
            Verdict::Next | Verdict::Late { complete: false } => {}
            Verdict::AfterGap { missing } => {
                node.lost_since_status += missing;
                self.counters.complain(now.mono, Level::Warn, "gaps", || {
                    format!("node {name}: {missing} lost packet(s) before {seq}; asking for them")
                });
            }
            Verdict::Late { complete: true } => {
                log::info!("No pkts missing from {name}!");
                return Counts::AsNew { closes: true };
            }
            Verdict::Jump { lost } => {
                log::error!("node {name}: lost a lot of packets! ({lost} before {seq}); counting starts anew");
            }
            Verdict::Again => return Counts::AsCopy,
            Verdict::Old => return Counts::Not,
        }
        Counts::AsNew { closes: false }
    }

    fn revive(&mut self, now: Now, i: usize, status: NodeStatus) {
        let node = &mut self.nodes[i];
        node.heard = Some(now.mono);
        node.status = status;
        node.since = now.mono;
        node.begin_figures();
        self.up.push_back(Up::Status {
            node: node.name.clone(),
            status,
        });
    }

    fn take_status(&mut self, now: Now, at: Instant, i: usize, message: &Message) {
        let (keepalive, deadtime, warntime) = (self.cf.keepalive, self.cf.deadtime, self.cf.warntime);
        let node = &mut self.nodes[i];
        // What a node is silent between two lives is counted, but no news: that it was started anew was told.
        if let Some(heard) = node.heard.filter(|_| node.beating || node.succeeded) {
            let interval = at - heard;
            node.longest_interval = node.longest_interval.max(interval);
            if interval > warntime && !node.is_dead() {
                node.late_beats += 1;
            }
            if interval > warntime && !node.is_dead() && node.beating {
                let cause = match node.lost_since_status {
                    0 => "the sender or the network was late".to_owned(),
                    n => format!("{n} message(s) were lost on the way"),
                };
                let name = node.name.clone();
                self.counters.complain(now.mono, Level::Warn, "late_heartbeats", || {
                    format!(
                        "Late heartbeat: Node {name}: interval {} ms ({cause})",
                        interval.as_millis()
                    )
                });
            }
        }
        let node = &mut self.nodes[i];
        node.lost_since_status = 0;
        node.beating = true;
        node.succeeded = false;
        node.heard = node.heard.max(Some(at));
        node.speaks_protocol = message.get(fields::PROTOCOL).is_some();
        if let Some(dt) = message.hex(fields::DEADTIME) {
            node.dt = Duration::from_millis(dt).clamp(keepalive * 2, deadtime * 10 + LONGEST_DT);
        }
        let Some(status) = message.get(fields::STATUS).and_then(NodeStatus::parse) else {
            let name = node.name.clone();
            self.counters
                .complain(now.mono, Level::Warn, "bad_packets_incomplete", || {
                    format!("node {name}: a status message without a known st counts as a heartbeat only")
                });
            return;
        };
        node.said = status;
        if node.status != status {
            log::info!("Status update for node {}: status {}", node.name, status.as_str());
            node.status = status;
            node.since = now.mono;
            self.up.push_back(Up::Status {
                node: node.name.clone(),
                status,
            });
        }
    }

    fn is_for_me(&self, message: &Message) -> bool {
        match (message.binary(fields::DESTUUID), message.get(fields::DEST)) {
            (Some(uuid), _) => uuid == self.uuid,
            (None, Some(dest)) => dest.eq_ignore_ascii_case(self.me.as_str()),
            (None, None) => true,
        }
    }

    /// Every tenth number is acknowledged, so that a classic peer can free its history and keep its clients going.
    fn acknowledge(&mut self, now: Now, i: usize, seq: Seq) {
        let node = &self.nodes[i];
        if !node.speaks_protocol || seq.0 % 10 != node.ack_digit {
            return;
        }
        self.acknowledge_all(now, i);
    }

    /// The highest number with our digit before which nothing is missing. Also when a gap has closed: a sender that waits
    /// for it sends nothing but its beats.
    fn acknowledge_all(&mut self, now: Now, i: usize) {
        let node = &self.nodes[i];
        if !node.speaks_protocol {
            return;
        }
        let Some(gap_free) = node.window.gap_free() else { return };
        let behind = (gap_free.0 % 10 + 10 - node.ack_digit) % 10;
        let Some(ack) = gap_free.0.checked_sub(behind).filter(|n| *n > 0) else {
            return;
        };
        let message = Message::new("NS_ackmsg")
            .with(fields::DEST, node.name.as_str())
            .with(fields::ACKSEQ, Value::hex(ack))
            .with(ACK_LIFE, Value::hex(node.generation.map_or(0, |g| g.0)));
        self.send_unnumbered(now, message);
    }

    /// In a ring of serial lines (three nodes or more) what came on one port goes out on the others.
    fn forward(&mut self, from: MediumId, message: &Message) {
        let serial = self.media.iter().filter(|m| m.serial).count();
        if serial < 2 || self.cf.normal_nodes().count() < 3 || !self.media[from.0].serial {
            return;
        }
        let Some(ttl) = message.dec(fields::TTL).filter(|t| *t > 1) else {
            return;
        };
        let mut copy = message.clone();
        copy.set(fields::TTL, (ttl - 1).to_string());
        for i in 0..self.media.len() {
            if self.media[i].serial && i != from.0 {
                self.transmit(&copy, Some(MediumId(i)));
            }
        }
    }
}

/// None for media beyond the 64th.
fn bit(medium: MediumId) -> u64 {
    1u64.checked_shl(medium.0.min(64) as u32).unwrap_or(0)
}

fn uuid_of(message: &Message) -> Option<[u8; 16]> {
    let uuid = message.binary(fields::SRCUUID)?.try_into().ok()?;
    (uuid != [0; 16]).then_some(uuid)
}
