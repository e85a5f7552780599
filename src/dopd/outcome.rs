//! What DRBD wants to hear from its fence-peer handler, and what `drbdadm` said.

use std::fmt;

/// The answer to a request, as DRBD's fence-peer contract numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Inconsistent,
    Outdated,
    /// Not in the cluster any more: DRBD takes it for dead.
    Unreachable,
    Primary,
    /// It is not known how the peer's data are: DRBD waits, or promotes nobody.
    Failed,
    /// Another request for this resource is on its way.
    Busy,
    /// A number of a dopd of another version.
    Other(u8),
}

impl Outcome {
    pub fn number(self) -> u8 {
        match self {
            Self::Inconsistent => 3,
            Self::Outdated => 4,
            Self::Unreachable => 5,
            Self::Primary => 6,
            Self::Failed => 20,
            Self::Busy => 21,
            Self::Other(number) => number,
        }
    }

    /// `None` for what cannot be an exit code of a handler; 0 is none either, it means nothing to DRBD.
    pub fn of_number(number: u64) -> Option<Self> {
        Some(match u8::try_from(number).ok()? {
            0 => return None,
            3 => Self::Inconsistent,
            4 => Self::Outdated,
            5 => Self::Unreachable,
            6 => Self::Primary,
            20 => Self::Failed,
            21 => Self::Busy,
            other => Self::Other(other),
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inconsistent => f.write_str("3, its data are inconsistent"),
            Self::Outdated => f.write_str("4, its data are marked outdated"),
            Self::Unreachable => f.write_str("5, it cannot be reached"),
            Self::Primary => f.write_str("6, it is primary"),
            Self::Failed => f.write_str("20, it is not known how its data are"),
            Self::Busy => f.write_str("21, another request is on its way"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

/// How a run of `drbdadm` ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    TimedOut,
    CannotRun(String),
}

/// What follows from the end of `drbdadm outdate`: an answer, or (`None`) a look at the disk.
pub fn of_outdate(exit: &Exit) -> Option<Outcome> {
    match exit {
        Exit::Code(0) => None,
        // Worse than outdated already.
        Exit::Code(5) => Some(Outcome::Inconsistent),
        Exit::Code(17) => Some(Outcome::Primary),
        Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut | Exit::CannotRun(_) => Some(Outcome::Failed),
    }
}

/// What `drbdadm dstate` tells of our own disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disk {
    Outdated,
    /// Inconsistent, or none.
    Worse,
    /// Still good: DRBD has not noticed yet that it is alone, and until then `drbdadm outdate` does nothing (8.4.11).
    Good,
    /// The command said nothing that we know.
    Silent,
    Unknown,
}

/// A line a volume, our own state before the first `/`. The best volume counts: nobody may be promoted with it.
pub fn disk(exit: &Exit, output: &str) -> Disk {
    // Warnings of drbdadm stand among them; a state is a line without blanks.
    let of_state = |l: &&str| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphabetic() || c == '/');
    let lines = output.lines().map(str::trim).filter(of_state);
    let words: Vec<&str> = lines.filter_map(|l| l.split('/').next()).collect();
    match exit {
        Exit::Code(0) if !words.is_empty() => {}
        Exit::Code(_) => return Disk::Silent,
        Exit::Signal(_) | Exit::TimedOut | Exit::CannotRun(_) => return Disk::Unknown,
    }
    let kind = |word: &str| match word {
        "Outdated" => Disk::Outdated,
        "Diskless" | "Failed" | "Inconsistent" | "Detaching" => Disk::Worse,
        "UpToDate" | "Consistent" | "Attaching" | "Negotiating" => Disk::Good,
        _ => Disk::Unknown,
    };
    let kinds: Vec<Disk> = words.into_iter().map(kind).collect();
    [Disk::Unknown, Disk::Good, Disk::Worse]
        .into_iter()
        .find(|k| kinds.contains(k))
        .unwrap_or(Disk::Outdated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_contract() {
        for n in 1..=255 {
            assert_eq!(u64::from(Outcome::of_number(n).unwrap().number()), n);
        }
        assert_eq!(Outcome::of_number(0), None);
        assert_eq!(Outcome::of_number(256), None);
    }

    #[test]
    fn exit_codes_of_outdate() {
        #[rustfmt::skip]
        let table = [
            (Exit::Code(0),                None),
            (Exit::Code(5),                Some(Outcome::Inconsistent)),
            (Exit::Code(17),               Some(Outcome::Primary)),
            (Exit::Code(1),                Some(Outcome::Failed)),
            (Exit::Code(10),               Some(Outcome::Failed)),
            (Exit::Code(20),               Some(Outcome::Failed)),
            (Exit::Signal(9),              Some(Outcome::Failed)),
            (Exit::TimedOut,               Some(Outcome::Failed)),
            (Exit::CannotRun("no".into()), Some(Outcome::Failed)),
        ];
        for (exit, want) in table {
            assert_eq!(of_outdate(&exit), want, "{exit:?}");
        }
    }

    #[test]
    fn states_of_the_disk() {
        #[rustfmt::skip]
        let table = [
            (0, "Outdated/DUnknown\n",              Disk::Outdated),
            (0, "Outdated\n",                       Disk::Outdated),
            (0, "Outdated/UpToDate/UpToDate\n",     Disk::Outdated),
            (0, "UpToDate/UpToDate\n",              Disk::Good),
            (0, "Consistent/DUnknown\n",            Disk::Good),
            (0, "Inconsistent/DUnknown\n",          Disk::Worse),
            (0, "Diskless\n",                       Disk::Worse),
            (0, "Outdated/DUnknown\nUpToDate/DUnknown\n", Disk::Good),
            (0, "Outdated/DUnknown\nInconsistent/DUnknown\n", Disk::Worse),
            (0, "Outdated/DUnknown\nOutdated/DUnknown\n", Disk::Outdated),
            (0, "DRBD module version: 8.4.11\n  userland version: 9.22.0\nOutdated/DUnknown\n", Disk::Outdated),
            (0, "WARN: no TTY\nUpToDate/DUnknown\n", Disk::Good),
            (0, "Unconfigured\n",                   Disk::Unknown),
            (0, "",                                 Disk::Silent),
            (10, "Outdated\n",                      Disk::Silent),
        ];
        for (code, output, want) in table {
            assert_eq!(disk(&Exit::Code(code), output), want, "{output:?}");
        }
        for exit in [Exit::TimedOut, Exit::Signal(9), Exit::CannotRun("no".into())] {
            assert_eq!(disk(&exit, "Outdated\n"), Disk::Unknown, "{exit:?}");
        }
    }
}
