//! Pairs of SOCK_SEQPACKET sockets: whole messages, descriptors beside them, end-of-file when the other end is gone.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv, recvmsg, sendmsg,
    setsockopt, socketpair, sockopt,
};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Largest message: three configuration files fit with room to spare.
const MAX: usize = 256 * 1024;

/// What waits for an end that does not read, at most, beside what the kernel holds for it. A master that has to open some
/// media or to read a big haresources is behind by a few KiB.
pub const MOST_WAITING: usize = 1024 * 1024;
/// What a message in the queue costs beside its bytes: with it there are 4096 at most.
const COST: usize = 256;
/// What an open descriptor in the queue costs: there are 128 at most, far from the 1024 a process may have.
const COST_OF_DESCRIPTOR: usize = 8 * 1024;

/// How a message waits that the other end does not take yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waits {
    /// It must not be lost.
    Each,
    /// It takes the place of an earlier one of this name, at the end of the queue.
    Newest(&'static str),
    /// As `Newest`, of one with the very same bytes.
    Once,
}

#[derive(Debug)]
struct Waiting {
    bytes: Vec<u8>,
    fd: Option<OwnedFd>,
    waits: Waits,
}

impl Waiting {
    fn cost(&self) -> usize {
        let descriptor = if self.fd.is_some() { COST_OF_DESCRIPTOR } else { 0 };
        self.bytes.len() + COST + descriptor
    }

    fn is_superseded_by(&self, new: &Self) -> bool {
        match new.waits {
            Waits::Each => false,
            Waits::Newest(_) => self.waits == new.waits,
            Waits::Once => self.bytes == new.bytes,
        }
    }
}

/// Two connected ends, both non-blocking and close-on-exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let ends = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    for end in [&ends.0, &ends.1] {
        // The default of about 200 KiB is below MAX; without the right to force it messages may just be smaller.
        let _ = setsockopt(end, sockopt::SndBuf, &(2 * MAX));
    }
    Ok(ends)
}

/// What was read.
#[derive(Debug)]
pub enum Got {
    Message {
        bytes: Vec<u8>,
        fd: Option<OwnedFd>,
    },
    /// Nothing waits.
    Nothing,
    /// The other process is gone.
    Closed,
}

/// One end with a queue for what the other end does not take yet. Sending never blocks, and loses only what is superseded.
/// An other end for which more than [`MOST_WAITING`] waits counts as hung: it gets nothing any more and is to be replaced.
#[derive(Debug)]
pub struct End {
    fd: OwnedFd,
    queue: VecDeque<Waiting>,
    hung: bool,
}

impl End {
    pub fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            queue: VecDeque::new(),
            hung: false,
        }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A second handle on the same socket, for a thread that has one answer to send.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::new(self.fd.try_clone()?))
    }

    pub fn wants_write(&self) -> bool {
        !self.queue.is_empty()
    }

    /// More waited for the other end than it may. What waited is gone.
    pub fn is_hung(&self) -> bool {
        self.hung
    }

    /// What must not be lost.
    pub fn send(&mut self, bytes: Vec<u8>, fd: Option<OwnedFd>) {
        self.send_as(Waits::Each, bytes, fd);
    }

    pub fn send_as(&mut self, waits: Waits, bytes: Vec<u8>, fd: Option<OwnedFd>) {
        if self.hung {
            return;
        }
        let new = Waiting { bytes, fd, waits };
        self.queue.retain(|old| !old.is_superseded_by(&new));
        self.queue.push_back(new);
        self.flush();
        if self.queue.iter().map(Waiting::cost).sum::<usize>() > MOST_WAITING {
            self.hung = true;
            self.queue = VecDeque::new();
        }
    }

    /// Sends what waits as far as the socket takes it. A closed other end shows when reading.
    pub fn flush(&mut self) {
        while let Some(Waiting { bytes, fd, .. }) = self.queue.front() {
            let raw = fd.as_ref().map(|f| [f.as_raw_fd()]);
            let control: Vec<ControlMessage<'_>> =
                raw.as_ref().map(|r| ControlMessage::ScmRights(r)).into_iter().collect();
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(self.fd.as_raw_fd(), &[IoSlice::new(bytes)], &control, flags, None) {
                Ok(_) => {}
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => return,
                Err(e @ (Errno::EMSGSIZE | Errno::ENOMEM)) => {
                    log::error!(
                        "a message of {} bytes to another process of heartbeat is lost: {e}",
                        bytes.len()
                    );
                }
                Err(_) => {}
            }
            self.queue.pop_front();
        }
    }

    pub fn receive(&mut self) -> io::Result<Got> {
        let length = match self.waiting()? {
            Some(length) => length,
            None => return Ok(Got::Nothing),
        };
        // As large as the message: a buffer for the largest one would be locked in memory, one an end.
        let mut buffer = vec![0; length.min(MAX)];
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; 4]);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let got = match recvmsg::<()>(self.fd.as_raw_fd(), &mut slices, Some(&mut space), flags) {
            Ok(got) => got,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Got::Nothing),
            Err(Errno::ECONNRESET | Errno::EPIPE) => return Ok(Got::Closed),
            Err(e) => return Err(e.into()),
        };
        let mut fd = None;
        for message in got.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = message {
                for raw in fds {
                    // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
                    let owned = unsafe { OwnedFd::from_raw_fd(raw) };
                    fd.get_or_insert(owned);
                }
            }
        }
        let n = got.bytes;
        if n == 0 {
            return Ok(Got::Closed);
        }
        buffer.truncate(n);
        Ok(Got::Message { bytes: buffer, fd })
    }

    /// Length of the next message; 0 also when the other end is closed.
    fn waiting(&self) -> io::Result<Option<usize>> {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
        match recv(self.fd.as_raw_fd(), &mut [], flags) {
            Ok(length) => Ok(Some(length)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(Errno::ECONNRESET | Errno::EPIPE) => Ok(Some(0)),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_whole_and_the_end_is_seen() {
        let (a, b) = pair().unwrap();
        let (mut a, mut b) = (End::new(a), End::new(b));
        assert!(matches!(b.receive().unwrap(), Got::Nothing));
        let null = std::fs::File::open("/dev/null").unwrap();
        a.send(b"one".to_vec(), Some(null.into()));
        a.send(vec![7; 200_000], None);
        match b.receive().unwrap() {
            Got::Message { bytes, fd } => assert!(bytes == b"one" && fd.is_some()),
            other => panic!("{other:?}"),
        }
        match b.receive().unwrap() {
            Got::Message { bytes, fd } => assert!(bytes.len() == 200_000 && fd.is_none()),
            other => panic!("{other:?}"),
        }
        drop(a);
        assert!(matches!(b.receive().unwrap(), Got::Closed));
    }

    /// As many of the smallest messages as the kernel takes of them.
    fn filled() -> (End, End) {
        let (a, b) = pair().unwrap();
        let (mut a, b) = (End::new(a), End::new(b));
        while !a.wants_write() {
            a.send(b"0".to_vec(), None);
        }
        (a, b)
    }

    /// All that b gets when it reads, without what it was filled with.
    fn read_all(a: &mut End, b: &mut End) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            match b.receive().unwrap() {
                Got::Message { bytes, .. } if bytes == b"0" => {}
                Got::Message { bytes, .. } => said.push(String::from_utf8(bytes).unwrap()),
                Got::Nothing if a.wants_write() => a.flush(),
                Got::Nothing | Got::Closed => return said,
            }
        }
    }

    #[test]
    fn what_is_superseded_gives_way_and_the_rest_keeps_its_order() {
        let (mut a, mut b) = filled();
        #[rustfmt::skip]
        let sent = [
            (Waits::Newest("renew"),  "renew 1"),
            (Waits::Each,             "run 1"),
            (Waits::Once,             "drop"),
            (Waits::Newest("status"), "status 1"),
            (Waits::Newest("renew"),  "renew 2"),
            (Waits::Once,             "drop"),
            (Waits::Once,             "wake"),
            (Waits::Each,             "run 1"),
        ];
        for (waits, text) in sent {
            a.send_as(waits, text.as_bytes().to_vec(), None);
        }
        let said = read_all(&mut a, &mut b);
        assert_eq!(said, ["run 1", "status 1", "renew 2", "drop", "wake", "run 1"]);
        assert!(!a.is_hung());
        // One that reads misses nothing.
        for n in ["renew 3", "renew 4"] {
            a.send_as(Waits::Newest("renew"), n.as_bytes().to_vec(), None);
        }
        assert_eq!(read_all(&mut a, &mut b), ["renew 3", "renew 4"]);
    }

    #[test]
    fn a_reader_that_never_reads_costs_no_more_than_the_bound_and_counts_as_hung_beyond_it() {
        let (mut a, mut b) = filled();
        for n in 0..1_000_000u32 {
            a.send_as(Waits::Newest("renew"), n.to_be_bytes().to_vec(), None);
        }
        assert_eq!(a.queue.len(), 2, "one that filled it, and the newest");
        // To the bound and not a byte further.
        let left = MOST_WAITING - a.queue.iter().map(Waiting::cost).sum::<usize>();
        let big = left / 4;
        for _ in 0..3 {
            a.send(vec![1; big - COST], None);
        }
        a.send(vec![1; left - 3 * big - COST], None);
        assert!(!a.is_hung() && a.queue.len() == 6);
        a.send(Vec::new(), None);
        assert!(a.is_hung() && a.queue.capacity() == 0 && !a.wants_write());
        a.send(b"more".to_vec(), None);
        assert!(read_all(&mut a, &mut b).is_empty());
    }

    #[test]
    fn descriptors_that_wait_are_few() {
        let (mut a, _b) = filled();
        let null = std::fs::File::open("/dev/null").unwrap();
        let before = a.queue.len();
        let mut most = 0;
        while !a.is_hung() {
            a.send(b"output".to_vec(), Some(null.try_clone().unwrap().into()));
            most = most.max(a.queue.len() - before.min(a.queue.len()));
        }
        assert!((100..=128).contains(&most), "{most}");
    }

    #[test]
    fn a_reader_that_sleeps_costs_memory_but_no_message() {
        let (a, b) = pair().unwrap();
        let (mut a, mut b) = (End::new(a), End::new(b));
        for n in 0..2000u32 {
            a.send(n.to_be_bytes().repeat(100), None);
        }
        assert!(a.wants_write());
        for n in 0..2000u32 {
            loop {
                match b.receive().unwrap() {
                    Got::Message { bytes, .. } => {
                        assert_eq!(bytes[..4], n.to_be_bytes());
                        break;
                    }
                    Got::Nothing => a.flush(),
                    Got::Closed => panic!("closed at {n}"),
                }
            }
        }
    }
}
