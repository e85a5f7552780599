//! meatclient: a person says that a node is off, so that its groups may be taken over.

use super::client::{Client, ClientError};
use super::command::send_command_to;
use crate::clients::json::Json;
use crate::clients::request::{self, field};
use crate::msg::{Message, fields};
use crate::sys;
use crate::time::Duration;
use std::io::{BufRead, Write};
use std::path::Path;

pub const USAGE: &str = "\
usage: meatclient -c NODE [-w]

Confirms that NODE is switched off or was reset by hand.
  -c NODE     the node that heartbeat waits for
  -w          do not ask again
  -h, --help  this text
";

const TIMEOUT: Duration = Duration::from_secs(5);
/// From the confirmation to the change in heartbeat's state.
const WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

struct Failure {
    code: u8,
    text: String,
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        let code = match e {
            ClientError::NotRunning => 7,
            ClientError::NotPermitted(_) => 4,
            _ => 1,
        };
        Self {
            code,
            text: e.to_string(),
        }
    }
}

/// Asks `input` for a yes, unless told not to. The answer is the exit code.
pub fn run(args: &[String], state: &Path, input: &mut dyn BufRead, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (node, ask) = match words[..] {
        ["-h" | "--help"] => {
            let _ = out.write_all(USAGE.as_bytes());
            return 0;
        }
        ["-c", node] => (node, true),
        ["-c", node, "-w"] | ["-w", "-c", node] => (node, false),
        _ => {
            let _ = err.write_all(USAGE.as_bytes());
            return 2;
        }
    };
    match confirm(node, ask, state, input, out) {
        Ok(true) => {
            let _ = writeln!(out, "Meatware_client: reset confirmed.");
            0
        }
        Ok(false) => {
            let _ = writeln!(out, "Meatware_client: operation canceled.");
            1
        }
        Err(Failure { code, text }) => {
            let _ = writeln!(err, "meatclient: {text}");
            code
        }
    }
}

fn confirm(node: &str, ask: bool, state: &Path, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<bool, Failure> {
    let id = std::process::id().to_string();
    let mut client = Client::connect_as(state, &id, TIMEOUT)?;
    let (name, waits) = look(&mut client, node)?;
    if !waits {
        return Err(Failure {
            code: 1,
            text: format!(
                "node {name}: heartbeat does not wait for a confirmation of it (cl_status status tells more)"
            ),
        });
    }
    if ask {
        let _ = write!(
            out,
            "\nWARNING!\n\nheartbeat will start what node \"{name}\" has. If that machine is not really switched off, or was \
             not reset by\nhand, its disks and addresses are used by two machines at once, and data is lost.\nLook at the \
             name above, and at the machine.\n\nPROCEED? [yN] "
        );
        let _ = out.flush();
        let mut line = String::new();
        let _ = input.read_line(&mut line);
        if !matches!(line.trim(), "y" | "Y" | "yes") {
            return Ok(false);
        }
    }
    let message = Message::new("meatware").with(fields::NODE, name.as_str());
    send_command_to(&state.join("fifo"), &message)?;
    let end = sys::now() + WITHIN;
    while sys::now() < end {
        if !look(&mut client, &name)?.1 {
            return Ok(true);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(Failure {
        code: 1,
        text: format!("node {name}: heartbeat has not taken the confirmation; see its log"),
    })
}

/// The name as heartbeat writes it, and whether that node waits to be fenced.
fn look(client: &mut Client, node: &str) -> Result<(String, bool), Failure> {
    let answer = client.ask_one(&request::of(request::GETSTATUS))?;
    let status = Json::parse(answer.get(field::JSON).unwrap_or("")).map_err(|e| Failure {
        code: 1,
        text: e.to_string(),
    })?;
    let nodes = status.get("nodes").items();
    let Some(found) = nodes.iter().find(|n| n.get("name").text().eq_ignore_ascii_case(node)) else {
        return Err(Failure {
            code: 1,
            text: format!("node {node}: is not in ha.cf"),
        });
    };
    let state = found.get("fencing").get("state").text();
    Ok((
        found.get("name").text().to_owned(),
        matches!(state, "needed" | "running" | "failed"),
    ))
}
