//! The library of crmd: orders to lrmd, results from it. No call waits.
//!
//! lrmd may be away, or come back as another process: the library knocks again by itself, and says so with
//! [`Event::Gone`] and [`Event::Connected`]. What was ordered before a `Gone` and has not ended is answered by nobody.
//!
//! ```no_run
//! use ha::agents::Order;
//! use ha::run::lrmd::client::{Event, Lrm};
//! use ha::sys::{now, poll::wait};
//!
//! # fn order() -> Order { unimplemented!() }
//! # fn main() -> std::io::Result<()> {
//! let mut lrm = Lrm::new("crmd");
//! loop {
//!     for event in lrm.turn(now()) {
//!         match event {
//!             Event::Connected { known } => println!("{} resources are known", known.len()),
//!             Event::Result(finished) => println!("{} {} {}", finished.rsc, finished.op, finished.rc),
//!             Event::Pending { .. } | Event::Refused { .. } | Event::Gone => {}
//!             Event::Meta { .. } | Event::Fenced { .. } => {}
//!         }
//!     }
//!     wait(&lrm.wants(), lrm.deadline())?;
//! #   lrm.exec(order());
//! }
//! # }
//! ```

use crate::agents::protocol::{Fencing, Report, Request};
use crate::agents::{Agent, Finished, Known, Order};
use crate::clients::request::{self, field};
use crate::ipc::client::{ClientError, Pair};
use crate::ipc::command::alone;
use crate::msg::stream::StreamReader;
use crate::msg::{Message, classic, fields};
use crate::paths;
use crate::sys::fifo::{self, Access};
use crate::sys::poll::{Want, wait};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Between two knocks at a door that nobody opens.
const KNOCK_EVERY: Duration = Duration::from_millis(500);
/// lrmd answers a knock in a millisecond; on a machine that swaps it may take longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What waits for an lrmd that does not read, beyond the 64 KiB of the FIFO: orders of some thousand resources. Then it
/// counts as gone.
const MOST_WAITING: usize = 4 * 1024 * 1024;
/// Reads of a turn; the rest is there in the next one.
const READS_A_TURN: usize = 16;

/// What lrmd has said.
// Handed on one by one; what is in a box had to be taken out of it at once.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// There is an lrmd, and this is what it knows: of the orders given before a `Gone` nothing else is going on.
    Connected {
        known: Vec<Known>,
    },
    /// It died, or was stopped. What runs is not killed by that; recurring operations are over.
    Gone,
    Pending {
        id: u64,
        call_id: u64,
    },
    /// An order, or a question, that lrmd does not take.
    Refused {
        id: u64,
        why: String,
    },
    Result(Finished),
    Meta {
        id: u64,
        xml: String,
    },
    Fenced {
        id: u64,
        result: Result<String, String>,
    },
}

/// How far the conversation is.
#[derive(Debug)]
enum State {
    Away,
    /// Signed on, not answered yet.
    Knocking(Talk, Instant),
    /// Answered; what it knows is still coming, and what happens meanwhile waits for that.
    Asking(Talk, Vec<Known>, Vec<Event>),
    Open(Talk),
}

/// The two FIFOs.
#[derive(Debug)]
struct Talk {
    rsp: OwnedFd,
    /// Once lrmd has opened its end.
    req: Option<OwnedFd>,
    reader: StreamReader,
    queue: VecDeque<u8>,
    files: Pair,
}

/// The way to the lrmd of this node.
#[derive(Debug)]
pub struct Lrm {
    door: PathBuf,
    name: String,
    state: State,
    knock_at: Instant,
    /// Why nobody opened the last time, as it stands in the log.
    said: String,
}

impl Lrm {
    /// `name` is the one to sign on with; only one process can have it.
    pub fn new(name: &str) -> Self {
        Self::at(paths::lrm(), name)
    }

    /// The same with the directory of the door given.
    pub fn at(door: PathBuf, name: &str) -> Self {
        Self {
            door,
            name: name.to_owned(),
            state: State::Away,
            knock_at: Instant::default(),
            said: String::new(),
        }
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// False when there is no lrmd: the order is lost, as those before a [`Event::Gone`] are.
    pub fn exec(&mut self, order: Order) -> bool {
        self.send(&Request::Exec(order))
    }

    pub fn cancel(&mut self, rsc: &str, op: &str, interval: Duration) -> bool {
        let (rsc, op) = (rsc.to_owned(), op.to_owned());
        self.send(&Request::Cancel { rsc, op, interval })
    }

    pub fn forget(&mut self, rsc: &str) -> bool {
        self.send(&Request::Forget { rsc: rsc.to_owned() })
    }

    /// Answered by [`Event::Meta`] or [`Event::Refused`].
    pub fn meta(&mut self, id: u64, agent: Agent) -> bool {
        self.send(&Request::Meta { id, agent })
    }

    /// Answered by [`Event::Fenced`] or [`Event::Refused`].
    pub fn fence(&mut self, fencing: Fencing) -> bool {
        self.send(&Request::Fence(fencing))
    }

    fn send(&mut self, request: &Request) -> bool {
        let (State::Asking(talk, ..) | State::Open(talk)) = &mut self.state else {
            return false;
        };
        talk.queue.extend(classic::encode(&request.to_message()));
        // A failure shows in the next turn.
        let _ = talk.flush();
        true
    }

    /// What to wait for.
    pub fn wants(&self) -> Vec<Want<'_>> {
        match &self.state {
            State::Away => Vec::new(),
            State::Knocking(talk, _) | State::Asking(talk, ..) | State::Open(talk) => {
                let write = talk.req.as_ref().filter(|_| !talk.queue.is_empty());
                let write = write.map(|req| Want {
                    fd: req.as_fd(),
                    write: true,
                });
                [Want::read(talk.rsp.as_fd())].into_iter().chain(write).collect()
            }
        }
    }

    /// When [`Lrm::turn`] is due without any of these being ready.
    pub fn deadline(&self) -> Instant {
        match &self.state {
            State::Away => self.knock_at,
            State::Knocking(_, until) => *until,
            State::Asking(..) | State::Open(_) => Instant::NEVER,
        }
    }

    /// Reads and writes what is possible now.
    pub fn turn(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        if matches!(self.state, State::Away) && now >= self.knock_at {
            self.knock_at = now + KNOCK_EVERY;
            match Talk::begin(&self.door, &self.name) {
                Ok(talk) => self.state = State::Knocking(talk, now + ANSWER_WITHIN),
                Err(why) => self.explain(why),
            }
        }
        if let Err(why) = self.listen(now, &mut events) {
            let was = std::mem::replace(&mut self.state, State::Away);
            self.knock_at = now + KNOCK_EVERY;
            self.explain(why);
            // Half an answer is none.
            match was {
                State::Open(_) => events.push(Event::Gone),
                State::Away | State::Knocking(..) | State::Asking(..) => {}
            }
        }
        events
    }

    /// Once for each reason.
    fn explain(&mut self, why: String) {
        if self.said != why {
            log::warn!("lrmd: {why}; trying again every {} ms", KNOCK_EVERY.as_millis());
            self.said = why;
        }
    }

    fn listen(&mut self, now: Instant, events: &mut Vec<Event>) -> Result<(), String> {
        let messages = match &mut self.state {
            State::Away => return Ok(()),
            State::Knocking(_, until) if now >= *until => {
                return Err(format!("does not answer within {} s", ANSWER_WITHIN.as_secs()));
            }
            State::Knocking(talk, _) | State::Asking(talk, ..) | State::Open(talk) => {
                talk.flush()?;
                talk.take()?
            }
        };
        for message in messages {
            self.message(&message, events)?;
        }
        Ok(())
    }

    fn message(&mut self, message: &Message, events: &mut Vec<Event>) -> Result<(), String> {
        if message.kind() == request::ANSWER {
            return self.answered(message);
        }
        let report = Report::from_message(message).map_err(|e| format!("says what cannot be read: {}", e.why))?;
        let event = match report {
            Report::Known(one) => {
                if let State::Asking(_, known, _) = &mut self.state {
                    known.push(one);
                }
                return Ok(());
            }
            Report::Listed { more } => {
                self.listed(more, events);
                return Ok(());
            }
            Report::Pending { id, call_id } => Event::Pending { id, call_id },
            Report::Refused { id, why } => Event::Refused { id, why },
            Report::Result(finished) => Event::Result(finished),
            Report::Meta { id, xml } => Event::Meta { id, xml },
            Report::Fenced { id, result } => Event::Fenced { id, result },
        };
        match &mut self.state {
            State::Asking(_, _, later) => later.push(event),
            State::Away | State::Knocking(..) | State::Open(_) => events.push(event),
        }
        Ok(())
    }

    fn answered(&mut self, message: &Message) -> Result<(), String> {
        if message.get(fields::RESULT) != Some(request::OK) {
            return Err(format!("refuses: {}", message.get(fields::INFO).unwrap_or("")));
        }
        match std::mem::replace(&mut self.state, State::Away) {
            State::Knocking(mut talk, _) => {
                talk.open_requests()?;
                self.state = State::Asking(talk, Vec::new(), Vec::new());
                self.send(&Request::List { after: None });
            }
            other => self.state = other,
        }
        Ok(())
    }

    fn listed(&mut self, more: bool, events: &mut Vec<Event>) {
        match std::mem::replace(&mut self.state, State::Away) {
            State::Asking(talk, known, later) if !more => {
                self.state = State::Open(talk);
                self.said.clear();
                events.push(Event::Connected { known });
                events.extend(later);
            }
            State::Asking(talk, known, later) => {
                let after = known.last().map(|k| k.rsc.clone());
                self.state = State::Asking(talk, known, later);
                self.send(&Request::List { after });
            }
            other => self.state = other,
        }
    }
}

impl Talk {
    fn begin(door: &Path, name: &str) -> Result<Self, String> {
        let named = |e: ClientError| match e {
            ClientError::NotRunning => "is not running".to_owned(),
            other => other.to_string(),
        };
        let register = door.join("register");
        let (hand, _) =
            fifo::open_fifo(&register, Access::Write).map_err(|e| named(ClientError::from_open(&register, e)))?;
        let files = Pair::new(&door.join("api"), name).map_err(named)?;
        let rsp = files.listen().map_err(named)?;
        let hello = request::of(request::SIGNON)
            .with(field::PID, std::process::id().to_string())
            .with(fields::FROM_ID, name);
        fifo::write(hand.as_fd(), &alone(&hello)).map_err(|e| format!("does not open: {e}"))?;
        Ok(Self {
            rsp,
            req: None,
            reader: StreamReader::default(),
            queue: VecDeque::new(),
            files,
        })
    }

    fn open_requests(&mut self) -> Result<(), String> {
        self.req = Some(self.files.speak().map_err(|e| e.to_string())?);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        if self.queue.len() > MOST_WAITING {
            return Err(format!(
                "does not read its orders ({} KiB are waiting)",
                self.queue.len() / 1024
            ));
        }
        let Some(req) = &self.req else { return Ok(()) };
        while !self.queue.is_empty() {
            match fifo::write(req.as_fd(), self.queue.as_slices().0) {
                Ok(n) => drop(self.queue.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Err("has ended".to_owned()),
                Err(e) => return Err(format!("orders cannot be written: {e}")),
            }
        }
        Ok(())
    }

    /// The end counts only when nothing came before it: what lrmd said last is heard first.
    fn take(&mut self) -> Result<Vec<Message>, String> {
        let mut messages = Vec::new();
        let mut buffer = [0; 16 * 1024];
        for _ in 0..READS_A_TURN {
            // Before lrmd has opened its end, `poll` is silent although `read` would give an end of file.
            let ready = wait(&[Want::read(self.rsp.as_fd())], Instant::default()).map_err(|e| e.to_string())?;
            if !ready[0].read {
                break;
            }
            match fifo::read(self.rsp.as_fd(), &mut buffer) {
                Ok(0) if messages.is_empty() => return Err("has ended".to_owned()),
                Ok(0) => break,
                Ok(n) => {
                    for message in self.reader.push(&buffer[..n]) {
                        messages.push(message.map_err(|e| format!("what it says {e}"))?);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(format!("cannot be heard: {e}")),
            }
        }
        Ok(messages)
    }
}
