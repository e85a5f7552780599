//! The heir: root, asleep on a socket, with its master's priority. It keeps the files the master runs with. When the master
//! dies it becomes the master with them, whatever has happened to the disk meanwhile, and goes on stopping if that was
//! asked for; when the master says goodbye it ends. It holds on to the output of scripts: a service that writes into a
//! pipe that nobody has open dies.

use super::link::ToHeir;
use super::role::{GENERATIONS, MASTER_TITLE, OUTPUTS, RESUME, ROLE, STOPPING};
use crate::sys::pair::{End, Got};
use crate::sys::poll::{Want, is_hung_up, wait};
use crate::sys::{files, process, signals};
use crate::time::Instant;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Open output of scripts and services that is kept, at most; the newest.
const MOST_OUTPUTS: usize = 128;

pub fn run() -> io::Result<()> {
    let mut fds = process::inherited(2)?;
    let mut master = End::new(fds.remove(0));
    let last_beat = fds.remove(0);
    signals::block_all_but_kill()?;
    process::forget_idle();
    let (mut keep, mut watchdog, mut stopping) = (Vec::new(), None, false);
    let mut generations = 0..0;
    let mut outputs: Vec<(String, OwnedFd)> = Vec::new();
    loop {
        wait(&[Want::read(master.fd())], Instant::NEVER)?;
        match master.receive()? {
            Got::Message { bytes, fd } => match ToHeir::decode(&bytes) {
                Some(ToHeir::Goodbye) => return Ok(()),
                Some(ToHeir::Keep { .. }) => keep = bytes,
                Some(ToHeir::Watchdog) => watchdog = fd,
                Some(ToHeir::Generations { left }) => generations = left,
                Some(ToHeir::Output { title }) => {
                    outputs.retain(|(_, pipe)| !is_hung_up(pipe.as_fd()));
                    if outputs.len() == MOST_OUTPUTS {
                        outputs.remove(0);
                    }
                    outputs.extend(fd.map(|fd| (title, fd)));
                }
                Some(ToHeir::Stopping) => stopping = true,
                None => {}
            },
            Got::Nothing => {}
            Got::Closed => {
                let legacy = files::in_memory("heartbeat files", &keep)?;
                let mut fds = vec![legacy.as_fd(), last_beat.as_fd()];
                fds.extend(watchdog.as_ref().map(AsFd::as_fd));
                let mut env = vec![(ROLE, "master".to_owned()), (RESUME, fds.len().to_string())];
                env.push((GENERATIONS, format!("{}-{}", generations.start, generations.end)));
                if !outputs.is_empty() {
                    let titles: Vec<&str> = outputs.iter().map(|(title, _)| title.as_str()).collect();
                    env.push((OUTPUTS, titles.join("\n")));
                    fds.extend(outputs.iter().map(|(_, pipe)| pipe.as_fd()));
                }
                if stopping {
                    env.push((STOPPING, "1".to_owned()));
                }
                return Err(process::become_own(MASTER_TITLE, &env, &fds));
            }
        }
    }
}
