//! What the core and the lookout say to each other, through the master, which does not read it.

use crate::groups::lookout::{Ask, Ends, Sighting};
use crate::ids::NodeName;
use crate::msg::{Message, Value, netstring};
use crate::run::link::{list, words};
use std::str::FromStr;

/// The first message, from the master.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Begin {
    pub me: NodeName,
    pub debug: u8,
    /// Real-time priority, where ha.cf wants one.
    pub priority: Option<u8>,
}

fn pairs<A: FromStr, B: FromStr>(message: &Message, name: &str) -> Option<Vec<(A, B)>> {
    let pair = |word: &String| {
        let (a, b) = word.split_once(' ')?;
        Some((a.parse().ok()?, b.parse().ok()?))
    };
    words(message, name)?.iter().map(pair).collect()
}

fn ends(connections: &[Ends]) -> Value {
    list(connections.iter().map(|(ours, theirs)| format!("{ours} {theirs}")))
}

impl Begin {
    pub fn encode(&self) -> Vec<u8> {
        netstring::encode(
            &Message::new("begin")
                .with("me", self.me.as_str())
                .with("debug", self.debug.to_string())
                .with("priority", self.priority.unwrap_or(0).to_string()),
        )
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let m = netstring::decode(bytes).ok()?.message;
        let number = |name| u8::try_from(m.dec(name)?).ok();
        Some(Self {
            me: m.get("me")?.parse().ok()?,
            debug: number("debug")?,
            priority: Some(number("priority")?).filter(|p| *p > 0),
        })
    }
}

pub fn write_ask(ask: &Ask) -> Vec<u8> {
    netstring::encode(&match ask {
        Ask::Watch { held, all, connections } => Message::new("watch")
            .with("held", list(held))
            .with("all", list(all))
            .with("connections", if *connections { "1" } else { "0" }),
        Ask::Whether { number, addresses } => Message::new("whether")
            .with("number", number.to_string())
            .with("addresses", list(addresses)),
        Ask::Announce { addresses } => Message::new("announce").with("addresses", list(addresses)),
        Ask::Tickle { connections } => Message::new("tickle").with("connections", ends(connections)),
    })
}

/// `None` for anything that the core does not say.
pub fn read_ask(bytes: &[u8]) -> Option<Ask> {
    let m = netstring::decode(bytes).ok()?.message;
    Some(match m.kind() {
        "watch" => Ask::Watch {
            held: words(&m, "held")?,
            all: words(&m, "all")?,
            connections: m.get("connections")? == "1",
        },
        "whether" => Ask::Whether {
            number: m.dec("number")?,
            addresses: words(&m, "addresses")?,
        },
        "announce" => Ask::Announce {
            addresses: words(&m, "addresses")?,
        },
        "tickle" => Ask::Tickle {
            connections: pairs(&m, "connections")?,
        },
        _ => return None,
    })
}

pub fn write_sighting(sighting: &Sighting) -> Vec<u8> {
    netstring::encode(&match sighting {
        Sighting::Began => Message::new("began"),
        Sighting::Answered { number, answers } => Message::new("answered")
            .with("number", number.to_string())
            .with("answers", list(answers.iter().map(|(a, mac)| format!("{a} {mac}")))),
        Sighting::Lost { address } => Message::new("lost").with("address", address.as_str()),
        Sighting::Foreign {
            address,
            mac,
            interface,
            times,
        } => Message::new("foreign")
            .with("address", address.as_str())
            .with("mac", mac.to_string())
            .with("interface", interface.as_str())
            .with("times", times.to_string()),
        Sighting::LinkUp { interface } => Message::new("link-up").with("interface", interface.as_str()),
        Sighting::Connections { connections } => Message::new("connections").with("connections", ends(connections)),
    })
}

/// `None` for anything that the lookout does not say.
pub fn read_sighting(bytes: &[u8]) -> Option<Sighting> {
    let m = netstring::decode(bytes).ok()?.message;
    let text = |name| m.get(name).map(str::to_owned);
    Some(match m.kind() {
        "began" => Sighting::Began,
        "answered" => Sighting::Answered {
            number: m.dec("number")?,
            answers: pairs(&m, "answers")?,
        },
        "lost" => Sighting::Lost {
            address: text("address")?,
        },
        "foreign" => Sighting::Foreign {
            address: text("address")?,
            mac: m.get("mac")?.parse().ok()?,
            interface: text("interface")?,
            times: m.dec("times")?,
        },
        "link-up" => Sighting::LinkUp {
            interface: text("interface")?,
        },
        "connections" => Sighting::Connections {
            connections: pairs(&m, "connections")?,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Mac;
    use proptest::prelude::*;

    #[test]
    fn everything_reads_back_as_it_was_said() {
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        let names = || vec!["10.0.0.1/24/eth0".to_owned(), "2001:db8::9".to_owned()];
        let connections = || -> Vec<Ends> {
            let pairs = [
                ("10.0.0.1:80", "10.0.0.7:4000"),
                ("[2001:db8::9]:80", "[2001:db8::7]:4000"),
            ];
            pairs.map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).to_vec()
        };
        for ask in [
            Ask::Watch {
                held: names(),
                all: names(),
                connections: true,
            },
            Ask::Watch {
                held: vec![],
                all: vec![],
                connections: false,
            },
            Ask::Whether {
                number: 7,
                addresses: names(),
            },
            Ask::Announce { addresses: names() },
            Ask::Tickle {
                connections: connections(),
            },
        ] {
            assert_eq!(read_ask(&write_ask(&ask)), Some(ask));
        }
        for sighting in [
            Sighting::Began,
            Sighting::Answered {
                number: 7,
                answers: names().into_iter().map(|n| (n, mac)).collect(),
            },
            Sighting::Answered {
                number: 8,
                answers: vec![],
            },
            Sighting::Lost {
                address: "10.0.0.1".into(),
            },
            Sighting::Foreign {
                address: "10.0.0.1".into(),
                mac,
                interface: "eth0".into(),
                times: 3,
            },
            Sighting::LinkUp {
                interface: "eth0".into(),
            },
            Sighting::Connections {
                connections: connections(),
            },
        ] {
            assert_eq!(read_sighting(&write_sighting(&sighting)), Some(sighting));
        }
        for priority in [None, Some(1), Some(99)] {
            let begin = Begin {
                me: "hello".parse().unwrap(),
                debug: 2,
                priority,
            };
            assert_eq!(Begin::decode(&begin.encode()), Some(begin));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = read_ask(&bytes);
            let _ = read_sighting(&bytes);
        }
    }
}
