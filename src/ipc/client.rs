//! The client library: sign on, ask, receive events, sign off.
//!
//! A casual client makes its own pair of FIFOs, named after its process, and removes them when it goes. All waiting is
//! bounded by the caller.

use super::command::alone;
use crate::clients::request::{self, field};
use crate::msg::stream::StreamReader;
use crate::msg::{Message, MsgError, classic, fields};
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
const MAX_EVENTS: usize = 1000;

/// Why the daemon could not be asked or told something.
#[derive(Debug)]
pub enum ClientError {
    NotRunning,
    NotPermitted(PathBuf),
    /// The FIFO is full: the daemon is not reading.
    Busy,
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
struct Pair {
    req: PathBuf,
    rsp: PathBuf,
    made: bool,
}

impl Pair {
    fn named(directory: &Path, id: &str) -> Self {
        Self {
            req: directory.join(format!("{id}.req")),
            rsp: directory.join(format!("{id}.rsp")),
            made: false,
        }
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

    /// The same with the state directory and the client's id given.
    pub fn connect_as(state: &Path, id: &str, timeout: Duration) -> Result<Self, ClientError> {
        let deadline = crate::sys::now() + timeout;
        let register = state.join("register");
        // Before anything is made: tells "not running" from every other trouble.
        let (door, _) = fifo::open_fifo(&register, Access::Write).map_err(|e| ClientError::from_open(&register, e))?;
        let mut files = Pair::named(&state.join("casual"), id);
        files.make()?;
        let (rsp, _) = fifo::open_fifo(&files.rsp, Access::Read).map_err(|e| ClientError::from_open(&files.rsp, e))?;
        let hello = alone(
            &request::of(request::SIGNON)
                .with(field::PID, id)
                .with(fields::FROM_ID, id),
        );
        match fifo::write(door.as_fd(), &hello) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(ClientError::Busy),
            Err(e) => return Err(ClientError::Os(register, e)),
        }
        let (mut reader, mut answers, mut events) = (StreamReader::default(), VecDeque::new(), VecDeque::new());
        let signon = loop {
            take(&rsp, &mut reader, &mut answers, &mut events)?;
            if let Some(answer) = answers.pop_front() {
                break good(request::SIGNON, answer)?;
            }
            pause(&rsp, deadline, timeout)?;
        };
        // Only now: the daemon opened its end when it answered.
        let (req, _) = fifo::open_fifo(&files.req, Access::Write).map_err(|e| ClientError::from_open(&files.req, e))?;
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

    /// The answer to the sign-on: `node`, `hbversion`, `deadtime`, `keepalive`, …
    pub fn signon(&self) -> &Message {
        &self.signon
    }

    /// The name of this node.
    pub fn node(&self) -> &str {
        self.signon.get(fields::NODE).unwrap_or("")
    }

    /// Readable when an event, or the end of the daemon, can be taken with [`Client::event`].
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
            self.take()?;
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

    /// The next event if there is one; never waits.
    pub fn event(&mut self) -> Result<Option<Message>, ClientError> {
        if self.events.is_empty() {
            self.take()?;
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

    /// Says goodbye; there is no answer. Dropping the client without it does no harm.
    pub fn signoff(mut self) -> Result<(), ClientError> {
        self.send(&request::of(request::SIGNOFF))
    }

    fn send(&mut self, message: &Message) -> Result<(), ClientError> {
        let mut message = message.clone();
        message.set(fields::DEST, self.node());
        message.set(field::PID, std::process::id().to_string());
        message.set(fields::FROM_ID, self.id.as_str());
        let bytes = classic::encode(&message);
        let deadline = crate::sys::now() + self.timeout;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match fifo::write(self.req.as_fd(), rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if crate::sys::now() >= deadline {
                        return Err(ClientError::NoAnswer(self.timeout));
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

    fn take(&mut self) -> Result<(), ClientError> {
        take(&self.rsp, &mut self.reader, &mut self.answers, &mut self.events)
    }
}

/// Reads what is there and sorts it. The end of file counts only when nothing came before it in this turn: what the
/// daemon said last is heard first.
fn take(
    rsp: &OwnedFd,
    reader: &mut StreamReader,
    answers: &mut VecDeque<Message>,
    events: &mut VecDeque<Message>,
) -> Result<(), ClientError> {
    let mut buffer = [0; 16 * 1024];
    let before = answers.len() + events.len();
    loop {
        // Before the daemon has opened its end, `poll` is silent although `read` would give an end of file.
        let ready = wait(&[Want::read(rsp.as_fd())], Instant::default()).map_err(|e| os_error(&e))?;
        if !ready[0].read {
            return Ok(());
        }
        match fifo::read(rsp.as_fd(), &mut buffer) {
            Ok(0) if answers.len() + events.len() > before => return Ok(()),
            Ok(0) => return Err(ClientError::Closed),
            Ok(n) => {
                for result in reader.push(&buffer[..n]) {
                    let message = result.map_err(ClientError::Spoilt)?;
                    if message.kind() == request::ANSWER {
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
