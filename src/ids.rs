//! Names and numbers that must not be mixed up, each checked once at the door.
//!
//! Pure. A function that takes a `NodeName` need not check it again; parse with `FromStr`, print with `Display`.

use std::fmt;
use std::str::FromStr;

/// Why a name was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadName {
    what: &'static str,
    name: String,
    why: &'static str,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not a {}: {}",
            self.name.escape_debug(),
            self.what,
            self.why
        )
    }
}

impl std::error::Error for BadName {}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $what:literal, $max:expr, $clean:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = BadName;
            fn from_str(s: &str) -> Result<Self, BadName> {
                let bad = |why| Err(BadName { what: $what, name: s.chars().take(120).collect(), why });
                if s.is_empty() {
                    return bad("it is empty");
                }
                if s.len() > $max {
                    return bad(concat!("it is longer than ", stringify!($max), " bytes"));
                }
                if s.chars().any(|c| c.is_whitespace() || c.is_control()) {
                    return bad("it holds a blank or a control character");
                }
                let clean: fn(&str) -> String = $clean;
                Ok(Self(clean(s)))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }
    };
}

name_type!(
    /// A node, always in lower case, at most 99 bytes as in heartbeat 3.0.6.
    NodeName, "node name", 99, str::to_ascii_lowercase
);
name_type!(
    /// A link: the interface for bcast, ucast and mcast, the device path for serial, the address for ping.
    LinkName, "link name", 255, str::to_owned
);
name_type!(
    /// A resource as haresources writes it (`IPaddr::10.0.0.1`); the first one of a line names the group.
    ResourceName, "resource", 1024, str::to_owned
);

macro_rules! number_type {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $type(pub u64);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_type!(
    /// Counts the starts of a node's heartbeat; higher is newer. `hg` in messages.
    Generation
);
number_type!(
    /// Number of a message within one generation of its sender, from 1. `seq` in messages.
    Seq
);
number_type!(
    /// A script that the master runs for the core.
    JobId
);
number_type!(
    /// A program connected to the daemon.
    ClientId
);

impl Generation {
    /// So many are taken from the disk at once: a core or a master that dies is replaced without the disk, which may hang
    /// or fail, and no number is used that the disk does not know of.
    pub const AHEAD: u64 = 100;

    /// The one after what the disk has, and at least the current time. Never backwards, whatever the clock says.
    #[must_use]
    pub fn after(written: Option<Self>, now: u64) -> Self {
        Self(written.map_or(now, |Self(old)| now.max(old.saturating_add(1))))
    }

    /// For a daemon that already serves and whose disk fails: a number that is higher than any written one, because the
    /// first one was the time too and starts are seldom more than one a second.
    #[must_use]
    pub fn unwritten_after(self, now: u64) -> Self {
        Self(now.max(self.0.saturating_add(1)))
    }
}

/// Index of a medium in the order of ha.cf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MediumId(pub usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_the_door() {
        assert_eq!("Node1".parse::<NodeName>().unwrap().as_str(), "node1");
        assert!("n".repeat(99).parse::<NodeName>().is_ok());
        assert!("n".repeat(100).parse::<NodeName>().is_err());
        for bad in ["", "a b", "a\n", "\u{0}"] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "IPaddr::10.0.0.1".parse::<ResourceName>().unwrap().to_string(),
            "IPaddr::10.0.0.1"
        );
    }
}
