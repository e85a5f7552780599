//! Talking to a lab's switch: one line there, lines back, on a Unix socket in the lab's directory.

use super::plan::Plan;
use crate::sys::namespace;
use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Making or ending a node takes the kernel a moment; ten seconds is a switch that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn socket(directory: &Path) -> PathBuf {
    directory.join("control")
}

pub fn read_plan(directory: &Path) -> io::Result<Plan> {
    let file = directory.join("plan");
    let text = fs::read_to_string(&file).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
    Plan::parse(directory, &text).map_err(io::Error::other)
}

/// Asks and returns the answer's lines. An answer `error …` is an error.
pub fn ask(directory: &Path, request: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket(directory))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{request}")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the lab's switch did not answer \"{request}\" within {PATIENCE:?}"),
        ),
        _ => e,
    })?;
    match answer.strip_prefix("error ") {
        Some(reason) => Err(io::Error::other(reason.trim_end().to_owned())),
        None => Ok(answer),
    }
}

pub fn alive(directory: &Path) -> bool {
    UnixStream::connect(socket(directory)).is_ok()
}

/// Ends a lab and removes its directory, whatever state it is in. False: there was none.
pub fn remove(directory: &Path) -> io::Result<bool> {
    if !directory.exists() {
        return Ok(false);
    }
    if let Ok(mut stream) = UnixStream::connect(socket(directory)) {
        let switch = namespace::peer_process(stream.as_fd())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // The socket closes when the switch has ended, and with it every process of the lab.
        let _ = writeln!(stream, "down");
        let ended = stream.read_to_end(&mut Vec::new());
        if ended.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock) {
            // It owns the socket of this directory, so it is this lab's switch and nothing else.
            namespace::kill_process(switch);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
    remove_directory(directory)?;
    Ok(true)
}

pub(super) fn remove_directory(directory: &Path) -> io::Result<()> {
    // A node that is being ended can still make a file in a directory that was just emptied.
    for _ in 0..50 {
        match fs::remove_dir_all(directory) {
            Err(e) if matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::ResourceBusy) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(io::Error::new(
                    e.kind(),
                    format!("{}: cannot be removed: {e}", directory.display()),
                ));
            }
            _ => break,
        }
    }
    Ok(())
}
