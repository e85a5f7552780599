//! The level `configure`: the working copy, and what is done with it.

use super::Display;
use super::session::{Call, Done, Failure, Manner, Session};
use crate::cib::{Cib, Element};
use crate::crm::client::AccessError;
use crate::policy::{plan, show, summary};
use crate::shell::draft::{Draft, Mode};
use crate::shell::parse::{self, Statement};
use crate::shell::verify::{self, Findings};
use crate::text::status::View;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

const PENDING: &str = "There are changes pending. Do you want to commit them";

impl Session {
    pub fn open_draft(&mut self) -> Done {
        let cib = self.access().cib().map_err(|e| format!("cannot reach the CIB: {e}"))?;
        self.draft = Some(Draft::new(cib));
        Ok(())
    }

    /// Before the working copy goes: changes are committed, after a question where one can be asked.
    pub fn close_draft(&mut self) {
        let changed = self.draft.as_ref().is_some_and(Draft::is_changed);
        if changed
            && self.ask_or_do()
            && let Err(failure) = self.commit(false)
        {
            match failure {
                Failure::Text(text) | Failure::Plain(text) => self.error(&format!("configure.commit: {text}")),
                Failure::At(complaint) => self.error(&complaint.to_string()),
                Failure::Said => self.failed = true,
            }
        }
        self.draft = None;
    }

    /// In a batch, and for a command of its own, the answer is yes.
    fn ask_or_do(&mut self) -> bool {
        match self.manner {
            Manner::Interactive => self.ask(PENDING, false),
            Manner::OneShot | Manner::Batch { .. } => !self.options.no,
        }
    }

    fn draft(&mut self) -> Result<&mut Draft, Failure> {
        if self.draft.is_none() {
            self.open_draft()?;
        }
        Ok(self.draft.as_mut().expect("open_draft() made it"))
    }

    pub fn configure(&mut self, call: Call<'_>) -> Done {
        match call.name {
            "show" => self.show(call),
            "get_property" => {
                let name = call.need(0, "the name of a property")?;
                call.at_most(1)?;
                let cib = self.draft()?.cib();
                match cib.property(name) {
                    Some(value) => self.out(&format!("{value}\n")),
                    None => return Err(format!("property {name} is not set").into()),
                }
                Ok(())
            }
            "schema" => {
                let cib = self.draft()?.cib();
                self.out(&format!("{}\n", cib.root().get("validate-with").unwrap_or("none")));
                Ok(())
            }
            "edit" => self.edit(call),
            "delete" => self.delete(call),
            "rename" => {
                let (old, new) = (call.need(0, "the name of an object")?, call.need(1, "its new name")?);
                call.at_most(2)?;
                self.refuse_running(old, "rename")?;
                Ok(self.draft()?.rename(old, new)?)
            }
            "modgroup" => self.modgroup(call),
            "verify" => {
                let draft = self.draft()?.clone();
                self.report(&draft)
            }
            "commit" => {
                let force = match call.texts()[..] {
                    [] => false,
                    ["force"] => true,
                    _ => return Err(call.expected(0, "force, or the end of the line")),
                };
                self.commit(force)
            }
            "refresh" => {
                call.at_most(0)?;
                let changed = self.draft()?.is_changed();
                if changed && !self.ask("All changes will be dropped. Do you want to proceed", true) {
                    return Ok(());
                }
                self.open_draft()
            }
            "erase" => self.erase(call),
            "load" => self.load(call),
            "save" => self.save(call),
            "simulate" => self.simulate(call),
            _ => self.object(call),
        }
    }

    /// A line of the configuration language.
    fn object(&mut self, call: Call<'_>) -> Done {
        let Some(statement) = parse::statement_as(call.name, call.line)? else {
            return Err(call.expected(0, "an object"));
        };
        let element = match &statement {
            Statement::Object(o) => Some(o.element.clone()),
            Statement::Monitor(..) => None,
        };
        let taken = self.draft()?.take(statement, Mode::New);
        taken.map_err(|complaint| {
            // What the working copy refuses as a whole has no column to show.
            if complaint.column <= 1 {
                Failure::Plain(complaint.what)
            } else {
                Failure::At(complaint)
            }
        })?;
        if let Some(element) = element
            && let Some(text) = verify::at_entry(&element, &|a| self.agents.meta(a))
        {
            // Other nodes may have it: it is only said, and commit asks.
            self.complain(&text);
        }
        Ok(())
    }

    fn show(&mut self, call: Call<'_>) -> Done {
        let mut names = call.texts();
        let as_xml = names.first() == Some(&"xml");
        if as_xml {
            names.remove(0);
        }
        let uppercase = self.options.display == Display::Uppercase;
        let draft = self.draft()?;
        let text = match (as_xml, names.is_empty()) {
            (true, true) => draft.cib().stored().to_indented(),
            (true, false) => draft.select(&names)?.iter().map(|o| o.element.to_indented()).collect(),
            (false, _) => text_of(draft, &names)?,
        };
        let text = if uppercase && !as_xml { shouted(&text) } else { text };
        self.page(&text);
        Ok(())
    }

    /// Long texts go through $PAGER on a terminal.
    pub fn page(&mut self, text: &str) {
        let rows = super::local::rows();
        let pager = std::env::var("PAGER").ok().filter(|p| !p.is_empty());
        let fits = text.lines().count() < rows;
        let (false, Some(pager)) = (fits || !io::stdout().is_terminal(), pager) else {
            return self.out(text);
        };
        let child = std::process::Command::new("/bin/sh")
            .args(["-c", &pager])
            .stdin(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            return self.out(text);
        };
        if let Some(mut pipe) = child.stdin.take() {
            // Who has read enough leaves.
            let _ = pipe.write_all(text.as_bytes());
        }
        let _ = child.wait();
    }

    fn delete(&mut self, call: Call<'_>) -> Done {
        let mut ids = call.texts();
        let force = ids.first().is_some_and(|w| *w == "force" || *w == "--force") || self.options.force;
        ids.retain(|w| !["force", "--force"].contains(w));
        if ids.is_empty() {
            return Err(call.expected(call.words.len(), "the name of an object"));
        }
        let draft = self.draft()?;
        let cib = draft.base().clone();
        let view = crate::crm::tool::view(&cib);
        let running = |id: &str| !force && runs(&view, id);
        let notes = draft.delete(&ids, &running).map_err(Failure::Plain)?;
        for note in notes {
            self.info(&note);
        }
        Ok(())
    }

    fn refuse_running(&mut self, id: &str, verb: &str) -> Done {
        let cib = self.draft()?.base().clone();
        let view = crate::crm::tool::view(&cib);
        if !self.options.force && runs(&view, id) {
            return Err(Failure::Plain(format!("resource {id} is running, can't {verb} it")));
        }
        Ok(())
    }

    fn modgroup(&mut self, call: Call<'_>) -> Done {
        let group = call.need(0, "the name of a group")?;
        let verb = call.need(1, "add or remove")?;
        let member = call.need(2, "the name of a resource")?;
        match verb {
            "add" => {
                let place = match call.words.get(3).map(|w| &*w.text) {
                    None => None,
                    Some(word @ ("before" | "after")) => {
                        Some((word == "before", call.need(4, "the name of a member")?))
                    }
                    Some(_) => return Err(call.expected(3, "before, after, or the end of the line")),
                };
                call.at_most(5)?;
                Ok(self.draft()?.add_member(group, member, place)?)
            }
            "remove" => {
                call.at_most(3)?;
                Ok(self.draft()?.remove_member(group, member)?)
            }
            _ => Err(call.expected(1, "add or remove")),
        }
    }

    /// What is wrong with a configuration, said; an error when some of it is.
    pub fn report(&mut self, draft: &Draft) -> Done {
        let mut findings = verify::verify(draft, &|a| self.agents.meta(a), crate::sys::wall());
        let cib = draft.cib();
        let of_policy = crate::crm::verify::findings(&cib, &crate::crm::tool::view(&cib));
        findings
            .errors
            .extend(of_policy.errors.into_iter().map(|(_, text)| text));
        self.tell(&findings);
        if findings.errors.is_empty() {
            Ok(())
        } else {
            Err(Failure::Said)
        }
    }

    fn tell(&self, findings: &Findings) {
        for text in &findings.errors {
            self.complain(text);
        }
        for text in &findings.warnings {
            self.warning(text);
        }
    }

    /// Sends the difference. What is refused is kept.
    pub fn commit(&mut self, force: bool) -> Done {
        let force = force || self.options.force;
        let draft = self.draft()?.clone();
        if !draft.is_changed() {
            self.info("apparently there is nothing to commit");
            return Ok(());
        }
        let findings = verify::verify(&draft, &|a| self.agents.meta(a), crate::sys::wall());
        self.tell(&findings);
        if !findings.errors.is_empty() && !force && !self.ask("Do you still want to commit", false) {
            return Err(Failure::Said);
        }
        match self.access().apply(&draft.edits(force)) {
            Ok(version) => self.debug(&format!("the cluster has it as version {version}")),
            Err(AccessError::Refused { text, .. }) => {
                return Err(format!(
                    "{text}; your changes are kept: \"commit force\" writes them all the same, \"refresh\" drops them"
                )
                .into());
            }
            Err(e) => return Err(format!("{e}; your changes are kept").into()),
        }
        self.open_draft()?;
        self.settle()
    }

    fn erase(&mut self, call: Call<'_>) -> Done {
        let nodes = match call.texts()[..] {
            [] => false,
            ["nodes"] => true,
            _ => return Err(call.expected(0, "nodes, or the end of the line")),
        };
        let draft = self.draft()?;
        let cib = draft.base().clone();
        let view = crate::crm::tool::view(&cib);
        let busy: Vec<String> = draft.names().into_iter().filter(|n| runs(&view, n)).collect();
        if !busy.is_empty() && !self.options.force {
            for id in busy {
                self.complain(&format!("resource {id} is running, can't delete it"));
            }
            return Err(Failure::Plain("CIB erase aborted (nothing was deleted)".to_owned()));
        }
        self.draft()?.erase(nodes);
        Ok(())
    }

    fn load(&mut self, call: Call<'_>) -> Done {
        let words = call.texts();
        let as_xml = words.first() == Some(&"xml");
        let at = usize::from(as_xml);
        let mode = match call.need(at, "replace, update or push")? {
            "replace" | "push" => Mode::Exact,
            "update" => Mode::Update,
            _ => return Err(call.expected(at, "replace, update or push")),
        };
        let file = call.need(at + 1, "the name of a file, or -")?;
        call.at_most(at + 2)?;
        let text = match file {
            "-" => {
                let mut text = String::new();
                io::stdin()
                    .take(crate::cib::xml::LONGEST as u64)
                    .read_to_string(&mut text)?;
                text
            }
            file => std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?,
        };
        let result = if as_xml {
            self.load_xml(&text, mode).map_err(|e| vec![e])
        } else {
            self.draft()?.load(&text, mode)
        };
        result.map_err(|complaints| {
            for text in complaints {
                self.complain(&format!("{file}: {text}"));
            }
            Failure::Plain("nothing was loaded".to_owned())
        })
    }

    fn load_xml(&mut self, text: &str, mode: Mode) -> Result<(), String> {
        let root = Element::parse(text).map_err(|e| e.to_string())?;
        let configuration = match &*root.name {
            "cib" => root.child("configuration").cloned(),
            "configuration" => Some(root),
            name => return Err(format!("the outermost element is {name}, not cib or configuration")),
        };
        let configuration = configuration.ok_or("there is no configuration in it")?;
        let given =
            Draft::new(Cib::from_element(Element::new("cib").holding(configuration)).map_err(|e| e.to_string())?);
        self.draft()
            .map_err(|_| "cannot reach the CIB".to_owned())?
            .load_tree(&given, mode)
    }

    fn save(&mut self, call: Call<'_>) -> Done {
        let words = call.texts();
        let as_xml = words.first() == Some(&"xml");
        let file = call.need(usize::from(as_xml), "the name of a file")?;
        call.at_most(1 + usize::from(as_xml))?;
        let draft = self.draft()?;
        let text = if as_xml {
            draft.cib().stored().to_indented()
        } else {
            text_of(draft, &[])?
        };
        match file {
            "-" => self.out(&text),
            file => std::fs::write(file, text).map_err(|e| format!("{file}: {e}"))?,
        }
        Ok(())
    }

    fn simulate(&mut self, call: Call<'_>) -> Done {
        let scores = call.texts().contains(&"scores");
        let cib = self.draft()?.cib();
        let view = View::new(&cib, crate::sys::wall());
        let plan = plan::plan(&view.input, &view.state);
        let mut text = format!(
            "Current cluster status:\n{}\n{}",
            show::nodes(&view.input, &view.state),
            show::resources(&view.input, &view.state)
        );
        if scores {
            text += &format!("\nAllocation scores:\n{}", summary::scores(&view.input, &plan));
        }
        text += &format!(
            "\nTransition Summary:\n{}",
            summary::transition(&view.input, &view.state, &plan)
        );
        text += &format!(
            "\nExecuting Cluster Transition:\n{}",
            summary::actions(&view.input, &plan)
        );
        self.page(&text);
        Ok(())
    }

    /// The text of some objects in $EDITOR, and back.
    fn edit(&mut self, call: Call<'_>) -> Done {
        if self.manner != Manner::Interactive {
            return Err("needs a terminal: a file is taken in with load".into());
        }
        let mut names = call.texts();
        let as_xml = names.first() == Some(&"xml");
        if as_xml {
            names.remove(0);
        }
        let draft = self.draft()?;
        let given: Vec<String> = draft.select(&names)?.iter().map(|o| o.key()).collect();
        let mut text = match as_xml {
            true => draft
                .select(&names)?
                .iter()
                .map(|o| format!("xml {}\n", o.element))
                .collect(),
            false => text_of(draft, &names)?,
        };
        loop {
            let edited = edit_text(&text)?;
            if edited == text {
                return Ok(());
            }
            match self.draft()?.edited(&given, &edited) {
                Ok(notes) => {
                    notes.iter().for_each(|n| self.info(n));
                    return Ok(());
                }
                Err(complaints) => {
                    for complaint in complaints {
                        self.complain(&complaint);
                    }
                    if !self.ask("Do you want to edit again", false) {
                        return Err("nothing was changed".into());
                    }
                    text = edited;
                }
            }
        }
    }
}

/// The objects as lines, one below the other.
fn text_of(draft: &Draft, names: &[&str]) -> Result<String, Failure> {
    let all = draft.select(names)?;
    Ok(all.iter().map(|o| format!("{}\n", o.text())).collect())
}

/// Keywords in capitals.
fn shouted(text: &str) -> String {
    let line = |line: &str| {
        let start = line.len() - line.trim_start().len();
        let end = line[start..].find(' ').map_or(line.len(), |at| start + at);
        let word = &line[start..end];
        let word = if word.contains('=') {
            word.to_owned()
        } else {
            word.to_uppercase()
        };
        format!("{}{word}{}\n", &line[..start], &line[end..])
    };
    text.lines().map(line).collect()
}

/// Whether the cluster has a resource, or something in it, started.
fn runs(view: &View<'_>, id: &str) -> bool {
    let found = view.input.resource(id);
    found.is_some_and(|r| {
        view.input
            .primitives(r)
            .iter()
            .any(|p| !view.state.running_on(*p).is_empty())
    })
}

/// Gives a text to the user's editor, and what it has become.
fn edit_text(text: &str) -> Result<String, Failure> {
    let editor = std::env::var("EDITOR")
        .ok()
        .filter(|e| !e.is_empty())
        .unwrap_or_else(|| "vi".to_owned());
    let path = std::env::temp_dir().join(format!(
        "crm-edit-{}-{}",
        std::process::id(),
        crate::sys::now().as_millis()
    ));
    let said = |e: io::Error| Failure::Text(format!("{}: {e}", path.display()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(said)?;
    file.write_all(text.as_bytes()).map_err(said)?;
    drop(file);
    // As other programs do: $EDITOR may have options.
    let status = std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("crm")
        .arg(&path)
        .status();
    let edited = std::fs::read_to_string(&path).map_err(said);
    let _ = std::fs::remove_file(&path);
    match status {
        Ok(status) if status.success() => edited,
        Ok(status) => Err(Failure::Text(format!(
            "{editor}: ended with {status}; nothing was changed"
        ))),
        Err(e) => Err(Failure::Text(format!("{editor}: {e}"))),
    }
}
