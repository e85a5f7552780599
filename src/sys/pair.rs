//! Pairs of SOCK_SEQPACKET sockets: whole messages, descriptors beside them, end-of-file when the other end is gone.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, setsockopt,
    socketpair, sockopt,
};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Largest message: three configuration files fit with room to spare.
const MAX: usize = 256 * 1024;

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

/// One end with a queue for what the other end does not take yet: sending never blocks and never loses.
#[derive(Debug)]
pub struct End {
    fd: OwnedFd,
    /// For receiving; made at the first message, so that an end that only sends stays small.
    buffer: Vec<u8>,
    queue: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

impl End {
    pub fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            buffer: Vec::new(),
            queue: VecDeque::new(),
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

    pub fn send(&mut self, bytes: Vec<u8>, fd: Option<OwnedFd>) {
        self.queue.push_back((bytes, fd));
        self.flush();
    }

    /// Sends what waits as far as the socket takes it. A closed other end shows when reading.
    pub fn flush(&mut self) {
        while let Some((bytes, fd)) = self.queue.front() {
            let raw = fd.as_ref().map(|f| [f.as_raw_fd()]);
            let control: Vec<ControlMessage<'_>> =
                raw.as_ref().map(|r| ControlMessage::ScmRights(r)).into_iter().collect();
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(self.fd.as_raw_fd(), &[IoSlice::new(bytes)], &control, flags, None) {
                Ok(_) => {}
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => return,
                Err(_) => {}
            }
            self.queue.pop_front();
        }
    }

    pub fn receive(&mut self) -> io::Result<Got> {
        self.buffer.resize(MAX, 0);
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; 4]);
        let mut slices = [IoSliceMut::new(&mut self.buffer)];
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
        Ok(Got::Message {
            bytes: self.buffer[..n].to_vec(),
            fd,
        })
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
