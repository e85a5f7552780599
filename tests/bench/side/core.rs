//! The core of our daemon under valgrind, which cannot follow a program that starts itself by /proc/self/exe: here this
//! benchmark takes the place of the master, in the node. It gives the core what the master would, opens its media, and
//! answers for scripts that nothing runs.

use ha::check;
use ha::groups::job::{Exit, Outcome};
use ha::groups::lease::Found;
use ha::ipc::{CommandFifo, Server};
use ha::media;
use ha::paths;
use ha::run::link::{NodeTexts, ToCore, ToMaster};
use ha::run::role::ROLE;
use ha::sys;
use ha::sys::mark::Mark;
use ha::sys::pair::{End, Got, pair};
use ha::sys::poll::{Want, wait};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The word by which this program asks itself to be a master of that kind.
pub const COUNTED: &str = "__core";
/// Where the core finds its descriptors: socket, FIFO, register, log, mark.
const HAND_DOWN: &str = r#"exec 3<&0 4<>"$1" 5<>"$2" 6>>"$3" 7>&1 0</dev/null 1>/dev/null; shift 3; exec "$@""#;

/// Runs `command`, which ends in our `heartbeat`, as a core, for so many seconds from its first beat on.
pub fn run(command: &[String], seconds: u64) -> io::Result<()> {
    let me = check::node_name().map_err(|e| io::Error::other(e.to_string()))?;
    let loaded = check::load(&me);
    let cf = loaded
        .cf
        .ok_or_else(|| io::Error::other(check::report(&loaded.complaints)))?;
    for dir in [paths::state(), paths::run()] {
        fs::create_dir_all(dir)?;
    }
    let (fifo, register) = (paths::fifo(), paths::state().join("register"));
    let _kept = (CommandFifo::create(&fifo)?, Server::create(&paths::state())?);
    let (ours, theirs) = pair()?;
    let mut core = Command::new("/bin/sh")
        .args(["-c", HAND_DOWN, "sh"])
        .args([&*fifo, &*register, Path::new("/var/log/core-log")])
        .args(command)
        .env(ROLE, "core")
        .stdin(theirs)
        .stdout(Stdio::from(Mark::new()?.fd().try_clone_to_owned()?))
        .spawn()?;
    let mut link = End::new(ours);
    let begin = ToCore::Begin {
        texts: loaded.texts,
        me: me.to_string(),
        uuid: [7; 16],
        generation: sys::wall().0,
        seed: 1,
        resumed: None,
        accounts: String::new(),
        remembered: NodeTexts::default(),
    };
    link.send(begin.encode(), None);
    let mut stop_at = ha::time::Instant::NEVER;
    loop {
        wait(
            &[Want {
                fd: link.fd(),
                write: link.wants_write(),
            }],
            stop_at,
        )?;
        link.flush();
        if sys::now() >= stop_at {
            stop_at = ha::time::Instant::NEVER;
            link.send(ToCore::Stop.encode(), None);
        }
        let said = match link.receive()? {
            Got::Message { bytes, .. } => ToMaster::decode(&bytes),
            Got::Nothing => continue,
            Got::Closed => break,
        };
        let (answer, fd) = match said {
            Some(ToMaster::Ready { .. }) => {
                stop_at = sys::now() + Duration::from_secs(seconds);
                continue;
            }
            Some(ToMaster::Open { medium }) => {
                let spec = &cf.media[medium.0];
                let media::Opened { fd, to } = media::open(spec)?;
                let what = spec.whole();
                (ToCore::Opened { medium, what, to }, Some(fd))
            }
            Some(ToMaster::Run { job, .. }) => {
                let outcome = Outcome {
                    exit: Exit::Code(0),
                    output: "stopped".to_owned(),
                    took: Duration::ZERO,
                };
                (ToCore::Ended { job, outcome }, None)
            }
            Some(ToMaster::Renew { number, addresses, .. }) => {
                let found = addresses.into_iter().map(|a| (a, Found::Renewed)).collect();
                (ToCore::Renewed { number, found }, None)
            }
            Some(ToMaster::Released) => (ToCore::End, None),
            Some(_) | None => continue,
        };
        link.send(answer.encode(), fd);
    }
    let how = core.wait()?;
    match how.success() {
        true => Ok(()),
        false => {
            let log = File::open("/var/log/core-log").and_then(io::read_to_string);
            Err(io::Error::other(format!(
                "the core: {how}\n{}",
                log.unwrap_or_default()
            )))
        }
    }
}
