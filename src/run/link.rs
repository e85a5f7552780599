//! What the master and the core say to each other: our own messages over a socket pair, each a whole packet.

/// The three configuration files as text; both processes parse the same bytes.
pub use crate::check::Texts;
use crate::conf::ResourceSpec;
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::ids::{JobId, MediumId, ResourceName};
use crate::msg::{Message, Value, netstring};
use crate::time::Duration;
use std::net::SocketAddr;

/// From the master to the core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToCore {
    Begin {
        texts: Texts,
        me: String,
        uuid: [u8; 16],
        generation: u64,
        seed: u64,
        resumed: Option<Vec<ResourceName>>,
    },
    /// The descriptor travels beside the message.
    Opened {
        medium: MediumId,
        /// [`crate::conf::MediumSpec::whole`] of what was opened: a name may have been looked up while ha.cf was read again
        /// and the numbers of the media changed.
        what: String,
        to: Option<SocketAddr>,
    },
    NotOpened {
        medium: MediumId,
        what: String,
        why: String,
    },
    Ended {
        job: JobId,
        outcome: Outcome,
    },
    Reload {
        texts: Texts,
    },
    Stop,
    Debug {
        more: bool,
    },
}

/// From the master to the heir.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToHeir {
    /// The files in force.
    Keep { texts: Texts },
    /// An orderly stop: do not take over.
    Goodbye,
}

/// From the core to the master.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToMaster {
    /// The machine runs; says how many media work, and why the others do not.
    Ready {
        working: usize,
        broken: Vec<String>,
    },
    Open {
        medium: MediumId,
    },
    Run {
        job: JobId,
        command: Command,
    },
    Held {
        held: Vec<ResourceName>,
    },
    /// The state as JSON, for the status file.
    Status {
        text: String,
    },
    Stopped,
}

fn join(names: &[ResourceName]) -> String {
    names.iter().map(ResourceName::as_str).collect::<Vec<_>>().join(" ")
}

fn split(text: &str) -> Option<Vec<ResourceName>> {
    text.split_ascii_whitespace().map(|w| w.parse().ok()).collect()
}

fn list(words: &[String]) -> Value {
    Value::List(words.iter().map(|w| w.clone().into_bytes()).collect())
}

fn words(message: &Message, name: &str) -> Option<Vec<String>> {
    match message.value(name)? {
        Value::List(items) => items.iter().map(|i| String::from_utf8(i.clone()).ok()).collect(),
        Value::Text(_) | Value::Binary(_) | Value::Struct(_) => None,
    }
}

/// Text that may hold any byte but must be UTF-8; binary on the way, since field text ends at NUL.
fn blob(text: &str) -> Value {
    Value::Binary(text.as_bytes().to_vec())
}

fn text(message: &Message, name: &str) -> Option<String> {
    String::from_utf8(message.binary(name)?.to_vec()).ok()
}

fn put_texts(texts: &Texts, message: Message) -> Message {
    message
        .with("ha_cf", blob(&texts.ha_cf))
        .with("haresources", blob(&texts.haresources))
        .with("authkeys", blob(&texts.authkeys))
}

fn get_texts(message: &Message) -> Option<Texts> {
    Some(Texts {
        ha_cf: text(message, "ha_cf")?,
        haresources: text(message, "haresources")?,
        authkeys: text(message, "authkeys")?,
    })
}

impl ToCore {
    pub fn encode(&self) -> Vec<u8> {
        let message = match self {
            Self::Begin {
                texts,
                me,
                uuid,
                generation,
                seed,
                resumed,
            } => {
                let message = put_texts(texts, Message::new("begin"))
                    .with("me", me.as_str())
                    .with("uuid", Value::Binary(uuid.to_vec()))
                    .with("generation", generation.to_string())
                    .with("seed", seed.to_string());
                match resumed {
                    Some(held) => message.with("resumed", join(held)),
                    None => message,
                }
            }
            Self::Opened { medium, what, to } => Message::new("opened")
                .with("medium", medium.0.to_string())
                .with("what", blob(what))
                .with("to", to.map_or_else(String::new, |t| t.to_string())),
            Self::NotOpened { medium, what, why } => Message::new("not-opened")
                .with("medium", medium.0.to_string())
                .with("what", blob(what))
                .with("why", blob(why)),
            Self::Ended { job, outcome } => {
                let (exit, detail) = match &outcome.exit {
                    Exit::Code(n) => ("code", n.to_string()),
                    Exit::Signal(n) => ("signal", n.to_string()),
                    Exit::TimedOut => ("timeout", String::new()),
                    Exit::CannotRun(why) => ("cannot", why.clone()),
                };
                Message::new("ended")
                    .with("job", job.to_string())
                    .with("exit", exit)
                    .with("detail", blob(&detail))
                    .with("output", blob(&outcome.output))
                    .with("took", outcome.took.as_millis().to_string())
            }
            Self::Reload { texts } => put_texts(texts, Message::new("reload")),
            Self::Stop => Message::new("stop"),
            Self::Debug { more } => Message::new("debug").with("more", if *more { "1" } else { "0" }),
        };
        netstring::encode(&message)
    }

    /// `None` for anything that the master does not say.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let m = netstring::decode(bytes).ok()?.message;
        let medium = |m: &Message| Some(MediumId(m.dec("medium")? as usize));
        Some(match m.kind() {
            "begin" => Self::Begin {
                texts: get_texts(&m)?,
                me: m.get("me")?.to_owned(),
                uuid: m.binary("uuid")?.try_into().ok()?,
                generation: m.dec("generation")?,
                seed: m.dec("seed")?,
                resumed: match m.get("resumed") {
                    Some(held) => Some(split(held)?),
                    None => None,
                },
            },
            "opened" => Self::Opened {
                medium: medium(&m)?,
                what: text(&m, "what")?,
                to: match m.get("to")? {
                    "" => None,
                    to => Some(to.parse().ok()?),
                },
            },
            "not-opened" => Self::NotOpened {
                medium: medium(&m)?,
                what: text(&m, "what")?,
                why: text(&m, "why")?,
            },
            "ended" => {
                let detail = text(&m, "detail")?;
                let exit = match m.get("exit")? {
                    "code" => Exit::Code(detail.parse().ok()?),
                    "signal" => Exit::Signal(detail.parse().ok()?),
                    "timeout" => Exit::TimedOut,
                    "cannot" => Exit::CannotRun(detail),
                    _ => return None,
                };
                let took = Duration::from_millis(m.dec("took")?);
                Self::Ended {
                    job: JobId(m.dec("job")?),
                    outcome: Outcome {
                        exit,
                        output: text(&m, "output")?,
                        took,
                    },
                }
            }
            "reload" => Self::Reload { texts: get_texts(&m)? },
            "stop" => Self::Stop,
            "debug" => Self::Debug {
                more: m.get("more")? == "1",
            },
            _ => return None,
        })
    }
}

impl ToHeir {
    pub fn encode(&self) -> Vec<u8> {
        netstring::encode(&match self {
            Self::Keep { texts } => put_texts(texts, Message::new("keep")),
            Self::Goodbye => Message::new("goodbye"),
        })
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let m = netstring::decode(bytes).ok()?.message;
        match m.kind() {
            "keep" => Some(Self::Keep { texts: get_texts(&m)? }),
            "goodbye" => Some(Self::Goodbye),
            _ => None,
        }
    }
}

impl ToMaster {
    pub fn encode(&self) -> Vec<u8> {
        let message = match self {
            Self::Ready { working, broken } => Message::new("ready")
                .with("working", working.to_string())
                .with("broken", list(broken)),
            Self::Open { medium } => Message::new("open").with("medium", medium.0.to_string()),
            Self::Run { job, command } => Message::new("run")
                .with("job", job.to_string())
                .with("name", command.resource.name.as_str())
                .with("script", command.resource.script.as_str())
                .with("args", list(&command.resource.args))
                .with("verb", command.verb.as_str())
                .with("limit", command.limit.as_millis().to_string()),
            Self::Held { held } => Message::new("held").with("held", join(held)),
            Self::Status { text } => Message::new("status").with("text", blob(text)),
            Self::Stopped => Message::new("stopped"),
        };
        netstring::encode(&message)
    }

    /// `None` for anything that the core does not say: the core faces the network, and what it says is not trusted to
    /// be well formed.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let m = netstring::decode(bytes).ok()?.message;
        Some(match m.kind() {
            "ready" => Self::Ready {
                working: m.dec("working")? as usize,
                broken: words(&m, "broken")?,
            },
            "open" => Self::Open {
                medium: MediumId(m.dec("medium")? as usize),
            },
            "run" => Self::Run {
                job: JobId(m.dec("job")?),
                command: Command {
                    resource: ResourceSpec {
                        name: m.get("name")?.parse().ok()?,
                        script: m.get("script")?.to_owned(),
                        args: words(&m, "args")?,
                    },
                    verb: match m.get("verb")? {
                        "start" => Verb::Start,
                        "stop" => Verb::Stop,
                        "status" => Verb::Status,
                        _ => return None,
                    },
                    limit: Duration::from_millis(m.dec("limit")?),
                },
            },
            "held" => Self::Held {
                held: split(m.get("held")?)?,
            },
            "status" => Self::Status {
                text: text(&m, "text")?,
            },
            "stopped" => Self::Stopped,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn everything_said_reads_back() {
        let texts = Texts {
            ha_cf: "node a\n".into(),
            haresources: "a 10.0.0.1\n".into(),
            authkeys: "auth 1\n1 crc\n".into(),
        };
        let key: ResourceName = "10.0.0.1/24".parse().unwrap();
        let outcome = |exit| Outcome {
            exit,
            output: "Running OK\n\u{1}".into(),
            took: Duration::from_millis(5),
        };
        let to_core = [
            ToCore::Begin {
                texts: texts.clone(),
                me: "a".into(),
                uuid: [7; 16],
                generation: 9,
                seed: u64::MAX,
                resumed: Some(vec![key.clone()]),
            },
            ToCore::Begin {
                texts: texts.clone(),
                me: "a".into(),
                uuid: [0; 16],
                generation: 1,
                seed: 0,
                resumed: None,
            },
            ToCore::Opened {
                medium: MediumId(3),
                what: "bcast".into(),
                to: Some("10.0.0.255:694".parse().unwrap()),
            },
            ToCore::Opened {
                medium: MediumId(0),
                what: String::new(),
                to: None,
            },
            ToCore::NotOpened {
                medium: MediumId(1),
                what: "bcast".into(),
                why: "interface eth9 does not exist".into(),
            },
            ToCore::Ended {
                job: JobId(1),
                outcome: outcome(Exit::Code(0)),
            },
            ToCore::Ended {
                job: JobId(1),
                outcome: outcome(Exit::Signal(9)),
            },
            ToCore::Ended {
                job: JobId(1),
                outcome: outcome(Exit::TimedOut),
            },
            ToCore::Ended {
                job: JobId(1),
                outcome: outcome(Exit::CannotRun("no such script".into())),
            },
            ToCore::Reload { texts: texts.clone() },
            ToCore::Stop,
            ToCore::Debug { more: true },
        ];
        for said in to_core {
            assert_eq!(ToCore::decode(&said.encode()), Some(said));
        }
        let resource = ResourceSpec {
            name: key.clone(),
            script: "IPaddr".into(),
            args: vec!["10.0.0.1/24".into()],
        };
        let to_master = [
            ToMaster::Ready {
                working: 1,
                broken: vec!["link eth9: gone".into()],
            },
            ToMaster::Open { medium: MediumId(0) },
            ToMaster::Run {
                job: JobId(4),
                command: Command {
                    resource,
                    verb: Verb::Start,
                    limit: Duration::from_secs(300),
                },
            },
            ToMaster::Held { held: vec![key] },
            ToMaster::Held { held: vec![] },
            ToMaster::Stopped,
        ];
        for said in to_master {
            assert_eq!(ToMaster::decode(&said.encode()), Some(said));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = ToCore::decode(&bytes);
            let _ = ToMaster::decode(&bytes);
        }
    }
}
