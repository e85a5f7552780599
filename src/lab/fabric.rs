//! What the lab's switch does with a frame: who gets it, and what is cut. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Interface name that stands for the serial line between the first two nodes.
pub const SERIAL: &str = "serial";

/// A fault of the network: of what goes `from` one node `to` another over `link`, `percent` is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// `None`: every node.
    pub from: Option<String>,
    pub to: Option<String>,
    /// `None`: every Ethernet segment, but not the serial line.
    pub link: Option<String>,
    pub percent: u8,
}

impl Fault {
    fn applies(&self, from: &str, to: &str, link: &str) -> bool {
        let is = |wanted: &Option<String>, it: &str| wanted.as_deref().is_none_or(|w| w == it);
        is(&self.from, from)
            && is(&self.to, to)
            && match &self.link {
                Some(l) => l == link,
                None => link != SERIAL,
            }
    }
}

/// `FROM TO LINK PERCENT`, with `*` for "every".
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |w: &Option<String>| w.clone().unwrap_or_else(|| "*".into());
        write!(
            f,
            "{} {} {} {}",
            word(&self.from),
            word(&self.to),
            word(&self.link),
            self.percent
        )
    }
}

impl FromStr for Fault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [from, to, link, percent] = words[..] else {
            return Err(format!("\"{text}\" is not a fault: FROM TO LINK PERCENT is wanted"));
        };
        let word = |w: &str| (w != "*").then(|| w.to_owned());
        match percent.parse() {
            Ok(percent @ 0..=100) => Ok(Self {
                from: word(from),
                to: word(to),
                link: word(link),
                percent,
            }),
            _ => Err(format!("\"{percent}\" is not a percentage: 0 to 100 is wanted")),
        }
    }
}

/// The faults there are, and a source of chance that is the same in every run.
#[derive(Clone, Debug)]
pub struct Faults {
    list: Vec<Fault>,
    chance: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            // Any number but zero would do.
            chance: 0x9e37_79b9_7f4a_7c15,
        }
    }
}

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        // A later word about the same path replaces the earlier one.
        self.list
            .retain(|f| (&f.from, &f.to, &f.link) != (&fault.from, &fault.to, &fault.link));
        if fault.percent > 0 {
            self.list.push(fault);
        }
    }

    pub fn heal(&mut self) {
        self.list.clear();
    }

    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Whether this one frame is lost. The worst fault that applies counts.
    pub fn lost(&mut self, from: &str, to: &str, link: &str) -> bool {
        let percent = self
            .list
            .iter()
            .filter(|f| f.applies(from, to, link))
            .map(|f| f.percent)
            .max();
        match percent {
            None => false,
            Some(100..) => true,
            Some(p) => {
                // xorshift64, after Marsaglia (2003).
                self.chance ^= self.chance << 13;
                self.chance ^= self.chance >> 7;
                self.chance ^= self.chance << 17;
                self.chance % 100 < u64::from(p)
            }
        }
    }
}

/// Which port has which hardware address, learned from what was heard: one table a segment.
#[derive(Clone, Debug, Default)]
pub struct Learned(BTreeMap<[u8; 6], usize>);

impl Learned {
    /// A frame from `port`: says the one port it is for, `None` for all of them.
    pub fn route(&mut self, port: usize, frame: &[u8]) -> Option<usize> {
        let mac = |at: usize| -> Option<[u8; 6]> { frame.get(at..at + 6)?.try_into().ok() };
        let (to, from) = (mac(0)?, mac(6)?);
        let group = from[0] & 1 == 1;
        // A program that makes addresses up must not fill the memory.
        if !group && (self.0.len() < 1024 || self.0.contains_key(&from)) {
            self.0.insert(from, port);
        }
        self.0.get(&to).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().expect("a fault")
    }

    #[test]
    fn what_is_cut() {
        #[rustfmt::skip]
        let table = [
            // fault            from to  link      lost
            ("a b * 100",       "a", "b", "eth0",   true),
            ("a b * 100",       "b", "a", "eth0",   false),
            ("a b * 100",       "a", "c", "eth0",   false),
            ("a b * 100",       "a", "b", "serial", false),
            ("a b serial 100",  "a", "b", "serial", true),
            ("a b serial 100",  "a", "b", "eth0",   false),
            ("a * * 100",       "a", "c", "eth1",   true),
            ("* a eth1 100",    "c", "a", "eth1",   true),
            ("* a eth1 100",    "c", "a", "eth0",   false),
        ];
        for (text, from, to, link, lost) in table {
            let mut faults = Faults::default();
            faults.add(fault(text));
            assert_eq!(faults.lost(from, to, link), lost, "{text}: {from} {to} {link}");
            assert_eq!(faults.list()[0].to_string(), text);
        }
    }

    #[test]
    fn a_third_is_lost() {
        let mut faults = Faults::default();
        faults.add(fault("a b * 30"));
        let lost = (0..10_000).filter(|_| faults.lost("a", "b", "eth0")).count();
        assert!((2700..3300).contains(&lost), "{lost}");
    }

    #[test]
    fn the_later_word_replaces_and_zero_removes() {
        let mut faults = Faults::default();
        faults.add(fault("a b * 100"));
        faults.add(fault("a b * 30"));
        assert_eq!(faults.list(), [fault("a b * 30")]);
        faults.add(fault("a b * 0"));
        assert_eq!(faults.list(), []);
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["", "a b", "a b * 101", "a b * x", "a b * 1 2"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_switch_learns() {
        let frame = |to: u8, from: u8| [2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0];
        let mut learned = Learned::default();
        assert_eq!(learned.route(0, &frame(2, 1)), None, "not heard yet: to all");
        assert_eq!(learned.route(1, &frame(1, 2)), Some(0));
        assert_eq!(learned.route(0, &frame(2, 1)), Some(1));
        assert_eq!(learned.route(0, &[0xff; 14]), None, "broadcast");
        assert_eq!(learned.route(0, &[1, 2]), None, "too short");
    }
}
