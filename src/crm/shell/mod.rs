//! The `crm` shell: one command, a file of them, or a conversation.
//!
//! * [`session`]: the level one is in, the working copy, what is said and asked; running one line;
//! * [`configure`], [`resource`], [`node`], [`ra`], [`copies`]: the commands of the levels;
//! * [`local`]: the agents of this machine;
//! * [`interact`]: the conversation: line editing, history, completion.
//!
//! The language itself is [`crate::shell`], which is pure. Nothing is changed in the cluster but by
//! [`crate::crm::client::Access`].

pub mod configure;
pub mod copies;
pub mod interact;
pub mod local;
pub mod node;
pub mod ra;
pub mod resource;
pub mod session;

use crate::shell::lines;
use session::{Manner, Session};
use std::io::{self, IsTerminal, Read};

/// How the text is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Display {
    #[default]
    Plain,
    Color,
    Uppercase,
}

/// What the command line of `crm` says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Every question is answered with yes, and what runs may be deleted.
    pub force: bool,
    /// Every question is answered with no.
    pub no: bool,
    /// After each change, wait until the cluster has done what follows from it.
    pub wait: bool,
    pub debug: bool,
    pub display: Display,
    /// The name of a copy of the configuration to work on.
    pub copy: Option<String>,
    /// Commands are read from there; `-` is standard input.
    pub file: Option<String>,
    /// Level, command and arguments.
    pub words: Vec<String>,
}

/// Runs the shell; 0 when all went well, else 1.
pub fn run(options: Options) -> u8 {
    let input = match &options.file {
        Some(file) if file != "-" => match std::fs::read_to_string(file) {
            Ok(text) => Some(text),
            Err(e) => {
                session::say(&mut io::stderr(), &format!("ERROR: {file}: {e}\n"));
                return 1;
            }
        },
        Some(_) => Some(standard_input()),
        None => None,
    };
    let (file, words) = (options.file.clone(), options.words.clone());
    let mut session = Session::new(options);
    let begun = session.begin(&words);
    match (begun, input) {
        (session::Begun::Done, None) => {}
        (_, Some(text)) => session.batch(&text, file.as_deref().filter(|f| *f != "-")),
        (session::Begun::Open, None) if io::stdin().is_terminal() => {
            session.manner = Manner::Interactive;
            return interact::converse(session);
        }
        (session::Begun::Open, None) => session.batch(&standard_input(), None),
    }
    u8::from(session.failed)
}

/// What is no text has been no command: it is replaced, and complained about where it stands.
fn standard_input() -> String {
    let mut bytes = Vec::new();
    let _ = io::stdin()
        .take(crate::cib::xml::LONGEST as u64)
        .read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Session {
    /// A text of commands, one a line; what is left of the working copy at its end is committed.
    pub fn batch(&mut self, text: &str, file: Option<&str>) {
        self.manner = Manner::Batch {
            file: file.map(str::to_owned),
        };
        for command in lines::commands(text) {
            self.line(&command);
            if self.left {
                return;
            }
        }
        self.leave_all();
    }
}
