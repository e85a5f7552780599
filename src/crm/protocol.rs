//! What the tools of the crm and crmd say to each other, over the door `crm/` ([`crate::ipc::Server`]).
//!
//! A request is a message of the conversation's own kind with `reqtype=crm-…`; its answer has the same `reqtype`,
//! `result=OK`, and `rc`: 0, or the number that the tool is to end with, and then `text` says why. A CIB is longer than a
//! message: it is pulled in parts of at most [`PART`] bytes, and edits are pushed in parts of that size. What crmd has to
//! keep between the parts is a [`Conversation`], bounded.
//!
//! Pure.

use crate::cib::xml::Element;
use crate::cib::{Cib, Edit, Refusal, Version, wire};
use crate::clients::request;
use crate::msg::{Message, fields};
use crate::time::Duration;
use std::sync::Arc;

/// Half of what a message may hold: what is around the text needs room, too.
pub const PART: usize = 128 * 1024;
/// The longest text of edits that crmd takes from a tool: five times the configuration of 5,000 resources.
pub const MAX_EDITS: usize = 16 * 1024 * 1024;
/// To those who asked for `watch`: the CIB or the membership is no longer what it was.
pub const CHANGED: &str = "crm-changed";

/// The numbers that the tools end with, as in Pacemaker 2.1.5.
pub mod code {
    pub const OK: u8 = 0;
    pub const ERROR: u8 = 1;
    pub const USAGE: u8 = 64;
    pub const BAD_DATA: u8 = 65;
    pub const NO_INPUT: u8 = 66;
    pub const UNAVAILABLE: u8 = 69;
    pub const IO: u8 = 74;
    pub const NOT_PERMITTED: u8 = 77;
    pub const INVALID: u8 = 78;
    pub const NOT_CONNECTED: u8 = 102;
    pub const OLDER: u8 = 103;
    pub const NO_SUCH_OBJECT: u8 = 105;
    pub const QUORUM: u8 = 106;
    pub const UNSAFE: u8 = 107;
    pub const EXISTS: u8 = 108;
    pub const SEVERAL: u8 = 109;
    pub const TIMEOUT: u8 = 124;
}

mod word {
    pub const OFFSET: &str = "offset";
    pub const TOTAL: &str = "total";
    pub const TEXT: &str = "text";
    pub const LAST: &str = "last";
    pub const PROGRAM: &str = "program";
    pub const RSC: &str = "rsc";
    pub const RC: &str = "rc";
    pub const NAME: &str = "name";
    pub const VALUE: &str = "value";
    pub const DAMPEN: &str = "dampen";
    pub const SET: &str = "set";
    pub const CLASS: &str = "class";
    pub const PROVIDER: &str = "provider";
    pub const KIND: &str = "type";
    pub const UUID: &str = "uuid";
    pub const DC: &str = "dc";
    pub const QUORUM: &str = "quorum";
    pub const MEMBERS: &str = "members";
    pub const STATE: &str = "state";
    pub const VERSION: &str = "version";
    pub const WARNING: &str = "warning";
}

/// What a tool asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Opens the conversation; the answer is [`welcome`].
    SignOn,
    SignOff,
    Cluster,
    /// The text of the CIB from this byte on. 0 asks for the CIB as it is now; the rest of the same one follows.
    Cib {
        offset: usize,
    },
    /// Edits, see [`wire`], in parts. The answer to the last one comes when all members have made them.
    Apply {
        text: String,
        last: bool,
        program: String,
    },
    /// Forgets failures; the answer comes when the changes are made, its text has a line for each resource and node.
    Cleanup {
        rsc: Option<String>,
        node: Option<String>,
    },
    /// Forgets all that is known of a resource, so that it is looked for again.
    Refresh {
        rsc: Option<String>,
        node: Option<String>,
    },
    /// As if a monitor had found it broken.
    Fail {
        rsc: String,
        node: String,
    },
    Attribute(Attribute),
    /// Answered when nothing is being done and nothing is to be done.
    Idle,
    /// From now on a message of the kind [`CHANGED`] after each change.
    Watch,
    /// The meta-data of an agent, as it prints them.
    Meta {
        class: String,
        provider: String,
        kind: String,
    },
    NodeRemove {
        node: String,
    },
}

/// A transient attribute of a node: gone when the node has left.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attribute {
    pub name: String,
    /// `None` takes it away.
    pub value: Option<String>,
    /// `None`: the node that is asked.
    pub node: Option<String>,
    /// How long to wait for further changes before it is written.
    pub dampen: Duration,
    /// Id of the set it is in; by itself `status-` and the node's id.
    pub set: Option<String>,
}

/// The answer to [`Request::Cluster`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cluster {
    /// The node that answers.
    pub node: String,
    pub uuid: String,
    pub dc: Option<String>,
    pub quorum: bool,
    /// Of the partition of this node, sorted.
    pub members: Vec<String>,
    /// `S_IDLE`, `S_NOT_DC` and so on.
    pub state: String,
    pub version: Version,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Cluster(Box<Cluster>),
    /// A part of the CIB's text, which has `total` bytes.
    Part {
        total: usize,
        text: String,
    },
    /// All members have the change.
    Applied {
        version: Version,
        /// What is to be feared for it all the same.
        warning: Option<String>,
    },
    /// Done; what there is to say of it, if anything.
    Done(String),
    /// Not done: the number to end with, and why.
    Refused {
        code: u8,
        text: String,
    },
}

impl From<&Refusal> for Answer {
    fn from(refusal: &Refusal) -> Self {
        Self::Refused {
            code: refusal.exit_code(),
            text: refusal.to_string(),
        }
    }
}

impl Request {
    /// The word of the request; the answer has the same.
    pub fn word(&self) -> &'static str {
        match self {
            Self::SignOn => request::SIGNON,
            Self::SignOff => request::SIGNOFF,
            Self::Cluster => "crm-cluster",
            Self::Cib { .. } => "crm-cib",
            Self::Apply { .. } => "crm-apply",
            Self::Cleanup { .. } => "crm-cleanup",
            Self::Refresh { .. } => "crm-refresh",
            Self::Fail { .. } => "crm-fail",
            Self::Attribute(_) => "crm-attr",
            Self::Idle => "crm-idle",
            Self::Watch => "crm-watch",
            Self::Meta { .. } => "crm-meta",
            Self::NodeRemove { .. } => "crm-node-remove",
        }
    }

    pub fn to_message(&self) -> Message {
        let mut m = request::of(self.word());
        let mut put = |name: &str, value: &str| m.set(name, value);
        match self {
            Self::SignOn | Self::SignOff | Self::Cluster | Self::Idle | Self::Watch => {}
            Self::Cib { offset } => put(word::OFFSET, &offset.to_string()),
            Self::Apply { text, last, program } => {
                put(word::TEXT, text);
                put(word::LAST, if *last { "1" } else { "0" });
                put(word::PROGRAM, program);
            }
            Self::Cleanup { rsc, node } | Self::Refresh { rsc, node } => {
                for (name, value) in [(word::RSC, rsc), (fields::NODE, node)] {
                    if let Some(value) = value {
                        put(name, value);
                    }
                }
            }
            Self::Fail { rsc, node } => {
                put(word::RSC, rsc);
                put(fields::NODE, node);
            }
            Self::Attribute(a) => {
                put(word::NAME, &a.name);
                for (name, value) in [(word::VALUE, &a.value), (fields::NODE, &a.node), (word::SET, &a.set)] {
                    if let Some(value) = value {
                        put(name, value);
                    }
                }
                put(word::DAMPEN, &a.dampen.as_millis().to_string());
            }
            Self::Meta { class, provider, kind } => {
                put(word::CLASS, class);
                put(word::PROVIDER, provider);
                put(word::KIND, kind);
            }
            Self::NodeRemove { node } => put(fields::NODE, node),
        }
        m
    }

    /// The error says what is wrong with the message, for [`Answer::Refused`] with [`code::USAGE`].
    pub fn read(m: &Message) -> Result<Self, String> {
        let asked = m.get(request::field::REQTYPE).unwrap_or_default();
        let text = |name: &str| m.get(name).map(str::to_owned);
        let must = |name: &str| text(name).ok_or_else(|| format!("{asked}: has no field {name}"));
        let number = |name: &str| {
            let digits = must(name)?;
            digits
                .parse::<u64>()
                .map_err(|_| format!("{asked}: {name} is no number"))
        };
        if m.kind() != request::REQUEST {
            return Err(format!("a message of the kind {} is no request", m.kind()));
        }
        Ok(match asked {
            request::SIGNON => Self::SignOn,
            request::SIGNOFF => Self::SignOff,
            "crm-cluster" => Self::Cluster,
            "crm-cib" => Self::Cib {
                offset: usize::try_from(number(word::OFFSET)?).unwrap_or(usize::MAX),
            },
            "crm-apply" => Self::Apply {
                text: must(word::TEXT)?,
                last: must(word::LAST)? == "1",
                program: text(word::PROGRAM).unwrap_or_default(),
            },
            "crm-cleanup" => Self::Cleanup {
                rsc: text(word::RSC),
                node: text(fields::NODE),
            },
            "crm-refresh" => Self::Refresh {
                rsc: text(word::RSC),
                node: text(fields::NODE),
            },
            "crm-fail" => Self::Fail {
                rsc: must(word::RSC)?,
                node: must(fields::NODE)?,
            },
            "crm-attr" => Self::Attribute(Attribute {
                name: must(word::NAME)?,
                value: text(word::VALUE),
                node: text(fields::NODE),
                dampen: Duration::from_millis(number(word::DAMPEN)?),
                set: text(word::SET),
            }),
            "crm-idle" => Self::Idle,
            "crm-watch" => Self::Watch,
            "crm-meta" => Self::Meta {
                class: must(word::CLASS)?,
                provider: must(word::PROVIDER)?,
                kind: must(word::KIND)?,
            },
            "crm-node-remove" => Self::NodeRemove {
                node: must(fields::NODE)?,
            },
            other => return Err(format!("{other}: there is no such request")),
        })
    }
}

/// The answer to a sign-on.
pub fn welcome(node: &str) -> Message {
    request::answer(request::SIGNON)
        .with(fields::NODE, node)
        .with(fields::RESULT, request::OK)
}

/// For those who asked for [`Request::Watch`]. One that waits unread says as much as many: crmd need not queue them.
pub fn changed(version: Version) -> Message {
    Message::new(CHANGED).with(word::VERSION, version.to_string())
}

impl Answer {
    /// `word` is [`Request::word`] of what was asked.
    pub fn to_message(&self, word: &str) -> Message {
        let mut m = request::answer(word).with(fields::RESULT, request::OK);
        let mut put = |name: &str, value: &str| m.set(name, value);
        let mut rc = code::OK;
        match self {
            Self::Cluster(c) => {
                put(fields::NODE, &c.node);
                put(word::UUID, &c.uuid);
                if let Some(dc) = &c.dc {
                    put(word::DC, dc);
                }
                put(word::QUORUM, if c.quorum { "1" } else { "0" });
                put(word::MEMBERS, &c.members.join(" "));
                put(word::STATE, &c.state);
                put(word::VERSION, &c.version.to_string());
            }
            Self::Part { total, text } => {
                put(word::TOTAL, &total.to_string());
                put(word::TEXT, text);
            }
            Self::Applied { version, warning } => {
                put(word::VERSION, &version.to_string());
                if let Some(warning) = warning {
                    put(word::WARNING, warning);
                }
            }
            Self::Done(text) => put(word::TEXT, text),
            Self::Refused { code, text } => {
                rc = *code;
                put(word::TEXT, text);
            }
        }
        put(word::RC, &rc.to_string());
        m
    }

    /// `None`: it is no answer to that request.
    pub fn read(asked: &Request, m: &Message) -> Option<Self> {
        let text = |name: &str| m.get(name).unwrap_or_default().to_owned();
        let rc: u8 = m.get(word::RC)?.parse().ok()?;
        if rc != code::OK {
            return Some(Self::Refused {
                code: rc,
                text: text(word::TEXT),
            });
        }
        let version = || m.get(word::VERSION).and_then(|v| v.parse().ok());
        Some(match asked {
            Request::Cluster => Self::Cluster(Box::new(Cluster {
                node: text(fields::NODE),
                uuid: text(word::UUID),
                dc: m.get(word::DC).map(str::to_owned),
                quorum: m.get(word::QUORUM) == Some("1"),
                members: text(word::MEMBERS).split_whitespace().map(str::to_owned).collect(),
                state: text(word::STATE),
                version: version()?,
            })),
            Request::Cib { .. } => Self::Part {
                total: m.get(word::TOTAL)?.parse().ok()?,
                text: m.get(word::TEXT)?.to_owned(),
            },
            // Of all parts but the last there is no version yet.
            Request::Apply { .. } | Request::NodeRemove { .. } => match version() {
                Some(version) => Self::Applied {
                    version,
                    warning: m.get(word::WARNING).map(str::to_owned),
                },
                None => Self::Done(String::new()),
            },
            _ => Self::Done(text(word::TEXT)),
        })
    }
}

/// `text` in parts that fit into a message each; at least one.
pub fn parts(text: &str) -> Vec<&str> {
    let mut parts = vec![part(text, 0)];
    let mut at = parts[0].len();
    while at < text.len() {
        let next = part(text, at);
        at += next.len();
        parts.push(next);
    }
    parts
}

/// At most [`PART`] bytes from `offset` on, not ending inside a character. Empty when nothing is there.
fn part(text: &str, offset: usize) -> &str {
    let mut end = text.len().min(offset.saturating_add(PART));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(offset..end).unwrap_or_default()
}

/// What crmd keeps of one tool: the CIB that it is reading, the edits that it is writing.
#[derive(Debug, Default)]
pub struct Conversation {
    reading: Option<Arc<str>>,
    writing: String,
}

impl Conversation {
    /// The answer to [`Request::Cib`]. `now` gives the text of the CIB as it is now; crmd may hand out the same one to
    /// all who ask between two changes. It is let go when its last part was asked for.
    pub fn cib(&mut self, offset: usize, now: impl FnOnce() -> Arc<str>) -> Answer {
        if offset == 0 {
            self.reading = Some(now());
        }
        let Some(text) = &self.reading else {
            return Answer::Refused {
                code: code::USAGE,
                text: "the CIB is read from its beginning".to_owned(),
            };
        };
        let (total, text) = (text.len(), part(text, offset).to_owned());
        if offset.saturating_add(text.len()) >= total {
            self.reading = None;
        }
        Answer::Part { total, text }
    }

    /// A part of [`Request::Apply`]: the edits when it was the last one, `None` when there is more to come. The error is
    /// the answer.
    pub fn edits(&mut self, text: &str, last: bool) -> Result<Option<Vec<Edit>>, Answer> {
        let bad = |text: String| Answer::Refused {
            code: code::BAD_DATA,
            text,
        };
        if self.writing.len() + text.len() > MAX_EDITS {
            self.writing = String::new();
            return Err(bad(format!(
                "the change has more than {MAX_EDITS} bytes: make it in parts"
            )));
        }
        self.writing.push_str(text);
        if !last {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.writing);
        let edits = Element::parse(&whole).and_then(|e| wire::from_element(&e));
        edits
            .map(Some)
            .map_err(|e| bad(format!("the change cannot be read: {e}")))
    }
}

/// What travels of a CIB.
pub fn cib_text(cib: &Cib) -> Arc<str> {
    cib.root().to_bare().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::classic;
    use proptest::prelude::*;

    fn requests() -> Vec<Request> {
        let some = |s: &str| Some(s.to_owned());
        vec![
            Request::SignOn,
            Request::SignOff,
            Request::Cluster,
            Request::Cib { offset: 0 },
            Request::Cib { offset: 131_072 },
            Request::Apply {
                text: "<edits><bump/></edits>".into(),
                last: true,
                program: "cibadmin".into(),
            },
            Request::Cleanup { rsc: None, node: None },
            Request::Cleanup {
                rsc: some("www"),
                node: some("n1"),
            },
            Request::Refresh {
                rsc: some("www"),
                node: None,
            },
            Request::Fail {
                rsc: "www".into(),
                node: "n1".into(),
            },
            Request::Attribute(Attribute {
                name: "pingd".into(),
                value: some(""),
                node: some("n2"),
                dampen: Duration::from_millis(1500),
                set: some("s"),
            }),
            Request::Attribute(Attribute {
                name: "pingd".into(),
                ..Attribute::default()
            }),
            Request::Idle,
            Request::Watch,
            Request::Meta {
                class: "lsb".into(),
                provider: String::new(),
                kind: "httpd".into(),
            },
            Request::NodeRemove { node: "n3".into() },
        ]
    }

    fn sent(m: &Message) -> Message {
        classic::decode(&classic::encode(m)).unwrap()
    }

    #[test]
    fn every_request_comes_over() {
        for request in requests() {
            assert_eq!(Request::read(&sent(&request.to_message())), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        let table = [
            (Message::new("status"), "a message of the kind status is no request"),
            (request::of("wish"), "wish: there is no such request"),
            (request::of("crm-cib"), "crm-cib: has no field offset"),
            (
                request::of("crm-cib").with("offset", "-1"),
                "crm-cib: offset is no number",
            ),
            (
                request::of("crm-fail").with("rsc", "www"),
                "crm-fail: has no field node",
            ),
        ];
        for (message, why) in table {
            assert_eq!(Request::read(&message).unwrap_err(), why);
        }
    }

    #[test]
    fn every_answer_comes_over() {
        let apply = Request::Apply {
            text: String::new(),
            last: true,
            program: String::new(),
        };
        let version = Version {
            admin_epoch: 1,
            epoch: 2,
            num_updates: 3,
        };
        let cluster = Cluster {
            node: "n1".into(),
            uuid: "0-1".into(),
            dc: Some("n2".into()),
            quorum: true,
            members: vec!["n1".into(), "n2".into()],
            state: "S_NOT_DC".into(),
            version,
        };
        let refused = Answer::Refused {
            code: 108,
            text: "www: is there already\nand more".into(),
        };
        let part = Answer::Part {
            total: 9,
            text: "<cib/>".into(),
        };
        let alone = Cluster {
            dc: None,
            quorum: false,
            members: vec![],
            ..cluster.clone()
        };
        let applied = |warning| Answer::Applied { version, warning };
        let table = [
            (Request::Cluster, Answer::Cluster(Box::new(cluster))),
            (Request::Cluster, Answer::Cluster(Box::new(alone))),
            (Request::Cib { offset: 0 }, part),
            (apply.clone(), applied(None)),
            (apply.clone(), applied(Some("there is no quorum".into()))),
            (Request::NodeRemove { node: "n3".into() }, applied(None)),
            (apply, refused),
            (Request::Idle, Answer::Done(String::new())),
            (
                Request::Cleanup { rsc: None, node: None },
                Answer::Done("Cleaned up www on n1".into()),
            ),
        ];
        for (asked, answer) in table {
            let message = sent(&answer.to_message(asked.word()));
            assert_eq!(Answer::read(&asked, &message), Some(answer));
        }
        assert_eq!(Answer::read(&Request::Idle, &request::answer("crm-idle")), None);
    }

    #[test]
    fn a_cib_is_read_as_it_was_when_the_reading_began() {
        let long: Arc<str> = "ä".repeat(PART).into();
        let mut talk = Conversation::default();
        let mut read = String::new();
        let mut asked = 0;
        loop {
            asked += 1;
            // Whatever it becomes meanwhile.
            let now = if read.is_empty() { long.clone() } else { "<cib/>".into() };
            let Answer::Part { total, text } = talk.cib(read.len(), || now) else {
                panic!("no part");
            };
            read += &text;
            if read.len() >= total {
                break;
            }
        }
        assert_eq!((&*read, asked), (&*long, 2));
        assert!(
            matches!(talk.cib(5, || "".into()), Answer::Refused { code: 64, .. }),
            "it was let go"
        );
    }

    #[test]
    fn edits_come_in_parts_and_are_bounded() {
        let mut talk = Conversation::default();
        assert_eq!(talk.edits("<edits><bu", false), Ok(None));
        assert_eq!(talk.edits("mp/></edits>", true), Ok(Some(vec![Edit::Bump])));
        assert!(matches!(
            talk.edits("<wish/>", true),
            Err(Answer::Refused { code: 65, .. })
        ));
        assert_eq!(
            talk.edits("<edits/>", true),
            Ok(Some(vec![])),
            "what was bad is forgotten"
        );
        let long = "x".repeat(MAX_EDITS);
        assert_eq!(talk.edits(&long, false), Ok(None));
        assert!(matches!(talk.edits("x", false), Err(Answer::Refused { code: 65, .. })));
        assert_eq!(talk.edits("<edits/>", true), Ok(Some(vec![])));
    }

    proptest! {
        /// Whoever may ask may write anything.
        #[test]
        fn any_message_is_a_request_or_is_refused(
            which in 0..16usize,
            fields in proptest::collection::vec(("(offset|text|last|rsc|node|name|value|dampen|type|class)", "[ -~ä]{0,9}"), 0..6),
        ) {
            let all = requests();
            let mut message = request::of(all[which % all.len()].word());
            for (name, value) in &fields {
                message.set(name, value.as_str());
            }
            if let Ok(request) = Request::read(&message) {
                prop_assert_eq!(Request::read(&sent(&request.to_message())), Ok(request));
            }
            // A program that takes crmd's place may answer anything.
            for asked in &all {
                let _ = Answer::read(asked, &message);
            }
        }

        #[test]
        fn parts_are_the_whole_and_fit(count in 0usize..3 * PART, odd in 0usize..3) {
            let text = "x".repeat(odd) + &"ä".repeat(count / 2);
            let parts = parts(&text);
            prop_assert!(parts.iter().all(|p| p.len() <= PART));
            prop_assert_eq!(parts.concat(), text);
        }
    }
}
