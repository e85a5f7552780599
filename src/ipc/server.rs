//! The daemon's ends of the conversations with clients.
//!
//! A client makes a pair of FIFOs, writes its sign-on to `register`, and talks over the pair from then on. The owner of
//! the FIFOs says who it is. Nothing here waits for a client: its requests are read up to a bound a turn, its replies
//! are queued up to a bound, and a client that is dead, does not read or writes rubbish is dropped.
//!
//! Named clients may send to the cluster, as much as the daemon has room for; what is above it waits here (a little) and
//! in the client's FIFO (the rest), and then the client itself waits. Each gets its turn, whoever else floods.

use crate::clients::Identity;
use crate::clients::request::{self, Kind, field};
use crate::ids::ClientId;
use crate::msg::stream::StreamReader;
use crate::msg::{Message, classic, fields};
use crate::sys::fifo::{self, Access, Facts};
use crate::sys::poll::{Ready, Want, wait};
use crate::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The group whose members may ask. As in heartbeat 3.0.6.
const GROUP: &str = "haclient";
/// Two descriptors each, below the usual limit of 1024; far above the handful of a real node.
const MAX_CLIENTS: usize = 256;
/// Some places are for root alone, or all members of the group together could keep it out.
const MAX_OF_OTHERS: usize = 192;
/// One user without root rights cannot take all places.
const MAX_OF_A_USER: usize = 32;
/// What a client may leave unread beyond the 64 KiB of its FIFO: two messages of the largest size.
const MAX_QUEUE: usize = 512 * 1024;
/// The same of all clients together. Who adds to it above this goes, if it is itself behind by more than `USUAL_QUEUE`.
const MAX_QUEUES: usize = 8 * 1024 * 1024;
/// A queue of this size is an answer on its way, not a client that does not read.
const USUAL_QUEUE: usize = 64 * 1024;
/// Messages of named clients a turn: a turn stays short whatever waits.
const MESSAGES_A_TURN: usize = 64;
/// Fewer clients than this leave nothing behind that matters.
const CROWD: usize = 8;
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
    Gone { client: ClientId, why: &'static str },
}

/// A signal that a client wants because something was written for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wake {
    /// Name of its FIFOs, the directory included.
    pub pair: String,
    pub pid: u32,
    pub signal: u8,
}

/// How long a conversation goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    Open,
    /// The client closed its request FIFO. What it asked before is still answered: `echo … >70.req` in a shell does that.
    Ending,
    /// The same while requests of it still wait for room: it is not polled, since it would be "ready" all the time.
    Leaving,
    /// `drop_client` was called: what is queued still goes out, what comes in is thrown away.
    Closing,
    /// Broken; removed, and told to the daemon, in the next turn.
    Lost,
}

#[derive(Debug)]
struct Conversation {
    name: String,
    kind: Kind,
    who: Identity,
    place: (u64, u64),
    req: OwnedFd,
    rsp: OwnedFd,
    reader: StreamReader,
    /// Requests that were read and not handed on yet.
    inbox: VecDeque<Message>,
    queue: VecDeque<u8>,
    course: Course,
    /// Why it is lost, in the words of the API.
    why: &'static str,
    /// The process to be woken after something was written, and with what.
    signal: Option<(u32, u8)>,
    written: bool,
}

/// All conversations, and the FIFO where they begin.
#[derive(Debug)]
pub struct Server {
    register: OwnedFd,
    reader: StreamReader,
    casual: PathBuf,
    api: PathBuf,
    talks: BTreeMap<ClientId, Conversation>,
    /// So many there were at once since `crowd_has_left` was true the last time.
    most: usize,
    last: u64,
    /// Who gets the first turn.
    turn_of: ClientId,
    more: bool,
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
            most: 0,
            last: 0,
            turn_of: ClientId(0),
            more: false,
        }
    }

    /// Messages wait that could have been handed on but for the bound of a turn: the next turn is due at once.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// What to wait for: `register`, then two descriptors a client.
    pub fn wants(&self) -> Vec<Want<'_>> {
        let mut wants = vec![Want::read(self.register.as_fd())];
        for talk in self.talks.values().filter(|t| t.course != Course::Leaving) {
            let ending = talk.course == Course::Ending;
            // At its end the request FIFO would be "ready" for ever; while something of it waits nothing more is read.
            let req = if ending || !talk.inbox.is_empty() {
                &talk.rsp
            } else {
                &talk.req
            };
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
    /// not: what `reply` found broken is told here. `room` messages of named clients are handed on at most.
    pub fn pump(&mut self, ready: &[Ready], room: usize) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        let mut ended = Vec::new();
        let mut ready = ready.iter().copied();
        let door = ready.next().unwrap_or_default();
        for (&client, talk) in &mut self.talks {
            if talk.course == Course::Leaving {
                continue;
            }
            let req = ready.next().unwrap_or_default();
            let rsp = ready.next().unwrap_or_default();
            talk.turn(req, rsp);
            match talk.course {
                Course::Open | Course::Ending | Course::Leaving => {}
                Course::Closing if !talk.queue.is_empty() => {}
                Course::Closing => ended.push(client),
                Course::Lost => {
                    ended.push(client);
                    events.push(ServerEvent::Gone { client, why: talk.why });
                }
            }
        }
        for client in ended {
            self.talks.remove(&client);
        }
        if door.read {
            self.sign_ons(&mut events);
        }
        self.hand_on(room, &mut events);
        for talk in self.talks.values_mut() {
            if talk.course == Course::Leaving && talk.inbox.is_empty() {
                talk.course = Course::Ending;
            }
        }
        events
    }

    /// What was read goes to the daemon: of casual clients all, of named ones a message each in turn, while there is room.
    fn hand_on(&mut self, room: usize, events: &mut Vec<ServerEvent>) {
        let mut named: VecDeque<ClientId> = VecDeque::new();
        for (&client, talk) in &mut self.talks {
            let who = talk.who;
            match talk.kind {
                Kind::Casual => {
                    let all = talk.inbox.drain(..);
                    events.extend(all.map(|message| ServerEvent::Request { client, who, message }));
                }
                Kind::Named if talk.inbox.is_empty() => {}
                Kind::Named => named.push_back(client),
            }
        }
        let first = named.iter().position(|c| *c >= self.turn_of).unwrap_or(0);
        named.rotate_left(first);
        let mut left = room.min(MESSAGES_A_TURN);
        while left > 0
            && let Some(client) = named.pop_front()
        {
            let Some(talk) = self.talks.get_mut(&client) else {
                continue;
            };
            let who = talk.who;
            if let Some(message) = talk.inbox.pop_front() {
                events.push(ServerEvent::Request { client, who, message });
                left -= 1;
            }
            if !talk.inbox.is_empty() {
                named.push_back(client);
            }
        }
        self.more = room > MESSAGES_A_TURN && !named.is_empty();
        self.turn_of = named.front().copied().unwrap_or(ClientId(0));
    }

    /// True once when of many clients most are gone: what was needed for them may go back to the system.
    pub fn crowd_has_left(&mut self) -> bool {
        self.most = self.most.max(self.talks.len());
        let left = self.most >= CROWD && self.talks.len() <= self.most / 4;
        if left {
            self.most = self.talks.len();
        }
        left
    }

    /// Whom to wake because something was written for it. Signals merge: one a turn is as good as many.
    pub fn wakes(&mut self) -> Vec<Wake> {
        let mut wakes = Vec::new();
        for talk in self.talks.values_mut() {
            let written = std::mem::take(&mut talk.written);
            if let (true, Some((pid, signal))) = (written, talk.signal) {
                let folder = match talk.kind {
                    Kind::Casual => "casual",
                    Kind::Named => "api",
                };
                let pair = format!("{folder}/{}", talk.name);
                wakes.push(Wake { pair, pid, signal });
            }
        }
        wakes
    }

    /// After what is written from now on this process is to get this signal; 0 for none.
    pub fn set_signal(&mut self, client: ClientId, pid: u32, signal: u8) {
        if let Some(talk) = self.talks.get_mut(&client) {
            talk.signal = (signal != 0).then_some((pid, signal));
        }
    }

    /// Queues a message for a client. One that does not read is dropped; the next `pump` says so.
    pub fn reply(&mut self, client: ClientId, message: &Message) {
        let Some(talk) = self.talks.get(&client) else {
            return;
        };
        match talk.course {
            Course::Open | Course::Ending | Course::Leaving => {}
            Course::Closing | Course::Lost => return,
        }
        let bytes = classic::encode(message);
        let queued = talk.queue.len();
        let all = || self.talks.values().map(|t| t.queue.len()).sum::<usize>();
        let too_much = queued + bytes.len() > MAX_QUEUE || (queued > USUAL_QUEUE && all() + bytes.len() > MAX_QUEUES);
        let Some(talk) = self.talks.get_mut(&client) else {
            return;
        };
        if too_much {
            log::warn!(
                "client {}: does not read its answers ({} KiB are waiting); it is dropped",
                talk.name,
                queued / 1024
            );
            talk.lose("slow");
            return;
        }
        talk.queue.extend(bytes);
        talk.flush();
    }

    /// Ends a conversation after the replies that are queued.
    pub fn drop_client(&mut self, client: ClientId) {
        if let Some(talk) = self.talks.get_mut(&client) {
            talk.course = Course::Closing;
            talk.inbox.clear();
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
        let (kind, folder) = match request::kind_of_id(&name) {
            Some(Kind::Casual) => (Kind::Casual, &self.casual),
            Some(Kind::Named) => (Kind::Named, &self.api),
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
        if who.uid != 0 && (of_this_user >= MAX_OF_A_USER || self.talks.len() >= MAX_OF_OTHERS) {
            return refuse("too many clients of this user");
        }
        let alive = |t: &Conversation| t.name == name && !matches!(t.course, Course::Closing | Course::Lost);
        if let Some((&client, old)) = self.talks.iter_mut().find(|(_, t)| alive(t)) {
            if old.place == req_facts.place {
                return Err(format!("client {name}: signs on a second time; ignored"));
            }
            if kind == Kind::Named && old.course == Course::Open && old.is_heard() {
                return refuse("duplicate add request: a client of this name is signed on already");
            }
            // A new process with the number, or the name, of one whose end was not noticed yet.
            old.course = Course::Closing;
            old.queue.clear();
            old.inbox.clear();
            events.push(ServerEvent::Gone { client, why: "EOF" });
        }
        self.last += 1;
        let client = ClientId(self.last);
        self.talks.insert(
            client,
            Conversation {
                name,
                kind,
                who,
                place: req_facts.place,
                req,
                rsp,
                reader: StreamReader::default(),
                // The others are told of a named client: that needs room, too.
                inbox: VecDeque::from([message]),
                queue: VecDeque::new(),
                course: Course::Open,
                why: "EOF",
                signal: None,
                written: false,
            },
        );
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
    /// Reads and writes what is possible now.
    fn turn(&mut self, req: Ready, rsp: Ready) {
        if rsp.write {
            self.flush();
        }
        if self.course == Course::Ending {
            if rsp.hangup || self.queue.is_empty() {
                self.lose("EOF");
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
                            self.requests(&buffer[..n]);
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
        // Nobody reads its answers, and it has left more than one turn's requests: enough of it.
        let at_end = at_end || (rsp.hangup && !self.inbox.is_empty());
        if at_end {
            match self.course {
                // The daemon gave it up already and need not hear of its end.
                Course::Closing => self.queue.clear(),
                Course::Open if !self.inbox.is_empty() => self.course = Course::Leaving,
                Course::Open if !rsp.hangup => self.course = Course::Ending,
                Course::Open | Course::Ending | Course::Leaving => self.lose("EOF"),
                Course::Lost => {}
            }
        }
    }

    fn lose(&mut self, why: &'static str) {
        if self.course != Course::Lost {
            self.course = Course::Lost;
            self.why = why;
        }
    }

    /// Does it, or somebody, still read its answers?
    fn is_heard(&self) -> bool {
        let ready = wait(&[Want::read(self.rsp.as_fd())], Instant::default());
        ready.is_ok_and(|r| !r[0].hangup)
    }

    fn requests(&mut self, bytes: &[u8]) {
        for result in self.reader.push(bytes) {
            match result {
                Ok(message) => self.inbox.push_back(message),
                Err(why) => {
                    log::warn!("client {}: wrote something that {why}; it is dropped", self.name);
                    // No queue for one who is thrown out: it is told if there is room, and that is all.
                    if self.queue.is_empty() {
                        let why = format!("badclient: what it wrote {why}");
                        let _ = fifo::write(
                            self.rsp.as_fd(),
                            &classic::encode(&request::refusal(request::MESSAGE, &why)),
                        );
                    }
                    self.lose("badclient");
                    return;
                }
            }
        }
    }

    fn flush(&mut self) {
        while !self.queue.is_empty() {
            let (front, _) = self.queue.as_slices();
            match fifo::write(self.rsp.as_fd(), front) {
                Ok(n) => {
                    drop(self.queue.drain(..n));
                    self.written = true;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // EPIPE: it died. Anything else cannot be mended either.
                Err(_) => {
                    self.queue.clear();
                    match self.course {
                        // The rest of what it wrote is still looked at.
                        Course::Closing | Course::Leaving => {}
                        Course::Open | Course::Ending | Course::Lost => self.lose("EOF"),
                    }
                    return;
                }
            }
        }
        // What one that was slow for a while needed is not kept for ever.
        if self.queue.capacity() > USUAL_QUEUE {
            self.queue.shrink_to_fit();
        }
    }
}
