//! A named client that sends to its like and counts what it hears: for tests of the client API on nodes of a lab.

use crate::ipc::client::Client;
use crate::msg::Message;
use crate::sys;
use crate::sys::poll::{Want, wait};
use crate::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// Times each number was heard, by the node it came from.
type Heard = BTreeMap<String, BTreeMap<u64, u32>>;

/// Signs on as `name`, says so with its process number, waits for the file `DIR/go`, sends `count` numbered messages, and
/// goes on listening until there is `DIR/end`; then tells of each node how many different numbers it heard, how often
/// one came twice or more, and the highest.
pub fn talk(name: &str, count: u64, dir: &Path) -> io::Result<()> {
    let failed = |e: crate::ipc::client::ClientError| io::Error::other(e.to_string());
    let mut client = Client::sign_on(name, PATIENCE).map_err(failed)?;
    let mut out = io::stdout();
    writeln!(out, "on {}", std::process::id())?;
    let mut heard = Heard::new();
    while !dir.join("go").exists() {
        listen(&mut client, &mut heard).map_err(failed)?;
    }
    for n in 1..=count {
        client
            .send_to_cluster(&Message::new("talk").with("n", n.to_string()))
            .map_err(failed)?;
        take(&mut client, &mut heard).map_err(failed)?;
    }
    writeln!(out, "sent {count}")?;
    let mut shown = String::new();
    while !dir.join("end").exists() {
        listen(&mut client, &mut heard).map_err(failed)?;
        let now = summary(&heard);
        if now != shown {
            write!(out, "{now}")?;
            shown = now;
        }
    }
    client.signoff().map_err(failed)?;
    writeln!(out, "off")
}

fn summary(heard: &Heard) -> String {
    let line = |(node, numbers): (&String, &BTreeMap<u64, u32>)| {
        let twice = numbers.values().filter(|times| **times > 1).count();
        let highest = numbers.last_key_value().map_or(0, |(n, _)| *n);
        format!("heard {} of {node}, {twice} twice, to {highest}\n", numbers.len())
    };
    heard.iter().map(line).collect()
}

fn listen(client: &mut Client, heard: &mut Heard) -> Result<(), crate::ipc::client::ClientError> {
    take(client, heard)?;
    // A failed wait only makes the next look come sooner.
    let _ = wait(&[Want::read(client.fd())], sys::now() + LOOK);
    Ok(())
}

fn take(client: &mut Client, heard: &mut Heard) -> Result<(), crate::ipc::client::ClientError> {
    while let Some(message) = client.event()? {
        if let ("talk", Some(src), Some(n)) = (message.kind(), message.get("src"), message.dec("n")) {
            *heard.entry(src.to_owned()).or_default().entry(n).or_default() += 1;
        }
    }
    Ok(())
}
