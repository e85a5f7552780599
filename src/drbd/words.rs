//! Roles, connections and states of disks. DRBD 8.4 and 9 call some of them differently; the words of 8.4 are shown, since
//! they are those of its commands, and of everything that was written about them.

use std::fmt;

/// The two lists of words of an enumeration: from text, where anything unknown is none of them, and back.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $(= $other:literal)?),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $name {
            $($(#[$doc])* $variant),+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn of(word: &str) -> Option<Self> {
                $($(if word == $other { return Some(Self::$variant); })?)+
                Self::ALL.iter().copied().find(|v| v.as_str() == word)
            }

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant)),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// May the device be opened here?
    Role {
        Primary,
        Secondary,
        /// Of a peer that is not connected.
        Unknown,
        /// The device is there, nothing is attached to it.
        Unconfigured,
    }
}

words! {
    /// How the node stands to its peer, in the order of the kernel. The second words are those of DRBD 9.
    Connection {
        /// No minor of this resource in the kernel, or an empty one.
        Unconfigured,
        StandAlone,
        Disconnecting,
        Unconnected,
        Timeout,
        BrokenPipe,
        NetworkFailure,
        ProtocolError,
        TearDown,
        WFConnection = "Connecting",
        WFReportParams,
        Connected = "Established",
        StartingSyncS,
        StartingSyncT,
        WFBitMapS,
        WFBitMapT,
        WFSyncUUID,
        SyncSource,
        SyncTarget,
        VerifyS,
        VerifyT,
        PausedSyncS,
        PausedSyncT,
        Ahead,
        Behind,
    }
}

impl Connection {
    /// Data go over it.
    pub fn is_up(self) -> bool {
        self >= Self::Connected
    }

    /// Blocks are copied, or about to be.
    pub fn is_sync(self) -> bool {
        self > Self::Connected && !matches!(self, Self::VerifyS | Self::VerifyT)
    }
}

words! {
    /// The data of a node, from none to good.
    Disk {
        Diskless,
        Attaching,
        Detaching,
        Failed,
        Negotiating,
        Inconsistent,
        Outdated,
        /// Of a peer that is not connected.
        DUnknown,
        Consistent,
        UpToDate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_both_versions_and_no_others() {
        assert_eq!(Connection::of("Connecting"), Some(Connection::WFConnection));
        assert_eq!(Connection::of("WFConnection"), Some(Connection::WFConnection));
        assert_eq!(Connection::of("Established"), Some(Connection::Connected));
        assert_eq!(Connection::of("connected"), None);
        assert_eq!(Disk::of("UpToDate"), Some(Disk::UpToDate));
        assert_eq!(Role::of(""), None);
        for c in Connection::ALL {
            assert_eq!(Connection::of(c.as_str()), Some(*c));
        }
    }

    #[test]
    fn connected_begins_at_connected() {
        for c in Connection::ALL {
            let up = !matches!(
                c.as_str(),
                "Unconfigured"
                    | "StandAlone"
                    | "Disconnecting"
                    | "Unconnected"
                    | "Timeout"
                    | "BrokenPipe"
                    | "NetworkFailure"
                    | "ProtocolError"
                    | "TearDown"
                    | "WFConnection"
                    | "WFReportParams"
            );
            assert_eq!(c.is_up(), up, "{c}");
        }
        assert!(
            !Connection::Connected.is_sync() && !Connection::VerifyS.is_sync() && Connection::PausedSyncT.is_sync()
        );
    }
}
