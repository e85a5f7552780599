//! ResourceManager: the groups of haresources, listed, looked at, taken and given up by hand.

use ha::conf::GroupSpec;
use ha::jobs::manager::{Manager, Runs, log_to_stderr};
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: ResourceManager VERB [ARGUMENT]

  listkeys NODE       the key of each group of NODE
  allkeys             the key of every group
  ourkeys             the resources of each group of this node, a line a group
  otherkeys           the same of all other nodes
  status RESOURCE     does it run? exit status 0: yes, 3: no
  takegroup KEY       start what does not run of the group that has the resource KEY, left to right
  givegroup KEY       stop it, right to left
  statgroup KEY       how much of it runs: ALL, SOME or NONE
  verifyallidle       name every group whose first resource runs; the exit status is their number
  --help              this text

A running heartbeat does not know what is done here: use hb_standby and hb_takeover then.
";
const FAILED: u8 = 1;
const NOT_CONFIGURED: u8 = 6;
const NOT_RUNNING: u8 = 3;

fn main() -> ExitCode {
    log_to_stderr("ResourceManager");
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    ExitCode::from(match words[..] {
        ["--help" | "-h"] => print(USAGE),
        ["allkeys" | "ourkeys" | "otherkeys" | "verifyallidle"]
        | ["listkeys" | "status" | "takegroup" | "givegroup" | "statgroup", _] => match Manager::load() {
            Ok(mut manager) => perform(&mut manager, words[0], words.get(1).copied().unwrap_or("")),
            Err(why) => {
                why.lines().for_each(complain);
                NOT_CONFIGURED
            }
        },
        _ => {
            if let Some(verb) = words.first() {
                complain(&format!(
                    "{verb}: not a verb, or not with {} argument(s)",
                    words.len() - 1
                ));
            }
            let _ = write!(std::io::stderr(), "{USAGE}");
            FAILED
        }
    })
}

fn perform(manager: &mut Manager, verb: &str, argument: &str) -> u8 {
    match verb {
        "listkeys" => print(&keys(manager.groups_of(argument))),
        "allkeys" => print(&keys(manager.groups.iter())),
        "ourkeys" => print(&lines(manager.groups.iter().filter(|g| g.node == manager.me))),
        "otherkeys" => print(&lines(manager.groups.iter().filter(|g| g.node != manager.me))),
        "status" => status(manager, argument),
        "verifyallidle" => verify_all_idle(manager),
        verb => with_groups(manager, verb, argument),
    }
}

fn keys<'a>(groups: impl Iterator<Item = &'a GroupSpec>) -> String {
    groups.map(|g| format!("{}\n", g.key())).collect()
}

/// Each resource with a blank behind it, as the classic prints them.
fn lines<'a>(groups: impl Iterator<Item = &'a GroupSpec>) -> String {
    let line = |g: &GroupSpec| g.resources.iter().map(|r| format!("{} ", r.name)).collect::<String>() + "\n";
    groups.map(line).collect()
}

fn status(manager: &mut Manager, word: &str) -> u8 {
    match manager.resource(word).and_then(|resource| manager.status(&resource)) {
        Ok(true) => 0,
        Ok(false) => NOT_RUNNING,
        Err(why) => {
            complain(&format!("{word}: {why}"));
            NOT_RUNNING
        }
    }
}

fn with_groups(manager: &mut Manager, verb: &str, key: &str) -> u8 {
    let groups = manager.groups_with(key);
    if groups.is_empty() {
        complain(&format!(
            "{key}: no group of haresources has this resource; allkeys lists the keys"
        ));
        return FAILED;
    }
    if verb == "statgroup" {
        let runs: Vec<Runs> = groups.iter().map(|g| manager.runs(g)).collect();
        return print(match runs[..] {
            _ if runs.iter().all(|r| *r == Runs::All) => "ALL\n",
            _ if runs.iter().all(|r| *r == Runs::None) => "NONE\n",
            _ => "SOME\n",
        });
    }
    let mut good = true;
    for group in &groups {
        good &= if verb == "takegroup" {
            manager.take(group)
        } else {
            manager.give(group)
        };
    }
    if good { 0 } else { FAILED }
}

fn verify_all_idle(manager: &mut Manager) -> u8 {
    let mut running = 0u8;
    for group in manager.groups.clone() {
        if manager.status(&group.resources[0]).unwrap_or(false) {
            let key = group.key();
            complain(&format!("CRITICAL: resource {key} is active, and should not be!"));
            complain(&format!(
                "CRITICAL: stop {key} before heartbeat starts: two nodes with it may destroy its data"
            ));
            running = running.saturating_add(1);
        }
    }
    running
}

fn print(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => FAILED,
    }
}

fn complain(what: &str) {
    let _ = writeln!(std::io::stderr(), "ResourceManager: {what}");
}
