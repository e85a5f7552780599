//! The file `monitors`, and what only the machine can tell of it. The daemon does not read it: hb_monitor and `heartbeat -t`
//! do.

use super::{machine, read};
use crate::conf::{CheckKind, Complaint, HaCf, Haresources, Monitors, Severity, haresources, monitors};
use crate::paths;
use std::path::Path;

/// The program that looks, as ha.cf names it.
const PROGRAM: &str = "hb_monitor";

/// What is wrong with the installed file; nothing when there is none.
pub fn complaints(cf: Option<&HaCf>, groups: Option<&Haresources>) -> Vec<Complaint> {
    let file = paths::monitors();
    if !file.exists() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let monitors = of(&file, groups, &mut found);
    let starts = |cf: &HaCf| {
        cf.clients
            .iter()
            .any(|c| c.program.file_name().is_some_and(|n| n == PROGRAM))
    };
    if let (Some(cf), Some(monitors)) = (cf, monitors)
        && !monitors.groups.is_empty()
        && !starts(cf)
    {
        let message = "nobody looks at it: write `respawn root /usr/lib/heartbeat/hb_monitor` into ha.cf";
        read::complain(&mut found, &file, 0, Severity::Warning, message.to_owned());
    }
    found
}

/// For hb_monitor: the checks of both installed files, `None` with reasons when one of them has a mistake. Where there is no
/// file there are no checks.
pub fn load() -> (Option<Monitors>, Vec<Complaint>) {
    let (file, groups_file) = (paths::monitors(), paths::haresources());
    let mut found = Vec::new();
    if !file.exists() {
        return (Some(Monitors::default()), found);
    }
    let groups = read::text(&groups_file, "haresources", &mut found).and_then(|text| {
        // The nodes are the daemon's business.
        let parsed = haresources::parse(&groups_file, &text, &[]);
        found.extend(parsed.complaints);
        parsed.value
    });
    let monitors = of(&file, groups.as_ref(), &mut found);
    (monitors.filter(|_| groups.is_some()), found)
}

fn of(file: &Path, groups: Option<&Haresources>, found: &mut Vec<Complaint>) -> Option<Monitors> {
    let text = read::text(file, "monitors", found)?;
    let parsed = monitors::parse(file, &text, groups);
    found.extend(parsed.complaints);
    let checks = parsed.value.iter().flat_map(|m| &m.groups).flat_map(|g| &g.checks);
    let mut told = Vec::new();
    for check in checks {
        if let CheckKind::Script { program, .. } = &check.kind
            && let Some(fault) = machine::program_fault(program)
            && !told.contains(&check.line)
        {
            told.push(check.line);
            // Until it is there, the check fails.
            let message = format!("{}: {fault}", program.display());
            read::complain(found, file, check.line, Severity::Error, message);
        }
    }
    let good = found.iter().all(|c| c.file != file || c.severity != Severity::Error);
    parsed.value.filter(|_| good)
}
