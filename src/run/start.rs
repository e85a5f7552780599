//! The command `heartbeat`: check, start, stop, reload, status. What it prints and its exit codes are those of
//! heartbeat 3.0.6; where the classic says nothing, we say what is wrong.

use super::role::{FOREGROUND, MASTER_TITLE, READY, ROLE};
use super::{client, core, heir, logger, lookout, master};
use crate::check;
use crate::clients::json::Json;
use crate::conf::{Complaint, Severity, ha_cf};
use crate::ids::NodeName;
use crate::ipc::pid_file;
use crate::sys::pair::{End, Got, pair};
use crate::sys::poll::{Want, wait};
use crate::sys::{self, process};
use crate::time::Duration;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// The master must report within this time.
const START_WITHIN: Duration = Duration::from_secs(30);
/// `-k` says so often that it still waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// An heir that takes its master's place is there within this time.
const SUCCESSION: Duration = Duration::from_secs(10);
const NAP: Duration = Duration::from_millis(20);

/// The end of the master waits so long for its last log lines.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

/// Exit codes of heartbeat 3.0.6.
const OK: u8 = 0;
const FAILED: u8 = 1;
const NOT_PERMITTED: u8 = 4;
const NOT_CONFIGURED: u8 = 6;

/// The role of this process, when it is one of ours and not a command.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Runs as the master, the core, the heir or the lookout.
pub fn act(role: &str) -> ExitCode {
    process::end_when_panicking(|what| log::error!("CRIT: a fault in heartbeat itself: {what}"));
    let result = match role {
        "master" => master::run(),
        "core" => {
            process::unset_env(ROLE);
            core::run()
        }
        "heir" => {
            process::unset_env(ROLE);
            heir::run()
        }
        lookout::ROLE_NAME => {
            process::unset_env(ROLE);
            lookout::run()
        }
        client::ROLE_NAME => {
            process::unset_env(ROLE);
            client::run()
        }
        other => Err(std::io::Error::other(format!("{ROLE}={other}: no such role"))),
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::error!("{role} process ends: {e}");
            ExitCode::from(FAILED)
        }
    };
    logger::settle(LAST_LINES_WITHIN);
    code
}

fn say(text: &str) {
    // A closed pipe behind us is no reason to fail.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn node() -> Result<NodeName, ExitCode> {
    check::node_name().map_err(|e| {
        complain(&format!("heartbeat: {e}\n"));
        ExitCode::from(NOT_CONFIGURED)
    })
}

/// No option: start in the background, or with `foreground` right here.
pub fn start(foreground: bool) -> ExitCode {
    let me = match node() {
        Ok(me) => me,
        Err(code) => return code,
    };
    if let Some(pid) = pid_file::running() {
        say(&format!("heartbeat: already running [pid {pid}].\n"));
        return ExitCode::from(OK);
    }
    let loaded = check::load(&me);
    complain(&check::report(&loaded.complaints));
    if !loaded.is_usable() {
        complain("heartbeat: not started: mend the errors above and start it again (heartbeat -t checks the files)\n");
        return ExitCode::from(NOT_CONFIGURED);
    }
    if foreground {
        let env = [(ROLE, "master".to_owned()), (FOREGROUND, "1".to_owned())];
        let e = process::become_own(MASTER_TITLE, &env, &[]);
        complain(&format!("heartbeat: cannot start: {e}\n"));
        return ExitCode::from(FAILED);
    }
    let priority = loaded.cf.filter(|cf| cf.realtime).map(|cf| cf.rtprio);
    match launch(priority) {
        Ok(warnings) => {
            complain(&warnings);
            ExitCode::from(OK)
        }
        Err(why) => {
            complain(&format!("heartbeat: not started: {}\n", why.trim_end()));
            ExitCode::from(FAILED)
        }
    }
}

/// Starts the master and waits until it runs; gives what it warned of.
fn launch(priority: Option<u8>) -> Result<String, String> {
    let (ours, theirs) = pair().map_err(|e| e.to_string())?;
    let env = [(ROLE, "master".to_owned()), (READY, "1".to_owned())];
    let mut child =
        process::spawn_urgent(MASTER_TITLE, &env, &[theirs.as_fd()], true, priority).map_err(|e| e.to_string())?;
    drop(theirs);
    let mut link = End::new(ours);
    let deadline = sys::now() + START_WITHIN;
    while sys::now() < deadline {
        wait(&[Want::read(link.fd())], deadline).map_err(|e| e.to_string())?;
        match link.receive().map_err(|e| e.to_string())? {
            Got::Message { bytes, .. } => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                return match text.split_once(' ') {
                    Some(("ok", warnings)) => Ok(warnings.to_owned()),
                    Some((_, why)) => {
                        let _ = child.wait();
                        Err(why.to_owned())
                    }
                    None => Err(text),
                };
            }
            Got::Nothing => {}
            Got::Closed => {
                let how = child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                return Err(format!("the master process ended at once ({how}); see the log"));
            }
        }
    }
    Err(format!(
        "the master process {} did not report within {} s; see the log",
        child.id(),
        START_WITHIN.as_secs()
    ))
}

/// `-s`: LSB status.
pub fn status() -> ExitCode {
    let host = sys::files::host_name().unwrap_or_default();
    let me = check::node_name().map_or_else(|_| host.clone(), |n| n.to_string());
    match (pid_file::running(), pid_file::recorded()) {
        (Some(pid), _) => {
            say(&format!(
                "heartbeat OK [pid {pid} et al] is running on {host} [{me}]...\n"
            ));
            ExitCode::SUCCESS
        }
        (None, Some(_)) => {
            say("heartbeat is stopped. No process, but its pid file is there: it died\n");
            ExitCode::from(1)
        }
        (None, None) => {
            say("heartbeat is stopped. No process\n");
            ExitCode::from(3)
        }
    }
}

/// `-k`: stop, and wait until it is gone.
pub fn stop() -> ExitCode {
    let Some(mut pid) = pid_file::running() else {
        say("INFO: Heartbeat already stopped.\n");
        return ExitCode::from(OK);
    };
    loop {
        match process::signal(pid, false) {
            Err(e) if process::is_alive(pid) => {
                complain(&format!("ERROR: Could not kill pid {pid}: {e}\n"));
                return ExitCode::from(NOT_PERMITTED);
            }
            Ok(()) | Err(_) => {}
        }
        while !process::wait_gone(pid, PATIENCE) {
            complain(&format!(
                "heartbeat: pid {pid} is still releasing its resources; see the log\n"
            ));
        }
        // An orderly end takes the pid file away. A master that was killed leaves it, and its heir writes a new one.
        let until = sys::now() + SUCCESSION;
        pid = loop {
            match (pid_file::recorded(), pid_file::running()) {
                (None, _) => return ExitCode::from(OK),
                (Some(_), Some(heir)) => break heir,
                (Some(_), None) if sys::now() < until => std::thread::sleep(NAP),
                (Some(_), None) => {
                    complain(&format!(
                        "heartbeat: pid {pid} died before it had released everything, and nothing took its place: see the \
                         log, and what still runs\n"
                    ));
                    return ExitCode::from(FAILED);
                }
            }
        };
        complain(&format!(
            "heartbeat: the master process was killed; waiting for its heir, pid {pid}\n"
        ));
    }
}

/// `-r`: check the files, then have the running daemon read them; start when it does not run.
pub fn reload() -> ExitCode {
    let me = match node() {
        Ok(me) => me,
        Err(code) => return code,
    };
    let Some(pid) = pid_file::running() else {
        return start(false);
    };
    let loaded = check::load(&me);
    complain(&check::report(&loaded.complaints));
    if !loaded.is_usable() {
        complain(&format!("Config errors: Heartbeat pid {pid} NOT restarted\n"));
        return ExitCode::from(FAILED);
    }
    match process::signal(pid, true) {
        Ok(()) => ExitCode::from(OK),
        Err(e) => {
            complain(&format!("heartbeat: pid {pid} cannot be told to reload: {e}\n"));
            ExitCode::from(NOT_PERMITTED)
        }
    }
}

/// `-R` typed by hand: the heir does this by itself.
pub fn resume() -> ExitCode {
    if pid_file::running().is_none() {
        complain("ERROR: heartbeat is not running.\n");
        return ExitCode::from(NOT_CONFIGURED);
    }
    reload()
}

/// `-t`: every mistake in every file.
pub fn test_files(json: bool, classic: bool) -> ExitCode {
    let me = match node() {
        Ok(me) => me,
        Err(code) => return code,
    };
    let mut loaded = check::load(&me);
    if let Some(cf) = &loaded.cf {
        loaded
            .complaints
            .extend(check::host_names(&check::Files::installed().ha_cf, cf));
    }
    if classic {
        let files = check::Files::installed();
        let differences = check::classic::differences(&files, &loaded.texts);
        loaded.complaints.extend(differences);
    }
    loaded.complaints.extend(check::remembered());
    let watched = check::monitors::complaints(loaded.cf.as_ref(), loaded.haresources.as_ref());
    loaded.complaints.extend(watched);
    let errors = loaded
        .complaints
        .iter()
        .filter(|c| c.severity == Severity::Error)
        .count();
    if json {
        say(&to_json(&loaded.complaints, errors == 0));
    } else {
        complain(&check::report(&loaded.complaints));
        if errors == 0 {
            let groups = loaded.haresources.map_or(0, |h| h.groups.len());
            let media = loaded.cf.map_or(0, |c| c.media.iter().filter(|m| !m.is_ping()).count());
            say(&format!(
                "heartbeat: the files of node {me} are good: {media} media, {groups} resource group(s)\n"
            ));
        }
    }
    if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

fn to_json(complaints: &[Complaint], good: bool) -> String {
    let list = complaints
        .iter()
        .map(|c| {
            let severity = match c.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            Json::Object(vec![
                ("file".to_owned(), Json::Text(c.file.display().to_string())),
                ("line".to_owned(), Json::Number(c.line as u64)),
                ("severity".to_owned(), Json::Text(severity.to_owned())),
                ("message".to_owned(), Json::Text(c.message.clone())),
            ])
        })
        .collect();
    let all = vec![
        ("good".to_owned(), Json::Bool(good)),
        ("complaints".to_owned(), Json::List(list)),
    ];
    format!("{}\n", Json::Object(all))
}

/// `-D`, `-W`: the default values.
pub fn defaults(wiki: bool) -> ExitCode {
    for (name, value, source) in ha_cf::DEFAULTS {
        if wiki {
            say(&format!("||{name}||{value}||{source}||\n"));
        } else {
            say(&format!("{name:<24}{value:<16}# {source}\n"));
        }
    }
    ExitCode::SUCCESS
}
