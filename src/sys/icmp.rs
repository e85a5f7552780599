//! Raw ICMP sockets and their filters.

use crate::wire::icmp::Instruction;
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A raw socket for ICMP (or ICMPv6), non-blocking and close-on-exec. Needs CAP_NET_RAW.
pub fn socket(v6: bool) -> io::Result<OwnedFd> {
    let (family, protocol) = match v6 {
        true => (libc::AF_INET6, libc::IPPROTO_ICMPV6),
        false => (libc::AF_INET, libc::IPPROTO_ICMP),
    };
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: `socket` takes no pointers.
    let number = Errno::result(unsafe { libc::socket(family, kind, protocol) })?;
    // SAFETY: the kernel just gave us this descriptor; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The kernel queues everything again.
pub fn detach_filter(fd: BorrowedFd<'_>) -> io::Result<()> {
    let none: libc::c_int = 0;
    // SAFETY: the kernel reads one int, which lives until the call returns.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DETACH_FILTER,
            (&raw const none).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    Ok(Errno::result(done).map(drop)?)
}

/// From here on the kernel queues only packets that the program accepts.
pub fn attach_filter(fd: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let mut steps: Vec<libc::sock_filter> = program
        .iter()
        .map(|step| libc::sock_filter {
            code: step.code,
            jt: step.yes,
            jf: step.no,
            k: step.value,
        })
        .collect();
    let program = libc::sock_fprog {
        len: libc::c_ushort::try_from(steps.len()).map_err(io::Error::other)?,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: `program` and the steps it points to live until the call returns, with the lengths given; the kernel copies
    // them and keeps neither pointer.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    Ok(Errno::result(done).map(drop)?)
}
