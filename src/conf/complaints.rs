//! What the three parsers share: lines with their numbers, and the list of complaints of one file.

use super::{Complaint, Parsed, Severity};
use std::path::{Path, PathBuf};

/// Bytes of a line beyond which heartbeat 3.0.6 reads it in pieces (its buffer has 5120, from source).
const CLASSIC_LINE: usize = 5119;

/// Lines from 1, without the CR that editors of other systems leave and without a byte order mark.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split('\n')
        .enumerate()
        .map(|(i, line)| (i + 1, line.strip_suffix('\r').unwrap_or(line)))
}

/// Complaints about one file, gathered while it is read.
pub(crate) struct Complaints {
    file: PathBuf,
    list: Vec<Complaint>,
}

impl Complaints {
    pub(crate) fn about(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            list: Vec::new(),
        }
    }

    fn add(&mut self, line: usize, severity: Severity, message: String) {
        self.list.push(Complaint {
            file: self.file.clone(),
            line,
            severity,
            message,
        });
    }

    pub(crate) fn error(&mut self, line: usize, message: impl Into<String>) {
        self.add(line, Severity::Error, message.into());
    }

    pub(crate) fn warn(&mut self, line: usize, message: impl Into<String>) {
        self.add(line, Severity::Warning, message.into());
    }

    /// Says it when the classic program would cut this line in pieces.
    pub(crate) fn long_line(&mut self, number: usize, line: &str) {
        if line.len() > CLASSIC_LINE {
            let text = format!(
                "the line has {} bytes; heartbeat 3.0.6 reads lines longer than {CLASSIC_LINE} in pieces: write a shorter one",
                line.len()
            );
            self.warn(number, text);
        }
    }

    /// In the order of the lines; what concerns the whole file comes first. The value is given when nothing is an error.
    pub(crate) fn finish<T>(mut self, value: impl FnOnce() -> Option<T>) -> Parsed<T> {
        self.list.sort_by_key(|c| c.line);
        let good = self.list.iter().all(|c| c.severity != Severity::Error);
        Parsed {
            value: if good { value() } else { None },
            complaints: self.list,
        }
    }
}
