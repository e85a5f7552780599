//! When a client program is started again: the numbers of heartbeat 3.0.6, without clock or process.

use crate::sys::program::End;
use crate::time::Duration;

/// An end sooner than this after the start is a fast one (from source).
pub const FAST: Duration = Duration::from_secs(30);
/// The pause before the start after a fast end (from source).
pub const PAUSE: Duration = Duration::from_secs(1);
/// More fast ends than this in a row: given up (from source).
pub const MOST_FAST: u32 = 10;
/// By this exit code a program says that it has nothing to do here.
pub const NOT_AGAIN: i32 = 100;

/// What is to be done about a program that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    Start {
        after: Duration,
    },
    /// It does not want to be started again.
    Never,
    GiveUp,
    Reboot,
}

/// Fast ends in a row.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pace {
    pub fast: u32,
}

impl Pace {
    /// `ran` is the time since its start.
    pub fn ended(&mut self, failfast: bool, end: End, ran: Duration) -> Next {
        match end {
            End::Code(NOT_AGAIN) => return Next::Never,
            End::Code(code) if failfast && code != 0 => return Next::Reboot,
            End::Signal(_) if failfast => return Next::Reboot,
            End::Code(_) | End::Signal(_) | End::Unseen => {}
        }
        self.fast = if ran < FAST { self.fast + 1 } else { 0 };
        match self.fast {
            0 => Next::Start { after: Duration::ZERO },
            1..=MOST_FAST => Next::Start { after: PAUSE },
            _ => Next::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_what_follows() {
        let at_once = Next::Start { after: Duration::ZERO };
        let paused = Next::Start { after: PAUSE };
        let just_fast = FAST - Duration::from_millis(1);
        #[rustfmt::skip]
        let table = [
            // fast before  failfast  end              ran         next            fast after
            (0,             false,    End::Code(0),    FAST,       at_once,        0),
            (0,             false,    End::Code(1),    just_fast,  paused,         1),
            (9,             false,    End::Signal(9),  just_fast,  paused,         10),
            (10,            false,    End::Code(1),    just_fast,  Next::GiveUp,   11),
            (10,            false,    End::Code(1),    FAST,       at_once,        0),
            (3,             false,    End::Code(100),  FAST,       Next::Never,    3),
            (3,             true,     End::Code(100),  just_fast,  Next::Never,    3),
            (0,             true,     End::Code(0),    just_fast,  paused,         1),
            (0,             true,     End::Code(1),    FAST,       Next::Reboot,   0),
            (0,             true,     End::Signal(15), just_fast,  Next::Reboot,   0),
            (0,             true,     End::Unseen,     FAST,       at_once,        0),
        ];
        for (before, failfast, end, ran, next, after) in table {
            let mut pace = Pace { fast: before };
            assert_eq!(
                (pace.ended(failfast, end, ran), pace.fast),
                (next, after),
                "{before} {failfast} {end:?} {ran:?}"
            );
        }
    }
}
