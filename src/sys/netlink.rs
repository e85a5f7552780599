//! The rtnetlink socket: one question, the kernel's whole answer.

use crate::wire::netlink::{DUMP_INTERRUPTED, Malformed, messages};
use crate::wire::route::{self, Address, Existing, Family, Link, Reply, Route};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, recvfrom, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

/// The kernel answers before `send` returns; this is for the case that it never does.
const PATIENCE_SECONDS: i64 = 5;
/// How often a list that changed while it was read is asked for again.
const TRIES: u32 = 5;

/// A question and answer socket to the kernel's interfaces, addresses and routes in the network namespace of the thread
/// that opened it.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

impl Netlink {
    pub fn open() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE_SECONDS, 0))?;
        Ok(Self { fd, sequence: 0 })
    }

    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        self.list(route::get_links, |reply| match reply {
            Reply::Link(link) => Some(link),
            _ => None,
        })
    }

    pub fn addresses(&mut self, family: Family) -> io::Result<Vec<Address>> {
        self.list(
            |sequence| route::get_addresses(sequence, family),
            |reply| match reply {
                Reply::Address(address) => Some(address),
                _ => None,
            },
        )
    }

    pub fn routes(&mut self, family: Family) -> io::Result<Vec<Route>> {
        self.list(
            |sequence| route::get_routes(sequence, family),
            |reply| match reply {
                Reply::Route(route) => Some(route),
                _ => None,
            },
        )
    }

    pub fn set(&mut self, address: &Address, existing: Existing) -> io::Result<()> {
        self.order(|sequence| route::new_address(sequence, address, existing))
    }

    pub fn delete(&mut self, address: &Address) -> io::Result<()> {
        self.order(|sequence| route::delete_address(sequence, address))
    }

    pub fn set_up(&mut self, index: u32) -> io::Result<()> {
        self.order(|sequence| route::set_up(sequence, index))
    }

    fn order(&mut self, request: impl Fn(u32) -> Vec<u8>) -> io::Result<()> {
        self.ask(request).map(|_| ())
    }

    fn list<T>(&mut self, request: impl Fn(u32) -> Vec<u8>, pick: impl Fn(Reply) -> Option<T>) -> io::Result<Vec<T>> {
        let mut tries = 1;
        loop {
            match self.ask(&request) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted && tries < TRIES => tries += 1,
                answer => return Ok(answer?.into_iter().filter_map(&pick).collect()),
            }
        }
    }

    /// Sends one request and reads to the end of the answer. `Interrupted`: a list changed while it was read.
    fn ask(&mut self, request: impl Fn(u32) -> Vec<u8>) -> io::Result<Vec<Reply>> {
        let malformed = |e: Malformed| io::Error::new(io::ErrorKind::InvalidData, e.to_string());
        self.sequence = self.sequence.wrapping_add(1);
        send(self.fd.as_raw_fd(), &request(self.sequence), MsgFlags::empty())?;
        let (mut answer, mut changed) = (Vec::new(), false);
        loop {
            let (bytes, from) = match next_datagram(self.fd.as_fd()) {
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                got => got?,
            };
            // Other processes can write to this socket too; the kernel is number 0.
            if from.is_none_or(|a| a.pid() != 0) {
                continue;
            }
            for message in messages(&bytes).map_err(malformed)? {
                // What is left of an earlier question that was given up.
                if message.sequence != self.sequence {
                    continue;
                }
                changed |= message.flags & DUMP_INTERRUPTED != 0;
                match route::read(&message).map_err(malformed)? {
                    Reply::Ended(0) => return Ok(answer),
                    Reply::Ended(number) => return Err(io::Error::from_raw_os_error(number)),
                    Reply::Done if changed => return Err(io::ErrorKind::Interrupted.into()),
                    Reply::Done => return Ok(answer),
                    reply => answer.push(reply),
                }
            }
        }
    }
}

/// What the kernel says next, in a buffer as large as that: most of it is short, and a buffer for the longest list would
/// be kept in memory.
pub(super) fn next_datagram(fd: BorrowedFd<'_>) -> nix::Result<(Vec<u8>, Option<NetlinkAddr>)> {
    let length = recv(fd.as_raw_fd(), &mut [], MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC)?;
    let mut bytes = vec![0; length];
    let (length, from) = recvfrom::<NetlinkAddr>(fd.as_raw_fd(), &mut bytes)?;
    bytes.truncate(length);
    Ok((bytes, from))
}

/// What the kernel tells unasked: interfaces and addresses that change, in the network namespace of the thread that opened
/// it.
#[derive(Debug)]
pub struct News {
    fd: OwnedFd,
}

/// What was read of the news.
#[derive(Debug)]
pub enum Told {
    Of(Vec<Reply>),
    /// More happened than the kernel keeps: look anew.
    Lost,
    Nothing,
}

impl News {
    pub fn open() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkRoute,
        )?;
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups as u32))?;
        Ok(Self { fd })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub fn read(&self) -> io::Result<Told> {
        let (bytes, from) = match next_datagram(self.fd.as_fd()) {
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(Told::Nothing),
            Err(Errno::ENOBUFS) => return Ok(Told::Lost),
            got => got?,
        };
        if from.is_none_or(|a| a.pid() != 0) {
            return Ok(Told::Of(Vec::new()));
        }
        let Ok(all) = messages(&bytes) else {
            return Ok(Told::Lost);
        };
        Ok(Told::Of(all.iter().filter_map(|m| route::read(m).ok()).collect()))
    }
}

/// Keeps others who use this function out of this network namespace until it is dropped. The lock is on the namespace
/// itself: no lock file whose directory might be missing. Anybody may take it, so one who holds it too long is passed by.
#[derive(Debug)]
pub struct NamespaceLock {
    _lock: Option<Flock<File>>,
}

impl NamespaceLock {
    pub fn take(patience: Duration) -> Self {
        const STEP: Duration = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        let Ok(mut file) = File::open("/proc/thread-self/ns/net") else {
            return Self { _lock: None };
        };
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Self { _lock: Some(lock) },
                Err((back, Errno::EAGAIN)) if waited < patience => {
                    sleep(STEP);
                    waited += STEP;
                    file = back;
                }
                Err(_) => return Self { _lock: None },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_loopback_interface_and_its_address_are_listed() {
        let mut netlink = Netlink::open().expect("everybody may ask");
        let links = netlink.links().expect("links");
        let lo = links.iter().find(|l| l.name == "lo").expect("lo");
        assert!(lo.is_loopback() && !lo.has_neighbours());
        netlink.routes(Family::V4).expect("routes");
        netlink.addresses(Family::V6).expect("IPv6 addresses");
        let addresses = netlink.addresses(Family::V4).expect("addresses");
        if lo.is_up() {
            assert!(
                addresses
                    .iter()
                    .any(|a| a.index == lo.index && a.ip == Ipv4Addr::LOCALHOST)
            );
        }
    }

    #[test]
    fn errors_of_the_kernel_come_back_as_errors() {
        let mut netlink = Netlink::open().expect("everybody may ask");
        // No interface has this number: ENODEV for root, EPERM for all others.
        let error = netlink.set_up(0x7fff_fff0).expect_err("there is no such interface");
        assert!(
            matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EPERM)),
            "{error}"
        );
    }

    #[test]
    fn a_lock_held_by_another_is_waited_for_and_then_passed_by() {
        let first = NamespaceLock::take(Duration::from_secs(5));
        assert!(first._lock.is_some());
        assert!(NamespaceLock::take(Duration::from_millis(2))._lock.is_none());
        drop(first);
        assert!(NamespaceLock::take(Duration::from_secs(5))._lock.is_some());
    }
}
