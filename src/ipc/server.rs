//! The daemon's ends of the conversations with clients.
//!
//! A client makes a pair of FIFOs, writes its sign-on to `register`, and talks over the pair from then on. The owner of
//! the FIFOs says who it is. Nothing here waits for a client: its requests are read up to a bound a turn, its replies
//! are queued up to a bound, and a client that is dead, does not read or writes rubbish is dropped.

use crate::clients::Identity;
use crate::clients::request::{self, field};
use crate::ids::ClientId;
use crate::msg::stream::StreamReader;
use crate::msg::{Message, classic, fields};
use crate::sys::fifo::{self, Access, Facts};
use crate::sys::poll::{Ready, Want};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The group whose members may ask. As in heartbeat 3.0.6.
const GROUP: &str = "haclient";
/// Two descriptors each; far above the handful of a real node.
const MAX_CLIENTS: usize = 128;
/// One user without root rights cannot take all places.
const MAX_OF_A_USER: usize = 32;
/// What a client may leave unread beyond the 64 KiB of its FIFO: two messages of the largest size.
const MAX_QUEUE: usize = 512 * 1024;
/// Reads of 4096 bytes a turn: from `register`, and from each client.
const REGISTER_READS: usize = 16;
const CLIENT_READS: usize = 4;

/// What came from clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerEvent {
    Request {
        client: ClientId,
        who: Identity,
        message: Message,
    },
    /// It ended, or was thrown out here. Not sent for what `drop_client` removed before.
    Gone { client: ClientId },
}

/// How long a conversation goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    Open,
    /// The client closed its request FIFO. What it asked before is still answered: `echo … >70.req` in a shell does that.
    Ending,
    /// `drop_client` was called: what is queued still goes out, what comes in is thrown away.
    Closing,
    /// Broken; removed, and told to the daemon, in the next turn.
    Lost,
}

#[derive(Debug)]
struct Conversation {
    name: String,
    who: Identity,
    place: (u64, u64),
    req: OwnedFd,
    rsp: OwnedFd,
    reader: StreamReader,
    queue: VecDeque<u8>,
    course: Course,
}

/// All conversations, and the FIFO where they begin.
#[derive(Debug)]
pub struct Server {
    register: OwnedFd,
    reader: StreamReader,
    casual: PathBuf,
    api: PathBuf,
    talks: BTreeMap<ClientId, Conversation>,
    last: u64,
}

impl Server {
    /// Makes `register` and the directories of the client FIFOs. For the master: the core that serves them may have no
    /// right to.
    pub fn create(state: &Path) -> io::Result<OwnedFd> {
        let group = fifo::group_id(GROUP);
        if group.is_none() {
            log::warn!("register: there is no group {GROUP} on this machine; only root can ask heartbeat");
        }
        match Self::create_for(state, group) {
            // In a container the group may have a number there, but nobody may use it.
            Err(e) if group.is_some() && e.kind() != io::ErrorKind::NotFound => {
                log::warn!("register: cannot be given to the group {GROUP}: {e}; only root can ask heartbeat");
                Self::create_for(state, None)
            }
            other => other,
        }
    }

    fn create_for(state: &Path, group: Option<u32>) -> io::Result<OwnedFd> {
        let named = |path: &Path, e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        for folder in ["casual", "api"] {
            let path = state.join(folder);
            // Members make FIFOs but neither list nor remove those of others; setgid hands the group on to them.
            let mode = if group.is_some() { 0o3730 } else { 0o700 };
            fifo::make_dir(&path, mode, group).map_err(|e| named(&path, e))?;
        }
        let casual = state.join("casual");
        // Leftovers of clients that were killed; whoever lives signs on again after a daemon's start anyway.
        for entry in std::fs::read_dir(&casual).map_err(|e| named(&casual, e))?.flatten() {
            let _ = std::fs::remove_file(entry.path());
        }
        let register = state.join("register");
        let mode = if group.is_some() { 0o620 } else { 0o600 };
        fifo::make_ours(&register, mode, group).map_err(|e| named(&register, e))
    }

    pub fn new(register: OwnedFd, state: impl AsRef<Path>) -> Self {
        Self {
            register,
            reader: StreamReader::default(),
            casual: state.as_ref().join("casual"),
            api: state.as_ref().join("api"),
            talks: BTreeMap::new(),
            last: 0,
        }
    }

    /// What to wait for: `register`, then two descriptors a client.
    pub fn wants(&self) -> Vec<Want<'_>> {
        let mut wants = vec![Want::read(self.register.as_fd())];
        for talk in self.talks.values() {
            let ending = talk.course == Course::Ending;
            // At its end the request FIFO would be "ready" for ever.
            let req = if ending { &talk.rsp } else { &talk.req };
            wants.push(Want::read(req.as_fd()));
            wants.push(Want {
                fd: talk.rsp.as_fd(),
                write: ending || !talk.queue.is_empty(),
            });
        }
        wants
    }

    /// One turn; `ready` belongs to the last [`Server::wants`], in its order. Conversations begin and end only here, so
    /// that the order holds whatever was replied or dropped in between. To be called in every turn of the loop, ready or
    /// not: what `reply` found broken is told here.
    pub fn pump(&mut self, ready: &[Ready]) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        let mut ended = Vec::new();
        let mut ready = ready.iter().copied();
        let door = ready.next().unwrap_or_default();
        for (&client, talk) in &mut self.talks {
            let req = ready.next().unwrap_or_default();
            let rsp = ready.next().unwrap_or_default();
            let who = talk.who;
            talk.turn(req, rsp, |message| {
                events.push(ServerEvent::Request { client, who, message })
            });
            match talk.course {
                Course::Open | Course::Ending => {}
                Course::Closing if !talk.queue.is_empty() => {}
                Course::Closing => ended.push(client),
                Course::Lost => {
                    ended.push(client);
                    events.push(ServerEvent::Gone { client });
                }
            }
        }
        for client in ended {
            self.talks.remove(&client);
        }
        if door.read {
            self.sign_ons(&mut events);
        }
        events
    }

    /// Queues a message for a client. One that does not read is dropped; the next `pump` says so.
    pub fn reply(&mut self, client: ClientId, message: &Message) {
        let Some(talk) = self.talks.get_mut(&client) else {
            return;
        };
        match talk.course {
            Course::Open | Course::Ending => {}
            Course::Closing | Course::Lost => return,
        }
        let bytes = classic::encode(message);
        if talk.queue.len() + bytes.len() > MAX_QUEUE {
            log::warn!(
                "client {}: does not read its answers ({} KiB are waiting); it is dropped",
                talk.name,
                talk.queue.len() / 1024
            );
            talk.course = Course::Lost;
            return;
        }
        talk.queue.extend(bytes);
        talk.flush();
    }

    /// Ends a conversation after the replies that are queued.
    pub fn drop_client(&mut self, client: ClientId) {
        if let Some(talk) = self.talks.get_mut(&client) {
            talk.course = Course::Closing;
        }
    }

    fn sign_ons(&mut self, events: &mut Vec<ServerEvent>) {
        let mut buffer = [0; fifo::ATOMIC];
        // One line a turn, however much is thrown at us: everybody in the group may write here.
        let mut refused: Option<String> = None;
        let mut count = 0u32;
        for _ in 0..REGISTER_READS {
            let n = match fifo::read(self.register.as_fd(), &mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => {
                    log::error!("register: cannot be read: {e}");
                    break;
                }
            };
            for result in self.reader.push(&buffer[..n]) {
                let why = match result {
                    Ok(message) => match self.sign_on(message, events) {
                        Ok(()) => continue,
                        Err(why) => why,
                    },
                    Err(why) => format!("register: ignoring something that {why}"),
                };
                refused.get_or_insert(why);
                count += 1;
            }
        }
        if let Some(why) = refused {
            match count {
                1 => log::warn!("{why}"),
                _ => log::warn!("{why} (and {} more)", count - 1),
            }
        }
    }

    fn sign_on(&mut self, message: Message, events: &mut Vec<ServerEvent>) -> Result<(), String> {
        if message.kind() != request::REQUEST || message.get(field::REQTYPE) != Some(request::SIGNON) {
            return Err("register: ignoring a message that is not a sign-on".to_owned());
        }
        let name = message.get(fields::FROM_ID).unwrap_or("").to_owned();
        let folder = match request::kind_of_id(&name) {
            Some(request::Kind::Casual) => &self.casual,
            Some(request::Kind::Named) => &self.api,
            None => return Err("register: ignoring a sign-on whose from_id is neither a pid nor a name".to_owned()),
        };
        let open = |suffix: &str, access| {
            let path = folder.join(format!("{name}.{suffix}"));
            fifo::open_fifo(&path, access).map_err(|e| format!("client {name}: {}: {e}", path.display()))
        };
        let (req, req_facts) = open("req", Access::Read)?;
        let (rsp, rsp_facts) = open("rsp", Access::Write)?;
        let refuse = |why: &str| {
            // No queue for one who is not let in: it is told if there is room, and that is all.
            let _ = fifo::write(rsp.as_fd(), &classic::encode(&request::refusal(request::SIGNON, why)));
            Err(format!("client {name}: {why}"))
        };
        if let Some(why) = unsafe_pair(&req_facts, &rsp_facts) {
            return refuse(why);
        }
        let who = Identity {
            uid: req_facts.uid,
            gid: req_facts.gid,
        };
        if self.talks.len() >= MAX_CLIENTS {
            return refuse("too many clients");
        }
        let of_this_user = self.talks.values().filter(|t| t.who.uid == who.uid).count();
        if who.uid != 0 && of_this_user >= MAX_OF_A_USER {
            return refuse("too many clients of this user");
        }
        if let Some(old) = self
            .talks
            .values_mut()
            .find(|t| t.name == name && matches!(t.course, Course::Open | Course::Ending))
        {
            if old.place == req_facts.place {
                return Err(format!("client {name}: signs on a second time; ignored"));
            }
            // A new process with the number of one whose end was not noticed yet.
            old.course = Course::Lost;
        }
        self.last += 1;
        let client = ClientId(self.last);
        self.talks.insert(
            client,
            Conversation {
                name,
                who,
                place: req_facts.place,
                req,
                rsp,
                reader: StreamReader::default(),
                queue: VecDeque::new(),
                course: Course::Open,
            },
        );
        events.push(ServerEvent::Request { client, who, message });
        Ok(())
    }
}

/// Why this pair of FIFOs does not say reliably who its owner is.
fn unsafe_pair(req: &Facts, rsp: &Facts) -> Option<&'static str> {
    if req.links != 1 || rsp.links != 1 {
        return Some("its FIFOs have a second name");
    }
    if (req.uid, req.gid) != (rsp.uid, rsp.gid) {
        return Some("its two FIFOs do not belong to the same user");
    }
    if req.mode & 0o027 != 0 {
        return Some("others may write its request FIFO; it must be 0640");
    }
    if rsp.mode & 0o047 != 0 {
        return Some("others may read its answer FIFO; it must be 0620");
    }
    None
}

impl Conversation {
    /// Reads and writes what is possible now; `take` gets the requests.
    fn turn(&mut self, req: Ready, rsp: Ready, mut take: impl FnMut(Message)) {
        if rsp.write {
            self.flush();
        }
        if self.course == Course::Ending {
            if rsp.hangup || self.queue.is_empty() {
                self.course = Course::Lost;
            }
            return;
        }
        let mut at_end = false;
        // Also when the client no longer listens: what it wrote before it left is still read.
        if req.read || rsp.hangup {
            let mut buffer = [0; fifo::ATOMIC];
            for _ in 0..CLIENT_READS {
                match fifo::read(self.req.as_fd(), &mut buffer) {
                    Ok(0) => at_end = true,
                    Ok(n) => {
                        if self.course == Course::Open {
                            self.requests(&buffer[..n], &mut take);
                        }
                        continue;
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => at_end = rsp.hangup,
                    Err(e) => {
                        log::warn!("client {}: its request FIFO cannot be read: {e}", self.name);
                        at_end = true;
                    }
                }
                break;
            }
        }
        if at_end {
            self.course = match self.course {
                // The daemon gave it up already and need not hear of its end.
                Course::Closing => {
                    self.queue.clear();
                    Course::Closing
                }
                Course::Open if !rsp.hangup => Course::Ending,
                Course::Open | Course::Ending | Course::Lost => Course::Lost,
            };
        }
    }

    fn requests(&mut self, bytes: &[u8], take: &mut impl FnMut(Message)) {
        for result in self.reader.push(bytes) {
            match result {
                Ok(message) => take(message),
                Err(why) => {
                    log::warn!("client {}: wrote something that {why}; it is dropped", self.name);
                    self.course = Course::Lost;
                    return;
                }
            }
        }
    }

    fn flush(&mut self) {
        while !self.queue.is_empty() {
            let (front, _) = self.queue.as_slices();
            match fifo::write(self.rsp.as_fd(), front) {
                Ok(n) => drop(self.queue.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // EPIPE: it died. Anything else cannot be mended either.
                Err(_) => {
                    self.queue.clear();
                    self.course = match self.course {
                        Course::Open | Course::Ending | Course::Lost => Course::Lost,
                        Course::Closing => Course::Closing,
                    };
                    return;
                }
            }
        }
    }
}
