//! When drbddisk tries again, and when it gives up and says why: after each `drbdadm primary` and `drbdadm secondary`.

use super::row::Row;
use super::words::{Connection, Disk};

/// Attempts to promote, as the script of drbd-utils: the peer may be marked primary for a moment after its death. Each
/// attempt has the kernel ask the peer whether it lives, so that a dead one is noticed at the first or second.
pub const ATTEMPTS: u32 = 6;
/// Attempts to demote, as there.
pub const STOP_ATTEMPTS: u32 = 3;

/// What follows from an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Done,
    Again(String),
    /// It is not up: bring it up, once.
    BringUp,
    GiveUp(String),
}

/// The exit codes of drbdadm, which are those of drbdsetup.
pub mod code {
    /// Its own trouble: no such resource, a mistake in drbd.conf.
    pub const DRBDADM: i32 = 1;
    /// The kernel refuses the request: the minor is not there, or the like.
    pub const CONFIGURATION: i32 = 10;
    /// The kernel refuses the change of state.
    pub const STATE: i32 = 11;
    /// There is no access to good data.
    pub const NO_DATA: i32 = 17;
}

/// `drbdadm primary` ended with `exit` (`None`: it was ended, or could not be run) and wrote `said`; `row` is how the
/// device is now.
pub fn after_primary(exit: Option<i32>, said: &str, row: Option<&Row>) -> Verdict {
    let said = last_reason(said);
    match exit {
        Some(0) => Verdict::Done,
        Some(code::NO_DATA) => match row.map(|r| r.disk) {
            // Passing states: what they become is known in a moment.
            Some(Disk::Attaching | Disk::Negotiating) => Verdict::Again("its disk is being looked at".to_owned()),
            Some(disk) => Verdict::GiveUp(format!("{}: will not take over{}", why_not(disk), hint(row))),
            None => Verdict::GiveUp(format!("{said}: will not take over")),
        },
        Some(code::CONFIGURATION) => Verdict::BringUp,
        Some(code::STATE) => Verdict::Again(said),
        Some(code::DRBDADM) => Verdict::GiveUp(said),
        Some(_) | None => Verdict::Again(said),
    }
}

fn why_not(disk: Disk) -> String {
    match disk {
        Disk::Outdated => "the data are Outdated: the peer has newer ones".to_owned(),
        Disk::Inconsistent => "the data are Inconsistent: a copy of the peer's was not finished".to_owned(),
        Disk::Diskless | Disk::Failed | Disk::Detaching => {
            format!("there is no disk ({disk}) and no peer with good data")
        }
        Disk::Consistent => {
            "the data are Consistent, and nobody confirms that the peer has no newer ones (fencing)".to_owned()
        }
        Disk::Attaching | Disk::Negotiating | Disk::DUnknown | Disk::UpToDate => {
            format!("DRBD refuses with its data {disk}")
        }
    }
}

fn hint(row: Option<&Row>) -> &'static str {
    match row.map(|r| r.connection) {
        Some(Connection::StandAlone) => "; it is StandAlone, see drbdctl recover",
        Some(c) if !c.is_up() => "; bring the peer back, or see drbdadm(8) about primary --force",
        _ => "",
    }
}

/// `drbdadm secondary` ended with `exit`.
pub fn after_secondary(exit: Option<i32>, said: &str) -> Verdict {
    match exit {
        Some(0) => Verdict::Done,
        // No such minor: nothing is primary here.
        Some(code::CONFIGURATION) => Verdict::Done,
        Some(code::DRBDADM) => Verdict::GiveUp(last_reason(said)),
        Some(_) | None => Verdict::Again(last_reason(said)),
    }
}

/// The line of the kernel's reason: `0: State change failed: (-12) Device is held open by someone`.
pub fn last_reason(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let reason = lines.iter().find(|l| l.contains("ailed: (") || l.contains("ailure: ("));
    let text = match reason {
        Some(line) => line.split_once(") ").map_or(*line, |(_, text)| text),
        None => lines.first().copied().unwrap_or("drbdadm said nothing"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts are those of drbd-utils 9.22 with DRBD 8.4.11.
    #[test]
    fn promotion_is_tried_again_while_it_can_help() {
        let held = "0: State change failed: (-1) Multiple primaries not allowed by config\nCommand 'drbdsetup-84 primary 0' terminated with exit code 11\n";
        let no_data = "0: State change failed: (-2) Need access to UpToDate data\nCommand 'drbdsetup-84 primary 0' terminated with exit code 17\n";
        let not_up = "0: Failure: (127) Device minor not allocated\nCommand 'drbdsetup-84 primary 0' terminated with exit code 10\n";
        let unknown = "'nosuch' not defined in your config (for this host).\n";
        let row = |disk, connection| {
            let mut row = Row::unconfigured("r0", 0, Some(0));
            (row.disk, row.connection) = (disk, connection);
            Some(row)
        };
        #[rustfmt::skip]
        let table = [
            (Some(0),  "",      None, Verdict::Done),
            (Some(11), held,    None, Verdict::Again("Multiple primaries not allowed by config".into())),
            (Some(10), not_up,  None, Verdict::BringUp),
            (Some(1),  unknown, None, Verdict::GiveUp("'nosuch' not defined in your config (for this host).".into())),
            (Some(20), "",      None, Verdict::Again("drbdadm said nothing".into())),
            (None,     "",      None, Verdict::Again("drbdadm said nothing".into())),
            (Some(17), no_data, row(Disk::Negotiating, Connection::WFConnection), Verdict::Again("its disk is being looked at".into())),
        ];
        for (exit, said, row, want) in table {
            assert_eq!(after_primary(exit, said, row.as_ref()), want, "{exit:?} {said}");
        }
        #[rustfmt::skip]
        let refusals = [
            (Disk::Outdated,     Connection::WFConnection, "Outdated: the peer has newer ones: will not take over; bring"),
            (Disk::Inconsistent, Connection::StandAlone,   "Inconsistent: a copy of the peer's was not finished: will not take over; it is StandAlone"),
            (Disk::Diskless,     Connection::WFConnection, "no disk (Diskless)"),
            (Disk::Consistent,   Connection::WFConnection, "Consistent, and nobody confirms"),
        ];
        for (disk, connection, want) in refusals {
            let row = row(disk, connection);
            match after_primary(Some(17), no_data, row.as_ref()) {
                Verdict::GiveUp(why) => assert!(why.contains(want), "{why}"),
                other => panic!("{disk}: {other:?}"),
            }
        }
    }

    #[test]
    fn demotion_is_tried_again_while_it_is_open() {
        let open = "0: State change failed: (-12) Device is held open by someone\nCommand 'drbdsetup-84 secondary 0' terminated with exit code 11\n";
        assert_eq!(after_secondary(Some(0), ""), Verdict::Done);
        assert_eq!(
            after_secondary(Some(10), "0: Failure: (127) Device minor not allocated"),
            Verdict::Done
        );
        assert_eq!(
            after_secondary(Some(11), open),
            Verdict::Again("Device is held open by someone".into())
        );
        assert_eq!(
            after_secondary(Some(1), "drbd.d/r0.res:7: Parse error"),
            Verdict::GiveUp("drbd.d/r0.res:7: Parse error".into())
        );
    }
}
