//! The command FIFO: many writers (scripts, hb_standby, hb_takeover, hb_msg), root only, one message a write.

use super::client::ClientError;
use crate::msg::stream::StreamReader;
use crate::msg::{Message, classic};
use crate::paths;
use crate::sys::fifo::{self, Access};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// 64 KiB, what the FIFO can hold: one turn takes what is there, and a flood does not keep the timers waiting.
const READS_A_TURN: usize = 16;

/// The daemon's end.
#[derive(Debug)]
pub struct CommandFifo {
    fd: OwnedFd,
    reader: StreamReader,
}

impl CommandFifo {
    /// Makes the FIFO, or takes the one that is there, and opens it so that it never sees an end of file. For the
    /// master: it is 0600, and the core that reads it is not root.
    pub fn create(path: &Path) -> io::Result<OwnedFd> {
        fifo::make_ours(path, 0o600, None).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
    }

    pub fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            reader: StreamReader::default(),
        }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The messages that have come, up to a bound a turn; the rest makes the descriptor readable again.
    pub fn read(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut spoilt = 0u32;
        let mut buffer = [0; fifo::ATOMIC];
        for _ in 0..READS_A_TURN {
            match fifo::read(self.fd.as_fd(), &mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    for result in self.reader.push(&buffer[..n]) {
                        match result {
                            Ok(message) => messages.push(message),
                            Err(why) => {
                                if spoilt == 0 {
                                    log::warn!("command FIFO: ignoring something that {why}");
                                }
                                spoilt += 1;
                            }
                        }
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => {
                    log::error!("command FIFO: cannot be read: {e}");
                    break;
                }
            }
        }
        if spoilt > 1 {
            log::warn!("command FIFO: ignored {spoilt} things that are no messages");
        }
        messages
    }
}

/// Writes one message to the daemon of this node. Never waits and never makes a file.
pub fn send_command(message: &Message) -> Result<(), ClientError> {
    send_command_to(&paths::fifo(), message)
}

/// What goes before a message in a FIFO with many writers: it ends the line that another writer left unfinished (it may
/// be `>>>`), and spoils the message begun by that; between messages it is skipped. Without it the rubbish of one would
/// spoil the message of the next.
const FRESH_START: &[u8] = b"\n!\n";

pub(crate) fn alone(message: &Message) -> Vec<u8> {
    let mut bytes = FRESH_START.to_vec();
    bytes.extend(classic::encode(message));
    bytes
}

pub fn send_command_to(path: &Path, message: &Message) -> Result<(), ClientError> {
    let bytes = alone(message);
    if bytes.len() > fifo::ATOMIC {
        return Err(ClientError::TooLong { len: bytes.len() });
    }
    let (fd, _) = fifo::open_fifo(path, Access::Write).map_err(|e| ClientError::from_open(path, e))?;
    match fifo::write(fd.as_fd(), &bytes) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(ClientError::Busy),
        Err(e) => Err(ClientError::Os(path.to_owned(), e)),
    }
}
