//! The level `cib`: copies of the configuration to try things with, files `shadow.NAME` in the state directory.

use super::session::{Call, Done, Failure, Session, folder};
use crate::cib::{Cib, Edit};
use crate::crm::client::AccessError;
use crate::sys::files;
use std::path::PathBuf;

/// As Pacemaker's crm_shadow calls them; `CIB_shadow_dir` in the environment moves them there, too.
pub fn path(name: &str) -> PathBuf {
    let moved = std::env::var_os("CIB_shadow_dir").filter(|d| !d.is_empty());
    moved.map_or_else(folder, PathBuf::from).join(format!("shadow.{name}"))
}

impl Session {
    pub fn copies(&mut self, call: Call<'_>) -> Done {
        match call.name {
            "new" => {
                let name = self.copy_name(&call)?;
                let path = path(name);
                if path.exists() && !self.options.force {
                    return Err(format!("copy {name} exists already: {}", path.display()).into());
                }
                let cib = self.live().cib()?;
                let text = cib.root().to_indented();
                files::write_for_group(&path, text.as_bytes(), None).map_err(|e| format!("{}: {e}", path.display()))?;
                self.info(&format!("{name} shadow CIB created"));
                self.use_copy(Some(name));
                Ok(())
            }
            "use" => {
                call.at_most(1)?;
                match call.words.first().map(|w| &*w.text) {
                    None | Some("live") => self.use_copy(None),
                    Some(name) => {
                        if !path(self.copy_name(&call)?).exists() {
                            return Err(format!("copy {name} does not exist").into());
                        }
                        self.use_copy(Some(name));
                    }
                }
                // The working copy of the level above is of another one now.
                if self.levels.contains(&crate::shell::levels::Level::Configure) {
                    self.open_draft()?;
                }
                Ok(())
            }
            "list" => {
                let dir = path("");
                let dir = dir.parent().map(PathBuf::from).unwrap_or_default();
                let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
                let mut names: Vec<String> = entries
                    .filter_map(|e| e.file_name().to_str()?.strip_prefix("shadow.").map(str::to_owned))
                    .collect();
                names.sort();
                self.out(&names.iter().map(|n| format!("{n}\n")).collect::<String>());
                Ok(())
            }
            "delete" => {
                let name = self.copy_name(&call)?;
                let path = path(name);
                std::fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
                if self.cib_name() == name {
                    self.use_copy(None);
                }
                self.info(&format!("{name} shadow CIB deleted"));
                Ok(())
            }
            _ => self.commit_copy(call),
        }
    }

    fn copy_name<'a>(&self, call: &Call<'a>) -> Result<&'a str, Failure> {
        let name = call.need(0, "a name for the copy")?;
        call.at_most(1)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name == "live" || name.starts_with('.') || !name.chars().all(fits) {
            return Err(call.expected(0, "a name of letters, digits, - _ and ., other than live"));
        }
        Ok(name)
    }

    /// Sends the difference between the cluster's configuration and the copy.
    fn commit_copy(&mut self, call: Call<'_>) -> Done {
        call.at_most(1)?;
        let name = match call.words.first() {
            Some(_) => self.copy_name(&call)?.to_owned(),
            None if self.cib_name() == "live" => return Err(call.expected(0, "the name of a copy")),
            None => self.cib_name().to_owned(),
        };
        let path = path(&name);
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let copy = Cib::parse(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut live = self.live();
        let mut draft = crate::shell::draft::Draft::new(live.cib()?);
        let of_copy = crate::shell::draft::Draft::new(copy);
        draft.load_tree(&of_copy, crate::shell::draft::Mode::Exact)?;
        let edits: Vec<Edit> = draft.edits(false);
        if !edits.is_empty() {
            live.apply(&edits).map_err(|e: AccessError| e.to_string())?;
        }
        self.info(&format!("committed '{name}' shadow CIB to the cluster"));
        Ok(())
    }
}
