//! Tells the master what to write into the status file: soon after something changed, and with a beat now and then.

use super::link::ToMaster;
use super::say;
use crate::clients::answers::VERSION;
use crate::clients::json::Json;
use crate::clients::status::{lasting, to_json};
use crate::daemon::Daemon;
use crate::sys;
use crate::sys::pair::End;
use crate::time::{Duration, Instant};

/// A change is in the file after this time at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Without a change; so that figures and the time in the file are not old while the daemon is well.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// What fits into a message to the master, with room to spare; some hundred groups.
const MAX: usize = 200 * 1024;

#[derive(Debug, Default)]
pub struct Teller {
    told: Option<Json>,
    /// What was looked at last: when, how many news there were, and beats.
    looked: Instant,
    news: u64,
    beats: u64,
    again: Instant,
    too_long: bool,
}

impl Teller {
    /// When to look; never while nothing happens, since figures wait for the next beat.
    pub fn deadline(&self, daemon: &Daemon) -> Instant {
        match daemon.news() == self.news {
            true => Instant::NEVER,
            false => self.looked + LOOK_EVERY,
        }
    }

    /// To be called in every turn. A master that does not read is not told more: it will hear the newest state when it
    /// does.
    pub fn tell(&mut self, now: Instant, daemon: &Daemon, master: &mut End) {
        let beat = daemon.beats() != self.beats;
        self.beats = daemon.beats();
        if now < self.deadline(daemon) && !(beat && now >= self.again) {
            return;
        }
        self.looked = now;
        if master.wants_write() {
            return;
        }
        self.news = daemon.news();
        let json = to_json(&daemon.view(sys::clock()), VERSION);
        let state = lasting(&json);
        if self.told.as_ref() == Some(&state) && now < self.again {
            return;
        }
        let text = json.to_string();
        if text.len() > MAX {
            if !self.too_long {
                log::warn!("the status has {} bytes, too many for the status file", text.len());
            }
            self.too_long = true;
            return;
        }
        say::to_master(master, &ToMaster::Status { text });
        self.told = Some(state);
        self.again = now + TELL_EVERY;
    }
}
