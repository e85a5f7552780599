//! The heir: root, asleep on a socket. When the master dies it becomes the master; when the master says goodbye it ends.

use super::role::{MASTER_TITLE, RESUME, ROLE};
use crate::sys::pair::{End, Got};
use crate::sys::poll::{Want, wait};
use crate::sys::{process, signals};
use crate::time::Instant;
use std::io;

pub fn run() -> io::Result<()> {
    let mut fds = process::inherited(1)?;
    let mut master = End::new(fds.remove(0));
    signals::block_all_but_kill()?;
    loop {
        wait(&[Want::read(master.fd())], Instant::NEVER)?;
        match master.receive()? {
            // The only word it ever says: an orderly stop.
            Got::Message { .. } => return Ok(()),
            Got::Nothing => {}
            Got::Closed => {
                let env = [(ROLE, "master".to_owned()), (RESUME, "heir".to_owned())];
                return Err(process::become_own(MASTER_TITLE, &env));
            }
        }
    }
}
