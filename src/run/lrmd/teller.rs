//! The thread that hands log lines to heartbeat: it may have to wait for it, and the agents must not.

use crate::ipc::client::{Client, ClientError};
use crate::ipc::relay;
use crate::sys;
use crate::time::Duration;

/// The daemon answers in a millisecond; on a machine that swaps it may take longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before the next try, when there is no heartbeat.
const PAUSE: Duration = Duration::from_secs(1);
/// News of the cluster are thrown away so often.
const SWEEP: Duration = Duration::from_secs(10);
/// A small one: it formats lines.
const STACK: usize = 128 * 1024;
const NAP: Duration = Duration::from_millis(10);

/// To be called once, when signals are blocked already.
pub fn begin(name: &'static str) -> std::io::Result<()> {
    let builder = std::thread::Builder::new().name("log".to_owned()).stack_size(STACK);
    builder.spawn(move || {
        loop {
            // Why it ended stands in the log of heartbeat, if there is one.
            let _ = converse(name);
            std::thread::sleep(PAUSE);
        }
    })?;
    Ok(())
}

fn converse(name: &str) -> Result<(), ClientError> {
    let mut client = Client::sign_on(name, TIMEOUT)?;
    loop {
        relay::flush(&mut client)?;
        while client.event()?.is_some() {}
        relay::wait_for_lines(SWEEP);
    }
}

/// Gives the last lines so much time.
pub fn settle(limit: Duration) {
    let until = sys::now() + limit;
    while relay::waiting() > 0 && sys::now() < until {
        std::thread::sleep(NAP);
    }
}
