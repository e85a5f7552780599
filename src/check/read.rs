//! Files into text: missing, unreadable, open to strangers, not UTF-8.

use crate::auth::Keyring;
use crate::conf::{Complaint, Severity};
use crate::sys;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// A configuration of this size is a mistake, such as a device or a log file.
const LARGEST: u64 = 4 << 20;
/// A thousand groups have room.
const TOGETHER: usize = 96 * 1024;

pub(super) fn complain(all: &mut Vec<Complaint>, file: &Path, line: usize, severity: Severity, message: String) {
    all.push(Complaint {
        file: file.to_owned(),
        line,
        severity,
        message,
    });
}

fn open(file: &Path) -> io::Result<(Metadata, Vec<u8>)> {
    // Asked first, because opening a FIFO would wait for its other end.
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let handle = File::open(file)?;
    let facts = handle.metadata()?;
    if facts.len() > LARGEST {
        return Err(io::Error::other(format!(
            "it has {} bytes, more than {LARGEST}",
            facts.len()
        )));
    }
    let mut bytes = Vec::new();
    handle.take(LARGEST).read_to_end(&mut bytes)?;
    Ok((facts, bytes))
}

/// The three files go from process to process in one message, with what is known of the nodes.
pub(super) fn together(sizes: [(&Path, usize); 3], all: &mut Vec<Complaint>) {
    let sum: usize = sizes.iter().map(|(_, size)| size).sum();
    if let Some((file, size)) = sizes
        .into_iter()
        .max_by_key(|(_, size)| *size)
        .filter(|_| sum > TOGETHER)
    {
        let message = format!(
            "has {size} bytes; ha.cf, haresources and authkeys together may have {TOGETHER}, not {sum}: shorten it"
        );
        complain(all, file, 0, Severity::Error, message);
    }
}

fn cannot_read(file: &Path, e: &io::Error, remedy: &str, all: &mut Vec<Complaint>) {
    let message = match e.kind() {
        io::ErrorKind::NotFound => format!("the file is missing: {remedy}"),
        io::ErrorKind::PermissionDenied => "you may not read it: do this as root".to_owned(),
        _ => format!("cannot be read: {e}"),
    };
    complain(all, file, 0, Severity::Error, message);
}

/// ha.cf, haresources or monitors.
pub(super) fn text(file: &Path, page: &str, all: &mut Vec<Complaint>) -> Option<String> {
    let (facts, bytes) = match open(file) {
        Ok(both) => both,
        Err(e) => {
            cannot_read(file, &e, &format!("write it, {page}(5) says how"), all);
            return None;
        }
    };
    if facts.permissions().mode() & 0o002 != 0 {
        let message = format!(
            "everybody may write it, and so become root: chmod 644 {}",
            file.display()
        );
        complain(all, file, 0, Severity::Warning, message);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // Comments may be in any encoding.
    not_utf8(file, &text, |line| line.split('#').next().unwrap_or(""), all);
    Some(text)
}

/// authkeys: refused when strangers may read it, for then they may also sign.
pub(super) fn keys(file: &Path, all: &mut Vec<Complaint>) -> Option<String> {
    let (facts, bytes) = match open(file) {
        Ok(both) => both,
        Err(e) => {
            let remedy = "write one with hb_keygen and copy it to the other node";
            cannot_read(file, &e, remedy, all);
            return None;
        }
    };
    let (mode, owner, path) = (facts.permissions().mode() & 0o777, facts.uid(), file.display());
    if mode & 0o044 != 0 {
        let message = format!("others may read the keys (mode {mode:o}): chmod 600 {path}");
        complain(all, file, 0, Severity::Error, message);
    } else if mode & 0o022 != 0 {
        let message = format!("others may write the keys (mode {mode:o}): chmod 600 {path}");
        complain(all, file, 0, Severity::Warning, message);
    }
    if owner != 0 && owner != sys::files::own_user() {
        let message =
            format!("the keys belong to user {owner}, who may change them: chown root {path}; chmod 600 {path}");
        complain(all, file, 0, Severity::Error, message);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let content = |line: &'_ str| {
        if line.trim_start().starts_with('#') {
            0
        } else {
            line.len()
        }
    };
    not_utf8(file, &text, |line| &line[..content(line)], all);
    Some(text)
}

/// The key of the sample is known to everybody who has this program.
pub(super) fn sample_key(file: &Path, keys: Option<&Keyring>, all: &mut Vec<Complaint>) {
    for (number, key) in keys.iter().flat_map(|k| &k.keys) {
        if key.secret().starts_with(b"change-this-key") {
            let message = format!("key {number} is the one of the sample file: write another with hb_keygen --force");
            complain(all, file, 0, Severity::Warning, message);
        }
    }
}

fn not_utf8(file: &Path, text: &str, content: impl Fn(&str) -> &str, all: &mut Vec<Complaint>) {
    for (i, line) in text.lines().enumerate() {
        if content(line).contains(char::REPLACEMENT_CHARACTER) {
            let message = "a character here is not UTF-8: write it again, or save the file as UTF-8".to_owned();
            complain(all, file, i + 1, Severity::Error, message);
        }
    }
}
