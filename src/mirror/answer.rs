//! drbdctl at the other end: `rc.d/drbdctl` runs it, as root, when a node of the cluster asks for a step, and it says what
//! became of it. Everything in the message came from the network and is looked at as such.

use super::perform::perform;
use crate::drbd::Account;
use crate::drbd::recovery::Order;
use crate::ids::NodeName;
use crate::ipc::command::send_command;
use crate::msg::{Message, fields};
use std::io::Write;

/// The question, and the script in rc.d.
pub const QUESTION: &str = "drbdctl";
/// The answer; only the process that asked hears it.
pub const ANSWER: &str = "drbdctl_says";
pub const ORDER: &str = "order";
pub const ID: &str = "id";
pub const RE: &str = "re";
pub const OK: &str = "ok";
pub const WHY: &str = "why";
/// An order that nothing follows from but a line in the log, with the words of `why`.
pub const NOTE: &str = "note";
const LONGEST_ID: usize = 40;

/// The fields as harc has them in its environment: `HA_<name>`.
fn message(env: impl Fn(&str) -> Option<String>) -> Message {
    let mut message = Message::new(QUESTION);
    let names = [fields::SRC, fields::DEST, WHY, ORDER, ID, RE, "resource", "volumes"].map(str::to_owned);
    let volumes = (0..crate::drbd::account::MOST_VOLUMES).map(|i| format!("volume{i}"));
    for name in names.into_iter().chain(volumes) {
        if let Some(value) = env(&name) {
            message.set(&name, value);
        }
    }
    message
}

/// Does what the message in the environment asks for; gives the exit code.
pub fn run(me: &str, env: impl Fn(&str) -> Option<String>, out: &mut dyn Write) -> u8 {
    let message = message(env);
    let get = |name: &str| message.get(name).unwrap_or("");
    let (Ok(asker), Ok(me)) = (get(fields::SRC).parse::<NodeName>(), me.parse::<NodeName>()) else {
        let _ = writeln!(
            out,
            "drbdctl: answer: run by rc.d/drbdctl for a message of another node, not by hand"
        );
        return 2;
    };
    // rc.d hears what this node sends to others, too.
    if !get(fields::DEST).eq_ignore_ascii_case(me.as_str()) {
        return 0;
    }
    if get(ORDER) == NOTE {
        let _ = writeln!(out, "node {asker}: {}", get(WHY));
        return 0;
    }
    if asker == me {
        return 0;
    }
    let digits = |w: &str| w.bytes().all(|b| b.is_ascii_digit() || b == b'-') && !w.is_empty() && w.len() <= LONGEST_ID;
    let (id, re) = (get(ID), get(RE));
    if !digits(id) || !digits(re) {
        let _ = writeln!(out, "drbdctl: node {asker}: its question has no number");
        return 1;
    }
    let order = Order::of(get(ORDER)).ok_or("that is no order".to_owned());
    let resource = get("resource")
        .parse()
        .map_err(|e: crate::dopd::name::BadDrbdName| e.to_string());
    let theirs = Account::read(&asker, &message);
    let done = order.and_then(|order| {
        let resource = resource?;
        let done = perform(order, &me, &resource, theirs.as_ref());
        if order != Order::Report || done.is_err() {
            let became = done.as_ref().err().map_or("done", String::as_str);
            let _ = writeln!(
                out,
                "resource {resource}: {} for node {asker}: {became}",
                order.as_str()
            );
        }
        done
    });
    let answer = Message::new(ANSWER)
        .with(fields::DEST, asker.as_str())
        .with(fields::TO_ID, re)
        .with(ID, id)
        .with(OK, if done.is_ok() { "yes" } else { "no" });
    let answer = match done {
        Ok(account) => account.write(answer),
        Err(why) => answer.with(WHY, why.chars().take(1000).collect::<String>()),
    };
    match send_command(&answer) {
        Ok(()) => 0,
        Err(e) => {
            let _ = writeln!(out, "drbdctl: node {asker}: cannot be answered: {e}");
            1
        }
    }
}
