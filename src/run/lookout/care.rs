//! The master's care for the lookout: it is started, started again when it dies, and what it and the core say is handed
//! on.

use super::ROLE_NAME;
use super::link::Begin;
use crate::conf::HaCf;
use crate::ids::NodeName;
use crate::run::role::{LOOKOUT_TITLE, ROLE};
use crate::sys::pair::{End, Got, pair};
use crate::sys::poll::Want;
use crate::sys::{self, process};
use crate::time::{Duration, Instant};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;

/// One that dies again and again is started so often.
const PAUSE: Duration = Duration::from_secs(1);

/// The lookout as the master sees it.
#[derive(Debug)]
pub struct Care {
    begin: Begin,
    log_pipe: OwnedFd,
    running: Option<(Child, End)>,
    started: Instant,
    start_at: Instant,
}

fn begin(cf: &HaCf, me: &NodeName) -> Begin {
    Begin {
        me: me.clone(),
        debug: cf.debug,
        priority: cf.realtime.then_some(cf.rtprio),
    }
}

impl Care {
    pub fn new(cf: &HaCf, me: &NodeName, log_pipe: OwnedFd) -> Self {
        Self {
            begin: begin(cf, me),
            log_pipe,
            running: None,
            started: Instant::default(),
            start_at: Instant::NEVER,
        }
    }

    /// From now on there is to be a lookout.
    pub fn begin(&mut self) {
        if self.running.is_none() {
            self.start_at = sys::now();
        }
    }

    pub fn deadline(&self) -> Instant {
        match self.running {
            Some(_) => Instant::NEVER,
            None => self.start_at,
        }
    }

    pub fn want(&self) -> Option<Want<'_>> {
        let (_, link) = self.running.as_ref()?;
        Some(Want {
            fd: link.fd(),
            write: link.wants_write(),
        })
    }

    /// From the core. One that does not read is ended; the next one is told what to watch.
    pub fn forward(&mut self, bytes: Vec<u8>) {
        let Some((process, link)) = &mut self.running else {
            return;
        };
        if link.wants_write() {
            log::error!("the lookout hangs; starting another one");
            let _ = process.kill();
            return;
        }
        link.send(bytes, None);
    }

    /// Starts it when it is due; gives what it has said for the core.
    pub fn tick(&mut self) -> Vec<Vec<u8>> {
        if self.running.is_none() && sys::now() >= self.start_at {
            self.start();
        }
        let mut said = Vec::new();
        while let Some((_, link)) = &mut self.running {
            link.flush();
            match link.receive() {
                Ok(Got::Message { bytes, .. }) => said.push(bytes),
                Ok(Got::Nothing) => break,
                Ok(Got::Closed) | Err(_) => self.died(),
            }
        }
        said
    }

    fn start(&mut self) {
        let now = sys::now();
        let started = pair().and_then(|(ours, theirs)| {
            let env = [(ROLE, ROLE_NAME.to_owned())];
            let fds = [theirs.as_fd(), self.log_pipe.as_fd()];
            let process = process::spawn_own(LOOKOUT_TITLE, &env, &fds, false)?;
            Ok((process, End::new(ours)))
        });
        self.started = now;
        match started {
            Ok((process, mut link)) => {
                link.send(self.begin.encode(), None);
                self.running = Some((process, link));
            }
            Err(e) => {
                log::error!("no lookout ({e}): nobody notices when an address is taken from this machine");
                self.start_at = now + PAUSE;
            }
        }
    }

    fn died(&mut self) {
        let Some((mut process, _)) = self.running.take() else {
            return;
        };
        let _ = process.kill();
        let how = process.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
        log::warn!("the lookout died ({how}); starting a new one");
        let now = sys::now();
        let quick = now - self.started < PAUSE;
        self.start_at = if quick { now + PAUSE } else { now };
    }

    pub fn end(&mut self) {
        if let Some((mut process, link)) = self.running.take() {
            drop(link);
            let _ = process.kill();
            let _ = process.wait();
        }
        self.start_at = Instant::NEVER;
    }
}
