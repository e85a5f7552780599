//! Namespaces: making the nodes of the lab, going into them, and what their first process needs.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, fstat};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Takes a descriptor that a system call just returned, or its error.
pub(super) fn owned(result: libc::c_int) -> io::Result<OwnedFd> {
    let fd = Errno::result(result)?;
    // SAFETY: only called on what a system call just made: it is open and nobody else has the number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Microseconds on CLOCK_BOOTTIME, the clock of `sys::now`, which has only milliseconds.
pub fn now_micros() -> u64 {
    let t = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)
        .expect("CLOCK_BOOTTIME is there since Linux 2.6.39");
    t.tv_sec() as u64 * 1_000_000 + t.tv_nsec() as u64 / 1000
}

/// Goes into a new user namespace in which the caller is root. Only a process with one thread can.
pub fn become_root_of_own_namespace() -> io::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // Without "deny" an unprivileged process may not map its group.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    Ok(())
}

/// A network and a mount table of one's own; nothing mounted from now on is seen outside.
pub fn own_network_and_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    private_mounts()
}

/// As above, and a host name and System V objects of one's own.
pub fn own_everything_but_processes() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)?;
    private_mounts()
}

fn private_mounts() -> io::Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    Ok(())
}

/// The caller's network, to be named to somebody in another one.
pub fn this_network() -> io::Result<OwnedFd> {
    Ok(fs::File::open("/proc/self/ns/net")?.into())
}

/// Process 1 of a process namespace of its own, and pipes to its standard input and from its standard output.
#[derive(Debug)]
pub struct FirstProcess {
    pid: Pid,
    pub input: fs::File,
    pub output: fs::File,
}

impl FirstProcess {
    /// Starts a program so. Only for a process with one thread: what runs between the two calls of the kernel is a copy
    /// of it.
    ///
    /// Not `unshare` and then `std::process`: a process that is root only of its own user namespace could not make its
    /// next child at home again.
    pub fn start(program: &Path, arguments: &[&OsStr]) -> io::Result<Self> {
        let text = |s: &OsStr| std::ffi::CString::new(s.as_encoded_bytes()).map_err(io::Error::other);
        let path = text(program.as_os_str())?;
        let mut words = vec![path.clone()];
        for argument in arguments {
            words.push(text(argument)?);
        }
        let (its_input, input) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let (output, its_output) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
        // SAFETY: without a stack and without shared memory this is a fork; the child's few lines below only make
        // system calls and end in exec or _exit.
        let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
        if pid == 0 {
            let ready = nix::unistd::dup2_stdin(&its_input)
                .and_then(|()| nix::unistd::dup2_stdout(&its_output))
                .is_ok();
            if ready {
                let _ = nix::unistd::execv(&path, &words);
            }
            // SAFETY: ends this copy without running what the original registered for its own end.
            unsafe { libc::_exit(127) }
        }
        let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
        Ok(Self {
            pid,
            input: input.into(),
            output: output.into(),
        })
    }

    /// Its number as the caller sees it.
    pub fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    pub fn has_ended(&self) -> bool {
        !matches!(
            waitpid(self.pid, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)
        )
    }

    /// Kills it, and with it every process of its namespace; returns when they are gone.
    pub fn end(self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        while waitpid(self.pid, None) == Err(Errno::EINTR) {}
    }
}

/// The namespaces of a process.
#[derive(Debug)]
pub struct Place {
    user: Option<OwnedFd>,
    others: Vec<(OwnedFd, CloneFlags)>,
}

impl Place {
    pub fn of(pid: u32) -> io::Result<Self> {
        let file = |kind: &str| -> io::Result<OwnedFd> { Ok(fs::File::open(format!("/proc/{pid}/ns/{kind}"))?.into()) };
        let user = file("user")?;
        let mine = fs::File::open("/proc/self/ns/user")?;
        let same = fstat(&user)?.st_ino == fstat(&mine)?.st_ino;
        let others = [
            ("net", CloneFlags::CLONE_NEWNET),
            ("uts", CloneFlags::CLONE_NEWUTS),
            ("ipc", CloneFlags::CLONE_NEWIPC),
            ("pid", CloneFlags::CLONE_NEWPID),
            // Last: afterwards /proc is the node's.
            ("mnt", CloneFlags::CLONE_NEWNS),
        ];
        let others = others
            .into_iter()
            .map(|(kind, flag)| Ok((file(kind)?, flag)))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            user: (!same).then_some(user),
            others,
        })
    }

    /// Goes there; children started afterwards are in its process namespace. Only a process with one thread can.
    pub fn enter(&self) -> io::Result<()> {
        if let Some(user) = &self.user {
            setns(user, CloneFlags::CLONE_NEWUSER)?;
        }
        for (fd, kind) in &self.others {
            setns(fd, *kind)?;
        }
        Ok(())
    }

    /// Goes into its network only.
    pub fn enter_network(&self) -> io::Result<()> {
        if let Some(user) = &self.user {
            setns(user, CloneFlags::CLONE_NEWUSER)?;
        }
        for (fd, kind) in &self.others {
            if *kind == CloneFlags::CLONE_NEWNET {
                setns(fd, *kind)?;
            }
        }
        Ok(())
    }
}

/// Shows `what` at `at` as well, with everything mounted below it.
pub fn bind_mount(what: &Path, at: &Path) -> io::Result<()> {
    let none: Option<&str> = None;
    mount(Some(what), at, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    Ok(())
}

/// Lays directories over one another, the first on top; what is written goes to `upper`. No colon or comma may be in a
/// path: they are the mount option's own signs.
pub fn overlay_mount(lower: &[&Path], upper: &Path, work: &Path, at: &Path) -> io::Result<()> {
    let shown: Vec<String> = lower.iter().map(|p| p.display().to_string()).collect();
    let all = [shown.join(""), upper.display().to_string(), work.display().to_string()].concat();
    if all.contains([':', ',']) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("\"{all}\" has a colon or a comma in it"),
        ));
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        shown.join(":"),
        upper.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        at,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )?;
    Ok(())
}

/// /proc of the caller's own process namespace, so that `ps` shows the node's processes.
pub fn mount_proc() -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)?;
    Ok(())
}

/// /sys of the caller's own network. Refused in some containers.
pub fn mount_sys() -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("sysfs"), "/sys", Some("sysfs"), flags, None::<&str>)?;
    Ok(())
}

pub fn set_host_name(name: &str) -> io::Result<()> {
    nix::unistd::sethostname(OsStr::new(name))?;
    Ok(())
}

/// A session of its own: a Ctrl-C at the terminal does not reach the caller.
pub fn own_session() {
    // Fails only for the leader of a group, which then has what was wanted.
    let _ = nix::unistd::setsid();
}

/// The kernel kills the caller when its parent dies.
pub fn die_with_parent() -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    Ok(())
}

/// The kernel kills the child when this process dies.
pub fn let_die_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: prctl is a plain system call, allowed between fork and exec.
    unsafe { command.pre_exec(die_with_parent) }
}

/// Sends a signal to every process of the caller's process namespace but itself and process 1, all at one time.
pub fn signal_everybody(signal: Everybody) {
    // ESRCH: there was nobody.
    let _ = kill(
        Pid::from_raw(-1),
        match signal {
            Everybody::Kill => Signal::SIGKILL,
            Everybody::Freeze => Signal::SIGSTOP,
            Everybody::Thaw => Signal::SIGCONT,
        },
    );
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Everybody {
    Kill,
    Freeze,
    Thaw,
}

/// Ends one process that the caller knows to be its own.
pub fn kill_process(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Collects children that ended, until there are no more.
pub fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}

/// Process at the other end of a Unix socket.
pub fn peer_process(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let who = nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::PeerCredentials)?;
    u32::try_from(who.pid()).map_err(|_| io::Error::other("the kernel named no process"))
}

/// Talks to the kernel about interfaces, in the network namespace the caller was in when it opened this.
#[derive(Debug)]
pub struct RouteSocket(OwnedFd);

impl RouteSocket {
    pub fn open() -> io::Result<Self> {
        // SAFETY: no memory is handed over.
        let fd = owned(unsafe {
            libc::socket(
                libc::AF_NETLINK,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                libc::NETLINK_ROUTE,
            )
        })?;
        Ok(Self(fd))
    }

    /// Sends one request that asks for an acknowledgement and returns the kernel's answer to it.
    pub fn ask(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        // An unconnected netlink socket writes to the kernel.
        nix::unistd::write(&self.0, request)?;
        let mut answer = vec![0; 8192];
        let n = nix::unistd::read(&self.0, &mut answer)?;
        answer.truncate(n);
        Ok(answer)
    }
}

pub fn interface_index(name: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(name)?)
}

/// One end of a serial line that has no hardware.
#[derive(Debug)]
pub struct Pty {
    master: OwnedFd,
    /// Held so that reading the master is no error while no program has the line open.
    _slave: OwnedFd,
    /// What a program opens.
    pub path: String,
}

impl Pty {
    pub fn open() -> io::Result<Self> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let master = nix::pty::posix_openpt(flags)?;
        nix::pty::grantpt(&master)?;
        nix::pty::unlockpt(&master)?;
        let path = nix::pty::ptsname_r(&master)?;
        let slave = open(path.as_str(), flags, Mode::empty())?;
        let mut settings = nix::sys::termios::tcgetattr(&slave)?;
        nix::sys::termios::cfmakeraw(&mut settings);
        nix::sys::termios::tcsetattr(&slave, nix::sys::termios::SetArg::TCSANOW, &settings)?;
        // SAFETY: into_raw_fd gave the number up: it is open and ours alone.
        let master = unsafe { OwnedFd::from_raw_fd(std::os::fd::IntoRawFd::into_raw_fd(master)) };
        Ok(Self {
            master,
            _slave: slave,
            path,
        })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> &'b [u8] {
        let n = nix::unistd::read(&self.master, buffer).unwrap_or(0);
        &buffer[..n]
    }

    /// What does not fit is lost, as on a line without flow control.
    pub fn write(&self, bytes: &[u8]) {
        let _ = nix::unistd::write(&self.master, bytes);
    }
}

/// Number of a descriptor that a netlink message has to name.
pub fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}
