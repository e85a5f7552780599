//! req_resource: has heartbeat start one group of this node, unless it runs already.

use ha::ipc::client::ClientError;
use ha::ipc::command::send_command;
use ha::jobs::manager::{Manager, log_to_stderr};
use ha::msg::{Message, fields};
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: req_resource KEY

Asks heartbeat on this node to take the group whose first resource is KEY, unless that runs already.

  --help    this text
";
const FAILED: u8 = 1;
const WRONG_ARGUMENTS: u8 = 2;
const NOT_CONFIGURED: u8 = 6;
const DAEMON_NOT_RUNNING: u8 = 7;

fn main() -> ExitCode {
    log_to_stderr("req_resource");
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    ExitCode::from(match words[..] {
        ["--help" | "-h"] => u8::from(write!(std::io::stdout(), "{USAGE}").is_err()),
        [key] if !key.starts_with('-') => match Manager::load() {
            Ok(mut manager) => request(&mut manager, key),
            Err(why) => {
                why.lines().for_each(complain);
                NOT_CONFIGURED
            }
        },
        _ => {
            let _ = write!(std::io::stderr(), "{USAGE}");
            WRONG_ARGUMENTS
        }
    })
}

fn request(manager: &mut Manager, key: &str) -> u8 {
    let Some(group) = manager.groups.iter().find(|g| g.key().as_str() == key).cloned() else {
        complain(&format!(
            "{key}: is not the key of a group; ResourceManager allkeys lists them"
        ));
        return FAILED;
    };
    match manager.status(&group.resources[0]) {
        Ok(true) => return 0,
        Ok(false) => {}
        Err(why) => {
            complain(&format!("{key}: {why}"));
            return FAILED;
        }
    }
    let message = Message::new("ip-request-resp")
        .with(fields::DEST, manager.me.as_str())
        .with(fields::IPADDR, key)
        .with(fields::WEOWN, "yes")
        .with(fields::OK, "OK");
    match send_command(&message) {
        Ok(()) => 0,
        Err(e) => {
            complain(&format!("{key}: {e}"));
            if matches!(e, ClientError::NotRunning) {
                DAEMON_NOT_RUNNING
            } else {
                FAILED
            }
        }
    }
}

fn complain(what: &str) {
    let _ = writeln!(std::io::stderr(), "req_resource: {what}");
}
