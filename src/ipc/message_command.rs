//! hb_msg: one message of any type into the command FIFO, for scripts.

use super::client::ClientError;
use super::command::send_command_to;
use crate::msg::{Message, fields};
use std::path::Path;

pub const USAGE: &str = "\
usage: hb_msg TYPE [NAME=VALUE]...

Writes one message of this type, with these fields, to the heartbeat of this node.
  -h, --help  this text
";

/// What is to be printed on stdout or stderr, and the exit code (LSB).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    pub code: u8,
    pub out: String,
    pub err: String,
}

pub fn run(args: &[String], fifo: &Path) -> Outcome {
    let said = |code, out: String, err: String| Outcome { code, out, err };
    if args.iter().any(|a| a == "--help" || a == "-h") {
        return said(0, USAGE.to_owned(), String::new());
    }
    let message = match build(args) {
        Ok(message) => message,
        Err(why) => return said(2, String::new(), format!("hb_msg: {why}\n{USAGE}")),
    };
    match send_command_to(fifo, &message) {
        Ok(()) => said(0, String::new(), String::new()),
        Err(e) => {
            let code = match e {
                ClientError::NotRunning => 7,
                ClientError::NotPermitted(_) => 4,
                ClientError::TooLong { .. } => 2,
                ClientError::Busy
                | ClientError::NoAnswer(_)
                | ClientError::Refused { .. }
                | ClientError::Closed
                | ClientError::Spoilt(_)
                | ClientError::NameTaken(_)
                | ClientError::BadName(_)
                | ClientError::Os(..) => 1,
            };
            said(code, String::new(), format!("hb_msg: {e}\n"))
        }
    }
}

/// The message, or what is wrong with the words. A value is one line of text; what would end the line, or stand for a
/// line end inside a message (bytes 15 to 31), is refused like every control character but the tab.
fn build(args: &[String]) -> Result<Message, String> {
    let [kind, more @ ..] = args else {
        return Err("no message type given".to_owned());
    };
    let is_name = |s: &str| {
        !s.is_empty()
            && s.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    if !is_name(kind) {
        return Err(format!("\"{}\" is not a message type", kind.escape_debug()));
    }
    let mut message = Message::new(kind);
    for word in more {
        let shown = word.escape_debug();
        let Some((name, value)) = word.split_once('=') else {
            return Err(format!("\"{shown}\" is not NAME=VALUE"));
        };
        if !is_name(name) {
            return Err(format!(
                "\"{shown}\": the name may hold letters, digits, _ - and . only"
            ));
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(format!("\"{shown}\": the value holds a control character"));
        }
        if name == fields::TYPE || message.value(name).is_some() {
            return Err(format!("\"{shown}\": the field {name} is there already"));
        }
        message.push(name.to_owned(), value);
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::CommandFifo;

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(|&w| w.to_owned()).collect()
    }

    #[test]
    fn words_that_are_no_message_are_refused() {
        let table: &[&[&str]] = &[
            &[],
            &[""],
            &["a b"],
            &["x", "novalue"],
            &["x", "=v"],
            &["x", "(1)n=v"],
            &["x", "n=a\nb"],
            &["x", "n=a\u{14}b"],
            &["x", "t=y"],
            &["x", "n=1", "n=2"],
            &[">>>"],
        ];
        for line in table {
            assert!(build(&words(line)).is_err(), "{line:?}");
            assert_eq!(run(&words(line), Path::new("/nonexistent")).code, 2);
        }
    }

    #[test]
    fn a_message_arrives_as_it_was_written() {
        let path = std::env::temp_dir().join(format!("ha-hb_msg-{}", std::process::id()));
        let line = words(&["ask_resources", "info=me", "rsc_hold=all", "empty=", "eq=a=b"]);
        assert_eq!(run(&line, &path).code, 7);
        let mut fifo = CommandFifo::new(CommandFifo::create(&path).unwrap());
        assert_eq!(run(&line, &path).code, 0);
        let [message] = fifo.read().try_into().unwrap();
        assert_eq!(message.kind(), "ask_resources");
        assert_eq!(message.get("empty"), Some(""));
        assert_eq!(message.get("eq"), Some("a=b"));
        let long = words(&["x", &format!("n={}", "v".repeat(5000))]);
        assert_eq!(run(&long, &path).code, 2);
        assert_eq!(run(&words(&["-h"]), &path).out, USAGE);
        std::fs::remove_file(path).unwrap();
    }
}
