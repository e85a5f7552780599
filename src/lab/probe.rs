//! Asking every millisecond who has an address, from the client's place in the network.
//!
//! The question is an ARP probe (RFC 5227): sender address 0.0.0.0, so no node learns anything from it and the cluster
//! is not disturbed by being watched. The sender's hardware address inside it carries the number of the probe, which
//! the answer repeats.

use super::plan::Plan;
use super::timeline::{Micros, Pending};
use crate::sys::ethernet::ArpSocket;
use crate::sys::namespace::now_micros;
use crate::sys::poll::{Want, wait};
use crate::time::Instant;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

/// An answer in a lab takes some 100 µs; on a machine that is busy with other things it may take far longer.
const PATIENCE: Micros = 100_000;

/// Locally administered, and no node of a lab has such an address: `02:68:` and the number.
const MARK: [u8; 2] = [0x02, 0x68];

/// An ARP question to everybody.
fn question(mac: [u8; 6], number: u32, address: Ipv4Addr) -> Vec<u8> {
    let mut out = Vec::with_capacity(42);
    out.extend([0xff; 6]);
    out.extend(mac);
    out.extend([0x08, 0x06]);
    out.extend([0, 1, 0x08, 0, 6, 4, 0, 1]); // Ethernet, IPv4, their lengths, a question
    out.extend(MARK);
    out.extend(number.to_be_bytes());
    out.extend([0; 4]); // from nobody
    out.extend([0; 6]);
    out.extend(address.octets());
    out
}

/// Number of the probe and hardware address of the node that answers for `address`.
fn answer(frame: &[u8], address: Ipv4Addr) -> Option<(u32, [u8; 6])> {
    let arp = frame.get(14..42)?;
    let is_answer = frame[12..14] == [0x08, 0x06] && arp[6..8] == [0, 2];
    if !is_answer || arp[14..18] != address.octets() || arp[18..20] != MARK {
        return None;
    }
    let number = u32::from_be_bytes(arp[20..24].try_into().ok()?);
    Some((number, arp[8..14].try_into().ok()?))
}

/// What the prober tells, in the order of asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    pub at: Micros,
    /// Names of the nodes that answered.
    pub owners: Vec<String>,
}

/// Asks every `interval` until `tell` says stop, `until` has come, or `end` can be read.
///
/// An interface that goes away (the lab ended) is an error.
pub fn run(
    socket: &ArpSocket,
    plan: &Plan,
    address: Ipv4Addr,
    interval: Micros,
    until: Micros,
    end: Option<BorrowedFd<'_>>,
    mut tell: impl FnMut(Probe) -> bool,
) -> io::Result<()> {
    let mut pending = Pending::new(PATIENCE);
    let mut buffer = [0; 2048];
    let mut next = now_micros();
    let mut wants = vec![Want::read(socket.fd())];
    wants.extend(end.map(Want::read));
    loop {
        let now = now_micros();
        if now >= next && now < until {
            socket.write(&question(socket.mac, pending.ask(now), address));
            next = if now - next > 20 * interval { now } else { next } + interval;
        }
        while let Some(frame) = socket.read(&mut buffer)? {
            if let Some((number, mac)) = answer(frame, address) {
                let stranger = || mac.map(|b| format!("{b:02x}")).join(":");
                pending.answer(number, &plan.owner_of(mac).map_or_else(stranger, str::to_owned));
            }
        }
        while let Some((at, owners)) = pending.settled(now) {
            if !tell(Probe { at, owners }) {
                return Ok(());
            }
        }
        if now >= until.saturating_add(PATIENCE) {
            return Ok(());
        }
        let ready = wait(&wants, Instant::from_millis(next.div_ceil(1000)))?;
        if ready.get(1).is_some_and(|r| r.read) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_other_frames() {
        let vip = Ipv4Addr::new(10, 77, 0, 100);
        let node = [2, 0x77, 0, 0, 0, 1];
        let asked = question([2, 0x77, 0, 0, 0, 200], 0x0102_0304, vip);
        assert_eq!(asked.len(), 42);
        assert_eq!(answer(&asked, vip), None, "a question is none");
        // As the kernel answers: sender and target change places.
        let mut reply = asked.clone();
        reply[0..6].copy_from_slice(&asked[22..28]);
        reply[6..12].copy_from_slice(&node);
        reply[21] = 2;
        reply[22..28].copy_from_slice(&node);
        reply[28..32].copy_from_slice(&vip.octets());
        reply[32..38].copy_from_slice(&asked[22..28]);
        reply[38..42].copy_from_slice(&[0; 4]);
        assert_eq!(answer(&reply, vip), Some((0x0102_0304, node)));
        assert_eq!(answer(&reply, Ipv4Addr::new(10, 77, 0, 101)), None, "another address");
        for length in 0..reply.len() {
            assert_eq!(answer(&reply[..length], vip), None, "cut off at {length}");
        }
        reply[32] = 4;
        assert_eq!(answer(&reply, vip), None, "an answer to somebody else");
    }
}
