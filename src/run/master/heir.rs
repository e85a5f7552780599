//! The master's part with the heir, which gets a copy of all that a new master must have.

use super::{Heir, Master};
use crate::run::link::ToHeir;
use crate::run::role::{HEIR_TITLE, ROLE};
use crate::run::say;
use crate::sys::pair::{End, pair};
use crate::sys::process;
use std::os::fd::AsFd;

impl Master {
    pub(super) fn start_heir(&mut self) {
        let started = pair().and_then(|(ours, theirs)| {
            let env = [(ROLE, "heir".to_owned())];
            let fds = [theirs.as_fd(), self.last_beat.fd()];
            let process = process::spawn_urgent(HEIR_TITLE, &env, &fds, false, self.priority())?;
            Ok(Heir {
                process,
                link: End::new(ours),
            })
        });
        match started {
            Ok(mut heir) => {
                let texts = self.texts.clone();
                say::to_heir(&mut heir.link, &ToHeir::Keep { texts }, None);
                if let Some(copy) = self.watchdog.as_ref().and_then(|w| w.copy().ok()) {
                    say::to_heir(&mut heir.link, &ToHeir::Watchdog, Some(copy));
                }
                let left = self.generations.clone();
                say::to_heir(&mut heir.link, &ToHeir::Generations { left }, None);
                for (title, pipe) in self.jobs.outputs() {
                    let title = title.to_owned();
                    if let Ok(copy) = pipe.try_clone_to_owned() {
                        say::to_heir(&mut heir.link, &ToHeir::Output { title }, Some(copy));
                    }
                }
                if self.stopping.is_some() {
                    say::to_heir(&mut heir.link, &ToHeir::Stopping, None);
                }
                self.heir = Some(heir);
            }
            Err(e) => log::error!("no heir ({e}): if the master dies, nobody takes its place"),
        }
    }

    pub(super) fn heir_died(&mut self) {
        let Some(mut heir) = self.heir.take() else { return };
        let _ = heir.process.kill();
        let how = heir.process.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
        log::warn!("the heir died ({how}); starting a new one");
        self.start_heir();
    }

    pub(super) fn leave_generations_to_heir(&mut self) {
        let left = self.generations.clone();
        if let Some(heir) = &mut self.heir {
            say::to_heir(&mut heir.link, &ToHeir::Generations { left }, None);
        }
    }

    /// The newest script's; an earlier one's was left when that was started.
    pub(super) fn leave_output_to_heir(&mut self) {
        let Some(heir) = &mut self.heir else { return };
        if let Some((title, pipe)) = self.jobs.newest_output()
            && let Ok(copy) = pipe.try_clone_to_owned()
        {
            let title = title.to_owned();
            say::to_heir(&mut heir.link, &ToHeir::Output { title }, Some(copy));
        }
    }
}
