//! What all tools of the crm have in common: options, what they print, how they end.

use super::client::{Access, AccessError};
use super::protocol::code;
use crate::cib::Cib;
use crate::text::status::View;
use crate::time::Wall;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::io::{self, Write};
use std::process::ExitCode;

/// What is to be printed, and the number to end with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    pub code: u8,
    pub out: String,
    pub err: String,
}

/// Why a tool could not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub code: u8,
    /// Without the name of the program.
    pub text: String,
    /// The name of the program is not put before it: scripts know the sentence as it is.
    pub bare: bool,
}

impl Failure {
    pub fn new(code: u8, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            bare: false,
        }
    }

    pub fn bare(code: u8, text: impl Into<String>) -> Self {
        Self {
            bare: true,
            ..Self::new(code, text)
        }
    }

    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(code::USAGE, text)
    }

    /// As crm_resource says it.
    pub fn no_such(what: &str, name: &str) -> Self {
        Self::new(
            code::NO_SUCH_OBJECT,
            format!("{what} '{name}' not found\nError performing operation: No such object"),
        )
    }
}

impl From<AccessError> for Failure {
    fn from(e: AccessError) -> Self {
        Self::new(e.code(), e.to_string())
    }
}

/// A tool: its command line without its name, and what it works on unless an option says otherwise.
pub type Tool = fn(&[String], Access) -> Outcome;

/// The whole of a program.
pub fn main(program: &str, tool: Tool) -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let outcome = tool(&args, Access::live(program));
    // A closed pipe is the reader's decision: the exit code still tells the answer.
    let _ = io::stdout().write_all(outcome.out.as_bytes());
    let _ = io::stderr().write_all(outcome.err.as_bytes());
    ExitCode::from(outcome.code)
}

/// Runs `body` with the options read; what it appends to the text is printed also when it fails half-way.
pub fn run(
    command: Command,
    args: &[String],
    body: impl FnOnce(&ArgMatches, &mut String) -> Result<u8, Failure>,
) -> Outcome {
    let program = command.get_name().to_owned();
    // The short form of the version is that of `verbose`.
    let version = Arg::new("version")
        .long("version")
        .action(ArgAction::Version)
        .help("print the version");
    let command = command
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(version);
    let words = std::iter::once(program.clone()).chain(args.iter().cloned());
    let matches = match command.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(e) if e.use_stderr() => {
            let text = e.render().to_string();
            return Outcome {
                code: code::USAGE,
                err: text.replacen("error: ", &format!("{program}: "), 1),
                ..Outcome::default()
            };
        }
        Err(e) => {
            return Outcome {
                out: e.render().to_string(),
                ..Outcome::default()
            };
        }
    };
    let mut out = String::new();
    match body(&matches, &mut out) {
        Ok(code) => Outcome {
            code,
            out,
            ..Outcome::default()
        },
        Err(failure) => Outcome {
            code: failure.code,
            out,
            err: match failure.bare {
                true => format!("{}\n", failure.text),
                false => format!("{program}: {}\n", failure.text),
            },
        },
    }
}

pub fn flag(name: &'static str, short: char, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .short(short)
        .action(ArgAction::SetTrue)
        .help(help)
}

/// The last one counts when it is given twice, as with the classic programs.
pub fn value(name: &'static str, short: char, word: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .short(short)
        .value_name(word)
        .action(ArgAction::Set)
        .overrides_with(name)
        .allow_hyphen_values(true)
        .help(help)
}

/// `-V`: accepted by all, as often as one likes.
pub fn verbose() -> Arg {
    Arg::new("verbose")
        .long("verbose")
        .short('V')
        .action(ArgAction::Count)
        .help("say more; may be given several times")
}

/// The text given with an option.
pub fn one<'m>(matches: &'m ArgMatches, name: &str) -> Option<&'m str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// What was read, seen as the policy sees it now.
pub fn view(cib: &Cib) -> View<'_> {
    View::new(cib, crate::sys::wall())
}

/// A moment as this machine's clock shows it.
pub fn date(at: Wall) -> String {
    crate::sys::clock::local_date(at.0)
}

/// A node that the CIB knows: its name.
pub fn node_name(cib: &Cib, node: &str) -> Result<String, Failure> {
    let found = super::changes::attributes::node(cib, node);
    let found = found.ok_or_else(|| Failure::no_such("Node", node))?;
    Ok(found.get("uname").unwrap_or(node).to_owned())
}
