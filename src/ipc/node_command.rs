//! hb_addnode, hb_delnode, hb_setweight, hb_setsite: tell the cluster about its nodes, and say what becomes of it.
//!
//! The classic commands wrote a message and knew nothing more. These sign on first, write the message with their process
//! number as `reqid`, and wait for the daemon's `hb_phase` event about it.

use super::client::{Client, ClientError};
use super::command::send_command_to;
use super::mover::PHASE;
use crate::clients::request::{self, field};
use crate::conf::hostcache::site_error;
use crate::ids::NodeName;
use crate::msg::{Message, fields};
use crate::sys::poll::{Want, wait};
use crate::time::Duration;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The daemon answers at once; a machine that is very busy, some seconds later.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    Add,
    Delete,
    Weight,
    Site,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "hb_addnode",
            Self::Delete => "hb_delnode",
            Self::Weight => "hb_setweight",
            Self::Site => "hb_setsite",
        }
    }

    pub fn usage(self) -> String {
        let (args, what) = match self {
            Self::Add => ("NODE...", "Makes nodes known to the running cluster."),
            Self::Delete => ("NODE...", "Removes nodes that are dead from the running cluster."),
            Self::Weight => ("NODE WEIGHT", "Gives a node another weight; 100 is the default."),
            Self::Site => (
                "NODE SITE",
                "Says at which site a node is; an empty one takes that back.",
            ),
        };
        let name = self.name();
        format!(
            "usage: {name} [--no-wait] {args}\n\n\
             {what}\n\
             All nodes that live hear of it.\n\n\
             \x20 --no-wait    only ask, as the classic command did\n\
             \x20 -h, --help   this text\n"
        )
    }

    fn message(self, words: &[&str]) -> Result<Message, String> {
        let node = |word: &str| word.parse::<NodeName>().map_err(|e| e.to_string());
        let list = |kind| {
            if words.is_empty() {
                return Err("no node is named".to_owned());
            }
            let nodes = words.iter().map(|w| node(w)).collect::<Result<Vec<_>, _>>()?;
            let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
            Ok(Message::new(kind).with(fields::NODELIST, names.join(" ")))
        };
        match (self, words) {
            (Self::Add, _) => list("addnode"),
            (Self::Delete, _) => list("delnode"),
            (Self::Weight, [name, weight]) => {
                let number: i32 = weight
                    .parse()
                    .map_err(|_| format!("\"{}\" is not a weight: write a whole number", weight.escape_debug()))?;
                Ok(Message::new("setweight")
                    .with(fields::NODE, node(name)?.as_str())
                    .with("weight", number.to_string()))
            }
            (Self::Site, [name, site]) => match site_error(site) {
                Some(why) => Err(why),
                None => Ok(Message::new("setsite")
                    .with(fields::NODE, node(name)?.as_str())
                    .with("site", *site)),
            },
            (Self::Weight, _) => Err("a node and a weight are needed".to_owned()),
            (Self::Site, _) => Err("a node and a site are needed".to_owned()),
        }
    }
}

/// The program of this command.
pub fn main_of(command: Command) -> ExitCode {
    super::program(|args, state, out, err| run(command, args, state, out, err))
}

/// Does what the command line says with the daemon that has this state directory. The exit code is 0 or 1, as in the
/// classic.
pub fn run(command: Command, args: &[String], state: &Path, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    // Nobody may be listening any more; what is done does not depend on that.
    let mut wait = true;
    let mut words = Vec::new();
    for arg in args {
        match arg.as_str() {
            "--help" | "-h" => {
                let _ = write!(out, "{}", command.usage());
                return 0;
            }
            "--no-wait" => wait = false,
            // A weight may be below zero.
            a if a.starts_with("--") || (a.starts_with('-') && words.is_empty()) => {
                let _ = write!(err, "{}: {a}: is not an option\n{}", command.name(), command.usage());
                return 1;
            }
            word => words.push(word),
        }
    }
    let message = match command.message(&words) {
        Ok(message) => message,
        Err(why) => {
            let _ = write!(err, "{}: {why}\n{}", command.name(), command.usage());
            return 1;
        }
    };
    match ask(message, wait, state) {
        Ok(done) => {
            if !done.is_empty() {
                let _ = writeln!(out, "{done}");
            }
            0
        }
        Err(why) => {
            let _ = writeln!(err, "{}: {why}", command.name());
            1
        }
    }
}

fn ask(message: Message, wait_for_it: bool, state: &Path) -> Result<String, String> {
    let said = |e: ClientError| e.to_string();
    let fifo = state.join("fifo");
    if !wait_for_it {
        send_command_to(&fifo, &message).map_err(said)?;
        return Ok(String::new());
    }
    let reqid = std::process::id().to_string();
    let mut client = Client::connect_as(state, &reqid, TIMEOUT).map_err(said)?;
    client
        .ask_one(&request::of(request::SETFILTER).with(field::FMASK, "1"))
        .map_err(said)?;
    send_command_to(&fifo, &message.with(field::REQID, reqid.as_str())).map_err(said)?;
    let deadline = crate::sys::now() + TIMEOUT;
    loop {
        while let Some(event) = client.event().map_err(said)? {
            if event.kind() != PHASE || event.get(field::REQID) != Some(&reqid) {
                continue;
            }
            let info = event.get(fields::INFO).unwrap_or("").to_owned();
            return match event.get(field::PHASE) {
                Some("done") => Ok(info),
                phase => Err(format!("{}: {info}", phase.unwrap_or("failed"))),
            };
        }
        if crate::sys::now() >= deadline {
            return Err(said(ClientError::NoAnswer(TIMEOUT)));
        }
        wait(&[Want::read(client.fd())], deadline).map_err(|e| format!("events of heartbeat: {e}"))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        #[rustfmt::skip]
        let table: [(Command, &[&str], Result<&str, &str>); 13] = [
            (Command::Add,    &["N3", "n4"],      Ok("t=addnode nodelist=n3 n4")),
            (Command::Add,    &["n3 n4"],         Err("blank")),
            (Command::Add,    &[],                Err("no node is named")),
            (Command::Delete, &["n3"],            Ok("t=delnode nodelist=n3")),
            (Command::Delete, &[],                Err("no node is named")),
            (Command::Weight, &["n3", "50"],      Ok("t=setweight node=n3 weight=50")),
            (Command::Weight, &["n3", "-1"],      Ok("t=setweight node=n3 weight=-1")),
            (Command::Weight, &["n3", "much"],    Err("is not a weight")),
            (Command::Weight, &["n3"],            Err("a node and a weight")),
            (Command::Site,   &["n3", "east 2"],  Ok("t=setsite node=n3 site=east 2")),
            (Command::Site,   &["n3", ""],        Ok("t=setsite node=n3 site=")),
            (Command::Site,   &["n3", "a\tb"],    Err("control character")),
            (Command::Site,   &["n3", "a", "b"],  Err("a node and a site")),
        ];
        for (command, words, expected) in table {
            let fields = |m: Message| {
                let one = |f: &crate::msg::Field| format!("{}={}", f.name, m.get(&f.name).unwrap());
                m.fields().iter().map(one).collect::<Vec<_>>().join(" ")
            };
            match (command.message(words).map(fields), expected) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(want)) => assert!(got.contains(want), "{words:?}: {got}"),
                (got, want) => panic!("{command:?} {words:?}: {got:?}, wanted {want:?}"),
            }
        }
    }
}
