//! The classic's resource sets: `none`, `local` (groups that prefer this node), `foreign` (all others), `all`.

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Set {
    pub local: bool,
    pub foreign: bool,
}

impl Set {
    pub const NONE: Self = Self {
        local: false,
        foreign: false,
    };
    pub const LOCAL: Self = Self {
        local: true,
        foreign: false,
    };
    pub const FOREIGN: Self = Self {
        local: false,
        foreign: true,
    };
    pub const ALL: Self = Self {
        local: true,
        foreign: true,
    };

    pub fn as_str(self) -> &'static str {
        match (self.local, self.foreign) {
            (false, false) => "none",
            (true, false) => "local",
            (false, true) => "foreign",
            (true, true) => "all",
        }
    }

    /// `failback` is what the command line calls `foreign`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::NONE),
            "local" => Some(Self::LOCAL),
            "foreign" | "failback" => Some(Self::FOREIGN),
            "all" => Some(Self::ALL),
            _ => None,
        }
    }

    /// The same groups seen from the other of two nodes.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self {
            local: self.foreign,
            foreign: self.local,
        }
    }

    /// Does it hold a group, given whether the group prefers the node whose set this is?
    pub fn holds(self, preferred_here: bool) -> bool {
        if preferred_here { self.local } else { self.foreign }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_mirrors() {
        for set in [Set::NONE, Set::LOCAL, Set::FOREIGN, Set::ALL] {
            assert_eq!(Set::parse(set.as_str()), Some(set));
            assert_eq!(set.mirrored().mirrored(), set);
        }
        assert_eq!(Set::parse("failback"), Some(Set::FOREIGN));
        assert_eq!(Set::parse("both"), None);
        assert_eq!(Set::LOCAL.mirrored(), Set::FOREIGN);
    }
}
