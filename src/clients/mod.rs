//! What connected programs may ask the daemon, and the answers: the client API of heartbeat 1.x.
//!
//! * [`request`]: the words of the conversation, for both ends;
//! * `sending`: what a named client may send to its like, and what it may not;
//! * [`order`]: joins and leaves of other nodes in the order in which they happened;
//! * [`answers`]: one question and the view in, the answer out;
//! * [`status`]: the view as JSON; [`json`]: reading and writing it;
//! * [`problems`], [`screen`], [`table`]: that JSON for people; [`prometheus`]: for a monitoring system.
//!
//! Pure. The FIFOs are in [`crate::ipc`]. Promises that nothing a client writes is believed where the kernel knows
//! better, and that every request but `signoff` (and `set_sendqlen`) is answered.

pub mod answers;
pub mod json;
pub mod order;
pub mod problems;
pub mod prometheus;
pub mod request;
pub mod screen;
mod sending;
pub mod status;
pub mod table;

use crate::core::counters::Counters;
use crate::daemon::view::View;
use crate::ids::ClientId;
use crate::msg::{Message, fields};
use crate::time::{Duration, Instant, Now};
use request::{Kind, field};
use std::collections::BTreeMap;

/// Who a client is, as the kernel tells (owner of its FIFOs), never as its message says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
}

/// What a request or an event leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Reply {
        client: ClientId,
        message: Message,
    },
    Drop {
        client: ClientId,
    },
    /// To all nodes. `client` is told when it cannot be sent.
    Send {
        client: Option<ClientId>,
        message: Message,
    },
    /// For the resource manager of this node, as if it had been written into the command FIFO.
    Order {
        message: Message,
    },
    /// After each message written to this client its process gets this signal; 0 for none.
    Signal {
        client: ClientId,
        pid: u32,
        signal: u8,
    },
}

/// Why a message is of interest; the bits of `setfilter`, as in heartbeat 3.0.6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Class {
    /// Accepted, and not just a beat.
    Keep = 1,
    /// A beat without news.
    NoChange = 2,
    /// A request of a client.
    Request = 16,
}

/// With those of 3.0.6 under which nothing is told here: 4 dropped, 8 repeated, 32 asked for again.
const ALL_CLASSES: u64 = 0x3f;
/// Whatever shows more than every client sees anyway is for root and hacluster.
const DEBUG_CLASSES: u64 = ALL_CLASSES & !(Class::Keep as u64);
/// Signals that a client may wish for are below this one; neither SIGKILL nor SIGSTOP. As in heartbeat 3.0.6.
const SIGNALS: u64 = 32;
const KILL_AND_STOP: [u64; 2] = [9, 19];

/// So many lines of one client go into the log in this time.
const LINES: u32 = 100;
const LINES_TIME: Duration = Duration::from_secs(10);
/// In characters; the log cuts at 4000 bytes.
const LONGEST_LINE: usize = 900;

/// A program that has signed on.
#[derive(Debug)]
struct Client {
    /// `from_id`: process number or name.
    name: String,
    kind: Kind,
    who: Identity,
    /// As it says; a signal goes there only after the kernel has confirmed it.
    pid: Option<u32>,
    /// Which sign-on of a named client in this daemon it is.
    generation: u64,
    /// Classes it wants. Casual clients begin with none: a program that only asks must not have to throw events away.
    filter: u64,
    /// Lines for the log, since when.
    lines: u32,
    lines_since: Instant,
}

/// The programs that have signed on.
#[derive(Debug, Default)]
pub struct Clients {
    signed: BTreeMap<ClientId, Client>,
    /// Sign-ons of named clients so far.
    generations: u64,
    counters: Counters,
}

impl Clients {
    /// A message of a client. `room` is how many messages clients may send to the cluster now.
    pub fn request(
        &mut self,
        now: Now,
        client: ClientId,
        who: Identity,
        message: &Message,
        view: &View<'_>,
        room: usize,
    ) -> Vec<Answer> {
        let reqtype = message.get(field::REQTYPE).unwrap_or("");
        let one = |message: Message| vec![Answer::Reply { client, message }];
        let last = |message: Message| vec![Answer::Reply { client, message }, Answer::Drop { client }];
        if reqtype == request::SIGNON && message.kind() == request::REQUEST {
            if self.signed.contains_key(&client) {
                return one(request::refusal(
                    reqtype,
                    "duplicate add request: it is signed on already",
                ));
            }
            return match self.sign_on(now, client, who, message, view) {
                Ok(joined) => {
                    let mut answers = one(answers::sign_on(view));
                    answers.extend(joined);
                    answers
                }
                Err(why) => {
                    let id = message.get(fields::FROM_ID).unwrap_or("").escape_debug().to_string();
                    self.complain(
                        now,
                        "refused_sign_ons",
                        &format!("client {id}: its sign-on is refused: {why}"),
                    );
                    last(request::refusal(reqtype, &why))
                }
            };
        }
        let Some(signed) = self.signed.get_mut(&client) else {
            return last(request::refusal(reqtype, request::EPERM));
        };
        if message.kind() != request::REQUEST {
            return self.message(now, client, message, view);
        }
        // What the FIFOs say holds; a message that claims somebody else is a mistake or worse.
        if message.get(fields::FROM_ID).is_some_and(|id| id != signed.name) || signed.who != who {
            let line = format!("client {}: its request names another client; refused", signed.name);
            self.complain(now, "mismatched_requests", &line);
            return one(request::refusal(reqtype, request::EPERM));
        }
        let done = |result: Result<(), &str>| match result {
            Ok(()) => answers::done(reqtype),
            Err(why) => request::refusal(reqtype, why),
        };
        match reqtype {
            request::SIGNOFF => {
                let mut answers = vec![Answer::Drop { client }];
                answers.extend(self.gone(client, "signoff"));
                answers
            }
            request::SETFILTER => one(done(signed.set_filter(message, view))),
            request::SETSIGNAL => match signed.wants_signal(message) {
                Ok((pid, signal)) => vec![
                    Answer::Signal { client, pid, signal },
                    Answer::Reply {
                        client,
                        message: answers::done(reqtype),
                    },
                ],
                Err(why) => one(request::refusal(reqtype, why)),
            },
            request::LOG => one(done(signed.log(now.mono, message))),
            // Of the classic's socket; it has no answer there.
            request::SET_SENDQLEN => Vec::new(),
            request::CLIENTSTATUS => {
                let from = signed.name.clone();
                match answers::client_status(message, view, |name| self.is_here(name)) {
                    answers::ClientStatus::Known(message) => one(message),
                    answers::ClientStatus::Ask { .. } if room == 0 => one(request::refusal(reqtype, request::EAGAIN)),
                    // The answer comes from there, as a message of its own.
                    answers::ClientStatus::Ask { node, client: name } => vec![Answer::Send {
                        client: Some(client),
                        message: Message::new(request::QUERY_CSTATUS)
                            .with(fields::DEST, node.as_str())
                            .with(field::CLIENT, name)
                            .with(fields::FROM_ID, from),
                    }],
                }
            }
            _ => answers::question(reqtype, message, view)
                .into_iter()
                .map(|message| Answer::Reply { client, message })
                .collect(),
        }
    }

    /// The answer to the question of another node about a client of this one.
    pub fn answer_query(&self, query: &Message) -> Option<Message> {
        let asker = query.get(fields::SRC)?;
        let (name, from) = (query.get(field::CLIENT)?, query.get(fields::FROM_ID)?);
        Some(
            Message::new(request::RESPOND_CSTATUS)
                .with(fields::DEST, asker)
                .with(fields::RESULT, request::OK)
                .with(field::CLIENT, name)
                .with(fields::TO_ID, from)
                .with(field::CLIENT_STATUS, answers::online(self.is_here(name))),
        )
    }

    /// Nobody would hear what is published.
    pub fn is_empty(&self) -> bool {
        self.signed.is_empty()
    }

    /// A client has left, or was thrown out; the clients of its name on all nodes are told why.
    #[must_use]
    pub fn gone(&mut self, client: ClientId, why: &str) -> Option<Answer> {
        let client = self.signed.remove(&client)?;
        client.tells("leave", why)
    }

    /// Hands an accepted message, or a change (`status`, `ifstat`, `hb_phase`), to every client that wants it.
    pub fn publish(&mut self, message: &Message) -> Vec<Answer> {
        self.publish_as(Class::Keep, message)
    }

    /// The same for messages that only debugging clients see.
    pub fn publish_as(&mut self, class: Class, message: &Message) -> Vec<Answer> {
        let to = message.get(fields::TO_ID);
        // Whoever asked for this one waits for it, whatever its filter is.
        let asked_for = message.kind() == request::RESPOND_CSTATUS && to.is_some();
        self.signed
            .iter()
            .filter(|(_, c)| c.filter & class as u64 != 0 || asked_for)
            .filter(|(_, c)| to.is_none_or(|to| to == c.name))
            .map(|(&client, _)| Answer::Reply {
                client,
                message: message.clone(),
            })
            .collect()
    }

    fn sign_on(
        &mut self,
        now: Now,
        client: ClientId,
        who: Identity,
        message: &Message,
        view: &View<'_>,
    ) -> Result<Option<Answer>, String> {
        let name = message
            .get(fields::FROM_ID)
            .ok_or("invalid id info: there is no from_id")?;
        let kind =
            request::kind_of_id(name).ok_or("invalid id info: from_id is neither a process number nor a name")?;
        let pid = match message.get(field::PID) {
            None => None,
            Some(_) => Some(
                message
                    .dec(field::PID)
                    .and_then(|p| u32::try_from(p).ok())
                    .ok_or("bad pid")?,
            ),
        };
        if kind == Kind::Named && self.is_here(name) {
            return Err("duplicate add request: a client of this name is signed on already".to_owned());
        }
        let cf = view.cf;
        cf.accounts
            .check(&cf.apiauth, name, kind == Kind::Casual, who.uid, who.gid)?;
        let (generation, filter) = match kind {
            Kind::Casual => (0, 0),
            Kind::Named => (self.generations, Class::Keep as u64),
        };
        self.generations += u64::from(kind == Kind::Named);
        let signed = Client {
            name: name.to_owned(),
            kind,
            who,
            pid,
            generation,
            filter,
            lines: 0,
            lines_since: now.mono,
        };
        let joined = signed.tells("join", "signon");
        self.signed.insert(client, signed);
        Ok(joined)
    }

    fn is_here(&self, name: &str) -> bool {
        self.signed.values().any(|c| c.name == name)
    }

    fn complain(&mut self, now: Now, cause: &'static str, line: &str) {
        self.counters
            .complain(now.mono, log::Level::Warn, cause, || line.to_owned());
    }
}

impl Client {
    fn set_filter(&mut self, message: &Message, view: &View<'_>) -> Result<(), &'static str> {
        let mask = message.hex(field::FMASK).ok_or(request::EINVAL)?;
        if mask & ALL_CLASSES == 0 {
            return Err(request::EINVAL);
        }
        if mask & DEBUG_CLASSES != 0 && !view.cf.accounts.is_trusted(self.who.uid) {
            return Err(request::EPERM);
        }
        self.filter = mask & ALL_CLASSES;
        Ok(())
    }

    /// Its words in our log; named clients only, and not more than a reader could bear.
    fn log(&mut self, now: Instant, message: &Message) -> Result<(), &'static str> {
        if self.kind == Kind::Casual {
            return Err(request::EPERM);
        }
        let (Some(text), Some(level)) = (
            message.get(field::TEXT),
            message.get(field::LEVEL).and_then(|l| l.parse().ok()),
        ) else {
            return Err(request::EINVAL);
        };
        let name = &self.name;
        if now - self.lines_since >= LINES_TIME {
            if self.lines > LINES {
                log::warn!("client {name}: {} lines of it were left out", self.lines - LINES);
            }
            (self.lines_since, self.lines) = (now, 0);
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines > LINES {
            return Err(request::EAGAIN);
        }
        let text: String = text.chars().take(LONGEST_LINE).collect();
        log::log!(level, "{name}: {text}");
        Ok(())
    }

    fn wants_signal(&self, message: &Message) -> Result<(u32, u8), &'static str> {
        let signal = message.dec(field::SIGNAL).ok_or(request::EINVAL)?;
        if signal >= SIGNALS || KILL_AND_STOP.contains(&signal) {
            return Err(request::EINVAL);
        }
        let pid = self.pid.ok_or(request::EINVAL)?;
        Ok((pid, signal as u8))
    }

    /// `hbapi-clstat`, for the clients of this name; nobody hears of casual ones. The fields in the order of heartbeat
    /// 3.0.6, whose `src` stands here.
    fn tells(&self, what: &str, why: &str) -> Option<Answer> {
        if self.kind == Kind::Casual {
            return None;
        }
        let message = Message::new(request::CLSTAT)
            .with(fields::STATUS, what)
            .with(fields::FROM_ID, self.name.as_str())
            .with(fields::TO_ID, self.name.as_str())
            .with(fields::SRC, "")
            .with(fields::INFO, why)
            .with(field::CLIENT_GEN, self.generation.to_string());
        Some(Answer::Send { client: None, message })
    }
}

#[cfg(test)]
pub(crate) mod tests;
