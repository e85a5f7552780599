//! The conversation: rustyline reads the lines, keeps the history and asks for completions.

use super::session::{Session, say};
use crate::agents::{Agent, Class};
use crate::shell::complete::{self, Known};
use crate::shell::levels::Level;
use crate::shell::lines::Joiner;
use crate::shell::parse;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

/// Lines that are remembered from one run to the next.
const REMEMBERED: usize = 500;

/// Reads and runs lines until one leaves; 0, or 1 when the last of them went wrong.
pub fn converse(session: Session) -> u8 {
    let shared = Rc::new(RefCell::new(session));
    let config = Config::builder().completion_type(CompletionType::List).build();
    let history = MemHistory::with_config(&config);
    let made = Editor::<Completing, MemHistory>::with_history(config, history);
    let mut editor = match made {
        Ok(editor) => editor,
        Err(e) => {
            say(
                &mut std::io::stderr(),
                &format!("ERROR: this terminal cannot be used: {e}\n"),
            );
            return 1;
        }
    };
    editor.set_helper(Some(Completing {
        session: Rc::clone(&shared),
    }));
    let history = history_file();
    let before = history
        .as_ref()
        .and_then(|f| std::fs::read_to_string(f).ok())
        .unwrap_or_default();
    for line in before.lines() {
        let _ = editor.add_history_entry(line);
    }
    // Questions come from the same editor: what was typed ahead is their answer.
    let editor = Rc::new(RefCell::new(editor));
    let asking = Rc::clone(&editor);
    shared.borrow_mut().asker = Some(Box::new(move |question| asking.borrow_mut().readline(question).ok()));
    let mut entered = Vec::new();
    let mut joiner = Joiner::default();
    'lines: loop {
        let prompt = match joiner.is_open() {
            true => "> ".to_owned(),
            false => shared.borrow().prompt(),
        };
        let got = editor.borrow_mut().readline(&prompt);
        let text = match got {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => {
                // A line begun is dropped.
                joiner = Joiner::default();
                continue;
            }
            Err(_) => {
                shared.borrow_mut().leave_all();
                break;
            }
        };
        // Text that is pasted comes as one, however many lines it has.
        for line in text.lines() {
            let _ = editor.borrow_mut().add_history_entry(line);
            entered.push(line.to_owned());
            let Some(command) = joiner.feed(line) else {
                continue;
            };
            let mut session = shared.borrow_mut();
            session.failed = false;
            session.line(&command);
            if session.left {
                break 'lines;
            }
        }
    }
    let session = shared.borrow();
    session.out("bye\n");
    if let Some(file) = history {
        remember(&file, &entered);
    }
    u8::from(session.failed)
}

/// `~/.crm_history`
fn history_file() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").filter(|h| !h.is_empty())?;
    Some(PathBuf::from(home).join(".crm_history"))
}

/// What cannot be remembered is forgotten: nobody waits for it.
fn remember(file: &PathBuf, entered: &[String]) {
    use std::os::unix::fs::OpenOptionsExt;
    let before = std::fs::read_to_string(file).unwrap_or_default();
    let all: Vec<&str> = before
        .lines()
        .chain(entered.iter().map(|l| &**l))
        .filter(|l| !l.trim().is_empty())
        .collect();
    let kept = &all[all.len().saturating_sub(REMEMBERED)..];
    let mut options = std::fs::OpenOptions::new();
    // Lines may have passwords in them.
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(file);
    let _ = opened.and_then(|mut f| f.write_all(format!("{}\n", kept.join("\n")).as_bytes()));
}

struct Completing {
    session: Rc<RefCell<Session>>,
}

impl Helper for Completing {}

impl Hinter for Completing {
    type Hint = String;
}

impl Highlighter for Completing {}

impl Validator for Completing {}

impl Completer for Completing {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        // A question is asked while a command runs: nothing is completed then.
        let Ok(mut session) = self.session.try_borrow_mut() else {
            return Ok((at, Vec::new()));
        };
        let levels = session.levels.clone();
        let known = Names::read(&mut session);
        let (start, all) = complete::candidates(&line[..at], &levels, &known);
        // A word that is whole is followed by a blank; a name before a value is not.
        let whole = all.len() == 1;
        let finished = |c: String| if whole && !c.ends_with(['=', ':']) { c + " " } else { c };
        Ok((start, all.into_iter().map(finished).collect()))
    }
}

/// What completion offers, read from the working copy or the cluster.
struct Names<'a> {
    objects: Vec<String>,
    resources: Vec<String>,
    nodes: Vec<String>,
    groups: Vec<String>,
    agents: &'a super::local::Local,
}

impl<'a> Names<'a> {
    fn read(session: &'a mut Session) -> Self {
        let draft = match &session.draft {
            Some(draft) if session.levels.contains(&Level::Configure) => Some(draft.clone()),
            _ => session.access().cib().ok().map(crate::shell::draft::Draft::new),
        };
        let of = |wanted: &dyn Fn(&str) -> bool| {
            let Some(draft) = &draft else {
                return Vec::new();
            };
            let all = crate::shell::draft::objects(draft.configuration());
            all.iter()
                .filter(|o| wanted(o.keyword()))
                .map(|o| o.name().to_owned())
                .collect()
        };
        Self {
            objects: of(&|_| true),
            resources: of(&|k| ["primitive", "group", "clone", "ms", "bundle"].contains(&k)),
            nodes: of(&|k| k == "node"),
            groups: of(&|k| k == "group"),
            agents: &session.agents,
        }
    }
}

impl Known for Names<'_> {
    fn resources(&self) -> Vec<String> {
        self.resources.clone()
    }

    fn nodes(&self) -> Vec<String> {
        self.nodes.clone()
    }

    fn objects(&self) -> Vec<String> {
        self.objects.clone()
    }

    fn groups(&self) -> Vec<String> {
        self.groups.clone()
    }

    fn classes(&self) -> Vec<String> {
        Class::ALL.map(|c| c.to_string()).to_vec()
    }

    fn providers(&self) -> Vec<String> {
        self.agents.providers()
    }

    fn agents(&self) -> Vec<String> {
        let mut all = Vec::new();
        for provider in self.agents.providers() {
            all.extend(
                self.agents
                    .agents(Class::Ocf, Some(&provider))
                    .iter()
                    .map(|n| format!("ocf:{provider}:{n}")),
            );
        }
        for class in [Class::Lsb, Class::Heartbeat, Class::Stonith, Class::Systemd] {
            all.extend(self.agents.agents(class, None).iter().map(|n| format!("{class}:{n}")));
        }
        all
    }

    fn parameters(&self, agent: &str) -> Vec<String> {
        let Some((class, provider, kind)) = parse::resources::agent(agent) else {
            return Vec::new();
        };
        let meta = Agent::new(class, provider, kind)
            .ok()
            .and_then(|a| self.agents.meta(&a));
        meta.map(|m| m.parameters.into_iter().map(|p| p.name).collect())
            .unwrap_or_default()
    }
}
