//! Starting one script: a process of its own that inherits nothing from us but the pipe for its output.
//!
//! The scripts of a site are old and many; they get what a shell at boot time would give them: /dev/null on stdin, every
//! signal at its default, normal scheduling, umask 022, `/` as directory. What a realtime daemon holds (locked memory,
//! sockets, its immunity to the OOM killer) must not leak into the web server that a script starts.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, pipe2};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Code(i32),
    Signal(i32),
}

/// A process that was started and has not been waited for.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    pidfd: OwnedFd,
}

impl Child {
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Readable once the process has ended.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// True once it has ended; it stays a zombie, so its process group number cannot be given to anybody else yet.
    pub fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::PIDFd(self.fd()), flags) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => false,
            Ok(_) | Err(_) => true,
        }
    }

    /// Takes the exit code when there is one. An error means that somebody else in this program waited for it.
    pub fn reap(&mut self) -> io::Result<Option<Ended>> {
        Ok(self.process.try_wait()?.map(|status| match status.code() {
            Some(code) => Ended::Code(code),
            None => Ended::Signal(status.signal().unwrap_or(0)),
        }))
    }

    /// Asks the whole process group to end.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends the whole process group.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        // Not reaped yet, so the number is still its own. ESRCH (nobody left) is what we want anyway.
        let _ = killpg(Pid::from_raw(self.process.id() as i32), signal);
    }
}

/// Starts `program` in a session of its own with exactly this environment. The second value is the non-blocking end of
/// the pipe that is its standard output and error. A text file without `#!` is handed to /bin/sh, as a shell would do.
pub fn spawn(program: &Path, args: &[String], env: &[(String, String)]) -> io::Result<(Child, OwnedFd)> {
    spawn_with_input(program, args, env, None, None)
}

/// A file that says of a script that it runs, for whoever comes after us: `PID MILLISECONDS`, on the clock that counts
/// since boot, then `text`. The new process writes it itself before it becomes the script, and does not become it when
/// we are dead by then: so there is no script without its file.
#[derive(Clone, Debug)]
pub struct Note {
    path: CString,
    text: Vec<u8>,
}

impl Note {
    /// `None` for a path that no system call takes.
    pub fn new(path: &Path, text: String) -> Option<Self> {
        Some(Self {
            path: CString::new(path.as_os_str().as_bytes()).ok()?,
            text: text.into_bytes(),
        })
    }

    /// Async-signal-safe. A disk that is full is no reason not to run the script.
    fn write(&self) {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: system calls on numbers and on values that outlive the calls; the path ends with NUL.
        unsafe {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC | libc::O_NOFOLLOW;
            let file = libc::open(self.path.as_ptr(), flags, 0o600);
            if file < 0 {
                return;
            }
            libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now);
            let millis = now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000;
            for (number, end) in [(libc::getpid() as u64, b' '), (millis, b'\n')] {
                let mut digits = [0; 21];
                let from = decimal(number, end, &mut digits);
                libc::write(file, digits[from..].as_ptr().cast(), digits.len() - from);
            }
            libc::write(file, self.text.as_ptr().cast(), self.text.len());
            libc::close(file);
        }
    }
}

/// The number and a byte after it at the end of `out`; from there on.
fn decimal(mut number: u64, end: u8, out: &mut [u8; 21]) -> usize {
    let mut from = out.len() - 1;
    out[from] = end;
    loop {
        from -= 1;
        out[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return from;
        }
    }
}

/// The same with something to read on standard input: less than a pipe holds, so that nobody waits.
pub fn spawn_with_input(
    program: &Path,
    args: &[String],
    env: &[(String, String)],
    input: Option<&[u8]>,
    note: Option<&Note>,
) -> io::Result<(Child, OwnedFd)> {
    spawn_into(program, args, env, input, note, None)
}

/// The same; with `fifo` its output goes through a FIFO of that name, which is made. Whoever comes after us can open it
/// and read on, and until then nobody who writes into it is killed for that: the script has it open for both directions.
pub fn spawn_into(
    program: &Path,
    args: &[String],
    env: &[(String, String)],
    input: Option<&[u8]>,
    note: Option<&Note>,
    fifo: Option<&Path>,
) -> io::Result<(Child, OwnedFd)> {
    let ends = || match fifo {
        Some(path) => named_pipe(path),
        None => Ok(pipe2(OFlag::O_CLOEXEC)?),
    };
    match exec(program, None, args, env, input, note, ends()?) {
        Err(e) if e.raw_os_error() == Some(libc::ENOEXEC) => {
            exec(Path::new("/bin/sh"), Some(program), args, env, input, note, ends()?)
        }
        other => other,
    }
}

fn named_pipe(path: &Path) -> io::Result<(OwnedFd, OwnedFd)> {
    match super::fifo::make(path, 0o600) {
        // The second try of the same script.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    let (ours, _) = super::fifo::open_fifo(path, super::fifo::Access::Read)?;
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let theirs = nix::fcntl::open(path, flags, nix::sys::stat::Mode::empty())?;
    Ok((ours, theirs))
}

/// A pipe that is already full of what is to be read, and closed behind it.
fn filled(input: &[u8]) -> io::Result<OwnedFd> {
    let (theirs, ours) = pipe2(OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&ours, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    match nix::unistd::write(&ours, input) {
        Ok(n) if n == input.len() => Ok(theirs),
        Ok(_) | Err(Errno::EAGAIN) => Err(io::Error::other("its input is longer than a pipe holds")),
        Err(e) => Err(e.into()),
    }
}

fn exec(
    program: &Path,
    script: Option<&Path>,
    args: &[String],
    env: &[(String, String)],
    input: Option<&[u8]>,
    note: Option<&Note>,
    (ours, theirs): (OwnedFd, OwnedFd),
) -> io::Result<(Child, OwnedFd)> {
    let stdin = match input {
        Some(input) => filled(input)?.into(),
        None => Stdio::null(),
    };
    // Only our end: a script that writes faster than we read must wait, not fail.
    nix::fcntl::fcntl(&ours, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let mut command = Command::new(program);
    command
        .args(script)
        .args(args)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(stdin)
        .stdout(theirs.try_clone()?)
        .stderr(theirs);
    let (note, parent) = (note.cloned(), std::process::id());
    // SAFETY: `prepare` makes plain system calls only: no allocation, no lock, nothing that another thread could have
    // been holding at the moment of the fork.
    unsafe { command.pre_exec(move || prepare(note.as_ref(), parent)) };
    let mut process = command.spawn()?;
    match super::process::pidfd(process.id()) {
        Ok(pidfd) => Ok((Child { process, pidfd }, ours)),
        Err(e) => {
            // Without it the end of the script would go unnoticed: better not to run it at all.
            let _ = process.kill();
            let _ = process.wait();
            Err(io::Error::new(
                e.kind(),
                format!("pidfd_open (Linux 5.3 or later): {e}"),
            ))
        }
    }
}

/// Runs in the new process between fork and exec: only async-signal-safe calls. Nothing here is a reason not to run the
/// script, except a session it cannot have: without it a signal to the group would hit ourselves.
fn prepare(note: Option<&Note>, parent: u32) -> io::Result<()> {
    // SAFETY: a plain system call.
    if unsafe { libc::setsid() } < 0 {
        return Err(io::Error::last_os_error());
    }
    if let Some(note) = note {
        note.write();
        // SAFETY: a plain system call.
        if unsafe { libc::getppid() } as u32 != parent {
            return Err(io::Error::from_raw_os_error(libc::ECANCELED));
        }
    }
    as_at_boot();
    Ok(())
}

/// Signals, priority, OOM score, umask and descriptors as a program at boot time finds them. Async-signal-safe.
pub(super) fn as_at_boot() {
    const HIGHEST_SIGNAL: i32 = 64;
    const SIGSET_BYTES: usize = 8;
    // SAFETY: all of these are system calls on numbers, on local values that outlive the call, and on literals that
    // end with NUL; the default disposition installs no code.
    unsafe {
        // The bare system call, because glibc will not touch 32 and 33, which can have been inherited as ignored too.
        // All zero is SIG_DFL without flags and mask, in the kernel's form of the structure on every architecture.
        let default = [0u64; 8];
        for n in 1..=HIGHEST_SIGNAL {
            let nothing: *mut u64 = std::ptr::null_mut();
            libc::syscall(libc::SYS_rt_sigaction, n, default.as_ptr(), nothing, SIGSET_BYTES); // KILL and STOP refuse
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());

        let _ = super::process::schedule(libc::SCHED_OTHER, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        let score = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if score >= 0 {
            libc::write(score, c"0".as_ptr().cast(), 1);
            libc::close(score);
        }
        libc::umask(0o022);
        // Marks rather than closes: std's own pipe, by which a failed exec is reported, must live until the exec.
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}
