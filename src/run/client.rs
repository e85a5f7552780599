//! The process between the master and a client program: it waits for its order, becomes the user and then the program.
//!
//! Two things need it. The master writes down which process a program has *before* the program begins: whoever takes the
//! master's place finds it, at whatever moment the master died. And a user database that hangs holds nobody else.

use super::link::Order;
use crate::sys::pair::{End, Got};
use crate::sys::poll::{Want, wait};
use crate::sys::{process, program};
use crate::time::Instant;
use std::io;

/// What `role` calls it.
pub const ROLE_NAME: &str = "client";

pub fn run() -> io::Result<()> {
    let mut master = End::new(process::inherited(1)?.remove(0));
    let order = loop {
        wait(&[Want::read(master.fd())], Instant::NEVER)?;
        match master.receive()? {
            Got::Message { bytes, .. } => break Order::decode(&bytes),
            Got::Nothing => {}
            // It died before it wrote us down: whoever comes after it starts the program.
            Got::Closed => return Ok(()),
        }
    };
    let Some(Order {
        user,
        program: path,
        command,
        env,
    }) = order
    else {
        return Err(io::Error::other("the master's order is not understood"));
    };
    let why = program::become_program(&user, &path, &command, &env);
    master.send(why.clone().into_bytes(), None);
    Err(io::Error::other(why))
}
