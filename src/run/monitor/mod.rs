//! hb_monitor as a program: the client API, the file `monitors`, and the looking itself around [`crate::checks`].
//!
//! * `probes`: the scripts and connections that are on their way
//! * `clear`: the command `hb_monitor --clear`
//!
//! It only looks and asks. How often something was repaired knows the daemon, so this program may die at any moment: the
//! next one goes on.

mod clear;
mod probes;

pub use clear::{Cleared, clear};

use crate::check;
use crate::checks::{Action, Checks, Event};
use crate::clients::json::Json;
use crate::clients::request::{self, field};
use crate::groups::messages::CLAIMS;
use crate::groups::peer::{ClaimState, read_claims};
use crate::groups::repair;
use crate::ids::ResourceName;
use crate::ipc::client::{Client, ClientError, Filter};
use crate::ipc::relay;
use crate::msg::{Message, fields};
use crate::paths;
use crate::sys;
use crate::sys::interrupt::Told;
use crate::sys::poll::{Want, wait};
use crate::time::{Duration, Instant};
use probes::Probes;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The name it signs on with.
pub const NAME: &str = "hb_monitor";
/// The daemon answers in a millisecond; on a machine that swaps it may take longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The files are looked at again so often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Messages of the daemon taken in one turn; the checks have their turn in between.
const NEWS_A_TURN: usize = 64;

struct Program {
    client: Client,
    checks: Checks,
    probes: Probes,
    /// Which groups run here, as the daemon said last, and its words.
    runs: BTreeMap<ResourceName, bool>,
    claims: String,
    files: [Option<(SystemTime, u64)>; 2],
    look_at: Instant,
}

/// Serves until a signal ends it (`Ok`) or something goes wrong.
pub fn run() -> Result<(), ClientError> {
    let interrupt = Told::of_interruption().map_err(|e| ClientError::Os("signals".into(), e))?;
    let mut client = Client::sign_on(NAME, TIMEOUT)?;
    client.set_filter(Filter::NEWS)?;
    let now = sys::now();
    let mut program = Program {
        client,
        checks: Checks::new(&Default::default(), 0),
        probes: Probes::new(),
        runs: BTreeMap::new(),
        claims: String::new(),
        files: [None; 2],
        look_at: now + LOOK_AGAIN,
    };
    program.ask_what_runs()?;
    program.files = fingerprint();
    program.read_files(now)?;
    loop {
        program.turn()?;
        let mut wants = vec![Want::read(interrupt.fd()), Want::read(program.client.fd())];
        wants.extend(program.probes.wants());
        let deadline = program
            .checks
            .deadline()
            .min(program.probes.deadline())
            .min(program.look_at);
        let ready = wait(&wants, deadline).map_err(|e| ClientError::Os("events".into(), e))?;
        if ready[0].read {
            program.client.signoff()?;
            return Ok(());
        }
    }
}

impl Program {
    fn turn(&mut self) -> Result<(), ClientError> {
        for _ in 0..NEWS_A_TURN {
            match self.client.event()? {
                Some(message) => self.message(&message)?,
                None => break,
            }
        }
        let now = sys::now();
        for (check, run, result) in self.probes.tick(now) {
            self.event(now, Event::Ended { check, run, result })?;
        }
        if now >= self.checks.deadline() {
            self.event(now, Event::Timer)?;
        }
        if now >= self.look_at {
            self.look_at = now + LOOK_AGAIN;
            let files = fingerprint();
            if files != self.files {
                self.files = files;
                log::info!("monitors or haresources has changed: reading both");
                self.read_files(now)?;
            }
        }
        relay::flush(&mut self.client)
    }

    /// What runs now; later the messages of this node tell.
    fn ask_what_runs(&mut self) -> Result<(), ClientError> {
        let answer = self.client.ask_one(&request::of(request::GETSTATUS))?;
        let status = answer.get(field::JSON).and_then(|text| Json::parse(text).ok());
        for group in status.iter().flat_map(|s| s.get("groups").items()) {
            if let Ok(key) = group.get("key").text().parse() {
                self.runs.insert(key, group.get("here").text() == "running");
            }
        }
        Ok(())
    }

    /// Files with a mistake change nothing.
    fn read_files(&mut self, now: Instant) -> Result<(), ClientError> {
        let (monitors, complaints) = check::monitors::load();
        for line in check::report(&complaints).lines() {
            log::warn!("{line}");
        }
        let Some(monitors) = monitors else {
            log::error!("the checks stay as they were: mend the files, heartbeat -t checks them");
            return Ok(());
        };
        let number: usize = monitors.groups.iter().map(|g| g.checks.len()).sum();
        match number {
            0 => log::info!("{}: nothing to check", paths::monitors().display()),
            n => log::info!("{n} check(s) of {} group(s)", monitors.groups.len()),
        }
        self.probes.drop_all();
        self.checks = Checks::new(&monitors, self.checks.runs());
        for (key, runs) in self.runs.clone() {
            self.event(now, Event::Group { key, runs })?;
        }
        Ok(())
    }

    fn message(&mut self, message: &Message) -> Result<(), ClientError> {
        if message.kind() == request::ANSWER {
            let why = message.get(fields::INFO).unwrap_or("");
            log::error!("heartbeat refused a message: {why}");
            return Ok(());
        }
        let mine = message.get(fields::SRC) == Some(self.client.node());
        let Some(text) = message.get(CLAIMS).filter(|text| mine && *text != self.claims) else {
            return Ok(());
        };
        text.clone_into(&mut self.claims);
        let claims = read_claims(&self.claims).unwrap_or_default();
        // What is not claimed any more does not run.
        let mut runs: BTreeMap<ResourceName, bool> = self.runs.keys().map(|key| (key.clone(), false)).collect();
        runs.extend(
            claims
                .into_iter()
                .map(|(key, claim)| (key, claim.state == ClaimState::Running)),
        );
        let now = sys::now();
        for (key, runs) in runs.clone() {
            self.event(now, Event::Group { key, runs })?;
        }
        // Not more of them than are claimed, or are in haresources.
        runs.retain(|key, runs| *runs || self.claims.contains(key.as_str()));
        self.runs = runs;
        Ok(())
    }

    fn event(&mut self, now: Instant, event: Event) -> Result<(), ClientError> {
        for action in self.checks.handle(now, event) {
            match action {
                Action::Begin { check, run } => {
                    let spec = self.checks.spec(check);
                    self.probes.begin(now, check, run, spec);
                }
                Action::Drop { check } => self.probes.drop_one(check),
                Action::Repair { key, from, rule, why } => {
                    // The reason stands in the log before what it leads to.
                    relay::flush(&mut self.client)?;
                    self.client
                        .send_to_cluster(&repair::request(&key, &from, &rule, &why))?;
                }
            }
        }
        Ok(())
    }
}

/// When monitors and haresources were written last.
fn fingerprint() -> [Option<(SystemTime, u64)>; 2] {
    [paths::monitors(), paths::haresources()].map(|file| {
        let facts = std::fs::metadata(file).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    })
}
