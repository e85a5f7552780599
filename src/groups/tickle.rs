//! The connections of service addresses, told to the other nodes, so that the next owner can wake their clients.
//!
//! A client whose connection died with a node sends into the void until its timeouts end, if it sends at all. Whoever takes
//! the address over sends each known client one segment that fits nothing; the client answers, the kernel of the new owner
//! knows nothing of the connection and resets it, and the client connects anew.
//!
//! The list travels in `NS_hb_conns`, an unnumbered message that nobody asks for again and that does not go over serial
//! lines: what is lost is told again. A peer may lie: what it says is bounded, and only what fits a group that it has and
//! addresses of this cluster's haresources is kept.

use super::lookout::{Ask, Ends, addresses};
use super::manager::{Groups, Order, later};
use crate::ids::NodeName;
use crate::msg::Message;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The message.
pub const KIND: &str = "NS_hb_conns";
const LIST: &str = "hb_conns";
const PART: &str = "hb_part";
const PARTS: &str = "hb_parts";

/// Of one node; the first of them in the order of addresses.
pub const MOST: usize = 512;
/// In one message: some 4 KiB.
const IN_PART: usize = 128;
const MOST_PARTS: usize = MOST / IN_PART;
/// A changed list is told so often …
const TELL_EVERY: Duration = Duration::from_secs(2);
/// … and an unchanged one: a message may be lost, a peer may be new.
const REPEAT_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Connections {
    /// `tickle` in ha.cf
    pub on: bool,
    /// Ours.
    ours: Vec<Ends>,
    changed: bool,
    told_at: Option<Instant>,
    /// What other nodes have told, a list a part.
    theirs: BTreeMap<NodeName, Vec<Vec<Ends>>>,
}

impl Connections {
    pub fn wanted(&self) -> bool {
        self.on
    }

    fn due(&self) -> Instant {
        let pause = if self.changed { TELL_EVERY } else { REPEAT_EVERY };
        match self.told_at {
            _ if !self.on || (self.ours.is_empty() && !self.changed) => Instant::NEVER,
            None => Instant::default(),
            Some(at) => at + pause,
        }
    }

    pub fn deadline(&self, now: Instant) -> Instant {
        later(self.due(), now)
    }
}

/// `OURS=THEIRS`, separated by blanks.
pub(super) fn write(list: &[Ends]) -> String {
    let words: Vec<String> = list.iter().map(|(ours, theirs)| format!("{ours}={theirs}")).collect();
    words.join(" ")
}

/// What makes sense of a list, at most so much of it.
pub(super) fn read(text: &str) -> Vec<Ends> {
    let ends = |word: &str| -> Option<Ends> {
        let (ours, theirs) = word.split_once('=')?;
        let (ours, theirs): (SocketAddr, SocketAddr) = (ours.parse().ok()?, theirs.parse().ok()?);
        let good = ours.is_ipv4() == theirs.is_ipv4() && ours.port() != 0 && is_a_client(theirs);
        good.then_some((ours, theirs))
    };
    text.split_ascii_whitespace().take(IN_PART).filter_map(ends).collect()
}

/// One machine, and not this one: a segment to everybody, or to a port nobody can have, is never sent.
fn is_a_client(end: SocketAddr) -> bool {
    let many = match end.ip() {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.is_link_local(),
        // Without an interface it leads nowhere.
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some(),
    };
    let ip = end.ip();
    end.port() != 0 && !many && !ip.is_multicast() && !ip.is_unspecified() && !ip.is_loopback()
}

/// The address in a word of haresources.
fn ip_of(word: &str) -> Option<IpAddr> {
    word.split('/').next()?.parse().ok()
}

impl Groups {
    pub(super) fn connections_seen(&mut self, mut list: Vec<Ends>) {
        list.truncate(MOST);
        let connections = &mut self.lookout.connections;
        connections.changed |= connections.ours != list;
        connections.ours = list;
    }

    pub(super) fn tell_connections(&mut self) {
        let now = self.bench.now.mono;
        let heard = self.peers.values().any(|p| p.alive && p.ours);
        let connections = &mut self.lookout.connections;
        if now < connections.due() || !heard {
            return;
        }
        connections.told_at = Some(now);
        connections.changed = false;
        let parts: Vec<&[Ends]> = match connections.ours.is_empty() {
            true => vec![&[]],
            false => connections.ours.chunks(IN_PART).collect(),
        };
        for (n, part) in parts.iter().enumerate() {
            let message = Message::new(KIND)
                .with(PART, n.to_string())
                .with(PARTS, parts.len().to_string())
                .with(LIST, write(part));
            self.orders.push(Order::SendAside(message));
        }
    }

    /// A part of another node's list.
    pub fn connections_told(&mut self, from: &NodeName, message: &Message) {
        if !self.lookout.connections.on {
            return;
        }
        let (Some(n), Some(parts), Some(list)) = (message.dec(PART), message.dec(PARTS), message.get(LIST)) else {
            return;
        };
        let (Ok(n), Ok(parts)) = (usize::try_from(n), usize::try_from(parts)) else {
            return;
        };
        let Some(peer) = self.peers.get(from) else { return };
        if parts == 0 || parts > MOST_PARTS || n >= parts {
            return;
        }
        // Only of what it has.
        let groups = self.groups.iter().filter(|g| peer.holds(g.key()));
        let known: Vec<IpAddr> = groups.flat_map(addresses).filter_map(ip_of).collect();
        let mut list = read(list);
        list.retain(|(ours, theirs)| known.contains(&ours.ip()) && !known.contains(&theirs.ip()));
        log::debug!(
            "node {from}: tells {} connection(s) of addresses that it has",
            list.len()
        );
        let theirs = self.lookout.connections.theirs.entry(from.clone()).or_default();
        theirs.resize(parts, Vec::new());
        theirs[n] = list;
    }

    /// Group `i` runs here now: the clients that another node has told of are woken.
    pub(super) fn tickle(&mut self, i: usize, last: Option<&NodeName>) {
        if !self.lookout.connections.on {
            return;
        }
        let known: Vec<IpAddr> = addresses(&self.groups[i]).filter_map(ip_of).collect();
        let Some(theirs) = last.and_then(|node| self.lookout.connections.theirs.get_mut(node)) else {
            return;
        };
        let mut connections = Vec::new();
        for part in theirs {
            connections.extend(part.extract_if(.., |(ours, _)| known.contains(&ours.ip())));
        }
        if connections.is_empty() {
            return;
        }
        log::info!(
            "group {}: waking the clients of {} connection(s) that node {} had",
            self.groups[i].key(),
            connections.len(),
            last.map_or("", |n| n.as_str())
        );
        self.orders.push(Order::Lookout(Ask::Tickle { connections }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_reads_back_and_what_is_no_client_is_left_out() {
        let list: Vec<Ends> = [
            ("10.0.0.9:80", "10.0.0.1:4000"),
            ("[2001:db8::9]:80", "[2001:db8::1]:5"),
        ]
        .map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
        .to_vec();
        assert_eq!(read(&write(&list)), list);
        #[rustfmt::skip]
        let table = [
            "", "x", "10.0.0.9:80", "10.0.0.9:80=", "10.0.0.9:0=10.0.0.1:4000", "10.0.0.9:80=10.0.0.1:0",
            "10.0.0.9:80=255.255.255.255:9", "10.0.0.9:80=224.0.0.1:9", "10.0.0.9:80=127.0.0.1:9", "10.0.0.9:80=0.0.0.0:9",
            "10.0.0.9:80=[2001:db8::1]:9", "[2001:db8::9]:80=[ff02::1]:9", "[2001:db8::9]:80=[::1]:9",
            "[2001:db8::9]:80=[fe80::1]:9", "[2001:db8::9]:80=[::ffff:10.0.0.1]:9", "10.0.0.9:80=169.254.1.1:9",
        ];
        for text in table {
            assert_eq!(read(text), [], "{text}");
        }
        let flood: Vec<String> = (1..60_000).map(|p| format!("10.0.0.9:80=10.0.0.1:{p}")).collect();
        assert_eq!(read(&flood.join(" ")).len(), IN_PART);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[0-9.:=\\[\\] a-f]{0,80}|.*") {
            let _ = read(&text);
        }
    }
}
