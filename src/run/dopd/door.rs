//! The socket on which dopd hears drbd-peer-outdater: for root and the group haclient.

use crate::dopd::frame::{self, Frames};
use crate::dopd::machine::answer;
use crate::dopd::{Event, Outcome};
use crate::ids::ClientId;
use crate::paths;
use crate::sys::poll::Want;
use crate::sys::{fifo, files, process};
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

const USER: &str = "hacluster";
const GROUP: &str = "haclient";
/// Conversations at one time; whoever comes then waits in the kernel's queue.
const MOST: usize = 64;
/// Whoever has not said what it wants, or has its answer, goes after this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes the directory of the socket, for the user that `respawn` lines run dopd as. For the master, which may.
pub fn make_directory() -> io::Result<()> {
    let socket = paths::outdater();
    let directory = socket.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    if let Some((uid, gid)) = process::user_and_group(USER, GROUP) {
        // In a container the numbers may be nobody's: then only root uses it.
        let _ = chown(directory, Some(uid), Some(gid));
    }
    files::set_mode(directory, 0o750)
}

#[derive(Debug)]
struct Talk {
    stream: UnixStream,
    frames: Frames,
    out: Vec<u8>,
    /// `None` while the machine has its request.
    leaves: Option<Instant>,
}

#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    talks: BTreeMap<ClientId, Talk>,
    last: u64,
}

impl Door {
    /// Whoever calls is the only dopd of this node: a socket that is there is that of one before.
    pub fn open(path: &Path) -> io::Result<Self> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        if !directory.exists() {
            make_directory()?;
        }
        let about = fs::symlink_metadata(directory)?;
        let known = [Some(0), Some(files::own_user()), files::user_id(USER)];
        if !about.is_dir() || !known.contains(&Some(about.uid())) || about.mode() & 0o002 != 0 {
            return Err(io::Error::other(format!(
                "its directory must belong to root or {USER}, and nobody else may write to it"
            )));
        }
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        if let Some(group) = fifo::group_id(GROUP) {
            // A user who is not in the group may not: then it is for root and that user.
            let _ = chown(path, None, Some(group));
        }
        files::set_mode(path, 0o660)?;
        Ok(Self {
            listener,
            talks: BTreeMap::new(),
            last: 0,
        })
    }

    pub fn wants(&self) -> Vec<Want<'_>> {
        let talks = self.talks.values().map(|t| Want {
            fd: t.stream.as_fd(),
            write: !t.out.is_empty(),
        });
        let listener = (self.talks.len() < MOST).then(|| Want::read(self.listener.as_fd()));
        talks.chain(listener).collect()
    }

    pub fn deadline(&self) -> Instant {
        let leaves = self.talks.values().filter_map(|t| t.leaves);
        leaves.min().unwrap_or(Instant::NEVER)
    }

    /// Takes who comes and what is said; never waits.
    pub fn turn(&mut self, now: Instant) -> Vec<Event> {
        while self.talks.len() < MOST {
            match self.listener.accept() {
                Ok((stream, _)) => self.welcome(now, stream),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => {
                    log::warn!("socket: a client could not be taken: {e}");
                    break;
                }
            }
        }
        let mut events = Vec::new();
        let clients: Vec<ClientId> = self.talks.keys().copied().collect();
        for client in clients {
            let Some(talk) = self.talks.get_mut(&client) else {
                continue;
            };
            let stays = talk.hear(now, client, &mut events) && talk.speak() && talk.leaves.is_none_or(|t| now < t);
            if !stays {
                self.talks.remove(&client);
                events.push(Event::Left { client });
            }
        }
        events
    }

    fn welcome(&mut self, now: Instant, stream: UnixStream) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        self.last += 1;
        let talk = Talk {
            stream,
            frames: Frames::default(),
            out: Vec::new(),
            leaves: Some(now + PATIENCE),
        };
        self.talks.insert(ClientId(self.last), talk);
    }

    /// What cannot be sent now goes when the socket has room; a client that left needs none.
    pub fn answer(&mut self, now: Instant, client: ClientId, outcome: Outcome) {
        let Some(talk) = self.talks.get_mut(&client) else {
            return;
        };
        talk.out = frame::encode(&answer(outcome));
        talk.leaves = Some(now + PATIENCE);
        // A failure shows at the next turn.
        let _ = talk.speak();
    }
}

impl Talk {
    /// False when there is nothing more to hear.
    fn hear(&mut self, now: Instant, client: ClientId, events: &mut Vec<Event>) -> bool {
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                // One request a conversation; what it says while it waits is not listened to.
                Ok(_) if self.leaves.is_none() || !self.out.is_empty() => return true,
                Ok(n) => self.frames.push(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return false,
            }
            match self.frames.next() {
                Ok(None) => {}
                Ok(Some(message)) => {
                    self.leaves = None;
                    events.push(Event::Request { client, message });
                }
                Err(e) => {
                    log::warn!("socket: what a client says {e}; it is sent away");
                    self.leaves = Some(now);
                    return false;
                }
            }
        }
    }

    /// False when nobody hears.
    fn speak(&mut self) -> bool {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}
