//! Processes of our own: starting them under their titles, with their rights, priorities and memory; asking after others.

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Group, Pid, Uid, User, setgid, setgroups, setuid};
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Descriptors are handed to our processes under these numbers, in the order of the list.
const FIRST_FD: RawFd = 3;
/// Where they are parked so that none is overwritten before it is copied.
const PARKING: RawFd = 256;

fn own_program(
    title: &str,
    env: &[(&str, String)],
    fds: &[BorrowedFd<'_>],
    new_session: bool,
    priority: Option<u8>,
) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(title);
    for (name, value) in env {
        command.env(name, value);
    }
    let fds: Vec<RawFd> = fds.iter().map(|f| f.as_raw_fd()).collect();
    // SAFETY: between fork and exec only async-signal-safe calls are made: fcntl, dup2, setsid, sched_setscheduler.
    unsafe {
        command.pre_exec(move || {
            for (i, fd) in fds.iter().enumerate() {
                if libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, PARKING + i as RawFd) != PARKING + i as RawFd {
                    return Err(io::Error::last_os_error());
                }
            }
            for i in 0..fds.len() as RawFd {
                if libc::dup2(PARKING + i, FIRST_FD + i) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            if new_session {
                libc::setsid();
            }
            if let Some(priority) = priority {
                // Refused: it asks for itself again, and says so.
                let _ = realtime(priority);
            }
            Ok(())
        });
    }
    command
}

/// Starts this program once more as another of its processes; `title` is what `ps` shows.
pub fn spawn_own(title: &str, env: &[(&str, String)], fds: &[BorrowedFd<'_>], new_session: bool) -> io::Result<Child> {
    spawn_urgent(title, env, fds, new_session, None)
}

/// The same with a real-time priority from its first instruction on: on a busy machine the loading of a program that will
/// ask for one itself would take many times as long as it works.
pub fn spawn_urgent(
    title: &str,
    env: &[(&str, String)],
    fds: &[BorrowedFd<'_>],
    new_session: bool,
    priority: Option<u8>,
) -> io::Result<Child> {
    let mut command = own_program(title, env, fds, new_session, priority);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if new_session {
        command.current_dir("/");
    }
    command.spawn()
}

/// Becomes another of our processes; returns only when that failed.
pub fn become_own(title: &str, env: &[(&str, String)], fds: &[BorrowedFd<'_>]) -> io::Error {
    own_program(title, env, fds, false, None).exec()
}

/// This program once more with these arguments and one more variable, apart from the terminal and with nobody to wait for
/// it.
pub fn in_background(args: impl IntoIterator<Item = std::ffi::OsString>, mark: &str) -> io::Result<()> {
    let mut command = own_program("", &[(mark, "1".to_owned())], &[], true, None);
    command.arg0(std::env::args_os().next().unwrap_or_default()).args(args);
    let nothing = Stdio::null;
    command
        .stdin(nothing())
        .stdout(nothing())
        .stderr(nothing())
        .spawn()
        .map(drop)
}

/// Takes the descriptors that `spawn_own` handed over, close-on-exec from now on. To be called once, before anything
/// else opens a descriptor.
pub fn inherited(count: usize) -> io::Result<Vec<OwnedFd>> {
    (0..count as RawFd)
        .map(|i| {
            let raw = FIRST_FD + i;
            // SAFETY: plain system call on a number; it fails when the number is not open.
            if unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: `fcntl` just showed that it is open, and by the start-up protocol nothing else in this process
            // owns it: this runs once, before any other descriptor is opened.
            Ok(unsafe { OwnedFd::from_raw_fd(raw) })
        })
        .collect()
}

/// Real-time priority (SCHED_RR) that children do not inherit. May be called between fork and exec.
pub fn realtime(priority: u8) -> io::Result<()> {
    schedule(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, i32::from(priority))
}

/// Sets the policy of this thread. Asks the kernel itself: musl's function of this name only fails, and its structure has
/// fields that the kernel does not know. The kernel's is one number. May be called between fork and exec.
pub(super) fn schedule(policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    // SAFETY: the kernel reads one number at the pointer, which lives across the call; pid 0 is this thread.
    if unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Back to normal scheduling, for threads that need no priority.
pub fn normal_priority() {
    let _ = schedule(libc::SCHED_OTHER, 0);
}

/// Keeps this process in memory. What is allocated later is locked too, but only where the limit could be lifted before
/// the rights are dropped: below a limit an allocation would fail and end the process.
///
/// Programs and libraries are read in whole, since the disk may hang when a page of them is first needed; but not what
/// [`super::sections`] knows to be needed no more, see [`end_when_panicking`]. What is no file is locked as it is used: the
/// first use of such a page asks no disk, and stacks and the allocator's reserve, which are hardly used, would be most of
/// what a daemon takes.
pub fn lock_memory() -> io::Result<()> {
    let lifted = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok();
    let later = if lifted { libc::MCL_FUTURE } else { 0 };
    // What is locked can no longer be given back.
    give_memory_back();
    let idle = forget_idle();
    // SAFETY: takes no pointer.
    let on_use = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_ONFAULT | later) } == 0;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(file_mapping);
    let mut used = files.flat_map(|file| without(file.memory, &idle));
    if on_use && !maps.is_empty() && used.all(lock_whole) {
        return Ok(());
    }
    // SAFETY: takes no pointer.
    Errno::result(unsafe { libc::mlockall(libc::MCL_CURRENT | later) })?;
    Ok(())
}

/// Takes out of memory what of this program is needed no more; says where it was. Should it be needed after all, it is read
/// anew.
pub fn forget_idle() -> Vec<Range<usize>> {
    let program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let program = program.to_string_lossy();
    let sections = super::sections::idle();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut idle = Vec::new();
    for file in maps.lines().filter_map(file_mapping) {
        if file.path == program && !file.is_changed {
            idle.extend(sections.iter().filter_map(|section| file.pages_of(section)));
        }
    }
    for range in &idle {
        // SAFETY: whole pages of a file that is mapped and cannot be written to: who reads them gets them anew.
        unsafe { libc::madvise(range.start as *mut libc::c_void, range.len(), libc::MADV_DONTNEED) };
    }
    idle
}

/// A file in memory, as a line of /proc/PID/maps says.
#[derive(Clone, PartialEq, Eq, Debug)]
struct FileMapping<'a> {
    memory: Range<usize>,
    /// Where in the file it begins.
    offset: u64,
    path: &'a str,
    /// Something may be in memory that is not in the file.
    is_changed: bool,
}

/// Everything that can be read of a file that is in memory.
fn file_mapping(line: &str) -> Option<FileMapping<'_>> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights, offset) = (words.next()?, words.next()?, words.next()?);
    let path = line.find('/').map(|at| &line[at..])?;
    let (from, to) = range.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    rights.starts_with('r').then_some(FileMapping {
        memory: number(from)?..number(to)?,
        offset: u64::from_str_radix(offset, 16).ok()?,
        path,
        is_changed: rights.contains('w'),
    })
}

/// The smallest page there is; where pages are larger the kernel refuses what does not fit, and all is locked.
const PAGE: usize = 4096;

impl FileMapping<'_> {
    /// The whole pages that a part of the file has here.
    fn pages_of(&self, part: &Range<u64>) -> Option<Range<usize>> {
        let here = |at: u64| Some(self.memory.start + usize::try_from(at.checked_sub(self.offset)?).ok()?);
        let (from, to) = (here(part.start)?.next_multiple_of(PAGE), here(part.end)? / PAGE * PAGE);
        (from < to && to <= self.memory.end).then_some(from..to)
    }
}

/// What is left of a range.
fn without(range: Range<usize>, holes: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut left = vec![range];
    for hole in holes {
        let parts = |r: Range<usize>| [r.start..r.end.min(hole.start), r.start.max(hole.end)..r.end];
        left = left.into_iter().flat_map(parts).filter(|r| r.start < r.end).collect();
    }
    left
}

fn lock_whole(range: Range<usize>) -> bool {
    // SAFETY: reads and changes nothing in these pages; where they are gone meanwhile the kernel refuses.
    unsafe { libc::mlock(range.start as *const libc::c_void, range.len()) == 0 }
}

/// A panic of the first thread ends this process at once, as `panic = "abort"` does, but without a core file, whose disk
/// may hang: unwinding reads tables that are not locked in memory, and whoever waits for this process should not wait for
/// them. `tell` logs it. Other threads end alone.
pub fn end_when_panicking(tell: impl Fn(&str) + Send + Sync + 'static) {
    const EXIT_CODE: libc::c_int = 101;
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        tell(&info.to_string());
        if std::thread::current().name() == Some("main") {
            // SAFETY: takes a number, and does not return.
            unsafe { libc::_exit(EXIT_CODE) }
        }
    }));
}

/// What this process has freed goes back to the system, as far as whole pages are free. Takes less than a millisecond for
/// the few megabytes of a daemon.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; the allocator locks itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives up root for good. `None` when the user or the group does not exist.
pub fn drop_rights(user: &str, group: &str) -> io::Result<Option<()>> {
    let (Some(user), Some(group)) = (User::from_name(user)?, Group::from_name(group)?) else {
        return Ok(None);
    };
    setgroups(&[group.gid])?;
    setgid(group.gid)?;
    setuid(user.uid)?;
    Ok(Some(()))
}

/// Gives up root but for one right: raw packets. `None` when the user or the group does not exist.
pub fn keep_only_raw_packets(user: &str, group: &str) -> io::Result<Option<()>> {
    /// `struct __user_cap_header_struct` and two of `__user_cap_data_struct` of linux/capability.h.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    const NET_RAW: u32 = 1 << 13;
    // SAFETY: numbers only. It holds for this one change of the user.
    if unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let dropped = drop_rights(user, group)?;
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let none = Data {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    };
    let raw = Data {
        effective: NET_RAW,
        permitted: NET_RAW,
        ..none
    };
    let data = [raw, none];
    // SAFETY: both pointers are to live values of the layout that version 3 has; the kernel only reads them.
    if unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(dropped)
}

pub fn user_and_group(user: &str, group: &str) -> Option<(u32, u32)> {
    let user = User::from_name(user).ok().flatten()?;
    let group = Group::from_name(group).ok().flatten()?;
    Some((user.uid.as_raw(), group.gid.as_raw()))
}

pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Of the first thread it is that of the process; no other process or thread of the machine has it.
pub fn thread_id() -> i32 {
    nix::unistd::gettid().as_raw()
}

/// This process is the one with that pid and can be signalled.
pub fn is_alive(pid: u32) -> bool {
    match i32::try_from(pid) {
        Ok(pid) if pid > 0 => !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH)),
        _ => false,
    }
}

/// TERM or HUP to a process known by its pid.
pub fn signal(pid: u32, reload: bool) -> io::Result<()> {
    let signal = if reload { Signal::SIGHUP } else { Signal::SIGTERM };
    Ok(kill(Pid::from_raw(pid as i32), signal)?)
}

/// A descriptor that becomes readable when the process ends.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: plain system call; a negative answer is an error, any other is a fresh descriptor that is ours alone.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

/// A signal to the process behind [`pidfd`], and to no other.
pub fn signal_through(process: &OwnedFd, signal: u8) -> io::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: plain system call on a descriptor that is open; without information the kernel fills in its own.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            i32::from(signal),
            none,
            0,
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits until the process has ended; false when the time was over before.
pub fn wait_gone(pid: u32, limit: Duration) -> bool {
    use std::os::fd::AsFd;
    let Ok(fd) = pidfd(pid) else { return true };
    let deadline = super::now() + limit;
    while super::now() < deadline {
        match super::poll::wait(&[super::poll::Want::read(fd.as_fd())], deadline) {
            Ok(ready) if ready[0].read => return true,
            _ => {}
        }
    }
    false
}

/// Sets an environment variable away before any thread exists.
pub fn unset_env(name: impl AsRef<OsStr>) {
    // SAFETY: called first thing in `main`, when this is the only thread.
    unsafe { std::env::remove_var(name) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_memory_are_told_from_stacks_and_from_what_cannot_be_read() {
        let file = |memory, offset, path, is_changed| {
            Some(FileMapping {
                memory,
                offset,
                path,
                is_changed,
            })
        };
        #[rustfmt::skip]
        let table = [
            ("7f10-7f20 r-xp 00001000 fd:01 77                 /usr/lib/libc.so.6", file(0x7f10..0x7f20, 0x1000, "/usr/lib/libc.so.6", false)),
            ("55a0-55b0 rw-p 00000000 fd:01 78  /opt/a b/heartbeat (deleted)",      file(0x55a0..0x55b0, 0, "/opt/a b/heartbeat (deleted)", true)),
            ("7f30-7f40 ---p 00001000 fd:01 77                 /usr/lib/libc.so.6", None),
            ("7ffd-7fff rw-p 00000000 00:00 0                          [stack]",    None),
            ("7fa0-7fb0 rw-p 00000000 00:00 0 ",                                    None),
            ("",                                                                    None),
        ];
        for (line, mapping) in table {
            assert_eq!(file_mapping(line), mapping, "{line}");
        }
    }

    #[test]
    fn a_part_of_a_file_has_the_pages_that_are_wholly_its_own() {
        let mapping = file_mapping("10000-20000 r--p 00003000 fd:01 77 /x").unwrap();
        #[rustfmt::skip]
        let table = [
            // of the file    in memory
            (0x3000..0x4000,  Some(0x10000..0x11000)),
            (0x3001..0x5fff,  Some(0x11000..0x12000)),
            (0x3001..0x4fff,  None),
            (0x2000..0x5000,  None),
            (0x3000..0x13000, Some(0x10000..0x20000)),
            (0x3000..0x14000, None),
            (0x4000..0x4000,  None),
        ];
        for (part, pages) in table {
            assert_eq!(mapping.pages_of(&part), pages, "{part:x?}");
        }
    }

    #[test]
    fn holes_are_left_out() {
        #[rustfmt::skip]
        let table = [
            (vec![],                     vec![(10, 20)]),
            (vec![(0, 10), (20, 30)],    vec![(10, 20)]),
            (vec![(12, 14), (16, 17)],   vec![(10, 12), (14, 16), (17, 20)]),
            (vec![(5, 12), (18, 25)],    vec![(12, 18)]),
            (vec![(10, 20)],             vec![]),
            (vec![(15, 15)],             vec![(10, 15), (15, 20)]),
        ];
        for (holes, left) in table {
            let ranges: Vec<Range<usize>> = holes.iter().map(|(a, b)| *a..*b).collect();
            let found: Vec<(usize, usize)> = without(10..20, &ranges).iter().map(|r| (r.start, r.end)).collect();
            assert_eq!(found, left, "{holes:?}");
        }
    }
}
