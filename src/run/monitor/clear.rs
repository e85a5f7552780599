//! `hb_monitor --clear`: what failed on this node has been mended.

use crate::clients::json::Json;
use crate::clients::request::{self, field};
use crate::groups::repair::{CLEAR, GROUP};
use crate::ipc::client::{Client, ClientError};
use crate::ipc::command::send_command;
use crate::msg::Message;

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cleared {
    /// Groups that failed here, and whose failures are forgotten now.
    Groups(Vec<String>),
    /// There is no such group; these there are.
    Unknown { known: Vec<String> },
}

/// Has the daemon forget what failed here: of one group, or of all.
pub fn clear(only: Option<&str>) -> Result<Cleared, ClientError> {
    let mut client = Client::connect(super::TIMEOUT)?;
    let answer = client.ask_one(&request::of(request::GETSTATUS))?;
    let status = answer.get(field::JSON).and_then(|text| Json::parse(text).ok());
    let groups = status.as_ref().map_or(&[][..], |s| s.get("groups").items());
    let key = |g: &Json| g.get("key").text().to_owned();
    if let Some(name) = only
        && !groups.iter().any(|g| g.get("key").text() == name)
    {
        return Ok(Cleared::Unknown {
            known: groups.iter().map(key).collect(),
        });
    }
    let me = client.node().to_owned();
    let failed_here = |g: &&Json| g.get("failed").items().iter().any(|f| f.get("node").text() == me);
    let wanted = |g: &&Json| only.is_none_or(|name| g.get("key").text() == name);
    let message = match only {
        Some(name) => Message::new(CLEAR).with(GROUP, name),
        None => Message::new(CLEAR),
    };
    // Also when nothing failed: it forgets how often they were restarted.
    send_command(&message)?;
    client.signoff()?;
    Ok(Cleared::Groups(
        groups.iter().filter(wanted).filter(failed_here).map(key).collect(),
    ))
}
