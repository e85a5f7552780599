//! Flow control: how much clients may send, so that neither the history nor a slow line is overrun because of them.
//!
//! Our own messages are never held back: only what clients want to send waits, in the FIFOs of those clients.

use super::layer::Core;
use crate::conf::MediumKind;
use crate::ids::Seq;
use crate::msg::{Message, classic, netstring};
use crate::time::{Instant, Now};

/// More messages than this without acknowledgement, and clients wait; as in heartbeat 3.0.6.
const MAX_UNACKED: u64 = 250;
/// The same for large messages: what the history keeps beside the usual small ones.
const MAX_UNACKED_BYTES: usize = 512 * 1024;
/// The largest datagram is 65507 bytes; the rest is for the fields that we add.
const LARGEST: usize = 60_000;
/// A serial line may be busy with one message of a client for this part of deadtime, or beats come too late.
const PART_OF_DEADTIME: u64 = 8;
/// Of what a serial line can carry, this part is for clients.
const PART_OF_LINE: u64 = 2;
/// Start and stop bit.
const BITS_A_BYTE: u64 = 10;

/// Acknowledgements come once in sixteen numbers at the latest, and beats alone are numbers enough. A peer that has sent
/// none for so many keepalives and deadtime hears nothing of us any more: it counts us as dead, and is not waited for.
const BEATS_TO_ACK: u32 = 20;

#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes of clients that a serial line has not had the time for yet.
    level: u64,
    at: Instant,
    paused: bool,
}

impl Core {
    /// How many messages clients may send now; 0 while a peer is behind with its acknowledgements.
    pub fn room_for_clients(&mut self, now: Now) -> usize {
        let unacked = match self.acked_by_all(now.mono) {
            Some(acked) => self.history.newest().0.saturating_sub(acked.0),
            // A peer of an old version acknowledges nothing: nobody can be waited for.
            None => 0,
        };
        let bytes = self
            .history
            .bytes_after(self.acked_by_all(now.mono).unwrap_or(self.history.newest()));
        let mut room = MAX_UNACKED.saturating_sub(unacked);
        if bytes > MAX_UNACKED_BYTES || !self.line_is_free(now.mono) {
            room = 0;
        }
        let paused = unacked >= MAX_UNACKED || bytes > MAX_UNACKED_BYTES;
        if paused != self.flow.paused {
            self.flow.paused = paused;
            if paused {
                self.counters.complain(now.mono, log::Level::Warn, "client_pauses", || {
                    format!("all clients are now paused: {unacked} messages ({bytes} bytes) are not acknowledged yet")
                });
            } else {
                log::debug!("all clients are now resumed");
            }
        }
        room as usize
    }

    /// Sends what a client wants to tell its like; the reason when it cannot be sent.
    pub fn send_for_client(&mut self, now: Now, message: Message) -> Result<(), String> {
        let largest = self.largest_for_clients();
        let classic = classic::encode(&message);
        if classic.len() > largest {
            return Err(format!(
                "EMSGSIZE: it has {} bytes, our media take {largest} of a client",
                classic.len()
            ));
        }
        // A number that the peers can never read would be asked for again and again.
        let netstring = netstring::encode(&message);
        let reads = classic::decode(&classic).is_ok_and(|m| m == message)
            && netstring::decode(&netstring).is_ok_and(|m| m.message == message);
        if !reads {
            return Err("EINVAL: its fields cannot be sent as they are".to_owned());
        }
        self.flow.level = self.flow.level.saturating_add(classic.len() as u64);
        self.send(now, message);
        Ok(())
    }

    /// Up to where every living peer has everything: `None` when one of them does not say.
    fn acked_by_all(&self, now: Instant) -> Option<Seq> {
        let patience = self.cf.deadtime + self.cf.keepalive * BEATS_TO_ACK;
        let mut all = self.history.newest();
        for node in &self.nodes {
            if node.name == self.me || node.is_ping() || node.is_dead() || node.heard.is_none() {
                continue;
            }
            if !node.speaks_protocol {
                return None;
            }
            if now - node.acked_at > patience {
                continue;
            }
            all = all.min(node.acked);
        }
        Some(all)
    }

    /// A peer has acknowledged: what all have need not be kept when there is much of it.
    pub(super) fn release_history(&mut self, now: Instant) {
        if let Some(acked) = self.acked_by_all(now) {
            self.history.release(acked);
        }
    }

    /// Bytes a second of the slowest serial line.
    fn slowest_line(&self) -> Option<u64> {
        let rates = self.cf.media.iter().filter_map(|m| match &m.kind {
            MediumKind::Serial { baud, .. } => Some(u64::from(*baud) / BITS_A_BYTE),
            MediumKind::Bcast { .. }
            | MediumKind::Ucast { .. }
            | MediumKind::Mcast { .. }
            | MediumKind::Ucast6 { .. }
            | MediumKind::Mcast6 { .. }
            | MediumKind::Ping { .. } => None,
        });
        rates.min()
    }

    fn largest_for_clients(&self) -> usize {
        let deadtime = self.cf.deadtime.as_millis() as u64;
        match self.slowest_line() {
            Some(rate) => ((rate * deadtime / 1000 / PART_OF_DEADTIME) as usize).clamp(1024, LARGEST),
            None => LARGEST,
        }
    }

    /// A serial line takes what clients say at its own pace; without one there is no limit.
    fn line_is_free(&mut self, now: Instant) -> bool {
        let Some(rate) = self.slowest_line() else {
            self.flow.level = 0;
            return true;
        };
        let rate = rate / PART_OF_LINE;
        let passed = (now - self.flow.at).as_millis() as u64;
        let gone = rate.saturating_mul(passed) / 1000;
        if gone > 0 {
            self.flow.level = self.flow.level.saturating_sub(gone);
            self.flow.at = now;
        }
        let keepalive = self.cf.keepalive.as_millis() as u64;
        self.flow.level <= rate * keepalive / 1000
    }
}
