//! Raw frames on one interface, and the process that goes on sending them when the program has ended.

use super::icmp::attach_filter;
use super::now;
use super::poll::{Want, wait};
use crate::time::Instant;
use crate::wire::icmp::Instruction;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::unistd::{ForkResult, chdir, fork, setsid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// From linux/if_packet.h; the libc crate does not have it for every target.
pub(super) const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Sends whole Ethernet frames out of one interface; receives those of one ethertype if it was opened to.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    address: libc::sockaddr_ll,
}

const ADDRESS_LENGTH: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;

impl PacketSocket {
    /// For sending only: the kernel queues nothing for it to read.
    pub fn sender(index: u32, ethertype: u16) -> io::Result<Self> {
        Self::open(index, ethertype, false)
    }

    pub fn receiver(index: u32, ethertype: u16) -> io::Result<Self> {
        Self::open(index, ethertype, true)
    }

    /// Hears what others send, as far as `filter` lets it in.
    pub fn listener(index: u32, ethertype: u16, filter: &[Instruction]) -> io::Result<Self> {
        let socket = Self::open(index, ethertype, false)?;
        attach_filter(socket.fd.as_fd(), filter)?;
        let on: libc::c_int = 1;
        // SAFETY: `on` lives through the call and its length is given. Kernels before 4.20 do not know the option: then our
        // own frames come in too, and are known by their hardware address.
        let _ = unsafe {
            libc::setsockopt(
                socket.fd.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_IGNORE_OUTGOING,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        socket.bind()?;
        Ok(socket)
    }

    pub fn set_filter(&self, filter: &[Instruction]) -> io::Result<()> {
        attach_filter(self.fd.as_fd(), filter)
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn bind(&self) -> io::Result<()> {
        // SAFETY: pointer and length are those of a live sockaddr_ll.
        Errno::result(unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const self.address).cast(), ADDRESS_LENGTH) })?;
        Ok(())
    }

    fn open(index: u32, ethertype: u16, listen: bool) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: `socket` takes no pointers. Protocol 0: no frames arrive before `bind` says which.
        let number = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: the kernel just gave us this descriptor; nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: ethertype.to_be(),
            sll_ifindex: i32::try_from(index).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let socket = Self { fd, address };
        if listen {
            socket.bind()?;
        }
        Ok(socket)
    }

    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: both pointers and lengths are those of live values; the kernel only reads them.
        Errno::result(unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
                (&raw const self.address).cast(),
                ADDRESS_LENGTH,
            )
        })?;
        Ok(())
    }

    /// The next frame; none if the deadline came first.
    pub fn receive(&self, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; 2048];
        loop {
            match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
                Err(Errno::EAGAIN) if now() >= deadline => return Ok(None),
                Err(Errno::EAGAIN) => {
                    wait(&[Want::read(self.fd.as_fd())], deadline)?;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// Does `work` in a process of its own, which outlives the caller, its session and its process group, and keeps none of the
/// caller's descriptors but `socket`: who reads the caller's output sees its end when the caller ends. Its working
/// directory is `/`, so that it keeps no file system busy. For programs with one thread that end soon: the process is not
/// waited for.
///
/// The socket goes along because the kernel takes some 8 ms to close the last descriptor of a packet socket (measured on
/// Linux 6.18): this way the caller does not wait for that.
pub fn in_background(socket: PacketSocket, work: impl FnOnce(&PacketSocket)) -> io::Result<()> {
    // SAFETY: the callers are programs with one thread, so no lock is held by a thread that the child does not have.
    if let ForkResult::Child = unsafe { fork() }? {
        let _ = setsid();
        leave_everything_but(&socket.fd);
        let _ = catch_unwind(AssertUnwindSafe(|| work(&socket)));
        // SAFETY: `_exit` takes a number. It neither runs the caller's exit handlers nor writes its buffers twice.
        unsafe { libc::_exit(0) }
    }
    Ok(())
}

fn leave_everything_but(kept: &OwnedFd) {
    let _ = chdir("/");
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    let kept = kept.as_raw_fd();
    // SAFETY: this process is the only user of its descriptors and uses none but `kept` from here on. `kept` is above 2,
    // where std opens something at the start of each program; there /dev/null takes the places.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        for n in 0..3 {
            libc::dup2(null, n);
        }
        for n in 3..kept {
            libc::close(n);
        }
        let first = libc::c_uint::try_from(kept).unwrap_or(0) + 1;
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0);
    }
}

/// Waits between packets that SIGTERM and SIGINT end at once, without a handler.
#[derive(Debug)]
pub struct Pauses {
    signals: SigSet,
}

impl Pauses {
    /// From here on the two signals only end pauses. For programs with one thread.
    pub fn new() -> io::Result<Self> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        signals.add(Signal::SIGINT);
        signals.thread_block()?;
        Ok(Self { signals })
    }

    /// False: a signal came, stop.
    pub fn pause_until(&self, deadline: Instant) -> io::Result<bool> {
        loop {
            let left = i64::try_from((deadline - now()).as_millis()).unwrap_or(i64::MAX);
            let time = TimeSpec::milliseconds(left);
            // SAFETY: both pointers are to live values; the third, for details of the signal, may be null.
            let got = unsafe { libc::sigtimedwait(self.signals.as_ref(), std::ptr::null_mut(), time.as_ref()) };
            match Errno::result(got) {
                Ok(_) => return Ok(false),
                Err(Errno::EAGAIN) if now() >= deadline => return Ok(true),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}
