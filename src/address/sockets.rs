//! The TCP connections of an address that is about to go: their clients are told, and the service is too.

use crate::sys::inet_diag::Connections;
use crate::wire::inet_diag::State;
use std::io;
use std::net::IpAddr;

/// A machine with more has other worries.
const MOST: usize = 100_000;

/// Resets every connection of `ip` while the address is still there: the kernel cannot send a reset from an address that is
/// gone, and the client would wait for its timeouts. Says how many there were.
pub fn reset(ip: IpAddr) -> io::Result<usize> {
    let mut connections = Connections::open()?;
    let all = connections.of(ip, State::Connected, MOST)?;
    for connection in &all {
        connections.end(connection)?;
    }
    Ok(all.len())
}
