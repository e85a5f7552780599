//! What the end of an agent means: by its class and by what it was asked.

use super::Class;
use super::operation::Status;

/// Exit codes of OCF agents; every class's are told in them.
pub const OK: i32 = 0;
pub const FAILED: i32 = 1;
pub const BAD_ARGUMENTS: i32 = 2;
pub const UNIMPLEMENTED: i32 = 3;
pub const NOT_PERMITTED: i32 = 4;
pub const NOT_INSTALLED: i32 = 5;
pub const NOT_CONFIGURED: i32 = 6;
pub const NOT_RUNNING: i32 = 7;
/// While it has not ended.
pub const UNKNOWN: i32 = 193;

/// Which question the agent is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// Does it run?
    Monitor,
    Other,
}

impl Asked {
    pub fn of(op: &str) -> Self {
        match op {
            "monitor" | "status" => Self::Monitor,
            _ => Self::Other,
        }
    }
}

/// The exit code of an agent that came to its end, in those of OCF. `output` is what it wrote.
pub fn of_exit(class: Class, asked: Asked, code: i32, output: &str) -> i32 {
    match (class, asked) {
        (Class::Ocf | Class::Stonith, _) | (Class::Heartbeat, Asked::Other) => code,
        (Class::Lsb | Class::Service, Asked::Monitor) => of_lsb_status(code),
        (Class::Lsb | Class::Service, Asked::Other) => match code {
            OK..=NOT_RUNNING => code,
            _ => FAILED,
        },
        (Class::Heartbeat, Asked::Monitor) => match says_running(output) {
            true => OK,
            false => NOT_RUNNING,
        },
        (Class::Systemd, Asked::Monitor) => of_unit(output),
        (Class::Systemd, Asked::Other) => match code {
            OK => OK,
            // LSB's numbers, as systemctl has them for the exit codes of its own.
            4 => NOT_PERMITTED,
            5 => NOT_INSTALLED,
            _ => FAILED,
        },
    }
}

/// Running; dead with its pid file, or its lock, left behind; stopped; anything else is a failure.
fn of_lsb_status(code: i32) -> i32 {
    match code {
        0 => OK,
        1..=3 => NOT_RUNNING,
        _ => FAILED,
    }
}

/// The words of a script of haresources. `not` counts when `running` comes behind it: `is not yet running`.
fn says_running(output: &str) -> bool {
    let lower = output.to_ascii_lowercase();
    let not_running = || {
        lower
            .split_once("not")
            .is_some_and(|(_, rest)| rest.contains("running"))
    };
    if lower.contains("stopped") || not_running() {
        return false;
    }
    lower.contains("running") || output.contains("OK")
}

/// The word of `systemctl is-active`.
fn of_unit(output: &str) -> i32 {
    match output.lines().next().unwrap_or("").trim() {
        "active" | "activating" | "reloading" | "refreshing" => OK,
        "deactivating" => FAILED,
        _ => NOT_RUNNING,
    }
}

/// Operations that an agent of this class can be asked; what it cannot be asked is answered without it.
pub fn can(class: Class, op: &str) -> bool {
    match class {
        // The agent answers itself.
        Class::Ocf => true,
        Class::Lsb | Class::Service | Class::Heartbeat => [
            "start",
            "stop",
            "monitor",
            "status",
            "restart",
            "reload",
            "force-reload",
        ]
        .contains(&op),
        Class::Systemd => ["start", "stop", "monitor", "status", "restart", "reload"].contains(&op),
        Class::Stonith => ["start", "stop", "monitor", "status"].contains(&op),
    }
}

/// The result of an agent that could not even be called.
pub fn of_missing() -> (i32, Status) {
    (NOT_INSTALLED, Status::NotInstalled)
}

/// Of one that was killed at its limit; as Pacemaker 2.1.5 writes it.
pub fn of_timeout() -> (i32, Status) {
    (FAILED, Status::TimedOut)
}

/// Of one that a signal ended.
pub fn of_signal() -> (i32, Status) {
    (FAILED, Status::Failed)
}

/// What an agent says of its failure: the last line with this in front.
pub const REASON: &str = "ocf-exit-reason:";
/// What is shown of it, on one line.
const LONGEST_REASON: usize = 256;

pub fn reason(output: &str) -> String {
    let line = output.lines().rev().find_map(|l| l.trim().strip_prefix(REASON));
    readable(line.unwrap_or(""))
        .trim()
        .chars()
        .take(LONGEST_REASON)
        .collect()
}

/// As an attribute of XML can hold it: no control characters but line ends and tabs.
pub fn readable(text: &str) -> String {
    let clean = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => '?',
        c => c,
    };
    text.chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_by_class_and_question() {
        use Asked::{Monitor, Other};
        type Row = (Class, Asked, &'static [(i32, i32)]);
        #[rustfmt::skip]
        let table: &[Row] = &[
            // class            asked    exit code -> that of OCF
            (Class::Ocf,        Monitor, &[(0, 0), (1, 1), (7, 7), (8, 8), (9, 9), (42, 42), (190, 190)]),
            (Class::Ocf,        Other,   &[(0, 0), (1, 1), (5, 5), (6, 6), (255, 255)]),
            (Class::Lsb,        Monitor, &[(0, 0), (1, 7), (2, 7), (3, 7), (4, 1), (5, 1), (150, 1)]),
            (Class::Service,    Monitor, &[(0, 0), (3, 7), (4, 1)]),
            (Class::Lsb,        Other,   &[(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 1), (150, 1)]),
            (Class::Heartbeat,  Other,   &[(0, 0), (1, 1), (20, 20)]),
            (Class::Stonith,    Other,   &[(0, 0), (1, 1)]),
            (Class::Systemd,    Other,   &[(0, 0), (1, 1), (4, 4), (5, 5), (6, 1)]),
        ];
        for (class, asked, rows) in table {
            for (code, want) in *rows {
                assert_eq!(
                    of_exit(*class, *asked, *code, "running OK"),
                    *want,
                    "{class} {asked:?} {code}"
                );
            }
        }
    }

    #[test]
    fn the_words_of_a_script_decide_and_not_its_exit_code() {
        #[rustfmt::skip]
        let table = [
            ("running",                       0), ("Running",            0), ("RUNNING",     0), ("INFO:  Running OK", 0),
            ("OK",                            0), ("it is OK",           0), ("ok",          7), ("",              7),
            ("stopped",                       7), ("Stopped, was running", 7), ("not running", 7), ("is NOT yet running", 7),
            ("running, not bad",              0), ("no",                 7), ("down",        7), ("nothing runs; running", 7),
        ];
        for (output, want) in table {
            for code in [0, 1, 3] {
                assert_eq!(
                    of_exit(Class::Heartbeat, Asked::Monitor, code, output),
                    want,
                    "{output}"
                );
            }
        }
    }

    #[test]
    fn the_words_of_systemctl() {
        #[rustfmt::skip]
        let table = [
            ("active\n", 0), ("reloading\n", 0), ("activating\n", 0), ("inactive\n", 7), ("failed\n", 7),
            ("deactivating\n", 1), ("unknown\n", 7), ("", 7),
        ];
        for (output, want) in table {
            assert_eq!(of_exit(Class::Systemd, Asked::Monitor, 0, output), want, "{output}");
        }
    }

    #[test]
    fn what_can_be_asked() {
        #[rustfmt::skip]
        let table = [
            (Class::Ocf, "promote", true), (Class::Ocf, "anything", true), (Class::Lsb, "start", true),
            (Class::Lsb, "monitor", true), (Class::Lsb, "promote", false), (Class::Heartbeat, "notify", false),
            (Class::Systemd, "force-reload", false), (Class::Stonith, "monitor", true), (Class::Stonith, "promote", false),
        ];
        for (class, op, want) in table {
            assert_eq!(can(class, op), want, "{class} {op}");
        }
    }

    #[test]
    fn reasons_are_one_line_of_the_output() {
        #[rustfmt::skip]
        let table = [
            ("",                                                          ""),
            ("nothing of the kind",                                       ""),
            ("x\nocf-exit-reason:first\nocf-exit-reason: the last \ny",   "the last"),
            ("ocf-exit-reason:bell \u{7} and \u{1b}[31m",                 "bell ? and ?[31m"),
        ];
        for (output, want) in table {
            assert_eq!(reason(output), want, "{output:?}");
        }
        assert_eq!(
            reason(&format!("{REASON}{}", "ä".repeat(1000))).chars().count(),
            LONGEST_REASON
        );
    }
}
