//! What crmd and lrmd say to each other, as messages. Numbers are decimal, times are milliseconds.

use super::Agent;
use super::operation::{Finished, Known, Order, Pending, Status};
use crate::cib::Element;
use crate::msg::{Message, Value};
use crate::time::{Duration, Wall};
use std::collections::BTreeMap;
use std::fmt;

/// What is asked of lrmd.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    Exec(Order),
    /// The recurring operation ends. One that is running comes to its end first.
    Cancel {
        rsc: String,
        op: String,
        interval: Duration,
    },
    /// Nothing of the resource is known any more; what recurs ends.
    Forget {
        rsc: String,
    },
    /// What is known of the resources behind this one, by name; of all.
    List {
        after: Option<String>,
    },
    Meta {
        id: u64,
        agent: Agent,
    },
    Fence(Fencing),
}

/// A device of class `stonith`, and what it is to do. It need not have been started here.
#[derive(Clone, PartialEq, Eq)]
pub struct Fencing {
    pub id: u64,
    /// The resource, for the log.
    pub rsc: String,
    pub agent: Agent,
    pub params: BTreeMap<String, String>,
    pub how: How,
    /// Whom; nobody for [`How::Hosts`] and [`How::Status`].
    pub node: Option<String>,
    pub timeout: Duration,
}

impl fmt::Debug for Fencing {
    /// The parameters may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Fencing");
        all.field("rsc", &self.rsc).field("agent", &self.agent);
        all.field("how", &self.how)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    Reboot,
    Off,
    /// Which nodes it can reset: its answer is the list of their names.
    Hosts,
    Status,
}

impl How {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::Off => "off",
            Self::Hosts => "hosts",
            Self::Status => "status",
        }
    }

    /// `poweroff` is the `off` of old.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "reboot" => Some(Self::Reboot),
            "off" | "poweroff" => Some(Self::Off),
            "hosts" => Some(Self::Hosts),
            "status" => Some(Self::Status),
            _ => None,
        }
    }
}

/// What lrmd says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// The order has been taken; its results will have this call.
    Pending {
        id: u64,
        call_id: u64,
    },
    /// The order, or the question, has not been taken.
    Refused {
        id: u64,
        why: String,
    },
    /// Of every operation; of a recurring one the first result and each that differs from the one before, and one with
    /// [`Status::Cancelled`] when it ends.
    Result(Finished),
    /// An answer to [`Request::List`].
    Known(Known),
    /// The end of that answer: ask again for what is behind the last one, or that was all.
    Listed {
        more: bool,
    },
    Meta {
        id: u64,
        xml: String,
    },
    /// What the device wrote, when it succeeded; else why not.
    Fenced {
        id: u64,
        result: Result<String, String>,
    },
}

const EXEC: &str = "lrm-exec";
const CANCEL: &str = "lrm-cancel";
const FORGET: &str = "lrm-forget";
const LIST: &str = "lrm-list";
const META: &str = "lrm-meta";
const FENCE: &str = "lrm-fence";
const PENDING: &str = "lrm-pending";
const REFUSED: &str = "lrm-refused";
const RESULT: &str = "lrm-result";
const KNOWN: &str = "lrm-known";
const LISTED: &str = "lrm-listed";
const FENCED: &str = "lrm-fenced";

/// Messages of the door have this in front; others are of the conversation itself.
pub const PREFIX: &str = "lrm-";

/// Why a message is none of these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// Of the request, if it has one.
    pub id: u64,
    pub why: String,
}

type Read<T> = Result<T, String>;

impl Request {
    pub fn to_message(&self) -> Message {
        match self {
            Self::Exec(order) => {
                let m = Message::new(EXEC)
                    .with("id", order.id.to_string())
                    .with("rsc", &*order.rsc);
                let m = put_agent(m, &order.agent).with("op", &*order.op);
                let m = put_ms(m, "interval", order.interval);
                let m = put_ms(m, "timeout", order.timeout);
                let m = put_ms(m, "start_delay", order.start_delay);
                m.with("params", parameters(&order.params))
                    .with("transition_key", &*order.key)
            }
            Self::Cancel { rsc, op, interval } => put_ms(
                Message::new(CANCEL).with("rsc", &**rsc).with("op", &**op),
                "interval",
                *interval,
            ),
            Self::Forget { rsc } => Message::new(FORGET).with("rsc", &**rsc),
            Self::List { after } => match after {
                Some(after) => Message::new(LIST).with("after", &**after),
                None => Message::new(LIST),
            },
            Self::Meta { id, agent } => put_agent(Message::new(META).with("id", id.to_string()), agent),
            Self::Fence(f) => {
                let m = Message::new(FENCE).with("id", f.id.to_string()).with("rsc", &*f.rsc);
                let m = put_agent(m, &f.agent).with("params", parameters(&f.params));
                let m = put_ms(m.with("how", f.how.as_str()), "timeout", f.timeout);
                match &f.node {
                    Some(node) => m.with("node", &**node),
                    None => m,
                }
            }
        }
    }

    pub fn from_message(m: &Message) -> Result<Self, Unreadable> {
        let id = m.dec("id").unwrap_or(0);
        Self::read(m).map_err(|why| Unreadable { id, why })
    }

    fn read(m: &Message) -> Read<Self> {
        Ok(match m.kind() {
            EXEC => Self::Exec(Order {
                id: number(m, "id")?,
                rsc: resource(m)?,
                agent: agent(m)?,
                op: operation(m)?,
                interval: ms(m, "interval")?,
                timeout: ms(m, "timeout")?,
                start_delay: ms(m, "start_delay")?,
                params: read_parameters(m)?,
                key: m.get("transition_key").unwrap_or("").to_owned(),
            }),
            CANCEL => Self::Cancel {
                rsc: resource(m)?,
                op: operation(m)?,
                interval: ms(m, "interval")?,
            },
            FORGET => Self::Forget { rsc: resource(m)? },
            LIST => Self::List {
                after: m.get("after").map(str::to_owned),
            },
            META => Self::Meta {
                id: number(m, "id")?,
                agent: agent(m)?,
            },
            FENCE => Self::Fence(Fencing {
                id: number(m, "id")?,
                rsc: resource(m)?,
                agent: agent(m)?,
                params: read_parameters(m)?,
                how: How::parse(text(m, "how")?).ok_or("how: it is none of reboot, off, hosts, status")?,
                node: m.get("node").map(str::to_owned),
                timeout: ms(m, "timeout")?,
            }),
            other => return Err(format!("\"{}\" is no request", other.escape_debug())),
        })
    }
}

impl Report {
    pub fn to_message(&self) -> Message {
        let with_id = |kind, id: &u64| Message::new(kind).with("id", id.to_string());
        match self {
            Self::Pending { id, call_id } => with_id(PENDING, id).with("call_id", call_id.to_string()),
            Self::Refused { id, why } => with_id(REFUSED, id).with("why", &**why),
            Self::Result(finished) => put_finished(Message::new(RESULT).with("rsc", &*finished.rsc), finished),
            Self::Known(known) => {
                let mut m = put_agent(Message::new(KNOWN).with("rsc", &*known.rsc), &known.agent);
                for finished in &known.history {
                    m.push("history", Value::Struct(put_finished(Message::default(), finished)));
                }
                for pending in &known.pending {
                    let p = Message::default().with("op", &*pending.op);
                    let p = put_ms(p, "interval", pending.interval).with("call_id", pending.call_id.to_string());
                    m.push("pending", Value::Struct(p.with("transition_key", &*pending.key)));
                }
                match &known.params {
                    Some(params) => m.with("params", parameters(params)),
                    None => m,
                }
            }
            Self::Listed { more } => Message::new(LISTED).with("more", if *more { "1" } else { "0" }),
            Self::Meta { id, xml } => with_id(META, id).with("xml", &**xml),
            Self::Fenced { id, result } => match result {
                Ok(output) => with_id(FENCED, id).with("rc", "0").with("output", &**output),
                Err(why) => with_id(FENCED, id).with("rc", "1").with("why", &**why),
            },
        }
    }

    pub fn from_message(m: &Message) -> Result<Self, Unreadable> {
        let id = m.dec("id").unwrap_or(0);
        Self::read(m).map_err(|why| Unreadable { id, why })
    }

    fn read(m: &Message) -> Read<Self> {
        Ok(match m.kind() {
            PENDING => Self::Pending {
                id: number(m, "id")?,
                call_id: number(m, "call_id")?,
            },
            REFUSED => Self::Refused {
                id: number(m, "id")?,
                why: text(m, "why")?.to_owned(),
            },
            RESULT => Self::Result(read_finished(m, &resource(m)?)?),
            KNOWN => {
                let rsc = resource(m)?;
                let (mut history, mut pending) = (Vec::new(), Vec::new());
                for field in m.fields() {
                    match (&*field.name, &field.value) {
                        ("history", Value::Struct(f)) => history.push(read_finished(f, &rsc)?),
                        ("pending", Value::Struct(p)) => pending.push(Pending {
                            op: operation(p)?,
                            interval: ms(p, "interval")?,
                            call_id: number(p, "call_id")?,
                            key: p.get("transition_key").unwrap_or("").to_owned(),
                        }),
                        _ => {}
                    }
                }
                Self::Known(Known {
                    agent: agent(m)?,
                    rsc,
                    history,
                    pending,
                    params: m.get("params").map(|_| read_parameters(m)).transpose()?,
                })
            }
            LISTED => Self::Listed {
                more: number(m, "more")? != 0,
            },
            META => Self::Meta {
                id: number(m, "id")?,
                xml: text(m, "xml")?.to_owned(),
            },
            FENCED => Self::Fenced {
                id: number(m, "id")?,
                result: match number(m, "rc")? {
                    0 => Ok(m.get("output").unwrap_or("").to_owned()),
                    _ => Err(text(m, "why")?.to_owned()),
                },
            },
            other => return Err(format!("\"{}\" is no report", other.escape_debug())),
        })
    }
}

fn put_ms(m: Message, name: &str, time: Duration) -> Message {
    m.with(name, time.as_millis().to_string())
}

fn put_agent(m: Message, agent: &Agent) -> Message {
    let m = m.with("class", agent.class.as_str());
    let m = match &agent.provider {
        Some(provider) => m.with("provider", &**provider),
        None => m,
    };
    m.with("type", &*agent.name)
}

fn put_finished(m: Message, f: &Finished) -> Message {
    let m = put_ms(m.with("op", &*f.op), "interval", f.interval);
    let m = m.with("call_id", f.call_id.to_string()).with("rc", f.rc.to_string());
    let m = m.with("op_status", f.status.code().to_string());
    let m = put_ms(put_ms(m, "exec_time", f.exec_time), "queue_time", f.queue_time);
    let m = m
        .with("rc_change", f.rc_change.0.to_string())
        .with("output", &*f.output);
    let m = m
        .with("exit_reason", &*f.reason)
        .with("transition_key", &*f.key)
        .with("digest", &*f.digest);
    match &f.restart {
        Some((names, digest)) => m.with("force_restart", &**names).with("restart_digest", &**digest),
        None => m,
    }
}

fn read_finished(m: &Message, rsc: &str) -> Read<Finished> {
    let words = |name| m.get(name).unwrap_or("").to_owned();
    let code = |name| -> Read<i32> { text(m, name)?.parse().map_err(|_| format!("{name}: it is no number")) };
    Ok(Finished {
        rsc: rsc.to_owned(),
        op: operation(m)?,
        interval: ms(m, "interval")?,
        call_id: number(m, "call_id")?,
        rc: code("rc")?,
        status: Status::from_code(code("op_status")?).ok_or("op_status: there is no such status")?,
        exec_time: ms(m, "exec_time")?,
        queue_time: ms(m, "queue_time")?,
        rc_change: Wall(number(m, "rc_change")?),
        output: words("output"),
        reason: words("exit_reason"),
        key: words("transition_key"),
        digest: words("digest"),
        restart: m
            .get("force_restart")
            .map(|names| (names.to_owned(), words("restart_digest"))),
    })
}

/// Not as attributes: a parameter may be called `1`.
fn parameters(params: &BTreeMap<String, String>) -> String {
    let pair = |(name, value): (&String, &String)| Element::new("p").with("name", name).with("value", value);
    let mut element = Element::new("parameters");
    element.children = params.iter().map(pair).collect();
    element.to_bare()
}

fn read_parameters(m: &Message) -> Read<BTreeMap<String, String>> {
    let Some(text) = m.get("params") else {
        return Ok(BTreeMap::new());
    };
    let element = Element::parse(text).map_err(|e| format!("params: {e}"))?;
    let pair = |p: &Element| Some((p.get("name")?.to_owned(), p.get("value")?.to_owned()));
    Ok(element.children.iter().filter_map(pair).collect())
}

fn text<'a>(m: &'a Message, name: &str) -> Read<&'a str> {
    m.get(name).ok_or_else(|| format!("{name} is missing"))
}

fn number(m: &Message, name: &str) -> Read<u64> {
    text(m, name)?;
    m.dec(name).ok_or_else(|| format!("{name}: it is no number"))
}

/// One that is missing is none.
fn ms(m: &Message, name: &str) -> Read<Duration> {
    match m.get(name) {
        None => Ok(Duration::ZERO),
        Some(_) => Ok(Duration::from_millis(number(m, name)?)),
    }
}

/// It becomes a word of the log, of an environment and of a note: no blanks, no control characters.
fn word<'a>(m: &'a Message, name: &str, longest: usize) -> Read<&'a str> {
    let value = text(m, name)?;
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if value.is_empty() || value.len() > longest || value.contains(odd) {
        return Err(format!("{name}: \"{}\" is no name", value.escape_debug()));
    }
    Ok(value)
}

fn resource(m: &Message) -> Read<String> {
    word(m, "rsc", 255).map(str::to_owned)
}

fn operation(m: &Message) -> Read<String> {
    word(m, "op", 64).map(str::to_owned)
}

fn agent(m: &Message) -> Read<Agent> {
    Agent::new(text(m, "class")?, m.get("provider"), text(m, "type")?).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
