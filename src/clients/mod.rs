//! What connected programs may ask the daemon, and the answers: the client API of heartbeat 1.x.
//!
//! * [`request`]: the words of the conversation, for both ends;
//! * [`answers`]: one question and the view in, the answer out;
//! * [`status`]: the view as JSON; [`json`]: reading and writing it;
//! * [`problems`], [`screen`], [`table`]: that JSON for people; [`prometheus`]: for a monitoring system.
//!
//! Pure. The FIFOs are in [`crate::ipc`]. Promises that nothing a client writes is believed where the kernel knows
//! better, and that every request but `signoff` is answered.

pub mod answers;
pub mod json;
pub mod problems;
pub mod prometheus;
pub mod request;
pub mod screen;
pub mod status;
pub mod table;

use crate::daemon::view::View;
use crate::ids::ClientId;
use crate::msg::{Message, fields};
use crate::time::Now;
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
    Reply { client: ClientId, message: Message },
    Drop { client: ClientId },
}

/// Why a message is of interest; the bits of `setfilter`, as in heartbeat 3.0.6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Class {
    /// Accepted, and not just a beat.
    Keep = 1,
    /// A beat without news.
    NoChange = 2,
    Dropped = 4,
    Duplicate = 8,
    /// A request of a client.
    Request = 16,
    /// Retransmission.
    Protocol = 32,
}

const ALL_CLASSES: u64 = 0x3f;
/// Whatever shows more than every client sees anyway is for root.
const DEBUG_CLASSES: u64 = ALL_CLASSES & !(Class::Keep as u64);

/// A program that has signed on.
#[derive(Debug)]
struct Client {
    /// `from_id`: process number or name.
    name: String,
    who: Identity,
    /// Classes it wants. None at first: a program that only asks must not have to throw events away.
    filter: u64,
}

/// The programs that have signed on.
#[derive(Debug, Default)]
pub struct Clients {
    signed: BTreeMap<ClientId, Client>,
}

impl Clients {
    pub fn request(
        &mut self,
        _now: Now,
        client: ClientId,
        who: Identity,
        message: &Message,
        view: &View<'_>,
    ) -> Vec<Answer> {
        let reqtype = message.get(field::REQTYPE).unwrap_or("");
        let one = |message: Message| vec![Answer::Reply { client, message }];
        let last = |message: Message| vec![Answer::Reply { client, message }, Answer::Drop { client }];
        if message.kind() != request::REQUEST {
            // Casual clients may ask, not speak to the cluster: `badclient` in heartbeat 1.0.
            self.signed.remove(&client);
            return last(request::refusal(reqtype, request::EPERM));
        }
        if reqtype == request::SIGNON {
            return match self.sign_on(client, who, message) {
                Ok(()) => one(answers::sign_on(view)),
                Err(why) => last(request::refusal(reqtype, why)),
            };
        }
        let Some(signed) = self.signed.get_mut(&client) else {
            return last(request::refusal(reqtype, request::EPERM));
        };
        // What the FIFOs say holds; a message that claims somebody else is a mistake or worse.
        if message.get(fields::FROM_ID).is_some_and(|id| id != signed.name) || signed.who != who {
            return one(request::refusal(reqtype, request::EPERM));
        }
        match reqtype {
            request::SIGNOFF => {
                self.signed.remove(&client);
                vec![Answer::Drop { client }]
            }
            request::SETFILTER => one(match signed.set_filter(message) {
                Ok(()) => answers::done(reqtype),
                Err(why) => request::refusal(reqtype, why),
            }),
            _ => answers::question(reqtype, message, view, |name| self.is_here(name))
                .into_iter()
                .map(|message| Answer::Reply { client, message })
                .collect(),
        }
    }

    /// Nobody would hear what is published.
    pub fn is_empty(&self) -> bool {
        self.signed.is_empty()
    }

    pub fn gone(&mut self, client: ClientId) {
        self.signed.remove(&client);
    }

    /// Hands an accepted message, or a change (`status`, `ifstat`, `hb_phase`), to every client that wants it.
    pub fn publish(&mut self, message: &Message) -> Vec<Answer> {
        self.publish_as(Class::Keep, message)
    }

    /// The same for messages that only debugging clients see.
    pub fn publish_as(&mut self, class: Class, message: &Message) -> Vec<Answer> {
        let to = message.get(fields::TO_ID);
        self.signed
            .iter()
            .filter(|(_, c)| c.filter & class as u64 != 0 && to.is_none_or(|to| to == c.name))
            .map(|(&client, _)| Answer::Reply {
                client,
                message: message.clone(),
            })
            .collect()
    }

    fn sign_on(&mut self, client: ClientId, who: Identity, message: &Message) -> Result<(), &'static str> {
        let name = message.get(fields::FROM_ID).ok_or(request::EINVAL)?;
        match request::kind_of_id(name) {
            Some(Kind::Casual) => {}
            Some(Kind::Named) => return Err("no client authorization: named clients are not served yet"),
            None => return Err(request::EINVAL),
        }
        self.signed.insert(
            client,
            Client {
                name: name.to_owned(),
                who,
                filter: 0,
            },
        );
        Ok(())
    }

    fn is_here(&self, name: &str) -> bool {
        self.signed.values().any(|c| c.name == name)
    }
}

impl Client {
    fn set_filter(&mut self, message: &Message) -> Result<(), &'static str> {
        let mask = message.hex(field::FMASK).ok_or(request::EINVAL)?;
        if mask & ALL_CLASSES == 0 {
            return Err(request::EINVAL);
        }
        if mask & DEBUG_CLASSES != 0 && self.who.uid != 0 {
            return Err(request::EPERM);
        }
        self.filter = mask & ALL_CLASSES;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
