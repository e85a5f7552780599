//! Stopping another process between its system calls: for tests of what a power cut leaves behind.

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::process::{Child, Command};

/// To be called by the process that is to be watched, where the watching is to begin.
pub fn be_watched() -> io::Result<()> {
    ptrace::traceme()?;
    Ok(raise(Signal::SIGSTOP)?)
}

/// What becomes of a process that was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    GoOn,
    Kill,
}

/// Runs a command that calls [`be_watched`] and stops it before and after each system call that follows, to ask what
/// becomes of it. Gives the number of stops. The calling thread must be the one that waits for no other child.
pub fn between_calls(command: &mut Command, mut ask: impl FnMut(usize) -> Next) -> io::Result<usize> {
    let child: Child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    match waitpid(pid, None)? {
        WaitStatus::Stopped(_, Signal::SIGSTOP) => {}
        other => {
            return Err(io::Error::other(format!(
                "the process did not wait to be watched: {other:?}"
            )));
        }
    }
    ptrace::setoptions(pid, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL)?;
    let mut stops = 0;
    let mut pass = None;
    loop {
        ptrace::syscall(pid, pass.take())?;
        match waitpid(pid, None)? {
            WaitStatus::PtraceSyscall(_) => {
                if ask(stops) == Next::Kill {
                    ptrace::kill(pid)?;
                    waitpid(pid, None)?;
                    return Ok(stops + 1);
                }
                stops += 1;
            }
            WaitStatus::Stopped(_, signal) => pass = Some(signal),
            WaitStatus::Exited(_, 0) => return Ok(stops),
            other => return Err(io::Error::other(format!("the process ended: {other:?}"))),
        }
    }
}
