//! Names of DRBD resources, checked before anything is done with them.

use std::fmt;
use std::str::FromStr;

/// 127, as DRBD's kernel module.
const LONGEST: usize = 127;
/// `drbdadm outdate all` means every resource; none can be called so.
const ALL: &str = "all";

/// The name of one DRBD resource: never an option, a path or several resources, whatever program gets it as an argument.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DrbdName(String);

/// Why a name was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadDrbdName(String);

impl fmt::Display for BadDrbdName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not the name of a DRBD resource: letters, digits, \".\", \"_\", \"+\" and \"-\", not \"-\" in \
             front, at most {LONGEST}",
            self.0.escape_debug()
        )
    }
}

impl std::error::Error for BadDrbdName {}

impl DrbdName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DrbdName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DrbdName {
    type Err = BadDrbdName;

    fn from_str(s: &str) -> Result<Self, BadDrbdName> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        let dots = s.chars().all(|c| c == '.');
        if s.len() > LONGEST || dots || s == ALL || s.starts_with('-') || !s.chars().all(good) {
            return Err(BadDrbdName(s.chars().take(LONGEST).collect()));
        }
        Ok(Self(s.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_one_word_for_drbdadm_and_nothing_else() {
        let long = "r".repeat(LONGEST);
        for good in ["r0", "R_0", "mysql-data.1", "_x", "1", "a+b", "all2", "..r", &long] {
            assert_eq!(good.parse::<DrbdName>().map(|n| n.to_string()), Ok(good.to_owned()));
        }
        let longer = format!("{long}r");
        #[rustfmt::skip]
        let bad = [
            "", "-d", "--dry-run", "all", ".", "..", "r0/0", "/dev/drbd0", "r0;reboot", "$(reboot)", "r0 r1", "r0\n",
            "r0\0", "r0:peer", "rö", "`id`", "r0'", "r0\\", &longer,
        ];
        for name in bad {
            assert!(name.parse::<DrbdName>().is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_printed_as_it_came(s in "\\PC{0,140}") {
            if let Ok(name) = s.parse::<DrbdName>() {
                prop_assert_eq!(name.as_str(), s.as_str());
                prop_assert!(!s.is_empty() && !s.starts_with('-') && !s.contains(|c: char| " /:;$`'\"".contains(c)));
            }
        }
    }
}
