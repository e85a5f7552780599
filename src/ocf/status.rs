//! Exit statuses of OCF agents, and how a caller of old is told.

/// Runs.
pub const DONE: i32 = 0;
/// Does not run: an answer, not a failure.
pub const NOT_RUNNING: i32 = 7;
/// Runs as the leading one of several; with haresources there is only one.
pub const RUNNING_PROMOTED: i32 = 8;

/// What the answer to `status` is, by the agent's `monitor`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Running,
    Stopped,
    /// Neither: the exit status says what is wrong.
    Unknown,
}

pub fn answer(code: i32) -> Answer {
    match code {
        DONE | RUNNING_PROMOTED => Answer::Running,
        NOT_RUNNING => Answer::Stopped,
        _ => Answer::Unknown,
    }
}

/// Nowhere the words "running" or "OK": whoever asks for the status looks for them.
pub fn sentence(code: i32) -> &'static str {
    match code {
        DONE => "done",
        1 => "failed",
        2 => "a parameter is missing or wrong",
        3 => "the agent cannot do that",
        4 => "not permitted, or a file of it belongs to somebody else",
        5 => "something that it needs is not installed",
        6 => "its configuration is wrong",
        NOT_RUNNING => "stopped",
        RUNNING_PROMOTED => "promoted",
        9 | 190 | 191 => "works, but not as it should",
        _ => "an exit status that no agent should have",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::group::says_running;

    #[test]
    fn no_sentence_sounds_like_a_service_that_is_there() {
        for code in -1..256 {
            assert!(!says_running(sentence(code)), "{code}: {}", sentence(code));
            let expected = match code {
                0 | 8 => Answer::Running,
                7 => Answer::Stopped,
                _ => Answer::Unknown,
            };
            assert_eq!(answer(code), expected, "{code}");
        }
    }
}
