//! mach_down: takes the groups of a node that is dead, by hand.

use ha::ipc::client::ClientError;
use ha::ipc::command::send_command;
use ha::jobs::manager::{Manager, log_to_stderr};
use ha::msg::{Message, fields};
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: mach_down NODE

Starts the resource groups that belong to NODE here, and tells heartbeat so when it runs.
Make sure first that NODE is really dead: nothing here looks.

  --help    this text
";
const FAILED: u8 = 1;
const WRONG_ARGUMENTS: u8 = 2;
const NOT_CONFIGURED: u8 = 6;

fn main() -> ExitCode {
    log_to_stderr("mach_down");
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    ExitCode::from(match words[..] {
        ["--help" | "-h"] => u8::from(write!(std::io::stdout(), "{USAGE}").is_err()),
        // The script rc.d/status of heartbeat 3.0.6 calls us; the daemon that runs it takes the groups over itself.
        [_] if std::env::var("HA_t").is_ok_and(|t| t == "status") => 0,
        [node] if !node.starts_with('-') => match Manager::load() {
            Ok(mut manager) => take_over(&mut manager, node),
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

fn take_over(manager: &mut Manager, node: &str) -> u8 {
    if !manager
        .cf
        .nodes
        .iter()
        .any(|n| n.name.as_str().eq_ignore_ascii_case(node))
    {
        complain(&format!("{node}: not a node of ha.cf"));
        return FAILED;
    }
    if manager.me.as_str().eq_ignore_ascii_case(node) {
        complain(&format!(
            "{node}: is this node; its own groups are taken with ResourceManager takegroup"
        ));
        return FAILED;
    }
    let groups: Vec<_> = manager.groups_of(node).cloned().collect();
    let mut good = true;
    for group in &groups {
        good &= manager.take(group);
    }
    let message = Message::new("resource")
        .with(fields::RSC_HOLD, "foreign")
        .with(fields::INFO, "mach_down");
    match send_command(&message) {
        Ok(()) | Err(ClientError::NotRunning) => {}
        Err(e) => {
            complain(&format!("telling heartbeat: {e}"));
            good = false;
        }
    }
    u8::from(!good)
}

fn complain(what: &str) {
    let _ = writeln!(std::io::stderr(), "mach_down: {what}");
}
