//! What crmds say to each other besides what keeps the CIB.

use crate::msg::Message;
use crate::time::Duration;

/// The operation that leaves no line in the history.
pub const NOTIFY: &str = "notify";

pub const CANCEL: &str = "crmd-cancel";
pub const FORGET: &str = "crmd-forget";
/// To a node that wants to go: nothing of it is needed any more.
pub const RELEASE: &str = "crmd-release";
pub const DONE: &str = "crmd-done";
/// Is anything going on? And the answer, once there is not.
pub const IDLE: &str = "crmd-idle";
pub const IDLED: &str = "crmd-idled";

/// Something without a line in the history is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The transition; 0: a question of a tool.
    pub number: u64,
    pub id: u64,
    pub good: bool,
}

impl Reply {
    pub fn to_key(key: &str, good: bool) -> Self {
        let mut words = key.split(':').map(|w| w.parse().unwrap_or(0));
        let (id, number) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
        Self { number, id, good }
    }

    pub fn to_message(&self) -> Message {
        Message::new(DONE)
            .with("number", self.number.to_string())
            .with("id", self.id.to_string())
            .with("good", if self.good { "1" } else { "0" })
    }

    pub fn from_message(m: &Message) -> Option<Self> {
        Some(Self {
            number: m.dec("number")?,
            id: m.dec("id")?,
            good: m.get("good") == Some("1"),
        })
    }
}

/// An order that is answered with a [`Reply`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    Cancel {
        rsc: String,
        interval: Duration,
    },
    /// With its failures, or without.
    Forget {
        rsc: String,
        failures: bool,
    },
}

impl Order {
    pub fn to_message(&self, number: u64, id: u64) -> Message {
        let message = match self {
            Self::Cancel { rsc, interval } => Message::new(CANCEL)
                .with("rsc", &**rsc)
                .with("interval", interval.as_millis().to_string()),
            Self::Forget { rsc, failures } => Message::new(FORGET)
                .with("rsc", &**rsc)
                .with("failures", if *failures { "1" } else { "0" }),
        };
        message.with("number", number.to_string()).with("id", id.to_string())
    }

    pub fn from_message(m: &Message) -> Option<(Self, u64, u64)> {
        let rsc = m.get("rsc")?.to_owned();
        let order = match m.kind() {
            CANCEL => Self::Cancel {
                rsc,
                interval: Duration::from_millis(m.dec("interval")?),
            },
            FORGET => Self::Forget {
                rsc,
                failures: m.get("failures") == Some("1"),
            },
            _ => return None,
        };
        Some((order, m.dec("number")?, m.dec("id")?))
    }
}
