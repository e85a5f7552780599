//! The client library: sign on, ask, send, receive, sign off. hb_api(7) has the bytes.
//!
//! A *casual* client ([`Client::connect`]) asks questions. A *named* one ([`Client::sign_on`]) may also talk to the
//! clients of its name on all nodes; ha.cf says who may have the name (`apiauth`). Each makes its own pair of FIFOs,
//! named after its process or itself, and removes them when it goes. All waiting is bounded by the caller.
//!
//! ```no_run
//! use ha::ipc::client::{Client, Filter};
//! use ha::msg::Message;
//! use ha::sys::poll::{Want, wait};
//! use ha::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::sign_on("ipfail", Duration::from_secs(5))?;
//! client.set_filter(Filter::NEWS)?;
//! client.send_to_node("node2", &Message::new("num_ping_nodes").with("num_ping", "1"))?;
//! loop {
//!     // First what has come, then the waiting: what is already taken from the FIFO does not make it readable.
//!     while let Some(message) = client.event()? {
//!         match message.kind() {
//!             "hbapi-clstat" => println!("{:?} {:?}", message.get("src"), message.get("st")),
//!             "num_ping_nodes" => return Ok(client.signoff()?),
//!             _ => {}
//!         }
//!     }
//!     wait(&[Want::read(client.fd())], ha::sys::now() + Duration::from_secs(1))?;
//! }
//! # }
//! ```
//!
//! What a client hears while its filter has [`Filter::NEWS`]: `status` (a node changed: `src`, `st`), `ifstat` (a link
//! did: `node`, `ifname`, `st`), `resource`, `hbapi-clstat` (a client of its name joined or left: `src`, `st`), and
//! everything that clients of its name send, itself included (`src` is the node it comes from).

use super::command::alone;
use crate::clients::request::{self, Kind, field};
use crate::msg::stream::StreamReader;
use crate::msg::{Message, MsgError, Value, classic, fields};
use crate::paths;
use crate::sys::fifo::{self, Access};
use crate::sys::poll::{Want, wait};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Events kept while an answer is awaited. A program that never takes them loses the oldest.
const MAX_EVENTS: usize = 10_000;
/// Without an answer to wait for, no more is read than this: the rest waits in the FIFO, then in the daemon.
const ENOUGH_EVENTS: usize = 256;

/// Which messages a client wants to hear; `setfilter` on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filter(u32);

impl Filter {
    /// Changes of nodes, links and resources, and what clients of this name say. Named clients begin with it.
    pub const NEWS: Self = Self(1);
}

/// Why the daemon could not be asked or told something.
#[derive(Debug)]
pub enum ClientError {
    NotRunning,
    NotPermitted(PathBuf),
    /// The FIFO is full: the daemon is not reading.
    Busy,
    /// Another process is signed on under this name.
    NameTaken(String),
    /// Neither a process number nor a name of letters, digits, `-` and `_` of at most 31 bytes.
    BadName(String),
    NoAnswer(Duration),
    /// The daemon said no, with its reason where it gave one.
    Refused {
        reqtype: String,
        info: Option<String>,
    },
    /// The daemon ended, or ended the conversation.
    Closed,
    TooLong {
        len: usize,
    },
    Spoilt(MsgError),
    Os(PathBuf, io::Error),
}

impl ClientError {
    pub(crate) fn from_open(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotRunning,
            // A regular file of that name: what a shell leaves that writes to the FIFO when there is none.
            io::ErrorKind::InvalidInput => Self::NotRunning,
            io::ErrorKind::PermissionDenied => Self::NotPermitted(path.to_owned()),
            _ if fifo::nobody_reads(&error) => Self::NotRunning,
            _ => Self::Os(path.to_owned(), error),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str("heartbeat is not running on this node"),
            Self::NotPermitted(path) => write!(
                f,
                "{}: not permitted; commands need root, questions need the group haclient",
                path.display()
            ),
            Self::Busy => f.write_str("heartbeat is not reading its FIFO (64 KiB are waiting); is it stopped?"),
            Self::NameTaken(name) => write!(f, "client {name}: another process is signed on under this name"),
            Self::BadName(name) => write!(
                f,
                "client {}: not a name for a client: write a letter, then letters, digits, - and _, at most 31",
                name.escape_debug()
            ),
            Self::NoAnswer(time) => write!(f, "heartbeat did not answer within {} s", time.as_secs_f32()),
            Self::Refused {
                reqtype,
                info: Some(info),
            } => write!(f, "heartbeat refused {reqtype}: {info}"),
            Self::Refused { reqtype, info: None } => write!(f, "heartbeat does not know the request {reqtype}"),
            Self::Closed => {
                f.write_str("heartbeat ended the conversation; look into its log, and whether it still runs")
            }
            Self::TooLong { len } => write!(
                f,
                "the message has {len} bytes; the FIFO takes at most {} at once",
                fifo::ATOMIC
            ),
            Self::Spoilt(why) => write!(f, "what heartbeat answered {why}"),
            Self::Os(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ClientError {}

/// The two FIFOs of a client by name; removed when the client goes.
#[derive(Debug)]
pub(crate) struct Pair {
    req: PathBuf,
    rsp: PathBuf,
    made: bool,
}

impl Pair {
    /// Made; for programs that must not wait, and so do the rest themselves.
    pub(crate) fn new(directory: &Path, id: &str) -> Result<Self, ClientError> {
        let mut pair = Self::of(directory, id);
        if pair.is_taken() {
            return Err(ClientError::NameTaken(id.to_owned()));
        }
        pair.make()?;
        Ok(pair)
    }

    /// The end where answers are read; to be open before the sign-on.
    pub(crate) fn listen(&self) -> Result<OwnedFd, ClientError> {
        let (rsp, _) = fifo::open_fifo(&self.rsp, Access::Read).map_err(|e| ClientError::from_open(&self.rsp, e))?;
        Ok(rsp)
    }

    /// The end where requests are written; to be opened when the sign-on has been answered.
    pub(crate) fn speak(&self) -> Result<OwnedFd, ClientError> {
        let (req, _) = fifo::open_fifo(&self.req, Access::Write).map_err(|e| ClientError::from_open(&self.req, e))?;
        Ok(req)
    }

    fn of(directory: &Path, id: &str) -> Self {
        Self {
            req: directory.join(format!("{id}.req")),
            rsp: directory.join(format!("{id}.rsp")),
            made: false,
        }
    }

    /// The place of one whose answers somebody reads is taken.
    fn is_taken(&self) -> bool {
        fifo::open_fifo(&self.rsp, Access::Write).is_ok()
    }

    /// The daemon is a member of the directory's group: it reads requests and writes answers. Nobody of the group may
    /// write requests in our name, or read our answers.
    fn make(&mut self) -> Result<(), ClientError> {
        for (path, mode) in [(&self.req, 0o640), (&self.rsp, 0o620)] {
            // What an earlier process with our number left.
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(ClientError::from_open(path, e));
                }
                Ok(()) | Err(_) => {}
            }
            fifo::make(path, mode).map_err(|e| ClientError::from_open(path, e))?;
            self.made = true;
        }
        Ok(())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if self.made {
            // Nothing useful can be done when it fails: the next daemon removes what is left.
            let _ = std::fs::remove_file(&self.req);
            let _ = std::fs::remove_file(&self.rsp);
        }
    }
}

/// A conversation with the daemon of this node.
#[derive(Debug)]
pub struct Client {
    id: String,
    timeout: Duration,
    signon: Message,
    req: OwnedFd,
    rsp: OwnedFd,
    reader: StreamReader,
    answers: VecDeque<Message>,
    events: VecDeque<Message>,
    files: Pair,
}

impl Client {
    /// Signs on as a casual client. `timeout` bounds this and every later answer.
    pub fn connect(timeout: Duration) -> Result<Self, ClientError> {
        Self::connect_as(&paths::state(), &std::process::id().to_string(), timeout)
    }

    /// Signs on under a name: it may send, and hears what clients of this name send. One process a node and name; who
    /// may have the name says `apiauth` in ha.cf.
    pub fn sign_on(name: &str, timeout: Duration) -> Result<Self, ClientError> {
        match request::kind_of_id(name) {
            Some(Kind::Named) => Self::connect_as(&paths::state(), name, timeout),
            Some(Kind::Casual) | None => Err(ClientError::BadName(name.to_owned())),
        }
    }

    /// The same with the state directory given; the client's id is a name, or a number for a casual client.
    pub fn connect_as(state: &Path, id: &str, timeout: Duration) -> Result<Self, ClientError> {
        let deadline = crate::sys::now() + timeout;
        let folder = match request::kind_of_id(id) {
            Some(Kind::Casual) => "casual",
            Some(Kind::Named) => "api",
            None => return Err(ClientError::BadName(id.to_owned())),
        };
        let register = state.join("register");
        // Before anything is made: tells "not running" from every other trouble.
        let (door, _) = fifo::open_fifo(&register, Access::Write).map_err(|e| ClientError::from_open(&register, e))?;
        let mut files = Pair::of(&state.join(folder), id);
        if folder == "api" && files.is_taken() {
            return Err(ClientError::NameTaken(id.to_owned()));
        }
        files.make()?;
        let rsp = files.listen()?;
        let hello = alone(
            &request::of(request::SIGNON)
                .with(field::PID, std::process::id().to_string())
                .with(fields::FROM_ID, id),
        );
        match fifo::write(door.as_fd(), &hello) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(ClientError::Busy),
            Err(e) => return Err(ClientError::Os(register, e)),
        }
        let (mut reader, mut answers, mut events) = (StreamReader::default(), VecDeque::new(), VecDeque::new());
        let signon = loop {
            take(&rsp, &mut reader, &mut answers, &mut events, MAX_EVENTS)?;
            if let Some(answer) = answers.pop_front() {
                break good(request::SIGNON, answer)?;
            }
            pause(&rsp, deadline, timeout)?;
        };
        // Only now: the daemon opened its end when it answered.
        let req = files.speak()?;
        Ok(Self {
            id: id.to_owned(),
            timeout,
            signon,
            req,
            rsp,
            reader,
            answers,
            events,
            files,
        })
    }

    /// Bounds every later answer.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// The answer to the sign-on: `node`, `hbversion`, `deadtime`, `keepalive`, …
    pub fn signon(&self) -> &Message {
        &self.signon
    }

    /// The name of this node.
    pub fn node(&self) -> &str {
        self.signon.get(fields::NODE).unwrap_or("")
    }

    /// Its process number or name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Readable when an event, or the end of the daemon, can be taken with [`Client::event`]. What was taken from the
    /// FIFO already does not show here: call [`Client::event`] until it gives `None`, then wait.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.rsp.as_fd()
    }

    /// Asks, and gives all messages of the answer (`ok/more` … `OK`). Events that come meanwhile are kept.
    pub fn ask(&mut self, question: &Message) -> Result<Vec<Message>, ClientError> {
        let reqtype = question.get(field::REQTYPE).unwrap_or("").to_owned();
        // What is left of an answer that came too late.
        self.answers.clear();
        self.send(question)?;
        let deadline = crate::sys::now() + self.timeout;
        let mut whole = Vec::new();
        loop {
            self.take(MAX_EVENTS)?;
            while let Some(answer) = self.answers.pop_front() {
                if answer.get(field::REQTYPE) != Some(&reqtype) {
                    continue;
                }
                let answer = good(&reqtype, answer)?;
                let more = answer.get(fields::RESULT) == Some(request::MORE);
                whole.push(answer);
                if !more {
                    return Ok(whole);
                }
            }
            pause(&self.rsp, deadline, self.timeout)?;
        }
    }

    /// [`Client::ask`] for questions that have one answer.
    pub fn ask_one(&mut self, question: &Message) -> Result<Message, ClientError> {
        Ok(self.ask(question)?.pop().expect("ask gives at least the last message"))
    }

    /// Says what this client wants to hear as events; see [`Filter`].
    pub fn set_filter(&mut self, filter: Filter) -> Result<(), ClientError> {
        self.ask_one(&request::of(request::SETFILTER).with(field::FMASK, Value::hex(filter.0.into())))
            .map(drop)
    }

    /// A line for the log of heartbeat, with the name of this client before it.
    pub fn log(&mut self, level: log::Level, text: &str) -> Result<(), ClientError> {
        let line = request::of(request::LOG)
            .with(field::LEVEL, level.as_str())
            .with(field::TEXT, text.replace('\n', " "));
        self.ask_one(&line).map(drop)
    }

    /// The next event if there is one; never waits.
    pub fn event(&mut self) -> Result<Option<Message>, ClientError> {
        if self.events.is_empty() {
            self.take(ENOUGH_EVENTS)?;
        }
        Ok(self.events.pop_front())
    }

    /// The next event, or `None` when the deadline comes first.
    pub fn next_event(&mut self, deadline: Instant) -> Result<Option<Message>, ClientError> {
        loop {
            if let Some(event) = self.event()? {
                return Ok(Some(event));
            }
            if crate::sys::now() >= deadline {
                return Ok(None);
            }
            wait(&[Want::read(self.rsp.as_fd())], deadline).map_err(|e| ClientError::Os(self.files.rsp.clone(), e))?;
        }
    }

    /// Sends to the clients of this name on all nodes, this client included. For named clients. That it was written does
    /// not say that it arrived: a refusal comes as an event of type `hbapi-resp` with `result=badreq` and its reason in
    /// `info`. Fields that begin a request (`from_id`, `to_id`, `client_gen`, `src`) are written by the daemon.
    pub fn send_to_cluster(&mut self, message: &Message) -> Result<(), ClientError> {
        let mut message = message.clone();
        message.remove(fields::DEST);
        self.write(&message)
    }

    /// Sends to the client of this name on one node.
    pub fn send_to_node(&mut self, node: &str, message: &Message) -> Result<(), ClientError> {
        let mut message = message.clone();
        message.set(fields::DEST, node);
        self.write(&message)
    }

    /// Asks how a client on any node is: true when it is signed on there. The answer of another node comes over the
    /// network: `wait` bounds it, [`ClientError::NoAnswer`] when it does not come.
    pub fn client_status(&mut self, node: &str, client: &str, wait: Duration) -> Result<bool, ClientError> {
        self.answers.clear();
        self.send(
            &request::of(request::CLIENTSTATUS)
                .with(fields::NODE, node)
                .with(field::CLIENT, client),
        )?;
        let deadline = crate::sys::now() + wait;
        let is_it = |m: &Message| {
            m.kind() == request::RESPOND_CSTATUS
                && m.get(field::CLIENT) == Some(client)
                && m.get(fields::SRC).is_some_and(|src| src.eq_ignore_ascii_case(node))
        };
        loop {
            self.take(MAX_EVENTS)?;
            let answer = match self.events.iter().position(is_it) {
                Some(at) => self.events.remove(at),
                None => self.answers.pop_front(),
            };
            if let Some(answer) = answer {
                let answer = good(request::CLIENTSTATUS, answer)?;
                return Ok(answer.get(field::CLIENT_STATUS) == Some("online"));
            }
            pause(&self.rsp, deadline, wait)?;
        }
    }

    /// Says goodbye; there is no answer. Dropping the client without it does no harm.
    pub fn signoff(mut self) -> Result<(), ClientError> {
        self.send(&request::of(request::SIGNOFF))
    }

    /// A request.
    fn send(&mut self, message: &Message) -> Result<(), ClientError> {
        let mut message = message.clone();
        message.set(fields::DEST, self.node());
        message.set(field::PID, std::process::id().to_string());
        message.set(fields::FROM_ID, self.id.as_str());
        self.write(&message)
    }

    /// Writes it whole. The daemon reads no more from named clients while a peer is slow to acknowledge: what does not
    /// fit within the client's time limit is not written at all when it is short (4096 bytes), and ends the conversation
    /// when it is longer.
    fn write(&mut self, message: &Message) -> Result<(), ClientError> {
        let bytes = classic::encode(message);
        let deadline = crate::sys::now() + self.timeout;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match fifo::write(self.req.as_fd(), rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if crate::sys::now() >= deadline {
                        return Err(match rest.len() < bytes.len() {
                            true => ClientError::NoAnswer(self.timeout),
                            false => ClientError::Busy,
                        });
                    }
                    let room = Want {
                        fd: self.req.as_fd(),
                        write: true,
                    };
                    wait(&[room], deadline).map_err(|e| ClientError::Os(self.files.req.clone(), e))?;
                }
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Err(ClientError::Closed),
                Err(e) => return Err(ClientError::Os(self.files.req.clone(), e)),
            }
        }
        Ok(())
    }

    fn take(&mut self, most: usize) -> Result<(), ClientError> {
        take(&self.rsp, &mut self.reader, &mut self.answers, &mut self.events, most)
    }
}

/// Reads what is there, until `most` events wait, and sorts it. The end of file counts only when nothing came before it
/// in this turn: what the daemon said last is heard first.
fn take(
    rsp: &OwnedFd,
    reader: &mut StreamReader,
    answers: &mut VecDeque<Message>,
    events: &mut VecDeque<Message>,
    most: usize,
) -> Result<(), ClientError> {
    let mut buffer = [0; 16 * 1024];
    let before = answers.len() + events.len();
    loop {
        // Before the daemon has opened its end, `poll` is silent although `read` would give an end of file.
        let ready = wait(&[Want::read(rsp.as_fd())], Instant::default()).map_err(|e| os_error(&e))?;
        if !ready[0].read || (most < MAX_EVENTS && events.len() >= most) {
            return Ok(());
        }
        match fifo::read(rsp.as_fd(), &mut buffer) {
            Ok(0) if answers.len() + events.len() > before => return Ok(()),
            Ok(0) => return Err(ClientError::Closed),
            Ok(n) => {
                for result in reader.push(&buffer[..n]) {
                    let message = result.map_err(ClientError::Spoilt)?;
                    // The refusal of a message answers no question: whoever sent it hears of it as of any event.
                    let unasked = message.get(field::REQTYPE) == Some(request::MESSAGE);
                    if message.kind() == request::ANSWER && !unasked {
                        answers.push_back(message);
                    } else {
                        events.push_back(message);
                        if events.len() > MAX_EVENTS {
                            events.pop_front();
                        }
                    }
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(os_error(&e)),
        }
    }
}

fn os_error(error: &io::Error) -> ClientError {
    ClientError::Os(PathBuf::from("answers of heartbeat"), io::Error::from(error.kind()))
}

fn pause(rsp: &OwnedFd, deadline: Instant, timeout: Duration) -> Result<(), ClientError> {
    if crate::sys::now() >= deadline {
        return Err(ClientError::NoAnswer(timeout));
    }
    wait(&[Want::read(rsp.as_fd())], deadline).map_err(|e| os_error(&e))?;
    Ok(())
}

fn good(reqtype: &str, answer: Message) -> Result<Message, ClientError> {
    match answer.get(fields::RESULT) {
        Some(request::OK | request::MORE) => Ok(answer),
        Some(_) | None => Err(ClientError::Refused {
            reqtype: reqtype.to_owned(),
            info: answer.get(fields::INFO).map(str::to_owned),
        }),
    }
}
