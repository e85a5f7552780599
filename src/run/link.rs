//! What the master and the core say to each other: our own messages over a socket pair, each a whole packet.

use super::role;
/// The three configuration files as text; both processes parse the same bytes.
pub use crate::check::Texts;
use crate::conf::ResourceSpec;
use crate::daemon::view::ClientReport;
use crate::groups::fencing::{FenceCommand, FenceVerb};
use crate::groups::job::{Command, Exit, Outcome, Verb};
use crate::groups::lease::Found;
use crate::ids::{JobId, MediumId, ResourceName};
use crate::msg::{Message, Value, netstring};
use crate::time::{Duration, Instant};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

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
        /// `conf::Accounts` as text: who is behind the names of `apiauth`.
        accounts: String,
        remembered: NodeTexts,
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
        accounts: String,
    },
    Stop,
    Debug {
        more: bool,
    },
    /// The programs of `respawn` lines, for whoever asks.
    Clients {
        clients: Vec<ClientReport>,
    },
    /// The types of message that rc.d has a script for.
    Scripts {
        types: Vec<String>,
    },
    /// The device travels beside the message; without one there is none any more.
    Watchdog,
    /// What became of [`ToMaster::Renew`]. It does not come when the kernel refused.
    Renewed {
        number: u64,
        found: Vec<(String, Found)>,
    },
    /// What the lookout has seen: a `lookout::link` message.
    Sighted {
        bytes: Vec<u8>,
    },
    /// Everything is over, after `Released`.
    End,
}

/// From the master to the heir.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToHeir {
    /// The files in force.
    Keep { texts: Texts },
    /// As `ToCore::Watchdog`: while a copy is open, nobody's death closes the device.
    Watchdog,
    /// Taken from the disk for the cores to come, and not used yet.
    Generations { left: Range<u64> },
    /// With it comes the reading end of a script's output. While it is open, a service that has inherited it can write.
    Output { title: String },
    /// A stop was asked for: whoever takes over goes on with it.
    Stopping,
    /// An orderly stop is complete: do not take over.
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
    Fence {
        job: JobId,
        command: FenceCommand,
    },
    Held {
        held: Vec<ResourceName>,
    },
    /// A beat goes out `at` that moment: these addresses get another lease.
    Renew {
        number: u64,
        at: Instant,
        addresses: Vec<String>,
    },
    /// For the lookout: a `lookout::link` message.
    Lookout {
        bytes: Vec<u8>,
    },
    /// These addresses go from this machine at once.
    Drop {
        addresses: Vec<String>,
    },
    /// Something was written for a client that wants a signal for it; see `ipc::server::Wake`.
    Wake {
        pair: String,
        pid: u32,
        signal: u8,
    },
    /// The state as JSON, for the status file.
    Status {
        text: String,
    },
    /// The node is active: clients may begin.
    Active,
    /// A message that rc.d has a script for: its text fields.
    Notice {
        kind: String,
        fields: Vec<(String, String)>,
    },
    /// An orderly stop has released everything; the beat goes on until `End`.
    Released,
    Nodes {
        texts: NodeTexts,
    },
    Stopped,
}

/// From the master to the process that becomes a client program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    pub user: String,
    pub program: PathBuf,
    /// For the shell, after `exec`.
    pub command: String,
    pub env: Vec<(String, String)>,
}

/// `name=value` each.
fn pairs(list: &[(String, String)]) -> Vec<String> {
    list.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn unpaired(list: &[String]) -> Option<Vec<(String, String)>> {
    let halves = |p: &String| p.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()));
    list.iter().map(halves).collect()
}

impl Order {
    pub fn encode(&self) -> Vec<u8> {
        netstring::encode(
            &Message::new("order")
                .with("user", blob(&self.user))
                .with("program", blob(&self.program.display().to_string()))
                .with("command", blob(&self.command))
                .with("env", list(pairs(&self.env))),
        )
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let m = netstring::decode(bytes).ok()?.message;
        Some(Self {
            user: text(&m, "user")?,
            program: text(&m, "program")?.into(),
            command: text(&m, "command")?,
            env: unpaired(&words(&m, "env")?)?,
        })
    }
}

/// hostcache, delhostcache and hb_peers as text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeTexts {
    pub nodes: String,
    pub deleted: String,
    pub peers: String,
}

impl NodeTexts {
    fn put(&self, message: Message) -> Message {
        message
            .with("nodes", blob(&self.nodes))
            .with("deleted", blob(&self.deleted))
            .with("peers", blob(&self.peers))
    }

    fn get(message: &Message) -> Option<Self> {
        Some(Self {
            nodes: text(message, "nodes")?,
            deleted: text(message, "deleted")?,
            peers: text(message, "peers")?,
        })
    }
}

/// One client as words of a list, tab between them; what comes from ha.cf has no tab.
fn client_text(c: &ClientReport) -> String {
    let (failfast, since) = (u8::from(c.failfast), c.since.as_millis());
    let numbers = format!("{}\t{since}\t{}\t{failfast}", c.pid, c.restarts);
    format!("{}\t{numbers}\t{}\t{}\t{}", c.state, c.user, c.command, c.last)
}

fn client_read(text: &str) -> Option<ClientReport> {
    let mut words = text.splitn(8, '\t').map(str::to_owned);
    Some(ClientReport {
        state: words.next()?,
        pid: words.next()?.parse().ok()?,
        since: Instant::from_millis(words.next()?.parse().ok()?),
        restarts: words.next()?.parse().ok()?,
        failfast: words.next()? == "1",
        user: words.next()?,
        command: words.next()?,
        last: words.next()?,
    })
}

fn join(names: &[ResourceName]) -> String {
    names.iter().map(ResourceName::as_str).collect::<Vec<_>>().join(" ")
}

fn split(text: &str) -> Option<Vec<ResourceName>> {
    text.split_ascii_whitespace().map(|w| w.parse().ok()).collect()
}

pub(super) fn list(words: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    Value::List(words.into_iter().map(|w| w.as_ref().as_bytes().to_vec()).collect())
}

pub(super) fn words(message: &Message, name: &str) -> Option<Vec<String>> {
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
                accounts,
                remembered,
            } => {
                let message = remembered
                    .put(put_texts(texts, Message::new("begin")))
                    .with("me", me.as_str())
                    .with("uuid", Value::Binary(uuid.to_vec()))
                    .with("generation", generation.to_string())
                    .with("seed", seed.to_string())
                    .with("accounts", blob(accounts));
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
            Self::Reload { texts, accounts } => {
                put_texts(texts, Message::new("reload")).with("accounts", blob(accounts))
            }
            Self::Stop => Message::new("stop"),
            Self::Debug { more } => Message::new("debug").with("more", if *more { "1" } else { "0" }),
            Self::Clients { clients } => {
                let texts: Vec<String> = clients.iter().map(client_text).collect();
                Message::new("clients").with("clients", list(&texts))
            }
            Self::Scripts { types } => Message::new("scripts").with("types", list(types)),
            Self::Watchdog => Message::new("watchdog"),
            Self::Renewed { number, found } => {
                let found: Vec<String> = found.iter().map(|(a, f)| format!("{} {a}", f.as_str())).collect();
                Message::new("renewed")
                    .with("number", number.to_string())
                    .with("found", list(&found))
            }
            Self::Sighted { bytes } => Message::new("sighted").with("bytes", Value::Binary(bytes.clone())),
            Self::End => Message::new("end"),
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
                accounts: text(&m, "accounts")?,
                remembered: NodeTexts::get(&m)?,
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
            "reload" => Self::Reload {
                texts: get_texts(&m)?,
                accounts: text(&m, "accounts")?,
            },
            "stop" => Self::Stop,
            "debug" => Self::Debug {
                more: m.get("more")? == "1",
            },
            "clients" => Self::Clients {
                clients: words(&m, "clients")?
                    .iter()
                    .map(|t| client_read(t))
                    .collect::<Option<_>>()?,
            },
            "scripts" => Self::Scripts {
                types: words(&m, "types")?,
            },
            "watchdog" => Self::Watchdog,
            "renewed" => Self::Renewed {
                number: m.dec("number")?,
                found: words(&m, "found")?
                    .iter()
                    .map(|line| {
                        let (found, address) = line.split_once(' ')?;
                        Some((address.to_owned(), Found::parse(found)?))
                    })
                    .collect::<Option<_>>()?,
            },
            "sighted" => Self::Sighted {
                bytes: m.binary("bytes")?.to_vec(),
            },
            "end" => Self::End,
            _ => return None,
        })
    }
}

impl ToHeir {
    pub fn encode(&self) -> Vec<u8> {
        netstring::encode(&match self {
            Self::Keep { texts } => put_texts(texts, Message::new("keep")),
            Self::Watchdog => Message::new("watchdog"),
            Self::Generations { left } => {
                Message::new("generations").with("left", format!("{}-{}", left.start, left.end))
            }
            Self::Output { title } => Message::new("output").with("title", title.as_str()),
            Self::Stopping => Message::new("stopping"),
            Self::Goodbye => Message::new("goodbye"),
        })
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let m = netstring::decode(bytes).ok()?.message;
        match m.kind() {
            "keep" => Some(Self::Keep { texts: get_texts(&m)? }),
            "watchdog" => Some(Self::Watchdog),
            "generations" => Some(Self::Generations {
                left: role::range(m.get("left")?)?,
            }),
            "output" => Some(Self::Output {
                title: m.get("title")?.to_owned(),
            }),
            "stopping" => Some(Self::Stopping),
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
            Self::Fence { job, command } => Message::new("fence")
                .with("job", job.to_string())
                .with("device", command.device.to_string())
                .with("title", command.title.as_str())
                .with("verb", command.verb.as_str())
                .with("node", command.node.as_ref().map_or("", |n| n.as_str()))
                .with("limit", command.limit.as_millis().to_string()),
            Self::Held { held } => Message::new("held").with("held", join(held)),
            Self::Renew { number, at, addresses } => Message::new("renew")
                .with("number", number.to_string())
                .with("at", at.as_millis().to_string())
                .with("addresses", list(addresses)),
            Self::Lookout { bytes } => Message::new("lookout").with("bytes", Value::Binary(bytes.clone())),
            Self::Drop { addresses } => Message::new("drop").with("addresses", list(addresses)),
            Self::Wake { pair, pid, signal } => Message::new("wake")
                .with("pair", pair.as_str())
                .with("pid", pid.to_string())
                .with("signal", signal.to_string()),
            Self::Status { text } => Message::new("status").with("text", blob(text)),
            Self::Active => Message::new("active"),
            Self::Notice { kind, fields } => Message::new("notice")
                .with("kind", kind.as_str())
                .with("fields", list(pairs(fields))),
            Self::Released => Message::new("released"),
            Self::Nodes { texts } => texts.put(Message::new("nodes")),
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
            "fence" => Self::Fence {
                job: JobId(m.dec("job")?),
                command: FenceCommand {
                    device: m.dec("device")? as usize,
                    title: m.get("title")?.to_owned(),
                    verb: match m.get("verb")? {
                        "hosts" => FenceVerb::Hosts,
                        "status" => FenceVerb::Status,
                        "reset" => FenceVerb::Reset,
                        "off" => FenceVerb::Off,
                        _ => return None,
                    },
                    node: match m.get("node")? {
                        "" => None,
                        node => Some(node.parse().ok()?),
                    },
                    limit: Duration::from_millis(m.dec("limit")?),
                },
            },
            "held" => Self::Held {
                held: split(m.get("held")?)?,
            },
            "renew" => Self::Renew {
                number: m.dec("number")?,
                at: Instant::from_millis(m.dec("at")?),
                addresses: words(&m, "addresses")?,
            },
            "lookout" => Self::Lookout {
                bytes: m.binary("bytes")?.to_vec(),
            },
            "drop" => Self::Drop {
                addresses: words(&m, "addresses")?,
            },
            "wake" => Self::Wake {
                pair: m.get("pair")?.to_owned(),
                pid: m.dec("pid")?.try_into().ok()?,
                signal: m.dec("signal")?.try_into().ok()?,
            },
            "status" => Self::Status {
                text: text(&m, "text")?,
            },
            "active" => Self::Active,
            "notice" => Self::Notice {
                kind: m.get("kind")?.to_owned(),
                fields: unpaired(&words(&m, "fields")?)?,
            },
            "released" => Self::Released,
            "nodes" => Self::Nodes {
                texts: NodeTexts::get(&m)?,
            },
            "stopped" => Self::Stopped,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
