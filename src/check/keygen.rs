//! A new authkeys with a key that nobody can guess.

use crate::sys::files;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// 256 bits, as much as the strongest method has.
const KEY_BYTES: usize = 32;

#[derive(Debug)]
pub enum KeygenError {
    /// There is a file already and it may not be replaced.
    Exists(PathBuf),
    Io(PathBuf, io::Error),
}

impl fmt::Display for KeygenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => write!(
                f,
                "{}: exists already; the other node may use its key: copy the file there, or replace it with --force",
                path.display()
            ),
            Self::Io(path, e) if e.kind() == io::ErrorKind::NotFound => {
                write!(
                    f,
                    "{}: its directory is not there: make it, or install heartbeat first",
                    path.display()
                )
            }
            Self::Io(path, e) => write!(f, "{}: {e}", path.display()),
        }
    }
}

impl std::error::Error for KeygenError {}

/// Writes `path` with mode 600; an old file is kept as `path.bak` when it may be replaced. Returns the name of that copy.
///
/// The old keys are kept because the other node goes on with them until it has the new file: without the copy a mistake
/// could not be undone.
pub fn write(path: &Path, method: &str, replace: bool) -> Result<Option<PathBuf>, KeygenError> {
    let failed = |path: &Path, e| KeygenError::Io(path.to_owned(), e);
    let mut bytes = [0; KEY_BYTES];
    files::random(&mut bytes).map_err(|e| failed(Path::new("/dev/urandom"), e))?;
    let key: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let text =
        format!("# Written by hb_keygen. The same file belongs on every node, mode 600.\nauth 1\n1 {method} {key}\n");
    let mut backup = None;
    if replace {
        match std::fs::read(path) {
            Ok(old) => {
                let mut name = path.as_os_str().to_owned();
                name.push(".bak");
                let copy = PathBuf::from(name);
                files::put(&copy, &old, 0o600, true).map_err(|e| failed(&copy, e))?;
                backup = Some(copy);
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(path, e)),
        }
    }
    files::put(path, text.as_bytes(), 0o600, replace).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => KeygenError::Exists(path.to_owned()),
        _ => failed(path, e),
    })?;
    Ok(backup)
}
