//! One run of the shell: the level one is in, the working copy, what is said and asked, and running one line.

use super::{Display, Options};
use crate::crm::client::{Access, AccessError};
use crate::crm::tool::Outcome;
use crate::paths;
use crate::shell::draft::Draft;
use crate::shell::levels::{self, Found, Level};
use crate::shell::lines::Command;
use crate::shell::words::{self, Complaint, Word};
use crate::time::Duration;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

/// As long as crm_resource --wait waits.
const IDLE: Duration = Duration::from_secs(3600);

/// Where the lines come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Manner {
    /// The words of the command line.
    OneShot,
    Batch {
        file: Option<String>,
    },
    Interactive,
}

/// Whether the words of the command line were a command, or only a level to be in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begun {
    Done,
    Open,
}

/// Why a command was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A sentence, to be printed behind the command's name.
    Text(String),
    /// As it is, without the command's name.
    Plain(String),
    /// A word of the line is not what it should be.
    At(Complaint),
    /// All is said already.
    Said,
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Complaint> for Failure {
    fn from(complaint: Complaint) -> Self {
        Self::At(complaint)
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        Self::Text(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Text(error.to_string())
    }
}

pub type Done = Result<(), Failure>;

/// A command with what is behind its name.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub name: &'static str,
    pub words: &'a [Word],
    /// The whole line with blanks where other levels' names were: columns are those of the line.
    pub line: &'a str,
}

impl<'a> Call<'a> {
    pub fn texts(&self) -> Vec<&'a str> {
        self.words.iter().map(|w| &*w.text).collect()
    }

    /// The word at that place, or what should stand there.
    pub fn need(&self, at: usize, what: &str) -> Result<&'a str, Failure> {
        match self.words.get(at) {
            Some(word) => Ok(&word.text),
            None => Err(self.expected(at, what)),
        }
    }

    pub fn expected(&self, at: usize, what: &str) -> Failure {
        let end = self.line.trim_end().chars().count() + 2;
        Failure::At(match self.words.get(at) {
            Some(word) => Complaint::new(word.column, format!("expected {what}, found \"{}\"", word.text)),
            None => Complaint::new(end, format!("expected {what}, but the line ends here")),
        })
    }

    pub fn at_most(&self, count: usize) -> Done {
        if self.words.len() > count {
            return Err(self.expected(count, "the end of the line"));
        }
        Ok(())
    }
}

/// Answers a question; `None` when there is nobody.
pub type Asker = Box<dyn FnMut(&str) -> Option<String>>;

pub struct Session {
    pub options: Options,
    pub manner: Manner,
    pub levels: Vec<Level>,
    pub draft: Option<Draft>,
    /// Something was refused or went wrong.
    pub failed: bool,
    /// One wants to be out.
    pub left: bool,
    pub asker: Option<Asker>,
    /// The file that stands for the cluster.
    copy: Option<(String, PathBuf)>,
    pub agents: super::local::Local,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("levels", &self.levels)
            .finish_non_exhaustive()
    }
}

/// A closed pipe is the reader's decision.
pub fn say(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

impl Session {
    pub fn new(options: Options) -> Self {
        let copy = options.copy.clone().map(|name| {
            let path = super::copies::path(&name);
            (name, path)
        });
        Self {
            options,
            manner: Manner::OneShot,
            levels: Vec::new(),
            draft: None,
            failed: false,
            left: false,
            asker: None,
            copy,
            agents: super::local::Local::new(),
        }
    }

    pub fn level(&self) -> Level {
        self.levels.last().copied().unwrap_or(Level::Root)
    }

    pub fn prompt(&self) -> String {
        levels::prompt(self.cib_name(), &self.levels)
    }

    /// `live`, or the name of the copy in use.
    pub fn cib_name(&self) -> &str {
        self.copy.as_ref().map_or("live", |(name, _)| name)
    }

    pub fn use_copy(&mut self, name: Option<&str>) {
        self.copy = name.map(|n| (n.to_owned(), super::copies::path(n)));
        self.draft = None;
    }

    pub fn access(&self) -> Access {
        match &self.copy {
            Some((_, path)) => Access::file("crm", path.clone()),
            None => Access::live("crm"),
        }
    }

    /// The cluster itself, even while a copy is in use.
    pub fn live(&self) -> Access {
        Access::live("crm")
    }

    pub fn out(&self, text: &str) {
        say(&mut io::stdout().lock(), text);
    }

    pub fn info(&self, text: &str) {
        self.out(&format!("{}: {text}\n", self.painted("INFO", 32)));
    }

    pub fn warning(&self, text: &str) {
        say(
            &mut io::stderr().lock(),
            &format!("{}: {text}\n", self.painted("WARNING", 33)),
        );
    }

    /// Something is wrong, and the exit status will tell.
    pub fn error(&mut self, text: &str) {
        self.failed = true;
        self.complain(text);
    }

    /// Something is wrong, and that is all.
    pub fn complain(&self, text: &str) {
        say(
            &mut io::stderr().lock(),
            &format!("{}: {text}\n", self.painted("ERROR", 31)),
        );
    }

    pub fn debug(&self, text: &str) {
        if self.options.debug {
            say(&mut io::stderr().lock(), &format!("DEBUG: {text}\n"));
        }
    }

    fn painted(&self, word: &str, color: u8) -> String {
        match self.options.display {
            Display::Color => format!("\x1b[{color}m{word}\x1b[0m"),
            Display::Plain | Display::Uppercase => word.to_owned(),
        }
    }

    /// A question; without anybody to ask, `alone` is the answer.
    pub fn ask(&mut self, question: &str, alone: bool) -> bool {
        if self.options.force {
            return true;
        }
        if self.options.no {
            return false;
        }
        let Some(asker) = &mut self.asker else {
            return alone;
        };
        loop {
            match asker(&format!("{question} (y/n)? ")).as_deref().map(str::trim) {
                Some("y" | "Y" | "yes" | "YES" | "Yes") => return true,
                None | Some("n" | "N" | "no" | "NO" | "No") => return false,
                Some(_) => {}
            }
        }
    }

    /// What a tool said and did.
    pub fn told(&mut self, outcome: Outcome) -> Done {
        self.out(&outcome.out);
        let mut text = outcome.err.trim_end();
        for tool in ["crm_resource: ", "crm_attribute: ", "crm_verify: ", "crm_node: "] {
            text = text.strip_prefix(tool).unwrap_or(text);
        }
        match outcome.code {
            0 => {
                if !text.is_empty() {
                    say(&mut io::stderr().lock(), &format!("{text}\n"));
                }
                self.settle()
            }
            _ => Err(Failure::Text(text.to_owned())),
        }
    }

    /// With `-w`, waits until the cluster has done what follows from a change.
    pub fn settle(&mut self) -> Done {
        if self.options.wait && !self.access().wait_idle(IDLE)? {
            return Err(Failure::Text(format!(
                "the cluster is still at work after {} s",
                IDLE.as_secs()
            )));
        }
        Ok(())
    }

    /// Takes the words of the command line: a whole command is run, a level is entered.
    pub fn begin(&mut self, given: &[String]) -> Begun {
        let Some(first) = given.first() else {
            return Begun::Open;
        };
        if given.len() == 1
            && let Ok(Found::Level(level)) = levels::find(Level::Root, first)
        {
            self.levels.push(level);
            return Begun::Open;
        }
        self.manner = Manner::OneShot;
        let line = joined(given);
        self.debug(&line);
        self.line(&Command::single(1, &line));
        self.leave_all();
        Begun::Done
    }

    /// Runs one line, and says what is wrong with it.
    pub fn line(&mut self, command: &Command) {
        // Raw XML has quotes of its own.
        let split = match words::split(&command.text) {
            Err(_) if is_xml(&command.text) => words::split(&command.text.replace(['"', '\'', '\\'], " ")),
            split => split,
        };
        let words = match split {
            Ok(words) => words,
            Err(complaint) => {
                let name = command.text.split_whitespace().next().unwrap_or_default();
                return self.refuse(name, command, Failure::At(complaint));
            }
        };
        if words.is_empty() {
            return;
        }
        let here = self.levels.len();
        let (name, result) = self.run(&words, &command.text);
        // A level that was only gone through is left as it was entered.
        let through = name.is_some_and(|(_, through)| through);
        if let Err(failure) = result {
            self.refuse(name.map_or("", |(n, _)| n), command, failure);
        }
        while through && self.levels.len() > here && !self.left {
            self.up();
        }
    }

    fn refuse(&mut self, name: &str, command: &Command, failure: Failure) {
        let context = match self.level() {
            Level::Root if name.is_empty() => String::new(),
            Level::Root => format!("{name}: "),
            level if name.is_empty() || name == level.name() => format!("{}: ", level.name()),
            level => format!("{}.{name}: ", level.name()),
        };
        match failure {
            Failure::Said => self.failed = true,
            Failure::Plain(text) => self.error(&text),
            Failure::Text(text) => self.error(&format!("{context}{text}")),
            Failure::At(complaint) => {
                let text = match &self.manner {
                    Manner::Batch { file } => {
                        let file = file.as_ref().map(|f| format!("{f}: ")).unwrap_or_default();
                        format!("{file}{}", command.complain(&complaint))
                    }
                    Manner::OneShot | Manner::Interactive => complaint.to_string(),
                };
                self.error(&format!("{context}{text}"));
            }
        }
    }

    /// The name of what was run, whether levels were gone through for it, and how it went.
    fn run(&mut self, words: &[Word], line: &str) -> (Option<(&'static str, bool)>, Done) {
        let mut rest = words;
        let mut through = false;
        loop {
            let Some(first) = rest.first() else {
                return (None, Ok(()));
            };
            match levels::find(self.level(), &first.text) {
                Err(why) => return (Some(("", through)), Err(Failure::Plain(why))),
                Ok(Found::Level(level)) => {
                    if level == Level::Configure
                        && self.draft.is_none()
                        && let Err(failure) = self.open_draft()
                    {
                        return (Some(("configure", through)), Err(failure));
                    }
                    self.levels.push(level);
                    rest = &rest[1..];
                    through |= !rest.is_empty();
                }
                Ok(Found::Command(command)) => {
                    let blank = first.column - 1;
                    let padded: String = line
                        .chars()
                        .enumerate()
                        .map(|(i, c)| if i < blank { ' ' } else { c })
                        .collect();
                    let call = Call {
                        name: command.name,
                        words: &rest[1..],
                        line: &padded,
                    };
                    let done = self.perform(call);
                    return (Some((command.name, through)), done);
                }
            }
        }
    }

    fn perform(&mut self, call: Call<'_>) -> Done {
        if levels::EVERYWHERE.iter().any(|c| c.name == call.name) {
            return self.everywhere(call);
        }
        match self.level() {
            Level::Root => self.root(call),
            Level::Configure => self.configure(call),
            Level::Resource => self.resource(call),
            Level::Node => self.node(call),
            Level::Ra => self.ra(call),
            Level::Cib => self.copies(call),
        }
    }

    fn everywhere(&mut self, call: Call<'_>) -> Done {
        match call.name {
            "help" => match call.words.first() {
                None => self.out(&levels::help(self.level())),
                Some(word) => match levels::find(self.level(), &word.text)? {
                    Found::Command(command) => self.out(&levels::help_of(command)),
                    Found::Level(level) => self.out(&levels::help(level)),
                },
            },
            "ls" => {
                let level = self.level();
                let commands = level
                    .commands()
                    .iter()
                    .chain(levels::EVERYWHERE)
                    .map(|c| c.name.to_owned());
                let names: Vec<String> = commands
                    .chain(level.sublevels().iter().map(|l| l.name().to_owned()))
                    .collect();
                self.out(&crate::shell::verify::columns(&names, super::local::width()));
            }
            "cd" => match call.need(0, "the name of a level, or ..")? {
                ".." => self.up(),
                word => match levels::find(self.level(), word) {
                    Ok(Found::Level(level)) => {
                        if level == Level::Configure && self.draft.is_none() {
                            self.open_draft()?;
                        }
                        self.levels.push(level);
                    }
                    _ => return Err(call.expected(0, "the name of a level, or ..")),
                },
            },
            "up" => self.up(),
            _ => {
                self.leave_all();
                self.left = true;
            }
        }
        Ok(())
    }

    /// Leaves a level; a working copy with changes is asked about.
    pub fn up(&mut self) {
        if self.level() == Level::Configure {
            self.close_draft();
        }
        self.levels.pop();
    }

    /// Leaves all levels, as at the end.
    pub fn leave_all(&mut self) {
        while !self.levels.is_empty() {
            self.up();
        }
        // One may have left the level for another one before.
        self.close_draft();
    }

    fn root(&mut self, call: Call<'_>) -> Done {
        match call.name {
            "status" => {
                match crate::crm::mon::in_words(&mut self.access(), &call.texts()) {
                    Ok((text, code)) => {
                        self.out(&text);
                        if code == 0 { Ok(()) } else { Err(Failure::Said) }
                    }
                    Err(failure) => {
                        // The words of the classic program first, on which scripts rely.
                        say(&mut io::stderr().lock(), &format!("{}\n", failure.text));
                        Err(Failure::Said)
                    }
                }
            }
            _ => {
                call.at_most(0)?;
                let args = ["-L", "-V"].map(str::to_owned);
                let outcome = crate::crm::verify::run(&args, self.access());
                self.told(outcome)
            }
        }
    }
}

fn is_xml(line: &str) -> bool {
    line.split_whitespace().any(|w| w == "xml" || w.starts_with("xml<"))
}

/// The words of a command line as a line, such that it is split into the same words.
fn joined(given: &[String]) -> String {
    let is_xml = given.iter().any(|w| w == "xml");
    let one = |word: &String| {
        let plain = |c: char| !c.is_whitespace() && !"\"'\\".contains(c);
        if is_xml || !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            words::quoted(word)
        }
    };
    given.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Where copies of the configuration are.
pub fn folder() -> PathBuf {
    paths::state().join("crm")
}
